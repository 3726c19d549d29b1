"""The engine: every cell of Table 9-10, every deadline, and what two engines do to each other."""

from __future__ import annotations

import struct
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from mmap import mmap

import pytest

from dulcimer.errors import (
    AssociationAborted,
    AssociationRejected,
    AssociationTimeout,
    ConnectFailed,
    ConnectionLost,
    LocalProtocolError,
)
from dulcimer.failure import Failure, FailureKind, Party
from dulcimer.protocol.association.config import EngineConfig
from dulcimer.protocol.association.contexts import Context
from dulcimer.protocol.association.engine import Engine
from dulcimer.protocol.dimse import commands
from dulcimer.protocol.dimse.assembler import Message
from dulcimer.protocol.dimse.commands import Value
from dulcimer.protocol.dimse.elements import (
    COMMAND_DATA_SET_TYPE,
    COMMAND_FIELD,
    ERROR_COMMENT,
    MESSAGE_ID,
    MESSAGE_ID_BEING_RESPONDED_TO,
    STATUS,
)
from dulcimer.protocol.dimse.messages import C_CANCEL_RQ, C_ECHO_RQ, C_STORE_RSP, N_SET_RSP
from dulcimer.protocol.dimse.sinks import DataSetTooLarge, MemorySink, NullSink, Sink
from dulcimer.protocol.ul.states import Event, State
from dulcimer.protocol.ul.table import LOCAL_PRIMITIVES, TABLE, Action
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import (
    Abort,
    AssociateRJ,
    AsyncOperations,
    ContextResult,
    ControlPDU,
    ReleaseRP,
    ReleaseRQ,
    UserInformation,
)
from dulcimer.protocol.wire.reader import FIRST_SIZE, MAX_CONTROL_PDU
from unit.protocol.engines import (
    ANSWER,
    CT_CONTEXT,
    ECHO_CONTEXT,
    MPPS_CONTEXT,
    NEGOTIATED,
    REQUEST,
    ROLES,
    Recorder,
    content,
    echo_request,
    established_pair,
    exchange_all,
    make,
    message_bytes,
    output,
    parse,
    reach,
    receive,
    response_to,
    sent_pdus,
    set_request,
    store_request,
)

REJECTION = AssociateRJ(2, 1, 7)
ECHO_BYTES = message_bytes(ECHO_CONTEXT, echo_request())
UNRECOGNIZED_PDU = b"\x4f\0\0\0\0\0"
RELEASE_ANSWERED_IN = (State.STA8, State.STA9, State.STA12)


def encoded(pdu: ControlPDU) -> bytes:
    return codec.encode(pdu)


def p_data(*values: tuple[int, int, bytes]) -> bytes:
    """One P-DATA-TF of presentation data values: context ID, message control header, content."""
    body = b"".join(
        struct.pack(">IBB", len(piece) + 2, context_id, control) + piece
        for context_id, control, piece in values
    )
    return struct.pack(">BxI", 4, len(body)) + body


# ---- Table 9-10, cell by cell ---------------------------------------------------------------------------

CELLS = [(state, requestor, event) for state in State for requestor in ROLES[state] for event in Event]


def cell_id(value: State | Event | bool) -> str:
    return ("acceptor", "requestor")[value] if isinstance(value, bool) else value.name


RECEIVED = {
    Event.EVT3: encoded(ANSWER),
    Event.EVT4: encoded(REJECTION),
    Event.EVT6: encoded(REQUEST),
    Event.EVT10: ECHO_BYTES,
    Event.EVT12: encoded(ReleaseRQ()),
    Event.EVT13: encoded(ReleaseRP()),
    Event.EVT16: encoded(Abort(0, 0)),
    Event.EVT19: UNRECOGNIZED_PDU,
}

SENT: dict[Action, list[ControlPDU]] = {
    Action.AE_2: [REQUEST],
    Action.AE_7: [ANSWER],
    Action.AE_8: [REJECTION],
    Action.AR_1: [ReleaseRQ()],
    Action.AR_4: [ReleaseRP()],
    Action.AR_9: [ReleaseRP()],
    Action.AA_1: [Abort(0, 0)],
}

CLOSES = {
    Action.AE_4,
    Action.AR_3,
    Action.AR_5,
    Action.AA_2,
    Action.AA_3,
    Action.AA_4,
    Action.AA_5,
}


def apply(engine: Engine, event: Event, now: float) -> None:
    """Bring an event about: PDUs as bytes, primitives as calls, transport and timer as indications."""
    match event:
        case Event.EVT1:
            engine.associate(REQUEST, now)
        case Event.EVT7:
            engine.accept(ANSWER, dict(NEGOTIATED.contexts), now)
        case Event.EVT8:
            engine.reject(REJECTION, now)
        case Event.EVT9:
            engine.send_message(ECHO_CONTEXT, echo_request(), None, now)
        case Event.EVT11 | Event.EVT14:
            engine.release(now)
        case Event.EVT15:
            engine.abort(now)
        case Event.EVT17:
            engine.eof(now)
        case Event.EVT2 | Event.EVT5 if engine.requestor is (event is Event.EVT2):
            engine.connected(now)
        case Event.EVT18 if engine.next_deadline() is None or engine.state in (State.STA2, State.STA13):
            engine.handle_timeout(now)
        case Event.EVT2 | Event.EVT5 | Event.EVT18:
            # No driver can bring these about: the role, or another timer, stands in the way.
            engine._event(event)
        case _:
            receive(engine, RECEIVED[event], now)


def effective(event: Event, state: State) -> Event:
    """``release`` is the request or the response, as the state demands."""
    if event in (Event.EVT11, Event.EVT14):
        return Event.EVT14 if state in RELEASE_ANSWERED_IN else Event.EVT11
    return event


@pytest.mark.parametrize(("state", "requestor", "event"), CELLS, ids=cell_id)
def test_cell(state: State, requestor: bool, event: Event) -> None:
    engine = reach(state, requestor)
    recorder = engine.observer = Recorder()
    event = effective(event, state)
    action = TABLE.get((event, state))
    closing = engine.close_transport

    if action is None and event is Event.EVT15:
        # Aborting what has ended, or has not begun, is no error of the caller's.
        engine.abort(1e6)
        assert engine.close_transport is (state is State.STA2 or closing)
    elif action is None and event in LOCAL_PRIMITIVES:
        with pytest.raises(LocalProtocolError):
            apply(engine, event, 1e6)
    else:
        apply(engine, event, 1e6)

    if action is None:
        assert engine.state is state
        assert not recorder.transitions
        assert output(engine) == b""
        assert not engine.requests
        closed_by = (Event.EVT15, Event.EVT17) if state is State.STA2 else (Event.EVT17,)
        assert engine.close_transport is (closing or event in closed_by)
        return

    following = action.next_states[0]
    if action is Action.AR_8 and not requestor:
        following = State.STA10
    # Data in Sta6 goes the short way.
    short = action in (Action.DT_1, Action.DT_2)
    assert recorder.transitions == ([] if short else [(event, action, state, following)])
    assert engine.state is following
    assert engine.close_transport is (action in CLOSES)
    sent = sent_pdus(engine)
    if action in (Action.DT_1, Action.AR_7):
        (message,) = sent
        assert isinstance(message, Message) and message.command[COMMAND_FIELD] == C_ECHO_RQ
    elif action in (Action.AA_7, Action.AA_8):
        assert sent == [Abort(2, 1 if event is Event.EVT19 else 2)]
    else:
        assert sent == SENT.get(action, [])
    assert len(engine.requests) == (action in (Action.DT_2, Action.AR_6))


FAILURES = {
    Action.AE_4: (FailureKind.REJECTED, Party.PEER),
    Action.AE_8: (FailureKind.REJECTED, Party.LOCAL),
    Action.AA_3: (FailureKind.ABORTED, Party.PEER),
    Action.AA_4: (FailureKind.LOST, Party.PEER),
    Action.AA_8: (FailureKind.PROTOCOL, Party.PEER),
}


@pytest.mark.parametrize(
    ("state", "requestor", "event"),
    [cell for cell in CELLS if (cell[2], cell[0]) in TABLE and TABLE[cell[2], cell[0]] in FAILURES],
    ids=cell_id,
)
def test_the_user_is_told_of_a_failure(state: State, requestor: bool, event: Event) -> None:
    engine = reach(state, requestor)
    generation = engine.generation
    apply(engine, event, 1.0)
    assert engine.failure is not None
    assert (engine.failure.kind, engine.failure.by) == FAILURES[TABLE[event, state]]
    assert engine.ended and engine.generation > generation
    assert str(engine.error()) == engine.failure.message


@pytest.mark.parametrize("requestor", [True, False])
def test_what_follows_the_end_of_an_association_is_not_its_failure(requestor: bool) -> None:
    engine = reach(State.STA7, requestor)
    receive(engine, encoded(ReleaseRP()) + UNRECOGNIZED_PDU + ECHO_BYTES)
    assert engine.released and engine.failure is None
    assert isinstance(engine.error(), ConnectionLost)
    assert "released" in str(engine.error())


def test_protocol_version_without_bit_0_is_rejected_by_the_provider() -> None:
    engine = reach(State.STA2, False)
    receive(engine, encoded(replace(REQUEST, protocol_version=2)), 5.0)
    assert engine.state is State.STA13
    assert sent_pdus(engine) == [AssociateRJ(1, 2, 2)]
    assert engine.next_deadline() == 5.0 + engine.config.linger
    assert isinstance(engine.error(), AssociationRejected)


def test_protocol_version_with_other_bits_too_is_taken() -> None:
    engine = reach(State.STA2, False)
    receive(engine, encoded(replace(REQUEST, protocol_version=3)))
    assert engine.state is State.STA3


def test_abort_before_an_association_is_requested_closes_the_transport() -> None:
    engine = reach(State.STA2, False)
    engine.abort(1.0)
    assert (engine.state, engine.close_transport, output(engine)) == (State.STA2, True, b"")
    engine.eof(1.0)
    assert engine.state is State.STA1
    assert isinstance(engine.error(), AssociationAborted)


def test_abort_while_connecting_makes_the_late_connection_close() -> None:
    engine = reach(State.STA4, True)
    engine.abort(1.0)
    assert (engine.state, engine.close_transport) == (State.STA1, True)
    engine.connected(2.0)
    assert (engine.state, engine.close_transport, output(engine)) == (State.STA1, True, b"")


def test_an_engine_serves_one_association() -> None:
    engine = reach(State.STA7, True)
    receive(engine, encoded(ReleaseRP()))
    with pytest.raises(LocalProtocolError, match="another engine"):
        engine.associate(REQUEST, 1.0)
    acceptor = reach(State.STA2, False)
    acceptor.eof(1.0)
    acceptor.connected(2.0)
    assert acceptor.state is State.STA1


@pytest.mark.parametrize(
    ("state", "requestor", "ask"),
    [
        (State.STA1, True, lambda engine: engine.associate(replace(REQUEST, called="X" * 17), 0.0)),
        (State.STA3, False, lambda engine: engine.accept(replace(ANSWER, called="X" * 17), {}, 0.0)),
        (State.STA3, False, lambda engine: engine.reject(AssociateRJ(1, 1, 999), 0.0)),
        (State.STA6, True, lambda engine: engine.abort(0.0, 0, 999)),
    ],
    ids=["associate", "accept", "reject", "abort"],
)
def test_what_cannot_be_encoded_is_refused_before_the_state_changes(
    state: State, requestor: bool, ask: Callable[[Engine], None]
) -> None:
    engine = reach(state, requestor)
    with pytest.raises(LocalProtocolError, match=r"encode|characters"):
        ask(engine)
    assert engine.state is state
    assert engine.failure is None
    assert output(engine) == b""


def test_connect_failed() -> None:
    engine = reach(State.STA4, True)
    engine.connect_failed(Failure(FailureKind.CONNECT, Party.NETWORK, "connection refused"), 1.0)
    assert (engine.state, engine.close_transport) == (State.STA1, True)
    assert isinstance(engine.error(), ConnectFailed)
    assert str(engine.error()) == "connection refused"


def test_eof_names_the_reason() -> None:
    engine = reach(State.STA6, True)
    engine.eof(1.0, "reset by peer")
    assert "reset by peer" in str(engine.error())


def test_eof_before_any_byte_is_no_failure() -> None:
    engine = reach(State.STA2, False)
    engine.eof(1.0)
    assert engine.failure is None


def test_eof_in_the_middle_of_a_request_is_one() -> None:
    engine = reach(State.STA2, False)
    receive(engine, encoded(REQUEST)[:50])
    engine.eof(1.0)
    assert engine.failure is not None and engine.failure.kind is FailureKind.LOST


# ---- two engines ----------------------------------------------------------------------------------------


def test_associate() -> None:
    requestor, acceptor = established_pair()
    assert requestor.requested == acceptor.requested
    assert requestor.accepted == acceptor.accepted
    assert requestor.peer_max_length == acceptor.peer_max_length == 16382
    assert requestor.contexts[MPPS_CONTEXT].as_scu and not requestor.contexts[MPPS_CONTEXT].as_scp
    assert acceptor.contexts[MPPS_CONTEXT].as_scp and not acceptor.contexts[MPPS_CONTEXT].as_scu
    assert requestor.contexts.keys() == acceptor.contexts.keys() == {1, 3, 5}


def test_reject() -> None:
    requestor, acceptor = reach(State.STA5, True), reach(State.STA3, False)
    acceptor.reject(REJECTION, 0.0)
    exchange_all(requestor, acceptor)
    assert (requestor.state, acceptor.state) == (State.STA1, State.STA13)
    assert requestor.close_transport and not acceptor.close_transport
    error = requestor.error()
    assert isinstance(error, AssociationRejected)
    assert (error.failure.result, error.failure.source, error.failure.reason) == (2, 1, 7)
    acceptor.eof(0.0)
    assert isinstance(acceptor.error(), AssociationRejected)


def test_c_echo() -> None:
    requestor, acceptor = established_pair()
    exchange = requestor.send_request(ECHO_CONTEXT, echo_request(7), None, 0.0)
    assert requestor.awaiting_response
    exchange_all(requestor, acceptor)
    request = acceptor.requests.popleft()
    assert request.command[MESSAGE_ID] == 7 and request.sink is None
    acceptor.send_message(ECHO_CONTEXT, response_to(request.command), None, 0.0)
    exchange_all(requestor, acceptor)
    (response,) = exchange.responses
    assert response.command[STATUS] == 0
    requestor.finish(exchange)
    assert not requestor.awaiting_response


def test_n_set_with_a_data_set_both_ways() -> None:
    requestor, acceptor = established_pair()
    modification, attributes = bytes(range(256)) * 300, b"attribute list"
    exchange = requestor.send_request(MPPS_CONTEXT, set_request(), modification, 0.0)
    exchange_all(requestor, acceptor)
    request = acceptor.requests.popleft()
    assert content(request) == modification
    acceptor.send_message(MPPS_CONTEXT, response_to(request.command), attributes, 0.0)
    exchange_all(requestor, acceptor)
    (response,) = exchange.responses
    assert response.command[COMMAND_FIELD] == N_SET_RSP
    assert content(response) == attributes


def test_an_empty_data_set_is_not_the_absence_of_one() -> None:
    requestor, acceptor = established_pair()
    requestor.send_request(MPPS_CONTEXT, set_request(), b"", 0.0)
    exchange_all(requestor, acceptor)
    assert content(acceptor.requests.popleft()) == b""


@pytest.mark.parametrize("requestor_releases", [True, False])
def test_release(requestor_releases: bool) -> None:
    requestor, acceptor = established_pair()
    first, second = (requestor, acceptor) if requestor_releases else (acceptor, requestor)
    first.release(0.0)
    exchange_all(first, second)
    assert second.release_requested and not first.release_requested
    second.release(0.0)
    assert second.state is State.STA13 and second.released
    exchange_all(first, second)
    assert first.state is State.STA1 and first.released and first.close_transport
    assert not second.close_transport
    second.eof(0.0)
    assert second.close_transport
    assert first.failure is None and second.failure is None


def test_release_collision() -> None:
    requestor, acceptor = established_pair()
    requestor.release(0.0)
    acceptor.release(0.0)
    exchange_all(requestor, acceptor)
    assert (requestor.state, acceptor.state) == (State.STA9, State.STA10)
    assert requestor.release_requested and not acceptor.release_requested
    requestor.release(0.0)
    exchange_all(requestor, acceptor)
    assert (requestor.state, acceptor.state) == (State.STA11, State.STA12)
    assert acceptor.release_requested
    acceptor.release(0.0)
    exchange_all(requestor, acceptor)
    assert (requestor.state, acceptor.state) == (State.STA1, State.STA13)
    assert requestor.released and acceptor.released
    assert requestor.failure is None and acceptor.failure is None


@pytest.mark.parametrize("requestor_aborts", [True, False])
def test_abort(requestor_aborts: bool) -> None:
    requestor, acceptor = established_pair()
    first, second = (requestor, acceptor) if requestor_aborts else (acceptor, requestor)
    first.abort(0.0)
    exchange_all(first, second)
    assert (first.state, second.state) == (State.STA13, State.STA1)
    assert second.close_transport and not first.close_transport
    assert first.failure is not None and first.failure.by is Party.LOCAL
    assert second.failure is not None and second.failure.by is Party.PEER
    first.abort(1.0)
    assert output(first) == b""


def test_both_abort() -> None:
    requestor, acceptor = established_pair()
    requestor.abort(0.0)
    acceptor.abort(0.0)
    exchange_all(requestor, acceptor)
    assert requestor.state is acceptor.state is State.STA1
    assert requestor.close_transport and acceptor.close_transport


def test_an_abort_overtakes_what_was_not_begun() -> None:
    requestor, acceptor = established_pair()
    requestor.send_request(CT_CONTEXT, store_request(), bytes(1 << 24), 0.0)
    begun = b"".join(requestor.data_to_send(0.0))
    requestor.abort(0.0)
    rest = output(requestor)
    assert rest == encoded(Abort(0, 0))
    receive(acceptor, begun + rest)
    assert acceptor.state is State.STA1
    assert not acceptor.requests and acceptor.failure is not None
    assert acceptor.failure.kind is FailureKind.ABORTED


def test_nothing_is_sent_to_a_peer_that_aborted() -> None:
    requestor, _ = established_pair()
    requestor.send_request(CT_CONTEXT, store_request(), bytes(1 << 20), 0.0)
    receive(requestor, encoded(Abort(2, 0)))
    assert output(requestor) == b""


def test_data_may_follow_the_acceptance_at_once() -> None:
    engine = reach(State.STA5, True)
    receive(engine, encoded(ANSWER) + message_bytes(MPPS_CONTEXT, set_request(9), b"event"))
    assert engine.established
    assert content(engine.requests.popleft()) == b"event"


def test_acceptance_with_contexts_out_of_order_and_one_that_was_not_proposed() -> None:
    engine = reach(State.STA5, True)
    results = (*reversed(ANSWER.contexts), ContextResult(99, 0, "1.2.840.10008.1.2"))
    receive(engine, encoded(replace(ANSWER, contexts=results)))
    assert {context.id: context.abstract_syntax for context in engine.contexts.values()} == {
        context.id: context.abstract_syntax for context in REQUEST.contexts
    }


def test_ae_titles_that_are_padded_with_nul_blank_or_latin_1() -> None:
    body = bytearray(encoded(REQUEST))
    body[10:26] = b"ST\xd6RE".ljust(16, b"\0")
    body[26:42] = b" " * 16
    engine = reach(State.STA2, False)
    receive(engine, bytes(body))
    assert engine.requested is not None
    assert (engine.requested.called, engine.requested.calling) == ("STÖRE", "")


# ---- the release and what is outstanding ----------------------------------------------------------------


def test_responses_can_still_be_sent_before_the_answer_to_a_release() -> None:
    requestor, acceptor = established_pair()
    exchange = requestor.send_request(MPPS_CONTEXT, set_request(), b"change", 0.0)
    requestor.release(0.0)
    exchange_all(requestor, acceptor)
    assert acceptor.state is State.STA8
    request = acceptor.requests.popleft()
    acceptor.send_message(MPPS_CONTEXT, response_to(request.command), b"attributes", 0.0)
    acceptor.release(0.0)
    exchange_all(requestor, acceptor)
    assert content(exchange.responses.popleft()) == b"attributes"
    assert requestor.released and acceptor.released


def test_release_is_asked_for_while_requests_of_ours_are_outstanding() -> None:
    requestor = reach(State.STA6, True)
    requestor.send_request(ECHO_CONTEXT, echo_request(1), None, 0.0)
    output(requestor)
    generation = requestor.generation
    receive(requestor, encoded(ReleaseRQ()))
    assert requestor.release_requested and requestor.awaiting_response
    assert requestor.generation > generation
    assert "asked for the release" in str(requestor.error())
    with pytest.raises(LocalProtocolError, match="asked for the release"):
        requestor.send_request(ECHO_CONTEXT, echo_request(2), None, 0.0)
    requestor.release(0.0)
    assert sent_pdus(requestor) == [ReleaseRP()]
    assert requestor.ended and "released" in str(requestor.error())


def test_data_after_the_release_request_is_out_of_turn() -> None:
    engine = reach(State.STA8, False)
    receive(engine, ECHO_BYTES)
    assert engine.state is State.STA13
    assert sent_pdus(engine) == [Abort(2, 2)]
    assert not engine.requests


def test_what_was_not_served_is_dropped_with_the_association() -> None:
    engine = reach(State.STA6, False)
    receive(engine, ECHO_BYTES)
    assert engine.requests
    engine.abort(0.0)
    assert not engine.requests


# ---- deadlines ------------------------------------------------------------------------------------------

TIMES = EngineConfig(acse_timeout=10, dimse_timeout=20, network_timeout=40, linger=2)


def expire(engine: Engine, at: float) -> None:
    """Check that the deadline is then, and not earlier, and let it pass."""
    assert engine.next_deadline() == at
    state = engine.state
    engine.handle_timeout(at - 0.001)
    assert engine.state is state
    engine.handle_timeout(at)


@pytest.mark.parametrize(
    "state", [State.STA1, State.STA3, State.STA4, State.STA8, State.STA9, State.STA12], ids=lambda s: s.name
)
def test_no_deadline_while_it_is_the_local_side_s_turn(state: State) -> None:
    for requestor in ROLES[state]:
        engine = reach(state, requestor, TIMES)
        assert engine.next_deadline() is None
        engine.handle_timeout(1e9)
        assert engine.state is state


def test_artim_in_sta2_closes_without_a_word() -> None:
    engine = reach(State.STA2, False, TIMES, now=100.0)
    receive(engine, encoded(REQUEST)[:40], 105.0)
    expire(engine, 110.0)
    assert (engine.state, engine.close_transport, output(engine)) == (State.STA1, True, b"")
    error = engine.error()
    assert isinstance(error, AssociationTimeout) and error.failure.timeout == "acse"


@pytest.mark.parametrize(
    ("state", "requestor"),
    [
        (State.STA5, True),
        (State.STA7, True),
        (State.STA7, False),
        (State.STA10, False),
        (State.STA11, True),
    ],
)
def test_acse_timeout_aborts(state: State, requestor: bool) -> None:
    engine = reach(state, requestor, TIMES, now=100.0)
    expire(engine, 110.0)
    assert engine.state is State.STA13
    assert sent_pdus(engine) == [Abort(0, 0)]
    error = engine.error()
    assert isinstance(error, AssociationTimeout) and error.failure.timeout == "acse"
    expire(engine, 112.0)
    assert (engine.state, engine.close_transport) == (State.STA1, True)
    assert engine.error().failure.timeout == "acse"


def test_artim_in_sta13_closes() -> None:
    engine = reach(State.STA13, True, TIMES, now=100.0)
    expire(engine, 102.0)
    assert (engine.state, engine.close_transport, output(engine)) == (State.STA1, True, b"")


def test_what_the_peer_sends_does_not_put_off_artim_in_sta13() -> None:
    engine = reach(State.STA13, True, TIMES, now=100.0)
    receive(engine, ECHO_BYTES, 101.0)
    assert engine.next_deadline() == 102.0


def test_network_timeout_in_sta6() -> None:
    engine = reach(State.STA6, True, TIMES, now=100.0)
    receive(engine, ECHO_BYTES[:5], 110.0)
    expire(engine, 150.0)
    assert engine.state is State.STA13 and sent_pdus(engine) == [Abort(0, 0)]
    assert engine.error().failure.timeout == "network"


def test_dimse_timeout_in_sta6_counts_from_the_last_progress() -> None:
    engine = reach(State.STA6, True, TIMES, now=100.0)
    engine.send_request(ECHO_CONTEXT, echo_request(), None, 105.0)
    output(engine, 106.0)
    assert engine.next_deadline() == 126.0
    receive(engine, message_bytes(ECHO_CONTEXT, response_to(echo_request()))[:7], 110.0)
    expire(engine, 130.0)
    assert engine.state is State.STA13
    error = engine.error()
    assert isinstance(error, AssociationTimeout) and error.failure.timeout == "dimse"


def test_an_exchange_that_is_finished_no_longer_has_a_deadline() -> None:
    engine = reach(State.STA6, True, TIMES, now=100.0)
    engine.send_request(ECHO_CONTEXT, echo_request(1), None, 100.0)
    output(engine, 100.0)
    engine.finish(engine._exchanges[1])
    assert engine.next_deadline() == 140.0


@pytest.mark.parametrize(
    ("network", "dimse", "which", "seconds"),
    [
        (40, 20, "dimse", 20),
        (20, 40, "network", 20),
        (None, 20, "dimse", 20),
        (20, None, "network", 20),
        (20, 20, "dimse", 20),
        (1e9, 0.2, "dimse", 0.2),
    ],
)
def test_the_shorter_timeout_bounds_an_operation(
    network: float | None, dimse: float | None, which: str, seconds: float
) -> None:
    config = EngineConfig(network_timeout=network, dimse_timeout=dimse)
    # The sum is not exact in binary: the deadline itself must still be late enough.
    start = 1000.1
    engine = reach(State.STA6, True, config, now=start)
    engine.send_request(ECHO_CONTEXT, echo_request(), None, start)
    output(engine, start)
    deadline = engine.next_deadline()
    assert deadline == start + seconds
    engine.handle_timeout(deadline)
    assert engine.error().failure.timeout == which


def test_rounding_does_not_turn_one_timeout_into_another() -> None:
    config = EngineConfig(network_timeout=None, dimse_timeout=0.1)
    starts = [start / 10 for start in range(1, 200) if (start / 10 + 0.1) - start / 10 < 0.1]
    assert starts
    for start in starts:
        engine = reach(State.STA6, True, config, now=start)
        engine.send_request(ECHO_CONTEXT, echo_request(), None, start)
        output(engine, start)
        engine.handle_timeout(start + 0.1)
        assert engine.error().failure.timeout == "dimse"


def test_without_timeouts_there_is_no_deadline() -> None:
    config = EngineConfig(acse_timeout=None, dimse_timeout=None, network_timeout=None)
    for state in (State.STA2, State.STA6, State.STA7):
        engine = reach(state, False, config)
        assert engine.next_deadline() is None
        engine.handle_timeout(1e9)
        assert engine.state is state


def test_silence_means_nothing_while_the_peer_awaits_our_response() -> None:
    engine = reach(State.STA6, False, TIMES, now=100.0)
    receive(engine, ECHO_BYTES, 100.0)
    request = engine.requests.popleft()
    assert engine.next_deadline() is None
    engine.send_message(ECHO_CONTEXT, response_to(request.command, 0xFF00), None, 300.0)
    output(engine, 300.0)
    assert engine.next_deadline() is None
    engine.send_message(ECHO_CONTEXT, response_to(request.command), None, 500.0)
    output(engine, 500.0)
    assert engine.next_deadline() == 540.0


def test_a_c_cancel_of_ours_answers_nothing() -> None:
    engine = reach(State.STA6, False, TIMES, now=100.0)
    receive(engine, ECHO_BYTES + cancel_bytes(1), 100.0)
    engine.send_message(
        ECHO_CONTEXT, {COMMAND_FIELD: C_CANCEL_RQ, MESSAGE_ID_BEING_RESPONDED_TO: 1}, None, 100.0
    )
    assert engine.cancelled == {1}
    assert engine.next_deadline() is None


def test_half_a_message_has_a_deadline_even_while_a_response_is_due() -> None:
    engine = reach(State.STA6, False, TIMES, now=100.0)
    receive(engine, ECHO_BYTES, 100.0)
    receive(engine, ECHO_BYTES[:20], 101.0)
    assert engine.next_deadline() == 141.0


def test_an_operation_within_the_peer_s_operation_has_its_deadline() -> None:
    # As the C-STORE sub-operations of a C-GET.
    engine = reach(State.STA6, False, TIMES, now=100.0)
    receive(engine, ECHO_BYTES, 100.0)
    engine.send_request(CT_CONTEXT, store_request(), b"", 110.0)
    output(engine, 110.0)
    assert engine.next_deadline() == 130.0


def test_silence_between_operations_can_end_with_a_release() -> None:
    engine = reach(State.STA6, False, replace(TIMES, release_when_idle=True), now=100.0)
    expire(engine, 140.0)
    assert engine.state is State.STA7
    assert sent_pdus(engine) == [ReleaseRQ()]
    receive(engine, encoded(ReleaseRP()), 141.0)
    assert engine.released and isinstance(engine.error(), AssociationTimeout)


def test_silence_in_an_operation_or_a_message_ends_with_an_abort_all_the_same() -> None:
    config = replace(TIMES, release_when_idle=True)
    engine = reach(State.STA6, True, config, now=100.0)
    engine.send_request(ECHO_CONTEXT, echo_request(), None, 100.0)
    output(engine, 100.0)
    engine.handle_timeout(120.0)
    assert sent_pdus(engine) == [Abort(0, 0)]
    engine = reach(State.STA6, True, config, now=100.0)
    receive(engine, ECHO_BYTES[:20], 100.0)
    engine.handle_timeout(140.0)
    assert sent_pdus(engine) == [Abort(0, 0)]


def test_write_stalled_closes_at_once() -> None:
    engine = reach(State.STA6, True)
    engine.send_request(CT_CONTEXT, store_request(), bytes(1 << 20), 0.0)
    engine.data_to_send(0.0)
    engine.write_stalled(60.0, 60)
    assert engine.ended and engine.close_transport
    assert output(engine) == b""
    error = engine.error()
    assert isinstance(error, AssociationTimeout) and error.failure.timeout == "network"


# ---- breaches of the protocol ---------------------------------------------------------------------------

PADDED_COMMAND = commands.encode({**echo_request(), COMMAND_DATA_SET_TYPE: 0x0101})

BREACHES = {
    "P-DATA-TF longer than announced": (struct.pack(">BxI", 4, 16383), 6),
    "P-DATA-TF of 4 GiB": (struct.pack(">BxI", 4, 0xFFFFFFFF), 6),
    "control PDU of 4 GiB": (struct.pack(">BxI", 1, 0xFFFFFFFF), 6),
    "control PDU beyond the limit": (struct.pack(">BxI", 2, MAX_CONTROL_PDU + 1), 6),
    "unrecognised PDU of 4 GiB": (struct.pack(">BxI", 8, 0xFFFFFFFF), 1),
    "unrecognised PDU, one byte": (b"\0", 1),
    "value overruns its PDU": (struct.pack(">BxIIBB", 4, 16, 13, 1, 3), 6),
    "value of 4 GiB": (struct.pack(">BxIIBB", 4, 16, 0xFFFFFFFF, 1, 3), 6),
    "value shorter than its header": (struct.pack(">BxIIBB", 4, 16, 1, 1, 3), 6),
    "bytes left over after the last value": (struct.pack(">BxIIBB", 4, 16, 8, 1, 3), 6),
    "context that was not accepted": (p_data((7, 3, b"x")), 5),
    "data set before its command set": (p_data((1, 2, b"x")), 5),
    "empty data set fragment before its command set": (p_data((1, 2, b"")), 5),
    "data set in the middle of a command set": (p_data((1, 1, b"x"), (1, 2, b"x")), 5),
    "command set in two contexts": (p_data((1, 1, b"x"), (3, 1, b"x")), 5),
    "command set that ends in an element": (p_data((1, 3, b"\0\0")), 6),
    "command set of another group": (p_data((1, 3, b"\x08\0\0\0\0\0\0\0")), 6),
    "empty command set": (p_data((1, 3, b"")), 5),
    "no Command Field": (message_bytes(1, {MESSAGE_ID: 1}), 5),
    "unknown Command Field": (message_bytes(1, {COMMAND_FIELD: 0x0FFE, MESSAGE_ID: 1}), 5),
    "no Message ID": (message_bytes(1, {COMMAND_FIELD: C_ECHO_RQ}), 6),
    "data set in another context": (
        message_bytes(3, set_request(), b"")[:-12] + p_data((1, 0, b"x")),
        5,
    ),
    "command set while a data set is incomplete": (
        message_bytes(3, set_request(), b"")[:-12] + ECHO_BYTES,
        5,
    ),
    "A-ASSOCIATE-RQ cut short": (b"\x01\0\0\0\0\x04\0\1\0\0", 6),
}


@pytest.mark.parametrize(("data", "reason"), BREACHES.values(), ids=BREACHES.keys())
@pytest.mark.parametrize("cut", [0, 1])
def test_breach_is_answered_with_its_reason(data: bytes, reason: int, cut: int) -> None:
    """From the bytes given alone: nothing of what they announce has to arrive."""
    engine = reach(State.STA6, False)
    receive(engine, data, 3.0, cuts=range(0, len(data), cut) if cut else ())
    assert engine.state is State.STA13
    assert sent_pdus(engine) == [Abort(2, reason)]
    assert engine.failure is not None
    assert (engine.failure.kind, engine.failure.source, engine.failure.reason) == (
        FailureKind.PROTOCOL,
        2,
        reason,
    )
    assert not engine.requests and not engine.receiving
    # What follows is ignored, whatever it is.
    receive(engine, encoded(ReleaseRQ()) + UNRECOGNIZED_PDU + ECHO_BYTES, 3.0)
    assert engine.state is State.STA13
    assert output(engine) == b""


def test_what_follows_a_breach_in_the_same_segment_is_ignored_too() -> None:
    engine = reach(State.STA6, False)
    receive(engine, p_data((1, 2, b"x")) + encoded(REQUEST) + encoded(Abort(0, 0)))
    assert engine.state is State.STA13
    assert sent_pdus(engine) == [Abort(2, 5)]


def test_command_set_longer_than_64_kib() -> None:
    engine = reach(State.STA6, False)
    part = p_data((1, 1, bytes(16376)))
    receive(engine, part * 4)
    assert engine.established
    receive(engine, part)
    assert sent_pdus(engine) == [Abort(2, 6)]


def test_an_unlimited_maximum_length_takes_any_p_data_tf() -> None:
    engine = reach(State.STA6, False, EngineConfig(max_length=0))
    data = bytes(300_000)
    receive(engine, message_bytes(CT_CONTEXT, store_request(), data, peer_max=1 << 20))
    assert content(engine.requests.popleft()) == data


def test_the_sink_of_an_unknown_message_is_never_opened() -> None:
    opened: list[int] = []

    def open_sink(context: Context, command: Mapping[int, Value]) -> Sink:
        opened.append(context.id)
        return NullSink()

    engine = reach(State.STA6, False, open_sink=open_sink)
    receive(engine, message_bytes(1, {COMMAND_FIELD: 0x0FFE, MESSAGE_ID: 1}, b"data"))
    assert not opened and engine.ended


# ---- messages -------------------------------------------------------------------------------------------


def outstanding(message_id: int = 5) -> tuple[Engine, Recorder]:
    engine = reach(State.STA6, True)
    recorder = engine.observer = Recorder()
    engine.send_request(MPPS_CONTEXT, set_request(message_id), b"change", 0.0)
    output(engine)
    return engine, recorder


@pytest.mark.parametrize(
    ("context_id", "change"),
    [
        (MPPS_CONTEXT, {MESSAGE_ID_BEING_RESPONDED_TO: 6}),
        (ECHO_CONTEXT, {}),
        (MPPS_CONTEXT, {COMMAND_FIELD: C_STORE_RSP}),
    ],
    ids=["another message ID", "another context", "another Command Field"],
)
@pytest.mark.parametrize("data", [None, b"attributes"])
def test_a_response_that_answers_nothing_is_not_delivered(
    context_id: int, change: dict[int, Value], data: bytes | None
) -> None:
    engine, recorder = outstanding()
    exchange = engine._exchanges[5]
    receive(engine, message_bytes(context_id, {**response_to(set_request(5)), **change}, data))
    assert not exchange.responses and not engine.requests
    assert len(recorder.unanswering) == len(recorder.messages_received) == 1
    # The association is none the worse for it.
    receive(engine, message_bytes(MPPS_CONTEXT, response_to(set_request(5)), b"attributes"))
    assert content(exchange.responses.popleft()) == b"attributes"


@pytest.mark.parametrize("missing", [STATUS, MESSAGE_ID_BEING_RESPONDED_TO])
def test_a_response_without_a_mandatory_element_is_not_delivered(missing: int) -> None:
    engine, recorder = outstanding()
    response = response_to(set_request(5))
    del response[missing]
    receive(engine, message_bytes(MPPS_CONTEXT, response))
    assert not engine._exchanges[5].responses
    assert len(recorder.unanswering) == 1
    assert engine.established


def test_a_late_response_is_not_delivered() -> None:
    engine, recorder = outstanding()
    exchange = engine._exchanges[5]
    engine.finish(engine._exchanges[5])
    receive(engine, message_bytes(MPPS_CONTEXT, response_to(set_request(5)), b"late"))
    assert not exchange.responses
    (late,) = recorder.unanswering
    # Nobody will look at it, so nothing of it is kept.
    assert isinstance(late.sink, NullSink)


def test_the_message_id_of_an_operation_that_was_given_up_waits_for_its_answer() -> None:
    engine, _ = outstanding()
    engine.finish(engine._exchanges[5])
    assert engine.free_message_id(5) == 6
    receive(engine, message_bytes(MPPS_CONTEXT, response_to(set_request(5)), b"late"))
    assert engine.free_message_id(5) == 5


def test_the_message_id_of_an_operation_that_was_answered_is_free_again() -> None:
    engine, _ = outstanding()
    exchange = engine._exchanges[5]
    receive(engine, message_bytes(MPPS_CONTEXT, response_to(set_request(5)), b"answer"))
    engine.finish(exchange)
    assert len(exchange.responses) == 1
    assert engine.free_message_id(5) == 5


def test_a_response_that_is_finished_with_while_it_arrives() -> None:
    engine, recorder = outstanding()
    exchange = engine._exchanges[5]
    response = message_bytes(MPPS_CONTEXT, response_to(set_request(5)), b"attributes")
    receive(engine, response[:-5])
    engine.finish(engine._exchanges[5])
    receive(engine, response[-5:])
    assert not exchange.responses and len(recorder.unanswering) == 1


def test_several_operations_are_answered_in_any_order() -> None:
    requestor, acceptor = established_pair(AsyncOperations(0, 0))
    exchanges = {
        number: requestor.send_request(ECHO_CONTEXT, echo_request(number), None, 0.0) for number in (1, 2, 3)
    }
    exchange_all(requestor, acceptor)
    for request in reversed(acceptor.requests):
        response = response_to(request.command)
        response[ERROR_COMMENT] = f"number {request.command[MESSAGE_ID]!r}"
        acceptor.send_message(ECHO_CONTEXT, response, None, 0.0)
    exchange_all(requestor, acceptor)
    for number, exchange in exchanges.items():
        assert [response.command[ERROR_COMMENT] for response in exchange.responses] == [f"number {number}"]


def test_message_ids() -> None:
    engine, _ = outstanding(0xFFFF)
    exchange = engine._exchanges[0xFFFF]
    assert engine.free_message_id(7) == 7
    assert engine.free_message_id(0xFFFF) == 1
    with pytest.raises(LocalProtocolError, match="message ID 65535 is in use"):
        engine.send_request(MPPS_CONTEXT, set_request(0xFFFF), b"", 0.0)
    receive(engine, message_bytes(MPPS_CONTEXT, response_to(set_request(0xFFFF)), b""))
    engine.finish(exchange)
    assert engine.free_message_id(0xFFFF) == 0xFFFF


def test_message_ids_that_are_all_in_use() -> None:
    engine = reach(State.STA6, True)
    exchange = engine.send_request(ECHO_CONTEXT, echo_request(1), None, 0.0)
    engine._exchanges = dict.fromkeys(range(1, 0x10000), exchange)
    with pytest.raises(LocalProtocolError, match="every message ID"):
        engine.free_message_id(1)


@pytest.mark.parametrize(
    ("window", "open_at"),
    [(None, [0]), (AsyncOperations(2, 1), [0, 1]), (AsyncOperations(0, 1), [0, 1, 2, 3])],
)
def test_async_operations_window(window: AsyncOperations | None, open_at: list[int]) -> None:
    requestor, _ = established_pair(window)
    found = []
    for number in range(4):
        if requestor.window_open:
            found.append(number)
        requestor.send_request(ECHO_CONTEXT, echo_request(number + 1), None, 0.0)
    assert found == open_at
    for number in range(4):
        receive(requestor, message_bytes(ECHO_CONTEXT, response_to(echo_request(number + 1))))
    assert requestor.window_open


def test_an_operation_that_was_given_up_keeps_its_place_in_the_window() -> None:
    requestor, _ = established_pair()
    requestor.finish(requestor.send_request(ECHO_CONTEXT, echo_request(1), None, 0.0))
    assert not requestor.window_open
    receive(requestor, message_bytes(ECHO_CONTEXT, response_to(echo_request(1))))
    assert requestor.window_open


def test_the_window_of_the_acceptor_is_what_the_requestor_performs() -> None:
    requestor, acceptor = established_pair(AsyncOperations(2, 5))
    assert (requestor.window, acceptor.window) == (2, 5)


def cancel_bytes(message_id: int) -> bytes:
    return message_bytes(
        ECHO_CONTEXT, {COMMAND_FIELD: C_CANCEL_RQ, MESSAGE_ID_BEING_RESPONDED_TO: message_id}
    )


def test_c_cancel_is_kept_for_the_operation_that_it_names() -> None:
    engine = reach(State.STA6, False)
    receive(engine, ECHO_BYTES + cancel_bytes(1) + cancel_bytes(2))
    assert engine.cancelled == {1}
    assert len(engine.requests) == 1


def test_c_cancel_ends_with_its_operation() -> None:
    engine = reach(State.STA6, False)
    receive(engine, ECHO_BYTES + cancel_bytes(1))
    engine.send_message(ECHO_CONTEXT, response_to(echo_request(1), 0xFF00), None, 0.0)
    assert engine.cancelled == {1}
    engine.send_message(ECHO_CONTEXT, response_to(echo_request(1), 0xFE00), None, 0.0)
    assert not engine.cancelled
    receive(engine, cancel_bytes(1))
    assert not engine.cancelled


def test_a_message_id_that_is_used_again_is_not_cancelled() -> None:
    engine = reach(State.STA6, False)
    receive(engine, ECHO_BYTES + cancel_bytes(1) + ECHO_BYTES)
    assert not engine.cancelled


def test_sending_in_a_context_that_was_not_accepted_is_the_caller_s_error() -> None:
    engine = reach(State.STA6, True)
    with pytest.raises(LocalProtocolError, match="context 7 was not accepted"):
        engine.send_request(7, echo_request(), None, 0.0)
    assert not engine.awaiting_response and output(engine) == b""


def test_a_command_that_cannot_be_encoded_leaves_no_trace() -> None:
    engine = reach(State.STA6, True)
    recorder = engine.observer = Recorder()
    with pytest.raises(LocalProtocolError):
        engine.send_request(ECHO_CONTEXT, echo_request(70_000), None, 0.0)
    assert not engine.awaiting_response and not recorder.messages_sent
    assert output(engine) == b""


def test_observer_is_told_of_both_directions() -> None:
    requestor, acceptor = established_pair()
    ours, theirs = Recorder(), Recorder()
    requestor.observer, acceptor.observer = ours, theirs
    requestor.send_request(ECHO_CONTEXT, echo_request(), None, 0.0)
    exchange_all(requestor, acceptor)
    acceptor.send_message(ECHO_CONTEXT, response_to(echo_request()), None, 0.0)
    requestor.release(0.0)
    exchange_all(requestor, acceptor)
    assert [command[COMMAND_FIELD] for command in ours.messages_sent] == [C_ECHO_RQ]
    assert [message.command[COMMAND_FIELD] for message in theirs.messages_received] == [C_ECHO_RQ]
    assert len(theirs.messages_sent) == len(ours.messages_received) == 1
    assert ours.sent == theirs.received == [ReleaseRQ()]


# ---- sinks ----------------------------------------------------------------------------------------------


class FaultySink:
    """Fails in the method it is told to fail in."""

    def __init__(self, *faults: str) -> None:
        self.faults = faults
        self.calls: list[str] = []

    def _note(self, name: str) -> None:
        self.calls.append(name)
        if name in self.faults:
            raise OSError(f"disk full in {name}")

    def write(self, data: memoryview, /) -> None:
        self._note("write")

    def flush(self) -> None:
        self._note("flush")

    def close(self) -> None:
        self._note("close")

    def abort(self) -> None:
        self._note("abort")


@pytest.mark.parametrize("fault", ["write", "flush", "close", "open"])
@pytest.mark.parametrize("also", [(), ("abort",)])
def test_a_sink_that_fails_costs_its_request_only(fault: str, also: tuple[str, ...]) -> None:
    sinks: Iterator[Sink] = iter([FaultySink(fault, *also), MemorySink()])

    def open_sink(context: Context, command: Mapping[int, Value]) -> Sink:
        sink = next(sinks)
        if fault == "open" and isinstance(sink, FaultySink):
            raise OSError("disk full in open")
        return sink

    engine = reach(State.STA6, False, open_sink=open_sink)
    receive(engine, message_bytes(CT_CONTEXT, store_request(1), bytes(100_000)), cuts=range(0, 100_000, 999))
    receive(engine, message_bytes(CT_CONTEXT, store_request(2), b"second"))
    first, second = engine.requests
    assert isinstance(first.error, OSError) and first.sink is None
    assert f"disk full in {fault}" in str(first.error)
    assert second.error is None and content(second) == b"second"


@pytest.mark.parametrize("end", ["eof", "abort", "peer aborts", "timeout"])
@pytest.mark.parametrize("faults", [(), ("abort",)])
def test_the_sink_of_a_message_that_will_never_be_complete_is_aborted(
    end: str, faults: tuple[str, ...]
) -> None:
    sink = FaultySink(*faults)
    engine = reach(State.STA6, False, open_sink=lambda context, command: sink)
    receive(engine, message_bytes(CT_CONTEXT, store_request(), bytes(1000))[:-10])
    if end == "eof":
        engine.eof(1.0)
    elif end == "abort":
        engine.abort(1.0)
    elif end == "peer aborts":
        # Within a presentation data value it cannot be told from data; after a fragment it can.
        engine = reach(State.STA6, False, open_sink=lambda context, command: sink)
        sink.calls.clear()
        receive(engine, message_bytes(CT_CONTEXT, store_request(), b"")[:-12] + p_data((CT_CONTEXT, 0, b"x")))
        receive(engine, encoded(Abort(0, 0)))
    else:
        engine.handle_timeout(1e9)
    assert engine.ended and not engine.requests
    assert sink.calls[-1] == "abort" and sink.calls.count("abort") == 1


def test_the_sink_is_chosen_by_context_and_command() -> None:
    chosen: list[tuple[Context, object]] = []

    def open_sink(context: Context, command: Mapping[int, Value]) -> Sink:
        chosen.append((context, command[COMMAND_FIELD]))
        return NullSink()

    engine = reach(State.STA6, False, open_sink=open_sink)
    receive(engine, message_bytes(CT_CONTEXT, store_request(), b"data"))
    assert chosen == [(engine.contexts[CT_CONTEXT], 1)]


def test_the_data_set_of_a_response_stays_in_memory() -> None:
    def open_sink(context: Context, command: Mapping[int, Value]) -> Sink:
        raise AssertionError("only requests have a sink of their own")

    engine = reach(State.STA6, True, open_sink=open_sink)
    exchange = engine.send_request(MPPS_CONTEXT, set_request(), b"", 0.0)
    receive(engine, message_bytes(MPPS_CONTEXT, response_to(set_request()), b"attributes"))
    assert content(exchange.responses[0]) == b"attributes"


def test_a_data_set_beyond_the_limit_is_drained() -> None:
    engine = reach(State.STA6, False, EngineConfig(max_data_set=1000))
    receive(engine, message_bytes(MPPS_CONTEXT, set_request(1), bytes(1000)))
    receive(engine, message_bytes(MPPS_CONTEXT, set_request(2), bytes(1001)))
    receive(engine, ECHO_BYTES)
    exact, over, echo = engine.requests
    assert len(content(exact)) == 1000
    assert isinstance(over.error, DataSetTooLarge) and over.sink is None
    assert echo.error is None


# ---- sending --------------------------------------------------------------------------------------------


def test_a_source_that_fails_midway_aborts_and_is_named() -> None:
    def source(size: int) -> Iterator[bytes]:
        yield bytes(size)
        yield bytes(size)
        raise OSError("the disk is gone")

    requestor, acceptor = established_pair()
    requestor.send_request(CT_CONTEXT, store_request(), source, 0.0)
    exchange_all(requestor, acceptor)
    assert requestor.state is State.STA13
    assert "the disk is gone" in str(requestor.error())
    assert requestor.failure is not None and requestor.failure.by is Party.LOCAL
    assert acceptor.state is State.STA1 and not acceptor.requests
    assert isinstance(acceptor.error(), AssociationAborted)


def test_a_source_that_fails_after_the_answer_to_a_release_closes_the_transport() -> None:
    def source(size: int) -> Iterator[bytes]:
        raise OSError("the disk is gone")
        yield b""

    engine = reach(State.STA6, False)
    receive(engine, message_bytes(MPPS_CONTEXT, set_request(), b"") + encoded(ReleaseRQ()))
    engine.send_message(MPPS_CONTEXT, response_to(set_request()), source, 0.0)
    engine.release(0.0)
    assert output(engine) == b""
    assert engine.close_transport
    assert "the disk is gone" in str(engine.error())


def test_a_source_may_abort_the_association_itself() -> None:
    def source(size: int) -> Iterator[bytes]:
        yield bytes(size)
        engine.abort(0.0)
        yield bytes(size)

    engine = reach(State.STA6, True)
    engine.send_request(CT_CONTEXT, store_request(), source, 0.0)
    assert output(engine).endswith(encoded(Abort(0, 0)))


@pytest.mark.parametrize("chunks", [[b"", b"ab", b"", b"", b"cd", b""], [b""], []])
def test_empty_chunks_do_not_end_a_message(chunks: list[bytes]) -> None:
    requestor, acceptor = established_pair()
    requestor.send_request(CT_CONTEXT, store_request(), lambda size: iter(chunks), 0.0)
    exchange_all(requestor, acceptor)
    assert content(acceptor.requests.popleft()) == b"".join(chunks)


def test_many_short_messages_leave_together_but_never_too_many_buffers() -> None:
    engine = reach(State.STA3, False)
    engine.accept(ANSWER, dict(NEGOTIATED.contexts), 0.0)
    for number in range(1, 1001):
        engine.send_request(MPPS_CONTEXT, set_request(number), b"x" * (number % 3), 0.0)
    found: list[ControlPDU | Message] = []
    batches = 0
    while batch := engine.data_to_send(0.0):
        assert len(batch) <= 1024
        # Each of them ends with a PDU, so that an A-ABORT can follow.
        found += parse(b"".join(batch))
        batches += 1
    assert batches < 10
    assert found[0] == ANSWER
    messages = [message for message in found if isinstance(message, Message)]
    assert [message.command[MESSAGE_ID] for message in messages] == list(range(1, 1001))
    assert [len(content(message)) for message in messages] == [number % 3 for number in range(1, 1001)]


@pytest.mark.parametrize("peer_max", [0, 7, 20, 100, 16382])
@pytest.mark.parametrize("size", [None, 0, 1, 14, 5000])
def test_the_peer_s_maximum_length_holds_for_every_p_data_tf(peer_max: int, size: int | None) -> None:
    engine = reach(State.STA5, True)
    receive(engine, encoded(replace(ANSWER, user=UserInformation(peer_max))))
    data = None if size is None else bytes(size)
    engine.send_request(MPPS_CONTEXT, set_request(), data, 0.0)
    sent = output(engine)
    offset = 0
    while offset < len(sent):
        kind, length = struct.unpack_from(">BxI", sent, offset)
        assert kind == 4 and (length <= peer_max or not peer_max)
        offset += 6 + length
    (message,) = parse(sent)
    assert isinstance(message, Message)
    assert (None if message.sink is None else content(message)) == data


# ---- memory ---------------------------------------------------------------------------------------------


def mapping(engine: Engine) -> weakref.ref[object]:
    # Until the pages of its own are there: it begins with a few kilobytes.
    receive(engine, ECHO_BYTES * (FIRST_SIZE // len(ECHO_BYTES) + 1))
    engine.requests.clear()
    buffer = engine._reader._buffer
    assert isinstance(buffer, mmap)
    return weakref.ref(buffer)


def test_release_memory_gives_the_buffer_back() -> None:
    engine = reach(State.STA6, False)
    pages = mapping(engine)
    engine.release_memory()
    assert pages() is None
    receive(engine, ECHO_BYTES)
    assert len(engine.requests) == 1


@pytest.mark.parametrize("cut", range(1, len(ECHO_BYTES)))
def test_a_partial_message_survives_release_memory(cut: int) -> None:
    engine = reach(State.STA6, False)
    receive(engine, ECHO_BYTES[:cut])
    assert engine.receiving
    engine.release_memory()
    receive(engine, ECHO_BYTES[cut:])
    assert engine.requests.popleft().command[MESSAGE_ID] == 1
    assert not engine.receiving


def test_the_end_of_the_association_gives_the_buffer_back() -> None:
    engine = reach(State.STA6, False)
    pages = mapping(engine)
    receive(engine, ECHO_BYTES[:20])
    engine.eof(1.0)
    assert pages() is None


def test_an_engine_that_was_never_used_holds_no_buffer() -> None:
    assert make(True)._reader._buffer is None
