"""The head reader against pydicom, on everything that pydicom ships."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import _read_file_meta_info, read_preamble

from dulcimer.node.adapters.files import read_description
from dulcimer.node.domain.attributes import (
    COLUMNS,
    LONGEST_VALUE,
    WANTED,
    Undecodable,
    describe,
    normal,
    read,
)
from dulcimer.node.domain.catalogue import ATTRIBUTES
from support.real_files import shipped

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
SEQUENCES = [attribute.name for attribute in ATTRIBUTES if attribute.vr == "SQ"]


def _data_set(path: Path) -> tuple[bytes, str] | None:
    stream = BytesIO(path.read_bytes())
    try:
        if read_preamble(stream, False) is None:
            return None
        meta = _read_file_meta_info(stream)
        return stream.read(), str(meta.TransferSyntaxUID)
    except (InvalidDicomError, AttributeError, EOFError):
        return None


@pytest.mark.parametrize(
    "path", [path for path in shipped() if path.suffix == ".dcm"], ids=lambda path: path.name
)
def test_finds_what_pydicom_finds(path: Path) -> None:
    found = _data_set(path)
    if found is None:
        pytest.skip("not transportable: no file meta information")
    data, transfer_syntax = found
    try:
        values = read(data, transfer_syntax, complete=True)
    except Undecodable:
        pytest.skip("left to pydicom")
    assert values is not None
    description = describe(values)
    dataset = dcmread(path, stop_before_pixels=True, specific_tags=list(WANTED))
    assert description.sop_instance_uid == str(dataset.get("SOPInstanceUID", ""))
    for tag, name in COLUMNS.items():
        element = dataset.get(tag)
        value = None if element is None else element.value
        if element is None or value is None or element.VM > 1 or element.VR == "SQ":
            continue
        assert description.attributes.get(name, "") == normal(element.VR, str(value))[:LONGEST_VALUE], name
    slow = read_description(path)
    assert slow is None or {name: slow.attributes.get(name) for name in SEQUENCES} == {
        name: description.attributes.get(name) for name in SEQUENCES
    }


def test_few_files_are_left_to_pydicom() -> None:
    total = left = 0
    for name in shipped():
        found = _data_set(Path(name))
        if found is None:
            continue
        total += 1
        try:
            read(found[0], found[1], complete=True)
        except Undecodable:
            left += 1
    assert total > 50
    assert left <= total // 20


def _encoded(*, implicit: bool, little: bool = True, comment: int = 0) -> bytes:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    ds.SOPInstanceUID = "2.25.1"
    ds.PatientName = "Müller^Jürgen"
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = "2.25.9"
    inner.is_undefined_length_sequence_item = True
    ds.ReferencedStudySequence = [inner]
    ds["ReferencedStudySequence"].is_undefined_length = True
    ds.AdditionalPatientHistory = "x" * comment
    ds.StudyInstanceUID = "2.25.2"
    ds.SeriesInstanceUID = "2.25.3"
    ds.InstanceNumber = 7
    ds.Rows = 1
    stream = BytesIO()
    dcmwrite(stream, ds, implicit_vr=implicit, little_endian=little)
    return stream.getvalue()


SYNTAXES = [
    (IMPLICIT, _encoded(implicit=True)),
    (EXPLICIT, _encoded(implicit=False)),
    ("1.2.840.10008.1.2.2", _encoded(implicit=False, little=False)),
]


@pytest.mark.parametrize(("transfer_syntax", "data"), SYNTAXES)
def test_undefined_lengths_and_text(transfer_syntax: str, data: bytes) -> None:
    values = read(data, transfer_syntax, complete=True)
    assert values is not None
    found = describe(values)
    assert found.sop_class_uid == "1.2.840.10008.5.1.4.1.1.7"
    assert found.sop_instance_uid == "2.25.1"
    assert found.attributes == {
        "patient_name": "Müller^Jürgen",
        "study_instance_uid": "2.25.2",
        "series_instance_uid": "2.25.3",
        "instance_number": "7",
        "rows": "1",
    }


@pytest.mark.parametrize(("transfer_syntax", "data"), SYNTAXES)
def test_every_cut_asks_for_more_or_has_it_all(transfer_syntax: str, data: bytes) -> None:
    whole = read(data, transfer_syntax, complete=True)
    answers = [read(data[:length], transfer_syntax, complete=False) for length in range(len(data))]
    assert answers[0] is None
    assert all(answer is None or answer == whole for answer in answers)


def test_deflated() -> None:
    import zlib

    deflate = zlib.compressobj(wbits=-15)
    data = deflate.compress(_encoded(implicit=False)) + deflate.flush()
    values = read(data, DEFLATED, complete=True)
    assert values is not None
    assert describe(values).sop_instance_uid == "2.25.1"
    with pytest.raises(Undecodable):
        read(b"\xff" * 64, DEFLATED, complete=True)


@pytest.mark.parametrize("cut", [1, 7, 9, 40])
def test_a_data_set_that_is_cut_off_is_undecodable(cut: int) -> None:
    ds = Dataset()
    ds.SOPInstanceUID = "2.25.1"
    ds.PatientName = "A" * 50
    stream = BytesIO()
    dcmwrite(stream, ds, implicit_vr=False, little_endian=True)
    with pytest.raises(Undecodable):
        read(stream.getvalue()[:-cut], EXPLICIT, complete=True)


@given(st.binary(max_size=400), st.sampled_from([EXPLICIT, IMPLICIT, DEFLATED]), st.booleans())
def test_garbage_is_undecodable_or_means_nothing(data: bytes, transfer_syntax: str, complete: bool) -> None:
    try:
        values = read(data, transfer_syntax, complete=complete)
    except Undecodable:
        return
    assert values is None or set(values) <= WANTED


def test_an_unknown_character_set_does_not_keep_an_object_out() -> None:
    found = describe({0x00080005: b"NO SUCH SET ", 0x00100010: b"M\xfcller"})
    assert found.attributes["patient_name"]
