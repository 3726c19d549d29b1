"""A fast encoder and decoder for plain data sets, in little endian (PS3.5 7).

Nearly all identifiers, attribute lists and modification lists are plain: ASCII text, whole numbers, and
sequences of such. To encode and decode them is most of what a query costs. For anything else :func:`encode`
and :func:`decode` say that they cannot, and pydicom does it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from typing import Any, Final

from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import DataElement, RawDataElement, empty_value_for_VR
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, IS, VR, DSfloat, PersonName
from pydicom.values import convert_string

from dulcimer.data.small import read_data_set

_EXPLICIT: Final = Struct("<HH2sH")
_EXPLICIT_LONG: Final = Struct("<HH2sHI")
_IMPLICIT: Final = Struct("<HHI")
_ITEM: Final = Struct("<HHI")
_LONGEST_SHORT: Final = 0xFFFE
_ITEM_TAG: Final = (0xFFFE, 0xE000)
_UNDEFINED: Final = 0xFFFFFFFF


class _NotPlain(Exception):
    """The data set holds something that is not for this encoder."""


def encode(dataset: Dataset, *, implicit: bool) -> bytes | None:
    """Encode a data set in little endian; None if it holds what only pydicom encodes.

    Parameters
    ----------
    dataset
        The data set.
    implicit
        Whether in implicit VR.
    """
    parts: list[bytes] = []
    try:
        _append(dataset, implicit, parts)
    except _NotPlain:
        return None
    return b"".join(parts)


def _append(dataset: Dataset, implicit: bool, parts: list[bytes]) -> None:
    for tag in sorted(dataset.keys(), key=int):
        element = dataset.get_item(tag)
        if isinstance(element, RawDataElement) and element.VR in _TEXTS:
            # Read and not looked at yet: whatever the character set, it is sent as it came.
            _append_raw(element, implicit, parts)
            continue
        if type(element) is not DataElement or not tag & 0xFFFF:
            # A group length, which is not sent, or what pydicom has to look at.
            raise _NotPlain
        vr = element.VR
        value = element.value
        known = _ENCODERS.get(vr)
        if known is None:
            if vr != "SQ":
                raise _NotPlain
            _append_sequence(element, value, implicit, parts)
            continue
        name, encoder = known
        content = encoder(value, name)
        length = len(content)
        if length > _LONGEST_SHORT:
            raise _NotPlain
        if implicit:
            parts.append(_IMPLICIT.pack(tag >> 16, tag & 0xFFFF, length))
        else:
            parts.append(_EXPLICIT.pack(tag >> 16, tag & 0xFFFF, name, length))
        parts.append(content)


def _append_raw(element: RawDataElement, implicit: bool, parts: list[bytes]) -> None:
    tag, vr, content = element.tag, element.VR, element.value or b""
    if vr is None or not isinstance(content, bytes) or len(content) > _LONGEST_SHORT or len(content) & 1:
        raise _NotPlain
    group, number = tag >> 16, tag & 0xFFFF
    if implicit:
        parts.append(_IMPLICIT.pack(group, number, len(content)))
    else:
        parts.append(_EXPLICIT.pack(group, number, vr.encode("ascii"), len(content)))
    parts.append(content)


def _append_sequence(element: DataElement, value: Any, implicit: bool, parts: list[bytes]) -> None:
    # Delimiters instead of lengths are kept where the program, or a file, chose them.
    if type(value) is not Sequence or element.is_undefined_length:
        raise _NotPlain
    inner: list[bytes] = []
    for item in value:
        if getattr(item, "is_undefined_length_sequence_item", False):
            raise _NotPlain
        content: list[bytes] = []
        _append(item, implicit, content)
        inner.append(_ITEM.pack(*_ITEM_TAG, sum(map(len, content))))
        inner += content
    length = sum(map(len, inner))
    tag = element.tag
    if length >= _UNDEFINED:
        raise _NotPlain
    if implicit:
        parts.append(_IMPLICIT.pack(tag >> 16, tag & 0xFFFF, length))
    else:
        parts.append(_EXPLICIT_LONG.pack(tag >> 16, tag & 0xFFFF, b"SQ", 0, length))
    parts += inner


def _text(value: Any, vr: bytes) -> bytes:
    if value is None:
        return b""
    if type(value) is MultiValue or type(value) is list:
        if not all(isinstance(item, str) for item in value):
            raise _NotPlain
        value = "\\".join(value)
    # Other character sets are pydicom's, and so are dates that are objects.
    if not isinstance(value, str) or not value.isascii():
        raise _NotPlain
    content = value.encode("ascii")
    if len(content) & 1:
        content += b"\0" if vr == b"UI" else b" "
    return content


def _name(value: Any, vr: bytes) -> bytes:
    return _text(str(value) if type(value) is PersonName else value, vr)


def _number_string(value: Any, vr: bytes) -> bytes:
    if type(value) is IS or type(value) is DSfloat:
        value = value.original_string if hasattr(value, "original_string") else str(value)
    return _text(value, vr)


def _numbers(packed: Struct) -> Callable[[Any, bytes], bytes]:
    def encoder(value: Any, vr: bytes) -> bytes:
        if value is None or value == "":
            return b""
        try:
            if type(value) is MultiValue:
                return b"".join([packed.pack(item) for item in value])
            return packed.pack(value)
        except Exception as error:
            # What is wrong with it is for pydicom to say.
            raise _NotPlain from error

    return encoder


_ENCODERS: Final[dict[str, tuple[bytes, Callable[[Any, bytes], bytes]]]] = {
    **{
        vr: (vr.encode("ascii"), _text)
        for vr in ("AE", "AS", "CS", "DA", "DT", "LO", "LT", "SH", "ST", "TM", "UI")
    },
    "PN": (b"PN", _name),
    "IS": (b"IS", _number_string),
    "DS": (b"DS", _number_string),
    "US": (b"US", _numbers(Struct("<H"))),
    "SS": (b"SS", _numbers(Struct("<h"))),
    "UL": (b"UL", _numbers(Struct("<I"))),
    "SL": (b"SL", _numbers(Struct("<i"))),
}
"""VRs with a length of 16 bits whose values are simple, and how each is encoded."""


_TEXTS: Final = frozenset(_ENCODERS) - {"US", "SS", "UL", "SL"}
"""Those of them whose bytes are the same in every transfer syntax."""


# ---- decoding ----------------------------------------------------------------------------------------

_LONG: Final = frozenset(str(vr).encode("ascii") for vr in EXPLICIT_VR_LENGTH_32)
_VRS: Final = {vr.value.encode("ascii"): vr.value for vr in VR if len(vr.value) == 2}
_LENGTH: Final = Struct("<I")
_CHARACTER_SET: Final = 0x0008_0005
_ITEM_GROUP: Final = 0xFFFE
_tuple: Final = tuple.__new__
"""What a named tuple's own constructor calls, which would be called for every element."""
_REST: Final = tuple(RawDataElement._field_defaults.values())
"""What follows in one, which the constructor would add."""


def decode(data: bytes, *, implicit: bool) -> Dataset | None:
    """Decode a data set as far as the elements; their values are decoded when they are used.

    None if it has delimiters, or is not what its encoding says: pydicom knows what to make of that.
    """
    elements: dict[BaseTag, RawDataElement | DataElement] = {}
    unpack = (_IMPLICIT if implicit else _EXPLICIT).unpack_from
    position, end = 0, len(data)
    vr: str | None = None
    while position + 8 <= end:
        if implicit:
            group, number, length = unpack(data, position)
            position += 8
        else:
            group, number, name, length = unpack(data, position)
            position += 8
            vr = _VRS.get(name)
            if vr is None:
                return None
            if name in _LONG:
                if position + 4 > end:
                    return None
                (length,) = _LENGTH.unpack_from(data, position)
                position += 4
        following = position + length
        if following > end or group == _ITEM_GROUP:
            return None
        tag = BaseTag(group << 16 | number)
        value: Any = data[position:following] if length else empty_value_for_VR(vr, raw=True)
        elements[tag] = _tuple(RawDataElement, (tag, vr, length, value, position, implicit, True, *_REST))
        position = following
    if position != end:
        return None
    charset = elements.get(_CHARACTER_SET)  # type: ignore[call-overload]
    encodings: list[str] | str = default_encoding
    if charset is not None and charset.value:
        try:
            encodings = list(_encodings(charset.value))
        except Exception:
            return None
    return read_data_set(elements, implicit, encodings)


@lru_cache(maxsize=64)
def _encodings(character_set: bytes) -> tuple[str, ...]:
    return tuple(convert_encodings(convert_string(character_set, True)))
