"""Data sets of files while they are sent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dulcimer.data import sources
from dulcimer.data.sources import FileSource, file_source
from dulcimer.protocol.wire.reader import Fragment, Reader
from dulcimer.protocol.wire.writer import batches

CONTENT = bytes(range(256)) * 5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "object"
    path.write_bytes(b"head" + CONTENT)
    return path


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("chunk", [1, 7, 100, 640, 1279, 1280, 1281, 100_000])
def test_chunks(path: Path, chunk: int) -> None:
    """All of one size but the last one, and valid until the one after the next is asked for."""
    previous: tuple[memoryview, bytes] | None = None
    whole = b""
    sizes = []
    for view in FileSource(path, 4, 4 + len(CONTENT))(chunk):
        if previous is not None:
            assert previous[0] == previous[1]
        previous = view, bytes(view)
        whole += bytes(view)
        sizes.append(len(view))
    assert whole == CONTENT
    assert set(sizes[:-1]) <= {chunk}
    assert 0 < sizes[-1] <= chunk


@pytest.mark.parametrize("chunk", [1, 7, 640, 1280, 1281, 1282, 100_000])
def test_a_byte_is_added(path: Path, chunk: int) -> None:
    """Not what was in the buffer before."""
    views = [bytes(view) for view in FileSource(path, 4, 4 + len(CONTENT), pad=True)(chunk)]
    assert b"".join(views) == CONTENT + b"\0"
    assert {len(view) for view in views[:-1]} <= {chunk}
    os.truncate(path, 3 + len(CONTENT))
    with pytest.raises(OSError, match="1 bytes shorter"):
        list(FileSource(path, 4, 4 + len(CONTENT), pad=True)(chunk))


def test_an_empty_data_set(path: Path) -> None:
    assert list(FileSource(path, 8, 8)(100)) == []


def test_it_can_be_read_again(path: Path) -> None:
    source = FileSource(path, 4, 4 + len(CONTENT))
    for _ in range(2):
        assert b"".join(map(bytes, source(300))) == CONTENT


def test_what_was_added_later_is_not_sent(path: Path) -> None:
    source = FileSource(path, 4, 104)
    assert b"".join(map(bytes, source(30))) == CONTENT[:100]


@pytest.mark.parametrize("length", [0, 4, 500, 1283])
def test_a_file_that_became_shorter(path: Path, length: int) -> None:
    before = descriptors()
    os.truncate(path, length)
    with pytest.raises(OSError, match="shorter"):
        list(FileSource(path, 4, 4 + len(CONTENT))(300))
    assert descriptors() == before


@pytest.mark.parametrize("length", [0, 4, 500, 1283])
def test_a_small_file_that_became_shorter(path: Path, length: int) -> None:
    """Half an object must not be sent as a whole one."""
    os.truncate(path, length)
    with pytest.raises(OSError, match="shorter"):
        file_source(path, 4, 4 + len(CONTENT))


def test_a_file_that_becomes_shorter_while_it_is_sent(path: Path) -> None:
    chunks = FileSource(path, 4, 4 + len(CONTENT))(300)
    next(chunks)
    os.truncate(path, 310)
    with pytest.raises(OSError, match="shorter"):
        list(chunks)


def test_a_file_that_is_gone(path: Path) -> None:
    source = FileSource(path, 4, 4 + len(CONTENT))
    path.unlink()
    with pytest.raises(FileNotFoundError):
        next(source(300))


def test_giving_up_half_way_closes_the_file(path: Path) -> None:
    before = descriptors()
    chunks = FileSource(path, 4, 4 + len(CONTENT))(300)
    next(chunks)
    assert descriptors() == before + 1
    del chunks
    assert descriptors() == before


@pytest.mark.parametrize("small", [100, 1280, 10_000])
def test_small_files_are_read_at_once(path: Path, monkeypatch: pytest.MonkeyPatch, small: int) -> None:
    monkeypatch.setattr(sources, "SMALL_FILE", small)
    source = file_source(path, 4, 4 + len(CONTENT))
    if small < len(CONTENT):
        assert isinstance(source, FileSource)
    else:
        assert source == CONTENT


@pytest.mark.parametrize("peer_max", [16, 100, 16382, 0])
def test_as_a_message(tmp_path: Path, peer_max: int) -> None:
    """The buffers of a batch stay valid until the next batch is asked for."""
    content = os.urandom(600_000 if peer_max > 1000 or not peer_max else 3000)
    path = tmp_path / "long"
    path.write_bytes(content)
    sent = b""
    for batch in batches(1, b"command", FileSource(path, 0, len(content)), peer_max):
        sent += b"".join(batch)
    reader = Reader(0)
    received = b""
    ends: list[int] = []
    while sent:
        buffer = reader.get_buffer()
        count = min(len(buffer), len(sent))
        buffer[:count], sent = sent[:count], sent[count:]
        for event in reader.feed(count):
            assert isinstance(event, Fragment)
            if not event.control & 1:
                received += event.data
                if event.whole:
                    ends.append(event.control)
    assert received == content
    assert ends.count(2) == 1
    assert ends[-1] == 2
