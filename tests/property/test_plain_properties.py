"""The fast encoder writes what pydicom writes, byte for byte, or says that it cannot."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from dulcimer.data import plain

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def by_pydicom(dataset: Dataset, *, implicit: bool) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = implicit
    buffer.is_little_endian = True
    write_dataset(buffer, dataset)
    return buffer.getvalue()


ascii_text = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="\\"), max_size=16)
any_text = st.text(st.characters(min_codepoint=1, max_codepoint=0x2FF, exclude_characters="\\"), max_size=12)
uid = st.lists(st.integers(0, 999), min_size=1, max_size=8).map(lambda parts: ".".join(map(str, parts)))
name = st.one_of(
    st.lists(st.sampled_from(["A", "Bo", "van der C", "", " D "]), min_size=1, max_size=5).map("^".join),
    st.sampled_from(
        ["Yamada^Tarou=山田^太郎=やまだ^たろう", "Buc^Jérôme", "A^B=", "=C", "A^B==", "^", "A^B^^^"]
    ),
)
date = st.sampled_from(["", "20240102", "20240102-", "-20240102", "20240102-20240301", "2024.01.02"])
time = st.sampled_from(["", "1030", "103000.123", "1000-1100"])
whole = st.one_of(
    st.integers(-(2**31), 2**31 - 1), st.integers(-9, 9).map(str), st.just(" 5 "), st.just("+7")
)
decimal = st.one_of(
    st.floats(-1e6, 1e6, allow_nan=False, width=32).map(lambda number: f"{number:.6g}"),
    st.integers(-999, 999).map(float),
    st.sampled_from(["1.50", " 2 ", "1e3", 0.5, 3, ""]),
)


def several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One value, several, or none."""
    return st.one_of(values, st.lists(values, max_size=3), st.none(), st.just(""))


ELEMENTS: dict[int, tuple[str, st.SearchStrategy[Any]]] = {
    0x00080054: ("AE", several(ascii_text)),
    0x00080060: ("CS", several(ascii_text)),
    0x00080020: ("DA", several(date)),
    0x00080030: ("TM", several(time)),
    0x0008002A: ("DT", several(st.sampled_from(["20240102103000.5", "2024", "20240102103000+0100"]))),
    0x00080018: ("UI", several(uid)),
    0x00081030: ("LO", several(st.one_of(ascii_text, any_text))),
    0x00080050: ("SH", several(ascii_text)),
    0x00080081: ("ST", st.one_of(ascii_text, any_text, st.none())),
    0x001021B0: ("LT", st.one_of(ascii_text, any_text, st.none())),
    0x00100010: ("PN", several(name)),
    0x00101010: ("AS", several(st.sampled_from(["042Y", "003W", ""]))),
    0x00201206: ("IS", several(whole)),
    0x00101030: ("DS", several(decimal)),
    0x00280010: ("US", several(st.integers(-2, 70_000))),
    0x00189219: ("SS", several(st.integers(-40_000, 40_000))),
    0x00720520: ("UL", several(st.integers(-1, 2**32))),
    0x00186020: ("SL", several(st.integers(-(2**31) - 1, 2**31))),
    # What is left to pydicom.
    0x00189087: ("FD", several(st.floats(-1, 1))),
    0x00080119: ("UC", several(ascii_text)),
    0x00080120: ("UR", st.just("https://example.org/a")),
    0x00282000: ("OB", st.binary(max_size=7)),
    0x00091001: ("UN", st.binary(max_size=7)),
    0x00090010: ("LO", st.just("CREATOR")),
    0x00091002: ("LO", several(ascii_text)),
    0x00280000: ("UL", st.just(12)),
}
CHARACTER_SETS = st.sampled_from(
    [
        None,
        "ISO_IR 100",
        "ISO_IR 192",
        "ISO_IR 13",
        ["", "ISO 2022 IR 87"],
        ["ISO 2022 IR 6", "ISO 2022 IR 149"],
    ]
)
SEQUENCES = (0x00400100, 0x00081115)


@st.composite
def data_sets(draw: st.DrawFn, depth: int = 2) -> Dataset:
    made = Dataset()
    character_set = draw(CHARACTER_SETS)
    if character_set is not None:
        made.SpecificCharacterSet = character_set
    for tag in draw(st.lists(st.sampled_from(sorted(ELEMENTS)), unique=True, max_size=6)):
        vr, values = ELEMENTS[tag]
        value = draw(values)
        try:
            made.add_new(tag, vr, value)
        except Exception:
            continue  # pydicom has no such value.
    if depth:
        for tag in draw(st.lists(st.sampled_from(SEQUENCES), unique=True, max_size=1)):
            items = draw(st.lists(data_sets(depth - 1), max_size=2))
            made.add_new(tag, "SQ", Sequence(items))
            made[tag].is_undefined_length = draw(st.booleans())
            for item in items:
                if draw(st.booleans()) and draw(st.booleans()):
                    item.is_undefined_length_sequence_item = True
    return made


@settings(deadline=None, max_examples=400)
@given(data_sets(), st.booleans())
def test_the_same_bytes_or_none(dataset: Dataset, implicit: bool) -> None:
    encoded = plain.encode(dataset, implicit=implicit)
    if encoded is not None:
        assert encoded == by_pydicom(dataset, implicit=implicit)


@settings(deadline=None, max_examples=100)
@given(data_sets(), st.booleans(), st.booleans())
def test_also_of_what_was_read(dataset: Dataset, read_as_implicit: bool, implicit: bool) -> None:
    try:
        written = by_pydicom(dataset, implicit=read_as_implicit)
    except Exception:
        return  # There is nothing to read.
    buffer = DicomBytesIO(written)
    again = read_dataset(buffer, read_as_implicit, True)
    for element in again:
        _ = element.value
    encoded = plain.encode(again, implicit=implicit)
    if encoded is not None:
        assert encoded == by_pydicom(again, implicit=implicit)


@pytest.mark.parametrize("implicit", [True, False])
def test_what_queries_are_made_of_is_plain(implicit: bool) -> None:
    dataset = Dataset()
    dataset.QueryRetrieveLevel = "STUDY"
    dataset.PatientName = "Doe^J*"
    dataset.PatientID = None
    dataset.StudyDate = "20240101-20241231"
    dataset.ModalitiesInStudy = ["CT", "MR"]
    dataset.StudyInstanceUID = ["1.2.3", "1.2.4"]
    dataset.NumberOfStudyRelatedInstances = 12
    dataset.PatientWeight = "70.5"
    dataset.Rows = 512
    step = Dataset()
    step.Modality = "CT"
    step.ScheduledStationAETitle = "SCANNER"
    dataset.ScheduledProcedureStepSequence = [step]
    encoded = plain.encode(dataset, implicit=implicit)
    assert encoded is not None
    assert encoded == by_pydicom(dataset, implicit=implicit)


def test_a_long_value_is_pydicoms() -> None:
    dataset = Dataset()
    dataset.add_new(0x00081030, "LO", "x" * 65_534)
    assert plain.encode(dataset, implicit=False) == by_pydicom(dataset, implicit=False)
    dataset.add_new(0x00081030, "LO", "x" * 65_535)
    assert plain.encode(dataset, implicit=False) is None
