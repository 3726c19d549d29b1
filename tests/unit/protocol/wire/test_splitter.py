"""Whole PDUs out of a stream that arrives in pieces."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulcimer.protocol.wire.splitter import Splitter

PDUS = st.lists(
    st.tuples(st.integers(1, 7), st.binary(max_size=40)).map(
        lambda pdu: struct.pack(">BxI", pdu[0], len(pdu[1])) + pdu[1]
    ),
    max_size=6,
)


def cut(splitter: Splitter, data: bytes) -> tuple[int, list[bytes]]:
    """Return how many bytes the pieces have together, and the PDUs."""
    pieces = list(splitter.cut(memoryview(data)))
    return sum(size for size, _ in pieces), [pdu for _, pdu in pieces if pdu is not None]


@given(PDUS, st.lists(st.integers(0, 300), max_size=12))
def test_any_splitting_of_the_stream_gives_the_same_pdus(pdus: list[bytes], edges: list[int]) -> None:
    stream = b"".join(pdus)
    found: list[bytes] = []
    splitter = Splitter()
    ordered = sorted({0, len(stream), *(edge for edge in edges if edge < len(stream))})
    for start, stop in itertools.pairwise(ordered):
        size, more = cut(splitter, stream[start:stop])
        assert size == stop - start
        found += more
    assert found == pdus


@given(PDUS, st.integers(0, 300))
def test_what_began_before_is_left_out(pdus: list[bytes], start: int) -> None:
    stream = b"".join(pdus)
    start = min(start, len(stream))
    end = 0
    for pdu in pdus:
        if end >= start:
            break
        end += len(pdu)
    size, found = cut(Splitter(end - start), stream[start:])
    assert size == len(stream) - start
    assert b"".join(found) == stream[end:]


@pytest.mark.parametrize("here", range(10))
def test_what_is_here_of_the_next_one_is_part_of_it(here: int) -> None:
    pdu = bytes.fromhex("05000000000400000000")
    assert cut(Splitter(0, pdu[:here]), pdu[here:])[1] == [pdu]


def test_a_pdu_ends_a_piece() -> None:
    pdu = bytes.fromhex("05000000000400000000")
    assert list(Splitter().cut(memoryview(pdu + pdu + pdu[:7]))) == [
        (10, pdu),
        (10, pdu),
        (6, None),
        (1, None),
    ]
