"""Against Orthanc in both roles: C-STORE, C-FIND, C-GET, C-MOVE."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api.peers import Network
from dulcimer import build_context, build_role, evt
from dulcimer.sop_class import Verification
from interop.archives import Orthanc, needs_orthanc
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

pytestmark = [pytest.mark.interop, needs_orthanc]

NUMBER = 4
UIDS = [f"{STUDY}.1.{number}" for number in range(1, NUMBER + 1)]


@pytest.fixture
def net() -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with Orthanc(tmp_path_factory.mktemp("orthanc") / "files") as running:
        yield running


@pytest.fixture
def orthanc(process: Orthanc) -> Orthanc:
    """An Orthanc that holds nothing."""
    for patient in process.rest("patients"):
        process.rest(f"patients/{patient}", method="DELETE")
    return process


@pytest.fixture
def filled(net: Network, orthanc: Orthanc) -> Orthanc:
    assoc = net.associate(orthanc.port, [build_context(CAPTURE, EXPLICIT)], ae_title=orthanc.title)
    for number in range(1, NUMBER + 1):
        assert assoc.send_c_store(instance(number)).Status == 0x0000
    assoc.release()
    assert assoc.is_released
    assert len(orthanc.rest("instances")) == NUMBER
    return orthanc


def associate(net: Network, orthanc: Orthanc, *handlers: tuple[Any, ...]) -> Any:
    contexts = [*MODELS, build_context(CAPTURE, EXPLICIT), Verification]
    role = build_role(CAPTURE, scu_role=True, scp_role=True)
    assoc = net.associate(orthanc.port, contexts, handlers, ext_neg=[role], ae_title=orthanc.title)
    assert assoc.is_established
    return assoc


def codes(results: list[Any]) -> list[int]:
    return [status.Status for status, _ in results]


# ---- we ask -------------------------------------------------------------------------------------------


def test_we_find(net: Network, filled: Orthanc) -> None:
    assoc = associate(net, filled)
    results = list(assoc.send_c_find(query("STUDY", PatientName="DOE*", StudyInstanceUID=""), FIND))
    assert codes(results) == [0xFF00, 0x0000]
    assert results[0][1].StudyInstanceUID == STUDY
    level = query("IMAGE", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1", SOPInstanceUID="")
    results = list(assoc.send_c_find(level, FIND))
    assert sorted(str(identifier.SOPInstanceUID) for _, identifier in results[:-1]) == UIDS
    # And who stops early may go on with something else.
    for _ in assoc.send_c_find(level, FIND):
        break
    assert assoc.send_c_echo().Status == 0x0000
    assert codes(list(assoc.send_c_find(query("STUDY", PatientName="NOBODY"), FIND))) == [0x0000]
    assoc.release()
    assert assoc.is_released


def test_we_get(net: Network, filled: Orthanc) -> None:
    received = Received()
    assoc = associate(net, filled, (evt.EVT_C_STORE, received))
    results = list(assoc.send_c_get(query("STUDY", StudyInstanceUID=STUDY), GET))
    assert codes(results)[-1] == 0x0000
    assert results[-1][0].NumberOfCompletedSuboperations == NUMBER
    assert received.uids == UIDS
    assert {bytes(found.PixelData) for found in received.datasets} == {
        bytes(instance(number).PixelData) for number in range(1, NUMBER + 1)
    }
    assoc.release()
    assert assoc.is_released


def test_we_move(net: Network, filled: Orthanc) -> None:
    received = Received()
    contexts = [build_context(CAPTURE, [EXPLICIT, IMPLICIT])]
    server = net.serve([(evt.EVT_C_STORE, received)], contexts)
    filled.knows("OURS", server.server_address[1])
    assoc = associate(net, filled)
    results = list(assoc.send_c_move(query("STUDY", StudyInstanceUID=STUDY), "OURS", MOVE, msg_id=33))
    assert codes(results)[-1] == 0x0000
    assert received.uids == UIDS
    assert {originator for originator, _ in received.originators} <= {"CLIENT", None}
    assoc.release()
    assert assoc.is_released


def test_we_move_to_nobody(net: Network, filled: Orthanc) -> None:
    assoc = associate(net, filled)
    status = list(assoc.send_c_move(query("STUDY", StudyInstanceUID=STUDY), "NOBODY", MOVE))[-1][0]
    assert status.Status not in (0x0000, 0xFF00)


# ---- Orthanc asks -------------------------------------------------------------------------------------


@pytest.fixture
def archive(net: Network, orthanc: Orthanc) -> Archive:
    """Our archive, which Orthanc knows as a modality."""
    made = Archive([instance(number) for number in range(1, NUMBER + 1)])
    made.destinations[orthanc.title] = ("127.0.0.1", orthanc.port)
    ae = net.ae("OURS")
    ae.requested_contexts = [build_context(CAPTURE, EXPLICIT)]
    server = net.serve(made.handlers(), made.contexts(), ae=ae)
    orthanc.knows("OURS", server.server_address[1])
    return made


def test_it_echoes(archive: Archive, orthanc: Orthanc) -> None:
    orthanc.rest("modalities/OURS/echo", {})


def test_it_finds_and_retrieves(archive: Archive, orthanc: Orthanc) -> None:
    asked = orthanc.rest("modalities/OURS/query", {"Level": "Study", "Query": {"PatientName": "Doe*"}})
    answers = orthanc.rest(f"queries/{asked['ID']}/answers?expand&simplify")
    assert [answer["StudyInstanceUID"] for answer in answers] == [STUDY]
    assert archive.identifiers[-1].QueryRetrieveLevel == "STUDY"
    orthanc.rest(f"queries/{asked['ID']}/retrieve", {"TargetAet": orthanc.title, "Synchronous": True})
    stored = orthanc.rest("instances?expand")
    assert sorted(found["MainDicomTags"]["SOPInstanceUID"] for found in stored) == UIDS


def test_it_finds_nothing(archive: Archive, orthanc: Orthanc) -> None:
    asked = orthanc.rest("modalities/OURS/query", {"Level": "Study", "Query": {"PatientName": "Nobody*"}})
    assert orthanc.rest(f"queries/{asked['ID']}/answers") == []


def test_it_moves(archive: Archive, orthanc: Orthanc) -> None:
    orthanc.rest(
        "modalities/OURS/move",
        {
            "Level": "Study",
            "Resources": [{"StudyInstanceUID": STUDY}],
            "TargetAet": orthanc.title,
            "Synchronous": True,
        },
    )
    assert len(orthanc.rest("instances")) == NUMBER
