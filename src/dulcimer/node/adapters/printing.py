"""The node's printer: jobs in its database, their contents and the films in its data folder."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dulcimer.node.adapters.instances import SqlRepository
from dulcimer.scp.print_management import FolderSpool, PrintService
from dulcimer.services import print_management as rules

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from dulcimer.node.adapters.database import Database
    from dulcimer.printing.folder import FilmFolder
    from dulcimer.services.printer import Printer
    from dulcimer.services.rules import Level

_log: Final = logging.getLogger("dulcimer.node")

JOBS: Final = "print-job"
"""The kind of the jobs in the database; their state is Execution Status."""


def missing_packages() -> list[str]:
    """List the packages that printing needs and that are not installed."""
    return [name for name, module in (("numpy", "numpy"), ("pillow", "PIL")) if find_spec(module) is None]


def make_printer(
    database: Database, films: Path, printer: Printer, *, level: Level, flush: bool
) -> PrintService:
    """Make the service; what an earlier run has left is printed.

    Parameters
    ----------
    database
        The node's database.
    films
        The folder for the films; what waits is in ``queue`` below it.
    printer
        The printer's characteristics.
    level
        How strict the rules are.
    flush
        Whether files are flushed to the disk.
    """
    service = PrintService(
        _Films(films, printer, flush),
        printer,
        SqlRepository(database, JOBS, lambda job: str(job.get("ExecutionStatus") or "")),
        FolderSpool(films / "queue", flush=flush),
        level=level,
    )
    service.on("job", _note_job)
    service.on("printer", _note_printer)
    return service


class _Films:
    """The folder of films, which loads what it renders with when there is something to render."""

    def __init__(self, folder: Path, printer: Printer, flush: bool) -> None:
        self._arguments = (folder, printer)
        self._flush = flush
        self._films: FilmFolder | None = None

    def __call__(self, name: str, film: Dataset) -> None:
        from dulcimer.printing.folder import FilmFolder

        if self._films is None:
            self._films = FilmFolder(*self._arguments, flush=self._flush)
        self._films(name, film)


def _note_job(uid: str, job: Dataset) -> None:
    status = str(job.ExecutionStatus)
    count = len(job.get("FilmBoxContentSequence") or [])
    what = "1 film" if count == 1 else f"{count} films"
    fields = {"job": uid, "status": status, "films": count, "originator": str(job.get("Originator") or "")}
    text = f"print job {uid}: {status}, {what} of {fields['originator']}"
    level = logging.ERROR if status == rules.FAILURE else logging.INFO
    _log.log(level, text, extra={"fields": fields})


def _note_printer(status: str, information: str) -> None:
    level = logging.INFO if status == "NORMAL" else logging.ERROR
    _log.log(level, "printer: %s (%s)", status, information)
