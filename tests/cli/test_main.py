from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cli.inprocess import dulcimer
from dulcimer import __version__
from dulcimer.cli.exits import Exit
from dulcimer.cli.main import main
from dulcimer.node.config import OPTIONS
from node.served import PROGRAM, environment, run

if TYPE_CHECKING:
    from pathlib import Path

VERBS = [
    ["serve"],
    ["echo"],
    ["store"],
    ["print"],
    ["mpps", "create"],
    ["mpps", "set"],
    ["mpps", "get"],
    ["worklist", "add"],
    ["worklist", "import"],
    ["worklist", "list"],
    ["worklist", "remove"],
    *(["ups", verb] for verb in ("create", "claim", "set", "complete", "cancel", "get", "find", "watch")),
    ["commit"],
    ["rt", "verify"],
    *([verb] for verb in ("ncreate", "nset", "nget", "naction", "ndelete", "nevent")),
    ["list", "studies"],
    ["list", "steps"],
]


@pytest.mark.parametrize("verb", [[], ["mpps"], ["worklist"], ["list"], *VERBS], ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(verb: list[str], flag: str) -> None:
    done = dulcimer(*verb, flag)
    assert (done.code, done.err) == (Exit.OK, "")
    assert done.out.startswith(f"Usage: {' '.join(['dulcimer', *verb])} ")
    assert "Exit codes: 0 done" in done.out


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_option_has_a_help_text_and_nothing_is_cut_short(verb: list[str]) -> None:
    text = dulcimer(*verb, "--help").out
    assert "…" not in re.sub(r"FILE\|FOLDER…|AET,AET…", "", text)
    options = text.split("Options:\n")[1]
    for block in re.split(r"\n  (?=-)", "\n" + options)[1:]:
        name, _, rest = block.strip().partition(" ")
        words = re.sub(r"\[[^]]*\]|<[^>]*>|--\S+|[A-Z=|]{3,}", "", rest)
        assert len(words.split()) >= 2, f"{name} has no help: {block!r}"


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != ["serve"]], ids=" ".join)
def test_json_everywhere(verb: list[str]) -> None:
    assert "--json" in dulcimer(*verb, "--help").out


def test_serve_has_every_option_of_the_node() -> None:
    text = dulcimer("serve", "--help").out
    assert not [name for name in OPTIONS if f"--{name.replace('_', '-')}" not in text]


def test_the_version() -> None:
    assert dulcimer("--version").out == f"dulcimer {__version__}\n"


def test_no_verb_shows_the_verbs() -> None:
    done = dulcimer()
    assert all(verb[0] in done.out + done.err for verb in VERBS)


@pytest.mark.parametrize("arguments", [["serv"], ["echo", "--loud"], ["mpps", "delete"], ["list", "x"]])
def test_what_does_not_exist(arguments: list[str]) -> None:
    done = dulcimer(*arguments)
    assert (done.code, done.out) == (Exit.USAGE, "")
    assert arguments[-1] in done.err


@pytest.mark.parametrize("missing", ["typer", "sqlalchemy"])
def test_an_extra_that_is_not_installed(missing: str, tmp_path: Path) -> None:
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        f"sys.argv = ['dulcimer', 'serve', '--port', '0', '--data', {str(tmp_path)!r}]\n"
        "from dulcimer.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment()
    )
    assert done.returncode == Exit.USAGE
    assert done.stderr == (f"dulcimer: {missing} is missing; install it with: pip install 'dulcimer[node]'\n")


def test_the_library_does_without_the_extras() -> None:
    script = (
        "import sys\n"
        "for name in ('typer', 'click', 'rich', 'sqlalchemy', 'alembic'): sys.modules[name] = None\n"
        "import dulcimer; dulcimer.AE"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env=environment())


def test_a_failure_is_said_once() -> None:
    """By the verb, not by the library's log as well."""
    done = run("echo", "127.0.0.1:1")
    assert done.code == Exit.NO_ASSOCIATION
    assert len(done.err.splitlines()) == 1, done


def test_a_reader_that_has_enough(tmp_path: Path) -> None:
    """``dulcimer … | head``"""
    done = subprocess.run(
        ["sh", "-c", '"$@" | head -n 1', "sh", *PROGRAM, "serve", "--help"],
        capture_output=True,
        check=True,
        env=environment(),
    )
    assert done.stderr == b""


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is known to be the user's is shown without a traceback."""
    from dulcimer import cli

    monkeypatch.delattr(cli, "application", raising=False)
    monkeypatch.setitem(sys.modules, "dulcimer.cli.application", None)
    with pytest.raises(ImportError):
        main()
