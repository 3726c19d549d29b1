"""Files that are written while their data set comes: whole or not at all."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, Thread
from threading import enumerate as enumerate_threads
from time import monotonic, sleep
from typing import Any

import pytest

from dulcimer.data import filesink
from dulcimer.data.filesink import FileSink, NewFiles, make_file, write_all
from dulcimer.protocol.dimse import commands
from dulcimer.protocol.dimse.assembler import Assembler
from dulcimer.protocol.dimse.elements import COMMAND_DATA_SET_TYPE
from dulcimer.protocol.wire.reader import Fragment

HEAD = b"the head"


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    before = descriptors()
    yield
    assert descriptors() == before


@pytest.fixture(params=["unnamed", "named", "not on this file system", "no such flag"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The ways to make a file: with O_TMPFILE, and without where it is not supported."""
    if request.param == "named":
        monkeypatch.setattr(filesink, "_UNNAMED", None)
    elif request.param != "unnamed":
        number = errno.EOPNOTSUPP if request.param == "not on this file system" else errno.EISDIR
        real, flag = os.open, os.O_TMPFILE

        def refuse(path: str, flags: int, *args: Any, **settings: Any) -> int:
            if flags & flag == flag:
                raise OSError(number, os.strerror(number))
            return real(path, flags, *args, **settings)

        monkeypatch.setattr(os, "open", refuse)
    return str(request.param)


def fill(sink: FileSink, *pieces: bytes) -> None:
    for piece in pieces:
        sink.write(memoryview(piece))
    sink.flush()


def finish(sink: FileSink) -> None:
    """What happens when the data set is complete and somebody is given the request."""
    sink.close()
    sink.publish()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def longest_file(size: int) -> Iterator[None]:
    """Have the system write no further than to ``size``, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)


def test_head_and_data_set(tmp_path: Path, kind: str) -> None:
    sink = FileSink(tmp_path / "object", HEAD)
    fill(sink, b"one", b"", b"two")
    fill(sink, b"three")
    assert names(tmp_path) == [] if kind == "unnamed" else len(names(tmp_path)) == 1
    assert not (tmp_path / "object").exists()
    finish(sink)
    assert (tmp_path / "object").read_bytes() == HEAD + b"onetwothree"
    assert sink.size == 11
    assert names(tmp_path) == ["object"]
    assert (tmp_path / "object").stat().st_nlink == 1


def test_what_is_complete_and_seen_by_nobody_leaves_nothing(tmp_path: Path, kind: str) -> None:
    sink = FileSink(tmp_path / "object", HEAD)
    fill(sink, b"data")
    sink.close()
    assert not (tmp_path / "object").exists()
    sink.abort()
    assert names(tmp_path) == []


def test_it_is_published_once(tmp_path: Path, kind: str) -> None:
    sink = FileSink(tmp_path / "object", HEAD)
    finish(sink)
    (tmp_path / "object").unlink()
    sink.publish()
    sink.abort()
    assert names(tmp_path) == []


def test_a_name_that_must_be_free(tmp_path: Path, kind: str) -> None:
    """Whoever comes second may give another name."""
    for number in range(2):
        file = make_file(str(tmp_path))
        os.write(file.descriptor, b"%d" % number)
        assert Path(file.readable_as).read_bytes() == b"%d" % number
        if number:
            with pytest.raises(FileExistsError):
                file.publish_new(str(tmp_path / "0"))
        file.publish_new(str(tmp_path / str(number)))
    assert names(tmp_path) == ["0", "1"]
    assert [(tmp_path / name).read_bytes() for name in "01"] == [b"0", b"1"]


def test_views_may_change_after_the_flush(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "object", HEAD)
    buffer = bytearray(b"first")
    sink.write(memoryview(buffer))
    sink.flush()
    buffer[:] = b"xxxxx"
    finish(sink)
    assert (tmp_path / "object").read_bytes() == HEAD + b"first"


def test_a_file_that_is_there_is_replaced(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "object"
    target.write_bytes(b"before")
    with target.open("rb") as old:
        sink = FileSink(target, HEAD)
        fill(sink, b"new")
        assert target.read_bytes() == b"before"
        finish(sink)
        # Who has it open reads on in the old one.
        assert old.read() == b"before"
    assert target.read_bytes() == HEAD + b"new"
    assert names(tmp_path) == ["object"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path, kind: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    sink = FileSink(tmp_path / "link", HEAD)
    finish(sink)
    assert names(tmp_path) == ["link"]
    assert not (tmp_path / "link").is_symlink()


def test_a_long_name_is_replaced(tmp_path: Path, kind: str) -> None:
    target = tmp_path / ("n" * 250)
    for content in (b"one", b"two"):
        sink = FileSink(target, content)
        finish(sink)
    assert target.read_bytes() == b"two"
    assert len(names(tmp_path)) == 1


def test_a_relative_path(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for content in (b"one", b"two"):
        finish(FileSink("object", content))
    assert (tmp_path / "object").read_bytes() == b"two"
    assert names(tmp_path) == ["object"]


def test_abort_leaves_nothing(tmp_path: Path, kind: str) -> None:
    sink = FileSink(tmp_path / "object", HEAD)
    fill(sink, b"data")
    sink.write(memoryview(b"more"))
    sink.abort()
    sink.abort()
    assert names(tmp_path) == []


def test_the_folder_is_missing(tmp_path: Path, kind: str) -> None:
    with pytest.raises(FileNotFoundError):
        FileSink(tmp_path / "missing" / "object", HEAD)


def test_the_folder_is_a_file(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        FileSink(tmp_path / "file" / "object", HEAD)


def test_the_folder_goes_away(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    sink = FileSink(folder / "object", HEAD)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        finish(sink)
    sink.abort()


def test_the_target_is_a_folder(tmp_path: Path, kind: str) -> None:
    """close() fails, and nothing is left of the attempt."""
    (tmp_path / "object" / "inside").mkdir(parents=True)
    sink = FileSink(tmp_path / "object", HEAD)
    fill(sink, b"data")
    with pytest.raises(OSError):
        finish(sink)
    sink.abort()
    assert names(tmp_path) == ["object"]


def test_the_disk_is_full(tmp_path: Path, kind: str) -> None:
    sink = FileSink(tmp_path / "object", HEAD)
    with longest_file(10_000):
        fill(sink, bytes(5000))
        with pytest.raises(OSError):
            fill(sink, bytes(3000), bytes(3000))
        sink.abort()
    assert names(tmp_path) == []


def test_the_disk_is_full_at_the_end(tmp_path: Path, kind: str) -> None:
    sink = FileSink(tmp_path / "object", HEAD)
    with longest_file(100):
        sink.write(memoryview(bytes(200)))
        with pytest.raises(OSError):
            finish(sink)
        sink.abort()
    assert names(tmp_path) == []


def test_the_disk_is_full_as_an_association_sees_it(tmp_path: Path, kind: str) -> None:
    """The message is drained and carries the error."""
    assembler = Assembler(lambda command: None, lambda context, command: FileSink(tmp_path / "object", HEAD))
    command = memoryview(commands.encode({COMMAND_DATA_SET_TYPE: 1}))
    with longest_file(100):
        assert assembler.feed(Fragment(1, 3, command, True)) is None
        assert assembler.feed(Fragment(1, 0, memoryview(bytes(200)), True)) is None
        assembler.flush()
        message = assembler.feed(Fragment(1, 2, memoryview(bytes(200)), True))
    assert message is not None
    assert isinstance(message.error, OSError)
    assert message.sink is None
    assert names(tmp_path) == []


@pytest.mark.parametrize("function", ["fsync", "replace", "link"])
def test_the_system_fails_at_the_end(
    tmp_path: Path, kind: str, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **settings: Any) -> None:
        raise OSError(errno.EIO, "no")

    (tmp_path / "object").write_bytes(b"before")
    sink = FileSink(tmp_path / "object", HEAD, sync=True)
    monkeypatch.setattr(os, function, fail)
    if function == "link" and kind != "unnamed":
        finish(sink)
        return
    with pytest.raises(OSError):
        finish(sink)
    sink.abort()
    assert names(tmp_path) == ["object"]
    assert (tmp_path / "object").read_bytes() == b"before"


def test_closing_the_file_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As network file systems do when there was no room: the object must not seem to be there."""
    monkeypatch.setattr(filesink, "_UNNAMED", None)
    real = os.close

    def close(descriptor: int) -> None:
        real(descriptor)
        raise OSError(errno.EDQUOT, "no")

    sink = FileSink(tmp_path / "object", HEAD)
    monkeypatch.setattr(os, "close", close)
    with pytest.raises(OSError):
        finish(sink)
    assert names(tmp_path) == []
    monkeypatch.undo()
    monkeypatch.setattr(filesink, "_UNNAMED", None)
    file = make_file(str(tmp_path))
    monkeypatch.setattr(os, "close", close)
    file.discard()
    assert names(tmp_path) == []


def test_an_error_that_is_not_about_support_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **settings: Any) -> int:
        raise OSError(errno.EMFILE, "no")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OSError) as caught:
        make_file(str(tmp_path))
    monkeypatch.undo()
    assert caught.value.errno == errno.EMFILE


@pytest.mark.parametrize("most", [1, 2, 1024])
@pytest.mark.parametrize("at_once", [1, 5, 10_000])
def test_whatever_the_system_takes_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, at_once: int
) -> None:
    writev, write = os.writev, os.write
    monkeypatch.setattr(filesink, "_MOST_BUFFERS", most)
    monkeypatch.setattr(os, "writev", lambda d, buffers: writev(d, [b"".join(buffers)[:at_once]]))
    monkeypatch.setattr(os, "write", lambda d, data: write(d, data[:at_once]))
    pieces: list[bytes | memoryview] = [b"abc", b"", b"defgh", memoryview(b"ijklmnopq"), b"r"]
    path = tmp_path / "file"
    with path.open("wb") as file:
        write_all(file.fileno(), pieces)
    assert path.read_bytes() == b"abcdefghijklmnopqr"


def test_a_write_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "writev", lambda descriptor, buffers: 1)
    monkeypatch.setattr(os, "write", lambda descriptor, data: 0)
    with pytest.raises(OSError) as caught:
        write_all(0, [b"abc"])
    assert caught.value.errno == errno.ENOSPC


# ---- made ahead -----------------------------------------------------------------------------------------


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file takes so long to make that it is worth a thread's while."""
    monkeypatch.setattr("dulcimer.data.ahead.WORTH_IT", -1.0)


@pytest.mark.usefixtures("slow")
def test_files_made_ahead(tmp_path: Path, kind: str) -> None:
    files = NewFiles()
    for number in range(50):
        sink = FileSink(tmp_path / str(number), HEAD, files=files)
        fill(sink, b"%d" % number)
        finish(sink)
    files.close()
    files.close()
    wait_for_no_thread()
    assert names(tmp_path) == sorted(map(str, range(50)))
    for number in range(50):
        assert (tmp_path / str(number)).read_bytes() == HEAD + b"%d" % number


@pytest.mark.usefixtures("slow")
def test_a_folder_is_given_its_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever other threads do: another folder may be on another disk."""
    monkeypatch.setattr(filesink, "_UNNAMED", None)
    files, start, wrong = NewFiles(), Barrier(4), []

    def take(folder: Path) -> None:
        start.wait()
        for _ in range(150):
            file = files.take(str(folder))
            if os.path.dirname(str(file._name)) != str(folder):
                wrong.append(folder)
            file.discard()

    folders = [tmp_path / str(number) for number in range(4)]
    for folder in folders:
        folder.mkdir()
    threads = [Thread(target=take, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files.close()
    wait_for_no_thread()
    assert wrong == []
    assert [names(folder) for folder in folders] == [[]] * 4


@pytest.mark.usefixtures("slow")
def test_a_folder_that_is_missing_is_told_every_time(tmp_path: Path) -> None:
    files = NewFiles()
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            files.take(str(tmp_path / "missing"))
    (tmp_path / "missing").mkdir()
    files.take(str(tmp_path / "missing")).discard()
    files.close()
    wait_for_no_thread()


def no_room(*arguments: Any) -> int:
    raise OSError(errno.ENOSPC, "no room")


def test_a_file_is_prepared_and_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr("dulcimer.data.ahead.WORTH_IT", 60.0)
    files = NewFiles()
    files.prepare()
    files.rest()
    for number in range(4):
        sink = FileSink(tmp_path / str(number), HEAD, files=files)
        fill(sink, b"data")
        finish(sink)
        files.prepare()
    before = descriptors()
    files.rest()
    assert descriptors() == before - 1
    assert names(tmp_path) == list(map(str, range(4)))
    # It can fail, which is told when a file is asked for.
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", no_room)
        files.prepare()
        with pytest.raises(OSError, match="no room"):
            files.take(str(tmp_path))
    files.prepare()
    files.close()
    files.prepare()
    assert names(tmp_path) == list(map(str, range(4)))


def test_the_head_is_written_with_what_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def write(descriptor: int, buffers: list[bytes | memoryview]) -> None:
        calls.append(len(buffers))
        write_all(descriptor, buffers)

    monkeypatch.setattr(filesink, "write_all", write)
    sink = FileSink(tmp_path / "one", HEAD)
    sink.flush()
    assert calls == []
    sink.write(memoryview(b"data"))
    sink.flush()
    assert calls == [2]
    finish(sink)
    # And where nothing follows, at the end.
    empty = FileSink(tmp_path / "empty", HEAD)
    empty.flush()
    finish(empty)
    assert (tmp_path / "one").read_bytes() == HEAD + b"data"
    assert (tmp_path / "empty").read_bytes() == HEAD


def test_the_path_is_given_back_as_it_came(tmp_path: Path) -> None:
    path = tmp_path / "one"
    for given in (path, str(path)):
        sink = FileSink(given, HEAD)
        assert sink.target == path
        assert isinstance(sink.target, Path)
        sink.abort()


def wait_for_no_thread() -> None:
    deadline = monotonic() + 5
    while any(thread.name == "dulcimer-ahead" for thread in enumerate_threads()):
        assert monotonic() < deadline
        sleep(0.002)
