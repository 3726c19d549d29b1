"""Retrieve a study over the same association: python get_scu.py HOST PORT STUDY_UID FOLDER."""

import sys
from pathlib import Path

from pydicom import Dataset

from dulcimer import AE, build_context, build_role, evt
from dulcimer.sop_class import CTImageStorage, MRImageStorage
from dulcimer.sop_class import StudyRootQueryRetrieveInformationModelGet as Get

host, port, study, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
folder.mkdir(parents=True, exist_ok=True)


def handle_open(event: evt.Event) -> Path:
    return folder / event.file_name


def handle_store(event: evt.Event) -> int:
    return 0x0000


query = Dataset()
query.QueryRetrieveLevel = "STUDY"
query.StudyInstanceUID = study

# The peer stores at us, so for the storage classes we are the SCP although we request the association.
storage = [CTImageStorage, MRImageStorage]
contexts = [build_context(Get), *(build_context(sop_class) for sop_class in storage)]
roles = [build_role(sop_class, scp_role=True) for sop_class in storage]
handlers = [(evt.EVT_C_STORE_OPEN, handle_open), (evt.EVT_C_STORE, handle_store)]

with AE("GETSCU").associate(host, port, contexts, ext_neg=roles, evt_handlers=handlers) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    for status, failed in assoc.send_c_get(query, Get):
        if not status:
            sys.exit(str(assoc.failure))
        if status.Status not in (0xFF00, 0xFF01):
            done = status.get("NumberOfCompletedSuboperations", 0)
            print(f"C-GET: {status.Status:04X}, {done} objects")
            if failed is not None:
                print("not retrieved:", failed.get("FailedSOPInstanceUIDList"))
