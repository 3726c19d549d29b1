"""The rules of RT Machine Verification (PS3.4 Annex DD), as pure functions over data sets.

A treatment delivery system (SCU) says how the machine is set up for a control point of a beam; the machine
parameter verifier (SCP) compares that with the RT Plan, within the tolerances that the plan names.
:func:`create`, :func:`modify`, :func:`verify` and :func:`retrieve` take what the peer sent, what is stored
and the plan, and give what is to be stored or answered. They know no network and no database, change none of
their arguments, and raise :class:`~dulcimer.errors.Refused` for what the Standard refuses.

A session: N-CREATE, then for each control point N-SET, N-ACTION 1 (verify) and N-GET, then N-DELETE.

Where the Standard is silent
----------------------------
- An N-SET of an attribute that Table DD.3.2.1-1 or -2 marks "Not allowed", or an N-CREATE of one: 0105H.
- A General, Conventional or Ion sequence with items in an N-CREATE: 0106H, they are created without.
- A plan of the wrong SOP class (an RT Ion Plan for a conventional machine) is not found: C227H.
- A Patient ID that is not the plan's: 0106H. A verifier that accepts another patient's plan is none.
- No fraction group number: the plan's only one; 0120H if it has several.
- A Referenced Control Point Index that the plan's beam does not have: 0106H. One above 0 is taken unless the
  request says with Treatment Delivery Type (300A,00CE) that the treatment is no continuation: 0106H.
- A value that either side leaves out is not compared. The plan's values at a control point are those that it
  gives there or last gave before. Numbers without a tolerance in the plan have to be equal, apart from what
  their encodings as text and as binary fractions cannot hold. Angles are compared the short way round.
- Several beam limiting device tolerances for one device: the smallest.
- An N-SET after a verification: the former result is taken away, it was about other values.
- N-ACTION before any N-SET: 0110H, there is nothing to verify.
- N-GET of Treatment Verification Status before a verification: an element without a value.
- An SCU is "already verifying" (C223H) while a session is open that it made on an association that is still
  there. One that it left behind with its association is replaced.
- The private creators in the Failed and Overridden Attributes Sequences: left out, none is private.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset

from dulcimer.errors import Refused
from dulcimer.services.character_sets import merge
from dulcimer.services.rules import Level, check
from dulcimer.services.rules.tables import Demand, table_for

CONVENTIONAL: Final = "1.2.840.10008.5.1.4.34.8"
ION: Final = "1.2.840.10008.5.1.4.34.9"
RT_PLAN: Final = "1.2.840.10008.5.1.4.1.1.481.5"
RT_ION_PLAN: Final = "1.2.840.10008.5.1.4.1.1.481.8"

VERIFY: Final = 1
"""Action Type ID of Request Beam Verification."""
PENDING: Final = 1
"""Event Type ID: the verification is under way."""
DONE: Final = 2
"""Event Type ID: the verification is done, with its status."""

VERIFIED: Final = "VERIFIED"
VERIFIED_OVR: Final = "VERIFIED_OVR"
NOT_VERIFIED: Final = "NOT_VERIFIED"

NO_SUCH_VERIFICATION: Final = 0xC112
NO_SUCH_FRACTION_GROUP: Final = 0xC221
NO_BEAMS: Final = 0xC222
ALREADY_VERIFYING: Final = 0xC223
NO_SUCH_BEAM: Final = 0xC224
DEVICE_NOT_SUPPORTED: Final = 0xC225
DEVICE_NOT_IN_BEAM: Final = 0xC226
NO_SUCH_PLAN: Final = 0xC227

_STATUS: Final = 0x3008_002C
_FAILED: Final = 0x0074_1048
_OVERRIDDEN: Final = 0x0074_104A
_FRACTION_GROUP: Final = 0x300C_0022
_SOP_COMMON: Final = (0x0008_0016, 0x0008_0018)
_SLACK: Final = 1e-6
"""How far numbers may be apart, in parts of their size, that are the same in different encodings."""


class Device(NamedTuple):
    """A kind of device: where an N-SET names one, and where the plan's beam has it."""

    recorded: str
    key: str
    planned: str
    planned_key: str


@dataclass(frozen=True, slots=True)
class Machine:
    """What differs between the two SOP classes."""

    sop_class_uid: str
    plan_class_uid: str
    sequence: str
    control_points: str
    plan_beams: str
    plan_control_points: str
    plan_tolerances: str
    devices: tuple[Device, ...]
    """In the General Machine Verification Sequence and in that of the machine."""


_COMMON_DEVICES: Final = (
    Device("RecordedWedgeSequence", "WedgeNumber", "WedgeSequence", "WedgeNumber"),
    Device("RecordedBlockSequence", "ReferencedBlockNumber", "BlockSequence", "BlockNumber"),
    Device("ApplicatorSequence", "ApplicatorType", "ApplicatorSequence", "ApplicatorType"),
    Device(
        "ReferencedBolusSequence", "ReferencedROINumber", "ReferencedBolusSequence", "ReferencedROINumber"
    ),
)


def _ion(device: Device) -> Device:
    planned = {"WedgeSequence": "IonWedgeSequence", "BlockSequence": "IonBlockSequence"}
    return device._replace(planned=planned.get(device.planned, device.planned))


MACHINES: Final = {
    CONVENTIONAL: Machine(
        CONVENTIONAL,
        RT_PLAN,
        "ConventionalMachineVerificationSequence",
        "ConventionalControlPointVerificationSequence",
        "BeamSequence",
        "ControlPointSequence",
        "ToleranceTableSequence",
        (
            *_COMMON_DEVICES,
            Device(
                "RecordedCompensatorSequence",
                "ReferencedCompensatorNumber",
                "CompensatorSequence",
                "CompensatorNumber",
            ),
        ),
    ),
    ION: Machine(
        ION,
        RT_ION_PLAN,
        "IonMachineVerificationSequence",
        "IonControlPointVerificationSequence",
        "IonBeamSequence",
        "IonControlPointSequence",
        "IonToleranceTableSequence",
        (
            *map(_ion, _COMMON_DEVICES),
            Device(
                "RecordedCompensatorSequence",
                "ReferencedCompensatorNumber",
                "IonRangeCompensatorSequence",
                "CompensatorNumber",
            ),
            Device("RecordedSnoutSequence", "SnoutID", "SnoutSequence", "SnoutID"),
            Device(
                "RecordedRangeShifterSequence",
                "ReferencedRangeShifterNumber",
                "RangeShifterSequence",
                "RangeShifterNumber",
            ),
            Device(
                "RecordedLateralSpreadingDeviceSequence",
                "ReferencedLateralSpreadingDeviceNumber",
                "LateralSpreadingDeviceSequence",
                "LateralSpreadingDeviceNumber",
            ),
            Device(
                "RecordedRangeModulatorSequence",
                "ReferencedRangeModulatorNumber",
                "RangeModulatorSequence",
                "RangeModulatorNumber",
            ),
        ),
    ),
}

DEVICES: Final = frozenset(
    {device.recorded for machine in MACHINES.values() for device in machine.devices}
    | {"FixationDeviceSequence"}
)
"""The sequences of devices and accessories that a verifier may support."""

_OF_THE_BEAM: Final = (
    "TreatmentMachineName",
    "BeamName",
    "RadiationType",
    "NumberOfWedges",
    "NumberOfCompensators",
    "NumberOfBoli",
    "NumberOfBlocks",
)
_OF_THE_ION_BEAM: Final = (
    "ScanMode",
    "NumberOfRangeShifters",
    "NumberOfLateralSpreadingDevices",
    "NumberOfRangeModulators",
    "RadiationMassNumber",
    "RadiationAtomicNumber",
    "RadiationChargeState",
    "PatientSupportType",
    "PatientSupportID",
    "PatientSupportAccessoryCode",
    "FixationLightAzimuthalAngle",
    "FixationLightPolarAngle",
)
_POSITIONS: Final = {
    "GantryAngle": "GantryAngleTolerance",
    "BeamLimitingDeviceAngle": "BeamLimitingDeviceAngleTolerance",
    "PatientSupportAngle": "PatientSupportAngleTolerance",
    "TableTopEccentricAngle": "TableTopEccentricAngleTolerance",
    "TableTopPitchAngle": "TableTopPitchAngleTolerance",
    "TableTopRollAngle": "TableTopRollAngleTolerance",
    "TableTopVerticalPosition": "TableTopVerticalPositionTolerance",
    "TableTopLongitudinalPosition": "TableTopLongitudinalPositionTolerance",
    "TableTopLateralPosition": "TableTopLateralPositionTolerance",
    "SnoutPosition": "SnoutPositionTolerance",
    "HeadFixationAngle": "HeadFixationAngleTolerance",
    "GantryPitchAngle": "GantryPitchAngleTolerance",
}
"""What has a tolerance in the plan (PS3.3 C.8.8.11, C.8.8.24), and where."""
_EXACT: Final = (
    "NominalBeamEnergy",
    "DoseRateSet",
    "MetersetRateSet",
    "GantryRotationDirection",
    "BeamLimitingDeviceRotationDirection",
    "PatientSupportRotationDirection",
    "TableTopEccentricRotationDirection",
    "TableTopPitchRotationDirection",
    "TableTopRollRotationDirection",
    "GantryPitchRotationDirection",
    "TableTopEccentricAxisDistance",
)
_SETTINGS: Final = {
    "WedgePositionSequence": ("ReferencedWedgeNumber", ("WedgePosition",)),
    "IonWedgePositionSequence": ("ReferencedWedgeNumber", ("WedgePosition", "WedgeThinEdgePosition")),
    "RangeShifterSettingsSequence": ("ReferencedRangeShifterNumber", ("RangeShifterSetting",)),
    "LateralSpreadingDeviceSettingsSequence": (
        "ReferencedLateralSpreadingDeviceNumber",
        ("LateralSpreadingDeviceSetting",),
    ),
    "RangeModulatorSettingsSequence": (
        "ReferencedRangeModulatorNumber",
        ("RangeModulatorGatingStartValue", "RangeModulatorGatingStopValue"),
    ),
}
"""Sequences of a control point: by which attribute their items are found, and what is compared."""


_KEYS: Final = {
    "BeamLimitingDevicePositionSequence": "RTBeamLimitingDeviceType",
    **{sequence: key for sequence, (key, _) in _SETTINGS.items()},
}
"""How the items of a control point's sequences are told apart."""


class Deviation(NamedTuple):
    """A value that is not the plan's.

    Attributes
    ----------
    tag
        The attribute.
    value_number
        Which of its values, from 1.
    sequences
        The sequences that lead to it, from outside in.
    items
        The item of each, from 1.
    actual, planned
        The values, in words.
    """

    tag: int
    value_number: int
    sequences: tuple[int, ...]
    items: tuple[int, ...]
    actual: str
    planned: str

    @property
    def name(self) -> str:
        """The attribute's keyword."""
        return keyword_for_tag(self.tag)

    def __str__(self) -> str:
        return f"{self.name} {self.actual}, not {self.planned}"


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody's word that a deviation is to be accepted."""

    operators_name: str
    reason: str


Overrides = Callable[[Dataset, Sequence[Deviation]], "Sequence[Override | None]"]
"""Decides, for a session, about each of its deviations: None where it stands."""


class Verification(NamedTuple):
    """What came of an N-ACTION."""

    dataset: Dataset
    status: str
    deviations: tuple[Deviation, ...]


def create(
    attributes: Dataset,
    sop_class_uid: str,
    plan: Callable[[str], Dataset | None],
    *,
    level: Level = "standard",
) -> tuple[Dataset, list[str]]:
    """Apply the rules of N-CREATE (DD.3.2.1.2) and return the session to store, and notes.

    Raises
    ------
    Refused
        C227H if the plan is not there, C221H if it has no such fraction group, C222H if that has no beams,
        0105H, 0106H, 0120H and 0121H for what the table forbids and demands.
    """
    machine = MACHINES[sop_class_uid]
    session = _without_sop_common(attributes)
    notes = check("N-CREATE", sop_class_uid, session, level=level).enforce(session)
    for keyword in ("GeneralMachineVerificationSequence", machine.sequence):
        if session.get(keyword):
            raise _invalid(session, keyword, "It is created without items")
    found = plan(_referenced_plan(session))
    if found is None or str(found.get("SOPClassUID", machine.plan_class_uid)) != machine.plan_class_uid:
        raise Refused(NO_SUCH_PLAN, "Referenced RT Plan not found")
    if _text(session, "PatientID") != _text(found, "PatientID") and level != "lenient":
        raise _invalid(session, "PatientID", "The plan is for another patient")
    groups: Sequence[Dataset] = found.get("FractionGroupSequence") or ()
    if _number(session.get("ReferencedFractionGroupNumber")) is None:
        if len(groups) > 1:
            raise Refused(0x0120, "The plan has several fraction groups", attributes=(_FRACTION_GROUP,))
        if len(groups) == 1:
            session.ReferencedFractionGroupNumber = groups[0].FractionGroupNumber
    _beams_of(found, session)
    return session, notes


def modify(
    stored: Dataset,
    change: Dataset,
    sop_class_uid: str,
    plan: Dataset,
    *,
    supported: Collection[str] = DEVICES,
    level: Level = "standard",
) -> tuple[Dataset, list[str]]:
    """Apply the rules of N-SET (DD.3.2.1.3) and return the session as it is to be stored, and notes.

    The sequences replace the stored ones as a whole: what they leave out has no value any more.

    Raises
    ------
    Refused
        C224H if the fraction group has no such beam, C225H for a device that is not supported, C226H for one
        that the beam does not have, 0105H, 0106H, 0120H and 0121H for what the table forbids and demands.
    """
    machine = MACHINES[sop_class_uid]
    update = _without_sop_common(change)
    notes = check("N-SET", sop_class_uid, update, stored=stored, level=level).enforce(update)
    general, own, point = _settings(update, machine)
    number = _number(general.get("ReferencedBeamNumber"))
    if number not in _beams_of(plan, stored):
        raise Refused(
            NO_SUCH_BEAM,
            f"The fraction group has no beam {number}",
            offending=(0x300C_0006,),
        )
    beam = _by_number(plan.get(machine.plan_beams), "BeamNumber", number)
    if beam is None:
        raise Refused(NO_SUCH_BEAM, f"The plan has no beam {number}", offending=(0x300C_0006,))
    _check_devices(general, own, beam, plan, machine, supported)
    index = _number(point.get("ReferencedControlPointIndex"))
    _check_index(update, general, own, point, beam, machine, index)
    session = merge(stored, update)
    for tag in (_STATUS, _FAILED, _OVERRIDDEN):
        if tag in session:
            del session[tag]
    return session, notes


def verify(
    stored: Dataset, sop_class_uid: str, plan: Dataset, overrides: Overrides | None = None
) -> Verification:
    """Compare what was set with the plan and return the session with the outcome (DD.3.2.2, DD.3.2.3).

    Parameters
    ----------
    stored
        The session.
    sop_class_uid
        Its SOP class.
    plan
        The RT Plan or RT Ion Plan.
    overrides
        Decides about deviations; nobody overrides any by default.

    Raises
    ------
    Refused
        0110H if nothing was set yet.
    """
    machine = MACHINES[sop_class_uid]
    if not stored.get("GeneralMachineVerificationSequence") or not stored.get(machine.sequence):
        raise Refused(0x0110, "There is nothing to verify before an N-SET")
    number = _number(_settings(stored, machine)[0].get("ReferencedBeamNumber"))
    if _by_number(plan.get(machine.plan_beams), "BeamNumber", number) is None:
        raise Refused(0x0110, f"The plan has no beam {number} any more")
    deviations = tuple(compare(stored, sop_class_uid, plan))
    decided = list(overrides(stored, deviations)) if overrides is not None and deviations else []
    decided += [None] * (len(deviations) - len(decided))
    failed, overridden = [], []
    for deviation, override in zip(deviations, decided, strict=False):
        item = _selector(deviation)
        if override is None:
            failed.append(item)
        else:
            item.OperatorsName = override.operators_name
            item.OverrideReason = override.reason
            overridden.append(item)
    if failed:
        # Only what is overridden altogether is verified; then the sequence has no items.
        status, overridden = NOT_VERIFIED, []
    else:
        status = VERIFIED_OVR if overridden else VERIFIED
    session = deepcopy(stored)
    session.TreatmentVerificationStatus = status
    session.FailedAttributesSequence = failed
    session.OverriddenAttributesSequence = overridden
    return Verification(session, status, deviations)


def compare(session: Dataset, sop_class_uid: str, plan: Dataset) -> Iterator[Deviation]:
    """Give what the session's values differ in from the plan's by more than the tolerances."""
    machine = MACHINES[sop_class_uid]
    general, own, point = _settings(session, machine)
    beam = _by_number(
        plan.get(machine.plan_beams), "BeamNumber", _number(general.get("ReferencedBeamNumber"))
    )
    if beam is None:
        return
    at_general = _Place((_tag("GeneralMachineVerificationSequence"),), (1,))
    at_own = _Place((_tag(machine.sequence),), (1,))
    at_point = at_own.below(machine.control_points, 1)
    for keyword in _OF_THE_BEAM:
        yield from _same(general, beam, keyword, at_general)
    if sop_class_uid == ION:
        for keyword in _OF_THE_ION_BEAM:
            yield from _same(own, beam, keyword, at_own)
    prescribed = _prescribed(plan, session, general)
    yield from _within(general, prescribed, "SpecifiedPrimaryMeterset", "BeamMeterset", None, at_general)
    for position, pairs in enumerate(general.get("BeamLimitingDeviceLeafPairsSequence") or (), 1):
        limiting = _by_text(
            beam.get("BeamLimitingDeviceSequence") or beam.get("IonBeamLimitingDeviceSequence"),
            "RTBeamLimitingDeviceType",
            _text(pairs, "RTBeamLimitingDeviceType"),
        )
        place = at_general.below("BeamLimitingDeviceLeafPairsSequence", position)
        if limiting is not None:
            yield from _same(pairs, limiting, "NumberOfLeafJawPairs", place)
    for device in machine.devices:
        yield from _accessories(general, beam, device, at_general)
        yield from _accessories(own, beam, device, at_own)
    planned_point = _at_control_point(
        beam.get(machine.plan_control_points) or (), _number(point.get("ReferencedControlPointIndex"))
    )
    tolerances = _tolerances(plan, beam, machine)
    for keyword, tolerance in _POSITIONS.items():
        allowed = tolerances.get(tolerance)
        yield from _within(point, planned_point, keyword, keyword, allowed, at_point)
    for keyword in _EXACT:
        yield from _same(point, planned_point, keyword, at_point)
    yield from _jaws(point, planned_point, tolerances, at_point)
    for sequence, (key, keywords) in _SETTINGS.items():
        planned_items = planned_point.get(sequence) or ()
        for position, item in enumerate(point.get(sequence) or (), 1):
            counterpart = _by_number(planned_items, key, _number(item.get(key)))
            if counterpart is not None:
                for keyword in keywords:
                    yield from _same(item, counterpart, keyword, at_point.below(sequence, position))


def retrieve(
    stored: Dataset, sop_class_uid: str, identifiers: Sequence[int]
) -> tuple[Dataset, tuple[int, ...]]:
    """Apply the rules of N-GET (DD.3.2.2): the attributes to answer, and the tags that are not supported."""
    table = table_for(sop_class_uid, "N-GET")
    assert table is not None
    answer, unsupported = Dataset(), []
    for tag in identifiers or [*table.rows, *(int(tag) for tag in stored.keys())]:  # noqa: SIM118
        if tag in stored:
            answer[tag] = stored[tag]
        elif tag in table.rows:
            if identifiers or table.rows[tag].scp.demand in (Demand.VALUE, Demand.PRESENCE):
                answer.add_new(tag, dictionary_VR(tag), [] if dictionary_VR(tag) == "SQ" else None)
        else:
            unsupported.append(int(tag))
    return answer, tuple(unsupported)


def done_information(status: str) -> Dataset:
    """Make the Event Information of event 2, Done."""
    information = Dataset()
    information.TreatmentVerificationStatus = status
    return information


def plan_uid(session: Dataset) -> str:
    """Return the SOP Instance UID of a session's plan."""
    return _referenced_plan(session)


# ---- devices -----------------------------------------------------------------------------------------


def _check_devices(
    general: Dataset,
    own: Dataset,
    beam: Dataset,
    plan: Dataset,
    machine: Machine,
    supported: Collection[str],
) -> None:
    for device in machine.devices:
        items = [*(general.get(device.recorded) or ()), *(own.get(device.recorded) or ())]
        if items and device.recorded not in supported:
            raise _not_supported(device.recorded)
        planned = {_text(item, device.planned_key) for item in beam.get(device.planned) or ()}
        for item in items:
            if _text(item, device.key) not in planned:
                raise _not_in_beam(device.key)
    setups = general.get("PatientSetupSequence") or ()
    for setup in setups:
        fixations = setup.get("FixationDeviceSequence") or ()
        if fixations and "FixationDeviceSequence" not in supported:
            raise _not_supported("FixationDeviceSequence")
        planned_setup = _by_number(
            plan.get("PatientSetupSequence"), "PatientSetupNumber", _number(setup.get("PatientSetupNumber"))
        )
        types = {
            _text(item, "FixationDeviceType")
            for item in ((planned_setup or Dataset()).get("FixationDeviceSequence") or ())
        }
        for fixation in fixations:
            if _text(fixation, "FixationDeviceType") not in types:
                raise _not_in_beam("FixationDeviceType")


def _not_supported(sequence: str) -> Refused:
    return Refused(DEVICE_NOT_SUPPORTED, f"{sequence} is not verified here", offending=(_tag(sequence),))


def _not_in_beam(keyword: str) -> Refused:
    return Refused(DEVICE_NOT_IN_BEAM, f"The beam has no such device: {keyword}", offending=(_tag(keyword),))


def _check_index(
    update: Dataset,
    general: Dataset,
    own: Dataset,
    point: Dataset,
    beam: Dataset,
    machine: Machine,
    index: int | None,
) -> None:
    values = Dataset()
    values.ReferencedControlPointIndex = index
    points = beam.get(machine.plan_control_points) or ()
    if not any(_number(each.get("ControlPointIndex")) == index for each in points):
        raise Refused(0x0106, f"The beam has no control point {index}", values=values)
    said = {_text(each, "TreatmentDeliveryType") for each in (update, general, own, point)} - {""}
    if index and said and "CONTINUATION" not in said:
        raise Refused(0x0106, "Only a continuation begins after the first control point", values=values)


# ---- the plan ----------------------------------------------------------------------------------------


def _beams_of(plan: Dataset, session: Dataset) -> set[int | None]:
    """Return the numbers of the beams of the session's fraction group."""
    number = _number(session.get("ReferencedFractionGroupNumber"))
    group = _by_number(plan.get("FractionGroupSequence"), "FractionGroupNumber", number)
    if group is None:
        raise Refused(
            NO_SUCH_FRACTION_GROUP,
            f"The plan has no fraction group {'' if number is None else number}".rstrip(),
            offending=(_FRACTION_GROUP,),
        )
    beams = {_number(item.get("ReferencedBeamNumber")) for item in group.get("ReferencedBeamSequence") or ()}
    if not beams:
        raise Refused(NO_BEAMS, "No beams exist within the fraction group", offending=(_FRACTION_GROUP,))
    return beams


def _prescribed(plan: Dataset, session: Dataset, general: Dataset) -> Dataset:
    """Return what the fraction group says of the beam."""
    group = _by_number(
        plan.get("FractionGroupSequence"),
        "FractionGroupNumber",
        _number(session.get("ReferencedFractionGroupNumber")),
    )
    if group is None:
        return Dataset()
    number = _number(general.get("ReferencedBeamNumber"))
    return _by_number(group.get("ReferencedBeamSequence"), "ReferencedBeamNumber", number) or Dataset()


def _at_control_point(points: Sequence[Dataset], index: int | None) -> Dataset:
    """Return the values that hold at a control point: they are given where they change."""
    holding = Dataset()
    ordered = sorted(points, key=lambda point: _number(point.get("ControlPointIndex")) or 0)
    for point in ordered:
        if index is not None and (_number(point.get("ControlPointIndex")) or 0) > index:
            break
        for element in point:
            if element.is_empty:
                continue
            key = _KEYS.get(element.keyword)
            if key is not None and element.tag in holding:
                # What an item says of one device leaves the others where they are.
                items = {_text(item, key): item for item in holding[element.tag].value}
                items |= {_text(item, key): item for item in element.value}
                holding.add_new(element.tag, "SQ", list(items.values()))
            else:
                holding[element.tag] = element
    return holding


class _Tolerances(NamedTuple):
    values: Dataset
    devices: dict[str, float]

    def get(self, keyword: str) -> float | None:
        return _real(self.values.get(keyword))


def _tolerances(plan: Dataset, beam: Dataset, machine: Machine) -> _Tolerances:
    number = _number(beam.get("ReferencedToleranceTableNumber"))
    table = None
    if number is not None:
        table = _by_number(plan.get(machine.plan_tolerances), "ToleranceTableNumber", number)
    table = table if table is not None else Dataset()
    devices: dict[str, float] = {}
    for item in table.get("BeamLimitingDeviceToleranceSequence") or ():
        tolerance = _real(item.get("BeamLimitingDevicePositionTolerance"))
        kind = _text(item, "RTBeamLimitingDeviceType")
        if tolerance is not None:
            devices[kind] = min(tolerance, devices.get(kind, tolerance))
    return _Tolerances(table, devices)


# ---- comparing ---------------------------------------------------------------------------------------


class _Place(NamedTuple):
    sequences: tuple[int, ...]
    items: tuple[int, ...]

    def below(self, keyword: str, item: int) -> _Place:
        return _Place((*self.sequences, _tag(keyword)), (*self.items, item))


def _accessories(actual: Dataset, beam: Dataset, device: Device, place: _Place) -> Iterator[Deviation]:
    """Compare what both sides say of the devices of a kind: identifiers, angles, codes."""
    for position, item in enumerate(actual.get(device.recorded) or (), 1):
        planned = _by_text(beam.get(device.planned), device.planned_key, _text(item, device.key))
        if planned is not None:
            for element in item:
                if element.keyword and element.VR != "SQ" and element.keyword != device.key:
                    yield from _same(item, planned, element.keyword, place.below(device.recorded, position))


def _jaws(point: Dataset, planned: Dataset, tolerances: _Tolerances, place: _Place) -> Iterator[Deviation]:
    sequence = "BeamLimitingDevicePositionSequence"
    for position, device in enumerate(point.get(sequence) or (), 1):
        kind = _text(device, "RTBeamLimitingDeviceType")
        counterpart = _by_text(planned.get(sequence), "RTBeamLimitingDeviceType", kind)
        if counterpart is not None:
            yield from _within(
                device,
                counterpart,
                "LeafJawPositions",
                "LeafJawPositions",
                tolerances.devices.get(kind),
                place.below(sequence, position),
            )


def _same(actual: Dataset, planned: Dataset, keyword: str, place: _Place) -> Iterator[Deviation]:
    mine, theirs = _values(actual.get(keyword)), _values(planned.get(keyword))
    if not mine or not theirs:
        return
    number = _real(mine[0])
    if number is not None and _real(theirs[0]) is not None:
        yield from _within(actual, planned, keyword, keyword, None, place)
    elif [str(value).strip() for value in mine] != [str(value).strip() for value in theirs]:
        yield _deviation(keyword, 1, place, mine, theirs)


def _within(
    actual: Dataset,
    planned: Dataset,
    keyword: str,
    planned_keyword: str,
    tolerance: float | None,
    place: _Place,
) -> Iterator[Deviation]:
    mine, theirs = _values(actual.get(keyword)), _values(planned.get(planned_keyword))
    if not mine or not theirs:
        return
    if len(mine) != len(theirs):
        yield _deviation(keyword, 1, place, mine, theirs)
        return
    for number, (one, other) in enumerate(zip(mine, theirs, strict=True), 1):
        a, b = float(one), float(other)
        apart = abs(a - b)
        if keyword.endswith("Angle"):
            apart = abs((a - b + 180.0) % 360.0 - 180.0)
        # A comparison with something that is no number (NaN) must not pass.
        if not apart <= (tolerance or 0.0) + _SLACK * max(1.0, abs(a), abs(b)):
            yield _deviation(keyword, number, place, [one], [other])


def _deviation(
    keyword: str, number: int, place: _Place, mine: Sequence[Any], theirs: Sequence[Any]
) -> Deviation:
    return Deviation(
        _tag(keyword),
        number,
        place.sequences,
        place.items,
        "\\".join(map(str, mine)),
        "\\".join(map(str, theirs)),
    )


def _selector(deviation: Deviation) -> Dataset:
    item = Dataset()
    item.SelectorAttribute = deviation.tag
    item.SelectorValueNumber = deviation.value_number
    item.SelectorSequencePointer = list(deviation.sequences)
    item.SelectorSequencePointerItems = list(deviation.items)
    return item


# ---- data sets ---------------------------------------------------------------------------------------


def _settings(dataset: Dataset, machine: Machine) -> tuple[Dataset, Dataset, Dataset]:
    """Return the items of the general sequence, of the machine's, and of its control point."""
    general = _first(dataset, "GeneralMachineVerificationSequence")
    own = _first(dataset, machine.sequence)
    return general, own, _first(own, machine.control_points)


def _first(dataset: Dataset, keyword: str) -> Dataset:
    items = dataset.get(keyword) or [Dataset()]
    first: Dataset = items[0]
    return first


def _referenced_plan(session: Dataset) -> str:
    return _text(_first(session, "ReferencedRTPlanSequence"), "ReferencedSOPInstanceUID")


def _without_sop_common(dataset: Dataset) -> Dataset:
    copy = deepcopy(dataset)
    for tag in _SOP_COMMON:
        if tag in copy:
            del copy[tag]
    return copy


def _invalid(dataset: Dataset, keyword: str, comment: str) -> Refused:
    values = Dataset()
    values[keyword] = deepcopy(dataset[keyword])
    return Refused(0x0106, comment, values=values)


def _by_number(items: Sequence[Dataset] | None, keyword: str, number: int | None) -> Dataset | None:
    if number is None:
        return None
    return next((item for item in items or () if _number(item.get(keyword)) == number), None)


def _by_text(items: Sequence[Dataset] | None, keyword: str, text: str) -> Dataset | None:
    return next((item for item in items or () if _text(item, keyword) == text), None)


def _number(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None


def _real(value: Any) -> float | None:
    try:
        return None if value is None or value == "" else float(value)
    except (TypeError, ValueError):
        return None


def _values(value: Any) -> list[Any]:
    if value is None or (isinstance(value, str) and not value):
        return []
    return [value] if isinstance(value, (str, int, float)) or not hasattr(value, "__iter__") else list(value)


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return int(tag)
