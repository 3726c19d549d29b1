"""What is negotiated between two real ends (PS3.8 7.1.1, PS3.7 Annex D)."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from api.peers import (
    EXPLICIT,
    IMPLICIT,
    PATIENCE,
    Log,
    Network,
    RawPeer,
    eventually,
    flags,
)
from dulcimer import build_context, build_role, evt
from dulcimer.failure import FailureKind, Party
from dulcimer.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from dulcimer.protocol.wire.pdus import (
    AssociateAC,
    AssociateRJ,
    ContextResult,
    UserInformation,
)
from dulcimer.sop_class import CTImageStorage, ModalityPerformedProcedureStep, MRImageStorage, Verification

MPPS = ModalityPerformedProcedureStep
BIG_ENDIAN = "1.2.840.10008.1.2.2"


# -- Presentation contexts


def test_accepted_and_rejected_contexts(net: Network) -> None:
    theirs = Log()
    supported = [Verification, build_context(CTImageStorage, [EXPLICIT, IMPLICIT])]
    server = net.serve(theirs.handlers, supported)
    proposed = [
        build_context(CTImageStorage, [IMPLICIT, EXPLICIT]),
        build_context(MRImageStorage, IMPLICIT),
        build_context(CTImageStorage, BIG_ENDIAN),
        build_context(Verification, IMPLICIT),
    ]
    assoc = net.associate(server, proposed)
    peer = theirs.assocs.get(timeout=PATIENCE)
    assert eventually(lambda: peer.is_established)
    for side in (assoc, peer):
        accepted = [(c.context_id, c.abstract_syntax, c.transfer_syntax) for c in side.accepted_contexts]
        # The acceptor's order of transfer syntaxes counts.
        assert accepted == [(1, CTImageStorage, [EXPLICIT]), (7, Verification, [IMPLICIT])]
        rejected = [(c.context_id, c.abstract_syntax, c.result) for c in side.rejected_contexts]
        assert rejected == [(3, MRImageStorage, 3), (5, CTImageStorage, 4)]
        assert all(c.result == 0 for c in side.accepted_contexts)
    assert all(c.as_scu and not c.as_scp for c in assoc.accepted_contexts)
    assert all(c.as_scp and not c.as_scu for c in peer.accepted_contexts)


def test_128_contexts(net: Network) -> None:
    contexts = [build_context(Verification) for _ in range(128)]
    assoc = net.associate(net.serve(contexts=[Verification]), contexts)
    assert [context.context_id for context in assoc.accepted_contexts] == list(range(1, 256, 2))
    assert assoc.send_c_echo().Status == 0x0000


def test_no_context_is_accepted(net: Network) -> None:
    ours = Log()
    assoc = net.associate(net.serve(contexts=[Verification]), [CTImageStorage, MPPS], ours.handlers)
    assert flags(assoc) == {"is_aborted": True}
    assert [context.result for context in assoc.rejected_contexts] == [3, 3]
    assert assoc.accepted_contexts == []
    assert (assoc.failure.kind, assoc.failure.by) == (FailureKind.ABORTED, Party.LOCAL)
    assert "no presentation context was accepted" in str(assoc.failure)
    assert "CT Image Storage" in str(assoc.failure)
    assert "ESTABLISHED" not in ours.names
    assert ours.is_over()


def test_a_transfer_syntax_that_was_not_proposed_is_no_acceptance(net: Network) -> None:
    def script(peer: RawPeer) -> None:
        peer.read()
        results = (ContextResult(1, 0, IMPLICIT), ContextResult(3, 0, EXPLICIT))
        peer.send(AssociateAC("SERVER", "CLIENT", results, UserInformation(16382, "1.2.3")))
        peer.read_pdu()

    contexts = [build_context(Verification, IMPLICIT), build_context(CTImageStorage, IMPLICIT)]
    assoc = net.associate(net.listen(script), contexts)
    assert [context.context_id for context in assoc.accepted_contexts] == [1]
    assert [context.context_id for context in assoc.rejected_contexts] == [3]


# -- Rejection


@pytest.mark.parametrize(
    ("settings", "codes", "words"),
    [
        ({"require_called_aet": True}, (1, 1, 7), "called AE title not recognised"),
        ({"require_calling_aet": ["SOMEONE", "ELSE"]}, (1, 1, 3), "calling AE title not recognised"),
    ],
)
def test_rejection_because_of_ae_titles(
    net: Network, settings: dict[str, Any], codes: tuple[int, int, int], words: str
) -> None:
    ours, theirs = Log(), Log()
    server = net.serve(theirs.handlers, [Verification], **settings)
    assoc = net.associate(server, [Verification], ours.handlers, ae_title="WRONG")
    assert flags(assoc) == {"is_rejected": True}
    failure = assoc.failure
    assert (failure.kind, failure.by) == (FailureKind.REJECTED, Party.PEER)
    assert (failure.result, failure.source, failure.reason) == codes
    assert failure.reason_text == words
    assert str(failure) == f"the association was rejected permanently by the peer: {words} (service user)"
    primitive = assoc.acceptor.primitive
    assert (primitive.result, primitive.result_source, primitive.diagnostic) == codes
    peer = theirs.assocs.get(timeout=PATIENCE)
    assert theirs.is_over()
    assert flags(peer) == {"is_rejected": True}
    assert peer.failure.by is Party.LOCAL
    assert ours.names == ["CONN_OPEN", "REQUESTED", "REJECTED", "CONN_CLOSE"]
    assert theirs.names == ours.names


@pytest.mark.parametrize("settings", [{"require_called_aet": True}, {"require_calling_aet": ["CLIENT"]}])
def test_the_right_ae_titles_are_accepted(net: Network, settings: dict[str, Any]) -> None:
    assoc = net.associate(net.serve(contexts=[Verification], **settings), [Verification])
    assert flags(assoc) == {"is_established": True}


def test_rejection_because_of_the_limit(net: Network) -> None:
    ae = net.ae("SERVER", maximum_associations=1)
    server = net.serve(contexts=[Verification], ae=ae)
    first = net.associate(server, [Verification])
    second = net.associate(server, [Verification])
    assert flags(second) == {"is_rejected": True}
    assert (second.failure.result, second.failure.source, second.failure.reason) == (2, 3, 2)
    assert "local limit exceeded" in str(second.failure)
    assert first.send_c_echo().Status == 0x0000
    first.release()
    assert eventually(lambda: not ae.active_associations)
    assert flags(net.associate(server, [Verification])) == {"is_established": True}


def test_rejection_by_a_scripted_peer(net: Network) -> None:
    def script(peer: RawPeer) -> None:
        peer.read()
        peer.send(AssociateRJ(2, 3, 1))
        peer.read_pdu()

    assoc = net.associate(net.listen(script), [Verification])
    assert flags(assoc) == {"is_rejected": True}
    assert str(assoc.failure) == (
        "the association was rejected for now by the peer: temporary congestion "
        "(service provider (presentation))"
    )


# -- Negotiation items


def identity(kind: int, secondary: bytes | None = None, response: bool = True) -> UserIdentityNegotiation:
    item = UserIdentityNegotiation()
    item.user_identity_type = kind
    item.primary_field = b"jane"
    if secondary is not None:
        item.secondary_field = secondary
    item.positive_response_requested = response
    return item


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("response", [True, False])
def test_user_identity(net: Network, kind: int, response: bool) -> None:
    seen: list[Any] = []
    secondary = b"secret" if kind == 2 else None

    def handle(event: evt.Event, *args: Any) -> tuple[bool, bytes]:
        seen.append((event.user_id_type, event.primary_field, event.secondary_field, args))
        return True, b"ticket"

    server = net.serve([(evt.EVT_USER_ID, handle, ["x"])], [Verification])
    assoc = net.associate(server, [Verification], ext_neg=[identity(kind, secondary, response)])
    assert flags(assoc) == {"is_established": True}
    assert seen == [(kind, b"jane", secondary, ("x",))]
    answer = assoc.acceptor.user_identity
    if not response:
        assert answer is None
    else:
        # Types 1 and 2 have no content in their response (PS3.7 D.3.3.7.2).
        assert answer.server_response == (b"ticket" if kind > 2 else b"")


@pytest.mark.parametrize("raises", [True, False])
def test_a_user_that_is_not_verified_is_rejected(net: Network, raises: bool) -> None:
    def handle(event: evt.Event) -> tuple[bool, None]:
        if raises:
            raise ValueError("no")
        return False, None

    server = net.serve([(evt.EVT_USER_ID, handle)], [Verification])
    assoc = net.associate(server, [Verification], ext_neg=[identity(2, b"wrong")])
    assert flags(assoc) == {"is_rejected": True}
    assert assoc.failure.kind is FailureKind.REJECTED


def test_without_a_handler_every_user_is_accepted(net: Network) -> None:
    assoc = net.associate(net.serve(contexts=[Verification]), [Verification], ext_neg=[identity(1)])
    assert flags(assoc) == {"is_established": True}
    assert assoc.acceptor.user_identity is None


@pytest.mark.parametrize(
    ("supported", "wanted", "roles", "requestor", "acceptor"),
    [
        ((True, True), (True, True), (True, True), (True, True), (True, True)),
        ((True, True), (False, True), (False, True), (False, True), (True, False)),
        ((True, False), (True, True), (True, False), (True, False), (False, True)),
        ((None, None), (True, True), None, (True, False), (False, True)),
    ],
)
def test_role_selection(
    net: Network,
    supported: tuple[Any, Any],
    wanted: tuple[bool, bool],
    roles: tuple[bool, bool] | None,
    requestor: tuple[bool, bool],
    acceptor: tuple[bool, bool],
) -> None:
    theirs = Log()
    ae = net.ae("SERVER")
    ae.add_supported_context(CTImageStorage, scu_role=supported[0], scp_role=supported[1])
    server = net.serve(theirs.handlers, ae=ae)
    role = build_role(CTImageStorage, scu_role=wanted[0], scp_role=wanted[1])
    assoc = net.associate(server, [CTImageStorage], ext_neg=[role])
    peer = theirs.assocs.get(timeout=PATIENCE)
    assert eventually(lambda: peer.is_established)
    (ours,), (its,) = assoc.accepted_contexts, peer.accepted_contexts
    assert (ours.as_scu, ours.as_scp) == requestor
    assert (its.as_scu, its.as_scp) == acceptor
    answer = assoc.acceptor.role_selection.get(CTImageStorage)
    assert (None if answer is None else (answer.scu_role, answer.scp_role)) == roles


def test_a_role_that_is_refused_rejects_the_context(net: Network) -> None:
    ae = net.ae("SERVER")
    ae.add_supported_context(CTImageStorage, scu_role=True, scp_role=False)
    ae.add_supported_context(Verification)
    role = build_role(CTImageStorage, scp_role=True)
    assoc = net.associate(net.serve(ae=ae), [CTImageStorage, Verification], ext_neg=[role])
    assert [(c.abstract_syntax, c.result) for c in assoc.rejected_contexts] == [(CTImageStorage, 1)]
    assert flags(assoc) == {"is_established": True}


def test_a_requestor_as_scp_is_sent_to(net: Network) -> None:
    """As in C-GET: the acceptor stores at the requestor."""
    theirs = Log()
    ae = net.ae("SERVER")
    ae.add_supported_context(CTImageStorage, scu_role=True, scp_role=True)
    server = net.serve(theirs.handlers, ae=ae)
    names: list[str] = []

    def on_store(event: evt.Event) -> int:
        names.append(str(event.dataset.PatientName))
        return 0x0000

    role = build_role(CTImageStorage, scu_role=True, scp_role=True)
    net.associate(server, [CTImageStorage], [(evt.EVT_C_STORE, on_store)], ext_neg=[role])
    peer = theirs.assocs.get(timeout=PATIENCE)
    assert eventually(lambda: peer.is_established)
    dataset = dcmread(str(get_testdata_file("CT_small.dcm", download=False)))
    assert peer.send_c_store(dataset).Status == 0x0000
    assert names == [str(dataset.PatientName)]


def test_sop_class_extended_negotiation(net: Network) -> None:
    seen: list[Any] = []

    def handle(event: evt.Event) -> dict[Any, bytes]:
        seen.append(event.app_info)
        return {CTImageStorage: b"\x01\x02"}

    item = SOPClassExtendedNegotiation()
    item.sop_class_uid = CTImageStorage
    item.service_class_application_information = b"\x03\x04"
    server = net.serve([(evt.EVT_SOP_EXTENDED, handle)], [CTImageStorage])
    assoc = net.associate(server, [CTImageStorage], ext_neg=[item])
    assert seen == [{CTImageStorage: b"\x03\x04"}]
    assert assoc.acceptor.sop_class_extended == {CTImageStorage: b"\x01\x02"}


def test_sop_class_common_extended_negotiation(net: Network) -> None:
    seen: list[Any] = []
    theirs = Log()

    def handle(event: evt.Event) -> dict[Any, Any]:
        seen.append(list(event.items))
        return dict(event.items)

    item = SOPClassCommonExtendedNegotiation()
    item.sop_class_uid = MRImageStorage
    item.service_class_uid = "1.2.840.10008.4.2"
    item.related_general_sop_class_identification = [CTImageStorage]
    server = net.serve([*theirs.handlers, (evt.EVT_SOP_COMMON, handle)], [CTImageStorage])
    net.associate(server, [CTImageStorage], ext_neg=[item])
    peer = theirs.assocs.get(timeout=PATIENCE)
    assert eventually(lambda: peer.is_established)
    assert seen == [[MRImageStorage]]
    assert peer.acceptor.accepted_common_extended == {MRImageStorage: ("1.2.840.10008.4.2", [CTImageStorage])}


@pytest.mark.parametrize("bound", [True, False])
def test_asynchronous_operations(net: Network, bound: bool) -> None:
    seen: list[Any] = []

    def handle(event: evt.Event) -> tuple[int, int]:
        seen.append((event.nr_invoked, event.nr_performed))
        return 4, 4

    item = AsynchronousOperationsWindowNegotiation()
    item.maximum_number_operations_invoked = 5
    item.maximum_number_operations_performed = 3
    server = net.serve([(evt.EVT_ASYNC_OPS, handle)] if bound else [], [Verification])
    assoc = net.associate(server, [Verification], ext_neg=[item])
    assert seen == ([(5, 3)] if bound else [])
    items = [type(item) for item in assoc.acceptor.user_information]
    assert (AsynchronousOperationsWindowNegotiation in items) == bound
    assert assoc.acceptor.asynchronous_operations == (1, 1)
    assert assoc.send_c_echo().Status == 0x0000
