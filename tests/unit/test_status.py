from __future__ import annotations

import copy
import logging
import pickle
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dulcimer import status
from dulcimer.dimse_primitives import C_ECHO, C_STORE, N_SET
from dulcimer.service_class import (
    BasicWorklistManagementServiceClass,
    QueryRetrieveServiceClass,
    ServiceClass,
    StorageServiceClass,
)
from dulcimer.services import tables
from dulcimer.services.statuses import Statuses, failure, warning
from dulcimer.status import STORAGE_SERVICE_CLASS_STATUS, Status, code_to_category, code_to_status

NO_ASSOCIATION: Any = None


@pytest.mark.parametrize(
    ("code", "category"),
    [
        (0x0000, "Success"),
        (0x0001, "Warning"),
        (0x0107, "Warning"),
        (0x0116, "Warning"),
        (0x0112, "Failure"),
        (0x0213, "Failure"),
        (0xA700, "Failure"),
        (0xB123, "Warning"),
        (0xCFFF, "Failure"),
        (0xD000, "Unknown"),
        (0xFE00, "Cancel"),
        (0xFF00, "Pending"),
        (0xFF01, "Pending"),
        (0x0100, "Unknown"),
    ],
)
def test_categories(code: int, category: str) -> None:
    assert code_to_category(code) == category


@pytest.mark.parametrize("code", [-1, "0", None])
def test_what_is_no_code(code: Any) -> None:
    for function in (code_to_category, code_to_status):
        with pytest.raises(ValueError, match="'code'"):
            function(code)


def test_a_code_as_a_data_set() -> None:
    assert code_to_status(0xC001).Status == 0xC001


def test_a_range_behaves_like_a_dict() -> None:
    table = STORAGE_SERVICE_CLASS_STATUS
    assert table[0xC123] == ("Failure", "Cannot understand")
    assert table[0xA7FF][0] == "Failure"
    assert 0xC123 in table
    assert 0xD000 not in table
    assert table.get(0xD000) is None
    text: Any = "C123"
    assert text not in table
    with pytest.raises(KeyError):
        table[0xD000]
    codes = list(table)
    assert codes == sorted(codes)
    assert len(codes) == len(table) == 4635
    assert dict(table) == table.copy() == table
    assert table == dict(table)
    assert (table | {0x1234: ("Warning", "x")})[0x1234] == ("Warning", "x")
    assert {**table}[0xC000] == table[0xC000]


def test_a_code_takes_precedence_over_its_range() -> None:
    table = Statuses([failure(0xC000, "any", 0xC00F), failure(0xC001, "one")])
    assert table[0xC001] == ("Failure", "one")
    assert table[0xC002] == ("Failure", "any")
    assert len(table) == len(list(table)) == 16
    assert "0xC000-0xC00F" in repr(table)


def test_extending_makes_a_new_table() -> None:
    table = tables.GENERAL.extended(warning(0xB123, "new"))
    assert table[0xB123] == ("Warning", "new")
    assert 0xB123 not in tables.GENERAL


@pytest.mark.parametrize("name", [name for name in status.__all__ if name.endswith("_STATUS")])
def test_every_table_has_the_general_codes_and_right_categories(name: str) -> None:
    table = getattr(status, name)
    assert set(status.GENERAL_STATUS) <= set(table)
    assert {code: table[code][0] for code in table} == {code: code_to_category(code) for code in table}
    assert all(table[code][1] for code in table)


def test_statuses_of_an_operation() -> None:
    assert tables.QUERY_RETRIEVE.statuses_for("C-MOVE")[0xA801][0] == "Failure"
    assert 0xA801 not in tables.QUERY_RETRIEVE.statuses_for("C-GET")
    assert tables.STORAGE.statuses_for("C-STORE") is tables.STORAGE_STATUSES


def test_status_names_can_be_added() -> None:
    Status.add("TEST_MISSING_LABEL", 0xC0FE)
    member = Status["TEST_MISSING_LABEL"]
    assert member == 0xC0FE
    assert Status(0xC0FE) is member
    assert member.name == "TEST_MISSING_LABEL"
    assert member in list(Status)
    assert pickle.loads(pickle.dumps(member)) is member
    assert copy.deepcopy(member) is member
    Status.add("TEST_MISSING_LABEL", 0xC0FE)
    with pytest.raises(ValueError, match="already"):
        Status.add("TEST_MISSING_LABEL", 0xC0FD)


def test_a_second_name_for_a_code() -> None:
    Status.add("TEST_FINE", 0x0000)
    assert Status["TEST_FINE"] is Status.SUCCESS
    assert list(Status).count(Status.SUCCESS) == 1


def test_service_class_statuses() -> None:
    assert ServiceClass.statuses is status.GENERAL_STATUS
    assert len(QueryRetrieveServiceClass.statuses) == 24
    assert len(BasicWorklistManagementServiceClass.statuses) == 4126
    service = StorageServiceClass(NO_ASSOCIATION)
    assert service.is_valid_status(0xC123)
    assert not service.is_valid_status(0x1234)


def test_a_service_class_knows_its_association() -> None:
    class Association:
        ae = "the application entity"
        dimse = "the provider"

    service = StorageServiceClass(Association())
    assert (service.ae, service.dimse) == ("the application entity", "the provider")


def test_subclasses_keep_the_service() -> None:
    class Mine(StorageServiceClass):
        pass

    assert Mine.service is tables.STORAGE
    assert Mine.statuses is tables.STORAGE_STATUSES


@pytest.mark.parametrize(
    ("value", "code"),
    [(0x0000, 0x0000), (0xC123, 0xC123), ("0000", 0xC002), (None, 0xC002), (Dataset(), 0xC001)],
)
def test_validate_status(value: Any, code: int) -> None:
    response = StorageServiceClass(NO_ASSOCIATION).validate_status(value, C_STORE())
    assert response.Status == code


def test_status_elements_go_into_the_response() -> None:
    value = Dataset()
    value.Status = 0x0110
    value.ErrorComment = "may no longer be updated"
    value.ErrorID = 0xA710
    value.AttributeIdentifierList = [0x00400252]
    value.AffectedSOPInstanceUID = "1.2.3"
    response = StorageServiceClass(NO_ASSOCIATION).validate_status(value, N_SET())
    assert response.Status == 0x0110
    assert response.ErrorComment == "may no longer be updated"
    assert response.ErrorID == 0xA710
    assert response.AttributeIdentifierList == 0x00400252
    assert response.AffectedSOPInstanceUID == "1.2.3"


def test_what_does_not_belong_is_logged_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    value = Dataset()
    value.Status = 0x1234
    value.PatientName = "secret"
    with caplog.at_level(logging.WARNING):
        response = StorageServiceClass(NO_ASSOCIATION).validate_status(value, C_ECHO())
    assert response.Status == 0x1234
    assert not hasattr(response, "PatientName")
    assert "(0010,0010)" in caplog.text
    assert "0x1234" in caplog.text
    assert "secret" not in caplog.text
