"""The printer of a node, as a configuration has it: the table ``[print]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from dulcimer.services import print_management as rules
from dulcimer.services.film import film_size
from dulcimer.services.printer import Printer

DEFAULT_PRINTER: Final = Printer()
"""The printer of a node whose configuration says nothing of it."""

_MEGABYTE: Final = 1 << 20


def printer(value: Any) -> Printer | None:
    """Convert what stands in a configuration.

    Parameters
    ----------
    value
        A table with the names of :class:`~dulcimer.services.printer.Printer`, with ``memory`` in megabytes,
        ``high_resolution = 0`` for none, and ``enabled``; or whether there is a printer at all.

    Returns
    -------
    Printer or None
        None if the node does not print.

    Raises
    ------
    ValueError
        If that is not what it is.
    """
    if not isinstance(value, Mapping):
        return DEFAULT_PRINTER if _flag(value) else None
    given = {str(name).replace("-", "_"): setting for name, setting in value.items()}
    if not _flag(given.pop("enabled", True)):
        return None
    unknown = sorted(set(given) - set(_SETTINGS))
    if unknown:
        raise ValueError(f"needs a table of enabled, {', '.join(_SETTINGS)}, without {unknown[0]!r}")
    settings = {}
    for name, setting in given.items():
        try:
            settings[name] = _SETTINGS[name](setting)
        except (TypeError, ValueError) as error:
            raise ValueError(f"needs another {name} in its table: {error}") from None
    made = Printer(**settings)
    if made.min_density >= made.max_density:
        raise ValueError("needs a min_density below max_density")
    return made


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError("needs a table, or true or false")


def _number(least: float, most: float) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        number = float(value)
        if not least <= number <= most:
            raise ValueError(f"it goes from {least:g} to {most:g}")
        return int(number) if number.is_integer() else number

    return convert


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        return int(_number(least, most)(int(value)))

    return convert


def _one_of(*words: str) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        word = str(value).strip().upper()
        if word not in words:
            raise ValueError(f"it is one of {', '.join(words)}")
        return word

    return convert


def _words(value: Any) -> tuple[str, ...]:
    words = tuple(
        str(word).strip()
        for word in (value.split(",") if isinstance(value, str) else value)
        if str(word).strip()
    )
    if not words:
        raise ValueError("it needs one at least")
    return words


def _sizes(value: Any) -> tuple[str, ...]:
    sizes = _words(value)
    for size in sizes:
        film_size(size)
    return sizes


def _text(value: Any) -> str:
    text = str(value).strip()
    if not 0 < len(text) <= 64 or "\\" in text or not text.isprintable():
        raise ValueError("it has 1 to 64 characters and no backslash")
    return text


def _bits(value: Any) -> int:
    if int(value) not in (8, 16):
        raise ValueError("it is 8 or 16")
    return int(value)


def _high(value: Any) -> Any:
    return None if not float(value) else _number(10, 2400)(value)


_SETTINGS: Final[dict[str, Callable[[Any], Any]]] = {
    "name": _text,
    "manufacturer": _text,
    "model": _text,
    "film_sizes": _sizes,
    "media": _words,
    "destinations": _words,
    "resolution": _number(10, 2400),
    "high_resolution": _high,
    "min_density": _whole(0, 999),
    "max_density": _whole(1, 999),
    "bits": _bits,
    "magnification": _one_of(*sorted(rules.MAGNIFICATIONS)),
    "decimate_crop": _one_of(*sorted(rules.BEHAVIOURS)),
    "memory": lambda value: int(_number(1, 1 << 20)(value)) * _MEGABYTE,
    "allocates_memory": _flag,
    "queue_length": _whole(1, 100_000),
    "prints_sessions": _flag,
    "collates": _flag,
    "most_copies": _whole(1, 999),
    "margin": _number(0, 100),
    "gap": _number(0, 50),
}
