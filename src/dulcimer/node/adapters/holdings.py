"""What the node holds, for services that ask for instances by their UIDs."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydicom import dcmread
from sqlalchemy import bindparam, select

from dulcimer.data import part10
from dulcimer.node.adapters.schema import INSTANCES
from dulcimer.services import storage_commitment as rules
from dulcimer.services.registry import is_other_than_storage

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydicom.dataset import Dataset
    from sqlalchemy import Engine

_log: Final = logging.getLogger("dulcimer.node")

_I: Final = INSTANCES.c
_FIND: Final = select(_I.sop_class_uid, _I.path, _I.size).where(_I.sop_instance_uid == bindparam("uid"))
_OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT})


class Holdings:
    """The stored instances.

    Parameters
    ----------
    readers
        The index.
    objects
        The folder that paths in the index are relative to.
    before
        Called before the index is asked: it waits for what is yet to be written there.
    flush
        Whether a file is flushed to the disk before its instance is called safe. Where every file was flushed
        before it was acknowledged that costs next to nothing.
    """

    def __init__(
        self, readers: Engine, objects: Path, before: Callable[[], object], *, flush: bool = True
    ) -> None:
        self._readers = readers
        self._objects = objects
        self._before = before
        self._flush = flush

    def verdict(self, sop_class_uid: str, instance_uid: str) -> int:
        """Tell whether an instance is safe: indexed, of that class, its file whole and on the disk.

        Returns
        -------
        int
            0, or one of :data:`~dulcimer.services.storage_commitment.REASONS`.
        """
        if is_other_than_storage(sop_class_uid):
            return rules.CLASS_NOT_SUPPORTED
        found = self._find(instance_uid)
        if found is None:
            return rules.NO_SUCH_INSTANCE
        known_class, path, size = found
        if known_class != sop_class_uid:
            return rules.CLASS_INSTANCE_CONFLICT
        try:
            return self._safe(path, size)
        except part10.NotPart10:
            _log.error("the file %s is damaged", path)
            return rules.PROCESSING_FAILURE
        except FileNotFoundError:
            _log.error("%s is indexed, but its file %s is gone", instance_uid, path)
            return rules.NO_SUCH_INSTANCE
        except OSError as error:
            _log.error("%s cannot be called safe: %s", instance_uid, error.strerror or error)
            return rules.RESOURCE_LIMITATION if error.errno in _OUT_OF_RESOURCES else rules.PROCESSING_FAILURE

    def path(self, sop_class_uid: str, instance_uid: str) -> Path | None:
        """Return the file of an instance, None if there is none of that class."""
        found = self._find(instance_uid)
        if found is None or found[0] != sop_class_uid:
            return None
        path = self._objects / found[1]
        return path if path.exists() else None

    def dataset(self, instance_uid: str) -> Dataset | None:
        """Return an instance without its pixels, None if there is none."""
        found = self._find(instance_uid)
        if found is None:
            return None
        try:
            return dcmread(self._objects / found[1], stop_before_pixels=True)
        except FileNotFoundError:
            return None

    def _find(self, instance_uid: str) -> tuple[str, str, int] | None:
        self._before()
        with self._readers.connect() as connection:
            row = connection.execute(_FIND, {"uid": instance_uid}).one_or_none()
        return None if row is None else (row[0], row[1], row[2])

    def _safe(self, path: str, size: int) -> int:
        descriptor = os.open(self._objects / path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            there = os.fstat(descriptor).st_size - part10.scan(self._objects / path).data_offset
            if there < size:
                _log.error(
                    "the data set in the file %s has %d bytes, not the %d that came", path, there, size
                )
                return rules.PROCESSING_FAILURE
            if self._flush:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if self._flush:
            folder = os.open((self._objects / path).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        return rules.COMMITTED
