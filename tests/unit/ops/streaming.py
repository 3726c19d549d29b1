"""A peer that asks an engine for matches or instances: no thread, no socket, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset

from dulcimer.data import codec
from dulcimer.ops.effects import Call, Operation, Wait
from dulcimer.ops.provide import provide
from dulcimer.protocol.association.config import EngineConfig
from dulcimer.protocol.association.engine import Engine
from dulcimer.protocol.association.negotiate import Supported, as_acceptor
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.protocol.dimse.assembler import Message
from dulcimer.protocol.dimse.sinks import MemorySink
from dulcimer.protocol.wire import codec as wire
from dulcimer.protocol.wire.pdus import (
    AssociateAC,
    AssociateRQ,
    ControlPDU,
    ProposedContext,
    RoleSelection,
    UserInformation,
)
from unit.protocol.engines import CT_IMAGE, IMPLICIT, message_bytes, output, parse, receive

STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
WITHOUT_BULK_DATA = "1.2.840.10008.5.1.4.1.2.5.3"
RELEVANT_PATIENT = "1.2.840.10008.5.1.4.37.1"
UPS_PULL = "1.2.840.10008.5.1.4.34.6.3"
UPS_PUSH = "1.2.840.10008.5.1.4.34.6.1"

FIND, MOVE, GET, BULKLESS, RELEVANT, PULL, PUSH, CT = 1, 3, 5, 7, 9, 11, 13, 15
CLASSES = (
    STUDY_FIND,
    STUDY_MOVE,
    STUDY_GET,
    WITHOUT_BULK_DATA,
    RELEVANT_PATIENT,
    UPS_PULL,
    UPS_PUSH,
    CT_IMAGE,
)
REQUEST = AssociateRQ(
    "CALLED",
    "CALLING",
    tuple(ProposedContext(2 * number + 1, uid, (IMPLICIT,)) for number, uid in enumerate(CLASSES)),
    UserInformation(16382, "1.2.3", roles=(RoleSelection(CT_IMAGE, True, True),)),
)
SUPPORTED = {uid: Supported((IMPLICIT,), True, True) for uid in CLASSES}

FIELDS = {"C-FIND": m.C_FIND_RQ, "C-GET": m.C_GET_RQ, "C-MOVE": m.C_MOVE_RQ}
ENCODING = codec.encoding_of(IMPLICIT)


class Stuck(AssertionError):
    """A conversation that waits for something that does not come."""


class Peer:
    """The SCU of a C-FIND, C-GET or C-MOVE, beside the engine that answers it.

    Attributes
    ----------
    engine
        The acceptor's, which is tested.
    responses
        What it answered to the request, in order.
    stores
        The C-STORE sub-operations that it invoked.
    control
        The other PDUs that it sent.
    store_status
        What the sub-operations are answered: one status for each, the last for all others too; None for no
        answer.
    """

    def __init__(self) -> None:
        self.engine = Engine(EngineConfig(), requestor=False)
        self.engine.connected(0.0)
        receive(self.engine, wire.encode(REQUEST))
        assert self.engine.requested is not None
        decided = as_acceptor(self.engine.requested, SUPPORTED)
        user = UserInformation(16382, "1.2.4", roles=decided.roles)
        self.engine.accept(AssociateAC("CALLED", "CALLING", decided.results, user), decided.contexts, 0.0)
        output(self.engine)
        self.responses: list[Message] = []
        self.stores: list[Message] = []
        self.control: list[ControlPDU] = []
        self.store_status: list[int | None] = [0x0000]
        self.on_store: Callable[[], None] | None = None
        self._coming = b""

    # ---- what it does --------------------------------------------------------------------------------

    def cancel(self, message_id: int = 7, context_id: int = FIND) -> None:
        """Have a C-CANCEL arrive the next time somebody looks."""
        self._coming += message_bytes(
            context_id, {e.COMMAND_FIELD: m.C_CANCEL_RQ, e.MESSAGE_ID_BEING_RESPONDED_TO: message_id}
        )

    def send(self, pdu: ControlPDU) -> None:
        """Have a PDU arrive the next time somebody looks."""
        self._coming += wire.encode(pdu)

    def ask(
        self,
        handler: Any,
        operation: str = "C-FIND",
        *,
        context_id: int | None = None,
        message_id: int = 7,
        identifier: Dataset | bytes | None = None,
    ) -> list[Message]:
        """Invoke an operation, have it answered, and return the responses.

        ``handler`` is called with the request's message and returns what the conversation is to be given.
        """
        if context_id is None:
            context_id = {"C-FIND": FIND, "C-GET": GET, "C-MOVE": MOVE}[operation]
        if not isinstance(identifier, bytes):
            identifier = codec.encode(identifier or dataset(PatientName="*"), ENCODING)
        command: dict[int, Any] = {
            e.COMMAND_FIELD: FIELDS[operation],
            e.MESSAGE_ID: message_id,
            e.AFFECTED_SOP_CLASS_UID: CLASSES[context_id // 2],
            e.PRIORITY: 0,
        }
        if operation == "C-MOVE":
            command[e.MOVE_DESTINATION] = "DESTINATION"
        before = len(self.responses)
        receive(self.engine, message_bytes(context_id, command, identifier))
        request = self.engine.requests.popleft()
        self.run(provide(self.engine, request, lambda message, context: handler(message)))
        return self.responses[before:]

    # ---- how it goes ---------------------------------------------------------------------------------

    def run(self, operation: Operation[Any]) -> Any:
        """Be the driver."""
        value: Any = None
        error: Exception | None = None
        while True:
            try:
                effect = operation.send(value) if error is None else operation.throw(error)
            except StopIteration as stop:
                self._take()
                return stop.value
            value = error = None
            if isinstance(effect, Call):
                self._take()
                try:
                    value = effect.function(*effect.arguments)
                except Exception as raised:
                    error = raised
                continue
            seen = self.engine.generation
            self.look()
            if isinstance(effect, Wait) and self.engine.generation == seen:
                raise Stuck

    def look(self) -> None:
        """Carry what there is both ways."""
        self._take()
        coming, self._coming = self._coming, b""
        if coming:
            receive(self.engine, coming)

    def is_cancelled(self, message_id: int = 7) -> bool:
        """Tell what a handler is told that asks."""
        self.look()
        return message_id in self.engine.cancelled

    def _take(self) -> None:
        for sent in parse(output(self.engine)):
            if not isinstance(sent, Message):
                self.control.append(sent)
            elif sent.command[e.COMMAND_FIELD] == m.C_STORE_RQ:
                self._store(sent)
            else:
                self.responses.append(sent)

    def _store(self, request: Message) -> None:
        self.stores.append(request)
        status = self.store_status[min(len(self.stores), len(self.store_status)) - 1]
        if self.on_store is not None:
            self.on_store()
        if status is not None:
            self._coming += message_bytes(
                request.context_id,
                {
                    e.COMMAND_FIELD: m.C_STORE_RQ | 0x8000,
                    e.MESSAGE_ID_BEING_RESPONDED_TO: request.command[e.MESSAGE_ID],
                    e.AFFECTED_SOP_CLASS_UID: request.command[e.AFFECTED_SOP_CLASS_UID],
                    e.AFFECTED_SOP_INSTANCE_UID: request.command[e.AFFECTED_SOP_INSTANCE_UID],
                    e.STATUS: status,
                },
            )


class FakeMove:
    """The user's side of a C-MOVE with a destination that keeps what it is sent."""

    originator_aet = "CALLING"

    def __init__(self, results: Any, statuses: list[int | Exception | None] | None = None) -> None:
        self.results = results
        self.where: Any = None
        self.refuses = False
        self.error: Exception | None = None
        self.stored: list[tuple[Any, int, str, int]] = []
        self.closed = 0
        self._statuses: list[int | Exception | None] = statuses or [0x0000]

    def connect(self, where: Any) -> FakeMove | None:
        self.where = where
        if self.error is not None:
            raise self.error
        return None if self.refuses else self

    def store(self, instance: Any, msg_id: int, originator_aet: str, originator_id: int) -> int | None:
        self.stored.append((instance, msg_id, originator_aet, originator_id))
        status = self._statuses[min(len(self.stored), len(self._statuses)) - 1]
        if isinstance(status, Exception):
            raise status
        return status

    def close(self) -> None:
        self.closed += 1


def dataset(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def instance(number: int = 1, **elements: Any) -> Dataset:
    """Make an instance that can be stored."""
    made = dataset(SOPClassUID=CT_IMAGE, SOPInstanceUID=f"1.2.{number}", **elements)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = IMPLICIT
    return made


def statuses(responses: list[Message]) -> list[int]:
    return [int(message.command[e.STATUS]) for message in responses]  # type: ignore[arg-type]


def identifier_of(message: Message) -> Dataset | None:
    sink = message.sink
    if sink is None:
        return None
    assert isinstance(sink, MemorySink)
    return codec.decode(BytesIO(sink.stream.getvalue()), ENCODING)


def counts(message: Message) -> tuple[int | None, ...]:
    """Return remaining, completed, failed and warning sub-operations."""
    numbers = (
        e.NUMBER_OF_REMAINING_SUBOPERATIONS,
        e.NUMBER_OF_COMPLETED_SUBOPERATIONS,
        e.NUMBER_OF_FAILED_SUBOPERATIONS,
        e.NUMBER_OF_WARNING_SUBOPERATIONS,
    )
    return tuple(message.command.get(number) for number in numbers)  # type: ignore[misc]


def failed(message: Message) -> list[str] | None:
    """Return the Failed SOP Instance UID List, None without an identifier."""
    identifier = identifier_of(message)
    if identifier is None:
        return None
    value = identifier.FailedSOPInstanceUIDList
    return [str(value)] if isinstance(value, str) and value else [str(uid) for uid in value or ()]


def yields(*results: Any) -> Callable[[Any], Iterator[Any]]:
    """Make a handler that yields what is given, and raises what of it is an exception."""

    def handler(message: Any) -> Iterator[Any]:
        for result in results:
            if isinstance(result, Exception):
                raise result
            yield result

    return handler
