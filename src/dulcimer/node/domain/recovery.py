"""What a node does at its start after it was killed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

from dulcimer.node.domain.model import Instance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from dulcimer.node.domain.archive import Archive
    from dulcimer.node.domain.ports import InstanceIndex

_log: Final = logging.getLogger("dulcimer.node.recovery")


class RecoverableFiles(Protocol):
    """What recovery needs of the files."""

    def clear_incoming(self) -> int: ...

    def days(self, since: date) -> Iterator[str]: ...

    def files(self, folder: str) -> Iterator[str]: ...

    def instances(self, paths: Iterable[str]) -> Iterator[Instance]:
        """Describe files that lie in their place, the oldest first; what is no DICOM file is left out."""


def recover(files: RecoverableFiles, index: InstanceIndex, archive: Archive, since: date | None) -> None:
    """Remove what was half received and index what was renamed but not indexed.

    ``since`` is the day on which the node began that did not end in order; None if it did.
    """
    if (removed := files.clear_incoming()) > 0:
        _log.info("removed %d half received objects, none of which was acknowledged", removed)
    if since is None:
        return
    indexed = 0
    for day in files.days(since):
        known = index.paths(day)
        lost = [path for path in files.files(day) if path not in known]
        for instance in files.instances(lost):
            archive.add(instance)
            indexed += 1
    if indexed:
        _log.info("indexed %d objects that the last run stored and did not get to index", indexed)
