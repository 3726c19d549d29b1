"""The page of a real node: what peers have sent is what it shows, live, and it leaves nothing behind."""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("starlette", reason="the extra 'web' is not installed")
pytest.importorskip("numpy", reason="NumPy is not installed")
pytest.importorskip("httpx2", reason="httpx2 is not installed")

import httpx2 as httpx
import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from dulcimer.node.app import Node, StartError
from dulcimer.node.config import Config, ConfigError, Durability, load
from dulcimer.web.credentials import Password, hash_password
from node import page_data
from node.page_data import CASES
from node.served import Served, run, until
from support.real_files import shipped

if TYPE_CHECKING:
    from collections.abc import Iterator

XSS = "<script>alert(document.domain)</script>^\"'&<b>"


def config(data: Path, **options: Any) -> Config:
    return Config(port=0, data=data, durability=Durability.FILE, **{"web_port": 0, **options})


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node that a morning's work was sent to."""
    node = Node(config(tmp_path_factory.mktemp("morning") / "data", aet="ARCHIVE"))
    page_data.morning(node.address)
    yield node
    node.stop(5.0)


@pytest.fixture(scope="module")
def web(morning: Node) -> Iterator[Any]:
    with httpx.Client(base_url=morning.page, timeout=30) as client:
        yield client


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(config(tmp_path / "data"))
    yield made
    made.stop(5.0)


def get(web: Any, path: str, **parameters: Any) -> Any:
    answer = web.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


# ---- what is shown is what was sent


def test_the_overview_counts(web):
    found = get(web, "/api/overview")
    assert found["studies"] == 5
    assert found["series"] == 6
    assert found["instances"] == sum(case.images for case in CASES) + 1
    assert (found["scheduled"], found["in_progress"]) == (2, 2)
    assert (found["completed"], found["discontinued"]) == (3, 2)
    assert found["print_jobs"] == 4
    assert found["failures"] == 1
    assert found["bytes"] > 20 * 256 * 256 * 2


def test_studies_are_listed_the_latest_first_and_described(web):
    studies = get(web, "/api/studies")["studies"]
    assert [study["accession_number"] for study in studies] == [case.accession for case in reversed(CASES)]
    last = studies[-1]
    assert last["modalities"] == ["CR", "SR"]
    assert (last["series"], last["instances"]) == (2, 3)
    assert last["patient_name"] == "Morgan^Ines"


def test_pages_follow_each_other_without_gap(web):
    seen, before = [], 0
    while True:
        page = get(web, "/api/studies", limit=2, before=before)
        seen += [study["accession_number"] for study in page["studies"]]
        before = page["next"]
        if not before:
            break
    assert seen == [case.accession for case in reversed(CASES)]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("morgan", {"Morgan^Ines"}),
        ("INES mor", {"Morgan^Ines"}),
        ("åsa", {"Lindqvist^Åsa"}),
        ("asa", {"Lindqvist^Åsa"}),
        ("leila haddad", {"Haddad^Leïla"}),
        ("RX-101", {"Yamada^Tarou", "Haddad^Leïla"}),
        ("a20421", {"Okafor^Daniel"}),
        ("2026-11-24 chest", {"Morgan^Ines", "Haddad^Leïla"}),
        ("20261124 phase", {"Lindqvist^Åsa"}),
        (CASES[1].study, {"Okafor^Daniel"}),
        ("morgan okafor", set()),
        ("%", set()),
        ("_", set()),
        ("' OR 1=1 --", set()),
        ("\\", set()),
    ],
)
def test_words_are_searched(web, words, names):
    found = get(web, "/api/studies", q=words)["studies"]
    assert {study["patient_name"] for study in found} == names


def test_a_study_has_its_series_and_they_their_instances(web):
    study = CASES[2].study
    detail = get(web, f"/api/studies/{study}")
    assert [series["instances"] for series in detail["series"]] == [8]
    seen, after = [], 0
    while True:
        page = get(web, f"/api/studies/{study}/series/{study}.1/instances", limit=3, after=after)
        seen += [instance["number"] for instance in page["instances"]]
        after = page["next"]
        if not after:
            break
    assert seen == [str(number) for number in range(1, 9)]


def test_an_instance_is_described(web):
    found = get(web, f"/api/instances/{CASES[1].study}.1.3")
    assert (found["rows"], found["columns"]) == ("256", "256")
    assert found["sop_class"] == "MR Image Storage"
    assert found["source_aet"] == "MRROOM1"


def test_the_board_has_what_the_services_keep(web):
    board = get(web, "/api/steps")
    cards = {(step["kind"], step["accession_number"] or step["label"]): step for step in board["steps"]}
    assert cards["mpps", "A20431"]["column"] == "IN PROGRESS"
    assert cards["mpps", "A20428"]["column"] == "DISCONTINUED"
    assert cards["mpps", "A20425"]["ended"] == "20261124 101000"
    reading = cards["ups", "Read: Chest, two views"]
    assert (reading["column"], reading["progress"]) == ("IN PROGRESS", "60")
    assert reading["station"] == "Reading room 1"
    assert cards["ups", "Read: Liver"]["state"] == "CANCELED"
    assert board["totals"] == {"SCHEDULED": 2, "IN PROGRESS": 2, "COMPLETED": 3, "DISCONTINUED": 2}
    assert len(get(web, "/api/steps", limit=1)["steps"]) == 4


def test_films_are_pictures(web):
    films = get(web, "/api/films")
    assert len(films) == 4
    assert {film["status"] for film in films} == {"DONE"}
    assert {film["settings"]["ImageDisplayFormat"] for film in films} == {"STANDARD\\1,1", "STANDARD\\2,3"}
    for film in films:
        assert film["picture"]
        answer = web.get(f"/api/films/{film['uid']}/picture", params={"size": 1024})
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.content.startswith(b"\xff\xd8")


def test_commitments_are_followed(web):
    until(lambda: {each["state"] for each in get(web, "/api/commitments")} == {"delivering"})
    found = {each["transaction_uid"]: each for each in get(web, "/api/commitments")}
    assert (found["2.25.900001"]["instances"], found["2.25.900001"]["failed"]) == (6, 0)
    assert (found["2.25.900002"]["instances"], found["2.25.900002"]["failed"]) == (5, 2)
    assert found["2.25.900002"]["requester"] == "USROOM1"


def test_the_node_says_what_it_offers(web, morning):
    found = get(web, "/api/node")
    assert (found["aet"], found["port"]) == ("ARCHIVE", morning.address[1])
    offered = {service["name"]: service["sop_classes"] for service in found["services"]}
    assert "Modality Performed Procedure Step" in offered
    assert any("Unified" in name for name in offered)


def test_what_was_refused_is_among_the_errors(web):
    lines = [entry["message"] for entry in get(web, "/api/log", level="warning")["entries"]]
    assert any("0112" in line and "2.25.404" in line for line in lines)


def test_operations_are_counted_by_service_and_status(web):
    text = web.get("/metrics").text
    total = sum(case.images for case in CASES) + 1
    operations = "dulcimer_operations_total"
    assert (
        f'{operations}{{service="Storage Service Class",operation="C-STORE",status="0000"}} {total}\n' in text
    )
    assert re.search(
        r'dulcimer_operations_total\{service="Modality Performed[^"]*",operation="N-SET",status="0112"\} 1\n',
        text,
    )
    assert f'dulcimer_operation_duration_seconds_count{{operation="C-STORE"}} {total}\n' in text
    assert "dulcimer_associations 0\n" in text
    buckets = re.findall(r'_bucket\{operation="C-STORE",le="[^"]+"\} (\d+)', text)
    assert [int(each) for each in buckets] == sorted(map(int, buckets))
    assert int(buckets[-1]) == total


def test_the_node_is_well(web):
    assert get(web, "/healthz") == {
        "ok": True,
        "checks": get(web, "/healthz")["checks"],
    }
    assert [check["name"] for check in get(web, "/healthz")["checks"]] == ["index", "disk", "listening"]


def test_an_association_is_seen_while_it_is_there(web, morning):
    with page_data.associate(
        morning.address, "LIVE", page_data.build_context("1.2.840.10008.1.1")
    ) as association:
        assert association.send_c_echo().Status == 0
        (found,) = get(web, "/api/associations")
        assert (found["calling_aet"], found["state"], found["doing"]) == ("LIVE", "established", "1 echoed")
        assert "LIVE" in web.get("/").text
    until(lambda: get(web, "/api/associations") == [])


# ---- pictures


def test_thumbnails_are_drawn_once_and_kept(web, morning, tmp_path_factory):
    path = f"/api/instances/{CASES[0].study}.1.1/picture"
    first = web.get(path)
    assert first.headers["content-type"] == "image/jpeg"
    kept = list((morning.config.data / "thumbnails").iterdir())
    assert first.content in [file.read_bytes() for file in kept]
    changed = next(file for file in kept if file.read_bytes() == first.content)
    changed.write_bytes(b"what was kept is given")
    assert web.get(path).content == b"what was kept is given"


def test_a_report_has_no_picture_and_says_so(web):
    answer = web.get(f"/api/instances/{CASES[0].study}.2.1/picture")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert "Not an image" in answer.text


def test_real_files_are_drawn_or_say_why_not(tmp_path):
    """Whatever lies in the folder: a picture, or a reason, and the process that draws lives on."""
    from dulcimer.web.pictures import NoPicture, Renderer

    renderer = Renderer()
    pictures, reasons = 0, set()
    try:
        for path in shipped():
            try:
                assert renderer.draw(path, 64).startswith(b"\xff\xd8"), path
                pictures += 1
            except NoPicture as reason:
                assert 0 < len(str(reason)) <= 200
                reasons.add(str(reason))
    finally:
        renderer.close()
    assert pictures > 50
    assert "Not an image" in reasons
    assert not any("the decoder failed" in reason for reason in reasons)


def test_what_takes_too_long_is_ended(tmp_path):
    from dulcimer.web.pictures import NoPicture, Renderer

    fifo = tmp_path / "never"
    os.mkfifo(fifo)
    renderer = Renderer(latest=0.2)
    with pytest.raises(NoPicture, match="longer than 0 s"):
        renderer.draw(fifo, 64)
    assert not renderer.running


def test_a_decoder_that_dies_is_replaced(tmp_path, monkeypatch):
    from dulcimer.web import pictures

    started = []

    def dying() -> Any:
        import subprocess

        program = "import sys; sys.stdin.readline()" if not started else None
        arguments = ["-c", program] if program else ["-m", "dulcimer.web.renderer"]
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        started.append(process)
        return process

    monkeypatch.setattr(pictures, "_start", dying)
    renderer = pictures.Renderer()
    path = next(path for path in shipped() if path.name == "CT_small.dcm")
    with pytest.raises(pictures.NoPicture, match="the decoder failed"):
        renderer.draw(path, 64)
    assert renderer.draw(path, 64).startswith(b"\xff\xd8")
    renderer.close()
    assert all(process.returncode is not None for process in started)


def test_the_folder_of_thumbnails_does_not_grow(tmp_path):
    import asyncio

    from dulcimer.web.pictures import NoPicture, Pictures, Renderer

    class Fake(Renderer):
        def draw(self, path: Path, size: int) -> bytes:
            if path.name == "7":
                raise NoPicture("seven")
            return path.name.encode() * 1000

    async def look() -> None:
        pictures = Pictures(tmp_path / "thumbnails", 20_000, Fake())
        for number in range(100):
            path = tmp_path / str(number)
            path.write_bytes(b"x")
            if number == 7:
                for _ in range(2):
                    with pytest.raises(NoPicture, match="seven"):
                        await pictures.get(path, 256)
            else:
                assert await pictures.get(path, 256) == str(number).encode() * 1000
        pictures.close()

    asyncio.run(look())
    sizes = [file.stat().st_size for file in (tmp_path / "thumbnails").iterdir()]
    assert 0 < sum(sizes) <= 20_000


def test_monochrome1_is_shown_white_on_black(tmp_path):
    from io import BytesIO

    from PIL import Image
    from pydicom.uid import ExplicitVRLittleEndian

    from dulcimer.web.renderer import draw

    (image,) = page_data.images(CASES[0])[:1]
    values = {}
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        image.PhotometricInterpretation = photometric
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = tmp_path / f"{photometric}.dcm"
        image.save_as(path, enforce_file_format=True)
        values[photometric] = np.asarray(Image.open(BytesIO(draw(str(path), 256))), dtype=float)
    assert np.abs(values["MONOCHROME1"] + values["MONOCHROME2"] - 255).mean() < 3


# ---- what peers write is text


def test_a_patient_who_is_a_script(node):
    ds = page_data.report(CASES[0])
    ds.PatientName = XSS
    ds.PatientID, ds.StudyDescription = "<img src=x onerror=alert(1)>", "{{7*7}}</title><script>"
    ds.SeriesDescription, ds.AccessionNumber = "javascript:alert(1)", "'><svg/onload=1>"
    page_data.send(node.address, "<b>AE</b>", [ds])
    step = page_data.step(CASES[0])
    step.PatientName, step.PerformedProcedureStepDescription = XSS, "</script><script>1"
    with page_data.associate(node.address, "X", *page_data.mpps.contexts()) as association:
        page_data.Mpps.create(association, step)
    with httpx.Client(base_url=node.page) as web:
        for path in (
            "/",
            "/studies",
            f"/studies/{ds.StudyInstanceUID}",
            f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}",
            f"/instances/{ds.SOPInstanceUID}",
            "/steps",
            "/log",
            f"/studies?q={XSS[:8]}",
        ):
            answer = web.get(path)
            assert answer.status_code == 200
            assert "<script>" not in answer.text
            assert "<img src=x" not in answer.text and "<svg/" not in answer.text and "<b>" not in answer.text
        assert "&lt;script&gt;alert(document.domain)&lt;/script&gt;" in web.get("/studies").text
        assert web.get("/api/studies").json()["studies"][0]["patient_name"] == XSS


# ---- live


def changes(node: Node) -> Any:
    """Open a stream of changes as a plain socket; return it once the node has begun to tell."""
    host, port = re.fullmatch(r"http://(.+):(\d+)/", node.page).groups()
    connection = socket.create_connection((host, int(port)), 10)
    connection.sendall(f"GET /api/changes HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    received = b""
    while b"event: connected" not in received:
        received += connection.recv(4096)
    return connection


def hear(connection: Any, what: bytes) -> bytes:
    received = b""
    while what not in received:
        piece = connection.recv(4096)
        assert piece, received
        received += piece
    return received


def test_an_n_set_is_told_and_has_no_patient_data(node):
    end = page_data.perform(node.address, CASES[4], None)
    with changes(node) as connection:
        end("COMPLETED")
        told = hear(connection, b"event: steps")
        page_data.send(node.address, "CT", page_data.images(CASES[4]))
        told += hear(connection, b"event: studies")
    assert b"Haddad" not in told and b"2.25" not in told
    assert b"event: associations" in told


def test_films_commitments_and_lines_of_the_log_are_told(node):
    page_data.send(node.address, "CT", page_data.images(CASES[4]))
    with changes(node) as connection:
        page_data.ask_for_commitment(node.address, CASES[4], "2.25.7")
        told = hear(connection, b"event: commitments")
        page_data.print_film(node.address, CASES[0], film_size="8INX10IN")
        told += hear(connection, b"event: films")
        page_data.read(node.address, CASES[0])
        told += hear(connection, b"event: steps")
    assert re.search(rb"event: [a-z]+\ndata:\n\n", told)
    assert b"Morgan" not in told


def schedule(node: Node, name: str) -> None:
    """Put an item into the worklist, from another process."""
    given = ("PatientID=W1", "Modality=CT", "ScheduledStationAETitle=CT1")
    text = "ScheduledProcedureStepDescription=Head"
    done = run("worklist", "add", f"PatientName={name}", *given, text, "--data", str(node.config.data))
    assert done.code == 0, done


def test_the_worklist_is_on_the_board_though_another_process_has_put_it_there(node):
    with changes(node) as connection:
        schedule(node, "Quist^Ada")
        hear(connection, b"event: steps")
    with httpx.Client(base_url=node.page) as web:
        (card,) = get(web, "/api/steps")["steps"]
    assert (card["kind"], card["column"], card["patient_name"]) == ("worklist", "SCHEDULED", "Quist^Ada")
    assert (card["modality"], card["station"], card["label"]) == ("CT", "CT1", "Head")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_two_hundred_clients_come_and_go(node):
    """They cost a socket each while they are there, and nothing when they are gone."""
    with httpx.Client(base_url=node.page) as web:
        assert web.get("/healthz").status_code == 200
    rest, threads = descriptors(), threading.active_count()
    with ExitStack() as clients:
        listening = [clients.enter_context(changes(node)) for _ in range(200)]
        # Both ends of each are in this process.
        assert descriptors() >= rest + 390
        assert threading.active_count() <= threads + 1, "a client has a thread"
        page_data.send(node.address, "CT", page_data.images(CASES[4])[:1])
        for client in listening:
            hear(client, b"event: studies")
        with httpx.Client(base_url=node.page) as web:
            assert "dulcimer_page_clients 200\n" in web.get("/metrics").text
    with httpx.Client(base_url=node.page) as web:
        until(lambda: "dulcimer_page_clients 0\n" in web.get("/metrics").text)
    until(lambda: descriptors() <= rest + 8, complaint=lambda: f"{descriptors()} of {rest}")
    # Those that wait for the disk for requests, and the association's, may have come since.
    until(lambda: threading.active_count() <= threads + 5)


def test_a_stop_does_not_wait_for_those_who_look(tmp_path):
    others = set(threading.enumerate())
    node = Node(config(tmp_path / "data"))
    connection = changes(node)
    began = time.monotonic()
    assert node.stop(5.0)
    assert time.monotonic() - began < 5.0
    while connection.recv(4096):
        pass
    connection.close()
    until(lambda: set(threading.enumerate()) <= others)


def test_who_is_not_looked_at_imports_nothing(tmp_path):
    """Nobody pays for the page before somebody looks."""
    with Served(tmp_path / "data", "--web-port", "0", "--web") as served:
        maps = Path(f"/proc/{served.process.pid}/task")
        names = sorted((task / "comm").read_text().strip() for task in maps.iterdir())
        url = served.page
        quiet = served.resident_kb()
        assert httpx.get(url).status_code == 200
        assert served.resident_kb() > quiet + 3000
        assert len(names) < 10


# ---- where the page is


def test_a_port_that_was_asked_for_and_is_in_use_is_said(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=rf"no page: 127\.0\.0\.1:{port} is in use; .*--web-port"):
            Node(config(tmp_path / "data", web_port=port))
    # Nothing of it is left: the folder can be used.
    Node(config(tmp_path / "data", web=False)).stop(1.0)


def test_a_port_that_nobody_asked_for_and_is_in_use_is_gone_without(tmp_path, monkeypatch, caplog):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr("dulcimer.node.page.WEB_PORT", taken.getsockname()[1])
        node = Node(config(tmp_path / "data", web_port=None))
        try:
            assert node.page == ""
            assert "no page: 127.0.0.1:" in caplog.text
            page_data.send(node.address, "CT", page_data.images(CASES[4])[:1])
        finally:
            node.stop(5.0)


def test_without_the_packages_the_node_goes_without(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("dulcimer.node.page.NEEDED", ("no_such_package",))
    node = Node(config(tmp_path / "data", web_port=None))
    assert node.page == ""
    assert "pip install 'dulcimer[web]'" in caplog.text
    node.stop(5.0)
    with pytest.raises(StartError, match="no_such_package"):
        Node(config(tmp_path / "data"))


def test_no_web_is_no_page(tmp_path):
    others = set(threading.enumerate())
    node = Node(config(tmp_path / "data", web=False))
    assert node.page == ""
    assert not [each for each in set(threading.enumerate()) - others if "page" in each.name]
    node.stop(5.0)


def test_the_page_of_the_command_line(tmp_path):
    with Served(tmp_path / "data", "--web", "--web-port", "0") as served:
        url = served.page
        assert httpx.get(url + "api/node").json()["aet"] == "DULCIMER"
        assert served.stop() == 0


def test_a_password_from_the_command_line(tmp_path):
    done = run("web-password")
    assert done.code == 2
    assert "8 characters" in done.err
    hashed = hash_password("open sesame")
    file = tmp_path / "node.toml"
    file.write_text(f'[web]\nenabled = true\nhost = "0.0.0.0"\nport = 0\npassword = "{hashed}"\n')
    with Served(tmp_path / "data", "--config", str(file), "--web") as served:
        url = served.page.removeprefix("http://localhost")
        assert httpx.get(f"http://127.0.0.1{url}").status_code == 401
        assert httpx.get(f"http://127.0.0.1{url}", auth=("me", "open sesame")).status_code == 200
    assert "open sesame" not in served.log


# ---- configuration


def test_what_others_can_reach_needs_a_password_or_a_proxy():
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0 can be seen from other machines.*--web-password"):
        load({"web_host": "0.0.0.0"})
    assert load({"web_host": "::", "web": False}).web is False
    assert load({"web_host": "0.0.0.0", "web_password": hash_password("12345678")}).web_access.asked_for
    assert load({"web_host": "10.0.0.1", "web_proxy_header": "X-User", "web_proxies": "10.0.0.2"}).web
    assert load({"web_host": "127.9.9.9"}).web
    assert load({"web_host": "[::1]"}).web_host == "::1"


def test_the_header_of_proxies_is_the_usual_one():
    found = load({"web_proxies": "10.0.0.2"}).web_access
    assert found.asked_for and found.proxy_header == "X-Remote-User"
    assert not load({"web_proxy_header": "X-User"}).web_access.asked_for
    with pytest.raises(ConfigError, match="name of a header"):
        load({"web_proxy_header": "X User:"})


def test_a_plain_password_is_refused_and_not_repeated():
    with pytest.raises(ConfigError) as raised:
        load({}, {"DULCIMER_WEB_PASSWORD": "hunter2"})
    assert "hunter2" not in str(raised.value)
    assert "DULCIMER_WEB_PASSWORD" in str(raised.value)


def test_the_table_of_a_file(tmp_path):
    hashed = hash_password("12345678")
    file = tmp_path / "node.toml"
    file.write_text(
        "[web]\nport = 9000\n"
        f'password = "{hashed}"\nproxy-header = "X-User"\nproxies = ["10.0.0.1", "fd00::/8"]\n'
    )
    found = load({}, {"DULCIMER_WEB_HOST": "0.0.0.0"}, file)
    assert (found.web, found.web_host, found.web_port) == (True, "0.0.0.0", 9000)
    assert isinstance(found.web_password, Password)
    assert len(found.web_proxies) == 2
    file.write_text("[serve]\nweb = false\n")
    assert load({}, {}, file).web is False
    file.write_text("[web]\ncolour = 1\n")
    with pytest.raises(ConfigError, match="web_colour"):
        load({}, {}, file)


def test_dataset_is_read(tmp_path):
    """The picture of a real file comes out of the node as it went in."""
    path = next(path for path in shipped() if path.name == "CT_small.dcm")
    node = Node(config(tmp_path / "data"))
    try:
        dataset: Dataset = dcmread(path)
        page_data.send(node.address, "CT", [dataset])
        answer = httpx.get(f"{node.page}api/instances/{dataset.SOPInstanceUID}/picture")
        assert answer.headers["content-type"] == "image/jpeg"
    finally:
        node.stop(5.0)
