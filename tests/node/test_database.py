"""Transactions of several threads that share a commit, and those within another one."""

from __future__ import annotations

from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from dulcimer.node.adapters.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "index.sqlite")
    with made.write() as connection:
        connection.execute(text("CREATE TABLE numbers (number INTEGER)"))
    yield made
    made.close()


def add(database: Database, number: int) -> None:
    with database.write() as connection:
        connection.execute(text("INSERT INTO numbers VALUES (:number)"), {"number": number})


def numbers(database: Database) -> list[int]:
    with database.readers.connect() as connection:
        return list(connection.execute(text("SELECT number FROM numbers ORDER BY number")).scalars())


def waiting(database: Database, count: int) -> None:
    while database._waiting < count:
        Event().wait(0.001)


def together(database: Database, *works: Callable[[], None]) -> list[BaseException | None]:
    """Run the first in a transaction that ends when all others wait for their turn."""
    outcomes: list[BaseException | None] = [None] * len(works)

    def run(at: int) -> None:
        try:
            works[at]()
        except BaseException as error:
            outcomes[at] = error

    threads = [Thread(target=run, args=(at,)) for at in range(1, len(works))]
    try:
        with database.write():
            for thread in threads:
                thread.start()
            waiting(database, len(threads))
            works[0]()
    except BaseException as error:
        outcomes[0] = error
    for thread in threads:
        thread.join()
    return outcomes


def test_those_who_wait_share_the_commit(database: Database) -> None:
    commits = 0
    original = database._connection.begin

    def begin() -> object:
        nonlocal commits
        commits += 1
        return original()

    database._connection.begin = begin
    assert together(database, *(lambda at=at: add(database, at) for at in range(8))) == [None] * 8
    assert numbers(database) == list(range(8))
    assert commits == 1


@pytest.mark.parametrize("at_fault", [0, 1, 2, 3])
def test_one_that_raises_undoes_itself_alone(database: Database, at_fault: int) -> None:
    def work(number: int) -> None:
        if number != at_fault:
            add(database, number)
            return
        with database.write() as connection:
            connection.execute(text("INSERT INTO numbers VALUES (99)"))
            raise KeyError(number)

    outcomes = together(database, *(lambda at=at: work(at) for at in range(4)))
    assert [type(each) for each in outcomes if each is not None] == [KeyError]
    assert numbers(database) == [number for number in range(4) if number != at_fault]


def test_what_is_begun_within_a_transaction_is_part_of_it(database: Database) -> None:
    def work() -> None:
        with database.write():
            add(database, 1)
            with database.read() as connection:
                assert connection.execute(text("SELECT count(*) FROM numbers")).scalar_one() == 1
            assert numbers(database) == []
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert numbers(database) == []
    with database.write():
        add(database, 2)
        add(database, 3)
    assert numbers(database) == [2, 3]


class Broken:
    """A transaction that cannot be committed."""

    def __init__(self, transaction: Any) -> None:
        self.rollback = transaction.rollback

    def commit(self) -> None:
        raise OSError("disk full")


def test_a_commit_that_fails_fails_for_all_who_share_it(database: Database) -> None:
    def fill() -> None:
        add(database, 1)
        batch = database._batch
        batch._transaction = Broken(batch._transaction)

    outcomes = together(database, fill, lambda: add(database, 2))
    assert [str(each) for each in outcomes] == ["disk full", "disk full"]
    assert numbers(database) == []
    add(database, 3)
    assert numbers(database) == [3]
