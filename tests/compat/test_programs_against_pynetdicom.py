"""What programs see in places that are easily overlooked: the same with both packages.

A *snippet* is given one package and returns what a program notices.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.dataset import Dataset

from api.peers import PATIENCE

pytestmark = [
    pytest.mark.interop,
    # pynetdicom leaves sockets to the garbage collector, and its threads may end with an exception.
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
        "ignore::pytest.PytestUnhandledThreadExceptionWarning",
    ),
]

pytest.importorskip("pynetdicom")

VERIFICATION, CT = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2"
MPPS, COMMITMENT, DISPLAY = "1.2.840.10008.3.1.2.3.3", "1.2.840.10008.1.20.1", "1.2.840.10008.5.1.1.40"
FIND, MOVE = "1.2.840.10008.5.1.4.1.2.1.1", "1.2.840.10008.5.1.4.1.2.1.2"
INSTANCE = "1.2.3.4"


def package(name: str) -> SimpleNamespace:
    root = importlib.import_module(name)
    modules = ("association", "dimse_primitives", "pdu_primitives", "presentation")
    return SimpleNamespace(
        AE=root.AE,
        evt=root.evt,
        build_context=root.build_context,
        build_role=root.build_role,
        **{module: importlib.import_module(f"{name}.{module}") for module in modules},
    )


OURS, THEIRS = package("dulcimer"), package("pynetdicom")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep pynetdicom's log out of the output."""
    logger = logging.getLogger("pynetdicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(level)


def same(snippet: Callable[[Any], Any]) -> Any:
    """Run a snippet with both packages; what it returns must be the same and is returned."""
    ours, theirs = snippet(OURS), snippet(THEIRS)
    assert ours == theirs
    return ours


@contextmanager
def connected(
    each: Any, contexts: list[str], handlers: list[Any], host: str = "127.0.0.1", **supported: Any
) -> Iterator[Any]:
    """Give an association between two entities of a package."""
    ae = each.AE("TESTER")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = PATIENCE
    for uid in contexts:
        ae.add_supported_context(uid, **supported)
        ae.add_requested_context(uid)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        assoc = ae.associate(host, server.server_address[1])
        assert assoc.is_established
        yield assoc
        assoc.release()
    finally:
        ae.shutdown()


def dataset(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize("status", [0x0000, 0x0107, 0x0110])
def test_an_answer_without_a_data_set(status: int) -> None:
    """It is an empty one after a success or a warning, None after a failure."""

    def snippet(each: Any) -> Any:
        def handle(event: Any) -> tuple[int, None]:
            return status, None

        evt = each.evt
        events = (evt.EVT_N_SET, evt.EVT_N_CREATE)
        with connected(each, [MPPS], [(event, handle) for event in events]) as assoc:
            answers = [
                assoc.send_n_set(dataset(PatientID="1"), MPPS, INSTANCE),
                assoc.send_n_create(dataset(PatientID="1"), MPPS, INSTANCE),
            ]
        return [(answer.Status, values) for answer, values in answers]

    answers = same(snippet)
    assert answers == [(status, None if status == 0x0110 else Dataset())] * 2


def test_a_handler_gives_no_data_set_but_something_else() -> None:
    def snippet(each: Any) -> Any:
        def handle(event: Any) -> tuple[int, Any]:
            return 0x0000, lambda: None

        with connected(each, [DISPLAY], [(each.evt.EVT_N_GET, handle)]) as assoc:
            status, values = assoc.send_n_get([0x00080070], DISPLAY, INSTANCE)
            return status.Status, values

    assert same(snippet) == (0x0110, None)


def test_a_report_without_role_selection() -> None:
    """The requestor reports although it is the SCU; the status says what the report was of."""

    def snippet(each: Any) -> Any:
        reports: list[Any] = []

        def handle(event: Any) -> tuple[int, Dataset]:
            reports.append((event.event_type, event.event_information))
            return 0x0000, dataset(PatientID="2")

        with connected(each, [COMMITMENT], [(each.evt.EVT_N_EVENT_REPORT, handle)]) as assoc:
            (context,) = assoc.accepted_contexts
            status, reply = assoc.send_n_event_report(dataset(PatientID="1"), 1, COMMITMENT, INSTANCE)
            return context.as_scp, str(status), reply, reports

    as_scp, status, reply, reports = same(snippet)
    assert not as_scp
    assert "Event Type ID" in status
    assert reply.PatientID == "2"
    assert reports == [(1, dataset(PatientID="1"))]


@pytest.mark.parametrize("priority", [-1, 3, None])
def test_a_priority_that_is_none(priority: Any) -> None:
    def snippet(each: Any) -> Any:
        raised = []
        with connected(each, [CT, FIND, MOVE], []) as assoc:
            instance = dataset(SOPClassUID=CT, SOPInstanceUID=INSTANCE)
            instance.ensure_file_meta()
            instance.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
            query = dataset(PatientID="1")
            for call in (
                lambda: assoc.send_c_store(instance, priority=priority),
                lambda: list(assoc.send_c_find(query, FIND, priority=priority)),
                lambda: list(assoc.send_c_move(query, "ANY", MOVE, priority=priority)),
            ):
                with pytest.raises(ValueError) as caught:
                    call()
                raised.append(caught.type)
        return raised

    same(snippet)


def test_events_that_are_no_requests_are_not_cancelled() -> None:
    def snippet(each: Any) -> Any:
        evt, seen = each.evt, []

        def on_event(event: Any) -> None:
            seen.append((event.event.name, event.is_cancelled))

        def on_echo(event: Any) -> int:
            seen.append((event.event.name, event.is_cancelled))
            return 0x0000

        handlers = [(evt.EVT_ACCEPTED, on_event), (evt.EVT_C_ECHO, on_echo)]
        with connected(each, [VERIFICATION], handlers) as assoc:
            assoc.send_c_echo()
        return seen

    assert same(snippet) == [("EVT_ACCEPTED", False), ("EVT_C_ECHO", False)]


@pytest.mark.parametrize(("as_scu", "as_scp"), [(True, False), (False, True), (True, True), (False, False)])
def test_the_roles_of_a_context_as_text(as_scu: bool, as_scp: bool) -> None:
    def snippet(each: Any) -> Any:
        scu, scp = as_scu, as_scp
        requested, supported = each.build_context(CT), each.build_context(CT)
        requested.context_id = 1
        supported.scu_role, supported.scp_role = scu, scp
        (context,), _ = each.presentation.negotiate_as_acceptor([requested], [supported], {CT: (scu, scp)})
        return str(context).splitlines()[-1]

    assert same(snippet).startswith("Role: ")


@pytest.mark.parametrize(
    "supported", [(None, None), (True, True), (True, False), (False, True), (False, False)]
)
def test_a_proposal_of_neither_role(supported: tuple[bool | None, bool | None]) -> None:
    """It is as good as none: the default roles."""

    def snippet(each: Any) -> Any:
        requested, can = each.build_context(CT), each.build_context(CT)
        requested.context_id = 1
        can.scu_role, can.scp_role = supported
        (context,), _ = each.presentation.negotiate_as_acceptor([requested], [can], {CT: (None, None)})
        return context.result, context.as_scu, context.as_scp

    assert same(snippet) == (0x00, False, True)


def test_an_acceptor_has_no_common_extended_negotiation() -> None:
    def snippet(each: Any) -> Any:
        item = each.pdu_primitives.SOPClassCommonExtendedNegotiation()
        item.sop_class_uid, item.service_class_uid = "1.2.3", "2.3.4"
        outcomes = []
        for mode in ("requestor", "acceptor"):
            side = getattr(each.association.Association(each.AE(), mode), mode)
            try:
                side.add_negotiation_item(item)
            except TypeError:
                outcomes.append("TypeError")
            outcomes.append((len(side.extended_negotiation), list(side.sop_class_common_extended)))
        return outcomes

    assert same(snippet) == [(1, ["1.2.3"]), "TypeError", (0, [])]


@pytest.mark.parametrize(("final", "failures"), [(0x0000, 0), (0xB000, 2)])
def test_a_handler_says_that_it_is_done_before_all_that_it_announced(final: int, failures: int) -> None:
    def snippet(each: Any) -> Any:
        ports: list[int] = []

        def on_move(event: Any) -> Iterator[Any]:
            yield "127.0.0.1", ports[0]
            yield 3
            instance = dataset(SOPClassUID=CT, SOPInstanceUID="1.2.3.1", PatientID="1")
            instance.ensure_file_meta()
            instance.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
            yield 0xFF00, instance
            yield final, None

        evt = each.evt
        handlers = [(evt.EVT_C_MOVE, on_move), (evt.EVT_C_STORE, lambda event: 0xB000)]
        with connected(each, [MOVE, CT], handlers) as assoc:
            ports.append(assoc.acceptor.port)
            responses = list(assoc.send_c_move(dataset(PatientID="1"), "ANY", MOVE))
        status, identifier = responses[-1]
        return (
            len(responses),
            status.Status,
            status.NumberOfCompletedSuboperations,
            status.NumberOfFailedSuboperations,
            status.NumberOfWarningSuboperations,
            identifier,
        )

    assert same(snippet)[:5] == (2, 0xB000, 0, failures, 1)


def test_the_address_of_an_acceptor_is_no_name() -> None:
    def snippet(each: Any) -> Any:
        with connected(each, [VERIFICATION], [], host="localhost") as assoc:
            return assoc.acceptor.address, assoc.requestor.address, assoc.acceptor.info["address"]

    assert same(snippet) == ("127.0.0.1",) * 3
