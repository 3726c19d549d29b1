"""DCMTK's programs as peers."""

from __future__ import annotations

import functools
import os
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

_WHERE_ELSE = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")


@functools.cache
def program(name: str) -> str | None:
    """Find a program of DCMTK; pynetdicom installs others of the same names, so the version has to say so."""
    for folder in (*os.environ.get("PATH", "").split(os.pathsep), *_WHERE_ELSE):
        path = Path(folder, name)
        if not path.is_file():
            continue
        said = subprocess.run([str(path), "--version"], capture_output=True, check=False, timeout=20).stdout
        if said.startswith(b"$dcmtk"):
            return str(path)
    return None


def needs(*names: str) -> pytest.MarkDecorator:
    """Skip a test, and say why, where DCMTK is not installed."""
    missing = [name for name in names if program(name) is None]
    return pytest.mark.skipif(
        bool(missing), reason=f"DCMTK's {' and '.join(missing)} not found (Debian: apt install dcmtk)"
    )


def run(
    name: str, *arguments: str, seconds: float = 50.0, nagle: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a program of DCMTK to its end; what it says on both channels is in ``stdout``.

    ``nagle`` leaves Nagle's algorithm on, as DCMTK is installed.
    """
    path = program(name)
    assert path is not None
    return subprocess.run(
        [path, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=_environment(nagle=nagle),
        timeout=seconds,
        check=False,
    )


def _environment(*, nagle: bool) -> dict[str, str]:
    return dict(os.environ) if nagle else {**os.environ, "TCP_NODELAY": "1"}


class StoreSCP:
    """A ``storescp`` that writes what it receives bit for bit, in any of the given transfer syntaxes."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder / "received"
        self.folder.mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        path = program("storescp")
        assert path is not None
        self._log_path = folder / "storescp.log"
        self._log = self._log_path.open("wb")
        self._process = subprocess.Popen(
            [
                path,
                "--bit-preserving",
                "--unique-filenames",
                "-od",
                str(self.folder),
                *options,
                str(self.port),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=_environment(nagle=False),
        )
        self._await_port()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._log.close()

    def received(self) -> list[Path]:
        return sorted(self.folder.iterdir())

    @property
    def log(self) -> str:
        return self._log_path.read_text("utf-8", "replace")

    def _await_port(self) -> None:
        deadline = time.monotonic() + 15
        while True:
            # Looking whether somebody listens must not be a connection: storescp would log it as a bad peer.
            if any(listens(self.port, table) for table in ("/proc/net/tcp", "/proc/net/tcp6")):
                return
            ended = self._process.poll() is not None
            assert not ended and time.monotonic() < deadline, f"storescp does not listen: {self.log}"
            time.sleep(0.02)


def listens(port: int, table: str) -> bool:
    pattern = rf"^\s*\d+: [0-9A-F]+:{port:04X} [0-9A-F]+:0000 0A "
    return (
        Path(table).exists() and re.search(pattern, Path(table).read_text("ascii"), re.MULTILINE) is not None
    )


def scu_profile(pairs: Iterable[tuple[str, str]]) -> str:
    """Write a configuration for ``storescu``: one context for each SOP class and transfer syntax."""
    pairs = list(pairs)
    syntaxes = sorted({syntax for _, syntax in pairs})
    return _configuration(
        {f"S{number}": [syntax] for number, syntax in enumerate(syntaxes)},
        [(sop_class, f"S{syntaxes.index(syntax)}") for sop_class, syntax in pairs],
    )


def scp_profile(pairs: Iterable[tuple[str, str]]) -> str:
    """Write a configuration for ``storescp``, which wants every SOP class once."""
    pairs = list(pairs)
    syntaxes = sorted({syntax for _, syntax in pairs})
    return _configuration(
        {"All": syntaxes}, [(sop_class, "All") for sop_class in sorted({sop_class for sop_class, _ in pairs})]
    )


def _configuration(syntaxes: dict[str, list[str]], contexts: list[tuple[str, str]]) -> str:
    lines = ["[[TransferSyntaxes]]"]
    for name, uids in syntaxes.items():
        lines += [f"[{name}]", *(f"TransferSyntax{number} = {uid}" for number, uid in enumerate(uids, 1))]
    lines += ["[[PresentationContexts]]", "[All]"]
    lines += [
        f"PresentationContext{number} = {sop_class}\\{name}"
        for number, (sop_class, name) in enumerate(contexts, 1)
    ]
    return "\n".join([*lines, "[[Profiles]]", "[All]", "PresentationContexts = All", ""])
