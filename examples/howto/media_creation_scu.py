"""Have objects burned on a CD: python media_creation_scu.py HOST PORT SOP_CLASS_UID SOP_INSTANCE_UID."""

import sys

from pydicom import Dataset
from pydicom.uid import generate_uid

from dulcimer import AE, build_context
from dulcimer.sop_class import MediaCreationManagement as Creation

host, port, sop_class, sop_instance = sys.argv[1], int(sys.argv[2]), *sys.argv[3:5]
uid = generate_uid()


def check(what: str, status: Dataset) -> None:
    if not status:
        sys.exit(f"{what}: {assoc.failure}")
    print(f"{what}: {status.Status:04X}")


item = Dataset()
item.ReferencedSOPClassUID = sop_class
item.ReferencedSOPInstanceUID = sop_instance
item.RequestedMediaApplicationProfile = "STD-GEN-CD"
request = Dataset()
request.StorageMediaFileSetID = "EXAMPLE"
request.ReferencedSOPSequence = [item]
order = Dataset()
order.NumberOfCopies = 1
order.RequestPriority = "LOW"

with AE("WORKSTATION").associate(host, port, [build_context(Creation)]) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    status, _ = assoc.send_n_create(request, Creation, uid)
    check("N-CREATE", status)
    status, _ = assoc.send_n_action(order, 1, Creation, uid)  # 1 initiates, 2 cancels
    check("N-ACTION Initiate", status)
    # 0x21000020 is Execution Status
    status, state = assoc.send_n_get([0x21000020], Creation, uid)
    check("N-GET", status)
    print(f"the medium is {state.ExecutionStatus}")
