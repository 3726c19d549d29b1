"""Schedule work, take it on and complete it: python unified_procedure_step_scu.py HOST PORT.

In a hospital one system schedules (Push) and another performs (Pull).
"""

import sys

from pydicom import Dataset
from pydicom.uid import generate_uid

from dulcimer import AE, build_context
from dulcimer.sop_class import UnifiedProcedureStepPull as Pull
from dulcimer.sop_class import UnifiedProcedureStepPush as Push

host, port = sys.argv[1], int(sys.argv[2])
CHANGE_STATE = 1  # Action Type ID


def check(what: str, status: Dataset) -> None:
    if not status:
        sys.exit(f"{what}: {assoc.failure}")
    print(f"{what}: {status.Status:04X}", status.get("ErrorComment", ""))


def change_state(uid: str, state: str, transaction: str) -> Dataset:
    change = Dataset()
    change.ProcedureStepState = state
    change.TransactionUID = transaction  # the key of whoever performs the step
    # Every command names the Push class, whichever the context was negotiated for.
    return assoc.send_n_action(change, CHANGE_STATE, Push, uid, meta_uid=Pull)[0]


def code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "99EXAMPLE", meaning
    return item


work = Dataset()
work.ProcedureStepState = "SCHEDULED"
work.ScheduledProcedureStepPriority = "MEDIUM"
work.ProcedureStepLabel = "Segment the liver"
work.WorklistLabel = "Segmentation"
work.ScheduledProcedureStepStartDateTime = "20260131093000"
work.InputReadinessState = "READY"
work.PatientName = "Doe^Jane"
work.PatientID = "1CT1"

query = Dataset()
query.ProcedureStepState = "SCHEDULED"
query.WorklistLabel = "Segmentation"
query.ProcedureStepLabel = ""
query.SOPInstanceUID = ""

with AE("WORKER").associate(host, port, [build_context(Push), build_context(Pull)]) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    status, _ = assoc.send_n_create(work, Push, generate_uid())
    check("N-CREATE", status)
    found = [step for status, step in assoc.send_c_find(query, Pull) if step is not None]
    uid = found[0].SOPInstanceUID
    print(f"found {found[0].ProcedureStepLabel}")

    transaction = generate_uid()
    check("IN PROGRESS", change_state(uid, "IN PROGRESS", transaction))
    check("with another key", change_state(uid, "COMPLETED", generate_uid()))
    progress = Dataset()
    progress.ProcedureStepProgress = "100"
    performed = Dataset()  # what a completed step has to have
    performed.PerformedStationNameCodeSequence = [code("WS1", "Workstation 1")]
    performed.PerformedWorkitemCodeSequence = [code("SEG", "Segmentation")]
    performed.PerformedProcedureStepStartDateTime = "20260131093000"
    performed.PerformedProcedureStepEndDateTime = "20260131094500"
    performed.OutputInformationSequence = []
    update = Dataset()
    update.TransactionUID = transaction
    update.ProcedureStepProgressInformationSequence = [progress]
    update.UnifiedProcedureStepPerformedProcedureSequence = [performed]
    status, _ = assoc.send_n_set(update, Push, uid, meta_uid=Pull)
    check("N-SET", status)
    check("COMPLETED", change_state(uid, "COMPLETED", transaction))
