"""An association with a peer, as requestor or acceptor (PS3.8)."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import ssl
import struct
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, wraps
from io import BytesIO
from pathlib import Path
from threading import Event as Flag
from threading import Lock
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Final, NoReturn, ParamSpec, Self

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from dulcimer import _config, acceptor
from dulcimer import events as evt
from dulcimer._globals import DEFAULT_MAX_LENGTH, MODE_ACCEPTOR, MODE_REQUESTOR
from dulcimer.addresses import AddressInformation, SocketAddress
from dulcimer.data import part10
from dulcimer.data.filesink import FileSink, NewFiles
from dulcimer.dimse_primitives import from_command
from dulcimer.errors import AssociationError, LocalProtocolError, Refused
from dulcimer.events import Event, EventType, Handlers
from dulcimer.failure import Failure, FailureKind, Party
from dulcimer.observe import EVENTS as OBSERVED
from dulcimer.observe import LOGGER as TRAFFIC
from dulcimer.observe import EventObserver
from dulcimer.ops import lifecycle, requests
from dulcimer.ops.effects import Operation
from dulcimer.ops.requests import Response
from dulcimer.presentation import NO_REASON, PresentationContext, PresentationContextTuple
from dulcimer.protocol.association.config import EngineConfig
from dulcimer.protocol.association.engine import Engine
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.protocol.dimse.sinks import MemorySink
from dulcimer.protocol.wire.pdus import AssociateRJ, AssociateRQ, ProposedContext
from dulcimer.service_user import ServiceUser
from dulcimer.threads import transport as transports
from dulcimer.threads.association import Driver
from dulcimer.threads.idle import WATCHER

if TYPE_CHECKING:
    from dulcimer.acceptor import Policy
    from dulcimer.ae import ApplicationEntity
    from dulcimer.dimse_primitives import Primitive
    from dulcimer.events import HandlerArgs
    from dulcimer.protocol.association.contexts import Context
    from dulcimer.protocol.dimse.assembler import Message
    from dulcimer.protocol.dimse.commands import Value
    from dulcimer.protocol.dimse.sinks import Sink
    from dulcimer.threads.transport import Transport

__all__ = ["Association", "ServiceUser"]

_LOGGER = logging.getLogger("dulcimer.association")
# A library says nothing unless its user asks for it: `failure` tells what happened.
logging.getLogger("dulcimer").addHandler(logging.NullHandler())

P = ParamSpec("P")

_EVENTS: Final[Mapping[int, EventType]] = {
    m.C_ECHO_RQ: evt.EVT_C_ECHO,
    m.C_STORE_RQ: evt.EVT_C_STORE,
    m.C_FIND_RQ: evt.EVT_C_FIND,
    m.C_GET_RQ: evt.EVT_C_GET,
    m.C_MOVE_RQ: evt.EVT_C_MOVE,
    m.N_EVENT_REPORT_RQ: evt.EVT_N_EVENT_REPORT,
    m.N_GET_RQ: evt.EVT_N_GET,
    m.N_SET_RQ: evt.EVT_N_SET,
    m.N_ACTION_RQ: evt.EVT_N_ACTION,
    m.N_CREATE_RQ: evt.EVT_N_CREATE,
    m.N_DELETE_RQ: evt.EVT_N_DELETE,
}
_STREAMED: Final = frozenset({m.C_FIND_RQ, m.C_GET_RQ, m.C_MOVE_RQ})
"""Services whose handlers yield."""

_STATUS_TAG: Final = Tag(0x00000900)
_US: Final = struct.Struct("<H")
_RELATED: Final = (e.OFFENDING_ELEMENT, e.ERROR_COMMENT, e.ERROR_ID, e.ATTRIBUTE_IDENTIFIER_LIST)


@lru_cache(maxsize=1024)
def _as_tuple(context: Context) -> PresentationContextTuple:
    return PresentationContextTuple(context.id, UID(context.abstract_syntax), UID(context.transfer_syntax))


def _status(response: Response | None) -> Dataset:
    """Return the status of a response with the fields that go with it; empty if there was no response."""
    if response is None:
        return Dataset()
    # Decoded when it is looked at.
    raw = RawDataElement(_STATUS_TAG, "US", 2, _US.pack(response.status), 0, True, True)
    status = Dataset({_STATUS_TAG: raw})
    command = response.command
    for number in _RELATED:
        if number in command:
            _copy_field(status, number, command[number])
    if command[e.COMMAND_FIELD] == m.N_CREATE_RSP and command.get(e.AFFECTED_SOP_INSTANCE_UID):
        _copy_field(status, e.AFFECTED_SOP_INSTANCE_UID, command[e.AFFECTED_SOP_INSTANCE_UID])
    return status


def _copy_field(status: Dataset, number: int, value: Value) -> None:
    if isinstance(value, tuple):
        setattr(status, e.ELEMENTS[number].keyword, list(value) if len(value) != 1 else value[0])
    else:
        setattr(status, e.ELEMENTS[number].keyword, value)


def _returning_status(
    operation: Callable[Concatenate[Engine, P], Operation[Response]],
) -> Callable[Concatenate[Association, P], Dataset]:
    """Make a method of a conversation whose answer is a status."""

    @wraps(operation)
    def method(self: Association, /, *args: P.args, **kwargs: P.kwargs) -> Dataset:
        return _status(self.converse(operation, *args, **kwargs))

    return method


def _returning_pair(
    operation: Callable[Concatenate[Engine, P], Operation[Response]],
) -> Callable[Concatenate[Association, P], tuple[Dataset, Dataset | None]]:
    """Make a method of a conversation whose answer is a status and a data set."""

    @wraps(operation)
    def method(self: Association, /, *args: P.args, **kwargs: P.kwargs) -> tuple[Dataset, Dataset | None]:
        response = self.converse(operation, *args, **kwargs)
        if response is None:
            return Dataset(), None
        try:
            return _status(response), response.dataset()
        except Exception as error:
            _LOGGER.error("The data set of a response cannot be decoded: %s", error)
            undecodable = Dataset()
            undecodable.Status = 0x0110
            return undecodable, None

    return method


class Association:
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

    def __init__(self, ae: ApplicationEntity, mode: str) -> None:
        self._ae = ae
        self.mode = mode
        self.requestor = ServiceUser(self, MODE_REQUESTOR)
        self.acceptor = ServiceUser(self, MODE_ACCEPTOR)
        self.connection_timeout: float | None = ae.connection_timeout
        self._config = EngineConfig(
            acse_timeout=ae.acse_timeout,
            dimse_timeout=ae.dimse_timeout,
            network_timeout=ae.network_timeout,
            max_data_set=ae.maximum_data_set,
        )
        self._engine: Engine | None = None
        self._driver: Driver | None = None
        self._handlers = Handlers()
        self._lock = Lock()
        self._over = Flag()
        self._observer: EventObserver | None = None
        self._outcome: tuple[list[PresentationContext], list[PresentationContext]] | None = None
        self._on_closed: Callable[[Association], None] | None = None
        self._failure: Failure | None = None
        self.tls_args: tuple[ssl.SSLContext, str | None] | None = None
        self.bind_address: SocketAddress | None = None
        self.new_files: NewFiles | None = None

    # ---- what it is ----------------------------------------------------------------------------------

    @property
    def ae(self) -> ApplicationEntity:
        """The local application entity."""
        return self._ae

    @property
    def mode(self) -> str:
        """``"requestor"`` or ``"acceptor"``: the local side."""
        return self._mode

    @mode.setter
    def mode(self, value: str) -> None:
        value = value.lower()
        if value not in (MODE_REQUESTOR, MODE_ACCEPTOR):
            raise ValueError("The 'mode' must be either 'requestor' or 'acceptor'")
        self._mode = value

    @property
    def is_requestor(self) -> bool:
        """Whether the local side requests it."""
        return self._mode == MODE_REQUESTOR

    @property
    def is_acceptor(self) -> bool:
        """Whether the local side accepts it."""
        return self._mode == MODE_ACCEPTOR

    @property
    def local(self) -> dict[str, Any]:
        """AE title, address, port and mode of the local side."""
        return self.acceptor.info if self.is_acceptor else self.requestor.info

    @property
    def remote(self) -> dict[str, Any]:
        """AE title, address, port and mode of the peer."""
        return self.requestor.info if self.is_acceptor else self.acceptor.info

    @property
    def lock(self) -> Lock:
        """A lock for whatever the program wants to guard."""
        return self._lock

    @property
    def acse_timeout(self) -> float | None:
        """Seconds to wait for an association or release message; None for ever."""
        return self._config.acse_timeout

    @acse_timeout.setter
    def acse_timeout(self, value: float | None) -> None:
        self._reconfigure(replace(self._config, acse_timeout=value))

    @property
    def dimse_timeout(self) -> float | None:
        """Seconds to wait for a response; None for ever."""
        return self._config.dimse_timeout

    @dimse_timeout.setter
    def dimse_timeout(self, value: float | None) -> None:
        self._reconfigure(replace(self._config, dimse_timeout=value))

    @property
    def network_timeout(self) -> float | None:
        """Seconds that the network may be silent; None for ever."""
        return self._config.network_timeout

    @network_timeout.setter
    def network_timeout(self, value: float | None) -> None:
        self._reconfigure(replace(self._config, network_timeout=value))

    @property
    def network_timeout_response(self) -> str:
        """``"A-ABORT"`` (default) or ``"A-RELEASE"``."""
        return "A-RELEASE" if self._config.release_when_idle else "A-ABORT"

    @network_timeout_response.setter
    def network_timeout_response(self, value: str) -> None:
        if value not in ("A-ABORT", "A-RELEASE"):
            raise ValueError("'network_timeout_response' must be 'A-ABORT' or 'A-RELEASE'")
        self._reconfigure(replace(self._config, release_when_idle=value == "A-RELEASE"))

    def _reconfigure(self, config: EngineConfig) -> None:
        self._config = config
        if self._engine is not None:
            self._engine.config = config
        if self._driver is not None:
            self._driver.reconsider()

    # ---- how it goes ---------------------------------------------------------------------------------

    @property
    def is_established(self) -> bool:
        """Whether requests can be sent."""
        return self._engine is not None and self._engine.established and self._failure is None

    @property
    def is_released(self) -> bool:
        """Whether it ended in order."""
        return self._engine is not None and self._engine.released

    @property
    def is_rejected(self) -> bool:
        """Whether the acceptor rejected it."""
        failure = self.failure
        return failure is not None and failure.kind is FailureKind.REJECTED

    @property
    def is_aborted(self) -> bool:
        """Whether it ended, or could not begin, and was neither released nor rejected."""
        if self.is_released or self.is_rejected:
            return False
        engine = self._engine
        return self.failure is not None and (engine is None or engine.ended)

    @property
    def failure(self) -> Failure | None:
        """Why it failed: what happened, who did it, and the codes in words; None while all is well."""
        if self._failure is not None:
            return self._failure
        return None if self._engine is None or self._engine.released else self._engine.failure

    def is_alive(self) -> bool:
        """Tell whether its transport connection is open."""
        return self._driver is not None and not self._over.is_set()

    def join(self, timeout: float | None = None) -> None:
        """Wait until its transport connection is closed."""
        if self._driver is not None:
            self._over.wait(timeout)

    @property
    def accepted_contexts(self) -> list[PresentationContext]:
        """The presentation contexts that were accepted, in order of their IDs."""
        return self._outcomes()[0]

    @property
    def rejected_contexts(self) -> list[PresentationContext]:
        """The presentation contexts that were rejected; each has an ``explanation``."""
        return self._outcomes()[1]

    def _outcomes(self) -> tuple[list[PresentationContext], list[PresentationContext]]:
        if self._outcome is not None:
            return self._outcome
        engine = self._engine
        if engine is None or engine.requested is None or engine.accepted is None:
            return [], []
        answers = {answer.id: answer for answer in engine.accepted.contexts}
        outcome: tuple[list[PresentationContext], list[PresentationContext]] = ([], [])
        for proposed in sorted(engine.requested.contexts, key=lambda context: context.id):
            context = PresentationContext()
            context.context_id = proposed.id
            with contextlib.suppress(ValueError):
                context.abstract_syntax = UID(proposed.abstract_syntax)
            answer, agreed = answers.get(proposed.id), engine.contexts.get(proposed.id)
            if agreed is not None:
                context.result = 0
                context.transfer_syntax = [UID(agreed.transfer_syntax)]
                context.set_outcome(agreed.as_scu, agreed.as_scp)
            else:
                # An acceptance of what was not proposed is none.
                context.result = NO_REASON if answer is None or not answer.result else answer.result
                with contextlib.suppress(ValueError):
                    context.transfer_syntax = [UID(syntax) for syntax in proposed.transfer_syntaxes]
                context.set_outcome(False, False)
            outcome[agreed is None].append(context)
        self._outcome = outcome
        return outcome

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
        try:
            transport = self._connect(address)
        except OSError as error:
            engine.associate(pdu, monotonic())
            engine.connect_failed(self._connect_failure(error, address), monotonic())
            self.ended()
            self._over.set()
            return
        self._driver = driver = Driver(engine, transport, self, WATCHER)
        self._ae.opened(self)
        engine.associate(pdu, monotonic())
        evt.trigger(self, evt.EVT_CONN_OPEN, {"address": address.as_tuple})
        if not engine.ended:  # a handler may have turned away
            self.requestor.negotiated(pdu)
            engine.connected(monotonic())
            evt.trigger(self, evt.EVT_REQUESTED)
        try:
            accepted = driver.run(lifecycle.associate(engine))
        except AssociationError:
            return
        self.acceptor.negotiated(accepted)
        evt.trigger(self, evt.EVT_ACCEPTED)
        if engine.established and not engine.contexts:
            engine.failure = Failure(FailureKind.ABORTED, Party.LOCAL, self._why_no_context(), source=0)
            driver.abort()
        if engine.established:
            evt.trigger(self, evt.EVT_ESTABLISHED)

    def _request_pdu(self) -> AssociateRQ:
        contexts = []
        for number, context in enumerate(self.requestor.requested_contexts):
            context.context_id = 2 * number + 1
            contexts.append(
                ProposedContext(
                    2 * number + 1, str(context.abstract_syntax), tuple(map(str, context.transfer_syntax))
                )
            )
        return AssociateRQ(
            self.acceptor.ae_title,
            self.requestor.ae_title,
            tuple(contexts),
            self.requestor.to_wire(),
        )

    def _connect(self, address: AddressInformation) -> Transport:
        began = monotonic()
        host: str | tuple[str, int, int] = address.address
        if address.flowinfo or address.scope_id:
            host = (address.address, address.flowinfo, address.scope_id)
        sock = transports.connect(host, address.port, timeout=self.connection_timeout, bind=self.bind_address)
        transports.prepare(sock)
        self.requestor.address_info = AddressInformation.from_tuple(sock.getsockname())
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

    def _connect_failure(self, error: OSError, address: AddressInformation) -> Failure:
        where = f"{address.address}:{address.port}"
        kind, by, timeout = FailureKind.CONNECT, Party.NETWORK, None
        match error:
            case ssl.SSLCertVerificationError():
                kind, by = FailureKind.TLS, Party.LOCAL
                text = (
                    f"the TLS certificate of {where} was not accepted: {error.verify_message}; check the "
                    "authority that is trusted and the name in the certificate"
                )
            case ssl.SSLError():
                kind, by = FailureKind.TLS, Party.PEER
                text = (
                    f"no TLS connection to {where}: {error.reason or error}; does it speak TLS on this port?"
                )
            case socket.gaierror():
                text = f"the name {address.address} is not known: {error.strerror}"
            case TimeoutError() if "TLS" in str(error):
                kind, by, timeout = FailureKind.TIMEOUT, Party.PEER, "connection"
                text = f"{where} did not finish the TLS handshake; does it speak TLS on this port?"
            case TimeoutError():
                kind, timeout = FailureKind.TIMEOUT, "connection"
                limit = self.connection_timeout
                text = f"{where} did not answer" + ("" if limit is None else f" within {limit:g} s")
                text += " (connection timeout)"
            case ConnectionRefusedError():
                text = f"{where} refused the connection: nothing listens there, or a firewall forbids it"
            case _:
                text = f"no connection to {where}: {error.strerror or error}"
        return Failure(kind, by, text, timeout=timeout)

    def _why_no_context(self) -> str:
        reasons = [context.explanation for context in self.rejected_contexts[:3]]
        more = len(self.rejected_contexts) - len(reasons)
        text = "no presentation context was accepted. " + " ".join(reasons)
        return f"{text} And {more} more." if more > 0 else text

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
        evt.trigger(self, evt.EVT_CONN_OPEN, {"address": self.requestor.address_info.as_tuple})

        def decide(request: AssociateRQ) -> lifecycle.Decision:
            self.requestor.negotiated(request)
            self.requestor.called_itself(request.calling)
            evt.trigger(self, evt.EVT_REQUESTED)
            return acceptor.decide(self, policy, request)

        try:
            self._driver.serve(decide, self._accepted)
        except BaseException:
            # A handler ends this thread, with SystemExit for example.
            self._driver.kill()
            raise

    def _accepted(self) -> None:
        evt.trigger(self, evt.EVT_ACCEPTED)
        if self.is_established:
            evt.trigger(self, evt.EVT_ESTABLISHED)

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
        if self._driver is not None and not self._over.is_set():
            self._driver.abort()

    def kill(self) -> None:
        """Close the transport connection at once."""
        if self._driver is not None:
            self._driver.kill()

    @property
    def is_idle(self) -> bool:
        """Whether it is established and no message is arriving, being served or awaited."""
        return self._driver is not None and self.is_established and self._driver.idle

    def drain(self) -> None:
        """Abort it, as the service provider, if nothing is under way."""
        if self.is_idle and self._driver is not None:
            self._driver.abort(2)

    send_c_echo = _returning_status(requests.c_echo)
    send_c_store = _returning_status(requests.c_store)
    send_n_event_report = _returning_pair(requests.n_event_report)
    send_n_get = _returning_pair(requests.n_get)
    send_n_set = _returning_pair(requests.n_set)
    send_n_action = _returning_pair(requests.n_action)
    send_n_create = _returning_pair(requests.n_create)
    send_n_delete = _returning_status(requests.n_delete)

    def send_c_cancel(
        self, msg_id: int, context_id: int | None = None, query_model: str | UID | None = None
    ) -> NoReturn:
        """Not available yet, as C-FIND, C-GET and C-MOVE are not."""
        raise NotImplementedError("C-CANCEL is not available in this version")

    def converse(
        self,
        operation: Callable[Concatenate[Engine, P], Operation[Response]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Response | None:
        """Run a conversation; None if the association ended before its answer came.

        Raises
        ------
        RuntimeError
            If the association is not established.
        """
        engine, driver = self._engine, self._driver
        if engine is None or driver is None or not engine.established or self._failure is not None:
            raise RuntimeError(
                "The association with a peer must be established before sending a request"
                + (f": {self.failure}" if self.failure else "")
            )
        try:
            return driver.run(operation(engine, *args, **kwargs))
        except AssociationError:
            # What happened is in `failure`, and was logged when it did.
            return None

    def is_cancelled(self, message_id: int) -> bool:
        """Tell whether the peer has sent a C-CANCEL for a request of its own."""
        return self._engine is not None and message_id in self._engine.cancelled

    # ---- events --------------------------------------------------------------------------------------

    def bind(self, event: EventType, handler: Callable[..., Any], args: list[Any] | None = None) -> None:
        """Bind a handler to an event.

        Parameters
        ----------
        event
            One of the ``EVT_`` constants of :mod:`dulcimer.evt`.
        handler
            Called with the :class:`~dulcimer.events.Event` and ``args``.
        args
            Further arguments for the handler.
        """
        self._handlers.bind(event, handler, args)
        self._observe()

    def unbind(self, event: EventType, handler: Callable[..., Any]) -> None:
        """Unbind a handler from an event."""
        self._handlers.unbind(event, handler)
        self._observe()

    def use_handlers(self, handlers: Handlers) -> None:
        """Take over a set of bindings."""
        self._handlers = handlers
        self._observe()

    def get_events(self) -> list[EventType]:
        """List the events that something is bound to."""
        return self._handlers.events()

    def get_handlers(self, event: EventType) -> list[HandlerArgs] | HandlerArgs:
        """Return the (handler, args) pairs of a notification event, or the one of an intervention event."""
        return self._handlers.of(event)

    def bound(self, event: EventType) -> HandlerArgs | None:
        """Return the handler that was bound to an intervention event; None if none was."""
        return self._handlers.asked(event)

    def _observe(self) -> None:
        wanted = any(self._handlers.notified(event) for event in OBSERVED) or (
            TRAFFIC.isEnabledFor(logging.DEBUG) and _config.LOG_HANDLER_LEVEL == "standard"
        )
        if wanted and self._observer is None:
            self._observer = EventObserver(self)
        elif not wanted:
            self._observer = None
        if self._engine is not None:
            self._engine.observer = self._observer

    # ---- for the driver ------------------------------------------------------------------------------

    def respond(self, message: Message, context: Context) -> Any:
        """Call the handler for a request."""
        field = message.command[e.COMMAND_FIELD]
        assert isinstance(field, int)
        event = _EVENTS[field]
        if field in _STREAMED:
            raise NotImplementedError(f"'evt.{event.name}' is not served in this version")
        handler, args = self._handlers.of(event)
        sink, data = message.sink, None
        attributes: dict[str, Any] = {}
        if isinstance(sink, MemorySink):
            data = sink.stream
        elif sink is not None:
            attributes["sink"] = sink
            if isinstance(sink, FileSink):
                _publish(sink)
                attributes["path"] = Path(sink.path)
        attributes["request"] = self._primitive(message, data)
        attributes["context"] = _as_tuple(context)
        try:
            return handler(Event(self, event, attributes), *(args or ()))  # type: ignore[operator]
        finally:
            if isinstance(sink, _TemporarySink):
                sink.remove()

    @staticmethod
    def _primitive(message: Message, data: BytesIO | None) -> Primitive:
        return from_command(message.command, data)

    def ended(self) -> None:
        """Tell the program that the association is over."""
        failure = self.failure
        if failure is not None:
            _LOGGER.warning("Association with %s: %s", self._peer_name(), failure)
        if self.is_released:
            evt.trigger(self, evt.EVT_RELEASED)
        elif self.is_rejected:
            assert failure is not None
            self.acceptor.negotiated(
                AssociateRJ(failure.result or 0, failure.source or 0, failure.reason or 0)
            )
            evt.trigger(self, evt.EVT_REJECTED)
        else:
            evt.trigger(self, evt.EVT_ABORTED)

    def closed(self) -> None:
        """Tell the program that the transport connection is closed."""
        address = self.acceptor.address_info if self.is_requestor else self.requestor.address_info
        try:
            evt.trigger(self, evt.EVT_CONN_CLOSE, {"address": address.as_tuple if address else None})
        finally:
            self._over.set()
            self._ae.closed(self)
            if self._on_closed is not None:
                self._on_closed(self)

    def observed(self) -> None:
        """Tell the program what was observed since the last time."""
        if self._observer is not None:
            self._observer.deliver()

    def _peer_name(self) -> str:
        peer = self.acceptor if self.is_requestor else self.requestor
        where = "" if peer.address_info is None else f"{peer.address}:{peer.port}"
        return f"{peer.ae_title}@{where}" if peer.ae_title else where

    def _make_engine(self, max_length: int | None) -> Engine:
        self._config = replace(
            self._config, max_length=DEFAULT_MAX_LENGTH if max_length is None else max_length
        )
        engine = Engine(self._config, requestor=self.is_requestor, open_sink=self._open_sink)
        engine.observer = self._observer
        return engine

    def _open_sink(self, context: Context, command: Mapping[int, Value]) -> Sink:
        """Choose where the data set of a request goes."""
        if command[e.COMMAND_FIELD] != m.C_STORE_RQ:
            return MemorySink(self._config.max_data_set)
        bound = self._handlers.asked(evt.EVT_C_STORE_OPEN)
        if bound is None:
            if _config.STORE_RECV_CHUNKED_DATASET:
                return _TemporarySink(self._head(context, command))
            return MemorySink(self._config.max_data_set)
        handler, args = bound
        attributes = {
            "request": from_command(command, None),
            "context": _as_tuple(context),
        }
        chosen = handler(Event(self, evt.EVT_C_STORE_OPEN, attributes), *(args or ()))
        if chosen is None:
            return MemorySink(self._config.max_data_set)
        if isinstance(chosen, (str, os.PathLike)):
            return FileSink(chosen, self._head(context, command), files=self.new_files)
        sink: Sink = chosen
        return sink

    def _head(self, context: Context, command: Mapping[int, Value]) -> bytes:
        return part10.preamble(
            str(command.get(e.AFFECTED_SOP_CLASS_UID) or context.abstract_syntax),
            str(command.get(e.AFFECTED_SOP_INSTANCE_UID) or ""),
            context.transfer_syntax,
            source_aet=self.requestor.ae_title if self.is_acceptor else "",
        )


def _publish(sink: FileSink) -> None:
    try:
        sink.publish()
    except OSError as error:
        raise Refused(0xA700, f"Cannot be stored: {error.strerror}") from error


class _TemporarySink(FileSink):
    """A file that is there for a handler and gone after it."""

    def __init__(self, head: bytes) -> None:
        self._folder = tempfile.mkdtemp(prefix="dulcimer-")
        super().__init__(os.path.join(self._folder, "dataset.dcm"), head)

    def abort(self) -> None:
        super().abort()
        self.remove()

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            Path(self.path).unlink()
        with contextlib.suppress(OSError):
            Path(self._folder).rmdir()
