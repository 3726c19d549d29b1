"""C-FIND, C-GET, C-MOVE and C-CANCEL against DCMTK in both roles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from api.peers import PATIENCE, Network
from dulcimer import build_context, build_role, evt
from interop import dcmtk
from interop.archives import DcmQrScp
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

pytestmark = [
    pytest.mark.interop,
    dcmtk.needs("findscu", "getscu", "movescu", "dcmqrscp", "storescp"),
]

NUMBER = 5


@pytest.fixture
def net() -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


# ---- DCMTK asks ---------------------------------------------------------------------------------------


@pytest.fixture
def archive() -> Archive:
    return Archive([instance(number) for number in range(1, NUMBER + 1)])


@pytest.fixture
def port(net: Network, archive: Archive) -> str:
    ae = net.ae("OURS")
    ae.requested_contexts = [build_context(CAPTURE, EXPLICIT)]
    return str(net.serve(archive.handlers(), archive.contexts(), ae=ae).server_address[1])


def test_findscu(port: str, archive: Archive, tmp_path: Path) -> None:
    keys = ("QueryRetrieveLevel=IMAGE", "PatientName=Doe*", "SOPInstanceUID", f"StudyInstanceUID={STUDY}")
    options = [option for key in keys for option in ("-k", key)]
    done = dcmtk.run("findscu", "-S", "-v", *options, "-X", "-od", str(tmp_path), "127.0.0.1", port)
    assert done.returncode == 0, done.stdout
    answers = [dcmread(path, force=True) for path in sorted(tmp_path.glob("rsp*.dcm"))]
    assert sorted(answer.SOPInstanceUID for answer in answers) == [
        f"{STUDY}.1.{number}" for number in range(1, NUMBER + 1)
    ]
    assert {str(answer.PatientName) for answer in answers} == {"Doe^Jane"}
    assert archive.identifiers[0].StudyInstanceUID == STUDY
    assert "Success" in done.stdout


def test_findscu_without_a_match(port: str, tmp_path: Path) -> None:
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName=Nobody*")
    done = dcmtk.run("findscu", "-S", "-v", *keys, "-X", "-od", str(tmp_path), "127.0.0.1", port)
    assert done.returncode == 0, done.stdout
    assert list(tmp_path.iterdir()) == []


def test_findscu_cancels(port: str, archive: Archive) -> None:
    archive.endless = True
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName")
    done = dcmtk.run("findscu", "-S", "-v", "--cancel", "3", *keys, "127.0.0.1", port)
    assert done.returncode == 0, done.stdout
    assert archive.cancelled.wait(PATIENCE)
    assert "Cancel" in done.stdout


@pytest.mark.parametrize("preferred", ["+xe", "+xi"])
def test_getscu(port: str, archive: Archive, tmp_path: Path, preferred: str) -> None:
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")
    done = dcmtk.run("getscu", "-S", "-v", preferred, *keys, "-od", str(tmp_path), "127.0.0.1", port)
    assert done.returncode == 0, done.stdout
    got = sorted((dcmread(path) for path in tmp_path.iterdir()), key=lambda found: int(found.InstanceNumber))
    assert len(got) == NUMBER
    for found, sent in zip(got, archive.instances, strict=True):
        assert found.SOPInstanceUID == sent.SOPInstanceUID
        assert found.PixelData == sent.PixelData
        assert found.PatientName == sent.PatientName


def test_movescu_to_itself(port: str, archive: Archive, tmp_path: Path) -> None:
    from interop.archives import free_port

    own = free_port()
    archive.destinations["MOVESCU"] = ("127.0.0.1", own)
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")
    arguments = ("-S", "-v", "+P", str(own), *keys, "-od", str(tmp_path), "127.0.0.1", port)
    done = dcmtk.run("movescu", *arguments)
    assert done.returncode == 0, done.stdout
    assert len(list(tmp_path.iterdir())) == NUMBER
    assert "Success" in done.stdout


def test_movescu_to_storescp(port: str, archive: Archive, tmp_path: Path) -> None:
    with dcmtk.StoreSCP(tmp_path) as storescp:
        archive.destinations["STORESCP"] = ("127.0.0.1", storescp.port)
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")
        done = dcmtk.run("movescu", "-S", "-v", "-aem", "STORESCP", *keys, "127.0.0.1", port)
        assert done.returncode == 0, done.stdout
        assert len(storescp.received()) == NUMBER


def test_movescu_to_nobody(port: str) -> None:
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")
    done = dcmtk.run("movescu", "-S", "-d", "-aem", "NOBODY", *keys, "127.0.0.1", port)
    assert done.returncode != 0
    assert "0xa801" in done.stdout.lower()


def test_movescu_cancels(port: str, archive: Archive, tmp_path: Path) -> None:
    archive.instances = [instance(number) for number in range(1, 200)]
    with dcmtk.StoreSCP(tmp_path) as storescp:
        archive.destinations["STORESCP"] = ("127.0.0.1", storescp.port)
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")
        done = dcmtk.run("movescu", "-S", "-d", "--cancel", "2", "-aem", "STORESCP", *keys, "127.0.0.1", port)
        assert archive.cancelled.wait(PATIENCE)
        assert 2 <= len(storescp.received()) < 199
    assert "0xfe00" in done.stdout.lower()


# ---- we ask -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored() -> Iterator[tuple[Network, Received, int]]:
    """Our move destination: what it received, and its port."""
    network = Network()
    received = Received()
    contexts = [build_context(CAPTURE, [EXPLICIT, IMPLICIT])]
    server = network.serve([(evt.EVT_C_STORE, received)], contexts)
    yield network, received, server.server_address[1]
    network.close()


@pytest.fixture(scope="module")
def dcmqrscp(
    tmp_path_factory: pytest.TempPathFactory, stored: tuple[Network, Received, int]
) -> Iterator[DcmQrScp]:
    with DcmQrScp(tmp_path_factory.mktemp("dcmqrscp"), ("OURS", stored[2])) as server:
        assoc = stored[0].associate(server.port, [build_context(CAPTURE, EXPLICIT)], ae_title=server.title)
        for number in range(1, NUMBER + 1):
            assert assoc.send_c_store(instance(number)).Status == 0x0000
        assoc.release()
        yield server


@pytest.fixture
def assoc(net: Network, dcmqrscp: DcmQrScp) -> Any:
    received = net.own(_Closing())
    found = net.associate(
        dcmqrscp.port,
        [*MODELS, build_context(CAPTURE, EXPLICIT)],
        [(evt.EVT_C_STORE, received)],
        ext_neg=[build_role(CAPTURE, scp_role=True)],
        ae_title=dcmqrscp.title,
    )
    assert found.is_established
    found.received = received
    return found


class _Closing(Received):
    def close(self) -> None:
        pass


UIDS = [f"{STUDY}.1.{number}" for number in range(1, NUMBER + 1)]


def images(**elements: Any) -> Any:
    given = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": f"{STUDY}.1", **elements}
    return query("IMAGE", **given)


def codes(results: list[Any]) -> list[int]:
    return [status.Status for status, _ in results]


def test_we_find_at_dcmqrscp(assoc: Any) -> None:
    results = list(assoc.send_c_find(images(SOPInstanceUID="", InstanceNumber=""), FIND))
    assert codes(results) == [0xFF00] * NUMBER + [0x0000]
    assert sorted(str(identifier.SOPInstanceUID) for _, identifier in results[:-1]) == UIDS
    results = list(assoc.send_c_find(query("STUDY", PatientName="Doe*", StudyInstanceUID=""), FIND))
    assert [str(identifier.PatientName) for _, identifier in results[:-1]] == ["Doe^Jane"]
    assert codes(list(assoc.send_c_find(query("STUDY", PatientName="Nobody"), FIND))) == [0x0000]
    assoc.release()
    assert assoc.is_released


def test_we_stop_finding_at_dcmqrscp(assoc: Any) -> None:
    for _ in assoc.send_c_find(images(SOPInstanceUID=""), FIND):
        break
    results = list(assoc.send_c_find(images(SOPInstanceUID=""), FIND))
    assert codes(results) == [0xFF00] * NUMBER + [0x0000]
    assoc.release()
    assert assoc.is_released


def test_we_get_at_dcmqrscp(assoc: Any) -> None:
    results = list(assoc.send_c_get(query("STUDY", StudyInstanceUID=STUDY), GET))
    assert codes(results)[-1] == 0x0000
    assert results[-1][0].NumberOfCompletedSuboperations == NUMBER
    assert assoc.received.uids == UIDS
    assoc.release()
    assert assoc.is_released


def test_we_get_what_our_handler_refuses(assoc: Any) -> None:
    assoc.received.status = 0xA700
    status, identifier = list(assoc.send_c_get(query("STUDY", StudyInstanceUID=STUDY), GET))[-1]
    assert status.NumberOfFailedSuboperations >= 1
    assert status.Status != 0x0000
    assert identifier is None or "FailedSOPInstanceUIDList" in identifier


def test_we_move_at_dcmqrscp(assoc: Any, stored: tuple[Network, Received, int]) -> None:
    received = stored[1]
    received.datasets.clear()
    results = list(assoc.send_c_move(query("STUDY", StudyInstanceUID=STUDY), "OURS", MOVE, msg_id=21))
    assert codes(results)[-1] == 0x0000
    assert set(codes(results)[:-1]) <= {0xFF00}
    assert results[-1][0].NumberOfCompletedSuboperations == NUMBER
    assert received.uids == UIDS
    assert received.originators[-1] == ("CLIENT", 21)


def test_we_move_to_nobody_at_dcmqrscp(assoc: Any) -> None:
    results = list(assoc.send_c_move(query("STUDY", StudyInstanceUID=STUDY), "NOBODY", MOVE))
    assert codes(results) == [0xA801]


def test_we_cancel_at_dcmqrscp(assoc: Any) -> None:
    results = assoc.send_c_get(query("STUDY", StudyInstanceUID=STUDY), GET)
    status, _ = next(results)
    assoc.send_c_cancel(1, query_model=GET)
    last = codes([(status, None), *results])[-1]
    # It may have been done before it heard of it.
    assert last in (0xFE00, 0x0000)
    assert codes(list(assoc.send_c_find(query("STUDY", StudyInstanceUID=""), FIND))) == [0xFF00, 0x0000]
