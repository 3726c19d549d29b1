"""Storage commitment as SCP, over loopback: the three ways of its report, and what it does with requests."""

from __future__ import annotations

from contextlib import contextmanager
from queue import Empty, Queue
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import pytest

from dulcimer import AE, evt
from dulcimer.scp.reports import Peer
from dulcimer.scp.repository import MemoryRepository
from dulcimer.scp.storage_commitment import StorageCommitmentService
from dulcimer.services import storage_commitment as rules
from dulcimer.services.storage_commitment import Reference, Result
from support.services import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

CT = "1.2.840.10008.5.1.4.1.1.2"
SECONDS = 20.0
HELD = {"2.25.1": 0, "2.25.2": 0}


def knows(_: str, uid: str) -> int:
    return HELD.get(uid, rules.NO_SUCH_INSTANCE)


class Reports:
    """Takes reports as SCU."""

    def __init__(self) -> None:
        self.got: Queue[Result] = Queue()

    def take(self, event: Any) -> tuple[int, None]:
        assert event.request.AffectedSOPInstanceUID == rules.PUSH_MODEL_INSTANCE
        result = rules.read_report(event.event_information)
        assert event.event_type == result.event_type
        self.got.put(result)
        return 0x0000, None

    @property
    def handlers(self) -> list[Any]:
        return [(evt.EVT_N_EVENT_REPORT, self.take)]

    def next(self) -> Result:
        return self.got.get(timeout=SECONDS)


@contextmanager
def committing(
    repository: MemoryRepository | None = None, judge: Any = knows, **options: Any
) -> Iterator[Serving]:
    with serving(
        lambda reporter: [StorageCommitmentService(judge, reporter, repository, retrieve_aet="ARCHIVE")],
        **options,
    ) as made:
        yield made


def ask(association: Any, transaction: str, *uids: str, class_uid: str = rules.PUSH_MODEL) -> int:
    information = rules.information(transaction, [Reference(CT, uid) for uid in uids])
    status, _ = association.send_n_action(information, 1, rules.PUSH_MODEL, rules.PUSH_MODEL_INSTANCE)
    return int(status.Status)


def test_the_same_association() -> None:
    reports = Reports()
    with committing() as made:
        association = made.associate(rules.PUSH_MODEL, handlers=reports.handlers)
        assert ask(association, "2.25.100", "2.25.1", "2.25.3") == 0x0000
        result = reports.next()
    assert result.transaction_uid == "2.25.100"
    assert result.committed == ((CT, "2.25.1"),)
    assert result.failed == ((CT, "2.25.3", 0x0112),)


def test_the_answer_comes_before_the_report() -> None:
    order: Queue[str] = Queue()

    def received(event: Any) -> None:
        order.put(type(event.message).__name__)

    with committing() as made:
        reports = Reports()
        association = made.associate(
            rules.PUSH_MODEL, handlers=[*reports.handlers, (evt.EVT_DIMSE_RECV, received)]
        )
        for number in range(20):
            assert ask(association, f"2.25.10{number}", "2.25.1") == 0x0000
            reports.next()
            assert [order.get(timeout=SECONDS), order.get(timeout=SECONDS)] == [
                "N_ACTION_RSP",
                "N_EVENT_REPORT_RQ",
            ]


def test_a_later_association() -> None:
    reports = Reports()
    judged, may = Flag(), Flag()

    def slow(class_uid: str, uid: str) -> int:
        return knows(class_uid, uid) if may.wait(SECONDS) else 0x0110

    with committing(judge=slow, first_delay=1000.0, longest_delay=1000.0) as made:
        made.services[0].on("judged", lambda aet, result: judged.set())
        first = made.associate(rules.PUSH_MODEL)
        assert ask(first, "2.25.100", "2.25.1") == 0x0000
        first.release()
        may.set()
        assert judged.wait(SECONDS)
        made.associate(rules.PUSH_MODEL, handlers=reports.handlers)
        assert reports.next().committed == ((CT, "2.25.1"),)


def test_a_new_association_in_the_reverse_role() -> None:
    reports = Reports()
    ae = AE("SCU")
    ae.add_supported_context(rules.PUSH_MODEL, scu_role=True, scp_role=True)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=reports.handlers)
    place = Peer("127.0.0.1", server.server_address[1])
    may = Flag()

    def slow(class_uid: str, uid: str) -> int:
        return knows(class_uid, uid) if may.wait(SECONDS) else 0x0110

    with committing(judge=slow, peers={"SCU": place}) as made:
        association = made.associate(rules.PUSH_MODEL)
        assert ask(association, "2.25.100", "2.25.2") == 0x0000
        association.release()
        may.set()
        assert reports.next().committed == ((CT, "2.25.2"),)
    server.shutdown()


def test_what_was_answered_is_judged_after_a_restart() -> None:
    repository = MemoryRepository()
    reached, stay = Flag(), Flag()

    def stuck(*_: str) -> int:
        reached.set()
        stay.wait(SECONDS)
        raise OSError("the disk went away")

    with committing(repository, judge=stuck) as made:
        association = made.associate(rules.PUSH_MODEL)
        assert ask(association, "2.25.100", "2.25.1") == 0x0000
        assert ask(association, "2.25.101", "2.25.2") == 0x0000
        association.release()
        assert reached.wait(SECONDS)
        # What the first process had not judged when it ended.
        pending = {uid: each for uid, each in repository.all() if each.TransactionStatus == "PENDING"}
        stay.set()
    left = MemoryRepository()
    with left.transaction() as transaction:
        for uid, each in pending.items():
            transaction.put(uid, each)
    assert sorted(pending) == ["2.25.100", "2.25.101"]
    reports = Reports()
    with committing(left) as made:
        made.associate(rules.PUSH_MODEL, handlers=reports.handlers)
        found = {reports.next().transaction_uid for _ in range(2)}
    assert found == {"2.25.100", "2.25.101"}
    assert {each.TransactionStatus for _, each in left.all()} == {"DONE"}


def test_0131_and_a_repeated_request() -> None:
    reports = Reports()
    with committing() as made:
        association = made.associate(rules.PUSH_MODEL, handlers=reports.handlers)
        ask(association, "2.25.100", "2.25.1")
        first = reports.next()
        ask(association, "2.25.100", "2.25.1")
        assert reports.next() == first
        for _ in range(2):
            ask(association, "2.25.100", "2.25.2")
            assert [each.reason for each in reports.next().failed] == [0x0131]
        ask(association, "2.25.100", "2.25.1")
        assert reports.next() == first


def test_what_cannot_be_told_is_a_processing_failure() -> None:
    def fails(*_: str) -> int:
        raise RuntimeError("no index")

    reports = Reports()
    with committing(judge=fails) as made:
        association = made.associate(rules.PUSH_MODEL, handlers=reports.handlers)
        ask(association, "2.25.100", "2.25.1")
        assert [each.reason for each in reports.next().failed] == [0x0110]


@pytest.mark.parametrize(
    ("keyword", "status"), [("TransactionUID", 0x0120), ("ReferencedSOPSequence", 0x0120)]
)
def test_a_request_that_lacks_something_is_refused_and_not_kept(keyword: str, status: int) -> None:
    repository = MemoryRepository()
    with committing(repository) as made:
        association = made.associate(rules.PUSH_MODEL)
        information = rules.information("2.25.100", [Reference(CT, "2.25.1")])
        delattr(information, keyword)
        answer, _ = association.send_n_action(information, 1, rules.PUSH_MODEL, rules.PUSH_MODEL_INSTANCE)
        assert answer.Status == status
        assert association.is_established
    assert list(repository.all()) == []


def test_hooks() -> None:
    told: Queue[Any] = Queue()
    reports = Reports()
    with committing() as made:
        made.services[0].on("requested", lambda *arguments: told.put(arguments))
        made.services[0].on("judged", lambda aet, result: told.put((aet, len(result.committed))))
        association = made.associate(rules.PUSH_MODEL, handlers=reports.handlers)
        ask(association, "2.25.100", "2.25.1", "2.25.2")
        assert told.get(timeout=SECONDS) == ("2.25.100", "SCU", 2)
        assert told.get(timeout=SECONDS) == ("SCU", 2)
        reports.next()
    with pytest.raises(Empty):
        told.get_nowait()
