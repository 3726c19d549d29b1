"""The identifiers of C-FIND responses (PS3.4 C.4.1.1.3.2): what was asked for, in the asker's characters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from pydicom.charset import python_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.valuerep import PersonName

from dulcimer.node.domain.catalogue import ITEM_ATTRIBUTES
from dulcimer.node.domain.query import (
    INSTANCE_AVAILABILITY,
    QUERY_RETRIEVE_LEVEL,
    RETRIEVE_AE_TITLE,
)
from dulcimer.services.text import SPECIFIC_CHARACTER_SET, Unencodable, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dulcimer.node.domain.query import Query, Wish

UNICODE: Final = ("ISO_IR 192",)
_TEXT: Final = frozenset({"LO", "LT", "PN", "SH", "ST"})


class Responses:
    """Makes the answers to a query.

    Parameters
    ----------
    query
        The query. Attributes that it asked for and that are supported are returned, zero-length if the entity
        has no value; those that are not supported are left out (PS3.4 C.2.2.1.3).
    retrieve_aet
        The AE title that what is found can be retrieved from.
    """

    def __init__(self, query: Query, retrieve_aet: str) -> None:
        self._query = query
        self._terms = _usable(query.character_set)
        self._fixed = [_element(QUERY_RETRIEVE_LEVEL, "CS", query.level)]
        # One of this or a storage medium must be there.
        self._fixed.append(_element(RETRIEVE_AE_TITLE, "AE", retrieve_aet))
        if INSTANCE_AVAILABILITY in query.tags:
            self._fixed.append(_element(INSTANCE_AVAILABILITY, "CS", "ONLINE"))

    def answer(self, row: Mapping[str, str]) -> Dataset:
        """Return the identifier about an entity, of which the row has what the query wants to know."""
        plain = all(row[wish.attribute.name].isascii() for wish in self._query.wishes)
        if plain:
            return self._dataset(row, self._query.character_set, ())
        if self._terms:
            try:
                return self._dataset(row, self._terms, self._terms)
            except Unencodable:
                pass
        return self._dataset(row, UNICODE, UNICODE)

    def _dataset(
        self, row: Mapping[str, str], declared: tuple[str, ...], encoded_in: tuple[str, ...]
    ) -> Dataset:
        dataset = Dataset()
        if declared:
            value = declared[0] if len(declared) == 1 else list(declared)
            dataset.add(DataElement(SPECIFIC_CHARACTER_SET, "CS", value, already_converted=False))
        for element in self._fixed:
            dataset.add(element)
        for wish in self._query.wishes:
            attribute = wish.attribute
            value = row[attribute.name]
            if attribute.vr == "SQ":
                dataset.add(_sequence(wish, value, encoded_in))
            else:
                dataset[attribute.tag] = _any_element(attribute.tag, attribute.vr, value, encoded_in)
        return dataset


def _usable(terms: tuple[str, ...]) -> tuple[str, ...]:
    return terms if terms and all(term in python_encoding for term in terms) else ()


def _sequence(wish: Wish, value: str, terms: tuple[str, ...]) -> DataElement:
    items: list[Dataset] = []
    for stored in json.loads(value) if value else []:
        item = Dataset()
        for tag in sorted(wish.item or (int(text, 16) for text in stored)):
            text = stored.get(f"{tag:08X}", "")
            item[tag] = _any_element(tag, ITEM_ATTRIBUTES[tag], text, terms)
        items.append(item)
    return DataElement(wish.attribute.tag, "SQ", Sequence(items))


def _any_element(tag: int, vr: str, value: str, terms: tuple[str, ...]) -> DataElement | RawDataElement:
    if not terms or value.isascii() or vr not in _TEXT:
        return _element(tag, vr, value)
    content = encode(value, terms)
    content += b" " * (len(content) % 2)
    return RawDataElement(Tag(tag), vr, len(content), content, 0, False, True)


def _element(tag: int, vr: str, value: str) -> DataElement:
    """Return an element as it is: what was stored need not obey the rules of its VR."""
    content: object = value
    if vr == "PN":
        content = PersonName(value) if value else None
    elif vr == "US":
        content = int(value) if value else None
    elif not value:
        content = None
    return DataElement(tag, vr, content, already_converted=True)
