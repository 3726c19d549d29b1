"""Section 2 of the rules of N-SET: Modality Performed Procedure Step (PS3.4 Annex F), rule by rule."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pydicom.dataset import Dataset

from dulcimer.errors import Refused
from dulcimer.scp.mpps import MppsService
from dulcimer.services import mpps
from dulcimer.services.rules.tables import Demand, table_for
from node.objects import completion, new_step

if TYPE_CHECKING:
    from collections.abc import Callable

UID = "2.25.1"
LEVELS = ("strict", "standard", "lenient")
CLASS = mpps.MODALITY_PERFORMED_PROCEDURE_STEP
SET = table_for(CLASS, "N-SET").rows
SETTABLE = [
    "0008,0005", "0040,0252", "0040,0254", "0040,0255", "0008,1032", "0040,1012",
    "0040,0250", "0040,0251", "0040,0280", "0040,0281", "0040,0260", "0040,0340",
]  # fmt: skip


def refusal(call: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value


def stored(status: str = "IN PROGRESS") -> Dataset:
    ds = mpps.create(new_step(), UID).dataset
    return ds if status == "IN PROGRESS" else mpps.modify(ds, final(status)).dataset


def final(status: str) -> Dataset:
    ds = completion()
    ds.PerformedProcedureStepStatus = status
    return ds


def test_2_the_three_classes() -> None:
    assert MppsService.contexts == (
        "1.2.840.10008.3.1.2.3.3",
        "1.2.840.10008.3.1.2.3.4",
        "1.2.840.10008.3.1.2.3.5",
    )


# ---- 2.1, states -------------------------------------------------------------------------------------

TABLE = """
IN PROGRESS   | (not sent)    | IN PROGRESS
IN PROGRESS   | IN PROGRESS   | IN PROGRESS
IN PROGRESS   | COMPLETED     | COMPLETED
IN PROGRESS   | DISCONTINUED  | DISCONTINUED
COMPLETED     | (not sent)    | A710
COMPLETED     | IN PROGRESS   | A710
COMPLETED     | COMPLETED     | A710
COMPLETED     | DISCONTINUED  | A710
DISCONTINUED  | (not sent)    | A710
DISCONTINUED  | IN PROGRESS   | A710
DISCONTINUED  | COMPLETED     | A710
DISCONTINUED  | DISCONTINUED  | A710
"""
ROWS = [tuple(cell.strip() for cell in line.split("|")) for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("before", "sent", "after"), ROWS)
def test_2_1_each_row_of_the_states(before: str, sent: str, after: str, level: mpps.Level) -> None:
    change = Dataset() if sent == "(not sent)" else final(sent)
    if after != "A710":
        assert mpps.modify(stored(before), change, level=level).state == after
        return
    refused = refusal(lambda: mpps.modify(stored(before), change, level=level))
    assert (refused.status, refused.error_id) == (0x0110, 0xA710)
    assert refused.comment == "Performed Procedure Step Object may no longer be updated"


class Step(RuleBasedStateMachine):
    """Any sequence of N-SETs ends in a final state once, or never."""

    def __init__(self) -> None:
        super().__init__()
        self.step = stored()
        self.final: Dataset | None = None

    @rule(sent=st.sampled_from(["", "IN PROGRESS", "COMPLETED", "DISCONTINUED"]), whole=st.booleans())
    def modify(self, sent: str, whole: bool) -> None:
        change = completion() if whole else Dataset()
        change.PerformedProcedureStepStatus = sent
        if not sent:
            del change.PerformedProcedureStepStatus
        before = deepcopy(self.step)
        wants_end = sent in mpps.FINAL_STATES
        try:
            outcome = mpps.modify(self.step, change)
        except Refused as refused:
            assert self.step == before
            if self.final is not None:
                assert refused.error_id == 0xA710
            else:
                assert wants_end
                assert refused.status in (0x0120, 0x0121)
            return
        assert self.final is None
        self.step = outcome.dataset
        if wants_end:
            self.final = deepcopy(outcome.dataset)
            assert mpps.missing_for_final_state(outcome.dataset).ok

    @invariant()
    def what_is_final_stays(self) -> None:
        if self.final is not None:
            assert self.step == self.final


TestStep = Step.TestCase
TestStep.settings = settings(max_examples=30, stateful_step_count=8, deadline=None)


# ---- 2.2, N-CREATE -----------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_2_2_any_other_status_is_0106_with_the_value(level: mpps.Level) -> None:
    step = new_step()
    step.PerformedProcedureStepStatus = "COMPLETED"
    refused = refusal(lambda: mpps.create(step, UID, level=level))
    assert refused.status == 0x0106
    assert refused.values.PerformedProcedureStepStatus == "COMPLETED"


def test_2_2_the_scu_gives_the_instance_uid() -> None:
    assert refusal(lambda: mpps.create(new_step(), None)).status == 0x0117


def test_2_2_what_is_created_empty_is_filled_later() -> None:
    step = new_step()
    step.PerformedProcedureStepDiscontinuationReasonCodeSequence = []
    change = Dataset()
    reason = Dataset()
    reason.CodeValue, reason.CodingSchemeDesignator, reason.CodeMeaning = "110513", "DCM", "Discontinued"
    change.PerformedProcedureStepDiscontinuationReasonCodeSequence = [reason]
    created = mpps.create(step, UID, level="strict").dataset
    assert mpps.modify(created, change, level="strict").notes == ()


@pytest.mark.parametrize(("level", "status"), [("strict", 0x0105), ("standard", 0), ("lenient", 0)])
def test_2_2_what_was_never_created(level: mpps.Level, status: int) -> None:
    change = Dataset()
    change.CommentsOnThePerformedProcedureStep = "late"
    created = mpps.create(new_step(), UID).dataset
    if status:
        assert refusal(lambda: mpps.modify(created, change, level=level)).status == status
    else:
        (note,) = mpps.modify(created, change, level=level).notes
        assert "was not created" in note


def test_2_2_attributes_that_no_table_has_are_kept() -> None:
    step = new_step()
    step.add_new(0x00111001, "LO", "private")
    assert mpps.create(step, UID).dataset[0x00111001].value == "private"


# ---- 2.3, N-SET --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETTABLE)
def test_2_3_what_may_be_set(name: str) -> None:
    tag = int(name.replace(",", ""), 16)
    assert tag not in SET or SET[tag].scu.demand is not Demand.NOT_ALLOWED


@pytest.mark.parametrize(
    "keyword",
    [
        "ScheduledStepAttributesSequence", "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
        "PerformedProcedureStepID", "PerformedStationAETitle", "PerformedStationName", "PerformedLocation",
        "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime", "Modality", "StudyID",
    ],
)  # fmt: skip
@pytest.mark.parametrize("level", LEVELS)
def test_2_3_what_may_not_be_set(keyword: str, level: mpps.Level) -> None:
    step = stored()
    change = Dataset()
    change[keyword] = deepcopy(step[keyword])
    element = change[keyword]
    element.value = (
        [Dataset()] * 2 if element.VR == "SQ" else {"DA": "20200101", "TM": "01"}.get(element.VR, "X")
    )
    refused = refusal(lambda: mpps.modify(step, change, level=level))
    assert (refused.status, refused.attributes) == (0x0105, (int(element.tag),))


def test_2_3_all_items_are_sent_since_a_sequence_is_replaced() -> None:
    first = stored()
    first = mpps.modify(first, _series("2.25.1", "2.25.2")).dataset
    after = mpps.modify(first, _series("2.25.3")).dataset
    assert [item.SeriesInstanceUID for item in after.PerformedSeriesSequence] == ["2.25.3"]


def _series(*uids: str) -> Dataset:
    ds = Dataset()
    ds.PerformedSeriesSequence = []
    for uid in uids:
        item = deepcopy(completion().PerformedSeriesSequence[0])
        item.SeriesInstanceUID = uid
        ds.PerformedSeriesSequence.append(item)
    return ds


def test_2_3_the_instances_that_a_step_names() -> None:
    assert list(mpps.named_instances(new_step())) == []
    ds = _series("2.25.1", "2.25.2")
    for number, item in enumerate(ds.PerformedSeriesSequence):
        image, other = Dataset(), Dataset()
        image.ReferencedSOPInstanceUID = f"2.25.1{number}"
        other.ReferencedSOPInstanceUID = f"2.25.2{number}"
        item.ReferencedImageSequence = [image]
        item.ReferencedNonImageCompositeSOPInstanceSequence = [other, Dataset()]
    assert list(mpps.named_instances(ds)) == ["2.25.10", "2.25.20", "2.25.11", "2.25.21"]


# ---- 2.4, final state --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["COMPLETED", "DISCONTINUED"])
@pytest.mark.parametrize(
    ("keyword", "inside"),
    [
        ("PerformedProcedureStepEndDate", False),
        ("PerformedProcedureStepEndTime", False),
        ("PerformedSeriesSequence", False),
        ("ProtocolName", True),
        ("SeriesInstanceUID", True),
    ],
)
def test_2_4_each_attribute_that_a_final_state_needs(status: str, keyword: str, inside: bool) -> None:
    change = final(status)
    del (change.PerformedSeriesSequence[0] if inside else change)[keyword]
    refused = refusal(lambda: mpps.modify(stored(), change))
    assert refused.status in (0x0120, 0x0121)
    assert keyword in str(refused)
    change = final(status)
    part = change.PerformedSeriesSequence[0] if inside else change
    part[keyword].value = [] if part[keyword].VR == "SQ" else ""
    assert refusal(lambda: mpps.modify(stored(), change)).status == 0x0121
    assert mpps.modify(stored(), change, level="lenient").state == status


@pytest.mark.parametrize(
    "keyword", ["PerformingPhysicianName", "OperatorsName", "SeriesDescription", "RetrieveAETitle"]
)
def test_2_4_what_may_be_empty_and_has_to_be_there(keyword: str) -> None:
    change = completion()
    setattr(change.PerformedSeriesSequence[0], keyword, "")
    assert mpps.modify(stored(), change).state == "COMPLETED"
    del change.PerformedSeriesSequence[0][keyword]
    assert mpps.modify(stored(), change).state == "COMPLETED"
    assert refusal(lambda: mpps.modify(stored(), change, level="strict")).status == 0x0120


# ---- 2.5, SCP ----------------------------------------------------------------------------------------


def test_2_5_the_character_set_of_a_change_does_not_replace_the_stored_one() -> None:
    step = new_step()
    step.SpecificCharacterSet = "ISO_IR 100"
    change = Dataset()
    change.SpecificCharacterSet = "ISO_IR 100"
    change.PerformedProcedureStepDescription = "Kopf"
    assert mpps.modify(step, change).dataset.SpecificCharacterSet == "ISO_IR 100"
    change.SpecificCharacterSet = "ISO_IR 144"
    assert mpps.modify(step, change).dataset.SpecificCharacterSet == "ISO_IR 192"


# ---- 2.6, Retrieve -----------------------------------------------------------------------------------


def test_2_6_an_attribute_that_is_not_supported() -> None:
    answer, unsupported = mpps.retrieve(stored(), [0x00400252, 0x00280010])
    assert [element.keyword for element in answer] == ["PerformedProcedureStepStatus"]
    assert unsupported == (0x00280010,)
