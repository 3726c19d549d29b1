"""Tools as programs, ours and those of others, with certificates made for the occasion."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from node.served import environment
from support.real_files import shipped

if TYPE_CHECKING:
    from collections.abc import Iterator

DULCIMER = (sys.executable, "-m", "dulcimer")
PYNETDICOM = (sys.executable, "-m", "pynetdicom")


def real_file(name: str) -> Path:
    """Find a file of pydicom's test data."""
    return next(path for path in shipped() if path.name == name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A program that listens; leaving the ``with`` block ends it."""

    def __init__(self, *command: str, folder: Path, port: int) -> None:
        self.port = port
        self._out_path, self._err_path = folder / f"{port}.out", folder / f"{port}.err"
        with self._out_path.open("wb") as out, self._err_path.open("wb") as err:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment(), cwd=folder
            )
        self._await_port()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    @property
    def out(self) -> str:
        return self._out_path.read_text("utf-8", "replace")

    @property
    def err(self) -> str:
        return self._err_path.read_text("utf-8", "replace")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)

    def wait_for(self, text: str, seconds: float = 15.0) -> str:
        deadline = time.monotonic() + seconds
        while text not in self.out + self.err:
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.out}\n{self.err}"
            time.sleep(0.02)
        return self.out + self.err

    def _await_port(self) -> None:
        # A connection that only looks whether somebody listens would be a bad peer.
        pattern = re.compile(rf"^\s*\d+: [0-9A-F]+:{self.port:04X} [0-9A-F]+:0000 0A ", re.MULTILINE)
        deadline = time.monotonic() + 20
        while True:
            for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
                if table.exists() and pattern.search(table.read_text("ascii")):
                    return
            ended = self.process.poll() is not None
            assert not ended and time.monotonic() < deadline, f"it does not listen: {self.out}{self.err}"
            time.sleep(0.02)


def ours(name: str, *options: str, folder: Path, port: int | None = None) -> Server:
    """Start a tool of ours that listens."""
    port = port or free_port()
    where = ("--port", str(port)) if name == "qrscp" else (str(port),)
    return Server(*DULCIMER, name, *where, *options, folder=folder, port=port)


def run(*command: str, cwd: Path | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        command,
        stdin=options.pop("stdin", subprocess.DEVNULL),
        capture_output=True,
        text=True,
        env=environment(),
        cwd=cwd,
        timeout=50,
        check=False,
        **options,
    )


class Certificates(NamedTuple):
    """Files: authorities, and certificate with key of each party."""

    authority: str
    other_authority: str
    server: tuple[str, str]
    client: tuple[str, str]
    expired: tuple[str, str]
    stranger: tuple[str, str]


def make_certificates(folder: Path) -> Certificates:
    """Make them: two authorities, a server, a client, one that has expired, one of another name."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    key = rsa.generate_private_key(65537, 2048)
    other_key = rsa.generate_private_key(65537, 2048)

    def make(
        name: str,
        issuer: Any,
        signer: Any,
        *,
        names: tuple[str, ...] = ("localhost",),
        authority: bool = False,
        days: tuple[int, int] = (-1, 1),
        own: Any = None,
    ) -> tuple[Any, tuple[str, str]]:
        own = own or rsa.generate_private_key(65537, 2048)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        alternatives: list[Any] = [x509.DNSName(text) for text in names]
        if "localhost" in names:
            alternatives += [x509.IPAddress(ip_address("127.0.0.1")), x509.IPAddress(ip_address("::1"))]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or subject)
            .public_key(own.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .sign(signer, hashes.SHA256())
        )
        paths = folder / f"{name}.pem", folder / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            own.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        return certificate.subject, (str(paths[0]), str(paths[1]))

    issuer, root = make("authority", None, key, authority=True, own=key)
    _, other = make("other", None, other_key, authority=True, own=other_key)
    return Certificates(
        root[0],
        other[0],
        make("server", issuer, key)[1],
        make("client", issuer, key)[1],
        make("expired", issuer, key, days=(-10, -1))[1],
        make("stranger", issuer, key, names=("elsewhere.example.org",))[1],
    )


@contextmanager
def silence() -> Iterator[int]:
    """Accept connections and never say a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return os.path.exists("/proc/net/tcp6")
