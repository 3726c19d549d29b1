"""C-FIND as SCP and as SCU, and C-GET."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench import processes, raw_find
from bench.model import OURS, Options, Row, in_turn
from bench.processes import HOST, python
from bench.programs.stepwise import stepwise

_PEER = "pynetdicom"
_LIBRARIES = {OURS: "dulcimer", _PEER: "pynetdicom"}
_PROGRAM = "bench.programs.query"
_SIZE = 512 * 1024


def rows(options: Options) -> Iterator[Row]:
    """Measure a response of C-FIND in both roles, and an instance of a C-GET."""
    count = options.count(10_000)
    full = options.count(200)
    measures: tuple[tuple[str, str, Callable[[str], Callable[[], float]], float, str], ...] = (
        (
            "find-scp",
            f"C-FIND as SCP, {count} responses",
            lambda library: _find_scp(options, library, count),
            10,
            "to a requestor of prebuilt bytes",
        ),
        (
            "find-scu",
            f"C-FIND as SCU, {count} responses",
            lambda library: _find_scu(options, library, count),
            10,
            "from a responder of prebuilt bytes",
        ),
        (
            "get",
            f"C-GET, {full} × 512 KB",
            lambda library: _get(options, library, full),
            8,
            "the same library on both sides",
        ),
    )
    for key, title, measure, target, note in measures:
        samples = in_turn(options, title, {name: measure(library) for name, library in _LIBRARIES.items()})
        row = Row(key, title, "µs" if key != "get" else "ms", samples)
        row.note = f"{note}; pynetdicom with TCP_NODELAY patched into it"
        yield row.faster(OURS, _PEER, target)


def _find_scp(options: Options, library: str, count: int) -> Callable[[], float]:
    def run() -> float:
        port = processes.free_port()
        command = python(_PROGRAM, library, "find-scp", port, count)
        with processes.serving(command, port, options.scratch / "find.log"):
            return raw_find.seconds(HOST, port, count) * 1e6

    return run


def _find_scu(options: Options, library: str, count: int) -> Callable[[], float]:
    def run() -> float:
        port = processes.free_port()
        log = options.scratch / "find.log"
        with (
            processes.serving(python("bench.raw_find", port, count), port, log),
            stepwise(python(_PROGRAM, library, "find-scu", port, count), log.with_suffix(".scu")) as scu,
        ):
            return float(scu.go()) * 1e6

    return run


def _get(options: Options, library: str, count: int) -> Callable[[], float]:
    def run() -> float:
        port = processes.free_port()
        log = options.scratch / "get.log"
        with (
            processes.serving(python(_PROGRAM, library, "get-scp", port, count, _SIZE), port, log),
            stepwise(python(_PROGRAM, library, "get-scu", port, count), log.with_suffix(".scu")) as scu,
        ):
            return float(scu.go()) * 1e3

    return run
