"""What holds for every PDU and every command set, and for any bytes at all."""

from __future__ import annotations

import string

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dulcimer.errors import ProtocolError
from dulcimer.protocol.dimse import commands
from dulcimer.protocol.dimse.elements import COMMAND_GROUP_LENGTH, ELEMENTS
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import (
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

# A busy machine is no reason to fail.
untimed = settings(deadline=None)

byte = st.integers(0, 0xFF)
short = st.integers(0, 0xFFFF)
blob = st.binary(max_size=40)
uids = st.text("0123456789.", max_size=64)
latin_1 = st.text(st.characters(max_codepoint=0xFF), max_size=16)
titles = latin_1.map(lambda text: text.strip("\0 "))
context_ids = st.integers(0, 127).map(lambda number: 2 * number + 1)
identities = st.builds(UserIdentity, byte, blob, blob, st.booleans())
known_items = {*range(0x51, 0x5A)}

users = st.builds(
    UserInformation,
    max_length=st.none() | st.integers(0, 0xFFFFFFFF),
    implementation_class_uid=uids,
    implementation_version_name=st.none() | titles,
    async_operations=st.none() | st.builds(AsyncOperations, short, short),
    roles=st.lists(st.builds(RoleSelection, uids, st.booleans(), st.booleans()), max_size=3).map(tuple),
    extended=st.lists(st.builds(ExtendedNegotiation, uids, blob), max_size=3).map(tuple),
    common_extended=st.lists(
        st.builds(CommonExtendedNegotiation, uids, uids, st.lists(uids, max_size=3).map(tuple), byte),
        max_size=3,
    ).map(tuple),
    user_identity=st.none() | identities,
    identity_response=st.none() | blob,
    unknown=st.lists(st.tuples(byte.filter(lambda kind: kind not in known_items), blob), max_size=3).map(
        tuple
    ),
)
requests = st.builds(
    AssociateRQ,
    titles,
    titles,
    st.lists(
        st.builds(ProposedContext, context_ids, uids, st.lists(uids, max_size=4).map(tuple)),
        unique_by=lambda context: context.id,
        max_size=5,
    ).map(tuple),
    users,
    uids,
    short,
)
answers = st.builds(
    AssociateAC,
    titles,
    titles,
    st.lists(
        st.builds(ContextResult, context_ids, byte, uids), unique_by=lambda context: context.id, max_size=5
    ).map(tuple),
    users,
    uids,
    short,
)
pdus: st.SearchStrategy[ControlPDU] = st.one_of(
    requests,
    answers,
    st.builds(AssociateRJ, byte, byte, byte),
    st.just(ReleaseRQ()),
    st.just(ReleaseRP()),
    st.builds(Abort, byte, byte),
)

ascii_text = st.text(string.printable, max_size=64).map(lambda text: text.strip("\0 "))
values: dict[str, st.SearchStrategy[commands.Value]] = {
    "US": short,
    "UI": uids,
    "AE": titles,
    "LO": ascii_text,
    "AT": st.lists(st.integers(0, 0xFFFFFFFF), max_size=5).map(tuple),
}
known = st.fixed_dictionaries(
    {},
    optional={
        number: values[element.vr] for number, element in ELEMENTS.items() if number != COMMAND_GROUP_LENGTH
    },
)
unknown = st.dictionaries(
    short.filter(lambda number: number not in ELEMENTS),
    blob.filter(lambda content: len(content) % 2 == 0),
    max_size=3,
)
command_sets = st.builds(lambda one, other: {**one, **other}, known, unknown)


@untimed
@given(pdus)
def test_decoding_reverses_encoding_of_a_pdu(pdu: ControlPDU) -> None:
    encoded = codec.encode(pdu)
    assert int.from_bytes(encoded[2:6], "big") == len(encoded) - 6
    assert codec.decode(encoded[0], encoded[6:]) == pdu


@untimed
@given(byte, st.binary(max_size=300))
def test_no_bytes_make_the_pdu_decoder_fail_otherwise(kind: int, body: bytes) -> None:
    try:
        codec.decode(kind, body)
    except ProtocolError:
        pass


@untimed
@given(requests | answers, st.data())
def test_no_damage_makes_the_pdu_decoder_fail_otherwise(
    pdu: AssociateRQ | AssociateAC, data: st.DataObject
) -> None:
    encoded = bytearray(codec.encode(pdu))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(74, len(encoded) - 1))] = data.draw(byte)
    try:
        decoded = codec.decode(encoded[0], encoded[6 : data.draw(st.integers(74, len(encoded)))])
    except ProtocolError:
        return
    again = codec.encode(decoded)
    assert codec.decode(again[0], again[6:]) == decoded


@untimed
@given(command_sets)
def test_decoding_reverses_encoding_of_a_command_set(command: dict[int, commands.Value]) -> None:
    encoded = commands.encode(command)
    assert len(encoded) % 2 == 0
    assert int.from_bytes(encoded[8:12], "little") == len(encoded) - 12
    assert commands.decode(encoded) == command


@untimed
@given(st.binary(max_size=200))
@example(bytes(8))
def test_no_bytes_make_the_command_decoder_fail_otherwise(data: bytes) -> None:
    try:
        commands.decode(data)
    except ProtocolError:
        pass


@untimed
@given(st.lists(st.tuples(st.sampled_from([*ELEMENTS, 0x0001, 0x5110]), st.binary(max_size=20)), max_size=6))
def test_any_elements_are_understood(items: list[tuple[int, bytes]]) -> None:
    data = b"".join(
        b"\0\0" + number.to_bytes(2, "little") + len(content).to_bytes(4, "little") + content
        for number, content in items
    )
    assert commands.decode(data).keys() <= {number for number, _ in items}
