"""The attributes that the index knows, read from the first bytes of a data set (PS3.5 section 7).

A data set is received at network speed, so decoding all of it for some sixty values is out of the question.
All of them lie before group 0041, that is at the beginning; :func:`read` walks the element headers until it
is past the last one and touches nothing else.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from struct import Struct
from struct import error as StructError
from typing import Final

from dulcimer.node.domain.catalogue import ATTRIBUTES, ITEM_ATTRIBUTES
from dulcimer.services.text import decoded, encodings_of, normal

SPECIFIC_CHARACTER_SET: Final = 0x00080005
SOP_CLASS_UID: Final = 0x00080016
SOP_INSTANCE_UID: Final = 0x00080018

COLUMNS: Final[dict[int, str]] = {attribute.tag: attribute.name for attribute in ATTRIBUTES}
"""Indexed attributes and their names in the index."""

_VRS: Final = {attribute.tag: attribute.vr for attribute in ATTRIBUTES}
_NUMBERS: Final = frozenset(tag for tag, vr in _VRS.items() if vr == "US")
_SEQUENCES: Final = frozenset(tag for tag, vr in _VRS.items() if vr == "SQ")

WANTED: Final = frozenset({SPECIFIC_CHARACTER_SET, SOP_CLASS_UID, SOP_INSTANCE_UID, *COLUMNS})
LAST: Final = max(WANTED)
ESSENTIAL: Final = 0x00200013
"""Up to here a data set must be readable; what comes later is left out if it is not."""

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
_IMPLICIT: Final = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, "1.2.840.113619.5.2", "1.2.840.10008.1.20"})
_DEFLATED: Final = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})

LONGEST_VALUE: Final = 1024
MOST_ITEMS: Final = 32
"""How many items of a sequence are kept."""
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


Item = dict[int, bytes]
"""The raw values of an item of a sequence, by tag."""

Values = dict[int, "bytes | list[Item]"]
"""Raw values by tag: bytes, or the items of a sequence. Whole numbers are decimal text."""


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
) -> Values | None:
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
    found: Values = {}
    walk = _Walk(found)
    try:
        return found if walk.over(head, layout, complete=complete, last=last) else None
    except StructError:
        # A header reaches past the end.
        if not complete:
            return None
        if walk.tag > ESSENTIAL:
            return found
        raise Undecodable("the last element is cut off") from None
    except Undecodable:
        if walk.tag > ESSENTIAL:
            return found
        raise


class _Walk:
    """A walk over the elements, and how far it came."""

    __slots__ = ("found", "tag")

    def __init__(self, found: Values) -> None:
        self.found = found
        self.tag = -1

    def over(self, data: bytes | bytearray, layout: _Layout, *, complete: bool, last: int) -> bool:
        """Collect what is wanted; return False if there has to be more of the data set for that."""
        found, wanted = self.found, WANTED
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
                return True
            if tag <= previous:
                raise Undecodable("the elements are not in order")
            self.tag = previous = tag
            if length == _UNDEFINED:
                # Undefined length in a value of VR UN means implicit VR inside (PS3.5 6.2.2).
                inner = _IMPLICIT_LITTLE if explicit and vr == b"UN" else layout
                start, at = at, _skip_items(data, at, inner, 0)
                if tag in _SEQUENCES and at <= end:
                    found[tag] = _items(data, start, at - 8, inner)
                continue
            past = at + length
            if past > end:
                if complete:
                    raise Undecodable(f"({group:04X},{element:04X}) is longer than the data set")
                return False
            if tag in wanted:
                if tag in _SEQUENCES:
                    inner = _IMPLICIT_LITTLE if explicit and vr == b"UN" else layout
                    found[tag] = _items(data, at, past, inner)
                elif tag in _NUMBERS:
                    if length == 2:
                        order = "big" if layout is _EXPLICIT_BIG else "little"
                        found[tag] = b"%d" % int.from_bytes(data[at:past], order)  # type: ignore[arg-type]
                else:
                    found[tag] = bytes(data[at:past])
            at = past
        return complete


def _items(data: bytes | bytearray, at: int, end: int, layout: _Layout) -> list[Item]:
    """Return what is kept of the items that lie between two places."""
    order = _ITEM_BIG if layout is _EXPLICIT_BIG else _ITEM_LITTLE
    found: list[Item] = []
    while at < end and len(found) < MOST_ITEMS:
        group, element, length = order.unpack_from(data, at)
        if group << 16 | element != _ITEM:
            raise Undecodable("no item where one must be")
        at += 8
        if length == _UNDEFINED:
            past = _skip_elements(data, at, layout, 0)
            stop = past - 8
        else:
            past = stop = at + length
        if past > end:
            raise Undecodable("an item is longer than its sequence")
        found.append(_item(data, at, stop, layout))
        at = past
    return found


def _item(data: bytes | bytearray, at: int, end: int, layout: _Layout) -> Item:
    values: Item = {}
    while at < end:
        vr = b""
        if layout.explicit:
            group, element, vr, length = layout.header.unpack_from(data, at)
            at += 8
            if vr in _LONG_VRS:
                (length,) = layout.length.unpack_from(data, at)
                at += 4
        else:
            group, element, length = layout.header.unpack_from(data, at)
            at += 8
        tag = group << 16 | element
        if length == _UNDEFINED:
            at = _skip_items(data, at, _IMPLICIT_LITTLE if vr == b"UN" else layout, 1)
            continue
        if tag in ITEM_ATTRIBUTES or tag == SPECIFIC_CHARACTER_SET:
            values[tag] = bytes(data[at : min(at + length, end)])
        at += length
    return values


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


def describe(values: Values) -> Description:
    """Turn raw values into text without padding."""
    declared = _bytes(values, SPECIFIC_CHARACTER_SET)
    encodings: list[str] | None = None
    row: dict[str, str] = {}
    for tag, name in COLUMNS.items():
        raw = values.get(tag)
        if not raw:
            continue
        if isinstance(raw, list):
            items = [_described(item, declared) for item in raw]
            if text := items_text(items):
                row[name] = text
            continue
        raw = raw[:LONGEST_VALUE]
        if raw.isascii() and b"\x1b" not in raw:
            text = raw.decode("ascii")
        else:
            if encodings is None:
                encodings = encodings_of(declared)
            text = decoded(raw, encodings)
        if text := normal(_VRS[tag], text):
            row[name] = text
    return Description(_uid(values, SOP_CLASS_UID), _uid(values, SOP_INSTANCE_UID), row)


def _described(item: Item, declared: bytes) -> dict[str, str]:
    encodings = encodings_of(item.get(SPECIFIC_CHARACTER_SET, declared))
    found: dict[str, str] = {}
    for tag, vr in ITEM_ATTRIBUTES.items():
        raw = item.get(tag)
        if raw and (text := normal(vr, decoded(raw[:LONGEST_VALUE], encodings))):
            found[f"{tag:08X}"] = text
    return found


def items_text(items: list[dict[str, str]]) -> str:
    """Return items as they are kept: values by tag, as JSON; empty if there is nothing to keep."""
    kept = [item for item in items[:MOST_ITEMS] if item]
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")) if kept else ""


def _bytes(values: Values, tag: int) -> bytes:
    raw = values.get(tag, b"")
    return raw if isinstance(raw, bytes) else b""


def _uid(values: Values, tag: int) -> str:
    return _bytes(values, tag).decode("ascii", "replace").strip(" \0")
