from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from pydicom.dataset import Dataset

from cli.inprocess import dulcimer
from dulcimer.cli.exits import Exit
from node.served import PROGRAM, environment
from support.workitems import new_workitem

if TYPE_CHECKING:
    from pathlib import Path

CODE = (
    "ScheduledWorkitemCodeSequence[0].CodeValue=110005",
    "ScheduledWorkitemCodeSequence[0].CodingSchemeDesignator=DCM",
    "ScheduledWorkitemCodeSequence[0].CodeMeaning=Interpretation",
)


def create(peer: str, *options: str) -> str:
    done = dulcimer("ups", "create", peer, *CODE, *options)
    assert done.code == Exit.OK, done
    return done.out.strip()


def state(peer: str, uid: str) -> str:
    done = dulcimer("ups", "get", peer, uid, "-a", "ProcedureStepState", "--json")
    assert done.code == Exit.OK, done
    return str(Dataset.from_json(done.out).ProcedureStepState)


def test_from_created_to_completed(peer: str) -> None:
    uid = create(peer, "--label", "Read", "--patient-id", "P7", "--patient-name", "Müller^Änne")
    assert state(peer, uid) == "SCHEDULED"
    claimed = dulcimer("ups", "claim", peer, uid, "--json")
    answer = json.loads(claimed.out)
    assert (answer["state"], answer["status"]) == ("IN PROGRESS", "0000")
    lock = answer["transaction_uid"]
    done = dulcimer("ups", "set", peer, uid, "-t", lock, "--progress", "40", "--description", "reading")
    assert done.code == Exit.OK, done
    got = dulcimer("ups", "get", peer, uid)
    assert "reading" in got.out
    assert "Müller^Änne" in got.out
    done = dulcimer("ups", "complete", peer, uid, "-t", lock)
    assert (done.code, done.out.strip()) == (Exit.OK, f"{uid} completed"), done
    assert state(peer, uid) == "COMPLETED"


def test_from_a_file(peer: str, tmp_path: Path) -> None:
    file = tmp_path / "workitem.json"
    file.write_text(new_workitem("From a file").to_json())
    done = dulcimer("ups", "create", peer, "--json-file", str(file), "PatientID=OTHER", "--json")
    assert done.code == Exit.OK, done
    uid = json.loads(done.out)["sop_instance_uid"]
    got = Dataset.from_json(dulcimer("ups", "get", peer, uid, "--json").out)
    assert (got.ProcedureStepLabel, got.PatientID) == ("From a file", "OTHER")


def test_canceled_by_its_performer_and_by_somebody_else(peer: str) -> None:
    uid = create(peer)
    done = dulcimer("ups", "cancel", peer, uid, "--reason", "patient left")
    assert done.code == Exit.OK, done
    assert state(peer, uid) == "CANCELED"
    uid = create(peer)
    lock = dulcimer("ups", "claim", peer, uid).out.strip()
    done = dulcimer("ups", "cancel", peer, uid, "-t", lock, "--code", "110526^DCM^Resource pre-empted")
    assert done.code == Exit.OK, done
    assert state(peer, uid) == "CANCELED"


def test_refusals_are_in_words(peer: str) -> None:
    uid = create(peer)
    lock = dulcimer("ups", "claim", peer, uid).out.strip()
    assert lock
    done = dulcimer("ups", "claim", peer, uid)
    assert done.code == Exit.FAILED
    assert "C30" in done.err
    done = dulcimer("ups", "set", peer, uid, "-t", "2.25.404", "ProcedureStepLabel=x", "--json")
    assert done.code == Exit.FAILED
    assert json.loads(done.out)["status"] == "C301"
    done = dulcimer("ups", "get", peer, "2.25.404")
    assert done.code == Exit.FAILED
    assert "C307" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "2.25.1"),
        ("set", "2.25.1", "NoSuchThing=1"),
        ("set", "2.25.1", "PatientID"),
        ("get", "not-a-uid"),
        ("cancel", "2.25.1", "--code", "x"),
        ("get", "2.25.1", "-a", "TransactionUID"),
    ],
)
def test_what_cannot_be_used(peer: str, arguments: tuple[str, ...]) -> None:
    verb, *rest = arguments
    done = dulcimer("ups", verb, peer, *rest)
    assert done.code == Exit.USAGE, done


def test_find(peer: str) -> None:
    uid = create(peer, "--label", "Needle", "--patient-id", "HAYSTACK")
    done = dulcimer("ups", "find", peer, "PatientID=HAYSTACK", "ProcedureStepState=SCHEDULED")
    assert done.code == Exit.OK, done
    (row,) = done.out.splitlines()[1:]
    assert row.startswith("SCHEDULED\t")
    assert row.endswith(uid)
    done = dulcimer("ups", "find", peer, "PatientID=NOBODY", "--json")
    assert json.loads(done.out) == []


def test_watch(peer: str) -> None:
    uid = create(peer)
    process = subprocess.Popen(
        [*PROGRAM, "ups", "watch", peer, uid, "--count", "3", "--json", "--aet", "WATCHER"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        # The first event is what the workitem is at the subscription.
        first = json.loads(process.stdout.readline())
        lock = dulcimer("ups", "claim", peer, uid).out.strip()
        dulcimer("ups", "set", peer, uid, "-t", lock, "--progress", "10")
        events = [first, *(json.loads(process.stdout.readline()) for _ in range(2))]
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()
    assert [event["event_type"] for event in events] == [1, 1, 3]
    assert {event["sop_instance_uid"] for event in events} == {uid}


def test_nobody_there() -> None:
    done = dulcimer("ups", "get", "127.0.0.1:1", "2.25.1", "--timeout", "5")
    assert done.code == Exit.NO_ASSOCIATION
