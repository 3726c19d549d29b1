"""The peer on the command line: ``host:port`` or ``AET@host:port``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dulcimer.cli.exits import Exit, Stop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ssl import SSLContext

    from dulcimer import AE, Association, PresentationContext
    from dulcimer.events import EventHandlerType
    from dulcimer.pdu_primitives import NegotiationItem, UserIdentityNegotiation
    from dulcimer.tls import TLS

ANY_AE_TITLE: Final = "ANY-SCP"


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to talk to."""

    host: str
    port: int
    ae_title: str = ANY_AE_TITLE

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.ae_title}@{host}:{self.port}"


def parse(text: str) -> Peer:
    """Read ``host:port`` or ``AET@host:port``; an IPv6 address stands in brackets.

    Raises
    ------
    Stop
        The text is neither.
    """
    title, at, address = text.rpartition("@")
    # What stands behind the last colon within brackets is a part of the address.
    host, colon, port = (address, "", "") if address.endswith("]") else address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    problem = ""
    if not colon:
        problem = "the port is missing"
    elif not bare:
        problem = "the host is missing"
    elif ":" in host and not host.startswith("["):
        problem = "an IPv6 address stands in brackets"
    elif not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        problem = f"{port!r} is no port"
    elif at:
        problem = ae_title_problem(title)
    if problem:
        raise Stop(
            Exit.USAGE,
            f"{text!r} is no peer: {problem}; write host:port or AET@host:port, "
            "for example 127.0.0.1:11112 or PACS@[::1]:104",
        )
    return Peer(bare, int(port), title.strip() or ANY_AE_TITLE)


def ae_title_problem(title: str) -> str:
    """Say what keeps a text from being an AE title (PS3.5 6.2, value representation AE); ``""``: nothing."""
    if not 0 < len(title.strip()) <= 16:
        return "an AE title has 1 to 16 characters"
    if "\\" in title:
        return "an AE title has no backslash"
    if not (title.isascii() and title.isprintable()):
        return "an AE title has printable ASCII characters only"
    return ""


class NothingAccepted(Stop):
    """The peer accepted an association, and nothing of what was proposed for it."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How many seconds to wait for what; None is for ever."""

    connection: float | None = 30.0
    acse: float | None = 30.0
    dimse: float | None = 30.0
    network: float | None = 60.0

    @classmethod
    def of(cls, seconds: float) -> Timeouts:
        """Return the same time for connection and answers; 0 is for ever."""
        return cls(seconds or None, seconds or None, seconds or None)


@dataclass(frozen=True, slots=True)
class Caller:
    """How to call: our AE title, how long to wait, the PDU length to offer, TLS, user identity."""

    ae_title: str = "DULCIMER"
    timeouts: Timeouts = Timeouts()
    maximum_pdu: int = 131072
    tls: TLS | None = None
    identity: UserIdentityNegotiation | None = None

    def entity(self) -> AE:
        """Make the application entity that calls.

        Raises
        ------
        Stop
            With :attr:`Exit.USAGE` if our AE title is none.
        """
        from dulcimer import AE

        if problem := ae_title_problem(self.ae_title):
            raise Stop(Exit.USAGE, f"--aet {self.ae_title!r}: {problem}")
        ae = AE(self.ae_title)
        ae.connection_timeout = self.timeouts.connection
        ae.acse_timeout = self.timeouts.acse
        ae.dimse_timeout = self.timeouts.dimse
        ae.network_timeout = self.timeouts.network
        return ae

    def associate(
        self,
        peer: Peer,
        contexts: Sequence[PresentationContext],
        extended: Sequence[NegotiationItem] = (),
        handlers: Sequence[EventHandlerType] = (),
    ) -> Association:
        """Open an association.

        Raises
        ------
        Stop
            With :attr:`Exit.NO_ASSOCIATION` and the reason; a :class:`NothingAccepted` where that is it. With
            :attr:`Exit.USAGE` if TLS cannot be set up.
        """
        options = self.options(peer)
        options["ext_neg"] = [*extended, *options["ext_neg"]]
        association = self.entity().associate(
            peer.host,
            peer.port,
            list(contexts),
            ae_title=peer.ae_title,
            evt_handlers=list(handlers),
            **options,
        )
        if not association.is_established:
            reason = str(association.failure or "no association") + self._hint(association)
            # Failures of the connection name its address themselves.
            named = peer.host in reason
            kind = NothingAccepted if association.rejected_contexts else Stop
            raise kind(Exit.NO_ASSOCIATION, reason if named else f"{peer}: {reason}")
        wanted = self.identity is not None and self.identity.positive_response_requested
        if wanted and association.acceptor.user_identity is None:
            association.abort()
            raise Stop(Exit.NO_ASSOCIATION, f"{peer} does not say that it has verified the user identity")
        return association

    def options(self, peer: Peer) -> dict[str, Any]:
        """Return the keyword arguments that ``AE.associate`` is called with, apart from what is proposed.

        Raises
        ------
        Stop
            With :attr:`Exit.USAGE` if TLS cannot be set up.
        """
        return {
            "max_pdu": self.maximum_pdu,
            "ext_neg": [] if self.identity is None else [self.identity],
            "tls_args": self._tls_args(peer),
        }

    def _tls_args(self, peer: Peer) -> tuple[SSLContext, str] | None:
        if self.tls is None:
            return None
        from dulcimer.tls import TLSConfigurationError

        try:
            return self.tls.client_context(), peer.host
        except TLSConfigurationError as error:
            raise Stop(Exit.USAGE, f"TLS: {error}") from None

    def _hint(self, association: Association) -> str:
        """Say what helps where a connection ended before the association was accepted or rejected."""
        from dulcimer.failure import FailureKind

        failure = association.failure
        if failure is None or association.rejected_contexts:
            return ""
        unanswered = failure.kind in {FailureKind.LOST, FailureKind.PROTOCOL}
        if self.tls is None:
            return "; if this port expects TLS, add --tls" if unanswered else ""
        if unanswered and self.tls.cert is None:
            return "; if the peer wants a certificate of ours, add --tls-cert and --tls-key"
        return ""


def lost(peer: Peer, association: Association) -> Stop:
    """Describe an association that ended before the answer came."""
    return Stop(Exit.NO_ASSOCIATION, f"{peer}: no answer: {association.failure or 'the association ended'}")
