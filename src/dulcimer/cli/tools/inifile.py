"""The configuration file of ``qrscp``: an INI file.

The node's settings stand in ``[DEFAULT]``. Each AE that objects may be moved to has a section with its
``address`` and ``port``.
"""

from __future__ import annotations

from configparser import ConfigParser, SectionProxy
from configparser import Error as IniError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dulcimer.cli.exits import Exit, Stop
from dulcimer.cli.peer import ae_title_problem

KEYS: Final = {
    "ae_title": "aet",
    "port": "port",
    "max_pdu": "max_pdu",
    "acse_timeout": "acse_timeout",
    "dimse_timeout": "dimse_timeout",
    "network_timeout": "idle_timeout",
    "bind_address": "host",
    "instance_location": "data",
    "tls_cert": "tls_cert",
    "tls_key": "tls_key",
    "tls_ca": "tls_ca",
    "tls_profile": "tls_profile",
    "tls_client_auth": "tls_client_auth",
}
"""The options of the node by the keys of the file."""
WITHOUT_EFFECT: Final = frozenset({"database_location", "log_identifier"})
"""Keys that such files have: the index of a node lies within its folder, and identifiers are not logged."""


@dataclass(slots=True)
class IniFile:
    """What a file says.

    Attributes
    ----------
    options
        Options of the node.
    destinations
        Host and port by AE title.
    """

    options: dict[str, str] = field(default_factory=dict)
    destinations: dict[str, tuple[str, int]] = field(default_factory=dict)


def read(path: str) -> IniFile:
    """Read a file.

    Raises
    ------
    Stop
        If it cannot be read or used.
    """
    # Sections do not take over what [DEFAULT] says: its port is that of the node.
    parser = ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(Path(path).read_text("utf-8"), path)
    except OSError as error:
        raise Stop(Exit.USAGE, f"{path} cannot be read: {error.strerror or error}") from None
    except (IniError, UnicodeDecodeError) as error:
        raise Stop(Exit.USAGE, f"{path} is no INI file: {' '.join(str(error).split())}") from None
    found = IniFile()
    for title in parser.sections():
        if title == "DEFAULT":
            found.options = _options(path, parser[title])
        else:
            found.destinations[title] = _destination(path, title, parser[title])
    return found


def _options(path: str, section: SectionProxy) -> dict[str, str]:
    options = {}
    for key, value in section.items():
        if key in KEYS:
            # A key without a value leaves the default.
            if value.strip():
                options[KEYS[key]] = value.strip()
        elif key not in WITHOUT_EFFECT:
            known = ", ".join((*KEYS, *sorted(WITHOUT_EFFECT)))
            raise Stop(Exit.USAGE, f"{path}: there is no setting {key!r}; there are {known}")
    return options


def _destination(path: str, title: str, section: SectionProxy) -> tuple[str, int]:
    address, port = section.get("address", "").strip(), section.get("port", "").strip()
    if problem := ae_title_problem(title):
        raise Stop(Exit.USAGE, f"{path}: [{title}]: {problem}")
    if not address or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise Stop(Exit.USAGE, f"{path}: [{title}] needs an address and a port")
    return address, int(port)
