"""N-EVENT-REPORTs on their way: the same association, another one, a new one, later, or not at all."""

from __future__ import annotations

import logging
from queue import Queue
from typing import TYPE_CHECKING, Any

import pytest
from pydicom.dataset import Dataset

from dulcimer import AE, evt
from dulcimer.scp.reports import MemoryReportQueue, Peer, Report, Reporter

if TYPE_CHECKING:
    from collections.abc import Iterator

PUSH = "1.2.840.10008.5.1.4.34.6.1"
EVENT = "1.2.840.10008.5.1.4.34.6.4"
COMMITMENT = "1.2.840.10008.1.20.1"
COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
SECONDS = 20.0


class Listener:
    """A peer that takes N-EVENT-REPORTs."""

    def __init__(self, aet: str = "PEER", context: str = EVENT, port: int = 0) -> None:
        self.got: Queue[tuple[int, str, Dataset | None]] = Queue()
        self.statuses: list[int] = []
        self.associations = 0
        self._aet = aet
        ae = AE(aet)
        ae.add_supported_context(context, scu_role=True, scp_role=True)
        self.server = ae.start_server(
            ("127.0.0.1", port),
            block=False,
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, self.take), (evt.EVT_ESTABLISHED, self.established)],
        )

    @property
    def place(self) -> Peer:
        return Peer("127.0.0.1", self.server.server_address[1])

    def established(self, event: Any) -> None:
        self.associations += 1

    def take(self, event: Any) -> tuple[int, None]:
        information = event.event_information
        self.got.put((event.event_type, str(event.request.AffectedSOPClassUID), information))
        return (self.statuses.pop(0) if self.statuses else 0x0000), None

    def next(self) -> tuple[int, str, Dataset | None]:
        return self.got.get(timeout=SECONDS)


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.server.shutdown()


def state(text: str) -> Dataset:
    ds = Dataset()
    ds.ProcedureStepState = text
    return ds


def test_a_new_association_carries_reports_in_their_order(listener: Listener) -> None:
    reporter = Reporter(AE("US"), {"PEER": listener.place})
    for text in ("SCHEDULED", "IN PROGRESS", "COMPLETED"):
        reporter.send("PEER", PUSH, "2.25.1", 1, state(text), context=EVENT)
    got = [listener.next() for _ in range(3)]
    reporter.close()
    assert [(kind, uid, information.ProcedureStepState) for kind, uid, information in got] == [
        (1, PUSH, "SCHEDULED"),
        (1, PUSH, "IN PROGRESS"),
        (1, PUSH, "COMPLETED"),
    ]
    assert len(reporter.queue) == 0


def test_a_report_without_information(listener: Listener) -> None:
    reporter = Reporter(AE("US"), {"PEER": listener.place})
    reporter.send("PEER", PUSH, "2.25.1", 4, context=EVENT)
    kind, _, information = listener.next()
    reporter.close()
    assert (kind, len(information)) == (4, 0)


def test_what_follows_from_a_request_goes_over_its_association_after_the_answer() -> None:
    """Section 1.5 of the rules: N-EVENT-REPORT goes from the SCP to the SCU, here on the same association."""
    ae = AE("US")
    ae.add_supported_context(COMMITMENT)
    reporter = Reporter(ae)
    order: Queue[str] = Queue()

    def act(event: Any) -> tuple[int, None]:
        reporter.send("THEM", COMMITMENT, COMMITMENT_INSTANCE, 1, state("X"), association=event.assoc)
        return 0x0000, None

    def take(event: Any) -> tuple[int, None]:
        order.put("report")
        return 0x0000, None

    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_ACTION, act)])
    them = AE("THEM")
    them.add_requested_context(COMMITMENT)

    def dimse(event: Any) -> None:
        if event.message.__class__.__name__ == "N_ACTION_RSP":
            order.put("answer")

    association = them.associate(
        "127.0.0.1",
        server.server_address[1],
        evt_handlers=[(evt.EVT_N_EVENT_REPORT, take), (evt.EVT_DIMSE_RECV, dimse)],
    )
    for _ in range(20):
        status, _ = association.send_n_action(state("X"), 1, COMMITMENT, COMMITMENT_INSTANCE)
        assert status.Status == 0x0000
        assert [order.get(timeout=SECONDS), order.get(timeout=SECONDS)] == ["answer", "report"]
    association.release()
    reporter.close()
    server.shutdown()


def test_a_later_association_of_the_peer_carries_what_waits() -> None:
    ae = AE("US")
    ae.add_supported_context(COMMITMENT)
    reporter = Reporter(ae, first_delay=1000.0)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=reporter.handlers())
    reporter.send("THEM", COMMITMENT, COMMITMENT_INSTANCE, 1, state("X"), opens=False)
    got: Queue[int] = Queue()

    def take(event: Any) -> tuple[int, None]:
        got.put(event.event_type)
        return 0x0000, None

    them = AE("THEM")
    them.add_requested_context(COMMITMENT)
    association = them.associate(
        "127.0.0.1", server.server_address[1], evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)]
    )
    assert got.get(timeout=SECONDS) == 1
    association.release()
    reporter.close()
    server.shutdown()


def test_a_peer_that_comes_up_later_gets_its_reports() -> None:
    first = Listener()
    place = first.place
    first.server.shutdown()
    reporter = Reporter(AE("US"), {"PEER": place}, first_delay=0.05, longest_delay=0.1)
    reporter.send("PEER", PUSH, "2.25.1", 1, state("SCHEDULED"), context=EVENT)
    second = Listener(port=place.port)
    assert second.next()[0] == 1
    reporter.close()
    second.server.shutdown()


@pytest.mark.parametrize("status", [0x0110, 0x0213, 0xA700])
def test_a_passing_failure_is_tried_again(listener: Listener, status: int) -> None:
    listener.statuses = [status, 0x0000]
    reporter = Reporter(AE("US"), {"PEER": listener.place}, first_delay=0.01)
    reporter.send("PEER", PUSH, "2.25.1", 1, state("SCHEDULED"), context=EVENT)
    assert listener.next()[0] == listener.next()[0] == 1
    reporter.close()
    assert len(reporter.queue) == 0


def test_a_lasting_failure_is_not_tried_again(listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    listener.statuses = [0x0112]
    reporter = Reporter(AE("US"), {"PEER": listener.place})
    with caplog.at_level(logging.WARNING, "dulcimer.scp.reports"):
        reporter.send("PEER", PUSH, "2.25.1", 1, state("SCHEDULED"), context=EVENT)
        reporter.send("PEER", PUSH, "2.25.1", 1, state("CANCELED"), context=EVENT)
        assert [listener.next()[2].ProcedureStepState for _ in range(2)] == ["SCHEDULED", "CANCELED"]
        reporter.close()
    assert len(reporter.queue) == 0
    assert [record.getMessage() for record in caplog.records] == [
        "PEER answered the report of event 1 of 2.25.1 with 0112"
    ]


def test_what_is_too_old_is_given_up_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    queue = MemoryReportQueue()
    queue.add(Report("PEER", PUSH, f"2.25.{n}", 1, None, EVENT, created=0.0) for n in range(100))
    with caplog.at_level(logging.WARNING, "dulcimer.scp.reports"):
        reporter = Reporter(AE("US"), queue=queue, clock=lambda: 101.0, longest_age=100.0)
        while len(queue):
            reporter._workers[0].join(0.01)
        reporter.close()
    assert [record.getMessage() for record in caplog.records] == [
        "100 reports to PEER given up: not delivered within 100 s"
    ]


def test_one_that_cannot_be_reached_does_not_hold_up_the_others(listener: Listener) -> None:
    gone = Listener("GONE")
    place = gone.place
    gone.server.shutdown()
    reporter = Reporter(AE("US"), {"GONE": place, "PEER": listener.place}, workers=1, first_delay=1000.0)
    for aet in ("GONE", "PEER", "NOBODY", "PEER"):
        reporter.send(aet, PUSH, "2.25.1", 1, state("SCHEDULED"), context=EVENT)
    assert listener.next()[0] == listener.next()[0] == 1
    reporter.close()
    assert sorted(each.aet for aet in ("GONE", "PEER", "NOBODY") for each in reporter.queue.of(aet, 9)) == [
        "GONE",
        "NOBODY",
    ]


def test_threads_end(listener: Listener) -> None:
    reporter = Reporter(AE("US"), {"PEER": listener.place})
    reporter.send("PEER", PUSH, "2.25.1", 1, None, context=EVENT)
    listener.next()
    reporter.close()
    assert not any(worker.is_alive() for worker in reporter._workers)
    reporter.send("PEER", PUSH, "2.25.1", 1, None, context=EVENT)
    assert len(reporter.queue) == 1


class TestMemoryReportQueue:
    def report(self, aet: str, number: int) -> Report:
        return Report(aet, PUSH, f"2.25.{number}", 1, None, EVENT, created=float(number))

    def test_order(self) -> None:
        queue = MemoryReportQueue()
        queue.add([self.report("A", 1), self.report("B", 2), self.report("A", 3)])
        assert len(queue) == 3
        assert [each.instance_uid for each in queue.of("A", 9)] == ["2.25.1", "2.25.3"]
        assert queue.first().aet == "A"
        assert queue.first({"A"}).aet == "B"
        assert queue.first({"A", "B"}) is None
        queue.postpone("A", 10.0, 1)
        assert queue.first() == ("B", 2.0, 0)
        queue.remove("B", [each.number for each in queue.of("B", 9)])
        assert queue.first() == ("A", 10.0, 1)
        queue.add([self.report("A", 4)])
        assert queue.first() == ("A", 10.0, 1)
        queue.remove("A", [each.number for each in queue.of("A", 2)])
        assert [each.instance_uid for each in queue.of("A", 9)] == ["2.25.4"]
        queue.remove("A", [each.number for each in queue.of("A", 2)])
        assert queue.first() is None
        assert queue.of("A", 9) == []
