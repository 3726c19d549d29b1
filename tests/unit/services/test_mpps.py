"""The rules of PS3.4 Annex F, row by row."""

from __future__ import annotations

from copy import deepcopy
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

from dulcimer.errors import Refused
from dulcimer.services import mpps
from dulcimer.services.rules.tables import Demand, Usage, table_for

if TYPE_CHECKING:
    from collections.abc import Callable

UID = "2.25.1"


def step() -> Dataset:
    """The least that a modality has to send in an N-CREATE."""
    ds = Dataset()
    scheduled = Dataset()
    scheduled.StudyInstanceUID = "2.25.2"
    for keyword in (
        "AccessionNumber",
        "RequestedProcedureID",
        "RequestedProcedureDescription",
        "ScheduledProcedureStepID",
        "ScheduledProcedureStepDescription",
    ):
        setattr(scheduled, keyword, "")
    scheduled.ReferencedStudySequence = []
    scheduled.ScheduledProtocolCodeSequence = []
    ds.ScheduledStepAttributesSequence = [scheduled]
    for keyword in (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "PerformedStationName",
        "PerformedLocation",
        "PerformedProcedureStepDescription",
        "PerformedProcedureTypeDescription",
        "PerformedProcedureStepEndDate",
        "PerformedProcedureStepEndTime",
        "StudyID",
    ):
        setattr(ds, keyword, "")
    for keyword in (
        "ReferencedPatientSequence",
        "ProcedureCodeSequence",
        "PerformedProtocolCodeSequence",
        "PerformedSeriesSequence",
    ):
        setattr(ds, keyword, [])
    ds.PerformedProcedureStepID = "1"
    ds.PerformedStationAETitle = "CT1"
    ds.PerformedProcedureStepStartDate = "20261124"
    ds.PerformedProcedureStepStartTime = "101500"
    ds.PerformedProcedureStepStatus = "IN PROGRESS"
    ds.Modality = "CT"
    return ds


def series() -> Dataset:
    ds = Dataset()
    ds.PerformingPhysicianName = ""
    ds.ProtocolName = "Head"
    ds.OperatorsName = ""
    ds.SeriesInstanceUID = "2.25.3"
    ds.SeriesDescription = ""
    ds.RetrieveAETitle = ""
    ds.ReferencedImageSequence = []
    ds.ReferencedNonImageCompositeSOPInstanceSequence = []
    return ds


def completion() -> Dataset:
    ds = Dataset()
    ds.PerformedProcedureStepStatus = "COMPLETED"
    ds.PerformedProcedureStepEndDate = "20261124"
    ds.PerformedProcedureStepEndTime = "103000"
    ds.PerformedSeriesSequence = [series()]
    return ds


def test_a_complete_step_is_created_without_notes() -> None:
    sent = step()
    outcome = mpps.create(sent, UID)
    assert outcome.dataset == sent
    assert outcome.dataset is not sent
    assert outcome.notes == ()
    assert outcome.state == "IN PROGRESS"


def test_a_step_needs_an_instance_uid() -> None:
    with pytest.raises(Refused) as refusal:
        mpps.create(step(), None)
    assert refusal.value.status == 0x0117


@pytest.mark.parametrize("level", ["strict", "standard", "lenient"])
@pytest.mark.parametrize("state", ["COMPLETED", "DISCONTINUED", "SCHEDULED"])
def test_a_new_step_is_in_progress(state: str, level: mpps.Level) -> None:
    sent = step()
    sent.PerformedProcedureStepStatus = state
    with pytest.raises(Refused) as refusal:
        mpps.create(sent, UID, level=level)
    assert refusal.value.status == 0x0106
    assert [element.tag for element in refusal.value.values] == [0x00400252]
    assert refusal.value.values.PerformedProcedureStepStatus == state


CREATE = table_for(mpps.MODALITY_PERFORMED_PROCEDURE_STEP, "N-CREATE").rows
SET = table_for(mpps.MODALITY_PERFORMED_PROCEDURE_STEP, "N-SET").rows
TYPE_1 = [tag for tag, row in CREATE.items() if row.scu == Usage(Demand.VALUE)]
TYPE_2 = [tag for tag, row in CREATE.items() if row.scu == Usage(Demand.PRESENCE)]


@pytest.mark.parametrize("tag", TYPE_1, ids=hex)
def test_type_1_missing_or_empty(tag: int) -> None:
    sent = step()
    del sent[tag]
    with pytest.raises(Refused) as refusal:
        mpps.create(sent, UID)
    assert (refusal.value.status, refusal.value.attributes) == (0x0120, (tag,))

    sent = step()
    sent[tag].value = [] if sent[tag].VR == "SQ" else ""
    with pytest.raises(Refused) as empty:
        mpps.create(sent, UID)
    assert empty.value.status == 0x0121
    assert [element.tag for element in empty.value.values] == [tag]


@pytest.mark.parametrize("tag", TYPE_2, ids=hex)
def test_type_2_missing_is_noted_or_refused(tag: int) -> None:
    sent = step()
    del sent[tag]
    (note,) = mpps.create(sent, UID).notes
    assert " is absent: " in note
    with pytest.raises(Refused) as refusal:
        mpps.create(sent, UID, level="strict")
    assert (refusal.value.status, refusal.value.attributes) == (0x0120, (tag,))


def test_every_missing_attribute_is_listed_also_inside_sequences() -> None:
    sent = step()
    del sent.Modality
    del sent.ScheduledStepAttributesSequence[0].StudyInstanceUID
    with pytest.raises(Refused) as refusal:
        mpps.create(sent, UID)
    assert set(refusal.value.attributes) == {0x00080060, 0x0020000D}
    assert "ScheduledStepAttributesSequence > StudyInstanceUID" in str(refusal.value)


def test_the_answer_to_an_empty_value_inside_a_sequence_shows_its_place() -> None:
    sent = step()
    sent.ScheduledStepAttributesSequence[0].StudyInstanceUID = ""
    with pytest.raises(Refused) as refusal:
        mpps.create(sent, UID)
    (item,) = refusal.value.values.ScheduledStepAttributesSequence
    assert [element.tag for element in item] == [0x0020000D]


def test_the_lenient_level_takes_what_lacks_everything_but_the_status() -> None:
    sent = Dataset()
    sent.PerformedProcedureStepStatus = "IN PROGRESS"
    assert mpps.create(sent, UID, level="lenient").state == "IN PROGRESS"
    with pytest.raises(Refused) as refusal:
        mpps.create(Dataset(), UID, level="lenient")
    assert refusal.value.attributes == (0x00400252,)


def test_sop_common_in_the_data_set() -> None:
    sent = step()
    sent.SOPClassUID = mpps.MODALITY_PERFORMED_PROCEDURE_STEP
    sent.SOPInstanceUID = UID
    outcome = mpps.create(sent, UID)
    assert "SOPClassUID" not in outcome.dataset
    assert "SOPInstanceUID" not in outcome.dataset
    assert len(outcome.notes) == 2
    with pytest.raises(Refused) as strict:
        mpps.create(sent, UID, level="strict")
    assert strict.value.status == 0x0105
    with pytest.raises(Refused) as other:
        mpps.create(sent, "2.25.99")
    assert (other.value.status, other.value.attributes) == (0x0105, (0x00080018,))


def test_a_step_from_create_to_completed() -> None:
    stored = mpps.create(step(), UID).dataset
    before = deepcopy(stored)
    outcome = mpps.modify(stored, completion())
    assert outcome.state == "COMPLETED"
    assert outcome.dataset.PerformedSeriesSequence[0].ProtocolName == "Head"
    assert outcome.dataset.Modality == "CT"
    assert stored == before


@pytest.mark.parametrize("state", ["COMPLETED", "DISCONTINUED"])
@pytest.mark.parametrize("level", ["strict", "standard", "lenient"])
def test_a_final_step_is_never_changed(state: str, level: mpps.Level) -> None:
    stored = step()
    stored.PerformedProcedureStepStatus = state
    with pytest.raises(Refused) as refusal:
        mpps.modify(stored, completion(), level=level)
    assert refusal.value.status == 0x0110
    assert refusal.value.comment == "Performed Procedure Step Object may no longer be updated"
    assert refusal.value.error_id == 0xA710


def test_an_invalid_status() -> None:
    change = Dataset()
    change.PerformedProcedureStepStatus = "DONE"
    with pytest.raises(Refused) as refusal:
        mpps.modify(step(), change)
    assert refusal.value.status == 0x0106
    assert refusal.value.values == change


@pytest.mark.parametrize(
    "tag",
    [tag for tag, row in SET.items() if row.scu.demand is Demand.NOT_ALLOWED and tag in {*TYPE_1, *TYPE_2}],
    ids=hex,
)
def test_what_may_not_be_set(tag: int) -> None:
    stored = step()
    same = Dataset()
    same[tag] = deepcopy(stored[tag])
    assert mpps.modify(stored, same).dataset == stored
    with pytest.raises(Refused) as strict:
        mpps.modify(stored, same, level="strict")
    assert (strict.value.status, strict.value.attributes) == (0x0105, (tag,))

    other = Dataset()
    other[tag] = deepcopy(stored[tag])
    if other[tag].VR == "SQ":
        other[tag].value = [Dataset(), Dataset()]
    else:
        other[tag].value = {"DA": "20200101", "TM": "0101"}.get(other[tag].VR, "OTHER")
    with pytest.raises(Refused) as refusal:
        mpps.modify(stored, other)
    assert (refusal.value.status, refusal.value.attributes) == (0x0105, (tag,))


def _without_end_date(change: Dataset) -> None:
    del change.PerformedProcedureStepEndDate


def _without_series(change: Dataset) -> None:
    del change.PerformedSeriesSequence


def _without_protocol(change: Dataset) -> None:
    change.PerformedSeriesSequence[0].ProtocolName = ""


def _without_series_uid(change: Dataset) -> None:
    del change.PerformedSeriesSequence[0].SeriesInstanceUID


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        (_without_end_date, 0x0121),
        (_without_series, 0x0121),
        (_without_protocol, 0x0121),
        (_without_series_uid, 0x0120),
    ],
)
@pytest.mark.parametrize("state", ["COMPLETED", "DISCONTINUED"])
def test_the_final_state_is_complete(spoil: Callable[[Dataset], None], status: int, state: str) -> None:
    change = completion()
    change.PerformedProcedureStepStatus = state
    spoil(change)
    with pytest.raises(Refused) as refusal:
        mpps.modify(step(), change)
    assert refusal.value.status == status
    assert mpps.modify(step(), change, level="lenient").state == state


def test_what_was_set_before_counts_for_the_final_state() -> None:
    first = completion()
    del first.PerformedProcedureStepStatus
    stored = mpps.modify(step(), first).dataset
    assert mpps.status_of(stored) == "IN PROGRESS"
    last = Dataset()
    last.PerformedProcedureStepStatus = "DISCONTINUED"
    assert mpps.modify(stored, last).state == "DISCONTINUED"


def test_missing_for_final_state_names_what_is_missing() -> None:
    assert mpps.describe(mpps.missing_for_final_state(step())) == [
        "PerformedProcedureStepEndDate",
        "PerformedProcedureStepEndTime",
        "PerformedSeriesSequence",
    ]


def test_sequences_are_replaced_as_a_whole() -> None:
    stored = step()
    stored.PerformedSeriesSequence = [series(), series()]
    change = Dataset()
    change.PerformedSeriesSequence = [series()]
    change.PerformedSeriesSequence[0].SeriesInstanceUID = "2.25.4"
    merged = mpps.modify(stored, change).dataset
    assert [item.SeriesInstanceUID for item in merged.PerformedSeriesSequence] == ["2.25.4"]


def test_attributes_outside_the_table_are_kept() -> None:
    sent = step()
    sent.add_new(0x00091001, "LO", "private")
    change = Dataset()
    change.CommentsOnThePerformedProcedureStep = "not created before"
    merged = mpps.modify(mpps.create(sent, UID).dataset, change).dataset
    assert merged[0x00091001].value == "private"
    assert merged.CommentsOnThePerformedProcedureStep == "not created before"


def _over_the_wire(ds: Dataset) -> Dataset:
    stream = BytesIO()
    dcmwrite(stream, ds, implicit_vr=False, little_endian=True)
    stream.seek(0)
    return dcmread(stream, force=True)


def test_two_character_sets_become_utf_8() -> None:
    sent = step()
    sent.SpecificCharacterSet = "ISO_IR 100"
    sent.PatientName = "Müller^Jürgen"
    change = Dataset()
    change.SpecificCharacterSet = "ISO_IR 144"
    change.PerformedProcedureStepDescription = "Грудь"
    merged = mpps.modify(_over_the_wire(sent), _over_the_wire(change)).dataset
    again = _over_the_wire(merged)
    assert again.SpecificCharacterSet == "ISO_IR 192"
    assert again.PatientName == "Müller^Jürgen"
    assert again.PerformedProcedureStepDescription == "Грудь"


def test_retrieve_all_and_some() -> None:
    stored = step()
    stored.SpecificCharacterSet = "ISO_IR 100"
    everything, unsupported = mpps.retrieve(stored, [])
    assert (everything, unsupported) == (stored, ())

    some, unsupported = mpps.retrieve(stored, [0x00400252, 0x00400281, 0x00400280, 0x00180015])
    assert [int(element.tag) for element in some] == [0x00080005, 0x00400252, 0x00400281]
    assert some[0x00400281].is_empty
    assert unsupported == (0x00180015,)
