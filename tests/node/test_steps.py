"""Performed procedure steps in the database, without a network."""

from __future__ import annotations

from threading import Barrier, Thread
from typing import TYPE_CHECKING

import pytest
from pydicom.dataset import Dataset

from dulcimer.errors import Refused
from dulcimer.node.adapters.database import Database
from dulcimer.node.adapters.steps import SqlSteps
from dulcimer.node.domain.steps import StepManager, decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def step() -> Dataset:
    ds = Dataset()
    scheduled = Dataset()
    scheduled.StudyInstanceUID = "2.25.2"
    scheduled.AccessionNumber = "A1"
    ds.ScheduledStepAttributesSequence = [scheduled]
    ds.PatientID = "P1"
    ds.PatientName = "Doe^Jane"
    ds.PerformedProcedureStepID = "1"
    ds.PerformedStationAETitle = "CT1"
    ds.PerformedProcedureStepStartDate = "20261124"
    ds.PerformedProcedureStepStartTime = "101500"
    ds.PerformedProcedureStepStatus = "IN PROGRESS"
    ds.Modality = "CT"
    return ds


def completion() -> Dataset:
    ds = Dataset()
    ds.PerformedProcedureStepStatus = "COMPLETED"
    ds.PerformedProcedureStepEndDate = "20261124"
    ds.PerformedProcedureStepEndTime = "103000"
    series = Dataset()
    series.ProtocolName = "Head"
    series.SeriesInstanceUID = "2.25.3"
    ds.PerformedSeriesSequence = [series]
    return ds


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "index.sqlite")
    yield made
    made.close()


@pytest.fixture
def manager(database: Database) -> StepManager:
    return StepManager(SqlSteps(database))


def test_data_sets_survive_as_bytes() -> None:
    assert decode(encode(step())) == step()


def test_from_create_to_completed(manager: StepManager, database: Database) -> None:
    manager.create(step(), "2.25.1")
    assert manager.modify(completion(), "2.25.1") == "COMPLETED"
    (row,) = SqlSteps(database).all()
    assert (row.status, row.patient_id, row.modality, row.accession_number) == ("COMPLETED", "P1", "CT", "A1")
    assert (row.started, row.ended) == ("20261124 101500", "20261124 103000")
    answer, unsupported = manager.retrieve([0x00400252, 0x00181030], "2.25.1")
    assert answer.PerformedProcedureStepStatus == "COMPLETED"
    assert unsupported == (0x00181030,)


def test_a_refusal_changes_nothing(manager: StepManager, database: Database) -> None:
    manager.create(step(), "2.25.1")
    change = completion()
    del change.PerformedSeriesSequence
    with pytest.raises(Refused):
        manager.modify(change, "2.25.1")
    assert [row.status for row in SqlSteps(database).all()] == ["IN PROGRESS"]
    manager.modify(completion(), "2.25.1")
    with pytest.raises(Refused) as refusal:
        manager.modify(completion(), "2.25.1")
    assert (refusal.value.status, refusal.value.error_id) == (0x0110, 0xA710)


def test_unknown_and_twice(manager: StepManager) -> None:
    manager.create(step(), "2.25.1")
    with pytest.raises(Refused) as twice:
        manager.create(step(), "2.25.1")
    assert twice.value.status == 0x0111
    for call in (lambda: manager.modify(completion(), "2.25.9"), lambda: manager.retrieve([], "2.25.9")):
        with pytest.raises(Refused) as unknown:
            call()
        assert unknown.value.status == 0x0112


def test_two_peers_that_set_at_once_lose_nothing(manager: StepManager) -> None:
    manager.create(step(), "2.25.1")
    together = Barrier(2)

    def append(keyword: str) -> None:
        together.wait()
        for number in range(50):
            change = Dataset()
            setattr(change, keyword, f"{number}")
            manager.modify(change, "2.25.1")

    keywords = ("PerformedProcedureStepDescription", "PerformedProcedureTypeDescription")
    threads = [Thread(target=append, args=(keyword,)) for keyword in keywords]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answer, _ = manager.retrieve([], "2.25.1")
    assert [answer[keyword].value for keyword in keywords] == ["49", "49"]


def test_only_one_of_many_completes(manager: StepManager) -> None:
    manager.create(step(), "2.25.1")
    together = Barrier(4)
    outcomes: list[object] = []

    def complete() -> None:
        together.wait()
        try:
            outcomes.append(manager.modify(completion(), "2.25.1"))
        except Refused as refusal:
            outcomes.append(refusal.error_id)

    threads = [Thread(target=complete) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes)) == [str(0xA710)] * 3 + ["COMPLETED"]
