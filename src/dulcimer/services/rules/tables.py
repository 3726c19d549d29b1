"""The attribute tables of PS3.4, read from the package's data when they are first asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from dulcimer.services.rules.conditions import Condition, condition

_FILES: Final = ("mpps", "ups", "print", "rt_machine_verification", "others")


class Demand(Enum):
    """What half of a requirement type demands (PS3.4 5.4.2, H.2.4, CC.2.5)."""

    VALUE = "1"
    """There, with a value: types 1 and M, and R, P or X of a final state."""
    PRESENCE = "2"
    """There, perhaps empty: type 2."""
    NOTHING = "3"
    """May be there: types 3, U and O."""
    UNDEFINED = "-"
    """Not for this side to send."""
    NOT_ALLOWED = "Not allowed"


@dataclass(frozen=True, slots=True)
class Usage:
    """Half of a requirement type: what is demanded, of which final states, and whether on a condition."""

    demand: Demand
    conditional: bool = False
    states: frozenset[str] | None = None
    """The final states for which it is demanded; None for all."""


@dataclass(frozen=True, slots=True)
class Values:
    """The values that an attribute may have, enumerated, or defined terms that others may join."""

    terms: frozenset[str]
    enumerated: bool
    when: Condition | None


@dataclass(frozen=True, slots=True)
class Row:
    """One attribute of a table.

    Attributes
    ----------
    tag
        Its tag.
    scu, scp
        What is demanded of either side.
    when
        The condition of a conditional type; None if there is none, or none that can be evaluated.
    items
        The least and the most items of a sequence, None if the table does not say; the most is None where
        there is no limit.
    empty
        Whether it must have no value.
    values
        The values that it may have, a set for each circumstance.
    most_values
        The highest value multiplicity, None where there is no limit.
    rows
        The attributes of the items of a sequence, by tag.
    open
        Whether the items may hold attributes that the table does not list.
    """

    tag: int
    scu: Usage
    scp: Usage
    when: Condition | None
    items: tuple[int, int | None] | None
    values: tuple[Values, ...]
    most_values: int | None
    empty: bool
    rows: Mapping[int, Row]
    open: bool


@dataclass(frozen=True, slots=True)
class Table:
    """The attributes of one operation of a SOP class, by tag."""

    operation: str
    clause: str
    rows: Mapping[int, Row]
    open: bool


_NOTHING: Final = Usage(Demand.NOTHING)
_FINAL: Final = {
    "R": Usage(Demand.VALUE),
    "RC": Usage(Demand.VALUE, conditional=True),
    "P": Usage(Demand.VALUE, states=frozenset({"COMPLETED"})),
    "X": Usage(Demand.VALUE, states=frozenset({"CANCELED"})),
    "O": _NOTHING,
    "": _NOTHING,
    # Fulfilled by the SCP, or by rules that no table holds.
    "special": _NOTHING,
}
_DEMANDS: Final = {
    "1": Demand.VALUE,
    "M": Demand.VALUE,
    "2": Demand.PRESENCE,
    "3": Demand.NOTHING,
    "U": Demand.NOTHING,
    "-": Demand.UNDEFINED,
}


def table_for(sop_class_uid: str, operation: str) -> Table | None:
    """Return the table of an operation, None if the Standard has none.

    Parameters
    ----------
    sop_class_uid
        The SOP class that the command names.
    operation
        ``"N-CREATE"``, ``"N-SET"``, ``"N-GET"``, ``"N-ACTION 1"`` or ``"N-EVENT-REPORT 1"`` with the type
        ID, or ``"final"`` for what a final state demands.
    """
    return _tables().get((str(sop_class_uid), operation))


@lru_cache(maxsize=1)
def _tables() -> Mapping[tuple[str, str], Table]:
    macros = _read("macros")["macros"]
    found: dict[tuple[str, str], Table] = {}
    for name in _FILES:
        for source in _read(name)["tables"]:
            rows, is_open = _rows(source, macros)
            table = Table(source["operation"], source["clause"], rows, is_open)
            for uid in source["classes"]:
                found[uid, table.operation] = table
    return found


def _read(name: str) -> dict[str, Any]:
    text = (files("dulcimer.services") / "attributes" / f"{name}.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def _rows(source: Mapping[str, Any], macros: Mapping[str, Any]) -> tuple[Mapping[int, Row], bool]:
    rows = {row.tag: row for row in (_row(entry, macros) for entry in source.get("rows", ()))}
    is_open = bool(source.get("open"))
    if "include" in source:
        included, included_open = _rows(macros[source["include"]], macros)
        rows = {**included, **rows}
        is_open = is_open or included_open
    return rows, is_open


def _row(source: Mapping[str, Any], macros: Mapping[str, Any]) -> Row:
    scu, scp = _usages(source["usage"])
    rows, is_open = _rows(source, macros)
    return Row(
        tag=int(source["tag"], 16),
        scu=scu,
        scp=scp,
        when=condition(source["when"]) if "when" in source else None,
        items=_range(source["items"]) if "items" in source else None,
        values=tuple(
            Values(
                frozenset(value["terms"]),
                value["kind"] == "enumerated",
                condition(value["when"]) if "when" in value else None,
            )
            for value in source.get("values", ())
        ),
        most_values=_range(source.get("vm", "1"))[1],
        empty=bool(source.get("empty")),
        rows=rows,
        # A sequence whose items no table lists may hold anything.
        open=is_open or not rows,
    )


def _usages(text: str) -> tuple[Usage, Usage]:
    if text == "Not allowed":
        return Usage(Demand.NOT_ALLOWED), Usage(Demand.NOT_ALLOWED)
    if text in _FINAL:
        return _FINAL[text], _FINAL[text]
    scu, _, scp = text.partition("/")
    return _usage(scu), _usage(scp or scu)


def _usage(half: str) -> Usage:
    return Usage(_DEMANDS[half.removesuffix("C") or "-"], conditional=half.endswith("C"))


def _range(text: str) -> tuple[int, int | None]:
    least, _, most = text.partition("-")
    most = most or least
    return int(least), int(most) if most.isdecimal() else None
