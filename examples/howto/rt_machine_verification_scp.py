"""Verify treatment machines against plans: python rt_machine_verification_scp.py PORT PLAN_UID..."""

import sys
from threading import Thread

from pydicom import Dataset

from dulcimer import AE, evt
from dulcimer.association import Association
from dulcimer.sop_class import RTConventionalMachineVerification as Verification

plans = set(sys.argv[2:])
verifications: dict[str, Dataset] = {}
DONE = 2  # Event Type ID
Answer = tuple[int, Dataset | None]


def handle_create(event: evt.Event) -> Answer:
    attributes = event.attribute_list
    if attributes.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID not in plans:
        return 0xC227, None  # referenced RT Plan not found
    verifications[event.request.AffectedSOPInstanceUID] = attributes
    return 0x0000, attributes


def handle_set(event: evt.Event) -> Answer:
    known = verifications.get(event.request.RequestedSOPInstanceUID)
    if known is None:
        return 0xC112, None  # the machine verification instance was not found
    known.update(event.modification_list)
    return 0x0000, event.modification_list


def handle_action(event: evt.Event) -> Answer:
    uid = event.request.RequestedSOPInstanceUID
    if uid not in verifications:
        return 0xC112, None
    Thread(target=report, args=(event.assoc, uid)).start()
    return 0x0000, None


def report(assoc: Association, uid: str) -> None:
    machine = verifications[uid].get("GeneralMachineVerificationSequence")
    result = Dataset()
    result.TreatmentVerificationStatus = "VERIFIED" if machine else "NOT_VERIFIED"
    assoc.send_n_event_report(result, DONE, Verification, uid)


def handle_delete(event: evt.Event) -> int:
    known = verifications.pop(event.request.RequestedSOPInstanceUID, None)
    return 0xC112 if known is None else 0x0000


ae = AE("VERIFIER")
ae.add_supported_context(Verification)
ae.start_server(
    ("127.0.0.1", int(sys.argv[1])),
    evt_handlers=[
        (evt.EVT_N_CREATE, handle_create),
        (evt.EVT_N_SET, handle_set),
        (evt.EVT_N_ACTION, handle_action),
        (evt.EVT_N_DELETE, handle_delete),
    ],
)
