"""An index of the first version is brought up to date: tables at once, attributes from the files."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from pydicom import dcmread
from sqlalchemy import create_engine

from dulcimer.node.adapters.catchup import CatchUp
from dulcimer.node.adapters.database import Database
from dulcimer.node.adapters.index import SqlIndex
from dulcimer.node.adapters.search import SqlSearch
from dulcimer.node.domain.query import MODELS, parse_find
from node.queries import FIND, PATIENT, STUDY, identifier
from support.real_files import shipped


def _first_version(path: Path) -> None:
    """Make an index as the first version did."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "dulcimer.node.adapters:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """Return the index of a node that the first version has left, with one file that is there and one that
    is gone."""
    (path,) = [path for path in shipped() if path.name == "CT_small.dcm"]
    stored = dcmread(path)
    (tmp_path / "a.dcm").write_bytes(path.read_bytes())
    _first_version(tmp_path / "index.sqlite")
    connection = sqlite3.connect(tmp_path / "index.sqlite")
    connection.execute(
        "INSERT INTO studies (study_instance_uid, patient_id, patient_name) VALUES (?, ?, ?)",
        (stored.StudyInstanceUID, stored.PatientID, str(stored.PatientName)),
    )
    connection.execute(
        "INSERT INTO series (study_instance_uid, series_instance_uid, modality, series_description) "
        "VALUES (?, ?, 'CT', 'as it was')",
        (stored.StudyInstanceUID, stored.SeriesInstanceUID),
    )
    for uid, name in ((stored.SOPInstanceUID, "a.dcm"), ("2.25.1", "gone.dcm")):
        connection.execute(
            "INSERT INTO instances (sop_instance_uid, study_instance_uid, series_instance_uid, path, size) "
            "VALUES (?, ?, ?, ?, 1)",
            (uid, stored.StudyInstanceUID, stored.SeriesInstanceUID, name),
        )
    connection.commit()
    connection.close()
    return Database(tmp_path / "index.sqlite", "OFF")


def test_an_older_index_is_completed(database: Database, tmp_path: Path) -> None:
    index, search = SqlIndex(database), SqlSearch(database.readers)

    def found(root: str, level: str, **keys: str) -> list[dict[str, str]]:
        return list(search.find(parse_find(identifier(level, **keys), MODELS[root + FIND])).rows())

    # What the migration does is there before any file is read.
    (patient,) = found(PATIENT, "PATIENT", PatientName="Comp*", NumberOfPatientRelatedInstances="")
    assert patient["instances_of_patient"] == "2"
    assert found(STUDY, "STUDY", StudyDate="20040119") == []
    assert len(index.outdated(10)) == 2

    catch_up = CatchUp(index, tmp_path)
    catch_up.wait()
    catch_up.close()

    assert index.outdated(10) == []
    (study,) = found(STUDY, "STUDY", StudyDate="20040119", PatientID="")
    (series,) = found(
        STUDY, "SERIES", StudyInstanceUID=study["study_instance_uid"], SeriesDescription="", Manufacturer=""
    )
    assert series["series_description"] == "as it was"
    assert series["manufacturer"]
    images = found(
        STUDY,
        "IMAGE",
        StudyInstanceUID=study["study_instance_uid"],
        SeriesInstanceUID=series["series_instance_uid"],
        Rows=None,
    )
    assert sorted(image["rows"] for image in images) == ["", "128"]
    database.close()


def test_what_is_up_to_date_starts_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "index.sqlite", "OFF")
    catch_up = CatchUp(SqlIndex(database), tmp_path)
    catch_up.wait()
    catch_up.close()
    database.close()
