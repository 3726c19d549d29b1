"""The worklist in SQLite: narrowing and matching give what matching alone gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dulcimer.node.adapters import worklist as adapter
from dulcimer.node.adapters.database import Database
from dulcimer.node.adapters.worklist import SqlWorklistSearch, worklist_in
from dulcimer.scp.worklist import WorklistService
from dulcimer.services import worklist
from support.scheduled import item, performed, query


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "index.sqlite", "OFF")
    yield made
    made.close()


def combined(number: int) -> Dataset:
    """Return an item with three steps on different days, stations and modalities."""
    made = item(number)
    steps = [item(each).ScheduledProcedureStepSequence[0] for each in (number, number + 1, number + 2)]
    steps[1].ScheduledStationAETitle = ["STATION0", "STATION9"]
    made.ScheduledProcedureStepSequence = Sequence(steps)
    return made


def stored() -> list[Dataset]:
    return [
        *(item(number) for number in range(12)),
        *(combined(number) for number in range(20, 32, 3)),
        item(40, PatientName="Müller^Änne", AccessionNumber="", ScheduledProcedureStepStartDate="20261105"),
        item(41, PatientID="P_1%", ScheduledStationAETitle="STATION"),
    ]


@pytest.fixture(scope="module")
def held() -> Iterator[tuple[WorklistService, list[Dataset]]]:
    with TemporaryDirectory() as folder:
        database = Database(Path(folder) / "index.sqlite", "OFF")
        service = WorklistService(worklist_in(database), SqlWorklistSearch(database))
        items = stored()
        for each in items:
            service.add(each)
        yield service, items
        database.close()


class Asked:
    """As much of an event as a query needs."""

    def __init__(self, identifier: Dataset) -> None:
        self.identifier = identifier


def found(service: WorklistService, identifier: Dataset) -> list[str]:
    return sorted(str(answer) for _, answer in service.c_find(Asked(identifier)))  # type: ignore[arg-type]


CHOICES: dict[str, list[Any]] = {
    "Modality": [None, "CT", "MR", "C?", ["CT", "DX"], "XX"],
    "ScheduledStationAETitle": [
        None, "STATION1", "STATION9", "STATION*", "STATION", ["STATION1", "STATION2"],
    ],
    "ScheduledProcedureStepStartDate": [
        None, "20261102", "20261102-20261105", "20261124-", "-20261103", "20261105-20261101",
    ],
    "ScheduledProcedureStepStartTime": [None, "083000", "09-11", "1030-"],
    "ScheduledProcedureStepID": [None, "S21", "S1*"],
    "PatientID": [None, "P1", "P*", "P_1%", "p1"],
    "PatientName": [None, "Doe^Jane1*", "Mü*"],
    "AccessionNumber": [None, "A2", '""'],
    "StudyInstanceUID": [None, "1.2.3.3", ["1.2.3.3", "1.2.3.20"]],
}  # fmt: skip


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_narrowing_and_matching_are_matching(
    held: tuple[WorklistService, list[Dataset]], data: st.DataObject
) -> None:
    service, items = held
    asked = data.draw(st.lists(st.sampled_from(sorted(CHOICES)), max_size=3, unique=True))
    identifier = query(**{keyword: data.draw(st.sampled_from(CHOICES[keyword])) for keyword in asked})
    expected = sorted(str(answer) for each in items for answer in worklist.respond(identifier, each))
    assert found(service, identifier) == expected


def test_an_item_is_given_once_whatever_page_its_steps_are_on(
    held: tuple[WorklistService, list[Dataset]], monkeypatch: pytest.MonkeyPatch
) -> None:
    service, items = held
    monkeypatch.setattr(adapter, "_AT_A_TIME", 2)
    for identifier in (query(), query(ScheduledStationAETitle="STATION0")):
        expected = sorted(str(answer) for each in items for answer in worklist.respond(identifier, each))
        assert found(service, identifier) == expected


def test_changes_while_somebody_reads_give_no_item_twice(database: Database) -> None:
    service = WorklistService(worklist_in(database), SqlWorklistSearch(database))
    for number in range(300):
        service.add(item(number))
    seen = []
    for _, answer in service.c_find(Asked(query())):  # type: ignore[arg-type]
        assert answer is not None
        seen.append(str(answer.PatientID))
        if len(seen) == 1:
            for number in range(0, 300, 7):
                service.performed("1.2", None, performed(number))
    assert sorted(seen) == sorted(f"P{number}" for number in range(300))


def test_removed_and_shortened_items(database: Database) -> None:
    service = WorklistService(worklist_in(database), SqlWorklistSearch(database))
    key = service.add(item(1))
    with worklist_in(database).transaction() as transaction:
        transaction.put(key, combined(1))
    assert len(found(service, query())) == 3
    with worklist_in(database).transaction() as transaction:
        transaction.put(key, item(1))
    assert len(found(service, query())) == 1
    assert found(service, query(ScheduledProcedureStepID="S2")) == []
    service.remove(key)
    assert found(service, query()) == []


def test_a_performed_step_is_told_to_the_item_and_lives_on(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    first = Database(path)
    service = WorklistService(worklist_in(first), SqlWorklistSearch(first))
    key = service.add(item(1))
    service.performed("1.2", None, performed(1, "COMPLETED"))
    first.close()
    second = Database(path)
    stored = worklist_in(second).get(key)
    assert stored is not None
    assert worklist.status_of(stored) == "COMPLETED"
    second.close()
