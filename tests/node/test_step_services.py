"""MPPS and UPS as SCP over loopback, with instances in memory and in SQLite."""

from __future__ import annotations

import random
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from queue import Empty, Queue
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any

import pytest
from pydicom.dataset import Dataset

from dulcimer import AE, evt
from dulcimer.node.adapters.database import Database
from dulcimer.node.adapters.instances import SqlRepository
from dulcimer.node.adapters.reports import SqlReportQueue
from dulcimer.node.adapters.steps import steps_in
from dulcimer.node.adapters.subscriptions import SqlSubscriptions
from dulcimer.scp.mpps import MppsService
from dulcimer.scp.reports import MemoryReportQueue, Report, Reporter
from dulcimer.scp.repository import MemoryRepository
from dulcimer.scp.service import Services
from dulcimer.scp.subscriptions import MemorySubscriptions
from dulcimer.scp.ups import UpsService
from dulcimer.services import mpps, ups
from dulcimer.services.matching import matches
from node.objects import completion, new_step
from support.workitems import LOCK, code, new_workitem, performed, progress, state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dulcimer import Association
    from dulcimer.scp.repository import Repository

MPPS = mpps.MODALITY_PERFORMED_PROCEDURE_STEP
RETRIEVE = mpps.MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE
NOTIFICATION = mpps.MODALITY_PERFORMED_PROCEDURE_STEP_NOTIFICATION
GLOBAL, FILTERED = ups.GLOBAL_SUBSCRIPTION, ups.FILTERED_GLOBAL_SUBSCRIPTION
SECONDS = 20.0
SUCCESS = 0x0000


class Site:
    """An application entity with both services."""

    def __init__(self, database: Database | None, **options: Any) -> None:
        self.ae = AE("SITE")
        self.ae.maximum_associations = 100
        self.queue = MemoryReportQueue() if database is None else SqlReportQueue(database)
        self.reporter = Reporter(self.ae, {"ELSEWHERE": None}, self.queue, first_delay=1000.0)
        self.steps: Repository = MemoryRepository() if database is None else steps_in(database)
        self.workitems: Repository = (
            MemoryRepository() if database is None else SqlRepository(database, "ups", ups.state_of)
        )
        self.subscriptions = MemorySubscriptions() if database is None else SqlSubscriptions(database)
        self.mpps = MppsService(self.steps, "standard", self.reporter, ("RIS",))
        self.ups = UpsService(
            self.workitems,
            self.subscriptions,
            None if options.pop("mute", False) else self.reporter,
            **{"matches": matches, **options},
        )
        services = Services([self.mpps, self.ups])
        services.add_to(self.ae)
        self.server = self.ae.start_server(
            ("127.0.0.1", 0),
            block=False,
            evt_handlers=[*services.handlers(), *self.reporter.handlers()],
        )

    def call(self, aet: str = "CT1") -> Caller:
        return Caller(self, aet)

    def close(self) -> None:
        self.server.shutdown()
        self.reporter.close()


class Caller:
    """A peer that talks to the site and takes its reports."""

    def __init__(self, site: Site, aet: str) -> None:
        self.got: Queue[tuple[str, int, Dataset]] = Queue()
        ae = AE(aet)
        for uid in (MPPS, RETRIEVE, NOTIFICATION, ups.PUSH, ups.PULL, ups.WATCH, ups.EVENT, ups.QUERY):
            ae.add_requested_context(uid)
        self.association: Association = ae.associate(
            "127.0.0.1", site.server.server_address[1], evt_handlers=[(evt.EVT_N_EVENT_REPORT, self.take)]
        )
        assert self.association.is_established

    def take(self, event: Any) -> tuple[int, None]:
        request = event.request
        assert str(request.AffectedSOPClassUID) in (ups.PUSH, NOTIFICATION)
        self.got.put((str(request.AffectedSOPInstanceUID), event.event_type, event.event_information))
        return SUCCESS, None

    def reports(self, count: int) -> list[tuple[int, str]]:
        """The next reports: event types and states."""
        got = [self.got.get(timeout=SECONDS) for _ in range(count)]
        return [(kind, str(information.get("ProcedureStepState", ""))) for _, kind, information in got]

    def nothing_came(self) -> bool:
        """Whether no report has come."""
        try:
            return not self.got.get_nowait()
        except Empty:
            return True

    def create(self, uid: str, dataset: Dataset | None = None, sop_class: str = ups.PUSH) -> int:
        return self.association.send_n_create(dataset or new_workitem(), sop_class, uid)[0].Status

    def set(self, uid: str, change: Dataset) -> int:
        return self.association.send_n_set(change, ups.PUSH, uid, meta_uid=ups.PULL)[0].Status

    def act(self, uid: str, kind: int, information: Dataset) -> int:
        context = ups.PULL if kind == 1 else ups.WATCH
        status, _ = self.association.send_n_action(information, kind, ups.PUSH, uid, meta_uid=context)
        return int(status.Status)

    def subscribe(self, uid: str, aet: str, lock: str = "FALSE", **keys: str) -> int:
        return self.act(uid, 3, receiver(aet, DeletionLock=lock, **keys))

    def close(self) -> None:
        self.association.release()


def receiver(aet: str, **values: str) -> Dataset:
    ds = Dataset()
    ds.ReceivingAE = aet
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


@pytest.fixture(params=["memory", "sql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database | None]:
    if request.param == "memory":
        yield None
        return
    made = Database(tmp_path / "index.sqlite", "OFF")
    yield made
    made.close()


@contextmanager
def open_site(database: Database | None, **options: Any) -> Iterator[tuple[Site, Caller]]:
    site = Site(database, **options)
    caller = site.call()
    try:
        yield site, caller
    finally:
        caller.close()
        site.close()


@pytest.fixture
def site(database: Database | None) -> Iterator[Site]:
    made = Site(database)
    yield made
    made.close()


@pytest.fixture
def caller(site: Site) -> Iterator[Caller]:
    made = site.call()
    yield made
    made.close()


def new_uid() -> str:
    return f"2.25.{random.getrandbits(120)}"


# ---- Modality Performed Procedure Step (section 2) ---------------------------------------------------


def test_2_6_notification_of_a_step(site: Site, caller: Caller) -> None:
    ris = site.call("RIS")
    uid = new_uid()
    assert caller.create(uid, new_step(), MPPS) == SUCCESS
    change = Dataset()
    change.PerformedProcedureStepDescription = "Head"
    assert caller.association.send_n_set(change, MPPS, uid)[0].Status == SUCCESS
    assert caller.association.send_n_set(completion(), MPPS, uid)[0].Status == SUCCESS
    assert site.mpps.delete(uid)
    assert not site.mpps.delete(uid)
    assert [kind for kind, _ in ris.reports(4)] == [1, 4, 2, 5]
    other = new_uid()
    last = completion()
    last.PerformedProcedureStepStatus = "DISCONTINUED"
    caller.create(other, new_step(), MPPS)
    caller.association.send_n_set(last, MPPS, other)
    assert [kind for kind, _ in ris.reports(2)] == [1, 3]
    ris.close()


def test_2_6_a_step_is_retrieved(caller: Caller) -> None:
    uid = new_uid()
    caller.create(uid, new_step(), MPPS)
    status, found = caller.association.send_n_get([0x00400252, 0x00181030], RETRIEVE, uid)
    assert status.Status == 0x0001
    assert [element.keyword for element in found] == ["PerformedProcedureStepStatus"]
    status, _ = caller.association.send_n_get([], RETRIEVE, new_uid())
    assert status.Status == 0x0112


def test_2_hooks_get_before_after_and_difference(site: Site, caller: Caller) -> None:
    told: list[tuple[str, Any, Any, Any]] = []
    for happening in ("created", "modified", "completed", "discontinued"):
        site.mpps.on(
            happening,
            lambda uid, before, after, difference, what=happening: told.append(
                (what, before, after, difference)
            ),
        )
    uid = new_uid()
    caller.create(uid, new_step(), MPPS)
    caller.association.send_n_set(completion(), MPPS, uid)
    assert [what for what, *_ in told] == ["created", "modified", "completed"]
    _, before, after, difference = told[1]
    assert before.PerformedProcedureStepStatus == "IN PROGRESS"
    assert after.PerformedProcedureStepStatus == "COMPLETED"
    assert difference == completion()
    assert told[0][1] is None


def test_2_a_refused_change_leaves_the_step_as_it_was(site: Site, caller: Caller) -> None:
    uid = new_uid()
    caller.create(uid, new_step(), MPPS)
    before = site.steps.get(uid)
    change = completion()
    del change.PerformedSeriesSequence
    assert caller.association.send_n_set(change, MPPS, uid)[0].Status == 0x0121
    assert caller.create(uid, new_step(), MPPS) == 0x0111
    assert site.steps.get(uid) == before


def test_2_eight_peers_at_once_lose_no_change(site: Site, caller: Caller) -> None:
    uid = new_uid()
    caller.create(uid, new_step(), MPPS)
    callers = [site.call(f"CT{number}") for number in range(8)]
    tags = [0x00111000 + number for number in range(0x10, 0x18)]
    together = Barrier(8)
    statuses: list[int] = []

    def work(at: int) -> None:
        together.wait()
        for number in range(10):
            change = Dataset()
            change.add_new(tags[at], "LO", str(number))
            statuses.append(callers[at].association.send_n_set(change, MPPS, uid)[0].Status)

    run_threads(work, 8)
    assert statuses == [SUCCESS] * 80
    stored = site.steps.get(uid)
    # Nobody says of a private attribute in Implicit VR what it is.
    assert [stored[tag].value for tag in tags] == [b"9 "] * 8
    for each in callers:
        each.close()


def run_threads(work: Any, count: int) -> None:
    threads = [Thread(target=work, args=(at,)) for at in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# ---- Unified Procedure Step (section 3) --------------------------------------------------------------


def test_3_from_scheduled_to_completed_with_a_subscriber(site: Site, caller: Caller) -> None:
    watcher = site.call("WATCHER")
    assert watcher.subscribe(GLOBAL, "WATCHER", "TRUE") == SUCCESS
    uid = new_uid()
    assert caller.create(uid) == SUCCESS
    assert caller.act(uid, 1, state("IN PROGRESS")) == SUCCESS
    assert caller.set(uid, progress("50")) == SUCCESS
    assert caller.set(uid, progress("60", "2.25.99")) == 0xC301
    assert caller.set(uid, performed()) == SUCCESS
    assert caller.act(uid, 1, state("COMPLETED")) == SUCCESS
    assert caller.act(uid, 1, state("COMPLETED")) == 0xB306
    assert caller.set(uid, progress("70")) == 0xC300
    assert watcher.reports(4) == [(1, "SCHEDULED"), (1, "IN PROGRESS"), (3, ""), (1, "COMPLETED")]
    status, found = watcher.association.send_n_get([], ups.PUSH, uid, meta_uid=ups.WATCH)
    assert (status.Status, found.ProcedureStepState) == (SUCCESS, "COMPLETED")
    assert "TransactionUID" not in found
    watcher.close()


def test_3_1_commands_name_the_push_class_in_any_context(caller: Caller) -> None:
    """Neither side rejects a message for the class it names; the client names Push of itself."""
    uid = new_uid()
    association = caller.association
    assert association.send_n_create(new_workitem(), ups.PUSH, uid, meta_uid=ups.PULL)[0].Status == SUCCESS
    for context in (ups.PUSH, ups.PULL, ups.WATCH, ups.QUERY, ups.EVENT):
        assert association.send_n_get([], ups.PUSH, uid, meta_uid=context)[0].Status == SUCCESS


def test_3_1_the_strict_level_keeps_operations_to_their_contexts(database: Database | None) -> None:
    with open_site(database, level="strict") as (_, caller):
        uid = new_uid()
        assert caller.create(uid) == SUCCESS
        status, _ = caller.association.send_n_set(progress(lock=""), ups.PUSH, uid, meta_uid=ups.WATCH)
        assert status.Status == 0x0211


def test_3_2_what_is_not_there(caller: Caller) -> None:
    uid = new_uid()
    assert caller.set(uid, progress()) == 0xC307
    assert caller.act(uid, 1, state("IN PROGRESS")) == 0xC307
    assert caller.act(uid, 2, Dataset()) == 0xC307
    assert caller.subscribe(uid, "CT1") == 0xC307
    assert caller.act(uid, 4, receiver("CT1")) == 0xC307
    status, _ = caller.association.send_n_get([], ups.PUSH, uid)
    assert status.Status == 0xC307
    assert caller.create(uid) == SUCCESS
    assert caller.create(uid) == 0x0111
    assert caller.act(uid, 6, receiver("CT1")) == 0x0123


def test_3_2_a_request_to_cancel(site: Site, caller: Caller) -> None:
    performer = site.call("PERFORMER")
    uid = new_uid()
    caller.create(uid)
    performer.act(uid, 1, state("IN PROGRESS"))
    assert caller.act(uid, 2, Dataset()) == 0xC312
    assert performer.subscribe(uid, "PERFORMER") == SUCCESS
    assert performer.reports(1) == [(1, "IN PROGRESS")]
    assert caller.act(uid, 2, Dataset()) == SUCCESS
    assert performer.reports(1) == [(2, "")]
    performer.act(uid, 1, state("CANCELED"))
    assert performer.reports(1) == [(1, "CANCELED")]
    assert caller.act(uid, 2, Dataset()) == 0xB304
    scheduled = new_uid()
    caller.create(scheduled)
    assert caller.act(scheduled, 2, Dataset()) == SUCCESS
    assert site.workitems.get(scheduled).ProcedureStepState == "CANCELED"
    performer.close()


def test_3_2_eight_peers_that_claim_at_once(site: Site, caller: Caller) -> None:
    uid = new_uid()
    caller.create(uid)
    callers = [site.call(f"WS{number}") for number in range(8)]
    together = Barrier(8)
    statuses: dict[str, int] = {}

    def claim(at: int) -> None:
        together.wait()
        statuses[f"2.25.{at + 1}"] = callers[at].act(uid, 1, state("IN PROGRESS", f"2.25.{at + 1}"))

    run_threads(claim, 8)
    winners = [lock for lock, status in statuses.items() if status == SUCCESS]
    assert len(winners) == 1
    assert set(statuses.values()) == {SUCCESS, 0xC301}
    assert site.workitems.get(uid).TransactionUID == winners[0]
    for each in callers:
        each.close()


def test_3_5_eight_peers_that_set_at_once_lose_nothing(site: Site, caller: Caller) -> None:
    uid = new_uid()
    caller.create(uid)
    callers = [site.call(f"WS{number}") for number in range(8)]
    together = Barrier(8)
    tags = [0x00111000 + number for number in range(0x10, 0x18)]

    def work(at: int) -> None:
        together.wait()
        for number in range(5):
            change = Dataset()
            change.add_new(tags[at], "LO", str(number))
            assert callers[at].set(uid, change) == SUCCESS

    run_threads(work, 8)
    stored = site.workitems.get(uid)
    assert [stored[tag].value for tag in tags] == [b"4 "] * 8
    for each in callers:
        each.close()


# ---- 3.7, subscriptions: Table CC.2.3-2 --------------------------------------------------------------

CC_2_3_2 = """
event                             | Not Subscribed | with lock         | without lock      | initial event
subscribe globally with lock      | with lock      | with lock         | without lock      | if new
subscribe globally without lock   | without lock   | with lock         | without lock      | never
subscribe with lock               | with lock      | with lock         | with lock         | always
subscribe without lock            | without lock   | without lock      | without lock      | always
unsubscribe                       | Not Subscribed | Not Subscribed    | Not Subscribed    | never
unsubscribe globally              | Not Subscribed | Not Subscribed    | Not Subscribed    | never
suspend                           | Not Subscribed | with lock         | without lock      | never
"""
ROWS = [[part.strip() for part in line.split("|")] for line in CC_2_3_2.strip().splitlines()]
_KINDS = {"Not Subscribed": None, "with lock": True, "without lock": False}


@pytest.mark.parametrize("before", ["Not Subscribed", "with lock", "without lock"])
@pytest.mark.parametrize("row", ROWS[1:], ids=lambda row: row[0])
def test_3_7_each_cell_of_the_subscription_table(
    site: Site, caller: Caller, row: list[str], before: str
) -> None:
    happening, *_, initial = row
    uid = new_uid()
    caller.create(uid)
    if _KINDS[before] is not None:
        site.subscriptions.put("CT1", uid, _KINDS[before])
    lock = "TRUE" if happening.endswith("with lock") else "FALSE"
    target = GLOBAL if "globally" in happening or happening == "suspend" else uid
    if happening.startswith("subscribe"):
        status = caller.subscribe(target, "CT1", lock)
    else:
        status = caller.act(target, 5 if happening == "suspend" else 4, receiver("CT1"))
    assert status == SUCCESS
    assert site.subscriptions.get("CT1", uid) is _KINDS[row[ROWS[0].index(before)]]
    if initial == "always" or (initial == "if new" and before == "Not Subscribed"):
        assert caller.reports(1) == [(1, "SCHEDULED")]
    else:
        assert (len(site.queue), caller.nothing_came()) == (0, True)


@pytest.mark.parametrize(("lock", "kind"), [("TRUE", True), ("FALSE", False)])
def test_3_7_a_workitem_created_under_a_global_subscription(
    site: Site, caller: Caller, lock: str, kind: bool
) -> None:
    assert caller.subscribe(GLOBAL, "CT1", lock) == SUCCESS
    uid = new_uid()
    caller.create(uid)
    assert site.subscriptions.get("CT1", uid) is kind
    assert caller.reports(1) == [(1, "SCHEDULED")]
    assert caller.act(GLOBAL, 5, receiver("CT1")) == SUCCESS
    later = new_uid()
    caller.create(later)
    assert site.subscriptions.get("CT1", later) is None
    assert site.subscriptions.get("CT1", uid) is kind


def test_3_7_a_filtered_subscription(site: Site, caller: Caller) -> None:
    assert caller.subscribe(FILTERED, "CT1") == 0x0120
    assert caller.subscribe(FILTERED, "CT1", WorklistLabel="READ*", PatientID="P?T-4711") == SUCCESS
    wanted, other = new_uid(), new_uid()
    caller.create(wanted)
    unwanted = new_workitem()
    unwanted.WorklistLabel = "PLANNING"
    caller.create(other, unwanted)
    assert site.subscriptions.get("CT1", wanted) is False
    assert site.subscriptions.get("CT1", other) is None
    assert caller.act(FILTERED, 4, receiver("CT1")) == SUCCESS
    assert site.subscriptions.get("CT1", wanted) is None


def test_3_7_what_subscribers_are_refused(site: Site, caller: Caller) -> None:
    uid = new_uid()
    caller.create(uid)
    assert caller.subscribe(uid, "NOBODY") == 0xC308
    assert caller.act(GLOBAL, 1, state("IN PROGRESS")) == 0xC314
    assert caller.act(GLOBAL, 2, Dataset()) == 0xC314
    assert caller.act(uid, 5, receiver("CT1")) == 0xC314
    assert caller.act(uid, 4, Dataset()) == 0x0120
    assert caller.subscribe(uid, "CT1", "PERHAPS") in (SUCCESS, 0x0106)


def test_3_7_events_that_are_not_supported(database: Database | None) -> None:
    with open_site(database, mute=True) as (_, caller):
        uid = new_uid()
        caller.create(uid)
        assert caller.subscribe(uid, "CT1") == 0xC315


def test_3_7_matching_that_is_not_supported(database: Database | None) -> None:
    with open_site(database, matches=None) as (_, caller):
        assert caller.subscribe(FILTERED, "CT1", WorklistLabel="READ*") == 0xC307
        identifier = Dataset()
        identifier.SOPInstanceUID = ""
        ((status, _),) = caller.association.send_c_find(identifier, ups.PULL)
        assert status.Status == 0x0122


def test_3_7_a_key_that_is_no_value(caller: Caller) -> None:
    caller.create(new_uid())
    identifier = Dataset()
    identifier.add_new(0x00404005, "DT", "yesterday")
    ((status, _),) = caller.association.send_c_find(identifier, ups.PULL)
    assert status.Status == 0xA900


def test_3_2_a_performer_that_does_not_cancel(database: Database | None) -> None:
    with open_site(database, may_cancel=lambda uid, workitem, action: False) as (site, caller):
        uid = new_uid()
        caller.create(uid)
        caller.act(uid, 1, state("IN PROGRESS"))
        assert caller.act(uid, 2, Dataset()) == 0xC313
        assert site.workitems.get(uid).ProcedureStepState == "IN PROGRESS"


def test_3_7_locks_that_are_not_granted(database: Database | None) -> None:
    with open_site(database, grant_locks=False) as (site, caller):
        uid = new_uid()
        caller.create(uid)
        assert caller.subscribe(uid, "CT1", "TRUE") == 0xB301
        assert site.subscriptions.get("CT1", uid) is False


def test_3_7_final_workitems_stay_until_no_lock_is_left(site: Site, caller: Caller) -> None:
    locked, free, young = new_uid(), new_uid(), new_uid()
    for uid in (locked, free, young):
        caller.create(uid)
    caller.subscribe(locked, "CT1", "TRUE")
    caller.subscribe(free, "CT1", "FALSE")
    for uid in (locked, free):
        caller.act(uid, 2, Dataset())
    assert site.ups.purge(datetime.now(UTC) - timedelta(hours=1)) == 0
    soon = datetime.now(UTC) + timedelta(hours=1)
    assert site.ups.purge(soon) == 1
    assert site.workitems.get(free) is None
    assert site.subscriptions.get("CT1", free) is None
    caller.act(locked, 4, receiver("CT1"))
    assert site.ups.purge(soon) == 1
    assert [uid for uid, _ in site.workitems.all()] == [young]


def test_3_7_the_scp_was_restarted(site: Site, caller: Caller) -> None:
    caller.subscribe(GLOBAL, "CT1")
    site.ups.status_changed("RESTARTED")
    uid, kind, information = caller.got.get(timeout=SECONDS)
    assert (uid, kind) == (GLOBAL, 4)
    assert information.SCPStatus == "RESTARTED"
    assert information.SubscriptionListStatus == "WARM START"
    assert information.UnifiedProcedureStepListStatus == "WARM START"


def test_3_7_queries(caller: Caller) -> None:
    uids = [new_uid() for _ in range(3)]
    for number, uid in enumerate(uids):
        workitem = new_workitem(f"Step {number}")
        workitem.ScheduledStationNameCodeSequence = [code(f"RR{number}", "99X", "Room")]
        workitem.ScheduledProcedureStepStartDateTime = f"202611240{number}0000"
        caller.create(uid, workitem)
    caller.act(uids[1], 1, state("IN PROGRESS", LOCK))

    def found(context: str = ups.PULL, **keys: Any) -> list[str]:
        identifier = Dataset()
        identifier.SOPInstanceUID = ""
        for keyword, value in keys.items():
            setattr(identifier, keyword, value)
        responses = list(caller.association.send_c_find(identifier, context))
        assert responses[-1][0].Status == SUCCESS
        assert all("TransactionUID" not in match for _, match in responses[:-1])
        return [str(match.SOPInstanceUID) for _, match in responses[:-1]]

    station = Dataset()
    station.CodeValue = "RR2"
    for context in (ups.PULL, ups.WATCH, ups.QUERY):
        assert found(context, ProcedureStepState="SCHEDULED") == [uids[0], uids[2]]
    assert found() == uids
    assert found(ProcedureStepLabel="Step ?") == uids
    assert found(ScheduledStationNameCodeSequence=[station]) == [uids[2]]
    assert found(ScheduledProcedureStepStartDateTime="20261124003000-20261124013000") == [uids[1]]
    assert found(PatientName="Quux*", SOPInstanceUID=[uids[0], uids[2]]) == [uids[0], uids[2]]


# ---- reports in the database -------------------------------------------------------------------------


def test_reports_survive_a_restart(tmp_path: Path) -> None:
    database = Database(tmp_path / "index.sqlite")
    site = Site(database)
    caller = site.call()
    uid = new_uid()
    caller.create(uid)
    site.subscriptions.put("LATER", uid, False)
    caller.act(uid, 1, state("IN PROGRESS"))
    caller.close()
    site.close()
    database.close()
    database = Database(tmp_path / "index.sqlite")
    site = Site(database)
    assert len(site.queue) == 1
    later = site.call("LATER")
    assert later.reports(1) == [(1, "IN PROGRESS")]
    later.close()
    site.close()
    assert len(site.queue) == 0
    database.close()


def test_the_order_of_the_queue(tmp_path: Path) -> None:
    database = Database(tmp_path / "index.sqlite")
    queue = SqlReportQueue(database)

    def report(aet: str, number: int) -> Report:
        return Report(aet, ups.PUSH, f"2.25.{number}", 1, b"", ups.EVENT, created=float(number))

    queue.add([report("A", 1), report("B", 2), report("A", 3)])
    assert len(queue) == 3
    assert [each.instance_uid for each in queue.of("A", 9)] == ["2.25.1", "2.25.3"]
    assert queue.first() == ("A", 1.0, 0)
    assert queue.first({"A"}) == ("B", 2.0, 0)
    queue.postpone("A", 10.0, 1)
    queue.add([report("A", 4)])
    assert queue.first() == ("B", 2.0, 0)
    queue.remove("B", [each.number for each in queue.of("B", 9)])
    assert queue.first() == ("A", 10.0, 1)
    queue.remove("A", [each.number for each in queue.of("A", 9)])
    assert queue.first() is None
    database.close()
