"""``dulcimer print``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dulcimer.cli import output
from dulcimer.cli.calling import calls
from dulcimer.cli.exits import Exit, Stop
from dulcimer.cli.options import JsonOption, PeerArgument
from dulcimer.cli.peer import Caller, lost, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dulcimer.scu.print_management import PrintJob, PrintSession

_FAILURE = "FAILURE"


@calls
def print_(
    peer: PeerArgument,
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE|FOLDER…",
            help="Images, every frame of them; folders are searched.",
            show_default=False,
        ),
    ],
    layout: Annotated[
        str,
        typer.Option(
            "--layout",
            metavar="LAYOUT",
            help="2x3 (columns by rows), or as in DICOM: STANDARD\\2,3, ROW\\1,2, COL\\2,1, SLIDE "
            "[default: as many images as there are, up to 4x5].",
        ),
    ] = "",
    film_size: Annotated[
        str,
        typer.Option(
            "--film-size", metavar="SIZE", help="As in 14INX17IN, 24CMX30CM, A4 [default: the printer's]."
        ),
    ] = "",
    landscape: Annotated[bool, typer.Option("--landscape", help="Turn the film.")] = False,
    copies: Annotated[int, typer.Option("--copies", metavar="N", min=1, help="How many of each film.")] = 1,
    color: Annotated[bool, typer.Option("--color", help="Print in colour.")] = False,
    bits: Annotated[int, typer.Option("--bits", metavar="8|12", help="Bits of grey pixels.")] = 8,
    window: Annotated[
        str, typer.Option("--window", metavar="CENTER,WIDTH", help="In place of the images' own window.")
    ] = "",
    magnification: Annotated[
        str, typer.Option("--magnification", metavar="TYPE", help="REPLICATE, BILINEAR, CUBIC or NONE.")
    ] = "",
    reverse: Annotated[bool, typer.Option("--reverse", help="Exchange black and white.")] = False,
    too_large: Annotated[
        str,
        typer.Option(
            "--too-large", metavar="WHAT", help="Of images too large for their boxes: DECIMATE, CROP or FAIL."
        ),
    ] = "",
    image_size: Annotated[
        float | None, typer.Option("--image-size", metavar="MM", help="Width of an image.")
    ] = None,
    border: Annotated[
        str, typer.Option("--border", metavar="DENSITY", help="BLACK, WHITE or hundredths of OD.")
    ] = "",
    trim: Annotated[bool, typer.Option("--trim", help="A line around each image.")] = False,
    lut: Annotated[
        str, typer.Option("--lut", metavar="SHAPE", help="Presentation LUT: IDENTITY or LIN OD.")
    ] = "",
    annotation_format: Annotated[
        str, typer.Option("--annotation-format", metavar="ID", help="Annotation Display Format ID.")
    ] = "",
    annotations: Annotated[
        list[str] | None, typer.Option("--annotation", metavar="TEXT", help="May be repeated.")
    ] = None,
    medium: Annotated[
        str, typer.Option("--medium", metavar="TYPE", help="As in PAPER, CLEAR FILM, BLUE FILM.")
    ] = "",
    destination: Annotated[
        str, typer.Option("--destination", metavar="WHERE", help="As in MAGAZINE, PROCESSOR, BIN_1.")
    ] = "",
    priority: Annotated[str, typer.Option("--priority", metavar="HIGH|MED|LOW", help="Print Priority.")] = "",
    label: Annotated[str, typer.Option("--label", metavar="TEXT", help="Film Session Label.")] = "",
    together: Annotated[
        bool, typer.Option("--together", help="One job for all films: print the film session.")
    ] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Do not wait until the printer reports the films as done.")
    ] = False,
    wait: Annotated[
        float, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait for that.")
    ] = 120.0,
    caller: Caller = Caller(),  # noqa: B008 - immutable
    json: JsonOption = False,
) -> None:
    """Print images on film.

    Prints a line for each job: its UID and what became of it. The exit code is 1 if a film was refused or its
    job failed.
    """
    target = parse(peer)
    files = _files(paths)
    center_and_width = _window(window)

    from dulcimer.errors import AssociationError
    from dulcimer.scu import print_management as scu
    from dulcimer.scu.errors import IllegalStep, Refusal

    try:
        from dulcimer.printing.preparing import NotPrintable, images
    except ModuleNotFoundError as error:
        raise _needs_extra(error) from None
    try:
        # All of them before anything is sent, for the layout too.
        items = list(images(files, color=color, bits=12 if bits == 12 else 8, window=center_and_width))
    except NotPrintable as error:
        raise Stop(Exit.USAGE, str(error)) from None
    if not items:
        raise Stop(Exit.USAGE, "there is nothing to print")
    association = caller.associate(target, scu.contexts(color=color))
    jobs: list[PrintJob] = []
    session: PrintSession | None = None
    trouble: Stop | None = None
    try:
        session = scu.PrintSession(
            association,
            color=color,
            copies=copies if copies != 1 else None,
            priority=priority.upper(),
            medium=medium.upper(),
            destination=destination.upper(),
            label=label,
        )
        jobs = session.print_images(
            items,
            _layout(layout, len(items)),
            film_size.upper(),
            "LANDSCAPE" if landscape else "",
            magnification.upper(),
            bits=bits,
            polarity="REVERSE" if reverse else "",
            decimate_crop=too_large.upper(),
            image_size=image_size,
            border=border.upper(),
            trim=True if trim else None,
            presentation_lut=lut.upper(),
            annotation_format=annotation_format,
            annotations=annotations or (),
            together=together,
        )
        if not no_wait:
            for job in jobs:
                job.wait(wait)
        session.close()
    except IllegalStep as error:
        trouble = Stop(Exit.USAGE, str(error))
    except Refusal as error:
        trouble = Stop(Exit.FAILED, f"{target}: {error}", reported=json)
    except AssociationError:
        raise lost(target, association) from None
    warnings = [] if session is None else session.warnings
    association.release()
    _report(jobs, warnings, trouble, json=json)
    if trouble is not None:
        raise trouble
    failed = sum(job.status == _FAILURE for job in jobs)
    if failed:
        raise Stop(Exit.FAILED, f"{target}: {output.count(failed, 'print job')} failed", reported=json)


def _report(jobs: Sequence[PrintJob], warnings: Sequence[Any], trouble: Stop | None, *, json: bool) -> None:
    if json:
        if trouble is None or trouble.reported:
            output.as_json(
                {
                    "jobs": [
                        {
                            "uid": job.uid or None,
                            "status": job.status or None,
                            "information": job.information or None,
                        }
                        for job in jobs
                    ],
                    "warnings": [
                        {"operation": each.operation, "status": f"{each.status:04X}", "meaning": each.meaning}
                        for each in warnings
                    ],
                    "error": None if trouble is None else trouble.message,
                }
            )
        return
    for job in jobs:
        output.line(f"{job.uid or 'job'} {job.status or 'accepted'}")
    for each in dict.fromkeys(str(warning) for warning in warnings):
        output.note(f"dulcimer: warning: {each}")


def _files(paths: list[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise Stop(Exit.USAGE, f"there is no {path}")
        found += sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    return found


def _window(text: str) -> tuple[float, float] | None:
    if not text:
        return None
    try:
        center, width = (float(part) for part in text.split(","))
    except ValueError:
        raise Stop(Exit.USAGE, f"{text!r} is no window: write CENTER,WIDTH, for example 40,400") from None
    return center, width


def _layout(text: str, count: int) -> str:
    """Read 2x3 as STANDARD\\2,3; without a layout find the least one with room for all, up to 4x5."""
    if not text:
        columns, rows = next(
            (
                (columns, rows)
                for columns, rows in ((1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (3, 4), (4, 4), (4, 5))
                if columns * rows >= count
            ),
            (4, 5),
        )
        return f"STANDARD\\{columns},{rows}"
    columns_text, cross, rows_text = text.lower().partition("x")
    if cross and columns_text.isdecimal() and rows_text.isdecimal():
        return f"STANDARD\\{columns_text},{rows_text}"
    return text.upper()


def _needs_extra(error: ModuleNotFoundError) -> Stop:
    package = (error.name or "").partition(".")[0]
    if package == "dulcimer":
        raise error
    return Stop(Exit.USAGE, f"{package} is missing; install it with: pip install 'dulcimer[print]'")
