"""``dulcimer list``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import typer

from dulcimer.cli import output
from dulcimer.cli.exits import EXIT_CODES, Exit, Stop
from dulcimer.cli.options import DataOption, JsonOption
from dulcimer.cli.serve import needs_extra

_DATA = Path("dulcimer-data")


def application() -> typer.Typer:
    """Build the verbs below ``list``."""
    app = typer.Typer(
        help="List what a node on this machine has stored, running or not.",
        epilog=EXIT_CODES,
        no_args_is_help=True,
    )
    app.command("studies", epilog=EXIT_CODES)(studies)
    app.command("steps", epilog=EXIT_CODES)(steps)
    return app


def studies(data: DataOption = _DATA, json: JsonOption = False) -> None:
    """List the studies, the latest first."""
    found = _read(data, "studies")
    if json:
        output.as_json([asdict(study) for study in found])
        return
    output.table(
        output.count(len(found), "study", "studies"),
        (
            "Patient ID",
            "Patient",
            "Date",
            "Modality",
            "Description",
            "Series",
            "Instances",
            "Study Instance UID",
        ),
        (
            (
                study.patient_id,
                study.patient_name,
                output.date(study.study_date),
                study.modalities,
                study.description,
                study.series,
                study.instances,
                study.study_instance_uid or "(no Study Instance UID)",
            )
            for study in found
        ),
    )


def steps(data: DataOption = _DATA, json: JsonOption = False) -> None:
    """List the performed procedure steps, the latest first."""
    found = _read(data, "steps")
    if json:
        output.as_json([asdict(step) for step in found])
        return
    output.table(
        output.count(len(found), "performed procedure step"),
        ("Status", "Patient ID", "Patient", "Modality", "Station", "Started", "Ended", "SOP Instance UID"),
        (
            (
                step.status,
                step.patient_id,
                step.patient_name,
                step.modality,
                step.station_aet,
                output.date(step.started),
                output.date(step.ended),
                step.sop_instance_uid,
            )
            for step in found
        ),
    )


def _read(data: Path, what: Literal["studies", "steps"]) -> list[Any]:
    try:
        from sqlalchemy.exc import DatabaseError

        from dulcimer.node.adapters.database import open_to_read
        from dulcimer.node.adapters.index import list_studies
        from dulcimer.node.adapters.steps import list_steps
    except ModuleNotFoundError as error:
        raise needs_extra(error) from None
    file = data / "index.sqlite"
    if not file.is_file():
        raise Stop(Exit.USAGE, f"there is no index in {data}; name the node's data folder with --data")
    engine = open_to_read(file)
    try:
        return list_studies(engine) if what == "studies" else list_steps(engine)
    except DatabaseError as error:
        raise Stop(Exit.USAGE, f"the index {file} cannot be read: {error.orig}") from None
    finally:
        engine.dispose()
