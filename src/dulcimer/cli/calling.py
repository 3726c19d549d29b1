"""The options of every verb that requests associations, as one argument of its function."""

from __future__ import annotations

import inspect
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from dulcimer.cli.exits import Exit, Stop
from dulcimer.cli.options import CallingOption, TimeoutOption
from dulcimer.cli.peer import Caller, Timeouts
from dulcimer.tls import DEFAULT_PROFILE, PROFILES, TLS, TLSConfigurationError, find_profile

if TYPE_CHECKING:
    from collections.abc import Callable

_FILE: Final = "FILE"
_OPTIONS: Final[dict[str, tuple[Any, Any]]] = {
    "aet": (CallingOption, "DULCIMER"),
    "timeout": (TimeoutOption, 30.0),
    "tls": (
        Annotated[bool, typer.Option("--tls", help="Speak TLS; the other options of TLS imply it.")],
        False,
    ),
    "tls_cert": (
        Annotated[Path | None, typer.Option("--tls-cert", metavar=_FILE, help="Our certificate (PEM).")],
        None,
    ),
    "tls_key": (
        Annotated[
            Path | None,
            typer.Option(
                "--tls-key", metavar=_FILE, help="Its private key, if not in the certificate's file."
            ),
        ],
        None,
    ),
    "tls_ca": (
        Annotated[
            Path | None,
            typer.Option(
                "--tls-ca",
                metavar="FILE|DIR",
                help="Authorities that vouch for the peer [default: those of the system].",
            ),
        ],
        None,
    ),
    "tls_profile": (
        Annotated[
            str, typer.Option("--tls-profile", metavar="PROFILE", help=f"Of PS3.15: {', '.join(PROFILES)}.")
        ],
        DEFAULT_PROFILE,
    ),
    "tls_no_host_check": (
        Annotated[
            bool,
            typer.Option("--tls-no-host-check", help="The peer's certificate may name another host."),
        ],
        False,
    ),
    "tls_no_verify": (
        Annotated[
            bool,
            typer.Option(
                "--tls-no-verify", help="Accept any certificate: encrypted, and with nobody knows whom."
            ),
        ],
        False,
    ),
}


def calls(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the options of a caller in place of its parameter ``caller``.

    They come before its last parameter; the verb is called with the :class:`~dulcimer.cli.peer.Caller` that
    they describe.
    """

    @wraps(verb)
    def wrapper(**given: Any) -> None:
        mine = {name: given.pop(name) for name in _OPTIONS}
        verb(caller=_caller(**mine), **given)

    own = inspect.signature(verb, eval_str=True).parameters
    keyword_only = inspect.Parameter.KEYWORD_ONLY
    parameters = []
    for name, parameter in own.items():
        if name == "caller":
            parameters += [
                inspect.Parameter(option, keyword_only, default=default, annotation=annotation)
                for option, (annotation, default) in _OPTIONS.items()
            ]
        else:
            parameters.append(parameter.replace(kind=keyword_only))
    # What Typer looks at.
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del wrapper.__wrapped__
    return wrapper


def _caller(
    *,
    aet: str,
    timeout: float,
    tls: bool,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_ca: Path | None,
    tls_profile: str,
    tls_no_host_check: bool,
    tls_no_verify: bool,
) -> Caller:
    said = (tls_cert, tls_key, tls_ca, tls_no_host_check, tls_no_verify, tls_profile != DEFAULT_PROFILE)
    if not (tls or any(said)):
        return Caller(aet, Timeouts.of(timeout))
    try:
        find_profile(tls_profile)
    except TLSConfigurationError as error:
        raise Stop(Exit.USAGE, f"--tls-profile: {error}") from None
    secured = TLS(tls_cert, tls_key, tls_ca, not tls_no_host_check, tls_profile, not tls_no_verify)
    return Caller(aet, Timeouts.of(timeout), tls=secured)
