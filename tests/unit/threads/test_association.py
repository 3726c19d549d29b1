"""The blocking driver: several threads on one association, and every way in which it can end."""

from __future__ import annotations

import gc
import socket
import threading
from contextlib import suppress
from dataclasses import replace
from time import monotonic, sleep
from typing import Any
from weakref import ref

import pytest
from pydicom.dataset import Dataset

from dulcimer.errors import AssociationAborted, AssociationError, AssociationTimeout, ConnectionLost
from dulcimer.failure import FailureKind
from dulcimer.ops import lifecycle
from dulcimer.ops.effects import Operation
from dulcimer.ops.requests import Response, c_echo, n_set, request
from dulcimer.protocol.association.contexts import Context
from dulcimer.protocol.association.engine import Engine
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse.assembler import Message
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import Abort, ReleaseRQ
from dulcimer.threads import association as driver_module
from dulcimer.threads.transport import Buffer, PlainTransport
from unit.protocol.engines import (
    CT_CONTEXT,
    ECHO_CONTEXT,
    INSTANCE,
    MPPS,
    echo_request,
    message_bytes,
    parse,
    store_request,
)
from unit.threads import tls
from unit.threads.ends import (
    CONFIG,
    UNLIMITED,
    InBackground,
    against_raw,
    associate,
    association,
    connection,
    eventually,
    make_end,
    nothing_left,
    read_all,
    read_pdu,
    serve,
    success,
    switches,
)

ABORT_BY_USER = codec.encode(Abort(0, 0))


def store(engine: Engine, data: bytes) -> Operation[Response]:
    return request(engine, engine.contexts[CT_CONTEXT], store_request(), data)


def echo(engine: Engine) -> Operation[Response]:
    """Verify, in either role."""
    return request(engine, engine.contexts[ECHO_CONTEXT], echo_request(), None)


def set_step(engine: Engine, instance: str) -> Operation[Response]:
    change = Dataset()
    change.PerformedProcedureStepStatus = "COMPLETED"
    return n_set(engine, change, MPPS, instance)


def test_a_request_is_answered_and_the_end_is_told_once() -> None:
    with association() as (scu, scp):
        assert scu.driver.run(echo(scu.engine)).status == 0
        assert scu.driver.run(lifecycle.release(scu.engine))
        assert eventually(lambda: scu.is_over and scp.is_over)
        assert scu.engine.released and scp.engine.released


def test_an_idle_association_wakes_nobody() -> None:
    with association() as (scu, scp):
        scu.driver.run(echo(scu.engine))
        watcher = next(thread for thread in threading.enumerate() if thread.name == "dulcimer-idle")
        assert eventually(lambda: scu.driver._resting)
        sleep(0.02)
        assert scp.thread is not None

        def nobody_wakes() -> bool:
            # The watcher is the process's: it may have to do with what other tests left behind.
            before = switches(scp.thread), switches(watcher)
            sleep(0.05)
            return (switches(scp.thread), switches(watcher)) == before

        assert any(nobody_wakes() for _ in range(5))


@pytest.mark.parametrize("window", [None, UNLIMITED])
def test_eight_threads_get_their_own_answers(window: Any) -> None:
    def respond(message: Message, context: Context) -> Any:
        return int(str(message.command[e.REQUESTED_SOP_INSTANCE_UID]).split(".")[1]), None

    def change(thread: int) -> list[int]:
        return [
            scu.driver.run(set_step(scu.engine, f"1.{256 * thread + number}")).status for number in range(40)
        ]

    with association(respond, window=window) as (scu, _):
        calls = [InBackground(lambda thread=thread: change(thread)) for thread in range(8)]  # type: ignore[misc]
        for thread, call in enumerate(calls):
            assert call.result() == [256 * thread + number for number in range(40)]


def test_threads_send_long_messages_at_once() -> None:
    """Whoever comes second leaves its message to the thread that is sending."""
    received: list[int] = []

    def respond(message: Message, context: Context) -> int:
        received.append(len(message.sink.stream.getvalue()))  # type: ignore[union-attr]
        return 0

    with association(respond, window=UNLIMITED) as (scu, _):
        calls = [
            InBackground(lambda size=size: scu.driver.run(store(scu.engine, bytes(size))))  # type: ignore[misc]
            for size in (3_000_000, 10, 2_000_000, 400_000)
        ]
        for call in calls:
            assert call.result().status == 0
        assert sorted(received) == [10, 400_000, 2_000_000, 3_000_000]


def test_both_sides_send_more_than_the_connection_holds() -> None:
    data = bytes(8_000_000)
    crossing = threading.Barrier(2, timeout=5)

    def respond(message: Message, context: Context) -> int:
        if message.command[e.COMMAND_FIELD] == echo_request()[e.COMMAND_FIELD]:
            crossing.wait()
            return scp.driver.run(store(scp.engine, data)).status
        return 0

    with association(respond, window=UNLIMITED) as (scu, scp):
        first = InBackground(lambda: scu.driver.run(echo(scu.engine)))
        crossing.wait()
        assert scu.driver.run(store(scu.engine, data)).status == 0
        assert first.result().status == 0


def test_handlers_use_the_association() -> None:
    """Also from another thread than that of the handler."""

    def scp_responds(message: Message, context: Context) -> int:
        answers.append(scp.driver.run(echo(scp.engine)).status)
        answers.append(InBackground(lambda: scp.driver.run(echo(scp.engine))).result().status)
        return 0

    answers: list[int] = []
    with association(scp_responds) as (scu, scp):
        assert scu.driver.run(echo(scu.engine)).status == 0
        assert answers == [0, 0]


def test_requests_within_requests_have_a_limit_and_are_all_answered() -> None:
    depth = deepest = 0
    answers: list[int] = []

    def respond(message: Message, context: Context) -> int:
        nonlocal depth, deepest
        depth += 1
        deepest = max(deepest, depth)
        answers.append(scp.driver.run(echo(scp.engine)).status)
        depth -= 1
        return 0

    with association(respond, window=UNLIMITED) as (scu, scp):
        calls = [InBackground(lambda: scu.driver.run(echo(scu.engine))) for _ in range(24)]
        for call in calls:
            assert call.result().status == 0
    assert 1 <= deepest <= 8
    assert answers == [0] * 24


# ---- aborts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["abort", "kill"])
def test_abort_while_threads_wait_for_answers(how: str) -> None:
    with against_raw(window=UNLIMITED) as (scu, peer):
        calls = [InBackground(lambda: scu.driver.run(echo(scu.engine))) for _ in range(4)]
        assert eventually(lambda: scu.driver._reading and scu.driver._followers == 3)
        getattr(scu.driver, how)()
        for call in calls:
            call.wait()
            assert isinstance(call.error, AssociationAborted)
        assert read_all(peer).endswith(ABORT_BY_USER)
        assert eventually(lambda: scu.is_over, 1)


@pytest.mark.parametrize("how", ["abort", "kill"])
def test_abort_while_a_write_is_blocked(how: str) -> None:
    """The peer does not read: there is no sending an A-ABORT, and no waiting for ever."""
    with against_raw() as (scu, peer):
        call = InBackground(lambda: scu.driver.run(store(scu.engine, bytes(8_000_000))))
        assert eventually(lambda: scu.transport.writing)
        began = monotonic()
        getattr(scu.driver, how)()
        call.wait()
        assert isinstance(call.error, AssociationAborted)
        assert monotonic() - began < (0.2 if how == "kill" else CONFIG.linger + 0.5)
        assert eventually(lambda: scu.is_over, 1)
        # What arrives is the beginning of what was being sent, without anything in between.
        arrived = read_all(peer)
        assert arrived == scu.transport.sent[-len(arrived) :]
        assert ABORT_BY_USER not in arrived


def test_kill_after_an_abort_does_not_wait() -> None:
    with against_raw(config=replace(CONFIG, linger=4.0)) as (scu, _):
        call = InBackground(lambda: scu.driver.run(store(scu.engine, bytes(8_000_000))))
        assert eventually(lambda: scu.transport.writing)
        scu.driver.abort()
        sleep(0.01)
        scu.driver.kill()
        call.wait(0.5)


def test_abort_while_a_slow_peer_is_sent_something() -> None:
    """The batch that was begun is completed, and A-ABORT follows it."""
    with against_raw(config=replace(CONFIG, linger=4.0)) as (scu, peer):
        call = InBackground(lambda: scu.driver.run(store(scu.engine, bytes(8_000_000))))
        assert eventually(lambda: scu.transport.writing)
        scu.driver.abort()
        data = b""
        while (pdu := read_pdu(peer))[:1] == b"\x04":
            data += pdu
        assert pdu == ABORT_BY_USER
        assert len(data) < 8_000_000
        call.wait()


def test_abort_while_a_handler_runs() -> None:
    running, go_on = threading.Event(), threading.Event()

    def respond(message: Message, context: Context) -> int:
        running.set()
        go_on.wait(5)
        return 0

    with association(respond) as (scu, scp):
        call = InBackground(lambda: scu.driver.run(echo(scu.engine)))
        assert running.wait(5)
        scp.driver.abort()
        call.wait()
        assert isinstance(call.error, AssociationAborted)
        go_on.set()
        assert eventually(lambda: scp.is_over)


def test_a_handler_aborts_its_association() -> None:
    def respond(message: Message, context: Context) -> int:
        scp.driver.abort()
        return 0

    with association(respond) as (scu, scp), pytest.raises(AssociationAborted):
        scu.driver.run(echo(scu.engine))


def test_release_while_a_handler_runs() -> None:
    """Its answer cannot be sent any more, which must not be taken for a fault."""
    running, go_on = threading.Event(), threading.Event()

    def respond(message: Message, context: Context) -> int:
        running.set()
        go_on.wait(5)
        return 0

    with association(respond) as (scu, scp):
        call = InBackground(lambda: scu.driver.run(echo(scu.engine)))
        assert running.wait(5)
        release = InBackground(lambda: scp.driver.run(lifecycle.release(scp.engine)))
        assert eventually(lambda: not scp.engine.established)
        go_on.set()
        call.wait()
        assert isinstance(call.error, AssociationError)
        assert release.result()


def test_abort_before_an_association_was_requested() -> None:
    """With an observer, for whom the lock is given up while the thread is on its way to wait."""
    with nothing_left():
        client, server = connection()
        end = make_end(PlainTransport(server), False)
        aborted = False

        def abort_elsewhere() -> None:
            nonlocal aborted
            if not aborted and threading.current_thread() is end.thread:
                aborted = True
                InBackground(end.driver.abort).result()

        class Observer:
            def __getattr__(self, name: str) -> Any:
                return lambda *args: None

        end.on_observed = abort_elsewhere
        end.engine.observer = Observer()
        thread = serve(end)
        thread.join(2)
        assert not thread.is_alive()
        assert aborted and end.transport.closed == 1
        assert client.recv(1) == b""
        client.close()


def test_a_fault_closes_the_connection_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    def decide(requested: Any) -> Any:
        raise SystemExit("a fault")

    with nothing_left():
        client, server = connection()
        scu, scp = make_end(PlainTransport(client), True), make_end(PlainTransport(server), False)
        scp.engine.connected(0)
        thread = InBackground(lambda: scp.driver.serve(decide, lambda: None))
        with pytest.raises(AssociationError):
            associate(scu)
        thread.result()
        assert scp.is_over
        assert "SystemExit" in caplog.text
        scu.driver.kill()


# ---- the peer dies, or is silent ------------------------------------------------------------------------


def test_peer_dies_while_threads_wait() -> None:
    with against_raw(window=UNLIMITED) as (scu, peer):
        calls = [InBackground(lambda: scu.driver.run(echo(scu.engine))) for _ in range(4)]
        assert eventually(lambda: scu.driver._followers == 3)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        for call in calls:
            call.wait()
            assert isinstance(call.error, ConnectionLost)


def test_peer_dies_while_a_write_is_blocked() -> None:
    with against_raw() as (scu, peer):
        call = InBackground(lambda: scu.driver.run(store(scu.engine, bytes(8_000_000))))
        assert eventually(lambda: scu.transport.writing)
        peer.close()
        call.wait()
        assert isinstance(call.error, ConnectionLost)


def test_what_the_peer_said_before_it_closed_is_heard() -> None:
    with against_raw() as (scu, peer):
        call = InBackground(lambda: scu.driver.run(store(scu.engine, bytes(8_000_000))))
        assert eventually(lambda: scu.transport.writing)
        peer.sendall(codec.encode(Abort(2, 6)))
        peer.close()
        call.wait()
        assert isinstance(call.error, AssociationAborted)
        assert call.error.failure.reason == 6


@pytest.mark.parametrize("threads", [1, 3])
def test_no_answer_in_time(threads: int) -> None:
    config = replace(CONFIG, dimse_timeout=0.15)
    with against_raw(config=config, window=UNLIMITED) as (scu, peer):
        calls = [InBackground(lambda: scu.driver.run(echo(scu.engine))) for _ in range(threads)]
        for call in calls:
            call.wait()
            assert isinstance(call.error, AssociationTimeout)
        assert read_all(peer).endswith(ABORT_BY_USER)


def test_peer_stops_reading() -> None:
    config = replace(CONFIG, network_timeout=0.15)
    with against_raw(config=config) as (scu, _), pytest.raises(AssociationTimeout, match="stopped reading"):
        scu.driver.run(store(scu.engine, bytes(8_000_000)))


def test_peer_stops_reading_and_sends_without_end() -> None:
    config = replace(CONFIG, network_timeout=0.15)
    with against_raw(config=config) as (scu, peer):
        requests = message_bytes(ECHO_CONTEXT, echo_request()) * 10

        def flood() -> None:
            with suppress(OSError):
                while True:
                    peer.sendall(requests)

        flooding = InBackground(flood)
        call = InBackground(lambda: scu.driver.run(store(scu.engine, bytes(8_000_000))))
        call.wait(2)
        assert isinstance(call.error, AssociationTimeout)
        flooding.result()


def test_a_connection_without_a_request_is_closed() -> None:
    with nothing_left():
        client, server = connection()
        end = make_end(PlainTransport(server), False, config=replace(CONFIG, acse_timeout=0.1))
        thread = serve(end)
        assert client.recv(1) == b""
        thread.join(2)
        assert not thread.is_alive() and end.transport.closed == 1
        assert end.engine.failure is not None and end.engine.failure.kind is FailureKind.TIMEOUT
        client.close()


def test_the_closing_is_told_after_the_end() -> None:
    """However long the one that tells of the end takes."""
    with association() as (scu, _):
        telling, go_on = threading.Event(), threading.Event()

        def ended() -> None:
            telling.set()
            go_on.wait(5)
            scu.told.append("ended")

        scu.ended = ended  # type: ignore[method-assign]
        first = InBackground(scu.driver.abort)
        assert telling.wait(5)
        scu.driver.kill()
        assert scu.transport.closed == 1 and scu.told == []
        go_on.set()
        first.result()
        assert scu.told == ["ended", "closed"]


@pytest.mark.parametrize("requested", [True, False])
def test_a_peer_that_sends_without_end_is_not_heard_for_ever(requested: bool) -> None:
    """After an abort, and before a request: the timer runs however much comes."""
    with nothing_left():
        client, server = connection()
        config = replace(CONFIG, acse_timeout=0.2, linger=0.2)
        end = make_end(PlainTransport(server), False, config=config)
        thread = serve(end)
        # An A-ASSOCIATE-RQ that is nearly as long as they may be; or what is no PDU, and more of it.
        start = b"\x08\0\0\0\0\0" if requested else b"\x01\0\0\x0f\xff\xff"

        def flood() -> None:
            with suppress(OSError):
                client.sendall(start)
                while True:
                    client.sendall(bytes(100))

        flooding = InBackground(flood)
        thread.join(2)
        assert not thread.is_alive()
        assert end.transport.closed == 1
        flooding.result()
        client.close()


def test_nothing_is_kept_of_an_association_that_is_over() -> None:
    def use() -> tuple[Any, Any]:
        with association() as (scu, scp):
            scu.driver.run(echo(scu.engine))
            return ref(scu.driver), ref(scp.driver)

    gone = use()

    def collected() -> bool:
        gc.collect()
        return [one() for one in gone] == [None, None]

    assert eventually(collected, 1)


# ---- interrupts -----------------------------------------------------------------------------------------


class Interrupted(PlainTransport):
    """Raises KeyboardInterrupt once, in a receive or in the middle of a send."""

    where = ""

    def receive(self, view: memoryview, timeout: float | None) -> int:
        if self.where == "receive":
            self.where = ""
            raise KeyboardInterrupt
        return super().receive(view, timeout)

    def send_some(self, buffers: list[Buffer]) -> bool:
        if self.where == "send":
            self.where = ""
            self._socket.send(bytes(buffers[0])[:5])
            raise KeyboardInterrupt
        return super().send_some(buffers)


def test_interrupt_in_a_receive() -> None:
    """The association goes on, also while somebody keeps the exception and with it the traceback."""

    def wrap(client: socket.socket, server: socket.socket) -> Any:
        return Interrupted(client), PlainTransport(server)

    with association(wrap=wrap) as (scu, _):
        scu.transport.inner.where = "receive"  # type: ignore[attr-defined]
        with pytest.raises(KeyboardInterrupt) as kept:
            scu.driver.run(echo(scu.engine))
        assert not scu.engine.awaiting_response
        assert scu.driver.run(set_step(scu.engine, INSTANCE)).status == 0
        assert not scu.driver._reading and not scu.driver._lock.locked()
        del kept


def test_interrupt_in_a_send() -> None:
    """Half a message is out: nothing may follow it."""

    def wrap(client: socket.socket, server: socket.socket) -> Any:
        return Interrupted(client), PlainTransport(server)

    with association(wrap=wrap) as (scu, scp):
        scu.transport.inner.where = "send"  # type: ignore[attr-defined]
        sent = len(scu.transport.sent)
        with pytest.raises(KeyboardInterrupt):
            scu.driver.run(store(scu.engine, bytes(100_000)))
        assert scu.engine.ended and scu.transport.closed == 1
        assert len(scu.transport.sent) == sent
        with pytest.raises(RuntimeError):
            scu.driver.run(echo(scu.engine))
        assert eventually(lambda: scp.is_over)
        assert scp.engine.failure is not None and scp.engine.failure.kind is FailureKind.LOST


# ---- what comes without being awaited -------------------------------------------------------------------


def test_a_request_that_came_during_the_last_write_is_served() -> None:
    """It is here already when the association begins to rest: no selector tells of it."""
    answering, served = threading.Event(), threading.Event()
    big = bytes(500_000)

    def respond(message: Message, context: Context) -> Any:
        served.set()
        return 0

    def last_write(engine: Engine) -> Operation[None]:
        engine.send_message(
            CT_CONTEXT,
            {**store_request(9), e.COMMAND_FIELD: 0x8001, e.STATUS: 0, e.MESSAGE_ID_BEING_RESPONDED_TO: 9},
            big,
            engine.now,
        )
        return
        yield  # pragma: no cover

    with against_raw(respond) as (scu, peer):
        call = InBackground(lambda: scu.driver.run(last_write(scu.engine)))
        assert eventually(lambda: scu.transport.writing)
        peer.sendall(message_bytes(ECHO_CONTEXT, echo_request(3)))
        assert eventually(lambda: scu.engine.requests)
        assert not served.is_set()
        reader = InBackground(lambda: read_all(peer))
        call.result()
        assert served.wait(2)
        answering.set()
        scu.driver.abort()
        reader.wait()


def test_the_release_is_answered_although_the_call_fails() -> None:
    with against_raw() as (scu, peer):
        call = InBackground(lambda: scu.driver.run(echo(scu.engine)))
        assert parse(read_pdu(peer))
        peer.sendall(codec.encode(ReleaseRQ()))
        call.wait()
        assert isinstance(call.error, AssociationError)
        assert read_pdu(peer)[:1] == b"\x06"


def test_sinks_cannot_deadlock() -> None:
    """They are opened and filled with the lock held."""
    errors: list[Exception] = []

    def open_sink(context: Context, command: Any) -> Any:
        try:
            scp.driver.run(echo(scp.engine))
        except RuntimeError as error:
            errors.append(error)
        scp.driver.abort()
        raise OSError("no sink")

    with association() as (scu, scp):
        scp.engine._open_sink = open_sink
        with pytest.raises(AssociationAborted):
            scu.driver.run(store(scu.engine, bytes(100)))
        assert len(errors) == 1


def test_interleaved_use_and_aborts_leave_nothing() -> None:
    for attempt in range(20):
        with association(success, window=UNLIMITED) as (scu, scp):
            calls = [
                InBackground(lambda: [scu.driver.run(echo(scu.engine)) for _ in range(1000)])
                for _ in range(3)
            ]
            sleep(attempt % 5 / 1000)
            (scu if attempt % 2 else scp).driver.abort()
            for call in calls:
                call.wait()
                assert isinstance(call.error, (AssociationError, RuntimeError))


# ---- TLS ------------------------------------------------------------------------------------------------


def test_tls_with_threads_that_send_and_read_at_once() -> None:
    data = bytes(3_000_000)

    def respond(message: Message, context: Context) -> int:
        if message.command[e.COMMAND_FIELD] == echo_request()[e.COMMAND_FIELD]:
            return scp.driver.run(store(scp.engine, data)).status
        return 0

    with association(respond, window=UNLIMITED, wrap=tls.wrap) as (scu, scp):
        calls = [InBackground(lambda: scu.driver.run(echo(scu.engine))) for _ in range(3)]
        calls += [InBackground(lambda: scu.driver.run(store(scu.engine, data))) for _ in range(3)]
        for call in calls:
            assert call.result().status == 0
        assert scu.driver.run(lifecycle.release(scu.engine))


def test_tls_abort_while_others_wait() -> None:
    """A-ABORT goes out as TLS, also when the thread that reads was woken before."""
    with association(lambda *_: sleep(0.05) or 0, window=UNLIMITED, wrap=tls.wrap) as (scu, scp):  # type: ignore[func-returns-value]
        calls = [InBackground(lambda: scu.driver.run(echo(scu.engine))) for _ in range(3)]
        assert eventually(lambda: scu.driver._followers == 2)
        scu.driver.abort()
        for call in calls:
            call.wait()
            assert isinstance(call.error, AssociationAborted)
        assert eventually(lambda: scp.is_over)
        assert scp.engine.failure is not None and scp.engine.failure.kind is FailureKind.ABORTED


def test_tls_requests_that_come_together_while_idle() -> None:
    """The second is inside of the TLS object when the first has been received."""
    served: list[Message] = []

    def respond(message: Message, context: Context) -> int:
        served.append(message)
        return 0

    with association(scu=respond, window=UNLIMITED, wrap=tls.wrap) as (scu, scp):
        assert eventually(lambda: scu.driver._resting)
        calls = [InBackground(lambda: scp.driver.run(store(scp.engine, bytes(300_000)))) for _ in range(4)]
        for call in calls:
            assert call.result().status == 0
        assert len(served) == 4


# ---- what is done while there is time for it --------------------------------------------------------------


def test_meanwhile_comes_after_the_response_and_once() -> None:
    calls: list[int] = []

    def respond(message: Message, context: Context) -> Any:
        before = len(acceptor.transport.sent)
        acceptor.driver.meanwhile = lambda: calls.append(len(acceptor.transport.sent) - before)
        return success(message, context)

    with association(respond) as (requestor, acceptor):
        for number in (1, 2):
            requestor.driver.run(c_echo(requestor.engine))
            assert eventually(lambda number=number: len(calls) == number)
    assert all(calls)


@pytest.mark.parametrize("rests", [True, False])
def test_at_rest_comes_when_nothing_does_and_at_the_end(monkeypatch: pytest.MonkeyPatch, rests: bool) -> None:
    monkeypatch.setattr(driver_module, "IDLE_AFTER", 0.05 if rests else 60.0)
    calls: list[str] = []

    def respond(message: Message, context: Context) -> Any:
        acceptor.driver.meanwhile = lambda: calls.append("meanwhile")
        acceptor.driver.at_rest = lambda: calls.append("rest")
        return success(message, context)

    with association(respond, config=replace(CONFIG, network_timeout=None)) as (requestor, acceptor):
        requestor.driver.run(echo(requestor.engine))
        assert eventually(lambda: "meanwhile" in calls)
        if rests:
            assert eventually(lambda: calls == ["meanwhile", "rest"])
        requestor.driver.run(lifecycle.release(requestor.engine))
    assert calls == ["meanwhile", "rest"]
