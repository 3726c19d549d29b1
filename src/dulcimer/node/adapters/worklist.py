"""The worklist in SQLite: its repository, and the search for what a query may match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, false, func, or_, select
from sqlalchemy.dialects.sqlite import insert

from dulcimer.node.adapters.instances import SqlRepository, decode
from dulcimer.node.adapters.schema import SCHEDULED_STEPS, SERVICE_INSTANCES
from dulcimer.services import worklist

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import Dataset
    from sqlalchemy import Column, ColumnElement, Connection
    from sqlalchemy.sql.base import ReadOnlyColumnCollection

    from dulcimer.node.adapters.database import Database

    Columns = ReadOnlyColumnCollection[str, Column[Any]]

KIND: Final = "worklist"

_I: Final = SERVICE_INSTANCES.c
_S: Final = SCHEDULED_STEPS.c
_AT_A_TIME: Final = 200
_MOST_VALUES: Final = 500
"""As many values are looked for; of more SQLite could not be told."""

_COLUMNS: Final = {
    worklist.MODALITY: _S.modality,
    worklist.START_DATE: _S.start_date,
    worklist.STEP_ID: _S.step_id,
    worklist.PATIENT_ID: _S.patient_id,
    worklist.ACCESSION_NUMBER: _S.accession_number,
    worklist.STUDY: _S.study_instance_uid,
}

_INSERT: Final = insert(SCHEDULED_STEPS)
_PUT: Final = _INSERT.on_conflict_do_update(
    index_elements=[_S.item_uid, _S.number],
    set_={column.name: _INSERT.excluded[column.name] for column in (_S.stations, *_COLUMNS.values())},
)


def worklist_in(database: Database) -> SqlRepository:
    """Return the repository of the worklist items; it keeps an index of their steps."""
    return SqlRepository(database, KIND, worklist.status_of, _index)


def _index(connection: Connection, uid: str, item: Dataset | None) -> None:
    rows = [] if item is None else [_row(uid, *each) for each in enumerate(worklist.indexed(item))]
    if rows:
        # Rows keep their place, so that a query that goes through them meets each item once.
        connection.execute(_PUT, rows)
    connection.execute(
        delete(SCHEDULED_STEPS).where(_S.item_uid == uid, _S.number >= len(rows)),
    )


def _row(uid: str, number: int, values: dict[int, list[str]]) -> dict[str, object]:
    stations = values[worklist.STATION]
    return {
        "item_uid": uid,
        "number": number,
        "stations": "\\".join(["", *stations, ""]) if stations else "",
        **{column.name: "\\".join(values[tag]) for tag, column in _COLUMNS.items()},
    }


class SqlWorklistSearch:
    """Finds the items among which those are that match a query.

    Calling it with a :class:`~dulcimer.services.worklist.Narrowing` gives them with their keys, a page at a
    time: no read transaction is held while they are looked at.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def __call__(self, narrowing: worklist.Narrowing) -> Iterator[tuple[str, Dataset]]:
        conditions = list(_conditions(narrowing, _S))
        query = (
            select(_S.id, _I.uid, _I.data)
            .join_from(SCHEDULED_STEPS, SERVICE_INSTANCES, (_I.kind == KIND) & (_I.uid == _S.item_uid))
            .where(*conditions, or_(_S.number == 0, ~_has_earlier(narrowing)))
            .order_by(_S.id)
            .limit(_AT_A_TIME)
        )
        after = 0
        while True:
            with self._database.read() as connection:
                page = connection.execute(query.where(_S.id > after)).all()
            for _, uid, data in page:
                yield uid, decode(data)
            if len(page) < _AT_A_TIME:
                return
            after = page[-1].id


def _has_earlier(narrowing: worklist.Narrowing) -> ColumnElement[bool]:
    """Whether an earlier step of the same item is found as well, with which the item is given."""
    earlier = SCHEDULED_STEPS.alias("earlier")
    query = select(earlier.c.id).where(
        earlier.c.item_uid == _S.item_uid,
        earlier.c.number < _S.number,
        *_conditions(narrowing, earlier.c),
    )
    return query.exists()


def _conditions(narrowing: worklist.Narrowing, step: Columns) -> Iterator[ColumnElement[bool]]:
    for tag, values in narrowing.equal.items():
        if len(values) > _MOST_VALUES:
            continue
        if tag == worklist.STATION:
            yield or_(false(), *(func.instr(step.stations, f"\\{value}\\") > 0 for value in sorted(values)))
        else:
            yield step[_COLUMNS[tag].name].in_(sorted(values))
    if narrowing.dates is not None:
        low, high = narrowing.dates
        if low:
            yield step.start_date >= low
        if high:
            yield step.start_date <= high
