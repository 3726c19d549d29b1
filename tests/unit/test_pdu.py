"""The PDUs and items that handlers are given, over what real peers sent."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dulcimer import pdu as public
from dulcimer.pdu_items import (
    AbstractSyntaxSubItem,
    ApplicationContextItem,
    MaximumLengthSubItem,
    PDUItem,
    TransferSyntaxSubItem,
    UserIdentitySubItemRQ,
    parse_item,
)
from dulcimer.pdu_primitives import A_ABORT, A_ASSOCIATE, A_P_ABORT, A_RELEASE, P_DATA
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import (
    Abort,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    AsyncOperations,
    CommonExtendedNegotiation,
    ContextResult,
    ExtendedNegotiation,
    ProposedContext,
    ReleaseRP,
    ReleaseRQ,
    RoleSelection,
    UserIdentity,
    UserInformation,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "control_pdus.json").read_text())

FULL = AssociateRQ(
    "CALLED",
    "CALLING",
    (
        ProposedContext(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")),
        ProposedContext(3, "1.2.3", ("1.2.840.10008.1.2",)),
    ),
    UserInformation(
        16382,
        "1.2.3.4",
        "VERSION",
        AsyncOperations(3, 2),
        (RoleSelection("1.2.840.10008.1.1", True, False),),
        (ExtendedNegotiation("1.2.840.10008.1.1", b"\1\2"),),
        (CommonExtendedNegotiation("1.2.3", "1.2.840.10008.4.2", ("1.2.4", "1.2.5.6"), 1),),
        UserIdentity(2, b"user", b"secret", True),
        None,
        ((0x5F, b"own"),),
    ),
)
ANSWER = AssociateAC(
    "CALLED",
    "CALLING",
    (ContextResult(1, 0, "1.2.840.10008.1.2"), ContextResult(3, 3)),
    UserInformation(0, "1.2.3.5", identity_response=b"token"),
)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_what_peers_sent_reads_as_the_codec_reads_it(vector: dict[str, Any]) -> None:
    encoded = bytes.fromhex(vector["hex"])
    found = public.parse(encoded)
    value = codec.decode(encoded[0], encoded[6:])
    assert found.encode() == encoded
    assert len(found) == found.pdu_length + 6 == len(encoded)
    assert found.pdu_type == encoded[0]
    assert found == public.parse(encoded) and hash(found) == hash(public.parse(encoded))
    assert str(found).startswith(f"{found.NAME} PDU\n")
    if isinstance(found, (public.A_ASSOCIATE_RQ, public.A_ASSOCIATE_AC)):
        assert isinstance(value, (AssociateRQ, AssociateAC))
        assert (found.called_ae_title, found.calling_ae_title) == (value.called, value.calling)
        assert found.application_context_name == value.application_context
        assert found.protocol_version == value.protocol_version
        assert found.user_information is not None
        assert found.user_information.maximum_length == value.user.max_length
        assert found.user_information.implementation_class_uid == value.user.implementation_class_uid
        assert found.user_information.implementation_version_name == value.user.implementation_version_name
        assert isinstance(found.to_primitive(), A_ASSOCIATE)
        assert [context.context_id for context in found.presentation_context] == [
            context.id for context in value.contexts
        ]
        assert b"".join(item.encode() for item in found.variable_items) == encoded[74:]
        for item in found.presentation_context:
            assert item.to_primitive().context_id == item.context_id
        for sub_item in found.user_information.user_data:
            if type(sub_item) is not PDUItem:
                assert sub_item.to_primitive() is not None  # type: ignore[attr-defined]
    if isinstance(found, public.A_ASSOCIATE_RQ):
        assert isinstance(value, AssociateRQ)
        assert [
            (context.abstract_syntax, tuple(context.transfer_syntax))
            for context in found.presentation_context
        ] == [(context.abstract_syntax, context.transfer_syntaxes) for context in value.contexts]


def test_an_association_request_in_full() -> None:
    found = public.parse(codec.encode(FULL))
    assert type(found) is public.A_ASSOCIATE_RQ
    first = found.variable_items[0]
    assert isinstance(first, ApplicationContextItem)
    assert first.application_context_name == found.application_context_name == "1.2.840.10008.3.1.1.1"
    context = found.presentation_context[0]
    abstract, implicit, _ = context.abstract_transfer_syntax_sub_items
    assert isinstance(abstract, AbstractSyntaxSubItem) and isinstance(implicit, TransferSyntaxSubItem)
    assert abstract.abstract_syntax == abstract.abstract_syntax_name == context.abstract_syntax
    assert implicit.transfer_syntax == implicit.transfer_syntax_name == "1.2.840.10008.1.2"
    assert context.presentation_context_id == context.context_id == 1
    assert context.item_type == 0x20 and context.item_length == len(context) - 4
    primitive = context.to_primitive()
    assert primitive.abstract_syntax == context.abstract_syntax
    assert primitive.transfer_syntax == context.transfer_syntax

    user = found.user_information
    assert user is not None and user.item_type == 0x50
    assert user.maximum_length == 16382
    window = user.async_ops_window
    assert window is not None
    assert (window.max_operations_invoked, window.max_operations_performed) == (3, 2)
    role = user.role_selection["1.2.840.10008.1.1"]  # type: ignore[index]
    assert (role.scu, role.scp, role.scu_role, role.scp_role) == (1, 0, 1, 0)
    assert role.uid == role.sop_class_uid and role.uid_length == 17
    (extended,) = user.ext_neg
    assert extended.app_info == b"\1\2" and extended.uid == "1.2.840.10008.1.1"
    (common,) = user.common_ext_neg
    assert common.related_general_sop_class_identification == ["1.2.4", "1.2.5.6"]
    assert common.related_general_sop_class_identification_length == 2 + 5 + 2 + 7
    assert common.sub_item_version == 1 and common.service_class_uid == "1.2.840.10008.4.2"
    identity = user.user_identity
    assert isinstance(identity, UserIdentitySubItemRQ)
    assert (identity.id_type, identity.id_type_str) == (2, "Username/Password")
    assert (identity.primary, identity.secondary) == (b"user", b"secret")
    assert identity.response_requested is True and identity.positive_response_requested == 1
    assert type(user.user_data[-1]) is PDUItem and user.user_data[-1].encode()[4:] == b"own"
    assert len(user.to_primitive()) == 8


def test_credentials_and_data_are_not_shown() -> None:
    shown = str(public.parse(codec.encode(FULL)))
    assert "secret" not in shown and "user\n" not in shown and "CALLING" in shown
    assert "Verification SOP Class" in shown
    data = public.parse(bytes.fromhex("04000000000c 00000008 01 02") + b"Smith^")
    assert "Smith" not in str(data) and "Smith" not in repr(data)


def test_an_acceptance() -> None:
    found = public.parse(codec.encode(ANSWER))
    assert type(found) is public.A_ASSOCIATE_AC
    assert (found.reserved_aet, found.reserved_aec) == ("CALLED", "CALLING")
    accepted, rejected = found.presentation_context
    assert (accepted.result, accepted.result_reason, accepted.result_str) == (0, 0, "Accepted")
    assert accepted.transfer_syntax == "1.2.840.10008.1.2"
    assert accepted.transfer_syntax_sub_item[0].transfer_syntax == accepted.transfer_syntax
    assert rejected.result == 3 and rejected.transfer_syntax is None
    assert rejected.to_primitive().result == 3
    assert found.user_information is not None
    identity = found.user_information.user_identity
    assert identity is not None and not isinstance(identity, UserIdentitySubItemRQ)
    assert identity.response == b"token" and identity.server_response_length == 5
    assert found.user_information.maximum_length == 0
    assert found.user_information.implementation_version_name is None


def test_a_rejection() -> None:
    found = public.parse(codec.encode(AssociateRJ(1, 1, 7)))
    assert type(found) is public.A_ASSOCIATE_RJ
    assert (found.result, found.source, found.reason_diagnostic) == (1, 1, 7)
    assert found.result_str == "Rejected (Permanent)"
    assert found.source_str == "DUL service-user"
    assert found.reason_str == "Called AE title not recognised"
    assert found.to_primitive().diagnostic == 7


def test_releases() -> None:
    request, response = public.parse(codec.encode(ReleaseRQ())), public.parse(codec.encode(ReleaseRP()))
    assert type(request) is public.A_RELEASE_RQ and type(response) is public.A_RELEASE_RP
    assert isinstance(request.to_primitive(), A_RELEASE)
    assert request.to_primitive().result is None and response.to_primitive().result == "affirmative"
    assert request != response


def test_aborts() -> None:
    user, provider = public.parse(codec.encode(Abort(0, 0))), public.parse(codec.encode(Abort(2, 6)))
    assert isinstance(user, public.A_ABORT_RQ) and isinstance(provider, public.A_ABORT_RQ)
    assert isinstance(user.to_primitive(), A_ABORT)
    primitive = provider.to_primitive()
    assert isinstance(primitive, A_P_ABORT) and primitive.provider_reason == 6
    assert (user.source_str, user.reason_str) == ("DUL service-user", "(no value available)")
    assert provider.reason_str == "Invalid PDU parameter value"
    assert public.parse(codec.encode(Abort(2, 1))).reason_str == "Unrecognised PDU"  # type: ignore[attr-defined]


def test_data() -> None:
    found = public.parse(bytes.fromhex("040000000012 00000004 01 03 4142 00000006 05 00 43444546"))
    assert type(found) is public.P_DATA_TF
    command, data = found.presentation_data_value_items
    assert (command.context_id, command.message_control_header_byte) == (1, "00000011")
    assert command.data == command.presentation_data_value == b"\3AB"
    assert command.item_length == 4
    assert (data.presentation_context_id, data.data) == (5, b"\0CDEF")
    primitive = found.to_primitive()
    assert isinstance(primitive, P_DATA)
    assert primitive.presentation_data_value_list == [(1, b"\3AB"), (5, b"\0CDEF")]
    with pytest.raises(NotImplementedError):
        _ = data.item_type


def test_no_such_pdu() -> None:
    with pytest.raises(ValueError, match="0x09"):
        public.parse(b"\x09\0\0\0\0\0")


@pytest.mark.parametrize(
    "kind", [cls for cls in PDUItem.__subclasses__() if not cls.__name__.startswith("_")]
)
def test_an_item_without_bytes_has_no_values(kind: type[PDUItem]) -> None:
    item = kind()
    assert len(item) == item.item_length == 0 and item.encode() == b""
    assert item == kind() and item != PDUItem.parse(b"\0\0\0\0")
    assert str(item).startswith(item.TITLE)


def test_decoding_again_changes_the_item() -> None:
    item = parse_item(bytes.fromhex("5100000400004000"))
    assert isinstance(item, MaximumLengthSubItem) and item.maximum_length_received == 16384
    item.decode(bytes.fromhex("5100000400000000"))
    assert item.maximum_length_received == 0
    assert item.to_primitive().maximum_length_received == 0


@pytest.mark.parametrize(
    "value",
    [
        replace(FULL, user=replace(FULL.user, unknown=(), common_extended=())),
        ANSWER,
        AssociateRJ(2, 3, 2),
        ReleaseRQ(),
        ReleaseRP(),
        Abort(0, 0),
        Abort(2, 4),
    ],
    ids=lambda value: type(value).__name__,
)
def test_primitives_there_and_back(value: Any) -> None:
    found = public.parse(codec.encode(value))
    again = type(found)(found.to_primitive())  # type: ignore[attr-defined]
    assert again == found and again.encode() == found.encode()
    if isinstance(found, (public.A_ASSOCIATE_RQ, public.A_ASSOCIATE_AC)):
        assert found.user_information is not None
        items = [*found.presentation_context, found.user_information, *found.user_information.user_data]
        for item in items:
            other = type(item)()
            other.from_primitive(item.to_primitive())  # type: ignore[attr-defined]
            assert other.encode() == item.encode()


def test_negotiation_items_as_sub_items() -> None:
    user = public.A_ASSOCIATE_RQ.received(codec.encode(FULL)).user_information
    assert user is not None
    primitives = user.to_primitive()
    assert len(primitives) == 8
    encoded = [item.encode() for item in user.user_data]
    for primitive in primitives:
        found = primitive.from_primitive()
        # The version of a common extended negotiation is not part of the primitive.
        assert found.encode() in encoded or found.item_type == 0x57


def test_data_there_and_back() -> None:
    primitive = P_DATA()
    primitive.presentation_data_value_list = [(1, b"\3AB"), (5, b"\0CDEF")]
    found = public.P_DATA_TF(primitive)
    assert found.encode() == bytes.fromhex("040000000012 00000004 01 03 4142 00000006 05 00 43444546")
    assert found.to_primitive().presentation_data_value_list == primitive.presentation_data_value_list
