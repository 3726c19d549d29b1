"""Command sets: strict on output, tolerant on input."""

from __future__ import annotations

import struct

import pytest

from dulcimer.errors import InvalidParameter, LocalProtocolError
from dulcimer.protocol.dimse import commands
from dulcimer.protocol.dimse import elements as e


def element(number: int, content: bytes, group: int = 0) -> bytes:
    return struct.pack("<HHI", group, number, len(content)) + content


STORE_REQUEST: dict[int, commands.Value] = {
    e.AFFECTED_SOP_CLASS_UID: "1.2.840.10008.5.1.4.1.1.2",
    e.COMMAND_FIELD: 0x0001,
    e.MESSAGE_ID: 7,
    e.PRIORITY: 0,
    e.COMMAND_DATA_SET_TYPE: 1,
    e.AFFECTED_SOP_INSTANCE_UID: "1.2.3.45",
    e.MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE: "ORIGIN1",
    e.MOVE_ORIGINATOR_MESSAGE_ID: 65535,
}

STORE_REQUEST_BYTES = (
    element(0x0002, b"1.2.840.10008.5.1.4.1.1.2\0")
    + element(0x0100, b"\x01\x00")
    + element(0x0110, b"\x07\x00")
    + element(0x0700, b"\x00\x00")
    + element(0x0800, b"\x01\x00")
    + element(0x1000, b"1.2.3.45")
    + element(0x1030, b"ORIGIN1 ")
    + element(0x1031, b"\xff\xff")
)


def test_a_command_set_as_it_travels() -> None:
    group_length = element(0x0000, struct.pack("<I", len(STORE_REQUEST_BYTES)))
    assert commands.encode(STORE_REQUEST) == group_length + STORE_REQUEST_BYTES
    assert commands.decode(group_length + STORE_REQUEST_BYTES) == STORE_REQUEST


def test_elements_ascend_whatever_the_order_of_the_mapping() -> None:
    assert commands.encode(dict(reversed(STORE_REQUEST.items()))) == commands.encode(STORE_REQUEST)


def test_group_length_of_the_caller_is_replaced() -> None:
    assert commands.encode({**STORE_REQUEST, e.COMMAND_GROUP_LENGTH: 1}) == commands.encode(STORE_REQUEST)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_taken(kind: type) -> None:
    assert commands.decode(kind(commands.encode(STORE_REQUEST))) == STORE_REQUEST


def test_the_values_are_independent_of_the_buffer() -> None:
    buffer = bytearray(element(0x5180, b"ABCD"))
    command = commands.decode(buffer)
    buffer[-4:] = b"WXYZ"
    assert command == {0x5180: b"ABCD"}


def test_status_elements() -> None:
    command: dict[int, commands.Value] = {
        e.STATUS: 0x0110,
        e.OFFENDING_ELEMENT: (0x00081195, 0x00404052),
        e.ERROR_COMMENT: "may no longer be updated!",
        e.ERROR_ID: 0xA710,
        e.ATTRIBUTE_IDENTIFIER_LIST: (),
    }
    encoded = commands.encode(command)
    assert encoded[12:] == (
        element(0x0900, b"\x10\x01")
        + element(0x0901, b"\x08\x00\x95\x11\x40\x00\x52\x40")
        + element(0x0902, b"may no longer be updated! ")
        + element(0x0903, b"\x10\xa7")
        + element(0x1005, b"")
    )
    assert commands.decode(encoded) == command


def test_text_outside_the_default_repertoire_becomes_question_marks() -> None:
    assert commands.decode(commands.encode({e.ERROR_COMMENT: "Größe"})) == {e.ERROR_COMMENT: "Gr??e"}


# ---- tolerated ------------------------------------------------------------------------------------------


def test_no_group_length_a_wrong_one_and_a_late_one() -> None:
    wrong = element(0x0000, b"\xff\xff\xff\x7f")
    for data in (STORE_REQUEST_BYTES, wrong + STORE_REQUEST_BYTES, STORE_REQUEST_BYTES + wrong):
        assert commands.decode(data) == STORE_REQUEST


def test_any_order() -> None:
    data = element(0x0900, b"\0\0") + element(0x0100, b"\x01\x80")
    assert commands.decode(data) == {e.STATUS: 0, e.COMMAND_FIELD: 0x8001}


@pytest.mark.parametrize("raw", [b"1.2.3", b"1.2.3\0", b"1.2.3 ", b"1.2.3\0\0\0", b" 1.2.3"])
def test_uids_of_odd_length_and_with_any_padding(raw: bytes) -> None:
    assert commands.decode(element(0x0002, raw)) == {e.AFFECTED_SOP_CLASS_UID: "1.2.3"}


@pytest.mark.parametrize("raw", [b"DEST", b"DEST ", b"DEST\0\0", b" DEST".ljust(16)])
def test_titles_with_any_padding(raw: bytes) -> None:
    assert commands.decode(element(0x0600, raw)) == {e.MOVE_DESTINATION: "DEST"}


def test_title_beyond_the_default_repertoire() -> None:
    command: dict[int, commands.Value] = {e.MOVE_DESTINATION: "RÖNTGEN"}
    assert commands.decode(commands.encode(command)) == command


@pytest.mark.parametrize(
    ("raw", "value"), [(b"\x07", 7), (b"\x07\x01", 0x0107), (b"\x07\x01\x09\x09", 0x0107)]
)
def test_numbers_of_unusual_length(raw: bytes, value: int) -> None:
    assert commands.decode(element(0x0110, raw)) == {e.MESSAGE_ID: value}


def test_an_empty_number_is_as_good_as_none() -> None:
    assert commands.decode(element(0x0110, b"")) == {}


def test_empty_text_is_kept() -> None:
    assert commands.decode(element(0x1000, b"")) == {e.AFFECTED_SOP_INSTANCE_UID: ""}


def test_half_a_tag_is_dropped() -> None:
    data = element(0x1005, b"\x10\x00\x20\x00\x10\x00")
    assert commands.decode(data) == {e.ATTRIBUTE_IDENTIFIER_LIST: (0x00100020,)}


def test_unknown_elements_are_kept_as_bytes() -> None:
    data = element(0x0001, b"\x01\x02\x03\x04") + element(0x5110, b"odd")
    command = commands.decode(data)
    assert command == {0x0001: b"\x01\x02\x03\x04", 0x5110: b"odd"}
    assert commands.encode(command)[12:] == element(0x0001, b"\x01\x02\x03\x04") + element(0x5110, b"odd\0")


def test_an_empty_command_set() -> None:
    assert commands.decode(b"") == {}
    assert commands.encode({}) == element(0x0000, bytes(4))


# ---- refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", range(1, len(STORE_REQUEST_BYTES)))
def test_cut_short_anywhere_it_is_refused_or_ends_between_elements(cut: int) -> None:
    ends = {0}
    for number, value in STORE_REQUEST.items():
        ends.add(max(ends) + len(commands.encode({number: value})) - 12)
    if cut in ends:
        assert commands.decode(STORE_REQUEST_BYTES[:cut]).items() <= STORE_REQUEST.items()
    else:
        with pytest.raises(InvalidParameter):
            commands.decode(STORE_REQUEST_BYTES[:cut])


@pytest.mark.parametrize(
    "data",
    [
        element(0x0100, b"\0\0", group=8),
        STORE_REQUEST_BYTES + element(0x0010, b"1.2.3.", group=8),
        b"GET / HTTP/1.1\r\n\r\n",
        element(0x0002, b"")[:-4] + b"\xff\xff\xff\xff",
    ],
)
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidParameter):
        commands.decode(data)


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (e.MESSAGE_ID, 65536),
        (e.MESSAGE_ID, -1),
        (e.MESSAGE_ID, "7"),
        (e.AFFECTED_SOP_CLASS_UID, 7),
        (e.AFFECTED_SOP_CLASS_UID, "1.2.é"),
        (e.AFFECTED_SOP_CLASS_UID, b"1.2"),
        (e.MOVE_DESTINATION, "名前"),
        (e.MOVE_DESTINATION, b"DEST"),
        (e.ERROR_COMMENT, 1),
        (e.OFFENDING_ELEMENT, (1 << 32,)),
        (e.OFFENDING_ELEMENT, "00080018"),
        (0x5110, "text"),
    ],
)
def test_a_value_that_does_not_fit_is_a_local_error(number: int, value: commands.Value) -> None:
    with pytest.raises(LocalProtocolError):
        commands.encode({number: value})
