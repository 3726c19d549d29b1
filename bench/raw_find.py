"""C-FIND with prebuilt bytes: a requestor and a responder that cost next to nothing.

As a program (``python -m bench.raw_find PORT COUNT``) it answers every C-FIND with COUNT matches.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from bench import raw

MODEL = "1.2.840.10008.5.1.4.1.2.2.1"
"""Study Root Query/Retrieve Information Model - FIND."""

_NO_DATA_SET = 0x0101
_WITH_DATA_SET = 0x0001
_PENDING = 0xFF00
_SUCCESS = 0x0000
_END = struct.pack("<HHLH", 0x0000, 0x0900, 2, _SUCCESS)
"""How the final response ends: its last element is *Status*."""


def match(number: int) -> Dataset:
    """Return a match at study level, of the size that such matches have."""
    dataset = Dataset()
    dataset.StudyDate = "20240229"
    dataset.StudyTime = "121500"
    dataset.AccessionNumber = f"A{number:07}"
    dataset.QueryRetrieveLevel = "STUDY"
    dataset.ModalitiesInStudy = ["CT", "SR"]
    dataset.StudyDescription = "THORAX"
    dataset.PatientName = "Doe^Jane"
    dataset.PatientID = f"P{number:07}"
    dataset.PatientBirthDate = "19701231"
    dataset.StudyInstanceUID = f"1.2.826.0.1.3680043.8.498.{number}"
    dataset.NumberOfStudyRelatedInstances = 250
    return dataset


def _encoded(dataset: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset)
    encoded: bytes = buffer.getvalue()
    return encoded


def _message(field: int, status: int | None, dataset: bytes | None) -> bytes:
    elements = [
        (0x0002, raw.ui(MODEL)),
        (0x0100, raw.us(field)),
        (0x0110 if status is None else 0x0120, raw.us(1)),
    ]
    if status is None:
        elements.append((0x0700, raw.us(2)))
    elements.append((0x0800, raw.us(_NO_DATA_SET if dataset is None else _WITH_DATA_SET)))
    if status is not None:
        elements.append((0x0900, raw.us(status)))
    message = raw.p_data(raw.command(elements), is_command=True)
    return message if dataset is None else message + raw.p_data(dataset, is_command=False)


def seconds(host: str, port: int, count: int) -> float:
    """Return the seconds that a response takes, of a server that has ``count`` matches."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.PatientID = ""
    request = _message(0x0020, None, _encoded(identifier))
    with raw.RawAssociation(host, port, raw.associate_rq(MODEL)) as association:
        started = time.perf_counter()
        association.socket.sendall(request)
        received = 0
        tail = b""
        while not tail.endswith(_END):
            data = association.socket.recv(1 << 18)
            if not data:
                raise ConnectionError("the peer closed the connection")
            received += len(data)
            tail = (tail + data)[-len(_END) :]
        taken = time.perf_counter() - started
        association.release()
    if received < count * 200:
        raise ConnectionError(f"only {received} bytes came for {count} matches")
    return taken / count


def _accept(request: bytes) -> bytes:
    """Accept the first presentation context with the first transfer syntax of :func:`raw.associate_rq`."""
    context = raw.item(0x21, b"\x01\x00\x00\x00" + raw.item(0x40, raw.EXPLICIT_VR_LITTLE_ENDIAN.encode()))
    user = raw.item(0x50, raw.item(0x51, struct.pack(">L", 16384)) + raw.item(0x52, b"2.25.1"))
    head = struct.pack(">Hxx", 1) + request[10:74]
    return raw.pdu(0x02, head + raw.item(0x10, raw.APPLICATION_CONTEXT.encode()) + context + user)


def serve(port: int, count: int) -> None:
    """Answer every association's one C-FIND with ``count`` matches."""
    answer = b"".join(_message(0x8020, _PENDING, _encoded(match(number))) for number in range(count))
    answer += _message(0x8020, _SUCCESS, None)
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(_accept(_pdu(connection)))
                # The request is a command PDU and a data set PDU.
                _pdu(connection)
                _pdu(connection)
                connection.sendall(answer)
                if _pdu(connection)[:1] == raw.RELEASE_RQ[:1]:
                    connection.sendall(raw.pdu(0x06, bytes(4)))


def _pdu(connection: socket.socket) -> bytes:
    head = _exactly(connection, 6)
    return head + _exactly(connection, int.from_bytes(head[2:6], "big"))


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            return data
        data += more
    return data


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:3]))
