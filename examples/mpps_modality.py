"""Report a procedure as a modality does: create the step, add a series in progress, complete it."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime

from pydicom import Dataset
from pydicom.uid import generate_uid

from dulcimer import AE, build_context
from dulcimer.association import Association
from dulcimer.sop_class import CTImageStorage, ModalityPerformedProcedureStep
from dulcimer.status import code_to_category


def new_step(patient_id: str, patient_name: str) -> Dataset:
    """Return what N-CREATE has to carry (PS3.4 Table F.7.2-1); an empty value says that nothing is known."""
    scheduled = Dataset()
    scheduled.StudyInstanceUID = generate_uid(prefix=None)
    scheduled.ReferencedStudySequence = []
    scheduled.AccessionNumber = ""
    scheduled.RequestedProcedureID = ""
    scheduled.RequestedProcedureDescription = ""
    scheduled.ScheduledProcedureStepID = ""
    scheduled.ScheduledProcedureStepDescription = ""
    scheduled.ScheduledProtocolCodeSequence = []

    now = datetime.now()
    step = Dataset()
    step.ScheduledStepAttributesSequence = [scheduled]
    step.PatientName = patient_name
    step.PatientID = patient_id
    step.PatientBirthDate = ""
    step.PatientSex = ""
    step.ReferencedPatientSequence = []
    step.PerformedProcedureStepID = f"{now:%y%m%d%H%M%S}"
    step.PerformedStationAETitle = "CT1"
    step.PerformedStationName = ""
    step.PerformedLocation = ""
    step.PerformedProcedureStepStartDate = f"{now:%Y%m%d}"
    step.PerformedProcedureStepStartTime = f"{now:%H%M%S}"
    step.PerformedProcedureStepEndDate = ""
    step.PerformedProcedureStepEndTime = ""
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    step.PerformedProcedureStepDescription = ""
    step.PerformedProcedureTypeDescription = ""
    step.ProcedureCodeSequence = []
    step.Modality = "CT"
    step.StudyID = ""
    step.PerformedProtocolCodeSequence = []
    step.PerformedSeriesSequence = []
    return step


def performed_series(images: int) -> Dataset:
    """Return an item of the Performed Series Sequence; every N-SET of the sequence replaces all of it."""
    series = Dataset()
    series.SeriesInstanceUID = generate_uid(prefix=None)
    series.ProtocolName = "Chest"
    series.SeriesDescription = ""
    series.PerformingPhysicianName = ""
    series.OperatorsName = ""
    series.RetrieveAETitle = ""
    series.ReferencedImageSequence = []
    series.ReferencedNonImageCompositeSOPInstanceSequence = []
    for _ in range(images):
        image = Dataset()
        image.ReferencedSOPClassUID = CTImageStorage
        image.ReferencedSOPInstanceUID = generate_uid(prefix=None)
        series.ReferencedImageSequence.append(image)
    return series


def check(what: str, assoc: Association, status: Dataset) -> None:
    """Print the answer, and end if the peer refused."""
    if "Status" not in status:
        sys.exit(f"{what}: {assoc.failure}")
    print(f"{what}: {status.Status:04X} {status.get('ErrorComment', '')}".rstrip())
    if code_to_category(status.Status) not in ("Success", "Warning"):
        sys.exit(1)


def report(assoc: Association, step: Dataset, step_uid: str) -> None:
    """Create the step, say what was done so far, and complete it."""
    status, _ = assoc.send_n_create(step, ModalityPerformedProcedureStep, step_uid)
    check("N-CREATE IN PROGRESS", assoc, status)

    change = Dataset()
    change.PerformedSeriesSequence = [performed_series(images=2)]
    status, _ = assoc.send_n_set(change, ModalityPerformedProcedureStep, step_uid)
    check("N-SET of a series", assoc, status)

    now = datetime.now()
    change.PerformedProcedureStepStatus = "COMPLETED"
    change.PerformedProcedureStepEndDate = f"{now:%Y%m%d}"
    change.PerformedProcedureStepEndTime = f"{now:%H%M%S}"
    status, _ = assoc.send_n_set(change, ModalityPerformedProcedureStep, step_uid)
    check("N-SET COMPLETED", assoc, status)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--aet", default="ANY-SCP", help="AE title of the peer")
    parser.add_argument("--patient-id", default="1CT1")
    parser.add_argument("--patient-name", default="Doe^Jane")
    options = parser.parse_args()

    step, step_uid = new_step(options.patient_id, options.patient_name), generate_uid(prefix=None)
    contexts = [build_context(ModalityPerformedProcedureStep)]
    with AE("CT1").associate(options.host, options.port, contexts, ae_title=options.aet) as assoc:
        if not assoc.is_established:
            sys.exit(str(assoc.failure))
        print(f"step {step_uid}")
        report(assoc, step, step_uid)


if __name__ == "__main__":
    main()
