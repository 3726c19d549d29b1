"""Control PDUs: what is refused, what is tolerated, and the bytes of every negotiation item."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from dulcimer.errors import InvalidParameter, LocalProtocolError, UnexpectedPDU, UnrecognizedPDU
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import (
    APPLICATION_CONTEXT,
    Abort,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    AsyncOperations,
    CommonExtendedNegotiation,
    ContextResult,
    ControlPDU,
    ExtendedNegotiation,
    ProposedContext,
    ReleaseRP,
    ReleaseRQ,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from dulcimer.quirks import Notebook

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
REQUEST = AssociateRQ(
    "CALLED", "CALLING", (ProposedContext(1, VERIFICATION, (IMPLICIT,)),), UserInformation(16384)
)


def item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def counted(content: bytes) -> bytes:
    return struct.pack(">H", len(content)) + content


def head(called: bytes = b"CALLED", calling: bytes = b"CALLING", reserved: bytes = b"\0") -> bytes:
    return b"\0\1" + reserved * 2 + called.ljust(16) + calling.ljust(16) + reserved * 32


def decode_rq(items: bytes, start: bytes | None = None) -> AssociateRQ:
    pdu = codec.decode(0x01, (head() if start is None else start) + items)
    assert isinstance(pdu, AssociateRQ)
    return pdu


def decode_ac(items: bytes) -> AssociateAC:
    pdu = codec.decode(0x02, head() + items)
    assert isinstance(pdu, AssociateAC)
    return pdu


def decode_user(sub_items: bytes) -> UserInformation:
    return decode_rq(item(0x50, sub_items)).user


def user_bytes(user: UserInformation) -> bytes:
    """The content of the User Information Item of an encoded request."""
    encoded = codec.encode(replace(REQUEST, contexts=(), application_context="", user=user))
    assert encoded[74] == 0x50
    return encoded[78:]


# ---- the four short PDUs --------------------------------------------------------------------------------

SHORT: list[tuple[ControlPDU, str]] = [
    (AssociateRJ(1, 2, 2), "03000000000400010202"),
    (AssociateRJ(2, 3, 1), "03000000000400020301"),
    (ReleaseRQ(), "05000000000400000000"),
    (ReleaseRP(), "06000000000400000000"),
    (Abort(0, 0), "07000000000400000000"),
    (Abort(2, 6), "07000000000400000206"),
]


@pytest.mark.parametrize(("pdu", "expected"), SHORT)
def test_short_pdus(pdu: ControlPDU, expected: str) -> None:
    assert codec.encode(pdu).hex() == expected
    assert codec.decode(int(expected[:2], 16), bytes.fromhex(expected[12:])) == pdu


@pytest.mark.parametrize("kind", [3, 5, 6, 7])
def test_short_pdu_cut_short_is_refused(kind: int) -> None:
    with pytest.raises(InvalidParameter):
        codec.decode(kind, b"\0\0\0")


def test_surplus_bytes_of_a_short_pdu_are_not_looked_at() -> None:
    assert codec.decode(7, b"\xff\xff\x02\x06surplus") == Abort(2, 6)
    assert codec.decode(5, b"\xff" * 9) == ReleaseRQ()


@pytest.mark.parametrize("kind", [0, 8, 0x47, 255])
def test_unknown_type_is_unrecognised(kind: int) -> None:
    with pytest.raises(UnrecognizedPDU) as caught:
        codec.decode(kind, bytes(200))
    assert (caught.value.abort_source, caught.value.abort_reason) == (2, 1)


def test_p_data_is_none_of_the_control_pdus() -> None:
    with pytest.raises(UnexpectedPDU):
        codec.decode(4, bytes(20))


def test_memoryview_is_taken() -> None:
    encoded = codec.encode(REQUEST)
    assert codec.decode(1, memoryview(encoded)[6:]) == REQUEST


# ---- the fixed head of an association PDU ---------------------------------------------------------------


def test_head_of_a_request_as_the_standard_draws_it() -> None:
    encoded = codec.encode(REQUEST)
    assert encoded[:2] == b"\x01\x00"
    assert int.from_bytes(encoded[2:6], "big") == len(encoded) - 6
    assert encoded[6:10] == b"\x00\x01\x00\x00"
    assert encoded[10:26] == b"CALLED          "
    assert encoded[26:42] == b"CALLING         "
    assert encoded[42:74] == bytes(32)


def test_answer_repeats_the_titles_and_has_its_own_type() -> None:
    encoded = codec.encode(AssociateAC("CALLED", "CALLING", (), UserInformation()))
    assert encoded[0] == 2
    assert encoded[10:42] == b"CALLED".ljust(16) + b"CALLING".ljust(16)


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        (b"STORE_SCP", "STORE_SCP"),
        (b"  STORE SCP", "STORE SCP"),
        (b"STORE_SCP\0\0\0\0\0\0\0", "STORE_SCP"),
        (b"SIXTEEN-LETTERS!", "SIXTEEN-LETTERS!"),
        (b"", ""),
        (bytes(16), ""),
        ("RÖNTGEN".encode("latin-1"), "RÖNTGEN"),
    ],
)
def test_titles_lose_their_padding(raw: bytes, title: str) -> None:
    pdu = decode_rq(b"", head(called=raw, calling=raw))
    assert (pdu.called, pdu.calling) == (title, title)
    again = codec.encode(pdu)
    assert codec.decode(1, again[6:]) == pdu


def test_reserved_bytes_are_not_looked_at() -> None:
    context = item(0x20, b"\x01\xff\xff\xff" + item(0x30, b"1.2") + item(0x40, b"1.3"))
    noisy = context[:1] + b"\xff" + context[2:]
    assert decode_rq(noisy, head(reserved=b"\xff")).contexts == (ProposedContext(1, "1.2", ("1.3",)),)


def test_protocol_version_is_kept() -> None:
    assert decode_rq(b"", b"\x00\x03" + head()[2:]).protocol_version == 3
    assert codec.encode(replace(REQUEST, protocol_version=2))[6:8] == b"\x00\x02"


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("length", [0, 1, 67])
def test_head_cut_short_is_refused(kind: int, length: int) -> None:
    with pytest.raises(InvalidParameter):
        codec.decode(kind, head()[:length])


@pytest.mark.parametrize("title", ["SEVENTEEN-LETTERS", "名前"])
def test_title_that_does_not_fit_is_a_local_error(title: str) -> None:
    with pytest.raises(LocalProtocolError):
        codec.encode(replace(REQUEST, called=title))


# ---- variable items -------------------------------------------------------------------------------------


def test_request_items_as_the_standard_draws_them() -> None:
    encoded = codec.encode(REQUEST)
    assert encoded[74:] == (
        item(0x10, APPLICATION_CONTEXT.encode())
        + item(0x20, b"\1\0\0\0" + item(0x30, VERIFICATION.encode()) + item(0x40, IMPLICIT.encode()))
        + item(0x50, item(0x51, b"\x00\x00\x40\x00"))
    )


def test_answer_items_as_the_standard_draws_them() -> None:
    answer = AssociateAC("A", "B", (ContextResult(3, 0, IMPLICIT), ContextResult(5, 4)), UserInformation())
    encoded = codec.encode(answer)
    assert encoded[74:] == (
        item(0x10, APPLICATION_CONTEXT.encode())
        + item(0x21, b"\3\0\0\0" + item(0x40, IMPLICIT.encode()))
        + item(0x21, b"\5\0\4\0" + item(0x40, b""))
        + item(0x50, b"")
    )
    assert codec.decode(2, encoded[6:]) == answer


def test_rejected_context_without_transfer_syntax() -> None:
    assert decode_ac(item(0x21, b"\1\0\3\0")).contexts == (ContextResult(1, 3, ""),)


def test_unknown_variable_items_are_skipped() -> None:
    items = item(0x99, b"anything") + item(0x10, b"1.2.3") + item(0x21, b"") + item(0x00, b"")
    assert decode_rq(items).application_context == "1.2.3"


def test_unknown_sub_items_of_a_context_are_skipped() -> None:
    context = item(0x20, b"\1\0\0\0" + item(0x77, b"?") + item(0x30, b"1.2") + item(0x40, b"1.3"))
    assert decode_rq(context).contexts == (ProposedContext(1, "1.2", ("1.3",)),)


@pytest.mark.parametrize("raw", [b"1.2.840", b"1.2.840\0", b"1.2.840\0\0\0", b"1.2.840 ", b" 1.2.840"])
def test_uids_lose_their_padding(raw: bytes) -> None:
    context = item(0x20, b"\1\0\0\0" + item(0x30, raw) + item(0x40, raw))
    pdu = decode_rq(item(0x10, raw) + context)
    assert pdu.application_context == "1.2.840"
    assert pdu.contexts == (ProposedContext(1, "1.2.840", ("1.2.840",)),)


def test_odd_bytes_in_a_uid_are_kept() -> None:
    pdu = decode_rq(item(0x10, b"1.2.\xff\x80"))
    assert pdu.application_context == "1.2.\xff\x80"
    assert codec.decode(1, codec.encode(pdu)[6:]) == pdu


def test_missing_items_leave_their_fields_empty() -> None:
    pdu = decode_rq(b"")
    assert (pdu.application_context, pdu.contexts, pdu.user) == ("", (), UserInformation())
    assert decode_rq(item(0x20, b"\1\0\0\0")).contexts == (ProposedContext(1, "", ()),)


def test_the_last_of_repeated_items_counts() -> None:
    items = item(0x10, b"1.1") + item(0x10, b"1.2")
    items += item(0x20, b"\1\0\0\0" + item(0x30, b"2.1") + item(0x30, b"2.2") + item(0x40, b"3"))
    items += item(0x50, item(0x51, b"\0\0\0\1") + item(0x51, b"\0\0\0\2"))
    pdu = decode_rq(items)
    assert pdu.application_context == "1.2"
    assert pdu.contexts[0].abstract_syntax == "2.2"
    assert pdu.user.max_length == 2


@pytest.mark.parametrize("identifier", [0, 2, 128, 254])
def test_context_id_has_to_be_odd(identifier: int) -> None:
    content = bytes((identifier, 0, 0, 0))
    with pytest.raises(InvalidParameter):
        decode_rq(item(0x20, content))
    with pytest.raises(InvalidParameter):
        decode_ac(item(0x21, content))


def test_context_id_used_twice_is_refused() -> None:
    with pytest.raises(InvalidParameter):
        decode_rq(item(0x20, b"\1\0\0\0") * 2)
    with pytest.raises(InvalidParameter):
        decode_ac(item(0x21, b"\3\0\0\0") * 2)


def test_128_contexts_are_taken_and_one_more_is_not() -> None:
    contexts = [item(0x20, bytes((identifier, 0, 0, 0))) for identifier in range(1, 256, 2)]
    assert len(decode_rq(b"".join(contexts)).contexts) == 128
    with pytest.raises(InvalidParameter):
        decode_rq(b"".join([*contexts, contexts[0]]))


def test_129_contexts_are_not_sent() -> None:
    contexts = tuple(ProposedContext(1, VERIFICATION, (IMPLICIT,)) for _ in range(129))
    with pytest.raises(LocalProtocolError):
        codec.encode(replace(REQUEST, contexts=contexts))


@pytest.mark.parametrize(
    "items",
    [
        b"\x10",
        b"\x10\0\0",
        b"\x10\0\0\5abcd",
        b"\x10\0\xff\xff",
        item(0x10, b"1.2") + b"\0",
        item(0x20, b"\1\0\0"),
        item(0x20, b""),
        item(0x20, b"\1\0\0\0\x30\0\0\x09" + b"1.2"),
        item(0x20, b"\1\0\0\0\x30\0"),
        item(0x50, b"\x51\0\0\4\0\0"),
        item(0x50, b"\x51\0"),
    ],
    ids=lambda value: value.hex(),
)
def test_lengths_that_do_not_add_up_are_refused(items: bytes) -> None:
    with pytest.raises(InvalidParameter) as caught:
        decode_rq(items)
    assert (caught.value.abort_source, caught.value.abort_reason) == (2, 6)


def test_items_longer_than_their_length_field_are_a_local_error() -> None:
    identity = UserIdentity(4, b"x" * 70_000)
    with pytest.raises(LocalProtocolError):
        codec.encode(replace(REQUEST, user=UserInformation(user_identity=identity)))
    many = tuple((0x99, bytes(60_000)) for _ in range(2))
    with pytest.raises(LocalProtocolError):
        codec.encode(replace(REQUEST, user=UserInformation(unknown=many)))


# ---- user information -----------------------------------------------------------------------------------

USER_ITEMS: list[tuple[UserInformation, bytes]] = [
    (UserInformation(), b""),
    (UserInformation(max_length=0), item(0x51, bytes(4))),
    (UserInformation(max_length=0xFFFFFFFF), item(0x51, b"\xff\xff\xff\xff")),
    (UserInformation(implementation_class_uid="1.2.3"), item(0x52, b"1.2.3")),
    (UserInformation(implementation_version_name="NAME_1"), item(0x55, b"NAME_1")),
    (UserInformation(async_operations=AsyncOperations(5, 0)), item(0x53, b"\0\5\0\0")),
    (
        UserInformation(roles=(RoleSelection("1.2", True, False), RoleSelection("1.3", False, True))),
        item(0x54, counted(b"1.2") + b"\1\0") + item(0x54, counted(b"1.3") + b"\0\1"),
    ),
    (
        UserInformation(extended=(ExtendedNegotiation("1.2", b"\1\0\1"), ExtendedNegotiation("1.4", b""))),
        item(0x56, counted(b"1.2") + b"\1\0\1") + item(0x56, counted(b"1.4")),
    ),
    (
        UserInformation(common_extended=(CommonExtendedNegotiation("1.2", "1.3", ("1.4", "1.55")),)),
        item(0x57, counted(b"1.2") + counted(b"1.3") + counted(counted(b"1.4") + counted(b"1.55"))),
    ),
    (
        UserInformation(common_extended=(CommonExtendedNegotiation("1.2", "1.3", (), 1),)),
        b"\x57\1\0\x0c" + counted(b"1.2") + counted(b"1.3") + b"\0\0",
    ),
    (
        UserInformation(user_identity=UserIdentity(1, b"jdoe")),
        item(0x58, b"\1\0" + counted(b"jdoe") + counted(b"")),
    ),
    (
        UserInformation(user_identity=UserIdentity(2, b"jdoe", b"secret", True)),
        item(0x58, b"\2\1" + counted(b"jdoe") + counted(b"secret")),
    ),
    (
        UserInformation(user_identity=UserIdentity(3, b"ticket", b"", True)),
        item(0x58, b"\3\1" + counted(b"ticket") + counted(b"")),
    ),
    (
        UserInformation(user_identity=UserIdentity(4, b"<Assertion/>")),
        item(0x58, b"\4\0" + counted(b"<Assertion/>") + counted(b"")),
    ),
    (
        UserInformation(user_identity=UserIdentity(5, b"e30.e30.")),
        item(0x58, b"\5\0" + counted(b"e30.e30.") + counted(b"")),
    ),
    (UserInformation(identity_response=b""), item(0x59, counted(b""))),
    (UserInformation(identity_response=b"ticket"), item(0x59, counted(b"ticket"))),
    (UserInformation(unknown=((0x5A, b"x"), (0xFF, b""))), item(0x5A, b"x") + item(0xFF, b"")),
]


@pytest.mark.parametrize(("user", "expected"), USER_ITEMS)
def test_user_information_items(user: UserInformation, expected: bytes) -> None:
    assert user_bytes(user) == expected
    assert decode_user(expected) == user


def test_identity_without_its_secondary_field_is_taken() -> None:
    assert decode_user(item(0x58, b"\1\0" + counted(b"jdoe"))).user_identity == UserIdentity(1, b"jdoe")


def test_common_extended_negotiation_without_related_classes_is_taken() -> None:
    user = decode_user(item(0x57, counted(b"1.2") + counted(b"1.3")))
    assert user.common_extended == (CommonExtendedNegotiation("1.2", "1.3"),)


def test_padding_and_surplus_in_negotiation_items() -> None:
    user = decode_user(
        item(0x52, b"1.2.3\0") + item(0x55, b"NAME  ") + item(0x54, counted(b"1.2\0") + b"\1\1surplus")
    )
    assert user.implementation_class_uid == "1.2.3"
    assert user.implementation_version_name == "NAME"
    assert user.roles == (RoleSelection("1.2", True, True),)


def test_repeated_negotiation_items_are_all_kept_in_order() -> None:
    user = decode_user(item(0x54, counted(b"1.2") + b"\1\0") + item(0x54, counted(b"1.2") + b"\0\1"))
    assert user.roles == (RoleSelection("1.2", True, False), RoleSelection("1.2", False, True))


@pytest.mark.parametrize(
    "sub_item",
    [
        item(0x51, b"\0\0\1"),
        item(0x53, b"\0\1\0"),
        item(0x54, b"\0"),
        item(0x54, b"\0\x09" + b"1.2"),
        item(0x54, counted(b"1.2") + b"\1"),
        item(0x56, b"\0\4" + b"1.2"),
        item(0x56, b""),
        item(0x57, counted(b"1.2")),
        item(0x57, counted(b"1.2") + counted(b"1.3") + b"\0"),
        item(0x57, counted(b"1.2") + counted(b"1.3") + b"\0\x09"),
        item(0x57, counted(b"1.2") + counted(b"1.3") + counted(b"\0\x091.4")),
        item(0x58, b"\1"),
        item(0x58, b"\1\0\0\5jdoe"),
        item(0x58, b"\1\0" + counted(b"jdoe") + b"\0"),
        item(0x58, b"\1\0" + counted(b"jdoe") + b"\0\1"),
        item(0x59, b"\0\1"),
        item(0x59, b""),
    ],
    ids=lambda value: value.hex(),
)
def test_negotiation_items_cut_short_are_refused(sub_item: bytes) -> None:
    with pytest.raises(InvalidParameter):
        decode_user(sub_item)


def _request(user: UserInformation) -> bytes:
    contexts = (ProposedContext(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",)),)
    return codec.encode(AssociateRQ("CALLED", "CALLING", contexts, user))[6:]


def test_a_request_that_comes_again_says_the_same() -> None:
    plain = _request(UserInformation(16384, "1.2.3"))
    first, again = codec.decode(1, plain), codec.decode(1, bytearray(plain))
    assert first == again
    assert first.calling == "CALLING"  # type: ignore[union-attr]
    other = _request(UserInformation(16386, "1.2.3"))
    assert codec.decode(1, other).user.max_length == 16386  # type: ignore[union-attr]


def test_credentials_are_not_kept() -> None:
    before = codec._decode_clean.cache_info()
    secret = _request(UserInformation(16384, "1.2.3", user_identity=UserIdentity(2, b"name", b"secret")))
    for _ in range(2):
        found = codec.decode(1, secret)
        assert isinstance(found, AssociateRQ)
        assert found.user.user_identity == UserIdentity(2, b"name", b"secret")
    assert codec._decode_clean.cache_info() == before


def test_what_is_unusual_is_noted_every_time() -> None:
    odd = _request(UserInformation(16384, "1.2.3"))
    odd = odd[:20] + bytes(16) + odd[36:]
    for _ in range(2):
        notes = Notebook()
        codec.decode(1, odd, notes)
        assert notes
