"""C-FIND, C-GET and C-MOVE with both packages: the same handlers, and the same calls.

The first part runs a handler in one package and the other, and compares what the peer is answered. The
second has a scripted SCP answer ``send_c_find``, ``send_c_get`` and ``send_c_move`` of each, and compares
what the caller is given. What is meant to be different is listed in ``DIFFERENT`` with the reason; an entry
that is true no longer fails.
"""

from __future__ import annotations

import importlib
import logging
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from api.peers import PATIENCE, Network, RawPeer
from dulcimer import build_context, build_role, evt
from dulcimer.data import codec
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.protocol.wire.pdus import ReleaseRP, ReleaseRQ

pytestmark = [
    pytest.mark.interop,
    # pynetdicom leaves sockets to the garbage collector, and threads that ended with an exception.
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
        "ignore::pytest.PytestUnhandledThreadExceptionWarning",
    ),
]

pytest.importorskip("pynetdicom")

IMPLICIT = "1.2.840.10008.1.2"
CT = "1.2.840.10008.5.1.4.1.1.2"
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
REPOSITORY = "1.2.840.10008.5.1.4.1.1.201.6"
ENCODING = codec.encoding_of(IMPLICIT)
PACKAGES = ("dulcimer", "pynetdicom")

DIFFERENT = {
    "find: pair of three": "what is no pair is answered, and the association lives on",
    "find: yields None": "what is no pair is answered, and the association lives on",
    "get: no data set": "what is no instance is no longer among the remaining sub-operations",
    "move: no data set": "what is no instance is no longer among the remaining sub-operations",
    "answered find: a match that is none": "each response is given once",
    "answered repository: response limit": "a status that is not pending is final (PS3.7 9.1.2.1.5)",
}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep pynetdicom's log out of the output."""
    logger = logging.getLogger("pynetdicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(level)


def package(name: str) -> SimpleNamespace:
    root = importlib.import_module(name)
    return SimpleNamespace(
        name=name, AE=root.AE, evt=root.evt, build_context=root.build_context, build_role=root.build_role
    )


def dataset(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def instance(number: int) -> Dataset:
    made = dataset(SOPClassUID=CT, SOPInstanceUID=f"1.2.{number}", PatientName="A^B")
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = IMPLICIT
    return made


def cannot_encode() -> Dataset:
    made = Dataset()
    made.add_new(0x00280010, "US", "many")
    return made


MATCH = dataset(PatientName="A^B", StudyInstanceUID="1.2.3")
BROKEN = ValueError("broken")
Handler = Callable[[Any], Any]


def yields(*results: Any) -> Handler:
    def handler(event: Any) -> Iterator[Any]:
        for result in results:
            if isinstance(result, Exception):
                raise result
            yield result

    return handler


def returns(result: Any) -> Handler:
    """Make a handler that returns None, or an iterator of a list."""
    return lambda event: None if result is None else iter(result)


def raises(event: Any) -> Any:
    raise BROKEN


# ---- as SCP -------------------------------------------------------------------------------------------

SOME = [(0xFF00, instance(number)) for number in range(1, 5)]

FINDS: dict[str, Handler] = {
    "matches": yields((0xFF00, MATCH), (0xFF01, MATCH)),
    "no match": yields(),
    "returns None": returns(None),
    "returns a list": returns([(0xFF00, MATCH)]),
    "raises before": raises,
    "raises at once": yields(BROKEN),
    "raises later": yields((0xFF00, MATCH), BROKEN),
    "success": yields((0xFF00, MATCH), (0x0000, None), (0xFF00, MATCH)),
    "failure": yields((0xFF00, MATCH), (0xA700, None), (0xFF00, MATCH)),
    "failure with a data set": yields((0xC000, MATCH)),
    "cancel": yields((0xFF00, MATCH), (0xFE00, None)),
    "warning and further matches": yields((0xB001, None), (0xFF00, MATCH)),
    "unknown status": yields((0x1234, MATCH), (0xFF00, MATCH)),
    "status without status": yields((dataset(ErrorComment="x"), None)),
    "status is text": yields(("bad", None)),
    "status data set": yields((dataset(Status=0xA900, ErrorComment="No", OffendingElement=0x00100010), None)),
    "pending status data set": yields((dataset(Status=0xFF00), MATCH)),
    "identifier is none": yields((0xFF00, None)),
    "identifier cannot be encoded": yields((0xFF00, MATCH), (0xFF00, cannot_encode())),
    "identifier is empty": yields((0xFF00, Dataset())),
    "pair of three": yields((0xFF00, MATCH, 1)),
    "yields None": yields(None),
}

RETRIEVALS: dict[str, Handler] = {
    "all well": yields(2, *SOME[:2]),
    "as iterator": returns([2, *SOME[:2]]),
    "some fail": yields(4, *SOME),
    "too many": yields(1, *SOME[:2]),
    "too few": yields(3, SOME[0]),
    "none of them": yields(0),
    "negative": yields(-1),
    "65536": yields(65_536, SOME[0]),
    "no number": yields("many", SOME[0]),
    "number is None": yields(None, SOME[0]),
    "raises instead of the number": yields(BROKEN),
    "raises before": raises,
    "raises later": yields(3, SOME[0], BROKEN),
    "raises at the first": yields(2, BROKEN),
    "success": yields(2, SOME[0], (0x0000, None)),
    "success after a failure": yields(3, *SOME[:3], (0x0000, None)),
    "failure": yields(3, SOME[0], (0xA701, None)),
    "failure after a failure": yields(4, *SOME[:3], (0xA702, None)),
    "warning": yields(3, SOME[0], (0xB000, None)),
    "list of failed instances": yields(2, (0xA702, dataset(FailedSOPInstanceUIDList=["1.2", "1.3"]))),
    "cancel": yields(4, *SOME[:3], (0xFE00, None)),
    "unknown status": yields(2, SOME[0], (0x1234, None)),
    "status without status": yields(2, (dataset(ErrorComment="x"), None)),
    "status is text": yields(2, ("bad", None)),
    "pending without an instance": yields(1, (0xFF00, None), SOME[0]),
    "no data set": yields(2, (0xFF00, 5), SOME[0]),
    "no number at all": yields(),
    "returns None": returns(None),
}


def moved(handler: Handler) -> Handler:
    """Make a C-GET handler one for C-MOVE, with the destination first."""

    def made(event: Any) -> Iterator[Any]:
        results = handler(event)
        if results is None:
            return None

        def inner() -> Iterator[Any]:
            yield SERVED.destination
            yield from results

        return inner()

    return made


DESTINATIONS: dict[str, Handler] = {
    "unknown": yields((None, None), 1),
    "unknown, and no number": yields((None, None)),
    "none": yields(),
    "no pair": yields(5, 1),
    "is None": yields(None, 1),
    "no port": yields(("127.0.0.1",), 1, SOME[0]),
    "raises": yields(BROKEN),
    "nobody listens": yields(("127.0.0.1", 1), 1, SOME[0]),
    "bad argument": yields(("127.0.0.1", 11112, {"nonsense": 1}), 1, SOME[0]),
}

SITUATIONS = {
    **{f"find: {name}": ("C-FIND", handler) for name, handler in FINDS.items()},
    **{f"get: {name}": ("C-GET", handler) for name, handler in RETRIEVALS.items()},
    **{f"move: {name}": ("C-MOVE", moved(handler)) for name, handler in RETRIEVALS.items()},
    **{f"destination: {name}": ("C-MOVE", handler) for name, handler in DESTINATIONS.items()},
}

SERVED = SimpleNamespace(destination=None)


def store(event: Any) -> int:
    """Answer the third and fourth instance with a failure and a warning."""
    return {"1.2.3": 0xA700, "1.2.4": 0xB000}.get(event.request.AffectedSOPInstanceUID, 0x0000)


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    network = Network()
    server = network.serve([(evt.EVT_C_STORE, store)], [CT])
    SERVED.destination = server.server_address[:2]
    yield network
    network.close()


@pytest.fixture(scope="module")
def servers(net: Network) -> Iterator[dict[str, int]]:
    """The ports of a server of each package, which do what the message ID says."""
    handlers = list(SITUATIONS.values())

    def handle(event: Any) -> Any:
        return handlers[event.message_id - 1][1](event)

    started: list[Any] = []
    ports: dict[str, int] = {}
    for name in PACKAGES:
        used = package(name)
        ae = used.AE("SCP")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = PATIENCE
        for model in (FIND, GET, MOVE):
            ae.add_supported_context(model, IMPLICIT)
        ae.add_supported_context(CT, IMPLICIT, scu_role=True, scp_role=True)
        ae.requested_contexts = [used.build_context(CT, IMPLICIT)]
        events = (used.evt.EVT_C_FIND, used.evt.EVT_C_GET, used.evt.EVT_C_MOVE)
        server = ae.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(event, handle) for event in events]
        )
        started.append(server)
        ports[name] = server.server_address[1]
    yield ports
    for server in started:
        server.shutdown()


def observe(status: Dataset, identifier: Dataset | None) -> tuple[Any, ...]:
    elements = {element.keyword: element.value for element in status}
    # A reason in words is more than pynetdicom gives.
    if status.get("Status") != 0xA900:
        elements.pop("ErrorComment", None)
    # Only pending and cancelled ones have it (PS3.4 C.4.2.1.6); pynetdicom leaves it in the final response.
    if status.get("Status") not in (0xFF00, 0xFF01, 0xFE00):
        elements.pop("NumberOfRemainingSuboperations", None)
    return elements, None if identifier is None else identifier.to_json_dict()


def answers(net: Network, port: int, name: str) -> list[tuple[Any, ...]]:
    """Return what a peer is answered in a situation."""
    operation, _ = SITUATIONS[name]
    message_id = list(SITUATIONS).index(name) + 1
    contexts = [build_context(uid, IMPLICIT) for uid in (FIND, GET, MOVE, CT)]
    role = build_role(CT, scu_role=True, scp_role=True)
    assoc = net.associate(port, contexts, [(evt.EVT_C_STORE, store)], ext_neg=[role], ae_title="SCP")
    query = dataset(QueryRetrieveLevel="STUDY", PatientName="*")
    if operation == "C-FIND":
        results = assoc.send_c_find(query, FIND, message_id)
    elif operation == "C-GET":
        results = assoc.send_c_get(query, GET, message_id)
    else:
        results = assoc.send_c_move(query, "DESTINATION", MOVE, message_id)
    seen = [observe(*result) for result in results]
    assoc.abort()
    return seen


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_same_handler(net: Network, servers: dict[str, int], name: str) -> None:
    ours, theirs = (answers(net, servers[used], name) for used in PACKAGES)
    if theirs and theirs[-1] == ({}, None) and ours[-1] != ({}, None):
        # Its store SCU has lost an answer to its own reactor, which happens now and then.
        theirs = answers(net, servers["pynetdicom"], name)
    if name in DIFFERENT:
        assert ours != theirs, "no longer different"
    else:
        assert ours == theirs


def test_a_warning_is_final(net: Network, servers: dict[str, int]) -> None:
    """Nothing comes after it from us: only a pending status tells of more (PS3.7 9.1.2.1.5)."""
    number = list(SITUATIONS).index("find: warning and further matches") + 1
    sent = {}
    for name, expected in (("dulcimer", 1), ("pynetdicom", 3)):
        peer = net.own(RawPeer(socket.create_connection(("127.0.0.1", servers[name]), PATIENCE)))
        peer.request(FIND)
        command = {
            e.COMMAND_FIELD: m.C_FIND_RQ,
            e.MESSAGE_ID: number,
            e.AFFECTED_SOP_CLASS_UID: FIND,
            e.PRIORITY: 0,
        }
        peer.send_message(command, DATA)
        sent[name] = [peer.read_message()[0][e.STATUS] for _ in range(expected)]
        peer.send(ReleaseRQ())
        assert peer.read() == ReleaseRP()
    assert sent == {"dulcimer": [0xB001], "pynetdicom": [0xB001, 0xFF00, 0x0000]}


# ---- as SCU -------------------------------------------------------------------------------------------

DATA = codec.encode(MATCH, ENCODING)
FAILED = codec.encode(dataset(FailedSOPInstanceUIDList=["1.2", "1.3"]), ENCODING)


def counts(*values: int | None) -> dict[int, int]:
    numbers = (
        e.NUMBER_OF_REMAINING_SUBOPERATIONS,
        e.NUMBER_OF_COMPLETED_SUBOPERATIONS,
        e.NUMBER_OF_FAILED_SUBOPERATIONS,
        e.NUMBER_OF_WARNING_SUBOPERATIONS,
    )
    return {number: value for number, value in zip(numbers, values, strict=True) if value is not None}


Reply = tuple[int, dict[int, Any], bytes | None]
REPLIES: dict[str, tuple[str, list[Reply | str]]] = {
    "find: matches": ("C-FIND", [(0xFF00, {}, DATA), (0xFF01, {}, DATA), (0x0000, {}, None)]),
    "find: failure with a comment": ("C-FIND", [(0xA900, {e.ERROR_COMMENT: "No such level"}, None)]),
    "find: cancelled": ("C-FIND", [(0xFF00, {}, DATA), (0xFE00, {}, None)]),
    "find: a match that is none": ("C-FIND", [(0xFF00, {}, b"\xff" * 9), (0x0000, {}, None)]),
    "find: a match without an identifier": ("C-FIND", [(0xFF00, {}, None), (0x0000, {}, None)]),
    "find: warning": ("C-FIND", [(0xB001, {}, None), (0x0000, {}, None)]),
    "find: unknown status": ("C-FIND", [(0x1234, {}, None)]),
    "repository: response limit": ("C-FIND", [(0xFF00, {}, DATA), (0xB001, {}, None), (0x0000, {}, None)]),
    "find: success with an identifier": ("C-FIND", [(0x0000, {}, DATA)]),
    "find: abort": ("C-FIND", [(0xFF00, {}, DATA), "abort"]),
    "find: close": ("C-FIND", [(0xFF00, {}, DATA), "close"]),
    "get: well": ("C-GET", [(0xFF00, counts(1, 1, 0, 0), None), (0x0000, counts(None, 2, 0, 0), None)]),
    "get: warning": ("C-GET", [(0xB000, counts(None, 1, 2, 0), FAILED)]),
    "get: failure": ("C-GET", [(0xA702, counts(None, 0, 2, 0), FAILED)]),
    "get: failure without a list": ("C-GET", [(0xA701, {}, None)]),
    "get: cancelled": ("C-GET", [(0xFE00, counts(2, 1, 1, 0), FAILED)]),
    "get: a list that is none": ("C-GET", [(0xB000, counts(None, 1, 2, 0), b"\xff" * 9)]),
    "get: unknown status": ("C-GET", [(0x1234, {}, None)]),
    "get: abort": ("C-GET", [(0xFF00, counts(1, 1, 0, 0), None), "abort"]),
    "move: well": ("C-MOVE", [(0xFF00, counts(1, 1, 0, 0), None), (0x0000, counts(None, 2, 0, 0), None)]),
    "move: warning": ("C-MOVE", [(0xB000, counts(None, 1, 2, 0), FAILED)]),
    "move: unknown destination": ("C-MOVE", [(0xA801, {e.ERROR_COMMENT: "Who?"}, None)]),
    "move: cancelled": ("C-MOVE", [(0xFF00, counts(1, 1, 0, 0), None), (0xFE00, counts(1, 1, 0, 0), FAILED)]),
    "move: close": ("C-MOVE", ["close"]),
}


def called(net: Network, name: str, used: SimpleNamespace) -> list[tuple[Any, ...]]:
    """Return what the caller is given when a peer answers so."""
    operation, replies = REPLIES[name]
    field = {"C-FIND": m.C_FIND_RQ, "C-GET": m.C_GET_RQ, "C-MOVE": m.C_MOVE_RQ}[operation]
    model = {"C-FIND": FIND, "C-GET": GET, "C-MOVE": MOVE}[operation]
    if name.startswith("repository"):
        model = REPOSITORY

    def script(peer: RawPeer) -> None:
        peer.accept()
        request, _ = peer.read_message()
        for reply in replies:
            if reply == "abort":
                peer.send(b"\7\0\0\0\0\4\0\0\0\0")
                return
            if reply == "close":
                peer.close()
                return
            assert not isinstance(reply, str)
            status, elements, data = reply
            command = {
                e.COMMAND_FIELD: field | 0x8000,
                e.MESSAGE_ID_BEING_RESPONDED_TO: request[e.MESSAGE_ID],
                e.AFFECTED_SOP_CLASS_UID: model,
                e.STATUS: status,
                **elements,
            }
            peer.send_message(command, data)
        # What comes next is the A-ABORT.
        peer.read_pdu()

    port = net.listen(script)
    ae = used.AE("SCU")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = PATIENCE
    ae.add_requested_context(model, IMPLICIT)
    assoc = ae.associate("127.0.0.1", port)
    assert assoc.is_established
    query = dataset(QueryRetrieveLevel="STUDY", PatientName="*")
    try:
        if operation == "C-FIND":
            results = list(assoc.send_c_find(query, model))
        elif operation == "C-GET":
            results = list(assoc.send_c_get(query, model))
        else:
            results = list(assoc.send_c_move(query, "DESTINATION", model))
    finally:
        assoc.abort()
    return [
        (
            {element.keyword: element.value for element in status},
            None if identifier is None else identifier.to_json_dict(),
        )
        for status, identifier in results
    ]


@pytest.mark.parametrize("name", REPLIES)
def test_the_same_answers(net: Network, name: str) -> None:
    ours, theirs = (called(net, name, package(used)) for used in PACKAGES)
    if f"answered {name}" in DIFFERENT:
        assert ours != theirs, "no longer different"
    else:
        assert ours == theirs


def test_every_difference_has_its_situation() -> None:
    assert set(DIFFERENT) <= {*SITUATIONS, *(f"answered {name}" for name in REPLIES)}
