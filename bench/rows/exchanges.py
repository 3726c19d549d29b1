"""Small exchanges: N-SET, C-ECHO, and whole associations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median

from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from bench import objects, processes, raw
from bench.contestants import PLAIN, PYNETDICOM, STORESCP_NODELAY, Receiver
from bench.model import OURS, Options, Row, in_turn
from bench.processes import HOST, python
from bench.programs import n_set as program
from bench.programs.stepwise import stepwise

_SOCKET = "bare socket"
_PEER = "pynetdicom"


def n_set(options: Options) -> Iterator[Row]:
    """Measure the N-SET round trip: two processes, against the same bytes over bare sockets."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, program.modification())
    request = raw.n_set_rq(program.STEP_CLASS, program.STEP_INSTANCE, buffer.getvalue())
    response = raw.n_set_rsp(program.STEP_CLASS, program.STEP_INSTANCE)
    samples = in_turn(
        options,
        "N-SET",
        {
            OURS: _n_set(options, "dulcimer", options.count(3000)),
            _SOCKET: _ping(options, request, len(response), options.count(10000)),
            _PEER: _n_set(options, "pynetdicom", options.count(500)),
        },
    )
    row = Row("n-set", "N-SET round trip, two processes", "µs", samples)
    row.within(OURS, _SOCKET, 8).faster(OURS, _PEER, 15)
    row.note = (
        f"{len(request)} bytes there, {len(response)} back; pynetdicom with TCP_NODELAY patched into it"
    )
    yield row


def _n_set(options: Options, library: str, count: int) -> Callable[[], float]:
    def run() -> float:
        port = processes.free_port()
        module = program.__name__
        log = options.scratch / "n-set.log"
        with (
            processes.serving(python(module, library, "scp", port), port, log),
            stepwise(python(module, library, "scu", port, count), log.with_suffix(".scu")) as scu,
        ):
            times: list[float] = scu.go()
            return median(times) * 1e6

    return run


def _ping(options: Options, request: bytes, response: int, count: int) -> Callable[[], float]:
    def run() -> float:
        port = processes.free_port()
        command = python("bench.raw", port, len(request), response)
        with processes.serving(command, port, options.scratch / "pong.log"):
            return median(raw.ping(HOST, port, request, response, count)) * 1e6

    return run


def echo(options: Options) -> Iterator[Row]:
    """Measure C-ECHO on one association, and associate + C-ECHO + release, with the same bare sender."""
    for key, title, measure, count in (
        ("echo", "C-ECHO on one association", raw.echo_seconds, options.count(2000)),
        ("associate", "Associate + C-ECHO + release", raw.cycle_seconds, options.count(300)),
    ):
        samples = in_turn(
            options,
            title,
            {
                receiver.name: _raw(options, receiver, measure, count if receiver is not PYNETDICOM else 100)
                for receiver in (PLAIN, STORESCP_NODELAY, PYNETDICOM)
            },
        )
        row = Row(key, title, "µs", samples)
        yield row.faster(OURS, STORESCP_NODELAY.name, 0.7).faster(OURS, PYNETDICOM.name, 15)


def _raw(
    options: Options, receiver: Receiver, measure: Callable[[str, int, int], float], count: int
) -> Callable[[], float]:
    def run() -> float:
        folder = objects.emptied(options.scratch / "received")
        with receiver.serving(folder) as server:
            return measure(HOST, server.port, count) * 1e6

    return run
