from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pydicom.dataset import FileMetaDataset

from cli.inprocess import dulcimer
from dulcimer.cli.exits import Exit
from support import rt_plans as rt

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def plans(node: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    from dulcimer.node.app import Node

    assert isinstance(node, Node)
    peer = f"NODE@{node.address[0]}:{node.address[1]}"
    for plan in (rt.plan(), rt.ion_plan()):
        plan.file_meta = FileMetaDataset()
        plan.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        file = tmp_path_factory.mktemp("plan") / "plan.dcm"
        plan.save_as(file, enforce_file_format=True)
        assert dulcimer("store", peer, str(file)).code == Exit.OK


@pytest.mark.usefixtures("plans")
@pytest.mark.parametrize("ion", [False, True])
def test_verified(peer: str, tmp_path: Path, ion: bool) -> None:
    file = tmp_path / "setting.json"
    file.write_text((rt.ion_setting() if ion else rt.setting()).to_json())
    options = ["--ion"] if ion else ["--fraction-group", "1"]
    uid = rt.ION_PLAN_UID if ion else rt.PLAN_UID
    done = dulcimer(
        "rt", "verify", peer, "--plan", uid, "--patient-id", rt.PATIENT_ID, "--json-file", str(file), *options
    )
    assert (done.code, done.out) == (Exit.OK, "VERIFIED\n"), done


@pytest.mark.usefixtures("plans")
def test_not_verified(peer: str, tmp_path: Path) -> None:
    file = tmp_path / "setting.json"
    file.write_text(rt.setting(None, rt.machine(GantryAngle=45.0)).to_json())
    done = dulcimer(
        "rt", "verify", peer, "--plan", rt.PLAN_UID, "--patient-id", rt.PATIENT_ID, "--fraction-group", "1",
        "--json-file", str(file), "--json",
    )  # fmt: skip
    assert done.code == Exit.FAILED, done
    answer = json.loads(done.out)
    assert answer["status"] == "NOT_VERIFIED"
    assert answer["failed"] == [
        "ConventionalMachineVerificationSequence[0].ConventionalControlPointVerificationSequence[0].GantryAngle"
    ]


@pytest.mark.usefixtures("plans")
def test_refused(peer: str, tmp_path: Path) -> None:
    file = tmp_path / "setting.json"
    file.write_text(rt.setting().to_json())
    done = dulcimer("rt", "verify", peer, "--plan", "2.25.404", "--patient-id", "P", "--json-file", str(file))
    assert done.code == Exit.FAILED
    assert "C227 Referenced RT Plan not found" in done.err


def test_what_is_missing(peer: str) -> None:
    assert dulcimer("rt", "verify", peer).code == Exit.USAGE
    assert dulcimer("rt", "verify", peer, "--plan", "2.25.1", "--patient-id", "P").code == Exit.USAGE
