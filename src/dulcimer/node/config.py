"""The options of the node as one value.

They come from four places, the first that has a say wins: what the caller gives (flags of the command line),
environment variables ``DULCIMER_<OPTION>``, the ``[serve]`` table (or the top level) of a TOML file, the
defaults below.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from enum import Enum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ENVIRONMENT_PREFIX: Final = "DULCIMER_"


class ConfigError(Exception):
    """An option that cannot be used: the text names the option, where it came from and what would work."""


class Durability(StrEnum):
    """What a Success answer promises.

    In every case the object is complete, under its final name and found by the index (or by the recovery of
    the next start) when Success is answered, so a crash of the program loses nothing that was acknowledged.
    """

    FULL = "full"
    """File, folder and index are flushed to the disk first: survives a loss of power."""
    FILE = "file"
    """The file is flushed first. After a loss of power the next start restores index rows from the files."""
    OFF = "off"
    """Nothing is flushed, index rows are written shortly after: survives a crash of the program, not one of
    the system."""


Level = Literal["strict", "standard", "lenient"]
LogLevel = Literal["debug", "info", "warning", "error"]


def _text(minimum: int, maximum: int) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        text = str(value).strip()
        printable = text.isascii() and text.isprintable() and "\\" not in text
        if not minimum <= len(text) <= maximum or not printable:
            raise ValueError(f"needs {minimum} to {maximum} printable ASCII characters without backslash")
        return text

    return convert


def _number(minimum: int, maximum: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        try:
            number = int(str(value))
        except ValueError:
            raise ValueError("needs a whole number") from None
        if not minimum <= number <= maximum:
            raise ValueError(f"needs a number from {minimum} to {maximum}")
        return number

    return convert


def _seconds(value: Any) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        raise ValueError("needs a number of seconds (0: no limit)") from None
    if not 0 <= seconds < 10**7:
        raise ValueError("needs a number of seconds (0: no limit)")
    return seconds


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError("needs true or false")


def _choice(*words: str) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        word = str(value.value if isinstance(value, Enum) else value).strip().lower()
        if word not in words:
            raise ValueError(f"needs one of {', '.join(words)}")
        return word

    return convert


def _durability(value: Any) -> Durability:
    return Durability(_choice(*(member.value for member in Durability))(value))


def _folder(value: Any) -> Path:
    if not str(value):
        raise ValueError("needs a folder")
    return Path(value).expanduser()


def _titles(value: Any) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value
    try:
        return tuple(_text(1, 16)(word) for word in words if str(word).strip())
    except TypeError:
        raise ValueError("needs AE titles separated by commas") from None


def _host(value: Any) -> str:
    return str(value).strip().removeprefix("[").removesuffix("]")


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be set about a node."""

    aet: str = "DULCIMER"
    host: str = "127.0.0.1"
    port: int = 11112
    data: Path = Path("dulcimer-data")
    durability: Durability = Durability.FULL
    mpps_level: Level = "standard"
    max_pdu: int = 131072
    max_associations: int = 1000
    require_called_aet: bool = False
    allow: tuple[str, ...] = ()
    acse_timeout: float = 30.0
    dimse_timeout: float = 60.0
    idle_timeout: float = 600.0
    drain_timeout: float = 30.0
    log_json: bool = False
    log_level: LogLevel = "info"

    @property
    def listens_to_everybody(self) -> bool:
        """Whether the address is reachable from other machines."""
        return self.host not in {"127.0.0.1", "::1", "localhost"}


OPTIONS: Final = tuple(option.name for option in fields(Config))

_CONVERTERS: Final[dict[str, Callable[[Any], object]]] = {
    "aet": _text(1, 16),
    "host": _host,
    "port": _number(0, 65535),
    "data": _folder,
    "durability": _durability,
    "mpps_level": _choice(*get_args(Level)),
    "max_pdu": _number(0, 2**32 - 1),
    "max_associations": _number(1, 100_000),
    "require_called_aet": _flag,
    "allow": _titles,
    "acse_timeout": _seconds,
    "dimse_timeout": _seconds,
    "idle_timeout": _seconds,
    "drain_timeout": _seconds,
    "log_json": _flag,
    "log_level": _choice(*get_args(LogLevel)),
}


def load(
    given: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Config:
    """Put a :class:`Config` together from what the caller gives, the environment and a TOML file.

    Raises
    ------
    ConfigError
        A value that cannot be used, an unknown option, a file that cannot be read.
    """
    values: dict[str, object] = {}
    if file is not None:
        values |= _from_file(file)
    for name in OPTIONS:
        text = (environment or {}).get(ENVIRONMENT_PREFIX + name.upper())
        if text is not None:
            values[name] = _converted(name, text, f"environment variable {ENVIRONMENT_PREFIX}{name.upper()}")
    for name, value in (given or {}).items():
        if value is None:
            continue
        if name not in OPTIONS:
            raise ConfigError(f"there is no option {name!r}")
        values[name] = _converted(name, value, f"option --{name.replace('_', '-')}")
    return Config(**values)  # type: ignore[arg-type]  # every value went through its option's converter


def _from_file(file: Path) -> dict[str, object]:
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"the configuration file {file} cannot be read: {error.strerror or error}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the configuration file {file} is not TOML: {error}") from None
    table = content.pop("serve", {})
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: [serve] is a table of options")
    values: dict[str, object] = {}
    for name, value in {**content, **table}.items():
        key = name.replace("-", "_")
        if key not in OPTIONS:
            known = ", ".join(OPTIONS)
            raise ConfigError(f"{file}: there is no option {name!r}; there are {known}")
        values[key] = _converted(key, value, f"{file}: {name}")
    return values


def _converted(name: str, value: object, where: str) -> object:
    try:
        return _CONVERTERS[name](value)
    except ValueError as error:
        shown = value.value if isinstance(value, Enum) else value
        raise ConfigError(f"{where} {error}, not {shown!r}") from None
