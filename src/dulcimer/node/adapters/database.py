"""SQLite in WAL mode: migrations, one connection that writes, others that read."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from threading import Event, Lock, local
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import QueuePool, StaticPool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine

Synchronous = Literal["FULL", "NORMAL", "OFF"]
"""What a commit waits for: the disk (FULL), or the operating system."""

_BUSY_TIMEOUT: Final = 30.0
_LARGEST_BATCH: Final = 64


class Database:
    """An SQLite file brought up to date by the migrations.

    Writers take turns on one connection: SQLite lets only one write at a time, and waiting for a lock of
    ours is fair where SQLite's own waiting is a sleeping poll.
    """

    def __init__(self, path: Path, synchronous: Synchronous = "FULL") -> None:
        self._turn = Lock()
        self._arriving = Lock()
        self._waiting = 0
        self._batch: _Batch | None = None
        self._writing = _Writing()
        self._writer = _engine(path, synchronous, writes=True)
        self.readers = _engine(path, synchronous, writes=False)
        try:
            with self._writer.begin() as connection:
                _migrate(connection)
            self._connection = self._writer.connect()
        except BaseException:
            self._writer.dispose()
            self.readers.dispose()
            raise

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Wait for the turn to write and begin a transaction; it is durable at the end.

        Those who wait for their turn meanwhile may share the commit: it is done when nobody waits any more.
        One that is begun within another one of the same thread is part of that.
        """
        if self._writing.here:
            yield self._connection
            return
        with self._arriving:
            self._waiting += 1
        with self._turn:
            with self._arriving:
                self._waiting -= 1
            batch = self._batch = self._batch or _Batch(self._connection)
            self._writing.here = True
            try:
                with batch.part():
                    yield self._connection
            finally:
                self._writing.here = False
                if not self._waiting or batch.full:
                    self._batch = None
                    batch.commit()
        batch.wait()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection to read with; within a transaction of this thread it sees its changes."""
        if self._writing.here:
            yield self._connection
            return
        with self.readers.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection; the last one moves the write-ahead log into the file."""
        self.readers.dispose()
        with self._turn:
            self._connection.close()
            self._writer.dispose()


class _Writing(local):
    """Whether this thread is in a transaction."""

    here = False


class _Batch:
    """Transactions that are committed together; each of them can be undone by itself."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._transaction = connection.begin()
        self._parts = 0
        self._done = Event()
        self._error: BaseException | None = None

    @property
    def full(self) -> bool:
        """Whether the commit should wait for no more."""
        return self._parts >= _LARGEST_BATCH

    @contextmanager
    def part(self) -> Iterator[None]:
        self._parts += 1
        with self._connection.begin_nested():
            yield

    def commit(self) -> None:
        """Commit for all; those who wait are told whether it came to that."""
        try:
            self._transaction.commit()
        except BaseException as error:
            self._error = error
            with suppress(Exception):
                self._transaction.rollback()
        finally:
            self._done.set()

    def wait(self) -> None:
        """Wait for the commit; raises what kept it from being done."""
        self._done.wait()
        if self._error is not None:
            raise self._error


def open_to_read(path: Path) -> Engine:
    """Open the index of a node, running or not, for queries."""
    return _engine(path, "NORMAL", writes=False)


def _engine(path: Path, synchronous: Synchronous, *, writes: bool) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"check_same_thread": False, "timeout": _BUSY_TIMEOUT},
        # Values are patient data: they have no place in the text of an error.
        hide_parameters=True,
        poolclass=StaticPool if writes else QueuePool,
        **({} if writes else {"max_overflow": -1}),
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        # Transactions begin where we say, not where the driver guesses.
        connection.isolation_level = None
        cursor = connection.cursor()
        if writes:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute(f"PRAGMA synchronous={synchronous}")
        else:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "dulcimer.node.adapters:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
