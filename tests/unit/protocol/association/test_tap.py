"""What an engine shows to a tap: whole PDUs, in the order in which they travel."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from dulcimer.protocol.association.config import EngineConfig
from dulcimer.protocol.association.engine import Engine
from dulcimer.protocol.dimse.sinks import MemorySink
from dulcimer.protocol.ul.states import State
from dulcimer.protocol.ul.table import Action
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import Abort, ReleaseRQ
from dulcimer.protocol.wire.reader import BUFFER_SIZE
from unit.protocol.engines import (
    CT_CONTEXT,
    ECHO_CONTEXT,
    Recorder,
    echo_request,
    message_bytes,
    output,
    reach,
    receive,
    store_request,
)

DATA = bytes(range(256)) * 400
RELEASE = codec.encode(ReleaseRQ())


class Tap:
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.values: list[bytes] = []
        self.sent: list[bytes] = []

    def pdu_received(self, pdu: bytes) -> None:
        self.received.append(pdu)

    def data_received(self, pdu: bytes) -> None:
        assert self.received[-1] == pdu
        self.values.append(pdu)

    def pdu_sent(self, pdu: bytes) -> None:
        self.sent.append(pdu)


def tapped(requestor: bool = False, max_length: int = 16382) -> tuple[Engine, Tap, Recorder]:
    engine = reach(State.STA6, requestor, EngineConfig(max_length=max_length))
    tap, recorder = Tap(), Recorder()
    engine.tap, engine.observer = tap, recorder
    return engine, tap, recorder


def pdus(stream: bytes) -> list[bytes]:
    found = []
    while stream:
        size = 6 + int.from_bytes(stream[2:6], "big")
        found.append(stream[:size])
        stream = stream[size:]
    return found


STREAM = (
    message_bytes(CT_CONTEXT, store_request(), DATA)
    + message_bytes(ECHO_CONTEXT, echo_request(2))
    + message_bytes(CT_CONTEXT, store_request(3), b"")
    + RELEASE
)


@pytest.mark.parametrize(
    "cuts", [(), range(0, len(STREAM), 7001), range(0, len(STREAM), 5), (3, 16400, 16402)]
)
def test_every_pdu_that_arrives_is_shown_whole(cuts: Iterable[int]) -> None:
    engine, tap, recorder = tapped()
    receive(engine, STREAM, cuts=cuts)
    expected = pdus(STREAM)
    assert tap.received == expected
    assert tap.values == expected[:-1]
    data = [transition[1] for transition in recorder.transitions if transition[1] is Action.DT_2]
    assert len(data) == len(expected) - 1
    assert recorder.transitions[-1][1] is Action.AR_2
    assert [message.command for message in recorder.messages_received] == [
        {**command, 0x0800: kind}
        for command, kind in (
            (store_request(), 1),
            (echo_request(2), 0x0101),
            (store_request(3), 1),
        )
    ]
    sink = recorder.messages_received[0].sink
    assert isinstance(sink, MemorySink) and sink.stream.getvalue() == DATA


def test_a_pdu_longer_than_the_receive_buffer_is_shown_whole() -> None:
    engine, tap, recorder = tapped(max_length=0)
    data = DATA * 12
    assert len(data) > 4 * BUFFER_SIZE
    stream = message_bytes(CT_CONTEXT, store_request(), data, peer_max=len(data) + 6)
    receive(engine, stream)
    assert [len(pdu) for pdu in tap.received] == [len(pdu) for pdu in pdus(stream)]
    assert tap.received == pdus(stream)
    sink = recorder.messages_received[0].sink
    assert isinstance(sink, MemorySink) and sink.stream.getvalue() == data


@pytest.mark.parametrize(
    "start", [0, 1, 5, 6, 7, 11, 12, 100, 20_000, 40_000, len(STREAM) - 10, len(STREAM) - 3]
)
def test_a_tap_that_comes_late_begins_with_the_next_pdu(start: int) -> None:
    engine = reach(State.STA6, False)
    receive(engine, STREAM[:start])
    tap = engine.tap = Tap()
    receive(engine, STREAM[start:])
    begins = 0
    expected: list[bytes] = []
    for pdu in pdus(STREAM):
        # A PDU of which a header that is not complete, or all of a short one, is in the buffer is not lost.
        whole = begins >= start or start - begins < 6 or pdu[0] != 4
        if whole and begins + len(pdu) > start:
            expected.append(pdu)
        begins += len(pdu)
    assert tap.received == expected


def test_a_tap_that_goes_and_comes_again_is_in_step() -> None:
    engine, first, _ = tapped()
    half = len(STREAM) // 2
    receive(engine, STREAM[:1000])
    engine.tap = None
    receive(engine, STREAM[1000:half])
    second = engine.tap = Tap()
    receive(engine, STREAM[half:])
    every = pdus(STREAM)
    assert first.received == every[: len(first.received)]
    assert second.received and second.received == every[-len(second.received) :]


def test_every_pdu_that_is_sent_is_shown_as_it_is_handed_out() -> None:
    engine, tap, recorder = tapped(True)
    engine.send_message(CT_CONTEXT, store_request(), DATA, 0.0)
    engine.send_message(ECHO_CONTEXT, echo_request(2), None, 0.0)
    assert not tap.sent
    sent = b""
    while batch := engine.data_to_send(0.0):
        assert b"".join(batch) == tap.sent[-1]
        sent += tap.sent[-1]
    engine.release(0.0)
    sent += output(engine)
    assert tap.sent == pdus(sent)
    assert tap.sent[-1] == RELEASE
    actions = [transition[1] for transition in recorder.transitions]
    assert actions == [Action.DT_1] * (len(tap.sent) - 1) + [Action.AR_1]


def test_the_bytes_are_the_same_with_and_without_a_tap() -> None:
    streams = []
    for tap in (None, Tap()):
        engine = reach(State.STA6, True)
        engine.tap = tap
        engine.send_message(CT_CONTEXT, store_request(), DATA * 100, 0.0)
        streams.append(output(engine))
    assert streams[0] == streams[1]


def test_what_an_abort_overtakes_is_not_shown() -> None:
    engine, tap, _ = tapped(True)
    engine.send_message(CT_CONTEXT, store_request(), DATA, 0.0)
    first = b"".join(engine.data_to_send(0.0))
    engine.abort(0.0)
    assert output(engine) == codec.encode(Abort(0, 0))
    assert tap.sent == [first, codec.encode(Abort(0, 0))]


def test_what_breaks_the_protocol_is_shown_and_nothing_after_it() -> None:
    engine, tap, recorder = tapped()
    bad = bytes.fromhex("040000000008 000000ff 0103 6162")
    receive(engine, bad + STREAM)
    assert tap.received == [bad] and not tap.values
    assert [transition[1] for transition in recorder.transitions] == [Action.AA_8]
    receive(engine, STREAM)
    assert tap.received == [bad]


def test_a_pdu_of_no_known_type_is_not_shown() -> None:
    engine, tap, _ = tapped()
    receive(engine, bytes.fromhex("0900000000024141"))
    assert not tap.received
