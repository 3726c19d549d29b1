"""Making things before they are needed.

On some file systems it takes longer to make a file than to receive and write a small object. While one object
is received and acknowledged, another thread makes the file for the next one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Condition, Thread
from time import perf_counter
from typing import Final, Generic, TypeVar

T = TypeVar("T")

WORTH_IT: Final = 0.0001
"""How many seconds making one has to take, for it to be worth another thread's while."""

KEPT: Final = 2
REST: Final = 2.0
"""Seconds without demand after which what was made ahead is given up."""


class Ahead(Generic[T]):
    """Gives things that ``make`` makes, made ahead where that takes long and demand is steady.

    Parameters
    ----------
    make
        Makes one.
    discard
        Gives up one that nobody took.
    """

    def __init__(self, make: Callable[[], T], discard: Callable[[T], None]) -> None:
        self._make = make
        self._discard = discard
        self._made: deque[T] = deque()
        self._changed = Condition()
        self._working = False
        self._taken = 0
        self._closed = False

    def take(self) -> T:
        """Return one; raises what ``make`` raises."""
        self._taken += 1
        try:
            one = self._made.popleft()
        except IndexError:
            began = perf_counter()
            one = self._make()
            if perf_counter() - began > WORTH_IT:
                self._start()
            return one
        with self._changed:
            self._changed.notify()
        return one

    def close(self) -> None:
        """Make no more and give up what was made."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._give_up()

    def _start(self) -> None:
        with self._changed:
            if self._working or self._closed:
                return
            self._working = True
        try:
            Thread(target=self._work, name="dulcimer-ahead", daemon=True).start()
        except RuntimeError:
            self._working = False

    def _work(self) -> None:
        try:
            while not self._closed:
                if len(self._made) < KEPT:
                    self._made.append(self._make())
                    continue
                with self._changed:
                    before = self._taken
                    full = len(self._made) >= KEPT and not self._closed
                    if full and not self._changed.wait(REST) and before == self._taken:
                        return
        except Exception:
            # Who takes one next makes it himself, and is told then.
            return
        finally:
            with self._changed:
                self._working = False
            self._give_up()

    def _give_up(self) -> None:
        while self._made:
            with suppress(IndexError):
                self._discard(self._made.popleft())
