"""``dulcimer serve`` as a process of its own, the way an operator runs it."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from select import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

PROGRAM = (sys.executable, "-m", "dulcimer.cli.main")
_FIRST_LINE = re.compile(r"listening on (.+):(\d+) as (.+), storing in (.+)\n")
_START_SECONDS = 30.0


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment without options of the node that somebody has set outside.

    A node without page: those that run beside each other would want the same port for it.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DULCIMER_")}
    return {**inherited, "DULCIMER_WEB": "no", **(extra or {})}


class Served:
    """A running node; leaving the ``with`` block kills it unless it has ended.

    Standard error goes to a file: nobody has to read it for the node to go on.
    """

    def __init__(
        self,
        data: Path,
        *options: str,
        extra: Mapping[str, str] | None = None,
        port: str | None = "0",
        pass_data: bool = True,
        file_size_limit: int | None = None,
        cwd: Path | None = None,
        log_folder: Path | None = None,
        terminal: int | None = None,
    ) -> None:
        self.data = data
        number = 0
        while (path := (log_folder or data.parent) / f"{data.name}-{number}.log").exists():
            number += 1
        self.log_path = path
        arguments = [*PROGRAM, "serve", *options]
        if port is not None:
            arguments += ["--port", port]
        if pass_data:
            arguments += ["--data", str(data)]
        with path.open("wb") as log:
            self.process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log if terminal is None else terminal,
                env=environment(extra),
                cwd=cwd,
            )
        self.first_line = ""
        self.page = ""
        self.sockets_at_rest = 0
        self.host, self.port, self.aet = "", 0, ""
        try:
            self._await_first_line()
        except BaseException:
            self.close()
            raise
        if file_size_limit is not None:
            resource.prlimit(
                self.process.pid, resource.RLIMIT_FSIZE, (file_size_limit, resource.RLIM_INFINITY)
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def peer(self) -> str:
        """The node as the command line wants it."""
        return f"{self.aet}@{self.host}:{self.port}"

    @property
    def log(self) -> str:
        return self.log_path.read_text("utf-8")

    def log_lines(self, *, having: str = "") -> list[str]:
        return [line for line in self.log.splitlines() if having in line]

    def wait_for_log(self, text: str, seconds: float = 10.0) -> str:
        """Wait until a line of the log has ``text`` and return that line."""
        until(lambda: bool(self.log_lines(having=text)), seconds, lambda: f"no {text!r} in:\n{self.log}")
        return self.log_lines(having=text)[0]

    def send(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 20.0) -> int:
        """Send a signal and return the exit code."""
        self.send(number)
        return self.wait(seconds)

    def wait(self, seconds: float = 20.0) -> int:
        return self.process.wait(seconds)

    def kill(self) -> None:
        """What a loss of power is to the process: no handler of it runs."""
        self.process.kill()
        self.process.wait(10)

    def resident_kb(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        (found,) = re.findall(r"VmRSS:\s+(\d+) kB", status)
        return int(found)

    def objects(self) -> list[Path]:
        """Every file that counts as stored, the oldest first."""
        return sorted(
            (self.data / "objects").rglob("*.dcm"), key=lambda path: (path.stat().st_mtime_ns, path)
        )

    def incoming(self) -> list[Path]:
        return list((self.data / "incoming").iterdir())

    def being_received(self) -> int:
        """Count the open files that objects are received into; they have no name where the system can."""
        count = 0
        for descriptor in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                target = str(descriptor.readlink())
                size = descriptor.stat().st_size
            except FileNotFoundError:
                continue
            count += str(self.data / "incoming") in target and size > 0
        return count

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _await_first_line(self) -> None:
        assert self.process.stdout is not None
        deadline = time.monotonic() + _START_SECONDS
        line = b""
        descriptor = self.process.stdout.fileno()
        while not line.endswith(b"\n"):
            ready, _, _ = select([descriptor], [], [], max(deadline - time.monotonic(), 0))
            piece = os.read(descriptor, 4096) if ready else b""
            if not piece:
                raise AssertionError(f"no first line but {line!r}; log:\n{self.log}")
            line += piece
        # Both lines come in one piece.
        first, _, second = line.decode("utf-8").partition("\n")
        self.first_line = first + "\n"
        self.page = second.removeprefix("page on ").rstrip("\n")
        found = _FIRST_LINE.fullmatch(self.first_line)
        if found is not None:
            self.host, self.port, self.aet = found[1].strip("[]"), int(found[2]), found[3]


def run(*arguments: str, extra: Mapping[str, str] | None = None, seconds: float = 30.0) -> Finished:
    """Run ``dulcimer`` with arguments to its end."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment(extra),
        timeout=seconds,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


class Finished:
    """What a run of the command line left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"exit code {self.code}\n--- out\n{self.out}--- err\n{self.err}"


def until(
    condition: Callable[[], bool], seconds: float = 10.0, complaint: Callable[[], str] = lambda: "too late"
) -> None:
    """Wait for what another process or thread does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, complaint()
        time.sleep(0.02)
