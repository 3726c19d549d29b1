"""Delivery of N-EVENT-REPORTs to the application entities that are to have them (PS3.7 10.1.1).

A :class:`Reporter` keeps the reports in a queue and delivers those for one application entity in their order:
over an association that is open with it, else over one that it opens, where it proposes the SCP role for
itself (PS3.7 D.3.3.4). What cannot be delivered is tried again later and later, until it is too old.

Where the Standard is silent
----------------------------
- A report is delivered at least once: one whose answer was lost is sent again.
- One that is answered with 0110H (processing failure), 0213H (resource limitation) or A7xxH is tried again;
  any other failure status would be the same the next time, so the report is given up.
- A report that a request on an association gives rise to is not sent before that request has been answered,
  if the peer of that association is the one to have it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from io import BytesIO
from itertools import count, islice
from threading import Condition, Lock, Thread
from time import monotonic, time
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from weakref import WeakValueDictionary

from dulcimer import events as evt
from dulcimer.ae import ApplicationEntity
from dulcimer.data import codec
from dulcimer.presentation import build_context, build_role
from dulcimer.services.statuses import FAILURE
from dulcimer.status import code_to_category

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from dulcimer.association import Association
    from dulcimer.events import Event, EventHandlerType
    from dulcimer.tls import TLS

_LOGGER = logging.getLogger("dulcimer.scp.reports")

_STORED: Final = codec.encoding_of(codec.EXPLICIT_VR_LITTLE_ENDIAN)
_PASSING: Final = frozenset({0x0110, 0x0213})
_OUT_OF_RESOURCES: Final = 0xA700
_BATCH: Final = 64
_CHUNK: Final = 500
_GRACE: Final = 5.0
_UNANSWERED: Final = 2.0
"""How many seconds a report waits for the answer that it follows; it has come long before."""


class Peer(NamedTuple):
    """Where an application entity listens, and how it speaks TLS if it does."""

    host: str
    port: int
    tls: TLS | None = None


Peers = Mapping[str, Peer] | Callable[[str], Peer | None]
"""Tells where an AE title is: a mapping, or a function that returns None for one it does not know."""


@dataclass(frozen=True, slots=True)
class Report:
    """One N-EVENT-REPORT for one application entity.

    Attributes
    ----------
    aet
        The AE title that is to have it.
    sop_class_uid, instance_uid
        Affected SOP Class and Instance UID.
    event_type
        Event Type ID.
    information
        Event Information in Explicit VR Little Endian, None for an event without.
    context
        The abstract syntax that it is negotiated with.
    created
        When it was made, in seconds since 1970.
    opens
        Whether an association may be opened for it.
    number
        What a queue calls it.
    """

    aet: str
    sop_class_uid: str
    instance_uid: str
    event_type: int
    information: bytes | None
    context: str
    created: float
    opens: bool = True
    number: int = 0


class Turn(NamedTuple):
    """The application entity that comes next: when, and how often it was tried in vain by now."""

    aet: str
    due: float
    attempts: int


class ReportQueue(Protocol):
    """Keeps the reports that wait, those for one AE title in their order.

    An AE title is due as a whole: what waits for one that cannot be reached waits together. All methods may
    be called from several threads.
    """

    def add(self, reports: Iterable[Report]) -> None:
        """Append reports, from an iterator bit by bit; their numbers are the queue's to give.

        Those for an AE title that something waits for are due when that is, others at once.
        """

    def first(self, excluding: Collection[str] = ()) -> Turn | None:
        """Return the AE title that is due first, apart from some; None if nothing waits."""

    def of(self, aet: str, limit: int) -> list[Report]:
        """Return the first reports for an AE title."""

    def remove(self, aet: str, numbers: Collection[int]) -> None:
        """Forget reports for an AE title."""

    def postpone(self, aet: str, due: float, attempts: int) -> None:
        """Let an AE title be due at another time, with another count of attempts."""

    def __len__(self) -> int:
        """How many reports wait."""


class MemoryReportQueue:
    """Reports in memory: they are lost with the program."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._order: list[tuple[float, int, str]] = []
        self._numbers = count(1)
        self._lock = Lock()

    def add(self, reports: Iterable[Report]) -> None:
        for report in reports:
            with self._lock:
                line = self._lines.get(report.aet)
                if line is None:
                    line = self._lines[report.aet] = _Line(report.created)
                    self._put(report.aet, line)
                line.reports.append(replace(report, number=next(self._numbers)))

    def first(self, excluding: Collection[str] = ()) -> Turn | None:
        passed_over = []
        found = None
        with self._lock:
            while self._order and found is None:
                entry = heappop(self._order)
                due, _, aet = entry
                line = self._lines.get(aet)
                if line is None or line.entry != entry:
                    continue
                passed_over.append(entry)
                if aet not in excluding:
                    found = Turn(aet, due, line.attempts)
            for entry in passed_over:
                heappush(self._order, entry)
        return found

    def of(self, aet: str, limit: int) -> list[Report]:
        with self._lock:
            line = self._lines.get(aet)
            return [] if line is None else list(islice(line.reports, limit))

    def remove(self, aet: str, numbers: Collection[int]) -> None:
        with self._lock:
            line = self._lines.get(aet)
            if line is None:
                return
            line.reports = deque(each for each in line.reports if each.number not in numbers)
            if not line.reports:
                del self._lines[aet]

    def postpone(self, aet: str, due: float, attempts: int) -> None:
        with self._lock:
            line = self._lines.get(aet)
            if line is not None:
                line.due, line.attempts = due, attempts
                self._put(aet, line)

    def __len__(self) -> int:
        with self._lock:
            return sum(len(line.reports) for line in self._lines.values())

    def _put(self, aet: str, line: _Line) -> None:
        line.entry = (line.due, next(self._numbers), aet)
        heappush(self._order, line.entry)


class _Line:
    """What waits for one AE title."""

    __slots__ = ("attempts", "due", "entry", "reports")

    def __init__(self, due: float) -> None:
        self.reports: deque[Report] = deque()
        self.due = due
        self.attempts = 0
        self.entry: tuple[float, int, str] | None = None


class Reporter:
    """Delivers N-EVENT-REPORTs.

    Its threads begin with the first report and sleep until one is due.

    Parameters
    ----------
    ae
        The application entity whose servers and associations peers have; reports come from its AE title.
    peers
        Where the AE titles are that an association may be opened with.
    queue
        Keeps what waits; in memory by default.
    first_delay, longest_delay
        Seconds after which an AE title that could not be reached is tried again: the first time, and at most.
        In between it is twice as long each time.
    longest_age
        Seconds after which a report is given up.
    workers
        To how many application entities reports are sent at a time.
    connection_timeout
        Seconds for the transport connection.
    clock
        Gives the time in seconds since 1970.
    """

    def __init__(
        self,
        ae: ApplicationEntity,
        peers: Peers | None = None,
        queue: ReportQueue | None = None,
        *,
        first_delay: float = 1.0,
        longest_delay: float = 300.0,
        longest_age: float = 86400.0,
        workers: int = 4,
        connection_timeout: float = 10.0,
        clock: Callable[[], float] = time,
    ) -> None:
        self.queue: ReportQueue = MemoryReportQueue() if queue is None else queue
        self._ae = ae
        self._caller = ApplicationEntity(ae.ae_title)
        self._caller.connection_timeout = connection_timeout
        self._peers = peers if peers is not None else {}
        self._first_delay = first_delay
        self._longest_delay = longest_delay
        self._longest_age = longest_age
        self._clock = clock
        self._most_workers = workers
        self._workers: list[Thread] = []
        self._wake = Condition()
        self._busy: set[str] = set()
        self._held: dict[str, float] = {}
        self._asking: WeakValueDictionary[str, Association] = WeakValueDictionary()
        self._resting = 0
        self._closing = False
        if self.queue.first() is not None:
            self._begin()

    # ---- for the services ----------------------------------------------------------------------------

    def knows(self, aet: str) -> bool:
        """Tell whether an AE title can be reached: it has an address, or an association is open with it."""
        return self._place(aet) is not None or bool(self._open_with(aet))

    def send(
        self,
        aet: str,
        sop_class_uid: str,
        instance_uid: str,
        event_type: int,
        information: Dataset | None = None,
        *,
        context: str | None = None,
        association: Association | None = None,
        opens: bool = True,
    ) -> None:
        """Queue a report for an application entity; return at once, or when the queue has written it down.

        Parameters
        ----------
        aet
            The AE title that is to have it.
        sop_class_uid, instance_uid
            Affected SOP Class and Instance UID.
        event_type
            Event Type ID.
        information
            Event Information, None if the event has none.
        context
            The abstract syntax that the report is negotiated with, if that is not the SOP class.
        association
            The association on which the request came that the report follows from. It is tried first, and the
            report is not sent before the request has been answered.
        opens
            Whether an association may be opened for it; otherwise it waits for the peer to open one.
        """
        self.send_to(
            (aet,),
            sop_class_uid,
            instance_uid,
            event_type,
            information,
            context=context,
            association=association,
            opens=opens,
        )

    def send_to(
        self,
        aets: Iterable[str],
        sop_class_uid: str,
        instance_uid: str,
        event_type: int,
        information: Dataset | None = None,
        *,
        context: str | None = None,
        association: Association | None = None,
        opens: bool = True,
    ) -> None:
        """Queue a report for many application entities; memory does not depend on how many they are.

        The parameters are those of :meth:`send`.
        """
        encoded = None if information is None else codec.encode(information, _STORED)
        report = Report(
            "",
            str(sop_class_uid),
            str(instance_uid),
            event_type,
            encoded,
            str(context or sop_class_uid),
            self._clock(),
            opens,
        )
        asking = ""
        if association is not None:
            asking = str(association.remote["ae_title"])
            self._hold(asking, association)
        waiting = iter(aets)
        some = False
        while chunk := list(islice(waiting, _CHUNK)):
            self.queue.add(replace(report, aet=aet) for aet in chunk)
            some = True
        if some:
            self._begin()

    def established(self, event: Event) -> None:
        """Take note of a new association: what waits for its peer is due now."""
        aet = str(event.assoc.remote["ae_title"])
        if self.queue.of(aet, 1):
            self.queue.postpone(aet, self._clock(), 0)
            self._begin()

    def handlers(self) -> list[EventHandlerType]:
        """Return the handlers to start a server with, beside those of the services."""
        return [(evt.EVT_ESTABLISHED, self.established)]

    def close(self) -> None:
        """End the threads; what is on its way gets some seconds. What the queue holds stays there."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
            workers = list(self._workers)
        limit = monotonic() + _GRACE
        for worker in workers:
            worker.join(max(limit - monotonic(), 0.0))
        self._caller.shutdown()
        for worker in workers:
            worker.join()

    # ---- whose turn it is ----------------------------------------------------------------------------

    def _hold(self, aet: str, association: Association) -> None:
        """Let nothing go to an AE title before the request that is being handled has been answered."""
        with self._wake:
            self._asking[aet] = association
            self._held[aet] = self._clock() + _UNANSWERED

        def answered() -> None:
            with self._wake:
                self._held.pop(aet, None)
                self._wake.notify_all()

        association.when_answered(answered)

    def _begin(self) -> None:
        with self._wake:
            if self._closing:
                return
            if not self._resting and len(self._workers) < self._most_workers:
                worker = Thread(target=self._work, name=f"reports-{len(self._workers) + 1}", daemon=True)
                self._workers.append(worker)
                worker.start()
            self._wake.notify()

    def _work(self) -> None:
        while (turn := self._next()) is not None:
            try:
                self._deliver(turn)
            except Exception:  # the thread must outlive whatever a queue or a data set raises
                _LOGGER.exception("Reports to %s cannot be delivered", turn.aet)
                self._later(turn, self._clock())
            finally:
                with self._wake:
                    self._busy.discard(turn.aet)
                    self._wake.notify_all()

    def _next(self) -> Turn | None:
        """Wait until an AE title is due and take it; None when it is time to end."""
        with self._wake:
            while not self._closing:
                now = self._clock()
                self._held = {aet: until for aet, until in self._held.items() if until > now}
                turn = self._queue_first()
                if turn is not None and turn.due <= now:
                    self._busy.add(turn.aet)
                    return turn
                times = [*self._held.values(), *([] if turn is None else [turn.due])]
                self._resting += 1
                try:
                    self._wake.wait(max(min(times) - now, 0.001) if times else None)
                finally:
                    self._resting -= 1
            return None

    def _queue_first(self) -> Turn | None:
        try:
            return self.queue.first({*self._busy, *self._held})
        except Exception:
            _LOGGER.exception("The queue of reports cannot be read")
            return Turn("", self._clock() + self._longest_delay, 0)

    def _later(self, turn: Turn, now: float) -> None:
        delay = min(self._first_delay * 2.0 ** min(turn.attempts, 64), self._longest_delay)
        self.queue.postpone(turn.aet, now + delay, turn.attempts + 1)

    # ---- delivery ------------------------------------------------------------------------------------

    def _deliver(self, turn: Turn) -> None:
        """Send what waits for an AE title, until all is sent or something is in the way."""
        link = _Link()
        expired = 0
        try:
            while self._may_send_to(turn.aet) and (batch := self.queue.of(turn.aet, _BATCH)):
                done: list[int] = []
                reached = True
                try:
                    for report in batch:
                        if not self._may_send_to(turn.aet):
                            break
                        if self._clock() - report.created > self._longest_age:
                            expired += 1
                        elif not self._delivered(report, link, batch):
                            reached = False
                            break
                        done.append(report.number)
                finally:
                    self.queue.remove(turn.aet, done)
                if not reached:
                    self._later(turn, self._clock())
                    return
                # A peer that was reached begins anew.
                turn = turn._replace(attempts=0)
        finally:
            link.release()
            if expired:
                _LOGGER.warning(
                    "%d report%s to %s given up: not delivered within %.0f s",
                    expired,
                    "" if expired == 1 else "s",
                    turn.aet,
                    self._longest_age,
                )

    def _may_send_to(self, aet: str) -> bool:
        with self._wake:
            return not self._closing and self._held.get(aet, 0.0) <= self._clock()

    def _delivered(self, report: Report, link: _Link, batch: list[Report]) -> bool:
        """Send a report over the first association that takes it; False if it has to be tried again."""
        tried: list[Association] = []
        given_up = False
        # An application entity may be several programs: what one refuses may be another's.
        while (association := self._association_for(report, link, batch, tried)) is not None:
            tried.append(association)
            status = _send(association, report)
            if status is None:
                continue
            if code_to_category(status) != FAILURE:
                return True
            again = status in _PASSING or status & 0xFF00 == _OUT_OF_RESOURCES
            _LOGGER.warning(
                "%s answered the report of event %d of %s with %04X%s",
                report.aet,
                report.event_type,
                report.instance_uid,
                status,
                ", it is tried again later" if again else "",
            )
            given_up = not again
        return given_up

    def _association_for(
        self, report: Report, link: _Link, batch: list[Report], tried: list[Association]
    ) -> Association | None:
        asking = self._asking.get(report.aet)
        candidates = [] if asking is None else [asking]
        candidates += self._open_with(report.aet)
        if link.association is not None:
            candidates.append(link.association)
        for association in candidates:
            if association not in tried and _carries(association, report.context):
                return association
        if not report.opens or link.opened:
            return None
        link.opened = True
        place = self._place(report.aet)
        if place is None:
            _LOGGER.info("%s is not known and has no association open: its reports wait", report.aet)
            return None
        link.association = self._open(report.aet, place, {each.context for each in batch})
        if link.association is not None and _carries(link.association, report.context):
            return link.association
        return None

    def _open_with(self, aet: str) -> list[Association]:
        return [
            association
            for association in self._ae.active_associations
            if association.is_established and str(association.remote["ae_title"]) == aet
        ]

    def _place(self, aet: str) -> Peer | None:
        return self._peers(aet) if callable(self._peers) else self._peers.get(aet)

    def _open(self, aet: str, place: Peer, contexts: set[str]) -> Association | None:
        tls = None if place.tls is None else (place.tls.client_context(), place.host)
        association = self._caller.associate(
            place.host,
            place.port,
            contexts=[build_context(context) for context in sorted(contexts)],
            ae_title=aet,
            ext_neg=[build_role(context, scp_role=True) for context in sorted(contexts)],
            tls_args=tls,
        )
        if association.is_established:
            for context in sorted(contexts):
                if not _carries(association, context):
                    _LOGGER.warning("%s does not take reports of %s from us as SCP", aet, context)
            return association
        _LOGGER.info("%s cannot be reached for its reports: %s", aet, association.failure)
        return None


class _Link:
    """The association that was opened for what is delivered now."""

    def __init__(self) -> None:
        self.association: Association | None = None
        self.opened = False

    def release(self) -> None:
        if self.association is not None and self.association.is_established:
            self.association.release()


def _carries(association: Association, context: str) -> bool:
    """Tell whether a report can go over an association: we are the SCP of its class there."""
    return association.is_established and any(
        accepted.abstract_syntax == context and accepted.as_scp for accepted in association.accepted_contexts
    )


def _send(association: Association, report: Report) -> int | None:
    """Send a report; return the status of the answer, None if there was none."""
    information = None if report.information is None else codec.decode(BytesIO(report.information), _STORED)
    try:
        answer, _ = association.send_n_event_report(
            information,
            report.event_type,
            report.sop_class_uid,
            report.instance_uid,
            meta_uid=report.context,
        )
    except (RuntimeError, ValueError) as error:
        # It ended between two looks at it.
        _LOGGER.debug("A report to %s was not sent: %s", report.aet, error)
        return None
    return int(answer.Status) if "Status" in answer else None
