from __future__ import annotations

import os
from pathlib import Path

import pytest

from dulcimer.cli.scan import Sendable, Skipped, files, look_at, scan
from node.objects import CT_IMAGE, file_of, instance
from support.real_files import shipped

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "one.dcm"
    data = instance("2.25.7", sop_class=CT_IMAGE)
    path.write_bytes(file_of(data, "2.25.7", sop_class=CT_IMAGE, syntax="1.2.840.10008.1.2.4.999"))
    assert look_at(path) == Sendable(
        path, CT_IMAGE, "2.25.7", "1.2.840.10008.1.2.4.999", len(data), path.stat().st_size - len(data)
    )


@pytest.mark.parametrize("implicit", [True, False])
def test_a_file_without_a_header(tmp_path: Path, implicit: bool) -> None:
    path = tmp_path / "bare"
    data = instance("2.25.7", sop_class=CT_IMAGE, implicit=implicit)
    path.write_bytes(data)
    syntax = IMPLICIT if implicit else EXPLICIT
    assert look_at(path) == Sendable(path, CT_IMAGE, "2.25.7", syntax, len(data), 0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"just text", "no DICOM file"),
        (os.urandom(10_000), "no DICOM file"),
        (bytes(128) + b"DICM", "lacks"),
        (bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00\xff", "ends inside"),
    ],
    ids=["empty", "text", "random", "prefix only", "cut off"],
)
def test_what_is_not_sent_has_a_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "junk"
    path.write_bytes(content)
    found = look_at(path)
    assert isinstance(found, Skipped)
    assert reason in found.reason


def test_a_dicomdir_is_not_sent() -> None:
    (path,) = [path for path in shipped() if path.name == "DICOMDIR-reordered"]
    found = look_at(path)
    assert isinstance(found, Skipped)
    assert "DICOMDIR" in found.reason


def test_a_folder_is_searched_to_the_bottom_in_order(tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "a/c/1", "0"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert [str(path.relative_to(tmp_path)) for path in files([tmp_path])] == ["0", "a/c/1", "b/1", "b/2"]


def test_a_file_that_is_named_twice_is_sent_once(tmp_path: Path) -> None:
    path = tmp_path / "one.dcm"
    path.write_bytes(file_of(instance(), "2.25.1"))
    found, skipped = scan([tmp_path, path])
    assert ([one.path for one in found], skipped) == ([path], [])


def test_a_dangling_link_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    found, skipped = scan([tmp_path])
    assert found == []
    assert [item.reason for item in skipped] == ["No such file or directory"]


def test_what_is_no_ordinary_file_is_not_opened(tmp_path: Path) -> None:
    """Reading from a FIFO would wait for ever."""
    os.mkfifo(tmp_path / "fifo")
    found, skipped = scan([tmp_path])
    assert found == []
    assert [item.reason for item in skipped] == ["no ordinary file"]


def test_the_progress_of_a_scan(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / str(number)).write_text("x")
    seen: list[int] = []
    scan([tmp_path], seen.append)
    assert seen == [1, 2, 3]
