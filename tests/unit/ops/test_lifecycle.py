"""From the association request to the release, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dulcimer.errors import AssociationAborted, AssociationError, AssociationRejected, LocalProtocolError
from dulcimer.ops import lifecycle
from dulcimer.ops.effects import WAIT, Call
from dulcimer.protocol.association.contexts import Context
from dulcimer.protocol.association.engine import Engine
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse.assembler import Message
from dulcimer.protocol.ul.states import State
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import Abort, AssociateRJ, ControlPDU, ReleaseRP, ReleaseRQ
from unit.ops.driving import Stuck, begin, drive
from unit.protocol.engines import (
    ANSWER,
    ECHO_CONTEXT,
    NEGOTIATED,
    REQUEST,
    echo_request,
    established_pair,
    exchange_all,
    make,
    message_bytes,
    output,
    parse,
    reach,
    receive,
    sent_pdus,
)


def arrives(engine: Engine, *pdus: ControlPDU | bytes) -> Callable[[], None]:
    return lambda: receive(
        engine, b"".join(pdu if isinstance(pdu, bytes) else codec.encode(pdu) for pdu in pdus)
    )


def success(message: Message, context: Context) -> int:
    return 0x0000


# ---- establishment --------------------------------------------------------------------------------------


def test_an_association_is_accepted() -> None:
    engine = reach(State.STA5, True)
    assert drive(lifecycle.associate(engine), arrives(engine, ANSWER)) == ANSWER
    assert engine.established
    assert set(engine.contexts) == set(NEGOTIATED.contexts)


def test_an_association_is_rejected() -> None:
    engine = reach(State.STA5, True)
    with pytest.raises(AssociationRejected) as caught:
        drive(lifecycle.associate(engine), arrives(engine, AssociateRJ(1, 1, 7)))
    assert caught.value.failure.reason == 7


def test_the_peer_aborts_instead() -> None:
    engine = reach(State.STA5, True)
    with pytest.raises(AssociationAborted):
        drive(lifecycle.associate(engine), arrives(engine, Abort(2, 1)))


@pytest.mark.parametrize("what", ["eof", "timeout", "abort"])
def test_no_answer(what: str) -> None:
    engine = reach(State.STA5, True)
    happens = {
        "eof": lambda: engine.eof(1.0),
        "timeout": lambda: engine.handle_timeout(1000.0),
        "abort": lambda: engine.abort(1.0),
    }[what]
    with pytest.raises(AssociationError):
        drive(lifecycle.associate(engine), happens)


def test_accepted_and_aborted_at_once() -> None:
    engine = reach(State.STA5, True)
    with pytest.raises(AssociationAborted):
        drive(lifecycle.associate(engine), arrives(engine, ANSWER, Abort(0, 0)))


def test_a_request_is_accepted() -> None:
    engine = reach(State.STA2, False)
    asked: list[Any] = []

    def decide(request: Any) -> lifecycle.Decision:
        asked.append(request)
        return ANSWER, dict(NEGOTIATED.contexts)

    assert drive(lifecycle.accept(engine, decide), arrives(engine, REQUEST)) is True
    assert asked == [REQUEST]
    assert sent_pdus(engine) == [ANSWER]
    assert engine.established


def test_a_request_is_rejected_and_the_peer_may_read_why() -> None:
    engine = reach(State.STA2, False)
    rejection = AssociateRJ(1, 1, 3)
    assert drive(lifecycle.accept(engine, lambda _: rejection), arrives(engine, REQUEST)) is False
    assert sent_pdus(engine) == [rejection]
    leaving = lifecycle.leave(engine)
    assert begin(leaving) is WAIT
    engine.eof(1.0)
    drive(leaving)


def test_a_request_of_another_protocol_version_is_rejected_without_asking() -> None:
    engine = reach(State.STA2, False)
    odd = bytearray(codec.encode(REQUEST))
    odd[6:8] = b"\0\2"
    assert (
        drive(lifecycle.accept(engine, lambda _: pytest.fail("asked")), arrives(engine, bytes(odd))) is False
    )
    assert sent_pdus(engine) == [AssociateRJ(1, 2, 2)]


@pytest.mark.parametrize("what", ["eof", "timeout", "garbage", "abort"])
def test_no_request(what: str) -> None:
    """An abort of ours included, before which there is nothing to abort: nobody may wait for ever."""
    engine = reach(State.STA2, False)

    def abort() -> None:
        # As the driver does it: it closes the connection, which ends the engine.
        engine.abort(1.0)
        assert engine.close_transport
        engine.eof(1.0)

    happens = {
        "eof": lambda: engine.eof(1.0),
        "timeout": lambda: engine.handle_timeout(1000.0),
        "garbage": lambda: receive(engine, b"GET / HTTP/1.1\r\n\r\n"),
        "abort": abort,
    }[what]
    assert drive(lifecycle.accept(engine, lambda _: pytest.fail("asked")), happens) is False


def test_the_peer_is_gone_while_we_decide() -> None:
    engine = reach(State.STA2, False)

    def decide(request: Any) -> lifecycle.Decision:
        engine.eof(1.0)
        return ANSWER, dict(NEGOTIATED.contexts)

    assert drive(lifecycle.accept(engine, decide), arrives(engine, REQUEST)) is False
    assert output(engine) == b""


def test_nothing_was_decided() -> None:
    """Who decides has ended the association himself."""
    engine = reach(State.STA2, False)
    assert drive(lifecycle.accept(engine, lambda _: engine.abort(1.0)), arrives(engine, REQUEST)) is False
    assert [type(pdu) for pdu in sent_pdus(engine)] == [Abort]


# ---- release --------------------------------------------------------------------------------------------


def test_a_release_is_answered() -> None:
    requestor, acceptor = established_pair()
    serving = lifecycle.serve(acceptor, success)
    assert begin(serving) is WAIT

    def wait() -> None:
        exchange_all(requestor, acceptor)
        if not acceptor.ended:
            assert begin(serving) is WAIT
            exchange_all(requestor, acceptor)

    assert drive(lifecycle.release(requestor), wait) is True
    assert requestor.released and acceptor.released
    acceptor.eof(1.0)
    drive(serving)


def test_a_release_collision() -> None:
    """Each side asks before it hears of the other's asking (PS3.8 7.2.3)."""
    requestor, acceptor = established_pair()
    ours, theirs = lifecycle.release(requestor), lifecycle.release(acceptor)
    assert begin(ours) is begin(theirs) is WAIT
    to_acceptor, to_requestor = output(requestor), output(acceptor)
    receive(acceptor, to_acceptor)
    receive(requestor, to_requestor)
    results = []
    for _ in range(6):
        for one in (ours, theirs):
            try:
                next(one)
            except StopIteration as stop:
                results.append(stop.value)
        exchange_all(requestor, acceptor)
    assert results[:2] == [True, True]


@pytest.mark.parametrize("what", ["eof", "abort", "timeout"])
def test_a_release_that_is_not_answered(what: str) -> None:
    engine = reach(State.STA6, True)
    happens = {
        "eof": lambda: engine.eof(1.0),
        "abort": arrives(engine, Abort(0, 0)),
        "timeout": lambda: engine.handle_timeout(1000.0),
    }[what]
    assert drive(lifecycle.release(engine), happens) is False


def test_a_release_out_of_turn() -> None:
    with pytest.raises(LocalProtocolError):
        drive(lifecycle.release(reach(State.STA2, False)))


# ---- serving --------------------------------------------------------------------------------------------


def test_what_was_requested_before_the_release_is_answered_before_it() -> None:
    engine = reach(State.STA6, False)
    both = message_bytes(ECHO_CONTEXT, echo_request(5)) + codec.encode(ReleaseRQ())
    happens: list[Callable[[], None]] = [lambda: receive(engine, both), lambda: engine.eof(1.0)]
    events = iter(happens)
    sent = bytearray()

    def wait() -> None:
        sent.extend(output(engine))
        next(events)()

    drive(lifecycle.serve(engine, success), wait)
    answer, release = parse(bytes(sent))
    assert isinstance(answer, Message)
    assert answer.command[e.MESSAGE_ID_BEING_RESPONDED_TO] == 5
    assert release == ReleaseRP()


@pytest.mark.parametrize("state", [State.STA6, State.STA7, State.STA8, State.STA13])
def test_serving_ends_with_the_connection(state: State) -> None:
    engine = reach(state, False)
    drive(lifecycle.serve(engine, success), lambda: engine.eof(1.0))
    assert engine.close_transport


def test_serving_waits_until_an_aborting_peer_has_closed() -> None:
    engine = reach(State.STA6, False)
    serving = lifecycle.serve(engine, success)
    assert begin(serving) is WAIT
    receive(engine, b"\x09\x00\x00\x00\x00\x00")
    assert next(serving) is WAIT
    assert [type(pdu) for pdu in sent_pdus(engine)] == [Abort]
    engine.handle_timeout(1000.0)
    drive(serving)


def test_a_handler_that_aborts_ends_the_serving() -> None:
    engine = reach(State.STA6, False)
    receive(engine, message_bytes(ECHO_CONTEXT, echo_request(5)))
    receive(engine, message_bytes(ECHO_CONTEXT, echo_request(6)))
    calls: list[int] = []

    def respond(message: Message, context: Context) -> int:
        calls.append(1)
        engine.abort(1.0)
        return 0

    with pytest.raises(Stuck):
        drive(lifecycle.serve(engine, respond))
    assert calls == [1]
    assert [type(pdu) for pdu in sent_pdus(engine)] == [Abort]


# ---- attending to what is idle --------------------------------------------------------------------------


def test_attending_serves_and_ends() -> None:
    engine = reach(State.STA6, True)
    two = message_bytes(ECHO_CONTEXT, echo_request(5)) + message_bytes(ECHO_CONTEXT, echo_request(6))
    drive(lifecycle.attend(engine, success), lambda: receive(engine, two))
    assert len(sent_pdus(engine)) == 2
    assert engine.established


def test_attending_does_not_wait_for_what_is_here() -> None:
    """It came while a call was sending its last; there may be nothing more to come."""
    engine = reach(State.STA6, True)
    receive(engine, message_bytes(ECHO_CONTEXT, echo_request(5)))
    drive(lifecycle.attend(engine, success))
    assert len(sent_pdus(engine)) == 1


def test_attending_answers_a_release_that_is_here() -> None:
    engine = reach(State.STA8, True)
    leaving = lifecycle.attend(engine, success)
    assert begin(leaving) is WAIT
    assert sent_pdus(engine) == [ReleaseRP()]
    engine.eof(1.0)
    drive(leaving)


def test_attending_waits_for_the_rest_of_a_message() -> None:
    engine = reach(State.STA6, True)
    request = message_bytes(ECHO_CONTEXT, echo_request(5))
    pieces = iter([request[:4], request[4:30], request[30:]])
    drive(lifecycle.attend(engine, success), lambda: receive(engine, next(pieces)))
    assert len(sent_pdus(engine)) == 1


def test_attending_when_nothing_came_after_all() -> None:
    engine = reach(State.STA6, True)
    drive(lifecycle.attend(engine, success), lambda: None)
    assert engine.established


def test_a_decision_is_a_call_of_the_users_code() -> None:
    engine = make(False)
    engine.connected(0.0)
    receive(engine, codec.encode(REQUEST))

    def decide(request: Any) -> lifecycle.Decision:
        return None

    effect = begin(lifecycle.accept(engine, decide))
    assert isinstance(effect, Call)
    assert (effect.function, effect.arguments) == (decide, (REQUEST,))
