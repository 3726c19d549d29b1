"""Values of the View as people read them."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

_UNITS: Final = ("kB", "MB", "GB", "TB", "PB")


def name(value: str) -> str:
    """Write a person name (PS3.5 6.2): ``Yamada^Tarou=山田^太郎`` is ``Yamada, Tarou (山田 太郎)``."""
    groups = [_group(group, ", " if at == 0 else " ") for at, group in enumerate(value.split("="))]
    groups = [group for group in groups if group]
    if not groups:
        return ""
    return groups[0] + (f" ({'; '.join(groups[1:])})" if groups[1:] else "")


def _group(text: str, after_family: str) -> str:
    family, *others = (part.strip() for part in text.split("^"))
    rest = " ".join(part for part in others if part)
    return after_family.join(part for part in (family, rest) if part)


def date(value: str) -> str:
    """Write a DA as ISO 8601; what is none is written as it is."""
    if len(value) == 8 and value.isdecimal():
        return f"{value[:4]}-{value[4:6]}-{value[6:]}"
    return value


def clock(value: str) -> str:
    """Write a TM as hours and minutes; what is none is written as it is."""
    digits = value.partition(".")[0]
    if len(digits) >= 4 and digits.isdecimal():
        return f"{digits[:2]}:{digits[2:4]}"
    return value


def moment(value: str) -> str:
    """Write ``DA TM``, or a DT, in the peer's own time."""
    digits = value.replace(" ", "")
    day, rest = digits[:8], digits[8:].partition("+")[0]
    return f"{date(day)} {clock(rest)}".strip()


def clock_of(value: str) -> str:
    """Write the clock of ``DA TM``, or of a DT."""
    return moment(value)[11:]


def span(start: str, end: str) -> str:
    """Write from when to when; a day is written once."""
    begins, ends = moment(start), moment(end)
    if not ends:
        return begins
    day = begins[:11]
    return f"{begins} – {ends.removeprefix(day) if len(day) == 11 else ends}"


def size(count: int) -> str:
    """Write a number of bytes."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    power = 0
    while value >= 999.5 and power < len(_UNITS):
        value /= 1000
        power += 1
    return f"{value:.0f} {_UNITS[power - 1]}" if value >= 99.5 else f"{value:.1f} {_UNITS[power - 1]}"


def number(count: int) -> str:
    """Write a number with spaces between thousands that do not break."""
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def plural(count: int, one: str, many: str) -> str:
    """Write a number of things."""
    return f"{number(count)} {one if count == 1 else many}"


def path(value: str) -> str:
    """Write a part of the path of an address."""
    return quote(value, safe="")


def label(keyword: str) -> str:
    """Write a keyword as words: ``FilmSizeID`` is ``Film Size ID``."""
    made = ""
    for at, character in enumerate(keyword):
        after_small = at and keyword[at - 1].islower()
        before_small = 0 < at < len(keyword) - 1 and keyword[at + 1].islower()
        made += f" {character}" if character.isupper() and at and (after_small or before_small) else character
    return made


FILTERS: Final = {
    "clock": clock,
    "clock_of": clock_of,
    "date": date,
    "label": label,
    "moment": moment,
    "number": number,
    "part": path,
    "person": name,
    "plural": plural,
    "size": size,
    "span": span,
}
