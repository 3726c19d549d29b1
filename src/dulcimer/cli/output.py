"""What the verbs print: tables for people, tab separated lines for pipes, JSON for programs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def line(text: str) -> None:
    """Print a line to standard output at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Print a line to standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def as_json(value: object) -> None:
    """Print a value as JSON."""
    line(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on a terminal, tab separated lines with a heading elsewhere."""
    if not sys.stdout.isatty():
        line("\t".join(columns))
        for row in rows:
            line("\t".join(str(value).replace("\t", " ").replace("\n", " ") for value in row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(*columns, title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for row in rows:
        shown.add_row(*(Text(str(value)) for value in row))
    Console().print(shown)


def as_json_line(value: object) -> None:
    """Print a value as JSON on one line."""
    line(json.dumps(value, ensure_ascii=False, default=str))
