from __future__ import annotations

import contextvars
from io import BytesIO
from typing import Any

import pytest
from pydicom.uid import UID

from dulcimer import _config, _globals, utils

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


def test_decode_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert utils.decode_bytes(b"abc") == "abc"
    with pytest.raises(ValueError, match="61 E9"):
        utils.decode_bytes(b"a\xe9")
    monkeypatch.setattr(_config, "CODECS", ("ascii", "latin-1"))
    assert utils.decode_bytes(b"a\xe9b") == "ab"


@pytest.mark.parametrize("inherit", [False, True])
def test_context_variables(inherit: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "PASS_CONTEXTVARS", inherit)

    def prepare() -> Any:
        VARIABLE.set("set")
        return utils.make_target(VARIABLE.get)

    target = contextvars.Context().run(prepare)
    assert target() == ("set" if inherit else "unset")


def test_pretty_bytes() -> None:
    assert utils.pretty_bytes(b"0123456789abcdefX") == [
        "  30  31  32  33  34  35  36  37  38  39  61  62  63  64  65  66",
        "  58",
    ]
    assert utils.pretty_bytes(BytesIO(b"ab"), prefix="<", delimiter=":", suffix=">") == ["<61:62>"]
    assert utils.pretty_bytes(b"") == []
    shortened = utils.pretty_bytes(b"a" * 40, max_size=16)
    assert shortened == ["  Only dumping 16 bytes.", "  " + "  ".join(["61"] * 16)]
    assert len(utils.pretty_bytes(b"a" * 600, max_size=None)) == 38


@pytest.mark.parametrize("value", ["STORE", " STORE ", "", "   ", None, "A" * 16])
def test_ae_titles(value: str | None) -> None:
    assert utils.set_ae(value, "title") == value


@pytest.mark.parametrize(
    ("value", "options", "error"),
    [
        (None, {"allow_none": False}, TypeError),
        (b"STORE", {}, TypeError),
        ("", {"allow_empty": False}, ValueError),
        ("  ", {"allow_empty": False}, ValueError),
        ("A" * 17, {}, ValueError),
        ("A\\B", {}, ValueError),
        ("A\n", {}, ValueError),
        ("A\x7f", {}, ValueError),
        ("Ä", {}, ValueError),
    ],
)
def test_bad_ae_titles(value: Any, options: dict[str, bool], error: type[Exception]) -> None:
    with pytest.raises(error, match="'title'"):
        utils.set_ae(value, "title", **options)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1.2", "1.2"),
        (b"1.2", "1.2"),
        ("1.2 ", "1.2"),
        (UID("1.2"), "1.2"),
        ("1.02", "1.02"),
        ("", ""),
        (None, None),
    ],
)
def test_uids(value: Any, expected: str | None) -> None:
    uid = utils.set_uid(value, "uid")
    assert uid == expected
    assert uid is None or isinstance(uid, UID)


@pytest.mark.parametrize(
    ("value", "options", "error"),
    [
        (None, {"allow_none": False}, TypeError),
        (12, {}, TypeError),
        ("", {"allow_empty": False}, ValueError),
        ("1" * 65, {}, ValueError),
    ],
)
def test_bad_uids(value: Any, options: dict[str, bool], error: type[Exception]) -> None:
    with pytest.raises(error, match="'uid'"):
        utils.set_uid(value, "uid", **options)


def test_uids_are_not_validated_when_asked_not_to() -> None:
    assert utils.set_uid("1" * 65, "uid", validate=False) == "1" * 65


def test_enforced_conformance(monkeypatch: pytest.MonkeyPatch) -> None:
    assert utils.validate_uid(UID("1.02"))
    monkeypatch.setattr(_config, "ENFORCE_UID_CONFORMANCE", True)
    assert not utils.validate_uid(UID("1.02"))
    with pytest.raises(ValueError, match="non-conformant"):
        utils.set_uid("1.02", "uid")


def test_own_validators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_config.VALIDATORS, "AE", lambda value: (value.isupper(), "must be upper case"))
    assert utils.set_ae("STORE" * 5, "title") == "STORE" * 5
    with pytest.raises(ValueError, match="must be upper case"):
        utils.set_ae("store", "title")


def test_timer_resolution_is_left_alone() -> None:
    with utils.set_timer_resolution(1) as nothing:
        assert nothing is None


def test_transfer_syntaxes() -> None:
    assert len(_globals.ALL_TRANSFER_SYNTAXES) == len(set(_globals.ALL_TRANSFER_SYNTAXES)) == 45
    assert all(uid.is_transfer_syntax and not uid.is_private for uid in _globals.ALL_TRANSFER_SYNTAXES)
    assert [uid.is_compressed for uid in _globals.DEFAULT_TRANSFER_SYNTAXES] == [False, False, False, False]
    assert UID("1.2.840.10008.1.2.4.110").name == "JPEG XL Lossless"
