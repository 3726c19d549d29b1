"""``dulcimer rt``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dulcimer.cli import output
from dulcimer.cli.calling import calls
from dulcimer.cli.datasets import AttributesArgument, attributes, check_uid
from dulcimer.cli.exits import EXIT_CODES, Exit, Stop
from dulcimer.cli.options import JsonOption, PeerArgument
from dulcimer.cli.peer import Caller, parse
from dulcimer.cli.requests import associated

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def application() -> typer.Typer:
    """Build the verbs below ``rt``."""
    app = typer.Typer(help="Have radiotherapy machines verified.", epilog=EXIT_CODES, no_args_is_help=True)
    app.callback()(_verbs)
    app.command("verify", epilog=EXIT_CODES)(verify)
    return app


def _verbs() -> None:
    """Have radiotherapy machines verified."""


@calls
def verify(
    peer: PeerArgument,
    values: AttributesArgument = None,
    plan: Annotated[
        str, typer.Option("--plan", metavar="UID", help="SOP Instance UID of the RT Plan or RT Ion Plan.")
    ] = "",
    patient_id: Annotated[str, typer.Option("--patient-id", help="Patient ID.")] = "",
    fraction_group: Annotated[
        int | None, typer.Option("--fraction-group", metavar="N", help="Where the plan has several.")
    ] = None,
    ion: Annotated[bool, typer.Option("--ion", help="It is an ion machine.")] = False,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json-file",
            metavar="FILE",
            help="General and Conventional or Ion Machine Verification Sequence, one item each (DICOM JSON).",
        ),
    ] = None,
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Verify the parameters of one control point: create, set, verify, get, delete.

    Ends with 1 unless they are verified.
    """
    target = parse(peer)
    check_uid(plan)
    if not plan or not patient_id:
        raise Stop(Exit.USAGE, "give --plan and --patient-id")
    setting = attributes(values, json_file)
    own = "IonMachineVerificationSequence" if ion else "ConventionalMachineVerificationSequence"
    for keyword in ("GeneralMachineVerificationSequence", own):
        if not setting.get(keyword):
            raise Stop(Exit.USAGE, f"there is no {keyword}: give its attributes, or --json-file")

    from dulcimer.scu.answers import context_of
    from dulcimer.scu.rt import BeamVerification, NotVerifiedYet, contexts

    proposed = contexts(ion=ion)
    with associated(caller, target, proposed, json=json) as association:
        context_of(association, [str(proposed[0].abstract_syntax)])
        with BeamVerification.create(
            association, plan, patient_id, fraction_group=fraction_group, ion=ion
        ) as verification:
            verification.set(setting.GeneralMachineVerificationSequence[0], setting[own].value[0])
            try:
                status = verification.verify(caller.timeouts.dimse or 3600.0)
            except NotVerifiedYet as late:
                raise Stop(Exit.FAILED, f"{target}: {late}") from None
            failed = [_selected(each) for each in verification.failed()]
    if json:
        output.as_json({"status": status, "failed": failed})
    else:
        output.line(status)
        for each in failed:
            output.line(f"failed\t{each}")
    if status not in ("VERIFIED", "VERIFIED_OVR"):
        raise typer.Exit(Exit.FAILED)


def _selected(item: Dataset) -> str:
    from pydicom.datadict import keyword_for_tag
    from pydicom.multival import MultiValue

    def many(value: object) -> list[object]:
        return list(value) if isinstance(value, (MultiValue, list)) else [] if value is None else [value]

    sequences = many(item.get("SelectorSequencePointer"))
    items = many(item.get("SelectorSequencePointerItems"))
    steps = [
        f"{keyword_for_tag(int(str(tag), 0) if not isinstance(tag, int) else tag)}[{int(str(number)) - 1}]"
        for tag, number in zip(sequences, items, strict=False)
    ]
    return ".".join([*steps, keyword_for_tag(item.SelectorAttribute)])
