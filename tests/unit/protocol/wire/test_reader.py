"""The reader: what a stream is split into, what is refused and when, and the buffer."""

from __future__ import annotations

import struct
import weakref
from mmap import mmap

import pytest

from dulcimer.errors import InvalidParameter, RemoteProtocolError, UnrecognizedPDU
from dulcimer.protocol.wire.reader import FIRST_SIZE, MAX_CONTROL_PDU, ControlBytes, Fragment, Reader

Seen = tuple[int, int, bytes, bool] | tuple[int, bytes] | RemoteProtocolError

RELEASE_RQ = b"\x05\0\0\0\0\x04\0\0\0\0"


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxI", kind, len(body)) + body


def value(context_id: int, control: int, content: bytes) -> bytes:
    return struct.pack(">IBB", len(content) + 2, context_id, control) + content


def feed(reader: Reader, data: bytes) -> list[Seen]:
    """Let ``data`` arrive and return what came of it, with the views copied while they are valid."""
    seen: list[Seen] = []
    while data:
        buffer = reader.get_buffer()
        assert len(buffer)
        count = min(len(buffer), len(data))
        buffer[:count] = data[:count]
        data = data[count:]
        for event in reader.feed(count):
            if isinstance(event, Fragment):
                seen.append((event.context_id, event.control, bytes(event.data), event.whole))
            elif isinstance(event, ControlBytes):
                seen.append((event.type, event.body))
            else:
                seen.append(event)
    return seen


def test_several_values_in_one_pdu() -> None:
    reader = Reader(0)
    data = pdu(4, value(1, 1, b"ab") + value(1, 3, b"") + value(3, 0, b"c") + value(5, 2, b"defg"))
    assert feed(reader, data) == [
        (1, 1, b"ab", True),
        (1, 3, b"", True),
        (3, 0, b"c", True),
        (5, 2, b"defg", True),
    ]
    assert not reader.in_message


def test_a_value_leaves_as_it_arrives() -> None:
    reader = Reader(0)
    data = pdu(4, value(1, 2, b"abcdef"))
    assert feed(reader, data[:14]) == [(1, 2, b"ab", False)]
    assert reader.in_message
    assert feed(reader, data[14:15]) == [(1, 2, b"c", False)]
    assert feed(reader, data[15:] + RELEASE_RQ) == [(1, 2, b"def", True), (5, bytes(4))]
    assert not reader.in_message


def test_payload_is_not_copied() -> None:
    reader = Reader(0)
    data = pdu(4, value(1, 2, b"abc"))
    reader.get_buffer()[: len(data)] = data
    (event,) = reader.feed(len(data))
    assert isinstance(event, Fragment)
    assert event.data.obj is reader._buffer


@pytest.mark.parametrize("size", range(1, 40))
def test_any_read_size(size: int) -> None:
    data = pdu(4, value(1, 1, b"ab") + value(1, 3, b"")) + RELEASE_RQ + pdu(4, value(3, 2, bytes(30)))
    reader = Reader(0)
    seen: list[Seen] = []
    for start in range(0, len(data), size):
        seen += feed(reader, data[start : start + size])
    assert [item for item in seen if isinstance(item, tuple) and len(item) == 2] == [(5, bytes(4))]
    fragments = [item for item in seen if isinstance(item, tuple) and len(item) == 4]
    assert b"".join(item[2] for item in fragments if item[0] == 1) == b"ab"
    assert b"".join(item[2] for item in fragments if item[0] == 3) == bytes(30)
    assert [item[:2] for item in fragments if item[3]] == [(1, 1), (1, 3), (3, 2)]


@pytest.mark.parametrize("kind", [1, 2, 3, 5, 6, 7])
def test_control_pdus_leave_whole(kind: int) -> None:
    reader = Reader(100)
    data = pdu(kind, bytes(range(200)))
    assert feed(reader, data[:-1]) == []
    assert reader.in_message
    assert feed(reader, data[-1:] + data) == [(kind, bytes(range(200)))] * 2


def test_the_maximum_length_is_of_p_data_tf_without_its_header() -> None:
    assert len(feed(Reader(20), pdu(4, value(1, 2, bytes(14))))) == 1
    (error,) = feed(Reader(20), pdu(4, value(1, 2, bytes(15)))[:6])
    assert isinstance(error, InvalidParameter)


def test_no_maximum_length() -> None:
    reader = Reader(0)
    assert feed(reader, struct.pack(">BxI", 4, 0xFFFFFFFF)) == []
    assert feed(reader, value(1, 2, b"abc")[:4] + b"\1\2ab") == [(1, 2, b"ab", False)]


HEADERS = {
    "P-DATA-TF of 4 GiB": (struct.pack(">BxI", 4, 0xFFFFFFFF), InvalidParameter),
    "P-DATA-TF of 5 bytes": (struct.pack(">BxI", 4, 5), InvalidParameter),
    "A-ASSOCIATE-RQ of 4 GiB": (struct.pack(">BxI", 1, 0xFFFFFFFF), InvalidParameter),
    "A-ABORT beyond the limit": (struct.pack(">BxI", 7, MAX_CONTROL_PDU + 1), InvalidParameter),
    "type 8": (b"\x08", UnrecognizedPDU),
    "type 0": (b"\0", UnrecognizedPDU),
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", UnrecognizedPDU),
    "TLS": (b"\x16\x03\x01\x02\0\x01\0", UnrecognizedPDU),
    "value longer than its PDU": (struct.pack(">BxII", 4, 10, 7) + b"\1\2", InvalidParameter),
    "value without its own header": (struct.pack(">BxII", 4, 10, 0) + b"\1\2", InvalidParameter),
    "no room for the next value": (struct.pack(">BxII", 4, 10, 5) + b"\1\2", InvalidParameter),
}


@pytest.mark.parametrize(("header", "error"), HEADERS.values(), ids=HEADERS.keys())
def test_lengths_are_judged_when_the_header_is_here(header: bytes, error: type[Exception]) -> None:
    reader = Reader(1000)
    (found,) = feed(reader, RELEASE_RQ + header)[1:]
    assert type(found) is error
    assert not reader.in_message
    # Once is enough.
    assert feed(reader, header + RELEASE_RQ) == []


def test_what_came_before_a_breach_is_listed() -> None:
    seen = feed(Reader(0), pdu(4, value(1, 2, b"ab")) + b"\xff" + RELEASE_RQ)
    assert seen[0] == (1, 2, b"ab", True)
    assert isinstance(seen[1], UnrecognizedPDU)
    assert len(seen) == 2


def test_a_control_pdu_that_is_longer_than_the_buffer() -> None:
    reader = Reader(0, buffer_size=8192)
    body = bytes(range(256)) * 100
    data = pdu(1, body)
    assert feed(reader, data[:9000]) == []
    assert reader.in_message
    reader.release_buffer()
    assert feed(reader, data[9000:] + RELEASE_RQ) == [(1, body), (5, bytes(4))]


@pytest.mark.parametrize("filler", range(3000, 8150, 123))
def test_the_buffer_is_never_full(filler: int) -> None:
    # What is left of one read stands at every distance from the end of the buffer.
    reader = Reader(0, buffer_size=8192)
    body = bytes(range(250)) * 10
    data = pdu(2, bytes(filler)) + pdu(1, body)
    assert feed(reader, data[: filler + 20])[0] == (2, bytes(filler))
    assert feed(reader, data[filler + 20 :]) == [(1, body)]


def test_release_buffer() -> None:
    reader = Reader(0)
    reader.release_buffer()
    feed(reader, RELEASE_RQ * FIRST_SIZE)
    assert isinstance(reader._buffer, mmap)
    pages = weakref.ref(reader._buffer)
    reader.release_buffer()
    assert pages() is None
    assert feed(reader, RELEASE_RQ) == [(5, bytes(4))]


def test_release_buffer_keeps_what_is_not_complete() -> None:
    reader = Reader(0)
    assert feed(reader, RELEASE_RQ[:5]) == []
    reader.release_buffer()
    assert feed(reader, RELEASE_RQ[5:]) == [(5, bytes(4))]


def test_discard() -> None:
    reader = Reader(0)
    feed(reader, RELEASE_RQ[:5])
    reader.discard()
    assert not reader.in_message
    assert feed(reader, RELEASE_RQ) == []
    reader.release_buffer()
    assert reader._buffer is None


def test_the_buffer_grows_when_it_was_full_and_only_then() -> None:
    reader = Reader(0)
    assert feed(reader, RELEASE_RQ) == [(5, bytes(4))]
    assert len(reader.get_buffer()) == FIRST_SIZE
    # Full, and its last PDU not complete.
    body = bytes(range(256)) * 20
    assert feed(reader, pdu(1, body)[:FIRST_SIZE]) == []
    assert len(reader.get_buffer()) > FIRST_SIZE
    assert feed(reader, pdu(1, body)[FIRST_SIZE:]) == [(1, body)]
    assert isinstance(reader._buffer, mmap)


def test_views_of_the_small_buffer_outlive_it() -> None:
    reader = Reader(0)
    data = pdu(4, value(1, 2, bytes(FIRST_SIZE)))
    reader.get_buffer()[:] = data[:FIRST_SIZE]
    (event,) = reader.feed(FIRST_SIZE)
    assert isinstance(event, Fragment)
    reader.get_buffer()[:10] = b"0123456789"
    assert bytes(event.data) == bytes(FIRST_SIZE - 12)
