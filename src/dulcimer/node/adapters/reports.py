"""The reports that wait for delivery, in SQLite: they survive a restart."""

from __future__ import annotations

from dataclasses import asdict, fields
from itertools import islice
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from dulcimer.node.adapters.schema import REPORTED_TO, REPORTS
from dulcimer.scp.reports import Report, Turn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from dulcimer.node.adapters.database import Database

_CHUNK: Final = 500
_COLUMNS: Final = tuple(REPORTS.c[field.name] for field in fields(Report))
_ADD_TITLE: Final = insert_or(REPORTED_TO).on_conflict_do_nothing()


class SqlReportQueue:
    """A :class:`~dulcimer.scp.reports.ReportQueue` in the node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, reports: Iterable[Report]) -> None:
        waiting = iter(reports)
        while chunk := list(islice(waiting, _CHUNK)):
            rows = [asdict(report) for report in chunk]
            for row in rows:
                del row["number"]
            titles = {report.aet: report.created for report in reversed(chunk)}
            with self._database.write() as connection:
                connection.execute(insert(REPORTS), rows)
                connection.execute(
                    _ADD_TITLE, [{"aet": aet, "due": due, "attempts": 0} for aet, due in titles.items()]
                )

    def first(self, excluding: Collection[str] = ()) -> Turn | None:
        columns = REPORTED_TO.c
        query = select(columns.aet, columns.due, columns.attempts).order_by(columns.due).limit(1)
        if excluding:
            query = query.where(columns.aet.not_in(list(excluding)))
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Turn(*row)

    def of(self, aet: str, limit: int) -> list[Report]:
        query = select(*_COLUMNS).where(REPORTS.c.aet == aet).order_by(REPORTS.c.number).limit(limit)
        with self._database.read() as connection:
            return [Report(*row) for row in connection.execute(query)]

    def remove(self, aet: str, numbers: Collection[int]) -> None:
        if not numbers:
            return
        with self._database.write() as connection:
            connection.execute(delete(REPORTS).where(REPORTS.c.number.in_(list(numbers))))
            more = select(REPORTS.c.number).where(REPORTS.c.aet == aet).exists()
            connection.execute(delete(REPORTED_TO).where(REPORTED_TO.c.aet == aet, ~more))

    def postpone(self, aet: str, due: float, attempts: int) -> None:
        with self._database.write() as connection:
            connection.execute(
                update(REPORTED_TO).where(REPORTED_TO.c.aet == aet).values(due=due, attempts=attempts)
            )

    def __len__(self) -> int:
        with self._database.read() as connection:
            count: int = connection.execute(select(func.count()).select_from(REPORTS)).scalar_one()
        return count
