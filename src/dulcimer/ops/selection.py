"""Which presentation context carries a request, and what to say when none does."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from pydicom.uid import UID

from dulcimer.data.codec import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from dulcimer.data.codec import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT
from dulcimer.errors import NoPresentationContext
from dulcimer.services.registry import UPS_PUSH, is_ups

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dulcimer.protocol.association.contexts import Context
    from dulcimer.protocol.association.engine import Engine

_LOGGER = logging.getLogger("dulcimer.service")

_CONVERTIBLE: Final = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN})
"""A data set in one of these can be sent in another: neither pixels nor byte order change."""

_REASONS: Final = {
    1: "rejected by the user",
    2: "rejected without a reason",
    3: "abstract syntax not supported",
    4: "none of the transfer syntaxes is supported",
}


def context_for(
    engine: Engine,
    abstract_syntax: str,
    *,
    as_scu: bool = True,
    transfer_syntax: str | None = None,
    convertible: bool = True,
) -> Context:
    """Return the accepted context for an abstract syntax in a role.

    Parameters
    ----------
    engine
        The association's.
    abstract_syntax
        The SOP class, or the meta SOP class that it is negotiated with. Every UPS instance is of the Push
        class (PS3.4 CC.3.1), so for that any UPS context does if the class itself was not accepted.
    as_scu
        Whether we are the SCU in it, else the SCP.
    transfer_syntax
        That of the data set; None if any will do.
    convertible
        Whether a context will do whose transfer syntax the data set can be converted to.

    Raises
    ------
    dulcimer.errors.NoPresentationContext
        If there is none. The message says what was proposed, what became of it, and what to change.
    """
    contexts = [context for context in engine.contexts.values() if context.abstract_syntax == abstract_syntax]
    if not contexts and abstract_syntax == UPS_PUSH:
        contexts = [context for context in engine.contexts.values() if is_ups(context.abstract_syntax)]
    second: Context | None = None
    for context in contexts:
        if not (context.as_scu if as_scu else context.as_scp):
            continue
        if transfer_syntax is None or context.transfer_syntax == transfer_syntax:
            return context
        if second is None and {context.transfer_syntax, transfer_syntax} <= _CONVERTIBLE:
            second = context
    if second is not None and convertible:
        return second
    raise NoPresentationContext(_why_none(engine, abstract_syntax, as_scu, transfer_syntax, contexts))


def reporting_context(engine: Engine, abstract_syntax: str) -> Context:
    """Return the accepted context that an N-EVENT-REPORT goes in: one with us as the SCP.

    An SCP that opens the association has to negotiate that role (PS3.7 D.3.3.4). Many do without, and their
    peers take the report all the same; a strict association does not send it.

    Raises
    ------
    dulcimer.errors.NoPresentationContext
        If there is none.
    """
    try:
        return context_for(engine, abstract_syntax, as_scu=False)
    except NoPresentationContext:
        if engine.config.strict:
            raise
        try:
            context = context_for(engine, abstract_syntax)
        except NoPresentationContext:
            context = None
        if context is None:
            raise
    _LOGGER.warning(
        "An N-EVENT-REPORT goes out in context %d, in which the SCP role was not negotiated: propose it with "
        "build_role('%s', scp_role=True)",
        context.id,
        context.abstract_syntax,
    )
    return context


def _why_none(
    engine: Engine, abstract_syntax: str, as_scu: bool, transfer_syntax: str | None, found: list[Context]
) -> str:
    name = UID(abstract_syntax).name
    role = "SCU" if as_scu else "SCP"
    text = f"No presentation context for '{name}' has been accepted by the peer"
    if transfer_syntax is not None:
        text += f" with '{UID(transfer_syntax).name}' transfer syntax"
    text += f" for the {role} role"
    if found and not any(context.as_scu if as_scu else context.as_scp for context in found):
        return (
            f"{text}: accepted in the other role only; propose the role with build_role('{abstract_syntax}')"
        )
    if found:
        return f"{text}: accepted with {_names(context.transfer_syntax for context in found)} only"
    request = engine.requested
    proposed = (
        [] if request is None else [c for c in request.contexts if c.abstract_syntax == abstract_syntax]
    )
    if not proposed:
        what = "ae.add_requested_context" if engine.requestor else "ae.add_supported_context"
        return f"{text}: it was not proposed; add it with {what}('{abstract_syntax}')"
    answers = {} if engine.accepted is None else {c.id: c for c in engine.accepted.contexts}
    outcomes = []
    for context in proposed:
        answer = answers.get(context.id)
        outcome = "no answer" if answer is None else _REASONS.get(answer.result, f"result {answer.result}")
        outcomes.append(f"context {context.id} with {_names(context.transfer_syntaxes)}: {outcome}")
    return f"{text}: proposed as {'; '.join(outcomes)}"


def _names(syntaxes: Iterable[str]) -> str:
    return ", ".join(f"'{UID(syntax).name}'" for syntax in syntaxes)
