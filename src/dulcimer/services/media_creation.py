"""The rules of Media Creation Management (PS3.4 Annex S), as pure functions over data sets.

Execution Status (2100,0020) of a request::

    N-CREATE ──► IDLE ──N-ACTION 1──► PENDING ──► CREATING ──► DONE, FAILURE   (final)
                   │                     └──N-ACTION 2──► removed
                   └──N-ACTION 2──► removed

Where the Standard is silent
----------------------------
- A request that was cancelled is gone: a later N-GET is answered 0112H.
- N-ACTION 2 of a request that failed: C201H, it is over as well.
- Requested Media Application Profile, labels and icons are kept as requested and not acted upon: the media
  are a file-set in a folder.
- Of a request that fails the media are not finished: FAILURE, and the instances that were missing are in the
  Failed SOP Sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Final

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from dulcimer.errors import Refused
from dulcimer.services.rules import Level, check
from dulcimer.services.rules.tables import Demand, table_for
from dulcimer.services.storage_commitment import Failed, Reference, reference_item

MEDIA_CREATION: Final = "1.2.840.10008.5.1.1.33"

INITIATE: Final = 1
CANCEL: Final = 2

IDLE: Final = "IDLE"
PENDING: Final = "PENDING"
CREATING: Final = "CREATING"
DONE: Final = "DONE"
FAILURE: Final = "FAILURE"

NORMAL: Final = "NORMAL"
QUEUED: Final = "QUEUED"
NO_INSTANCE: Final = "NO_INSTANCE"
MEDIA_FAILURE: Final = "MCD_FAILURE"
"""Values of Execution Status Info (2100,0030), PS3.3 C.22.1."""

ALREADY_INITIATED: Final = 0xA510
ALREADY_COMPLETED: Final = 0xC201
IN_PROGRESS: Final = 0xC202
DENIED: Final = 0xC203

_CREATED_BY_SCP: Final = (
    "ExecutionStatus",
    "ExecutionStatusInfo",
    "TotalNumberOfPiecesOfMediaCreated",
    "FailedSOPSequence",
    "ReferencedStorageMediaSequence",
)


def create(attributes: Dataset, *, level: Level = "standard") -> tuple[Dataset, list[str]]:
    """Apply the rules of N-CREATE (S.3.2.1) and return the request to store, and notes."""
    request = deepcopy(attributes)
    notes = check("N-CREATE", MEDIA_CREATION, request, level=level).enforce(request)
    for keyword in (*_CREATED_BY_SCP, "SOPClassUID", "SOPInstanceUID"):
        if keyword in request:
            del request[keyword]
    return with_status(request, IDLE, NORMAL), notes


def initiate(stored: Dataset, information: Dataset | None, *, level: Level = "standard") -> Dataset:
    """Apply the rules of N-ACTION 1 (S.3.2.2): the request is queued.

    Raises
    ------
    Refused
        A510H if it was initiated before.
    """
    if status_of(stored) != IDLE:
        raise Refused(ALREADY_INITIATED, "Media creation was already initiated for this request")
    request = with_status(deepcopy(stored), PENDING, QUEUED)
    if information is not None:
        check("N-ACTION 1", MEDIA_CREATION, information, level=level).enforce(information)
        for keyword in ("NumberOfCopies", "RequestPriority"):
            if information.get(keyword) is not None:
                request[keyword] = deepcopy(information[keyword])
    return request


def cancel(stored: Dataset) -> None:
    """Apply the rules of N-ACTION 2 (S.3.2.3); if it returns, the request is to be removed.

    Raises
    ------
    Refused
        C201H if it is over, C202H if the media are being created.
    """
    status = status_of(stored)
    if status in (DONE, FAILURE):
        raise Refused(ALREADY_COMPLETED, "The media creation request is already completed")
    if status == CREATING:
        raise Refused(IN_PROGRESS, "The media are being created, which cannot be interrupted")


def begun(stored: Dataset) -> Dataset:
    """Return a request whose media are being created."""
    return with_status(deepcopy(stored), CREATING, NORMAL)


def finished(stored: Dataset, media: Sequence[tuple[str, str]]) -> Dataset:
    """Return a request that is done.

    Parameters
    ----------
    stored
        The request.
    media
        The media that were made: File-set ID and UID of each.
    """
    request = with_status(deepcopy(stored), DONE, NORMAL)
    request.TotalNumberOfPiecesOfMediaCreated = len(media)
    items = []
    for file_set_id, uid in media:
        item = Dataset()
        item.StorageMediaFileSetID = file_set_id
        item.StorageMediaFileSetUID = uid
        items.append(item)
    request.ReferencedStorageMediaSequence = items
    return request


def failed(stored: Dataset, info: str, missing: Iterable[Failed] = ()) -> Dataset:
    """Return a request that has failed, with the instances that are to blame."""
    request = with_status(deepcopy(stored), FAILURE, info)
    items = []
    for each in missing:
        item = reference_item(Reference(each.sop_class_uid, each.instance_uid))
        item.FailureReason = each.reason
        items.append(item)
    request.FailedSOPSequence = items
    request.TotalNumberOfPiecesOfMediaCreated = 0
    return request


def retrieve(stored: Dataset, identifiers: Sequence[int]) -> tuple[Dataset, tuple[int, ...]]:
    """Apply the rules of N-GET (S.3.2.4): the attributes to answer, and the tags that are not supported."""
    table = table_for(MEDIA_CREATION, "N-GET")
    assert table is not None
    answer, unsupported = Dataset(), []
    for tag in identifiers or [*table.rows, *(int(tag) for tag in stored.keys())]:  # noqa: SIM118
        row = table.rows.get(int(tag))
        if tag in stored:
            answer[tag] = stored[tag]
        elif row is not None and row.scp.demand is Demand.PRESENCE:
            answer.add_new(tag, dictionary_VR(tag), None)
        elif identifiers:
            unsupported.append(int(tag))
    return answer, tuple(unsupported)


def references(request: Dataset) -> list[Reference]:
    """Return the instances that a request wants on the media, each once."""
    found = {
        Reference(str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)): None
        for item in request.get("ReferencedSOPSequence") or ()
    }
    return list(found)


def status_of(request: Dataset) -> str:
    """Execution Status."""
    return str(request.get("ExecutionStatus", "")).strip()


def with_status(request: Dataset, status: str, info: str) -> Dataset:
    """Set Execution Status and Execution Status Info of a request, and return it."""
    request.ExecutionStatus = status
    request.ExecutionStatusInfo = info
    return request
