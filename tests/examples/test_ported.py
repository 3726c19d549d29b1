"""Programs written for pynetdicom with renamed imports, beside what they were: the same peers meet both.

Those in ``examples/ported`` import Dulcimer. Here they are run as they are and, with the package's name put
back, with pynetdicom; what they print, what they keep and what their peers are answered has to be the same.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from api.peers import PATIENCE, eventually
from cli.tooling import DULCIMER, free_port
from dulcimer import AE
from dulcimer.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
    Verification,
)
from support.real_files import shipped

pytestmark = pytest.mark.interop
pytest.importorskip("pynetdicom")

PORTED = Path(__file__).resolve().parents[2] / "examples" / "ported"
HOST = "127.0.0.1"
PACKAGES = ("dulcimer", "pynetdicom")
FILES = (
    "CT_small.dcm",
    "MR_small_implicit.dcm",
    "SC_rgb_small_odd_big_endian.dcm",
    "JPEG2000.dcm",
    "image_dfl.dcm",
)
OWN = (0x00020000, 0x00020012, 0x00020013)
"""What differs in the files by intent: the implementation, and so the length of the group."""


def program(name: str, package: str, folder: Path) -> Path:
    """Return a program for one of the packages."""
    text = (PORTED / f"{name}.py").read_text("utf-8")
    assert "pynetdicom" not in text
    path = folder / f"{name}_{package}.py"
    path.write_text(re.sub(r"\bdulcimer\b", package, text), "utf-8")
    return path


class Running:
    """A program that serves, and what it has printed."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def lines(self) -> list[str]:
        return self._log.read_text("utf-8").splitlines()

    def wait_for(self, text: str, times: int = 1) -> None:
        def there() -> bool:
            assert self._process.poll() is None, self.lines()
            return sum(text in line for line in self.lines()) >= times

        assert eventually(there), self.lines()


@contextmanager
def serving(arguments: list[Any], port: int, log: Path) -> Iterator[Running]:
    """Run a program that listens on a port until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(list(map(str, arguments)), stdout=output, stderr=subprocess.STDOUT)
        try:
            give_up = monotonic() + PATIENCE
            while not established(port):
                assert process.poll() is None, log.read_text()
                assert monotonic() < give_up, "the server does not listen"
                sleep(0.05)
            yield Running(process, log)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def established(port: int) -> bool:
    ae = AE("PROBE")
    ae.add_requested_context(Verification)
    assoc = ae.associate(HOST, port)
    if assoc.is_established:
        assoc.release()
    return assoc.is_released


@pytest.fixture(scope="module")
def files() -> list[Path]:
    """Real objects in five transfer syntaxes."""
    by_name = {path.name: path for path in shipped()}
    return [by_name[name] for name in FILES]


def kept(folder: Path) -> dict[str, tuple[Any, Dataset]]:
    """Return what a program has kept: File Meta Information and data set by file name."""
    found = {}
    for path in sorted(folder.iterdir()):
        dataset = dcmread(path)
        meta = [element for element in dataset.file_meta if element.tag not in OWN]
        found[path.name] = meta, Dataset(dataset)
    return found


# ---- a storage SCP


def store(path: Path, port: int) -> int:
    """Send a file as it is; return the status."""
    dataset = dcmread(path, stop_before_pixels=True)
    ae = AE("SENDER")
    ae.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    with ae.associate(HOST, port, ae_title="ARCHIVE") as assoc:
        assert assoc.is_established, assoc.failure
        return int(assoc.send_c_store(path).Status)


@pytest.mark.parametrize("encoded", [False, True])
def test_storage_scp(files: list[Path], tmp_path: Path, encoded: bool) -> None:
    printed, stored = {}, {}
    for package in PACKAGES:
        port = free_port()
        folder = tmp_path / package
        arguments = [sys.executable, program("storage_scp", package, tmp_path), port, folder]
        with serving(arguments + ["--encoded"] * encoded, port, tmp_path / f"{package}.log") as scp:
            assert [store(path, port) for path in files] == [0x0000] * len(files)
            scp.wait_for("SENDER has released", len(files))
            printed[package] = sorted(scp.lines())
        stored[package] = kept(folder)
    assert printed["dulcimer"] == printed["pynetdicom"]
    assert "SENDER proposes 1 contexts" in printed["dulcimer"]
    assert stored["dulcimer"] == stored["pynetdicom"]
    for path in files:
        original = dcmread(path)
        name = f"{original.SOPInstanceUID}.dcm"
        assert stored["dulcimer"][name][1] == Dataset(original)


# ---- a query/retrieve SCU


def test_query_retrieve_scu(files: list[Path], tmp_path: Path) -> None:
    objects = files[:2]
    (patient,) = {dcmread(path).PatientID for path in objects[:1]}
    node_port, own_port = free_port(), free_port()
    configuration = tmp_path / "qr.ini"
    configuration.write_text(f"[DEFAULT]\nae_title: QRSCP\n[QR_SCU]\naddress: {HOST}\nport: {own_port}\n")
    node = [*DULCIMER, "qrscp", "--port", node_port, "-c", configuration]
    printed, stored = {}, {}
    with serving([*node, "--instance-location", tmp_path / "data"], node_port, tmp_path / "node.log"):
        for path in objects:
            assert store(path, node_port) == 0x0000
        for package in PACKAGES:
            folder = tmp_path / package
            arguments = [HOST, node_port, patient, own_port, folder]
            done = subprocess.run(
                [sys.executable, str(program("qr_scu", package, tmp_path)), *map(str, arguments)],
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            printed[package] = done.stdout.splitlines()
            stored[package] = [kept(folder / each) for each in ("got", "moved")]
    assert printed["dulcimer"] == printed["pynetdicom"]
    text = "\n".join(printed["dulcimer"])
    assert "C-GET: 0x0000 after 1 pending, 1 completed, 0 failed, 0 with warnings" in text
    assert "C-MOVE: 0x0000 after 1 pending, 1 completed, 0 failed, 0 with warnings" in text
    assert "C-MOVE to nowhere: 0xA801" in text
    assert stored["dulcimer"] == stored["pynetdicom"]
    (got, moved) = stored["dulcimer"]
    assert got.keys() == moved.keys() == {f"{dcmread(objects[0]).SOPInstanceUID}.dcm"}


# ---- an MPPS SCP

STEP = UID("1.2.826.0.1.3680043.8.498.1")


def step(status: str) -> Dataset:
    dataset = Dataset()
    dataset.PatientID = "P1"
    dataset.PatientName = "Doe^Jane"
    dataset.PerformedProcedureStepStatus = status
    dataset.PerformedSeriesSequence = []
    return dataset


def change(status: str, images: int) -> Dataset:
    dataset = Dataset()
    dataset.PerformedProcedureStepStatus = status
    series = Dataset()
    series.SeriesInstanceUID = "1.2.3"
    series.ReferencedImageSequence = [Dataset() for _ in range(images)]
    for number, image in enumerate(series.ReferencedImageSequence, 1):
        image.ReferencedSOPInstanceUID = f"1.2.3.{number}"
    dataset.PerformedSeriesSequence = [series]
    return dataset


def modality(port: int) -> list[tuple[Dataset, Dataset | None]]:
    """Do what a modality does, and some things that it should not; return the answers."""
    ae = AE("CT1")
    ae.add_requested_context(ModalityPerformedProcedureStep)
    ae.add_requested_context(ModalityPerformedProcedureStepRetrieve)
    with ae.associate(HOST, port, ae_title="MPPS_SCP") as assoc:
        assert assoc.is_established, assoc.failure
        uid, retrieve = ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve
        missing = step("")
        del missing.PerformedProcedureStepStatus
        return [
            assoc.send_n_create(missing, uid, STEP),
            assoc.send_n_create(step("COMPLETED"), uid, STEP),
            assoc.send_n_create(step("IN PROGRESS"), uid, STEP),
            assoc.send_n_create(step("IN PROGRESS"), uid, STEP),
            assoc.send_n_create(step("IN PROGRESS"), uid, None),
            assoc.send_n_set(change("IN PROGRESS", 1), uid, "1.2.3.4"),
            assoc.send_n_set(change("IN PROGRESS", 1), uid, STEP),
            assoc.send_n_set(change("COMPLETED", 2), uid, STEP),
            assoc.send_n_set(change("COMPLETED", 3), uid, STEP),
            assoc.send_n_get([0x00100020, 0x00400252], retrieve, STEP),
            assoc.send_n_get([0x00100020], retrieve, "1.2.3.4"),
        ]


def test_mpps_scp(tmp_path: Path) -> None:
    printed, answers = {}, {}
    for package in PACKAGES:
        port = free_port()
        arguments = [sys.executable, program("mpps_scp", package, tmp_path), port]
        with serving(arguments, port, tmp_path / f"{package}.log") as scp:
            answers[package] = modality(port)
            scp.wait_for("COMPLETED")
            scp.wait_for("2 images")
            printed[package] = scp.lines()
    assert printed["dulcimer"] == printed["pynetdicom"]
    assert answers["dulcimer"] == answers["pynetdicom"]
    assert [status.Status for status, _ in answers["dulcimer"]] == [
        0x0120,
        0x0106,
        0x0000,
        0x0111,
        0x0106,
        0x0112,
        0x0000,
        0x0000,
        0x0110,
        0x0000,
        0x0112,
    ]
    assert answers["dulcimer"][8][0].ErrorID == 0xA710
    (_, found) = answers["dulcimer"][9]
    assert found is not None
    assert (found.PatientID, found.PerformedProcedureStepStatus) == ("P1", "COMPLETED")
