"""The RT machine verification client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dulcimer.scp.rt_machine_verification import RTMachineVerificationService
from dulcimer.scu.errors import IllegalStep, Refusal
from dulcimer.scu.rt import BeamVerification
from support import rt_plans as rt
from support.services import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

PLANS = {rt.PLAN_UID: rt.plan(), rt.ION_PLAN_UID: rt.ion_plan()}


@pytest.fixture
def made() -> Iterator[Serving]:
    with serving(lambda reporter: [RTMachineVerificationService(PLANS.get, reporter)]) as found:
        yield found


def test_a_session(made: Serving) -> None:
    association = made.associate(rt.CONVENTIONAL)
    with BeamVerification.create(association, rt.PLAN_UID, rt.PATIENT_ID, fraction_group=1) as verification:
        with pytest.raises(IllegalStep):
            verification.verify()
        verification.set(rt.general(), rt.machine())
        assert verification.verify() == "VERIFIED"
        verification.set(rt.general(), rt.machine(GantryAngle=12.0))
        assert verification.verify() == "NOT_VERIFIED"
        (failed,) = verification.failed()
        assert failed.SelectorAttribute == 0x300A011E
        uid = verification.uid
    with pytest.raises(Refusal, match="C112"):
        BeamVerification(association, uid).get()
    with pytest.raises(IllegalStep, match="over"):
        verification.get()


def test_an_ion_machine(made: Serving) -> None:
    association = made.associate(rt.ION)
    with BeamVerification.create(association, rt.ION_PLAN_UID, rt.PATIENT_ID, ion=True) as verification:
        verification.set(rt.ion_general(), rt.ion_machine())
        assert verification.verify() == "VERIFIED"


def test_refusals_in_words(made: Serving) -> None:
    association = made.associate(rt.CONVENTIONAL)
    with pytest.raises(Refusal, match="C227 Referenced RT Plan not found"):
        BeamVerification.create(association, "2.25.1", rt.PATIENT_ID)
    with (
        BeamVerification.create(association, rt.PLAN_UID, rt.PATIENT_ID, fraction_group=1) as verification,
        pytest.raises(Refusal, match="C224"),
    ):
        verification.set(rt.general(ReferencedBeamNumber=3), rt.machine())


def test_what_is_incomplete_is_not_sent(made: Serving) -> None:
    association = made.associate(rt.CONVENTIONAL)
    with BeamVerification.create(association, rt.PLAN_UID, rt.PATIENT_ID, fraction_group=1) as verification:
        with pytest.raises(IllegalStep, match="RadiationType"):
            verification.set(rt.general(RadiationType=None), rt.machine())
        with pytest.raises(IllegalStep, match="NumberOfControlPoints"):
            verification.set(rt.general(NumberOfControlPoints=2), rt.machine())
