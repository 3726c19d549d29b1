"""``dulcimer worklist``: items from the command line and from files, lists, errors with their lines."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from cli.inprocess import dulcimer
from dulcimer.cli import worklist_files
from dulcimer.cli.exits import Exit
from node.served import Finished
from support.scheduled import item, values

HEADING = "Patient's Name,Patient ID,Modality,Station AET,Date,Time,Description,accession"


class Data:
    """A data folder of a node that never ran."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "data"

    def __call__(self, *arguments: str) -> Finished:
        return dulcimer("worklist", *arguments, "--data", str(self.folder))

    def listed(self, *keys: str) -> list[dict[str, str]]:
        done = self("list", *keys, "--json")
        assert done.code == Exit.OK, done.err
        rows: list[dict[str, str]] = json.loads(done.out)
        return rows

    def patients(self, *keys: str) -> list[str]:
        return [row["PatientID"] for row in self.listed(*keys)]


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return Data(tmp_path)


def pairs(number: int, **changed: Any) -> list[str]:
    return [f"{keyword}={value}" for keyword, value in values(number, **changed).items()]


# ---- add -------------------------------------------------------------------------------------------------


def test_the_least_that_is_needed(data: Data) -> None:
    done = data(
        "add", "PatientName=Müller^Änne", "Patient ID=P1", "Modality=CT", "station=CT1", "description=Thorax"
    )
    assert (done.code, done.err) == (Exit.OK, "")
    (row,) = data.listed()
    assert (row["PatientName"], row["PatientID"], row["Modality"]) == ("Müller^Änne", "P1", "CT")
    assert row["ScheduledStationAETitle"] == "CT1"
    assert row["ScheduledProcedureStepStatus"] == "SCHEDULED"
    assert row["ScheduledProcedureStepStartDate"]
    assert f"added {row['ScheduledProcedureStepID']} of study {row['StudyInstanceUID']}\n" == done.out


def test_adding_as_json_and_dry(data: Data) -> None:
    done = data("add", *pairs(1), "--json", "--dry-run")
    assert done.code == Exit.OK
    assert json.loads(done.out)["ScheduledProcedureStepID"] == "S1"
    assert data("list").code == Exit.USAGE  # nothing was made


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["PatientName=X"], "PatientID is missing; "),
        (["Nonsense=1"], "there is no attribute 'Nonsense'"),
        (["PatientID"], "'PatientID' is not KEYWORD=VALUE"),
        (["PatientID=1", "date=tomorrow"], "ScheduledProcedureStepStartDate: "),
    ],
)
def test_what_cannot_be_added(data: Data, arguments: list[str], said: str) -> None:
    done = data("add", *arguments)
    assert done.code == Exit.USAGE
    assert said in done.err


# ---- import ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_csv(data: Data, tmp_path: Path, delimiter: str, encoding: str) -> None:
    lines = [
        HEADING,
        "Doe^Jane,P1,CT,CT1,2026-11-24,10:30,Thorax,A1,,",
        ",,,",
        'Müller^Änne,P2,MR,MR1,20261123,0800,"Head",A2',
    ]
    file = tmp_path / "items.csv"
    file.write_bytes("\r\n".join(lines).replace(",", delimiter).encode(encoding))
    done = data("import", str(file))
    assert (done.code, done.out, done.err) == (Exit.OK, "2 items imported\n", "")
    rows = data.listed()
    assert [row["PatientName"] for row in rows] == ["Müller^Änne", "Doe^Jane"]  # by their start
    assert rows[1]["ScheduledProcedureStepStartDate"] == "20261124"
    assert rows[1]["ScheduledProcedureStepStartTime"] == "1030"
    assert data("import", str(file)).code == Exit.OK
    assert len(data.listed()) == 2


def test_bad_rows_of_csv_are_told_with_their_lines(data: Data, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text(
        f"{HEADING}\n"
        "Doe^Jane,P1,CT,CT1,2026-11-24,10:30,Thorax,A1\n"
        "Doe^John,,CT,CT1,2026-11-24,10:30,Thorax,A2\n"
        "Doe^Jack,P3,CT,CT1,2026-13-24,10:30,Thorax,A3\n"
        "Doe^Jim,P4,CT,CT1,2026-11-24,10:30,Thorax,A4,more\n"
    )
    done = data("import", str(file))
    assert done.code == Exit.USAGE
    assert done.err.splitlines()[0] == f"{file}:3: PatientID is missing"
    assert done.err.splitlines()[1].startswith(f"{file}:4: ScheduledProcedureStepStartDate: ")
    assert done.err.splitlines()[2] == f"{file}:5: 9 values under 8 columns"
    assert done.err.splitlines()[3] == "dulcimer: 3 items cannot be used; nothing was imported"
    assert data("list").code == Exit.USAGE
    done = data("import", str(file), "--skip-bad", "--json")
    told = json.loads(done.out)
    assert (done.code, told["imported"], len(told["bad"])) == (Exit.USAGE, 1, 3)
    assert data.patients() == ["P1"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Patient ID,Shoe size\nP1,42\n", ":1: columns 'Shoe size' in the heading"),
        ("Patient ID,PatientID\nP1,P2\n", ":1: PatientID twice in the heading"),
        ("", "is empty"),
        ('[{"PatientID": }]', ":1: is no JSON"),
        ("[3]", "item 1: is no object"),
        ('[{"Shoe size": 42}]', "item 1: there is no attribute 'Shoe size'"),
        ("{}", "item 1: PatientName is missing"),
    ],
)
def test_files_that_hold_no_items(data: Data, tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "items"
    file.write_text(content)
    done = data("import", str(file))
    assert done.code == Exit.USAGE
    assert said in done.err


def test_json_by_keyword_and_in_the_dicom_model(data: Data, tmp_path: Path) -> None:
    by_keyword = tmp_path / "one.json"
    by_keyword.write_text(
        json.dumps(
            [
                values(1),
                {
                    **values(2),
                    "ScheduledProtocolCodeSequence": [
                        {"CodeValue": "T", "CodingSchemeDesignator": "99X", "CodeMeaning": "Thorax"}
                    ],
                },
            ]
        )
    )
    model = tmp_path / "two.json"
    model.write_text(json.dumps([item(3).to_json_dict(), item(4).to_json_dict()]))
    done = data("import", str(by_keyword), str(model), "--json")
    assert done.code == Exit.OK, done.err
    assert json.loads(done.out) == {"imported": 4, "good": 4, "bad": [], "dry_run": False}
    assert sorted(data.patients()) == ["P1", "P2", "P3", "P4"]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
def test_dicom_files_of_a_folder(data: Data, tmp_path: Path, syntax: str) -> None:
    folder = tmp_path / "wl"
    folder.mkdir()
    for number in (1, 2):
        write(
            item(number, PregnancyStatus="4", PatientName=f"Müller^{number}"), folder / f"{number}.wl", syntax
        )
    (folder / "lockfile").touch()
    done = data("import", str(folder))
    assert (done.code, done.out) == (Exit.OK, "2 items imported\n"), done.err
    assert [row["PatientName"] for row in data.listed()] == ["Müller^1", "Müller^2"]
    (row,) = data.listed("PregnancyStatus=4", "PatientID=P2")
    assert row["AccessionNumber"] == "A2"


def write(dataset: Dataset, path: Path, syntax: str) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = "1.2.3"
    meta.MediaStorageSOPInstanceUID = "1.2.4"
    dataset.file_meta = meta
    dataset.save_as(path, enforce_file_format=True)


def test_files_that_are_not_there_and_that_are_none(data: Data, tmp_path: Path) -> None:
    done = data("import", str(tmp_path / "nowhere.csv"))
    assert done.code == Exit.USAGE and "cannot be read: No such file" in done.err
    noise = tmp_path / "noise.wl"
    noise.write_bytes(bytes(range(256)) * 4)
    done = data("import", str(noise))
    assert done.code == Exit.USAGE and "noise.wl: is no DICOM file" in done.err
    empty = tmp_path / "empty"
    empty.mkdir()
    done = data("import", str(empty))
    assert done.code == Exit.USAGE and "there is no item" in done.err


def test_a_dry_import(data: Data, tmp_path: Path) -> None:
    file = tmp_path / "items.json"
    file.write_text(json.dumps(values(1)))
    assert data("import", str(file), "--dry-run").out == "1 item would be imported\n"
    assert data("list").code == Exit.USAGE


def test_names_of_columns() -> None:
    expected = {
        "PatientID": "PatientID",
        "patient id": "PatientID",
        "Patient's Birth Date": "PatientBirthDate",
        "DOB": "PatientBirthDate",
        "Date": "ScheduledProcedureStepStartDate",
        "start_time": "ScheduledProcedureStepStartTime",
        "Scheduled Station AE Title": "ScheduledStationAETitle",
        "referring physician": "ReferringPhysicianName",
        "": None,
        "Shoe size": None,
    }
    assert {name: worklist_files.keyword_of(name) for name in expected} == expected


def test_a_reading_is_a_stream(tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text(f"{HEADING}\nDoe^Jane,P1,CT,CT1,2026-11-24,10:30,Thorax,A1\n")
    (found,) = worklist_files.read(file, datetime(2026, 11, 24))
    assert isinstance(found, worklist_files.Found)
    assert found.where == f"{file}:2"


# ---- list and remove -------------------------------------------------------------------------------------


def test_a_list_of_what_matches(data: Data) -> None:
    for number in range(4):
        assert data("add", *pairs(number)).code == Exit.OK
    assert data.patients() == ["P0", "P1", "P2", "P3"]
    assert data.patients("Modality=CT") == ["P0", "P3"]
    assert data.patients("name=*Jane2") == ["P2"]
    assert data.patients("date=20261102-20261103", "station=STATION1") == ["P1"]
    lines = data("list", "PatientID=P1").out.splitlines()
    assert lines[0].split("\t")[:4] == ["Start", "Status", "Patient ID", "Patient"]
    assert lines[1].split("\t")[:4] == ["2026-11-02 09:30", "SCHEDULED", "P1", "Doe^Jane1"]
    done = data("list", "date=someday")
    assert done.code == Exit.USAGE and "is no date" in done.err


def test_removing(data: Data) -> None:
    for number in range(3):
        state = "COMPLETED" if number == 0 else "SCHEDULED"
        data("add", *pairs(number, ScheduledProcedureStepStatus=state))
    assert data("remove").code == Exit.USAGE
    done = data("remove", "1.2.3")
    assert done.code == Exit.USAGE and "there is no item 1.2.3" in done.err
    assert data("remove", "--finished", "--dry-run").out == "1 item would be removed\n"
    assert data("remove", "--finished").out == "1 item removed\n"
    key = data.listed("PatientID=P1")[0]["key"]
    assert data("remove", key).out == "1 item removed\n"
    assert data.patients() == ["P2"]
    told = json.loads(data("remove", "--all", "--json").out)
    assert told["removed"] == 1
    assert data.patients() == []
