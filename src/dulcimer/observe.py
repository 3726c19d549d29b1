"""What passes through an engine, told to the handlers of notification events.

Nothing of this exists while nobody listens. The engine reports while it is at work, so reports are gathered
and delivered when it is not: a handler may use the association.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from pydicom.uid import UID

from dulcimer import events as evt
from dulcimer.pdu_primitives import A_ABORT, A_ASSOCIATE, A_P_ABORT, A_RELEASE
from dulcimer.protocol.dimse import commands
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse.messages import MESSAGES
from dulcimer.protocol.dimse.sinks import MemorySink
from dulcimer.protocol.wire.pdus import Abort, AssociateAC, AssociateRJ, AssociateRQ, ControlPDU, ReleaseRP

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from dulcimer.events import EventType
    from dulcimer.protocol.dimse.assembler import Message
    from dulcimer.protocol.dimse.commands import Value
    from dulcimer.protocol.ul.states import Event, State
    from dulcimer.protocol.ul.table import Action
    from dulcimer.protocol.wire.writer import DataSource

LOGGER: Final = logging.getLogger("dulcimer.traffic")
"""Shows every PDU and message at level DEBUG, without data sets."""

_OBVIOUS: Final = frozenset({e.COMMAND_GROUP_LENGTH, e.COMMAND_FIELD, e.COMMAND_DATA_SET_TYPE})

EVENTS: Final = (
    evt.EVT_ACSE_RECV,
    evt.EVT_ACSE_SENT,
    evt.EVT_DATA_RECV,
    evt.EVT_DATA_SENT,
    evt.EVT_DIMSE_RECV,
    evt.EVT_DIMSE_SENT,
    evt.EVT_FSM_TRANSITION,
    evt.EVT_PDU_RECV,
    evt.EVT_PDU_SENT,
)
"""The events that are reported by an engine."""


class ObservedMessage:
    """A DIMSE message as ``event.message`` gives it.

    Attributes
    ----------
    context_id
        The presentation context.
    name
        Such as ``"N-SET-RQ"``.
    """

    def __init__(self, context_id: int, command: Mapping[int, Value], data: BytesIO | None) -> None:
        self.context_id = context_id
        self._command = dict(command)
        self._data = data
        field = command.get(e.COMMAND_FIELD)
        self.name = MESSAGES[field].name if isinstance(field, int) and field in MESSAGES else "unknown"

    @property
    def command_set(self) -> Dataset:
        """The command set (PS3.7 E.1)."""
        from pydicom.filereader import read_dataset

        return read_dataset(BytesIO(commands.encode(self._command)), True, True)

    @property
    def encoded_command_set(self) -> BytesIO:
        """The command set as it travels."""
        return BytesIO(commands.encode(self._command))

    @property
    def data_set(self) -> BytesIO:
        """The encoded data set; empty without one, or if it was streamed."""
        return BytesIO() if self._data is None else BytesIO(self._data.getvalue())

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        """Say what it is without patient data: the command set has none."""
        parts = [f"{self.name} in context {self.context_id}"]
        for number, value in self._command.items():
            if number not in _OBVIOUS and number in e.ELEMENTS:
                shown = f"{value:04X}H" if number == e.STATUS and isinstance(value, int) else str(value)
                parts.append(f"{e.ELEMENTS[number].keyword} {shown}")
        if self._command.get(e.COMMAND_DATA_SET_TYPE, e.NO_DATA_SET) != e.NO_DATA_SET:
            parts.append("with a data set")
        return ", ".join(parts)


class EventObserver:
    """Reports what an engine does to the handlers that are bound to an association."""

    def __init__(self, assoc: Any) -> None:
        self._assoc = assoc
        self._reports: deque[tuple[EventType, dict[str, Any]]] = deque()

    def deliver(self) -> None:
        """Call the handlers for what was reported."""
        reports = self._reports
        while reports:
            try:
                event, attributes = reports.popleft()
            except IndexError:
                return
            evt.trigger(self._assoc, event, attributes)

    def transition(self, event: Event, action: Action, state: State, following: State) -> None:
        self._report(
            evt.EVT_FSM_TRANSITION,
            current_state=f"Sta{state.value}",
            fsm_event=f"Evt{event.value}",
            action=action.label,
            next_state=f"Sta{following.value}",
        )

    def control_sent(self, pdu: ControlPDU, encoded: bytes) -> None:
        _log("sent", pdu)
        self._report(evt.EVT_ACSE_SENT, primitive=_primitive(pdu))
        self._report(evt.EVT_PDU_SENT, pdu=pdu)
        self._report(evt.EVT_DATA_SENT, data=encoded)

    def control_received(self, pdu: ControlPDU, kind: int, body: bytes) -> None:
        _log("received", pdu)
        self._report(evt.EVT_DATA_RECV, data=bytes((kind, 0)) + len(body).to_bytes(4, "big") + body)
        self._report(evt.EVT_PDU_RECV, pdu=pdu)
        self._report(evt.EVT_ACSE_RECV, primitive=_primitive(pdu))

    def message_sent(self, context_id: int, command: Mapping[int, Value], data: DataSource | None) -> None:
        stream = None if data is None or callable(data) else BytesIO(data)
        observed = ObservedMessage(context_id, command, stream)
        LOGGER.debug("sent %s", observed)
        self._report(evt.EVT_DIMSE_SENT, message=observed)

    def message_received(self, message: Message) -> None:
        sink = message.sink
        stream = sink.stream if isinstance(sink, MemorySink) else None
        observed = ObservedMessage(message.context_id, message.command, stream)
        LOGGER.debug("received %s", observed)
        self._report(evt.EVT_DIMSE_RECV, message=observed)

    def unmatched(self, message: Message) -> None:
        LOGGER.debug("a response that answers nothing outstanding is ignored")

    def _report(self, event: EventType, **attributes: Any) -> None:
        if self._assoc.get_handlers(event):
            self._reports.append((event, attributes))


def _log(what: str, pdu: ControlPDU) -> None:
    if not LOGGER.isEnabledFor(logging.DEBUG):
        return
    match pdu:
        case AssociateRQ():
            LOGGER.debug("%s A-ASSOCIATE-RQ: %s calls %s, %s", what, pdu.calling, pdu.called, pdu.user)
            for proposed in pdu.contexts:
                LOGGER.debug(
                    "  context %d: %s in %s",
                    proposed.id,
                    UID(proposed.abstract_syntax).name,
                    ", ".join(UID(syntax).name for syntax in proposed.transfer_syntaxes),
                )
        case AssociateAC():
            LOGGER.debug("%s A-ASSOCIATE-AC: %s", what, pdu.user)
            for answer in pdu.contexts:
                accepted = UID(answer.transfer_syntax).name
                outcome = accepted if not answer.result else f"rejected ({answer.result})"
                LOGGER.debug("  context %d: %s", answer.id, outcome)
        case _:
            LOGGER.debug("%s %s", what, pdu)


def _primitive(pdu: ControlPDU) -> A_ASSOCIATE | A_RELEASE | A_ABORT | A_P_ABORT:
    if isinstance(pdu, (AssociateRQ, AssociateAC, AssociateRJ)):
        return A_ASSOCIATE.from_wire(pdu)
    if isinstance(pdu, Abort):
        if pdu.source == 0:
            abort = A_ABORT()
            abort.abort_source = 0
            return abort
        provider = A_P_ABORT()
        provider.provider_reason = pdu.reason if pdu.reason in (0, 1, 2, 4, 5, 6) else 0
        return provider
    release = A_RELEASE()
    if isinstance(pdu, ReleaseRP):
        release.result = "affirmative"
    return release


__all__ = ["EVENTS", "EventObserver", "ObservedMessage"]
