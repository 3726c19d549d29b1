"""Send a folder of files with dulcimer; report the seconds from associate to release."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from bench.programs import stepwise
from dulcimer import AE


def send(port: int, folder: Path) -> float:
    """Send every file of the folder."""
    paths = sorted(folder.iterdir())
    started = time.perf_counter()
    ae = AE()
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", port)
    if not association.is_established:
        raise SystemExit(f"no association: {association.failure}")
    for path in paths:
        status = association.send_c_store(path)
        if "Status" not in status or status.Status != 0:
            raise SystemExit(f"not stored: {path}: {status} {association.failure}")
    association.release()
    return time.perf_counter() - started


if __name__ == "__main__":
    stepwise.main(lambda: send(int(sys.argv[1]), Path(sys.argv[2])))
