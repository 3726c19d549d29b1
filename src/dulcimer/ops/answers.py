"""What the user's code gives, or does wrong, as a response (PS3.7 9.1, 10.1, Annex C)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dulcimer.data import codec
from dulcimer.errors import Refused
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.services.statuses import FAILURE, SUCCESS, WARNING

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement

    from dulcimer.protocol.association.contexts import Context
    from dulcimer.protocol.dimse.commands import Value
    from dulcimer.services.statuses import Statuses

_LOGGER = logging.getLogger("dulcimer.service")

NO_STATUS: Final = 0xC001
INVALID_STATUS: Final = 0xC002
PROCESSING_FAILURE: Final = 0x0110
OUT_OF_RESOURCES: Final = 0xA700
HANDLER_RAISED: Final = {
    m.C_ECHO_RQ: 0x0000,
    m.C_STORE_RQ: 0xC211,
    m.C_FIND_RQ: 0xC311,
    m.C_GET_RQ: 0xC411,
    m.C_MOVE_RQ: 0xC511,
}
"""What a peer is answered when the handler raises; 0110H for all DIMSE-N services."""

_UNDECODABLE: Final = {
    m.C_STORE_RQ: 0xC210,
    m.C_FIND_RQ: 0xC310,
    m.C_GET_RQ: 0xC410,
    m.C_MOVE_RQ: 0xC510,
}
"""What a peer is answered whose data set is none; 0110H for all DIMSE-N services."""

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


def from_sink(error: Exception) -> Answer:
    if isinstance(error, Refused):
        return from_refusal(error)
    _LOGGER.error("A data set could not be kept: %s", error)
    comment = error.strerror if isinstance(error, OSError) else str(error)
    return Answer(OUT_OF_RESOURCES, {e.ERROR_COMMENT: _comment(comment or type(error).__name__)})


def from_exception(field: int, operation: str, error: Exception) -> Answer:
    if isinstance(error, Refused):
        return from_refusal(error)
    if isinstance(error, NotImplementedError):
        _LOGGER.error("%s: %s", operation, error or "no handler is bound to its event")
    else:
        _LOGGER.error("The handler for %s raised %s", operation, type(error).__name__, exc_info=error)
    if field == m.C_ECHO_RQ:
        return Answer(0x0000)
    if isinstance(error, UndecodableDataSet) and field in _UNDECODABLE:
        return Answer(_UNDECODABLE[field])
    return Answer(HANDLER_RAISED.get(field, PROCESSING_FAILURE))


def from_refusal(error: Refused) -> Answer:
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


def from_result(field: int, operation: str, result: Any, statuses: Statuses) -> Answer:
    dataset: Any = None
    if field not in _NO_DATASET:
        try:
            result, dataset = result
        except Exception:
            _LOGGER.error("The handler for %s gave no pair of status and data set", operation)
            return Answer(PROCESSING_FAILURE)
    answer = status_of(operation, result)
    category = statuses.get(answer.status, ("", ""))[0] if answer.status else SUCCESS
    if not category:
        warn_unknown(operation, answer.status)
    if category in _WITH_DATASET and dataset and not isinstance(dataset, Dataset):
        _LOGGER.error("The handler for %s gave a %s for a data set", operation, type(dataset).__name__)
        return Answer(PROCESSING_FAILURE)
    if category not in _WITH_DATASET or not isinstance(dataset, Dataset):
        if dataset is not None and category == FAILURE:
            _LOGGER.debug(
                "The data set of a %s response with status %04X is not sent", operation, answer.status
            )
        return answer
    return answer._replace(dataset=dataset)


def status_of(operation: str, result: Any) -> Answer:
    """Return the status that a handler gave: an int, or a data set with the fields that go with it."""
    if type(result) is int and 0 <= result <= 0xFFFF:
        return Answer(result)
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
    return Answer(status, fields)


def warn_unknown(operation: str, status: int) -> None:
    """Tell of a status that the service does not have; it is sent all the same."""
    _LOGGER.warning("The handler for %s gave status %04X, unknown to its service", operation, status)


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
        number = int(value)
        if not 0 <= number <= 0xFFFF:
            raise ValueError(f"{number} has more than 16 bits")
        return number
    if vr == "AT":
        return tuple(int(Tag(tag)) for tag in ([value] if element.VM == 1 else value))
    if vr == "LO":
        # A backslash has made several values of a comment.
        return _comment("/".join(value) if element.VM > 1 else str(value))
    text = str(value)
    if not text.isascii():
        raise ValueError(f"{text!r} is no UID")
    return text


def response(
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


def bare(request: Mapping[int, Value], field: int, context: Context) -> dict[int, Value]:
    """Return a response of nothing but what it must have."""
    return {
        e.AFFECTED_SOP_CLASS_UID: context.abstract_syntax,
        e.COMMAND_FIELD: field | 0x8000,
        e.MESSAGE_ID_BEING_RESPONDED_TO: request[e.MESSAGE_ID],
        e.STATUS: HANDLER_RAISED.get(field, PROCESSING_FAILURE),
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
