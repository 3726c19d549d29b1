from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cli.inprocess import dulcimer
from dulcimer.cli.exits import Exit
from node.objects import SECONDARY_CAPTURE, file_of, instance

if TYPE_CHECKING:
    from pathlib import Path


def stored(peer: str, folder: Path, uid: str) -> Path:
    file = folder / f"{uid}.dcm"
    file.write_bytes(file_of(instance(uid), uid))
    done = dulcimer("store", peer, str(file))
    assert done.code == Exit.OK, done
    return file


def test_what_was_stored_is_committed(peer: str, tmp_path: Path) -> None:
    stored(peer, tmp_path, "2.25.501")
    done = dulcimer("commit", peer, str(tmp_path))
    assert (done.code, done.out) == (Exit.OK, "1 instance committed\n"), done


def test_what_was_not_is_not(peer: str, tmp_path: Path) -> None:
    stored(peer, tmp_path, "2.25.502")
    missing = f"{SECONDARY_CAPTURE}:2.25.999"
    done = dulcimer("commit", peer, str(tmp_path), "--reference", missing, "--json")
    assert done.code == Exit.FAILED, done
    answer = json.loads(done.out)
    assert answer["committed"] == ["2.25.502"]
    assert answer["failed"] == [
        {"sop_instance_uid": "2.25.999", "reason": "0112", "message": "no such instance"}
    ]
    done = dulcimer("commit", peer, "--reference", missing)
    assert "2.25.999\t0112 no such instance" in done.out


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--reference", "2.25.1"),
        ("--reference", "a:b"),
        ("/nowhere",),
        ("--reference", "1.2:2.25.1", "--listen", "x"),
    ],
)
def test_what_cannot_be_used(peer: str, arguments: tuple[str, ...]) -> None:
    assert dulcimer("commit", peer, *arguments).code == Exit.USAGE


def test_nobody_there() -> None:
    done = dulcimer("commit", "127.0.0.1:1", "--reference", "1.2:2.25.1", "--timeout", "5")
    assert done.code == Exit.NO_ASSOCIATION, done
