"""From the options of a tool to an association."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dulcimer.cli.exits import Exit, Stop
from dulcimer.cli.peer import Caller, Peer, Timeouts, ae_title_problem, parse
from dulcimer.cli.tools.parser import port
from dulcimer.cli.tools.security import identity_of, tls_of
from dulcimer.cli.tools.talk import LOGGER, note

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from dulcimer import Association, PresentationContext
    from dulcimer.events import EventHandlerType
    from dulcimer.pdu_primitives import NegotiationItem

PEER_HELP = "HOST PORT, or HOST:PORT, or AET@HOST:PORT; an IPv6 address before :PORT stands in brackets"


def peer_of(words: Sequence[str], called_aet: str) -> tuple[Peer, list[str]]:
    """Return the peer that the first words name, and the other words.

    Raises
    ------
    Stop
        If they name none.
    """
    if not words:
        raise Stop(Exit.USAGE, f"whom to call is missing: {PEER_HELP}")
    first, *others = words
    title, _, host = first.rpartition("@")
    if "]:" in host or host.count(":") == 1:
        peer = parse(first)
        return (peer if title else replace(peer, ae_title=called_aet)), others
    if title and (problem := ae_title_problem(title)):
        raise Stop(Exit.USAGE, f"{title!r}: {problem}")
    if not others:
        raise Stop(Exit.USAGE, f"the port of {first} is missing: {PEER_HELP}")
    try:
        number = port(others[0])
    except Exception as error:
        raise Stop(Exit.USAGE, f"the port of {first}: {error}") from None
    return Peer(host.removeprefix("[").removesuffix("]"), number, title or called_aet), others[1:]


def only_peer(args: Namespace) -> Peer:
    """Return the peer of a tool that takes no other words.

    Raises
    ------
    Stop
        If there are.
    """
    peer, others = peer_of(args.peer, args.called_aet)
    if others:
        raise Stop(Exit.USAGE, f"what is {others[0]!r} for? There is one peer: {PEER_HELP}")
    return peer


def timeouts_of(args: Namespace) -> Timeouts:
    """Return the times that the options say."""
    return Timeouts(args.connection_timeout, args.acse_timeout, args.dimse_timeout, args.network_timeout)


def caller_of(args: Namespace) -> Caller:
    """Return how to call, as the options say."""
    tls, identity = tls_of(args), identity_of(args)
    if identity is not None and identity.user_identity_type == 2 and tls is None:
        note(args, "dulcimer: without --tls the passcode travels for everybody on the network to read")
    return Caller(args.calling_aet, timeouts_of(args), args.max_pdu, tls, identity)


def associate(
    args: Namespace,
    peer: Peer,
    contexts: Sequence[PresentationContext],
    extended: Sequence[NegotiationItem] = (),
    handlers: Sequence[EventHandlerType] = (),
) -> Association:
    """Open an association as the options say.

    Raises
    ------
    Stop
        If it does not come about.
    """
    caller = caller_of(args)
    LOGGER.info("requesting an association with %s", peer)
    association = caller.associate(peer, contexts, extended, handlers)
    LOGGER.info("the association was accepted")
    return association


def release(association: Association) -> None:
    """Release an association if it is still there."""
    if association.is_established:
        LOGGER.info("releasing the association")
        association.release()


def applied(uid: str, options: Sequence[bool], before: bytes = b"") -> list[NegotiationItem]:
    """Return the extended negotiation of a query model with one byte for each option; none if all are off.

    ``before`` stands in front of them (PS3.4 C.5.1.1, K.5.1.1).
    """
    if not any(options):
        return []
    from dulcimer.pdu_primitives import SOPClassExtendedNegotiation

    item = SOPClassExtendedNegotiation()
    item.sop_class_uid = uid
    item.service_class_application_information = before + bytes(options)
    return [item]
