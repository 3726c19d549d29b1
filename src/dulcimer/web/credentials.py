"""Who may look, as the configuration says it; the standard library is all that this needs."""

from __future__ import annotations

import hashlib
import hmac
import os
from base64 import b64decode, b64encode
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

Network = IPv4Network | IPv6Network

PROXY_HEADER: Final = "X-Remote-User"
"""The header that proxies usually say it in."""

_COST: Final = (2**14, 8, 1)


def hash_password(password: str, salt: bytes | None = None) -> str:
    """Return what the configuration holds of a password: ``scrypt:N:r:p:salt:hash``."""
    salt = os.urandom(16) if salt is None else salt
    n, r, p = _COST
    derived = hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, dklen=32)
    return ":".join(["scrypt", str(n), str(r), str(p), b64encode(salt).decode(), b64encode(derived).decode()])


@dataclass(frozen=True, slots=True)
class Password:
    """A hashed password."""

    n: int
    r: int
    p: int
    salt: bytes
    hash: bytes

    @classmethod
    def parse(cls, text: str) -> Password:
        """Read what :func:`hash_password` returned.

        Raises
        ------
        ValueError
            It is something else.
        """
        try:
            scheme, n, r, p, salt, hashed = text.split(":")
            found = cls(
                int(n), int(r), int(p), b64decode(salt, validate=True), b64decode(hashed, validate=True)
            )
        except ValueError:
            raise ValueError("needs what 'dulcimer web-password' prints") from None
        sound = scheme == "scrypt" and 2 <= found.n <= 2**17 and 1 <= found.r <= 16 and 1 <= found.p <= 4
        if not sound or found.n & (found.n - 1) or len(found.hash) != 32 or len(found.salt) < 8:
            raise ValueError("needs what 'dulcimer web-password' prints")
        return found

    def fits(self, password: str) -> bool:
        """Tell, in a time that does not depend on it, whether this is the password."""
        derived = hashlib.scrypt(
            password.encode("utf-8", "surrogateescape"),
            salt=self.salt,
            n=self.n,
            r=self.r,
            p=self.p,
            maxmem=256 * self.n * self.r + (1 << 20),
            dklen=len(self.hash),
        )
        return hmac.compare_digest(derived, self.hash)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may look.

    Attributes
    ----------
    password
        The password, with any user name; None: there is none.
    proxy_header
        The header in which a proxy says whom it has let in.
    proxies
        The addresses that this header is believed from; none: no proxy is trusted.
    """

    password: Password | None = None
    proxy_header: str = PROXY_HEADER
    proxies: tuple[Network, ...] = ()

    @property
    def asked_for(self) -> bool:
        """Whether anybody has to prove anything."""
        return self.password is not None or bool(self.proxies)


def networks(words: str) -> tuple[Network, ...]:
    """Read addresses and networks separated by commas.

    Raises
    ------
    ValueError
        One of them is none.
    """
    try:
        return tuple(ip_network(word.strip(), strict=False) for word in words.split(",") if word.strip())
    except ValueError:
        raise ValueError("needs addresses or networks separated by commas") from None
