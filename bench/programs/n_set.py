"""The N-SET that is timed: what a modality sends when a procedure step is done.

One program for both libraries, since the names are the same: ``python -m bench.programs.n_set LIBRARY scp
PORT`` serves, ``... LIBRARY scu PORT COUNT`` reports the seconds of each round trip.
"""

from __future__ import annotations

import importlib
import socket
import sys
import time
from typing import Any

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from bench.programs import stepwise

STEP_CLASS = "1.2.840.10008.3.1.2.3.3"
STEP_INSTANCE = "2.25.173283910264198332894102738490172839405"
_WARM_UP = 50


def modification() -> Dataset:
    """Return the modification list: the step is completed."""
    dataset = Dataset()
    dataset.PerformedProcedureStepEndDate = "20240229"
    dataset.PerformedProcedureStepEndTime = "121500"
    dataset.PerformedProcedureStepStatus = "COMPLETED"
    return dataset


def handle(event: Any) -> tuple[int, None]:
    """Read the modification list, as every real handler does, and answer Success."""
    if event.modification_list.PerformedProcedureStepStatus != "COMPLETED":
        return 0x0106, None
    return 0x0000, None


def serve(library: str, port: int) -> None:
    """Serve N-SET until the process is ended."""
    package = importlib.import_module(library)
    ae = package.AE()
    ae.add_supported_context(STEP_CLASS, ExplicitVRLittleEndian)
    ae.start_server(("127.0.0.1", port), block=True, evt_handlers=[(package.evt.EVT_N_SET, handle)])


def request(library: str, port: int, count: int) -> list[float]:
    """Return the seconds of each of ``count`` round trips on one association."""
    ae = importlib.import_module(library).AE()
    ae.add_requested_context(STEP_CLASS, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", port)
    if not association.is_established:
        raise SystemExit("no association")
    dataset = modification()
    times = []
    for _ in range(count + _WARM_UP):
        started = time.perf_counter()
        status, _attributes = association.send_n_set(dataset, STEP_CLASS, STEP_INSTANCE)
        times.append(time.perf_counter() - started)
        if "Status" not in status or status.Status != 0:
            raise SystemExit(f"N-SET failed: {status}")
    association.release()
    return times[_WARM_UP:]


def without_nagle() -> None:
    """Set TCP_NODELAY on every socket that pynetdicom uses, which it does not do by itself."""
    transport = importlib.import_module("pynetdicom.transport")
    original = transport.AssociationSocket.send

    def send(wrapper: Any, data: bytes) -> None:
        if wrapper.socket is not None and not getattr(wrapper, "nagle_is_off", False):
            wrapper.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wrapper.nagle_is_off = True
        original(wrapper, data)

    transport.AssociationSocket.send = send


if __name__ == "__main__":
    name, role, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if name == "pynetdicom":
        without_nagle()
    if role == "scp":
        serve(name, port)
    else:
        stepwise.main(lambda: request(name, port, int(sys.argv[4])))
