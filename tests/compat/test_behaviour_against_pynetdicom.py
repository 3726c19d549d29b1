"""The same program with both packages: what it gets and which exceptions it sees.

A *snippet* is given one package and returns what a program would notice; it must be the same for both. What
is meant to be different is listed in ``DIFFERENT`` with the reason. The last part has one package at each
end of an association. Further, by intent, and therefore not compared:

- a list of contexts that is assigned to an entity replaces the one before; supported ones keep their roles;
- a negative maximum PDU size makes it the default, as the warning says;
- a server's ``shutdown()`` ends its associations, too;
- storage without restrictions keeps to the order of supported contexts, and gives requestors no SCP role;
- objects whose UIDs are too long are sent as they are.
"""

# What a program sees is noted step by step.
# ruff: noqa: PERF401

from __future__ import annotations

import importlib
import logging
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from queue import Queue
from threading import Event as Flag
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.uid import UID

from api.peers import PATIENCE, eventually

pytestmark = [
    pytest.mark.interop,
    # pynetdicom leaves sockets to the garbage collector, and its threads may end with an exception.
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
        "ignore::pytest.PytestUnhandledThreadExceptionWarning",
    ),
]

pytest.importorskip("pynetdicom")

VERIFICATION, CT, MR = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT, EXPLICIT, BIG, DEFLATED = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)


def package(name: str) -> SimpleNamespace:
    root = importlib.import_module(name)
    modules = ("_config", "association", "events", "pdu_primitives", "presentation", "transport", "utils")
    return SimpleNamespace(
        name=name,
        AE=root.AE,
        evt=root.evt,
        build_context=root.build_context,
        build_role=root.build_role,
        lists=root,
        **{module.lstrip("_"): importlib.import_module(f"{name}.{module}") for module in modules},
    )


OURS, THEIRS = package("dulcimer"), package("pynetdicom")
PACKAGES = {"dulcimer": OURS, "pynetdicom": THEIRS}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep pynetdicom's log out of the output."""
    logger = logging.getLogger("pynetdicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(level)


def attempt(action: Callable[[], Any]) -> Any:
    """Return what an action gives, or the type of the exception that it raises."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DeprecationWarning)
        try:
            given = action()
        except Exception as error:
            given = type(error)
        deprecated = any(issubclass(warning.category, DeprecationWarning) for warning in caught)
    return (given, "deprecated") if deprecated else given


def after_setting(thing: Any, name: str, value: Any) -> Any:
    def action() -> Any:
        setattr(thing, name, value)
        return getattr(thing, name)

    return attempt(action)


# ---- application entities ------------------------------------------------------------------------------

TITLES = [
    "A",
    "A" * 16,
    "A" * 17,
    "",
    " ",
    " A ",
    "a\\b",
    "é",
    "\n",
    b"A",
    b"\xe9",
    b"A" * 17,
    1,
    None,
    ["A"],
]
NUMBERS = [0, 1, -1, 0.5, -0.5, 30, 1e9, None, True, "a", "5", [], 2**40]
AE_VALUES = {
    "ae_title": TITLES,
    "implementation_class_uid": ["1.2.3", UID("1.2.3"), "", "1.2.03", "a", "1" * 65, b"1.2.3", None, 1],
    "implementation_version_name": ["A", "A" * 16, "A" * 17, "", " ", None, 1, b"A", "é"],
    "acse_timeout": NUMBERS,
    "connection_timeout": NUMBERS,
    "dimse_timeout": NUMBERS,
    "network_timeout": NUMBERS,
    "maximum_associations": NUMBERS,
    "maximum_pdu_size": NUMBERS,
    "require_called_aet": [True, False, None, 1, "a"],
    "require_calling_aet": [
        [],
        ["A"],
        ["A", "B"],
        ["A" * 17],
        [""],
        [" "],
        [b"A"],
        [1],
        [None],
        (),
        "AB",
        None,
    ],
}
DIFFERENT = {
    ("maximum_pdu_size", None): "one exception for all that is no number",
}


@pytest.mark.parametrize("name", AE_VALUES)
def test_properties_of_an_ae(name: str) -> None:
    different = {}
    for value in AE_VALUES[name]:
        ours, theirs = (after_setting(each.AE(), name, value) for each in (OURS, THEIRS))
        if ours != theirs and (name, value if not isinstance(value, list) else None) not in DIFFERENT:
            different[repr(value)] = ours, theirs
    assert different == {}


@pytest.mark.parametrize("title", TITLES, ids=repr)
def test_titles_of_an_ae(title: Any) -> None:
    ours, theirs = (attempt(lambda each=each: each.AE(ae_title=title).ae_title) for each in (OURS, THEIRS))
    assert ours == theirs


def contexts_of(contexts: list[Any]) -> list[Any]:
    return [
        (cx.context_id, cx.abstract_syntax, list(cx.transfer_syntax), cx.scu_role, cx.scp_role, cx.result)
        for cx in contexts
    ]


SYNTAXES: list[Any] = [
    None,
    IMPLICIT,
    UID(EXPLICIT),
    [IMPLICIT],
    [EXPLICIT, IMPLICIT],
    [UID(EXPLICIT), IMPLICIT],
    (IMPLICIT, EXPLICIT),
    [EXPLICIT, EXPLICIT],
    [],
    "",
    "not a uid",
    ["1" * 65],
    [1],
    [None],
    1,
    [b"1.2.3"],
]
ABSTRACTS: list[Any] = [CT, UID(CT), "1.2.3.4", "", "x", "1" * 65, None, 1, b"1.2.3"]


@pytest.mark.parametrize("kind", ["requested", "supported"])
@pytest.mark.parametrize("syntax", SYNTAXES, ids=repr)
def test_a_context_is_added(kind: str, syntax: Any) -> None:
    def snippet(each: Any) -> Any:
        ae = each.AE()
        added = attempt(lambda: getattr(ae, f"add_{kind}_context")(CT, syntax))
        again = attempt(lambda: getattr(ae, f"add_{kind}_context")(CT, DEFLATED))
        return added, again, contexts_of(getattr(ae, f"{kind}_contexts"))

    assert snippet(OURS) == snippet(THEIRS)


@pytest.mark.parametrize("kind", ["requested", "supported"])
@pytest.mark.parametrize("abstract", ABSTRACTS, ids=repr)
def test_a_context_of_an_abstract_syntax_is_added(kind: str, abstract: Any) -> None:
    def snippet(each: Any) -> Any:
        ae = each.AE()
        added = attempt(lambda: getattr(ae, f"add_{kind}_context")(abstract))
        return added, contexts_of(getattr(ae, f"{kind}_contexts"))

    assert snippet(OURS) == snippet(THEIRS)


@pytest.mark.parametrize(
    "roles", [(True, False), (None, True), (False, None), ("a", True), (True, 1), (0, 0)]
)
def test_roles_of_supported_contexts(roles: Any) -> None:
    def snippet(each: Any) -> Any:
        ae = each.AE()
        first = attempt(lambda: ae.add_supported_context(CT, IMPLICIT, *roles))
        second = attempt(lambda: ae.add_supported_context(CT, EXPLICIT, True, True))
        third = attempt(lambda: ae.add_supported_context(CT, BIG, *roles))
        return first, second, third, contexts_of(ae.supported_contexts)

    assert snippet(OURS) == snippet(THEIRS)


@pytest.mark.parametrize("kind", ["requested", "supported"])
@pytest.mark.parametrize("abstract", [CT, UID(CT), MR, "1.2.3", "x", ""], ids=repr)
@pytest.mark.parametrize(
    "syntax", [None, IMPLICIT, [IMPLICIT, EXPLICIT], [IMPLICIT, EXPLICIT, BIG], "1.2.3", [], (BIG,)], ids=repr
)
def test_a_context_is_removed(kind: str, abstract: Any, syntax: Any) -> None:
    def snippet(each: Any) -> Any:
        ae = each.AE()
        for offered in ([IMPLICIT, EXPLICIT, BIG], [IMPLICIT]):
            getattr(ae, f"add_{kind}_context")(CT, offered)
        getattr(ae, f"add_{kind}_context")(VERIFICATION)
        removed = attempt(lambda: getattr(ae, f"remove_{kind}_context")(abstract, syntax))
        return removed, contexts_of(getattr(ae, f"{kind}_contexts"))

    assert snippet(OURS) == snippet(THEIRS)


def test_there_are_at_most_128_requested_contexts() -> None:
    def snippet(each: Any) -> Any:
        ae = each.AE()
        for number in range(127):
            ae.add_requested_context(f"1.2.3.{number}", IMPLICIT)
        results = [attempt(lambda: ae.add_requested_context("1.2.4")) for _ in range(2)]
        many = [each.build_context("1.2.3") for _ in range(129)]
        fresh = each.AE()
        results.append(attempt(lambda: setattr(fresh, "requested_contexts", many)))
        results.append(attempt(lambda: setattr(fresh, "requested_contexts", many[:128])))
        results.append(attempt(lambda: fresh.associate("127.0.0.1", 1, contexts=many)))
        for number in range(200):
            fresh.add_supported_context(f"1.2.3.{number}", IMPLICIT)
        return (
            results,
            len(ae.requested_contexts),
            len(fresh.requested_contexts),
            len(fresh.supported_contexts),
        )

    assert snippet(OURS) == snippet(THEIRS)


@pytest.mark.parametrize("kind", ["requested", "supported"])
def test_lists_of_contexts(kind: str) -> None:
    def snippet(each: Any) -> Any:
        ae = each.AE()
        results = []
        for value in (
            each.lists.VerificationPresentationContexts,
            [],
            each.lists.StoragePresentationContexts,
            [each.build_context(CT, EXPLICIT)] if kind == "supported" else [],
        ):
            setattr(ae, f"{kind}_contexts", [])
            setattr(ae, f"{kind}_contexts", value)
            results.append(contexts_of(getattr(ae, f"{kind}_contexts")))
        for wrong in ([CT], [None], ["a"], [(CT, IMPLICIT)]):
            results.append(attempt(lambda wrong=wrong: setattr(ae, f"{kind}_contexts", wrong)))
        # The entity has contexts of its own: the list's are left as they are.
        mine = getattr(ae, f"{kind}_contexts")
        results.append(any(cx is other for cx in mine for other in each.lists.StoragePresentationContexts))
        return results

    assert snippet(OURS) == snippet(THEIRS)


def test_an_ae_as_text() -> None:
    def snippet(each: Any) -> str:
        ae = each.AE("TESTER")
        first = str(ae)
        ae.add_requested_context(CT, [IMPLICIT, "1.2.3"])
        ae.add_supported_context("1.2.3.4")
        ae.require_calling_aet = ["A", "B"]
        ae.require_called_aet = True
        ae.maximum_associations = 3
        ae.dimse_timeout = None
        return first + str(ae)

    assert snippet(OURS) == snippet(THEIRS)


# ---- presentation contexts -----------------------------------------------------------------------------


@pytest.mark.parametrize("abstract", ABSTRACTS, ids=repr)
@pytest.mark.parametrize("syntax", SYNTAXES, ids=repr)
def test_build_context(abstract: Any, syntax: Any) -> None:
    def snippet(each: Any) -> Any:
        return attempt(lambda: contexts_of([each.build_context(abstract, syntax)]))

    assert snippet(OURS) == snippet(THEIRS)


@pytest.mark.parametrize("uid", [CT, UID(CT), "", None, 1, "x" * 65, b"1.2.3"], ids=repr)
@pytest.mark.parametrize("roles", [(), (True,), (True, True), (None, False), (1, 0), ("a", True)], ids=repr)
def test_build_role(uid: Any, roles: Any) -> None:
    def snippet(each: Any) -> Any:
        def action() -> Any:
            role = each.build_role(uid, *roles)
            return role.sop_class_uid, role.scu_role, role.scp_role

        return attempt(action)

    assert snippet(OURS) == snippet(THEIRS)


def test_equality_of_contexts() -> None:
    def snippet(each: Any) -> Any:
        def make(**changes: Any) -> Any:
            context = each.build_context(CT, [IMPLICIT, EXPLICIT])
            for name, value in changes.items():
                setattr(context, name, value)
            return context

        variants = [
            make(),
            make(),
            make(context_id=1),
            make(abstract_syntax=MR),
            make(transfer_syntax=[EXPLICIT, IMPLICIT]),
            make(transfer_syntax=[IMPLICIT]),
            make(result=0),
            make(scu_role=True),
            make(scp_role=False),
        ]
        others: list[Any] = [None, CT, 1]
        equal = [[a == b for b in variants + others] for a in variants]
        unequal = [[a != b for b in variants + others] for a in variants]
        hashes = [[hash(a) == hash(b) for b in variants] for a in variants]
        listed = make() in variants, variants.index(make(result=0))
        return equal, unequal, hashes, listed

    assert snippet(OURS) == snippet(THEIRS)


def test_properties_of_a_context() -> None:
    def snippet(each: Any) -> Any:
        context = each.presentation.PresentationContext()
        results: list[Any] = [attempt(lambda: context.as_tuple), context.as_scu, context.as_scp]
        for value in (1, 255, 3, 0, 2, 256, -1, "a", None, 1.0):
            results.append(after_setting(context, "context_id", value))
        for result in (None, 0, 1, 2, 3, 4, 5, "a"):
            context.result = result
            results.append((context.status, context.result))
        for value in (IMPLICIT, b"1.2.3", UID("1.2.4"), None, 1, "", "a b"):
            results.append(
                (
                    attempt(lambda value=value: context.add_transfer_syntax(value)),
                    len(context.transfer_syntax),
                )
            )
        context.context_id, context.abstract_syntax = 5, CT
        results.append(tuple(context.as_tuple))
        return results

    assert snippet(OURS) == snippet(THEIRS)


# ---- associations that are not ---------------------------------------------------------------------------


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


BAD_CALLS: dict[str, dict[str, Any]] = {
    "address is a number": {"addr": 1},
    "address is None": {"addr": None},
    "address is bytes": {"addr": b"127.0.0.1"},
    "address of wrong parts": {"addr": ("::1", "0", 0)},
    "port is text": {"port": "104"},
    "port is None": {"port": None},
    "port is a float": {"port": 104.0},
    "title is a number": {"ae_title": 1},
    "title is None": {"ae_title": None},
    "title is empty": {"ae_title": ""},
    "title is spaces": {"ae_title": "   "},
    "title is long": {"ae_title": "A" * 17},
    "title is not ASCII": {"ae_title": "é"},
    "title has a backslash": {"ae_title": "a\\b"},
    "maximum is negative": {"max_pdu": -1},
    "maximum is text": {"max_pdu": "a"},
    "maximum is None": {"max_pdu": None},
    "contexts of text": {"contexts": [CT]},
    "contexts of None": {"contexts": [None]},
    "bind address is text": {"bind_address": "127.0.0.1"},
    "bind address is short": {"bind_address": ("127.0.0.1",)},
    "bind address of text": {"bind_address": ("127.0.0.1", "a")},
    "bind address of four": {"bind_address": ("::1", 0, "a", 0)},
    "negotiation of text": {"ext_neg": ["a"]},
    "negotiation of None": {"ext_neg": [None]},
    "handlers of one": {"evt_handlers": [(1,)]},
}


@pytest.mark.parametrize("call", BAD_CALLS)
def test_associate_with_bad_arguments(call: str) -> None:
    def snippet(each: Any) -> Any:
        ae = each.AE()
        ae.add_requested_context(VERIFICATION)
        arguments = {"addr": "127.0.0.1", "port": closed_port(), **BAD_CALLS[call]}
        outcome = attempt(lambda: ae.associate(**arguments))
        ae.shutdown()
        assert isinstance(outcome, type), outcome
        return outcome

    assert snippet(OURS) == snippet(THEIRS)


def test_associate_without_contexts() -> None:
    assert attempt(lambda: OURS.AE().associate("127.0.0.1", closed_port())) is RuntimeError
    assert attempt(lambda: THEIRS.AE().associate("127.0.0.1", closed_port())) is RuntimeError


def state(assoc: Any) -> Any:
    return assoc.is_established, assoc.is_rejected, assoc.is_aborted, assoc.is_released


def info_of(side: Any) -> Any:
    known = dict(side.info)
    known.pop("port"), known.pop("address")
    return known


def test_nobody_listens() -> None:
    def snippet(each: Any) -> Any:
        told: list[str] = []
        ae = each.AE("TESTER")
        ae.add_requested_context(VERIFICATION)
        handlers = [(each.evt.EVT_ABORTED, lambda event: told.append(event.event.name))]
        assoc = ae.associate("127.0.0.1", closed_port(), ae_title="OTHER", evt_handlers=handlers)
        return (
            state(assoc),
            assoc.is_requestor,
            assoc.is_acceptor,
            assoc.mode,
            contexts_of(assoc.accepted_contexts),
            assoc.acceptor.ae_title,
            attempt(lambda: assoc.send_c_echo()),
            attempt(lambda: assoc.release()),
            attempt(lambda: assoc.abort()),
            state(assoc),
            ae.active_associations,
        )

    assert snippet(OURS) == snippet(THEIRS)


# ---- negotiation: the same package at both ends, and one at each -------------------------------------------

PAIRS = [("pynetdicom", "dulcimer"), ("dulcimer", "pynetdicom"), ("dulcimer", "dulcimer")]
"""Requestor and acceptor; what they see is compared with pynetdicom at both ends."""


class Overtaken(Exception):
    """A rejection came before pynetdicom looked at its socket: it takes the connection for a failed one."""


class Ends:
    """An association between two packages."""

    def __init__(self, requestor: Any, acceptor: Any, stack: ExitStack) -> None:
        self.requestor, self.acceptor = requestor, acceptor
        self._stack = stack
        self.told: list[Any] = []
        self.accepting: Queue[Any] = Queue()
        self.server_ae = acceptor.AE("SERVER")
        self.client_ae = requestor.AE("TESTER")
        self.server: Any = None
        for ae in (self.server_ae, self.client_ae):
            ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = PATIENCE
            stack.callback(ae.shutdown)

    def serve(self, contexts: list[Any] | None = None, handlers: Any = (), **options: Any) -> Any:
        evt = self.acceptor.evt

        def requested(event: Any) -> None:
            self.accepting.put(event.assoc)

        self.server = self.server_ae.start_server(
            ("127.0.0.1", 0),
            block=False,
            contexts=contexts or [self.acceptor.build_context(VERIFICATION)],
            evt_handlers=[(evt.EVT_REQUESTED, requested), *handlers],
            **options,
        )
        return self.server

    def call(self, contexts: list[Any] | None = None, title: str = "SERVER", **options: Any) -> Any:
        assoc = self.client_ae.associate(
            "127.0.0.1",
            self.server.server_address[1],
            contexts=contexts or [self.requestor.build_context(VERIFICATION)],
            ae_title=title,
            **options,
        )
        self._stack.callback(assoc.abort)
        if self.requestor is THEIRS and assoc.is_aborted and assoc.acceptor.primitive is None:
            raise Overtaken
        return assoc

    def peer(self) -> Any:
        return self.accepting.get(timeout=PATIENCE)


@contextmanager
def ends(requestor: str, acceptor: str) -> Iterator[Ends]:
    with ExitStack() as stack:
        yield Ends(PACKAGES[requestor], PACKAGES[acceptor], stack)


def same(scenario: Callable[[Ends], Any]) -> None:
    """Have a scenario play between all pairs of packages; what comes of it must be the same."""
    expected = played(scenario, "pynetdicom", "pynetdicom")
    for pair in PAIRS:
        assert unlike(played(scenario, *pair), expected) == {}, pair


def played(scenario: Callable[[Ends], Any], requestor: str, acceptor: str) -> Any:
    for _ in range(10):
        with suppress(Overtaken), ends(requestor, acceptor) as both:
            return scenario(both)
    raise Overtaken


def unlike(got: Any, expected: Any, where: str = "") -> dict[str, Any]:
    """Return where two nested outcomes are different, with both values."""
    if isinstance(got, dict) and isinstance(expected, dict):
        pairs = {key: (got.get(key), expected.get(key)) for key in {**got, **expected}}
    elif isinstance(got, (list, tuple)) and isinstance(expected, (list, tuple)) and len(got) == len(expected):
        pairs = dict(enumerate(zip(got, expected, strict=True)))
    else:
        return {} if got == expected else {where: (got, expected)}
    return {
        key: value for name, (a, b) in pairs.items() for key, value in unlike(a, b, f"{where}/{name}").items()
    }


def item_view(item: Any) -> Any:
    properties = [
        name
        for name in dir(type(item))
        if not name.startswith("_") and not callable(getattr(item, name)) and name != "element"
    ]
    view = {name: getattr(item, name) for name in properties}
    # An identity that only answers has no fields; what they are read as does not matter.
    if view.get("server_response") is not None:
        view = {"server_response": view["server_response"]}
    elif view.get("user_identity_type") not in (None, 2):
        view.pop("secondary_field", None)
    return type(item).__name__, {name: list(v) if isinstance(v, list) else v for name, v in view.items()}


def side_view(side: Any) -> Any:
    view = {
        "title": side.ae_title,
        "async": side.asynchronous_operations,
        "extended": side.sop_class_extended,
        "roles": {uid: (item.scu_role, item.scp_role) for uid, item in side.role_selection.items()},
        "identity": side.user_identity and item_view(side.user_identity),
        "length": side.maximum_length,
        "mode": side.mode,
        "writeable": side.writeable,
        "items": sorted(str(item_view(item)) for item in side.extended_negotiation),
        "info": info_of(side),
    }
    if side.is_requestor:
        view["common"] = {uid: item_view(item) for uid, item in side.sop_class_common_extended.items()}
    else:
        view["common"] = {
            uid: (service, list(related)) for uid, (service, related) in side.accepted_common_extended.items()
        }
    for name in ("sop_class_common_extended", "accepted_common_extended", "requested_contexts"):
        view[f"{name} raises"] = isinstance(attempt(lambda name=name: getattr(side, name)), type)
    return view


def contexts_view(contexts: list[Any]) -> Any:
    return [
        (
            cx.context_id,
            cx.abstract_syntax,
            list(cx.transfer_syntax)[:1],
            cx.result,
            bool(cx.as_scu),
            bool(cx.as_scp),
        )
        for cx in contexts
    ]


def association_view(assoc: Any) -> Any:
    return {
        "state": state(assoc),
        "requestor": side_view(assoc.requestor),
        "acceptor": side_view(assoc.acceptor),
        "accepted": contexts_view(assoc.accepted_contexts),
        "rejected": [view[:2] + view[3:4] for view in contexts_view(assoc.rejected_contexts)],
        "local": {name: assoc.local[name] for name in ("ae_title", "mode")},
        "remote": {name: assoc.remote[name] for name in ("ae_title", "mode")},
    }


def identity(each: Any, kind: int, primary: bytes, secondary: bytes | None, response: bool) -> Any:
    item = each.pdu_primitives.UserIdentityNegotiation()
    item.user_identity_type, item.primary_field, item.secondary_field = kind, primary, secondary
    item.positive_response_requested = response
    return item


def window(each: Any, invoked: int, performed: int) -> Any:
    item = each.pdu_primitives.AsynchronousOperationsWindowNegotiation()
    item.maximum_number_operations_invoked = invoked
    item.maximum_number_operations_performed = performed
    return item


def extended(each: Any, uid: str, information: bytes) -> Any:
    item = each.pdu_primitives.SOPClassExtendedNegotiation()
    item.sop_class_uid, item.service_class_application_information = uid, information
    return item


def common(each: Any, uid: str, service: str, related: list[str]) -> Any:
    item = each.pdu_primitives.SOPClassCommonExtendedNegotiation()
    item.sop_class_uid, item.service_class_uid = uid, service
    item.related_general_sop_class_identification = related
    return item


def negotiated(
    items: Callable[[Any], list[Any]],
    event: str = "",
    seen: tuple[str, ...] = (),
    answer: Any = None,
    contexts: Callable[[Any], list[Any]] | None = None,
    supported: Callable[[Any], list[Any]] | None = None,
    ignore: tuple[str, ...] = (),
    **options: Any,
) -> Callable[[Ends], Any]:
    """Return a scenario: the requestor proposes items, the acceptor's handler for ``event`` answers."""

    def scenario(both: Ends) -> Any:
        told: list[Any] = []

        def handler(happened: Any, *args: Any) -> Any:
            attributes = {name: getattr(happened, name) for name in seen}
            if "items" in attributes:
                attributes["items"] = {uid: item_view(item) for uid, item in attributes["items"].items()}
            told.append((attributes, args))
            given = answer(both.acceptor, happened) if callable(answer) else answer
            if isinstance(given, Exception):
                raise given
            return given

        handlers = [(getattr(both.acceptor.evt, event), handler, ["extra"])] if event else []
        both.serve(supported and supported(both.acceptor), handlers)
        assoc = both.call(contexts and contexts(both.requestor), ext_neg=items(both.requestor), **options)
        peer = both.peer()
        if assoc.is_established:
            assert eventually(lambda: peer.is_established)
        else:
            assert eventually(lambda: peer.is_rejected or peer.is_aborted)
        views = {"ours": association_view(assoc), "theirs": association_view(peer)}
        for name in ignore:
            for view in views.values():
                view["acceptor"].pop(name)
        if assoc.is_established:
            assoc.release()
            assert eventually(lambda: peer.is_released)
        return told, views, state(assoc), state(peer)

    return scenario


IDENTITIES = [
    (1, b"name", b"", True),
    (2, b"name", b"pass", False),
    (3, b"\x00ticket", b"", True),
    (5, b"token", b"", False),
]


@pytest.mark.parametrize(
    "answer", [(True, b"hello"), (True, None), (False, b"x"), ValueError("no")], ids=repr
)
@pytest.mark.parametrize("proposed", IDENTITIES, ids=lambda proposed: f"{proposed[0]}-{proposed[3]}")
def test_user_identity(proposed: Any, answer: Any) -> None:
    # A user name that wants a response gets the empty one of PS3.7 D.3.3.7.2 from us, none from pynetdicom.
    answers_names = proposed[0] in (1, 2) and proposed[3]
    unanswered = proposed[3] and answer == (True, None)
    same(
        negotiated(
            lambda each: [identity(each, *proposed)],
            "EVT_USER_ID",
            ("user_id_type", "primary_field"),
            answer,
            ignore=("identity", "items") if answers_names or unanswered else (),
        )
    )


@pytest.mark.parametrize("proposed", IDENTITIES, ids=lambda proposed: f"{proposed[0]}-{proposed[3]}")
def test_user_identity_without_a_handler(proposed: Any) -> None:
    same(negotiated(lambda each: [identity(each, *proposed)]))


@pytest.mark.parametrize("handled", [True, False])
@pytest.mark.parametrize("proposed", [(1, 1), (5, 3), (0, 0), (65535, 1)])
def test_asynchronous_operations(proposed: Any, handled: bool) -> None:
    event = "EVT_ASYNC_OPS" if handled else ""
    same(negotiated(lambda each: [window(each, *proposed)], event, ("nr_invoked", "nr_performed"), (4, 4)))


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {UID(CT): b"\x01\x00"},
        {UID(CT): b"", UID(MR): b"abc"},
        {CT: b"\x01"},
        {"1.2.3": b"\x01"},
        {UID(CT): "text"},
        None,
        ValueError("no"),
    ],
    ids=repr,
)
def test_sop_class_extended_negotiation(answer: Any) -> None:
    same(
        negotiated(
            lambda each: [extended(each, CT, b"\x02\x00"), extended(each, MR, b"\x00" * 7)],
            "EVT_SOP_EXTENDED",
            ("app_info",),
            answer,
        )
    )


def test_sop_class_extended_negotiation_without_a_handler() -> None:
    same(negotiated(lambda each: [extended(each, CT, b"\x02\x00")]))


@pytest.mark.parametrize("answer", ["all", "one", "none", "raises"])
def test_common_extended_negotiation(answer: str) -> None:
    storage = "1.2.840.10008.4.2"

    def answered(each: Any, event: Any) -> Any:
        if answer == "raises":
            return ValueError("no")
        kept = {"all": [UID("1.2.3"), UID("1.2.4")], "one": [UID("1.2.4")], "none": []}[answer]
        return {uid: item for uid, item in event.items.items() if uid in kept}

    same(
        negotiated(
            lambda each: [common(each, "1.2.3", storage, [CT, MR]), common(each, "1.2.4", storage, [])],
            "EVT_SOP_COMMON",
            ("items",),
            answered,
        )
    )


def test_common_extended_negotiation_without_a_handler() -> None:
    same(negotiated(lambda each: [common(each, "1.2.3", "1.2.840.10008.4.2", [CT])]))


def test_everything_at_once() -> None:
    same(
        negotiated(
            lambda each: [
                window(each, 2, 2),
                identity(each, 3, b"ticket", b"", True),
                extended(each, CT, b"\x01"),
                common(each, "1.2.3", "1.2.840.10008.4.2", [CT]),
                each.build_role(CT, True, True),
            ],
            "EVT_USER_ID",
            ("user_id_type", "primary_field"),
            (True, b"response"),
        )
    )


ROLES = [(None, None), (True, True), (True, False), (False, True), (False, False)]


PROPOSED_ROLES = [None, (True, True), (True, False), (False, True)]


@pytest.mark.parametrize(
    ("proposed", "supported"),
    # An acceptor of ours takes a requestor that says nothing for an SCP as well, where it may be one.
    [(a, b) for a in PROPOSED_ROLES for b in ROLES if not (a is None and b[1])],
    ids=str,
)
def test_roles(proposed: Any, supported: Any) -> None:
    def offers(each: Any) -> list[Any]:
        return [each.build_context(VERIFICATION), each.build_context(CT)]

    def takes(each: Any) -> list[Any]:
        context = each.build_context(CT)
        context.scu_role, context.scp_role = supported
        return [each.build_context(VERIFICATION), context]

    same(
        negotiated(
            lambda each: [] if proposed is None else [each.build_role(CT, *proposed)],
            contexts=offers,
            supported=takes,
            # Whether a context that both roles were denied in is answered with a role item is all the same.
            ignore=("roles", "items"),
        )
    )


@pytest.mark.parametrize("length", [0, 1024, 16382, 1 << 17])
def test_lengths(length: int) -> None:
    same(negotiated(lambda each: [], max_pdu=length))


ORDERS = [
    ([IMPLICIT, EXPLICIT], [EXPLICIT, IMPLICIT]),
    ([EXPLICIT, IMPLICIT], [IMPLICIT, EXPLICIT]),
    ([BIG, DEFLATED, EXPLICIT], [IMPLICIT, EXPLICIT, DEFLATED]),
    ([BIG], [IMPLICIT]),
    (["1.2.840.10008.1.2.4.70", IMPLICIT], [IMPLICIT, "1.2.840.10008.1.2.4.70"]),
]


@pytest.mark.parametrize(("proposed", "supported"), ORDERS)
def test_order_of_transfer_syntaxes(proposed: list[str], supported: list[str]) -> None:
    same(
        negotiated(
            lambda each: [],
            contexts=lambda each: [each.build_context(VERIFICATION), each.build_context(CT, proposed)],
            supported=lambda each: [each.build_context(VERIFICATION), each.build_context(CT, supported)],
        )
    )


def test_contexts_accepted_and_rejected() -> None:
    def offers(each: Any) -> list[Any]:
        return [
            each.build_context(CT, [EXPLICIT]),
            each.build_context(CT, [IMPLICIT]),
            each.build_context(CT, [BIG]),
            each.build_context(MR),
            each.build_context("1.2.3.4"),
            each.build_context(VERIFICATION),
        ]

    same(
        negotiated(
            lambda each: [],
            contexts=offers,
            supported=lambda each: [
                each.build_context(CT, [IMPLICIT, EXPLICIT]),
                each.build_context(VERIFICATION),
            ],
        )
    )


def test_nothing_accepted() -> None:
    def scenario(both: Ends) -> Any:
        both.serve()
        assoc = both.call([both.requestor.build_context(CT)])
        peer = both.peer()
        assert eventually(lambda: peer.is_aborted)
        return state(assoc), [cx.result for cx in assoc.rejected_contexts], assoc.accepted_contexts

    same(scenario)


def test_sides_before_the_negotiation() -> None:
    def snippet(each: Any) -> Any:
        results: list[Any] = []
        ae = each.AE("TESTER")
        ae.implementation_class_uid = "1.2.3"
        for mode in ("requestor", "acceptor"):
            assoc = each.association.Association(ae, mode)
            results.append((assoc.is_requestor, assoc.is_acceptor, state(assoc), assoc.local["mode"]))
            for name in ("requestor", "acceptor"):
                side = getattr(assoc, name)
                results.append(side_view(side))
                for attribute, values in {
                    "ae_title": ["A", "A" * 17, "", " ", None, b"A"],
                    "maximum_length": [0, 5, -1, "a", None],
                    "implementation_class_uid": ["1.2.4", UID("1.2.5"), "x" * 65, 1],
                    "implementation_version_name": ["A", "", "A" * 17, None, 1],
                    "requested_contexts": [[each.build_context(CT)]],
                    "supported_contexts": [[each.build_context(CT)]],
                }.items():
                    for value in values:
                        given = after_setting(side, attribute, value)
                        results.append((attribute, contexts_of(given) if isinstance(given, list) else given))
                for kind in ("requested", "supported", "pcdl", "pcdrl", "other"):
                    results.append(
                        isinstance(attempt(lambda side=side, kind=kind: side.get_contexts(kind)), type)
                    )
                results.append(attempt(lambda side=side: side.address))
                results.append(attempt(lambda side=side: side.port))
                for item in (window(each, 2, 3), extended(each, CT, b"1"), each.build_role(CT), None, "a"):
                    results.append(attempt(lambda side=side, item=item: side.add_negotiation_item(item)))
                results.append(side.asynchronous_operations)
                results.append(dict(side.sop_class_extended))
                results.append(attempt(lambda side=side: side.remove_negotiation_item(window(each, 2, 3))))
                results.append(attempt(lambda side=side: side.remove_negotiation_item(window(each, 9, 9))))
                results.append(side.asynchronous_operations)
                results.append(attempt(lambda side=side: side.reset_negotiation_items()))
                results.append(side.extended_negotiation)
                results.append(len(side.user_information))
        for mode in ("REQUESTOR", "other", "", None):
            given = attempt(lambda mode=mode: each.association.Association(ae, mode).mode)
            results.append(given)
            results.append(attempt(lambda mode=mode: each.association.ServiceUser(assoc, mode).mode))
        return results

    assert unlike(snippet(OURS), snippet(THEIRS)) == {}


def test_sides_after_the_negotiation() -> None:
    def scenario(both: Ends) -> Any:
        both.serve()
        assoc = both.call()
        peer = both.peer()
        assert eventually(lambda: peer.is_established)
        results = []
        for end, each in ((assoc, both.requestor), (peer, both.acceptor)):
            for side in (end.requestor, end.acceptor):
                for attribute, value in {
                    "maximum_length": 5,
                    "implementation_class_uid": "1.2.4",
                    "implementation_version_name": "A",
                    "requested_contexts": [],
                    "supported_contexts": [],
                }.items():
                    results.append(attempt(lambda s=side, a=attribute, v=value: setattr(s, a, v)))
                results.append(attempt(lambda s=side, e=each: s.add_negotiation_item(window(e, 1, 1))))
                results.append(attempt(lambda s=side, e=each: s.remove_negotiation_item(window(e, 1, 1))))
                results.append(attempt(lambda s=side: s.reset_negotiation_items()))
                for kind in ("requested", "supported", "pcdl", "pcdrl", "other"):
                    results.append(isinstance(attempt(lambda s=side, k=kind: s.get_contexts(k)), type))
                results.append((side.address, isinstance(side.port, int)))
        return results

    same(scenario)


@pytest.mark.parametrize("called", ["SERVER", "OTHER"])
@pytest.mark.parametrize("calling", [[], ["TESTER"], ["OTHER"], ["OTHER", "TESTER "]], ids=str)
def test_required_titles(called: str, calling: list[str]) -> None:
    def scenario(both: Ends) -> Any:
        told: list[str] = []
        both.server_ae.require_called_aet = True
        both.server_ae.require_calling_aet = calling
        evt = both.acceptor.evt
        kinds = (evt.EVT_ACCEPTED, evt.EVT_ESTABLISHED, evt.EVT_REJECTED, evt.EVT_RELEASED)
        both.serve(handlers=[(kind, lambda event: told.append(event.event.name)) for kind in kinds])
        assoc = both.call(title=called)
        peer = both.peer()
        assert eventually(lambda: peer.is_established or (peer.is_rejected and told))
        outcome = state(assoc), state(peer)
        primitive = assoc.acceptor.primitive
        rejection = primitive.result, primitive.result_source, primitive.diagnostic
        if assoc.is_established:
            assoc.release()
            assert eventually(lambda: "EVT_RELEASED" in told)
        return outcome, rejection if outcome[0][1] else None, told, assoc.acceptor.ae_title

    same(scenario)


def test_the_limit_of_associations() -> None:
    def scenario(both: Ends) -> Any:
        both.server_ae.maximum_associations = 2
        both.serve()
        outcomes = []
        held = []
        for _ in range(3):
            held.append(both.call())
            outcomes.append(state(held[-1]))
        primitive = held[-1].acceptor.primitive
        outcomes.append((primitive.result, primitive.result_source, primitive.diagnostic))
        outcomes.append(primitive.reason_str)
        assert eventually(lambda: len(both.server.active_associations) == 2)
        held[0].release()
        assert eventually(lambda: len(both.server.active_associations) == 1)
        assert eventually(lambda: len(both.server_ae.active_associations) == 1)
        outcomes.append(state(both.call()))
        return outcomes

    same(scenario)


def test_ten_associations_by_default() -> None:
    assert OURS.AE().maximum_associations == THEIRS.AE().maximum_associations == 10


# ---- servers -----------------------------------------------------------------------------------------------

BAD_SERVERS: dict[str, dict[str, Any]] = {
    "no contexts": {"contexts": []},
    "title is long": {"ae_title": "A" * 17},
    "title is spaces": {"ae_title": "  "},
    "title is a number": {"ae_title": 1},
    "one role": {"roles": (True, None)},
    "another role": {"roles": (None, False)},
    "address is not ours": {"address": ("192.0.2.1", 0)},
    "address is nobody's": {"address": ("no such host.invalid", 0)},
    "port is text": {"address": ("127.0.0.1", "a")},
}


@pytest.mark.parametrize("method", ["start_server", "make_server"])
@pytest.mark.parametrize("call", BAD_SERVERS)
def test_servers_that_cannot_be(call: str, method: str) -> None:
    def snippet(each: Any) -> Any:
        options = dict(BAD_SERVERS[call])
        context = each.build_context(CT)
        if "roles" in options:
            context.scu_role, context.scp_role = options.pop("roles")
        options.setdefault("contexts", [context])
        if method == "start_server":
            options["block"] = False
        outcome = attempt(lambda: getattr(each.AE(), method)(**{"address": ("127.0.0.1", 0), **options}))
        assert isinstance(outcome, type)
        # Which of the operating system's errors it is depends on who asked for it.
        return OSError if issubclass(outcome, OSError) else outcome

    ours, theirs = snippet(OURS), snippet(THEIRS)
    if call == "port is text":
        assert {ours, theirs} <= {TypeError, ValueError, OSError}
    else:
        assert ours == theirs


def test_a_port_that_is_in_use() -> None:
    def snippet(each: Any) -> Any:
        ae = each.AE()
        ae.add_supported_context(VERIFICATION)
        server = ae.start_server(("127.0.0.1", 0), block=False)
        try:
            return attempt(lambda: ae.start_server(server.server_address, block=False))
        finally:
            ae.shutdown()

    assert snippet(OURS) is OSError
    assert snippet(THEIRS) is OSError


def test_the_life_of_servers() -> None:
    def snippet(each: Any) -> Any:
        results: list[Any] = []
        ae = each.AE("SERVER")
        ae.add_supported_context(VERIFICATION)
        ae.add_requested_context(VERIFICATION)
        first = ae.start_server(("127.0.0.1", 0), block=False)
        second = ae.start_server(
            ("127.0.0.1", 0), block=False, ae_title="OTHER", contexts=[each.build_context(CT)]
        )
        ports = [server.server_address[1] for server in (first, second)]
        results.append(
            (first.ae_title, second.ae_title, contexts_of(first.contexts), contexts_of(second.contexts))
        )
        results.append((first.ae is ae, first.ssl_context, first.server_address[0]))
        held = [
            ae.associate("127.0.0.1", port, contexts=[each.build_context(cx)])
            for port, cx in zip(ports, (VERIFICATION, CT), strict=True)
        ]
        results.append([state(assoc) for assoc in held])
        results.append([len(server.active_associations) for server in (first, second)])
        results.append(len(ae.active_associations))
        results.append([assoc.is_acceptor for assoc in first.active_associations])
        for assoc in held:
            assoc.release()
        results.append([state(assoc) for assoc in held])
        assert eventually(lambda: not ae.active_associations)
        first.shutdown()
        results.append(state(ae.associate("127.0.0.1", ports[0])))
        results.append(state(ae.associate("127.0.0.1", ports[1], contexts=[each.build_context(CT)])))
        # The same address can be listened on at once.
        third = ae.start_server(("127.0.0.1", ports[0]), block=False)
        results.append(state(ae.associate("127.0.0.1", ports[0])))
        ae.shutdown()
        assert eventually(lambda: not ae.active_associations)
        results.append(third.active_associations)
        results.append(state(ae.associate("127.0.0.1", ports[1])))
        return results

    assert unlike(snippet(OURS), snippet(THEIRS)) == {}


def test_a_server_class_and_a_request_handler() -> None:
    def snippet(each: Any) -> Any:
        seen: list[Any] = []
        done = Flag()

        class Handler(each.transport.RequestHandler):  # type: ignore[misc, name-defined]
            def handle(self) -> None:
                local = self.local
                seen.append((self.ae.ae_title, local.address, self.remote.address, self.client_address[0]))
                seen.append(isinstance(self.request, socket.socket) and self.request.getpeername()[0])
                super().handle()
                done.set()

        class Server(each.transport.ThreadedAssociationServer):  # type: ignore[misc, name-defined]
            def process_request(self, request: Any, client_address: Any) -> None:
                seen.append(("process", client_address[0]))
                super().process_request(request, client_address)

            def verify_request(self, request: Any, client_address: Any) -> bool:
                return bool(client_address[0] == "127.0.0.1")

        ae = each.AE("SERVER")
        ae.add_requested_context(VERIFICATION)
        ae.add_supported_context(VERIFICATION)
        server = ae.make_server(("127.0.0.1", 0), server_class=Server, request_handler=Handler)
        seen.append(type(server).__mro__[1].__name__)
        from threading import Thread

        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        assoc = ae.associate("127.0.0.1", server.server_address[1])
        seen.append((state(assoc), assoc.send_c_echo().Status))
        assoc.release()
        assert done.wait(PATIENCE)
        if each is OURS:
            server.shutdown()
        else:
            # pynetdicom's shutdown() knows only servers that start_server() made.
            each.transport.TCPServer.shutdown(server)
            server.server_close()
        thread.join(PATIENCE)
        seen.append(thread.is_alive())
        return seen

    assert unlike(snippet(OURS), snippet(THEIRS)) == {}


# ---- handlers ----------------------------------------------------------------------------------------------


def test_handlers_bound_and_unbound() -> None:
    def snippet(each: Any) -> Any:
        evt = each.evt

        def one(event: Any, *args: Any) -> int:
            return 0

        def two(event: Any) -> int:
            return 1

        ae = each.AE()
        ae.add_supported_context(VERIFICATION)
        server = ae.make_server(
            ("127.0.0.1", 0),
            evt_handlers=[(evt.EVT_ABORTED, one), (evt.EVT_C_ECHO, one, ["x"]), (evt.EVT_C_ECHO, two)],
        )
        server.socket.close()
        results: list[Any] = []
        for holder in (server, each.association.Association(ae, "requestor")):
            for event in (evt.EVT_ABORTED, evt.EVT_C_ECHO, evt.EVT_N_SET):
                for step in (
                    lambda h=holder, e=event: h.bind(e, one),
                    lambda h=holder, e=event: h.bind(e, one),
                    lambda h=holder, e=event: h.bind(e, two, ["y", 1]),
                    lambda h=holder, e=event: h.unbind(e, one),
                    lambda h=holder, e=event: h.unbind(e, one),
                    lambda h=holder, e=event: h.unbind(e, two),
                    lambda h=holder, e=event: h.bind(e, two),
                ):
                    results.append(attempt(step))
                    bound = holder.get_handlers(event)
                    if isinstance(bound, tuple):
                        bound = bound if bound[0] in (one, two) else "default"
                    results.append(
                        [(getattr(b[0], "__name__", ""), b[1]) for b in bound]
                        if isinstance(bound, list)
                        else bound and str(bound[0] is two)
                    )
            results.append(
                [
                    event.name
                    for event in holder.get_events()
                    if event.is_intervention or "ABORTED" in event.name
                ]
            )
        return results

    assert unlike(snippet(OURS), snippet(THEIRS)) == {}


def test_handlers_bound_while_running() -> None:
    def scenario(both: Ends) -> Any:
        evt = both.acceptor.evt
        server = both.serve()
        assoc = both.call()
        outcomes = [assoc.send_c_echo().Status]

        def busy(event: Any, status: int) -> int:
            return status

        server.bind(evt.EVT_C_ECHO, busy, [0x0122])
        outcomes.append(assoc.send_c_echo().Status)
        other = both.call()
        outcomes.append(other.send_c_echo().Status)
        server.unbind(evt.EVT_C_ECHO, busy)
        outcomes += [assoc.send_c_echo().Status, other.send_c_echo().Status]
        peer = both.peer()
        peer.bind(evt.EVT_C_ECHO, busy, [0x0210])
        outcomes += [assoc.send_c_echo().Status, other.send_c_echo().Status]
        for each in (assoc, other):
            each.release()
        return outcomes

    same(scenario)
