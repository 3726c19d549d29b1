"""TLS and user identity on the command lines of the tools."""

from __future__ import annotations

import hmac
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dulcimer.cli.exits import Exit, Stop
from dulcimer.cli.tools.talk import LOGGER
from dulcimer.tls import DEFAULT_PROFILE, PROFILES, TLS, TLSConfigurationError, find_profile

if TYPE_CHECKING:
    import ssl
    from argparse import Namespace

    from dulcimer.cli.tools.parser import Parser

KINDS: Final = {
    1: "user name",
    2: "user name and passcode",
    3: "Kerberos ticket",
    4: "SAML assertion",
    5: "JWT",
}
"""The user identity types (PS3.7 Table D.3-14)."""


def tls_options(parser: Parser, *, server: bool) -> None:
    """Add the options of TLS. Any of them turns it on."""
    group = parser.add_argument_group("TLS options")
    group.add_argument("--tls", action="store_true", help="speak TLS; every other option of TLS implies it")
    group.add_argument("--tls-cert", metavar="FILE", help="our certificate (PEM)")
    group.add_argument(
        "--tls-key", metavar="FILE", help="its private key (PEM; default: in the file of the certificate)"
    )
    group.add_argument(
        "+tls",
        "--enable-tls",
        dest="tls_pair",
        nargs=2,
        metavar=("KEY", "CERT"),
        help="the same two in one option",
    )
    group.add_argument(
        "--tls-passphrase-file", metavar="FILE", help="read the passphrase of the key from this file"
    )
    group.add_argument(
        "--tls-ca",
        "+cf",
        "--add-cert-file",
        metavar="FILE|DIR",
        help="trust these authorities"
        + (" to vouch for clients" if server else " (default: those of the system)"),
    )
    group.add_argument(
        "--tls-profile",
        metavar="PROFILE",
        default=None,
        help=f"PS3.15 profile: {', '.join(PROFILES)} (default: {DEFAULT_PROFILE})",
    )
    if server:
        group.add_argument(
            "--tls-client-auth",
            choices=("required", "optional", "none"),
            default=None,
            help="whether clients need a certificate (default: required if there is --tls-ca, else none)",
        )
        return
    group.add_argument(
        "--tls-no-host-check",
        action="store_true",
        help="the peer's certificate need not name the host that is connected to",
    )
    group.add_argument(
        "--tls-no-verify",
        "-ic",
        "--ignore-peer-cert",
        action="store_true",
        help="accept any certificate of the peer: encrypted, and with nobody knows whom",
    )


def tls_of(args: Namespace) -> TLS | None:
    """Return what the options say, None for plain TCP.

    Raises
    ------
    Stop
        If they contradict each other or name what cannot be read.
    """
    if args.tls_pair and (args.tls_cert or args.tls_key):
        raise Stop(Exit.USAGE, "+tls names key and certificate: --tls-cert and --tls-key are for one each")
    key, cert = args.tls_pair or (args.tls_key, args.tls_cert)
    no_verify = getattr(args, "tls_no_verify", False)
    no_host_check = getattr(args, "tls_no_host_check", False)
    client_auth = getattr(args, "tls_client_auth", None)
    said = (key, cert, args.tls_ca, args.tls_profile, no_verify, no_host_check, client_auth)
    if not (args.tls or any(said) or args.tls_passphrase_file):
        return None
    profile = args.tls_profile or DEFAULT_PROFILE
    try:
        find_profile(profile)
    except TLSConfigurationError as error:
        raise Stop(Exit.USAGE, f"--tls-profile: {error}") from None
    password = None
    if args.tls_passphrase_file:
        password = read_secret(args.tls_passphrase_file, "--tls-passphrase-file").decode("utf-8", "replace")
    return TLS(
        cert=cert,
        key=key,
        ca=args.tls_ca,
        verify_host=not no_host_check,
        profile=profile,
        verify=not no_verify,
        client_auth=client_auth,
        password=password,
    )


def server_context(tls: TLS | None) -> ssl.SSLContext | None:
    """Return the context of a server.

    Raises
    ------
    Stop
        If something cannot be used.
    """
    if tls is None:
        return None
    try:
        return tls.server_context()
    except TLSConfigurationError as error:
        raise Stop(Exit.USAGE, f"TLS: {error}") from None


def identity_options(parser: Parser, *, server: bool) -> None:
    """Add the options of user identity: what we say of ourselves, or what a server demands."""
    group = parser.add_argument_group(
        "User identity options",
        "Accept only peers that identify themselves like this." if server else None,
    )
    group.add_argument("-usr", "--user", metavar="NAME", help="user name (type 1; type 2 with a passcode)")
    group.add_argument("-pwd", "--password", metavar="PASSCODE", help="passcode; other users may see it")
    group.add_argument("--password-file", metavar="FILE", help="read the passcode from this file (- : input)")
    group.add_argument("-epw", "--empty-password", action="store_true", help="an empty passcode")
    group.add_argument("-kt", "--kerberos", metavar="FILE", help="Kerberos service ticket (type 3)")
    group.add_argument("--saml", metavar="FILE", help="SAML assertion (type 4)")
    group.add_argument("--jwt", metavar="FILE", help="JSON web token (type 5)")
    if not server:
        group.add_argument(
            "-rsp",
            "--pos-response",
            "--identity-response",
            action="store_true",
            help="ask for an answer to it, and give up if there is none",
        )


def identity_of(args: Namespace) -> Any:
    """Return the user identity that the options name, None if there is none.

    Raises
    ------
    Stop
        If they contradict each other or name what cannot be read.
    """
    passcodes = [args.password is not None, args.password_file is not None, args.empty_password]
    kinds = {3: args.kerberos, 4: args.saml, 5: args.jwt}
    chosen = [kind for kind, file in kinds.items() if file is not None]
    if len(chosen) + (args.user is not None) > 1:
        raise Stop(Exit.USAGE, "--user, --kerberos, --saml and --jwt: there is one identity")
    if sum(passcodes) > 1:
        raise Stop(Exit.USAGE, "--password, --password-file and --empty-password: there is one passcode")
    if any(passcodes) and args.user is None:
        raise Stop(Exit.USAGE, "a passcode needs --user")
    if args.user is None and not chosen:
        if getattr(args, "pos_response", False):
            raise Stop(Exit.USAGE, "--pos-response needs an identity: --user, --kerberos, --saml or --jwt")
        return None

    from dulcimer.pdu_primitives import UserIdentityNegotiation

    item = UserIdentityNegotiation()
    item.positive_response_requested = getattr(args, "pos_response", False)
    if chosen:
        item.user_identity_type = chosen[0]
        item.primary_field = read_secret(kinds[chosen[0]], f"the {KINDS[chosen[0]]}", strip=chosen[0] == 5)
        return item
    item.user_identity_type = 2 if any(passcodes) else 1
    item.primary_field = args.user.encode("utf-8")
    if args.password_file is not None:
        item.secondary_field = read_secret(args.password_file, "--password-file", strip=True)
    elif any(passcodes):
        item.secondary_field = (args.password or "").encode("utf-8")
    return item


def read_secret(file: str, what: str, *, strip: bool = True) -> bytes:
    """Read a small file, or standard input for ``-``; ``strip`` removes the end of the line.

    Raises
    ------
    Stop
        If it cannot be read.
    """
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise Stop(Exit.USAGE, f"{what}: {file} cannot be read: {error.strerror or error}") from None
    if len(content) > 0xFFFF:
        raise Stop(Exit.USAGE, f"{what}: {file} is longer than the 65535 bytes that fit")
    return content.rstrip(b"\r\n") if strip else content


def demand(identity: Any) -> list[tuple[Any, Any]]:
    """Return the handlers of a server that accepts only peers of this identity; None accepts everybody."""
    if identity is None:
        return []
    from dulcimer import evt

    def present(event: Any) -> None:
        if event.assoc.requestor.user_identity is None:
            LOGGER.warning("%s does not identify its user", event.assoc.requestor.ae_title)
            event.assoc.abort()

    def verify(event: Any) -> tuple[bool, bytes | None]:
        same = (
            event.user_id_type == identity.user_identity_type,
            hmac.compare_digest(event.primary_field, identity.primary_field or b""),
            hmac.compare_digest(event.secondary_field or b"", identity.secondary_field or b""),
        )
        return all(same), None

    return [(evt.EVT_REQUESTED, present), (evt.EVT_USER_ID, verify)]
