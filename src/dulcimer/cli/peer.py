"""The peer on the command line: ``host:port`` or ``AET@host:port``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dulcimer.cli.exits import Exit, Stop

if TYPE_CHECKING:
    from collections.abc import Sequence

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
class Caller:
    """How to call: our AE title, how long to wait, the PDU length to offer."""

    ae_title: str = "DULCIMER"
    timeout: float = 30.0
    maximum_pdu: int = 131072

    def entity(self) -> Any:
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
        ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = self.timeout or None
        return ae

    def associate(self, peer: Peer, contexts: Sequence[Any]) -> Any:
        """Open an association.

        Raises
        ------
        Stop
            With :attr:`Exit.NO_ASSOCIATION` and the reason; a :class:`NothingAccepted` where that is it.
        """
        association = self.entity().associate(
            peer.host, peer.port, list(contexts), ae_title=peer.ae_title, max_pdu=self.maximum_pdu
        )
        if not association.is_established:
            reason = str(association.failure or "no association")
            # Failures of the connection name its address themselves.
            named = peer.host in reason
            kind = NothingAccepted if association.rejected_contexts else Stop
            raise kind(Exit.NO_ASSOCIATION, reason if named else f"{peer}: {reason}")
        return association


def lost(peer: Peer, association: Any) -> Stop:
    """Describe an association that ended before the answer came."""
    return Stop(Exit.NO_ASSOCIATION, f"{peer}: no answer: {association.failure or 'the association ended'}")
