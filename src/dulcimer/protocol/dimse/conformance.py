"""What bends the rules in a command set (PS3.7 6.3.1, 9.3, 10.3, Annex E).

The codec takes all of this without a word. It is looked for here, in the first message of each kind that an
association receives: a peer has its habits, and this is not done for every message.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from dulcimer.protocol.dimse import commands
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.quirks import Note, Notebook, QuirkKind

if TYPE_CHECKING:
    from dulcimer.protocol.dimse.commands import Value

_HEADER = struct.Struct("<HHI")
_LONG = struct.Struct("<I")
_UID_FORM = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*", re.ASCII)

_FIXED: Final = {"US": 2, "UL": 4}
_UID_LENGTH: Final = 64
_TITLE_LENGTH: Final = 16
_PRIORITIES: Final = (0, 1, 2)
_GROUP_LENGTH_SIZE: Final = 12
_SHORT: Final = 128
"""Up to how many bytes a command set has, at most, that names no instance."""

_CLASS_OF_CONTEXT: Final = (m.C_ECHO_RQ, m.C_STORE_RQ)
"""The requests whose SOP class is that of their context: there are no meta SOP classes for them."""

WITHOUT_DATA_SET: Final = frozenset(
    {field for field, message in m.MESSAGES.items() if message.data_set is m.DataSetPresence.ABSENT}
    | {m.C_FIND_RSP}
)
"""The messages that have no data set, and the one that has none in the end."""


def findings(data: bytes) -> tuple[Note, ...]:
    """Return what is unusual about a command set whose bytes have been decoded without an error."""
    return _known(data) if len(data) <= _SHORT else _findings(data)


def _findings(data: bytes) -> tuple[Note, ...]:
    notes = Notebook()
    _examine(data, commands.decode(data), notes)
    return tuple(notes.take())


# Whoever associates to send one C-ECHO sends the same bytes every time.
_known = lru_cache(maxsize=64)(_findings)


def _examine(data: bytes, command: Mapping[int, Value], notes: Notebook) -> None:
    _examine_elements(data, notes)
    field = command.get(e.COMMAND_FIELD)
    message = m.MESSAGES.get(field) if isinstance(field, int) else None
    if message is None:
        return
    for number in message.mandatory:
        if command.get(number) in (None, ""):
            notes.add(QuirkKind.ELEMENT_MISSING, f"{message.name}, {e.ELEMENTS[number].keyword}")
    if e.COMMAND_DATA_SET_TYPE not in command:
        notes.add(QuirkKind.ELEMENT_MISSING, f"{message.name}, CommandDataSetType")
    elif data_set_impossible(command):
        notes.add(QuirkKind.DATA_SET_TYPE, message.name)
    if e.PRIORITY in command and command[e.PRIORITY] not in _PRIORITIES:
        notes.add(QuirkKind.PRIORITY, f"{message.name}, {command[e.PRIORITY]!r}")


def data_set_impossible(command: Mapping[int, Value]) -> bool:
    """Tell whether a command announces a data set although no data set belongs to its message.

    The response that ends a C-FIND has none either (PS3.7 9.1.2.1): the matches came before it.
    """
    if command.get(e.COMMAND_DATA_SET_TYPE, e.NO_DATA_SET) == e.NO_DATA_SET:
        return False
    field = command.get(e.COMMAND_FIELD)
    if field == m.C_FIND_RSP:
        return command.get(e.STATUS) == 0
    return field in WITHOUT_DATA_SET


def names_another_class(command: Mapping[int, Value], abstract_syntax: str) -> bool:
    """Tell whether a command names a SOP class that its presentation context is not for."""
    named = command.get(e.AFFECTED_SOP_CLASS_UID)
    return command.get(e.COMMAND_FIELD) in _CLASS_OF_CONTEXT and bool(named) and named != abstract_syntax


def _examine_elements(data: bytes, notes: Notebook) -> None:
    last, offset, end = -1, 0, len(data)
    group_length: int | None = None
    while offset < end:
        _, number, length = _HEADER.unpack_from(data, offset)
        content = data[offset + 8 : offset + 8 + length]
        offset += 8 + length
        element = e.ELEMENTS.get(number)
        keyword = f"(0000,{number:04X})" if element is None else element.keyword
        if number <= last:
            notes.add(QuirkKind.ELEMENT_ORDER, keyword)
        last = max(last, number)
        if length & 1:
            notes.add(QuirkKind.ELEMENT_LENGTH, f"{keyword}, {length} bytes")
        if element is None:
            notes.add(QuirkKind.ELEMENT_UNKNOWN, keyword)
            continue
        if number == e.COMMAND_GROUP_LENGTH and length == _LONG.size:
            group_length = _LONG.unpack(content)[0]
        if length != _FIXED.get(element.vr, length):
            notes.add(QuirkKind.ELEMENT_LENGTH, f"{keyword}, {length} bytes")
        if element.vr == "UI":
            _examine_uid(content, keyword, notes)
        elif element.vr == "AE":
            _examine_title(content, keyword, notes)
    if group_length != end - _GROUP_LENGTH_SIZE:
        found = "missing" if group_length is None else f"{group_length} for {end - _GROUP_LENGTH_SIZE}"
        notes.add(QuirkKind.GROUP_LENGTH, found)


def _examine_uid(content: bytes, keyword: str, notes: Notebook) -> None:
    # Values of instances are not shown: they lead to patients.
    text = content.removesuffix(b"\0").decode("latin-1")
    uid = text.strip("\0 ")
    if uid != text or (content.endswith(b"\0") and len(content) & 1):
        notes.add(QuirkKind.UID_PADDING, keyword)
    if len(uid) > _UID_LENGTH:
        notes.add(QuirkKind.UID_LENGTH, f"{keyword}, {len(uid)} characters")
    if uid and not _UID_FORM.fullmatch(uid):
        notes.add(QuirkKind.UID_FORM, keyword)


def _examine_title(content: bytes, keyword: str, notes: Notebook) -> None:
    text = content.decode("latin-1")
    title = text.strip("\0 ")
    if "\0" in text:
        notes.add(QuirkKind.TITLE_NUL, keyword)
    elif not title:
        notes.add(QuirkKind.TITLE_BLANK, keyword)
    elif not title.isascii() or not title.isprintable() or "\\" in title:
        notes.add(QuirkKind.TITLE_CHARACTERS, keyword)
    if len(title) > _TITLE_LENGTH:
        notes.add(QuirkKind.TITLE_LENGTH, f"{keyword}, {len(title)} characters")
