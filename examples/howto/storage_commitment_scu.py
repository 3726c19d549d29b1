"""Ask for commitment to an object; the answer comes on an association of the peer's.

python storage_commitment_scu.py HOST PORT SOP_CLASS_UID SOP_INSTANCE_UID OUR_PORT
"""

import sys
from queue import Queue

from pydicom import Dataset
from pydicom.uid import generate_uid

from dulcimer import AE, build_context, evt
from dulcimer.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

host, port, sop_class, sop_instance = sys.argv[1], int(sys.argv[2]), *sys.argv[3:5]
our_port = int(sys.argv[5])
reports: Queue[tuple[int | None, Dataset]] = Queue()


def handle_report(event: evt.Event) -> tuple[int, None]:
    reports.put((event.event_type, event.event_information))
    return 0x0000, None


item = Dataset()
item.ReferencedSOPClassUID = sop_class
item.ReferencedSOPInstanceUID = sop_instance
request = Dataset()
request.TransactionUID = generate_uid()
request.ReferencedSOPSequence = [item]

ae = AE("MODALITY")
# The peer requests the association for its report, and is the SCP in it: the roles are reversed.
ae.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
handlers = [(evt.EVT_N_EVENT_REPORT, handle_report)]
listener = ae.start_server(("127.0.0.1", our_port), block=False, evt_handlers=handlers)

contexts = [build_context(StorageCommitmentPushModel)]
with ae.associate(host, port, contexts, evt_handlers=handlers) as assoc:  # some report on this one
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    status, _ = assoc.send_n_action(
        request, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    if not status:
        sys.exit(str(assoc.failure))
    print(f"N-ACTION: {status.Status:04X}")

kind, report = reports.get(timeout=30)
assert report.TransactionUID == request.TransactionUID
for item in report.get("ReferencedSOPSequence", []):
    print(f"safe: {item.ReferencedSOPInstanceUID}")
for item in report.get("FailedSOPSequence", []):
    print(f"not safe: {item.ReferencedSOPInstanceUID}, reason {item.FailureReason:04X}")
listener.shutdown()
