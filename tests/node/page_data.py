"""A made-up morning in radiology, sent to a node: what its page is looked at with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dulcimer import AE, build_context
from dulcimer.scu import mpps, print_management, ups
from dulcimer.scu.mpps import Mpps
from dulcimer.scu.print_management import PrintSession
from dulcimer.scu.ups import UpsWorkitem
from dulcimer.services import storage_commitment
from node.objects import completion
from support.workitems import code, new_workitem

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "SR": "1.2.840.10008.5.1.4.1.1.88.11",
}
TODAY = "20261124"


@dataclass(frozen=True)
class Case:
    """A made-up examination."""

    name: str
    patient_id: str
    born: str
    sex: str
    modality: str
    description: str
    body_part: str
    accession: str
    images: int
    clock: str

    @property
    def study(self) -> str:
        return f"2.25.{int(self.accession[1:])}000"


CASES = (
    Case(
        "Morgan^Ines", "RX-10041", "19581103", "F", "CR", "Chest, two views", "CHEST", "A20417", 2, "081200"
    ),
    Case(
        "Okafor^Daniel",
        "RX-10077",
        "19840621",
        "M",
        "MR",
        "Brain without contrast",
        "HEAD",
        "A20421",
        6,
        "084500",
    ),
    Case(
        "Lindqvist^Åsa",
        "RX-09933",
        "19711212",
        "F",
        "CT",
        "Abdomen, venous phase",
        "ABDOMEN",
        "A20425",
        8,
        "091000",
    ),
    Case("Yamada^Tarou", "RX-10102", "19650305", "M", "US", "Liver", "LIVER", "A20428", 3, "093000"),
    Case(
        "Haddad^Leïla", "RX-10110", "19920817", "F", "CT", "Chest, low dose", "CHEST", "A20431", 5, "095500"
    ),
)


def _blob(
    x: np.ndarray, y: np.ndarray, at: tuple[float, float], radii: tuple[float, float], soft: float = 0.06
) -> np.ndarray:
    distance = np.hypot((x - at[0]) / radii[0], (y - at[1]) / radii[1])
    return 1 / (1 + np.exp((distance - 1) / soft))


def phantom(modality: str, at: float, side: int = 256) -> np.ndarray:
    """Paint something that looks like the modality from afar, ``at`` a height from 0 to 1, in 12 bits."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    grain = np.random.default_rng(int(at * 1000)).normal(0, 1, (side, side))
    swell = 0.9 + 0.1 * np.sin(np.pi * at)
    if modality == "MR":
        skull = _blob(x, y, (0, 0), (0.72 * swell, 0.9 * swell)) - _blob(
            x, y, (0, 0), (0.66 * swell, 0.84 * swell)
        )
        brain = _blob(x, y, (0, 0), (0.62 * swell, 0.8 * swell))
        folds = 0.12 * np.sin(16 * np.hypot(x, y * 0.8) + 5 * np.sin(6 * np.arctan2(y, x)))
        ventricle = _blob(x, y, (-0.13, -0.05), (0.08, 0.28 * swell)) + _blob(
            x, y, (0.13, -0.05), (0.08, 0.28 * swell)
        )
        image = 0.75 * skull + brain * (0.55 + folds) - 0.4 * ventricle
    elif modality == "CT":
        body = _blob(x, y, (0, 0.05), (0.92, 0.68), 0.02)
        fat = _blob(x, y, (0, 0.05), (0.85, 0.6), 0.03)
        spine = _blob(x, y, (0, 0.43), (0.13, 0.12), 0.1)
        organ = _blob(x, y, (-0.35, -0.05), (0.38 * swell, 0.3), 0.05)
        kidney = _blob(x, y, (0.42, 0.25), (0.13, 0.17), 0.08) + _blob(x, y, (-0.45, 0.3), (0.13, 0.16), 0.08)
        vessel = _blob(x, y, (0.05, 0.22), (0.07, 0.07), 0.1)
        image = 0.28 * body + 0.18 * fat + 0.14 * organ + 0.22 * kidney + 0.3 * vessel + 0.55 * spine
    elif modality == "US":
        angle, depth = np.arctan2(x, y + 1.25), np.hypot(x, y + 1.25)
        fan = (np.abs(angle) < 0.62) & (depth > 0.35) & (depth < 2.15)
        speckle = np.abs(np.convolve(grain.ravel(), np.ones(5) / 5, "same").reshape(side, side))
        tissue = 0.25 + 0.5 * speckle - 0.28 * _blob(x, y, (0.15, 0.25), (0.22, 0.16), 0.05)
        image = np.where(fan, tissue * (1.15 - 0.3 * depth), 0)
    else:
        chest = _blob(x, y, (0, 0.25), (0.95, 1.05), 0.06)
        lung = _blob(x, y, (-0.42, 0.1), (0.33, 0.62), 0.09) + _blob(x, y, (0.42, 0.1), (0.33, 0.62), 0.09)
        heart = _blob(x, y, (0.14, 0.38), (0.32, 0.3), 0.12)
        ribs = 0.09 * np.sin(18 * (y - 0.35 * x**2)) * chest
        spine = _blob(x, y, (0, 0.2), (0.1, 1.2), 0.2)
        image = 0.7 * chest - 0.5 * lung + 0.3 * heart + ribs + 0.2 * spine
    return (np.clip(image + 0.012 * grain, 0, 1) * 4095).astype(np.uint16)


def images(case: Case, side: int = 256) -> list[Dataset]:
    """Make the images of a case."""
    return [_image(case, number, side) for number in range(1, case.images + 1)]


def _image(case: Case, number: int, side: int) -> Dataset:
    pixels = phantom(case.modality, number / (case.images + 1), side)
    ds = _common(case, case.modality, number)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = "2048", "4096"
    ds.PixelData = pixels.tobytes()
    return ds


def report(case: Case) -> Dataset:
    """Make a report, which has no image."""
    ds = _common(case, "SR", 1, series=2)
    ds.SeriesDescription = "Report"
    ds.CompletionFlag, ds.VerificationFlag, ds.ValueType = "COMPLETE", "UNVERIFIED", "CONTAINER"
    return ds


def _common(case: Case, modality: str, number: int, series: int = 1) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = CLASSES[modality]
    ds.SOPInstanceUID = f"{case.study}.{series}.{number}"
    ds.StudyInstanceUID = case.study
    ds.SeriesInstanceUID = f"{case.study}.{series}"
    ds.PatientName, ds.PatientID = case.name, case.patient_id
    ds.PatientBirthDate, ds.PatientSex = case.born, case.sex
    ds.StudyDate, ds.StudyTime, ds.StudyDescription = TODAY, case.clock, case.description
    ds.AccessionNumber = case.accession
    ds.Modality, ds.BodyPartExamined, ds.SeriesDescription = modality, case.body_part, case.description
    ds.SeriesNumber, ds.InstanceNumber = str(series), str(number)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def associate(address: tuple[str, int], aet: str, *contexts: Any) -> Any:
    """Associate, or say why not."""
    association = AE(aet).associate(*address, contexts=[*contexts])
    assert association.is_established, association.failure
    return association


def send(address: tuple[str, int], aet: str, datasets: list[Dataset]) -> None:
    """Store objects."""
    classes = {dataset.SOPClassUID for dataset in datasets}
    with associate(address, aet, *(build_context(uid) for uid in classes)) as association:
        for dataset in datasets:
            assert association.send_c_store(dataset).Status == 0x0000


def step(case: Case) -> Dataset:
    """The attributes of a new performed procedure step."""
    scheduled = Dataset()
    scheduled.StudyInstanceUID = case.study
    scheduled.AccessionNumber = case.accession
    scheduled.RequestedProcedureDescription = case.description
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ScheduledStepAttributesSequence = [scheduled]
    ds.PatientName, ds.PatientID = case.name, case.patient_id
    ds.PatientBirthDate, ds.PatientSex = case.born, case.sex
    ds.PerformedProcedureStepID = f"P{case.accession}"
    ds.PerformedProcedureStepDescription = case.description
    ds.PerformedProcedureStepStartDate, ds.PerformedProcedureStepStartTime = TODAY, case.clock
    ds.Modality = case.modality
    return ds


def perform(address: tuple[str, int], case: Case, ends: str | None) -> Callable[[str], None]:
    """Report a step; return what ends it, which is done already if ``ends`` says how."""
    station = f"{case.modality}ROOM1"
    with associate(address, station, *mpps.contexts()) as association:
        uid = Mpps.create(association, step(case)).uid

    def end(state: str) -> None:
        with associate(address, station, *mpps.contexts()) as again:
            change = completion(state)
            change.PerformedProcedureStepEndDate = TODAY
            change.PerformedProcedureStepEndTime = f"{int(case.clock[:2]) + 1:02d}{case.clock[2:]}"
            status, _ = again.send_n_set(change, mpps.contexts()[0].abstract_syntax, uid)
            assert status.Status == 0x0000

    if ends is not None:
        end(ends)
    return end


def read(
    address: tuple[str, int], case: Case, percent: float | None = None, *, cancelled: bool = False
) -> None:
    """Schedule the reading of an examination, begin it, or have it cancelled."""
    workitem = new_workitem(f"Read: {case.description}")
    workitem.SpecificCharacterSet = "ISO_IR 192"
    workitem.PatientName, workitem.PatientID = case.name, case.patient_id
    workitem.StudyInstanceUID = case.study
    workitem.ScheduledProcedureStepStartDateTime = f"{TODAY}113000"
    workitem.ScheduledStationNameCodeSequence = [code("RR1", "99X", "Reading room 1")]
    with associate(address, "WORKLIST", *ups.contexts(events=False)) as association:
        item = UpsWorkitem.create(association, workitem)
        if cancelled:
            item.request_cancel()
        elif percent is not None:
            item.claim()
            item.progress(percent)


def print_film(address: tuple[str, int], case: Case, **settings: Any) -> None:
    """Print the images of a case on a film and wait until that is done."""
    with (
        associate(address, "VIEWER1", *print_management.contexts()) as association,
        PrintSession(association) as session,
    ):
        for job in session.print_images(images(case, 512), **settings):
            assert job.wait(30.0)


def ask_for_commitment(address: tuple[str, int], case: Case, transaction: str, *, unknown: int = 0) -> None:
    """Ask for the commitment of a case, and of instances that nobody has sent."""
    asked = Dataset()
    asked.TransactionUID = transaction
    asked.ReferencedSOPSequence = []
    uids = [f"{case.study}.1.{number}" for number in range(1, case.images + 1 + unknown)]
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CLASSES[case.modality], uid
        asked.ReferencedSOPSequence.append(item)
    model, instance = storage_commitment.PUSH_MODEL, storage_commitment.PUSH_MODEL_INSTANCE
    with associate(address, f"{case.modality}ROOM1", build_context(model)) as association:
        status, _ = association.send_n_action(asked, 1, model, instance)
        assert status.Status == 0x0000


def morning(address: tuple[str, int]) -> Callable[[str], None]:
    """Send all of it; return what ends the step that is still in progress."""
    chest, brain, abdomen, liver, lungs = CASES
    for case in CASES:
        send(address, f"{case.modality}ROOM1", images(case))
    send(address, "REPORTER", [report(chest)])
    perform(address, chest, "COMPLETED")
    perform(address, brain, "COMPLETED")
    perform(address, liver, "DISCONTINUED")
    read(address, chest, 60.0)
    read(address, brain)
    read(address, abdomen)
    read(address, liver, cancelled=True)
    print_film(address, abdomen, layout="STANDARD\\2,3", film_size="14INX17IN")
    print_film(address, chest, layout="STANDARD\\1,1", film_size="8INX10IN")
    ask_for_commitment(address, brain, "2.25.900001")
    ask_for_commitment(address, liver, "2.25.900002", unknown=2)
    # A step that nobody knows cannot be set: the page shows what was refused.
    with associate(address, "CTROOM2", *mpps.contexts()) as association:
        status, _ = association.send_n_set(completion(), mpps.contexts()[0].abstract_syntax, "2.25.404")
        assert status.Status == 0x0112
    perform(address, abdomen, "COMPLETED")
    return perform(address, lungs, None)
