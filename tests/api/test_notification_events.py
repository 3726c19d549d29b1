"""What handlers of notification events hear, on associations over loopback."""

from __future__ import annotations

import logging
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian

from api.peers import PATIENCE, Network, RawPeer, eventually, flags, message
from dulcimer import _config, evt
from dulcimer.dimse_messages import C_ECHO_RQ, C_ECHO_RSP, C_STORE_RQ, N_SET_RQ, N_SET_RSP
from dulcimer.dimse_primitives import C_ECHO, C_STORE
from dulcimer.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RQ, A_RELEASE_RP, A_RELEASE_RQ, P_DATA_TF
from dulcimer.pdu_primitives import A_ABORT, A_ASSOCIATE, A_P_ABORT, A_RELEASE
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import Abort, ReleaseRP, ReleaseRQ

VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MPPS = "1.2.840.10008.3.1.2.3.3"

NOTIFICATIONS = [
    event
    for event in (getattr(evt, name) for name in dir(evt) if name.startswith("EVT_"))
    if event.is_notification
]
PDUS = (evt.EVT_DATA_RECV, evt.EVT_DATA_SENT, evt.EVT_PDU_RECV, evt.EVT_PDU_SENT)


class Ear:
    """Keeps the events that it is told of."""

    def __init__(self, *events: Any) -> None:
        self.heard: list[evt.Event] = []
        self.handlers = [(event, self.note) for event in events]

    def note(self, event: evt.Event) -> None:
        self.heard.append(event)

    def of(self, event: Any) -> list[evt.Event]:
        return [heard for heard in self.heard if heard.event is event]

    def data(self, event: Any) -> bytes:
        return b"".join(heard.data for heard in self.of(event))

    def path(self) -> list[str]:
        """Name the states gone through, and check that each transition begins where the last one ended."""
        states: list[str] = []
        for heard in self.of(evt.EVT_FSM_TRANSITION):
            assert not states or states[-1] == heard.current_state
            states = states or [heard.current_state]
            states.append(heard.next_state)
        return states

    def actions(self) -> list[str]:
        return [heard.action for heard in self.of(evt.EVT_FSM_TRANSITION)]

    def is_over(self) -> bool:
        return eventually(lambda: bool(self.of(evt.EVT_CONN_CLOSE)))


def instance(size: int = 0) -> Dataset:
    ct = Dataset()
    ct.file_meta = FileMetaDataset()
    ct.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    ct.SOPClassUID = CT_IMAGE
    ct.SOPInstanceUID = "1.2.3.4"
    ct.add_new("PixelData", "OW", bytes(size))
    return ct


def file_of(folder: Path, size: int) -> Path:
    path = folder / "ct.dcm"
    instance(size).save_as(path, enforce_file_format=True)
    return path


def answer_all() -> list[tuple[Any, Callable[..., Any]]]:
    step = Dataset()
    step.PerformedProcedureStepStatus = "COMPLETED"
    return [(evt.EVT_C_STORE, lambda event: 0), (evt.EVT_N_SET, lambda event: (0, step))]


@pytest.mark.parametrize("length", [16382, 256, 0])
def test_every_pdu_is_told_of_byte_for_byte(net: Network, length: int) -> None:
    server_ear, client_ear = Ear(*NOTIFICATIONS), Ear(*NOTIFICATIONS)
    server = net.serve(
        [*server_ear.handlers, *answer_all()], [VERIFICATION, CT_IMAGE, MPPS], maximum_pdu_size=length
    )
    assoc = net.associate(server, [VERIFICATION, CT_IMAGE, MPPS], client_ear.handlers, max_pdu=length)
    assert assoc.send_c_echo().Status == 0
    assert assoc.send_c_store(instance(300_000)).Status == 0
    assert assoc.send_n_set(instance(), MPPS, "1.2.3")[0].Status == 0
    assoc.release()
    assert server_ear.is_over() and client_ear.is_over()
    for sender, receiver in ((client_ear, server_ear), (server_ear, client_ear)):
        sent, received = sender.of(evt.EVT_DATA_SENT), receiver.of(evt.EVT_DATA_RECV)
        assert [event.data for event in sent] == [event.data for event in received]
        for ear, data, pdu in (
            (sender, evt.EVT_DATA_SENT, evt.EVT_PDU_SENT),
            (receiver, evt.EVT_DATA_RECV, evt.EVT_PDU_RECV),
        ):
            assert [event.pdu.encode() for event in ear.of(pdu)] == [event.data for event in ear.of(data)]
    kinds = [type(event.pdu) for event in client_ear.of(evt.EVT_PDU_SENT)]
    assert kinds[0] is A_ASSOCIATE_RQ and kinds[-1] is A_RELEASE_RQ and set(kinds[1:-1]) == {P_DATA_TF}
    kinds = [type(event.pdu) for event in client_ear.of(evt.EVT_PDU_RECV)]
    assert kinds[0] is A_ASSOCIATE_AC and kinds[-1] is A_RELEASE_RP and set(kinds[1:-1]) == {P_DATA_TF}
    assert all(type(event.data) is bytes for event in client_ear.of(evt.EVT_DATA_SENT))


def test_the_bytes_are_those_of_the_connection(net: Network) -> None:
    ear = Ear(*PDUS)
    server = net.serve([*ear.handlers, *answer_all()], [CT_IMAGE])
    peer = net.connect(server)
    peer.request(CT_IMAGE)
    request = message(
        {
            e.COMMAND_FIELD: m.C_STORE_RQ,
            e.MESSAGE_ID: 1,
            e.AFFECTED_SOP_CLASS_UID: CT_IMAGE,
            e.AFFECTED_SOP_INSTANCE_UID: "1.2.3",
            e.PRIORITY: 0,
        },
        bytes(1000),
    )
    for start in range(0, len(request), 100):
        peer.send(request[start : start + 100])
    assert peer.read_message()[0][e.STATUS] == 0
    peer.send(ReleaseRQ())
    assert peer.read() == ReleaseRP()
    assert eventually(lambda: len(ear.of(evt.EVT_DATA_SENT)) == 3)
    assert ear.data(evt.EVT_DATA_RECV)[-len(request) - 10 :] == request + codec.encode(ReleaseRQ())


def test_a_pdu_longer_than_the_receive_buffer(net: Network) -> None:
    ear = Ear(*PDUS)
    server = net.serve([*ear.handlers, *answer_all()], [CT_IMAGE], maximum_pdu_size=0)
    peer = net.connect(server)
    peer.request(CT_IMAGE)
    request = message(
        {
            e.COMMAND_FIELD: m.C_STORE_RQ,
            e.MESSAGE_ID: 1,
            e.AFFECTED_SOP_CLASS_UID: CT_IMAGE,
            e.AFFECTED_SOP_INSTANCE_UID: "1.2.3",
            e.PRIORITY: 0,
        },
        bytes(range(256)) * 8192,
    )
    peer.send(request)
    assert peer.read_message()[0][e.STATUS] == 0
    _, command, data = ear.of(evt.EVT_PDU_RECV)
    assert command.pdu.encode() + data.pdu.encode() == request
    (value,) = data.pdu.presentation_data_value_items
    assert value.message_control_header_byte == "00000010" and len(value.data) == 1 + 256 * 8192


def test_messages(net: Network) -> None:
    events = (evt.EVT_DIMSE_RECV, evt.EVT_DIMSE_SENT)
    server_ear, client_ear = Ear(*events), Ear(*events)
    server = net.serve([*server_ear.handlers, *answer_all()], [VERIFICATION, CT_IMAGE, MPPS])
    assoc = net.associate(server, [VERIFICATION, CT_IMAGE, MPPS], client_ear.handlers)
    assoc.send_c_echo(msg_id=5)
    assoc.send_c_store(instance(1000), msg_id=6)
    step = Dataset()
    step.PerformedProcedureStepStatus = "COMPLETED"
    assoc.send_n_set(step, MPPS, "1.2.3", msg_id=7)
    requests = [event.message for event in client_ear.of(evt.EVT_DIMSE_SENT)]
    assert [type(request) for request in requests] == [C_ECHO_RQ, C_STORE_RQ, N_SET_RQ]
    assert [request.context_id for request in requests] == [1, 3, 5]
    assert [request.command_set.MessageID for request in requests] == [5, 6, 7]
    assert isinstance(requests[0].message_to_primitive(), C_ECHO)
    store = requests[1].message_to_primitive()
    assert isinstance(store, C_STORE) and store.AffectedSOPInstanceUID == "1.2.3.4"
    assert store.DataSet.getvalue() == requests[1].data_set.getvalue() != b""
    assert requests[0].data_set.getvalue() == b""
    assert requests[0].encoded_command_set.getvalue()[:4] == bytes(4)
    received = [event.message for event in server_ear.of(evt.EVT_DIMSE_RECV)]
    for one, other in zip(requests, received, strict=True):
        assert type(one) is type(other)
        assert one.command_set == other.command_set
        assert one.data_set.getvalue() == other.data_set.getvalue()
    answers = [event.message for event in client_ear.of(evt.EVT_DIMSE_RECV)]
    assert isinstance(answers[0], C_ECHO_RSP) and isinstance(answers[2], N_SET_RSP)
    assert [answer.command_set.Status for answer in answers] == [0, 0, 0]
    assert answers[2].data_set.getvalue() == requests[2].data_set.getvalue()


def test_data_sets_that_go_from_and_to_files(net: Network, tmp_path: Path) -> None:
    ears = Ear(evt.EVT_DIMSE_RECV), Ear(evt.EVT_DIMSE_SENT)
    stored = tmp_path / "stored.dcm"
    handlers = [*ears[0].handlers, (evt.EVT_C_STORE_OPEN, lambda event: stored), *answer_all()]
    server = net.serve(handlers, [CT_IMAGE])
    assoc = net.associate(server, [CT_IMAGE], ears[1].handlers)
    assert assoc.send_c_store(file_of(tmp_path, 100_000)).Status == 0
    for ear in ears:
        told = ear.heard[0].message
        assert isinstance(told, C_STORE_RQ) and told.has_data_set
        assert told.command_set.AffectedSOPInstanceUID == "1.2.3.4"
    assert ears[0].heard[0].message.data_set.getvalue() == b""
    assert stored.exists()


def test_the_life_of_an_association(net: Network) -> None:
    server_ear, client_ear = Ear(*NOTIFICATIONS), Ear(*NOTIFICATIONS)
    server = net.serve(server_ear.handlers, [VERIFICATION])
    assoc = net.associate(server, [VERIFICATION], client_ear.handlers)
    assoc.send_c_echo()
    assoc.release()
    assert server_ear.is_over() and client_ear.is_over()
    assert client_ear.path() == ["Sta1", "Sta4", "Sta5", "Sta6", "Sta6", "Sta6", "Sta7", "Sta1"]
    assert client_ear.actions() == ["AE-1", "AE-2", "AE-3", "DT-1", "DT-2", "AR-1", "AR-3"]
    assert server_ear.path() == ["Sta1", "Sta2", "Sta3", "Sta6", "Sta6", "Sta6", "Sta8", "Sta13", "Sta1"]
    assert server_ear.actions() == ["AE-5", "AE-6", "AE-7", "DT-2", "DT-1", "AR-2", "AR-4", "AR-5"]
    events = [heard.fsm_event for heard in server_ear.of(evt.EVT_FSM_TRANSITION)]
    assert events == ["Evt5", "Evt6", "Evt7", "Evt10", "Evt9", "Evt12", "Evt14", "Evt17"]
    names = [heard.event.name for heard in server_ear.heard]
    for earlier, later in (
        ("EVT_CONN_OPEN", "EVT_DATA_RECV"),
        ("EVT_DATA_RECV", "EVT_PDU_RECV"),
        ("EVT_PDU_RECV", "EVT_ACSE_RECV"),
        ("EVT_ACSE_RECV", "EVT_REQUESTED"),
        ("EVT_REQUESTED", "EVT_ACSE_SENT"),
        ("EVT_ACSE_SENT", "EVT_DATA_SENT"),
        ("EVT_DATA_SENT", "EVT_PDU_SENT"),
        ("EVT_PDU_SENT", "EVT_ACCEPTED"),
        ("EVT_ACCEPTED", "EVT_ESTABLISHED"),
        ("EVT_ESTABLISHED", "EVT_DIMSE_RECV"),
        ("EVT_DIMSE_RECV", "EVT_DIMSE_SENT"),
        ("EVT_DIMSE_SENT", "EVT_RELEASED"),
        ("EVT_RELEASED", "EVT_CONN_CLOSE"),
    ):
        assert names.index(earlier) < names.index(later)
    sent = [event.primitive for event in server_ear.of(evt.EVT_ACSE_SENT)]
    received = [event.primitive for event in server_ear.of(evt.EVT_ACSE_RECV)]
    assert [type(primitive) for primitive in sent] == [A_ASSOCIATE, A_RELEASE]
    assert [type(primitive) for primitive in received] == [A_ASSOCIATE, A_RELEASE]
    assert (sent[1].result, received[1].result) == ("affirmative", None)
    (context,) = sent[0].presentation_context_definition_results_list
    assert (context.context_id, context.abstract_syntax, context.result) == (1, VERIFICATION, 0)
    assert all(heard.assoc is assoc and heard.timestamp for heard in client_ear.heard)
    assert client_ear.of(evt.EVT_CONN_OPEN)[0].address == server.server_address[:2]


def test_events_come_before_the_handler_of_what_they_tell_of(net: Network) -> None:
    names: list[str] = []

    def note(event: evt.Event) -> int:
        names.append(event.event.name)
        return 0

    received = (evt.EVT_DATA_RECV, evt.EVT_PDU_RECV, evt.EVT_DIMSE_RECV)
    server = net.serve([(event, note) for event in received], [VERIFICATION])
    assoc = net.associate(server, [VERIFICATION])
    server.bind(evt.EVT_C_ECHO, note)
    names.clear()
    assoc.send_c_echo()
    assert names == ["EVT_DATA_RECV", "EVT_PDU_RECV", "EVT_DIMSE_RECV", "EVT_C_ECHO"]


def test_a_release_collision(net: Network) -> None:
    ear = Ear(*NOTIFICATIONS)

    def collide(peer: RawPeer) -> None:
        peer.accept()
        assert peer.read() == ReleaseRQ()
        peer.send(ReleaseRQ())
        assert peer.read() == ReleaseRP()
        peer.send(ReleaseRP())
        assert peer.read_pdu() == (0, b"")

    assoc = net.associate(net.listen(collide), [VERIFICATION], ear.handlers)
    assoc.release()
    assert flags(assoc) == {"is_released": True}
    assert ear.actions()[-4:] == ["AR-1", "AR-8", "AR-9", "AR-3"]
    assert ear.path()[-5:] == ["Sta6", "Sta7", "Sta9", "Sta11", "Sta1"]
    results = [event.primitive.result for event in ear.of(evt.EVT_ACSE_RECV)[1:]]
    assert results == [None, "affirmative"]
    assert [event.primitive.result for event in ear.of(evt.EVT_ACSE_SENT)[1:]] == [None, "affirmative"]


@pytest.mark.parametrize("source", [0, 2])
def test_an_abort_by_the_peer(net: Network, source: int) -> None:
    ear = Ear(*NOTIFICATIONS)
    server = net.serve(ear.handlers, [VERIFICATION])
    peer = net.connect(server)
    peer.request(VERIFICATION)
    peer.send(Abort(source, 2 if source else 0))
    assert ear.is_over()
    pdu = ear.of(evt.EVT_PDU_RECV)[-1].pdu
    assert isinstance(pdu, A_ABORT_RQ) and pdu.source == source
    primitive = ear.of(evt.EVT_ACSE_RECV)[-1].primitive
    if source:
        assert isinstance(primitive, A_P_ABORT) and primitive.provider_reason == 2
    else:
        assert isinstance(primitive, A_ABORT) and primitive.abort_source == 0
    assert ear.actions()[-1] == "AA-3"
    assert len(ear.of(evt.EVT_ABORTED)) == 1


def test_a_refused_connection(net: Network) -> None:
    ear = Ear(*NOTIFICATIONS)
    server = net.serve([], [VERIFICATION])
    port = server.server_address[1]
    server.shutdown()
    assoc = net.associate(port, [VERIFICATION], ear.handlers)
    assert flags(assoc) == {"is_aborted": True}
    assert [heard.event.name for heard in ear.heard] == [
        "EVT_ACSE_SENT",
        "EVT_REQUESTED",
        "EVT_FSM_TRANSITION",
        "EVT_FSM_TRANSITION",
        "EVT_ACSE_RECV",
        "EVT_ABORTED",
    ]
    assert ear.actions() == ["AE-1", "AA-4"]
    request = ear.heard[0].primitive
    assert request.called_presentation_address.port == port


def test_handlers_come_and_go_while_an_association_is_used(net: Network) -> None:
    server = net.serve([], [VERIFICATION])
    assoc = net.associate(server, [VERIFICATION])
    (accepted,) = server.active_associations
    ears = Ear(*PDUS, evt.EVT_FSM_TRANSITION), Ear(*PDUS, evt.EVT_FSM_TRANSITION)
    assoc.send_c_echo()
    for bound, ear in ((assoc, ears[0]), (server, ears[1])):
        for event, handler in ear.handlers:
            bound.bind(event, handler)
    assoc.send_c_echo()
    for ear in ears:
        assert eventually(lambda ear=ear: len(ear.of(evt.EVT_FSM_TRANSITION)) == 2)
        assert sorted(ear.actions()) == ["DT-1", "DT-2"]
        assert [len(ear.of(event)) for event in PDUS] == [1, 1, 1, 1]
        assert {type(heard.pdu) for heard in ear.of(evt.EVT_PDU_RECV)} == {P_DATA_TF}
    for bound, ear in ((assoc, ears[0]), (server, ears[1])):
        for event, handler in ear.handlers:
            bound.unbind(event, handler)
    counts = [len(ear.heard) for ear in ears]
    assoc.send_c_echo()
    assoc.release()
    accepted.join(PATIENCE)
    assert [len(ear.heard) for ear in ears] == counts


def test_an_idle_association_is_heard_of(net: Network) -> None:
    ear = Ear(*NOTIFICATIONS)
    server = net.serve([], [VERIFICATION])
    assoc = net.associate(server, [VERIFICATION])
    assoc.send_c_echo()
    for event, handler in ear.handlers:
        assoc.bind(event, handler)
    (accepted,) = server.active_associations
    accepted.abort()
    assert ear.is_over()
    assert [heard.event.name for heard in ear.heard] == [
        "EVT_DATA_RECV",
        "EVT_PDU_RECV",
        "EVT_FSM_TRANSITION",
        "EVT_ACSE_RECV",
        "EVT_ABORTED",
        "EVT_CONN_CLOSE",
    ]


def test_nothing_is_prepared_while_nobody_listens(net: Network) -> None:
    server = net.serve([(evt.EVT_ESTABLISHED, repr), (evt.EVT_CONN_CLOSE, repr)], [VERIFICATION])
    assoc = net.associate(server, [VERIFICATION])
    engine = assoc._engine
    assert engine.observer is engine.tap is None
    assoc.bind(evt.EVT_DIMSE_RECV, repr)
    assert engine.observer is not None and engine.tap is None
    assoc.bind(evt.EVT_DATA_SENT, repr)
    assert engine.tap is not None
    assoc.unbind(evt.EVT_DATA_SENT, repr)
    assert engine.observer is not None and engine.tap is None
    assoc.unbind(evt.EVT_DIMSE_RECV, repr)
    assert engine.observer is engine.tap is None


@pytest.mark.parametrize("event", NOTIFICATIONS, ids=lambda event: event.name)
def test_a_handler_that_raises_is_logged_and_disturbs_nothing(
    net: Network, event: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: evt.Event) -> None:
        raise RuntimeError("a mistake of the program")

    ear = Ear(event)
    handlers = [(event, fail), *ear.handlers]
    server = net.serve(handlers, [VERIFICATION], require_called_aet=event is evt.EVT_REJECTED)
    assoc = net.associate(server, [VERIFICATION], handlers, ae_title="ELSEWHERE")
    if event is evt.EVT_REJECTED:
        assert flags(assoc) == {"is_rejected": True}
    else:
        assert assoc.send_c_echo().Status == 0
        if event is evt.EVT_ABORTED:
            assoc.abort()
        else:
            assoc.release()
            assert flags(assoc) == {"is_released": True}
    assert eventually(lambda: len({id(heard.assoc) for heard in ear.heard}) == 2)
    assert f"'evt.{event.name}' raised" in caplog.text and "a mistake of the program" in caplog.text


def test_handlers_bind_and_unbind_within_an_event(net: Network) -> None:
    names: list[str] = []

    def once(event: evt.Event) -> None:
        names.append(f"once {event.event.name}")
        event.assoc.unbind(evt.EVT_DATA_SENT, once)
        event.assoc.bind(evt.EVT_PDU_RECV, later)

    def later(event: evt.Event) -> None:
        names.append(f"later {event.pdu.NAME}")

    server = net.serve([], [VERIFICATION])
    assoc = net.associate(server, [VERIFICATION])
    assoc.bind(evt.EVT_DATA_SENT, once)
    assoc.send_c_echo()
    assoc.send_c_echo()
    assert names == ["once EVT_DATA_SENT", "later P-DATA-TF", "later P-DATA-TF"]


@pytest.mark.parametrize(
    "event",
    [
        event
        for event in NOTIFICATIONS
        if event.name[-4:] in ("RECV", "SENT") or event is evt.EVT_FSM_TRANSITION
    ],
    ids=lambda event: event.name,
)
@pytest.mark.parametrize("by", ["client", "server"])
def test_a_handler_may_abort(net: Network, event: Any, by: str) -> None:
    over = Ear(evt.EVT_ABORTED, evt.EVT_CONN_CLOSE)

    def abort(event: evt.Event) -> None:
        event.assoc.abort()

    server = net.serve([*over.handlers, *answer_all()], [CT_IMAGE])
    assoc = net.associate(server, [CT_IMAGE])
    (server if by == "server" else assoc).bind(event, abort)
    if "ACSE" in event.name:
        # Not heard of before the association is released, and then it is too late.
        assoc.release()
        assert flags(assoc) in ({"is_released": True}, {"is_aborted": True})
    else:
        # An answer that was here, or under way, before the handler was called is an answer.
        early = event.name.endswith("RECV" if by == "client" else "SENT")
        status = assoc.send_c_store(instance(200_000))
        assert early or "Status" not in status
        assoc.join(PATIENCE)
        assert flags(assoc) == {"is_aborted": True}
    assert eventually(lambda: bool(over.of(evt.EVT_CONN_CLOSE)))
    assoc.join(PATIENCE)
    assert not assoc.is_alive()


@pytest.mark.parametrize(
    "event", [*PDUS, evt.EVT_DIMSE_RECV, evt.EVT_DIMSE_SENT], ids=lambda event: event.name
)
def test_a_handler_may_use_the_association(net: Network, event: Any) -> None:
    statuses: list[int] = []

    def ask(event: evt.Event) -> None:
        event.assoc.unbind(event.event, ask)
        statuses.append(event.assoc.send_c_echo(msg_id=9).Status)

    server = net.serve(answer_all(), [VERIFICATION, CT_IMAGE])
    assoc = net.associate(server, [VERIFICATION, CT_IMAGE], max_pdu=16382)
    assoc.bind(event, ask)
    assert assoc.send_c_store(instance(500_000)).Status == 0
    assert statuses == [0]
    assoc.release()
    assert flags(assoc) == {"is_released": True}


def test_a_long_data_set_is_told_of_while_it_is_sent_and_received(net: Network, tmp_path: Path) -> None:
    size = 12_000_000
    path = file_of(tmp_path, size)
    counted = {"sent": 0, "received": 0}

    def count(event: evt.Event, what: str) -> None:
        counted[what] += len(event.data)

    stored = tmp_path / "stored.dcm"
    handlers = [(evt.EVT_C_STORE_OPEN, lambda event: stored), (evt.EVT_DATA_RECV, count, ["received"])]
    server = net.serve([*handlers, *answer_all()], [CT_IMAGE])
    assoc = net.associate(server, [CT_IMAGE], [(evt.EVT_DATA_SENT, count, ["sent"])])
    tracemalloc.start()
    try:
        assert assoc.send_c_store(path).Status == 0
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert counted["sent"] > size < counted["received"]
    assert peak < size / 4


def test_threads_are_told_in_order(net: Network) -> None:
    """One thread at a time delivers, whoever uses the association."""
    inside = threading.Lock()
    steps: list[str] = []

    def note(event: evt.Event) -> None:
        assert inside.acquire(blocking=False)
        steps.append(event.action)
        inside.release()

    server = net.serve([], [VERIFICATION])
    assoc = net.associate(server, [VERIFICATION])
    assoc.bind(evt.EVT_FSM_TRANSITION, note)

    def work() -> None:
        for number in range(20):
            assoc.send_c_echo(msg_id=number + 1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assoc.release()
    assert steps.count("DT-1") == steps.count("DT-2") == 60
    assert steps[-2:] == ["AR-1", "AR-3"]


def test_the_log_can_be_turned_off(
    net: Network, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_config, "LOG_HANDLER_LEVEL", "none")
    ear = Ear(*NOTIFICATIONS)
    with caplog.at_level(logging.DEBUG, "dulcimer.traffic"):
        server = net.serve(ear.handlers, [VERIFICATION])
        assoc = net.associate(server, [VERIFICATION], ear.handlers)
        assoc.send_c_echo()
        assoc.release()
    assert ear.of(evt.EVT_DIMSE_SENT)
    assert "C-ECHO" not in caplog.text and "A-ASSOCIATE" not in caplog.text


def test_the_log_shows_messages_and_no_data(net: Network, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "dulcimer.traffic"):
        server = net.serve(answer_all(), [CT_IMAGE])
        assoc = net.associate(server, [CT_IMAGE])
        assoc.send_c_store(instance(100_000))
        assoc.release()
        assert flags(net.associate(server, [VERIFICATION])) == {"is_aborted": True}
    lines = [record.getMessage() for record in caplog.records if record.name == "dulcimer.traffic"]
    assert sum("A-ASSOCIATE-RQ: CLIENT calls SERVER; maximum length 16382, " in line for line in lines) >= 2
    assert "sent A-RELEASE-RQ" in lines and "received A-RELEASE-RP" in lines
    assert "sent A-ABORT: service user" in lines
    stores = [line for line in lines if "C-STORE-RQ in context 1" in line]
    assert len(stores) == 2 and all("with a data set" in line for line in stores)
    assert sum("C-STORE-RSP" in line and "0000H" in line for line in lines) == 2
    assert not any("P-DATA" in line for line in lines)
