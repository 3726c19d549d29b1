"""C-FIND, C-GET and C-MOVE as SCP: whatever the handler yields or does wrong, the peer gets its answer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, JPEGBaseline8Bit

from dulcimer.data import codec
from dulcimer.data.bulk import without_bulk_data
from dulcimer.errors import Refused
from dulcimer.ops.answers import UndecodableDataSet
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.ul.states import State
from dulcimer.protocol.wire.pdus import Abort, ReleaseRQ
from unit.ops.streaming import (
    BULKLESS,
    FIND,
    GET,
    MOVE,
    PULL,
    PUSH,
    RELEVANT,
    STUDY_FIND,
    FakeMove,
    Peer,
    counts,
    dataset,
    failed,
    identifier_of,
    instance,
    statuses,
    yields,
)
from unit.protocol.engines import content

WHERE = ("127.0.0.1", 11112)
MATCH = dataset(PatientName="A^B")


def status(**elements: Any) -> Dataset:
    return dataset(**elements)


def cannot_encode() -> Dataset:
    made = Dataset()
    made.add_new(0x00280010, "US", "many")
    return made


def ask_get(*results: Any, peer: Peer | None = None, **options: Any) -> list[Any]:
    return (peer or Peer()).ask(yields(*results), "C-GET", **options)


def ask_move(*results: Any, move: FakeMove | None = None, **options: Any) -> tuple[list[Any], FakeMove]:
    made = move or FakeMove(None)
    made.results = yields(*results)(None)
    return Peer().ask(lambda message: made, "C-MOVE", **options), made


# ---- C-FIND ------------------------------------------------------------------------------------------


def test_a_match_each_and_success_at_the_end() -> None:
    matches = [dataset(PatientName=f"A^{number}") for number in range(3)]
    responses = Peer().ask(yields(*[(0xFF00, match) for match in matches]))
    assert statuses(responses) == [0xFF00, 0xFF00, 0xFF00, 0x0000]
    assert [identifier_of(response) for response in responses] == [*matches, None]
    for response in responses:
        assert response.command[e.AFFECTED_SOP_CLASS_UID] == STUDY_FIND
        assert response.command[e.MESSAGE_ID_BEING_RESPONDED_TO] == 7


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param((), [0x0000], id="nothing"),
        pytest.param(((0x0000, None),), [0x0000], id="success"),
        pytest.param(((0x0000, None), (0xFF00, MATCH)), [0x0000], id="nothing after success"),
        pytest.param(((0xFF01, MATCH),), [0xFF01, 0x0000], id="pending with a warning"),
        pytest.param(((0xA700, None),), [0xA700], id="failure"),
        pytest.param(((0xFF00, MATCH), (0xA900, None), (0xFF00, MATCH)), [0xFF00, 0xA900], id="fails later"),
        pytest.param(((0xFE00, None),), [0xFE00], id="cancel"),
        pytest.param(((0xB001, None), (0xFF00, MATCH)), [0xB001], id="warning is final"),
        pytest.param(((0x1234, None),), [0x1234], id="unknown status"),
        pytest.param(((0xFF02, MATCH), (0xFF00, MATCH)), [0xFF02], id="unknown status of the pending range"),
        pytest.param((ValueError("bad"),), [0xC311], id="raised at once"),
        pytest.param(((0xFF00, MATCH), ValueError("bad")), [0xFF00, 0xC311], id="raised later"),
        pytest.param((Refused(0xA700),), [0xA700], id="refused at once"),
        pytest.param(((0xFF00, MATCH), Refused(0xC001)), [0xFF00, 0xC001], id="refused later"),
        pytest.param((Refused(0xFF00),), [0xC311], id="refused with a pending status"),
        pytest.param((Refused(0x12345),), [0xC311], id="refused with no status"),
        pytest.param((NotImplementedError(),), [0xC311], id="not implemented"),
        pytest.param((UndecodableDataSet("bad"),), [0xC310], id="identifier received cannot be decoded"),
        pytest.param(((0xFF00, None),), [0xC312], id="pending without an identifier"),
        pytest.param(((0xFF00, Dataset()),), [0xC312], id="empty identifier"),
        pytest.param(((0xFF00, "text"),), [0xC312], id="identifier is no data set"),
        pytest.param(((0xFF00, MATCH), (0xFF00, cannot_encode())), [0xFF00, 0xC312], id="cannot be encoded"),
        pytest.param(((status(ErrorComment="x"), None),), [0xC001], id="data set without status"),
        pytest.param((("0000", None),), [0xC002], id="status is text"),
        pytest.param(((None, None),), [0xC002], id="status is none"),
        pytest.param(((-1, None),), [0xC002], id="status is negative"),
        pytest.param(((0x10000, None),), [0xC002], id="status is too large"),
        pytest.param((0xFF00,), [0xC311], id="no pair"),
        pytest.param(((0xFF00, MATCH, 1),), [0xC311], id="three of a pair"),
        pytest.param((None,), [0xC311], id="yields None"),
    ],
)
def test_find_answers(results: tuple[Any, ...], expected: list[int]) -> None:
    peer = Peer()
    assert statuses(peer.ask(yields(*results))) == expected
    # And the association lives on.
    assert statuses(peer.ask(yields((0xFF00, MATCH)), message_id=8)) == [0xFF00, 0x0000]


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (None, [0x0000]),
        ([], [0x0000]),
        ([(0xFF00, MATCH)], [0xFF00, 0x0000]),
        (iter([(0xFF00, MATCH)]), [0xFF00, 0x0000]),
        (5, [0xC311]),
    ],
)
def test_find_without_a_generator(returned: Any, expected: list[int]) -> None:
    assert statuses(Peer().ask(lambda message: returned)) == expected


def test_a_find_handler_that_raises_before_it_is_iterated() -> None:
    def handler(message: Any) -> Any:
        raise KeyError("x")

    assert statuses(Peer().ask(handler)) == [0xC311]


def test_status_elements_travel_with_a_response() -> None:
    first = status(Status=0xFF01, ErrorComment="one\\two", OffendingElement=[0x00100010])
    last = status(Status=0xC000, ErrorID=12, PatientName="not for a response")
    responses = Peer().ask(yields((first, MATCH), (last, None)))
    assert statuses(responses) == [0xFF01, 0xC000]
    assert responses[0].command[e.ERROR_COMMENT] == "one/two"
    assert responses[0].command[e.OFFENDING_ELEMENT] == (0x00100010,)
    assert responses[1].command[e.ERROR_ID] == 12


def test_what_does_not_fit_a_response_is_left_out() -> None:
    unfit = Dataset()
    unfit.Status = 0xFF00
    unfit.add_new(0x00000903, "US", 70_000)
    unfit.add_new(0x00001000, "UI", "1.2.ö")
    responses = Peer().ask(yields((unfit, MATCH)))
    assert statuses(responses) == [0xFF00, 0x0000]
    assert e.ERROR_ID not in responses[0].command
    assert e.AFFECTED_SOP_INSTANCE_UID not in responses[0].command


def test_what_a_refusal_says() -> None:
    (response,) = Peer().ask(yields(Refused(0xA900, "No such level", error_id=3, offending=[0x00080052])))
    assert response.command[e.STATUS] == 0xA900
    assert response.command[e.ERROR_COMMENT] == "No such level"
    assert response.command[e.ERROR_ID] == 3
    assert response.command[e.OFFENDING_ELEMENT] == (0x00080052,)


def test_a_refusal_that_does_not_fit_is_answered_all_the_same() -> None:
    peer = Peer()
    assert statuses(peer.ask(yields(Refused(0xA900, error_id=70_000)))) == [0xC311]
    assert peer.engine.established


@pytest.mark.parametrize("context_id", [FIND, RELEVANT, PULL])
def test_every_service_goes_on_after_both_pending_statuses(context_id: int) -> None:
    responses = Peer().ask(yields((0xFF00, MATCH), (0xFF01, MATCH)), context_id=context_id)
    assert statuses(responses) == [0xFF00, 0xFF01, 0x0000]


@pytest.mark.parametrize(
    ("operation", "context_id"),
    [("C-FIND", MOVE), ("C-FIND", GET), ("C-FIND", PUSH), ("C-GET", FIND), ("C-MOVE", GET), ("C-MOVE", PULL)],
)
def test_an_operation_that_its_context_has_not(operation: str, context_id: int) -> None:
    called: list[Any] = []
    peer = Peer()
    assert peer.ask(called.append, operation, context_id=context_id) == []
    assert called == []
    assert peer.control == [Abort(2, 5)]
    assert peer.engine.failure is not None


def test_the_next_match_is_asked_for_when_the_last_one_was_sent() -> None:
    peer = Peer()
    seen: list[int] = []

    def handler(message: Any) -> Iterator[Any]:
        for _ in range(3):
            yield 0xFF00, MATCH
            seen.append(len(peer.responses))

    peer.ask(handler)
    assert seen == [1, 2, 3]


# ---- C-CANCEL ----------------------------------------------------------------------------------------


def test_a_handler_that_looks_for_a_cancel() -> None:
    peer = Peer()
    seen: list[bool] = []

    def handler(message: Any) -> Iterator[Any]:
        yield 0xFF00, MATCH
        seen.append(peer.is_cancelled())
        peer.cancel()
        seen.append(peer.is_cancelled())
        seen.append(peer.is_cancelled())
        yield 0xFE00, None
        seen.append(False)

    assert statuses(peer.ask(handler)) == [0xFF00, 0xFE00]
    assert seen == [False, True, True]
    assert not peer.engine.cancelled


def test_a_handler_that_does_not_look_is_stopped() -> None:
    peer = Peer()
    ended: list[str] = []

    def handler(message: Any) -> Iterator[Any]:
        try:
            for number in range(100):
                if number == 2:
                    peer.cancel()
                yield 0xFF00, MATCH
        finally:
            ended.append("yes")

    assert statuses(peer.ask(handler)) == [0xFF00, 0xFF00, 0xFE00]
    assert ended == ["yes"]


def test_a_cancelled_handler_may_still_fail_or_be_done() -> None:
    for result, expected in [((0xA700, None), 0xA700), ((0x0000, None), 0x0000)]:
        peer = Peer()

        def handler(message: Any, peer: Peer = peer, result: Any = result) -> Iterator[Any]:
            peer.cancel()
            yield result

        assert statuses(peer.ask(handler)) == [expected]


def test_a_cancel_for_another_operation_stops_nothing() -> None:
    peer = Peer()

    def handler(message: Any) -> Iterator[Any]:
        peer.cancel(message_id=8)
        yield 0xFF00, MATCH
        assert not peer.is_cancelled()
        yield 0xFF00, MATCH

    assert statuses(peer.ask(handler)) == [0xFF00, 0xFF00, 0x0000]


def test_a_cancel_after_the_final_response_is_forgotten() -> None:
    peer = Peer()
    peer.ask(yields((0xFF00, MATCH)))
    peer.cancel()
    peer.look()
    assert not peer.engine.cancelled
    assert statuses(peer.ask(yields((0xFF00, MATCH)))) == [0xFF00, 0x0000]


def test_a_cancel_that_is_there_before_the_handler() -> None:
    peer = Peer()
    peer.cancel()

    def handler(message: Any) -> Iterator[Any]:
        yield 0xFF00, MATCH

    assert statuses(peer.ask(handler)) == [0xFE00]


def test_a_cancel_during_suboperations() -> None:
    peer = Peer()
    peer.store_status = [0x0000, 0xA700]

    def handler(message: Any) -> Iterator[Any]:
        yield 5
        yield 0xFF00, instance(1)
        yield 0xFF00, instance(2)
        peer.cancel(context_id=GET)
        yield 0xFF00, instance(3)

    responses = peer.ask(handler, "C-GET")
    assert statuses(responses) == [0xFF00, 0xFF00, 0xFE00]
    assert counts(responses[-1]) == (3, 1, 1, 0)
    assert failed(responses[-1]) == ["1.2.2"]
    assert len(peer.stores) == 2


def test_a_cancel_while_a_suboperation_is_under_way() -> None:
    peer = Peer()
    peer.on_store = lambda: peer.cancel(context_id=GET)
    responses = ask_get(3, (0xFF00, instance(1)), (0xFF00, instance(2)), peer=peer)
    assert statuses(responses) == [0xFF00, 0xFE00]
    assert counts(responses[-1]) == (2, 1, 0, 0)


def test_a_cancel_that_a_move_handler_gives() -> None:
    list_of_its_own = dataset(FailedSOPInstanceUIDList=["1.9", "1.10"])
    responses, move = ask_move(WHERE, 3, (0xFF00, instance(1)), (0xFE00, list_of_its_own))
    assert statuses(responses) == [0xFF00, 0xFE00]
    assert counts(responses[-1]) == (2, 1, 0, 0)
    assert failed(responses[-1]) == ["1.9", "1.10"]
    assert move.closed == 1


# ---- the end of the association meanwhile -------------------------------------------------------------


@pytest.mark.parametrize("operation", ["C-FIND", "C-GET"])
def test_the_peer_aborts_while_the_handler_yields(operation: str) -> None:
    peer = Peer()
    ended: list[str] = []

    def handler(message: Any) -> Iterator[Any]:
        try:
            if operation == "C-GET":
                yield 2
            yield 0xFF00, instance(1)
            peer.send(Abort(0, 0))
            yield 0xFF00, instance(2)
            ended.append("asked for more")
        finally:
            ended.append("cleaned up")

    assert statuses(peer.ask(handler, operation)) == [0xFF00]
    assert ended == ["cleaned up"]
    assert peer.control == []


def test_the_peer_asks_for_the_release_while_the_handler_yields() -> None:
    peer = Peer()
    ended: list[str] = []

    def handler(message: Any) -> Iterator[Any]:
        try:
            yield 0xFF00, MATCH
            peer.send(ReleaseRQ())
            yield 0xFF00, MATCH
        finally:
            ended.append("cleaned up")

    assert statuses(peer.ask(handler)) == [0xFF00, 0xFE00]
    assert ended == ["cleaned up"]
    assert peer.engine.state is State.STA8


def test_the_peer_aborts_while_it_stores() -> None:
    peer = Peer()
    peer.store_status = [None]
    peer.on_store = lambda: peer.send(Abort(0, 0))
    ended: list[str] = []

    def handler(message: Any) -> Iterator[Any]:
        try:
            yield 2
            yield 0xFF00, instance(1)
        finally:
            ended.append("cleaned up")

    assert peer.ask(handler, "C-GET") == []
    assert ended == ["cleaned up"]


@pytest.mark.parametrize("before", [0, 1, 2])
def test_the_peer_aborts_before_a_move_begins(before: int) -> None:
    peer = Peer()

    def handler() -> Iterator[Any]:
        for position, result in enumerate((WHERE, 1, (0xFF00, instance(1)))):
            if position == before:
                peer.send(Abort(0, 0))
            yield result

    move = FakeMove(handler())
    assert peer.ask(lambda message: move, "C-MOVE") == []
    assert move.stored == []
    assert move.closed == (1 if before == 2 else 0)


def test_a_handler_that_raises_when_it_is_stopped(caplog: pytest.LogCaptureFixture) -> None:
    peer = Peer()

    def handler(message: Any) -> Iterator[Any]:
        try:
            peer.cancel()
            yield 0xFF00, MATCH
        finally:
            raise ValueError("cannot clean up")

    assert statuses(peer.ask(handler)) == [0xFE00]
    assert "stopped raised ValueError" in caplog.text


# ---- C-GET and C-MOVE: what comes first ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "get", "move"),
    [
        (0, 0x0000, 0x0000),
        (-1, 0x0000, 0x0000),
        (65_536, 0xC416, 0xC516),
        ("many", 0xC413, 0xC513),
        (None, 0xC413, 0xC513),
        (float("nan"), 0xC413, 0xC513),
        (ValueError("bad"), 0xC413, 0xC513),
        (Refused(0xA701, "Cannot count"), 0xA701, 0xA701),
        (UndecodableDataSet("bad"), 0xC410, 0xC510),
    ],
)
def test_the_number_of_suboperations(number: Any, get: int, move: int) -> None:
    (response,) = ask_get(number, (0xFF00, instance(1)))
    assert response.command[e.STATUS] == get
    assert counts(response) == ((None, 0, 0, 0) if get == 0 else (None, None, None, None))
    (response,), moved = ask_move(WHERE, number, (0xFF00, instance(1)))
    assert response.command[e.STATUS] == move
    assert moved.where is None
    assert moved.stored == []


def test_as_many_suboperations_as_there_can_be() -> None:
    responses = ask_get(65_535, (0xFF00, instance(1)), (0xA702, None))
    assert counts(responses[0]) == (65_534, 1, 0, 0)
    assert counts(responses[1]) == (None, 1, 65_534, 0)


@pytest.mark.parametrize("returned", [None, 5, [1, (0xFF00, instance(1))], ()])
def test_no_generator(returned: Any) -> None:
    assert statuses(Peer().ask(lambda message: returned, "C-GET")) == [0xC413]
    move = FakeMove(returned)
    assert statuses(Peer().ask(lambda message: move, "C-MOVE")) == [0xC514]


def test_a_get_or_move_handler_that_raises_before_it_is_iterated() -> None:
    def handler(message: Any) -> Any:
        raise ValueError("bad")

    assert statuses(Peer().ask(handler, "C-GET")) == [0xC411]
    assert statuses(Peer().ask(handler, "C-MOVE")) == [0xC511]


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param((), 0xC514, id="nothing"),
        pytest.param((ValueError("bad"),), 0xC514, id="raised instead of the destination"),
        pytest.param((UndecodableDataSet("bad"),), 0xC510, id="identifier received cannot be decoded"),
        pytest.param((Refused(0xA801, "Who is that"),), 0xA801, id="refused"),
        pytest.param(((None, None), 1), 0xA801, id="unknown destination"),
        pytest.param((("127.0.0.1", None), 1), 0xA801, id="no port"),
        pytest.param((None, 1), 0xC515, id="destination is None"),
        pytest.param((5, 1), 0xC515, id="destination is a number"),
        pytest.param((("127.0.0.1",), 1), 0xC515, id="destination without a port"),
        pytest.param((WHERE,), 0xC513, id="no number"),
    ],
)
def test_the_move_destination(results: tuple[Any, ...], expected: int) -> None:
    (response,), move = ask_move(*results)
    assert response.command[e.STATUS] == expected
    assert move.stored == []
    assert move.closed == 0


def test_a_destination_that_cannot_be_called() -> None:
    move = FakeMove(None)
    move.error = TypeError("associate() got an unexpected keyword")
    (response,), _ = ask_move((*WHERE, {"nonsense": 1}), 1, (0xFF00, instance(1)), move=move)
    assert response.command[e.STATUS] == 0xC515


def test_a_destination_that_does_not_answer() -> None:
    move = FakeMove(None)
    move.refuses = True
    (response,), _ = ask_move(WHERE, 1, (0xFF00, instance(1)), move=move)
    assert response.command[e.STATUS] == 0xA801
    assert response.command[e.ERROR_COMMENT]


# ---- C-GET and C-MOVE: sub-operations -----------------------------------------------------------------

Retrieve = Callable[..., tuple[list[Any], list[Any]]]


def by_get(*results: Any, store: list[int | None] | None = None) -> tuple[list[Any], list[Any]]:
    peer = Peer()
    peer.store_status = store or [0x0000]
    responses = ask_get(*results, peer=peer)
    return responses, [message.command[e.AFFECTED_SOP_INSTANCE_UID] for message in peer.stores]


def by_move(*results: Any, store: list[int | None] | None = None) -> tuple[list[Any], list[Any]]:
    responses, move = ask_move(WHERE, *results, move=FakeMove(None, list(store or [0x0000])))
    assert move.closed == 1
    assert move.where == WHERE
    return responses, [stored[0].get("SOPInstanceUID") for stored in move.stored]


@pytest.fixture(params=[by_get, by_move], ids=["C-GET", "C-MOVE"])
def retrieve(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_all_is_well(retrieve: Retrieve) -> None:
    responses, stored = retrieve(3, *[(0xFF00, instance(number)) for number in (1, 2, 3)])
    assert statuses(responses) == [0xFF00, 0xFF00, 0xFF00, 0x0000]
    assert [counts(response) for response in responses] == [
        (2, 1, 0, 0),
        (1, 2, 0, 0),
        (0, 3, 0, 0),
        (None, 3, 0, 0),
    ]
    assert all(response.sink is None for response in responses)
    assert stored == ["1.2.1", "1.2.2", "1.2.3"]


def test_some_fail_and_some_warn(retrieve: Retrieve) -> None:
    results = [(0xFF00, instance(number)) for number in (1, 2, 3, 4)]
    responses, _ = retrieve(4, *results, store=[0x0000, 0xB000, 0xA700, 0x4321])
    assert statuses(responses) == [0xFF00] * 4 + [0xB000]
    assert counts(responses[-2]) == (0, 1, 2, 1)
    assert counts(responses[-1]) == (None, 1, 2, 1)
    assert failed(responses[-1]) == ["1.2.3", "1.2.4"]


def test_only_warnings(retrieve: Retrieve) -> None:
    responses, _ = retrieve(1, (0xFF00, instance(1)), store=[0xB007])
    assert statuses(responses) == [0xFF00, 0xB000]
    assert counts(responses[-1]) == (None, 0, 0, 1)
    assert failed(responses[-1]) == []


@pytest.mark.parametrize("number", [2, 5])
def test_all_fail(retrieve: Retrieve, number: int) -> None:
    responses, _ = retrieve(number, (0xFF00, instance(1)), (0xFF00, instance(2)), store=[0xC000])
    assert statuses(responses) == [0xFF00, 0xFF00, 0xA702]
    assert counts(responses[-1]) == (None, 0, number, 0)
    assert failed(responses[-1]) == ["1.2.1", "1.2.2"]


@pytest.mark.parametrize(("final", "failures"), [(0x0000, 1), (0xB000, 2)])
def test_the_handler_says_that_it_is_done(retrieve: Retrieve, final: int, failures: int) -> None:
    """With a warning what it did not come to has failed; with a success there was no more to do."""
    responses, _ = retrieve(2, (0xFF00, instance(1)), (final, None), store=[0xA900])
    assert statuses(responses) == [0xFF00, 0xB000]
    assert counts(responses[-1]) == (None, 0, failures, 0)
    assert failed(responses[-1]) == ["1.2.1"]


def test_the_handler_says_that_it_is_done_and_all_is_well(retrieve: Retrieve) -> None:
    responses, _ = retrieve(2, (0xFF00, instance(1)), (0x0000, None))
    assert statuses(responses) == [0xFF00, 0x0000]
    assert counts(responses[-1]) == (None, 1, 0, 0)
    assert responses[-1].sink is None


@pytest.mark.parametrize("final", [0xA701, 0xA702, 0xA900, 0xAA04, 0xC123])
def test_the_handler_gives_a_failure(retrieve: Retrieve, final: int) -> None:
    responses, _ = retrieve(3, (0xFF00, instance(1)), (final, None), (0xFF00, instance(2)))
    assert statuses(responses) == [0xFF00, final]
    assert counts(responses[-1]) == (None, 1, 2, 0)
    assert failed(responses[-1]) == []


def test_the_handlers_own_list_of_failed_instances(retrieve: Retrieve) -> None:
    said = dataset(FailedSOPInstanceUIDList=["1.2.7", "1.2.8"])
    responses, _ = retrieve(2, (0xA702, said))
    assert failed(responses[0]) == ["1.2.7", "1.2.8"]
    responses, _ = retrieve(2, (0xA702, dataset(PatientName="something else")))
    assert failed(responses[0]) == []


def test_a_list_that_cannot_be_encoded_is_left_out(retrieve: Retrieve) -> None:
    said = cannot_encode()
    said.FailedSOPInstanceUIDList = "1.2"
    responses, _ = retrieve(2, (0xA702, said))
    assert statuses(responses) == [0xA702]
    assert responses[0].sink is None


@pytest.mark.parametrize(
    ("result", "get", "move"),
    [
        (ValueError("bad"), 0xC411, 0xC511),
        (Refused(0xA900, "No more"), 0xA900, 0xA900),
        (5, 0xC411, 0xC511),
        ((0xFF00, instance(2), 1), 0xC411, 0xC511),
        (("pending", instance(2)), 0xC002, 0xC002),
        ((status(ErrorComment="x"), None), 0xC001, 0xC001),
    ],
)
def test_what_goes_wrong_later(result: Any, get: int, move: int) -> None:
    for retrieve, expected in ((by_get, get), (by_move, move)):
        responses, _ = retrieve(3, (0xFF00, instance(1)), result)
        assert statuses(responses) == [0xFF00, expected]
        assert counts(responses[-1]) == (None, 1, 2, 0)
        assert failed(responses[-1]) == []


def test_an_unknown_status_is_final(retrieve: Retrieve) -> None:
    responses, stored = retrieve(2, (0x1234, instance(1)))
    assert statuses(responses) == [0x1234]
    assert stored == []


def test_a_pending_status_of_another_operation_goes_on(retrieve: Retrieve) -> None:
    responses, _ = retrieve(1, (0xFF01, instance(1)))
    assert statuses(responses) == [0xFF01, 0x0000]


def test_too_many(retrieve: Retrieve, caplog: pytest.LogCaptureFixture) -> None:
    responses, stored = retrieve(1, (0xFF00, instance(1)), (0xFF00, instance(2)), (0xFF00, instance(3)))
    assert statuses(responses) == [0xFF00, 0x0000]
    assert counts(responses[-1]) == (None, 1, 0, 0)
    assert stored == ["1.2.1"]
    assert "more than the 1" in caplog.text


def test_too_few(retrieve: Retrieve, caplog: pytest.LogCaptureFixture) -> None:
    responses, _ = retrieve(3, (0xFF00, instance(1)))
    assert statuses(responses) == [0xFF00, 0x0000]
    assert counts(responses[-1]) == (None, 1, 0, 0)
    assert "ended 2 before" in caplog.text


@pytest.mark.parametrize("nothing", [None, Dataset()])
def test_pending_without_an_instance_is_passed_over(retrieve: Retrieve, nothing: Any) -> None:
    responses, stored = retrieve(1, (0xFF00, nothing), (0xFF00, instance(1)))
    assert statuses(responses) == [0xFF00, 0x0000]
    assert stored == ["1.2.1"]


def test_what_is_no_instance_has_failed(retrieve: Retrieve) -> None:
    responses, stored = retrieve(2, (0xFF00, 5), (0xFF00, instance(1)))
    assert statuses(responses) == [0xFF00, 0xFF00, 0xB000]
    assert counts(responses[-1]) == (None, 1, 1, 0)
    assert failed(responses[-1]) == []
    assert stored == ["1.2.1"]


def test_what_cannot_be_stored_has_failed() -> None:
    no_context = instance(1)
    no_context.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    no_uid = instance(2)
    del no_uid.SOPInstanceUID
    unencodable = instance(3)
    unencodable.update(cannot_encode())
    no_syntax = instance(4)
    del no_syntax.file_meta
    bad = (no_context, no_uid, unencodable, no_syntax, "/no/such/file.dcm")
    responses, stored = by_get(6, *[(0xFF00, item) for item in bad], (0xFF00, instance(5)))
    assert statuses(responses) == [0xFF00] * 6 + [0xB000]
    assert counts(responses[-1]) == (None, 1, 5, 0)
    assert failed(responses[-1]) == ["1.2.1", "1.2.3", "1.2.4"]
    assert stored == ["1.2.5"]


def test_a_destination_without_an_answer() -> None:
    move = FakeMove(None, [None, RuntimeError("not established")])
    results = [(0xFF00, instance(number)) for number in (1, 2)]
    responses, _ = ask_move(WHERE, 2, *results, move=move)
    assert statuses(responses) == [0xFF00, 0xFF00, 0xA702]
    assert failed(responses[-1]) == ["1.2.1", "1.2.2"]
    assert move.closed == 1


def test_message_ids_and_originator_of_a_move() -> None:
    responses, move = ask_move(
        WHERE, 3, *[(0xFF00, instance(number)) for number in (1, 2, 3)], message_id=65_534
    )
    assert [stored[1:] for stored in move.stored] == [
        (65_535, "CALLING", 65_534),
        (1, "CALLING", 65_534),
        (2, "CALLING", 65_534),
    ]
    assert {response.command[e.MESSAGE_ID_BEING_RESPONDED_TO] for response in responses} == {65_534}


def test_message_ids_of_a_get() -> None:
    peer = Peer()
    ask_get(2, (0xFF00, instance(1)), (0xFF00, instance(2)), peer=peer, message_id=65_535)
    assert [store.command[e.MESSAGE_ID] for store in peer.stores] == [1, 2]
    for store in peer.stores:
        assert e.MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE not in store.command
        assert e.MOVE_ORIGINATOR_MESSAGE_ID not in store.command


def test_instances_from_files(tmp_path: Path) -> None:
    path = tmp_path / "one.dcm"
    written = instance(1, PatientName="A^B")
    written.file_meta.MediaStorageSOPClassUID = written.SOPClassUID
    written.file_meta.MediaStorageSOPInstanceUID = written.SOPInstanceUID
    dcmwrite(path, written, enforce_file_format=True)
    peer = Peer()
    peer.store_status = [0x0000, 0xA700]
    responses = ask_get(2, (0xFF00, path), (0xFF00, str(path)), peer=peer)
    assert statuses(responses) == [0xFF00, 0xFF00, 0xB000]
    assert failed(responses[-1]) == ["1.2.1"]
    for store in peer.stores:
        assert identifier_of(store) == written


def test_the_next_instance_is_asked_for_when_the_last_one_was_stored(retrieve: Retrieve) -> None:
    def handler() -> Iterator[Any]:
        yield 3
        for number in range(3):
            alive.append(number)
            yield 0xFF00, instance(number)

    alive: list[int] = []
    peer = Peer()
    seen: list[int] = []
    peer.on_store = lambda: seen.append(len(alive))
    peer.ask(lambda message: handler(), "C-GET")
    assert seen == [1, 2, 3]


# ---- without bulk data (PS3.4 Annex Z) ----------------------------------------------------------------


def heavy() -> Dataset:
    made = instance(1, PatientName="A^B", Rows=2, Columns=2, BitsAllocated=8, SamplesPerPixel=1)
    made.PixelDataProviderURL = "https://example.org/pixels"
    made.EncapsulatedDocument = b"%PDF"
    made.add_new(0x56000020, "OF", b"\0\0\x80?")  # Spectroscopy Data
    made.add_new(0x7FE00008, "OF", b"\0\0\x80?")  # Float Pixel Data
    made.add_new(0x7FE00009, "OD", bytes(8))  # Double Float Pixel Data
    made.add_new(0x7FE00010, "OB", b"\1\2\3\4")  # Pixel Data
    for group in (0x5000, 0x501E):
        made.add_new((group, 0x0005), "US", 1)
        made.add_new((group, 0x200C), "OW", b"ab")  # Audio Sample Data
        made.add_new((group, 0x3000), "OW", b"cd")  # Curve Data
    for group in (0x6000, 0x60FE):
        made.add_new((group, 0x0010), "US", 2)
        made.add_new((group, 0x3000), "OW", b"ef")  # Overlay Data
    made.WaveformSequence = [dataset(NumberOfWaveformChannels=1), dataset(NumberOfWaveformChannels=2)]
    for item in made.WaveformSequence:
        item.add_new(0x54001010, "OW", b"gh")  # Waveform Data
    # What only looks alike stays: pixels of an icon, and elements of the same number in other groups.
    icon = dataset(Rows=1, Columns=1, BitsAllocated=16)
    icon.add_new(0x7FE00010, "OW", b"\1\2")
    made.IconImageSequence = [icon]
    made.add_new(0x00281201, "OW", b"ij")
    return made


BULK = [
    *(0x00287FE0, 0x00420011, 0x56000020, 0x7FE00008, 0x7FE00009, 0x7FE00010),
    *(0x5000200C, 0x50003000, 0x501E200C, 0x501E3000, 0x60003000, 0x60FE3000),
]


def check_light(light: Dataset, original: Dataset) -> None:
    expected = copy.deepcopy(original)
    for tag in BULK:
        del expected[tag]
    for item in expected.WaveformSequence:
        del item[0x54001010]
    assert light.to_json_dict() == expected.to_json_dict()
    assert [item.NumberOfWaveformChannels for item in light.WaveformSequence] == [1, 2]
    assert light.IconImageSequence[0].PixelData == b"\1\2"


def test_what_is_bulk_data_is_not_sent() -> None:
    given = heavy()
    before = copy.deepcopy(given)
    peer = Peer()
    responses = ask_get(1, (0xFF00, given), peer=peer, context_id=BULKLESS)
    assert statuses(responses) == [0xFF00, 0x0000]
    sent = identifier_of(peer.stores[0])
    assert sent is not None
    check_light(sent, before)
    # The handler's data set is its own.
    assert given == before
    assert given.file_meta == before.file_meta


def test_with_bulk_data_elsewhere() -> None:
    given = heavy()
    peer = Peer()
    ask_get(1, (0xFF00, given), peer=peer)
    sent = identifier_of(peer.stores[0])
    assert sent is not None
    assert all(tag in sent for tag in BULK)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_file_without_its_bulk_data(tmp_path: Path, syntax: str) -> None:
    given = heavy()
    given.file_meta.TransferSyntaxUID = syntax
    given.file_meta.MediaStorageSOPClassUID = given.SOPClassUID
    given.file_meta.MediaStorageSOPInstanceUID = given.SOPInstanceUID
    path = tmp_path / "heavy.dcm"
    dcmwrite(path, given, enforce_file_format=True)
    light = without_bulk_data(path)
    check_light(light, dcmread(path))
    # Its values travel in whatever the context wants.
    for target in ("1.2.840.10008.1.2", ExplicitVRLittleEndian, ExplicitVRBigEndian):
        encoding = codec.encoding_of(target)
        again = codec.decode(BytesIO(codec.encode(without_bulk_data(path), encoding)), encoding)
        check_light(again, given)


def test_a_file_goes_without_its_bulk_data(tmp_path: Path) -> None:
    given = heavy()
    given.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    given.file_meta.MediaStorageSOPClassUID = given.SOPClassUID
    given.file_meta.MediaStorageSOPInstanceUID = given.SOPInstanceUID
    path = tmp_path / "heavy.dcm"
    dcmwrite(path, given, enforce_file_format=True)
    before = path.read_bytes()
    peer = Peer()
    responses = ask_get(1, (0xFF00, path), peer=peer, context_id=BULKLESS)
    assert statuses(responses) == [0xFF00, 0x0000]
    sent = identifier_of(peer.stores[0])
    assert sent is not None
    check_light(sent, heavy())
    assert path.read_bytes() == before


def test_a_compressed_instance_without_its_pixels_is_compressed_no_more() -> None:
    given = instance(1, Rows=1, Columns=1)
    given.file_meta = FileMetaDataset()
    given.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    given.add_new(0x7FE00010, "OB", b"\xfe\xff\x00\xe0\0\0\0\0")
    peer = Peer()
    responses = ask_get(1, (0xFF00, given), peer=peer, context_id=BULKLESS)
    # The context is one of Implicit VR: nothing is left that could not be sent in it.
    assert statuses(responses) == [0xFF00, 0x0000]
    assert "PixelData" not in identifier_of(peer.stores[0])  # type: ignore[operator]
    assert given.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert content(peer.stores[0])
