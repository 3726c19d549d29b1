"""What is used when nothing happens, while one very large object passes, and by the import alone."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench import objects, processes, raw
from bench.contestants import PLAIN, PYNETDICOM, Receiver
from bench.model import OURS, Options, Row, in_turn
from bench.objects import MEGA
from bench.processes import HOST
from bench.programs.stepwise import stepwise

_TICKS = os.sysconf("SC_CLK_TCK")
_WATCHED = 5.0
_SETTLED = 3.0
"""Seconds until an association has given back what it does not need while it is idle."""


def idle(options: Options) -> Iterator[Row]:
    """Open many associations that do nothing, and look at what the server uses."""
    # pynetdicom runs two polling threads an association: a thousand of them leave no CPU to measure with.
    counts = {PLAIN: options.count(1000), PYNETDICOM: 50}
    cpu: dict[str, list[float]] = {receiver.name: [] for receiver in counts}
    resident: dict[str, list[float]] = {receiver.name: [] for receiver in counts}
    for number in range(1, 4):
        for receiver, count in counts.items():
            options.say(f"{count} idle associations · round {number}/3 · {receiver.name}")
            share, kilobytes = _idle(options, receiver, count)
            cpu[receiver.name].append(share)
            resident[receiver.name].append(kilobytes)
    note = f"pynetdicom: {counts[PYNETDICOM]} associations"
    first = Row("idle-cpu", f"{counts[PLAIN]} idle associations: CPU", "%", cpu, note=note)
    yield first.at_most(OURS, 1.0, "%").at_most(PYNETDICOM.name, None, "%")
    second = Row("idle-memory", f"{counts[PLAIN]} idle associations: resident", "KB", resident, note=note)
    yield second.at_most(OURS, 100.0, "KB").at_most(PYNETDICOM.name, None, "KB")


def _idle(options: Options, receiver: Receiver, count: int) -> tuple[float, float]:
    folder = objects.emptied(options.scratch / "received")
    request = raw.associate_rq()
    with receiver.serving(folder) as server, ExitStack() as opened:
        raw.cycle_seconds(HOST, server.port, 3)
        before = _resident(server.pid)
        associations = [
            opened.enter_context(raw.RawAssociation(HOST, server.port, request)) for _ in range(count)
        ]
        time.sleep(_SETTLED)
        grown = _resident(server.pid) - before
        used, started = _cpu(server.pid), time.perf_counter()
        time.sleep(_WATCHED)
        share = (_cpu(server.pid) - used) / (time.perf_counter() - started)
        for association in associations[:: max(1, count // 10)]:
            association.echo()
        for association in associations:
            association.release()
    return share * 100, grown / count


def memory(options: Options) -> Iterator[Row]:
    """Send one object of 2 GB from our sender to our receiver; how far does each side's memory grow?"""
    size = 512 * MEGA if options.quick else 2048 * MEGA
    sent = objects.make(options.scratch / "memory", 1, size, zeros=True)
    folder = options.scratch / "received"
    grown: dict[str, list[float]] = {"sender": [], "receiver": []}
    for _ in range(1 if options.quick else 3):
        options.say(f"one object of {size // MEGA} MB")
        objects.emptied(folder)
        with PLAIN.serving(folder) as server:
            command = processes.python("bench.programs.dulcimer_sender", server.port, sent.folder)
            with stepwise(command, options.scratch / "sender.log") as sender:
                pids = {"sender": sender.pid, "receiver": server.pid}
                before = {name: forget_peak(pid) for name, pid in pids.items()}
                sender.go()
                for name, pid in pids.items():
                    grown[name].append((peak(pid) - before[name]) / 1024)
        sent.verify(folder, "dulcimer")
        objects.put_aside(folder)
    objects.put_aside(sent.folder)
    row = Row("memory", f"One object of {size // MEGA} MB: peak growth", "MB", grown)
    row.at_most("sender", 64.0, "MB")
    yield row.at_most("receiver", 64.0, "MB")


def imports(options: Options) -> Iterator[Row]:
    """Measure whole processes that import and end, without what a bare interpreter takes."""
    statements = {
        OURS: "import dulcimer",
        "dulcimer: AE, evt": "from dulcimer import AE, evt",
        "pynetdicom": "import pynetdicom",
        "pynetdicom: AE, evt": "from pynetdicom import AE, evt",
        "bare": "pass",
    }
    runs = {name: _import(options, text) for name, text in statements.items()}
    samples = in_turn(options, "import", runs, rounds=max(10, options.rounds))
    bare = median(samples.pop("bare"))
    alone = {name: [(value - bare) * 1000 for value in values] for name, values in samples.items()}
    row = Row("import", "Import, without the bare interpreter", "ms", alone)
    row.faster(OURS, "pynetdicom", 2.0)
    # Most of this is pydicom, which both import.
    yield row.faster("dulcimer: AE, evt", "pynetdicom: AE, evt", None)


def _import(options: Options, statement: str) -> Callable[[], float]:
    return lambda: processes.timed([sys.executable, "-c", statement], options.scratch / "import.log")


def _resident(pid: int) -> int:
    """Return the resident memory of a process in KB, exactly."""
    return _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Rss")


def peak(pid: int) -> int:
    """Return the peak of a process's resident memory in KB, pages of mapped files included."""
    return _kilobytes(Path(f"/proc/{pid}/status"), "VmHWM")


def _kilobytes(source: Path, name: str) -> int:
    for line in source.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise KeyError(name)


def forget_peak(pid: int) -> int:
    """Set a process's peak of resident memory back to what it is now, and return that in KB."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
    return _resident(pid)


def _cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
