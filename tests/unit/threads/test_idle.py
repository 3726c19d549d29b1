"""The watcher of idle associations: alone, and handing associations to calls and back."""

from __future__ import annotations

import gc
import os
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic, sleep
from typing import Any
from weakref import ref

import pytest

from dulcimer.errors import AssociationError
from dulcimer.failure import FailureKind
from dulcimer.ops.requests import c_echo
from dulcimer.protocol.association.config import EngineConfig
from dulcimer.protocol.association.contexts import Context
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse.assembler import Message
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import Abort, ReleaseRQ
from dulcimer.threads import idle as idle_module
from dulcimer.threads.idle import REST, Watcher
from unit.protocol.engines import (
    ECHO_CONTEXT,
    MPPS_CONTEXT,
    echo_request,
    message_bytes,
    parse,
    set_request,
)
from unit.threads.ends import (
    CONFIG,
    PATIENCE,
    InBackground,
    against_raw,
    association,
    eventually,
    read_all,
    read_pdu,
    switches,
)


class Reentrant:
    """Something whose registration sets a finalizer going that uses another association."""

    def __init__(self, watcher: Watcher, other: Resting) -> None:
        self.sock, self.peer = socket.socketpair()
        self.began = threading.Event()
        self._watcher = watcher
        self._other = other

    def fileno(self) -> int:
        self._watcher.take_back(self._other)
        self._watcher.rest_soon(self._other)
        return self.sock.fileno()

    def may_rest(self) -> tuple[bool, float | None]:
        self.began.set()
        return False, None

    def overdue(self, now: float) -> bool:
        return False

    def wake_up(self) -> None:
        pass


class Resting:
    """Something that can be watched, with a socket whose other end is the peer."""

    def __init__(self, deadline: float | None = None) -> None:
        self.sock, self.peer = socket.socketpair()
        self.deadline = deadline
        self.rests = True
        self.asked = 0
        self.woken: list[float] = []
        self.on_asked: Callable[[], None] = lambda: None

    def fileno(self) -> int:
        return self.sock.fileno()

    def may_rest(self) -> tuple[bool, float | None]:
        self.asked += 1
        self.on_asked()
        return self.rests, self.deadline

    def overdue(self, now: float) -> bool:
        return self.deadline is not None and self.deadline <= now

    def wake_up(self) -> None:
        self.woken.append(monotonic())

    def close(self) -> None:
        self.sock.close()
        self.peer.close()


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    watcher = Watcher()
    yield watcher
    # Its thread would stay for ever: the bell tells it to end, by way of an exception that is expected.
    if watcher._thread is not None:
        previous, threading.excepthook = threading.excepthook, lambda args: None
        watcher._timeout = lambda: 1 / 0  # type: ignore[method-assign]
        watcher._button.send(b"\0")
        watcher._thread.join(PATIENCE)
        threading.excepthook = previous
        assert not watcher._thread.is_alive()
    for thing in (watcher._selector, watcher._bell, watcher._button):
        thing.close()


@pytest.fixture
def make(watcher: Watcher) -> Iterator[Callable[..., Resting]]:
    made: list[Resting] = []

    def make(deadline: float | None = None) -> Resting:
        made.append(Resting(deadline))
        return made[-1]

    yield make
    for resting in made:
        resting.close()


Make = Callable[..., Resting]


def watched(watcher: Watcher) -> list[Any]:
    return [key.fileobj for key in list(watcher._selector.get_map().values()) if key.data is not None]


def test_what_the_peer_says_wakes(watcher: Watcher, make: Make) -> None:
    idle = make()
    began = monotonic()
    watcher.rest_soon(idle)
    idle.peer.send(b"x")
    assert eventually(lambda: idle.woken)
    assert idle.woken[0] - began >= REST * 0.9
    assert watched(watcher) == []
    assert len(idle.woken) == 1


def test_the_closing_of_the_connection_wakes(watcher: Watcher, make: Make) -> None:
    idle = make()
    watcher.rest_soon(idle)
    assert eventually(lambda: idle.asked)
    idle.peer.close()
    assert eventually(lambda: idle.woken)


def test_a_finalizer_may_come_in_between(watcher: Watcher, make: Make) -> None:
    other = make()
    registered = Reentrant(watcher, other)
    with registered.sock, registered.peer:
        watcher.rest_soon(registered)
        assert registered.began.wait(PATIENCE)
        assert eventually(lambda: other.asked)


def test_what_was_taken_back_is_not_woken(watcher: Watcher, make: Make) -> None:
    idle, other = make(), make()
    watcher.rest_soon(idle)
    watcher.rest_soon(other)
    assert eventually(lambda: len(watched(watcher)) == 2)
    watcher.take_back(idle)
    watcher.take_back(idle)
    idle.peer.send(b"x")
    other.peer.send(b"x")
    assert eventually(lambda: other.woken)
    assert not idle.woken


def test_what_is_in_use_is_not_watched(watcher: Watcher, make: Make) -> None:
    idle = make()
    idle.rests = False
    watcher.rest_soon(idle)
    assert eventually(lambda: idle.asked)
    assert eventually(lambda: watched(watcher) == [])


def test_a_timeout_wakes(watcher: Watcher, make: Make) -> None:
    idle = make(monotonic() + 0.05)
    watcher.rest_soon(idle)
    assert eventually(lambda: idle.woken)
    assert idle.deadline is not None
    assert idle.deadline <= idle.woken[0] < idle.deadline + 0.1


def test_a_timeout_that_is_over_already_wakes_at_once(watcher: Watcher, make: Make) -> None:
    """So does what TLS has received and no selector sees, whose deadline is 0."""
    idle = make(0.0)
    idle.overdue = lambda now: False  # type: ignore[method-assign]
    watcher.rest_soon(idle)
    assert eventually(lambda: idle.woken, 1)


def test_the_timeout_of_an_earlier_rest_does_not_count(watcher: Watcher, make: Make) -> None:
    idle = make(monotonic() + 0.045)
    watcher.rest_soon(idle)
    assert eventually(lambda: watched(watcher))
    watcher.take_back(idle)
    idle.deadline = monotonic() + 60
    watcher.rest_soon(idle)
    assert eventually(lambda: idle.asked == 2)
    sleep(0.05)
    assert not idle.woken


def test_timeouts_of_earlier_rests_are_forgotten(watcher: Watcher, make: Make) -> None:
    idle = make(monotonic() + 60)
    for _ in range(500):
        watcher._begin(idle)
        watcher.take_back(idle)
    assert len(watcher._deadlines) < 100


def test_a_watching_thread_sleeps(watcher: Watcher, make: Make) -> None:
    for _ in range(20):
        watcher.rest_soon(make(monotonic() + 60))
    assert eventually(lambda: len(watched(watcher)) == 20)
    assert watcher._thread is not None
    sleep(0.02)
    before = switches(watcher._thread)
    sleep(0.05)
    assert switches(watcher._thread) == before


@pytest.mark.parametrize("error", [OSError("no room in the selector"), ValueError("odd"), KeyError("there")])
def test_what_cannot_be_watched_has_a_thread(
    watcher: Watcher, make: Make, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    idle = make()

    def refuse(*args: Any) -> Any:
        raise error

    monkeypatch.setattr(watcher._selector, "register", refuse)
    watcher.rest_soon(idle)
    assert eventually(lambda: idle.woken)


def test_a_closed_one_is_not_watched(watcher: Watcher, make: Make) -> None:
    idle, after = make(), make()
    idle.rests = False
    idle.sock.close()
    watcher.rest_soon(idle)
    watcher.rest_soon(after)
    assert eventually(lambda: watched(watcher) == [after])


def test_without_a_thread_it_is_tried_again(
    watcher: Watcher, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither for the watcher itself nor for what is woken."""
    real, refused = threading.Thread, 0

    class Scarce(real):  # type: ignore[misc, valid-type]
        def start(self) -> None:
            nonlocal refused
            refused += 1
            if refused in (1, 3, 4):
                raise RuntimeError("can't start new thread")
            super().start()

    monkeypatch.setattr(idle_module, "Thread", Scarce)
    first, second = make(), make()
    watcher.rest_soon(first)
    assert watcher._thread is None
    watcher.rest_soon(second)
    assert eventually(lambda: len(watched(watcher)) == 2)
    second.peer.send(b"x")
    assert eventually(lambda: second.woken)
    assert refused == 5


def test_a_descriptor_number_is_used_again(watcher: Watcher, make: Make) -> None:
    """Of one that was closed without being taken back: its successor is not forgotten."""
    idle = make()
    watcher.rest_soon(idle)
    assert eventually(lambda: watched(watcher) == [idle])
    number = idle.fileno()
    idle.sock.close()
    successor = make()
    assert number in (successor.fileno(), successor.peer.fileno())
    if successor.fileno() != number:
        successor.sock, successor.peer = successor.peer, successor.sock
    watcher.rest_soon(successor)
    assert eventually(lambda: successor.woken)
    assert not idle.woken
    watcher.take_back(idle)
    watcher.rest_soon(successor)
    assert eventually(lambda: watched(watcher) == [successor])


def test_closed_while_it_is_registered(watcher: Watcher, make: Make) -> None:
    """take_back() waits until the selector and the system agree."""
    idle = make()
    entered, real = threading.Event(), watcher._selector.register

    class Slow(selectors.DefaultSelector):
        pass

    def register(fileobj: Any, events: int, data: Any = None) -> Any:
        entered.set()
        sleep(0.03)
        return real(fileobj, events, data)

    watcher._selector.register = register  # type: ignore[method-assign]
    watcher.rest_soon(idle)
    assert entered.wait(2)
    idle.rests = False
    watcher.take_back(idle)
    assert watched(watcher) == []
    idle.peer.send(b"x")
    assert eventually(lambda: idle.asked)
    assert not idle.woken


def test_nothing_is_kept_of_what_is_gone(watcher: Watcher) -> None:
    idle: Resting | None = Resting(monotonic() + 60)
    assert idle is not None
    gone = ref(idle)
    watcher.rest_soon(idle)
    assert eventually(lambda: watched(watcher))
    watcher.take_back(idle)
    idle.close()
    idle = None
    gc.collect()
    assert gone() is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_child_of_a_fork_has_a_watcher_of_its_own(watcher: Watcher, make: Make) -> None:
    idle = make()
    watcher.rest_soon(idle)
    assert eventually(lambda: watched(watcher) == [idle])
    child = os.fork()
    if not child:
        status = 1
        with suppress(BaseException):
            watcher.start_over()
            other = Resting()
            watcher.rest_soon(other)
            other.peer.send(b"x")
            status = 0 if eventually(lambda: other.woken) and not idle.woken else 2
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert watched(watcher) == [idle]
    idle.peer.send(b"x")
    assert eventually(lambda: idle.woken)


# ---- with associations ----------------------------------------------------------------------------------


def rests(end: Any) -> bool:
    return eventually(lambda: end.driver._resting)


def test_a_request_of_the_peer_is_served_while_idle() -> None:
    seen: list[Message] = []

    def respond(message: Message, context: Context) -> Any:
        seen.append(message)
        return 0x0000

    with against_raw(respond) as (scu, peer):
        assert rests(scu)
        for number in range(3):
            peer.sendall(message_bytes(ECHO_CONTEXT, echo_request(number)))
            (answer,) = parse(read_pdu(peer))
            assert isinstance(answer, Message)
            assert answer.command[e.MESSAGE_ID_BEING_RESPONDED_TO] == number
        assert len(seen) == 3
        assert rests(scu)


def test_a_request_in_pieces_is_served_while_idle() -> None:
    with against_raw() as (scu, peer):
        assert rests(scu)
        request = message_bytes(ECHO_CONTEXT, echo_request(1))
        for piece in (request[:3], request[3:20], request[20:]):
            peer.sendall(piece)
            sleep(0.03)
        assert parse(read_pdu(peer))
        assert rests(scu)


@pytest.mark.parametrize("memory", [True, False])
def test_the_peer_releases_while_idle(memory: bool) -> None:
    with against_raw() as (scu, peer):
        if memory:
            assert rests(scu)
        peer.sendall(codec.encode(ReleaseRQ()))
        assert read_pdu(peer)[:1] == b"\x06"
        peer.close()
        assert eventually(lambda: scu.is_over)
        assert scu.engine.released


def test_the_peer_aborts_while_idle() -> None:
    with against_raw() as (scu, peer):
        assert rests(scu)
        peer.sendall(codec.encode(Abort(0, 0)))
        assert eventually(lambda: scu.is_over)
        assert scu.engine.failure is not None
        assert scu.engine.failure.kind is FailureKind.ABORTED


def test_the_network_timeout_passes_while_idle() -> None:
    with against_raw(config=EngineConfig(network_timeout=0.1, linger=0.1)) as (scu, peer):
        assert read_all(peer) == codec.encode(Abort(0, 0))
        peer.close()
        assert eventually(lambda: scu.is_over)


@pytest.mark.parametrize("what", ["request", "release", "abort"])
def test_a_call_at_the_very_moment_when_the_peer_speaks(what: str) -> None:
    says = {
        "request": message_bytes(MPPS_CONTEXT, set_request(7), b""),
        "release": codec.encode(ReleaseRQ()),
        "abort": codec.encode(Abort(0, 0)),
    }[what]
    for attempt in range(12):
        with against_raw(lambda message, context: (0x0000, None)) as (scu, peer):
            assert rests(scu)
            fields: list[int] = []
            script = InBackground(lambda peer=peer, fields=fields: answer_all(peer, fields))  # type: ignore[misc]
            barrier = threading.Barrier(2)

            def speak(peer: socket.socket = peer, barrier: threading.Barrier = barrier) -> None:
                barrier.wait()
                peer.sendall(says)

            speaking = InBackground(speak)
            barrier.wait()
            if attempt % 3:
                sleep(attempt / 20000)
            try:
                status = scu.driver.run(c_echo(scu.engine)).status
                assert status == 0
            except (AssociationError, RuntimeError):
                assert what != "request"
            speaking.wait()
            if what == "request":
                assert eventually(lambda fields=fields: 0x8120 in fields)  # type: ignore[misc]
                scu.driver.abort()
            assert eventually(lambda scu=scu: scu.engine.ended)  # type: ignore[misc]
            script.result()


def answer_all(peer: socket.socket, fields: list[int]) -> None:
    """Answer C-ECHO requests; list the command fields that come."""
    with suppress(OSError):
        while (pdu := read_pdu(peer))[:1] == b"\x04":
            (message,) = parse(pdu)
            assert isinstance(message, Message)
            field = message.command[e.COMMAND_FIELD]
            assert isinstance(field, int)
            fields.append(field)
            if field == 0x0030:
                answer = {
                    e.COMMAND_FIELD: 0x8030,
                    e.MESSAGE_ID_BEING_RESPONDED_TO: message.command[e.MESSAGE_ID],
                    e.STATUS: 0,
                }
                peer.sendall(message_bytes(ECHO_CONTEXT, answer))
        peer.close()


def test_calls_and_rests_alternate() -> None:
    """Around the moment when an association begins to be watched."""
    with association(config=CONFIG) as (scu, _):
        for number in range(40):
            assert scu.driver.run(c_echo(scu.engine)).status == 0
            sleep(REST + (number - 20) / 10000)


def test_a_call_during_the_change_to_rest() -> None:
    """Between the registration and the question whether it may rest."""
    with association() as (scu, _):
        assert rests(scu)
        real = scu.driver.may_rest

        def late() -> tuple[bool, float | None]:
            answer = real()
            InBackground(lambda: scu.driver.run(c_echo(scu.engine))).wait()
            return answer

        scu.driver.may_rest = late  # type: ignore[method-assign]
        assert scu.driver.run(c_echo(scu.engine)).status == 0
        sleep(0.05)
        scu.driver.may_rest = real  # type: ignore[method-assign]
        assert scu.driver.run(c_echo(scu.engine)).status == 0
        assert rests(scu)
