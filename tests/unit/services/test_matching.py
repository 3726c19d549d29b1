"""Identifiers against data sets: PS3.4 C.2.2.2 with sequences, dates with times, and character sets."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dulcimer.data import codec
from dulcimer.errors import Refused
from dulcimer.services.matching import Keys, matches, response

EXPLICIT = codec.encoding_of(codec.EXPLICIT_VR_LITTLE_ENDIAN)
IMPLICIT = codec.encoding_of(codec.IMPLICIT_VR_LITTLE_ENDIAN)


def made(**values: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, Sequence(value) if keyword.endswith("Sequence") else value)
    return dataset


def sent(dataset: Dataset, encoding: codec.Encoding = IMPLICIT) -> Dataset:
    """Return a data set as it is after a journey."""
    return codec.decode(BytesIO(codec.encode(dataset, encoding)), encoding)


def step(**values: Any) -> Dataset:
    return made(ScheduledProcedureStepSequence=[made(**values)])


STORED = made(
    PatientName="Doe^Jane",
    PatientID="P1",
    OtherPatientIDs=["X1", "X2"],
    PatientWeight="71.5",
    ScheduledProcedureStepSequence=[
        made(
            Modality="CT",
            ScheduledStationAETitle=["CT1", "CT2"],
            ScheduledProcedureStepStartDate="20260105",
            ScheduledProcedureStepStartTime="1030",
            ScheduledProtocolCodeSequence=[
                made(CodeValue="T1", CodingSchemeDesignator="99X"),
                made(CodeValue="T2", CodingSchemeDesignator="99Y"),
            ],
        ),
        made(Modality="MR", ScheduledStationAETitle="MR1", ScheduledProcedureStepStartDate="20260106"),
    ],
)


def code(**values: Any) -> Dataset:
    return step(ScheduledProtocolCodeSequence=[made(**values)])


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (made(), True),
        (made(PatientName=None, PatientID="*"), True),
        (made(PatientName="Doe*"), True),
        (made(PatientName="doe*"), False),
        (made(OtherPatientIDs="X2"), True),
        (made(OtherPatientIDs="X3"), False),
        (made(PatientWeight="71.50"), True),
        (made(AccessionNumber="A1"), False),
        (made(AccessionNumber='""'), True),
        (made(PatientID='""'), False),
        (made(ScheduledProcedureStepSequence=[]), True),
        (step(), True),
        (step(Modality=None), True),
        (step(Modality="MR"), True),
        (step(Modality=["US", "MR"]), True),
        (step(Modality="MR", ScheduledStationAETitle="MR1"), True),
        (step(Modality="MR", ScheduledStationAETitle="CT1"), False),
        (step(ScheduledStationAETitle="CT2"), True),
        (code(CodeValue="T2"), True),
        (code(CodeValue="T2", CodingSchemeDesignator="99Y"), True),
        (code(CodeValue="T2", CodingSchemeDesignator="99X"), False),
        (made(ScheduledProcedureStepSequence=[made(Modality="US"), made(Modality="MR")]), True),
        (made(ReferencedStudySequence=[made(ReferencedSOPInstanceUID="1.2")]), False),
    ],
)
@pytest.mark.parametrize("encoding", [IMPLICIT, EXPLICIT])
def test_what_matches(keys: Dataset, expected: bool, encoding: codec.Encoding) -> None:
    assert matches(keys, STORED) is expected
    assert matches(sent(keys, encoding), sent(STORED)) is expected


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("20260104-20260106", "11-12", True),  # from the 4th at 11 to the 6th at 12
        ("20260105-20260106", "11-12", False),  # the step begins at 10:30 on the first day
        ("20260103-20260105", "11-1030", True),
        ("20260103-20260105", "11-1029", False),
        ("20260105-", "11-", False),
        ("-20260105", "-11", True),
        ("20260105", "11-12", False),  # not both are ranges: each by itself
        ("20260105", "10-12", True),
        ("20260104-20260106", "1030", True),
        ("20260104-20260106", "11", False),
    ],
)
def test_ranges_of_date_and_time_are_one_range(date: str, time: str, expected: bool) -> None:
    keys = step(Modality="CT")
    item = keys.ScheduledProcedureStepSequence[0]
    item.ScheduledProcedureStepStartDate, item.ScheduledProcedureStepStartTime = date, time
    assert matches(keys, STORED) is expected
    assert matches(sent(keys), sent(STORED)) is expected


def test_names_without_regard_to_case_and_accents() -> None:
    stored = made(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Änne")
    keys = made(PatientName="MULLER*")
    assert not matches(keys, sent(stored))
    assert matches(keys, sent(stored), names="insensitive")


@pytest.mark.parametrize("of_keys", ["ISO_IR 100", "ISO_IR 192"])
@pytest.mark.parametrize("of_stored", ["ISO_IR 100", "ISO_IR 192", "ISO 2022 IR 100"])
def test_the_character_sets_may_differ(of_keys: str, of_stored: str) -> None:
    stored = made(
        SpecificCharacterSet=of_stored,
        PatientName="Müller^Änne",
        ScheduledProcedureStepSequence=[made(ScheduledProcedureStepDescription="Schädel")],
    )
    keys = made(
        SpecificCharacterSet=of_keys,
        PatientName="Mü*",
        ScheduledProcedureStepSequence=[made(ScheduledProcedureStepDescription="Schä*")],
    )
    assert matches(sent(keys), sent(stored))
    answer = response(sent(keys), sent(stored))
    back = sent(answer)
    assert back.SpecificCharacterSet == of_keys
    assert back.PatientName == "Müller^Änne"
    assert back.ScheduledProcedureStepSequence[0].ScheduledProcedureStepDescription == "Schädel"


def test_what_the_asker_has_no_characters_for_is_answered_in_utf_8() -> None:
    stored = made(SpecificCharacterSet="ISO_IR 192", PatientName="Yamada=山田")
    answer = sent(response(sent(made(SpecificCharacterSet="ISO_IR 100", PatientName=None)), sent(stored)))
    assert answer.SpecificCharacterSet == "ISO_IR 192"
    assert answer.PatientName == "Yamada=山田"
    assert sent(response(made(PatientName=None), stored)).SpecificCharacterSet == "ISO_IR 192"


def test_an_answer_has_what_was_asked_for() -> None:
    keys = made(
        PatientName="Doe*",
        AccessionNumber=None,
        ReferencedStudySequence=[],
        ScheduledProcedureStepSequence=[made(Modality=None, ScheduledProcedureStepID=None)],
    )
    answer = sent(response(sent(keys), sent(STORED)))
    assert [element.keyword for element in answer] == [
        "AccessionNumber", "ReferencedStudySequence", "PatientName", "ScheduledProcedureStepSequence",
    ]  # fmt: skip
    assert answer.PatientName == "Doe^Jane"
    assert answer["AccessionNumber"].is_empty
    assert len(answer.ReferencedStudySequence) == 0
    assert [item.Modality for item in answer.ScheduledProcedureStepSequence] == ["CT", "MR"]
    assert all(item["ScheduledProcedureStepID"].is_empty for item in answer.ScheduledProcedureStepSequence)
    assert "ScheduledStationAETitle" not in answer.ScheduledProcedureStepSequence[0]


@pytest.mark.parametrize("items", [[], [Dataset()]])
def test_a_sequence_asked_for_without_keys_is_given_whole(items: list[Dataset]) -> None:
    answer = sent(response(sent(made(ScheduledProcedureStepSequence=items)), sent(STORED)))
    (first, second) = answer.ScheduledProcedureStepSequence
    assert first.ScheduledProtocolCodeSequence[1].CodeValue == "T2"
    assert second.ScheduledStationAETitle == "MR1"


def test_asking_changes_nothing() -> None:
    before = codec.encode(STORED, EXPLICIT)
    keys = step(Modality="CT")
    matches(keys, STORED)
    response(keys, STORED).ScheduledProcedureStepSequence[0].Modality = "XX"
    assert codec.encode(keys, EXPLICIT) == codec.encode(step(Modality="CT"), EXPLICIT)
    assert codec.encode(STORED, EXPLICIT) == before


@pytest.mark.parametrize(
    ("keys", "tag"),
    [
        (made(PatientBirthDate="19700101"), None),
        (step(ScheduledProcedureStepStartDate="20260101-20260131"), None),
    ],
)
def test_values_of_their_vr_are_taken(keys: Dataset, tag: int | None) -> None:
    assert not matches(keys, made())


def test_what_is_no_value_is_refused_with_its_tag() -> None:
    keys = Dataset()
    keys.add_new(0x00400100, "SQ", Sequence([Dataset()]))
    keys[0x00400100].value[0].add_new(0x00400002, "LO", "soon")
    with pytest.raises(Refused) as refusal:
        matches(sent(keys), STORED)
    assert refusal.value.status == 0xA900
    assert refusal.value.offending == (0x00400002,)
    assert "ScheduledProcedureStepStartDate" in str(refusal.value.comment)


def test_an_unknown_character_set_is_refused_where_it_matters() -> None:
    keys = sent(made(PatientName="Doe*", SpecificCharacterSet="ISO_IR 100"))
    keys.SpecificCharacterSet = "ISO_IR 999"
    assert matches(keys, STORED)
    encoded = codec.encode(made(SpecificCharacterSet="ISO_IR 100", PatientName="Mü*"), EXPLICIT)
    with pytest.raises(Refused) as refusal:
        matches(codec.decode(BytesIO(encoded.replace(b"ISO_IR 100", b"ISO_IR 999")), EXPLICIT), STORED)
    assert refusal.value.status == 0xC000


def test_what_is_no_key_is_ignored() -> None:
    keys = made(PatientID="P1", TimezoneOffsetFromUTC="+0100")
    block = keys.private_block(0x0011, "SOMEBODY", create=True)
    block.add_new(1, "LO", "x")
    read = Keys(sent(keys, EXPLICIT))
    assert read.match(STORED)
    assert [path[-1] for path in read.unsupported] == [0x00110010, 0x00111001]
    assert [element.keyword for element in read.response(STORED)] == ["PatientID"]


def test_unsupported_keys_match_everything_and_are_given_where_there_is_a_value() -> None:
    keys = Keys(made(PatientID="P9", AccessionNumber="A"), supports=lambda path: False)
    assert keys.universal
    assert [element.keyword for element in keys.response(STORED)] == ["PatientID"]


FULL = made(
    SpecificCharacterSet="ISO_IR 100",
    PatientName="Mü*",
    PatientWeight="7",
    PregnancyStatus=4,
    ScheduledProcedureStepSequence=[
        made(Modality="CT", ScheduledProcedureStepStartDate="20260101-", ScheduledProcedureStepID=None)
    ],
)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from([IMPLICIT, EXPLICIT]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_whatever_comes_is_answered_or_refused(
    encoding: codec.Encoding, changes: list[tuple[int, int]]
) -> None:
    content = bytearray(codec.encode(FULL, encoding))
    for at, byte in changes:
        content[at % len(content)] = byte
    try:
        identifier = codec.decode(BytesIO(bytes(content)), encoding)
    except Exception:
        return  # no data set: that is answered before it comes to matching
    try:
        keys = Keys(identifier)
        keys.match(STORED)
        codec.encode(keys.response(STORED), encoding)
    except Refused as refusal:
        assert refusal.status in (0xA900, 0xC000)
