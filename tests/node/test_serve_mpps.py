"""Performed procedure steps over the network: PS3.4 Annex F against ``dulcimer serve``."""

from __future__ import annotations

import json
import random
from threading import Barrier, Thread
from typing import TYPE_CHECKING

import pytest
from pydicom.dataset import Dataset

from dulcimer import AE, Association
from node import rawpeer
from node.objects import (
    MPPS,
    MPPS_RETRIEVE,
    PATIENT_NAME,
    SECONDARY_CAPTURE,
    completion,
    instance,
    new_step,
)
from node.rawpeer import RawPeer
from node.served import Served, run

if TYPE_CHECKING:
    from collections.abc import Iterator

SUCCESS = 0x0000
NO_LONGER_UPDATED = "Performed Procedure Step Object may no longer be updated"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("mpps") / "data") as served:
        yield served


@pytest.fixture
def association(node: Served) -> Iterator[Association]:
    made = associate(node)
    yield made
    # Whatever was refused, the association lives on.
    assert made.is_established
    made.release()
    assert made.is_released


def associate(node: Served) -> Association:
    ae = AE("CT1")
    ae.add_requested_context(MPPS)
    ae.add_requested_context(MPPS_RETRIEVE)
    association = ae.associate(*node.address)
    assert association.is_established
    return association


@pytest.fixture
def uid() -> str:
    return f"2.25.{random.getrandbits(120)}"


def create(association: Association, uid: str) -> None:
    status, _ = association.send_n_create(new_step(), MPPS, uid)
    assert status.Status == SUCCESS


def get(association: Association, uid: str) -> Dataset:
    status, found = association.send_n_get([], MPPS_RETRIEVE, uid)
    assert status.Status == SUCCESS
    assert found is not None
    return found


def test_from_created_to_completed(association: Association, uid: str) -> None:
    create(association, uid)
    assert get(association, uid).PerformedProcedureStepStatus == "IN PROGRESS"

    change = Dataset()
    change.PerformedProcedureStepDescription = "Head without contrast"
    status, _ = association.send_n_set(change, MPPS, uid)
    assert status.Status == SUCCESS
    found = get(association, uid)
    assert found.PerformedProcedureStepDescription == "Head without contrast"
    assert found.PerformedProcedureStepStatus == "IN PROGRESS"

    status, _ = association.send_n_set(completion(), MPPS, uid)
    assert status.Status == SUCCESS
    found = get(association, uid)
    assert found.PerformedProcedureStepStatus == "COMPLETED"
    assert found.PerformedProcedureStepDescription == "Head without contrast"
    assert found.PatientName == PATIENT_NAME
    ((reference,),) = [item.ReferencedImageSequence for item in found.PerformedSeriesSequence]
    assert reference.ReferencedSOPInstanceUID == "2.25.100.1.1"


@pytest.mark.parametrize("final", ["COMPLETED", "DISCONTINUED"])
@pytest.mark.parametrize("then", ["COMPLETED", "DISCONTINUED", "IN PROGRESS", None])
def test_what_has_ended_is_not_changed(
    association: Association, uid: str, node: Served, final: str, then: str | None
) -> None:
    create(association, uid)
    assert association.send_n_set(completion(final), MPPS, uid)[0].Status == SUCCESS
    before = get(association, uid)

    change = completion(then) if then else Dataset()
    change.PerformedProcedureStepDescription = "too late"
    status, _ = association.send_n_set(change, MPPS, uid)
    # Table F.7.2-2
    assert status.Status == 0x0110
    assert status.ErrorID == 0xA710
    assert status.ErrorComment == NO_LONGER_UPDATED
    assert get(association, uid) == before
    (line,) = node.log_lines(having=f"N-SET of {uid} failed with 0110")
    assert NO_LONGER_UPDATED in line


@pytest.mark.parametrize("state", ["COMPLETED", "DISCONTINUED", "SCHEDULED"])
def test_a_step_begins_in_progress(association: Association, uid: str, state: str) -> None:
    step = new_step()
    step.PerformedProcedureStepStatus = state
    status, values = association.send_n_create(step, MPPS, uid)
    assert status.Status == 0x0106
    # "with an Attribute List": the offending value comes back (F.7.2.1.2).
    assert values is not None
    assert values.PerformedProcedureStepStatus == state
    assert association.send_n_get([], MPPS_RETRIEVE, uid)[0].Status == 0x0112


def test_a_state_that_does_not_exist(association: Association, uid: str) -> None:
    create(association, uid)
    change = Dataset()
    change.PerformedProcedureStepStatus = "ABANDONED"
    assert association.send_n_set(change, MPPS, uid)[0].Status == 0x0106
    assert get(association, uid).PerformedProcedureStepStatus == "IN PROGRESS"


def test_the_same_step_twice(association: Association, uid: str) -> None:
    create(association, uid)
    other = new_step()
    other.PerformedProcedureStepID = "other"
    status, _ = association.send_n_create(other, MPPS, uid)
    assert status.Status == 0x0111
    assert get(association, uid).PerformedProcedureStepID == "S1"


def test_a_step_that_was_never_created(association: Association, uid: str) -> None:
    assert association.send_n_set(completion(), MPPS, uid)[0].Status == 0x0112
    assert association.send_n_get([], MPPS_RETRIEVE, uid)[0].Status == 0x0112


@pytest.mark.parametrize("keyword", ["PerformedStationAETitle", "Modality", "PerformedProcedureStepID"])
def test_what_has_to_be_there_is_named_when_it_is_not(
    association: Association, uid: str, keyword: str
) -> None:
    step = new_step()
    tag = step[keyword].tag
    del step[keyword]
    status, _ = association.send_n_create(step, MPPS, uid)
    assert status.Status == 0x0120
    assert status.AttributeIdentifierList == tag


def test_a_final_state_that_is_incomplete_is_refused_and_can_be_mended(
    association: Association, uid: str
) -> None:
    create(association, uid)
    change = completion()
    change.PerformedSeriesSequence = []
    status, _ = association.send_n_set(change, MPPS, uid)
    assert status.Status in {0x0120, 0x0121}
    assert get(association, uid).PerformedProcedureStepStatus == "IN PROGRESS"
    assert association.send_n_set(completion(), MPPS, uid)[0].Status == SUCCESS


def test_what_may_not_be_set(association: Association, uid: str) -> None:
    create(association, uid)
    change = Dataset()
    change.PatientID = "somebody else"
    status, _ = association.send_n_set(change, MPPS, uid)
    assert status.Status == 0x0105
    assert status.AttributeIdentifierList == 0x00100020
    assert get(association, uid).PatientID == new_step().PatientID


def test_some_attributes_only(association: Association, uid: str) -> None:
    create(association, uid)
    tags = [0x00400252, 0x00400253]
    status, found = association.send_n_get(tags, MPPS_RETRIEVE, uid)
    assert status.Status == SUCCESS
    assert found is not None
    assert [int(element.tag) for element in found] == tags


def test_an_attribute_that_no_step_has(association: Association, uid: str) -> None:
    create(association, uid)
    tags = [0x00400252, 0x00280010]
    status, found = association.send_n_get(tags, MPPS_RETRIEVE, uid)
    assert status.Status == 0x0001
    assert found is not None
    assert "PerformedProcedureStepStatus" in found


def test_a_peer_that_lets_the_node_choose_the_uid_is_told(association: Association) -> None:
    """PS3.4 F.7.2.1.2 wants the SCU to name the instance; refusing says what is wrong."""
    status, _ = association.send_n_create(new_step(), MPPS, None)
    assert status.Status != SUCCESS


def test_names_in_other_alphabets(association: Association, uid: str) -> None:
    step = new_step()
    step.SpecificCharacterSet = "ISO_IR 192"
    step.PatientName = "Ωμέγα^Ζωή"
    assert association.send_n_create(step, MPPS, uid)[0].Status == SUCCESS
    assert association.send_n_set(completion(), MPPS, uid)[0].Status == SUCCESS
    assert get(association, uid).PatientName == "Ωμέγα^Ζωή"


def test_of_two_that_complete_a_step_at_once_one_succeeds(node: Served, uid: str) -> None:
    associations = [associate(node) for _ in range(4)]
    create(associations[0], uid)
    barrier = Barrier(len(associations))
    seen: list[int] = []

    def complete(one: Association) -> None:
        barrier.wait(10)
        seen.append(one.send_n_set(completion(), MPPS, uid)[0].Status)

    threads = [Thread(target=complete, args=(one,)) for one in associations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    for one in associations:
        one.release()
    assert sorted(seen) == [SUCCESS, 0x0110, 0x0110, 0x0110]


def test_what_the_log_says_of_steps(association: Association, uid: str, node: Served) -> None:
    create(association, uid)
    association.send_n_set(completion(), MPPS, uid)
    created, done = node.log_lines(having=f"step {uid}")
    assert created.endswith("IN PROGRESS, created by CT1")
    assert done.endswith("COMPLETED, set by CT1")
    assert not any(part in node.log for part in PATIENT_NAME.split("^"))


@pytest.mark.parametrize(("level", "status"), [("strict", 0x0120), ("standard", 0), ("lenient", 0)])
def test_how_strict_a_node_is(level: str, status: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A modality that leaves out a type 2 attribute."""
    step = new_step()
    del step.PatientSex
    folder = tmp_path_factory.mktemp(level)
    with Served(folder / "data", "--mpps-level", level, "--durability", "off") as node:
        association = associate(node)
        assert association.send_n_create(step, MPPS, "2.25.5")[0].Status == status
        association.release()


@pytest.mark.parametrize("image_first", [True, False])
def test_2_3_images_are_linked_to_the_step_that_names_them(
    association: Association, node: Served, uid: str, image_first: bool
) -> None:
    received, missing = f"{uid}1"[:64], f"{uid}2"[:64]

    def store() -> None:
        with RawPeer(node.address) as peer:
            peer.associate((SECONDARY_CAPTURE, [rawpeer.EXPLICIT]))
            data = instance(received)
            assert peer.store(1, SECONDARY_CAPTURE, received, data)[rawpeer.STATUS] == SUCCESS
            peer.release()

    create(association, uid)
    if image_first:
        store()
    change = completion()
    change.PerformedSeriesSequence[0].ReferencedImageSequence = [Dataset(), Dataset()]
    for reference, named in zip(
        change.PerformedSeriesSequence[0].ReferencedImageSequence, (received, missing), strict=True
    ):
        reference.ReferencedSOPClassUID = SECONDARY_CAPTURE
        reference.ReferencedSOPInstanceUID = named
    assert association.send_n_set(change, MPPS, uid)[0].Status == SUCCESS
    if not image_first:
        store()
    listed = json.loads(run("list", "steps", "--json", "--data", str(node.data)).out)
    (step,) = (each for each in listed if each["sop_instance_uid"] == uid)
    assert (step["status"], step["named"], step["received"]) == ("COMPLETED", 2, 1)
