"""The modality worklist of ``dulcimer serve``: put in from the command line while it runs, moved by MPPS."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dulcimer import AE, Association, build_context
from dulcimer.services.mpps import MODALITY_PERFORMED_PROCEDURE_STEP as MPPS
from dulcimer.services.worklist import MODALITY_WORKLIST as MWL
from node.objects import completion, new_step
from node.served import Served, run
from support.scheduled import query, values


def associate(node: Served, aet: str = "STATION1") -> Association:
    ae = AE(aet)
    ae.requested_contexts = [build_context(MWL), build_context(MPPS)]
    association = ae.associate(*node.address)
    assert association.is_established
    return association


def find(node: Served, aet: str = "STATION1", **keys: Any) -> list[Dataset]:
    association = associate(node, aet)
    answers = [answer for _, answer in association.send_c_find(query(**keys), MWL) if answer is not None]
    association.release()
    return answers


def patients(answers: list[Dataset]) -> list[str]:
    return sorted(str(answer.PatientID) for answer in answers)


def add(data: Path, number: int, **changed: Any) -> None:
    arguments = [f"{keyword}={value}" for keyword, value in values(number, **changed).items()]
    done = run("worklist", "add", *arguments, "--data", str(data))
    assert done.code == 0, done.err


def status(answer: Dataset) -> str:
    return str(answer.ScheduledProcedureStepSequence[0].ScheduledProcedureStepStatus)


def test_items_are_found_at_once_and_after_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    add(data, 1)  # before there was a node
    with Served(data) as node:
        assert patients(find(node)) == ["P1"]
        add(data, 2, PatientName="Müller^Änne")
        assert patients(find(node)) == ["P1", "P2"]
        (answer,) = find(node, PatientName="M*")
        assert answer.PatientName == "Müller^Änne"
        node.kill()
    with Served(data) as node:
        assert patients(find(node)) == ["P1", "P2"]
        assert patients(find(node, Modality="DX")) == ["P2"]
        assert node.stop() == 0


def test_a_performed_step_moves_the_scheduled_one_for_good(tmp_path: Path) -> None:
    data = tmp_path / "data"
    add(data, 1, StudyInstanceUID="2.25.100", AccessionNumber="A1")
    with Served(data) as node:
        association = associate(node)
        step = new_step()
        step.ScheduledStepAttributesSequence[0].ScheduledProcedureStepID = "S1"
        answer, _ = association.send_n_create(step, MPPS, "2.25.9")
        assert answer.Status == 0x0000
        assert [status(found) for found in find(node)] == ["STARTED"]
        answer, _ = association.send_n_set(completion(), MPPS, "2.25.9")
        assert answer.Status == 0x0000
        node.kill()
    with Served(data) as node:
        assert [status(found) for found in find(node)] == ["COMPLETED"]
    listed = json.loads(run("worklist", "list", "--json", "--data", str(data)).out)
    assert [row["ScheduledProcedureStepStatus"] for row in listed] == ["COMPLETED"]


def test_the_options(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for number in range(5):
        add(data, number)
    add(data, 9, ScheduledProcedureStepStatus="COMPLETED")
    config = tmp_path / "node.toml"
    config.write_text("[worklist]\nown-station = true\nhide_finished = true\nlimit = 1\n")
    with Served(data, "--config", str(config)) as node:
        assert patients(find(node)) == ["P1"]
        assert patients(find(node, aet="STATION2")) == ["P2"]
        association = associate(node, "STATION0")
        last = [answer for answer, _ in association.send_c_find(query(), MWL)][-1]
        assert last.Status == 0xA700
        association.release()
        assert node.stop() == 0
    with Served(data, "--no-worklist") as node:
        ae = AE("STATION1")
        ae.requested_contexts = [build_context(MWL)]
        refused = ae.associate(*node.address)
        assert not refused.is_established


def test_imports_and_queries_beside_each_other(tmp_path: Path) -> None:
    """What was imported while others asked and reported is all there."""
    data = tmp_path / "data"
    table = tmp_path / "items.json"
    table.write_text(json.dumps([values(number) for number in range(200)]))
    with Served(data) as node:
        done: list[Any] = []
        importing = Thread(
            target=lambda: done.append(run("worklist", "import", str(table), "--data", str(data)))
        )
        importing.start()
        association = associate(node)
        number = 0
        while importing.is_alive():
            number += 1
            answer, _ = association.send_n_create(new_step(), MPPS, f"2.25.77.{number}")
            assert answer.Status == 0x0000
            assert len(find(node)) in (0, 200)
        importing.join()
        assert done[0].code == 0, done[0].err
        assert len(find(node)) == 200
        association.release()
        assert node.stop() == 0


def test_our_findscu(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for number in (1, 2):
        add(data, number)
    with Served(data) as node:
        done = run(
            "findscu", "-W", "--json", *map(str, node.address), "-aec", node.aet, "-k", "PatientID",
            "-k", "ScheduledProcedureStepSequence[0].Modality=MR",
        )  # fmt: skip
        assert done.code == 0, done.err
        (line,) = done.out.splitlines()
        assert Dataset.from_json(line).PatientID == "P1"


@pytest.mark.interop
def test_pynetdicom_asks(tmp_path: Path) -> None:
    pynetdicom = pytest.importorskip("pynetdicom", reason="pynetdicom is not installed")
    data = tmp_path / "data"
    for number in (1, 2, 3):
        add(data, number)
    with Served(data) as node:
        ae = pynetdicom.AE("STATION1")
        ae.add_requested_context(MWL)
        association = ae.associate(*node.address, ae_title=node.aet)
        assert association.is_established
        found = list(association.send_c_find(query(ScheduledProcedureStepStartDate="20261103-20261104"), MWL))
        association.release()
        assert [int(answer.Status) for answer, _ in found] == [0xFF00, 0xFF00, 0x0000]
        assert patients([answer for _, answer in found if answer is not None]) == ["P2", "P3"]
