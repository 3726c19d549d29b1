"""RT machine verification and the smaller services against ``dulcimer serve``."""

from __future__ import annotations

import json
from queue import Queue
from typing import TYPE_CHECKING, Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from dulcimer import AE, build_context, evt
from node.objects import SECONDARY_CAPTURE, file_of, instance
from node.served import Served, run, until
from support import rt_plans as rt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dulcimer import Association

SECONDS = 20.0
UID = "2.25.9001"
EVENT_LOGGING = "1.2.840.10008.1.42"
AVAILABILITY = "1.2.840.10008.5.1.4.33"
DISPLAY = "1.2.840.10008.5.1.1.40"
MEDIA = "1.2.840.10008.5.1.1.33"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with both plans."""
    found = tmp_path / "data"
    with Served(found) as node:
        for plan in (rt.plan(), rt.ion_plan()):
            plan.file_meta = FileMetaDataset()
            plan.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
            plan.save_as(tmp_path / "plan.dcm", enforce_file_format=True)
            assert run("store", node.peer, str(tmp_path / "plan.dcm")).code == 0
        assert node.stop() == 0
    return found


class Events:
    def __init__(self) -> None:
        self.got: Queue[tuple[int, str]] = Queue()

    def take(self, event: Any) -> tuple[int, None]:
        status = event.event_information.get("TreatmentVerificationStatus", "")
        self.got.put((event.event_type, str(status)))
        return 0x0000, None

    def two(self) -> list[tuple[int, str]]:
        return [self.got.get(timeout=SECONDS) for _ in range(2)]


def associate(node: Served, *uids: str, events: Events | None = None) -> Association:
    association = AE("TDS").associate(
        *node.address,
        contexts=[build_context(uid) for uid in uids],
        evt_handlers=[] if events is None else [(evt.EVT_N_EVENT_REPORT, events.take)],
    )
    assert association.is_established, association.failure
    return association


@pytest.mark.parametrize("ion", [False, True])
def test_a_session_that_a_kill_interrupts(data: Path, ion: bool) -> None:
    class_uid = rt.ION if ion else rt.CONVENTIONAL
    with Served(data) as node:
        association = associate(node, class_uid)
        assert association.send_n_create(rt.session(ion=ion), class_uid, UID)[0].Status == 0x0000
        setting = rt.ion_setting() if ion else rt.setting()
        assert association.send_n_set(setting, class_uid, UID)[0].Status == 0x0000
        node.kill()
    events = Events()
    with Served(data) as node:
        association = associate(node, class_uid, events=events)
        assert association.send_n_action(None, 1, class_uid, UID)[0].Status == 0x0000
        assert events.two() == [(1, ""), (2, "VERIFIED")]
        _, found = association.send_n_get([], class_uid, UID)
        assert found is not None
        assert found.TreatmentVerificationStatus == "VERIFIED"
        assert association.send_n_delete(class_uid, UID).Status == 0x0000
        association.release()


def test_c227_a_plan_that_is_not_stored(tmp_path: Path) -> None:
    with Served(tmp_path / "data") as node:
        association = associate(node, rt.CONVENTIONAL)
        status, _ = association.send_n_create(rt.session(), rt.CONVENTIONAL, UID)
        assert status.Status == 0xC227
        association.release()


@pytest.mark.interop
def test_pynetdicom_as_scu(data: Path) -> None:
    from pynetdicom import AE as TheirAE
    from pynetdicom import evt as their_evt

    events = Events()
    with Served(data) as node:
        ae = TheirAE("TDS")
        ae.add_requested_context(rt.CONVENTIONAL)
        association = ae.associate(*node.address, evt_handlers=[(their_evt.EVT_N_EVENT_REPORT, events.take)])
        assert association.send_n_create(rt.session(), rt.CONVENTIONAL, UID)[0].Status == 0x0000
        wrong = rt.setting(None, rt.machine(GantryAngle=45.0))
        assert association.send_n_set(wrong, rt.CONVENTIONAL, UID)[0].Status == 0x0000
        # Their send_n_action wants a data set, even if it is empty.
        status, _ = association.send_n_action(None, 1, rt.CONVENTIONAL, UID)
        assert status.Status == 0x0000
        assert events.two() == [(1, ""), (2, "NOT_VERIFIED")]
        status, found = association.send_n_get([], rt.CONVENTIONAL, UID)
        assert found.FailedAttributesSequence[0].SelectorAttribute == 0x300A011E
        assert association.send_n_delete(rt.CONVENTIONAL, UID).Status == 0x0000
        association.release()


@pytest.fixture
def described(tmp_path: Path) -> Iterator[Served]:
    file = tmp_path / "display.json"
    file.write_text(rt.item(Manufacturer="Quux", DeviceSerialNumber="7").to_json())
    with Served(tmp_path / "data", "--display-system", str(file)) as served:
        yield served


def test_display_system(described: Served) -> None:
    done = run(
        "nget", described.peer, "--class", "DisplaySystem", "--instance", "1.2.840.10008.5.1.1.40.1",
        "Manufacturer", "--json",
    )  # fmt: skip
    assert done.code == 0, done
    assert Dataset.from_json(json.loads(done.out)["dataset"]).Manufacturer == "Quux"


def test_events_and_notifications_are_kept(tmp_path: Path) -> None:
    series = rt.item(
        SeriesInstanceUID="2.25.1.1",
        ReferencedSOPSequence=[
            rt.item(
                ReferencedSOPClassUID=SECONDARY_CAPTURE,
                ReferencedSOPInstanceUID="2.25.2",
                InstanceAvailability="ONLINE",
                RetrieveAETitle="ARCHIVE",
            )
        ],
    )
    notification = rt.item(
        ReferencedPerformedProcedureStepSequence=[],
        StudyInstanceUID="2.25.1",
        ReferencedSeriesSequence=[series],
    )
    with Served(tmp_path / "data") as node:
        association = associate(node, AVAILABILITY)
        assert association.send_n_create(notification, AVAILABILITY, "2.25.9")[0].Status == 0x0000
        node.kill()
    with Served(tmp_path / "data") as node:
        association = associate(node, AVAILABILITY)
        assert association.send_n_create(notification, AVAILABILITY, "2.25.9")[0].Status == 0x0111
        association.release()


def test_media_from_what_is_stored(tmp_path: Path) -> None:
    (tmp_path / "one.dcm").write_bytes(file_of(instance("2.25.2"), "2.25.2"))
    with Served(tmp_path / "data") as node:
        assert run("store", node.peer, str(tmp_path / "one.dcm")).code == 0
        association = associate(node, MEDIA)
        request = rt.item(
            ReferencedSOPSequence=[
                rt.item(ReferencedSOPClassUID=SECONDARY_CAPTURE, ReferencedSOPInstanceUID="2.25.2")
            ]
        )
        assert association.send_n_create(request, MEDIA, "2.25.5")[0].Status == 0x0000
        assert association.send_n_action(None, 1, MEDIA, "2.25.5")[0].Status == 0x0000

        def state() -> str:
            _, found = association.send_n_get([0x21000020], MEDIA, "2.25.5")
            assert found is not None
            return str(found.ExecutionStatus)

        until(lambda: state() in ("DONE", "FAILURE"))
        assert state() == "DONE"
        association.release()
    assert (tmp_path / "data" / "media" / "2.25.5" / "DICOMDIR").exists()
