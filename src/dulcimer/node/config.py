"""The options of the node as one value.

They come from four places, the first that has a say wins: what the caller gives (flags of the command line),
environment variables ``DULCIMER_<OPTION>``, the ``[serve]`` table (or the top level) of a TOML file, the
defaults below.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields
from enum import Enum, StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from dulcimer.node.destinations import Destination, destinations
from dulcimer.node.printers import DEFAULT_PRINTER, printer
from dulcimer.services.printer import Printer
from dulcimer.tls import DEFAULT_PROFILE, PROFILES, TLS
from dulcimer.web.credentials import PROXY_HEADER, Access, Network, Password, networks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydicom.dataset import Dataset

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
NameMatching = Literal["exact", "insensitive"]
TLSClients = Literal["auto", "none", "optional", "required"]
"""Whether clients need a certificate; ``"auto"``: if there is an authority that could vouch for it."""


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


def _file(value: Any) -> Path | None:
    return Path(value).expanduser() if str(value).strip() else None


def _attributes(value: Any) -> Dataset | None:
    from pydicom.dataset import Dataset

    if value is None or isinstance(value, Dataset):
        return value
    file = _file(value)
    if file is None:
        return None
    try:
        return Dataset.from_json(file.read_text("utf-8"))
    except OSError as error:
        raise ValueError(f"needs a file that can be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError("needs a file in the DICOM JSON model") from None


def _profile(value: Any) -> str:
    for name in PROFILES:
        if name.lower() == str(value).strip().lower():
            return name
    raise ValueError(f"needs one of {', '.join(PROFILES)}")


def _titles(value: Any) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value
    try:
        return tuple(_text(1, 16)(word) for word in words if str(word).strip())
    except TypeError:
        raise ValueError("needs AE titles separated by commas") from None


def _password(value: Any) -> Password | None:
    return Password.parse(str(value).strip()) if str(value).strip() else None


def _header(value: Any) -> str:
    name = str(value).strip()
    if re.fullmatch(r"[A-Za-z0-9-]{1,64}", name) is None:
        raise ValueError("needs the name of a header")
    return name


def _networks(value: Any) -> tuple[Network, ...]:
    return networks(value if isinstance(value, str) else ",".join(map(str, value)))


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
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None
    tls_profile: str = DEFAULT_PROFILE
    tls_client_auth: TLSClients = "auto"
    destinations: tuple[Destination, ...] = ()
    query_allow: tuple[str, ...] = ()
    query_limit: int = 0
    match_names: NameMatching = "exact"
    printer: Printer | None = DEFAULT_PRINTER
    print_level: Level = "standard"
    report_destinations: tuple[Destination, ...] = ()
    mpps_notify: tuple[str, ...] = ()
    ups_level: Level = "standard"
    worklist: bool = True
    worklist_own_station: bool = False
    worklist_hide_finished: bool = False
    worklist_limit: int = 0
    service_level: Level = "standard"
    display_system: Dataset | None = None
    media_iso: bool = False
    web: bool = True
    web_host: str = "127.0.0.1"
    web_port: int | None = None
    web_password: Password | None = None
    web_proxy_header: str = PROXY_HEADER
    web_proxies: tuple[Network, ...] = ()

    @property
    def tls(self) -> TLS | None:
        """How the node speaks TLS; None if it does not."""
        if self.tls_cert is None and self.tls_key is None and self.tls_ca is None:
            return None
        return TLS(
            self.tls_cert,
            self.tls_key,
            self.tls_ca,
            profile=self.tls_profile,
            client_auth=None if self.tls_client_auth == "auto" else self.tls_client_auth,
        )

    @property
    def web_access(self) -> Access:
        """Who may look at the page."""
        return Access(self.web_password, self.web_proxy_header, self.web_proxies)

    @property
    def listens_to_everybody(self) -> bool:
        """Whether the address is reachable from other machines."""
        return self.host not in {"127.0.0.1", "::1", "localhost"}


WEB_PORT: Final = 8042
"""Where the page is if nothing is said; if that is in use the node goes without."""

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
    "tls_cert": _file,
    "tls_key": _file,
    "tls_ca": _file,
    "tls_profile": _profile,
    "tls_client_auth": _choice(*get_args(TLSClients)),
    "destinations": destinations,
    "query_allow": _titles,
    "query_limit": _number(0, 2**31 - 1),
    "match_names": _choice(*get_args(NameMatching)),
    "printer": printer,
    "print_level": _choice(*get_args(Level)),
    "report_destinations": destinations,
    "mpps_notify": _titles,
    "ups_level": _choice(*get_args(Level)),
    "worklist": _flag,
    "worklist_own_station": _flag,
    "worklist_hide_finished": _flag,
    "worklist_limit": _number(0, 2**31 - 1),
    "service_level": _choice(*get_args(Level)),
    "display_system": _attributes,
    "media_iso": _flag,
    "web": _flag,
    "web_host": _host,
    "web_port": _number(0, 65535),
    "web_password": _password,
    "web_proxy_header": _header,
    "web_proxies": _networks,
}

_SECRET: Final = frozenset({"web_password"})
"""What somebody may have typed here has no place in a message."""

_TABLES: Final = ("web", "worklist")
"""Tables of a file whose names are those of options without their prefix; ``enabled`` is the prefix alone."""

_OTHER_NAMES: Final = {"move_destinations": "destinations", "print": "printer"}
"""Names that options also have in files, where a table reads better by another name."""


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
    config = Config(**values)  # type: ignore[arg-type]  # every value went through its option's converter
    _check_web(config)
    return config


def _check_web(config: Config) -> None:
    """Patient data is on the page: it is shown to this machine, or to who proves to be allowed."""
    if config.web and not is_loopback(config.web_host) and not config.web_access.asked_for:
        raise ConfigError(
            f"a page on {config.web_host} can be seen from other machines: it needs --web-password, "
            "or --web-proxies; or choose --no-web"
        )


def is_loopback(host: str) -> bool:
    """Tell whether nobody but this machine reaches an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
    for prefix in _TABLES:
        inner = content.pop(prefix, {})
        if isinstance(inner, dict):
            options = {prefix if name == "enabled" else f"{prefix}_{name}": inner[name] for name in inner}
            content |= options
        else:
            content[prefix] = inner
    for name, value in {**content, **table}.items():
        key = name.replace("-", "_")
        key = _OTHER_NAMES.get(key, key)
        if key not in OPTIONS:
            known = ", ".join(OPTIONS)
            raise ConfigError(f"{file}: there is no option {name!r}; there are {known}")
        values[key] = _converted(key, value, f"{file}: {name}")
    return values


def _converted(name: str, value: object, where: str) -> object:
    try:
        return _CONVERTERS[name](value)
    except ValueError as error:
        if name in _SECRET:
            raise ConfigError(f"{where} {error}") from None
        shown = value.value if isinstance(value, Enum) else value
        raise ConfigError(f"{where} {error}, not {shown!r}") from None
