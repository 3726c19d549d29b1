"""``dulcimer list``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dulcimer.cli import output
from dulcimer.cli.exits import Exit, Stop
from dulcimer.cli.options import DataOption, JsonOption
from dulcimer.cli.serve import needs_extra

if TYPE_CHECKING:
    from sqlalchemy import Engine

_DATA = Path("dulcimer-data")


def application() -> typer.Typer:
    """Build the verbs below ``list``."""
    app = typer.Typer(
        help="List what a node on this machine has stored, running or not.", no_args_is_help=True
    )
    app.command("studies")(studies)
    app.command("steps")(steps)
    return app


def studies(data: DataOption = _DATA, json: JsonOption = False) -> None:
    """List the studies, the latest first."""
    engine = _open(data)

    from dulcimer.node.adapters.index import list_studies

    found = list_studies(engine)
    if json:
        output.as_json([asdict(study) for study in found])
        return
    output.table(
        f"{len(found)} studies",
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
                study.study_date,
                study.modalities,
                study.description,
                study.series,
                study.instances,
                study.study_instance_uid or "(cannot be decoded)",
            )
            for study in found
        ),
    )


def steps(data: DataOption = _DATA, json: JsonOption = False) -> None:
    """List the performed procedure steps, the latest first."""
    engine = _open(data)

    from dulcimer.node.adapters.steps import list_steps

    found = list_steps(engine)
    if json:
        rows = [asdict(step) for step in found]
        for row in rows:
            del row["data"]
        output.as_json(rows)
        return
    output.table(
        f"{len(found)} performed procedure steps",
        ("Status", "Patient ID", "Patient", "Modality", "Station", "Started", "Ended", "SOP Instance UID"),
        (
            (
                step.status,
                step.patient_id,
                step.patient_name,
                step.modality,
                step.station_aet,
                step.started,
                step.ended,
                step.sop_instance_uid,
            )
            for step in found
        ),
    )


def _open(data: Path) -> Engine:
    try:
        from dulcimer.node.adapters.database import open_to_read
    except ModuleNotFoundError as error:
        raise needs_extra(error) from None
    file = data / "index.sqlite"
    if not file.is_file():
        raise Stop(Exit.USAGE, f"there is no index in {data}; name the node's data folder with --data")
    return open_to_read(file)
