"""Query/Retrieve of a running node: pynetdicom, DCMTK's programs and our own requestor ask it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pynetdicom
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filewriter import dcmwrite
from sqlalchemy import text

from dulcimer import AE, build_role, evt
from dulcimer.node.adapters.database import Database
from dulcimer.tls import TLS
from node.objects import data_set_of, file_of
from node.queries import FIND, GET, MOVE, PATIENT, STUDY, contexts, identifier, matches
from node.served import Served
from support.real_files import shipped

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def store(node: Served, path: Path) -> int | None:
    """Store a file in its own transfer syntax, byte for byte."""
    meta = dcmread(path, stop_before_pixels=True).file_meta
    ae = AE()
    ae.add_requested_context(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
    with ae.associate(*node.address) as assoc:
        status: int | None = assoc.send_c_store(path).get("Status")
        return status


def store_all(node: Served, datasets: list[Dataset], tmp_path: Path) -> None:
    for number, dataset in enumerate(datasets):
        dataset.setdefault("SOPClassUID", CT_IMAGE)
        dataset.setdefault("SOPInstanceUID", f"2.25.9{number}")
        dataset.setdefault("StudyInstanceUID", f"2.25.1{number}")
        dataset.setdefault("SeriesInstanceUID", f"{dataset.StudyInstanceUID}.1")
        stream = BytesIO()
        dcmwrite(stream, dataset, implicit_vr=False, little_endian=True)
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(file_of(stream.getvalue(), dataset.SOPInstanceUID, sop_class=CT_IMAGE))
        assert store(node, path) == 0


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path / "data", "--durability", "off") as served:
        yield served


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, list[Path]]]:
    """A node that holds the files that pydicom ships."""
    folder = tmp_path_factory.mktemp("real")
    with Served(folder / "data", "--durability", "off") as served:
        kept: list[Path] = []
        seen: set[str] = set()
        for path in shipped():
            try:
                dataset = dcmread(path, stop_before_pixels=True)
                uids = [dataset.file_meta.MediaStorageSOPInstanceUID, dataset.SOPInstanceUID]
                classes = [dataset.file_meta.MediaStorageSOPClassUID, dataset.SOPClassUID]
                known = dataset.file_meta.TransferSyntaxUID and dataset.StudyInstanceUID
                known = known and dataset.SeriesInstanceUID
            except (InvalidDicomError, AttributeError, KeyError, NotImplementedError):
                continue
            if not known or len(set(uids)) > 1 or len(set(classes)) > 1 or uids[0] in seen:
                continue
            if store(served, path) == 0:
                kept.append(path)
                seen.add(uids[0])
        assert len(kept) > 30
        yield served, kept


# ---- the files that pydicom ships ------------------------------------------------------------------------


def test_real_files_are_found_at_each_level(real: tuple[Served, list[Path]]) -> None:
    node, files = real
    ae = pynetdicom.AE()
    ae.add_requested_context(STUDY + FIND)
    assoc = ae.associate(*node.address)
    try:
        for path in files:
            stored = dcmread(path, stop_before_pixels=True)
            keys = {"StudyInstanceUID": stored.StudyInstanceUID}
            (study,) = matches(assoc, "STUDY", **keys, StudyDate="", NumberOfStudyRelatedInstances="")
            assert study.NumberOfStudyRelatedInstances >= 1
            keys["SeriesInstanceUID"] = stored.SeriesInstanceUID
            (series,) = matches(assoc, "SERIES", **keys, Modality="")
            keys["SOPInstanceUID"] = stored.SOPInstanceUID
            (image,) = matches(
                assoc, "IMAGE", **keys, SOPClassUID="", InstanceNumber="", Rows=None, PatientName="",
                AvailableTransferSyntaxUID="",
            )  # fmt: skip
            assert study.StudyInstanceUID == series.StudyInstanceUID == stored.StudyInstanceUID
            assert series.SeriesInstanceUID == stored.SeriesInstanceUID
            assert image.SOPClassUID == stored.SOPClassUID
            assert image.AvailableTransferSyntaxUID == stored.file_meta.TransferSyntaxUID
            assert image.get("Rows") == stored.get("Rows"), path
            assert image.InstanceNumber == stored.get("InstanceNumber")
    finally:
        assoc.release()


def test_real_names_come_back_as_they_are(real: tuple[Served, list[Path]]) -> None:
    node, files = real
    ae = pynetdicom.AE()
    ae.add_requested_context(STUDY + FIND)
    assoc = ae.associate(*node.address)
    try:
        found = {
            match.StudyInstanceUID: str(match.PatientName or "").rstrip("=")
            for match in matches(assoc, "STUDY", PatientName="", StudyInstanceUID="")
        }
    finally:
        assoc.release()
    # The first instance of a study describes it.
    described: dict[str, str] = {}
    for path in files:
        stored = dcmread(path, stop_before_pixels=True)
        described.setdefault(stored.StudyInstanceUID, str(stored.get("PatientName") or "").rstrip("="))
    assert found == described
    assert any(not name.isascii() for name in found.values())


@pytest.mark.parametrize("library", ["dulcimer", "pynetdicom"])
def test_get_brings_every_file_byte_for_byte(real: tuple[Served, list[Path]], library: str) -> None:
    node, files = real
    wanted: dict[str, bytes] = {}
    pairs: dict[str, list[str]] = {}
    for path in files:
        dataset = dcmread(path, stop_before_pixels=True)
        pairs.setdefault(dataset.SOPClassUID, []).append(dataset.file_meta.TransferSyntaxUID)
        content = data_set_of(path.read_bytes())
        # Deflated data sets may have an odd length, which no message has (PS3.5 A.5).
        wanted[dataset.SOPInstanceUID] = content + b"\0" * (len(content) % 2)
    got: dict[str, bytes] = {}

    def keep(event: Any) -> int:
        got[str(event.request.AffectedSOPInstanceUID)] = event.encoded_dataset(include_meta=False)
        return 0

    events: Any = evt if library == "dulcimer" else pynetdicom.evt
    ae: Any = AE() if library == "dulcimer" else pynetdicom.AE()
    make_role: Any = build_role if library == "dulcimer" else pynetdicom.build_role
    roles = [make_role(sop_class, scp_role=True) for sop_class in pairs]
    # Each transfer syntax in a context of its own: what is stored is never converted.
    proposed = contexts(library, STUDY + GET, EXPLICIT)
    for sop_class, syntaxes in pairs.items():
        for syntax in dict.fromkeys(syntaxes):
            proposed += contexts(library, sop_class, syntax)
    handlers = [(events.EVT_C_STORE, keep)]
    assoc = ae.associate(*node.address, contexts=proposed, ext_neg=roles, evt_handlers=handlers)
    assert assoc.is_established
    studies = sorted({dcmread(path, stop_before_pixels=True).StudyInstanceUID for path in files})
    responses = list(assoc.send_c_get(identifier("STUDY", StudyInstanceUID=studies), STUDY + GET))
    assoc.release()
    status = responses[-1][0]
    assert status.Status == 0
    assert status.NumberOfCompletedSuboperations == len(files)
    assert got.keys() == wanted.keys()
    assert [uid for uid in wanted if got[uid] != wanted[uid]] == []


# ---- character sets --------------------------------------------------------------------------------------

NAMES = {
    "latin-1": ("ISO_IR 100", "Buc^Jérôme"),
    "cyrillic": ("ISO_IR 144", "Люкceмбypг"),
    "japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "japanese, katakana": (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    "korean": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    "chinese": ("GB18030", "Wang^XiaoDong=王^小东"),
    "unicode": ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
}


@pytest.mark.parametrize("script", NAMES)
def test_names_in_any_character_set(script: str, node: Served, tmp_path: Path) -> None:
    character_set, name = NAMES[script]
    stored = Dataset()
    stored.SpecificCharacterSet = character_set
    stored.PatientName = name
    other = Dataset()
    other.PatientName = "Doe^Jane"
    store_all(node, [stored, other], tmp_path)
    ae = pynetdicom.AE()
    ae.add_requested_context(STUDY + FIND)
    assoc = ae.associate(*node.address)
    try:
        for key in (name, name.split("=")[-1], name.split("=")[-1][0] + "*"):
            (match,) = matches(
                assoc, "STUDY", SpecificCharacterSet=character_set, PatientName=key, StudyDescription=""
            )
            assert match.SpecificCharacterSet == character_set
            assert str(match.PatientName) == name
        # Whoever asks in ASCII, or in something that has not these characters, is answered in Unicode.
        for declared in (None, "ISO_IR 127"):
            more = {"SpecificCharacterSet": declared} if declared else {}
            (match,) = [
                each
                for each in matches(assoc, "STUDY", **more, PatientName="")
                if str(each.PatientName) != "Doe^Jane"
            ]
            assert match.SpecificCharacterSet == "ISO_IR 192"
            assert str(match.PatientName) == name
    finally:
        assoc.release()


def test_latin_1_that_nobody_declares(node: Served, tmp_path: Path) -> None:
    stored = Dataset()
    stored.SpecificCharacterSet = "ISO_IR 100"
    stored.PatientName = "Müller^Jürgen"
    store_all(node, [stored], tmp_path)
    ae = AE()
    ae.add_requested_context(STUDY + FIND)
    stream = BytesIO()
    coded = identifier("STUDY", StudyInstanceUID="")
    dcmwrite(stream, coded, implicit_vr=True, little_endian=True)
    raw = stream.getvalue() + b"\x10\x00\x10\x00\x08\x00\x00\x00M\xfcller* "
    with ae.associate(*node.address) as assoc:
        (match,) = matches(assoc, "STUDY", read=raw)
    assert str(match.PatientName) == "Müller^Jürgen"


def test_a_character_set_that_is_none(node: Served) -> None:
    ae = AE()
    ae.add_requested_context(STUDY + FIND)
    stream = BytesIO()
    dcmwrite(stream, identifier("STUDY"), implicit_vr=True, little_endian=True)
    raw = b"\x08\x00\x05\x00\x08\x00\x00\x00ISO_IR X" + stream.getvalue()
    raw += b"\x10\x00\x10\x00\x08\x00\x00\x00M\xfcller* "
    with ae.associate(*node.address) as assoc:
        (status, _), *rest = assoc.send_c_find(read(raw), STUDY + FIND)
    assert rest == []
    assert status.Status == 0xC000
    assert "ISO_IR X" in status.ErrorComment


def read(raw: bytes) -> Dataset:
    return dcmread(BytesIO(raw), force=True)


# ---- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "keys", "offending"),
    [
        (STUDY, {}, 0x00080052),
        (STUDY, {"level": ""}, 0x00080052),
        (STUDY, {"level": "PATIENT"}, 0x00080052),
        (STUDY, {"level": "STUDIES"}, 0x00080052),
        (PATIENT, {"level": "STUDY", "PatientID": ""}, 0x00100020),
        (PATIENT, {"level": "STUDY", "PatientID": "P*"}, 0x00100020),
        (PATIENT, {"level": "SERIES", "PatientID": "P1"}, 0x0020000D),
        (STUDY, {"level": "SERIES", "Modality": "CT"}, 0x0020000D),
        (STUDY, {"level": "SERIES", "StudyInstanceUID": ["2.25.1", "2.25.2"]}, 0x0020000D),
        (STUDY, {"level": "IMAGE", "StudyInstanceUID": "2.25.1"}, 0x0020000E),
        (STUDY, {"level": "STUDY", "SeriesInstanceUID": "2.25.1"}, 0x0020000E),
        (STUDY, {"level": "STUDY", "Modality": "CT"}, 0x00080060),
        (STUDY, {"level": "STUDY", "StudyDate": "yesterday"}, 0x00080020),
        (STUDY, {"level": "STUDY", "StudyTime": "-"}, 0x00080030),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_does_not_fit_the_model(
    real: tuple[Served, list[Path]], root: str, keys: dict[str, Any], offending: int
) -> None:
    node, _ = real
    keys = dict(keys)
    level = keys.pop("level", None)
    query = identifier(level, **keys)
    ae = AE()
    ae.add_requested_context(root + FIND)
    with ae.associate(*node.address) as assoc:
        (status, match), *rest = assoc.send_c_find(query, root + FIND)
        assert (status.Status, match, rest) == (0xA900, None, [])
        assert status.OffendingElement == offending
        assert status.ErrorComment
        # The association lives on.
        unique = {"PatientID": "P1"} if root == PATIENT else {}
        *_, (status, _) = assoc.send_c_find(identifier("STUDY", **unique), root + FIND)
        assert status.Status == 0x0000
    node.wait_for_log("failed with A900")


@pytest.mark.parametrize(
    ("root", "level", "keys"),
    [
        (STUDY, "STUDY", {}),
        (STUDY, "STUDY", {"StudyInstanceUID": ""}),
        (STUDY, "SERIES", {"SeriesInstanceUID": "2.25.1"}),
        (PATIENT, "STUDY", {"StudyInstanceUID": "2.25.1"}),
        (PATIENT, "PATIENT", {"PatientID": "P*"}),
        (PATIENT, "PATIENT", {"PatientID": ["P1", "P2"]}),
    ],
)
def test_retrievals_that_do_not_fit_the_model(
    real: tuple[Served, list[Path]], root: str, level: str, keys: dict[str, Any]
) -> None:
    node, _ = real
    ae = AE()
    ae.add_requested_context(root + GET)
    ae.add_requested_context(root + MOVE)
    with ae.associate(*node.address) as assoc:
        (status, _), *rest = assoc.send_c_get(identifier(level, **keys), root + GET)
        assert (status.Status, rest) == (0xA900, [])
        (status, _), *rest = assoc.send_c_move(identifier(level, **keys), "NOWHERE", root + MOVE)
        assert (status.Status, rest) == (0xA900, [])


def test_only_who_may(tmp_path: Path) -> None:
    with Served(tmp_path / "data", "--durability", "off", "--query-allow", "WS1") as node:
        for title, expected in (("WS1", 0x0000), ("CT1", 0x0124)):
            ae = AE(title)
            ae.add_requested_context(STUDY + FIND)
            ae.add_requested_context(STUDY + GET)
            with ae.associate(*node.address) as assoc:
                query = identifier("STUDY", StudyInstanceUID="2.25.1")
                assert [status.Status for status, _ in assoc.send_c_find(query, STUDY + FIND)] == [expected]
                assert [status.Status for status, _ in assoc.send_c_get(query, STUDY + GET)] == [expected]


# ---- moves -----------------------------------------------------------------------------------------------


def _moved(node: Served, destination: str, query: Dataset) -> Dataset:
    ae = pynetdicom.AE()
    ae.add_requested_context(STUDY + MOVE)
    assoc = ae.associate(*node.address)
    try:
        statuses = [status for status, _ in assoc.send_c_move(query, destination, STUDY + MOVE)]
    finally:
        assoc.release()
    return statuses[-1]


def test_moves_go_where_the_configuration_says(tmp_path: Path, free_ports: Any) -> None:
    received: dict[str, tuple[str, bytes]] = {}

    def keep(event: Any) -> int:
        assert event.assoc.acceptor.ae_title == "WS1"
        originator = event.request.MoveOriginatorApplicationEntityTitle
        received[event.request.AffectedSOPInstanceUID] = (
            originator,
            event.encoded_dataset(include_meta=False),
        )
        return 0

    receiver = AE("WS1")
    server = receiver.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)], storage="any",
        contexts=contexts("dulcimer", CT_IMAGE, EXPLICIT),
    )  # fmt: skip
    port = server.server_address[1]
    nobody = free_ports()
    options = ["--move", f"WS1=127.0.0.1:{port}", "--move", f"GONE=127.0.0.1:{nobody}"]
    try:
        with Served(tmp_path / "data", "--durability", "off", *options) as node:
            files = [
                path for path in shipped() if path.name in {"CT_small.dcm", "JPEG2000.dcm", "MR_small.dcm"}
            ]
            studies = []
            for path in files:
                assert store(node, path) == 0
                studies.append(dcmread(path, stop_before_pixels=True).StudyInstanceUID)
            query = identifier("STUDY", StudyInstanceUID=studies)
            status = _moved(node, "WS1", query)
            assert (status.Status, status.NumberOfCompletedSuboperations) == (0, 3)
            assert {content for _, content in received.values()} == {
                data_set_of(path.read_bytes()) for path in files
            }
            assert {title for title, _ in received.values()} == {"PYNETDICOM"}
            assert _moved(node, "NOWHERE", query).Status == 0xA801
            assert _moved(node, "GONE", query).Status == 0xA801
            nothing = _moved(node, "WS1", identifier("STUDY", StudyInstanceUID="2.25.4711"))
            assert (nothing.Status, nothing.NumberOfCompletedSuboperations) == (0, 0)
    finally:
        server.shutdown()


def _self_signed(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1; the file holds its key too."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ws1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, pkcs8, plain = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = folder / "ws1.pem"
    file.write_bytes(certificate.public_bytes(pem) + key.private_bytes(pem, pkcs8, plain))
    return file


def test_a_move_destination_with_tls(tmp_path: Path) -> None:
    pem = _self_signed(tmp_path)
    received: list[str] = []

    def keep(event: Any) -> int:
        received.append(event.request.AffectedSOPInstanceUID)
        return 0

    server = AE("WS1").start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)], storage="any",
        contexts=contexts("dulcimer", CT_IMAGE, EXPLICIT), ssl_context=TLS(cert=pem).server_context(),
    )  # fmt: skip
    config = tmp_path / "node.toml"
    config.write_text(
        '[[move_destinations]]\naet = "WS1"\nhost = "127.0.0.1"\n'
        f'port = {server.server_address[1]}\nca = "{pem}"\n'
        '[[move_destinations]]\naet = "STRANGER"\nhost = "127.0.0.1"\n'
        f"port = {server.server_address[1]}\ntls = true\n"
    )
    try:
        with Served(tmp_path / "data", "--durability", "off", "--config", str(config)) as node:
            store_all(node, [Dataset()], tmp_path)
            query = identifier("STUDY", StudyInstanceUID="2.25.10")
            assert _moved(node, "WS1", query).Status == 0x0000
            assert received == ["2.25.90"]
            # Nobody vouches for it.
            assert _moved(node, "STRANGER", query).Status == 0xA801
    finally:
        server.shutdown()


@pytest.fixture
def free_ports() -> Any:
    import socket

    def port() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return port


# ---- many matches ----------------------------------------------------------------------------------------


def fill(data: Path, count: int) -> None:
    """Make the index of a node that holds a study for each of so many patients."""
    data.mkdir(parents=True)
    database = Database(data / "index.sqlite", "OFF")
    numbers = range(count)
    with database.write() as connection:
        connection.execute(
            text("INSERT INTO patients (patient_id, issuer_of_patient_id, nameless_as) VALUES (:p, '', '')"),
            [{"p": f"P{number}"} for number in numbers],
        )
        connection.execute(
            text(
                "INSERT INTO studies (study_instance_uid, patient_id, study_date) VALUES (:s, :p, '20260101')"
            ),
            [{"s": f"2.25.{number}", "p": f"P{number}"} for number in numbers],
        )
        connection.execute(
            text("INSERT INTO series (study_instance_uid, series_instance_uid) VALUES (:s, :s || '.1')"),
            [{"s": f"2.25.{number}"} for number in numbers],
        )
        connection.execute(
            text(
                "INSERT INTO instances (sop_instance_uid, study_instance_uid, series_instance_uid, size, "
                "indexed_by) VALUES (:s || '.1.1', :s, :s || '.1', 0, 2)"
            ),
            [{"s": f"2.25.{number}"} for number in numbers],
        )
    database.close()


def test_ten_thousand_matches_and_a_cancel(tmp_path: Path) -> None:
    fill(tmp_path / "data", 10_000)
    with Served(tmp_path / "data", "--durability", "off") as node:
        ae = AE()
        ae.add_requested_context(STUDY + FIND)
        with ae.associate(*node.address) as assoc:
            query = identifier("STUDY", StudyDate="20260101", PatientID="", NumberOfStudyRelatedInstances="")
            list(assoc.send_c_find(query, STUDY + FIND))
            before = node.resident_kb()
            uids = {
                match.StudyInstanceUID
                for _, match in assoc.send_c_find(query, STUDY + FIND)
                if match is not None
            }
            assert len(uids) == 10_000
            assert node.resident_kb() - before < 4096

            statuses = []
            for count, (status, _) in enumerate(assoc.send_c_find(query, STUDY + FIND, msg_id=7)):
                statuses.append(status.Status)
                if count == 10:
                    assoc.send_c_cancel(7, query_model=STUDY + FIND)
            assert statuses[-1] == 0xFE00
            assert len(statuses) < 10_000
            # Nothing is left behind.
            assert len(matches(assoc, "STUDY", StudyInstanceUID="2.25.1")) == 1


def test_the_limit_is_told(tmp_path: Path) -> None:
    fill(tmp_path / "data", 20)
    with Served(tmp_path / "data", "--durability", "off", "--query-limit", "10") as node:
        ae = AE()
        ae.add_requested_context(STUDY + FIND)
        with ae.associate(*node.address) as assoc:
            statuses = [status.Status for status, _ in assoc.send_c_find(identifier("STUDY"), STUDY + FIND)]
            assert statuses == [0xFF00] * 10 + [0xB001]
            query = identifier("STUDY", StudyInstanceUID=[f"2.25.{number}" for number in range(10)])
            statuses = [status.Status for status, _ in assoc.send_c_find(query, STUDY + FIND)]
            assert statuses == [0xFF00] * 10 + [0x0000]


def test_what_is_stored_is_found_at_once(node: Served, tmp_path: Path) -> None:
    ae = AE()
    ae.add_requested_context(STUDY + FIND)
    with ae.associate(*node.address) as assoc:
        for number in range(10):
            stored = Dataset()
            stored.StudyInstanceUID = f"2.25.7{number}"
            stored.SOPInstanceUID = f"2.25.7{number}.1.1"
            store_all(node, [stored], tmp_path)
            assert len(matches(assoc, "STUDY", StudyInstanceUID=stored.StudyInstanceUID)) == 1


def test_unsupported_keys_are_told_and_left_out(node: Served, tmp_path: Path) -> None:
    store_all(node, [Dataset()], tmp_path)
    ae = AE()
    ae.add_requested_context(STUDY + FIND)
    with ae.associate(*node.address) as assoc:
        query = identifier("STUDY", StudyDescription="", InterpretationText="")
        (status, match), _ = assoc.send_c_find(query, STUDY + FIND)
    assert status.Status == 0xFF01
    assert "InterpretationText" not in match
    assert match.StudyDescription == ""
    assert match.RetrieveAETitle == "DULCIMER"


@pytest.mark.parametrize(("option", "count"), [("exact", 0), ("insensitive", 1)])
def test_names_without_regard_to_case(option: str, count: int, tmp_path: Path) -> None:
    with Served(tmp_path / "data", "--durability", "off", "--match-names", option) as node:
        stored = Dataset()
        stored.SpecificCharacterSet = "ISO_IR 192"
        stored.PatientName = "MÜLLER^Jürgen"
        store_all(node, [stored], tmp_path)
        ae = AE()
        ae.add_requested_context(STUDY + FIND)
        with ae.associate(*node.address) as assoc:
            assert len(matches(assoc, "STUDY", PatientName="muller^J*")) == count


def test_extended_negotiation(node: Served, tmp_path: Path) -> None:
    evening, morning = Dataset(), Dataset()
    evening.StudyDate, evening.StudyTime = "20260101", "200000"
    morning.StudyDate, morning.StudyTime = "20260102", "080000"
    for dataset in (evening, morning):
        dataset.Modality = "CT"
    store_all(node, [evening, morning], tmp_path)
    ae = pynetdicom.AE()
    ae.add_requested_context(STUDY + FIND)
    item = pynetdicom.pdu_primitives.SOPClassExtendedNegotiation()
    item.sop_class_uid = STUDY + FIND
    item.service_class_application_information = b"\x01\x01\x01"
    night = {"StudyDate": "20260101-20260102", "StudyTime": "1800-0900"}
    assoc = ae.associate(*node.address)
    assert matches(assoc, "STUDY", **night) == []
    assoc.release()
    assoc = ae.associate(*node.address, ext_neg=[item])
    try:
        assert assoc.acceptor.sop_class_extended == {STUDY + FIND: b"\x01\x01\x00"}
        assert len(matches(assoc, "STUDY", **night)) == 2
        assert len(matches(assoc, "SERIES", Modality="CT", SeriesInstanceUID="")) == 2
    finally:
        assoc.release()


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", EXPLICIT, "1.2.840.10008.1.2.2"])
def test_sequences_in_every_transfer_syntax(syntax: str, node: Served, tmp_path: Path) -> None:
    stored = Dataset()
    stored.SpecificCharacterSet = "ISO_IR 100"
    stored.PatientName = "Müller"
    stored.OtherPatientIDs = ["A", "B"]
    stored.RequestAttributesSequence = [Dataset(), Dataset()]
    for item, number, what in zip(stored.RequestAttributesSequence, "12", ("Schädel", "Thorax"), strict=True):
        item.RequestedProcedureID = f"R{number}"
        item.ScheduledProcedureStepID = f"S{number}"
        item.RequestedProcedureDescription = what
    store_all(node, [stored], tmp_path)

    def key(requested: str, step: str) -> list[Dataset]:
        item = Dataset()
        item.RequestedProcedureID = requested
        item.ScheduledProcedureStepID = step
        item.RequestedProcedureDescription = ""
        return [item]

    ae = pynetdicom.AE()
    assoc = ae.associate(*node.address, contexts=contexts("pynetdicom", STUDY + FIND, syntax))
    assert assoc.is_established
    series = {"StudyInstanceUID": stored.StudyInstanceUID, "SeriesInstanceUID": ""}
    try:
        (match,) = matches(
            assoc, "SERIES", **series, SpecificCharacterSet="ISO_IR 100", PatientName="", OtherPatientIDs="B",
            NumberOfSeriesRelatedInstances="", RequestAttributesSequence=key("R?", "S2"),
        )  # fmt: skip
        assert matches(assoc, "SERIES", **series, RequestAttributesSequence=key("R1", "S2")) == []
        (bare,) = matches(assoc, "SERIES", **series, RequestAttributesSequence=[])
        # Keys of a level below are ignored as long as nothing is to be matched.
        (study,) = matches(assoc, "STUDY", RequestAttributesSequence=key("", ""), SeriesInstanceUID="")
    finally:
        assoc.release()
    assert str(match.PatientName) == "Müller"
    assert list(match.OtherPatientIDs) == ["A", "B"]
    assert match.NumberOfSeriesRelatedInstances == 1
    items = match.RequestAttributesSequence
    assert [item.RequestedProcedureDescription for item in items] == ["Schädel", "Thorax"]
    assert [set(item.dir()) for item in items] == [set(key("", "")[0].dir())] * 2
    assert [item.ScheduledProcedureStepID for item in bare.RequestAttributesSequence] == ["S1", "S2"]
    assert "RequestAttributesSequence" not in study


# ---- DCMTK -----------------------------------------------------------------------------------------------


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=40,
        check=True,
        errors="replace",
    )
    return done.stdout + done.stderr


@pytest.mark.interop
def test_dcmtk_finds_gets_and_moves(real: tuple[Served, list[Path]], tmp_path: Path) -> None:
    node, files = real
    (path,) = [path for path in files if path.name == "CT_small.dcm"]
    stored = dcmread(path)
    peer = (node.host, node.port)
    key = f"StudyInstanceUID={stored.StudyInstanceUID}"
    out = run(
        "findscu", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", key, "-k", "PatientName", *peer, cwd=tmp_path
    )
    assert str(stored.PatientName) in out
    run(
        "findscu", "-P", "-X", "-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=1CT*", *peer, cwd=tmp_path
    )
    assert [dcmread(found, force=True).PatientID for found in tmp_path.glob("rsp*.dcm")] == [stored.PatientID]
    got = tmp_path / "got"
    got.mkdir()
    run(
        "getscu", "-S", "-od", got, "-k", "QueryRetrieveLevel=STUDY", "-k", key, *peer, cwd=tmp_path
    )  # fmt: skip
    (file,) = got.iterdir()
    assert dcmread(file).PixelData == stored.PixelData


@pytest.mark.interop
def test_dcmtk_moves(tmp_path: Path, free_ports: Any) -> None:
    port = free_ports()
    moved = tmp_path / "moved"
    moved.mkdir()
    with Served(tmp_path / "data", "--durability", "off", "--move", f"MOVESCU=127.0.0.1:{port}") as node:
        (path,) = [path for path in shipped() if path.name == "CT_small.dcm"]
        stored = dcmread(path)
        assert store(node, path) == 0
        run(
            "movescu", "-S", "-aet", "MOVESCU", "--port", port, "-od", moved,
            "-k", "QueryRetrieveLevel=SERIES", "-k", f"StudyInstanceUID={stored.StudyInstanceUID}",
            "-k", f"SeriesInstanceUID={stored.SeriesInstanceUID}", node.host, node.port, cwd=tmp_path,
        )  # fmt: skip
        node.wait_for_log("1 retrieval, 1 given")
    (file,) = moved.iterdir()
    assert dcmread(file, force=True).PixelData == stored.PixelData


def test_an_association_that_ends_amid_a_query_leaves_nothing(tmp_path: Path) -> None:
    fill(tmp_path / "data", 10_000)
    with Served(tmp_path / "data", "--durability", "off") as node:
        ae = AE()
        ae.add_requested_context(STUDY + FIND)
        assoc = ae.associate(*node.address)
        found = assoc.send_c_find(identifier("STUDY"), STUDY + FIND)
        next(iter(found))
        assoc.abort()
        node.wait_for_log("1 query")
        with ae.associate(*node.address) as again:
            assert len(matches(again, "STUDY", StudyInstanceUID="2.25.5")) == 1
