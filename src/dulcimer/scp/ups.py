"""Unified Procedure Step as SCP: Push, Pull, Watch, Event and Query (PS3.4 Annex CC).

    reporter = Reporter(ae, {"WATCHER": Peer("10.0.0.7", 104)})
    service = UpsService(MemoryRepository(), MemorySubscriptions(), reporter)
    services = Services([service])
    services.add_to(ae)
    ae.start_server(("", 11112), evt_handlers=[*services.handlers(), *reporter.handlers()])

What is accepted and what is refused is in :mod:`dulcimer.services.ups`.

Where the Standard is silent
----------------------------
- An application entity has one global subscription at a time, filtered or not; a new one takes the place of
  the former. To unsubscribe globally, under either UID, ends it and every subscription to a workitem.
- A request to cancel a workitem IN PROGRESS that nobody is subscribed to is answered C312H: there is no way
  to tell the performer.
- Commands may come in any UPS context (CC.3.1 says so of their SOP class); at the strict level an operation
  that the context's SOP class does not have is answered 0211H.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Final

from pydicom.dataset import Dataset
from pydicom.valuerep import DT

from dulcimer.errors import Refused
from dulcimer.scp.service import UNRECOGNIZED_OPERATION, Service
from dulcimer.scp.subscriptions import MemorySubscriptions
from dulcimer.services import ups as rules
from dulcimer.services.character_sets import difference
from dulcimer.services.registry import service_for
from dulcimer.services.rules import check

if TYPE_CHECKING:
    from dulcimer.association import Association
    from dulcimer.events import Event
    from dulcimer.scp.reports import Reporter
    from dulcimer.scp.repository import Repository
    from dulcimer.scp.subscriptions import Subscriptions
    from dulcimer.services.rules import Level

    Matches = Callable[[Dataset, Dataset], bool]

_LOGGER = logging.getLogger("dulcimer.scp.ups")

SUCCESS: Final = 0x0000
OPTIONAL_ATTRIBUTES_NOT_SUPPORTED: Final = 0x0001
DUPLICATE_SOP_INSTANCE: Final = 0x0111
MISSING_ATTRIBUTE: Final = 0x0120
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
NO_SUCH_ACTION: Final = 0x0123
LOCK_NOT_GRANTED: Final = 0xB301
UNKNOWN_RECEIVING_AE: Final = 0xC308
PERFORMER_CANNOT_BE_CONTACTED: Final = 0xC312
PERFORMER_DOES_NOT_CANCEL: Final = 0xC313
NOT_APPROPRIATE: Final = 0xC314
EVENTS_NOT_SUPPORTED: Final = 0xC315
IDENTIFIER_DOES_NOT_MATCH: Final = 0xA900
PENDING: Final = 0xFF00

_GLOBAL: Final = frozenset({rules.GLOBAL_SUBSCRIPTION, rules.FILTERED_GLOBAL_SUBSCRIPTION})
_NO_KEYS: Final = frozenset({"ReceivingAE", "DeletionLock", "SpecificCharacterSet"})


class UpsService(Service):
    """The SCP of the five UPS SOP classes.

    Hooks (:meth:`~dulcimer.scp.service.Service.on`) are called when the change is durable and before it is
    answered, with the SOP Instance UID, the workitem before, the workitem after, and what is different:

    - ``"created"`` (before is None), ``"modified"`` (by any N-SET), ``"state"`` (when its state changes);
    - ``"cancel requested"``, with the SOP Instance UID, the workitem and the Action Information;
    - ``"deleted"``, with the SOP Instance UID and the workitem as it was.

    Parameters
    ----------
    repository
        Keeps the workitems.
    subscriptions
        Keeps who is subscribed; in memory by default.
    reporter
        Delivers the events; without one, who subscribes is answered C315H.
    level
        How strict the rules are.
    matches
        Tells whether the keys of an identifier match a workitem, for C-FIND and filtered subscriptions;
        without it neither is supported (0122H, C307H).
    grant_locks
        Whether deletion locks are granted; otherwise who asks for one is answered B301H and subscribed
        without.
    may_cancel
        Asked about a request to cancel a workitem IN PROGRESS, with its UID, the workitem and the
        Action Information; False refuses it (C313H). True leaves it to the performer, who is told.
    now
        Gives the time with its zone.
    """

    contexts: ClassVar[tuple[str, ...]] = (rules.PUSH, rules.WATCH, rules.PULL, rules.EVENT, rules.QUERY)
    sop_classes: ClassVar[frozenset[str]] = frozenset(contexts)
    noun: ClassVar[str] = "workitem"
    reports: ClassVar[bool] = True

    def __init__(
        self,
        repository: Repository,
        subscriptions: Subscriptions | None = None,
        reporter: Reporter | None = None,
        *,
        level: Level = "standard",
        matches: Matches | None = None,
        grant_locks: bool = True,
        may_cancel: Callable[[str, Dataset, Dataset], bool] = lambda uid, workitem, action: True,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        super().__init__()
        self._repository = repository
        self._subscriptions: Subscriptions = MemorySubscriptions() if subscriptions is None else subscriptions
        self._reporter = reporter
        self._level: Level = level
        self._matches = matches
        self._grant_locks = grant_locks
        self._may_cancel = may_cancel
        self._now = now

    # ---- operations ----------------------------------------------------------------------------------

    def n_create(self, event: Event) -> tuple[int, Dataset | None]:
        """Create a workitem (CC.2.5)."""
        self._check_context(event, "N-CREATE")
        uid = str(event.request.AffectedSOPInstanceUID or "")
        sent = event.attribute_list
        outcome = rules.create(sent, uid, self._now(), level=self._level)
        workitem = outcome.dataset
        with self._repository.transaction() as transaction:
            if transaction.get(uid) is not None:
                raise Refused(DUPLICATE_SOP_INSTANCE, "This UPS exists already")
            transaction.put(uid, workitem)
            for subscription in self._subscriptions.global_ones():
                if self._wanted(subscription.keys, workitem):
                    self._subscriptions.put(subscription.aet, uid, subscription.lock)
        self._note(uid, outcome.notes)
        self._report(uid, outcome.events, event.assoc)
        self.tell("created", uid, None, workitem, workitem)
        if outcome.status == SUCCESS:
            return SUCCESS, None
        added, _ = rules.retrieve(difference(sent, workitem), ())
        return outcome.status, added

    def n_set(self, event: Event) -> tuple[int, None]:
        """Change a workitem (CC.2.6); what is read, decided and stored is one transaction."""
        self._check_context(event, "N-SET")
        uid = str(event.request.RequestedSOPInstanceUID)
        change = event.modification_list
        before, outcome = self._change(
            uid, lambda stored: rules.modify(stored, change, self._now(), level=self._level)
        )
        self._note(uid, outcome.notes)
        self._report(uid, outcome.events, event.assoc)
        self._tell("modified", uid, before, outcome.dataset)
        return outcome.status, None

    def n_get(self, event: Event) -> tuple[int, Dataset]:
        """Give attributes of a workitem (CC.2.7)."""
        self._check_context(event, "N-GET")
        workitem = self._existing(str(event.request.RequestedSOPInstanceUID))
        answer, unsupported = rules.retrieve(workitem, event.attribute_identifiers)
        return (OPTIONAL_ATTRIBUTES_NOT_SUPPORTED if unsupported else SUCCESS), answer

    def n_action(self, event: Event) -> tuple[int, None]:
        """Perform one of the five actions (CC.2.1 to CC.2.3)."""
        self._check_context(event, "N-ACTION")
        uid, action = str(event.request.RequestedSOPInstanceUID), event.action_type
        if action in (rules.CHANGE_STATE, rules.REQUEST_CANCEL):
            if uid in _GLOBAL:
                raise Refused(NOT_APPROPRIATE, "This action is about a single UPS")
            change = self._change_state if action == rules.CHANGE_STATE else self._request_cancel
            return change(uid, event), None
        if action == rules.SUBSCRIBE:
            return self._subscribe(uid, event), None
        if action == rules.UNSUBSCRIBE:
            return self._unsubscribe(uid, event), None
        if action == rules.SUSPEND_GLOBAL:
            return self._suspend(uid, event), None
        raise Refused(NO_SUCH_ACTION, "There is no such action of UPS")

    def c_find(self, event: Event) -> Iterator[tuple[int, Dataset | None]]:
        """Find workitems (CC.2.8)."""
        if self._matches is None:
            raise Refused(SOP_CLASS_NOT_SUPPORTED, "Queries are not supported")
        identifier = event.identifier
        for _, workitem in self._repository.all():
            try:
                found = self._matches(identifier, workitem)
            except ValueError as error:
                raise Refused(IDENTIFIER_DOES_NOT_MATCH, str(error)) from error
            if found:
                yield PENDING, rules.response(identifier, workitem)

    def state_of(self, instance: Dataset) -> str:
        """Return Procedure Step State."""
        return rules.state_of(instance)

    # ---- for the program -----------------------------------------------------------------------------

    def purge(self, older_than: datetime) -> int:
        """Delete the workitems in a final state that were last changed before a time, if no lock is left.

        Returns
        -------
        int
            How many there were.
        """
        count = 0
        for uid, workitem in self._repository.all():
            if not self._is_over(workitem, older_than) or self._subscriptions.locked(uid):
                continue
            with self._repository.transaction() as transaction:
                stored = transaction.get(uid)
                if stored is None or self._subscriptions.locked(uid):
                    continue
                transaction.delete(uid)
                self._subscriptions.forget(uid)
            self.tell("deleted", uid, stored)
            count += 1
        return count

    def status_changed(
        self, status: str, subscriptions: str = "WARM START", workitems: str = "WARM START"
    ) -> None:
        """Tell global subscribers that the SCP was restarted or is going down (CC.2.4.3).

        Parameters
        ----------
        status
            SCP Status (0074,1242): ``"RESTARTED"`` or ``"GOING DOWN"``.
        subscriptions, workitems
            Subscription List Status and Unified Procedure Step List Status: ``"WARM START"`` if they are
            still there, ``"COLD START"`` if not.
        """
        if self._reporter is None:
            return
        information = Dataset()
        information.SCPStatus = status
        information.SubscriptionListStatus = subscriptions
        information.UnifiedProcedureStepListStatus = workitems
        self._reporter.send_to(
            (subscription.aet for subscription in self._subscriptions.global_ones()),
            rules.PUSH,
            rules.GLOBAL_SUBSCRIPTION,
            rules.SCP_STATUS_CHANGE,
            information,
            context=rules.EVENT,
        )

    # ---- actions -------------------------------------------------------------------------------------

    def _change_state(self, uid: str, event: Event) -> int:
        action = event.action_information
        before, outcome = self._change(
            uid, lambda stored: rules.change_state(stored, action, self._now(), level=self._level)
        )
        self._report(uid, outcome.events, event.assoc)
        if outcome.state != rules.state_of(before):
            self._tell("state", uid, before, outcome.dataset)
        return outcome.status

    def _request_cancel(self, uid: str, event: Event) -> int:
        action, asking = event.action_information, str(event.assoc.remote["ae_title"])
        before, outcome = self._change(
            uid, lambda stored: rules.request_cancel(stored, action, asking, self._now())
        )
        if rules.state_of(before) == rules.IN_PROGRESS:
            if not self._may_cancel(uid, before, action):
                raise Refused(PERFORMER_DOES_NOT_CANCEL, "The performer does not cancel it")
            if next(iter(self._subscriptions.of(uid)), None) is None and not self.listens("cancel requested"):
                raise Refused(PERFORMER_CANNOT_BE_CONTACTED, "Nobody is subscribed who could be told")
            self.tell("cancel requested", uid, outcome.dataset, action)
        self._report(uid, outcome.events, event.assoc)
        if outcome.state != rules.state_of(before):
            self._tell("state", uid, before, outcome.dataset)
        return outcome.status

    def _subscribe(self, uid: str, event: Event) -> int:
        action = event.action_information
        aet = self._receiver(action, rules.SUBSCRIBE)
        if self._reporter is None:
            raise Refused(EVENTS_NOT_SUPPORTED, "Event reports are not supported")
        if not self._reporter.knows(aet):
            raise Refused(UNKNOWN_RECEIVING_AE, "The Receiving AE is not known here")
        wanted = str(action.get("DeletionLock") or "").strip() == "TRUE"
        lock = wanted and self._grant_locks
        if uid in _GLOBAL:
            self._subscribe_globally(uid, aet, lock, action, event.assoc)
        else:
            # Whatever it was before, who subscribes to a single one is told its state (Table CC.2.3-2).
            with self._repository.transaction() as transaction:
                workitem = transaction.get(uid)
                if workitem is None:
                    raise Refused(rules.NO_SUCH_WORKITEM, "No such UPS")
                self._subscriptions.put(aet, uid, lock)
            self._report_to((aet,), uid, [rules.state_report(workitem)], event.assoc)
        return LOCK_NOT_GRANTED if wanted and not lock else SUCCESS

    def _subscribe_globally(
        self, uid: str, aet: str, lock: bool, action: Dataset, association: Association
    ) -> None:
        keys: Dataset | None = None
        if uid == rules.FILTERED_GLOBAL_SUBSCRIPTION:
            keys = Dataset()
            for element in action:
                if element.keyword not in _NO_KEYS or element.keyword == "SpecificCharacterSet":
                    keys[element.tag] = element
            if not any(element.keyword not in _NO_KEYS for element in keys):
                raise Refused(MISSING_ATTRIBUTE, "A filtered subscription needs matching keys")
            if self._matches is None:
                raise Refused(rules.NO_SUCH_WORKITEM, "Filtered subscriptions are not supported")
        new: list[str] = []
        with self._repository.transaction():
            self._subscriptions.put_global(aet, lock, keys)
            for known, workitem in self._repository.all():
                if self._subscriptions.get(aet, known) is None and self._wanted(keys, workitem):
                    self._subscriptions.put(aet, known, lock)
                    new.append(known)
        # Table CC.2.3-2: an initial event for each, but not without a lock.
        for known in new if lock else ():
            workitem_now = self._repository.get(known)
            if workitem_now is not None:
                self._report_to((aet,), known, [rules.state_report(workitem_now)], association)

    def _unsubscribe(self, uid: str, event: Event) -> int:
        aet = self._receiver(event.action_information, rules.UNSUBSCRIBE)
        with self._repository.transaction() as transaction:
            if uid in _GLOBAL:
                self._subscriptions.remove_global(aet)
                self._subscriptions.remove_all(aet)
            elif transaction.get(uid) is None:
                raise Refused(rules.NO_SUCH_WORKITEM, "No such UPS")
            else:
                self._subscriptions.remove(aet, uid)
        return SUCCESS

    def _suspend(self, uid: str, event: Event) -> int:
        if uid not in _GLOBAL:
            raise Refused(NOT_APPROPRIATE, "Only a global subscription can be suspended")
        aet = self._receiver(event.action_information, rules.SUSPEND_GLOBAL)
        with self._repository.transaction():
            self._subscriptions.remove_global(aet)
        return SUCCESS

    def _receiver(self, action: Dataset, action_type: int) -> str:
        check(f"N-ACTION {action_type}", rules.PUSH, action, level=self._level).enforce(action)
        aet = str(action.get("ReceivingAE") or "").strip()
        if not aet:
            raise Refused(MISSING_ATTRIBUTE, "Receiving AE is missing", attributes=(0x0074_1234,))
        return aet

    # ---- what they share -----------------------------------------------------------------------------

    def _check_context(self, event: Event, operation: str) -> None:
        if self._level != "strict":
            return
        context = str(event.context.abstract_syntax)
        service = service_for(context)
        if service is not None and operation not in service.operations(context):
            raise Refused(UNRECOGNIZED_OPERATION, f"Not an {operation} of this SOP class")

    def _change(self, uid: str, decide: Callable[[Dataset], rules.Outcome]) -> tuple[Dataset, rules.Outcome]:
        with self._repository.transaction() as transaction:
            before = transaction.get(uid)
            if before is None:
                raise Refused(rules.NO_SUCH_WORKITEM, "No such UPS")
            outcome = decide(before)
            if outcome.dataset is not before:
                transaction.put(uid, outcome.dataset)
        return before, outcome

    def _existing(self, uid: str) -> Dataset:
        workitem = self._repository.get(uid)
        if workitem is None:
            raise Refused(rules.NO_SUCH_WORKITEM, "No such UPS")
        return workitem

    def _wanted(self, keys: Dataset | None, workitem: Dataset) -> bool:
        return keys is None or (self._matches is not None and self._matches(keys, workitem))

    def _note(self, uid: str, notes: Iterable[str]) -> None:
        for note in notes:
            _LOGGER.info("workitem %s: %s", uid, note)

    def _tell(self, happening: str, uid: str, before: Dataset, after: Dataset) -> None:
        if self.listens(happening):
            self.tell(happening, uid, before, after, difference(before, after))

    def _report(self, uid: str, events: Iterable[rules.Event], association: Association | None) -> None:
        for report in events:
            self._report_to(self._subscriptions.of(uid), uid, [report], association)

    def _report_to(
        self,
        aets: Iterable[str],
        uid: str,
        events: Iterable[rules.Event],
        association: Association | None,
    ) -> None:
        if self._reporter is None:
            return
        for report in events:
            try:
                self._reporter.send_to(
                    aets,
                    rules.PUSH,
                    uid,
                    report.event_type,
                    report.information,
                    context=rules.EVENT,
                    association=association,
                )
            except Exception:
                # What was asked for has been done, so the answer is no failure.
                _LOGGER.exception("workitem %s: event %d cannot be reported", uid, report.event_type)

    @staticmethod
    def _is_over(workitem: Dataset, older_than: datetime) -> bool:
        if rules.state_of(workitem) not in rules.FINAL_STATES:
            return False
        changed = DT(str(workitem.ScheduledProcedureStepModificationDateTime))
        if changed.tzinfo is None:
            return bool(changed < older_than.replace(tzinfo=None))
        return bool(changed < older_than.astimezone())
