"""A sink that writes a Part 10 file while its data set is received."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Final

from dulcimer.data.ahead import Ahead

_UNNAMED: Final = getattr(os, "O_TMPFILE", None) if os.path.isdir("/proc/self/fd") else None
_CLOSE_ON_EXEC: Final = getattr(os, "O_CLOEXEC", 0)
_NO_UNNAMED_FILES: Final = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL})
_ANY_DESCRIPTOR: Final = 0
"""Not used, since the paths are absolute."""

_MOST_BUFFERS: Final = min(os.sysconf("SC_IOV_MAX"), 1024) if hasattr(os, "sysconf") else 16


class FileSink:
    """Writes ``head`` and then the data set to a new file.

    Views are gathered and written with one system call per flush. The file has no name, or a temporary one,
    until :meth:`publish`; then it replaces ``path``, so that nobody ever sees half an object.

    Parameters
    ----------
    path
        The file to make. Its folder must exist.
    head
        What comes before the data set: preamble, prefix and File Meta Information (PS3.10 7.1).
    sync
        Whether the file is flushed to the disk before it counts as complete.
    files
        Where the open file comes from; by default it is made for this object.
    """

    __slots__ = ("_buffers", "_file", "_given", "_sync", "path", "size")

    def __init__(
        self,
        path: str | os.PathLike[str],
        head: bytes,
        *,
        sync: bool = False,
        files: NewFiles | None = None,
    ) -> None:
        self._given = path
        self.path = name = os.fspath(path)
        self.size = 0
        """The bytes of the data set so far."""
        folder = os.path.dirname(name) or "."
        self._file: NewFile | None = make_file(folder) if files is None else files.take(folder)
        self._sync = sync
        self._buffers: list[bytes | memoryview] = [head]

    @property
    def target(self) -> Path:
        """The file to make, as the object it was named with if that can be."""
        return self._given if isinstance(self._given, Path) else Path(self.path)

    def write(self, data: memoryview, /) -> None:
        self._buffers.append(data)
        self.size += len(data)

    def flush(self) -> None:
        if self.size:
            # The head alone is ours and stays valid: it goes with what follows.
            self._write()

    def _write(self) -> None:
        buffers = self._buffers
        if buffers and self._file is not None:
            try:
                write_all(self._file.descriptor, buffers)
            finally:
                # The views are valid until now and no longer, written or not.
                buffers.clear()

    def close(self) -> None:
        self._write()
        if self._file is not None and self._sync:
            os.fsync(self._file.descriptor)

    def publish(self) -> None:
        """Give the complete file its name; done when somebody is given the request that it came with.

        Raises
        ------
        OSError
            If that is not possible; nothing is left of the file then.
        """
        file, self._file = self._file, None
        if file is not None:
            file.publish(self.path)

    def abort(self) -> None:
        self._buffers.clear()
        file, self._file = self._file, None
        if file is not None:
            file.discard()


class NewFile:
    """An open file that nobody can see yet: without a name where the system can do that."""

    __slots__ = ("_name", "descriptor")

    def __init__(self, descriptor: int, name: str | None) -> None:
        self.descriptor = descriptor
        self._name = name

    def publish(self, path: str) -> None:
        """Give the file its name, in place of a file that has it, and close it.

        If that fails, nothing is left of it.
        """
        try:
            if self._name is None:
                unnamed = f"/proc/self/fd/{self.descriptor}"
                try:
                    _link(unnamed, path)
                    return
                except FileExistsError:
                    self._name = _temporary(os.path.dirname(path))
                    _link(unnamed, self._name)
            # First, since some file systems tell only then that there was no room.
            self._close()
            os.replace(self._name, path)
        except BaseException:
            self._remove()
            raise
        finally:
            self._close()

    def publish_new(self, path: str) -> None:
        """Give the file its name unless another one has it, and close it.

        Raises
        ------
        FileExistsError
            If there is such a file; this one stays as it is, and may be given another name.
        """
        if self._name is None:
            _link(f"/proc/self/fd/{self.descriptor}", path)
            self._close()
        else:
            os.link(self._name, path)
            self._close()
            self._remove()

    @property
    def readable_as(self) -> str:
        """A path by which the file can be read while it has no name."""
        return f"/proc/self/fd/{self.descriptor}" if self._name is None else self._name

    def discard(self) -> None:
        """Close and remove the file."""
        with suppress(OSError):
            self._close()
        self._remove()

    def _remove(self) -> None:
        if self._name is not None:
            with suppress(OSError):
                Path(self._name).unlink()

    def _close(self) -> None:
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _temporary(folder: str) -> str:
    return os.path.join(folder, f".{os.urandom(8).hex()}.part")


def _link(unnamed: str, path: str) -> None:
    # Only with a descriptor to start from does Python ask the system to follow the link in /proc.
    os.link(unnamed, path, src_dir_fd=_ANY_DESCRIPTOR, follow_symlinks=True)


def make_file(folder: str) -> NewFile:
    """Make a new file in a folder."""
    if _UNNAMED is not None:
        try:
            return NewFile(os.open(folder, os.O_WRONLY | _UNNAMED | _CLOSE_ON_EXEC, 0o644), None)
        except OSError as error:
            if error.errno not in _NO_UNNAMED_FILES:
                raise
    name = _temporary(folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOSE_ON_EXEC
    return NewFile(os.open(name, flags, 0o644), name)


class NewFiles:
    """New files for the folders that a server receives into, made ahead where that takes long."""

    def __init__(self) -> None:
        self._ahead: tuple[str, Ahead[NewFile]] | None = None
        self._lock = Lock()

    def take(self, folder: str) -> NewFile:
        """Return a new file in a folder."""
        # One variable for both: a folder must not get another one's file, which may be on another disk.
        ahead = self._ahead
        if ahead is None or folder != ahead[0]:
            with self._lock:
                if self._ahead is not None:
                    self._ahead[1].close()
                ahead = self._ahead = folder, Ahead(partial(make_file, folder), NewFile.discard)
        return ahead[1].take()

    def prepare(self) -> None:
        """Make a file for the next object, if there is none: called while there is nothing else to do."""
        ahead = self._ahead
        if ahead is not None:
            # Who takes the next one makes it himself, and is told then.
            with suppress(OSError):
                ahead[1].prepare()

    def rest(self) -> None:
        """Give up what was prepared: there will be no next object for the time being."""
        ahead = self._ahead
        if ahead is not None:
            ahead[1].rest()

    def close(self) -> None:
        """Give up what was made ahead."""
        with self._lock:
            if self._ahead is not None:
                self._ahead[1].close()
                self._ahead = None


def write_all(descriptor: int, buffers: Sequence[bytes | memoryview]) -> None:
    """Write all of the buffers, whatever the system takes at a time."""
    if len(buffers) > _MOST_BUFFERS:
        for start in range(0, len(buffers), _MOST_BUFFERS):
            write_all(descriptor, buffers[start : start + _MOST_BUFFERS])
        return
    written = os.writev(descriptor, buffers)
    if written != sum(map(len, buffers)):
        _write_rest(descriptor, buffers, written)


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
