"""The chart: times as fast as each peer, on a logarithmic axis, and the share of each budget that is used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes

from bench.model import Check, Row, amount

_COLOURS = {"DCMTK": "#2563a8", "pynetdicom": "#d9822b", "bare socket": "#6b7280"}
_MISSED = "#b91c1c"
_INK = "#1f2937"
_FAINT = "#d1d5db"


def draw(path: Path, rows: Sequence[Row], subtitle: str) -> None:
    """Draw the rows that have targets to a PNG file."""
    speeds = [(row, [c for c in row.checks if c.unit == "×"]) for row in rows]
    speeds = [(row, checks) for row, checks in speeds if checks]
    budgets = [
        (row, check, 100 * check.value / check.target)
        for row in rows
        for check in row.checks
        if check.unit != "×" and check.target is not None
    ]
    heights = [max(1, len(speeds)), max(1, len(budgets))]
    pyplot.rcParams.update({"font.family": "DejaVu Sans", "font.size": 10, "text.color": _INK})
    figure, (above, below) = pyplot.subplots(
        2,
        1,
        figsize=(11, 2.2 + 0.44 * sum(heights)),
        height_ratios=[heights[0] + 0.6, heights[1] + 0.6],
        layout="constrained",
    )
    figure.suptitle(
        "dulcimer against DCMTK and pynetdicom", fontsize=15, fontweight="bold", x=0.02, ha="left"
    )
    _speeds(above, speeds, subtitle)
    _budgets(below, budgets)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def _speeds(axes: Axes, rows: Sequence[tuple[Row, list[Check]]], subtitle: str) -> None:
    axes.set_xscale("log")
    axes.axvline(1, color=_INK, linewidth=1, zorder=0)
    for y, (_row, checks) in enumerate(rows):
        axes.axhline(y, color=_FAINT, linewidth=0.6, zorder=0)
        for number, check in enumerate(checks):
            _speed(axes, y, check, above=number % 2 == 0)
    families = {_family(check): None for _, checks in rows for check in checks}
    entries = [(f"against {name}", "o", _COLOURS[name], _COLOURS[name]) for name in families]
    entries += [("target", "|", "white", _INK), ("target missed", "o", "white", _MISSED)]
    for label, marker, face, edge in entries:
        style = {"markersize": 9, "markeredgewidth": 1.8, "color": face, "markeredgecolor": edge}
        axes.plot([], [], marker, label=label, **style)  # type: ignore[arg-type]
    axes.set_yticks(range(len(rows)), [row.title for row, _ in rows])
    axes.set_ylim(len(rows) - 0.3, -0.8)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axes.set_title(f"Times as fast as the peer ({subtitle})", loc="left", fontsize=10, pad=28)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=5, frameon=False, fontsize=9)
    _plain(axes)


def _speed(axes: Axes, y: int, check: Check, *, above: bool) -> None:
    colour = _COLOURS[_family(check)]
    value = check.value if check.at_least else 1 / check.value
    if check.target is not None:
        target = check.target if check.at_least else 1 / check.target
        axes.plot([target, value], [y, y], color=colour, linewidth=2.2, alpha=0.4, zorder=1)
        axes.plot(target, y, marker="|", markersize=13, markeredgewidth=2, color=colour, zorder=2)
    missed = check.reached is False
    edge = _MISSED if missed else colour
    face = "white" if missed else colour
    axes.plot(value, y, "o", markersize=8, color=face, markeredgecolor=edge, markeredgewidth=1.8, zorder=3)
    axes.annotate(
        amount(value, "×"),
        (value, y),
        xytext=(0, 7 if above else -15),
        textcoords="offset points",
        ha="center",
        fontsize=8,
        color=edge,
    )


def _budgets(axes: Axes, checks: Sequence[tuple[Row, Check, float]]) -> None:
    if not checks:
        axes.set_visible(False)
        return
    for y, (_row, check, share) in enumerate(checks):
        axes.barh(y, 100, height=0.55, color="#e8ecf0", zorder=0)
        axes.barh(y, min(share, 200), height=0.55, color="#2f855a" if check.reached else _MISSED, zorder=1)
        axes.annotate(
            f"{check.got}, {check.wanted} allowed",
            (min(max(share, 0), 200), y),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    names = [row.title if len(row.checks) == 1 else f"{row.title}, {check.name}" for row, check, _ in checks]
    axes.set_yticks(range(len(checks)), names)
    axes.set_ylim(len(checks) - 0.4, -0.6)
    axes.set_xlim(0, min(300, max(130, *(1.4 * share for *_, share in checks))))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    axes.set_title("Share of the allowance that is used", loc="left", fontsize=10)
    _plain(axes)


def _family(check: Check) -> str:
    if check.peer.startswith("pynetdicom"):
        return "pynetdicom"
    return "DCMTK" if check.peer.startswith("store") else "bare socket"


def _plain(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(left=False)
