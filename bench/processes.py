"""Processes: servers awaited and ended, commands timed to the microsecond and bounded in time."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.model import BenchError

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_LIMIT = 30.0
_LISTEN = "0A"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a child: ours, with this tree importable and DCMTK's Nagle switch unset.

    Byte code is kept, as it is for installed packages: otherwise importing this tree would mean compiling it.
    """
    left_out = {"TCP_NODELAY", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}
    names = {key: value for key, value in os.environ.items() if key not in left_out}
    names["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    return names | dict(extra or {})


def python(module: str, *arguments: str | int | Path) -> list[str]:
    """Return the command that runs one of our modules with this interpreter."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def pid(self) -> int:
        """Return the id of its process."""
        return self.process.pid


@contextmanager
def serving(
    command: Sequence[str], port: int, log: Path, extra: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a server until the block ends; the block starts when the server listens on ``port``."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(extra), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        _await_listening(process, port, log)
        yield Server(process, port)
        if process.poll() is not None:
            raise BenchError(f"{command[0]} ended early ({process.returncode}): {_tail(log)}")
    finally:
        end(process)


def _await_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    # Not by connecting: that would be an association that fails, which some servers log or wait for.
    limit = time.monotonic() + START_LIMIT
    while not _listens(port):
        if process.poll() is not None:
            raise BenchError(f"a server did not start ({process.returncode}): {_tail(log)}")
        if time.monotonic() > limit:
            raise BenchError(f"a server did not listen within {START_LIMIT:.0f} s: {_tail(log)}")
        time.sleep(0.005)


def _listens(port: int) -> bool:
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and fields[1].endswith(wanted):
                return True
    return False


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:].strip() or "(no output)"


def end(process: subprocess.Popen[bytes], patience: float = 10.0) -> None:
    """End a process of ours: ask, then insist."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(patience)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def readable(pipe: IO[bytes], limit: float) -> bool:
    """Return whether something can be read from a pipe within ``limit`` seconds."""
    return bool(select.select([pipe], [], [], limit)[0])


def timed(
    command: Sequence[str],
    log: Path,
    extra: Mapping[str, str] | None = None,
    limit: float = 120.0,
    expected: int = 0,
) -> float:
    """Run a command to its end and return the seconds it took; any other exit code is an error."""
    with log.open("wb") as output:
        names = environment(extra)
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env=names, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            # Popen.wait(timeout) polls in steps of up to 50 ms, which is more than some rows last.
            handle = os.pidfd_open(process.pid)
            try:
                ready = select.select([handle], [], [], limit)[0]
                seconds = time.perf_counter() - started
            finally:
                os.close(handle)
            if not ready:
                raise BenchError(f"{command[0]} took more than {limit:.0f} s")
            process.wait()
        finally:
            end(process)
    if process.returncode != expected:
        raise BenchError(f"{command[0]} ended with {process.returncode}: {_tail(log)}")
    return seconds
