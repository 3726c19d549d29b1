"""Showing what the library does."""

from __future__ import annotations

import logging


def debug_logger() -> None:
    """Show everything that the library logs on standard error; called again, nothing changes."""
    logger = logging.getLogger("dulcimer")
    if any(isinstance(handler, _DebugHandler) for handler in logger.handlers):
        return
    handler = _DebugHandler()
    handler.setFormatter(logging.Formatter("%(levelname).1s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)


class _DebugHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """The handler of :func:`debug_logger`."""
