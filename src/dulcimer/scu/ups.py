"""Clients of Unified Procedure Step (PS3.4 Annex CC).

::

    association = ae.associate(host, port, contexts=contexts())
    workitem = UpsWorkitem.create(association, attributes)
    workitem.claim()
    workitem.progress(50)
    workitem.complete(performed)
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dulcimer import events as evt
from dulcimer.errors import Refused
from dulcimer.identity import UID_PREFIX
from dulcimer.presentation import build_context
from dulcimer.scu.answers import accepted, context_of, illegal
from dulcimer.scu.errors import IllegalStep
from dulcimer.services import ups as rules
from dulcimer.services.rules.completing import complete
from dulcimer.services.rules.tables import table_for

if TYPE_CHECKING:
    from dulcimer.association import Association
    from dulcimer.events import EventHandlerType
    from dulcimer.presentation import PresentationContext

_GIVING: Final = (rules.PULL, rules.WATCH, rules.PUSH)
_CANCELING: Final = (rules.WATCH, rules.PUSH)
_SUBSCRIBING: Final = (rules.WATCH, rules.PUSH)


def contexts(*, events: bool = True) -> list[PresentationContext]:
    """Return the presentation contexts to propose for workitems.

    Parameters
    ----------
    events
        Whether the class of the events is among them, to have events on the association.
    """
    uids = [rules.PUSH, rules.PULL, rules.WATCH, rules.QUERY]
    return [build_context(uid) for uid in (*uids, *((rules.EVENT,) if events else ()))]


class UpsWorkitem:
    """A workitem at a peer.

    Attributes
    ----------
    uid
        Its SOP Instance UID.
    workitem
        Its attributes as far as they are known here, None if they are not.
    state
        Procedure Step State as far as it is known here, ``""`` if it is not.
    transaction_uid
        The Transaction UID that we hold it with, ``""`` if we do not.
    status
        The last status that the peer answered, Success or a warning.

    Parameters
    ----------
    association
        An association with the peer.
    uid
        The SOP Instance UID of a workitem that exists.
    transaction_uid
        The Transaction UID, if it was claimed before: then it is IN PROGRESS.
    """

    def __init__(self, association: Association, uid: str, transaction_uid: str = "") -> None:
        self.uid = uid
        self.workitem: Dataset | None = None
        self.state = rules.IN_PROGRESS if transaction_uid else ""
        self.transaction_uid = transaction_uid
        self.status = 0x0000
        self._association = association

    @classmethod
    def create(cls, association: Association, attributes: Dataset, *, uid: str | None = None) -> UpsWorkitem:
        """Create a workitem, SCHEDULED (N-CREATE).

        Attributes that have to be there and may be empty are added without a value.

        Raises
        ------
        IllegalStep
            The attributes are not those of a new workitem; nothing was sent.
        Refusal
            The peer refuses it.
        """
        workitem = deepcopy(attributes)
        if not workitem.get("ProcedureStepState"):
            workitem.ProcedureStepState = rules.SCHEDULED
        table = table_for(rules.PUSH, "N-CREATE")
        assert table is not None
        complete(workitem, table.rows)
        instance = uid or str(generate_uid(prefix=UID_PREFIX))
        try:
            outcome = rules.create(workitem, instance, datetime.now().astimezone())
        except Refused as refused:
            raise illegal(refused) from None
        context = context_of(association, (rules.PUSH,))
        status, values = association.send_n_create(workitem, rules.PUSH, instance, meta_uid=context)
        code = accepted(association, rules.PUSH, "N-CREATE", status, values)
        made = cls(association, instance)
        made.workitem, made.state, made.status = outcome.dataset, rules.SCHEDULED, code
        return made

    def claim(self, transaction_uid: str | None = None) -> str:
        """Take the workitem: it is IN PROGRESS, and ours (N-ACTION 1). Return the Transaction UID.

        Raises
        ------
        IllegalStep
            It is not SCHEDULED.
        Refusal
            The peer refuses it, C302H if somebody else was first.
        """
        if self.state not in ("", rules.SCHEDULED):
            raise IllegalStep(f"the workitem is {self.state}, only one that is SCHEDULED can be claimed")
        given = transaction_uid or str(generate_uid(prefix=UID_PREFIX))
        self._change_state(rules.IN_PROGRESS, given)
        self.transaction_uid = given
        return given

    def progress(
        self,
        percent: float | None = None,
        description: str = "",
        *,
        change: Dataset | None = None,
    ) -> None:
        """Tell how far it is, or change other attributes (N-SET).

        Parameters
        ----------
        percent
            Procedure Step Progress, 0 to 100.
        description
            Procedure Step Progress Description.
        change
            Other attributes; a sequence is replaced as a whole.

        Raises
        ------
        IllegalStep
            The workitem is final, or IN PROGRESS and not ours, or there is nothing to set.
        Refusal
            The peer refuses it.
        """
        update = deepcopy(change) if change is not None else Dataset()
        if percent is not None or description:
            information = self._information(update)
            if percent is not None:
                information.ProcedureStepProgress = f"{percent:g}"
            if description:
                information.ProcedureStepProgressDescription = description
        if not len(update):
            raise IllegalStep("there is nothing to set")
        self._set(update)

    def complete(self, performed: Dataset | None = None, *, change: Dataset | None = None) -> None:
        """End it as COMPLETED (N-SET if there is something to set, N-ACTION 1).

        Parameters
        ----------
        performed
            The item of the Unified Procedure Step Performed Procedure Sequence, unless it was set before.
        change
            Other attributes.
        """
        self._must_be_ours("completed")
        update = deepcopy(change) if change is not None else Dataset()
        if performed is not None:
            update.UnifiedProcedureStepPerformedProcedureSequence = [performed]
        self._end(rules.COMPLETED, update)

    def cancel(self, reason: Dataset | None = None, *, change: Dataset | None = None) -> None:
        """End it as CANCELED, as its performer (N-SET if there is something to set, N-ACTION 1).

        Parameters
        ----------
        reason
            A coded reason, as an item of a code sequence.
        change
            Other attributes.
        """
        self._must_be_ours("canceled; request_cancel() asks the performer")
        update = deepcopy(change) if change is not None else Dataset()
        if reason is not None:
            self._information(update).ProcedureStepDiscontinuationReasonCodeSequence = [reason]
        self._end(rules.CANCELED, update)

    def request_cancel(
        self, reason: str = "", *, code: Dataset | None = None, contact: str = "", uri: str = ""
    ) -> None:
        """Ask for the cancellation of a workitem that is not ours (N-ACTION 2).

        Parameters
        ----------
        reason
            Reason for Cancellation, as text.
        code
            The reason as an item of a code sequence.
        contact, uri
            Contact Display Name and Contact URI of who asks.
        """
        if self.state == rules.COMPLETED:
            raise IllegalStep("the workitem is COMPLETED already")
        action = Dataset()
        for keyword, value in (
            ("ReasonForCancellation", reason),
            ("ContactDisplayName", contact),
            ("ContactURI", uri),
        ):
            if value:
                setattr(action, keyword, value)
        if code is not None:
            action.ProcedureStepDiscontinuationReasonCodeSequence = [code]
        self._act(action, rules.REQUEST_CANCEL, _CANCELING)
        if self.state == rules.SCHEDULED:
            self.state = rules.CANCELED

    def get(self, *keywords: str) -> Dataset:
        """Return attributes of the workitem as the peer has them (N-GET); all of them by default."""
        tags = []
        for keyword in keywords:
            tag = tag_for_keyword(keyword)
            if tag is None:
                raise IllegalStep(f"there is no attribute {keyword!r}")
            if keyword == "TransactionUID":
                raise IllegalStep("the Transaction UID is nobody's to ask for (CC.2.7.2)")
            tags.append(tag)
        context = context_of(self._association, _GIVING)
        status, found = self._association.send_n_get(tags, rules.PUSH, self.uid, meta_uid=context)
        self.status = accepted(self._association, rules.PUSH, "N-GET", status, found)
        found = found if found is not None else Dataset()
        if not keywords:
            self.workitem = found
        if "ProcedureStepState" in found:
            self.state = rules.state_of(found)
        return found

    def _must_be_ours(self, what: str) -> None:
        if self.state in rules.FINAL_STATES:
            raise IllegalStep(f"the workitem is {self.state} already")
        if not self.transaction_uid:
            raise IllegalStep(f"the workitem is not ours: only one that was claimed can be {what}")

    def _set(self, update: Dataset) -> None:
        if self.state in rules.FINAL_STATES:
            raise IllegalStep(f"the workitem is {self.state} and may no longer be updated")
        if self.state == rules.IN_PROGRESS and not self.transaction_uid:
            raise IllegalStep("the workitem is IN PROGRESS and not ours")
        if self.transaction_uid:
            update.TransactionUID = self.transaction_uid
        after = None
        if self.workitem is not None:
            known = deepcopy(self.workitem)
            if self.transaction_uid:
                known.TransactionUID = self.transaction_uid
            try:
                after = rules.modify(known, update, datetime.now().astimezone()).dataset
            except Refused as refused:
                raise illegal(refused) from None
        context = context_of(self._association, (rules.PULL,))
        status, values = self._association.send_n_set(update, rules.PUSH, self.uid, meta_uid=context)
        self.status = accepted(self._association, rules.PUSH, "N-SET", status, values)
        if after is not None:
            self.workitem = after

    def _end(self, state: str, update: Dataset) -> None:
        if len(update):
            self._set(update)
        if self.workitem is not None:
            lacking = rules.missing_for(self.workitem, state)
            # The peer may have more than is known here, of what it fills in itself.
            names = [str(finding) for finding in lacking.blocking]
            if names:
                raise IllegalStep(f"not yet {state}: {'; '.join(names)}")
        self._change_state(state, self.transaction_uid)

    def _change_state(self, state: str, transaction_uid: str) -> None:
        action = Dataset()
        action.TransactionUID = transaction_uid
        action.ProcedureStepState = state
        self._act(action, rules.CHANGE_STATE, (rules.PULL,))
        self.state = state
        if self.workitem is not None:
            self.workitem.ProcedureStepState = state

    def _act(self, action: Dataset, action_type: int, classes: tuple[str, ...]) -> None:
        context = context_of(self._association, classes)
        status, values = self._association.send_n_action(
            action, action_type, rules.PUSH, self.uid, meta_uid=context
        )
        self.status = accepted(self._association, rules.PUSH, f"N-ACTION {action_type}", status, values)

    def _information(self, update: Dataset) -> Dataset:
        """Return the progress information to set, with what it had: a sequence is sent as a whole."""
        if not update.get("ProcedureStepProgressInformationSequence"):
            known = (self.workitem or Dataset()).get("ProcedureStepProgressInformationSequence")
            update.ProcedureStepProgressInformationSequence = [deepcopy(known[0]) if known else Dataset()]
        item: Dataset = update.ProcedureStepProgressInformationSequence[0]
        return item


class UpsEvent(NamedTuple):
    """An event of a workitem.

    Attributes
    ----------
    uid
        The workitem's SOP Instance UID.
    event_type
        Event Type ID: 1 state, 2 cancellation requested, 3 progress, 4 SCP status, 5 assigned.
    information
        Event Information, empty if there is none.
    """

    uid: str
    event_type: int
    information: Dataset


class UpsSubscriber:
    """Subscribes to the events of workitems, and takes them (CC.2.3, CC.2.4).

    Events come over the association that is given, if the peer has accepted the UPS Event SOP class on it, or
    over one that the peer opens: start a server with :meth:`handlers`, and :func:`event_context` among its
    contexts.

    Parameters
    ----------
    callback
        Called with every :class:`UpsEvent`. What it raises answers the report with 0110H, so that the peer
        may send it again.
    association
        The association to subscribe on.
    receiving_aet
        The AE title that is to have the events; that of the association's application entity by default.
    """

    def __init__(
        self,
        callback: Callable[[UpsEvent], Any],
        association: Association | None = None,
        receiving_aet: str | None = None,
    ) -> None:
        self._callback = callback
        self._association = association
        self._aet = receiving_aet
        self.status = 0x0000
        if association is not None:
            association.bind(evt.EVT_N_EVENT_REPORT, self.take)

    def handlers(self) -> list[EventHandlerType]:
        """Return the handlers to start a server with that the peer may deliver events to."""
        return [(evt.EVT_N_EVENT_REPORT, self.take)]

    def subscribe(
        self,
        uid: str = rules.GLOBAL_SUBSCRIPTION,
        *,
        deletion_lock: bool = False,
        matching: Dataset | None = None,
    ) -> None:
        """Subscribe to the events of a workitem, or of all that there are and will be (N-ACTION 3).

        Parameters
        ----------
        uid
            A workitem's SOP Instance UID; by default the global subscription, or the filtered one if
            ``matching`` is given.
        deletion_lock
            Whether workitems are to be kept after their end until the subscription is over.
        matching
            Matching keys that workitems have to satisfy.
        """
        action = deepcopy(matching) if matching is not None else Dataset()
        if matching is not None:
            if uid not in (rules.GLOBAL_SUBSCRIPTION, rules.FILTERED_GLOBAL_SUBSCRIPTION):
                raise IllegalStep("only the global subscription has matching keys")
            uid = rules.FILTERED_GLOBAL_SUBSCRIPTION
        action.DeletionLock = "TRUE" if deletion_lock else "FALSE"
        self._act(action, rules.SUBSCRIBE, uid)

    def unsubscribe(self, uid: str = rules.GLOBAL_SUBSCRIPTION) -> None:
        """End a subscription (N-ACTION 4)."""
        self._act(Dataset(), rules.UNSUBSCRIBE, uid)

    def suspend(self, uid: str = rules.GLOBAL_SUBSCRIPTION) -> None:
        """Be subscribed to no new workitems; those that are subscribed to stay so (N-ACTION 5)."""
        if uid not in (rules.GLOBAL_SUBSCRIPTION, rules.FILTERED_GLOBAL_SUBSCRIPTION):
            raise IllegalStep("only a global subscription can be suspended")
        self._act(Dataset(), rules.SUSPEND_GLOBAL, uid)

    def take(self, event: evt.Event) -> tuple[int, None]:
        """Take an N-EVENT-REPORT, as its handler."""
        report = event.request
        if str(report.AffectedSOPClassUID) not in (rules.PUSH, rules.EVENT):
            raise Refused(0x0118, "Only events of workitems are taken here")
        kind = event.event_type
        if kind not in (1, 2, 3, 4, 5):
            raise Refused(0x0113, f"No such event: {kind}")
        self._callback(UpsEvent(str(report.AffectedSOPInstanceUID), kind, event.event_information))
        return 0x0000, None

    def _act(self, action: Dataset, action_type: int, uid: str) -> None:
        association = self._association
        if association is None:
            raise IllegalStep("there is no association to subscribe on")
        action.ReceivingAE = self._aet or association.ae.ae_title
        context = context_of(association, _SUBSCRIBING)
        status, values = association.send_n_action(action, action_type, rules.PUSH, uid, meta_uid=context)
        self.status = accepted(association, rules.PUSH, f"N-ACTION {action_type}", status, values)


def event_context() -> str:
    """Return the SOP class that a peer delivers events with: support it as SCU and SCP."""
    return rules.EVENT
