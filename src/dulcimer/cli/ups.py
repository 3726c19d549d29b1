"""``dulcimer ups``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dulcimer.cli import output
from dulcimer.cli.calling import calls
from dulcimer.cli.commit import address
from dulcimer.cli.datasets import AttributesArgument, FileOption, attributes, check_uid, show, tags
from dulcimer.cli.exits import EXIT_CODES, Exit, Stop
from dulcimer.cli.options import JsonOption, PeerArgument
from dulcimer.cli.peer import Caller, lost, parse
from dulcimer.cli.requests import associated

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from dulcimer.scu.ups import UpsEvent, UpsWorkitem

_Uid = Annotated[
    str, typer.Argument(metavar="UID", help="SOP Instance UID of the workitem.", show_default=False)
]
_Lock = Annotated[
    str,
    typer.Option("--transaction-uid", "-t", metavar="UID", help="The Transaction UID that claiming it gave."),
]
_EVENTS = {1: "state", 2: "cancel requested", 3: "progress", 4: "SCP status", 5: "assigned"}


def application() -> typer.Typer:
    """Build the verbs below ``ups``."""
    app = typer.Typer(
        help="Work on unified procedure steps (UPS) of a peer.", epilog=EXIT_CODES, no_args_is_help=True
    )
    for name, verb in (
        ("create", create),
        ("claim", claim),
        ("set", change),
        ("complete", complete),
        ("cancel", cancel),
        ("get", get),
        ("find", find),
        ("watch", watch),
    ):
        app.command(name, epilog=EXIT_CODES)(verb)
    return app


@calls
def create(
    peer: PeerArgument,
    values: AttributesArgument = None,
    json_file: FileOption = None,
    uid: Annotated[
        str, typer.Option("--uid", metavar="UID", help="SOP Instance UID [default: a new one].")
    ] = "",
    label: Annotated[str, typer.Option("--label", help="Procedure Step Label.")] = "",
    patient_id: Annotated[str, typer.Option("--patient-id", help="Patient ID.")] = "",
    patient_name: Annotated[str, typer.Option("--patient-name", help="Patient's Name, as Doe^Jane.")] = "",
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Create a workitem (N-CREATE), SCHEDULED, and print its UID."""
    target = parse(peer)
    check_uid(uid)
    workitem = attributes(values, json_file)
    for keyword, value in (
        ("ProcedureStepLabel", label),
        ("PatientID", patient_id),
        ("PatientName", patient_name),
    ):
        if value:
            setattr(workitem, keyword, value)
    for keyword, value in (
        ("ScheduledProcedureStepPriority", "MEDIUM"),
        ("ScheduledProcedureStepStartDateTime", datetime.now().strftime("%Y%m%d%H%M%S")),
        ("InputReadinessState", "READY"),
        ("ProcedureStepLabel", "Workitem"),
        ("WorklistLabel", "DEFAULT"),
    ):
        if not workitem.get(keyword):
            setattr(workitem, keyword, value)

    from dulcimer.cli.datasets import set_character_set
    from dulcimer.scu.ups import UpsWorkitem, contexts

    set_character_set(workitem)
    with associated(caller, target, contexts(events=False), json=json) as association:
        made = UpsWorkitem.create(association, workitem, uid=uid or None)
        _done(made, "created", json=json)


@calls
def claim(
    peer: PeerArgument,
    uid: _Uid,
    transaction_uid: _Lock = "",
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Take a workitem (N-ACTION): it is IN PROGRESS. Prints the Transaction UID, which later verbs need."""
    target = parse(peer)
    for value in (uid, transaction_uid):
        check_uid(value)

    from dulcimer.scu.ups import UpsWorkitem, contexts

    with associated(caller, target, contexts(events=False), json=json) as association:
        workitem = UpsWorkitem(association, uid)
        given = workitem.claim(transaction_uid or None)
        if json:
            output.as_json({**_answer(workitem), "transaction_uid": given})
        else:
            output.line(given)


@calls
def change(
    peer: PeerArgument,
    uid: _Uid,
    values: AttributesArgument = None,
    transaction_uid: _Lock = "",
    percent: Annotated[
        float | None, typer.Option("--progress", metavar="PERCENT", min=0, max=100, help="How far it is.")
    ] = None,
    description: Annotated[str, typer.Option("--description", help="What is being done.")] = "",
    json_file: FileOption = None,
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Change a workitem (N-SET)."""
    target = parse(peer)
    for value in (uid, transaction_uid):
        check_uid(value)
    update = attributes(values, json_file)

    from dulcimer.scu.ups import UpsWorkitem, contexts

    with associated(caller, target, contexts(events=False), json=json) as association:
        workitem = UpsWorkitem(association, uid, transaction_uid)
        if (percent is not None or description) and len(update) == 0:
            # A sequence is replaced as a whole: what it has already is sent again.
            workitem.get()
        workitem.progress(percent, description, change=update)
        _done(workitem, "set", json=json)


@calls
def complete(
    peer: PeerArgument,
    uid: _Uid,
    values: AttributesArgument = None,
    transaction_uid: _Lock = "",
    json_file: FileOption = None,
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """End a workitem as COMPLETED (N-SET, N-ACTION).

    What its final state needs and nobody gives is taken from what was scheduled: the work that was performed
    is that, here, from the claim until now, without output.
    """
    target = parse(peer)
    for value in (uid, transaction_uid):
        check_uid(value)
    update = attributes(values, json_file)

    from dulcimer.scu.ups import UpsWorkitem, contexts

    with associated(caller, target, contexts(events=False), json=json) as association:
        workitem = UpsWorkitem(association, uid, transaction_uid)
        known = workitem.get()
        if not transaction_uid:
            raise Stop(Exit.USAGE, "only who claimed a workitem completes it: give --transaction-uid")
        _fill_performed(update, known, caller.ae_title)
        workitem.complete(change=update)
        _done(workitem, "completed", json=json)


@calls
def cancel(
    peer: PeerArgument,
    uid: _Uid,
    transaction_uid: _Lock = "",
    reason: Annotated[str, typer.Option("--reason", help="Why, for the performer who is asked.")] = "",
    code: Annotated[str, typer.Option("--code", metavar="VALUE^SCHEME^MEANING", help="Why, as a code.")] = "",
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Cancel a workitem: as its performer with --transaction-uid, else by asking for it (N-ACTION)."""
    target = parse(peer)
    for value in (uid, transaction_uid):
        check_uid(value)
    coded = _code(code) if code else None

    from dulcimer.scu.ups import UpsWorkitem, contexts

    with associated(caller, target, contexts(events=False), json=json) as association:
        workitem = UpsWorkitem(association, uid, transaction_uid)
        if transaction_uid:
            workitem.get()
            workitem.cancel(coded)
            _done(workitem, "canceled", json=json)
        else:
            workitem.request_cancel(reason, code=coded)
            _done(workitem, "cancellation requested", json=json)


@calls
def get(
    peer: PeerArgument,
    uid: _Uid,
    keywords: Annotated[
        list[str] | None,
        typer.Option(
            "--attribute", "-a", metavar="KEYWORD", help="Ask for this attribute only; may be repeated."
        ),
    ] = None,
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Get a workitem (N-GET)."""
    target = parse(peer)
    check_uid(uid)
    tags(keywords)

    from dulcimer.scu.ups import UpsWorkitem, contexts

    with associated(caller, target, contexts(events=False), json=json) as association:
        workitem = UpsWorkitem(association, uid)
        found = workitem.get(*(keywords or ()))
        if json:
            output.as_json(found.to_json_dict())
        else:
            show(found)
        if workitem.status:
            output.note(f"dulcimer: {target} does not support all of the attributes ({workitem.status:04X})")


@calls
def find(
    peer: PeerArgument,
    values: AttributesArgument = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=0, help="Stop after so many; 0: all.")
    ] = 0,
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Find workitems (C-FIND), for example ProcedureStepState=SCHEDULED or PatientName=Doe*."""
    target = parse(peer)
    query = attributes(values)
    for keyword in _COLUMNS:
        if keyword not in query:
            setattr(query, keyword, None)

    from dulcimer import build_context
    from dulcimer.scu.answers import accepted, context_of
    from dulcimer.services import ups as rules

    found: list[Dataset] = []
    with associated(caller, target, [build_context(rules.QUERY)], json=json) as association:
        context_of(association, (rules.QUERY,))
        for status, match in association.send_c_find(query, rules.QUERY):
            if "Status" not in status:
                raise lost(target, association)
            if status.Status not in (0xFF00, 0xFF01):
                accepted(association, rules.QUERY, "C-FIND", status)
            elif match is not None:
                found.append(match)
                if limit and len(found) == limit:
                    break
    if json:
        output.as_json([match.to_json_dict() for match in found])
        return
    output.table(
        output.count(len(found), "workitem"),
        ("State", "Priority", "Start", "Label", "Patient", "ID", "UID"),
        [[_text(match, keyword) for keyword in _COLUMNS] for match in found],
    )


@calls
def watch(
    peer: PeerArgument,
    uid: Annotated[
        str, typer.Argument(metavar="UID", help="A workitem [default: all of them].", show_default=False)
    ] = "",
    listen: Annotated[
        str,
        typer.Option(
            "--listen", metavar="[HOST:]PORT", help="Also take events on associations that the peer opens."
        ),
    ] = "",
    lock: Annotated[bool, typer.Option("--lock", help="Have ended workitems kept while watching.")] = False,
    count: Annotated[
        int, typer.Option("--count", "-n", metavar="N", min=0, help="End after so many events.")
    ] = 0,
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Subscribe to events of workitems and print them until Ctrl-C (N-ACTION, N-EVENT-REPORT)."""
    target = parse(peer)
    check_uid(uid)

    from queue import SimpleQueue

    from dulcimer.scu.ups import UpsSubscriber, contexts, event_context
    from dulcimer.services import ups as rules

    events: SimpleQueue[UpsEvent | None] = SimpleQueue()
    ended = lambda event: events.put(None)  # noqa: E731
    server = _listener(caller, listen, UpsSubscriber(events.put), event_context()) if listen else None
    try:
        with associated(caller, target, contexts(), _end_handlers(ended), json=False) as association:
            # There is nothing to time out on while nothing happens.
            association.network_timeout = None
            subscriber = UpsSubscriber(events.put, association)
            instance = uid or rules.GLOBAL_SUBSCRIPTION
            subscriber.subscribe(instance, deletion_lock=lock)
            output.note(f"dulcimer: watching {uid or 'all workitems'} of {target}")
            seen = 0
            try:
                while not count or seen < count:
                    event = events.get()
                    if event is None:
                        raise lost(target, association)
                    seen += 1
                    _print_event(event, json=json)
            finally:
                if association.is_established:
                    subscriber.unsubscribe(instance)
    finally:
        if server is not None:
            server.shutdown()


_COLUMNS = (
    "ProcedureStepState",
    "ScheduledProcedureStepPriority",
    "ScheduledProcedureStepStartDateTime",
    "ProcedureStepLabel",
    "PatientName",
    "PatientID",
    "SOPInstanceUID",
)


def _listener(caller: Caller, listen: str, subscriber: Any, context: str) -> Any:
    entity = caller.entity()
    entity.add_supported_context(context, scu_role=True, scp_role=True)
    try:
        return entity.start_server(address(listen), block=False, evt_handlers=subscriber.handlers())
    except OSError as error:
        raise Stop(Exit.USAGE, f"--listen {listen}: {error.strerror or error}") from None


def _end_handlers(ended: Any) -> list[Any]:
    from dulcimer import evt

    return [(evt.EVT_RELEASED, ended), (evt.EVT_ABORTED, ended), (evt.EVT_CONN_CLOSE, ended)]


def _print_event(event: UpsEvent, *, json: bool) -> None:
    if json:
        output.as_json_line(
            {
                "sop_instance_uid": event.uid,
                "event_type": event.event_type,
                "information": event.information.to_json_dict(),
            }
        )
        return
    parts = [_EVENTS.get(event.event_type, str(event.event_type))]
    parts += [
        _text(event.information, keyword)
        for keyword in ("ProcedureStepState", "InputReadinessState", "RequestingAE", "ReasonForCancellation")
        if event.information.get(keyword)
    ]
    for progress in event.information.get("ProcedureStepProgressInformationSequence") or ():
        if progress.get("ProcedureStepProgress") is not None:
            parts.append(f"{progress.ProcedureStepProgress} %")
        if progress.get("ProcedureStepProgressDescription"):
            parts.append(_text(progress, "ProcedureStepProgressDescription"))
    output.line("\t".join([event.uid, *map(output.flat, parts)]))


def _fill_performed(update: Dataset, known: Dataset, ae_title: str) -> None:
    """Put into a modification list what the final state needs and the workitem does not have yet."""
    from copy import deepcopy

    from pydicom.dataset import Dataset

    sequence = "UnifiedProcedureStepPerformedProcedureSequence"
    if not update.get(sequence):
        stored = known.get(sequence)
        setattr(update, sequence, [deepcopy(stored[0]) if stored else Dataset()])
    item = update[sequence].value[0]
    now = datetime.now().strftime("%Y%m%d%H%M%S")
    station = Dataset()
    station.CodeValue, station.CodingSchemeDesignator, station.CodeMeaning = ae_title, "99AET", ae_title
    for keyword, value in (
        (
            "PerformedStationNameCodeSequence",
            list(known.get("ScheduledStationNameCodeSequence") or ()) or [station],
        ),
        (
            "PerformedProcedureStepStartDateTime",
            known.get("ScheduledProcedureStepModificationDateTime") or now,
        ),
        ("PerformedProcedureStepEndDateTime", now),
        ("PerformedWorkitemCodeSequence", list(known.get("ScheduledWorkitemCodeSequence") or ())),
        ("OutputInformationSequence", []),
    ):
        if keyword not in item:
            setattr(item, keyword, value)


def _code(text: str) -> Dataset:
    from pydicom.dataset import Dataset

    parts = text.split("^")
    if len(parts) != 3 or not all(parts):
        raise Stop(Exit.USAGE, f"{text!r} is no code: write VALUE^SCHEME^MEANING, as in 110514^DCM^Incorrect")
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = parts
    return item


def _done(workitem: UpsWorkitem, what: str, *, json: bool) -> None:
    from dulcimer.scu.errors import meaning_of
    from dulcimer.services import ups as rules

    if json:
        output.as_json(_answer(workitem))
    elif what == "created":
        output.line(workitem.uid)
    else:
        output.line(f"{workitem.uid} {what}")
    if workitem.status:
        words = meaning_of(rules.PUSH, workitem.status)
        output.note(f"dulcimer: warning {workitem.status:04X} {words}".rstrip())


def _answer(workitem: UpsWorkitem) -> dict[str, object]:
    return {
        "sop_instance_uid": workitem.uid,
        "status": f"{workitem.status:04X}",
        "state": workitem.state or None,
    }


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value)
