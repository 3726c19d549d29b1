"""The rule engine: sections 1.1 to 1.5 of the rules of N-SET, and what holds of every check."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from dulcimer.errors import Refused
from dulcimer.services import check, mpps, ups
from dulcimer.services.character_sets import difference, merge
from dulcimer.services.rules import Findings, Kind
from dulcimer.services.rules.completing import complete
from dulcimer.services.rules.findings import Level
from dulcimer.services.rules.tables import Demand, Row, table_for
from support.workitems import new_workitem, performed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MPPS = mpps.MODALITY_PERFORMED_PROCEDURE_STEP
LEVELS: tuple[Level, ...] = ("strict", "standard", "lenient")
OPERATIONS = [
    (MPPS, "N-CREATE"),
    (MPPS, "N-SET"),
    (MPPS, "final"),
    (ups.PUSH, "N-CREATE"),
    (ups.PUSH, "N-SET"),
    (ups.PUSH, "final"),
    (ups.PUSH, "N-ACTION 1"),
    (ups.PUSH, "N-ACTION 3"),
    (ups.PUSH, "N-EVENT-REPORT 1"),
]
_FORMS = {
    "DA": "20261124",
    "TM": "101500",
    "DT": "20261124101500",
    "UI": "2.25.7",
    "DS": "1",
    "IS": "1",
    "AE": "AE1",
    "UR": "http://x/",
}


def of(row: Row, draw: st.DrawFn) -> object:
    """Draw a value for an attribute: none, one, an allowed one, one that is not allowed."""
    vr = dictionary_VR(row.tag).split(" ")[0]
    if vr == "SQ":
        return [item(row.rows, draw) for _ in range(draw(st.integers(0, 2)))]
    if vr in {"US", "SS", "UL", "SL", "FD", "FL"}:
        return draw(st.sampled_from([None, 1, 2]))
    if vr == "AT":
        return None
    terms = sorted({term for values in row.values for term in values.terms})
    return draw(st.sampled_from(["", _FORMS.get(vr, "SOMETHING"), *terms[:3]]))


def item(rows: Mapping[int, Row], draw: st.DrawFn) -> Dataset:
    ds = Dataset()
    some = sorted(rows)
    for tag in draw(st.lists(st.sampled_from(some), unique=True, max_size=8)) if some else ():
        if dictionary_VR(tag).split(" ")[0] not in {"OB", "OW", "UN"}:
            ds.add_new(tag, dictionary_VR(tag).split(" ")[0], of(rows[tag], draw))
    if draw(st.booleans()):
        ds.add_new(0x00111001, "LO", "private")
    return ds


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, str, Dataset, Dataset | None, str | None]:
    uid, operation = draw(st.sampled_from(OPERATIONS))
    table = table_for(uid, operation)
    assert table is not None
    stored = item(table.rows, draw) if operation == "N-SET" and draw(st.booleans()) else None
    state = draw(st.sampled_from(["COMPLETED", "CANCELED"])) if operation == "final" else None
    return uid, operation, item(table.rows, draw), stored, state


relaxed = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@relaxed
@given(cases())
def test_no_argument_is_changed_and_the_same_check_finds_the_same(
    case: tuple[str, str, Dataset, Dataset | None, str | None],
) -> None:
    uid, operation, dataset, stored, state = case
    before, stored_before = deepcopy(dataset), deepcopy(stored)
    first = check(operation, uid, dataset, stored=stored, state=state)
    first.refusal(dataset)
    second = check(operation, uid, dataset, stored=stored, state=state)
    assert list(first) == list(second)
    assert (dataset, stored) == (before, stored_before)


@relaxed
@given(cases())
def test_strict_refuses_what_standard_refuses_and_that_what_lenient_refuses(
    case: tuple[str, str, Dataset, Dataset | None, str | None],
) -> None:
    uid, operation, dataset, stored, state = case

    def refused(level: Level) -> set[tuple[object, ...]]:
        found = check(operation, uid, dataset, stored=stored, state=state, level=level)
        return {(finding.kind, finding.path) for finding in found.blocking}

    strict, standard, lenient = map(refused, LEVELS)
    assert strict >= standard >= lenient


@relaxed
@given(cases())
def test_every_refusal_has_a_status_with_what_goes_with_it(
    case: tuple[str, str, Dataset, Dataset | None, str | None],
) -> None:
    """Section 1.4: 0105 and 0120 come with tags, 0106 and 0121 with the values at fault."""
    uid, operation, dataset, stored, state = case
    found = check(operation, uid, dataset, stored=stored, state=state, level="strict")
    refusal = found.refusal(dataset)
    assert (refusal is None) == found.ok
    if refusal is None:
        return
    assert refusal.status in (0x0105, 0x0106, 0x0120, 0x0121)
    if refusal.status in (0x0105, 0x0120):
        assert refusal.attributes
        assert refusal.values is None
    else:
        assert not refusal.attributes
        assert len(refusal.values) > 0


@relaxed
@given(cases())
def test_what_is_completed_lacks_no_type_2_attribute(
    case: tuple[str, str, Dataset, Dataset | None, str | None],
) -> None:
    uid, operation, dataset, _, state = case
    table = table_for(uid, operation)
    complete(dataset, table.rows)
    found = check(operation, uid, dataset, state=state)
    unconditional = [
        finding
        for finding in found
        if finding.kind is Kind.ABSENT and not row_of(table.rows, finding.path).scu.conditional
    ]
    assert unconditional == []


def row_of(rows: Mapping[int, Row], path: Iterable[int]) -> Row:
    for tag in path:
        row = rows[tag]
        rows = row.rows
    return row


@pytest.mark.parametrize("level", LEVELS)
def test_a_complete_and_valid_data_set_gives_none(level: Level) -> None:
    assert len(check("N-CREATE", ups.PUSH, new_workitem(), level=level).blocking) == 0
    change = performed()
    del change.TransactionUID
    stored = new_workitem()
    assert check("N-SET", ups.PUSH, change, stored=stored, level=level).ok


# ---- 1.1 and 1.3 -------------------------------------------------------------------------------------


def required(rows: Mapping[int, Row], demand: Demand) -> list[int]:
    return [tag for tag, row in rows.items() if row.scu.demand is demand and not row.scu.conditional]


@pytest.mark.parametrize("uid", [MPPS, ups.PUSH])
def test_1_1_the_uids_of_the_command_are_not_in_the_table_of_the_data_set(uid: str) -> None:
    """SOP Class and Instance UID are the services' to judge: the engine passes over them."""
    ds = Dataset()
    ds.SOPClassUID = uid
    ds.SOPInstanceUID = "2.25.1"
    paths = [finding.path for finding in check("N-SET", uid, ds) if finding.kind is Kind.UNKNOWN]
    assert paths == []


@pytest.mark.parametrize("uid", [MPPS, ups.PUSH])
def test_1_3_type_1_has_to_be_there_with_a_value(uid: str) -> None:
    rows = table_for(uid, "N-CREATE").rows
    for tag in required(rows, Demand.VALUE):
        found = check("N-CREATE", uid, Dataset())
        assert (Kind.MISSING, (tag,)) in {(each.kind, each.path) for each in found}
        ds = Dataset()
        vr = dictionary_VR(tag).split(" ")[0]
        ds.add_new(tag, vr, [] if vr == "SQ" else None)
        found = check("N-CREATE", uid, ds)
        assert (Kind.EMPTY, (tag,)) in {(each.kind, each.path) for each in found}


@pytest.mark.parametrize("uid", [MPPS, ups.PUSH])
def test_1_3_type_2_has_to_be_there_and_may_be_empty(uid: str) -> None:
    rows = table_for(uid, "N-CREATE").rows
    for tag in required(rows, Demand.PRESENCE):
        assert (Kind.ABSENT, (tag,)) in {(e.kind, e.path) for e in check("N-CREATE", uid, Dataset())}
        ds = Dataset()
        vr = dictionary_VR(tag).split(" ")[0]
        ds.add_new(tag, vr, [] if vr == "SQ" else None)
        assert [e for e in check("N-CREATE", uid, ds) if e.path == (tag,)] == []


@pytest.mark.parametrize("uid", [MPPS, ups.PUSH])
@pytest.mark.parametrize("level", LEVELS)
def test_1_3_type_3_may_be_empty_or_absent(uid: str, level: Level) -> None:
    """PS3.4 5.4.2.1 forbids zero length, F.7.2.1.1 asks for it: it is taken."""
    rows = table_for(uid, "N-CREATE").rows
    for tag in required(rows, Demand.NOTHING):
        vr = dictionary_VR(tag).split(" ")[0]
        ds = Dataset()
        ds.add_new(tag, vr, [] if vr == "SQ" else None)
        assert [e for e in check("N-CREATE", uid, ds, level=level) if e.path == (tag,)] == []


def test_1_3_missing_comes_as_0120_and_empty_as_0121() -> None:
    ds = new_workitem()
    del ds.ProcedureStepLabel
    with pytest.raises(Refused) as missing:
        check("N-CREATE", ups.PUSH, ds).enforce(ds)
    assert (missing.value.status, missing.value.attributes) == (0x0120, (0x00741204,))
    ds = new_workitem()
    ds.ProcedureStepLabel = ""
    with pytest.raises(Refused) as empty:
        check("N-CREATE", ups.PUSH, ds).enforce(ds)
    assert empty.value.status == 0x0121
    assert [element.keyword for element in empty.value.values] == ["ProcedureStepLabel"]


def test_1_3_not_for_this_side_to_send_is_refused_by_strict_only() -> None:
    ds = new_workitem()
    ds.ScheduledProcedureStepModificationDateTime = "20261124"
    assert not check("N-CREATE", ups.PUSH, ds, level="strict").ok
    assert check("N-CREATE", ups.PUSH, ds).ok


# ---- 1.2 ---------------------------------------------------------------------------------------------


def test_1_2_each_attribute_replaces_the_stored_one_and_others_stay() -> None:
    stored = new_workitem()
    change = Dataset()
    change.ProcedureStepLabel = "Other"
    change.ScheduledWorkitemCodeSequence = []
    merged = merge(stored, change)
    assert merged.ProcedureStepLabel == "Other"
    assert len(merged.ScheduledWorkitemCodeSequence) == 0
    assert merged.PatientName == stored.PatientName
    assert difference(stored, merged) == change
    assert difference(stored, stored) == Dataset()
    assert len(stored.ScheduledWorkitemCodeSequence) == 1


def test_1_2_character_sets_that_cannot_be_combined() -> None:
    stored = new_workitem()
    change = Dataset()
    change.SpecificCharacterSet = "ISO_IR 192"
    change.ProcedureStepLabel = "Ωμέγα"
    assert merge(stored, change).SpecificCharacterSet == "ISO_IR 192"


# ---- 1.4 ---------------------------------------------------------------------------------------------


def test_1_4_values_at_fault_come_at_their_place() -> None:
    ds = new_workitem()
    ds.ScheduledWorkitemCodeSequence[0].CodeMeaning = ""
    with pytest.raises(Refused) as refused:
        check("N-CREATE", ups.PUSH, ds).enforce(ds)
    (item_,) = refused.value.values.ScheduledWorkitemCodeSequence
    assert [element.keyword for element in item_] == ["CodeMeaning"]


def test_1_4_a_wrong_value_comes_back() -> None:
    ds = new_workitem()
    ds.ScheduledProcedureStepPriority = "SOON"
    with pytest.raises(Refused) as refused:
        check("N-CREATE", ups.PUSH, ds).enforce(ds)
    assert refused.value.status == 0x0106
    assert refused.value.values.ScheduledProcedureStepPriority == "SOON"


def test_1_4_more_items_than_there_may_be() -> None:
    change = performed()
    change.UnifiedProcedureStepPerformedProcedureSequence = [
        *change.UnifiedProcedureStepPerformedProcedureSequence,
        *performed().UnifiedProcedureStepPerformedProcedureSequence,
    ]
    found = check("N-SET", ups.PUSH, change)
    assert Kind.WRONG_COUNT in {each.kind for each in found}


def test_it_explains_in_words_with_the_clause() -> None:
    ds = new_workitem()
    del ds.ProcedureStepLabel
    assert (
        "refused: ProcedureStepLabel is missing: PS3.4 Table CC.2.5-3"
        in check("N-CREATE", ups.PUSH, ds).explain()
    )
    assert Findings((), "standard").explain() == "nothing is wrong"


# ---- 1.5 ---------------------------------------------------------------------------------------------


def test_1_5_reports_are_checked_from_the_scps_side() -> None:
    report = Dataset()
    report.ProcedureStepState = "SCHEDULED"
    found = check("N-EVENT-REPORT 1", ups.PUSH, report)
    assert [(each.kind, each.name) for each in found] == [(Kind.MISSING, "InputReadinessState")]


def test_1_5_action_information() -> None:
    found = check("N-ACTION 1", ups.PUSH, Dataset())
    assert {each.name for each in found} == {"ProcedureStepState", "TransactionUID"}


def test_1_5_an_operation_that_no_table_is_for() -> None:
    with pytest.raises(ValueError, match="no attribute table"):
        check("N-DELETE", ups.PUSH, Dataset())
