"""Sections 1.1, 1.4 and 1.5 of the rules of N-SET: what travels (PS3.7 10.1.3, 10.3.3, Annex C)."""

from __future__ import annotations

from queue import Queue
from typing import TYPE_CHECKING, Any

import pytest
from pydicom.dataset import Dataset

from dulcimer import AE, build_role, evt
from dulcimer.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dulcimer import Association

MPPS = "1.2.840.10008.3.1.2.3.3"
FILM_SESSION = "1.2.840.10008.5.1.1.1"
GRAYSCALE = "1.2.840.10008.5.1.1.9"
COMMITMENT = "1.2.840.10008.1.20.1"
UID = "2.25.1"
SECONDS = 10.0


class Pair:
    """An SCP that answers what the test wants, and an SCU."""

    def __init__(self) -> None:
        self.answer: Any = (0x0000, None)
        self.seen: Queue[Any] = Queue()
        ae = AE("SCP")
        for uid in (MPPS, GRAYSCALE, COMMITMENT):
            ae.add_supported_context(uid, scu_role=True, scp_role=True)
        events = (evt.EVT_N_SET, evt.EVT_N_CREATE, evt.EVT_N_ACTION, evt.EVT_N_DELETE, evt.EVT_N_GET)
        self.server = ae.start_server(
            ("127.0.0.1", 0),
            block=False,
            evt_handlers=[
                *((event, self.handle) for event in events),
                (evt.EVT_DIMSE_RECV, lambda event: self.seen.put(event.message)),
                (evt.EVT_DIMSE_SENT, lambda event: self.seen.put(event.message)),
            ],
        )
        self.association = self.associate()

    def associate(self, *roles: Any) -> Association:
        ae = AE("SCU")
        for uid in (MPPS, GRAYSCALE, COMMITMENT):
            ae.add_requested_context(uid)
        made = ae.associate("127.0.0.1", self.server.server_address[1], ext_neg=list(roles))
        assert made.is_established
        return made

    def handle(self, event: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def messages(self) -> tuple[Dataset, Dataset]:
        """The command sets of the request and the response."""
        request, response = (self.seen.get(timeout=SECONDS) for _ in range(2))
        return request.command_set, response.command_set


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.association.release()
    made.server.shutdown()


def change() -> Dataset:
    ds = Dataset()
    ds.PerformedProcedureStepDescription = "Head"
    return ds


def keywords(command: Dataset) -> set[str]:
    return {element.keyword for element in command if element.tag != 0x00000000}


def test_1_1_the_fields_of_both_messages(pair: Pair) -> None:
    assert pair.association.send_n_set(change(), MPPS, UID)[0].Status == 0x0000
    request, response = pair.messages()
    assert keywords(request) == {
        "RequestedSOPClassUID",
        "RequestedSOPInstanceUID",
        "CommandField",
        "MessageID",
        "CommandDataSetType",
    }
    assert (request.CommandField, request.RequestedSOPClassUID) == (0x0120, MPPS)
    assert request.CommandDataSetType != 0x0101
    assert {"MessageIDBeingRespondedTo", "Status", "CommandField"} <= keywords(response)
    assert not {"RequestedSOPClassUID", "RequestedSOPInstanceUID", "MessageID"} & keywords(response)
    assert (response.CommandField, response.MessageIDBeingRespondedTo) == (0x8120, request.MessageID)
    assert (response.AffectedSOPClassUID, response.AffectedSOPInstanceUID) == (MPPS, UID)
    assert response.CommandDataSetType == 0x0101


def test_1_1_the_attribute_list_of_the_response(pair: Pair) -> None:
    pair.answer = (0x0000, change())
    status, values = pair.association.send_n_set(change(), MPPS, UID)
    assert (status.Status, values) == (0x0000, change())


def test_1_1_the_class_of_the_command_need_not_be_that_of_the_context(pair: Pair) -> None:
    association = pair.association
    assert association.send_n_set(change(), FILM_SESSION, UID, meta_uid=GRAYSCALE)[0].Status == 0x0000
    request, _ = pair.messages()
    assert request.RequestedSOPClassUID == FILM_SESSION


@pytest.mark.parametrize("status", [0x0107, 0x0116])
def test_1_2_a_warning_comes_with_what_was_not_set(pair: Pair, status: int) -> None:
    said = Dataset()
    said.Status = status
    said.AttributeIdentifierList = [0x00400254]
    pair.answer = (said, change())
    answer, values = pair.association.send_n_set(change(), MPPS, UID)
    assert (answer.Status, answer.AttributeIdentifierList, values) == (status, 0x00400254, change())


@pytest.mark.parametrize("status", [0x0105, 0x0120])
def test_1_4_tags_at_fault(pair: Pair, status: int) -> None:
    pair.answer = Refused(status, "Tags", attributes=(0x00400254, 0x00400255))
    answer, values = pair.association.send_n_set(change(), MPPS, UID)
    assert answer.Status == status
    assert list(answer.AttributeIdentifierList) == [0x00400254, 0x00400255]
    assert values is None


@pytest.mark.parametrize("status", [0x0106, 0x0121])
def test_1_4_values_at_fault(pair: Pair, status: int) -> None:
    pair.answer = Refused(status, "Values", values=change())
    answer, values = pair.association.send_n_set(change(), MPPS, UID)
    assert (answer.Status, values) == (status, change())


@pytest.mark.parametrize(
    "status",
    [0x0110, 0x0112, 0x0117, 0x0118, 0x0119, 0x0124, 0x0210, 0x0211, 0x0212, 0x0213, 0xC301, 0xA700],
)
def test_1_4_other_failures_with_what_goes_with_them(pair: Pair, status: int) -> None:
    pair.answer = Refused(status, "Because", error_id=0xA710, offending=(0x00400252,))
    answer, values = pair.association.send_n_set(change(), MPPS, UID)
    assert (answer.Status, answer.ErrorComment, answer.ErrorID) == (status, "Because", 0xA710)
    assert answer.OffendingElement == 0x00400252
    assert values is None
    assert pair.association.is_established


def test_1_5_a_created_instance_has_a_uid_in_the_response(pair: Pair) -> None:
    assigned = change()
    assigned.AffectedSOPInstanceUID = "2.25.77"
    pair.answer = (0x0000, assigned)
    status, _ = pair.association.send_n_create(change(), MPPS)
    assert (status.Status, status.AffectedSOPInstanceUID) == (0x0000, "2.25.77")
    request, response = pair.messages()
    assert "AffectedSOPInstanceUID" not in request
    assert response.AffectedSOPInstanceUID == "2.25.77"


def test_1_5_get_has_no_data_set_in_the_request(pair: Pair) -> None:
    pair.answer = (0x0000, change())
    _, values = pair.association.send_n_get([0x00400254], MPPS, UID)
    assert values == change()
    request, _ = pair.messages()
    assert request.CommandDataSetType == 0x0101
    assert request.AttributeIdentifierList == 0x00400254


def test_1_5_an_action_reply_comes_with_the_action_type(pair: Pair) -> None:
    pair.answer = (0x0000, change())
    status, reply = pair.association.send_n_action(change(), 1, COMMITMENT, UID)
    assert (status.Status, reply) == (0x0000, change())
    _, response = pair.messages()
    assert response.ActionTypeID == 1


def test_1_5_delete_has_no_data_set_either_way(pair: Pair) -> None:
    pair.answer = 0x0000
    assert pair.association.send_n_delete(FILM_SESSION, UID, meta_uid=GRAYSCALE).Status == 0x0000
    assert [command.CommandDataSetType for command in pair.messages()] == [0x0101, 0x0101]


def test_1_5_reports_go_from_the_scp_to_the_scu(pair: Pair) -> None:
    reversed_roles = pair.associate(build_role(COMMITMENT, scp_role=True))
    (context,) = (each for each in reversed_roles.accepted_contexts if each.abstract_syntax == COMMITMENT)
    assert (context.as_scu, context.as_scp) == (False, True)
    reversed_roles.release()
