"""Who is subscribed to which workitem, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, exists, select
from sqlalchemy.dialects.sqlite import insert

from dulcimer.node.adapters.instances import decode, encode
from dulcimer.node.adapters.schema import GLOBAL_SUBSCRIPTIONS, SUBSCRIPTIONS
from dulcimer.scp.subscriptions import GlobalSubscription

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import Dataset

    from dulcimer.node.adapters.database import Database

_S: Final = SUBSCRIPTIONS.c
_G: Final = GLOBAL_SUBSCRIPTIONS.c
_AT_A_TIME: Final = 500


class SqlSubscriptions:
    """:class:`~dulcimer.scp.subscriptions.Subscriptions` in the node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, aet: str, uid: str) -> bool | None:
        query = select(_S.deletion_lock).where(_S.uid == uid, _S.aet == aet)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one_or_none()

    def put(self, aet: str, uid: str, lock: bool) -> None:
        row = {"uid": uid, "aet": aet, "deletion_lock": lock}
        statement = insert(SUBSCRIPTIONS).values(row)
        with self._database.write() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=[_S.uid, _S.aet], set_={"deletion_lock": lock})
            )

    def remove(self, aet: str, uid: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(SUBSCRIPTIONS).where(_S.uid == uid, _S.aet == aet))

    def remove_all(self, aet: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(SUBSCRIPTIONS).where(_S.aet == aet))

    def forget(self, uid: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(SUBSCRIPTIONS).where(_S.uid == uid))

    def of(self, uid: str) -> Iterator[str]:
        after = ""
        while True:
            query = select(_S.aet).where(_S.uid == uid, _S.aet > after).order_by(_S.aet).limit(_AT_A_TIME)
            with self._database.read() as connection:
                page = list(connection.execute(query).scalars())
            yield from page
            if len(page) < _AT_A_TIME:
                return
            after = page[-1]

    def locked(self, uid: str) -> bool:
        query = select(exists().where(_S.uid == uid, _S.deletion_lock))
        with self._database.read() as connection:
            return bool(connection.execute(query).scalar_one())

    def put_global(self, aet: str, lock: bool, keys: Dataset | None) -> None:
        row = {"aet": aet, "deletion_lock": lock, "keys": None if keys is None else encode(keys)}
        statement = insert(GLOBAL_SUBSCRIPTIONS).values(row)
        with self._database.write() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=[_G.aet], set_=row))

    def remove_global(self, aet: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(GLOBAL_SUBSCRIPTIONS).where(_G.aet == aet))

    def global_ones(self) -> Iterator[GlobalSubscription]:
        after = ""
        while True:
            query = (
                select(_G.aet, _G.deletion_lock, _G["keys"])
                .where(_G.aet > after)
                .order_by(_G.aet)
                .limit(_AT_A_TIME)
            )
            with self._database.read() as connection:
                page = connection.execute(query).all()
            for aet, lock, keys in page:
                yield GlobalSubscription(aet, lock, None if keys is None else decode(keys))
            if len(page) < _AT_A_TIME:
                return
            after = page[-1][0]
