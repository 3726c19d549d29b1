"""Who does right is not suspected: real programs as recorded, and ourselves."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from api.peers import Network, eventually
from dulcimer import build_role, evt
from dulcimer.protocol.dimse import conformance
from dulcimer.protocol.wire import codec
from dulcimer.quirks import Notebook

VECTORS = Path(__file__).parent.parent / "vectors"
CONTROL_PDUS: list[dict[str, Any]] = json.loads((VECTORS / "control_pdus.json").read_text())
COMMAND_SETS: list[dict[str, Any]] = json.loads((VECTORS / "command_sets.json").read_text())
VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
MPPS = "1.2.840.10008.3.1.2.3.3"
IMPLICIT = "1.2.840.10008.1.2"


@pytest.mark.parametrize("vector", CONTROL_PDUS, ids=lambda vector: str(vector["name"]))
def test_pdus_of_real_programs(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    notes = Notebook()
    codec.decode(data[0], data[6:], notes)
    assert not notes


@pytest.mark.parametrize("vector", COMMAND_SETS, ids=lambda vector: str(vector["name"]))
def test_commands_of_real_programs(vector: dict[str, Any]) -> None:
    assert not conformance.findings(bytes.fromhex(vector["hex"]))


@pytest.fixture
def net() -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


def image() -> Dataset:
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID, data.PatientID = CT_IMAGE, "1.2.3.4", "1"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = IMPLICIT
    return data


def test_ourselves_strictly(net: Network, caplog: pytest.LogCaptureFixture) -> None:
    """Both sides are strict, and both have nothing to say of the other."""
    caplog.set_level(logging.WARNING, logger="dulcimer")
    accepted: list[Any] = []
    stored: list[str] = []

    def store(event: Any) -> int:
        stored.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    def get(event: Any) -> Iterator[Any]:
        yield 1
        yield 0xFF00, image()

    server_ae, client = net.ae("SERVER"), net.ae("CLIENT")
    assert not client.strict
    server_ae.strict = client.strict = True
    server_ae.add_supported_context(CT_IMAGE, IMPLICIT, scu_role=True, scp_role=True)
    for uid in (VERIFICATION, STUDY_ROOT_GET, MPPS):
        server_ae.add_supported_context(uid, IMPLICIT)
    server = net.serve(
        [
            (evt.EVT_ACCEPTED, lambda event: accepted.append(event.assoc)),
            (evt.EVT_C_ECHO, lambda event: 0x0000),
            (evt.EVT_C_STORE, store),
            (evt.EVT_C_GET, get),
            (evt.EVT_N_CREATE, lambda event: (0x0000, event.attribute_list)),
        ],
        ae=server_ae,
    )
    for uid in (VERIFICATION, CT_IMAGE, STUDY_ROOT_GET, MPPS):
        client.add_requested_context(uid, IMPLICIT)
    host, port = server.server_address[:2]
    roles = [build_role(CT_IMAGE, scu_role=True, scp_role=True)]
    with client.associate(
        host, port, ae_title="SERVER", ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, store)]
    ) as assoc:
        assert assoc.send_c_echo().Status == 0
        assert assoc.send_c_store(image()).Status == 0
        query = Dataset()
        query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", "1.2"
        answers = [status.Status for status, _ in assoc.send_c_get(query, STUDY_ROOT_GET)]
        assert answers[-1] == 0x0000
        step = Dataset()
        step.PerformedProcedureStepStatus = "IN PROGRESS"
        assert assoc.send_n_create(step, MPPS, "1.2.3")[0].Status == 0
    assert assoc.is_released
    assert eventually(lambda: accepted[0].is_released)
    assert stored == ["1.2.3.4", "1.2.3.4"]
    assert assoc.quirks == accepted[0].quirks == []
    assert caplog.records == []
