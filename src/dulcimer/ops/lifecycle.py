"""From the association request to the release (PS3.8 7.1 to 7.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dulcimer.ops.effects import WAIT, Call, Operation
from dulcimer.ops.provide import Respond, provide
from dulcimer.protocol.association.negotiate import as_requestor
from dulcimer.protocol.ul.states import State
from dulcimer.protocol.wire.pdus import AssociateAC, AssociateRJ, AssociateRQ

if TYPE_CHECKING:
    from dulcimer.protocol.association.contexts import Context
    from dulcimer.protocol.association.engine import Engine

Decision = tuple[AssociateAC, dict[int, "Context"]] | AssociateRJ | None
"""What the acceptor answers: acceptance with its contexts, a rejection, or nothing if it ended otherwise."""


def associate(engine: Engine) -> Operation[AssociateAC]:
    """Wait for the answer to the association request that was sent when the transport opened.

    Raises
    ------
    dulcimer.errors.AssociationError
        If the peer rejects, aborts, closes or does not answer in time.
    """
    while engine.state is State.STA5:
        yield WAIT
    if not engine.established:
        raise engine.error()
    assert engine.accepted is not None
    assert engine.requested is not None
    engine.contexts = as_requestor(engine.requested, engine.accepted)
    return engine.accepted


def accept(engine: Engine, decide: Callable[[AssociateRQ], Decision]) -> Operation[bool]:
    """Wait for an association request and answer it; return whether the association is established."""
    while engine.state is State.STA2:
        yield WAIT
    if engine.state is not State.STA3:
        return False
    assert engine.requested is not None
    decision: Decision = yield Call(decide, (engine.requested,))
    if engine.state is not State.STA3 or decision is None:
        return False
    if isinstance(decision, AssociateRJ):
        engine.reject(decision, engine.now)
        return False
    engine.accept(decision[0], decision[1], engine.now)
    return True


def acceptor(
    engine: Engine,
    decide: Callable[[AssociateRQ], Decision],
    established: Callable[[], None],
    respond: Respond,
) -> Operation[bool]:
    """Be the acceptor from the association request to the end; return False if it was not accepted."""
    if not (yield from accept(engine, decide)):
        return False
    yield Call(established)
    yield from serve(engine, respond)
    return True


def release(engine: Engine) -> Operation[bool]:
    """Release the association; return whether the peer agreed (PS3.8 7.2).

    A release collision is resolved as PS3.8 7.2.3 says: both sides answer each other.
    """
    engine.release(engine.now)
    while not engine.ended:
        if engine.release_requested:
            engine.release(engine.now)
        yield WAIT
    return engine.released


def serve(engine: Engine, respond: Respond) -> Operation[None]:
    """Answer requests until the association is over and its transport connection may be closed.

    What was requested before a release is answered before it: the peer may send both at once (AR-7).
    """
    while not engine.ended:
        if engine.requests:
            yield from provide(engine, engine.requests.popleft(), respond)
        elif engine.release_requested:
            engine.release(engine.now)
        else:
            yield WAIT
    yield from leave(engine)


def attend(engine: Engine, respond: Respond) -> Operation[None]:
    """Serve what has arrived on an idle association and return when it is idle again."""
    if not (engine.requests or engine.release_requested):
        yield WAIT
    while not engine.ended:
        if engine.requests:
            yield from provide(engine, engine.requests.popleft(), respond)
        elif engine.release_requested:
            engine.release(engine.now)
        elif engine.receiving and not engine.unclaimed:
            yield WAIT
        else:
            return
    yield from leave(engine)


def leave(engine: Engine) -> Operation[None]:
    """Wait until the transport connection of an association that is over may be closed (Sta13)."""
    while not engine.close_transport:
        yield WAIT
