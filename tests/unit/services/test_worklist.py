"""The rules of Modality Worklist (PS3.4 Annex K), without network and database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dulcimer.errors import Refused
from dulcimer.services import mpps, worklist
from dulcimer.services.matchers import OneOf
from support.scheduled import item, performed, query, values

NOW = datetime(2026, 11, 24, 8, 15, 30)


def several(*numbers: int) -> Dataset:
    """Return an item with a step for each number."""
    made = item(numbers[0])
    steps = [item(number).ScheduledProcedureStepSequence[0] for number in numbers]
    made.ScheduledProcedureStepSequence = Sequence(steps)
    return made


def begins(step: Dataset) -> str:
    return f"{step.ScheduledProcedureStepStartDate} {step.ScheduledProcedureStepStartTime}"


def statuses(made: Dataset) -> list[str]:
    return [str(step.ScheduledProcedureStepStatus) for step in made.ScheduledProcedureStepSequence]


# ---- Table K.6-1 ---------------------------------------------------------------------------------------


def test_the_required_matching_keys_of_table_k_6_1() -> None:
    rows = (*worklist.ATTRIBUTES, *worklist.STEP_ATTRIBUTES)
    assert {row.keyword for row in rows if row.matching == "R"} == {
        "ScheduledProcedureStepSequence", "ScheduledStationAETitle", "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepStartTime", "Modality", "ScheduledPerformingPhysicianName", "PatientName",
        "PatientID",
    }  # fmt: skip


def test_every_attribute_of_the_table_exists_once() -> None:
    tags = [tag_for_keyword(row.keyword) for row in (*worklist.ATTRIBUTES, *worklist.STEP_ATTRIBUTES)]
    assert None not in tags
    assert len(tags) == len(set(tags))


# ---- making items --------------------------------------------------------------------------------------


def test_an_item_gets_what_nobody_gave() -> None:
    made = worklist.item(
        {
            "PatientName": "Doe^Jane",
            "PatientID": "P1",
            "Modality": "CT",
            "ScheduledStationAETitle": "CT1",
            "ScheduledProcedureStepDescription": "Thorax",
        },
        now=NOW,
    )
    assert worklist.validate(made) == []
    (step,) = made.ScheduledProcedureStepSequence
    assert (step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime) == (
        "20261124",
        "081530",
    )
    assert made.RequestedProcedureDescription == "Thorax"
    assert len(made.RequestedProcedureID) <= 16 and len(step.ScheduledProcedureStepID) <= 16
    assert made.StudyInstanceUID.is_valid
    returned_empty = [row.keyword for row in worklist.ATTRIBUTES if row.returned == "2"]
    assert [keyword for keyword in returned_empty if keyword not in made] == []


def test_the_same_request_makes_the_same_item_again() -> None:
    given = values(1)
    for keyword in ("StudyInstanceUID", "ScheduledProcedureStepID", "RequestedProcedureID"):
        del given[keyword]
    first, again = worklist.item(given), worklist.item(given)
    assert worklist.key_of(first) == worklist.key_of(again)
    other = worklist.item({**given, "ScheduledProcedureStepStartTime": "170000"})
    assert other.StudyInstanceUID == first.StudyInstanceUID
    assert worklist.key_of(other) != worklist.key_of(first)
    another = worklist.item({**given, "AccessionNumber": "B"})
    assert another.StudyInstanceUID != first.StudyInstanceUID


def test_without_a_request_every_item_is_new() -> None:
    given = {"PatientName": "Doe^Jane", "PatientID": "P1"}
    assert worklist.key_of(worklist.item(given)) != worklist.key_of(worklist.item(given))


def test_values_may_be_written_as_people_do() -> None:
    made = worklist.item(
        values(
            1,
            ScheduledProcedureStepStartDate="2026-11-05",
            ScheduledProcedureStepStartTime="08:30",
            PatientBirthDate="1970/02/03",
            ScheduledProtocolCodeSequence="T1^99X^Thorax",
            RequestedProcedureCodeSequence=[
                {"CodeValue": "R", "CodingSchemeDesignator": "L", "CodeMeaning": "X"}
            ],
            PatientName="Müller^Änne",
        )
    )
    (step,) = made.ScheduledProcedureStepSequence
    assert (step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime) == (
        "20261105",
        "0830",
    )
    assert made.PatientBirthDate == "19700203"
    assert step.ScheduledProtocolCodeSequence[0].CodeMeaning == "Thorax"
    assert made.RequestedProcedureCodeSequence[0].CodeValue == "R"
    assert made.SpecificCharacterSet == "ISO_IR 192"
    assert worklist.validate(made) == []


def test_steps_may_be_given_as_a_list() -> None:
    given = values(1)
    del given["Modality"]
    made = worklist.item(
        {**given, "ScheduledProcedureStepSequence": [
            {"Modality": "CT", "ScheduledProcedureStepID": "1"},
            {"Modality": "MR", "ScheduledProcedureStepID": "2"},
        ]}
    )  # fmt: skip
    assert worklist.validate(made) == []
    assert [step.Modality for step in made.ScheduledProcedureStepSequence] == ["CT", "MR"]
    assert {step.ScheduledStationAETitle for step in made.ScheduledProcedureStepSequence} == {"STATION1"}


@pytest.mark.parametrize(
    ("keyword", "value", "reason"),
    [
        ("PatientFoo", "x", "there is no attribute"),
        ("ScheduledProcedureStepStartDate", "soon", "ScheduledProcedureStepStartDate"),
        ("ScheduledStationAETitle", "LONGER THAN SIXTEEN", "ScheduledStationAETitle"),
        ("ScheduledProtocolCodeSequence", "T1", "value^scheme^meaning"),
        ("ReferencedStudySequence", "x^y^z", "is a sequence"),
        ("PregnancyStatus", "perhaps", "PregnancyStatus"),
        ("PixelData", "x", "cannot be given as text"),
    ],
)
def test_values_that_no_item_can_be_made_of(keyword: str, value: str, reason: str) -> None:
    with pytest.raises(worklist.Unusable, match=reason.replace("^", r"\^")):
        worklist.item(values(1, **{keyword: value}))


@pytest.mark.parametrize(
    "keyword",
    ["PatientName", "PatientID", "Modality", "ScheduledStationAETitle", "ScheduledProcedureStepStartDate"],
)
def test_what_is_returned_with_a_value_must_have_one(keyword: str) -> None:
    given = values(1)
    del given[keyword]
    assert worklist.validate(worklist.item(given)) == [f"{keyword} is missing"]
    assert worklist.validate(worklist.item({**given, keyword: ""})) == [f"{keyword} has no value"]


def test_a_description_or_a_code_is_needed() -> None:
    given = values(1, ScheduledProcedureStepDescription="", RequestedProcedureDescription="")
    assert len(worklist.validate(worklist.item(given))) == 2
    given["ScheduledProtocolCodeSequence"] = "T1^99X^Thorax"
    assert worklist.validate(worklist.item(given)) == []


def test_further_problems_of_an_item() -> None:
    assert worklist.validate(item(1, ScheduledProcedureStepStatus="DONE")) == [
        f"ScheduledProcedureStepStatus is one of {', '.join(worklist.STATUSES)}"
    ]
    assert worklist.validate(several(1, 1)) == ["ScheduledProcedureStepID S1 is there twice"]
    wrong = item(1)
    wrong.ScheduledProcedureStepSequence[0][worklist.START_DATE]._value = "2026"
    assert worklist.validate(wrong) == ["ScheduledProcedureStepStartDate is no date YYYYMMDD"]


def test_what_is_put_in_again_keeps_its_status() -> None:
    stored = item(1, ScheduledProcedureStepStatus="STARTED")
    again = worklist.item(values(1))
    assert statuses(worklist.renewed(again, stored)) == ["STARTED"]
    assert statuses(worklist.renewed(again, None)) == ["SCHEDULED"]
    arrived = worklist.item(values(1, ScheduledProcedureStepStatus="ARRIVED"))
    assert statuses(worklist.renewed(arrived, stored)) == ["ARRIVED"]
    assert statuses(stored) == ["STARTED"]
    assert "ScheduledProcedureStepStatus" not in again.ScheduledProcedureStepSequence[0]


# ---- queries -------------------------------------------------------------------------------------------


def test_each_step_that_matches_is_a_response_k_6() -> None:
    made = several(0, 1, 3)
    answers = list(worklist.respond(query(), made))
    assert [len(answer.ScheduledProcedureStepSequence) for answer in answers] == [1, 1, 1]
    (only,) = worklist.respond(query(Modality="MR"), made)
    assert only.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID == "S1"
    assert only.PatientID == "P0"
    assert len(list(worklist.respond(query(Modality="CT"), made))) == 2
    assert len(made.ScheduledProcedureStepSequence) == 3


def test_keys_of_a_step_are_about_the_same_step() -> None:
    made = several(0, 1)
    assert not list(worklist.respond(query(Modality="CT", ScheduledProcedureStepID="S1"), made))
    assert list(worklist.respond(query(Modality="MR", ScheduledProcedureStepID="S1"), made))


def test_without_the_sequence_an_item_is_answered_once() -> None:
    identifier = query()
    del identifier.ScheduledProcedureStepSequence
    (answer,) = worklist.respond(identifier, several(0, 1))
    assert "ScheduledProcedureStepSequence" not in answer


@pytest.mark.parametrize("items", [[], [Dataset()]])
def test_an_empty_sequence_asks_for_all_of_the_step(items: list[Dataset]) -> None:
    identifier = query()
    identifier.ScheduledProcedureStepSequence = Sequence(items)
    answers = list(worklist.respond(identifier, several(0, 1)))
    assert [answer.ScheduledProcedureStepSequence[0].Modality for answer in answers] == ["CT", "MR"]
    assert answers[0].ScheduledProcedureStepSequence[0].ScheduledStationAETitle == "STATION0"


@pytest.mark.parametrize(
    ("keys", "unsupported"),
    [
        (query(), []),
        (query(PatientComments="x", AdmittingDate=None, CurrentPatientLocation=None), []),
        (query(SeriesInstanceUID="1.2"), [(0x0020000E,)]),
        (query(SOPInstanceUID=None), [(0x00080018,)]),
    ],
)
def test_keys_that_are_not_supported(keys: Dataset, unsupported: list[tuple[int, ...]]) -> None:
    assert worklist.read(keys).unsupported == unsupported


def test_a_key_at_the_wrong_place_is_not_matched() -> None:
    keys = query()
    keys.Modality = "US"
    (answer,) = worklist.respond(keys, item(0))
    assert "Modality" not in answer
    assert worklist.read(keys).unsupported == [(worklist.MODALITY,)]


def test_a_date_that_is_none_is_refused_a900() -> None:
    keys = query(PatientID="P1")
    keys.ScheduledProcedureStepSequence[0][worklist.START_DATE]._value = "today"
    with pytest.raises(Refused) as refusal:
        list(worklist.respond(keys, item(0)))
    assert (refusal.value.status, refusal.value.offending) == (0xA900, (worklist.START_DATE,))


_CHOICES: dict[str, Any] = {
    "Modality": [None, "CT", "MR", "C*", ["CT", "US"]],
    "ScheduledStationAETitle": [None, "STATION1", "STATION*", ["STATION1", "STATION2"]],
    "ScheduledProcedureStepStartDate": [None, "20261102", "20261102-20261105", "20261104-", "-20261103"],
    "ScheduledProcedureStepStartTime": [None, "083000", "09-11", "1030-"],
    "PatientID": [None, "P1", "P*", "P9"],
    "AccessionNumber": [None, "A2", '""'],
    "StudyInstanceUID": [None, "1.2.3.3", ["1.2.3.3", "1.2.3.4"]],
}


@settings(deadline=None)
@given(
    st.fixed_dictionaries({keyword: st.sampled_from(found) for keyword, found in _CHOICES.items()}),
    st.lists(st.integers(0, 7), min_size=1, max_size=3, unique=True),
)
def test_what_an_index_looks_for_finds_what_matches(keys: dict[str, Any], numbers: list[int]) -> None:
    made, wanted = several(*numbers), worklist.read(query(**keys))
    narrowing = worklist.narrowing(wanted)

    def found(row: dict[int, list[str]]) -> bool:
        (start,) = row[worklist.START_DATE]
        low, high = narrowing.dates or ("", "")
        return all(allowed.intersection(row[tag]) for tag, allowed in narrowing.equal.items()) and (
            (not low or low <= start) and (not high or start <= high)
        )

    if list(worklist.respond(wanted, made)):
        assert any(found(row) for row in worklist.indexed(made))


def test_an_own_station_narrows_what_is_looked_for() -> None:
    station = worklist.of_station("CT1")
    assert worklist.narrowing(worklist.read(query()), station).equal == {worklist.STATION: frozenset({"CT1"})}
    both = worklist.narrowing(worklist.read(query(ScheduledStationAETitle="CT2")), station)
    assert both.equal == {worklist.STATION: frozenset()}
    assert isinstance(worklist.read(query(PatientID="P1")).matchers[worklist.PATIENT_ID], OneOf)  # type: ignore[index]


# ---- performed procedure steps -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "becomes"),
    [(mpps.IN_PROGRESS, "STARTED"), (mpps.COMPLETED, "COMPLETED"), (mpps.DISCONTINUED, "DISCONTINUED")],
)
def test_a_performed_step_moves_the_scheduled_one(status: str, becomes: str) -> None:
    made = item(1)
    moved = worklist.follow(made, performed(1, status))
    assert moved is not None
    assert statuses(moved) == [becomes]
    assert statuses(made) == ["SCHEDULED"]
    assert worklist.follow(moved, performed(1, status)) is None


@pytest.mark.parametrize(
    ("reference", "means"),
    [
        ({}, True),
        ({"AccessionNumber": ""}, True),
        ({"ScheduledProcedureStepID": ""}, True),
        ({"StudyInstanceUID": "9.9"}, True),  # by accession number and step ID
        ({"StudyInstanceUID": "9.9", "AccessionNumber": ""}, False),
        ({"StudyInstanceUID": "9.9", "ScheduledProcedureStepID": ""}, False),
        ({"AccessionNumber": "B"}, False),
        ({"ScheduledProcedureStepID": "S9"}, False),
    ],
)
def test_which_step_is_meant(reference: dict[str, str], means: bool) -> None:
    step = performed(1, **reference)
    assert (worklist.follow(item(1), step) is not None) is means
    if means:
        rows = list(worklist.indexed(item(1)))
        found = [
            narrowing
            for narrowing in worklist.named_by(step)
            if all(allowed.intersection(rows[0][tag]) for tag, allowed in narrowing.equal.items())
        ]
        assert found


def test_of_several_steps_the_named_one_moves() -> None:
    made = several(1, 2)
    moved = worklist.follow(made, performed(1, ScheduledProcedureStepID="S2"))
    assert moved is not None
    assert statuses(moved) == ["SCHEDULED", "STARTED"]
    assert worklist.status_of(moved) == "SCHEDULED\\STARTED"
    assert worklist.follow(made, performed(1, ScheduledProcedureStepID="")) is None


def test_an_unscheduled_step_moves_nothing() -> None:
    assert worklist.follow(item(1), Dataset()) is None
    assert worklist.named_by(Dataset()) == []


def test_news_that_are_none() -> None:
    assert worklist.same_news(performed(1), performed(1))
    assert not worklist.same_news(performed(1), performed(1, "COMPLETED"))
    assert not worklist.same_news(performed(1), performed(2))
