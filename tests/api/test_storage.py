"""C-STORE over real associations (PS3.7 9.1.1, PS3.4 Annex B)."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import tracemalloc
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset

from api.peers import EXPLICIT, IMPLICIT, PATIENCE, Network, message
from dulcimer import build_context, evt
from dulcimer.data import part10
from dulcimer.errors import NoPresentationContext, Refused
from dulcimer.failure import FailureKind
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse.messages import C_STORE_RQ
from dulcimer.sop_class import CTImageStorage, MRImageStorage, SecondaryCaptureImageStorage, Verification

BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
INSTANCE = "1.2.3.4"


def shipped(name: str) -> Path:
    return Path(str(get_testdata_file(name, download=False)))


CT_EXPLICIT = shipped("CT_small.dcm")
MR_IMPLICIT = shipped("MR_small_implicit.dcm")
MR_BIG_ENDIAN = shipped("MR_small_bigendian.dcm")
SC_JPEG = shipped("SC_rgb_jpeg_dcmtk.dcm")


def small(syntax: str = EXPLICIT) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = INSTANCE
    dataset.PatientName = "Doe^Jane"
    dataset.Rows = 7
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def body(path: Path) -> bytes:
    """Return the bytes of the data set of a file."""
    return path.read_bytes()[part10.scan(path).data_offset :]


class Kept:
    """A handler for C-STORE that keeps what the event says."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, event: evt.Event) -> int:
        self.events.append(
            {
                "dataset": event.dataset,
                "bytes": event.encoded_dataset(include_meta=False),
                "file": event.encoded_dataset(),
                "meta": event.file_meta,
                "syntax": event.context.transfer_syntax,
                "request": event.request,
                "peer": event.assoc.requestor.ae_title,
            }
        )
        return 0x0000


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def store(net: Network) -> Callable[..., Any]:
    """Send something to handlers over a context; the association has to live on."""

    def run(what: Any, contexts: list[Any], *handlers: tuple[Any, ...], **settings: Any) -> Dataset:
        server = net.serve(handlers, [*contexts, Verification])
        assoc = net.associate(server, [*contexts, Verification])
        status: Dataset = assoc.send_c_store(what, **settings)
        assert assoc.is_established
        assert assoc.send_c_echo().Status == 0x0000
        return status

    return run


# -- What the handler sees


def test_a_dataset_arrives(store: Any, kept: Kept) -> None:
    assert store(small(), [build_context(CTImageStorage, EXPLICIT)], (evt.EVT_C_STORE, kept)).Status == 0x0000
    (event,) = kept.events
    assert event["dataset"].PatientName == "Doe^Jane"
    assert event["dataset"].Rows == 7
    assert event["syntax"] == EXPLICIT
    assert event["peer"] == "CLIENT"
    request = event["request"]
    assert (request.AffectedSOPClassUID, request.AffectedSOPInstanceUID) == (CTImageStorage, INSTANCE)
    assert request.Priority == 2


def test_message_id_priority_and_originator_travel(store: Any, kept: Kept) -> None:
    context = build_context(CTImageStorage, EXPLICIT)
    more = {"msg_id": 99, "priority": 1, "originator_aet": "ORIGIN", "originator_id": 7}
    assert store(small(), [context], (evt.EVT_C_STORE, kept), **more).Status == 0x0000
    request = kept.events[0]["request"]
    assert (request.MessageID, request.Priority) == (99, 1)
    assert request.MoveOriginatorApplicationEntityTitle == "ORIGIN"
    assert request.MoveOriginatorMessageID == 7


def test_the_file_that_the_event_gives_is_one(store: Any, kept: Kept) -> None:
    store(CT_EXPLICIT, [build_context(CTImageStorage, EXPLICIT)], (evt.EVT_C_STORE, kept))
    (event,) = kept.events
    original = dcmread(CT_EXPLICIT)
    read = dcmread(BytesIO(event["file"]))
    assert read == original
    for meta in (read.file_meta, event["meta"]):
        assert meta.MediaStorageSOPClassUID == CTImageStorage
        assert meta.MediaStorageSOPInstanceUID == original.SOPInstanceUID
        assert meta.TransferSyntaxUID == EXPLICIT
    assert event["file"].endswith(event["bytes"])
    assert event["bytes"] == body(CT_EXPLICIT)


def test_what_comes_from_a_file_is_sent_byte_by_byte(store: Any, kept: Kept) -> None:
    context = build_context(SecondaryCaptureImageStorage, JPEG_BASELINE)
    assert store(str(SC_JPEG), [context], (evt.EVT_C_STORE, kept)).Status == 0x0000
    assert kept.events[0]["bytes"] == body(SC_JPEG)
    assert kept.events[0]["syntax"] == JPEG_BASELINE


@pytest.mark.parametrize("kind", [Path, str, dcmread])
@pytest.mark.parametrize(
    ("path", "to"),
    [
        (CT_EXPLICIT, IMPLICIT),
        (CT_EXPLICIT, DEFLATED),
        (CT_EXPLICIT, EXPLICIT),
        (MR_IMPLICIT, EXPLICIT),
        (MR_IMPLICIT, IMPLICIT),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_conversion_to_what_was_accepted(
    store: Any, kept: Kept, kind: Callable[[Path], Any], path: Path, to: str
) -> None:
    original = dcmread(path)
    context = build_context(original.SOPClassUID, to)
    assert store(kind(path), [context], (evt.EVT_C_STORE, kept)).Status == 0x0000
    (event,) = kept.events
    assert event["syntax"] == to
    assert dcmread(BytesIO(event["file"])).PixelData == original.PixelData
    assert event["dataset"] == original


def test_the_exact_context_is_preferred(net: Network, kept: Kept) -> None:
    server = net.serve([(evt.EVT_C_STORE, kept)], [build_context(CTImageStorage, [IMPLICIT, EXPLICIT])])
    proposed = [build_context(CTImageStorage, IMPLICIT), build_context(CTImageStorage, EXPLICIT)]
    assert net.associate(server, proposed).send_c_store(CT_EXPLICIT).Status == 0x0000
    assert kept.events[0]["syntax"] == EXPLICIT


def test_an_encapsulated_file_needs_its_own_transfer_syntax(net: Network) -> None:
    contexts = [build_context(SecondaryCaptureImageStorage, [IMPLICIT, EXPLICIT])]
    assoc = net.associate(net.serve(contexts=contexts), contexts)
    with pytest.raises(ValueError, match="JPEG Baseline") as raised:
        assoc.send_c_store(SC_JPEG)
    assert isinstance(raised.value, NoPresentationContext)
    text = str(raised.value)
    assert text.startswith(
        "No presentation context for 'Secondary Capture Image Storage' has been accepted by the peer "
        "with 'JPEG Baseline (Process 1)' transfer syntax for the SCU role"
    )
    assert "accepted with 'Implicit VR Little Endian" in text
    assert assoc.is_established


@pytest.mark.parametrize("to", [IMPLICIT, EXPLICIT])
def test_big_endian_is_not_converted(net: Network, to: str) -> None:
    contexts = [build_context(MRImageStorage, to)]
    assoc = net.associate(net.serve(contexts=contexts), contexts)
    with pytest.raises(ValueError, match="Explicit VR Big Endian"):
        assoc.send_c_store(MR_BIG_ENDIAN)


def test_big_endian_as_it_is(store: Any, kept: Kept) -> None:
    store(MR_BIG_ENDIAN, [build_context(MRImageStorage, BIG_ENDIAN)], (evt.EVT_C_STORE, kept))
    assert kept.events[0]["bytes"] == body(MR_BIG_ENDIAN)


def test_what_was_not_proposed_says_what_to_add(net: Network) -> None:
    assoc = net.associate(net.serve(contexts=[MRImageStorage]), [MRImageStorage])
    with pytest.raises(ValueError, match=r"not proposed; add it with ae\.add_requested_context"):
        assoc.send_c_store(CT_EXPLICIT)


# -- What cannot be sent


@pytest.mark.parametrize("missing", ["SOPClassUID", "SOPInstanceUID"])
def test_a_dataset_without_its_uids(net: Network, missing: str) -> None:
    assoc = net.associate(net.serve(contexts=[CTImageStorage]), [CTImageStorage])
    dataset = small()
    del dataset[missing]
    with pytest.raises(AttributeError, match=missing):
        assoc.send_c_store(dataset)
    assert assoc.is_established


def test_a_dataset_without_a_transfer_syntax(net: Network) -> None:
    assoc = net.associate(net.serve(contexts=[CTImageStorage]), [CTImageStorage])
    dataset = small()
    del dataset.file_meta
    with pytest.raises(AttributeError, match="ransfer"):
        assoc.send_c_store(dataset)


def test_a_dataset_that_cannot_be_encoded(net: Network) -> None:
    assoc = net.associate(net.serve(contexts=[CTImageStorage]), [CTImageStorage])
    dataset = small()
    dataset["Rows"].value = 1 << 20
    with pytest.raises(ValueError, match="encode"):
        assoc.send_c_store(dataset)
    assert assoc.is_established


def test_a_file_that_is_not_dicom(net: Network, tmp_path: Path) -> None:
    assoc = net.associate(net.serve(contexts=[CTImageStorage]), [CTImageStorage])
    path = tmp_path / "notes.txt"
    path.write_text("not a DICOM file" * 100)
    with pytest.raises(AttributeError, match=r"notes\.txt.*no DICOM file"):
        assoc.send_c_store(path)
    assert assoc.is_established


def test_a_file_that_is_not_there(net: Network, tmp_path: Path) -> None:
    assoc = net.associate(net.serve(contexts=[CTImageStorage]), [CTImageStorage])
    with pytest.raises(FileNotFoundError):
        assoc.send_c_store(tmp_path / "absent.dcm")
    assert assoc.is_established


def test_without_an_association(net: Network) -> None:
    assoc = net.associate(net.serve(contexts=[CTImageStorage]), [CTImageStorage])
    assoc.release()
    with pytest.raises(RuntimeError, match="established"):
        assoc.send_c_store(small())


# -- Statuses


@pytest.mark.parametrize("code", [0x0000, 0xA700, 0xA9FF, 0xB000, 0xB007, 0xC123, 0x0117, 0x0122])
def test_the_handlers_status_travels(store: Any, code: int) -> None:
    assert store(small(), [CTImageStorage], (evt.EVT_C_STORE, lambda event: code)).Status == code


def test_the_handlers_status_elements_travel(store: Any) -> None:
    answer = Dataset()
    answer.Status = 0xB000
    answer.ErrorComment = "Coerced"
    answer.OffendingElement = [0x00100010, 0x00100020]
    status = store(small(), [CTImageStorage], (evt.EVT_C_STORE, lambda event: answer))
    assert (status.Status, status.ErrorComment) == (0xB000, "Coerced")
    assert list(status.OffendingElement) == [0x00100010, 0x00100020]


def test_refused_travels(store: Any) -> None:
    def handle(event: evt.Event) -> int:
        raise Refused(0x0124, "Not for you")

    status = store(small(), [CTImageStorage], (evt.EVT_C_STORE, handle))
    assert (status.Status, status.ErrorComment) == (0x0124, "Not for you")


def test_no_handler(store: Any) -> None:
    assert store(small(), [CTImageStorage]).Status == 0xC211


def test_a_handler_that_raises(store: Any) -> None:
    def handle(event: evt.Event) -> int:
        raise ValueError("no")

    assert store(small(), [CTImageStorage], (evt.EVT_C_STORE, handle)).Status == 0xC211


@pytest.mark.parametrize(("result", "code"), [(Dataset(), 0xC001), ("abc", 0xC002), (None, 0xC002)])
def test_a_handler_that_gives_no_status(store: Any, result: Any, code: int) -> None:
    assert store(small(), [CTImageStorage], (evt.EVT_C_STORE, lambda event: result)).Status == code


REQUEST = {
    e.AFFECTED_SOP_CLASS_UID: str(CTImageStorage),
    e.COMMAND_FIELD: C_STORE_RQ,
    e.MESSAGE_ID: 5,
    e.PRIORITY: 0,
    e.AFFECTED_SOP_INSTANCE_UID: INSTANCE,
}


def raw_store(net: Network, data: bytes, handler: Any) -> dict[int, Any]:
    """Send bytes that need be no data set."""
    peer = net.connect(net.serve([(evt.EVT_C_STORE, handler)], [CTImageStorage]))
    peer.request(CTImageStorage)
    peer.send_message(REQUEST, data)
    return peer.read_message()[0]


def test_a_dataset_that_cannot_be_decoded(net: Network) -> None:
    def handle(event: evt.Event) -> int:
        assert event.dataset.PatientID
        return 0x0000

    response = raw_store(net, b"\xff" * 9, handle)
    assert response[e.STATUS] == 0xC210
    assert response[e.AFFECTED_SOP_INSTANCE_UID] == INSTANCE


def test_what_is_not_decoded_need_not_be_decodable(net: Network) -> None:
    received: list[bytes] = []

    def handle(event: evt.Event) -> int:
        received.append(event.encoded_dataset(include_meta=False))
        return 0x0000

    assert raw_store(net, b"\xff" * 99, handle)[e.STATUS] == 0x0000
    assert received == [b"\xff" * 99]


# -- EVT_C_STORE_OPEN: where the data set goes


class Sink:
    """A sink of the user's own that fails where it is told to."""

    def __init__(self, failing: str = "", error: Exception | None = None) -> None:
        self.data = b""
        self.ended = ""
        self._failing, self._error = failing, error

    def _perhaps_fail(self, name: str) -> None:
        if name == self._failing and self._error is not None:
            raise self._error

    def write(self, data: memoryview, /) -> None:
        self._perhaps_fail("write")
        self.data += data

    def flush(self) -> None:
        self._perhaps_fail("flush")

    def close(self) -> None:
        self._perhaps_fail("close")
        self.ended += "closed"

    def abort(self) -> None:
        self.ended += "aborted"


@pytest.mark.parametrize("kind", [Path, str])
def test_a_path_gets_the_file(store: Any, kept: Kept, tmp_path: Path, kind: Callable[[Path], Any]) -> None:
    target = tmp_path / "received.dcm"
    seen: list[Any] = []

    def on_open(event: evt.Event, *args: Any) -> Any:
        seen.append((event.request.AffectedSOPInstanceUID, event.context.transfer_syntax, args))
        return kind(target)

    def on_store(event: evt.Event) -> int:
        seen.append((event.dataset_path, event.dataset_path.exists()))
        return kept(event)

    handlers = [(evt.EVT_C_STORE_OPEN, on_open, ["x"]), (evt.EVT_C_STORE, on_store)]
    context = build_context(CTImageStorage, EXPLICIT)
    assert store(CT_EXPLICIT, [context], *handlers).Status == 0x0000
    original = dcmread(CT_EXPLICIT)
    assert seen == [(original.SOPInstanceUID, EXPLICIT, ("x",)), (target, True)]
    assert list(tmp_path.iterdir()) == [target]
    assert dcmread(target) == original
    assert body(target) == body(CT_EXPLICIT)
    (event,) = kept.events
    assert event["dataset"] == original
    assert event["bytes"] == body(CT_EXPLICIT)
    assert event["file"] == target.read_bytes()
    assert dcmread(target).file_meta.TransferSyntaxUID == EXPLICIT


def test_none_keeps_it_in_memory(store: Any, kept: Kept) -> None:
    handlers = [(evt.EVT_C_STORE_OPEN, lambda event: None), (evt.EVT_C_STORE, kept)]
    assert store(small(), [CTImageStorage], *handlers).Status == 0x0000
    assert kept.events[0]["dataset"].PatientName == "Doe^Jane"


def test_a_sink_gets_the_bytes(store: Any) -> None:
    sink = Sink()
    seen: list[Any] = []

    def on_store(event: evt.Event) -> int:
        seen.append((event.sink, event.sink.ended))
        return 0x0000

    handlers = [(evt.EVT_C_STORE_OPEN, lambda event: sink), (evt.EVT_C_STORE, on_store)]
    context = build_context(CTImageStorage, EXPLICIT)
    assert store(CT_EXPLICIT, [context], *handlers).Status == 0x0000
    assert sink.data == body(CT_EXPLICIT)
    assert seen == [(sink, "closed")]
    assert sink.ended == "closed"


@pytest.mark.parametrize("failing", ["write", "flush", "close"])
def test_a_full_disk_is_out_of_resources(store: Any, failing: str) -> None:
    sink = Sink(failing, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    called: list[Any] = []
    handlers = [(evt.EVT_C_STORE_OPEN, lambda event: sink), (evt.EVT_C_STORE, called.append)]
    status = store(CT_EXPLICIT, [build_context(CTImageStorage, EXPLICIT)], *handlers)
    assert (status.Status, status.ErrorComment) == (0xA700, "No space left on device")
    assert sink.ended == "aborted"
    assert not called


def test_a_folder_that_is_not_there_is_out_of_resources(store: Any, tmp_path: Path) -> None:
    target = tmp_path / "absent" / "received.dcm"
    status = store(small(), [CTImageStorage], (evt.EVT_C_STORE_OPEN, lambda event: target))
    assert (status.Status, status.ErrorComment) == (0xA700, "No such file or directory")


def test_opening_may_refuse(store: Any) -> None:
    def on_open(event: evt.Event) -> Any:
        raise Refused(0x0117, "No valid instance")

    status = store(CT_EXPLICIT, [build_context(CTImageStorage, EXPLICIT)], (evt.EVT_C_STORE_OPEN, on_open))
    assert (status.Status, status.ErrorComment) == (0x0117, "No valid instance")


def test_opening_may_abort(net: Network) -> None:
    handlers = [(evt.EVT_C_STORE_OPEN, lambda event: event.assoc.abort())]
    assoc = net.associate(net.serve(handlers, [CTImageStorage]), [CTImageStorage])
    assert len(assoc.send_c_store(small())) == 0
    assert assoc.failure.kind is FailureKind.ABORTED


def test_half_an_object_leaves_no_file(net: Network, tmp_path: Path) -> None:
    opened, closed = threading.Event(), threading.Event()

    def on_open(event: evt.Event) -> Path:
        opened.set()
        return tmp_path / "received.dcm"

    handlers = [(evt.EVT_C_STORE_OPEN, on_open), (evt.EVT_CONN_CLOSE, lambda event: closed.set())]
    peer = net.connect(net.serve(handlers, [CTImageStorage]))
    peer.request(CTImageStorage)
    peer.send(message(REQUEST, b"x" * 200_000)[:-500])
    assert opened.wait(PATIENCE)
    peer.close()
    assert closed.wait(PATIENCE)
    assert list(tmp_path.iterdir()) == []


def test_an_object_that_no_handler_will_see_leaves_no_file(net: Network, tmp_path: Path) -> None:
    """It is complete, and with it comes an abort: its handler is called, or its file is gone."""
    seen: list[Path] = []
    closed = threading.Event()

    def on_store(event: evt.Event) -> int:
        seen.append(event.dataset_path)
        return 0x0000

    handlers = [
        (evt.EVT_C_STORE_OPEN, lambda event: tmp_path / "received.dcm"),
        (evt.EVT_C_STORE, on_store),
        (evt.EVT_CONN_CLOSE, lambda event: closed.set()),
    ]
    peer = net.connect(net.serve(handlers, [CTImageStorage]))
    peer.request(CTImageStorage)
    peer.send(message(REQUEST, b"x" * 1000) + b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00")
    assert closed.wait(PATIENCE)
    assert list(tmp_path.iterdir()) == seen


# -- Large


def test_50_megabytes_are_streamed(net: Network, tmp_path: Path) -> None:
    """Neither side keeps the object in memory."""
    size = 50_000_000
    source, target = tmp_path / "large.dcm", tmp_path / "received.dcm"
    head = part10.preamble(CTImageStorage, INSTANCE, EXPLICIT)
    element = b"\xe0\x7f\x10\x00OW\x00\x00" + size.to_bytes(4, "little")
    block = bytes(range(256)) * 4000
    with source.open("wb") as file:
        file.write(head + element)
        for _ in range(0, size, len(block)):
            file.write(block[: min(len(block), size - file.tell() + len(head) + len(element))])
    handlers = [(evt.EVT_C_STORE_OPEN, lambda event: target), (evt.EVT_C_STORE, lambda event: 0x0000)]
    context = build_context(CTImageStorage, EXPLICIT)
    assoc = net.associate(net.serve(handlers, [context]), [context])
    tracemalloc.start()
    try:
        status = assoc.send_c_store(source)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert status.Status == 0x0000
    assert peak < 5_000_000
    received, sent = hashlib.sha256(), hashlib.sha256()
    with target.open("rb") as one, source.open("rb") as other:
        one.seek(part10.scan(target).data_offset)
        other.seek(part10.scan(source).data_offset)
        while chunk := one.read(1 << 20):
            received.update(chunk)
        while chunk := other.read(1 << 20):
            sent.update(chunk)
    assert received.digest() == sent.digest()
    assert target.stat().st_size > size


@pytest.mark.parametrize("max_pdu", [0, 256, 16382, 1 << 20])
def test_every_maximum_length(net: Network, kept: Kept, max_pdu: int) -> None:
    context = build_context(CTImageStorage, EXPLICIT)
    server = net.serve([(evt.EVT_C_STORE, kept)], [context], maximum_pdu_size=max_pdu)
    assoc = net.associate(server, [context])
    assert assoc.acceptor.maximum_length == max_pdu
    for _ in range(2):
        assert assoc.send_c_store(CT_EXPLICIT).Status == 0x0000
    assert [event["bytes"] == body(CT_EXPLICIT) for event in kept.events] == [True, True]


# -- With pynetdicom at the other end


@pytest.mark.interop
def test_pynetdicom_stores_at_ours(net: Network, kept: Kept) -> None:
    pynetdicom = pytest.importorskip("pynetdicom")
    context = build_context(CTImageStorage, EXPLICIT)
    server = net.serve([(evt.EVT_C_STORE, kept)], [context])
    peer = pynetdicom.AE()
    peer.add_requested_context(CTImageStorage, EXPLICIT)
    assoc = peer.associate(*server.server_address)
    try:
        assert assoc.send_c_store(dcmread(CT_EXPLICIT)).Status == 0x0000
    finally:
        assoc.release()
    assert kept.events[0]["dataset"] == dcmread(CT_EXPLICIT)


@pytest.mark.interop
def test_ours_stores_at_pynetdicom(net: Network) -> None:
    pynetdicom = pytest.importorskip("pynetdicom")
    received: list[bytes] = []

    def handle(event: Any) -> int:
        received.append(event.encoded_dataset(include_meta=False))
        return 0x0000

    peer = pynetdicom.AE()
    peer.add_supported_context(CTImageStorage, EXPLICIT)
    handlers = [(pynetdicom.evt.EVT_C_STORE, handle)]
    server = peer.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        assoc = net.associate(server, [build_context(CTImageStorage, EXPLICIT)])
        assert assoc.send_c_store(CT_EXPLICIT).Status == 0x0000
        assoc.release()
    finally:
        peer.shutdown()
    assert received == [body(CT_EXPLICIT)]
