"""Every case of the corpus, over loopback sockets: a quirky peer and our public API.

Each is played twice: by default, where the conversation has to come to its end as if the peer had done
nothing unusual, and strictly, where what breaks a rule has to be refused as the case says.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import write_dataset

from api.peers import Network, eventually
from dulcimer import build_role, evt
from dulcimer.quirks import Quirk, QuirkKind
from quirks.quirk_script import Corpus, Player, QuirkyAcceptor, Refused

CORPUS = Corpus(json.loads(Path(__file__).with_name("corpus.json").read_text()))
VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT = "1.2.840.10008.1.2"
PATIENCE = 5.0
"""Seconds for each thing that is waited for; all of them take milliseconds."""

pytestmark = pytest.mark.timeout(30)

by_requestor = [case for case in CORPUS.cases if case["peer"] == "requestor"]
by_acceptor = [case for case in CORPUS.cases if case["peer"] == "acceptor"]


def named(case: dict[str, Any]) -> str:
    return str(case["name"])


@pytest.fixture
def net() -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, logger="dulcimer.quirks")
    return caplog


NOTIFICATIONS = (
    evt.EVT_ACSE_RECV,
    evt.EVT_DATA_RECV,
    evt.EVT_DIMSE_RECV,
    evt.EVT_FSM_TRANSITION,
    evt.EVT_PDU_RECV,
    evt.EVT_REQUESTED,
    evt.EVT_ACCEPTED,
)


class Side:
    """What our side of an association has seen.

    Parameters
    ----------
    watched
        Whether handlers are bound that look at everything that passes.
    """

    def __init__(self, watched: bool = False) -> None:
        self._watched = watched
        self.noticed: set[str] = set()
        self.assocs: Queue[Any] = Queue()
        self.stored: list[bytes] = []
        self.over = False

    @property
    def handlers(self) -> list[tuple[Any, Any]]:
        watching = [(event, self._look) for event in NOTIFICATIONS] if self._watched else []
        return [
            *watching,
            (evt.EVT_CONN_OPEN, lambda event: self.assocs.put(event.assoc)),
            (evt.EVT_CONN_CLOSE, self._closed),
            (evt.EVT_C_ECHO, lambda event: 0x0000),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_GET, self._get),
        ]

    def _look(self, event: Any) -> None:
        for name in ("pdu", "primitive", "message", "data"):
            assert repr(getattr(event, name, None))
        for user in (event.assoc.requestor, event.assoc.acceptor):
            assert user.info and user.extended_negotiation is not None
            _ = user.primitive, user.implementation_class_uid, user.implementation_version_name
        if event.event is evt.EVT_ACCEPTED:
            assoc = event.assoc
            assert assoc.accepted_contexts is not None and assoc.rejected_contexts is not None
            assert assoc.requestor.requested_contexts
            assert all(context.explanation for context in assoc.rejected_contexts)
        self.noticed.add(event.event.name)

    def _get(self, event: Any) -> Iterator[Any]:
        yield 1
        yield 0xFF00, data_set()

    def _closed(self, event: Any) -> None:
        self.over = True

    def _store(self, event: Any) -> int:
        self.stored.append(event.request.DataSet.getvalue())
        # What a program usually asks for must not fail because of the peer.
        assert event.request.AffectedSOPInstanceUID is not None
        assert event.context.abstract_syntax == CT_IMAGE
        _ = event.request.Priority, event.request.MoveOriginatorApplicationEntityTitle
        return 0x0000


def serve(net: Network, side: Side, strict: bool) -> Any:
    ae = net.ae("SERVER")
    ae.strict = strict
    for uid in (VERIFICATION, STUDY_ROOT_GET):
        ae.add_supported_context(uid, IMPLICIT)
    ae.add_supported_context(CT_IMAGE, IMPLICIT, scu_role=True, scp_role=True)
    return net.serve(side.handlers, ae=ae)


def outcome(assoc: Any) -> str:
    names = {"released": assoc.is_released, "aborted": assoc.is_aborted, "rejected": assoc.is_rejected}
    (found,) = [name for name, holds in names.items() if holds]
    return found


def check_quirks(
    case: dict[str, Any], assoc: Any, log: pytest.LogCaptureFixture, titles: tuple[str, str]
) -> None:
    """One quirk and one structured warning of each kind, and no other."""
    quirks: list[Quirk] = assoc.quirks
    assert sorted(quirk.identifier for quirk in quirks) == sorted(case["warnings"])
    records = [record for record in log.records if record.name == "dulcimer.quirks"]
    assert sorted(record.quirk for record in records) == sorted(case["warnings"])
    for record in records:
        assert record.levelno == logging.WARNING
        assert record.clause.startswith("PS3.") and record.clause in record.getMessage()
        assert record.peer_address == "127.0.0.1" and record.peer_port
        assert (record.calling_ae_title, record.called_ae_title) == titles


def check_noticed(side: Side, watched: bool, log: pytest.LogCaptureFixture) -> None:
    """Whoever watches saw everything, and nothing of it failed."""
    if watched:
        assert side.noticed >= {event.name for event in NOTIFICATIONS} - {"EVT_DIMSE_RECV"}
    # Also when what a peer sends is looked at, it is no fault of ours.
    assert [record.getMessage() for record in log.records if record.levelno >= logging.ERROR] == []


# ---- quirky requestors ----------------------------------------------------------------------------------


def connect(server: Any) -> socket.socket:
    return socket.create_connection(server.server_address[:2], PATIENCE)


@pytest.mark.parametrize("watched", [False, True], ids=["", "watched"])
@pytest.mark.parametrize("case", by_requestor, ids=named)
def test_requestor_is_served(
    case: dict[str, Any], watched: bool, net: Network, warnings: pytest.LogCaptureFixture
) -> None:
    if watched:
        warnings.set_level(logging.DEBUG, logger="dulcimer")
    side = Side(watched)
    server = serve(net, side, strict=False)
    with connect(server) as sock:
        player = Player(CORPUS, sock)
        player.play(case["script"])
        assoc = side.assocs.get(timeout=PATIENCE)
    assert eventually(lambda: side.over)
    assert side.stored == [CORPUS.encode(described) for described in case.get("stored", [])]
    assert outcome(assoc) == case.get("outcome", "released")
    assert assoc.requestor.ae_title == case.get("calling", assoc.requestor.ae_title)
    check_quirks(case, assoc, warnings, (assoc.requestor.ae_title, assoc.requestor.primitive.called_ae_title))
    check_noticed(side, watched, warnings)
    assert eventually(lambda: not server.active_associations)
    # And the next one is served, too.
    with connect(server) as sock:
        Player(CORPUS, sock).play(CORPUS.scripts["whole"])


@pytest.mark.parametrize("case", by_requestor, ids=named)
def test_requestor_is_served_strictly(case: dict[str, Any], net: Network) -> None:
    side = Side()
    server = serve(net, side, strict=True)
    refused: Refused | None = None
    with connect(server) as sock:
        player = Player(CORPUS, sock)
        try:
            player.play(case.get("strict_script", case["script"]))
        except Refused as error:
            refused = error
    assoc = side.assocs.get(timeout=PATIENCE)
    assert eventually(lambda: side.over)
    check_refusal(case, refused)
    expected = case["strict"]
    if expected == "taken":
        assert outcome(assoc) == case.get("outcome", "released")
    else:
        assert outcome(assoc) == ("rejected" if "reject" in expected else "aborted")
        assert assoc.failure is not None
        assert any(quirk.breaks_a_rule for quirk in assoc.quirks)


def check_refusal(case: dict[str, Any], refused: Refused | None) -> None:
    expected = case["strict"]
    if expected == "taken":
        assert refused is None
    else:
        assert refused is not None, "nothing was refused"
        assert list(refused.codes) == expected.get("reject", expected.get("abort"))


# ---- quirky acceptors -----------------------------------------------------------------------------------


def data_set() -> Dataset:
    """The data set of the corpus."""
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = CT_IMAGE, "1.2.3.4"
    data.PatientID = "1"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = IMPLICIT
    return data


def request(net: Network, case: dict[str, Any], side: Side, peer: QuirkyAcceptor, strict: bool) -> Any:
    ae = net.ae("CLIENT")
    ae.strict = strict
    ae.add_requested_context(VERIFICATION, IMPLICIT)
    ae.add_requested_context(CT_IMAGE, IMPLICIT)
    if "find" in case["ours"]:
        ae.add_requested_context(STUDY_ROOT_FIND, IMPLICIT)
    roles = [build_role(CT_IMAGE, scu_role=True, scp_role=True)] if case.get("roles") else None
    assoc = ae.associate("127.0.0.1", peer.port, ae_title="QUIRKY", ext_neg=roles, evt_handlers=side.handlers)
    for what in case["ours"]:
        if not assoc.is_established:
            break
        perform(assoc, what, strict)
    return assoc


def perform(assoc: Any, what: str, strict: bool) -> None:
    """Do something and compare what comes of it, unless it may be refused."""
    match what:
        case "echo":
            status = assoc.send_c_echo()
            assert strict or status.Status == 0
        case "echo without an answer":
            assert "Status" not in assoc.send_c_echo()
        case "store":
            status = assoc.send_c_store(data_set())
            assert strict or status.Status == 0
        case "find":
            query = Dataset()
            query.QueryRetrieveLevel = "STUDY"
            query.PatientID = "1"
            found = [status.get("Status") for status, _ in assoc.send_c_find(query, STUDY_ROOT_FIND)]
            assert strict or found == [0xFF00, 0x0000]
        case "release":
            assoc.release()
        case _:
            raise ValueError(what)


@pytest.mark.parametrize("watched", [False, True], ids=["", "watched"])
@pytest.mark.parametrize("case", by_acceptor, ids=named)
def test_acceptor_is_used(
    case: dict[str, Any], watched: bool, net: Network, warnings: pytest.LogCaptureFixture
) -> None:
    if watched:
        warnings.set_level(logging.DEBUG, logger="dulcimer")
    side = Side(watched)
    peer = QuirkyAcceptor(CORPUS, case["script"], PATIENCE)
    assoc = request(net, case, side, peer, strict=False)
    peer.join(PATIENCE)
    assert peer.refused is None
    assert eventually(lambda: side.over)
    assert outcome(assoc) == case.get("outcome", "released")
    if "failure" in case:
        assert assoc.failure.kind.name == case["failure"]
    assert side.stored == [CORPUS.encode(described) for described in case.get("stored", [])]
    if "accepted" in case:
        assert [context.context_id for context in assoc.accepted_contexts] == case["accepted"]
    check_quirks(case, assoc, warnings, ("CLIENT", "QUIRKY"))
    check_noticed(side, watched, warnings)


@pytest.mark.parametrize("case", by_acceptor, ids=named)
def test_acceptor_is_used_strictly(case: dict[str, Any], net: Network) -> None:
    side = Side()
    peer = QuirkyAcceptor(CORPUS, case["script"], PATIENCE)
    assoc = request(net, case, side, peer, strict=True)
    peer.join(PATIENCE)
    assert eventually(lambda: side.over)
    check_refusal(case, peer.refused)
    if case["strict"] == "taken":
        assert outcome(assoc) == case.get("outcome", "released")
    else:
        assert outcome(assoc) == "aborted"
        assert [assoc.failure.source, assoc.failure.reason] == case["strict"]["abort"]


# ---- the corpus itself ----------------------------------------------------------------------------------


def test_the_corpus_is_complete() -> None:
    assert len(CORPUS.cases) >= 45
    names = [case["name"] for case in CORPUS.cases]
    assert len(set(names)) == len(names)
    for case in CORPUS.cases:
        assert case["seen"] and case["sends"] and case["does"]
    warned = {identifier for case in CORPUS.cases for identifier in case["warnings"]}
    assert warned == {kind.identifier for kind in QuirkKind}


def test_the_data_set_of_the_corpus_is_the_one_that_is_stored() -> None:
    from pydicom.filebase import DicomBytesIO

    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = True, True
    write_dataset(stream, data_set())
    assert stream.getvalue() == CORPUS.encode({"part": "data"})


def test_every_kind_has_its_own_name_and_a_clause() -> None:
    assert len({kind.identifier for kind in QuirkKind}) == len(QuirkKind)
    assert all(kind.clause.startswith("PS3.") for kind in QuirkKind)
