"""Keep a worklist of unified procedure steps: python unified_procedure_step_scp.py PORT."""

import sys
from collections.abc import Iterator

from pydicom import Dataset

from dulcimer import AE, evt
from dulcimer.sop_class import UnifiedProcedureStepPull, UnifiedProcedureStepPush

steps: dict[str, Dataset] = {}
FINAL = ("COMPLETED", "CANCELED")
Answer = tuple[int, Dataset | None]


def handle_create(event: evt.Event) -> Answer:
    step = event.attribute_list
    if step.get("ProcedureStepState") != "SCHEDULED":
        return 0xC309, None  # a new step is SCHEDULED
    uid = event.request.AffectedSOPInstanceUID
    step.SOPClassUID, step.SOPInstanceUID = UnifiedProcedureStepPush, uid
    steps[uid] = step
    return 0x0000, step


def handle_find(event: evt.Event) -> Iterator[Answer]:
    keys = event.identifier
    for step in steps.values():
        if all(keys.get(key) in (None, "", step.get(key)) for key in ("ProcedureStepState", "WorklistLabel")):
            match = Dataset()
            for element in keys:
                setattr(match, element.keyword, step.get(element.keyword, ""))
            yield 0xFF00, match


def refusal(step: Dataset, given: Dataset) -> int:
    """Return why a performer may not change a step, 0 if it may."""
    if step.ProcedureStepState in FINAL:
        return 0xC300  # may no longer be updated
    held = step.get("TransactionUID")
    if held and given.get("TransactionUID") != held:
        return 0xC301  # the correct Transaction UID was not provided
    return 0x0000


def handle_action(event: evt.Event) -> Answer:
    step = steps.get(event.request.RequestedSOPInstanceUID)
    if step is None:
        return 0xC307, None  # no such step
    if event.action_type != 1:
        return 0x0123, None  # cancelling and subscribing are other action types
    change = event.action_information
    if step.ProcedureStepState == "IN PROGRESS" and change.ProcedureStepState == "IN PROGRESS":
        return 0xC302, None  # somebody else has taken it
    if step.ProcedureStepState == "SCHEDULED" and change.ProcedureStepState == "COMPLETED":
        return 0xC310, None  # not yet IN PROGRESS
    refused = refusal(step, change)
    if not refused:
        step.ProcedureStepState = change.ProcedureStepState
        step.TransactionUID = change.TransactionUID
        print(f"{step.ProcedureStepLabel}: {step.ProcedureStepState}", flush=True)
    return refused, None


def handle_set(event: evt.Event) -> Answer:
    step = steps.get(event.request.RequestedSOPInstanceUID)
    if step is None:
        return 0xC307, None
    refused = refusal(step, event.modification_list)
    if not refused:
        step.update(event.modification_list)
    return refused, None


ae = AE("WORKLIST")
ae.add_supported_context(UnifiedProcedureStepPush)
ae.add_supported_context(UnifiedProcedureStepPull)
ae.start_server(
    ("127.0.0.1", int(sys.argv[1])),
    evt_handlers=[
        (evt.EVT_N_CREATE, handle_create),
        (evt.EVT_C_FIND, handle_find),
        (evt.EVT_N_ACTION, handle_action),
        (evt.EVT_N_SET, handle_set),
    ],
)
