"""Queries over the node's index: does their cost depend on how much it holds, and does memory?"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.contestants import SERVE_OFF
from bench.model import BenchError, Options, Row
from bench.processes import Server, python
from bench.programs import index_query as program
from bench.programs.stepwise import stepwise
from bench.rows import footprint
from dulcimer.node.adapters.database import Database
from dulcimer.node.adapters.schema import INDEXED_BY

_PER_DAY = 20
_PER_PATIENT = 5
_SERIES = 2
_IMAGES = 50
_PER_STUDY = _SERIES * _IMAGES
_LARGE, _SMALL = 1_000_000, 10_000
_KINDS = {
    "uid": "Study Instance UID, 1 match",
    "patient": f"Patient ID, {_PER_PATIENT} matches",
    "date": f"a range of Study Date, {2 * _PER_DAY} matches",
}


def rows(options: Options) -> Iterator[Row]:
    """Ask two nodes in turn: one that holds a million instances, one that holds ten thousand."""
    sizes = {"1,000,000 instances": _LARGE, "10,000 instances": _SMALL}
    folders = {name: options.scratch / f"index-{size}" for name, size in sizes.items()}
    for name, size in sizes.items():
        options.say(f"building an index of {name}")
        build(folders[name], size // _PER_STUDY)
    samples: dict[str, dict[str, list[float]]] = {kind: {name: [] for name in sizes} for kind in _KINDS}
    for number in range(options.rounds + 1):
        for name, size in sizes.items():
            options.say(f"study queries · round {number}/{options.rounds} · {name}")
            times = _times(options, folders[name], size // _PER_STUDY)
            if number:
                for kind, seconds in times.items():
                    samples[kind][name].append(seconds * 1e6)
    for kind, title in _KINDS.items():
        row = Row(f"index-{kind}", f"Study query by {title}", "µs", samples[kind])
        row.note = "serve and a requestor of ours"
        yield row.within(*sizes, 2.0)
    yield _memory(options, next(iter(folders.values())), _LARGE // _PER_STUDY)
    for folder in folders.values():
        shutil.rmtree(folder)


def _times(options: Options, folder: Path, studies: int) -> dict[str, float]:
    with _serving(folder) as server:
        command = python(program.__name__, server.port, studies, _PER_DAY, _PER_PATIENT, options.count(200))
        with stepwise(command, options.scratch / "index.scu") as scu:
            times: dict[str, float] = scu.go()
            return times


def _memory(options: Options, folder: Path, studies: int) -> Row:
    grown: list[float] = []
    with _serving(folder) as server:
        for number in range(options.rounds + 1):
            options.say(f"{studies} matches · round {number}/{options.rounds}")
            command = python(program.__name__, server.port, studies)
            with stepwise(command, options.scratch / "index.scu") as scu:
                before = footprint.forget_peak(server.pid)
                scu.go()
                # What the first query needs for good, caches above all, is no growth.
                if number:
                    grown.append((footprint.peak(server.pid) - before) / 1024)
    row = Row("find-memory", f"C-FIND with {studies} matches, serve: peak growth", "MB", {"serve": grown})
    return row.at_most("serve", 8.0, "MB")


@contextmanager
def _serving(folder: Path) -> Iterator[Server]:
    with SERVE_OFF.serving(folder) as server:
        yield server


def build(folder: Path, studies: int) -> None:
    """Make the data folder of a node whose index holds so many studies; there are no files."""
    folder.mkdir(parents=True)
    path = folder / "index.sqlite"
    Database(path, "OFF").close()
    first = program.FIRST_DAY.isoformat()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(
        f"""
        PRAGMA journal_mode = MEMORY;
        PRAGMA synchronous = OFF;
        PRAGMA cache_size = -200000;
        BEGIN;
        INSERT INTO studies (study_instance_uid, patient_id, patient_name, name_alphabetic,
            patient_birth_date, patient_sex, study_date, study_time, accession_number, study_id,
            study_description, referring_physician_name)
        SELECT '{program.UID_ROOT}.' || value, 'P' || (value / {_PER_PATIENT}),
            'DOE^JANE' || (value / {_PER_PATIENT}), 'doe^jane' || (value / {_PER_PATIENT}), '19701231', 'F',
            strftime('%Y%m%d', '{first}', '+' || (value / {_PER_DAY}) || ' days'), '121500', 'A' || value,
            value, 'THORAX', 'Quux^Hildegard'
        FROM {_numbers(studies)};
        INSERT INTO patients (patient_id, issuer_of_patient_id, nameless_as, patient_name, name_alphabetic)
        SELECT DISTINCT patient_id, '', '', patient_name, name_alphabetic FROM studies;
        INSERT INTO series (study_instance_uid, series_instance_uid, modality, series_number)
        SELECT study_instance_uid, study_instance_uid || '.' || value, iif(value, 'SR', 'CT'), value
        FROM studies, {_numbers(_SERIES)};
        INSERT INTO instances (sop_instance_uid, sop_class_uid, transfer_syntax_uid, study_instance_uid,
            series_instance_uid, instance_number, path, size, received, indexed_by)
        SELECT series_instance_uid || '.' || value, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1',
            study_instance_uid, series_instance_uid, value,
            '2026-11-24/4f/' || series_instance_uid || '.' || value || '.dcm', 524288,
            '2026-11-24T12:00:00.000000+00:00', {INDEXED_BY}
        FROM series, {_numbers(_IMAGES)};
        COMMIT;
        """
    )
    (count,) = connection.execute("SELECT count(*) FROM instances").fetchone()
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    if count != studies * _PER_STUDY:
        raise BenchError(f"an index of {count} instances instead of {studies * _PER_STUDY}")


def _numbers(count: int) -> str:
    """Return the numbers from 0 on as a table."""
    series = f"SELECT 0 AS value UNION ALL SELECT value + 1 FROM numbers WHERE value + 1 < {count}"
    return f"(WITH RECURSIVE numbers(value) AS ({series}) SELECT value FROM numbers)"
