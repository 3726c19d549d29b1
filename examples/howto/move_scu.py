"""Have a study sent to us by the peer: python move_scu.py HOST PORT STUDY_UID OUR_AET OUR_PORT FOLDER."""

import sys
from pathlib import Path

from pydicom import Dataset

from dulcimer import AE, StoragePresentationContexts, build_context, evt
from dulcimer.sop_class import StudyRootQueryRetrieveInformationModelMove as Move

host, port, study, our_aet, our_port = sys.argv[1], int(sys.argv[2]), *sys.argv[3:5], int(sys.argv[5])
folder = Path(sys.argv[6])
folder.mkdir(parents=True, exist_ok=True)


def handle_open(event: evt.Event) -> Path:
    return folder / event.file_name


def handle_store(event: evt.Event) -> int:
    return 0x0000


query = Dataset()
query.QueryRetrieveLevel = "STUDY"
query.StudyInstanceUID = study

ae = AE(our_aet)
ae.supported_contexts = StoragePresentationContexts
handlers = [(evt.EVT_C_STORE_OPEN, handle_open), (evt.EVT_C_STORE, handle_store)]
receiver = ae.start_server(("127.0.0.1", our_port), block=False, evt_handlers=handlers)

with ae.associate(host, port, [build_context(Move)]) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    # The peer is given an AE title, and has to know the address and port that belong to it.
    for status, _ in assoc.send_c_move(query, our_aet, Move):
        if not status:
            sys.exit(str(assoc.failure))
        if status.Status not in (0xFF00, 0xFF01):
            done = status.get("NumberOfCompletedSuboperations", 0)
            print(f"C-MOVE: {status.Status:04X}, {done} objects")
receiver.shutdown()
