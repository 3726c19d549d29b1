"""C-FIND, C-GET, C-MOVE and C-CANCEL through the public API, on loopback, in both roles."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset

from api.peers import (
    A_ABORT,
    EXPLICIT,
    IMPLICIT,
    PATIENCE,
    Certificates,
    Network,
    RawPeer,
    client_context,
    eventually,
    server_context,
)
from dulcimer import build_context, build_role, evt
from dulcimer.errors import Refused
from dulcimer.pdu_primitives import AsynchronousOperationsWindowNegotiation
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.protocol.wire.pdus import Abort
from dulcimer.services.tables import SERVICES
from dulcimer.sop_class import (
    CompositeInstanceRetrieveWithoutBulkDataGet,
    CTImageStorage,
    MRImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

FIND = StudyRootQueryRetrieveInformationModelFind
GET = StudyRootQueryRetrieveInformationModelGet
MOVE = StudyRootQueryRetrieveInformationModelMove

USERS = [
    pytest.param(operation, uid, id=f"{operation} {keyword}")
    for service in SERVICES
    for keyword, uid in service.keywords.items()
    for operation in sorted(service.operations(uid) & {"C-FIND", "C-GET", "C-MOVE"})
]

Handlers = list[tuple[Any, ...]]


def query() -> Dataset:
    made = Dataset()
    made.QueryRetrieveLevel = "STUDY"
    made.PatientName = "*"
    return made


def match(number: int = 0, **elements: Any) -> Dataset:
    made = Dataset()
    made.PatientName = f"A^{number}"
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def instance(number: int = 1, pixels: int = 0) -> Dataset:
    made = Dataset()
    made.SOPClassUID = CTImageStorage
    made.SOPInstanceUID = f"1.2.{number}"
    made.PatientName = "A^B"
    if pixels:
        made.BitsAllocated = 8
        made.add_new(0x7FE00010, "OB", bytes(pixels))
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = EXPLICIT
    return made


def file_of(made: Dataset, folder: Path) -> Path:
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    path = folder / f"{made.SOPInstanceUID}.dcm"
    dcmwrite(path, made, enforce_file_format=True)
    return path


def endless(event: evt.Event) -> Iterator[Any]:
    while True:
        yield 0xFF00, match()


def three(event: evt.Event) -> Iterator[Any]:
    for number in range(3):
        yield 0xFF00, match(number)


def codes(results: Any) -> list[int | None]:
    return [status.get("Status") for status, _ in results]


def sub_operations(status: Dataset) -> tuple[int | None, ...]:
    """Return remaining, completed, failed and warning sub-operations."""
    names = ("Remaining", "Completed", "Failed", "Warning")
    return tuple(status.get(f"NumberOf{name}Suboperations") for name in names)


def storage() -> Any:
    """A context in which the requestor may be SCP, as in a C-GET."""
    context = build_context(CTImageStorage, [EXPLICIT, IMPLICIT])
    context.scu_role = context.scp_role = True
    return context


ROLE = build_role(CTImageStorage, scp_role=True)


@pytest.fixture
def find(net: Network) -> Callable[..., Any]:
    """Associate with a C-FIND SCP."""

    def associate(handler: Any, *more: tuple[Any, ...], **settings: Any) -> Any:
        contexts = [FIND, Verification, CTImageStorage]
        stored = (evt.EVT_C_STORE, lambda event: 0x0000)
        server = net.serve([(evt.EVT_C_FIND, handler), stored, *more], contexts)
        return net.associate(server, contexts, **settings)

    return associate


def still_of_use(assoc: Any) -> None:
    """Check that an association has nothing left of what was done with it."""
    assert assoc.is_established
    assert assoc.send_c_echo().Status == 0x0000
    made = instance()
    made.file_meta.TransferSyntaxUID = IMPLICIT
    assert assoc.send_c_store(made).Status == 0x0000
    assoc.release()
    assert assoc.is_released


# ---- every SOP class ----------------------------------------------------------------------------------


def test_they_are_all_there() -> None:
    assert len(USERS) == 46
    assert {param.values[0] for param in USERS} == {"C-FIND", "C-GET", "C-MOVE"}


@pytest.mark.parametrize(("operation", "sop_class"), USERS)
def test_every_sop_class(net: Network, operation: str, sop_class: str) -> None:
    received: list[str] = []

    def on_store(event: evt.Event) -> int:
        received.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    if operation == "C-MOVE":
        destination = net.serve([(evt.EVT_C_STORE, on_store)], [CTImageStorage])

    def handler(event: evt.Event) -> Iterator[Any]:
        assert event.identifier == query()
        assert event.context.abstract_syntax == event.request.AffectedSOPClassUID == sop_class
        if operation == "C-FIND":
            yield 0xFF00, match(5)
            return
        if operation == "C-MOVE":
            assert event.move_destination == "DESTINATION"
            yield (*destination.server_address, {"contexts": [build_context(CTImageStorage)]})
        yield 1
        yield 0xFF00, instance(5)

    event = {"C-FIND": evt.EVT_C_FIND, "C-GET": evt.EVT_C_GET, "C-MOVE": evt.EVT_C_MOVE}[operation]
    server = net.serve([(event, handler)], [sop_class, storage()])
    contexts = [sop_class, build_context(CTImageStorage)]
    assoc = net.associate(server, contexts, [(evt.EVT_C_STORE, on_store)], ext_neg=[ROLE])
    if operation == "C-FIND":
        results = list(assoc.send_c_find(query(), sop_class))
        assert results[0][1] == match(5)
    elif operation == "C-GET":
        results = list(assoc.send_c_get(query(), sop_class))
    else:
        results = list(assoc.send_c_move(query(), "DESTINATION", sop_class))
    assert codes(results) == [0xFF00, 0x0000]
    assert results[-1][1] is None
    assert received == ([] if operation == "C-FIND" else ["1.2.5"])
    assoc.release()
    assert assoc.is_released


# ---- what the caller gets -----------------------------------------------------------------------------


def test_matches(find: Any) -> None:
    results = list(find(three).send_c_find(query(), FIND))
    assert codes(results) == [0xFF00, 0xFF00, 0xFF00, 0x0000]
    assert [identifier for _, identifier in results] == [match(0), match(1), match(2), None]
    assert all(len(status) == 1 for status, _ in results)


def test_no_handler(find: Any) -> None:
    assoc = find(three)
    assoc_without = find(lambda event: None)
    assert codes(assoc.send_c_find(query(), FIND))[-1] == 0x0000
    assert codes(assoc_without.send_c_find(query(), FIND)) == [0x0000]


@pytest.mark.parametrize(
    ("method", "model", "expected"),
    [("send_c_find", FIND, 0xC311), ("send_c_get", GET, 0xC411), ("send_c_move", MOVE, 0xC511)],
)
def test_nothing_bound(net: Network, method: str, model: str, expected: int) -> None:
    assoc = net.associate(net.serve([], [model]), [model])
    arguments = (query(), "DESTINATION", model) if method == "send_c_move" else (query(), model)
    assert codes(getattr(assoc, method)(*arguments)) == [expected]


def test_status_elements(find: Any) -> None:
    def handler(event: evt.Event) -> Iterator[Any]:
        yield 0xFF00, match()
        raise Refused(0xA900, "No such level", offending=[0x00080052])

    (_, _), (status, identifier) = find(handler).send_c_find(query(), FIND)
    assert identifier is None
    assert (status.Status, status.ErrorComment, status.OffendingElement) == (
        0xA900,
        "No such level",
        0x00080052,
    )


@pytest.mark.parametrize(
    ("operation", "model", "expected"),
    [(m.C_FIND_RQ, FIND, 0xC310), (m.C_GET_RQ, GET, 0xC410), (m.C_MOVE_RQ, MOVE, 0xC510)],
)
def test_an_identifier_that_cannot_be_decoded(
    net: Network, operation: int, model: str, expected: int
) -> None:
    def handler(event: evt.Event) -> Iterator[Any]:
        yield str(event.identifier.PatientName)

    names = (evt.EVT_C_FIND, evt.EVT_C_GET, evt.EVT_C_MOVE)
    server = net.serve([(event, handler) for event in names], [model])
    peer = net.connect(server)
    peer.request(model)
    command = {
        e.COMMAND_FIELD: operation,
        e.MESSAGE_ID: 1,
        e.AFFECTED_SOP_CLASS_UID: model,
        e.PRIORITY: 0,
        e.MOVE_DESTINATION: "X",
    }
    peer.send_message(command, b"\xff" * 9)
    answer, _ = peer.read_message()
    assert answer[e.STATUS] == expected


def test_a_match_that_cannot_be_decoded(net: Network) -> None:
    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.read_message()
        peer.send_message(response(0xFF00), b"\xff" * 9)
        peer.send_message(response(0x0000))

    assoc = net.associate(net.listen(script), [build_context(FIND, IMPLICIT)])
    assert [(status.Status, identifier) for status, identifier in assoc.send_c_find(query(), FIND)] == [
        (0xFF00, None),
        (0x0000, None),
    ]


def test_priority_and_message_id(find: Any) -> None:
    requests: list[Any] = []

    def handler(event: evt.Event) -> Iterator[Any]:
        requests.append((event.message_id, event.request.Priority))
        yield 0x0000, None

    assoc = find(handler)
    list(assoc.send_c_find(query(), FIND, msg_id=77, priority=1))
    assert requests == [(77, 1)]


def test_without_an_association(find: Any) -> None:
    assoc = find(three)
    assoc.release()
    for call in (
        lambda: assoc.send_c_find(query(), FIND),
        lambda: assoc.send_c_get(query(), GET),
        lambda: assoc.send_c_move(query(), "X", MOVE),
        lambda: assoc.send_c_cancel(1, 1),
    ):
        with pytest.raises(RuntimeError, match="established"):
            call()


def test_without_a_context_or_an_identifier_that_travels(find: Any) -> None:
    assoc = find(three)
    bad = Dataset()
    bad.add_new(0x00280010, "US", "many")
    # When it is called, not when it is iterated.
    with pytest.raises(ValueError, match="Study Root"):
        assoc.send_c_get(query(), GET)
    with pytest.raises(ValueError, match="Study Root"):
        assoc.send_c_move(query(), "X", MOVE)
    with pytest.raises(ValueError, match="Identifier"):
        assoc.send_c_find(bad, FIND)
    still_of_use(assoc)


# ---- the association ends meanwhile -------------------------------------------------------------------


def response(status: int, message_id: int = 1) -> dict[int, Any]:
    return {
        e.COMMAND_FIELD: m.C_FIND_RQ | 0x8000,
        e.MESSAGE_ID_BEING_RESPONDED_TO: message_id,
        e.STATUS: status,
    }


@pytest.mark.parametrize("how", ["abort", "close", "silence"])
def test_the_peer_ends_it(net: Network, how: str) -> None:
    over = threading.Event()

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.read_message()
        peer.send_message(response(0xFF00), b"\x10\x00\x10\x00\x02\x00\x00\x00A ")
        if how == "abort":
            peer.send(Abort(0, 0))
        elif how == "close":
            peer.close()
        else:
            over.wait(PATIENCE)

    assoc = net.associate(
        net.listen(script), [build_context(FIND, IMPLICIT)], dimse_timeout=0.2 if how == "silence" else 5
    )
    results = assoc.send_c_find(query(), FIND)
    assert next(results)[0].Status == 0xFF00
    assert next(results) == (Dataset(), None)
    with pytest.raises(StopIteration):
        next(results)
    over.set()
    assert assoc.is_aborted
    assert assoc.failure is not None


def test_the_handler_aborts(find: Any) -> None:
    def handler(event: evt.Event) -> Iterator[Any]:
        yield 0xFF00, match()
        event.assoc.abort()
        yield 0xFF00, match()

    assoc = find(handler)
    assert codes(assoc.send_c_find(query(), FIND)) == [0xFF00, None]
    assert assoc.is_aborted


def test_the_requestor_aborts(find: Any) -> None:
    ended = threading.Event()

    def handler(event: evt.Event) -> Iterator[Any]:
        try:
            yield from endless(event)
        finally:
            ended.set()

    assoc = find(handler)
    results = assoc.send_c_find(query(), FIND)
    next(results)
    assoc.abort()
    assert ended.wait(PATIENCE)
    # What had come is still there; then it is over.
    assert codes(results)[-1] is None


def test_the_association_is_released_amid_the_responses(find: Any) -> None:
    ended = threading.Event()

    def handler(event: evt.Event) -> Iterator[Any]:
        try:
            yield from endless(event)
        finally:
            ended.set()

    assoc = find(handler)
    results = assoc.send_c_find(query(), FIND)
    next(results)
    assoc.release()
    assert assoc.is_released
    assert ended.wait(PATIENCE)
    assert codes(results)[-1] in (0xFE00, None)


# ---- C-CANCEL -----------------------------------------------------------------------------------------


def test_a_cancel_is_seen_without_yielding(find: Any) -> None:
    seen: list[bool] = []

    def handler(event: evt.Event) -> Iterator[Any]:
        seen.append(event.is_cancelled)
        yield 0xFF00, match()
        seen.append(eventually(lambda: event.is_cancelled))
        yield 0xFE00, None

    assoc = find(handler)
    results = assoc.send_c_find(query(), FIND, msg_id=9)
    assert next(results)[0].Status == 0xFF00
    assoc.send_c_cancel(9)
    assert codes(results) == [0xFE00]
    assert seen == [False, True]
    still_of_use(assoc)


def test_a_cancel_is_seen_over_tls(net: Network, certificates: Certificates) -> None:
    def handler(event: evt.Event) -> Iterator[Any]:
        yield 0xFF00, match()
        assert eventually(lambda: event.is_cancelled)
        yield 0xFF00, match()

    server = net.serve([(evt.EVT_C_FIND, handler)], [FIND], ssl_context=server_context(certificates))
    assoc = net.associate(server, [FIND], tls_args=(client_context(certificates), "localhost"))
    results = assoc.send_c_find(query(), FIND)
    next(results)
    assoc.send_c_cancel(1)
    assert codes(results) == [0xFE00]


def test_an_event_that_is_kept_may_be_asked_later(net: Network) -> None:
    """Of a requestor's association, which rests when nothing is done with it."""
    events: list[Any] = []

    def on_store(event: evt.Event) -> int:
        events.append(event)
        return 0x0000

    def handler(event: evt.Event) -> Iterator[Any]:
        yield 1
        yield 0xFF00, instance(1)

    server = net.serve([(evt.EVT_C_GET, handler)], [GET, storage(), Verification])
    contexts = [GET, CTImageStorage, Verification]
    assoc = net.associate(server, contexts, [(evt.EVT_C_STORE, on_store)], ext_neg=[ROLE])
    assert codes(assoc.send_c_get(query(), GET))[-1] == 0x0000
    for _ in range(20):
        assert not events[0].is_cancelled
        sleep(0.005)
    assert assoc.send_c_echo().Status == 0x0000


def test_a_handler_that_does_not_look_is_stopped(find: Any) -> None:
    ended = threading.Event()

    def handler(event: evt.Event) -> Iterator[Any]:
        try:
            yield from endless(event)
        finally:
            ended.set()

    assoc = find(handler)
    results = assoc.send_c_find(query(), FIND)
    next(results)
    assoc.send_c_cancel(1, query_model=FIND)
    assert codes(results)[-1] == 0xFE00
    assert ended.is_set()
    still_of_use(assoc)


@pytest.mark.parametrize("form", [{}, {"context_id": 1}, {"query_model": FIND}])
def test_forms_of_cancel(find: Any, form: dict[str, Any]) -> None:
    assoc = find(endless)
    results = assoc.send_c_find(query(), FIND)
    assert assoc.send_c_cancel(1, **form) is None
    assert codes(results)[-1] == 0xFE00


def test_cancels_that_cannot_be(find: Any) -> None:
    assoc = find(three)
    with pytest.raises(ValueError, match="context_id"):
        assoc.send_c_cancel(1)
    with pytest.raises(ValueError, match="Study Root"):
        assoc.send_c_cancel(1, query_model=GET)
    with pytest.raises((ValueError, RuntimeError), match="99"):
        assoc.send_c_cancel(1, context_id=99)
    # One for nothing is allowed, and nothing comes of it.
    assoc.send_c_cancel(1, context_id=1)
    assert codes(assoc.send_c_find(query(), FIND))[-1] == 0x0000
    still_of_use(assoc)


def test_another_thread_cancels(find: Any) -> None:
    begun = threading.Event()

    def handler(event: evt.Event) -> Iterator[Any]:
        yield 0xFF00, match()
        begun.set()
        assert eventually(lambda: event.is_cancelled)
        yield 0xFF00, match()

    assoc = find(handler)
    results = assoc.send_c_find(query(), FIND)

    def cancel() -> None:
        if begun.wait(PATIENCE):
            assoc.send_c_cancel(1)

    thread = threading.Thread(target=cancel)
    thread.start()
    assert codes(results) == [0xFF00, 0xFE00]
    thread.join()


def test_a_get_is_cancelled(net: Network) -> None:
    def handler(event: evt.Event) -> Iterator[Any]:
        yield 100
        for number in range(100):
            yield 0xFF00, instance(number)

    server = net.serve([(evt.EVT_C_GET, handler)], [GET, storage(), Verification])
    received: list[str] = []

    def on_store(event: evt.Event) -> int:
        received.append(event.request.AffectedSOPInstanceUID)
        if len(received) == 3:
            event.assoc.send_c_cancel(1)
        return 0x0000 if len(received) != 2 else 0xA700

    contexts = [GET, CTImageStorage, Verification]
    assoc = net.associate(server, contexts, [(evt.EVT_C_STORE, on_store)], ext_neg=[ROLE])
    results = list(assoc.send_c_get(query(), GET))
    status, identifier = results[-1]
    assert status.Status == 0xFE00
    remaining, completed, failed, warning = sub_operations(status)
    assert remaining is not None and completed is not None
    assert (remaining + completed, failed, warning) == (99, 1, 0)
    assert 2 <= completed <= 4
    assert identifier.FailedSOPInstanceUIDList == "1.2.1"
    assert assoc.send_c_echo().Status == 0x0000


# ---- who stops early leaves nothing behind ------------------------------------------------------------


def leave_the_loop(assoc: Any) -> None:
    for _ in assoc.send_c_find(query(), FIND):
        break


def close_it(assoc: Any) -> None:
    results = assoc.send_c_find(query(), FIND)
    next(results)
    results.close()
    results.close()
    with pytest.raises(StopIteration):
        next(results)


def drop_it(assoc: Any) -> None:
    assoc.send_c_find(query(), FIND)


def leave_it_to_the_collector(assoc: Any) -> None:
    results = assoc.send_c_find(query(), FIND)
    cycle: list[Any] = [results]
    cycle.append(cycle)
    next(results)
    del results, cycle
    gc.collect()


def raise_in_the_loop(assoc: Any) -> None:
    with pytest.raises(KeyError):
        for _ in assoc.send_c_find(query(), FIND):
            raise KeyError


LEAVING = [leave_the_loop, close_it, drop_it, leave_it_to_the_collector, raise_in_the_loop]


@pytest.mark.parametrize("leave", LEAVING)
def test_who_stops_early_leaves_nothing(find: Any, leave: Callable[[Any], None]) -> None:
    ended = threading.Semaphore(0)

    def handler(event: evt.Event) -> Iterator[Any]:
        try:
            if str(event.identifier.PatientName) == "three":
                yield from three(event)
            else:
                yield from endless(event)
        finally:
            ended.release()

    assoc = find(handler)
    for _ in range(3):
        leave(assoc)
        # The SCP is told, also if nothing else is asked of it.
        assert ended.acquire(timeout=PATIENCE)
    other = query()
    other.PatientName = "three"
    assert codes(assoc.send_c_find(other, FIND)) == [0xFF00, 0xFF00, 0xFF00, 0x0000]
    still_of_use(assoc)


def test_left_as_it_ends(find: Any) -> None:
    assoc = find(three)
    for taken in range(4):
        results = assoc.send_c_find(query(), FIND)
        for _ in range(taken):
            next(results)
        results.close()
    still_of_use(assoc)


def test_left_after_the_end_of_the_association(find: Any) -> None:
    assoc = find(endless)
    results = assoc.send_c_find(query(), FIND)
    assoc.abort()
    results.close()
    assert list(results) == []


def test_one_within_the_other(find: Any) -> None:
    assoc = find(three)
    inner = []
    outer = []
    for status, identifier in assoc.send_c_find(query(), FIND):
        outer.append((status.Status, identifier))
        inner += codes(assoc.send_c_find(query(), FIND))
    assert [status for status, _ in outer] == [0xFF00, 0xFF00, 0xFF00, 0x0000]
    assert [identifier for _, identifier in outer] == [match(0), match(1), match(2), None]
    assert inner == [0xFF00, 0xFF00, 0xFF00, 0x0000] * 4
    still_of_use(assoc)


def test_other_operations_in_between(find: Any) -> None:
    assoc = find(three)
    results = assoc.send_c_find(query(), FIND)
    assert next(results)[0].Status == 0xFF00
    assert assoc.send_c_echo().Status == 0x0000
    assert codes(results) == [0xFF00, 0xFF00, 0x0000]
    still_of_use(assoc)


def test_collected_while_another_thread_uses_the_association(find: Any) -> None:
    def handler(event: evt.Event) -> Iterator[Any]:
        return endless(event) if event.message_id == 100 else three(event)

    assoc = find(handler)
    stop = threading.Event()
    wrong: list[Any] = []
    rounds = threading.Semaphore(0)

    def use() -> None:
        while not stop.is_set():
            answer = codes(assoc.send_c_find(query(), FIND, msg_id=1))
            if answer != [0xFF00, 0xFF00, 0xFF00, 0x0000]:
                wrong.append(answer)
                return
            rounds.release()

    thread = threading.Thread(target=use)
    thread.start()
    try:
        for _ in range(20):
            results = assoc.send_c_find(query(), FIND, msg_id=100)
            cycle: list[Any] = [results]
            cycle.append(cycle)
            del results, cycle
            gc.collect()
            assert rounds.acquire(timeout=PATIENCE)
    finally:
        stop.set()
        thread.join(PATIENCE)
    assert wrong == []
    still_of_use(assoc)


def test_closed_while_a_sink_is_opened(net: Network) -> None:
    """The lock is held then, by the very thread that closes it."""
    ended = threading.Event()
    given: list[int] = []

    def on_get(event: evt.Event) -> Iterator[Any]:
        try:
            yield 100
            for number in range(100):
                given.append(number)
                yield 0xFF00, instance(number)
        finally:
            ended.set()

    def on_open(event: evt.Event) -> None:
        results.close()

    server = net.serve(
        [(evt.EVT_C_GET, on_get), (evt.EVT_C_STORE, lambda event: 0x0000)], [GET, storage(), Verification]
    )
    handlers = [(evt.EVT_C_STORE_OPEN, on_open), (evt.EVT_C_STORE, lambda event: 0x0000)]
    contexts = [GET, build_context(CTImageStorage, IMPLICIT), Verification]
    role = build_role(CTImageStorage, scu_role=True, scp_role=True)
    assoc = net.associate(server, contexts, handlers, ext_neg=[role])
    results = assoc.send_c_get(query(), GET)
    assert codes(results) == []
    assert ended.wait(PATIENCE)
    assert len(given) < 100
    still_of_use(assoc)


def test_closed_while_another_thread_waits(find: Any) -> None:
    """Who waits for the next response of what another thread closes hears of no more of them."""
    asked = threading.Event()

    def handler(event: evt.Event) -> Iterator[Any]:
        yield 0xFF00, match()
        asked.set()
        assert eventually(lambda: event.is_cancelled)
        yield 0xFE00, None

    assoc = find(handler)
    results = assoc.send_c_find(query(), FIND)
    taken: list[Any] = []
    thread = threading.Thread(target=lambda: taken.extend(results))
    thread.start()
    assert asked.wait(PATIENCE)
    assert eventually(lambda: len(taken) == 1)
    results.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert codes(taken) == [0xFF00]
    still_of_use(assoc)


# ---- memory and time ----------------------------------------------------------------------------------


def test_a_slow_consumer_of_20_000_matches(find: Any) -> None:
    number, size = 20_000, 2000
    yielded = 0
    large = match(1, PatientComments="x" * size)

    def handler(event: evt.Event) -> Iterator[Any]:
        nonlocal yielded
        for _ in range(number):
            yielded += 1
            yield 0xFF00, large

    assoc = find(handler)
    results = assoc.send_c_find(query(), FIND)
    next(results)

    def stalled() -> bool:
        before = yielded
        sleep(0.1)
        return yielded == before

    # The handler waits for whoever takes the matches; in between is what the two sockets hold.
    assert eventually(stalled)
    assert yielded * size < 20_000_000
    taken, most = 1, 0
    for status, identifier in results:
        taken += 1
        most = max(most, yielded - taken)
        if status.Status == 0xFF00 and taken % 4000 == 0:
            assert identifier == large
    assert taken == number + 1
    assert most * size < 20_000_000
    assert status.Status == 0x0000


def test_the_connection_is_closed_after_an_abort_amid_matches(find: Any) -> None:
    """Also while matches are here that nobody has taken, and nobody will."""
    assoc = find(endless)
    closed = threading.Event()
    assoc.bind(evt.EVT_CONN_CLOSE, lambda event: closed.set())
    results = assoc.send_c_find(query(), FIND)
    next(results)
    assert eventually(lambda: assoc._engine.unclaimed or next(results) is None)
    assoc.abort()
    assert closed.wait(PATIENCE)
    # What had come is still given, then the end is told once.
    assert codes(results)[-1] is None


def test_a_consumer_that_is_slower_than_the_timeouts(find: Any) -> None:
    """The timeouts bound how long the peer may take, not the consumer."""
    assoc = find(endless, dimse_timeout=0.2, network_timeout=0.2)
    results = assoc.send_c_find(query(), FIND)
    for _ in range(3):
        assert next(results)[0].Status == 0xFF00
        sleep(0.3)
    results.close()
    still_of_use(assoc)


def test_the_async_operations_window(net: Network) -> None:
    both: list[int] = []

    def script(peer: RawPeer) -> None:
        from dulcimer.protocol.wire.pdus import (
            AssociateAC,
            AssociateRQ,
            AsyncOperations,
            ContextResult,
            UserInformation,
        )

        request = peer.read()
        assert isinstance(request, AssociateRQ)
        user = UserInformation(16382, "1.2.4", async_operations=AsyncOperations(2, 1))
        results = tuple(ContextResult(c.id, 0, c.transfer_syntaxes[0]) for c in request.contexts)
        peer.send(AssociateAC(request.called, request.calling, results, user))
        # Neither is answered before both are here, then the second one first.
        both.extend(peer.read_message()[0][e.MESSAGE_ID] for _ in range(2))
        peer.send_message(response(0xA700, both[1]))
        peer.send_message(response(0x0000, both[0]))
        peer.read_pdu()

    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 2
    window.maximum_number_operations_performed = 1
    assoc = net.associate(net.listen(script), [build_context(FIND, IMPLICIT)], ext_neg=[window])
    first = assoc.send_c_find(query(), FIND)
    second = assoc.send_c_find(query(), FIND)
    assert codes(first) == [0x0000]
    assert codes(second) == [0xA700]
    assert both == [1, 2]
    assert (first.message_id, second.message_id) == (1, 2)
    assoc.abort()


# ---- C-GET --------------------------------------------------------------------------------------------


def test_a_large_result_to_files_in_flat_memory(net: Network, tmp_path: Path) -> None:
    number, size = 24, 512 * 1024
    sent = file_of(instance(1, size), tmp_path)
    received = tmp_path / "received"
    received.mkdir()
    paths: list[Path] = []

    def handler(event: evt.Event) -> Iterator[Any]:
        yield number
        for _ in range(number):
            yield 0xFF00, sent

    def on_open(event: evt.Event) -> Path:
        return received / f"{event.request.MessageID}.dcm"

    def on_store(event: evt.Event) -> int:
        paths.append(event.path)
        return 0x0000

    server = net.serve([(evt.EVT_C_GET, handler)], [GET, storage()])
    handlers = [(evt.EVT_C_STORE_OPEN, on_open), (evt.EVT_C_STORE, on_store)]
    contexts = [GET, build_context(CTImageStorage, EXPLICIT)]
    assoc = net.associate(server, contexts, handlers, ext_neg=[ROLE])
    tracemalloc.start()
    try:
        results = codes(assoc.send_c_get(query(), GET))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert results == [0xFF00] * number + [0x0000]
    assert len(set(paths)) == number
    assert peak < 6 * size
    original = dcmread(sent)
    for path in paths:
        assert path.stat().st_size >= size
    assert dcmread(paths[-1]) == original


def test_a_get_without_a_role(net: Network) -> None:
    def handler(event: evt.Event) -> Iterator[Any]:
        yield 1
        yield 0xFF00, instance(1)

    server = net.serve([(evt.EVT_C_GET, handler)], [GET, CTImageStorage])
    assoc = net.associate(server, [GET, CTImageStorage])
    results = list(assoc.send_c_get(query(), GET))
    assert codes(results) == [0xFF00, 0xA702]
    assert sub_operations(results[-1][0]) == (None, 0, 1, 0)
    assert results[-1][1].FailedSOPInstanceUIDList == "1.2.1"


def test_what_the_store_handlers_answer_counts(net: Network) -> None:
    def handler(event: evt.Event) -> Iterator[Any]:
        yield 4
        for number in range(4):
            yield 0xFF00, instance(number)

    def on_store(event: evt.Event) -> int:
        number = int(event.request.AffectedSOPInstanceUID[4:])
        if number == 3:
            raise ValueError("bad")
        return (0x0000, 0xB000, 0xA700)[number]

    server = net.serve([(evt.EVT_C_GET, handler)], [GET, storage()])
    handlers = [(evt.EVT_C_STORE, on_store)]
    assoc = net.associate(server, [GET, CTImageStorage], handlers, ext_neg=[ROLE])
    results = list(assoc.send_c_get(query(), GET))
    assert [sub_operations(status) for status, _ in results] == [
        (3, 1, 0, 0),
        (2, 1, 0, 1),
        (1, 1, 1, 1),
        (0, 1, 2, 1),
        (None, 1, 2, 1),
    ]
    assert codes(results)[-1] == 0xB000
    assert results[-1][1].FailedSOPInstanceUIDList == ["1.2.2", "1.2.3"]


def test_without_bulk_data(net: Network) -> None:
    model = CompositeInstanceRetrieveWithoutBulkDataGet
    given = instance(1, 100_000)
    received: list[Dataset] = []

    def handler(event: evt.Event) -> Iterator[Any]:
        yield 1
        yield 0xFF00, given

    def on_store(event: evt.Event) -> int:
        received.append(event.dataset)
        return 0x0000

    server = net.serve([(evt.EVT_C_GET, handler)], [model, storage()])
    handlers = [(evt.EVT_C_STORE, on_store)]
    assoc = net.associate(server, [model, CTImageStorage], handlers, ext_neg=[ROLE])
    assert codes(assoc.send_c_get(query(), model)) == [0xFF00, 0x0000]
    assert "PixelData" not in received[0]
    assert received[0].PatientName == "A^B"
    assert len(given.PixelData) == 100_000


# ---- C-MOVE -------------------------------------------------------------------------------------------


def mover(where: Callable[[], Any], instances: list[Any]) -> Any:
    def handler(event: evt.Event) -> Iterator[Any]:
        yield where()
        yield len(instances)
        for made in instances:
            yield 0xFF00, made

    return handler


@pytest.fixture
def move(net: Network) -> Callable[..., Any]:
    """Have a C-MOVE performed and return what it gave."""

    def run(where: Any, instances: list[Any], *more: tuple[Any, ...]) -> list[Any]:
        ae = net.ae("SERVER")
        ae.requested_contexts = [build_context(CTImageStorage, EXPLICIT)]
        server = net.serve([(evt.EVT_C_MOVE, mover(lambda: where, instances)), *more], [MOVE], ae=ae)
        assoc = net.associate(server, [MOVE])
        results = list(assoc.send_c_move(query(), "DESTINATION", MOVE, msg_id=12))
        assoc.release()
        assert assoc.is_released
        return results

    return run


def test_a_move_to_our_own(net: Network, move: Any) -> None:
    received: list[Any] = []

    def on_store(event: evt.Event) -> int:
        request = event.request
        received.append(
            (
                request.AffectedSOPInstanceUID,
                request.MessageID,
                request.MoveOriginatorApplicationEntityTitle,
                request.MoveOriginatorMessageID,
            )
        )
        return 0x0000

    released = threading.Event()
    handlers = [(evt.EVT_C_STORE, on_store), (evt.EVT_RELEASED, lambda event: released.set())]
    destination = net.serve(handlers, [CTImageStorage])
    results = move(destination.server_address, [instance(number) for number in range(3)])
    assert codes(results) == [0xFF00, 0xFF00, 0xFF00, 0x0000]
    assert received == [
        ("1.2.0", 13, "CLIENT", 12),
        ("1.2.1", 14, "CLIENT", 12),
        ("1.2.2", 15, "CLIENT", 12),
    ]
    assert released.wait(PATIENCE)


@pytest.mark.interop
def test_a_move_to_pynetdicom(move: Any) -> None:
    pynetdicom = pytest.importorskip("pynetdicom")
    received: list[Any] = []

    def on_store(event: Any) -> int:
        request = event.request
        received.append((event.dataset, request.MoveOriginatorMessageID, event.assoc.acceptor.ae_title))
        return 0x0000 if len(received) == 1 else 0xC000

    peer = pynetdicom.AE("PYNETDICOM")
    peer.add_supported_context(CTImageStorage, EXPLICIT)
    handlers = [(pynetdicom.evt.EVT_C_STORE, on_store)]
    server = peer.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        results = move(server.server_address, [instance(1), instance(2)])
    finally:
        server.shutdown()
    assert codes(results) == [0xFF00, 0xFF00, 0xB000]
    assert results[-1][1].FailedSOPInstanceUIDList == "1.2.2"
    assert received[0][0] == instance(1)
    assert {entry[1] for entry in received} == {12}


def test_a_destination_that_is_not_there(net: Network, move: Any) -> None:
    gone = net.serve([], [CTImageStorage])
    address = gone.server_address
    gone.shutdown()
    (result,) = move(address, [instance(1)])
    assert result[0].Status == 0xA801
    assert result[1] == Dataset()


def test_a_destination_that_rejects(net: Network, move: Any) -> None:
    ae = net.ae("OTHER", require_called_aet=True)
    destination = net.serve([], [CTImageStorage], ae=ae)
    ((status, _),) = move(destination.server_address, [instance(1)])
    assert status.Status == 0xA801


def test_a_destination_that_takes_another_class_only(net: Network, move: Any) -> None:
    destination = net.serve([], [MRImageStorage, Verification])
    contexts = [build_context(CTImageStorage), build_context(Verification)]
    results = move((*destination.server_address, {"contexts": contexts}), [instance(1)])
    assert codes(results) == [0xFF00, 0xA702]
    assert results[-1][1].FailedSOPInstanceUIDList == "1.2.1"


def test_a_destination_that_vanishes(net: Network, move: Any) -> None:
    received: list[int] = []

    def on_store(event: evt.Event) -> int:
        received.append(1)
        if len(received) == 2:
            event.assoc.abort()
        return 0x0000

    destination = net.serve([(evt.EVT_C_STORE, on_store)], [CTImageStorage])
    results = move(destination.server_address, [instance(number) for number in range(4)])
    assert codes(results) == [0xFF00] * 4 + [0xB000]
    assert sub_operations(results[-1][0]) == (None, 1, 3, 0)
    assert results[-1][1].FailedSOPInstanceUIDList == ["1.2.1", "1.2.2", "1.2.3"]
    assert len(received) == 2


def test_a_destination_with_tls(net: Network, move: Any, certificates: Certificates) -> None:
    received: list[str] = []

    def on_store(event: evt.Event) -> int:
        received.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    context = server_context(certificates)
    destination = net.serve([(evt.EVT_C_STORE, on_store)], [CTImageStorage], ssl_context=context)
    arguments = {"tls_args": (client_context(certificates), "localhost")}
    results = move((*destination.server_address, arguments), [instance(1)])
    assert codes(results) == [0xFF00, 0x0000]
    assert received == ["1.2.1"]


def test_a_destination_with_an_argument_that_is_none(net: Network, move: Any) -> None:
    destination = net.serve([], [CTImageStorage])
    ((status, _),) = move((*destination.server_address, {"nonsense": 1}), [instance(1)])
    assert status.Status == 0xC515


def test_a_move_leaves_the_title_to_the_handler(net: Network, move: Any) -> None:
    titles: list[str] = []
    destination = net.serve(
        [(evt.EVT_ACCEPTED, lambda event: titles.append(event.assoc.requestor.primitive.called_ae_title))],
        [CTImageStorage],
    )
    move(destination.server_address, [instance(1)])
    move((*destination.server_address, {"ae_title": "ELSEWHERE"}), [instance(1)])
    assert [title.strip() for title in titles] == ["DESTINATION", "ELSEWHERE"]


# ---- the wrong place ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "model"), [(m.C_FIND_RQ, MOVE), (m.C_GET_RQ, FIND), (m.C_MOVE_RQ, CTImageStorage)]
)
def test_an_operation_on_the_wrong_context(net: Network, operation: int, model: str) -> None:
    called: list[Any] = []
    names = (evt.EVT_C_FIND, evt.EVT_C_GET, evt.EVT_C_MOVE)
    server = net.serve([(event, called.append) for event in names], [model])
    peer = net.connect(server)
    peer.request(model)
    command = {
        e.COMMAND_FIELD: operation,
        e.MESSAGE_ID: 1,
        e.AFFECTED_SOP_CLASS_UID: model,
        e.PRIORITY: 0,
        e.MOVE_DESTINATION: "X",
    }
    peer.send_message(command, b"\x10\x00\x10\x00\x02\x00\x00\x00A ")
    kind, body = peer.read_pdu()
    assert kind == A_ABORT
    assert body[2] == 2
    assert called == []
