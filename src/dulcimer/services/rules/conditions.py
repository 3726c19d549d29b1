"""The conditions of conditional attributes, as far as they can be seen in the data set itself.

The tables have them as short sentences. Those about other attributes of the same item are understood; what
only the sender can know (whether the equipment can verify wedges, say) is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Condition = Callable[["Dataset"], bool]
"""Tells of the item that an attribute is in whether the condition holds."""

_EQUALS: Final = re.compile(r"^(?:[\w ]+: )?(\w+) == (\w+)$")
_NOT_ZERO: Final = re.compile(r"^(\w+) != 0(?:;.*)?$")
_PRESENT: Final = re.compile(r"^(\w+) (?:present|sent)\b(?: with a value in the item)?(?:;.*)?$")
_ABSENT: Final = re.compile(r"^(\w+) absent(?:;.*)?$")
_ALL_ABSENT: Final = re.compile(
    r"^(?:N-CREATE: )?required if (?:all of )?([\w, ]+?) absent[;,] else optional"
)
_ANY_PRESENT: Final = re.compile(r"^required if ([\w ]+?) present; else optional$")
_NAMES: Final = re.compile(r"\b(?!and\b|or\b)\w+")

_CODE_VALUE: Final = "len(code)<=16 and code is not URN/URL"
_ALWAYS: Final = frozenset({"parent sequence present"})


@lru_cache(maxsize=256)
def condition(text: str) -> Condition | None:
    """Return the condition that a sentence states, None if it cannot be evaluated."""
    if text in _ALWAYS:
        return lambda item: True
    if text == _CODE_VALUE:
        # One of three attributes holds the code, by its length and form; without the others it is this one.
        return lambda item: not (_has(item, "LongCodeValue") or _has(item, "URNCodeValue"))
    if match := _EQUALS.match(text):
        keyword, wanted = match.groups()
        return lambda item: str(item.get(keyword, "")) == wanted
    if match := _NOT_ZERO.match(text):
        keyword = match[1]
        return lambda item: bool(item.get(keyword))
    if match := _ALL_ABSENT.match(text):
        names = _NAMES.findall(match[1])
        return lambda item: not any(name in item for name in names)
    if match := _ANY_PRESENT.match(text):
        names = _NAMES.findall(match[1])
        return lambda item: any(_has(item, name) for name in names)
    if match := _PRESENT.match(text):
        keyword = match[1]
        return lambda item: _has(item, keyword)
    if match := _ABSENT.match(text):
        keyword = match[1]
        return lambda item: keyword not in item
    return None


def _has(item: Dataset, keyword: str) -> bool:
    return keyword in item and not item[keyword].is_empty
