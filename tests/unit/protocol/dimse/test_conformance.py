"""What is noted of a command set."""

from __future__ import annotations

import struct

import pytest

from dulcimer.protocol.dimse import commands, conformance
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.quirks import QuirkKind

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
STORE: dict[int, commands.Value] = {
    e.AFFECTED_SOP_CLASS_UID: CT_IMAGE,
    e.COMMAND_FIELD: m.C_STORE_RQ,
    e.MESSAGE_ID: 1,
    e.PRIORITY: 0,
    e.COMMAND_DATA_SET_TYPE: 1,
    e.AFFECTED_SOP_INSTANCE_UID: "1.2.3",
}


def element(number: int, content: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(content)) + content


def kinds(data: bytes) -> list[QuirkKind]:
    return [note.kind for note in conformance.findings(data)]


def changed(**changes: bytes | None) -> bytes:
    """Return the C-STORE-RQ with the content of elements changed, the group length included."""
    parts = b""
    for number, value in STORE.items():
        content = commands.encode({number: value})[12 + 8 :]
        name = e.ELEMENTS[number].keyword
        if name in changes:
            replacement = changes[name]
            if replacement is None:
                continue
            content = replacement
        parts += element(number, content)
    return element(0, struct.pack("<I", len(parts))) + parts


def test_nothing_is_noted_of_what_is_right() -> None:
    assert kinds(commands.encode(STORE)) == kinds(changed()) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (changed()[12:], [QuirkKind.GROUP_LENGTH]),
        (element(0, b"\0\0\0\0") + changed()[12:], [QuirkKind.GROUP_LENGTH]),
        (changed()[12:] + changed()[:12], [QuirkKind.ELEMENT_ORDER]),
        (changed(AffectedSOPInstanceUID=b"1.2.3"), [QuirkKind.ELEMENT_LENGTH]),
        (changed(MessageID=b"\1\0\0\0"), [QuirkKind.ELEMENT_LENGTH]),
        (changed(Priority=None), [QuirkKind.ELEMENT_MISSING]),
        (changed(CommandDataSetType=None), [QuirkKind.ELEMENT_MISSING]),
        (changed(AffectedSOPClassUID=b""), [QuirkKind.ELEMENT_MISSING]),
        (changed(Priority=b"\3\0"), [QuirkKind.PRIORITY]),
        (changed(AffectedSOPInstanceUID=b"1.2.3 "), [QuirkKind.UID_PADDING]),
        (changed(AffectedSOPInstanceUID=b"1.2.34\0\0"), [QuirkKind.UID_PADDING]),
        (changed(AffectedSOPInstanceUID=b"1.2.3\0"), []),
        (changed(AffectedSOPInstanceUID=b"IMAGE1"), [QuirkKind.UID_FORM]),
        (changed(AffectedSOPInstanceUID=b"1." * 40 + b"10"), [QuirkKind.UID_LENGTH]),
        (
            changed(MoveOriginator=b"") + element(0x1030, b"A" * 18),
            [QuirkKind.GROUP_LENGTH, QuirkKind.TITLE_LENGTH],
        ),
        (changed() + element(0x1030, b"\xd6 "), [QuirkKind.GROUP_LENGTH, QuirkKind.TITLE_CHARACTERS]),
        (changed() + element(0x1030, b"A\0"), [QuirkKind.GROUP_LENGTH, QuirkKind.TITLE_NUL]),
        (changed() + element(0x1030, b""), [QuirkKind.GROUP_LENGTH, QuirkKind.TITLE_BLANK]),
        (changed() + element(0x5110, b"  "), [QuirkKind.GROUP_LENGTH, QuirkKind.ELEMENT_UNKNOWN]),
    ],
)
def test_examine(data: bytes, expected: list[QuirkKind]) -> None:
    assert sorted(kinds(data), key=str) == sorted(expected, key=str)


@pytest.mark.parametrize(
    ("field", "status", "kind", "expected"),
    [
        (m.C_ECHO_RQ, None, 1, True),
        (m.C_ECHO_RQ, None, e.NO_DATA_SET, False),
        (m.C_STORE_RSP, 0, 0x0102, True),
        (m.C_STORE_RQ, None, 1, False),
        (m.C_FIND_RSP, 0, 1, True),
        (m.C_FIND_RSP, 0xFF00, 1, False),
        (m.C_FIND_RSP, 0xA900, 1, False),
        (m.C_MOVE_RSP, 0, 1, False),
    ],
)
def test_data_set_impossible(field: int, status: int | None, kind: int, expected: bool) -> None:
    command: dict[int, commands.Value] = {e.COMMAND_FIELD: field, e.COMMAND_DATA_SET_TYPE: kind}
    if status is not None:
        command[e.STATUS] = status
    assert conformance.data_set_impossible(command) is expected


def test_only_requests_without_meta_sop_classes_are_held_to_their_context() -> None:
    assert conformance.names_another_class(STORE, "1.2.3")
    assert not conformance.names_another_class(STORE, CT_IMAGE)
    event = {e.COMMAND_FIELD: m.N_EVENT_REPORT_RQ, e.AFFECTED_SOP_CLASS_UID: CT_IMAGE}
    assert not conformance.names_another_class(event, "1.2.3")


def test_values_of_instances_are_not_shown() -> None:
    found = conformance.findings(changed(AffectedSOPInstanceUID=b"DOE.JOHN"))
    assert found
    assert all("DOE" not in note.detail for note in found)
