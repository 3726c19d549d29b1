"""Keep objects that belong to no patient: python non_patient_object_scp.py PORT."""

import sys

from pydicom import Dataset

from dulcimer import AE, NonPatientObjectPresentationContexts, evt

kept: dict[str, Dataset] = {}


def handle_store(event: evt.Event) -> int:
    stored = event.dataset
    kept[stored.SOPInstanceUID] = stored
    print(f"{stored.SOPClassUID.name} {stored.get('ContentLabel', '')}", flush=True)
    return 0x0000


ae = AE("LIBRARY")
ae.supported_contexts = NonPatientObjectPresentationContexts
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_STORE, handle_store)])
