"""The head of a DICOM file: preamble, prefix and File Meta Information (PS3.10 7.1).

What lies behind it, the data set, is neither read nor decoded here: a file is sent and received as bytes.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from functools import lru_cache, partial
from os import SEEK_END, PathLike
from typing import BinaryIO, Final, NamedTuple

from dulcimer.identity import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION

_READ: Final = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_PREFIX: Final = b"DICM"
_META_OFFSET: Final = 132
_BEGINNING: Final = bytes(128) + _PREFIX

_FIRST_READ: Final = 2048
"""More than an ordinary head: one read is all that most files need."""

_MAX_HEAD: Final = 1 << 22
"""Private Information (0002,0102) makes a long head possible; a longer one than this is a broken length."""

_MEDIA_STORAGE_SOP_CLASS_UID: Final = 0x0002
_MEDIA_STORAGE_SOP_INSTANCE_UID: Final = 0x0003
_TRANSFER_SYNTAX_UID: Final = 0x0010
_IMPLEMENTATION_CLASS_UID: Final = 0x0012
_IMPLEMENTATION_VERSION_NAME: Final = 0x0013
_SOURCE_APPLICATION_ENTITY_TITLE: Final = 0x0016

_NEEDED: Final = {
    _TRANSFER_SYNTAX_UID: "Transfer Syntax UID (0002,0010)",
    _MEDIA_STORAGE_SOP_CLASS_UID: "Media Storage SOP Class UID (0002,0002)",
    _MEDIA_STORAGE_SOP_INSTANCE_UID: "Media Storage SOP Instance UID (0002,0003)",
}

_SHORT_VRS: Final = frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split(b" "),
)
_LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split(b" "))
"""These have two reserved bytes and a length of four (PS3.5 7.1.2)."""

_TAG = struct.Struct("<HH")
_SHORT_LENGTH = struct.Struct("<H")
_LONG_LENGTH = struct.Struct("<I")
_SHORT_ELEMENT = struct.Struct("<HH2sH")
_GROUP_LENGTH = struct.Struct("<HH2sHI")

_VERSION_ELEMENT: Final = b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01"
"""File Meta Information Version (0002,0001): 00H 01H."""


class NotPart10(ValueError):
    """The file has not the head that PS3.10 asks for; the message says what is wrong or missing."""


class _CutShort(Exception):
    """The bytes at hand end before the head does."""


class FileHeader(NamedTuple):
    """What the head of a DICOM file says.

    Attributes
    ----------
    sop_class_uid, sop_instance_uid, transfer_syntax_uid
        From the File Meta Information, without padding.
    data_offset
        Where the data set begins.
    size
        The size of the whole file.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_offset: int
    size: int


def scan(path: str | PathLike[str]) -> FileHeader:
    """Read the head of a DICOM file.

    Its end is where group 0002 ends, whatever the group length says: that is missing or wrong in many files.
    Elements in Implicit VR are understood too, although PS3.10 7.1 wants them explicit.

    Raises
    ------
    NotPart10
        If there is no preamble with prefix, the elements cannot be told apart, or a UID is missing.
    OSError
        If the file cannot be read.
    """
    return read(path, 0)[0]


def read(path: str | PathLike[str], small: int) -> tuple[FileHeader, bytes | None]:
    """Read the head of a DICOM file as :func:`scan` does, and the data set with it if the file is small.

    Parameters
    ----------
    path
        The file.
    small
        Up to this size, in bytes, the whole file is read; of a longer one the data set is None.
    """
    # Without a file object: once per object that is sent, and making one takes as long as opening the file.
    descriptor = os.open(path, _READ)
    try:
        return _read(partial(os.read, descriptor), os.fstat(descriptor).st_size, small)
    finally:
        os.close(descriptor)


def scan_stream(stream: BinaryIO) -> FileHeader:
    """Read the head of a DICOM file that a stream has from its position on; offsets count from there.

    The position is the same afterwards.

    Raises
    ------
    NotPart10
        As of :func:`scan`.
    OSError
        If the stream cannot be read, or cannot seek.
    """
    start = stream.tell()
    try:
        size = stream.seek(0, SEEK_END) - start
        stream.seek(start)
        return _read(lambda count: read_fully(stream, count), size, 0)[0]
    finally:
        stream.seek(start)


def read_fully(stream: BinaryIO, count: int) -> bytes:
    """Read so many bytes, fewer only at the end: a stream may give less than what it is asked for."""
    data = b""
    while (left := count - len(data)) and (more := stream.read(left)):
        data = data + more if data else more
    return data


def _read(read: Callable[[int], bytes], size: int, small: int) -> tuple[FileHeader, bytes | None]:
    whole = size <= small
    head = read(size if whole else _FIRST_READ)
    if head[_META_OFFSET - 4 : _META_OFFSET] != _PREFIX:
        raise NotPart10("no DICOM file: 'DICM' is not at offset 128")
    while True:
        try:
            values, data_offset = _parse(head, len(head) >= size)
            break
        except _CutShort:
            more = read(len(head)) if len(head) < _MAX_HEAD else b""
            if not more:
                raise NotPart10("the File Meta Information ends inside an element") from None
            head += more
    missing = [name for number, name in _NEEDED.items() if not values.get(number)]
    if missing:
        raise NotPart10(f"the File Meta Information lacks {' and '.join(missing)}")
    header = FileHeader(
        values[_MEDIA_STORAGE_SOP_CLASS_UID],
        values[_MEDIA_STORAGE_SOP_INSTANCE_UID],
        values[_TRANSFER_SYNTAX_UID],
        data_offset,
        size,
    )
    return header, head[data_offset:] if whole and len(head) == size else None


def _parse(head: bytes, whole: bool) -> tuple[dict[int, str], int]:
    """Return the UIDs of the File Meta Information and the offset of what follows it.

    ``whole`` says that nothing follows the bytes at hand.
    """
    values: dict[int, str] = {}
    offset, end = _META_OFFSET, len(head)
    while True:
        if end - offset < 8:
            if whole and head[offset : offset + 2] != b"\x02\x00":
                return values, offset
            raise _CutShort
        group, number = _TAG.unpack_from(head, offset)
        if group != 2:
            return values, offset
        vr = head[offset + 4 : offset + 6]
        start = offset + 8
        if vr in _SHORT_VRS:
            length = _SHORT_LENGTH.unpack_from(head, offset + 6)[0]
        elif vr not in _LONG_VRS:
            length = _LONG_LENGTH.unpack_from(head, offset + 4)[0]
        elif end - start < 4:
            raise _CutShort
        else:
            length = _LONG_LENGTH.unpack_from(head, start)[0]
            start += 4
        if length > _MAX_HEAD:
            raise NotPart10(f"(0002,{number:04X}) claims {length} bytes")
        offset = start + length
        if offset > end:
            raise _CutShort
        if number in _NEEDED:
            values[number] = head[start:offset].decode("latin-1").strip("\0 ")


def preamble(
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    *,
    source_aet: str = "",
) -> bytes:
    """Return the head of a DICOM file, ready for a data set to follow.

    The preamble is 128 zero bytes. UIDs that came from a peer are written as they came, valid or not: what
    was sent can be told from the file.

    Parameters
    ----------
    sop_class_uid, sop_instance_uid, transfer_syntax_uid
        What the data set is and how it is encoded.
    source_aet
        The AE title it came from (0002,0016); left out when empty.

    Raises
    ------
    ValueError
        If a value is too long for its element.
    """
    before, after = _around(sop_class_uid, transfer_syntax_uid, source_aet)
    instance = _uid(_MEDIA_STORAGE_SOP_INSTANCE_UID, sop_instance_uid)
    length = len(before) + len(instance) + len(after)
    return b"".join((_BEGINNING, _GROUP_LENGTH.pack(2, 0, b"UL", 4, length), before, instance, after))


@lru_cache(maxsize=64)
def _around(sop_class_uid: str, transfer_syntax_uid: str, source_aet: str) -> tuple[bytes, bytes]:
    """Return what comes before the SOP Instance UID and what comes after it: most files have the same."""
    before = _VERSION_ELEMENT + _uid(_MEDIA_STORAGE_SOP_CLASS_UID, sop_class_uid)
    after = _uid(_TRANSFER_SYNTAX_UID, transfer_syntax_uid) + _IMPLEMENTATION
    if source_aet:
        after += _element(_SOURCE_APPLICATION_ENTITY_TITLE, b"AE", source_aet, b" ")
    return before, after


def _uid(number: int, uid: str) -> bytes:
    return _element(number, b"UI", uid, b"\0")


def _element(number: int, vr: bytes, text: str, padding: bytes) -> bytes:
    content = text.encode("latin-1", "replace")
    if len(content) & 1:
        content += padding
    try:
        return _SHORT_ELEMENT.pack(2, number, vr, len(content)) + content
    except struct.error:
        raise ValueError(f"(0002,{number:04X}) cannot hold {len(content)} bytes") from None


_IMPLEMENTATION: Final = _uid(_IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_UID) + _element(
    _IMPLEMENTATION_VERSION_NAME, b"SH", IMPLEMENTATION_VERSION, b" "
)
