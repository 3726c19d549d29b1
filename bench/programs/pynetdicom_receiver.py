"""pynetdicom's fastest documented receiver: the encoded data set goes to a file without being decoded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, evt


def store(event: Any, folder: Path) -> int:
    """Write the object to a file."""
    path = folder / f"{event.request.AffectedSOPInstanceUID}.dcm"
    with path.open("wb") as file:
        file.write(event.encoded_dataset())
    return 0x0000


def main(folder: Path, port: int) -> None:
    """Receive until the process is ended."""
    ae = AE()
    ae.maximum_associations = 1100
    ae.network_timeout = 300
    for context in AllStoragePresentationContexts:
        if context.abstract_syntax is not None:
            syntaxes = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
            ae.add_supported_context(context.abstract_syntax, syntaxes)
    ae.add_supported_context("1.2.840.10008.1.1")  # Verification
    ae.start_server(("127.0.0.1", port), block=True, evt_handlers=[(evt.EVT_C_STORE, store, [folder])])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
