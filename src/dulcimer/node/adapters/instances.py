"""The SOP instances of the services in SQLite: one table for all kinds of them."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert

from dulcimer.data import codec
from dulcimer.node.adapters.schema import SERVICE_INSTANCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydicom.dataset import Dataset
    from sqlalchemy import Connection

    from dulcimer.node.adapters.database import Database

    Changed = Callable[[Connection, str, Dataset | None], object]

_I: Final = SERVICE_INSTANCES.c
_AT_A_TIME: Final = 100
_STORED: Final = codec.encoding_of(codec.EXPLICIT_VR_LITTLE_ENDIAN)

_GET: Final = select(_I.data).where(_I.kind == bindparam("kind"), _I.uid == bindparam("uid"))
_DELETE: Final = delete(SERVICE_INSTANCES).where(_I.kind == bindparam("kind"), _I.uid == bindparam("uid"))
_INSERT: Final = insert(SERVICE_INSTANCES)
_PUT: Final = _INSERT.on_conflict_do_update(
    index_elements=[_I.kind, _I.uid],
    set_={name: _INSERT.excluded[name] for name in ("state", "data", "updated")},
)
_PAGE: Final = (
    select(_I.id, _I.uid, _I.data)
    .where(_I.kind == bindparam("kind"), _I.id > bindparam("after"))
    .order_by(_I.id)
    .limit(_AT_A_TIME)
)


class SqlRepository:
    """A :class:`~dulcimer.scp.repository.Repository` in the node's database.

    Within a transaction of one repository those of others over the same database, and other writes of the
    same thread, are part of it.

    Parameters
    ----------
    database
        The database.
    kind
        What its instances are called.
    state
        Gives the state of an instance, for lists.
    changed
        Called within the transaction with the connection, the UID and the instance that was put, None if it
        was deleted.
    """

    def __init__(
        self,
        database: Database,
        kind: str,
        state: Callable[[Dataset], str] = lambda instance: "",
        changed: Changed | None = None,
    ) -> None:
        self._database = database
        self._kind = kind
        self._state = state
        self._changed = changed

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        with self._database.write() as connection:
            yield SqlTransaction(connection, self._kind, self._state, self._changed)

    def get(self, uid: str) -> Dataset | None:
        with self._database.read() as connection:
            return _get(connection, self._kind, uid)

    def all(self) -> Iterator[tuple[str, Dataset]]:
        after = 0
        while True:
            with self._database.read() as connection:
                page = connection.execute(_PAGE, {"kind": self._kind, "after": after}).all()
            for _, uid, data in page:
                yield uid, decode(data)
            if len(page) < _AT_A_TIME:
                return
            after = page[-1].id


class SqlTransaction:
    """The instances of one kind within a transaction."""

    def __init__(
        self,
        connection: Connection,
        kind: str,
        state: Callable[[Dataset], str],
        changed: Changed | None,
    ) -> None:
        self._connection = connection
        self._kind = kind
        self._state = state
        self._changed = changed

    def get(self, uid: str) -> Dataset | None:
        return _get(self._connection, self._kind, uid)

    def put(self, uid: str, instance: Dataset) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        row = {
            "kind": self._kind,
            "uid": uid,
            "state": self._state(instance),
            "data": encode(instance),
            "created": now,
            "updated": now,
        }
        self._connection.execute(_PUT, row)
        if self._changed is not None:
            self._changed(self._connection, uid, instance)

    def delete(self, uid: str) -> None:
        self._connection.execute(_DELETE, {"kind": self._kind, "uid": uid})
        if self._changed is not None:
            self._changed(self._connection, uid, None)


def encode(dataset: Dataset) -> bytes:
    """Encode a data set as Explicit VR Little Endian without file meta information."""
    return codec.encode(dataset, _STORED)


def decode(data: bytes) -> Dataset:
    """Undo :func:`encode`."""
    return codec.decode(BytesIO(data), _STORED)


def _get(connection: Connection, kind: str, uid: str) -> Dataset | None:
    data = connection.execute(_GET, {"kind": kind, "uid": uid}).scalar_one_or_none()
    return None if data is None else decode(data)
