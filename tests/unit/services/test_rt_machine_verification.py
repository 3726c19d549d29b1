"""The rules of RT Machine Verification: section 5 of the rules, point by point, and the comparison."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dulcimer.errors import Refused
from dulcimer.services import rt_machine_verification as rules
from support import rt_plans as rt

PLANS = {rt.PLAN_UID: rt.plan(), rt.ION_PLAN_UID: rt.ion_plan()}


def created(*, ion: bool = False) -> Dataset:
    session, _ = rules.create(rt.session(ion=ion), rt.ION if ion else rt.CONVENTIONAL, PLANS.get)
    return session


def refused(status: int, function: Any, *arguments: Any, **named: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        function(*arguments, **named)
    assert caught.value.status == status, caught.value
    return caught.value


def verified(
    general: Dataset | None = None, machine: Dataset | None = None, *, plan: Dataset | None = None
) -> rules.Verification:
    plan = plan or rt.plan()
    session, _ = rules.modify(created(), rt.setting(general, machine), rt.CONVENTIONAL, plan)
    return rules.verify(session, rt.CONVENTIONAL, plan)


def ion_verified(general: Dataset | None = None, machine: Dataset | None = None) -> rules.Verification:
    session, _ = rules.modify(created(ion=True), rt.ion_setting(general, machine), rt.ION, rt.ion_plan())
    return rules.verify(session, rt.ION, rt.ion_plan())


# -- 5.1 N-CREATE


class TestCreate:
    """Section 5, rule 1."""

    @pytest.mark.parametrize("ion", [False, True])
    def test_a_session(self, ion: bool) -> None:
        session = created(ion=ion)
        assert session.ReferencedFractionGroupNumber == 1
        assert not session.GeneralMachineVerificationSequence

    @pytest.mark.parametrize("count", [0, 2])
    def test_one_item_refers_to_the_plan(self, count: int) -> None:
        attributes = rt.session()
        attributes.ReferencedRTPlanSequence = list(attributes.ReferencedRTPlanSequence) * count
        with pytest.raises(Refused) as caught:
            rules.create(attributes, rt.CONVENTIONAL, PLANS.get)
        assert caught.value.status == (0x0106 if count else 0x0121)

    def test_patient_id_is_demanded(self) -> None:
        attributes = rt.session()
        del attributes.PatientID
        assert refused(0x0120, rules.create, attributes, rt.CONVENTIONAL, PLANS.get).attributes == (
            0x00100020,
        )

    def test_another_patient(self) -> None:
        attributes = rt.session()
        attributes.PatientID = "SOMEBODY"
        refused(0x0106, rules.create, attributes, rt.CONVENTIONAL, PLANS.get)

    @pytest.mark.parametrize(
        "keyword", ["GeneralMachineVerificationSequence", "ConventionalMachineVerificationSequence"]
    )
    def test_the_sequences_are_created_without_items(self, keyword: str) -> None:
        attributes = rt.session()
        setattr(attributes, keyword, [Dataset()])
        refused(0x0106, rules.create, attributes, rt.CONVENTIONAL, PLANS.get)

    @pytest.mark.parametrize(
        ("keyword", "value"),
        [
            ("TreatmentVerificationStatus", "VERIFIED"),
            ("FailedAttributesSequence", []),
            ("OverriddenAttributesSequence", []),
        ],
    )
    def test_the_outcome_is_not_allowed(self, keyword: str, value: object) -> None:
        attributes = rt.session()
        setattr(attributes, keyword, value or [Dataset()])
        refused(0x0105, rules.create, attributes, rt.CONVENTIONAL, PLANS.get)

    def test_c227_plan_not_found(self) -> None:
        refused(0xC227, rules.create, rt.session(), rt.CONVENTIONAL, lambda uid: None)

    def test_c227_plan_of_the_other_machine(self) -> None:
        refused(0xC227, rules.create, rt.session(), rt.CONVENTIONAL, lambda uid: rt.ion_plan())

    def test_c221_fraction_group_not_in_plan(self) -> None:
        attributes = rt.session()
        attributes.ReferencedFractionGroupNumber = 9
        refused(0xC221, rules.create, attributes, rt.CONVENTIONAL, PLANS.get)

    def test_c222_no_beams(self) -> None:
        attributes = rt.session()
        attributes.ReferencedFractionGroupNumber = 2
        refused(0xC222, rules.create, attributes, rt.CONVENTIONAL, PLANS.get)

    def test_the_fraction_group_if_there_are_several(self) -> None:
        attributes = rt.session()
        del attributes.ReferencedFractionGroupNumber
        assert refused(0x0120, rules.create, attributes, rt.CONVENTIONAL, PLANS.get).attributes == (
            0x300C0022,
        )
        attributes = rt.session(ion=True)
        del attributes.ReferencedFractionGroupNumber
        session, _ = rules.create(attributes, rt.ION, PLANS.get)
        assert session.ReferencedFractionGroupNumber == 1


# -- 5.2 N-SET


def changed(keyword: str, value: object) -> Dataset:
    change = rt.setting()
    setattr(change, keyword, value)
    return change


class TestSet:
    """Section 5, rule 2."""

    def modify(self, change: Dataset, **named: Any) -> Dataset:
        session, _ = rules.modify(created(), change, rt.CONVENTIONAL, rt.plan(), **named)
        return session

    @pytest.mark.parametrize(
        "keyword", ["GeneralMachineVerificationSequence", "ConventionalMachineVerificationSequence"]
    )
    @pytest.mark.parametrize("count", [None, 0, 2])
    def test_one_item_each(self, keyword: str, count: int | None) -> None:
        change = rt.setting()
        if count is None:
            delattr(change, keyword)
        else:
            setattr(change, keyword, list(change[keyword].value) * count)
        status = {None: 0x0120, 0: 0x0121, 2: 0x0106}[count]
        refused(status, self.modify, change)

    @pytest.mark.parametrize("count", [0, 2])
    def test_one_control_point(self, count: int) -> None:
        change = rt.setting()
        own = change.ConventionalMachineVerificationSequence[0]
        own.ConventionalControlPointVerificationSequence = (
            list(own.ConventionalControlPointVerificationSequence) * count
        )
        refused(0x0106 if count else 0x0121, self.modify, change)

    def test_number_of_control_points_is_1(self) -> None:
        refused(0x0106, self.modify, rt.setting(rt.general(NumberOfControlPoints=2)))

    @pytest.mark.parametrize(
        ("keyword", "value"),
        [
            ("PatientID", "SOMEBODY"),
            ("ReferencedFractionGroupNumber", 2),
            ("ReferencedRTPlanSequence", [Dataset()]),
            ("TreatmentVerificationStatus", "VERIFIED"),
            ("FailedAttributesSequence", [Dataset()]),
            ("OverriddenAttributesSequence", [Dataset()]),
        ],
    )
    def test_not_allowed(self, keyword: str, value: object) -> None:
        refused(0x0105, self.modify, changed(keyword, value))

    def test_what_is_missing_loses_its_value(self) -> None:
        first = self.modify(rt.setting())
        assert "TableTopVerticalPosition" in point_of(first)
        second, _ = rules.modify(
            first, rt.setting(None, rt.machine(TableTopVerticalPosition=None)), rt.CONVENTIONAL, rt.plan()
        )
        assert "TableTopVerticalPosition" not in point_of(second)

    def test_a_required_one_must_be_sent_again(self) -> None:
        first = self.modify(rt.setting())
        again = rt.setting()
        del again.GeneralMachineVerificationSequence[0].RadiationType
        refused(0x0120, rules.modify, first, again, rt.CONVENTIONAL, rt.plan())

    def test_an_empty_sequence_clears(self) -> None:
        first = self.modify(rt.setting())
        assert first.GeneralMachineVerificationSequence[0].RecordedWedgeSequence
        cleared = rt.setting(rt.general(RecordedWedgeSequence=[]))
        second, _ = rules.modify(first, cleared, rt.CONVENTIONAL, rt.plan())
        assert not second.GeneralMachineVerificationSequence[0].RecordedWedgeSequence

    @pytest.mark.parametrize("number", [3, 9])
    def test_c224_beam_not_in_group(self, number: int) -> None:
        refused(0xC224, self.modify, rt.setting(rt.general(ReferencedBeamNumber=number)))

    def test_c225_device_not_supported(self) -> None:
        refusal = refused(
            0xC225, self.modify, rt.setting(), supported=rules.DEVICES - {"RecordedWedgeSequence"}
        )
        assert refusal.offending == (0x300800B0,)

    def test_a_modifier_is_absent_if_it_is_not_verified_here(self) -> None:
        self.modify(
            rt.setting(rt.general(RecordedWedgeSequence=None)),
            supported=rules.DEVICES - {"RecordedWedgeSequence"},
        )

    @pytest.mark.parametrize(
        ("sequence", "item"),
        [
            ("RecordedWedgeSequence", rt.item(WedgeNumber=2)),
            ("RecordedBlockSequence", rt.item(ReferencedBlockNumber=1)),
            ("RecordedCompensatorSequence", rt.item(ReferencedCompensatorNumber=1)),
            ("ReferencedBolusSequence", rt.item(ReferencedROINumber=1)),
            ("ApplicatorSequence", rt.item(ApplicatorType="STEREOTACTIC")),
            (
                "PatientSetupSequence",
                rt.item(PatientSetupNumber=1, FixationDeviceSequence=[rt.item(FixationDeviceType="CAST")]),
            ),
        ],
    )
    def test_c226_device_not_in_beam(self, sequence: str, item: Dataset) -> None:
        refused(0xC226, self.modify, rt.setting(rt.general(**{sequence: [item]})))

    def test_devices_of_ion_machines(self) -> None:
        session = created(ion=True)
        for sequence, item in (
            ("RecordedSnoutSequence", rt.item(SnoutID="S9")),
            ("RecordedRangeShifterSequence", rt.item(ReferencedRangeShifterNumber=2)),
            ("RecordedLateralSpreadingDeviceSequence", rt.item(ReferencedLateralSpreadingDeviceNumber=1)),
            (
                "RecordedRangeModulatorSequence",
                rt.item(ReferencedRangeModulatorNumber=1, RangeModulatorType="FIXED"),
            ),
        ):
            change = rt.ion_setting(None, rt.ion_machine(**{sequence: [item]}))
            refused(0xC226, rules.modify, session, change, rt.ION, rt.ion_plan())

    def test_a_control_point_that_the_beam_lacks(self) -> None:
        refused(0x0106, self.modify, rt.setting(None, rt.machine(ReferencedControlPointIndex=7)))

    @pytest.mark.parametrize(
        ("delivery", "index", "status"),
        [("TREATMENT", 0, 0), ("TREATMENT", 1, 0x0106), ("CONTINUATION", 1, 0), (None, 1, 0)],
    )
    def test_only_a_continuation_begins_later(self, delivery: str | None, index: int, status: int) -> None:
        change = rt.setting(None, rt.machine(ReferencedControlPointIndex=index))
        if delivery is not None:
            change.GeneralMachineVerificationSequence[0].TreatmentDeliveryType = delivery
        if status:
            refused(status, self.modify, change)
        else:
            self.modify(change)

    def test_the_arguments_are_left_alone(self) -> None:
        session, change, plan = created(), rt.setting(), rt.plan()
        before = session.to_json(), change.to_json(), plan.to_json()
        rules.modify(session, change, rt.CONVENTIONAL, plan)
        assert (session.to_json(), change.to_json(), plan.to_json()) == before


def point_of(session: Dataset) -> Dataset:
    found: Dataset = session.ConventionalMachineVerificationSequence[
        0
    ].ConventionalControlPointVerificationSequence[0]
    return found


# -- 5.3 and 5.5: verification and its outcome


class TestVerify:
    """Section 5, rules 2 (comparison), 3 and 5."""

    def test_what_is_within_the_tolerances(self) -> None:
        found = verified()
        assert (found.status, found.deviations) == ("VERIFIED", ())
        assert found.dataset.TreatmentVerificationStatus == "VERIFIED"
        assert not found.dataset.FailedAttributesSequence
        assert not found.dataset.OverriddenAttributesSequence

    def test_ion(self) -> None:
        assert ion_verified().status == "VERIFIED"

    @pytest.mark.parametrize(
        ("general", "machine", "name"),
        [
            ({"TreatmentMachineName": "LINAC2"}, {}, "TreatmentMachineName"),
            ({"RadiationType": "ELECTRON"}, {}, "RadiationType"),
            ({"BeamName": "Field 2"}, {}, "BeamName"),
            ({"NumberOfBlocks": 1}, {}, "NumberOfBlocks"),
            ({"SpecifiedPrimaryMeterset": 121.0}, {}, "SpecifiedPrimaryMeterset"),
            ({"RecordedWedgeSequence": [rt.item(WedgeNumber=1, WedgeID="W30")]}, {}, "WedgeID"),
            ({}, {"NominalBeamEnergy": 18.0}, "NominalBeamEnergy"),
            ({}, {"GantryRotationDirection": "CC"}, "GantryRotationDirection"),
            ({}, {"BeamLimitingDevicePositionSequence": [rt.jaws("ASYMX", -50.0, 52.0)]}, "LeafJawPositions"),
            ({}, {"BeamLimitingDevicePositionSequence": [rt.jaws("ASYMY", -40.0, 40.5)]}, "LeafJawPositions"),
            (
                {},
                {"WedgePositionSequence": [rt.item(ReferencedWedgeNumber=1, WedgePosition="OUT")]},
                "WedgePosition",
            ),
        ],
    )
    def test_what_is_not_as_planned(self, general: Any, machine: Any, name: str) -> None:
        found = verified(rt.general(**general), rt.machine(**machine))
        assert found.status == "NOT_VERIFIED"
        assert [each.name for each in found.deviations] == [name]
        (item,) = found.dataset.FailedAttributesSequence
        assert item.SelectorAttribute == found.deviations[0].tag
        assert not found.dataset.OverriddenAttributesSequence

    def test_where_a_failed_value_stands(self) -> None:
        found = verified(
            None,
            rt.machine(
                BeamLimitingDevicePositionSequence=[
                    rt.jaws("ASYMY", -40.0, 40.0),
                    rt.jaws("ASYMX", -50.0, 60.0),
                ]
            ),
        )
        (item,) = found.dataset.FailedAttributesSequence
        assert item.SelectorValueNumber == 2
        assert [int(tag) for tag in item.SelectorSequencePointer] == [0x00741044, 0x0074104C, 0x300A011A]
        assert list(item.SelectorSequencePointerItems) == [1, 1, 2]

    @pytest.mark.parametrize(
        ("point", "changes"),
        [
            ({"SnoutPosition": 302.0}, {}),
            ({"GantryAngle": 91.0}, {}),
            ({"TableTopPitchAngle": 1.5}, {}),
            ({"NominalBeamEnergy": 151.0}, {}),
            (
                {
                    "RangeShifterSettingsSequence": [
                        rt.item(ReferencedRangeShifterNumber=1, RangeShifterSetting="OUT")
                    ]
                },
                {},
            ),
            ({}, {"ScanMode": "UNIFORM"}),
        ],
    )
    def test_what_is_not_as_planned_of_an_ion_machine(self, point: Any, changes: Any) -> None:
        found = ion_verified(None, rt.ion_machine(point, **changes))
        assert found.status == "NOT_VERIFIED"
        assert len(found.deviations) == 1

    def test_values_hold_until_they_change(self) -> None:
        """At control point 1 the plan gives the gantry angle and one of two pairs of jaws anew."""
        inherited = rt.machine(
            ReferencedControlPointIndex=1,
            GantryAngle=90.0,
            BeamLimitingDevicePositionSequence=[rt.jaws("ASYMX", -30.0, 30.0), rt.jaws("ASYMY", -40.0, 40.0)],
        )
        assert verified(None, inherited).status == "VERIFIED"
        former = rt.machine(ReferencedControlPointIndex=1, GantryAngle=0.0)
        assert {each.name for each in verified(None, former).deviations} == {
            "GantryAngle",
            "LeafJawPositions",
        }

    def test_overridden(self) -> None:
        session, _ = rules.modify(
            created(), rt.setting(None, rt.machine(GantryAngle=10.0)), rt.CONVENTIONAL, rt.plan()
        )
        found = rules.verify(
            session,
            rt.CONVENTIONAL,
            rt.plan(),
            lambda _, deviations: [rules.Override("Quux^Q", "Setup image checked")] * len(deviations),
        )
        assert found.status == "VERIFIED_OVR"
        (item,) = found.dataset.OverriddenAttributesSequence
        assert (item.OperatorsName, item.OverrideReason) == ("Quux^Q", "Setup image checked")
        assert not found.dataset.FailedAttributesSequence

    def test_not_all_overridden_is_not_verified(self) -> None:
        session, _ = rules.modify(
            created(),
            rt.setting(None, rt.machine(GantryAngle=10.0, NominalBeamEnergy=18.0)),
            rt.CONVENTIONAL,
            rt.plan(),
        )
        found = rules.verify(
            session, rt.CONVENTIONAL, rt.plan(), lambda *_: [rules.Override("Quux^Q", "checked")]
        )
        assert found.status == "NOT_VERIFIED"
        assert len(found.dataset.FailedAttributesSequence) == 1
        assert not found.dataset.OverriddenAttributesSequence

    def test_nothing_to_verify(self) -> None:
        refused(0x0110, rules.verify, created(), rt.CONVENTIONAL, rt.plan())

    def test_a_plan_that_lost_its_beam_verifies_nothing(self) -> None:
        session, _ = rules.modify(created(), rt.setting(), rt.CONVENTIONAL, rt.plan())
        plan = rt.plan()
        plan.BeamSequence = []
        refused(0x0110, rules.verify, session, rt.CONVENTIONAL, plan)

    def test_setting_anew_takes_the_outcome_away(self) -> None:
        again, _ = rules.modify(verified().dataset, rt.setting(), rt.CONVENTIONAL, rt.plan())
        answer, unsupported = rules.retrieve(again, rt.CONVENTIONAL, [0x3008002C])
        assert answer["TreatmentVerificationStatus"].is_empty
        assert not unsupported

    def test_n_get_of_everything_and_of_what_is_not_supported(self) -> None:
        """Section 5, rule 5."""
        answer, unsupported = rules.retrieve(verified().dataset, rt.CONVENTIONAL, [])
        assert answer.TreatmentVerificationStatus == "VERIFIED"
        assert "FailedAttributesSequence" in answer
        assert not unsupported
        _, unsupported = rules.retrieve(verified().dataset, rt.CONVENTIONAL, [0x00100010])
        assert unsupported == (0x00100010,)


# -- tolerances


@given(offset=st.floats(-180, 180), turns=st.integers(-1, 1))
def test_angles_verify_within_the_tolerance_and_not_outside(offset: float, turns: int) -> None:
    """359.8 degrees are planned, so most of the way is across zero."""
    offset = round(offset, 3)
    machine = rt.machine(GantryAngle=round(359.8 + offset + 360 * turns, 3))
    found = verified(None, machine)
    if abs(offset) <= rt.GANTRY_TOLERANCE - 0.001:
        assert found.status == "VERIFIED", offset
    if abs(offset) >= rt.GANTRY_TOLERANCE + 0.002:
        assert [each.name for each in found.deviations] == ["GantryAngle"], offset


@given(offset=st.floats(-500, 500), tolerance=st.floats(0, 100))
def test_positions_verify_within_the_tolerance_and_not_outside(offset: float, tolerance: float) -> None:
    offset, tolerance = round(offset, 2), round(tolerance, 2)
    plan = rt.plan()
    plan.ToleranceTableSequence[0].TableTopVerticalPositionTolerance = tolerance
    machine = rt.machine(TableTopVerticalPosition=round(-100.0 + offset, 2))
    found = verified(None, machine, plan=plan)
    if abs(offset) <= tolerance:
        assert found.status == "VERIFIED"
    if abs(offset) >= tolerance + 0.01:
        assert [each.name for each in found.deviations] == ["TableTopVerticalPosition"]


@given(offsets=st.lists(st.floats(-5, 5), min_size=2, max_size=2))
def test_each_jaw_counts(offsets: list[float]) -> None:
    offsets = [round(offset, 2) for offset in offsets]
    jaws = rt.jaws("ASYMX", round(-50.0 + offsets[0], 2), round(50.0 + offsets[1], 2))
    found = verified(None, rt.machine(BeamLimitingDevicePositionSequence=[jaws]))
    outside = [n for n, offset in enumerate(offsets, 1) if abs(offset) > rt.JAW_TOLERANCE + 0.001]
    assert [each.value_number for each in found.deviations] == outside


def test_without_a_tolerance_values_are_equal() -> None:
    plan = rt.plan()
    del plan.BeamSequence[0].ReferencedToleranceTableNumber
    found = verified(None, rt.machine(GantryAngle=359.9, TableTopVerticalPosition=-100.0), plan=plan)
    assert {each.name for each in found.deviations} == {"GantryAngle", "LeafJawPositions"}


def test_what_is_no_number_does_not_verify() -> None:
    machine = rt.machine()
    machine.ConventionalControlPointVerificationSequence[0].add_new(0x300A0140, "FL", float("nan"))
    plan = rt.plan()
    plan.BeamSequence[0].ControlPointSequence[0].TableTopPitchAngle = 0.0
    assert verified(None, machine, plan=plan).status == "NOT_VERIFIED"
