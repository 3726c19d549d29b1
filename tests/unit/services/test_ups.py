"""The rules of PS3.4 Annex CC: section 3 of the rules of N-SET, and Table CC.1.1-2 as it is printed."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pydicom.dataset import Dataset

from dulcimer.errors import Refused
from dulcimer.services import ups
from dulcimer.services.rules.tables import Demand, table_for
from support.workitems import LOCK, code, new_workitem, performed, progress, state

if TYPE_CHECKING:
    from collections.abc import Callable

UID = "2.25.1"
NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)
LEVELS = ("strict", "standard", "lenient")
CREATE = table_for(ups.PUSH, "N-CREATE").rows
SET = table_for(ups.PUSH, "N-SET").rows


def workitem(wanted: str = "SCHEDULED") -> Dataset:
    """A workitem in a state, that can go to any state after it."""
    found = ups.create(new_workitem(), UID, NOW).dataset
    if wanted == "SCHEDULED":
        return found
    found = ups.change_state(found, state("IN PROGRESS"), NOW).dataset
    if wanted == "IN PROGRESS":
        return found
    found = ups.modify(found, performed(), NOW).dataset
    return ups.change_state(found, state(wanted), NOW).dataset


def refusal(call: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value


# ---- 3.2, Table CC.1.1-2 ---------------------------------------------------------------------------

STATES = ("SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED")
TABLE = """
event                        | SCHEDULED        | IN PROGRESS      | COMPLETED | CANCELED
to IN PROGRESS, right UID    | -> IN PROGRESS   | C302             | C300      | C300
to IN PROGRESS, wrong UID    | C301             | C301             | C301      | C301
to SCHEDULED, right UID      | C303             | C303             | C303      | C303
to COMPLETED, right UID      | C310             | -> COMPLETED     | B306      | C300
to COMPLETED, wrong UID      | C301             | C301             | C301      | C301
request cancel               | -> CANCELED      | -> IN PROGRESS   | C311      | B304
to CANCELED, right UID       | C310             | -> CANCELED      | C300      | B304
to CANCELED, wrong UID       | C301             | C301             | C301      | C301
"""
CELLS = {}
for line in TABLE.strip().splitlines()[1:]:
    happening, *cells = (part.strip() for part in line.split("|"))
    for at, cell in zip(STATES, cells, strict=True):
        CELLS[happening, at] = cell


def act(happening: str, stored: Dataset, *, absent: bool = False) -> ups.Outcome:
    if happening == "request cancel":
        return ups.request_cancel(stored, Dataset(), "ASKING", LATER)
    wanted, _, right = happening.removeprefix("to ").partition(", ")
    wrong = "" if absent or stored.ProcedureStepState == "SCHEDULED" else "2.25.99"
    return ups.change_state(stored, state(wanted, LOCK if right == "right UID" else wrong), LATER)


def performable(at: str) -> Dataset:
    stored = workitem(at)
    return ups.modify(stored, performed(), NOW).dataset if at == "IN PROGRESS" else stored


@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize(("happening", "at"), CELLS, ids=str)
def test_3_2_each_cell_of_the_state_table(happening: str, at: str, absent: bool) -> None:
    stored = performable(at)
    before = deepcopy(stored)
    cell = CELLS[happening, at]
    if cell.startswith("->"):
        outcome = act(happening, stored)
        assert (outcome.state, outcome.status) == (cell.removeprefix("-> "), 0)
    elif cell.startswith("B"):
        outcome = act(happening, stored)
        assert (outcome.dataset, outcome.status, outcome.events) == (stored, int(cell, 16), ())
    else:
        assert refusal(lambda: act(happening, stored, absent=absent)).status == int(cell, 16)
    assert stored == before


def test_3_2_every_report_of_the_state_table() -> None:
    def told(outcome: ups.Outcome) -> list[tuple[int, str]]:
        return [(each.event_type, each.information.get("ProcedureStepState")) for each in outcome.events]

    assert told(ups.create(new_workitem(), UID, NOW)) == [(1, "SCHEDULED")]
    assert told(act("to IN PROGRESS, right UID", workitem())) == [(1, "IN PROGRESS")]
    assert told(act("request cancel", workitem())) == [(1, "IN PROGRESS"), (1, "CANCELED")]
    assert told(act("request cancel", workitem("IN PROGRESS"))) == [(2, None)]
    assert told(act("to COMPLETED, right UID", performable("IN PROGRESS"))) == [(1, "COMPLETED")]
    assert told(act("to CANCELED, right UID", workitem("IN PROGRESS"))) == [(1, "CANCELED")]


def test_3_2_a_cancel_request_says_who_and_why() -> None:
    action = Dataset()
    action.ReasonForCancellation = "Patient left"
    action.ContactDisplayName = "Desk 1"
    action.ProcedureStepDiscontinuationReasonCodeSequence = [code("110513", "DCM", "Discontinued")]
    (report,) = ups.request_cancel(workitem("IN PROGRESS"), action, "DESK", LATER).events
    assert report.information.RequestingAE == "DESK"
    assert report.information.ReasonForCancellation == "Patient left"
    assert report.information.ContactDisplayName == "Desk 1"
    assert "ContactURI" not in report.information
    canceled = ups.request_cancel(workitem(), action, "DESK", LATER)
    item = canceled.dataset.ProcedureStepProgressInformationSequence[0]
    assert item.ReasonForCancellation == "Patient left"
    assert item.ProcedureStepCancellationDateTime.startswith("20261124110000")
    assert canceled.events[-1].information.ReasonForCancellation == "Patient left"


@pytest.mark.parametrize(("wanted", "status"), [("", 0x0114), ("DONE", 0x0115)])
def test_3_2_a_state_that_is_none(wanted: str, status: int) -> None:
    assert refusal(lambda: ups.change_state(workitem(), state(wanted), NOW)).status == status


class Workitem(RuleBasedStateMachine):
    """Any sequence of operations leaves a workitem where the table says, and what is final as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.stored = workitem()
        self.state = "SCHEDULED"
        self.lock = ""
        self.final: Dataset | None = None

    @rule(
        wanted=st.sampled_from(STATES),
        lock=st.sampled_from(["", LOCK, "2.25.99"]),
    )
    def change_state(self, wanted: str, lock: str) -> None:
        right = bool(lock) and (self.state == "SCHEDULED" or lock == self.lock)
        cell = (
            "C303"
            if wanted == "SCHEDULED"
            else CELLS[f"to {wanted}, {'right' if right else 'wrong'} UID", self.state]
        )
        lacking = wanted in ups.FINAL_STATES and not ups.missing_for(self.stored, wanted).ok
        try:
            outcome = ups.change_state(self.stored, state(wanted, lock), LATER)
        except Refused as refused:
            assert refused.status == (0xC304 if cell.startswith("->") and lacking else int(cell, 16))
            return
        self.settle(outcome, cell)
        if self.state == "IN PROGRESS" and not self.lock:
            self.lock = lock

    @rule()
    def request_cancel(self) -> None:
        cell = CELLS["request cancel", self.state]
        try:
            outcome = ups.request_cancel(self.stored, Dataset(), "X", LATER)
        except Refused as refused:
            assert refused.status == int(cell, 16)
            return
        self.settle(outcome, cell)

    @rule(lock=st.sampled_from(["", LOCK, "2.25.99"]), change=st.sampled_from([performed(), progress()]))
    def modify(self, lock: str, change: Dataset) -> None:
        change = deepcopy(change)
        change.TransactionUID = lock
        try:
            outcome = ups.modify(self.stored, change, LATER)
        except Refused as refused:
            if self.state in ups.FINAL_STATES:
                assert refused.status == 0xC300
            elif self.state == "SCHEDULED":
                assert (refused.status, bool(lock)) == (0xC310, True)
            else:
                assert refused.status == 0xC301
                assert lock != self.lock
            return
        assert self.state not in ups.FINAL_STATES
        assert outcome.state == self.state
        assert lock == (self.lock if self.state == "IN PROGRESS" else "")
        self.stored = outcome.dataset

    def settle(self, outcome: ups.Outcome, cell: str) -> None:
        if cell.startswith("->"):
            assert (outcome.state, outcome.status) == (cell.removeprefix("-> "), 0)
        else:
            assert (outcome.state, outcome.status) == (self.state, int(cell, 16))
        self.stored, self.state = outcome.dataset, outcome.state
        if self.state in ups.FINAL_STATES and self.final is None:
            self.final = deepcopy(self.stored)

    @invariant()
    def what_is_final_stays(self) -> None:
        if self.final is not None:
            assert self.stored == self.final

    @invariant()
    def the_lock_is_the_first_one(self) -> None:
        assert str(self.stored.TransactionUID or "") == self.lock


TestWorkitem = Workitem.TestCase
TestWorkitem.settings = settings(max_examples=40, stateful_step_count=15, deadline=None)


# ---- 3.3, N-CREATE ---------------------------------------------------------------------------------


def test_3_3_a_complete_workitem_is_created() -> None:
    sent = new_workitem()
    before = deepcopy(sent)
    outcome = ups.create(sent, UID, NOW, level="strict")
    assert (outcome.status, outcome.notes) == (0, ())
    assert (outcome.dataset.SOPClassUID, outcome.dataset.SOPInstanceUID) == (ups.PUSH, UID)
    assert outcome.dataset.ScheduledProcedureStepModificationDateTime == "20261124100000.000000+0000"
    assert sent == before


def test_3_3_the_scu_gives_the_instance_uid() -> None:
    assert refusal(lambda: ups.create(new_workitem(), "", NOW)).status == 0x0117


@pytest.mark.parametrize("wanted", ["IN PROGRESS", "COMPLETED", "CANCELED", "X"])
@pytest.mark.parametrize("level", LEVELS)
def test_3_3_a_new_workitem_is_scheduled(wanted: str, level: ups.Level) -> None:
    sent = new_workitem()
    sent.ProcedureStepState = wanted
    assert refusal(lambda: ups.create(sent, UID, NOW, level=level)).status == 0xC309


def test_3_3_no_level_takes_a_workitem_without_state() -> None:
    sent = new_workitem()
    del sent.ProcedureStepState
    for level in LEVELS:
        assert refusal(lambda level=level: ups.create(sent, UID, NOW, level=level)).status in (0x0120, 0xC309)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda ds: setattr(ds, "TransactionUID", LOCK),
        lambda ds: setattr(ds, "ProcedureStepProgressInformationSequence", [Dataset()]),
        lambda ds: setattr(ds, "UnifiedProcedureStepPerformedProcedureSequence", [Dataset()]),
    ],
)
def test_3_3_what_has_to_be_empty_at_creation(spoil: Callable[[Dataset], None]) -> None:
    sent = new_workitem()
    spoil(sent)
    assert refusal(lambda: ups.create(sent, UID, NOW)).status == 0x0106


TYPE_1 = [tag for tag, row in CREATE.items() if row.scu.demand is Demand.VALUE and not row.scu.conditional]
TYPE_2 = [tag for tag, row in CREATE.items() if row.scu.demand is Demand.PRESENCE and not row.scu.conditional]


@pytest.mark.parametrize("tag", TYPE_1, ids=hex)
def test_3_3_type_1_missing_or_empty(tag: int) -> None:
    sent = new_workitem()
    del sent[tag]
    assert refusal(lambda: ups.create(sent, UID, NOW)).status == 0x0120
    sent = new_workitem()
    sent[tag].value = [] if sent[tag].VR == "SQ" else ""
    assert refusal(lambda: ups.create(sent, UID, NOW)).status in (0x0121, 0xC309)


@pytest.mark.parametrize("tag", TYPE_2, ids=hex)
def test_3_3_type_2_missing_is_added_or_refused(tag: int) -> None:
    sent = new_workitem()
    assert tag in sent
    del sent[tag]
    outcome = ups.create(sent, UID, NOW)
    assert tag in outcome.dataset
    assert outcome.status == 0xB300
    assert refusal(lambda: ups.create(sent, UID, NOW, level="strict")).status == 0x0120


def test_3_3_an_empty_worklist_label_is_filled() -> None:
    sent = new_workitem()
    sent.WorklistLabel = ""
    assert ups.create(sent, UID, NOW).dataset.WorklistLabel == "DEFAULT"


def test_3_3_who_is_assigned_at_creation_is_told() -> None:
    sent = new_workitem()
    sent.ScheduledStationNameCodeSequence = [code("RR1", "99X", "Reading room 1")]
    kinds = [each.event_type for each in ups.create(sent, UID, NOW).events]
    assert kinds == [1, 5]


# ---- 3.4 and 3.5, N-SET ----------------------------------------------------------------------------


def test_3_5_scheduled_without_transaction_uid_is_performed() -> None:
    change = Dataset()
    change.ProcedureStepLabel = "Other"
    stored = workitem()
    outcome = ups.modify(stored, change, LATER)
    assert outcome.dataset.ProcedureStepLabel == "Other"
    assert stored.ProcedureStepLabel == "Read the chest"
    assert outcome.dataset.ScheduledProcedureStepModificationDateTime.startswith("20261124110000")


def test_3_5_scheduled_with_transaction_uid_is_not_in_progress() -> None:
    assert refusal(lambda: ups.modify(workitem(), progress(), LATER)).status == 0xC310


@pytest.mark.parametrize("lock", ["", "2.25.99"])
def test_3_5_in_progress_with_another_transaction_uid(lock: str) -> None:
    stored = workitem("IN PROGRESS")
    assert refusal(lambda: ups.modify(stored, progress(lock=lock), LATER)).status == 0xC301


def test_3_5_in_progress_with_the_transaction_uid() -> None:
    outcome = ups.modify(workitem("IN PROGRESS"), progress(), LATER)
    assert outcome.dataset.TransactionUID == LOCK
    assert [each.event_type for each in outcome.events] == [3]


@pytest.mark.parametrize("wanted", ["COMPLETED", "CANCELED"])
@pytest.mark.parametrize("level", LEVELS)
def test_3_4_a_final_workitem_is_never_changed(wanted: str, level: ups.Level) -> None:
    assert refusal(lambda: ups.modify(workitem(wanted), progress(), LATER, level=level)).status == 0xC300


@pytest.mark.parametrize(
    "tag",
    [tag for tag, row in SET.items() if row.scu.demand is Demand.NOT_ALLOWED and tag in CREATE],
    ids=hex,
)
@pytest.mark.parametrize("level", LEVELS)
def test_3_4_what_may_not_be_set(tag: int, level: ups.Level) -> None:
    stored = workitem()
    if tag not in stored:
        pytest.skip("not created")
    change = Dataset()
    change[tag] = deepcopy(stored[tag])
    element = change[tag]
    if element.VR == "SQ":
        element.value = [Dataset()]
    else:
        element.value = {"DA": "20200101", "UI": "2.25.9"}.get(element.VR, "OTHER")
    refused = refusal(lambda: ups.modify(stored, change, LATER, level=level))
    assert (refused.status, refused.attributes) == (0x0105, (tag,))


def test_3_4_the_state_is_not_set() -> None:
    change = Dataset()
    change.ProcedureStepState = "COMPLETED"
    change.TransactionUID = LOCK
    assert refusal(lambda: ups.modify(workitem("IN PROGRESS"), change, LATER)).status == 0x0105


def test_3_4_sequences_are_replaced_as_a_whole() -> None:
    stored = ups.modify(workitem("IN PROGRESS"), progress("10"), LATER).dataset
    item = Dataset()
    item.ProcedureStepProgressDescription = "Half"
    change = Dataset()
    change.TransactionUID = LOCK
    change.ProcedureStepProgressInformationSequence = [item]
    after = ups.modify(stored, change, LATER).dataset
    assert "ProcedureStepProgress" not in after.ProcedureStepProgressInformationSequence[0]


def test_3_4_a_repeated_change_is_harmless() -> None:
    once = ups.modify(workitem("IN PROGRESS"), progress(), LATER)
    twice = ups.modify(once.dataset, progress(), LATER)
    assert (twice.dataset, twice.events) == (once.dataset, ())


def test_3_5_what_triggers_reports() -> None:
    def kinds(**values: object) -> list[int]:
        change = Dataset()
        for keyword, value in values.items():
            setattr(change, keyword, value)
        return [each.event_type for each in ups.modify(workitem(), change, LATER).events]

    performer = Dataset()
    performer.HumanPerformerCodeSequence = [code("DOE", "99X", "Dr Doe")]
    performer.HumanPerformerName = "Doe^Jane"
    performer.HumanPerformerOrganization = "Radiology"
    assert kinds(InputReadinessState="INCOMPLETE") == [1]
    assert kinds(ScheduledStationNameCodeSequence=[code("RR1", "99X", "Room 1")]) == [5]
    assert kinds(ScheduledHumanPerformersSequence=[performer]) == [5]
    assert kinds(ProcedureStepLabel="Other") == []


# ---- 3.6, final states -----------------------------------------------------------------------------


def test_3_6_completed_needs_what_was_performed() -> None:
    stored = workitem("IN PROGRESS")
    refused = refusal(lambda: ups.change_state(stored, state("COMPLETED"), LATER))
    assert refused.status == 0xC304
    assert refused.offending


@pytest.mark.parametrize(
    "keyword",
    [
        "PerformedStationNameCodeSequence",
        "PerformedProcedureStepStartDateTime",
        "PerformedProcedureStepEndDateTime",
        "PerformedWorkitemCodeSequence",
    ],
)
def test_3_6_each_attribute_that_completed_needs(keyword: str) -> None:
    change = performed()
    del change.UnifiedProcedureStepPerformedProcedureSequence[0][keyword]
    stored = ups.modify(workitem("IN PROGRESS"), change, NOW, level="lenient").dataset
    assert refusal(lambda: ups.change_state(stored, state("COMPLETED"), LATER)).status == 0xC304
    assert ups.change_state(stored, state("CANCELED"), LATER).state == "CANCELED"


def test_3_6_output_information_may_be_empty() -> None:
    assert workitem("COMPLETED").ProcedureStepState == "COMPLETED"


def test_3_6_two_actions_and_no_set_cancel() -> None:
    canceled = ups.change_state(workitem("IN PROGRESS"), state("CANCELED"), LATER).dataset
    item = canceled.ProcedureStepProgressInformationSequence[0]
    assert item.ProcedureStepCancellationDateTime.startswith("20261124110000")


def test_3_6_who_reported_progress_gives_a_reason() -> None:
    stored = ups.modify(workitem("IN PROGRESS"), progress(), NOW).dataset
    assert refusal(lambda: ups.change_state(stored, state("CANCELED"), LATER)).status == 0xC304
    change = progress()
    change.ProcedureStepProgressInformationSequence[0].ProcedureStepDiscontinuationReasonCodeSequence = [
        code("110513", "DCM", "Discontinued")
    ]
    stored = ups.modify(stored, change, NOW).dataset
    (report,) = ups.change_state(stored, state("CANCELED"), LATER).events
    assert report.information.ProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "110513"


# ---- 3.7, N-GET ------------------------------------------------------------------------------------


def test_3_7_the_transaction_uid_is_nobodys_to_see() -> None:
    stored = workitem("IN PROGRESS")
    everything, unsupported = ups.retrieve(stored, ())
    assert unsupported == ()
    assert everything.ProcedureStepState == "IN PROGRESS"
    for keyword in ("TransactionUID", "SOPClassUID", "SOPInstanceUID"):
        assert keyword not in everything
    asked, unsupported = ups.retrieve(stored, (0x00081195, 0x00741000, 0x00280010))
    assert [int(element.tag) for element in asked] == [0x00741000]
    assert unsupported == (0x00081195, 0x00280010)


def test_3_7_a_response_to_a_query() -> None:
    identifier = Dataset()
    identifier.ProcedureStepState = "IN PROGRESS"
    identifier.TransactionUID = ""
    identifier.PatientComments = ""
    found = ups.response(identifier, workitem("IN PROGRESS"))
    assert found.ProcedureStepState == "IN PROGRESS"
    assert "TransactionUID" not in found
    assert found["PatientComments"].is_empty
    assert (found.SOPClassUID, found.SOPInstanceUID) == (ups.PUSH, UID)
