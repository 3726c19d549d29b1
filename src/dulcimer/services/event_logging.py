"""The rules of Application Event Logging (PS3.4 Annex P), as pure functions over data sets.

:func:`procedural` and :func:`substance` decide about an event, with what the application knows about studies
and patients.

Where the Standard is silent
----------------------------
- Event Information that has neither a Study Instance UID nor IDs to find a study by: C103H.
- What "does not match the template" (C102H) is: no root with content, a template other than TID 3001
  (Procedure Log) if one is named, log entries without Observation DateTime or not in its order (PS3.3
  A.35.7.3). What else is in the entries is kept as it came. The lenient level takes everything.
- Without a directory of studies every study is taken; its IDs cannot be inconsistent then.
- Whose operators may add to a record is for the application to say; without a say, all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydicom.dataset import Dataset

from dulcimer.errors import Refused
from dulcimer.services.rules import Level, check

if TYPE_CHECKING:
    from collections.abc import Sequence

PROCEDURAL: Final = "1.2.840.10008.1.40"
PROCEDURAL_INSTANCE: Final = "1.2.840.10008.1.40.1"
SUBSTANCE: Final = "1.2.840.10008.1.42"
SUBSTANCE_INSTANCE: Final = "1.2.840.10008.1.42.1"

RECORD: Final = 1
"""Action Type ID of Record Procedural Event and of Record Substance Administration Event."""

OTHER_FRAME_OF_REFERENCE: Final = 0xB101
STUDY_COERCED: Final = 0xB102
INCONSISTENT_LOGGED: Final = 0xB104
LOGGING_NOT_AVAILABLE: Final = 0xC101
NOT_THE_TEMPLATE: Final = 0xC102
NO_CURRENT_STUDY: Final = 0xC103
INCONSISTENT_REFUSED: Final = 0xC104
OPERATOR_NOT_AUTHORIZED: Final = 0xC10E
PATIENT_NOT_IDENTIFIED: Final = 0xC110
UPDATE_FAILED: Final = 0xC111

_TEMPLATE: Final = "3001"


@dataclass(frozen=True, slots=True)
class Study:
    """A study that events are logged for.

    Attributes
    ----------
    study_instance_uid
        Its UID.
    patient_id, study_id
        Its IDs; empty where they are not known, which contradicts nothing.
    frame_of_reference_uid
        The Synchronization Frame of Reference UID of the clock of the log, empty if it has none.
    available
        Whether events of this study can be logged.
    """

    study_instance_uid: str
    patient_id: str = ""
    study_id: str = ""
    frame_of_reference_uid: str = ""
    available: bool = True


Studies = Callable[[Dataset], "Study | None"]
"""Finds the current study that Event Information is about, None if there is none."""


@dataclass(frozen=True, slots=True)
class Logged:
    """What is to be stored and answered."""

    event: Dataset
    reply: Dataset | None
    status: int = 0x0000
    notes: tuple[str, ...] = ()


def procedural(
    information: Dataset,
    action_type: int | None,
    instance_uid: str,
    *,
    studies: Studies | None = None,
    insist: bool = False,
    level: Level = "standard",
) -> Logged:
    """Apply the rules of Record Procedural Event (P.2.2).

    Parameters
    ----------
    information
        The Event Information.
    action_type, instance_uid
        What the command names.
    studies
        Finds the study; by default every study is taken.
    insist
        Whether an event with IDs that contradict the study's is refused (C104H) or logged (B104H).
    level
        How strictly it is checked.

    Raises
    ------
    Refused
        C101H to C104H; 0112H and 0123H for an instance or an action that does not exist.
    """
    _one_instance(instance_uid, PROCEDURAL_INSTANCE, action_type)
    notes = check("N-ACTION 1", PROCEDURAL, information, level=level).enforce(information)
    _check_template(information, level)
    named = _text(information, "StudyInstanceUID")
    patient = _text(information, "PatientID")
    if studies is None:
        study = Study(named) if named else None
    else:
        study = studies(information)
    if study is None:
        raise Refused(NO_CURRENT_STUDY, "The event cannot be matched to a current study")
    if not study.available:
        raise Refused(LOGGING_NOT_AVAILABLE, "Procedural logging is not available for this study")
    status = 0x0000
    ours, theirs = study.frame_of_reference_uid, _text(information, "SynchronizationFrameOfReferenceUID")
    if ours and theirs and ours != theirs:
        status = OTHER_FRAME_OF_REFERENCE
    event = Dataset()
    event.update(information)
    if named != study.study_instance_uid:
        event.StudyInstanceUID = study.study_instance_uid
        # An SCU that does not know the study leaves it out: then nothing was coerced.
        status = STUDY_COERCED if named else status
    contradictions = [
        keyword
        for keyword, known in (("PatientID", study.patient_id), ("StudyID", study.study_id))
        if known and _text(information, keyword) and known != _text(information, keyword)
    ]
    if contradictions:
        if insist:
            raise Refused(INCONSISTENT_REFUSED, f"Not the study's: {', '.join(contradictions)}")
        status = INCONSISTENT_LOGGED
    reply = Dataset()
    reply.StudyInstanceUID = study.study_instance_uid
    reply.PatientID = study.patient_id or patient
    return Logged(event, reply, status, tuple(notes))


def substance(
    information: Dataset,
    action_type: int | None,
    instance_uid: str,
    *,
    patients: Callable[[str, str], bool] | None = None,
    authorized: Callable[[Sequence[Dataset]], bool] | None = None,
    level: Level = "standard",
) -> Logged:
    """Apply the rules of Record Substance Administration Event (P.3.2).

    Parameters
    ----------
    information
        The Event Information.
    action_type, instance_uid
        What the command names.
    patients
        Tells whether a patient is known by Patient ID and Admission ID, either of which may be empty.
    authorized
        Tells whether the operators, items of the Operator Identification Sequence, may add to the record.
    level
        How strictly it is checked.

    Raises
    ------
    Refused
        C110H if the patient cannot be identified, C10EH if the operators may not; 0105H, 0106H, 0120H, 0121H
        for what the table forbids and demands; 0112H and 0123H for an instance or an action that does not
        exist.
    """
    _one_instance(instance_uid, SUBSTANCE_INSTANCE, action_type)
    patient, admission = _text(information, "PatientID"), _text(information, "AdmissionID")
    if not patient and not admission:
        raise Refused(PATIENT_NOT_IDENTIFIED, "Neither Patient ID nor Admission ID is given")
    notes = check("N-ACTION 1", SUBSTANCE, information, level=level).enforce(information)
    if patients is not None and not patients(patient, admission):
        raise Refused(PATIENT_NOT_IDENTIFIED, "No such patient")
    operators = information.get("OperatorIdentificationSequence") or []
    if authorized is not None and not authorized(operators):
        raise Refused(OPERATOR_NOT_AUTHORIZED, "The operator may not add to the record")
    event = Dataset()
    event.update(information)
    return Logged(event, None, 0x0000, tuple(notes))


def _one_instance(given: str, wanted: str, action_type: int | None) -> None:
    if given != wanted:
        raise Refused(0x0112, "The log has one well-known SOP instance")
    if action_type != RECORD:
        raise Refused(0x0123, "The only action is 1, to record an event")


def _check_template(information: Dataset, level: Level) -> None:
    if level == "lenient":
        return
    problem = ""
    if not information.get("ConceptNameCodeSequence") or not information.get("ContentSequence"):
        problem = "it has no root with content"
    for template in information.get("ContentTemplateSequence") or ():
        if _text(template, "TemplateIdentifier") != _TEMPLATE:
            problem = f"its template is not {_TEMPLATE}"
    times = [_text(item, "ObservationDateTime") for item in information.get("ContentSequence") or ()]
    if not all(times):
        problem = "an entry has no Observation DateTime"
    elif times != sorted(times):
        problem = "the entries are not in the order of their time"
    if problem:
        raise Refused(NOT_THE_TEMPLATE, f"No procedure log: {problem}")


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()
