"""Performed procedure steps: the rules of PS3.4 Annex F applied to what is stored."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Final

from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

from dulcimer.errors import Refused
from dulcimer.node.domain.model import Step
from dulcimer.services import mpps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dulcimer.node.domain.ports import Steps

_log: Final = logging.getLogger("dulcimer.node.steps")

DUPLICATE_SOP_INSTANCE: Final = 0x0111
NO_SUCH_SOP_INSTANCE: Final = 0x0112


class StepManager:
    """Creates, changes and gives performed procedure steps; every change is one transaction."""

    def __init__(self, steps: Steps, level: mpps.Level = "standard") -> None:
        self._steps = steps
        self._level = level

    def create(self, attributes: Dataset, instance_uid: str | None) -> None:
        """N-CREATE: raises :class:`~dulcimer.errors.Refused`, 0111H if the step exists."""
        outcome = mpps.create(attributes, instance_uid, level=self._level)
        uid = str(instance_uid)
        _note(uid, outcome)
        now = _now()
        step = _step(uid, outcome.dataset, created=now, updated=now)
        with self._steps.transaction() as transaction:
            if transaction.get(uid) is not None:
                raise Refused(DUPLICATE_SOP_INSTANCE, "This performed procedure step exists already")
            transaction.insert(step)

    def modify(self, change: Dataset, instance_uid: str) -> str:
        """N-SET: returns the status of the step; raises :class:`~dulcimer.errors.Refused`."""
        with self._steps.transaction() as transaction:
            stored = transaction.get(instance_uid)
            if stored is None:
                raise Refused(NO_SUCH_SOP_INSTANCE, "No such performed procedure step")
            outcome = mpps.modify(decode(stored.data), change, instance_uid=instance_uid, level=self._level)
            transaction.update(_step(instance_uid, outcome.dataset, created=stored.created, updated=_now()))
        _note(instance_uid, outcome)
        return outcome.state

    def retrieve(self, identifiers: Sequence[int], instance_uid: str) -> tuple[Dataset, tuple[int, ...]]:
        """N-GET: returns the attributes and the tags that are not supported."""
        stored = self._steps.get(instance_uid)
        if stored is None:
            raise Refused(NO_SUCH_SOP_INSTANCE, "No such performed procedure step")
        return mpps.retrieve(decode(stored.data), identifiers)


def encode(dataset: Dataset) -> bytes:
    """Encode a data set as Explicit VR Little Endian without file meta information."""
    stream = BytesIO()
    dcmwrite(stream, dataset, implicit_vr=False, little_endian=True)
    return stream.getvalue()


def decode(data: bytes) -> Dataset:
    """Undo :func:`encode`."""
    return dcmread(BytesIO(data), force=True)


def _note(instance_uid: str, outcome: mpps.Outcome) -> None:
    for note in outcome.notes:
        _log.info("step %s: %s", instance_uid, note)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _step(instance_uid: str, dataset: Dataset, *, created: str, updated: str) -> Step:
    scheduled = dataset.get("ScheduledStepAttributesSequence") or [Dataset()]
    return Step(
        sop_instance_uid=instance_uid,
        status=mpps.status_of(dataset),
        data=encode(dataset),
        patient_id=_text(dataset, "PatientID"),
        patient_name=_text(dataset, "PatientName"),
        modality=_text(dataset, "Modality"),
        station_aet=_text(dataset, "PerformedStationAETitle"),
        started=_moment(dataset, "Start"),
        ended=_moment(dataset, "End"),
        accession_number=_text(scheduled[0], "AccessionNumber"),
        study_instance_uid=_text(scheduled[0], "StudyInstanceUID"),
        description=_text(dataset, "PerformedProcedureStepDescription"),
        created=created,
        updated=updated,
    )


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()


def _moment(dataset: Dataset, which: str) -> str:
    date = _text(dataset, f"PerformedProcedureStep{which}Date")
    time = _text(dataset, f"PerformedProcedureStep{which}Time")
    return f"{date} {time}".strip()
