"""``dulcimer worklist``."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dulcimer.cli import output
from dulcimer.cli.exits import EXIT_CODES, Exit, Stop
from dulcimer.cli.options import DataOption, JsonOption
from dulcimer.cli.serve import needs_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import Dataset

    from dulcimer.node.adapters.database import Database

_DATA = Path("dulcimer-data")
_MOST_SHOWN = 20
_AT_A_TIME = 250
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only check; put nothing in.")]


def application() -> typer.Typer:
    """Build the verbs below ``worklist``."""
    app = typer.Typer(
        help="Put items into the worklist of a node on this machine, running or not, and list them.",
        epilog=EXIT_CODES,
        no_args_is_help=True,
    )
    app.command("add", epilog=EXIT_CODES)(add)
    app.command("import", epilog=EXIT_CODES)(import_)
    app.command("list", epilog=EXIT_CODES)(list_)
    app.command("remove", epilog=EXIT_CODES)(remove)
    return app


def add(
    attributes: Annotated[
        list[str],
        typer.Argument(
            metavar="KEYWORD=VALUE",
            help="Attributes of the item, for example PatientID=P1 Modality=CT; a code is "
            "value^scheme^meaning.",
            show_default=False,
        ),
    ],
    data: DataOption = _DATA,
    dry_run: _DryRun = False,
    json: JsonOption = False,
) -> None:
    """Put in one item.

    PatientName, PatientID, Modality, ScheduledStationAETitle and a description are needed. A step without
    start starts now; UIDs and IDs that are not given are made.
    """
    from datetime import datetime

    from dulcimer.cli.worklist_files import keyword_of
    from dulcimer.services import worklist

    values: dict[str, str] = {}
    for text in attributes:
        name, equals, value = text.partition("=")
        keyword = keyword_of(name)
        if not equals or keyword is None:
            why = f"there is no attribute {name!r}" if equals else f"{text!r} is not KEYWORD=VALUE"
            raise Stop(Exit.USAGE, f"{why}; names are written as in PatientID=P1")
        values[keyword] = value
    try:
        item = worklist.item(values, now=datetime.now())
    except worklist.Unusable as error:
        raise Stop(Exit.USAGE, str(error)) from None
    if problems := worklist.validate(item):
        raise Stop(Exit.USAGE, "; ".join(problems))
    _put([item], data, dry_run=dry_run)
    row = next(_rows(worklist.key_of(item), item))
    if json:
        output.as_json(row)
    else:
        verb = "would be added" if dry_run else "added"
        output.line(f"{verb} {row['ScheduledProcedureStepID']} of study {row['StudyInstanceUID']}")


def import_(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE|FOLDER",
            help="CSV with a heading of keywords or names, JSON, DICOM files (.wl), folders of them.",
            show_default=False,
        ),
    ],
    data: DataOption = _DATA,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Put in what can be, though something cannot.")
    ] = False,
    dry_run: _DryRun = False,
    json: JsonOption = False,
) -> None:
    """Put in the items of files: all of them, or none if one cannot be used.

    An item that is there already (the same study and step IDs) is replaced and keeps its status.
    """
    from datetime import datetime

    from dulcimer.cli import worklist_files

    now = datetime.now()
    found: list[worklist_files.Found] = []
    bad: list[worklist_files.Bad] = []
    for path in worklist_files.files(paths):
        for each in worklist_files.read(path, now):
            if isinstance(each, worklist_files.Bad):
                bad.append(each)
            else:
                found.append(each)
    if not json:
        for problem in bad[:_MOST_SHOWN]:
            output.note(f"{problem.where}: {problem.reason}")
        if len(bad) > _MOST_SHOWN:
            output.note(f"… and {len(bad) - _MOST_SHOWN} more (--json lists them all)")
    used = found if skip_bad or not bad else []
    _put([each.item for each in used], data, dry_run=dry_run)
    if json:
        output.as_json(
            {
                "imported": 0 if dry_run else len(used),
                "good": len(found),
                "bad": [{"where": each.where, "reason": each.reason} for each in bad],
                "dry_run": dry_run,
            }
        )
    elif used or not bad:
        verb = "would be imported" if dry_run else "imported"
        output.line(f"{output.count(len(used), 'item')} {verb}")
    if bad:
        nothing = "" if used else "; nothing was imported"
        raise Stop(Exit.USAGE, f"{output.count(len(bad), 'item')} cannot be used{nothing}", reported=json)
    if not found:
        raise Stop(Exit.USAGE, "there is no item in these files", reported=json)


def list_(
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEYWORD=VALUE",
            help="Only what matches, as a query would: Modality=CT, PatientName=Doe*, "
            "ScheduledProcedureStepStartDate=20260101-20260131.",
            show_default=False,
        ),
    ] = None,
    data: DataOption = _DATA,
    json: JsonOption = False,
) -> None:
    """List the scheduled procedure steps, those that start first on top."""
    from dulcimer.errors import Refused
    from dulcimer.services import worklist

    identifier = _identifier(keys or [])
    rows: list[dict[str, str]] = []
    with _database(data, make=False) as database:
        from dulcimer.node.adapters.worklist import SqlWorklistSearch

        try:
            wanted = worklist.read(identifier)
        except Refused as refusal:
            raise Stop(Exit.USAGE, str(refusal)) from None
        for uid, item in SqlWorklistSearch(database)(worklist.narrowing(wanted)):
            for view in worklist.views(item):
                if wanted.match(view):
                    rows += _rows(uid, view)
    rows.sort(
        key=lambda row: (row["ScheduledProcedureStepStartDate"], row["ScheduledProcedureStepStartTime"])
    )
    if json:
        output.as_json(rows)
        return
    output.table(
        output.count(len(rows), "scheduled procedure step"),
        (
            "Start",
            "Status",
            "Patient ID",
            "Patient",
            "Modality",
            "Station",
            "Description",
            "Accession",
            "Step ID",
            "Key",
        ),
        (
            (
                output.date(
                    f"{row['ScheduledProcedureStepStartDate']} {row['ScheduledProcedureStepStartTime']}"
                ),
                row["ScheduledProcedureStepStatus"],
                row["PatientID"],
                row["PatientName"],
                row["Modality"],
                row["ScheduledStationAETitle"],
                row["ScheduledProcedureStepDescription"] or row["RequestedProcedureDescription"],
                row["AccessionNumber"],
                row["ScheduledProcedureStepID"],
                row["key"],
            )
            for row in rows
        ),
    )


def remove(
    keys: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY", help="Keys of items, as 'list' prints them.", show_default=False),
    ] = None,
    finished: Annotated[
        bool, typer.Option("--finished", help="Those whose steps are all COMPLETED or DISCONTINUED.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    data: DataOption = _DATA,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; remove nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Remove items."""
    if not (keys or finished or everything):
        raise Stop(Exit.USAGE, "name the keys of items, or say --finished or --all")

    from dulcimer.services import worklist

    named = list(dict.fromkeys(keys or ()))
    with _database(data, make=False) as database:
        from dulcimer.node.adapters.worklist import worklist_in

        repository = worklist_in(database)
        with repository.transaction() as transaction:
            missing = [key for key in named if transaction.get(key) is None]
            if missing:
                raise Stop(Exit.USAGE, f"there is no item {missing[0]}; nothing was removed")
            gone = list(named)
            if finished or everything:
                for uid, item in repository.all():
                    over = set(worklist.status_of(item).split("\\")) <= worklist.FINISHED
                    if uid not in named and (everything or over):
                        gone.append(uid)
            for uid in gone if not dry_run else ():
                transaction.delete(uid)
    if json:
        output.as_json({"removed": 0 if dry_run else len(gone), "keys": gone, "dry_run": dry_run})
    else:
        verb = "would be removed" if dry_run else "removed"
        output.line(f"{output.count(len(gone), 'item')} {verb}")


def _identifier(keys: list[str]) -> Dataset:
    from pydicom.datadict import dictionary_VR, tag_for_keyword
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    from dulcimer.cli.worklist_files import keyword_of
    from dulcimer.services import worklist

    identifier, step = Dataset(), Dataset()
    for text in keys:
        name, equals, value = text.partition("=")
        keyword = keyword_of(name)
        tag = None if keyword is None else tag_for_keyword(keyword)
        if not equals or tag is None or dictionary_VR(tag) == "SQ":
            raise Stop(Exit.USAGE, f"{text!r} is not KEYWORD=VALUE with an attribute that can be matched")
        of_step = worklist.is_key((worklist.STEPS, tag)) and not worklist.is_key((tag,))
        # Ranges and wild cards are no values of their VR, so nothing is checked here.
        (step if of_step else identifier)[tag] = DataElement(
            tag, dictionary_VR(tag), value, already_converted=dictionary_VR(tag) != "PN"
        )
    if len(step):
        identifier.ScheduledProcedureStepSequence = Sequence([step])
    return identifier


_SHOWN = (
    "PatientName",
    "PatientID",
    "AccessionNumber",
    "StudyInstanceUID",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
)
_SHOWN_OF_STEPS = (
    "ScheduledProcedureStepID",
    "ScheduledProcedureStepStatus",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "ScheduledStationAETitle",
    "Modality",
    "ScheduledProcedureStepDescription",
    "ScheduledPerformingPhysicianName",
)


def _rows(uid: str, item: Dataset) -> Iterator[dict[str, str]]:
    """Give what is shown of each step of an item."""
    from dulcimer.services import worklist

    for step in worklist.steps_of(item):
        yield {
            "key": uid,
            **{keyword: _text(item.get(keyword)) for keyword in _SHOWN},
            **{keyword: _text(step.get(keyword)) for keyword in _SHOWN_OF_STEPS},
        }


def _text(value: Any) -> str:
    if value is None:
        return ""
    several = not isinstance(value, str) and hasattr(value, "__iter__") and not hasattr(value, "components")
    return "\\".join(map(str, value)) if several else str(value)


def _put(items: list[Dataset], data: Path, *, dry_run: bool) -> None:
    if dry_run or not items:
        return
    from dulcimer.services import worklist

    with _database(data, make=True) as database:
        from dulcimer.node.adapters.worklist import worklist_in

        repository = worklist_in(database)
        # A node that runs has to wait for each transaction, so none is long.
        for first in range(0, len(items), _AT_A_TIME):
            with repository.transaction() as transaction:
                for item in items[first : first + _AT_A_TIME]:
                    uid = worklist.key_of(item)
                    transaction.put(uid, worklist.renewed(item, transaction.get(uid)))


@contextmanager
def _database(data: Path, *, make: bool) -> Iterator[Database]:
    """Open the database of a node, running or not."""
    try:
        from sqlalchemy.exc import DatabaseError

        from dulcimer.node.adapters.database import Database
    except ModuleNotFoundError as error:
        raise needs_extra(error) from None
    file = data / "index.sqlite"
    if not make and not file.is_file():
        raise Stop(Exit.USAGE, f"there is no index in {data}; name the node's data folder with --data")
    try:
        data.mkdir(parents=True, exist_ok=True)
        database = Database(file)
    except OSError as error:
        raise Stop(Exit.USAGE, f"{data} cannot be used: {error.strerror}") from None
    except DatabaseError as error:
        raise Stop(Exit.USAGE, f"the index {file} cannot be used: {error.orig}") from None
    try:
        yield database
    except DatabaseError as error:
        raise Stop(Exit.USAGE, f"the index {file} cannot be used: {error.orig}") from None
    finally:
        database.close()
