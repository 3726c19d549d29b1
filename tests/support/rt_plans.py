"""RT Plans, conventional and ion, and what a delivery system says of the machine that delivers them."""

from __future__ import annotations

from pydicom.dataset import Dataset

RT_PLAN = "1.2.840.10008.5.1.4.1.1.481.5"
RT_ION_PLAN = "1.2.840.10008.5.1.4.1.1.481.8"
CONVENTIONAL = "1.2.840.10008.5.1.4.34.8"
ION = "1.2.840.10008.5.1.4.34.9"
PLAN_UID = "2.25.7001"
ION_PLAN_UID = "2.25.7002"
PATIENT_ID = "PAT-4711"

GANTRY_TOLERANCE = 0.5
TABLE_TOLERANCE = 2.0
JAW_TOLERANCE = 1.0


def item(**values: object) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def jaws(kind: str, *positions: float) -> Dataset:
    return item(RTBeamLimitingDeviceType=kind, LeafJawPositions=list(positions))


def plan() -> Dataset:
    """Fraction group 1 has beams 1 and 2, group 2 none, and beam 3 is in no group."""
    ds = item(
        SOPClassUID=RT_PLAN,
        SOPInstanceUID=PLAN_UID,
        PatientID=PATIENT_ID,
        PatientName="Quux^Hildegard",
        StudyInstanceUID="2.25.7000",
        SeriesInstanceUID="2.25.7000.1",
        Modality="RTPLAN",
    )
    ds.ToleranceTableSequence = [
        item(
            ToleranceTableNumber=1,
            GantryAngleTolerance=GANTRY_TOLERANCE,
            BeamLimitingDeviceAngleTolerance=0.5,
            TableTopVerticalPositionTolerance=TABLE_TOLERANCE,
            TableTopLongitudinalPositionTolerance=TABLE_TOLERANCE,
            BeamLimitingDeviceToleranceSequence=[
                item(RTBeamLimitingDeviceType="ASYMX", BeamLimitingDevicePositionTolerance=JAW_TOLERANCE)
            ],
        )
    ]
    ds.FractionGroupSequence = [
        item(
            FractionGroupNumber=1,
            ReferencedBeamSequence=[
                item(ReferencedBeamNumber=1, BeamMeterset=120.0),
                item(ReferencedBeamNumber=2, BeamMeterset=80.0),
            ],
        ),
        item(FractionGroupNumber=2, ReferencedBeamSequence=[]),
    ]
    ds.PatientSetupSequence = [
        item(PatientSetupNumber=1, FixationDeviceSequence=[item(FixationDeviceType="MASK")])
    ]
    ds.BeamSequence = [beam(1), beam(2), beam(3)]
    return ds


def beam(number: int) -> Dataset:
    return item(
        BeamNumber=number,
        BeamName=f"Field {number}",
        TreatmentMachineName="LINAC1",
        RadiationType="PHOTON",
        ReferencedToleranceTableNumber=1,
        ReferencedPatientSetupNumber=1,
        NumberOfWedges=1,
        NumberOfCompensators=0,
        NumberOfBoli=0,
        NumberOfBlocks=0,
        WedgeSequence=[item(WedgeNumber=1, WedgeID="W15", WedgeAngle=15)],
        ControlPointSequence=[
            item(
                ControlPointIndex=0,
                NominalBeamEnergy=6.0,
                GantryAngle=359.8,
                GantryRotationDirection="CW",
                BeamLimitingDeviceAngle=0.0,
                TableTopVerticalPosition=-100.0,
                TableTopLongitudinalPosition=50.0,
                BeamLimitingDevicePositionSequence=[
                    jaws("ASYMX", -50.0, 50.0),
                    jaws("ASYMY", -40.0, 40.0),
                ],
                WedgePositionSequence=[item(ReferencedWedgeNumber=1, WedgePosition="IN")],
            ),
            item(
                ControlPointIndex=1,
                GantryAngle=90.0,
                BeamLimitingDevicePositionSequence=[jaws("ASYMX", -30.0, 30.0)],
            ),
        ],
    )


def ion_plan() -> Dataset:
    ds = item(
        SOPClassUID=RT_ION_PLAN,
        SOPInstanceUID=ION_PLAN_UID,
        PatientID=PATIENT_ID,
        StudyInstanceUID="2.25.7000",
        SeriesInstanceUID="2.25.7000.2",
        Modality="RTPLAN",
    )
    ds.IonToleranceTableSequence = [
        item(
            ToleranceTableNumber=1,
            GantryAngleTolerance=GANTRY_TOLERANCE,
            SnoutPositionTolerance=1.5,
            TableTopPitchAngleTolerance=0.25,
        )
    ]
    ds.FractionGroupSequence = [
        item(FractionGroupNumber=1, ReferencedBeamSequence=[item(ReferencedBeamNumber=1, BeamMeterset=10.0)])
    ]
    ds.IonBeamSequence = [
        item(
            BeamNumber=1,
            BeamName="P1",
            TreatmentMachineName="CYCLO",
            RadiationType="PROTON",
            ScanMode="MODULATED",
            ReferencedToleranceTableNumber=1,
            NumberOfWedges=0,
            NumberOfCompensators=0,
            NumberOfBoli=0,
            NumberOfBlocks=0,
            NumberOfRangeShifters=1,
            NumberOfLateralSpreadingDevices=0,
            NumberOfRangeModulators=0,
            SnoutSequence=[item(SnoutID="S1")],
            RangeShifterSequence=[item(RangeShifterNumber=1, RangeShifterID="RS1")],
            IonControlPointSequence=[
                item(
                    ControlPointIndex=0,
                    NominalBeamEnergy=150.0,
                    GantryAngle=90.0,
                    SnoutPosition=300.0,
                    TableTopPitchAngle=1.0,
                    RangeShifterSettingsSequence=[
                        item(ReferencedRangeShifterNumber=1, RangeShifterSetting="IN")
                    ],
                )
            ],
        )
    ]
    return ds


def session(*, ion: bool = False) -> Dataset:
    """The attributes of an N-CREATE."""
    reference = item(
        ReferencedSOPClassUID=RT_ION_PLAN if ion else RT_PLAN,
        ReferencedSOPInstanceUID=ION_PLAN_UID if ion else PLAN_UID,
    )
    return item(
        ReferencedRTPlanSequence=[reference],
        ReferencedFractionGroupNumber=1,
        PatientID=PATIENT_ID,
        IssuerOfPatientID=None,
        IssuerOfPatientIDQualifiersSequence=[],
        GeneralMachineVerificationSequence=[],
        **{"IonMachineVerificationSequence" if ion else "ConventionalMachineVerificationSequence": []},
    )


def general(**changes: object) -> Dataset:
    values: dict[str, object] = {
        "TreatmentMachineName": "LINAC1",
        "BeamName": "Field 1",
        "RadiationType": "PHOTON",
        "ReferencedBeamNumber": 1,
        "NumberOfControlPoints": 1,
        "NumberOfWedges": 1,
        "NumberOfCompensators": 0,
        "NumberOfBoli": 0,
        "NumberOfBlocks": 0,
        "SpecifiedPrimaryMeterset": 120.0,
        "RecordedWedgeSequence": [item(WedgeNumber=1, WedgeID="W15")],
        **changes,
    }
    return item(**{keyword: value for keyword, value in values.items() if value is not None})


def machine(**changes: object) -> Dataset:
    values: dict[str, object] = {
        "ReferencedControlPointIndex": 0,
        "NominalBeamEnergy": 6.0,
        "GantryAngle": 0.0,
        "GantryRotationDirection": "CW",
        "BeamLimitingDeviceAngle": 0.0,
        "TableTopVerticalPosition": -99.0,
        "TableTopLongitudinalPosition": 50.0,
        "BeamLimitingDevicePositionSequence": [jaws("ASYMX", -50.5, 50.0)],
        "WedgePositionSequence": [item(ReferencedWedgeNumber=1, WedgePosition="IN")],
        **changes,
    }
    point = item(**{keyword: value for keyword, value in values.items() if value is not None})
    return item(ConventionalControlPointVerificationSequence=[point])


def ion_general(**changes: object) -> Dataset:
    return general(
        **{
            "TreatmentMachineName": "CYCLO",
            "BeamName": "P1",
            "RadiationType": "PROTON",
            "NumberOfWedges": 0,
            "SpecifiedPrimaryMeterset": 10.0,
            "RecordedWedgeSequence": None,
            **changes,
        }
    )


def ion_machine(point: dict[str, object] | None = None, **changes: object) -> Dataset:
    values: dict[str, object] = {
        "ReferencedControlPointIndex": 0,
        "NominalBeamEnergy": 150.0,
        "GantryAngle": 90.2,
        "GantryRotationDirection": "NONE",
        "SnoutPosition": 301.0,
        "TableTopPitchAngle": 1.1,
        "RangeShifterSettingsSequence": [item(ReferencedRangeShifterNumber=1, RangeShifterSetting="IN")],
        **(point or {}),
    }
    own: dict[str, object] = {
        "IonControlPointVerificationSequence": [item(**values)],
        "ScanMode": "MODULATED",
        "NumberOfRangeShifters": 1,
        "NumberOfLateralSpreadingDevices": 0,
        "NumberOfRangeModulators": 0,
        "RecordedSnoutSequence": [item(SnoutID="S1")],
        "RecordedRangeShifterSequence": [item(ReferencedRangeShifterNumber=1)],
        **changes,
    }
    return item(**{keyword: value for keyword, value in own.items() if value is not None})


def setting(general_item: Dataset | None = None, machine_item: Dataset | None = None) -> Dataset:
    """The Modification List of an N-SET of a conventional machine."""
    return item(
        GeneralMachineVerificationSequence=[general_item or general()],
        ConventionalMachineVerificationSequence=[machine_item or machine()],
    )


def ion_setting(general_item: Dataset | None = None, machine_item: Dataset | None = None) -> Dataset:
    return item(
        GeneralMachineVerificationSequence=[general_item or ion_general()],
        IonMachineVerificationSequence=[machine_item or ion_machine()],
    )
