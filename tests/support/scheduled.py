"""Worklist items and the queries that modalities send, for the tests of the worklist."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dulcimer.services import worklist

STEP_KEYS = (
    "ScheduledStationAETitle",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "Modality",
    "ScheduledPerformingPhysicianName",
    "ScheduledProcedureStepDescription",
    "ScheduledProcedureStepID",
    "ScheduledProcedureStepStatus",
)
KEYS = ("PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID", "RequestedProcedureID")


def values(number: int, **changed: Any) -> dict[str, Any]:
    """Return values of an item; each number has another patient, day, modality and station."""
    return {
        "PatientName": f"Doe^Jane{number}",
        "PatientID": f"P{number}",
        "AccessionNumber": f"A{number}",
        "StudyInstanceUID": f"1.2.3.{number}",
        "RequestedProcedureID": f"R{number}",
        "RequestedProcedureDescription": "Thorax",
        "Modality": ("CT", "MR", "DX")[number % 3],
        "ScheduledStationAETitle": f"STATION{number % 4}",
        "ScheduledProcedureStepStartDate": f"202611{1 + number % 28:02}",
        "ScheduledProcedureStepStartTime": f"{8 + number % 10:02}3000",
        "ScheduledPerformingPhysicianName": "Who^Doctor",
        "ScheduledProcedureStepDescription": "Thorax",
        "ScheduledProcedureStepID": f"S{number}",
        **changed,
    }


def item(number: int, **changed: Any) -> Dataset:
    return worklist.renewed(worklist.item(values(number, **changed)), None)


def query(**keys: Any) -> Dataset:
    """Return what a modality sends: everything universal but the keys given."""
    identifier, step = Dataset(), Dataset()
    for keyword in KEYS:
        setattr(identifier, keyword, keys.pop(keyword, None))
    for keyword in STEP_KEYS:
        setattr(step, keyword, keys.pop(keyword, None))
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    identifier.ScheduledProcedureStepSequence = Sequence([step])
    return identifier


def performed(number: int, status: str = "IN PROGRESS", **reference: Any) -> Dataset:
    """Return as much of a performed procedure step as says which scheduled one it is about."""
    named = Dataset()
    given = {
        "StudyInstanceUID": f"1.2.3.{number}",
        "ScheduledProcedureStepID": f"S{number}",
        "AccessionNumber": f"A{number}",
        **reference,
    }
    for keyword, value in given.items():
        setattr(named, keyword, value)
    step = Dataset()
    step.ScheduledStepAttributesSequence = Sequence([named])
    step.PerformedProcedureStepStatus = status
    return step
