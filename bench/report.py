"""The table, as text for the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.model import Check, Options, Row, amount

_HEADINGS = ("what", "measured", "against", "ratio", "target", "")


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    dcmtk = subprocess.run(["storescp", "--version"], capture_output=True, text=True, check=True, timeout=10)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": len(os.sched_getaffinity(0)),
        "dcmtk": dcmtk.stdout.split()[2],
        "pynetdicom": version("pynetdicom"),
        "pydicom": version("pydicom"),
    }


def _range(check: Check) -> str:
    if check.low == check.high:
        return ""
    return f" ({amount(check.low, '').strip()}–{amount(check.high, '').strip()})"


def _cells(row: Row, check: Check) -> tuple[str, str]:
    """Return a contestant and what it is compared with, each with its median."""
    ours = f"{check.name} {row.shown(check.name)}"
    return (ours, f"{check.peer} {row.shown(check.peer)}") if check.peer else (ours, "")


def to_terminal(console: Console, rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table(pad_edge=False, header_style="bold", title="Medians of one run", title_justify="left")
    for name in _HEADINGS:
        right = name in {"ratio", "target"}
        table.add_column(name, justify="right" if right else "left", no_wrap=name not in {"what", "against"})
    for row in rows:
        for number, check in enumerate(row.checks):
            colour = {True: "green", False: "red", None: "dim"}[check.reached]
            ours, peer = _cells(row, check)
            cells = (ours, peer, f"[{colour}]{check.got}[/]", check.wanted, f"[{colour}]{check.mark}[/]")
            table.add_row(row.title if number == 0 else "", *cells)
        table.add_section()
    console.print(table)


def to_markdown(rows: Sequence[Row], facts: dict[str, Any], options: Options) -> str:
    """Return the table as Markdown."""
    verdicts = [check.reached for row in rows for check in row.checks if check.reached is not None]
    lines = [
        "# Benchmark: dulcimer, DCMTK and pynetdicom side by side",
        "",
        f"{facts['date']} · {facts['system']}, {facts['cores']} cores · Python {facts['python']} · "
        f"DCMTK {facts['dcmtk']} · pynetdicom {facts['pynetdicom']} · pydicom {facts['pydicom']}.",
        f"Loopback; contestants in turn, medians of {options.rounds} rounds"
        f"{', quick run with fewer objects' if options.quick else ''}; ratios count only within a run, "
        "in brackets their range over the rounds. The time that storescu needs to start is taken off. "
        "“NODELAY”: started with `TCP_NODELAY=1`.",
        "",
        f"**{sum(verdicts)} of {len(verdicts)} targets reached.**",
        "",
        f"| {' | '.join(_HEADINGS)} |",
        "|---|---|---|--:|--:|:-:|",
    ]
    for row in rows:
        for number, check in enumerate(row.checks):
            title = row.title + (f"<br>*{row.note}*" if row.note else "") if number == 0 else ""
            ours, peer = _cells(row, check)
            got = f"**{check.got}**{_range(check)}"
            lines.append(f"| {title} | {ours} | {peer} | {got} | {check.wanted} | {check.mark} |")
    return "\n".join(lines) + "\n"


def to_json(rows: Sequence[Row], facts: dict[str, Any], options: Options) -> str:
    """Return everything that was measured."""
    found = [
        {
            "key": row.key,
            "title": row.title,
            "unit": row.unit,
            "note": row.note,
            "medians": {name: median(values) for name, values in row.samples.items()},
            "samples": {name: list(values) for name, values in row.samples.items()},
            "checks": [asdict(check) | {"reached": check.reached} for check in row.checks],
        }
        for row in rows
    ]
    run = {"rounds": options.rounds, "quick": options.quick}
    return json.dumps({"machine": facts, "run": run, "rows": found}, indent=1, ensure_ascii=False) + "\n"


def write(folder: Path, rows: Sequence[Row], options: Options) -> None:
    """Write table and figures to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = machine()
    (folder / "table.md").write_text(to_markdown(rows, facts, options), encoding="utf-8")
    (folder / "results.json").write_text(to_json(rows, facts, options), encoding="utf-8")
