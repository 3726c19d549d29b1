"""What an association is and tells, whoever drives it: its sides, timeouts, outcome, handlers (PS3.8 7)."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from pydicom.uid import UID

from dulcimer import _config, acceptor
from dulcimer import events as evt
from dulcimer._globals import MODE_ACCEPTOR, MODE_REQUESTOR
from dulcimer.addresses import AddressInformation, SocketAddress
from dulcimer.data import part10
from dulcimer.data.filesink import FileSink, NewFiles
from dulcimer.errors import Refused
from dulcimer.events import Event, EventType, Handlers
from dulcimer.failure import Failure, FailureKind, Party
from dulcimer.observe import EVENTS as OBSERVED
from dulcimer.observe import LOGGER as TRAFFIC
from dulcimer.observe import PDU_EVENTS, EventObserver
from dulcimer.presentation import NO_REASON, PresentationContext
from dulcimer.protocol.association.config import EngineConfig
from dulcimer.protocol.association.engine import Engine
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.protocol.dimse.sinks import MemorySink
from dulcimer.protocol.wire.pdus import AssociateRJ, AssociateRQ, ProposedContext
from dulcimer.service_user import ServiceUser
from dulcimer.uids import screen_request

if TYPE_CHECKING:
    from dulcimer.acceptor import Policy
    from dulcimer.ae import ApplicationEntity
    from dulcimer.events import HandlerArgs
    from dulcimer.ops.lifecycle import Decision
    from dulcimer.protocol.association.contexts import Context
    from dulcimer.protocol.dimse.assembler import Message
    from dulcimer.protocol.dimse.commands import Value
    from dulcimer.protocol.dimse.sinks import Sink
    from dulcimer.quirks import Quirk

_LOGGER = logging.getLogger("dulcimer.association")
_QUIRKS = logging.getLogger("dulcimer.quirks")
# A library says nothing unless its user asks for it: `failure` tells what happened.
logging.getLogger("dulcimer").addHandler(logging.NullHandler())

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


class AssociationBase:
    """What both drivers' associations have in common."""

    def __init__(self, ae: ApplicationEntity, mode: str, settings: _config.Settings | None = None) -> None:
        self._ae = ae
        self.mode = mode
        self._settings = _config.settings(ae.config) if settings is None else settings
        self.requestor = ServiceUser(self, MODE_REQUESTOR)
        self.acceptor = ServiceUser(self, MODE_ACCEPTOR)
        self.connection_timeout: float | None = ae.connection_timeout
        self._config = EngineConfig(
            acse_timeout=ae.acse_timeout,
            dimse_timeout=ae.dimse_timeout,
            network_timeout=ae.network_timeout,
            max_data_set=ae.maximum_data_set,
            pad_ae_titles=not self._settings.USE_SHORT_DIMSE_AET,
            strict=ae.strict,
        )
        self._engine: Engine | None = None
        self._handlers = Handlers()
        self._lock = Lock()
        self._observer: EventObserver | None = None
        self._outcome: tuple[list[PresentationContext], list[PresentationContext]] | None = None
        self._failure: Failure | None = None
        self._name: str | None = None
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
    def name(self) -> str:
        """A name for logs: its side and when it began, unless it was given another one."""
        if self._name is None:
            self._name = f"{self._mode.capitalize()}Thread@{datetime.now():%Y%m%d%H%M%S}"
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        self._name = value

    @property
    def settings(self) -> _config.Settings:
        """The settings of :mod:`dulcimer._config` that it began with."""
        return self._settings

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
        self._reconsider()

    def _reconsider(self) -> None:
        """Have the driver take note that the timeouts are other ones."""

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

    @property
    def quirks(self) -> list[Quirk]:
        """What the peer did that the Standard does not say or says otherwise, each kind once."""
        return [] if self._engine is None else list(self._engine.quirks)

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

    def __repr__(self) -> str:
        flags = ("established", "released", "rejected", "aborted")
        state = next((flag for flag in flags if getattr(self, f"is_{flag}")), "not established")
        return f"<Association with {self._peer_name() or 'nobody yet'} as {self._mode}, {state}>"

    # ---- for the drivers -----------------------------------------------------------------------------

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

    def _decide(self, policy: Policy, request: AssociateRQ) -> Decision:
        """Decide on an association request."""
        readable = acceptor.readable(request, self.settings)
        self.requestor.negotiated(readable)
        self.requestor.called_itself(readable.calling)
        self._happened(evt.EVT_REQUESTED)
        return acceptor.decide(self, policy, readable, request)

    def _accepted(self) -> None:
        self._happened(evt.EVT_ACCEPTED)
        if self.is_established:
            self._happened(evt.EVT_ESTABLISHED)

    def _happened(self, event: EventType, address: AddressInformation | None = None) -> None:
        if self._handlers.notified(event):
            evt.trigger(self, event, None if address is None else {"address": address.as_tuple})

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
        wanted = self._handlers.listen_to(OBSERVED) or (
            TRAFFIC.isEnabledFor(logging.DEBUG) and self.settings.LOG_HANDLER_LEVEL == "standard"
        )
        if wanted and self._observer is None:
            self._observer = EventObserver(self, logs=self.settings.LOG_HANDLER_LEVEL == "standard")
        elif not wanted:
            self._observer = None
        if self._engine is not None:
            self._watch(self._engine)

    def _watch(self, engine: Engine) -> None:
        observer = engine.observer = self._observer
        engine.tap = observer if observer is not None and self._handlers.listen_to(PDU_EVENTS) else None

    def _asked(self, message: Message, context: Context) -> tuple[Callable[..., Any], Event, list[Any]]:
        """Return the handler for a request and what it is called with: an event and further arguments."""
        field = message.command[e.COMMAND_FIELD]
        assert isinstance(field, int)
        if self.settings.screens_uids:
            screen_request(self.settings.VALIDATORS["UI"], message.command)
        event = _EVENTS[field]
        handler, args = self._handlers.of(event)
        sink = message.sink
        data = sink.stream if isinstance(sink, MemorySink) else None
        happened = Event.of_request(self, event, message.command, data, context)
        if sink is not None and data is None:
            happened.sink = sink
            if isinstance(sink, FileSink):
                _publish(sink)
                self._named_file()
                happened.path = sink.target
        return handler, happened, args or []  # type: ignore[return-value]

    def _named_file(self) -> None:
        """Have the driver take note that the file of a received data set got its name."""

    @staticmethod
    def _answered(message: Message) -> None:
        """Remove what was there for the handler of a request only."""
        if isinstance(message.sink, _TemporarySink):
            message.sink.remove()

    def ended(self) -> None:
        """Tell the program that the association is over."""
        failure = self.failure
        if failure is not None:
            _LOGGER.warning("Association with %s: %s", self._peer_name(), failure)
        if self.is_released:
            self._happened(evt.EVT_RELEASED)
        elif self.is_rejected:
            assert failure is not None
            self.acceptor.negotiated(
                AssociateRJ(failure.result or 0, failure.source or 0, failure.reason or 0)
            )
            self._happened(evt.EVT_REJECTED)
        else:
            self._happened(evt.EVT_ABORTED)

    def observed(self) -> None:
        """Tell the program what was observed since the last time."""
        if self._observer is not None:
            self._observer.deliver()

    def _peer_name(self) -> str:
        peer = self.acceptor if self.is_requestor else self.requestor
        where = "" if peer.address_info is None else f"{peer.address}:{peer.port}"
        return f"{peer.ae_title}@{where}" if peer.ae_title else where

    def _make_engine(self, max_length: int | None) -> Engine:
        if max_length is not None and max_length != self._config.max_length:
            self._config = replace(self._config, max_length=max_length)
        engine = Engine(self._config, requestor=self.is_requestor, open_sink=self._open_sink)
        engine.on_quirk = self._warn
        self._watch(engine)
        return engine

    def _warn(self, quirk: Quirk) -> None:
        engine = self._engine
        request = None if engine is None else engine.requested
        peer = self.acceptor if self.is_requestor else self.requestor
        where = peer.address_info
        _QUIRKS.warning(
            "%s: %s",
            self._peer_name(),
            quirk,
            extra={
                "quirk": quirk.identifier,
                "clause": quirk.clause,
                "detail": quirk.detail,
                "breaks_a_rule": quirk.breaks_a_rule,
                "peer_address": None if where is None else where.address,
                "peer_port": None if where is None else where.port,
                "calling_ae_title": None if request is None else request.calling,
                "called_ae_title": None if request is None else request.called,
            },
        )

    def _open_sink(self, context: Context, command: Mapping[int, Value]) -> Sink:
        """Choose where the data set of a request goes."""
        if command[e.COMMAND_FIELD] != m.C_STORE_RQ:
            return MemorySink(self._config.max_data_set)
        bound = self._handlers.asked(evt.EVT_C_STORE_OPEN)
        if bound is None:
            if self.settings.STORE_RECV_CHUNKED_DATASET:
                return _TemporarySink(self._head(context, command))
            return MemorySink(self._config.max_data_set)
        handler, args = bound
        happened = Event.of_request(self, evt.EVT_C_STORE_OPEN, command, None, context)
        chosen = handler(happened, *(args or ()))
        if chosen is None:
            return MemorySink(self._config.max_data_set)
        if isinstance(chosen, (Path, str, os.PathLike)):
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
