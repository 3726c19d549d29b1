"""Make inventories when asked: python storage_management_scp.py PORT."""

import sys
from threading import Thread

from pydicom import Dataset
from pydicom.uid import generate_uid

from dulcimer import AE, evt
from dulcimer.association import Association
from dulcimer.sop_class import InventoryCreation, InventoryStorage, StorageManagementInstance

INITIATE = 1  # Action Type ID
REPORT = 1  # Event Type ID


def handle_action(event: evt.Event) -> tuple[int, None]:
    if event.action_type != INITIATE:
        return 0x0123, None  # no such action type
    Thread(target=report, args=(event.assoc, event.action_information.TransactionUID)).start()
    return 0x0000, None


def report(assoc: Association, transaction: str) -> None:
    inventory = Dataset()
    inventory.ReferencedSOPClassUID = InventoryStorage
    inventory.ReferencedSOPInstanceUID = generate_uid()
    result = Dataset()
    result.TransactionUID = transaction
    result.ReferencedSOPSequence = [inventory]
    assoc.send_n_event_report(result, REPORT, InventoryCreation, StorageManagementInstance)


ae = AE("ARCHIVE")
ae.add_supported_context(InventoryCreation)
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_N_ACTION, handle_action)])
