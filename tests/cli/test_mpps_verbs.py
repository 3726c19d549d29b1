from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from cli.inprocess import dulcimer
from dulcimer.cli import steps
from dulcimer.cli.exits import Exit
from node.objects import file_of, instance, new_step

if TYPE_CHECKING:
    from pathlib import Path

    from dulcimer.node.app import Node

NOW = datetime(2026, 11, 24, 10, 15)


def got(peer: str, uid: str) -> Dataset:
    done = dulcimer("mpps", "get", peer, uid, "--json")
    assert done.code == Exit.OK, done
    return Dataset.from_json(done.out)


def create(peer: str, *options: str) -> str:
    done = dulcimer("mpps", "create", peer, *options)
    assert (done.code, done.err) == (Exit.OK, ""), done
    return done.out.strip()


# -- create


def test_a_step_from_nothing(peer: str) -> None:
    uid = create(peer)
    assert uid.startswith("2.25.")
    step = got(peer, uid)
    assert step.PerformedProcedureStepStatus == "IN PROGRESS"
    assert step.PerformedStationAETitle == "DULCIMER"
    assert step.Modality == "OT"


def test_a_step_from_options(peer: str) -> None:
    uid = create(
        peer,
        "--uid", "2.25.31", "--patient-id", "P1", "--patient-name", "Doe^Jane", "--birth-date", "19700102",
        "--sex", "F", "--modality", "MR", "--study-uid", "2.25.32", "--accession", "A1", "--step-id", "S1",
        "--description", "Knee", "--set", "PerformedLocation=Room 1", "--aet", "MR1",
    )  # fmt: skip
    assert uid == "2.25.31"
    step = got(peer, uid)
    assert (step.PatientID, step.PatientName, step.PatientBirthDate, step.PatientSex) == (
        "P1",
        "Doe^Jane",
        "19700102",
        "F",
    )
    assert (step.Modality, step.PerformedProcedureStepID) == ("MR", "S1")
    assert (step.PerformedStationAETitle, step.PerformedLocation) == ("MR1", "Room 1")
    (scheduled,) = step.ScheduledStepAttributesSequence
    assert (scheduled.StudyInstanceUID, scheduled.AccessionNumber) == ("2.25.32", "A1")


def test_a_step_from_an_image(peer: str, tmp_path: Path) -> None:
    (tmp_path / "image.dcm").write_bytes(file_of(instance(study="2.25.77"), "2.25.1"))
    step = got(peer, create(peer, "--from", str(tmp_path / "image.dcm")))
    image = dcmread(tmp_path / "image.dcm")
    assert (step.PatientID, step.PatientName) == (image.PatientID, image.PatientName)
    assert step.ScheduledStepAttributesSequence[0].StudyInstanceUID == "2.25.77"


def test_a_step_from_json(peer: str, tmp_path: Path) -> None:
    source = new_step()
    source.PerformedProcedureStepID = "FROMJSON"
    (tmp_path / "step.json").write_text(source.to_json())
    step = got(peer, create(peer, "--from", str(tmp_path / "step.json")))
    assert step.PerformedProcedureStepID == "FROMJSON"
    assert step.PerformedStationAETitle == "CT1"


def test_text_beyond_ascii_is_sent_as_utf_8(peer: str) -> None:
    step = got(peer, create(peer, "--patient-name", "Müller^Jürgen"))
    assert step.SpecificCharacterSet == "ISO_IR 192"
    assert step.PatientName == "Müller^Jürgen"


def test_the_report_as_json(peer: str) -> None:
    done = dulcimer("mpps", "create", peer, "--uid", "2.25.33", "--json")
    assert json.loads(done.out) == {
        "sop_instance_uid": "2.25.33",
        "status": "0000",
        "error_id": None,
        "message": "",
        "state": "IN PROGRESS",
    }


def test_the_same_step_twice(peer: str) -> None:
    create(peer, "--uid", "2.25.34")
    done = dulcimer("mpps", "create", peer, "--uid", "2.25.34")
    assert (done.code, done.out) == (Exit.FAILED, "")
    assert "0111 Duplicate SOP instance; This performed procedure step exists already" in done.err


# -- set


def test_from_created_to_completed(peer: str, tmp_path: Path) -> None:
    uid = create(peer)
    (tmp_path / "image.dcm").write_bytes(file_of(instance("2.25.501", study="2.25.500"), "2.25.501"))
    done = dulcimer("mpps", "set", peer, uid, "--set", "PerformedProcedureStepDescription=Head")
    assert (done.code, done.out) == (Exit.OK, f"{uid} changed\n")
    options = ["--images", str(tmp_path), "--protocol", "Head"]
    done = dulcimer("mpps", "set", peer, uid, "--status", "completed", *options)
    assert (done.code, done.out, done.err) == (Exit.OK, f"{uid} COMPLETED\n", "")
    step = got(peer, uid)
    assert step.PerformedProcedureStepStatus == "COMPLETED"
    assert step.PerformedProcedureStepDescription == "Head"
    (series,) = step.PerformedSeriesSequence
    assert series.SeriesInstanceUID == "2.25.500.1"
    assert [item.ReferencedSOPInstanceUID for item in series.ReferencedImageSequence] == ["2.25.501"]

    done = dulcimer("mpps", "set", peer, uid, "--status", "DISCONTINUED", *options)
    assert (done.code, done.out) == (Exit.FAILED, "")
    assert done.err == (
        f"dulcimer: {peer}: the step was not set: 0110 Processing failure; "
        "Performed Procedure Step Object may no longer be updated; Error ID A710\n"
    )
    done = dulcimer("mpps", "set", peer, uid, "--status", "DISCONTINUED", *options, "--json")
    assert done.code == Exit.FAILED
    found = json.loads(done.out)
    assert (found["status"], found["error_id"], found["state"]) == ("0110", "A710", None)


def test_a_final_state_without_a_series_is_not_sent(peer: str) -> None:
    uid = create(peer)
    done = dulcimer("mpps", "set", peer, uid, "--status", "COMPLETED")
    assert (done.code, done.out) == (Exit.USAGE, "")
    assert "PerformedSeriesSequence" in done.err
    assert "--series-uid" in done.err
    # With --as-is it is, and the node says the same.
    done = dulcimer("mpps", "set", peer, uid, "--status", "COMPLETED", "--as-is")
    assert done.code == Exit.FAILED
    assert "PerformedSeriesSequence" in done.err


def test_discontinued_with_a_series_that_has_no_objects(peer: str) -> None:
    uid = create(peer)
    options = ["--series-uid", "2.25.600", "--protocol", "Localizer"]
    done = dulcimer("mpps", "set", peer, uid, "--status", "DISCONTINUED", *options)
    assert (done.code, done.out) == (Exit.OK, f"{uid} DISCONTINUED\n")


def test_a_step_that_does_not_exist(peer: str) -> None:
    done = dulcimer("mpps", "set", peer, "2.25.404", "--set", "PerformedLocation=x")
    assert done.code == Exit.FAILED
    assert "0112 No such SOP instance" in done.err


def test_what_may_not_be_set_is_named(peer: str) -> None:
    done = dulcimer("mpps", "set", peer, create(peer), "--set", "PatientID=other")
    assert done.code == Exit.FAILED
    assert "0105 No such attribute" in done.err
    assert "PatientID" in done.err


# -- get


def test_a_step_as_lines(peer: str) -> None:
    uid = create(peer, "--patient-id", "P9")
    done = dulcimer("mpps", "get", peer, uid)
    assert (done.code, done.err) == (Exit.OK, "")
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert rows[0] == ["Tag", "Attribute", "Value"]
    assert ["(0010,0020)", "PatientID", "P9"] in rows
    assert ["(0040,0270)", "ScheduledStepAttributesSequence", "1 item"] in rows
    assert any(row[1] == "> StudyInstanceUID" for row in rows)


def test_some_attributes(peer: str) -> None:
    uid = create(peer)
    done = dulcimer(
        "mpps", "get", peer, uid, "-a", "PerformedProcedureStepStatus", "-a", "Modality", "--json"
    )
    assert {element.keyword for element in Dataset.from_json(done.out)} == {
        "PerformedProcedureStepStatus",
        "Modality",
    }


def test_an_attribute_that_steps_do_not_have(peer: str) -> None:
    uid = create(peer)
    done = dulcimer("mpps", "get", peer, uid, "-a", "PerformedProcedureStepStatus", "-a", "Rows")
    assert done.code == Exit.OK
    assert "IN PROGRESS" in done.out
    assert "0001" in done.err


def test_getting_what_does_not_exist(peer: str) -> None:
    done = dulcimer("mpps", "get", peer, "2.25.404")
    assert (done.code, done.out) == (Exit.FAILED, "")
    assert "0112 No such SOP instance; No such performed procedure step" in done.err
    done = dulcimer("mpps", "get", peer, "2.25.404", "--json")
    assert done.code == Exit.FAILED
    assert json.loads(done.out)["status"] == "0112"


# -- Bad input


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "{peer}", "--from", "/no/such.json"], "/no/such.json cannot be read"),
        (["create", "{peer}", "--set", "PatientID"], "'PatientID' is not KEYWORD=VALUE"),
        (["create", "{peer}", "--set", "PatientIdd=1"], "there is no attribute 'PatientIdd'"),
        (["create", "{peer}", "--set", "PixelData=1"], "PixelData cannot be given as text"),
        (["create", "{peer}", "--uid", "not a uid"], "'not a uid' is no UID"),
        (["create", "{peer}", "--birth-date", "yesterday"], "PatientBirthDate"),
        (["create", "127.0.0.1:x"], "is no port"),
        (["set", "{peer}", "1.2.3"], "nothing to set"),
        (["set", "{peer}", "1.2.3", "--status", "DONE"], "'DONE' is no status"),
        (["set", "{peer}", "1.2.3", "--images", "/no/such"], "there is no /no/such"),
        (["set", "{peer}", "1.2..3", "--status", "IN PROGRESS"], "'1.2..3' is no UID"),
        (["get", "{peer}", "1.2.3", "-a", "Nothing"], "there is no attribute 'Nothing'"),
        (["get", "{peer}"], "UID"),
        (["get", "{peer}", "1." * 32 + "1"], "is no UID"),
    ],
)
def test_what_cannot_be_used(peer: str, arguments: list[str], words: str) -> None:
    done = dulcimer("mpps", *(argument.format(peer=peer) for argument in arguments))
    assert (done.code, done.out) == (Exit.USAGE, ""), done
    assert words in done.err


def test_a_file_that_is_neither_dicom_nor_json(peer: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("buy milk")
    done = dulcimer("mpps", "create", peer, "--from", str(tmp_path / "notes.txt"))
    assert done.code == Exit.USAGE
    assert f"{tmp_path / 'notes.txt'} is no DICOM file" in done.err
    (tmp_path / "broken.json").write_text('{"00100020": ')
    done = dulcimer("mpps", "create", peer, "--from", str(tmp_path / "broken.json"))
    assert done.code == Exit.USAGE
    assert "DICOM JSON" in done.err


def test_a_peer_without_steps(tmp_path: Path) -> None:
    from dulcimer import AE

    ae = AE("OTHER")
    ae.add_supported_context("1.2.840.10008.1.1")
    server = ae.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    try:
        done = dulcimer("mpps", "create", f"127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
    assert (done.code, done.out) == (Exit.NO_ASSOCIATION, "")
    assert "Modality Performed Procedure Step" in done.err
    assert len(done.err.splitlines()) == 1


# -- The data sets


def test_a_new_step_has_what_the_table_asks_for() -> None:
    from dulcimer.services import mpps

    step = steps.new_step(None, {"PerformedStationAETitle": "CT1"}, NOW, study_uid="2.25.1", step_id="S")
    outcome = mpps.create(step, "2.25.2", level="strict")
    assert outcome.state == "IN PROGRESS"
    assert not outcome.notes


@pytest.mark.parametrize("state", ["COMPLETED", "DISCONTINUED"])
def test_a_final_step_has_what_the_table_asks_for(state: str) -> None:
    from dulcimer.services import mpps

    change = steps.final_step(state, {}, [steps.one_series("2.25.3", "Head")], NOW)
    assert not mpps.describe(mpps.missing_for_final_state(change))
    assert (change.PerformedProcedureStepEndDate, change.PerformedProcedureStepEndTime) == (
        "20261124",
        "101500",
    )


def test_series_are_made_of_instances() -> None:
    def one(uid: str, series: str, sop_class: str, **more: Any) -> Dataset:
        ds = Dataset()
        ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.SOPClassUID = uid, series, sop_class
        for keyword, value in more.items():
            setattr(ds, keyword, value)
        return ds

    ct, sr = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.67"
    first, second = steps.series_of(
        [
            one("1.1", "1", ct, ProtocolName="Head", SeriesDescription="axial"),
            one("2.1", "2", sr),
            one("1.2", "1", ct),
        ],
        "as given",
    )
    assert (first.SeriesInstanceUID, first.ProtocolName, first.SeriesDescription) == ("1", "Head", "axial")
    assert [item.ReferencedSOPInstanceUID for item in first.ReferencedImageSequence] == ["1.1", "1.2"]
    assert (second.SeriesInstanceUID, second.ProtocolName) == ("2", "as given")
    (report,) = second.ReferencedNonImageCompositeSOPInstanceSequence
    assert (report.ReferencedSOPInstanceUID, len(second.ReferencedImageSequence)) == ("2.1", 0)


def test_the_node_is_used(node: Node) -> None:
    """Every test above talked to one node: it has no association left over."""
    assert node.active_associations == 0
