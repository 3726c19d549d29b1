"""``dulcimer echoscp``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dulcimer.cli import output
from dulcimer.cli.tools import parser, security, serving, syntaxes
from dulcimer.cli.tools.talk import LOGGER

if TYPE_CHECKING:
    from argparse import Namespace

    from dulcimer.cli.exits import Exit


def options() -> parser.Parser:
    """Return the options."""
    found = parser.Parser("echoscp", "Answer C-ECHO.", "PORT")
    parser.port_argument(found)
    parser.general(found, json="print where it listens, and every C-ECHO, as JSON lines")
    parser.network_as_scp(found, "ECHOSCP")
    parser.preferred_syntaxes(found)
    security.tls_options(found, server=True)
    security.identity_options(found, server=True)
    return found


def run(args: Namespace) -> Exit:
    """Run the tool."""
    from dulcimer import evt

    ae = serving.entity(args)
    ae.add_supported_context("1.2.840.10008.1.1", syntaxes.accepted(args.syntax))

    def answer(event: Any) -> int:
        calling = event.assoc.requestor.ae_title
        LOGGER.info("C-ECHO of %s", calling)
        if args.json:
            output.as_json_line({"event": "echo", "calling_aet": calling})
        return 0x0000

    return serving.serve(args, ae, [(evt.EVT_C_ECHO, answer)])
