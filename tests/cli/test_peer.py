from __future__ import annotations

import pytest

from dulcimer.cli.exits import Exit, Stop
from dulcimer.cli.peer import Peer, parse


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("127.0.0.1:11112", Peer("127.0.0.1", 11112, "ANY-SCP")),
        ("pacs.example:104", Peer("pacs.example", 104, "ANY-SCP")),
        ("PACS@pacs.example:104", Peer("pacs.example", 104, "PACS")),
        ("TWO WORDS@host:1", Peer("host", 1, "TWO WORDS")),
        ("A@B@host:1", Peer("host", 1, "A@B")),
        ("[::1]:65535", Peer("::1", 65535, "ANY-SCP")),
        ("PACS@[fe80::1%eth0]:104", Peer("fe80::1%eth0", 104, "PACS")),
        ("SIXTEEN LETTERS.@host:1", Peer("host", 1, "SIXTEEN LETTERS.")),
    ],
)
def test_what_can_be_written(text: str, peer: Peer) -> None:
    assert parse(text) == peer


@pytest.mark.parametrize("text", ["host:104", "PACS@host:104", "PACS@[::1]:104"])
def test_a_peer_is_shown_as_it_is_written(text: str) -> None:
    assert parse(str(parse(text))) == parse(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "port is missing"),
        ("host", "port is missing"),
        (":104", "host is missing"),
        ("PACS@host", "port is missing"),
        ("host:", "'' is no port"),
        ("host:dicom", "'dicom' is no port"),
        ("host:0", "'0' is no port"),
        ("host:65536", "'65536' is no port"),
        ("host:-1", "'-1' is no port"),
        ("host:١", "is no port"),
        ("::1:104", "brackets"),
        ("[::1]", "port is missing"),
        ("@host:104", "1 to 16 characters"),
        ("SEVENTEEN LETTERS@host:104", "1 to 16 characters"),
        ("A\\B@host:104", "backslash"),
        ("ÄÖÜ@host:104", "ASCII"),
    ],
)
def test_what_cannot(text: str, problem: str) -> None:
    with pytest.raises(Stop) as caught:
        parse(text)
    assert caught.value.code is Exit.USAGE
    assert problem in caught.value.message
    assert repr(text) in caught.value.message
    assert "PACS@[::1]:104" in caught.value.message
