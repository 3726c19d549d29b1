"""Against pynetdicom: its SCU does MPPS and UPS with ``serve``, its SCP takes our N-EVENT-REPORTs."""

from __future__ import annotations

import random
from queue import Queue
from typing import TYPE_CHECKING, Any

import pytest
from pydicom.dataset import Dataset

from node.objects import completion, new_step
from node.served import Served
from support.workitems import new_workitem, performed, progress, state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pynetdicom = pytest.importorskip("pynetdicom", reason="pynetdicom is not installed")
pytestmark = pytest.mark.interop

from pynetdicom import sop_class  # noqa: E402 - not before it is known to be installed

MPPS = sop_class.ModalityPerformedProcedureStep
RETRIEVE = sop_class.ModalityPerformedProcedureStepRetrieve
NOTIFICATION = sop_class.ModalityPerformedProcedureStepNotification
PUSH = sop_class.UnifiedProcedureStepPush
PULL = sop_class.UnifiedProcedureStepPull
WATCH = sop_class.UnifiedProcedureStepWatch
EVENT = sop_class.UnifiedProcedureStepEvent
QUERY = sop_class.UnifiedProcedureStepQuery
GLOBAL = "1.2.840.10008.5.1.4.34.5"
SECONDS = 20.0


class Watcher:
    """pynetdicom as the one who takes reports."""

    def __init__(self) -> None:
        self.got: Queue[tuple[str, int, str, Dataset]] = Queue()
        ae = pynetdicom.AE("WATCHER")
        for uid in (EVENT, NOTIFICATION):
            ae.add_supported_context(uid, scu_role=True, scp_role=True)
        self.server = ae.start_server(
            ("127.0.0.1", 0),
            block=False,
            evt_handlers=[(pynetdicom.evt.EVT_N_EVENT_REPORT, self.take)],
        )
        self.port = self.server.server_address[1]

    def take(self, event: Any) -> tuple[int, None]:
        request = event.request
        self.got.put(
            (
                str(request.AffectedSOPClassUID),
                event.event_type,
                str(request.AffectedSOPInstanceUID),
                event.event_information if request.EventInformation else Dataset(),
            )
        )
        return 0x0000, None

    def next(self) -> tuple[str, int, str, Dataset]:
        return self.got.get(timeout=SECONDS)


@pytest.fixture(scope="module")
def watcher() -> Iterator[Watcher]:
    made = Watcher()
    yield made
    made.server.shutdown()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, watcher: Watcher) -> Iterator[Served]:
    data: Path = tmp_path_factory.mktemp("steps") / "data"
    with Served(data, "--report", f"WATCHER=127.0.0.1:{watcher.port}", "--mpps-notify", "WATCHER") as served:
        yield served


@pytest.fixture
def association(node: Served) -> Iterator[Any]:
    ae = pynetdicom.AE("PYNETDICOM")
    for uid in (MPPS, RETRIEVE, PUSH, PULL, WATCH, EVENT, QUERY):
        ae.add_requested_context(uid)
    made = ae.associate(node.host, node.port, ae_title=node.aet)
    assert made.is_established
    yield made
    made.release()


def new_uid() -> str:
    return f"2.25.{random.getrandbits(120)}"


def test_a_step_from_create_to_completed(association: Any, watcher: Watcher) -> None:
    uid = new_uid()
    assert association.send_n_create(new_step(), MPPS, uid)[0].Status == 0x0000
    change = Dataset()
    change.PerformedProcedureStepDescription = "Head"
    assert association.send_n_set(change, MPPS, uid)[0].Status == 0x0000
    assert association.send_n_set(completion(), MPPS, uid)[0].Status == 0x0000
    status, _ = association.send_n_set(change, MPPS, uid)
    assert (status.Status, status.ErrorID) == (0x0110, 0xA710)
    status, found = association.send_n_get([], RETRIEVE, uid)
    assert (status.Status, found.PerformedProcedureStepStatus) == (0x0000, "COMPLETED")
    assert [watcher.next()[:3] for _ in range(3)] == [(NOTIFICATION, kind, uid) for kind in (1, 4, 2)]


def test_a_workitem_from_scheduled_to_completed(association: Any, watcher: Watcher) -> None:
    subscription = Dataset()
    subscription.ReceivingAE = "WATCHER"
    subscription.DeletionLock = "FALSE"
    status, _ = association.send_n_action(subscription, 3, PUSH, GLOBAL, meta_uid=WATCH)
    assert status.Status == 0x0000
    uid = new_uid()
    assert association.send_n_create(new_workitem(), PUSH, uid)[0].Status == 0x0000

    def act(information: Dataset) -> int:
        return association.send_n_action(information, 1, PUSH, uid, meta_uid=PULL)[0].Status

    def change(modification: Dataset) -> int:
        return association.send_n_set(modification, PUSH, uid, meta_uid=PULL)[0].Status

    assert act(state("COMPLETED")) == 0xC310
    assert act(state("IN PROGRESS")) == 0x0000
    assert change(progress("50", "2.25.99")) == 0xC301
    assert change(progress()) == 0x0000
    assert act(state("COMPLETED")) == 0xC304
    assert change(performed()) == 0x0000
    assert act(state("COMPLETED")) == 0x0000
    assert change(progress()) == 0xC300
    got = [watcher.next() for _ in range(4)]
    assert [(sop_class_uid, kind, instance) for sop_class_uid, kind, instance, _ in got] == [
        (PUSH, kind, uid) for kind in (1, 1, 3, 1)
    ]
    assert [str(each[3].get("ProcedureStepState", "")) for each in got] == [
        "SCHEDULED",
        "IN PROGRESS",
        "",
        "COMPLETED",
    ]
    identifier = Dataset()
    identifier.ProcedureStepState = "COMPLETED"
    identifier.SOPInstanceUID = uid
    identifier.ProcedureStepLabel = ""
    responses = list(association.send_c_find(identifier, QUERY))
    assert [status.Status for status, _ in responses] == [0xFF00, 0x0000]
    assert responses[0][1].ProcedureStepLabel == "Read the chest"
