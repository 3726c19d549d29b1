"""Sequence Matching over the items that the index keeps."""

from __future__ import annotations

from dulcimer.node.domain.matching import AnItem
from dulcimer.services.matchers import OneOf, Wildcard


def test_an_item_satisfies_all_keys_by_itself() -> None:
    stored = '[{"00401001":"R1","00400009":"S1"},{"00401001":"R2","00400009":"S2"}]'
    requested, step = 0x00401001, 0x00400009

    def matches(**keys: str) -> bool:
        tags = {"requested": requested, "step": step}
        pairs = [(tags[name], OneOf(frozenset({value}))) for name, value in keys.items()]
        return AnItem(tuple(pairs)).matches(stored)

    assert matches(requested="R2")
    assert matches(requested="R2", step="S2")
    assert not matches(requested="R1", step="S2")
    assert not AnItem(((requested, Wildcard("R*")),)).matches("")
