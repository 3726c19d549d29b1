"""What getscu and movescu have in common: the query, the progress, the account."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from dulcimer.cli import output
from dulcimer.cli.exits import Exit
from dulcimer.cli.tools.calling import applied
from dulcimer.cli.tools.inquiry import Cancel, Outcome, answers, exit_code
from dulcimer.cli.tools.talk import note

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator, Mapping

    from dulcimer import Association
    from dulcimer.cli.peer import Peer
    from dulcimer.cli.tools.parser import Parser
    from dulcimer.pdu_primitives import NegotiationItem

_MOST_SHOWN: Final = 10
_COUNTED: Final = ("completed", "failed", "warning")


def extended_options(parser: Parser) -> None:
    """Add the options of extended negotiation (PS3.4 C.5.2.1, C.5.3.1)."""
    group = parser.add_argument_group("Extended negotiation options")
    group.add_argument("--relational-retrieval", action="store_true", help="ask for relational retrieval")
    group.add_argument(
        "--enhanced-conversion",
        action="store_true",
        help="ask for conversion of enhanced multi-frame images",
    )


def extended_of(args: Namespace, model: str) -> list[NegotiationItem]:
    """Return the extended negotiation that the options ask for."""
    return applied(model, (args.relational_retrieval, args.enhanced_conversion))


def follow(
    args: Namespace,
    peer: Peer,
    association: Association,
    model: str,
    send: Callable[[], Iterator[Any]],
    progress: Progress,
    words: Mapping[int, tuple[str, str]],
) -> Exit:
    """Send the request, follow it to its end, and report.

    Raises
    ------
    Stop
        If the association ends before that.
    """
    outcome = Outcome()
    with Cancel(association, model) as cancel:
        try:
            for _ in answers(peer, association, send(), outcome, progress.counted):
                pass
        except BaseException:
            association.abort()
            raise
    code = exit_code(outcome, cancel)
    if args.json:
        output.as_json_line(
            {
                "event": "done",
                "peer": str(peer),
                "status": f"{outcome.code:04X}",
                "comment": outcome.comment,
                **{name: outcome.counters.get(name) for name in (*_COUNTED, "remaining")},
                "failed_uids": outcome.failed_uids,
            }
        )
    _report(args, peer, outcome, code, words)
    return code


def _report(
    args: Namespace, peer: Peer, outcome: Outcome, code: Exit, words: Mapping[int, tuple[str, str]]
) -> None:
    counters = outcome.counters
    if code is Exit.OK and (args.verbosity is None or args.json):
        return
    numbers = ", ".join(f"{counters[name]} {name}" for name in _COUNTED if name in counters)
    note(args, f"dulcimer: {peer}: {outcome.describe(words)}" + (f" ({numbers})" if numbers else ""))
    for uid in outcome.failed_uids[:_MOST_SHOWN]:
        note(args, f"    failed: {uid}")
    if len(outcome.failed_uids) > _MOST_SHOWN:
        note(args, f"    … and {len(outcome.failed_uids) - _MOST_SHOWN} more (--json lists them all)")


class Progress:
    """Told how far a retrieval is."""

    def counted(self, counters: dict[str, int]) -> None:
        """Take the numbers of sub-operations of a pending response."""

    def received(self, count: int) -> None:
        """Take the number of objects that came here."""


class _Bar(Progress):
    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task = bar.add_task("retrieving", total=None)

    def counted(self, counters: dict[str, int]) -> None:
        done = sum(counters.get(name, 0) for name in _COUNTED)
        if "remaining" in counters:
            self._bar.update(self._task, total=done + counters["remaining"], completed=done)

    def received(self, count: int) -> None:
        self._bar.update(self._task, completed=count)


@contextmanager
def progress(args: Namespace) -> Iterator[Progress]:
    """Show how far a retrieval is on a terminal, if Rich is there; nothing elsewhere."""
    try:
        if args.verbosity is not None or args.json or not sys.stderr.isatty():
            raise ModuleNotFoundError
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars
    except ModuleNotFoundError:
        yield Progress()
        return
    columns = (TextColumn("retrieving"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Bar(bars)
