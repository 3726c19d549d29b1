"""``dulcimer storescu``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dulcimer.cli import output
from dulcimer.cli.exits import Exit
from dulcimer.cli.tools import parser, security, syntaxes
from dulcimer.cli.tools.calling import PEER_HELP, caller_of, peer_of
from dulcimer.cli.tools.talk import LOGGER, note

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from dulcimer.cli.scan import Skipped
    from dulcimer.cli.sending import Report


def options() -> parser.Parser:
    """Return the options."""
    found = parser.Parser(
        "storescu",
        "Send DICOM files (C-STORE), each in the transfer syntax that it has, uncompressed ones in another\n"
        "if the peer takes no other. What is proposed follows from the files.",
        "HOST PORT FILE|FOLDER...",
    )
    parser.peer_argument(found, f"{PEER_HELP}; and what to send", "PEER FILE|FOLDER")
    parser.general(found, json="print what came of it as JSON")
    group = found.add_argument_group("Input options")
    group.add_argument("-r", "+r", "--recurse", action="store_true", help="search folders to the bottom")
    group.add_argument(
        "+sd", "--scan-directories", action="store_true", help="search folders, which is done anyway"
    )
    parser.network_as_scu(found, "STORESCU")
    parser.proposed_syntaxes(found, uncompressed=True)
    security.tls_options(found, server=False)
    security.identity_options(found, server=False)
    group = found.add_argument_group("Miscellaneous options")
    group.add_argument(
        "-cx",
        "-R",
        "--required-contexts",
        "--required",
        action="store_true",
        help="propose only what the files need, which is done anyway",
    )
    return found


def run(args: Namespace) -> Exit:
    """Run the tool."""
    peer, words = peer_of(args.peer, args.called_aet)
    if not words:
        options().error("what to send is missing: name a file or a folder")

    from dulcimer.cli import accounts
    from dulcimer.cli.scan import scan
    from dulcimer.cli.sending import Sender, exit_code

    words = [str(Path(word)) for word in words]
    missing = [word for word in words if not Path(word).exists()]
    for word in missing:
        note(args, f"dulcimer: there is no {word}")
    files, skipped = scan(_within([Path(word) for word in words if word not in missing], args.recurse))
    for item in skipped:
        if str(item.path) in words:
            note(args, f"dulcimer: {item.path} is not sent: {item.reason}")
            missing.append(str(item.path))
        else:
            LOGGER.warning("%s is not sent: %s", item.path, item.reason)
    if not files:
        if not missing:
            note(args, f"dulcimer: nothing to send: {accounts.why_nothing(skipped)}")
        return Exit.FAILED
    with accounts.progress(
        sum(file.size for file in files), shown=args.verbosity is None and not args.json
    ) as advance:
        report = Sender(peer, caller_of(args), advance, syntaxes.only(args.syntax)).send(files)
    if args.json:
        output.as_json_line(accounts.as_dict(peer, report, skipped))
    _tell(args, report, skipped)
    if report.interrupted:
        return Exit.INTERRUPTED
    return Exit.FAILED if missing or exit_code(report) is not Exit.OK else Exit.OK


def _tell(args: Namespace, report: Report, skipped: list[Skipped]) -> None:
    if report.no_association:
        note(args, f"dulcimer: {report.no_association}")
    for file, reason in report.failed:
        note(args, f"dulcimer: {file.path}: {reason}")
    for file, reason in report.warnings:
        LOGGER.warning("%s: %s", file.path, reason)
    LOGGER.info(
        "%d sent, %d failed, %d skipped, %d left",
        report.sent,
        len(report.failed),
        len(skipped),
        report.unsent,
    )


def _within(places: list[Path], recurse: bool) -> Iterator[Path]:
    """Give the places, and of folders only the files that are directly in them unless ``recurse``."""
    for place in places:
        if recurse or not place.is_dir():
            yield place
        else:
            yield from sorted(path for path in place.iterdir() if path.is_file())
