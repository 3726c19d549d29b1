"""A ready SCP of Storage Commitment, push model (PS3.4 Annex J)."""

from __future__ import annotations

import logging
from collections import deque
from threading import Condition, Thread
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from pydicom.dataset import Dataset

from dulcimer.errors import Refused
from dulcimer.scp.repository import MemoryRepository, Repository
from dulcimer.scp.service import Service
from dulcimer.services import storage_commitment as rules

if TYPE_CHECKING:
    from dulcimer.association import Association
    from dulcimer.events import Event
    from dulcimer.scp.reports import Reporter
    from dulcimer.services.rules import Level

_LOGGER = logging.getLogger("dulcimer.scp.storage_commitment")

_CLASS_INSTANCE_CONFLICT: Final = 0x0119
_PENDING: Final = "PENDING"
_DONE: Final = "DONE"


class StorageCommitmentService(Service):
    """Takes requests for commitment, judges them and reports.

    A request is written down and answered at once. A thread then asks ``knows`` for every instance, and the
    report goes to the application entity that asked: over the association of the request, over a later one
    that it opens, or over a new one in the reverse role, whichever is first. What was answered Success is
    judged and reported even if the program ends in between, provided that repository and queue outlive it.

    Hooks (:meth:`~dulcimer.scp.service.Service.on`): ``"requested"`` with the Transaction UID, the AE title
    and how many instances; ``"judged"`` with the AE title and the
    :class:`~dulcimer.services.storage_commitment.Result`.

    Parameters
    ----------
    knows
        Tells of SOP Class UID and SOP Instance UID whether the instance is safe: 0, or a failure reason.
    reporter
        Delivers the reports.
    repository
        Keeps the transactions, by Transaction UID; in memory by default.
    retrieve_aet
        The AE title that reports give as the one to retrieve from; none if empty.
    level
        How strictly requests are checked.
    """

    contexts = (rules.PUSH_MODEL,)
    sop_classes = frozenset({rules.PUSH_MODEL})
    reports = True
    noun = "commitment"

    def __init__(
        self,
        knows: rules.Verdict,
        reporter: Reporter,
        repository: Repository | None = None,
        *,
        retrieve_aet: str = "",
        level: Level = "standard",
    ) -> None:
        super().__init__()
        self._knows = knows
        self._reporter = reporter
        self._repository: Repository = MemoryRepository() if repository is None else repository
        self._retrieve_aet = retrieve_aet
        self._level: Level = level
        self._unanswered: WeakKeyDictionary[Association, list[_Task]] = WeakKeyDictionary()
        self._tasks: deque[_Task] = deque()
        self._wake = Condition()
        self._worker: Thread | None = None
        self._closing = False
        for key, transaction in self._repository.all():
            if transaction.get("TransactionStatus") == _PENDING:
                self._begin(_task(key, transaction))

    def n_action(self, event: Event) -> tuple[int, None]:
        """Take a request (J.3.2); it is answered before it is judged."""
        request = event.request
        if str(request.RequestedSOPClassUID) != rules.PUSH_MODEL:
            raise Refused(_CLASS_INSTANCE_CONFLICT, "Only storage commitment is requested here")
        asked = rules.request(
            event.action_information,
            event.action_type,
            str(request.RequestedSOPInstanceUID),
            level=self._level,
        )
        aet = str(event.assoc.remote["ae_title"]).strip()
        task = self._write_down(asked, aet)
        for note in asked.notes:
            _LOGGER.info("transaction %s: %s", asked.transaction_uid, note)
        self.tell("requested", asked.transaction_uid, aet, len(asked.references))
        # Peers take a report before its answer for a fault.
        association = event.assoc
        with self._wake:
            self._unanswered.setdefault(association, []).append(task)
        association.when_answered(lambda: self._answered(association))
        return 0x0000, None

    def association_ended(self, association: Association) -> None:
        self._answered(association)

    def close(self) -> None:
        """End the thread once it has judged what it is at. What is left is judged at the next start."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
            worker = self._worker
        if worker is not None:
            worker.join()

    def _write_down(self, asked: rules.Request, aet: str) -> _Task:
        """Store a request; one whose Transaction UID was used for something else gets a place of its own."""
        key = uid = asked.transaction_uid
        number = 1
        with self._repository.transaction() as transaction:
            # One with other instances is reported like any other, and the first one stays what it is.
            while (stored := transaction.get(key)) is not None and (
                set(_requested(stored)) != set(asked.references)
            ):
                number += 1
                key = f"{uid}#{number}"
            dataset = rules.information(asked.transaction_uid, asked.references)
            dataset.RequestingAE = aet
            dataset.TransactionStatus = _PENDING
            transaction.put(key, dataset)
        return _Task(key, aet, asked)

    def _answered(self, association: Association) -> None:
        with self._wake:
            tasks = self._unanswered.pop(association, [])
        for task in tasks:
            self._begin(task)

    def _begin(self, task: _Task) -> None:
        with self._wake:
            self._tasks.append(task)
            if self._worker is None and not self._closing:
                self._worker = Thread(target=self._work, name="storage-commitment", daemon=True)
                self._worker.start()
            self._wake.notify_all()

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._tasks and not self._closing:
                    self._wake.wait()
                if self._closing:
                    return
                task = self._tasks.popleft()
            try:
                self._judge(task)
            except Exception:  # the thread must outlive whatever a repository or a queue raises
                _LOGGER.exception("Transaction %s is not judged before the next start", task.key)

    def _judge(self, task: _Task) -> None:
        asked = task.asked
        former: tuple[rules.Reference, ...] | None = None
        if task.key != asked.transaction_uid:
            first = self._repository.get(asked.transaction_uid)
            former = () if first is None else tuple(_requested(first))
        result = rules.judge(asked, self._verdict, former=former)
        # The report is in the queue before the transaction is done: at worst it is sent twice.
        self._reporter.send(
            task.aet,
            rules.PUSH_MODEL,
            rules.PUSH_MODEL_INSTANCE,
            result.event_type,
            rules.report(result, self._retrieve_aet),
        )
        done = rules.report(result)
        done.RequestingAE = task.aet
        done.TransactionStatus = _DONE
        with self._repository.transaction() as transaction:
            transaction.put(task.key, done)
        _LOGGER.info(
            "transaction %s of %s: %d committed, %d not",
            asked.transaction_uid,
            task.aet,
            len(result.committed),
            len(result.failed),
        )
        self.tell("judged", task.aet, result)

    def _verdict(self, sop_class_uid: str, instance_uid: str) -> int:
        try:
            return self._knows(sop_class_uid, instance_uid)
        except Exception:
            _LOGGER.exception("Whether %s is safe cannot be told", instance_uid)
            return rules.PROCESSING_FAILURE


class _Task:
    """A transaction that is to be judged."""

    __slots__ = ("aet", "asked", "key")

    def __init__(self, key: str, aet: str, asked: rules.Request) -> None:
        self.key = key
        self.aet = aet
        self.asked = asked


def _task(key: str, transaction: Dataset) -> _Task:
    asked = rules.Request(str(transaction.TransactionUID), tuple(_requested(transaction)))
    return _Task(key, str(transaction.RequestingAE), asked)


def _requested(transaction: Dataset) -> list[rules.Reference]:
    """Return what a transaction was asked for, whether it is judged or not."""
    found = rules.read_report(transaction)
    failed = [rules.Reference(each.sop_class_uid, each.instance_uid) for each in found.failed]
    return [*found.committed, *failed]
