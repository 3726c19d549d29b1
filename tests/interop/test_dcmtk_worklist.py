"""The worklist against DCMTK: its ``findscu -W`` asks us, its ``wlmscpfs`` answers as we do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset

from dulcimer import AE
from dulcimer.scp.repository import MemoryRepository
from dulcimer.scp.service import Services
from dulcimer.scp.worklist import WorklistService
from dulcimer.services import worklist
from interop import dcmtk
from interop.archives import WlmScpFs
from support.scheduled import item, query

pytestmark = [pytest.mark.interop, dcmtk.needs("findscu", "wlmscpfs")]

EXPLICIT = "1.2.840.10008.1.2.1"
ITEMS = [
    *(item(number) for number in range(12)),
    item(20, PatientName="Mueller^Anna", ScheduledStationAETitle="STATION0", Modality="US"),
    item(21, PatientName="Muller^Bert", ScheduledProcedureStepStartDate="20260131"),
    item(22, PatientID="P2*2", ScheduledProcedureStepStartTime="0815"),
]


class Site:
    """Our SCP with the items, on loopback."""

    def __init__(self, **options: Any) -> None:
        self.service = WorklistService(MemoryRepository(), **options)
        for each in ITEMS:
            self.service.add(each)
        services = Services([self.service])
        self._ae = AE("OURS")
        services.add_to(self._ae)
        self.server = self._ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=services.handlers())

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def close(self) -> None:
        self._ae.shutdown()


@pytest.fixture(scope="module")
def ours() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WlmScpFs]:
    folder = tmp_path_factory.mktemp("wlm")
    items = folder / "WLM"
    items.mkdir()
    (items / "lockfile").touch()
    for number, each in enumerate(ITEMS):
        write(each, items / f"{number}.wl")
    with WlmScpFs(folder) as running:
        yield running


def write(dataset: Dataset, path: Path) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = EXPLICIT
    meta.MediaStorageSOPClassUID = worklist.MODALITY_WORKLIST
    meta.MediaStorageSOPInstanceUID = worklist.key_of(dataset)
    dataset.file_meta = meta
    dataset.save_as(path, enforce_file_format=True)
    del dataset.file_meta


def findscu(port: int, called: str, folder: Path, *keys: str) -> list[Dataset]:
    """Ask with DCMTK's findscu and return the responses."""
    arguments = [part for key in keys for part in ("-k", key)]
    folder.mkdir(exist_ok=True)
    done = dcmtk.run(
        "findscu", "-W", "-X", "-od", str(folder), "-aec", called, "-aet", "STATION1", "127.0.0.1",
        str(port), *arguments,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return [dcmread(path) for path in sorted(folder.glob("rsp*.dcm"))]


def patients(answers: list[Dataset]) -> list[str]:
    return sorted(str(answer.PatientID) for answer in answers)


SPS = "(0040,0100)[0]"
UNIVERSAL = ("PatientName", "PatientID", f"{SPS}.Modality", f"{SPS}.ScheduledProcedureStepID")

QUERIES: dict[str, tuple[str, ...]] = {
    "everything": UNIVERSAL,
    "a day and a modality": (
        *UNIVERSAL[:2], f"{SPS}.Modality=CT", f"{SPS}.ScheduledProcedureStepStartDate=20261104",
    ),
    "a range of days": (*UNIVERSAL, f"{SPS}.ScheduledProcedureStepStartDate=20261103-20261106"),
    "from a day on": (*UNIVERSAL, f"{SPS}.ScheduledProcedureStepStartDate=20261110-"),
    "until a day": (*UNIVERSAL, f"{SPS}.ScheduledProcedureStepStartDate=-20261102"),
    "a range of times": (*UNIVERSAL, f"{SPS}.ScheduledProcedureStepStartTime=0900-110000"),
    "a name that begins so": ("PatientName=M*", *UNIVERSAL[1:]),
    "a name with a question mark": ("PatientName=M?ller*", *UNIVERSAL[1:]),
    "a whole name": ("PatientName=Doe^Jane3", *UNIVERSAL[1:]),
    "an ID": ("PatientName", "PatientID=P3", *UNIVERSAL[2:]),
    "an ID with an asterisk and more": ("PatientName", "PatientID=P2*2", *UNIVERSAL[2:]),
    "a station": (*UNIVERSAL, f"{SPS}.ScheduledStationAETitle=STATION0"),
    "a station and a modality": (
        *UNIVERSAL[:2], f"{SPS}.ScheduledStationAETitle=STATION0", f"{SPS}.Modality=US",
    ),
    "a physician": (*UNIVERSAL, f"{SPS}.ScheduledPerformingPhysicianName=Who*"),
    "nothing that is there": ("PatientName=Nobody", *UNIVERSAL[1:]),
    "an accession number": (*UNIVERSAL, "AccessionNumber=A5"),
    "no attribute of the step": ("PatientName", "PatientID", "ScheduledProcedureStepSequence"),
}  # fmt: skip


@pytest.mark.parametrize("name", QUERIES)
def test_the_same_answers_as_wlmscpfs(name: str, ours: Site, theirs: WlmScpFs, tmp_path: Path) -> None:
    keys = QUERIES[name]
    here = findscu(ours.port, "OURS", tmp_path / "ours", *keys)
    there = findscu(theirs.port, "WLM", tmp_path / "theirs", *keys)
    assert patients(here) == patients(there)
    if name != "nothing that is there":
        assert here
    by_patient = {str(answer.PatientID): answer for answer in there}
    for answer in here:
        other = by_patient[str(answer.PatientID)]
        assert answer.PatientName == other.PatientName
        if other.get("ScheduledProcedureStepSequence") and "Sequence" not in keys[-1]:
            (step,), (of_other,) = answer.ScheduledProcedureStepSequence, other.ScheduledProcedureStepSequence
            assert {e.keyword: e.value for e in of_other}.items() <= {
                e.keyword: e.value for e in step
            }.items()


def test_a_zero_length_item_is_universal(ours: Site, tmp_path: Path) -> None:
    answers = findscu(ours.port, "OURS", tmp_path / "x", "PatientID", "ScheduledProcedureStepSequence[0]")
    assert len(answers) == len(ITEMS)
    assert answers[0].ScheduledProcedureStepSequence[0].Modality


def test_a_query_file_as_modalities_send_it(ours: Site, tmp_path: Path) -> None:
    path = tmp_path / "query.dcm"
    write(query(Modality="CT", ScheduledProcedureStepStartDate="20261104"), path)
    done = dcmtk.run(
        "findscu", "-W", "-v", "-aec", "OURS", "127.0.0.1", str(ours.port), str(path),
    )  # fmt: skip
    assert done.returncode == 0
    assert re.findall(r"\(0010,0020\) LO \[(\w+)", done.stdout).count("P3") == 1, done.stdout


def test_findscu_cancels(ours: Site, tmp_path: Path) -> None:
    done = dcmtk.run(
        "findscu", "-W", "-v", "--cancel", "2", "-aec", "OURS", "127.0.0.1", str(ours.port),
        "-k", "PatientID",
    )  # fmt: skip
    assert done.returncode == 0
    assert re.search(r"Cancel|0xfe00", done.stdout, re.IGNORECASE), done.stdout


def test_a_date_that_is_none_is_refused_with_the_reason(ours: Site) -> None:
    done = dcmtk.run(
        "findscu", "-W", "-d", "-aec", "OURS", "127.0.0.1", str(ours.port), "-k", "PatientID",
        "-k", f"{SPS}.ScheduledProcedureStepStartDate=soon",
    )  # fmt: skip
    assert "0xa900" in done.stdout.lower()
    assert "ScheduledProcedureStepStartDate is no date" in done.stdout
