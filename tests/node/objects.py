"""Data sets for tests that send them."""

from __future__ import annotations

from io import BytesIO

from pydicom import dcmwrite
from pydicom.dataset import Dataset

from dulcimer.data import part10

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MPPS = "1.2.840.10008.3.1.2.3.3"
MPPS_RETRIEVE = "1.2.840.10008.3.1.2.3.4"
PATIENT_NAME = "Quux^Hildegard"
PATIENT_ID = "PAT-4711"


def instance(
    uid: str = "2.25.1",
    *,
    sop_class: str = SECONDARY_CAPTURE,
    study: str = "2.25.100",
    pixels: bytes = b"\0\1",
    implicit: bool = False,
) -> bytes:
    """Encode a small composite instance."""
    ds = Dataset()
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = uid
    ds.StudyDate = "20261124"
    ds.Modality = "OT"
    ds.PatientName = PATIENT_NAME
    ds.PatientID = PATIENT_ID
    ds.StudyInstanceUID = study
    ds.SeriesInstanceUID = study + ".1"
    ds.add_new(0x7FE00010, "OW", pixels)
    return encoded(ds, implicit=implicit)


def encoded(dataset: Dataset, *, implicit: bool = False) -> bytes:
    stream = BytesIO()
    dcmwrite(stream, dataset, implicit_vr=implicit, little_endian=True)
    return stream.getvalue()


def file_of(data: bytes, uid: str, *, sop_class: str = SECONDARY_CAPTURE, syntax: str = "") -> bytes:
    """Put the head of a Part 10 file before a data set."""
    return part10.preamble(sop_class, uid, syntax or "1.2.840.10008.1.2.1") + data


def data_set_of(content: bytes) -> bytes:
    """Return what follows the File Meta Information, found by its group length alone (PS3.10 7.1)."""
    assert content[128:132] == b"DICM"
    assert content[132:140] == b"\x02\x00\x00\x00UL\x04\x00"
    return content[144 + int.from_bytes(content[140:144], "little") :]


def new_step() -> Dataset:
    """The attribute list of an N-CREATE with everything that the SCU has to send."""
    scheduled = Dataset()
    scheduled.StudyInstanceUID = "2.25.100"
    scheduled.AccessionNumber = "A1"
    for keyword in ("RequestedProcedureID", "RequestedProcedureDescription", "ScheduledProcedureStepID"):
        setattr(scheduled, keyword, "")
    scheduled.ScheduledProcedureStepDescription = ""
    scheduled.ReferencedStudySequence = []
    scheduled.ScheduledProtocolCodeSequence = []
    ds = Dataset()
    ds.ScheduledStepAttributesSequence = [scheduled]
    ds.PatientName = PATIENT_NAME
    ds.PatientID = PATIENT_ID
    ds.PatientBirthDate = "19700101"
    ds.PatientSex = "F"
    ds.ReferencedPatientSequence = []
    ds.PerformedProcedureStepID = "S1"
    ds.PerformedStationAETitle = "CT1"
    ds.PerformedStationName = ""
    ds.PerformedLocation = ""
    ds.PerformedProcedureStepStartDate = "20261124"
    ds.PerformedProcedureStepStartTime = "101500"
    ds.PerformedProcedureStepStatus = "IN PROGRESS"
    ds.PerformedProcedureStepDescription = ""
    ds.PerformedProcedureTypeDescription = ""
    ds.ProcedureCodeSequence = []
    ds.PerformedProcedureStepEndDate = ""
    ds.PerformedProcedureStepEndTime = ""
    ds.Modality = "CT"
    ds.StudyID = ""
    ds.PerformedProtocolCodeSequence = []
    ds.PerformedSeriesSequence = []
    return ds


def completion(status: str = "COMPLETED") -> Dataset:
    """The modification list of an N-SET that ends a step."""
    series = Dataset()
    series.PerformingPhysicianName = ""
    series.ProtocolName = "Head"
    series.OperatorsName = ""
    series.SeriesInstanceUID = "2.25.100.1"
    series.SeriesDescription = ""
    series.RetrieveAETitle = ""
    reference = Dataset()
    reference.ReferencedSOPClassUID = CT_IMAGE
    reference.ReferencedSOPInstanceUID = "2.25.100.1.1"
    series.ReferencedImageSequence = [reference]
    series.ReferencedNonImageCompositeSOPInstanceSequence = []
    ds = Dataset()
    ds.PerformedProcedureStepStatus = status
    ds.PerformedProcedureStepEndDate = "20261124"
    ds.PerformedProcedureStepEndTime = "103000"
    ds.PerformedSeriesSequence = [series]
    return ds
