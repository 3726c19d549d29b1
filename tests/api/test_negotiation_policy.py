"""Which transfer syntax is chosen, what is taken as storage, and how long PDUs are."""

from __future__ import annotations

import io
import struct
import tempfile
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID

from api.peers import EXPLICIT, IMPLICIT, P_DATA, PATIENCE, Network, RawPeer
from dulcimer import AE, build_context, evt
from dulcimer.data import part10
from dulcimer.protocol.dimse import commands
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.protocol.wire.pdus import AssociateAC, ContextResult, UserInformation
from dulcimer.sop_class import register_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
MAMMOGRAPHY = "1.2.840.10008.5.1.4.1.1.1.2"
MPPS = "1.2.840.10008.3.1.2.3.3"
JPEG_LS, JPEG = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.70"
BIG, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"


def server_of(ae: AE, handlers: Any, contexts: Any, **options: Any) -> Any:
    return ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=list(handlers), contexts=list(contexts), **options
    )


# ---- the transfer syntax -------------------------------------------------------------------------------


def only_compressed(abstract: UID, proposed: list[UID], supported: list[UID]) -> str | None:
    return next((uid for uid in proposed if uid.is_compressed and uid in supported), None)


def uncompressed_for_ct(abstract: UID, proposed: list[UID], supported: list[UID]) -> str | None:
    return IMPLICIT if abstract == CT else JPEG_LS


POLICIES: list[tuple[Any, list[str | None]]] = [
    ("acceptor", [IMPLICIT, IMPLICIT]),
    ("requestor", [JPEG_LS, JPEG_LS]),
    (only_compressed, [JPEG_LS, JPEG_LS]),
    (uncompressed_for_ct, [IMPLICIT, JPEG_LS]),
    (lambda abstract, proposed, supported: None, [None, None]),
    (lambda abstract, proposed, supported: "1.2.3", [None, None]),
    (lambda abstract, proposed, supported: proposed[7], [IMPLICIT, IMPLICIT]),
]


@pytest.mark.parametrize(("policy", "expected"), POLICIES)
def test_policies(net: Network, policy: Any, expected: list[str | None]) -> None:
    supported = [build_context(uid, [IMPLICIT, EXPLICIT, JPEG_LS]) for uid in (CT, MAMMOGRAPHY)]
    server = server_of(net.ae("SERVER"), (), supported, ts_policy=policy)
    proposed = [build_context(uid, [JPEG_LS, BIG, IMPLICIT]) for uid in (CT, MAMMOGRAPHY)]
    assoc = net.associate(server, proposed)
    accepted = {cx.abstract_syntax: cx.transfer_syntax[0] for cx in assoc.accepted_contexts}
    assert [accepted.get(UID(uid)) for uid in (CT, MAMMOGRAPHY)] == expected
    # A context that the policy rejects was rejected for its transfer syntaxes.
    assert {cx.result for cx in assoc.rejected_contexts} <= {4}


def test_no_such_policy() -> None:
    ae = AE()
    for wrong in ("requester", "", 1):
        with pytest.raises(ValueError, match="ts_policy"):
            ae.make_server(("127.0.0.1", 0), contexts=[build_context(CT)], ts_policy=wrong)
    with pytest.raises(ValueError, match="storage"):
        ae.make_server(("127.0.0.1", 0), contexts=[build_context(CT)], storage="all")


@pytest.mark.parametrize(("policy", "chosen"), [("requestor", JPEG_LS), ("acceptor", IMPLICIT)])
def test_a_sender_that_has_one_encoding_and_prefers_it(net: Network, policy: str, chosen: str) -> None:
    """A compressed object is proposed in its own transfer syntax first, then in one that it cannot have."""
    received: Queue[Any] = Queue()

    def store(event: evt.Event) -> int:
        received.put((event.context.transfer_syntax, event.encoded_dataset(include_meta=False)))
        return 0

    server = server_of(
        net.ae("SERVER"),
        [(evt.EVT_C_STORE, store)],
        [build_context(MAMMOGRAPHY, [IMPLICIT, JPEG_LS])],
        ts_policy=policy,
    )
    assoc = net.associate(server, [build_context(MAMMOGRAPHY, [JPEG_LS, IMPLICIT])])
    assert assoc.accepted_contexts[0].transfer_syntax == [chosen]
    file = file_of(JPEG_LS, b"\x01\x02" * 50, MAMMOGRAPHY)
    if policy == "requestor":
        assert assoc.send_c_store(file).Status == 0
        assert received.get(timeout=PATIENCE) == (JPEG_LS, b"\x01\x02" * 50)
    else:
        with pytest.raises(ValueError, match="JPEG-LS"):
            assoc.send_c_store(file)


# ---- storage of anything -----------------------------------------------------------------------------------


def file_of(syntax: str, data: bytes, sop_class: str = CT, uid: str = "1.2.3") -> bytes:
    return part10.preamble(sop_class, uid, syntax) + data


def test_an_unknown_object_is_stored_as_it_is(net: Network) -> None:
    kept: Queue[Any] = Queue()

    def store(event: evt.Event) -> int:
        request = event.request
        kept.put((request.AffectedSOPClassUID, tuple(event.context[1:]), event.encoded_dataset()))
        return 0

    ae = net.ae("SERVER")
    anything = server_of(ae, [(evt.EVT_C_STORE, store)], [], storage="any")
    little = server_of(ae, [(evt.EVT_C_STORE, store)], [build_context(CT)])
    private, syntax, data = "1.2.826.0.1.3680043.9.9.1", "1.2.826.0.1.3680043.9.9.2", bytes(range(256)) * 11
    contexts = [build_context(private, syntax), build_context(MPPS), build_context(CT, JPEG)]
    # Per server, not for the process.
    assert net.associate(little, contexts).accepted_contexts == []
    assoc = net.associate(anything, contexts)
    assert {str(cx.abstract_syntax) for cx in assoc.accepted_contexts} == {private, CT}
    file = file_of(syntax, data, private)
    assert assoc.send_c_store(file).Status == 0
    sop_class, context, stored = kept.get(timeout=PATIENCE)
    assert (sop_class, context) == (private, (private, syntax))
    assert stored == file


def test_a_registered_sop_class(net: Network) -> None:
    from dulcimer.service_class import StorageServiceClass

    private = "1.2.826.0.1.3680043.9.9.77"
    register_uid(private, "AnObjectOfOurOwn", StorageServiceClass)
    server = server_of(net.ae("SERVER"), [(evt.EVT_C_STORE, lambda event: 0)], [build_context(private)])
    assoc = net.associate(server, [private])
    assert assoc.send_c_store(file_of(IMPLICIT, b"", private)).Status == 0


# ---- bytes as they are -----------------------------------------------------------------------------------

BROKEN = {
    "no element": b"\x01",
    "an odd length": b"\x10\x00\x20\x00\x03\x00\x00\x00abc",
    "a length beyond the end": b"\x10\x00\x20\x00\xff\xff\x00\x00abc",
    "a VR that does not exist": b"\x10\x00\x20\x00ZZ\x02\x00ab",
    "descending tags": b"\x10\x00\x30\x00\x00\x00\x00\x00\x08\x00\x05\x00\x00\x00\x00\x00",
    "nothing": b"",
    "noise": bytes((n * 37) % 251 for n in range(70_001)),
    "a large one": bytes(700_000),
}


class Trickle(io.BytesIO):
    """A stream whose reads are short."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size if size is None or size < 0 else min(size, 40_001))


def as_path(file: bytes, folder: Path) -> Any:
    path = folder / "one.dcm"
    path.write_bytes(file)
    return path


def at_an_offset(file: bytes, folder: Path) -> Any:
    stream = io.BytesIO(b"something else" + file)
    stream.seek(14)
    return stream


def spooled(file: bytes, folder: Path) -> Any:
    stream = tempfile.SpooledTemporaryFile()  # noqa: SIM115 - the garbage collector has it
    stream.write(file)
    stream.seek(0)
    return stream


FORMS: dict[str, Any] = {
    "path": as_path,
    "text": lambda file, folder: str(as_path(file, folder)),
    "bytes": lambda file, folder: file,
    "bytearray": lambda file, folder: bytearray(file),
    "memoryview": lambda file, folder: memoryview(file),
    "stream": lambda file, folder: io.BytesIO(file),
    "stream with short reads": lambda file, folder: Trickle(file),
    "stream at an offset": at_an_offset,
    "spooled file": spooled,
}


@pytest.mark.parametrize("form", FORMS)
def test_what_cannot_be_decoded_is_sent_as_it_is(net: Network, form: str, tmp_path: Path) -> None:
    received: Queue[bytes] = Queue()

    def store(event: evt.Event) -> int:
        received.put(event.encoded_dataset(include_meta=False))
        return 0

    server = server_of(net.ae("SERVER"), [(evt.EVT_C_STORE, store)], [build_context(CT, [EXPLICIT])])
    assoc = net.associate(server, [build_context(CT, [EXPLICIT])])
    for name, data in BROKEN.items():
        # The UID is none, either.
        file = file_of(EXPLICIT, data, uid="not.a.uid" + "9" * 40)
        given = FORMS[form](file, tmp_path)
        assert assoc.send_c_store(given).Status == 0, name
        assert received.get(timeout=PATIENCE) == data, name
        if form == "spooled file":
            given.close()


@pytest.mark.parametrize("form", ["bytes", "stream", "path"])
def test_a_file_is_converted_where_it_has_to_be(net: Network, form: str, tmp_path: Path) -> None:
    received: Queue[Any] = Queue()
    server = server_of(
        net.ae("SERVER"),
        [(evt.EVT_C_STORE, lambda event: received.put(event.dataset) or 0)],
        [build_context(CT, [IMPLICIT])],
    )
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.PatientName = CT, "1.2.3", "A^B"
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    assoc = net.associate(server, [build_context(CT, [IMPLICIT])])
    given = FORMS[form](buffer.getvalue(), tmp_path)
    assert assoc.send_c_store(given).Status == 0
    assert received.get(timeout=PATIENCE).PatientName == "A^B"
    with pytest.raises(ValueError, match="Explicit VR Little Endian"):
        assoc.send_c_store(FORMS[form](buffer.getvalue(), tmp_path), exact=True)


@pytest.mark.parametrize("form", ["bytes", "stream", "path"])
def test_a_deflated_data_set_is_made_even(net: Network, form: str, tmp_path: Path) -> None:
    received: Queue[bytes] = Queue()
    server = server_of(
        net.ae("SERVER"),
        [(evt.EVT_C_STORE, lambda event: received.put(event.encoded_dataset(include_meta=False)) or 0)],
        [build_context(CT, [DEFLATED])],
    )
    assoc = net.associate(server, [build_context(CT, [DEFLATED])])
    for length in (3, 300_001, 300_002):
        data = b"d" * length
        assert assoc.send_c_store(FORMS[form](file_of(DEFLATED, data), tmp_path)).Status == 0
        assert received.get(timeout=PATIENCE) == data + b"\0" * (length % 2)


@pytest.mark.parametrize("chunked", [True, False])
def test_handlers_can_read_the_bytes_without_a_copy(net: Network, chunked: bool) -> None:
    received: Queue[Any] = Queue()

    def store(event: evt.Event) -> int:
        raw = event.raw
        received.put((raw.readonly, bytes(raw), len(event.dataset)))
        return 0

    server = server_of(
        net.ae("SERVER"),
        [(evt.EVT_C_STORE, store)],
        [build_context(CT, IMPLICIT)],
        config={"STORE_RECV_CHUNKED_DATASET": chunked},
    )
    data = b"\x10\x00\x20\x00\x02\x00\x00\x00AB"
    assert (
        net.associate(server, [build_context(CT, IMPLICIT)]).send_c_store(file_of(IMPLICIT, data)).Status == 0
    )
    assert received.get(timeout=PATIENCE) == (True, data, 1)
    with pytest.raises(AttributeError, match="raw"):
        _ = evt.Event(None, evt.EVT_ABORTED).raw


@pytest.mark.parametrize("wrong", [b"", b"not a DICOM file", b"\0" * 400, b"\0" * 128 + b"DICM"])
def test_what_is_no_file(net: Network, wrong: bytes) -> None:
    server = server_of(net.ae("SERVER"), (), [build_context(CT)])
    assoc = net.associate(server, [CT])
    for given in (wrong, io.BytesIO(wrong), bytearray(wrong)):
        with pytest.raises(AttributeError, match="Unable to send"):
            assoc.send_c_store(given)
    assert assoc.is_established


# ---- the length of PDUs ----------------------------------------------------------------------------------

LENGTHS = [0, 1024, 16382, 1 << 17, 1 << 22]
PAYLOAD = bytes((n * 7) % 256 for n in range(200_000))


@pytest.mark.parametrize("ours", LENGTHS)
@pytest.mark.parametrize("theirs", LENGTHS)
def test_what_we_send_is_as_long_as_the_peer_takes(net: Network, ours: int, theirs: int) -> None:
    """The peer's maximum counts, ours does not; one PDV in each PDU, and the command apart (PS3.8 D.1)."""
    seen: Queue[Any] = Queue()

    def script(peer: RawPeer) -> None:
        request = peer.read()
        seen.put(request.user.max_length)  # type: ignore[union-attr]
        results = tuple(ContextResult(c.id, 0, IMPLICIT) for c in request.contexts)  # type: ignore[union-attr]
        peer.send(AssociateAC("SERVER", "TESTER", results, UserInformation(theirs, "1.2.4")))
        lengths, command, data, last = [], b"", b"", 0
        while last != 2:
            kind, body = peer.read_pdu()
            assert kind == P_DATA
            lengths.append(len(body))
            length, _, last = struct.unpack(">LBB", body[:6])
            assert length == len(body) - 4, "one PDV in each PDU"
            if last & 1:
                assert not data, "the command comes first"
                command += body[6:]
            else:
                data += body[6:]
        seen.put((lengths, commands.decode(command)[e.COMMAND_FIELD], data))
        peer.send_message(
            {
                e.AFFECTED_SOP_CLASS_UID: CT,
                e.COMMAND_FIELD: m.C_STORE_RQ | 0x8000,
                e.MESSAGE_ID_BEING_RESPONDED_TO: 1,
                e.STATUS: 0,
            }
        )

    port = net.listen(script)
    ae = net.ae()
    assoc = ae.associate("127.0.0.1", port, contexts=[build_context(CT, IMPLICIT)], max_pdu=ours)
    assert assoc.send_c_store(file_of(IMPLICIT, PAYLOAD)).Status == 0
    assert seen.get(timeout=PATIENCE) == ours
    lengths, field, data = seen.get(timeout=PATIENCE)
    assert (field, data) == (m.C_STORE_RQ, PAYLOAD)
    if theirs:
        assert max(lengths) <= theirs
        # As long as they may be: all but the first (the command) and the last are full.
        assert set(lengths[1:-1]) <= {theirs, theirs - 1}
    assert (assoc.requestor.maximum_length, assoc.acceptor.maximum_length) == (ours, theirs)


@pytest.mark.parametrize("ours", LENGTHS)
@pytest.mark.parametrize("theirs", LENGTHS)
def test_what_we_take_is_as_long_as_we_said(net: Network, ours: int, theirs: int) -> None:
    """Objects arrive whole in PDUs of our maximum; the acceptor answers in PDUs of the peer's."""
    received: Queue[bytes] = Queue()
    ae = net.ae("SERVER", maximum_pdu_size=ours)
    server = server_of(
        ae,
        [(evt.EVT_C_STORE, lambda event: received.put(event.encoded_dataset(include_meta=False)) or 0)],
        [build_context(CT, IMPLICIT)],
    )
    assoc = net.associate(server, [build_context(CT, IMPLICIT)], max_pdu=theirs)
    assert assoc.acceptor.maximum_length == ours
    for given in (file_of(IMPLICIT, PAYLOAD), io.BytesIO(file_of(IMPLICIT, PAYLOAD))):
        assert assoc.send_c_store(given).Status == 0
        assert received.get(timeout=PATIENCE) == PAYLOAD


@pytest.mark.parametrize("packed", ["several PDVs", "command and data", "all in one"])
def test_packed_pdus_are_taken(net: Network, packed: str) -> None:
    received: Queue[bytes] = Queue()
    server = server_of(
        net.ae("SERVER"),
        [(evt.EVT_C_STORE, lambda event: received.put(event.encoded_dataset(include_meta=False)) or 0)],
        [build_context(CT, IMPLICIT)],
    )
    peer = net.connect(server)
    peer.request(CT)
    command = commands.encode(
        {
            e.AFFECTED_SOP_CLASS_UID: CT,
            e.COMMAND_FIELD: m.C_STORE_RQ,
            e.MESSAGE_ID: 1,
            e.PRIORITY: 0,
            e.COMMAND_DATA_SET_TYPE: 1,
            e.AFFECTED_SOP_INSTANCE_UID: "1.2.3",
        }
    )
    fragments = [(1, command[:20]), (3, command[20:]), (0, PAYLOAD[:500]), (2, PAYLOAD[500:1000])]
    groups = {
        "several PDVs": [fragments[:2], fragments[2:]],
        "command and data": [fragments[:1], fragments[1:3], fragments[3:]],
        "all in one": [fragments],
    }[packed]
    for group in groups:
        body = b"".join(struct.pack(">LBB", len(part) + 2, 1, flags) + part for flags, part in group)
        peer.send(struct.pack(">BxL", P_DATA, len(body)) + body)
    assert peer.read_message()[0][e.STATUS] == 0
    assert received.get(timeout=PATIENCE) == PAYLOAD[:1000]
