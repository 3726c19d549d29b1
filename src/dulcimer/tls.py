"""TLS for associations: certificates in, :class:`ssl.SSLContext` out (PS3.15 Annex B).

TLS 1.2 is the oldest version of every profile: 1.0 and 1.1 are forbidden since RFC 8996.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import os

ClientAuthentication = Literal["none", "optional", "required"]

DEFAULT_PROFILE: Final = "BCP195"


class TLSConfigurationError(ValueError):
    """Certificates, keys or options that cannot be used: the text names the file and what would help."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a secure transport connection profile allows.

    Attributes
    ----------
    clause
        Where PS3.15 has it.
    suites
        The cipher suites of TLS 1.2, the best first, as OpenSSL names them; those that the OpenSSL at hand
        lacks are left out. All suites of TLS 1.3 are allowed in every profile.
    oldest
        The oldest version of TLS.
    strong_keys
        Whether RSA keys of less than 2048 bits, elliptic curves of less than 224, and signatures with SHA-1
        are refused whatever OpenSSL is set to.
    """

    clause: str
    suites: tuple[str, ...]
    oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    strong_keys: bool = False

    @property
    def ciphers(self) -> str:
        """The suites as OpenSSL wants them."""
        return ":".join((*self.suites, *(["@SECLEVEL=2"] if self.strong_keys else [])))


_RFC_9325: Final = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
)
"""The suites that BCP 195 recommends (RFC 9325 4.2)."""

_DHE: Final = ("DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-AES128-GCM-SHA256")

PROFILES: Final = {
    "BCP195": Profile("B.12 BCP 195 RFC 8996, 9325", _RFC_9325),
    "BCP195-modified": Profile(
        "B.13 Modified BCP 195 RFC 8996, 9325",
        (
            *_RFC_9325,
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "ECDHE-RSA-CHACHA20-POLY1305",
            "ECDHE-ECDSA-CAMELLIA256-GCM-SHA384",
            "ECDHE-RSA-CAMELLIA256-GCM-SHA384",
            "ECDHE-ECDSA-CAMELLIA128-GCM-SHA256",
            "ECDHE-RSA-CAMELLIA128-GCM-SHA256",
            "ECDHE-ECDSA-AES256-CCM",
            "ECDHE-ECDSA-AES128-CCM",
            "ECDHE-ECDSA-AES256-CCM8",
            "ECDHE-ECDSA-AES128-CCM8",
        ),
        strong_keys=True,
    ),
    "BCP195-nd": Profile("B.10 Non-Downgrading BCP 195 (retired)", (*_RFC_9325, *_DHE)),
    "BCP195-extended": Profile("B.11 Extended BCP 195 (retired)", (*_RFC_9325, *_DHE), strong_keys=True),
    "AES": Profile(
        "B.3 AES (retired), in TLS 1.2 and later only, for devices that know nothing better",
        (*_RFC_9325, *_DHE, "AES128-GCM-SHA256", "AES128-SHA256", "AES128-SHA"),
    ),
    "TLS1.3": Profile("B.12 with TLS 1.3 only", _RFC_9325, ssl.TLSVersion.TLSv1_3),
}
"""The profiles by name."""


@dataclass(frozen=True, slots=True)
class TLS:
    """How an application entity speaks TLS.

    The contexts are for ``AE.associate(tls_args=(tls.client_context(), host))`` and
    ``AE.start_server(ssl_context=tls.server_context())``; each call reads the files anew.

    Parameters
    ----------
    cert
        A PEM file with our certificate, and those between it and the authority's if there are any.
    key
        A PEM file with its private key; by default it stands in ``cert``.
    ca
        A PEM file, or a folder as ``openssl rehash`` makes it, with the authorities that are trusted to
        vouch for peers; by default those of the system, for client contexts.
    verify_host
        Whether the name or address that is connected to has to be in the peer's certificate.
    profile
        A name of :data:`PROFILES`, in any case.
    verify
        Whether the peer's certificate is looked at. Without, a connection is encrypted and can still be
        anybody's.
    client_auth
        What a server asks of its clients: ``"required"`` a certificate that one of ``ca`` vouches for,
        ``"optional"`` the same if they have one, ``"none"``. By default ``"required"`` if there is a ``ca``.
    password
        The passphrase of an encrypted key.
    """

    cert: str | os.PathLike[str] | None = None
    key: str | os.PathLike[str] | None = None
    ca: str | os.PathLike[str] | None = None
    verify_host: bool = True
    profile: str = DEFAULT_PROFILE
    verify: bool = True
    client_auth: ClientAuthentication | None = None
    password: str | None = None

    def client_context(self) -> ssl.SSLContext:
        """Return a context for associations that we request.

        Raises
        ------
        TLSConfigurationError
            A file or a name cannot be used.
        """
        context = self._context(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = self.verify and self.verify_host
        context.verify_mode = ssl.CERT_REQUIRED if self.verify else ssl.CERT_NONE
        if self.ca is not None:
            _trust(context, Path(self.ca))
        elif self.verify:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        self._identify(context)
        return context

    def server_context(self) -> ssl.SSLContext:
        """Return a context for a server.

        Raises
        ------
        TLSConfigurationError
            A file or a name cannot be used, or one is missing.
        """
        if self.cert is None:
            raise TLSConfigurationError("a TLS server needs a certificate and its private key")
        wanted = self.client_auth or ("required" if self.ca is not None and self.verify else "none")
        if wanted not in _VERIFY_MODES:
            raise TLSConfigurationError(
                f"client authentication is 'none', 'optional' or 'required', not {wanted!r}"
            )
        if wanted != "none" and self.ca is None:
            raise TLSConfigurationError("to check certificates of clients, name the authority to trust (ca)")
        context = self._context(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = _VERIFY_MODES[wanted]
        if self.ca is not None:
            _trust(context, Path(self.ca))
        self._identify(context)
        return context

    def _context(self, protocol: ssl._SSLMethod) -> ssl.SSLContext:
        profile = find_profile(self.profile)
        context = ssl.SSLContext(protocol)
        context.minimum_version = profile.oldest
        # OpenSSL passes over names that it does not know, if it knows one.
        context.set_ciphers(profile.ciphers)
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        return context

    def _identify(self, context: ssl.SSLContext) -> None:
        if self.cert is None:
            if self.key is not None:
                raise TLSConfigurationError(f"the key {self.key} is of no use without its certificate")
            return
        cert, key = Path(self.cert), None if self.key is None else Path(self.key)
        _readable(cert, "certificate")
        if key is not None:
            _readable(key, "private key")
        asked = False

        def passphrase() -> str:
            nonlocal asked
            asked = True
            return self.password or ""

        try:
            context.load_cert_chain(cert, key, passphrase)
        except ssl.SSLError as error:
            raise TLSConfigurationError(self._why_no_chain(error, cert, key or cert, asked)) from None

    def _why_no_chain(self, error: ssl.SSLError, cert: Path, key: Path, asked: bool) -> str:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"the private key {key} does not belong to the certificate {cert}"
        if asked:
            right = "the right passphrase" if self.password else "its passphrase"
            return f"the private key {key} is encrypted: give {right}"
        if b"-----BEGIN CERTIFICATE" not in cert.read_bytes():
            return f"{cert} holds no certificate in PEM form"
        if b"PRIVATE KEY-----" not in key.read_bytes():
            return f"{key} holds no private key in PEM form"
        return f"the certificate {cert} with the key {key} cannot be used: {error.reason or error}"


_VERIFY_MODES: Final = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}


def find_profile(name: str) -> Profile:
    """Return a profile by its name, in any case.

    Raises
    ------
    TLSConfigurationError
        If there is none of that name.
    """
    for known, profile in PROFILES.items():
        if known.lower() == name.lower():
            return profile
    raise TLSConfigurationError(f"there is no TLS profile {name!r}; there are {', '.join(PROFILES)}")


def _trust(context: ssl.SSLContext, place: Path) -> None:
    try:
        if place.is_dir():
            context.load_verify_locations(capath=place)
        else:
            _readable(place, "authority's certificate")
            context.load_verify_locations(cafile=place)
    except ssl.SSLError as error:
        raise TLSConfigurationError(
            f"{place} holds no certificate in PEM form: {error.reason or error}"
        ) from None


def _readable(file: Path, what: str) -> None:
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        raise TLSConfigurationError(f"the {what} {file} cannot be read: {error.strerror or error}") from None
