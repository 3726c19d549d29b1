"""Answers to requests: whatever the user's code gives or raises, the peer gets one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dulcimer.data import codec
from dulcimer.errors import Refused
from dulcimer.ops.answers import UndecodableDataSet
from dulcimer.ops.provide import provide
from dulcimer.protocol.association.contexts import Context
from dulcimer.protocol.association.engine import Engine
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.protocol.dimse.assembler import Message
from dulcimer.protocol.dimse.commands import Value
from dulcimer.protocol.ul.states import State
from dulcimer.protocol.wire import codec as wire
from dulcimer.protocol.wire.pdus import Abort, ReleaseRQ
from unit.ops.driving import drive
from unit.protocol.engines import (
    CT_CONTEXT,
    ECHO_CONTEXT,
    INSTANCE,
    MPPS,
    MPPS_CONTEXT,
    VERIFICATION,
    content,
    echo_request,
    message_bytes,
    output,
    parse,
    reach,
    receive,
    set_request,
    store_request,
)

Command = Mapping[int, Value]

SET = (MPPS_CONTEXT, set_request(7), b"")
STORE = (CT_CONTEXT, store_request(7), bytes(10))
ECHO = (ECHO_CONTEXT, echo_request(7), None)


def ask(
    respond: Callable[[], Any],
    request: tuple[int, Command, bytes | None] = SET,
    engine: Engine | None = None,
) -> Message:
    """Return the response to a request."""
    engine = engine or reach(State.STA6, False)
    receive(engine, message_bytes(*request))
    drive(provide(engine, engine.requests.popleft(), lambda message, context: respond()))
    (answer,) = parse(output(engine))
    assert isinstance(answer, Message)
    assert answer.command[e.MESSAGE_ID_BEING_RESPONDED_TO] == request[1][e.MESSAGE_ID]
    assert answer.command[e.COMMAND_FIELD] == request[1][e.COMMAND_FIELD] | 0x8000  # type: ignore[operator]
    assert engine.established
    return answer


def gives(value: Any) -> Callable[[], Any]:
    return lambda: value


def raises(error: Exception) -> Callable[[], Any]:
    def respond() -> Any:
        raise error

    return respond


def status(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def test_the_handler_is_given_the_message_and_its_context() -> None:
    engine = reach(State.STA6, False)
    receive(engine, message_bytes(*SET))
    seen: list[tuple[Message, Context]] = []

    def respond(message: Message, context: Context) -> Any:
        seen.append((message, context))
        return 0x0000, None

    drive(provide(engine, engine.requests.popleft(), respond))
    ((message, context),) = seen
    assert message.command[e.REQUESTED_SOP_INSTANCE_UID] == INSTANCE
    assert context.abstract_syntax == MPPS


def test_a_response_names_class_and_instance() -> None:
    command = ask(gives((0x0000, None))).command
    assert command[e.AFFECTED_SOP_CLASS_UID] == MPPS
    assert command[e.AFFECTED_SOP_INSTANCE_UID] == INSTANCE
    assert command[e.STATUS] == 0x0000
    assert ask(gives(0x0000), ECHO).command[e.AFFECTED_SOP_CLASS_UID] == VERIFICATION


def test_a_data_set_goes_with_success() -> None:
    answer = ask(gives((0x0000, status(PerformedProcedureStepID="1"))))
    encoding = codec.encoding_of("1.2.840.10008.1.2")
    assert content(answer) == codec.encode(status(PerformedProcedureStepID="1"), encoding)


def test_no_data_set_goes_with_failure() -> None:
    answer = ask(gives((0x0110, status(PerformedProcedureStepID="1"))))
    assert answer.command[e.STATUS] == 0x0110
    assert answer.sink is None


def test_status_elements() -> None:
    answer = ask(
        gives(
            (
                status(
                    Status=0x0106, ErrorComment="a\\b" + "x" * 80, ErrorID=5, OffendingElement=[0x00100010]
                ),
                None,
            )
        )
    )
    assert answer.command[e.STATUS] == 0x0106
    assert answer.command[e.ERROR_COMMENT] == "a/b" + "x" * 61
    assert answer.command[e.ERROR_ID] == 5
    assert answer.command[e.OFFENDING_ELEMENT] == (0x00100010,)


def test_what_a_refusal_says() -> None:
    refusal = Refused(
        0x0106,
        "no",
        error_id=9,
        attributes=[0x00100010],
        offending=[0x00100020],
        values=status(PatientID="1"),
    )
    answer = ask(raises(refusal))
    command = answer.command
    assert (command[e.STATUS], command[e.ERROR_COMMENT], command[e.ERROR_ID]) == (0x0106, "no", 9)
    assert command[e.ATTRIBUTE_IDENTIFIER_LIST] == (0x00100010,)
    assert command[e.OFFENDING_ELEMENT] == (0x00100020,)
    assert answer.sink is not None


@pytest.mark.parametrize(
    ("request_", "error", "expected"),
    [
        (SET, ValueError("x"), 0x0110),
        (STORE, ValueError("x"), 0xC211),
        (STORE, UndecodableDataSet("x"), 0xC210),
        (SET, UndecodableDataSet("x"), 0x0110),
        (ECHO, ValueError("x"), 0x0000),
        (SET, NotImplementedError(), 0x0110),
        (SET, StopIteration(), 0x0110),
    ],
)
def test_a_handler_that_raises(request_: Any, error: Exception, expected: int) -> None:
    assert ask(raises(error), request_).command[e.STATUS] == expected


class Evil:
    def __iter__(self) -> Any:
        raise OSError("evil")


@pytest.mark.parametrize(
    "wrong",
    [
        gives(None),
        gives(0x0000),
        gives((0x0000, None, None)),
        gives(Evil()),
        gives((None, None)),
        gives((0.0, None)),
        gives(("0000", None)),
        gives((-1, None)),
        gives((0x10000, None)),
        gives((status(), None)),
        gives((status(Status="abc"), None)),
        gives((status(Status=None), None)),
        gives((status(Status=[1, 2]), None)),
        gives((status(Status=0x0110, ErrorID=99999), None)),
        gives((status(Status=0x0110, AffectedSOPInstanceUID="é"), None)),
        gives((status(Status=0x0110, EventTypeID=-5), None)),
        raises(Refused(0x12345)),
        raises(Refused(-1)),
        raises(Refused(0x0110, error_id=70000)),
        raises(Refused(0x0110, attributes=["PatientName"])),  # type: ignore[list-item]
        raises(Refused(0x0110, offending=[1 << 40])),
        raises(Refused(0x0110, 5)),  # type: ignore[arg-type]
        raises(Refused(0x0110, values="none")),  # type: ignore[arg-type]
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_whatever_the_handler_does_wrong_the_peer_gets_a_failure(
    wrong: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    answer = ask(wrong)
    assert answer.command[e.STATUS] not in (0x0000, 0x0001, 0x0107)
    assert answer.sink is None


def test_a_data_set_that_cannot_be_encoded() -> None:
    broken = Dataset()
    broken.add_new(0x00280010, "US", 70000)
    answer = ask(gives((0x0000, broken)))
    assert answer.command[e.STATUS] == 0x0110
    assert answer.sink is None


def test_a_status_that_nobody_knows_is_sent_as_it_is() -> None:
    assert ask(gives((0x1234, None))).command[e.STATUS] == 0x1234


# ---- what the user's code need not see ------------------------------------------------------------------


def never() -> Any:
    raise AssertionError("the handler was called")


@pytest.mark.parametrize(
    ("error", "expected", "comment"),
    [
        (OSError(28, "No space left on device"), 0xA700, "No space left on device"),
        (ValueError("odd"), 0xA700, "odd"),
        (ValueError(), 0xA700, "ValueError"),
        (Refused(0xA900, "mismatch"), 0xA900, "mismatch"),
    ],
)
def test_a_data_set_that_could_not_be_kept(error: Exception, expected: int, comment: str) -> None:
    def open_sink(context: Context, command: Command) -> Any:
        raise error

    engine = reach(State.STA6, False, open_sink=open_sink)
    answer = ask(never, STORE, engine)
    assert (answer.command[e.STATUS], answer.command[e.ERROR_COMMENT]) == (expected, comment)


def test_a_request_without_its_data_set() -> None:
    assert ask(never, (MPPS_CONTEXT, set_request(7), None)).command[e.STATUS] == 0x0212


def test_a_request_without_an_instance() -> None:
    command = set_request(7)
    del command[e.REQUESTED_SOP_INSTANCE_UID]
    assert ask(never, (MPPS_CONTEXT, command, b"")).command[e.STATUS] == 0x0117


def test_a_request_that_has_no_place_on_its_context() -> None:
    engine = reach(State.STA6, False)
    receive(engine, message_bytes(ECHO_CONTEXT, set_request(7), b""))
    drive(provide(engine, engine.requests.popleft(), lambda *_: never()))
    assert parse(output(engine)) == [Abort(2, 5)]
    assert engine.failure is not None and "N-SET" in str(engine.failure)


class Kept:
    """A sink that knows whether it was given up."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def write(self, data: memoryview, /) -> None:
        pass

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")
        raise OSError("nobody hears of this")


@pytest.mark.parametrize("what", ["answered", "without instance", "in the wrong place", "too late"])
def test_the_sink_of_what_nobody_sees_is_given_up(what: str) -> None:
    """It was closed, as its data set is complete: a file would stay open, or stay."""
    sink = Kept()
    engine = reach(State.STA6, False, open_sink=lambda context, command: sink)
    context, command = CT_CONTEXT, store_request(7)
    if what == "without instance":
        del command[e.AFFECTED_SOP_INSTANCE_UID]
    if what == "in the wrong place":
        context = ECHO_CONTEXT
    receive(engine, message_bytes(context, command, bytes(10)))
    message = engine.requests.popleft()
    if what == "too late":
        engine = reach(State.STA7, False)
    drive(provide(engine, message, lambda *_: 0x0000))
    assert sink.calls == ["close"] if what == "answered" else sink.calls == ["close", "abort"]


# ---- N-CREATE -------------------------------------------------------------------------------------------


def create_request(instance: str | None) -> tuple[int, Command, bytes]:
    command: dict[int, Value] = {
        e.COMMAND_FIELD: m.N_CREATE_RQ,
        e.MESSAGE_ID: 7,
        e.AFFECTED_SOP_CLASS_UID: MPPS,
    }
    if instance:
        command[e.AFFECTED_SOP_INSTANCE_UID] = instance
    return MPPS_CONTEXT, command, b""


def test_the_instance_that_was_created() -> None:
    assert ask(gives((0, None)), create_request("1.5")).command[e.AFFECTED_SOP_INSTANCE_UID] == "1.5"


def test_the_instance_that_the_handler_made_up() -> None:
    answer = ask(gives((0, status(AffectedSOPInstanceUID="1.6", PatientID="1"))), create_request(None))
    assert answer.command[e.AFFECTED_SOP_INSTANCE_UID] == "1.6"
    encoding = codec.encoding_of("1.2.840.10008.1.2")
    assert content(answer) == codec.encode(status(PatientID="1"), encoding)


def test_no_instance_was_made_up() -> None:
    answer = ask(gives((0, None)), create_request(None))
    assert answer.command[e.STATUS] == 0x0110


# ---- the association goes on without us -----------------------------------------------------------------


@pytest.mark.parametrize("what", ["release", "abort", "eof"])
def test_what_ends_meanwhile_is_not_answered(what: str) -> None:
    engine = reach(State.STA6, False)
    receive(engine, message_bytes(*SET))

    def respond(message: Message, context: Context) -> Any:
        {"release": engine.release, "abort": engine.abort, "eof": engine.eof}[what](1.0)
        output(engine)
        return 0x0000, None

    drive(provide(engine, engine.requests.popleft(), respond))
    assert output(engine) == b""


def test_the_peers_release_does_not_take_the_answer_away() -> None:
    engine = reach(State.STA6, False)
    receive(engine, message_bytes(*SET))

    def respond(message: Message, context: Context) -> Any:
        receive(engine, wire.encode(ReleaseRQ()))
        return 0x0000, None

    drive(provide(engine, engine.requests.popleft(), respond))
    assert engine.state is State.STA8
    (answer,) = parse(output(engine))
    assert isinstance(answer, Message)
    assert answer.command[e.STATUS] == 0x0000


@pytest.mark.parametrize("state", [State.STA7, State.STA9, State.STA11])
def test_what_comes_while_we_release_is_not_served(state: State) -> None:
    engine = reach(State.STA6, True)
    receive(engine, message_bytes(*SET))
    message = engine.requests.popleft()
    other = reach(state, True)
    drive(provide(other, message, lambda *_: never()))
    assert output(other) == b""
