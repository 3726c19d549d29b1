"""Presentation context and role negotiation, as pure functions (PS3.8 7.1.1.13, PS3.7 D.3.3.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from dulcimer.protocol.association.contexts import Context
from dulcimer.protocol.wire.pdus import (
    AssociateAC,
    AssociateRQ,
    ContextResult,
    ProposedContext,
    RoleSelection,
)

ACCEPTANCE: Final = 0
USER_REJECTION: Final = 1
ABSTRACT_SYNTAX_NOT_SUPPORTED: Final = 3
TRANSFER_SYNTAXES_NOT_SUPPORTED: Final = 4

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"


class Supported(NamedTuple):
    """What the acceptor takes for one abstract syntax.

    The roles say whether a requestor's proposal to be SCU or SCP is agreed to; None for both ignores role
    selection items, so that the default roles hold.
    """

    transfer_syntaxes: tuple[str, ...]
    scu_role: bool | None = None
    scp_role: bool | None = None


Fallback = Callable[[ProposedContext], str | None]
"""Asked for a proposed context that the table does not settle; returns the transfer syntax to accept."""


class Negotiated(NamedTuple):
    """The acceptor's decision: what to answer, and the contexts that result from it."""

    results: tuple[ContextResult, ...]
    roles: tuple[RoleSelection, ...]
    contexts: dict[int, Context]


def as_acceptor(
    request: AssociateRQ,
    supported: Mapping[str, Supported],
    *,
    fallback: Fallback | None = None,
    requestor_order: bool = False,
) -> Negotiated:
    """Decide on the proposed contexts.

    Parameters
    ----------
    request
        The association request.
    supported
        Per abstract syntax what is taken.
    fallback
        Decides on contexts that ``supported`` would reject.
    requestor_order
        Choose the first transfer syntax of the requestor that is supported, rather than the first supported
        one that was proposed.
    """
    proposed_roles = {item.sop_class: item for item in request.user.roles}
    replies: dict[str, RoleSelection] = {}
    results: list[ContextResult] = []
    contexts: dict[int, Context] = {}
    for proposed in request.contexts:
        abstract = proposed.abstract_syntax
        entry = supported.get(abstract)
        syntax: str | None = None
        if entry is not None:
            syntax = _choose(proposed.transfer_syntaxes, entry.transfer_syntaxes, requestor_order)
        if syntax is None and fallback is not None:
            syntax = fallback(proposed)
        if syntax is None:
            reason = ABSTRACT_SYNTAX_NOT_SUPPORTED if entry is None else TRANSFER_SYNTAXES_NOT_SUPPORTED
            results.append(ContextResult(proposed.id, reason, _first(proposed)))
            continue
        as_scu, as_scp = False, True
        role = proposed_roles.get(abstract)
        if role is not None and entry is not None and not (entry.scu_role is entry.scp_role is None):
            scu, scp = role.scu and bool(entry.scu_role), role.scp and bool(entry.scp_role)
            replies[abstract] = RoleSelection(abstract, scu, scp)
            as_scu, as_scp = scp, scu
            if not (scu or scp):
                results.append(ContextResult(proposed.id, USER_REJECTION, _first(proposed)))
                continue
        results.append(ContextResult(proposed.id, ACCEPTANCE, syntax))
        contexts[proposed.id] = Context(proposed.id, abstract, syntax, as_scu, as_scp)
    return Negotiated(tuple(results), tuple(replies.values()), contexts)


def as_requestor(request: AssociateRQ, accepted: AssociateAC) -> dict[int, Context]:
    """Return the contexts that the acceptor's answer leaves, by ID.

    An answer for a context that was never proposed is ignored, and so is one that names no transfer syntax
    or one that was not proposed: nothing could be sent in it.
    """
    proposed = {context.id: context for context in request.contexts}
    wanted = {item.sop_class: item for item in request.user.roles}
    agreed = {item.sop_class: item for item in accepted.user.roles}
    contexts: dict[int, Context] = {}
    for result in accepted.contexts:
        offer = proposed.get(result.id)
        if offer is None or result.result != ACCEPTANCE:
            continue
        if result.transfer_syntax not in offer.transfer_syntaxes:
            continue
        as_scu, as_scp = True, False
        role, reply = wanted.get(offer.abstract_syntax), agreed.get(offer.abstract_syntax)
        if role is not None and reply is not None:
            as_scu, as_scp = role.scu and reply.scu, role.scp and reply.scp
        contexts[offer.id] = Context(offer.id, offer.abstract_syntax, result.transfer_syntax, as_scu, as_scp)
    return contexts


def window(request: AssociateRQ, accepted: AssociateAC, *, requestor: bool) -> int:
    """Return how many operations a side may have outstanding, 0 for any number (PS3.7 D.3.3.3).

    The item of the answer counts; it says "invoked" and "performed" from the requestor's point of view. One
    that allows more than was proposed is held to the proposal. Without items it is one.
    """
    proposed, agreed = request.user.async_operations, accepted.user.async_operations
    if proposed is None or agreed is None:
        return 1
    limits = (proposed.invoked, agreed.invoked) if requestor else (proposed.performed, agreed.performed)
    return min((limit for limit in limits if limit), default=0)


def _choose(proposed: Iterable[str], supported: Iterable[str], requestor_order: bool) -> str | None:
    first, second = (proposed, supported) if requestor_order else (supported, proposed)
    second = tuple(second)
    return next((syntax for syntax in first if syntax in second), None)


def _first(proposed: ProposedContext) -> str:
    # Not significant in a rejection, but peers exist that need a transfer syntax sub-item there.
    return proposed.transfer_syntaxes[0] if proposed.transfer_syntaxes else IMPLICIT_VR_LITTLE_ENDIAN
