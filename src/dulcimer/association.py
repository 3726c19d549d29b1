"""An association with a peer, as requestor or acceptor (PS3.8)."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from contextvars import copy_context
from functools import partial, wraps
from threading import TIMEOUT_MAX, Lock
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from pydicom.dataset import Dataset
from pydicom.uid import UID

from dulcimer import _config
from dulcimer import events as evt
from dulcimer.addresses import AddressInformation
from dulcimer.association_base import AssociationBase
from dulcimer.errors import AssociationError, LocalProtocolError
from dulcimer.failure import Failure, FailureKind, Party
from dulcimer.moving import Move
from dulcimer.ops import lifecycle, query, requests
from dulcimer.ops.effects import Operation
from dulcimer.ops.requests import Response
from dulcimer.protocol.association.engine import Engine
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.responses import Responses
from dulcimer.results import Pair, match_of, pair_of, progress_of, status_of
from dulcimer.service_user import ServiceUser
from dulcimer.threads import transport as transports
from dulcimer.threads.association import Driver
from dulcimer.threads.idle import WATCHER
from dulcimer.uids import screen_call

if TYPE_CHECKING:
    from dulcimer.acceptor import Policy
    from dulcimer.ae import ApplicationEntity
    from dulcimer.data.filesink import NewFiles
    from dulcimer.ops.query import Inquiry
    from dulcimer.ops.requests import Storable
    from dulcimer.protocol.association.contexts import Context
    from dulcimer.protocol.dimse.assembler import Message
    from dulcimer.threads.transport import Transport

__all__ = ["Association", "ServiceUser"]

_LOGGER = logging.getLogger("dulcimer.association")

P = ParamSpec("P")
T = TypeVar("T")


def _returning_status(
    operation: Callable[Concatenate[Engine, P], Operation[Response]],
) -> Callable[Concatenate[Association, P], Dataset]:
    """Make a method of a conversation whose answer is a status."""

    @wraps(operation)
    def method(self: Association, /, *args: P.args, **kwargs: P.kwargs) -> Dataset:
        return status_of(self.converse(operation, *args, **kwargs))

    return method


def _returning_pair(
    operation: Callable[Concatenate[Engine, P], Operation[Response]],
) -> Callable[Concatenate[Association, P], tuple[Dataset, Dataset | None]]:
    """Make a method of a conversation whose answer is a status and a data set."""

    @wraps(operation)
    def method(self: Association, /, *args: P.args, **kwargs: P.kwargs) -> tuple[Dataset, Dataset | None]:
        return pair_of(self.converse(operation, *args, **kwargs))

    return method


def _returning_responses(
    operation: Callable[Concatenate[Engine, P], Operation[Inquiry]],
    convert: Callable[[Response | None], Pair],
) -> Callable[Concatenate[Association, P], Responses]:
    """Make a method of a conversation that has any number of responses."""

    @wraps(operation)
    def method(self: Association, /, *args: P.args, **kwargs: P.kwargs) -> Responses:
        return self.inquire(convert, operation, *args, **kwargs)

    return method


class Association(AssociationBase):
    """An association.

    :meth:`AE.associate <dulcimer.AE.associate>` makes the requestor's, a server the acceptor's.

    Attributes
    ----------
    requestor, acceptor : ServiceUser
        The two sides.
    connection_timeout : float or None
        Seconds for the transport connection.
    network_timeout_response : str
        ``"A-ABORT"`` or ``"A-RELEASE"``: what ends the association when the network timeout expires.
    """

    def __init__(self, ae: ApplicationEntity, mode: str, settings: _config.Settings | None = None) -> None:
        super().__init__(ae, mode, settings)
        self._driver: Driver | None = None
        self._over = False
        self._open = Lock()
        # Held until the transport connection is closed: to wait for it costs no object made for that.
        self._open.acquire()
        self._on_closed: Callable[[Association], None] | None = None

    def _reconsider(self) -> None:
        if self._driver is not None:
            self._driver.reconsider()

    def is_alive(self) -> bool:
        """Tell whether its transport connection is open."""
        return self._driver is not None and not self._over

    def join(self, timeout: float | None = None) -> None:
        """Wait until its transport connection is closed."""
        if self._driver is not None and self._open.acquire(
            timeout=-1 if timeout is None else min(max(timeout, 0.0), TIMEOUT_MAX)
        ):
            self._open.release()

    def _let_go(self) -> None:
        self._over = True
        self._open.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.is_established:
            if kind is None:
                self.release()
            else:
                self.abort()

    # ---- as requestor --------------------------------------------------------------------------------

    def request(self) -> None:
        """Open the transport connection and request the association; the flags say how it went."""
        engine = self._engine = self._make_engine(self.requestor.maximum_length)
        address = self.acceptor.address_info
        assert address is not None
        pdu = self._request_pdu()
        if self._observer is not None:
            where_from = AddressInformation.from_tuple(self.bind_address or ("0.0.0.0", 0))
            self._observer.requesting(pdu, where_from, address)
            self.observed()
        try:
            transport = self._connect(address)
        except OSError as error:
            engine.associate(pdu, monotonic())
            self._happened(evt.EVT_REQUESTED)
            engine.connect_failed(self._connect_failure(error, address), monotonic())
            self.observed()
            self.ended()
            self._let_go()
            return
        self._driver = driver = Driver(engine, transport, self, WATCHER)
        if self.settings.PASS_CONTEXTVARS:
            driver.variables = copy_context()
        self._ae.opened(self)
        engine.associate(pdu, monotonic())
        self._happened(evt.EVT_CONN_OPEN, address)
        if not engine.ended:  # a handler may have turned away
            self.requestor.negotiated(pdu)
            engine.connected(monotonic())
            self._happened(evt.EVT_REQUESTED)
        try:
            accepted = driver.run(lifecycle.associate(engine))
        except AssociationError:
            return
        self.acceptor.negotiated(accepted)
        self._happened(evt.EVT_ACCEPTED)
        if engine.established and not engine.contexts:
            engine.failure = Failure(FailureKind.ABORTED, Party.LOCAL, self._why_no_context(), source=0)
            driver.abort()
        if engine.established:
            self._happened(evt.EVT_ESTABLISHED)

    def _connect(self, address: AddressInformation) -> Transport:
        began = monotonic()
        host: str | tuple[str, int, int] = address.address
        if address.flowinfo or address.scope_id:
            host = (address.address, address.flowinfo, address.scope_id)
        sock = transports.connect(host, address.port, timeout=self.connection_timeout, bind=self.bind_address)
        transports.prepare(sock)
        self.requestor.address_info = AddressInformation.from_tuple(sock.getsockname())
        with contextlib.suppress(OSError):  # The peer may have gone already; the next receive will tell.
            self.acceptor.address_info = AddressInformation.from_tuple(sock.getpeername())
        if self.tls_args is None:
            return transports.PlainTransport(sock)
        context, name = self.tls_args
        left = self.connection_timeout
        if left is not None:
            left = max(left - (monotonic() - began), 0.0)
        return transports.start_tls(
            sock,
            context,
            server_side=False,
            server_hostname=name or None,
            timeout=self.acse_timeout if left is None else left,
        )

    # ---- as acceptor ---------------------------------------------------------------------------------

    def serve(self, transport: Transport, policy: Policy, closed: Callable[[Association], None]) -> None:
        """Be the acceptor on an open transport connection, until it is closed.

        Parameters
        ----------
        transport
            The connection.
        policy
            What is accepted.
        closed
            Told when the connection is closed.
        """
        self._on_closed = closed
        engine = self._engine = self._make_engine(self.acceptor.maximum_length)
        self._driver = Driver(engine, transport, self, None)
        assert self.requestor.address_info is not None
        engine.connected(monotonic())
        self._happened(evt.EVT_CONN_OPEN, self.requestor.address_info)

        try:
            self._driver.serve(partial(self._decide, policy), self._accepted)
        except BaseException:
            # A handler ends this thread, with SystemExit for example.
            self._driver.kill()
            raise

    # ---- both ----------------------------------------------------------------------------------------

    def release(self) -> None:
        """Release the association (PS3.8 7.2); nothing happens if it is not established."""
        if self.is_established and self._driver is not None and self._engine is not None:
            with contextlib.suppress(LocalProtocolError):
                self._driver.run(lifecycle.release(self._engine))

    def abort(self, block: bool = True) -> None:
        """Abort the association (PS3.8 7.3); nothing happens if it has ended.

        Parameters
        ----------
        block
            Without effect: the A-ABORT has been sent when this returns, and nothing else is waited for.
        """
        if self._driver is not None and not self._over:
            self._driver.abort()

    def kill(self) -> None:
        """Close the transport connection at once."""
        if self._driver is not None:
            self._driver.kill()

    @property
    def is_idle(self) -> bool:
        """Whether it is established and no message is arriving, being served or awaited."""
        return self._driver is not None and self.is_established and self._driver.idle

    def expect_file(self, files: NewFiles) -> None:
        """Have a file made for the next object when the request that is being handled has been answered.

        The peer then has its next object to get ready. What was made is given up when none comes.
        """
        if self._driver is not None:
            self._driver.meanwhile, self._driver.at_rest = files.prepare, files.rest

    def when_answered(self, function: Callable[[], None]) -> None:
        """Have a function called, once, when the answer to the request that is being handled has been sent.

        It must wait for nothing and not use the association. It is not called if the association ends before.
        """
        if self._driver is not None:
            self._driver.when_sent(function)

    def drain(self) -> None:
        """Abort it, as the service provider, if nothing is under way."""
        if self.is_idle and self._driver is not None:
            self._driver.abort(2)

    send_c_echo = _returning_status(requests.c_echo)

    def send_c_store(
        self,
        dataset: Storable,
        msg_id: int = 1,
        priority: int = 2,
        originator_aet: str | None = None,
        originator_id: int | None = None,
        *,
        exact: bool | None = None,
    ) -> Dataset:
        """Store a composite SOP instance at the peer (PS3.7 9.1.1, PS3.4 Annex B).

        Parameters
        ----------
        dataset
            The instance: a data set, or a Part 10 file as a path, as bytes or as a binary stream that can
            seek. A file whose transfer syntax was accepted is sent as it is, without being decoded; one that
            is not in memory already is streamed.
        msg_id
            Message ID, 0 to 65535.
        priority
            0 medium, 1 high, 2 low.
        originator_aet, originator_id
            AE title and message ID of the C-MOVE that this sub-operation belongs to.
        exact
            Whether only a context with the instance's own transfer syntax will do; by default a file's has
            to if ``_config.STORE_SEND_CHUNKED_DATASET`` says so.

        Returns
        -------
        Dataset
            *Status* and the elements that go with it; empty if there was no answer.

        Raises
        ------
        RuntimeError
            If the association is not established.
        AttributeError
            If a UID or the transfer syntax is missing.
        ValueError
            If the data set cannot be encoded, or there is no presentation context for it.
        """
        if exact is None:
            exact = self.settings.STORE_SEND_CHUNKED_DATASET and not isinstance(dataset, Dataset)
        response = self.converse(
            requests.c_store, dataset, msg_id, priority, originator_aet, originator_id, exact=exact
        )
        return status_of(response)

    send_n_event_report = _returning_pair(requests.n_event_report)
    send_n_get = _returning_pair(requests.n_get)
    send_n_set = _returning_pair(requests.n_set)
    send_n_action = _returning_pair(requests.n_action)
    send_n_create = _returning_pair(requests.n_create)
    send_n_delete = _returning_status(requests.n_delete)

    send_c_find = _returning_responses(query.c_find, match_of)
    send_c_get = _returning_responses(query.c_get, progress_of)
    send_c_move = _returning_responses(query.c_move, progress_of)

    def send_c_cancel(
        self, msg_id: int, context_id: int | None = None, query_model: str | UID | None = None
    ) -> None:
        """Ask for the end of a C-FIND, C-GET or C-MOVE (PS3.7 9.3.2.3).

        Its responses go on until the final one, which has the status FE00H if it came to that.

        Parameters
        ----------
        msg_id
            *Message ID* of the operation.
        context_id, query_model
            The presentation context that it was invoked in, or the SOP class of that. Neither is needed while
            it is outstanding.

        Raises
        ------
        RuntimeError
            If the association is not established.
        ValueError
            If neither is given and no such operation is outstanding, or there is no such context.
        """
        self.converse(query.c_cancel, msg_id, context_id, query_model)

    def inquire(
        self,
        convert: Callable[[Response | None], Pair],
        operation: Callable[Concatenate[Engine, P], Operation[Inquiry]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Responses:
        """Send a request and return its responses, each as ``convert`` makes it.

        Raises
        ------
        RuntimeError
            If the association is not established.
        """
        _, driver = self._ready()
        return Responses(driver, self.converse(operation, *args, **kwargs), convert)

    def _ready(self) -> tuple[Engine, Driver]:
        engine, driver = self._engine, self._driver
        if engine is None or driver is None or not engine.established or self._failure is not None:
            raise RuntimeError(
                "The association with a peer must be established before sending a request"
                + (f": {self.failure}" if self.failure else "")
            )
        return engine, driver

    def converse(
        self,
        operation: Callable[Concatenate[Engine, P], Operation[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T | None:
        """Run a conversation; None if the association ended before its answer came.

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
            return driver.run(operation(engine, *args, **kwargs))
        except AssociationError:
            # What happened is in `failure`, and was logged when it did.
            return None

    def is_cancelled(self, message_id: int) -> bool:
        """Tell whether the peer has sent a C-CANCEL for a request of its own."""
        if self._driver is None or self._engine is None:
            return False
        self._driver.poll()
        return message_id in self._engine.cancelled

    # ---- for the driver ------------------------------------------------------------------------------

    def respond(self, message: Message, context: Context) -> Any:
        """Call the handler for a request."""
        try:
            handler, happened, args = self._asked(message, context)
            result = handler(happened, *args)
            if message.command[e.COMMAND_FIELD] == m.C_MOVE_RQ:
                return Move(self, message.command, result)
            return result
        finally:
            self._answered(message)

    def _named_file(self) -> None:
        if self.new_files is not None:
            self.expect_file(self.new_files)

    def closed(self) -> None:
        """Tell the program that the transport connection is closed."""
        address = self.acceptor.address_info if self.is_requestor else self.requestor.address_info
        try:
            self._happened(evt.EVT_CONN_CLOSE, address)
        finally:
            self._let_go()
            if self.is_requestor:
                self._ae.closed(self)
            if self._on_closed is not None:
                self._on_closed(self)
