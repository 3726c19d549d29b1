"""Listening: one thread accepts, every connection gets a thread of its own."""

from __future__ import annotations

import contextlib
import errno
import logging
import selectors
import socket
import ssl
from collections.abc import Callable, Sequence
from threading import Condition, Event, Thread
from time import monotonic
from typing import Any, Final, Protocol

from dulcimer.threads import transport as transports
from dulcimer.threads.transport import Transport

_LOGGER = logging.getLogger("dulcimer.server")

BACKLOG: Final = 512
_PAUSE: Final = 0.1
_DRAIN_STEP: Final = 0.2
_END: Final = 5.0
_OUT_OF_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Served(Protocol):
    """An association that a server has."""

    @property
    def is_idle(self) -> bool: ...

    def abort(self) -> None: ...

    def drain(self) -> None: ...


Serve = Callable[[Transport, Any], None]
"""Serves a connection, given the transport and the peer's address, until it is closed."""


def listen(address: tuple[Any, ...]) -> socket.socket:
    """Open a listening socket. ``::`` takes IPv4 as well, where the system can.

    Raises
    ------
    OSError
        If the address is not ours or in use.
    """
    host, port = address[0], address[1]
    found = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE, family=_family(host)
    )
    family, kind, protocol, _, target = found[0]
    if family == socket.AF_INET6 and len(address) == 4:
        target = (*target[:2], *address[2:])
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if target[0] == "::" else 1)
        sock.bind(target)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _family(host: str) -> socket.AddressFamily:
    if not host:
        return socket.AF_INET
    return socket.AF_INET6 if ":" in host else socket.AF_UNSPEC


class Listener:
    """Accepts connections until it is stopped.

    Parameters
    ----------
    sock
        A listening socket that does not block.
    serve
        Serves one connection, in a thread of its own.
    room
        Tells whether another connection may be taken; one that may not is closed at once.
    ssl_context, handshake_timeout
        For TLS. The handshake is done in the connection's thread.
    """

    def __init__(
        self,
        sock: socket.socket,
        serve: Serve,
        *,
        room: Callable[[int], bool],
        ssl_context: Callable[[], ssl.SSLContext | None],
        handshake_timeout: Callable[[], float | None],
    ) -> None:
        self.socket = sock
        self._serve = serve
        self._room = room
        self._ssl_context = ssl_context
        self._handshake_timeout = handshake_timeout
        self._bell, self._button = socket.socketpair()
        self._stopped = Event()
        self._running = False
        self._threads = 0
        self._changed = Condition()

    def run(self) -> None:
        """Accept until :meth:`stop`."""
        self._running = True
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self.socket, selectors.EVENT_READ)
                selector.register(self._bell, selectors.EVENT_READ)
                while not self._stopped.is_set():
                    selector.select()
                    self._accept_all()
        finally:
            self.socket.close()
            self._bell.close()
            self._running = False

    def stop(self) -> None:
        """Accept nothing more and stop listening."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        with contextlib.suppress(OSError):
            # Peers that come while the accepting thread is about to notice are refused.
            self.socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._button.send(b"\0")
        self._button.close()
        if not self._running:
            self.socket.close()

    def wait(self, timeout: float | None) -> bool:
        """Wait until every connection's thread has ended; return whether they have."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._threads, timeout)

    def _accept_all(self) -> None:
        while not self._stopped.is_set():
            try:
                sock, address = self.socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if self._stopped.is_set():
                    return
                if error.errno in _OUT_OF_ROOM:
                    _LOGGER.error("no connection can be accepted: %s", error.strerror)
                    self._stopped.wait(_PAUSE)
                return
            if not self._room(self._threads):
                _LOGGER.warning("%s:%s is turned away: too many connections", *address[:2])
                sock.close()
                continue
            with self._changed:
                self._threads += 1
            try:
                Thread(
                    target=self._begin,
                    args=(sock, address),
                    name=f"dulcimer-{address[0]}:{address[1]}",
                    daemon=True,
                ).start()
            except RuntimeError as error:
                self._ended()
                sock.close()
                _LOGGER.error("no thread for %s:%s: %s", *address[:2], error)

    def _begin(self, sock: socket.socket, address: Any) -> None:
        try:
            transport = self._transport(sock, address)
            if transport is not None:
                self._serve(transport, address)
        except Exception:
            _LOGGER.exception("the connection of %s:%s ended with a fault", *address[:2])
            sock.close()
        finally:
            self._ended()

    def _ended(self) -> None:
        with self._changed:
            self._threads -= 1
            self._changed.notify_all()

    def _transport(self, sock: socket.socket, address: Any) -> Transport | None:
        transports.prepare(sock)
        context = self._ssl_context()
        if context is None:
            return transports.PlainTransport(sock)
        try:
            return transports.start_tls(sock, context, server_side=True, timeout=self._handshake_timeout())
        except OSError as error:
            reason = getattr(error, "reason", None) or error.strerror or error
            _LOGGER.warning("%s:%s: no TLS: %s", *address[:2], reason)
            sock.close()
            return None


def drain(listener: Listener, associations: Callable[[], Sequence[Served]], timeout: float | None) -> bool:
    """Stop listening, let associations finish, and end those that do nothing.

    Returns whether none had to be cut off in the middle of something.
    """
    listener.stop()
    deadline = None if timeout is None else monotonic() + timeout
    resting: set[int] = set()
    while associations():
        if deadline is not None and monotonic() >= deadline:
            break
        idle = set()
        for association in associations():
            if association.is_idle:
                idle.add(id(association))
                # Twice in a row: a peer between two objects is not idle.
                if id(association) in resting:
                    association.drain()
        resting = idle
        left = None if deadline is None else deadline - monotonic()
        listener.wait(_DRAIN_STEP * 5 if left is None else max(min(_DRAIN_STEP * 5, left), 0.0))
    cut_off = associations()
    for association in cut_off:
        association.abort()
    listener.wait(_END)
    return not cut_off
