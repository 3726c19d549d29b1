"""Our own ends of queries and retrievals: an archive of a few instances, and a move destination."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset

from dulcimer import build_context, evt
from dulcimer.sop_class import (
    SecondaryCaptureImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
FIND = StudyRootQueryRetrieveInformationModelFind
GET = StudyRootQueryRetrieveInformationModelGet
MOVE = StudyRootQueryRetrieveInformationModelMove
CAPTURE = SecondaryCaptureImageStorage
MODELS = (FIND, GET, MOVE)

STUDY = "1.2.826.0.1.3680043.8.498.1"


def instance(number: int, size: int = 16) -> Dataset:
    """Make a small image."""
    made = Dataset()
    made.SOPClassUID = CAPTURE
    made.SOPInstanceUID = f"{STUDY}.1.{number}"
    made.StudyInstanceUID = STUDY
    made.SeriesInstanceUID = f"{STUDY}.1"
    made.PatientName = "Doe^Jane"
    made.PatientID = "ID-1"
    made.PatientBirthDate = "19700101"
    made.PatientSex = "O"
    made.StudyDate = "20240102"
    made.StudyTime = "103000"
    made.StudyID = "1"
    made.AccessionNumber = "A1"
    made.ReferringPhysicianName = ""
    made.Modality = "OT"
    made.ConversionType = "WSD"
    made.SeriesNumber = "1"
    made.InstanceNumber = str(number)
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.Rows = made.Columns = size
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit = 7
    made.PixelRepresentation = 0
    made.add_new(0x7FE00010, "OB", bytes([number % 256]) * (size * size))
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = EXPLICIT
    return made


def query(level: str, **elements: Any) -> Dataset:
    made = Dataset()
    made.QueryRetrieveLevel = level
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


class Archive:
    """An SCP of C-FIND, C-GET and C-MOVE with one study.

    Attributes
    ----------
    instances
        What it holds.
    cancelled
        Set when a handler was told of a C-CANCEL, or was stopped by one.
    endless
        Whether it finds the same again and again.
    identifiers
        What it was asked for.
    """

    def __init__(self, instances: list[Dataset]) -> None:
        self.instances = instances
        self.destinations: dict[str, tuple[str, int]] = {}
        self.cancelled = threading.Event()
        self.endless = False
        self.identifiers: list[Dataset] = []

    def handlers(self, events: Any = evt) -> list[tuple[Any, Any]]:
        return [
            (events.EVT_C_FIND, self.find),
            (events.EVT_C_GET, self.get),
            (events.EVT_C_MOVE, self.move),
        ]

    def contexts(self) -> list[Any]:
        stored = build_context(CAPTURE, [EXPLICIT, IMPLICIT])
        stored.scu_role = stored.scp_role = True
        return [*(build_context(model) for model in MODELS), stored, build_context(Verification)]

    def find(self, event: Any) -> Iterator[Any]:
        identifier = event.identifier
        self.identifiers.append(identifier)
        finished = False
        try:
            while True:
                for found in self._matching(identifier):
                    answer = Dataset()
                    for element in identifier:
                        if element.keyword in found:
                            answer[element.tag] = found[element.tag]
                    answer.QueryRetrieveLevel = identifier.QueryRetrieveLevel
                    answer.RetrieveAETitle = "OURS"
                    yield 0xFF00, answer
                if not self.endless:
                    break
            finished = True
        finally:
            if not finished:
                self.cancelled.set()

    def get(self, event: Any) -> Iterator[Any]:
        self.identifiers.append(event.identifier)
        yield len(self.instances)
        yield from self._instances(event)

    def move(self, event: Any) -> Iterator[Any]:
        self.identifiers.append(event.identifier)
        yield self.destinations.get(event.move_destination, (None, None))
        yield len(self.instances)
        yield from self._instances(event)

    def _instances(self, event: Any) -> Iterator[Any]:
        finished = False
        try:
            for made in self.instances:
                if event.is_cancelled:
                    yield 0xFE00, None
                    return
                # A cancel that comes only now ends it here.
                yield 0xFF00, made
            finished = True
        finally:
            if not finished:
                self.cancelled.set()

    def _matching(self, identifier: Dataset) -> list[Dataset]:
        pattern = str(identifier.get("PatientName") or "*")
        found = [made for made in self.instances if fnmatchcase(str(made.PatientName), pattern)]
        return found[:1] if identifier.QueryRetrieveLevel == "STUDY" else found


class Received:
    """A handler for C-STORE that keeps what comes."""

    def __init__(self, status: int = 0x0000) -> None:
        self.datasets: list[Dataset] = []
        self.originators: list[tuple[Any, Any]] = []
        self.status = status

    def __call__(self, event: Any) -> int:
        self.datasets.append(event.dataset)
        request = event.request
        self.originators.append(
            (request.MoveOriginatorApplicationEntityTitle, request.MoveOriginatorMessageID)
        )
        return self.status

    @property
    def uids(self) -> list[str]:
        return sorted(str(dataset.SOPInstanceUID) for dataset in self.datasets)
