"""Modality Performed Procedure Step as SCP: creates, sets, gives and notifies (PS3.4 Annex F).

    service = MppsService(MemoryRepository())
    service.on("completed", lambda uid, before, after, difference: print(uid, "is completed"))
    services = Services([service])
    services.add_to(ae)
    ae.start_server(("", 11112), evt_handlers=services.handlers())

What is accepted and what is refused is in :mod:`dulcimer.services.mpps`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar, Final

from dulcimer.errors import Refused
from dulcimer.scp.service import NO_SUCH_SOP_CLASS, Service
from dulcimer.services import mpps as rules
from dulcimer.services.character_sets import difference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom.dataset import Dataset

    from dulcimer.association import Association
    from dulcimer.events import Event
    from dulcimer.scp.reports import Reporter
    from dulcimer.scp.repository import Repository
    from dulcimer.services.rules import Level

_LOGGER = logging.getLogger("dulcimer.scp.mpps")

SUCCESS: Final = 0x0000
OPTIONAL_ATTRIBUTES_NOT_SUPPORTED: Final = 0x0001
DUPLICATE_SOP_INSTANCE: Final = 0x0111
NO_SUCH_SOP_INSTANCE: Final = 0x0112
CLASS_INSTANCE_CONFLICT: Final = 0x0119

IN_PROGRESS_EVENT: Final = 1
COMPLETED_EVENT: Final = 2
DISCONTINUED_EVENT: Final = 3
UPDATED_EVENT: Final = 4
DELETED_EVENT: Final = 5

_EVENTS: Final = {rules.COMPLETED: COMPLETED_EVENT, rules.DISCONTINUED: DISCONTINUED_EVENT}
_HAPPENINGS: Final = {rules.COMPLETED: "completed", rules.DISCONTINUED: "discontinued"}


class MppsService(Service):
    """The SCP of the three MPPS SOP classes.

    Hooks (:meth:`~dulcimer.scp.service.Service.on`) are called when the change is durable and before it is
    answered, with the SOP Instance UID, the step before, the step after, and what is different:

    - ``"created"`` (before is None), ``"modified"`` (by any N-SET), ``"completed"``, ``"discontinued"``;
    - ``"deleted"``, with the SOP Instance UID and the step as it was.

    Parameters
    ----------
    repository
        Keeps the steps.
    level
        How strict the rules are.
    reporter
        Delivers the events of the Notification SOP class; None sends none.
    notify
        The AE titles that are sent them (F.9).
    """

    contexts: ClassVar[tuple[str, ...]] = (
        rules.MODALITY_PERFORMED_PROCEDURE_STEP,
        rules.MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE,
        rules.MODALITY_PERFORMED_PROCEDURE_STEP_NOTIFICATION,
    )
    sop_classes: ClassVar[frozenset[str]] = frozenset(contexts)
    noun: ClassVar[str] = "step"
    reports: ClassVar[bool] = True

    def __init__(
        self,
        repository: Repository,
        level: Level = "standard",
        reporter: Reporter | None = None,
        notify: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self._repository = repository
        self._level: Level = level
        self._reporter = reporter
        self._notify = tuple(notify)

    def n_create(self, event: Event) -> tuple[int, None]:
        """Create a step (F.7.2.1)."""
        request = event.request
        uid = str(request.AffectedSOPInstanceUID or "")
        if str(request.AffectedSOPClassUID) != rules.MODALITY_PERFORMED_PROCEDURE_STEP:
            raise Refused(NO_SUCH_SOP_CLASS, "Only performed procedure steps are created here")
        outcome = rules.create(event.attribute_list, uid, level=self._level)
        with self._repository.transaction() as transaction:
            if transaction.get(uid) is not None:
                raise Refused(DUPLICATE_SOP_INSTANCE, "This performed procedure step exists already")
            transaction.put(uid, outcome.dataset)
        self._note(uid, outcome.notes)
        self._report(uid, IN_PROGRESS_EVENT, event.assoc)
        self.tell("created", uid, None, outcome.dataset, outcome.dataset)
        return SUCCESS, None

    def n_set(self, event: Event) -> tuple[int, None]:
        """Change a step (F.7.2.2); what is read, decided and stored is one transaction."""
        request = event.request
        uid = str(request.RequestedSOPInstanceUID)
        if str(request.RequestedSOPClassUID) != rules.MODALITY_PERFORMED_PROCEDURE_STEP:
            raise Refused(CLASS_INSTANCE_CONFLICT, "Only performed procedure steps are set here")
        change = event.modification_list
        with self._repository.transaction() as transaction:
            before = transaction.get(uid)
            if before is None:
                raise Refused(NO_SUCH_SOP_INSTANCE, "No such performed procedure step")
            outcome = rules.modify(before, change, instance_uid=uid, level=self._level)
            transaction.put(uid, outcome.dataset)
        self._note(uid, outcome.notes)
        self._report(uid, _EVENTS.get(outcome.state, UPDATED_EVENT), event.assoc)
        happenings = ["modified", *([_HAPPENINGS[outcome.state]] if outcome.state in _HAPPENINGS else [])]
        if any(self.listens(happening) for happening in happenings):
            changed = difference(before, outcome.dataset)
            for happening in happenings:
                self.tell(happening, uid, before, outcome.dataset, changed)
        return SUCCESS, None

    def n_get(self, event: Event) -> tuple[int, Dataset]:
        """Give attributes of a step (F.8.2).

        The class is that of the Retrieve context; commands that name the MPPS class itself mean the same.
        """
        request = event.request
        if str(request.RequestedSOPClassUID) == rules.MODALITY_PERFORMED_PROCEDURE_STEP_NOTIFICATION:
            raise Refused(CLASS_INSTANCE_CONFLICT, "Only performed procedure steps are given here")
        step = self._repository.get(str(request.RequestedSOPInstanceUID))
        if step is None:
            raise Refused(NO_SUCH_SOP_INSTANCE, "No such performed procedure step")
        answer, unsupported = rules.retrieve(step, event.attribute_identifiers)
        return (OPTIONAL_ATTRIBUTES_NOT_SUPPORTED if unsupported else SUCCESS), answer

    def state_of(self, instance: Dataset) -> str:
        """Return Performed Procedure Step Status."""
        return rules.status_of(instance)

    def delete(self, uid: str) -> bool:
        """Remove a step and notify of it; return whether there was one."""
        with self._repository.transaction() as transaction:
            step = transaction.get(uid)
            if step is None:
                return False
            transaction.delete(uid)
        self._report(uid, DELETED_EVENT, None)
        self.tell("deleted", uid, step)
        return True

    def _note(self, uid: str, notes: Iterable[str]) -> None:
        for note in notes:
            _LOGGER.info("step %s: %s", uid, note)

    def _report(self, uid: str, event_type: int, association: Association | None) -> None:
        if self._reporter is None or not self._notify:
            return
        try:
            self._reporter.send_to(
                self._notify,
                rules.MODALITY_PERFORMED_PROCEDURE_STEP_NOTIFICATION,
                uid,
                event_type,
                association=association,
            )
        except Exception:
            # What was asked for has been done, so the answer is no failure.
            _LOGGER.exception("step %s: event %d cannot be reported", uid, event_type)
