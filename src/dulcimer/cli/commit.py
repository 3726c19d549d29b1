"""``dulcimer commit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dulcimer.cli import output
from dulcimer.cli.calling import calls
from dulcimer.cli.datasets import check_uid
from dulcimer.cli.exits import Exit, Stop
from dulcimer.cli.options import JsonOption, PeerArgument
from dulcimer.cli.peer import Caller, parse
from dulcimer.cli.requests import refused

if TYPE_CHECKING:
    from dulcimer.scu.commitment import Result


@calls
def commit(
    peer: PeerArgument,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE|FOLDER", help="The instances, as files.", show_default=False),
    ] = None,
    references: Annotated[
        list[str] | None,
        typer.Option(
            "--reference",
            metavar="CLASS:UID",
            help="An instance by SOP class and instance UID; may be repeated.",
        ),
    ] = None,
    listen: Annotated[
        str,
        typer.Option(
            "--listen",
            metavar="[HOST:]PORT",
            help="Also take the report on an association that the peer opens.",
        ),
    ] = "",
    hold: Annotated[
        float,
        typer.Option("--hold", metavar="SECONDS", min=0, help="Keep the association open for the report."),
    ] = 10.0,
    wait: Annotated[
        float, typer.Option("--wait", metavar="SECONDS", min=0, help="Wait for the report, in all.")
    ] = 60.0,
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Have a peer commit itself to keep instances (Storage Commitment, N-ACTION).

    The report is taken on the same association, on one that is opened later, or, with --listen, on one that
    the peer opens. Ends with 1 if an instance was not committed.
    """
    target = parse(peer)
    instances = [*_references(references or ()), *_files(files or [])]
    if not instances:
        raise Stop(Exit.USAGE, "nothing to commit: give files or --reference")

    from dulcimer.errors import AssociationError, NoPresentationContext
    from dulcimer.scu.commitment import Outstanding, Target
    from dulcimer.scu.commitment import commit as commit_instances
    from dulcimer.scu.errors import Refusal

    where = Target(
        caller.entity(),
        target.host,
        target.port,
        target.ae_title,
        caller.options(target),
    )
    try:
        result = commit_instances(
            where, instances, listen=address(listen) if listen else None, hold=hold, timeout=wait
        )
    except Refusal as refusal:
        if json:
            output.as_json(refused(refusal))
        raise Stop(Exit.FAILED, f"{target}: {refusal}", reported=json) from None
    except Outstanding as outstanding:
        if json:
            output.as_json(
                {"transaction_uid": outstanding.transaction_uid, "committed": None, "failed": None}
            )
        raise Stop(Exit.FAILED, f"{target}: {outstanding}", reported=json) from None
    except NoPresentationContext:
        raise Stop(Exit.NO_ASSOCIATION, f"{target} does not offer storage commitment") from None
    except AssociationError as error:
        raise Stop(Exit.NO_ASSOCIATION, f"{target}: {error}") from None
    except OSError as error:
        raise Stop(Exit.USAGE, f"--listen {listen}: {error.strerror or error}") from None
    _report(result, json=json)
    if result.failed:
        raise typer.Exit(Exit.FAILED)


def _report(result: Result, *, json: bool) -> None:
    if json:
        output.as_json(
            {
                "transaction_uid": result.transaction_uid,
                "committed": [each.instance_uid for each in result.committed],
                "failed": [
                    {
                        "sop_instance_uid": each.instance_uid,
                        "reason": f"{each.reason:04X}",
                        "message": each.words,
                    }
                    for each in result.failed
                ],
            }
        )
        return
    text = output.count(len(result.committed), "instance")
    failed = f", {len(result.failed)} not" if result.failed else ""
    output.line(f"{text} committed{failed}")
    for each in result.failed:
        output.line(f"{each.instance_uid}\t{each.reason:04X} {each.words}")


def _references(texts: list[str] | tuple[()]) -> list[tuple[str, str]]:
    found = []
    for text in texts:
        class_uid, colon, instance_uid = text.partition(":")
        if not colon:
            raise Stop(Exit.USAGE, f"{text!r} is not CLASS:UID")
        for uid in (class_uid, instance_uid):
            check_uid(uid)
        found.append((class_uid, instance_uid))
    return found


def _files(places: list[Path]) -> list[tuple[str, str]]:
    from dulcimer.cli.scan import scan

    for place in places:
        if not place.exists():
            raise Stop(Exit.USAGE, f"there is no {place}")
    found, _ = scan(places)
    if places and not found:
        raise Stop(Exit.USAGE, "none of the files is a DICOM object")
    return [(str(each.sop_class_uid), str(each.sop_instance_uid)) for each in found]


def address(text: str) -> tuple[str, int]:
    """Read where to listen: ``PORT`` or ``HOST:PORT``."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise Stop(Exit.USAGE, f"--listen {text!r} is not [HOST:]PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)
