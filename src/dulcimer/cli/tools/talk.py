"""What a tool says on standard error, besides its results."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

LOGGER: Final = logging.getLogger("dulcimer.tools")
"""What tools do, for those who want to know."""

_LEVELS: Final = {
    "critical": logging.CRITICAL,
    "fatal": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": logging.DEBUG,
}


class _Lines(logging.StreamHandler):  # type: ignore[type-arg]
    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter("%(levelname).1s: %(message)s"))


@contextmanager
def shown(args: Namespace) -> Iterator[None]:
    """Show what the library and the tools log, as far as the options say."""
    chosen = args.verbosity or "error"
    if chosen == "quiet":
        yield
        return
    logger, handler = logging.getLogger("dulcimer"), _Lines()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(_LEVELS[chosen])
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


def note(args: Namespace, text: str) -> None:
    """Say something that is no result, unless nothing is to be said."""
    if args.verbosity != "quiet":
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
