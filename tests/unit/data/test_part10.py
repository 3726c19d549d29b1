"""The head of DICOM files: ours as pydicom reads it, others as we read them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from dulcimer.data import part10
from dulcimer.identity import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION

Scan = Callable[..., part10.FileHeader]

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def short(number: int, vr: bytes, content: bytes) -> bytes:
    return struct.pack("<HH2sH", 2, number, vr, len(content)) + content


def long(number: int, vr: bytes, content: bytes) -> bytes:
    return struct.pack("<HH2s2xI", 2, number, vr, len(content)) + content


def implicit(number: int, content: bytes) -> bytes:
    return struct.pack("<HHI", 2, number, len(content)) + content


CLASS = short(0x0002, b"UI", b"1.2\0")
INSTANCE = short(0x0003, b"UI", b"1.2.34")
SYNTAX = short(0x0010, b"UI", b"1.2.840.10008.1.2\0")
DATA = b"\x08\x00\x18\x00UI\x06\x001.2.34"


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    def scan_bytes(meta: bytes, data: bytes = DATA, start: bytes = bytes(128) + b"DICM") -> part10.FileHeader:
        path = tmp_path / "file"
        path.write_bytes(start + meta + data)
        return part10.scan(path)

    return scan_bytes


# ---- writing --------------------------------------------------------------------------------------------


def test_preamble_as_pydicom_reads_it() -> None:
    head = part10.preamble(CT, "1.2.3", EXPLICIT, source_aet="MODALITY1")
    assert head[:132] == bytes(128) + b"DICM"
    meta = dcmread(BytesIO(head)).file_meta
    assert meta.FileMetaInformationGroupLength == len(head) - 132 - 12
    assert meta.FileMetaInformationVersion == b"\x00\x01"
    assert meta.MediaStorageSOPClassUID == CT
    assert meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert meta.TransferSyntaxUID == EXPLICIT
    assert meta.ImplementationClassUID == IMPLEMENTATION_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION
    assert meta.SourceApplicationEntityTitle == "MODALITY1"
    assert len(meta) == 8


def test_source_is_optional() -> None:
    meta = dcmread(BytesIO(part10.preamble(CT, "1.2.3", EXPLICIT))).file_meta
    assert "SourceApplicationEntityTitle" not in meta
    assert len(meta) == 7


@pytest.mark.parametrize("instance", ["1.2.3", "1.2.34"])
def test_every_element_has_an_even_length(instance: str) -> None:
    head = part10.preamble(CT, instance, EXPLICIT, source_aet="ODD")
    assert len(head) % 2 == 0


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file.dcm"
    head = part10.preamble(CT, "1.2.3", EXPLICIT, source_aet="AET")
    path.write_bytes(head + DATA)
    assert part10.scan(path) == part10.FileHeader(CT, "1.2.3", EXPLICIT, len(head), len(head) + len(DATA))
    assert part10.scan(str(path)) == part10.scan(path)


def test_uids_are_written_as_they_came() -> None:
    assert b"not \xe9 UID\0" in part10.preamble(CT, "not é UID", EXPLICIT)


def test_a_value_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(0002,0003\)"):
        part10.preamble(CT, "1" * 65536, EXPLICIT)


# ---- reading --------------------------------------------------------------------------------------------


def test_head_without_a_group_length(scan: Scan) -> None:
    header = scan(CLASS + INSTANCE + SYNTAX)
    assert header == part10.FileHeader(
        "1.2", "1.2.34", "1.2.840.10008.1.2", 132 + len(CLASS + INSTANCE + SYNTAX), header.size
    )
    assert header.size == header.data_offset + len(DATA)


@pytest.mark.parametrize("length", [0, 1, 12, 10_000, 0xFFFFFFFF])
def test_head_with_a_wrong_group_length(scan: Scan, length: int) -> None:
    meta = short(0x0000, b"UL", struct.pack("<I", length)) + CLASS + INSTANCE + SYNTAX
    assert scan(meta).data_offset == 132 + len(meta)


def test_head_in_implicit_vr(scan: Scan) -> None:
    meta = (
        implicit(0x0000, b"\x20\0\0\0")
        + implicit(0x0001, b"\0\1")
        + implicit(0x0002, b"1.2\0")
        + implicit(0x0003, b"1.2.34")
        + implicit(0x0010, b"1.2.840.10008.1.2\0")
    )
    header = scan(meta)
    assert (header.sop_class_uid, header.sop_instance_uid) == ("1.2", "1.2.34")
    assert header.transfer_syntax_uid == "1.2.840.10008.1.2"
    assert header.data_offset == 132 + len(meta)


@pytest.mark.parametrize("size", [0, 1800, 2048 - 132, 5_000, 100_000])
def test_head_of_any_length(scan: Scan, size: int) -> None:
    meta = CLASS + INSTANCE + SYNTAX + short(0x0100, b"UI", b"1.2.3.") + long(0x0102, b"OB", bytes(size))
    assert scan(meta).data_offset == 132 + len(meta)


@pytest.mark.parametrize("gap", range(-24, 2))
def test_head_that_ends_around_the_first_read(scan: Scan, gap: int) -> None:
    # What follows the long element must be found although the first read may end anywhere before it.
    filler = long(0x0001, b"OB", bytes(2048 - 132 - 12 + gap))
    meta = filler + CLASS + INSTANCE + SYNTAX
    header = scan(meta)
    assert (header.sop_class_uid, header.data_offset) == ("1.2", 132 + len(meta))


@pytest.mark.parametrize("data", [b"", b"\x08", b"\x08\x00\x18\x00", bytes(3)])
def test_file_that_ends_behind_its_head(scan: Scan, data: bytes) -> None:
    header = scan(CLASS + INSTANCE + SYNTAX, data)
    assert header.size - header.data_offset == len(data)


def test_uids_lose_their_padding(scan: Scan) -> None:
    meta = short(0x0002, b"UI", b"1.2 ") + short(0x0003, b"UI", b"1.3\0\0\0") + SYNTAX
    header = scan(meta)
    assert (header.sop_class_uid, header.sop_instance_uid) == ("1.2", "1.3")


@pytest.mark.parametrize(
    ("meta", "lacks"),
    [
        (b"", "Transfer Syntax UID (0002,0010)"),
        (CLASS + INSTANCE, "Transfer Syntax UID (0002,0010)"),
        (SYNTAX, "Media Storage SOP Class UID (0002,0002)"),
        (CLASS + SYNTAX, "Media Storage SOP Instance UID (0002,0003)"),
        (short(0x0002, b"UI", b"") + INSTANCE + SYNTAX, "Media Storage SOP Class UID (0002,0002)"),
    ],
)
def test_a_missing_uid_is_named(scan: Scan, meta: bytes, lacks: str) -> None:
    with pytest.raises(part10.NotPart10) as caught:
        scan(meta)
    assert lacks in str(caught.value)
    present = {CLASS: "(0002,0002)", INSTANCE: "(0002,0003)", SYNTAX: "(0002,0010)"}
    assert not [tag for element, tag in present.items() if element in meta and tag in str(caught.value)]


@pytest.mark.parametrize(
    "start", [b"", b"DICM", bytes(128), bytes(128) + b"DICN", b"GET / HTTP/1.1\r\n\r\n".ljust(200)]
)
def test_file_without_its_prefix(scan: Scan, start: bytes) -> None:
    with pytest.raises(part10.NotPart10, match="DICM"):
        scan(b"", b"", start)


@pytest.mark.parametrize("cut", range(133, 132 + len(CLASS + INSTANCE + SYNTAX)))
def test_head_that_is_cut_short(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "file"
    path.write_bytes((bytes(128) + b"DICM" + CLASS + INSTANCE + SYNTAX)[:cut])
    with pytest.raises(part10.NotPart10):
        part10.scan(path)


def test_a_length_that_cannot_be_is_refused_without_reading_on(scan: Scan) -> None:
    broken = struct.pack("<HH2s2xI", 2, 0x0102, b"OB", 0xFFFFFFFF)
    with pytest.raises(part10.NotPart10, match=r"\(0002,0102\)"):
        scan(CLASS + INSTANCE + SYNTAX + broken)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        part10.scan(tmp_path / "nothing")


# ---- files of others ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "JPEG2000.dcm",
        "MR_small_bigendian.dcm",
        "image_dfl.dcm",
        "no_meta_group_length.dcm",
        "DICOMDIR",
        "badVR.dcm",
        "rtplan.dcm",
    ],
)
def test_files_that_pydicom_ships(name: str) -> None:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    meta = dcmread(path, specific_tags=[]).file_meta
    header = part10.scan(path)
    assert header.sop_class_uid == meta.MediaStorageSOPClassUID
    assert header.sop_instance_uid == meta.MediaStorageSOPInstanceUID
    assert header.transfer_syntax_uid == meta.TransferSyntaxUID
    assert header.size == Path(path).stat().st_size
    if "FileMetaInformationGroupLength" in meta:
        assert header.data_offset == 144 + meta.FileMetaInformationGroupLength
    else:
        assert Path(path).read_bytes()[header.data_offset :][:2] == b"\x08\x00"


@pytest.mark.parametrize("name", ["rtstruct.dcm", "no_meta.dcm", "meta_missing_tsyntax.dcm"])
def test_files_without_a_head_that_pydicom_ships(name: str) -> None:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    with pytest.raises(part10.NotPart10):
        part10.scan(path)
