"""How associations begin and end between two real ends, and what they tell (PS3.8 7)."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from queue import Queue
from typing import Any

import pytest
from pydicom.dataset import Dataset

from api.peers import (
    A_RELEASE_RP,
    A_RELEASE_RQ,
    P_DATA,
    PATIENCE,
    Log,
    Network,
    RawPeer,
    eventually,
    flags,
)
from dulcimer import evt
from dulcimer.failure import FailureKind, Party
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse.messages import N_EVENT_REPORT_RQ
from dulcimer.protocol.wire.pdus import (
    Abort,
    ReleaseRP,
    ReleaseRQ,
)
from dulcimer.sop_class import CTImageStorage, ModalityPerformedProcedureStep, Verification

MPPS = ModalityPerformedProcedureStep


# -- How they begin and end


def test_release_by_the_requestor(net: Network) -> None:
    ours, theirs = Log(), Log()
    assoc = net.associate(net.serve(theirs.handlers, [Verification]), [Verification], ours.handlers)
    peer = theirs.assocs.get(timeout=PATIENCE)
    assert flags(assoc) == {"is_established": True}
    assert (assoc.is_requestor, assoc.is_acceptor) == (True, False)
    assert (peer.is_requestor, peer.is_acceptor) == (False, True)
    assoc.release()
    assert flags(assoc) == {"is_released": True}
    assert theirs.is_over()
    assert flags(peer) == {"is_released": True}
    assert ours.names == ["CONN_OPEN", "REQUESTED", "ACCEPTED", "ESTABLISHED", "RELEASED", "CONN_CLOSE"]
    assert theirs.names == ours.names
    assert assoc.failure is None
    assert peer.failure is None


def test_release_by_the_acceptor(net: Network) -> None:
    ours, theirs = Log(), Log()
    assoc = net.associate(net.serve(theirs.handlers, [Verification]), [Verification], ours.handlers)
    peer = theirs.assocs.get(timeout=PATIENCE)
    assert eventually(lambda: peer.is_established)
    peer.release()
    assert flags(peer) == {"is_released": True}
    assert ours.is_over()
    assert flags(assoc) == {"is_released": True}
    assert ours.names[-2:] == ["RELEASED", "CONN_CLOSE"]


def test_both_release_at_once(net: Network) -> None:
    theirs = Log()
    server = net.serve(theirs.handlers, [Verification])
    for _ in range(20):
        assoc = net.associate(server, [Verification])
        peer = theirs.assocs.get(timeout=PATIENCE)
        other = threading.Thread(target=peer.release)
        other.start()
        assoc.release()
        other.join(PATIENCE)
        assert not other.is_alive()
        assert flags(assoc) == {"is_released": True}
        assert eventually(lambda peer=peer: flags(peer) == {"is_released": True})


def test_abort_by_the_requestor(net: Network) -> None:
    ours, theirs = Log(), Log()
    assoc = net.associate(net.serve(theirs.handlers, [Verification]), [Verification], ours.handlers)
    peer = theirs.assocs.get(timeout=PATIENCE)
    assoc.abort()
    assert flags(assoc) == {"is_aborted": True}
    assert theirs.is_over()
    assert flags(peer) == {"is_aborted": True}
    assert (assoc.failure.kind, assoc.failure.by) == (FailureKind.ABORTED, Party.LOCAL)
    assert (peer.failure.kind, peer.failure.by, peer.failure.source) == (FailureKind.ABORTED, Party.PEER, 0)
    assert ours.is_over()
    assert ours.names[-2:] == ["ABORTED", "CONN_CLOSE"]
    assert theirs.names[-2:] == ["ABORTED", "CONN_CLOSE"]


def test_abort_by_the_acceptor(net: Network) -> None:
    ours, theirs = Log(), Log()
    assoc = net.associate(net.serve(theirs.handlers, [Verification]), [Verification], ours.handlers)
    theirs.assocs.get(timeout=PATIENCE).abort()
    assert ours.is_over()
    assert flags(assoc) == {"is_aborted": True}
    assert (assoc.failure.kind, assoc.failure.by) == (FailureKind.ABORTED, Party.PEER)
    assert str(assoc.failure) == "the association was aborted by the peer (service user)"
    with pytest.raises(RuntimeError, match="aborted by the peer"):
        assoc.send_c_echo()


@pytest.mark.parametrize("how", ["abort", "kill"])
def test_abort_from_within_a_handler(net: Network, how: str) -> None:
    def handle(event: evt.Event) -> int:
        getattr(event.assoc, how)()
        return 0x0000

    assoc = net.associate(net.serve([(evt.EVT_C_ECHO, handle)], [Verification]), [Verification])
    assert len(assoc.send_c_echo()) == 0
    assert flags(assoc) == {"is_aborted": True}


def test_a_handler_that_ends_its_thread(net: Network, faults: list[str]) -> None:
    """The association ends, the server and its thread go on."""

    def handle(event: evt.Event) -> int:
        raise SystemExit

    theirs = Log()
    ae = net.ae("SERVER")
    server = net.serve([*theirs.handlers, (evt.EVT_C_ECHO, handle)], [Verification], ae=ae)
    assoc = net.associate(server, [Verification])
    assert len(assoc.send_c_echo()) == 0
    assert flags(assoc) == {"is_aborted": True}
    assert theirs.is_over()
    assert ae.active_associations == []
    assert flags(net.associate(server, [Verification])) == {"is_established": True}
    assert len(faults) == 1
    faults.clear()


@pytest.mark.parametrize("name", ["CONN_OPEN", "REQUESTED", "ACCEPTED", "ESTABLISHED"])
@pytest.mark.parametrize("side", ["requestor", "acceptor"])
def test_abort_by_a_handler_on_the_way(net: Network, name: str, side: str) -> None:
    """A program may look at its peer and turn away."""
    theirs = Log()
    handlers = [(getattr(evt, f"EVT_{name}"), lambda event: event.assoc.abort())]
    server = net.serve([*theirs.handlers, *(handlers if side == "acceptor" else ())], [Verification])
    assoc = net.associate(server, [Verification], handlers if side == "requestor" else ())
    assert eventually(lambda: flags(assoc) == {"is_aborted": True})
    assert theirs.is_over()
    assert "RELEASED" not in theirs.names
    assert theirs.names[-1:] == ["CONN_CLOSE"]
    assert theirs.names.count("ABORTED") <= 1
    assert assoc.failure.by is (Party.LOCAL if side == "requestor" else Party.PEER)


def test_release_while_another_thread_waits_for_an_answer(net: Network) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def handle(event: evt.Event) -> int:
        asked.set()
        go_on.wait(PATIENCE)
        return 0x0000

    assoc = net.associate(net.serve([(evt.EVT_C_ECHO, handle)], [Verification]), [Verification])
    answers: list[Dataset] = []
    waiting = threading.Thread(target=lambda: answers.append(assoc.send_c_echo()))
    waiting.start()
    assert asked.wait(PATIENCE)
    releasing = threading.Thread(target=assoc.release)
    releasing.start()
    assert eventually(lambda: not assoc.is_established)
    go_on.set()
    for thread in (waiting, releasing):
        thread.join(PATIENCE)
        assert not thread.is_alive()
    # The acceptor answers what was requested before the release before it answers that.
    assert [answer.get("Status") for answer in answers] == [0x0000]
    assert flags(assoc) == {"is_released": True}


@pytest.mark.parametrize("end", ["abort", "kill"])
def test_a_peer_that_leaves_while_its_request_is_served(net: Network, end: str) -> None:
    go_on, theirs = threading.Event(), Log()

    def handle(event: evt.Event) -> int:
        go_on.wait(PATIENCE)
        return 0x0000

    server = net.serve([*theirs.handlers, (evt.EVT_C_ECHO, handle)], [Verification])
    assoc = net.associate(server, [Verification])
    waiting = threading.Thread(target=assoc.send_c_echo)
    waiting.start()
    peer = theirs.assocs.get(timeout=PATIENCE)
    getattr(assoc, end)()
    go_on.set()
    waiting.join(PATIENCE)
    assert theirs.is_over()
    assert flags(peer) == {"is_aborted": True}
    go_on.set()
    assert net.associate(server, [Verification]).send_c_echo().Status == 0x0000


def test_abort_from_another_thread_ends_a_wait(net: Network) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def handle(event: evt.Event) -> int:
        asked.set()
        go_on.wait(PATIENCE)
        return 0x0000

    assoc = net.associate(net.serve([(evt.EVT_C_ECHO, handle)], [Verification]), [Verification])
    answers: list[Dataset] = []
    waiting = threading.Thread(target=lambda: answers.append(assoc.send_c_echo()))
    waiting.start()
    assert asked.wait(PATIENCE)
    assoc.abort()
    waiting.join(PATIENCE)
    go_on.set()
    assert answers == [Dataset()]
    assert flags(assoc) == {"is_aborted": True}


def test_ending_twice_is_no_error(net: Network) -> None:
    server = net.serve(contexts=[Verification])
    assoc = net.associate(server, [Verification])
    assoc.release()
    assoc.release()
    assoc.abort()
    assert flags(assoc) == {"is_released": True}
    other = net.associate(server, [Verification])
    other.abort()
    other.abort()
    other.release()
    assert flags(other) == {"is_aborted": True}


def test_a_with_statement_releases(net: Network) -> None:
    with net.associate(net.serve(contexts=[Verification]), [Verification]) as assoc:
        assert assoc.send_c_echo().Status == 0x0000
    assert flags(assoc) == {"is_released": True}


def test_a_with_statement_aborts_when_its_body_raises(net: Network) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        net.associate(net.serve(contexts=[Verification]), [Verification]) as assoc,
    ):
        raise ZeroDivisionError
    assert flags(assoc) == {"is_aborted": True}


def test_a_with_statement_bears_an_association_that_ended_before(net: Network) -> None:
    with net.associate(net.serve(contexts=[Verification]), [Verification]) as assoc:
        assoc.abort()
    assert flags(assoc) == {"is_aborted": True}


def test_shutdown_ends_what_the_server_has(net: Network) -> None:
    ours, theirs = Log(), Log()
    ae = net.ae("SERVER")
    server = net.serve(theirs.handlers, [Verification], ae=ae)
    assoc = net.associate(server, [Verification], ours.handlers)
    assert eventually(lambda: len(ae.active_associations) == 1)
    ae.shutdown()
    assert ours.is_over()
    assert flags(assoc) == {"is_aborted": True}
    assert eventually(lambda: ae.active_associations == [])
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(server.server_address[:2], PATIENCE)


def test_who_is_who(net: Network) -> None:
    theirs = Log()
    server = net.serve(theirs.handlers, [Verification])
    assoc = net.associate(server, [Verification], max_pdu=4096)
    peer = theirs.assocs.get(timeout=PATIENCE)
    assert (assoc.local["ae_title"], assoc.remote["ae_title"]) == ("CLIENT", "SERVER")
    assert (peer.local["ae_title"], peer.remote["ae_title"]) == ("SERVER", "CLIENT")
    assert (assoc.remote["address"], assoc.remote["port"]) == server.server_address[:2]
    assert (peer.remote["address"], peer.remote["port"]) == ("127.0.0.1", assoc.local["port"])
    assert (peer.requestor.maximum_length, assoc.acceptor.maximum_length) == (4096, 16382)
    assert peer.requestor.implementation_class_uid == assoc.ae.implementation_class_uid
    assert assoc.acceptor.implementation_version_name == peer.ae.implementation_version_name


# -- Failure


def test_a_refused_connection(net: Network) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    ours = Log()
    assoc = net.associate(port, [Verification], ours.handlers)
    assert flags(assoc) == {"is_aborted": True}
    assert (assoc.failure.kind, assoc.failure.by) == (FailureKind.CONNECT, Party.NETWORK)
    assert f"127.0.0.1:{port} refused the connection" in str(assoc.failure)
    assert "CONN_OPEN" not in ours.names
    with pytest.raises(RuntimeError, match="refused the connection"):
        assoc.send_c_echo()


def test_an_unknown_host(net: Network) -> None:
    assoc = net.associate(11112, [Verification], host="no.such.host.invalid")
    assert flags(assoc) == {"is_aborted": True}
    assert assoc.failure.kind is FailureKind.CONNECT
    assert "no.such.host.invalid is not known" in str(assoc.failure)


@pytest.mark.parametrize(
    ("abort", "words"),
    [
        (Abort(0, 0), "the association was aborted by the peer (service user)"),
        (
            Abort(2, 6),
            "the association was aborted by the peer (service provider: invalid PDU parameter value)",
        ),
    ],
)
@pytest.mark.parametrize("established", [True, False])
def test_an_abort_by_the_peer(net: Network, abort: Abort, words: str, established: bool) -> None:
    def script(peer: RawPeer) -> None:
        if established:
            peer.accept()
        peer.read_pdu()
        peer.send(abort)
        peer.read_pdu()

    assoc = net.associate(net.listen(script), [Verification])
    if established:
        assert len(assoc.send_c_echo()) == 0
    assert flags(assoc) == {"is_aborted": True}
    assert (assoc.failure.kind, assoc.failure.by) == (FailureKind.ABORTED, Party.PEER)
    assert (assoc.failure.source, assoc.failure.reason) == (abort.source, abort.reason)
    assert str(assoc.failure) == words


@pytest.mark.parametrize("when", ["negotiating", "waiting", "idle"])
def test_a_peer_that_vanishes(net: Network, when: str) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        if when == "negotiating":
            peer.read_pdu()
        else:
            peer.accept()
            if when == "waiting":
                peer.read_pdu()
            else:
                go.wait(PATIENCE)
        peer.close()

    ours = Log()
    assoc = net.associate(net.listen(script), [Verification], ours.handlers)
    if when == "waiting":
        assert len(assoc.send_c_echo()) == 0
    go.set()
    assert ours.is_over()
    assert flags(assoc) == {"is_aborted": True}
    assert (assoc.failure.kind, assoc.failure.by) == (FailureKind.LOST, Party.PEER)
    assert "closed without a release or an abort" in str(assoc.failure)
    assert ours.names[-2:] == ["ABORTED", "CONN_CLOSE"]


def test_a_peer_that_breaks_the_protocol(net: Network) -> None:
    seen: list[tuple[int, bytes]] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.read_pdu()
        peer.send(b"\x99\x00\x00\x00\x00\x00")
        seen.append(peer.read_pdu())

    assoc = net.associate(net.listen(script), [Verification])
    assert len(assoc.send_c_echo()) == 0
    assert (assoc.failure.kind, assoc.failure.by) == (FailureKind.PROTOCOL, Party.PEER)
    assert assoc.failure.reason_text == "unrecognised PDU"
    # A-ABORT by the service provider: unrecognised PDU (PS3.8 9.3.8).
    assert eventually(lambda: seen == [(7, b"\0\0\x02\x01")], 0.5)


def test_a_peer_that_answers_the_release_and_stays(net: Network) -> None:
    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.read_pdu()
        peer.send(ReleaseRP())
        peer.read_pdu()

    ours = Log()
    assoc = net.associate(net.listen(script), [Verification], ours.handlers)
    assoc.release()
    assert flags(assoc) == {"is_released": True}
    assert ours.names[-2:] == ["RELEASED", "CONN_CLOSE"]


def test_a_request_that_crosses_the_release_is_dropped(net: Network) -> None:
    """In Sta7 data still arrive (AR-6), and none can be sent: it stays unanswered."""
    called: list[Any] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        assert peer.read_pdu()[0] == A_RELEASE_RQ
        peer.send_message(
            {
                e.AFFECTED_SOP_CLASS_UID: str(MPPS),
                e.COMMAND_FIELD: N_EVENT_REPORT_RQ,
                e.MESSAGE_ID: 1,
                e.AFFECTED_SOP_INSTANCE_UID: "1.2.3",
                e.EVENT_TYPE_ID: 1,
            }
        )
        peer.send(ReleaseRP())
        peer.close()

    assoc = net.associate(net.listen(script), [MPPS], [(evt.EVT_N_EVENT_REPORT, called.append)])
    assoc.release()
    assert flags(assoc) == {"is_released": True}
    assert called == []


def test_the_answer_to_a_release_is_not_cut_off(net: Network) -> None:
    """It waits behind a large request, while another thread learns that there is nothing to wait for."""
    theirs = Log()
    peer = net.connect(net.serve(theirs.handlers, [MPPS]))
    peer.request(MPPS)
    assoc = theirs.assocs.get(timeout=PATIENCE)
    assert eventually(lambda: assoc.is_established)
    large = Dataset()
    large.EncapsulatedDocument = bytes(20_000_000)
    threads = [
        threading.Thread(target=assoc.send_n_event_report, args=(information, 1, MPPS, "1.2.3"))
        for information in (large, None)
    ]
    threads[0].start()
    assert peer.sock.recv(6, socket.MSG_PEEK)  # it has begun
    threads[1].start()
    peer.send(ReleaseRQ())
    threads[1].join(PATIENCE)
    assert not threads[1].is_alive()
    kinds = [peer.read_pdu()[0]]
    while kinds[-1] == P_DATA:
        kinds.append(peer.read_pdu()[0])
    assert kinds[-1] == A_RELEASE_RP
    peer.close()
    threads[0].join(PATIENCE)
    assert theirs.is_over()
    assert flags(assoc) == {"is_released": True}


# -- Handlers


def test_bind_and_unbind_while_it_runs(net: Network) -> None:
    seen: list[str] = []

    def first(event: evt.Event, *args: Any) -> int:
        seen.append(f"first{args}")
        return 0x0000

    def second(event: evt.Event) -> int:
        seen.append("second")
        return 0x0122

    theirs = Log()
    server = net.serve(theirs.handlers, [Verification])
    assoc = net.associate(server, [Verification])
    peer = theirs.assocs.get(timeout=PATIENCE)
    assert assoc.send_c_echo().Status == 0x0000
    server.bind(evt.EVT_C_ECHO, first, [1])
    assert peer.get_handlers(evt.EVT_C_ECHO) == (first, [1])
    assert assoc.send_c_echo().Status == 0x0000
    peer.bind(evt.EVT_C_ECHO, second)
    assert assoc.send_c_echo().Status == 0x0122
    peer.unbind(evt.EVT_C_ECHO, first)
    assert assoc.send_c_echo().Status == 0x0122
    peer.unbind(evt.EVT_C_ECHO, second)
    assert assoc.send_c_echo().Status == 0x0000
    assert seen == ["first(1,)", "second", "second"]


def test_get_handlers_and_events(net: Network) -> None:
    def one(event: evt.Event) -> None: ...
    def two(event: evt.Event) -> None: ...

    server = net.serve([(evt.EVT_RELEASED, one), (evt.EVT_C_ECHO, two, [1])], [Verification])
    assoc = net.associate(server, [Verification], [(evt.EVT_RELEASED, one), (evt.EVT_RELEASED, two, ["x"])])
    for holder in (server, assoc):
        assert evt.EVT_RELEASED in holder.get_events()
        assert holder.get_events() == sorted(holder.get_events(), key=lambda event: event.name)
        handler, args = holder.get_handlers(evt.EVT_N_SET)
        assert (handler, args) == (evt.get_default_handler(evt.EVT_N_SET), None)
        assert holder.get_handlers(evt.EVT_ABORTED) == []
    assert server.get_handlers(evt.EVT_C_ECHO) == (two, [1])
    assert assoc.get_handlers(evt.EVT_RELEASED) == [(one, None), (two, ["x"])]
    # Bound twice is bound once.
    assoc.bind(evt.EVT_RELEASED, one)
    assert len(assoc.get_handlers(evt.EVT_RELEASED)) == 2
    assoc.unbind(evt.EVT_RELEASED, one)
    assert assoc.get_handlers(evt.EVT_RELEASED) == [(two, ["x"])]
    assoc.unbind(evt.EVT_RELEASED, two)
    assert evt.EVT_RELEASED not in assoc.get_events()
    # Of what is not bound nothing is unbound.
    assoc.unbind(evt.EVT_RELEASED, two)


def test_a_notification_handler_that_raises_harms_nobody(net: Network) -> None:
    seen: list[str] = []

    def fail(event: evt.Event) -> None:
        raise ValueError("no")

    names = ("CONN_OPEN", "REQUESTED", "ACCEPTED", "ESTABLISHED", "RELEASED", "CONN_CLOSE")
    names += ("DIMSE_RECV", "DIMSE_SENT", "PDU_RECV", "PDU_SENT", "DATA_RECV", "DATA_SENT")
    failing = [(getattr(evt, f"EVT_{name}"), fail) for name in names]
    working = [(evt.EVT_RELEASED, lambda event: seen.append("released"))]
    assoc = net.associate(net.serve(failing, [Verification]), [Verification], [*failing, *working])
    assert assoc.send_c_echo().Status == 0x0000
    assoc.release()
    assert flags(assoc) == {"is_released": True}
    assert seen == ["released"]


def test_every_notification_event_happens(net: Network) -> None:
    seen: set[str] = set()
    names = ("ACCEPTED", "CONN_CLOSE", "CONN_OPEN", "DATA_RECV", "DATA_SENT", "DIMSE_RECV", "DIMSE_SENT")
    names += ("ESTABLISHED", "FSM_TRANSITION", "PDU_RECV", "PDU_SENT", "RELEASED", "REQUESTED")
    names += ("ACSE_RECV", "ACSE_SENT")
    handlers = [(getattr(evt, f"EVT_{name}"), lambda event: seen.add(event.event.name[4:])) for name in names]
    assoc = net.associate(net.serve(contexts=[Verification]), [Verification], handlers)
    assoc.send_c_echo()
    assoc.release()
    assert seen == set(names)


# -- Threads


def test_8_threads_share_an_association(net: Network) -> None:
    def on_set(event: evt.Event) -> tuple[int, Dataset]:
        return 0x0000, event.modification_list

    assoc = net.associate(net.serve([(evt.EVT_N_SET, on_set)], [Verification, MPPS]), [Verification, MPPS])
    wrong: list[Any] = []

    def work(number: int) -> None:
        for turn in range(25):
            change = Dataset()
            change.PatientID = f"{number}-{turn}"
            status, answer = assoc.send_n_set(change, MPPS, "1.2.3", msg_id=1)
            if status.get("Status") != 0x0000 or answer != change:
                wrong.append((number, turn, status, answer))
            echoed = assoc.send_c_echo()
            if echoed.get("Status") != 0x0000:
                wrong.append((number, turn, echoed))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
    assoc.release()
    assert flags(assoc) == {"is_released": True}


def test_nothing_is_left_behind(net: Network) -> None:
    """Threads and descriptors are as many as before."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed_port = listener.getsockname()[1]

    def run(times: int) -> None:
        ae = net.ae("SERVER", require_called_aet=True)
        server = net.serve(contexts=[Verification], ae=ae)
        client = net.ae("CLIENT")
        for _ in range(times):
            net.associate(server, [Verification], ae=client).release()
            net.associate(server, [Verification], ae=client).abort()
            net.associate(server, [Verification], ae=client, ae_title="WRONG")
            net.associate(server, [CTImageStorage], ae=client)
            net.associate(closed_port, [Verification], ae=client)
        assoc = net.associate(server, [Verification], ae=client)
        assert eventually(lambda: len(ae.active_associations) == 1)
        ae.shutdown()
        assert eventually(lambda: not assoc.is_alive())

    def count() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    run(1)
    assert eventually(lambda: not any(t.name.startswith("Assoc") for t in threading.enumerate()))
    before = count()
    run(10)
    assert eventually(lambda: count() <= before), f"{before} became {count()}"


# -- IPv6


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="there is no IPv6 here")


@needs_ipv6
@pytest.mark.parametrize("host", ["::1", ("::1", 0, 0)])
def test_ipv6(net: Network, host: Any) -> None:
    theirs = Log()
    server = net.serve(theirs.handlers, [Verification], host="::1")
    assert server.server_address[0] == "::1"
    assoc = net.associate(server, [Verification], host=host)
    assert assoc.send_c_echo().Status == 0x0000
    assert assoc.remote["address"] == "::1"
    assert theirs.assocs.get(timeout=PATIENCE).remote["address"] == "::1"


@needs_ipv6
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_dual_stack(net: Network, host: str) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no dual stack sockets")
    server = net.serve(contexts=[Verification], host="::")
    assert net.associate(server, [Verification], host=host).send_c_echo().Status == 0x0000


def test_a_name_with_several_addresses(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """The addresses of a name are tried one after the other."""
    server = net.serve(contexts=[Verification])
    real: Callable[..., Any] = socket.getaddrinfo

    def two(host: str, *args: Any, **kwargs: Any) -> Any:
        if host != "archive.test":
            return real(host, *args, **kwargs)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            closed = listener.getsockname()[1]
        (found,) = real("127.0.0.1", *args, **kwargs)
        return [(*found[:4], ("127.0.0.1", closed)), found]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    assoc = net.associate(server, [Verification], host="archive.test")
    assert flags(assoc) == {"is_established": True}


# -- With pynetdicom at the other end


@pytest.mark.interop
def test_pynetdicom_as_requestor(net: Network) -> None:
    pynetdicom = pytest.importorskip("pynetdicom")
    theirs = Log()
    server = net.serve(theirs.handlers, [Verification])
    peer = pynetdicom.AE()
    peer.add_requested_context(Verification)
    peer.add_requested_context(CTImageStorage)
    assoc = peer.associate(*server.server_address)
    assert assoc.is_established
    assert assoc.send_c_echo().Status == 0x0000
    assert [context.result for context in assoc.rejected_contexts] == [3]
    assoc.release()
    assert theirs.is_over()
    assert theirs.names[-2:] == ["RELEASED", "CONN_CLOSE"]


@pytest.mark.interop
@pytest.mark.parametrize("end", ["release", "abort"])
def test_pynetdicom_as_acceptor(net: Network, end: str) -> None:
    pynetdicom = pytest.importorskip("pynetdicom")
    peer = pynetdicom.AE()
    peer.add_supported_context(Verification)
    ended: Queue[str] = Queue()
    handlers = [
        (pynetdicom.evt.EVT_RELEASED, lambda event: ended.put("release")),
        (pynetdicom.evt.EVT_ABORTED, lambda event: ended.put("abort")),
    ]
    server = peer.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        assoc = net.associate(server, [Verification, CTImageStorage])
        assert assoc.send_c_echo().Status == 0x0000
        getattr(assoc, end)()
        assert ended.get(timeout=PATIENCE) == end
    finally:
        peer.shutdown()
