"""Instance Availability, Display System, Application Event Logging, Media Creation as SCP, over loopback."""

from __future__ import annotations

from pathlib import Path
from queue import Queue
from threading import Event as Flag
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dulcimer.scp.display_system import DISPLAY_SYSTEM, DISPLAY_SYSTEM_INSTANCE, DisplaySystemService
from dulcimer.scp.event_logging import EventLoggingService
from dulcimer.scp.instance_availability import (
    INSTANCE_AVAILABILITY_NOTIFICATION,
    InstanceAvailabilityService,
)
from dulcimer.scp.media_creation import MediaCreationService
from dulcimer.scp.repository import MemoryRepository
from dulcimer.services import event_logging as logging_rules
from dulcimer.services import media_creation as media_rules
from dulcimer.services.event_logging import Study
from support.real_files import shipped
from support.rt_plans import item
from support.services import serving

SECONDS = 20.0


def status_of(answer: tuple[Dataset, Any]) -> int:
    return int(answer[0].Status)


# -- Instance Availability Notification


def notification() -> Dataset:
    return item(
        ReferencedPerformedProcedureStepSequence=[],
        StudyInstanceUID="2.25.1",
        ReferencedSeriesSequence=[
            item(
                SeriesInstanceUID="2.25.1.1",
                ReferencedSOPSequence=[
                    item(
                        ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2",
                        ReferencedSOPInstanceUID="2.25.1.1.1",
                        InstanceAvailability="ONLINE",
                        RetrieveAETitle="ARCHIVE",
                    )
                ],
            )
        ],
    )


def test_instance_availability() -> None:
    repository = MemoryRepository()
    told: Queue[tuple[Any, ...]] = Queue()
    with serving(lambda _: [InstanceAvailabilityService(repository)]) as made:
        made.services[0].on("notified", lambda *arguments: told.put(arguments))
        association = made.associate(INSTANCE_AVAILABILITY_NOTIFICATION)

        def create(dataset: Dataset, uid: str | None = None) -> Dataset:
            return association.send_n_create(dataset, INSTANCE_AVAILABILITY_NOTIFICATION, uid)[0]

        assert create(notification(), "2.25.9").Status == 0x0000
        assert create(notification(), "2.25.9").Status == 0x0111
        made_up = create(notification())
        assert made_up.Status == 0x0000
        lacking = notification()
        del lacking.StudyInstanceUID
        assert create(lacking).Status == 0x0120
        empty = notification()
        empty.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].RetrieveAETitle = None
        assert create(empty).Status == 0x0121
    kept = dict(repository.all())
    assert set(kept) == {"2.25.9", made_up.AffectedSOPInstanceUID}
    assert kept["2.25.9"] == notification()
    uid, dataset, aet = told.get_nowait()
    assert (uid, dataset.StudyInstanceUID, aet) == ("2.25.9", "2.25.1", "SCU")


# -- Display System


def test_display_system() -> None:
    description = item(Manufacturer="Quux", DeviceSerialNumber="7", InstitutionName="Clinic")
    with serving(lambda _: [DisplaySystemService(description)]) as made:
        association = made.associate(DISPLAY_SYSTEM)
        status, found = association.send_n_get([], DISPLAY_SYSTEM, DISPLAY_SYSTEM_INSTANCE)
        assert status.Status == 0x0000
        assert found is not None
        assert (found.Manufacturer, found.DeviceSerialNumber) == ("Quux", "7")
        # Type 2 of Table EE.2.2.1-1: there, without a value.
        assert found["StationName"].is_empty
        status, found = association.send_n_get(
            [0x00080070, 0x00100010], DISPLAY_SYSTEM, DISPLAY_SYSTEM_INSTANCE
        )
        assert (status.Status, status.AttributeIdentifierList) == (0x0107, 0x00100010)
        assert found is not None
        assert found.Manufacturer == "Quux"
        assert status_of(association.send_n_get([], DISPLAY_SYSTEM, "2.25.1")) == 0x0112


# -- Application Event Logging


def log_entry(**changes: Any) -> Dataset:
    code = item(CodeValue="121145", CodingSchemeDesignator="DCM", CodeMeaning="Description of Material")
    values: dict[str, Any] = {
        "PatientID": "P1",
        "StudyInstanceUID": "2.25.1",
        "StudyID": "S1",
        "SynchronizationFrameOfReferenceUID": None,
        "PerformedLocation": None,
        "ValueType": "CONTAINER",
        "ConceptNameCodeSequence": [code],
        "ContinuityOfContent": "SEPARATE",
        "ContentSequence": [
            item(
                RelationshipType="CONTAINS",
                ObservationDateTime="20261124101500",
                ValueType="TEXT",
                ConceptNameCodeSequence=[code],
                TextValue="Stent",
            )
        ],
        **changes,
    }
    return item(**values)


STUDY = Study("2.25.1", "P1", "S1", "2.25.77")


@pytest.mark.parametrize(
    ("changes", "study", "insist", "status"),
    [
        ({}, STUDY, False, 0x0000),
        ({"SynchronizationFrameOfReferenceUID": "2.25.77"}, STUDY, False, 0x0000),
        ({"SynchronizationFrameOfReferenceUID": "2.25.78"}, STUDY, False, 0xB101),
        ({"StudyInstanceUID": "2.25.2"}, STUDY, False, 0xB102),
        ({"StudyInstanceUID": None}, STUDY, False, 0x0000),
        ({"PatientID": "P2"}, STUDY, False, 0xB104),
        ({"PatientID": "P2"}, STUDY, True, 0xC104),
        ({"StudyID": "S2"}, STUDY, True, 0xC104),
        ({}, Study("2.25.1", available=False), False, 0xC101),
        ({}, None, False, 0xC103),
        ({"ContentSequence": []}, STUDY, False, 0xC102),
        ({"ContentSequence": [item(ValueType="TEXT")]}, STUDY, False, 0xC102),
        ({"ContentTemplateSequence": [item(TemplateIdentifier="2000")]}, STUDY, False, 0xC102),
    ],
)
def test_procedural_events(changes: Any, study: Study | None, insist: bool, status: int) -> None:
    repository = MemoryRepository()
    with serving(lambda _: [EventLoggingService(repository, studies=lambda _: study, insist=insist)]) as made:
        association = made.associate(logging_rules.PROCEDURAL)
        answer, reply = association.send_n_action(
            log_entry(**changes), 1, logging_rules.PROCEDURAL, logging_rules.PROCEDURAL_INSTANCE
        )
        assert answer.Status == status, answer
    stored = [each for _, each in repository.all()]
    if status >= 0xC000:
        assert stored == []
    else:
        assert reply is not None
        assert (reply.StudyInstanceUID, reply.PatientID) == ("2.25.1", "P1")
        assert stored[0].StudyInstanceUID == "2.25.1"
        assert stored[0].ContentSequence[0].TextValue == "Stent"


def test_without_a_directory_of_studies() -> None:
    with serving(lambda _: [EventLoggingService()]) as made:
        association = made.associate(logging_rules.PROCEDURAL)

        def record(entry: Dataset, action: int = 1, uid: str = logging_rules.PROCEDURAL_INSTANCE) -> int:
            return status_of(association.send_n_action(entry, action, logging_rules.PROCEDURAL, uid))

        assert record(log_entry()) == 0x0000
        assert record(log_entry(StudyInstanceUID=None)) == 0xC103
        assert record(log_entry(), action=2) == 0x0123
        assert record(log_entry(), uid="2.25.1") == 0x0112


def administration(**changes: Any) -> Dataset:
    code = item(CodeValue="1", CodingSchemeDesignator="99X", CodeMeaning="Somebody")
    values: dict[str, Any] = {
        "PatientID": "P1",
        "PatientName": "Quux^Q",
        "AdmissionID": "A1",
        "ProductName": "Contrast",
        "ProductPackageIdentifier": "0123",
        "SubstanceAdministrationApproval": None,
        "SubstanceAdministrationDateTime": "20261124101500",
        "AdministrationRouteCodeSequence": [],
        "OperatorIdentificationSequence": [item(PersonIdentificationCodeSequence=[code])],
        **changes,
    }
    return item(**{keyword: value for keyword, value in values.items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "known", "authorized", "status"),
    [
        ({}, True, True, 0x0000),
        ({}, False, True, 0xC110),
        ({"PatientID": None, "AdmissionID": None}, True, True, 0xC110),
        ({}, True, False, 0xC10E),
        ({"SubstanceAdministrationDateTime": None}, True, True, 0x0120),
    ],
)
def test_substance_administration(changes: Any, known: bool, authorized: bool, status: int) -> None:
    repository = MemoryRepository()
    with serving(
        lambda _: [
            EventLoggingService(repository, patients=lambda *_: known, authorized=lambda _: authorized)
        ]
    ) as made:
        association = made.associate(logging_rules.SUBSTANCE)
        answer, _ = association.send_n_action(
            administration(**changes), 1, logging_rules.SUBSTANCE, logging_rules.SUBSTANCE_INSTANCE
        )
        assert answer.Status == status, answer
    assert len(list(repository.all())) == (status == 0)


def test_c111_the_record_cannot_be_updated() -> None:
    class Full(MemoryRepository):
        def transaction(self) -> Any:
            raise OSError("no room")

    with serving(lambda _: [EventLoggingService(Full())]) as made:
        association = made.associate(logging_rules.SUBSTANCE)
        answer = association.send_n_action(
            administration(), 1, logging_rules.SUBSTANCE, logging_rules.SUBSTANCE_INSTANCE
        )
        assert status_of(answer) == 0xC111


# -- Media Creation


def files() -> dict[tuple[str, str], Path]:
    found = {}
    for path in (each for each in shipped() if each.name in ("CT_small.dcm", "MR_small.dcm")):
        ds = dcmread(path, stop_before_pixels=True)
        found[str(ds.SOPClassUID), str(ds.SOPInstanceUID)] = path
    return found


def request(*references: tuple[str, str]) -> Dataset:
    return item(
        StorageMediaFileSetID="MEDIA1",
        ReferencedSOPSequence=[
            item(ReferencedSOPClassUID=class_uid, ReferencedSOPInstanceUID=uid)
            for class_uid, uid in references
        ],
    )


def test_media_from_request_to_folder(tmp_path: Path) -> None:
    held = files()
    done: Queue[tuple[str, Path]] = Queue()
    with serving(
        lambda _: [MediaCreationService(lambda *uids: held.get(uids), tmp_path, MemoryRepository())]
    ) as made:
        made.services[0].on("done", lambda *arguments: done.put(arguments))
        association = made.associate(media_rules.MEDIA_CREATION)
        status, _ = association.send_n_create(request(*held), media_rules.MEDIA_CREATION, "2.25.5")
        assert status.Status == 0x0000
        assert execution(association, "2.25.5") == ("IDLE", "NORMAL")
        assert act(association, 1, "2.25.5") == 0x0000
        uid, folder = done.get(timeout=SECONDS)
        assert (uid, folder) == ("2.25.5", tmp_path / "2.25.5")
        assert execution(association, "2.25.5") == ("DONE", "NORMAL")
        # S.3.2.2 and S.3.2.3
        assert act(association, 1, "2.25.5") == 0xA510
        assert act(association, 2, "2.25.5") == 0xC201
        _, found = association.send_n_get([], media_rules.MEDIA_CREATION, "2.25.5")
        assert found is not None
        assert found.TotalNumberOfPiecesOfMediaCreated == 1
        assert found.ReferencedStorageMediaSequence[0].StorageMediaFileSetID == "MEDIA1"
    directory = dcmread(folder / "DICOMDIR")
    kinds = [record.DirectoryRecordType for record in directory.DirectoryRecordSequence]
    assert kinds.count("IMAGE") == 2
    written = {
        dcmread(path, stop_before_pixels=True).SOPInstanceUID
        for path in folder.rglob("*")
        if path.is_file() and path.name != "DICOMDIR"
    }
    assert written == {uid for _, uid in held}
    assert [each.name for each in tmp_path.iterdir()] == ["2.25.5"]


def test_media_of_what_is_not_there(tmp_path: Path) -> None:
    failed: Queue[Any] = Queue()
    with serving(lambda _: [MediaCreationService(lambda *_: None, tmp_path)]) as made:
        made.services[0].on("failed", lambda *arguments: failed.put(arguments))
        association = made.associate(media_rules.MEDIA_CREATION)
        association.send_n_create(
            request(("1.2.840.10008.5.1.4.1.1.2", "2.25.1")), media_rules.MEDIA_CREATION, "2.25.5"
        )
        act(association, 1, "2.25.5")
        failed.get(timeout=SECONDS)
        _, found = association.send_n_get([], media_rules.MEDIA_CREATION, "2.25.5")
        assert found is not None
        assert (found.ExecutionStatus, found.ExecutionStatusInfo) == ("FAILURE", "NO_INSTANCE")
        assert found.FailedSOPSequence[0].FailureReason == 0x0112
    assert list(tmp_path.iterdir()) == []


def test_cancelling_media(tmp_path: Path) -> None:
    held = files()
    reached, may = Flag(), Flag()

    def slow(*uids: str) -> Path | None:
        reached.set()
        may.wait(SECONDS)
        return held.get(uids)  # type: ignore[call-overload, no-any-return]

    with serving(lambda _: [MediaCreationService(slow, tmp_path)]) as made:
        association = made.associate(media_rules.MEDIA_CREATION)
        for uid in ("2.25.5", "2.25.6", "2.25.7"):
            association.send_n_create(request(*held), media_rules.MEDIA_CREATION, uid)
        assert act(association, 2, "2.25.7") == 0x0000
        assert status_of(association.send_n_get([], media_rules.MEDIA_CREATION, "2.25.7")) == 0x0112
        assert act(association, 1, "2.25.5") == 0x0000
        assert reached.wait(SECONDS)
        assert act(association, 1, "2.25.6") == 0x0000
        assert act(association, 2, "2.25.5") == 0xC202
        assert act(association, 2, "2.25.6") == 0x0000
        assert act(association, 3, "2.25.5") == 0x0123
        may.set()
    assert [each.name for each in tmp_path.iterdir()] == ["2.25.5"]


def test_media_are_begun_again_after_a_restart(tmp_path: Path) -> None:
    held = files()
    repository = MemoryRepository()
    with repository.transaction() as transaction:
        stored, _ = media_rules.create(request(*held))
        transaction.put("2.25.5", media_rules.begun(media_rules.initiate(stored, None)))
    (tmp_path / "2.25.5.partial").mkdir()
    made = MediaCreationService(lambda *uids: held.get(uids), tmp_path, repository)
    while media_rules.status_of(repository.get("2.25.5") or Dataset()) not in ("DONE", "FAILURE"):
        Flag().wait(0.01)
    made.close()
    assert (tmp_path / "2.25.5" / "DICOMDIR").exists()
    assert [each.name for each in tmp_path.iterdir()] == ["2.25.5"]


def act(association: Any, action: int, uid: str) -> int:
    return status_of(association.send_n_action(None, action, media_rules.MEDIA_CREATION, uid))


def execution(association: Any, uid: str) -> tuple[str, str]:
    status, found = association.send_n_get([0x21000020, 0x21000030], media_rules.MEDIA_CREATION, uid)
    assert status.Status == 0x0000
    return found.ExecutionStatus, found.ExecutionStatusInfo


def test_an_iso_image_of_the_media(tmp_path: Path) -> None:
    pycdlib = pytest.importorskip("pycdlib")
    held = files()
    done: Queue[Any] = Queue()
    with serving(lambda _: [MediaCreationService(lambda *uids: held.get(uids), tmp_path, iso=True)]) as made:
        made.services[0].on("done", lambda *arguments: done.put(arguments))
        association = made.associate(media_rules.MEDIA_CREATION)
        association.send_n_create(request(*held), media_rules.MEDIA_CREATION, "2.25.5")
        assert act(association, 1, "2.25.5") == 0x0000
        _, folder = done.get(timeout=SECONDS)
    image = pycdlib.PyCdlib()
    image.open(str(tmp_path / "2.25.5.iso"))
    on_it = {
        f"{place}/{name}".removesuffix(".;1").lstrip("/")
        for place, _, names in image.walk(iso_path="/")
        for name in names
    }
    assert on_it == {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    directory = tmp_path / "DICOMDIR"
    image.get_file_from_iso(str(directory), iso_path="/DICOMDIR.;1")
    assert directory.read_bytes() == (folder / "DICOMDIR").read_bytes()
    image.close()
