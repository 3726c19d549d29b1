"""How a key of a query matches a value (PS3.4 C.2.2.2).

Each kind of matching is a value that knows whether it :meth:`matches`; an index may use what it is made of
to find candidates faster. A value that is empty matches nothing but Universal and Empty Value Matching.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import cached_property
from typing import Final, Protocol

from dulcimer.services import names

EMPTY_VALUE: Final = '""'
"""The key that asks for what has no value (PS3.4 C.2.2.2.7)."""

_WILD: Final = frozenset("*?")
_DATE: Final = re.compile(r"\d{8}")
_TIME: Final = re.compile(r"(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?")
_DATE_TIME: Final = re.compile(
    r"(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?)?)?)?"
    r"([+-](?:0\d|1[0-4])[0-5]\d)?"
)
_WHOLE_NUMBER: Final = re.compile(r"[+-]?\d{1,18}")


class Unusable(ValueError):
    """A key is no value of its VR: the text says why."""


class Matcher(Protocol):
    """Decides about values that are not empty, except for :class:`Nothing`."""

    def matches(self, value: str) -> bool: ...


@dataclass(frozen=True)
class Nothing:
    """Empty Value Matching."""

    def matches(self, value: str) -> bool:
        return not value


@dataclass(frozen=True)
class OneOf:
    """Single Value Matching, and List of UID Matching."""

    values: frozenset[str]

    def matches(self, value: str) -> bool:
        return value in self.values


@dataclass(frozen=True)
class Number:
    """Single Value Matching of numbers, however they are written."""

    values: frozenset[float]

    def matches(self, value: str) -> bool:
        try:
            return float(value) in self.values
        except ValueError:
            return False


@dataclass(frozen=True)
class Wildcard:
    """Wild Card Matching: ``*`` is any characters, ``?`` one."""

    pattern: str

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile(_expression(self.pattern), re.DOTALL)

    @property
    def prefix(self) -> str:
        """What every match begins with."""
        return literal_prefix(self.pattern)

    def matches(self, value: str) -> bool:
        return bool(value) and self._expression.fullmatch(value) is not None


@dataclass(frozen=True)
class Name:
    """Single Value and Wild Card Matching of person names.

    A key of one component group matches a name that has it as any of its groups; a key of more groups
    matches group by group. Empty components at the end do not count.
    """

    pattern: str
    insensitive: bool = False

    @cached_property
    def groups(self) -> list[str]:
        """The patterns of the component groups."""
        return [group.rstrip("^") for group in self.pattern.rstrip("=").split("=")]

    @cached_property
    def _expressions(self) -> list[re.Pattern[str] | None]:
        expressions: list[re.Pattern[str] | None] = []
        for group in self.groups:
            if not group or not group.strip("*"):
                expressions.append(None)
                continue
            text = names.folded(group) if self.insensitive else group
            # "Doe^*" means every Doe, also one without further components.
            base = re.sub(r"(?:\^\*+)+$", "", text)
            optional = r"(?:\^.*)?" if base != text else ""
            expressions.append(re.compile(_expression(base) + optional, re.DOTALL))
        return expressions

    def matches(self, value: str) -> bool:
        if not value:
            return False
        if self.insensitive:
            value = names.folded(value)
        given = names.groups(value)
        if len(self._expressions) == 1:
            (expression,) = self._expressions
            return expression is None or any(group and expression.fullmatch(group) for group in given)
        for at, expression in enumerate(self._expressions):
            if expression is None:
                continue
            group = given[at] if at < len(given) else ""
            if not group or expression.fullmatch(group) is None:
                return False
        return True


@dataclass(frozen=True)
class DateRange:
    """Range Matching of dates; an end that is empty is open."""

    low: str
    high: str

    def matches(self, value: str) -> bool:
        return (
            _DATE.fullmatch(value) is not None
            and (not self.low or self.low <= value)
            and (not self.high or value <= self.high)
        )


@dataclass(frozen=True)
class TimeRange:
    """Single Value and Range Matching of times, in microseconds of the day.

    A time that is less precise than another stands for all of its minute or hour: 10 matches 1015, and -10
    reaches to the last microsecond before 11.
    """

    low: int | None
    high: int | None
    single: bool = False
    """Whether it is a single value: one that stands for all of its second, minute or hour."""

    def matches(self, value: str) -> bool:
        span = time_span(value)
        return (
            span is not None
            and (self.low is None or self.low <= span[1])
            and (self.high is None or span[0] <= self.high)
        )


@dataclass(frozen=True)
class MomentRange:
    """Single Value and Range Matching of VR DT, in microseconds since year 1; without an offset it is UTC."""

    low: int | None
    high: int | None

    def matches(self, value: str) -> bool:
        span = moment_span(value)
        return (
            span is not None
            and (self.low is None or self.low <= span[1])
            and (self.high is None or span[0] <= self.high)
        )


@dataclass(frozen=True)
class AnyOf:
    """Several values in a key that is no UID: each of them would do."""

    choices: tuple[Matcher, ...]

    def matches(self, value: str) -> bool:
        return any(choice.matches(value) for choice in self.choices)


def within(dates: DateRange, times: TimeRange, date: str, time: str) -> bool:
    """Combined date-time matching: a range of dates and one of times as one range (PS3.4 C.2.2.2.5.4)."""
    if not dates.matches(date):
        return False
    span = time_span(time) or (0, _DAY - 1)
    if date == dates.low and times.low is not None and span[1] < times.low:
        return False
    return not (date == dates.high and times.high is not None and span[0] > times.high)


# ---- from keys to matchers ---------------------------------------------------------------------------


def matcher_for(vr: str, values: list[str], *, insensitive_names: bool = False) -> Matcher | None:
    """Return how a key matches; None is Universal Matching.

    Raises
    ------
    Unusable
        If the value is none of this VR.
    """
    values = [value for value in values if value]
    # An asterisk alone is any value, and as such also none (PS3.4 C.2.2.2.4).
    if not values or any(not value.strip("*") for value in values):
        return None
    if EMPTY_VALUE in values:
        return Nothing() if len(values) == 1 else AnyOf(
            (Nothing(), *_matchers(vr, [v for v in values if v != EMPTY_VALUE], insensitive_names))
        )  # fmt: skip
    if vr == "UI":
        return OneOf(frozenset(values))
    matchers = _matchers(vr, values, insensitive_names)
    return matchers[0] if len(matchers) == 1 else AnyOf(tuple(matchers))


def _matchers(vr: str, values: list[str], insensitive_names: bool) -> list[Matcher]:
    return [_matcher(vr, value, insensitive_names) for value in values]


def _matcher(vr: str, value: str, insensitive_names: bool) -> Matcher:
    if vr == "UI":
        return OneOf(frozenset({value}))
    if vr == "PN":
        return Name(value, insensitive_names)
    if vr in ("DA", "TM", "DT") and not _WILD.intersection(value):
        return {"DA": _dates, "TM": _times, "DT": _moments}[vr](value)
    if vr in ("IS", "DS", "US") and not _WILD.intersection(value):
        return _number(vr, value)
    if _WILD.intersection(value):
        # Of VRs that have no wild cards some peers send them all the same.
        return Wildcard(re.sub(r"\*+", "*", value))
    return OneOf(frozenset({value}))


def _number(vr: str, value: str) -> Matcher:
    if vr != "DS" and _WHOLE_NUMBER.fullmatch(value) is None:
        raise Unusable(f"is no whole number (VR {vr})")
    try:
        return Number(frozenset({float(value)}))
    except ValueError:
        raise Unusable(f"is no number (VR {vr})") from None


def _dates(value: str) -> Matcher:
    low, hyphen, high = (part.strip().replace(".", "") for part in value.partition("-"))
    for end in (low, high):
        if end and _DATE.fullmatch(end) is None:
            raise Unusable("is no date YYYYMMDD, nor a range of dates")
    if not hyphen:
        return OneOf(frozenset({low}))
    if not low and not high:
        raise Unusable("is a range without ends")
    return DateRange(low, high)


def _times(value: str) -> Matcher:
    low, hyphen, high = (part.strip().replace(":", "") for part in value.partition("-"))
    spans = [time_span(end) for end in (low, high)]
    if any(end and span is None for end, span in zip((low, high), spans, strict=True)):
        raise Unusable("is no time HHMMSS.FFFFFF, nor a range of times")
    if not hyphen:
        assert spans[0] is not None
        return TimeRange(*spans[0], single=True)
    if not low and not high:
        raise Unusable("is a range without ends")
    return TimeRange(spans[0] and spans[0][0], spans[1] and spans[1][1])


def _moments(value: str) -> Matcher:
    single = moment_span(value)
    if single is not None:
        return MomentRange(*single)
    # A hyphen may also begin an offset, so every one is tried.
    for at, character in enumerate(value):
        if character != "-":
            continue
        low, high = value[:at].strip(), value[at + 1 :].strip()
        spans = [moment_span(end) for end in (low, high)]
        if not (low or high) or any(e and s is None for e, s in zip((low, high), spans, strict=True)):
            continue
        return MomentRange(spans[0] and spans[0][0], spans[1] and spans[1][1])
    raise Unusable("is no date and time, nor a range of them")


_SECOND: Final = 1_000_000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR


def time_span(value: str) -> tuple[int, int] | None:
    """Return the first and the last microsecond of what a TM says, None if it is none."""
    found = _TIME.fullmatch(value)
    if found is None:
        return None
    hour, minute, second, fraction = found.groups()
    low = int(hour) * _HOUR + int(minute or 0) * _MINUTE + int(second or 0) * _SECOND
    if low >= _DAY + _SECOND:
        return None
    if fraction is not None:
        low += int(fraction.ljust(6, "0"))
        return low, low + 10 ** (6 - len(fraction)) - 1
    width = _SECOND if second else _MINUTE if minute else _HOUR
    return low, low + width - 1


_BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def moment_span(value: str) -> tuple[int, int] | None:
    """Return the first and the last microsecond of what a DT says, None if it is none."""
    found = _DATE_TIME.fullmatch(value)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    shift = 0
    if offset is not None:
        shift = (int(offset[1:3]) * 60 + int(offset[3:])) * (-1 if offset[0] == "-" else 1)
    zone = timezone(timedelta(minutes=shift))
    try:
        first = datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0),
            min(int(second or 0), 59), int((fraction or "").ljust(6, "0")), zone,
        )  # fmt: skip
    except ValueError:
        return None
    low = (first - _BEGINNING) // _MICROSECOND
    if fraction is not None:
        return low, low + 10 ** (6 - len(fraction)) - 1
    for present, width in ((second, _SECOND), (minute, _MINUTE), (hour, _HOUR), (day, _DAY)):
        if present is not None:
            return low, low + width - 1
    years, months = divmod(int(month), 12) if month is not None else (1, 0)
    try:
        past = datetime(int(year) + years, months + 1, 1, tzinfo=zone)
    except ValueError:
        return low, low + 366 * _DAY
    return low, (past - _BEGINNING) // _MICROSECOND - 1


def literal_prefix(pattern: str) -> str:
    """Return what comes before the first wild card."""
    found = re.match(r"[^*?]*", pattern)
    return found[0] if found else ""


def _expression(pattern: str) -> str:
    """Return a regular expression for wild cards that takes no longer the more of them there are.

    What stands between two asterisks is looked for where it comes first, and not again.
    """
    first, *rest = (_fixed(part) for part in re.split(r"\*+", pattern))
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>.*?{part})" for part in middle) + ".*" + last


def _fixed(part: str) -> str:
    return "".join("." if character == "?" else re.escape(character) for character in part)
