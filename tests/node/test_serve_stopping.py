"""SIGTERM and Ctrl-C: what is running is finished, what is new is refused."""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from node import rawpeer
from node.objects import SECONDARY_CAPTURE, data_set_of, instance
from node.rawpeer import ABORT, ASSOCIATE_RJ, STATUS, RawPeer
from node.served import Served

if TYPE_CHECKING:
    from pathlib import Path

SUCCESS = 0x0000


def refused(node: Served) -> bool:
    """Whether a new peer gets no association: no connection, or a rejection for the time being."""
    try:
        with RawPeer(node.address, timeout=5) as peer:
            kind, body = peer.request((rawpeer.VERIFICATION, [rawpeer.IMPLICIT]))
    except (OSError, EOFError):
        return True
    return kind == ASSOCIATE_RJ and body[1] == 2


def storing(node: Served, uid: str, data: bytes) -> RawPeer:
    """Begin to store an object."""
    peer = RawPeer(node.address).associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]))
    peer.begin_store(1, SECONDARY_CAPTURE, uid)
    peer.send_data(1, data[: len(data) // 2], last=False)
    return peer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_the_object_under_way_is_stored_and_nothing_new_begins(
    tmp_path: Path, number: signal.Signals
) -> None:
    data = instance("2.25.1", pixels=random.randbytes(60_000))
    with Served(tmp_path / "data") as node:
        with storing(node, "2.25.1", data) as peer:
            node.send(number)
            node.wait_for_log("stopping: waiting for 1 association")
            assert refused(node)
            assert node.process.poll() is None
            peer.send_data(1, data[len(data) // 2 :])
            assert peer.response()[STATUS] == SUCCESS
            peer.release()
        assert node.wait() == 0
        (stored,) = node.objects()
        assert data_set_of(stored.read_bytes()) == data
        assert node.log.splitlines()[-1].endswith("stopped")
        assert "Traceback" not in node.log


def test_an_association_without_work_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    with Served(tmp_path / "data") as node:
        with RawPeer(node.address) as idle:
            idle.associate((rawpeer.VERIFICATION, [rawpeer.IMPLICIT]))
            began = time.monotonic()
            node.send()
            kind, _ = idle.receive()
            assert kind == ABORT
            assert node.wait() == 0
        assert time.monotonic() - began < 5


def test_who_does_not_end_in_time_is_aborted(tmp_path: Path) -> None:
    data = instance("2.25.1", pixels=bytes(60_000))
    with Served(tmp_path / "data", "--drain-timeout", "1.0") as node:
        with storing(node, "2.25.1", data) as peer:
            began = time.monotonic()
            node.send()
            assert peer.receive()[0] == ABORT
            assert 0.9 < time.monotonic() - began < 3
        assert node.wait() == 0
        assert node.objects() == []
        assert node.incoming() == []
        assert "stopped after aborting" in node.log.splitlines()[-1]


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with Served(tmp_path / "data") as node:
        with storing(node, "2.25.1", instance("2.25.1", pixels=bytes(60_000))) as peer:
            node.send(signal.SIGINT)
            node.wait_for_log("stopping")
            began = time.monotonic()
            node.send(signal.SIGINT)
            assert peer.receive()[0] == ABORT
        assert node.wait() == 0
        assert time.monotonic() - began < 4
        assert "Traceback" not in node.log


def test_the_next_start_has_nothing_to_mend(tmp_path: Path) -> None:
    with Served(tmp_path / "data", "--durability", "off") as node:
        with RawPeer(node.address) as peer:
            peer.associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]))
            for number in range(20):
                uid = f"2.25.{number}"
                assert peer.store(1, SECONDARY_CAPTURE, uid, instance(uid))[STATUS] == SUCCESS
            peer.release()
        assert node.stop() == 0
        assert (node.data / "node.lock").read_bytes() == b""
        # The write-ahead log is in the database: one file to copy.
        assert not (node.data / "index.sqlite-wal").exists()
    with Served(tmp_path / "data") as node:
        assert "indexed" not in node.log
        assert "removed" not in node.log
