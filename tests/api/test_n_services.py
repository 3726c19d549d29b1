"""N-CREATE, N-GET, N-ACTION, N-DELETE and N-EVENT-REPORT over real associations (PS3.7 10.1, PS3.4 J)."""

from __future__ import annotations

import threading
from queue import Queue
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID, generate_uid

from api.peers import EXPLICIT, PATIENCE, Network, eventually
from dulcimer import build_context, build_role, evt
from dulcimer.errors import NoPresentationContext, Refused
from dulcimer.sop_class import (
    BasicFilmSession,
    BasicGrayscalePrintManagementMeta,
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepNotification,
    Printer,
    PrinterInstance,
    PrintJob,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    Verification,
)

MPPS = ModalityPerformedProcedureStep
META = BasicGrayscalePrintManagementMeta
COMMITMENT = StorageCommitmentPushModel
COMMITTER = StorageCommitmentPushModelInstance
INSTANCE = "1.2.3.4"


def dataset(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


ATTRIBUTES = dataset(PatientID="P1", SeriesNumber=7)
NAMES = {
    "EVT_N_ACTION": ("N-ACTION", META),
    "EVT_N_CREATE": ("N-CREATE", META),
    "EVT_N_DELETE": ("N-DELETE", META),
    "EVT_N_EVENT_REPORT": ("N-EVENT-REPORT", META),
    "EVT_N_GET": ("N-GET", META),
}


def send(assoc: Any, name: str) -> tuple[Dataset, Dataset | None]:
    """Send the request of an event, all of them in one print management context."""
    if name == "EVT_N_ACTION":
        return assoc.send_n_action(ATTRIBUTES, 1, BasicFilmSession, INSTANCE, meta_uid=META)
    if name == "EVT_N_CREATE":
        return assoc.send_n_create(ATTRIBUTES, BasicFilmSession, INSTANCE, meta_uid=META)
    if name == "EVT_N_DELETE":
        return assoc.send_n_delete(BasicFilmSession, INSTANCE, meta_uid=META), None
    if name == "EVT_N_EVENT_REPORT":
        return assoc.send_n_event_report(ATTRIBUTES, 1, Printer, PrinterInstance, meta_uid=META)
    return assoc.send_n_get([Tag("PatientID")], Printer, PrinterInstance, meta_uid=META)


def ask(net: Network, name: str, handler: Any) -> tuple[Dataset, Dataset | None]:
    """Have a request answered by a handler; then the association has to be as good as before."""
    handlers = [] if handler is None else [(getattr(evt, name), handler)]
    ae = net.ae("SERVER")
    ae.add_supported_context(META, scu_role=True, scp_role=True)
    ae.add_supported_context(Verification)
    server = net.serve(handlers, ae=ae)
    # To send N-EVENT-REPORT the requestor has to be the SCP.
    role = build_role(META, scu_role=True, scp_role=True)
    assoc = net.associate(server, [META, Verification], ext_neg=[role])
    answer = send(assoc, name)
    assert assoc.is_established
    assert assoc.send_c_echo().Status == 0x0000
    return answer


def give(name: str, status: Any, answer: Dataset | None) -> Any:
    """Return what a handler of that event returns."""
    return status if name == "EVT_N_DELETE" else (status, answer)


# -- What all of them have in common


@pytest.mark.parametrize("name", NAMES)
def test_no_handler_is_answered_processing_failure(net: Network, name: str) -> None:
    status, answer = ask(net, name, None)
    assert (status.Status, answer) == (0x0110, None)


@pytest.mark.parametrize("name", NAMES)
def test_a_handler_that_raises_is_answered_processing_failure(net: Network, name: str) -> None:
    def handle(event: evt.Event) -> Any:
        raise ValueError("no")

    status, answer = ask(net, name, handle)
    assert (status.Status, answer) == (0x0110, None)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("status", "code"), [(dataset(ErrorID=1), 0xC001), ("abc", 0xC002), (None, 0xC002)])
def test_what_is_no_status_is_answered_with_its_code(net: Network, name: str, status: Any, code: int) -> None:
    answered, answer = ask(net, name, lambda event: give(name, status, None))
    assert (answered.Status, answer) == (code, None)


@pytest.mark.parametrize("name", NAMES)
def test_refused_travels(net: Network, name: str) -> None:
    def handle(event: evt.Event) -> Any:
        raise Refused(0x0124, "Not for you", error_id=5)

    status, answer = ask(net, name, handle)
    assert (status.Status, status.ErrorComment, status.ErrorID) == (0x0124, "Not for you", 5)
    assert answer is None


@pytest.mark.parametrize("name", [name for name in NAMES if name != "EVT_N_DELETE"])
@pytest.mark.parametrize(("code", "sent"), [(0x0000, True), (0xB600, True), (0x0112, False), (0xC999, False)])
def test_the_dataset_goes_with_success_and_warning_only(
    net: Network, name: str, code: int, sent: bool
) -> None:
    status, answer = ask(net, name, lambda event: (code, dataset(PatientID="P2")))
    assert status.Status == code
    assert (answer is not None and answer.PatientID == "P2") if sent else answer is None


@pytest.mark.parametrize("name", [name for name in NAMES if name != "EVT_N_DELETE"])
def test_a_dataset_that_cannot_be_encoded_is_answered_processing_failure(net: Network, name: str) -> None:
    bad = Dataset()
    bad.add_new("Rows", "US", 1 << 20)
    status, answer = ask(net, name, lambda event: (0x0000, bad))
    assert (status.Status, answer) == (0x0110, None)


@pytest.mark.parametrize("name", NAMES)
def test_the_event_has_what_its_request_has(net: Network, name: str) -> None:
    seen: dict[str, Any] = {}

    def handle(event: evt.Event) -> Any:
        request = event.request
        seen["event"] = event.event
        seen["class"] = getattr(request, "RequestedSOPClassUID", None) or request.AffectedSOPClassUID
        seen["instance"] = getattr(request, "RequestedSOPInstanceUID", None) or request.AffectedSOPInstanceUID
        seen["abstract"] = event.context.abstract_syntax
        seen["type"] = type(request).__name__
        return give(name, 0x0000, None)

    assert ask(net, name, handle)[0].Status == 0x0000
    printer = name in ("EVT_N_GET", "EVT_N_EVENT_REPORT")
    assert seen == {
        "event": getattr(evt, name),
        "class": Printer if printer else BasicFilmSession,
        "instance": PrinterInstance if printer else INSTANCE,
        "abstract": META,
        "type": NAMES[name][0].replace("-", "_"),
    }


@pytest.mark.parametrize("name", NAMES)
def test_without_an_association_it_is_a_runtime_error(net: Network, name: str) -> None:
    assoc = net.associate(net.serve(contexts=[META]), [META])
    assoc.abort()
    with pytest.raises(RuntimeError, match="established"):
        send(assoc, name)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_context_it_is_a_value_error(net: Network, name: str) -> None:
    assoc = net.associate(net.serve(contexts=[Verification]), [Verification])
    with pytest.raises(NoPresentationContext):
        send(assoc, name)
    assert assoc.is_established


# -- N-CREATE


def test_the_attribute_list_of_n_create(net: Network) -> None:
    seen: list[Dataset] = []

    def handle(event: evt.Event) -> tuple[int, Dataset]:
        seen.append(event.attribute_list)
        return 0x0000, dataset(PatientID="P2")

    status, answer = ask(net, "EVT_N_CREATE", handle)
    assert seen == [ATTRIBUTES]
    assert (status.Status, answer) == (0x0000, dataset(PatientID="P2"))


def create(net: Network, answer: Dataset | None) -> tuple[Dataset, Dataset | None]:
    """Have the peer make up the instance."""
    server = net.serve([(evt.EVT_N_CREATE, lambda event: (0x0000, answer))], [MPPS])
    assoc = net.associate(server, [MPPS])
    result: tuple[Dataset, Dataset | None] = assoc.send_n_create(ATTRIBUTES, MPPS)
    assert assoc.is_established
    return result


def test_n_create_without_an_instance_learns_the_one_that_was_made_up(net: Network) -> None:
    made = dataset(PatientID="P2")
    made.add_new(0x00001000, "UI", "1.2.3.5")
    status, answer = create(net, made)
    assert (status.Status, status.AffectedSOPInstanceUID) == (0x0000, "1.2.3.5")
    assert answer is not None
    assert answer.PatientID == "P2"
    assert 0x00001000 in made, "the handler's own data set is left alone"


def test_n_create_without_an_instance_takes_the_sop_instance_uid_too(net: Network) -> None:
    status, answer = create(net, dataset(SOPInstanceUID="1.2.3.6"))
    assert (status.Status, status.AffectedSOPInstanceUID) == (0x0000, "1.2.3.6")
    assert answer is not None
    assert answer.SOPInstanceUID == "1.2.3.6"


@pytest.mark.parametrize("answer", [None, dataset(PatientID="P2")])
def test_n_create_without_any_instance_is_a_processing_failure(net: Network, answer: Dataset | None) -> None:
    status, _ = create(net, answer)
    assert status.Status == 0x0110


def test_n_create_without_attributes(net: Network) -> None:
    seen: list[Any] = []

    def handle(event: evt.Event) -> tuple[int, None]:
        seen.append(event.attribute_list)
        return 0x0000, None

    assoc = net.associate(net.serve([(evt.EVT_N_CREATE, handle)], [MPPS]), [MPPS])
    assert assoc.send_n_create(None, MPPS, INSTANCE)[0].Status == 0x0000
    assert [len(attributes) for attributes in seen] == [0]


# -- N-GET


@pytest.mark.parametrize(
    "tags", [[Tag("PatientID"), Tag("PatientName")], [Tag("PatientID")], []], ids=["list", "one", "none"]
)
def test_the_attribute_identifiers_of_n_get(net: Network, tags: list[Any]) -> None:
    seen: list[Any] = []

    def handle(event: evt.Event) -> tuple[int, Dataset]:
        seen.append(event.attribute_identifiers)
        return 0x0000, ATTRIBUTES

    assoc = net.associate(net.serve([(evt.EVT_N_GET, handle)], [Printer]), [Printer])
    status, answer = assoc.send_n_get(tags, Printer, PrinterInstance)
    assert (status.Status, answer) == (0x0000, ATTRIBUTES)
    assert seen == [tags]


# -- N-ACTION


def test_type_information_and_reply_of_n_action(net: Network) -> None:
    seen: list[Any] = []

    def handle(event: evt.Event) -> tuple[int, Dataset]:
        seen.append((event.action_type, event.action_information))
        return 0x0000, dataset(PatientID="P2")

    assert ask(net, "EVT_N_ACTION", handle)[1] == dataset(PatientID="P2")
    assert seen == [(1, ATTRIBUTES)]


def test_n_action_without_information(net: Network) -> None:
    seen: list[Any] = []

    def handle(event: evt.Event) -> tuple[int, None]:
        seen.append((event.action_type, len(event.action_information)))
        return 0x0000, None

    server = net.serve([(evt.EVT_N_ACTION, handle)], [UnifiedProcedureStepPull])
    assoc = net.associate(server, [UnifiedProcedureStepPull])
    status, _ = assoc.send_n_action(None, 3, UnifiedProcedureStepPush, INSTANCE)
    assert status.Status == 0x0000
    assert seen == [(3, 0)]


# -- N-DELETE


def test_n_delete_answers_a_status_alone(net: Network) -> None:
    status, _ = ask(net, "EVT_N_DELETE", lambda event: dataset(Status=0x0112, ErrorComment="Not here"))
    assert isinstance(status, Dataset)
    assert (status.Status, status.ErrorComment) == (0x0112, "Not here")


# -- N-EVENT-REPORT to a requestor that does nothing


def test_an_idle_requestor_serves_events(net: Network) -> None:
    accepted: Queue[Any] = Queue()
    seen: list[Any] = []

    def handle(event: evt.Event, *args: Any) -> tuple[int, Dataset]:
        seen.append((event.event_type, event.event_information, event.assoc, args))
        return 0x0000, dataset(PatientID="P2")

    server = net.serve([(evt.EVT_ESTABLISHED, lambda event: accepted.put(event.assoc))], [PrintJob])
    assoc = net.associate(server, [PrintJob], [(evt.EVT_N_EVENT_REPORT, handle, ["x"])])
    peer = accepted.get(timeout=PATIENCE)
    for number in range(3):
        status, answer = peer.send_n_event_report(ATTRIBUTES, number, PrintJob, INSTANCE)
        assert (status.Status, answer) == (0x0000, dataset(PatientID="P2"))
    assert seen == [(number, ATTRIBUTES, assoc, ("x",)) for number in range(3)]
    assert assoc.is_established
    assoc.release()
    assert assoc.is_released


def test_an_idle_requestor_without_a_handler_answers_too(net: Network) -> None:
    accepted: Queue[Any] = Queue()
    notification = ModalityPerformedProcedureStepNotification
    server = net.serve([(evt.EVT_ESTABLISHED, lambda event: accepted.put(event.assoc))], [notification])
    net.associate(server, [notification])
    peer = accepted.get(timeout=PATIENCE)
    assert peer.send_n_event_report(None, 1, notification, INSTANCE)[0].Status == 0x0110
    assert peer.is_established


def test_an_idle_requestor_notices_release_and_abort(net: Network) -> None:
    accepted: Queue[Any] = Queue()
    ended: Queue[str] = Queue()
    server = net.serve([(evt.EVT_ESTABLISHED, lambda event: accepted.put(event.assoc))], [PrintJob])
    handlers = [
        (evt.EVT_RELEASED, lambda event: ended.put("released")),
        (evt.EVT_ABORTED, lambda event: ended.put("aborted")),
    ]
    first = net.associate(server, [PrintJob], handlers)
    accepted.get(timeout=PATIENCE).release()
    assert ended.get(timeout=PATIENCE) == "released"
    assert (first.is_released, first.is_established) == (True, False)
    second = net.associate(server, [PrintJob], handlers)
    accepted.get(timeout=PATIENCE).abort()
    assert ended.get(timeout=PATIENCE) == "aborted"
    assert (second.is_aborted, second.is_established) == (True, False)


def test_a_request_and_an_event_cross(net: Network) -> None:
    """Both sides wait for each other's answer and serve each other meanwhile."""
    accepted: Queue[Any] = Queue()
    served = [0, 0]

    def on_get(event: evt.Event) -> tuple[int, None]:
        served[0] += 1
        return 0x0000, None

    def on_event(event: evt.Event) -> tuple[int, None]:
        served[1] += 1
        return 0x0000, None

    server = net.serve(
        [(evt.EVT_N_GET, on_get), (evt.EVT_ESTABLISHED, lambda event: accepted.put(event.assoc))], [PrintJob]
    )
    assoc = net.associate(server, [PrintJob], [(evt.EVT_N_EVENT_REPORT, on_event)])
    peer = accepted.get(timeout=PATIENCE)
    statuses: list[Any] = []

    def report() -> None:
        for number in range(50):
            status, _ = peer.send_n_event_report(None, 1, PrintJob, INSTANCE, msg_id=number)
            statuses.append(status.get("Status"))

    reporter = threading.Thread(target=report)
    reporter.start()
    for number in range(50):
        status, _ = assoc.send_n_get([], PrintJob, INSTANCE, msg_id=number)
        statuses.append(status.get("Status"))
    reporter.join(PATIENCE)
    assert not reporter.is_alive()
    assert statuses == [0x0000] * 100
    assert served == [50, 50]


# -- Storage commitment (PS3.4 Annex J)


def commitment() -> Dataset:
    item = dataset(ReferencedSOPClassUID=UID("1.2.840.10008.5.1.4.1.1.2"), ReferencedSOPInstanceUID=INSTANCE)
    return dataset(TransactionUID=generate_uid(), ReferencedSOPSequence=[item])


def test_commitment_from_another_thread_on_the_same_association(net: Network) -> None:
    request = commitment()
    reports: Queue[tuple[int, Dataset]] = Queue()
    answers: Queue[int] = Queue()

    def report(assoc: Any, information: Dataset) -> None:
        status, _ = assoc.send_n_event_report(information, 1, COMMITMENT, COMMITTER)
        answers.put(status.Status)

    def on_action(event: evt.Event) -> tuple[int, None]:
        threading.Thread(target=report, args=(event.assoc, event.action_information)).start()
        return 0x0000, None

    def on_report(event: evt.Event) -> tuple[int, None]:
        reports.put((event.event_type, event.event_information))
        return 0x0000, None

    server = net.serve([(evt.EVT_N_ACTION, on_action)], [COMMITMENT])
    assoc = net.associate(server, [COMMITMENT], [(evt.EVT_N_EVENT_REPORT, on_report)])
    status, _ = assoc.send_n_action(request, 1, COMMITMENT, COMMITTER)
    assert status.Status == 0x0000
    assert reports.get(timeout=PATIENCE) == (1, request)
    assert answers.get(timeout=PATIENCE) == 0x0000
    assoc.release()
    assert assoc.is_released


def test_commitment_from_within_the_handler(net: Network) -> None:
    request = commitment()
    order: list[Any] = []

    def on_action(event: evt.Event) -> tuple[int, None]:
        status, _ = event.assoc.send_n_event_report(event.action_information, 1, COMMITMENT, COMMITTER)
        order.append(status.Status)
        return 0x0000, None

    def on_report(event: evt.Event) -> tuple[int, None]:
        order.append(event.event_information)
        return 0x0000, None

    server = net.serve([(evt.EVT_N_ACTION, on_action)], [COMMITMENT])
    assoc = net.associate(server, [COMMITMENT], [(evt.EVT_N_EVENT_REPORT, on_report)])
    status, _ = assoc.send_n_action(request, 1, COMMITMENT, COMMITTER)
    assert status.Status == 0x0000
    assert order == [request, 0x0000]


def test_commitment_on_a_new_association_in_the_other_role(net: Network) -> None:
    """The SCP comes back as association requestor and says with role selection that it is the SCP."""
    request = commitment()
    reports: list[Any] = []

    def on_report(event: evt.Event) -> tuple[int, None]:
        reports.append((event.event_type, event.event_information, event.assoc.requestor.ae_title))
        return 0x0000, None

    ae = net.ae("SCU")
    ae.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)
    listener = net.serve([(evt.EVT_N_EVENT_REPORT, on_report)], ae=ae)
    role = build_role(COMMITMENT, scp_role=True)
    assoc = net.associate(listener, [COMMITMENT], ext_neg=[role], ae=net.ae("SCP"))
    (context,) = assoc.accepted_contexts
    assert (context.as_scu, context.as_scp) == (False, True)
    status, _ = assoc.send_n_event_report(request, 1, COMMITMENT, COMMITTER)
    assert status.Status == 0x0000
    assert reports == [(1, request, "SCP")]
    with pytest.raises(ValueError, match="SCU"):
        assoc.send_n_action(request, 1, COMMITMENT, COMMITTER)


def test_a_report_of_a_requestor_without_role_selection(
    net: Network, caplog: pytest.LogCaptureFixture
) -> None:
    """It is sent, as programs count on, and a warning says what is missing; not by a strict entity."""
    information = commitment()
    reports: list[Any] = []

    def on_report(event: evt.Event) -> tuple[int, None]:
        reports.append((event.event_type, event.event_information))
        return 0x0000, None

    server = net.serve([(evt.EVT_N_EVENT_REPORT, on_report)], contexts=[COMMITMENT])
    assoc = net.associate(server, [COMMITMENT])
    with caplog.at_level("WARNING", "dulcimer.service"):
        status, reply = assoc.send_n_event_report(information, 1, COMMITMENT, COMMITTER)
    assert (status.Status, reply) == (0x0000, Dataset())
    assert (status.AffectedSOPClassUID, status.AffectedSOPInstanceUID) == (COMMITMENT, COMMITTER)
    assert status.EventTypeID == 1
    assert reports == [(1, information)]
    assert "build_role" in caplog.text
    with pytest.raises(ValueError, match="was not proposed"):
        assoc.send_n_event_report(None, 1, PrintJob, INSTANCE)

    strict = net.ae("STRICT")
    strict.strict = True
    assoc = net.associate(server, [COMMITMENT], ae=strict)
    with pytest.raises(ValueError, match="build_role"):
        assoc.send_n_event_report(commitment(), 1, COMMITMENT, COMMITTER)
    assert assoc.is_established
    assert len(reports) == 1


# -- Unified Procedure Step: commands name the Push class (PS3.4 CC.3.1)


def test_ups_events_and_gets_name_the_push_class(net: Network) -> None:
    seen: list[Any] = []

    def on_get(event: evt.Event) -> tuple[int, None]:
        seen.append((event.context.abstract_syntax, event.request.RequestedSOPClassUID))
        return 0x0000, None

    context = build_context(UnifiedProcedureStepPull, EXPLICIT)
    assoc = net.associate(net.serve([(evt.EVT_N_GET, on_get)], [context]), [context])
    assert assoc.send_n_get([], UnifiedProcedureStepPull, INSTANCE)[0].Status == 0x0000
    assert seen == [(UnifiedProcedureStepPull, UnifiedProcedureStepPush)]


# -- The same with pynetdicom at the other end


@pytest.mark.interop
def test_commitment_with_pynetdicom_as_scu(net: Network) -> None:
    pynetdicom = pytest.importorskip("pynetdicom")
    request = commitment()
    reports: list[Any] = []

    def report(assoc: Any, information: Dataset) -> None:
        assoc.send_n_event_report(information, 1, COMMITMENT, COMMITTER)

    def on_action(event: evt.Event) -> tuple[int, None]:
        threading.Thread(target=report, args=(event.assoc, event.action_information)).start()
        return 0x0000, None

    def on_report(event: Any) -> tuple[int, None]:
        reports.append(event.event_information)
        return 0x0000, None

    server = net.serve([(evt.EVT_N_ACTION, on_action)], [COMMITMENT])
    peer = pynetdicom.AE()
    peer.add_requested_context(COMMITMENT)
    handlers = [(pynetdicom.evt.EVT_N_EVENT_REPORT, on_report)]
    assoc = peer.associate(*server.server_address, evt_handlers=handlers)
    try:
        assert assoc.send_n_action(request, 1, COMMITMENT, COMMITTER)[0].Status == 0x0000
        assert eventually(lambda: reports == [request])
    finally:
        assoc.release()
