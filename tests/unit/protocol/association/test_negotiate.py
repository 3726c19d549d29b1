"""Presentation context, role and window negotiation."""

from __future__ import annotations

from itertools import product

import pytest

from dulcimer.protocol.association import negotiate
from dulcimer.protocol.association.contexts import Context
from dulcimer.protocol.association.negotiate import (
    ABSTRACT_SYNTAX_NOT_SUPPORTED,
    ACCEPTANCE,
    TRANSFER_SYNTAXES_NOT_SUPPORTED,
    USER_REJECTION,
    Supported,
    as_acceptor,
    as_requestor,
    window,
)
from dulcimer.protocol.wire.pdus import (
    AssociateAC,
    AssociateRQ,
    AsyncOperations,
    ContextResult,
    ProposedContext,
    RoleSelection,
    UserInformation,
)

IMPLICIT, EXPLICIT, JPEG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


def request(*contexts: ProposedContext, roles: tuple[RoleSelection, ...] = ()) -> AssociateRQ:
    return AssociateRQ("CALLED", "CALLING", contexts, UserInformation(roles=roles))


def answer(*results: ContextResult, roles: tuple[RoleSelection, ...] = ()) -> AssociateAC:
    return AssociateAC("CALLED", "CALLING", results, UserInformation(roles=roles))


# ---- the acceptor ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proposed", "supported", "requestor_order", "chosen"),
    [
        ((IMPLICIT, EXPLICIT), (EXPLICIT, IMPLICIT), False, EXPLICIT),
        ((IMPLICIT, EXPLICIT), (EXPLICIT, IMPLICIT), True, IMPLICIT),
        ((JPEG, EXPLICIT), (EXPLICIT, IMPLICIT), True, EXPLICIT),
        ((JPEG,), (EXPLICIT, IMPLICIT), True, None),
        ((JPEG,), (EXPLICIT, IMPLICIT), False, None),
        ((), (EXPLICIT,), False, None),
        ((EXPLICIT,), (), False, None),
    ],
)
def test_transfer_syntax(
    proposed: tuple[str, ...], supported: tuple[str, ...], requestor_order: bool, chosen: str | None
) -> None:
    decision = as_acceptor(
        request(ProposedContext(1, CT, proposed)),
        {CT: Supported(supported)},
        choose=negotiate.requestor_order if requestor_order else negotiate.acceptor_order,
    )
    (result,) = decision.results
    if chosen is None:
        # Not significant, but there has to be one.
        assert result == ContextResult(1, TRANSFER_SYNTAXES_NOT_SUPPORTED, (proposed or (IMPLICIT,))[0])
        assert not decision.contexts
    else:
        assert result == ContextResult(1, ACCEPTANCE, chosen)
        assert decision.contexts == {1: Context(1, CT, chosen, False, True)}


def test_every_context_is_answered_in_the_order_of_the_proposal() -> None:
    decision = as_acceptor(
        request(
            ProposedContext(7, MR, (IMPLICIT,)),
            ProposedContext(3, CT, (JPEG,)),
            ProposedContext(5, CT, (JPEG, IMPLICIT)),
        ),
        {CT: Supported((IMPLICIT,))},
    )
    assert [(result.id, result.result) for result in decision.results] == [
        (7, ABSTRACT_SYNTAX_NOT_SUPPORTED),
        (3, TRANSFER_SYNTAXES_NOT_SUPPORTED),
        (5, ACCEPTANCE),
    ]
    assert decision.contexts.keys() == {5}


def test_fallback_decides_on_what_the_table_does_not_settle() -> None:
    asked: list[str] = []

    def fallback(proposed: ProposedContext) -> str | None:
        asked.append(proposed.abstract_syntax)
        return JPEG if proposed.abstract_syntax == MR else None

    decision = as_acceptor(
        request(
            ProposedContext(1, MR, (JPEG,)),
            ProposedContext(3, CT, (IMPLICIT,)),
            ProposedContext(5, CT, (JPEG,)),
            ProposedContext(7, "1.2.3", (JPEG,)),
        ),
        {CT: Supported((IMPLICIT,))},
        fallback=fallback,
    )
    assert asked == [MR, CT, "1.2.3"]
    assert [result.result for result in decision.results] == [0, 0, 4, 3]
    assert decision.contexts[1] == Context(1, MR, JPEG, False, True)


ROLE_VALUES = [False, True]


@pytest.mark.parametrize(
    ("scu", "scp", "takes_scu", "takes_scp"),
    list(product(ROLE_VALUES, ROLE_VALUES, ROLE_VALUES, ROLE_VALUES)),
)
def test_both_sides_come_to_the_same_roles(scu: bool, scp: bool, takes_scu: bool, takes_scp: bool) -> None:
    proposal = request(ProposedContext(1, CT, (IMPLICIT,)), roles=(RoleSelection(CT, scu, scp),))
    decision = as_acceptor(proposal, {CT: Supported((IMPLICIT,), takes_scu, takes_scp)})
    agreed = RoleSelection(CT, scu and takes_scu, scp and takes_scp)
    assert decision.roles == (agreed,)
    ours = as_requestor(proposal, answer(*decision.results, roles=decision.roles))
    if not (agreed.scu or agreed.scp):
        assert [result.result for result in decision.results] == [USER_REJECTION]
        assert not decision.contexts and not ours
    else:
        assert ours[1] == Context(1, CT, IMPLICIT, agreed.scu, agreed.scp)
        assert decision.contexts[1] == Context(1, CT, IMPLICIT, agreed.scp, agreed.scu)


def test_roles_are_ignored_where_nothing_is_said_about_them() -> None:
    proposal = request(ProposedContext(1, CT, (IMPLICIT,)), roles=(RoleSelection(CT, False, True),))
    decision = as_acceptor(proposal, {CT: Supported((IMPLICIT,))})
    assert decision.roles == ()
    # Without an item in the answer the default roles hold (PS3.7 D.3.3.4).
    assert decision.contexts[1] == Context(1, CT, IMPLICIT, False, True)
    ours = as_requestor(proposal, answer(*decision.results))
    assert ours[1] == Context(1, CT, IMPLICIT, True, False)


def test_one_role_item_holds_for_every_context_of_its_class() -> None:
    proposal = request(
        ProposedContext(1, CT, (IMPLICIT,)),
        ProposedContext(3, CT, (EXPLICIT,)),
        ProposedContext(5, MR, (IMPLICIT,)),
        roles=(RoleSelection(CT, True, True), RoleSelection("1.2.3", True, True)),
    )
    entry = Supported((IMPLICIT, EXPLICIT), True, True)
    decision = as_acceptor(proposal, {CT: entry, MR: entry})
    assert decision.roles == (RoleSelection(CT, True, True),)
    assert [(context.as_scu, context.as_scp) for context in decision.contexts.values()] == [
        (True, True),
        (True, True),
        (False, True),
    ]


# ---- the requestor --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "result",
    [
        ContextResult(1, USER_REJECTION, IMPLICIT),
        ContextResult(1, 2, IMPLICIT),
        ContextResult(1, ABSTRACT_SYNTAX_NOT_SUPPORTED, IMPLICIT),
        ContextResult(1, TRANSFER_SYNTAXES_NOT_SUPPORTED, IMPLICIT),
        ContextResult(1, 0xFF, IMPLICIT),
        ContextResult(1, ACCEPTANCE, ""),
        ContextResult(1, ACCEPTANCE, JPEG),
        ContextResult(3, ACCEPTANCE, IMPLICIT),
    ],
    ids=["user", "no reason", "abstract", "transfer", "unknown", "no syntax", "another syntax", "another ID"],
)
def test_a_context_that_was_not_accepted(result: ContextResult) -> None:
    assert as_requestor(request(ProposedContext(1, CT, (IMPLICIT, EXPLICIT))), answer(result)) == {}


def test_contexts_in_any_order() -> None:
    proposal = request(*(ProposedContext(number, CT, (IMPLICIT,)) for number in (1, 3, 5)))
    results = [ContextResult(number, ACCEPTANCE, IMPLICIT) for number in (5, 1, 3)]
    contexts = as_requestor(proposal, answer(*results))
    assert sorted(contexts) == [1, 3, 5]
    assert all(context.id == number for number, context in contexts.items())


def test_a_role_that_was_not_asked_for_is_not_taken() -> None:
    contexts = as_requestor(
        request(ProposedContext(1, CT, (IMPLICIT,))),
        answer(ContextResult(1, ACCEPTANCE, IMPLICIT), roles=(RoleSelection(CT, False, True),)),
    )
    assert contexts[1] == Context(1, CT, IMPLICIT, True, False)


def test_a_role_answer_beyond_the_proposal_is_held_to_it() -> None:
    contexts = as_requestor(
        request(ProposedContext(1, CT, (IMPLICIT,)), roles=(RoleSelection(CT, False, True),)),
        answer(ContextResult(1, ACCEPTANCE, IMPLICIT), roles=(RoleSelection(CT, True, True),)),
    )
    assert contexts[1] == Context(1, CT, IMPLICIT, False, True)


# ---- the window -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proposed", "agreed", "requestor_s", "acceptor_s"),
    [
        (None, None, 1, 1),
        ((5, 7), None, 1, 1),
        (None, (5, 7), 1, 1),
        ((5, 7), (5, 7), 5, 7),
        ((5, 7), (3, 2), 3, 2),
        ((5, 7), (8, 9), 5, 7),
        ((0, 0), (0, 0), 0, 0),
        ((0, 0), (4, 2), 4, 2),
        ((4, 2), (0, 0), 4, 2),
        ((1, 1), (1, 1), 1, 1),
    ],
)
def test_window(
    proposed: tuple[int, int] | None, agreed: tuple[int, int] | None, requestor_s: int, acceptor_s: int
) -> None:
    def user(item: tuple[int, int] | None) -> UserInformation:
        return UserInformation(async_operations=None if item is None else AsyncOperations(*item))

    asked = AssociateRQ("CALLED", "CALLING", (), user(proposed))
    answered = AssociateAC("CALLED", "CALLING", (), user(agreed))
    assert window(asked, answered, requestor=True) == requestor_s
    assert window(asked, answered, requestor=False) == acceptor_s
