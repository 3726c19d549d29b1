"""The rules of Modality Performed Procedure Step (PS3.4 Annex F), as pure functions over data sets.

:func:`create`, :func:`modify` and :func:`retrieve` take what the peer sent and what is stored, and give what
is to be stored or answered. They know no network and no database, change none of their arguments, and raise
:class:`~dulcimer.errors.Refused` for what the Standard refuses.

States of a step, Performed Procedure Step Status (0040,0252)::

    N-CREATE ──► IN PROGRESS ──N-SET──► COMPLETED       (final)
                  │      ▲   └─N-SET──► DISCONTINUED    (final)
                  └─N-SET┘

How strict
----------
``"strict"``
    The text of the Standard: a missing type 2 attribute is refused like a missing type 1 attribute, and so
    is an attribute that may not be set even where it repeats the stored value.
``"standard"`` (default)
    The same, with what real modalities need: missing type 2 attributes are noted and accepted, an N-SET may
    repeat attributes that it may not change as long as it does not change them, and a data set may repeat
    the SOP Class and SOP Instance UID of the command (they are dropped; PS3.4 5.4.2.3 bans them).
``"lenient"``
    Only the states are kept: missing and empty attributes are noted and accepted, also in the final state.

Where the Standard is silent
----------------------------
- An N-SET that would leave the final state incomplete (F.7.2.2.2 puts the duty on the SCU and names no
  code): 0120H with the missing tags or 0121H with the empty elements. The step stays IN PROGRESS, so the SCU
  can set what is missing and send the status again.
- An N-SET of an attribute that Table F.7.2-1 marks "Not allowed": 0105H with the tags, nothing is set.
- An N-SET of an attribute that the N-CREATE did not create: accepted, because refusing it would lose data.
- Attributes outside Table F.7.2-1 (private ones, the retired Radiation Dose module): kept as they are.
- Zero length for type 3 attributes: accepted (F.7.2.1.1 note 5 asks SCUs for it).
- Character sets (F.7.2.2.1): a change in another character set than the stored step turns the step into UTF-8
  (ISO_IR 192); what cannot be decoded is answered 0106H.
- N-GET of an attribute of Table F.8.2-1 that has no value: an empty element if its type is 2, nothing if it
  is 3. One that is in neither the table nor the step: warning 0001H.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dulcimer.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydicom.dataelem import DataElement

MODALITY_PERFORMED_PROCEDURE_STEP: Final = "1.2.840.10008.3.1.2.3.3"
MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE: Final = "1.2.840.10008.3.1.2.3.4"
MODALITY_PERFORMED_PROCEDURE_STEP_NOTIFICATION: Final = "1.2.840.10008.3.1.2.3.5"

IN_PROGRESS: Final = "IN PROGRESS"
COMPLETED: Final = "COMPLETED"
DISCONTINUED: Final = "DISCONTINUED"
FINAL_STATES: Final = frozenset({COMPLETED, DISCONTINUED})

MAY_NO_LONGER_BE_UPDATED: Final = 0xA710
"""Error ID of the refusal that Table F.7.2-2 prescribes."""

Level = Literal["strict", "standard", "lenient"]
"""How strict the rules are: see the top of this module."""

_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_SOP_CLASS_UID: Final = 0x00080016
_SOP_INSTANCE_UID: Final = 0x00080018
_STATUS: Final = 0x00400252
_PERFORMED_SERIES: Final = 0x00400340


@dataclass(frozen=True, slots=True)
class Row:
    """One row of Table F.7.2-1 as far as it binds the SCU.

    ``create`` and ``set`` are the SCU halves of the requirement types (``""``: nothing is demanded, and a
    ``set`` of
    ``None`` means "Not allowed"); ``final`` is the Final State column where it says more than the N-CREATE
    type.
    """

    tag: int
    create: str
    set: str | None
    final: str = ""
    items: tuple[Row, ...] = ()


_NOT_ALLOWED: Final = None
_REFERENCE: Final = (Row(0x00081150, "1", "1", "1"), Row(0x00081155, "1", "1", "1"))
_CODE: Final = (Row(0x00080104, "1", "1"),)

TABLE_F_7_2_1: Final = (
    Row(_SPECIFIC_CHARACTER_SET, "", ""),
    # Performed Procedure Step Relationship
    Row(
        0x00400270,
        "1",
        _NOT_ALLOWED,
        items=(
            Row(0x0020000D, "1", _NOT_ALLOWED),
            Row(0x00081110, "2", _NOT_ALLOWED, items=_REFERENCE),
            Row(0x00080050, "2", _NOT_ALLOWED),
            Row(0x00321064, "3", _NOT_ALLOWED, items=_CODE),
            Row(0x00401001, "2", _NOT_ALLOWED),
            Row(0x00321060, "2", _NOT_ALLOWED),
            Row(0x00400009, "2", _NOT_ALLOWED),
            Row(0x00400007, "2", _NOT_ALLOWED),
            Row(0x00400008, "2", _NOT_ALLOWED, items=_CODE),
        ),
    ),
    Row(0x00100010, "2", _NOT_ALLOWED),
    Row(0x00100020, "2", _NOT_ALLOWED),
    Row(0x00100021, "3", _NOT_ALLOWED),
    Row(0x00100024, "3", _NOT_ALLOWED),
    Row(0x00101002, "3", _NOT_ALLOWED),
    Row(0x00100030, "2", _NOT_ALLOWED),
    Row(0x00100040, "2", _NOT_ALLOWED),
    Row(0x00081120, "2", _NOT_ALLOWED, items=_REFERENCE),
    Row(0x00380010, "3", _NOT_ALLOWED),
    Row(0x00380014, "3", _NOT_ALLOWED),
    Row(0x00380060, "3", _NOT_ALLOWED),
    Row(0x00380064, "3", _NOT_ALLOWED),
    Row(0x00380062, "3", _NOT_ALLOWED),
    # Performed Procedure Step Information
    Row(0x00400253, "1", _NOT_ALLOWED),
    Row(0x00400241, "1", _NOT_ALLOWED),
    Row(0x00400242, "2", _NOT_ALLOWED),
    Row(0x00400243, "2", _NOT_ALLOWED),
    Row(0x00400244, "1", _NOT_ALLOWED),
    Row(0x00400245, "1", _NOT_ALLOWED),
    Row(_STATUS, "1", "3"),
    Row(0x00400254, "2", "3"),
    Row(0x00400255, "2", "3"),
    Row(0x00081032, "2", "3"),
    Row(0x00401012, "3", "3", items=_CODE),
    Row(0x00400250, "2", "3", "1"),
    Row(0x00400251, "2", "3", "1"),
    Row(0x00400280, "3", "3"),
    Row(0x00400281, "3", "3", items=_CODE),
    # Image Acquisition Results
    Row(0x00080060, "1", _NOT_ALLOWED),
    Row(0x00200010, "2", _NOT_ALLOWED),
    Row(0x00400260, "2", "3"),
    Row(
        _PERFORMED_SERIES,
        "2",
        "3",
        "1",
        items=(
            Row(0x00081050, "2", "2", "2"),
            Row(0x00181030, "1", "1", "1"),
            Row(0x00081070, "2", "2", "2"),
            Row(0x0020000E, "1", "1", "1"),
            Row(0x0008103E, "2", "2", "2"),
            Row(0x00080054, "2", "2", "2"),
            # Which instances were created is for the SCU to know: their lists are noted, not demanded
            # (F.7.2.2.2).
            Row(0x00081140, "2", "2", "2", items=_REFERENCE),
            Row(0x00400220, "2", "2", "2", items=_REFERENCE),
        ),
    ),
    # Billing and Material Management Codes
    Row(0x00400320, "3", "3"),
    Row(0x00400321, "3", "3"),
    Row(0x00400324, "3", "3"),
)
"""Table F.7.2-1 without the rows inside sequences that demand nothing of the SCU unconditionally."""

TABLE_F_8_2_1: Final = {
    _SPECIFIC_CHARACTER_SET: "1C",
    0x00400270: "1",
    0x00100010: "2",
    0x00100020: "2",
    0x00100021: "3",
    0x00100024: "3",
    0x00100030: "2",
    0x00100032: "2",
    0x00100040: "2",
    0x00081120: "2",
    0x00380010: "3",
    0x00380014: "3",
    0x00380060: "3",
    0x00380064: "3",
    0x00380062: "3",
    0x00400241: "1",
    0x00400242: "2",
    0x00400243: "2",
    0x00400244: "1",
    0x00400245: "1",
    0x00400253: "1",
    _STATUS: "1",
    0x00400250: "2",
    0x00400251: "2",
    0x00400254: "2",
    0x00400255: "2",
    0x00081032: "2",
    0x00400280: "3",
    0x00400281: "2",
    _PERFORMED_SERIES: "2",
    0x00080060: "1",
    0x00200010: "2",
    0x00400260: "2",
    0x00400320: "3",
    0x00400321: "3",
    0x00400324: "3",
}
"""Table F.8.2-1: what N-GET may ask for, with the SCP half of the type.

The table prints Patient's Birth Time (0010,0032) where the N-CREATE has Patient's Birth Date: both are
served.
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be stored, and what an operator may want to know about it."""

    dataset: Dataset
    notes: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """Performed Procedure Step Status."""
        return status_of(self.dataset)


@dataclass(slots=True)
class Faults:
    """The attributes at fault, as paths of tags."""

    missing: list[tuple[int, ...]] = field(default_factory=list)
    empty: list[tuple[int, ...]] = field(default_factory=list)
    absent_type_2: list[tuple[int, ...]] = field(default_factory=list)


def status_of(dataset: Dataset) -> str:
    """Performed Procedure Step Status without padding, ``""`` if there is none."""
    element = dataset.get(_STATUS)
    return "" if element is None or element.value is None else str(element.value).strip()


def create(
    attributes: Dataset,
    instance_uid: str | None,
    *,
    class_uid: str = MODALITY_PERFORMED_PROCEDURE_STEP,
    level: Level = "standard",
) -> Outcome:
    """Apply the rules of N-CREATE (F.7.2.1) and return the step to store.

    Raises
    ------
    Refused
        0117H without an instance UID (F.7.2.1.1 asks the SCU for it), 0105H for UIDs in the data set that
        are not the command's, 0106H if the status is not IN PROGRESS, 0120H for missing and 0121H for empty
        attributes.
    """
    if not instance_uid:
        raise Refused(0x0117, "The SCU gives the SOP Instance UID of an MPPS", attributes=())
    step, notes = _without_sop_common(attributes, class_uid, instance_uid, level)
    if _STATUS in step and (state := status_of(step)) and state != IN_PROGRESS:
        raise _invalid_value(step[_STATUS], "The status of a new step is IN PROGRESS")
    notes += _judge(_check(step, TABLE_F_7_2_1, "create"), level)
    if not status_of(step):
        # Without a status the step would have no state, so not even the lenient level takes it.
        raise Refused(0x0120, "Performed Procedure Step Status is missing", attributes=(_STATUS,))
    return Outcome(step, tuple(notes))


def modify(stored: Dataset, change: Dataset, *, instance_uid: str = "", level: Level = "standard") -> Outcome:
    """Apply the rules of N-SET (F.7.2.2) and return the step as it is to be stored.

    Every element of ``change`` replaces the stored one, sequences as a whole (F.7.2.2.2).

    Raises
    ------
    Refused
        0110H with Error ID A710H if the step is final, 0105H for attributes that may not be set, 0106H for a
        status that does not exist or text that cannot be decoded, 0120H and 0121H for what is missing or
        empty.
    """
    if status_of(stored) != IN_PROGRESS:
        raise Refused(
            0x0110,
            "Performed Procedure Step Object may no longer be updated",
            error_id=MAY_NO_LONGER_BE_UPDATED,
        )
    update, notes = _without_sop_common(change, MODALITY_PERFORMED_PROCEDURE_STEP, instance_uid, level)
    refused = [tag for tag in _not_allowed(update) if level == "strict" or not _same(update, stored, tag)]
    if refused:
        raise Refused(0x0105, f"May not be set: {_names((tag,) for tag in refused)}", attributes=refused)
    state = status_of(update)
    if _STATUS in update and state != IN_PROGRESS and state not in FINAL_STATES:
        raise _invalid_value(update[_STATUS], "The status is none of IN PROGRESS, COMPLETED and DISCONTINUED")
    notes += _judge(_check(update, TABLE_F_7_2_1, "set"), level)
    merged = _merge(stored, update)
    if state in FINAL_STATES:
        notes += _judge(missing_for_final_state(merged), level)
    return Outcome(merged, tuple(notes))


def retrieve(stored: Dataset, identifiers: Sequence[int]) -> tuple[Dataset, tuple[int, ...]]:
    """Apply the rules of N-GET (F.8.2): the attributes to answer, and the requested tags that are not
    supported.

    Without identifiers everything is answered. If any tag is unsupported, the status is warning 0001H.
    """
    answer = Dataset()
    unsupported: list[int] = []
    if not identifiers:
        answer.update(stored)
    for tag in identifiers:
        if tag in stored:
            answer[tag] = stored[tag]
        elif TABLE_F_8_2_1.get(tag) == "2":
            setattr(answer, keyword_for_tag(tag), None)
        elif tag not in TABLE_F_8_2_1:
            unsupported.append(int(tag))
    if _SPECIFIC_CHARACTER_SET in stored:
        answer[_SPECIFIC_CHARACTER_SET] = stored[_SPECIFIC_CHARACTER_SET]
    for tag in (_SOP_CLASS_UID, _SOP_INSTANCE_UID):
        if tag in answer:
            del answer[tag]
    return answer, tuple(unsupported)


def missing_for_final_state(step: Dataset) -> Faults:
    """What the Final State column of Table F.7.2-1 still demands of ``step``."""
    return _check(step, TABLE_F_7_2_1, "final")


def describe(faults: Faults) -> list[str]:
    """Name the attributes of type 1 that are missing or empty, for people."""
    return [_name(path) for path in (*faults.missing, *faults.empty)]


def _check(dataset: Dataset, rows: Iterable[Row], column: str, parents: tuple[int, ...] = ()) -> Faults:
    faults = Faults()
    for row in rows:
        requirement: str | None = getattr(row, column)
        path = (*parents, row.tag)
        element = dataset.get(row.tag)
        if element is None:
            if requirement == "1":
                faults.missing.append(path)
            elif requirement == "2":
                faults.absent_type_2.append(path)
            continue
        if element.is_empty:
            if requirement == "1":
                faults.empty.append(path)
            continue
        # What may not be set cannot have changed, so an N-SET does not look into it.
        if row.items and requirement is not None and element.VR == "SQ":
            for item in element.value:
                inner = _check(item, row.items, column, path)
                faults.missing += [found for found in inner.missing if found not in faults.missing]
                faults.empty += [found for found in inner.empty if found not in faults.empty]
                faults.absent_type_2 += [
                    found for found in inner.absent_type_2 if found not in faults.absent_type_2
                ]
    return faults


def _judge(faults: Faults, level: Level) -> list[str]:
    """Refuse what the level refuses, and put the rest into words."""
    missing = faults.missing + (faults.absent_type_2 if level == "strict" else [])
    if level != "lenient":
        if missing:
            raise Refused(
                0x0120, f"Missing: {_names(missing)}", attributes=list(dict.fromkeys(p[-1] for p in missing))
            )
        if faults.empty:
            raise Refused(0x0121, f"No value: {_names(faults.empty)}", values=_empty_elements(faults.empty))
    notes = []
    if accepted := missing + (faults.absent_type_2 if level != "strict" else []):
        notes.append(f"accepted without {_names(accepted)}")
    if faults.empty:
        notes.append(f"accepted without a value for {_names(faults.empty)}")
    return notes


def _without_sop_common(
    dataset: Dataset, class_uid: str, instance_uid: str, level: Level
) -> tuple[Dataset, list[str]]:
    """Copy the data set without (0008,0016) and (0008,0018), which it must not hold (PS3.4 5.4.2.3)."""
    copy = deepcopy(dataset)
    notes = []
    for tag, expected in ((_SOP_CLASS_UID, class_uid), (_SOP_INSTANCE_UID, instance_uid)):
        if tag not in copy:
            continue
        if level == "strict" or (expected and str(copy[tag].value) != expected and level != "lenient"):
            raise Refused(
                0x0105, f"{keyword_for_tag(tag)} does not belong in the data set", attributes=(tag,)
            )
        notes.append(f"dropped {keyword_for_tag(tag)} from the data set")
        del copy[tag]
    return copy, notes


def _not_allowed(update: Dataset) -> Iterator[int]:
    for row in TABLE_F_7_2_1:
        if row.set is _NOT_ALLOWED and row.tag in update:
            yield row.tag


def _same(update: Dataset, stored: Dataset, tag: int) -> bool:
    if tag not in stored:
        return bool(update[tag].is_empty)
    return bool(update[tag] == stored[tag])


def _merge(stored: Dataset, update: Dataset) -> Dataset:
    merged = deepcopy(stored)
    old, new = _character_set(stored), _character_set(update)
    unify = new is not None and new != old
    if unify:
        try:
            merged.decode()
            update.decode()
        except (LookupError, UnicodeError, ValueError):
            raise _invalid_value(
                update[_SPECIFIC_CHARACTER_SET], "The character sets cannot be combined"
            ) from None
    for element in update:
        if element.tag != _SPECIFIC_CHARACTER_SET:
            merged[element.tag] = element
    if unify:
        merged.SpecificCharacterSet = "ISO_IR 192"
    return merged


def _character_set(dataset: Dataset) -> str | None:
    element = dataset.get(_SPECIFIC_CHARACTER_SET)
    if element is None or element.is_empty:
        return None
    return str(element.value)


def _invalid_value(element: DataElement, comment: str) -> Refused:
    values = Dataset()
    values[element.tag] = deepcopy(element)
    return Refused(0x0106, comment, values=values)


def _empty_elements(paths: Iterable[tuple[int, ...]]) -> Dataset:
    """Build the data set of a 0121H answer: nothing but the elements that lack a value, at their place."""
    values = Dataset()
    for path in paths:
        place = values
        for tag in path[:-1]:
            keyword = keyword_for_tag(tag)
            if keyword not in place:
                setattr(place, keyword, [Dataset()])
            place = place[tag].value[0]
        setattr(place, keyword_for_tag(path[-1]), None)
    return values


def _names(paths: Iterable[tuple[int, ...]]) -> str:
    return ", ".join(_name(path) for path in paths)


def _name(path: tuple[int, ...]) -> str:
    return " > ".join(keyword_for_tag(tag) or str(Tag(tag)) for tag in path)
