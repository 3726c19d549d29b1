"""Encoding, decoding and showing data sets."""

from __future__ import annotations

import logging
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian

from dulcimer.data import codec
from dulcimer.identity import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement

_LOGGER = logging.getLogger("dulcimer.dsutils")

_PREAMBLE: Final = 132
"""Length of the preamble and the DICM prefix of a Part 10 file (PS3.10 7.1)."""


def decode(
    bytestring: BytesIO, is_implicit_vr: bool, is_little_endian: bool, deflated: bool = False
) -> Dataset:
    """Decode a data set.

    Elements are decoded when they are first used, so errors in their values may show only then.

    Parameters
    ----------
    bytestring
        The encoded data set.
    is_implicit_vr, is_little_endian, deflated
        How its transfer syntax encodes.
    """
    return codec.decode(bytestring, codec.Encoding(is_implicit_vr, is_little_endian, deflated))


def encode(ds: Dataset, is_implicit_vr: bool, is_little_endian: bool, deflated: bool = False) -> bytes | None:
    """Encode a data set; None, with the reason in the log, if it cannot be encoded.

    Parameters
    ----------
    ds
        The data set.
    is_implicit_vr, is_little_endian, deflated
        How the transfer syntax encodes.
    """
    try:
        return codec.encode(ds, codec.Encoding(is_implicit_vr, is_little_endian, deflated))
    except Exception:
        # Whatever is wrong in a user's data set, it must not take an association down.
        _LOGGER.exception("The data set cannot be encoded")
        return None


def create_file_meta(
    *,
    sop_class_uid: UID,
    sop_instance_uid: UID,
    transfer_syntax: UID,
    implementation_uid: UID = UID(IMPLEMENTATION_UID),  # noqa: B008 - an immutable value
    implementation_version: str = IMPLEMENTATION_VERSION,
) -> FileMetaDataset:
    """Return the File Meta Information of a Part 10 file (PS3.10 7.1)."""
    meta = FileMetaDataset()
    meta.FileMetaInformationGroupLength = 0
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = sop_class_uid
    meta.MediaStorageSOPInstanceUID = sop_instance_uid
    meta.TransferSyntaxUID = transfer_syntax
    meta.ImplementationClassUID = implementation_uid
    meta.ImplementationVersionName = implementation_version
    return meta


def encode_file_meta(file_meta: FileMetaDataset) -> bytes:
    """Encode File Meta Information, with its group length; without the preamble."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = ExplicitVRLittleEndian.is_implicit_VR
    buffer.is_little_endian = ExplicitVRLittleEndian.is_little_endian
    write_file_meta_info(buffer, file_meta, enforce_standard=False)
    encoded: bytes = buffer.getvalue()
    return encoded


def split_dataset(path: Path) -> tuple[Dataset, int]:
    """Return the File Meta Information of a file and where its data set begins.

    A file without preamble or without File Meta Information gives what it has.
    """
    with path.open("rb") as file:
        head = file.read(_PREAMBLE)
        start = _PREAMBLE if head[128:] == b"DICM" else 0
        file.seek(start)
        meta = read_dataset(
            file,
            is_implicit_VR=False,
            is_little_endian=True,
            stop_when=lambda tag, _vr, _length: tag.group != 2,
        )
        return meta, file.tell()


def pretty_dataset(ds: Dataset, indent: int = 0, indent_char: str = "  ") -> list[str]:
    """Return a data set as lines, one for each element; the items of sequences are indented.

    Parameters
    ----------
    ds
        The data set.
    indent
        How far the lines are indented.
    indent_char
        What indents them.
    """
    lines: list[str] = []
    for element in ds:
        lines.append(f"{indent_char * indent}{pretty_element(element)}")
        if element.VR == "SQ":
            for number, item in enumerate(element.value or [], 1):
                lines.append(f"{indent_char * (indent + 1)}(Sequence item #{number})")
                lines += pretty_dataset(item, indent + 2, indent_char)
    return lines


def pretty_element(elem: DataElement) -> str:
    """Return an element as one line: tag, VR, value, VM and keyword."""
    tag = elem.tag
    return f"({tag.group:04X},{tag.element:04X}) {elem.VR} {_value(elem):<40} # {elem.VM} {elem.keyword}"


_SHOWN: Final = 13
"""As many bytes of a value are shown; they fit into its column."""


def _value(elem: DataElement) -> str:
    value: Any = elem.value
    if elem.VR == "SQ":
        count = len(value or [])
        return f"(Sequence with {count} item{'' if count == 1 else 's'})"
    if elem.is_empty:
        return "(no value available)"
    values = [value] if elem.VM == 1 else value
    if all(isinstance(item, (bytes, bytearray)) for item in values):
        if elem.VM == 1 and len(value) <= _SHOWN:
            return f"[{value.hex(' ')}]"
        return f"({sum(map(len, values))} bytes of binary data)"
    return f"[{chr(92).join(str(item) for item in values)}]"
