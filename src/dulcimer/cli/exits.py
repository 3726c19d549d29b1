"""Exit codes, the same for every verb."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

EXIT_CODES: Final = (
    "Exit codes: 0 done, 1 the peer answered and something failed, 2 the command line or a file cannot be "
    "used, 3 no association (unreachable, rejected, lost), 4 the node could not start, 130 interrupted."
)
"""At the end of every help text."""


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
    """Ends a verb with a code and a line on standard error.

    With ``--json`` a program reads it on standard output as well, unless it was ``reported`` there already.
    """

    def __init__(self, code: Exit, message: str, *, reported: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reported = reported
