"""``dulcimer findscu``."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dulcimer.cli import output
from dulcimer.cli.exits import Exit
from dulcimer.cli.tools import parser, security, syntaxes
from dulcimer.cli.tools.calling import PEER_HELP, applied, associate, only_peer, release
from dulcimer.cli.tools.inquiry import MESSAGE_ID, Cancel, Outcome, answers, exit_code
from dulcimer.cli.tools.matches import Csv, Files, Json, Table, Writer
from dulcimer.cli.tools.models import model_of, model_options, query_of, query_options
from dulcimer.cli.tools.talk import LOGGER, note

if TYPE_CHECKING:
    from argparse import Namespace

    from pydicom.dataset import Dataset

    from dulcimer import Association
    from dulcimer.cli.peer import Peer
    from dulcimer.pdu_primitives import NegotiationItem

_EXTENDED = (
    ("--relational-query", "ask for relational queries"),
    ("--dt-matching", "ask for combined matching of dates and times"),
    ("--fuzzy-names", "ask for fuzzy matching of names of persons"),
    ("--timezone-adj", "ask for times to be adjusted to our time zone"),
    ("--enhanced-conversion", "ask for conversion of enhanced multi-frame images"),
)


def options() -> parser.Parser:
    """Return the options."""
    found = parser.Parser(
        "findscu",
        "Query a peer (C-FIND). Prints a table; a column for each attribute of the query.",
        "HOST PORT -k KEY...",
    )
    parser.peer_argument(found, PEER_HELP)
    parser.general(found, json="print each match as a line of DICOM JSON")
    parser.network_as_scu(found, "FINDSCU")
    model_options(found, "find")
    query_options(found)
    group = found.add_argument_group("Output options")
    group.add_argument("--csv", action="store_true", help="print CSV")
    group.add_argument(
        "-w", "--write", "-X", "--extract", action="store_true", help="write each match to rsp000001.dcm..."
    )
    group.add_argument("-od", "--output-directory", metavar="DIR", help="write them to this folder")
    group.add_argument(
        "--limit",
        "--cancel",
        type=parser.count,
        metavar="N",
        help="cancel the query (C-CANCEL) after this many matches",
    )
    parser.proposed_syntaxes(found, uncompressed=True)
    group = found.add_argument_group("Extended negotiation options")
    for name, help in _EXTENDED:
        group.add_argument(name, action="store_true", help=help)
    security.tls_options(found, server=False)
    security.identity_options(found, server=False)
    return found


def run(args: Namespace) -> Exit:
    """Run the tool."""
    if args.json and args.csv:
        options().error("--json and --csv: there is one form of output")
    peer = only_peer(args)
    model = model_of(args, "find")
    query = query_of(args)

    from dulcimer import build_context
    from dulcimer.status import QR_FIND_SERVICE_CLASS_STATUS

    association = associate(
        args, peer, [build_context(model, syntaxes.proposed(args.syntax))], _negotiation(args, model)
    )
    outcome, count = Outcome(), 0
    writers = _writers(args, query, model, association)
    with Cancel(association, model) as cancel:
        try:
            count = _ask(args, peer, association, query, model, writers, outcome, cancel)
        except BaseException:
            association.abort()
            raise
        finally:
            for writer in writers:
                with suppress(BrokenPipeError):
                    writer.close()
        release(association)
    LOGGER.info("%s, status %04X", output.count(count, "match", "matches"), outcome.code)
    code = exit_code(outcome, cancel)
    if code is Exit.FAILED:
        note(args, f"dulcimer: {peer}: {outcome.describe(QR_FIND_SERVICE_CLASS_STATUS)}")
    return code


def _ask(
    args: Namespace,
    peer: Peer,
    association: Association,
    query: Dataset,
    model: str,
    writers: list[Writer],
    outcome: Outcome,
    cancel: Cancel,
) -> int:
    count = 0
    responses = association.send_c_find(query, model, MESSAGE_ID)
    for match in answers(peer, association, responses, outcome):
        if args.limit is not None and count == args.limit:
            # The peer had sent these before it knew.
            continue
        count += 1
        LOGGER.info("match %d", count)
        for writer in writers:
            writer.add(match)
        if count == args.limit:
            cancel.cancel()
    return count


def _writers(args: Namespace, query: Dataset, model: str, association: Association) -> list[Writer]:
    shown: Writer = Json() if args.json else Csv(query) if args.csv else Table(query)
    if not args.write:
        return [shown]
    syntax = str(association.accepted_contexts[0].transfer_syntax[0])
    return [shown, Files(args.output_directory, model, syntax)]


def _negotiation(args: Namespace, model: str) -> list[NegotiationItem]:
    wanted = [getattr(args, name.removeprefix("--").replace("-", "_")) for name, _ in _EXTENDED]
    if args.model == "worklist":
        # Its first two bytes are always 1 (PS3.4 K.5.1.1).
        return applied(model, wanted[2:4], before=b"\1\1")
    return applied(model, wanted)
