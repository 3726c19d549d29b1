"""Our tables and parameter checks beside those of the installed pynetdicom.

Properties that are meant to differ are listed in ``PERMITTED``; all others must agree. Further, by intent:

- a DIMSE-N response's status may bring Offending Element and Attribute Identifier List along;
- ``str()`` of a user identity does not show its credentials;
- texts of statuses and exceptions are ours, and retired storage SOP classes are known as storage;
- ``register_uid`` takes every service class, and files C-GET and C-MOVE classes as such;
- one-sided role proposals (SCU or SCP left at None) are negotiated instead of failing with KeyError;
- ``pretty_dataset`` indents sequences too.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from dulcimer import (
    _config,
    _globals,
    dimse_primitives,
    dsutils,
    pdu_primitives,
    presentation,
    service_class,
    service_class_n,
    sop_class,
    status,
    utils,
)

pytestmark = pytest.mark.interop

pytest.importorskip("pynetdicom")
from pynetdicom import _config as their_config  # noqa: E402
from pynetdicom import _globals as their_globals  # noqa: E402
from pynetdicom import dimse_primitives as their_dimse  # noqa: E402
from pynetdicom import dsutils as their_dsutils  # noqa: E402
from pynetdicom import pdu_primitives as their_pdu  # noqa: E402
from pynetdicom import presentation as their_presentation  # noqa: E402
from pynetdicom import service_class as their_service_class  # noqa: E402
from pynetdicom import service_class_n as their_service_class_n  # noqa: E402
from pynetdicom import sop_class as their_sop_class  # noqa: E402
from pynetdicom import status as their_status  # noqa: E402
from pynetdicom import utils as their_utils  # noqa: E402

# (class, property): why values are treated differently.
PERMITTED = {
    ("P_DATA", "presentation_data_value_list"): "pairs may be tuples; pynetdicom takes only lists",
    (
        "N_GET",
        "AttributeIdentifierList",
    ): "what cannot be a list of tags is refused even where it can be split",
}

GROUPS = [name for name in dir(their_sop_class) if name.endswith("_CLASSES") and name != "_SERVICE_CLASSES"]
LISTS = [name for name in dir(their_presentation) if name.endswith("PresentationContexts")]
TABLES = [name for name in status.__all__ if name.endswith("_STATUS")]
SERVICE_CLASSES = [
    (getattr(ours, name), getattr(their, name))
    for ours, their in ((service_class, their_service_class), (service_class_n, their_service_class_n))
    for name in ours.__all__
]
PDU_PRIMITIVES = [
    "A_ABORT",
    "A_ASSOCIATE",
    "A_P_ABORT",
    "A_RELEASE",
    "AsynchronousOperationsWindowNegotiation",
    "ImplementationClassUIDNotification",
    "ImplementationVersionNameNotification",
    "MaximumLengthNotification",
    "P_DATA",
    "SCP_SCU_RoleSelectionNegotiation",
    "SOPClassCommonExtendedNegotiation",
    "SOPClassExtendedNegotiation",
    "UserIdentityNegotiation",
]
DIMSE_PRIMITIVES = [
    "C_CANCEL",
    "C_ECHO",
    "C_FIND",
    "C_GET",
    "C_MOVE",
    "C_STORE",
    "N_ACTION",
    "N_CREATE",
    "N_DELETE",
    "N_EVENT_REPORT",
    "N_GET",
    "N_SET",
]
VALUES = [
    None,
    *(0, 1, 2, 3, 5, 7, -1, 0xFFFF, 0x10000, 2**32 - 1, True, False, 1.0),
    *("", "a", "1.2.3", "1.2.03", "x" * 16, "x" * 17, "x" * 65, " a ", "  ", "2", "a\\b", "é", "affirmative"),
    *(b"", b"abc", b"1.2.3", b"x" * 17),
    UID("1.2.3"),
    Tag(0x00100010),
    *([], ["1.2.3"], [1], [None], [0x00100010, 0x00100020], [(1, b"a")], [[1, b"a"]], ["1" * 65], ("1.2.3",)),
    io.BytesIO(b"ab"),
    Dataset(),
]


def outcome(cls: type, name: str, value: Any) -> Any:
    """Return what a property gives after ``value`` was set, or the type of the exception."""
    instance = cls()
    try:
        setattr(instance, name, value)
    except (TypeError, ValueError, OverflowError, IndexError) as error:
        return type(error)
    try:
        return getattr(instance, name)
    except ValueError as error:
        return type(error)


def cases() -> Iterator[Any]:
    for ours, their, names in (
        (pdu_primitives, their_pdu, PDU_PRIMITIVES),
        (dimse_primitives, their_dimse, DIMSE_PRIMITIVES),
        (presentation, their_presentation, ["PresentationContext"]),
    ):
        for name in names:
            their_cls = getattr(their, name)
            for attribute in dir(their_cls):
                found = getattr(their_cls, attribute)
                if attribute.startswith("_") or not isinstance(found, property) or found.fset is None:
                    continue
                if (name, attribute) not in PERMITTED:
                    yield pytest.param(getattr(ours, name), their_cls, attribute, id=f"{name}.{attribute}")


@pytest.mark.parametrize(("ours", "their", "attribute"), list(cases()))
def test_properties_take_and_refuse_the_same(ours: type, their: type, attribute: str) -> None:
    assert getattr(ours, attribute) is not None
    assert repr(_initial(ours, attribute)) == repr(_initial(their, attribute))
    different = {
        repr(value): (got, expected)
        for value in VALUES
        if (got := outcome(ours, attribute, value)) != (expected := outcome(their, attribute, value))
    }
    assert different == {}


def _initial(cls: type, attribute: str) -> Any:
    try:
        return getattr(cls(), attribute)
    except ValueError:
        return ValueError


@pytest.mark.parametrize("name", DIMSE_PRIMITIVES[1:])
def test_dimse_primitives_have_the_same_keywords(name: str) -> None:
    ours, their = getattr(dimse_primitives, name), getattr(their_dimse, name)
    assert ours().msg_type == their().msg_type
    assert ours.REQUEST_KEYWORDS == their.REQUEST_KEYWORDS
    assert ours.RESPONSE_KEYWORDS == their.RESPONSE_KEYWORDS
    # Offending Element and Attribute Identifier List go with the status of every DIMSE-N response (PS3.7 C).
    extra = set(ours.STATUS_OPTIONAL_KEYWORDS) - set(their.STATUS_OPTIONAL_KEYWORDS)
    assert set(ours.STATUS_OPTIONAL_KEYWORDS) >= set(their.STATUS_OPTIONAL_KEYWORDS)
    assert extra <= ({"OffendingElement", "AttributeIdentifierList"} if name.startswith("N_") else set())


@pytest.mark.parametrize("name", ["A_ASSOCIATE", "A_RELEASE"])
def test_read_only_properties(name: str) -> None:
    ours, their = getattr(pdu_primitives, name)(), getattr(their_pdu, name)()
    for attribute in dir(type(their)):
        found = getattr(type(their), attribute)
        if isinstance(found, property) and found.fset is None:
            assert getattr(ours, attribute) == getattr(their, attribute), attribute


@pytest.mark.parametrize(
    ("result", "source", "diagnostic"), list(product((None, 0, 1, 2), (None, 1, 2, 3), (None, 1, 2, 3, 7)))
)
def test_rejections_in_words(result: int | None, source: int | None, diagnostic: int | None) -> None:
    texts = []
    for module in (pdu_primitives, their_pdu):
        primitive = module.A_ASSOCIATE()
        primitive.result, primitive.result_source, primitive.diagnostic = result, source, diagnostic
        texts.append((primitive.result_str, primitive.source_str, primitive.reason_str))
    assert texts[0] == texts[1]


@pytest.mark.parametrize("name", GROUPS)
def test_sop_classes(name: str) -> None:
    # Those of the Standard: other tests register private ones for the whole process.
    ours = {key: uid for key, uid in getattr(sop_class, name).items() if uid.startswith("1.2.840.10008.")}
    assert ours == getattr(their_sop_class, name)


def test_every_keyword_is_an_attribute() -> None:
    names = [
        name
        for name, value in vars(their_sop_class).items()
        if isinstance(value, their_sop_class.SOPClass) and not name.startswith("_")
    ]
    assert len(names) > 240
    for name in names:
        ours = getattr(sop_class, name)
        assert ours == getattr(their_sop_class, name)
        assert ours.service_class.__name__ == getattr(their_sop_class, name).service_class.__name__, name


@pytest.mark.parametrize("uid", ["1.2.840.10008.4.2", "1.2.840.10008.1.1", "1.2.3", ""])
def test_service_class_of_a_uid(uid: str) -> None:
    ours, theirs = (module.uid_to_service_class(uid) for module in (sop_class, their_sop_class))
    assert ours.__name__ == theirs.__name__


@pytest.mark.parametrize("name", LISTS)
def test_context_lists(name: str) -> None:
    ours, their = getattr(presentation, name), getattr(their_presentation, name)
    assert [context.abstract_syntax for context in ours] == [context.abstract_syntax for context in their]
    assert {tuple(context.transfer_syntax) for context in ours} == {
        tuple(context.transfer_syntax) for context in their
    }
    assert {context.context_id for context in ours} == {None}


@pytest.mark.parametrize("name", TABLES)
def test_statuses(name: str) -> None:
    ours, their = getattr(status, name), getattr(their_status, name)
    assert len(ours) == len(their)
    assert {code: ours[code][0] for code in ours} == {code: value[0] for code, value in their.items()}


def test_status_names() -> None:
    names = {name for name in vars(their_status) if name.isupper() and not name.startswith("_")}
    assert names <= set(vars(status))
    assert {member.name: member.value for member in their_status.Status}.items() <= {
        name: member.value for name, member in status.Status.__members__.items()
    }.items()


def test_categories() -> None:
    codes = range(0x10001)
    assert [status.code_to_category(code) for code in codes] == [
        their_status.code_to_category(code) for code in codes
    ]


@pytest.mark.parametrize("code", [-1, "a", None])
def test_no_category(code: Any) -> None:
    for module in (status, their_status):
        with pytest.raises(ValueError, match="positive"):
            module.code_to_category(code)


@pytest.mark.parametrize(("ours", "their"), SERVICE_CLASSES)
def test_service_classes(ours: Any, their: Any) -> None:
    assert [base.__name__ for base in ours.__mro__[:-1]] == [base.__name__ for base in their.__mro__[:-1]]
    assert sorted(ours.statuses) == sorted(their.statuses)


NO_ASSOCIATION: Any = None
STATUSES = [0, 0xC000, 0x1234, 70000, "a", None, 1.0]


@pytest.mark.parametrize("value", STATUSES)
def test_validate_status(value: Any) -> None:
    ours = service_class.StorageServiceClass(NO_ASSOCIATION).validate_status(
        value, dimse_primitives.C_STORE()
    )
    their = their_service_class.StorageServiceClass(NO_ASSOCIATION).validate_status(
        value, their_dimse.C_STORE()
    )
    assert ours.Status == their.Status


@pytest.mark.parametrize("name", ["C_STORE", "N_SET", "N_GET", "N_CREATE", "C_ECHO"])
def test_validate_status_datasets(name: str) -> None:
    value = Dataset()
    value.Status = 0xC000
    value.ErrorComment = "why"
    value.ErrorID = 3
    value.AttributeIdentifierList = [0x00100010]
    value.AffectedSOPInstanceUID = "1.2.3"
    ours = service_class.StorageServiceClass(NO_ASSOCIATION).validate_status(
        value, getattr(dimse_primitives, name)()
    )
    their = their_service_class.StorageServiceClass(NO_ASSOCIATION).validate_status(
        value, getattr(their_dimse, name)()
    )
    for keyword in ("Status", *their.STATUS_OPTIONAL_KEYWORDS, "AffectedSOPInstanceUID"):
        assert getattr(ours, keyword, None) == getattr(their, keyword, None), keyword


def test_globals() -> None:
    names = [name for name in vars(their_globals) if name.isupper() and name != "UID"]
    assert len(names) == 12
    for name in names:
        assert getattr(_globals, name) == getattr(their_globals, name), name


def test_settings() -> None:
    names = [name for name in vars(their_config) if name.isupper()]
    for name in names:
        if name != "VALIDATORS":
            assert getattr(_config, name) == getattr(their_config, name), name


@pytest.mark.parametrize("value", ["abc", "", " ", "a" * 17, "a\\b", "a\n", "a\x00", "é", b"a", 1, None])
def test_validate_ae(value: Any) -> None:
    assert _config.VALIDATORS["AE"](value) == their_config.VALIDATORS["AE"](value)


@pytest.mark.parametrize("value", ["1.2", "1.02", "", "1" * 65, "abc"])
@pytest.mark.parametrize("conformance", [False, True])
def test_validate_ui(value: str, conformance: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "ENFORCE_UID_CONFORMANCE", conformance)
    monkeypatch.setattr(their_config, "ENFORCE_UID_CONFORMANCE", conformance)
    ours, reason = _config.VALIDATORS["UI"](UID(value))
    assert ours == their_config.VALIDATORS["UI"](UID(value))[0]
    assert ours or reason


@pytest.mark.parametrize("value", [value for value in VALUES if not isinstance(value, (list, Dataset))])
@pytest.mark.parametrize(("allow_empty", "allow_none"), list(product((True, False), repeat=2)))
@pytest.mark.parametrize("function", ["set_ae", "set_uid"])
def test_setters(function: str, value: Any, allow_empty: bool, allow_none: bool) -> None:
    results = []
    for module in (utils, their_utils):
        try:
            results.append(getattr(module, function)(value, "x", allow_empty, allow_none))
        except (TypeError, ValueError) as error:
            results.append((type(error), str(error)))
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (b"", {}),
        (b"0123456789abcdefXYZ", {}),
        (io.BytesIO(b"ab"), {}),
        (b"a" * 600, {}),
        (b"a" * 20, {"prefix": "<", "delimiter": ":", "items_per_line": 4, "suffix": ">", "max_size": None}),
    ],
)
def test_pretty_bytes(data: Any, options: dict[str, Any]) -> None:
    assert utils.pretty_bytes(data, **options) == their_utils.pretty_bytes(data, **options)


def example() -> Dataset:
    item = Dataset()
    item.CodeValue = "x"
    dataset = Dataset()
    dataset.PatientName = "A^B"
    dataset.ImageType = ["A", "B"]
    dataset.StudyDate = ""
    dataset.Rows = 3
    dataset.PixelSpacing = [1, 2]
    dataset.FrameIncrementPointer = 0x00181063
    dataset.ConceptNameCodeSequence = [item, item]
    dataset.OtherPatientIDsSequence = []
    dataset.add_new(0x7FE00010, "OW", b"ab" * 40)
    return dataset


@pytest.mark.parametrize(("implicit", "little", "deflated"), [(1, 1, 0), (0, 1, 0), (0, 0, 0), (0, 1, 1)])
def test_encoding(implicit: bool, little: bool, deflated: bool) -> None:
    ours = dsutils.encode(example(), bool(implicit), bool(little), bool(deflated))
    assert ours == their_dsutils.encode(example(), bool(implicit), bool(little), bool(deflated))
    assert ours is not None
    decoded = dsutils.decode(io.BytesIO(ours), bool(implicit), bool(little), bool(deflated))
    assert decoded == their_dsutils.decode(io.BytesIO(ours), bool(implicit), bool(little), bool(deflated))
    assert decoded.PatientName == "A^B"


def test_pretty_dataset() -> None:
    # Without indentation: pynetdicom does not indent sequences.
    assert dsutils.pretty_dataset(example()) == their_dsutils.pretty_dataset(example())


ROLES = (None, True, False)


@pytest.mark.parametrize("supported", list(product(ROLES, ROLES)))
@pytest.mark.parametrize("proposed", [None, *product((True, False), repeat=2)])
def test_acceptor_roles(supported: Any, proposed: Any) -> None:
    results = []
    for module in (presentation, their_presentation):
        request = module.build_context("1.2.3")
        request.context_id = 1
        support = module.build_context("1.2.3")
        support.scu_role, support.scp_role = supported
        roles = None if proposed is None else {UID("1.2.3"): proposed}
        contexts, replies = module.negotiate_as_acceptor([request], [support], roles)
        results.append((_view(contexts), [(item.scu_role, item.scp_role) for item in replies]))
    assert results[0] == results[1]


@pytest.mark.parametrize("answered", [None, *product(ROLES, ROLES)])
@pytest.mark.parametrize("proposed", [(None, None), *product((True, False), repeat=2)])
def test_requestor_roles(proposed: Any, answered: Any) -> None:
    results = []
    for module in (presentation, their_presentation):
        request = module.build_context("1.2.3")
        request.context_id = 1
        request.scu_role, request.scp_role = proposed
        answer = module.build_context("1.2.3", "1.2.840.10008.1.2")
        answer.context_id, answer.result = 1, 0
        roles = None if answered is None else {UID("1.2.3"): answered}
        results.append(_view(module.negotiate_as_requestor([request], [answer], roles)))
    assert results[0] == results[1]


def _view(contexts: list[Any]) -> list[Any]:
    return [
        (
            context.context_id,
            context.abstract_syntax,
            context.transfer_syntax,
            context.result,
            bool(context.as_scu),
            bool(context.as_scp),
        )
        for context in contexts
    ]


@pytest.mark.parametrize("seed", range(4))
def test_acceptor_contexts(seed: int) -> None:
    syntaxes = _globals.DEFAULT_TRANSFER_SYNTAXES
    proposals = [
        [("1.2.3", syntaxes[:2]), ("1.2.4", syntaxes[:1])],
        [("1.2.3", [UID("1.9")]), ("1.2.3", syntaxes)],
        [("1.2.3", syntaxes[::-1])],
        [],
    ][seed]
    results = []
    for module in (presentation, their_presentation):
        requests = []
        for number, (uid, offered) in enumerate(proposals):
            context = module.build_context(uid, list(offered))
            context.context_id = 101 - 2 * number
            requests.append(context)
        supported = [
            module.build_context("1.2.3", list(syntaxes[2:])),
            module.build_context("1.2.3", list(syntaxes[:2])),
        ]
        results.append(_view(module.negotiate_as_acceptor(requests, supported)[0]))
    assert results[0] == results[1]


@pytest.mark.parametrize(
    "setup", ["", "id", "id syntax", "id syntax result", "id syntax result role", "syntax pending"]
)
def test_contexts_as_text(setup: str) -> None:
    texts = []
    for module in (presentation, their_presentation):
        context = module.PresentationContext()
        context.context_id = 1 if "id" in setup else None
        if "syntax" in setup:
            context.abstract_syntax = "1.2.840.10008.1.1"
            context.transfer_syntax = list(_globals.DEFAULT_TRANSFER_SYNTAXES)
            assert repr(context) == "Verification SOP Class"
        context.result = 0 if "result" in setup else None
        texts.append((str(context), context.status))
    assert texts[0] == texts[1]
