"""Objects of pydicom's, made in less than half the time that their constructors take.

Every operation returns a status, which is a data set of one element, and every match of a query is a data set
that was just read. pydicom's constructor sets a dozen attributes of a data set by way of a ``__setattr__`` of
its own. Here the constructor makes one object of a kind; the others get the same attributes at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

if TYPE_CHECKING:
    from pydicom.dataelem import RawDataElement

T = TypeVar("T")

_SHARED: Final = (str, bool, int, float, type(None), BaseTag)
"""What may be the same object in every one that is made: it cannot be changed."""

_STATUS: Final = Tag(0x00000900)
_ANY_STATUS: Final = 0xC123


class Pattern(Generic[T]):
    """Makes objects with the attributes that ``make`` gives them, but for the parts that each has of its own.

    Parameters
    ----------
    make
        Makes one, given its parts.
    parts
        Parts for the first one; none of them is used otherwise.
    """

    def __init__(self, make: Callable[..., T], *parts: Any) -> None:
        self._make = make
        first = make(*parts)
        self._kind = type(first)
        attributes = vars(first)
        holding = [[name for name, value in attributes.items() if value is part] for part in parts]
        self._names = tuple(names[0] for names in holding if len(names) == 1)
        others = {name: value for name, value in attributes.items() if name not in self._names}
        self._shared = {name: value for name, value in others.items() if type(value) in _SHARED}
        self._copied = tuple(
            (name, value)
            for name, value in others.items()
            if type(value) is dict and all(type(v) in _SHARED for v in value.values())
        )
        # Another kind of attribute means another pydicom than the one this is made for.
        self.known = len(self._names) == len(parts) and len(self._shared) + len(self._copied) == len(others)

    def new(self, *parts: Any) -> T:
        """Make one."""
        if not self.known:
            return self._make(*parts)
        made = self._kind.__new__(self._kind)
        attributes = vars(made)
        attributes.update(self._shared)
        for name, value in self._copied:
            attributes[name] = value.copy()
        attributes.update(zip(self._names, parts, strict=True))
        return made


def _read(implicit: bool) -> Pattern[Dataset]:
    def make(elements: dict[BaseTag, Any], character_sets: list[str]) -> Dataset:
        dataset = Dataset(elements)
        dataset.set_original_encoding(implicit, True, character_sets)
        return dataset

    return Pattern(make, {}, ["iso8859"])


@lru_cache(maxsize=8)
def _element(validation: int) -> Pattern[DataElement]:
    # How values are validated is a setting of pydicom's that an element keeps.
    return Pattern(lambda status: DataElement(_STATUS, "US", status), _ANY_STATUS)


CONSTRUCTED: Final = Pattern(Dataset, {})
IMPLICIT: Final = _read(True)
EXPLICIT: Final = _read(False)


def status_data_set(status: int) -> Dataset:
    """Return a new data set with a *Status* (0000,0900), of 16 bits."""
    element = _element(config.settings.reading_validation_mode).new(status)
    return CONSTRUCTED.new({_STATUS: element})


def read_data_set(
    elements: dict[BaseTag, RawDataElement | DataElement], implicit: bool, character_sets: list[str] | str
) -> Dataset:
    """Return a new data set that was read in little endian.

    Parameters
    ----------
    elements
        Its elements, in order.
    implicit
        Whether in implicit VR.
    character_sets
        The Python codecs of its Specific Character Set, or the one that it has without.
    """
    return (IMPLICIT if implicit else EXPLICIT).new(elements, character_sets)
