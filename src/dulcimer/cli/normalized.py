"""``dulcimer nset``, ``ncreate``, ``nget``, ``naction``, ``ndelete``, ``nevent``: any DIMSE-N request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dulcimer.cli import output
from dulcimer.cli.calling import calls
from dulcimer.cli.datasets import AttributesArgument, FileOption, attributes, check_uid, show, tags
from dulcimer.cli.exits import EXIT_CODES, Exit, Stop
from dulcimer.cli.options import JsonOption, PeerArgument
from dulcimer.cli.peer import Caller, Peer, parse
from dulcimer.cli.requests import associated

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydicom.dataset import Dataset

    from dulcimer import Association

_Class = Annotated[
    str,
    typer.Option(
        "--class", metavar="NAME|UID", help="SOP class, for example ModalityPerformedProcedureStep."
    ),
]
_Instance = Annotated[str, typer.Option("--instance", metavar="UID", help="SOP Instance UID.")]
_Context = Annotated[
    str,
    typer.Option(
        "--context",
        metavar="NAME|UID",
        help="Abstract syntax to negotiate, where it is not the SOP class (UPS, meta SOP classes).",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for name, verb in (
        ("ncreate", ncreate),
        ("nset", nset),
        ("nget", nget),
        ("naction", naction),
        ("ndelete", ndelete),
        ("nevent", nevent),
    ):
        app.command(name, epilog=EXIT_CODES)(verb)


@calls
def ncreate(
    peer: PeerArgument,
    sop_class: _Class,
    values: AttributesArgument = None,
    instance: Annotated[
        str, typer.Option("--instance", metavar="UID", help="SOP Instance UID [default: the peer's choice].")
    ] = "",
    context: _Context = "",
    json_file: FileOption = None,
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Create an instance (N-CREATE)."""
    dataset = attributes(values, json_file)
    _request(
        peer, caller, sop_class, instance, context, json=json, operation="N-CREATE",
        send=lambda association, uid, **meta: association.send_n_create(
            dataset if len(dataset) else None, uid, instance or None, **meta
        ),
    )  # fmt: skip


@calls
def nset(
    peer: PeerArgument,
    sop_class: _Class,
    instance: _Instance,
    values: AttributesArgument = None,
    context: _Context = "",
    json_file: FileOption = None,
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Change attributes of an instance (N-SET)."""
    dataset = attributes(values, json_file)
    if not len(dataset):
        raise Stop(Exit.USAGE, "nothing to set: give attributes or --json-file")
    _request(
        peer, caller, sop_class, instance, context, json=json, operation="N-SET",
        send=lambda association, uid, **meta: association.send_n_set(dataset, uid, instance, **meta),
    )  # fmt: skip


@calls
def nget(
    peer: PeerArgument,
    sop_class: _Class,
    instance: _Instance,
    keywords: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEYWORD", help="Attributes to get [default: all of them].", show_default=False
        ),
    ] = None,
    context: _Context = "",
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Get attributes of an instance (N-GET)."""
    wanted = tags(keywords)
    _request(
        peer, caller, sop_class, instance, context, json=json, operation="N-GET",
        send=lambda association, uid, **meta: association.send_n_get(wanted, uid, instance, **meta),
    )  # fmt: skip


@calls
def naction(
    peer: PeerArgument,
    sop_class: _Class,
    instance: _Instance,
    action: Annotated[int, typer.Option("--type", metavar="N", min=0, max=65535, help="Action Type ID.")],
    values: AttributesArgument = None,
    context: _Context = "",
    json_file: FileOption = None,
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Have an action performed on an instance (N-ACTION)."""
    dataset = attributes(values, json_file)
    _request(
        peer, caller, sop_class, instance, context, json=json, operation=f"N-ACTION {action}",
        send=lambda association, uid, **meta: association.send_n_action(
            dataset if len(dataset) else None, action, uid, instance, **meta
        ),
    )  # fmt: skip


@calls
def ndelete(
    peer: PeerArgument,
    sop_class: _Class,
    instance: _Instance,
    context: _Context = "",
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Delete an instance (N-DELETE)."""
    _request(
        peer, caller, sop_class, instance, context, json=json, operation="N-DELETE",
        send=lambda association, uid, **meta: (association.send_n_delete(uid, instance, **meta), None),
    )  # fmt: skip


@calls
def nevent(
    peer: PeerArgument,
    sop_class: _Class,
    instance: _Instance,
    event: Annotated[int, typer.Option("--type", metavar="N", min=0, max=65535, help="Event Type ID.")],
    values: AttributesArgument = None,
    context: _Context = "",
    json_file: FileOption = None,
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Report an event of an instance, as its SCP (N-EVENT-REPORT)."""
    dataset = attributes(values, json_file)
    _request(
        peer, caller, sop_class, instance, context, json=json, operation=f"N-EVENT-REPORT {event}",
        as_scp=True,
        send=lambda association, uid, **meta: association.send_n_event_report(
            dataset if len(dataset) else None, event, uid, instance, **meta
        ),
    )  # fmt: skip


def _request(
    peer: str,
    caller: Caller,
    sop_class: str,
    instance: str,
    context: str,
    *,
    json: bool,
    operation: str,
    send: Callable[..., tuple[Dataset, Dataset | None]],
    as_scp: bool = False,
) -> None:
    target = parse(peer)
    check_uid(instance)
    class_uid = _class(sop_class)
    context_uid = _class(context) if context else class_uid

    from dulcimer import build_context, build_role

    proposed = [build_context(context_uid)]
    roles = [build_role(context_uid, scp_role=True)] if as_scp else []
    with associated(caller, target, proposed, extended=roles, json=json) as association:
        _must_carry(association, target, context_uid, as_scp=as_scp)
        # Without a context of its own a UPS command finds any that carries it.
        meta: dict[str, Any] = {"meta_uid": context_uid} if context_uid != class_uid else {}
        status, dataset = send(association, class_uid, **meta)
        _report(association, class_uid, operation, status, dataset, instance, json=json)


def _must_carry(association: Association, target: Peer, uid: str, *, as_scp: bool) -> None:
    role = "SCP" if as_scp else "SCU"
    for context in association.accepted_contexts:
        if context.abstract_syntax == uid and (context.as_scp if as_scp else context.as_scu):
            return
    raise Stop(Exit.NO_ASSOCIATION, f"{target} does not take us as {role} of SOP class {uid}")


def _report(
    association: Association,
    class_uid: str,
    operation: str,
    status: Dataset,
    dataset: Dataset | None,
    instance: str,
    *,
    json: bool,
) -> None:
    from dulcimer.scu.answers import accepted
    from dulcimer.scu.errors import Refusal, meaning_of

    code = accepted(association, class_uid, operation, status, dataset)
    uid = str(status.get("AffectedSOPInstanceUID") or instance)
    has_values = dataset is not None and len(dataset)
    if json:
        warning = Refusal.of(class_uid, operation, status) if code else None
        output.as_json(
            {
                "status": f"{code:04X}",
                "sop_instance_uid": uid,
                "message": "" if warning is None else str(warning),
                "dataset": dataset.to_json_dict() if dataset is not None else None,
            }
        )
        return
    if code:
        output.note(f"dulcimer: warning {Refusal.of(class_uid, operation, status)}")
    if has_values and dataset is not None:
        show(dataset)
    else:
        words = meaning_of(class_uid, code) if code else "Success"
        output.line(uid if operation == "N-CREATE" else f"{uid} {code:04X} {words}".rstrip())


def _class(text: str) -> str:
    """Return the UID of a SOP class that is given by its UID or name."""
    from dulcimer.services.registry import REGISTRY

    if text[:1].isdigit():
        check_uid(text)
        return text
    uid = REGISTRY.uid_for(text)
    if uid is None:
        close = [word for word in REGISTRY.keywords if text.lower() in word.lower()]
        hint = f"; did you mean {', '.join(close[:5])}?" if close else ""
        raise Stop(Exit.USAGE, f"there is no SOP class {text!r}{hint}")
    return uid
