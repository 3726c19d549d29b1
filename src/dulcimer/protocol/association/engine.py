"""One association, without IO and without a clock.

A driver moves bytes and time; everything that PS3.8 and PS3.7 decide is decided here. The contract:

* receive into :meth:`Engine.get_buffer`, then :meth:`Engine.buffer_updated`; :meth:`Engine.eof` at the end;
* send all of what :meth:`Engine.data_to_send` returns, then ask again, until it returns nothing;
* call :meth:`Engine.handle_timeout` when :meth:`Engine.next_deadline` has passed;
* close the transport when :attr:`Engine.close_transport` says so.

Times are seconds of any monotonic clock, the same for all calls. An engine has one owner at a time: drivers
hold the lock. What the *peer* does never raises: the failure is recorded, an A-ABORT is queued and the
conversations that wait find the association ended. What the *caller* may not do raises
:class:`~dulcimer.errors.LocalProtocolError`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from dulcimer.errors import (
    AssociationAborted,
    AssociationError,
    AssociationRejected,
    AssociationTimeout,
    ConnectFailed,
    ConnectionLost,
    InvalidParameter,
    LocalProtocolError,
    RemoteProtocolError,
    UnexpectedParameter,
)
from dulcimer.failure import Failure, FailureKind, Party
from dulcimer.protocol.association import reasons
from dulcimer.protocol.association.negotiate import as_requestor, examine, window
from dulcimer.protocol.dimse import commands, conformance
from dulcimer.protocol.dimse.assembler import Assembler, Message
from dulcimer.protocol.dimse.elements import (
    COMMAND_DATA_SET_TYPE,
    COMMAND_FIELD,
    MESSAGE_ID,
    MESSAGE_ID_BEING_RESPONDED_TO,
    NO_DATA_SET,
    STATUS,
)
from dulcimer.protocol.dimse.messages import C_CANCEL_RQ, MESSAGES, N_EVENT_REPORT_RQ
from dulcimer.protocol.dimse.sinks import MemorySink, NullSink, Sink
from dulcimer.protocol.ul.states import State
from dulcimer.protocol.ul.table import LOCAL_PRIMITIVES, TABLE, Action, Event
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import (
    Abort,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    ControlPDU,
    ReleaseRP,
    ReleaseRQ,
)
from dulcimer.protocol.wire.reader import ControlBytes, Fragment, Reader, WireEvent
from dulcimer.protocol.wire.splitter import Splitter
from dulcimer.protocol.wire.writer import (
    MAX_BATCH_BUFFERS,
    Buffer,
    DataSource,
    batches,
    fragment,
    room_for,
)
from dulcimer.quirks import Note, Notebook, Quirk, QuirkKind

if TYPE_CHECKING:
    from dulcimer.protocol.association.config import EngineConfig
    from dulcimer.protocol.association.contexts import Context
    from dulcimer.protocol.dimse.commands import Value

RESPONSE_BIT: Final = 0x8000
_PENDING: Final = (0xFF00, 0xFF01)
"""The statuses after which more responses follow (PS3.7 9.1.2.1.5, 9.1.3.1.6, 9.1.4.1.7)."""

_REFUSALS: Final[dict[int, type[RemoteProtocolError]]] = {
    error.abort_reason: error for error in (UnexpectedParameter, InvalidParameter)
}

_REJECTION: Final = AssociateRJ(1, 1, 1)
_ABORT: Final = Abort(0, 0)
_UNEXPECTED_PDU: Final = Abort(2, 2)
_RELEASE_RESPONSE: Final = ReleaseRP()

_MEANING: Final = {
    state: (
        state is State.STA6,
        state in (State.STA1, State.STA13),
        state in (State.STA8, State.STA9, State.STA12),
    )
    for state in State
}
"""Whether a state is that of an association that is established, that has ended, that is to be released."""

_ERRORS: Final[dict[FailureKind, type[AssociationError]]] = {
    FailureKind.CONNECT: ConnectFailed,
    FailureKind.TLS: ConnectFailed,
    FailureKind.REJECTED: AssociationRejected,
    FailureKind.ABORTED: AssociationAborted,
    FailureKind.PROTOCOL: AssociationAborted,
    FailureKind.LOST: ConnectionLost,
    FailureKind.TIMEOUT: AssociationTimeout,
}

_RECEIVED: Final[dict[type, Event]] = {
    AssociateRQ: Event.EVT6,
    AssociateAC: Event.EVT3,
    AssociateRJ: Event.EVT4,
    ReleaseRQ: Event.EVT12,
    ReleaseRP: Event.EVT13,
    Abort: Event.EVT16,
}


class Observer(Protocol):
    """Is told what passes through an engine. Nothing is prepared for it while there is none.

    It must not raise. Data in Sta6 (DT-1, DT-2) are messages; they are transitions as well, one for each PDU,
    while there is a tap.
    """

    def transition(self, event: Event, action: Action, state: State, following: State) -> None: ...

    def control_sent(self, pdu: ControlPDU, encoded: bytes) -> None: ...

    def control_received(self, pdu: ControlPDU, kind: int, body: bytes) -> None: ...

    def message_sent(
        self, context_id: int, command: Mapping[int, Value], data: DataSource | None
    ) -> None: ...

    def message_received(self, message: Message) -> None: ...

    def unmatched(self, message: Message) -> None: ...


class Tap(Protocol):
    """Is shown whole PDUs, headers included. They are put together for it and for nobody else.

    One is shown when its last byte has arrived, or when it is handed to the driver to be sent. It must not
    raise.
    """

    def pdu_received(self, pdu: bytes) -> None:
        """Take a PDU of a known type, before anything is made of it."""

    def data_received(self, pdu: bytes) -> None:
        """Take a P-DATA-TF whose values can be told apart, before anything is made of them."""

    def pdu_sent(self, pdu: bytes) -> None:
        """Take a PDU that is sent."""


class Exchange:
    """An operation that we invoked: the responses that came for it so far."""

    __slots__ = ("answered", "context_id", "field", "given_up", "message_id", "responses")

    def __init__(self, message_id: int, context_id: int, field: int) -> None:
        self.message_id = message_id
        self.context_id = context_id
        self.field = field
        self.responses: deque[Message] = deque()
        self.answered = False
        """Whether the last response has come."""
        self.given_up = False
        """Whether its further responses are dropped."""


class Engine:
    """The protocol machine of one association.

    Parameters
    ----------
    config
        Timeouts and limits.
    requestor
        Whether the local side requests the association.
    open_sink
        Chooses where the data set of a request goes, given the presentation context and the command set. By
        default it is kept in memory.
    """

    def __init__(
        self,
        config: EngineConfig,
        *,
        requestor: bool,
        open_sink: Callable[[Context, Mapping[int, Value]], Sink] | None = None,
    ) -> None:
        self.config = config
        self.requestor = requestor
        self.state = State.STA1
        self.established = False
        """Whether data can be exchanged (Sta6)."""
        self.ended = True
        """Whether the association is over; the transport may still be closing (Sta1, Sta13)."""
        self.release_requested = False
        """Whether the peer awaits our answer to its release request (Sta8, Sta9, Sta12)."""
        self.now = 0.0
        self.generation = 0
        """Grows with everything that may have changed what a waiting conversation sees."""
        self.contexts: dict[int, Context] = {}
        self.peer_max_length = 0
        self.window = 1
        """How many operations we may have outstanding (PS3.7 D.3.3.3); 0 is unlimited."""
        self.requested: AssociateRQ | None = None
        self.accepted: AssociateAC | None = None
        self.requests: deque[Message] = deque()
        self.cancelled: set[int] = set()
        self.released = False
        self.close_transport = False
        self.failure: Failure | None = None
        self.observer: Observer | None = None
        self.tap: Tap | None = None
        self.quirks: list[Quirk] = []
        """What the peer did that is unusual, each kind once."""
        self.on_quirk: Callable[[Quirk], None] | None = None
        """Told of each of them; it must not use the engine."""
        self._quirk_kinds: set[QuirkKind] = set()
        self._examined: set[int] = set()
        self._assumed_roles: frozenset[int] = frozenset()
        self._open_sink = open_sink
        self._reader = Reader(config.max_length)
        self._splitter: Splitter | None = None
        self._assembler = Assembler(self._check_command, self._choose_sink, self._examine_command)
        self._assembler.tolerant = not config.strict
        self._exchanges: dict[int, Exchange] = {}
        self._given_up: set[int] = set()
        self._unanswered: set[int] = set()
        self._encoded = b""
        self._rejection = _REJECTION
        self._refusal: AssociateRJ | None = None
        self._abort = _ABORT
        self._provider_abort = _UNEXPECTED_PDU
        self._pdu: ControlPDU = _RELEASE_RESPONSE
        self._unexpected = ""
        self._closed_reason = ""
        self.outgoing: deque[list[Buffer] | Iterator[list[Buffer]]] = deque()
        """What waits for :meth:`data_to_send`; while it is empty there is nothing to send."""
        self._artim: float | None = None
        self._activity = 0.0
        self.get_buffer = self._reader.get_buffer

    def detach(self) -> None:
        """Tell nobody of anything any more: to be called when nothing more will be received."""
        self.observer = self.tap = self.on_quirk = self._open_sink = None
        self._assembler.detach()

    # ---- what a driver asks -------------------------------------------------------------------------

    @property
    def receiving(self) -> bool:
        """Whether something has begun to arrive that is not complete."""
        return self._reader.in_message or self._assembler.in_message

    @property
    def awaiting_response(self) -> bool:
        """Whether an operation that we invoked is outstanding."""
        return bool(self._exchanges)

    @property
    def unclaimed(self) -> bool:
        """Whether responses of an outstanding operation are here that nobody has taken yet.

        As long as there are, nothing more of it should be read: its SCP may have any number of them.
        """
        return not self.ended and any(exchange.responses for exchange in self._exchanges.values())

    @property
    def given_up(self) -> frozenset[int]:
        """The message IDs of operations that were given up and that the peer has yet to answer."""
        return frozenset(self._given_up)

    @property
    def window_open(self) -> bool:
        """Whether another operation may be invoked now.

        One that was given up counts as long as the peer has not answered it: it may still be at it.
        """
        return not self.window or len(self._exchanges) + len(self._given_up) < self.window

    def error(self) -> AssociationError:
        """Return the exception for how the association failed or ended."""
        failure = self.failure
        if failure is None:
            what = "the association has ended"
            if self.released:
                what = "the association has been released"
            elif self.release_requested:
                what = "the peer has asked for the release of the association"
            failure = Failure(FailureKind.LOST, Party.PEER, what)
        return _ERRORS[failure.kind](failure)

    def release_memory(self) -> None:
        """Give back the receive buffer's pages while nothing is arriving."""
        self._reader.release_buffer()

    def buffer_updated(self, count: int, now: float) -> None:
        """Take note that ``count`` bytes were received into the buffer."""
        self.now = self._activity = now
        self.generation += 1
        assembler = self._assembler
        tap = self.tap
        events: Iterable[WireEvent]
        if tap is None:
            events = self._reader.feed(count)
            self._splitter = None
        else:
            events = self._tapped(count, tap)
        try:
            for event in events:
                if type(event) is Fragment:
                    if self.state is not State.STA6 and not self._indicates_data():
                        continue
                    if event.context_id not in self.contexts:
                        raise UnexpectedParameter(f"presentation context {event.context_id} was not accepted")
                    message = assembler.feed(event)
                    if message is not None:
                        self._deliver(message)
                elif type(event) is ControlBytes:
                    self._control(event)
                else:
                    assert isinstance(event, RemoteProtocolError)
                    raise event
            if self._reader.notes:
                self._note_all(self._reader.notes)
        except RemoteProtocolError as error:
            self._invalid(error)
        assembler.flush()

    def _tapped(self, count: int, tap: Tap) -> Iterator[WireEvent]:
        """Read PDU by PDU what has arrived, and show each that is whole."""
        reader = self._reader
        if reader.dead:
            self._splitter = None
            return
        splitter = self._splitter
        if splitter is None:
            splitter = self._splitter = Splitter(*reader.begun())
        for size, pdu in splitter.cut(reader.arrived(count)):
            events = reader.feed(size)
            kind = 0 if pdu is None else pdu[0]
            if pdu is not None and codec.A_ASSOCIATE_RQ <= kind <= codec.A_ABORT:
                tap.pdu_received(pdu)
                if kind == codec.P_DATA_TF and not reader.dead:
                    tap.data_received(pdu)
            yield from events
            if reader.dead:
                return
            if kind == codec.P_DATA_TF and self.state is State.STA6:
                self._data_transition(Event.EVT10, Action.DT_2)

    def _data_transition(self, event: Event, action: Action) -> None:
        if self.observer is not None:
            self.observer.transition(event, action, State.STA6, State.STA6)

    def eof(self, now: float, reason: str = "") -> None:
        """Take note that the transport connection was closed, or lost for ``reason``."""
        self.now = now
        self._closed_reason = reason
        if self.state is State.STA2 and self._reader.in_message:
            self._do_lost()
        abort = None if self.ended else self._reader.abort_in_data
        if abort is not None:
            self._note(Note(QuirkKind.ABORT_IN_PDU))
            if self.failure is None:
                self.failure = reasons.aborted(Abort(abort[2], abort[3]), Party.PEER)
        self._event(Event.EVT17)
        self.close_transport = True

    def data_to_send(self, now: float) -> list[Buffer]:
        """Return the next buffers to send, in order; an empty list when there is nothing.

        They are valid until the next call.
        """
        self.now = now
        batch: list[Buffer] = []
        outgoing = self.outgoing
        while outgoing:
            head = outgoing[0]
            if isinstance(head, list):
                # Whole PDUs, so that an A-ABORT can follow any batch.
                batch += head
                outgoing.popleft()
                if len(batch) >= MAX_BATCH_BUFFERS:
                    break
                continue
            if batch:
                break
            try:
                batch = next(head, [])
            except Exception as error:
                # Half a message cannot be taken back: the association is of no use any more.
                outgoing.clear()
                self.failure = Failure(
                    FailureKind.ABORTED, Party.LOCAL, f"the data set could not be read while sending: {error}"
                )
                self.abort(now)
                # After the answer to a release there is no A-ABORT any more.
                self.close_transport = self.close_transport or not outgoing
                continue
            if batch:
                break
            outgoing.popleft()
        if batch:
            self._activity = now
            if self.tap is not None:
                return self._one_shown(batch, self.tap)
        return batch

    def _one_shown(self, batch: list[Buffer], tap: Tap) -> list[Buffer]:
        """Return the first PDU of a batch and show it; the others wait for their turn."""
        # A P-DATA-TF is two buffers, its headers and the value; every other PDU is one.
        data = batch[0][0] == codec.P_DATA_TF
        first, rest = batch[: 1 + data], batch[1 + data :]
        if rest:
            self.outgoing.appendleft(rest)
        tap.pdu_sent(b"".join(first))
        if data and self.state is State.STA6:
            self._data_transition(Event.EVT9, Action.DT_1)
        return first

    def next_deadline(self) -> float | None:
        """Return when :meth:`handle_timeout` wants to be called, None for never."""
        if self.state is State.STA6:
            _, limit = self._patience()
            return None if limit is None else self._activity + limit
        return self._artim

    def _patience(self) -> tuple[str, float | None]:
        """Return which timeout bounds the silence in Sta6, and its seconds."""
        network, dimse = self.config.network_timeout, self.config.dimse_timeout
        if self._exchanges:
            if dimse is not None and (network is None or dimse <= network):
                return "dimse", dimse
        elif self._unanswered and not self.receiving:
            # It is our turn to speak: the peer's silence means nothing.
            return "network", None
        return "network", network

    def handle_timeout(self, now: float) -> None:
        """Act on the deadline that has passed."""
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return
        self.now = now
        config = self.config
        if self.state is State.STA6:
            which, limit = self._patience()
            if which == "dimse":
                self._timed_out(which, limit, "the peer did not answer the request")
            else:
                self._timed_out(which, limit, "nothing was heard from the peer")
            if config.release_when_idle and not self._exchanges and not self.receiving:
                self.release(now)
            else:
                self.abort(now)
        elif self.state in (State.STA2, State.STA13):
            if self.state is State.STA2:
                self._timed_out("acse", config.acse_timeout, "the peer sent no association request")
            self._event(Event.EVT18)
        else:
            what = {
                State.STA4: "no transport connection could be made",
                State.STA5: "the peer did not answer the association request",
            }.get(self.state, "the peer did not answer the release request")
            self._timed_out("acse", config.acse_timeout, what)
            self.abort(now)

    def write_stalled(self, now: float, seconds: float) -> None:
        """Take note that the peer took nothing of what was sent for ``seconds``."""
        self.now = now
        self.outgoing.clear()
        self._timed_out("network", seconds, "the peer stopped reading what was sent to it")
        self.abort(now)
        self.outgoing.clear()
        self.close_transport = True

    def connect_failed(self, failure: Failure, now: float) -> None:
        """Take note that no transport connection came about."""
        self.now = now
        self.failure = failure
        self._event(Event.EVT17)
        self.close_transport = True

    # ---- what the local user asks -------------------------------------------------------------------

    def associate(self, request: AssociateRQ, now: float) -> None:
        """Request the association; the driver opens the transport next (A-ASSOCIATE request primitive)."""
        self.now = now
        self._refuse_unless_legal(Event.EVT1)
        if self.close_transport:
            raise LocalProtocolError("the association has ended, another one needs another engine")
        self._encoded = codec.encode(request)
        self.requested = request
        self._event(Event.EVT1)

    def connected(self, now: float) -> None:
        """Take note that the transport connection is open, in either role."""
        self.now = self._activity = now
        if not self.close_transport:
            self._event(Event.EVT2 if self.requestor else Event.EVT5)

    def accept(self, answer: AssociateAC, contexts: dict[int, Context], now: float) -> None:
        """Accept the association that was requested (A-ASSOCIATE response primitive)."""
        self.now = now
        self._refuse_unless_legal(Event.EVT7)
        self._encoded = codec.encode(answer)
        self.accepted = answer
        self.contexts = contexts
        if self.requested is not None:
            said = {item.sop_class for item in self.requested.user.roles}
            self._assumed_roles = frozenset(
                context.id
                for context in contexts.values()
                if context.as_scu and context.abstract_syntax not in said
            )
        self._event(Event.EVT7)

    def reject(self, answer: AssociateRJ, now: float) -> None:
        """Reject the association that was requested."""
        self.now = now
        self._refuse_unless_legal(Event.EVT8)
        self._encoded = codec.encode(answer)
        self._rejection = answer
        self.failure = reasons.rejected(answer, Party.LOCAL)
        self._event(Event.EVT8)

    def release(self, now: float) -> None:
        """Ask for the release, or answer the peer's (A-RELEASE request and response primitives)."""
        self.now = now
        event = Event.EVT14 if self.release_requested else Event.EVT11
        self._refuse_unless_legal(event)
        self._event(event)

    def abort(self, now: float, source: int = 0, reason: int = 0) -> None:
        """Abort the association (A-ABORT request primitive).

        Nothing happens when it has ended. Before one was requested (Sta2) there is nothing to abort: the
        transport is to be closed.
        """
        self.now = now
        if self.ended:
            return
        pdu = Abort(source, reason)
        codec.encode(pdu)  # Refuses codes that have no room in it.
        if self.failure is None:
            self.failure = reasons.aborted(pdu, Party.LOCAL)
        if self.state is State.STA2:
            self.generation += 1
            self.close_transport = True
            return
        self._abort = pdu
        self._event(Event.EVT15)

    def send_request(
        self, context_id: int, command: dict[int, Value], data: DataSource | None, now: float
    ) -> Exchange:
        """Send a request and return the exchange that collects its responses."""
        if self.release_requested:
            # Sending would still be possible (AR-7), answering would not: the peer is in Sta7.
            raise LocalProtocolError("no operation can be invoked: the peer has asked for the release")
        message_id = command[MESSAGE_ID]
        assert isinstance(message_id, int)
        if message_id in self._exchanges:
            raise LocalProtocolError(f"message ID {message_id} is in use by an outstanding operation")
        field = command[COMMAND_FIELD]
        assert isinstance(field, int)
        if context_id in self._assumed_roles and field != N_EVENT_REPORT_RQ:
            self._note(Note(QuirkKind.ROLE_ASSUMED, self.contexts[context_id].abstract_syntax))
        self.send_message(context_id, command, data, now)
        exchange = self._exchanges[message_id] = Exchange(message_id, context_id, field)
        return exchange

    def free_message_id(self, wanted: int) -> int:
        """Return ``wanted``, or the next message ID that no outstanding operation uses (PS3.7 9.1.1.1.1)."""
        if len(self._exchanges) + len(self._given_up) >= 0xFFFF:
            raise LocalProtocolError("every message ID is in use by an outstanding operation")
        while wanted in self._exchanges or wanted in self._given_up:
            wanted = wanted % 0xFFFF + 1
        return wanted

    def finish(self, exchange: Exchange) -> None:
        """Forget an exchange: whatever else comes for it answers nothing.

        The message ID of one that was given up before its answer came is not used again until it has come:
        that answer would be taken for the answer to another request.
        """
        if not exchange.answered and self._exchanges.get(exchange.message_id) is exchange:
            del self._exchanges[exchange.message_id]
            exchange.given_up = True
            self._given_up.add(exchange.message_id)
            self.generation += 1

    def outstanding_context(self, message_id: int) -> int | None:
        """Return the presentation context of an operation that we invoked, None if none is outstanding."""
        exchange = self._exchanges.get(message_id)
        return None if exchange is None else exchange.context_id

    def send_message(
        self, context_id: int, command: dict[int, Value], data: DataSource | None, now: float
    ) -> None:
        """Queue a message (P-DATA request primitive). A ``data`` of no bytes is an empty data set."""
        self.now = now
        if self.state is not State.STA6:
            self._refuse_unless_legal(Event.EVT9)
        if context_id not in self.contexts:
            raise LocalProtocolError(f"presentation context {context_id} was not accepted")
        command[COMMAND_DATA_SET_TYPE] = NO_DATA_SET if data is None else 0x0001
        if self.config.pad_ae_titles:
            commands.pad_ae_titles(command)
        encoded = commands.encode(command)
        if self.state is not State.STA6:
            self._event(Event.EVT9)
        field = command[COMMAND_FIELD]
        assert isinstance(field, int)
        if field & RESPONSE_BIT and command.get(STATUS) not in _PENDING:
            answered = command.get(MESSAGE_ID_BEING_RESPONDED_TO)
            if isinstance(answered, int):
                self._unanswered.discard(answered)
                self.cancelled.discard(answered)
        if self.observer is not None:
            self.observer.message_sent(context_id, command, data)
        room = room_for(self.peer_max_length)
        if len(encoded) > room or not (data is None or (isinstance(data, bytes) and len(data) <= room)):
            self.outgoing.append(batches(context_id, encoded, data, self.peer_max_length))
            return
        # Most messages are this short: no need for a generator.
        whole = [*fragment(context_id, encoded, command=True)]
        if data is not None:
            whole += fragment(context_id, data, command=False)
        self.outgoing.append(whole)

    # ---- what the peer sends ------------------------------------------------------------------------

    @staticmethod
    def _check_command(command: Mapping[int, Value]) -> None:
        field = command.get(COMMAND_FIELD)
        message_type = MESSAGES.get(field) if isinstance(field, int) else None
        if message_type is None:
            raise UnexpectedParameter(f"no DIMSE message has Command Field {field!r}")
        if MESSAGE_ID in message_type.mandatory and not isinstance(command.get(MESSAGE_ID), int):
            raise InvalidParameter(f"{message_type.name} without a Message ID cannot be answered")

    def _examine_command(self, context_id: int, command: Mapping[int, Value], data: bytes) -> None:
        field = command[COMMAND_FIELD]
        if field in self._examined:
            return
        assert isinstance(field, int)
        # The response that ends an operation is of another kind than those before it.
        kind = -field if command.get(STATUS) in _PENDING else field
        if kind in self._examined:
            return
        if not self.config.strict:
            # The first of a kind tells enough of the peer's habits.
            self._examined.add(kind)
        notes = Notebook()
        for note in conformance.findings(data):
            notes.add(*note)
        context = self.contexts[context_id]
        if conformance.names_another_class(command, context.abstract_syntax):
            notes.add(QuirkKind.CLASS_MISMATCH, context.abstract_syntax)
        # An event is reported by the SCP, everything else is asked for by the SCU.
        serves = context.as_scu if field == N_EVENT_REPORT_RQ else context.as_scp
        if not (serves or field & RESPONSE_BIT or field == C_CANCEL_RQ):
            notes.add(QuirkKind.ROLE_ASSUMED, context.abstract_syntax)
        if notes:
            self._note_all(notes)

    def _choose_sink(self, context_id: int, command: Mapping[int, Value]) -> Sink:
        field = command[COMMAND_FIELD]
        assert isinstance(field, int)
        if field & RESPONSE_BIT:
            if self._exchange_for(context_id, command) is None:
                return NullSink()
        elif self._open_sink is not None:
            return self._open_sink(self.contexts[context_id], command)
        return MemorySink(self.config.max_data_set)

    def _exchange_for(self, context_id: int, command: Mapping[int, Value]) -> Exchange | None:
        """Return the exchange that a response belongs to, None if it answers nothing."""
        answered = command.get(MESSAGE_ID_BEING_RESPONDED_TO)
        exchange = self._exchanges.get(answered) if isinstance(answered, int) else None
        if (
            exchange is None
            or exchange.field | RESPONSE_BIT != command[COMMAND_FIELD]
            or exchange.context_id != context_id
            or not isinstance(command.get(STATUS), int)
        ):
            return None
        return exchange

    def _indicates_data(self) -> bool:
        # P-DATA-TF outside Sta6: the table decides, and only Sta7 passes data on.
        before = self.state
        self._unexpected = "P-DATA-TF"
        self._event(Event.EVT10)
        return before is State.STA7 and self.state is State.STA7

    def _deliver(self, message: Message) -> None:
        command = message.command
        field = command[COMMAND_FIELD]
        assert isinstance(field, int)
        if self.observer is not None:
            self.observer.message_received(message)
        if field == C_CANCEL_RQ:
            target = command.get(MESSAGE_ID_BEING_RESPONDED_TO)
            # One that comes after the final response has nothing left to cancel (PS3.7 9.3.2.3).
            if target in self._unanswered:
                assert isinstance(target, int)
                self.cancelled.add(target)
        elif field & RESPONSE_BIT:
            exchange = self._exchange_for(message.context_id, command)
            final = command.get(STATUS) not in _PENDING
            if exchange is not None:
                exchange.responses.append(message)
                if final:
                    exchange.answered = True
                    del self._exchanges[exchange.message_id]
            else:
                answered = command.get(MESSAGE_ID_BEING_RESPONDED_TO)
                if answered not in self._given_up:
                    self._note(Note(QuirkKind.RESPONSE_UNMATCHED, f"command field {field:04X}H"))
                if final and isinstance(answered, int):
                    self._given_up.discard(answered)
                if self.observer is not None:
                    self.observer.unmatched(message)
        else:
            message_id = command[MESSAGE_ID]
            assert isinstance(message_id, int)
            if self._unanswered:
                self._note_window()
            self._unanswered.add(message_id)
            # A message ID may be used again, and its C-CANCEL was meant for the operation before.
            self.cancelled.discard(message_id)
            self.requests.append(message)

    def _control(self, received: ControlBytes) -> None:
        notes = Notebook()
        pdu = codec.decode(received.type, received.body, notes)
        if self.observer is not None:
            self.observer.control_received(pdu, received.type, received.body)
        event = _RECEIVED[type(pdu)]
        state = self.state
        expected = (event, state) in TABLE
        if expected:
            self._pdu = pdu
            self._unexpected = type(pdu).__name__
            if event is Event.EVT12:
                self._note_release(notes)
            elif event is Event.EVT3 and state is State.STA5 and self.requested is not None:
                assert isinstance(pdu, AssociateAC)
                examine(self.requested, pdu, notes)
        found = notes.take() if notes and expected else []
        if found and self.config.strict:
            self._refuse_quirks(found, state)
        self._event(event)
        for note in found:
            self._keep(note)

    # ---- what is unusual ----------------------------------------------------------------------------

    def _note(self, note: Note) -> None:
        """Keep a quirk, or refuse it.

        Raises
        ------
        dulcimer.errors.RemoteProtocolError
            If the association is strict and the quirk breaks a rule.
        """
        self._keep(note)
        reason = note.kind.abort_reason
        if reason is not None and self.config.strict:
            raise _REFUSALS[reason](str(Quirk(note.kind, note.detail)))

    def _keep(self, note: Note) -> None:
        kind = note.kind
        if kind in self._quirk_kinds:
            return
        self._quirk_kinds.add(kind)
        quirk = Quirk(kind, note.detail)
        self.quirks.append(quirk)
        if self.on_quirk is not None:
            with suppress(Exception):
                self.on_quirk(quirk)

    def _note_all(self, notes: Notebook) -> None:
        for note in notes.take():
            self._note(note)

    def _note_release(self, notes: Notebook) -> None:
        if self._exchanges or self._unanswered or self._assembler.in_message:
            notes.add(QuirkKind.RELEASE_OUTSTANDING)
        if self.state is State.STA7:
            notes.add(QuirkKind.RELEASE_COLLISION)

    def _note_window(self) -> None:
        assert self.requested is not None and self.accepted is not None
        limit = window(self.requested, self.accepted, requestor=not self.requestor)
        if 0 < limit <= len(self._unanswered):
            self._note(Note(QuirkKind.WINDOW_EXCEEDED, f"negotiated: {limit}"))

    def _refuse_quirks(self, notes: list[Note], state: State) -> None:
        """Refuse a PDU for the first rule that it breaks.

        An AE title that is none cannot be recognised, and that is what a requestor is told (PS3.8 9.3.4).
        """
        for note in notes:
            if note.kind.abort_reason is None:
                continue
            if note.place and state is State.STA2:
                self._refusal = AssociateRJ(1, 1, 7 if note.place == "called" else 3)
                return
            self._note(note)

    def _invalid(self, error: RemoteProtocolError) -> None:
        if not self.ended and self.failure is None:
            self.failure = Failure(
                FailureKind.PROTOCOL,
                Party.PEER,
                f"the peer broke the protocol: {error}",
                source=error.abort_source,
                reason=error.abort_reason,
                reason_text=reasons.ABORT_REASONS.get(error.abort_reason, ""),
            )
        self._provider_abort = Abort(error.abort_source, error.abort_reason)
        self._reader.discard()
        self._event(Event.EVT19)

    # ---- the state machine --------------------------------------------------------------------------

    def _refuse_unless_legal(self, event: Event) -> None:
        if (event, self.state) not in TABLE:
            raise LocalProtocolError(
                f"{event.title} is not possible while the association is in {self.state.name} "
                f"({self.state.title})"
            )

    def _event(self, event: Event) -> None:
        state = self.state
        action = TABLE.get((event, state))
        if action is None:
            # An empty cell: it cannot happen (a network or timer event, ignored), or it was refused above.
            assert event not in LOCAL_PRIMITIVES
            return
        self.generation += 1
        following = action.next_states[0]
        if action is Action.AE_6 and self._refuses_request():
            following = State.STA13
        elif action is Action.AR_8 and not self.requestor:
            following = State.STA10
        if self.observer is not None:
            self.observer.transition(event, action, state, following)
        self.state = following
        self.established, self.ended, self.release_requested = _MEANING[following]
        self._perform[action.label](self)
        if self.ended and not (state is State.STA13 or state is State.STA1):
            self._assembler.abort()
            self._drop_requests()
        if following is State.STA1:
            # The transport is closed or about to be: nothing is read from it or sent to it any more.
            self.outgoing.clear()
            self._reader.discard()
            self._reader.release_buffer()

    def _drop_requests(self) -> None:
        # Nobody will see them, and their peers do not know that they arrived.
        while self.requests:
            sink = self.requests.popleft().sink
            if sink is not None:
                with suppress(Exception):
                    sink.abort()

    def _refuses_request(self) -> bool:
        pdu = self._pdu
        assert isinstance(pdu, AssociateRQ)
        if not pdu.protocol_version & 1:
            self._refusal = AssociateRJ(1, 2, 2)
        return self._refusal is not None

    def _send(self, pdu: ControlPDU, encoded: bytes | None = None) -> None:
        if encoded is None:
            encoded = codec.encode(pdu)
        if self.observer is not None:
            self.observer.control_sent(pdu, encoded)
        self.outgoing.append([encoded])

    def _send_abort(self, pdu: Abort) -> None:
        # What was queued and not begun would only delay it; a batch that was begun ends in mid message.
        self.outgoing.clear()
        self._send(pdu)

    def _start_artim(self, seconds: float | None) -> None:
        self._artim = None if seconds is None else self.now + seconds

    def _timed_out(self, which: str, seconds: float | None, what: str) -> None:
        self.failure = Failure(
            FailureKind.TIMEOUT,
            Party.PEER,
            f"{what} within {seconds:g} s ({which} timeout)",
            timeout=which,
        )

    def _do_nothing(self) -> None:
        pass

    def _do_await_transport(self) -> None:
        self._artim = None

    def _do_send_request(self) -> None:
        assert self.requested is not None
        self._send(self.requested, self._encoded)
        self._start_artim(self.config.acse_timeout)

    def _do_confirm_accept(self) -> None:
        self._artim = None
        assert isinstance(self._pdu, AssociateAC)
        assert self.requested is not None
        self.accepted = self._pdu
        # At once: data may follow in the same segment.
        self.contexts = as_requestor(self.requested, self.accepted)
        self.peer_max_length = self._pdu.user.max_length or 0
        self.window = window(self.requested, self.accepted, requestor=True)

    def _do_confirm_reject(self) -> None:
        self._artim = None
        assert isinstance(self._pdu, AssociateRJ)
        self.failure = reasons.rejected(self._pdu, Party.PEER)
        self.close_transport = True

    def _do_await_request(self) -> None:
        self._start_artim(self.config.acse_timeout)

    def _do_indicate_request(self) -> None:
        self._artim = None
        assert isinstance(self._pdu, AssociateRQ)
        self.requested = self._pdu
        self.peer_max_length = self._pdu.user.max_length or 0
        if self.state is State.STA13:
            answer = self._refusal
            assert answer is not None
            self.failure = reasons.rejected(answer, Party.LOCAL)
            self._send(answer)
            self._start_linger()

    def _do_send_accept(self) -> None:
        assert self.requested is not None and self.accepted is not None
        self.window = window(self.requested, self.accepted, requestor=False)
        self._send(self.accepted, self._encoded)
        self._activity = self.now

    def _do_send_reject(self) -> None:
        self._send(self._rejection, self._encoded)
        self._start_linger()

    def _do_send_release(self) -> None:
        self._send(ReleaseRQ())
        self._start_artim(self.config.acse_timeout)

    def _do_confirm_release(self) -> None:
        self._artim = None
        self.released = True
        self.close_transport = True

    def _do_answer_release(self) -> None:
        self._send(_RELEASE_RESPONSE)
        self.released = True
        self._start_linger()

    def _do_answer_collision(self) -> None:
        self._send(ReleaseRP())
        self._start_artim(self.config.acse_timeout)

    def _do_indicate_collision(self) -> None:
        # In Sta9 it is our turn, in Sta10 still the peer's.
        self._start_artim(None if self.state is State.STA9 else self.config.acse_timeout)

    def _do_await_release_response(self) -> None:
        self._artim = None

    def _do_close(self) -> None:
        self._artim = None
        self.close_transport = True

    def _do_user_abort(self) -> None:
        self._note_unexpected()
        self._send_abort(self._abort)
        self._start_linger()

    def _do_peer_abort(self) -> None:
        self._artim = None
        assert isinstance(self._pdu, Abort)
        if self.failure is None:
            self.failure = reasons.aborted(self._pdu, Party.PEER)
        self.close_transport = True

    def _do_lost(self) -> None:
        self._artim = None
        if self.failure is None:
            why = f": {self._closed_reason}" if self._closed_reason else ""
            self.failure = Failure(
                FailureKind.LOST,
                Party.PEER,
                f"the connection was closed without a release or an abort{why}",
            )

    def _do_send_abort_again(self) -> None:
        self._send(self._provider_abort)

    def _note_unexpected(self) -> None:
        if self.failure is None:
            # Not invalid in itself: a PDU that this state does not allow.
            self.failure = Failure(
                FailureKind.PROTOCOL,
                Party.PEER,
                f"the peer sent a PDU that cannot come now ({self._unexpected})",
                source=2,
                reason=2,
                reason_text=reasons.ABORT_REASONS[2],
            )

    def _do_provider_abort(self) -> None:
        self._note_unexpected()
        self._send_abort(self._provider_abort)
        self._start_linger()

    def _start_linger(self) -> None:
        self._start_artim(self.config.linger)

    _perform: ClassVar[dict[str, Callable[[Engine], None]]] = {
        "AE-1": _do_await_transport,
        "AE-2": _do_send_request,
        "AE-3": _do_confirm_accept,
        "AE-4": _do_confirm_reject,
        "AE-5": _do_await_request,
        "AE-6": _do_indicate_request,
        "AE-7": _do_send_accept,
        "AE-8": _do_send_reject,
        "DT-1": _do_nothing,
        "DT-2": _do_nothing,
        "AR-1": _do_send_release,
        "AR-2": _do_nothing,
        "AR-3": _do_confirm_release,
        "AR-4": _do_answer_release,
        "AR-5": _do_close,
        "AR-6": _do_nothing,
        "AR-7": _do_nothing,
        "AR-8": _do_indicate_collision,
        "AR-9": _do_answer_collision,
        "AR-10": _do_await_release_response,
        "AA-1": _do_user_abort,
        "AA-2": _do_close,
        "AA-3": _do_peer_abort,
        "AA-4": _do_lost,
        "AA-5": _do_close,
        "AA-6": _do_nothing,
        "AA-7": _do_send_abort_again,
        "AA-8": _do_provider_abort,
    }
