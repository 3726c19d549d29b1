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
from collections.abc import Callable, Iterator, Mapping
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
from dulcimer.protocol.association.negotiate import as_requestor, window
from dulcimer.protocol.dimse import commands
from dulcimer.protocol.dimse.assembler import Assembler, Message
from dulcimer.protocol.dimse.elements import (
    COMMAND_DATA_SET_TYPE,
    COMMAND_FIELD,
    MESSAGE_ID,
    MESSAGE_ID_BEING_RESPONDED_TO,
    NO_DATA_SET,
    STATUS,
)
from dulcimer.protocol.dimse.messages import C_CANCEL_RQ, MESSAGES
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
from dulcimer.protocol.wire.reader import ControlBytes, Fragment, Reader
from dulcimer.protocol.wire.writer import (
    MAX_BATCH_BUFFERS,
    Buffer,
    DataSource,
    batches,
    fragment,
    room_for,
)

if TYPE_CHECKING:
    from dulcimer.protocol.association.config import EngineConfig
    from dulcimer.protocol.association.contexts import Context
    from dulcimer.protocol.dimse.commands import Value

RESPONSE_BIT: Final = 0x8000
_PENDING: Final = (0xFF00, 0xFF01)
"""The statuses after which more responses follow (PS3.7 9.1.2.1.5, 9.1.3.1.6, 9.1.4.1.7)."""

_AWAITING_RELEASE_RESPONSE: Final = (State.STA8, State.STA9, State.STA12)

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

    It must not raise. Data in Sta6 (DT-1, DT-2) are messages and no transitions.
    """

    def transition(self, event: Event, action: Action, state: State, following: State) -> None: ...

    def control_sent(self, pdu: ControlPDU, encoded: bytes) -> None: ...

    def control_received(self, pdu: ControlPDU, kind: int, body: bytes) -> None: ...

    def message_sent(
        self, context_id: int, command: Mapping[int, Value], data: DataSource | None
    ) -> None: ...

    def message_received(self, message: Message) -> None: ...

    def unmatched(self, message: Message) -> None: ...


class Exchange:
    """An operation that we invoked: the responses that came for it so far."""

    __slots__ = ("answered", "context_id", "field", "responses")

    def __init__(self, context_id: int, field: int) -> None:
        self.context_id = context_id
        self.field = field
        self.responses: deque[Message] = deque()
        self.answered = False
        """Whether the last response has come."""


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
        self._open_sink = open_sink
        self._reader = Reader(config.max_length)
        self._assembler = Assembler(self._check_command, self._choose_sink)
        self._exchanges: dict[int, Exchange] = {}
        self._given_up: set[int] = set()
        self._unanswered: set[int] = set()
        self._encoded = b""
        self._rejection = AssociateRJ(1, 1, 1)
        self._abort = Abort(0, 0)
        self._provider_abort = Abort(2, 2)
        self._pdu: ControlPDU = ReleaseRP()
        self._unexpected = ""
        self._closed_reason = ""
        self._outgoing: deque[list[Buffer] | Iterator[list[Buffer]]] = deque()
        self._artim: float | None = None
        self._activity = 0.0
        self.get_buffer = self._reader.get_buffer

    # ---- what a driver asks -------------------------------------------------------------------------

    @property
    def established(self) -> bool:
        """Whether data can be exchanged (Sta6)."""
        return self.state is State.STA6

    @property
    def ended(self) -> bool:
        """Whether the association is over; the transport may still be closing (Sta1, Sta13)."""
        return self.state is State.STA13 or self.state is State.STA1

    @property
    def release_requested(self) -> bool:
        """Whether the peer awaits our answer to its release request (Sta8, Sta9, Sta12)."""
        return self.state in _AWAITING_RELEASE_RESPONSE

    @property
    def receiving(self) -> bool:
        """Whether something has begun to arrive that is not complete."""
        return self._reader.in_message or self._assembler.in_message

    @property
    def awaiting_response(self) -> bool:
        """Whether an operation that we invoked is outstanding."""
        return bool(self._exchanges)

    @property
    def window_open(self) -> bool:
        """Whether another operation may be invoked now."""
        return not self.window or len(self._exchanges) < self.window

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
        try:
            for event in self._reader.feed(count):
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
        except RemoteProtocolError as error:
            self._invalid(error)
        assembler.flush()

    def eof(self, now: float, reason: str = "") -> None:
        """Take note that the transport connection was closed, or lost for ``reason``."""
        self.now = now
        self._closed_reason = reason
        if self.state is State.STA2 and self._reader.in_message:
            self._do_lost()
        self._event(Event.EVT17)
        self.close_transport = True

    def data_to_send(self, now: float) -> list[Buffer]:
        """Return the next buffers to send, in order; an empty list when there is nothing.

        They are valid until the next call.
        """
        self.now = now
        batch: list[Buffer] = []
        outgoing = self._outgoing
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
        return batch

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
        self._outgoing.clear()
        self._timed_out("network", seconds, "the peer stopped reading what was sent to it")
        self.abort(now)
        self._outgoing.clear()
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
        self.send_message(context_id, command, data, now)
        exchange = self._exchanges[message_id] = Exchange(context_id, field)
        return exchange

    def free_message_id(self, wanted: int) -> int:
        """Return ``wanted``, or the next message ID that no outstanding operation uses (PS3.7 9.1.1.1.1)."""
        if len(self._exchanges) + len(self._given_up) >= 0xFFFF:
            raise LocalProtocolError("every message ID is in use by an outstanding operation")
        while wanted in self._exchanges or wanted in self._given_up:
            wanted = wanted % 0xFFFF + 1
        return wanted

    def finish(self, message_id: int) -> None:
        """Forget an exchange: whatever else comes for it answers nothing.

        The message ID of one that was given up before its answer came is not used again until it has come:
        that answer would be taken for the answer to another request.
        """
        exchange = self._exchanges.pop(message_id, None)
        if exchange is not None and not exchange.answered:
            self._given_up.add(message_id)
        self.generation += 1

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
            self._outgoing.append(batches(context_id, encoded, data, self.peer_max_length))
            return
        # Most messages are this short: no need for a generator.
        whole = [*fragment(context_id, encoded, command=True)]
        if data is not None:
            whole += fragment(context_id, data, command=False)
        self._outgoing.append(whole)

    # ---- what the peer sends ------------------------------------------------------------------------

    @staticmethod
    def _check_command(command: Mapping[int, Value]) -> None:
        field = command.get(COMMAND_FIELD)
        message_type = MESSAGES.get(field) if isinstance(field, int) else None
        if message_type is None:
            raise UnexpectedParameter(f"no DIMSE message has Command Field {field!r}")
        if MESSAGE_ID in message_type.mandatory and not isinstance(command.get(MESSAGE_ID), int):
            raise InvalidParameter(f"{message_type.name} without a Message ID cannot be answered")

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
                exchange.answered = exchange.answered or final
            else:
                answered = command.get(MESSAGE_ID_BEING_RESPONDED_TO)
                if final and isinstance(answered, int):
                    self._given_up.discard(answered)
                if self.observer is not None:
                    self.observer.unmatched(message)
        else:
            message_id = command[MESSAGE_ID]
            assert isinstance(message_id, int)
            self._unanswered.add(message_id)
            # A message ID may be used again, and its C-CANCEL was meant for the operation before.
            self.cancelled.discard(message_id)
            self.requests.append(message)

    def _control(self, received: ControlBytes) -> None:
        pdu = codec.decode(received.type, received.body)
        if self.observer is not None:
            self.observer.control_received(pdu, received.type, received.body)
        event = _RECEIVED[type(pdu)]
        if (event, self.state) in TABLE:
            self._pdu = pdu
            self._unexpected = type(pdu).__name__
        self._event(event)

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
        if action is Action.AE_6 and self._refuses_protocol():
            following = State.STA13
        elif action is Action.AR_8 and not self.requestor:
            following = State.STA10
        if self.observer is not None:
            self.observer.transition(event, action, state, following)
        self.state = following
        self._perform[action](self)
        if self.ended and not (state is State.STA13 or state is State.STA1):
            self._assembler.abort()
            self._drop_requests()
        if following is State.STA1:
            # The transport is closed or about to be: nothing is read from it or sent to it any more.
            self._outgoing.clear()
            self._reader.discard()
            self._reader.release_buffer()

    def _drop_requests(self) -> None:
        # Nobody will see them, and their peers do not know that they arrived.
        while self.requests:
            sink = self.requests.popleft().sink
            if sink is not None:
                with suppress(Exception):
                    sink.abort()

    def _refuses_protocol(self) -> bool:
        pdu = self._pdu
        assert isinstance(pdu, AssociateRQ)
        return not pdu.protocol_version & 1

    def _send(self, pdu: ControlPDU, encoded: bytes | None = None) -> None:
        if encoded is None:
            encoded = codec.encode(pdu)
        if self.observer is not None:
            self.observer.control_sent(pdu, encoded)
        self._outgoing.append([encoded])

    def _send_abort(self, pdu: Abort) -> None:
        # What was queued and not begun would only delay it; a batch that was begun ends in mid message.
        self._outgoing.clear()
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
            answer = AssociateRJ(1, 2, 2)
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
        self._send(ReleaseRP())
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

    _perform: ClassVar[dict[Action, Callable[[Engine], None]]] = {
        Action.AE_1: _do_await_transport,
        Action.AE_2: _do_send_request,
        Action.AE_3: _do_confirm_accept,
        Action.AE_4: _do_confirm_reject,
        Action.AE_5: _do_await_request,
        Action.AE_6: _do_indicate_request,
        Action.AE_7: _do_send_accept,
        Action.AE_8: _do_send_reject,
        Action.DT_1: _do_nothing,
        Action.DT_2: _do_nothing,
        Action.AR_1: _do_send_release,
        Action.AR_2: _do_nothing,
        Action.AR_3: _do_confirm_release,
        Action.AR_4: _do_answer_release,
        Action.AR_5: _do_close,
        Action.AR_6: _do_nothing,
        Action.AR_7: _do_nothing,
        Action.AR_8: _do_indicate_collision,
        Action.AR_9: _do_answer_collision,
        Action.AR_10: _do_await_release_response,
        Action.AA_1: _do_user_abort,
        Action.AA_2: _do_close,
        Action.AA_3: _do_peer_abort,
        Action.AA_4: _do_lost,
        Action.AA_5: _do_close,
        Action.AA_6: _do_nothing,
        Action.AA_7: _do_send_abort_again,
        Action.AA_8: _do_provider_abort,
    }
