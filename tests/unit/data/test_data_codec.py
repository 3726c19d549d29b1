"""Encoding of data sets: the short way and pydicom's give the same bytes."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from dulcimer.data import codec
from dulcimer.data.codec import Encoding, decode, encode, encoding_of

SYNTAXES = [
    codec.IMPLICIT_VR_LITTLE_ENDIAN,
    codec.EXPLICIT_VR_LITTLE_ENDIAN,
    codec.EXPLICIT_VR_BIG_ENDIAN,
    codec.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
]
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="\\"), max_size=20)


def by_pydicom(dataset: Dataset, encoding: Encoding) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = encoding.implicit, encoding.little_endian
    write_dataset(buffer, dataset)
    return bytes(buffer.getvalue())


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "SpecificCharacterSet",
                "PerformedProcedureStepStatus",
                "PerformedProcedureStepEndDate",
                "PerformedProcedureStepDescription",
                "StudyInstanceUID",
                "PerformedStationAETitle",
                "CommentsOnThePerformedProcedureStep",
                "PatientName",
                "PatientWeight",
            ]
        ),
        st.one_of(st.none(), TEXT, st.lists(TEXT, min_size=2, max_size=3)),
    ),
    st.sampled_from([encoding_of(syntax) for syntax in SYNTAXES[:3]]),
)
def test_the_short_way_gives_pydicoms_bytes(values: dict[str, object], encoding: Encoding) -> None:
    dataset = Dataset()
    for keyword, value in values.items():
        try:
            setattr(dataset, keyword, value)
        except ValueError:
            continue
    try:
        expected = by_pydicom(dataset, encoding)
    except Exception:
        return
    assert encode(dataset, encoding) == expected


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_encoded_is_decoded(syntax: str) -> None:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "Müller^Jürgen"
    dataset.Rows = 512
    dataset.PerformedSeriesSequence = [Dataset()]
    dataset.PerformedSeriesSequence[0].SeriesInstanceUID = "1.2.3"
    encoding = encoding_of(syntax)
    encoded = encode(dataset, encoding)
    assert len(encoded) % 2 == 0
    assert decode(BytesIO(encoded), encoding) == dataset


def test_text_that_is_too_long_for_a_short_element_is_pydicoms() -> None:
    dataset = Dataset()
    dataset.add_new(0x00104000, "LT", "x" * 70000)
    encoding = encoding_of(codec.IMPLICIT_VR_LITTLE_ENDIAN)
    assert encode(dataset, encoding) == by_pydicom(dataset, encoding)
