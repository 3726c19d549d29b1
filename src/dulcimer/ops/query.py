"""C-FIND, C-GET and C-MOVE as SCU: requests with many responses, and C-CANCEL (PS3.7 9.1.2 to 9.1.4, 9.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dulcimer.ops.effects import WAIT, Operation
from dulcimer.ops.requests import Response, begin, checked_priority, encoded, following
from dulcimer.ops.selection import context_for
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.protocol.ul.states import State

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from dulcimer.protocol.association.contexts import Context
    from dulcimer.protocol.association.engine import Engine, Exchange
    from dulcimer.protocol.dimse.commands import Value


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A request that was sent, to which any number of responses may come."""

    exchange: Exchange
    context: Context


def c_find(
    engine: Engine, dataset: Dataset, query_model: str, msg_id: int = 1, priority: int = 2
) -> Operation[Inquiry]:
    """Ask for the matches of an identifier (PS3.7 9.1.2)."""
    return (yield from _inquire(engine, m.C_FIND_RQ, dataset, query_model, msg_id, priority))


def c_get(
    engine: Engine, dataset: Dataset, query_model: str, msg_id: int = 1, priority: int = 2
) -> Operation[Inquiry]:
    """Ask for the instances that match an identifier, over this association (PS3.7 9.1.3)."""
    return (yield from _inquire(engine, m.C_GET_RQ, dataset, query_model, msg_id, priority))


def c_move(
    engine: Engine, dataset: Dataset, move_aet: str, query_model: str, msg_id: int = 1, priority: int = 2
) -> Operation[Inquiry]:
    """Ask for the instances that match an identifier to be sent to a move destination (PS3.7 9.1.4)."""
    destination: dict[int, Value] = {e.MOVE_DESTINATION: move_aet}
    return (yield from _inquire(engine, m.C_MOVE_RQ, dataset, query_model, msg_id, priority, destination))


def _inquire(
    engine: Engine,
    field: int,
    dataset: Dataset,
    query_model: str,
    msg_id: int,
    priority: int,
    more: dict[int, Value] | None = None,
) -> Operation[Inquiry]:
    context = context_for(engine, str(query_model))
    command: dict[int, Value] = {
        e.AFFECTED_SOP_CLASS_UID: str(query_model),
        e.COMMAND_FIELD: field,
        e.MESSAGE_ID: msg_id,
        e.PRIORITY: checked_priority(priority),
        **(more or {}),
    }
    exchange = yield from begin(engine, context, command, encoded(dataset, context, "Identifier"))
    return Inquiry(exchange, context)


def next_response(engine: Engine, inquiry: Inquiry) -> Operation[Response]:
    """Wait for the next response.

    Raises
    ------
    dulcimer.errors.AssociationError
        If the association ends before it has come.
    """
    return (yield from following(engine, inquiry.exchange, inquiry.context))


def leave_off(engine: Engine, inquiry: Inquiry) -> Operation[None]:
    """Cancel an inquiry whose further responses nobody wants; what still comes for it is dropped."""
    if not inquiry.exchange.answered:
        if engine.state is State.STA6:
            _cancel(engine, inquiry.exchange.message_id, inquiry.context.id)
        engine.finish(inquiry.exchange)
    return
    yield WAIT  # a conversation that waits for nothing


def c_cancel(
    engine: Engine, msg_id: int, context_id: int | None = None, query_model: str | None = None
) -> Operation[None]:
    """Ask for the end of an operation (PS3.7 9.3.2.3); it still has a final response, or had it already.

    Parameters
    ----------
    msg_id
        Message ID of the operation.
    context_id, query_model
        The presentation context that it was invoked in, or the SOP class of that. Neither is needed while it
        is outstanding.

    Raises
    ------
    ValueError
        If neither is given and no such operation is outstanding, or no context is accepted for the model.
    dulcimer.errors.LocalProtocolError
        If the association is not established, or has no such context.
    """
    if query_model is not None:
        context_id = context_for(engine, str(query_model)).id
    if context_id is None:
        context_id = engine.outstanding_context(msg_id)
    if context_id is None:
        raise ValueError(
            f"no operation with message ID {msg_id} is outstanding: 'context_id' or 'query_model' has to "
            "tell the presentation context that it was invoked in"
        )
    _cancel(engine, msg_id, context_id)
    return
    yield WAIT  # a conversation that waits for nothing


def _cancel(engine: Engine, msg_id: int, context_id: int) -> None:
    command: dict[int, Value] = {
        e.COMMAND_FIELD: m.C_CANCEL_RQ,
        e.MESSAGE_ID_BEING_RESPONDED_TO: msg_id,
    }
    engine.send_message(context_id, command, None, engine.now)
