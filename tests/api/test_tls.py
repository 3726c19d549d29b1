"""Associations over TLS (PS3.15 B)."""

from __future__ import annotations

import os
import resource
import threading
from queue import Queue
from typing import Any

import pytest
from pydicom.dataset import Dataset

from api.peers import (
    PATIENCE,
    Certificates,
    Log,
    Network,
    client_context,
    eventually,
    flags,
    server_context,
)
from dulcimer import AE, evt
from dulcimer.failure import FailureKind, Party
from dulcimer.scp.reports import Peer, Reporter
from dulcimer.sop_class import ModalityPerformedProcedureStep, Verification
from dulcimer.tls import TLS

MPPS = ModalityPerformedProcedureStep


def test_tls(net: Network, certificates: Certificates) -> None:
    """With certificates on both sides, and enough data for many records."""

    def on_set(event: evt.Event) -> tuple[int, Dataset]:
        return 0x0000, event.modification_list

    theirs = Log()
    context = server_context(certificates, mutual=True)
    server = net.serve([*theirs.handlers, (evt.EVT_N_SET, on_set)], [MPPS], ssl_context=context)
    tls_args = (client_context(certificates, own=True), "localhost")
    assoc = net.associate(server, [MPPS], tls_args=tls_args)
    change = Dataset()
    change.EncapsulatedDocument = bytes(range(256)) * 4096
    for _ in range(3):
        status, answer = assoc.send_n_set(change, MPPS, "1.2.3")
        assert (status.Status, answer) == (0x0000, change)
    assoc.release()
    assert flags(assoc) == {"is_released": True}
    assert theirs.is_over()
    assert theirs.names[-2:] == ["RELEASED", "CONN_CLOSE"]


@pytest.mark.parametrize("tls", [False, True])
def test_large_requests_cross(net: Network, certificates: Certificates, tls: bool) -> None:
    """Both sides write more than the connection holds: who cannot write has to read."""
    large = Dataset()
    large.EncapsulatedDocument = bytes(range(256)) * 40_000
    theirs = Log()

    def on_set(event: evt.Event) -> tuple[int, Dataset]:
        return 0x0000, event.modification_list

    def on_event(event: evt.Event) -> tuple[int, Dataset]:
        return 0x0000, event.event_information

    server = net.serve(
        [*theirs.handlers, (evt.EVT_N_SET, on_set)],
        [MPPS],
        ssl_context=server_context(certificates) if tls else None,
    )
    tls_args = (client_context(certificates), "localhost") if tls else None
    assoc = net.associate(server, [MPPS], [(evt.EVT_N_EVENT_REPORT, on_event)], tls_args=tls_args)
    peer = theirs.assocs.get(timeout=PATIENCE)
    assert eventually(lambda: peer.is_established)
    answers: list[Any] = []
    together = threading.Barrier(2)

    def report() -> None:
        together.wait(PATIENCE)
        answers.append(peer.send_n_event_report(large, 1, MPPS, "1.2.3"))

    reporting = threading.Thread(target=report)
    reporting.start()
    together.wait(PATIENCE)
    answers += [assoc.send_n_set(large, MPPS, "1.2.3") for _ in range(3)]
    reporting.join(PATIENCE)
    assert not reporting.is_alive()
    assert [status.get("Status") for status, _ in answers] == [0x0000] * 4
    assert all(answer == large for _, answer in answers)


def test_tls_with_an_idle_requestor(net: Network, certificates: Certificates) -> None:
    ours, theirs = Log(), Log()
    server = net.serve(theirs.handlers, [Verification], ssl_context=server_context(certificates))
    tls_args = (client_context(certificates), "localhost")
    assoc = net.associate(server, [Verification], ours.handlers, tls_args=tls_args)
    peer = theirs.assocs.get(timeout=PATIENCE)
    assert eventually(lambda: peer.is_established)
    peer.release()
    assert ours.is_over()
    assert flags(assoc) == {"is_released": True}


def test_tls_with_an_authority_that_is_not_trusted(net: Network, certificates: Certificates) -> None:
    server = net.serve(contexts=[Verification], ssl_context=server_context(certificates))
    tls_args = (client_context(certificates, certificates.other_authority), "localhost")
    assoc = net.associate(server, [Verification], tls_args=tls_args)
    assert flags(assoc) == {"is_aborted": True}
    assert (assoc.failure.kind, assoc.failure.by) == (FailureKind.TLS, Party.LOCAL)
    assert "certificate" in str(assoc.failure)


def test_tls_with_the_wrong_name(net: Network, certificates: Certificates) -> None:
    server = net.serve(contexts=[Verification], ssl_context=server_context(certificates))
    tls_args = (client_context(certificates), "pacs.example.org")
    assoc = net.associate(server, [Verification], tls_args=tls_args)
    assert assoc.failure.kind is FailureKind.TLS
    assert "pacs.example.org" in str(assoc.failure)


def test_tls_without_the_certificate_that_the_server_wants(net: Network, certificates: Certificates) -> None:
    context = server_context(certificates, mutual=True)
    server = net.serve(contexts=[Verification], ssl_context=context)
    assoc = net.associate(server, [Verification], tls_args=(client_context(certificates), "localhost"))
    assert flags(assoc) == {"is_aborted": True}
    assert assoc.failure is not None
    own = (client_context(certificates, own=True), "localhost")
    assert flags(net.associate(server, [Verification], tls_args=own)) == {"is_established": True}


def test_a_plain_peer_at_a_tls_server(net: Network, certificates: Certificates) -> None:
    server = net.serve(contexts=[Verification], ssl_context=server_context(certificates))
    assoc = net.associate(server, [Verification])
    assert flags(assoc) == {"is_aborted": True}
    assert assoc.failure is not None
    tls_args = (client_context(certificates), "localhost")
    assert net.associate(server, [Verification], tls_args=tls_args).send_c_echo().Status == 0x0000


def test_a_tls_peer_at_a_plain_server(net: Network, certificates: Certificates) -> None:
    server = net.serve(contexts=[Verification])
    assoc = net.associate(server, [Verification], tls_args=(client_context(certificates), "localhost"))
    assert flags(assoc) == {"is_aborted": True}
    assert (assoc.failure.kind, assoc.failure.by) == (FailureKind.TLS, Party.PEER)
    assert "speak TLS" in str(assoc.failure)
    assert net.associate(server, [Verification]).send_c_echo().Status == 0x0000


def test_a_silent_peer_does_not_keep_others_from_a_tls_server(
    net: Network, certificates: Certificates
) -> None:
    server = net.serve(contexts=[Verification], ssl_context=server_context(certificates))
    net.connect(server)
    tls_args = (client_context(certificates), "localhost")
    assert net.associate(server, [Verification], tls_args=tls_args).send_c_echo().Status == 0x0000


def test_tls_with_more_than_1024_descriptors(net: Network, certificates: Certificates) -> None:
    """What select() cannot do."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2048, hard), hard))
    taken: list[int] = []
    try:
        while not taken or taken[-1] < 1100:
            taken.append(os.open(os.devnull, os.O_RDONLY))
        server = net.serve(contexts=[Verification], ssl_context=server_context(certificates))
        tls_args = (client_context(certificates), "localhost")
        assoc = net.associate(server, [Verification], tls_args=tls_args)
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()
        server.shutdown()
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("tls", [False, True])
def test_shutdown_does_not_wait_for_silent_peers(net: Network, certificates: Certificates, tls: bool) -> None:
    """Neither for one that requests nothing nor, in TLS, for one that does not shake hands."""
    context = server_context(certificates) if tls else None
    ae = net.ae("SERVER", acse_timeout=30)
    server = net.serve(contexts=[Verification], ae=ae, ssl_context=context)
    peer = net.connect(server)
    if not tls:
        assert eventually(lambda: ae.active_associations)
    stopping = threading.Thread(target=ae.shutdown)
    stopping.start()
    stopping.join(1)
    assert not stopping.is_alive()
    assert peer.read_pdu() == (0, b"")


def test_reports_over_a_new_association_with_tls(net: Network, certificates: Certificates) -> None:
    """A reporter opens the association in the SCP role, with certificates on both sides."""
    event_class = "1.2.840.10008.5.1.4.34.6.4"
    push = "1.2.840.10008.5.1.4.34.6.1"
    got: Queue[int] = Queue()

    def take(event: evt.Event) -> tuple[int, None]:
        got.put(event.event_type or 0)
        return 0x0000, None

    ae = AE("WATCHER")
    ae.add_supported_context(event_class, scu_role=True, scp_role=True)
    server = ae.start_server(
        ("localhost", 0),
        block=False,
        ssl_context=server_context(certificates, mutual=True),
        evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)],
    )
    certificate, key = certificates.client
    tls = TLS(certificate, key, certificates.authority)
    reporter = Reporter(AE("SITE"), {"WATCHER": Peer("localhost", server.server_address[1], tls)})
    reporter.send("WATCHER", push, "2.25.1", 1, context=event_class)
    assert got.get(timeout=PATIENCE) == 1
    reporter.close()
    server.shutdown()
