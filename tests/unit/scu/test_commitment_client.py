"""The storage commitment client: the three ways in which the report may come, with SCPs of both libraries."""

from __future__ import annotations

from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dulcimer import AE, evt
from dulcimer.errors import AssociationError
from dulcimer.scp.reports import Peer
from dulcimer.scp.storage_commitment import StorageCommitmentService
from dulcimer.scu.commitment import Outstanding, Target, commit
from dulcimer.scu.errors import IllegalStep, Refusal
from dulcimer.services import storage_commitment as rules
from support.real_files import shipped
from support.services import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

CT = "1.2.840.10008.5.1.4.1.1.2"
HELD = {"2.25.1", "2.25.2"}
WANTED = [(CT, "2.25.1"), (CT, "2.25.404")]
SECONDS = 20.0


def knows(_: str, uid: str) -> int:
    return 0 if uid in HELD else rules.NO_SUCH_INSTANCE


def free_port() -> int:
    from socket import socket

    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def check(result: rules.Result) -> None:
    assert result.committed == ((CT, "2.25.1"),)
    assert [(each.instance_uid, each.reason, each.words) for each in result.failed] == [
        ("2.25.404", 0x0112, "no such instance")
    ]


def test_the_same_association() -> None:
    with serving(lambda reporter: [StorageCommitmentService(knows, reporter)]) as made:
        association = made.associate(rules.PUSH_MODEL)
        check(commit(association, WANTED, timeout=SECONDS))
        # The association is as it was, and can be used again.
        check(commit(association, WANTED, timeout=SECONDS))


def test_an_association_of_its_own() -> None:
    with serving(lambda reporter: [StorageCommitmentService(knows, reporter)]) as made:
        check(commit(Target(AE("SCU"), *made.address), WANTED, timeout=SECONDS))


def test_a_later_association() -> None:
    may = Flag()

    def slow(class_uid: str, uid: str) -> int:
        return knows(class_uid, uid) if may.wait(SECONDS) else 0x0110

    with serving(lambda reporter: [StorageCommitmentService(slow, reporter)], first_delay=1000.0) as made:
        ended = Flag()
        made.services[0].on(
            "requested", lambda *_: Thread(target=lambda: (ended.wait(SECONDS), may.set())).start()
        )
        done: list[rules.Result] = []
        target = Target(AE("SCU"), *made.address)
        waiting = Thread(
            target=lambda: done.append(commit(target, WANTED, hold=0.0, pause=0.05, timeout=SECONDS))
        )
        waiting.start()
        ended.set()
        waiting.join(SECONDS)
    check(done[0])


def test_an_association_in_the_reverse_role() -> None:
    port = free_port()
    may = Flag()

    def slow(class_uid: str, uid: str) -> int:
        return knows(class_uid, uid) if may.wait(SECONDS) else 0x0110

    peers = {"SCU": Peer("127.0.0.1", port)}
    with serving(lambda reporter: [StorageCommitmentService(slow, reporter)], peers=peers) as made:
        ae = AE("SCU")
        ae.add_requested_context(rules.PUSH_MODEL)
        answered = Flag()
        association = ae.associate(
            *made.address, evt_handlers=[(evt.EVT_DIMSE_RECV, lambda event: answered.set())]
        )

        def leave() -> None:
            """What SCUs do that want no reports on the association of the request."""
            answered.wait(SECONDS)
            association.release()
            may.set()

        leaving = Thread(target=leave)
        leaving.start()
        check(commit(association, WANTED, listen=("127.0.0.1", port), timeout=SECONDS))
        leaving.join(SECONDS)


def test_nothing_to_commit() -> None:
    with (
        serving(lambda reporter: [StorageCommitmentService(knows, reporter)]) as made,
        pytest.raises(IllegalStep),
    ):
        commit(made.associate(rules.PUSH_MODEL), [])


def test_what_instances_may_be() -> None:
    file = next(each for each in shipped() if each.name == "CT_small.dcm")
    dataset = dcmread(file, stop_before_pixels=True)
    uid = str(dataset.SOPInstanceUID)
    with serving(lambda reporter: [StorageCommitmentService(lambda *_: 0, reporter)]) as made:
        association = made.associate(rules.PUSH_MODEL)
        result = commit(association, [file, str(file), dataset, (CT, uid), (CT, "2.25.1")], timeout=SECONDS)
    assert result.committed == ((CT, uid), (CT, "2.25.1"))


def test_no_report_in_time() -> None:
    may = Flag()
    with serving(
        lambda reporter: [StorageCommitmentService(lambda *_: int(not may.wait(SECONDS)), reporter)]
    ) as made:
        association = made.associate(rules.PUSH_MODEL)
        with pytest.raises(Outstanding) as caught:
            commit(association, WANTED, timeout=0.05, transaction_uid="2.25.77")
        assert caught.value.transaction_uid == "2.25.77"
        may.set()


def test_nobody_there() -> None:
    with pytest.raises(AssociationError):
        commit(Target(AE("SCU"), "127.0.0.1", free_port()), WANTED)


def test_a_report_that_nobody_waits_for_holds_up_no_other() -> None:
    may = Flag()

    def slow(class_uid: str, uid: str) -> int:
        return knows(class_uid, uid) if may.wait(SECONDS) else 0x0110

    with serving(lambda reporter: [StorageCommitmentService(slow, reporter)]) as made:
        association = made.associate(rules.PUSH_MODEL)
        with pytest.raises(Outstanding):
            commit(association, WANTED, timeout=0.05)
        made.services[0].on("requested", lambda *_: may.set())
        check(commit(association, WANTED, timeout=SECONDS))


def test_two_programs_with_one_ae_title() -> None:
    may = Flag()

    def slow(class_uid: str, uid: str) -> int:
        return knows(class_uid, uid) if may.wait(SECONDS) else 0x0110

    with serving(lambda reporter: [StorageCommitmentService(slow, reporter)]) as made:
        asked: list[int] = []

        def count(*_: object) -> None:
            asked.append(1)
            if len(asked) == 2:
                may.set()

        made.services[0].on("requested", count)
        associations = [made.associate(rules.PUSH_MODEL) for _ in range(2)]
        found: list[rules.Result] = []
        threads = [
            Thread(target=lambda each=each: found.append(commit(each, WANTED, timeout=SECONDS)))
            for each in associations
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
    assert len(found) == 2
    for result in found:
        check(result)


# -- an SCP that is not ours


class Theirs:
    """pynetdicom as the SCP of storage commitment."""

    def __init__(self, *, status: int = 0x0000, names: slice = slice(None)) -> None:
        from pynetdicom import AE as TheirAE
        from pynetdicom import evt as their_evt

        self._status = status
        self._names = names
        self._queue: list[tuple[Any, Dataset]] = []
        self._wake = Flag()
        self.statuses: list[int] = []
        ae = TheirAE("THEIRS")
        ae.add_supported_context(rules.PUSH_MODEL)
        self.server = ae.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(their_evt.EVT_N_ACTION, self.act)]
        )
        self.thread = Thread(target=self.deliver, daemon=True)
        self.thread.start()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.server.server_address[:2]
        return str(host), int(port)

    def act(self, event: Any) -> tuple[int, None]:
        if self._status == 0x0000:
            self._queue.append((event.assoc, event.action_information))
            self._wake.set()
        return self._status, None

    def deliver(self) -> None:
        if not self._wake.wait(SECONDS):
            return
        association, information = self._queue[0]
        report = Dataset()
        report.TransactionUID = information.TransactionUID
        report.ReferencedSOPSequence = list(information.ReferencedSOPSequence)[self._names]
        status, _ = association.send_n_event_report(report, 1, rules.PUSH_MODEL, rules.PUSH_MODEL_INSTANCE)
        self.statuses.append(status.Status)


@pytest.fixture
def theirs(request: pytest.FixtureRequest) -> Iterator[Theirs]:
    found = Theirs(**getattr(request, "param", {}))
    yield found
    found.server.shutdown()


@pytest.mark.interop
def test_pynetdicom_as_scp(theirs: Theirs) -> None:
    result = commit(Target(AE("SCU"), *theirs.address), WANTED, timeout=SECONDS)
    assert (result.committed, result.failed) == (tuple(WANTED), ())
    theirs.thread.join(SECONDS)
    assert theirs.statuses == [0x0000]


@pytest.mark.interop
@pytest.mark.parametrize("theirs", [{"names": slice(1)}], indirect=True)
def test_what_the_report_does_not_name_has_failed(theirs: Theirs) -> None:
    result = commit(Target(AE("SCU"), *theirs.address), WANTED, timeout=SECONDS)
    assert result.committed == (WANTED[0],)
    assert [(each.instance_uid, each.reason) for each in result.failed] == [("2.25.404", 0x0110)]


@pytest.mark.interop
@pytest.mark.parametrize("theirs", [{"status": 0x0213}], indirect=True)
def test_pynetdicom_refuses(theirs: Theirs) -> None:
    with pytest.raises(Refusal, match="0213 Resource limitation"):
        commit(Target(AE("SCU"), *theirs.address), WANTED, timeout=SECONDS)
