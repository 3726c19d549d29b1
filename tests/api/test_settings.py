"""The settings of ``_config``: for the process, for an entity, for a server or one association."""

from __future__ import annotations

import contextvars
import logging
from queue import Queue
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID

from api.peers import EXPLICIT, IMPLICIT, PATIENCE, Network, RawPeer, eventually
from dulcimer import AE, _config, build_context, evt
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.protocol.wire.pdus import (
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    ProposedContext,
    UserInformation,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
MPPS = "1.2.840.10008.3.1.2.3.3"
LEVELS = ["module", "entity", "innermost"]
INVALID = "1.2.03"


def image(uid: str = "1.2.3") -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT, uid
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = UID(IMPLICIT)
    return dataset


def serve(ae: AE, handlers: Any, contexts: Any, **options: Any) -> Any:
    return ae.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=list(handlers),
        contexts=[build_context(each) if isinstance(each, str) else each for each in contexts],
        **options,
    )


class Level:
    """Sets a setting at one of the levels; ``options`` are for the innermost."""

    def __init__(self, level: str, ae: AE, monkeypatch: pytest.MonkeyPatch, name: str, value: Any) -> None:
        self.options: dict[str, Any] = {}
        if level == "module":
            monkeypatch.setattr(_config, name, value)
        elif level == "entity":
            setattr(ae.config, name, value)
        else:
            self.options = {"config": {name: value}}


def test_the_innermost_level_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    ae = AE()
    monkeypatch.setattr(_config, "CODECS", ("ascii", "utf-8"))
    assert ae.config.CODECS == ("ascii", "utf-8")
    assert _config.settings(ae.config).CODECS == ("ascii", "utf-8")
    ae.config.CODECS = ("ascii", "koi8-r")
    assert _config.settings(ae.config).CODECS == ("ascii", "koi8-r")
    assert _config.settings(ae.config, {"CODECS": ["latin-1"]}).CODECS == ("latin-1",)
    assert _config.settings(ae.config, _config.Config({"CODECS": ("gbk",)})).CODECS == ("gbk",)
    ae.config.ENFORCE_UID_CONFORMANCE = False
    monkeypatch.setattr(_config, "ENFORCE_UID_CONFORMANCE", True)
    assert not _config.settings({}).VALIDATORS["UI"]("1.02")[0]
    assert _config.settings(ae.config).VALIDATORS["UI"]("1.02")[0]
    assert not _config.settings(ae.config, {"ENFORCE_UID_CONFORMANCE": True}).VALIDATORS["UI"]("1.02")[0]
    del ae.config.CODECS
    assert ae.config.CODECS == ("ascii", "utf-8")


def test_there_is_no_such_setting(net: Network) -> None:
    ae = net.ae()
    ae.add_supported_context(VERIFICATION)
    ae.add_requested_context(VERIFICATION)
    with pytest.raises(AttributeError, match="STORE_RECV_CHUNKED_DATASET"):
        ae.config.STORE_RECEIVE = True
    with pytest.raises(AttributeError, match="no setting"):
        _ = ae.config.STORE_RECEIVE
    with pytest.raises(AttributeError, match="no setting"):
        ae.start_server(("127.0.0.1", 0), block=False, config={"a": 1})
    with pytest.raises(AttributeError, match="no setting"):
        ae.associate("127.0.0.1", 1, config={"a": 1})
    assert repr(_config.Config({"CODECS": ()})) == "Config({'CODECS': ()})"


def test_an_association_keeps_the_settings_that_it_began_with(net: Network) -> None:
    paths: Queue[bool] = Queue()

    def store(event: evt.Event) -> int:
        paths.put("path" in vars(event))
        return 0

    server = net.serve([(evt.EVT_C_STORE, store)], [CT])
    first = net.associate(server, [CT])
    server.config.STORE_RECV_CHUNKED_DATASET = True
    second = net.associate(server, [CT])
    for assoc, expected in ((first, False), (second, True)):
        assert assoc.send_c_store(image()).Status == 0
        assert paths.get(timeout=PATIENCE) is expected


@pytest.mark.parametrize("level", LEVELS)
def test_received_data_sets_in_files(net: Network, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Queue[Any] = Queue()

    def store(event: evt.Event) -> int:
        seen.put((event.dataset_path.is_file(), event.dataset.SOPInstanceUID, event.dataset_path))
        return 0

    ae = net.ae("SERVER")
    setting = Level(level, ae, monkeypatch, "STORE_RECV_CHUNKED_DATASET", True)
    server = serve(ae, [(evt.EVT_C_STORE, store)], [CT], **setting.options)
    assert net.associate(server, [CT]).send_c_store(image("1.2.9")).Status == 0
    existed, uid, path = seen.get(timeout=PATIENCE)
    assert (existed, uid) == (True, "1.2.9")
    assert eventually(lambda: not path.exists())


@pytest.mark.parametrize("level", LEVELS)
def test_files_sent_in_their_own_transfer_syntax_only(
    net: Network, level: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    path = tmp_path / "one.dcm"
    image().save_as(path, enforce_file_format=True)
    server = net.serve([(evt.EVT_C_STORE, lambda event: 0)], [build_context(CT, EXPLICIT)])
    ae = net.ae()
    setting = Level(level, ae, monkeypatch, "STORE_SEND_CHUNKED_DATASET", True)
    ae.add_requested_context(CT, EXPLICIT)
    assoc = ae.associate(*server.server_address, **setting.options)
    with pytest.raises(ValueError, match="Implicit VR Little Endian"):
        assoc.send_c_store(path)
    # A data set in memory is encoded as the context has it, and one call may ask for something else.
    assert assoc.send_c_store(image()).Status == 0
    assert assoc.send_c_store(path, exact=False).Status == 0
    assoc.release()


@pytest.mark.parametrize("level", LEVELS)
def test_any_storage(net: Network, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ae = net.ae("SERVER")
    setting = Level(level, ae, monkeypatch, "UNRESTRICTED_STORAGE_SERVICE", True)
    server = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda event: 0)], **setting.options
    )
    assert server is not None
    assoc = net.associate(server, [build_context("1.2.3.4.5", "1.2.3.4.6"), build_context(MPPS)])
    assert [cx.abstract_syntax for cx in assoc.accepted_contexts] == ["1.2.3.4.5"]


def request_of(calling: str, *abstract_syntaxes: str) -> AssociateRQ:
    contexts = tuple(
        ProposedContext(2 * position + 1, uid, (IMPLICIT,)) for position, uid in enumerate(abstract_syntaxes)
    )
    return AssociateRQ("SERVER", calling, contexts, UserInformation(16382, "1.2.3", calling[:16]))


CODECS = [
    (("ascii",), "B\xc3\xbccher", "B\xc3\xbccher"),
    (("ascii", "utf-8"), "B\xc3\xbccher", "Bcher"),
    (("ascii", "utf-8"), "B\xfccher", "B\xfccher"),
    (("ascii", "utf-8", "cp1252"), "B\xfccher", "Bcher"),
]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("codecs", "sent", "seen"), CODECS)
def test_codecs(
    net: Network, level: str, codecs: Any, sent: str, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles: Queue[Any] = Queue()

    def requested(event: evt.Event) -> None:
        side = event.assoc.requestor
        titles.put((side.ae_title, side.primitive.calling_ae_title, event.assoc.remote["ae_title"]))

    ae = net.ae("SERVER")
    setting = Level(level, ae, monkeypatch, "CODECS", codecs)
    server = serve(ae, [(evt.EVT_REQUESTED, requested)], [VERIFICATION], **setting.options)
    peer: RawPeer = net.connect(server)
    peer.send(request_of(sent, VERIFICATION))
    answer = peer.read()
    # The titles of the request come back as they were (PS3.8 9.3.3).
    assert isinstance(answer, AssociateAC)
    assert answer.calling == sent
    assert titles.get(timeout=PATIENCE) == (seen, seen, seen)


@pytest.mark.parametrize("level", LEVELS)
def test_a_calling_title_is_compared_as_the_codecs_have_it(
    net: Network, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ae = net.ae("SERVER", require_calling_aet=["Bcher"])
    setting = Level(level, ae, monkeypatch, "CODECS", ("utf-8",))
    server = serve(ae, (), [VERIFICATION], **setting.options)
    for title, kind in (("B\xc3\xbccher", AssociateAC), ("B\xfccher", AssociateRJ)):
        peer = net.connect(server)
        peer.send(request_of(title, VERIFICATION))
        assert isinstance(peer.read(), kind)


@pytest.mark.parametrize("level", LEVELS)
def test_conformant_uids_of_a_peer(net: Network, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ae = net.ae("SERVER")
    # Supported before the setting is made: what a peer proposes is what counts.
    ae.add_supported_context(MPPS)
    ae.add_supported_context(INVALID)
    called: list[str] = []
    setting = Level(level, ae, monkeypatch, "ENFORCE_UID_CONFORMANCE", True)
    server = serve(ae, [(evt.EVT_N_DELETE, lambda event: 0)], (), **setting.options)
    peer = net.connect(server)
    peer.send(request_of("RAW", INVALID, MPPS))
    answer = peer.read()
    assert isinstance(answer, AssociateAC)
    assert [result.result for result in answer.contexts] == [3, 0]
    server.bind(
        evt.EVT_N_SET, lambda event: called.append(event.request.RequestedSOPInstanceUID) or (0, None)
    )
    for uid, expected in ((INVALID, 0x0117), ("1.2.3", 0x0000)):
        command = {
            e.REQUESTED_SOP_CLASS_UID: MPPS,
            e.COMMAND_FIELD: m.N_SET_RQ,
            e.MESSAGE_ID: 1,
            e.REQUESTED_SOP_INSTANCE_UID: uid,
        }
        peer.send_message(command, b"\x08\x00\x05\x00\x00\x00\x00\x00", 3)
        assert peer.read_message()[0][e.STATUS] == expected
    assert called == ["1.2.3"]


@pytest.mark.parametrize("level", LEVELS)
def test_conformant_uids_of_ours(net: Network, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(
        net.ae("SERVER"),
        [(evt.EVT_N_SET, lambda event: (0, None)), (evt.EVT_C_STORE, lambda event: 0)],
        [MPPS, CT],
    )
    ae = net.ae()
    setting = Level(level, ae, monkeypatch, "ENFORCE_UID_CONFORMANCE", True)
    contexts = [build_context(MPPS), build_context(CT)]
    assoc = ae.associate(*server.server_address, contexts=contexts, **setting.options)
    change = Dataset()
    change.PatientID = "1"
    with pytest.raises(ValueError, match="instance_uid"):
        assoc.send_n_set(change, MPPS, INVALID)
    with pytest.raises(ValueError, match="SOPInstanceUID"):
        assoc.send_c_store(image(INVALID))
    assert assoc.send_n_set(change, MPPS, "1.2.3")[0].Status == 0
    assert assoc.send_c_store(image()).Status == 0
    # Without the setting they are sent.
    free = net.associate(server, [MPPS, CT])
    if level != "module":
        assert free.send_n_set(change, MPPS, INVALID)[0].Status == 0
        assert free.send_c_store(image(INVALID)).Status == 0
    for each in (assoc, free):
        each.release()


@pytest.mark.parametrize("level", ["module", "entity"])
def test_conformant_uids_of_contexts(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ae = AE()
    ae.add_requested_context(INVALID)
    Level(level, ae, monkeypatch, "ENFORCE_UID_CONFORMANCE", True)
    for method in (ae.add_requested_context, ae.add_supported_context):
        with pytest.raises(ValueError, match="non-conformant"):
            method(INVALID)
        with pytest.raises(ValueError, match="non-conformant"):
            method(CT, [IMPLICIT, INVALID])


@pytest.mark.parametrize("level", ["module", "entity"])
def test_validators(net: Network, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ae = net.ae()
    ae.add_supported_context(VERIFICATION)
    ae.add_requested_context(VERIFICATION)

    def upper(value: Any) -> tuple[bool, str]:
        return value.isupper(), "must be upper case"

    if level == "module":
        monkeypatch.setitem(_config.VALIDATORS, "AE", upper)
    else:
        ae.config.VALIDATORS = {"AE": upper}
    with pytest.raises(ValueError, match="upper case"):
        ae.ae_title = "lower"
    with pytest.raises(ValueError, match="upper case"):
        ae.require_calling_aet = ["lower"]
    with pytest.raises(ValueError, match="upper case"):
        ae.associate("127.0.0.1", 1, ae_title="lower")
    with pytest.raises(ValueError, match="upper case"):
        ae.start_server(("127.0.0.1", 0), ae_title="lower", block=False)
    # What the Standard does not allow, a program's own validator may.
    ae.ae_title = "ÄÖÜ, LONGER THAN IT MAY BE" if level == "entity" else "UPPER"
    assert _config.settings(ae.config).VALIDATORS["UI"] is _config.VALIDATORS["UI"]


def test_a_validator_of_uids(net: Network) -> None:
    seen: list[str] = []

    def none_of_mine(value: Any) -> tuple[bool, str]:
        seen.append(str(value))
        return not str(value).startswith("9."), "not this one"

    server = serve(
        net.ae("SERVER"),
        [(evt.EVT_N_SET, lambda event: (0, None))],
        [MPPS],
        config={"VALIDATORS": {"UI": none_of_mine}},
    )
    assoc = net.associate(server, [MPPS])
    change = Dataset()
    change.PatientID = "1"
    status = assoc.send_n_set(change, MPPS, "9.1")[0]
    assert (status.Status, status.ErrorComment) == (0x0117, "RequestedSOPInstanceUID: not this one")
    assert assoc.send_n_set(change, MPPS, "1.9")[0].Status == 0
    assert {"9.1", "1.9", MPPS} <= set(seen)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("short", [True, False])
def test_padding_of_titles(net: Network, level: str, short: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: Queue[bytes] = Queue()

    def script(peer: RawPeer) -> None:
        peer.accept()
        commands.put(peer.read_pdu()[1])

    port = net.listen(script)
    ae = net.ae()
    setting = Level(level, ae, monkeypatch, "USE_SHORT_DIMSE_AET", short)
    ae.add_requested_context(CT, IMPLICIT)
    assoc = ae.associate("127.0.0.1", port, **setting.options)
    assoc.send_c_store(image(), originator_aet="ORIGIN", originator_id=1)
    sent = commands.get(timeout=PATIENCE)
    element = b"\x00\x00\x30\x10"
    title = b"ORIGIN" if short else b"ORIGIN          "
    assert element + len(title).to_bytes(4, "little") + title in sent


VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("passed", [True, False])
def test_context_variables(net: Network, level: str, passed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Queue[str] = Queue()

    def report(event: evt.Event) -> tuple[int, None]:
        seen.put(VARIABLE.get())
        VARIABLE.set("of a handler")
        return 0, None

    server_ae, client_ae = net.ae("SERVER"), net.ae()
    setting = Level(level, server_ae, monkeypatch, "PASS_CONTEXTVARS", passed)
    if level == "entity":
        client_ae.config.PASS_CONTEXTVARS = passed
    peers: Queue[Any] = Queue()
    context = build_context(MPPS)
    context.scu_role = context.scp_role = True

    def start() -> tuple[Any, Any]:
        VARIABLE.set("of the program")
        handlers = [(evt.EVT_N_SET, report), (evt.EVT_REQUESTED, lambda event: peers.put(event.assoc))]
        server = serve(server_ae, handlers, [context], **setting.options)
        from dulcimer import build_role

        assoc = client_ae.associate(
            *server.server_address,
            contexts=[build_context(MPPS)],
            ext_neg=[build_role(MPPS, True, True)],
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, report)],
            **setting.options,
        )
        return server, assoc

    server, assoc = contextvars.Context().run(start)
    change = Dataset()
    change.PatientID = "1"
    expected = "of the program" if passed else "unset"
    for client in (assoc, net.associate(server, [MPPS])):
        assert client.send_n_set(change, MPPS, "1.2.3")[0].Status == 0
        assert seen.get(timeout=PATIENCE) == expected
    # The requestor is idle: a thread of the library's calls its handler.
    peer = peers.get(timeout=PATIENCE)
    assert peer.send_n_event_report(None, 1, MPPS, "1.2.3")[0].Status == 0
    assert seen.get(timeout=PATIENCE) == expected


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("value", ["standard", "none"])
def test_the_traffic_log(
    net: Network, level: str, value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(net.ae("SERVER"), (), [VERIFICATION], config={"LOG_HANDLER_LEVEL": "none"})
    ae = net.ae()
    setting = Level(level, ae, monkeypatch, "LOG_HANDLER_LEVEL", value)
    ae.add_requested_context(VERIFICATION)
    with caplog.at_level(logging.DEBUG, "dulcimer.traffic"):
        assoc = ae.associate(*server.server_address, **setting.options)
        assoc.send_c_echo()
        assoc.release()
    shown = [record for record in caplog.records if record.name == "dulcimer.traffic"]
    assert bool(shown) is (value == "standard")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["REQUEST", "RESPONSE"])
@pytest.mark.parametrize("shown", [True, False])
def test_identifiers_in_the_log(
    net: Network,
    level: str,
    kind: str,
    shown: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def find(event: evt.Event) -> Any:
        match = Dataset()
        match.PatientName = "RESPONSE^MATCH"
        yield 0xFF00, match

    server = serve(net.ae("SERVER"), [(evt.EVT_C_FIND, find)], [FIND], config={"LOG_HANDLER_LEVEL": "none"})
    ae = net.ae()
    setting = Level(level, ae, monkeypatch, f"LOG_{kind}_IDENTIFIERS", shown)
    ae.add_requested_context(FIND)
    query = Dataset()
    query.PatientName = "REQUEST^KEY"
    with caplog.at_level(logging.DEBUG, "dulcimer"):
        assoc = ae.associate(*server.server_address, **setting.options)
        assert [status.Status for status, _ in assoc.send_c_find(query, FIND)] == [0xFF00, 0x0000]
        assoc.release()
    text = "\n".join(
        record.getMessage() for record in caplog.records if record.name == "dulcimer.identifiers"
    )
    names = {"REQUEST": "REQUEST^KEY", "RESPONSE": "RESPONSE^MATCH"}
    assert (names[kind] in text) is shown
    assert all(name in text for other, name in names.items() if other != kind)


def test_the_timer_resolution_is_taken_and_does_not_matter(net: Network) -> None:
    server = serve(net.ae("SERVER"), (), [VERIFICATION], config={"WINDOWS_TIMER_RESOLUTION": None})
    assert net.associate(server, [VERIFICATION]).send_c_echo().Status == 0
    assert _config.settings({"WINDOWS_TIMER_RESOLUTION": 5}).WINDOWS_TIMER_RESOLUTION == 5
