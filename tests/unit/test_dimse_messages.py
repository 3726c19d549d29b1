"""The messages that handlers are given."""

from __future__ import annotations

from io import BytesIO

import pytest

from dulcimer import dimse_messages
from dulcimer.dimse_messages import DIMSEMessage
from dulcimer.dimse_primitives import N_SET
from dulcimer.protocol.dimse import commands
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse.assembler import Assembler
from dulcimer.protocol.dimse.messages import MESSAGES, N_SET_RQ, N_SET_RSP
from dulcimer.protocol.dimse.sinks import MemorySink
from dulcimer.protocol.wire.reader import Fragment

COMMAND: dict[int, commands.Value] = {
    e.COMMAND_FIELD: N_SET_RQ,
    e.MESSAGE_ID: 7,
    e.REQUESTED_SOP_CLASS_UID: "1.2.840.10008.3.1.2.3.3",
    e.REQUESTED_SOP_INSTANCE_UID: "1.2.3",
    e.COMMAND_DATA_SET_TYPE: 1,
}


@pytest.mark.parametrize("field", MESSAGES)
def test_every_message_has_a_class_of_its_name(field: int) -> None:
    found = dimse_messages.message(1, {e.COMMAND_FIELD: field}, None)
    assert type(found).__name__ == MESSAGES[field].name.replace("-", "_")
    assert found.name == MESSAGES[field].name
    assert found.command_set.CommandField == field


def test_what_a_message_says() -> None:
    message = dimse_messages.message(3, COMMAND, BytesIO(b"data"))
    assert isinstance(message, dimse_messages.N_SET_RQ)
    assert message.context_id == 3
    assert message.command_set.MessageID == 7
    assert message.command_set.RequestedSOPInstanceUID == "1.2.3"
    assert message.command_set is message.command_set
    assert message.encoded_command_set.getvalue() == commands.encode(COMMAND)
    assert message.data_set.read() == b"data"
    primitive = message.message_to_primitive()
    assert isinstance(primitive, N_SET)
    assert primitive.MessageID == 7
    assert primitive.ModificationList is not None
    assert primitive.ModificationList.getvalue() == b"data"


def test_reading_a_message_leaves_the_stream_alone() -> None:
    stream = BytesIO(b"data")
    message = dimse_messages.message(3, COMMAND, stream)
    message.data_set.read()
    message.data_set.write(b"more")
    assert stream.tell() == 0 and stream.getvalue() == b"data"


def test_a_data_set_that_is_not_in_memory() -> None:
    message = dimse_messages.message(3, COMMAND, None)
    assert message.has_data_set and message.data_set.getvalue() == b""


def test_a_message_without_data_set() -> None:
    answer = {e.COMMAND_FIELD: N_SET_RSP, e.MESSAGE_ID_BEING_RESPONDED_TO: 7, e.STATUS: 0xB305}
    message = dimse_messages.message(3, answer, None)
    assert not message.has_data_set
    assert message.message_to_primitive().data_set is None
    assert str(message) == "N-SET-RSP in context 3, MessageIDBeingRespondedTo 7, Status B305H"


def test_a_message_that_there_is_not() -> None:
    message = dimse_messages.message(1, {e.COMMAND_FIELD: 0x7777}, None)
    assert type(message) is DIMSEMessage and message.name == "unknown"
    assert message.command_set.CommandField == 0x7777


@pytest.mark.parametrize("length", [8, 64, 16382, 0])
def test_fragments_make_the_message_again(length: int) -> None:
    message = dimse_messages.message(3, COMMAND, BytesIO(b"0123456789" * 30))
    assembler = Assembler(lambda command: None, lambda context_id, command: MemorySink())
    found = None
    for primitive in message.encode_msg(5, length):
        ((context_id, value),) = primitive.presentation_data_value_list
        assert not length or len(value) + 5 <= length
        found = assembler.feed(Fragment(context_id, value[0], memoryview(value)[1:], True))
    assert found is not None and found.context_id == 5
    assert found.command == COMMAND
    assert isinstance(found.sink, MemorySink)
    assert found.sink.stream.getvalue() == b"0123456789" * 30


def test_primitives_there_and_back() -> None:
    message = dimse_messages.message(3, COMMAND, BytesIO(b"data"))
    again = dimse_messages.N_SET_RQ()
    assert again.command_set.CommandField == N_SET_RQ
    again.primitive_to_message(message.message_to_primitive())
    assert again.command_set == message.command_set
    assert again.data_set.getvalue() == b"data"
    with pytest.raises(ValueError, match="N-SET-RSP"):
        dimse_messages.N_SET_RSP().primitive_to_message(message.message_to_primitive())


def test_a_message_of_fragments() -> None:
    sent = dimse_messages.message(3, COMMAND, BytesIO(b"0123456789" * 30))
    found = DIMSEMessage()
    complete = [found.decode_msg(primitive) for primitive in sent.encode_msg(5, 64)]
    assert complete == [False] * (len(complete) - 1) + [True]
    assert isinstance(found, dimse_messages.N_SET_RQ) and found.context_id == 5
    assert found.command_set == sent.command_set
    assert found.data_set.getvalue() == sent.data_set.getvalue()
