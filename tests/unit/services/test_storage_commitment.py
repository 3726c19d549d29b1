"""The rules of Storage Commitment, push model (PS3.4 Annex J)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dulcimer.errors import Refused
from dulcimer.services import storage_commitment as rules
from dulcimer.services.rules import check
from dulcimer.services.storage_commitment import Failed, Reference

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
TRANSACTION = "2.25.11"


def asked(*references: Reference) -> Dataset:
    return rules.information(TRANSACTION, references)


def request(
    information: Dataset, action: int = 1, instance: str = rules.PUSH_MODEL_INSTANCE
) -> rules.Request:
    return rules.request(information, action, instance)


def test_a_request() -> None:
    one, two = Reference(CT, "2.25.1"), Reference(MR, "2.25.2")
    found = request(asked(one, two))
    assert (found.transaction_uid, found.references) == (TRANSACTION, (one, two))


def test_duplicates_within_a_request_count_once() -> None:
    one = Reference(CT, "2.25.1")
    assert request(asked(one, one, Reference(MR, "2.25.1"))).references == (one, Reference(MR, "2.25.1"))


@pytest.mark.parametrize(
    ("keyword", "value", "status"),
    [
        ("TransactionUID", None, 0x0120),
        ("TransactionUID", "", 0x0121),
        ("ReferencedSOPSequence", None, 0x0120),
        ("ReferencedSOPSequence", [], 0x0121),
        ("ReferencedSOPSequence", [Dataset()], 0x0120),
    ],
)
def test_what_is_missing_or_empty(keyword: str, value: object, status: int) -> None:
    information = asked(Reference(CT, "2.25.1"))
    if value is None:
        delattr(information, keyword)
    else:
        setattr(information, keyword, value)
    with pytest.raises(Refused) as caught:
        request(information)
    assert caught.value.status == status


@pytest.mark.parametrize("keyword", ["TransactionUID", "ReferencedSOPSequence"])
def test_not_even_the_lenient_level_takes_nothing(keyword: str) -> None:
    information = asked(Reference(CT, "2.25.1"))
    delattr(information, keyword)
    with pytest.raises(Refused):
        rules.request(information, 1, rules.PUSH_MODEL_INSTANCE, level="lenient")


@pytest.mark.parametrize(
    ("action", "instance", "status"),
    [
        (2, rules.PUSH_MODEL_INSTANCE, 0x0123),
        (None, rules.PUSH_MODEL_INSTANCE, 0x0123),
        (1, "2.25.3", 0x0112),
    ],
)
def test_one_action_of_one_instance(action: int, instance: str, status: int) -> None:
    with pytest.raises(Refused) as caught:
        request(asked(Reference(CT, "2.25.1")), action, instance)
    assert caught.value.status == status


@pytest.mark.parametrize("reason", list(rules.REASONS))
def test_every_reason_is_reported_for_its_instance(reason: int) -> None:
    one, two = Reference(CT, "2.25.1"), Reference(CT, "2.25.2")
    result = rules.judge(request(asked(one, two)), lambda _, uid: 0 if uid == "2.25.1" else reason)
    assert result == rules.Result(TRANSACTION, (one,), (Failed(*two, reason),))
    assert result.event_type == rules.FAILURES_EXIST
    information = rules.report(result, "ARCHIVE")
    assert information.FailedSOPSequence[0].FailureReason == reason
    assert information.RetrieveAETitle == "ARCHIVE"
    assert check("N-EVENT-REPORT 2", rules.PUSH_MODEL, information).ok
    assert rules.read_report(information) == result


def test_all_is_well() -> None:
    result = rules.judge(request(asked(Reference(CT, "2.25.1"))), lambda *_: 0)
    assert result.event_type == rules.ALL_COMMITTED
    information = rules.report(result)
    assert "FailedSOPSequence" not in information
    assert check("N-EVENT-REPORT 1", rules.PUSH_MODEL, information).ok


def test_nothing_is_well() -> None:
    information = rules.report(rules.judge(request(asked(Reference(CT, "2.25.1"))), lambda *_: 0x0112), "A")
    assert "ReferencedSOPSequence" not in information
    assert "RetrieveAETitle" not in information
    assert check("N-EVENT-REPORT 2", rules.PUSH_MODEL, information).ok


def test_0131_a_transaction_uid_for_something_else() -> None:
    one, two = Reference(CT, "2.25.1"), Reference(CT, "2.25.2")
    result = rules.judge(request(asked(one, two)), lambda *_: 0, former=[one])
    assert result.committed == ()
    assert [each.reason for each in result.failed] == [0x0131, 0x0131]


def test_a_repeated_request_is_harmless() -> None:
    one, two = Reference(CT, "2.25.1"), Reference(CT, "2.25.2")
    assert rules.judge(request(asked(one, two)), lambda *_: 0, former=[two, one]).failed == ()


uids = st.integers(1, 30).map(lambda number: f"2.25.{number}")
references = st.lists(st.builds(Reference, st.sampled_from([CT, MR]), uids), min_size=1, max_size=40)


@given(references, st.dictionaries(uids, st.sampled_from([0, *rules.REASONS])))
def test_every_instance_is_reported_once(named: list[Reference], verdicts: dict[str, int]) -> None:
    result = rules.judge(request(asked(*named)), lambda _, uid: verdicts.get(uid, 0))
    reported = [*result.committed, *(Reference(each[0], each[1]) for each in result.failed)]
    assert sorted(reported) == sorted(set(named))
    assert all(verdicts.get(each.instance_uid, 0) == 0 for each in result.committed)
    assert rules.read_report(rules.report(result)) == result
