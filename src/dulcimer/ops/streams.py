"""Answering C-FIND, C-GET and C-MOVE: handlers that yield, sub-operations, cancels (PS3.7 9.1.2 to 9.1.4).

What a handler yields is taken one by one: the response to one is sent before the next is asked for, so that
neither side needs memory for more. Between two, what has come from the peer is looked at. A C-CANCEL that is
there when the handler yields a further match ends it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from pydicom.dataset import Dataset

from dulcimer.data import codec, part10
from dulcimer.data.bulk import without_bulk_data
from dulcimer.errors import AssociationError
from dulcimer.ops import answers, requests
from dulcimer.ops.answers import Answer
from dulcimer.ops.effects import POLL, Call, Operation
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.protocol.ul.states import State
from dulcimer.services import tables
from dulcimer.services.statuses import CANCEL, FAILURE, PENDING, SUCCESS, WARNING

if TYPE_CHECKING:
    from dulcimer.protocol.association.contexts import Context
    from dulcimer.protocol.association.engine import Engine
    from dulcimer.protocol.dimse.assembler import Message
    from dulcimer.protocol.dimse.commands import Value
    from dulcimer.services.statuses import Statuses

_LOGGER = logging.getLogger("dulcimer.service")

ANSWERING: Final = frozenset({State.STA6, State.STA8})
"""The states in which P-DATA can be sent (PS3.8 Table 9-10, Evt9)."""

STREAMED: Final = frozenset({m.C_FIND_RQ, m.C_GET_RQ, m.C_MOVE_RQ})
"""The requests that are answered by any number of responses."""

Instance = Dataset | str | Path
"""What a handler yields to be stored: a data set, or the path of a Part 10 file."""

_WITHOUT_BULK_DATA: Final = "1.2.840.10008.5.1.4.1.2.5.3"
"""Composite Instance Retrieve Without Bulk Data - GET (PS3.4 Annex Z)."""

_MOST_SUBOPERATIONS: Final = 0xFFFF
_END: Final = object()
_GO_ON: Final = (0xFF00, 0xFF01)
_TERMINATED: Final = Answer(0xFE00)

_UNENCODABLE_IDENTIFIER: Final = 0xC312
_NO_DESTINATION: Final = 0xC514
_INVALID_DESTINATION: Final = 0xC515
_UNKNOWN_DESTINATION: Final = 0xA801
_NO_NUMBER: Final = {m.C_GET_RQ: 0xC413, m.C_MOVE_RQ: 0xC513}
_TOO_MANY: Final = {m.C_GET_RQ: 0xC416, m.C_MOVE_RQ: 0xC516}


class Destination(Protocol):
    """An association with the move destination. Its methods are called as the user's code is."""

    def store(self, instance: Instance, msg_id: int, originator_aet: str, originator_id: int) -> int | None:
        """Store an instance; return the status, None if there was no answer."""

    def close(self) -> None:
        """Release the association."""


class Move(Protocol):
    """The user's side of a C-MOVE."""

    results: Iterator[Any]
    """What the handler yields."""

    originator_aet: str
    """The AE title that invoked the C-MOVE."""

    def connect(self, where: Any) -> Destination | None:
        """Open an association with the destination that the handler yielded; None if it does not come about.

        Raises
        ------
        Exception
            If ``where`` is no destination.
        """


class Answering:
    """A request that is being answered, and the responses to it."""

    def __init__(self, engine: Engine, message: Message, context: Context, statuses: Statuses) -> None:
        self.engine = engine
        self.context = context
        self.statuses = statuses
        self._command = command = message.command
        field, message_id = command[e.COMMAND_FIELD], command[e.MESSAGE_ID]
        assert isinstance(field, int) and isinstance(message_id, int)
        self.field = field
        self.message_id = message_id
        self.operation = m.MESSAGES[field].name.removesuffix("-RQ")

    @property
    def possible(self) -> bool:
        """Whether a response can still be sent."""
        return self.engine.state in ANSWERING

    @property
    def wanted(self) -> bool:
        """Whether the peer still waits for more: it has not cancelled and asked for no release."""
        return self.engine.state is State.STA6 and self.message_id not in self.engine.cancelled

    def category(self, status: int) -> str:
        """Return the category of a status, empty for one that the service does not have.

        Whatever service it is, the two pending statuses tell the peer to wait for more (PS3.7 9.1.2.1.5).
        """
        return PENDING if status in _GO_ON else self.statuses.get(status, ("", ""))[0]

    def send(
        self, answer: Answer, identifier: bytes | None = None, counts: Mapping[int, Value] | None = None
    ) -> None:
        """Queue a response."""
        command = answers.bare(self._command, self.field, self.context)
        command[e.STATUS] = answer.status
        if counts:
            command.update(counts)
        command.update(answer.fields)
        try:
            self.engine.send_message(self.context.id, command, identifier, self.engine.now)
        except Exception as error:
            # A status of more than 16 bits, tags that are none: the peer is answered all the same.
            _LOGGER.error("The answer to a %s cannot be sent", self.operation, exc_info=error)
            command = answers.bare(self._command, self.field, self.context)
            self.engine.send_message(self.context.id, command, None, self.engine.now)

    def encode(self, dataset: Dataset) -> bytes:
        """Encode an identifier in the transfer syntax of the context."""
        return codec.encode(dataset, codec.encoding_of(self.context.transfer_syntax))

    def raised(self, error: Exception, otherwise: int | None = None) -> Answer:
        """Return the answer to what a handler raised; ``otherwise`` if that has no code of its own."""
        answer = answers.from_exception(self.field, self.operation, error)
        generic = answers.HANDLER_RAISED[self.field]
        if answer.status in _GO_ON:
            # With this one the peer would wait for ever.
            answer = Answer(generic)
        return Answer(otherwise) if otherwise is not None and answer.status == generic else answer


def _iterate(yielded: Any) -> Any:
    """Return an iterator of what a handler returned; asynchronous if that is, which a driver awaits."""
    if yielded is None:
        return iter(())
    return aiter(yielded) if hasattr(yielded, "__aiter__") else iter(yielded)


def _next(results: Any) -> Any:
    return anext(results, _END) if hasattr(results, "__anext__") else next(results, _END)


def _close(results: Any) -> Any:
    close = getattr(results, "aclose", None) or getattr(results, "close", None)
    return None if close is None else close()


def _advance(answering: Answering, results: Iterator[Any]) -> Operation[Any]:
    """Have the handler yield once; return what it gave, and take note of what has come meanwhile."""
    result = yield Call(_next, (results,))
    yield POLL
    return result


def _end(results: Any) -> Operation[None]:
    """Let the handler clean up, whatever it has left to do."""
    try:
        yield Call(_close, (results,))
    except Exception as error:
        _LOGGER.error("A handler that was stopped raised %s", type(error).__name__, exc_info=error)


# ---- C-FIND ------------------------------------------------------------------------------------------


def find(answering: Answering, yielded: Any) -> Operation[None]:
    """Answer a C-FIND with what the handler yields: pairs of status and identifier (PS3.7 9.1.2)."""
    try:
        results = _iterate(yielded)
    except TypeError as error:
        answering.send(answering.raised(error))
        return
    final = yield from _matches(answering, results)
    yield from _end(results)
    if answering.possible:
        answering.send(final)


def _matches(answering: Answering, results: Iterator[Any]) -> Operation[Answer]:
    """Send the matches; return the final answer."""
    while True:
        try:
            result = yield from _advance(answering, results)
            if result is _END:
                return Answer(0x0000)
            status, identifier = result
        except Exception as error:
            return answering.raised(error)
        if not answering.possible:
            return _TERMINATED
        answer = answers.status_of(answering.operation, status)
        if answering.category(answer.status) != PENDING:
            if not answering.category(answer.status):
                answers.warn_unknown(answering.operation, answer.status)
            return answer
        if not answering.wanted:
            return _TERMINATED
        try:
            data = answering.encode(identifier)
        except Exception as error:
            _LOGGER.error("The identifier of a C-FIND response cannot be encoded", exc_info=error)
            data = b""
        if not data:
            return Answer(
                _UNENCODABLE_IDENTIFIER, {e.ERROR_COMMENT: "The response's identifier cannot be encoded"}
            )
        answering.send(answer, data)


# ---- C-GET and C-MOVE --------------------------------------------------------------------------------


class _Tally:
    """The counts of the sub-operations (PS3.7 9.1.3.1, 9.1.4.1)."""

    def __init__(self, number: int) -> None:
        self.number = self.remaining = number
        self.completed = self.failed = self.warning = 0
        self.failed_instances: list[str] = []

    def count(self, status: int | None, instance_uid: Callable[[], str]) -> None:
        """Count a sub-operation by the status of its C-STORE; None is one that had no answer."""
        category = FAILURE if status is None else tables.STORAGE_STATUSES.get(status, (FAILURE, ""))[0]
        self.remaining -= 1
        if category == SUCCESS:
            self.completed += 1
        elif category == WARNING:
            self.warning += 1
        else:
            self.failed += 1
            uid = instance_uid()
            if uid:
                self.failed_instances.append(uid)

    def counts(self, *, remaining: bool) -> dict[int, Value]:
        counts: dict[int, Value] = {
            e.NUMBER_OF_COMPLETED_SUBOPERATIONS: self.completed,
            e.NUMBER_OF_FAILED_SUBOPERATIONS: self.failed,
            e.NUMBER_OF_WARNING_SUBOPERATIONS: self.warning,
        }
        if remaining:
            counts[e.NUMBER_OF_REMAINING_SUBOPERATIONS] = self.remaining
        return counts

    def result(self) -> Answer:
        """Return the final answer when the handler has nothing more to say (PS3.4 C.4.2.1.5, C.4.3.1.4)."""
        if not (self.failed or self.warning):
            return Answer(0x0000)
        return Answer(0xB000 if self.completed or self.warning else 0xA702)


Store = Callable[[Instance, int], Operation[int | None]]
"""Performs a sub-operation with a message ID and returns the status of its C-STORE."""


def get(answering: Answering, yielded: Any) -> Operation[None]:
    """Answer a C-GET: the handler yields the number of sub-operations, then the instances (PS3.7 9.1.3)."""
    engine = answering.engine
    strip = answering.context.abstract_syntax == _WITHOUT_BULK_DATA

    def store(instance: Instance, msg_id: int) -> Operation[int | None]:
        if strip:
            instance = yield Call(without_bulk_data, (instance,))
        response = yield from requests.c_store(engine, instance, msg_id)
        return response.status

    number = yield from _number(answering, yielded)
    if number is not None:
        yield from _retrieve(answering, yielded, number, store)
    yield from _end(yielded)


def move(answering: Answering, move: Move) -> Operation[None]:
    """Answer a C-MOVE: the handler yields the destination, the number of sub-operations, the instances.

    See PS3.7 9.1.4.
    """
    results = move.results
    destination = None
    where = yield from _destination(answering, results)
    number = None if where is None else (yield from _number(answering, results))
    if number is not None:
        destination = yield from _connect(answering, move, where)
    if number is not None and destination is not None:
        store = _storing(answering, move, destination)
        yield from _retrieve(answering, results, number, store)
    yield from _end(results)
    if destination is not None:
        yield from _end(destination)


def _connect(answering: Answering, move: Move, where: Any) -> Operation[Destination | None]:
    """Open the association with the destination; None if that failed and has been answered."""
    try:
        destination: Destination | None = yield Call(move.connect, (where,))
    except Exception as error:
        if answering.possible:
            answering.send(answering.raised(error, _INVALID_DESTINATION))
        return None
    if destination is None and answering.possible:
        comment = "No association with the move destination"
        answering.send(Answer(_UNKNOWN_DESTINATION, {e.ERROR_COMMENT: comment}))
    return destination


def _storing(answering: Answering, move: Move, destination: Destination) -> Store:
    def store(instance: Instance, msg_id: int) -> Operation[int | None]:
        arguments = (instance, msg_id, move.originator_aet, answering.message_id)
        status: int | None = yield Call(destination.store, arguments)
        return status

    return store


def _destination(answering: Answering, results: Iterator[Any]) -> Operation[Any]:
    """Return what the handler yields first, None if that has been answered."""
    try:
        where = yield from _advance(answering, results)
        if where is _END:
            raise ValueError("the handler for C-MOVE has to yield the destination (address, port) first")
    except Exception as error:
        if answering.possible:
            answering.send(answering.raised(error, _NO_DESTINATION))
        return None
    if not answering.possible:
        return None
    try:
        address, port = where[:2]
    except Exception as error:
        answering.send(answering.raised(error, _INVALID_DESTINATION))
        return None
    if address is None or port is None:
        answering.send(Answer(_UNKNOWN_DESTINATION))
        return None
    return where


def _number(answering: Answering, results: Iterator[Any]) -> Operation[int | None]:
    """Return how many sub-operations the handler announces, None if there are none and that is answered."""
    field = answering.field
    try:
        announced = yield from _advance(answering, results)
        if announced is _END:
            raise ValueError("the handler has to yield the number of sub-operations")
        number = int(announced)
    except Exception as error:
        if answering.possible:
            answering.send(answering.raised(error, _NO_NUMBER[field]))
        return None
    if not answering.possible:
        return None
    if number < 1:
        answering.send(Answer(0x0000), counts=_Tally(0).counts(remaining=False))
        return None
    if number > _MOST_SUBOPERATIONS:
        _LOGGER.error("The handler for %s announced %d sub-operations", answering.operation, number)
        answering.send(
            Answer(_TOO_MANY[field], {e.ERROR_COMMENT: "More than 65535 instances match the identifier"})
        )
        return None
    return number


def _retrieve(answering: Answering, results: Iterator[Any], number: int, store: Store) -> Operation[None]:
    """Perform the sub-operations and send the final response."""
    tally = _Tally(number)
    final, said = yield from _suboperations(answering, results, tally, store)
    if not answering.possible:
        return
    category = answering.category(final.status)
    if category == SUCCESS and (tally.failed or tally.warning):
        # The handler has said that this is all: of what it announced and did not yield nothing has failed.
        final, category = Answer(0xB000), WARNING
        tally.remaining = 0
    identifier: bytes | None = None
    if category in (CANCEL, FAILURE, WARNING):
        if not isinstance(said, Dataset) or "FailedSOPInstanceUIDList" not in said:
            said = Dataset()
            said.FailedSOPInstanceUIDList = tally.failed_instances
        try:
            identifier = answering.encode(said)
        except Exception as error:
            _LOGGER.error(
                "The identifier of a %s response cannot be encoded", answering.operation, exc_info=error
            )
    counts = tally.counts(remaining=category == CANCEL)
    if category in (FAILURE, WARNING):
        # What the handler did not come to has failed.
        counts[e.NUMBER_OF_FAILED_SUBOPERATIONS] = tally.failed + tally.remaining
    answering.send(final, identifier, counts)


def _suboperations(
    answering: Answering, results: Iterator[Any], tally: _Tally, store: Store
) -> Operation[tuple[Answer, Any]]:
    """Store what the handler yields; return the final answer, and the data set that it gave with that."""
    sequence = answering.message_id
    while True:
        try:
            result = yield from _advance(answering, results)
            if result is _END:
                if tally.remaining:
                    _LOGGER.warning(
                        "The handler for %s announced %d sub-operations and ended %d before",
                        answering.operation,
                        tally.number,
                        tally.remaining,
                    )
                return tally.result(), None
            if not tally.remaining:
                _LOGGER.warning(
                    "The handler for %s yielded more than the %d sub-operations that it announced",
                    answering.operation,
                    tally.number,
                )
                return tally.result(), None
            status, instance = result
        except Exception as error:
            return answering.raised(error), None
        if not answering.possible:
            return _TERMINATED, None
        answer = answers.status_of(answering.operation, status)
        category = answering.category(answer.status)
        if category != PENDING:
            if not category:
                answers.warn_unknown(answering.operation, answer.status)
            return answer, instance
        if not answering.wanted:
            return _TERMINATED, None
        if not isinstance(instance, (str, Path)) and not instance:
            _LOGGER.warning(
                "The handler for %s yielded a pending status without a data set", answering.operation
            )
            continue
        sequence = sequence % 0xFFFF + 1
        stored: int | None = None
        try:
            if not isinstance(instance, Instance):
                raise TypeError(f"the handler yielded a {type(instance).__name__}, not a data set")
            stored = yield from store(instance, sequence)
        except AssociationError:
            return _TERMINATED, None
        except Exception as error:
            _LOGGER.error("A C-STORE sub-operation of a %s failed: %s", answering.operation, error)
        tally.count(stored, lambda: _instance_uid(instance))  # noqa: B023 (called at once)
        if not answering.possible:
            return _TERMINATED, None
        answering.send(answer, counts=tally.counts(remaining=True))


def _instance_uid(instance: Any) -> str:
    """Return the SOP Instance UID of what could not be stored, empty if it has none."""
    if isinstance(instance, Dataset):
        return str(instance.get("SOPInstanceUID") or "")
    try:
        return part10.scan(Path(instance)).sop_instance_uid
    except (OSError, TypeError, part10.NotPart10):
        return ""
