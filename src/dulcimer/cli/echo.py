"""``dulcimer echo``."""

from __future__ import annotations

from time import perf_counter
from typing import Annotated

import typer

from dulcimer.cli import output
from dulcimer.cli.calling import calls
from dulcimer.cli.exits import Exit
from dulcimer.cli.options import JsonOption, PeerArgument
from dulcimer.cli.peer import Caller, lost, parse


@calls
def echo(
    peer: PeerArgument,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many C-ECHO to send.")] = 1,
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Verify that a peer answers (C-ECHO)."""
    target = parse(peer)

    from dulcimer import build_context

    # Imports what is needed: that is not the network's time.
    caller.entity()
    began = perf_counter()
    association = caller.associate(target, [build_context("1.2.840.10008.1.1")])
    connected = perf_counter() - began
    times: list[float] = []
    failed = 0
    for number in range(count):
        began = perf_counter()
        status = association.send_c_echo(number % 65535 + 1)
        if "Status" not in status:
            raise lost(target, association)
        times.append(perf_counter() - began)
        failed += status.Status != 0
    association.release()
    if json:
        output.as_json(
            {
                "peer": str(target),
                "answered": len(times) - failed,
                "failed": failed,
                "associate_ms": round(connected * 1e3, 3),
                "echo_ms": [round(value * 1e3, 3) for value in times],
            }
        )
    else:
        average = sum(times) / len(times) * 1e3
        word = "answers" if not failed else f"answers with failure {failed} of {count} times"
        output.line(f"{target} {word}: association {connected * 1e3:.1f} ms, C-ECHO {average:.2f} ms")
    if failed:
        raise typer.Exit(Exit.FAILED)
