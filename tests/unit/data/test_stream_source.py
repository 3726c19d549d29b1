"""Objects that a stream has: their head, and their data set while it is sent."""

from __future__ import annotations

import io

import pytest

from dulcimer.data import part10
from dulcimer.data.sources import StreamSource

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


class Trickle(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size if size is None or size < 0 else min(size, 7))


def file_of(data: bytes, uid: str = "1.2.3") -> bytes:
    return part10.preamble(CT, uid, EXPLICIT) + data


@pytest.mark.parametrize("kind", [io.BytesIO, Trickle])
@pytest.mark.parametrize("before", [b"", b"other bytes"])
def test_the_head_of_a_stream(kind: type[io.BytesIO], before: bytes) -> None:
    stream = kind(before + file_of(b"data set"))
    stream.seek(len(before))
    header = part10.scan_stream(stream)
    assert (header.sop_class_uid, header.sop_instance_uid) == (CT, "1.2.3")
    assert header.transfer_syntax_uid == EXPLICIT
    assert file_of(b"data set")[header.data_offset : header.size] == b"data set"
    assert stream.tell() == len(before)


@pytest.mark.parametrize("wrong", [b"", b"no file", file_of(b"")[:200]])
def test_no_head(wrong: bytes) -> None:
    stream = io.BytesIO(wrong)
    with pytest.raises(part10.NotPart10):
        part10.scan_stream(stream)
    assert stream.tell() == 0


@pytest.mark.parametrize("kind", [io.BytesIO, Trickle])
@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 35])
def test_the_data_set_in_chunks(kind: type[io.BytesIO], pad: bool, length: int) -> None:
    data = bytes(range(length))
    stream = kind(b"before" + data + b"behind")
    chunks = list(StreamSource(stream, 6, 6 + length, pad=pad)(10))
    assert b"".join(chunks) == data + (b"\0" if pad and length else b"")
    # Short reads do not make short chunks: fragments but the last have an even length (PS3.8 9.3.5.1).
    assert all(len(chunk) == 10 for chunk in chunks[:-1])


def test_a_stream_that_ends_too_early() -> None:
    with pytest.raises(OSError, match="4 bytes too early"):
        list(StreamSource(io.BytesIO(b"before" + b"ab"), 6, 12)(10))
