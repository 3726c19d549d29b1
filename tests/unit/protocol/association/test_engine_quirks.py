"""Quirks of a peer as an engine keeps, tells of and refuses them."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from dulcimer.errors import ConnectionLost
from dulcimer.failure import FailureKind, Party
from dulcimer.protocol.association.config import EngineConfig
from dulcimer.protocol.association.engine import Engine
from dulcimer.protocol.association.negotiate import Supported, as_acceptor, as_requestor, examine
from dulcimer.protocol.dimse.elements import COMMAND_DATA_SET_TYPE
from dulcimer.protocol.ul.states import State
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import (
    Abort,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    ContextResult,
    ProposedContext,
    ReleaseRP,
    ReleaseRQ,
    RoleSelection,
    UserInformation,
)
from dulcimer.quirks import Notebook, Quirk, QuirkKind
from unit.protocol.engines import (
    ANSWER,
    CT_CONTEXT,
    CT_IMAGE,
    ECHO_CONTEXT,
    IMPLICIT,
    NEGOTIATED,
    REQUEST,
    VERIFICATION,
    content,
    echo_request,
    make,
    message_bytes,
    reach,
    receive,
    response_to,
    sent_pdus,
    store_request,
)

STRICT = EngineConfig(strict=True)
NUL_TITLE = codec.encode(replace(REQUEST, called="")).replace(b" " * 16, b"CALLED" + bytes(10), 1)
EMPTY_PDU = struct.pack(">BxI", 4, 0)


def kinds(engine: Engine) -> list[QuirkKind]:
    return [quirk.kind for quirk in engine.quirks]


def listening(strict: bool = False) -> Engine:
    return reach(State.STA2, False, STRICT if strict else None)


# ---- kept and told --------------------------------------------------------------------------------------


def test_a_quirk_is_kept_and_told_once() -> None:
    engine = reach(State.STA6, False)
    told: list[Quirk] = []
    engine.on_quirk = told.append
    receive(engine, EMPTY_PDU * 3)
    receive(engine, EMPTY_PDU)
    assert kinds(engine) == [QuirkKind.EMPTY_PDU]
    assert told == engine.quirks
    assert str(told[0]) == "a P-DATA-TF has no value (PS3.8 9.3.5)"


def test_the_request_is_known_when_its_quirks_are_told() -> None:
    engine = listening()
    called: list[str] = []
    engine.on_quirk = lambda quirk: called.append(engine.requested.called if engine.requested else "")
    receive(engine, NUL_TITLE)
    assert called == ["CALLED"]


def test_who_is_told_may_fail() -> None:
    engine = reach(State.STA6, False)

    def fail(quirk: Quirk) -> None:
        raise OSError("no room for the log")

    engine.on_quirk = fail
    receive(engine, EMPTY_PDU + message_bytes(ECHO_CONTEXT, echo_request()))
    assert engine.established and len(engine.requests) == 1


def test_there_are_no_quirks_of_a_peer_that_does_right() -> None:
    engine = reach(State.STA6, False)
    receive(engine, message_bytes(CT_CONTEXT, store_request(), b"data"))
    request = engine.requests.popleft()
    engine.send_message(CT_CONTEXT, response_to(request.command), None, 0.0)
    receive(engine, codec.encode(ReleaseRQ()))
    assert engine.quirks == []


# ---- refused --------------------------------------------------------------------------------------------


def test_a_strict_engine_rejects_a_title_that_is_none() -> None:
    engine = listening(strict=True)
    receive(engine, NUL_TITLE)
    assert sent_pdus(engine) == [AssociateRJ(1, 1, 7)]
    assert engine.state is State.STA13
    assert engine.failure is not None and engine.failure.kind is FailureKind.REJECTED
    assert kinds(engine) == [QuirkKind.TITLE_NUL]


def test_a_strict_engine_tells_of_the_version_first() -> None:
    engine = listening(strict=True)
    receive(engine, codec.encode(replace(REQUEST, calling="", protocol_version=2)))
    assert sent_pdus(engine) == [AssociateRJ(1, 2, 2)]


def test_a_strict_requestor_aborts_an_answer_that_breaks_a_rule() -> None:
    engine = reach(State.STA5, True, STRICT)
    receive(engine, codec.encode(replace(ANSWER, contexts=ANSWER.contexts[:1])))
    assert sent_pdus(engine) == [Abort(2, 6)]
    assert engine.failure is not None
    assert "a proposed presentation context is not answered: context 3, 5" in engine.failure.message


@pytest.mark.parametrize("data", [EMPTY_PDU, b"\x05\0\0\0\0\0"])
def test_a_strict_engine_aborts_what_is_tolerated_otherwise(data: bytes) -> None:
    engine = reach(State.STA6, False, STRICT)
    receive(engine, data)
    assert sent_pdus(engine) == [Abort(2, 6)]
    engine = reach(State.STA6, False)
    receive(engine, data)
    assert not engine.ended


def test_a_strict_engine_looks_at_every_message() -> None:
    engine = reach(State.STA6, False, STRICT)
    receive(engine, message_bytes(CT_CONTEXT, store_request(1), b"data"))
    engine.send_message(CT_CONTEXT, response_to(engine.requests.popleft().command), None, 0.0)
    sent_pdus(engine)
    receive(engine, message_bytes(CT_CONTEXT, {**store_request(2), 0x0700: 9}, b"data"))
    assert sent_pdus(engine) == [Abort(2, 6)]


def test_a_strict_engine_takes_what_the_standard_allows() -> None:
    engine = reach(State.STA6, False, STRICT)
    both = message_bytes(CT_CONTEXT, store_request(), b"data")
    first, second = both[: len(both) - 16], both[len(both) - 16 :]
    values = first[6:] + second[6:]
    receive(engine, struct.pack(">BxI", 4, len(values)) + values)
    assert content(engine.requests.popleft()) == b"data"
    assert kinds(engine) == [QuirkKind.SEVERAL_VALUES]


# ---- data sets that are announced in vain ----------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"1234"])
@pytest.mark.parametrize("sent", [True, False])
def test_a_data_set_that_a_message_does_not_have(sent: bool, data: bytes) -> None:
    engine = reach(State.STA6, False)
    command, rest = message_bytes(ECHO_CONTEXT, echo_request(1), b"")[:-12], message_bytes(1, {}, data)
    receive(engine, command)
    # At once: it may never come.
    assert engine.requests.popleft().command[COMMAND_DATA_SET_TYPE] == 1
    if sent:
        receive(engine, rest[-12 - len(data) :])
    receive(engine, message_bytes(CT_CONTEXT, store_request(2), b"data"))
    assert content(engine.requests.popleft()) == b"data"


# ---- the end --------------------------------------------------------------------------------------------


def begun_and_aborted(engine: Engine) -> bytes:
    whole = message_bytes(CT_CONTEXT, store_request(), bytes(100))
    return whole[:-50] + codec.encode(Abort(2, 1))


@pytest.mark.parametrize("apart", [True, False])
def test_an_abort_in_the_middle_of_a_pdu_is_seen_at_the_end(apart: bool) -> None:
    engine = reach(State.STA6, False)
    data = begun_and_aborted(engine)
    receive(engine, data, cuts=[len(data) - 10] if apart else ())
    assert engine.established
    engine.get_buffer()  # what is received at the end is nothing
    engine.eof(1.0)
    assert kinds(engine) == [QuirkKind.ABORT_IN_PDU]
    assert engine.failure is not None
    assert (engine.failure.kind, engine.failure.by) == (FailureKind.ABORTED, Party.PEER)
    assert (engine.failure.source, engine.failure.reason) == (2, 1)


def test_data_that_ends_like_nothing_in_particular_is_no_abort() -> None:
    engine = reach(State.STA6, False)
    receive(engine, message_bytes(CT_CONTEXT, store_request(), bytes(100))[:-50])
    engine.eof(1.0)
    assert engine.quirks == []
    assert isinstance(engine.error(), ConnectionLost)


def test_release_collision_and_outstanding_operations() -> None:
    engine = reach(State.STA6, True)
    engine.send_request(ECHO_CONTEXT, echo_request(), None, 0.0)
    engine.release(0.0)
    receive(engine, codec.encode(ReleaseRQ()))
    engine.release(0.0)
    receive(engine, codec.encode(ReleaseRP()))
    assert engine.released
    assert kinds(engine) == [QuirkKind.RELEASE_OUTSTANDING, QuirkKind.RELEASE_COLLISION]


# ---- negotiation ----------------------------------------------------------------------------------------


def asked(*syntaxes: tuple[str, ...], roles: tuple[RoleSelection, ...] = ()) -> AssociateRQ:
    contexts = tuple(ProposedContext(2 * i + 1, CT_IMAGE, each) for i, each in enumerate(syntaxes))
    return AssociateRQ("A", "B", contexts, UserInformation(0, "1.2.3", roles=roles))


def answered(*results: ContextResult, roles: tuple[RoleSelection, ...] = ()) -> AssociateAC:
    return AssociateAC("A", "B", results, UserInformation(0, "1.2.4", roles=roles))


ROLE = (RoleSelection(CT_IMAGE, True, True),)
OTHER_ROLE = (RoleSelection(VERIFICATION, True, True),)


@pytest.mark.parametrize(
    ("request_pdu", "answer", "expected"),
    [
        (asked((IMPLICIT,)), answered(ContextResult(1, 0, IMPLICIT)), []),
        (asked((IMPLICIT,)), answered(ContextResult(1, 3, IMPLICIT)), []),
        (asked((IMPLICIT,)), answered(), [QuirkKind.ANSWER_MISSING]),
        (asked(), answered(ContextResult(1, 0, IMPLICIT)), [QuirkKind.ANSWER_UNASKED]),
        (
            asked((IMPLICIT,), (IMPLICIT,)),
            answered(ContextResult(3, 0, IMPLICIT), ContextResult(1, 0, IMPLICIT)),
            [QuirkKind.ANSWER_ORDER],
        ),
        (asked((IMPLICIT,)), answered(ContextResult(1, 0, "")), [QuirkKind.ANSWER_SYNTAX_MISSING]),
        (asked((IMPLICIT,)), answered(ContextResult(1, 0, "1.2")), [QuirkKind.ANSWER_SYNTAX_UNASKED]),
        (asked((IMPLICIT,)), answered(ContextResult(1, 1, "")), [QuirkKind.ANSWER_SYNTAX_OMITTED]),
        (
            asked((IMPLICIT,), roles=ROLE),
            answered(ContextResult(1, 0, IMPLICIT)),
            [QuirkKind.ROLE_UNANSWERED],
        ),
        (asked((IMPLICIT,), roles=ROLE), answered(ContextResult(1, 3, IMPLICIT)), []),
        (
            asked((IMPLICIT,)),
            answered(ContextResult(1, 0, IMPLICIT), roles=OTHER_ROLE),
            [QuirkKind.ROLE_UNASKED],
        ),
    ],
)
def test_answers(request_pdu: AssociateRQ, answer: AssociateAC, expected: list[QuirkKind]) -> None:
    notes = Notebook()
    examine(request_pdu, answer, notes)
    assert list(notes) == expected


def test_the_only_transfer_syntax_need_not_be_named() -> None:
    answer = answered(ContextResult(1, 0, ""))
    (context,) = as_requestor(asked((IMPLICIT,)), answer).values()
    assert context.transfer_syntax == IMPLICIT
    assert as_requestor(asked((IMPLICIT, "1.2")), answer) == {}


@pytest.mark.parametrize(
    ("assume", "takes_scp", "as_scu"), [(True, True, True), (False, True, False), (True, False, False)]
)
def test_roles_that_are_not_negotiated(assume: bool, takes_scp: bool, as_scu: bool) -> None:
    supported = {CT_IMAGE: Supported((IMPLICIT,), True, takes_scp)}
    decision = as_acceptor(asked((IMPLICIT,)), supported, assume_roles=assume)
    assert decision.roles == ()
    assert [(context.as_scu, context.as_scp) for context in decision.contexts.values()] == [(as_scu, True)]


def test_a_role_is_noted_when_it_is_made_use_of() -> None:
    engine = make(False)
    engine.connected(0.0)
    receive(engine, codec.encode(REQUEST))
    contexts = dict(NEGOTIATED.contexts)
    contexts[CT_CONTEXT] = contexts[CT_CONTEXT]._replace(as_scu=True)
    engine.accept(ANSWER, contexts, 0.0)
    assert engine.quirks == []
    engine.send_request(CT_CONTEXT, store_request(), b"data", 0.0)
    assert kinds(engine) == [QuirkKind.ROLE_ASSUMED]


def test_a_request_in_a_role_that_was_not_negotiated() -> None:
    engine = reach(State.STA6, True)
    receive(engine, message_bytes(CT_CONTEXT, store_request(), b"data"))
    assert kinds(engine) == [QuirkKind.ROLE_ASSUMED]
    assert content(engine.requests.popleft()) == b"data"
