from __future__ import annotations

import sys
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from dulcimer.cli import output

if TYPE_CHECKING:
    from collections.abc import Callable

COLUMNS = ("Patient", "Description", "UID")
ROWS = [
    ("Doe^Jane", "Head", "1.2.840.10008.1.2.3.4"),
    ("山田^太郎", "a very long description of what was done to whom and why", "2.25.1"),
    ("[bold]x[/bold]", "tab\tand\x1b[31mescape\nline", "2.25.2"),
]


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Terminal]:
    def of_width(width: int) -> Terminal:
        made = Terminal()
        monkeypatch.setattr(sys, "stdout", made)
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "dumb")
        return made

    return of_width


def test_a_wide_terminal(terminal: Callable[[int], Terminal]) -> None:
    shown = terminal(140)
    output.table("3 studies", COLUMNS, ROWS)
    title, heading, first, second, third = shown.getvalue().splitlines()
    assert title == "3 studies"
    assert heading.split() == list(COLUMNS)
    at = heading.index("UID")
    assert first[at:] == "1.2.840.10008.1.2.3.4"
    assert ROWS[1][1] in second
    assert "[bold]x[/bold]" in third
    assert third.endswith("2.25.2")
    assert not any(character in shown.getvalue() for character in "\t\x1b")


def test_a_narrow_terminal_gives_the_uid_a_line_of_its_own(terminal: Callable[[int], Terminal]) -> None:
    shown = terminal(40)
    output.table("3 studies", COLUMNS, ROWS)
    lines = shown.getvalue().splitlines()
    assert lines[2:4] == ["Doe^Jane        Head", "  1.2.840.10008.1.2.3.4"]
    assert lines[4].endswith("…")
    assert len(lines) == 8
    assert all(len(line) <= 40 for line in lines)


def test_nothing_has_no_heading(terminal: Callable[[int], Terminal]) -> None:
    shown = terminal(80)
    output.table("0 studies", COLUMNS, [])
    assert shown.getvalue() == "0 studies\n"


def test_a_pipe_gets_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    output.table("3 studies", COLUMNS, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("\t") == list(COLUMNS)
    assert [line.split("\t")[2] for line in lines[1:]] == [row[2] for row in ROWS]


def test_attributes_are_aligned(terminal: Callable[[int], Terminal]) -> None:
    shown = terminal(80)
    output.attributes([("(0010,0010)", "PatientName", "Doe^Jane"), ("(0010,0020)", "PatientID", "")])
    assert shown.getvalue() == "(0010,0010)  PatientName  Doe^Jane\n(0010,0020)  PatientID\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("20261124", "2026-11-24"),
        ("20261124 101530", "2026-11-24 10:15"),
        ("20261124 1015", "2026-11-24 10:15"),
        ("20261124 ", "2026-11-24"),
        ("", ""),
        ("1997.04.24", "1997.04.24"),
        ("yesterday", "yesterday"),
    ],
)
def test_dates(text: str, shown: str) -> None:
    assert output.date(text) == shown


def test_counts() -> None:
    assert [output.count(number, "study", "studies") for number in (0, 1, 2)] == [
        "0 studies",
        "1 study",
        "2 studies",
    ]
    assert output.count(2, "file") == "2 files"
