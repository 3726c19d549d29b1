"""The service classes of PS3.4: SOP classes, operations and statuses as tables, and their rules as functions.

``check`` compares a data set with the attribute table of its operation and explains what is wrong: see
:func:`dulcimer.services.rules.check`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dulcimer.services.rules import check

__all__ = ["check"]


def __getattr__(name: str) -> Any:
    if name == "check":
        from dulcimer.services.rules import check

        return check
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
