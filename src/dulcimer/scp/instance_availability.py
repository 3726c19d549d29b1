"""A ready SCP of Instance Availability Notification (PS3.4 Annex R)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dulcimer.errors import Refused
from dulcimer.identity import UID_PREFIX
from dulcimer.scp.repository import MemoryRepository, Repository
from dulcimer.scp.service import Service
from dulcimer.services.rules import check

if TYPE_CHECKING:
    from dulcimer.events import Event
    from dulcimer.services.rules import Level

_LOGGER = logging.getLogger("dulcimer.scp.instance_availability")

INSTANCE_AVAILABILITY_NOTIFICATION: Final = "1.2.840.10008.5.1.4.33"
_DUPLICATE: Final = 0x0111


class InstanceAvailabilityService(Service):
    """Takes notifications of which instances are available, and from where, and keeps them.

    Hook (:meth:`~dulcimer.scp.service.Service.on`): ``"notified"`` with the instance UID, the notification
    and the AE title of who sent it.

    Parameters
    ----------
    repository
        Keeps the notifications; in memory by default.
    level
        How strictly they are checked.
    """

    contexts = (INSTANCE_AVAILABILITY_NOTIFICATION,)
    sop_classes = frozenset({INSTANCE_AVAILABILITY_NOTIFICATION})
    noun = "notification"

    def __init__(self, repository: Repository | None = None, *, level: Level = "standard") -> None:
        super().__init__()
        self._repository: Repository = MemoryRepository() if repository is None else repository
        self._level: Level = level

    def n_create(self, event: Event) -> tuple[Dataset, None]:
        """Take a notification (R.3.2); without an instance UID it gets one."""
        uid = str(event.request.AffectedSOPInstanceUID or generate_uid(prefix=UID_PREFIX))
        notification = event.attribute_list
        found = check("N-CREATE", INSTANCE_AVAILABILITY_NOTIFICATION, notification, level=self._level)
        for note in found.enforce(notification):
            _LOGGER.info("availability %s: %s", uid, note)
        with self._repository.transaction() as transaction:
            if transaction.get(uid) is not None:
                raise Refused(_DUPLICATE, "This notification exists already")
            transaction.put(uid, notification)
        self.tell("notified", uid, notification, str(event.assoc.remote["ae_title"]).strip())
        status = Dataset()
        status.Status = 0x0000
        status.AffectedSOPInstanceUID = uid
        return status, None
