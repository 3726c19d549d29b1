"""Transport connections of the blocking driver: plain TCP and TLS, with the same few operations.

Times are seconds; a time of None is no limit. What goes wrong raises :class:`OSError`, which a
:class:`ssl.SSLError` is too.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import sys
from threading import Lock
from time import monotonic
from typing import Final, Protocol

Buffer = bytes | bytearray | memoryview
Address = tuple[str, int] | tuple[str, int, int, int]

_KERNEL_TIMEOUTS: Final = sys.platform == "linux"
"""Where the kernel bounds a blocking receive, it takes one system call instead of a poll before each."""

_TIMEVAL: Final = struct.Struct("@ll")
_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)
_DONT_WAIT: Final = getattr(socket, "MSG_DONTWAIT", 0)
_MOST_BUFFERS: Final = 512
_TLS_GATHER: Final = 1 << 18

TIMED_OUT: Final = -1


class Transport(Protocol):
    """An open transport connection."""

    def receive(self, view: memoryview, timeout: float | None) -> int:
        """Wait for bytes; return how many, 0 at the end of the stream, :data:`TIMED_OUT` if none came."""

    def receive_now(self, view: memoryview) -> int:
        """Do as :meth:`receive` does, without waiting."""

    def send_some(self, buffers: list[Buffer]) -> bool:
        """Send without waiting and remove what was sent from ``buffers``; return whether all of it was.

        If not, call again with the same list once :meth:`wait_writable` says so.
        """

    def wait_writable(self, timeout: float | None, reading: bool = True) -> tuple[bool, bool]:
        """Wait until something can be sent, or received if ``reading``; return (readable, writable)."""

    def quick_ack(self) -> None:
        """Acknowledge at once what was received: a peer with Nagle's algorithm waits for that."""

    @property
    def socket(self) -> socket.socket:
        """The socket."""

    @property
    def pending(self) -> bool:
        """Whether received bytes wait inside of this object, where no selector sees them."""

    def fileno(self) -> int: ...

    def wake(self) -> None:
        """Make a thread return that waits for input; nothing more will be received."""

    def cut(self) -> None:
        """Make every thread return that waits here; the connection is of no use any more."""

    def close(self) -> None: ...


class _Base:
    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    @property
    def socket(self) -> socket.socket:
        return self._socket

    def fileno(self) -> int:
        return self._socket.fileno()

    def quick_ack(self) -> None:
        if _QUICKACK is not None:
            # Not sticky: it holds for what has just been received (tcp(7)).
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def wait_writable(self, timeout: float | None, reading: bool = True) -> tuple[bool, bool]:
        events = self.wait_for(select.POLLOUT | (select.POLLIN if reading else 0), timeout)
        broken = events & (select.POLLERR | select.POLLHUP)
        return bool(events & select.POLLIN), bool(events & select.POLLOUT or broken)

    def wake(self) -> None:
        # That of SSLSocket would forget its TLS first: what follows would be sent and read in the clear.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RD)

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()

    def wait_for(self, events: int, timeout: float | None) -> int:
        """Wait until one of ``events`` comes about; return those that did, 0 if none in time."""
        # One of its own for each wait: two threads, which read and write, may wait at once.
        poll = select.poll()
        poll.register(self._socket, events)
        found = poll.poll(None if timeout is None else max(timeout, 0) * 1000)
        return found[0][1] if found else 0


class PlainTransport(_Base):
    """TCP."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        if sock.gettimeout() is not None:
            sock.settimeout(None)
        self._limit: float | None = None

    @property
    def pending(self) -> bool:
        return False

    def receive(self, view: memoryview, timeout: float | None) -> int:
        if not _KERNEL_TIMEOUTS:
            if not self.wait_for(select.POLLIN, timeout):
                return TIMED_OUT
            return self._socket.recv_into(view)
        if timeout is not self._limit:
            self._bound(timeout)
        try:
            return self._socket.recv_into(view)
        except BlockingIOError:
            return TIMED_OUT

    def receive_now(self, view: memoryview) -> int:
        if not _DONT_WAIT and not self.wait_for(select.POLLIN, 0.0):
            return TIMED_OUT
        try:
            return self._socket.recv_into(view, 0, _DONT_WAIT)
        except BlockingIOError:
            return TIMED_OUT

    def send_some(self, buffers: list[Buffer]) -> bool:
        send = self._socket.sendmsg
        while buffers:
            try:
                sent = send(
                    buffers if len(buffers) <= _MOST_BUFFERS else buffers[:_MOST_BUFFERS], (), _DONT_WAIT
                )
            except BlockingIOError:
                return False
            if sent == sum(map(len, buffers)):
                buffers.clear()
            else:
                _drop(buffers, sent)
        return True

    def _bound(self, timeout: float | None) -> None:
        """Have the kernel bound the next receives, unless the bound that it has is as good."""
        limit = self._limit
        if timeout is not None:
            timeout = max(timeout, 0.001)
            if limit is not None and timeout <= limit <= timeout * 1.02 + 0.002:
                return
        seconds = timeout or 0.0
        self._socket.setsockopt(
            socket.SOL_SOCKET,
            socket.SO_RCVTIMEO,
            _TIMEVAL.pack(int(seconds), int(seconds % 1 * 1_000_000)),
        )
        self._limit = timeout


class TLSTransport(_Base):
    """TLS over TCP. OpenSSL's objects are not safe for two threads at once: a lock keeps them apart."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        super().__init__(sock)
        sock.settimeout(0)
        self._tls = sock
        self._turn = Lock()
        self._unsent: bytes = b""

    @property
    def pending(self) -> bool:
        with self._turn:
            return self._tls.pending() > 0

    def receive(self, view: memoryview, timeout: float | None) -> int:
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            try:
                with self._turn:
                    return self._tls.recv_into(view)
            except ssl.SSLWantReadError:
                events = select.POLLIN
            except ssl.SSLWantWriteError:
                events = select.POLLOUT
            except ssl.SSLEOFError:
                return 0
            left = None if deadline is None else deadline - monotonic()
            if (left is not None and left <= 0) or not self.wait_for(events, left):
                return TIMED_OUT

    def receive_now(self, view: memoryview) -> int:
        return self.receive(view, 0.0)

    def send_some(self, buffers: list[Buffer]) -> bool:
        # What OpenSSL has begun to send must come again with the same bytes, so it is kept.
        while buffers or self._unsent:
            if not self._unsent:
                self._unsent = _join(buffers)
            try:
                with self._turn:
                    sent = self._tls.send(self._unsent)
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return False
            self._unsent = self._unsent[sent:]
        return True

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._turn:
            # close_notify, as far as it goes without waiting.
            self._tls.unwrap()
        super().close()


def _drop(buffers: list[Buffer], sent: int) -> None:
    done = 0
    for buffer in buffers:
        size = len(buffer)
        if sent < size:
            break
        sent -= size
        done += 1
    del buffers[:done]
    if sent:
        buffers[0] = memoryview(buffers[0])[sent:]


def _join(buffers: list[Buffer]) -> bytes:
    size = count = 0
    for buffer in buffers:
        size += len(buffer)
        count += 1
        if size >= _TLS_GATHER:
            break
    joined = b"".join(buffers[:count])
    del buffers[:count]
    return joined


def connect(
    host: str | tuple[str, int, int],
    port: int,
    *,
    timeout: float | None = None,
    bind: Address | None = None,
) -> socket.socket:
    """Open a TCP connection; a name's addresses are tried one by one.

    Parameters
    ----------
    host
        A name, an address, or an IPv6 address with flow info and scope ID.
    port
        The port.
    timeout
        For all of it. Each address gets its share of what is left.
    bind
        The local address.

    Raises
    ------
    OSError
        The last address's error; :class:`TimeoutError` if time ran out, :class:`socket.gaierror` for a name
        that is not known.
    """
    deadline = None if timeout is None else monotonic() + timeout
    name, extra = (host, ()) if isinstance(host, str) else (host[0], host[1:])
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    last: OSError = OSError(f"{name} has no address")
    for position, (family, kind, protocol, _, address) in enumerate(found):
        share = None if deadline is None else (deadline - monotonic()) / (len(found) - position)
        if share is not None and share <= 0:
            raise TimeoutError("timed out")
        if extra and family == socket.AF_INET6:
            address = (*address[:2], *extra)
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(share)
            if bind is not None and any(bind):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(bind)
            sock.connect(address)
        except OSError as error:
            sock.close()
            last = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise last


def prepare(sock: socket.socket) -> None:
    """Set what every transport connection has: no Nagle delay, and probes that notice a dead peer."""
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    for level, option, number in options:
        with contextlib.suppress(OSError):
            sock.setsockopt(level, option, number)


def over(sock: socket.socket) -> Transport:
    """Return the transport for a socket that is connected, and has shaken hands if it is one of TLS."""
    return TLSTransport(sock) if isinstance(sock, ssl.SSLSocket) else PlainTransport(sock)


def start_tls(
    sock: socket.socket,
    context: ssl.SSLContext,
    *,
    server_side: bool,
    server_hostname: str | None = None,
    timeout: float | None = None,
) -> TLSTransport:
    """Shake hands, within ``timeout`` seconds however slowly the peer sends."""
    deadline = None if timeout is None else monotonic() + timeout
    try:
        # Of a connection that is gone already, wrap_socket() would leave the descriptor open.
        sock.getpeername()
        wrapped = context.wrap_socket(
            sock, server_side=server_side, server_hostname=server_hostname, do_handshake_on_connect=False
        )
    except BaseException:
        sock.close()
        raise
    transport = TLSTransport(wrapped)
    try:
        while True:
            try:
                wrapped.do_handshake()
                return transport
            except ssl.SSLWantReadError:
                events = select.POLLIN
            except ssl.SSLWantWriteError:
                events = select.POLLOUT
            left = None if deadline is None else deadline - monotonic()
            if (left is not None and left <= 0) or not transport.wait_for(events, left):
                raise TimeoutError("the TLS handshake took too long")
    except BaseException:
        wrapped.close()
        raise
