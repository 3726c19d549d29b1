"""The rules of Storage Commitment, push model (PS3.4 Annex J), as pure functions over data sets.

:func:`request` reads what an SCU asks for, :func:`judge` decides about each instance, :func:`report` makes
the N-EVENT-REPORT, :func:`read_report` reads one.

Where the Standard is silent
----------------------------
- A transaction that is asked for again with the same instances is the same request, sent again by an SCU
  that had no answer: it is judged and reported again. With other instances the Transaction UID is used
  twice: every instance fails with reason 0131H.
- An instance that a request names more than once is judged and reported once for each SOP class that it is
  named with; at most one of those can be right, the others fail with 0119H.
- A request that names no instance is refused with 0121H, one without Transaction UID with 0120H.
- One that names another SOP instance than the well-known one is refused with 0112H.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom.dataset import Dataset

from dulcimer.errors import Refused
from dulcimer.services.rules import Level, check

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement

PUSH_MODEL: Final = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
"""The well-known SOP instance that every command names (J.3.5)."""

REQUEST: Final = 1
"""Action Type ID of Request Storage Commitment."""
ALL_COMMITTED: Final = 1
"""Event Type ID of Storage Commitment Request Successful."""
FAILURES_EXIST: Final = 2
"""Event Type ID of Storage Commitment Request Complete - Failures Exist."""

COMMITTED: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
NO_SUCH_INSTANCE: Final = 0x0112
CLASS_INSTANCE_CONFLICT: Final = 0x0119
CLASS_NOT_SUPPORTED: Final = 0x0122
DUPLICATE_TRANSACTION: Final = 0x0131
RESOURCE_LIMITATION: Final = 0x0213

REASONS: Final = {
    PROCESSING_FAILURE: "processing failure",
    NO_SUCH_INSTANCE: "no such instance",
    CLASS_INSTANCE_CONFLICT: "it is of another SOP class",
    CLASS_NOT_SUPPORTED: "SOP class not supported",
    DUPLICATE_TRANSACTION: "the Transaction UID was used before",
    RESOURCE_LIMITATION: "resource limitation",
}
"""What the values of Failure Reason (0008,1197) mean (PS3.3 C.14.1.1)."""

Verdict = Callable[[str, str], int]
"""Tells of a SOP class and a SOP instance whether the instance is safe: 0, or the reason why not."""

_NO_SUCH_ACTION: Final = 0x0123


class Reference(NamedTuple):
    """A SOP instance by its class and instance UID."""

    sop_class_uid: str
    instance_uid: str


class Failed(NamedTuple):
    """An instance that is not committed, and why: one of :data:`REASONS`, or what else a peer says."""

    sop_class_uid: str
    instance_uid: str
    reason: int

    @property
    def words(self) -> str:
        """The reason in words."""
        return REASONS.get(self.reason, f"reason {self.reason:04X}")


@dataclass(frozen=True, slots=True)
class Request:
    """What an SCU wants to have committed, each pair of class and instance once, in the SCU's order."""

    transaction_uid: str
    references: tuple[Reference, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a request."""

    transaction_uid: str
    committed: tuple[Reference, ...]
    failed: tuple[Failed, ...]

    @property
    def event_type(self) -> int:
        """Event Type ID of its report."""
        return FAILURES_EXIST if self.failed else ALL_COMMITTED


def request(
    information: Dataset, action_type: int | None, instance_uid: str, *, level: Level = "standard"
) -> Request:
    """Apply the rules of N-ACTION (J.3.2).

    Raises
    ------
    Refused
        0112H for another SOP instance than the well-known one, 0123H for another action, 0120H and 0121H for
        what is missing or empty.
    """
    if instance_uid != PUSH_MODEL_INSTANCE:
        raise Refused(NO_SUCH_INSTANCE, "Storage commitment has one well-known SOP instance")
    if action_type != REQUEST:
        raise Refused(_NO_SUCH_ACTION, "The only action is 1, Request Storage Commitment")
    notes = check("N-ACTION 1", PUSH_MODEL, information, level=level).enforce(information)
    transaction_uid = _uid(information.get(0x0008_1195))
    references = tuple(_references(information))
    # Whatever the level: nothing can be reported of a transaction without a name or content.
    if not transaction_uid:
        raise Refused(0x0120, "Transaction UID is missing", attributes=(0x0008_1195,))
    if not references:
        raise Refused(0x0121, "No instance is referenced")
    return Request(transaction_uid, references, tuple(notes))


def judge(asked: Request, knows: Verdict, *, former: Iterable[Reference] | None = None) -> Result:
    """Decide about every instance of a request.

    Parameters
    ----------
    asked
        The request.
    knows
        Tells whether an instance is safe. What it raises is reason 0110H.
    former
        The instances of an earlier request with the same Transaction UID, None if there was none.
    """
    if former is not None and set(former) != set(asked.references):
        return Result(
            asked.transaction_uid,
            (),
            tuple(Failed(*reference, DUPLICATE_TRANSACTION) for reference in asked.references),
        )
    committed: list[Reference] = []
    failed: list[Failed] = []
    for reference in asked.references:
        reason = knows(*reference)
        if reason == COMMITTED:
            committed.append(reference)
        else:
            failed.append(Failed(*reference, reason))
    return Result(asked.transaction_uid, tuple(committed), tuple(failed))


def report(result: Result, retrieve_aet: str = "") -> Dataset:
    """Make the Event Information of a result (J.3.3).

    Parameters
    ----------
    result
        The result.
    retrieve_aet
        From where the committed instances can be retrieved; not told if empty.
    """
    information = Dataset()
    information.TransactionUID = result.transaction_uid
    if retrieve_aet and result.committed:
        information.RetrieveAETitle = retrieve_aet
    if result.committed:
        information.ReferencedSOPSequence = [reference_item(each) for each in result.committed]
    if result.failed:
        items = []
        for each in result.failed:
            item = reference_item(Reference(each.sop_class_uid, each.instance_uid))
            item.FailureReason = each.reason
            items.append(item)
        information.FailedSOPSequence = items
    return information


def read_report(information: Dataset) -> Result:
    """Read the Event Information of a report; what is missing in it is empty."""
    failed = []
    for item in information.get("FailedSOPSequence") or ():
        reason = item.get("FailureReason")
        failed.append(Failed(*_reference(item), PROCESSING_FAILURE if reason is None else int(reason)))
    return Result(
        _uid(information.get(0x0008_1195)),
        tuple(_references(information)),
        tuple(failed),
    )


def information(transaction_uid: str, references: Iterable[Reference]) -> Dataset:
    """Make the Action Information of a request (J.3.2)."""
    made = Dataset()
    made.TransactionUID = transaction_uid
    made.ReferencedSOPSequence = [reference_item(each) for each in references]
    return made


def reference_item(reference: Reference) -> Dataset:
    """Make an item that refers to an instance."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = reference
    return item


def _references(information: Dataset) -> Iterator[Reference]:
    seen = set()
    for item in information.get("ReferencedSOPSequence") or ():
        reference = _reference(item)
        if reference not in seen:
            seen.add(reference)
            yield reference


def _reference(item: Dataset) -> Reference:
    return Reference(_uid(item.get(0x0008_1150)), _uid(item.get(0x0008_1155)))


def _uid(element: DataElement | None) -> str:
    return "" if element is None or element.value is None else str(element.value).strip("\0 ")
