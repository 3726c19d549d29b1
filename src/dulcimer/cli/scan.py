"""Finding what can be sent in files and folders."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dulcimer.data import part10
from dulcimer.node.domain import attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MEDIA_STORAGE_DIRECTORY: Final = "1.2.840.10008.1.3.10"
IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"

_HEAD: Final = 1 << 14
"""Bytes of a data set in which its SOP Instance UID has to be; what comes before it is short."""


@dataclass(frozen=True, slots=True)
class Sendable:
    """A file with a composite SOP instance.

    Attributes
    ----------
    size
        The bytes that travel.
    offset
        Where the data set begins; None if that is not known, so that it has to be decoded to be sent.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    size: int
    offset: int | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not sent."""

    path: Path
    reason: str


def files(places: Iterable[Path]) -> Iterator[Path]:
    """Give every file of the places in order, once; folders are searched to the bottom."""
    seen: set[str] = set()
    for path in _all_files(places):
        real = os.path.realpath(path)
        if real not in seen:
            seen.add(real)
            yield path


def _all_files(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        if not place.is_dir():
            yield place
            continue
        for folder, below, names in os.walk(place):
            below.sort()
            for name in sorted(names):
                yield Path(folder, name)


def look_at(path: Path) -> Sendable | Skipped:
    """Read of a file what an association has to propose for it."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            # Opening a FIFO would wait for somebody to write into it.
            return Skipped(path, "no ordinary file")
        if not found.st_size:
            return Skipped(path, "the file is empty")
        header = part10.scan(path)
    except part10.NotPart10 as error:
        return _without_header(path) or Skipped(path, str(error) or "no DICOM file")
    except OSError as error:
        return Skipped(path, error.strerror or str(error))
    if header.sop_class_uid == MEDIA_STORAGE_DIRECTORY:
        return Skipped(path, "a DICOMDIR is not sent")
    class_uid, instance_uid = _uids_within(path, header)
    return Sendable(
        path,
        class_uid or header.sop_class_uid,
        instance_uid or header.sop_instance_uid,
        header.transfer_syntax_uid,
        header.size - header.data_offset,
        header.data_offset,
    )


def _uids_within(path: Path, header: part10.FileHeader) -> tuple[str, str]:
    """Return the UIDs in the data set, which the command has to name (PS3.4 B.2.3).

    Those in the header should be the same, and in real files they are not always.
    """
    with path.open("rb", buffering=0) as file:
        file.seek(header.data_offset)
        head = file.read(_HEAD)
    whole = header.data_offset + len(head) >= header.size
    try:
        values = attributes.read(
            head, header.transfer_syntax_uid, complete=whole, last=attributes.SOP_INSTANCE_UID
        )
    except attributes.Undecodable:
        return "", ""
    described = attributes.describe(values or {})
    return described.sop_class_uid, described.sop_instance_uid


def scan(
    places: Iterable[Path], seen: Callable[[int], object] = lambda _count: None
) -> tuple[list[Sendable], list[Skipped]]:
    """Sort the files of the places into what can be sent and what cannot; ``seen`` is told the progress."""
    found: list[Sendable] = []
    skipped: list[Skipped] = []
    for count, path in enumerate(files(places), 1):
        match look_at(path):
            case Sendable() as item:
                found.append(item)
            case Skipped() as item:
                skipped.append(item)
        seen(count)
    return found, skipped


def _without_header(path: Path) -> Sendable | None:
    """See whether pydicom finds the UIDs in a data set whose header is missing or incomplete."""
    from pydicom import dcmread

    try:
        dataset = dcmread(
            path, force=True, stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID"]
        )
        class_uid, instance_uid = str(dataset.SOPClassUID), str(dataset.SOPInstanceUID)
        implicit, little = dataset.original_encoding
        named = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    except Exception:  # whatever pydicom makes of a file that is none of DICOM's
        return None
    if not class_uid or not instance_uid:
        return None
    if named:
        syntax = named
    elif implicit:
        syntax = IMPLICIT_VR_LITTLE_ENDIAN
    else:
        syntax = EXPLICIT_VR_LITTLE_ENDIAN if little else EXPLICIT_VR_BIG_ENDIAN
    offset = None if len(dataset.file_meta) or dataset.preamble else 0
    return Sendable(path, class_uid, instance_uid, syntax, path.stat().st_size, offset)
