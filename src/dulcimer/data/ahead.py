"""Making things before they are needed.

While a peer gets the next object ready, whoever received the last one has time to make a file for it. On some
file systems, and where many files were deleted, that takes longer than to receive and write a small object:
then another thread makes the files, while objects are received and acknowledged.
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

IN_A_ROW: Final = 3
"""How many have to take that long, or less, before it is believed: a busy machine is slow now and then."""

STEADY: Final = 2
"""How many have to be asked for before another one is expected to be."""

KEPT: Final = 2
REST: Final = 2.0
"""Seconds without demand after which what was made ahead is given up."""


class Ahead(Generic[T]):
    """Gives things that ``make`` makes, made ahead where there is time for it, or where that takes long.

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
        self._slow = 0
        self._closed = False

    def take(self) -> T:
        """Return one; raises what ``make`` raises."""
        self._taken += 1
        try:
            one = self._made.popleft()
        except IndexError:
            return self._make_here()
        if self._working:
            with self._changed:
                self._changed.notify()
        return one

    def prepare(self) -> None:
        """Make the next one, since the calling thread has time; raises what ``make`` raises.

        Whoever calls this has to call :meth:`rest` when there is no more demand.
        """
        if self._taken < STEADY or self._made or self._working or self._closed:
            return
        self._made.append(self._make_here())
        if self._closed:
            self._give_up()

    def rest(self) -> None:
        """Give up what was prepared."""
        if not self._working:
            self._give_up()

    def _make_here(self) -> T:
        began = perf_counter()
        one = self._make()
        if perf_counter() - began <= WORTH_IT:
            self._slow = 0
        else:
            self._slow += 1
            if self._slow >= IN_A_ROW:
                self._start()
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
        quick = 0
        try:
            while not self._closed and quick < IN_A_ROW:
                if len(self._made) < KEPT:
                    began = perf_counter()
                    self._made.append(self._make())
                    quick = 0 if perf_counter() - began > WORTH_IT else quick + 1
                    continue
                with self._changed:
                    before = self._taken
                    full = len(self._made) >= KEPT and not self._closed
                    if full and not self._changed.wait(REST) and before == self._taken:
                        return
            self._slow = 0 if quick else self._slow
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
