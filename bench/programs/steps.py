"""What the rows about procedure steps run in processes of their own; each prints one figure.

``python -m bench.programs.steps set PORT COUNT`` sets a step from 8 associations at once: seconds for each.
``... commit FOLDER COUNT`` does what the database alone would: seconds for each commit.
``... check COUNT`` and ``... decode COUNT``: seconds to check, and to decode, a step that names 500 images.
``... fan-out FOLDER COUNT``: megabytes that the process grows by while an event goes to all subscriptions.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from io import BytesIO
from pathlib import Path
from threading import Barrier, Thread

from pydicom import Dataset, dcmread, dcmwrite

ASSOCIATIONS = 8
IMAGES = 500
MPPS = "1.2.840.10008.3.1.2.3.3"
EXPLICIT = "1.2.840.10008.1.2.1"
_TEXTS = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PerformedStationName", "PerformedLocation",
    "PerformedProcedureStepDescription", "PerformedProcedureTypeDescription", "PerformedProcedureStepEndDate",
    "PerformedProcedureStepEndTime", "StudyID",
)  # fmt: skip
_SEQUENCES = (
    "ReferencedPatientSequence", "ProcedureCodeSequence", "PerformedProtocolCodeSequence",
    "PerformedSeriesSequence",
)  # fmt: skip


def new_step() -> Dataset:
    """Return the attribute list of an N-CREATE."""
    scheduled = Dataset()
    scheduled.StudyInstanceUID = "2.25.1"
    scheduled.ReferencedStudySequence = []
    scheduled.ScheduledProtocolCodeSequence = []
    for keyword in (
        "AccessionNumber", "RequestedProcedureID", "RequestedProcedureDescription",
        "ScheduledProcedureStepID", "ScheduledProcedureStepDescription",
    ):  # fmt: skip
        setattr(scheduled, keyword, "")
    dataset = Dataset()
    dataset.ScheduledStepAttributesSequence = [scheduled]
    for keyword in _TEXTS:
        setattr(dataset, keyword, "")
    for keyword in _SEQUENCES:
        setattr(dataset, keyword, [])
    dataset.PerformedProcedureStepID = "1"
    dataset.PerformedStationAETitle = "CT1"
    dataset.PerformedProcedureStepStartDate = "20240229"
    dataset.PerformedProcedureStepStartTime = "120000"
    dataset.PerformedProcedureStepStatus = "IN PROGRESS"
    dataset.Modality = "CT"
    return dataset


def completion(images: int) -> Dataset:
    """Return a modification list that completes a step with so many images."""
    series = Dataset()
    for keyword in ("PerformingPhysicianName", "OperatorsName", "SeriesDescription", "RetrieveAETitle"):
        setattr(series, keyword, "")
    series.ProtocolName = "Head"
    series.SeriesInstanceUID = "2.25.2"
    series.ReferencedNonImageCompositeSOPInstanceSequence = []
    series.ReferencedImageSequence = []
    for number in range(images):
        reference = Dataset()
        reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        reference.ReferencedSOPInstanceUID = f"1.2.826.0.1.3680043.8.498.{10**30 + number}"
        series.ReferencedImageSequence.append(reference)
    dataset = Dataset()
    dataset.PerformedProcedureStepEndDate = "20240229"
    dataset.PerformedProcedureStepEndTime = "121500"
    dataset.PerformedProcedureStepStatus = "COMPLETED"
    dataset.PerformedSeriesSequence = [series]
    return dataset


def encoded(dataset: Dataset) -> bytes:
    """Return a data set in Explicit VR Little Endian."""
    stream = BytesIO()
    dcmwrite(stream, dataset, implicit_vr=False, little_endian=True)
    return stream.getvalue()


def set_steps(port: int, count: int) -> float:
    """Return the seconds for each of ``count`` N-SETs of 8 associations, each with a step of its own."""
    from dulcimer import AE

    ae = AE("CT1")
    ae.add_requested_context(MPPS, EXPLICIT)
    associations = [ae.associate("127.0.0.1", port) for _ in range(ASSOCIATIONS)]
    uids = [f"2.25.{time.time_ns()}{number}" for number in range(ASSOCIATIONS)]
    for association, uid in zip(associations, uids, strict=True):
        if association.send_n_create(new_step(), MPPS, uid)[0].get("Status") != 0:
            raise SystemExit("N-CREATE failed")
    each = count // ASSOCIATIONS
    together = Barrier(ASSOCIATIONS + 1)
    failed: list[object] = []

    def work(at: int) -> None:
        change = Dataset()
        together.wait()
        for number in range(each):
            change.PerformedProcedureStepDescription = str(number)
            status, _ = associations[at].send_n_set(change, MPPS, uids[at])
            if status.get("Status") != 0:
                failed.append(status)
                return

    threads = [Thread(target=work, args=(at,)) for at in range(ASSOCIATIONS)]
    for thread in threads:
        thread.start()
    together.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    for association in associations:
        association.release()
    if failed:
        raise SystemExit(f"N-SET failed: {failed[0]}")
    return seconds / (each * ASSOCIATIONS)


def commit(folder: Path, count: int) -> float:
    """Return the seconds for each of ``count`` transactions that update one row, as durable as the node's."""
    data = encoded(new_step())
    connection = sqlite3.connect(folder / f"bare-{time.time_ns()}.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE steps (uid TEXT PRIMARY KEY, data BLOB)")
    for number in range(ASSOCIATIONS):
        connection.execute("INSERT INTO steps VALUES (?, ?)", (str(number), data))
    started = time.perf_counter()
    for number in range(count):
        connection.execute("BEGIN IMMEDIATE")
        # The same bytes again would not be written.
        new = data + number.to_bytes(4)
        connection.execute("UPDATE steps SET data = ? WHERE uid = ?", (new, str(number % ASSOCIATIONS)))
        connection.execute("COMMIT")
    seconds = time.perf_counter() - started
    connection.close()
    return seconds / count


def decode(count: int) -> float:
    """Return the seconds in which pydicom decodes a step that names 500 images, to the last element."""
    data = encoded(completion(IMAGES))
    started = time.perf_counter()
    for _ in range(count):
        for _element in dcmread(BytesIO(data), force=True).iterall():
            pass
    return (time.perf_counter() - started) / count


def check(count: int) -> float:
    """Return the seconds of both checks of a step that names 500 images: the N-SET, and its final state."""
    from dulcimer.services import check as check_rules

    stored, change = new_step(), completion(IMAGES)
    for _element in change.iterall():
        pass
    merged = Dataset()
    merged.update(stored)
    merged.update(change)
    started = time.perf_counter()
    for _ in range(count):
        found = check_rules("N-SET", MPPS, change, stored=stored)
        final = check_rules("final", MPPS, merged)
    seconds = (time.perf_counter() - started) / count
    if not (found.ok and final.ok):
        raise SystemExit(found.explain() + final.explain())
    return seconds


def fan_out(folder: Path, count: int) -> float:
    """Return the megabytes that the process grows by while an event is queued for ``count`` subscriptions."""
    from dulcimer import AE
    from dulcimer.node.adapters.database import Database
    from dulcimer.node.adapters.reports import SqlReportQueue
    from dulcimer.node.adapters.subscriptions import SqlSubscriptions
    from dulcimer.scp.reports import Reporter

    database = Database(folder / f"fan-out-{time.time_ns()}.sqlite", "NORMAL")
    subscriptions = SqlSubscriptions(database)
    with database.write():
        for number in range(count):
            subscriptions.put(f"AE{number}", "2.25.1", number % 2 == 0)
    queue = SqlReportQueue(database)
    reporter = Reporter(AE("BENCH"), queue=queue, workers=0)
    information = Dataset()
    information.ProcedureStepState = "IN PROGRESS"
    information.InputReadinessState = "READY"

    def send(uid: str) -> None:
        aets = subscriptions.of("2.25.1")
        reporter.send_to(aets, "1.2.840.10008.5.1.4.34.6.1", uid, 1, information)

    send("2.25.1")
    before = _resident()
    for number in range(4):
        send(f"2.25.{number}")
    grown = _resident() - before
    if len(queue) != 5 * count:
        raise SystemExit(f"{len(queue)} reports instead of {5 * count}")
    reporter.close()
    database.close()
    return max(grown, 0.0)


def _resident() -> float:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("no VmRSS")


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "set":
        print(set_steps(int(arguments[0]), int(arguments[1])))
    elif what in ("commit", "fan-out"):
        print((commit if what == "commit" else fan_out)(Path(arguments[0]), int(arguments[1])))
    else:
        print((check if what == "check" else decode)(int(arguments[0])))
