from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from dulcimer import presentation
from dulcimer._globals import DEFAULT_TRANSFER_SYNTAXES
from dulcimer.presentation import (
    PresentationContext,
    PresentationContextTuple,
    build_context,
    build_role,
    negotiate_as_acceptor,
    negotiate_as_requestor,
)

VERIFICATION = UID("1.2.840.10008.1.1")
CT = UID("1.2.840.10008.5.1.4.1.1.2")


def proposed(context_id: int, uid: str = CT, *syntaxes: str) -> PresentationContext:
    context = build_context(uid, list(syntaxes) or None)
    context.context_id = context_id
    return context


def answered(context_id: int, result: int | None, *syntaxes: str) -> PresentationContext:
    context = PresentationContext()
    context.context_id = context_id
    context.result = result
    context.transfer_syntax = list(syntaxes)
    return context


class TestContext:
    def test_build(self) -> None:
        context = build_context(CT)
        assert context.abstract_syntax == CT
        assert context.transfer_syntax == DEFAULT_TRANSFER_SYNTAXES
        assert context.transfer_syntax is not DEFAULT_TRANSFER_SYNTAXES
        assert build_context(CT, ImplicitVRLittleEndian).transfer_syntax == [ImplicitVRLittleEndian]
        assert build_context(CT, [JPEGBaseline8Bit]).transfer_syntax == [JPEGBaseline8Bit]
        assert build_context(CT, []).transfer_syntax == []

    @pytest.mark.parametrize("value", [None, 12, b"1.2.3"])
    def test_build_needs_text(self, value: Any) -> None:
        with pytest.raises(TypeError):
            build_context(value)

    @pytest.mark.parametrize("value", [0, 2, 256, 257, -1])
    def test_ids_are_odd_and_in_range(self, value: int) -> None:
        with pytest.raises(ValueError, match="odd"):
            PresentationContext().context_id = value

    @pytest.mark.parametrize("value", [1, 255, None])
    def test_ids(self, value: int | None) -> None:
        context = PresentationContext()
        context.context_id = value
        assert context.context_id == value

    @pytest.mark.parametrize(
        ("value", "error"), [(None, TypeError), (1.2, TypeError), ([], TypeError), ("1" * 65, ValueError)]
    )
    def test_bad_abstract_syntaxes(self, value: Any, error: type[Exception]) -> None:
        with pytest.raises(error, match="abstract_syntax"):
            PresentationContext().abstract_syntax = value

    @pytest.mark.parametrize("value", [None, "1.2.840.10008.1.2", (ImplicitVRLittleEndian,)])
    def test_transfer_syntaxes_are_a_list(self, value: Any) -> None:
        with pytest.raises(TypeError, match="must be a list"):
            PresentationContext().transfer_syntax = value

    @pytest.mark.parametrize("value", ["", "1" * 65])
    def test_bad_transfer_syntaxes(self, value: str) -> None:
        with pytest.raises(ValueError, match="invalid UID"):
            PresentationContext().add_transfer_syntax(value)

    def test_transfer_syntaxes_are_added_once(self) -> None:
        context = PresentationContext()
        for value in ("1.2.840.10008.1.2", b"1.2.840.10008.1.2", ImplicitVRLittleEndian, None):
            context.add_transfer_syntax(value)
        assert context.transfer_syntax == [ImplicitVRLittleEndian]

    @pytest.mark.parametrize("name", ["scu_role", "scp_role"])
    def test_roles(self, name: str) -> None:
        context = PresentationContext()
        for value in (True, False, None):
            setattr(context, name, value)
            assert getattr(context, name) is value
        with pytest.raises(TypeError, match=name):
            setattr(context, name, 1)

    @pytest.mark.parametrize("name", ["as_scu", "as_scp", "as_tuple", "status", "explanation"])
    def test_outcomes_are_read_only(self, name: str) -> None:
        with pytest.raises(AttributeError):
            setattr(PresentationContext(), name, True)

    def test_tuple(self) -> None:
        context = proposed(3)
        assert context.as_tuple == PresentationContextTuple(3, CT, ImplicitVRLittleEndian)
        assert context.as_tuple.transfer_syntax.is_implicit_VR
        with pytest.raises(IndexError):
            _ = PresentationContext().as_tuple

    def test_equality(self) -> None:
        assert proposed(1) == proposed(1)
        assert hash(proposed(1)) == hash(proposed(1))
        assert proposed(1) != proposed(3)
        assert proposed(1) != proposed(1, VERIFICATION)
        assert proposed(1) != proposed(1, CT, ImplicitVRLittleEndian)
        assert proposed(1) != "1"
        other = proposed(1)
        other.scp_role = True
        assert proposed(1) != other
        other = proposed(1)
        other.result = 0
        assert proposed(1) != other

    def test_text(self) -> None:
        context = proposed(1, VERIFICATION, ImplicitVRLittleEndian)
        context.result = 0
        context.set_outcome(as_scu=True, as_scp=True)
        assert str(context).splitlines() == [
            "ID: 1",
            "Abstract Syntax: Verification SOP Class",
            "Transfer Syntax(es):",
            "    =Implicit VR Little Endian",
            "Result: Accepted",
            "Role: SCU and SCP",
        ]
        assert repr(context) == "Verification SOP Class"
        assert repr(PresentationContext()) == "PresentationContext()"

    @pytest.mark.parametrize(
        ("result", "status"),
        [
            (None, "Pending"),
            (0, "Accepted"),
            (1, "User Rejected"),
            (2, "Provider Rejected"),
            (3, "Abstract Syntax Not Supported"),
            (4, "Transfer Syntax(es) Not Supported"),
            (5, "Unknown"),
        ],
    )
    def test_status(self, result: int | None, status: str) -> None:
        assert answered(1, result).status == status

    @pytest.mark.parametrize(
        ("result", "part"),
        [
            (1, "build_role()"),
            (2, "AE title"),
            (3, "CT Image Storage: add it"),
            (4, "JPEG Baseline (Process 1)): propose another one"),
            (9, "result 9"),
        ],
    )
    def test_a_rejection_is_explained(self, result: int, part: str) -> None:
        context = proposed(1, CT, JPEGBaseline8Bit)
        context.result = result
        assert part in context.explanation
        assert "CT Image Storage" in context.explanation
        assert context.explanation.endswith(".")

    @pytest.mark.parametrize("result", [None, 0])
    def test_nothing_to_explain(self, result: int | None) -> None:
        assert answered(1, result, ImplicitVRLittleEndian).explanation == ""


def test_build_role() -> None:
    role = build_role(CT, scp_role=True)
    assert (role.sop_class_uid, role.scu_role, role.scp_role) == (CT, False, True)
    wrong: Any = 1
    with pytest.raises(TypeError):
        build_role(CT, scp_role=wrong)
    with pytest.raises(TypeError):
        build_role(wrong)


# Requestor's proposal (SCU, SCP), acceptor's opinion (SCU, SCP); the answer, or None for no answer, and the
# roles that this leaves to the requestor (PS3.7 D.3.3.4).
DEFAULT = (True, False)
ROLE_TABLE = [
    (None, (None, None), None, DEFAULT),
    (None, (True, True), None, DEFAULT),
    ((True, True), (None, None), None, DEFAULT),
    ((True, True), (True, None), None, DEFAULT),
    ((True, True), (None, True), None, DEFAULT),
    ((True, True), (True, True), (True, True), (True, True)),
    ((True, True), (True, False), (True, False), (True, False)),
    ((True, True), (False, True), (False, True), (False, True)),
    ((True, False), (True, True), (True, False), (True, False)),
    ((True, False), (True, False), (True, False), (True, False)),
    ((False, True), (True, True), (False, True), (False, True)),
    ((False, True), (False, True), (False, True), (False, True)),
]
REFUSED = [
    ((True, True), (False, False)),
    ((True, False), (False, True)),
    ((True, False), (False, False)),
    ((False, True), (True, False)),
    ((False, False), (True, True)),
]


class TestRoles:
    @pytest.mark.parametrize(("wanted", "opinion", "answer", "roles"), ROLE_TABLE)
    def test_both_sides_agree(self, wanted: Any, opinion: Any, answer: Any, roles: Any) -> None:
        supported = build_context(CT)
        supported.scu_role, supported.scp_role = opinion
        request = proposed(1)
        if wanted is not None:
            request.scu_role, request.scp_role = wanted
        results, replies = negotiate_as_acceptor(
            [request], [supported], None if wanted is None else {CT: wanted}
        )
        assert [(item.sop_class_uid, item.scu_role, item.scp_role) for item in replies] == (
            [] if answer is None else [(CT, *answer)]
        )
        (accepted,) = results
        assert accepted.result == 0
        assert (accepted.as_scp, accepted.as_scu) == roles
        (seen,) = negotiate_as_requestor([request], results, None if answer is None else {CT: answer})
        assert (seen.as_scu, seen.as_scp) == roles

    @pytest.mark.parametrize(("wanted", "opinion"), REFUSED)
    def test_no_role_is_left(self, wanted: Any, opinion: Any) -> None:
        supported = build_context(CT)
        supported.scu_role, supported.scp_role = opinion
        results, replies = negotiate_as_acceptor([proposed(1)], [supported], {CT: wanted})
        assert results[0].result == 1
        assert (results[0].as_scu, results[0].as_scp) == (False, False)
        assert replies == []

    @pytest.mark.parametrize("answer", list(product((None, True, False), repeat=2)))
    def test_an_answer_without_a_proposal_changes_nothing(self, answer: Any) -> None:
        (context,) = negotiate_as_requestor(
            [proposed(1)], [answered(1, 0, ImplicitVRLittleEndian)], {CT: answer}
        )
        assert (context.as_scu, context.as_scp) == DEFAULT

    def test_an_answer_cannot_give_more_than_was_proposed(self) -> None:
        request = proposed(1)
        request.scp_role = True
        (context,) = negotiate_as_requestor(
            [request], [answered(1, 0, ImplicitVRLittleEndian)], {CT: (True, True)}
        )
        assert (context.as_scu, context.as_scp) == (False, True)


class TestAcceptor:
    def test_the_supported_order_decides(self) -> None:
        support = build_context(CT, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        results, _ = negotiate_as_acceptor(
            [proposed(1, CT, ImplicitVRLittleEndian, ExplicitVRLittleEndian)], [support]
        )
        assert results[0].transfer_syntax == [ExplicitVRLittleEndian]

    def test_rejections(self) -> None:
        results, _ = negotiate_as_acceptor(
            [
                proposed(3, CT, JPEGBaseline8Bit),
                proposed(1, VERIFICATION),
                proposed(5, CT, ImplicitVRLittleEndian),
            ],
            [build_context(CT)],
        )
        assert [(context.context_id, context.result) for context in results] == [(1, 3), (3, 4), (5, 0)]
        assert all(len(context.transfer_syntax) == 1 for context in results)

    def test_nothing(self) -> None:
        assert negotiate_as_acceptor([], [build_context(CT)]) == ([], [])

    def test_the_proposals_are_left_alone(self) -> None:
        request, support = proposed(1), build_context(CT)
        negotiate_as_acceptor([request], [support])
        assert request == proposed(1)
        assert support == build_context(CT)


class TestRequestor:
    def test_results(self) -> None:
        contexts = negotiate_as_requestor(
            [proposed(5), proposed(1), proposed(3)],
            [
                answered(1, 0, ExplicitVRLittleEndian),
                answered(3, 3, ImplicitVRLittleEndian),
                answered(9, 0, ImplicitVRLittleEndian),
            ],
        )
        assert [(context.context_id, context.result) for context in contexts] == [(1, 0), (3, 3), (5, 2)]
        assert contexts[0].transfer_syntax == [ExplicitVRLittleEndian]
        assert (contexts[0].as_scu, contexts[0].as_scp) == DEFAULT
        assert (contexts[2].as_scu, contexts[2].as_scp) == (False, False)
        assert contexts[0].abstract_syntax == CT

    def test_something_must_have_been_proposed(self) -> None:
        with pytest.raises(ValueError, match="required"):
            negotiate_as_requestor([], [answered(1, 0, ImplicitVRLittleEndian)])


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("AllStoragePresentationContexts", 170),
        ("ApplicationEventLoggingPresentationContexts", 2),
        ("BasicWorklistManagementPresentationContexts", 1),
        ("ColorPalettePresentationContexts", 3),
        ("DefinedProcedureProtocolPresentationContexts", 3),
        ("DisplaySystemPresentationContexts", 1),
        ("HangingProtocolPresentationContexts", 3),
        ("ImplantTemplatePresentationContexts", 9),
        ("InstanceAvailabilityPresentationContexts", 1),
        ("MediaCreationManagementPresentationContexts", 1),
        ("MediaStoragePresentationContexts", 1),
        ("ModalityPerformedPresentationContexts", 3),
        ("NonPatientObjectPresentationContexts", 9),
        ("PrintManagementPresentationContexts", 11),
        ("ProcedureStepPresentationContexts", 3),
        ("ProtocolApprovalPresentationContexts", 3),
        ("QueryRetrievePresentationContexts", 13),
        ("RTMachineVerificationPresentationContexts", 2),
        ("RelevantPatientInformationPresentationContexts", 3),
        ("StorageCommitmentPresentationContexts", 1),
        ("StoragePresentationContexts", 120),
        ("SubstanceAdministrationPresentationContexts", 2),
        ("UnifiedProcedurePresentationContexts", 5),
        ("VerificationPresentationContexts", 1),
    ],
)
def test_lists(name: str, count: int) -> None:
    contexts = getattr(presentation, name)
    assert len(contexts) == len({context.abstract_syntax for context in contexts}) == count
    assert getattr(presentation, name) is contexts
    assert name in presentation.__all__
    assert name in dir(presentation)
    assert all(context.transfer_syntax == DEFAULT_TRANSFER_SYNTAXES for context in contexts)
    assert all(context.context_id is None for context in contexts)


def test_no_other_lists() -> None:
    with pytest.raises(AttributeError, match="NoSuchPresentationContexts"):
        _ = presentation.NoSuchPresentationContexts  # type: ignore[attr-defined]
