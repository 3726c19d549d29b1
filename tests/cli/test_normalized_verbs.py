from __future__ import annotations

import json
from queue import Queue
from typing import TYPE_CHECKING, Any

import pytest
from pydicom.dataset import Dataset

from cli.inprocess import dulcimer
from dulcimer import AE, evt
from dulcimer.cli.exits import Exit
from node.objects import completion, new_step

if TYPE_CHECKING:
    from pathlib import Path

MPPS = "ModalityPerformedProcedureStep"
COMMITMENT = "1.2.840.10008.1.20.1"


def create(peer: str, folder: Path, uid: str) -> None:
    file = folder / "step.json"
    file.write_text(new_step().to_json())
    done = dulcimer("ncreate", peer, "--class", MPPS, "--instance", uid, "--json-file", str(file))
    assert (done.code, done.out) == (Exit.OK, f"{uid}\n"), done


def test_create_set_get(peer: str, tmp_path: Path) -> None:
    create(peer, tmp_path, "2.25.601")
    done = dulcimer(
        "nset", peer, "--class", MPPS, "--instance", "2.25.601", "PerformedProcedureStepDescription=Knee",
        "PerformedProtocolCodeSequence[0].CodeValue=K1",
        "PerformedProtocolCodeSequence[0].CodingSchemeDesignator=99X",
        "PerformedProtocolCodeSequence[0].CodeMeaning=Knee protocol",
    )  # fmt: skip
    assert (done.code, done.out) == (Exit.OK, "2.25.601 0000 Success\n"), done
    done = dulcimer(
        "nget",
        peer,
        "--class",
        f"{MPPS}Retrieve",
        "--instance",
        "2.25.601",
        "PerformedProcedureStepDescription",
        "PerformedProtocolCodeSequence",
        "--json",
    )
    assert done.code == Exit.OK, done
    answer = json.loads(done.out)
    assert (answer["status"], answer["sop_instance_uid"]) == ("0000", "2.25.601")
    got = Dataset.from_json(answer["dataset"])
    assert got.PerformedProcedureStepDescription == "Knee"
    assert got.PerformedProtocolCodeSequence[0].CodeMeaning == "Knee protocol"
    done = dulcimer("nget", peer, "--class", f"{MPPS}Retrieve", "--instance", "2.25.601")
    assert "Knee protocol" in done.out


def test_a_refusal_is_told_with_its_code(peer: str, tmp_path: Path) -> None:
    create(peer, tmp_path, "2.25.602")
    file = tmp_path / "end.json"
    file.write_text(completion().to_json())
    arguments = ("nset", peer, "--class", MPPS, "--instance", "2.25.602", "--json-file", str(file))
    assert dulcimer(*arguments).code == Exit.OK
    done = dulcimer(*arguments, "--json")
    assert done.code == Exit.FAILED
    answer = json.loads(done.out)
    assert (answer["status"], answer["error_id"]) == ("0110", "A710")
    done = dulcimer(*arguments)
    assert "0110" in done.err
    assert "may no longer be updated" in done.err


def test_an_action_in_another_context(peer: str) -> None:
    uid = dulcimer(
        "ups", "create", peer, "ScheduledWorkitemCodeSequence[0].CodeValue=1",
        "ScheduledWorkitemCodeSequence[0].CodingSchemeDesignator=99X",
        "ScheduledWorkitemCodeSequence[0].CodeMeaning=X",
    ).out.strip()  # fmt: skip
    done = dulcimer(
        "naction", peer, "--class", "UnifiedProcedureStepPush", "--context", "UnifiedProcedureStepPull",
        "--instance", uid, "--type", "1", "ProcedureStepState=IN PROGRESS", "TransactionUID=2.25.7",
    )  # fmt: skip
    assert done.code == Exit.OK, done
    got = dulcimer("ups", "get", peer, uid, "-a", "ProcedureStepState", "--json")
    assert Dataset.from_json(got.out).ProcedureStepState == "IN PROGRESS"


def test_delete(peer: str) -> None:
    done = dulcimer("ndelete", peer, "--class", "RTConventionalMachineVerification", "--instance", "2.25.404")
    assert done.code == Exit.FAILED
    assert "0112" in done.err


def test_an_event_as_its_scp() -> None:
    got: Queue[tuple[int, str]] = Queue()

    def take(event: Any) -> tuple[int, None]:
        got.put((event.event_type, str(event.event_information.TransactionUID)))
        return 0x0000, None

    ae = AE("THEM")
    ae.add_supported_context(COMMITMENT, scu_role=True, scp_role=True)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)])
    peer = f"127.0.0.1:{server.server_address[1]}"
    done = dulcimer(
        "nevent",
        peer,
        "--class",
        "StorageCommitmentPushModel",
        "--instance",
        "1.2.840.10008.1.20.1.1",
        "--type",
        "1",
        "TransactionUID=2.25.3",
    )
    assert done.code == Exit.OK, done
    assert got.get_nowait() == (1, "2.25.3")
    server.shutdown()


@pytest.mark.parametrize(
    "arguments",
    [
        ("nset", "--class", MPPS, "--instance", "2.25.1"),
        ("nset", "--class", "NoSuchClass", "--instance", "2.25.1", "PatientID=1"),
        ("nset", "--class", MPPS, "--instance", "x", "PatientID=1"),
        ("nset", "--class", MPPS, "--instance", "2.25.1", "PatientID"),
        ("nget", "--class", MPPS, "--instance", "2.25.1", "NoSuchThing"),
        ("nset", "--class", MPPS, "--instance", "2.25.1", "--json-file", "/nowhere"),
    ],
)
def test_what_cannot_be_used(peer: str, arguments: tuple[str, ...]) -> None:
    verb, *rest = arguments
    done = dulcimer(verb, peer, *rest)
    assert done.code == Exit.USAGE, done


def test_a_class_that_is_not_offered(peer: str) -> None:
    done = dulcimer("nget", peer, "--class", "DisplaySystem", "--instance", "1.2.840.10008.5.1.1.40.1")
    assert done.code == Exit.NO_ASSOCIATION
