"""``dulcimer getscu``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dulcimer.cli.tools import parser, retrieval, security, syntaxes
from dulcimer.cli.tools.calling import PEER_HELP, associate, only_peer, release
from dulcimer.cli.tools.inquiry import MESSAGE_ID
from dulcimer.cli.tools.models import model_of, model_options, query_of, query_options
from dulcimer.cli.tools.receiving import Receiver

if TYPE_CHECKING:
    from argparse import Namespace

    from dulcimer import PresentationContext
    from dulcimer.cli.exits import Exit
    from dulcimer.pdu_primitives import NegotiationItem

_MOST_CONTEXTS: Final = 128
_OFTEN_COMPRESSED: Final = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.1.2",
    "1.2.840.10008.5.1.4.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.7",
)
"""Classes that get a context for their compressed instances beside one for the others: an acceptor answers
each context with one transfer syntax, and who has both kinds could send only one of them."""


def options() -> parser.Parser:
    """Return the options."""
    found = parser.Parser(
        "getscu", "Retrieve objects over the association that asks for them (C-GET).", "HOST PORT -k KEY..."
    )
    parser.peer_argument(found, PEER_HELP)
    parser.general(found, json="print each object and the outcome as JSON lines")
    parser.network_as_scu(found, "GETSCU")
    model_options(found, "get")
    query_options(found)
    group = parser.output_folder(found)
    group.add_argument(
        "--sop-class",
        action="append",
        metavar="UID",
        help="be ready for this storage SOP class only; may be repeated (default: the usual ones)",
    )
    retrieval.extended_options(found)
    security.tls_options(found, server=False)
    security.identity_options(found, server=False)
    return found


def run(args: Namespace) -> Exit:
    """Run the tool."""
    peer = only_peer(args)
    model = model_of(args, "get")
    query = query_of(args)

    from dulcimer import build_context
    from dulcimer.status import QR_GET_SERVICE_CLASS_STATUS

    contexts, roles = _storage(args.sop_class)
    with retrieval.progress(args) as shown:
        receiver = Receiver(
            args.output_directory, ignore=args.ignore, json=args.json, progress=shown.received
        )
        association = associate(
            args,
            peer,
            [build_context(model), *contexts],
            [*retrieval.extended_of(args, model), *roles],
            receiver.handlers,
        )
        code = retrieval.follow(
            args,
            peer,
            association,
            model,
            lambda: association.send_c_get(query, model, MESSAGE_ID),
            shown,
            QR_GET_SERVICE_CLASS_STATUS,
        )
    release(association)
    return code


def _storage(chosen: list[str] | None) -> tuple[list[PresentationContext], list[NegotiationItem]]:
    """Return contexts and roles to be sent objects (PS3.7 D.3.3.4, PS3.4 C.5.3)."""
    from dulcimer import StoragePresentationContexts, build_context, build_role

    known: list[Any] = chosen or [context.abstract_syntax for context in StoragePresentationContexts]
    classes = [str(uid) for uid in known][: _MOST_CONTEXTS - 1]
    all_syntaxes = syntaxes.accepted("little")
    compressed = [uid for uid in all_syntaxes if uid not in syntaxes.UNCOMPRESSED]
    uncompressed = [syntaxes.LITTLE, syntaxes.IMPLICIT, syntaxes.BIG]
    room = _MOST_CONTEXTS - 1 - len(classes)
    apart = [uid for uid in (chosen or _OFTEN_COMPRESSED) if uid in classes][:room]
    contexts = []
    for uid in classes:
        if uid in apart:
            contexts += [build_context(uid, uncompressed), build_context(uid, compressed)]
        else:
            contexts.append(build_context(uid, all_syntaxes))
    return contexts, [build_role(uid, scp_role=True) for uid in classes]
