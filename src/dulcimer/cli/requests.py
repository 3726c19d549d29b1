"""What the verbs of the DIMSE-N services have in common: their association, and what a refusal is to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dulcimer.cli import output
from dulcimer.cli.exits import Exit, Stop

if TYPE_CHECKING:
    from dulcimer import Association, PresentationContext
    from dulcimer.cli.peer import Caller, Peer
    from dulcimer.events import EventHandlerType
    from dulcimer.pdu_primitives import NegotiationItem


@contextmanager
def associated(
    caller: Caller,
    target: Peer,
    contexts: Sequence[PresentationContext],
    handlers: Sequence[EventHandlerType] = (),
    extended: Sequence[NegotiationItem] = (),
    *,
    json: bool = False,
) -> Iterator[Association]:
    """Open an association, and end the verb as it should end where the client objects raise.

    Raises
    ------
    Stop
        No association; a refusal (with ``json`` also printed); a step that is not allowed.
    """
    from dulcimer.errors import AssociationError, NoPresentationContext
    from dulcimer.scu.errors import IllegalStep, Refusal

    association = caller.associate(target, contexts, extended, handlers)
    try:
        yield association
    except Refusal as refusal:
        if json:
            output.as_json(refused(refusal))
        raise Stop(Exit.FAILED, f"{target}: {refusal}", reported=json) from None
    except IllegalStep as illegal:
        raise Stop(Exit.USAGE, str(illegal)) from None
    except NoPresentationContext as missing:
        raise Stop(Exit.NO_ASSOCIATION, f"{target}: {missing}") from None
    except AssociationError as error:
        raise Stop(Exit.NO_ASSOCIATION, f"{target}: no answer: {error}") from None
    finally:
        if association.is_established:
            association.release()


def refused(refusal: object) -> dict[str, object]:
    """What programs are told of a :class:`~dulcimer.scu.errors.Refusal`."""
    from dulcimer.scu.errors import Refusal

    assert isinstance(refusal, Refusal)
    return {
        "status": f"{refusal.status:04X}",
        "error_id": None if refusal.error_id is None else f"{refusal.error_id:04X}",
        "message": str(refusal),
        "attributes": [f"{tag:08X}" for tag in refusal.attributes],
        "values": None if refusal.values is None else refusal.values.to_json_dict(),
    }
