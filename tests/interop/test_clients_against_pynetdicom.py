"""Our client objects with pynetdicom as SCP: MPPS, UPS and RT machine verification.

The handlers of pynetdicom's server keep our rules, so what is tested is what travels.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from pydicom.dataset import Dataset

from dulcimer import AE, build_context
from dulcimer.errors import Refused
from dulcimer.scu.errors import IllegalStep, Refusal
from dulcimer.scu.mpps import Mpps
from dulcimer.scu.rt import BeamVerification
from dulcimer.scu.ups import UpsWorkitem
from dulcimer.services import mpps as mpps_rules
from dulcimer.services import rt_machine_verification as rt_rules
from dulcimer.services import ups as ups_rules
from node.objects import new_step
from support import rt_plans as rt
from support.workitems import code, new_workitem, performed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dulcimer import Association

pytestmark = pytest.mark.interop

STEP = mpps_rules.MODALITY_PERFORMED_PROCEDURE_STEP
RETRIEVE = mpps_rules.MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE
SECONDS = 20.0


class Theirs:
    """pynetdicom's server; instances are kept here."""

    def __init__(self) -> None:
        self.instances: dict[str, Dataset] = {}

    def answering(self, handler: Any) -> Any:
        def answer(event: Any) -> Any:
            try:
                return handler(event)
            except Refused as refused:
                status = Dataset()
                status.Status = refused.status
                status.ErrorComment = str(refused)[:64]
                if refused.error_id is not None:
                    status.ErrorID = refused.error_id
                return status, None

        return answer

    # -- MPPS and UPS

    def create(self, event: Any) -> Any:
        uid = str(event.request.AffectedSOPInstanceUID)
        class_uid = str(event.request.AffectedSOPClassUID)
        if class_uid == STEP:
            self.instances[uid] = mpps_rules.create(event.attribute_list, uid).dataset
        elif class_uid == ups_rules.PUSH:
            self.instances[uid] = ups_rules.create(event.attribute_list, uid, datetime.now(UTC)).dataset
        else:
            self.instances[uid], _ = rt_rules.create(event.attribute_list, class_uid, lambda _: rt.plan())
        return 0x0000, None

    def set(self, event: Any) -> Any:
        uid = str(event.request.RequestedSOPInstanceUID)
        class_uid = str(event.request.RequestedSOPClassUID)
        stored, change = self.instances[uid], event.modification_list
        if class_uid == STEP:
            self.instances[uid] = mpps_rules.modify(stored, change).dataset
        elif class_uid == ups_rules.PUSH:
            self.instances[uid] = ups_rules.modify(stored, change, datetime.now(UTC)).dataset
        else:
            self.instances[uid], _ = rt_rules.modify(stored, change, class_uid, rt.plan())
        return 0x0000, None

    def get(self, event: Any) -> Any:
        uid = str(event.request.RequestedSOPInstanceUID)
        class_uid = str(event.request.RequestedSOPClassUID)
        stored, wanted = self.instances[uid], event.attribute_identifiers
        if class_uid == RETRIEVE:
            answer, _ = mpps_rules.retrieve(stored, wanted)
        elif class_uid == ups_rules.PUSH:
            answer, _ = ups_rules.retrieve(stored, wanted)
        else:
            answer, _ = rt_rules.retrieve(stored, class_uid, wanted)
        return 0x0000, answer

    def act(self, event: Any) -> Any:
        uid = str(event.request.RequestedSOPInstanceUID)
        class_uid = str(event.request.RequestedSOPClassUID)
        if class_uid == ups_rules.PUSH:
            outcome = ups_rules.change_state(self.instances[uid], event.action_information, datetime.now(UTC))
            self.instances[uid] = outcome.dataset
            return outcome.status, None
        found = rt_rules.verify(self.instances[uid], class_uid, rt.plan())
        self.instances[uid] = found.dataset
        Thread(target=self.report, args=(event.assoc, class_uid, uid, found.status)).start()
        return 0x0000, None

    def report(self, association: Any, class_uid: str, uid: str, status: str) -> None:
        association.send_n_event_report(rt_rules.done_information(status), 2, class_uid, uid)

    def delete(self, event: Any) -> int:
        del self.instances[str(event.request.RequestedSOPInstanceUID)]
        return 0x0000


@contextmanager
def associated(*uids: str) -> Iterator[Association]:
    from pynetdicom import AE as TheirAE
    from pynetdicom import evt

    theirs = Theirs()
    ae = TheirAE("THEIRS")
    for uid in uids:
        ae.add_supported_context(uid)
    server = ae.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[
            (evt.EVT_N_CREATE, theirs.answering(theirs.create)),
            (evt.EVT_N_SET, theirs.answering(theirs.set)),
            (evt.EVT_N_GET, theirs.answering(theirs.get)),
            (evt.EVT_N_ACTION, theirs.answering(theirs.act)),
            (evt.EVT_N_DELETE, theirs.delete),
        ],
    )
    association = AE("OURS").associate(
        *server.server_address[:2], contexts=[build_context(uid) for uid in uids]
    )
    assert association.is_established, association.failure
    yield association
    if association.is_established:
        association.release()
    server.shutdown()


def test_mpps() -> None:
    series = rt.item(SeriesInstanceUID="2.25.5", ProtocolName="Head")
    with associated(STEP, RETRIEVE) as association:
        step = Mpps.create(association, new_step())
        step.update(rt.item(PerformedProcedureStepDescription="Head"))
        step.discontinue(code("110514", "DCM", "Wrong entry"), [series])
        found = step.get()
        assert found.PerformedProcedureStepStatus == "DISCONTINUED"
        assert found.PerformedProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "110514"
        with pytest.raises(Refusal, match="A710"):
            Mpps(association, step.uid).update(rt.item(PerformedProcedureStepDescription="x"))


def test_ups() -> None:
    with associated(ups_rules.PUSH, ups_rules.PULL) as association:
        workitem = UpsWorkitem.create(association, new_workitem())
        workitem.claim()
        workitem.progress(30)
        with pytest.raises(IllegalStep):
            workitem.complete()
        workitem.complete(performed().UnifiedProcedureStepPerformedProcedureSequence[0])
        assert workitem.get().ProcedureStepState == "COMPLETED"
        with pytest.raises(Refusal, match="C30"):
            UpsWorkitem(association, workitem.uid).claim()


def test_rt_machine_verification() -> None:
    with (
        associated(rt.CONVENTIONAL) as association,
        BeamVerification.create(association, rt.PLAN_UID, rt.PATIENT_ID, fraction_group=1) as verification,
    ):
        verification.set(rt.general(), rt.machine())
        assert verification.verify(SECONDS) == "VERIFIED"
        verification.set(rt.general(), rt.machine(GantryAngle=90.0))
        assert verification.verify(SECONDS) == "NOT_VERIFIED"
