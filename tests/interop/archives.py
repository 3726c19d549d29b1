"""Archives of others as processes: DCMTK's ``dcmqrscp`` and Orthanc."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from interop import dcmtk

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

ORTHANC = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin:/usr/local/bin")

needs_orthanc = pytest.mark.skipif(ORTHANC is None, reason="Orthanc not found (Debian: apt install orthanc)")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Process:
    """A program that serves, with its output in a file."""

    def __init__(self, folder: Path, *command: str) -> None:
        self._log_path = folder / "log"
        self._log = self._log_path.open("wb")
        self._process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT
        )

    @property
    def log(self) -> str:
        return self._log_path.read_text("utf-8", "replace")

    def _await(self, port: int) -> None:
        deadline = time.monotonic() + 20
        while not any(dcmtk.listens(port, table) for table in ("/proc/net/tcp", "/proc/net/tcp6")):
            ended = self._process.poll() is not None
            assert not ended and time.monotonic() < deadline, f"nobody listens: {self.log}"
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._log.close()


class DcmQrScp(_Process):
    """A ``dcmqrscp`` with one archive, that knows one move destination.

    Parameters
    ----------
    folder
        For its files.
    destination
        AE title and port of the move destination.
    """

    title = "ARCHIVE"

    def __init__(self, folder: Path, destination: tuple[str, int]) -> None:
        self.port = free_port()
        storage = folder / "storage"
        storage.mkdir(parents=True)
        configuration = folder / "dcmqrscp.cfg"
        title, port = destination
        configuration.write_text(
            f"""NetworkTCPPort = {self.port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
ours = ({title}, 127.0.0.1, {port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
{self.title} {storage} RW (200, 1024mb) ANY
AETable END
"""
        )
        path = dcmtk.program("dcmqrscp")
        assert path is not None
        super().__init__(folder, path, "--config", str(configuration))
        self._await(self.port)


class WlmScpFs(_Process):
    """A ``wlmscpfs`` that serves the worklist files in the folder ``WLM``, which is its AE title too."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        path = dcmtk.program("wlmscpfs")
        assert path is not None
        super().__init__(folder, path, "--data-files-path", str(folder), str(self.port))
        self._await(self.port)


class Orthanc(_Process):
    """An Orthanc with an empty archive."""

    title = "ORTHANC"

    def __init__(self, folder: Path) -> None:
        assert ORTHANC is not None
        folder.mkdir(parents=True)
        self.port, self._http = free_port(), free_port()
        configuration = folder / "orthanc.json"
        configuration.write_text(
            json.dumps(
                {
                    "StorageDirectory": str(folder / "storage"),
                    "IndexDirectory": str(folder / "storage"),
                    "Plugins": [],
                    "HttpPort": self._http,
                    "RemoteAccessAllowed": False,
                    "AuthenticationEnabled": False,
                    "DicomAet": self.title,
                    "DicomPort": self.port,
                    "DicomCheckCalledAet": False,
                    "DicomAlwaysAllowFind": True,
                    "DicomAlwaysAllowGet": True,
                    "DicomAlwaysAllowMove": True,
                    "ConcurrentJobs": 2,
                }
            )
        )
        super().__init__(folder, ORTHANC, str(configuration))
        self._await(self.port)
        self._await(self._http)

    def knows(self, title: str, port: int) -> None:
        """Tell it of a modality, which has the AE title for its name."""
        self.rest(f"modalities/{title}", {"AET": title, "Host": "127.0.0.1", "Port": port}, method="PUT")

    def rest(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """Call its REST API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self._http}/{path}", data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                said = answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.code} {error.read().decode()}") from error
        return json.loads(said) if said else None
