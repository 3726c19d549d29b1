"""What a row of the benchmark consists of, and when its target is reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

OURS = "dulcimer"


@dataclass(frozen=True)
class Options:
    """How much is run, and where."""

    rounds: int
    quick: bool
    scratch: Path
    say: Callable[[str], None]

    def count(self, full: int) -> int:
        """Return how many objects or exchanges to run: all, or a fifth with ``--quick``."""
        return max(1, full // 5) if self.quick else full


@dataclass(frozen=True)
class Check:
    """One comparison: a ratio (or an amount) that must be at least, or at most, so much.

    Without a target it is there to be known.
    """

    name: str
    value: float
    target: float | None
    low: float
    high: float
    at_least: bool = True
    unit: str = "×"
    peer: str = ""

    @property
    def reached(self) -> bool | None:
        """Return whether the target was reached, judged with two decimals; None if there is none."""
        if self.target is None:
            return None
        value = round(self.value, 2)
        return value >= self.target if self.at_least else value <= self.target

    @property
    def wanted(self) -> str:
        """Return the target as text."""
        return (
            "" if self.target is None else f"{'≥' if self.at_least else '≤'} {amount(self.target, self.unit)}"
        )

    @property
    def got(self) -> str:
        """Return the value as text."""
        return amount(self.value, self.unit)

    @property
    def mark(self) -> str:
        """Return ✓, ✗ or nothing."""
        return {True: "✓", False: "✗", None: ""}[self.reached]


@dataclass
class Row:
    """One thing measured: the samples of each contestant, and the targets they are held against."""

    key: str
    title: str
    unit: str
    samples: Mapping[str, Sequence[float]]
    checks: list[Check] = field(default_factory=list)
    note: str = ""

    def median(self, name: str) -> float:
        """Return the median of one contestant."""
        return median(self.samples[name])

    def shown(self, name: str) -> str:
        """Return the median of one contestant as text."""
        return amount(self.median(name), self.unit)

    def faster(self, name: str, peer: str, target: float | None) -> Row:
        """Add the check that ``peer`` takes at least ``target`` times as long as contestant ``name``."""
        value = self.median(peer) / self.median(name)
        self.checks.append(Check(name, value, target, *self._spread(peer, name), peer=peer))
        return self

    def within(self, name: str, peer: str, target: float) -> Row:
        """Add the check that contestant ``name`` takes at most ``target`` times as long as ``peer``."""
        value = self.median(name) / self.median(peer)
        spread = self._spread(name, peer)
        self.checks.append(Check(name, value, target, *spread, at_least=False, peer=peer))
        return self

    def at_most(self, name: str, target: float | None, unit: str) -> Row:
        """Add the check that the median of ``name`` is at most ``target``."""
        values = self.samples[name]
        check = Check(name, self.median(name), target, min(values), max(values), at_least=False, unit=unit)
        self.checks.append(check)
        return self

    def _spread(self, above: str, below: str) -> tuple[float, float]:
        ratios = [a / b for a, b in zip(self.samples[above], self.samples[below], strict=True)]
        return min(ratios), max(ratios)


class BenchError(Exception):
    """A run that lost something, or a contestant that failed: its figures are worth nothing."""


def amount(value: float, unit: str) -> str:
    """Return a figure with three significant digits and its unit, ``×`` without a space."""
    if value >= 100:
        digits = f"{value:,.0f}"
    elif value >= 10:
        digits = f"{value:.1f}"
    elif value >= 0.1:
        digits = f"{value:.2f}"
    else:
        digits = f"{value:.3f}"
    return f"{digits}{'' if unit == '×' else ' '}{unit}"


def in_turn(
    options: Options, title: str, contestants: Mapping[str, Callable[[], float]], rounds: int | None = None
) -> dict[str, list[float]]:
    """Run every contestant once per round, in turn, and return the samples of each.

    A round before the first is not counted: it warms up what all of them share, the page cache above all.
    """
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    total = rounds or options.rounds
    for number in range(total + 1):
        for name, run in contestants.items():
            options.say(f"{title} · {f'round {number}/{total}' if number else 'warm-up'} · {name}")
            value = run()
            if number:
                samples[name].append(value)
    return samples
