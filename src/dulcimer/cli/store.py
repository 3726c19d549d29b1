"""``dulcimer store``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dulcimer.cli import accounts, output
from dulcimer.cli.calling import calls
from dulcimer.cli.exits import Exit, Stop
from dulcimer.cli.options import JsonOption, PeerArgument
from dulcimer.cli.peer import Caller, parse

if TYPE_CHECKING:
    pass


@calls
def store(
    peer: PeerArgument,
    places: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE|FOLDER…",
            help="What to send; folders are searched to the bottom.",
            show_default=False,
        ),
    ],
    caller: Caller = Caller(),  # noqa: B008 - immutable
    max_pdu: Annotated[int, typer.Option("--max-pdu", min=0, help="PDU length to offer.")] = 131072,
    strict: Annotated[bool, typer.Option("--strict", help="Fail if a file is no DICOM object.")] = False,
    json: JsonOption = False,
) -> None:
    """Send DICOM files (C-STORE).

    Every file is proposed in its own transfer syntax; uncompressed ones also in the default ones, to be
    converted if the peer asks for it. Ctrl-C ends after the file under way.
    """
    target = parse(peer)
    for place in places:
        if not place.exists():
            raise Stop(Exit.USAGE, f"there is no {place}")

    from dulcimer.cli.scan import scan
    from dulcimer.cli.sending import Sender, exit_code

    files, skipped = scan(places)
    if not files:
        raise Stop(Exit.USAGE, f"nothing to send: {accounts.why_nothing(skipped)}")
    with accounts.progress(sum(file.size for file in files), shown=not json) as advance:
        report = Sender(target, replace(caller, maximum_pdu=max_pdu), advance).send(files)
    if json:
        output.as_json(accounts.as_dict(target, report, skipped))
    else:
        accounts.show(target, report, skipped)
    code = exit_code(report)
    if code is Exit.OK and strict and skipped:
        code = Exit.FAILED
    if code is not Exit.OK:
        raise typer.Exit(code)
