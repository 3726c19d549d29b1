"""Transport connections: plain TCP and TLS, what they do when nothing comes or goes, and how they end."""

from __future__ import annotations

import gc
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

import pytest

from dulcimer.threads import transport as transports
from dulcimer.threads.transport import (
    TIMED_OUT,
    Buffer,
    PlainTransport,
    TLSTransport,
    Transport,
    connect,
    prepare,
    start_tls,
)
from unit.threads import tls
from unit.threads.ends import PATIENCE, InBackground, connection, descriptors, eventually, switches

Pair = tuple[Transport, Transport]


@pytest.fixture(params=["plain", "polling", "tls"])
def pair(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """Two ends with small buffers; "polling" is plain TCP as on systems whose kernel bounds no receive."""
    before = descriptors()
    ends = connection(4096, 4096)
    if request.param == "polling":
        monkeypatch.setattr(transports, "_KERNEL_TIMEOUTS", False)
    made: Pair = (
        tls.secured(*ends) if request.param == "tls" else (PlainTransport(ends[0]), PlainTransport(ends[1]))
    )
    yield made
    for end in made:
        end.close()
    assert eventually(lambda: descriptors() == before, 1)


def receive(transport: Transport, count: int, timeout: float | None = PATIENCE) -> bytes:
    data = b""
    while len(data) < count:
        view = memoryview(bytearray(min(count - len(data), 1 << 16)))
        got = transport.receive(view, timeout)
        if got <= 0:
            break
        data += view[:got]
    return data


def send(transport: Transport, *buffers: Buffer) -> None:
    batch = list(buffers)
    while not transport.send_some(batch):
        assert transport.wait_writable(PATIENCE, False)[1]


def fill(transport: Transport) -> list[Buffer]:
    """Send until nothing more is taken; return what is left."""
    batch: list[Buffer] = [bytes(1 << 16) for _ in range(8)]
    assert not transport.send_some(batch)
    return batch


def test_bytes_arrive_in_order(pair: Pair) -> None:
    pieces: list[Buffer] = [bytes([number % 251]) * (number % 700) for number in range(1500)]
    whole = b"".join(pieces)
    sending = InBackground(lambda: send(pair[0], *pieces))
    assert receive(pair[1], len(whole)) == whole
    sending.result()


def test_views_and_empty_buffers(pair: Pair) -> None:
    send(pair[0], b"", memoryview(b"abcdef")[2:4], bytearray(b"xyz"), b"")
    assert receive(pair[1], 5) == b"cdxyz"


def test_a_batch_is_consumed_as_far_as_it_is_sent(pair: Pair) -> None:
    left = fill(pair[0])
    reading = InBackground(lambda: receive(pair[1], 1 << 19))
    while not pair[0].send_some(left):
        assert pair[0].wait_writable(PATIENCE, False)[1]
    assert left == []
    assert reading.result() == bytes(1 << 19)


@pytest.mark.parametrize("timeout", [0.0, -1.0, 0.03])
def test_nothing_comes_in_time(pair: Pair, timeout: float) -> None:
    began = monotonic()
    assert pair[0].receive(memoryview(bytearray(10)), timeout) == TIMED_OUT
    assert max(timeout, 0) * 0.9 <= monotonic() - began < max(timeout, 0) + 0.1


def test_bounds_change_from_one_receive_to_the_next(pair: Pair) -> None:
    view = memoryview(bytearray(10))
    for timeout in (0.02, 0.04, 0.001, 0.02):
        began = monotonic()
        assert pair[0].receive(view, timeout) == TIMED_OUT
        assert timeout * 0.9 <= monotonic() - began < timeout + 0.1
    waiting = InBackground(lambda: pair[0].receive(view, None))
    sleep(0.03)
    assert not waiting.done
    send(pair[1], b"x")
    assert waiting.result() == 1


def test_a_waiting_receive_sleeps(pair: Pair) -> None:
    waiting = InBackground(lambda: pair[0].receive(memoryview(bytearray(10)), PATIENCE))
    sleep(0.02)
    before = switches(waiting.thread)
    sleep(0.05)
    assert switches(waiting.thread) == before
    send(pair[1], b"x")
    assert waiting.result() == 1


def test_the_end_of_the_stream(pair: Pair) -> None:
    send(pair[0], b"last")
    pair[0].close()
    assert receive(pair[1], 10) == b"last"
    assert pair[1].receive(memoryview(bytearray(10)), None) == 0


@pytest.mark.parametrize("how", ["wake", "cut"])
@pytest.mark.parametrize("timeout", [None, PATIENCE])
def test_a_blocked_receive_is_woken(pair: Pair, how: str, timeout: float | None) -> None:
    waiting = InBackground(lambda: pair[0].receive(memoryview(bytearray(10)), timeout))
    sleep(0.02)
    getattr(pair[0], how)()
    waiting.wait(1)
    assert waiting.result() == 0
    # And whoever comes too late does not block at all.
    assert pair[0].receive(memoryview(bytearray(10)), timeout) == 0


def test_a_blocked_write_is_woken(pair: Pair) -> None:
    fill(pair[0])
    for how, reading in (("wake", True), ("cut", False)):
        waiting = InBackground(lambda reading=reading: pair[0].wait_writable(None, reading))  # type: ignore[misc]
        sleep(0.02)
        assert not waiting.done
        getattr(pair[0], how)()
        waiting.wait(1)


def test_after_wake_there_is_waiting_for_writing_alone(pair: Pair) -> None:
    fill(pair[0])
    pair[0].wake()
    assert pair[0].wait_writable(1.0) == (True, False)
    assert pair[0].wait_writable(0.02, False) == (False, False)


def test_what_is_sent_after_wake_is_still_what_it_should_be(pair: Pair) -> None:
    """TLS stays TLS: neither is anything sent in the clear, nor taken for it."""
    pair[0].wake()
    send(pair[0], b"the last word")
    assert receive(pair[1], 13) == b"the last word"


def test_who_cannot_write_sees_what_comes(pair: Pair) -> None:
    fill(pair[0])
    assert pair[0].wait_writable(0.02) == (False, False)
    send(pair[1], b"x")
    assert pair[0].wait_writable(PATIENCE) == (True, False)


def test_reading_and_writing_at_once(pair: Pair) -> None:
    """Two threads wait on one connection; nothing is lost either way."""
    data = bytes(range(256)) * 2048
    calls = [
        InBackground(lambda: send(pair[0], data)),
        InBackground(lambda: send(pair[1], data)),
        InBackground(lambda: receive(pair[0], len(data))),
        InBackground(lambda: receive(pair[1], len(data))),
    ]
    assert [call.result() for call in calls] == [None, None, data, data]


def test_the_peer_resets(pair: Pair) -> None:
    sock: socket.socket = pair[1]._socket  # type: ignore[attr-defined]
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    socket.socket.close(sock)
    assert pair[0].wait_writable(PATIENCE)[1]
    with suppress(OSError):
        assert pair[0].receive(memoryview(bytearray(10)), PATIENCE) == 0
    with pytest.raises(OSError):
        for _ in range(3):
            pair[0].send_some([b"x"])


def test_closing_twice_and_after_the_peer(pair: Pair) -> None:
    pair[1].close()
    pair[0].close()
    pair[0].close()
    assert pair[0].fileno() == -1
    pair[0].wake()
    pair[0].cut()
    pair[0].quick_ack()


def test_options_of_every_connection() -> None:
    with socket.socket() as sock:
        prepare(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


# ---- TLS ------------------------------------------------------------------------------------------------


@pytest.fixture
def secure() -> Iterator[tuple[TLSTransport, TLSTransport]]:
    before = descriptors()
    pair = tls.secured(*connection(4096, 4096))
    yield pair
    for end in pair:
        end.close()
    assert eventually(lambda: descriptors() == before, 1)


def test_received_bytes_that_no_selector_sees(secure: tuple[TLSTransport, TLSTransport]) -> None:
    ours, theirs = secure
    send(theirs, b"0123456789")
    view = memoryview(bytearray(4))
    assert not ours.pending
    assert ours.receive(view, PATIENCE) == 4
    assert ours.pending
    assert ours.receive(view, 0.0) == 4
    assert ours.receive(view, 0.0) == 2
    assert not ours.pending


def test_a_record_that_could_not_be_sent_comes_again(secure: tuple[TLSTransport, TLSTransport]) -> None:
    """With the same bytes, although the caller's list has moved on."""
    ours, theirs = secure
    data = bytes(range(256)) * 2048
    batch: list[Buffer] = [data[start : start + 1000] for start in range(0, len(data), 1000)]
    assert not ours.send_some(batch)
    assert ours._unsent
    reading = InBackground(lambda: receive(theirs, len(data)))
    while not ours.send_some(batch):
        ours.wait_writable(PATIENCE)
    assert not ours._unsent
    assert reading.result() == data


def test_closing_says_so(secure: tuple[TLSTransport, TLSTransport]) -> None:
    """With close_notify, without which an end could be an attacker's."""
    ours, theirs = secure
    theirs._tls.suppress_ragged_eofs = False  # type: ignore[attr-defined]
    ours.close()
    assert theirs.receive(memoryview(bytearray(4)), PATIENCE) == 0


def server_side(
    peer: Callable[[socket.socket], None], timeout: float = PATIENCE, *, before: bool = False
) -> BaseException | None:
    """Return how a handshake of a server with this peer fails; nothing may stay open."""
    gc.collect()
    open_before = descriptors()
    client, server = connection()
    playing = InBackground(lambda: peer(client))
    if before:
        playing.result()
    error: BaseException | None = None
    try:
        start_tls(server, tls.contexts()[1], server_side=True, timeout=timeout).close()
    except OSError as caught:
        error = caught.with_traceback(None)
    with suppress(OSError):
        playing.result()
    client.close()
    assert descriptors() == open_before
    return error


def test_a_peer_that_speaks_no_tls() -> None:
    assert isinstance(server_side(lambda peer: peer.sendall(b"\1\0\0\0\0\xcd" * 40)), ssl.SSLError)


def test_a_peer_that_closes_instead() -> None:
    assert server_side(lambda peer: peer.close()) is not None


def test_a_peer_that_resets_instead() -> None:
    def reset(peer: socket.socket) -> None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()

    # Before we begin: while ssl makes its object, it would leave the descriptor to the garbage collector.
    assert server_side(reset, before=True) is not None


def test_a_peer_that_says_nothing() -> None:
    began = monotonic()
    assert isinstance(server_side(lambda peer: None, 0.05), TimeoutError)
    assert monotonic() - began < 0.5


def test_a_peer_that_trickles() -> None:
    """The limit is for the whole handshake, however often a byte comes."""
    stop = threading.Event()

    def trickle(peer: socket.socket) -> None:
        for byte in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + bytes(400):
            if stop.wait(0.01):
                return
            peer.send(bytes([byte]))

    began = monotonic()
    try:
        assert isinstance(server_side(trickle, 0.08), TimeoutError)
    finally:
        stop.set()
    assert monotonic() - began < 5


def test_a_certificate_that_is_not_trusted() -> None:
    before = descriptors()
    client, server = connection()
    accepting = InBackground(lambda: start_tls(server, tls.contexts()[1], server_side=True, timeout=PATIENCE))
    with pytest.raises(ssl.SSLCertVerificationError):
        start_tls(client, ssl.create_default_context(), server_side=False, server_hostname="localhost")
    with suppress(OSError):
        accepting.result().close()
    accepting.error = None
    gc.collect()
    assert descriptors() == before


def test_a_tls_that_cannot_begin_closes_the_socket() -> None:
    """A name is to be checked and none was given: a ValueError."""
    client, server = connection()
    with pytest.raises(ValueError, match="server_hostname"):
        start_tls(client, tls.contexts()[0], server_side=False)
    assert client.fileno() == -1
    server.close()


# ---- connecting -----------------------------------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def fake_addresses(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **settings: found)


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def test_the_next_address_is_tried(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    before = descriptors()
    port = listener.getsockname()[1]
    fake_addresses(monkeypatch, ("127.0.0.1", unused_port()), ("127.0.0.1", port))
    with connect("name", 0, timeout=PATIENCE) as sock:
        assert sock.getpeername() == ("127.0.0.1", port)
    assert descriptors() == before


def test_the_last_error_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = descriptors()
    fake_addresses(monkeypatch, ("127.0.0.1", unused_port()), ("127.0.0.1", unused_port()))
    with pytest.raises(ConnectionRefusedError):
        connect("name", 0, timeout=PATIENCE)
    assert descriptors() == before


def test_an_address_takes_its_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full backlog answers nobody."""
    before = descriptors()
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for sock in (first, second):
            sock.setblocking(False)
            with suppress(BlockingIOError):
                sock.connect(full.getsockname())
        sleep(0.02)
        fake_addresses(monkeypatch, full.getsockname(), full.getsockname())
        began = monotonic()
        with pytest.raises(TimeoutError):
            connect("name", 0, timeout=0.1)
        assert 0.09 <= monotonic() - began < 0.5
    assert descriptors() == before


def test_the_local_address(listener: socket.socket) -> None:
    with connect("127.0.0.1", listener.getsockname()[1], bind=("127.0.0.1", 0)) as sock:
        assert sock.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OverflowError])
def test_an_interrupt_while_connecting(monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> None:
    """Not only errors of the system close the socket."""
    closed: list[bool] = []

    class Sock:
        def __init__(self, *args: Any) -> None:
            pass

        def settimeout(self, timeout: float | None) -> None:
            pass

        def connect(self, address: Any) -> None:
            raise error

        def close(self) -> None:
            closed.append(True)

    fake_addresses(monkeypatch, ("127.0.0.1", 1))
    monkeypatch.setattr(socket, "socket", Sock)
    with pytest.raises(error):
        connect("name", 0)
    assert closed == [True]


def test_a_name_that_nobody_knows() -> None:
    with pytest.raises(socket.gaierror):
        connect("no-such-name.invalid", 104, timeout=PATIENCE)
