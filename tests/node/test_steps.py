"""Performed procedure steps and the instances that they name, in the database."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from pydicom.dataset import Dataset

from dulcimer.node.adapters.database import Database
from dulcimer.node.adapters.index import SqlIndex
from dulcimer.node.adapters.instances import decode, encode
from dulcimer.node.adapters.steps import instances_of_step, list_steps, step_of_instance, steps_in
from dulcimer.node.domain.model import Instance, NamedInstance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def step(*named: str) -> Dataset:
    ds = Dataset()
    scheduled = Dataset()
    scheduled.StudyInstanceUID = "2.25.2"
    scheduled.AccessionNumber = "A1"
    ds.ScheduledStepAttributesSequence = [scheduled]
    ds.PatientID = "P1"
    ds.PatientName = "Doe^Jane"
    ds.PerformedProcedureStepStartDate = "20261124"
    ds.PerformedProcedureStepStartTime = "101500"
    ds.PerformedProcedureStepStatus = "IN PROGRESS"
    ds.Modality = "CT"
    series = Dataset()
    series.SeriesInstanceUID = "2.25.3"
    series.ReferencedImageSequence = [reference(uid) for uid in named[::2]]
    series.ReferencedNonImageCompositeSOPInstanceSequence = [reference(uid) for uid in named[1::2]]
    ds.PerformedSeriesSequence = [series]
    return ds


def reference(uid: str) -> Dataset:
    ds = Dataset()
    ds.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    ds.ReferencedSOPInstanceUID = uid
    return ds


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "index.sqlite")
    yield made
    made.close()


def put(database: Database, uid: str, dataset: Dataset) -> None:
    with steps_in(database).transaction() as transaction:
        transaction.put(uid, dataset)


def receive(database: Database, uid: str) -> None:
    SqlIndex(database).insert(
        Instance(uid, "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2", f"{uid}.dcm", 1, datetime.now(UTC))
    )


def test_data_sets_survive_as_bytes() -> None:
    assert decode(encode(step("2.25.7"))) == step("2.25.7")


def test_a_line_of_the_list(database: Database) -> None:
    put(database, "2.25.1", step())
    (row,) = list_steps(database.readers)
    assert (row.sop_instance_uid, row.status, row.patient_id) == ("2.25.1", "IN PROGRESS", "P1")
    assert (row.accession_number, row.started, row.ended) == ("A1", "20261124 101500", "")
    assert (row.named, row.received) == (0, 0)


def test_instances_are_linked_whichever_comes_first(database: Database) -> None:
    receive(database, "2.25.11")
    put(database, "2.25.1", step("2.25.11", "2.25.12", "2.25.13"))
    receive(database, "2.25.12")
    assert instances_of_step(database.readers, "2.25.1") == [
        NamedInstance("2.25.11", True),
        NamedInstance("2.25.12", True),
        NamedInstance("2.25.13", False),
    ]
    (row,) = list_steps(database.readers)
    assert (row.named, row.received) == (3, 2)
    assert step_of_instance(database.readers, "2.25.12") == "2.25.1"
    assert step_of_instance(database.readers, "2.25.99") is None


def test_an_instance_that_a_step_names_no_more(database: Database) -> None:
    put(database, "2.25.1", step("2.25.11", "2.25.12"))
    put(database, "2.25.1", step("2.25.12"))
    assert [each.sop_instance_uid for each in instances_of_step(database.readers, "2.25.1")] == ["2.25.12"]
    with steps_in(database).transaction() as transaction:
        transaction.delete("2.25.1")
    assert instances_of_step(database.readers, "2.25.1") == []


def test_steps_of_the_former_table_are_kept(tmp_path: Path) -> None:
    """Migration 0003 moves them, with the instances that they name."""
    path = tmp_path / "index.sqlite"
    migrated_to(path, "0002")
    with sqlite3.connect(path) as connection:
        for number in (1, 2):
            connection.execute(
                "INSERT INTO steps (sop_instance_uid, status, data, created, updated) VALUES (?, ?, ?, ?, ?)",
                (
                    f"2.25.{number}",
                    "IN PROGRESS",
                    encode(step("2.25.11")) if number == 1 else encode(step()),
                    f"2026-11-2{number}",
                    f"2026-11-2{number}",
                ),
            )
    connection.close()
    database = Database(path)
    try:
        rows = list_steps(database.readers)
        assert [(row.sop_instance_uid, row.patient_id, row.named) for row in rows] == [
            ("2.25.2", "P1", 0),
            ("2.25.1", "P1", 1),
        ]
        assert rows[1].created == "2026-11-21"
        assert steps_in(database).get("2.25.1") == step("2.25.11")
    finally:
        database.close()


def migrated_to(path: Path, revision: str) -> None:
    """Make a database as it was at a revision."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "dulcimer.node.adapters:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
