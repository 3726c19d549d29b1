"""A DICOM peer made by hand from PS3.7 and PS3.8: it shares no code with the package, so that it can be wrong
on purpose and is not wrong in the same way by accident."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
ACCEPTED, ABSTRACT_SYNTAX_NOT_SUPPORTED = 0, 3

AFFECTED_CLASS, REQUESTED_CLASS, COMMAND_FIELD = 0x0002, 0x0003, 0x0100
MESSAGE_ID, RESPONDED_TO, PRIORITY, DATA_SET_TYPE = 0x0110, 0x0120, 0x0700, 0x0800
STATUS, ERROR_COMMENT, ERROR_ID = 0x0900, 0x0902, 0x0903
AFFECTED_INSTANCE, REQUESTED_INSTANCE = 0x1000, 0x1001
NO_DATA_SET, WITH_DATA_SET = 0x0101, 0x0001

Value = int | str


class RawPeer:
    """A connection on which PDUs are sent and received one by one."""

    def __init__(self, address: tuple[str, int], timeout: float = 15.0) -> None:
        self.socket = socket.create_connection(address, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.accepted: dict[int, str] = {}
        self.refused: dict[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    # -- PDUs

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> tuple[int, bytes]:
        """Return type and body of the next PDU; EOFError when the peer has closed."""
        head = self._exactly(6)
        kind, _, length = struct.unpack(">BBI", head)
        return kind, self._exactly(length)

    def ends(self) -> bool:
        """Whether the connection ends without another byte."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                piece = self.socket.recv(count - len(data))
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise EOFError(f"the connection ended after {data!r}")
            data += piece
        return data

    # -- Association

    def request(
        self,
        *contexts: tuple[str, Sequence[str]],
        called: str = "ANY-SCP",
        calling: str = "RAWPEER",
    ) -> tuple[int, bytes]:
        """Send an A-ASSOCIATE-RQ (context IDs 1, 3, 5…) and return the answer."""
        self.send(associate_request(*contexts, called=called, calling=calling))
        return self.receive()

    def associate(self, *contexts: tuple[str, Sequence[str]], calling: str = "RAWPEER") -> Self:
        """Establish an association; :attr:`accepted` has the transfer syntax of each accepted context."""
        kind, body = self.request(*contexts, calling=calling)
        assert kind == ASSOCIATE_AC, f"PDU type {kind}: {body.hex()}"
        for item, content in _items(body[68:]):
            if item == 0x21:
                number, result = content[0], content[2]
                if result == ACCEPTED:
                    ((_, syntax),) = _items(content[4:])
                    self.accepted[number] = syntax.decode("ascii").rstrip("\0")
                else:
                    self.refused[number] = result
        return self

    def release(self) -> None:
        self.send(pdu(RELEASE_RQ, bytes(4)))
        kind, _ = self.receive()
        assert kind == RELEASE_RP, f"PDU type {kind}"

    # -- Messages

    def send_command(self, context: int, command: Mapping[int, Value]) -> None:
        self.send(p_data(context, 0x03, command_set(command)))

    def send_data(self, context: int, data: bytes, *, last: bool = True, piece: int = 16000) -> None:
        """Send a data set, or the beginning of one, in fragments."""
        starts = range(0, max(len(data), 1), piece)
        for start in starts:
            flags = 0x02 if last and start == starts[-1] else 0x00
            self.send(p_data(context, flags, data[start : start + piece]))

    def response(self) -> dict[int, Value]:
        """Return the command set of the next message; a data set that belongs to it is read and dropped."""
        raw = self._message(0x01)
        answer = _elements(raw)
        if answer[DATA_SET_TYPE] != NO_DATA_SET:
            self._message(0x00)
        return answer

    def _message(self, command: int) -> bytes:
        raw, last = b"", False
        while not last:
            kind, body = self.receive()
            assert kind == P_DATA, f"PDU type {kind}: {body.hex()}"
            at = 0
            while at < len(body):
                (length,) = struct.unpack_from(">I", body, at)
                flags = body[at + 5]
                assert flags & 0x01 == command
                raw += body[at + 6 : at + 4 + length]
                last = bool(flags & 0x02)
                at += 4 + length
        return raw

    def begin_store(self, context: int, class_uid: str, instance_uid: str, message_id: int = 1) -> None:
        """Send the command of a C-STORE."""
        self.send_command(
            context,
            {
                AFFECTED_CLASS: class_uid,
                COMMAND_FIELD: 0x0001,
                MESSAGE_ID: message_id,
                PRIORITY: 0,
                DATA_SET_TYPE: WITH_DATA_SET,
                AFFECTED_INSTANCE: instance_uid,
            },
        )

    def store(
        self, context: int, class_uid: str, instance_uid: str, data: bytes, *, piece: int = 16000
    ) -> dict[int, Value]:
        self.begin_store(context, class_uid, instance_uid)
        self.send_data(context, data, piece=piece)
        return self.response()

    def echo(self, context: int) -> int:
        self.send_command(
            context,
            {
                AFFECTED_CLASS: VERIFICATION,
                COMMAND_FIELD: 0x0030,
                MESSAGE_ID: 7,
                DATA_SET_TYPE: NO_DATA_SET,
            },
        )
        answer = self.response()
        assert answer[RESPONDED_TO] == 7
        status = answer[STATUS]
        assert isinstance(status, int)
        return status


def associate_request(
    *contexts: tuple[str, Sequence[str]], called: str = "ANY-SCP", calling: str = "RAWPEER"
) -> bytes:
    """Encode an A-ASSOCIATE-RQ (PS3.8 9.3.2)."""
    body = struct.pack(">HH", 1, 0) + called.ljust(16).encode("ascii") + calling.ljust(16).encode("ascii")
    body += bytes(32) + _item(0x10, b"1.2.840.10008.3.1.1.1")
    for position, (abstract, syntaxes) in enumerate(contexts):
        content = bytes([2 * position + 1, 0, 0, 0]) + _item(0x30, abstract.encode("ascii"))
        content += b"".join(_item(0x40, syntax.encode("ascii")) for syntax in syntaxes)
        body += _item(0x20, content)
    user = _item(0x51, struct.pack(">I", 16384)) + _item(0x52, b"2.25.1234567890")
    return pdu(ASSOCIATE_RQ, body + _item(0x50, user))


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBI", kind, 0, len(body)) + body


def p_data(context: int, flags: int, content: bytes) -> bytes:
    return pdu(P_DATA, struct.pack(">IBB", len(content) + 2, context, flags) + content)


def command_set(command: Mapping[int, Value]) -> bytes:
    """Encode a command set (PS3.7 6.3.1): Implicit VR Little Endian with its group length."""
    body = b""
    for number, value in sorted(command.items()):
        if isinstance(value, int):
            content = struct.pack("<H", value)
        else:
            content = value.encode("ascii")
            content += b"\0" * (len(content) % 2)
        body += struct.pack("<HHI", 0, number, len(content)) + content
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def echo(address: tuple[str, int]) -> int:
    """Associate, verify, release; return the status."""
    with RawPeer(address) as peer:
        peer.associate((VERIFICATION, [IMPLICIT]))
        status = peer.echo(1)
        peer.release()
        return status


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(content)) + content


def _items(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(data):
        kind, _, length = struct.unpack_from(">BBH", data, at)
        found.append((kind, data[at + 4 : at + 4 + length]))
        at += 4 + length
    return found


_NUMBERS = frozenset({COMMAND_FIELD, MESSAGE_ID, RESPONDED_TO, PRIORITY, DATA_SET_TYPE, STATUS, ERROR_ID})


def _elements(data: bytes) -> dict[int, Value]:
    found: dict[int, Value] = {}
    at = 0
    while at < len(data):
        group, number, length = struct.unpack_from("<HHI", data, at)
        assert group == 0
        content = data[at + 8 : at + 8 + length]
        at += 8 + length
        if number in _NUMBERS:
            (found[number],) = struct.unpack("<H", content)
        else:
            found[number] = content.decode("ascii", "replace").rstrip("\0 ")
    return found
