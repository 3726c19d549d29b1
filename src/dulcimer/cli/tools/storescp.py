"""``dulcimer storescp``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dulcimer.cli.tools import parser, security, serving, syntaxes
from dulcimer.cli.tools.receiving import Receiver

if TYPE_CHECKING:
    from argparse import Namespace

    from dulcimer.cli.exits import Exit


def options() -> parser.Parser:
    """Return the options."""
    found = parser.Parser("storescp", "Receive objects into files, one for each (C-STORE).", "PORT")
    parser.port_argument(found)
    parser.general(found, json="print where it listens, and every object, as JSON lines")
    parser.network_as_scp(found, "STORESCP")
    parser.preferred_syntaxes(found)
    parser.output_folder(found)
    security.tls_options(found, server=True)
    security.identity_options(found, server=True)
    group = found.add_argument_group("Miscellaneous options")
    group.add_argument("--no-echo", action="store_true", help="do not answer C-ECHO")
    group.add_argument(
        "-pm",
        "--promiscuous",
        action="store_true",
        help="accept SOP classes and transfer syntaxes that are not known as well",
    )
    return found


def run(args: Namespace) -> Exit:
    """Run the tool."""
    from dulcimer import AllStoragePresentationContexts

    receiver = Receiver(args.output_directory, ignore=args.ignore, json=args.json)
    ae = serving.entity(args)
    accepted = syntaxes.accepted(args.syntax)
    for context in AllStoragePresentationContexts:
        assert context.abstract_syntax is not None
        ae.add_supported_context(context.abstract_syntax, accepted)
    if not args.no_echo:
        ae.add_supported_context("1.2.840.10008.1.1", accepted)
    return serving.serve(args, ae, receiver.handlers, any_storage=args.promiscuous)
