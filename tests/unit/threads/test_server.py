"""Listening, the threads that accept, and the two ways to stop."""

from __future__ import annotations

import errno
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from typing import Any

import pytest

from dulcimer.threads import server as server_module
from dulcimer.threads.server import Listener, Serve, cut_off, drain, listen
from dulcimer.threads.transport import Transport
from unit.threads import tls
from unit.threads.ends import PATIENCE, InBackground, eventually, nothing_left, read_all, switches


def echo(transport: Transport, address: Any) -> None:
    """Send back what comes, up to the end."""
    view = memoryview(bytearray(1000))
    with suppress(OSError):
        while (count := transport.receive(view, PATIENCE)) > 0:
            transport.send_some([bytes(view[:count])])
    transport.close()


def make_listener(
    serve: Serve = echo,
    room: Callable[[int], bool] = lambda count: True,
    context: ssl.SSLContext | None = None,
    timeout: float = PATIENCE,
) -> Listener:
    return Listener(
        listen(("127.0.0.1", 0)),
        serve,
        room=room,
        ssl_context=lambda: context,
        handshake_timeout=lambda: timeout,
    )


@contextmanager
def running(*args: Any, **settings: Any) -> Iterator[Listener]:
    """Run a listener; nothing may be left of it."""
    with nothing_left():
        listener = make_listener(*args, **settings)
        run = InBackground(listener.run)
        try:
            yield listener
        finally:
            listener.stop()
            listener.wait(PATIENCE)
            run.result()


def dial(listener: Listener) -> socket.socket:
    return socket.create_connection(listener.socket.getsockname(), PATIENCE)


def talk(listener: Listener) -> None:
    with dial(listener) as sock:
        sock.sendall(b"hello")
        assert sock.recv(5) == b"hello"


def waiting(listener: Listener) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "dulcimer-server"]


def test_connections_are_served_one_after_the_other_and_at_once() -> None:
    with running() as listener:
        for _ in range(20):
            talk(listener)
        socks = [dial(listener) for _ in range(20)]
        for sock in socks:
            sock.sendall(b"x")
        for sock in socks:
            assert sock.recv(1) == b"x"
            sock.close()
        assert listener.wait(2)
        # A few go on waiting, the others have ended.
        assert eventually(lambda: 1 <= len(waiting(listener)) <= 4)
        talk(listener)


def test_waiting_threads_sleep() -> None:
    with running() as listener:
        talk(listener)
        assert eventually(lambda: listener.wait(0))
        sleep(0.01)
        before = [switches(thread) for thread in waiting(listener)]
        sleep(0.05)
        assert [switches(thread) for thread in waiting(listener)] == before


def test_started_and_stopped_many_times() -> None:
    with nothing_left():
        for number in range(200):
            listener = make_listener()
            run = InBackground(listener.run)
            if number % 2:
                talk(listener)
            if number % 3:
                listener.stop()
            else:
                stops = [InBackground(listener.stop) for _ in range(2)]
                for stop in stops:
                    stop.wait()
            assert listener.wait(2)
            run.wait()
            assert listener.socket.fileno() == -1


def test_stopping_while_connections_come() -> None:
    for _ in range(10):
        with nothing_left():
            listener = make_listener()
            address = listener.socket.getsockname()
            run = InBackground(listener.run)
            stopped = threading.Event()

            def call(address: Any = address, stopped: threading.Event = stopped) -> None:
                while not stopped.is_set():
                    with suppress(OSError), socket.create_connection(address, 0.5) as sock:
                        sock.sendall(b"x")

            calls = [InBackground(call) for _ in range(3)]
            sleep(0.01)
            began = monotonic()
            listener.stop()
            assert monotonic() - began < 1
            stopped.set()
            for one in calls:
                one.result()
            assert listener.wait(PATIENCE)
            run.wait()


def test_stopped_before_it_runs() -> None:
    with nothing_left():
        listener = make_listener()
        listener.stop()
        InBackground(listener.run).wait(1)
        assert eventually(lambda: not waiting(listener))


def test_the_address_is_free_after_stopping() -> None:
    with running() as listener:
        address = listener.socket.getsockname()
        talk(listener)
        listener.stop()
        listen(address).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, 1)


def test_there_is_no_room() -> None:
    with running(room=lambda count: count < 2) as listener:
        first, second = dial(listener), dial(listener)
        for sock in (first, second):
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
        with dial(listener) as third:
            assert read_all(third) == b""
        first.close()
        assert eventually(lambda: len(listener._serving) == 1)
        talk(listener)
        second.close()


def test_a_thread_may_stop_what_it_serves() -> None:
    """It does not wait for itself."""
    took: list[float] = []

    def serve(transport: Transport, address: Any) -> None:
        began = monotonic()
        listener.stop()
        assert listener.wait(PATIENCE)
        took.append(monotonic() - began)
        transport.close()

    with running(serve) as listener, dial(listener) as sock:
        assert read_all(sock) == b""
    assert took[0] < 1


@pytest.mark.parametrize("error", [RuntimeError("a fault"), SystemExit(1)])
@pytest.mark.parametrize("secure", [False, True])
def test_a_fault_closes_its_connection_only(
    error: BaseException, secure: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def serve(transport: Transport, address: Any) -> None:
        raise error

    with running(serve, context=tls.contexts()[1] if secure else None) as listener:
        for _ in range(2):
            sock = dial(listener)
            if secure:
                sock = tls.contexts()[0].wrap_socket(sock, server_hostname="localhost")
            assert read_all(sock) == b""
            sock.close()
        assert listener.wait(2)
    assert "ended with a fault" in caplog.text


def test_no_thread_to_begin_with(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A server that accepts nothing must not look like one that does."""
    caplog.set_level(logging.CRITICAL)

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    listener = make_listener()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="no thread"):
            listener.run()
    listener.stop()


def test_no_thread_for_the_next_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It waits until one is free again."""
    caplog.set_level(logging.CRITICAL)
    with running() as listener, monkeypatch.context() as patch:
        assert eventually(lambda: waiting(listener))

        def start(self: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        patch.setattr(threading.Thread, "start", start)
        first, second = dial(listener), dial(listener)
        first.sendall(b"x")
        assert first.recv(1) == b"x"
        second.sendall(b"y")
        second.settimeout(0.03)
        with pytest.raises(TimeoutError):
            second.recv(1)
        first.close()
        second.settimeout(PATIENCE)
        assert second.recv(1) == b"y"
        second.close()


# ---- accept fails ---------------------------------------------------------------------------------------


class Failing:
    """A listening socket whose accept fails some times."""

    def __init__(self, sock: socket.socket, number: int, times: int) -> None:
        self._sock = sock
        self._number = number
        self.left = times
        self.calls = 0

    def accept(self) -> Any:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise OSError(self._number, "no")
        return self._sock.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINVAL, errno.ENETDOWN])
def test_accept_fails_for_a_while(
    number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server_module, "_PAUSE", 0.02)
    with nothing_left():
        listener = make_listener()
        failing = listener.socket = Failing(listener.socket, number, 2)  # type: ignore[assignment]
        run = InBackground(listener.run)
        talk(listener)
        assert not failing.left
        listener.stop()
        run.result()
    assert caplog.text.count("no connection can be accepted") == 2


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EBADF, errno.EINVAL])
def test_accept_that_fails_for_ever_does_not_spin(number: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    with nothing_left():
        listener = make_listener()
        failing = listener.socket = Failing(listener.socket, number, -1)  # type: ignore[assignment]
        run = InBackground(listener.run)
        sleep(0.05)
        assert 1 <= failing.calls < 5
        # And a pause is no reason to stop later.
        began = monotonic()
        listener.stop()
        assert monotonic() - began < 0.05
        run.result()


def test_a_connection_that_is_gone_again_is_no_reason_to_pause(caplog: pytest.LogCaptureFixture) -> None:
    with nothing_left():
        listener = make_listener()
        failing = listener.socket = Failing(listener.socket, errno.ECONNABORTED, 20)  # type: ignore[assignment]
        run = InBackground(listener.run)
        began = monotonic()
        talk(listener)
        assert monotonic() - began < 0.5
        assert not failing.left
        listener.stop()
        run.result()
    assert not caplog.text


# ---- TLS ------------------------------------------------------------------------------------------------


def test_handshakes_fail_and_leave_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    client, server = tls.contexts()
    with running(context=server, timeout=0.2) as listener:
        dial(listener).close()
        with dial(listener) as sock:
            sock.sendall(b"\1\0\0\0\0\xcd" * 30)
            read_all(sock)
        silent = dial(listener)
        with client.wrap_socket(dial(listener), server_hostname="localhost") as sock:
            sock.sendall(b"hello")
            assert sock.recv(5) == b"hello"
        assert read_all(silent) == b""
        silent.close()
        assert listener.wait(2)
        assert not listener._handshakes


def test_stopping_ends_handshakes() -> None:
    """A peer that says nothing holds nobody up."""
    with nothing_left():
        listener = make_listener(context=tls.contexts()[1], timeout=60)
        run = InBackground(listener.run)
        socks = [dial(listener) for _ in range(3)]
        assert eventually(lambda: len(listener._handshakes) == 3)
        began = monotonic()
        listener.stop()
        assert listener.wait(PATIENCE)
        assert monotonic() - began < 1
        run.result()
        for sock in socks:
            sock.close()


# ---- draining -------------------------------------------------------------------------------------------


class Association:
    """What :func:`drain` sees of one; it lives as long as its connection."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.is_idle = False
        self.told: list[str] = []

    def abort(self) -> None:
        self.told.append("abort")
        self.transport.wake()

    def drain(self) -> None:
        self.told.append("drain")
        self.transport.wake()


class Served:
    """A listener's associations."""

    def __init__(self, late: float = 0.0) -> None:
        self.all: list[Association] = []
        self.current: list[Association] = []
        self._late = late

    def serve(self, transport: Transport, address: Any) -> None:
        if self._late:
            sleep(self._late)
        association = Association(transport)
        self.all.append(association)
        self.current.append(association)
        echo(transport, address)
        self.current.remove(association)

    def __call__(self) -> list[Association]:
        return list(self.current)


def test_draining_waits_for_what_is_under_way() -> None:
    served = Served()
    with running(served.serve) as listener:
        sock = dial(listener)
        assert eventually(served)
        draining = InBackground(lambda: drain(listener, served, PATIENCE))
        assert eventually(lambda: listener.socket.fileno() == -1)
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        sleep(0.03)
        assert not draining.done
        sock.close()
        assert draining.result() is True
    assert served.all[0].told == []


def test_draining_ends_what_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_DRAIN_STEP", 0.03)
    served = Served()
    with running(served.serve) as listener, dial(listener):
        assert eventually(served)
        served.all[0].is_idle = True
        began = monotonic()
        assert drain(listener, served, PATIENCE) is True
        # Not at once: it may be between two objects.
        assert monotonic() - began >= 0.027
    assert served.all[0].told == ["drain"]


def test_draining_has_an_end() -> None:
    served = Served()
    with running(served.serve) as listener, dial(listener):
        assert eventually(served)
        assert drain(listener, served, 0.05) is False
    assert served.all[0].told[0] == "abort"


def test_draining_nothing() -> None:
    with running() as listener:
        began = monotonic()
        assert drain(listener, list, None) is True
        assert monotonic() - began < 0.5


@pytest.mark.parametrize("how", ["drain", "cut off"])
def test_what_was_accepted_last_is_not_forgotten(how: str) -> None:
    """It is no association yet when the listener is stopped."""
    served = Served(late=0.05)
    with running(served.serve) as listener, dial(listener):
        assert eventually(lambda: listener._serving)
        if how == "drain":
            assert drain(listener, served, 0.2) is False
        else:
            listener.stop()
            cut_off(listener, served)
        assert listener.wait(0)
        assert "abort" in served.all[0].told


# ---- listening ------------------------------------------------------------------------------------------


def test_listening_on_both_families() -> None:
    if not socket.has_dualstack_ipv6():  # pragma: no cover
        pytest.skip("no IPv6 here")
    with listen(("::", 0)) as sock:
        port = sock.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), 1).close()


def test_listening_on_one_family() -> None:
    with listen(("::1", 0, 0, 0)) as sock, pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", sock.getsockname()[1]), 1)
    with listen(("", 0)) as sock:
        assert sock.family is socket.AF_INET


def test_an_address_that_is_in_use() -> None:
    with nothing_left(), listen(("127.0.0.1", 0)) as sock, pytest.raises(OSError):
        listen(sock.getsockname())
