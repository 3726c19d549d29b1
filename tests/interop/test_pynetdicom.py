"""Against pynetdicom in both roles: C-ECHO, C-STORE, N-CREATE, N-SET, N-GET."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from pydicom.dataset import Dataset

from node.objects import (
    CT_IMAGE,
    MPPS,
    MPPS_RETRIEVE,
    SECONDARY_CAPTURE,
    completion,
    data_set_of,
    file_of,
    instance,
    new_step,
)
from node.served import Served, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pynetdicom = pytest.importorskip("pynetdicom", reason="pynetdicom is not installed")
pytestmark = pytest.mark.interop

VERIFICATION = "1.2.840.10008.1.1"
EXPLICIT = "1.2.840.10008.1.2.1"
SUCCESS = 0x0000


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("pynetdicom") / "data") as served:
        yield served


@pytest.fixture
def uid() -> str:
    return f"2.25.{random.getrandbits(120)}"


# -- pynetdicom calls


def call(node: Served, *classes: str) -> Any:
    ae = pynetdicom.AE("PYNETDICOM")
    for sop_class in classes:
        ae.add_requested_context(sop_class, [EXPLICIT])
    association = ae.associate(node.host, node.port, ae_title=node.aet)
    assert association.is_established
    return association


def test_its_echo(node: Served) -> None:
    association = call(node, VERIFICATION)
    assert association.send_c_echo().Status == SUCCESS
    association.release()
    assert association.is_released
    assert node.wait_for_log("PYNETDICOM@127.0.0.1").endswith("released")


@pytest.mark.parametrize("length", [0, 2, 20_000, 3_000_000])
def test_its_store(node: Served, uid: str, length: int, tmp_path: Path) -> None:
    data = instance(uid, pixels=random.randbytes(length))
    path = tmp_path / "one.dcm"
    path.write_bytes(file_of(data, uid))
    association = call(node, SECONDARY_CAPTURE)
    assert association.send_c_store(path).Status == SUCCESS
    association.release()
    (stored,) = [found for found in node.objects() if found.name == f"{uid}.dcm"]
    assert data_set_of(stored.read_bytes()) == data


def test_its_steps_from_created_to_completed(node: Served, uid: str) -> None:
    association = call(node, MPPS, MPPS_RETRIEVE)
    status, _ = association.send_n_create(new_step(), MPPS, uid)
    assert status.Status == SUCCESS
    change = Dataset()
    change.PerformedProcedureStepDescription = "Head"
    assert association.send_n_set(change, MPPS, uid)[0].Status == SUCCESS
    assert association.send_n_set(completion(), MPPS, uid)[0].Status == SUCCESS
    status, found = association.send_n_get([0x00400252, 0x00400254], MPPS_RETRIEVE, uid)
    assert status.Status == SUCCESS
    assert found.PerformedProcedureStepStatus == "COMPLETED"
    assert found.PerformedProcedureStepDescription == "Head"

    status, _ = association.send_n_set(completion("DISCONTINUED"), MPPS, uid)
    assert status.Status == 0x0110
    assert status.ErrorID == 0xA710
    assert status.ErrorComment == "Performed Procedure Step Object may no longer be updated"
    status, _ = association.send_n_create(new_step(), MPPS, uid)
    assert status.Status == 0x0111
    association.release()


def test_its_abort(node: Served) -> None:
    association = call(node, VERIFICATION)
    association.abort()
    association = call(node, VERIFICATION)
    assert association.send_c_echo().Status == SUCCESS
    association.release()


# -- pynetdicom is called


class Scp:
    """A pynetdicom server that keeps what it is sent."""

    def __init__(self) -> None:
        evt = pynetdicom.evt
        self.stored: list[bytes] = []
        self.steps: dict[str, Dataset] = {}
        self.asked: list[list[int]] = []
        ae = pynetdicom.AE("PYSCP")
        for sop_class in (VERIFICATION, SECONDARY_CAPTURE, MPPS, MPPS_RETRIEVE):
            ae.add_supported_context(sop_class)
        ae.require_called_aet = True
        self._server = ae.start_server(
            ("127.0.0.1", 0),
            block=False,
            evt_handlers=[
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_N_CREATE, self._create),
                (evt.EVT_N_SET, self._set),
                (evt.EVT_N_GET, self._get),
            ],
        )

    @property
    def peer(self) -> str:
        return f"PYSCP@127.0.0.1:{self._server.server_address[1]}"

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", int(self._server.server_address[1])

    def close(self) -> None:
        self._server.shutdown()

    def _store(self, event: Any) -> int:
        self.stored.append(event.request.DataSet.getvalue())
        return SUCCESS

    def _create(self, event: Any) -> tuple[int, Dataset]:
        self.steps[event.request.AffectedSOPInstanceUID] = event.attribute_list
        return SUCCESS, Dataset()

    def _set(self, event: Any) -> tuple[Dataset | int, Dataset | None]:
        step = self.steps.get(event.request.RequestedSOPInstanceUID)
        if step is None:
            return 0x0112, None
        if step.PerformedProcedureStepStatus == "COMPLETED":
            refusal = Dataset()
            refusal.Status = 0x0110
            refusal.ErrorComment = "no longer"
            refusal.ErrorID = 0xA710
            return refusal, None
        step.update(event.modification_list)
        return SUCCESS, event.modification_list

    def _get(self, event: Any) -> tuple[int, Dataset | None]:
        self.asked.append([int(tag) for tag in event.attribute_identifiers])
        step = self.steps.get(event.request.RequestedSOPInstanceUID)
        return (SUCCESS, step) if step is not None else (0x0112, None)


@pytest.fixture(scope="module")
def scp() -> Iterator[Scp]:
    made = Scp()
    yield made
    made.close()


def test_our_echo(scp: Scp) -> None:
    done = run("echo", scp.peer)
    assert done.code == 0, done
    assert done.out.startswith(f"{scp.peer} answers: ")


def test_our_echo_by_another_title(scp: Scp) -> None:
    done = run("echo", f"OTHER@{scp.peer.partition('@')[2]}")
    assert (done.code, done.out) == (3, ""), done
    assert "called AE title not recogni" in done.err


def test_our_store(scp: Scp, tmp_path: Path, uid: str) -> None:
    scp.stored.clear()
    data = instance(uid, pixels=random.randbytes(300_000))
    (tmp_path / "one.dcm").write_bytes(file_of(data, uid))
    other = instance(uid + "1", sop_class=CT_IMAGE)
    (tmp_path / "two.dcm").write_bytes(file_of(other, uid + "1", sop_class=CT_IMAGE))
    done = run("store", scp.peer, str(tmp_path), "--json")
    report = json.loads(done.out)
    assert (done.code, report["sent"]) == (1, 1), done
    assert scp.stored == [data]
    (failed,) = report["failed"]
    assert failed["file"].endswith("two.dcm")
    assert CT_IMAGE in failed["reason"]


def test_our_steps_by_the_library(scp: Scp, uid: str) -> None:
    from dulcimer import AE

    ae = AE("CT1")
    ae.add_requested_context(MPPS)
    ae.add_requested_context(MPPS_RETRIEVE)
    association = ae.associate(*scp.address, ae_title="PYSCP")
    assert association.is_established
    assert association.send_n_create(new_step(), MPPS, uid)[0].Status == SUCCESS
    status, values = association.send_n_set(completion(), MPPS, uid)
    assert status.Status == SUCCESS
    # The attribute list of the response: the values that were used.
    assert values == completion()
    status, values = association.send_n_set(completion(), MPPS, uid)
    assert (status.Status, status.ErrorID, status.ErrorComment) == (0x0110, 0xA710, "no longer")
    assert values is None
    status, found = association.send_n_get([0x00400252, 0x00100020], MPPS_RETRIEVE, uid)
    assert scp.asked[-1] == [0x00400252, 0x00100020]
    assert found is not None
    assert found.PerformedProcedureStepStatus == "COMPLETED"
    assert association.send_n_set(completion(), MPPS, "2.25.404")[0].Status == 0x0112
    association.release()
    assert association.is_released


def test_our_steps_by_the_command_line(scp: Scp) -> None:
    done = run("mpps", "create", scp.peer, "--patient-id", "P1", "--modality", "MR")
    assert done.code == 0, done
    created = done.out.strip()
    assert scp.steps[created].PerformedProcedureStepStatus == "IN PROGRESS"
    assert scp.steps[created].Modality == "MR"
    options = ["--status", "COMPLETED", "--series-uid", "2.25.9", "--protocol", "Knee"]
    done = run("mpps", "set", scp.peer, created, *options)
    assert (done.code, done.out) == (0, f"{created} COMPLETED\n"), done
    assert scp.steps[created].PerformedSeriesSequence[0].ProtocolName == "Knee"
    done = run("mpps", "set", scp.peer, created, *options)
    assert done.code == 1, done
    assert "no longer" in done.err
    assert "Error ID A710" in done.err
    done = run("mpps", "get", scp.peer, created, "--json")
    assert Dataset.from_json(done.out).PerformedProcedureStepStatus == "COMPLETED"
