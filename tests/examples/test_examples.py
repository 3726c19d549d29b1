"""The examples, each run as a user would run it, against each other or against the node."""

from __future__ import annotations

import ast
import json
import re
import socket
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
HOST = "127.0.0.1"
PATIENCE = 30.0

FILES = (
    "CT_small.dcm",  # Explicit VR Little Endian
    "MR_small_implicit.dcm",
    "SC_rgb_small_odd_big_endian.dcm",
    "JPEG2000.dcm",
    "image_dfl.dcm",  # deflated
)


def command(name: str, *arguments: object) -> list[str]:
    return [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, arguments)]


def dulcimer(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "dulcimer.cli.main", *map(str, arguments)]


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE, check=False)


def succeed(arguments: list[str]) -> str:
    """Run a program that has to succeed; return what it printed."""
    done = run(arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


@contextmanager
def serving(arguments: list[str], port: int, log: Path) -> Iterator[None]:
    """Run a server until the block ends; it begins when the port is open."""
    with log.open("wb") as output:
        process = subprocess.Popen(arguments, stdout=output, stderr=subprocess.STDOUT)
        try:
            give_up = monotonic() + PATIENCE
            while True:
                try:
                    socket.create_connection((HOST, port), timeout=1).close()
                    break
                except OSError:
                    assert process.poll() is None, log.read_text()
                    assert monotonic() < give_up, "the server does not listen"
                    sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE)


@contextmanager
def node(folder: Path) -> Iterator[int]:
    """Run ``dulcimer serve`` on a data folder; give its port."""
    port = free_port()
    arguments = dulcimer("serve", "--port", port, "--data", folder)
    with serving(arguments, port, folder.parent / "node.log"):
        yield port


@pytest.fixture(scope="module")
def files() -> list[Path]:
    """Real objects in five transfer syntaxes."""
    found = [get_testdata_file(name) for name in FILES]
    return [Path(str(path)) for path in found]


# ---- N-SET --------------------------------------------------------------------------------------------


def test_n_set_scu_and_scp(tmp_path: Path) -> None:
    port = free_port()
    with serving(command("n_set_scp", port), port, tmp_path / "log"):
        known = succeed(command("n_set_scu", HOST, port, "2.25.1"))
        unknown = succeed(command("n_set_scu", HOST, port, "2.25.2"))
    assert "Status" in known and known.split()[-1] == "0"
    assert int(unknown.split()[-1]) == 0x0112
    assert "MODALITY set" in (tmp_path / "log").read_text()
    assert "Chest, second attempt" in (tmp_path / "log").read_text()


def test_n_set_scu_says_why_there_is_no_association() -> None:
    done = run(command("n_set_scu", HOST, free_port(), "2.25.1"))
    assert done.returncode == 1
    assert "refused" in done.stderr
    assert "Traceback" not in done.stderr


def test_n_set_scu_changes_a_step_of_the_node(tmp_path: Path) -> None:
    with node(tmp_path / "data") as port:
        step = succeed(dulcimer("mpps", "create", f"{HOST}:{port}")).strip()
        assert succeed(command("n_set_scu", HOST, port, step)).split()[-1] == "0"
        found = succeed(dulcimer("mpps", "get", f"{HOST}:{port}", step, "--json"))
    assert json.loads(found)["00400254"]["Value"] == ["Chest, second attempt"]


# ---- MPPS ---------------------------------------------------------------------------------------------


def test_mpps_modality_completes_a_step(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with node(data) as port:
        printed = succeed(command("mpps_modality", HOST, port, "--patient-id", "P-7"))
        (step,) = json.loads(succeed(dulcimer("list", "steps", "--data", data, "--json")))
        found = json.loads(
            succeed(dulcimer("mpps", "get", f"{HOST}:{port}", step["sop_instance_uid"], "--json"))
        )
    assert f"step {step['sop_instance_uid']}" in printed
    assert [line.rpartition(" ")[2] for line in printed.splitlines()[1:]] == ["0000"] * 3
    assert step["status"] == "COMPLETED"
    assert step["patient_id"] == "P-7"
    assert step["ended"]
    (series,) = found["00400340"]["Value"]
    assert len(series["00081140"]["Value"]) == 2


def test_mpps_modality_stops_when_it_is_refused(tmp_path: Path) -> None:
    port = free_port()
    # A peer that answers N-SET and nothing else.
    with serving(command("n_set_scp", port), port, tmp_path / "log"):
        done = run(command("mpps_modality", HOST, port))
    assert done.returncode == 1
    assert "N-CREATE IN PROGRESS: 0110" in done.stdout


# ---- Storage ------------------------------------------------------------------------------------------


def test_store_scu_and_scp(files: list[Path], tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "received"
    with serving(command("store_scp_to_files", folder, "--port", port), port, tmp_path / "log"):
        printed = succeed(command("store_scu", HOST, port, *files))
    assert printed.count(": 0000") == len(files)
    assert len(list(folder.iterdir())) == len(files)
    for sent in files:
        original = dcmread(sent)
        received = folder / f"{original.SOPInstanceUID}.dcm"
        # A deflated data set of odd length gets a byte that evens it out (PS3.5 A.5).
        padding = b"\0" * (len(data_set(sent)) % 2)
        assert data_set(received) == data_set(sent) + padding
        meta = dcmread(received, stop_before_pixels=True).file_meta
        assert meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID


def test_asyncio_scu_and_scp(files: list[Path], tmp_path: Path) -> None:
    port = free_port()
    with serving(command("asyncio_scp", port), port, tmp_path / "log"):
        printed = succeed(command("asyncio_scu", port, *files))
    studies = {str(dcmread(path).StudyInstanceUID) for path in files}
    assert printed.count(": 0000") == len(files)
    assert {line.split()[1] for line in printed.splitlines() if line.startswith("study")} == studies


def test_store_scu_into_the_node(files: list[Path], tmp_path: Path) -> None:
    data = tmp_path / "data"
    with node(data) as port:
        succeed(command("store_scu", HOST, port, *files))
        studies = json.loads(succeed(dulcimer("list", "studies", "--data", data, "--json")))
    assert sum(study["instances"] for study in studies) == len(files)


def test_store_scu_tells_of_what_the_peer_does_not_take(files: list[Path], tmp_path: Path) -> None:
    port = free_port()
    with serving(command("n_set_scp", port), port, tmp_path / "log"):
        done = run(command("store_scu", HOST, port, *files))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "no presentation context was accepted" in done.stderr


def test_store_scp_writes_nowhere_else(tmp_path: Path) -> None:
    """A UID is what the peer says; as the name of a file it must not leave the folder."""
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = "../escaped"
    dataset.PatientID = "P"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    port, folder = free_port(), tmp_path / "received"
    with serving(command("store_scp_to_files", folder, "--port", port), port, tmp_path / "log"):
        from dulcimer import AE, build_context

        association = AE().associate(HOST, port, [build_context(CTImageStorage, ExplicitVRLittleEndian)])
        assert association.is_established
        status = association.send_c_store(dataset)
        association.release()
    assert status.Status == 0x0000
    (received,) = folder.iterdir()
    assert received.name.startswith("uid-")
    assert not list(tmp_path.rglob("*escaped*"))


def data_set(path: Path) -> bytes:
    """Return the bytes behind the file meta information."""
    dataset = dcmread(path, stop_before_pixels=True, specific_tags=[])
    length = int(dataset.file_meta.FileMetaInformationGroupLength)
    return path.read_bytes()[132 + 12 + length :]


# ---- Storage Commitment -------------------------------------------------------------------------------


def test_storage_commitment(files: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "safe"
    folder.mkdir()
    kept, lost = files[0], files[1]
    uid = dcmread(kept, stop_before_pixels=True).SOPInstanceUID
    (folder / f"{uid}.dcm").write_bytes(kept.read_bytes())
    port = free_port()
    with serving(command("storage_commitment", "--port", port, "serve", folder), port, tmp_path / "log"):
        good = succeed(command("storage_commitment", "--port", port, "ask", kept))
        mixed = run(command("storage_commitment", "--port", port, "ask", kept, lost))
    assert good.splitlines() == [f"safe: {uid}"]
    assert mixed.returncode == 1
    safe, failed = mixed.stdout.splitlines()
    assert safe == f"safe: {uid}"
    other = dcmread(lost, stop_before_pixels=True).SOPInstanceUID
    assert failed == f"not safe: {other}, reason 0112"


# ---- TLS ----------------------------------------------------------------------------------------------


def test_echo_tls(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path, "authority"), Authority(tmp_path, "other")
    server, client = authority.issue("server"), authority.issue("client")
    stranger = other.issue("stranger")
    port = free_port()
    with serving(command("echo_tls", "serve", HOST, port, *server), port, tmp_path / "log"):
        assert succeed(command("echo_tls", "echo", HOST, port, *client)) == "C-ECHO: 0000\n"
        not_trusted = run(command("echo_tls", "echo", HOST, port, *stranger))
        wrong_certificate = run(
            command("echo_tls", "echo", HOST, port, "--ca", authority.certificate_file, *stranger[2:])
        )
        assert succeed(command("echo_tls", "echo", HOST, port, *client)) == "C-ECHO: 0000\n"
    for done in (not_trusted, wrong_certificate):
        assert done.returncode == 1
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert done.stderr.strip()


class Authority:
    """A certificate authority of its own, for one test."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate_file = folder / f"{name}.pem"
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
        )
        self._write(self.certificate_file, builder)

    def issue(self, name: str) -> list[object]:
        """Make a certificate for this host; return the options that name it."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate_file, key_file = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            self._builder(subject, key)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
            .add_extension(authority, critical=False)
        )
        self._write(certificate_file, builder)
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return ["--ca", self.certificate_file, "--cert", certificate_file, "--key", key_file]

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )

    def _write(self, path: Path, builder: x509.CertificateBuilder) -> None:
        certificate = builder.sign(self._key, hashes.SHA256())
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


# ---- what the documents say of them ----------------------------------------------------------------------


def test_the_readme_shows_the_files() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    shown = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert shown == [(EXAMPLES / f"{name}.py").read_text("utf-8") for name in ("n_set_scu", "n_set_scp")]


@pytest.mark.parametrize(("name", "lines"), [("n_set_scu", 12), ("n_set_scp", 15)])
def test_they_are_as_short_as_the_readme_says(name: str, lines: int) -> None:
    text = (EXAMPLES / f"{name}.py").read_text("utf-8")
    docstring = ast.parse(text).body[0]
    assert docstring.end_lineno is not None
    code = [line for line in text.splitlines()[docstring.end_lineno :] if line.strip()]
    assert not any(line.lstrip().startswith("#") for line in code)
    assert len(code) == lines


def test_each_has_a_docstring_of_one_sentence_and_is_run_here() -> None:
    here = Path(__file__).read_text("utf-8")
    for path in sorted(EXAMPLES.glob("*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        assert docstring.endswith("."), path
        assert "\n" not in docstring, path
        assert f'command("{path.stem}"' in here, path


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        if target == "docs/bench.png":
            continue  # drawn by `make bench`
        assert (ROOT / target).exists(), f"{document} refers to {target}"
