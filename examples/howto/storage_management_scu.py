"""Ask an archive for an inventory of what it holds: python storage_management_scu.py HOST PORT."""

import sys
from queue import Queue

from pydicom import Dataset
from pydicom.uid import generate_uid

from dulcimer import AE, build_context, evt
from dulcimer.sop_class import InventoryCreation, StorageManagementInstance

host, port = sys.argv[1], int(sys.argv[2])
reports: Queue[Dataset] = Queue()


def handle_report(event: evt.Event) -> tuple[int, None]:
    reports.put(event.event_information)
    return 0x0000, None


request = Dataset()
request.TransactionUID = generate_uid()
request.InventoryPurpose = "migration"

contexts = [build_context(InventoryCreation)]
handlers = [(evt.EVT_N_EVENT_REPORT, handle_report)]
with AE("MIGRATION").associate(host, port, contexts, evt_handlers=handlers) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    status, _ = assoc.send_n_action(request, 1, InventoryCreation, StorageManagementInstance)  # 1: initiate
    if not status:
        sys.exit(str(assoc.failure))
    print(f"N-ACTION: {status.Status:04X}")
    if status.Status == 0x0000:
        report = reports.get(timeout=30)
        print(f"the inventory is {report.ReferencedSOPSequence[0].ReferencedSOPInstanceUID}")
