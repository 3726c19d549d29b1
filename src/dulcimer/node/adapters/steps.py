"""Performed procedure steps in SQLite."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Final

from sqlalchemy import desc, insert, select, update

from dulcimer.node.adapters.schema import STEPS
from dulcimer.node.domain.model import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from dulcimer.node.adapters.database import Database

_COLUMNS: Final = tuple(STEPS.c[column.name] for column in fields(Step))


class SqlSteps:
    """The steps; a transaction holds the only right to write until it ends, so no update is ever lost."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def transaction(self) -> Iterator[SqlStepTransaction]:
        with self._database.write() as connection:
            yield SqlStepTransaction(connection)

    def get(self, instance_uid: str) -> Step | None:
        with self._database.readers.connect() as connection:
            return SqlStepTransaction(connection).get(instance_uid)

    def all(self) -> list[Step]:
        return list_steps(self._database.readers)


class SqlStepTransaction:
    """What can be done with steps within a transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, instance_uid: str) -> Step | None:
        query = select(*_COLUMNS).where(STEPS.c.sop_instance_uid == instance_uid)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else Step(*row)

    def insert(self, step: Step) -> None:
        self._connection.execute(insert(STEPS), asdict(step))

    def update(self, step: Step) -> None:
        by_uid = STEPS.c.sop_instance_uid == step.sop_instance_uid
        self._connection.execute(update(STEPS).where(by_uid).values(asdict(step)))


def list_steps(engine: Engine) -> list[Step]:
    """List the steps of an index, the latest first."""
    with engine.connect() as connection:
        return [Step(*row) for row in connection.execute(select(*_COLUMNS).order_by(desc(STEPS.c.updated)))]
