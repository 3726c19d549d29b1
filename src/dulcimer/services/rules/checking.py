"""A data set against the table of its operation (PS3.4 5.4.2, H.2.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from dulcimer.services.rules.findings import Finding, Findings, Kind, Level, Path
from dulcimer.services.rules.tables import Demand, Row, Table, Usage, table_for

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

_FROM_SCP: Final = ("N-GET", "N-EVENT-REPORT")
"""The operations whose attributes the SCP sends."""

_SPECIFIC_CHARACTER_SET: Final = 0x0008_0005
_SOP_COMMON: Final = frozenset({0x0008_0016, 0x0008_0018})
_MOST_SHOWN: Final = 40


def check(
    operation: str,
    sop_class_uid: str,
    dataset: Dataset,
    *,
    stored: Dataset | None = None,
    state: str | None = None,
    level: Level = "standard",
) -> Findings:
    """Compare a data set with what the Standard says of an operation.

    Parameters
    ----------
    operation
        ``"N-CREATE"``, ``"N-SET"``, ``"N-GET"``, ``"N-ACTION 1"`` or ``"N-EVENT-REPORT 1"`` with the type
        ID, or ``"final"`` for what an instance needs before a final state.
    sop_class_uid
        The SOP class that the command names; for UPS always that of UPS Push.
    dataset
        Attribute List, Modification List, Action Information or Event Information.
    stored
        The instance as it is, for an N-SET: an attribute that may not be set may be repeated as it is, and
        one that was never created is noted.
    state
        The final state, for ``"final"``.
    level
        How much is insisted on.

    Returns
    -------
    Findings
        What is wrong. None of the arguments is changed.

    Raises
    ------
    ValueError
        If the Standard has no table for the operation.
    """
    table = table_for(sop_class_uid, operation)
    if table is None:
        raise ValueError(f"there is no attribute table for {operation} of {sop_class_uid}")
    checking = _Checking(table, stored, state, level)
    found = checking.walk(dataset, table.rows, (), table.open)
    return Findings(dict.fromkeys(found), level)


class _Checking:
    """One check: what does not change from attribute to attribute."""

    def __init__(self, table: Table, stored: Dataset | None, state: str | None, level: Level) -> None:
        self._clause = table.clause
        self._operation = table.operation
        self._from_scp = table.operation.startswith(_FROM_SCP)
        self._stored = stored
        self._state = state
        self._level = level

    def walk(self, dataset: Dataset, rows: Mapping[int, Row], path: Path, is_open: bool) -> Iterator[Finding]:
        for tag, row in rows.items():
            yield from self._attribute(dataset, row, (*path, tag))
        if self._operation == "final":
            return
        for tag in dataset.keys():  # noqa: SIM118 - iterating a data set decodes its elements
            number = int(tag)
            if number in rows or tag.is_private or number in _SOP_COMMON or number == _SPECIFIC_CHARACTER_SET:
                continue
            if not is_open:
                yield self._finding(Kind.UNKNOWN, (*path, number))

    def _attribute(self, dataset: Dataset, row: Row, path: Path) -> Iterator[Finding]:
        demand = self._demand(row, dataset)
        if row.tag not in dataset:
            if demand is Demand.VALUE:
                yield self._finding(Kind.MISSING, path)
            elif demand is Demand.PRESENCE:
                yield self._finding(Kind.ABSENT, path)
            return
        element = dataset[row.tag]
        if demand is Demand.NOT_ALLOWED:
            if not self._repeats(element, path):
                yield self._finding(Kind.NOT_ALLOWED, path)
            return
        if demand is Demand.UNDEFINED and self._operation != "final":
            yield self._finding(Kind.UNDEFINED, path)
        if self._operation == "N-SET" and len(path) == 1 and self._never_created(row.tag):
            yield self._finding(Kind.NOT_CREATED, path)
        if row.empty and not element.is_empty:
            yield self._finding(Kind.WRONG_VALUE, path, "it has to be empty")
        elif element.VR == "SQ":
            yield from self._sequence(element, row, path, demand)
        elif element.is_empty:
            if demand is Demand.VALUE:
                yield self._finding(Kind.EMPTY, path)
        elif self._operation != "final":
            yield from self._values(dataset, element, row, path)

    def _sequence(self, element: DataElement, row: Row, path: Path, demand: Demand) -> Iterator[Finding]:
        items = element.value
        count = len(items)
        final = self._operation == "final"
        if not count:
            # Zero items where the table has zero among those allowed are a value: they erase an image, say.
            if demand is Demand.VALUE and (final or row.items is None or row.items[0]):
                yield self._finding(Kind.EMPTY, path)
            return
        if row.items is not None and not final:
            least, most = row.items
            if count < least or (most is not None and count > most):
                yield self._finding(Kind.WRONG_COUNT, path, f"{count}, not {_allowed(least, most)}")
        for item in items:
            yield from self.walk(item, row.rows, path, row.open)

    def _values(self, dataset: Dataset, element: DataElement, row: Row, path: Path) -> Iterator[Finding]:
        if row.most_values is not None and row.most_values < element.VM:
            yield self._finding(Kind.TOO_MANY_VALUES, path, f"{element.VM}, not {row.most_values}")
        given = [str(value).strip() for value in ([element.value] if element.VM == 1 else element.value)]
        applying = [values for values in row.values if values.when is None or values.when(dataset)]
        if not applying:
            return
        terms = frozenset().union(*(values.terms for values in applying))
        for value in given:
            if not any(_fits(value, term) for term in terms):
                enumerated = all(values.enumerated for values in applying)
                kind = Kind.WRONG_VALUE if enumerated else Kind.OTHER_TERM
                yield self._finding(kind, path, f"{value[:_MOST_SHOWN]!r}, not {', '.join(sorted(terms))}")

    def _demand(self, row: Row, dataset: Dataset) -> Demand:
        usage: Usage = row.scp if self._from_scp else row.scu
        if usage.states is not None and self._state not in usage.states:
            return Demand.NOTHING
        if usage.conditional and not (row.when is not None and row.when(dataset)):
            return Demand.NOTHING
        return usage.demand

    def _repeats(self, element: DataElement, path: Path) -> bool:
        """Tell whether an attribute that may not be set has the value that it has already."""
        if self._level == "strict" or self._stored is None or len(path) != 1:
            return False
        if element.tag not in self._stored:
            return bool(element.is_empty)
        return bool(self._stored[element.tag] == element)

    def _never_created(self, tag: int) -> bool:
        return self._stored is not None and tag not in self._stored and tag != _SPECIFIC_CHARACTER_SET

    def _finding(self, kind: Kind, path: Path, detail: str = "") -> Finding:
        return Finding(kind, path, detail, self._clause)


def _allowed(least: int, most: int | None) -> str:
    if most is None:
        return f"{least} or more"
    return str(least) if least == most else f"{least} to {most}"


def _fits(value: str, term: str) -> bool:
    """Tell whether a value is a term, or of a family: ``BIN_i``, ``STANDARD\\C,R``, ``CS000-CS999``."""
    if value == term:
        return True
    if term.endswith("_i"):
        return value.startswith(term[:-1])
    if "\\" in term:
        return value.split("\\")[0] == term.split("\\")[0]
    first, dash, last = term.partition("-")
    return bool(dash) and len(first) == len(last) == len(value) and first <= value <= last
