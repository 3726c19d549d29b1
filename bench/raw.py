"""A peer made of plain sockets and prebuilt PDUs: the same sender for every server that is compared.

It knows no more of DICOM than the bytes it sends, so the time it measures is the server's. As a program
(``python -m bench.raw PORT REQUEST RESPONSE``) it is the far side of the bare ping-pong: it answers every
REQUEST bytes with RESPONSE bytes.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_IMPLEMENTATION = "2.25.329800735698586629295641978511506172918"
_TIMEOUT = 30.0
_P_DATA = 0x04
_ASSOCIATE_AC = 0x02
_RELEASE_RP = 0x06
_SUCCESS = b"\x00\x00\x00\x09\x02\x00\x00\x00\x00\x00"


def item(kind: int, body: bytes) -> bytes:
    """Return an item of an A-ASSOCIATE PDU (PS3.8 9.3.2)."""
    return struct.pack(">BxH", kind, len(body)) + body


def pdu(kind: int, body: bytes) -> bytes:
    """Return a PDU (PS3.8 9.3)."""
    return struct.pack(">BxL", kind, len(body)) + body


def associate_rq(abstract_syntax: str = VERIFICATION, called: str = "ANY-SCP") -> bytes:
    """Return an A-ASSOCIATE-RQ that proposes one presentation context, with ID 1."""
    context = item(
        0x20,
        b"\x01\x00\x00\x00"
        + item(0x30, abstract_syntax.encode())
        + item(0x40, EXPLICIT_VR_LITTLE_ENDIAN.encode())
        + item(0x40, IMPLICIT_VR_LITTLE_ENDIAN.encode()),
    )
    user = item(0x50, item(0x51, struct.pack(">L", 16384)) + item(0x52, _IMPLEMENTATION.encode()))
    return pdu(
        0x01,
        struct.pack(">Hxx16s16s32x", 1, called.ljust(16).encode(), b"BENCH".ljust(16))
        + item(0x10, APPLICATION_CONTEXT.encode())
        + context
        + user,
    )


def command(elements: Iterable[tuple[int, bytes]]) -> bytes:
    """Return a command set (PS3.7 6.3.1), with its group length."""
    body = b"".join(struct.pack("<HHL", 0, number, len(value)) + value for number, value in elements)
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def us(value: int) -> bytes:
    """Return a value of VR US."""
    return struct.pack("<H", value)


def ui(value: str) -> bytes:
    """Return a value of VR UI."""
    return value.encode() + b"\x00" * (len(value) % 2)


def p_data(message: bytes, *, is_command: bool) -> bytes:
    """Return a P-DATA-TF PDU with one PDV: the last fragment, on context 1 (PS3.8 9.3.5)."""
    header = 0x03 if is_command else 0x02
    return pdu(_P_DATA, struct.pack(">LBB", len(message) + 2, 1, header) + message)


C_ECHO_RQ = p_data(
    command([(0x0002, ui(VERIFICATION)), (0x0100, us(0x0030)), (0x0110, us(1)), (0x0800, us(0x0101))]),
    is_command=True,
)
RELEASE_RQ = pdu(0x05, bytes(4))


def n_set_rq(class_uid: str, instance_uid: str, dataset: bytes) -> bytes:
    """Return an N-SET-RQ with its data set, as two PDUs (PS3.7 10.3.3.1)."""
    head = command(
        [
            (0x0003, ui(class_uid)),
            (0x0100, us(0x0120)),
            (0x0110, us(1)),
            (0x0800, us(0x0001)),
            (0x1001, ui(instance_uid)),
        ]
    )
    return p_data(head, is_command=True) + p_data(dataset, is_command=False)


def n_set_rsp(class_uid: str, instance_uid: str) -> bytes:
    """Return an N-SET-RSP without an attribute list (PS3.7 10.3.3.2)."""
    head = command(
        [
            (0x0002, ui(class_uid)),
            (0x0100, us(0x8120)),
            (0x0120, us(1)),
            (0x0800, us(0x0101)),
            (0x0900, us(0x0000)),
            (0x1000, ui(instance_uid)),
        ]
    )
    return p_data(head, is_command=True)


class RawAssociation:
    """One association over a bare socket, TCP_NODELAY set."""

    def __init__(self, host: str, port: int, request: bytes) -> None:
        self.socket = socket.create_connection((host, port), timeout=_TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._expect(request, _ASSOCIATE_AC)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def echo(self) -> None:
        """Send a C-ECHO and wait for its Success."""
        if _SUCCESS not in self._expect(C_ECHO_RQ, _P_DATA):
            raise ConnectionError("the C-ECHO was not answered with Success")

    def release(self) -> None:
        """Release the association and close."""
        self._expect(RELEASE_RQ, _RELEASE_RP)
        self.socket.close()

    def _expect(self, request: bytes, kind: int) -> bytes:
        self.socket.sendall(request)
        data = self.socket.recv(65536)
        while len(data) < 6 or len(data) < 6 + int.from_bytes(data[2:6], "big"):
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("the peer closed the connection")
            data += more
        if data[0] != kind:
            raise ConnectionError(f"the peer answered with PDU type {data[0]:02X}H, not {kind:02X}H")
        return data


def echo_seconds(host: str, port: int, count: int) -> float:
    """Return the seconds that one C-ECHO takes, on average over ``count`` on one association."""
    with RawAssociation(host, port, associate_rq()) as association:
        for _ in range(min(20, count)):
            association.echo()
        started = time.perf_counter()
        for _ in range(count):
            association.echo()
        seconds = time.perf_counter() - started
        association.release()
    return seconds / count


def cycle_seconds(host: str, port: int, count: int) -> float:
    """Return the seconds that associate, C-ECHO and release take, on average over ``count``."""
    request = associate_rq()
    for _ in range(min(3, count)):
        _cycle(host, port, request)
    started = time.perf_counter()
    for _ in range(count):
        _cycle(host, port, request)
    return (time.perf_counter() - started) / count


def _cycle(host: str, port: int, request: bytes) -> None:
    with RawAssociation(host, port, request) as association:
        association.echo()
        association.release()


def ping(host: str, port: int, request: bytes, response: int, count: int) -> list[float]:
    """Return the seconds of each of ``count`` round trips against :func:`pong`."""
    times = []
    buffer = bytearray(response)
    with socket.create_connection((host, port), timeout=_TIMEOUT) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            started = time.perf_counter()
            connection.sendall(request)
            _fill(connection, buffer)
            times.append(time.perf_counter() - started)
    return times


def pong(port: int, request: int, response: int) -> None:
    """Answer every ``request`` bytes with ``response`` bytes until the peer closes; then the next peer."""
    answer = bytes(response)
    buffer = bytearray(request)
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while _fill(connection, buffer):
                    connection.sendall(answer)


def _fill(connection: socket.socket, buffer: bytearray) -> bool:
    done = connection.recv_into(buffer)
    while 0 < done < len(buffer):
        more = connection.recv_into(memoryview(buffer)[done:])
        if not more:
            return False
        done += more
    return done > 0


if __name__ == "__main__":
    pong(*map(int, sys.argv[1:4]))
