"""The files of a node.

::

    DATA/
    ├─ node.lock                     held while a node runs on this folder; not empty after a crash
    ├─ index.sqlite (-wal, -shm)     the index
    ├─ incoming/                     where objects are received, in files without a name where the system can
    └─ objects/2026-11-24/4f/<SOP Instance UID>.dcm      one folder per day of arrival, 256 below it

An object is written to a file in ``incoming``, flushed as configured, and then given its name: what lies
below ``objects`` is complete. Every file gets a name that was free, so nothing is ever overwritten.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
from datetime import UTC, date, datetime
from hashlib import blake2s
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from dulcimer.data import part10
from dulcimer.data.filesink import NewFile, NewFiles, write_all
from dulcimer.node.config import Durability
from dulcimer.node.domain import attributes
from dulcimer.node.domain.attributes import Description, Undecodable
from dulcimer.node.domain.catalogue import ATTRIBUTES, ITEM_ATTRIBUTES, Attribute
from dulcimer.node.domain.model import Instance
from dulcimer.services.text import normal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pydicom.dataset import Dataset

    from dulcimer.node.domain.ports import Staged

_log: Final = logging.getLogger("dulcimer.node.files")

_FIRST_HEAD: Final = 1 << 16
_LONGEST_HEAD: Final = 1 << 20
_COMPARED_AT_ONCE: Final = 1 << 20
_SAFE_UID: Final = re.compile(r"[0-9.]{1,64}")


class DataFolderError(Exception):
    """The data folder cannot be used: the text says why and what would help."""


class DataFolder:
    """A data folder that this process alone uses, until :meth:`close`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.incoming = root / "incoming"
        self.objects = root / "objects"
        self.films = root / "films"
        self.index = root / "index.sqlite"
        try:
            for folder in (self.root, self.incoming, self.objects):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.incoming / f"{uuid4().hex}.part"
            probe.write_bytes(b"")
            probe.unlink()
            self._lock = os.open(root / "node.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise DataFolderError(
                f"the data folder {root} cannot be written: {error.strerror or error}; "
                "make it writable or choose another one with --data"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise DataFolderError(
                f"another node is running on the data folder {root}; "
                "stop it or choose another folder with --data"
            ) from None
        self.unclean_since = self._read_mark()
        """The day on which a node began that did not end in order."""
        self._write_mark(self.unclean_since or datetime.now(UTC).date())

    def close(self, *, clean: bool) -> None:
        """Let others use the folder; unless ``clean``, the next start looks for what the index lacks."""
        if clean:
            os.ftruncate(self._lock, 0)
        os.close(self._lock)

    def _read_mark(self) -> date | None:
        text = os.pread(self._lock, 64, 0).decode("ascii", "replace").strip()
        if not text:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            return date.min

    def _write_mark(self, day: date) -> None:
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{day.isoformat()}\n".encode("ascii"), 0)
        os.fsync(self._lock)


class IncomingObject:
    """A sink that writes a Part 10 file while its data set is received.

    Views are gathered and written with one system call per flush. The first 64 KiB to 1 MiB are kept until
    the indexed attributes are found in them, so that nothing is read twice.

    Where the disk does not take it, the file is removed, :attr:`error` says why, and the rest is received
    for nothing: who sent it is told at its end, and so is the operator.
    """

    __slots__ = (
        "_buffers",
        "_description",
        "_file",
        "_head",
        "_head_limit",
        "_sync",
        "complete",
        "error",
        "size",
        "sop_class_uid",
        "sop_instance_uid",
        "source_aet",
        "transfer_syntax_uid",
    )

    def __init__(
        self,
        make_file: Callable[[], NewFile],
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        source_aet: str,
        *,
        sync: bool,
    ) -> None:
        self.sop_class_uid = sop_class_uid
        self.sop_instance_uid = sop_instance_uid
        self.transfer_syntax_uid = transfer_syntax_uid
        self.source_aet = source_aet
        self.size = 0
        self.complete = False
        self._sync = sync
        self._head = bytearray()
        self._head_limit = _FIRST_HEAD
        self._description: Description | None = None
        self.error: OSError | None = None
        meta = part10.preamble(sop_class_uid, sop_instance_uid, transfer_syntax_uid, source_aet=source_aet)
        self._buffers: list[bytes | memoryview] = [meta]
        self._file: NewFile | None = None
        try:
            self._file = make_file()
        except OSError as error:
            self._fail(error)

    def write(self, data: memoryview, /) -> None:
        self.size += len(data)
        if self.error is not None:
            return
        self._buffers.append(data)
        if self._head_limit:
            self._head += data[: self._head_limit - len(self._head)]

    def flush(self) -> None:
        buffers = self._buffers
        if not buffers or self._file is None:
            return
        try:
            write_all(self._file.descriptor, buffers)
        except OSError as error:
            self._fail(error)
            return
        finally:
            # The views are valid until now and no longer, written or not.
            buffers.clear()
        if len(self._head) >= self._head_limit > 0:
            self._look_into_head()

    def close(self) -> None:
        try:
            self.flush()
            if self._sync and self._file is not None:
                os.fsync(self._file.descriptor)
        except OSError as error:
            self._fail(error)
        self.complete = self.error is None

    def abort(self) -> None:
        self._buffers.clear()
        file, self._file = self._file, None
        if file is not None:
            file.discard()

    def place(self, path: str) -> None:
        """Give the file its name; raises FileExistsError if another one has it."""
        if self._file is None:
            raise ValueError("there is nothing to place")
        self._file.publish_new(path)
        self._file = None

    def description(self) -> Description | None:
        """Return what the data set says about itself, None if it cannot be decoded."""
        if self._description is not None:
            return self._description
        if self._head_limit:
            try:
                whole = self.size <= len(self._head)
                values = attributes.read(self._head, self.transfer_syntax_uid, complete=whole)
            except Undecodable:
                values = None
            if values is not None:
                return attributes.describe(values)
        return None if self._file is None else read_description(Path(self._file.readable_as))

    def _look_into_head(self) -> None:
        """See whether the head is long enough; if it is, its memory is given back."""
        try:
            values = attributes.read(self._head, self.transfer_syntax_uid, complete=False)
        except Undecodable:
            self._head_limit = 0
        else:
            if values is not None:
                self._description = attributes.describe(values)
                self._head_limit = 0
            else:
                self._head_limit = self._head_limit * 2 if self._head_limit < _LONGEST_HEAD else 0
        if not self._head_limit:
            self._head = bytearray()

    def _fail(self, error: OSError) -> None:
        self.error = error
        self._head, self._head_limit = bytearray(), 0
        self.abort()


class ObjectStore:
    """The folders ``incoming`` and ``objects``."""

    def __init__(self, folder: DataFolder, durability: Durability) -> None:
        self._incoming = str(folder.incoming)
        self._objects = str(folder.objects)
        self._sync_file = durability is not Durability.OFF
        self._sync_folder = durability is Durability.FULL
        self._known_folders: set[str] = set()
        self.new_files = NewFiles()
        """Where the files for objects come from."""

    def close(self) -> None:
        """Give up what was made for objects to come."""
        self.new_files.close()

    def receive(
        self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, source_aet: str
    ) -> IncomingObject:
        """Open the sink for an object that begins to arrive."""
        return IncomingObject(
            lambda: self.new_files.take(self._incoming),
            sop_class_uid,
            sop_instance_uid,
            transfer_syntax_uid,
            source_aet,
            sync=self._sync_file,
        )

    def place(self, staged: Staged) -> str:
        """Rename a received object to a name that no other object has."""
        if not isinstance(staged, IncomingObject):
            raise TypeError("only what this store received can be placed in it")
        uid = staged.sop_instance_uid
        name = uid if _SAFE_UID.fullmatch(uid) else f"uid-{blake2s(uid.encode()).hexdigest()}"
        bucket = blake2s(uid.encode(), digest_size=1).hexdigest()
        folder = f"{datetime.now(UTC).date().isoformat()}/{bucket}"
        self._make_folder(folder)
        path, number = f"{folder}/{name}.dcm", 1
        while True:
            try:
                staged.place(f"{self._objects}/{path}")
                break
            except FileExistsError:
                number += 1
                path = f"{folder}/{name}~{number}.dcm"
        if self._sync_folder:
            _sync_folder(f"{self._objects}/{folder}")
        return path

    def discard(self, staged: Staged) -> None:
        if isinstance(staged, IncomingObject):
            staged.abort()

    def same_data_set(self, one: str, other: str) -> bool:
        try:
            first, second = self._header(one), self._header(other)
        except (OSError, part10.NotPart10):
            return False
        if first.transfer_syntax_uid != second.transfer_syntax_uid:
            return False
        if first.size - first.data_offset != second.size - second.data_offset:
            return False
        with Path(self._objects, one).open("rb") as a, Path(self._objects, other).open("rb") as b:
            a.seek(first.data_offset)
            b.seek(second.data_offset)
            while True:
                left, right = a.read(_COMPARED_AT_ONCE), b.read(_COMPARED_AT_ONCE)
                if left != right:
                    return False
                if not left:
                    return True

    def remove(self, path: str) -> None:
        _unlink(f"{self._objects}/{path}")

    def clear_incoming(self) -> int:
        """Remove what a crash left half received: it was never acknowledged."""
        left = list(Path(self._incoming).glob("*.part"))
        for path in left:
            _unlink(str(path))
        return len(left)

    def days(self, since: date) -> Iterator[str]:
        """Give the folders of the days since a day, and those that are no day, the oldest first."""
        for name in sorted(entry.name for entry in Path(self._objects).iterdir()):
            try:
                if date.fromisoformat(name) < since:
                    continue
            except ValueError:
                pass
            yield name

    def files(self, folder: str) -> Iterator[str]:
        """Give every object below a folder."""
        for path in Path(self._objects, folder).rglob("*.dcm"):
            yield str(path.relative_to(self._objects))

    def instances(self, paths: Iterable[str]) -> Iterator[Instance]:
        """Describe files that lie in their place, the oldest first; what is no DICOM file is left out."""
        dated = sorted((Path(self._objects, path).stat().st_mtime, path) for path in paths)
        for changed, path in dated:
            try:
                header = self._header(path)
            except part10.NotPart10 as error:
                _log.warning("%s/%s is not indexed: %s", self._objects, path, error)
                continue
            described = read_description(Path(self._objects, path)) or Description()
            yield Instance(
                sop_instance_uid=header.sop_instance_uid,
                sop_class_uid=header.sop_class_uid,
                transfer_syntax_uid=header.transfer_syntax_uid,
                path=path,
                size=header.size - header.data_offset,
                received=datetime.fromtimestamp(changed, UTC),
                attributes=described.attributes,
            )

    def _header(self, path: str) -> part10.FileHeader:
        return part10.scan(Path(self._objects, path))

    def _make_folder(self, folder: str) -> None:
        if folder in self._known_folders:
            return
        path = Path(self._objects, folder)
        path.mkdir(parents=True, exist_ok=True)
        if self._sync_folder:
            _sync_folder(str(path.parent))
            _sync_folder(self._objects)
        self._known_folders.add(folder)


def read_description(path: Path) -> Description | None:
    """Decode the indexed attributes with pydicom; None if there is nothing to be read."""
    from pydicom import dcmread

    try:
        dataset = dcmread(path, stop_before_pixels=True, specific_tags=list(attributes.WANTED))
        found = Description(
            _text(dataset, attributes.SOP_CLASS_UID),
            _text(dataset, attributes.SOP_INSTANCE_UID),
            {
                attribute.name: text[: attributes.LONGEST_VALUE] if attribute.vr != "SQ" else text
                for attribute in ATTRIBUTES
                if (text := _kept(dataset, attribute))
            },
        )
    except OSError as error:
        if error.errno is not None:
            raise
        return None
    except Exception:  # whatever pydicom finds wrong with the bytes, the answer is the same
        return None
    return found if found.sop_instance_uid or "study_instance_uid" in found.attributes else None


def _kept(dataset: Dataset, attribute: Attribute) -> str:
    if attribute.vr != "SQ":
        return normal(attribute.vr, _text(dataset, attribute.tag))
    element = dataset.get(attribute.tag)
    if element is None or not element.value:
        return ""
    return attributes.items_text(
        [
            {
                f"{tag:08X}": text
                for tag, vr in ITEM_ATTRIBUTES.items()
                if (text := normal(vr, _text(item, tag)))
            }
            for item in element.value
        ]
    )


def _text(dataset: Dataset, tag: int) -> str:
    element = dataset.get(tag)
    if element is None or element.value is None:
        return ""
    value = element.value
    if isinstance(value, bytes):
        return value.decode("ascii", "replace").strip(" \0")
    if element.VM > 1:
        return "\\".join(str(part) for part in value)
    return str(value).strip(" \0")


def _sync_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unlink(path: str) -> None:
    try:
        Path(path).unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        _log.warning("%s cannot be removed: %s", path, error.strerror)
