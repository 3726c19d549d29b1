"""The application entity: its settings, its contexts and its servers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest
from pydicom.uid import UID

import dulcimer
from api.peers import EXPLICIT, IMPLICIT, PATIENCE, Network, eventually
from dulcimer import AE, DEFAULT_TRANSFER_SYNTAXES, build_context, evt
from dulcimer.identity import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from dulcimer.sop_class import CTImageStorage, MRImageStorage, Verification
from dulcimer.transport import AssociationServer, ThreadedAssociationServer

BIG_ENDIAN = "1.2.840.10008.1.2.2"
TIMEOUTS = {"acse_timeout": 30, "dimse_timeout": 30, "network_timeout": 60, "connection_timeout": None}

# -- The package


NAMES = ["AE", "evt", "build_context", "build_role", "debug_logger", "register_uid", "__version__"]
NAMES += ["ALL_TRANSFER_SYNTAXES", "DEFAULT_TRANSFER_SYNTAXES", "Association"]
NAMES += ["AllStoragePresentationContexts", "ModalityPerformedPresentationContexts"]
NAMES += ["PrintManagementPresentationContexts", "StoragePresentationContexts"]
NAMES += ["UnifiedProcedurePresentationContexts", "VerificationPresentationContexts"]


@pytest.mark.parametrize("name", NAMES)
def test_the_package_has_the_public_names(name: str) -> None:
    assert getattr(dulcimer, name) is not None


@pytest.mark.interop
def test_the_package_has_every_name_that_pynetdicom_has() -> None:
    pynetdicom = pytest.importorskip("pynetdicom")
    ours = {name.replace("PYNETDICOM", "DULCIMER") for name in dir(dulcimer)}
    missing = {name for name in pynetdicom.__all__ if name.replace("PYNETDICOM", "DULCIMER") not in ours}
    assert missing == set()


def test_evt_is_the_module_of_events() -> None:
    assert dulcimer.evt is dulcimer.events
    assert dulcimer.AE is dulcimer.ae.ApplicationEntity


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        _ = dulcimer.nothing_of_that_name


def test_debug_logger_shows_what_goes_on() -> None:
    code = (
        "from dulcimer import AE, debug_logger; debug_logger(); ae = AE()\n"
        "ae.add_requested_context('1.2.840.10008.1.1'); ae.add_supported_context('1.2.840.10008.1.1')\n"
        "server = ae.start_server(('127.0.0.1', 0), block=False)\n"
        "assoc = ae.associate(*server.server_address); assoc.send_c_echo(); assoc.release(); ae.shutdown()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    text = done.stdout + done.stderr
    assert "C-ECHO" in text
    assert "Traceback" not in text


# -- Settings


def test_defaults() -> None:
    ae = AE()
    assert ae.maximum_associations == 10
    assert ae.maximum_pdu_size == 16382
    assert {name: getattr(ae, name) for name in TIMEOUTS} == TIMEOUTS
    assert (ae.require_called_aet, ae.require_calling_aet) == (False, [])
    assert (ae.requested_contexts, ae.supported_contexts, ae.active_associations) == ([], [], [])
    assert (ae.implementation_class_uid, ae.implementation_version_name) == (
        IMPLEMENTATION_UID,
        IMPLEMENTATION_VERSION,
    )
    assert len(IMPLEMENTATION_VERSION) <= 16
    assert len(ae.ae_title) in range(1, 17)


@pytest.mark.parametrize("title", ["A", "STORESCP", "a b c", "sixteen char aet"])
def test_ae_titles(title: str) -> None:
    assert AE(ae_title=title).ae_title == title
    ae = AE()
    ae.ae_title = title
    assert ae.ae_title == title


@pytest.mark.parametrize("title", ["", "   ", "x" * 17, "a\\b", "tab\there", "Ä"])
def test_what_is_no_ae_title_is_a_value_error(title: str) -> None:
    with pytest.raises(ValueError, match="ae_title"):
        AE(ae_title=title)
    ae = AE("BEFORE")
    with pytest.raises(ValueError, match="ae_title"):
        ae.ae_title = title
    assert ae.ae_title == "BEFORE"


@pytest.mark.parametrize("title", [None, 1, ["A"]])
def test_what_is_no_str_is_a_type_error(title: Any) -> None:
    with pytest.raises(TypeError, match="'ae_title' must be str"):
        AE(ae_title=title)


@pytest.mark.parametrize("name", TIMEOUTS)
@pytest.mark.parametrize("value", [None, 1, 0.5])
def test_timeouts(name: str, value: float | None) -> None:
    ae = AE()
    setattr(ae, name, value)
    assert getattr(ae, name) == value


@pytest.mark.parametrize("name", TIMEOUTS)
@pytest.mark.parametrize("value", ["5", -1])
def test_what_is_no_timeout_is_the_default(name: str, value: Any) -> None:
    ae = AE()
    setattr(ae, name, 3)
    setattr(ae, name, value)
    assert getattr(ae, name) == TIMEOUTS[name]


def test_a_connection_timeout_of_zero_is_none() -> None:
    ae = AE()
    ae.connection_timeout = 0
    assert ae.connection_timeout is None


def test_timeouts_reach_associations_that_are_there(net: Network) -> None:
    ae = net.ae()
    assoc = net.associate(net.serve(contexts=[Verification]), [Verification], ae=ae)
    ae.acse_timeout, ae.dimse_timeout, ae.network_timeout, ae.connection_timeout = 7, 8, 9, 10
    assert (assoc.acse_timeout, assoc.dimse_timeout, assoc.network_timeout) == (7, 8, 9)
    assert assoc.connection_timeout == 10


@pytest.mark.parametrize(("value", "kept"), [(1, 1), (500, 500), (0, 1), (-1, 1), ("5", 1)])
def test_maximum_associations(value: Any, kept: int) -> None:
    ae = AE()
    ae.maximum_associations = value
    assert ae.maximum_associations == kept


@pytest.mark.parametrize(("value", "kept"), [(0, 0), (1 << 17, 1 << 17), (-1, 16382)])
def test_maximum_pdu_size(value: int, kept: int) -> None:
    ae = AE()
    ae.maximum_pdu_size = value
    assert ae.maximum_pdu_size == kept


def test_implementation(net: Network) -> None:
    ae = net.ae(implementation_class_uid="1.2.3.4", implementation_version_name="NAME 1")
    assert isinstance(ae.implementation_class_uid, UID)
    seen: list[Any] = []

    def note(event: evt.Event) -> None:
        requestor = event.assoc.requestor
        seen.append((requestor.implementation_class_uid, requestor.implementation_version_name))

    server = net.serve([(evt.EVT_REQUESTED, note)], [Verification])
    net.associate(server, [Verification], ae=ae)
    ae.implementation_version_name = None
    net.associate(server, [Verification], ae=ae)
    assert seen == [("1.2.3.4", "NAME 1"), ("1.2.3.4", None)]


@pytest.mark.parametrize(("value", "error"), [("", ValueError), ("1.2.x", ValueError), ("1.02", ValueError)])
def test_what_is_no_implementation_class_uid(value: str, error: type[Exception]) -> None:
    ae = AE()
    with pytest.raises(error):
        ae.implementation_class_uid = value
    assert ae.implementation_class_uid == IMPLEMENTATION_UID


@pytest.mark.parametrize("value", [None, 1234])
def test_an_implementation_class_uid_of_another_type(value: Any) -> None:
    with pytest.raises(TypeError):
        AE().implementation_class_uid = value


@pytest.mark.parametrize(("value", "error"), [("", ValueError), ("x" * 17, ValueError), (1, TypeError)])
def test_what_is_no_implementation_version_name(value: Any, error: type[Exception]) -> None:
    ae = AE()
    with pytest.raises(error):
        ae.implementation_version_name = value
    assert ae.implementation_version_name == IMPLEMENTATION_VERSION


def test_require_calling_aet() -> None:
    ae = AE()
    ae.require_calling_aet = ["ONE", "TWO"]
    assert ae.require_calling_aet == ["ONE", "TWO"]
    with pytest.raises(ValueError, match="require_calling_aet"):
        ae.require_calling_aet = ["x" * 17]
    with pytest.raises(TypeError):
        ae.require_calling_aet = [1]  # type: ignore[list-item]
    assert ae.require_calling_aet == ["ONE", "TWO"]
    ae.require_calling_aet = []
    assert ae.require_calling_aet == []


# -- Requested contexts


def test_adding_requested_contexts() -> None:
    ae = AE()
    ae.add_requested_context(Verification)
    ae.add_requested_context(str(CTImageStorage), EXPLICIT)
    ae.add_requested_context(Verification, [IMPLICIT, EXPLICIT])
    assert [(c.abstract_syntax, c.transfer_syntax) for c in ae.requested_contexts] == [
        (Verification, DEFAULT_TRANSFER_SYNTAXES),
        (CTImageStorage, [EXPLICIT]),
        (Verification, [IMPLICIT, EXPLICIT]),
    ]


def test_no_more_than_128_requested_contexts() -> None:
    ae = AE()
    for number in range(128):
        ae.add_requested_context(f"1.2.{number}")
    with pytest.raises(ValueError, match="maximum"):
        ae.add_requested_context("1.2.128")
    assert len(ae.requested_contexts) == 128


def test_setting_requested_contexts() -> None:
    ae = AE()
    ae.requested_contexts = dulcimer.VerificationPresentationContexts
    assert [c.abstract_syntax for c in ae.requested_contexts] == [Verification]
    with pytest.raises(ValueError, match="PresentationContext"):
        ae.requested_contexts = [Verification]
    with pytest.raises(ValueError, match="128"):
        ae.requested_contexts = [build_context(f"1.2.{number}") for number in range(129)]
    assert [c.abstract_syntax for c in ae.requested_contexts] == [Verification]
    ae.requested_contexts = []
    assert ae.requested_contexts == []


def test_changing_the_contexts_of_an_ae_leaves_the_given_ones_alone() -> None:
    given = build_context(Verification, [IMPLICIT, EXPLICIT])
    ae = AE()
    ae.requested_contexts = [given]
    ae.supported_contexts = [given]
    ae.remove_requested_context(Verification, IMPLICIT)
    ae.remove_supported_context(Verification, EXPLICIT)
    assert given.transfer_syntax == [IMPLICIT, EXPLICIT]


def test_removing_requested_contexts() -> None:
    ae = AE()
    ae.add_requested_context(Verification, [IMPLICIT, EXPLICIT])
    ae.add_requested_context(CTImageStorage)
    ae.add_requested_context(Verification, [IMPLICIT])
    ae.remove_requested_context(Verification, IMPLICIT)
    assert [(c.abstract_syntax, c.transfer_syntax) for c in ae.requested_contexts] == [
        (Verification, [EXPLICIT]),
        (CTImageStorage, DEFAULT_TRANSFER_SYNTAXES),
    ]
    ae.remove_requested_context(CTImageStorage)
    ae.remove_requested_context(MRImageStorage)
    ae.remove_requested_context(Verification, [EXPLICIT, BIG_ENDIAN])
    assert ae.requested_contexts == []


# -- Supported contexts


def test_adding_supported_contexts() -> None:
    ae = AE()
    ae.add_supported_context(CTImageStorage, EXPLICIT)
    ae.add_supported_context(Verification)
    ae.add_supported_context(CTImageStorage, [IMPLICIT, EXPLICIT], scu_role=True, scp_role=False)
    found = [(c.abstract_syntax, c.transfer_syntax, c.scu_role, c.scp_role) for c in ae.supported_contexts]
    assert found == [
        (Verification, DEFAULT_TRANSFER_SYNTAXES, None, None),
        (CTImageStorage, [EXPLICIT, IMPLICIT], True, False),
    ]


def test_more_than_128_supported_contexts() -> None:
    ae = AE()
    for number in range(200):
        ae.add_supported_context(f"1.2.{number}")
    assert len(ae.supported_contexts) == 200


@pytest.mark.parametrize("roles", [{"scu_role": "yes"}, {"scp_role": 1}])
def test_what_is_no_role(roles: dict[str, Any]) -> None:
    ae = AE()
    with pytest.raises(TypeError, match=r"sc[up]_role"):
        ae.add_supported_context(Verification, **roles)
    assert ae.supported_contexts == []


def test_setting_supported_contexts() -> None:
    ae = AE()
    ae.supported_contexts = [build_context(CTImageStorage), build_context(Verification, EXPLICIT)]
    # In the order of the abstract syntaxes.
    assert [c.abstract_syntax for c in ae.supported_contexts] == [Verification, CTImageStorage]
    with pytest.raises(ValueError, match="PresentationContext"):
        ae.supported_contexts = ["1.2.3"]  # type: ignore[list-item]
    ae.supported_contexts = []
    assert ae.supported_contexts == []


def test_removing_supported_contexts() -> None:
    ae = AE()
    ae.add_supported_context(CTImageStorage, [EXPLICIT, IMPLICIT])
    ae.add_supported_context(Verification)
    ae.remove_supported_context(CTImageStorage, EXPLICIT)
    assert ae.supported_contexts[1].transfer_syntax == [IMPLICIT]
    ae.remove_supported_context(CTImageStorage, [IMPLICIT])
    ae.remove_supported_context(MRImageStorage)
    ae.remove_supported_context(Verification)
    assert ae.supported_contexts == []


# -- Requesting


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((1234, 104), "'addr' must be"),
        ((("::1", 0), 104), "'addr' must be"),
        ((("::1", "0", 0), 104), "'addr' must be"),
        (("127.0.0.1", "104"), "'port' must be int"),
    ],
)
def test_addresses_of_another_type(arguments: tuple[Any, Any], match: str) -> None:
    ae = AE()
    ae.add_requested_context(Verification)
    with pytest.raises(TypeError, match=match):
        ae.associate(*arguments)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", (1, 2), ("127.0.0.1", "1"), ("::1", 0, "0", 0), ("::1", 0, 0)]
)
def test_a_bind_address_of_another_type(address: Any) -> None:
    ae = AE()
    ae.add_requested_context(Verification)
    with pytest.raises(TypeError, match="'bind_address' must be"):
        ae.associate("127.0.0.1", 104, bind_address=address)


def test_no_contexts_to_request() -> None:
    with pytest.raises(RuntimeError, match="ontext"):
        AE().associate("127.0.0.1", 104)


@pytest.mark.parametrize("contexts", [["1.2.3"], [build_context("1.2.3")] * 129])
def test_what_are_no_contexts_to_request(contexts: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"PresentationContext|128"):
        AE().associate("127.0.0.1", 104, contexts=contexts)


@pytest.mark.parametrize("contexts", [None, []])
def test_the_contexts_of_the_ae_are_requested_unless_others_are_given(net: Network, contexts: Any) -> None:
    ae = net.ae()
    ae.add_requested_context(Verification, IMPLICIT)
    port = net.serve(contexts=[Verification]).server_address[1]
    assoc = ae.associate("127.0.0.1", port, contexts=contexts)
    assert [context.abstract_syntax for context in assoc.accepted_contexts] == [Verification]


@pytest.mark.parametrize("title", ["", "x" * 17])
def test_what_is_no_called_ae_title(title: str) -> None:
    ae = AE()
    ae.add_requested_context(Verification)
    with pytest.raises(ValueError, match="ae_title"):
        ae.associate("127.0.0.1", 104, ae_title=title)


def test_what_is_no_negotiation_item() -> None:
    ae = AE()
    ae.add_requested_context(Verification)
    with pytest.raises(TypeError, match="negotiation item"):
        ae.associate("127.0.0.1", 104, ext_neg=["role"])  # type: ignore[list-item]


def test_the_bind_address_is_bound(net: Network) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    ae = net.ae()
    ae.add_requested_context(Verification)
    server = net.serve(contexts=[Verification])
    assoc = ae.associate(*server.server_address, bind_address=("127.0.0.1", port))
    assert (assoc.local["address"], assoc.local["port"]) == ("127.0.0.1", port)


def test_a_bind_address_that_is_not_ours(net: Network) -> None:
    ae = net.ae()
    ae.add_requested_context(Verification)
    server = net.serve(contexts=[Verification])
    assoc = ae.associate(*server.server_address, bind_address=("192.0.2.1", 0))
    assert assoc.is_aborted
    assert assoc.failure is not None


# -- Serving


def test_make_server_accepts_when_it_is_told_to(net: Network) -> None:
    ae = net.ae("SERVER")
    ae.add_supported_context(Verification)
    server = ae.make_server(("127.0.0.1", 0))
    assert isinstance(server, AssociationServer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    assert net.associate(server, [Verification]).send_c_echo().Status == 0x0000
    server.shutdown()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(server.server_address[:2], PATIENCE)


def test_make_server_takes_a_class_and_its_arguments(net: Network) -> None:
    class Mine(ThreadedAssociationServer):
        def __init__(self, *args: Any, colour: str, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.colour = colour

    ae = net.ae("SERVER")
    server = ae.make_server(
        ("127.0.0.1", 0), contexts=[build_context(Verification)], server_class=Mine, colour="red"
    )
    assert (type(server), server.colour) == (Mine, "red")
    server.shutdown()


@pytest.mark.parametrize("make", ["make_server", "start_server"])
def test_servers_need_contexts(make: str) -> None:
    with pytest.raises(ValueError, match="No supported Presentation Contexts"):
        getattr(AE(), make)(("127.0.0.1", 0))


@pytest.mark.parametrize("roles", [(True, None), (None, False)])
def test_servers_need_both_roles_or_none(roles: tuple[Any, Any]) -> None:
    ae = AE()
    ae.add_supported_context(CTImageStorage, scu_role=roles[0], scp_role=roles[1])
    with pytest.raises(ValueError, match="inconsistent") as raised:
        ae.make_server(("127.0.0.1", 0))
    assert str(CTImageStorage) in str(raised.value) or CTImageStorage.name in str(raised.value)


def test_a_port_that_is_taken(net: Network) -> None:
    server = net.serve(contexts=[Verification])
    with pytest.raises(OSError, match="in use"):
        net.ae().start_server(server.server_address, block=False, contexts=[build_context(Verification)])


def test_a_servers_own_title_and_contexts(net: Network) -> None:
    ae = net.ae("SERVER", require_called_aet=True)
    ae.add_supported_context(CTImageStorage)
    server = ae.start_server(
        ("127.0.0.1", 0), block=False, ae_title="OTHER", contexts=[build_context(Verification)]
    )
    assert server is not None
    assert net.associate(server, [Verification]).is_rejected
    assoc = net.associate(server, [Verification, CTImageStorage], ae_title="OTHER")
    assert [context.abstract_syntax for context in assoc.accepted_contexts] == [Verification]


def test_changing_contexts_does_not_change_servers_that_run(net: Network) -> None:
    ae = net.ae("SERVER")
    ae.add_supported_context(Verification)
    server = net.serve(ae=ae)
    ae.remove_supported_context(Verification)
    assert net.associate(server, [Verification]).is_established


def test_several_servers_of_one_ae(net: Network) -> None:
    ae = net.ae("SERVER")
    servers = [net.serve(contexts=[uid], ae=ae) for uid in (Verification, CTImageStorage)]
    assocs = [net.associate(servers[0], [Verification]), net.associate(servers[1], [CTImageStorage])]
    assert all(assoc.is_established for assoc in assocs)
    assert eventually(lambda: len(ae.active_associations) == 2)
    assert [len(server.active_associations) for server in servers] == [1, 1]
    servers[0].shutdown()
    assert eventually(lambda: assocs[0].is_aborted)
    assert assocs[1].is_established
    ae.shutdown()
    assert eventually(lambda: assocs[1].is_aborted)
    assert ae.active_associations == []


def test_shutdown_ends_what_was_requested_too(net: Network) -> None:
    ae = net.ae()
    assoc = net.associate(net.serve(contexts=[Verification]), [Verification], ae=ae)
    assert ae.active_associations == [assoc]
    ae.shutdown()
    assert assoc.is_aborted
    assert eventually(lambda: ae.active_associations == [])
    ae.shutdown()


def test_a_server_can_be_shut_down_from_within_a_handler(net: Network) -> None:
    servers: list[Any] = []
    done = threading.Event()

    def handle(event: evt.Event) -> int:
        servers[0].shutdown()
        done.set()
        return 0x0000

    servers.append(net.serve([(evt.EVT_C_ECHO, handle)], [Verification]))
    net.associate(servers[0], [Verification]).send_c_echo()
    assert done.wait(1), "it waited for itself"
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(servers[0].server_address[:2], PATIENCE)


def test_a_blocking_server_ends_with_ctrl_c() -> None:
    code = (
        "from dulcimer import AE; ae = AE(); ae.add_supported_context('1.2.840.10008.1.1')\n"
        "import threading, time\n"
        "threading.Timer(0.2, lambda: print('ready', flush=True)).start()\n"
        "print(ae.start_server(('127.0.0.1', 0), block=True))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGINT)
        assert process.stdout.read() == "None\n"
        assert process.wait(PATIENCE) == 0


# -- Words


def test_the_words_for_an_ae(net: Network) -> None:
    ae = net.ae("SPEAKER", require_calling_aet=["ONE", "TWO"], require_called_aet=True)
    text = str(ae)
    assert "Application Entity SPEAKER" in text
    assert text.count("None") == 2
    assert "Required calling AE title(s): ONE, TWO" in text
    assert "Require called AE title: True" in text
    assert "Association(s): 0/10" in text
    ae.add_requested_context(Verification, IMPLICIT)
    ae.add_supported_context(CTImageStorage, EXPLICIT)
    server = net.serve(contexts=[Verification])
    net.associate(server, [Verification], ae=ae)
    text = str(ae)
    assert "\tVerification SOP Class\n\t\tImplicit VR Little Endian" in text
    assert "\tCT Image Storage\n\t\tExplicit VR Little Endian" in text
    assert "Association(s): 1/10" in text
    assert f"Peer: SERVER on 127.0.0.1:{server.server_address[1]}" in text
    for name in ("ACSE", "DIMSE", "Network", "Connection"):
        assert f"{name} timeout: {PATIENCE} s" in text


@pytest.mark.interop
def test_the_words_for_an_ae_are_those_of_pynetdicom() -> None:
    pynetdicom = pytest.importorskip("pynetdicom")
    texts = []
    for kind in (AE, pynetdicom.AE):
        ae = kind(ae_title="SPEAKER")
        ae.add_requested_context(Verification, IMPLICIT)
        ae.add_supported_context(CTImageStorage)
        ae.require_calling_aet = ["ONE"]
        texts.append(str(ae))
    assert texts[0] == texts[1]
