"""What became of files that were sent, in words and for programs."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dulcimer.cli import output
from dulcimer.node.adapters.log import size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dulcimer.cli.peer import Peer
    from dulcimer.cli.scan import Sendable, Skipped
    from dulcimer.cli.sending import Report

_MOST_SHOWN: Final = 5


def show(target: Peer, report: Report, skipped: list[Skipped]) -> None:
    """Print what became of the files, for people."""
    rate = report.bytes / report.seconds if report.seconds > 0 else 0.0
    total = report.sent + len(report.failed) + report.unsent
    output.line(
        f"sent {report.sent} of {output.count(total, 'file')} ({size(report.bytes)}) to {target} "
        f"in {report.seconds:.1f} s ({size(int(rate))}/s)"
    )
    _print_reasons("sent with a warning", ((file.path, reason) for file, reason in report.warnings))
    _print_reasons("failed", ((file.path, reason) for file, reason in report.failed))
    _print_reasons("skipped", ((item.path, item.reason) for item in skipped))
    if report.no_association:
        output.note(f"dulcimer: {report.no_association}")
    if report.unsent:
        why = "interrupted" if report.interrupted else "no association"
        verb = "was" if report.unsent == 1 else "were"
        output.line(f"{output.count(report.unsent, 'file')} {verb} not sent: {why}")


def _print_reasons(what: str, items: Iterable[tuple[Path, str]]) -> None:
    reasons: dict[str, list[Path]] = {}
    for path, reason in items:
        reasons.setdefault(reason, []).append(path)
    for reason, paths in reasons.items():
        output.line(f"{len(paths)} {what}: {reason}")
        for path in paths[:_MOST_SHOWN]:
            output.line(f"    {path}")
        if len(paths) > _MOST_SHOWN:
            output.line(f"    … and {len(paths) - _MOST_SHOWN} more (--json lists them all)")


def as_dict(target: Peer, report: Report, skipped: list[Skipped]) -> dict[str, object]:
    """Return what became of the files, for programs."""

    def listed(items: list[tuple[Sendable, str]]) -> list[dict[str, str]]:
        return [
            {"file": str(file.path), "sop_instance_uid": file.sop_instance_uid, "reason": reason}
            for file, reason in items
        ]

    return {
        "peer": str(target),
        "sent": report.sent,
        "bytes": report.bytes,
        "seconds": round(report.seconds, 3),
        "associations": report.associations,
        "warnings": listed(report.warnings),
        "failed": listed(report.failed),
        "skipped": [{"file": str(item.path), "reason": item.reason} for item in skipped],
        "unsent": report.unsent,
        "interrupted": report.interrupted,
        "no_association": report.no_association,
    }


@contextmanager
def progress(total: int, *, shown: bool) -> Iterator[Callable[[int], object]]:
    """Show bytes, rate and time left on a terminal, nothing elsewhere."""
    if not shown or not sys.stderr.isatty():
        yield lambda _bytes: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("sending"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("sending", total=total)
        yield lambda count: progress.advance(task, count)


def why_nothing(skipped: list[Skipped]) -> str:
    """Say why there is nothing to send."""
    if not skipped:
        return "the folder is empty"
    if len(skipped) == 1:
        return f"{skipped[0].path}: {skipped[0].reason}"
    return f"none of {len(skipped)} files is a DICOM object"
