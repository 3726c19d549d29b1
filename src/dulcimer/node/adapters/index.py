"""The index of the stored instances in SQLite."""

from __future__ import annotations

import logging
from collections import deque
from threading import Condition, Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import case, delete, desc, func, insert, select, text, update
from sqlalchemy.dialects.sqlite import insert as insert_or
from sqlalchemy.exc import DatabaseError

from dulcimer.node.adapters.schema import (
    FOLDED_NAMES,
    INDEXED_BY,
    INSTANCES,
    OUTDATED,
    PATIENTS,
    SERIES,
    STUDIES,
    VERSIONS,
)
from dulcimer.node.domain.catalogue import of_level
from dulcimer.node.domain.model import Instance, Study
from dulcimer.services.names import folded_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection, Engine, Table

    from dulcimer.node.adapters.database import Database

_log: Final = logging.getLogger("dulcimer.node.index")

_MOST_REMEMBERED: Final = 50_000
_LARGEST_BATCH: Final = 500
_GATHER_SECONDS: Final = 0.02
_RETRY_SECONDS: Final = 1.0
_MOST_WAITING: Final = 20_000

_ADD_PATIENT: Final = insert_or(PATIENTS).on_conflict_do_nothing()
_ADD_STUDY: Final = insert_or(STUDIES).on_conflict_do_nothing()
_ADD_SERIES: Final = insert_or(SERIES).on_conflict_do_nothing()
_ADD_INSTANCE: Final = insert_or(INSTANCES).on_conflict_do_nothing()

_PATIENT_COLUMNS: Final = tuple(column.name for column in PATIENTS.columns)
_STUDY_COLUMNS: Final = tuple(column.name for column in STUDIES.columns)
_SERIES_COLUMNS: Final = tuple(column.name for column in SERIES.columns)
_OF_IMAGE: Final = tuple(attribute.name for attribute in of_level("IMAGE"))


class IndexUnavailable(OSError):
    """The index cannot take more: the disk is full, or the file cannot be written."""


class _Rows:
    """Writes rows within a transaction, and remembers which studies and series are there already."""

    def __init__(self) -> None:
        self._studies: set[str] = set()
        self._series: set[tuple[str, str]] = set()

    def write(self, connection: Connection, instance: Instance) -> str | None:
        """Insert; if the UID is known, return the path it stands for."""
        self.write_parents(connection, instance)
        if connection.execute(_ADD_INSTANCE, _instance_row(instance)).rowcount:
            return None
        return self.path_of(connection, instance.sop_instance_uid)

    def write_parents(self, connection: Connection, instance: Instance) -> None:
        attributes = instance.attributes
        study = attributes.get("study_instance_uid", "")
        if study not in self._studies:
            rows = parent_rows(attributes)
            connection.execute(_ADD_PATIENT, rows["patients"])
            connection.execute(_ADD_STUDY, rows["studies"])
            self._studies.add(study)
        series = study, attributes.get("series_instance_uid", "")
        if series not in self._series:
            connection.execute(_ADD_SERIES, _row(attributes, _SERIES_COLUMNS))
            self._series.add(series)
        if len(self._series) > _MOST_REMEMBERED or len(self._studies) > _MOST_REMEMBERED:
            self.forget()

    def forget(self) -> None:
        """Start anew: after a rollback nobody knows what is there."""
        self._studies.clear()
        self._series.clear()

    @staticmethod
    def path_of(connection: Connection, instance_uid: str) -> str | None:
        path: str | None = connection.execute(
            select(INSTANCES.c.path).where(INSTANCES.c.sop_instance_uid == instance_uid)
        ).scalar()
        return path


class _Ticket:
    """An insert that waits for its transaction."""

    __slots__ = ("done", "error", "instance", "known")

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.known: str | None = None
        self.error: BaseException | None = None
        self.done = False


class SqlIndex:
    """An index whose ``insert`` returns when the row is committed.

    Associations that insert while another one's commit is running share the next transaction: the first of
    them commits for all. With one association that costs nothing, with many it saves most of the flushes to
    the disk.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = _Rows()
        self._turn = Lock()
        self._queue: deque[_Ticket] = deque()

    def insert(self, instance: Instance) -> str | None:
        ticket = _Ticket(instance)
        self._queue.append(ticket)
        with self._turn:
            if not ticket.done:
                self._commit_waiting()
        if ticket.error is not None:
            raise IndexUnavailable(f"the index cannot be written: {_reason(ticket.error)}") from ticket.error
        return ticket.known

    def _commit_waiting(self) -> None:
        batch = [self._queue.popleft() for _ in range(len(self._queue))]
        try:
            with self._database.write() as connection:
                for ticket in batch:
                    ticket.known = self._rows.write(connection, ticket.instance)
        except BaseException as error:
            self._rows.forget()
            for ticket in batch:
                ticket.error = error
            if not isinstance(error, DatabaseError):
                raise
        finally:
            for ticket in batch:
                ticket.done = True

    def replace(self, instance: Instance, path: str) -> str | None:
        by_uid = INSTANCES.c.sop_instance_uid == instance.sop_instance_uid
        with self._turn:
            try:
                with self._database.write() as connection:
                    row = connection.execute(select(INSTANCES).where(by_uid)).mappings().one()
                    if row["path"] != path:
                        return str(row["path"])
                    self._rows.write_parents(connection, instance)
                    connection.execute(
                        insert(VERSIONS),
                        {column.name: row[column.name] for column in VERSIONS.columns if column.name in row},
                    )
                    connection.execute(update(INSTANCES).where(by_uid).values(_instance_row(instance)))
            except BaseException:
                self._rows.forget()
                raise
        return None

    def on_conflict(self, settle: Callable[[Instance, str], object]) -> None:
        """Nothing is written later here."""

    def paths(self, folder: str) -> set[str]:
        found: set[str] = set()
        with self._database.readers.connect() as connection:
            for table in (INSTANCES, VERSIONS):
                below = table.c.path.startswith(folder + "/", autoescape=True)
                found.update(connection.execute(select(table.c.path).where(below)).scalars())
        return found

    def remove(self, instance_uid: str) -> None:
        """Forget an instance."""
        with self._turn, self._database.write() as connection:
            connection.execute(delete(INSTANCES).where(INSTANCES.c.sop_instance_uid == instance_uid))

    def outdated(self, count: int) -> list[tuple[str, str]]:
        """Return UID and path of some instances that were indexed before the index knew all it does now."""
        query = select(INSTANCES.c.sop_instance_uid, INSTANCES.c.path).where(text(OUTDATED)).limit(count)
        with self._database.readers.connect() as connection:
            return [(row[0], row[1]) for row in connection.execute(query)]

    def complete(self, described: list[tuple[str, str, Mapping[str, str]]]) -> None:
        """Add what is known now about instances: UID, path, and the attributes that their files have.

        Nothing that is known already about patients, studies and series is changed.
        """
        with self._turn, self._database.write() as connection:
            for uid, path, attributes in described:
                of_instance = (INSTANCES.c.sop_instance_uid == uid) & (INSTANCES.c.path == path)
                values: dict[str, Any] = {**_row(attributes, _OF_IMAGE), "indexed_by": INDEXED_BY}
                connection.execute(update(INSTANCES).where(of_instance).values(values))
                rows = parent_rows(attributes)
                for table in (PATIENTS, STUDIES, SERIES):
                    self._complete(connection, table, rows[table.name])

    @staticmethod
    def _complete(connection: Connection, table: Table, row: Mapping[str, str]) -> None:
        keys = [each.name for each in table.primary_key]
        values = {
            name: case((table.c[name] == "", value), else_=table.c[name])
            for name, value in row.items()
            if value and name not in keys
        }
        if values:
            by_key = [table.c[name] == row[name] for name in keys]
            connection.execute(update(table).where(*by_key).values(values))

    def studies(self) -> list[Study]:
        return list_studies(self._database.readers)

    def wait_until_written(self) -> None:
        """Nothing is waiting here."""

    def close(self) -> None:
        """Nothing is waiting here."""


class LaterIndex(SqlIndex):
    """An index that writes in the background, up to a few hundred rows in one transaction.

    The file of an instance is in its place before ``insert`` is called, so what a crash keeps from being
    written here is found again by the recovery at the next start. If writing fails it is tried again every
    second, and whenever something is inserted; ``insert`` refuses as long as it fails.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._waiting: deque[Instance] = deque()
        self._wake = Condition()
        self._stop = Event()
        self._failure: str | None = None
        self._failures = 0
        self._inserted = self._written = 0
        self._hurry = False
        self._settle: Callable[[Instance, str], object] | None = None
        self._thread = Thread(target=self._run, name="index", daemon=True)
        self._thread.start()

    def on_conflict(self, settle: Callable[[Instance, str], object]) -> None:
        self._settle = settle

    def insert(self, instance: Instance) -> str | None:
        if self._failure is not None:
            self._try_again()
        with self._wake:
            while len(self._waiting) > _MOST_WAITING and not self._stop.is_set():
                self._wake.wait(_RETRY_SECONDS)
            self._waiting.append(instance)
            self._inserted += 1
            if len(self._waiting) == 1:
                self._wake.notify_all()
        return None

    def _try_again(self) -> None:
        """Have the thread try once more at once: what kept it from writing may be over."""
        with self._wake:
            before = self._failures
            self._hurry = True
            self._wake.notify_all()
            self._wake.wait_for(
                lambda: self._failure is None or self._failures != before or self._stop.is_set()
            )
            if self._failure is not None:
                raise IndexUnavailable(f"the index cannot be written: {self._failure}")

    def wait_until_written(self) -> None:
        """Wait until everything is written that was inserted so far."""
        with self._wake:
            # What comes meanwhile need not be waited for.
            last = self._inserted
            while self._written < last and self._failure is None and not self._stop.is_set():
                self._wake.wait(_RETRY_SECONDS)

    def close(self) -> None:
        self._stop.set()
        with self._wake:
            self._wake.notify_all()
        self._thread.join()

    @property
    def waiting(self) -> int:
        """How many instances are not written yet."""
        return len(self._waiting)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._stop.is_set():
                    self._wake.wait()
                if not self._waiting:
                    return
            # A moment later there are more to share the transaction.
            self._stop.wait(_GATHER_SECONDS)
            try:
                self._write_some()
            except Exception as error:  # the thread must outlive whatever the database raises
                if self._failure is None:
                    _log.error("the index cannot be written, new objects are refused: %s", _reason(error))
                with self._wake:
                    self._failure = _reason(error)
                    self._failures += 1
                    self._wake.notify_all()
                    self._wake.wait_for(lambda: self._hurry or self._stop.is_set(), _RETRY_SECONDS)
                    self._hurry = False
                if self._stop.is_set():
                    return
            else:
                if self._failure is not None:
                    _log.info("the index can be written again")
                    with self._wake:
                        self._failure = None
                        self._wake.notify_all()

    def _write_some(self) -> None:
        batch = [self._waiting[at] for at in range(min(len(self._waiting), _LARGEST_BATCH))]
        conflicts: list[tuple[Instance, str]] = []
        with self._turn:
            try:
                with self._database.write() as connection:
                    for instance in batch:
                        known = self._rows.write(connection, instance)
                        if known is not None:
                            conflicts.append((instance, known))
            except BaseException:
                self._rows.forget()
                raise
        for instance, known in conflicts:
            try:
                if self._settle is not None:
                    self._settle(instance, known)
            except (
                Exception
            ) as error:  # the row that is there stays; the recovery will look at the file again
                _log.error("%s came again and cannot be compared: %s", instance.sop_instance_uid, error)
        with self._wake:
            for _ in batch:
                self._waiting.popleft()
            self._written += len(batch)
            self._wake.notify_all()


def list_studies(engine: Engine) -> list[Study]:
    """List the studies of an index, the latest first."""
    i, s = INSTANCES.c, STUDIES.c
    modalities = (
        select(func.coalesce(func.group_concat(SERIES.c.modality.distinct()), ""))
        .where(SERIES.c.study_instance_uid == s.study_instance_uid, SERIES.c.modality != "")
        .scalar_subquery()
    )
    last = func.max(i.received)
    query = (
        select(
            s.study_instance_uid,
            s.patient_id,
            s.patient_name,
            s.study_date,
            s.accession_number,
            s.study_description,
            modalities,
            func.count(i.series_instance_uid.distinct()),
            func.count(),
            func.sum(i.size),
            last,
        )
        .join_from(STUDIES, INSTANCES, i.study_instance_uid == s.study_instance_uid)
        .group_by(s.study_instance_uid)
        .order_by(desc(last))
    )
    with engine.connect() as connection:
        return [Study(*row) for row in connection.execute(query)]


def _reason(error: BaseException) -> str:
    """Return the driver's words; SQLAlchemy's would show the statement as well."""
    return str(error.orig if isinstance(error, DatabaseError) else error)


def parent_rows(attributes: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the rows of patient, study and series that the attributes of an instance make, by table."""
    name = attributes.get("patient_name", "")
    known = {**attributes, **dict(zip(FOLDED_NAMES, folded_groups(name), strict=True))}
    if not known.get("patient_id"):
        known["nameless_as"] = name
    return {
        "patients": _row(known, _PATIENT_COLUMNS),
        "studies": _row(known, _STUDY_COLUMNS),
        "series": _row(known, _SERIES_COLUMNS),
    }


def _row(attributes: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: attributes.get(name, "") for name in names}


def _instance_row(instance: Instance) -> dict[str, Any]:
    attributes = instance.attributes
    return {
        **_row(attributes, _OF_IMAGE),
        "indexed_by": INDEXED_BY,
        "sop_instance_uid": instance.sop_instance_uid,
        "sop_class_uid": instance.sop_class_uid,
        "transfer_syntax_uid": instance.transfer_syntax_uid,
        "study_instance_uid": attributes.get("study_instance_uid", ""),
        "series_instance_uid": attributes.get("series_instance_uid", ""),
        "path": instance.path,
        "size": instance.size,
        "received": instance.received.isoformat(timespec="microseconds"),
        "source_aet": instance.source_aet,
    }
