"""Study queries over the index of a node: how long does each kind take?

``PORT STUDIES PER_DAY PER_PATIENT COUNT``: the port of the node, how many studies it has, how they are
spread, and how many queries of each kind to send. ``PORT STUDIES`` asks for all of them, once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from statistics import median

from pydicom import Dataset

from bench.processes import HOST
from bench.programs.stepwise import main
from dulcimer import AE
from dulcimer.association import Association

MODEL = "1.2.840.10008.5.1.4.1.2.2.1"
FIRST_DAY = date(2000, 1, 1)
UID_ROOT = "1.2.826.0.1.3680043.8.498"


def day(number: int) -> str:
    """Return a day as the index has it."""
    return (FIRST_DAY + timedelta(number)).strftime("%Y%m%d")


def identifier(**keys: str) -> Dataset:
    """Return a query at study level, with what workstations show of a study."""
    found = Dataset()
    found.QueryRetrieveLevel = "STUDY"
    for keyword in (
        "PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "StudyDate", "StudyTime",
        "AccessionNumber", "StudyDescription", "ModalitiesInStudy", "NumberOfStudyRelatedInstances",
    ):  # fmt: skip
        setattr(found, keyword, keys.get(keyword, ""))
    return found


def _queries(studies: int, per_day: int, per_patient: int) -> dict[str, Iterator[tuple[Dataset, int]]]:
    """Return endless queries of each kind, with the number of their matches."""
    choose = Random(4711)

    def uids() -> Iterator[tuple[Dataset, int]]:
        while True:
            yield identifier(StudyInstanceUID=f"{UID_ROOT}.{choose.randrange(studies)}"), 1

    def patients() -> Iterator[tuple[Dataset, int]]:
        while True:
            yield identifier(PatientID=f"P{choose.randrange(studies // per_patient)}"), per_patient

    def days() -> Iterator[tuple[Dataset, int]]:
        while True:
            first = choose.randrange(studies // per_day - 1)
            yield identifier(StudyDate=f"{day(first)}-{day(first + 1)}"), 2 * per_day

    return {"uid": uids(), "patient": patients(), "date": days()}


def _ask(assoc: Association, query: Dataset, expected: int) -> float:
    started = time.perf_counter()
    count = sum(match is not None for _, match in assoc.send_c_find(query, MODEL))
    seconds = time.perf_counter() - started
    if count != expected:
        raise RuntimeError(f"{count} matches instead of {expected}")
    return seconds


def _associate(port: int) -> Association:
    ae = AE()
    ae.add_requested_context(MODEL)
    return ae.associate(HOST, port)


def _kinds(port: int, studies: int, per_day: int, per_patient: int, count: int) -> dict[str, float]:
    with _associate(port) as assoc:
        times: dict[str, float] = {}
        for kind, queries in _queries(studies, per_day, per_patient).items():
            for _ in range(5):
                _ask(assoc, *next(queries))
            times[kind] = median(_ask(assoc, *next(queries)) for _ in range(count))
    return times


def _all(port: int, studies: int) -> float:
    with _associate(port) as assoc:
        return _ask(assoc, identifier(StudyDate="19000101-"), studies)


if __name__ == "__main__":
    port, studies, *more = map(int, sys.argv[1:])
    main(lambda: _kinds(port, studies, *more) if more else _all(port, studies))  # type: ignore[arg-type]
