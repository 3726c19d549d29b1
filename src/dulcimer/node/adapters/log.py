"""What the operator reads: one line per association and per failed operation, on standard error.

No patient data: lines name AE titles, addresses, UIDs, counts and reasons. With Rich on a terminal, plain
text in a pipe, one JSON object per line with ``--log-json``.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

ROOT: Final = "dulcimer"
_ASSOCIATIONS: Final = "dulcimer.association"


class JsonLines(logging.Formatter):
    """One JSON object per line: ``time``, ``level``, ``message``, and what the record has in ``fields``."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "source": record.name,
            "message": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line |= fields
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class Lines(logging.Formatter):
    """One line per record, whatever a peer puts into an AE title or a UID."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = "".join(
            character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
            for character in record.message
        )
        return super().formatMessage(record)


def _is_news(record: logging.LogRecord) -> bool:
    """Drop the library's line about an association that failed: the node writes one that says more."""
    return record.levelno != logging.WARNING


def set_up(level: str, *, as_json: bool) -> logging.Handler:
    """Send the log of this package to standard error and return the handler."""
    handler: logging.Handler
    if as_json:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.highlighter import NullHighlighter
        from rich.logging import RichHandler

        handler = RichHandler(
            console=Console(stderr=True),
            show_path=False,
            log_time_format="%X",
            omit_repeated_times=False,
            markup=False,
            # UIDs and addresses are not numbers to be coloured.
            highlighter=NullHighlighter(),
        )
        handler.setFormatter(Lines("%(message)s"))
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(Lines("%(asctime)s %(levelname)-7s %(message)s"))
    logger = logging.getLogger(ROOT)
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    logger.propagate = False
    logging.getLogger(_ASSOCIATIONS).addFilter(_is_news)
    return handler


def tear_down(handler: logging.Handler) -> None:
    """Undo :func:`set_up`."""
    logger = logging.getLogger(ROOT)
    logger.removeHandler(handler)
    logging.getLogger(_ASSOCIATIONS).removeFilter(_is_news)
    logger.propagate = True
    handler.close()


def size(count: int) -> str:
    """Write a number of bytes for people."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.5:
            return f"{value:.1f} {unit}" if value < 100 else f"{value:.0f} {unit}"
    return f"{value / 1000:.1f} TB"
