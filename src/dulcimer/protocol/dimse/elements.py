"""The elements of a command set, group 0000 (PS3.7 Annex E.1).

A command set is a ``dict`` keyed by the constants below. Retired elements (PS3.7 E.2) have no row: they are
kept as bytes when a peer sends them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

COMMAND_GROUP_LENGTH: Final = 0x0000
AFFECTED_SOP_CLASS_UID: Final = 0x0002
REQUESTED_SOP_CLASS_UID: Final = 0x0003
COMMAND_FIELD: Final = 0x0100
MESSAGE_ID: Final = 0x0110
MESSAGE_ID_BEING_RESPONDED_TO: Final = 0x0120
MOVE_DESTINATION: Final = 0x0600
PRIORITY: Final = 0x0700
COMMAND_DATA_SET_TYPE: Final = 0x0800
STATUS: Final = 0x0900
OFFENDING_ELEMENT: Final = 0x0901
ERROR_COMMENT: Final = 0x0902
ERROR_ID: Final = 0x0903
AFFECTED_SOP_INSTANCE_UID: Final = 0x1000
REQUESTED_SOP_INSTANCE_UID: Final = 0x1001
EVENT_TYPE_ID: Final = 0x1002
ATTRIBUTE_IDENTIFIER_LIST: Final = 0x1005
ACTION_TYPE_ID: Final = 0x1008
NUMBER_OF_REMAINING_SUBOPERATIONS: Final = 0x1020
NUMBER_OF_COMPLETED_SUBOPERATIONS: Final = 0x1021
NUMBER_OF_FAILED_SUBOPERATIONS: Final = 0x1022
NUMBER_OF_WARNING_SUBOPERATIONS: Final = 0x1023
MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE: Final = 0x1030
MOVE_ORIGINATOR_MESSAGE_ID: Final = 0x1031

NO_DATA_SET: Final = 0x0101
"""The Command Data Set Type of a message without a data set; any other value announces one."""


class Element(NamedTuple):
    """One row of PS3.7 Table E.1-1."""

    number: int
    keyword: str
    vr: str
    vm: str


ELEMENTS: Final[dict[int, Element]] = {
    element.number: element
    for element in (
        Element(COMMAND_GROUP_LENGTH, "CommandGroupLength", "UL", "1"),
        Element(AFFECTED_SOP_CLASS_UID, "AffectedSOPClassUID", "UI", "1"),
        Element(REQUESTED_SOP_CLASS_UID, "RequestedSOPClassUID", "UI", "1"),
        Element(COMMAND_FIELD, "CommandField", "US", "1"),
        Element(MESSAGE_ID, "MessageID", "US", "1"),
        Element(MESSAGE_ID_BEING_RESPONDED_TO, "MessageIDBeingRespondedTo", "US", "1"),
        Element(MOVE_DESTINATION, "MoveDestination", "AE", "1"),
        Element(PRIORITY, "Priority", "US", "1"),
        Element(COMMAND_DATA_SET_TYPE, "CommandDataSetType", "US", "1"),
        Element(STATUS, "Status", "US", "1"),
        Element(OFFENDING_ELEMENT, "OffendingElement", "AT", "1-n"),
        Element(ERROR_COMMENT, "ErrorComment", "LO", "1"),
        Element(ERROR_ID, "ErrorID", "US", "1"),
        Element(AFFECTED_SOP_INSTANCE_UID, "AffectedSOPInstanceUID", "UI", "1"),
        Element(REQUESTED_SOP_INSTANCE_UID, "RequestedSOPInstanceUID", "UI", "1"),
        Element(EVENT_TYPE_ID, "EventTypeID", "US", "1"),
        Element(ATTRIBUTE_IDENTIFIER_LIST, "AttributeIdentifierList", "AT", "1-n"),
        Element(ACTION_TYPE_ID, "ActionTypeID", "US", "1"),
        Element(NUMBER_OF_REMAINING_SUBOPERATIONS, "NumberOfRemainingSuboperations", "US", "1"),
        Element(NUMBER_OF_COMPLETED_SUBOPERATIONS, "NumberOfCompletedSuboperations", "US", "1"),
        Element(NUMBER_OF_FAILED_SUBOPERATIONS, "NumberOfFailedSuboperations", "US", "1"),
        Element(NUMBER_OF_WARNING_SUBOPERATIONS, "NumberOfWarningSuboperations", "US", "1"),
        Element(MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE, "MoveOriginatorApplicationEntityTitle", "AE", "1"),
        Element(MOVE_ORIGINATOR_MESSAGE_ID, "MoveOriginatorMessageID", "US", "1"),
    )
}
