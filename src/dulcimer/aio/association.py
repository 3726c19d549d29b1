"""An association in an event loop, as requestor or acceptor (PS3.8)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Self, TypeVar

from pydicom.dataset import Dataset

from dulcimer import _config
from dulcimer import events as evt
from dulcimer._globals import DEFAULT_MAX_LENGTH, MODE_REQUESTOR
from dulcimer.addresses import AddressInformation, SocketAddress
from dulcimer.aio.driver import Driver
from dulcimer.aio.moving import AsyncMove
from dulcimer.aio.responses import Responses
from dulcimer.association_base import AssociationBase
from dulcimer.errors import AssociationError, LocalProtocolError
from dulcimer.failure import Failure, FailureKind, Party
from dulcimer.ops import lifecycle, query, requests
from dulcimer.ops.effects import Operation
from dulcimer.ops.requests import Response
from dulcimer.protocol.association.engine import Engine
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.results import Pair, match_of, pair_of, progress_of, status_of
from dulcimer.uids import screen_call

if TYPE_CHECKING:
    import ssl
    from collections.abc import Coroutine, Generator, Mapping, Sequence
    from concurrent.futures import Executor
    from types import TracebackType

    from dulcimer.acceptor import Policy
    from dulcimer.ae import ApplicationEntity
    from dulcimer.events import EventHandlerType, EventType, Handlers
    from dulcimer.ops.query import Inquiry
    from dulcimer.pdu_primitives import NegotiationItem
    from dulcimer.presentation import PresentationContext
    from dulcimer.protocol.association.contexts import Context
    from dulcimer.protocol.dimse.assembler import Message

P = ParamSpec("P")
T = TypeVar("T")

CANCEL_GRACE: Final = 5.0
_TLS_SHUTDOWN: Final = 2.0
_TLS_TIMEOUT: Final = "the TLS handshake took too long"
_AT_ONCE: Final = (
    evt.EVT_ASYNC_OPS,
    evt.EVT_C_STORE_OPEN,
    evt.EVT_SOP_COMMON,
    evt.EVT_SOP_EXTENDED,
    evt.EVT_USER_ID,
)
"""The events that are answered at once: by functions, not by coroutines."""


def _returning_status(
    operation: Callable[Concatenate[Engine, P], Operation[Response]],
) -> Callable[Concatenate[AsyncAssociation, P], Coroutine[Any, Any, Dataset]]:
    """Make a method of a conversation whose answer is a status."""

    @wraps(operation)
    async def method(self: AsyncAssociation, /, *args: P.args, **kwargs: P.kwargs) -> Dataset:
        return status_of(await self.converse(operation, *args, **kwargs))

    return method


def _returning_pair(
    operation: Callable[Concatenate[Engine, P], Operation[Response]],
) -> Callable[Concatenate[AsyncAssociation, P], Coroutine[Any, Any, Pair]]:
    """Make a method of a conversation whose answer is a status and a data set."""

    @wraps(operation)
    async def method(self: AsyncAssociation, /, *args: P.args, **kwargs: P.kwargs) -> Pair:
        return pair_of(await self.converse(operation, *args, **kwargs))

    return method


def _returning_nothing(
    operation: Callable[Concatenate[Engine, P], Operation[None]],
) -> Callable[Concatenate[AsyncAssociation, P], Coroutine[Any, Any, None]]:
    """Make a method of a conversation that has no answer."""

    @wraps(operation)
    async def method(self: AsyncAssociation, /, *args: P.args, **kwargs: P.kwargs) -> None:
        await self.converse(operation, *args, **kwargs)

    return method


def _returning_responses(
    operation: Callable[Concatenate[Engine, P], Operation[Inquiry]],
    convert: Callable[[Response | None], Pair],
) -> Callable[Concatenate[AsyncAssociation, P], Responses]:
    """Make a method of a conversation that has any number of responses."""

    @wraps(operation)
    def method(self: AsyncAssociation, /, *args: P.args, **kwargs: P.kwargs) -> Responses:
        return self.inquire(convert, operation, *args, **kwargs)

    return method


class AsyncAssociation(AssociationBase):
    """An association in an event loop.

    :func:`dulcimer.aio.connect` makes the requestor's, :func:`dulcimer.aio.serve` the acceptor's. What it is
    and how it went is told as :class:`dulcimer.Association` does; what takes time is awaited. It belongs to
    the loop that it was made in, and is used in that loop's thread only.

    Attributes
    ----------
    requestor, acceptor : ServiceUser
        The two sides.
    connection_timeout : float or None
        Seconds for the transport connection.
    network_timeout_response : str
        ``"A-ABORT"`` or ``"A-RELEASE"``: what ends the association when the network timeout expires.
    """

    def __init__(
        self,
        ae: ApplicationEntity,
        mode: str,
        settings: _config.Settings | None = None,
        *,
        executor: Executor | None = None,
        cancel_grace: float = CANCEL_GRACE,
    ) -> None:
        super().__init__(ae, mode, settings)
        self._executor = executor
        self._grace = cancel_grace
        self._driver: Driver | None = None
        self._policy: Policy | None = None
        self._on_closed: Callable[[AsyncAssociation], None] | None = None

    @classmethod
    async def open(
        cls,
        ae: ApplicationEntity,
        addr: str | tuple[str, int, int],
        port: int,
        contexts: list[PresentationContext] | None = None,
        ae_title: str = "ANY-SCP",
        max_pdu: int = DEFAULT_MAX_LENGTH,
        ext_neg: list[NegotiationItem] | None = None,
        bind_address: SocketAddress | None = None,
        tls_args: tuple[ssl.SSLContext, str | None] | None = None,
        evt_handlers: Sequence[EventHandlerType] | None = None,
        *,
        config: Mapping[str, Any] | _config.Config | None = None,
        executor: Executor | None = None,
        cancel_grace: float = CANCEL_GRACE,
    ) -> Self:
        """Request an association of an application entity; see :func:`dulcimer.aio.connect`."""
        settings = _config.settings(ae.config, config)
        association = cls(ae, MODE_REQUESTOR, settings, executor=executor, cancel_grace=cancel_grace)
        # fmt: off
        ae.set_up_requestor(
            association, addr, port, contexts, ae_title, max_pdu, ext_neg, bind_address, tls_args,
            evt_handlers,
        )
        # fmt: on
        await association.request()
        return association

    # ---- as requestor --------------------------------------------------------------------------------

    async def request(self) -> None:
        """Open the transport connection and request the association.

        Raises
        ------
        dulcimer.errors.AssociationError
            If it does not come about; its class and ``failure`` say why.
        """
        engine = self._engine = self._make_engine(self.requestor.maximum_length)
        address = self.acceptor.address_info
        assert address is not None
        pdu = self._request_pdu()
        if self._observer is not None:
            where_from = AddressInformation.from_tuple(self.bind_address or ("0.0.0.0", 0))
            self._observer.requesting(pdu, where_from, address)
            self.observed()
        driver = self._driver = Driver(engine, self, executor=self._executor, grace=self._grace)
        try:
            await self._connect(driver, address)
        except OSError as error:
            self._driver = None
            now = asyncio.get_running_loop().time()
            if not engine.ended or engine.requested is None:
                engine.associate(pdu, now)
                self._happened(evt.EVT_REQUESTED)
                engine.connect_failed(self._connect_failure(error, address), now)
            self.observed()
            self.ended()
            raise engine.error() from error
        except BaseException:
            driver.kill()
            raise
        try:
            accepted = await driver.run(lifecycle.associate(engine))
            self.acceptor.negotiated(accepted)
            self._happened(evt.EVT_ACCEPTED)
            if engine.established and not engine.contexts:
                engine.failure = Failure(FailureKind.ABORTED, Party.LOCAL, self._why_no_context(), source=0)
                driver.abort()
                raise engine.error()
        except AssociationError:
            await self._leave(driver)
            raise
        except BaseException:
            driver.kill()
            raise
        if engine.established:
            self._happened(evt.EVT_ESTABLISHED)

    async def _connect(self, driver: Driver, address: AddressInformation) -> None:
        made = False

        def factory() -> Driver:
            nonlocal made
            made = True
            return driver

        host = address.address
        if address.scope_id:
            host = f"{host}%{address.scope_id}"
        limit = self.connection_timeout
        options: dict[str, Any] = {}
        if self.tls_args is not None:
            context, name = self.tls_args
            options = {
                "ssl": context,
                "server_hostname": name or (host if context.check_hostname else ""),
                "ssl_handshake_timeout": limit or self.acse_timeout or None,
                "ssl_shutdown_timeout": _TLS_SHUTDOWN,
            }
        if self.bind_address is not None and any(self.bind_address):
            options["local_addr"] = tuple(self.bind_address)[:2]
        try:
            async with asyncio.timeout(limit):
                await asyncio.get_running_loop().create_connection(factory, host, address.port, **options)
        except TimeoutError as error:
            raise TimeoutError(_TLS_TIMEOUT if made else "timed out") from error
        except ConnectionAbortedError as error:
            if made and "handshake" in str(error):
                raise TimeoutError(_TLS_TIMEOUT) from error
            raise

    async def _leave(self, driver: Driver) -> None:
        """Wait until the connection is closed; the end of the waiting task does not leave it open."""
        try:
            await driver.wait_closed()
        except BaseException:
            driver.kill()
            raise

    # ---- as acceptor ---------------------------------------------------------------------------------

    def serve(self, policy: Policy, closed: Callable[[AsyncAssociation], None]) -> Driver:
        """Return what is to have the transport connection that this side accepts.

        Parameters
        ----------
        policy
            What is accepted.
        closed
            Told when the connection is closed.
        """
        self._policy, self._on_closed = policy, closed
        engine = self._engine = self._make_engine(self.acceptor.maximum_length)
        self._driver = Driver(engine, self, executor=self._executor, grace=self._grace)
        return self._driver

    # ---- both ----------------------------------------------------------------------------------------

    async def release(self) -> None:
        """Release the association (PS3.8 7.2) and wait until its connection is closed.

        Nothing is sent if it is not established. If the peer does not answer in time, or the waiting task is
        cancelled, it is aborted, and nothing else is waited for.
        """
        driver, engine = self._driver, self._engine
        if driver is None or engine is None:
            return
        try:
            if self.is_established:
                with contextlib.suppress(LocalProtocolError):
                    await driver.run(lifecycle.release(engine))
        except BaseException:
            driver.abort()
            raise
        if engine.released:
            await self._leave(driver)

    def abort(self) -> Awaitable[None]:
        """Abort the association (PS3.8 7.3); nothing happens if it has ended.

        The A-ABORT is sent at once, or soon if this is called in another thread. What is returned may be
        awaited: until the peer has closed the connection, at most two seconds.
        """
        if self._driver is not None:
            self._driver.abort()
        return _Ending(self._end)

    async def _end(self) -> None:
        if self._driver is not None:
            await self._leave(self._driver)

    def kill(self) -> None:
        """Close the transport connection at once."""
        if self._driver is not None:
            self._driver.kill()

    def drain(self) -> None:
        """Abort it, as the service provider, if nothing is under way; that is waited for by nobody."""
        if self.is_idle and self._driver is not None:
            self._driver.abort(2)

    def cancel_handlers(self) -> None:
        """Cancel the tasks that handlers run in."""
        if self._driver is not None:
            self._driver.cancel()

    async def wait_closed(self) -> None:
        """Wait until the transport connection is closed and no handler runs any more."""
        if self._driver is not None:
            await self._driver.wait_closed()

    def is_alive(self) -> bool:
        """Tell whether its transport connection is open."""
        return self._driver is not None and not self._driver.is_closed

    @property
    def is_busy(self) -> bool:
        """Whether a handler runs, which it may do longer than the association lasts."""
        return self._driver is not None and self._driver.busy

    @property
    def is_idle(self) -> bool:
        """Whether it is established and no message is arriving, being served or awaited."""
        return self._driver is not None and self.is_established and self._driver.idle

    def when_answered(self, function: Callable[[], None]) -> None:
        """Have a function called, once, when the answer to the request that is being handled has been sent.

        It must wait for nothing and not use the association. It is not called if the association ends before.
        """
        if self._driver is not None:
            self._driver.when_sent(function)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.release()
        # Nothing if it was released; otherwise this is also the time for the peer to close.
        await self.abort()

    send_c_echo = _returning_status(requests.c_echo)
    send_c_store = _returning_status(requests.c_store)

    send_n_event_report = _returning_pair(requests.n_event_report)
    send_n_get = _returning_pair(requests.n_get)
    send_n_set = _returning_pair(requests.n_set)
    send_n_action = _returning_pair(requests.n_action)
    send_n_create = _returning_pair(requests.n_create)
    send_n_delete = _returning_status(requests.n_delete)

    send_c_find = _returning_responses(query.c_find, match_of)
    send_c_get = _returning_responses(query.c_get, progress_of)
    send_c_move = _returning_responses(query.c_move, progress_of)
    send_c_cancel = _returning_nothing(query.c_cancel)

    def inquire(
        self,
        convert: Callable[[Response | None], Pair],
        operation: Callable[Concatenate[Engine, P], Operation[Inquiry]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Responses:
        """Return the responses to a request, each as ``convert`` makes it.

        Raises
        ------
        RuntimeError
            If the association is not established.
        """
        _, driver = self._ready()
        return Responses(driver, partial(self.converse, operation, *args, **kwargs), convert)

    def _ready(self) -> tuple[Engine, Driver]:
        engine, driver = self._engine, self._driver
        if engine is None or driver is None or not engine.established:
            raise RuntimeError(
                "The association with a peer must be established before sending a request"
                + (f": {self.failure}" if self.failure else "")
            )
        return engine, driver

    async def converse(
        self,
        operation: Callable[Concatenate[Engine, P], Operation[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T | None:
        """Run a conversation; None if the association ended before its answer came.

        If the task is cancelled while the peer has yet to answer, the peer has ``cancel_grace`` seconds for
        that; then the association is aborted.

        Raises
        ------
        RuntimeError
            If the association is not established.
        """
        engine, driver = self._ready()
        settings = self.settings
        if settings.screens_uids:
            screen_call(settings.VALIDATORS["UI"], operation, args, kwargs)
        try:
            return await driver.run(operation(engine, *args, **kwargs))
        except AssociationError:
            # What happened is in `failure`, and was logged when it did.
            return None

    # ---- events --------------------------------------------------------------------------------------

    def bind(self, event: EventType, handler: Callable[..., Any], args: list[Any] | None = None) -> None:
        """Bind a handler, a function or a coroutine function, to an event.

        Raises
        ------
        TypeError
            If it is a coroutine function, and the event is one that is answered at once.
        """
        check(event, handler)
        super().bind(event, handler, args)

    def use_handlers(self, handlers: Handlers) -> None:
        """Take over a set of bindings."""
        for event in _AT_ONCE:
            bound = handlers.asked(event)
            if bound is not None:
                check(event, bound[0])
        super().use_handlers(handlers)

    def is_cancelled(self, message_id: int) -> bool:
        """Tell whether the peer has sent a C-CANCEL for a request of its own.

        It is read while the loop runs: a handler that never awaits does not see it.
        """
        return self._engine is not None and message_id in self._engine.cancelled

    def look_after(self, awaitable: Awaitable[Any]) -> None:
        """Await what a handler of a notification event returned, in a task of its own."""
        if self._driver is not None:
            self._driver.look_after(awaitable)

    # ---- for the driver ------------------------------------------------------------------------------

    def opened(self) -> None:
        """Take note that the transport connection is open."""
        engine, driver = self._engine, self._driver
        assert engine is not None and driver is not None
        now = asyncio.get_running_loop().time()
        if self.is_acceptor:
            assert self._policy is not None
            engine.connected(now)
            self._happened(evt.EVT_CONN_OPEN, self.requestor.address_info)
            driver.serve(partial(self._decide, self._policy), self._welcomed)
            return
        self.requestor.address_info = driver.local_address
        pdu = self._request_pdu()
        engine.associate(pdu, now)
        self._happened(evt.EVT_CONN_OPEN, self.acceptor.address_info)
        if not engine.ended:  # a handler may have turned away
            self.requestor.negotiated(pdu)
            engine.connected(now)
            self._happened(evt.EVT_REQUESTED)

    async def _welcomed(self) -> None:
        # In the loop's thread whatever executor there is: nothing overtakes it.
        self._accepted()

    def respond(self, message: Message, context: Context) -> Any:
        """Call the handler for a request; return what it answers, or what is to be awaited for that."""
        try:
            handler, happened, args = self._asked(message, context)
            result = handler(happened, *args)
        except BaseException:
            self._answered(message)
            raise
        if isawaitable(result):
            return self._later(message, result)
        self._answered(message)
        return self._made(message, result)

    async def _later(self, message: Message, result: Awaitable[Any]) -> Any:
        try:
            return self._made(message, await result)
        finally:
            self._answered(message)

    def _made(self, message: Message, result: Any) -> Any:
        if message.command[e.COMMAND_FIELD] != m.C_MOVE_RQ:
            return result
        return AsyncMove(self, message.command, result, partial(AsyncAssociation.open, self.ae))

    def closed(self) -> None:
        """Tell the program that the transport connection is closed."""
        address = self.acceptor.address_info if self.is_requestor else self.requestor.address_info
        try:
            self._happened(evt.EVT_CONN_CLOSE, address)
        finally:
            if self._on_closed is not None:
                self._on_closed(self)

    def _reconsider(self) -> None:
        if self._driver is not None:
            self._driver.reconsider()


class _Ending(Awaitable[None]):
    """Waits when it is awaited; it need not be."""

    def __init__(self, wait: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._wait = wait

    def __await__(self) -> Generator[Any, None, None]:
        return self._wait().__await__()


def check(event: EventType, handler: Callable[..., Any]) -> None:
    """Refuse a coroutine function for an event that is answered at once.

    Raises
    ------
    TypeError
        If it is one.
    """
    if event in _AT_ONCE and asyncio.iscoroutinefunction(handler):
        raise TypeError(f"the handler for 'evt.{event.name}' has to be a function, not a coroutine function")
