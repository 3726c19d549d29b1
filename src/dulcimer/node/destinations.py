"""Move destinations: the AE titles that objects may be sent to, and where they are (PS3.4 C.4.2.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_TLS_SCHEME: Final = "tls://"
_LONGEST_TITLE: Final = 16


@dataclass(frozen=True, slots=True)
class Destination:
    """A move destination.

    Attributes
    ----------
    aet
        Its AE title, by which a C-MOVE names it.
    host, port
        Where it listens.
    tls
        Whether TLS is spoken with it. The certificate and the authorities are those of the node, unless
        they are given here.
    ca, cert, key
        PEM files: the authorities that vouch for it, and how we identify ourselves.
    verify_host
        Whether its certificate has to have its host name.
    """

    aet: str
    host: str
    port: int
    tls: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    verify_host: bool = True


def destinations(value: Any) -> tuple[Destination, ...]:
    """Convert what stands in a configuration.

    Parameters
    ----------
    value
        Texts ``AET=host:port``, ``AET=tls://host:port`` for TLS, in a list or separated by commas; or tables
        with the names of :class:`Destination`; or host and port by AE title.

    Raises
    ------
    ValueError
        If that is not what it is.
    """
    if isinstance(value, str):
        value = value.split(",")
    if isinstance(value, Mapping):
        value = [{"aet": title, "host": place[0], "port": place[1]} for title, place in value.items()]
    try:
        found = [_destination(each) for each in value if not isinstance(each, str) or each.strip()]
    except TypeError:
        raise ValueError("needs move destinations, AET=host:port") from None
    titles = [destination.aet for destination in found]
    for title in titles:
        if titles.count(title) > 1:
            raise ValueError(f"names {title} more than once")
    return tuple(found)


def _destination(value: Any) -> Destination:
    if isinstance(value, Destination):
        return value
    if isinstance(value, str):
        title, _, place = value.strip().partition("=")
        tls = place.startswith(_TLS_SCHEME)
        host, _, port = place.removeprefix(_TLS_SCHEME).rpartition(":")
        value = {"aet": title, "host": host, "port": port, "tls": tls}
    if not isinstance(value, Mapping):
        raise TypeError
    unknown = set(value) - set(Destination.__slots__)
    if unknown:
        raise ValueError(f"has no {', '.join(sorted(map(str, unknown)))} for a move destination")
    title = str(value.get("aet", "")).strip()
    host = str(value.get("host", "")).strip().removeprefix("[").removesuffix("]")
    port = str(value.get("port", "")).strip()
    printable = title.isascii() and title.isprintable() and "\\" not in title
    if not 0 < len(title) <= _LONGEST_TITLE or not printable or not host or not _is_port(port):
        raise ValueError("needs move destinations, AET=host:port")
    if any(value.get(flag, False) not in (True, False) for flag in ("tls", "verify_host")):
        raise ValueError(f"needs true or false for tls and verify_host of {title}")
    files = {name: Path(value[name]).expanduser() for name in ("ca", "cert", "key") if value.get(name)}
    return Destination(
        title,
        host,
        int(port),
        tls=value.get("tls", False) or bool(files),
        verify_host=value.get("verify_host", True),
        **files,
    )


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536
