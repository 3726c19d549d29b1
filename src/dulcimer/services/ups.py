"""The rules of Unified Procedure Step (PS3.4 Annex CC), as pure functions over data sets.

The functions take what the peer sent and what is stored, and give what is to be stored, answered and
reported. They know no network and no database, change none of their arguments, and raise
:class:`~dulcimer.errors.Refused` for what the Standard refuses.

States of a workitem, Procedure Step State (0074,1000)::

    N-CREATE ──► SCHEDULED ──N-ACTION 1──► IN PROGRESS ──N-ACTION 1──► COMPLETED   (final)
                     │       with a lock                └─N-ACTION 1──► CANCELED    (final)
                     └─N-ACTION 2 ──► (IN PROGRESS) ──► CANCELED

Who moves it to IN PROGRESS gives the Transaction UID that locks it; without that UID nobody changes it.

Where the Standard is silent
----------------------------
- An N-SET with a Transaction UID while the workitem is SCHEDULED (CC.2.6.2 forbids it to the SCU and names no
  code): C310H, the workitem is not IN PROGRESS. An empty one is taken for none.
- An N-SET of the state, or of another attribute that Table CC.2.5-3 marks "Not allowed": 0105H with the tags,
  nothing is set.
- An N-SET of an attribute that the N-CREATE did not create: accepted and noted; 0105H where the level is
  strict.
- An N-ACTION 1 whose state is none that can be asked for: 0115H; without state: 0114H.
- A cancellation whose performer has set nothing (CC.2.1.3 lets a workitem go from SCHEDULED to CANCELED with
  two N-ACTIONs): no reason is demanded, though Table CC.2.5-3 has it among what CANCELED needs.
- Type 2 attributes that are missing at creation: added without a value (status B300H), refused with 0120H
  where the level is strict.
- Character sets: as for performed procedure steps, see :mod:`dulcimer.services.character_sets`.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pydicom.dataset import Dataset

from dulcimer.errors import Refused
from dulcimer.services.character_sets import merge
from dulcimer.services.rules import Finding, Findings, Kind, Level, check
from dulcimer.services.rules.completing import complete
from dulcimer.services.rules.tables import Demand, table_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

PUSH: Final = "1.2.840.10008.5.1.4.34.6.1"
"""Every instance is of this class, and every DIMSE-N command names it (CC.3.1)."""
WATCH: Final = "1.2.840.10008.5.1.4.34.6.2"
PULL: Final = "1.2.840.10008.5.1.4.34.6.3"
EVENT: Final = "1.2.840.10008.5.1.4.34.6.4"
QUERY: Final = "1.2.840.10008.5.1.4.34.6.5"
GLOBAL_SUBSCRIPTION: Final = "1.2.840.10008.5.1.4.34.5"
FILTERED_GLOBAL_SUBSCRIPTION: Final = "1.2.840.10008.5.1.4.34.5.1"

SCHEDULED: Final = "SCHEDULED"
IN_PROGRESS: Final = "IN PROGRESS"
COMPLETED: Final = "COMPLETED"
CANCELED: Final = "CANCELED"
FINAL_STATES: Final = frozenset({COMPLETED, CANCELED})

CHANGE_STATE: Final = 1
REQUEST_CANCEL: Final = 2
SUBSCRIBE: Final = 3
UNSUBSCRIBE: Final = 4
SUSPEND_GLOBAL: Final = 5

STATE_REPORT: Final = 1
CANCEL_REQUESTED: Final = 2
PROGRESS_REPORT: Final = 3
SCP_STATUS_CHANGE: Final = 4
ASSIGNED: Final = 5

CREATED_WITH_MODIFICATIONS: Final = 0xB300
ALREADY_CANCELED: Final = 0xB304
ALREADY_COMPLETED: Final = 0xB306
MAY_NO_LONGER_BE_UPDATED: Final = 0xC300
WRONG_TRANSACTION_UID: Final = 0xC301
ALREADY_IN_PROGRESS: Final = 0xC302
ONLY_CREATED_SCHEDULED: Final = 0xC303
FINAL_STATE_INCOMPLETE: Final = 0xC304
NO_SUCH_WORKITEM: Final = 0xC307
NOT_SCHEDULED_AT_CREATION: Final = 0xC309
NOT_IN_PROGRESS: Final = 0xC310
IS_COMPLETED: Final = 0xC311

_STATE: Final = 0x0074_1000
_TRANSACTION_UID: Final = 0x0008_1195
_MODIFIED: Final = 0x0040_4010
_READINESS: Final = 0x0040_4041
_PROGRESS: Final = 0x0074_1002
_STATION: Final = 0x0040_4025
_PERFORMERS: Final = 0x0040_4034
_SOP_CLASS_UID: Final = 0x0008_0016
_SOP_INSTANCE_UID: Final = 0x0008_0018
_FILLED_BY_SCP: Final = frozenset(
    {(_SOP_CLASS_UID,), (_SOP_INSTANCE_UID,), (_MODIFIED,), (_PROGRESS, 0x0040_4052)}
)
_OUTPUT: Final = (0x0074_1216, 0x0040_4033)
"""Output Information Sequence: without items there are no output objects."""


@dataclass(frozen=True, slots=True)
class Event:
    """An N-EVENT-REPORT that subscribers are sent (CC.2.4)."""

    event_type: int
    information: Dataset


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be stored and answered.

    Attributes
    ----------
    dataset
        The workitem to store.
    status
        Success or a warning.
    events
        What subscribers are told, in this order.
    notes
        What an operator may want to know.
    """

    dataset: Dataset
    status: int = 0x0000
    events: tuple[Event, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def state(self) -> str:
        """Procedure Step State."""
        return state_of(self.dataset)


def state_of(workitem: Dataset) -> str:
    """Procedure Step State without padding, ``""`` if there is none."""
    return _text(workitem, _STATE)


def create(
    attributes: Dataset, instance_uid: str | None, now: datetime, *, level: Level = "standard"
) -> Outcome:
    """Apply the rules of N-CREATE (CC.2.5) and return the workitem to store.

    Raises
    ------
    Refused
        0117H without an instance UID, C309H if the state is not SCHEDULED, else 0105H, 0106H, 0120H or 0121H.
    """
    if not instance_uid:
        raise Refused(0x0117, "The SCU gives the SOP Instance UID of a UPS")
    workitem = _without_sop_common(attributes)
    if _STATE in workitem and state_of(workitem) != SCHEDULED:
        raise Refused(NOT_SCHEDULED_AT_CREATION, "The Procedure Step State of a new UPS is SCHEDULED")
    notes = check("N-CREATE", PUSH, workitem, level=level).without(_is_modified_time).enforce(workitem)
    if not state_of(workitem):
        # Without a state there would be none to move from, so not even the lenient level takes it.
        raise Refused(0x0120, "Procedure Step State is missing", attributes=(_STATE,))
    table = table_for(PUSH, "N-CREATE")
    assert table is not None
    before = set(workitem.keys())
    complete(workitem, table.rows)
    modified = set(workitem.keys()) != before
    if "WorklistLabel" not in workitem or workitem["WorklistLabel"].is_empty:
        workitem.WorklistLabel = "DEFAULT"
    workitem.SOPClassUID, workitem.SOPInstanceUID = PUSH, instance_uid
    _stamp(workitem, now)
    status = CREATED_WITH_MODIFICATIONS if modified else 0x0000
    return Outcome(workitem, status, (state_report(workitem), *_assigned(Dataset(), workitem)), tuple(notes))


def modify(stored: Dataset, change: Dataset, now: datetime, *, level: Level = "standard") -> Outcome:
    """Apply the rules of N-SET (CC.2.6) and return the workitem as it is to be stored.

    Every element of ``change`` replaces the stored one, sequences as a whole.

    Raises
    ------
    Refused
        C300H if the workitem is final, C301H without the right Transaction UID, C310H with one while it is
        SCHEDULED, 0105H for attributes that may not be set, else 0106H, 0120H or 0121H.
    """
    state, given = state_of(stored), _text(change, _TRANSACTION_UID)
    if state in FINAL_STATES:
        raise Refused(MAY_NO_LONGER_BE_UPDATED, "The UPS may no longer be updated")
    if state == SCHEDULED and given:
        raise Refused(NOT_IN_PROGRESS, "The UPS is not IN PROGRESS, it has no Transaction UID yet")
    if state == IN_PROGRESS:
        _unlock(stored, given)
    update = deepcopy(change)
    if _TRANSACTION_UID in update:
        del update[_TRANSACTION_UID]
    notes = check("N-SET", PUSH, update, stored=stored, level=level).enforce(update)
    workitem = merge(stored, update)
    _stamp(workitem, now)
    return Outcome(workitem, 0x0000, tuple(_changes(stored, workitem)), tuple(notes))


def change_state(stored: Dataset, action: Dataset, now: datetime, *, level: Level = "standard") -> Outcome:
    """Apply the rules of N-ACTION 1, Change UPS State (CC.2.1, Table CC.1.1-2).

    Raises
    ------
    Refused
        C300H, C301H, C302H, C303H, C304H or C310H as the table says; 0114H without a state, 0115H for one
        that does not exist.
    """
    wanted, given, state = _text(action, _STATE), _text(action, _TRANSACTION_UID), state_of(stored)
    if not wanted:
        raise Refused(0x0114, "Procedure Step State is missing", attributes=(_STATE,))
    if wanted == SCHEDULED:
        raise Refused(ONLY_CREATED_SCHEDULED, "A UPS may become SCHEDULED via N-CREATE only")
    if wanted not in (IN_PROGRESS, COMPLETED, CANCELED):
        raise Refused(0x0115, f"No such state: {wanted}", attributes=(_STATE,))
    if not given:
        raise Refused(WRONG_TRANSACTION_UID, "The Transaction UID is missing")
    if state != SCHEDULED:
        _unlock(stored, given)
    if wanted == IN_PROGRESS:
        return _begin(stored, state, given, now)
    if state == SCHEDULED:
        raise Refused(NOT_IN_PROGRESS, "The UPS is not yet IN PROGRESS")
    if state == wanted:
        return Outcome(stored, ALREADY_COMPLETED if wanted == COMPLETED else ALREADY_CANCELED)
    if state in FINAL_STATES:
        raise Refused(MAY_NO_LONGER_BE_UPDATED, "The UPS may no longer be updated")
    return _finish(stored, wanted, now, level)


def request_cancel(stored: Dataset, action: Dataset, requesting_aet: str, now: datetime) -> Outcome:
    """Apply the rules of N-ACTION 2, Request UPS Cancel (CC.2.2).

    A workitem that is SCHEDULED is canceled; of one IN PROGRESS the performer is told, who decides.

    Raises
    ------
    Refused
        C311H if it is completed.
    """
    state = state_of(stored)
    if state == COMPLETED:
        raise Refused(IS_COMPLETED, "The UPS is already COMPLETED")
    if state == CANCELED:
        return Outcome(stored, ALREADY_CANCELED)
    if state == IN_PROGRESS:
        return Outcome(stored, events=(_cancel_requested(action, requesting_aet),))
    workitem = deepcopy(stored)
    workitem.ProcedureStepState = IN_PROGRESS
    begun = state_report(workitem)
    workitem.ProcedureStepState = CANCELED
    _note_cancellation(workitem, now, action)
    _stamp(workitem, now)
    return Outcome(workitem, events=(begun, state_report(workitem, action)))


def retrieve(stored: Dataset, identifiers: Sequence[int]) -> tuple[Dataset, tuple[int, ...]]:
    """Apply the rules of N-GET (CC.2.7): the attributes to answer, and the tags that are not supported.

    The Transaction UID is nobody's to see. If any tag is unsupported, the status is warning 0001H.
    """
    table = table_for(PUSH, "N-GET")
    assert table is not None
    hidden = {tag for tag, row in table.rows.items() if row.scp.demand is Demand.NOT_ALLOWED}
    answer = Dataset()
    unsupported = []
    for tag in identifiers or [int(tag) for tag in stored.keys()]:  # noqa: SIM118 - would decode them
        if tag in hidden:
            if identifiers:
                unsupported.append(int(tag))
        elif tag in stored:
            answer[tag] = stored[tag]
        elif tag not in table.rows:
            unsupported.append(int(tag))
    if "SpecificCharacterSet" in stored:
        answer["SpecificCharacterSet"] = stored["SpecificCharacterSet"]
    return answer, tuple(unsupported)


def response(identifier: Dataset, workitem: Dataset) -> Dataset:
    """Give the C-FIND response about a workitem: what the identifier asks for, as far as it is known."""
    answer = Dataset()
    for tag in identifier.keys():  # noqa: SIM118 - iterating a data set decodes its elements
        if int(tag) == _TRANSACTION_UID:
            continue
        if tag in workitem:
            answer[tag] = deepcopy(workitem[tag])
        else:
            element = identifier[tag]
            answer.add_new(tag, element.VR, [] if element.VR == "SQ" else None)
    for keyword in ("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID"):
        if keyword in workitem:
            answer[keyword] = deepcopy(workitem[keyword])
        elif keyword in answer:
            del answer[keyword]
    return answer


def missing_for(stored: Dataset, state: str, level: Level = "standard") -> Findings:
    """What a workitem still lacks for a final state (CC.2.5.1.1)."""
    untouched = not any(len(item) for item in stored.get("ProcedureStepProgressInformationSequence") or ())

    def excused(finding: Finding) -> bool:
        path = finding.path
        if path in _FILLED_BY_SCP or (path[0] == _PROGRESS and untouched):
            return True
        return path == _OUTPUT and finding.kind is Kind.EMPTY

    return check("final", PUSH, stored, state=state, level=level).without(excused)


def _begin(stored: Dataset, state: str, transaction_uid: str, now: datetime) -> Outcome:
    if state == IN_PROGRESS:
        raise Refused(ALREADY_IN_PROGRESS, "The UPS is already IN PROGRESS")
    if state in FINAL_STATES:
        raise Refused(MAY_NO_LONGER_BE_UPDATED, "The UPS may no longer be updated")
    workitem = deepcopy(stored)
    workitem.ProcedureStepState = IN_PROGRESS
    workitem.TransactionUID = transaction_uid
    _stamp(workitem, now)
    return Outcome(workitem, events=(state_report(workitem),))


def _finish(stored: Dataset, wanted: str, now: datetime, level: Level) -> Outcome:
    lacking = missing_for(stored, wanted, level)
    if not lacking.ok:
        names = ", ".join(finding.name for finding in lacking.blocking)
        raise Refused(
            FINAL_STATE_INCOMPLETE,
            f"Not yet {wanted}, lacks {names}",
            offending=list(dict.fromkeys(finding.path[-1] for finding in lacking.blocking)),
        )
    workitem = deepcopy(stored)
    if wanted == CANCELED:
        _note_cancellation(workitem, now, None)
    workitem.ProcedureStepState = wanted
    _stamp(workitem, now)
    return Outcome(workitem, events=(state_report(workitem),))


def _unlock(stored: Dataset, given: str) -> None:
    if not given or given != _text(stored, _TRANSACTION_UID):
        raise Refused(WRONG_TRANSACTION_UID, "The correct Transaction UID was not provided")


def _note_cancellation(workitem: Dataset, now: datetime, action: Dataset | None) -> None:
    """Fill the time of the cancellation, and the reason if there is one (CC.2.1.3, CC.2.2.3)."""
    if not workitem.get("ProcedureStepProgressInformationSequence"):
        workitem.ProcedureStepProgressInformationSequence = [Dataset()]
    progress = workitem.ProcedureStepProgressInformationSequence[0]
    if not progress.get("ProcedureStepCancellationDateTime"):
        progress.ProcedureStepCancellationDateTime = _date_time(now)
    for keyword in ("ReasonForCancellation", "ProcedureStepDiscontinuationReasonCodeSequence"):
        if action is not None and action.get(keyword):
            progress[keyword] = deepcopy(action[keyword])


def _changes(before: Dataset, after: Dataset) -> Iterator[Event]:
    """Give what subscribers are told of an N-SET (CC.2.4.3)."""
    if _text(before, _READINESS) != _text(after, _READINESS):
        yield state_report(after)
    yield from _assigned(before, after)
    if _changed(before, after, _PROGRESS):
        information = Dataset()
        information[_PROGRESS] = deepcopy(after[_PROGRESS])
        yield Event(PROGRESS_REPORT, _in_character_set_of(after, information))


def _assigned(before: Dataset, after: Dataset) -> Iterator[Event]:
    if not (_changed(before, after, _STATION) or _changed(before, after, _PERFORMERS)):
        return
    information = Dataset()
    if _STATION in after and not after[_STATION].is_empty:
        information[_STATION] = deepcopy(after[_STATION])
    for performer in after.get("ScheduledHumanPerformersSequence") or ():
        for keyword in ("HumanPerformerCodeSequence", "HumanPerformerOrganization"):
            if performer.get(keyword) and keyword not in information:
                information[keyword] = deepcopy(performer[keyword])
    yield Event(ASSIGNED, _in_character_set_of(after, information))


def state_report(workitem: Dataset, action: Dataset | None = None) -> Event:
    """Give the UPS State Report of a workitem (CC.2.4.3), with the reasons of a request to cancel it."""
    information = Dataset()
    information.ProcedureStepState = state_of(workitem)
    information.InputReadinessState = _text(workitem, _READINESS)
    progress = workitem.get("ProcedureStepProgressInformationSequence") or ()
    for source in (*progress, *([] if action is None else [action])):
        for keyword in ("ReasonForCancellation", "ProcedureStepDiscontinuationReasonCodeSequence"):
            if source.get(keyword):
                information[keyword] = deepcopy(source[keyword])
    return Event(STATE_REPORT, _in_character_set_of(workitem, information))


def _changed(before: Dataset, after: Dataset, tag: int) -> bool:
    """Tell whether an attribute has got another value; to lose it is no news."""
    if tag not in after or after[tag].is_empty:
        return False
    return tag not in before or bool(before[tag] != after[tag])


def _cancel_requested(action: Dataset, requesting_aet: str) -> Event:
    information = Dataset()
    information.RequestingAE = requesting_aet
    for keyword in (
        "SpecificCharacterSet",
        "ReasonForCancellation",
        "ProcedureStepDiscontinuationReasonCodeSequence",
        "ContactURI",
        "ContactDisplayName",
    ):
        if action.get(keyword):
            information[keyword] = deepcopy(action[keyword])
    return Event(CANCEL_REQUESTED, information)


def _in_character_set_of(workitem: Dataset, information: Dataset) -> Dataset:
    if "SpecificCharacterSet" in workitem:
        information["SpecificCharacterSet"] = deepcopy(workitem["SpecificCharacterSet"])
    return information


def _without_sop_common(attributes: Dataset) -> Dataset:
    # PS3.4 5.4.2.3 bans them from the data set; Table CC.2.5-3 has the SCP fill them.
    workitem = deepcopy(attributes)
    for tag in (_SOP_CLASS_UID, _SOP_INSTANCE_UID):
        if tag in workitem:
            del workitem[tag]
    return workitem


def _is_modified_time(finding: Finding) -> bool:
    return finding.path == (_MODIFIED,) and finding.kind in (Kind.MISSING, Kind.ABSENT, Kind.UNDEFINED)


def _stamp(workitem: Dataset, now: datetime) -> None:
    workitem.ScheduledProcedureStepModificationDateTime = _date_time(now)


def _date_time(now: datetime) -> str:
    return now.strftime("%Y%m%d%H%M%S.%f%z")


def _text(dataset: Dataset, tag: int) -> str:
    value = dataset[tag].value if tag in dataset else None
    return "" if value is None else str(value).strip()
