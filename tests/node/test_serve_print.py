"""Printing on ``dulcimer serve``: films in the data folder, jobs that outlive the node."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydicom import dcmread

from dulcimer import AE
from dulcimer.printing.preparing import Prepared
from dulcimer.scu.print_management import PrintSession, contexts
from node.served import Served, until
from support.films import grey

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 30.0
TABLE = """[print]
resolution = 50
high-resolution = 0
queue-length = 1000
name = "Ward 7"
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(TABLE)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"


def associate(node: Served) -> Any:
    association = AE("CONSOLE").associate(*node.address, contexts=contexts())
    assert association.is_established
    return association


def image(fill: int = 0) -> Prepared:
    made = Prepared()
    made.update(grey(4, 4, fill=fill))
    return made


def films(data: Path) -> set[str]:
    return {path.name for path in (data / "films").glob("*.p*") if "preview" not in path.name}


def test_films_are_in_the_data_folder(data, settings):
    with Served(data, "--config", str(settings)) as node:
        association = associate(node)
        with PrintSession(association) as session:
            assert session.printer().PrinterName == "Ward 7"
            (job,) = session.print_images([image()], film_size="8INX10IN")
            assert job.wait(SECONDS) and job.status == "DONE"
        association.release()
        assert films(data) == {f"{job.uid}-1.png", f"{job.uid}-1.pdf"}
        node.wait_for_log(f"print job {job.uid}: DONE, 1 film of CONSOLE")
        assert node.stop() == 0
        assert not list((data / "films" / "queue").iterdir())


def test_what_was_acknowledged_is_printed_after_a_kill(data, settings):
    """Killed at once after the answer, the node prints at its next start what it had not printed."""
    acknowledged: list[str] = []
    for _ in range(3):
        with Served(data, "--config", str(settings)) as node:
            association = associate(node)
            session = PrintSession(association)
            session.create_film_box("STANDARD\\1,1", further={"FilmSizeID": "8INX10IN"})
            session.set_image(1, image(7))
            acknowledged += [session.print_film_box().uid for _ in range(8)]
            node.kill()
    with Served(data, "--config", str(settings)) as node:
        wanted = {f"{uid}-1.{kind}" for uid in acknowledged for kind in ("png", "pdf")}
        until(lambda: films(data) >= wanted, SECONDS, lambda: f"missing: {wanted - films(data)}")
        until(lambda: not list((data / "films" / "queue").iterdir()), SECONDS)
        assert node.stop() == 0
    assert not list((data / "films").glob(".*"))


def test_stopping_while_films_wait_leaves_them_for_the_next_start(data, settings):
    with Served(data, "--config", str(settings)) as node:
        association = associate(node)
        session = PrintSession(association)
        session.create_film_box("STANDARD\\1,1", further={"FilmSizeID": "14INX17IN"})
        uids = [session.print_film_box().uid for _ in range(20)]
        association.release()
        assert node.stop(signal.SIGTERM) == 0
    with Served(data, "--config", str(settings)) as node:
        until(lambda: len(films(data)) == 2 * len(uids), SECONDS)
        assert node.stop() == 0


def test_a_folder_that_is_gone_is_told_and_not_the_end(data, settings):
    with Served(data, "--config", str(settings)) as node:
        association = associate(node)
        session = PrintSession(association)
        # The films have nowhere to go: their folder is a file.
        queue = data / "films"
        os.rename(queue, data / "away")
        queue.write_bytes(b"")
        try:
            with pytest.raises(Exception, match="0213"):
                session.print_images([image()], film_size="8INX10IN")
        finally:
            queue.unlink()
            os.rename(data / "away", queue)
        (job,) = session.print_images([image()], film_size="8INX10IN")
        assert job.wait(SECONDS) and job.status == "DONE"
        association.release()
        assert node.stop() == 0


def test_a_node_without_printer(data):
    with Served(data, "--no-printer") as node:
        association = AE("CONSOLE").associate(*node.address, contexts=contexts())
        assert not association.is_established
        assert not (data / "films").exists()
        assert node.stop() == 0


def test_the_spool_holds_data_sets(tmp_path):
    """What waits can be read with other tools, if it comes to that."""
    from dulcimer.scp.print_management import FolderSpool

    spool = FolderSpool(tmp_path)
    spool.put("1.2.3", grey(2, 2, fill=9))
    assert dcmread(tmp_path / "1.2.3.job", force=True).PixelData == b"\x09" * 4
    assert spool.uids() == ["1.2.3"]
    spool.remove("1.2.3")
    assert spool.get("1.2.3") is None and spool.uids() == []
