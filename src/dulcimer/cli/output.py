"""What the verbs print: tables for people, tab separated lines for pipes, JSON for programs."""

from __future__ import annotations

import json
import sys
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_GAP: Final = 2
_NARROWEST: Final = 8


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
    """Print a table on a terminal, tab separated lines with a heading elsewhere.

    The last column is a UID: where the terminal is too narrow, it gets a line of its own below its row.
    """
    if not sys.stdout.isatty():
        line("\t".join(columns))
        for row in rows:
            line("\t".join(flat(value) for value in row))
        return
    from rich.cells import cell_len, set_cell_size
    from rich.console import Console
    from rich.text import Text

    # Rich does not ask for the width of a terminal that it finds dumb.
    size = get_terminal_size()
    console = Console(highlight=False, width=size.columns, height=size.lines)
    cells = [[flat(value) for value in row] for row in rows]
    widths = [
        max(cell_len(row[at]) for row in (columns, *cells)) if cells else cell_len(name)
        for at, name in enumerate(columns)
    ]
    shown = len(columns)
    if sum(widths) + _GAP * (shown - 1) > console.width:
        shown -= 1
        widths.pop()
    while sum(widths) + _GAP * (shown - 1) > console.width and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1

    def print_row(row: Sequence[str], style: str = "") -> None:
        parts = [_shortened(row[at], widths[at], set_cell_size, cell_len) for at in range(shown)]
        console.print(Text((" " * _GAP).join(parts).rstrip(), style), no_wrap=True, overflow="ellipsis")

    console.print(Text(title))
    if not cells:
        return
    print_row(columns, "bold")
    for row in cells:
        print_row(row)
        if shown < len(columns):
            console.print(Text(f"  {row[-1]}", "dim"), soft_wrap=True)


def _shortened(text: str, width: int, sized: Callable[[str, int], str], length: Callable[[str], int]) -> str:
    return sized(text, width) if length(text) <= width else sized(text, width - 1) + "…"


def flat(value: object) -> str:
    """Keep a value within its cell: it may hold whatever a peer sent."""
    return "".join(character if character.isprintable() else " " for character in str(value))


def attributes(rows: Sequence[tuple[str, str, str]]) -> None:
    """Print tag, name and value of attributes, aligned on a terminal, tab separated elsewhere."""
    if not sys.stdout.isatty():
        line("\t".join(("Tag", "Attribute", "Value")))
    width = max((len(name) for _, name, _ in rows), default=0)
    for tag, name, value in rows:
        if sys.stdout.isatty():
            line(f"{tag}  {name:{width}}  {flat(value)}".rstrip())
        else:
            line(f"{tag}\t{name}\t{flat(value)}")


def date(text: str) -> str:
    """Write a DA, or a DA and a TM with a space between, for people; what is neither stays as it is."""
    day, _, time = text.partition(" ")
    if len(day) != 8 or not day.isdigit():
        return text
    day = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    return f"{day} {time[:2]}:{time[2:4]}" if len(time) >= 4 and time[:4].isdigit() else day


def count(number: int, what: str, plural: str = "") -> str:
    """Write a number of things."""
    return f"{number} {what if number == 1 else plural or what + 's'}"


def as_json_line(value: object) -> None:
    """Print a value as JSON on one line."""
    line(json.dumps(value, ensure_ascii=False, default=str))
