"""A ready SCP of RT Machine Verification, conventional and ion (PS3.4 Annex DD)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from threading import Lock
from typing import TYPE_CHECKING, Final
from weakref import ReferenceType, ref

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dulcimer.errors import Refused
from dulcimer.identity import UID_PREFIX
from dulcimer.scp.repository import MemoryRepository, Repository
from dulcimer.scp.service import Service
from dulcimer.services import rt_machine_verification as rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dulcimer.association import Association
    from dulcimer.events import Event
    from dulcimer.scp.reports import Reporter
    from dulcimer.services.rules import Level

_LOGGER = logging.getLogger("dulcimer.scp.rt_machine_verification")

_NO_SUCH_INSTANCE: Final = 0x0112
_DUPLICATE: Final = 0x0111
_CLASS_INSTANCE_CONFLICT: Final = 0x0119
_NO_SUCH_ACTION: Final = 0x0123
_PROCESSING_FAILURE: Final = 0x0110
_OPTIONAL_UNSUPPORTED: Final = 0x0001

Plan = Callable[[str], Dataset | None]
"""Gives an RT Plan or RT Ion Plan by its SOP Instance UID, None if there is none."""


class RTMachineVerificationService(Service):
    """Verifies machine parameters against RT Plans.

    Hooks (:meth:`~dulcimer.scp.service.Service.on`): ``"created"`` with the instance UID, None and
    the session; ``"set"`` with the instance UID; ``"verified"`` with the instance UID and the
    :class:`~dulcimer.services.rt_machine_verification.Verification`; ``"deleted"`` with the instance UID.

    Parameters
    ----------
    plan
        Gives plans by their SOP Instance UID.
    reporter
        Delivers the events Pending and Done.
    repository
        Keeps the sessions; in memory by default.
    supported
        The sequences of devices that are verified, some of
        :data:`~dulcimer.services.rt_machine_verification.DEVICES`; all by default. Others are refused with
        C225H.
    overrides
        Decides about deviations, see :func:`~dulcimer.services.rt_machine_verification.verify`.
    level
        How strictly requests are checked.
    """

    contexts = (rules.CONVENTIONAL, rules.ION)
    sop_classes = frozenset({rules.CONVENTIONAL, rules.ION})
    reports = True
    noun = "verification"

    def __init__(
        self,
        plan: Plan,
        reporter: Reporter,
        repository: Repository | None = None,
        *,
        supported: Collection[str] = rules.DEVICES,
        overrides: rules.Overrides | None = None,
        level: Level = "standard",
    ) -> None:
        super().__init__()
        self._plan = plan
        self._reporter = reporter
        self._repository: Repository = MemoryRepository() if repository is None else repository
        self._supported = supported
        self._overrides = overrides
        self._level: Level = level
        self._open: dict[str, tuple[ReferenceType[Association], str]] = {}
        self._lock = Lock()

    def n_create(self, event: Event) -> tuple[Dataset, None]:
        """Begin a session (DD.3.2.1)."""
        request = event.request
        class_uid = str(request.AffectedSOPClassUID)
        uid = str(request.AffectedSOPInstanceUID or generate_uid(prefix=UID_PREFIX))
        aet = str(event.assoc.remote["ae_title"]).strip()
        session, notes = rules.create(event.attribute_list, class_uid, self._plan, level=self._level)
        _note(uid, notes)
        with self._lock, self._repository.transaction() as transaction:
            link, former = self._open.get(aet, (None, ""))
            association = None if link is None else link()
            if former and transaction.get(former) is not None:
                if association is not None and association.is_established:
                    raise Refused(rules.ALREADY_VERIFYING, "A session of this AE title is open")
                transaction.delete(former)
            if transaction.get(uid) is not None:
                raise Refused(_DUPLICATE, "This machine verification exists already")
            session.SOPClassUID = class_uid
            transaction.put(uid, session)
            self._open[aet] = ref(event.assoc), uid
        self.tell("created", uid, None, session)
        status = Dataset()
        status.Status = 0x0000
        status.AffectedSOPInstanceUID = uid
        return status, None

    def n_set(self, event: Event) -> tuple[int, None]:
        """Take the parameters of a control point (DD.3.2.1)."""
        class_uid, uid = _requested(event)
        with self._repository.transaction() as transaction:
            stored = _session(transaction.get(uid), class_uid, _NO_SUCH_INSTANCE)
            session, notes = rules.modify(
                stored,
                event.modification_list,
                class_uid,
                self._plan_of(stored),
                supported=self._supported,
                level=self._level,
            )
            session.SOPClassUID = class_uid
            transaction.put(uid, session)
        _note(uid, notes)
        self.tell("set", uid)
        return 0x0000, None

    def n_action(self, event: Event) -> tuple[int, None]:
        """Verify what was set (DD.3.2.3); the events follow the answer."""
        class_uid, uid = _requested(event)
        if event.action_type != rules.VERIFY:
            raise Refused(_NO_SUCH_ACTION, "The only action is 1, Request Beam Verification")
        with self._repository.transaction() as transaction:
            stored = _session(transaction.get(uid), class_uid, rules.NO_SUCH_VERIFICATION)
            verification = rules.verify(stored, class_uid, self._plan_of(stored), self._overrides)
            transaction.put(uid, verification.dataset)
        self.tell("verified", uid, verification)
        aet = str(event.assoc.remote["ae_title"]).strip()
        for event_type, information in (
            (rules.PENDING, None),
            (rules.DONE, rules.done_information(verification.status)),
        ):
            self._reporter.send(aet, class_uid, uid, event_type, information, association=event.assoc)
        return 0x0000, None

    def n_get(self, event: Event) -> tuple[int, Dataset]:
        """Give the outcome (DD.3.2.2)."""
        class_uid, uid = _requested(event)
        stored = _session(self._repository.get(uid), class_uid, rules.NO_SUCH_VERIFICATION)
        identifiers: Sequence[int] = event.attribute_identifiers or []
        answer, unsupported = rules.retrieve(stored, class_uid, identifiers)
        if "SOPClassUID" in answer:
            del answer.SOPClassUID
        return (_OPTIONAL_UNSUPPORTED if unsupported else 0x0000), answer

    def n_delete(self, event: Event) -> int:
        """End a session (DD.3.2.5)."""
        class_uid, uid = _requested(event)
        with self._lock, self._repository.transaction() as transaction:
            _session(transaction.get(uid), class_uid, _NO_SUCH_INSTANCE)
            transaction.delete(uid)
            for aet in [aet for aet, (_, opened) in self._open.items() if opened == uid]:
                del self._open[aet]
        self.tell("deleted", uid)
        return 0x0000

    def _plan_of(self, session: Dataset) -> Dataset:
        plan = self._plan(rules.plan_uid(session))
        if plan is None:
            raise Refused(_PROCESSING_FAILURE, "The RT Plan is no longer there")
        return plan


def _requested(event: Event) -> tuple[str, str]:
    return str(event.request.RequestedSOPClassUID), str(event.request.RequestedSOPInstanceUID)


def _session(stored: Dataset | None, class_uid: str, missing: int) -> Dataset:
    if stored is None:
        raise Refused(missing, "No such machine verification")
    if str(stored.SOPClassUID) != class_uid:
        raise Refused(_CLASS_INSTANCE_CONFLICT, "This machine verification is of the other SOP class")
    return stored


def _note(uid: str, notes: list[str]) -> None:
    for note in notes:
        _LOGGER.info("machine verification %s: %s", uid, note)
