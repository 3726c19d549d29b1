"""Person names as they are compared (PS3.5 6.2.1, PS3.4 C.2.2.2.1)."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

GROUPS: Final = 3
"""Alphabetic, ideographic, phonetic."""

_LATIN: Final = 0x0250
_LATIN_ADDITIONAL: Final = range(0x1E00, 0x1F00)
_COMBINING: Final = range(0x0300, 0x0370)


@lru_cache(maxsize=4096)
def _folded(character: str) -> str:
    number = ord(character)
    if number < _LATIN or number in _LATIN_ADDITIONAL:
        character = unicodedata.normalize("NFKD", character)
    return "".join(each for each in character.casefold() if ord(each) not in _COMBINING)


def folded(text: str) -> str:
    """Return a text without upper case and without the accents of Latin letters.

    Character by character: what a text begins with, its folded form begins with.
    """
    return text.casefold() if text.isascii() else "".join(map(_folded, text))


def groups(name: str) -> list[str]:
    """Return the component groups of a name, each without empty components at the end."""
    return [group.rstrip("^") for group in name.split("=")]


def folded_groups(name: str) -> list[str]:
    """Return three folded component groups, empty where there is none."""
    found = [folded(group) for group in groups(name)[:GROUPS]]
    return found + [""] * (GROUPS - len(found))
