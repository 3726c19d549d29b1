"""C-FIND and C-GET with one program for both libraries, since the names are the same.

``python -m bench.programs.query LIBRARY find-scp PORT COUNT`` yields COUNT matches that are ready;
``... find-scu PORT COUNT`` reports the seconds of a response. ``... get-scp PORT COUNT SIZE`` yields COUNT
instances of SIZE bytes, ``... get-scu PORT COUNT`` reports the seconds that one takes.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Iterator
from typing import Any

from pydicom import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from bench import raw_find
from bench.programs import stepwise
from bench.programs.n_set import without_nagle

GET_MODEL = "1.2.840.10008.5.1.4.1.2.2.3"
"""Study Root Query/Retrieve Information Model - GET."""


def _identifier() -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    return identifier


def find_scp(package: Any, port: int, count: int) -> None:
    """Serve C-FIND until the process is ended."""
    matches = [raw_find.match(number) for number in range(count)]

    def handle(event: Any) -> Iterator[tuple[int, Dataset]]:
        if event.identifier.QueryRetrieveLevel != "STUDY":
            raise ValueError("another level")
        for found in matches:
            yield 0xFF00, found

    ae = package.AE()
    ae.add_supported_context(raw_find.MODEL, ExplicitVRLittleEndian)
    ae.start_server(("127.0.0.1", port), block=True, evt_handlers=[(package.evt.EVT_C_FIND, handle)])


def find_scu(package: Any, port: int, count: int) -> float:
    """Return the seconds that a response takes; of each the Study Instance UID is read."""
    ae = package.AE()
    ae.add_requested_context(raw_find.MODEL, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", port)
    started = time.perf_counter()
    uids = set()
    last = Dataset()
    for status, found in association.send_c_find(_identifier(), raw_find.MODEL):
        last = status
        if found is not None:
            uids.add(found.StudyInstanceUID)
    taken = time.perf_counter() - started
    association.release()
    if len(uids) != count or last.Status != 0:
        raise SystemExit(f"{len(uids)} matches of {count}")
    return taken / count


def get_scp(package: Any, port: int, count: int, size: int) -> None:
    """Serve C-GET until the process is ended."""
    instance = Dataset()
    instance.SOPClassUID = CTImageStorage
    instance.PixelData = bytes(size)
    instance["PixelData"].VR = "OW"
    instance.file_meta = importlib.import_module("pydicom.dataset").FileMetaDataset()
    instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian

    def handle(event: Any) -> Iterator[Any]:
        yield count
        for number in range(count):
            instance.SOPInstanceUID = f"1.2.826.0.1.3680043.8.498.{number}"
            yield 0xFF00, instance

    ae = package.AE()
    ae.add_supported_context(GET_MODEL, ExplicitVRLittleEndian)
    ae.add_supported_context(CTImageStorage, ExplicitVRLittleEndian, scu_role=False, scp_role=True)
    ae.start_server(("127.0.0.1", port), block=True, evt_handlers=[(package.evt.EVT_C_GET, handle)])


def get_scu(package: Any, port: int, count: int) -> float:
    """Return the seconds that an instance takes; each is taken as it comes and not kept."""
    taken: list[str] = []

    def handle(event: Any) -> int:
        taken.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    ae = package.AE()
    ae.add_requested_context(GET_MODEL, ExplicitVRLittleEndian)
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    role = package.build_role(CTImageStorage, scp_role=True)
    handlers = [(package.evt.EVT_C_STORE, handle)]
    association = ae.associate("127.0.0.1", port, ext_neg=[role], evt_handlers=handlers)
    last = Dataset()
    started = time.perf_counter()
    for status, _ in association.send_c_get(_identifier(), GET_MODEL):
        last = status
    seconds = time.perf_counter() - started
    association.release()
    if len(set(taken)) != count or last.Status != 0:
        raise SystemExit(f"{len(taken)} instances of {count}: {last}")
    return seconds / count


if __name__ == "__main__":
    library, role, *numbers = sys.argv[1:]
    module = importlib.import_module(library)
    if library == "pynetdicom":
        without_nagle()
    work = {"find-scp": find_scp, "find-scu": find_scu, "get-scp": get_scp, "get-scu": get_scu}[role]
    if role.endswith("scp"):
        work(module, *map(int, numbers))
    else:
        stepwise.main(lambda: work(module, *map(int, numbers)))
