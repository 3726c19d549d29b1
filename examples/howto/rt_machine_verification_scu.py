"""Have a treatment machine verified: python rt_machine_verification_scu.py HOST PORT PLAN_UID."""

import sys
from queue import Queue

from pydicom import Dataset
from pydicom.uid import generate_uid

from dulcimer import AE, build_context, evt
from dulcimer.sop_class import RTConventionalMachineVerification as Verification
from dulcimer.sop_class import RTPlanStorage

host, port, plan_uid = sys.argv[1], int(sys.argv[2]), sys.argv[3]
uid = generate_uid()
PENDING, DONE = 1, 2  # Event Type IDs
results: Queue[str] = Queue()


def handle_report(event: evt.Event) -> tuple[int, None]:
    if event.event_type == DONE:
        results.put(event.event_information.TreatmentVerificationStatus)
    return 0x0000, None


def check(what: str, status: Dataset) -> None:
    if not status or status.Status != 0x0000:
        sys.exit(f"{what}: {status or assoc.failure}")
    print(f"{what}: {status.Status:04X}")


plan = Dataset()
plan.ReferencedSOPClassUID = RTPlanStorage
plan.ReferencedSOPInstanceUID = plan_uid
begin = Dataset()
begin.ReferencedRTPlanSequence = [plan]
begin.ReferencedFractionGroupNumber = 1
begin.PatientID = "1CT1"
begin.GeneralMachineVerificationSequence = []
begin.ConventionalMachineVerificationSequence = []

machine = Dataset()  # a real one has all that the treatment machine reads from itself
machine.TreatmentMachineName = "LINAC1"
machine.RadiationType = "PHOTON"
machine.ReferencedBeamNumber = 1
setting = Dataset()
setting.GeneralMachineVerificationSequence = [machine]

contexts = [build_context(Verification)]
handlers = [(evt.EVT_N_EVENT_REPORT, handle_report)]
with AE("LINAC1").associate(host, port, contexts, evt_handlers=handlers) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    status, _ = assoc.send_n_create(begin, Verification, uid)
    check("N-CREATE", status)
    status, _ = assoc.send_n_set(setting, Verification, uid)
    check("N-SET", status)
    status, _ = assoc.send_n_action(None, 1, Verification, uid)  # 1: verify the beam
    check("N-ACTION Verify", status)
    print(f"the machine is {results.get(timeout=30)}")
    status = assoc.send_n_delete(Verification, uid)
    check("N-DELETE", status)
