"""The parser of the tools, and the groups of options that several of them have."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final, NoReturn

from dulcimer.cli.exits import Exit, Stop
from dulcimer.cli.peer import ae_title_problem
from dulcimer.identity import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_CODES: Final = """\
Exit codes:
  0    all is well
  1    no association, it cannot listen, something failed, or a query or file cannot be used
  2    the command line cannot be used
  130  interrupted
"""

_LOG_LEVELS: Final = ("critical", "fatal", "error", "warn", "info", "debug", "trace")


class Parser(argparse.ArgumentParser):
    """Reads the command line of a tool."""

    def __init__(self, name: str, description: str, usage: str) -> None:
        super().__init__(
            prog=f"dulcimer {name}",
            usage=f"%(prog)s [options] {usage}".rstrip(),
            description=description,
            epilog=EXIT_CODES,
            prefix_chars="-+",
            formatter_class=_Formatter,
            add_help=False,
        )

    def error(self, message: str) -> NoReturn:
        """End with one line that says what is wrong."""
        raise Stop(Exit.USAGE, f"{message} ({self.prog} --help lists the options)")

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Read a command line; options may stand between positional arguments."""
        return self.parse_intermixed_args(arguments)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)


def seconds(text: str) -> float | None:
    """Read a time; 0 is no limit."""
    value = float(text)
    if not 0 <= value < 10**7:
        raise ValueError
    return value or None


def port(text: str) -> int:
    """Read a port to connect to."""
    return _number(text, 1, 65535)


def listening_port(text: str) -> int:
    """Read a port to listen on; 0 is any free one."""
    return _number(text, 0, 65535)


def pdu_length(text: str) -> int:
    """Read a maximum PDU length; 0 is unlimited (PS3.8 D.1)."""
    return _number(text, 0, 2**32 - 1)


def ae_title(text: str) -> str:
    """Read an AE title."""
    if problem := ae_title_problem(text):
        raise argparse.ArgumentTypeError(f"{text!r}: {problem}")
    return text


def count(text: str) -> int:
    """Read a number of times."""
    return _number(text, 1, 2**31)


def _number(text: str, lowest: int, highest: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
    if not lowest <= value <= highest:
        raise argparse.ArgumentTypeError(f"{text} is not between {lowest} and {highest}")
    return value


def general(parser: Parser, *, json: str) -> None:
    """Add what every tool has."""
    group = parser.add_argument_group("General options")
    group.add_argument("-h", "--help", action="help", help="show this help and exit")
    group.add_argument(
        "--version", action="version", version=f"dulcimer {__version__}", help="show the version and exit"
    )
    level = group.add_mutually_exclusive_group()
    level.add_argument(
        "-q", "--quiet", dest="verbosity", action="store_const", const="quiet", help="say nothing but results"
    )
    level.add_argument(
        "-v", "--verbose", dest="verbosity", action="store_const", const="info", help="say what is done"
    )
    level.add_argument(
        "-d",
        "--debug",
        dest="verbosity",
        action="store_const",
        const="debug",
        help="show every message",
    )
    level.add_argument(
        "-ll",
        "--log-level",
        dest="verbosity",
        choices=_LOG_LEVELS,
        metavar="LEVEL",
        help=f"say this much: {', '.join(_LOG_LEVELS)}",
    )
    group.add_argument("--json", action="store_true", help=json)


def network_as_scu(parser: Parser, title: str) -> Any:
    """Add what every tool has that requests associations; returns the group."""
    group = parser.add_argument_group("Network options")
    _title(group, ("-aet", "--calling-aet", "--aetitle"), "calling_aet", title, "our AE title")
    _title(group, ("-aec", "--called-aet", "--call"), "called_aet", "ANY-SCP", "the peer's AE title")
    group.add_argument(
        "-to",
        "--connection-timeout",
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="wait for the connection (default: as long as the system does)",
    )
    _timeouts_and_pdu(group)
    return group


def network_as_scp(parser: Parser, title: str) -> Any:
    """Add what every tool has that accepts associations; returns the group."""
    group = parser.add_argument_group("Network options")
    _title(group, ("-aet", "--ae-title", "--aetitle"), "ae_title", title, "our AE title")
    _timeouts_and_pdu(group)
    group.add_argument(
        "-ba",
        "--bind-address",
        default="",
        metavar="ADDRESS",
        help="listen on this address (:: for IPv6 and IPv4; default: all of IPv4)",
    )
    group.add_argument(
        "--max-associations",
        type=count,
        default=10,
        metavar="N",
        help="have at most this many associations at a time (default: 10)",
    )
    return group


def _title(group: Any, names: tuple[str, ...], dest: str, default: str, help: str) -> None:
    group.add_argument(
        *names,
        dest=dest,
        type=ae_title,
        default=default,
        metavar="AET",
        help=f"{help} (default: {default})",
    )


def _timeouts_and_pdu(group: Any) -> None:
    for names, what in (
        (("-ta", "--acse-timeout"), "ACSE messages"),
        (("-td", "--dimse-timeout"), "DIMSE messages"),
        (("-tn", "--network-timeout"), "anything to happen"),
    ):
        group.add_argument(
            *names,
            type=seconds,
            default=30.0,
            metavar="SECONDS",
            help=f"wait for {what} (0: for ever; default: 30)",
        )
    group.add_argument(
        "-pdu",
        "--max-pdu",
        type=pdu_length,
        default=16382,
        metavar="BYTES",
        help="the longest PDU that we take (0: any; default: 16382)",
    )


def proposed_syntaxes(parser: Parser, *, uncompressed: bool = False) -> None:
    """Add which transfer syntax is proposed."""
    one = parser.add_argument_group("Transfer syntax options").add_mutually_exclusive_group()
    rows: list[tuple[tuple[str, ...], str | None, str]] = [
        (("-xe", "--request-little", "--propose-little"), "little", "propose explicit VR little endian only"),
        (("-xb", "--request-big", "--propose-big"), "big", "propose explicit VR big endian only"),
        (
            ("-xi", "--request-implicit", "--propose-implicit"),
            "implicit",
            "propose implicit VR little endian only",
        ),
    ]
    if uncompressed:
        rows.insert(
            0, (("-x=", "--propose-uncompr"), None, "propose all uncompressed transfer syntaxes (default)")
        )
    for names, value, help in rows:
        one.add_argument(*names, dest="syntax", action="store_const", const=value, help=help)


def preferred_syntaxes(parser: Parser) -> None:
    """Add which transfer syntax is accepted where several are proposed."""
    one = parser.add_argument_group("Preferred transfer syntaxes").add_mutually_exclusive_group()
    for names, value, help in (
        (("-x=", "+x=", "--prefer-uncompr"), "uncompressed", "prefer explicit VR"),
        (("-xe", "+xe", "--prefer-little"), "little", "prefer explicit VR little endian"),
        (("-xb", "+xb", "--prefer-big"), "big", "prefer explicit VR big endian"),
        (("-xi", "+xi", "--implicit"), "implicit", "accept implicit VR little endian only"),
    ):
        one.add_argument(*names, dest="syntax", action="store_const", const=value, help=help)


def peer_argument(parser: Parser, help: str, metavar: str = "PEER") -> None:
    """Add the words that name a peer, and what may come behind them."""
    parser.add_argument_group("Arguments").add_argument("peer", nargs="*", metavar=metavar, help=help)


def port_argument(parser: Parser) -> None:
    """Add the port of a server."""
    parser.add_argument_group("Arguments").add_argument(
        "port", type=listening_port, metavar="PORT", help="listen here (0: any free port)"
    )


def output_folder(parser: Parser) -> Any:
    """Add where received objects go; returns the group."""
    group = parser.add_argument_group("Output options")
    group.add_argument(
        "-od",
        "--output-directory",
        metavar="DIR",
        help="write received objects to this folder, which is made if need be (default: the current one)",
    )
    group.add_argument("--ignore", action="store_true", help="receive objects and do not keep them")
    return group
