"""The same program, run with pynetdicom and with Dulcimer, hears of the same events.

Each library is requestor and acceptor against pynetdicom, with a handler bound to every notification event.
What is compared is the sequence of each event and everything that its handlers can read: with the same
implementation UID and version name on both sides even the bytes are equal.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian

from dulcimer.pdu_items import split_items
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import AssociateRQ, ProposedContext, UserInformation

pytest.importorskip("pynetdicom")

pytestmark = [
    pytest.mark.interop,
    # pynetdicom leaves sockets to the garbage collector.
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
    ),
]

VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MPPS = "1.2.840.10008.3.1.2.3.3"
UNKNOWN = "1.2.3"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PATIENCE = 10.0

REQUEST = AssociateRQ(
    "SOMEBODY",
    "SCRIPT",
    (ProposedContext(1, VERIFICATION, (ImplicitVRLittleEndian,)),),
    UserInformation(16382, "1.2.826.0.1.3680043.10.1", "THE_SAME"),
)

NOTIFICATIONS = [
    "EVT_ABORTED",
    "EVT_ACCEPTED",
    "EVT_ACSE_RECV",
    "EVT_ACSE_SENT",
    "EVT_CONN_CLOSE",
    "EVT_CONN_OPEN",
    "EVT_DATA_RECV",
    "EVT_DATA_SENT",
    "EVT_DIMSE_RECV",
    "EVT_DIMSE_SENT",
    "EVT_ESTABLISHED",
    "EVT_FSM_TRANSITION",
    "EVT_PDU_RECV",
    "EVT_PDU_SENT",
    "EVT_REJECTED",
    "EVT_RELEASED",
    "EVT_REQUESTED",
]
ENDS = ("EVT_RELEASED", "EVT_REJECTED", "EVT_ABORTED")
ATTRIBUTES = (
    "primitive",
    "pdu",
    "message",
    "data",
    "address",
    "action",
    "current_state",
    "fsm_event",
    "next_state",
)


USER_INFORMATION = re.compile("SubItem|Negotiation$|Notification$")
"""What the classes of user information are called; the Standard has no order for it."""


class Difference(NamedTuple):
    """What is not the same, and why: the values at ``path`` of an event are left out of the comparison."""

    event: str
    path: str
    reason: str
    scenarios: tuple[str, ...] = ()
    """Where it is so; everywhere if there are none."""


BREACHES = {
    "an unknown PDU": bytes.fromhex("090000000004 61626364"),
    "a value that does not fit": bytes.fromhex("040000000008 000000ff 0103 6162"),
    "a second request": codec.encode(REQUEST),
}
"""What a peer must not send on an established association."""

ENDINGS = {"the connection is closed": b"", "the provider aborts": bytes.fromhex("070000000004 00000201")}
"""How else a peer may end an association."""

DIFFERENCES = [
    *(
        Difference(event, path, "the abort says what was wrong (PS3.8 Table 9-26)", tuple(BREACHES))
        for event, path in (
            ("EVT_DATA_SENT", "data"),
            ("EVT_PDU_SENT", "pdu.A_ABORT_RQ.reason_diagnostic"),
            ("EVT_PDU_SENT", "pdu.A_ABORT_RQ.reason_str"),
            ("EVT_ACSE_RECV", "primitive.A_P_ABORT.provider_reason"),
        )
    ),
    Difference(
        "EVT_ACSE_RECV",
        "primitive.A_ASSOCIATE.result_source",
        "an acceptance that is received names its source, as PS3.8 7.1.1.9 has it",
    ),
    Difference(
        "EVT_ACSE_RECV",
        "primitive.A_ASSOCIATE.source_str",
        "follows from result_source",
    ),
    Difference(
        "EVT_DIMSE_SENT",
        "message.data_set",
        "always a stream, as it is documented; pynetdicom has None in the last C-FIND response",
        ("query",),
    ),
    *(
        Difference(
            event,
            "message.encoded_command_set",
            "pynetdicom forgets it once it is decoded or sent; here it can be read",
        )
        for event in ("EVT_DIMSE_RECV", "EVT_DIMSE_SENT")
    ),
]
"""Differences in what handlers can read."""


# ---- what handlers hear ---------------------------------------------------------------------------------


def picture(value: Any) -> Any:
    """Return everything that can be read of a value, in a form that can be compared."""
    if value is None or isinstance(value, (bool, int, bytes)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Dataset):
        return {element.keyword: str(element.value) for element in value}
    if isinstance(value, (list, tuple)):
        items = [picture(item) for item in value]
        if all(isinstance(item, dict) and USER_INFORMATION.search(item.get("class", "")) for item in items):
            items.sort(key=lambda item: str(item["class"]))
        return items
    if isinstance(value, dict):
        return {str(key): picture(item) for key, item in value.items()}
    if hasattr(value, "getvalue"):
        return value.getvalue()
    if hasattr(value, "as_tuple") and hasattr(value, "is_ipv4"):
        return {"address": value.address}
    found = {"class": type(value).__name__}
    for name in dir(value):
        if name.startswith("_"):
            continue
        try:
            item = getattr(value, name)
        except Exception as error:
            found[name] = f"raises {type(error).__name__}"
            continue
        if not callable(item):
            found[name] = picture(item)
    return found


def in_order(pdu: bytes) -> list[bytes]:
    """Return the head and the items of an association PDU, user information in an order of ours."""
    found = [pdu[:74]]
    for item in split_items(pdu[74:]):
        found += sorted(split_items(item[4:])) if item[0] == 0x50 else [item]
    return found


class Heard:
    """Keeps what the handlers of one side were told."""

    def __init__(self, evt: Any) -> None:
        self.changed = threading.Condition()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.roles: set[str] = set()
        self.handlers = [(getattr(evt, name), self.note) for name in NOTIFICATIONS]

    def note(self, event: Any) -> None:
        attributes = {name: getattr(event, name) for name in ATTRIBUTES if hasattr(event, name)}
        said = {name: picture(value) for name, value in attributes.items()}
        if said.get("data", b"")[:1] in (b"\1", b"\2"):
            said["data"] = in_order(said["data"])
        if "address" in said:
            said["address"] = said["address"][0]
        with self.changed:
            self.events.append((event.event.name, said))
            self.roles.add(event.assoc.mode)
            self.changed.notify_all()

    def of(self, name: str) -> list[dict[str, Any]]:
        return [said for event, said in self.events if event == name]

    def over(self) -> bool:
        names = {name for name, _ in self.events}
        transitions = self.of("EVT_FSM_TRANSITION")
        return bool(
            names.intersection(ENDS)
            and "EVT_CONN_CLOSE" in names
            and transitions
            and transitions[-1]["next_state"] == "Sta1"
        )

    def wait(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), [name for name, _ in self.events]


# ---- the program ----------------------------------------------------------------------------------------


def instance() -> Dataset:
    ct = Dataset()
    ct.file_meta = FileMetaDataset()
    ct.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    ct.SOPClassUID = CT_IMAGE
    ct.SOPInstanceUID = "1.2.3.4"
    ct.PatientName = "Made^Up"
    ct.add_new("PixelData", "OW", bytes(range(256)) * 160)
    return ct


def performed() -> Dataset:
    step = Dataset()
    step.PerformedProcedureStepStatus = "COMPLETED"
    return step


def query() -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = "1.2.3.6"
    return identifier


def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
    for _ in range(2):
        yield 0xFF00, event.identifier
    yield 0x0000, None


def negotiation(library: Any) -> list[Any]:
    items = import_module(f"{library.__name__}.pdu_primitives")
    identity = items.UserIdentityNegotiation()
    identity.user_identity_type = 3
    identity.primary_field = b"ticket"
    identity.positive_response_requested = True
    extended = items.SOPClassExtendedNegotiation()
    extended.sop_class_uid = CT_IMAGE
    extended.service_class_application_information = b"\x01\x02"
    window = items.AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 3
    window.maximum_number_operations_performed = 2
    common = items.SOPClassCommonExtendedNegotiation()
    common.sop_class_uid = CT_IMAGE
    common.service_class_uid = "1.2.840.10008.4.2"
    common.related_general_sop_class_identification = ["1.2.840.10008.5.1.4.1.1.88.22"]
    role = library.build_role(CT_IMAGE, scu_role=True, scp_role=True)
    return [role, window, extended, common, identity]


def entity(library: Any, title: str) -> Any:
    ae = library.AE(title)
    ae.implementation_class_uid = "1.2.826.0.1.3680043.10.1"
    ae.implementation_version_name = "THE_SAME"
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = PATIENCE
    return ae


def acceptor(library: Any, scenario: str, heard: Heard) -> Any:
    evt = library.evt
    answers: list[Any] = [
        (evt.EVT_C_ECHO, lambda event: event.assoc.abort() or 0 if scenario == "acceptor aborts" else 0),
        (evt.EVT_C_STORE, lambda event: 0),
        (evt.EVT_C_FIND, find),
        (evt.EVT_N_SET, lambda event: (0, performed())),
        (evt.EVT_USER_ID, lambda event: (True, b"answer")),
        (evt.EVT_SOP_EXTENDED, lambda event: event.app_info),
        (evt.EVT_SOP_COMMON, lambda event: event.items),
        (evt.EVT_ASYNC_OPS, lambda event: (1, 1)),
    ]
    ae = entity(library, "ACCEPTOR")
    ae.add_supported_context(VERIFICATION)
    ae.add_supported_context(MPPS)
    ae.add_supported_context(STUDY_ROOT_FIND)
    roles = {"scu_role": True, "scp_role": True} if scenario == "negotiate" else {}
    ae.add_supported_context(CT_IMAGE, **roles)
    ae.require_called_aet = scenario == "reject"
    return ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=heard.handlers + answers)


def requestor(library: Any, scenario: str, heard: Heard, port: int) -> bool:
    """Be the requestor; return whether the association ended as it should."""
    ae = entity(library, "REQUESTOR")
    # pynetdicom answers what it rejects last; here the answers are in the order of the proposals.
    for syntax in (VERIFICATION, CT_IMAGE, MPPS, STUDY_ROOT_FIND, UNKNOWN):
        ae.add_requested_context(syntax, ImplicitVRLittleEndian)
    assoc = ae.associate(
        "127.0.0.1",
        port,
        ae_title="SOMEBODY",
        ext_neg=negotiation(library) if scenario == "negotiate" else None,
        evt_handlers=heard.handlers,
    )
    if scenario == "reject":
        return bool(assoc.is_rejected)
    if scenario == "acceptor aborts":
        assert "Status" not in assoc.send_c_echo()
    else:
        assert assoc.is_established
        assert assoc.send_c_echo().Status == 0
        if scenario == "work":
            assert assoc.send_c_store(instance()).Status == 0
            assert assoc.send_n_set(performed(), MPPS, "1.2.3.5")[0].Status == 0
        if scenario == "query":
            found = [status.Status for status, _ in assoc.send_c_find(query(), STUDY_ROOT_FIND)]
            assert found == [0xFF00, 0xFF00, 0x0000]
        if scenario == "requestor aborts":
            assoc.abort()
        else:
            assoc.release()
    return True


@lru_cache
def run(scenario: str, requesting: str, accepting: str) -> tuple[Heard, Heard]:
    ours, theirs = import_module(requesting), import_module(accepting)
    # As requestor pynetdicom takes a rejection for an abort now and then, if it comes at once.
    for _ in range(5 if requesting == "pynetdicom" else 1):
        scu, scp = Heard(ours.evt), Heard(theirs.evt)
        server = acceptor(theirs, scenario, scp)
        try:
            as_expected = requestor(ours, scenario, scu, server.socket.getsockname()[1])
            scu.wait(scu.over)
            scp.wait(scp.over)
        finally:
            server.shutdown()
            server.server_close()
        if as_expected:
            return scu, scp
    pytest.fail(f"{requesting} was not rejected")


@lru_cache
def run_scripted(scenario: str, accepting: str) -> Heard:
    library = import_module(accepting)
    heard = Heard(library.evt)
    server = acceptor(library, scenario, heard)
    try:
        with socket.create_connection(server.socket.getsockname()[:2], PATIENCE) as peer:
            peer.sendall(codec.encode(REQUEST))
            # Once the acceptance was sent, both libraries are in Sta6.
            heard.wait(lambda: any(said["next_state"] == "Sta6" for said in heard.of("EVT_FSM_TRANSITION")))
            heard.wait(lambda: bool(heard.of("EVT_ESTABLISHED")))
            peer.sendall(BREACHES.get(scenario) or ENDINGS[scenario])
            if scenario in BREACHES:
                # After an abort it is the peer that closes.
                heard.wait(
                    lambda: any(said["next_state"] == "Sta13" for said in heard.of("EVT_FSM_TRANSITION"))
                )
        heard.wait(heard.over)
    finally:
        server.shutdown()
        server.server_close()
    return heard


# ---- the comparison -------------------------------------------------------------------------------------


def differences(expected: Any, found: Any, path: str) -> Iterator[str]:
    """Name what differs; that more can be read of ours is no difference."""
    if isinstance(expected, dict) and isinstance(found, dict):
        where = f"{path}.{expected['class']}" if path in ("primitive", "pdu") else path
        for name, value in expected.items():
            at = f"{where}.{name}"
            if name not in found:
                yield f"{at} is missing"
            else:
                yield from differences(value, found[name], at)
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for one, other in zip(expected, found, strict=True):
            yield from differences(one, other, path)
    elif expected != found:
        yield f"{path} is {found!r}, not {expected!r}"


def tolerated(scenario: str, event: str, difference: str) -> bool:
    return any(
        known.event == event
        and difference.startswith(f"{known.path} is ")
        and (not known.scenarios or scenario in known.scenarios)
        for known in DIFFERENCES
    )


def compare(scenario: str, expected: Heard, found: Heard, event: str) -> None:
    theirs, ours = expected.of(event), found.of(event)
    wrong: list[str] = []
    for index, (one, other) in enumerate(zip(theirs, ours, strict=False)):
        if one.keys() != other.keys():
            wrong.append(f"{index}: {sorted(other)} instead of {sorted(one)}")
        for name, value in one.items():
            wrong += [
                f"{index}: {text}"
                for text in differences(value, other.get(name), name)
                if not tolerated(scenario, event, text)
            ]
    assert not wrong, "\n".join(wrong)
    assert len(ours) == len(theirs), ours


SCENARIOS = ("work", "query", "negotiate", "reject", "requestor aborts", "acceptor aborts")


@pytest.mark.parametrize("event", NOTIFICATIONS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_requestor_hears_the_same(scenario: str, event: str) -> None:
    expected, _ = run(scenario, "pynetdicom", "pynetdicom")
    found, _ = run(scenario, "dulcimer", "pynetdicom")
    compare(scenario, expected, found, event)
    assert found.roles == {"requestor"}


@pytest.mark.parametrize("event", NOTIFICATIONS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_an_acceptor_hears_the_same(scenario: str, event: str) -> None:
    _, expected = run(scenario, "pynetdicom", "pynetdicom")
    _, found = run(scenario, "pynetdicom", "dulcimer")
    compare(scenario, expected, found, event)
    assert found.roles == {"acceptor"}


@pytest.mark.parametrize("event", NOTIFICATIONS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_both_sides_hear_the_same_of_each_other(scenario: str, event: str) -> None:
    for expected, found in zip(
        run(scenario, "pynetdicom", "pynetdicom"), run(scenario, "dulcimer", "dulcimer"), strict=True
    ):
        compare(scenario, expected, found, event)


@pytest.mark.parametrize("event", NOTIFICATIONS)
@pytest.mark.parametrize("scenario", [*BREACHES, *ENDINGS])
def test_an_acceptor_hears_the_same_of_a_peer_that_goes_wrong(scenario: str, event: str) -> None:
    compare(scenario, run_scripted(scenario, "pynetdicom"), run_scripted(scenario, "dulcimer"), event)


@pytest.mark.parametrize("module", ["pdu", "pdu_items", "dimse_messages", "pdu_primitives"])
def test_what_handlers_are_given_has_all_public_names(module: str) -> None:
    theirs, ours = import_module(f"pynetdicom.{module}"), import_module(f"dulcimer.{module}")
    missing: list[str] = []
    for name, kind in vars(theirs).items():
        if name.startswith("_") or not isinstance(kind, type) or kind.__module__ != theirs.__name__:
            continue
        instance = getattr(ours, name, None)
        if instance is None:
            missing.append(name)
            continue
        has = dir(instance())
        missing += [f"{name}.{member}" for member in dir(kind()) if member[0] != "_" and member not in has]
    assert missing == []
