"""Listening: threads that accept a connection and serve it."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Sequence
from threading import Condition, Event, Thread, get_ident
from time import monotonic
from typing import Any, Final, Protocol

from dulcimer.threads import transport as transports
from dulcimer.threads.transport import Transport

_LOGGER = logging.getLogger("dulcimer.server")

BACKLOG: Final = 512
_PAUSE: Final = 0.1
_MOST_WAITING: Final = 4
_DRAIN_STEP: Final = 1.0
_CUT_OFF_STEP: Final = 0.2
_END: Final = 5.0
_INHERITED: Final = sys.platform == "linux"
"""Whether accepted sockets have the options of the listening one."""
_OF_THE_PEER: Final = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EPERM})
"""What ``accept`` says when the connection was gone again, or is not wanted by a firewall."""


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
        transports.prepare(sock)
        sock.listen(BACKLOG)
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

    Its threads take turns: each waits in ``accept``, serves what it accepted, and waits again, so that a
    connection is never handed from one thread to another. There is always one that waits: who leaves as the
    last one starts another.

    Parameters
    ----------
    sock
        A listening socket.
    serve
        Serves one connection until it is closed.
    room
        Tells, given how many connections there are, whether another one may be taken; one that may not is
        closed at once.
    ssl_context, handshake_timeout
        For TLS. The handshake is done by the connection's thread.
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
        self._stopped = Event()
        self._waiting = 0
        self._serving: set[int] = set()
        self._handshakes: set[socket.socket] = set()
        self._changed = Condition()

    def run(self) -> None:
        """Accept until :meth:`stop`."""
        with self._changed:
            self._start_another()
            if not self._waiting:
                raise RuntimeError("no thread can be had to accept connections with")
        self._stopped.wait()

    def stop(self) -> None:
        """Accept nothing more and stop listening."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        # Wakes the threads that wait in accept; peers that come from now on are refused.
        _cut(self.socket)
        with self._changed:
            for handshake in self._handshakes:
                _cut(handshake)
            self._changed.wait_for(lambda: not self._waiting, _END)
        self.socket.close()

    def wait(self, timeout: float | None) -> bool:
        """Wait until no connection is left but the calling thread's own; return whether that is so."""
        own = {get_ident()}
        with self._changed:
            return self._changed.wait_for(lambda: self._serving <= own, timeout)

    def _start_another(self) -> None:
        self._waiting += 1
        try:
            Thread(target=self._take_turns, name="dulcimer-server", daemon=True).start()
        except RuntimeError as error:
            self._waiting -= 1
            _LOGGER.error("no thread to accept connections with: %s", error)

    def _take_turns(self) -> None:
        while not self._stopped.is_set():
            accepted = self._accept()
            if accepted is None:
                continue
            sock, address = accepted
            with self._changed:
                taken = self._room(len(self._serving))
                if taken:
                    self._waiting -= 1
                    self._serving.add(get_ident())
                    if not self._waiting and not self._stopped.is_set():
                        self._start_another()
            if not taken:
                _LOGGER.warning("%s:%s is turned away: too many connections", *address[:2])
                sock.close()
                continue
            self._begin(sock, address)
            with self._changed:
                self._serving.discard(get_ident())
                self._changed.notify_all()
                if self._waiting >= _MOST_WAITING:
                    return
                self._waiting += 1
        with self._changed:
            self._waiting -= 1
            self._changed.notify_all()

    def _accept(self) -> tuple[socket.socket, Any] | None:
        try:
            return self.socket.accept()
        except OSError as error:
            # Such as no descriptor to be had. Nothing says that the next time goes better.
            if error.errno not in _OF_THE_PEER and not self._stopped.is_set():
                _LOGGER.error("no connection can be accepted: %s", error.strerror)
                self._stopped.wait(_PAUSE)
            return None

    def _begin(self, sock: socket.socket, address: Any) -> None:
        transport: Transport | None = None
        try:
            transport = self._transport(sock, address)
            if transport is not None:
                self._serve(transport, address)
        except BaseException:  # a handler's SystemExit, too: it has no business with this thread
            _LOGGER.exception("the connection of %s:%s ended with a fault", *address[:2])
            # That of TLS has taken the socket's descriptor over.
            (transport or sock).close()

    def _transport(self, sock: socket.socket, address: Any) -> Transport | None:
        if not _INHERITED:
            transports.prepare(sock)
        context = self._ssl_context()
        if context is None:
            return transports.PlainTransport(sock)
        try:
            with self._stoppable(sock):
                return transports.start_tls(
                    sock, context, server_side=True, timeout=self._handshake_timeout()
                )
        except OSError as error:
            reason = getattr(error, "reason", None) or error.strerror or error
            _LOGGER.warning("%s:%s: no TLS: %s", *address[:2], reason)
            sock.close()
            return None

    @contextlib.contextmanager
    def _stoppable(self, sock: socket.socket) -> Iterator[None]:
        # A descriptor of our own: that of the socket may be closed, and be another one's, at any moment.
        with sock.dup() as handle:
            with self._changed:
                self._handshakes.add(handle)
                if self._stopped.is_set():
                    _cut(handle)
            try:
                yield
            finally:
                with self._changed:
                    self._handshakes.discard(handle)


def _cut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def drain(listener: Listener, associations: Callable[[], Sequence[Served]], timeout: float | None) -> bool:
    """Stop listening, let associations finish, and end those that do nothing.

    Returns whether none had to be cut off in the middle of something.
    """
    listener.stop()
    deadline = None if timeout is None else monotonic() + timeout
    resting: set[int] = set()
    # Until no connection is left: one that is in its TLS handshake is no association yet.
    while not listener.wait(0.0):
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
        listener.wait(_DRAIN_STEP if left is None else max(min(_DRAIN_STEP, left), 0.0))
    finished = listener.wait(0.0)
    cut_off(listener, associations)
    return finished


def cut_off(listener: Listener, associations: Callable[[], Sequence[Served]]) -> None:
    """Abort all associations of a listener that was stopped, and wait until their threads are done."""
    deadline = monotonic() + _END
    while True:
        for association in associations():
            association.abort()
        left = deadline - monotonic()
        # Again: the last one that was accepted may not have been an association yet.
        if listener.wait(min(_CUT_OFF_STEP, max(left, 0.0))) or left <= 0:
            return
