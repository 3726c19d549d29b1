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
- An N-SET of an attribute that the N-CREATE did not create: accepted and noted, because refusing it would
  lose data; 0105H where the level is strict.
- Attributes outside Table F.7.2-1 (private ones, the retired Radiation Dose module): kept as they are.
- Zero length for type 3 attributes: accepted (F.7.2.1.1 note 5 asks SCUs for it).
- Character sets (F.7.2.2.1): a change in another character set than the stored step turns the step into UTF-8
  (ISO_IR 192); what cannot be decoded is answered 0106H.
- N-GET of an attribute of Table F.8.2-1 that has no value: an empty element if its type is 2, nothing if it
  is 3. One that is in neither the table nor the step: warning 0001H.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from dulcimer.errors import Refused
from dulcimer.services.character_sets import merge
from dulcimer.services.rules import Finding, Findings, Kind, check
from dulcimer.services.rules import Level as Level
from dulcimer.services.rules.tables import Demand, table_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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

_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_SOP_CLASS_UID: Final = 0x00080016
_SOP_INSTANCE_UID: Final = 0x00080018
_STATUS: Final = 0x00400252


_ALSO_RETRIEVED: Final = {0x0010_0030: Demand.PRESENCE}
"""Table F.8.2-1 prints Patient's Birth Time (0010,0032) where the N-CREATE has Patient's Birth Date: both are
served."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be stored, and what an operator may want to know about it."""

    dataset: Dataset
    notes: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """Performed Procedure Step Status."""
        return status_of(self.dataset)


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
    found = check("N-CREATE", class_uid, step, level=level).without(_about_status_values)
    notes += found.enforce(step)
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
    found = check("N-SET", MODALITY_PERFORMED_PROCEDURE_STEP, update, stored=stored, level=level)
    forbidden = found.without(lambda finding: finding.kind is not Kind.NOT_ALLOWED).refusal()
    if forbidden is not None:
        raise forbidden
    state = status_of(update)
    if _STATUS in update and state != IN_PROGRESS and state not in FINAL_STATES:
        raise _invalid_value(update[_STATUS], "The status is none of IN PROGRESS, COMPLETED and DISCONTINUED")
    notes += found.enforce(update)
    merged = merge(stored, update)
    if state in FINAL_STATES:
        notes += missing_for_final_state(merged, level).enforce(merged)
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
    table = table_for(MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE, "N-GET")
    assert table is not None
    supported = {tag: row.scp.demand for tag, row in table.rows.items()} | _ALSO_RETRIEVED
    for tag in identifiers:
        if tag in stored:
            answer[tag] = stored[tag]
        elif supported.get(tag) is Demand.PRESENCE:
            setattr(answer, keyword_for_tag(tag), None)
        elif tag not in supported:
            unsupported.append(int(tag))
    if _SPECIFIC_CHARACTER_SET in stored:
        answer[_SPECIFIC_CHARACTER_SET] = stored[_SPECIFIC_CHARACTER_SET]
    for tag in (_SOP_CLASS_UID, _SOP_INSTANCE_UID):
        if tag in answer:
            del answer[tag]
    return answer, tuple(unsupported)


def missing_for_final_state(step: Dataset, level: Level = "standard") -> Findings:
    """What the Final State column of Table F.7.2-1 still demands of ``step``."""
    return check("final", MODALITY_PERFORMED_PROCEDURE_STEP, step, level=level)


def named_instances(step: Dataset) -> Iterator[str]:
    """Give the SOP Instance UIDs that a step names as its own, images and others (F.7.2.2.2)."""
    for series in step.get("PerformedSeriesSequence") or ():
        for keyword in ("ReferencedImageSequence", "ReferencedNonImageCompositeSOPInstanceSequence"):
            for reference in series.get(keyword) or ():
                uid = reference.get("ReferencedSOPInstanceUID")
                if uid:
                    yield str(uid)


def describe(findings: Findings) -> list[str]:
    """Name the attributes that are demanded and missing or empty, for people."""
    wanted = [finding for finding in findings if finding.kind in (Kind.MISSING, Kind.EMPTY)]
    return [finding.name for finding in wanted]


def _about_status_values(finding: Finding) -> bool:
    # Whatever the level, a step begins IN PROGRESS: that has been answered already.
    return finding.path == (_STATUS,) and finding.kind is Kind.WRONG_VALUE


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


def _invalid_value(element: DataElement, comment: str) -> Refused:
    values = Dataset()
    values[element.tag] = deepcopy(element)
    return Refused(0x0106, comment, values=values)
