"""Printing with DCMTK: its dcmpsprt and dcmprscu print on ours, and our client prints on its dcmprscp."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset

from dulcimer import AE
from dulcimer.printing.folder import FilmFolder
from dulcimer.scp.print_management import PrintService
from dulcimer.scp.service import Services
from dulcimer.scu.print_management import PrintSession, contexts
from dulcimer.services.printer import Printer
from interop import dcmtk
from node.served import Served, until

pytestmark = pytest.mark.interop

SECONDS = 30.0
# 8INX10IN: 800 × 1000 pixels.
PRINTER = Printer(resolution=100, margin=0, gap=0)

_CONFIGURATION = """[[GENERAL]]
[APPLICATION]
LogDirectory = {folder}
LogFile = general.log
LogLevel = INFO
[NETWORK]
aetitle = CONSOLE
[PRINT]
Directory = {folder}
DetailedLog = true
BinaryLog = false
DefaultIllumination = 2000
DefaultReflection = 10
MinPrintResolution = 64\\64
MaxPrintResolution = 8192\\8192
[DATABASE]
Directory = {folder}/database
[LUT]
Directory = {folder}
[[COMMUNICATION]]
[PEER]
Aetitle = PRINTER
Description = A printer
Hostname = 127.0.0.1
Port = {port}
Type = {kind}
Annotation = 1\\2
BorderDensity = BLACK\\WHITE\\150
DisableNewVRs = false
DisplayFormat = 1,1\\2,1\\2,2
EmptyImageDensity = BLACK\\WHITE\\150
FilmDestination = PROCESSOR\\BIN_1
FilmSizeID = 8INX10IN\\14INX17IN
ImplicitOnly = {implicit}
MagnificationType = REPLICATE\\BILINEAR\\CUBIC\\NONE
MaxDensity = 320\\300
MaxPDU = 32768
MediumType = PAPER\\CLEAR FILM\\BLUE FILM
MinDensity = 20
OmitSOPClassUIDFromCreateResponse = false
PresentationLUTMatchRequired = false
PresentationLUTinFilmSession = false
ResolutionID = STANDARD\\HIGH
SmoothingType = NONE
Supports12Bit = {deep}
SupportsDecimateCrop = true
SupportsImageSize = true
SupportsPresentationLUT = true
SupportsTrim = true
"""


def configure(folder: Path, port: int, kind: str, *, implicit: bool = False, deep: bool = True) -> Path:
    """Write a configuration for DCMTK's print programs."""
    (folder / "database").mkdir(parents=True)
    words = {True: "true", False: "false"}
    path = folder / "dcmpstat.cfg"
    path.write_text(
        _CONFIGURATION.format(folder=folder, port=port, kind=kind, implicit=words[implicit], deep=words[deep])
    )
    return path


def image(path: Path, columns: int = 200, rows: int = 200) -> Path:
    """Write an image: dark on the left, light on the right."""
    made = Dataset()
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    made.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.7"
    made.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.8"
    made.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.9"
    made.PatientName, made.PatientID, made.Modality = "Doe^Jane", "1", "OT"
    made.PatientBirthDate, made.PatientSex, made.StudyDate, made.StudyTime = "", "", "", ""
    made.ReferringPhysicianName, made.StudyID, made.AccessionNumber = "", "1", ""
    made.SeriesNumber, made.InstanceNumber, made.ConversionType = "1", "1", "WSD"
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = rows, columns
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    made.WindowCenter, made.WindowWidth = "128", "256"
    line = np.linspace(0, 255, columns).astype(np.uint8)
    made.add_new(0x7FE00010, "OB", np.tile(line, (rows, 1)).tobytes())
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    made.save_as(path, enforce_file_format=True)
    return path


@contextmanager
def serving(folder: Path) -> Iterator[tuple[int, PrintService]]:
    service = PrintService(FilmFolder(folder, PRINTER), PRINTER)
    services = Services([service])
    ae = AE("PRINTER")
    services.add_to(ae)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=services.handlers())
    try:
        yield server.server_address[1], service
    finally:
        server.shutdown()
        service.close()


def the_film(folder: Path) -> np.ndarray[Any, Any]:
    (path,) = [path for path in folder.glob("*.png") if "preview" not in path.name]
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)


@dcmtk.needs("dcmpsprt", "dcmprscu")
@pytest.mark.parametrize(
    ("options", "print_options", "implicit", "deep"),
    [
        ([], [], False, True),
        (["--identity", "--trim", "--portrait"], ["--session-print"], True, False),
        (["--lin-od", "--request-decimate"], ["--monochrome1"], False, True),
    ],
)
def test_dcmtk_prints_on_ours(tmp_path, options, print_options, implicit, deep):
    with serving(tmp_path / "films") as (port, service):
        configuration = configure(tmp_path / "dcmtk", port, "PRINTER", implicit=implicit, deep=deep)
        said = dcmtk.run(
            "dcmpsprt",
            *("-c", str(configuration), "-p", "PEER", "-l", "2", "1", "--filmsize", "8INX10IN"),
            *("--annotation", "Printed by DCMTK", *options),
            str(image(tmp_path / "one.dcm")),
            str(image(tmp_path / "two.dcm", rows=100)),
        )
        assert said.returncode == 0, said.stdout
        (stored,) = (tmp_path / "dcmtk" / "database").glob("SP_*.dcm")
        said = dcmtk.run(
            "dcmprscu",
            "-v",
            "-c",
            str(configuration),
            "-p",
            "PEER",
            "--copies",
            "2",
            *print_options,
            str(stored),
        )
        assert said.returncode == 0, said.stdout
        assert "E: " not in said.stdout, said.stdout
        assert service.wait_until_printed(SECONDS)
        ((_, job),) = service.jobs.all()
        assert (job.ExecutionStatus, job.NumberOfCopies, job.Originator) == ("DONE", 2, "CONSOLE")
        (film,) = job.FilmBoxContentSequence
        assert (film.ImageDisplayFormat, film.FilmSizeID) == ("STANDARD\\2,1", "8INX10IN")
        assert len(film.ImageBoxContentSequence) == 2
        assert "Printed by DCMTK" in film.AnnotationContentSequence[0].TextString
        picture = the_film(tmp_path / "films")
        assert picture.shape == (1000, 800)
        # Both images get lighter from left to right, the annotation is below them. DCMTK sends the pixels as
        # they are with LIN OD, where they are densities.
        row = picture[494] if "--lin-od" not in options else 255 - picture[494]
        assert row[5] < 60 and row[390] > 220 and row[405] < 60 and row[790] > 220
        assert row[100] <= row[200] <= row[300]
        assert picture[978:998].max() > 200


@dcmtk.needs("dcmpsprt", "dcmprscu")
def test_dcmtk_prints_on_serve(tmp_path):
    """Two runs of dcmprscu, of two stored prints each, on the node as an operator runs it."""
    (tmp_path / "node.toml").write_text("[print]\nresolution = 100\nmargin = 0\ngap = 0\n")
    with Served(tmp_path / "data", "--config", str(tmp_path / "node.toml")) as node:
        configuration = configure(tmp_path / "dcmtk", node.port, "PRINTER")
        configuration.write_text(
            configuration.read_text().replace("Aetitle = PRINTER", f"Aetitle = {node.aet}")
        )
        for _ in range(2):
            said = dcmtk.run(
                "dcmpsprt",
                *("-c", str(configuration), "-p", "PEER", "-l", "1", "1", "--filmsize", "8INX10IN"),
                str(image(tmp_path / "one.dcm")),
            )
            assert said.returncode == 0, said.stdout
        stored = sorted(map(str, (tmp_path / "dcmtk" / "database").glob("SP_*.dcm")))
        assert len(stored) == 2
        for _ in range(2):
            said = dcmtk.run("dcmprscu", "-v", "-c", str(configuration), "-p", "PEER", *stored)
            assert said.returncode == 0 and "E: " not in said.stdout, said.stdout
        films = tmp_path / "data" / "films"
        until(lambda: len(list(films.glob("*-1.png"))) == 4, SECONDS, lambda: node.log)
        until(lambda: len(node.log_lines(having=": DONE, 1 film of CONSOLE")) == 4, SECONDS, lambda: node.log)
        with Image.open(next(films.glob("*-1.png"))) as picture:
            row = np.asarray(picture).astype(int)[500]
        assert picture.size == (800, 1000) and row[5] < 60 and row[795] > 220
        assert node.stop() == 0


@contextmanager
def printing_scp(folder: Path) -> Iterator[int]:
    """Run ``dcmprscp`` on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    configuration = configure(folder, port, "LOCALPRINTER")
    path = dcmtk.program("dcmprscp")
    assert path is not None
    with (folder / "scp.log").open("wb") as log:
        process = subprocess.Popen(
            [path, "-c", str(configuration), "-p", "PEER"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 15
        while not any(dcmtk.listens(port, table) for table in ("/proc/net/tcp", "/proc/net/tcp6")):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "scp.log").read_text()
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait(10)


@dcmtk.needs("dcmprscp")
@pytest.mark.parametrize("bits", [8, 12])
def test_ours_prints_on_dcmtk(tmp_path, bits):
    with printing_scp(tmp_path / "dcmtk") as port:
        association = AE("CONSOLE").associate(
            "127.0.0.1", port, contexts=contexts(color=False), ae_title="PRINTER"
        )
        assert association.is_established
        with PrintSession(association, copies=2, medium="BLUE FILM", label="From Dulcimer") as session:
            assert session.printer().PrinterStatus == "NORMAL"
            jobs = session.print_images(
                [image(tmp_path / "one.dcm"), image(tmp_path / "two.dcm", rows=100)],
                "STANDARD\\2,1",
                "8INX10IN",
                "PORTRAIT",
                "CUBIC",
                bits=bits,
                trim=True,
                border="WHITE",
                max_density=300,
                decimate_crop="DECIMATE",
                presentation_lut="IDENTITY",
            )
            assert len(jobs) == 1 and not session.warnings
        association.release()
    (stored,) = (tmp_path / "dcmtk" / "database").glob("SP_*.dcm")
    found = dcmread(stored)
    assert found.SOPClassUID == "1.2.840.10008.5.1.1.27"
    (film,) = found.FilmBoxContentSequence
    assert (film.ImageDisplayFormat, film.MaxDensity, film.Trim) == ("STANDARD\\2,1", 300, "YES")
    pictures = sorted((tmp_path / "dcmtk" / "database").glob("HG_*.dcm"))
    assert {(dcmread(path).Rows, dcmread(path).BitsStored) for path in pictures} == {(200, bits), (100, bits)}
