"""Against DCMTK in both roles, with every DICOM file that pydicom ships.

storescu decodes a data set and encodes it again before it sends it, so what arrives is not always what lies
in the file (lengths of sequences become undefined, retired group lengths go). What it sends is known from a
``storescp --bit-preserving`` that got the same files from the same storescu, and that is what our node has to
have, byte for byte. Where DCMTK is the receiver, what arrives has to be the file.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dulcimer.cli.scan import Sendable, Skipped, look_at
from interop import dcmtk
from node.objects import SECONDARY_CAPTURE, data_set_of, file_of, instance
from node.served import Served, run
from support.real_files import shipped

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = [pytest.mark.interop, dcmtk.needs("storescu", "storescp", "echoscu")]

LOOKED_AT = [look_at(path) for path in shipped()]
FILES = [item for item in LOOKED_AT if isinstance(item, Sendable)]
DEFLATED = "1.2.840.10008.1.2.1.99"
PAIRS = sorted({(file.sop_class_uid, file.transfer_syntax_uid) for file in FILES})

NOT_TRANSPORTABLE = {
    # A DICOMDIR is no composite SOP instance: it is not stored over the network (PS3.4 Annex B).
    "DICOMDIR": "DICOMDIR is not sent",
    "DICOMDIR-bigEnd": "DICOMDIR is not sent",
    "DICOMDIR-empty.dcm": "DICOMDIR is not sent",
    "DICOMDIR-implicit": "DICOMDIR is not sent",
    "DICOMDIR-nooffset": "DICOMDIR is not sent",
    "DICOMDIR-nopatient": "DICOMDIR is not sent",
    "DICOMDIR-reordered": "DICOMDIR is not sent",
    "README": "no DICOM file",
    # Neither the header nor the data set says which instance of which class it is.
    "empty_charset_LEI.dcm": "SOP Class UID",
    "meta_missing_tsyntax.dcm": "SOP Class UID",
    "nested_priv_SQ.dcm": "SOP Class UID",
    "no_meta.dcm": "no DICOM file",
}

NOT_SENT_BY_DCMTK = {
    # storescu takes the UIDs from the data set, and these have none there.
    "chrSQEncoding.dcm": "No SOP Class or Instance UID in file",
    "chrSQEncoding1.dcm": "No SOP Class or Instance UID in file",
    "UN_sequence.dcm": "No SOP Class or Instance UID in file",
    "no_meta_group_length.dcm": "No SOP Class or Instance UID in file",
    "priv_SQ.dcm": "No SOP Class or Instance UID in file",
    "rtdose_rle.dcm": "No SOP Class or Instance UID in file",
    "rtdose_rle_1frame.dcm": "No SOP Class or Instance UID in file",
    # Cut off within an element, or with one whose value representation does not exist.
    "MR_truncated.dcm": "Bad DICOM file",
    "SC_rgb_jpeg.dcm": "Bad DICOM file",
    "rtplan_truncated.dcm": "Bad DICOM file",
}
"""What storescu does not send, and what it says about it; :func:`test_storescu_to_serve` holds both to be
true of the installed DCMTK."""

NOT_TAKEN_BY_DCMTK = {
    # Cut off in the middle of a value: there is no right way to send an odd number of bytes (PS3.8 Annex E).
    "rtplan_truncated.dcm": "Odd Fragment Length",
}
"""What storescp aborts the association for, and what it says about it."""

EXIT_OK = 0


def data_set(file: Sendable) -> bytes:
    """The bytes that lie in the file."""
    content = file.path.read_bytes()
    return content[len(content) - file.size :]


def to_be_sent(file: Sendable) -> bytes:
    """The bytes that have to travel: a deflated data set is made even (PS3.5 A.5)."""
    data = data_set(file)
    return data + b"\0" if len(data) % 2 and file.transfer_syntax_uid == DEFLATED else data


def data_sets(paths: Iterable[Path]) -> Counter[bytes]:
    return Counter(data_set_of(path.read_bytes()) for path in paths)


def names_of(missing: Iterable[bytes]) -> list[str]:
    """Tell a person which files the bytes belong to."""
    missing = set(missing)
    return sorted(file.path.name for file in FILES if to_be_sent(file) in missing)


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "storescu.cfg"
    path.write_text(dcmtk.scu_profile(PAIRS))
    return path


@pytest.fixture
def scp_options(tmp_path: Path) -> list[str]:
    path = tmp_path / "storescp.cfg"
    path.write_text(dcmtk.scp_profile(PAIRS))
    return ["--config-file", str(path), "All"]


def storescu(profile: Path, port: int, files: Iterable[Sendable], *, nagle: bool = True) -> dict[str, str]:
    """Send files with storescu; returns what it said of each."""
    paths = [str(file.path) for file in files]
    done = dcmtk.run(
        "storescu", "-v", "--no-halt", "-xf", str(profile), "All", "-aec", "DULCIMER",
        "127.0.0.1", str(port), *paths, nagle=nagle,
    )  # fmt: skip
    said: dict[str, str] = {}
    for part in re.split(r"^I: Sending file: ", done.stdout, flags=re.MULTILINE)[1:]:
        path, _, rest = part.partition("\n")
        said[path] = rest
    assert list(said) == paths, done.stdout[-2000:]
    return said


def test_what_cannot_be_sent_is_known() -> None:
    skipped = {item.path.name: item.reason for item in LOOKED_AT if isinstance(item, Skipped)}
    assert skipped.keys() == NOT_TRANSPORTABLE.keys()
    for name, words in NOT_TRANSPORTABLE.items():
        assert words in skipped[name], name
    assert len(FILES) >= 180


def test_storescu_to_serve(tmp_path: Path, profile: Path, scp_options: list[str]) -> None:
    with dcmtk.StoreSCP(tmp_path, *scp_options) as reference:
        # Without NODELAY the two wait for each other, 88 ms an object.
        said = storescu(profile, reference.port, FILES, nagle=False)
    # The list above is true, and no longer than it has to be.
    for file in FILES:
        words = said[str(file.path)]
        if (reason := NOT_SENT_BY_DCMTK.get(file.path.name)) is not None:
            assert reason in words, file.path.name
        else:
            assert "Received Store Response (Success)" in words, (file.path.name, words)
    sent = [file for file in FILES if file.path.name not in NOT_SENT_BY_DCMTK]
    wanted = data_sets(reference.received())
    assert wanted.total() == len(sent)
    # Most files leave storescu as they are: the reference is not a world of its own.
    assert sum(data_set(file) in wanted for file in sent) > len(sent) * 2 / 3

    with Served(tmp_path / "data") as node:
        said = storescu(profile, node.port, sent)
        bad = {path: words for path, words in said.items() if "Response (Success)" not in words}
        assert not bad
        others = [file for file in FILES if file.path.name in NOT_SENT_BY_DCMTK]
        done = run("store", node.peer, *(str(file.path) for file in others), "--json")
        assert done.code == EXIT_OK, done
        assert json.loads(done.out)["sent"] == len(others)
        wanted += Counter(map(to_be_sent, others))
        # A UID that comes again with the same bytes is one object, so the count is not compared.
        assert data_sets(node.objects()).keys() == wanted.keys()
        _matches_the_index(node)
        assert node.stop() == EXIT_OK


def _matches_the_index(node: Served) -> None:
    with closing(sqlite3.connect(node.data / "index.sqlite")) as connection:
        paths = {
            path
            for table in ("instances", "versions")
            for (path,) in connection.execute(f"SELECT path FROM {table}").fetchall()
        }
        found = connection.execute(
            "SELECT sop_instance_uid, sop_class_uid, transfer_syntax_uid FROM instances"
        ).fetchall()
    assert {str(path.relative_to(node.data / "objects")) for path in node.objects()} == paths
    assert {uid for uid, _, _ in found} == {file.sop_instance_uid for file in FILES}
    assert {(sop_class, syntax) for _, sop_class, syntax in found} <= set(PAIRS)


def test_store_to_storescp(tmp_path: Path, scp_options: list[str]) -> None:
    with dcmtk.StoreSCP(tmp_path, *scp_options) as scp:
        done = run("store", f"127.0.0.1:{scp.port}", *(str(file.path) for file in FILES), "--json")
        assert done.code == 1, done
        report = json.loads(done.out)
        # One of them costs the association; the others go on another one.
        assert {Path(item["file"]).name for item in report["failed"]} == NOT_TAKEN_BY_DCMTK.keys()
        assert all(words in scp.log for words in NOT_TAKEN_BY_DCMTK.values())
        assert report["associations"] == 1 + len(NOT_TAKEN_BY_DCMTK)
        assert (report["sent"], report["warnings"]) == (len(FILES) - len(NOT_TAKEN_BY_DCMTK), [])
        got = data_sets(scp.received())
    wanted = Counter(to_be_sent(file) for file in FILES if file.path.name not in NOT_TAKEN_BY_DCMTK)
    assert not names_of(wanted - got)
    assert got == wanted


def test_store_to_serve(tmp_path: Path) -> None:
    """The same files with our own program on both sides."""
    with Served(tmp_path / "data") as node:
        done = run("store", node.peer, *(str(file.path) for file in FILES), "--json")
        assert done.code == EXIT_OK, done
        assert data_sets(node.objects()).keys() == set(map(to_be_sent, FILES))
        _matches_the_index(node)


def test_store_to_a_storescp_that_accepts_all_it_knows(tmp_path: Path) -> None:
    """No configuration: ``storescp +xa``, as people run it."""
    files = [
        file
        for file in FILES
        if file.path.parent.name == "test_files" and file.path.name not in NOT_TAKEN_BY_DCMTK
    ]
    with dcmtk.StoreSCP(tmp_path, "--accept-all") as scp:
        done = run("store", f"127.0.0.1:{scp.port}", *(str(file.path) for file in files), "--json")
        assert done.code == EXIT_OK, done
        assert data_sets(scp.received()) == Counter(map(to_be_sent, files))


def test_a_peer_that_wants_it_uncompressed_gets_what_can_be_converted(tmp_path: Path) -> None:
    """``storescp +xi`` accepts Implicit VR Little Endian alone: compressed files fail, and are named."""
    names = {"MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "JPEG2000.dcm"}
    files = [file for file in FILES if file.path.name in names]
    with dcmtk.StoreSCP(tmp_path, "--implicit") as scp:
        done = run("store", f"127.0.0.1:{scp.port}", *(str(file.path) for file in files), "--json")
        assert done.code == 1, done
        report = json.loads(done.out)
        assert report["sent"] == 3
        (failed,) = report["failed"]
        assert failed["file"].endswith("JPEG2000.dcm")
        assert "1.2.840.10008.1.2.4.91" in failed["reason"]
        from pydicom import dcmread

        pixels = {dcmread(path).pixel_array.tobytes() for path in scp.received()}
    assert pixels == {dcmread(files[0].path.with_name("MR_small.dcm")).pixel_array.tobytes()}


# -- Others of DCMTK's programs


def test_echoscu_to_serve(tmp_path: Path) -> None:
    with Served(tmp_path / "data") as node:
        done = dcmtk.run("echoscu", "-v", "--repeat", "5", "-aec", node.aet, "127.0.0.1", str(node.port))
        assert done.returncode == 0, done.stdout
        assert done.stdout.count("Received Echo Response (Success)") == 5
        assert "ECHOSCU@127.0.0.1" in node.wait_for_log("5 echoed")


def test_echoscu_that_proposes_everything_128_times(tmp_path: Path) -> None:
    with Served(tmp_path / "data") as node:
        done = dcmtk.run(
            "echoscu", "-v", "-pts", "38", "-ppc", "128", "127.0.0.1", str(node.port)
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


def test_echoscu_that_aborts_instead_of_releasing(tmp_path: Path) -> None:
    with Served(tmp_path / "data") as node:
        done = dcmtk.run("echoscu", "--abort", "127.0.0.1", str(node.port))
        assert done.returncode == 0, done.stdout
        line = node.wait_for_log("1 echoed")
        assert "abort" in line.lower()
        assert dcmtk.run("echoscu", "127.0.0.1", str(node.port)).returncode == 0


def test_echoscu_that_is_not_allowed(tmp_path: Path) -> None:
    with Served(tmp_path / "data", "--allow", "CT1") as node:
        done = dcmtk.run("echoscu", "127.0.0.1", str(node.port))
        assert done.returncode != 0
        assert "Calling AE Title Not Recognized" in done.stdout
        assert dcmtk.run("echoscu", "-aet", "CT1", "127.0.0.1", str(node.port)).returncode == 0


def test_echo_to_storescp(tmp_path: Path) -> None:
    with dcmtk.StoreSCP(tmp_path) as scp:
        done = run("echo", f"127.0.0.1:{scp.port}", "--count", "3", "--json")
        assert done.code == EXIT_OK, done
        assert json.loads(done.out)["answered"] == 3


def test_a_storescp_that_refuses(tmp_path: Path) -> None:
    with dcmtk.StoreSCP(tmp_path, "--refuse") as scp:
        done = run("echo", f"127.0.0.1:{scp.port}")
        assert (done.code, done.out) == (3, ""), done
        assert "reject" in done.err.lower()


@pytest.mark.parametrize("moment", ["--abort-after", "--abort-during"])
def test_a_storescp_that_aborts(tmp_path: Path, moment: str) -> None:
    (tmp_path / "one.dcm").write_bytes(file_of(instance(pixels=bytes(200_000)), "2.25.1"))
    with dcmtk.StoreSCP(tmp_path, moment) as scp:
        done = run("store", f"127.0.0.1:{scp.port}", str(tmp_path / "one.dcm"), "--json")
        assert done.code in {1, 3}, done
        (failed,) = json.loads(done.out)["failed"]
        assert "abort" in failed["reason"].lower()


@pytest.mark.parametrize("options", [["-pdu", "4096"], ["--max-send-pdu", "4096"], ["-pdu", "131072"]])
def test_storescu_with_pdus_of_other_lengths(tmp_path: Path, options: list[str]) -> None:
    data = instance("2.25.1", pixels=bytes(range(256)) * 2000)
    (tmp_path / "one.dcm").write_bytes(file_of(data, "2.25.1"))
    with Served(tmp_path / "data", "--max-pdu", "0") as node:
        done = dcmtk.run("storescu", *options, "127.0.0.1", str(node.port), str(tmp_path / "one.dcm"))
        assert done.returncode == 0, done.stdout
        assert [data_set_of(path.read_bytes()) for path in node.objects()] == [data]


def test_storescu_with_a_user_name(tmp_path: Path) -> None:
    """User identity negotiation that nobody asked for is no reason to refuse."""
    (tmp_path / "one.dcm").write_bytes(file_of(instance(), "2.25.1", sop_class=SECONDARY_CAPTURE))
    with Served(tmp_path / "data") as node:
        done = dcmtk.run(
            "storescu", "-usr", "somebody", "-pwd", "secret", "127.0.0.1", str(node.port),
            str(tmp_path / "one.dcm"),
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        assert len(node.objects()) == 1
        node.wait_for_log("1 stored")
        assert "secret" not in node.log


def test_a_whole_folder_as_people_send_it(tmp_path: Path) -> None:
    """``storescu +sd +r FOLDER`` without a configuration, then ``dulcimer list``."""
    folder = next(file.path for file in FILES if file.path.name == "6154").parents[2]
    with Served(tmp_path / "data") as node:
        done = dcmtk.run("storescu", "+sd", "+r", "-nh", "127.0.0.1", str(node.port), str(folder))
        assert done.returncode == 0, done.stdout
        sent = [file for file in FILES if folder in file.path.parents]
        listed = json.loads(run("list", "studies", "--data", str(node.data), "--json").out)
        assert sum(study["instances"] for study in listed) == len({file.sop_instance_uid for file in sent})
