"""The rules of Modality Worklist (PS3.4 Annex K), as pure functions over data sets.

An *item* is a requested procedure with one or more scheduled procedure steps, as one data set: what a
worklist file holds. :func:`item` makes one, :func:`validate` tells what it lacks, :func:`respond` answers a
query about it, and :func:`follow` moves the status of its steps when a performed procedure step names them.

Where the Standard is silent
----------------------------
- Several steps in one item: each that matches is a response of its own, with a single item in its Scheduled
  Procedure Step Sequence (K.6.1). A query that does not ask for that sequence is answered once an item.
- An attribute that is not in Table K.6-1, or not at this place, is no matching key: it is answered FF01H, and
  returned where the item has it.
- Table K.6-1 asks for single value matching of most keys: ranges, wild cards and lists of values are taken
  wherever their VR has them, because modalities send them.
- Scheduled Procedure Step Status (0040,0020) has the defined terms SCHEDULED, ARRIVED, READY, STARTED and
  DEPARTED (PS3.3 C.4.10). A step whose performed procedure step has ended is COMPLETED or DISCONTINUED here.
- A performed procedure step means the scheduled step of the same Study Instance UID and Scheduled Procedure
  Step ID. If the ID is empty, it means the only step of that study's item; if the study is another one, the
  step of that ID under the same Accession Number. Accession numbers that differ rule a step out.
- Of several performed procedure steps for one scheduled step the latest news count.
- Requested Procedure Description and Scheduled Procedure Step Description stand in for each other where one
  of them is missing: both are type 1C.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import generate_uid
from pydicom.valuerep import validate_value

from dulcimer.identity import UID_PREFIX
from dulcimer.services import mpps
from dulcimer.services.matchers import DateRange, OneOf
from dulcimer.services.matching import Keys, NameMatching, Path
from dulcimer.services.text import Texts, normal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

MODALITY_WORKLIST: Final = "1.2.840.10008.5.1.4.31"

SCHEDULED: Final = "SCHEDULED"
ARRIVED: Final = "ARRIVED"
READY: Final = "READY"
STARTED: Final = "STARTED"
DEPARTED: Final = "DEPARTED"
COMPLETED: Final = "COMPLETED"
DISCONTINUED: Final = "DISCONTINUED"
STATUSES: Final = (SCHEDULED, ARRIVED, READY, STARTED, DEPARTED, COMPLETED, DISCONTINUED)
FINISHED: Final = frozenset({COMPLETED, DISCONTINUED})

_OF_PERFORMED: Final = {
    mpps.IN_PROGRESS: STARTED,
    mpps.COMPLETED: COMPLETED,
    mpps.DISCONTINUED: DISCONTINUED,
}

STEPS: Final = 0x00400100
"""Scheduled Procedure Step Sequence."""
STATION: Final = 0x00400001
START_DATE: Final = 0x00400002
START_TIME: Final = 0x00400003
MODALITY: Final = 0x00080060
STEP_ID: Final = 0x00400009
STATUS: Final = 0x00400020
STUDY: Final = 0x0020000D
ACCESSION_NUMBER: Final = 0x00080050
PATIENT_ID: Final = 0x00100020

Matching = Literal["R", "O"]
Type = Literal["1", "1C", "2", "2C", "3"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """A row of Table K.6-1: a matching key is required (R) or optional (O), a return key has a type."""

    keyword: str
    matching: Matching
    returned: Type

    @property
    def tag(self) -> int:
        """Its tag."""
        tag = tag_for_keyword(self.keyword)
        assert tag is not None
        return tag


def _rows(matching: Matching, returned: Type, keywords: str) -> tuple[Attribute, ...]:
    return tuple(Attribute(keyword, matching, returned) for keyword in keywords.split())


STEP_ATTRIBUTES: Final = (
    *_rows(
        "R",
        "1",
        "ScheduledStationAETitle ScheduledProcedureStepStartDate ScheduledProcedureStepStartTime Modality",
    ),
    *_rows("R", "2", "ScheduledPerformingPhysicianName"),
    *_rows("O", "1", "ScheduledProcedureStepID"),
    *_rows("O", "1C", "ScheduledProcedureStepDescription ScheduledProtocolCodeSequence"),
    *_rows("O", "2", "ScheduledStationName ScheduledProcedureStepLocation"),
    *_rows("O", "2C", "PreMedication RequestedContrastAgent"),
    *_rows(
        "O",
        "3",
        "ScheduledProcedureStepEndDate ScheduledProcedureStepEndTime ScheduledProcedureStepStatus "
        "ScheduledPerformingPhysicianIdentificationSequence CommentsOnTheScheduledProcedureStep "
        "ScheduledSpecimenSequence AnatomicalOrientationType BarcodeValue",
    ),
)
"""The attributes of a scheduled procedure step."""

ATTRIBUTES: Final = (
    *_rows("R", "1", "ScheduledProcedureStepSequence PatientName PatientID"),
    *_rows("O", "1", "RequestedProcedureID StudyInstanceUID"),
    *_rows("O", "1C", "RequestedProcedureDescription RequestedProcedureCodeSequence"),
    *_rows(
        "O",
        "2",
        "ReferencedStudySequence RequestedProcedurePriority PatientTransportArrangements AccessionNumber "
        "RequestingPhysician ReferringPhysicianName AdmissionID CurrentPatientLocation "
        "ReferencedPatientSequence PatientBirthDate PatientSex PatientWeight "
        "ConfidentialityConstraintOnPatientDataDescription PatientState PregnancyStatus MedicalAlerts "
        "Allergies SpecialNeeds",
    ),
    *_rows(
        "O",
        "3",
        "StudyDate StudyTime ReasonForTheRequestedProcedure ReasonForRequestedProcedureCodeSequence "
        "RequestedProcedureComments RequestedProcedureLocation ConfidentialityCode ReportingPriority "
        "NamesOfIntendedRecipientsOfResults IntendedRecipientsOfResultsIdentificationSequence "
        "IssuerOfAccessionNumberSequence RequestingPhysicianIdentificationSequence "
        "ReferringPhysicianIdentificationSequence RequestingService RequestingServiceCodeSequence "
        "IssueDateOfImagingServiceRequest IssueTimeOfImagingServiceRequest "
        "PlacerOrderNumberImagingServiceRequest FillerOrderNumberImagingServiceRequest "
        "OrderEnteredBy OrderEntererLocation OrderCallbackPhoneNumber ImagingServiceRequestComments "
        "OrderPlacerIdentifierSequence OrderFillerIdentifierSequence ReasonForTheImagingServiceRequest "
        "InstitutionName InstitutionAddress InstitutionCodeSequence AdmittingDiagnosesDescription "
        "AdmittingDiagnosesCodeSequence InstanceCreationDate InstanceCreationTime",
    ),
)
"""The attributes of everything else. Those of the patient and visit modules that are not here, which are in
groups 0010 and 0038, are optional matching keys and return keys of type 3."""

_STEP_TAGS: Final = frozenset(attribute.tag for attribute in STEP_ATTRIBUTES)
_TAGS: Final = frozenset(attribute.tag for attribute in ATTRIBUTES)
_WHOLE_GROUPS: Final = frozenset({0x0010, 0x0038})


class Unusable(ValueError):
    """A value that no item can be made of: the text says why."""


def is_key(path: Path) -> bool:
    """Tell whether an attribute at a place is a matching key (Table K.6-1)."""
    if path[0] == STEPS:
        return len(path) == 1 or path[1] in _STEP_TAGS
    return path[0] in _TAGS or path[0] >> 16 in _WHOLE_GROUPS


# ---- making items ------------------------------------------------------------------------------------


def item(values: Mapping[str, Any], *, now: datetime | None = None) -> Dataset:
    """Make an item from values by keyword.

    Attributes of the step go into the Scheduled Procedure Step Sequence, which may also be given as a list.
    What nobody gives and has to be there is made: Study Instance UID, Requested Procedure ID, Scheduled
    Procedure Step ID, and, if ``now`` is given, a start now. The same values make the same item again if they
    have an Accession Number or a Requested Procedure ID: steps of one request have one study then, and who
    imports a list twice has no item twice.

    Parameters
    ----------
    values
        Text, numbers, lists of them; for sequences lists of such mappings. Code sequences may be the text
        ``value^scheme^meaning``.
    now
        When a step starts that has no start.

    Raises
    ------
    Unusable
        There is no such attribute, or a value is none of its VR.
    """
    made, step = Dataset(), Dataset()
    for keyword, value in values.items():
        tag = tag_for_keyword(keyword)
        assign(step if tag in _STEP_TAGS else made, keyword, value)
    steps = list(made.get("ScheduledProcedureStepSequence") or ())
    if not steps:
        steps = [step]
    else:
        for each in steps:
            for element in step:
                if element.tag not in each:
                    each[element.tag] = deepcopy(element)
    _set(made, "ScheduledProcedureStepSequence", Sequence(steps))
    return complete(made, now=now)


def complete(given: Dataset, *, now: datetime | None = None) -> Dataset:
    """Return an item with what can be made of what it lacks; see :func:`item`."""
    made = _loose(given)
    if not made.get("ScheduledProcedureStepSequence"):
        _set(made, "ScheduledProcedureStepSequence", Sequence([Dataset()]))
    steps: list[Dataset] = list(made.ScheduledProcedureStepSequence)
    if now is not None:
        for step in steps:
            if not step.get("ScheduledProcedureStepStartDate"):
                _set(step, "ScheduledProcedureStepStartDate", now.strftime("%Y%m%d"))
                if not step.get("ScheduledProcedureStepStartTime"):
                    _set(step, "ScheduledProcedureStepStartTime", now.strftime("%H%M%S"))
    _describe(made, steps)
    request = [
        _text(made, keyword)
        for keyword in ("PatientID", "IssuerOfPatientID", "AccessionNumber", "RequestedProcedureID")
    ]
    known = bool(request[2] or request[3])
    if not _text(made, "StudyInstanceUID"):
        _set(made, "StudyInstanceUID", _study_uid(request if known else []))
    study = _text(made, "StudyInstanceUID")
    if not request[3]:
        _set(made, "RequestedProcedureID", _short_id("R", [study]))
    for number, step in enumerate(steps):
        if not _text(step, "ScheduledProcedureStepID"):
            what = [
                _text(step, attribute.keyword) for attribute in STEP_ATTRIBUTES if attribute.tag != STATUS
            ]
            _set(step, "ScheduledProcedureStepID", _short_id("S", [study, str(number), *what]))
    for attribute in ATTRIBUTES:
        if attribute.returned == "2" and attribute.keyword not in made:
            _set(made, attribute.keyword, None)
    for step in steps:
        for attribute in STEP_ATTRIBUTES:
            if attribute.returned == "2" and attribute.keyword not in step:
                _set(step, attribute.keyword, None)
    _set_character_set(made)
    return made


def _describe(made: Dataset, steps: list[Dataset]) -> None:
    for step in steps:
        if not _text(step, "ScheduledProcedureStepDescription") and not step.get(
            "ScheduledProtocolCodeSequence"
        ):
            text = _text(made, "RequestedProcedureDescription") or _meaning(
                made, "RequestedProcedureCodeSequence"
            )
            if text:
                _set(step, "ScheduledProcedureStepDescription", text)
    if not _text(made, "RequestedProcedureDescription") and not made.get("RequestedProcedureCodeSequence"):
        for step in steps:
            text = _text(step, "ScheduledProcedureStepDescription") or _meaning(
                step, "ScheduledProtocolCodeSequence"
            )
            if text:
                _set(made, "RequestedProcedureDescription", text)
                return


def _meaning(dataset: Dataset, keyword: str) -> str:
    return next((text for code in dataset.get(keyword) or () if (text := _text(code, "CodeMeaning"))), "")


def _study_uid(request: list[str]) -> str:
    return str(generate_uid(UID_PREFIX, ["study", *request] if request else None))


def _short_id(letter: str, sources: list[str]) -> str:
    """Return an ID of at most 16 characters (VR SH)."""
    return letter + generate_uid(UID_PREFIX, [letter, *sources]).rpartition(".")[2][-14:]


def _set_character_set(made: Dataset) -> None:
    if not made.get("SpecificCharacterSet") and not _is_ascii(made):
        _set(made, "SpecificCharacterSet", "ISO_IR 192")


def _is_ascii(dataset: Dataset) -> bool:
    """Tell whether all text is ASCII that did not come encoded."""
    for tag in dataset.keys():  # noqa: SIM118  (iterating would decode the elements)
        value = dataset.get_item(tag).value
        if isinstance(value, Sequence):
            if not all(map(_is_ascii, value)):
                return False
        elif value is not None and not isinstance(value, bytes) and not str(value).isascii():
            return False
    return True


def _loose(made: Dataset) -> Dataset:
    """Return an item with the same elements, that can be replaced without changing the other one."""
    copy = Dataset({tag: made.get_item(tag) for tag in made.keys()})  # noqa: SIM118  (as above)
    if steps := steps_of(made):
        loose = [Dataset({tag: step.get_item(tag) for tag in step.keys()}) for step in steps]  # noqa: SIM118
        _set(copy, "ScheduledProcedureStepSequence", Sequence(loose))
    return copy


def _set(dataset: Dataset, keyword: str, value: Any) -> None:
    """Put an element into the place of another one, which stays as it is."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    dataset.add_new(tag, dictionary_VR(tag), value)


def assign(dataset: Dataset, keyword: str, value: Any) -> None:
    """Set an attribute from text, a number, a list of them, or a list of mappings for a sequence.

    Dates may be written 2026-01-31, times 08:30.

    Raises
    ------
    Unusable
        There is no such attribute, or the value is none of its VR.
    """
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise Unusable(f"there is no attribute {keyword!r}; names are written as in PatientID")
    vr = dictionary_VR(tag)
    if vr == "SQ":
        setattr(dataset, keyword, Sequence(_made_items(keyword, value)))
        return
    if vr.startswith("O") or vr in {"UN", "AT"}:
        raise Unusable(f"{keyword} cannot be given as text")
    try:
        if value is None or value == "":
            setattr(dataset, keyword, None)
        elif vr in {"US", "SS", "UL", "SL", "UV", "SV", "US or SS"}:
            setattr(dataset, keyword, int(value))
        elif vr in {"FL", "FD"}:
            setattr(dataset, keyword, float(value))
        else:
            parts = [_written(vr, str(part)) for part in (value if isinstance(value, list) else [value])]
            for part in parts:
                for each in part.split("\\") if vr not in {"LT", "ST", "UT"} else [part]:
                    validate_value(vr, each, RAISE)
            setattr(dataset, keyword, parts[0] if len(parts) == 1 else parts)
    except (ValueError, TypeError) as error:
        raise Unusable(f"{keyword}: {error}") from None


def _made_items(keyword: str, value: Any) -> list[Dataset]:
    if value is None or value == "":
        return []
    if isinstance(value, str):
        parts = [part.strip() for part in value.split("^")]
        if not keyword.endswith("CodeSequence") or not 2 <= len(parts) <= 3 or not all(parts):
            raise Unusable(f"{keyword} is a sequence; a code is written value^scheme^meaning")
        names = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
        value = [dict(zip(names, [*parts, parts[0]][:3], strict=True))]
    if isinstance(value, dict):
        value = [value]
    items = []
    for each in value:
        if not isinstance(each, dict):
            raise Unusable(f"{keyword} is a sequence: its items are objects")
        made = Dataset()
        for name, inner in each.items():
            assign(made, name, inner)
        items.append(made)
    return items


def _written(vr: str, text: str) -> str:
    text = text.strip()
    if vr == "DA" and len(text) == 10 and text[4] == text[7] and text[4] in "-./":
        return text[:4] + text[5:7] + text[8:]
    return normal(vr, text) if vr == "TM" else text


def validate(made: Dataset) -> list[str]:
    """Tell in words what keeps a data set from being an item; nothing if it is one.

    It has to have what Table K.6-1 always returns with a value: return keys of type 1, and one of the two of
    type 1C that stand for each other; values have to be those of their VR, and statuses of the terms.
    """
    problems = _lacking(made, ATTRIBUTES, "")
    if not made.get("RequestedProcedureCodeSequence") and not _text(made, "RequestedProcedureDescription"):
        problems.append("RequestedProcedureDescription or RequestedProcedureCodeSequence is missing")
    steps = list(made.get("ScheduledProcedureStepSequence") or ())
    seen: set[str] = set()
    for number, step in enumerate(steps, 1):
        where = f" (step {number})" if len(steps) > 1 else ""
        problems += _lacking(step, STEP_ATTRIBUTES, where)
        if not step.get("ScheduledProtocolCodeSequence") and not _text(
            step, "ScheduledProcedureStepDescription"
        ):
            problems.append(
                f"ScheduledProcedureStepDescription or ScheduledProtocolCodeSequence is missing{where}"
            )
        status = _text(step, "ScheduledProcedureStepStatus")
        if status and status not in STATUSES:
            problems.append(f"ScheduledProcedureStepStatus is one of {', '.join(STATUSES)}{where}")
        step_id = _text(step, "ScheduledProcedureStepID")
        if step_id and step_id in seen:
            problems.append(f"ScheduledProcedureStepID {step_id} is there twice")
        seen.add(step_id)
        for keyword, vr in _CHECKED:
            problems += [f"{keyword} is no {_KINDS[vr]}{where}" for _ in _invalid(step, keyword, vr)]
    for keyword, vr in (("PatientBirthDate", "DA"), ("StudyInstanceUID", "UI")):
        problems += [f"{keyword} is no {_KINDS[vr]}" for _ in _invalid(made, keyword, vr)]
    return problems


_CHECKED: Final = (("ScheduledProcedureStepStartDate", "DA"), ("ScheduledProcedureStepStartTime", "TM"))
_KINDS: Final = {"DA": "date YYYYMMDD", "TM": "time HHMMSS", "UI": "UID"}


def _lacking(dataset: Dataset, rows: tuple[Attribute, ...], where: str) -> list[str]:
    problems = []
    for row in rows:
        if row.returned == "1":
            element = dataset.get(row.tag)
            if element is None:
                problems.append(f"{row.keyword} is missing{where}")
            elif element.is_empty or not str(element.value).strip():
                problems.append(f"{row.keyword} has no value{where}")
    return problems


def _invalid(dataset: Dataset, keyword: str, vr: str) -> Iterator[str]:
    text = _text(dataset, keyword)
    if text:
        try:
            validate_value(vr, text, RAISE)
        except ValueError:
            yield text


def key_of(made: Dataset) -> str:
    """Return what an item is kept by: a UID that follows from its study and the IDs of its steps."""
    ids = sorted(_text(step, "ScheduledProcedureStepID") for step in steps_of(made))
    return str(generate_uid(UID_PREFIX, ["worklist", _text(made, "StudyInstanceUID"), *ids]))


def renewed(made: Dataset, stored: Dataset | None) -> Dataset:
    """Return an item as it is to be stored in the place of another one, None if it is new.

    A step that comes without a status keeps the one that it had; a new one is SCHEDULED.
    """
    former = {
        _text(step, "ScheduledProcedureStepID"): _text(step, "ScheduledProcedureStepStatus")
        for step in (steps_of(stored) if stored is not None else ())
    }
    kept = _loose(made)
    for step in steps_of(kept):
        if not _text(step, "ScheduledProcedureStepStatus"):
            status = former.get(_text(step, "ScheduledProcedureStepID")) or SCHEDULED
            _set(step, "ScheduledProcedureStepStatus", status)
    return kept


# ---- queries -----------------------------------------------------------------------------------------


def steps_of(made: Dataset) -> list[Dataset]:
    """Return the scheduled procedure steps of an item."""
    return list(made.get("ScheduledProcedureStepSequence") or ())


def read(identifier: Dataset, *, names: NameMatching = "exact") -> Keys:
    """Read the identifier of a C-FIND.

    Raises
    ------
    Refused
        A900H: a key is no value of its VR. C000H: the character set is not known.
    """
    return Keys(identifier, names=names, supports=is_key)


def respond(identifier: Dataset | Keys, made: Dataset, *also: Keys) -> Iterator[Dataset]:
    """Give the responses to a query about an item: one for each step that matches.

    Parameters
    ----------
    identifier
        What is asked, or the keys that it was read to.
    made
        The item.
    also
        Further keys that a step has to match, which are not returned.
    """
    keys = identifier if isinstance(identifier, Keys) else read(identifier)
    # Steps are looked at only where everything else matches.
    for view in views(made) if keys.match(made) else ():
        if keys.match(view) and all(each.match(view) for each in also):
            yield keys.response(view)
            if STEPS not in keys.vrs:
                return


def views(made: Dataset) -> Iterator[Dataset]:
    """Give an item once for each of its steps, with that step alone."""
    steps = steps_of(made)
    if len(steps) <= 1:
        yield made
        return
    for step in steps:
        view = Dataset({tag: made.get_item(tag) for tag in made.keys()})  # noqa: SIM118  (as above)
        _set(view, "ScheduledProcedureStepSequence", Sequence([step]))
        yield view


def of_station(aet: str) -> Keys:
    """Return the key that a step is scheduled for a station."""
    step = Dataset()
    step.ScheduledStationAETitle = aet
    return _step_keys(step)


def unfinished() -> Keys:
    """Return the key that a step is neither COMPLETED nor DISCONTINUED."""
    step = Dataset()
    step.ScheduledProcedureStepStatus = ['""', SCHEDULED, ARRIVED, READY, STARTED, DEPARTED]
    return _step_keys(step)


def _step_keys(step: Dataset) -> Keys:
    identifier = Dataset()
    identifier.ScheduledProcedureStepSequence = Sequence([step])
    return Keys(identifier)


def asks_for(keys: Keys, tag: int) -> bool:
    """Tell whether a query says what an attribute of the step has to be."""
    return any(tag in item.matchers for item in keys.items.get(STEPS, ()))


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What an index may look for: everything that matches a query is found by it, and more.

    Attributes
    ----------
    equal
        The values that an attribute of the item or of one of its steps may have, by tag; of an attribute with
        several values, one of them.
    dates
        The first and the last start date, empty where there is no end; None if any would do.
    """

    equal: dict[int, frozenset[str]] = field(default_factory=dict)
    dates: tuple[str, str] | None = None


INDEXED: Final = (PATIENT_ID, ACCESSION_NUMBER, STUDY)
"""What an index knows of items."""
INDEXED_OF_STEPS: Final = (STATION, MODALITY, START_DATE, STEP_ID)
"""What it knows of each step."""


def narrowing(*queries: Keys) -> Narrowing:
    """Return what an index may look for on behalf of keys that have all to match."""
    equal: dict[int, frozenset[str]] = {}
    dates: tuple[str, str] | None = None
    for keys in queries:
        steps = keys.items.get(STEPS, [])
        # Of several items each would do: they narrow nothing.
        for source, tags in ((keys, INDEXED), *(((steps[0], INDEXED_OF_STEPS),) if len(steps) == 1 else ())):
            for tag in tags:
                matcher = source.matchers.get(BaseTag(tag))
                if isinstance(matcher, OneOf):
                    equal[tag] = equal.get(tag, matcher.values) & matcher.values
                elif isinstance(matcher, DateRange) and tag == START_DATE:
                    dates = (matcher.low, matcher.high)
            for date, _, span, _ in source.ranges:
                if date == START_DATE:
                    dates = (span.low, span.high)
    return Narrowing(equal, dates)


def indexed(made: Dataset) -> Iterator[dict[int, list[str]]]:
    """Give what an index knows of each step of an item, as values by tag."""
    texts = Texts(made)
    common = {tag: _normal(texts, tag) for tag in INDEXED}
    for step in steps_of(made):
        own = Texts(step, texts.character_set)
        yield common | {tag: _normal(own, tag) for tag in INDEXED_OF_STEPS}


def _normal(texts: Texts, tag: int) -> list[str]:
    return [normal(_VRS[tag], value) for value in texts.values(tag, _VRS[tag])]


_VRS: Final = {tag: str(dictionary_VR(tag)) for tag in (*INDEXED, *INDEXED_OF_STEPS)}


# ---- performed procedure steps -----------------------------------------------------------------------


def named_by(performed: Dataset) -> list[Narrowing]:
    """Return where to look for the scheduled steps that a performed procedure step names."""
    found = []
    for reference in performed.get("ScheduledStepAttributesSequence") or ():
        if study := _text(reference, "StudyInstanceUID"):
            found.append(Narrowing({STUDY: frozenset({study})}))
        number, step_id = _text(reference, "AccessionNumber"), _text(reference, "ScheduledProcedureStepID")
        if number and step_id:
            found.append(Narrowing({ACCESSION_NUMBER: frozenset({number}), STEP_ID: frozenset({step_id})}))
    return found


def follow(made: Dataset, performed: Dataset) -> Dataset | None:
    """Return an item with the status of the steps that a performed procedure step names; None if it stays.

    IN PROGRESS makes them STARTED; COMPLETED and DISCONTINUED are the same word here.
    """
    status = _OF_PERFORMED.get(mpps.status_of(performed))
    if status is None:
        return None
    named = {
        number
        for reference in performed.get("ScheduledStepAttributesSequence") or ()
        for number in _meant(made, reference)
    }
    moved = _loose(made)
    changed = False
    for number, step in enumerate(steps_of(moved)):
        if number in named and _text(step, "ScheduledProcedureStepStatus") != status:
            _set(step, "ScheduledProcedureStepStatus", status)
            changed = True
    return moved if changed else None


def same_news(before: Dataset, after: Dataset) -> bool:
    """Tell whether a performed procedure step says no more about scheduled ones than it did before."""
    keyword = "ScheduledStepAttributesSequence"
    return mpps.status_of(before) == mpps.status_of(after) and before.get(keyword) == after.get(keyword)


def _meant(made: Dataset, reference: Dataset) -> list[int]:
    """Return which steps of an item a performed procedure step means."""
    number, own = _text(reference, "AccessionNumber"), _text(made, "AccessionNumber")
    if number and own and number != own:
        return []
    step_id, steps = _text(reference, "ScheduledProcedureStepID"), steps_of(made)
    same_study = _text(reference, "StudyInstanceUID") == _text(made, "StudyInstanceUID")
    if not same_study and not (number and number == own and step_id):
        return []
    if not step_id:
        return [0] if len(steps) == 1 else []
    return [at for at, step in enumerate(steps) if _text(step, "ScheduledProcedureStepID") == step_id]


def status_of(made: Dataset) -> str:
    """Return the status of an item's steps, in the order of the steps if they differ, for lists."""
    statuses = [_text(step, "ScheduledProcedureStepStatus") or SCHEDULED for step in steps_of(made)]
    return "\\".join(dict.fromkeys(statuses))


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    if value is None:
        return ""
    several = not isinstance(value, (str, bytes)) and hasattr(value, "__iter__")
    if several and not hasattr(value, "components"):
        return "\\".join(str(each).strip() for each in value)
    return str(value).strip()
