"""Make the package's attribute tables from the Standard's, as extracted to JSON.

``python tools/attribute_tables.py FOLDER`` reads ``attributes_*.json`` in FOLDER and writes
``src/dulcimer/services/attributes/*.json``: one uniform table for each operation of each SOP class, with the
rows of sequences nested in them and the macros that are included put in their place.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "src" / "dulcimer" / "services" / "attributes"

MPPS = ("1.2.840.10008.3.1.2.3.3",)
MPPS_RETRIEVE = ("1.2.840.10008.3.1.2.3.4",)
UPS = ("1.2.840.10008.5.1.4.34.6.1",)
RT = ("1.2.840.10008.5.1.4.34.8", "1.2.840.10008.5.1.4.34.9")
_COLUMNS = {"ncreate": "N-CREATE", "nset": "N-SET", "nget": "N-GET"}
_MACROS = {"8-1a": "CC.2.5-2a", "8-3a": "CC.2.5-2a"}
"""Code Sequence macros by the macro of the UPS table whose expansion stands for them."""

_REFINEMENTS: dict[str, dict[str, Any]] = {
    "exactly one item": {"items": "1"},
    "1-n items": {"items": "1-n"},
    "value must be 1": {"values": [{"kind": "enumerated", "terms": ["1"]}]},
    "value must be SCHEDULED": {"values": [{"kind": "enumerated", "terms": ["SCHEDULED"]}]},
    "must be zero length at creation": {"empty": True},
}
"""What some notes on a requirement type say, as data."""


def row(source: dict[str, Any], usage: str | None, condition: Any) -> dict[str, Any]:
    """Return a row of one operation."""
    made: dict[str, Any] = {"tag": source["tag"].strip("()").replace(",", ""), "usage": usage or ""}
    if isinstance(condition, str) and condition not in _REFINEMENTS:
        made["when"] = condition
    if source.get("items"):
        made["items"] = source["items"]
    if source.get("values"):
        values = source["values"]
        made["values"] = values if isinstance(values, list) else [values]
    if source.get("vm", "1") != "1":
        made["vm"] = source["vm"]
    if isinstance(condition, str):
        made |= next((more for text, more in _REFINEMENTS.items() if condition.endswith(text)), {})
    return made


def nested(sources: Iterable[dict[str, Any]], usage_of: Any, condition_of: Any) -> dict[str, Any]:
    """Return the rows of a table, those of sequences within them; ``open`` where further ones are allowed."""
    top: dict[str, Any] = {"rows": []}
    places: dict[str, dict[str, Any]] = {"": top}
    for source in sources:
        parent = source.get("parent") or ""
        kind = source.get("kind", "attr")
        if kind in ("module", "group"):
            continue
        place = places.get(parent)
        if place is None:
            raise SystemExit(f"no row for the parent {parent!r} of {source}")
        if kind == "other":
            place["open"] = True
            continue
        if kind == "include":
            place["include"] = _MACROS.get(source["macro"], source["macro"])
            continue
        if not source.get("tag") or "xx" in source["tag"]:
            place["open"] = True
            continue
        usage = usage_of(source)
        made = row(source, usage, condition_of(source))
        place.setdefault("rows", []).append(made)
        if source.get("include"):
            made["include"] = _MACROS.get(
                source["include"].removeprefix("PS3.4 "), source["include"].removeprefix("PS3.4 ")
            )
        path = f"{parent}.{source['keyword']}" if parent else source["keyword"]
        places[path] = made
    return top


def table(
    classes: Iterable[str],
    operation: str,
    clause: str,
    sources: list[dict[str, Any]],
    usage_of: Any,
    cond: Any,
) -> dict[str, Any]:
    """Return the table of one operation."""
    body = nested(sources, usage_of, cond)
    return {"classes": list(classes), "operation": operation, "clause": clause, **body}


def columns(
    classes: Iterable[str], clause: str, sources: list[dict[str, Any]], names: Iterable[str]
) -> list[dict[str, Any]]:
    """Return a table for each of the columns that a table of the Standard has."""
    made = []
    for column in names:
        if not any(source.get(column) for source in sources):
            continue

        def usage(source: dict[str, Any], column: str = column) -> str | None:
            found: str | None = source.get(column)
            return found

        def condition(source: dict[str, Any], column: str = column) -> Any:
            return source.get(f"{column}_cond") or source.get("condition")

        kept = [
            s for s in sources if s.get(column) is not None or s.get("kind") in ("module", "other", "group")
        ]
        made.append(table(classes, _COLUMNS[column], clause, kept, usage, condition))
    return made


def typed(source: dict[str, Any]) -> Any:
    """Return the requirement type of a row that has one for all."""
    return source.get("type")


def conditional(source: dict[str, Any]) -> Any:
    """Return the condition of such a row."""
    return source.get("cond")


def mpps(source: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tables of Modality Performed Procedure Step."""
    rows, get, _events = (t["rows"] for t in source["tables"])
    final = table(
        MPPS,
        "final",
        "PS3.4 Table F.7.2-1",
        rows,
        lambda r: {"special": "2"}.get(r.get("final_state"), r.get("final_state")),
        lambda r: r.get("final_state_cond"),
    )
    return [
        *columns(MPPS, "PS3.4 Table F.7.2-1", rows, ("ncreate", "nset")),
        final,
        *columns(MPPS_RETRIEVE, "PS3.4 Table F.8.2-1", get, ("nget",)),
    ]


def ups(source: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tables of Unified Procedure Step."""
    by_id = {t["id"]: t for t in source["tables"]}
    clause = "PS3.4 Table CC.2.5-3"
    rows = by_id["CC.2.5-3"]["rows"]
    made = columns(UPS, clause, rows, ("ncreate", "nset", "nget"))
    made.append(
        table(UPS, "final", clause, rows, lambda r: r.get("final_state"), lambda r: r.get("condition"))
    )
    for action in by_id["CC.2.1-1/2.2-1/2.3-1"]["rows"]:
        attributes = [{"kind": "attr", **a} for a in action["attributes"]]
        name = f"N-ACTION {action['action_type_id']}"
        made.append(table(UPS, name, "PS3.4 Tables CC.2.1-1 to CC.2.3-1", attributes, typed, conditional))
    for event in by_id["CC.2.4-1"]["rows"]:
        attributes = [{"kind": "attr", **a} for a in event["attributes"]]
        name = f"N-EVENT-REPORT {event['event_type_id']}"
        made.append(table(UPS, name, "PS3.4 Table CC.2.4-1", attributes, typed, conditional))
    return made


def print_management(source: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tables of Print Management."""
    made = []
    for entry in source["classes"]:
        clause = f"PS3.4 Table {entry['source_tables'][0].split(' ')[0]}"
        made += columns((entry["uid"],), clause, entry["rows"], ("ncreate", "nset", "nget"))
        for event in entry.get("events", ()):
            attributes = [{"kind": "attr", **a} for a in event["attributes"]]
            name = f"N-EVENT-REPORT {event['event_type_id']}"
            made.append(table((entry["uid"],), name, clause, attributes, typed, conditional))
    return made


def rt_machine_verification(source: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tables of RT Machine Verification."""
    made = []
    for entry in source["tables"]:
        classes = RT if entry["sop_class"] == "both" else (entry["uid"],)
        made += columns(classes, f"PS3.4 Table {entry['id']}", entry["rows"], ("ncreate", "nset", "nget"))
    for event in source["events"]:
        attributes = [{"kind": "attr", **a} for a in event["attributes"]]
        name = f"N-EVENT-REPORT {event['event_type_id']}"
        made.append(table(RT, name, "PS3.4 DD.3.2.4", attributes, typed, conditional))
    return made


def others(source: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the tables of the other normalized SOP classes, and the macros that are defined with them."""
    made, macros = [], {}
    clauses = {"chapter_J": "J", "chapter_R": "R", "chapter_S": "S", "chapter_P": "P", "chapter_EE": "EE"}
    for entry in source["classes"]:
        annex = next(name for chapter, name in clauses.items() if f"{chapter}.rst" in entry["source"])
        for part in entry["tables"]:
            operation = part["op"]
            if operation.startswith("macro "):
                macros[operation.removeprefix("macro ")] = nested(part["rows"], typed, conditional)
                continue
            # One table of the Standard holds several events or actions, each below a heading.
            groups: list[tuple[str, list[dict[str, Any]]]] = [(operation, [])]
            for source_row in part["rows"]:
                if source_row["kind"] == "group":
                    if groups[-1][1]:
                        groups.append((operation, []))
                    base = operation.removesuffix(" reply").removesuffix(f" {source_row['id']}")
                    suffix = " reply" if operation.endswith("reply") else ""
                    groups[-1] = (f"{base} {source_row['id']}{suffix}", [])
                else:
                    groups[-1][1].append(source_row)
            made += [
                table((entry["uid"],), name, f"PS3.4 Annex {annex}", rows, typed, conditional)
                for name, rows in groups
            ]
    return made, macros


def code_macro(source: dict[str, Any]) -> dict[str, Any]:
    """Return the rows of the code sequence macro, as they stand expanded in the UPS table."""
    rows = next(t for t in source["tables"] if t["id"] == "CC.2.5-3")["rows"]
    parent = "ScheduledWorkitemCodeSequence"
    inner = [
        {**r, "parent": r["parent"].removeprefix(parent).lstrip(".") or None}
        for r in rows
        if (r.get("parent") or "").split(".")[0] == parent
    ]
    return nested(inner, lambda r: r.get("ncreate"), lambda r: r.get("condition"))


def main(folder: Path) -> None:
    """Write the tables."""

    def read(name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((folder / f"attributes_{name}.json").read_text(encoding="utf-8"))
        return found

    other, macros = others(read("other_normalized"))
    made = {
        "mpps": mpps(read("mpps")),
        "ups": ups(read("ups")),
        "print": print_management(read("print")),
        "rt_machine_verification": rt_machine_verification(read("rtmv")),
        "others": other,
    }
    TARGET.mkdir(exist_ok=True)
    macros["CC.2.5-2a"] = code_macro(read("ups"))
    for name, tables in made.items():
        _write(name, {"tables": tables})
    _write("macros", {"macros": macros})


def _write(name: str, content: dict[str, Any]) -> None:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    # A row to a line, for whoever compares two editions.
    text = text.replace('{"tag":', '\n{"tag":').replace('{"classes":', '\n\n{"classes":')
    (TARGET / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
