"""Write what is received to files: python storage_scp.py PORT FOLDER."""

import sys
from pathlib import Path

from dulcimer import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt

folder = Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)


def handle_open(event: evt.Event) -> Path:
    return folder / event.file_name  # the UID, made safe; the data set is written there while it arrives


def handle_store(event: evt.Event) -> int:
    print(f"stored {event.request.AffectedSOPInstanceUID}", flush=True)
    return 0x0000  # the file is complete


ae = AE("STORESCP")
for context in AllStoragePresentationContexts:
    ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
ae.start_server(
    ("127.0.0.1", int(sys.argv[1])),
    evt_handlers=[(evt.EVT_C_STORE_OPEN, handle_open), (evt.EVT_C_STORE, handle_store)],
)
