"""Data sets on the command line: what is sent, and what came back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dulcimer.cli import output
from dulcimer.cli.exits import Exit, Stop

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom.dataset import Dataset

AttributesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEYWORD=VALUE",
        help="Attributes, for example PatientID=P1 or ScheduledWorkitemCodeSequence[0].CodeValue=110005.",
        show_default=False,
    ),
]
FileOption = Annotated[
    Path | None,
    typer.Option("--json-file", metavar="FILE", help="Attributes in the DICOM JSON model; a DICOM file too."),
]


def attributes(keys: Iterable[str] | None, file: Path | None = None) -> Dataset:
    """Make the data set that is sent: that of a file, with attributes of the command line over it.

    Raises
    ------
    Stop
        The file or an attribute cannot be used.
    """
    from dulcimer.cli.tools import keys as parser

    dataset = _read(file) if file is not None else None
    texts = list(keys or ())
    for text in texts:
        if "=" not in text:
            raise Stop(Exit.USAGE, f"{text!r} is not KEYWORD=VALUE")
    try:
        dataset = parser.build(texts, dataset)
    except parser.KeyProblem as problem:
        raise Stop(Exit.USAGE, str(problem)) from None
    set_character_set(dataset)
    return dataset


def tags(keywords: Iterable[str] | None) -> list[int]:
    """Return the tags of attributes.

    Raises
    ------
    Stop
        One of them does not exist.
    """
    from pydicom.datadict import tag_for_keyword

    found = []
    for keyword in keywords or ():
        tag = tag_for_keyword(keyword)
        if tag is None:
            raise Stop(Exit.USAGE, f"there is no attribute {keyword!r}; names are written as in PatientID")
        found.append(tag)
    return found


def check_uid(text: str) -> None:
    """Raise :class:`Stop` for what is no UID; empty is none at all."""
    from pydicom.uid import RE_VALID_UID

    if text and (len(text) > 64 or not re.fullmatch(RE_VALID_UID, text)):
        raise Stop(Exit.USAGE, f"{text!r} is no UID: up to 64 digits and dots, as in 1.2.840.10008.1.1")


def set_character_set(dataset: Dataset) -> None:
    """Say UTF-8 if text beyond ASCII needs a character set and none is named."""
    if not dataset.get("SpecificCharacterSet") and not str(dataset).isascii():
        dataset.SpecificCharacterSet = "ISO_IR 192"


def show(dataset: Dataset) -> None:
    """Print tag, name and value of every attribute."""
    rows: list[tuple[str, str, str]] = []

    def add(part: Dataset, indent: str) -> None:
        for element in part:
            name = indent + (element.keyword or element.name)
            if element.VR == "SQ":
                rows.append((_tag(element.tag), name, output.count(len(element.value), "item")))
                for item in element.value:
                    add(item, indent + "> ")
            else:
                text = "" if element.is_empty else str(element.value)
                rows.append((_tag(element.tag), name, text))

    add(dataset, "")
    output.attributes(rows)


def _tag(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _read(file: Path) -> Dataset:
    from pydicom import dcmread
    from pydicom.dataset import Dataset
    from pydicom.errors import InvalidDicomError

    try:
        text = file.read_bytes()
    except OSError as error:
        raise Stop(Exit.USAGE, f"{file} cannot be read: {error.strerror}") from None
    try:
        if text.lstrip()[:1] in (b"{", b"["):
            return Dataset.from_json(text.decode("utf-8"))
        dataset = dcmread(file, stop_before_pixels=True)
        # What belongs into the command is no attribute (PS3.4 5.4.2.3).
        for keyword in ("SOPClassUID", "SOPInstanceUID"):
            if keyword in dataset:
                del dataset[keyword]
        return Dataset(dataset)
    except (InvalidDicomError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Stop(Exit.USAGE, f"{file} is neither DICOM nor DICOM JSON: {error}") from None
