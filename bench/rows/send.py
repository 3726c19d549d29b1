"""Sending from files, to the same receiver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median

from bench import contestants, objects, processes
from bench.contestants import NODELAY, PLAIN, STORESCP_NODELAY, Receiver
from bench.model import OURS, Options, Row, in_turn
from bench.objects import KILO, MEGA, Objects
from bench.programs.stepwise import stepwise

_START = "start of storescu"
_STORESCU = "storescu, NODELAY"
_PYNETDICOM = "pynetdicom"


def rows(options: Options) -> Iterator[Row]:
    """Measure the three senders into storescp and into our own receiver, at each size."""
    large = 100 * MEGA if options.quick else 500 * MEGA
    for key, count, size in (
        ("8k", options.count(1000), 8 * KILO),
        ("512k", options.count(200), 512 * KILO),
        ("large", 1, large),
    ):
        sent = objects.make(options.scratch / f"send-{key}", count, size)
        text = f"{count} × {size // MEGA} MB" if size >= MEGA else f"{count} × {size // KILO} KB"
        # pynetdicom waits tens of milliseconds for every small object: a tenth of them tells as much.
        few = objects.make(options.scratch / f"send-{key}-few", max(1, count // 10), size)
        for receiver in (STORESCP_NODELAY, PLAIN):
            yield _row(options, f"send-{key}", text, sent, few, receiver)
        objects.put_aside(sent.folder)
        objects.put_aside(few.folder)


def _row(options: Options, key: str, text: str, sent: Objects, few: Objects, receiver: Receiver) -> Row:
    target = "storescp" if receiver is STORESCP_NODELAY else "plain receiver"
    runs = {
        OURS: _python(options, "bench.programs.dulcimer_sender", sent, receiver),
        _STORESCU: _dcmtk(options, sent, receiver),
        _START: _nobody(options, sent),
    }
    if receiver is STORESCP_NODELAY:
        runs[_PYNETDICOM] = _python(options, "bench.programs.pynetdicom_sender", few, receiver)
    samples = in_turn(options, f"send {text} to {target}", runs)
    start = median(samples.pop(_START))
    samples[_STORESCU] = [value - start for value in samples[_STORESCU]]
    counts = {_PYNETDICOM: few.count}
    each = {
        name: [value * 1000 / counts.get(name, sent.count) for value in values]
        for name, values in samples.items()
    }
    row = Row(f"{key}-to-{target.replace(' ', '-')}", f"Send {text}, to {target}", "ms/object", each)
    row.faster(OURS, _STORESCU, 1.0)
    if receiver is STORESCP_NODELAY:
        row.faster(OURS, _PYNETDICOM, None)
        row.note = f"pynetdicom: {few.count} objects" if few.count < sent.count else ""
    return row


def _python(options: Options, module: str, sent: Objects, receiver: Receiver) -> Callable[[], float]:
    def run() -> float:
        folder = objects.emptied(options.scratch / "received")
        with receiver.serving(folder) as server:
            command = processes.python(module, server.port, sent.folder)
            with stepwise(command, options.scratch / "sender.log") as sender:
                seconds = float(sender.go())
        sent.verify(folder, f"{module} to {receiver.name}")
        objects.put_aside(folder)
        return seconds

    return run


def _dcmtk(options: Options, sent: Objects, receiver: Receiver) -> Callable[[], float]:
    def run() -> float:
        folder = objects.emptied(options.scratch / "received")
        with receiver.serving(folder) as server:
            command = contestants.storescu(server.port, sent.folder)
            seconds = processes.timed(command, options.scratch / "sender.log", NODELAY)
        sent.verify(folder, f"storescu to {receiver.name}")
        objects.put_aside(folder)
        return seconds

    return run


def _nobody(options: Options, sent: Objects) -> Callable[[], float]:
    def run() -> float:
        command = contestants.storescu(processes.free_port(), sent.folder)
        return processes.timed(command, options.scratch / "sender.log", NODELAY, expected=1)

    return run
