"""Drivers on real sockets, and a count of what they leave behind."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from dulcimer.ops import lifecycle
from dulcimer.protocol.association.config import EngineConfig
from dulcimer.protocol.association.contexts import Context
from dulcimer.protocol.association.engine import Engine
from dulcimer.protocol.association.negotiate import as_acceptor
from dulcimer.protocol.dimse.assembler import Message
from dulcimer.protocol.dimse.elements import COMMAND_FIELD
from dulcimer.protocol.dimse.messages import C_ECHO_RQ, C_STORE_RQ
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import AssociateAC, AssociateRQ, AsyncOperations, UserInformation
from dulcimer.threads.association import Driver
from dulcimer.threads.idle import WATCHER, Watcher
from dulcimer.threads.transport import Buffer, PlainTransport, Transport
from unit.protocol.engines import PROPOSED, SUPPORTED

PATIENCE = 5.0
"""Seconds after which a test gives up on something that takes milliseconds."""

CONFIG = EngineConfig(acse_timeout=PATIENCE, dimse_timeout=PATIENCE, network_timeout=PATIENCE, linger=0.3)
UNLIMITED = AsyncOperations(0, 0)

Respond = Callable[[Message, Context], Any]


def eventually(condition: Callable[[], Any], seconds: float = PATIENCE) -> bool:
    """Tell whether a condition comes true in time."""
    deadline = monotonic() + seconds
    while not condition():
        if monotonic() > deadline:
            return False
        sleep(0.002)
    return True


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def switches(thread: threading.Thread) -> int:
    """Return how often a thread has gone to sleep: it has to wake up in order to do so again."""
    status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
    return int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])


@contextmanager
def nothing_left(seconds: float = 1.0) -> Iterator[None]:
    """Check that threads and descriptors are what they were, at the latest after some seconds."""
    start_watcher()
    threads, files = set(threading.enumerate()), descriptors()
    yield

    def more() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread not in threads]

    eventually(lambda: not more() and descriptors() <= files, seconds)
    assert not more()
    assert descriptors() == files


def start_watcher() -> None:
    """Have the process's watcher running: its thread stays for good."""

    class Nothing:
        def fileno(self) -> int:
            return -1

        def may_rest(self) -> tuple[bool, float | None]:
            return False, None

        def overdue(self, now: float) -> bool:
            return False

        def wake_up(self) -> None:
            raise AssertionError

    if WATCHER._thread is None:
        WATCHER.rest_soon(Nothing())


def connection(send_buffer: int = 0, receive_buffer: int = 0) -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a TCP connection."""
    with socket.socket() as listener:
        if receive_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        client = socket.socket()
        if send_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        client.connect(listener.getsockname())
        server, _ = listener.accept()
    for sock in (client, server):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, server


class Watched:
    """A transport that knows who uses it, and takes note if it is closed under a thread."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self.users = 0
        self.reading = 0
        self.writing = 0
        self.faults: list[str] = []
        self.sent = b""
        self.closed = 0

    def receive(self, view: memoryview, timeout: float | None) -> int:
        with self._use("reading"):
            return self.inner.receive(view, timeout)

    def receive_now(self, view: memoryview) -> int:
        with self._use("reading"):
            return self.inner.receive_now(view)

    def send_some(self, buffers: list[Buffer]) -> bool:
        before = b"".join(buffers)
        try:
            return self.inner.send_some(buffers)
        finally:
            self.sent += before[: len(before) - sum(map(len, buffers))]

    def wait_writable(self, timeout: float | None, reading: bool = True) -> tuple[bool, bool]:
        with self._use("writing"):
            return self.inner.wait_writable(timeout, reading)

    def quick_ack(self) -> None:
        self.inner.quick_ack()

    @property
    def pending(self) -> bool:
        return self.inner.pending

    def fileno(self) -> int:
        return self.inner.fileno()

    def wake(self) -> None:
        self.inner.wake()

    def cut(self) -> None:
        self.inner.cut()

    def close(self) -> None:
        self.closed += 1
        if self.reading or self.writing:
            self.faults.append("closed while in use")
        self.inner.close()

    @contextmanager
    def _use(self, what: str) -> Iterator[None]:
        if getattr(self, what):
            self.faults.append(f"two threads {what}")
        if self.closed:
            self.faults.append(f"{what} after close")
        setattr(self, what, getattr(self, what) + 1)
        try:
            yield
        finally:
            setattr(self, what, getattr(self, what) - 1)


def success(message: Message, context: Context) -> Any:
    """Answer every request with success."""
    return 0x0000 if message.command[COMMAND_FIELD] in (C_ECHO_RQ, C_STORE_RQ) else (0x0000, None)


@dataclass
class End:
    """One side: engine, driver, and what its user was told."""

    engine: Engine
    transport: Watched
    respond_with: Respond = success
    told: list[str] = field(default_factory=list)
    thread: threading.Thread | None = None
    driver: Driver = field(init=False)
    on_observed: Callable[[], None] | None = None

    def respond(self, message: Message, context: Context) -> Any:
        return self.respond_with(message, context)

    def ended(self) -> None:
        self.told.append("ended")

    def closed(self) -> None:
        self.told.append("closed")

    def observed(self) -> None:
        if self.on_observed is not None:
            self.on_observed()

    @property
    def is_over(self) -> bool:
        return self.told == ["ended", "closed"]

    @property
    def faults(self) -> list[str]:
        return self.transport.faults


def make_end(
    transport: Transport,
    requestor: bool,
    respond: Respond = success,
    config: EngineConfig = CONFIG,
    watcher: Watcher | None = None,
) -> End:
    end = End(Engine(config, requestor=requestor), Watched(transport), respond)
    end.driver = Driver(end.engine, end.transport, end, watcher)
    return end


def decide(window: AsyncOperations | None = None) -> Callable[[AssociateRQ], lifecycle.Decision]:
    def accept(request: AssociateRQ) -> lifecycle.Decision:
        found = as_acceptor(request, SUPPORTED)
        user = UserInformation(16382, "1.2.4", async_operations=window)
        return AssociateAC(request.called, request.calling, found.results, user), found.contexts

    return accept


def serve(end: End, window: AsyncOperations | None = None) -> threading.Thread:
    """Start the thread of an acceptor."""
    end.engine.connected(monotonic())
    thread = end.thread = threading.Thread(
        target=end.driver.serve, args=(decide(window), lambda: None), daemon=True
    )
    thread.start()
    return thread


def associate(end: End, window: AsyncOperations | None = None) -> None:
    """Request an association."""
    user = UserInformation(16382, "1.2.3", async_operations=window)
    end.engine.associate(AssociateRQ("CALLED", "CALLING", PROPOSED, user), monotonic())
    end.engine.connected(monotonic())
    end.driver.run(lifecycle.associate(end.engine))


Wrap = Callable[[socket.socket, socket.socket], tuple[Transport, Transport]]


def plain(client: socket.socket, server: socket.socket) -> tuple[Transport, Transport]:
    return PlainTransport(client), PlainTransport(server)


@contextmanager
def association(
    scp: Respond = success,
    scu: Respond = success,
    *,
    window: AsyncOperations | None = None,
    config: EngineConfig = CONFIG,
    scp_config: EngineConfig | None = None,
    watcher: Watcher | None = WATCHER,
    wrap: Wrap = plain,
) -> Iterator[tuple[End, End]]:
    """Give the two ends of an association, and see that nothing is left of it."""
    with nothing_left():
        client, server = wrap(*connection())
        requestor = make_end(client, True, scu, config, watcher)
        acceptor = make_end(server, False, scp, scp_config or config)
        thread = serve(acceptor, window)
        try:
            associate(requestor, window)
            yield requestor, acceptor
        finally:
            with suppress(RuntimeError):
                requestor.driver.kill()
            acceptor.driver.kill()
            thread.join(PATIENCE)
        assert not thread.is_alive()
        assert eventually(lambda: requestor.is_over and acceptor.is_over), (requestor.told, acceptor.told)
        assert requestor.faults == acceptor.faults == []
        assert requestor.transport.closed == acceptor.transport.closed == 1


@contextmanager
def against_raw(
    respond: Respond = success,
    config: EngineConfig = CONFIG,
    window: AsyncOperations | None = None,
    watcher: Watcher | None = WATCHER,
) -> Iterator[tuple[End, socket.socket]]:
    """Give a requestor whose peer is a bare socket, small buffers between them."""
    with nothing_left():
        client, peer = connection(4096, 4096)
        end = make_end(PlainTransport(client), True, respond, config, watcher)
        peer.settimeout(PATIENCE)
        try:
            answer = decide(window)(AssociateRQ("CALLED", "CALLING", PROPOSED, UserInformation(16382, "1")))
            assert isinstance(answer, tuple)
            peer.sendall(codec.encode(answer[0]))
            associate(end, window)
            assert end.engine.established
            read_pdu(peer)
            yield end, peer
        finally:
            peer.close()
            end.driver.kill()
        assert eventually(lambda: end.is_over), end.told
        assert end.faults == []
        assert end.transport.closed == 1


def read_exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (more := sock.recv(count - len(data))):
        data += more
    return data


def read_pdu(sock: socket.socket) -> bytes:
    """Return the next PDU; what there is of it at the end of the stream."""
    head = read_exactly(sock, 6)
    return head + (read_exactly(sock, int.from_bytes(head[2:], "big")) if len(head) == 6 else b"")


def read_all(sock: socket.socket) -> bytes:
    """Return everything up to the end of the stream."""
    data = b""
    with suppress(ConnectionResetError):
        while more := sock.recv(1 << 16):
            data += more
    return data


class InBackground:
    """A call in another thread; ``result`` waits for it."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._value: Any = None
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:
            self.error = error

    @property
    def done(self) -> bool:
        return not self.thread.is_alive()

    def wait(self, seconds: float = PATIENCE) -> None:
        self.thread.join(seconds)
        assert self.done, "blocked"

    def result(self) -> Any:
        self.wait()
        if self.error is not None:
            raise self.error
        return self._value
