"""``dulcimer movescu``."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dulcimer.cli.exits import Exit, Stop
from dulcimer.cli.tools import parser, retrieval, security, serving, syntaxes
from dulcimer.cli.tools.calling import PEER_HELP, associate, only_peer, release
from dulcimer.cli.tools.inquiry import MESSAGE_ID
from dulcimer.cli.tools.models import model_of, model_options, query_of, query_options
from dulcimer.cli.tools.receiving import Receiver
from dulcimer.cli.tools.talk import LOGGER

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator


def options() -> parser.Parser:
    """Return the options."""
    found = parser.Parser(
        "movescu",
        "Have a peer send objects to somebody, or with --store to here (C-MOVE).",
        "HOST PORT -k KEY...",
    )
    parser.peer_argument(found, PEER_HELP)
    parser.general(found, json="print each object that comes here and the outcome as JSON lines")
    group = parser.network_as_scu(found, "MOVESCU")
    group.add_argument(
        "-aem",
        "--move-aet",
        "--move",
        type=parser.ae_title,
        metavar="AET",
        help="whom the peer sends to (default: STORESCP, with --store the title of that)",
    )
    model_options(found, "move")
    query_options(found)
    group = found.add_argument_group("Storage SCP options")
    group.add_argument(
        "--store", action="store_true", help="receive here: the peer must know this address and port"
    )
    group.add_argument(
        "--store-port",
        "+P",
        "--port",
        type=parser.listening_port,
        default=11113,
        metavar="PORT",
        help="listen here (default: 11113)",
    )
    group.add_argument(
        "--store-aet",
        type=parser.ae_title,
        default="STORESCP",
        metavar="AET",
        help="the AE title of the receiver (default: STORESCP)",
    )
    group.add_argument(
        "-ba",
        "--bind-address",
        default="",
        metavar="ADDRESS",
        help="listen on this address (:: for IPv6 and IPv4; default: all of IPv4)",
    )
    group.add_argument(
        "--store-tls", action="store_true", help="receive over TLS, with the certificate of --tls-cert"
    )
    parser.output_folder(found)
    retrieval.extended_options(found)
    security.tls_options(found, server=False)
    security.identity_options(found, server=False)
    return found


def run(args: Namespace) -> Exit:
    """Run the tool."""
    peer = only_peer(args)
    model = model_of(args, "move")
    query = query_of(args)
    destination = args.move_aet or (args.store_aet if args.store else "STORESCP")

    from dulcimer import build_context
    from dulcimer.status import QR_MOVE_SERVICE_CLASS_STATUS

    with retrieval.progress(args) as shown, _receiver(args, shown):
        association = associate(args, peer, [build_context(model)], retrieval.extended_of(args, model))
        code = retrieval.follow(
            args,
            peer,
            association,
            model,
            lambda: association.send_c_move(query, destination, model, MESSAGE_ID),
            shown,
            QR_MOVE_SERVICE_CLASS_STATUS,
        )
        release(association)
    return code


@contextmanager
def _receiver(args: Namespace, shown: retrieval.Progress) -> Iterator[None]:
    """Receive while the operation runs, if that is wanted."""
    if not args.store:
        yield
        return
    from dulcimer import AE, AllStoragePresentationContexts

    receiver = Receiver(args.output_directory, ignore=args.ignore, json=args.json, progress=shown.received)
    ae = AE(args.store_aet)
    ae.maximum_pdu_size = args.max_pdu
    for context in AllStoragePresentationContexts:
        assert context.abstract_syntax is not None
        ae.add_supported_context(context.abstract_syntax, syntaxes.accepted(None))
    ae.add_supported_context("1.2.840.10008.1.1")
    tls = security.tls_of(args) if args.store_tls else None
    if args.store_tls and tls is None:
        raise Stop(Exit.USAGE, "--store-tls needs --tls-cert")
    try:
        server = ae.start_server(
            (args.bind_address, args.store_port),
            block=False,
            ssl_context=security.server_context(tls),
            evt_handlers=receiver.handlers,
            storage="any",
        )
    except OSError as error:
        raise Stop(
            Exit.NOT_STARTED, serving.why_not_listening(args.bind_address, args.store_port, error)
        ) from None
    assert server is not None
    LOGGER.info("receiving on port %d as %s", server.server_address[1], args.store_aet)
    try:
        yield
        # The last objects may still be on their way when the operation is answered.
        server.drain(args.network_timeout)
    finally:
        server.shutdown()
