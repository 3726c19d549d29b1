"""Identifiers of C-FIND, C-GET and C-MOVE as queries (PS3.4 C.4.1 to C.4.3, C.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from dulcimer.errors import Refused
from dulcimer.node.domain.catalogue import (
    BY_NAME,
    BY_TAG,
    ITEM_ATTRIBUTES,
    LEVELS,
    UNIQUE_KEYS,
    Attribute,
    Level,
)
from dulcimer.node.domain.matching import AnItem, Combined, Condition, On
from dulcimer.services.matchers import DateRange, Matcher, OneOf, TimeRange, Unusable, matcher_for
from dulcimer.services.text import SPECIFIC_CHARACTER_SET, Texts, plain_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import Dataset

IDENTIFIER_DOES_NOT_MATCH: Final = 0xA900

QUERY_RETRIEVE_LEVEL: Final = 0x00080052
RETRIEVE_AE_TITLE: Final = 0x00080054
INSTANCE_AVAILABILITY: Final = 0x00080056

_WILD: Final = frozenset("*?")


Operation = Literal["FIND", "MOVE", "GET"]


@dataclass(frozen=True, slots=True)
class Model:
    """An information model, and what is done with it."""

    name: str
    levels: tuple[Level, ...]
    operation: Operation

    def level_of(self, attribute: Attribute) -> Level:
        """Return the level of an attribute: in the Study Root, patients are described by their studies."""
        return attribute.level if attribute.level in self.levels else self.levels[0]


_OPERATIONS: Final[tuple[tuple[int, Operation], ...]] = ((1, "FIND"), (2, "MOVE"), (3, "GET"))

MODELS: Final = {
    f"1.2.840.10008.5.1.4.1.2.{root}.{number}": Model(name, levels, operation)
    for root, name, levels in (
        (1, "Patient Root", LEVELS),
        (2, "Study Root", LEVELS[1:]),
        (3, "Patient/Study Only", LEVELS[:2]),
    )
    for number, operation in _OPERATIONS
}
"""The Query/Retrieve SOP classes (PS3.4 C.6.1.3, C.6.2.3; the third model is retired)."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was agreed about a query, or configured for it.

    Attributes
    ----------
    relational
        Whether unique keys above the level may be missing (PS3.4 C.5.1.1).
    combined
        Whether ranges of a date and its time are one range.
    insensitive_names
        Whether person names match without regard to case and Latin accents.
    """

    relational: bool = False
    combined: bool = False
    insensitive_names: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """An attribute that a query asks to be returned; for a sequence with the tags wanted of its items."""

    attribute: Attribute
    item: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for.

    Attributes
    ----------
    level
        The level of the entities that are looked for.
    conditions
        What has to be true of each.
    wishes
        What is to be said about each, unique keys first.
    tags
        Attributes of the answer that are no entity's, such as Retrieve AE Title.
    character_set
        The terms of Specific Character Set (0008,0005), none if it was not there.
    ignored
        Keys that are not supported, or are below the level: nothing is matched against them and the answers
        do not have them.
    """

    level: Level
    conditions: tuple[Condition, ...] = ()
    wishes: tuple[Wish, ...] = ()
    tags: frozenset[int] = frozenset()
    character_set: tuple[str, ...] = ()
    ignored: tuple[int, ...] = ()


_COMBINABLE: Final = {
    "study_date": "study_time",
    "series_date": "series_time",
    "performed_step_start_date": "performed_step_start_time",
    "acquisition_date": "acquisition_time",
    "content_date": "content_time",
    "patient_birth_date": "patient_birth_time",
}


def parse_find(identifier: Dataset, model: Model, options: Options = Options()) -> Query:
    """Read the identifier of a C-FIND.

    Hierarchical search (PS3.4 C.4.1.2.1, C.4.1.3.1.1): the unique keys above the level have a single value,
    unless relational queries were agreed on. Further keys of levels above are matched and returned. A key of
    a level below that has a value is refused, since it cannot be matched; one without is ignored.

    Raises
    ------
    Refused
        A900H: the level or a unique key is missing, or a value cannot be used. C000H: the values cannot be
        decoded.
    """
    reader = _Reader(identifier)
    level = reader.level(model)
    rank = model.levels.index(level)
    if not options.relational:
        _require_unique_keys(reader, model.levels[:rank])
    conditions: list[Condition] = []
    wishes = {UNIQUE_KEYS[above].tag: Wish(UNIQUE_KEYS[above]) for above in model.levels[: rank + 1]}
    tags: set[int] = set()
    ignored: list[int] = []
    for tag in reader.tags():
        attribute = BY_TAG.get(tag)
        if attribute is None:
            if tag in (RETRIEVE_AE_TITLE, INSTANCE_AVAILABILITY):
                tags.add(tag)
            elif tag not in (SPECIFIC_CHARACTER_SET, QUERY_RETRIEVE_LEVEL):
                ignored.append(tag)
            continue
        matcher: Matcher | None = None
        item: tuple[int, ...] = ()
        if attribute.vr == "SQ":
            matcher, item = reader.sequence(tag)
        elif not attribute.counted or attribute.many:
            matcher = reader.matcher(tag, attribute.vr, options)
        if model.levels.index(model.level_of(attribute)) > rank:
            if matcher is not None:
                raise _mismatch(f"{_name(tag)} is a key below the {level} level", tag)
            ignored.append(tag)
            continue
        wishes[tag] = Wish(attribute, item)
        if matcher is not None:
            conditions.append(On(attribute, matcher))
    if options.combined:
        conditions = _combined(conditions)
    return Query(
        level,
        tuple(conditions),
        tuple(wishes.values()),
        frozenset(tags),
        reader.character_set,
        tuple(ignored),
    )


def parse_retrieve(identifier: Dataset, model: Model, options: Options = Options()) -> Query:
    """Read the identifier of a C-GET or C-MOVE as a query for instances.

    The unique key of the level has one or more values, one for patients (PS3.4 C.4.2.2.1, C.4.3.2.1); those
    above have a single value, unless relational retrieval was agreed on, and are looked at if they are there.
    Other keys are ignored.

    Raises
    ------
    Refused
        A900H: the level or a unique key is missing, or a value cannot be used.
    """
    reader = _Reader(identifier)
    level = reader.level(model)
    rank = model.levels.index(level)
    if not options.relational:
        _require_unique_keys(reader, model.levels[:rank])
    conditions: list[Condition] = []
    for each in model.levels[: rank + 1]:
        key = UNIQUE_KEYS[each]
        values = [value for value in reader.values(key.tag, key.vr) if value]
        if not values:
            if each == level:
                raise _mismatch(f"{_name(key.tag)} needs a value at the {level} level", key.tag)
            continue
        if any(_WILD.intersection(value) for value in values) or (each == "PATIENT" and len(values) > 1):
            raise _mismatch(f"{_name(key.tag)} cannot be matched in a retrieval", key.tag)
        conditions.append(On(key, OneOf(frozenset(values))))
        if each == "PATIENT":
            issuer = BY_NAME["issuer_of_patient_id"]
            given = [value for value in reader.values(issuer.tag, issuer.vr) if value]
            if given:
                conditions.append(On(issuer, OneOf(frozenset(given))))
    return Query("IMAGE", tuple(conditions))


def _require_unique_keys(reader: _Reader, levels: tuple[Level, ...]) -> None:
    for above in levels:
        key = UNIQUE_KEYS[above]
        values = [value for value in reader.values(key.tag, key.vr) if value]
        if len(values) != 1 or _WILD.intersection(values[0]):
            raise _mismatch(f"{_name(key.tag)} needs a single value at this level", key.tag)


def _combined(conditions: list[Condition]) -> list[Condition]:
    by_name = {c.attribute.name: c for c in conditions if isinstance(c, On)}
    for date_name, time_name in _COMBINABLE.items():
        date, time = by_name.get(date_name), by_name.get(time_name)
        if date is None or time is None:
            continue
        times = time.matcher
        if isinstance(date.matcher, DateRange) and isinstance(times, TimeRange) and not times.single:
            conditions = [c for c in conditions if c is not date and c is not time]
            conditions.append(Combined(date.attribute, time.attribute, date.matcher, times))
    return conditions


class _Reader:
    """Reads the values of an identifier, decoded with the character set that it declares."""

    def __init__(self, identifier: Dataset) -> None:
        self._identifier = identifier
        self._texts = Texts(identifier)
        self.character_set = self._texts.character_set

    def level(self, model: Model) -> Level:
        said = plain_text(self._identifier, QUERY_RETRIEVE_LEVEL).upper()
        for level in model.levels:
            if said == level:
                return level
        what = f"no level {said[:16]}" if said else "no Query/Retrieve Level"
        raise _mismatch(f"{what}: {model.name} has {', '.join(model.levels)}", QUERY_RETRIEVE_LEVEL)

    def tags(self) -> Iterator[int]:
        for tag in self._identifier.keys():  # noqa: SIM118  (iterating would decode the elements)
            # Group lengths and private elements are no keys.
            if tag & 0xFFFF and not tag >> 16 & 1:
                yield int(tag)

    def values(self, tag: int, vr: str) -> list[str]:
        """Return the values of a key without padding."""
        return self._texts.values(tag, vr)

    def matcher(self, tag: int, vr: str, options: Options) -> Matcher | None:
        try:
            return matcher_for(vr, self.values(tag, vr), insensitive_names=options.insensitive_names)
        except Unusable as error:
            raise _mismatch(f"{_name(tag)} {error}", tag) from None

    def sequence(self, tag: int) -> tuple[Matcher | None, tuple[int, ...]]:
        """Return how the item of a sequence matches, and what is wanted of the items that are stored."""
        try:
            items: list[Dataset] = list(self._identifier[tag].value or ())
        except Exception:  # whatever pydicom finds wrong with the bytes
            raise _mismatch(f"{_name(tag)} is no sequence", tag) from None
        if len(items) > 1:
            raise _mismatch(f"{_name(tag)} has more than one item", tag)
        wanted: list[int] = []
        keys: list[tuple[int, Matcher]] = []
        for item in items:
            texts = Texts(item, self.character_set)
            for inner in item.keys():  # noqa: SIM118  (iterating would decode the elements)
                vr = ITEM_ATTRIBUTES.get(int(inner))
                if vr is None:
                    continue
                wanted.append(int(inner))
                try:
                    matcher = matcher_for(vr, texts.values(int(inner), vr))
                except Unusable as error:
                    raise _mismatch(f"{_name(inner)} {error}", tag) from None
                if matcher is not None:
                    keys.append((int(inner), matcher))
        return (AnItem(tuple(keys)) if keys else None), tuple(wanted)


def _name(tag: int) -> str:
    from pydicom.datadict import keyword_for_tag

    return keyword_for_tag(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _mismatch(text: str, tag: int) -> Refused:
    return Refused(IDENTIFIER_DOES_NOT_MATCH, text, offending=(tag,))
