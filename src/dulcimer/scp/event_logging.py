"""A ready SCP of Application Event Logging: procedure logs and substance administration (PS3.4 Annex P)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dulcimer.errors import Refused
from dulcimer.identity import UID_PREFIX
from dulcimer.scp.repository import MemoryRepository, Repository
from dulcimer.scp.service import Service
from dulcimer.services import event_logging as rules

if TYPE_CHECKING:
    from dulcimer.events import Event
    from dulcimer.services.rules import Level

_LOGGER = logging.getLogger("dulcimer.scp.event_logging")


class EventLoggingService(Service):
    """Records events; each is kept under a UID of its own.

    Hook (:meth:`~dulcimer.scp.service.Service.on`): ``"recorded"`` with the SOP class, what was recorded and
    the AE title of who sent it.

    Parameters
    ----------
    repository
        Keeps the events; in memory by default.
    studies, insist
        Which study a procedural event belongs to, and whether one with contradicting IDs is refused, see
        :func:`~dulcimer.services.event_logging.procedural`.
    patients, authorized
        Which patients are known and who may add to their records, see
        :func:`~dulcimer.services.event_logging.substance`.
    level
        How strictly events are checked.
    """

    contexts = (rules.PROCEDURAL, rules.SUBSTANCE)
    sop_classes = frozenset({rules.PROCEDURAL, rules.SUBSTANCE})
    noun = "event"

    def __init__(
        self,
        repository: Repository | None = None,
        *,
        studies: rules.Studies | None = None,
        insist: bool = False,
        patients: Callable[[str, str], bool] | None = None,
        authorized: Callable[[Sequence[Dataset]], bool] | None = None,
        level: Level = "standard",
    ) -> None:
        super().__init__()
        self._repository: Repository = MemoryRepository() if repository is None else repository
        self._studies = studies
        self._insist = insist
        self._patients = patients
        self._authorized = authorized
        self._level: Level = level

    def n_action(self, event: Event) -> tuple[int, Dataset | None]:
        """Record an event (P.2.2, P.3.2)."""
        request = event.request
        class_uid, instance_uid = str(request.RequestedSOPClassUID), str(request.RequestedSOPInstanceUID)
        information = event.action_information
        if class_uid == rules.PROCEDURAL:
            logged = rules.procedural(
                information,
                event.action_type,
                instance_uid,
                studies=self._studies,
                insist=self._insist,
                level=self._level,
            )
        else:
            logged = rules.substance(
                information,
                event.action_type,
                instance_uid,
                patients=self._patients,
                authorized=self._authorized,
                level=self._level,
            )
        for note in logged.notes:
            _LOGGER.info("event: %s", note)
        try:
            with self._repository.transaction() as transaction:
                transaction.put(str(generate_uid(prefix=UID_PREFIX)), logged.event)
        except Exception:
            if class_uid != rules.SUBSTANCE:
                raise
            _LOGGER.exception("An event of substance administration cannot be recorded")
            raise Refused(rules.UPDATE_FAILED, "The record cannot be updated") from None
        self.tell("recorded", class_uid, logged.event, str(event.assoc.remote["ae_title"]).strip())
        return logged.status, logged.reply
