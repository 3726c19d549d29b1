"""Presentation context and role negotiation, as pure functions (PS3.8 7.1.1.13, PS3.7 D.3.3.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from dulcimer.protocol.association.contexts import Context
from dulcimer.protocol.wire.pdus import (
    AssociateAC,
    AssociateRQ,
    ContextResult,
    ProposedContext,
    RoleSelection,
)
from dulcimer.quirks import Notebook, QuirkKind

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


Choose = Callable[[str, tuple[str, ...], tuple[str, ...]], str | None]
"""Chooses a transfer syntax, given the abstract syntax, the proposed and the supported transfer syntaxes;
both are in order of preference. None, or one that was not proposed, rejects the context."""


def acceptor_order(abstract: str, proposed: tuple[str, ...], supported: tuple[str, ...]) -> str | None:
    """Choose the first supported transfer syntax that was proposed."""
    for syntax in supported:
        if syntax in proposed:
            return syntax
    return None


def requestor_order(abstract: str, proposed: tuple[str, ...], supported: tuple[str, ...]) -> str | None:
    """Choose the first proposed transfer syntax that is supported."""
    return next((syntax for syntax in proposed if syntax in supported), None)


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
    choose: Choose = acceptor_order,
    assume_roles: bool = False,
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
    choose
        Chooses the transfer syntax of a context that ``supported`` has.
    assume_roles
        Whether a requestor that says nothing about roles is taken for an SCP as well, where ``supported``
        lets it be one: programs that retrieve with C-GET exist which leave the role selection out.
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
            syntax = choose(abstract, proposed.transfer_syntaxes, entry.transfer_syntaxes)
            if syntax not in proposed.transfer_syntaxes:
                syntax = None
        if syntax is None and fallback is not None:
            syntax = fallback(proposed)
        if syntax is None:
            reason = ABSTRACT_SYNTAX_NOT_SUPPORTED if entry is None else TRANSFER_SYNTAXES_NOT_SUPPORTED
            results.append(ContextResult(proposed.id, reason, _first(proposed)))
            continue
        as_scu, as_scp = False, True
        role = proposed_roles.get(abstract)
        # What the fallback takes is taken in every role.
        can_be = Supported((), True, True) if entry is None else entry
        if role is None and assume_roles and can_be.scp_role:
            as_scu = True
        elif role is not None and not (can_be.scu_role is can_be.scp_role is None):
            scu, scp = role.scu and bool(can_be.scu_role), role.scp and bool(can_be.scp_role)
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
        syntax = result.transfer_syntax
        if not syntax and len(offer.transfer_syntaxes) == 1:
            # There was no choice, so there is no doubt.
            syntax = offer.transfer_syntaxes[0]
        if syntax not in offer.transfer_syntaxes:
            continue
        as_scu, as_scp = True, False
        role, reply = wanted.get(offer.abstract_syntax), agreed.get(offer.abstract_syntax)
        if role is not None and reply is not None:
            as_scu, as_scp = role.scu and reply.scu, role.scp and reply.scp
        contexts[offer.id] = Context(offer.id, offer.abstract_syntax, syntax, as_scu, as_scp)
    return contexts


def examine(request: AssociateRQ, accepted: AssociateAC, notes: Notebook) -> None:
    """Note what is unusual about an answer to a request of ours."""
    proposed = {context.id: context for context in request.contexts}
    answered = [result.id for result in accepted.contexts]
    if answered != list(proposed):
        known = set(answered)
        missing = [identifier for identifier in proposed if identifier not in known]
        unasked = [identifier for identifier in answered if identifier not in proposed]
        if missing:
            notes.add(QuirkKind.ANSWER_MISSING, _listed(missing))
        if unasked:
            notes.add(QuirkKind.ANSWER_UNASKED, _listed(unasked))
        if [each for each in answered if each in proposed] != [each for each in proposed if each in known]:
            notes.add(QuirkKind.ANSWER_ORDER)
    classes = set()
    for result in accepted.contexts:
        offer = proposed.get(result.id)
        if offer is None:
            continue
        if result.result != ACCEPTANCE:
            if not result.transfer_syntax:
                notes.add(QuirkKind.ANSWER_SYNTAX_OMITTED, _listed([result.id]))
        elif not result.transfer_syntax:
            notes.add(QuirkKind.ANSWER_SYNTAX_MISSING, _listed([result.id]))
        elif result.transfer_syntax not in offer.transfer_syntaxes:
            notes.add(
                QuirkKind.ANSWER_SYNTAX_UNASKED, f"{_listed([result.id])}: {result.transfer_syntax[:64]!r}"
            )
        else:
            classes.add(offer.abstract_syntax)
    asked = {item.sop_class for item in request.user.roles}
    replied = {item.sop_class for item in accepted.user.roles}
    if unanswered := (asked & classes) - replied:
        notes.add(QuirkKind.ROLE_UNANSWERED, min(unanswered))
    if replied - asked:
        notes.add(QuirkKind.ROLE_UNASKED, min(replied - asked)[:64])


def _listed(identifiers: list[int]) -> str:
    return "context " + ", ".join(map(str, identifiers))


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


def _first(proposed: ProposedContext) -> str:
    # Not significant in a rejection, but peers exist that need a transfer syntax sub-item there.
    return proposed.transfer_syntaxes[0] if proposed.transfer_syntaxes else IMPLICIT_VR_LITTLE_ENDIAN
