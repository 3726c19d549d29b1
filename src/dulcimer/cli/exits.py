"""Exit codes, the same for every verb."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What scripts can tell apart."""

    OK = 0
    """Everything that was asked was done."""
    FAILED = 1
    """The peer answered, and at least one operation failed."""
    USAGE = 2
    """The command line, a file or a value cannot be used; nothing was sent."""
    NO_ASSOCIATION = 3
    """The peer could not be reached, rejected the association, or the association was lost."""
    NOT_STARTED = 4
    """The node could not start: port in use, data folder not writable."""
    INTERRUPTED = 130
    """Ctrl-C."""


class Stop(Exception):
    """Ends a verb with a code and a line on standard error."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
