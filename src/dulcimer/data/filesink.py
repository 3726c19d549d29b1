"""A sink that writes a Part 10 file while its data set is received."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

_MOST_BUFFERS: Final = min(os.sysconf("SC_IOV_MAX"), 1024) if hasattr(os, "sysconf") else 16


class FileSink:
    """Writes ``head`` and then the data set to a new file.

    Views are gathered and written with one system call per flush. The file has a temporary name until it is
    complete; then it replaces ``path``, so that nobody ever sees half an object.

    Parameters
    ----------
    path
        The file to make. Its folder must exist.
    head
        What comes before the data set: preamble, prefix and File Meta Information (PS3.10 7.1).
    sync
        Whether the file is flushed to the disk before it counts as complete.
    """

    __slots__ = ("_buffers", "_descriptor", "_sync", "_temporary", "path", "size")

    def __init__(self, path: str | os.PathLike[str], head: bytes, *, sync: bool = False) -> None:
        self.path = os.fspath(path)
        self.size = 0
        """The bytes of the data set so far."""
        folder, name = os.path.split(self.path)
        self._temporary = os.path.join(folder, f".{name}.{os.urandom(4).hex()}.part")
        self._sync = sync
        self._descriptor = os.open(
            self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o644
        )
        self._buffers: list[bytes | memoryview] = [head]

    def write(self, data: memoryview, /) -> None:
        self._buffers.append(data)
        self.size += len(data)

    def flush(self) -> None:
        buffers = self._buffers
        if buffers:
            try:
                write_all(self._descriptor, buffers)
            finally:
                # The views are valid until now and no longer, written or not.
                buffers.clear()

    def close(self) -> None:
        try:
            self.flush()
            if self._sync:
                os.fsync(self._descriptor)
        finally:
            self._close()
        os.replace(self._temporary, self.path)

    def abort(self) -> None:
        self._buffers.clear()
        self._close()
        with suppress(FileNotFoundError):
            Path(self._temporary).unlink()

    def _close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def write_all(descriptor: int, buffers: Sequence[bytes | memoryview]) -> None:
    """Write all of the buffers, whatever the system takes at a time."""
    for start in range(0, len(buffers), _MOST_BUFFERS):
        batch = buffers[start : start + _MOST_BUFFERS]
        wanted = sum(map(len, batch))
        written = os.writev(descriptor, batch)
        if written != wanted:
            _write_rest(descriptor, batch, written)


def _write_rest(descriptor: int, buffers: Sequence[bytes | memoryview], written: int) -> None:
    """Go on after a short write, which is how a disk that is nearly full answers."""
    for buffer in buffers:
        view = memoryview(buffer)
        if written >= len(view):
            written -= len(view)
            continue
        view, written = view[written:], 0
        while view:
            count = os.write(descriptor, view)
            if not count:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            view = view[count:]
