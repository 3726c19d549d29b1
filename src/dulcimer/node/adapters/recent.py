"""The latest lines of the log, kept in memory for the page."""

from __future__ import annotations

import logging
from collections import deque
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final

from dulcimer.node.adapters.log import ROOT
from dulcimer.web.view import Entry, Log

if TYPE_CHECKING:
    from dulcimer.node.adapters.changes import Changes

_KEPT: Final = 1000
_LONGEST: Final = 2000


class RecentLines(logging.Handler):
    """Keeps the latest lines of this package's log, warnings and errors for longer than what is usual.

    Parameters
    ----------
    changes
        Is told of every line.
    """

    def __init__(self, changes: Changes) -> None:
        super().__init__(logging.INFO)
        self._changes = changes
        self._all: deque[Entry] = deque(maxlen=_KEPT)
        self._warnings: deque[Entry] = deque(maxlen=_KEPT)
        self._count = 0
        self.counts: dict[str, int] = {"info": 0, "warning": 0, "error": 0}
        """How many lines there were of each level."""

    def start(self) -> None:
        """Begin to keep lines."""
        logging.getLogger(ROOT).addHandler(self)

    def stop(self) -> None:
        """Keep no more."""
        logging.getLogger(ROOT).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line; called with the handler's lock held."""
        level = record.levelname.lower()
        fields = getattr(record, "fields", None)
        message = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            # The traceback is in the log that the operator keeps; here is what it is about.
            message = f"{message}: {type(record.exc_info[1]).__name__}"
        self._count += 1
        entry = Entry(
            self._count,
            datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            level,
            _printable(message[:_LONGEST]),
            {str(name): str(value) for name, value in fields.items()} if isinstance(fields, dict) else {},
        )
        self._all.append(entry)
        if record.levelno >= logging.WARNING:
            self._warnings.append(entry)
        self.counts[level] = self.counts.get(level, 0) + 1
        self._changes.tell("events")

    def latest(self, limit: int, warnings: bool) -> Log:
        """Give the latest lines, the last one first."""
        self.acquire()
        try:
            lines = self._warnings if warnings else self._all
            return Log(list(islice(reversed(lines), limit)), self._count)
        finally:
            self.release()


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
