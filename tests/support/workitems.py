"""Unified procedure steps for tests."""

from __future__ import annotations

from pydicom.dataset import Dataset

LOCK = "2.25.4711"


def code(value: str = "110005", scheme: str = "DCM", meaning: str = "Interpretation") -> Dataset:
    ds = Dataset()
    ds.CodeValue = value
    ds.CodingSchemeDesignator = scheme
    ds.CodeMeaning = meaning
    return ds


def new_workitem(label: str = "Read the chest") -> Dataset:
    """The attribute list of an N-CREATE with everything that the SCU has to send (Table CC.2.5-3)."""
    ds = Dataset()
    ds.TransactionUID = ""
    ds.ProcedureStepState = "SCHEDULED"
    ds.ScheduledProcedureStepPriority = "MEDIUM"
    ds.ProcedureStepLabel = label
    ds.WorklistLabel = "READING"
    ds.ScheduledProcessingParametersSequence = []
    ds.ScheduledStationNameCodeSequence = []
    ds.ScheduledStationClassCodeSequence = []
    ds.ScheduledStationGeographicLocationCodeSequence = []
    ds.ScheduledProcedureStepStartDateTime = "20261124101500"
    ds.ScheduledWorkitemCodeSequence = [code()]
    ds.CommentsOnTheScheduledProcedureStep = ""
    ds.InputReadinessState = "READY"
    ds.InputInformationSequence = []
    ds.StudyInstanceUID = "2.25.100"
    ds.PatientName = "Quux^Hildegard"
    ds.PatientID = "PAT-4711"
    ds.IssuerOfPatientID = ""
    ds.IssuerOfPatientIDQualifiersSequence = []
    ds.OtherPatientIDsSequence = []
    ds.PatientBirthDate = "19700101"
    ds.PatientSex = "F"
    ds.AdmissionID = ""
    ds.IssuerOfAdmissionIDSequence = []
    ds.AdmittingDiagnosesDescription = ""
    ds.AdmittingDiagnosesCodeSequence = []
    ds.ReferencedRequestSequence = []
    ds.ProcedureStepProgressInformationSequence = []
    ds.UnifiedProcedureStepPerformedProcedureSequence = []
    return ds


def state(wanted: str, lock: str = LOCK) -> Dataset:
    """The Action Information of Change UPS State."""
    ds = Dataset()
    ds.ProcedureStepState = wanted
    if lock:
        ds.TransactionUID = lock
    return ds


def performed() -> Dataset:
    """The modification list that gives a workitem all that COMPLETED needs."""
    item = Dataset()
    item.PerformedStationNameCodeSequence = [code("RR1", "99X", "Reading room 1")]
    item.PerformedProcedureStepStartDateTime = "20261124102000"
    item.PerformedProcedureStepEndDateTime = "20261124103000"
    item.PerformedWorkitemCodeSequence = [code()]
    item.OutputInformationSequence = []
    ds = Dataset()
    ds.TransactionUID = LOCK
    ds.UnifiedProcedureStepPerformedProcedureSequence = [item]
    return ds


def progress(percent: str = "50", lock: str = LOCK) -> Dataset:
    """The modification list that reports progress."""
    item = Dataset()
    item.ProcedureStepProgress = percent
    ds = Dataset()
    if lock:
        ds.TransactionUID = lock
    ds.ProcedureStepProgressInformationSequence = [item]
    return ds
