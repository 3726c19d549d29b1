"""RT machine verification as SCP, over loopback: section 5 of the rules with its codes and events."""

from __future__ import annotations

from queue import Queue
from typing import TYPE_CHECKING, Any

import pytest
from pydicom.dataset import Dataset

from dulcimer import evt
from dulcimer.scp.repository import MemoryRepository
from dulcimer.scp.rt_machine_verification import RTMachineVerificationService
from dulcimer.services import rt_machine_verification as rules
from support import rt_plans as rt
from support.services import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 20.0
PLANS = {rt.PLAN_UID: rt.plan(), rt.ION_PLAN_UID: rt.ion_plan()}
UID = "2.25.9001"


@pytest.fixture
def made() -> Iterator[Serving]:
    with serving(lambda reporter: [RTMachineVerificationService(PLANS.get, reporter)]) as found:
        yield found


class Events:
    def __init__(self) -> None:
        self.got: Queue[tuple[int, str]] = Queue()

    def take(self, event: Any) -> tuple[int, None]:
        assert event.request.AffectedSOPInstanceUID == UID
        information = event.event_information
        self.got.put((event.event_type, str(information.get("TreatmentVerificationStatus", ""))))
        return 0x0000, None

    @property
    def handlers(self) -> list[Any]:
        return [(evt.EVT_N_EVENT_REPORT, self.take)]


def status_of(answer: tuple[Dataset, Any]) -> int:
    return int(answer[0].Status)


@pytest.mark.parametrize("ion", [False, True])
def test_a_whole_session(made: Serving, ion: bool) -> None:
    """Rules 1 to 6 of section 5."""
    class_uid = rt.ION if ion else rt.CONVENTIONAL
    events = Events()
    association = made.associate(class_uid, handlers=events.handlers)
    assert status_of(association.send_n_create(rt.session(ion=ion), class_uid, UID)) == 0x0000
    setting = rt.ion_setting() if ion else rt.setting()
    assert status_of(association.send_n_set(setting, class_uid, UID)) == 0x0000
    assert status_of(association.send_n_action(None, 1, class_uid, UID)) == 0x0000
    assert [events.got.get(timeout=SECONDS) for _ in range(2)] == [(1, ""), (2, "VERIFIED")]

    wrong = (
        rt.ion_setting(None, rt.ion_machine({"GantryAngle": 0.0}))
        if ion
        else rt.setting(None, rt.machine(GantryAngle=45.0))
    )
    assert status_of(association.send_n_set(wrong, class_uid, UID)) == 0x0000
    assert status_of(association.send_n_action(None, 1, class_uid, UID)) == 0x0000
    assert [events.got.get(timeout=SECONDS) for _ in range(2)] == [(1, ""), (2, "NOT_VERIFIED")]
    status, found = association.send_n_get([], class_uid, UID)
    assert status.Status == 0x0000
    assert found is not None
    assert found.TreatmentVerificationStatus == "NOT_VERIFIED"
    assert found.FailedAttributesSequence[0].SelectorAttribute == 0x300A011E
    assert not found.OverriddenAttributesSequence
    assert association.send_n_delete(class_uid, UID).Status == 0x0000
    assert status_of(association.send_n_get([], class_uid, UID)) == 0xC112


def test_what_does_not_exist(made: Serving) -> None:
    """C112H for N-GET and N-ACTION, 0112H for N-SET and N-DELETE (section 5, rules 3, 5 and 6)."""
    association = made.associate(rt.CONVENTIONAL)
    assert status_of(association.send_n_set(rt.setting(), rt.CONVENTIONAL, UID)) == 0x0112
    assert status_of(association.send_n_action(None, 1, rt.CONVENTIONAL, UID)) == 0xC112
    assert status_of(association.send_n_get([], rt.CONVENTIONAL, UID)) == 0xC112
    assert association.send_n_delete(rt.CONVENTIONAL, UID).Status == 0x0112


def test_codes_of_creation_and_setting_travel(made: Serving) -> None:
    association = made.associate(rt.CONVENTIONAL)
    attributes = rt.session()
    attributes.ReferencedFractionGroupNumber = 7
    answer, _ = association.send_n_create(attributes, rt.CONVENTIONAL, UID)
    assert (answer.Status, answer.OffendingElement) == (0xC221, 0x300C0022)
    association.send_n_create(rt.session(), rt.CONVENTIONAL, UID)
    wrong = rt.setting(rt.general(ReferencedBeamNumber=3))
    assert status_of(association.send_n_set(wrong, rt.CONVENTIONAL, UID)) == 0xC224
    wrong = rt.setting(rt.general(RecordedWedgeSequence=[rt.item(WedgeNumber=4)]))
    assert status_of(association.send_n_set(wrong, rt.CONVENTIONAL, UID)) == 0xC226


def test_c225_what_is_not_supported() -> None:
    with serving(
        lambda reporter: [RTMachineVerificationService(PLANS.get, reporter, supported=frozenset())]
    ) as made:
        association = made.associate(rt.CONVENTIONAL)
        association.send_n_create(rt.session(), rt.CONVENTIONAL, UID)
        assert status_of(association.send_n_set(rt.setting(), rt.CONVENTIONAL, UID)) == 0xC225


def test_c223_one_session_at_a_time(made: Serving) -> None:
    first = made.associate(rt.CONVENTIONAL)
    assert status_of(first.send_n_create(rt.session(), rt.CONVENTIONAL, UID)) == 0x0000
    second = made.associate(rt.CONVENTIONAL)
    assert status_of(second.send_n_create(rt.session(), rt.CONVENTIONAL, "2.25.2")) == 0xC223
    other = made.associate(rt.CONVENTIONAL, aet="ANOTHER")
    assert status_of(other.send_n_create(rt.session(), rt.CONVENTIONAL, "2.25.3")) == 0x0000
    assert first.send_n_delete(rt.CONVENTIONAL, UID).Status == 0x0000
    assert status_of(second.send_n_create(rt.session(), rt.CONVENTIONAL, "2.25.2")) == 0x0000


def test_a_session_that_was_left_behind_is_replaced(made: Serving) -> None:
    first = made.associate(rt.CONVENTIONAL)
    first.send_n_create(rt.session(), rt.CONVENTIONAL, UID)
    first.abort()
    second = made.associate(rt.CONVENTIONAL)
    while (status := status_of(second.send_n_create(rt.session(), rt.CONVENTIONAL, "2.25.2"))) == 0xC223:
        pass  # The abort and the request come over two connections.
    assert status == 0x0000
    assert status_of(second.send_n_get([], rt.CONVENTIONAL, UID)) == 0xC112


def test_0111_and_0119(made: Serving) -> None:
    association = made.associate(rt.CONVENTIONAL, rt.ION)
    association.send_n_create(rt.session(), rt.CONVENTIONAL, UID)
    other = made.associate(rt.CONVENTIONAL, aet="ANOTHER")
    assert status_of(other.send_n_create(rt.session(), rt.CONVENTIONAL, UID)) == 0x0111
    assert status_of(association.send_n_get([], rt.ION, UID)) == 0x0119


def test_the_verifier_makes_up_a_uid(made: Serving) -> None:
    association = made.associate(rt.CONVENTIONAL)
    status, _ = association.send_n_create(rt.session(), rt.CONVENTIONAL)
    assert status.Status == 0x0000
    assert status_of(association.send_n_get([], rt.CONVENTIONAL, status.AffectedSOPInstanceUID)) == 0x0000


def test_a_session_survives_in_its_repository() -> None:
    repository = MemoryRepository()
    with serving(lambda reporter: [RTMachineVerificationService(PLANS.get, reporter, repository)]) as made:
        association = made.associate(rt.CONVENTIONAL)
        association.send_n_create(rt.session(), rt.CONVENTIONAL, UID)
        association.send_n_set(rt.setting(), rt.CONVENTIONAL, UID)
    events = Events()
    with serving(lambda reporter: [RTMachineVerificationService(PLANS.get, reporter, repository)]) as made:
        association = made.associate(rt.CONVENTIONAL, handlers=events.handlers)
        assert status_of(association.send_n_action(None, 1, rt.CONVENTIONAL, UID)) == 0x0000
        assert [events.got.get(timeout=SECONDS) for _ in range(2)] == [(1, ""), (2, "VERIFIED")]


def test_overridden() -> None:
    def accept(_: Dataset, deviations: Any) -> list[rules.Override]:
        return [rules.Override("Quux^Q", "seen") for _ in deviations]

    with serving(
        lambda reporter: [RTMachineVerificationService(PLANS.get, reporter, overrides=accept)]
    ) as made:
        association = made.associate(rt.CONVENTIONAL)
        association.send_n_create(rt.session(), rt.CONVENTIONAL, UID)
        association.send_n_set(rt.setting(None, rt.machine(GantryAngle=45.0)), rt.CONVENTIONAL, UID)
        association.send_n_action(None, 1, rt.CONVENTIONAL, UID)
        _, found = association.send_n_get([0x3008002C, 0x0074104A, 0x00741048], rt.CONVENTIONAL, UID)
        assert found is not None
        assert found.TreatmentVerificationStatus == "VERIFIED_OVR"
        assert found.OverriddenAttributesSequence[0].OperatorsName == "Quux^Q"
        assert not found.FailedAttributesSequence


def test_another_action(made: Serving) -> None:
    association = made.associate(rt.CONVENTIONAL)
    association.send_n_create(rt.session(), rt.CONVENTIONAL, UID)
    assert status_of(association.send_n_action(None, 2, rt.CONVENTIONAL, UID)) == 0x0123
