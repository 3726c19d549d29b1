"""Reads the files of instances again that were indexed by an older version, while the node runs."""

from __future__ import annotations

import logging
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

from dulcimer.node.adapters.files import read_description
from dulcimer.node.adapters.tallies import words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dulcimer.node.adapters.index import SqlIndex

_log: Final = logging.getLogger("dulcimer.node.index")

_AT_ONCE: Final = 100
"""How many instances share a transaction: others who write wait for no longer than that takes."""


class CatchUp:
    """A thread that completes the index from the files, unless there is nothing to complete.

    Until it is done, queries do not find older instances by attributes that were not indexed before.
    """

    def __init__(self, index: SqlIndex, objects: Path) -> None:
        self._index = index
        self._objects = objects
        self._stop = Event()
        self._thread: Thread | None = None
        if index.outdated(1):
            self._thread = Thread(target=self._run, name="catch-up", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop; the next start goes on from there."""
        self._stop.set()
        self.wait()

    def wait(self) -> None:
        """Wait until there is nothing left to do, or it was stopped."""
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        _log.info("completing the index from the files: new attributes can be queried")
        count = 0
        try:
            while not self._stop.is_set() and (outdated := self._index.outdated(_AT_ONCE)):
                described = [(uid, path, self._attributes(path)) for uid, path in outdated]
                self._index.complete(described)
                count += len(described)
        except Exception as error:  # the node serves all the same
            _log.error("the index cannot be completed: %s", words(error))
            return
        if not self._stop.is_set():
            _log.info("completed the index: read %d files", count)

    def _attributes(self, path: str) -> Mapping[str, str]:
        try:
            found = read_description(self._objects / path)
        except OSError:
            # Gone, or not readable: there is nothing to be added.
            found = None
        return {} if found is None else found.attributes
