"""The assembler: fragments to messages, and where their data sets go."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dulcimer.errors import InvalidParameter, RemoteProtocolError, UnexpectedParameter
from dulcimer.protocol.dimse import commands
from dulcimer.protocol.dimse.assembler import MAX_COMMAND_SET, Assembler, Message
from dulcimer.protocol.dimse.commands import Value
from dulcimer.protocol.dimse.elements import COMMAND_DATA_SET_TYPE, COMMAND_FIELD, NO_DATA_SET
from dulcimer.protocol.dimse.messages import C_ECHO_RQ, C_STORE_RQ
from dulcimer.protocol.dimse.sinks import DataSetTooLarge, MemorySink, Sink
from dulcimer.protocol.wire.reader import Fragment

ECHO = commands.encode({COMMAND_FIELD: C_ECHO_RQ, COMMAND_DATA_SET_TYPE: NO_DATA_SET})
STORE = commands.encode({COMMAND_FIELD: C_STORE_RQ, COMMAND_DATA_SET_TYPE: 1})

COMMAND, LAST = 1, 2


def fragment(control: int, data: bytes = b"", context_id: int = 1, whole: bool = True) -> Fragment:
    return Fragment(context_id, control, memoryview(data), whole)


class NotedSink(MemorySink):
    """Notes what is done to it, and fails where it is told to."""

    def __init__(self, *faults: str) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.faults = faults

    def _note(self, name: str) -> None:
        self.calls.append(name)
        if name in self.faults:
            raise OSError(f"{name} failed")

    def write(self, data: memoryview, /) -> None:
        self._note("write")
        super().write(data)

    def flush(self) -> None:
        self._note("flush")

    def close(self) -> None:
        self._note("close")

    def abort(self) -> None:
        self._note("abort")


def accept_all(command: Mapping[int, Value]) -> None:
    pass


def assembler_into(sink: Sink) -> Assembler:
    return Assembler(accept_all, lambda context_id, command: sink)


def feed(assembler: Assembler, *fragments: Fragment) -> list[Message]:
    return [message for message in map(assembler.feed, fragments) if message is not None]


def test_a_message_without_a_data_set() -> None:
    assembler = assembler_into(NotedSink())
    (message,) = feed(assembler, fragment(COMMAND | LAST, ECHO, context_id=3))
    assert (message.context_id, message.command[COMMAND_FIELD], message.sink) == (3, C_ECHO_RQ, None)
    assert not assembler.in_message


def test_without_a_command_data_set_type_there_is_no_data_set() -> None:
    command = commands.encode({COMMAND_FIELD: C_ECHO_RQ})
    assert len(feed(assembler_into(NotedSink()), fragment(COMMAND | LAST, command))) == 1


@pytest.mark.parametrize("cut", range(len(STORE) + 1))
def test_a_command_set_in_fragments(cut: int) -> None:
    sink = NotedSink()
    assembler = assembler_into(sink)
    assert not feed(assembler, fragment(COMMAND, STORE[:cut]), fragment(COMMAND | LAST, STORE[cut:]))
    assert assembler.in_message
    (message,) = feed(assembler, fragment(LAST, b"data"))
    assert message.sink is sink and sink.stream.getvalue() == b"data"


def test_the_last_fragment_ends_a_message_when_it_is_whole() -> None:
    sink = NotedSink()
    assembler = assembler_into(sink)
    assert not feed(assembler, fragment(COMMAND | LAST, STORE[:20], whole=False))
    assert not feed(assembler, fragment(COMMAND | LAST, STORE[20:]))
    assert not feed(assembler, fragment(LAST, b"da", whole=False))
    assert len(feed(assembler, fragment(LAST, b"ta"))) == 1
    assert sink.stream.getvalue() == b"data"


def test_zero_length_fragments_are_nothing() -> None:
    sink = NotedSink()
    assembler = assembler_into(sink)
    feed(assembler, fragment(COMMAND), fragment(COMMAND | LAST, STORE), fragment(0), fragment(0, b"x"))
    (message,) = feed(assembler, fragment(LAST))
    assert message.error is None
    assert sink.calls == ["write", "flush", "close"]


def test_a_sink_is_flushed_for_every_buffer_of_input() -> None:
    sink = NotedSink()
    assembler = assembler_into(sink)
    assembler.flush()
    feed(assembler, fragment(COMMAND | LAST, STORE), fragment(0, b"a"), fragment(0, b"b"))
    assembler.flush()
    feed(assembler, fragment(LAST, b"c"))
    assembler.flush()
    assert sink.calls == ["write", "write", "flush", "write", "flush", "close"]


def test_open_sink_is_given_context_and_command() -> None:
    given: list[tuple[int, object]] = []

    def open_sink(context_id: int, command: Mapping[int, Value]) -> Sink:
        given.append((context_id, command[COMMAND_FIELD]))
        return MemorySink()

    feed(Assembler(accept_all, open_sink), fragment(COMMAND | LAST, STORE, context_id=9))
    assert given == [(9, C_STORE_RQ)]


@pytest.mark.parametrize("command", [ECHO, STORE])
def test_a_command_set_is_checked_before_its_data_set_is_taken(command: bytes) -> None:
    def refuse(command: Mapping[int, Value]) -> None:
        raise InvalidParameter("not one of ours")

    def open_sink(context_id: int, command: Mapping[int, Value]) -> Sink:
        raise AssertionError("opened all the same")

    with pytest.raises(InvalidParameter, match="not one of ours"):
        feed(Assembler(refuse, open_sink), fragment(COMMAND | LAST, command))


BREACHES: dict[str, tuple[list[Fragment], type[RemoteProtocolError]]] = {
    "data before its command": ([fragment(LAST, b"x")], UnexpectedParameter),
    "data within a command": ([fragment(COMMAND, b"x"), fragment(LAST, b"x")], UnexpectedParameter),
    "data after a message without any": (
        [fragment(COMMAND | LAST, ECHO), fragment(LAST, b"x")],
        UnexpectedParameter,
    ),
    "data in another context": (
        [fragment(COMMAND | LAST, STORE), fragment(LAST, b"x", context_id=3)],
        UnexpectedParameter,
    ),
    "nothing in another context": (
        [fragment(COMMAND | LAST, STORE), fragment(LAST, context_id=3)],
        UnexpectedParameter,
    ),
    "command in another context": (
        [fragment(COMMAND, STORE[:8]), fragment(COMMAND | LAST, STORE[8:], context_id=3)],
        UnexpectedParameter,
    ),
    "command within data": (
        [fragment(COMMAND | LAST, STORE), fragment(0, b"x"), fragment(COMMAND | LAST, ECHO)],
        UnexpectedParameter,
    ),
    "command cut short": ([fragment(COMMAND | LAST, ECHO[:-1])], InvalidParameter),
    "command of 64 KiB and a byte": (
        [fragment(COMMAND, bytes(MAX_COMMAND_SET)), fragment(COMMAND, b"x")],
        InvalidParameter,
    ),
}


@pytest.mark.parametrize(("fragments", "error"), BREACHES.values(), ids=BREACHES.keys())
def test_breach(fragments: list[Fragment], error: type[RemoteProtocolError]) -> None:
    assembler = assembler_into(NotedSink())
    feed(assembler, *fragments[:-1])
    with pytest.raises(error):
        assembler.feed(fragments[-1])


def test_a_command_set_is_never_kept_beyond_its_limit() -> None:
    assembler = assembler_into(NotedSink())
    with pytest.raises(InvalidParameter):
        assembler.feed(fragment(COMMAND, bytes(MAX_COMMAND_SET + 1), whole=False))
    assert not assembler.in_message


@pytest.mark.parametrize("fault", ["write", "flush", "close"])
@pytest.mark.parametrize("second", [(), ("abort",)])
def test_a_sink_that_fails_is_aborted_once_and_the_rest_drained(fault: str, second: tuple[str, ...]) -> None:
    sink = NotedSink(fault, *second)
    assembler = assembler_into(sink)
    feed(assembler, fragment(COMMAND | LAST, STORE), fragment(0, b"a"))
    assembler.flush()
    (message,) = feed(assembler, fragment(0, b"b"), fragment(LAST, b"c"))
    assert message.sink is None and str(message.error) == f"{fault} failed"
    assert sink.calls.count("abort") == 1 and sink.calls[-1] == "abort"
    assert bool(getattr(message.error, "__notes__", ())) is bool(second)
    assert not assembler.in_message


def test_a_sink_that_cannot_be_opened() -> None:
    def open_sink(context_id: int, command: Mapping[int, Value]) -> Sink:
        raise OSError("no space")

    assembler = Assembler(accept_all, open_sink)
    (message,) = feed(assembler, fragment(COMMAND | LAST, STORE), fragment(0, b"a"), fragment(LAST, b"b"))
    assert message.sink is None and str(message.error) == "no space"


@pytest.mark.parametrize("faults", [(), ("abort",)])
def test_abort(faults: tuple[str, ...]) -> None:
    sink = NotedSink(*faults)
    assembler = assembler_into(sink)
    feed(assembler, fragment(COMMAND | LAST, STORE), fragment(0, b"a"))
    assembler.abort()
    assembler.abort()
    assembler.flush()
    assert sink.calls == ["write", "abort"]
    assert not assembler.in_message
    feed(assembler, fragment(COMMAND, b"x"))
    assembler.abort()
    assert not assembler.in_message


@pytest.mark.parametrize("size", [9, 10, 11])
def test_memory_sink_limit(size: int) -> None:
    sink = MemorySink(10)
    sink.write(memoryview(bytes(5)))
    if size <= 10:
        sink.write(memoryview(bytes(size - 5)))
        sink.close()
        assert sink.stream.read() == bytes(size)
    else:
        with pytest.raises(DataSetTooLarge, match="10 bytes"):
            sink.write(memoryview(bytes(size - 5)))
        assert len(sink.stream.getvalue()) == 5
