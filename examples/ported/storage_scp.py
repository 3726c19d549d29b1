"""Keep what is sent in files: python storage_scp.py PORT FOLDER [--encoded].

Each data set is decoded and written again by pydicom; with ``--encoded`` the bytes are written as they came.
"""

import argparse
from pathlib import Path

from dulcimer import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from dulcimer.sop_class import Verification

parser = argparse.ArgumentParser(description="A storage SCP")
parser.add_argument("port", type=int)
parser.add_argument("folder", type=Path)
parser.add_argument("--encoded", action="store_true", help="do not decode the data sets")
args = parser.parse_args()


def handle_open(event):
    """Somebody has connected."""
    print("connected", flush=True)


def handle_accepted(event):
    """An association has been accepted."""
    requestor = event.assoc.requestor
    print(f"{requestor.ae_title} proposes {len(requestor.requested_contexts)} contexts", flush=True)


def handle_released(event):
    """The peer has released its association."""
    print(f"{event.assoc.requestor.ae_title} has released", flush=True)


def handle_echo(event):
    """Answer a C-ECHO."""
    print(f"C-ECHO {event.message_id}", flush=True)
    return 0x0000


def handle_store(event, folder):
    """Decode the data set and write it with its File Meta Information."""
    try:
        ds = event.dataset
        ds.file_meta = event.file_meta
        ds.save_as(folder / f"{ds.SOPInstanceUID}.dcm", enforce_file_format=True)
    except Exception as exc:
        print(f"could not be kept: {exc}", flush=True)
        return 0xC001
    print(
        f"{ds.SOPClassUID.name}: {ds.get('PatientID', '')}, {event.context.transfer_syntax.name}", flush=True
    )
    return 0x0000


def handle_store_encoded(event, folder):
    """Write the bytes that came; only the preamble and the File Meta Information are added."""
    request = event.request
    with (folder / f"{request.AffectedSOPInstanceUID}.dcm").open("wb") as f:
        f.write(event.encoded_dataset())
    print(f"{request.AffectedSOPClassUID.name}: {event.context.transfer_syntax.name}", flush=True)
    return 0x0000


args.folder.mkdir(parents=True, exist_ok=True)
handlers = [
    (evt.EVT_CONN_OPEN, handle_open),
    (evt.EVT_ACCEPTED, handle_accepted),
    (evt.EVT_RELEASED, handle_released),
    (evt.EVT_C_ECHO, handle_echo),
    (evt.EVT_C_STORE, handle_store_encoded if args.encoded else handle_store, [args.folder]),
]

ae = AE(ae_title="ARCHIVE")
ae.maximum_pdu_size = 0
for cx in AllStoragePresentationContexts:
    ae.add_supported_context(cx.abstract_syntax, ALL_TRANSFER_SYNTAXES)
ae.add_supported_context(Verification)

ae.start_server(("127.0.0.1", args.port), block=True, evt_handlers=handlers)
