"""Where a data set comes from while it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from os import SEEK_CUR
from pathlib import Path
from typing import BinaryIO

from dulcimer.data.part10 import read_fully

SMALL_FILE = 1 << 18
"""Up to this size in bytes a file is read at once; a longer one chunk by chunk."""


class FileSource:
    """The data set of a file, read while it is sent; memory does not depend on its size.

    Called with a chunk size, it yields the bytes from ``offset`` to the end. A chunk is valid until the one
    after the next is asked for: two buffers take turns.

    Parameters
    ----------
    path, offset, size
        The file, where its data set begins, and where it ends.
    pad
        Whether a zero byte is added.

    Raises
    ------
    OSError
        If the file cannot be read, or is shorter than it was.
    """

    def __init__(self, path: Path, offset: int, size: int, *, pad: bool = False) -> None:
        self._path = path
        self._offset = offset
        self._length = size - offset
        self._padding = int(pad)

    def __call__(self, chunk: int) -> Iterator[memoryview]:
        left = self._length + self._padding
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._offset)
            buffers = (bytearray(min(chunk, left)), bytearray(min(chunk, max(left - chunk, 0))))
            turn = 0
            while left:
                view = memoryview(buffers[turn])[: min(chunk, left)]
                wanted = min(len(view), left - self._padding)
                filled = 0
                while filled < wanted:
                    count = file.readinto(view[filled:wanted])
                    if not count:
                        raise OSError(f"{self._path} became {left - self._padding - filled} bytes shorter")
                    filled += count
                if filled < len(view):
                    view[filled] = 0
                yield view
                left -= len(view)
                turn = 1 - turn


class StreamSource:
    """The data set of a DICOM file that a stream has, read while it is sent; see :class:`FileSource`.

    Parameters
    ----------
    stream
        A binary stream, at the beginning of the file. Its position afterwards is the end of the file.
    offset, size
        Where the data set begins in the file, and where it ends.
    pad
        Whether a zero byte is added.

    Raises
    ------
    OSError
        If the stream ends earlier.
    """

    def __init__(self, stream: BinaryIO, offset: int, size: int, *, pad: bool = False) -> None:
        self._stream = stream
        self._offset = offset
        self._length = size - offset
        self._pad = pad

    def __call__(self, chunk: int) -> Iterator[bytes]:
        self._stream.seek(self._offset, SEEK_CUR)
        left = self._length
        while left:
            wanted = min(chunk, left)
            data = read_fully(self._stream, wanted)
            if len(data) < wanted:
                raise OSError(f"the stream ends {left - len(data)} bytes too early")
            left -= wanted
            yield data + b"\0" if self._pad and not left else data


def file_source(path: Path, offset: int, size: int, *, pad: bool = False) -> FileSource | bytes:
    """Return the data set of a file as something that can be sent; see :class:`FileSource`."""
    if size - offset > SMALL_FILE:
        return FileSource(path, offset, size, pad=pad)
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(size - offset)
    if len(data) != size - offset:
        raise OSError(f"{path} became {size - offset - len(data)} bytes shorter")
    return data + b"\0" if pad else data
