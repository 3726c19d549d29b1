"""The six DIMSE-N services with each element absent that a peer may leave out (PS3.7 10.1).

A request is answered, never aborted; what an answer may have, ours has. As SCU we take answers that have
nothing but what cannot be done without.
"""

from __future__ import annotations

from collections.abc import Iterator
from queue import Queue
from threading import Thread
from typing import Any, NamedTuple

import pytest
from pydicom.dataset import Dataset

from api.peers import IMPLICIT, PATIENCE, Network, RawPeer
from dulcimer import build_context, evt
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m

MPPS = "1.2.840.10008.3.1.2.3.3"
FILM_SESSION = "1.2.840.10008.5.1.1.1"
PRINTER = "1.2.840.10008.5.1.1.16"
COMMITMENT = "1.2.840.10008.1.20.1"
INSTANCE = "1.2.3.4"
DATA = b"\x10\x00\x20\x00\x02\x00\x00\x00AB"
CLASS, UID = e.AFFECTED_SOP_CLASS_UID, e.AFFECTED_SOP_INSTANCE_UID
ASKED_CLASS, ASKED_UID = e.REQUESTED_SOP_CLASS_UID, e.REQUESTED_SOP_INSTANCE_UID


class Service(NamedTuple):
    """A request with all of its elements, and the statuses where one cannot be done without."""

    context: str
    event: Any
    field: int
    elements: dict[int, Any]
    data: bool
    needed: dict[Any, int]


def requested(context: str) -> dict[int, Any]:
    return {ASKED_CLASS: context, ASKED_UID: INSTANCE}


def affected(context: str) -> dict[int, Any]:
    return {CLASS: context, UID: INSTANCE}


SERVICES = {
    "N-EVENT-REPORT": Service(
        COMMITMENT,
        evt.EVT_N_EVENT_REPORT,
        m.N_EVENT_REPORT_RQ,
        {**affected(COMMITMENT), e.EVENT_TYPE_ID: 1},
        True,
        {UID: 0x0117, e.EVENT_TYPE_ID: 0x0113},
    ),
    "N-GET": Service(
        PRINTER,
        evt.EVT_N_GET,
        m.N_GET_RQ,
        {**requested(PRINTER), e.ATTRIBUTE_IDENTIFIER_LIST: (0x00100020,)},
        False,
        {ASKED_UID: 0x0117},
    ),
    "N-SET": Service(
        MPPS, evt.EVT_N_SET, m.N_SET_RQ, requested(MPPS), True, {ASKED_UID: 0x0117, "data": 0x0212}
    ),
    "N-ACTION": Service(
        COMMITMENT,
        evt.EVT_N_ACTION,
        m.N_ACTION_RQ,
        {**requested(COMMITMENT), e.ACTION_TYPE_ID: 1},
        True,
        {ASKED_UID: 0x0117, e.ACTION_TYPE_ID: 0x0123},
    ),
    "N-CREATE": Service(MPPS, evt.EVT_N_CREATE, m.N_CREATE_RQ, affected(MPPS), True, {}),
    "N-DELETE": Service(
        FILM_SESSION, evt.EVT_N_DELETE, m.N_DELETE_RQ, requested(FILM_SESSION), False, {ASKED_UID: 0x0117}
    ),
}


def cases() -> Iterator[Any]:
    for name, service in SERVICES.items():
        absent: list[Any] = [None, *service.elements, *(["data"] if service.data else [])]
        for each in absent:
            label = "nothing" if each is None else each if each == "data" else e.ELEMENTS[each].keyword
            yield pytest.param(name, each, id=f"{name}-{label}")


def answered(service: Service, calls: Queue[Any]) -> Any:
    """Return a handler that reads everything that a handler may read of such a request."""

    def handler(event: evt.Event) -> Any:
        seen: dict[str, Any] = {}
        names = {
            m.N_EVENT_REPORT_RQ: ("event_type", "event_information"),
            m.N_GET_RQ: ("attribute_identifiers",),
            m.N_SET_RQ: ("modification_list",),
            m.N_ACTION_RQ: ("action_type", "action_information"),
            m.N_CREATE_RQ: ("attribute_list",),
            m.N_DELETE_RQ: (),
        }[service.field]
        seen.update({name: getattr(event, name) for name in names})
        calls.put(seen)
        if service.field == m.N_DELETE_RQ:
            return 0x0000
        reply = Dataset()
        reply.PatientID = "AB"
        if service.field == m.N_CREATE_RQ and event.request.AffectedSOPInstanceUID is None:
            reply.AffectedSOPInstanceUID = "1.2.3.5"
        return 0x0000, reply

    return handler


@pytest.mark.parametrize(("name", "absent"), list(cases()))
def test_a_request_without_an_element(net: Network, name: str, absent: Any) -> None:
    service = SERVICES[name]
    calls: Queue[Any] = Queue()
    server = net.serve([(service.event, answered(service, calls))], [service.context])
    peer: RawPeer = net.connect(server)
    peer.request(service.context)
    command = {e.COMMAND_FIELD: service.field, e.MESSAGE_ID: 7, **service.elements}
    command.pop(absent, None)
    peer.send_message(command, DATA if service.data and absent != "data" else None)
    response, data = peer.read_message()
    assert response[e.STATUS] == service.needed.get(absent, 0x0000)
    assert response[e.MESSAGE_ID_BEING_RESPONDED_TO] == 7
    # What a response may have, ours has, as far as it is known.
    assert response[CLASS] == service.context
    if absent in (UID, ASKED_UID):
        assert response.get(UID) == ("1.2.3.5" if name == "N-CREATE" else None)
    else:
        assert response[UID] == INSTANCE
    for number in (e.EVENT_TYPE_ID, e.ACTION_TYPE_ID):
        if number in service.elements and absent != number:
            assert response[number] == 1
    if absent in service.needed:
        assert calls.empty()
        assert response[e.ERROR_COMMENT]
    else:
        seen = calls.get(timeout=PATIENCE)
        assert (data is not None) is (name != "N-DELETE")
        if absent == e.ATTRIBUTE_IDENTIFIER_LIST:
            assert seen["attribute_identifiers"] == []
        elif name == "N-GET":
            assert seen["attribute_identifiers"] == [0x00100020]
        for value in seen.values():
            if isinstance(value, Dataset):
                assert len(value) == (0 if absent == "data" else 1)
    # The association lives on.
    peer.send_message(
        {e.COMMAND_FIELD: service.field, e.MESSAGE_ID: 8, **service.elements}, DATA if service.data else None
    )
    assert peer.read_message()[0][e.STATUS] == 0x0000


REPLY: dict[str, list[Any]] = {
    "N-EVENT-REPORT": [CLASS, UID, e.EVENT_TYPE_ID, "data"],
    "N-GET": [CLASS, UID, "data"],
    "N-SET": [CLASS, UID, "data"],
    "N-ACTION": [CLASS, UID, e.ACTION_TYPE_ID, "data"],
    "N-CREATE": [CLASS, UID, "data"],
    "N-DELETE": [CLASS, UID],
}


def responses() -> Iterator[Any]:
    for name, optional in REPLY.items():
        for absent in ([], *([each] for each in optional), optional):
            labels = [each if each == "data" else e.ELEMENTS[each].keyword for each in absent]
            yield pytest.param(name, absent, id=f"{name}-{'+'.join(labels) or 'nothing'}")


def call(assoc: Any, name: str, context: str, change: Dataset | None = None) -> Any:
    if change is None:
        change = Dataset()
        change.PatientID = "AB"
    match name:
        case "N-EVENT-REPORT":
            return assoc.send_n_event_report(change, 1, context, INSTANCE)
        case "N-GET":
            return assoc.send_n_get([0x00100020], context, INSTANCE)
        case "N-SET":
            return assoc.send_n_set(change, context, INSTANCE)
        case "N-ACTION":
            return assoc.send_n_action(change, 1, context, INSTANCE)
        case "N-CREATE":
            return assoc.send_n_create(change, context, INSTANCE)
    return assoc.send_n_delete(context, INSTANCE), None


@pytest.mark.parametrize(("name", "absent"), list(responses()))
def test_a_response_without_elements(net: Network, name: str, absent: list[Any]) -> None:
    service = SERVICES[name]
    sent: Queue[Any] = Queue()

    def respond(peer: RawPeer) -> None:
        command, _ = peer.read_message()
        sent.put(command)
        response: dict[int, Any] = {
            CLASS: service.context,
            e.COMMAND_FIELD: service.field | 0x8000,
            e.MESSAGE_ID_BEING_RESPONDED_TO: command[e.MESSAGE_ID],
            e.STATUS: 0,
            UID: INSTANCE,
        }
        for number in (e.EVENT_TYPE_ID, e.ACTION_TYPE_ID):
            if number in service.elements:
                response[number] = 1
        for number in absent:
            response.pop(number, None)
        peer.send_message(response, None if "data" in absent or name == "N-DELETE" else DATA)

    def script(peer: RawPeer) -> None:
        peer.accept()
        respond(peer)
        # Until the association is aborted at the end of the test.
        peer.read_pdu()

    if name == "N-EVENT-REPORT":
        # The SCP reports: that is the acceptor, and the scripted peer the requestor.
        assocs: Queue[Any] = Queue()
        server = net.serve([(evt.EVT_ESTABLISHED, lambda event: assocs.put(event.assoc))], [service.context])
        peer = net.connect(server)
        peer.request(service.context)
        assoc = assocs.get(timeout=PATIENCE)
        thread = Thread(target=respond, args=(peer,))
        thread.start()
        status, reply = call(assoc, name, service.context)
        thread.join(PATIENCE)
    else:
        proposed = [build_context(service.context, IMPLICIT)]
        assoc = net.ae().associate("127.0.0.1", net.listen(script), contexts=proposed)
        status, reply = call(assoc, name, service.context)
    assert status.Status == 0x0000
    if name != "N-DELETE":
        assert reply.get("PatientID") == (None if "data" in absent else "AB")
    # What a request may have, ours has.
    command = sent.get(timeout=PATIENCE)
    assert {number: command[number] for number in service.elements} == service.elements
    assert assoc.is_established


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if service.data])
def test_what_cannot_be_encoded_is_named(net: Network, name: str) -> None:
    service = SERVICES[name]
    assocs: Queue[Any] = Queue()
    handlers = [
        (evt.EVT_ESTABLISHED, lambda event: assocs.put(event.assoc)),
        (service.event, lambda event: (0x0000, None)),
    ]
    server = net.serve(handlers, [service.context])
    client = net.associate(server, [service.context], handlers[1:])
    assoc = assocs.get(timeout=PATIENCE) if name == "N-EVENT-REPORT" else client
    wrong = Dataset()
    wrong.add_new(0x00280010, "US", "not a number")
    with pytest.raises(ValueError, match=r"0028, ?0010"):
        call(assoc, name, service.context, wrong)
    # Nothing was sent, and the association lives on.
    assert call(assoc, name, service.context)[0].Status == 0x0000
