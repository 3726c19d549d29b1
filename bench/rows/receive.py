"""Receiving to files from DCMTK's storescu: the plain receiver, and ``dulcimer serve``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from bench import contestants, objects, processes
from bench.contestants import NODELAY, PLAIN, PYNETDICOM, SERVE_FULL, SERVE_OFF, STORESCP, STORESCP_NODELAY
from bench.model import OURS, Options, Row, in_turn
from bench.objects import KILO, MEGA, Objects

_START = "start of storescu"


def rows(options: Options) -> Iterator[Row]:
    """Measure storescu with TCP_NODELAY against every receiver, at each size."""
    small, middle = options.count(1000), options.count(200)
    large = 100 * MEGA if options.quick else 500 * MEGA
    for key, count, size, node in (
        ("8k", small, 8 * KILO, True),
        ("512k", middle, 512 * KILO, True),
        ("large", 1, large, False),
    ):
        yield from _sized(options, key, count, size, with_node=node)


def nagle(options: Options) -> Iterator[Row]:
    """Measure storescu as installed, which leaves Nagle's algorithm on."""
    ours = objects.make(options.scratch / "nagle-ours", options.count(1000), 8 * KILO)
    # Tens of milliseconds an object: a tenth of the objects tells as much.
    few = objects.make(options.scratch / "nagle-peers", options.count(100), 8 * KILO)
    stream = Stream(options, None)
    samples = in_turn(
        options,
        "receive 8 KB, Nagle on",
        {
            OURS: stream.into(PLAIN, ours),
            STORESCP.name: stream.into(STORESCP, few),
            PYNETDICOM.name: stream.into(PYNETDICOM, few),
            _START: stream.start(ours),
        },
    )
    row = Row(
        "receive-nagle-8k",
        f"Receive {ours.count} × 8 KB, storescu as installed",
        "ms/object",
        per_object(samples, ours.count, {STORESCP.name: few.count, PYNETDICOM.name: few.count}),
        note=f"peers: {few.count} objects",
    )
    row.faster(OURS, STORESCP.name, 100).faster(OURS, PYNETDICOM.name, 100)
    objects.put_aside(ours.folder)
    objects.put_aside(few.folder)
    yield row


def _sized(options: Options, key: str, count: int, size: int, *, with_node: bool) -> Iterator[Row]:
    sent = objects.make(options.scratch / f"receive-{key}", count, size)
    stream = Stream(options, NODELAY)
    text = f"{count} × {size // MEGA} MB" if size >= MEGA else f"{count} × {size // KILO} KB"
    runs = {PLAIN.name: stream.into(PLAIN, sent), STORESCP_NODELAY.name: stream.into(STORESCP_NODELAY, sent)}
    if with_node:
        runs[SERVE_OFF.name] = stream.into(SERVE_OFF, sent)
        runs[SERVE_FULL.name] = stream.into(SERVE_FULL, sent)
    runs[PYNETDICOM.name] = stream.into(PYNETDICOM, sent)
    runs[_START] = stream.start(sent)
    samples = per_object(in_turn(options, f"receive {text}", runs), count, {})
    objects.put_aside(sent.folder)

    plain = Row(f"receive-{key}", f"Receive {text}, to files", "ms/object", samples)
    plain.faster(OURS, STORESCP_NODELAY.name, 1.0).faster(OURS, PYNETDICOM.name, 8.0)
    yield plain
    if with_node:
        off = Row(f"serve-off-{key}", f"Receive {text}, serve, durability off", "ms/object", samples)
        off.faster(SERVE_OFF.name, STORESCP_NODELAY.name, 0.5).faster(SERVE_OFF.name, PYNETDICOM.name, 4.0)
        yield off
        full = Row(f"serve-full-{key}", f"Receive {text}, serve, durability full", "ms/object", samples)
        full.note = "fsynced before Success, which no peer does"
        yield full.faster(SERVE_FULL.name, STORESCP_NODELAY.name, None).faster(
            SERVE_FULL.name, PYNETDICOM.name, None
        )


class Stream:
    """Sends folders with storescu and proves that they arrived."""

    def __init__(self, options: Options, extra: dict[str, str] | None) -> None:
        self._options = options
        self._extra = extra
        self._log = options.scratch / "storescu.log"
        # Every server's first association may load code: it is not what is measured.
        self._first = objects.make(emptied_parent(options.scratch / "first"), 1, 8 * KILO)

    def into(self, receiver: contestants.Receiver, sent: Objects) -> Callable[[], float]:
        """Return the run that sends everything to a fresh receiver and returns the seconds."""

        def run() -> float:
            folder = objects.emptied(self._options.scratch / "received")
            with receiver.serving(folder) as server:
                self._send(server.port, self._first.folder)
                seconds = self._send(server.port, sent.folder)
            sent.verify(folder, receiver.name, besides=1)
            objects.put_aside(folder)
            return seconds

        return run

    def start(self, sent: Objects) -> Callable[[], float]:
        """Return the run that finds nobody listening: what storescu takes before it connects."""

        def run() -> float:
            return self._send(processes.free_port(), sent.folder, expected=1)

        return run

    def _send(self, port: int, folder: Path, expected: int = 0) -> float:
        command = contestants.storescu(port, folder)
        return processes.timed(command, self._log, self._extra, expected=expected)


def per_object(samples: dict[str, list[float]], count: int, other: dict[str, int]) -> dict[str, list[float]]:
    """Return milliseconds per object, without the time that storescu takes to start."""
    start = median(samples[_START])
    return {
        name: [(value - start) * 1000 / other.get(name, count) for value in values]
        for name, values in samples.items()
        if name != _START
    }


def emptied_parent(folder: Path) -> Path:
    """Return the folder, not there but ready to be made."""
    if folder.exists():
        objects.put_aside(folder)
    return folder
