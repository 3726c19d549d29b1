"""What has to be true of an entity of the index (PS3.4 C.2.2.2)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dulcimer.services.matchers import within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dulcimer.node.domain.catalogue import Attribute
    from dulcimer.services.matchers import DateRange, Matcher, TimeRange


@dataclass(frozen=True)
class AnItem:
    """Sequence Matching: an item that satisfies all keys of the key's item."""

    keys: tuple[tuple[int, Matcher], ...]

    def matches(self, value: str) -> bool:
        return any(
            all(matcher.matches(item.get(f"{tag:08X}", "")) for tag, matcher in self.keys)
            for item in (json.loads(value) if value else [])
        )


@dataclass(frozen=True)
class On:
    """A key: an attribute, and what its value has to be."""

    attribute: Attribute
    matcher: Matcher

    @property
    def names(self) -> tuple[str, ...]:
        """What it has to know."""
        return (self.attribute.name,)

    def holds(self, row: Mapping[str, str]) -> bool:
        """Decide about the attributes of an entity.

        Of several values any may match (PS3.4 C.2.2.3).
        """
        value = row.get(self.attribute.name, "")
        if not self.attribute.many or not value:
            return self.matcher.matches(value)
        return any(self.matcher.matches(part) for part in value.split("\\"))


@dataclass(frozen=True)
class Combined:
    """Combined date-time matching: a range of dates and one of times as one range (PS3.4 C.2.2.2.5.4)."""

    date: Attribute
    time: Attribute
    dates: DateRange
    times: TimeRange

    @property
    def names(self) -> tuple[str, ...]:
        """What it has to know."""
        return self.date.name, self.time.name

    def holds(self, row: Mapping[str, str]) -> bool:
        """Decide about the attributes of an entity."""
        return within(self.dates, self.times, row.get(self.date.name, ""), row.get(self.time.name, ""))


Condition = On | Combined
