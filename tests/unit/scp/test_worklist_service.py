"""The worklist SCP over associations: queries of modalities, limits, cancels, status by performed steps."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dulcimer import AE, build_context
from dulcimer.scp.mpps import MppsService
from dulcimer.scp.repository import MemoryRepository
from dulcimer.scp.service import Services
from dulcimer.scp.worklist import WorklistService
from dulcimer.services import mpps, worklist
from support.scheduled import item, query, values

MWL = worklist.MODALITY_WORKLIST
MPPS = mpps.MODALITY_PERFORMED_PROCEDURE_STEP


class Site:
    """A worklist and an MPPS server, and associations with them."""

    def __init__(self) -> None:
        self.ae = AE("SITE")
        self._clients: list[Any] = []

    def serve(self, *numbers: int, **options: Any) -> WorklistService:
        self.worklist = WorklistService(MemoryRepository(), **options)
        for number in numbers:
            self.worklist.add(values(number))
        self.mpps = MppsService(MemoryRepository())
        self.worklist.follow(self.mpps)
        services = Services([self.worklist, self.mpps])
        services.add_to(self.ae)
        self.server = self.ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=services.handlers())
        return self.worklist

    def associate(self, aet: str = "STATION1") -> Any:
        ae = AE(aet)
        ae.requested_contexts = [build_context(MWL), build_context(MPPS)]
        association = ae.associate(*self.server.server_address[:2])
        assert association.is_established
        self._clients.append(association)
        return association

    def find(self, identifier: Dataset, aet: str = "STATION1") -> tuple[list[Dataset], list[Dataset]]:
        """Return the identifiers of the responses, and all statuses."""
        association = self.associate(aet)
        answers, statuses = [], []
        for status, answer in association.send_c_find(identifier, MWL):
            statuses.append(status)
            if answer is not None:
                answers.append(answer)
        association.release()
        return answers, statuses

    def steps(self, identifier: Dataset, aet: str = "STATION1") -> list[str]:
        """Return the IDs of the steps that are found."""
        return sorted(
            str(answer.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID)
            for answer in self.find(identifier, aet)[0]
        )

    def close(self) -> None:
        for association in self._clients:
            if association.is_established:
                association.release()
        self.ae.shutdown()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def codes(statuses: list[Dataset]) -> list[int]:
    return [int(status.Status) for status in statuses]


# ---- queries of modalities -------------------------------------------------------------------------------


def test_universal_on_everything(site: Site) -> None:
    site.serve(0, 1, 2)
    answers, statuses = site.find(query())
    assert codes(statuses) == [0xFF00] * 3 + [0x0000]
    assert [str(answer.PatientID) for answer in answers] == ["P0", "P1", "P2"]
    step = answers[1].ScheduledProcedureStepSequence[0]
    assert (step.Modality, step.ScheduledStationAETitle, step.ScheduledProcedureStepStatus) == (
        "MR", "STATION1", "SCHEDULED",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "steps"),
    [
        ({"Modality": "CT", "ScheduledProcedureStepStartDate": "20261104"}, ["S3"]),
        ({"ScheduledProcedureStepStartDate": "20261102-20261103"}, ["S1", "S2"]),
        ({"PatientName": "Doe^J*3"}, ["S3"]),
        ({"ScheduledStationAETitle": "STATION1"}, ["S1", "S5"]),
        ({"AccessionNumber": "A4"}, ["S4"]),
        ({"PatientName": "Nobody"}, []),
    ],
)
def test_keys(site: Site, keys: dict[str, str], steps: list[str]) -> None:
    site.serve(*range(6))
    assert site.steps(query(**keys)) == steps


def test_a_query_without_the_sequence_and_one_with_nothing_in_it(site: Site) -> None:
    site.serve(0, 1)
    without = query()
    del without.ScheduledProcedureStepSequence
    answers, statuses = site.find(without)
    assert codes(statuses) == [0xFF00, 0xFF00, 0x0000]
    assert all("ScheduledProcedureStepSequence" not in answer for answer in answers)
    for items in ([], [Dataset()]):
        without.ScheduledProcedureStepSequence = Sequence(items)
        answers, _ = site.find(without)
        assert [answer.ScheduledProcedureStepSequence[0].Modality for answer in answers] == ["CT", "MR"]


def test_who_leaves_the_station_out_may_be_given_its_own_steps_only(site: Site) -> None:
    site.serve(*range(6), only_own_station=True)
    assert site.steps(query()) == ["S1", "S5"]
    assert site.steps(query(), aet="STATION2") == ["S2"]
    assert site.steps(query(ScheduledStationAETitle="STATION3")) == ["S3"]
    assert site.steps(query(Modality="CT"), aet="ELSEWHERE") == []
    without = query()
    del without.ScheduledProcedureStepSequence
    answers, _ = site.find(without)
    assert sorted(str(answer.PatientID) for answer in answers) == ["P1", "P5"]


def test_names_and_character_sets(site: Site) -> None:
    site.serve(names="insensitive").add(values(1, PatientName="Müller^Änne"))
    (answer,), _ = site.find(query(PatientName="MULLER*"))
    assert answer.PatientName == "Müller^Änne"
    assert answer.SpecificCharacterSet == "ISO_IR 192"
    latin = query(PatientName="Mü*")
    latin.SpecificCharacterSet = "ISO_IR 100"
    (answer,), _ = site.find(latin)
    assert answer.SpecificCharacterSet == "ISO_IR 100"
    assert answer.PatientName == "Müller^Änne"


def test_optional_keys_that_are_not_supported_ff01(site: Site) -> None:
    site.serve(1)
    answers, statuses = site.find(query(SeriesInstanceUID="1.2.3"))
    assert codes(statuses) == [0xFF01, 0x0000]
    assert "SeriesInstanceUID" not in answers[0]


def test_what_is_no_identifier_is_refused_a900_with_the_element(site: Site) -> None:
    site.serve(1)
    keys = query()
    keys.ScheduledProcedureStepSequence[0][worklist.START_TIME]._value = "noon"
    answers, (status,) = site.find(keys)
    assert answers == []
    assert status.Status == 0xA900
    assert status.OffendingElement == worklist.START_TIME
    assert status.ErrorComment.startswith("ScheduledProcedureStepStartTime is no time")


def test_a_limit(site: Site) -> None:
    site.serve(*range(5), limit=3)
    answers, statuses = site.find(query())
    assert len(answers) == 3
    assert codes(statuses)[-1] == 0xA700
    assert statuses[-1].ErrorComment == "There are more than 3 matches"
    _, statuses = site.find(query(Modality="CT"))
    assert codes(statuses)[-1] == 0x0000


def test_a_cancel_stops_the_search(site: Site) -> None:
    service = site.serve(*range(40))
    association = site.associate()
    seen = []
    for status, _ in association.send_c_find(query(), MWL, msg_id=7):
        seen.append(int(status.Status))
        if len(seen) == 1:
            association.send_c_cancel(7, query_model=MWL)
    assert seen[-1] in (0xFE00, 0x0000)
    assert association.is_established
    assert len(list(service.items())) == 40


def test_an_item_that_cannot_be_read_keeps_nobody_from_the_others(site: Site) -> None:
    unreadable = item(3)
    step = unreadable.ScheduledProcedureStepSequence[0]
    step.SpecificCharacterSet = "ISO_IR 999"
    step.add(_raw_text(0x00400007, b"Sch\xe4del"))

    def search(narrowing: worklist.Narrowing) -> Iterator[tuple[str, Dataset]]:
        yield from [("3", unreadable), ("1", item(1)), ("2", item(2))]

    site.serve(search=search)
    assert site.steps(query(ScheduledProcedureStepDescription="T*")) == ["S1", "S2"]


def _raw_text(tag: int, content: bytes) -> Any:
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    return RawDataElement(Tag(tag), "LO", len(content), content, 0, False, True)


def test_a_query_over_many_items_takes_no_memory() -> None:
    """Generated items: whatever there are of them, one is in memory at a time."""

    def search(narrowing: worklist.Narrowing) -> Iterator[tuple[str, Dataset]]:
        for _ in range(2000):
            yield "1", item(1)

    class Asked:
        identifier = query()

    service = WorklistService(MemoryRepository(), search)
    responses = service.c_find(Asked())  # type: ignore[arg-type]
    for _ in range(50):
        next(responses)
    tracemalloc.start()
    try:
        count = sum(1 for _ in responses)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 1950
    assert peak < 1 << 20


# ---- for the program -------------------------------------------------------------------------------------


def test_items_come_and_go() -> None:
    service = WorklistService(MemoryRepository())
    key = service.add(values(1))
    assert service.add(item(1)) == key
    assert [uid for uid, _ in service.items()] == [key]
    with pytest.raises(worklist.Unusable, match="PatientID is missing"):
        service.add({"PatientName": "Doe^Jane"})
    assert service.remove(key)
    assert not service.remove(key)
    assert list(service.items()) == []


# ---- performed procedure steps ---------------------------------------------------------------------------


def performed(number: int) -> Dataset:
    scheduled = Dataset()
    scheduled.StudyInstanceUID = f"1.2.3.{number}"
    scheduled.AccessionNumber = f"A{number}"
    scheduled.ScheduledProcedureStepID = f"S{number}"
    scheduled.RequestedProcedureID = f"R{number}"
    step = Dataset()
    step.ScheduledStepAttributesSequence = Sequence([scheduled])
    step.PerformedProcedureStepID = "PPS1"
    step.PerformedStationAETitle = "STATION1"
    step.PerformedProcedureStepStartDate = "20261124"
    step.PerformedProcedureStepStartTime = "1000"
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    step.Modality = "MR"
    return step


def ended(status: str) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = "1.2.3.4.5"
    series.ProtocolName = "Head"
    for keyword in ("RetrieveAETitle", "SeriesDescription", "PerformingPhysicianName", "OperatorsName"):
        setattr(series, keyword, "")
    series.ReferencedImageSequence = Sequence([])
    series.ReferencedNonImageCompositeSOPInstanceSequence = Sequence([])
    change = Dataset()
    change.PerformedProcedureStepStatus = status
    change.PerformedProcedureStepEndDate = "20261124"
    change.PerformedProcedureStepEndTime = "1030"
    change.PerformedSeriesSequence = Sequence([series])
    return change


@pytest.mark.parametrize("final", ["COMPLETED", "DISCONTINUED"])
def test_mpps_moves_the_status(site: Site, final: str) -> None:
    service = site.serve(1, 2)
    told: list[str] = []
    service.on("status", lambda key, before, after: told.append(worklist.status_of(after)))
    association = site.associate()
    status, _ = association.send_n_create(performed(1), MPPS, "1.2.9")
    assert status.Status == 0x0000
    assert site.steps(query(ScheduledProcedureStepStatus="STARTED")) == ["S1"]
    same = Dataset()
    same.PerformedProcedureStepDescription = "Head"
    status, _ = association.send_n_set(same, MPPS, "1.2.9")
    assert status.Status == 0x0000
    status, _ = association.send_n_set(ended(final), MPPS, "1.2.9")
    assert status.Status == 0x0000, status
    assert site.steps(query(ScheduledProcedureStepStatus=final)) == ["S1"]
    assert site.steps(query(ScheduledProcedureStepStatus="SCHEDULED")) == ["S2"]
    assert told == ["STARTED", final]


def test_what_has_ended_may_be_hidden(site: Site) -> None:
    service = site.serve(1, hide_finished=True)
    service.add(values(2, ScheduledProcedureStepStatus="COMPLETED"))
    assert site.steps(query()) == ["S1"]
    assert site.steps(query(ScheduledProcedureStepStatus="COMPLETED")) == ["S2"]
    assert site.steps(query(ScheduledProcedureStepStatus="*")) == ["S1"]
