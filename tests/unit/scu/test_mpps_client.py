"""The MPPS client: legal steps are taken, illegal ones are not sent, refusals come in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dulcimer.errors import AssociationError, NoPresentationContext
from dulcimer.scp.mpps import MppsService
from dulcimer.scp.repository import MemoryRepository
from dulcimer.scu.errors import IllegalStep, Refusal
from dulcimer.scu.mpps import Mpps
from dulcimer.services import mpps as rules
from node.objects import new_step
from support.rt_plans import item
from support.services import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP = rules.MODALITY_PERFORMED_PROCEDURE_STEP
RETRIEVE = rules.MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE


@pytest.fixture
def made() -> Iterator[Serving]:
    with serving(lambda _: [MppsService(MemoryRepository())]) as found:
        yield found


def one_series() -> object:
    return item(
        SeriesInstanceUID="2.25.5",
        ProtocolName="Head",
        ReferencedImageSequence=[
            item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID="2.25.6")
        ],
    )


def test_from_created_to_completed(made: Serving) -> None:
    """Section 2.1 of the rules: IN PROGRESS, then COMPLETED."""
    association = made.associate(STEP, RETRIEVE)
    step = Mpps.create(association, new_step())
    assert (step.state, step.status) == ("IN PROGRESS", 0x0000)
    step.update(item(PerformedProcedureStepDescription="Head"))
    step.complete([one_series()])
    assert step.state == "COMPLETED"
    found = step.get()
    assert (found.PerformedProcedureStepStatus, found.PerformedProcedureStepDescription) == (
        "COMPLETED",
        "Head",
    )
    assert (
        found.PerformedSeriesSequence[0].OperatorsName is None
        or not found.PerformedSeriesSequence[0].OperatorsName
    )
    assert len(step.get("PatientID")) == 1


def test_discontinued_with_a_reason_that_was_created(made: Serving) -> None:
    """Section 2.2: what is to be set later has to be created, the reason too."""
    association = made.associate(STEP, RETRIEVE)
    step = Mpps.create(association, new_step())
    reason = item(
        CodeValue="110514", CodingSchemeDesignator="DCM", CodeMeaning="Incorrect worklist entry selected"
    )
    step.discontinue(reason, [one_series()])
    found = step.get()
    assert found.PerformedProcedureStepStatus == "DISCONTINUED"
    assert found.PerformedProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "110514"


def test_illegal_steps_are_not_sent(made: Serving) -> None:
    """Sections 2.1 to 2.4, on the SCU's side."""
    repository = MemoryRepository()
    sets = []
    with serving(lambda _: [MppsService(repository)]) as counted:
        counted.services[0].on("modified", lambda *_: sets.append(1))
        association = counted.associate(STEP)
        wrong = new_step()
        wrong.PerformedProcedureStepStatus = "COMPLETED"
        with pytest.raises(IllegalStep):
            Mpps.create(association, wrong)
        step = Mpps.create(association, new_step())
        with pytest.raises(IllegalStep, match="PatientID"):
            step.update(item(PatientID="OTHER"))
        with pytest.raises(IllegalStep, match="PerformedSeriesSequence"):
            step.complete()
        assert (step.state, sets) == ("IN PROGRESS", [])
        step.complete([one_series()])
        for again in (
            step.complete,
            step.discontinue,
            lambda: step.update(item(CommentsOnThePerformedProcedureStep="x")),
        ):
            with pytest.raises(IllegalStep):
                again()
        assert sets == [1]
        with pytest.raises(NoPresentationContext):
            step.get()


def test_a_refusal_in_words(made: Serving) -> None:
    association = made.associate(STEP, RETRIEVE)
    step = Mpps.create(association, new_step(), uid="2.25.1")
    step.complete([one_series()])
    with pytest.raises(Refusal, match="Error ID A710") as caught:
        # One that does not know the state.
        Mpps(association, "2.25.1").update(item(CommentsOnThePerformedProcedureStep="x"))
    assert (caught.value.status, caught.value.error_id) == (0x0110, 0xA710)
    with pytest.raises(Refusal, match="0111"):
        Mpps.create(association, new_step(), uid="2.25.1")
    with pytest.raises(Refusal, match="0112"):
        Mpps(association, "2.25.404").get()


def test_no_answer(made: Serving) -> None:
    association = made.associate(STEP, RETRIEVE)
    step = Mpps.create(association, new_step())
    association.abort()
    with pytest.raises((AssociationError, RuntimeError)):
        step.update(item(CommentsOnThePerformedProcedureStep="x"))
