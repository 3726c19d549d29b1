"""What the codec notes, and what it tolerates of those who give it a notebook."""

from __future__ import annotations

import struct

import pytest

from dulcimer.errors import InvalidParameter
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import (
    Abort,
    AssociateRJ,
    AssociateRQ,
    ProposedContext,
    ReleaseRQ,
    UserInformation,
)
from dulcimer.quirks import Notebook, QuirkKind

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
REQUEST = AssociateRQ(
    "CALLED",
    "CALLING",
    (ProposedContext(1, VERIFICATION, (IMPLICIT,)),),
    UserInformation(16382, "1.2.3", "NAME"),
)


def item(kind: int, content: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BxH", kind, len(content) if length is None else length) + content


def read(kind: int, body: bytes) -> tuple[codec.ControlPDU, dict[QuirkKind, str]]:
    notes = Notebook()
    pdu = codec.decode(kind, body, notes)
    return pdu, {note.kind: note.detail for note in notes.take()}


def request_with(
    called: bytes = b"CALLED", items: bytes | None = None, user: bytes = b"", after: bytes = b""
) -> bytes:
    if items is None:
        items = item(0x20, b"\1\0\0\0" + item(0x30, VERIFICATION.encode()) + item(0x40, IMPLICIT.encode()))
    basic = item(0x51, b"\0\0\x40\0") + item(0x52, b"1.2.3")
    head = b"\0\1\0\0" + called.ljust(16) + b"CALLING".ljust(16) + bytes(32)
    return head + item(0x10, b"1.2.840.10008.3.1.1.1") + items + item(0x50, basic + user) + after


def test_nothing_is_noted_of_what_is_right() -> None:
    assert read(1, codec.encode(REQUEST)[6:]) == (REQUEST, {})
    assert read(1, request_with())[1] == {}
    assert read(5, bytes(4)) == (ReleaseRQ(), {})


@pytest.mark.parametrize(
    ("title", "taken", "kind"),
    [
        (b"CALLED\0\0", "CALLED", QuirkKind.TITLE_NUL),
        (b"CALLED\0\xc0\xff", "CALLED", QuirkKind.TITLE_NUL),
        (b"CALLED \0\xc0 ", "CALLED", QuirkKind.TITLE_NUL),
        (bytes(16), "", QuirkKind.TITLE_NUL),
        (b"", "", QuirkKind.TITLE_BLANK),
        (b"R\xd6NTGEN", "R\xd6NTGEN", QuirkKind.TITLE_CHARACTERS),
        (b"A\\B", "A\\B", QuirkKind.TITLE_CHARACTERS),
        (b"A\nB", "A\nB", QuirkKind.TITLE_CHARACTERS),
    ],
)
def test_titles(title: bytes, taken: str, kind: QuirkKind) -> None:
    pdu, notes = read(1, request_with(title))
    assert isinstance(pdu, AssociateRQ)
    assert pdu.called == taken
    assert list(notes) == [kind]


def test_the_place_of_a_title_is_kept() -> None:
    notes = Notebook()
    codec.decode(1, request_with(b""), notes)
    assert [note.place for note in notes.take()] == ["called"]


@pytest.mark.parametrize(
    ("uid", "taken", "kinds"),
    [
        (b"1.2.3\0", "1.2.3", [QuirkKind.UID_PADDING]),
        (b" 1.2.3", "1.2.3", [QuirkKind.UID_PADDING]),
        (b"1.2.03", "1.2.03", [QuirkKind.UID_FORM]),
        (b"1..3", "1..3", [QuirkKind.UID_FORM]),
        (b"1.2.", "1.2.", [QuirkKind.UID_FORM]),
        (b"1.\xb2", "1.\xb2", [QuirkKind.UID_FORM]),
        (b"unknown\0", "unknown", [QuirkKind.UID_PADDING, QuirkKind.UID_FORM]),
        (b"1." * 32 + b"1", "1." * 32 + "1", [QuirkKind.UID_LENGTH]),
        (b"1." * 31 + b"10", "1." * 31 + "10", []),
        (b"0.0", "0.0", []),
    ],
)
def test_uids(uid: bytes, taken: str, kinds: list[QuirkKind]) -> None:
    items = item(0x20, b"\1\0\0\0" + item(0x30, uid) + item(0x40, IMPLICIT.encode()))
    for _ in range(2):  # also when it is known already
        pdu, notes = read(1, request_with(items=items))
        assert isinstance(pdu, AssociateRQ)
        assert pdu.contexts[0].abstract_syntax == taken
        assert list(notes) == kinds


def test_an_over_long_uid_is_not_shown_whole() -> None:
    items = item(0x20, b"\1\0\0\0" + item(0x30, b"9" * 60_000) + item(0x40, IMPLICIT.encode()))
    _, notes = read(1, request_with(items=items))
    assert all(len(detail) < 100 for detail in notes.values())


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\0\0", bytes(5)])
def test_short_pdus_of_another_length(body: bytes) -> None:
    assert read(5, body)[0] == ReleaseRQ()
    assert list(read(5, body)[1]) == [QuirkKind.PDU_LENGTH]
    assert read(7, body)[0] == Abort(0, 0)
    assert read(3, body)[0] == AssociateRJ(0, 0, 0)


def test_what_claims_more_than_there_is_ends_with_it() -> None:
    body = request_with(after=item(0x2F, b"x", length=9))
    assert list(read(1, body)[1]) == [QuirkKind.ITEM_OVERRUN, QuirkKind.ITEM_UNKNOWN]
    inner = item(0x20, b"\1\0\0\0" + item(0x30, VERIFICATION.encode()) + item(0x40, IMPLICIT.encode(), 99))
    pdu, notes = read(1, request_with(items=inner))
    assert isinstance(pdu, AssociateRQ)
    assert pdu.contexts == REQUEST.contexts
    assert list(notes) == [QuirkKind.ITEM_OVERRUN]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_bytes_where_an_item_would_begin(count: int) -> None:
    assert list(read(1, request_with(after=bytes(count)))[1]) == [QuirkKind.ITEM_LEFTOVER]


def test_a_user_item_that_is_too_short_is_skipped() -> None:
    pdu, notes = read(1, request_with(user=item(0x54, b"\0\x09abc") + item(0x55, b"NAME")))
    assert isinstance(pdu, AssociateRQ)
    assert pdu.user.roles == () and pdu.user.implementation_version_name == "NAME"
    assert list(notes) == [QuirkKind.ITEM_SHORT]


def test_an_identity_that_is_too_short_is_refused() -> None:
    with pytest.raises(InvalidParameter):
        read(1, request_with(user=item(0x58, b"\1\0\0\x09me")))


def test_repeated_context_ids_are_refused_all_the_same() -> None:
    with pytest.raises(InvalidParameter):
        read(1, request_with(items=item(0x20, b"\1\0\0\0") * 2))


def test_any_number_of_quirks_of_a_kind_is_one_note() -> None:
    _, notes = read(1, request_with(after=item(0x2F, b"") * 10_000))
    assert list(notes) == [QuirkKind.ITEM_UNKNOWN]


def test_titles_of_an_answer_are_not_tested() -> None:
    body = bytearray(request_with(b"", items=item(0x21, b"\1\0\0\0" + item(0x40, IMPLICIT.encode()))))
    assert read(2, bytes(body))[1] == {}
