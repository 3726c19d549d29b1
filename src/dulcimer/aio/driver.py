"""The asyncio driver: the loop reads and writes, tasks run the conversations.

The loop receives into the engine's own buffer. A conversation runs in the task that wants it; it sleeps on a
future until the engine has changed. Nothing is locked and nothing polls: one timer is due at the engine's
next deadline. Reading stops while what has come is not taken, and a conversation does not go on while the
peer does not take what was sent.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar, copy_context
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from dulcimer.addresses import AddressInformation
from dulcimer.errors import LocalProtocolError
from dulcimer.ops import lifecycle
from dulcimer.ops.effects import Call, Operation, Poll, Wait
from dulcimer.ops.provide import provide

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from dulcimer.ops.lifecycle import Decision
    from dulcimer.protocol.association.contexts import Context
    from dulcimer.protocol.association.engine import Engine
    from dulcimer.protocol.dimse.assembler import Message
    from dulcimer.protocol.wire.pdus import AssociateRQ
    from dulcimer.protocol.wire.writer import Buffer

_LOGGER = logging.getLogger("dulcimer.aio")

T = TypeVar("T")

IDLE_AFTER: Final = 2.0
"""Seconds without input after which the receive buffer's memory is given back."""

_SECOND_LOOK: Final = 0.005
"""Seconds that an expired deadline is looked at again after: what the peer sent in time may wait unread."""

_PIECE: Final = 1 << 18
_DEEPEST: Final = 8
"""How many requests are served one within the other."""

_MOST_QUEUED: Final = 128
_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)
_OPTIONS: Final = (
    # The loop sets it for some sockets only.
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
)

_handling: ContextVar[tuple[object, ...]] = ContextVar("_handling", default=())
"""The marks of the drivers that the running code handles a request of."""


class User(Protocol):
    """Whom a driver works for."""

    def opened(self) -> None:
        """Take note that the transport connection is open; called once, and first."""

    def respond(self, message: Message, context: Context) -> Any:
        """Run the user's code for a request; what is awaitable will be awaited."""

    def ended(self) -> None:
        """Take note that the association is over; called once."""

    def closed(self) -> None:
        """Take note that the transport connection is closed; called once, and last."""

    def observed(self) -> None:
        """Pass on what the engine's observer has gathered."""


class Driver(asyncio.BufferedProtocol):
    """Runs the conversations of one association in an event loop.

    Parameters
    ----------
    engine
        Its protocol machine.
    user
        Whom it works for.
    executor
        Where handlers that are no coroutines run; None for the loop's own thread.
    grace
        Seconds that the peer has to answer a request whose task was cancelled.
    """

    def __init__(self, engine: Engine, user: User, *, executor: Executor | None, grace: float) -> None:
        self.engine = engine
        self._user: User | None = user
        self._executor = executor
        self._grace = grace
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self._tls = False
        self._mark = object()
        self._waiters: list[asyncio.Future[None]] = []
        self._nested = 0
        self._seen = 0
        self._pending: list[Buffer] = []
        self._full = False
        self._full_since = 0.0
        self._left = 0
        self._reading = True
        self._flushing = False
        self._filling = False
        self._abort_is_due: tuple[int, int] | None = None
        self._resident = False
        self._heard = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._looked = False
        self._overdue: set[asyncio.TimerHandle] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._serving = 0
        self._in_call = 0
        self._closing = False
        self._told_end = False
        self._over = False
        self._when_sent: list[Callable[[], None]] = []
        self._closed: asyncio.Future[None] = self._loop.create_future()

    # ---- for the loop -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        opened = cast("asyncio.Transport", transport)
        if self._closing:
            # Who wanted it has gone meanwhile.
            opened.abort()
            return
        self._transport = opened
        # What cannot be sent at once is not taken: the buffers that the engine hands out are its own.
        # TLS, which has a copy in any case, counts as full when it has as much as its limit.
        self._tls = opened.get_extra_info("sslcontext") is not None
        opened.set_write_buffer_limits(high=int(self._tls), low=0)
        self._socket = opened.get_extra_info("socket")
        if self._socket is not None:
            for level, option, value in _OPTIONS:
                with suppress(OSError):
                    self._socket.setsockopt(level, option, value)
        if self._user is not None:
            self._user.opened()
        self.settle()

    def get_buffer(self, sizehint: int) -> memoryview:
        self._resident = True
        return self.engine.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        engine = self.engine
        before = engine.unclaimed
        self._heard = now = self._loop.time()
        # The engine opens and fills sinks, which is the user's code.
        self._filling = True
        try:
            engine.buffer_updated(nbytes, now)
        finally:
            self._filling = False
        if self._abort_is_due is not None:
            due, self._abort_is_due = self._abort_is_due, None
            engine.abort(now, *due)
        if engine.receiving and _QUICKACK is not None and self._socket is not None:
            # The rest may wait for the acknowledgement of what is here (Nagle's algorithm).
            with suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        deadline = engine.next_deadline()
        if deadline is not None and now >= deadline:
            # A peer that sends without end must not keep the timer of Sta2 and Sta13 from expiring.
            engine.handle_timeout(now)
        self.settle()
        if before or len(engine.requests) > 1:
            self._choose_reading()

    def eof_received(self) -> bool:
        self.engine.eof(self._loop.time())
        self.settle()
        return False

    def pause_writing(self) -> None:
        self._full = True
        self._full_since = self._loop.time()
        self._left = sys.maxsize if self._transport is None else self._transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        self._full = False
        self.settle()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        reason = ""
        if exc is not None:
            reason = getattr(exc, "strerror", None) or str(exc)
            self._take_rest()
        self._over = self._closing = True
        self._reading = False
        self._pending.clear()
        self.engine.eof(self._loop.time(), reason)
        self.engine.release_memory()
        for handle in (self._timer, *self._overdue):
            if handle is not None:
                handle.cancel()
        self._overdue.clear()
        self._timer = None
        self._wake()
        self._tell()
        if not self._closed.done():
            self._closed.set_result(None)
        self._transport = self._socket = None

    def _take_rest(self) -> None:
        """Take what the peer said before the connection broke, which may be why it did."""
        sock = self._socket
        if sock is None or self._tls or self.engine.ended:
            return
        with suppress(OSError), socket.socket(fileno=socket.dup(sock.fileno())) as rest:
            rest.setblocking(False)
            while (count := rest.recv_into(self.engine.get_buffer())) > 0:
                self.engine.buffer_updated(count, self._loop.time())

    # ---- for the user -------------------------------------------------------------------------------

    async def run(self, operation: Operation[T]) -> T:
        """Run a conversation in the calling task and return its result."""
        engine = self.engine
        if self._filling:
            operation.close()
            raise LocalProtocolError("the association cannot be used while a sink is opened or filled")
        nested = self._mark in _handling.get()
        value: Any = None
        error: BaseException | None = None
        try:
            while True:
                engine.now = self._loop.time()
                effect = operation.send(value) if error is None else operation.throw(error)
                value = error = None
                if isinstance(effect, Wait):
                    await self._wait(engine.generation, nested)
                elif isinstance(effect, Poll):
                    await self._sent()
                    # The loop hands out what has come after the tasks that were ready before.
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                else:
                    try:
                        value = await self._call(effect)
                    except Exception as raised:
                        error = raised
        except StopIteration as stop:
            result: T = stop.value
            return result
        except BaseException:
            before = engine.given_up
            operation.close()
            self.expect(engine.given_up - before)
            raise
        finally:
            self.settle()

    def run_soon(self, operation: Operation[None]) -> None:
        """Run a conversation that waits for nothing, from any thread, as finalizers may be run."""
        if self._here:
            self._run_now(operation)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._run_now, operation)

    @property
    def _here(self) -> bool:
        """Whether this is the loop's thread."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _run_now(self, operation: Operation[None]) -> None:
        self.engine.now = self._loop.time()
        for _ in operation:
            break
        self.settle()

    def expect(self, message_ids: frozenset[int]) -> None:
        """Abort the association if the peer does not answer operations that were given up in time."""
        if not message_ids or self.engine.ended:
            return

        def overdue() -> None:
            self._overdue.discard(handle)
            if message_ids & self.engine.given_up:
                self.abort()

        handle = self._loop.call_later(self._grace, overdue)
        self._overdue.add(handle)

    def serve(self, decide: Callable[[AssociateRQ], Decision], established: Callable[[], Any]) -> None:
        """Be the acceptor, in a task of its own, from the request to the end of the connection."""
        self._spawn(self._serve(decide, established))

    def attend(self) -> None:
        """Serve what the peer of a requestor has sent, in a task of its own, until there is nothing left."""
        if not self._serving:
            self._spawn(self._attend())

    def look_after(self, awaitable: Awaitable[Any]) -> None:
        """Await something in a task of its own; what it raises is logged."""
        self._loop.call_soon_threadsafe(self._keep, awaitable)

    def taken(self) -> None:
        """Take note that somebody has taken a response."""
        if not self._reading:
            self._choose_reading()

    def when_sent(self, function: Callable[[], None]) -> None:
        """Have a function called once, when all is sent and before more is waited for."""
        self._when_sent.append(function)

    def abort(self, source: int = 0, reason: int = 0) -> None:
        """Abort the association."""
        if not self._here:
            self._loop.call_soon_threadsafe(self.abort, source, reason)
        elif self._filling:
            self._abort_is_due = source, reason
        else:
            self.engine.abort(self._loop.time(), source, reason)
            self.settle()

    def kill(self) -> None:
        """Abort and close the transport connection without waiting for anything."""
        if not self._here:
            self._loop.call_soon_threadsafe(self.kill)
            return
        transport = self._transport
        if transport is None or transport.is_closing():
            self._closing = True
            self.engine.abort(self._loop.time())
            return
        # A loop may have closed it under our hands.
        with suppress(RuntimeError):
            self.abort()
        self._closing = True
        with suppress(RuntimeError):
            transport.abort()

    def cancel(self) -> None:
        """Cancel the tasks that serve."""
        for task in list(self._tasks):
            task.cancel()

    @property
    def busy(self) -> bool:
        """Whether a handler runs."""
        return bool(self._tasks)

    async def wait_closed(self) -> None:
        """Wait until the transport connection is closed and no handler runs any more."""
        await asyncio.shield(self._closed)
        own = asyncio.current_task()
        # Not for a handler that waits for the end of its own association.
        others = [task for task in self._tasks if task is not own]
        if others and self._mark not in _handling.get():
            await asyncio.wait(others)

    @property
    def local_address(self) -> AddressInformation | None:
        """Where this side is; None without a connection."""
        return self._address("sockname")

    @property
    def peer_address(self) -> AddressInformation | None:
        """Where the peer is; None without a connection."""
        return self._address("peername")

    def _address(self, which: str) -> AddressInformation | None:
        known = None if self._transport is None else self._transport.get_extra_info(which)
        return None if known is None else AddressInformation.from_tuple(known)

    @property
    def is_closed(self) -> bool:
        """Whether the transport connection is closed."""
        return self._over

    @property
    def idle(self) -> bool:
        """Whether nothing is under way: no message arriving, no request being served or outstanding."""
        engine = self.engine
        return not (engine.receiving or engine.requests or engine.awaiting_response or self._in_call)

    # ---- what a conversation asks for ----------------------------------------------------------------

    async def _wait(self, seen: int, nested: bool) -> None:
        self.settle()
        if self._when_sent and not nested and self._all_sent:
            functions, self._when_sent = self._when_sent, []
            for function in functions:
                function()
        if self.engine.generation != seen:
            return
        if self._over:
            raise self.engine.error()
        self._nested += nested
        try:
            await self._sleep()
        finally:
            self._nested -= nested

    async def _sleep(self) -> None:
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        if not self._reading:
            self._choose_reading()
        if self.engine.requests:
            self._serve_what_came()
        try:
            await waiter
        finally:
            if not waiter.done() or waiter.cancelled():
                with suppress(ValueError):
                    self._waiters.remove(waiter)

    async def _sent(self) -> None:
        """Wait until the peer has taken what is queued."""
        self.settle()
        while not (self._all_sent or self._closing):
            await self._sleep()
            self.settle()

    @property
    def _all_sent(self) -> bool:
        return not (self._full or self._pending or self.engine.outgoing)

    async def _call(self, effect: Call) -> Any:
        await self._sent()
        function, arguments = effect.function, effect.arguments
        token = _handling.set((*_handling.get(), self._mark))
        self._in_call += 1
        try:
            if self._executor is None or _asynchronous(function, arguments):
                value = function(*arguments)
            else:
                context = copy_context()
                value, error = await self._loop.run_in_executor(
                    self._executor, context.run, _outcome, function, arguments
                )
                if error is not None:
                    raise error
            return (await value) if isawaitable(value) else value
        finally:
            self._in_call -= 1
            _handling.reset(token)

    # ---- serving ------------------------------------------------------------------------------------

    def _spawn(self, coroutine: Any) -> None:
        self._serving += 1
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[Any]) -> None:
        self._serving -= 1
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is not None:
            if not task.cancelled():
                _LOGGER.error("An association is aborted", exc_info=task.exception())
            self.kill()
        elif not self._over:
            self.settle()

    async def _serve(self, decide: Callable[[AssociateRQ], Decision], established: Callable[[], Any]) -> None:
        engine = self.engine
        if not await self.run(lifecycle.acceptor(engine, decide, established, self._respond)):
            await self.run(lifecycle.leave(engine))

    async def _attend(self) -> None:
        await self.run(lifecycle.attend(self.engine, self._respond))
        functions, self._when_sent = self._when_sent, []
        for function in functions:
            function()

    async def _serve_within(self) -> None:
        requests = self.engine.requests
        while requests:
            await self.run(provide(self.engine, requests.popleft(), self._respond))

    def _respond(self, message: Message, context: Context) -> Any:
        if self._user is None:
            raise LocalProtocolError("the association has ended")
        return self._user.respond(message, context)

    def _serve_what_came(self) -> None:
        engine = self.engine
        if engine.ended or not (engine.requests or engine.release_requested):
            return
        if not self._serving:
            if engine.requestor:
                self.attend()
        elif engine.requests and self._nested and self._in_call >= self._serving < _DEEPEST:
            # Who could serve them waits for an answer, and the peer may not give it before it has its own.
            self._spawn(self._serve_within())

    def _keep(self, awaitable: Awaitable[Any]) -> None:
        async def wait() -> None:
            try:
                await awaitable
            except Exception:
                _LOGGER.exception("A handler raised")

        task = self._loop.create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- what follows from what happened ---------------------------------------------------------------

    def settle(self) -> None:
        """Send what is queued, wake who waits, set the timer, close and tell as the engine says."""
        if self._over or self._transport is None:
            return
        engine = self.engine
        self._flush()
        if engine.observer is not None and self._user is not None:
            self._user.observed()
        if engine.generation != self._seen:
            self._seen = engine.generation
            self._wake()
        if engine.requests or engine.release_requested:
            self._serve_what_came()
        if engine.close_transport:
            self._close()
        if not self._reading:
            self._choose_reading()
        self._set_timer()
        self._tell()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _flush(self) -> None:
        transport, engine = self._transport, self.engine
        if self._flushing or transport is None:
            return
        self._flushing = True
        try:
            while not (self._full or self._closing or transport.is_closing()):
                if not self._pending:
                    if not engine.outgoing:
                        break
                    self._pending = engine.data_to_send(self._loop.time())
                    if not self._pending:
                        break
                piece = _take(self._pending)
                if self._tls:
                    # Each would be a record of its own, and might be kept.
                    transport.write(b"".join(piece))
                elif len(piece) == 1:
                    transport.write(piece[0])
                else:
                    transport.writelines(piece)
                if engine.observer is not None and self._user is not None:
                    self._user.observed()
        finally:
            self._flushing = False

    def _choose_reading(self) -> None:
        """Read while somebody waits, or while there is not much that nobody has taken."""
        transport, engine = self._transport, self.engine
        if transport is None or transport.is_closing():
            return
        much = engine.unclaimed or len(engine.requests) > 1
        wanted = engine.ended or not much or bool(self._waiters)
        if not engine.ended and len(engine.requests) > _MOST_QUEUED:
            wanted = False
        if wanted and not self._reading:
            self._reading = True
            transport.resume_reading()
        elif self._reading and not wanted:
            self._reading = False
            transport.pause_reading()

    def _close(self) -> None:
        if self._closing or self._transport is None:
            return
        self._closing = True
        if self._transport.get_write_buffer_size():
            # Its time is up, and the peer does not take it.
            self._transport.abort()
        else:
            self._transport.close()

    def _tell(self) -> None:
        engine, user = self.engine, self._user
        if user is None:
            return
        if engine.ended and not self._told_end and (engine.failure or engine.requested):
            self._told_end = True
            if engine.observer is not None:
                user.observed()
            user.ended()
        if self._over:
            self._user = None
            user.closed()
            engine.detach()

    # ---- time -----------------------------------------------------------------------------------------

    def _deadline(self) -> float | None:
        engine = self.engine
        if self._full and not engine.ended:
            limit = engine.config.network_timeout
            return None if limit is None else self._full_since + limit
        # While we do not read, the peer's silence means nothing.
        return engine.next_deadline() if self._reading or engine.ended else None

    def _set_timer(self) -> None:
        due = self._deadline()
        if self._resident:
            rest = self._heard + IDLE_AFTER
            due = rest if due is None or rest < due else due
        if due is None or (self._timer is not None and self._timer_due <= due):
            # One that is due too early sets itself again.
            return
        if self._timer is not None:
            self._timer.cancel()
        self._call_at(due)

    def _call_at(self, due: float) -> None:
        self._timer_due = due
        self._timer = self._loop.call_at(due, self._time_passed)

    def _time_passed(self) -> None:
        self._timer = None
        if self._over:
            return
        engine, now = self.engine, self._loop.time()
        if self._resident and now >= self._heard + IDLE_AFTER:
            self._resident = False
            engine.release_memory()
        deadline = self._deadline()
        if deadline is None or now < deadline:
            self._looked = False
        elif not self._looked:
            self._looked = True
            self._call_at(now + _SECOND_LOOK)
            return
        else:
            self._looked = False
            self._expire(now)
        self.settle()

    def _expire(self, now: float) -> None:
        engine, transport = self.engine, self._transport
        limit = engine.config.network_timeout
        if not self._full or engine.ended or transport is None or limit is None:
            engine.handle_timeout(now)
            return
        left = transport.get_write_buffer_size()
        if left < self._left:
            self._left, self._full_since = left, now
        else:
            self._pending.clear()
            engine.write_stalled(now, limit)

    def reconsider(self) -> None:
        """Take note that the engine's timeouts are other ones."""
        self.settle()


def _take(buffers: list[Buffer]) -> list[Buffer]:
    """Remove the first buffers, together a piece, and return them."""
    size = count = 0
    for buffer in buffers:
        size += len(buffer)
        count += 1
        if size >= _PIECE:
            break
    piece = buffers[:count]
    del buffers[:count]
    return piece


def _asynchronous(function: Callable[..., Any], arguments: tuple[Any, ...]) -> bool:
    """Tell whether a call gives an awaitable without doing anything."""
    return asyncio.iscoroutinefunction(function) or any(hasattr(each, "__anext__") for each in arguments)


def _outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, Exception | None]:
    """Call a function in another thread: a future cannot carry every exception."""
    try:
        return function(*arguments), None
    except Exception as error:
        return None, error
