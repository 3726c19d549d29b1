from __future__ import annotations

from typing import Any

import pytest
from pydicom.uid import UID

from dulcimer.pdu_primitives import (
    A_ABORT,
    A_ASSOCIATE,
    A_P_ABORT,
    A_RELEASE,
    P_DATA,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    NegotiationItem,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
    user_information_from_wire,
    user_information_to_wire,
)
from dulcimer.presentation import build_context, build_role
from dulcimer.protocol.wire import pdus

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"

WIRE = pdus.UserInformation(
    max_length=16384,
    implementation_class_uid="1.2.3",
    implementation_version_name="PEER_1",
    async_operations=pdus.AsyncOperations(4, 0),
    roles=(pdus.RoleSelection(CT, True, False), pdus.RoleSelection("1.2.4", False, True)),
    extended=(pdus.ExtendedNegotiation(CT, b"\x01\x02"),),
    common_extended=(pdus.CommonExtendedNegotiation("1.2.5", "1.2.840.10008.4.2", (CT,)),),
    user_identity=pdus.UserIdentity(2, b"user", b"secret", True),
)


def every_item() -> list[NegotiationItem]:
    return user_information_from_wire(WIRE)


def test_user_information_there_and_back() -> None:
    items = every_item()
    assert len(items) == 9
    assert user_information_to_wire(items) == WIRE


def test_the_answer_to_a_user_identity() -> None:
    wire = pdus.UserInformation(max_length=0, identity_response=b"token")
    items = user_information_from_wire(wire)
    identity = items[1]
    assert isinstance(identity, UserIdentityNegotiation)
    assert (identity.user_identity_type, identity.server_response) == (None, b"token")
    assert user_information_to_wire(items) == wire


def test_uids_on_the_wire_are_plain_text() -> None:
    role = build_role(UID(CT), scp_role=True)
    (sent,) = user_information_to_wire([role]).roles
    assert type(sent.sop_class) is str
    assert sent == pdus.RoleSelection(CT, False, True)


def test_the_last_item_for_a_sop_class_counts() -> None:
    items: list[NegotiationItem] = [build_role(CT, True, False), build_role(CT, False, True)]
    assert user_information_to_wire(items).roles == (pdus.RoleSelection(CT, False, True),)


def test_what_a_peer_sends_never_raises() -> None:
    long = "1" * 70
    wire = pdus.UserInformation(
        max_length=1,
        implementation_class_uid=long,
        implementation_version_name="n" * 20,
        roles=(pdus.RoleSelection(long, True, True),),
        extended=(pdus.ExtendedNegotiation(long, b""),),
        common_extended=(pdus.CommonExtendedNegotiation(CT, "1.2", (long,)),),
        user_identity=pdus.UserIdentity(9, b""),
    )
    assert [type(item) for item in user_information_from_wire(wire)] == [MaximumLengthNotification]


@pytest.mark.parametrize("item", every_item(), ids=lambda item: type(item).__name__)
def test_items_are_equal_by_value(item: NegotiationItem) -> None:
    again = next(other for other in every_item() if other == item)
    assert again is not item
    assert item != object()
    assert type(item)() != item
    with pytest.raises(TypeError):
        hash(item)


@pytest.mark.parametrize("item", every_item(), ids=lambda item: type(item).__name__)
def test_items_as_text_keep_secrets(item: NegotiationItem) -> None:
    text = str(item)
    assert text.endswith("\n")
    assert len(text.splitlines()) >= 2
    assert "secret" not in text
    assert "user" not in text


def test_items_as_text() -> None:
    assert str(MaximumLengthNotification()) == (
        "Maximum Length Negotiation\n  Maximum length received: 16382 bytes\n"
    )
    assert "CT Image Storage" in str(build_role(CT))


@pytest.mark.parametrize(
    ("cls", "name", "value", "error"),
    [
        (MaximumLengthNotification, "maximum_length_received", -1, ValueError),
        (MaximumLengthNotification, "maximum_length_received", "1", TypeError),
        (MaximumLengthNotification, "maximum_length_received", None, TypeError),
        (ImplementationClassUIDNotification, "implementation_class_uid", "1" * 65, ValueError),
        (ImplementationClassUIDNotification, "implementation_class_uid", 1, TypeError),
        (ImplementationVersionNameNotification, "implementation_version_name", "n" * 17, ValueError),
        (ImplementationVersionNameNotification, "implementation_version_name", b"n", TypeError),
        (AsynchronousOperationsWindowNegotiation, "maximum_number_operations_invoked", -1, ValueError),
        (AsynchronousOperationsWindowNegotiation, "maximum_number_operations_performed", 1.0, TypeError),
        (SCP_SCU_RoleSelectionNegotiation, "scu_role", 1, TypeError),
        (SCP_SCU_RoleSelectionNegotiation, "scp_role", "yes", TypeError),
        (SCP_SCU_RoleSelectionNegotiation, "sop_class_uid", 1, TypeError),
        (SOPClassExtendedNegotiation, "service_class_application_information", "x", TypeError),
        (SOPClassCommonExtendedNegotiation, "related_general_sop_class_identification", CT, TypeError),
        (SOPClassCommonExtendedNegotiation, "related_general_sop_class_identification", [1], TypeError),
        (
            SOPClassCommonExtendedNegotiation,
            "related_general_sop_class_identification",
            ["1" * 65],
            ValueError,
        ),
        (UserIdentityNegotiation, "user_identity_type", 0, ValueError),
        (UserIdentityNegotiation, "user_identity_type", 6, ValueError),
        (UserIdentityNegotiation, "user_identity_type", "1", TypeError),
        (UserIdentityNegotiation, "positive_response_requested", None, TypeError),
        (UserIdentityNegotiation, "primary_field", "user", TypeError),
        (UserIdentityNegotiation, "secondary_field", "pass", TypeError),
        (UserIdentityNegotiation, "server_response", "token", TypeError),
        (A_ASSOCIATE, "called_ae_title", "", ValueError),
        (A_ASSOCIATE, "called_ae_title", None, TypeError),
        (A_ASSOCIATE, "calling_ae_title", "A" * 17, ValueError),
        (A_ASSOCIATE, "result", 3, ValueError),
        (A_ASSOCIATE, "result_source", 0, ValueError),
        (A_ASSOCIATE, "diagnostic", 4, ValueError),
        (A_ASSOCIATE, "user_information", None, TypeError),
        (A_ASSOCIATE, "presentation_context_definition_list", (), TypeError),
        (A_ASSOCIATE, "presentation_context_definition_results_list", None, TypeError),
        (A_ASSOCIATE, "called_presentation_address", ("127.0.0.1", 104), TypeError),
        (A_ABORT, "abort_source", 3, ValueError),
        (A_P_ABORT, "provider_reason", 3, ValueError),
        (A_RELEASE, "result", "negative", ValueError),
        (P_DATA, "presentation_data_value_list", [1], TypeError),
        (P_DATA, "presentation_data_value_list", [(1, "x")], TypeError),
        (P_DATA, "presentation_data_value_list", b"x", TypeError),
    ],
)
def test_what_is_refused(cls: type, name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        setattr(cls(), name, value)


def test_related_classes_are_uids() -> None:
    item = SOPClassCommonExtendedNegotiation()
    assert item.related_general_sop_class_identification == []
    item.related_general_sop_class_identification = [CT, b"1.2.3"]
    assert item.related_general_sop_class_identification == [CT, "1.2.3"]
    assert item.related_general_sop_class_identification[0].name == "CT Image Storage"


class TestAssociate:
    def test_items_are_made_and_changed(self) -> None:
        primitive = A_ASSOCIATE()
        assert primitive.maximum_length_received is None
        with pytest.raises(ValueError, match="has not been set"):
            _ = primitive.implementation_class_uid
        primitive.maximum_length_received = 1000
        primitive.implementation_class_uid = UID("1.2.3")
        primitive.maximum_length_received = 2000
        assert len(primitive.user_information) == 2
        assert primitive.maximum_length_received == 2000
        assert primitive.implementation_class_uid == "1.2.3"

    def test_lists_keep_what_belongs_there(self) -> None:
        primitive = A_ASSOCIATE()
        role: Any = [build_role(CT), "other"]
        contexts: Any = [build_context(CT), "other"]
        primitive.user_information = role
        primitive.presentation_context_definition_list = contexts
        assert primitive.user_information == [build_role(CT)]
        assert primitive.presentation_context_definition_list == [build_context(CT)]
        assert primitive.presentation_context_definition_results_list == []

    def test_the_called_side_responds(self) -> None:
        class Address:
            address = "127.0.0.1"
            port = 104

        primitive = A_ASSOCIATE()
        primitive.called_ae_title = "SCP"
        primitive.called_presentation_address = address = Address()
        assert primitive.responding_ae_title == "SCP"
        assert primitive.responding_presentation_address is address
        assert primitive.calling_ae_title == "DEFAULT"

    def test_of_a_request(self) -> None:
        primitive = A_ASSOCIATE.from_wire(
            pdus.AssociateRQ("SCP", "SCU", (pdus.ProposedContext(1, CT, (IMPLICIT, EXPLICIT)),), WIRE)
        )
        assert (primitive.called_ae_title, primitive.calling_ae_title) == ("SCP", "SCU")
        assert primitive.application_context_name == pdus.APPLICATION_CONTEXT
        assert primitive.maximum_length_received == 16384
        assert primitive.result is None
        (context,) = primitive.presentation_context_definition_list
        assert (context.context_id, context.abstract_syntax) == (1, CT)
        assert context.transfer_syntax == [IMPLICIT, EXPLICIT]

    def test_of_an_acceptance(self) -> None:
        primitive = A_ASSOCIATE.from_wire(
            pdus.AssociateAC(
                "SCP",
                "SCU",
                (pdus.ContextResult(1, 0, IMPLICIT), pdus.ContextResult(3, 3)),
                pdus.UserInformation(5),
            )
        )
        assert (primitive.result, primitive.result_str) == (0, "Accepted")
        accepted, rejected = primitive.presentation_context_definition_results_list
        assert (accepted.context_id, accepted.result, accepted.transfer_syntax) == (1, 0, [IMPLICIT])
        assert (rejected.context_id, rejected.result, rejected.transfer_syntax) == (3, 3, [])

    def test_of_a_rejection(self) -> None:
        primitive = A_ASSOCIATE.from_wire(pdus.AssociateRJ(2, 3, 1))
        assert (primitive.result, primitive.result_source, primitive.diagnostic) == (2, 3, 1)
        assert primitive.result_str == "Rejected Transient"
        assert primitive.source_str == "Service Provider (Presentation)"
        assert primitive.reason_str == "Temporary congestion"

    def test_of_what_breaks_the_standard(self) -> None:
        rejection = A_ASSOCIATE.from_wire(pdus.AssociateRJ(9, 9, 9))
        assert (rejection.result, rejection.result_source, rejection.diagnostic) == (1, None, None)
        contexts = (
            pdus.ProposedContext(2, CT, (IMPLICIT,)),
            pdus.ProposedContext(3, "1" * 65, (IMPLICIT,)),
            pdus.ProposedContext(5, CT, ("1" * 65,)),
            pdus.ProposedContext(7, CT, ()),
        )
        request = A_ASSOCIATE.from_wire(pdus.AssociateRQ("", "A\\B", contexts, pdus.UserInformation()))
        assert (request.called_ae_title, request.calling_ae_title) == ("", "A\\B")
        assert [item.context_id for item in request.presentation_context_definition_list] == [7]


def test_release() -> None:
    primitive = A_RELEASE()
    assert (primitive.reason, primitive.result) == ("normal", None)
    primitive.result = "affirmative"
    assert primitive.result == "affirmative"


def test_aborts() -> None:
    user, provider = A_ABORT(), A_P_ABORT()
    with pytest.raises(ValueError, match="abort_source"):
        _ = user.abort_source
    with pytest.raises(ValueError, match="provider_reason"):
        _ = provider.provider_reason
    user.abort_source, provider.provider_reason = 0, 6
    assert (user.abort_source, provider.provider_reason) == (0, 6)


def test_data() -> None:
    primitive = P_DATA()
    primitive.presentation_data_value_list = [(1, b"\x03abc"), (3, b"")]
    assert primitive.presentation_data_value_list == [(1, b"\x03abc"), (3, b"")]
    assert str(primitive).splitlines() == [
        "P-DATA",
        "  Context ID: 1",
        "  Value Length: 4 bytes",
        "  Message Control Header Byte: 00000011",
        "    Command information, the last fragment of the DIMSE message",
        "  Context ID: 3",
        "  Value Length: 0 bytes",
    ]
