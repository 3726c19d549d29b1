"""The message and element tables against the Standard's (PS3.7 9.3, 10.3 and Annex E)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dulcimer.protocol.dimse import elements, messages
from dulcimer.protocol.dimse.messages import MESSAGES

STANDARD: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "standard" / "ps37_commands.json").read_text()
)
PROTOCOL_ELEMENTS = {
    elements.COMMAND_GROUP_LENGTH,
    elements.COMMAND_FIELD,
    elements.COMMAND_DATA_SET_TYPE,
}


def test_elements() -> None:
    assert [(f"{row.number:04X}", row.keyword, row.vr, row.vm) for row in elements.ELEMENTS.values()] == [
        tuple(row) for row in STANDARD["elements"]
    ]


def test_every_element_has_a_constant_named_like_its_keyword() -> None:
    constants = {
        name.replace("_", "").lower(): value for name, value in vars(elements).items() if name.isupper()
    }
    for row in elements.ELEMENTS.values():
        assert constants[row.keyword.lower()] == row.number


def test_there_are_23_messages() -> None:
    assert [f"{field:04X}" for field in MESSAGES] == [row["field"] for row in STANDARD["messages"]]
    assert len(MESSAGES) == 23


@pytest.mark.parametrize("row", STANDARD["messages"], ids=lambda row: row["name"])
def test_message(row: dict[str, Any]) -> None:
    message = MESSAGES[int(row["field"], 16)]
    usage = {int(number, 16): letters for number, letters in row["elements"].items()}
    assert message.name == row["name"]
    assert message.field == getattr(messages, row["name"].replace("-", "_"))
    assert message.request == row["name"].endswith("-RQ")
    assert usage.keys() >= PROTOCOL_ELEMENTS
    assert (
        set(message.mandatory)
        == {number for number, letters in usage.items() if letters == "M"} - PROTOCOL_ELEMENTS
    )
    assert set(message.optional) == {number for number, letters in usage.items() if letters != "M"}
    assert message.data_set.value == row["data_set"]


@pytest.mark.parametrize("message", MESSAGES.values(), ids=lambda message: message.name)
def test_no_element_comes_twice(message: messages.MessageType) -> None:
    numbers = message.mandatory + message.optional
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("message", MESSAGES.values(), ids=lambda message: message.name)
def test_class_and_instance_elements(message: messages.MessageType) -> None:
    numbers = message.mandatory + message.optional
    for found, candidates in (
        (messages.class_element(message.field), (0x0002, 0x0003)),
        (messages.instance_element(message.field), (0x1000, 0x1001)),
    ):
        present = [number for number in candidates if number in numbers]
        assert present == ([] if found is None else [found])


def test_class_and_instance_elements_of_no_message() -> None:
    assert messages.class_element(0x1234) is None
    assert messages.instance_element(0x1234) is None
    assert messages.class_element(messages.C_CANCEL_RQ) is None
    assert messages.class_element(messages.N_SET_RQ) == elements.REQUESTED_SOP_CLASS_UID
    assert messages.instance_element(messages.N_SET_RSP) == elements.AFFECTED_SOP_INSTANCE_UID
    assert messages.instance_element(messages.C_ECHO_RQ) is None
