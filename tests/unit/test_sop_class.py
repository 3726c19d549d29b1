from __future__ import annotations

from typing import Any

import pytest
from pydicom.uid import UID

from dulcimer import service_class, service_class_n, sop_class
from dulcimer.services import registry, sop_classes, tables

STORAGE_UID = "1.2.826.0.1.3680043.10.43.1"


@pytest.fixture(autouse=True)
def _fresh_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "REGISTRY", registry.Registry())


def test_a_keyword_is_an_attribute() -> None:
    found = sop_class.CTImageStorage
    assert found == "1.2.840.10008.5.1.4.1.1.2"
    assert isinstance(found, sop_class.SOPClass)
    assert isinstance(found, UID)
    assert found.name == "CT Image Storage"
    assert found.service_class is service_class.StorageServiceClass


def test_well_known_instances_are_attributes() -> None:
    assert sop_class.UPSGlobalSubscriptionInstance == "1.2.840.10008.5.1.4.34.5"


def test_star_import_and_dir_name_every_keyword() -> None:
    namespace: dict[str, Any] = {}
    exec("from dulcimer.sop_class import *", namespace)
    assert namespace["ModalityPerformedProcedureStep"] == "1.2.840.10008.3.1.2.3.3"
    assert {"ModalityPerformedProcedureStep", "_STORAGE_CLASSES"} <= set(dir(sop_class))


def test_unknown_names_and_uids() -> None:
    with pytest.raises(AttributeError, match="NoSuchStorage"):
        _ = sop_class.NoSuchStorage
    assert sop_class.uid_to_service_class("1.2.3") is service_class.ServiceClass
    assert sop_class.uid_to_sop_class("1.2.3") == "1.2.3"


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("_STORAGE_CLASSES", 170),
        ("_QR_CLASSES", 13),
        ("_PRINT_MANAGEMENT_CLASSES", 11),
        ("_NON_PATIENT_OBJECT_CLASSES", 9),
        ("_PROCEDURE_STEP_CLASSES", 3),
    ],
)
def test_groups(name: str, count: int) -> None:
    assert len(getattr(sop_class, name)) == count


def test_no_uid_and_no_keyword_occurs_twice() -> None:
    rows = [row for value in vars(sop_classes).values() if isinstance(value, tuple) for row in value]
    for column in (0, 1):
        values = [row[column] for row in rows]
        assert len(values) == len(set(values))
    assert all(UID(row[1]).is_valid for row in rows)


def test_operations_name_services_of_ps3_7() -> None:
    known = {"C-ECHO", "C-STORE", "C-FIND", "C-GET", "C-MOVE"} | {
        f"N-{name}" for name in ("CREATE", "SET", "GET", "ACTION", "DELETE", "EVENT-REPORT")
    }
    for service in tables.SERVICES:
        assert service.all_operations <= known
        for uid in service.classes:
            assert service.operations(uid) or service is tables.MEDIA_STORAGE


@pytest.mark.parametrize(
    ("keyword", "operations"),
    [
        ("Verification", {"C-ECHO"}),
        ("CTImageStorage", {"C-STORE"}),
        ("ModalityPerformedProcedureStep", {"N-CREATE", "N-SET"}),
        ("ModalityPerformedProcedureStepRetrieve", {"N-GET"}),
        ("ModalityPerformedProcedureStepNotification", {"N-EVENT-REPORT"}),
        ("UnifiedProcedureStepPull", {"C-FIND", "N-GET", "N-SET", "N-ACTION"}),
        ("BasicFilmSession", {"N-CREATE", "N-SET", "N-DELETE", "N-ACTION"}),
        ("BasicGrayscaleImageBox", {"N-SET"}),
        ("StudyRootQueryRetrieveInformationModelMove", {"C-MOVE"}),
        ("InventoryCreation", {"N-ACTION", "N-EVENT-REPORT"}),
    ],
)
def test_operations(keyword: str, operations: set[str]) -> None:
    uid = getattr(sop_class, keyword)
    service = registry.service_for(uid)
    assert service is not None
    assert service.operations(uid) == operations


def test_meta_classes_hold_known_print_classes() -> None:
    assert len(registry.META_CLASSES) == 2
    for meta, members in registry.META_CLASSES.items():
        assert {meta, *members} <= set(tables.PRINT_MANAGEMENT.classes)


def test_ups_commands_name_the_push_class() -> None:
    push, pull = sop_class.UnifiedProcedureStepPush, sop_class.UnifiedProcedureStepPull
    assert push == registry.UPS_PUSH
    assert registry.is_ups(pull)
    assert not registry.is_ups(sop_class.CTImageStorage)
    assert registry.command_class(pull, pull) == push
    assert registry.command_class("1.2.840.10008.5.1.1.9", "1.2.840.10008.5.1.1.2") == "1.2.840.10008.5.1.1.2"


@pytest.mark.parametrize(
    ("uid", "storage", "other"),
    [
        ("1.2.840.10008.5.1.4.1.1.2", True, False),
        ("1.2.840.10008.5.1.4.1.1.9", True, False),  # retired: Standalone Curve
        ("1.2.840.10008.5.1.4.38.1", True, False),  # not of a patient: Hanging Protocol
        ("1.2.840.10008.1.1", False, True),
        ("1.2.840.10008.3.1.2.1.1", False, True),  # retired: Detached Patient Management
        (STORAGE_UID, False, False),
    ],
)
def test_what_is_storage(uid: str, storage: bool, other: bool) -> None:
    assert registry.is_storage(uid) is storage
    assert registry.is_other_than_storage(uid) is other


def test_register_a_storage_class() -> None:
    sop_class.register_uid(STORAGE_UID, "PrivateStorage", service_class.StorageServiceClass)
    assert sop_class.PrivateStorage == STORAGE_UID
    assert sop_class.PrivateStorage.service_class is service_class.StorageServiceClass
    assert sop_class._STORAGE_CLASSES["PrivateStorage"] == STORAGE_UID
    service = registry.service_for(STORAGE_UID)
    assert service is not None
    assert service == tables.STORAGE
    assert service.operations(STORAGE_UID) == {"C-STORE"}
    assert registry.is_storage(STORAGE_UID)


@pytest.mark.parametrize(
    ("cls", "keyword", "given", "operation"),
    [
        (service_class.QueryRetrieveServiceClass, "PrivateQuery", "C-FIND", "C-FIND"),
        (service_class.QueryRetrieveServiceClass, "PrivateQuery", "C-GET", "C-GET"),
        (service_class.QueryRetrieveServiceClass, "PrivateQuery", "C-MOVE", "C-MOVE"),
        (service_class.InventoryQueryRetrieveServiceClass, "PrivateInventory", "C-MOVE", "C-MOVE"),
        (service_class.InventoryQueryRetrieveServiceClass, "PrivateInventoryGet", "", "C-GET"),
        (service_class.HangingProtocolQueryRetrieveServiceClass, "PrivateHanging", "", "C-FIND"),
        (service_class.BasicWorklistManagementServiceClass, "PrivateWorklist", "", "C-FIND"),
    ],
)
def test_register_a_query_class(
    cls: type[service_class.ServiceClass], keyword: str, given: str, operation: str
) -> None:
    sop_class.register_uid("1.2.3.4", keyword, cls, given)
    service = registry.service_for("1.2.3.4")
    assert service is not None
    assert service.operations("1.2.3.4") == {operation}
    assert sop_class.uid_to_service_class("1.2.3.4") is cls


def test_register_with_storage_management() -> None:
    sop_class.register_uid("1.2.3.5", "PrivateCreation", service_class_n.StorageManagementServiceClass)
    assert sop_class._STORAGE_MANAGEMENT_CLASSES["PrivateCreation"] == "1.2.3.5"
    assert sop_class.PrivateCreation.service_class is service_class_n.StorageManagementServiceClass


def test_registering_again_moves_the_class() -> None:
    sop_class.register_uid("1.2.3.6", "First", service_class.StorageServiceClass)
    sop_class.register_uid("1.2.3.6", "Second", service_class_n.ProcedureStepServiceClass)
    assert "First" not in sop_class._STORAGE_CLASSES
    assert sop_class._PROCEDURE_STEP_CLASSES["Second"] == "1.2.3.6"


def test_registering_leaves_the_tables_and_other_registries_alone() -> None:
    sop_class.register_uid("1.2.3.7", "Private", service_class_n.ProcedureStepServiceClass)
    assert "1.2.3.7" not in tables.PROCEDURE_STEP.classes
    assert registry.Registry().service_for("1.2.3.7") is None


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("1.2.3", "not valid", service_class.StorageServiceClass), ValueError),
        (("1.2.3", "class", service_class.StorageServiceClass), ValueError),
        (("1.2.3", "Private", str), TypeError),
        (("1.2.3", "Private", service_class.ServiceClass), ValueError),
        (("1.2.3", "Private", service_class.QueryRetrieveServiceClass), ValueError),
        (("1.2.3", "Private", service_class.QueryRetrieveServiceClass, "C-STORE"), ValueError),
        (("1.2.3", "Private", service_class.BasicWorklistManagementServiceClass, "C-GET"), ValueError),
        ((12, "Private", service_class.StorageServiceClass), TypeError),
    ],
)
def test_what_cannot_be_registered(arguments: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        sop_class.register_uid(*arguments)
    assert registry.service_for("1.2.3") is None


def test_every_service_has_a_class() -> None:
    classes = [
        getattr(module, name) for module in (service_class, service_class_n) for name in module.__all__
    ]
    assert {cls.service for cls in classes} == {*tables.SERVICES, None} - {tables.MEDIA_STORAGE}
