"""When a received object counts as stored (PS3.4 Annex B)."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from dulcimer.errors import Refused
from dulcimer.node.domain.attributes import SOP_CLASS_UID, SOP_INSTANCE_UID, Description
from dulcimer.node.domain.model import Instance, Stored

if TYPE_CHECKING:
    from dulcimer.node.domain.ports import InstanceIndex, ObjectFiles, Staged

_log: Final = logging.getLogger("dulcimer.node.archive")

DATA_SET_DOES_NOT_MATCH: Final = 0xA900


class Archive:
    """Stores objects so that nothing that was acknowledged is lost and nothing half stored is seen.

    - A data set that names another SOP class or instance than its command is refused with A900H (PS3.4
      B.2.3): stored under either UID it would be found under a name that is not its own.
    - A data set that cannot be decoded is stored as it came and indexed by the UIDs of its command. An
      archive is asked to keep what it is given, and what one decoder cannot read another may.
    - The same instance again: with the same content nothing changes; with other content both are kept, the
      UID stands for the newer one and the older one stays on disk and in the index as a version. Either way
      the answer is Success, because the sender's object is safe.
    """

    def __init__(self, files: ObjectFiles, index: InstanceIndex) -> None:
        self._files = files
        self._index = index
        index.on_conflict(self.settle)

    def store(self, staged: Staged) -> Stored:
        """Put a received object in its place and into the index.

        Raises
        ------
        Refused
            A900H: see above.
        Exception
            Whatever the files and the index raise when there is no room; the object is removed then.
        """
        try:
            description = staged.description()
            if description is None:
                _log.warning(
                    "stored %s of class %s, but its data set cannot be decoded as %s",
                    staged.sop_instance_uid,
                    staged.sop_class_uid,
                    staged.transfer_syntax_uid,
                )
                description = Description()
            _refuse_contradictions(staged, description)
            path = self._files.place(staged)
        except BaseException:
            self._files.discard(staged)
            raise
        instance = Instance(
            sop_instance_uid=staged.sop_instance_uid,
            sop_class_uid=staged.sop_class_uid,
            transfer_syntax_uid=staged.transfer_syntax_uid,
            path=path,
            size=staged.size,
            received=datetime.now(UTC),
            source_aet=staged.source_aet,
            attributes=description.attributes,
        )
        try:
            return self.add(instance)
        except Exception:
            # Not indexed means not acknowledged: the sender keeps the object and will try again.
            self._files.remove(path)
            raise

    def add(self, instance: Instance) -> Stored:
        """Index an instance whose file is in its place."""
        known = self._index.insert(instance)
        return Stored.NEW if known is None else self.settle(instance, known)

    def settle(self, instance: Instance, known: str | None) -> Stored:
        """Decide about an instance whose UID stands for the file ``known``."""
        while known is not None:
            if known == instance.path:
                return Stored.SAME
            if self._files.same_data_set(known, instance.path):
                self._files.remove(instance.path)
                return Stored.SAME
            known = self._index.replace(instance, known)
        _log.warning(
            "%s came again with other content; the former one is kept as a version",
            instance.sop_instance_uid,
        )
        return Stored.CHANGED


def _refuse_contradictions(staged: Staged, description: Description) -> None:
    for said, commanded, tag, name in (
        (description.sop_class_uid, staged.sop_class_uid, SOP_CLASS_UID, "class"),
        (description.sop_instance_uid, staged.sop_instance_uid, SOP_INSTANCE_UID, "instance"),
    ):
        if said and said != commanded:
            raise Refused(
                DATA_SET_DOES_NOT_MATCH,
                f"The data set is of another SOP {name} than the command",
                offending=(tag,),
            )
