"""``dulcimer mpps``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dulcimer.cli import output
from dulcimer.cli.calling import calls
from dulcimer.cli.datasets import check_uid, set_character_set, show
from dulcimer.cli.exits import EXIT_CODES, Exit, Stop
from dulcimer.cli.options import JsonOption, PeerArgument
from dulcimer.cli.peer import Caller, Peer, lost, parse

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_SOURCE_HELP = "Take attributes from a DICOM file (step, image, worklist item) or a DICOM JSON file."
_SET_HELP = "Any attribute, for example PerformedLocation=Room1; may be repeated."
_UID = Annotated[str, typer.Argument(metavar="UID", help="SOP Instance UID of the step.", show_default=False)]


def application() -> typer.Typer:
    """Build the verbs below ``mpps``."""
    app = typer.Typer(
        help="Report performed procedure steps (MPPS) to a peer.", epilog=EXIT_CODES, no_args_is_help=True
    )
    app.command("create", epilog=EXIT_CODES)(create)
    app.command("set", epilog=EXIT_CODES)(change)
    app.command("get", epilog=EXIT_CODES)(get)
    return app


@calls
def create(
    peer: PeerArgument,
    source: Annotated[Path | None, typer.Option("--from", metavar="FILE", help=_SOURCE_HELP)] = None,
    uid: Annotated[
        str, typer.Option("--uid", metavar="UID", help="SOP Instance UID [default: a new one].")
    ] = "",
    patient_id: Annotated[str, typer.Option("--patient-id", help="Patient ID.")] = "",
    patient_name: Annotated[str, typer.Option("--patient-name", help="Patient's Name, as Doe^Jane.")] = "",
    birth_date: Annotated[
        str, typer.Option("--birth-date", metavar="YYYYMMDD", help="Patient's Birth Date.")
    ] = "",
    sex: Annotated[str, typer.Option("--sex", metavar="M|F|O", help="Patient's Sex.")] = "",
    modality: Annotated[str, typer.Option("--modality", help="Modality [default: OT].")] = "",
    study_uid: Annotated[
        str, typer.Option("--study-uid", metavar="UID", help="Study Instance UID [default: a new one].")
    ] = "",
    accession: Annotated[str, typer.Option("--accession", help="Accession Number.")] = "",
    step_id: Annotated[str, typer.Option("--step-id", help="Performed Procedure Step ID.")] = "",
    description: Annotated[
        str, typer.Option("--description", help="Performed Procedure Step Description.")
    ] = "",
    attributes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEYWORD=VALUE", help=_SET_HELP)
    ] = None,
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Create a step (N-CREATE), IN PROGRESS, and print its UID."""
    target = parse(peer)

    from datetime import datetime

    from pydicom.uid import generate_uid

    from dulcimer.cli import steps
    from dulcimer.identity import UID_PREFIX
    from dulcimer.services import mpps

    for value in (uid, study_uid):
        check_uid(value)
    now = datetime.now()
    given = {
        "PatientID": patient_id,
        "PatientName": patient_name,
        "PatientBirthDate": birth_date,
        "PatientSex": sex,
        "Modality": modality,
        "StudyInstanceUID": study_uid,
        "AccessionNumber": accession,
        "PerformedProcedureStepID": step_id,
        "PerformedProcedureStepDescription": description,
        **_pairs(attributes),
    }
    try:
        step = steps.new_step(
            steps.read(source) if source else None,
            {keyword: value for keyword, value in given.items() if value},
            now,
            study_uid=generate_uid(prefix=UID_PREFIX),
            step_id=now.strftime("%y%m%d%H%M%S"),
        )
        if not step.get("PerformedStationAETitle"):
            step.PerformedStationAETitle = caller.ae_title
    except steps.Unusable as error:
        raise Stop(Exit.USAGE, str(error)) from None
    set_character_set(step)
    instance = uid or str(generate_uid(prefix=UID_PREFIX))
    association = _associate(caller, target, mpps.MODALITY_PERFORMED_PROCEDURE_STEP)
    answer = association.send_n_create(step, mpps.MODALITY_PERFORMED_PROCEDURE_STEP, instance)
    _report(target, association, answer, instance, mpps.IN_PROGRESS, "created", json=json)


@calls
def change(
    peer: PeerArgument,
    uid: _UID,
    status: Annotated[
        str, typer.Option("--status", metavar="STATUS", help="IN PROGRESS, COMPLETED or DISCONTINUED.")
    ] = "",
    images: Annotated[
        list[Path] | None,
        typer.Option(
            "--images", metavar="FILE|FOLDER", help="The objects that the step created; may be repeated."
        ),
    ] = None,
    series_uid: Annotated[
        list[str] | None,
        typer.Option("--series-uid", metavar="UID", help="A series without objects; may be repeated."),
    ] = None,
    protocol: Annotated[str, typer.Option("--protocol", help="Protocol Name of series that name none.")] = "",
    source: Annotated[Path | None, typer.Option("--from", metavar="FILE", help=_SOURCE_HELP)] = None,
    attributes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEYWORD=VALUE", help=_SET_HELP)
    ] = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Do not look for what the final state requires.")
    ] = False,
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Change a step (N-SET).

    For COMPLETED and DISCONTINUED the end is set to now unless --set gives it. They also need a performed
    series: --images or --series-uid name it.
    """
    target = parse(peer)
    for value in (uid, *(series_uid or ())):
        check_uid(value)

    from datetime import datetime

    from dulcimer.cli import steps
    from dulcimer.services import mpps

    state = " ".join(status.upper().replace("_", " ").split())
    if state and state != mpps.IN_PROGRESS and state not in mpps.FINAL_STATES:
        raise Stop(Exit.USAGE, f"{status!r} is no status; there are IN PROGRESS, COMPLETED and DISCONTINUED")
    try:
        series = steps.series_of(_instances(images or []), protocol)
        series += [steps.one_series(value, protocol) for value in series_uid or []]
        modification = steps.final_step(
            state, _pairs(attributes), series, datetime.now(), steps.read(source) if source else None
        )
    except steps.Unusable as error:
        raise Stop(Exit.USAGE, str(error)) from None
    if not len(modification):
        raise Stop(Exit.USAGE, "nothing to set: give --status, --set, --images, --series-uid or --from")
    if state in mpps.FINAL_STATES and not as_is:
        missing = mpps.describe(mpps.missing_for_final_state(modification))
        if missing:
            raise Stop(
                Exit.USAGE,
                f"{state} needs {', '.join(missing)}: give --images or --series-uid, and --protocol if the "
                "images name none; if an earlier N-SET did, add --as-is",
            )
    set_character_set(modification)
    association = _associate(caller, target, mpps.MODALITY_PERFORMED_PROCEDURE_STEP)
    answer = association.send_n_set(modification, mpps.MODALITY_PERFORMED_PROCEDURE_STEP, uid)
    _report(target, association, answer, uid, state or "changed", "set", json=json)


@calls
def get(
    peer: PeerArgument,
    uid: _UID,
    attributes: Annotated[
        list[str] | None,
        typer.Option(
            "--attribute", "-a", metavar="KEYWORD", help="Ask for this attribute only; may be repeated."
        ),
    ] = None,
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Get a step (N-GET of MPPS Retrieve)."""
    target = parse(peer)
    check_uid(uid)

    from pydicom.datadict import tag_for_keyword

    from dulcimer.services import mpps

    tags = []
    for keyword in attributes or []:
        tag = tag_for_keyword(keyword)
        if tag is None:
            raise Stop(Exit.USAGE, f"there is no attribute {keyword!r}; names are written as in PatientID")
        tags.append(tag)
    retrieve = mpps.MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE
    association = _associate(caller, target, retrieve)
    status, dataset = association.send_n_get(tags, retrieve, uid)
    code = _code(target, association, status)
    association.release()
    if code not in {0x0000, 0x0001, 0x0107}:
        if json:
            output.as_json(_answer(uid, status, None))
        raise Stop(Exit.FAILED, f"{target}: {_words(status, None)}", reported=json)
    if dataset is None:
        raise Stop(Exit.FAILED, f"{target} answered without a data set")
    if json:
        output.as_json(dataset.to_json_dict())
    else:
        show(dataset)
    if code:
        output.note(f"dulcimer: {target} does not support all of the attributes ({code:04X})")


def _associate(caller: Caller, target: Peer, class_uid: str) -> Any:
    from dulcimer import build_context

    association = caller.associate(target, [build_context(class_uid)])
    if not association.accepted_contexts:
        association.release()
        raise Stop(Exit.NO_ASSOCIATION, f"{target} does not offer SOP class {class_uid}")
    return association


def _report(
    target: Peer,
    association: Any,
    answer: tuple[Dataset, Dataset | None],
    uid: str,
    state: str,
    verb: str,
    *,
    json: bool,
) -> None:
    status, values = answer
    code = _code(target, association, status)
    association.release()
    done = code in {0x0000, 0x0001, 0x0107, 0x0116}
    if json:
        output.as_json({**_answer(uid, status, values), "state": state if done else None})
    elif done:
        output.line(uid if verb == "created" else f"{uid} {state}")
    if done and code:
        output.note(f"dulcimer: {target}: warning {_words(status, values)}")
    if not done:
        raise Stop(Exit.FAILED, f"{target}: the step was not {verb}: {_words(status, values)}", reported=json)


def _answer(uid: str, status: Dataset, values: Dataset | None) -> dict[str, object]:
    """What programs are told of a response."""
    error = status.get("ErrorID")
    return {
        "sop_instance_uid": uid,
        "status": f"{int(status.Status):04X}",
        "error_id": None if error is None else f"{int(error):04X}",
        "message": _words(status, values) if status.Status else "",
    }


def _code(target: Peer, association: Any, status: Dataset) -> int:
    if "Status" not in status:
        raise lost(target, association)
    return int(status.Status)


def _words(status: Dataset, values: Dataset | None) -> str:
    """Put a status with what came along into words."""
    from pydicom.datadict import keyword_for_tag

    from dulcimer.cli.statuses import N_STATUSES

    code = int(status.Status)
    parts = [f"{code:04X} {N_STATUSES.get(code, '')}".strip()]
    if comment := status.get("ErrorComment"):
        parts.append(str(comment))
    if (error := status.get("ErrorID")) is not None:
        parts.append(f"Error ID {int(error):04X}")
    tags = status.get("AttributeIdentifierList")
    if tags is not None:
        listed = [tags] if isinstance(tags, int) else list(tags)
        parts.append(", ".join(keyword_for_tag(tag) or str(tag) for tag in listed))
    if values:
        parts.append(", ".join(element.keyword or str(element.tag) for element in values))
    return "; ".join(part for part in parts if part)


def _pairs(attributes: list[str] | None) -> dict[str, str]:
    pairs = {}
    for text in attributes or []:
        keyword, equals, value = text.partition("=")
        if not equals:
            raise Stop(Exit.USAGE, f"{text!r} is not KEYWORD=VALUE")
        pairs[keyword.strip()] = value
    return pairs


def _instances(places: list[Path]) -> list[Dataset]:
    from pydicom import dcmread

    from dulcimer.cli.scan import scan

    for place in places:
        if not place.exists():
            raise Stop(Exit.USAGE, f"there is no {place}")
    found, _ = scan(places)
    if places and not found:
        raise Stop(Exit.USAGE, "none of the files of --images is a DICOM object")
    keywords = ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesDescription", "ProtocolName"]
    keywords += ["PerformingPhysicianName", "OperatorsName", "RetrieveAETitle"]
    datasets = [
        dcmread(file.path, force=True, stop_before_pixels=True, specific_tags=list(keywords))
        for file in found
    ]
    return [dataset for dataset in datasets if "SeriesInstanceUID" in dataset]
