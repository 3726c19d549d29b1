"""findscu, getscu and movescu: with an SCP of ours that does what is wanted, and with those of others."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from io import StringIO
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from cli.inprocess import dulcimer
from cli.tooling import DULCIMER, PYNETDICOM, Server, free_port, real_file, run
from dulcimer import AE, AllStoragePresentationContexts, build_context, evt
from dulcimer.cli.tools.inquiry import CANCELLED
from interop.dcmtk import needs, program
from node.served import environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm")
CT = "1.2.840.10008.5.1.4.1.1.2"
MODELS = (
    "1.2.840.10008.5.1.4.1.2.1.1",
    "1.2.840.10008.5.1.4.1.2.1.2",
    "1.2.840.10008.5.1.4.1.2.1.3",
    "1.2.840.10008.5.1.4.1.2.2.1",
    "1.2.840.10008.5.1.4.1.2.2.2",
    "1.2.840.10008.5.1.4.1.2.2.3",
    "1.2.840.10008.5.1.4.31",
    "1.2.840.10008.5.1.4.34.6.3",
)
STUDY = ("-S", "-k", "QueryRetrieveLevel=STUDY")


class Scp:
    """Answers as the test wants; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.models: list[str] = []
        self.destinations: list[str] = []
        self.extended: dict[Any, Any] = {}
        self.matches = 3
        self.patience = 0.0
        self.final: Any = None
        self.objects: list[Dataset] = [dcmread(real_file(name)) for name in NAMES]
        self.destination: tuple[str, int] | None = None
        self.sub_status = 0
        self.began, self.cancelled = Flag(), Flag()
        self.ae = AE("SCP")
        for uid in MODELS:
            self.ae.add_supported_context(uid)
        for context in AllStoragePresentationContexts:
            assert context.abstract_syntax is not None
            self.ae.add_supported_context(context.abstract_syntax, scu_role=True, scp_role=True)
        server = self.ae.start_server(
            ("127.0.0.1", 0),
            block=False,
            evt_handlers=[
                (evt.EVT_C_FIND, self._find),
                (evt.EVT_C_GET, self._get),
                (evt.EVT_C_MOVE, self._move),
                (evt.EVT_SOP_EXTENDED, self._extended),
            ],
        )
        assert server is not None
        self.port = str(server.server_address[1])

    def _note(self, event: Any) -> None:
        self.asked.append(event.identifier)
        self.models.append(str(event.context.abstract_syntax))

    def _extended(self, event: Any) -> dict[Any, bytes]:
        self.extended = dict(event.app_info)
        return self.extended

    def _find(self, event: Any) -> Iterator[tuple[Any, Dataset | None]]:
        self._note(event)
        for number in range(self.matches):
            if event.is_cancelled:
                self.cancelled.set()
                yield CANCELLED, None
                return
            match = Dataset()
            match.PatientName = f"Doe^Number {number}"
            match.PatientID = str(number)
            match.ScheduledProcedureStepSequence = [Dataset()]
            match.ScheduledProcedureStepSequence[0].Modality = "CT"
            yield 0xFF00, match
            self.began.set()
            if self.patience:
                self.cancelled.wait(self.patience)
        if self.final is not None:
            yield self.final, None

    def _get(self, event: Any) -> Iterator[Any]:
        self._note(event)
        if self.final is not None:
            yield 1
            yield self.final, None
            return
        yield len(self.objects)
        for dataset in self.objects:
            yield 0xFF00, dataset

    def _move(self, event: Any) -> Iterator[Any]:
        self._note(event)
        self.destinations.append(str(event.move_destination))
        if self.destination is None:
            yield None, None
            return
        contexts = [build_context(str(dataset.SOPClassUID)) for dataset in self.objects]
        yield *self.destination, {"contexts": contexts}
        yield len(self.objects)
        for dataset in self.objects:
            yield 0xFF00, dataset


@pytest.fixture
def scp() -> Iterator[Scp]:
    made = Scp()
    yield made
    made.ae.shutdown()


def test_a_table(scp: Scp) -> None:
    done = dulcimer(
        "findscu",
        "127.0.0.1",
        scp.port,
        "-P",
        "-k",
        "QueryRetrieveLevel=PATIENT",
        "-k",
        "PatientName",
        "-k",
        "PatientID",
    )
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "PatientName\tPatientID",
        "Doe^Number 0\t0",
        "Doe^Number 1\t1",
        "Doe^Number 2\t2",
    ]
    assert scp.models == ["1.2.840.10008.5.1.4.1.2.1.1"]
    assert scp.asked[0].QueryRetrieveLevel == "PATIENT"


def test_no_matches(scp: Scp) -> None:
    scp.matches = 0
    done = dulcimer("findscu", "127.0.0.1", scp.port, *STUDY, "-k", "PatientName")
    assert (done.code, done.out, done.err) == (0, "PatientName\n", "")


def test_csv_with_a_path_into_a_sequence(scp: Scp) -> None:
    key = "ScheduledProcedureStepSequence[0].Modality=CT"
    done = dulcimer("findscu", "127.0.0.1", scp.port, "-W", "-k", "PatientName", "-k", key, "--csv")
    assert (done.code, done.err) == (0, "")
    rows = list(csv.reader(StringIO(done.out)))
    assert rows[0] == ["PatientName", "ScheduledProcedureStepSequence.Modality"]
    assert rows[1] == ["Doe^Number 0", "CT"]
    assert len(rows) == 4
    assert scp.models == ["1.2.840.10008.5.1.4.31"]
    assert scp.asked[0].ScheduledProcedureStepSequence[0].Modality == "CT"


def test_json(scp: Scp) -> None:
    done = dulcimer("findscu", f"SCP@127.0.0.1:{scp.port}", *STUDY, "-k", "PatientName=Doe*", "--json")
    assert (done.code, done.err) == (0, "")
    found = [Dataset.from_json(json.loads(line)) for line in done.out.splitlines()]
    assert [match.PatientID for match in found] == ["0", "1", "2"]


def test_files(scp: Scp, tmp_path: Path) -> None:
    where = ["-w", "-od", str(tmp_path / "answers")]
    assert dulcimer("findscu", "127.0.0.1", scp.port, *STUDY, "-k", "PatientName", *where).code == 0
    files = sorted((tmp_path / "answers").iterdir())
    assert [path.name for path in files] == ["rsp000001.dcm", "rsp000002.dcm", "rsp000003.dcm"]
    assert dcmread(files[1]).PatientID == "1"
    assert dcmread(files[1]).file_meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.2.2.1"


def test_a_query_from_a_file(scp: Scp, tmp_path: Path) -> None:
    query = Dataset()
    query.PatientName = "From^File"
    query.StudyDate = ""
    (tmp_path / "query.json").write_text(query.to_json(), "utf-8")
    query.save_as(tmp_path / "query.dcm", implicit_vr=True, little_endian=True)
    for name in ("query.json", "query.dcm"):
        file = str(tmp_path / name)
        done = dulcimer("findscu", "127.0.0.1", scp.port, *STUDY, "-f", file, "-k", "PatientID=7", "--csv")
        assert (done.code, done.err) == (0, "")
        assert done.out.splitlines()[0] == "StudyDate,PatientName,PatientID"
        asked = scp.asked[-1]
        assert (asked.PatientName, asked.PatientID, asked.QueryRetrieveLevel) == ("From^File", "7", "STUDY")


def test_text_beyond_ascii_names_its_character_set(scp: Scp) -> None:
    assert dulcimer("findscu", "127.0.0.1", scp.port, *STUDY, "-k", "PatientName=Müller*").code == 0
    assert (scp.asked[0].SpecificCharacterSet, scp.asked[0].PatientName) == ("ISO_IR 192", "Müller*")


@pytest.mark.parametrize(
    ("options", "uid"),
    [
        (["-O"], "1.2.840.10008.5.1.4.1.2.3.1"),
        (["-U"], "1.2.840.10008.5.1.4.34.6.3"),
        (["--model", "worklist"], "1.2.840.10008.5.1.4.31"),
        (["--model", "1.2.840.10008.5.1.4.1.2.2.1"], "1.2.840.10008.5.1.4.1.2.2.1"),
    ],
)
def test_models(scp: Scp, options: list[str], uid: str) -> None:
    done = dulcimer("findscu", "127.0.0.1", scp.port, *options, "-k", "PatientName")
    if uid in MODELS:
        assert (done.code, scp.models) == (0, [uid])
    else:
        assert done.code == 1
        assert "does not support" in done.err


def test_extended_negotiation(scp: Scp) -> None:
    options = ["--relational-query", "--fuzzy-names", "--enhanced-conversion"]
    dulcimer("findscu", "127.0.0.1", scp.port, *STUDY, "-k", "PatientName", *options)
    assert scp.extended == {"1.2.840.10008.5.1.4.1.2.2.1": b"\1\0\1\0\1"}
    dulcimer("findscu", "127.0.0.1", scp.port, "-W", "-k", "PatientName", "--timezone-adj")
    assert scp.extended == {"1.2.840.10008.5.1.4.31": b"\1\1\0\1"}


def test_a_failure(scp: Scp) -> None:
    status = Dataset()
    status.Status = 0xA900
    status.ErrorComment = "no such level"
    scp.matches, scp.final = 1, status
    done = dulcimer("findscu", "127.0.0.1", scp.port, *STUDY, "-k", "PatientName")
    assert done.code == 1
    assert len(done.out.splitlines()) == 2
    assert "A900" in done.err
    assert "no such level" in done.err


def test_a_limit(scp: Scp) -> None:
    scp.matches, scp.patience = 1000, 5.0
    done = dulcimer("findscu", "127.0.0.1", scp.port, *STUDY, "-k", "PatientID", "--limit", "1", "--csv")
    assert (done.code, done.err) == (0, "")
    assert done.out.split() == ["PatientID", "0"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_cancels(scp: Scp) -> None:
    scp.matches, scp.patience = 1000, 20.0
    line = ("findscu", "127.0.0.1", scp.port, *STUDY, "-k", "PatientID", "--csv", "-v")
    with subprocess.Popen(
        [*DULCIMER, *line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as tool:
        assert tool.stderr is not None
        assert any("match 1" in text for text in iter(tool.stderr.readline, ""))
        os.kill(tool.pid, signal.SIGINT)
        assert any("C-CANCEL" in text for text in iter(tool.stderr.readline, ""))
        # The SCP may go on now, and sees it.
        scp.patience = 0.0
        scp.cancelled.set()
        out, err = tool.communicate(timeout=20)
    assert tool.returncode == 130
    assert out.split()[:2] == ["PatientID", "0"]
    assert "Traceback" not in err


def retrieve(tool: str, scp: Scp, folder: Path, *options: str) -> Any:
    key = ("-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3")
    return dulcimer(tool, "127.0.0.1", scp.port, *key, "-od", str(folder), *options)


def uids(folder: Path) -> list[str]:
    return sorted(str(dcmread(path).SOPInstanceUID) for path in folder.iterdir())


def expected(scp: Scp) -> list[str]:
    return sorted(str(dataset.SOPInstanceUID) for dataset in scp.objects)


def test_get(scp: Scp, tmp_path: Path) -> None:
    done = retrieve("getscu", scp, tmp_path / "got", "--json")
    assert (done.code, done.err) == (0, "")
    *stored, last = [json.loads(line) for line in done.out.splitlines()]
    assert sorted(line["sop_instance_uid"] for line in stored) == expected(scp) == uids(tmp_path / "got")
    assert (last["status"], last["completed"], last["failed"]) == ("0000", 3, 0)


def test_get_and_keep_nothing(scp: Scp, tmp_path: Path) -> None:
    done = retrieve("getscu", scp, tmp_path / "got", "--ignore")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert not (tmp_path / "got").exists()


def test_get_what_the_peer_cannot_send(scp: Scp, tmp_path: Path) -> None:
    """Only CT is proposed: the other two fail, and are named."""
    done = retrieve("getscu", scp, tmp_path / "got", "--sop-class", str(scp.objects[0].SOPClassUID))
    assert done.code == 1
    assert "B000" in done.err
    assert "1 completed, 2 failed" in done.err
    for dataset in scp.objects[1:]:
        assert f"failed: {dataset.SOPInstanceUID}" in done.err
    assert uids(tmp_path / "got") == [scp.objects[0].SOPInstanceUID]


def test_get_where_nothing_can_be_written(scp: Scp, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    done = retrieve("getscu", scp, tmp_path / "file")
    assert done.code == 1
    assert "objects cannot be written" in done.err


def test_a_refused_get(scp: Scp, tmp_path: Path) -> None:
    scp.final = 0xA701
    done = retrieve("getscu", scp, tmp_path / "got")
    assert done.code == 1
    assert "A701" in done.err


def test_move_to_here(scp: Scp, tmp_path: Path) -> None:
    port = free_port()
    scp.destination = ("127.0.0.1", port)
    line = ["--store", "--store-port", str(port), "--store-aet", "HERE", "--json"]
    done = retrieve("movescu", scp, tmp_path / "got", *line)
    assert (done.code, done.err) == (0, "")
    assert scp.destinations == ["HERE"]
    assert json.loads(done.out.splitlines()[-1])["completed"] == 3
    assert uids(tmp_path / "got") == expected(scp)


def test_move_to_nobody(scp: Scp, tmp_path: Path) -> None:
    done = retrieve("movescu", scp, tmp_path, "-aem", "NOBODY")
    assert (done.code, done.out) == (1, "")
    assert "A801" in done.err
    assert scp.destinations == ["NOBODY"]
    retrieve("movescu", scp, tmp_path)
    assert scp.destinations == ["NOBODY", "STORESCP"]


def test_move_to_whom_nobody_reaches(scp: Scp, tmp_path: Path) -> None:
    scp.destination = ("127.0.0.1", free_port())
    done = retrieve("movescu", scp, tmp_path)
    assert done.code == 1
    assert "A801" in done.err


def test_a_receiver_on_a_port_in_use(scp: Scp, tmp_path: Path) -> None:
    done = retrieve("movescu", scp, tmp_path, "--store", "--store-port", scp.port, "-ba", "127.0.0.1")
    assert done.code == 1
    assert "is in use" in done.err


@pytest.fixture(scope="module")
def dcmqrscp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, int]]:
    folder = tmp_path_factory.mktemp("dcmqrscp")
    (folder / "db").mkdir()
    port, destination = free_port(), free_port()
    (folder / "qr.cfg").write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\nstore = (STORESCP, localhost, {destination})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nQR {folder / 'db'} RW (200, 1024mb) ANY\nAETable END\n",
        "utf-8",
    )
    command = [str(program("dcmqrscp")), "-c", str(folder / "qr.cfg")]
    with Server(*command, folder=folder, port=port) as server:
        files = [str(real_file(name)) for name in NAMES]
        assert dulcimer("storescu", f"QR@localhost:{port}", *files).code == 0
        yield server, destination


@pytest.mark.interop
@needs("dcmqrscp")
def test_dcmtk(dcmqrscp: tuple[Server, int], tmp_path: Path) -> None:
    server, destination = dcmqrscp
    peer = f"QR@localhost:{server.port}"
    line = [*STUDY, "-k", "PatientName", "-k", "StudyInstanceUID", "--json"]
    done = dulcimer("findscu", peer, *line)
    assert (done.code, done.err) == (0, "")
    found = [Dataset.from_json(json.loads(text)) for text in done.out.splitlines()]
    assert len(found) == 3
    wanted = dcmread(real_file(NAMES[0]))
    key = [*STUDY, "-k", f"StudyInstanceUID={wanted.StudyInstanceUID}"]
    done = dulcimer("getscu", peer, *key, "-od", str(tmp_path / "got"))
    assert (done.code, done.out, done.err) == (0, "", "")
    assert uids(tmp_path / "got") == [wanted.SOPInstanceUID]
    more = ["--store", "--store-port", str(destination), "-od", str(tmp_path / "moved")]
    done = dulcimer("movescu", peer, *key, *more)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert uids(tmp_path / "moved") == [wanted.SOPInstanceUID]
    refused = dulcimer("findscu", peer, "-W", "-k", "PatientName")
    assert refused.code == 1
    assert "does not support" in refused.err


@pytest.mark.interop
def test_pynetdicom(tmp_path: Path) -> None:
    port, destination = free_port(), free_port()
    (tmp_path / "qr.ini").write_text(
        f"[DEFAULT]\nae_title: QRSCP\nport: {port}\nmax_pdu: 0\nacse_timeout: 30\ndimse_timeout: 30\n"
        f"network_timeout: 30\nbind_address:\ninstance_location: {tmp_path / 'instances'}\n"
        f"database_location: {tmp_path / 'db.sqlite'}\nlog_identifier: False\n"
        f"[STORESCP]\naddress: 127.0.0.1\nport: {destination}\n",
        "utf-8",
    )
    command = [*PYNETDICOM, "qrscp", "-c", str(tmp_path / "qr.ini")]
    with Server(*command, folder=tmp_path, port=port):
        peer = f"localhost:{port}"
        assert dulcimer("storescu", peer, *[str(real_file(name)) for name in NAMES[:2]]).code == 0
        done = dulcimer("findscu", peer, *STUDY, "-k", "StudyInstanceUID", "-k", "PatientName", "--csv")
        assert (done.code, done.err) == (0, "")
        assert len(done.out.splitlines()) == 3
        wanted = dcmread(real_file(NAMES[0]))
        key = [*STUDY, "-k", f"StudyInstanceUID={wanted.StudyInstanceUID}"]
        done = dulcimer("getscu", peer, *key, "-od", str(tmp_path / "got"))
        assert (done.code, done.out, done.err) == (0, "", "")
        assert uids(tmp_path / "got") == [wanted.SOPInstanceUID]
        more = ["--store", "--store-port", str(destination), "-od", str(tmp_path / "moved")]
        done = dulcimer("movescu", peer, *key, *more)
        assert (done.code, done.out, done.err) == (0, "", "")
        assert uids(tmp_path / "moved") == [wanted.SOPInstanceUID]


@pytest.mark.interop
def test_pynetdicoms_findscu_and_ours_see_the_same(scp: Scp, tmp_path: Path) -> None:
    line = [
        "findscu",
        "127.0.0.1",
        scp.port,
        "-S",
        "-k",
        "QueryRetrieveLevel=STUDY",
        "-k",
        "PatientName",
        "-w",
    ]
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    ours.mkdir()
    assert run(*PYNETDICOM, *line, cwd=theirs).returncode == 0
    assert run(*DULCIMER, *line, cwd=ours).returncode == 0
    names = [sorted(path.name for path in folder.iterdir()) for folder in (theirs, ours)]
    assert names[0] == names[1]
    for name in names[0]:
        assert dcmread(theirs / name) == dcmread(ours / name)


def test_a_context_for_compressed_instances_beside_the_other() -> None:
    from dulcimer.cli.tools.getscu import _storage

    contexts, roles = _storage(None)
    assert len(contexts) == 127
    classes = {str(context.abstract_syntax) for context in contexts}
    assert {str(role.sop_class_uid) for role in roles if role.scp_role} == classes
    first, second = [context for context in contexts if context.abstract_syntax == CT]
    assert not set(first.transfer_syntax) & set(second.transfer_syntax)
