"""``dulcimer print``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import FileMetaDataset

from cli.inprocess import dulcimer
from dulcimer.cli.exits import Exit
from dulcimer.node.app import Node
from dulcimer.node.config import Config, Durability
from dulcimer.services.printer import Printer
from support.films import grey

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    data = tmp_path_factory.mktemp("node") / "data"
    printer = Printer(resolution=50, margin=0, gap=0)
    made = Node(Config(port=0, data=data, aet="NODE", durability=Durability.FILE, printer=printer, web=False))
    yield made
    made.stop(5.0)


def picture(folder: Path, name: str = "image.dcm", columns: int = 8, rows: int = 8) -> Path:
    made = grey(columns, rows, fill=255)
    made.WindowCenter, made.WindowWidth = "128", "256"
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    path = folder / name
    made.save_as(path, enforce_file_format=True)
    return path


def film(node: Node, job: str) -> np.ndarray:
    with Image.open(node.config.data / "films" / f"{job}-1.png") as found:
        return np.asarray(found)


def test_images_are_printed(node: Node, peer: str, tmp_path: Path) -> None:
    for number in range(3):
        picture(tmp_path, f"{number}.dcm")
    done = dulcimer("print", peer, str(tmp_path), "--film-size", "8inx10in")
    assert (done.code, done.err) == (Exit.OK, "")
    job, status = done.out.split()
    assert status == "DONE"
    # Three images: two by two, and the last box is empty.
    found = film(node, job)
    assert found.shape == (500, 400)
    assert [found[125, 100], found[125, 300], found[375, 100], found[375, 300]] == [255, 255, 255, 0]


def test_settings_and_json(node: Node, peer: str, tmp_path: Path) -> None:
    done = dulcimer(
        *("print", peer, str(picture(tmp_path, columns=900)), "--layout", "1x2", "--film-size", "A4"),
        *(
            "--landscape",
            "--copies",
            "2",
            "--magnification",
            "bilinear",
            "--trim",
            "--reverse",
            "--bits",
            "12",
        ),
        *("--label", "Grüße", "--annotation-format", "1", "--annotation", "Hello", "--lut", "identity"),
        *("--priority", "high", "--together", "--json"),
    )
    assert (done.code, done.err) == (Exit.OK, "")
    told = json.loads(done.out)
    (job,) = told["jobs"]
    assert (job["status"], job["information"], told["error"]) == ("DONE", "NORMAL", None)
    assert {each["status"] for each in told["warnings"]} == {"B604"}
    assert film(node, job["uid"]).shape == (413, 585)


def test_colour(node: Node, peer: str, tmp_path: Path) -> None:
    done = dulcimer("print", peer, str(picture(tmp_path)), "--color", "--film-size", "8INX10IN")
    assert done.code == Exit.OK, done
    assert film(node, done.out.split()[0]).shape == (500, 400, 3)


def test_warnings_are_told(peer: str, tmp_path: Path) -> None:
    done = dulcimer(
        "print", peer, str(picture(tmp_path, columns=900)), "--film-size", "8INX10IN", "--no-wait"
    )
    assert done.code == Exit.OK
    assert "dulcimer: warning: set image 1: B604 Image is larger than the image box" in done.err


def test_a_refusal(peer: str, tmp_path: Path) -> None:
    path = str(picture(tmp_path, columns=900))
    done = dulcimer("print", peer, path, "--too-large", "fail", "--film-size", "8INX10IN")
    assert (done.code, done.out) == (Exit.FAILED, "")
    assert "set image 1: C603 Image is larger than the image box" in done.err
    done = dulcimer("print", peer, path, "--too-large", "fail", "--film-size", "8INX10IN", "--json")
    assert "C603" in json.loads(done.out)["error"] and done.code == Exit.FAILED


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--layout", "GRID"], "no image display format"),
        (["--bits", "10"], "8 or 12"),
        (["--window", "wide"], "CENTER,WIDTH"),
        (["--lut", "round"], "LIN OD"),
        (["--too-large", "hide"], "RequestedDecimateCropBehavior"),
    ],
)
def test_what_cannot_be_is_not_sent(peer: str, tmp_path: Path, options: list[str], words: str) -> None:
    done = dulcimer("print", peer, str(picture(tmp_path)), *options)
    assert done.code == Exit.USAGE, done
    assert words in done.err


def test_files_that_are_none(peer: str, tmp_path: Path) -> None:
    assert dulcimer("print", peer, str(tmp_path / "none")).code == Exit.USAGE
    (tmp_path / "note.txt").write_text("hello")
    done = dulcimer("print", peer, str(tmp_path / "note.txt"))
    assert done.code == Exit.USAGE and "note.txt" in done.err
    (tmp_path / "empty").mkdir()
    assert "nothing to print" in dulcimer("print", peer, str(tmp_path / "empty")).err
