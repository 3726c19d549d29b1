"""The programs of the how-to pages, each run against its peer; the important ones against pynetdicom's too.

With pynetdicom as peer the very same programs run with their imports renamed.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet
from pydicom.uid import CTImageStorage

from support.real_files import shipped

ROOT = Path(__file__).resolve().parents[2]
HOWTO = ROOT / "examples" / "howto"
HOST = "127.0.0.1"
PATIENCE = 30.0
OBJECTS = ("CT_small.dcm", "MR_small.dcm")

REQUESTOR = """\
# What the programs use of Dulcimer that pynetdicom does not have.
import threading as _t, time as _s
import pynetdicom.association as _a
_a.Association.__enter__ = lambda self: self
_a.Association.__exit__ = lambda self, *error: self.release()
_a.Association.failure = "no association"


class _Checkpoint(_t.Event):
    # Of two requests in quick succession pynetdicom may take the second answer for a request: its reactor is
    # believed to pause when it has only been told to go on. Here it is given the time to go on first.
    def clear(self):
        for _ in range(200):
            if not self.association._is_paused:
                break
            _s.sleep(0.0005)
        super().clear()


def _init(self, *args, _former=_a.Association.__init__, **kwargs):
    _former(self, *args, **kwargs)
    self._reactor_checkpoint = _Checkpoint()
    self._reactor_checkpoint.association = self
    self._reactor_checkpoint.set()


_a.Association.__init__ = _init
"""


class Place(NamedTuple):
    """Where a program finds what it works on."""

    folder: Path
    objects: list[Path]
    dataset: Dataset
    other_port: int

    @property
    def received(self) -> Path:
        return self.folder / "received"


class Pair(NamedTuple):
    """Two programs, what they are given after host and port, and what they print."""

    name: str
    scu: str
    scp: str
    scu_arguments: tuple[str, ...] = ()
    scp_arguments: tuple[str, ...] = ()
    printed: str = ""
    heard: str = ""
    """A regular expression for what the SCP prints."""
    received: int | None = None
    """How many files arrive."""
    with_pynetdicom: bool = False


GET_BACK = r"C-FIND: 0000, 1 found\nretrieved {}\nC-GET: 0000\n"

PAIRS = [
    Pair(
        "verification",
        "verification_scu",
        "verification_scp",
        printed=r"C-ECHO: 0000\n",
        heard="C-ECHO from ECHOSCU",
        with_pynetdicom=True,
    ),
    Pair(
        "storage",
        "storage_scu",
        "storage_scp",
        ("{objects}",),
        ("{received}",),
        printed=r"(.*: 0000\n){2}",
        heard="stored {sop_instance}",
        received=2,
    ),
    Pair(
        "query",
        "query_scu",
        "query_retrieve_scp",
        ("CompressedSamples",),
        ("{source}",),
        printed=r"{study} CompressedSamples\^CT1 20040119\n(.*\n)?C-FIND: 0000\n",
        with_pynetdicom=True,
    ),
    Pair(
        "get",
        "get_scu",
        "query_retrieve_scp",
        ("{study}", "{received}"),
        ("{source}",),
        printed=r"C-GET: 0000, 1 objects\n",
        received=1,
    ),
    Pair(
        "move",
        "move_scu",
        "query_retrieve_scp",
        ("{study}", "MOVER", "{other_port}", "{received}"),
        ("{source}", f"MOVER={HOST}:{{other_port}}"),
        printed=r"C-MOVE: 0000, 1 objects\n",
        received=1,
    ),
    Pair(
        "move to nowhere",
        "move_scu",
        "query_retrieve_scp",
        ("{study}", "NOBODY", "{other_port}", "{received}"),
        ("{source}", f"MOVER={HOST}:{{other_port}}"),
        printed=r"C-MOVE: A801, 0 objects\n",
        received=0,
    ),
    Pair(
        "procedure step",
        "procedure_step_scu",
        "procedure_step_scp",
        ("2.25.1",),
        printed=r"N-CREATE: 0000 \nN-SET COMPLETED: 0000 \n"
        r"N-SET again: 0110 Performed Procedure Step may no longer be updated\n",
        heard=r"2.25.1 in progress\n2.25.1 COMPLETED",
        with_pynetdicom=True,
    ),
    Pair(
        "print",
        "print_scu",
        "print_scp",
        printed=r"N-GET Printer: 0000\nthe printer is NORMAL\n(N-.*: 0000\n){5}",
        heard=r"printing 256 x 16 pixels",
        with_pynetdicom=True,
    ),
    Pair(
        "print images",
        "print_images_scu",
        "printer_scp",
        ("{objects}",),
        ("{received}",),
        printed=r"a film is DONE\n",
        heard=r"CONSOLE: PENDING\nCONSOLE: PRINTING\nCONSOLE: DONE\n",
    ),
    Pair(
        "media storage",
        "media_storage_send",
        "storage_scp",
        ("{dicomdir}",),
        ("{received}",),
        printed=r"2 of 2 objects stored\n",
        received=2,
    ),
    Pair(
        "storage commitment",
        "storage_commitment_scu",
        "storage_commitment_scp",
        ("{sop_class}", "{sop_instance}", "{other_port}"),
        ("{safe}", f"MODALITY={HOST}:{{other_port}}"),
        printed=r"N-ACTION: 0000\nsafe: {sop_instance}\n",
        with_pynetdicom=True,
    ),
    Pair(
        "storage commitment of what is not there",
        "storage_commitment_scu",
        "storage_commitment_scp",
        ("{sop_class}", "2.25.404", "{other_port}"),
        ("{safe}", f"MODALITY={HOST}:{{other_port}}"),
        printed=r"N-ACTION: 0000\nnot safe: 2.25.404, reason 0112\n",
    ),
    Pair(
        "worklist",
        "worklist_scu",
        "worklist_scp",
        ("CT1", "20260131"),
        printed=r"0930 101 Doe\^Jane\n1000 102 Roe\^Richard\nC-FIND: 0000\n",
        with_pynetdicom=True,
    ),
    Pair(
        "application event",
        "application_event_scu",
        "application_event_scp",
        ("2.25.7",),
        ("2.25.7",),
        printed=r"N-ACTION: 0000\n",
        heard="2.25.7: Contrast injection begun",
    ),
    Pair(
        "application event of an unknown study",
        "application_event_scu",
        "application_event_scp",
        ("2.25.8",),
        ("2.25.7",),
        printed=r"N-ACTION: C103\n",
    ),
    Pair(
        "relevant patient",
        "relevant_patient_scu",
        "relevant_patient_scp",
        ("1CT1",),
        printed=r"Doe\^Jane, F\n  General Relevant Patient Information: allergic to iodine\nC-FIND: 0000\n",
    ),
    Pair(
        "instance availability",
        "instance_availability_scu",
        "instance_availability_scp",
        ("2.25.1", "2.25.2", "2.25.3"),
        printed=r"N-CREATE: 0000\n",
        heard="2.25.3 is ONLINE at ARCHIVE",
    ),
    Pair(
        "media creation",
        "media_creation_scu",
        "media_creation_scp",
        (CTImageStorage, "2.25.3"),
        printed=r"N-CREATE: 0000\nN-ACTION Initiate: 0000\nN-GET: 0000\nthe medium is PENDING\n",
        heard="1 copies of 1 objects",
    ),
    *(
        Pair(key.replace("_", " "), f"{key}_scu", f"{key}_scp", (name,), printed=GET_BACK.format(name))
        for key, name in (
            ("hanging_protocol", "CHEST"),
            ("color_palette", "HEAT"),
            ("implant_template", "HIP STEM 3"),
            ("defined_procedure", "CHEST LOW DOSE"),
            ("protocol_approval", "CHEST"),
            ("inventory", "migration"),
        )
    ),
    Pair(
        "substance administration",
        "substance_administration_scu",
        "substance_administration_scp",
        ("4011200296908",),
        printed=r"Contrast agent 300, use before 20270630\nC-FIND: 0000\n",
    ),
    Pair(
        "unified procedure step",
        "unified_procedure_step_scu",
        "unified_procedure_step_scp",
        printed=r"N-CREATE: 0000 \nfound Segment the liver\nIN PROGRESS: 0000 \nwith another key: C301 \n"
        r"N-SET: 0000 \nCOMPLETED: 0000 \n",
        heard=r"Segment the liver: IN PROGRESS\nSegment the liver: COMPLETED",
        with_pynetdicom=True,
    ),
    Pair(
        "RT machine verification",
        "rt_machine_verification_scu",
        "rt_machine_verification_scp",
        ("2.25.9",),
        ("2.25.9",),
        printed=r"(N-.*: 0000\n){3}the machine is VERIFIED\nN-DELETE: 0000\n",
    ),
    Pair(
        "display system",
        "display_system_scu",
        "display_system_scp",
        printed=r"N-GET: 0000\nExample Greyscale 5\n",
    ),
    Pair(
        "non-patient object",
        "non_patient_object_scu",
        "non_patient_object_scp",
        ("2.25.10",),
        printed=r"C-STORE: 0000\n",
        heard="Color Palette Storage HEAT",
    ),
    Pair(
        "storage management",
        "storage_management_scu",
        "storage_management_scp",
        printed=r"N-ACTION: 0000\nthe inventory is [0-9.]+\n",
    ),
    Pair("tutorial SCU", "tutorial_scu", "tutorial_scp", ("{objects}",), ("{received}",),
         printed=r"the peer answers\n(.*: stored\n){2}", heard="STATION sent .* of Comp", received=2,
         with_pynetdicom=True),
]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Place:
    by_name = {path.name: path for path in shipped()}
    source = tmp_path / "source"
    source.mkdir()
    objects = []
    for name in OBJECTS:
        objects.append(source / name)
        objects[-1].write_bytes(by_name[name].read_bytes())
    dataset = dcmread(objects[0], stop_before_pixels=True)
    return Place(tmp_path, objects, dataset, free_port())


@pytest.mark.parametrize("pair", PAIRS, ids=[pair.name for pair in PAIRS])
def test_both_sides(pair: Pair, place: Place) -> None:
    check(pair, place, HOWTO, HOWTO)


@pytest.mark.interop
@pytest.mark.parametrize("side", ["SCU", "SCP"])
@pytest.mark.parametrize(
    "pair",
    [pair for pair in PAIRS if pair.with_pynetdicom],
    ids=[pair.name for pair in PAIRS if pair.with_pynetdicom],
)
def test_one_side_is_pynetdicom(pair: Pair, side: str, place: Place) -> None:
    pytest.importorskip("pynetdicom")
    theirs = place.folder / "theirs"
    theirs.mkdir()
    name = pair.scu if side == "SCU" else pair.scp
    text = (HOWTO / f"{name}.py").read_text("utf-8")
    renamed = re.sub(r"^from dulcimer\b", "from pynetdicom", text, flags=re.MULTILINE)
    (theirs / f"{name}.py").write_text(REQUESTOR + renamed, "utf-8")
    check(pair, place, *((theirs, HOWTO) if side == "SCU" else (HOWTO, theirs)))


def test_what_is_stored_in_the_node_is_found_and_retrieved(place: Place) -> None:
    port, log = free_port(), place.folder / "log"
    serve = [sys.executable, "-m", "dulcimer", "serve", "--port", port, "--data", place.folder / "data"]
    with serving([str(argument) for argument in serve], port, log):
        stored = succeed("storage_scu", port, *place.objects)
        found = succeed("query_scu", port, "CompressedSamples")
        got = succeed("get_scu", port, place.dataset.StudyInstanceUID, place.received)
    assert stored.count(": 0000") == len(place.objects)
    assert f"{place.dataset.StudyInstanceUID} CompressedSamples^CT1 20040119\n" in found
    assert got == "C-GET: 0000, 1 objects\n"
    assert [path.stem for path in place.received.iterdir()] == [place.dataset.SOPInstanceUID]


def succeed(name: str, port: int, *arguments: object) -> str:
    """Run a requestor that has to succeed; return what it printed."""
    command = [sys.executable, str(HOWTO / f"{name}.py"), HOST, str(port), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_program_is_run_and_says_how() -> None:
    run = {name for pair in PAIRS for name in (pair.scu, pair.scp)}
    assert {path.stem for path in HOWTO.glob("*.py")} == run
    for name in run:
        first = (HOWTO / f"{name}.py").read_text("utf-8").split('"""')[1]
        assert f"python {name}.py " in first, name


def check(pair: Pair, place: Place, scu_folder: Path, scp_folder: Path) -> None:
    port, log = free_port(), place.folder / "log"
    scp = [sys.executable, str(scp_folder / f"{pair.scp}.py"), str(port), *given(pair.scp_arguments, place)]
    scu = [sys.executable, str(scu_folder / f"{pair.scu}.py"), HOST, str(port)]
    with serving(scp, port, log):
        done = subprocess.run(
            [*scu, *given(pair.scu_arguments, place)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    heard = log.read_text("utf-8")
    assert done.returncode == 0, done.stderr + heard
    assert re.fullmatch(filled(pair.printed, place), done.stdout), done.stdout + done.stderr + heard
    assert re.search(filled(pair.heard, place), heard), heard
    assert "Traceback" not in done.stderr + heard
    if pair.received is not None:
        arrived = list(place.received.glob("*.dcm"))
        assert len(arrived) == pair.received
        for path in arrived:
            assert dcmread(path).pixel_array is not None


def values(place: Place) -> dict[str, str]:
    safe = place.folder / "safe"
    safe.mkdir(exist_ok=True)
    (safe / f"{place.dataset.SOPInstanceUID}.dcm").write_bytes(place.objects[0].read_bytes())
    return {
        "{received}": str(place.received),
        "{source}": str(place.objects[0].parent),
        "{safe}": str(safe),
        "{study}": place.dataset.StudyInstanceUID,
        "{sop_class}": place.dataset.SOPClassUID,
        "{sop_instance}": place.dataset.SOPInstanceUID,
        "{other_port}": str(place.other_port),
    }


def given(arguments: tuple[str, ...], place: Place) -> list[str]:
    """Return the arguments of a program with what they stand for."""
    found: list[str] = []
    for argument in arguments:
        if argument == "{objects}":
            found += map(str, place.objects)
        elif argument == "{dicomdir}":
            found.append(str(file_set(place)))
        else:
            found.append(filled(argument, place))
    return found


def filled(text: str, place: Place) -> str:
    for name, value in values(place).items():
        text = text.replace(name, value)
    return text


def file_set(place: Place) -> Path:
    files = FileSet()
    for path in place.objects:
        files.add(path)
    files.write(place.folder / "disc")
    files._stage["t"].cleanup()  # it would warn of it
    return place.folder / "disc" / "DICOMDIR"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


@contextmanager
def serving(arguments: list[str], port: int, log: Path) -> Iterator[None]:
    """Run a server until the block ends; it begins when the port is open."""
    with log.open("wb") as output:
        process = subprocess.Popen(arguments, stdout=output, stderr=subprocess.STDOUT)
        try:
            give_up = monotonic() + PATIENCE
            while True:
                try:
                    socket.create_connection((HOST, port), timeout=1).close()
                    break
                except OSError:
                    assert process.poll() is None, log.read_text()
                    assert monotonic() < give_up, "the server does not listen"
                    sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE)
