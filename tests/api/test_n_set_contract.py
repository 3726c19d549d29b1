"""The contract of the N-SET handler over real associations (PS3.7 10.1.3, 10.3.3, Annex C)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from io import BytesIO
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from api.peers import EXPLICIT, IMPLICIT, Network
from dulcimer import build_context, evt
from dulcimer.dimse_primitives import N_SET
from dulcimer.errors import NoPresentationContext, Refused
from dulcimer.presentation import PresentationContextTuple
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse.messages import N_SET_RQ
from dulcimer.sop_class import (
    BasicFilmBox,
    BasicGrayscalePrintManagementMeta,
    ModalityPerformedProcedureStep,
    RTConventionalMachineVerification,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    Verification,
)
from dulcimer.status import Status

MPPS = ModalityPerformedProcedureStep
INSTANCE = "1.2.3.4"

SERVICES = {
    "MPPS": (MPPS, MPPS, None),
    "UPS": (UnifiedProcedureStepPull, UnifiedProcedureStepPush, None),
    "Print": (BasicGrayscalePrintManagementMeta, BasicFilmBox, BasicGrayscalePrintManagementMeta),
    "RT": (RTConventionalMachineVerification, RTConventionalMachineVerification, None),
}
"""By service: the abstract syntax of the context, the class of the instance, and ``meta_uid``."""

GENERAL = (0x0000, 0x0105, 0x0106, 0x0110, 0x0112, 0x0116, 0x0117, 0x0118, 0x0119, 0x0121, 0x0124)
GENERAL += (0x0210, 0x0211, 0x0212, 0x0213)
SPECIFIC = {
    "MPPS": (0x0001,),
    "UPS": (0x0001, 0xB305, 0xC300, 0xC301, 0xC307, 0xC310),
    "Print": (0xB600, 0xB604, 0xB605, 0xB609, 0xB60A, 0xC603, 0xC605, 0xC613, 0xC616),
    "RT": (0xC112, 0xC224, 0xC225, 0xC226),
}
# 0116 is a warning: PS3.7 C.4.2 has it so, against the page that the table of codes comes from.
WITH_DATASET = {0x0000, 0x0001, 0x0116, 0xB305, 0xB600, 0xB604, 0xB605, 0xB609, 0xB60A}
CODES = [(service, code) for service, codes in SPECIFIC.items() for code in (*GENERAL, *codes)]


def dataset(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


CHANGE = dataset(
    PerformedProcedureStepStatus="COMPLETED", PatientName="Öst^Åke", SpecificCharacterSet="ISO_IR 192"
)
ANSWER = dataset(PatientID="P1", SeriesNumber=7)


def same_elements(one: Dataset | None, other: Dataset) -> bool:
    return one is not None and [(x.tag, x.value) for x in one] == [(x.tag, x.value) for x in other]


@pytest.fixture
def ask(net: Network) -> Callable[..., tuple[Dataset, Dataset | None]]:
    """Have an N-SET of an MPPS answered by a handler; then the association has to be as good as before."""

    def run(handler: Callable[..., Any] | None, *args: Any) -> tuple[Dataset, Dataset | None]:
        bound = (
            []
            if handler is None
            else [(evt.EVT_N_SET, handler, list(args)) if args else (evt.EVT_N_SET, handler)]
        )
        server = net.serve(bound, [MPPS, Verification])
        assoc = net.associate(server, [MPPS, Verification])
        answer: tuple[Dataset, Dataset | None] = assoc.send_n_set(CHANGE, MPPS, INSTANCE)
        assert assoc.is_established
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()
        assert assoc.is_released
        return answer

    return run


# -- Status codes


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, Any]]:
    """One association per service, to a handler that answers the message ID as status."""
    network = Network()

    def handle(event: evt.Event) -> tuple[int, Dataset]:
        return event.message_id, ANSWER

    abstract = [row[0] for row in SERVICES.values()]
    server = network.serve([(evt.EVT_N_SET, handle)], abstract)
    yield {name: network.associate(server, [row[0]]) for name, row in SERVICES.items()}
    network.close()


@pytest.mark.parametrize(("service", "code"), CODES, ids=[f"{name}-{code:04X}" for name, code in CODES])
def test_codes_travel_and_the_dataset_with_success_and_warning_only(
    services: dict[str, Any], service: str, code: int
) -> None:
    _, class_uid, meta_uid = SERVICES[service]
    status, answer = services[service].send_n_set(CHANGE, class_uid, INSTANCE, msg_id=code, meta_uid=meta_uid)
    assert status.Status == code
    if code in WITH_DATASET:
        assert same_elements(answer, ANSWER)
    else:
        assert answer is None
    assert services[service].is_established


def test_a_code_outside_the_table_is_sent_unchanged_without_the_dataset(ask: Any) -> None:
    status, answer = ask(lambda event: (0xC999, ANSWER))
    assert (status.Status, answer) == (0xC999, None)


def test_a_member_of_the_status_enumeration_is_a_status(ask: Any) -> None:
    assert ask(lambda event: (Status.SUCCESS, None))[0].Status == 0x0000


# -- Status data sets


def test_every_status_element_arrives(ask: Any) -> None:
    status = dataset(
        Status=0x0106,
        ErrorComment="Invalid value",
        ErrorID=0xA710,
        AttributeIdentifierList=[Tag("PatientID"), Tag("PatientName")],
        OffendingElement=[Tag("PatientID"), Tag("PatientName")],
    )
    answer, attributes = ask(lambda event: (status, None))
    assert answer.Status == 0x0106
    assert answer.ErrorComment == "Invalid value"
    assert answer.ErrorID == 0xA710
    assert list(answer.AttributeIdentifierList) == [Tag("PatientID"), Tag("PatientName")]
    assert list(answer.OffendingElement) == [Tag("PatientID"), Tag("PatientName")]
    assert attributes is None


def test_one_attribute_identifier_arrives(ask: Any) -> None:
    status = dataset(Status=0x0105, AttributeIdentifierList=Tag("PatientID"))
    assert ask(lambda event: (status, None))[0]["AttributeIdentifierList"].value == Tag("PatientID")


def test_a_warning_in_a_status_dataset_carries_the_attribute_list(ask: Any) -> None:
    status, answer = ask(lambda event: (dataset(Status=0x0001, ErrorComment="Not all of it"), ANSWER))
    assert (status.Status, status.ErrorComment) == (0x0001, "Not all of it")
    assert same_elements(answer, ANSWER)


def test_elements_that_are_no_status_elements_do_not_travel(ask: Any) -> None:
    status, _ = ask(lambda event: (dataset(Status=0x0110, PatientID="P1"), None))
    assert [element.keyword for element in status] == ["Status"]


def test_an_error_comment_is_cut_to_what_travels(ask: Any) -> None:
    status, _ = ask(lambda event: (dataset(Status=0x0110, ErrorComment="x" * 64), None))
    assert status.ErrorComment == "x" * 64


# -- Handlers that are not there or go wrong


def test_no_handler_is_answered_processing_failure(ask: Any) -> None:
    status, answer = ask(None)
    assert (status.Status, answer) == (0x0110, None)


def test_the_default_handler_raises_not_implemented() -> None:
    with pytest.raises(NotImplementedError):
        evt.get_default_handler(evt.EVT_N_SET)(evt.Event(None, evt.EVT_N_SET))


@pytest.mark.parametrize(
    "error", [ValueError("no"), KeyError("no"), NotImplementedError("no"), SystemError()]
)
def test_a_handler_that_raises_is_answered_processing_failure(ask: Any, error: Exception) -> None:
    def handle(event: evt.Event) -> Any:
        raise error

    status, answer = ask(handle)
    assert (status.Status, answer) == (0x0110, None)


@pytest.mark.parametrize(
    ("result", "code"),
    [
        ((dataset(ErrorComment="No status"), ANSWER), 0xC001),
        ((Dataset(), None), 0xC001),
        (("abc", None), 0xC002),
        ((None, None), 0xC002),
        ((1.5, ANSWER), 0xC002),
        ((0x10000, None), 0xC002),
        ((-1, None), 0xC002),
        (0x0000, 0x0110),
        (None, 0x0110),
        ((0x0000, None, None), 0x0110),
    ],
)
def test_what_is_no_status_is_answered_with_its_code(ask: Any, result: Any, code: int) -> None:
    status, answer = ask(lambda event: result)
    assert (status.Status, answer) == (code, None)


def test_a_dataset_that_cannot_be_encoded_is_answered_processing_failure(ask: Any) -> None:
    bad = Dataset()
    bad.add_new("Rows", "US", 1 << 20)
    status, answer = ask(lambda event: (0x0000, bad))
    assert (status.Status, answer) == (0x0110, None)


def test_an_empty_dataset_is_none(ask: Any) -> None:
    status, answer = ask(lambda event: (0x0000, Dataset()))
    assert status.Status == 0x0000
    assert answer is None or len(answer) == 0


# -- Refused


def test_refused_travels_with_every_field(ask: Any) -> None:
    def handle(event: evt.Event) -> Any:
        raise Refused(
            0x0106,
            "That is no state",
            error_id=42,
            attributes=[Tag("PerformedProcedureStepStatus")],
            offending=[Tag("PatientID"), Tag("PatientName")],
            values=dataset(PerformedProcedureStepStatus="COMPLETED"),
        )

    status, answer = ask(handle)
    assert status.Status == 0x0106
    assert status.ErrorComment == "That is no state"
    assert status.ErrorID == 42
    assert status["AttributeIdentifierList"].value == Tag("PerformedProcedureStepStatus")
    assert list(status.OffendingElement) == [Tag("PatientID"), Tag("PatientName")]
    assert same_elements(answer, dataset(PerformedProcedureStepStatus="COMPLETED"))


def test_refused_with_a_status_only(ask: Any) -> None:
    def handle(event: evt.Event) -> Any:
        raise Refused(0xC301)

    status, answer = ask(handle)
    assert [(element.keyword, element.value) for element in status] == [("Status", 0xC301)]
    assert answer is None


def test_the_comment_of_a_refusal_is_one_value_of_64_characters(ask: Any) -> None:
    def handle(event: evt.Event) -> Any:
        raise Refused(0x0110, "C:\\data\\" + 100 * "x")

    comment = ask(handle)[0].ErrorComment
    assert comment == ("C:/data/" + 100 * "x")[:64]


# -- The event


def test_arguments_reach_the_handler_as_positional_parameters(ask: Any) -> None:
    seen: list[Any] = []

    def handle(event: evt.Event, *args: Any) -> tuple[int, None]:
        seen.append(args)
        return 0x0000, None

    ask(handle, 1, "two", None)
    assert seen == [(1, "two", None)]


def test_bind_takes_arguments_too(net: Network) -> None:
    seen: list[Any] = []

    def handle(event: evt.Event, first: int, second: str) -> tuple[int, None]:
        seen.append((first, second))
        return 0x0000, None

    server = net.serve(contexts=[MPPS])
    server.bind(evt.EVT_N_SET, handle, [1, "two"])
    assert net.associate(server, [MPPS]).send_n_set(CHANGE, MPPS, INSTANCE)[0].Status == 0x0000
    assert seen == [(1, "two")]


def test_what_the_event_tells(net: Network) -> None:
    seen: dict[str, Any] = {}

    def handle(event: evt.Event) -> tuple[int, None]:
        for name in ("assoc", "context", "event", "request", "timestamp", "message_id", "modification_list"):
            seen[name] = getattr(event, name)
        seen["attribute_list"] = event.attribute_list
        seen["acceptor"] = event.assoc.is_acceptor
        seen["peer"] = event.assoc.requestor.ae_title
        return 0x0000, None

    server = net.serve([(evt.EVT_N_SET, handle)], [build_context(MPPS, EXPLICIT)])
    contexts = [Verification, build_context(MPPS, [EXPLICIT, IMPLICIT])]
    before = datetime.now()
    assoc = net.associate(server, contexts)
    status, answer = assoc.send_n_set(CHANGE, MPPS, INSTANCE, msg_id=777)
    after = datetime.now()
    assert (status.Status, answer) == (0x0000, Dataset())
    assert seen["event"] is evt.EVT_N_SET
    assert evt.EVT_N_SET.is_intervention
    assert not evt.EVT_N_SET.is_notification
    assert seen["context"] == PresentationContextTuple(3, MPPS, EXPLICIT)
    assert seen["context"].abstract_syntax == MPPS
    assert before <= seen["timestamp"] <= after
    assert seen["message_id"] == 777
    assert same_elements(seen["modification_list"], CHANGE)
    assert seen["attribute_list"] == seen["modification_list"]
    assert seen["acceptor"]
    assert seen["peer"] == "CLIENT"
    request = seen["request"]
    assert isinstance(request, N_SET)
    assert (request.MessageID, request.RequestedSOPClassUID, request.RequestedSOPInstanceUID) == (
        777,
        MPPS,
        INSTANCE,
    )
    assert isinstance(request.ModificationList, BytesIO)
    assert request.is_valid_request


@pytest.mark.parametrize(
    "name",
    ["attribute_identifiers", "action_information", "event_type", "dataset", "identifier"],
)
def test_what_belongs_to_other_events_is_an_attribute_error(ask: Any, name: str) -> None:
    def handle(event: evt.Event) -> tuple[int, None]:
        with pytest.raises(AttributeError):
            getattr(event, name)
        return 0x0000, None

    assert ask(handle)[0].Status == 0x0000


def test_an_n_set_is_never_cancelled(ask: Any) -> None:
    seen: list[bool] = []

    def handle(event: evt.Event) -> tuple[int, None]:
        seen.append(event.is_cancelled)
        return 0x0000, None

    ask(handle)
    assert seen == [False]


# -- The modification list


def n_set(
    net: Network, server: Any, data: bytes | None, **command: Any
) -> tuple[dict[int, Any], bytes | None]:
    """Send an N-SET request byte by byte as given; then an echo has to be answered."""
    peer = net.connect(server)
    peer.request(MPPS)
    request = {
        e.REQUESTED_SOP_CLASS_UID: MPPS,
        e.COMMAND_FIELD: N_SET_RQ,
        e.MESSAGE_ID: 9,
        e.REQUESTED_SOP_INSTANCE_UID: INSTANCE,
    }
    peer.send_message(request, data)
    first = peer.read_message()
    peer.send_message(request, b"\x10\x00\x20\x00\x02\x00\x00\x00P1")
    assert peer.read_message()[0][e.MESSAGE_ID_BEING_RESPONDED_TO] == 9
    return first


def test_decoding_waits_until_the_value_is_used(net: Network) -> None:
    server = net.serve([(evt.EVT_N_SET, lambda event: (0x0000, None))], [MPPS])
    assert n_set(net, server, b"\xff" * 9)[0][e.STATUS] == 0x0000


def test_bad_bytes_raise_when_the_value_is_used(net: Network) -> None:
    raised: list[Exception] = []

    def handle(event: evt.Event) -> tuple[int, None]:
        try:
            assert event.modification_list.PatientID
        except Exception as error:
            raised.append(error)
            raise
        return 0x0000, None

    server = net.serve([(evt.EVT_N_SET, handle)], [MPPS])
    response, data = n_set(net, server, b"\xff" * 9)
    assert (response[e.STATUS], data) == (0x0110, None)
    assert len(raised) == 1


def test_a_request_without_a_modification_list_is_answered(net: Network) -> None:
    server = net.serve([(evt.EVT_N_SET, lambda event: (0x0000, None))], [MPPS])
    assert n_set(net, server, None)[0][e.STATUS] != 0x0000


def test_the_response_names_what_was_requested(net: Network) -> None:
    server = net.serve([(evt.EVT_N_SET, lambda event: (0x0000, ANSWER))], [MPPS])
    response, data = n_set(net, server, b"\x10\x00\x20\x00\x02\x00\x00\x00P1")
    assert response[e.COMMAND_FIELD] == 0x8120
    assert response[e.MESSAGE_ID_BEING_RESPONDED_TO] == 9
    assert response[e.AFFECTED_SOP_CLASS_UID] == MPPS
    assert response[e.AFFECTED_SOP_INSTANCE_UID] == INSTANCE
    assert data == b"\x10\x00\x20\x00\x02\x00\x00\x00P1" + b"\x20\x00\x11\x00\x02\x00\x00\x007 "


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"])
def test_the_modification_list_in_every_uncompressed_transfer_syntax(net: Network, syntax: str) -> None:
    seen: list[Dataset] = []

    def handle(event: evt.Event) -> tuple[int, Dataset]:
        seen.append(event.modification_list)
        return 0x0000, ANSWER

    context = build_context(MPPS, syntax)
    assoc = net.associate(net.serve([(evt.EVT_N_SET, handle)], [context]), [context])
    status, answer = assoc.send_n_set(CHANGE, MPPS, INSTANCE)
    assert status.Status == 0x0000
    assert same_elements(answer, ANSWER)
    assert same_elements(seen[0], CHANGE)


# -- Unified Procedure Step: every instance is of the Push class (PS3.4 CC.3.1)


@pytest.mark.parametrize("class_uid", [UnifiedProcedureStepPush, UnifiedProcedureStepPull])
def test_ups_commands_name_the_push_class_on_a_pull_context(net: Network, class_uid: str) -> None:
    seen: list[tuple[str, str]] = []

    def handle(event: evt.Event) -> tuple[int, None]:
        seen.append((event.context.abstract_syntax, event.request.RequestedSOPClassUID))
        return 0x0000, None

    server = net.serve([(evt.EVT_N_SET, handle)], [UnifiedProcedureStepPull])
    assoc = net.associate(server, [UnifiedProcedureStepPull])
    assert assoc.send_n_set(CHANGE, class_uid, INSTANCE)[0].Status == 0x0000
    assert seen == [(UnifiedProcedureStepPull, UnifiedProcedureStepPush)]


# -- The requestor's side


def test_a_service_that_does_not_use_n_set_is_answered_with_an_abort(net: Network) -> None:
    server = net.serve([(evt.EVT_N_SET, lambda event: (0x0000, None))], [Verification])
    assoc = net.associate(server, [Verification])
    status, answer = assoc.send_n_set(CHANGE, Verification, INSTANCE)
    assert (len(status), answer) == (0, None)
    assert assoc.is_aborted
    assert not assoc.is_established


def test_without_a_context_a_value_error_says_why(net: Network) -> None:
    assoc = net.associate(net.serve(contexts=[Verification]), [Verification, MPPS])
    with pytest.raises(ValueError, match="Modality Performed Procedure Step") as raised:
        assoc.send_n_set(CHANGE, MPPS, INSTANCE)
    assert isinstance(raised.value, NoPresentationContext)
    assert assoc.is_established


def test_a_modification_list_that_cannot_be_encoded_is_a_value_error(net: Network) -> None:
    assoc = net.associate(net.serve(contexts=[MPPS]), [MPPS])
    bad = Dataset()
    bad.add_new("Rows", "US", 1 << 20)
    with pytest.raises(ValueError, match="encode"):
        assoc.send_n_set(bad, MPPS, INSTANCE)
    assert assoc.is_established
    assert assoc.send_n_set(CHANGE, MPPS, INSTANCE)[0].Status == 0x0110


def test_without_an_association_it_is_a_runtime_error(net: Network) -> None:
    assoc = net.associate(net.serve(contexts=[MPPS]), [MPPS])
    assoc.release()
    with pytest.raises(RuntimeError, match="established"):
        assoc.send_n_set(CHANGE, MPPS, INSTANCE)


# -- The same with pynetdicom at the other end


@pytest.mark.interop
def test_pynetdicom_sets_at_ours(net: Network) -> None:
    pynetdicom = pytest.importorskip("pynetdicom")
    seen: list[Dataset] = []

    def handle(event: evt.Event) -> tuple[Dataset, Dataset]:
        seen.append(event.modification_list)
        return dataset(Status=0x0001, ErrorComment="Not all of it", ErrorID=3), ANSWER

    server = net.serve([(evt.EVT_N_SET, handle)], [MPPS])
    peer = pynetdicom.AE()
    peer.add_requested_context(MPPS)
    assoc = peer.associate(*server.server_address)
    try:
        status, answer = assoc.send_n_set(CHANGE, MPPS, INSTANCE)
    finally:
        assoc.release()
    assert (status.Status, status.ErrorComment, status.ErrorID) == (0x0001, "Not all of it", 3)
    assert same_elements(answer, ANSWER)
    assert same_elements(seen[0], CHANGE)


@pytest.mark.interop
def test_ours_sets_at_pynetdicom(net: Network) -> None:
    pynetdicom = pytest.importorskip("pynetdicom")
    seen: list[Dataset] = []

    def handle(event: Any) -> tuple[Dataset, Dataset]:
        seen.append(event.modification_list)
        return dataset(Status=0x0001, ErrorComment="Not all of it", ErrorID=3), ANSWER

    peer = pynetdicom.AE()
    peer.add_supported_context(MPPS)
    server = peer.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(pynetdicom.evt.EVT_N_SET, handle)]
    )
    try:
        assoc = net.associate(server, [MPPS])
        status, answer = assoc.send_n_set(CHANGE, MPPS, INSTANCE)
        assoc.release()
    finally:
        peer.shutdown()
    assert (status.Status, status.ErrorComment, status.ErrorID) == (0x0001, "Not all of it", 3)
    assert same_elements(answer, ANSWER)
    assert same_elements(seen[0], CHANGE)
