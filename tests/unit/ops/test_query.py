"""C-FIND, C-GET, C-MOVE and C-CANCEL as SCU: requests with many responses."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset

from dulcimer.data import codec
from dulcimer.errors import AssociationError, LocalProtocolError
from dulcimer.ops import query, requests
from dulcimer.ops.query import Inquiry
from dulcimer.protocol.association.config import EngineConfig
from dulcimer.protocol.association.engine import Engine
from dulcimer.protocol.association.negotiate import as_acceptor
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.protocol.dimse.assembler import Message
from dulcimer.protocol.wire import codec as wire
from dulcimer.protocol.wire.pdus import (
    Abort,
    AssociateAC,
    AssociateRQ,
    AsyncOperations,
    ProposedContext,
    ReleaseRQ,
    UserInformation,
)
from unit.ops.driving import Stuck, begin, drive
from unit.ops.streaming import (
    CLASSES,
    FIND,
    IMPLICIT,
    MOVE,
    STUDY_FIND,
    STUDY_GET,
    STUDY_MOVE,
    SUPPORTED,
    dataset,
)
from unit.protocol.engines import VERIFICATION, content, message_bytes, output, parse, receive

QUERY = dataset(PatientName="*")
MATCH = dataset(PatientName="A^B")
ENCODED = codec.encode(MATCH, codec.encoding_of(IMPLICIT))


def established(window: int = 1) -> Engine:
    """Return a requestor in Sta6."""
    engine = Engine(EngineConfig(), requestor=True)
    contexts = tuple(
        ProposedContext(2 * number + 1, uid, (IMPLICIT,))
        for number, uid in enumerate((*CLASSES, VERIFICATION))
    )
    supported = {**SUPPORTED, VERIFICATION: SUPPORTED[STUDY_FIND]}
    user = UserInformation(16382, "1.2.3", async_operations=AsyncOperations(window, 1))
    request = AssociateRQ("CALLED", "CALLING", contexts, user)
    engine.associate(request, 0.0)
    engine.connected(0.0)
    output(engine)
    receive(
        engine, wire.encode(AssociateAC("CALLED", "CALLING", as_acceptor(request, supported).results, user))
    )
    assert engine.established
    return engine


def sent(engine: Engine) -> list[Message]:
    messages = parse(output(engine))
    assert all(isinstance(message, Message) for message in messages)
    return messages  # type: ignore[return-value]


def respond(
    engine: Engine,
    status: int,
    data: bytes | None = None,
    *,
    message_id: int = 1,
    context_id: int = FIND,
    field: int = m.C_FIND_RQ,
) -> None:
    """Have a response arrive."""
    command: dict[int, Any] = {
        e.COMMAND_FIELD: field | 0x8000,
        e.MESSAGE_ID_BEING_RESPONDED_TO: message_id,
        e.STATUS: status,
    }
    receive(engine, message_bytes(context_id, command, data))


def find(engine: Engine, msg_id: int = 1) -> Inquiry:
    return drive(query.c_find(engine, QUERY, STUDY_FIND, msg_id))


def test_what_is_asked() -> None:
    engine = established()
    drive(query.c_find(engine, QUERY, STUDY_FIND, 5, 1))
    (request,) = sent(engine)
    assert request.context_id == FIND
    assert request.command[e.COMMAND_FIELD] == m.C_FIND_RQ
    assert request.command[e.MESSAGE_ID] == 5
    assert request.command[e.PRIORITY] == 1
    assert request.command[e.AFFECTED_SOP_CLASS_UID] == STUDY_FIND
    assert content(request) == codec.encode(QUERY, codec.encoding_of(IMPLICIT))


def test_a_move_names_its_destination() -> None:
    engine = established()
    drive(query.c_move(engine, QUERY, "DESTINATION", STUDY_MOVE))
    (request,) = sent(engine)
    assert request.command[e.COMMAND_FIELD] == m.C_MOVE_RQ
    assert request.command[e.MOVE_DESTINATION] == "DESTINATION"


def test_the_responses_in_order() -> None:
    engine = established()
    inquiry = find(engine)
    respond(engine, 0xFF00, ENCODED)
    respond(engine, 0xFF01, ENCODED)
    respond(engine, 0x0000)
    taken = [drive(query.next_response(engine, inquiry)) for _ in range(3)]
    assert [response.status for response in taken] == [0xFF00, 0xFF01, 0x0000]
    assert [response.dataset() for response in taken] == [MATCH, MATCH, None]
    assert not engine.awaiting_response


def test_a_response_is_waited_for() -> None:
    engine = established()
    inquiry = find(engine)
    with pytest.raises(Stuck):
        drive(query.next_response(engine, inquiry))
    waited = drive(query.next_response(engine, inquiry), lambda: respond(engine, 0x0000))
    assert waited.status == 0x0000


def test_a_message_id_in_use_is_not_used_twice() -> None:
    engine = established(window=3)
    assert [find(engine, 9).exchange.message_id for _ in range(3)] == [9, 10, 11]


def test_the_window_is_closed_while_one_is_outstanding() -> None:
    engine = established()
    inquiry = find(engine)
    output(engine)
    following = query.c_get(engine, QUERY, STUDY_GET)
    begin(following)
    assert output(engine) == b""
    respond(engine, 0xFF00, ENCODED)
    next(following)
    respond(engine, 0x0000)
    drive(following)
    (request,) = sent(engine)
    assert request.command[e.COMMAND_FIELD] == m.C_GET_RQ
    # What was answered meanwhile has been kept.
    assert drive(query.next_response(engine, inquiry)).status == 0xFF00
    assert drive(query.next_response(engine, inquiry)).status == 0x0000


def test_a_wider_window() -> None:
    engine = established(window=2)
    first, second = find(engine, 1), find(engine, 2)
    assert [request.command[e.MESSAGE_ID] for request in sent(engine)] == [1, 2]
    respond(engine, 0x0000, message_id=2)
    respond(engine, 0xA700, message_id=1)
    assert drive(query.next_response(engine, first)).status == 0xA700
    assert drive(query.next_response(engine, second)).status == 0x0000


def test_without_an_association() -> None:
    engine = established()
    engine.abort(0.0)
    with pytest.raises(LocalProtocolError):
        find(engine)


def test_while_waiting_for_the_window_the_association_ends() -> None:
    engine = established()
    find(engine)
    with pytest.raises(AssociationError):
        drive(query.c_find(engine, QUERY, STUDY_FIND, 2), lambda: receive(engine, wire.encode(Abort(0, 0))))


def test_without_a_context_or_an_identifier_that_travels() -> None:
    engine = established()
    with pytest.raises(ValueError, match="resentation context"):
        drive(query.c_find(engine, QUERY, "1.2.840.10008.5.1.4.31"))
    bad = Dataset()
    bad.add_new(0x00280010, "US", "many")
    with pytest.raises(ValueError, match="Failed to encode the supplied Identifier"):
        drive(query.c_find(engine, bad, STUDY_FIND))
    with pytest.raises(LocalProtocolError):
        drive(query.c_find(engine, QUERY, STUDY_FIND, 70_000))
    assert output(engine) == b""
    # None of it has left anything outstanding.
    assert engine.window_open
    find(engine)


@pytest.mark.parametrize("end", [Abort(0, 0), None])
def test_the_association_ends_amid_the_responses(end: Abort | None) -> None:
    engine = established()
    inquiry = find(engine)
    respond(engine, 0xFF00, ENCODED)
    if end is None:
        engine.eof(0.0)
    else:
        receive(engine, wire.encode(end))
    # What had come is there.
    assert drive(query.next_response(engine, inquiry)).status == 0xFF00
    with pytest.raises(AssociationError):
        drive(query.next_response(engine, inquiry))


def test_responses_that_come_after_our_release_request() -> None:
    engine = established()
    inquiry = find(engine)
    engine.release(0.0)
    respond(engine, 0xFF00, ENCODED)
    assert drive(query.next_response(engine, inquiry)).status == 0xFF00


def test_a_response_of_another_kind_context_or_id_is_none() -> None:
    engine = established()
    inquiry = find(engine)
    respond(engine, 0xFF00, ENCODED, message_id=2)
    respond(engine, 0xFF00, ENCODED, context_id=MOVE)
    respond(engine, 0xFF00, ENCODED, field=m.C_MOVE_RQ)
    assert not inquiry.exchange.responses
    respond(engine, 0x0000)
    assert drive(query.next_response(engine, inquiry)).status == 0x0000


# ---- left before the end ------------------------------------------------------------------------------


def test_who_leaves_early_cancels() -> None:
    engine = established()
    inquiry = find(engine, 5)
    output(engine)
    drive(query.leave_off(engine, inquiry))
    (cancel,) = sent(engine)
    assert cancel.command[e.COMMAND_FIELD] == m.C_CANCEL_RQ
    assert cancel.command[e.MESSAGE_ID_BEING_RESPONDED_TO] == 5
    assert cancel.context_id == FIND
    assert not engine.awaiting_response
    # What still comes is dropped, and until the last of it the peer is busy with it.
    for _ in range(100):
        respond(engine, 0xFF00, ENCODED, message_id=5)
    assert not inquiry.exchange.responses
    assert not engine.window_open
    respond(engine, 0xFE00, message_id=5)
    assert engine.window_open
    assert find(engine, 5).exchange.message_id == 5


def test_what_was_asked_next_waits_for_the_cancelled_one() -> None:
    engine = established()
    drive(query.leave_off(engine, find(engine, 5)))
    output(engine)
    echo = requests.c_echo(engine, 5)
    begin(echo)
    assert output(engine) == b""
    respond(engine, 0xFE00, message_id=5)

    def answer() -> None:
        (request,) = sent(engine)
        respond(
            engine,
            0x0000,
            message_id=request.command[e.MESSAGE_ID],  # type: ignore[arg-type]
            context_id=request.context_id,
            field=m.C_ECHO_RQ,
        )

    assert drive(echo, answer).status == 0x0000


def test_an_answer_cannot_be_left() -> None:
    engine = established()
    inquiry = find(engine)
    respond(engine, 0x0000)
    output(engine)
    drive(query.leave_off(engine, inquiry))
    assert output(engine) == b""
    assert drive(query.next_response(engine, inquiry)).status == 0x0000


@pytest.mark.parametrize("end", [Abort(0, 0), ReleaseRQ()])
def test_nothing_is_cancelled_when_the_association_ends(end: Abort | ReleaseRQ) -> None:
    engine = established()
    inquiry = find(engine)
    output(engine)
    receive(engine, wire.encode(end))
    drive(query.leave_off(engine, inquiry))
    assert output(engine) == b""


def test_who_waits_for_what_another_has_given_up() -> None:
    engine = established()
    inquiry = find(engine)
    waiting = query.next_response(engine, inquiry)
    begin(waiting)
    drive(query.leave_off(engine, inquiry))
    with pytest.raises(AssociationError):
        next(waiting)


def test_who_waits_for_what_another_has_taken() -> None:
    engine = established()
    inquiry = find(engine)
    waiting = query.next_response(engine, inquiry)
    begin(waiting)
    respond(engine, 0x0000)
    drive(query.next_response(engine, inquiry))
    with pytest.raises(AssociationError):
        next(waiting)


# ---- C-CANCEL -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "context_id"),
    [({}, FIND), ({"context_id": MOVE}, MOVE), ({"query_model": STUDY_MOVE}, MOVE)],
)
def test_a_cancel_names_operation_and_context(arguments: dict[str, Any], context_id: int) -> None:
    engine = established()
    inquiry = find(engine, 3)
    output(engine)
    drive(query.c_cancel(engine, 3, **arguments))
    (cancel,) = sent(engine)
    assert cancel.context_id == context_id
    assert cancel.command[e.MESSAGE_ID_BEING_RESPONDED_TO] == 3
    # The operation goes on until its final response.
    respond(engine, 0xFE00, message_id=3)
    assert drive(query.next_response(engine, inquiry)).status == 0xFE00


def test_a_cancel_of_what_is_over_needs_its_context() -> None:
    engine = established()
    with pytest.raises(ValueError, match="'context_id' or 'query_model'"):
        drive(query.c_cancel(engine, 3))
    drive(query.c_cancel(engine, 3, FIND))
    (cancel,) = sent(engine)
    assert cancel.command[e.COMMAND_FIELD] == m.C_CANCEL_RQ


def test_a_cancel_in_no_context() -> None:
    engine = established()
    with pytest.raises(ValueError, match="resentation context"):
        drive(query.c_cancel(engine, 3, query_model="1.2.840.10008.5.1.4.31"))
    with pytest.raises(LocalProtocolError):
        drive(query.c_cancel(engine, 3, context_id=99))
    assert output(engine) == b""
