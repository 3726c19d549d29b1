"""The keys of an identifier against data sets: all matching of PS3.4 C.2.2.2, and the shape of responses.

For one data set there are :func:`matches` and :func:`response`. Who compares an identifier with many makes
:class:`Keys` of it once.

Where the Standard is silent
----------------------------
- Several items in a key sequence (C.2.2.2.6 allows one): each of them would do, like several values.
- Private keys, group lengths and keys that are in no dictionary are not supported: nothing is matched
  against them and they are not returned.
- A date range and a time range of an attribute pair that the Standard wants combined are combined only if
  both are ranges; otherwise each is matched by itself.
- Responses are in the character set of the identifier if it has all characters, otherwise in UTF-8. Where
  all of a response is ASCII, the character set of the identifier is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from dulcimer.errors import Refused
from dulcimer.services.matchers import DateRange, Matcher, TimeRange, Unusable, matcher_for, within
from dulcimer.services.text import ENCODED, SPECIFIC_CHARACTER_SET, Texts, Unencodable, encode, normal

if TYPE_CHECKING:
    from collections.abc import Iterator

NameMatching = Literal["exact", "insensitive"]
"""Whether case and Latin accents count in person names."""

IDENTIFIER_DOES_NOT_MATCH: Final = 0xA900

TIMEZONE_OFFSET_FROM_UTC: Final = 0x00080201

COMBINED: Final = {0x00400002: 0x00400003}
"""Dates and the times that belong to them, which are one range where both are ranges: start date and start
time of a scheduled procedure step (Table K.6-1)."""

_NO_KEYS: Final = frozenset({SPECIFIC_CHARACTER_SET, TIMEZONE_OFFSET_FROM_UTC})
_BULK: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_ASCII: Final = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"})
_OF_OTHERS: Final = frozenset({0x0000, 0x0002, 0xFFFE})
"""Groups of commands, file meta information and delimiters: none of them is in a data set."""
_UTF_8: Final = ("ISO_IR 192",)
_AMBIGUOUS: Final = {"US or SS": "US", "OB or OW": "OW", "US or OW": "OW", "US or SS or OW": "OW"}

Path = tuple[int, ...]
"""The tags of the sequences that an attribute is in, and its own."""

Supports = Callable[[Path], bool]


def matches(identifier: Dataset, dataset: Dataset, *, names: NameMatching = "exact") -> bool:
    """Tell whether a data set matches all keys of an identifier.

    Parameters
    ----------
    identifier
        The keys.
    dataset
        What they are compared with.
    names
        Whether case and accents count in person names.

    Raises
    ------
    Refused
        A900H: a key is no value of its VR. C000H: a character set is not known.
    """
    return Keys(identifier, names=names).match(dataset)


def response(identifier: Dataset, dataset: Dataset) -> Dataset:
    """Return what an identifier asks for of a data set: with its value, or zero-length if it has none.

    Of a sequence whose key has an item with keys, each stored item is given with these attributes; a sequence
    without, or with an empty item, is given as it is.
    """
    return Keys(identifier).response(dataset)


class Keys:
    """The keys of an identifier.

    Parameters
    ----------
    identifier
        The identifier.
    names
        Whether case and accents count in person names.
    combined
        Dates and the times that belong to them.
    supports
        Tells whether a key is supported, by its path; all are by default. Against one that is not nothing is
        matched; it is returned where there is a value for it.
    path, character_set
        Of an item: the tags of the sequences that it is in, and the terms of what it is an item of.

    Raises
    ------
    Refused
        A900H: a key is no value of its VR. C000H: the character set is not known.
    """

    def __init__(
        self,
        identifier: Dataset,
        *,
        names: NameMatching = "exact",
        combined: Mapping[int, int] = COMBINED,
        supports: Supports = lambda path: True,
        path: Path = (),
        character_set: tuple[str, ...] = (),
    ) -> None:
        texts = Texts(identifier, character_set)
        self.character_set: tuple[str, ...] = texts.character_set
        """The terms of Specific Character Set (0008,0005), none if it was not there."""
        self.unsupported: list[Path] = []
        """The keys that are not supported."""
        self.vrs: dict[BaseTag, str] = {}
        """What is asked for, by tag with its VR."""
        self.matchers: dict[BaseTag, Matcher] = {}
        """What is matched, sequences aside; a tag that is not here is matched universally."""
        self.items: dict[int, list[Keys]] = {}
        """The items of key sequences that hold keys."""
        self.ranges: list[tuple[int, int, DateRange, TimeRange]] = []
        """Pairs of a date and a time that are matched as one range."""
        self._only_if_there: set[int] = set()
        for tag in _tags(identifier):
            vr = _vr(tag)
            here = (*path, tag)
            if vr is None:
                self.unsupported.append(here)
                continue
            supported = supports(here)
            if not supported:
                self.unsupported.append(here)
                self._only_if_there.add(tag)
            self.vrs[tag] = vr
            if vr == "SQ":
                items = [
                    Keys(
                        item,
                        names=names,
                        combined=combined,
                        supports=supports,
                        path=here,
                        character_set=self.character_set,
                    )
                    for item in _items_of_key(identifier, tag)
                ]
                if supported:
                    self.unsupported += [each for item in items for each in item.unsupported]
                self.items[tag] = [item for item in items if item.vrs]
                continue
            matcher = _matcher(texts, tag, vr, names)
            if matcher is not None and supported:
                self.matchers[tag] = matcher
        for date, time in combined.items():
            dates, times = self.matchers.get(BaseTag(date)), self.matchers.get(BaseTag(time))
            if isinstance(dates, DateRange) and isinstance(times, TimeRange) and not times.single:
                self.ranges.append((date, time, dates, times))
                del self.matchers[BaseTag(date)], self.matchers[BaseTag(time)]
        self._wanted_items = [
            (tag, wanted)
            for tag, items in self.items.items()
            if tag not in self._only_if_there
            and (wanted := [item for item in items if not item.universal])
            # An item that anything would satisfy makes the others needless.
            and len(wanted) == len(items)
        ]

    @property
    def universal(self) -> bool:
        """Whether every data set matches."""
        return not (self.matchers or self.ranges or self._wanted_items)

    def match(self, dataset: Dataset, character_set: tuple[str, ...] = ()) -> bool:
        """Tell whether a data set matches, an item of one that has this character set.

        Of several values any may match (PS3.4 C.2.2.3).
        """
        if self.universal:
            return True
        texts = Texts(dataset, character_set)
        for tag, matcher in self.matchers.items():
            if not any(map(matcher.matches, _values(texts, tag, self.vrs[tag]))):
                return False
        for date, time, dates, times in self.ranges:
            pairs = zip(_values(texts, date, "DA"), _values(texts, time, "TM"), strict=False)
            if not any(within(dates, times, *pair) for pair in pairs):
                return False
        return all(
            any(item.match(each, texts.character_set) for each in _items(dataset, tag) for item in wanted)
            for tag, wanted in self._wanted_items
        )

    def response(self, dataset: Dataset) -> Dataset:
        """Return what is asked for of a data set; see :func:`response`."""
        declared = _declared(dataset)
        try:
            return self._answer(dataset, declared, None)
        except NotASCII:
            pass
        terms = self.character_set
        if terms and terms != _UTF_8 and all(term in python_encoding for term in terms):
            try:
                return self._answer(dataset, declared, terms)
            except Unencodable:
                pass
        return self._answer(dataset, declared, _UTF_8)

    def _answer(self, dataset: Dataset, declared: tuple[str, ...], terms: tuple[str, ...] | None) -> Dataset:
        answer = self.shaped(dataset, declared, terms)
        names = self.character_set if terms is None else terms
        if names:
            value = names[0] if len(names) == 1 else list(names)
            answer.add(DataElement(SPECIFIC_CHARACTER_SET, "CS", value, already_converted=False))
        return answer

    def shaped(self, dataset: Dataset, inherited: tuple[str, ...], terms: tuple[str, ...] | None) -> Dataset:
        """Return what is asked for in a character set; None stands for ASCII.

        ``inherited`` is the character set of what the data set is an item of.

        Raises
        ------
        NotASCII, Unencodable
            A text has characters that are not in it.
        """
        texts = Texts(dataset, inherited)
        shaped: dict[BaseTag, DataElement | RawDataElement] = {}
        for tag, vr in self.vrs.items():
            if tag not in dataset:
                if tag not in self._only_if_there:
                    shaped[tag] = _element(tag, vr, [] if vr == "SQ" else None)
            elif vr == "SQ":
                wanted = self.items[tag]
                keys = wanted[0] if len(wanted) == 1 else None
                items = [
                    _whole(item, texts.character_set, terms)
                    if keys is None
                    else keys.shaped(item, texts.character_set, terms)
                    for item in _items(dataset, tag)
                ]
                shaped[tag] = _element(tag, "SQ", items)
            else:
                shaped[tag] = _copied(dataset, texts, tag, vr, terms)
        return Dataset(shaped)


class NotASCII(Exception):
    """A text has other characters than those of the default repertoire."""


def _tags(dataset: Dataset) -> Iterator[BaseTag]:
    for tag in dataset.keys():  # noqa: SIM118  (iterating would decode the elements)
        if tag & 0xFFFF and tag not in _NO_KEYS:
            yield tag


def _vr(tag: int) -> str | None:
    """Return the VR that an attribute has by the dictionary, whatever a peer says; None if it has none."""
    if tag >> 16 & 1 or tag >> 16 in _OF_OTHERS:
        return None
    vr = _dictionary_vr(tag)
    return None if vr is None else _AMBIGUOUS.get(vr, vr)


@lru_cache(maxsize=2048)
def _dictionary_vr(tag: int) -> str | None:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return None


def _matcher(texts: Texts, tag: int, vr: str, names: NameMatching) -> Matcher | None:
    if vr in _BULK:
        return None
    try:
        return matcher_for(vr, texts.values(tag, vr), insensitive_names=names == "insensitive")
    except Unusable as error:
        raise Refused(IDENTIFIER_DOES_NOT_MATCH, f"{name_of(tag)} {error}", offending=(tag,)) from None
    except Refused:
        raise
    except Exception:  # whatever pydicom finds wrong with the bytes
        raise Refused(IDENTIFIER_DOES_NOT_MATCH, f"{name_of(tag)} cannot be read", offending=(tag,)) from None


def name_of(tag: int) -> str:
    """Return the keyword of an attribute, its tag if it has none."""
    return keyword_for_tag(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _items_of_key(identifier: Dataset, tag: int) -> list[Dataset]:
    try:
        value: Any = identifier[tag].value
        if not value:
            return []
        items = list(value)
        if all(isinstance(item, Dataset) for item in items):
            return items
    except Exception:  # whatever pydicom finds wrong with the bytes
        pass
    raise Refused(IDENTIFIER_DOES_NOT_MATCH, f"{name_of(tag)} is no sequence", offending=(tag,)) from None


def _items(dataset: Dataset, tag: int) -> list[Dataset]:
    if tag not in dataset:
        return []
    element = dataset[tag]
    return list(element.value) if element.VR == "SQ" and element.value else []


def _values(texts: Texts, tag: int, vr: str) -> list[str]:
    values = texts.values(tag, vr)
    return [normal(vr, value) for value in values] or [""]


def _declared(dataset: Dataset) -> tuple[str, ...]:
    return Texts(dataset).character_set


def _element(tag: int, vr: str, value: Any) -> DataElement:
    if vr == "SQ":
        return DataElement(tag, vr, Sequence(value))
    return DataElement(tag, vr, value, already_converted=value is None)


def _copied(
    dataset: Dataset, texts: Texts, tag: int, vr: str, terms: tuple[str, ...] | None
) -> DataElement | RawDataElement:
    """Return an element as it is, with its text in another character set."""
    stored = dataset.get_item(tag)
    if vr not in ENCODED:
        is_text = isinstance(stored, RawDataElement) and vr == stored.VR and vr in _ASCII
        return stored if is_text else copy(dataset[tag])
    value = stored.value
    if value is None or value == b"":
        return _element(tag, vr, None)
    if isinstance(stored, RawDataElement):
        if value.isascii() and b"\x1b" not in value:
            return stored if vr == stored.VR else _raw(tag, vr, value)
    else:
        several = not isinstance(value, str) and hasattr(value, "__iter__") and vr != "PN"
        if all(str(each).isascii() for each in (value if several else [value])):
            return copy(dataset[tag])
    if terms is None:
        raise NotASCII
    text = "\\".join(texts.values(tag, vr))
    if terms == _UTF_8:
        return DataElement(tag, vr, text, validation_mode=0)
    content = encode(text, terms)
    return _raw(tag, vr, content + b" " * (len(content) % 2))


def _raw(tag: int, vr: str, content: bytes) -> RawDataElement:
    return RawDataElement(BaseTag(tag), vr, len(content), content, 0, False, True)


def _whole(item: Dataset, inherited: tuple[str, ...], terms: tuple[str, ...] | None) -> Dataset:
    """Return all of an item."""
    texts = Texts(item, inherited)
    whole = Dataset()
    for tag in item.keys():  # noqa: SIM118  (iterating would decode the elements)
        if tag == SPECIFIC_CHARACTER_SET or not tag & 0xFFFF:
            continue
        vr = _vr(int(tag)) or item[tag].VR
        if vr == "SQ":
            whole[tag] = _element(
                int(tag), "SQ", [_whole(each, texts.character_set, terms) for each in _items(item, int(tag))]
            )
        else:
            whole[tag] = _copied(item, texts, int(tag), vr, terms)
    return whole
