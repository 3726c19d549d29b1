from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cli.inprocess import dulcimer
from dulcimer.cli.exits import Exit
from node.objects import PATIENT_ID, PATIENT_NAME, file_of, instance

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from dulcimer.node.app import Node


def fill(peer: str, folder: Path) -> None:
    for number in (1, 2, 3):
        study = f"2.25.{number // 3 + 1}00"
        uid = f"2.25.90{number}"
        (folder / f"{number}.dcm").write_bytes(file_of(instance(uid, study=study), uid))
    assert dulcimer("store", peer, str(folder)).code == Exit.OK


def test_studies(node: Node, peer: str, tmp_path: Path) -> None:
    fill(peer, tmp_path)
    data = str(node.config.data)
    done = dulcimer("list", "studies", "--data", data)
    assert (done.code, done.err) == (Exit.OK, "")
    heading, *rows = [line.split("\t") for line in done.out.splitlines()]
    assert heading[0] == "Patient ID"
    assert [row[0] for row in rows] == [PATIENT_ID, PATIENT_ID]
    found = json.loads(dulcimer("list", "studies", "--data", data, "--json").out)
    assert [(study["study_instance_uid"], study["series"], study["instances"]) for study in found] == [
        ("2.25.200", 1, 1),
        ("2.25.100", 1, 2),
    ]
    assert found[0]["patient_name"] == PATIENT_NAME
    assert found[0]["modalities"] == "OT"


def test_what_names_no_study_is_listed_too(node: Node, peer: str) -> None:
    from node import rawpeer

    with rawpeer.RawPeer(node.address) as raw:
        raw.associate(("1.2.840.10008.5.1.4.1.1.7", [rawpeer.EXPLICIT]))
        assert raw.store(1, "1.2.840.10008.5.1.4.1.1.7", "2.25.909", b"\xff" * 100)[rawpeer.STATUS] == 0
        raw.release()
    done = dulcimer("list", "studies", "--data", str(node.config.data))
    assert "(no Study Instance UID)" in done.out


def test_steps(node: Node, peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--uid", "2.25.81", "--patient-id", "P8", "--modality", "US", "--aet", "US1"]
    assert dulcimer("mpps", "create", peer, *options).code == Exit.OK
    monkeypatch.setenv("DULCIMER_DATA", str(node.config.data))
    done = dulcimer("list", "steps")
    assert (done.code, done.err) == (Exit.OK, "")
    assert [line.split("\t")[:5] for line in done.out.splitlines()] == [
        ["Status", "Patient ID", "Patient", "Modality", "Station"],
        ["IN PROGRESS", "P8", "", "US", "US1"],
    ]
    (step,) = json.loads(dulcimer("list", "steps", "--json").out)
    assert (step["sop_instance_uid"], step["status"]) == ("2.25.81", "IN PROGRESS")
    assert "data" not in step
    assert (step["named"], step["received"]) == (0, 0)


def test_a_folder_without_an_index(tmp_path: Path) -> None:
    done = dulcimer("list", "studies", "--data", str(tmp_path))
    assert (done.code, done.out) == (Exit.USAGE, "")
    assert done.err == (
        f"dulcimer: there is no index in {tmp_path}; name the node's data folder with --data\n"
    )


def test_an_index_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "index.sqlite").write_bytes(b"something else entirely" * 100)
    done = dulcimer("list", "steps", "--data", str(tmp_path))
    assert (done.code, done.out) == (Exit.USAGE, "")
    assert len(done.err.splitlines()) == 1
    assert "index.sqlite" in done.err


def test_nothing_stored(tmp_path: Path) -> None:
    from dulcimer.node.adapters.database import Database

    Database(tmp_path / "index.sqlite").close()
    done = dulcimer("list", "studies", "--data", str(tmp_path))
    assert (done.code, len(done.out.splitlines())) == (Exit.OK, 1)
    assert json.loads(dulcimer("list", "studies", "--data", str(tmp_path), "--json").out) == []
