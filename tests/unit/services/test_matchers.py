"""The kinds of matching of PS3.4 C.2.2.2, one by one."""

from __future__ import annotations

import pytest

from dulcimer.services.matchers import Unusable, Wildcard, matcher_for
from dulcimer.services.text import Unencodable, encode


@pytest.mark.parametrize(
    ("vr", "key", "match", "other"),
    [
        ("LO", ["A1"], ["A1"], ["a1", "A12", ""]),
        ("LO", ["A*1"], ["A1", "AB1", "A*1"], ["A", "BA1", ""]),
        ("LO", ["A?"], ["AB", "A?"], ["A", "ABC"]),
        ("LO", ["?*"], ["A", "AB"], [""]),
        ("LO", ["[A]*"], ["[A]", "[A]B"], ["A"]),
        ("LO", ["A", "B"], ["A", "B"], ["C", "A\\B"]),
        ("LO", ['""'], [""], ["A"]),
        ("UI", ["1.2", "1.3"], ["1.2", "1.3"], ["1.4", ""]),
        ("DA", ["20260102"], ["20260102"], ["20260103", ""]),
        ("DA", ["2026.01.02"], ["20260102"], ["20260103"]),
        ("DA", ["20260101-20260131"], ["20260101", "20260131"], ["20251231", "20260201", "", "2026"]),
        ("DA", ["-20260131"], ["19000101", "20260131"], ["20260201", ""]),
        ("DA", ["20260131-"], ["20260131", "99991231"], ["20260130", ""]),
        ("DA", ["202601*"], ["20260101"], ["20260201"]),
        ("TM", ["1015"], ["1015", "101500", "101559.9"], ["1016", "", "x"]),
        ("TM", ["10-1130"], ["10", "113059.999999"], ["0959", "1131"]),
        ("TM", ["-10"], ["00", "105959.999999"], ["11"]),
        ("TM", ["101500.5-"], ["101500.5", "1016"], ["101500.4"]),
        ("DT", ["20260101"], ["20260101", "20260101235959.9"], ["20260102", ""]),
        ("DT", ["20260101-20260201"], ["202601", "20260201235959"], ["20260202", "2025"]),
        ("DT", ["20260101120000+0100-"], ["20260101110000", "20260101120000+0100"], ["20260101105959"]),
        ("DT", ["20260101120000-0500"], ["20260101170000"], ["20260101120000"]),
        ("DT", ["-20260101120000-0500"], ["20260101165959"], ["20260101170001"]),
        ("IS", ["1"], ["1", "01", "+1"], ["2", "", "x"]),
        ("DS", ["1.50"], ["1.5", "15e-1"], ["1.51"]),
        ("PN", ["Doe^Jane"], ["Doe^Jane", "Doe^Jane^^", "Doe^Jane=山田"], ["Doe", "doe^jane", ""]),
        ("PN", ["Doe^*"], ["Doe^Jane", "Doe", "Doe^Jane^X"], ["Doer", "John^Doe"]),
        ("PN", ["山田*"], ["Yamada=山田^太郎", "山田"], ["Yamada"]),
        ("PN", ["=山田"], ["Yamada=山田"], ["山田", "Yamada"]),
        ("PN", ["Yam*=山?"], ["Yamada=山田"], ["Yamada", "Yamada=川田"]),
    ],
)  # fmt: skip
def test_what_a_key_matches(vr: str, key: list[str], match: list[str], other: list[str]) -> None:
    matcher = matcher_for(vr, key)
    assert matcher is not None
    assert [value for value in match if not matcher.matches(value)] == []
    assert [value for value in other if matcher.matches(value)] == []


@pytest.mark.parametrize("key", [[], [""], ["*"], ["**"], ["A", "*"]])
@pytest.mark.parametrize("vr", ["LO", "PN", "UI", "DA", "TM", "DT", "IS"])
def test_universal_matching(vr: str, key: list[str]) -> None:
    assert matcher_for(vr, key) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("doe^JANE", "Doe^Jane"),
        ("muller", "MÜLLER"),
        ("Müller", "muller"),
        ("STRASSE", "Straße"),
        ("d?e^*", "DOE^JANE"),
        ("иванов", "ИВАНОВ"),
    ],
)
def test_names_without_regard_to_case(key: str, value: str) -> None:
    insensitive, exact = matcher_for("PN", [key], insensitive_names=True), matcher_for("PN", [key])
    assert insensitive is not None and insensitive.matches(value)
    assert exact is not None and not exact.matches(value)


def test_other_scripts_keep_their_marks() -> None:
    matcher = matcher_for("PN", ["か"], insensitive_names=True)
    assert matcher is not None
    assert not matcher.matches("が")


@pytest.mark.parametrize(
    ("vr", "key"),
    [
        ("DA", "yesterday"), ("DA", "2026"), ("DA", "-"), ("DA", "20260101-x"),
        ("TM", "25"), ("TM", "-"), ("TM", "1-2"), ("DT", "x"), ("DT", "-"), ("IS", "one"), ("DS", "one"),
    ],
)  # fmt: skip
def test_keys_that_are_none(vr: str, key: str) -> None:
    with pytest.raises(Unusable):
        matcher_for(vr, [key])


def test_many_wild_cards_take_no_time() -> None:
    matcher = Wildcard("*a" * 40 + "*b")
    assert not matcher.matches("a" * 1000)


def test_gb_2312_is_designated_before_each_component() -> None:
    terms = ("", "ISO 2022 IR 58")
    assert encode("Zhang^XiaoDong=张^小东", terms) == (
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab"
    )


@pytest.mark.parametrize(("text", "terms"), [("山", ("ISO_IR 100",)), ("Ж", ("ISO_IR 138",))])
def test_what_a_character_set_has_not(text: str, terms: tuple[str, ...]) -> None:
    with pytest.raises(Unencodable):
        encode(text, terms)
