"""A receiver that writes every object to a file while it arrives, and does nothing else.

``python -m bench.plain_receiver FOLDER PORT``. This is what is compared with DCMTK's storescp: it keeps no
index and does not fsync, as they do not.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dulcimer import AE, evt
from dulcimer.sop_class import Verification


def open_file(event: evt.Event, folder: Path) -> Path:
    """Say where the object goes."""
    return folder / f"{event.request.AffectedSOPInstanceUID}.dcm"


def answer(event: evt.Event) -> int:
    """Answer Success: the file is complete."""
    return 0x0000


def main(folder: Path, port: int) -> None:
    """Receive until the process is ended."""
    ae = AE()
    ae.maximum_associations = 1100
    ae.network_timeout = 300
    ae.add_supported_context(Verification)
    ae.start_server(
        ("127.0.0.1", port),
        block=True,
        evt_handlers=[(evt.EVT_C_STORE_OPEN, open_file, [folder]), (evt.EVT_C_STORE, answer)],
        storage="any",
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
