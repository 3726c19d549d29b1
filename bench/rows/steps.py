"""Procedure steps: durable N-SETs through the rules, the rules alone, an event for many subscriptions."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from itertools import count as counting

from bench import processes
from bench.model import OURS, Options, Row, in_turn
from bench.processes import python
from bench.programs import steps as program

_COMMITS = "bare SQLite"
_PYDICOM = "pydicom"


def rows(options: Options) -> Iterator[Row]:
    """Measure durable N-SETs of 8 associations, the check of a large step, and a fan-out of events."""
    count = options.count(2000)
    samples = in_turn(
        options,
        "MPPS N-SET, durable",
        {
            OURS: _served(options, count),
            _COMMITS: _measured(1e6, "commit", options.scratch, count),
        },
    )
    row = Row("mpps-n-set", "MPPS N-SET into SQLite, 8 associations", "µs", samples)
    row.note = "through the rules, answered when durable (synchronous=FULL); against commits of one row alone"
    yield row.within(OURS, _COMMITS, 2)

    checks = options.count(50)
    samples = in_turn(
        options,
        "Rule check",
        {OURS: _measured(1e3, "check", checks), _PYDICOM: _measured(1e3, "decode", checks)},
    )
    row = Row("rule-check", f"Rules of a step with {program.IMAGES} images", "ms", samples)
    row.note = "N-SET and final state checked, against pydicom decoding the modification list"
    yield row.within(OURS, _PYDICOM, 1)

    subscriptions = options.count(10_000)
    samples = in_turn(
        options, "UPS fan-out", {OURS: _measured(1.0, "fan-out", options.scratch, subscriptions)}
    )
    row = Row("ups-fan-out", f"4 events to {subscriptions} UPS subscriptions", "MB", samples)
    row.note = "what the process grows by; reports and subscriptions are in SQLite"
    yield row.at_most(OURS, 4, "MB")


def _measured(factor: float, *arguments: object) -> Callable[[], float]:
    def run() -> float:
        command = python(program.__name__, *arguments)
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return float(done.stdout) * factor

    return run


def _served(options: Options, count: int) -> Callable[[], float]:
    folders = counting()

    def run() -> float:
        port = processes.free_port()
        data = options.scratch / f"steps-{next(folders)}"
        command = python(
            "dulcimer.cli.main", "serve", "--port", port, "--data", data, "--log-level", "warning"
        )
        with processes.serving(command, port, options.scratch / "steps.log"):
            return _measured(1e6, "set", port, count)()

    return run
