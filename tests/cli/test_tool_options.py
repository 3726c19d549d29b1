"""The command lines of the tools: whatever pynetdicom's tools of the same names take is taken."""

from __future__ import annotations

import argparse
import importlib
import socket
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pydicom.config
import pynetdicom
import pytest

from cli.inprocess import dulcimer
from cli.tooling import silence
from dulcimer.cli.tools import parser
from dulcimer.cli.tools.names import TOOLS
from node.objects import file_of, instance


def options_of(name: str) -> parser.Parser:
    found: parser.Parser = importlib.import_module(f"dulcimer.cli.tools.{name}").options()
    return found


def theirs(name: str) -> argparse.ArgumentParser:
    """Return the parser of pynetdicom's tool."""
    # To import one of them sets things for the whole process.
    with (
        patch.object(pydicom.config, "use_none_as_empty_text_VR_value", False),
        patch.object(pynetdicom._config, "LOG_RESPONSE_IDENTIFIERS", True),
    ):
        module = importlib.import_module(f"pynetdicom.apps.{name}.{name}")
    seen: list[argparse.ArgumentParser] = []

    def stop(self: argparse.ArgumentParser, *_given: object) -> None:
        seen.append(self)
        raise SystemExit

    with patch.object(argparse.ArgumentParser, "parse_args", stop), pytest.raises(SystemExit):
        module._setup_argparser([])
    return seen[0]


def actions(name: str) -> list[tuple[str, argparse.Action]]:
    return [
        (option, action)
        for action in theirs(name)._actions
        for option in action.option_strings
        if option not in ("-h", "--help", "--version")
    ]


CASES = [(tool, option, action) for tool in TOOLS for option, action in actions(tool)]


@pytest.mark.parametrize(("tool", "option", "action"), CASES, ids=lambda value: str(value)[:24])
def test_every_option_is_taken(tool: str, option: str, action: argparse.Action) -> None:
    value: list[str] = []
    if action.nargs != 0:
        value = ["info" if "log" in option or option == "-ll" else "5"]
    words = {"qrscp": [], "echoscp": ["104"], "storescp": ["104"]}.get(tool, ["localhost", "104"])
    args = options_of(tool).read([*words, option, *value])
    assert args is not None


@pytest.mark.parametrize("tool", [name for name in TOOLS if name != "qrscp"])
def test_defaults_are_the_same(tool: str) -> None:
    mine = {name: action for action in options_of(tool)._actions for name in action.option_strings}
    for action in theirs(tool)._actions:
        if action.default in (None, False, argparse.SUPPRESS) or not action.option_strings:
            continue
        ours = mine[action.option_strings[0]]
        if ours.dest in {"verbosity", "move_aet"}:
            # A level that is said in words; a title that depends on another option.
            continue
        assert ours.default == action.default, action.option_strings


DCMTK = {
    "echoscu": ["--aetitle A", "--call B", "-to 5", "-ta 5", "-td 5", "-pdu 4096", "--repeat 2", "--abort"],
    "storescu": [
        "+sd",
        "+r",
        "-R",
        "-x=",
        "--propose-little",
        "-usr me -pwd x",
        "-usr me -epw",
        "-rsp -usr me",
    ],
    "storescp": ["+x=", "+xe", "+xi", "-pm", "-od here", "--ignore", "-aet X", "--max-associations 3"],
    "findscu": ["-W", "-k a", "--key a", "-X", "-od here", "--cancel 3", "-x=", "+tls k c", "+cf ca", "-ic"],
    "getscu": ["-S", "-k a", "-od here", "--ignore", "-kt file", "--saml file", "--jwt file"],
    "movescu": ["-aem X", "--move X", "+P 5000", "--port 5000", "-od here", "--ignore"],
}


@pytest.mark.parametrize(
    ("tool", "options"), [(tool, options) for tool, rows in DCMTK.items() for options in rows]
)
def test_spellings_of_dcmtk(tool: str, options: str) -> None:
    words = ["104"] if tool.endswith("scp") else ["localhost", "104"]
    options_of(tool).read([*words, *options.split()])


@pytest.mark.parametrize("tool", TOOLS)
def test_help(tool: str) -> None:
    done = dulcimer(tool, "--help")
    assert done.code == 0
    for words in ("General options:", "TLS options:", "--tls-cert FILE", "--json", "Exit codes:"):
        assert words in done.out
    assert done.err == ""
    assert max(map(len, done.out.splitlines())) <= 100


def test_the_list_of_verbs_has_them() -> None:
    listed = dulcimer("--help").out
    for tool, words in TOOLS.items():
        assert f"{tool} " in listed
        assert words[:20] in listed


@pytest.mark.parametrize("tool", TOOLS)
def test_version(tool: str) -> None:
    from dulcimer import __version__

    done = dulcimer(tool, "--version")
    assert (done.code, done.out) == (0, f"dulcimer {__version__}\n")


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("echoscu", 2, "whom to call is missing"),
        ("echoscu localhost", 2, "the port of localhost is missing"),
        ("echoscu localhost x", 2, "'x' is no whole number"),
        ("echoscu localhost 0", 2, "0 is not between 1 and 65535"),
        ("echoscu localhost 104 more", 2, "what is 'more' for?"),
        ("echoscu A\\B@localhost:104", 2, "no backslash"),
        ("echoscu localhost 104 --nonsense", 2, "--nonsense"),
        ("echoscu localhost 104 -aet SEVENTEEN_LETTERS", 2, "1 to 16 characters"),
        ("echoscu localhost 104 -pdu -1", 2, "-pdu"),
        ("echoscu localhost 104 -ta soon", 2, "soon"),
        ("echoscu localhost 104 -v -d", 2, "not allowed with"),
        ("echoscu localhost 104 -xe -xi", 2, "not allowed with"),
        ("echoscu localhost 104 --repeat 0", 2, "0 is not between"),
        ("echoscu localhost 104 --password x", 2, "a passcode needs --user"),
        ("echoscu localhost 104 --user a --jwt b", 2, "there is one identity"),
        ("echoscu localhost 104 --jwt /none", 2, "/none cannot be read: No such file"),
        ("echoscu localhost 104 -rsp", 2, "--pos-response needs an identity"),
        ("echoscu localhost 104 --tls-profile SSL3", 2, "there is no TLS profile 'SSL3'; there are BCP195"),
        ("echoscu localhost 104 --tls-ca /none", 2, "/none cannot be read"),
        ("echoscu localhost 104 --tls-key /none", 2, "of no use without its certificate"),
        ("echoscp", 2, "PORT"),
        ("echoscp 70000", 2, "70000 is not between 0 and 65535"),
        ("echoscp 0 -ba 192.0.2.1", 1, "192.0.2.1 is no address of this machine"),
        ("echoscp 0 --tls", 2, "a TLS server needs a certificate"),
        ("storescp 0 -od /proc/none", 1, "/proc/none"),
        ("storescu localhost 104", 2, "what to send is missing"),
        ("storescu localhost 104 /none", 1, "there is no /none"),
        ("findscu localhost 104", 2, "give -k or -f"),
        ("findscu localhost 104 -k NoSuchKeyword=1", 1, "there is no attribute 'NoSuchKeyword'"),
        ("findscu localhost 104 -k PatientID[0].Modality=CT", 1, "PatientID is no sequence"),
        ("findscu localhost 104 -k Rows=many", 1, "'many' is no value for Rows (US)"),
        ("findscu localhost 104 -f /none", 1, "/none cannot be read: No such file"),
        ("findscu localhost 104 -k PatientID --model nothing", 2, "no information model 'nothing'"),
        ("findscu localhost 104 -k PatientID -P -S", 2, "not allowed with"),
        ("getscu localhost 104 -k PatientID=1 -od /proc/none", 1, "/proc/none"),
        ("movescu localhost 104 -k PatientID=1 --store --store-tls", 2, "--store-tls needs --tls-cert"),
        ("qrscp -c /none", 2, "/none cannot be read"),
        ("qrscp --clean --instance-location /none", 1, "/none is no folder of a node"),
    ],
)
def test_what_cannot_be_used(line: str, code: int, words: str) -> None:
    done = dulcimer(*line.split())
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("dulcimer: ")


@pytest.mark.parametrize("tool", ["echoscu", "findscu", "getscu", "movescu", "storescu"])
def test_nobody_listens(tool: str, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "1.dcm").write_bytes(file_of(instance(), "2.25.1"))
    more: dict[str, list[str]] = {"echoscu": [], "storescu": [str(tmp_path / "1.dcm")]}
    words = more.get(tool, ["-k", "PatientID=1"])
    folder = ["-od", str(tmp_path)] if tool == "getscu" else []
    done = dulcimer(tool, "127.0.0.1", str(port), *words, *folder)
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines() == [
        f"dulcimer: 127.0.0.1:{port} refused the connection: nothing listens there, or a firewall forbids it"
    ]
    quiet = dulcimer(tool, "127.0.0.1", str(port), "-q", *words, *folder)
    assert (quiet.code, quiet.out, quiet.err) == (1, "", "")


def test_options_in_any_place() -> None:
    expected: dict[str, Any] = {"called_aet": "B", "calling_aet": "A", "max_pdu": 0, "acse_timeout": None}
    for line in (
        "localhost 104 -aet A -aec B -pdu 0 -ta 0",
        "-aet A localhost -aec B -pdu 0 104 -ta 0",
        "-aet=A --called-aet=B --max-pdu=0 --acse-timeout=0 localhost 104",
    ):
        args = options_of("echoscu").read(line.split())
        assert args.peer == ["localhost", "104"]
        assert {name: getattr(args, name) for name in expected} == expected


def test_one_form_of_output() -> None:
    done = dulcimer("findscu", "localhost", "104", "-k", "PatientID", "--json", "--csv")
    assert done.code == 2
    assert "one form of output" in done.err


def test_ways_to_write_a_value() -> None:
    line = "localhost 104 -kPatientID=1 -k=PatientName=2 -k (0010,0030)=3 --keyword=Rows=4 -x="
    args = options_of("findscu").read(line.split())
    assert args.keys == ["PatientID=1", "PatientName=2", "(0010,0030)=3", "Rows=4"]


@pytest.mark.parametrize(
    ("words", "title", "host", "port"),
    [
        ("localhost 104", "CALLED", "localhost", 104),
        ("localhost:104", "CALLED", "localhost", 104),
        ("PACS@localhost:104", "PACS", "localhost", 104),
        ("PACS@localhost 104", "PACS", "localhost", 104),
        ("::1 104", "CALLED", "::1", 104),
        ("[::1] 104", "CALLED", "::1", 104),
        ("[::1]:104", "CALLED", "::1", 104),
        ("PACS@[fe80::1%eth0]:104", "PACS", "fe80::1%eth0", 104),
        ("ANY-SCP@localhost:104", "ANY-SCP", "localhost", 104),
    ],
)
def test_ways_to_write_a_peer(words: str, title: str, host: str, port: int) -> None:
    from dulcimer.cli.tools.calling import peer_of

    peer, others = peer_of([*words.split(), "file"], "CALLED")
    assert (peer.ae_title, peer.host, peer.port, others) == (title, host, port, ["file"])


def test_a_peer_that_says_nothing() -> None:
    with silence() as port:
        done = dulcimer("echoscu", "127.0.0.1", str(port), "-ta", "0.3")
        assert (done.code, done.out) == (1, "")
        assert "0.3 s" in done.err
        done = dulcimer("echoscu", "127.0.0.1", str(port), "--tls-no-verify", "-to", "0.3")
        assert done.code == 1
        assert "TLS handshake" in done.err
