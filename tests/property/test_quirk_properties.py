"""What holds for association PDUs that were damaged anywhere, by default."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dulcimer.errors import RemoteProtocolError
from dulcimer.protocol.association.config import EngineConfig
from dulcimer.protocol.association.engine import Engine
from dulcimer.protocol.ul.states import State
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import AssociateAC, AssociateRQ
from dulcimer.quirks import Notebook, QuirkKind
from property.test_codec_properties import answers, requests
from unit.protocol.engines import ANSWER, REQUEST, reach, receive

untimed = settings(deadline=None)

seeds = st.one_of(requests, answers, st.just(REQUEST), st.just(ANSWER)).map(codec.encode)
changes = st.lists(
    st.tuples(
        st.sampled_from(["set", "insert", "delete", "cut"]),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=4,
)


def damage(pdu: bytes, how: list[tuple[str, float, bytes]]) -> bytes:
    """Return the body of a PDU with bytes set, inserted, deleted and cut off."""
    body = bytearray(pdu[6:])
    for what, where, content in how:
        at = int(where * len(body))
        match what:
            case "set":
                body[at : at + len(content)] = content
            case "insert":
                body[at:at] = content
            case "delete":
                del body[at : at + len(content)]
            case "cut":
                del body[at:]
    return bytes(body)


@untimed
@given(seeds, changes)
def test_a_damaged_pdu_is_taken_or_is_the_peer_s_fault(
    pdu: bytes, how: list[tuple[str, float, bytes]]
) -> None:
    body = damage(pdu, how)
    notes = Notebook()
    try:
        found = codec.decode(pdu[0], body, notes)
    except RemoteProtocolError:
        return
    assert isinstance(found, (AssociateRQ, AssociateAC))
    assert len(found.contexts) <= codec.MAX_CONTEXTS
    assert all(note.kind in QuirkKind and len(note.detail) < 400 for note in notes.take())


@untimed
@given(seeds, changes)
def test_what_is_taken_without_a_notebook_is_taken_with_one(
    pdu: bytes, how: list[tuple[str, float, bytes]]
) -> None:
    body = damage(pdu, how)
    try:
        alone = codec.decode(pdu[0], body)
    except RemoteProtocolError:
        return
    noted = codec.decode(pdu[0], body, Notebook())
    assert isinstance(alone, (AssociateRQ, AssociateAC)) and isinstance(noted, (AssociateRQ, AssociateAC))
    assert (noted.contexts, noted.user) == (alone.contexts, alone.user)


@untimed
@given(seeds, changes, st.booleans())
def test_an_engine_survives_a_damaged_pdu(
    pdu: bytes, how: list[tuple[str, float, bytes]], strict: bool
) -> None:
    body = damage(pdu, how)
    config = EngineConfig(strict=strict)
    acceptor, requestor = reach(State.STA2, False, config), reach(State.STA5, True, config)
    for engine in (acceptor, requestor):
        receive(engine, pdu[:2] + len(body).to_bytes(4, "big") + body)
        check(engine)


def check(engine: Engine) -> None:
    assert engine.state in (State.STA3, State.STA6, State.STA13)
    assert len({quirk.kind for quirk in engine.quirks}) == len(engine.quirks)
    if engine.config.strict and engine.state is not State.STA13:
        assert not any(quirk.breaks_a_rule for quirk in engine.quirks)
