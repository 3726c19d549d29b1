"""Instances whose parts come in different character sets (PS3.4 F.7.2.2.1, CC.2.6.3).

A change in another character set than the stored instance turns the instance into UTF-8 (ISO_IR 192); one
that cannot be decoded is refused with 0106H.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Final

from pydicom.dataset import Dataset

from dulcimer.errors import Refused

_SPECIFIC_CHARACTER_SET: Final = 0x0008_0005
_UTF_8: Final = "ISO_IR 192"


def merge(stored: Dataset, change: Dataset) -> Dataset:
    """Return an instance with every element of a change in the place of the stored one.

    Raises
    ------
    Refused
        0106H if the character sets cannot be combined.
    """
    merged, update = deepcopy(stored), deepcopy(change)
    new = _character_set(update)
    unify = new is not None and new != _character_set(stored)
    if unify:
        try:
            merged.decode()
            update.decode()
        except (LookupError, UnicodeError, ValueError):
            values = Dataset()
            values[_SPECIFIC_CHARACTER_SET] = update[_SPECIFIC_CHARACTER_SET]
            raise Refused(0x0106, "The character sets cannot be combined", values=values) from None
    for element in update:
        if element.tag != _SPECIFIC_CHARACTER_SET:
            merged[element.tag] = element
    if unify:
        merged.SpecificCharacterSet = _UTF_8
    return merged


def _character_set(dataset: Dataset) -> str | None:
    if _SPECIFIC_CHARACTER_SET not in dataset or dataset[_SPECIFIC_CHARACTER_SET].is_empty:
        return None
    return str(dataset[_SPECIFIC_CHARACTER_SET].value)


def difference(before: Dataset, after: Dataset) -> Dataset:
    """Return the elements of ``after`` that ``before`` does not have, or has with another value."""
    changed = Dataset()
    for element in after:
        if element.tag not in before or before[element.tag] != element:
            changed[element.tag] = deepcopy(element)
    return changed
