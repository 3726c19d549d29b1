"""Fills the documentation's pages with facts from the library's tables.

A line ``<!-- facts: NAME ARGUMENT... -->`` of a page becomes what the function of that name in ``facts``
returns, so that there is one copy of each table.
"""

from __future__ import annotations

import re
from typing import Any

import facts

_FACTS = re.compile(r"^<!-- facts: (\w+)((?: \S+)*) -->$", re.MULTILINE)
_FUNCTIONS = {
    "classes": facts.classes,
    "statuses": facts.statuses,
    "general_statuses": facts.general_statuses,
    "all_statuses": facts.all_statuses,
    "quirks": facts.quirks,
    "command_help": facts.command_help,
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the facts where the page asks for them."""
    return _FACTS.sub(lambda found: _FUNCTIONS[found[1]](*found[2].split()), markdown)
