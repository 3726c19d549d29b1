"""``python -m bench [--quick] [--only PATTERN] [--rounds N]``."""

from __future__ import annotations

import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from bench import report
from bench.model import Options, Row
from bench.rows import exchanges, footprint, index, printing, query, receive, send, steps

GROUPS: dict[str, Callable[[Options], Iterator[Row]]] = {
    "receive-serve": receive.rows,
    "nagle": receive.nagle,
    "send": send.rows,
    "n-set": exchanges.n_set,
    "echo-associate": exchanges.echo,
    "find-get": query.rows,
    "printing": printing.rows,
    "index": index.rows,
    "steps": steps.rows,
    "idle": footprint.idle,
    "memory": footprint.memory,
    "import": footprint.imports,
}
RESULTS = Path(__file__).resolve().parent / "results"


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Three rounds, a fifth of the objects.")] = False,
    only: Annotated[
        str, typer.Option(metavar="PATTERN", help=f"Groups that match: {', '.join(GROUPS)}.")
    ] = "",
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Rounds of every row.", show_default="5, quick 3")
    ] = None,
    results: Annotated[Path, typer.Option(help="Folder for table, figures and chart.")] = RESULTS,
    scratch: Annotated[
        Path | None, typer.Option(help="Folder for what is sent and received; default: a temporary one.")
    ] = None,
) -> None:
    """Run dulcimer side by side with DCMTK and pynetdicom, and say which targets were reached."""
    console = Console()
    if not console.is_terminal:
        console.width = 150
    missing = [name for name in ("storescu", "storescp") if shutil.which(name) is None]
    if missing:
        console.print(f"[red]not installed: {', '.join(missing)}[/] (Debian: dcmtk)")
        raise typer.Exit(2)
    # Children are ended by the blocks that started them, so the end must come as an exception.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rows: list[Row] = []
    failed = False
    with tempfile.TemporaryDirectory(prefix="dulcimer-bench-", dir=scratch) as temporary:
        with console.status("…") as status:

            def say(text: str) -> None:
                status.update(escape(text))
                if not console.is_terminal:
                    print(text, file=sys.stderr, flush=True)

            options = Options(rounds or (3 if quick else 5), quick, Path(temporary), say)
            for name, group in GROUPS.items():
                if not re.search(only, name, re.IGNORECASE):
                    continue
                try:
                    rows.extend(group(options))
                except Exception as error:
                    # The other groups are still worth having; the exit code tells.
                    failed = True
                    console.print(f"[red bold]{name} failed:[/] {type(error).__name__}: {escape(str(error))}")
        report.to_terminal(console, rows)
        report.write(results, rows, options)
    if rows:
        from bench import chart  # matplotlib takes a while to load

        chart.draw(results / "chart.png", rows, f"medians of {options.rounds}, loopback")
    missed = sum(check.reached is False for row in rows for check in row.checks)
    console.print(f"{missed} targets missed; written to {results}")
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
