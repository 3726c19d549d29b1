"""Answering requests: what the user's code gives, or does wrong, as a response (PS3.7 9.1, 10.1, Annex C)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dulcimer.data import codec
from dulcimer.errors import Refused
from dulcimer.failure import Failure, FailureKind, Party
from dulcimer.ops.effects import Call, Operation
from dulcimer.protocol.association.contexts import Context
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.protocol.ul.states import State
from dulcimer.services import tables
from dulcimer.services.registry import service_for
from dulcimer.services.statuses import FAILURE, SUCCESS, WARNING

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement

    from dulcimer.protocol.association.engine import Engine
    from dulcimer.protocol.dimse.assembler import Message
    from dulcimer.protocol.dimse.commands import Value
    from dulcimer.services.statuses import Statuses

_LOGGER = logging.getLogger("dulcimer.service")

Respond = Callable[["Message", Context], Any]
"""The user's side: given a request and its context, it returns a status, or a status and a data set, or it
raises."""

NO_STATUS: Final = 0xC001
INVALID_STATUS: Final = 0xC002
PROCESSING_FAILURE: Final = 0x0110
OUT_OF_RESOURCES: Final = 0xA700
UNDECODABLE_DATA_SET: Final = 0xC210
_HANDLER_RAISED: Final = {
    m.C_ECHO_RQ: 0x0000,
    m.C_STORE_RQ: 0xC211,
    m.C_FIND_RQ: 0xC311,
    m.C_GET_RQ: 0xC411,
    m.C_MOVE_RQ: 0xC511,
}
"""What a peer is answered when the handler raises; 0110H for all DIMSE-N services."""

_MISSING: Final = {
    e.AFFECTED_SOP_INSTANCE_UID: (0x0117, "The command names no SOP instance"),
    e.REQUESTED_SOP_INSTANCE_UID: (0x0117, "The command names no SOP instance"),
    e.EVENT_TYPE_ID: (0x0113, "The command has no Event Type ID"),
    e.ACTION_TYPE_ID: (0x0123, "The command has no Action Type ID"),
}
"""The answers to requests without an element that nothing can stand in for (PS3.7 Annex C)."""

_STATUS_FIELDS: Final = {
    element.keyword: element
    for element in (
        e.ELEMENTS[number]
        for number in (
            e.OFFENDING_ELEMENT,
            e.ERROR_COMMENT,
            e.ERROR_ID,
            e.ATTRIBUTE_IDENTIFIER_LIST,
            e.AFFECTED_SOP_CLASS_UID,
            e.AFFECTED_SOP_INSTANCE_UID,
            e.EVENT_TYPE_ID,
            e.ACTION_TYPE_ID,
        )
    )
}
_ANSWERING: Final = frozenset({State.STA6, State.STA8})
"""The states in which P-DATA can be sent (PS3.8 Table 9-10, Evt9)."""

_AFFECTED_INSTANCE: Final = Tag(0x00001000)
_LONGEST_COMMENT: Final = 64
_NO_DATASET: Final = frozenset({m.C_STORE_RQ, m.C_ECHO_RQ, m.N_DELETE_RQ})
_WITH_DATASET: Final = frozenset({SUCCESS, WARNING})


class UndecodableDataSet(ValueError):
    """The data set of a request is no data set in the transfer syntax of its context."""


class Answer(NamedTuple):
    """What a response says: status, further elements of the command set, and the data set."""

    status: int
    fields: Mapping[int, Value] = {}
    dataset: Dataset | None = None


def provide(engine: Engine, message: Message, respond: Respond) -> Operation[None]:
    """Have a request answered by the user's code and send the response.

    Whatever that code does, the association lives on. It does not where the request has no place on its
    context: that is answered with A-ABORT. What comes while our own release is under way (AR-6) can be
    answered no more and is dropped: the peer knows that it had no answer.
    """
    if engine.state not in _ANSWERING:
        _give_up(message)
        return
    command = message.command
    field = command[e.COMMAND_FIELD]
    assert isinstance(field, int)
    context = engine.contexts[message.context_id]
    request = m.MESSAGES[field]
    service = service_for(context.abstract_syntax)
    if service is None and field == m.C_STORE_RQ:
        # Accepted as a storage SOP class that nobody knows.
        service = tables.STORAGE
    operation = request.name.removesuffix("-RQ")
    if service is None or operation not in service.all_operations or e.MESSAGE_ID not in command:
        what = (
            "has no Message ID"
            if e.MESSAGE_ID not in command
            else f"is not used by {context.abstract_syntax}"
        )
        engine.failure = Failure(
            FailureKind.PROTOCOL,
            Party.PEER,
            f"the peer sent a {operation} request that {what}",
            source=2,
            reason=5,
        )
        engine.abort(engine.now, 2, 5)
        _give_up(message)
        return
    answer = _refused_unread(message, request)
    if answer is not None:
        _give_up(message)
    else:
        try:
            result = yield Call(respond, (message, context))
        except Exception as error:
            answer = _from_exception(field, operation, error)
        else:
            answer = _from_result(field, operation, result, service.statuses)
    if engine.state not in _ANSWERING:
        return
    try:
        response, data = _encoded(answer, command, field, context)
        engine.send_message(context.id, response, data, engine.now)
    except Exception as error:
        # A status of more than 16 bits, tags that are none: the peer is answered all the same.
        _LOGGER.error("The answer of the handler for %s cannot be sent", operation, exc_info=error)
        engine.send_message(context.id, _bare(command, field, context), None, engine.now)


def _give_up(message: Message) -> None:
    """End the sink of a request that the user's code will not see."""
    if message.sink is not None:
        with suppress(Exception):
            message.sink.abort()


def _refused_unread(message: Message, request: m.MessageType) -> Answer | None:
    """Answer what the user's code need not see: a data set that could not be kept, an incomplete command."""
    if message.error is not None:
        return _from_sink(message.error)
    for number in request.mandatory:
        if number in _MISSING and not message.command.get(number) and message.command.get(number) != 0:
            status, comment = _MISSING[number]
            return Answer(status, {e.ERROR_COMMENT: comment})
    if request.data_set is m.DataSetPresence.REQUIRED and message.sink is None:
        return Answer(0x0212, {e.ERROR_COMMENT: "The request came without its data set"})
    return None


def _from_sink(error: Exception) -> Answer:
    if isinstance(error, Refused):
        return _from_refusal(error)
    _LOGGER.error("A data set could not be kept: %s", error)
    comment = error.strerror if isinstance(error, OSError) else str(error)
    return Answer(OUT_OF_RESOURCES, {e.ERROR_COMMENT: _comment(comment or type(error).__name__)})


def _from_exception(field: int, operation: str, error: Exception) -> Answer:
    if isinstance(error, Refused):
        return _from_refusal(error)
    if isinstance(error, NotImplementedError):
        _LOGGER.error("%s: %s", operation, error or "no handler is bound to its event")
    else:
        _LOGGER.error("The handler for %s raised %s", operation, type(error).__name__, exc_info=error)
    if field == m.C_ECHO_RQ:
        return Answer(0x0000)
    status = _HANDLER_RAISED.get(field, PROCESSING_FAILURE)
    if field == m.C_STORE_RQ and isinstance(error, UndecodableDataSet):
        status = UNDECODABLE_DATA_SET
    return Answer(status)


def _from_refusal(error: Refused) -> Answer:
    fields: dict[int, Value] = {}
    if error.comment:
        fields[e.ERROR_COMMENT] = _comment(str(error.comment))
    if error.error_id is not None:
        fields[e.ERROR_ID] = error.error_id
    if error.attributes:
        fields[e.ATTRIBUTE_IDENTIFIER_LIST] = error.attributes
    if error.offending:
        fields[e.OFFENDING_ELEMENT] = error.offending
    return Answer(error.status, fields, error.values)


def _from_result(field: int, operation: str, result: Any, statuses: Statuses) -> Answer:
    dataset: Any = None
    if field not in _NO_DATASET:
        try:
            result, dataset = result
        except Exception:
            _LOGGER.error("The handler for %s gave no pair of status and data set", operation)
            return Answer(PROCESSING_FAILURE)
    fields: Mapping[int, Value] = {}
    if isinstance(result, Dataset):
        if "Status" not in result:
            _LOGGER.error("The handler for %s gave a status data set without (0000,0900) Status", operation)
            return Answer(NO_STATUS)
        try:
            status = int(result.Status)
            fields = _fields(result, operation)
        except Exception as error:
            _LOGGER.error("The handler for %s gave a status that is none", operation, exc_info=error)
            return Answer(INVALID_STATUS)
    elif isinstance(result, int):
        status = int(result)
    else:
        _LOGGER.error("The handler for %s gave a status that is neither an int nor a Dataset", operation)
        return Answer(INVALID_STATUS)
    if not 0 <= status <= 0xFFFF:
        _LOGGER.error("The handler for %s gave %d, a status has 16 bits", operation, status)
        return Answer(INVALID_STATUS)
    category = statuses.get(status, ("", ""))[0]
    if not category:
        _LOGGER.warning("The handler for %s gave status %04X, unknown to its service", operation, status)
    if category not in _WITH_DATASET or not isinstance(dataset, Dataset):
        if dataset is not None and category == FAILURE:
            _LOGGER.debug("The data set of a %s response with status %04X is not sent", operation, status)
        dataset = None
    return Answer(status, fields, dataset)


def _fields(status: Dataset, operation: str) -> dict[int, Value]:
    """Return the status related elements of a handler's status data set (PS3.7 Annex C)."""
    fields: dict[int, Value] = {}
    for element in status:
        known = _STATUS_FIELDS.get(element.keyword)
        if known is None:
            if element.keyword != "Status":
                _LOGGER.warning("A %s response cannot carry %s", operation, element.tag)
            continue
        if element.is_empty:
            continue
        try:
            fields[known.number] = _value(known.vr, element)
        except (TypeError, ValueError):
            _LOGGER.warning("A %s response cannot carry this %s", operation, element.keyword)
    return fields


def _value(vr: str, element: DataElement) -> Value:
    value: Any = element.value
    if vr == "US":
        return int(value)
    if vr == "AT":
        return tuple(int(Tag(tag)) for tag in ([value] if element.VM == 1 else value))
    if vr == "LO":
        # A backslash has made several values of a comment.
        return _comment("/".join(value) if element.VM > 1 else str(value))
    return str(value)


def _encoded(
    answer: Answer, request: Mapping[int, Value], field: int, context: Context
) -> tuple[dict[int, Value], bytes | None]:
    """Return the command set and the encoded data set of a response."""
    command: dict[int, Value] = {
        e.AFFECTED_SOP_CLASS_UID: request.get(e.AFFECTED_SOP_CLASS_UID)
        or request.get(e.REQUESTED_SOP_CLASS_UID)
        or context.abstract_syntax,
        e.COMMAND_FIELD: field | 0x8000,
        e.MESSAGE_ID_BEING_RESPONDED_TO: request[e.MESSAGE_ID],
        e.STATUS: answer.status,
    }
    instance = request.get(e.AFFECTED_SOP_INSTANCE_UID) or request.get(e.REQUESTED_SOP_INSTANCE_UID)
    if instance:
        command[e.AFFECTED_SOP_INSTANCE_UID] = instance
    for echoed in (e.EVENT_TYPE_ID, e.ACTION_TYPE_ID):
        if echoed in request and field in (m.N_EVENT_REPORT_RQ, m.N_ACTION_RQ):
            command[echoed] = request[echoed]
    command.update(answer.fields)
    dataset = answer.dataset
    if field == m.N_CREATE_RQ and e.AFFECTED_SOP_INSTANCE_UID not in command and answer.status == 0x0000:
        uid, dataset = _made_up_instance(dataset)
        if not uid:
            _LOGGER.error(
                "The N-CREATE request names no instance: the handler has to put the one that it made up into "
                "the attribute list, as (0000,1000) Affected SOP Instance UID"
            )
            command[e.STATUS] = PROCESSING_FAILURE
            return command, None
        command[e.AFFECTED_SOP_INSTANCE_UID] = uid
    if dataset is None or not len(dataset):
        return command, None
    try:
        return command, codec.encode(dataset, codec.encoding_of(context.transfer_syntax))
    except Exception as error:
        _LOGGER.error("The data set of a response cannot be encoded", exc_info=error)
        command[e.STATUS] = PROCESSING_FAILURE
        command[e.ERROR_COMMENT] = "The response's data set cannot be encoded"
        return command, None


def _bare(request: Mapping[int, Value], field: int, context: Context) -> dict[int, Value]:
    """Return a response of nothing but what it must have."""
    return {
        e.AFFECTED_SOP_CLASS_UID: context.abstract_syntax,
        e.COMMAND_FIELD: field | 0x8000,
        e.MESSAGE_ID_BEING_RESPONDED_TO: request[e.MESSAGE_ID],
        e.STATUS: _HANDLER_RAISED.get(field, PROCESSING_FAILURE),
    }


def _made_up_instance(dataset: Dataset | None) -> tuple[str, Dataset | None]:
    """Take the Affected SOP Instance UID out of an attribute list: its place is the command set."""
    if dataset is None:
        return "", None
    if _AFFECTED_INSTANCE in dataset:
        uid = str(dataset[_AFFECTED_INSTANCE].value)
        rest = Dataset()
        for element in dataset:
            if element.tag != _AFFECTED_INSTANCE:
                rest.add(element)
        return uid, rest
    return str(dataset.get("SOPInstanceUID") or ""), dataset


def _comment(text: str) -> str:
    # LO: 64 characters, and a backslash would separate values (PS3.5 6.2).
    return text.replace("\\", "/")[:_LONGEST_COMMENT]
