"""One thread for all idle associations that this process requested.

A peer may release, abort or report an event at any time, also while nobody here waits for anything. An
association that has rested for a moment is put into one selector; when its peer says something, or its
timeout passes, it gets a thread of its own until it is idle again. A call takes the association back first,
which costs nothing while calls follow each other: only rest is watched.
"""

from __future__ import annotations

import heapq
import selectors
import socket
from collections import deque
from contextlib import suppress
from itertools import count
from threading import Lock, Thread
from time import monotonic
from typing import Final, Protocol

REST: Final = 0.02
"""How many seconds an association rests before it is watched."""


class Restful(Protocol):
    """What can be watched while it is idle."""

    def fileno(self) -> int: ...

    def may_rest(self) -> tuple[bool, float | None]:
        """Begin to rest if it is idle: tell whether it does, and when its next timeout passes."""

    def wake_up(self) -> None:
        """Stop resting and see what there is to do; called when the peer spoke or a timeout passed."""


class Watcher:
    """Watches; its thread starts with the first association and is a daemon."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._bell, self._button = socket.socketpair()
        self._bell.setblocking(False)
        self._button.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ, None)
        self._lock = Lock()
        self._soon: deque[tuple[float, Restful]] = deque()
        self._deadlines: list[tuple[float, int, Restful]] = []
        self._numbers = count()
        self._thread: Thread | None = None

    def rest_soon(self, idle: Restful) -> None:
        """See after a moment whether this one still rests, and watch it then."""
        with self._lock:
            ring = not self._soon
            self._soon.append((monotonic() + REST, idle))
            if self._thread is None:
                self._thread = Thread(target=self._run, name="dulcimer-idle", daemon=True)
                self._thread.start()
        if ring:
            with suppress(OSError):
                self._button.send(b"\0")

    def take_back(self, idle: Restful) -> None:
        """Watch it no longer."""
        with suppress(KeyError, ValueError):
            self._selector.unregister(idle)

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select(self._timeout()):
                if key.data is None:
                    with suppress(OSError):
                        self._bell.recv(4096)
                else:
                    self._wake(key.data)
            now = monotonic()
            while self._deadlines and self._deadlines[0][0] <= now:
                _, _, idle = heapq.heappop(self._deadlines)
                if self._watched(idle):
                    self._wake(idle)
            while self._soon and self._soon[0][0] <= now:
                with self._lock:
                    _, idle = self._soon.popleft()
                self._begin(idle)

    def _timeout(self) -> float | None:
        with self._lock:
            due = [self._soon[0][0]] if self._soon else []
        if self._deadlines:
            due.append(self._deadlines[0][0])
        return max(min(due) - monotonic(), 0) if due else None

    def _begin(self, idle: Restful) -> None:
        # Registered first: a call that comes in between takes it out again.
        try:
            self._selector.register(idle, selectors.EVENT_READ, idle)
        except (KeyError, ValueError, OSError):
            return
        rests, deadline = idle.may_rest()
        if not rests:
            self.take_back(idle)
        elif deadline is not None:
            heapq.heappush(self._deadlines, (deadline, next(self._numbers), idle))

    def _watched(self, idle: Restful) -> bool:
        try:
            self._selector.get_key(idle)
        except (KeyError, ValueError):
            return False
        return True

    def _wake(self, idle: Restful) -> None:
        self.take_back(idle)
        Thread(target=idle.wake_up, name="dulcimer-idle-association", daemon=True).start()


WATCHER: Final = Watcher()
"""The watcher of this process."""
