from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from cli.inprocess import dulcimer
from dulcimer import AE, evt
from dulcimer.cli.exits import Exit
from dulcimer.cli.scan import Sendable
from dulcimer.cli.sending import Report, exit_code, failure
from node.objects import CT_IMAGE, SECONDARY_CAPTURE, data_set_of, file_of, instance
from node.served import Finished, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dulcimer.node.app import Node

EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG = "1.2.840.10008.1.2.4.70"


def put(folder: Path, name: str, uid: str, *, sop_class: str = SECONDARY_CAPTURE, syntax: str = "") -> bytes:
    data = instance(uid, sop_class=sop_class, study="2.25.55")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file_of(data, uid, sop_class=sop_class, syntax=syntax))
    return data


def stored(node: Node) -> dict[str, bytes]:
    return {
        path.name: data_set_of(path.read_bytes()) for path in (node.config.data / "objects").rglob("*.dcm")
    }


def report_of(done: Finished) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.out)
    return found


# -- Success


def test_a_folder_with_junk_in_it(node: Node, peer: str, tmp_path: Path) -> None:
    one = put(tmp_path, "one.dcm", "2.25.1001")
    two = put(tmp_path, "deep/er/two", "2.25.1002", sop_class=CT_IMAGE, syntax=JPEG)
    (tmp_path / "notes.txt").write_text("buy milk")
    (tmp_path / "deep" / "empty.dcm").write_bytes(b"")
    (tmp_path / "deep" / "noise.bin").write_bytes(os.urandom(3000))
    done = dulcimer("store", peer, str(tmp_path))
    assert (done.code, done.err) == (Exit.OK, "")
    first, *rest = done.out.splitlines()
    assert first.startswith("sent 2 of 2 files (")
    assert f"to {peer} in " in first
    assert [line for line in rest if not line.startswith("    ")] == [
        "2 skipped: no DICOM file: 'DICM' is not at offset 128",
        "1 skipped: the file is empty",
    ]
    assert f"    {tmp_path / 'notes.txt'}" in rest
    assert stored(node)["2.25.1001.dcm"] == one
    assert stored(node)["2.25.1002.dcm"] == two


def test_the_report_as_json(peer: str, tmp_path: Path) -> None:
    data = put(tmp_path, "one.dcm", "2.25.1003")
    (tmp_path / "notes.txt").write_text("buy milk")
    done = dulcimer("store", peer, str(tmp_path), "--json")
    report = report_of(done)
    assert done.code == Exit.OK
    assert report.pop("seconds") >= 0
    assert report == {
        "peer": peer,
        "sent": 1,
        "bytes": len(data),
        "associations": 1,
        "warnings": [],
        "failed": [],
        "skipped": [
            {"file": str(tmp_path / "notes.txt"), "reason": "no DICOM file: 'DICM' is not at offset 128"}
        ],
        "unsent": 0,
        "interrupted": False,
        "no_association": "",
    }


def test_junk_is_a_failure_when_asked(peer: str, tmp_path: Path) -> None:
    put(tmp_path, "one.dcm", "2.25.1004")
    (tmp_path / "notes.txt").write_text("buy milk")
    assert dulcimer("store", peer, str(tmp_path), "--strict").code == Exit.FAILED


def test_more_classes_than_an_association_has_contexts(node: Node, peer: str, tmp_path: Path) -> None:
    wanted = {}
    for number in range(140):
        wanted[f"2.25.7{number}.dcm"] = put(
            tmp_path,
            f"{number}.dcm",
            f"2.25.7{number}",
            sop_class=f"1.2.826.0.1.3680043.2.{number}",
            syntax=JPEG,
        )
    report = report_of(dulcimer("store", peer, str(tmp_path), "--json"))
    assert (report["sent"], report["associations"]) == (140, 2)
    assert wanted.items() <= stored(node).items()


def test_the_uids_of_the_data_set_count(node: Node, peer: str, tmp_path: Path) -> None:
    """Copied and anonymized files often have another UID in their header."""
    data = instance("2.25.1005")
    (tmp_path / "one.dcm").write_bytes(file_of(data, "2.25.404"))
    assert dulcimer("store", peer, str(tmp_path)).code == Exit.OK
    assert stored(node)["2.25.1005.dcm"] == data


def test_a_deflated_file_of_odd_length_is_made_even(node: Node, peer: str, tmp_path: Path) -> None:
    import zlib

    for pixels in (os.urandom(100), os.urandom(400_000)):  # read at once, and piece by piece
        number = 2000
        while True:
            uid = f"2.25.{number}"
            deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
            data = deflate.compress(instance(uid, pixels=pixels)) + deflate.flush()
            if len(data) % 2 and f"{uid}.dcm" not in stored(node):
                break
            number += 1
            pixels += b"\0"
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(file_of(data, uid, syntax=DEFLATED))
        assert dulcimer("store", peer, str(path)).code == Exit.OK
        assert stored(node)[f"{uid}.dcm"] == data + b"\0"


@pytest.mark.parametrize("maximum", ["0", "4096", "1000000"])
def test_pdus_of_other_lengths(peer: str, tmp_path: Path, maximum: str) -> None:
    put(tmp_path, "one.dcm", "2.25.1006")
    assert dulcimer("store", peer, str(tmp_path), "--max-pdu", maximum).code == Exit.OK


def test_the_progress_is_shown_on_a_terminal(peer: str, tmp_path: Path) -> None:
    import subprocess

    from node.served import PROGRAM, environment

    put(tmp_path, "one.dcm", "2.25.1007")
    master, slave = os.openpty()
    sending = subprocess.Popen(
        [*PROGRAM, "store", peer, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=slave,
        env=environment({"TERM": "xterm", "COLUMNS": "100"}),
    )
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 4096):
            shown += piece
    except OSError:
        pass  # what Linux says when the other side is closed
    finally:
        os.close(master)
    out, _ = sending.communicate(timeout=20)
    assert sending.returncode == Exit.OK
    # The bar goes to standard error, the result to standard output.
    assert out.startswith(b"sent 1 of 1 file")
    assert b"sending" in shown
    assert b"bytes" in shown or b"kB" in shown


# -- Failure


class Scp:
    """A server that answers with what it is told to."""

    def __init__(self, *contexts: tuple[str, str]) -> None:
        self.statuses: list[int] = []
        self.abort_on: str | None = None
        self.received: list[str] = []
        ae = AE("SCP")
        for sop_class, syntax in contexts:
            ae.add_supported_context(sop_class, syntax)
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        assert server is not None
        self.server = server

    @property
    def peer(self) -> str:
        return f"SCP@127.0.0.1:{self.server.server_address[1]}"

    def _store(self, event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        if uid == self.abort_on:
            event.assoc.abort()
        self.received.append(uid)
        return self.statuses.pop(0) if self.statuses else 0


@pytest.fixture
def scp() -> Iterator[Scp]:
    made = Scp((SECONDARY_CAPTURE, EXPLICIT))
    yield made
    made.server.shutdown()


def test_one_that_is_refused_does_not_keep_the_others(scp: Scp, tmp_path: Path) -> None:
    for number in range(3):
        put(tmp_path, f"{number}.dcm", f"2.25.{number + 1}")
    scp.statuses = [0, 0xA700, 0]
    done = dulcimer("store", scp.peer, str(tmp_path))
    assert done.code == Exit.FAILED
    first, *rest = done.out.splitlines()
    assert first.startswith("sent 2 of 3 files")
    assert rest == ["1 failed: A700 out of resources", f"    {tmp_path / '1.dcm'}"]


def test_a_warning_is_a_success_that_is_said(scp: Scp, tmp_path: Path) -> None:
    put(tmp_path, "1.dcm", "2.25.1")
    scp.statuses = [0xB000]
    done = dulcimer("store", scp.peer, str(tmp_path))
    assert done.code == Exit.OK
    assert "1 sent with a warning: B000 coercion of data elements" in done.out


def test_what_is_not_accepted_is_named(scp: Scp, tmp_path: Path) -> None:
    put(tmp_path, "1.dcm", "2.25.1")
    put(tmp_path, "2.dcm", "2.25.2", syntax=JPEG)
    put(tmp_path, "3.dcm", "2.25.3", sop_class=CT_IMAGE)
    done = dulcimer("store", scp.peer, str(tmp_path), "--json")
    report = report_of(done)
    assert (done.code, report["sent"]) == (Exit.FAILED, 1)
    reasons = {item["sop_instance_uid"]: item["reason"] for item in report["failed"]}
    assert set(reasons) == {"2.25.2", "2.25.3"}
    assert JPEG in reasons["2.25.2"]
    assert CT_IMAGE in reasons["2.25.3"]


def test_nothing_at_all_is_accepted(scp: Scp, tmp_path: Path) -> None:
    put(tmp_path, "3.dcm", "2.25.3", sop_class=CT_IMAGE)
    done = dulcimer("store", scp.peer, str(tmp_path))
    assert (done.code, done.err) == (Exit.FAILED, "")
    assert f"1 failed: not accepted: SOP class {CT_IMAGE} in transfer syntax {EXPLICIT}" in done.out


def test_a_batch_of_which_nothing_is_accepted_does_not_keep_the_next_one(scp: Scp, tmp_path: Path) -> None:
    for number in range(128):
        sop_class = f"1.2.826.0.1.3680043.1.{number}"
        put(tmp_path, f"{number}.dcm", f"2.25.8{number}", sop_class=sop_class, syntax=JPEG)
    # Behind the others in the plan.
    put(tmp_path, "good.dcm", "2.25.1")
    report = report_of(dulcimer("store", scp.peer, str(tmp_path), "--json"))
    assert (report["sent"], len(report["failed"]), report["unsent"]) == (1, 128, 0)


def test_an_abort_costs_one_file(scp: Scp, tmp_path: Path) -> None:
    for number in range(4):
        put(tmp_path, f"{number}.dcm", f"2.25.{number + 1}")
    scp.abort_on = "2.25.2"
    done = dulcimer("store", scp.peer, str(tmp_path), "--json")
    report = report_of(done)
    assert (done.code, report["sent"], report["associations"]) == (Exit.FAILED, 3, 2)
    (failed,) = report["failed"]
    assert failed["sop_instance_uid"] == "2.25.2"
    assert "abort" in failed["reason"]


def test_nobody_listens(tmp_path: Path) -> None:
    put(tmp_path, "1.dcm", "2.25.1")
    done = dulcimer("store", "127.0.0.1:1", str(tmp_path))
    assert done.code == Exit.NO_ASSOCIATION
    assert "127.0.0.1:1 refused the connection" in done.err
    assert "sent 0 of 1 file (" in done.out
    assert done.out.splitlines()[-1] == "1 file was not sent: no association"


def test_a_file_that_vanishes_between_looking_and_sending(scp: Scp, tmp_path: Path) -> None:
    from dulcimer.cli.peer import Caller, Timeouts, parse
    from dulcimer.cli.scan import scan
    from dulcimer.cli.sending import Sender

    put(tmp_path, "1.dcm", "2.25.1")
    put(tmp_path, "2.dcm", "2.25.2")
    files, _ = scan([tmp_path])
    (tmp_path / "1.dcm").unlink()
    report = Sender(parse(scp.peer), Caller("TEST", Timeouts.of(5.0))).send(files)
    assert report.sent == 1
    ((lost, reason),) = report.failed
    assert lost.path.name == "1.dcm"
    assert "No such file" in reason


def test_the_progress_adds_up(scp: Scp, tmp_path: Path) -> None:
    from dulcimer.cli.peer import Caller, Timeouts, parse
    from dulcimer.cli.scan import scan
    from dulcimer.cli.sending import Sender

    for number in range(3):
        put(tmp_path, f"{number}.dcm", f"2.25.{number + 1}")
    files, _ = scan([tmp_path])
    seen: list[int] = []
    Sender(parse(scp.peer), Caller("TEST", Timeouts.of(5.0)), seen.append).send(files)
    assert sum(seen) == sum(file.size for file in files)


def test_ctrl_c_ends_after_the_file_under_way(tmp_path: Path) -> None:
    import signal
    import subprocess

    from node.served import PROGRAM, environment

    scp = Scp((SECONDARY_CAPTURE, EXPLICIT))
    for number in range(300):
        put(tmp_path, f"{number}.dcm", f"2.25.{number + 1}")
    slow = scp._store

    def store(event: evt.Event) -> int:
        import time

        time.sleep(0.05)
        return slow(event)

    scp.server.unbind(evt.EVT_C_STORE, scp._store)
    scp.server.bind(evt.EVT_C_STORE, store)
    sending = subprocess.Popen(
        [*PROGRAM, "store", scp.peer, str(tmp_path), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    try:
        until(lambda: len(scp.received) > 2, 20)
        sending.send_signal(signal.SIGINT)
        out, err = sending.communicate(timeout=20)
    finally:
        sending.kill()
        scp.server.shutdown()
    assert (sending.returncode, err) == (Exit.INTERRUPTED, b"")
    report = json.loads(out)
    assert report["interrupted"]
    assert report["failed"] == []
    assert report["sent"] == len(scp.received)
    assert report["sent"] + report["unsent"] == 300


# -- Bad input


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["127.0.0.1:104", "/no/such/file.dcm"], "there is no /no/such/file.dcm"),
        (["127.0.0.1:0", "/"], "'0' is no port"),
        (["127.0.0.1:104"], "FILE|FOLDER"),
        (["127.0.0.1:104", "/", "--max-pdu", "-1"], "--max-pdu"),
    ],
)
def test_what_cannot_be_used(arguments: list[str], words: str) -> None:
    done = dulcimer("store", *arguments)
    assert (done.code, done.out) == (Exit.USAGE, "")
    assert words in done.err


def test_an_empty_folder(peer: str, tmp_path: Path) -> None:
    done = dulcimer("store", peer, str(tmp_path))
    assert (done.code, done.err) == (Exit.USAGE, "dulcimer: nothing to send: the folder is empty\n")


def test_a_file_that_is_none_of_dicoms(peer: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("buy milk")
    done = dulcimer("store", peer, str(tmp_path / "notes.txt"))
    assert done.code == Exit.USAGE
    assert done.err.startswith(f"dulcimer: nothing to send: {tmp_path / 'notes.txt'}: no DICOM file")


# -- Exit codes


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (Report(sent=1), Exit.OK),
        (Report(sent=1, warnings=[(Sendable(None, "", "", "", 0, 0), "")]), Exit.OK),  # type: ignore[arg-type]
        (Report(failed=[(Sendable(None, "", "", "", 0, 0), "")]), Exit.FAILED),  # type: ignore[arg-type]
        (Report(no_association="rejected", unsent=1), Exit.NO_ASSOCIATION),
        (Report(interrupted=True, unsent=1), Exit.INTERRUPTED),
    ],
)
def test_what_a_script_is_told(report: Report, code: Exit) -> None:
    assert exit_code(report) is code


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0xA700, "out of resources"),
        (0xA7FF, "out of resources"),
        (0xA900, "data set does not match SOP class"),
        (0xC123, "cannot understand"),
        (0x0122, "SOP class not supported"),
        (0x0999, "failure"),
    ],
)
def test_failures_have_names(status: int, words: str) -> None:
    assert failure(status) == words
