"""What an answer is for a program: a status as a data set, and the data set that came with it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from pydicom.dataset import Dataset

from dulcimer.data.small import status_data_set
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.services.statuses import CANCEL, FAILURE, PENDING, SUCCESS, WARNING
from dulcimer.status import code_to_category

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dulcimer.ops.requests import Response
    from dulcimer.protocol.dimse.commands import Value

_LOGGER = logging.getLogger("dulcimer.association")

Pair = tuple[Dataset, "Dataset | None"]
"""A status, and the data set that came with it."""

_RELATED: Final = (e.OFFENDING_ELEMENT, e.ERROR_COMMENT, e.ERROR_ID, e.ATTRIBUTE_IDENTIFIER_LIST)
_OF_ITS_OWN: Final[Mapping[object, tuple[int, ...]]] = {
    m.N_CREATE_RSP: (e.AFFECTED_SOP_INSTANCE_UID,),
    m.N_EVENT_REPORT_RSP: (e.AFFECTED_SOP_CLASS_UID, e.AFFECTED_SOP_INSTANCE_UID, e.EVENT_TYPE_ID),
}
"""Further elements of a status, by the response that they are of (PS3.7 10.1.1.1, 10.1.5.1)."""
_WITH_DATA_SET: Final = (SUCCESS, WARNING)
"""The categories of DIMSE-N responses that have a data set, which may be empty."""
_WITH_IDENTIFIER: Final = (CANCEL, FAILURE, WARNING)
"""The categories of final C-GET and C-MOVE responses that list what failed (PS3.4 C.4.2.1.4.2)."""
_COUNTS: Final = (
    e.NUMBER_OF_REMAINING_SUBOPERATIONS,
    e.NUMBER_OF_COMPLETED_SUBOPERATIONS,
    e.NUMBER_OF_FAILED_SUBOPERATIONS,
    e.NUMBER_OF_WARNING_SUBOPERATIONS,
)


def status_of(response: Response | None) -> Dataset:
    """Return the status of a response with the fields that go with it; empty if there was no response."""
    if response is None:
        return Dataset()
    status = status_data_set(response.status)
    command = response.command
    for number in _RELATED:
        if number in command:
            _copy_field(status, number, command[number])
    for number in _OF_ITS_OWN.get(command[e.COMMAND_FIELD], ()):
        value = command.get(number)
        if value or value == 0:
            _copy_field(status, number, value)
    return status


def _copy_field(status: Dataset, number: int, value: Value) -> None:
    if isinstance(value, tuple):
        setattr(status, e.ELEMENTS[number].keyword, list(value) if len(value) != 1 else value[0])
    else:
        setattr(status, e.ELEMENTS[number].keyword, value)


def pair_of(response: Response | None) -> Pair:
    """Return the status of a response and the data set that came with it.

    Where a success or a warning came without one it is empty. Without a response the status is empty.
    """
    if response is None:
        return Dataset(), None
    try:
        dataset = response.dataset()
        if dataset is None and code_to_category(response.status) in _WITH_DATA_SET:
            dataset = Dataset()
        return status_of(response), dataset
    except Exception as error:
        _LOGGER.error("The data set of a response cannot be decoded: %s", error)
        undecodable = Dataset()
        undecodable.Status = 0x0110
        return undecodable, None


def identifier_of(response: Response) -> Dataset | None:
    """Return the identifier of a response: empty where it is missing, None if it cannot be decoded."""
    try:
        identifier = response.dataset()
    except Exception as error:
        _LOGGER.error("The identifier of a response cannot be decoded: %s", error)
        return None
    return Dataset() if identifier is None else identifier


def match_of(response: Response | None) -> Pair:
    """Return what a C-FIND response says: a match comes with the pending statuses only."""
    if response is None:
        return Dataset(), None
    pending = code_to_category(response.status) == PENDING
    return status_of(response), identifier_of(response) if pending else None


def progress_of(response: Response | None) -> Pair:
    """Return what a C-GET or C-MOVE response says: the counts, and at the end what failed."""
    if response is None:
        return Dataset(), None
    status = status_of(response)
    for number in _COUNTS:
        if number in response.command:
            _copy_field(status, number, response.command[number])
    tells = code_to_category(response.status) in _WITH_IDENTIFIER
    return status, identifier_of(response) if tells else None
