"""Report an examination: python procedure_step_scu.py HOST PORT STEP_UID.

The attributes are the fewest that show the life of a step; mpps_modality.py has all that are required.
"""

import sys

from pydicom import Dataset

from dulcimer import AE, build_context
from dulcimer.sop_class import ModalityPerformedProcedureStep as Step

host, port, uid = sys.argv[1], int(sys.argv[2]), sys.argv[3]


def check(what: str, status: Dataset) -> None:
    if not status:
        sys.exit(f"{what}: {assoc.failure}")
    print(f"{what}: {status.Status:04X}", status.get("ErrorComment", ""))


begun = Dataset()
begun.PerformedProcedureStepStatus = "IN PROGRESS"
begun.PerformedProcedureStepStartDate = "20260131"
begun.PerformedProcedureStepStartTime = "0930"
begun.PerformedStationAETitle = "CT1"
begun.Modality = "CT"
begun.PatientName = "Doe^Jane"
begun.PatientID = "1CT1"

done = Dataset()
done.PerformedProcedureStepStatus = "COMPLETED"
done.PerformedProcedureStepEndDate = "20260131"
done.PerformedProcedureStepEndTime = "0945"

with AE("CT1").associate(host, port, [build_context(Step)]) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    status, _ = assoc.send_n_create(begun, Step, uid)
    check("N-CREATE", status)
    status, _ = assoc.send_n_set(done, Step, uid)
    check("N-SET COMPLETED", status)
    status, _ = assoc.send_n_set(done, Step, uid)  # what is completed may not be changed any more
    check("N-SET again", status)
