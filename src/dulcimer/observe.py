"""What passes through an engine, told to the handlers of notification events.

Nothing of this exists while nobody listens. The engine reports while it is at work, so reports are gathered
and delivered when it is not: a handler may use the association. What is gathered is delivered before more is
sent or received, so that it stays within one PDU sent, and one receive buffer and one PDU received; only what
arrives while the peer is slow to take a PDU is kept until it has.

What was received is told of in the order ``EVT_DATA_RECV``, ``EVT_PDU_RECV``, ``EVT_FSM_TRANSITION``,
``EVT_ACSE_RECV``; a message (``EVT_DIMSE_RECV``) comes before the transition of the P-DATA-TF that completes
it. What is sent is told of as ``EVT_ACSE_SENT`` or ``EVT_DIMSE_SENT`` when it is requested, and as
``EVT_DATA_SENT`` and ``EVT_PDU_SENT`` when it goes out.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from pydicom.uid import UID

from dulcimer import dimse_messages, identifiers, pdu
from dulcimer import events as evt
from dulcimer.failure import Party
from dulcimer.pdu_primitives import A_ABORT, A_ASSOCIATE, A_P_ABORT, A_RELEASE
from dulcimer.protocol.association.reasons import aborted, rejected
from dulcimer.protocol.dimse.sinks import MemorySink
from dulcimer.protocol.ul.states import Event, State
from dulcimer.protocol.ul.table import Action
from dulcimer.protocol.wire.pdus import (
    Abort,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    ControlPDU,
    ReleaseRP,
    ReleaseRQ,
    RoleSelection,
    UserInformation,
)

if TYPE_CHECKING:
    from dulcimer.addresses import AddressInformation
    from dulcimer.dimse_messages import DIMSEMessage
    from dulcimer.events import EventType
    from dulcimer.protocol.dimse.assembler import Message
    from dulcimer.protocol.dimse.commands import Value
    from dulcimer.protocol.wire.writer import DataSource

LOGGER: Final = logging.getLogger("dulcimer.traffic")
"""Shows association PDUs and messages at level DEBUG, without data sets."""

PDU_EVENTS: Final[frozenset[EventType]] = frozenset(
    {
        evt.EVT_DATA_RECV,
        evt.EVT_DATA_SENT,
        evt.EVT_FSM_TRANSITION,
        evt.EVT_PDU_RECV,
        evt.EVT_PDU_SENT,
    }
)
"""The events for which P-DATA-TF PDUs are put together: they are told of for each PDU."""

EVENTS: Final[frozenset[EventType]] = PDU_EVENTS | {
    evt.EVT_ACSE_RECV,
    evt.EVT_ACSE_SENT,
    evt.EVT_DIMSE_RECV,
    evt.EVT_DIMSE_SENT,
}
"""The events that are reported by an engine."""

_CONFIRMING: Final = frozenset({Action.AE_3, Action.AE_4, Action.AR_3, Action.AR_10})
_INDICATING: Final = frozenset({Action.AE_6, Action.AR_2, Action.AR_8, Action.AA_3})
"""The actions that pass what was received on to the local user (PS3.8 Tables 9-6 to 9-9)."""

_REQUESTED: Final = frozenset({Event.EVT7, Event.EVT8, Event.EVT11, Event.EVT14, Event.EVT15})
"""The primitives of the local user for which a PDU is sent at once."""

_NO_REASON: Final = 0


class EventObserver:
    """Reports what an engine does to the handlers that are bound to an association.

    Parameters
    ----------
    assoc
        The association.
    logs
        Whether it also writes to the log.
    """

    def __init__(self, assoc: Any, *, logs: bool = True) -> None:
        self._assoc = assoc
        self._logs = logs
        self._reports: deque[tuple[EventType, dict[str, Any]]] = deque()
        self._lock = Lock()
        self._delivering = False
        self._latest: tuple[Event, Action] | None = None
        self._received: ControlPDU | None = None

    def deliver(self) -> None:
        """Call the handlers for what was reported, in order.

        One thread at a time does; what another one reports meanwhile, or a handler causes, is its business.
        """
        with self._lock:
            if self._delivering:
                return
            self._delivering = True
        try:
            while True:
                with self._lock:
                    if not self._reports:
                        self._delivering = False
                        return
                    event, attributes = self._reports.popleft()
                evt.trigger(self._assoc, event, attributes)
        except BaseException:
            # A handler ends the thread, with SystemExit for example.
            self._delivering = False
            raise

    def requesting(
        self, request: AssociateRQ, calling: AddressInformation | None, called: AddressInformation | None
    ) -> None:
        """Report that an association is requested, before there is a connection for it."""
        if self._assoc.get_handlers(evt.EVT_ACSE_SENT):
            primitive = A_ASSOCIATE.from_wire(request)
            primitive.calling_presentation_address = calling
            primitive.called_presentation_address = called
            self._report(evt.EVT_ACSE_SENT, primitive=primitive)

    # ---- what an engine tells ------------------------------------------------------------------------

    def transition(self, event: Event, action: Action, state: State, following: State) -> None:
        self._latest = event, action
        self._report(
            evt.EVT_FSM_TRANSITION,
            current_state=f"Sta{state.value}",
            fsm_event=f"Evt{event.value}",
            action=action.label,
            next_state=f"Sta{following.value}",
        )
        if action is Action.AA_4:
            self._report(evt.EVT_ACSE_RECV, primitive=pdu.abort_primitive(2, _NO_REASON))
        elif action in _CONFIRMING or (action in _INDICATING and following is not State.STA13):
            received = self._received
            if received is not None and self._assoc.get_handlers(evt.EVT_ACSE_RECV):
                self._report(evt.EVT_ACSE_RECV, primitive=_primitive(received))

    def control_sent(self, sent: ControlPDU, encoded: bytes) -> None:
        if self._logs:
            _log("sent", sent)
        event, action = self._latest or (None, None)
        if event in _REQUESTED:
            if self._assoc.get_handlers(evt.EVT_ACSE_SENT):
                primitive = _primitive(sent)
                if isinstance(primitive, A_ASSOCIATE) and isinstance(sent, AssociateAC):
                    # The PDU has the IDs only.
                    contexts = self._assoc.accepted_contexts + self._assoc.rejected_contexts
                    contexts.sort(key=lambda context: context.context_id)
                    primitive.presentation_context_definition_results_list = contexts
                self._report(evt.EVT_ACSE_SENT, primitive=primitive)
        elif action is Action.AA_8 and isinstance(sent, Abort):
            # The service provider aborts, and tells both users.
            self._report(evt.EVT_ACSE_RECV, primitive=_primitive(sent))

    def control_received(self, received: ControlPDU, kind: int, body: bytes) -> None:
        if self._logs:
            _log("received", received)
        self._received = received
        if self._assoc.get_handlers(evt.EVT_PDU_RECV):
            encoded = bytes((kind, 0)) + len(body).to_bytes(4, "big") + body
            self._report(evt.EVT_PDU_RECV, pdu=pdu.parse(encoded))

    def message_sent(self, context_id: int, command: Mapping[int, Value], data: DataSource | None) -> None:
        if self._message_wanted(evt.EVT_DIMSE_SENT):
            stream = None if data is None or callable(data) else BytesIO(data)
            self._message(evt.EVT_DIMSE_SENT, "sent", dimse_messages.message(context_id, command, stream))

    def message_received(self, message: Message) -> None:
        if self._message_wanted(evt.EVT_DIMSE_RECV):
            sink = message.sink
            stream = sink.stream if isinstance(sink, MemorySink) else None
            observed = dimse_messages.message(message.context_id, message.command, stream)
            self._message(evt.EVT_DIMSE_RECV, "received", observed)

    def unmatched(self, message: Message) -> None:
        if self._logs:
            LOGGER.debug("a response that answers nothing outstanding is ignored")

    # ---- what its tap tells --------------------------------------------------------------------------

    def pdu_received(self, encoded: bytes) -> None:
        self._report(evt.EVT_DATA_RECV, data=encoded)

    def data_received(self, encoded: bytes) -> None:
        self._report(evt.EVT_PDU_RECV, pdu=pdu.parse(encoded))

    def pdu_sent(self, encoded: bytes) -> None:
        self._report(evt.EVT_DATA_SENT, data=encoded)
        self._report(evt.EVT_PDU_SENT, pdu=pdu.parse(encoded))

    def _message_wanted(self, event: EventType) -> bool:
        return (self._logs and LOGGER.isEnabledFor(logging.DEBUG)) or bool(self._assoc.get_handlers(event))

    def _message(self, event: EventType, what: str, message: DIMSEMessage) -> None:
        if self._logs:
            LOGGER.debug("%s %s", what, message)
        if identifiers.LOGGER.isEnabledFor(logging.DEBUG):
            contexts = {context.context_id: context for context in self._assoc.accepted_contexts}
            found = contexts.get(message.context_id)
            syntax = found.transfer_syntax[0] if found else None
            field = message.command_set.CommandField
            identifiers.log(self._assoc.settings, field, message.data_set, syntax)
        self._report(event, message=message)

    def _report(self, event: EventType, **attributes: Any) -> None:
        if self._assoc.get_handlers(event):
            self._reports.append((event, attributes))


def _log(what: str, value: ControlPDU) -> None:
    if not LOGGER.isEnabledFor(logging.DEBUG):
        return
    match value:
        case AssociateRQ():
            LOGGER.debug(
                "%s A-ASSOCIATE-RQ: %s calls %s; %s", what, value.calling, value.called, _offers(value.user)
            )
            for proposed in value.contexts:
                LOGGER.debug(
                    "  context %d: %s in %s",
                    proposed.id,
                    UID(proposed.abstract_syntax).name,
                    ", ".join(UID(syntax).name for syntax in proposed.transfer_syntaxes),
                )
        case AssociateAC():
            LOGGER.debug("%s A-ASSOCIATE-AC: %s", what, _offers(value.user))
            for answer in value.contexts:
                accepted = UID(answer.transfer_syntax).name
                outcome = accepted if not answer.result else f"rejected ({answer.result})"
                LOGGER.debug("  context %d: %s", answer.id, outcome)
        case AssociateRJ():
            why = rejected(value, Party.PEER)
            LOGGER.debug(
                "%s A-ASSOCIATE-RJ: %s, %s (%s)", what, why.result_text, why.reason_text, why.source_text
            )
        case Abort():
            why = aborted(value, Party.PEER)
            LOGGER.debug("%s A-ABORT: %s", what, " ".join(filter(None, (why.source_text, why.reason_text))))
        case ReleaseRQ():
            LOGGER.debug("%s A-RELEASE-RQ", what)
        case ReleaseRP():
            LOGGER.debug("%s A-RELEASE-RP", what)


def _offers(user: UserInformation) -> str:
    """Return the User Information in words, without credentials."""
    names = filter(None, (user.implementation_version_name, user.implementation_class_uid))
    parts = [f"maximum length {user.max_length or 'unlimited'}", f"implementation {' '.join(names)}"]
    parts += [f"{UID(role.sop_class).name} as {_roles(role)}" for role in user.roles]
    if (window := user.async_operations) is not None:
        parts.append(f"asynchronous operations {window.invoked} invoked, {window.performed} performed")
    parts += [f"extended negotiation of {UID(item.sop_class).name}" for item in user.extended]
    parts += [f"common extended negotiation of {UID(item.sop_class).name}" for item in user.common_extended]
    if (identity := user.user_identity) is not None:
        parts.append(f"user identity of type {identity.type}")
    if user.identity_response is not None:
        parts.append("an answer to the user identity")
    return ", ".join(parts)


def _roles(role: RoleSelection) -> str:
    return " and ".join(name for name, taken in (("SCU", role.scu), ("SCP", role.scp)) if taken) or "neither"


def _primitive(value: ControlPDU) -> A_ASSOCIATE | A_RELEASE | A_ABORT | A_P_ABORT:
    if isinstance(value, (AssociateRQ, AssociateAC, AssociateRJ)):
        return A_ASSOCIATE.from_wire(value)
    if isinstance(value, Abort):
        return pdu.abort_primitive(value.source, value.reason)
    release = A_RELEASE()
    if isinstance(value, ReleaseRP):
        release.result = "affirmative"
    return release


__all__ = ["EVENTS", "PDU_EVENTS", "EventObserver"]
