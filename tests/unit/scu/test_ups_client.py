"""The UPS clients: workitems and subscriptions."""

from __future__ import annotations

from queue import Queue
from typing import TYPE_CHECKING

import pytest

from dulcimer import AE
from dulcimer.scp.reports import Peer
from dulcimer.scp.repository import MemoryRepository
from dulcimer.scp.ups import UpsService
from dulcimer.scu.errors import IllegalStep, Refusal
from dulcimer.scu.ups import UpsEvent, UpsSubscriber, UpsWorkitem, event_context
from dulcimer.services import ups as rules
from support.rt_plans import item
from support.services import Serving, serving
from support.workitems import code, new_workitem

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 20.0
ALL = (rules.PUSH, rules.PULL, rules.WATCH, rules.EVENT)


@pytest.fixture
def made() -> Iterator[Serving]:
    with serving(
        lambda reporter: [UpsService(MemoryRepository(), None, reporter, matches=lambda *_: True)]
    ) as found:
        yield found


def performed() -> object:
    return item(
        PerformedStationNameCodeSequence=[code()],
        PerformedProcedureStepStartDateTime="20261124101500",
        PerformedProcedureStepEndDateTime="20261124102500",
        PerformedWorkitemCodeSequence=[code()],
        OutputInformationSequence=[],
    )


def test_from_scheduled_to_completed(made: Serving) -> None:
    """Sections 3.2 to 3.6 of the rules, on the SCU's side."""
    association = made.associate(*ALL)
    workitem = UpsWorkitem.create(association, new_workitem())
    assert workitem.state == "SCHEDULED"
    transaction = workitem.claim()
    assert (workitem.state, workitem.transaction_uid) == ("IN PROGRESS", transaction)
    workitem.progress(50, "half")
    found = workitem.get()
    (progress,) = found.ProcedureStepProgressInformationSequence
    assert (progress.ProcedureStepProgress, progress.ProcedureStepProgressDescription) == (50, "half")
    assert "TransactionUID" not in found
    workitem.complete(performed())
    assert workitem.state == "COMPLETED"
    assert workitem.get("ProcedureStepState").ProcedureStepState == "COMPLETED"


def test_a_workitem_that_is_there_already(made: Serving) -> None:
    association = made.associate(*ALL)
    uid = UpsWorkitem.create(association, new_workitem()).uid
    workitem = UpsWorkitem(association, uid)
    workitem.claim("2.25.42")
    later = UpsWorkitem(association, uid, "2.25.42")
    later.progress(10)
    later.cancel(code("110526", "DCM", "Resource pre-empted"))
    assert later.get("ProcedureStepState").ProcedureStepState == "CANCELED"


def test_illegal_steps_are_not_sent(made: Serving) -> None:
    association = made.associate(*ALL)
    wrong = new_workitem()
    wrong.ProcedureStepState = "IN PROGRESS"
    with pytest.raises(IllegalStep):
        UpsWorkitem.create(association, wrong)
    workitem = UpsWorkitem.create(association, new_workitem())
    for illegal in (workitem.complete, workitem.cancel, workitem.progress):
        with pytest.raises(IllegalStep):
            illegal()
    with pytest.raises(IllegalStep, match="PatientName"):
        workitem.progress(change=item(PatientName="Other"))
    with pytest.raises(IllegalStep, match="Transaction UID"):
        workitem.get("TransactionUID")
    workitem.claim()
    with pytest.raises(IllegalStep, match="IN PROGRESS"):
        workitem.claim()
    with pytest.raises(IllegalStep, match="UnifiedProcedureStepPerformedProcedureSequence"):
        workitem.complete()
    workitem.complete(performed())
    for illegal in (workitem.complete, workitem.cancel, workitem.claim, workitem.request_cancel):
        with pytest.raises(IllegalStep):
            illegal()
    with pytest.raises(IllegalStep):
        workitem.progress(100)


def test_refusals_in_words(made: Serving) -> None:
    association = made.associate(*ALL)
    workitem = UpsWorkitem.create(association, new_workitem())
    workitem.claim()
    with pytest.raises(Refusal, match=r"C30[12]") as caught:
        UpsWorkitem(association, workitem.uid).claim()
    assert caught.value.meaning
    with pytest.raises(Refusal, match="C301"):
        UpsWorkitem(association, workitem.uid, "2.25.666").progress(5)
    with pytest.raises(Refusal, match="C307"):
        UpsWorkitem(association, "2.25.404").get()


def test_asking_for_a_cancellation(made: Serving) -> None:
    association = made.associate(*ALL)
    workitem = UpsWorkitem.create(association, new_workitem())
    workitem.request_cancel("patient left", contact="Quux", uri="mailto:quux@example.org")
    assert workitem.get("ProcedureStepState").ProcedureStepState == "CANCELED"


def test_events_on_the_same_association(made: Serving) -> None:
    """Section 3.7: subscribe, unsubscribe, and the events in between."""
    association = made.associate(*ALL)
    got: Queue[UpsEvent] = Queue()
    subscriber = UpsSubscriber(got.put, association)
    workitem = UpsWorkitem.create(association, new_workitem())
    subscriber.subscribe(workitem.uid, deletion_lock=True)
    assert got.get(timeout=SECONDS).information.ProcedureStepState == "SCHEDULED"
    workitem.claim()
    event = got.get(timeout=SECONDS)
    assert (event.uid, event.event_type) == (workitem.uid, 1)
    assert event.information.ProcedureStepState == "IN PROGRESS"
    workitem.progress(25)
    assert got.get(timeout=SECONDS).event_type == 3
    subscriber.unsubscribe(workitem.uid)
    workitem.progress(50)
    subscriber.subscribe(workitem.uid)
    # The first after the subscription is what the workitem is now: that of 50 % was not sent.
    assert got.get(timeout=SECONDS).event_type == 1


def test_events_on_another_association() -> None:
    got: Queue[UpsEvent] = Queue()
    listener = AE("SCU")
    listener.add_supported_context(event_context(), scu_role=True, scp_role=True)
    subscriber = UpsSubscriber(got.put)
    server = listener.start_server(("127.0.0.1", 0), block=False, evt_handlers=subscriber.handlers())
    peers = {"SCU": Peer("127.0.0.1", server.server_address[1])}
    with serving(lambda reporter: [UpsService(MemoryRepository(), None, reporter)], peers=peers) as made:
        association = made.associate(rules.PUSH, rules.PULL, rules.WATCH)
        UpsSubscriber(got.put, association).subscribe()
        workitem = UpsWorkitem.create(association, new_workitem())
        event = got.get(timeout=SECONDS)
        assert (event.uid, event.event_type) == (workitem.uid, 1)
        with pytest.raises(IllegalStep):
            subscriber.subscribe()
    server.shutdown()


def test_subscriptions_that_are_none(made: Serving) -> None:
    subscriber = UpsSubscriber(lambda _: None, made.associate(*ALL))
    with pytest.raises(IllegalStep):
        subscriber.suspend("2.25.1")
    with pytest.raises(IllegalStep):
        subscriber.subscribe("2.25.1", matching=item(WorklistLabel="X"))
    subscriber.subscribe(matching=item(WorklistLabel="X"))
    subscriber.suspend(rules.FILTERED_GLOBAL_SUBSCRIPTION)


def test_a_workitem_is_canceled_with_two_actions_and_no_n_set(made: Serving) -> None:
    """Section 3.6 of the rules."""
    association = made.associate(*ALL)
    workitem = UpsWorkitem.create(association, new_workitem())
    workitem.claim()
    workitem.cancel()
    found = workitem.get()
    assert found.ProcedureStepState == "CANCELED"
    assert found.ProcedureStepProgressInformationSequence[0].ProcedureStepCancellationDateTime
