"""Status codes and what they mean, as tables with ranges (PS3.7 Annex C, PS3.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

SUCCESS: Final = "Success"
FAILURE: Final = "Failure"
WARNING: Final = "Warning"
CANCEL: Final = "Cancel"
PENDING: Final = "Pending"
UNKNOWN: Final = "Unknown"


class StatusRange(NamedTuple):
    """The codes ``first`` to ``last``, both included, with one meaning."""

    first: int
    last: int
    category: str
    meaning: str


class Statuses(Mapping[int, tuple[str, str]]):
    """The status codes of a service class: a read-only mapping of code to (category, meaning).

    Single codes take precedence over the ranges that they lie in. Iteration is in ascending order.
    """

    __slots__ = ("_codes", "_ranges")

    def __init__(self, rows: Iterable[StatusRange]) -> None:
        self._codes: dict[int, tuple[str, str]] = {}
        ranges: list[StatusRange] = []
        for row in rows:
            if row.first == row.last:
                self._codes[row.first] = (row.category, row.meaning)
            else:
                ranges.append(row)
        self._ranges = tuple(sorted(ranges))

    def __getitem__(self, code: int) -> tuple[str, str]:
        found = self._codes.get(code)
        if found is not None:
            return found
        # Other kinds of keys are just absent, as in a dict.
        if isinstance(code, int):
            for row in self._ranges:
                if row.first <= code <= row.last:
                    return row.category, row.meaning
        raise KeyError(code)

    def __contains__(self, code: object) -> bool:
        if code in self._codes:
            return True
        return isinstance(code, int) and any(row.first <= code <= row.last for row in self._ranges)

    def __iter__(self) -> Iterator[int]:
        codes = set(self._codes)
        for row in self._ranges:
            codes.update(range(row.first, row.last + 1))
        return iter(sorted(codes))

    def __len__(self) -> int:
        covered = sum(row.last - row.first + 1 for row in self._ranges)
        return covered + sum(
            not any(row.first <= code <= row.last for row in self._ranges) for code in self._codes
        )

    def __or__(self, other: Mapping[int, tuple[str, str]]) -> dict[int, tuple[str, str]]:
        return {**self, **other}

    def __repr__(self) -> str:
        rows = ", ".join(
            f"0x{row.first:04X}-0x{row.last:04X}: {row.category}"
            if row.first != row.last
            else f"0x{row.first:04X}: {row.category}"
            for row in self.rows()
        )
        return f"<Statuses {rows}>"

    def rows(self) -> list[StatusRange]:
        """Return the table's rows in ascending order, ranges unexpanded."""
        single = [StatusRange(code, code, *value) for code, value in self._codes.items()]
        return sorted([*single, *self._ranges])

    def copy(self) -> dict[int, tuple[str, str]]:
        """Return a plain dict with every code."""
        return dict(self)

    def extended(self, *rows: StatusRange) -> Statuses:
        """Return a table that has ``rows`` as well."""
        return Statuses([*self.rows(), *rows])


def success(code: int, meaning: str = "") -> StatusRange:
    """Return a row of category Success."""
    return StatusRange(code, code, SUCCESS, meaning)


def failure(first: int, meaning: str, last: int | None = None) -> StatusRange:
    """Return a row of category Failure for one code or a range."""
    return StatusRange(first, first if last is None else last, FAILURE, meaning)


def warning(code: int, meaning: str) -> StatusRange:
    """Return a row of category Warning."""
    return StatusRange(code, code, WARNING, meaning)


def pending(code: int, meaning: str) -> StatusRange:
    """Return a row of category Pending."""
    return StatusRange(code, code, PENDING, meaning)


def cancel(code: int, meaning: str = "") -> StatusRange:
    """Return a row of category Cancel."""
    return StatusRange(code, code, CANCEL, meaning)
