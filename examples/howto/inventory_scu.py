"""Find inventories and retrieve them: python inventory_scu.py HOST PORT NAME."""

import sys

from pydicom import Dataset

from dulcimer import AE, build_context, build_role, evt
from dulcimer.sop_class import InventoryFind as Find
from dulcimer.sop_class import InventoryGet as Get
from dulcimer.sop_class import InventoryStorage

host, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]


def handle_store(event: evt.Event) -> int:
    print(f"retrieved {event.dataset.InventoryPurpose}")
    return 0x0000


query = Dataset()
query.SOPInstanceUID = ""  # an empty value asks for the attribute
query.InventoryPurpose = name
query.ItemInventoryDateTime = ""

contexts = [build_context(sop_class) for sop_class in (Find, Get, InventoryStorage)]
roles = [build_role(InventoryStorage, scp_role=True)]  # in a C-GET the peer stores at us
handlers = [(evt.EVT_C_STORE, handle_store)]
with AE("WORKSTATION").associate(host, port, contexts, ext_neg=roles, evt_handlers=handlers) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    found = []
    for status, match in assoc.send_c_find(query, Find):
        if not status:
            sys.exit(str(assoc.failure))
        if match is not None:
            found.append(match.SOPInstanceUID)
    print(f"C-FIND: {status.Status:04X}, {len(found)} found")
    for uid in found:
        wanted = Dataset()
        wanted.SOPInstanceUID = uid
        for status, _ in assoc.send_c_get(wanted, Get):
            if not status:
                sys.exit(str(assoc.failure))
        print(f"C-GET: {status.Status:04X}")
