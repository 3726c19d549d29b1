"""The servers and senders that are compared, each as the command that starts it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import processes
from bench.processes import Server, python

NODELAY = {"TCP_NODELAY": "1"}
"""DCMTK's programs leave Nagle's algorithm on unless this is set; no value but 1 turns it off."""


@dataclass(frozen=True)
class Receiver:
    """A server that stores what it receives below a folder."""

    name: str
    command: Callable[[Path, int], list[str]]
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)

    @contextmanager
    def serving(self, folder: Path) -> Iterator[Server]:
        """Run it until the block ends."""
        port = processes.free_port()
        log = folder.parent / f"{folder.name}.log"
        with processes.serving(self.command(folder, port), port, log, self.extra) as server:
            yield server


def _node(durability: str) -> Callable[[Path, int], list[str]]:
    def command(folder: Path, port: int) -> list[str]:
        # The entry point of the installed program, reached without relying on where it was installed.
        start = "from dulcimer.cli.main import main; main()"
        options = ["--port", str(port), "--data", str(folder), "--durability", durability]
        return [sys.executable, "-c", start, "serve", *options]

    return command


PLAIN = Receiver("dulcimer", lambda folder, port: python("bench.plain_receiver", folder, port))
SERVE_OFF = Receiver("dulcimer serve, off", _node("off"))
SERVE_FULL = Receiver("dulcimer serve, full", _node("full"))
STORESCP = Receiver("storescp", lambda folder, port: ["storescp", "-od", str(folder), str(port)])
STORESCP_NODELAY = Receiver("storescp, NODELAY", STORESCP.command, NODELAY)
PYNETDICOM = Receiver(
    "pynetdicom", lambda folder, port: python("bench.programs.pynetdicom_receiver", folder, port)
)


def storescu(port: int, folder: Path) -> list[str]:
    """Return the command that sends a folder with DCMTK."""
    return ["storescu", "+sd", processes.HOST, str(port), str(folder)]
