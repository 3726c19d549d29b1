"""The 23 DIMSE messages, a row each (PS3.7 9.3 and 10.3).

Every message also has a Command Group Length, a Command Field and a Command Data Set Type; they are the
protocol's own and not repeated in the rows. A response may further carry the status related fields of PS3.7
Annex C: Offending Element, Error Comment, Error ID and Attribute Identifier List.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from dulcimer.protocol.dimse.elements import (
    ACTION_TYPE_ID,
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    ATTRIBUTE_IDENTIFIER_LIST,
    EVENT_TYPE_ID,
    MESSAGE_ID,
    MESSAGE_ID_BEING_RESPONDED_TO,
    MOVE_DESTINATION,
    MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE,
    MOVE_ORIGINATOR_MESSAGE_ID,
    NUMBER_OF_COMPLETED_SUBOPERATIONS,
    NUMBER_OF_FAILED_SUBOPERATIONS,
    NUMBER_OF_REMAINING_SUBOPERATIONS,
    NUMBER_OF_WARNING_SUBOPERATIONS,
    PRIORITY,
    REQUESTED_SOP_CLASS_UID,
    REQUESTED_SOP_INSTANCE_UID,
    STATUS,
)

C_STORE_RQ: Final = 0x0001
C_STORE_RSP: Final = 0x8001
C_GET_RQ: Final = 0x0010
C_GET_RSP: Final = 0x8010
C_FIND_RQ: Final = 0x0020
C_FIND_RSP: Final = 0x8020
C_MOVE_RQ: Final = 0x0021
C_MOVE_RSP: Final = 0x8021
C_ECHO_RQ: Final = 0x0030
C_ECHO_RSP: Final = 0x8030
C_CANCEL_RQ: Final = 0x0FFF
N_EVENT_REPORT_RQ: Final = 0x0100
N_EVENT_REPORT_RSP: Final = 0x8100
N_GET_RQ: Final = 0x0110
N_GET_RSP: Final = 0x8110
N_SET_RQ: Final = 0x0120
N_SET_RSP: Final = 0x8120
N_ACTION_RQ: Final = 0x0130
N_ACTION_RSP: Final = 0x8130
N_CREATE_RQ: Final = 0x0140
N_CREATE_RSP: Final = 0x8140
N_DELETE_RQ: Final = 0x0150
N_DELETE_RSP: Final = 0x8150


class DataSetPresence(Enum):
    """Whether a data set follows the command set."""

    ABSENT = "absent"
    OPTIONAL = "optional"
    REQUIRED = "required"


class MessageType(NamedTuple):
    """One DIMSE message: which elements its command set has, and whether a data set follows."""

    name: str
    field: int
    request: bool
    mandatory: tuple[int, ...]
    optional: tuple[int, ...]
    data_set: DataSetPresence


_ABSENT, _OPTIONAL, _REQUIRED = DataSetPresence

_REQUEST_OF_CLASS = (AFFECTED_SOP_CLASS_UID, MESSAGE_ID)
_REQUEST_WITH_PRIORITY = (*_REQUEST_OF_CLASS, PRIORITY)
_REQUEST_ON_INSTANCE = (REQUESTED_SOP_CLASS_UID, MESSAGE_ID, REQUESTED_SOP_INSTANCE_UID)
_RESPONSE = (MESSAGE_ID_BEING_RESPONDED_TO, STATUS)
_CLASS = (AFFECTED_SOP_CLASS_UID,)
_CLASS_AND_INSTANCE = (AFFECTED_SOP_CLASS_UID, AFFECTED_SOP_INSTANCE_UID)
_ORIGINATOR = (MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE, MOVE_ORIGINATOR_MESSAGE_ID)
_SUBOPERATIONS = (
    NUMBER_OF_REMAINING_SUBOPERATIONS,
    NUMBER_OF_COMPLETED_SUBOPERATIONS,
    NUMBER_OF_FAILED_SUBOPERATIONS,
    NUMBER_OF_WARNING_SUBOPERATIONS,
)


def _request(
    name: str,
    field: int,
    mandatory: tuple[int, ...],
    data_set: DataSetPresence,
    optional: tuple[int, ...] = (),
) -> MessageType:
    return MessageType(name, field, True, mandatory, optional, data_set)


def _response(name: str, field: int, optional: tuple[int, ...], data_set: DataSetPresence) -> MessageType:
    return MessageType(name, field, False, _RESPONSE, optional, data_set)


MESSAGES: Final[dict[int, MessageType]] = {
    message.field: message
    for message in (
        _request(
            "C-STORE-RQ",
            C_STORE_RQ,
            (*_REQUEST_WITH_PRIORITY, AFFECTED_SOP_INSTANCE_UID),
            _REQUIRED,
            _ORIGINATOR,
        ),
        _response("C-STORE-RSP", C_STORE_RSP, _CLASS_AND_INSTANCE, _ABSENT),
        _request("C-FIND-RQ", C_FIND_RQ, _REQUEST_WITH_PRIORITY, _REQUIRED),
        _response("C-FIND-RSP", C_FIND_RSP, _CLASS, _OPTIONAL),
        _request("C-GET-RQ", C_GET_RQ, _REQUEST_WITH_PRIORITY, _REQUIRED),
        _response("C-GET-RSP", C_GET_RSP, _CLASS + _SUBOPERATIONS, _OPTIONAL),
        _request("C-MOVE-RQ", C_MOVE_RQ, (*_REQUEST_WITH_PRIORITY, MOVE_DESTINATION), _REQUIRED),
        _response("C-MOVE-RSP", C_MOVE_RSP, _CLASS + _SUBOPERATIONS, _OPTIONAL),
        _request("C-ECHO-RQ", C_ECHO_RQ, _REQUEST_OF_CLASS, _ABSENT),
        _response("C-ECHO-RSP", C_ECHO_RSP, _CLASS, _ABSENT),
        # Not confirmed, and the only request without a message ID of its own (PS3.7 9.3.2.3).
        _request("C-CANCEL-RQ", C_CANCEL_RQ, (MESSAGE_ID_BEING_RESPONDED_TO,), _ABSENT),
        _request(
            "N-EVENT-REPORT-RQ",
            N_EVENT_REPORT_RQ,
            (*_REQUEST_OF_CLASS, AFFECTED_SOP_INSTANCE_UID, EVENT_TYPE_ID),
            _OPTIONAL,
        ),
        _response("N-EVENT-REPORT-RSP", N_EVENT_REPORT_RSP, (*_CLASS_AND_INSTANCE, EVENT_TYPE_ID), _OPTIONAL),
        _request("N-GET-RQ", N_GET_RQ, _REQUEST_ON_INSTANCE, _ABSENT, (ATTRIBUTE_IDENTIFIER_LIST,)),
        _response("N-GET-RSP", N_GET_RSP, _CLASS_AND_INSTANCE, _OPTIONAL),
        _request("N-SET-RQ", N_SET_RQ, _REQUEST_ON_INSTANCE, _REQUIRED),
        _response("N-SET-RSP", N_SET_RSP, _CLASS_AND_INSTANCE, _OPTIONAL),
        _request("N-ACTION-RQ", N_ACTION_RQ, (*_REQUEST_ON_INSTANCE, ACTION_TYPE_ID), _OPTIONAL),
        _response("N-ACTION-RSP", N_ACTION_RSP, (*_CLASS_AND_INSTANCE, ACTION_TYPE_ID), _OPTIONAL),
        _request("N-CREATE-RQ", N_CREATE_RQ, _REQUEST_OF_CLASS, _OPTIONAL, (AFFECTED_SOP_INSTANCE_UID,)),
        _response("N-CREATE-RSP", N_CREATE_RSP, _CLASS_AND_INSTANCE, _OPTIONAL),
        _request("N-DELETE-RQ", N_DELETE_RQ, _REQUEST_ON_INSTANCE, _ABSENT),
        _response("N-DELETE-RSP", N_DELETE_RSP, _CLASS_AND_INSTANCE, _ABSENT),
    )
}
"""The messages by Command Field."""


def class_element(field: int) -> int | None:
    """Return which element names the SOP class in this message, None if none does (C-CANCEL-RQ)."""
    return _first_of(field, (AFFECTED_SOP_CLASS_UID, REQUESTED_SOP_CLASS_UID))


def instance_element(field: int) -> int | None:
    """Return which element names the SOP instance in this message, None if none does."""
    return _first_of(field, (AFFECTED_SOP_INSTANCE_UID, REQUESTED_SOP_INSTANCE_UID))


def _first_of(field: int, candidates: tuple[int, ...]) -> int | None:
    message = MESSAGES.get(field)
    if message is None:
        return None
    return next((item for item in candidates if item in message.mandatory + message.optional), None)
