"""Data sets that are made the short way are as good as those that pydicom's constructor makes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from io import BytesIO

import pytest
from pydicom import Dataset, config
from pydicom.dataelem import DataElement
from pydicom.filereader import read_dataset
from pydicom.tag import Tag

from dulcimer.data import codec, plain, small
from dulcimer.data.small import status_data_set

STATUS = Tag(0x00000900)


def made(value: int = 0) -> Dataset:
    return status_data_set(value)


def constructed(value: int = 0) -> Dataset:
    return Dataset({STATUS: DataElement(STATUS, "US", value)})


def test_nothing_tells_it_from_one_that_was_constructed() -> None:
    ours, theirs = made(0xB000), constructed(0xB000)
    assert type(ours) is Dataset
    assert vars(ours) == vars(theirs)
    assert ours == theirs
    assert repr(ours) == repr(theirs)
    assert ours.Status == 0xB000
    assert "Status" in ours
    assert "ErrorComment" not in ours
    assert [element.tag for element in ours] == [STATUS]
    assert ours.to_json() == theirs.to_json()


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_it_can_be_copied(clone: Callable[[Dataset], Dataset]) -> None:
    ours = made(0x0110)
    again = clone(ours)
    assert again == ours
    again.ErrorComment = "not so"
    assert again.ErrorComment == "not so"


def test_two_have_nothing_in_common_that_can_change() -> None:
    first, second = made(), made()
    first.Status = 0xA700
    first.ErrorComment = "full"
    block = first.private_block(0x0009, "DULCIMER TEST", create=True)
    block.add_new(0x01, "SH", "private")
    first.pixel_array_options(use_v2_backend=True)
    assert second == constructed()
    assert vars(second) == vars(constructed())
    third = made()
    with pytest.raises(KeyError):
        third.private_block(0x0009, "DULCIMER TEST")


def test_the_constructor_makes_it_where_pydicom_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small.CONSTRUCTED, "known", False)
    assert vars(made(0x0117)) == vars(constructed(0x0117))


@pytest.mark.parametrize("pattern", [small.CONSTRUCTED, small.IMPLICIT, small.EXPLICIT])
def test_this_pydicom_is_the_one_it_is_made_for(pattern: small.Pattern[Dataset]) -> None:
    assert pattern.known


@pytest.mark.parametrize("mode", [config.IGNORE, config.WARN, config.RAISE])
def test_a_status_keeps_how_values_are_validated(monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    monkeypatch.setattr(config.settings, "reading_validation_mode", mode)
    assert vars(made(0xC000)[STATUS]) == vars(DataElement(STATUS, "US", 0xC000))


@pytest.mark.parametrize("character_set", [None, "ISO_IR 100", ["", "ISO 2022 IR 87"]])
@pytest.mark.parametrize("implicit", [False, True])
def test_what_was_read_is_what_pydicom_reads(implicit: bool, character_set: str | list[str] | None) -> None:
    original = Dataset()
    if character_set is not None:
        original.SpecificCharacterSet = character_set
    original.PatientName = "Doe^John"
    original.Rows = 4
    encoded = codec.encode(original, codec.Encoding(implicit, True, False))
    ours = plain.decode(encoded, implicit=implicit)
    theirs = read_dataset(BytesIO(encoded), implicit, True)
    assert ours is not None
    assert ours.original_encoding == theirs.original_encoding == (implicit, True)
    assert ours.original_character_set == theirs.original_character_set
    assert vars(ours).keys() == vars(theirs).keys()
    assert ours == theirs == original
