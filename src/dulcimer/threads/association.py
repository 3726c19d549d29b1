"""The blocking driver: whoever wants an answer reads the socket.

There is no reactor, no queue between threads and no polling. One lock guards the engine. The thread that
needs input becomes the *reader*: it gives up the lock, blocks in the receive, and takes note of what came.
Other threads that wait for something on the same association *follow*: they sleep on a condition until the
reader tells that something has changed, or has left, in which case one of them reads.

The acceptor's association has a thread of its own, which serves requests. The requestor's has none: the
thread that waits for an answer serves what the peer requests meanwhile, and an idle association is watched by
:mod:`dulcimer.threads.idle`.
"""

from __future__ import annotations

import logging
from collections import deque
from contextlib import suppress
from functools import partial
from threading import Condition, Lock, get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from dulcimer.errors import LocalProtocolError
from dulcimer.ops import lifecycle
from dulcimer.ops.effects import WAIT, Operation, Poll, Wait
from dulcimer.ops.provide import provide
from dulcimer.threads.transport import TIMED_OUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context as Variables

    from dulcimer.ops.lifecycle import Decision
    from dulcimer.protocol.association.contexts import Context
    from dulcimer.protocol.association.engine import Engine
    from dulcimer.protocol.dimse.assembler import Message
    from dulcimer.protocol.wire.pdus import AssociateRQ
    from dulcimer.threads.idle import Watcher
    from dulcimer.threads.transport import Buffer, Transport

_LOGGER = logging.getLogger("dulcimer.threads")

T = TypeVar("T")

IDLE_AFTER: Final = 2.0
"""Seconds without input after which the receive buffer's memory is given back."""

_SOON: Final = 0.05
_DEEPEST: Final = 8
"""How many requests are served one within the other: a handler that waits for an answer serves what comes
meanwhile, and a peer could go on like that without end."""


class User(Protocol):
    """Whom a driver works for. None of it is called with the lock held."""

    def respond(self, message: Message, context: Context) -> Any:
        """Run the user's code for a request."""

    def ended(self) -> None:
        """Take note that the association is over; called once."""

    def closed(self) -> None:
        """Take note that the transport connection is closed; called once, and last."""

    def observed(self) -> None:
        """Pass on what the engine's observer has gathered; called when there may be something."""


class _Nobody:
    """Whom a driver works for when its connection is closed and it has told of that."""

    def respond(self, message: Message, context: Context) -> Any:
        raise LocalProtocolError("the association has ended")

    def ended(self) -> None:
        pass

    def closed(self) -> None:
        pass

    def observed(self) -> None:
        pass


_NOBODY: Final = _Nobody()


class Driver:
    """Runs the conversations of one association.

    Parameters
    ----------
    engine
        Its protocol machine.
    transport
        Its open transport connection.
    user
        Whom it works for.
    watcher
        Watches the association while it is idle; None for an acceptor's, which has a thread.
    """

    def __init__(self, engine: Engine, transport: Transport, user: User, watcher: Watcher | None) -> None:
        self.engine = engine
        self.variables: Variables | None = None
        """The context variables of the threads that serve an idle association; None for none."""
        self._transport = transport
        self._user = user
        self._watcher = watcher
        self._lock = Lock()
        self._changed: Condition | None = None
        """There from when a second thread had to wait for the first one."""
        self._owner = 0
        self._followers = 0
        self._active = 0
        self._depth = 0
        self._reading = False
        self._flushing = False
        # The first receive is bounded like all others, which saves setting another bound.
        self._resident = True
        self._resting = False
        self._rest_is_due = False
        self._filling = 0
        self._abort_is_due: tuple[int, int] | None = None
        self._due: deque[Operation[None]] = deque()
        self._closed = False
        self._told_end = False
        self._told_close = False
        self._telling = False
        self.meanwhile: Callable[[], None] | None = None
        """Called once, when all is sent and before more is waited for: the peer has something to do now."""
        self.at_rest: Callable[[], None] | None = None
        """Called once, when nothing has come for a while or the connection is closed."""

    def fileno(self) -> int:
        """Return the descriptor of the transport connection."""
        return self._transport.fileno()

    # ---- for the user -------------------------------------------------------------------------------

    def run(self, operation: Operation[T]) -> T:
        """Run a conversation with the calling thread and return its result."""
        if self._filling == get_ident():
            raise LocalProtocolError("the association cannot be used while a sink is opened or filled")
        with self._lock:
            self._enter()
            try:
                if self._due:
                    self._catch_up()
                return self._drive(operation)
            finally:
                self._active -= 1
                self._leave()
                try:
                    self._lock.release()
                    self._tell()
                finally:
                    self._lock.acquire()

    def run_soon(self, operation: Operation[None]) -> None:
        """Run a conversation that waits for nothing, at once or when another thread is done.

        It may be called at any time, as finalizers are: also where this thread holds the lock, which nobody
        else does for long.
        """
        self._due.append(operation)
        if self._filling == get_ident() or not self._lock.acquire(timeout=_SOON):
            return
        try:
            self._enter()
            self._active -= 1
            self._leave()
        finally:
            self._lock.release()
        self._tell()

    def when_sent(self, function: Callable[[], None]) -> None:
        """Have a function called once, with the lock held, when all is sent and before more is waited for."""
        before = self.meanwhile

        def both() -> None:
            if before is not None:
                before()
            function()

        self.meanwhile = both

    def poll(self) -> None:
        """Take in what has come, without waiting; for the user's code that wants to know of a C-CANCEL."""
        if self._filling == get_ident():
            return
        with self._lock:
            # While it rests, the watcher sees what comes.
            if not (self._resting or self._closed or self.engine.ended):
                self._poll()

    def serve(self, decide: Callable[[AssociateRQ], Decision], established: Callable[[], None]) -> None:
        """Be the thread of an acceptor's association, from the request to the end of the connection."""
        self._owner = get_ident()
        engine = self.engine
        try:
            if not self.run(lifecycle.acceptor(engine, decide, established, self._user.respond)):
                self.run(lifecycle.leave(engine))
        except BaseException:
            # A fault, or a handler's SystemExit: nobody else would close the connection and tell of it.
            _LOGGER.exception("An association is aborted")
            self.kill()

    def abort(self, source: int = 0, reason: int = 0) -> None:
        """Abort the association, whatever other threads are doing with it."""
        if self._filling == get_ident():
            self._abort_is_due = source, reason
        else:
            self.run(self._abort(source, reason))

    def kill(self) -> None:
        """Abort and close the transport connection without waiting for anything."""
        if self._filling == get_ident():
            self._abort_is_due = 0, 0
            return
        with self._lock:
            self.engine.abort(monotonic())
            if not self._flushing:
                # In the middle of what another thread is sending, an A-ABORT would be taken for a part of it.
                with suppress(OSError):
                    self._transport.send_some(self.engine.data_to_send(monotonic()))
            if not self._closed:
                self.engine.eof(monotonic())
                self._close()
        self._tell()

    def _abort(self, source: int, reason: int) -> Operation[None]:
        self.engine.abort(self.engine.now, source, reason)
        return
        yield WAIT  # a conversation that waits for nothing

    def reconsider(self) -> None:
        """Take note that the engine's timeouts are other ones."""
        if self._filling == get_ident():
            return
        with self._lock:
            if self._resting:
                self._enter()
                self._active -= 1
                self._leave()
            else:
                self._tell_followers()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way: no message arriving, no request being served or outstanding."""
        engine = self.engine
        return not (engine.receiving or engine.requests or engine.awaiting_response or self._depth)

    # ---- for the watcher ----------------------------------------------------------------------------

    def may_rest(self) -> tuple[bool, float | None]:
        """Begin to rest unless a thread is using the association."""
        with self._lock:
            self._rest_is_due = False
            if self._active or self._closed or self.engine.unclaimed:
                return False, None
            self._resting = True
            if self._has_work:
                return True, 0.0
            self.engine.release_memory()
            self._resident = False
            return True, self.engine.next_deadline()

    def overdue(self, now: float) -> bool:
        """Tell whether a timeout has passed, or there is something to do that no selector tells of."""
        deadline = self.engine.next_deadline()
        return self._has_work or (deadline is not None and deadline <= now)

    @property
    def _has_work(self) -> bool:
        """Whether something that the peer sent is here already, or was left to whoever comes next."""
        engine = self.engine
        return self._transport.pending or bool(engine.requests) or engine.release_requested or bool(self._due)

    def wake_up(self) -> None:
        """Serve what the peer of an idle association sent."""
        with self._lock:
            if not self._resting:
                return
        operation = lifecycle.attend(self.engine, self._user.respond)
        serve = partial(self.run, operation)
        try:
            if self.variables is None:
                serve()
            else:
                self.variables.copy().run(serve)
        except Exception:
            _LOGGER.exception("An idle association could not be served")

    # ---- the calling thread, lock held ---------------------------------------------------------------

    def _enter(self) -> None:
        self._active += 1
        if self._resting:
            self._resting = False
            if self._watcher is not None:
                self._watcher.take_back(self)
        self.engine.now = monotonic()

    def _catch_up(self) -> None:
        while self._due:
            self._drive(self._due.popleft())

    # Where the lock is given up for a while, that is the first thing in the `try`: an interrupt comes between
    # two calls, and right after release() is such a place.

    def _leave(self) -> None:
        engine = self.engine
        if self._due:
            self._catch_up()
        if engine.close_transport:
            self._close()
        elif engine.ended and not engine.released and (self._reading or self._flushing):
            # Who is blocked in a receive or a send has to see that there is less time now. After a release
            # it is the peer that closes: our answer may still be on its way, and this would cut it off.
            self._transport.wake()
        if self._followers:
            self._tell_followers()
        if not (self._active or self._closed or self._rest_is_due or self._watcher is None):
            self._rest_is_due = True
            self._watcher.rest_soon(self)

    def _drive(self, operation: Operation[T]) -> T:
        value: Any = None
        error: BaseException | None = None
        try:
            while True:
                effect = operation.send(value) if error is None else operation.throw(error)
                value = error = None
                if isinstance(effect, Wait):
                    self._step()
                    continue
                self._flush()
                if isinstance(effect, Poll):
                    self._poll()
                    continue
                self._depth += 1
                try:
                    self._lock.release()
                    value = effect.function(*effect.arguments)
                except Exception as raised:
                    error = raised
                finally:
                    self._lock.acquire()
                    self._depth -= 1
                self.engine.now = monotonic()
        except StopIteration as stop:
            result: T = stop.value
            return result
        except BaseException:
            # Now and with the lock held, not when the traceback is forgotten.
            operation.close()
            raise
        finally:
            # Also when it ends with an exception: there is an A-ABORT to send.
            self._flush()

    def _step(self) -> None:
        engine = self.engine
        seen = engine.generation
        self._flush()
        if self.meanwhile is not None and not self._closed:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        if engine.observer is not None:
            self._tell_observed()
        if self._due:
            # What we wait for may depend on it: the window, on a C-CANCEL.
            self._catch_up()
        if engine.close_transport:
            self._close()
        elif engine.generation == seen:
            if self._reading:
                self._follow()
            else:
                self._read(waiting=True)
                if engine.observer is not None:
                    # Before what arrived is handled: the user's code may be called for it.
                    self._tell_observed()
        self._serve_within()

    def _poll(self) -> None:
        if not self._reading and not self.engine.ended:
            self._read(waiting=False)
        if self.engine.observer is not None:
            self._tell_observed()

    def _tell_observed(self) -> None:
        """Let the user hear of what was sent and received, before we wait for more."""
        try:
            self._lock.release()
            self._user.observed()
        finally:
            self._lock.acquire()

    def _serve_within(self) -> None:
        """Serve what the peer requested while we wait for something else."""
        engine = self.engine
        if not engine.requests and not engine.release_requested:
            return
        if self._watcher is None and self._owner != get_ident():
            return
        respond = self._user.respond
        while engine.requests and self._depth < _DEEPEST:
            self._drive(provide(engine, engine.requests.popleft(), respond))
        if engine.release_requested and not self._depth:
            engine.release(monotonic())

    def _read(self, *, waiting: bool) -> None:
        engine, transport = self.engine, self._transport
        deadline = engine.next_deadline() if waiting else None
        timeout = None if deadline is None else deadline - monotonic()
        # One bound for nearly all receives: to set another one takes a system call.
        nap = self._resident and waiting and (timeout is None or timeout > IDLE_AFTER)
        view = engine.get_buffer()
        self._reading = True
        try:
            self._lock.release()
            if waiting:
                count = transport.receive(view, IDLE_AFTER if nap else timeout)
            else:
                count = transport.receive_now(view)
            reason = ""
        except OSError as error:
            count, reason = 0, error.strerror or str(error)
        finally:
            try:
                self._lock.acquire()
            finally:
                self._reading = False
        now = monotonic()
        if count > 0:
            self._resident = True
            self._feed(count, now)
            if deadline is not None and now >= deadline:
                # A peer that sends without end must not keep the timer of Sta2 and Sta13 from expiring.
                engine.handle_timeout(now)
            if engine.receiving:
                # The rest may wait for the acknowledgement of what is here (Nagle's algorithm).
                transport.quick_ack()
        elif count == TIMED_OUT:
            if nap:
                engine.release_memory()
                self._resident = False
                self._rest()
            else:
                engine.handle_timeout(now)
        else:
            engine.eof(now, reason)
        if self._followers:
            self._tell_followers()

    def _rest(self) -> None:
        self.meanwhile = None
        if self.at_rest is not None:
            at_rest, self.at_rest = self.at_rest, None
            at_rest()

    def _feed(self, count: int, now: float) -> None:
        # The engine opens and fills sinks, which is the user's code: it runs with the lock held.
        self._filling = get_ident()
        try:
            self.engine.buffer_updated(count, now)
        finally:
            self._filling = 0
        if self._abort_is_due is not None:
            due, self._abort_is_due = self._abort_is_due, None
            self.engine.abort(now, *due)

    def _follow(self) -> None:
        engine = self.engine
        deadline = engine.next_deadline()
        if self._changed is None:
            self._changed = Condition(self._lock)
        self._followers += 1
        try:
            told = self._changed.wait(None if deadline is None else max(deadline - monotonic(), 0))
        finally:
            self._followers -= 1
        if not told:
            engine.handle_timeout(monotonic())
            if engine.ended and (self._reading or self._flushing):
                self._flush()
                self._transport.wake()

    def _tell_followers(self) -> None:
        if self._changed is not None:
            self._changed.notify_all()

    def _flush(self) -> None:
        # Where another thread is at it, that one takes ours along.
        while self.engine.outgoing and not self._flushing and self._flush_batches():
            self._tell_observed()

    def _flush_batches(self) -> bool:
        """Send what is queued; return True early if there is somebody who is told before more is sent.

        What is sent has to be told of in small pieces, or all of a long data set would be kept until then.
        """
        engine = self.engine
        whole = observed = False
        self._flushing = True
        try:
            while not observed and engine.outgoing and (batch := engine.data_to_send(monotonic())):
                if not self._send(batch):
                    break
                observed = engine.observer is not None
            whole = True
        except OSError as error:
            whole = True
            self._lost(error.strerror or str(error))
        finally:
            self._flushing = False
            if not whole:
                # Interrupted, perhaps in the middle of a PDU: nothing that follows would be understood.
                engine.eof(monotonic(), "sending was interrupted")
        return observed

    def _send(self, batch: list[Buffer]) -> bool:
        """Send all of a batch; return False if the connection is of no use any more."""
        engine, transport = self.engine, self._transport
        stalled: float | None = None
        while not transport.send_some(batch):
            now = monotonic()
            stalled = now if stalled is None else stalled
            limit = engine.config.network_timeout
            deadline = engine.next_deadline() if engine.ended else None if limit is None else stalled + limit
            try:
                self._lock.release()
                # Once the association has ended, what comes is of no interest; and wake() makes the socket
                # readable for good.
                readable, writable = transport.wait_writable(
                    None if deadline is None else deadline - now, not engine.ended
                )
            finally:
                self._lock.acquire()
            if writable:
                stalled = None
            elif engine.ended:
                engine.handle_timeout(monotonic())
            else:
                if readable and not self._reading:
                    self._read(waiting=False)
                now = monotonic()
                # Also of a peer that sends without end while it reads nothing.
                if limit is not None and deadline is not None and now >= deadline and not engine.ended:
                    engine.write_stalled(now, limit)
            if engine.close_transport:
                return False
        return True

    def _lost(self, reason: str) -> None:
        """Take what the peer said before the connection broke, which may be why it did."""
        engine = self.engine
        if not self._reading:
            with suppress(OSError):
                while (count := self._transport.receive(engine.get_buffer(), 0.0)) > 0:
                    self._feed(count, monotonic())
        engine.eof(monotonic(), reason)

    def _close(self) -> None:
        if self._closed:
            return
        if self._reading or self._flushing:
            # Its descriptor is in use: whoever uses it closes it.
            self._transport.cut()
            return
        self._closed = True
        self._rest()
        if self._watcher is not None:
            self._watcher.take_back(self)
        self.engine.release_memory()
        self._transport.close()
        if not self.engine.ended:
            # Nobody had requested anything: there was nothing to abort (Sta2).
            self.engine.eof(monotonic())
        self._tell_followers()

    def _tell(self) -> None:
        """Tell the user once of the end, and of the closing."""
        engine = self.engine
        if engine.observer is not None:
            self._user.observed()
        if engine.ended or self._closed:
            told = False
            while tell := self._news():
                try:
                    tell()
                finally:
                    told, self._telling = True, False
            if told and self._told_close:
                # What refers to each other stays in memory until garbage is collected.
                self._user = _NOBODY
                engine.detach()

    def _news(self) -> Callable[[], None] | None:
        """Return what the user has to be told next."""
        engine = self.engine
        with self._lock:
            if self._telling:
                # By a thread that asks for what comes next when it is done: nothing overtakes the end.
                return None
            if engine.ended and not self._told_end and (engine.failure or engine.requested):
                self._telling = self._told_end = True
                return self._user.ended
            if self._closed and not self._told_close:
                self._telling = self._told_close = True
                return self._user.closed
        return None
