"""Receive objects and keep them as files: python tutorial_scp.py PORT FOLDER."""

import sys
from pathlib import Path

from dulcimer import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from dulcimer.sop_class import Verification

port, folder = int(sys.argv[1]), Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)


# 1. What is done with an object
def handle_store(event: evt.Event) -> int:
    dataset = event.dataset
    path = folder / f"{event.request.AffectedSOPInstanceUID}.dcm"
    try:
        path.write_bytes(event.encoded_dataset())  # as it was sent, with File Meta Information
    except OSError:
        return 0xA700  # refused: out of resources
    sender = event.assoc.requestor.ae_title
    print(f"{sender} sent a {dataset.Modality} image of {dataset.PatientName}", flush=True)
    return 0x0000


# 2. What peers may talk about
ae = AE("ARCHIVE")
ae.add_supported_context(Verification)
for context in AllStoragePresentationContexts:
    ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)

# 3. Listen, until Ctrl-C
ae.start_server(("127.0.0.1", port), evt_handlers=[(evt.EVT_C_STORE, handle_store)])
