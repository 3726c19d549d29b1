"""The writer: what is sent is what was given, within the peer's Maximum Length and sendmsg's limits."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import pytest

from dulcimer.protocol.wire.writer import (
    CHUNK_SIZE,
    MAX_BATCH_BUFFERS,
    UNLIMITED_PDU,
    Buffer,
    DataSource,
    batches,
    fragment,
    room_for,
)

COMMAND = bytes(range(100))
SENDMSG_LIMIT = 1024


def check(
    command: bytes, data: DataSource | None, peer_max: int, expected: bytes, context_id: int = 5
) -> list[int]:
    """Send a message, check everything that has to hold for it, and return the lengths of its PDUs."""
    gathered = {True: bytearray(), False: bytearray()}
    last: list[bool] = []
    lengths: list[int] = []
    for batch in batches(context_id, command, data, peer_max):
        # Nothing to send would be taken for the end.
        assert 0 < len(batch) <= SENDMSG_LIMIT
        stream = b"".join(batch)
        offset = 0
        while offset < len(stream):
            kind, length, value_length, context, control = struct.unpack_from(">BxIIBB", stream, offset)
            assert (kind, context, value_length) == (4, context_id, length - 4)
            lengths.append(length)
            is_command = bool(control & 1)
            assert not (is_command and last), "a command fragment after the last one"
            assert is_command or last == [True], "a data set fragment before the end of the command set"
            gathered[is_command] += stream[offset + 12 : offset + 6 + length]
            if control & 2:
                last.append(is_command)
            offset += 6 + length
        assert offset == len(stream), "a batch ends within a PDU"
    assert last == ([True] if data is None else [True, False])
    assert bytes(gathered[True]) == command
    assert bytes(gathered[False]) == expected
    assert max(lengths) <= (peer_max or UNLIMITED_PDU)
    return lengths


def whole(data: bytes) -> DataSource:
    return data


def array(data: bytes) -> DataSource:
    return bytearray(data)


def view(data: bytes) -> DataSource:
    return memoryview(data)


def chunked(data: bytes) -> DataSource:
    def read(size: int) -> Iterator[Buffer]:
        for start in range(0, len(data), size):
            yield data[start : start + size]

    return read


def padded_with_nothing(data: bytes) -> DataSource:
    def read(size: int) -> Iterator[Buffer]:
        yield b""
        for start in range(0, len(data), size):
            yield data[start : start + size]
            yield b""

    return read


def uneven(data: bytes) -> DataSource:
    def read(size: int) -> Iterator[Buffer]:
        start, step = 0, 1
        while start < len(data):
            yield data[start : start + step]
            start, step = start + step, step * 3 % 1009

    return read


SOURCES = [whole, array, view, chunked, padded_with_nothing, uneven]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
@pytest.mark.parametrize("peer_max", [0, 7, 8, 9, 100, 1030, 16382, 16384, 131072, 0xFFFFFFFF])
@pytest.mark.parametrize("size", [0, 1, 2, 93, 94, 95, 188, 1024, 3000])
def test_message(source: Callable[[bytes], DataSource], peer_max: int, size: int) -> None:
    data = bytes(index * 7 & 0xFF for index in range(size))
    check(COMMAND, source(data), peer_max, data)


@pytest.mark.parametrize("source", [whole, chunked], ids=lambda source: source.__name__)
@pytest.mark.parametrize("peer_max", [0, 518, 1030, 2054, 16382, 131072, 262150, 1 << 20])
@pytest.mark.parametrize("extra", [-1, 0, 1])
@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_long_message(source: Callable[[bytes], DataSource], peer_max: int, extra: int, chunks: int) -> None:
    room = room_for(peer_max)
    size = max(CHUNK_SIZE // room, 1) * room * chunks + extra
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    lengths = check(COMMAND, source(data), peer_max, data)
    # As few PDUs as can be.
    assert len(lengths) == 1 + -(-size // room)


@pytest.mark.parametrize("peer_max", [0, 7, 50, 105, 106, 107])
def test_command_set_alone(peer_max: int) -> None:
    check(COMMAND, None, peer_max, b"")


def test_a_long_command_set_in_small_pdus() -> None:
    check(bytes(20_000), None, 7, b"")
    check(bytes(512), b"data", 7, b"data")
    check(bytes(256), None, 7, b"")


@pytest.mark.parametrize("peer_max", [16383, 16384, 105, 9])
def test_fragments_have_an_even_length(peer_max: int) -> None:
    """DCMTK takes no others."""
    lengths = check(bytes(200), bytes(100_000), peer_max, bytes(100_000))
    assert all(length % 2 == 0 for length in lengths)


@pytest.mark.parametrize("peer_max", range(1, 7))
def test_a_maximum_that_leaves_no_room(peer_max: int) -> None:
    assert room_for(peer_max) == 1


def test_a_source_is_asked_for_a_multiple_of_what_a_pdu_holds() -> None:
    asked: list[int] = []

    def read(size: int) -> Iterator[Buffer]:
        asked.append(size)
        return iter((b"x",))

    for peer_max in (16382, 1 << 20):
        check(COMMAND, read, peer_max, b"x")
    assert asked == [16 * 16376, (1 << 20) - 6]


def test_payload_is_not_copied() -> None:
    data = bytes(40_000)
    buffers = [buffer for batch in batches(5, COMMAND, data, 16382) for buffer in batch]
    views = [buffer for buffer in buffers if isinstance(buffer, memoryview)]
    assert len(views) == 3 and all(piece.obj is data for piece in views)


def test_a_source_is_read_as_it_is_sent() -> None:
    read: list[int] = []

    def source(size: int) -> Iterator[Buffer]:
        for number in range(10):
            read.append(number)
            yield bytes(size)

    for count, _ in enumerate(batches(5, COMMAND, source, 16382)):
        # The one that is being sent, and the next.
        assert len(read) <= count + 2
    assert len(read) == 10


def test_a_source_that_fails() -> None:
    def source(size: int) -> Iterator[Buffer]:
        yield bytes(size)
        yield bytes(size)
        raise OSError("gone")

    sending = batches(5, COMMAND, source, 16382)
    next(sending)
    with pytest.raises(OSError, match="gone"):
        next(sending)


@pytest.mark.parametrize(("command", "control"), [(True, 3), (False, 2)])
def test_fragment(command: bool, control: int) -> None:
    header, content = fragment(7, b"abcd", command=command)
    assert struct.unpack(">BxIIBB", header) == (4, 10, 6, 7, control)
    assert content == b"abcd"


def test_batches_stay_below_the_limit_of_sendmsg() -> None:
    assert MAX_BATCH_BUFFERS + 2 <= SENDMSG_LIMIT
