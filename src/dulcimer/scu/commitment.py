"""A client of Storage Commitment, push model (PS3.4 Annex J).

::

    result = commit(association, paths)
    for failed in result.failed:
        print(failed.instance_uid, failed.words)

The report comes over the association of the request, over one that we open later, or over one that the peer
opens to us: :func:`commit` takes it wherever it comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Condition
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dulcimer import events as evt
from dulcimer.ae import ApplicationEntity
from dulcimer.association import Association
from dulcimer.errors import DulcimerError, Refused
from dulcimer.identity import UID_PREFIX
from dulcimer.presentation import build_context
from dulcimer.scu.answers import accepted
from dulcimer.scu.errors import IllegalStep, unanswered
from dulcimer.services import storage_commitment as rules
from dulcimer.services.storage_commitment import Failed, Reference, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dulcimer.events import Event, EventHandlerType
    from dulcimer.presentation import PresentationContext

__all__ = [
    "CommitmentReports",
    "Failed",
    "Outstanding",
    "Reference",
    "Result",
    "Target",
    "commit",
    "contexts",
]

_LONGEST_PAUSE: Final = 30.0
_SHORTEST_VISIT: Final = 2.0
"""How many seconds a peer has at least to find that it can deliver."""


class Outstanding(DulcimerError, TimeoutError):
    """The peer has taken the request, and its report has not come in time.

    Attributes
    ----------
    transaction_uid
        The Transaction UID, to wait on with :class:`CommitmentReports`.
    """

    def __init__(self, transaction_uid: str, seconds: float) -> None:
        super().__init__(f"no report of transaction {transaction_uid} within {seconds:g} s")
        self.transaction_uid = transaction_uid


class Target(NamedTuple):
    """A peer to open associations with.

    Attributes
    ----------
    ae
        The application entity that calls.
    host, port
        Where the peer listens.
    ae_title
        Its AE title.
    options
        Other keyword arguments of :meth:`ApplicationEntity.associate`, such as ``tls_args``.
    """

    ae: ApplicationEntity
    host: str
    port: int
    ae_title: str = "ANY-SCP"
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed

    def associate(self, handlers: Sequence[EventHandlerType]) -> Association:
        """Open an association that storage commitment can be requested and reported on."""
        return self.ae.associate(
            self.host,
            self.port,
            contexts=contexts(),
            ae_title=self.ae_title,
            evt_handlers=[*handlers],
            **self.options,
        )


def contexts() -> list[PresentationContext]:
    """Return the presentation contexts to propose for storage commitment."""
    return [build_context(rules.PUSH_MODEL)]


class CommitmentReports:
    """Collects reports, from any number of associations.

    Start a server with :meth:`handlers` to let peers deliver to it, and with
    ``add_supported_context(rules.PUSH_MODEL, scu_role=True, scp_role=True)``.
    """

    def __init__(self) -> None:
        self._results: dict[str, Result] = {}
        self._expected: set[str] = set()
        self._changed = Condition()

    def handlers(self) -> list[EventHandlerType]:
        """Return the handlers of what takes reports."""
        return [(evt.EVT_N_EVENT_REPORT, self.take)]

    def expect(self, transaction_uid: str) -> None:
        """Announce a transaction; reports of others are refused."""
        with self._changed:
            self._expected.add(transaction_uid)

    def take(self, event: Event) -> tuple[int, None]:
        """Take an N-EVENT-REPORT, as its handler."""
        if str(event.request.AffectedSOPClassUID) != rules.PUSH_MODEL:
            raise Refused(0x0118, "Only reports of storage commitment are taken here")
        if event.event_type not in (rules.ALL_COMMITTED, rules.FAILURES_EXIST):
            raise Refused(0x0113, f"No such event: {event.event_type}")
        result = rules.read_report(event.event_information)
        with self._changed:
            if result.transaction_uid not in self._expected:
                # Not 0110H: what nobody waits for any more would be sent again, and what follows would wait.
                raise Refused(0x0115, "No such transaction")
            self._results[result.transaction_uid] = result
            self._changed.notify_all()
        return 0x0000, None

    def wait(self, transaction_uid: str, seconds: float | None = None) -> Result | None:
        """Return the report of a transaction once it is there, None if it is not in time."""
        with self._changed:
            self._changed.wait_for(lambda: transaction_uid in self._results, seconds)
            return self._results.get(transaction_uid)

    def forget(self, transaction_uid: str) -> None:
        """Take no more reports of a transaction."""
        with self._changed:
            self._expected.discard(transaction_uid)
            self._results.pop(transaction_uid, None)


def commit(
    target: Association | Target,
    instances: Iterable[Dataset | Path | str | tuple[str, str]],
    *,
    listen: tuple[str, int] | None = None,
    reports: CommitmentReports | None = None,
    hold: float = 10.0,
    pause: float = 2.0,
    timeout: float = 60.0,
    transaction_uid: str | None = None,
) -> Result:
    """Request the commitment of instances and return what the peer has committed itself to.

    Parameters
    ----------
    target
        An association on which storage commitment was accepted, or where to open one.
    instances
        Data sets, Part 10 files, or pairs of SOP Class UID and SOP Instance UID.
    listen
        Host and port to listen on for an association in which the peer is the SCP. An AE title is known to
        the peer with a fixed address, so the port is hardly ever 0.
    reports
        Where reports come in that something else listens for, such as a server that is always there.
    hold
        How many seconds the association is kept open for the report, where ``target`` is a
        :class:`Target`. Afterwards one is opened now and then to let the peer deliver.
    pause
        How many seconds are between those, at first.
    timeout
        How many seconds to wait for the report in all.
    transaction_uid
        The Transaction UID; a new one by default.

    Returns
    -------
    Result
        Committed and failed instances. Those that the report does not name have failed with 0110H.

    Raises
    ------
    IllegalStep
        There are no instances; nothing was sent.
    Refusal
        The peer refuses the request.
    Outstanding
        The report has not come in time.
    AssociationError
        There is no association.
    """
    references = list(dict.fromkeys(map(_reference, instances)))
    if not references:
        raise IllegalStep("there is no instance to commit")
    uid = transaction_uid or str(generate_uid(prefix=UID_PREFIX))
    box = CommitmentReports() if reports is None else reports
    end = monotonic() + timeout
    with ExitStack() as stack:
        box.expect(uid)
        stack.callback(box.forget, uid)
        if listen is not None:
            entity = target.ae
            stack.enter_context(_listening(entity, listen, box))
        if isinstance(target, Target):
            association = target.associate(box.handlers())
            if not association.is_established:
                raise unanswered(association)
            stack.callback(_release, association)
            _request(association, uid, references)
            result = box.wait(uid, min(hold, timeout))
            _release(association)
            while result is None and monotonic() < end:
                result = box.wait(uid, max(min(pause, end - monotonic()), 0.0))
                pause = min(2 * pause, _LONGEST_PAUSE)
                if result is None and monotonic() < end:
                    result = _visit(target, box, uid, min(max(hold, _SHORTEST_VISIT), end - monotonic()))
        else:
            stack.enter_context(_bound(target, box))
            _request(target, uid, references)
            result = box.wait(uid, max(end - monotonic(), 0.0))
    if result is None:
        raise Outstanding(uid, timeout)
    return _whole(result, references)


def _request(association: Association, uid: str, references: Sequence[Reference]) -> None:
    status, values = association.send_n_action(
        rules.information(uid, references), rules.REQUEST, rules.PUSH_MODEL, rules.PUSH_MODEL_INSTANCE
    )
    accepted(association, rules.PUSH_MODEL, "N-ACTION", status, values)


def _visit(target: Target, box: CommitmentReports, uid: str, seconds: float) -> Result | None:
    """Give the peer an association to deliver on; one that is not to be had now may be later."""
    association = target.associate(box.handlers())
    try:
        return box.wait(uid, seconds) if association.is_established else None
    finally:
        _release(association)


def _release(association: Association) -> None:
    if association.is_established:
        association.release()


@contextmanager
def _bound(association: Association, box: CommitmentReports) -> Iterator[None]:
    before = association.bound(evt.EVT_N_EVENT_REPORT)
    association.bind(evt.EVT_N_EVENT_REPORT, box.take)
    try:
        yield
    finally:
        association.unbind(evt.EVT_N_EVENT_REPORT, box.take)
        if before is not None:
            association.bind(evt.EVT_N_EVENT_REPORT, *before)


@contextmanager
def _listening(entity: ApplicationEntity, listen: tuple[str, int], box: CommitmentReports) -> Iterator[None]:
    own = ApplicationEntity(entity.ae_title)
    own.add_supported_context(rules.PUSH_MODEL, scu_role=True, scp_role=True)
    own.add_supported_context("1.2.840.10008.1.1")
    server = own.start_server(listen, block=False, evt_handlers=box.handlers())
    try:
        yield
    finally:
        if server is not None:
            server.shutdown()


def _whole(result: Result, references: Sequence[Reference]) -> Result:
    named = {*result.committed, *(Reference(each[0], each[1]) for each in result.failed)}
    missing = [Failed(*each, rules.PROCESSING_FAILURE) for each in references if each not in named]
    return Result(result.transaction_uid, result.committed, (*result.failed, *missing))


def _reference(instance: Dataset | Path | str | tuple[str, str]) -> Reference:
    if isinstance(instance, tuple):
        return Reference(str(instance[0]), str(instance[1]))
    if not isinstance(instance, Dataset):
        instance = dcmread(instance, specific_tags=["SOPClassUID", "SOPInstanceUID"], stop_before_pixels=True)
    return Reference(str(instance.SOPClassUID), str(instance.SOPInstanceUID))
