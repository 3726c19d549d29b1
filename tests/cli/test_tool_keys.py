"""Keys of queries."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from dulcimer.cli.tools import keys

SEQUENCE = "ScheduledProcedureStepSequence"


def test_a_query() -> None:
    query = keys.build(
        [
            "PatientName=CITIZEN*",
            "0010,0020=1",
            "(0008,0061)=CT\\MR",
            "StudyDate=20240101-",
            "AccessionNumber",
            "Rows=512",
            "PixelSpacing=0.5\\0.5",
            "FrameIncrementPointer=(0018,1063)",
            "ScheduledProcedureStepSequence[0].Modality=CT",
            "(0040,0100)[0].(0040,0001)=STATION",
            "RequestedProcedureCodeSequence=",
            "OtherPatientIDsSequence[1]=",
        ]
    )
    assert query.PatientName == "CITIZEN*"
    assert query.PatientID == "1"
    assert query.ModalitiesInStudy == ["CT", "MR"]
    assert query.StudyDate == "20240101-"
    assert query["AccessionNumber"].is_empty
    assert query.Rows == 512
    assert query.PixelSpacing == [0.5, 0.5]
    assert query.FrameIncrementPointer == 0x00181063
    (item,) = query.ScheduledProcedureStepSequence
    assert (item.Modality, item.ScheduledStationAETitle) == ("CT", "STATION")
    assert len(query.RequestedProcedureCodeSequence) == 0
    assert query["RequestedProcedureCodeSequence"].VR == "SQ"
    assert [len(item) for item in query.OtherPatientIDsSequence] == [0, 0]


def test_an_equals_sign_in_a_value() -> None:
    assert keys.build(["PatientComments=a=b\\c"]).PatientComments == "a=b\\c"


def test_deep_paths() -> None:
    query = keys.build(["BeamSequence[1].ControlPointSequence[0].NominalBeamEnergy=6"])
    assert len(query.BeamSequence) == 2
    assert query.BeamSequence[1].ControlPointSequence[0].NominalBeamEnergy == 6


def test_a_file_below_it() -> None:
    base = Dataset()
    base.PatientID = "old"
    base.PatientName = "Doe"
    query = keys.build(["PatientID=new"], base)
    assert (query.PatientID, query.PatientName) == ("new", "Doe")


def test_private_attributes() -> None:
    query = keys.build(["(0009,0010)=ACME", "(0009,1001)=41424344"])
    assert (query[0x0009, 0x0010].VR, query[0x0009, 0x0010].value) == ("LO", "ACME")
    assert (query[0x0009, 0x1001].VR, query[0x0009, 0x1001].value) == ("UN", b"ABCD")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("Nothing=1", "there is no attribute 'Nothing'"),
        ("", "neither a keyword such as PatientID nor a tag"),
        ("0010=1", "neither a keyword such as PatientID nor a tag"),
        ("(0010,00)=1", "neither a keyword"),
        ("PatientID[0]=x", "PatientID is no sequence"),
        ("ScheduledProcedureStepSequence.Modality=CT", "needs the number of an item"),
        ("ScheduledProcedureStepSequence[x].Modality=CT", "is not expected after"),
        ("ScheduledProcedureStepSequence[0]x=CT", "is not expected after"),
        ("ScheduledProcedureStepSequence=CT", "is a sequence"),
        ("ScheduledProcedureStepSequence[0]=CT", "no value of its own"),
        ("ScheduledProcedureStepSequence[0].Nothing=CT", "there is no attribute 'Nothing'"),
        ("Rows=many", "is no value for Rows"),
        ("Rows=-1\\many", "is no value for Rows"),
        ("PixelData=0x", "is no value for PixelData"),
        ("(0000,0002)=1.2", "group 0000 is not part of a data set"),
        ("(0002,0010)=1.2", "group 0002 is not part of a data set"),
    ],
)
def test_what_is_no_key(key: str, words: str) -> None:
    with pytest.raises(keys.KeyProblem, match=r".") as caught:
        keys.build([key])
    assert words in str(caught.value)


def test_columns_and_their_values() -> None:
    query = keys.build(
        [
            "SpecificCharacterSet=ISO_IR 192",
            "PatientName",
            "ScheduledProcedureStepSequence[0].Modality=CT",
            "Rows",
        ]
    )
    columns = keys.columns(query)
    assert [name for name, _ in columns] == ["PatientName", "Rows", f"{SEQUENCE}.Modality"]
    match = Dataset()
    match.PatientName = "Doe^Jane"
    match.ScheduledProcedureStepSequence = [Dataset()]
    match.ScheduledProcedureStepSequence[0].Modality = ["CT", "MR"]
    assert [keys.value_at(match, path) for _, path in columns] == ["Doe^Jane", "", "CT\\MR"]
    assert [keys.value_at(Dataset(), path) for _, path in columns] == ["", "", ""]
