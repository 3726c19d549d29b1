"""DIMSE status codes, and the codes of each service class (PS3.7 Annex C, PS3.4).

The tables map a code to its category and meaning::

    >>> STORAGE_SERVICE_CLASS_STATUS[0xC123]
    ('Failure', 'Cannot understand')
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from dulcimer.services import statuses, tables
from dulcimer.services.statuses import Statuses

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = [
    "APPLICATION_EVENT_LOGGING_SERVICE_CLASS_STATUS",
    "GENERAL_STATUS",
    "MEDIA_CREATION_MANAGEMENT_SERVICE_CLASS_STATUS",
    "MODALITY_WORKLIST_SERVICE_CLASS_STATUS",
    "NON_PATIENT_SERVICE_CLASS_STATUS",
    "PRINT_JOB_MANAGEMENT_SERVICE_CLASS_STATUS",
    "PROCEDURE_STEP_STATUS",
    "QR_FIND_SERVICE_CLASS_STATUS",
    "QR_GET_SERVICE_CLASS_STATUS",
    "QR_MOVE_SERVICE_CLASS_STATUS",
    "RELEVANT_PATIENT_SERVICE_CLASS_STATUS",
    "RT_MACHINE_VERIFICATION_SERVICE_CLASS_STATUS",
    "STATUS_CANCEL",
    "STATUS_FAILURE",
    "STATUS_PENDING",
    "STATUS_SUCCESS",
    "STATUS_UNKNOWN",
    "STATUS_WARNING",
    "STORAGE_COMMITMENT_SERVICE_CLASS_STATUS",
    "STORAGE_MANAGEMENT_SERVICE_CLASS_STATUS",
    "STORAGE_SERVICE_CLASS_STATUS",
    "SUBSTANCE_ADMINISTRATION_SERVICE_CLASS_STATUS",
    "UNIFIED_PROCEDURE_STEP_SERVICE_CLASS_STATUS",
    "VERIFICATION_SERVICE_CLASS_STATUS",
    "Status",
    "code_to_category",
    "code_to_status",
]

STATUS_SUCCESS: Final = statuses.SUCCESS
STATUS_FAILURE: Final = statuses.FAILURE
STATUS_WARNING: Final = statuses.WARNING
STATUS_CANCEL: Final = statuses.CANCEL
STATUS_PENDING: Final = statuses.PENDING
STATUS_UNKNOWN: Final = statuses.UNKNOWN

GENERAL_STATUS: Final[Statuses] = tables.GENERAL
VERIFICATION_SERVICE_CLASS_STATUS: Final[Statuses] = tables.VERIFICATION.statuses
STORAGE_SERVICE_CLASS_STATUS: Final[Statuses] = tables.STORAGE_STATUSES
QR_FIND_SERVICE_CLASS_STATUS: Final[Statuses] = tables.FIND_STATUSES
QR_MOVE_SERVICE_CLASS_STATUS: Final[Statuses] = tables.MOVE_STATUSES
QR_GET_SERVICE_CLASS_STATUS: Final[Statuses] = tables.GET_STATUSES
MODALITY_WORKLIST_SERVICE_CLASS_STATUS: Final[Statuses] = tables.WORKLIST_STATUSES
RELEVANT_PATIENT_SERVICE_CLASS_STATUS: Final[Statuses] = tables.RELEVANT_PATIENT_STATUSES
SUBSTANCE_ADMINISTRATION_SERVICE_CLASS_STATUS: Final[Statuses] = tables.SUBSTANCE_ADMINISTRATION_STATUSES
NON_PATIENT_SERVICE_CLASS_STATUS: Final[Statuses] = tables.NON_PATIENT_OBJECT_STATUSES
PROCEDURE_STEP_STATUS: Final[Statuses] = tables.PROCEDURE_STEP_STATUSES
PRINT_JOB_MANAGEMENT_SERVICE_CLASS_STATUS: Final[Statuses] = tables.PRINT_STATUSES
STORAGE_COMMITMENT_SERVICE_CLASS_STATUS: Final[Statuses] = tables.STORAGE_COMMITMENT.statuses
APPLICATION_EVENT_LOGGING_SERVICE_CLASS_STATUS: Final[Statuses] = tables.APPLICATION_EVENT_STATUSES
MEDIA_CREATION_MANAGEMENT_SERVICE_CLASS_STATUS: Final[Statuses] = tables.MEDIA_CREATION_STATUSES
UNIFIED_PROCEDURE_STEP_SERVICE_CLASS_STATUS: Final[Statuses] = tables.UPS_STATUSES
RT_MACHINE_VERIFICATION_SERVICE_CLASS_STATUS: Final[Statuses] = tables.RT_VERIFICATION_STATUSES
STORAGE_MANAGEMENT_SERVICE_CLASS_STATUS: Final[Statuses] = tables.STORAGE_MANAGEMENT_STATUSES


def code_to_category(code: int) -> str:
    """Return the category of a status code (PS3.7 Annex C).

    Returns
    -------
    str
        ``"Success"``, ``"Failure"``, ``"Warning"``, ``"Cancel"``, ``"Pending"``, or ``"Unknown"`` for a code
        that the Standard has no place for.
    """
    _check(code)
    known = tables.GENERAL.get(code)
    if known is not None:
        return known[0]
    if code == 0x0001 or 0xB000 <= code <= 0xBFFF:
        return STATUS_WARNING
    if 0xA000 <= code <= 0xAFFF or 0xC000 <= code <= 0xCFFF:
        return STATUS_FAILURE
    return STATUS_PENDING if code in (0xFF00, 0xFF01) else STATUS_UNKNOWN


def code_to_status(code: int) -> Dataset:
    """Return a data set with ``code`` as its *Status* (0000,0900)."""
    from pydicom.dataset import Dataset

    _check(code)
    dataset = Dataset()
    dataset.Status = code
    return dataset


def _check(code: int) -> None:
    if not isinstance(code, int) or code < 0:
        raise ValueError("'code' must be a positive integer.")


class Status(IntEnum):
    """Names for status codes; :meth:`add` makes more."""

    SUCCESS = 0x0000
    CANCEL = 0xFE00
    PENDING = 0xFF00
    MOVE_DESTINATION_UNKNOWN = 0xA801

    @classmethod
    def add(cls, name: str, code: int) -> None:
        """Add a named status code.

        A code that has a name already gets a second one.

        Parameters
        ----------
        name
            The name of the new member.
        code
            Its status code.
        """
        known = cls.__members__.get(name)
        if known is not None:
            if known == code:
                return
            raise ValueError(f"Status.{name} is already 0x{known:04X}")
        member = cls._value2member_map_.get(code)
        if member is None:
            member = int.__new__(cls, code)
            member._name_ = name
            member._value_ = code
            cls._member_names_.append(name)
            cls._value2member_map_[code] = member
        setattr(cls, name, member)
        cls._member_map_[name] = member
