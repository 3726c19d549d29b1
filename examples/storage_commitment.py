"""Ask whether objects are safely stored, and hear the answer when the peer has found out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from threading import Event, Timer

from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from dulcimer import AE, build_context, evt
from dulcimer.association import Association
from dulcimer.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

REQUEST = 1  # Action Type ID (PS3.4 Table J.3-1)
ALL_SAFE, SOME_FAILED = 1, 2  # Event Type IDs (PS3.4 Table J.3-2)
NO_SUCH_INSTANCE = 0x0112


def serve(options: argparse.Namespace) -> None:
    """Commit to the objects that lie in a folder as <SOP Instance UID>.dcm."""

    def handle_action(event: evt.Event) -> tuple[int, None]:
        if event.action_type != REQUEST:
            return 0x0123, None  # no such action type
        # This answer only says that the request was understood; the report comes later, on its own.
        Timer(0.2, report, (event.assoc, event.action_information)).start()
        return 0x0000, None

    def report(assoc: Association, request: Dataset) -> None:
        result = Dataset()
        result.TransactionUID = request.TransactionUID
        result.ReferencedSOPSequence, result.FailedSOPSequence = [], []
        for item in request.ReferencedSOPSequence:
            if (options.folder / f"{item.ReferencedSOPInstanceUID}.dcm").is_file():
                result.ReferencedSOPSequence.append(item)
            else:
                item.FailureReason = NO_SUCH_INSTANCE
                result.FailedSOPSequence.append(item)
        kind = SOME_FAILED if result.FailedSOPSequence else ALL_SAFE
        for keyword in ("ReferencedSOPSequence", "FailedSOPSequence"):
            if not result[keyword].value:
                del result[keyword]  # each has items or is absent
        assoc.send_n_event_report(
            result, kind, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )

    ae = AE("COMMIT")
    ae.add_supported_context(StorageCommitmentPushModel)
    ae.start_server((options.host, options.port), evt_handlers=[(evt.EVT_N_ACTION, handle_action)])


def ask(options: argparse.Namespace) -> None:
    """Ask for the commitment of files, wait for the report and print it."""
    request = Dataset()
    request.TransactionUID = generate_uid(prefix=None)
    request.ReferencedSOPSequence = []
    for path in options.files:
        meta = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID"])
        item = Dataset()
        item.ReferencedSOPClassUID = meta.SOPClassUID
        item.ReferencedSOPInstanceUID = meta.SOPInstanceUID
        request.ReferencedSOPSequence.append(item)

    reported = Event()
    reports: list[Dataset] = []

    def handle_report(event: evt.Event) -> tuple[int, None]:
        reports.append(event.event_information)
        reported.set()
        return 0x0000, None

    with AE("MODALITY").associate(
        options.host,
        options.port,
        [build_context(StorageCommitmentPushModel)],
        evt_handlers=[(evt.EVT_N_EVENT_REPORT, handle_report)],
    ) as assoc:
        if not assoc.is_established:
            sys.exit(str(assoc.failure))
        status, _ = assoc.send_n_action(
            request, REQUEST, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        if "Status" not in status or status.Status != 0x0000:
            sys.exit(f"the request was not taken: {status or assoc.failure}")
        # Nothing needs to be called for the report to be received: idle associations are watched.
        if not reported.wait(options.timeout):
            sys.exit(f"no report within {options.timeout:g} s")
    failed = reports[0].get("FailedSOPSequence") or []
    for item in reports[0].get("ReferencedSOPSequence") or []:
        print(f"safe: {item.ReferencedSOPInstanceUID}")
    for item in failed:
        print(f"not safe: {item.ReferencedSOPInstanceUID}, reason {item.FailureReason:04X}")
    sys.exit(1 if failed else 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=11113)
    roles = parser.add_subparsers(required=True)
    scp = roles.add_parser("serve", help=serve.__doc__)
    scp.add_argument("folder", type=Path)
    scp.set_defaults(run=serve)
    scu = roles.add_parser("ask", help=ask.__doc__)
    scu.add_argument("files", type=Path, nargs="+", metavar="FILE")
    scu.add_argument("--timeout", type=float, default=30, help="seconds to wait for the report")
    scu.set_defaults(run=ask)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
