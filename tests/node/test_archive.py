"""Files, index and archive together, without a network."""

from __future__ import annotations

import os
import sqlite3
from io import BytesIO
from pathlib import Path
from threading import Barrier, Thread
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from sqlalchemy import text

from dulcimer.errors import Refused
from dulcimer.node.adapters.database import Database, open_to_read
from dulcimer.node.adapters.files import DataFolder, DataFolderError, ObjectStore
from dulcimer.node.adapters.index import IndexUnavailable, LaterIndex, SqlIndex, list_studies
from dulcimer.node.adapters.schema import METADATA
from dulcimer.node.config import Durability
from dulcimer.node.domain.archive import Archive
from dulcimer.node.domain.model import Stored
from dulcimer.node.domain.recovery import recover

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dulcimer.node.adapters.files import IncomingObject

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
EXPLICIT = "1.2.840.10008.1.2.1"


def encoded(uid: str = "2.25.1", *, study: str = "2.25.100", pixels: bytes = b"", history: int = 0) -> bytes:
    ds = Dataset()
    ds.SOPClassUID = SECONDARY_CAPTURE
    ds.SOPInstanceUID = uid
    ds.Modality = "OT"
    ds.PatientID = "P1"
    ds.PatientName = "Doe^Jane"
    if history:
        ds.add_new(0x00091001, "OB", b"h" * history)
    ds.StudyInstanceUID = study
    ds.SeriesInstanceUID = study + ".1"
    ds.add_new(0x7FE00010, "OB", pixels)
    stream = BytesIO()
    dcmwrite(stream, ds, implicit_vr=False, little_endian=True)
    return stream.getvalue()


class Place:
    """A data folder with everything on it."""

    def __init__(self, root: Path, durability: Durability = Durability.FULL) -> None:
        self.durability = durability
        self.folder = DataFolder(root)
        self.database = Database(self.folder.index, "FULL")
        later = durability is Durability.OFF
        self.index = LaterIndex(self.database) if later else SqlIndex(self.database)
        self.store = ObjectStore(self.folder, durability)
        self.archive = Archive(self.store, self.index)

    def close(self, *, clean: bool = True) -> None:
        self.index.close()
        self.database.close()
        self.folder.close(clean=clean)

    def receive(
        self, data: bytes, uid: str = "2.25.1", *, transfer_syntax: str = EXPLICIT, step: int = 1000
    ) -> IncomingObject:
        sink = self.store.receive(SECONDARY_CAPTURE, uid, transfer_syntax, "CT1")
        for at in range(0, len(data), step):
            sink.write(memoryview(data)[at : at + step])
            if at // step % 3 == 2:
                sink.flush()
        sink.close()
        return sink

    def put(self, data: bytes, uid: str = "2.25.1") -> Stored:
        return self.archive.store(self.receive(data, uid))

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with sqlite3.connect(self.folder.index) as connection:
            return connection.execute(query).fetchall()

    def objects(self) -> list[Path]:
        return sorted(self.folder.objects.rglob("*.dcm"))


@pytest.fixture(params=[Durability.FULL, Durability.FILE, Durability.OFF])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    made = Place(tmp_path / "data", request.param)
    yield made
    made.close()


@pytest.fixture
def sure(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "data")
    yield made
    made.close()


def test_stored_bit_for_bit_and_indexed(place: Place) -> None:
    data = encoded(pixels=os.urandom(300_000))
    assert place.put(data) is Stored.NEW
    (path,) = place.objects()
    assert path.read_bytes().endswith(data)
    meta = dcmread(path, stop_before_pixels=True).file_meta
    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == (SECONDARY_CAPTURE, "2.25.1")
    assert meta.TransferSyntaxUID == EXPLICIT
    assert list(place.folder.incoming.iterdir()) == []
    place.index.close()
    (study,) = place.index.studies()
    assert (study.patient_id, study.patient_name, study.modalities) == ("P1", "Doe^Jane", "OT")
    assert (study.series, study.instances, study.bytes) == (1, 1, len(data))


def test_the_same_again_changes_nothing(sure: Place) -> None:
    data = encoded()
    assert sure.put(data) is Stored.NEW
    before = sure.rows("SELECT * FROM instances")
    assert sure.put(data) is Stored.SAME
    assert sure.rows("SELECT * FROM instances") == before
    assert len(sure.objects()) == 1


def test_other_content_under_the_same_uid_keeps_both(sure: Place) -> None:
    old, new = encoded(pixels=b"old!"), encoded(pixels=b"new!", study="2.25.200")
    sure.put(old)
    assert sure.put(new) is Stored.CHANGED
    ((current, study),) = sure.rows("SELECT path, study_instance_uid FROM instances")
    ((former,),) = sure.rows("SELECT path FROM versions")
    assert (sure.folder.objects / str(current)).read_bytes().endswith(new)
    assert (sure.folder.objects / str(former)).read_bytes().endswith(old)
    assert study == "2.25.200"
    assert [study.study_instance_uid for study in sure.index.studies()] == ["2.25.200"]


def test_conflicts_are_settled_when_the_index_writes_later(tmp_path: Path) -> None:
    place = Place(tmp_path / "data", Durability.OFF)
    old, new = encoded(pixels=b"old!"), encoded(pixels=b"new!")
    for data in (old, old, new, new):
        assert place.put(data) is Stored.NEW
    place.close()
    assert len(place.objects()) == 2
    ((current,),) = place.rows("SELECT path FROM instances")
    assert (place.folder.objects / str(current)).read_bytes().endswith(new)


@pytest.mark.parametrize("history", [0, 100_000, 700_000, 2_000_000])
def test_attributes_are_found_however_far_in_they_are(place: Place, history: int) -> None:
    data = encoded(history=history, pixels=bytes(1000))
    place.archive.store(place.receive(data, step=16_000))
    place.index.close()
    assert [study.study_instance_uid for study in place.index.studies()] == ["2.25.100"]


def test_a_data_set_of_another_instance_is_refused(place: Place) -> None:
    with pytest.raises(Refused) as refusal:
        place.put(encoded("2.25.1"), "2.25.2")
    assert (refusal.value.status, refusal.value.offending) == (0xA900, (0x00080018,))
    assert place.objects() == []
    assert list(place.folder.incoming.iterdir()) == []


def test_what_cannot_be_decoded_is_kept_as_it_came(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    data = bytes(range(256)) * 40
    assert place.put(data) is Stored.NEW
    (path,) = place.objects()
    assert path.read_bytes().endswith(data)
    assert "cannot be decoded" in caplog.text
    place.index.close()
    assert place.rows("SELECT sop_instance_uid, study_instance_uid FROM instances") == [("2.25.1", "")]


@pytest.mark.parametrize("uid", ["../../../etc/passwd", "a/b", "..", ".", "2.25.1~2", "x" * 64])
def test_a_uid_is_never_a_path(place: Place, uid: str) -> None:
    place.archive.store(place.receive(b"\0" * 100, uid))
    (path,) = place.objects()
    assert path.name.startswith("uid-") or path.name in {"...dcm", "..dcm"}
    assert len(path.relative_to(place.folder.objects).parts) == 3


def test_an_aborted_object_leaves_nothing(place: Place) -> None:
    sink = place.store.receive(SECONDARY_CAPTURE, "2.25.1", EXPLICIT, "CT1")
    sink.write(memoryview(b"half"))
    sink.flush()
    sink.abort()
    sink.abort()
    assert list(place.folder.incoming.iterdir()) == []
    assert place.objects() == []


def test_a_full_disk_leaves_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = place.store.receive(SECONDARY_CAPTURE, "2.25.1", EXPLICIT, "CT1")

    def no_room(*_args: object) -> int:
        raise OSError(28, "No space left on device")

    sink.write(memoryview(encoded()))
    monkeypatch.setattr(os, "writev", no_room)
    sink.flush()
    # The peer goes on sending: what still comes is received for nothing.
    sink.write(memoryview(b"more"))
    sink.flush()
    sink.close()
    assert isinstance(sink.error, OSError)
    assert sink.error.errno == 28
    assert not sink.complete
    assert list(place.folder.incoming.iterdir()) == []


def test_a_file_that_cannot_be_made_is_told_at_the_end(place: Place) -> None:
    place.folder.incoming.rmdir()
    sink = place.store.receive(SECONDARY_CAPTURE, "2.25.1", EXPLICIT, "CT1")
    sink.write(memoryview(encoded()))
    sink.flush()
    sink.close()
    assert isinstance(sink.error, FileNotFoundError)


def test_a_flush_to_the_disk_that_fails_is_no_success(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = place.store.receive(SECONDARY_CAPTURE, "2.25.1", EXPLICIT, "CT1")
    sink.write(memoryview(encoded()))

    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    sink.close()
    monkeypatch.undo()
    if place.durability is Durability.OFF:
        assert sink.error is None
        sink.abort()
    else:
        assert isinstance(sink.error, OSError)
    assert list(place.folder.incoming.iterdir()) == []


def test_what_is_flushed_before_an_object_counts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    place.put(encoded())
    monkeypatch.undo()
    (path,) = place.objects()
    objects = place.folder.objects
    incoming = str(place.folder.incoming)
    kinds = [
        "file" if name.startswith(incoming) else str(Path(name).relative_to(objects)) for name in flushed
    ]
    day, bucket, _ = path.relative_to(objects).parts
    if place.durability is Durability.FULL:
        # The file; the folders that are new, in their parents; the name in its folder.
        assert kinds == ["file", day, ".", f"{day}/{bucket}"]
    else:
        assert kinds == (["file"] if place.durability is Durability.FILE else [])


def test_short_writes_go_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.writev

    def short(descriptor: int, buffers: list[bytes]) -> int:
        return real(descriptor, [bytes(buffers[0])[:7]])

    monkeypatch.setattr(os, "writev", short)
    data = encoded(pixels=os.urandom(5000))
    place.put(data)
    (path,) = place.objects()
    assert path.read_bytes().endswith(data)


def test_an_index_that_cannot_be_written_means_not_stored(
    sure: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sure.database.write() as connection:
        connection.execute(text("DROP TABLE instances"))
    with pytest.raises(IndexUnavailable, match="no such table") as error:
        sure.put(encoded())
    assert "P1" not in str(error.value)
    assert sure.objects() == []


def test_associations_share_commits_and_lose_nothing(sure: Place) -> None:
    together = Barrier(8)

    def send(number: int) -> None:
        together.wait()
        for count in range(20):
            uid = f"2.25.{number}.{count}"
            sure.put(encoded(uid), uid)

    threads = [Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sure.rows("SELECT count(*) FROM instances") == [(160,)]


def test_the_same_instance_from_many_sides_at_once(sure: Place) -> None:
    together = Barrier(6)
    outcomes: list[Stored] = []

    def send(number: int) -> None:
        sink = sure.receive(encoded(pixels=bytes([number % 2] * 100)))
        together.wait()
        outcomes.append(sure.archive.store(sink))

    threads = [Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(Stored.NEW) == 1
    assert sure.rows("SELECT count(*) FROM instances") == [(1,)]
    indexed = {path for (path,) in sure.rows("SELECT path FROM instances UNION SELECT path FROM versions")}
    assert {str(path.relative_to(sure.folder.objects)) for path in sure.objects()} == indexed


def test_recovery_indexes_what_was_renamed_and_removes_the_half_received(tmp_path: Path) -> None:
    place = Place(tmp_path / "data")
    assert place.folder.unclean_since is None
    place.put(encoded("2.25.1"), "2.25.1")
    place.store.place(place.receive(encoded("2.25.2"), "2.25.2"))
    half = place.store.receive(SECONDARY_CAPTURE, "2.25.3", EXPLICIT, "CT1")
    half.write(memoryview(b"half"))
    half.flush()
    place.close(clean=False)

    again = Place(tmp_path / "data")
    assert again.folder.unclean_since is not None
    recover(again.store, again.index, again.archive, again.folder.unclean_since)
    assert list(again.folder.incoming.iterdir()) == []
    assert again.rows("SELECT sop_instance_uid, study_instance_uid FROM instances ORDER BY 1") == [
        ("2.25.1", "2.25.100"),
        ("2.25.2", "2.25.100"),
    ]
    again.close()
    third = Place(tmp_path / "data")
    assert third.folder.unclean_since is None
    third.close()
    half.abort()


def test_one_node_per_folder(sure: Place) -> None:
    with pytest.raises(DataFolderError, match="another node is running"):
        DataFolder(sure.folder.root)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DataFolderError, match=r"cannot be written: .*--data"):
            DataFolder(tmp_path / "data")
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(DataFolderError, match=r"cannot be written: .*--data"):
        DataFolder(tmp_path / "data")


def test_migrations_make_the_tables_of_the_schema(sure: Place) -> None:
    engine = open_to_read(sure.folder.index)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_an_index_is_read_while_it_is_written(sure: Place) -> None:
    engine = open_to_read(sure.folder.index)
    sure.put(encoded())
    with sure.database.write() as connection:
        connection.execute(text("UPDATE studies SET patient_id = 'half done'"))
        assert [study.patient_id for study in list_studies(engine)] == ["P1"]
    engine.dispose()
