from __future__ import annotations

import logging
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from dulcimer import dsutils
from dulcimer.identity import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION

CT = Path(str(get_testdata_file("CT_small.dcm")))


def dataset() -> Dataset:
    item = Dataset()
    item.CodeValue = "x"
    ds = Dataset()
    ds.PatientName = "Citizen^Jan"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.StudyDate = ""
    ds.ConceptNameCodeSequence = [item]
    ds.add_new(0x7FE00010, "OW", b"\x01\x00" * 4)
    return ds


@pytest.mark.parametrize(
    ("implicit", "little", "deflated"),
    [(True, True, False), (False, True, False), (False, False, False), (False, True, True)],
)
def test_encode_and_decode(implicit: bool, little: bool, deflated: bool) -> None:
    encoded = dsutils.encode(dataset(), implicit, little, deflated)
    assert encoded is not None
    assert len(encoded) % 2 == 0
    assert dsutils.decode(BytesIO(encoded), implicit, little, deflated) == dataset()


def test_encodings_differ() -> None:
    variants = [(True, True, False), (False, True, False), (False, False, False), (False, True, True)]
    assert len({dsutils.encode(dataset(), *variant) for variant in variants}) == 4


def test_decode_reads_from_the_start() -> None:
    stream = BytesIO(dsutils.encode(dataset(), True, True) or b"")
    stream.seek(0, 2)
    assert dsutils.decode(stream, True, True) == dataset()


def test_what_cannot_be_encoded_is_none(caplog: pytest.LogCaptureFixture) -> None:
    ds = dataset()
    ds.add_new(0x00280010, "US", 1)
    ds["Rows"]._value = "many"
    with caplog.at_level(logging.ERROR):
        assert dsutils.encode(ds, True, True) is None
    assert "cannot be encoded" in caplog.text


def test_nothing() -> None:
    assert dsutils.encode(Dataset(), True, True) == b""
    assert dsutils.decode(BytesIO(), True, True) == Dataset()


def test_file_meta() -> None:
    meta = dsutils.create_file_meta(
        sop_class_uid=UID("1.2.3"), sop_instance_uid=UID("1.2.3.4"), transfer_syntax=ExplicitVRLittleEndian
    )
    assert meta.ImplementationClassUID == IMPLEMENTATION_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION
    encoded = dsutils.encode_file_meta(meta)
    body = dsutils.encode(dataset(), False, True) or b""
    read = dcmread(BytesIO(bytes(128) + b"DICM" + encoded + body))
    assert read.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4"
    assert read.file_meta.FileMetaInformationGroupLength == len(encoded) - 12
    assert read.PatientName == "Citizen^Jan"


def test_split_a_file() -> None:
    meta, offset = dsutils.split_dataset(CT)
    whole = dcmread(CT)
    assert meta == whole.file_meta
    syntax = whole.file_meta.TransferSyntaxUID
    data = BytesIO(CT.read_bytes()[offset:])
    decoded = dsutils.decode(data, syntax.is_implicit_VR, syntax.is_little_endian)
    assert decoded.SOPInstanceUID == whole.SOPInstanceUID
    assert decoded.PixelData == whole.PixelData


def test_split_a_file_without_preamble(tmp_path: Path) -> None:
    path = tmp_path / "bare"
    path.write_bytes(dsutils.encode(dataset(), False, True) or b"")
    meta, offset = dsutils.split_dataset(path)
    assert (len(meta), offset) == (0, 0)


def test_pretty_dataset() -> None:
    lines = dsutils.pretty_dataset(dataset(), indent=1, indent_char="- ")
    assert lines == [
        f"- (0008,0008) CS {'[ORIGINAL' + chr(92) + 'PRIMARY]':<40} # 2 ImageType",
        f"- (0008,0020) DA {'(no value available)':<40} # 0 StudyDate",
        f"- (0010,0010) PN {'[Citizen^Jan]':<40} # 1 PatientName",
        f"- (0040,A043) SQ {'(Sequence with 1 item)':<40} # 1 ConceptNameCodeSequence",
        "- - (Sequence item #1)",
        f"- - - (0008,0100) SH {'[x]':<40} # 1 CodeValue",
        f"- (7FE0,0010) OW {'[01 00 01 00 01 00 01 00]':<40} # 1 PixelData",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (bytes(13), f"[{' '.join(['00'] * 13)}]"),
        (bytes(14), "(14 bytes of binary data)"),
        ([bytes(2), bytes(4)], "(6 bytes of binary data)"),
    ],
)
def test_bytes_as_text(value: bytes | list[bytes], shown: str) -> None:
    ds = Dataset()
    ds.add_new(0x7FE00010, "OB", value)
    assert (
        dsutils.pretty_element(ds["PixelData"])
        == f"(7FE0,0010) OB {shown:<40} # {ds['PixelData'].VM} PixelData"
    )
