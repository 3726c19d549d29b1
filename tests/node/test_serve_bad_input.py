"""What ``dulcimer serve`` does with peers that do not speak DICOM, stop in the middle or claim too much: they
get what PS3.8 prescribes, the operator gets one line, everybody else is served."""

from __future__ import annotations

import os
import random
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from node import rawpeer
from node.objects import MPPS, SECONDARY_CAPTURE, instance
from node.rawpeer import ABORT, ASSOCIATE_RJ, P_DATA, STATUS, RawPeer, associate_request, p_data, pdu
from node.served import Served, until

if TYPE_CHECKING:
    from collections.abc import Iterator

SUCCESS = 0x0000
SERVICE_USER, SERVICE_PROVIDER = 0, 2
UNRECOGNIZED_PDU, UNEXPECTED_PDU, INVALID_PARAMETER = 1, 2, 6
ACSE_TIMEOUT, DIMSE_TIMEOUT, IDLE_TIMEOUT = 1.0, 1.5, 2.5


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    options = (
        f"--acse-timeout={ACSE_TIMEOUT}",
        f"--dimse-timeout={DIMSE_TIMEOUT}",
        f"--idle-timeout={IDLE_TIMEOUT}",
    )
    with Served(tmp_path_factory.mktemp("bad") / "data", *options) as served:
        served.sockets_at_rest = _sockets(served)
        yield served
        assert "Traceback" not in served.log


@pytest.fixture(autouse=True)
def alive(node: Served) -> Iterator[None]:
    """Whatever a test did, the node answers the next peer and has no thread of the last one."""
    yield
    assert rawpeer.echo(node.address) == SUCCESS
    assert node.process.poll() is None


class Lines:
    """The lines of the log since now."""

    def __init__(self, node: Served) -> None:
        self._node = node
        self._before = len(node.log_lines())

    def one_about(self, port: int) -> str:
        """Return the only line about the peer at a port."""

        def found() -> list[str]:
            return [line for line in self._node.log_lines()[self._before :] if f":{port}" in line]

        until(lambda: bool(found()), complaint=lambda: f"no line about :{port}\n{self._node.log}")
        time.sleep(0.1)
        assert len(found()) == 1, found()
        (line,) = found()
        return line


def associated(node: Served) -> RawPeer:
    return RawPeer(node.address).associate(
        (rawpeer.VERIFICATION, [rawpeer.IMPLICIT]),
        (SECONDARY_CAPTURE, [rawpeer.EXPLICIT]),
        (MPPS, [rawpeer.EXPLICIT]),
    )


def port_of(peer: RawPeer) -> int:
    return int(peer.socket.getsockname()[1])


# -- Before there is an association


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: pacs.example\r\nAccept: */*\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),  # TLS ClientHello
        b"SSH-2.0-OpenSSH_9.6\r\n",
        bytes(64),
        b"\xff" * 5000,
        *(random.Random(seed).randbytes(2000) for seed in range(20)),
    ],
    ids=lambda garbage: garbage[:4].hex(),
)
def test_what_is_no_dicom_is_aborted(node: Served, garbage: bytes) -> None:
    # A first byte of 1 to 7 would make it a PDU that has to be waited for: those have tests of their own.
    if 1 <= garbage[0] <= 7:
        garbage = b"\x00" + garbage[1:]
    lines = Lines(node)
    with RawPeer(node.address) as peer:
        port = port_of(peer)
        peer.send(garbage)
        kind, body = peer.receive()
        # Table 9-10: in Sta2 an unrecognized PDU is answered with A-ABORT (AA-1).
        assert kind == ABORT
        assert body[2] in {SERVICE_USER, SERVICE_PROVIDER}
        assert body[3] in {0, UNRECOGNIZED_PDU}
    line = lines.one_about(port)
    assert "127.0.0.1" in line
    assert "WARNING" in line


@pytest.mark.parametrize("kind", range(1, 8))
def test_a_pdu_that_claims_4_gib_is_refused_before_it_comes(node: Served, kind: int) -> None:
    before = node.resident_kb()
    lines = Lines(node)
    with RawPeer(node.address) as peer:
        port = port_of(peer)
        peer.send(struct.pack(">BBI", kind, 0, 0xFFFFFFFF) + bytes(1000))
        began = time.monotonic()
        assert peer.receive()[0] == ABORT
        # At once, not when a timer runs out.
        assert time.monotonic() - began < ACSE_TIMEOUT / 2
    assert node.resident_kb() - before < 20_000
    assert "WARNING" in lines.one_about(port)


def test_a_pdu_that_has_no_place_before_the_association(node: Served) -> None:
    for head in (P_DATA, rawpeer.RELEASE_RQ, rawpeer.RELEASE_RP, rawpeer.ASSOCIATE_AC):
        with RawPeer(node.address) as peer:
            fragment = struct.pack(">IBB", 4, 1, 3) + b"\x00\x00"
            body = {P_DATA: fragment, rawpeer.ASSOCIATE_AC: associate_request()[6:]}.get(head, bytes(4))
            peer.send(pdu(head, body))
            assert peer.receive()[0] == ABORT


def test_an_abort_before_the_association_is_only_a_closing(node: Served) -> None:
    with RawPeer(node.address) as peer:
        peer.send(pdu(ABORT, bytes(4)))
        assert peer.ends()


@pytest.mark.parametrize("cut", [1, 5, 6, 40, 150])
def test_a_request_that_stops_in_the_middle(node: Served, cut: int) -> None:
    """The ARTIM timer ends the waiting (AA-2: close, without a PDU)."""
    lines = Lines(node)
    with RawPeer(node.address) as peer:
        port = port_of(peer)
        peer.send(associate_request((rawpeer.VERIFICATION, [rawpeer.IMPLICIT]))[:cut])
        began = time.monotonic()
        assert peer.ends()
        waited = time.monotonic() - began
    assert ACSE_TIMEOUT * 0.9 < waited < ACSE_TIMEOUT * 1.1 + 0.5
    assert "1" in lines.one_about(port)


def test_a_request_that_is_cut_off_by_a_close(node: Served) -> None:
    lines = Lines(node)
    with RawPeer(node.address) as peer:
        port = port_of(peer)
        peer.send(associate_request((rawpeer.VERIFICATION, [rawpeer.IMPLICIT]))[:100])
    assert "WARNING" in lines.one_about(port)


def test_a_connection_on_which_nobody_speaks(node: Served) -> None:
    lines = Lines(node)
    with RawPeer(node.address) as peer:
        port = port_of(peer)
        began = time.monotonic()
        assert peer.ends()
        assert time.monotonic() - began < ACSE_TIMEOUT * 1.1 + 0.5
    assert "WARNING" in lines.one_about(port)


def test_a_port_scan_is_no_news(node: Served) -> None:
    """Load balancers look every few seconds whether a port is open: no warning for each."""
    with RawPeer(node.address) as peer:
        port = port_of(peer)
    assert rawpeer.echo(node.address) == SUCCESS
    until(lambda: _sockets(node) == node.sockets_at_rest)
    assert not node.log_lines(having=f":{port}")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        # Protocol version 2 only: rejected permanently by the ACSE provider, version not supported.
        (lambda raw: raw[:6] + b"\x00\x02" + raw[8:], (1, 2, 2)),
        # Another application context: rejected by the service user, application context not supported.
        (lambda raw: raw.replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.9"), (1, 1, 2)),
    ],
)
def test_a_request_that_cannot_be_met_is_rejected(
    node: Served, change: object, reason: tuple[int, int, int]
) -> None:
    assert callable(change)
    with RawPeer(node.address) as peer:
        peer.send(change(associate_request((rawpeer.VERIFICATION, [rawpeer.IMPLICIT]))))
        kind, body = peer.receive()
        assert (kind, tuple(body[1:])) == (ASSOCIATE_RJ, reason)


def test_item_lengths_that_do_not_add_up(node: Served) -> None:
    raw = bytearray(associate_request((rawpeer.VERIFICATION, [rawpeer.IMPLICIT])))
    raw[76:78] = b"\xff\xf0"  # the length of the application context item
    with RawPeer(node.address) as peer:
        peer.send(bytes(raw))
        # What is left of the request has an application context that nobody knows.
        assert peer.receive()[0] in (ABORT, ASSOCIATE_RJ)


# -- On an association


@pytest.mark.parametrize("kind", [0x00, 0x08, 0x47, 0xFF])
def test_an_unknown_pdu_on_an_association(node: Served, kind: int) -> None:
    lines = Lines(node)
    with associated(node) as peer:
        port = port_of(peer)
        peer.send(pdu(kind, bytes(10)))
        answer, body = peer.receive()
        # AA-8: A-ABORT of the service provider.
        assert (answer, body[2], body[3]) == (ABORT, SERVICE_PROVIDER, UNRECOGNIZED_PDU)
    assert "WARNING" in lines.one_about(port)


def test_an_unexpected_pdu_on_an_association(node: Served) -> None:
    with associated(node) as peer:
        peer.send(associate_request((rawpeer.VERIFICATION, [rawpeer.IMPLICIT])))
        kind, body = peer.receive()
        assert (kind, body[2], body[3]) == (ABORT, SERVICE_PROVIDER, UNEXPECTED_PDU)


def test_data_that_claims_4_gib_on_an_association(node: Served) -> None:
    before = node.resident_kb()
    lines = Lines(node)
    with associated(node) as peer:
        port = port_of(peer)
        peer.send(struct.pack(">BBIIBB", P_DATA, 0, 0xFFFFFFFF, 0xFFFFFFF0, 3, 0) + bytes(1000))
        kind, body = peer.receive()
        assert (kind, body[2]) == (ABORT, SERVICE_PROVIDER)
    assert node.resident_kb() - before < 20_000
    assert "WARNING" in lines.one_about(port)


@pytest.mark.parametrize(
    "content",
    [
        struct.pack(">IBB", 100, 1, 3) + bytes(10),  # an item that is longer than its PDU
        struct.pack(">I", 0),  # an item without context and header
        struct.pack(">IBB", 12, 99, 3) + bytes(10),  # a context that does not exist
        bytes(3),  # no whole item
    ],
    ids=["too long", "empty", "no context", "cut"],
)
def test_items_that_cannot_be(node: Served, content: bytes) -> None:
    with associated(node) as peer:
        peer.send(pdu(P_DATA, content))
        kind, body = peer.receive()
        assert (kind, body[2]) == (ABORT, SERVICE_PROVIDER)


@pytest.mark.parametrize("seed", range(10))
def test_a_command_set_of_random_bytes(node: Served, seed: int) -> None:
    with associated(node) as peer:
        peer.send(p_data(1, 0x03, random.Random(seed).randbytes(200)))
        assert peer.receive()[0] == ABORT


def test_a_request_that_its_context_does_not_carry(node: Served) -> None:
    """N-SET on Verification: there is no status for it, so the association ends."""
    lines = Lines(node)
    with associated(node) as peer:
        port = port_of(peer)
        peer.send_command(
            1,
            {
                rawpeer.REQUESTED_CLASS: MPPS,
                rawpeer.COMMAND_FIELD: 0x0120,
                rawpeer.MESSAGE_ID: 1,
                rawpeer.DATA_SET_TYPE: rawpeer.WITH_DATA_SET,
                rawpeer.REQUESTED_INSTANCE: "2.25.1",
            },
        )
        peer.send_data(1, b"\x08\x00\x05\x00CS\x00\x00")
        assert peer.receive()[0] == ABORT
    assert "N-SET" in lines.one_about(port)


def test_an_object_that_stops_in_the_middle(node: Served) -> None:
    lines = Lines(node)
    with associated(node) as peer:
        port = port_of(peer)
        peer.begin_store(3, SECONDARY_CAPTURE, "2.25.77")
        peer.send_data(3, instance("2.25.77", pixels=bytes(20_000))[:9_000], last=False)
        began = time.monotonic()
        assert peer.receive()[0] == ABORT
        waited = time.monotonic() - began
    assert DIMSE_TIMEOUT * 0.9 < waited < DIMSE_TIMEOUT * 1.1 + 0.5
    until(lambda: node.incoming() == [])
    line = lines.one_about(port)
    assert "RAWPEER@127.0.0.1" in line
    assert "1 half received and dropped" in line


def test_a_pdu_that_stops_in_the_middle(node: Served) -> None:
    with associated(node) as peer:
        whole = p_data(3, 0x03, bytes(500))
        peer.send(whole[:100])
        began = time.monotonic()
        assert peer.receive()[0] == ABORT
        assert time.monotonic() - began < max(DIMSE_TIMEOUT, IDLE_TIMEOUT) * 1.1 + 0.5


def test_a_peer_that_has_vanished(node: Served) -> None:
    """A half open connection: the other side lost power, nothing comes any more. The idle timeout ends it."""
    lines = Lines(node)
    with associated(node) as peer:
        port = port_of(peer)
        began = time.monotonic()
        assert peer.receive()[0] == ABORT
        waited = time.monotonic() - began
    assert IDLE_TIMEOUT * 0.9 < waited < IDLE_TIMEOUT * 1.1 + 0.5
    assert "RAWPEER@127.0.0.1" in lines.one_about(port)


def test_a_peer_that_only_closes_its_sending_side(node: Served) -> None:
    with associated(node) as peer:
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.ends()


def test_a_step_that_does_not_decode(node: Served) -> None:
    with associated(node) as peer:
        peer.send_command(
            5,
            {
                rawpeer.AFFECTED_CLASS: MPPS,
                rawpeer.COMMAND_FIELD: 0x0140,
                rawpeer.MESSAGE_ID: 1,
                rawpeer.DATA_SET_TYPE: rawpeer.WITH_DATA_SET,
                rawpeer.AFFECTED_INSTANCE: "2.25.4242",
            },
        )
        peer.send_data(5, b"\xff" * 501)
        answer = peer.response()
        assert answer[STATUS] in {0x0106, 0x0110, 0x0120, 0x0212}
        assert peer.echo(1) == SUCCESS
        peer.release()
    assert len(node.log_lines(having="N-CREATE of 2.25.4242 failed")) == 1


def test_more_contexts_than_there_can_be_ids(node: Served) -> None:
    """128 contexts are the most; all of them are looked at."""
    with RawPeer(node.address) as peer:
        peer.associate(*((f"1.2.826.0.1.3680043.9.{number}", [rawpeer.EXPLICIT]) for number in range(128)))
        assert len(peer.accepted) == 128
        peer.release()


def test_hundred_bad_peers_leave_nothing_behind(node: Served) -> None:
    for number in range(100):
        with RawPeer(node.address) as peer:
            peer.send(random.Random(number).randbytes(50))
    until(lambda: _sockets(node) == node.sockets_at_rest)
    # The main thread, and some that wait for the next peer.
    until(lambda: _threads(node) <= 8, complaint=lambda: f"{_threads(node)} threads")


def _threads(node: Served) -> int:
    return len(list(Path(f"/proc/{node.process.pid}/task").iterdir()))


def _sockets(node: Served) -> int:
    found = 0
    for descriptor in Path(f"/proc/{node.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found += os.readlink(descriptor).startswith("socket:")
    return found
