"""Receive objects of any storage SOP class and write each to a file while it arrives."""

from __future__ import annotations

import argparse
from pathlib import Path

from dulcimer import AE, evt
from dulcimer.sop_class import Verification


def open_file(event: evt.Event, folder: Path) -> Path:
    """Name the file, before the data set comes: what follows is written to it piece by piece."""
    return folder / event.file_name  # the UID, made safe: what a peer sends as a UID may be a path


def answer(event: evt.Event) -> int:
    """Answer Success: the file is complete and has its name."""
    print(f"{event.assoc.requestor.ae_title} sent {event.request.AffectedSOPInstanceUID}", flush=True)
    return 0x0000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the files go")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=11112)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)

    ae = AE("STORE")
    ae.add_supported_context(Verification)
    ae.start_server(
        (options.host, options.port),
        evt_handlers=[(evt.EVT_C_STORE_OPEN, open_file, [options.folder]), (evt.EVT_C_STORE, answer)],
        storage="any",
    )


if __name__ == "__main__":
    main()
