"""Storage by ``dulcimer serve``: whatever comes is kept as it came, and what was acknowledged stays."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

from node import rawpeer
from node.objects import (
    CT_IMAGE,
    MPPS,
    MPPS_RETRIEVE,
    PATIENT_ID,
    PATIENT_NAME,
    SECONDARY_CAPTURE,
    completion,
    data_set_of,
    instance,
    new_step,
)
from node.rawpeer import STATUS, RawPeer
from node.served import Served, run, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
DATA_SET_DOES_NOT_MATCH = 0xA900

JPEG_2000 = "1.2.840.10008.1.2.4.90"
PRIVATE_CLASS = "1.2.840.113619.4.26"
UNKNOWN_CLASS = "1.2.840.10008.5.1.4.1.1.999.7"
UNKNOWN_SYNTAX = "1.2.840.10008.1.2.4.999"
PRIVATE_SYNTAX = "1.3.46.670589.33.1.4.1"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("storage") / "data") as served:
        yield served


def fresh_uid() -> str:
    return f"2.25.{random.getrandbits(120)}"


def indexed(data: Path, uid: str) -> list[tuple[str, str, str, int]]:
    """What the index says about an instance, read without code of the package."""
    with closing(sqlite3.connect(data / "index.sqlite")) as connection:
        return connection.execute(
            "SELECT path, sop_class_uid, transfer_syntax_uid, size FROM instances WHERE sop_instance_uid=?",
            (uid,),
        ).fetchall()


def stored_as(data: Path, uid: str) -> bytes:
    """The data set that the index has for an instance."""
    # With durability "off" the row comes a moment after the answer.
    until(lambda: bool(indexed(data, uid)))
    ((path, *_),) = indexed(data, uid)
    return data_set_of((data / "objects" / path).read_bytes())


# -- Whatever comes


@pytest.mark.parametrize("sop_class", [SECONDARY_CAPTURE, PRIVATE_CLASS, UNKNOWN_CLASS])
@pytest.mark.parametrize(
    "syntax", [rawpeer.IMPLICIT, rawpeer.EXPLICIT, JPEG_2000, UNKNOWN_SYNTAX, PRIVATE_SYNTAX]
)
def test_any_class_in_any_transfer_syntax_bit_for_bit(node: Served, sop_class: str, syntax: str) -> None:
    uid = fresh_uid()
    pixels = random.randbytes(50_000)
    data = instance(uid, sop_class=sop_class, pixels=pixels, implicit=syntax == rawpeer.IMPLICIT)
    with RawPeer(node.address) as peer:
        peer.associate((sop_class, [syntax]))
        assert peer.accepted == {1: syntax}
        assert peer.store(1, sop_class, uid, data, piece=9_973)[STATUS] == SUCCESS
        # When Success is there, so is the object: no waiting for the release.
        ((_, class_found, syntax_found, size),) = indexed(node.data, uid)
        assert (class_found, syntax_found, size) == (sop_class, syntax, len(data))
        assert stored_as(node.data, uid) == data
        peer.release()


def test_the_file_says_what_it_is_and_where_it_came_from(node: Served) -> None:
    from pydicom import dcmread

    uid = fresh_uid()
    with RawPeer(node.address) as peer:
        peer.associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]), calling="MODALITY 7")
        peer.store(1, SECONDARY_CAPTURE, uid, instance(uid))
        peer.release()
    ((path, *_),) = indexed(node.data, uid)
    meta = dcmread(node.data / "objects" / path).file_meta
    assert meta.MediaStorageSOPInstanceUID == uid
    assert meta.MediaStorageSOPClassUID == SECONDARY_CAPTURE
    assert meta.TransferSyntaxUID == rawpeer.EXPLICIT
    assert meta.SourceApplicationEntityTitle == "MODALITY 7"


def test_the_first_transfer_syntax_that_a_peer_proposes_is_taken(node: Served) -> None:
    with RawPeer(node.address) as peer:
        peer.associate((CT_IMAGE, [JPEG_2000, rawpeer.EXPLICIT, rawpeer.IMPLICIT]))
        assert peer.accepted == {1: JPEG_2000}
        peer.release()


def test_a_class_that_is_no_storage_class_is_not_accepted(node: Served) -> None:
    hanging_protocols, color_palettes = "1.2.840.10008.5.1.4.38.2", "1.2.840.10008.5.1.4.39.2"
    implants, inventories = "1.2.840.10008.5.1.4.43.2", "1.2.840.10008.5.1.4.1.1.201.2"
    with RawPeer(node.address) as peer:
        peer.associate(
            *(
                (uid, [rawpeer.IMPLICIT])
                for uid in (hanging_protocols, color_palettes, implants, inventories)
            ),
            (rawpeer.VERIFICATION, [rawpeer.IMPLICIT]),
        )
        assert peer.refused == dict.fromkeys((1, 3, 5, 7), rawpeer.ABSTRACT_SYNTAX_NOT_SUPPORTED)
        assert peer.echo(9) == SUCCESS
        peer.release()


def test_an_instance_of_a_thousand_fragments(node: Served) -> None:
    uid = fresh_uid()
    data = instance(uid, pixels=random.randbytes(100_000))
    with RawPeer(node.address) as peer:
        peer.associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]))
        assert peer.store(1, SECONDARY_CAPTURE, uid, data, piece=100)[STATUS] == SUCCESS
        peer.release()
    assert stored_as(node.data, uid) == data


def test_an_empty_data_set_is_answered(node: Served) -> None:
    with RawPeer(node.address) as peer:
        peer.associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]), (rawpeer.VERIFICATION, [rawpeer.IMPLICIT]))
        peer.begin_store(1, SECONDARY_CAPTURE, fresh_uid())
        peer.send_data(1, b"")
        assert STATUS in peer.response()
        assert peer.echo(3) == SUCCESS
        peer.release()


# -- The same again


def test_the_same_instance_again_loses_nothing_and_keeps_one_copy(node: Served) -> None:
    uid = fresh_uid()
    data = instance(uid)
    with RawPeer(node.address) as peer:
        peer.associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]))
        for _ in range(3):
            assert peer.store(1, SECONDARY_CAPTURE, uid, data)[STATUS] == SUCCESS
        peer.release()
    assert stored_as(node.data, uid) == data
    assert len([path for path in node.objects() if path.name.startswith(uid)]) == 1
    assert node.incoming() == []


def test_other_content_under_a_known_uid_keeps_both(node: Served) -> None:
    uid = fresh_uid()
    old, new = instance(uid, pixels=b"old "), instance(uid, pixels=b"new!")
    with RawPeer(node.address) as peer:
        peer.associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]))
        assert peer.store(1, SECONDARY_CAPTURE, uid, old)[STATUS] == SUCCESS
        assert peer.store(1, SECONDARY_CAPTURE, uid, new)[STATUS] == SUCCESS
        peer.release()
    assert stored_as(node.data, uid) == new
    kept = [data_set_of(path.read_bytes()) for path in node.objects() if path.name.startswith(uid)]
    assert sorted(kept) == sorted([old, new])
    assert uid in node.wait_for_log("came again with other content")


def test_a_data_set_of_another_instance_than_the_command_is_refused(node: Served) -> None:
    uid = fresh_uid()
    with RawPeer(node.address) as peer:
        peer.associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]))
        answer = peer.store(1, SECONDARY_CAPTURE, uid, instance("2.25.999"))
        assert answer[STATUS] == DATA_SET_DOES_NOT_MATCH
        assert "another SOP instance" in str(answer[rawpeer.ERROR_COMMENT])
        assert peer.store(1, SECONDARY_CAPTURE, uid, instance(uid))[STATUS] == SUCCESS
        peer.release()
    assert len(node.log_lines(having=f"C-STORE of {uid} failed with A900")) == 1


@pytest.mark.parametrize("garbage", [b"\xff" * 1001, b"\x08\x00\x16\x00UI\xf0\xff1.2", bytes(64)])
def test_a_data_set_that_does_not_decode_is_kept_and_said(node: Served, garbage: bytes) -> None:
    uid = fresh_uid()
    with RawPeer(node.address) as peer:
        peer.associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]), (rawpeer.VERIFICATION, [rawpeer.IMPLICIT]))
        assert peer.store(1, SECONDARY_CAPTURE, uid, garbage)[STATUS] == SUCCESS
        assert peer.echo(3) == SUCCESS
        peer.release()
    assert stored_as(node.data, uid) == garbage
    assert "cannot be decoded" in node.wait_for_log(uid)
    assert len(node.log_lines(having=uid)) == 1


def test_a_data_set_in_another_encoding_than_was_negotiated(node: Served) -> None:
    """Decoders warn of such things, and quote values while they do."""
    uid = fresh_uid()
    data = instance(uid, implicit=True).replace(b"2026112", b"2026XY2")
    with RawPeer(node.address) as peer:
        peer.associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]))
        assert peer.store(1, SECONDARY_CAPTURE, uid, data)[STATUS] == SUCCESS
        peer.release()
    assert stored_as(node.data, uid) == data
    assert "Warning" not in node.log
    assert not any(word in node.log for word in (*PATIENT_NAME.split("^"), PATIENT_ID, "2026XY2"))


def test_twenty_peers_at_once(node: Served) -> None:
    def send(number: int) -> dict[str, bytes]:
        sent = {}
        with RawPeer(node.address, timeout=40) as peer:
            peer.associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]))
            for _ in range(5):
                uid = fresh_uid()
                sent[uid] = instance(uid, study=f"2.25.{number}", pixels=random.randbytes(10_000))
                assert peer.store(1, SECONDARY_CAPTURE, uid, sent[uid])[STATUS] == SUCCESS
            peer.release()
        return sent

    with ThreadPoolExecutor(20) as pool:
        for sent in pool.map(send, range(20)):
            for uid, data in sent.items():
                assert stored_as(node.data, uid) == data


def test_a_command_without_an_instance(node: Served) -> None:
    with RawPeer(node.address) as peer:
        peer.associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]), (rawpeer.VERIFICATION, [rawpeer.IMPLICIT]))
        assert peer.store(1, SECONDARY_CAPTURE, "", instance())[STATUS] == 0x0117
        assert peer.echo(3) == SUCCESS
        peer.release()


@pytest.mark.parametrize("uid", ["../../../etc/passwd", "1.2/3", "...", "a b", "1" * 64])
def test_a_uid_never_becomes_a_path(node: Served, uid: str) -> None:
    data = instance(fresh_uid())[8:]  # cut, so that the data set names no other instance
    with RawPeer(node.address) as peer:
        peer.associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]))
        peer.store(1, SECONDARY_CAPTURE, uid, data)
        peer.release()
    assert all((node.data / "objects") in path.parents for path in node.data.parent.rglob("*.dcm"))


# -- Half received


def test_what_is_half_received_is_seen_by_nobody(node: Served) -> None:
    uid = fresh_uid()
    data = instance(uid, pixels=random.randbytes(100_000))
    with RawPeer(node.address) as peer:
        peer.associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]))
        peer.begin_store(1, SECONDARY_CAPTURE, uid)
        peer.send_data(1, data[:50_000], last=False)
        until(lambda: node.being_received() == 1)
        assert indexed(node.data, uid) == []
        assert not [path for path in node.objects() if uid in path.name]
    # The connection is lost, and with it what had come.
    until(lambda: node.incoming() == [])
    assert indexed(node.data, uid) == []
    node.wait_for_log("connection")
    assert rawpeer.echo(node.address) == SUCCESS


# -- Killed


class Traffic:
    """Stores without end and keeps account of what was acknowledged."""

    def __init__(self, node: Served) -> None:
        self.acknowledged: dict[str, bytes] = {}
        self.enough = Event()
        self._node = node
        self._thread = Thread(target=self._run)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with RawPeer(self._node.address) as peer:
                peer.associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]))
                while True:
                    uid = fresh_uid()
                    data = instance(uid, pixels=random.randbytes(20_000))
                    if peer.store(1, SECONDARY_CAPTURE, uid, data)[STATUS] == SUCCESS:
                        self.acknowledged[uid] = data
                    if len(self.acknowledged) >= 40:
                        self.enough.set()
        except (EOFError, OSError):
            return


@pytest.mark.parametrize("durability", ["full", "file", "off"])
def test_killed_and_started_again_everything_acknowledged_is_there(tmp_path: Path, durability: str) -> None:
    options = ("--durability", durability)
    half = fresh_uid()
    with Served(tmp_path / "data", *options) as node:
        traffic = [Traffic(node) for _ in range(2)]
        with RawPeer(node.address) as slow:
            slow.associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]))
            slow.begin_store(1, SECONDARY_CAPTURE, half)
            slow.send_data(1, instance(half, pixels=bytes(40_000))[:20_000], last=False)
            assert all(one.enough.wait(40) for one in traffic)
            node.kill()
        for one in traffic:
            one.join()
    acknowledged = traffic[0].acknowledged | traffic[1].acknowledged
    assert len(acknowledged) >= 80

    with Served(tmp_path / "data", *options) as node:
        # Files without a name go with the process; where there are none, the start removes them.
        assert node.incoming() == []
        with closing(sqlite3.connect(node.data / "index.sqlite")) as connection:
            found = dict(connection.execute("SELECT sop_instance_uid, path FROM instances").fetchall())
        missing = acknowledged.keys() - found.keys()
        assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged objects are lost"
        for uid, data in acknowledged.items():
            assert data_set_of((node.data / "objects" / found[uid]).read_bytes()) == data
        assert half not in found
        # Objects that were not acknowledged may be there as well, but whole and in the index.
        assert {str(path.relative_to(node.data / "objects")) for path in node.objects()} == set(
            found.values()
        )
        listed = json.loads(run("list", "studies", "--data", str(node.data), "--json").out)
        assert sum(study["instances"] for study in listed) == len(found)
        assert node.stop() == 0


def test_killed_while_steps_are_reported(tmp_path: Path) -> None:
    from dulcimer import AE

    def associate(node: Served):  # type: ignore[no-untyped-def]
        ae = AE()
        ae.add_requested_context(MPPS)
        ae.add_requested_context(MPPS_RETRIEVE)
        association = ae.associate(*node.address)
        assert association.is_established
        return association

    created, completed = fresh_uid(), fresh_uid()
    with Served(tmp_path / "data") as node:
        association = associate(node)
        for uid in (created, completed):
            assert association.send_n_create(new_step(), MPPS, uid)[0].Status == SUCCESS
        assert association.send_n_set(completion(), MPPS, completed)[0].Status == SUCCESS
        node.kill()
        association.abort()
    with Served(tmp_path / "data") as node:
        association = associate(node)
        for uid, state in ((created, "IN PROGRESS"), (completed, "COMPLETED")):
            status, found = association.send_n_get([], MPPS_RETRIEVE, uid)
            assert status.Status == SUCCESS
            assert found is not None
            assert found.PerformedProcedureStepStatus == state
        assert association.send_n_set(completion(), MPPS, completed)[0].ErrorID == 0xA710
        assert association.send_n_set(completion(), MPPS, created)[0].Status == SUCCESS
        association.release()


# -- The disk is full


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system of 3 MB."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("no right to mount a small file system here; the test with a limit stands for this one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _goes_on_after_refusals(node: Served, words: str) -> None:
    with RawPeer(node.address) as peer:
        peer.associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]), (rawpeer.VERIFICATION, [rawpeer.IMPLICIT]))
        small, large = fresh_uid(), fresh_uid()
        assert peer.store(1, SECONDARY_CAPTURE, small, instance(small))[STATUS] == SUCCESS
        for _ in range(2):
            answer = peer.store(1, SECONDARY_CAPTURE, large, instance(large, pixels=bytes(4_000_000)))
            assert answer[STATUS] == OUT_OF_RESOURCES
            assert words in str(answer[rawpeer.ERROR_COMMENT])
        # The room is free again, on the same association.
        again = fresh_uid()
        assert peer.store(1, SECONDARY_CAPTURE, again, instance(again))[STATUS] == SUCCESS
        assert peer.echo(3) == SUCCESS
        peer.release()
    assert node.incoming() == []
    assert indexed(node.data, large) == []
    assert stored_as(node.data, again) == instance(again)
    assert stored_as(node.data, small) == instance(small)
    lines = node.log_lines(having=large)
    assert len(lines) == 2, node.log
    assert all(f"failed with A700: {words}" in line and "RAWPEER@" in line for line in lines)
    assert "Traceback" not in node.log


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root mounts")
@pytest.mark.parametrize("durability", ["full", "off"])
def test_a_full_disk(tmp_path: Path, durability: str) -> None:
    options = ("--durability", durability)
    with (
        small_disk(tmp_path / "disk") as disk,
        Served(disk / "data", *options, log_folder=tmp_path) as node,
    ):
        _goes_on_after_refusals(node, "No space left on device")
        assert node.stop() == 0


def test_a_file_that_may_not_become_so_long(tmp_path: Path) -> None:
    with Served(tmp_path / "data", file_size_limit=3_000_000) as node:
        _goes_on_after_refusals(node, "File too large")
        assert node.stop() == 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root mounts")
def test_a_disk_too_full_for_the_index(tmp_path: Path) -> None:
    """Not one byte is left: neither file nor row can be written, and both come back."""
    with small_disk(tmp_path / "disk") as disk, Served(disk / "data", log_folder=tmp_path) as node:
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        from dulcimer import AE

        ae = AE()
        ae.add_requested_context(MPPS)
        ae.add_requested_context(SECONDARY_CAPTURE, rawpeer.EXPLICIT)
        association = ae.associate(*node.address)
        step = fresh_uid()
        status, _ = association.send_n_create(new_step(), MPPS, step)
        assert status.Status == 0x0110
        assert "full" in status.ErrorComment
        with RawPeer(node.address) as peer:
            peer.associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]))
            uid = fresh_uid()
            assert peer.store(1, SECONDARY_CAPTURE, uid, instance(uid))[STATUS] == OUT_OF_RESOURCES
            ballast.unlink()
            assert peer.store(1, SECONDARY_CAPTURE, uid, instance(uid))[STATUS] == SUCCESS
            peer.release()
        status, _ = association.send_n_create(new_step(), MPPS, step)
        assert status.Status == SUCCESS
        association.release()
        assert "Traceback" not in node.log
        assert node.stop() == 0
