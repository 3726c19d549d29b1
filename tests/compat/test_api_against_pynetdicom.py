"""Every documented name beside that of the installed pynetdicom: classes, members, parameters, defaults.

What is meant to differ is listed in ``DIFFERENCES`` with the reason; an entry that is true no longer fails.
Values (UIDs, statuses, context lists) are compared in ``test_tables_against_pynetdicom``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

pytestmark = pytest.mark.interop

pytest.importorskip("pynetdicom")

MODULES = [
    "",
    "_config",
    "_globals",
    "_handlers",
    "ae",
    "association",
    "dimse_primitives",
    "dsutils",
    "events",
    "pdu_primitives",
    "presentation",
    "service_class",
    "service_class_n",
    "sop_class",
    "status",
    "transport",
    "utils",
]

INSIDE = "a class that only pynetdicom's inside uses"
THREAD = "an association is no thread: whoever waits for an answer reads the socket"

DIFFERENCES = {
    "*.AE() ae_title": "the default AE title is our own name",
    "*.AE.associate config": "settings for one association",
    "*.AE.start_server options": "what the server's class takes",
    "ae.ApplicationEntity() ae_title": "the default AE title is our own name",
    "ae.ApplicationEntity.associate config": "settings for one association",
    "ae.ApplicationEntity.start_server options": "what the server's class takes",
    "association.Association.acse": INSIDE,
    "association.Association.dimse": INSIDE,
    "association.Association.dul": INSIDE,
    "association.Association.run_reactor": THREAD,
    "association.Association.set_socket": INSIDE,
    "association.Association.send_c_store exact": "whether only the file's own transfer syntax will do",
    "association.Association.start": THREAD,
    "association.Association.run": THREAD,
    "association.Association.daemon": THREAD,
    "association.Association.ident": THREAD,
    "association.Association.native_id": THREAD,
    "association.Association.isDaemon": THREAD,
    "association.Association.setDaemon": THREAD,
    "association.Association.getName": THREAD,
    "association.Association.setName": THREAD,
    "_handlers.debug_*": "not documented",
    "_handlers.standard_*": "not documented: the traffic log takes their place",
    "dsutils.PYNETDICOM_*": "imported by pynetdicom's module; the package has them",
    "dsutils.create_file_meta implementation_*": "our own identity",
    "presentation.*_ROLE*": "not documented",
    "presentation.CONTEXT_REJECTED": "not documented",
    "utils.HAVE_CTYPES": "not documented",
    "transport.*Server.ssl_context": "an attribute of instances rather than a property",
    "presentation.negotiate_unrestricted": "not documented",
    "service_class*.SCP": "requests are not dispatched through the service classes: handlers are bound",
    "service_class.attempt": "not documented",
    "association.Association() settings": "an option of our own",
    "transport.AssociationServer() storage": "an option of our own",
    "transport.AssociationServer() ts_policy": "an option of our own",
    "transport.AssociationServer() config": "an option of our own",
    "transport.AssociationSocket": INSIDE,
    "transport.T_CONNECT": INSIDE,
    "transport.ThreadedAssociationServer.block_on_close": "of socketserver's mixin: shutdown waits",
    "transport.ThreadedAssociationServer.daemon_threads": "of socketserver's mixin: threads are daemons",
}


def modules(name: str) -> tuple[Any, Any]:
    suffix = f".{name}" if name else ""
    return importlib.import_module(f"dulcimer{suffix}"), importlib.import_module(f"pynetdicom{suffix}")


def names(module: Any) -> list[str]:
    """List what a module defines, rather than imports, and what it exports."""
    found = set(getattr(module, "__all__", ()))
    for name, value in vars(module).items():
        home = getattr(value, "__module__", None)
        constant = name.isupper() and isinstance(value, (str, int, float, tuple, list, dict, type(None)))
        defined = (inspect.isclass(value) or inspect.isfunction(value)) and home == module.__name__
        if (defined or constant) and not name.startswith("_"):
            found.add(name)
    elsewhere = [vars(importlib.import_module(f"pynetdicom.{home}")) for home in ("status", "_globals")]
    imported = {name for names in elsewhere if names["__name__"] != module.__name__ for name in names}
    return sorted(
        found - {"LOGGER", "TYPE_CHECKING", "UID"} - (imported - set(getattr(module, "__all__", ())))
    )


def parameters(function: Any, *, method: bool) -> dict[str, tuple[Any, Any]]:
    """Return kind and default of a function's parameters by name, without a method's first."""
    found = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in ("args", "kwargs") or parameter.kind is parameter.KEYWORD_ONLY
    ]
    if method and found and found[0].name in ("self", "cls", "engine"):
        found = found[1:]
    return {parameter.name: (parameter.kind, parameter.default) for parameter in found}


def unlike_parameters(where: str, ours: Any, their: Any, *, method: bool) -> Iterator[str]:
    a, b = parameters(ours, method=method), parameters(their, method=method)
    for name in {**a, **b}:
        if name not in a or name not in b or a[name] != b[name]:
            yield f"{where} {name}"
    common = [name for name in a if name in b]
    if common != [name for name in b if name in a]:
        yield f"{where} order"


def is_settable(member: Any) -> bool:
    return member.fset is not None if isinstance(member, property) else hasattr(type(member), "__set__")


def unlike_classes(where: str, ours: Any, their: Any) -> Iterator[str]:
    for name in dir(their):
        if name.startswith("_"):
            continue
        if not hasattr(ours, name):
            yield f"{where}.{name}"
            continue
        a, b = inspect.getattr_static(ours, name), inspect.getattr_static(their, name)
        if isinstance(b, property):
            if is_settable(a) != is_settable(b):
                yield f"{where}.{name} set"
        elif inspect.isfunction(b) and b.__module__.startswith("pynetdicom"):
            yield from unlike_parameters(
                f"{where}.{name}", getattr(ours, name), getattr(their, name), method=True
            )
    if "__init__" in vars(their) and not issubclass(their, tuple):
        yield from unlike_parameters(f"{where}()", ours.__init__, their.__init__, method=True)


def unlike(name: str) -> Iterator[str]:
    """Yield what is missing or different in a module."""
    ours, their = modules(name)
    for exported in getattr(their, "__all__", ()):
        if exported not in getattr(ours, "__all__", ()):
            yield f"{name}.__all__ {exported}"
    for found in names(their):
        where = f"{name or 'dulcimer'}.{found}"
        b = getattr(their, found)
        if not hasattr(ours, found):
            yield where
        elif inspect.isclass(b):
            yield from unlike_classes(where, getattr(ours, found), b)
        elif inspect.isfunction(b):
            yield from unlike_parameters(where, getattr(ours, found), b, method=False)


def reason(difference: str) -> str | None:
    return next((why for pattern, why in DIFFERENCES.items() if fnmatchcase(difference, pattern)), None)


@pytest.mark.parametrize("name", MODULES)
def test_names_members_and_parameters(name: str) -> None:
    assert [difference for difference in unlike(name) if reason(difference) is None] == []


def instances(package: str) -> dict[str, Any]:
    """Make one of each class whose attributes are made when it is constructed."""
    root = importlib.import_module(package)
    association = importlib.import_module(f"{package}.association")
    transport = importlib.import_module(f"{package}.transport")
    ae = root.AE("TESTER")
    context = root.build_context("1.2.840.10008.1.1")
    assoc = association.Association(ae, "requestor")
    made = {
        "ae.ApplicationEntity": ae,
        "association.Association": assoc,
        "association.ServiceUser": association.ServiceUser(assoc, "requestor"),
        "events.Event": root.evt.Event(assoc, root.evt.EVT_ABORTED),
        "presentation.PresentationContext": context,
        "transport.AddressInformation": transport.AddressInformation("127.0.0.1", 104),
    }
    for name in ("AssociationServer", "ThreadedAssociationServer"):
        server = getattr(transport, name)(ae, ("127.0.0.1", 0), "TESTER", [context])
        server.socket.close()
        made[f"transport.{name}"] = server
    primitives = [
        importlib.import_module(f"{package}.{name}") for name in ("dimse_primitives", "pdu_primitives")
    ]
    their = (
        importlib.import_module("pynetdicom.dimse_primitives"),
        importlib.import_module("pynetdicom.pdu_primitives"),
    )
    for module, known in zip(primitives, their, strict=True):
        for name, value in vars(known).items():
            if inspect.isclass(value) and value.__module__ == known.__name__ and not name.startswith("_"):
                made[f"{module.__name__.rpartition('.')[2]}.{name}"] = getattr(module, name)()
    return made


def test_attributes_of_instances() -> None:
    ours, their = instances("dulcimer"), instances("pynetdicom")
    missing = [
        f"{where}.{name}"
        for where, instance in their.items()
        for name in dir(instance)
        if not name.startswith("_") and name not in dir(ours[where])
    ]
    assert [difference for difference in missing if reason(difference) is None] == []


def test_every_difference_is_one() -> None:
    found = {difference for name in MODULES for difference in unlike(name)}
    ours, their = instances("dulcimer"), instances("pynetdicom")
    found |= {
        f"{where}.{name}"
        for where, made in their.items()
        for name in dir(made)
        if name not in dir(ours[where])
    }
    unused = [
        pattern
        for pattern in DIFFERENCES
        if not any(fnmatchcase(difference, pattern) for difference in found)
    ]
    assert unused == []


@pytest.mark.parametrize(
    "name", sorted(n for n in vars(modules("_handlers")[1]) if n.startswith("doc_handle"))
)
def test_examples_of_handlers(name: str) -> None:
    ours, their = (getattr(module, name) for module in modules("_handlers"))
    assert inspect.getdoc(ours)
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(their).parameters)
    answers = [ours(None), their(None)]
    assert [inspect.isgenerator(answer) for answer in answers] in ([True, True], [False, False])
    for answer in answers:
        if inspect.isgenerator(answer):
            answer.close()


@pytest.mark.parametrize("name", [n for n in modules("events")[1].__dict__ if n.startswith("EVT_")])
def test_events(name: str) -> None:
    ours, their = (getattr(module, name) for module in modules("events"))
    assert str(ours) == str(their) == ours.name == their.name == name
    assert (ours.is_intervention, ours.is_notification) == (their.is_intervention, their.is_notification)
    assert ours._fields == their._fields
    assert ours.description
