"""Engines for tests: wired to each other or fed with bytes, without a socket and with a clock of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

from dulcimer.protocol.association.config import EngineConfig
from dulcimer.protocol.association.contexts import Context
from dulcimer.protocol.association.engine import Engine
from dulcimer.protocol.association.negotiate import Supported, as_acceptor
from dulcimer.protocol.dimse import commands
from dulcimer.protocol.dimse.assembler import Assembler, Message
from dulcimer.protocol.dimse.commands import Value
from dulcimer.protocol.dimse.elements import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    COMMAND_DATA_SET_TYPE,
    COMMAND_FIELD,
    MESSAGE_ID,
    MESSAGE_ID_BEING_RESPONDED_TO,
    NO_DATA_SET,
    PRIORITY,
    REQUESTED_SOP_CLASS_UID,
    REQUESTED_SOP_INSTANCE_UID,
    STATUS,
)
from dulcimer.protocol.dimse.messages import C_ECHO_RQ, C_STORE_RQ, N_SET_RQ
from dulcimer.protocol.dimse.sinks import MemorySink, Sink
from dulcimer.protocol.ul.states import State
from dulcimer.protocol.ul.table import Action, Event
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import (
    AssociateAC,
    AssociateRQ,
    AsyncOperations,
    ControlPDU,
    ProposedContext,
    ReleaseRP,
    ReleaseRQ,
    UserInformation,
)
from dulcimer.protocol.wire.reader import Fragment, Reader
from dulcimer.protocol.wire.writer import DataSource, batches

VERIFICATION = "1.2.840.10008.1.1"
MPPS = "1.2.840.10008.3.1.2.3.3"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
INSTANCE = "1.2.3.4"

ECHO_CONTEXT, MPPS_CONTEXT, CT_CONTEXT = 1, 3, 5
PROPOSED = (
    ProposedContext(ECHO_CONTEXT, VERIFICATION, (IMPLICIT,)),
    ProposedContext(MPPS_CONTEXT, MPPS, (EXPLICIT, IMPLICIT)),
    ProposedContext(CT_CONTEXT, CT_IMAGE, (IMPLICIT,)),
)
REQUEST = AssociateRQ("CALLED", "CALLING", PROPOSED, UserInformation(16382, "1.2.3"))
SUPPORTED = {uid: Supported((IMPLICIT,)) for uid in (VERIFICATION, MPPS, CT_IMAGE)}
NEGOTIATED = as_acceptor(REQUEST, SUPPORTED)
ANSWER = AssociateAC("CALLED", "CALLING", NEGOTIATED.results, UserInformation(16382, "1.2.4"))

ROLES: dict[State, tuple[bool, ...]] = {
    State.STA1: (True, False),
    State.STA2: (False,),
    State.STA3: (False,),
    State.STA4: (True,),
    State.STA5: (True,),
    State.STA6: (True, False),
    State.STA7: (True, False),
    State.STA8: (True, False),
    State.STA9: (True,),
    State.STA10: (False,),
    State.STA11: (True,),
    State.STA12: (False,),
    State.STA13: (True, False),
}
"""Whether the association requestor (True), the acceptor (False) or both can be in a state."""


class Recorder:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.transitions: list[tuple[Event, Action, State, State]] = []
        self.sent: list[ControlPDU] = []
        self.received: list[ControlPDU] = []
        self.messages_sent: list[Mapping[int, Value]] = []
        self.messages_received: list[Message] = []
        self.unanswering: list[Message] = []

    def transition(self, event: Event, action: Action, state: State, following: State) -> None:
        self.transitions.append((event, action, state, following))

    def control_sent(self, pdu: ControlPDU, encoded: bytes) -> None:
        assert codec.decode(encoded[0], encoded[6:]) == pdu
        self.sent.append(pdu)

    def control_received(self, pdu: ControlPDU, kind: int, body: bytes) -> None:
        assert codec.decode(kind, body) == pdu
        self.received.append(pdu)

    def message_sent(self, context_id: int, command: Mapping[int, Value], data: DataSource | None) -> None:
        self.messages_sent.append(command)

    def message_received(self, message: Message) -> None:
        self.messages_received.append(message)

    def unmatched(self, message: Message) -> None:
        self.unanswering.append(message)


def receive(engine: Engine, data: bytes, now: float = 0.0, cuts: Iterable[int] = ()) -> None:
    """Let ``data`` arrive, cut at the given offsets and where the engine's buffer ends."""
    edges = sorted({0, len(data), *(cut for cut in cuts if 0 < cut < len(data))})
    for start, stop in pairwise(edges):
        piece = data[start:stop]
        while piece:
            buffer = engine.get_buffer()
            count = min(len(buffer), len(piece))
            buffer[:count] = piece[:count]
            engine.buffer_updated(count, now)
            piece = piece[count:]


def output(engine: Engine, now: float = 0.0) -> bytes:
    """Take everything that the engine has to send."""
    sent = bytearray()
    while buffers := engine.data_to_send(now):
        sent += b"".join(buffers)
    return bytes(sent)


def sent_pdus(engine: Engine, now: float = 0.0) -> list[ControlPDU | Message]:
    """Take everything that the engine has to send, as control PDUs and DIMSE messages in order."""
    return parse(output(engine, now))


def parse(data: bytes) -> list[ControlPDU | Message]:
    """Return the control PDUs and DIMSE messages in a stream."""

    def accept_all(command: Mapping[int, Value]) -> None:
        pass

    assembler = Assembler(accept_all, lambda context_id, command: MemorySink())
    reader = Reader(0)
    found: list[ControlPDU | Message] = []
    while data:
        buffer = reader.get_buffer()
        count = min(len(buffer), len(data))
        buffer[:count], data = data[:count], data[count:]
        for event in reader.feed(count):
            if isinstance(event, Fragment):
                message = assembler.feed(event)
                if message is not None:
                    found.append(message)
            else:
                assert not isinstance(event, Exception), event
                found.append(codec.decode(event.type, event.body))
    assert not reader.in_message and not assembler.in_message
    return found


def exchange_all(first: Engine, second: Engine, now: float = 0.0) -> None:
    """Carry bytes both ways until neither has any left."""
    while True:
        to_second, to_first = output(first, now), output(second, now)
        if not to_second and not to_first:
            return
        receive(second, to_second, now)
        receive(first, to_first, now)


def message_bytes(
    context_id: int, command: Mapping[int, Value], data: bytes | None = None, peer_max: int = 16382
) -> bytes:
    """Return a DIMSE message as it travels."""
    values = {**command, COMMAND_DATA_SET_TYPE: NO_DATA_SET if data is None else 1}
    encoded = commands.encode(values)
    return b"".join(
        bytes(buffer) for batch in batches(context_id, encoded, data, peer_max) for buffer in batch
    )


def echo_request(message_id: int = 1) -> dict[int, Value]:
    return {COMMAND_FIELD: C_ECHO_RQ, MESSAGE_ID: message_id, AFFECTED_SOP_CLASS_UID: VERIFICATION}


def set_request(message_id: int = 1) -> dict[int, Value]:
    return {
        COMMAND_FIELD: N_SET_RQ,
        MESSAGE_ID: message_id,
        REQUESTED_SOP_CLASS_UID: MPPS,
        REQUESTED_SOP_INSTANCE_UID: INSTANCE,
    }


def store_request(message_id: int = 1) -> dict[int, Value]:
    return {
        COMMAND_FIELD: C_STORE_RQ,
        MESSAGE_ID: message_id,
        AFFECTED_SOP_CLASS_UID: CT_IMAGE,
        AFFECTED_SOP_INSTANCE_UID: INSTANCE,
        PRIORITY: 0,
    }


def response_to(request: Mapping[int, Value], status: int = 0) -> dict[int, Value]:
    field, message_id = request[COMMAND_FIELD], request[MESSAGE_ID]
    assert isinstance(field, int)
    return {COMMAND_FIELD: field | 0x8000, MESSAGE_ID_BEING_RESPONDED_TO: message_id, STATUS: status}


def content(message: Message) -> bytes:
    """Return the data set of a message that was kept in memory."""
    assert isinstance(message.sink, MemorySink), message.error
    return message.sink.stream.getvalue()


def make(
    requestor: bool,
    config: EngineConfig | None = None,
    open_sink: Callable[[Context, Mapping[int, Value]], Sink] | None = None,
) -> Engine:
    return Engine(config or EngineConfig(), requestor=requestor, open_sink=open_sink)


def reach(
    state: State,
    requestor: bool,
    config: EngineConfig | None = None,
    now: float = 0.0,
    open_sink: Callable[[Context, Mapping[int, Value]], Sink] | None = None,
) -> Engine:
    """Bring an engine into a state as its role allows, with nothing left to send."""
    engine = make(requestor, config, open_sink)
    for step in _path(state, requestor):
        step(engine, now)
    assert engine.state is state
    output(engine, now)
    return engine


Step = Callable[[Engine, float], None]


def _path(state: State, requestor: bool) -> list[Step]:
    def release(engine: Engine, now: float) -> None:
        engine.release(now)

    def abort(engine: Engine, now: float) -> None:
        engine.abort(now)

    def connected(engine: Engine, now: float) -> None:
        engine.connected(now)

    def associate(engine: Engine, now: float) -> None:
        engine.associate(REQUEST, now)

    def accept(engine: Engine, now: float) -> None:
        engine.accept(ANSWER, dict(NEGOTIATED.contexts), now)

    def arrives(pdu: ControlPDU) -> Step:
        return lambda engine, now: receive(engine, codec.encode(pdu), now)

    if requestor:
        established: list[Step] = [associate, connected, arrives(ANSWER)]
    else:
        established = [connected, arrives(REQUEST), accept]
    asked = arrives(ReleaseRQ())
    return {
        State.STA1: [],
        State.STA2: established[:1],
        State.STA3: established[:2],
        State.STA4: established[:1],
        State.STA5: established[:2],
        State.STA6: established,
        State.STA7: [*established, release],
        State.STA8: [*established, asked],
        State.STA9: [*established, release, asked],
        State.STA10: [*established, release, asked],
        State.STA11: [*established, release, asked, release],
        State.STA12: [*established, release, asked, arrives(ReleaseRP())],
        State.STA13: [*established, abort],
    }[state]


def established_pair(
    window: AsyncOperations | None = None,
    config: EngineConfig | None = None,
    open_sink: Callable[[Context, Mapping[int, Value]], Sink] | None = None,
    max_length: int = 16382,
) -> tuple[Engine, Engine]:
    """Return a requestor and an acceptor in Sta6 that negotiated with each other."""
    requestor, acceptor = make(True, config), make(False, config, open_sink)
    user = UserInformation(max_length, "1.2.3", async_operations=window)
    requestor.associate(AssociateRQ("CALLED", "CALLING", PROPOSED, user), 0.0)
    requestor.connected(0.0)
    acceptor.connected(0.0)
    exchange_all(requestor, acceptor)
    assert acceptor.requested is not None
    decision = as_acceptor(acceptor.requested, SUPPORTED)
    answer = UserInformation(max_length, "1.2.4", async_operations=window)
    acceptor.accept(AssociateAC("CALLED", "CALLING", decision.results, answer), decision.contexts, 0.0)
    exchange_all(requestor, acceptor)
    assert requestor.established and acceptor.established
    return requestor, acceptor
