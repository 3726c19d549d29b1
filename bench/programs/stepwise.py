"""A program that waits to be told to start, so that its imports are not measured, and to end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import processes
from bench.model import BenchError


def main(work: Callable[[], Any]) -> None:
    """Say that we are ready, wait for a line, do the work, print what it returns, wait to be let go."""
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(work()), flush=True)
    sys.stdin.readline()


class Stepwise:
    """The other side of :func:`main`: a child that is ready."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Return the id of its process."""
        return self.process.pid

    def go(self, limit: float = 180.0) -> Any:
        """Let it work and return what it reports."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()
        return json.loads(self.line(limit))

    def line(self, limit: float) -> bytes:
        """Return its next line."""
        assert self.process.stdout is not None
        if processes.readable(self.process.stdout, limit) and (line := self.process.stdout.readline()):
            return line
        raise BenchError(f"{self.process.args!r} said nothing: {self._log.read_text()[-2000:]}")


@contextmanager
def stepwise(command: Sequence[str], log: Path) -> Iterator[Stepwise]:
    """Start a program that calls :func:`main`, up to the point where it is ready."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=processes.ROOT,
            env=processes.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            bufsize=0,
        )
    try:
        child = Stepwise(process, log)
        child.line(processes.START_LIMIT)
        yield child
    finally:
        processes.end(process)
