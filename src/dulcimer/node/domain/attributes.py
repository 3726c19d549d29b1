"""The attributes that the index knows, read from the first bytes of a data set (PS3.5 section 7).

A data set is received at network speed, so decoding all of it for some twenty values is out of the question.
All of them lie in groups 0008, 0010 and 0020, that is at the beginning; :func:`read` walks the element
headers until it is past the last one and touches nothing else.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from struct import Struct
from struct import error as StructError
from typing import Final

SPECIFIC_CHARACTER_SET: Final = 0x00080005
SOP_CLASS_UID: Final = 0x00080016
SOP_INSTANCE_UID: Final = 0x00080018

COLUMNS: Final[dict[int, str]] = {
    0x00080020: "study_date",
    0x00080030: "study_time",
    0x00080050: "accession_number",
    0x00080060: "modality",
    0x00080090: "referring_physician_name",
    0x00081030: "study_description",
    0x0008103E: "series_description",
    0x00100010: "patient_name",
    0x00100020: "patient_id",
    0x00100021: "issuer_of_patient_id",
    0x00100030: "patient_birth_date",
    0x00100040: "patient_sex",
    0x0020000D: "study_instance_uid",
    0x0020000E: "series_instance_uid",
    0x00200010: "study_id",
    0x00200011: "series_number",
    0x00200013: "instance_number",
}
"""Indexed attributes and their names in the index."""

_PERSON_NAMES: Final = frozenset({0x00080090, 0x00100010})

WANTED: Final = frozenset({SPECIFIC_CHARACTER_SET, SOP_CLASS_UID, SOP_INSTANCE_UID, *COLUMNS})
LAST: Final = max(WANTED)

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
_IMPLICIT: Final = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, "1.2.840.113619.5.2", "1.2.840.10008.1.20"})
_DEFLATED: Final = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})

LONGEST_VALUE: Final = 1024
_MOST_INFLATED: Final = 1 << 20
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD
_MOST_NESTED: Final = 32
_LONG_VRS: Final = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)
_SHORT_VRS: Final = frozenset(
    {
        b"AE",
        b"AS",
        b"AT",
        b"CS",
        b"DA",
        b"DS",
        b"DT",
        b"FD",
        b"FL",
        b"IS",
        b"LO",
        b"LT",
        b"PN",
        b"SH",
        b"SL",
        b"SS",
        b"ST",
        b"TM",
        b"UI",
        b"UL",
        b"US",
    }
)


class Undecodable(ValueError):
    """These bytes are no data set in the transfer syntax that was negotiated."""


class _Layout:
    """How element headers look in one family of transfer syntaxes."""

    __slots__ = ("explicit", "header", "length")

    def __init__(self, byte_order: str, *, explicit: bool) -> None:
        self.explicit = explicit
        self.header = Struct(byte_order + ("HH2sH" if explicit else "HHI"))
        self.length = Struct(byte_order + "I")


_IMPLICIT_LITTLE: Final = _Layout("<", explicit=False)
_EXPLICIT_LITTLE: Final = _Layout("<", explicit=True)
_EXPLICIT_BIG: Final = _Layout(">", explicit=True)


def read(
    head: bytes | bytearray, transfer_syntax_uid: str, *, complete: bool, last: int = LAST
) -> dict[int, bytes] | None:
    """Return the raw values of the :data:`WANTED` attributes up to the tag ``last``, by tag.

    ``head`` is the beginning of a data set, all of it if ``complete``. The answer is None if it ends before
    the last wanted attribute.

    Raises
    ------
    Undecodable
        The bytes are no data set in this transfer syntax.
    """
    if transfer_syntax_uid in _DEFLATED:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            head = inflate.decompress(head, _MOST_INFLATED)
        except zlib.error as error:
            raise Undecodable(f"not deflated: {error}") from None
        complete = complete and inflate.eof
    if transfer_syntax_uid in _IMPLICIT:
        layout = _IMPLICIT_LITTLE
    elif transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN:
        layout = _EXPLICIT_BIG
    else:
        layout = _EXPLICIT_LITTLE
    try:
        return _walk(head, layout, complete=complete, last=last)
    except StructError:
        # A header reaches past the end.
        if complete:
            raise Undecodable("the last element is cut off") from None
        return None


def _walk(data: bytes | bytearray, layout: _Layout, *, complete: bool, last: int) -> dict[int, bytes] | None:
    found: dict[int, bytes] = {}
    header, explicit = layout.header.unpack_from, layout.explicit
    end, at, previous = len(data), 0, -1
    while at < end:
        if explicit:
            group, element, vr, length = header(data, at)
            at += 8
            if vr in _LONG_VRS:
                (length,) = layout.length.unpack_from(data, at)
                at += 4
            elif vr not in _SHORT_VRS:
                raise Undecodable(f"no value representation: {vr!r}")
        else:
            group, element, length = header(data, at)
            at += 8
        tag = group << 16 | element
        if tag > last:
            return found
        if tag <= previous:
            raise Undecodable("the elements are not in order")
        previous = tag
        if length == _UNDEFINED:
            # Undefined length in a value of VR UN means implicit VR inside (PS3.5 6.2.2).
            inner = _IMPLICIT_LITTLE if explicit and vr == b"UN" else layout
            at = _skip_items(data, at, inner, 0)
            continue
        past = at + length
        if past > end:
            if complete:
                raise Undecodable(f"({group:04X},{element:04X}) is longer than the data set")
            return None
        if tag in WANTED:
            found[tag] = bytes(data[at:past])
        at = past
    return found if complete else None


def _skip_items(data: bytes | bytearray, at: int, layout: _Layout, depth: int) -> int:
    """Return where a sequence of undefined length ends (PS3.5 7.5)."""
    if depth > _MOST_NESTED:
        raise Undecodable("sequences nested too deep")
    # Item headers have no VR in any transfer syntax; the byte order is that of the layout.
    order = _ITEM_BIG if layout is _EXPLICIT_BIG else _ITEM_LITTLE
    while True:
        group, element, length = order.unpack_from(data, at)
        at += 8
        tag = group << 16 | element
        if tag == _SEQUENCE_END:
            return at
        if tag != _ITEM:
            raise Undecodable("no item where one must be")
        at = _skip_elements(data, at, layout, depth) if length == _UNDEFINED else at + length


def _skip_elements(data: bytes | bytearray, at: int, layout: _Layout, depth: int) -> int:
    """Return where an item of undefined length ends."""
    order = _ITEM_BIG if layout is _EXPLICIT_BIG else _ITEM_LITTLE
    while True:
        group, element, length = order.unpack_from(data, at)
        if group << 16 | element == _ITEM_END:
            return at + 8
        vr = b""
        if layout.explicit:
            group, element, vr, length = layout.header.unpack_from(data, at)
            at += 8
            if vr in _LONG_VRS:
                (length,) = layout.length.unpack_from(data, at)
                at += 4
            elif vr not in _SHORT_VRS:
                raise Undecodable(f"no value representation: {vr!r}")
        else:
            at += 8
        if length == _UNDEFINED:
            at = _skip_items(data, at, _IMPLICIT_LITTLE if vr == b"UN" else layout, depth + 1)
        else:
            at += length


_ITEM_LITTLE: Final = Struct("<HHI")
_ITEM_BIG: Final = Struct(">HHI")


@dataclass(frozen=True, slots=True)
class Description:
    """What a data set says about itself: its UIDs (``""`` if it does not say) and the indexed attributes."""

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


def describe(values: dict[int, bytes]) -> Description:
    """Turn raw values into text without padding."""
    encodings: list[str] | None = None
    row: dict[str, str] = {}
    for tag, name in COLUMNS.items():
        raw = values.get(tag)
        if not raw:
            continue
        raw = raw[:LONGEST_VALUE]
        if raw.isascii() and b"\x1b" not in raw:
            text = raw.decode("ascii")
        else:
            if encodings is None:
                encodings = _encodings(values.get(SPECIFIC_CHARACTER_SET, b""))
            text = _decode(raw, encodings)
        text = text.strip(" \0")
        if tag in _PERSON_NAMES:
            # Component groups without content at the end may be left out (PS3.5 6.2.1.1).
            text = text.rstrip("=")
        if text:
            row[name] = text
    return Description(_uid(values, SOP_CLASS_UID), _uid(values, SOP_INSTANCE_UID), row)


def _uid(values: dict[int, bytes], tag: int) -> str:
    return values.get(tag, b"").decode("ascii", "replace").strip(" \0")


def _encodings(raw: bytes) -> list[str]:
    from pydicom.charset import convert_encodings  # only text beyond ASCII needs it

    names = [name.strip() for name in raw.decode("ascii", "replace").strip(" \0").split("\\")]
    try:
        return list(convert_encodings(names))
    except (LookupError, ValueError):
        return ["utf8"]


def _decode(raw: bytes, encodings: list[str]) -> str:
    from pydicom.charset import decode_bytes

    try:
        return decode_bytes(raw, encodings, {ord("\\"), ord("^"), ord("=")})
    except (LookupError, ValueError):
        return raw.decode("latin-1")
