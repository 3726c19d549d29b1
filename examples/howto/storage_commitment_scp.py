"""Commit to what lies in a folder: python storage_commitment_scp.py PORT FOLDER AET=HOST:PORT...

The peers that may ask are given with the addresses where they listen for the report.
"""

import sys
from pathlib import Path
from threading import Thread

from pydicom import Dataset

from dulcimer import AE, build_context, build_role, evt
from dulcimer.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

folder = Path(sys.argv[2])
peers = dict(argument.split("=") for argument in sys.argv[3:])
ALL_SAFE, SOME_FAILED = 1, 2  # Event Type IDs


def handle_action(event: evt.Event) -> tuple[int, None]:
    peer = event.assoc.requestor.ae_title
    if peer not in peers:
        return 0x0124, None  # refused: not authorized
    Thread(target=report, args=(peer, event.action_information)).start()
    return 0x0000, None  # understood; what became of it is reported later


def report(peer: str, request: Dataset) -> None:
    result = Dataset()
    result.TransactionUID = request.TransactionUID
    safe, failed = [], []
    for item in request.ReferencedSOPSequence:
        if (folder / f"{item.ReferencedSOPInstanceUID}.dcm").is_file():
            safe.append(item)
        else:
            item.FailureReason = 0x0112  # no such object instance
            failed.append(item)
    if safe:
        result.ReferencedSOPSequence = safe
    if failed:
        result.FailedSOPSequence = failed

    host, _, port = peers[peer].rpartition(":")
    # We request this association and are the SCP in it.
    contexts = [build_context(StorageCommitmentPushModel)]
    roles = [build_role(StorageCommitmentPushModel, scp_role=True)]
    assoc = ae.associate(host, int(port), contexts, ae_title=peer, ext_neg=roles)
    if assoc.is_established:
        kind = SOME_FAILED if failed else ALL_SAFE
        assoc.send_n_event_report(
            result, kind, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        assoc.release()
    else:
        print(f"no report to {peer}", flush=True)


ae = AE("ARCHIVE")
ae.add_supported_context(StorageCommitmentPushModel)
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_N_ACTION, handle_action)])
