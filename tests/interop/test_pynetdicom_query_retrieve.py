"""C-FIND, C-GET, C-MOVE and C-CANCEL against pynetdicom in both roles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import dulcimer
from api.peers import PATIENCE, Network
from dulcimer import build_context, evt
from interop.ours import (
    CAPTURE,
    EXPLICIT,
    FIND,
    GET,
    IMPLICIT,
    MODELS,
    MOVE,
    STUDY,
    Archive,
    Received,
    instance,
    query,
)

pynetdicom = pytest.importorskip("pynetdicom", reason="pynetdicom is not installed")
pytestmark = pytest.mark.interop

NUMBER = 4
UIDS = [f"{STUDY}.1.{number}" for number in range(1, NUMBER + 1)]


@pytest.fixture
def net() -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


@pytest.fixture
def archive() -> Archive:
    return Archive([instance(number) for number in range(1, NUMBER + 1)])


@pytest.fixture(params=["pynetdicom asks", "pynetdicom answers"])
def assoc(request: pytest.FixtureRequest, net: Network, archive: Archive) -> Iterator[Any]:
    """An association of one package with the archive of the other, and the move destination "STORE"."""
    ours, theirs = (dulcimer, pynetdicom)
    asking, answering = (theirs, ours) if request.param == "pynetdicom asks" else (ours, theirs)
    received, moved = Received(), Received()
    scp, scu = answering.AE("OURS"), asking.AE("SCU")
    for ae in (scp, scu):
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = PATIENCE
    for context in archive.contexts():
        scp.add_supported_context(
            context.abstract_syntax,
            context.transfer_syntax,
            scu_role=context.scu_role,
            scp_role=context.scp_role,
        )
    scp.requested_contexts = [answering.build_context(CAPTURE, EXPLICIT)]
    destination = net.serve([(evt.EVT_C_STORE, moved)], [build_context(CAPTURE, [EXPLICIT, IMPLICIT])])
    archive.destinations["STORE"] = ("127.0.0.1", destination.server_address[1])
    server = scp.start_server(("127.0.0.1", 0), block=False, evt_handlers=archive.handlers(answering.evt))
    for model in MODELS:
        scu.add_requested_context(model)
    scu.add_requested_context(CAPTURE, EXPLICIT)
    role = asking.build_role(CAPTURE, scu_role=True, scp_role=True)
    found = scu.associate(
        "127.0.0.1",
        server.server_address[1],
        ext_neg=[role],
        evt_handlers=[(asking.evt.EVT_C_STORE, received)],
    )
    assert found.is_established
    found.received, found.moved = received, moved
    yield found
    found.abort()
    server.shutdown()


def codes(results: list[Any]) -> list[int]:
    return [status.Status for status, _ in results]


def test_find(assoc: Any) -> None:
    results = list(assoc.send_c_find(query("IMAGE", PatientName="Doe*", SOPInstanceUID=""), FIND))
    assert codes(results) == [0xFF00] * NUMBER + [0x0000]
    assert [str(identifier.SOPInstanceUID) for _, identifier in results[:-1]] == UIDS
    assoc.release()
    assert assoc.is_released


def test_get(assoc: Any) -> None:
    results = list(assoc.send_c_get(query("STUDY", StudyInstanceUID=STUDY), GET))
    assert codes(results) == [0xFF00] * NUMBER + [0x0000]
    assert results[-1][0].NumberOfCompletedSuboperations == NUMBER
    assert assoc.received.uids == UIDS


def test_move(assoc: Any) -> None:
    results = list(assoc.send_c_move(query("STUDY", StudyInstanceUID=STUDY), "STORE", MOVE, msg_id=9))
    assert codes(results) == [0xFF00] * NUMBER + [0x0000]
    assert assoc.moved.uids == UIDS
    assert {number for _, number in assoc.moved.originators} == {9}


def test_move_to_nobody(assoc: Any) -> None:
    results = list(assoc.send_c_move(query("STUDY", StudyInstanceUID=STUDY), "NOBODY", MOVE))
    assert codes(results) == [0xA801]


def test_some_instances_are_refused(assoc: Any, archive: Archive) -> None:
    assoc.received.status = 0xA700
    results = list(assoc.send_c_get(query("STUDY", StudyInstanceUID=STUDY), GET))
    assert codes(results) == [0xFF00] * NUMBER + [0xA702]
    assert sorted(results[-1][1].FailedSOPInstanceUIDList) == UIDS


def test_a_get_is_cancelled(assoc: Any, archive: Archive) -> None:
    archive.instances = [instance(number) for number in range(1, 100)]
    results: list[Any] = []
    for result in assoc.send_c_get(query("STUDY", StudyInstanceUID=STUDY), GET):
        results.append(result)
        if len(results) == 2:
            assoc.send_c_cancel(1, query_model=GET)
    assert codes(results)[-1] == 0xFE00
    assert archive.cancelled.wait(PATIENCE)
    assert 2 <= len(assoc.received.datasets) < 99
