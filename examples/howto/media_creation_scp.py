"""Take orders for CDs: python media_creation_scp.py PORT."""

import sys

from pydicom import Dataset

from dulcimer import AE, evt
from dulcimer.sop_class import MediaCreationManagement

orders: dict[str, Dataset] = {}
INITIATE, CANCEL = 1, 2  # Action Type IDs


def handle_create(event: evt.Event) -> tuple[int, Dataset | None]:
    order = orders[event.request.AffectedSOPInstanceUID] = event.attribute_list
    order.ExecutionStatus = "IDLE"
    return 0x0000, order


def handle_action(event: evt.Event) -> tuple[int, None]:
    order = orders.get(event.request.RequestedSOPInstanceUID)
    if order is None:
        return 0x0112, None  # no such SOP instance
    if event.action_type == CANCEL:
        return 0xC202, None  # in progress and cannot be interrupted
    if order.ExecutionStatus != "IDLE":
        return 0xA510, None  # media creation was initiated already
    order.ExecutionStatus = "PENDING"
    copies = event.action_information.get("NumberOfCopies", 1)
    print(f"{copies} copies of {len(order.ReferencedSOPSequence)} objects", flush=True)
    return 0x0000, None


def handle_get(event: evt.Event) -> tuple[int, Dataset | None]:
    order = orders.get(event.request.RequestedSOPInstanceUID)
    if order is None:
        return 0x0112, None
    wanted = Dataset()
    for tag in event.attribute_identifiers:
        if tag in order:
            wanted.add(order[tag])
    return 0x0000, wanted


ae = AE("BURNER")
ae.add_supported_context(MediaCreationManagement)
handlers = [(evt.EVT_N_CREATE, handle_create), (evt.EVT_N_ACTION, handle_action), (evt.EVT_N_GET, handle_get)]
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=handlers)
