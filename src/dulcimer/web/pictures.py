"""Small pictures, drawn when somebody looks and kept in a folder that never grows beyond a limit."""

from __future__ import annotations

import asyncio
import json
import os
import select
import subprocess
import sys
from contextlib import suppress
from hashlib import blake2s
from html import escape
from pathlib import Path
from textwrap import wrap
from threading import Lock
from time import monotonic, time
from typing import Final

SIZES: Final = (256, 1024)
"""The sides of the squares that pictures fit into, in pixels."""

LATEST_SECONDS: Final = 15.0
"""So long one picture may take."""

IDLE_SECONDS: Final = 20.0
"""So long the process that draws waits for the next one."""

MOST_BYTES: Final = 128 << 20
MOST_DAYS: Final = 30
_TOUCHED_SECONDS: Final = 86400.0


class NoPicture(Exception):
    """There is no picture: the text says why."""


class Renderer:
    """The process that draws, started for the first picture and ended when nobody wants another."""

    def __init__(self, latest: float = LATEST_SECONDS) -> None:
        self._latest = latest
        self._turn = Lock()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    def draw(self, path: Path, size: int) -> bytes:
        """Return a JPEG picture of a file.

        Raises
        ------
        NoPicture
            There is none.
        """
        with self._turn:
            process = self._process
            if process is None or process.poll() is not None:
                self._end()
                process = self._process = _start()
            try:
                return self._ask(process, path, size)
            except NoPicture:
                raise
            except (OSError, ValueError):
                self._end()
                raise NoPicture("Cannot be decoded: the decoder failed") from None

    def close(self) -> None:
        """End the process."""
        with self._turn:
            self._end()

    def _ask(self, process: subprocess.Popen[bytes], path: Path, size: int) -> bytes:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps({"path": str(path), "size": size}).encode() + b"\n")
        process.stdin.flush()
        deadline = monotonic() + self._latest
        received = b""
        while (at := received.find(b"\n")) < 0:
            received += self._more(process, deadline)
        answer = json.loads(received[:at])
        if "reason" in answer:
            raise NoPicture(str(answer["reason"]))
        pieces, missing = [received[at + 1 :]], answer["length"] - len(received) + at + 1
        while missing > 0:
            pieces.append(self._more(process, deadline))
            missing -= len(pieces[-1])
        return b"".join(pieces)

    def _more(self, process: subprocess.Popen[bytes], deadline: float) -> bytes:
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        waiter = select.poll()
        waiter.register(descriptor, select.POLLIN)
        if not waiter.poll(max(deadline - monotonic(), 0.0) * 1000):
            self._end()
            raise NoPicture(f"Takes longer than {self._latest:.0f} s to be decoded")
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            raise OSError("it ended")
        return piece

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _start() -> subprocess.Popen[bytes]:
    # One thread for one picture at a time; thread pools of numeric libraries would count against its memory.
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return subprocess.Popen(
        [sys.executable, "-m", "dulcimer.web.renderer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **alone},
        # Ctrl-C of the node is none of its business: the node ends it.
        start_new_session=True,
    )


class Pictures:
    """Gives pictures of files from its folder, or has them drawn.

    Parameters
    ----------
    folder
        Where they are kept; it is made when there is something to keep.
    most_bytes
        How much is kept; what was not looked at for the longest time goes first.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES, renderer: Renderer | None = None) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._renderer = renderer or Renderer()
        self._turn = asyncio.Lock()
        self._kept = -1
        self._idle: asyncio.TimerHandle | None = None

    async def get(self, path: Path, size: int) -> bytes:
        """Return a JPEG picture.

        Raises
        ------
        NoPicture
            There is none.
        """
        kept = await asyncio.to_thread(self._find, path, size)
        if kept is None:
            async with self._turn:
                if self._idle is not None:
                    self._idle.cancel()
                try:
                    kept = await asyncio.to_thread(self._find_or_draw, path, size)
                finally:
                    loop = asyncio.get_running_loop()
                    self._idle = loop.call_later(IDLE_SECONDS, self._rest, loop)
        if kept.startswith(b"!"):
            raise NoPicture(kept[1:].decode())
        return kept

    def close(self) -> None:
        """End the process that draws."""
        self._renderer.close()

    def _rest(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_in_executor(None, self._renderer.close)

    def _name(self, path: Path, size: int) -> Path:
        try:
            state = path.stat()
        except OSError:
            raise NoPicture("The file is gone") from None
        key = f"{path}\0{state.st_mtime_ns}\0{state.st_size}\0{size}".encode("utf-8", "surrogateescape")
        return self._folder / blake2s(key, digest_size=20).hexdigest()

    def _find(self, path: Path, size: int) -> bytes | None:
        name = self._name(path, size)
        try:
            content = name.read_bytes()
            if time() - name.stat().st_mtime > _TOUCHED_SECONDS:
                os.utime(name)
        except OSError:
            return None
        return content

    def _find_or_draw(self, path: Path, size: int) -> bytes:
        found = self._find(path, size)
        if found is not None:
            return found
        try:
            content = self._renderer.draw(path, size)
        except NoPicture as reason:
            content = b"!" + str(reason).encode()
        # A full disk keeps nobody from looking.
        with suppress(OSError):
            self._keep(self._name(path, size), content)
        return content

    def _keep(self, name: Path, content: bytes) -> None:
        if self._kept < 0:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._kept = self._drop()
        unfinished = name.with_suffix(".new")
        unfinished.write_bytes(content)
        unfinished.rename(name)
        self._kept += len(content)
        if self._kept > self._most_bytes:
            self._kept = self._drop()

    def _drop(self) -> int:
        """Remove what is too old or too much; return how much is left."""
        files = []
        for entry in os.scandir(self._folder):
            with suppress(OSError):
                state = entry.stat()
                files.append((state.st_mtime, state.st_size, entry.path))
        total = sum(size for _, size, _ in files)
        oldest = time() - MOST_DAYS * 86400
        for touched, size, path in sorted(files):
            if touched > oldest and total <= self._most_bytes * 3 // 4:
                break
            with suppress(OSError):
                Path(path).unlink()
                total -= size
        return total


def placeholder(reason: str, size: int) -> bytes:
    """Return an SVG picture that says why there is no other."""
    lines = wrap(reason, 22)[:6]
    middle = 128 - (len(lines) - 1) * 10
    rows = "".join(
        f'<text x="128" y="{middle + 20 * at}" text-anchor="middle">{escape(line)}</text>'
        for at, line in enumerate(lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" viewBox="0 0 256 256" '
        f'font-family="system-ui, sans-serif" font-size="16" fill="#9aa7b4">'
        f'<title>{escape(reason)}</title><rect width="256" height="256" fill="#161c23"/>'
        f'<rect x="14" y="14" width="228" height="228" rx="10" fill="none" stroke="#2c3741" stroke-width="2" '
        f'stroke-dasharray="8 8"/>{rows}</svg>'
    ).encode()
