"""Keep performed procedure steps in memory: python procedure_step_scp.py PORT."""

import sys

from pydicom import Dataset

from dulcimer import AE, evt
from dulcimer.sop_class import ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve

steps: dict[str, Dataset] = {}


def handle_create(event: evt.Event) -> tuple[int | Dataset, Dataset | None]:
    uid = event.request.AffectedSOPInstanceUID
    if not uid or event.attribute_list.get("PerformedProcedureStepStatus") != "IN PROGRESS":
        return 0x0106, None  # invalid attribute value
    if uid in steps:
        return 0x0111, None  # duplicate SOP instance
    steps[uid] = event.attribute_list
    print(f"{uid} in progress", flush=True)
    return 0x0000, steps[uid]


def handle_set(event: evt.Event) -> tuple[int | Dataset, Dataset | None]:
    step = steps.get(event.request.RequestedSOPInstanceUID)
    if step is None:
        return 0x0112, None  # no such SOP instance
    if step.PerformedProcedureStepStatus != "IN PROGRESS":
        refused = Dataset()
        refused.Status = 0x0110
        refused.ErrorID = 0xA710
        refused.ErrorComment = "Performed Procedure Step may no longer be updated"
        return refused, None
    step.update(event.modification_list)
    print(f"{event.request.RequestedSOPInstanceUID} {step.PerformedProcedureStepStatus}", flush=True)
    return 0x0000, event.modification_list


def handle_get(event: evt.Event) -> tuple[int, Dataset | None]:
    step = steps.get(event.request.RequestedSOPInstanceUID)
    return (0x0112, None) if step is None else (0x0000, step)


ae = AE("STEPS")
ae.add_supported_context(ModalityPerformedProcedureStep)
ae.add_supported_context(ModalityPerformedProcedureStepRetrieve)
handlers = [(evt.EVT_N_CREATE, handle_create), (evt.EVT_N_SET, handle_set), (evt.EVT_N_GET, handle_get)]
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=handlers)
