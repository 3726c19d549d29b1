"""Every timeout ends what it bounds when its time has passed, and no earlier (PS3.8 9.1.4, Table 9-10).

The peers are scripts on bare sockets that stall at exactly one place.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from api.peers import A_ABORT, A_RELEASE_RQ, EXPLICIT, PATIENCE, Network, RawPeer, eventually, message
from dulcimer import build_context, evt
from dulcimer.failure import FailureKind, Party
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse.messages import C_ECHO_RQ
from dulcimer.sop_class import CTImageStorage, ModalityPerformedProcedureStep, Verification

MPPS = ModalityPerformedProcedureStep
SECONDS = 0.6
LONG = 30.0

ECHO = {e.AFFECTED_SOP_CLASS_UID: str(Verification), e.COMMAND_FIELD: C_ECHO_RQ, e.MESSAGE_ID: 1}


@contextmanager
def takes(seconds: float = SECONDS) -> Iterator[None]:
    """Assert how long something takes: the one thing here that is about time."""
    began = monotonic()
    yield
    elapsed = monotonic() - began
    assert 0.9 * seconds <= elapsed <= 1.1 * seconds + 0.15, f"{elapsed:.3f} s instead of {seconds} s"


def only(**timeouts: float) -> dict[str, Any]:
    """Make every other timeout too long to matter."""
    names = ("acse_timeout", "dimse_timeout", "network_timeout", "connection_timeout")
    return {name: timeouts.get(name, LONG) for name in names}


def stall(peer: RawPeer) -> None:
    """Say nothing until the other side has enough."""
    while peer.read_pdu()[0] not in (0, A_ABORT):
        pass
    peer.close()


def timed_out(assoc: Any, which: str) -> bool:
    failure = assoc.failure
    assert failure is not None
    assert (failure.kind, failure.timeout) == (FailureKind.TIMEOUT, which)
    assert f"{which} timeout" in str(failure)
    assert not assoc.is_established
    return bool(assoc.is_aborted)


class Accepted:
    """The association that a server has with the one peer that comes."""

    def __init__(self) -> None:
        self.assoc: Any = None
        self.closed = threading.Event()

    @property
    def handlers(self) -> list[tuple[Any, Any]]:
        return [(evt.EVT_CONN_OPEN, self._opened), (evt.EVT_CONN_CLOSE, lambda event: self.closed.set())]

    def _opened(self, event: evt.Event) -> None:
        self.assoc = event.assoc


# -- The transport connection


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose backlog is full: nobody answers who knocks."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(16):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
            waiting.append(sock)
        sleep(0.05)
        yield listener.getsockname()[1]
        for sock in waiting:
            sock.close()


def test_connecting(net: Network, full_port: int) -> None:
    with takes():
        assoc = net.associate(full_port, [Verification], **only(connection_timeout=SECONDS))
    assert timed_out(assoc, "connection")
    assert assoc.failure.by is Party.NETWORK


def test_the_tls_handshake_of_the_requestor(net: Network) -> None:
    def script(peer: RawPeer) -> None:
        while peer.sock.recv(4096):
            pass

    tls_args = (ssl.create_default_context(), "localhost")
    with takes():
        assoc = net.associate(
            net.listen(script), [Verification], tls_args=tls_args, **only(connection_timeout=SECONDS)
        )
    assert assoc.is_aborted
    assert (assoc.failure.kind, assoc.failure.timeout) == (FailureKind.TIMEOUT, "connection")
    assert "TLS" in str(assoc.failure)


def test_the_tls_handshake_of_the_acceptor(net: Network) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server = net.serve(contexts=[Verification], ssl_context=context, **only(acse_timeout=SECONDS))
    peer = net.connect(server)
    with takes():
        assert peer.sock.recv(1) == b""


# -- The negotiation


def test_negotiating_as_requestor(net: Network) -> None:
    with takes():
        assoc = net.associate(net.listen(stall), [Verification], **only(acse_timeout=SECONDS))
    assert timed_out(assoc, "acse")
    assert assoc.failure.by is Party.PEER


def test_negotiating_as_requestor_with_half_an_answer(net: Network) -> None:
    def script(peer: RawPeer) -> None:
        peer.read_pdu()
        peer.send(b"\x02\x00\x00\x00\x01\x00" + bytes(100))
        stall(peer)

    with takes():
        assoc = net.associate(net.listen(script), [Verification], **only(acse_timeout=SECONDS))
    assert timed_out(assoc, "acse")


@pytest.mark.parametrize("first", [b"", b"\x01", b"\x01\x00\x00\x00\x01\x00" + bytes(100)])
def test_negotiating_as_acceptor(net: Network, first: bytes) -> None:
    """The ARTIM timer runs out in Sta2: the transport connection is closed, without a word (AA-2)."""
    accepted = Accepted()
    server = net.serve(accepted.handlers, [Verification], **only(acse_timeout=SECONDS))
    peer = net.connect(server)
    with takes():
        peer.send(first)
        assert peer.sock.recv(1) == b""
    assert accepted.closed.wait(PATIENCE)
    assert timed_out(accepted.assoc, "acse")


# -- Between messages


def test_silence_of_the_peer_of_a_requestor(net: Network) -> None:
    seen: list[int] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        seen.append(peer.read_pdu()[0])

    assoc = net.associate(net.listen(script), [Verification], **only(network_timeout=SECONDS))
    with takes():
        assert eventually(lambda: assoc.is_aborted)
    assert timed_out(assoc, "network")
    assert eventually(lambda: seen == [A_ABORT])


def test_silence_of_the_peer_of_an_acceptor(net: Network) -> None:
    accepted = Accepted()
    server = net.serve(accepted.handlers, [Verification], **only(network_timeout=SECONDS))
    peer = net.connect(server)
    peer.request(Verification)
    with takes():
        assert peer.read_pdu()[0] == A_ABORT
    peer.close()
    assert accepted.closed.wait(PATIENCE)
    assert timed_out(accepted.assoc, "network")


@pytest.mark.parametrize("requestor", [True, False])
def test_silence_can_be_answered_with_a_release(net: Network, requestor: bool) -> None:
    seen: list[int] = []

    def patient(event: evt.Event) -> None:
        event.assoc.network_timeout_response = "A-RELEASE"

    handlers = [(evt.EVT_ESTABLISHED, patient)]
    if requestor:

        def script(peer: RawPeer) -> None:
            peer.accept()
            seen.append(peer.read_pdu()[0])

        net.associate(net.listen(script), [Verification], handlers, **only(network_timeout=SECONDS))
        with takes():
            assert eventually(lambda: seen)
    else:
        peer = net.connect(net.serve(handlers, [Verification], **only(network_timeout=SECONDS)))
        peer.request(Verification)
        with takes():
            seen.append(peer.read_pdu()[0])
    assert seen == [A_RELEASE_RQ]


def test_every_sign_of_life_begins_the_time_anew(net: Network) -> None:
    server = net.serve(contexts=[Verification], **only(network_timeout=SECONDS))
    peer = net.connect(server)
    peer.request(Verification)
    for _ in range(3):
        sleep(0.6 * SECONDS)
        peer.send_message(ECHO)
        assert peer.read_message()[0][e.STATUS] == 0x0000
    with takes():
        assert peer.read_pdu()[0] == A_ABORT


def test_a_handler_may_take_longer_than_the_network_timeout(net: Network) -> None:
    """It is our turn to speak: the peer's silence means nothing."""

    def handle(event: evt.Event) -> int:
        sleep(2 * SECONDS)
        return 0x0000

    server = net.serve([(evt.EVT_C_ECHO, handle)], [Verification], **only(network_timeout=SECONDS))
    assoc = net.associate(server, [Verification], **only())
    assert assoc.send_c_echo().Status == 0x0000


def test_timeouts_can_be_changed_while_it_is_idle(net: Network) -> None:
    server = net.serve(contexts=[Verification], **only())
    assoc = net.associate(server, [Verification], **only())
    sleep(0.1)  # until it rests
    with takes(SECONDS - 0.1):
        assoc.network_timeout = SECONDS
        assert eventually(lambda: assoc.is_aborted)
    assert timed_out(assoc, "network")


def test_an_association_that_is_used_now_and_then_times_out_and_keeps_no_thread(net: Network) -> None:
    server = net.serve(contexts=[Verification], **only())
    assoc = net.associate(server, [Verification], **only(network_timeout=SECONDS))
    for _ in range(5):
        assert assoc.send_c_echo().Status == 0x0000
        sleep(0.25)
        assert [thread for thread in threading.enumerate() if "idle-assoc" in thread.name] == []
    assert assoc.send_c_echo().Status == 0x0000
    with takes():
        assert eventually(lambda: assoc.is_aborted)


def test_none_is_for_ever(net: Network) -> None:
    server = net.serve(contexts=[Verification], **only())
    settings = {**only(), "network_timeout": None, "dimse_timeout": None}
    assoc = net.associate(server, [Verification], **settings)
    assert (assoc.network_timeout, assoc.dimse_timeout) == (None, None)
    sleep(0.2)
    assert assoc.send_c_echo().Status == 0x0000


# -- Within a PDU


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def test_half_a_request(net: Network) -> None:
    accepted = Accepted()
    server = net.serve(accepted.handlers, [Verification], **only(network_timeout=SECONDS))
    peer = net.connect(server)
    peer.request(Verification)
    with takes():
        peer.send(cut(message(ECHO)))
        assert peer.read_pdu()[0] == A_ABORT
    peer.close()
    assert accepted.closed.wait(PATIENCE)
    assert timed_out(accepted.assoc, "network")


@pytest.mark.parametrize("which", ["network", "dimse"])
def test_half_a_response(net: Network, which: str) -> None:
    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.read_message()
        response = {e.COMMAND_FIELD: 0x8030, e.MESSAGE_ID_BEING_RESPONDED_TO: 1, e.STATUS: 0}
        peer.send(cut(message(response)))
        stall(peer)

    assoc = net.associate(net.listen(script), [Verification], **only(**{f"{which}_timeout": SECONDS}))
    with takes():
        assert len(assoc.send_c_echo()) == 0
    assert timed_out(assoc, which)


def test_a_peer_that_trickles_is_borne_with(net: Network) -> None:
    """What comes slowly comes: only silence counts."""
    server = net.serve(contexts=[Verification], **only(network_timeout=SECONDS))
    peer = net.connect(server)
    peer.request(Verification)
    whole = message(ECHO)
    for start in range(0, len(whole), len(whole) // 4):
        peer.send(whole[start : start + len(whole) // 4])
        sleep(0.5 * SECONDS)
    assert peer.read_message()[0][e.STATUS] == 0x0000


# -- No response


def change() -> Dataset:
    dataset = Dataset()
    dataset.PatientID = "P1"
    return dataset


REQUESTS: dict[str, Callable[[Any], Any]] = {
    "c_echo": lambda assoc: (assoc.send_c_echo(), None),
    "n_set": lambda assoc: assoc.send_n_set(change(), MPPS, "1.2.3"),
    "n_get": lambda assoc: assoc.send_n_get([], MPPS, "1.2.3"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_no_response(net: Network, name: str) -> None:
    seen: list[int] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.read_message()
        seen.append(peer.read_pdu()[0])

    port = net.listen(script)
    assoc = net.associate(port, [Verification, MPPS], **only(dimse_timeout=SECONDS))
    with takes():
        status, answer = REQUESTS[name](assoc)
    assert (len(status), answer) == (0, None)
    assert timed_out(assoc, "dimse")
    assert eventually(lambda: seen == [A_ABORT], 0.5)


def test_no_response_for_an_acceptor_that_asks(net: Network) -> None:
    accepted = Accepted()
    asked: list[Any] = []
    server = net.serve(accepted.handlers, [MPPS], **only(dimse_timeout=SECONDS))
    peer = net.connect(server)
    peer.request(MPPS)
    assert eventually(lambda: accepted.assoc.is_established)
    with takes():
        asked.append(accepted.assoc.send_n_event_report(None, 1, MPPS, "1.2.3"))
    assert asked == [(Dataset(), None)]
    assert timed_out(accepted.assoc, "dimse")


# -- What cannot be written


def test_a_peer_that_stops_reading(net: Network) -> None:
    """Its window is full: nothing of what is left to send goes out."""
    done = threading.Event()

    def script(peer: RawPeer) -> None:
        peer.accept()
        done.wait(PATIENCE)

    context = build_context(CTImageStorage, EXPLICIT)
    assoc = net.associate(net.listen(script), [context], **only(network_timeout=SECONDS))
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.3"
    dataset.PixelData = bytes(30_000_000)
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    with takes():
        assert len(assoc.send_c_store(dataset)) == 0
    assert timed_out(assoc, "network")
    assert "stopped reading" in str(assoc.failure)
    done.set()


def test_a_peer_of_an_acceptor_that_stops_reading(net: Network) -> None:
    accepted = Accepted()
    answer = Dataset()
    answer.EncapsulatedDocument = bytes(30_000_000)
    handlers = [*accepted.handlers, (evt.EVT_N_GET, lambda event: (0x0000, answer))]
    server = net.serve(handlers, [MPPS], **only(network_timeout=SECONDS))
    peer = net.connect(server)
    peer.request(MPPS)
    command = {
        e.REQUESTED_SOP_CLASS_UID: str(MPPS),
        e.COMMAND_FIELD: 0x0110,
        e.MESSAGE_ID: 1,
        e.REQUESTED_SOP_INSTANCE_UID: "1.2.3",
    }
    with takes():
        peer.send_message(command)
        assert accepted.closed.wait(PATIENCE)
    assert timed_out(accepted.assoc, "network")


# -- The release


def test_no_answer_to_the_release(net: Network) -> None:
    seen: list[int] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        seen.extend(peer.read_pdu()[0] for _ in range(2))

    assoc = net.associate(net.listen(script), [Verification], **only(acse_timeout=SECONDS))
    with takes():
        assoc.release()
    assert timed_out(assoc, "acse")
    assert not assoc.is_released
    assert eventually(lambda: seen == [A_RELEASE_RQ, A_ABORT])


def test_no_answer_to_the_release_of_an_acceptor(net: Network) -> None:
    accepted = Accepted()
    server = net.serve(accepted.handlers, [Verification], **only(acse_timeout=SECONDS))
    peer = net.connect(server)
    peer.request(Verification)
    assert eventually(lambda: accepted.assoc.is_established)
    with takes():
        accepted.assoc.release()
    assert timed_out(accepted.assoc, "acse")
    assert [peer.read_pdu()[0] for _ in range(2)] == [A_RELEASE_RQ, A_ABORT]


def test_a_peer_that_stays_after_the_end_is_hung_up_on(net: Network) -> None:
    """Sta13: whoever does not close is waited for a moment, then the connection is closed (AA-2)."""
    accepted = Accepted()
    peer = net.connect(net.serve(accepted.handlers, [Verification]))
    peer.request(Verification)
    peer.send(b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00")
    assert peer.read_pdu()[0] == 6
    assert peer.sock.recv(1) == b""
    assert accepted.closed.wait(PATIENCE)
    assert accepted.assoc.is_released
