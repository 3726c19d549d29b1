"""One thread for all idle associations that this process requested.

A peer may release, abort or report an event at any time, also while nobody here waits for anything. An
association that has rested for a moment is put into one selector; when its peer says something, or its
timeout passes, it gets a thread of its own until it is idle again. A call takes the association back first,
which costs nothing while calls follow each other: only rest is watched.
"""

from __future__ import annotations

import heapq
import os
import selectors
import socket
from collections import deque
from contextlib import suppress
from itertools import count
from threading import RLock, Thread
from time import monotonic
from typing import Any, Final, Protocol
from weakref import ref

_STALE: Final = 64
REST: Final = 0.02
"""How many seconds an association rests before it is watched."""


class Restful(Protocol):
    """What can be watched while it is idle."""

    def fileno(self) -> int: ...

    def may_rest(self) -> tuple[bool, float | None]:
        """Begin to rest if it is idle: tell whether it does, and when its next timeout passes."""

    def overdue(self, now: float) -> bool:
        """Tell whether that time has passed. It is another one when there was use of it meanwhile."""

    def wake_up(self) -> None:
        """Stop resting and see what there is to do; called when the peer spoke or a timeout passed."""


class Watcher:
    """Watches; its thread starts with the first association and is a daemon."""

    def __init__(self) -> None:
        self._set_up()

    def _set_up(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._bell, self._button = socket.socketpair()
        self._bell.setblocking(False)
        self._button.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ, None)
        # A finalizer may use an association at any allocation, also at one of those that are guarded here.
        self._lock = RLock()
        self._table = RLock()
        self._soon: deque[tuple[float, Restful]] = deque()
        self._deadlines: list[tuple[float, int, ref[Restful]]] = []
        self._numbers = count()
        self._thread: Thread | None = None

    def start_over(self) -> None:
        """Forget everything, as the child of a fork: the thread is the parent's, and the selector shared."""
        for shared in (self._selector, self._bell, self._button):
            shared.close()
        self._set_up()

    def rest_soon(self, idle: Restful) -> None:
        """See after a moment whether this one still rests, and watch it then."""
        with self._lock:
            ring = not self._soon
            self._soon.append((monotonic() + REST, idle))
            if self._thread is None:
                thread = Thread(target=self._run, name="dulcimer-idle", daemon=True)
                # Without a thread to be had the next one tries again.
                with suppress(RuntimeError):
                    thread.start()
                    self._thread = thread
        if ring:
            with suppress(OSError):
                self._button.send(b"\0")

    def take_back(self, idle: Restful) -> None:
        """Watch it no longer."""
        # The selector's table and the system's have to agree whoever comes in between: what only the system
        # knew of would wake us without end.
        with self._table, suppress(KeyError, ValueError):
            self._selector.unregister(idle)

    def _run(self) -> None:
        while True:
            # In methods of their own, so that no variable here keeps an association while we wait.
            self._select()
            now = monotonic()
            while self._deadlines and self._deadlines[0][0] <= now:
                self._expire(now, *heapq.heappop(self._deadlines)[1:])
            while self._soon and self._soon[0][0] <= now:
                with self._lock:
                    rests = [self._soon.popleft()[1]]
                self._begin(rests.pop())

    def _select(self) -> None:
        for key, _ in self._selector.select(self._timeout()):
            if key.data is None:
                with suppress(OSError):
                    self._bell.recv(4096)
            else:
                idle: Any = key.fileobj
                self._wake(idle)

    def _expire(self, now: float, number: int, rested: ref[Restful]) -> None:
        # Every rest has an entry of its own, of which the last one counts.
        idle = rested() if self._counts(number, rested) else None
        if idle is not None and idle.overdue(now):
            self._wake(idle)

    def _timeout(self) -> float | None:
        with self._lock:
            due = [self._soon[0][0]] if self._soon else []
        if self._deadlines:
            due.append(self._deadlines[0][0])
        return max(min(due) - monotonic(), 0) if due else None

    def _begin(self, idle: Restful) -> None:
        # Registered first: a call that comes in between takes it out again.
        watched, number = True, next(self._numbers)
        try:
            with self._table:
                self._selector.register(idle, selectors.EVENT_READ, number)
        except (KeyError, ValueError, OSError):
            watched = False
        rests, deadline = idle.may_rest()
        if not rests:
            self.take_back(idle)
        elif not watched or (deadline is not None and deadline <= monotonic()):
            # What cannot be watched has a thread that waits for its peer.
            self._wake(idle)
        elif deadline is not None:
            if len(self._deadlines) > 2 * len(self._selector.get_map()) + _STALE:
                self._deadlines = [entry for entry in self._deadlines if self._counts(*entry[1:])]
                heapq.heapify(self._deadlines)
            heapq.heappush(self._deadlines, (deadline, number, ref(idle)))

    def _counts(self, number: int, rested: ref[Restful]) -> bool:
        """Tell whether a rest goes on."""
        idle = rested()
        try:
            return idle is not None and self._selector.get_key(idle).data == number
        except (KeyError, ValueError):
            return False

    def _wake(self, idle: Restful) -> None:
        self.take_back(idle)
        try:
            Thread(target=idle.wake_up, name="dulcimer-idle-association", daemon=True).start()
        except RuntimeError:
            # No thread can be had now.
            self.rest_soon(idle)


WATCHER: Final = Watcher()
"""The watcher of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=WATCHER.start_over)
