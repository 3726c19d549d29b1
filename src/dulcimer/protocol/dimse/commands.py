"""Command sets to and from bytes: Implicit VR Little Endian, group 0000 only (PS3.7 6.3.1, PS3.5 7.1).

Strict on output: ascending elements, even lengths, a group length. Tolerant on input: any order, odd
lengths, any padding, no group length or a wrong one, elements that we do not know. The group length is the
codec's own business, so it is not among the values.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from dulcimer.errors import InvalidParameter, LocalProtocolError
from dulcimer.protocol.dimse.elements import (
    COMMAND_GROUP_LENGTH,
    ELEMENTS,
    MOVE_DESTINATION,
    MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE,
)

Value = str | int | tuple[int, ...] | bytes
"""UI, AE, LO: str without padding; US, UL: int; AT: tuple of tags; what we do not know: bytes."""

_HEADER = struct.Struct("<HHI")
_US_ELEMENT = struct.Struct("<HHIH")
_GROUP_LENGTH_ELEMENT = struct.Struct("<HHII")
_TAG = struct.Struct("<HH")
_US = struct.Struct("<H")

_AE_TITLE_LENGTH: Final = 16

_VR: Final = {number: element.vr for number, element in ELEMENTS.items()}


def decode(data: bytes | bytearray | memoryview) -> dict[int, Value]:
    """Return the values of a command set by element number.

    An element that should hold a number and is empty is left out, as if it had not been sent.

    Raises
    ------
    dulcimer.errors.InvalidParameter
        If an element is cut short or belongs to another group.
    """
    data = bytes(data)
    command: dict[int, Value] = {}
    offset, end = 0, len(data)
    unpack_header, unpack_us, vrs = _HEADER.unpack_from, _US.unpack_from, _VR
    while offset < end:
        try:
            group, number, length = unpack_header(data, offset)
        except struct.error:
            raise InvalidParameter("a command set that ends inside an element") from None
        if group:
            raise InvalidParameter(f"({group:04X},{number:04X}) in a command set")
        start = offset + 8
        offset = start + length
        if offset > end:
            raise InvalidParameter(f"(0000,{number:04X}) of {length} bytes overruns the command set")
        vr = vrs.get(number)
        if vr == "US":
            if length >= 2:
                command[number] = unpack_us(data, start)[0]
            elif length:
                command[number] = data[start]
        elif vr == "UI" or vr == "AE" or vr == "LO":
            command[number] = data[start:offset].decode("latin-1").strip("\0 ")
        elif vr == "AT":
            command[number] = tuple(
                [
                    group << 16 | element
                    for group, element in _TAG.iter_unpack(data[start : start + (length & ~3)])
                ]
            )
        elif vr is None:
            command[number] = data[start:offset]
    return command


def encode(command: Mapping[int, Value]) -> bytes:
    """Return a command set as it travels, with its group length.

    Characters of a text that the default repertoire lacks become question marks: a command set has no way
    to name another character set.

    Raises
    ------
    dulcimer.errors.LocalProtocolError
        If a value does not fit its element.
    """
    parts = [b""]
    size = 0
    vrs = _VR
    for number in sorted(command):
        value = command[number]
        vr = vrs.get(number)
        try:
            if vr == "US":
                part = _US_ELEMENT.pack(0, number, 2, value)
            elif vr == "UI":
                text = value.encode("ascii")  # type: ignore[union-attr]
                if len(text) & 1:
                    text += b"\0"
                part = _HEADER.pack(0, number, len(text)) + text
            elif number == COMMAND_GROUP_LENGTH:
                continue
            else:
                content = _other(vr, value)
                part = _HEADER.pack(0, number, len(content)) + content
        except (struct.error, AttributeError, TypeError, UnicodeEncodeError) as error:
            name = ELEMENTS[number].keyword if number in ELEMENTS else f"(0000,{number:04X})"
            raise LocalProtocolError(f"{name} cannot hold {value!r}") from error
        parts.append(part)
        size += len(part)
    parts[0] = _GROUP_LENGTH_ELEMENT.pack(0, COMMAND_GROUP_LENGTH, 4, size)
    return b"".join(parts)


def pad_ae_titles(command: dict[int, Value]) -> None:
    """Fill the AE titles of a command set up with spaces, to the most characters that they may have."""
    for number in (MOVE_DESTINATION, MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE):
        value = command.get(number)
        if isinstance(value, str):
            command[number] = value.ljust(_AE_TITLE_LENGTH)


def _other(vr: str | None, value: Value) -> bytes:
    """Return the even-length content of an AE, LO, AT or unknown element."""
    match vr, value:
        case "AT", tuple():
            return b"".join([_TAG.pack(tag >> 16, tag & 0xFFFF) for tag in value])
        case "AE", str():
            content, padding = value.encode("latin-1"), b" "
        case "LO", str():
            content, padding = value.encode("ascii", "replace"), b" "
        case None, bytes():
            content, padding = value, b"\0"
        case _:
            raise TypeError
    return content + padding if len(content) & 1 else content
