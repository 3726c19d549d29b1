"""Storage commitment against ``dulcimer serve``: three ways of delivery, restarts, other SCUs, kill -9."""

from __future__ import annotations

import random
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from pydicom.dataset import Dataset

from dulcimer import AE, build_context, evt
from dulcimer.services import storage_commitment as rules
from dulcimer.services.storage_commitment import Reference, Result
from node.objects import SECONDARY_CAPTURE, file_of, instance
from node.served import Served, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dulcimer import Association

COMMITMENT = rules.PUSH_MODEL
SECONDS = 30.0


class Reports:
    """Takes reports of storage commitment."""

    def __init__(self) -> None:
        self.got: Queue[Result] = Queue()

    def take(self, event: Any) -> tuple[int, None]:
        self.got.put(rules.read_report(event.event_information))
        return 0x0000, None

    @property
    def handlers(self) -> list[Any]:
        return [(evt.EVT_N_EVENT_REPORT, self.take)]

    def next(self, seconds: float = SECONDS) -> Result:
        return self.got.get(timeout=seconds)


def store(node: Served, folder: Path, *uids: str) -> None:
    for uid in uids:
        (folder / f"{uid}.dcm").write_bytes(file_of(instance(uid), uid))
    done = run("store", node.peer, *(str(folder / f"{uid}.dcm") for uid in uids))
    assert done.code == 0, done


def associate(node: Served, reports: Reports | None = None, aet: str = "SCU") -> Association:
    ae = AE(aet)
    association = ae.associate(
        *node.address,
        contexts=[build_context(COMMITMENT)],
        evt_handlers=reports.handlers if reports is not None else [],
    )
    assert association.is_established, association.failure
    return association


def ask(association: Association, transaction: str, *references: tuple[str, str]) -> int | None:
    information = rules.information(transaction, [Reference(*each) for each in references])
    status, _ = association.send_n_action(information, 1, COMMITMENT, rules.PUSH_MODEL_INSTANCE)
    return int(status.Status) if "Status" in status else None


def of(*uids: str, sop_class: str = SECONDARY_CAPTURE) -> list[tuple[str, str]]:
    return [(sop_class, uid) for uid in uids]


@contextmanager
def listening(reports: Reports, port: int = 0, aet: str = "SCU") -> Iterator[Any]:
    ae = AE(aet)
    ae.add_supported_context(COMMITMENT, scu_role=True, scp_role=True)
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=reports.handlers)
    yield server
    server.shutdown()


@pytest.mark.parametrize("durability", ["full", "file", "off"])
def test_the_same_association_and_every_reason(tmp_path: Path, durability: str) -> None:
    with Served(tmp_path / "data", "--durability", durability) as node:
        store(node, tmp_path, "2.25.1", "2.25.2", "2.25.3", "2.25.4")
        paths = {path.stem: path for path in node.objects()}
        paths["2.25.2"].unlink()
        with paths["2.25.3"].open("r+b") as file:
            file.truncate(200)
        reports = Reports()
        association = associate(node, reports)
        wanted = [
            *of("2.25.1", "2.25.2", "2.25.3", "2.25.404"),
            *of("2.25.4", sop_class="1.2.840.10008.5.1.4.1.1.2"),
            *of("2.25.5", sop_class="1.2.840.10008.1.1"),
        ]
        assert ask(association, "2.25.100", *wanted) == 0x0000
        result = reports.next()
        association.release()
    assert [each.instance_uid for each in result.committed] == ["2.25.1"]
    assert {each.instance_uid: each.reason for each in result.failed} == {
        "2.25.2": 0x0112,
        "2.25.3": 0x0110,
        "2.25.404": 0x0112,
        "2.25.4": 0x0119,
        "2.25.5": 0x0122,
    }


def test_0131_a_transaction_uid_that_was_used(tmp_path: Path) -> None:
    with Served(tmp_path / "data") as node:
        store(node, tmp_path, "2.25.1", "2.25.2")
        reports = Reports()
        association = associate(node, reports)
        assert ask(association, "2.25.100", *of("2.25.1")) == 0x0000
        assert not reports.next().failed
        assert ask(association, "2.25.100", *of("2.25.2")) == 0x0000
        assert [each.reason for each in reports.next().failed] == [0x0131]
        association.release()


def test_a_later_association_after_a_restart(tmp_path: Path) -> None:
    """What was answered Success is reported, whatever happened to the node in between."""
    data = tmp_path / "data"
    with Served(data) as node:
        store(node, tmp_path, "2.25.1")
        association = associate(node)
        # Without a handler the report is refused, or the association ends first: it stays in the queue.
        assert ask(association, "2.25.100", *of("2.25.1")) == 0x0000
        association.abort()
        node.kill()
    reports = Reports()
    with Served(data) as node:
        association = associate(node, reports)
        result = reports.next()
        association.release()
    assert (result.transaction_uid, [each.instance_uid for each in result.committed]) == (
        "2.25.100",
        ["2.25.1"],
    )


def test_a_new_association_in_the_reverse_role(tmp_path: Path) -> None:
    reports = Reports()
    with listening(reports) as server:
        place = f"SCU=127.0.0.1:{server.server_address[1]}"
        with Served(tmp_path / "data", "--report", place) as node:
            store(node, tmp_path, "2.25.1")
            association = associate(node)
            # Whose report it is on this association, nobody takes: see the next line.
            assert ask(association, "2.25.100", *of("2.25.1")) == 0x0000
            association.abort()
            result = reports.next()
    assert [each.instance_uid for each in result.committed] == ["2.25.1"]


def test_a_peer_that_was_away_gets_its_report_when_it_is_back(tmp_path: Path) -> None:
    reports = Reports()
    with listening(Reports()) as server:
        port = server.server_address[1]
    with Served(tmp_path / "data", "--report", f"SCU=127.0.0.1:{port}") as node:
        store(node, tmp_path, "2.25.1")
        association = associate(node)
        assert ask(association, "2.25.100", *of("2.25.1")) == 0x0000
        association.abort()
        with listening(reports, port):
            assert not reports.next().failed


@pytest.mark.interop
def test_pynetdicom_as_scu(tmp_path: Path) -> None:
    from pynetdicom import AE as TheirAE
    from pynetdicom import evt as their_evt

    got: Queue[tuple[int, Dataset]] = Queue()

    def take(event: Any) -> tuple[int, None]:
        got.put((event.event_type, event.event_information))
        return 0x0000, None

    with Served(tmp_path / "data") as node:
        store(node, tmp_path, "2.25.1")
        ae = TheirAE("THEIRS")
        ae.add_requested_context(COMMITMENT)
        association = ae.associate(*node.address, evt_handlers=[(their_evt.EVT_N_EVENT_REPORT, take)])
        assert association.is_established
        for number, uid in enumerate(("2.25.1", "2.25.404")):
            information = rules.information(f"2.25.10{number}", [Reference(SECONDARY_CAPTURE, uid)])
            status, _ = association.send_n_action(information, 1, COMMITMENT, rules.PUSH_MODEL_INSTANCE)
            assert status.Status == 0x0000
        found = [got.get(timeout=SECONDS) for _ in range(2)]
        association.release()
    assert [event_type for event_type, _ in found] == [1, 2]
    assert found[0][1].RetrieveAETitle == "DULCIMER"
    assert found[1][1].FailedSOPSequence[0].FailureReason == 0x0112


@pytest.mark.interop
def test_pynetdicom_as_scu_in_the_reverse_role(tmp_path: Path) -> None:
    from pynetdicom import AE as TheirAE
    from pynetdicom import evt as their_evt

    got: Queue[Dataset] = Queue()

    def take(event: Any) -> tuple[int, None]:
        got.put(event.event_information)
        return 0x0000, None

    theirs = TheirAE("THEIRS")
    theirs.add_supported_context(COMMITMENT, scu_role=True, scp_role=True)
    server = theirs.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(their_evt.EVT_N_EVENT_REPORT, take)]
    )
    place = f"THEIRS=127.0.0.1:{server.server_address[1]}"
    with Served(tmp_path / "data", "--report", place) as node:
        store(node, tmp_path, "2.25.1")
        association = associate(node, aet="THEIRS")
        assert ask(association, "2.25.100", *of("2.25.1")) == 0x0000
        association.abort()
        found = got.get(timeout=SECONDS)
    server.shutdown()
    assert found.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "2.25.1"


@pytest.mark.slow
def test_kill_9_loses_no_acknowledged_request(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Served(data) as node:
        store(node, tmp_path, "2.25.1", "2.25.2")
    chance = random.Random(4711)
    acknowledged: set[str] = set()
    reports = Reports()
    numbers = iter(range(1000, 9000))
    for _ in range(6):
        with Served(data) as node:
            threads = [
                Thread(target=_keep_asking, args=(node, numbers, acknowledged, reports, aet))
                for aet in ("SCU1", "SCU2", "SCU3")
            ]
            before = len(acknowledged)
            for thread in threads:
                thread.start()
            enough = before + chance.randint(5, 60)
            while len(acknowledged) < enough and any(thread.is_alive() for thread in threads):
                threads[0].join(0.005)
            node.kill()
            for thread in threads:
                thread.join(SECONDS)
    assert len(acknowledged) > 30
    reported: set[str] = set()
    with Served(data) as node:
        associations = [associate(node, reports, aet) for aet in ("SCU1", "SCU2", "SCU3")]
        while not acknowledged <= reported:
            try:
                result = reports.next()
            except Empty:
                break
            reported.add(result.transaction_uid)
            assert [each.instance_uid for each in result.committed] == ["2.25.1"]
            assert [each.instance_uid for each in result.failed] == ["2.25.404"]
        for association in associations:
            association.release()
    assert acknowledged - reported == set()


def _keep_asking(
    node: Served, numbers: Iterator[int], acknowledged: set[str], reports: Reports, aet: str
) -> None:
    association = associate(node, reports, aet)
    while association.is_established:
        transaction = f"2.25.{next(numbers)}"
        try:
            status = ask(association, transaction, *of("2.25.1", "2.25.404"))
        except RuntimeError:
            return
        if status == 0x0000:
            acknowledged.add(transaction)
