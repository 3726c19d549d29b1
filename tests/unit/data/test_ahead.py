"""Things made ahead: none is lost, none given twice, none left over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count
from time import monotonic, sleep

import pytest

from dulcimer.data import ahead as ahead_module
from dulcimer.data.ahead import KEPT, Ahead


def eventually(condition: object, seconds: float = 5.0) -> bool:
    assert callable(condition)
    deadline = monotonic() + seconds
    while not condition():
        if monotonic() > deadline:
            return False
        sleep(0.001)
    return True


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "dulcimer-ahead"]


class Factory:
    """Makes numbers and knows what became of them."""

    def __init__(self, takes: float = 0.0) -> None:
        self.takes = takes
        self.numbers = count()
        self.made: list[int] = []
        self.discarded: list[int] = []
        self.error: Exception | None = None

    def make(self) -> int:
        if self.error is not None:
            raise self.error
        if self.takes:
            sleep(self.takes)
        number = next(self.numbers)
        self.made.append(number)
        return number

    def discard(self, number: int) -> None:
        self.discarded.append(number)


@pytest.fixture
def worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead_module, "WORTH_IT", -1.0)
    monkeypatch.setattr(ahead_module, "IN_A_ROW", 1)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert eventually(lambda: not workers())


def test_what_is_made_quickly_needs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead_module, "WORTH_IT", 60.0)
    factory = Factory()
    ahead = Ahead(factory.make, factory.discard)
    assert [ahead.take() for _ in range(5)] == [0, 1, 2, 3, 4]
    assert not workers()
    ahead.close()
    assert factory.discarded == []


def test_what_was_prepared_is_taken_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead_module, "WORTH_IT", 60.0)
    factory = Factory()
    ahead = Ahead(factory.make, factory.discard)
    assert ahead.take() == 0
    # One is no demand yet: the next may be for another folder.
    ahead.prepare()
    assert ahead.take() == 1
    ahead.prepare()
    ahead.prepare()
    assert factory.made == [0, 1, 2]
    assert ahead.take() == 2
    ahead.prepare()
    ahead.rest()
    assert factory.discarded == [3]
    ahead.prepare()
    ahead.close()
    assert factory.discarded == [3, 4]
    ahead.prepare()
    assert factory.made == [0, 1, 2, 3, 4]
    assert not workers()


def test_nothing_is_prepared_where_a_thread_is_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead_module, "WORTH_IT", -1.0)
    factory = Factory()
    ahead = Ahead(factory.make, factory.discard)
    # One that was slow, or two, may have been unlucky.
    ahead.take()
    ahead.take()
    assert not workers()
    ahead.take()
    assert eventually(lambda: len(factory.made) == 3 + KEPT)
    ahead.prepare()
    ahead.rest()
    assert len(factory.made) == 3 + KEPT
    assert factory.discarded == []
    ahead.close()


def test_the_thread_ends_where_making_has_become_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead_module, "WORTH_IT", -1.0)
    factory = Factory()
    ahead = Ahead(factory.make, factory.discard)
    for _ in range(3):
        ahead.take()
    assert eventually(lambda: len(factory.made) == 3 + KEPT)
    monkeypatch.setattr(ahead_module, "WORTH_IT", 60.0)
    taken = [ahead.take() for _ in range(6)]
    assert eventually(lambda: not workers())
    taken += [ahead.take() for _ in range(6)]
    assert not workers()
    ahead.close()
    assert sorted([0, 1, 2, *taken, *factory.discarded]) == factory.made


@pytest.mark.usefixtures("worth_it")
def test_the_next_ones_are_there() -> None:
    factory = Factory()
    ahead = Ahead(factory.make, factory.discard)
    for turn in range(10):
        ahead.take()
        assert eventually(lambda turn=turn: len(factory.made) == turn + 1 + KEPT)
    assert len(workers()) == 1
    ahead.close()
    assert eventually(lambda: not workers())
    assert len(factory.discarded) == KEPT


@pytest.mark.usefixtures("worth_it")
def test_none_is_lost_and_none_given_twice() -> None:
    factory = Factory()
    ahead = Ahead(factory.make, factory.discard)
    taken: list[list[int]] = [[] for _ in range(6)]

    def take(mine: list[int]) -> None:
        for number in range(300):
            mine.append(ahead.take())
            if number == 200 and mine is taken[0]:
                ahead.close()

    threads = [threading.Thread(target=take, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ahead.close()
    assert eventually(lambda: not workers())
    everything = [number for mine in taken for number in mine] + factory.discarded
    assert sorted(everything) == sorted(factory.made)
    assert len(everything) >= 1800


@pytest.mark.usefixtures("worth_it")
def test_after_a_rest_what_was_made_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead_module, "REST", 0.05)
    factory = Factory()
    ahead = Ahead(factory.make, factory.discard)
    for _ in range(4):
        ahead.take()
        sleep(0.02)
        assert workers()
    assert eventually(lambda: not workers())
    assert len(factory.discarded) == KEPT
    # And demand begins it anew.
    ahead.take()
    assert workers()
    ahead.close()


@pytest.mark.usefixtures("worth_it")
def test_making_fails_in_the_thread_of_who_takes() -> None:
    factory = Factory()
    factory.error = OSError("no room")
    ahead = Ahead(factory.make, factory.discard)
    with pytest.raises(OSError, match="no room"):
        ahead.take()
    assert not workers()
    factory.error = None
    assert ahead.take() == 0
    ahead.close()


@pytest.mark.usefixtures("worth_it")
@pytest.mark.parametrize("error", [OSError("no room"), ValueError("another")])
def test_making_fails_ahead(error: Exception) -> None:
    """Who takes the next one is told, and once it works again all is as before."""
    factory = Factory()
    ahead = Ahead(factory.make, factory.discard)
    ahead.take()
    assert eventually(lambda: len(factory.made) == 1 + KEPT)
    factory.error = error
    ahead.take()
    assert eventually(lambda: not workers())
    with pytest.raises(type(error)):
        for _ in range(KEPT + 1):
            ahead.take()
    factory.error = None
    ahead.take()
    assert workers()
    ahead.close()
    assert eventually(lambda: not workers())


@pytest.mark.usefixtures("worth_it")
def test_closed_while_one_is_being_made() -> None:
    factory = Factory(takes=0.02)
    ahead = Ahead(factory.make, factory.discard)
    first = ahead.take()
    assert eventually(workers)
    ahead.close()
    assert eventually(lambda: not workers())
    assert sorted([first, *factory.discarded]) == factory.made
    # It can still be asked, and makes nothing ahead.
    ahead.take()
    assert not workers()


@pytest.mark.usefixtures("worth_it")
def test_no_thread_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    factory = Factory()
    ahead = Ahead(factory.make, factory.discard)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        assert [ahead.take(), ahead.take()] == [0, 1]
    ahead.take()
    assert eventually(lambda: len(factory.made) > 3)
    ahead.close()
