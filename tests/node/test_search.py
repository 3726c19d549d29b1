"""Queries over the index against the same rules applied to everything that is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from sqlalchemy import text

from dulcimer.node.adapters import search as search_module
from dulcimer.node.adapters.database import Database
from dulcimer.node.adapters.index import SqlIndex
from dulcimer.node.adapters.search import SqlSearch
from dulcimer.node.domain.catalogue import BY_NAME, LEVELS, UNIQUE_KEYS, Level
from dulcimer.node.domain.matching import On
from dulcimer.node.domain.model import Instance
from dulcimer.node.domain.query import MODELS, Condition, Query, Wish, parse_find, parse_retrieve
from dulcimer.services.matchers import matcher_for
from dulcimer.services.text import normal

STUDY_ROOT = MODELS["1.2.840.10008.5.1.4.1.2.2.1"]
PATIENT_ROOT = MODELS["1.2.840.10008.5.1.4.1.2.1.1"]


@dataclass
class Held:
    """An index with instances, and what it should know."""

    database: Database
    index: SqlIndex
    rows: list[dict[str, str]] = field(default_factory=list)

    def add(self, **values: str) -> None:
        number = len(self.rows)
        row = {
            "sop_instance_uid": f"2.25.{number}",
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.7",
            "transfer_syntax_uid": "1.2.840.10008.1.2.1",
            **{name: value for name, value in values.items() if value},
        }
        instance = Instance(
            row["sop_instance_uid"],
            row["sop_class_uid"],
            row["transfer_syntax_uid"],
            f"{number}.dcm",
            1,
            datetime.now(UTC),
            attributes=row,
        )
        assert self.index.insert(instance) is None
        self.rows.append(row)

    @property
    def search(self) -> SqlSearch:
        return SqlSearch(self.database.readers)

    def found(self, query: Query) -> list[dict[str, str]]:
        return list(self.search.find(query).rows())

    def expected(self, level: Level, conditions: tuple[Condition, ...], key: str) -> set[str]:
        entities: dict[str, dict[str, str]] = {}
        for row in self.rows:
            study = [other for other in self.rows if other["study_instance_uid"] == row["study_instance_uid"]]
            modalities = {other["modality"] for other in study if other.get("modality")}
            classes = {other["sop_class_uid"] for other in study}
            known = {
                **row,
                "modalities_in_study": "\\".join(sorted(modalities)),
                "sop_classes_in_study": "\\".join(sorted(classes)),
            }
            entities.setdefault(row.get(key, ""), known)
        return {uid for uid, row in entities.items() if all(condition.holds(row) for condition in conditions)}


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    with _held(tmp_path) as found:
        yield found


class _held:
    def __init__(self, folder: Path) -> None:
        self.database = Database(folder / "index.sqlite", "OFF")

    def __enter__(self) -> Held:
        return Held(self.database, SqlIndex(self.database))

    def __exit__(self, *_error: object) -> None:
        self.database.close()


_LETTERS = "aAbé[]-^=ßが李 _%"
_texts = st.text(_LETTERS, max_size=5)
_patterns = st.text(_LETTERS + "*?", max_size=5)
_dates = st.sampled_from(["", "20200101", "20200102", "20201231", "20210101", "2020", "2020.01.02", "junk"])
_date_keys = st.sampled_from(
    ["", "*", "20200101", "20200101-20200102", "-20200102", "20200102-", "2020.01.01", "2020*", '""']
)
_times = st.sampled_from(["", "10", "1015", "101530", "101530.5", "235959.999999", "10:15", "x"])
_time_keys = st.sampled_from(["", "1015", "10-1015", "-10", "1015-", "101530.2-101530.6", "10:15:30"])
_numbers = st.sampled_from(["", "1", "01", "2", "10", "x"])
_uids = st.sampled_from(["2.25.100", "2.25.101", "2.25.102"])

VALUES = {
    "patient_id": st.sampled_from(["", "P1", "P2", "p1", "P1 2"]),
    "patient_name": _texts,
    "study_date": _dates,
    "study_time": _times,
    "study_description": _texts,
    "other_patient_ids": st.sampled_from(["", "A", "B", "A\\B", "B\\C"]),
    "referring_physician_name": _texts,
    "request_attributes_sequence": st.sampled_from(
        ["", '[{"00401001":"R1","00400009":"S1"},{"00401001":"R2","00400009":"S2"}]', '[{"00401001":"R2"}]']
    ),
    "modality": st.sampled_from(["", "CT", "MR", "SR"]),
    "series_number": _numbers,
    "instance_number": _numbers,
}
KEYS = {
    "patient_id": st.sampled_from(["", "P1", "P?", "p*", "P1 2"]),
    "patient_name": _patterns,
    "study_date": _date_keys,
    "study_time": _time_keys,
    "study_description": _patterns,
    "other_patient_ids": st.sampled_from(["", "A", "B", "?", '""']),
    "referring_physician_name": _patterns,
    "modalities_in_study": st.sampled_from(["", "CT", "CT\\MR", "?R", '""']),
    "modality": st.sampled_from(["", "CT", "*R"]),
    "series_number": st.sampled_from(["", "1", "02", "1*"]),
    "instance_number": st.sampled_from(["", "1", "10"]),
}
_OF_LEVEL: dict[str, int] = {name: LEVELS.index(BY_NAME[name].level) for name in KEYS}


@st.composite
def _instances(draw: st.DrawFn) -> list[dict[str, str]]:
    rows = []
    for study in range(draw(st.integers(1, 3))):
        shared = {name: draw(VALUES[name]) for name in VALUES if LEVELS.index(BY_NAME[name].level) < 2}
        for series in range(draw(st.integers(1, 2))):
            of_series = {name: draw(VALUES[name]) for name in VALUES if BY_NAME[name].level == "SERIES"}
            for _ in range(draw(st.integers(1, 2))):
                row = {
                    **shared,
                    **of_series,
                    "instance_number": draw(_numbers),
                    "study_instance_uid": f"2.25.{study + 100}",
                    "series_instance_uid": f"2.25.{study + 100}.{series}",
                }
                rows.append(
                    {
                        name: normal(BY_NAME[name].vr, value) if BY_NAME[name].vr != "SQ" else value
                        for name, value in row.items()
                    }
                )
    return rows


def _key(name: str, value: str, *, insensitive: bool) -> On | None:
    attribute = BY_NAME[name]
    values = [normal("PN" if attribute.vr == "PN" else "", part) for part in value.split("\\")]
    matcher = matcher_for(attribute.vr, values, insensitive_names=insensitive)
    return None if matcher is None else On(attribute, matcher)


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_index_finds_what_the_rules_say(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder, _held(Path(folder)) as held:
        for row in data.draw(_instances()):
            held.add(**row)
        for level in LEVELS[1:]:
            for _ in range(4):
                possible = [name for name, rank in _OF_LEVEL.items() if rank <= LEVELS.index(level)]
                asked = data.draw(st.lists(st.sampled_from(possible), max_size=3, unique=True))
                insensitive = data.draw(st.booleans())
                keys = [_key(name, data.draw(KEYS[name]), insensitive=insensitive) for name in asked]
                conditions = tuple(key for key in keys if key is not None)
                unique = UNIQUE_KEYS[level]
                query = Query(level, conditions, (Wish(unique),))
                found = [row[unique.name] for row in held.found(query)]
                assert len(found) == len(set(found))
                assert set(found) == held.expected(level, conditions, unique.name), conditions


def _query(level: str, model: str = "2", **keys: object) -> Query:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return parse_find(identifier, MODELS[f"1.2.840.10008.5.1.4.1.2.{model}.1"])


def _fill(held: Held) -> None:
    for study, (patient, modality) in enumerate(
        [("P1", "CT"), ("P1", "MR"), ("P2", "CT"), ("", "US"), ("", "US")]
    ):
        for series in range(2):
            for _ in range(3):
                held.add(
                    patient_id=patient,
                    patient_name=f"Doe^{patient or study}",
                    study_instance_uid=f"2.25.{study + 100}",
                    series_instance_uid=f"2.25.{study + 100}.{series}",
                    modality=modality if series == 0 else "SR",
                )


def test_what_is_worked_out(held: Held) -> None:
    _fill(held)
    (row,) = held.found(
        _query(
            "STUDY",
            StudyInstanceUID="2.25.100",
            ModalitiesInStudy="",
            SOPClassesInStudy="",
            NumberOfStudyRelatedSeries="",
            NumberOfStudyRelatedInstances="",
            NumberOfPatientRelatedStudies="",
            NumberOfPatientRelatedSeries="",
            NumberOfPatientRelatedInstances="",
        )
    )
    assert row == {
        "study_instance_uid": "2.25.100",
        "modalities_in_study": "CT\\SR",
        "sop_classes_in_study": "1.2.840.10008.5.1.4.1.1.7",
        "series_of_study": "2",
        "instances_of_study": "6",
        "studies_of_patient": "2",
        "series_of_patient": "4",
        "instances_of_patient": "12",
    }
    rows = held.found(_query("SERIES", StudyInstanceUID="2.25.101", NumberOfSeriesRelatedInstances=""))
    assert [row["instances_of_series"] for row in rows] == ["3", "3"]


def test_patients(held: Held) -> None:
    _fill(held)
    rows = held.found(_query("PATIENT", "1", PatientName="", NumberOfPatientRelatedStudies="", PatientID=""))
    assert [(row["patient_id"], row["patient_name"], row["studies_of_patient"]) for row in rows] == [
        ("P1", "Doe^P1", "2"),
        ("P2", "Doe^P2", "1"),
        ("", "Doe^3", "1"),
        ("", "Doe^4", "1"),
    ]


def test_the_limit(held: Held) -> None:
    _fill(held)
    assert len(held.search.find(_query("STUDY"), 3)) == 3
    assert len(held.search.find(_query("STUDY"), 0)) == 5


def test_many_uids(held: Held) -> None:
    _fill(held)
    uids = [f"2.25.{number}" for number in range(2000)]
    series = {"StudyInstanceUID": "2.25.100", "SeriesInstanceUID": "2.25.100.0"}
    assert len(held.found(_query("IMAGE", **series, SOPInstanceUID=uids))) == 3


def test_what_holds_no_instance_is_not_shown(held: Held) -> None:
    _fill(held)
    with held.database.write() as connection:
        connection.execute(text("DELETE FROM instances WHERE study_instance_uid = '2.25.102'"))
    assert "2.25.102" not in {row["study_instance_uid"] for row in held.found(_query("STUDY"))}
    assert "P2" not in {row["patient_id"] for row in held.found(_query("PATIENT", "1"))}
    assert held.found(_query("SERIES", StudyInstanceUID="2.25.102")) == []


def _retrieve(level: str, model: str = "2", **keys: object) -> Query:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return parse_retrieve(identifier, MODELS[f"1.2.840.10008.5.1.4.1.2.{model}.3"])


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (_retrieve("PATIENT", "1", PatientID="P1"), 12),
        (_retrieve("STUDY", "1", PatientID="P1", StudyInstanceUID="2.25.100"), 6),
        (_retrieve("STUDY", "1", PatientID="P2", StudyInstanceUID="2.25.100"), 0),
        (_retrieve("STUDY", StudyInstanceUID=["2.25.100", "2.25.102", "2.25.999"]), 12),
        (_retrieve("SERIES", StudyInstanceUID="2.25.100", SeriesInstanceUID="2.25.100.1"), 3),
        (
            _retrieve(
                "IMAGE",
                StudyInstanceUID="2.25.100",
                SeriesInstanceUID="2.25.100.0",
                SOPInstanceUID=["2.25.0", "2.25.2", "2.25.3"],
            ),
            2,
        ),
    ],
)
def test_what_a_retrieval_is_about(held: Held, query: Query, count: int) -> None:
    _fill(held)
    holdings = held.search.instances(query)
    assert len(holdings) == count == len(list(holdings.paths()))
    assert sum(holdings.kinds.values()) == count


def test_a_slow_reader_holds_up_nobody(held: Held) -> None:
    _fill(held)
    rows = held.search.find(_query("STUDY")).rows()
    next(rows)
    with held.database.write() as connection:
        connection.execute(text("DELETE FROM studies"))
    rows.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("keys", "index"),
    [
        ({"StudyInstanceUID": "2.25.1"}, "sqlite_autoindex_studies_1"),
        ({"StudyInstanceUID": [f"2.25.{number}" for number in range(50)]}, "sqlite_autoindex_studies_1"),
        ({"PatientID": "P1"}, "studies_by_patient"),
        ({"PatientID": "P1*"}, "studies_by_patient"),
        ({"StudyDate": "20200101-20200102"}, "studies_by_date"),
        ({"StudyDate": "20200101"}, "studies_by_date"),
        ({"AccessionNumber": "A?"}, "studies_by_accession_number"),
        ({"StudyID": "A"}, "studies_by_study_id"),
        ({"PatientName": "Doe*"}, "studies_by_name_alphabetic"),
        ({"PatientName": "Doe*"}, "studies_by_name_phonetic"),
        ({"PatientName": "Doe^Jane"}, "studies_by_name_ideographic"),
    ],
)
def test_indexes_are_used(held: Held, keys: dict[str, object], index: str) -> None:
    query = _query("STUDY", **keys)
    with held.database.readers.connect() as connection:
        statement, _ = search_module._search(query)
        words = statement.compile(connection, compile_kwargs={"literal_binds": True})
        plan = " ".join(str(row) for row in connection.execute(text(f"EXPLAIN QUERY PLAN {words}")))
    assert index in plan
    assert "SCAN studies" not in plan


def test_root_levels() -> None:
    assert PATIENT_ROOT.levels == LEVELS
    assert STUDY_ROOT.levels == LEVELS[1:]
