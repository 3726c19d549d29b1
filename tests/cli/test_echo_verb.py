from __future__ import annotations

import json
import re
import socket
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from cli.inprocess import dulcimer
from dulcimer.cli.exits import Exit
from dulcimer.node.app import Node
from dulcimer.node.config import Config, Durability

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_a_peer_that_answers(peer: str) -> None:
    done = dulcimer("echo", peer)
    assert (done.code, done.err) == (Exit.OK, "")
    times = r"association \d+\.\d ms, C-ECHO \d+\.\d\d ms"
    assert re.fullmatch(rf"{re.escape(peer)} answers: {times}\n", done.out)


def test_many_times_as_json(peer: str) -> None:
    done = dulcimer("echo", peer, "-n", "20", "--json")
    found = json.loads(done.out)
    assert (done.code, found["peer"], found["answered"], found["failed"]) == (Exit.OK, peer, 20, 0)
    assert len(found["echo_ms"]) == 20
    assert all(value > 0 for value in (found["associate_ms"], *found["echo_ms"]))


def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = dulcimer("echo", f"127.0.0.1:{port}")
    assert (done.code, done.out) == (Exit.NO_ASSOCIATION, "")
    assert done.err == (
        f"dulcimer: 127.0.0.1:{port} refused the connection: "
        "nothing listens there, or a firewall forbids it\n"
    )


def test_what_a_program_is_told() -> None:
    done = dulcimer("echo", "127.0.0.1:1", "--json")
    assert done.code == Exit.NO_ASSOCIATION
    found = json.loads(done.out)
    assert found["exit_code"] == Exit.NO_ASSOCIATION
    assert done.err == f"dulcimer: {found['error']}\n"


def test_a_name_that_does_not_exist() -> None:
    done = dulcimer("echo", "no-such-host.invalid:104")
    assert done.code == Exit.NO_ASSOCIATION
    assert "no-such-host.invalid" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.fixture
def silent() -> Iterator[int]:
    """Accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_peer_that_says_nothing(silent: int) -> None:
    done = dulcimer("echo", f"127.0.0.1:{silent}", "--timeout", "0.5")
    assert (done.code, done.out) == (Exit.NO_ASSOCIATION, "")
    assert "0.5 s" in done.err


def test_a_peer_that_is_no_dicom_node() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(4096)

        thread = Thread(target=answer)
        thread.start()
        done = dulcimer("echo", f"127.0.0.1:{listener.getsockname()[1]}")
        thread.join(10)
    assert (done.code, done.out) == (Exit.NO_ASSOCIATION, "")
    assert len(done.err.splitlines()) == 1
    assert "PDU" in done.err


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    data: Path = tmp_path_factory.mktemp("strict") / "data"
    config = Config(
        port=0,
        data=data,
        aet="STRICT",
        durability=Durability.OFF,
        require_called_aet=True,
        allow=("FRIEND",),
        web=False,
    )
    made = Node(config)
    yield made
    made.stop(5.0)


def test_the_wrong_called_title(strict: Node) -> None:
    done = dulcimer("echo", f"OTHER@127.0.0.1:{strict.address[1]}", "--aet", "FRIEND")
    assert (done.code, done.out) == (Exit.NO_ASSOCIATION, "")
    assert "called AE title not recogni" in done.err
    assert done.err.startswith(f"dulcimer: OTHER@127.0.0.1:{strict.address[1]}: ")


def test_the_wrong_calling_title(strict: Node) -> None:
    done = dulcimer("echo", f"STRICT@127.0.0.1:{strict.address[1]}")
    assert done.code == Exit.NO_ASSOCIATION
    assert "calling AE title not recogni" in done.err


def test_the_right_titles(strict: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    target = f"STRICT@127.0.0.1:{strict.address[1]}"
    assert dulcimer("echo", target, "--aet", "FRIEND").code == Exit.OK
    monkeypatch.setenv("DULCIMER_CALLING_AET", "FRIEND")
    assert dulcimer("echo", target).code == Exit.OK


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "the port is missing"),
        (["127.0.0.1:99999"], "'99999' is no port"),
        (["127.0.0.1:104", "--aet", "SEVENTEEN LETTERS"], "1 to 16 characters"),
        (["127.0.0.1:104", "--aet", "Ä"], "ASCII"),
        (["127.0.0.1:104", "--timeout", "soon"], "--timeout"),
        (["127.0.0.1:104", "-n", "0"], "--count"),
        ([], "PEER"),
    ],
)
def test_what_cannot_be_used(arguments: list[str], words: str) -> None:
    done = dulcimer("echo", *arguments)
    assert (done.code, done.out) == (Exit.USAGE, "")
    assert words in done.err
