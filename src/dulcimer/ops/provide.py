"""Answering requests (PS3.7 9.1, 10.1)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from dulcimer.failure import Failure, FailureKind, Party
from dulcimer.ops import answers, streams
from dulcimer.ops.answers import Answer
from dulcimer.ops.effects import Call, Operation
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.services import tables
from dulcimer.services.registry import service_for

if TYPE_CHECKING:
    from dulcimer.protocol.association.contexts import Context
    from dulcimer.protocol.association.engine import Engine
    from dulcimer.protocol.dimse.assembler import Message

_LOGGER = logging.getLogger("dulcimer.service")

Respond = Callable[["Message", "Context"], Any]
"""The user's side: given a request and its context, it returns a status, or a status and a data set, or it
raises. For C-FIND and C-GET it returns an iterator of what the handler yields, for C-MOVE a
:class:`~dulcimer.ops.streams.Move`."""

_MISSING: Final = {
    e.AFFECTED_SOP_INSTANCE_UID: (0x0117, "The command names no SOP instance"),
    e.REQUESTED_SOP_INSTANCE_UID: (0x0117, "The command names no SOP instance"),
    e.EVENT_TYPE_ID: (0x0113, "The command has no Event Type ID"),
    e.ACTION_TYPE_ID: (0x0123, "The command has no Action Type ID"),
}
"""The answers to requests without an element that nothing can stand in for (PS3.7 Annex C)."""

_STREAMS: Final = {m.C_FIND_RQ: streams.find, m.C_GET_RQ: streams.get, m.C_MOVE_RQ: streams.move}


def provide(engine: Engine, message: Message, respond: Respond) -> Operation[None]:
    """Have a request answered by the user's code and send the response.

    Whatever that code does, the association lives on. It does not where the request has no place on its
    context: that is answered with A-ABORT. What comes while our own release is under way (AR-6) can be
    answered no more and is dropped: the peer knows that it had no answer.
    """
    if engine.state not in streams.ANSWERING:
        _give_up(message)
        return
    command = message.command
    field = command[e.COMMAND_FIELD]
    assert isinstance(field, int)
    context = engine.contexts[message.context_id]
    request = m.MESSAGES[field]
    service = service_for(context.abstract_syntax)
    if service is None and field == m.C_STORE_RQ:
        # Accepted as a storage SOP class that nobody knows.
        service = tables.STORAGE
    operation = request.name.removesuffix("-RQ")
    used = frozenset() if service is None else service.all_operations
    if service is not None and field in streams.STREAMED:
        # Each information model has a SOP class for each of them.
        used = service.operations(context.abstract_syntax)
    if service is None or operation not in used or e.MESSAGE_ID not in command:
        what = (
            "has no Message ID"
            if e.MESSAGE_ID not in command
            else f"is not used by {context.abstract_syntax}"
        )
        engine.failure = Failure(
            FailureKind.PROTOCOL,
            Party.PEER,
            f"the peer sent a {operation} request that {what}",
            source=2,
            reason=5,
        )
        engine.abort(engine.now, 2, 5)
        _give_up(message)
        return
    answer = _refused_unread(message, request)
    if answer is not None:
        _give_up(message)
    else:
        try:
            result = yield Call(respond, (message, context))
        except Exception as error:
            answer = answers.from_exception(field, operation, error)
        else:
            stream = _STREAMS.get(field)
            if stream is not None:
                statuses = service.statuses_for(operation)
                yield from stream(streams.Answering(engine, message, context, statuses), result)
                return
            answer = answers.from_result(field, operation, result, service.statuses)
    if engine.state not in streams.ANSWERING:
        return
    try:
        response, data = answers.response(answer, command, field, context)
        engine.send_message(context.id, response, data, engine.now)
    except Exception as error:
        # A status of more than 16 bits, tags that are none: the peer is answered all the same.
        _LOGGER.error("The answer of the handler for %s cannot be sent", operation, exc_info=error)
        engine.send_message(context.id, answers.bare(command, field, context), None, engine.now)


def _give_up(message: Message) -> None:
    """End the sink of a request that the user's code will not see."""
    if message.sink is not None:
        with suppress(Exception):
            message.sink.abort()


def _refused_unread(message: Message, request: m.MessageType) -> Answer | None:
    """Answer what the user's code need not see: a data set that could not be kept, an incomplete command."""
    if message.error is not None:
        return answers.from_sink(message.error)
    for number in request.mandatory:
        if number in _MISSING and not message.command.get(number) and message.command.get(number) != 0:
            status, comment = _MISSING[number]
            return Answer(status, {e.ERROR_COMMENT: comment})
    if request.data_set is m.DataSetPresence.REQUIRED and message.sink is None:
        return Answer(0x0212, {e.ERROR_COMMENT: "The request came without its data set"})
    return None
