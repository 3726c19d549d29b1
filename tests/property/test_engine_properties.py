"""What holds for an engine whatever arrives, in whatever pieces and in whatever order."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dulcimer.errors import LocalProtocolError
from dulcimer.failure import Failure, FailureKind, Party
from dulcimer.protocol.association.config import EngineConfig
from dulcimer.protocol.association.engine import Engine, Exchange
from dulcimer.protocol.dimse import commands
from dulcimer.protocol.dimse.assembler import MAX_COMMAND_SET, Message
from dulcimer.protocol.dimse.elements import (
    COMMAND_DATA_SET_TYPE,
    COMMAND_FIELD,
    MESSAGE_ID,
    MESSAGE_ID_BEING_RESPONDED_TO,
    NO_DATA_SET,
)
from dulcimer.protocol.dimse.messages import C_CANCEL_RQ
from dulcimer.protocol.dimse.sinks import MemorySink
from dulcimer.protocol.ul.states import State
from dulcimer.protocol.ul.table import TABLE
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import Abort, AssociateRJ, ReleaseRP, ReleaseRQ, UserInformation
from dulcimer.protocol.wire.reader import BUFFER_SIZE, MAX_CONTROL_PDU
from dulcimer.protocol.wire.writer import Buffer, DataSource
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
    message_bytes,
    output,
    parse,
    reach,
    receive,
    response_to,
    set_request,
    store_request,
)

# A busy machine is no reason to fail.
untimed = settings(deadline=None)

cuts = st.lists(st.integers(0, 20_000), max_size=12)
states = st.sampled_from([(state, requestor) for state in State for requestor in ROLES[state]])


# ---- any splitting of the stream ------------------------------------------------------------------------


@st.composite
def fragmented(draw: st.DrawFn, part: bytes) -> list[bytes]:
    """Cut a command set or a data set into fragments, some of them empty."""
    edges = sorted(draw(st.lists(st.integers(0, len(part)), max_size=4)))
    return [part[start:stop] for start, stop in zip([0, *edges], [*edges, len(part)], strict=True)]


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, int, bytes | None]]]:
    """Return P-DATA-TF PDUs with several values each, and the messages that are in them."""
    values: list[bytes] = []
    expected: list[tuple[int, int, bytes | None]] = []
    for number in range(1, draw(st.integers(1, 5)) + 1):
        context_id = draw(st.sampled_from((ECHO_CONTEXT, MPPS_CONTEXT, CT_CONTEXT)))
        data = draw(st.none() | st.binary(max_size=300))
        command = {**store_request(number), COMMAND_DATA_SET_TYPE: NO_DATA_SET if data is None else 0}
        expected.append((context_id, number, data))
        parts = [(1, commands.encode(command))] + ([] if data is None else [(0, data)])
        for control, part in parts:
            pieces = draw(fragmented(part))
            for index, piece in enumerate(pieces):
                last = 2 if index == len(pieces) - 1 else 0
                values.append(struct.pack(">IBB", len(piece) + 2, context_id, control | last) + piece)
    stream = b""
    while values:
        count = draw(st.integers(1, 4))
        body = b"".join(values[:count])
        stream += struct.pack(">BxI", 4, len(body)) + body
        del values[:count]
    return stream, expected


@untimed
@given(streams(), cuts, st.booleans())
def test_any_splitting_of_the_stream_gives_the_same_messages(
    sample: tuple[bytes, list[tuple[int, int, bytes | None]]], cuts: list[int], release_memory: bool
) -> None:
    stream, expected = sample
    engine = reach(State.STA6, False)
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), len(stream)], strict=True):
        receive(engine, stream[start:stop])
        if release_memory:
            engine.release_memory()
    assert engine.established
    assert [
        (
            request.context_id,
            request.command[MESSAGE_ID],
            None if request.sink is None else content(request),
        )
        for request in engine.requests
    ] == expected
    assert not engine.receiving


valid = [
    codec.encode(REQUEST),
    codec.encode(ANSWER),
    codec.encode(AssociateRJ(1, 1, 1)),
    codec.encode(ReleaseRQ()),
    codec.encode(ReleaseRP()),
    codec.encode(Abort(2, 0)),
    message_bytes(ECHO_CONTEXT, echo_request(1)),
    message_bytes(MPPS_CONTEXT, set_request(2), b"modification list"),
    message_bytes(CT_CONTEXT, store_request(3), bytes(1000), peer_max=100),
    message_bytes(MPPS_CONTEXT, response_to(set_request(1)), b"attribute list"),
    message_bytes(ECHO_CONTEXT, {COMMAND_FIELD: C_CANCEL_RQ, MESSAGE_ID_BEING_RESPONDED_TO: 1}),
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    pdu = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 3))):
        pdu[draw(st.integers(0, len(pdu) - 1))] = draw(st.integers(0, 0xFF))
    return bytes(pdu[: draw(st.integers(1, len(pdu)))] if draw(st.booleans()) else pdu)


input_bytes = st.sampled_from(valid) | mutated() | st.binary(max_size=60)


def description(engine: Engine) -> object:
    failure = engine.failure
    return (
        engine.state,
        engine.close_transport,
        engine.released,
        None if failure is None else (failure.kind, failure.by, failure.source, failure.reason),
        output(engine),
        [(request.context_id, request.command) for request in engine.requests],
        engine.cancelled,
        engine.receiving,
    )


@untimed
@given(states, st.lists(input_bytes, max_size=8).map(b"".join), cuts)
@example((State.STA6, False), b"\x04\0\0\0\0\x07\0\0\0\x03\x01\x02x" + valid[5], [13])
def test_any_splitting_of_any_bytes_has_the_same_outcome(
    start: tuple[State, bool], data: bytes, cuts: list[int]
) -> None:
    at_once, in_pieces = reach(*start), reach(*start)
    receive(at_once, data)
    receive(in_pieces, data, cuts=cuts)
    assert description(in_pieces) == description(at_once)


# ---- anything that arrives ------------------------------------------------------------------------------


def kept(engine: Engine) -> None:
    """Check that nothing is kept beyond the limits."""
    reader, assembler = engine._reader, engine._assembler
    assert reader._high <= BUFFER_SIZE
    assert reader._control is None or len(reader._control) <= MAX_CONTROL_PDU
    assert len(assembler._command) <= MAX_COMMAND_SET
    if assembler._message is not None and isinstance(assembler._message.sink, MemorySink):
        assert len(assembler._message.sink.stream.getvalue()) <= 1000


LIMITED = EngineConfig(max_length=200, max_data_set=1000)


@untimed
@given(
    states.filter(lambda start: start[0] is not State.STA1),
    st.lists(st.binary(max_size=400) | input_bytes, max_size=20),
)
def test_random_bytes_never_raise_and_are_never_kept_beyond_the_limits(
    start: tuple[State, bool], pieces: list[bytes]
) -> None:
    engine = reach(*start, LIMITED)
    for piece in pieces:
        receive(engine, piece)
        kept(engine)
    for request in engine.requests:
        assert request.sink is None or len(content(request)) <= 1000
    engine.eof(1.0)
    assert engine.ended and engine.close_transport
    assert not engine.receiving


@settings(untimed, max_examples=20)
@given(st.sampled_from([1, 2, 3, 5, 6, 7]), st.integers(BUFFER_SIZE - 10, MAX_CONTROL_PDU), st.integers(1, 8))
def test_a_long_control_pdu_is_kept_up_to_the_limit(kind: int, length: int, reads: int) -> None:
    engine = reach(State.STA3, False)
    receive(engine, struct.pack(">BxI", kind, length))
    for _ in range(reads):
        receive(engine, bytes(min(length // reads, BUFFER_SIZE)))
        kept(engine)


# ---- random events in random order ----------------------------------------------------------------------

Step = Callable[[Engine, float], None]


def failing_source(size: int) -> Iterator[Buffer]:
    yield bytes(size)
    raise OSError("gone")


def drain(engine: Engine, now: float) -> None:
    output(engine, now)


def send_one(engine: Engine, now: float) -> None:
    engine.data_to_send(now)


def respond(engine: Engine, now: float) -> None:
    if engine.requests:
        request = engine.requests.popleft()
        if MESSAGE_ID in request.command:
            engine.send_message(request.context_id, response_to(request.command), None, now)


def invoke(data: DataSource | None) -> Step:
    def step(engine: Engine, now: float) -> None:
        message_id = engine.free_message_id(1)
        engine.send_request(MPPS_CONTEXT, set_request(message_id), data, now)

    return step


local_steps: list[Step] = [
    lambda engine, now: engine.associate(REQUEST, now),
    lambda engine, now: engine.accept(ANSWER, dict(NEGOTIATED.contexts), now),
    lambda engine, now: engine.reject(AssociateRJ(1, 1, 1), now),
    lambda engine, now: engine.release(now),
    lambda engine, now: engine.abort(now),
    lambda engine, now: engine.finish(Exchange(1, 1, 0x0030)),
    respond,
    invoke(None),
    invoke(b"data"),
    invoke(bytes(100_000)),
    invoke(failing_source),
]
other_steps: list[Step] = [
    lambda engine, now: engine.connected(now),
    lambda engine, now: engine.eof(now),
    lambda engine, now: engine.handle_timeout(now),
    lambda engine, now: engine.write_stalled(now, 5.0),
    lambda engine, now: engine.release_memory(),
    lambda engine, now: engine.connect_failed(Failure(FailureKind.CONNECT, Party.NETWORK, "refused"), now),
    drain,
    send_one,
]


def arrival(data: bytes) -> Step:
    return lambda engine, now: receive(engine, data, now)


steps = st.one_of(
    st.sampled_from(local_steps).map(lambda step: (True, step)),
    st.sampled_from(other_steps).map(lambda step: (False, step)),
    input_bytes.map(lambda data: (False, arrival(data))),
)


@untimed
@given(
    states,
    st.lists(st.tuples(steps, st.sampled_from([0.0, 1.0, 50.0])), max_size=25),
    st.sampled_from(
        [EngineConfig(), EngineConfig(release_when_idle=True), EngineConfig(16382, None, None, None)]
    ),
)
def test_random_events_in_random_order(
    start: tuple[State, bool], events: list[tuple[tuple[bool, Step], float]], config: EngineConfig
) -> None:
    engine = reach(*start, config)
    recorder = engine.observer = Recorder()
    now = 0.0
    for (local, step), pause in events:
        now += pause
        try:
            step(engine, now)
        except LocalProtocolError:
            assert local, "raised for what the peer or the network did"
        deadline = engine.next_deadline()
        if engine.ended:
            assert not engine.requests and not engine._assembler.in_message
        if engine.state is State.STA1 and engine.close_transport:
            assert deadline is None and not engine.data_to_send(now)
        assert str(engine.error())
    for event, action, state, following in recorder.transitions:
        assert TABLE[event, state] is action and following in action.next_states
    # The end comes in any case, once the connection is gone.
    engine.eof(now)
    engine.handle_timeout(now + 1e9)
    assert engine.state is State.STA1 and engine.close_transport


# ---- two engines ----------------------------------------------------------------------------------------


@st.composite
def sources(draw: st.DrawFn) -> tuple[bytes, DataSource]:
    data = draw(st.binary(max_size=64)) * draw(st.sampled_from([1, 7, 1000, 9973]))
    kind = draw(st.sampled_from(["bytes", "bytearray", "memoryview", "chunks"]))
    if kind == "bytearray":
        return data, bytearray(data)
    if kind == "memoryview":
        return data, memoryview(data)
    if kind == "chunks":
        return data, lambda size: (data[start : start + size] for start in range(0, len(data), size))
    return data, data


@untimed
@given(sources(), sources(), st.sampled_from([0, 7, 8, 100, 1030, 16382, 16383, 131072]))
def test_a_data_set_arrives_as_it_was_sent(
    change: tuple[bytes, DataSource], attributes: tuple[bytes, DataSource], peer_max: int
) -> None:
    if peer_max and peer_max < 100:
        change, attributes = (change[0][:999],) * 2, (attributes[0][:999],) * 2
    requestor, acceptor = established_pair(max_length=peer_max, config=EngineConfig(max_length=peer_max))
    exchange = requestor.send_request(MPPS_CONTEXT, set_request(), change[1], 0.0)
    exchange_all(requestor, acceptor)
    request = acceptor.requests.popleft()
    assert content(request) == change[0]
    acceptor.send_message(MPPS_CONTEXT, response_to(request.command), attributes[1], 0.0)
    exchange_all(requestor, acceptor)
    assert content(exchange.responses.popleft()) == attributes[0]


@untimed
@given(st.integers(1, 0xFFFFFFFF), st.none() | st.binary(max_size=200), st.integers(0, 20_000))
def test_no_p_data_tf_is_longer_than_the_peer_takes(peer_max: int, tail: bytes | None, size: int) -> None:
    peer_max = max(peer_max, 7)
    data = None if tail is None else bytes(min(size, peer_max * 100)) + tail
    engine = reach(State.STA5, True)
    receive(engine, codec.encode(replace(ANSWER, user=UserInformation(peer_max))))
    engine.send_request(MPPS_CONTEXT, set_request(), data, 0.0)
    sent = output(engine)
    offset = 0
    while offset < len(sent):
        kind, length = struct.unpack_from(">BxI", sent, offset)
        assert kind == 4 and length <= peer_max
        offset += 6 + length
    (message,) = parse(sent)
    assert isinstance(message, Message)
    assert (None if message.sink is None else content(message)) == data


@untimed
@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from(["release", "abort", "echo", "carry"])), max_size=12)
)
def test_two_engines_agree_on_how_it_ended(actions: list[tuple[bool, str]]) -> None:
    sides = established_pair()
    for first, action in actions:
        engine = sides[0] if first else sides[1]
        try:
            if action == "release":
                engine.release(0.0)
            elif action == "abort":
                engine.abort(0.0)
            elif action == "echo":
                engine.send_request(ECHO_CONTEXT, echo_request(engine.free_message_id(1)), None, 0.0)
            else:
                exchange_all(*sides)
        except LocalProtocolError:
            assert not engine.established
    aborted = any(engine.failure is not None for engine in sides)
    for _ in range(3):
        for engine in sides:
            if not engine.ended and (engine.established or engine.release_requested):
                engine.release(0.0)
        exchange_all(*sides)
    assert all(engine.ended for engine in sides)
    assert aborted or all(engine.released and engine.failure is None for engine in sides)
    # Neither ever took the other for one that breaks the protocol.
    assert all(engine.failure is None or engine.failure.kind is FailureKind.ABORTED for engine in sides)
