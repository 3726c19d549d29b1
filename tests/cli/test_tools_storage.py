"""storescu and storescp: each with the other, and with DCMTK's and pynetdicom's."""

from __future__ import annotations

import json
import re
import signal
import socket
from typing import TYPE_CHECKING

import pytest
from pydicom import dcmread

from cli.inprocess import dulcimer
from cli.tooling import DULCIMER, PYNETDICOM, Server, free_port, ours, real_file, run
from interop.dcmtk import needs, program
from node.objects import SECONDARY_CAPTURE, data_set_of, file_of, instance

if TYPE_CHECKING:
    from pathlib import Path

CT, MR, J2K = "CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm"
LITTLE, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"


def files(*names: str) -> list[str]:
    return [str(real_file(name)) for name in names]


def uids(folder: Path) -> list[str]:
    return sorted(str(dcmread(path).SOPInstanceUID) for path in folder.iterdir())


def sent(*names: str) -> list[str]:
    return sorted(str(dcmread(real_file(name)).SOPInstanceUID) for name in names)


def test_ours_to_ours(tmp_path: Path) -> None:
    received = tmp_path / "received"
    with ours("storescp", "-od", str(received), "--json", folder=tmp_path) as scp:
        done = dulcimer(
            "storescu", "localhost", str(scp.port), *files(CT, MR, J2K), "--json", "-aet", "SENDER"
        )
        assert (done.code, done.err) == (0, "")
        report = json.loads(done.out)
        assert (report["sent"], report["failed"], report["skipped"]) == (3, [], [])
        assert scp.stop() == 0
        listening, *stored = scp.lines()
    assert (listening["event"], listening["port"], listening["aet"]) == ("listening", scp.port, "STORESCP")
    assert {line["peer_aet"] for line in stored} == {"SENDER"}
    assert uids(received) == sent(CT, MR, J2K) == sorted(line["sop_instance_uid"] for line in stored)
    for name in (CT, MR, J2K):
        source = real_file(name)
        (target,) = received.glob(f"*.{dcmread(source).SOPInstanceUID}")
        assert data_set_of(target.read_bytes()) == data_set_of(source.read_bytes())


@pytest.mark.parametrize(("option", "syntax"), [("-xe", LITTLE), ("-xb", BIG), ("-xi", IMPLICIT)])
def test_one_transfer_syntax_only(option: str, syntax: str, tmp_path: Path) -> None:
    received = tmp_path / "received"
    with ours("storescp", "-od", str(received), folder=tmp_path) as scp:
        done = dulcimer("storescu", "localhost", str(scp.port), *files(CT), option)
        assert (done.code, done.out, done.err) == (0, "", "")
    (path,) = received.iterdir()
    assert path.name.startswith("CT.")
    dataset = dcmread(path)
    assert dataset.file_meta.TransferSyntaxUID == syntax
    assert (dataset.pixel_array == dcmread(real_file(CT)).pixel_array).all()


@pytest.mark.parametrize(
    ("option", "syntax"),
    [("-x=", LITTLE), ("-xe", LITTLE), ("-xb", BIG), ("-xi", IMPLICIT), (None, IMPLICIT)],
)
def test_what_the_receiver_prefers(option: str | None, syntax: str, tmp_path: Path) -> None:
    from dulcimer import AE

    with ours("storescp", *([option] if option else []), "--ignore", folder=tmp_path) as scp:
        ae = AE()
        ae.add_requested_context(SECONDARY_CAPTURE, [BIG, IMPLICIT, LITTLE])
        with ae.associate("127.0.0.1", scp.port) as association:
            assert association.accepted_contexts[0].transfer_syntax == [syntax]
        assert scp.stop(signal.SIGINT) == 0
    assert list(tmp_path.glob("*.dcm")) == []


def test_folders(tmp_path: Path) -> None:
    deep = tmp_path / "out" / "deep"
    deep.mkdir(parents=True)
    (tmp_path / "out" / "1").write_bytes(file_of(instance("2.25.1"), "2.25.1"))
    (deep / "2").write_bytes(file_of(instance("2.25.2"), "2.25.2"))
    received = tmp_path / "received"
    with ours("storescp", "-od", str(received), folder=tmp_path) as scp:
        assert dulcimer("storescu", "localhost", str(scp.port), str(tmp_path / "out")).code == 0
        assert uids(received) == ["2.25.1"]
        assert dulcimer("storescu", "-r", "localhost", str(scp.port), str(tmp_path / "out")).code == 0
        assert uids(received) == ["2.25.1", "2.25.2"]


def test_what_is_no_dicom_file_does_not_keep_the_others(tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"junk")
    with ours("storescp", "--ignore", "-v", folder=tmp_path) as scp:
        done = dulcimer("storescu", "localhost", str(scp.port), str(tmp_path / "junk"), *files(CT))
        scp.wait_for("received")
    assert done.code == 1
    assert done.err.startswith(f"dulcimer: {tmp_path / 'junk'} is not sent: ")


def test_names_of_files_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    from dulcimer.cli.tools.receiving import Receiver

    receiver = Receiver(str(tmp_path), ignore=False, json=False)
    path = receiver.path_for("1.2.3", "../../etc/passwd" + "9" * 100)
    assert path.parent == tmp_path
    assert re.fullmatch(r"UN\.[0-9._]{64}", path.name)


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = dulcimer("storescp", str(taken.getsockname()[1]), "-ba", "127.0.0.1", "-od", str(tmp_path))
    assert (done.code, done.out) == (1, "")
    assert "is in use" in done.err


def test_what_is_under_way_is_finished_first(tmp_path: Path) -> None:
    """SIGTERM in the middle of a transfer loses nothing, and a new association is refused."""
    from dulcimer import AE

    received = tmp_path / "received"
    with ours("storescp", "-od", str(received), "-v", folder=tmp_path) as scp:
        from api.peers import RawPeer
        from dulcimer.protocol.dimse import elements as e

        peer = RawPeer(socket.create_connection(("127.0.0.1", scp.port), 5))
        peer.request(SECONDARY_CAPTURE, syntax=LITTLE)
        data = instance("2.25.7", pixels=b"\0\1" * 50_000)
        from api.peers import message

        whole = message(
            {
                e.AFFECTED_SOP_CLASS_UID: SECONDARY_CAPTURE,
                e.COMMAND_FIELD: 0x0001,
                e.MESSAGE_ID: 1,
                e.PRIORITY: 0,
                e.AFFECTED_SOP_INSTANCE_UID: "2.25.7",
            },
            data[:10_000],
        )
        # The last fragment says that it is one: here another one follows.
        first = bytearray(whole)
        first[-10_000 - 1] = 0
        peer.send(bytes(first))
        scp.process.send_signal(signal.SIGTERM)
        scp.wait_for("stopping")
        ae = AE()
        ae.add_requested_context(SECONDARY_CAPTURE)
        assert not ae.associate("127.0.0.1", scp.port).is_established
        rest = data[10_000:]
        for at in range(0, len(rest), 10_000):
            part = rest[at : at + 10_000]
            last = at + 10_000 >= len(rest)
            body = bytes([1, 2 if last else 0]) + part
            peer.send(b"\x04\0" + (len(body) + 4).to_bytes(4, "big") + len(body).to_bytes(4, "big") + body)
        answer, _ = peer.read_message()
        assert answer[e.STATUS] == 0
        peer.close()
        assert scp.process.wait(20) == 0
    assert uids(received) == ["2.25.7"]


@pytest.mark.interop
@needs("storescu", "storescp")
def test_dcmtk(tmp_path: Path) -> None:
    received, theirs = tmp_path / "received", tmp_path / "theirs"
    theirs.mkdir()
    with ours("storescp", "-od", str(received), folder=tmp_path) as scp:
        done = run(str(program("storescu")), "localhost", str(scp.port), *files(CT, MR))
        assert done.returncode == 0, done.stderr
    assert uids(received) == sent(CT, MR)
    port = free_port()
    command = [str(program("storescp")), "+xa", "+B", "-od", str(theirs), str(port)]
    with Server(*command, folder=tmp_path, port=port):
        assert dulcimer("storescu", "localhost", str(port), *files(CT, MR, J2K)).code == 0
    assert uids(theirs) == sent(CT, MR, J2K)


@pytest.mark.interop
def test_pynetdicom(tmp_path: Path) -> None:
    received, theirs = tmp_path / "received", tmp_path / "theirs"
    with ours("storescp", "-od", str(received), folder=tmp_path) as scp:
        done = run(*PYNETDICOM, "storescu", "localhost", str(scp.port), *files(CT, MR), "-cx")
        assert done.returncode == 0, done.stderr
        again = run(*PYNETDICOM, "echoscu", "localhost", str(scp.port))
        assert again.returncode == 0
    assert uids(received) == sent(CT, MR)
    port = free_port()
    with Server(*PYNETDICOM, "storescp", str(port), "-od", str(theirs), folder=tmp_path, port=port):
        assert dulcimer("storescu", "localhost", str(port), *files(CT, MR, J2K)).code == 0
        assert dulcimer("echoscu", "localhost", str(port)).code == 0
    # The same names of files.
    assert {path.name for path in theirs.iterdir()} >= {path.name for path in received.iterdir()}


def test_as_a_program(tmp_path: Path) -> None:
    """``python -m dulcimer``, with results and nothing else on standard output."""
    with ours("echoscp", folder=tmp_path) as scp:
        done = run(*DULCIMER, "echoscu", "localhost", str(scp.port), "--repeat", "3", "--json", "-v")
        assert done.returncode == 0
        assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["0000"] * 3
        assert "I: the association was accepted" in done.stderr
        quiet = run(*DULCIMER, "echoscu", "localhost", str(scp.port), "--abort")
        assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
        assert scp.out == ""
        assert re.fullmatch(r"listening on 0\.0\.0\.0:\d+ as ECHOSCP\n", scp.err)


def test_without_typer() -> None:
    """The tools need the library alone."""
    import sys

    code = (
        "import sys; sys.modules.update(typer=None, rich=None, sqlalchemy=None); "
        "sys.argv = ['dulcimer', *sys.argv[1:]]; from dulcimer.cli.main import main; main()"
    )
    for tool in ("echoscu", "storescu", "findscu", "getscu", "movescu", "storescp", "echoscp", "qrscp"):
        done = run(sys.executable, "-c", code, tool, "--help")
        assert done.returncode == 0, done.stderr
    done = run(sys.executable, "-c", code, "findscu", "localhost", "1", "-k", "PatientID=1")
    assert done.returncode == 1
    assert "refused the connection" in done.stderr
