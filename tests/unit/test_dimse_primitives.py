from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from dulcimer import dimse_primitives as d
from dulcimer.dimse_primitives import PRIMITIVES, Primitive, from_command, to_command
from dulcimer.protocol.dimse import commands
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse.messages import MESSAGES, DataSetPresence, MessageType

CT = "1.2.840.10008.5.1.4.1.1.2"
EXAMPLES: dict[str, Any] = {
    "UI": "1.2.3",
    "AE": "STORE",
    "LO": "comment",
    "US": 1,
    "AT": (0x00100010, 0x00100020),
}
ROWS = list(MESSAGES.values())


def full_command(message: MessageType) -> dict[int, commands.Value]:
    """Return a command with every element that the message may have."""
    numbers = {*message.mandatory, *message.optional}
    if not message.request:
        numbers |= {e.OFFENDING_ELEMENT, e.ERROR_COMMENT, e.ERROR_ID, e.ATTRIBUTE_IDENTIFIER_LIST}
    command = {number: EXAMPLES[e.ELEMENTS[number].vr] for number in numbers}
    has_data = message.data_set is not DataSetPresence.ABSENT
    command[e.COMMAND_FIELD] = message.field
    command[e.COMMAND_DATA_SET_TYPE] = 1 if has_data else e.NO_DATA_SET
    return command


def data_of(message: MessageType) -> BytesIO | None:
    return None if message.data_set is DataSetPresence.ABSENT else BytesIO(b"data")


@pytest.mark.parametrize("message", ROWS, ids=lambda message: message.name)
def test_commands_there_and_back(message: MessageType) -> None:
    command, data = full_command(message), data_of(message)
    primitive = from_command(command, data)
    assert type(primitive).__name__.replace("_", "-") == message.name.removesuffix("-RQ").removesuffix("-RSP")
    assert to_command(primitive) == command
    assert primitive.is_response is (not message.request or message.field == 0x0FFF)


@pytest.mark.parametrize("message", ROWS, ids=lambda message: message.name)
def test_a_copy_made_by_its_properties_is_the_same_command(message: MessageType) -> None:
    command = full_command(message)
    received = from_command(commands.decode(commands.encode(command)), data_of(message))
    made = type(received)()
    for number in command:
        keyword = e.ELEMENTS[number].keyword
        if number not in (e.COMMAND_FIELD, e.COMMAND_DATA_SET_TYPE) and hasattr(type(received), keyword):
            value = getattr(received, keyword)
            assert value is not None
            setattr(made, keyword, value)
    sent = to_command(made, data_set=received.data_set is not None)
    left_out = set(command) - set(sent)
    assert {number: command[number] for number in sent} == sent
    # DIMSE-C responses have fewer of the status related fields.
    assert left_out <= {e.ERROR_ID, e.ATTRIBUTE_IDENTIFIER_LIST}
    assert not left_out or message.name.startswith("C-")


@pytest.mark.parametrize("message", [row for row in ROWS if row.request], ids=lambda row: row.name)
def test_required_keywords_are_those_of_the_standard(message: MessageType) -> None:
    cls = PRIMITIVES[message.field]
    if not issubclass(cls, d.DIMSEPrimitive):
        return
    mandatory = {e.ELEMENTS[number].keyword for number in message.mandatory}
    required = set(cls.REQUEST_KEYWORDS)
    data_sets = {"DataSet", "Identifier", "ModificationList"}
    assert required - data_sets == mandatory
    assert bool(required & data_sets) is (message.data_set is DataSetPresence.REQUIRED)


def test_reading_a_received_request() -> None:
    data = BytesIO(b"data")
    command: dict[int, commands.Value] = {
        e.COMMAND_FIELD: 0x0120,
        e.MESSAGE_ID: 7,
        e.REQUESTED_SOP_CLASS_UID: CT,
        e.REQUESTED_SOP_INSTANCE_UID: "1.2.3",
        e.COMMAND_DATA_SET_TYPE: 1,
    }
    request = from_command(command, data)
    assert isinstance(request, d.N_SET)
    assert request.MessageID == 7
    assert isinstance(request.RequestedSOPClassUID, UID)
    assert request.RequestedSOPClassUID.name == "CT Image Storage"
    assert request.ModificationList is data
    assert request.AttributeList is data
    assert request.is_valid_request
    assert not request.is_valid_response
    request.MessageID = 8
    assert command[e.MESSAGE_ID] == 7


def test_an_empty_uid_is_none() -> None:
    request = from_command({e.COMMAND_FIELD: 0x0030, e.AFFECTED_SOP_CLASS_UID: "", e.MESSAGE_ID: 1}, None)
    assert isinstance(request, d.C_ECHO)
    assert request.AffectedSOPClassUID is None
    assert not request.is_valid_request


@pytest.mark.parametrize("field", [0x0002, 0x8FFF, 0x9001, "1"])
def test_unknown_command_fields(field: Any) -> None:
    with pytest.raises(ValueError, match="Command Field"):
        from_command({e.COMMAND_FIELD: field}, None)


def test_a_response_leaves_out_what_belongs_to_the_request() -> None:
    response = d.C_STORE()
    response.MessageID = 1
    response.MessageIDBeingRespondedTo = 1
    response.Status = 0
    assert to_command(response) == {
        e.COMMAND_FIELD: 0x8001,
        e.MESSAGE_ID_BEING_RESPONDED_TO: 1,
        e.STATUS: 0,
        e.COMMAND_DATA_SET_TYPE: e.NO_DATA_SET,
    }


def test_what_travels_is_plain() -> None:
    response = d.N_SET()
    response.MessageIDBeingRespondedTo = 1
    response.Status = 0x0110
    response.AffectedSOPClassUID = UID(CT)
    response.ErrorComment = "c" * 70
    response.OffendingElement = [Tag(0x00100010), Tag(0x00100020)]
    response.AttributeIdentifierList = Tag(0x00400252)
    command = to_command(response)
    assert type(command[e.AFFECTED_SOP_CLASS_UID]) is str
    assert command[e.ERROR_COMMENT] == "c" * 64
    assert command[e.OFFENDING_ELEMENT] == (0x00100010, 0x00100020)
    assert command[e.ATTRIBUTE_IDENTIFIER_LIST] == (0x00400252,)
    assert commands.decode(commands.encode(command))[e.STATUS] == 0x0110


def test_tags_by_name() -> None:
    response = d.N_SET()
    response.MessageIDBeingRespondedTo = 1
    response.Status = 0x0107
    response.AttributeIdentifierList = "PatientID"
    assert to_command(response)[e.ATTRIBUTE_IDENTIFIER_LIST] == (0x00100020,)


def test_a_data_set_that_is_sent_from_elsewhere() -> None:
    request = d.C_STORE()
    assert to_command(request)[e.COMMAND_DATA_SET_TYPE] == e.NO_DATA_SET
    assert to_command(request, data_set=True)[e.COMMAND_DATA_SET_TYPE] != e.NO_DATA_SET


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0x00100010, Tag(0x00100010)),
        ("PatientName", Tag(0x00100010)),
        ((0x0010, 0x0010), Tag(0x00100010)),
        ([0x00100010, (0x0010, 0x0020)], [Tag(0x00100010), Tag(0x00100020)]),
        ([], []),
        (None, None),
    ],
)
def test_attribute_identifiers(value: Any, expected: Any) -> None:
    request = d.N_GET()
    request.AttributeIdentifierList = value
    assert request.AttributeIdentifierList == expected


def test_attribute_identifiers_of_an_element() -> None:
    ds = Dataset()
    ds.AttributeIdentifierList = [0x00100010, 0x00100020]
    request = d.N_GET()
    request.AttributeIdentifierList = ds.AttributeIdentifierList
    assert request.AttributeIdentifierList == [0x00100010, 0x00100020]


@pytest.mark.parametrize("count", [1, 2])
def test_received_attribute_identifiers(count: int) -> None:
    tags = (0x00100010, 0x00100020)[:count]
    request = from_command({e.COMMAND_FIELD: 0x0110, e.ATTRIBUTE_IDENTIFIER_LIST: tags}, None)
    assert isinstance(request, d.N_GET)
    found = request.AttributeIdentifierList
    assert isinstance(found, BaseTag) if count == 1 else isinstance(found, list)


@pytest.mark.parametrize("value", ["no such keyword", [None], ["x y"], object()])
def test_bad_attribute_identifiers(value: Any) -> None:
    with pytest.raises(ValueError, match="Attribute Identifier List"):
        d.N_GET().AttributeIdentifierList = value


@pytest.mark.parametrize(
    ("cls", "name", "value", "error"),
    [
        (d.C_ECHO, "MessageID", -1, ValueError),
        (d.C_ECHO, "MessageID", 65536, ValueError),
        (d.C_ECHO, "MessageID", "1", TypeError),
        (d.C_CANCEL, "MessageIDBeingRespondedTo", 65536, ValueError),
        (d.C_ECHO, "Status", "0", TypeError),
        (d.C_ECHO, "AffectedSOPClassUID", 1, TypeError),
        (d.C_STORE, "AffectedSOPInstanceUID", "1" * 65, ValueError),
        (d.C_STORE, "Priority", 3, ValueError),
        (d.C_STORE, "Priority", None, ValueError),
        (d.C_STORE, "DataSet", b"data", TypeError),
        (d.C_STORE, "MoveOriginatorMessageID", 65536, ValueError),
        (d.C_STORE, "MoveOriginatorApplicationEntityTitle", 1, TypeError),
        (d.C_MOVE, "MoveDestination", "", ValueError),
        (d.C_MOVE, "MoveDestination", "  ", ValueError),
        (d.C_MOVE, "MoveDestination", "A" * 17, ValueError),
        (d.C_MOVE, "MoveDestination", 1, TypeError),
        (d.C_GET, "NumberOfFailedSuboperations", -1, ValueError),
        (d.C_GET, "NumberOfFailedSuboperations", "1", TypeError),
        (d.N_ACTION, "ActionTypeID", "1", TypeError),
        (d.N_EVENT_REPORT, "EventTypeID", 1.0, TypeError),
        (d.N_SET, "ModificationList", Dataset(), TypeError),
        (d.N_CREATE, "AttributeList", "", TypeError),
    ],
)
def test_what_is_refused(cls: type[Primitive], name: str, value: Any, error: type[Exception]) -> None:
    primitive = cls()
    before = getattr(primitive, name)
    with pytest.raises(error):
        setattr(primitive, name, value)
    assert getattr(primitive, name) == before


def test_text_may_come_as_bytes() -> None:
    request = d.C_MOVE()
    request.MoveDestination = b"STORE"
    request.AffectedSOPClassUID = b"1.2.3"
    assert request.MoveDestination == "STORE"
    assert request.AffectedSOPClassUID == "1.2.3"


def test_a_bad_move_originator_is_left_out() -> None:
    request = d.C_STORE()
    request.MoveOriginatorApplicationEntityTitle = "A" * 17
    assert request.MoveOriginatorApplicationEntityTitle is None


def test_values_can_be_removed() -> None:
    request = d.C_ECHO()
    request.MessageID = 1
    request.AffectedSOPClassUID = "1.2.3"
    request.MessageID = None
    request.AffectedSOPClassUID = None
    assert (request.MessageID, request.AffectedSOPClassUID) == (None, None)
    assert e.MESSAGE_ID not in to_command(request)


def test_the_data_set_of_both_halves_is_one() -> None:
    data = BytesIO()
    for cls, request, response in (
        (d.N_SET, "ModificationList", "AttributeList"),
        (d.N_ACTION, "ActionInformation", "ActionReply"),
        (d.N_EVENT_REPORT, "EventInformation", "EventReply"),
    ):
        primitive = cls()
        setattr(primitive, request, data)
        assert getattr(primitive, response) is data


@pytest.mark.parametrize("cls", [cls for cls in PRIMITIVES.values() if issubclass(cls, d.DIMSEPrimitive)])
def test_validity(cls: type[d.DIMSEPrimitive]) -> None:
    primitive = cls()
    assert not primitive.is_valid_request
    assert not primitive.is_valid_response
    assert primitive.msg_type == cls.__name__.replace("_", "-")
    primitive.MessageIDBeingRespondedTo = 0
    primitive.Status = 0
    assert primitive.is_valid_response
    assert all(hasattr(cls, keyword) for keyword in (*cls.REQUEST_KEYWORDS, *cls.STATUS_OPTIONAL_KEYWORDS))


def test_a_priority_is_low_by_default() -> None:
    assert d.C_FIND().Priority == 2
    assert d.C_ECHO().parameters == {}
