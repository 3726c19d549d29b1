"""qrscp: the node with that tool's defaults and configuration file."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydicom import dcmread

from cli.inprocess import dulcimer
from cli.tooling import DULCIMER, PYNETDICOM, free_port, ours, real_file, run
from dulcimer.cli.exits import Stop
from dulcimer.cli.tools import inifile, qrscp
from interop.dcmtk import program
from node.served import environment

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "qr.ini"
        path.write_text(text, "utf-8")
        return str(path)

    return write


def test_the_file_that_the_other_tool_ships(written: Callable[[str], str]) -> None:
    import pynetdicom.apps.qrscp as theirs

    found = inifile.read(str(Path(theirs.__file__).parent / "default.ini"))
    assert found.options == {
        "aet": "QRSCP",
        "port": "11112",
        "max_pdu": "16382",
        "acse_timeout": "30",
        "dimse_timeout": "30",
        "idle_timeout": "30",
        "data": "instances",
    }
    assert found.destinations == {"STORESCP": ("127.0.0.1", 11113)}


def test_options_win_over_the_file(written: Callable[[str], str], tmp_path: Path) -> None:
    path = written("[DEFAULT]\nae_title: FILE\nport: 1\nmax_pdu: 0\nbind_address: 127.0.0.1\n")
    data = str(tmp_path / "data")
    port = free_port()
    with ours(
        "qrscp",
        "-c",
        path,
        "-aet",
        "OPTION",
        "--instance-location",
        data,
        "--json",
        folder=tmp_path,
        port=port,
    ) as node:
        node.wait_for("listening")
        (line,) = node.lines()
        assert (line["host"], line["port"], line["aet"], line["data"]) == ("127.0.0.1", port, "OPTION", data)
        assert node.stop() == 0


def test_it_stores_and_answers(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ours("qrscp", "--instance-location", str(data), folder=tmp_path) as node:
        assert f"listening on 0.0.0.0:{node.port} as QRSCP" in node.wait_for("listening")
        peer = f"localhost:{node.port}"
        assert dulcimer("echoscu", peer).code == 0
        assert dulcimer("storescu", peer, str(real_file("CT_small.dcm"))).code == 0
        running = subprocess.run(
            [*DULCIMER, "qrscp", "--clean", "--instance-location", str(data)],
            input="yes\n",
            capture_output=True,
            text=True,
            env=environment(),
            timeout=30,
            check=False,
        )
        assert running.returncode == 1
        assert "another node is running" in running.stderr
        assert node.stop() == 0
    listed = json.loads(dulcimer("list", "studies", "--data", str(data), "--json").out)
    assert [study["study_instance_uid"] for study in listed] == [
        dcmread(real_file("CT_small.dcm")).StudyInstanceUID
    ]


@pytest.mark.parametrize(("answer", "left"), [("no", 1), ("yes", 0)])
def test_clean(answer: str, left: int, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ours("qrscp", "--instance-location", str(data), folder=tmp_path) as node:
        dulcimer("storescu", f"localhost:{node.port}", str(real_file("CT_small.dcm")))
        node.stop()
    (data / "mine.txt").write_text("not a part of the node", "utf-8")
    done = subprocess.run(
        [*DULCIMER, "qrscp", "--clean", "--instance-location", str(data)],
        input=f"{answer}\n",
        capture_output=True,
        text=True,
        env=environment(),
        timeout=30,
        check=False,
    )
    assert done.returncode == 0
    assert len(list(data.rglob("*.dcm"))) == left
    assert (data / "index.sqlite").exists() == bool(left)
    assert (data / "mine.txt").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("port: 1", "is no INI file"),
        ("[DEFAULT]\nprot: 1", "there is no setting 'prot'; there are ae_title, port"),
        ("[PACS]\nport: 1", "[PACS] needs an address and a port"),
        ("[PACS]\naddress: here\nport: x", "[PACS] needs an address and a port"),
        ("[A NAME THAT IS TOO LONG]\naddress: here\nport: 1", "1 to 16 characters"),
        ("[DEFAULT]\nport: 1\n[PACS]\naddress: here", "[PACS] needs an address and a port"),
    ],
)
def test_files_that_cannot_be_used(text: str, words: str, written: Callable[[str], str]) -> None:
    with pytest.raises(Stop) as caught:
        inifile.read(written(text))
    assert words in str(caught.value)


def test_a_value_that_cannot_be_used(written: Callable[[str], str]) -> None:
    done = dulcimer("qrscp", "-c", written("[DEFAULT]\nport: many\n"))
    assert (done.code, done.out) == (2, "")
    assert "'many'" in done.err


def test_defaults() -> None:
    args = qrscp.options().read([])
    assert args.port is args.ae_title is args.max_pdu is None


def _uids(folder: Path) -> list[str]:
    return [str(dcmread(path).SOPInstanceUID) for path in folder.iterdir()]


@pytest.mark.parametrize("whose", ["ours", "dcmtk", "pynetdicom"])
@pytest.mark.interop
def test_query_and_retrieve(whose: str, tmp_path: Path) -> None:
    """The whole round, with the tools of three makers."""
    if whose == "dcmtk" and not program("movescu"):
        pytest.skip("DCMTK is not installed")
    destination = free_port()
    (tmp_path / "qr.ini").write_text(
        f"[DEFAULT]\nnetwork_timeout: 10\n[STORESCP]\naddress: 127.0.0.1\nport: {destination}\n", "utf-8"
    )
    (tmp_path / "got").mkdir()
    (tmp_path / "moved").mkdir()
    wanted = dcmread(real_file("MR_small.dcm"))
    line = ["-c", str(tmp_path / "qr.ini"), "--instance-location", str(tmp_path / "data")]
    with ours("qrscp", *line, folder=tmp_path) as node:
        where = ["localhost", str(node.port)]
        files = [str(real_file(name)) for name in ("CT_small.dcm", "MR_small.dcm")]
        assert dulcimer("storescu", *where, *files).code == 0
        key = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={wanted.StudyInstanceUID}"]

        def tool(name: str, *options: str, folder: Path = tmp_path) -> None:
            command = {
                "ours": [*DULCIMER, name],
                "dcmtk": [str(program(name))],
                "pynetdicom": [*PYNETDICOM, name],
            }
            done = run(*command[whose], *where, *options, *key, cwd=folder)
            assert done.returncode == 0, done.stderr

        tool("findscu", "-k", "PatientName", "-X" if whose == "dcmtk" else "-w")
        (match,) = tmp_path.glob("rsp*.dcm")
        assert dcmread(match).PatientName == wanted.PatientName
        tool("getscu", "-od", str(tmp_path / "got"))
        assert _uids(tmp_path / "got") == [wanted.SOPInstanceUID]
        port = "+P" if whose == "dcmtk" else "--store-port"
        store = [] if whose == "dcmtk" else ["--store"]
        tool("movescu", "-aem", "STORESCP", *store, port, str(destination), "-od", str(tmp_path / "moved"))
        assert _uids(tmp_path / "moved") == [wanted.SOPInstanceUID]
        assert node.stop() == 0
