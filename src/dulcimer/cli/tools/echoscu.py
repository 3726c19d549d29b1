"""``dulcimer echoscu``."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from dulcimer.cli import output
from dulcimer.cli.exits import Exit
from dulcimer.cli.peer import lost
from dulcimer.cli.tools import parser, security, syntaxes
from dulcimer.cli.tools.calling import PEER_HELP, associate, only_peer, release
from dulcimer.cli.tools.talk import LOGGER, note

if TYPE_CHECKING:
    from argparse import Namespace


def options() -> parser.Parser:
    """Return the options."""
    found = parser.Parser("echoscu", "Verify that a peer answers (C-ECHO).", "HOST PORT")
    parser.peer_argument(found, PEER_HELP)
    parser.general(found, json="print what came of it as JSON")
    parser.network_as_scu(found, "ECHOSCU")
    parser.proposed_syntaxes(found)
    security.tls_options(found, server=False)
    security.identity_options(found, server=False)
    group = found.add_argument_group("Miscellaneous options")
    group.add_argument(
        "--repeat", type=parser.count, default=1, metavar="N", help="send this many C-ECHO (default: 1)"
    )
    group.add_argument("--abort", action="store_true", help="abort the association instead of releasing it")
    return found


def run(args: Namespace) -> int:
    """Run the tool."""
    peer = only_peer(args)

    from dulcimer import build_context

    association = associate(args, peer, [build_context("1.2.840.10008.1.1", syntaxes.proposed(args.syntax))])
    failed = 0
    for number in range(args.repeat):
        LOGGER.info("sending C-ECHO request %d", number + 1)
        began = perf_counter()
        answer = association.send_c_echo(number % 65535 + 1)
        if "Status" not in answer:
            raise lost(peer, association)
        took = perf_counter() - began
        LOGGER.info("C-ECHO response: status %04X after %.2f ms", answer.Status, took * 1e3)
        failed += answer.Status != 0
        if args.json:
            output.as_json_line(
                {"peer": str(peer), "status": f"{answer.Status:04X}", "milliseconds": round(took * 1e3, 3)}
            )
    if args.abort:
        association.abort()
    else:
        release(association)
    if failed:
        note(args, f"dulcimer: {peer} answered {failed} of {args.repeat} C-ECHO with a failure")
    return Exit.FAILED if failed else Exit.OK
