"""The data sets that ``dulcimer mpps`` sends: pure functions of what was given (PS3.4 Table F.7.2-1)."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Final

from pydicom import dcmread
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.valuerep import validate_value

from dulcimer.services import mpps
from dulcimer.services.rules.completing import complete
from dulcimer.services.rules.tables import Table, table_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

_PATIENT: Final = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
_SCHEDULED: Final = (
    "StudyInstanceUID",
    "AccessionNumber",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
)
_SCHEDULED_STEP: Final = ("ScheduledProcedureStepID", "ScheduledProcedureStepDescription")
_TYPICAL: Final = (
    *_PATIENT,
    "StudyInstanceUID",
    "SOPInstanceUID",
    "ScheduledProcedureStepSequence",
    "ScheduledStepAttributesSequence",
    "PerformedProcedureStepStatus",
)
_COMMON: Final = ("SpecificCharacterSet", "Modality", "StudyID")
_PERFORMED_SERIES: Final = 0x0040_0340
_IMAGE_CLASSES_WITHOUT_PIXELS: Final = (
    "1.2.840.10008.5.1.4.1.1.11.",  # presentation states
    "1.2.840.10008.5.1.4.1.1.88.",  # structured reports
    "1.2.840.10008.5.1.4.1.1.104.",  # encapsulated documents
)


class Unusable(ValueError):
    """A file or a value that no step can be made of."""


def read(path: Path) -> Dataset:
    """Read a data set from a DICOM file or from a file in the DICOM JSON model (PS3.18 Annex F)."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from None
    if text.lstrip()[:1] in (b"{", b"["):
        try:
            return Dataset.from_json(text.decode("utf-8"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unusable(f"{path} is not in the DICOM JSON model: {error}") from None
    try:
        dataset = dcmread(path, stop_before_pixels=True, force=True)
        recognized = any(keyword in dataset for keyword in _TYPICAL)
    except (InvalidDicomError, OSError, ValueError, KeyError, NotImplementedError) as error:
        raise Unusable(f"{path} is no DICOM file: {error}") from None
    if not recognized:
        # pydicom makes elements of any bytes.
        raise Unusable(f"{path} is no DICOM file with a step, an image or a worklist item")
    return dataset


def is_step(dataset: Dataset) -> bool:
    """Tell a performed procedure step from an image or a worklist item."""
    return "ScheduledStepAttributesSequence" in dataset or "PerformedProcedureStepStatus" in dataset


def new_step(
    source: Dataset | None, given: Mapping[str, str], now: datetime, *, study_uid: str, step_id: str
) -> Dataset:
    """Build a step IN PROGRESS with every attribute that an N-CREATE has to carry.

    ``source`` is a performed procedure step (taken as it is), or an image or worklist item (patient, study
    and modality are taken). ``given`` holds values by keyword and wins; ``study_uid`` and ``step_id`` are
    used when nobody names any.
    """
    source = source if source is not None else Dataset()
    step = deepcopy(source) if is_step(source) else _from_other(source)
    values = dict(given)
    if not step.get("ScheduledStepAttributesSequence"):
        step.ScheduledStepAttributesSequence = [Dataset()]
    scheduled = step.ScheduledStepAttributesSequence[0]
    for keyword in (*_SCHEDULED, *_SCHEDULED_STEP):
        if keyword in values:
            assign(scheduled, keyword, values.pop(keyword))
    for keyword, value in values.items():
        assign(step, keyword, value)
    defaults = {
        "PerformedProcedureStepStatus": mpps.IN_PROGRESS,
        "PerformedProcedureStepStartDate": now.strftime("%Y%m%d"),
        "PerformedProcedureStepStartTime": now.strftime("%H%M%S"),
        "PerformedProcedureStepID": step_id,
        "Modality": "OT",
    }
    for keyword, value in defaults.items():
        if not step.get(keyword):
            assign(step, keyword, value)
    if not scheduled.get("StudyInstanceUID"):
        scheduled.StudyInstanceUID = study_uid
    complete(step, _new_step().rows)
    return step


def final_step(
    state: str,
    given: Mapping[str, str],
    series: Sequence[Dataset],
    now: datetime,
    source: Dataset | None = None,
) -> Dataset:
    """Build the modification list of an N-SET.

    For a final state the end is now unless it is given, and every series gets the attributes that it has to
    have.
    """
    change = deepcopy(source) if source is not None else Dataset()
    for keyword, value in given.items():
        assign(change, keyword, value)
    if state:
        change.PerformedProcedureStepStatus = state
    if state in mpps.FINAL_STATES:
        if not change.get("PerformedProcedureStepEndDate"):
            change.PerformedProcedureStepEndDate = now.strftime("%Y%m%d")
        if not change.get("PerformedProcedureStepEndTime"):
            change.PerformedProcedureStepEndTime = now.strftime("%H%M%S")
    if series:
        change.PerformedSeriesSequence = list(series)
    for item in change.get("PerformedSeriesSequence") or []:
        complete(item, _new_step().rows[_PERFORMED_SERIES].rows)
    return change


def series_of(instances: Iterable[Dataset], protocol: str) -> list[Dataset]:
    """Make the items of the Performed Series Sequence for the instances that a step created."""
    series: dict[str, Dataset] = {}
    for instance in instances:
        uid = str(instance.SeriesInstanceUID)
        if uid not in series:
            series[uid] = one_series(uid, str(instance.get("ProtocolName") or protocol))
            for keyword in (
                "SeriesDescription",
                "PerformingPhysicianName",
                "OperatorsName",
                "RetrieveAETitle",
            ):
                if keyword in instance:
                    series[uid][keyword] = instance[keyword]
        reference = Dataset()
        reference.ReferencedSOPClassUID = instance.SOPClassUID
        reference.ReferencedSOPInstanceUID = instance.SOPInstanceUID
        image = not str(instance.SOPClassUID).startswith(_IMAGE_CLASSES_WITHOUT_PIXELS)
        keyword = "ReferencedImageSequence" if image else "ReferencedNonImageCompositeSOPInstanceSequence"
        series[uid][keyword].value.append(reference)
    return list(series.values())


def one_series(uid: str, protocol: str) -> Dataset:
    """Make an item of the Performed Series Sequence that names no instance."""
    item = Dataset()
    item.SeriesInstanceUID = uid
    item.ProtocolName = protocol
    item.ReferencedImageSequence = []
    item.ReferencedNonImageCompositeSOPInstanceSequence = []
    return item


def assign(dataset: Dataset, keyword: str, value: str) -> None:
    """Set an attribute from text.

    Raises
    ------
    Unusable
        There is no such attribute, or it is none that text can be put into.
    """
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise Unusable(f"there is no attribute {keyword!r}; names are written as in PatientID")
    vr = dictionary_VR(tag)
    if vr.startswith("O") or vr in {"SQ", "UN", "AT"}:
        raise Unusable(f"{keyword} cannot be given as text; put it in a JSON or DICOM file")
    try:
        if vr in {"US", "SS", "UL", "SL", "UV", "SV"}:
            setattr(dataset, keyword, int(value))
        elif vr in {"FL", "FD"}:
            setattr(dataset, keyword, float(value))
        else:
            for part in value.split("\\"):
                validate_value(vr, part, RAISE)
            setattr(dataset, keyword, value)
    except ValueError as error:
        raise Unusable(f"{keyword}: {error}") from None


def _from_other(source: Dataset) -> Dataset:
    """Take patient, study and modality of an image or a worklist item."""
    step, scheduled = Dataset(), Dataset()
    planned = (source.get("ScheduledProcedureStepSequence") or [Dataset()])[0]
    for keyword in (*_COMMON, *_PATIENT):
        if keyword in source:
            step[keyword] = deepcopy(source[keyword])
    if "Modality" not in step and "Modality" in planned:
        step["Modality"] = deepcopy(planned["Modality"])
    for keyword in _SCHEDULED:
        if keyword in source:
            scheduled[keyword] = deepcopy(source[keyword])
    for keyword in _SCHEDULED_STEP:
        if keyword in planned:
            scheduled[keyword] = deepcopy(planned[keyword])
    if source.get("StudyDescription"):
        step.PerformedProcedureStepDescription = source.StudyDescription
    step.ScheduledStepAttributesSequence = [scheduled]
    return step


def _new_step() -> Table:
    table = table_for(mpps.MODALITY_PERFORMED_PROCEDURE_STEP, "N-CREATE")
    assert table is not None
    return table
