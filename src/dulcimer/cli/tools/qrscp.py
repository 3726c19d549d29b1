"""``dulcimer qrscp``: the node with other defaults."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dulcimer.cli import output
from dulcimer.cli.exits import Exit, Stop
from dulcimer.cli.tools import inifile, parser, security
from dulcimer.cli.tools.talk import note

if TYPE_CHECKING:
    from argparse import Namespace

_DEFAULTS: Final[dict[str, Any]] = {
    "aet": "QRSCP",
    "host": "0.0.0.0",
    "port": 11112,
    "data": "instances",
    "max_pdu": 16382,
    "acse_timeout": 30.0,
    "dimse_timeout": 30.0,
    "idle_timeout": 30.0,
    "web": False,
}
_LEVELS: Final = {
    "critical": "error",
    "fatal": "error",
    "error": "error",
    "warn": "warning",
    "trace": "debug",
    "quiet": "error",
}


def options() -> parser.Parser:
    """Return the options."""
    found = parser.Parser(
        "qrscp",
        "Run a node: Verification, Storage, Query/Retrieve and the rest that `dulcimer serve` offers.\n"
        "Options win over the configuration file.",
        "",
    )
    parser.general(found, json="print where it listens as JSON")
    found.add_argument("-c", "--config", metavar="FILE", help="INI file with settings and move destinations")
    group = found.add_argument_group("Network options")
    group.add_argument(
        "--port", type=parser.listening_port, metavar="PORT", help="listen here (default: 11112)"
    )
    group.add_argument(
        "-aet",
        "--ae-title",
        "--aetitle",
        type=parser.ae_title,
        metavar="AET",
        help="our AE title (default: QRSCP)",
    )
    for names, what in (
        (("-ta", "--acse-timeout"), "ACSE messages"),
        (("-td", "--dimse-timeout"), "the rest of a message"),
        (("-tn", "--network-timeout"), "anything to happen"),
    ):
        group.add_argument(
            *names,
            type=float,
            metavar="SECONDS",
            help=f"wait for {what} (0: for ever; default: 30)",
        )
    group.add_argument(
        "-pdu",
        "--max-pdu",
        type=parser.pdu_length,
        metavar="BYTES",
        help="the longest PDU that we take (0: any; default: 16382)",
    )
    group.add_argument(
        "-ba",
        "--bind-address",
        metavar="ADDRESS",
        help="listen on this address (:: for IPv6 and IPv4; default: all of IPv4)",
    )
    group = found.add_argument_group("Storage options")
    group.add_argument(
        "--instance-location", metavar="DIR", help="folder for objects and index (default: instances)"
    )
    group.add_argument(
        "--database-location",
        metavar="FILE",
        help="without effect: the index is in the folder of the objects",
    )
    group.add_argument(
        "--clean", action="store_true", help="delete all objects and the index, after asking, and end"
    )
    security.tls_options(found, server=True)
    return found


def run(args: Namespace) -> Exit:
    """Run the tool."""
    file = inifile.read(args.config) if args.config else inifile.IniFile()
    given = {**_DEFAULTS, **file.options, **_from_options(args)}
    if args.clean:
        return _clean(Path(given["data"]))
    if args.database_location:
        note(args, "dulcimer: --database-location has no effect: the index is in the folder of the objects")

    try:
        from dulcimer.node import app
        from dulcimer.node.adapters import log
        from dulcimer.node.config import ConfigError, load
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "dulcimer":
            raise
        raise Stop(
            Exit.USAGE, f"{error.name} is missing; install it with: pip install 'dulcimer[node]'"
        ) from None
    if file.destinations:
        given["destinations"] = file.destinations
    try:
        config = load(given)
    except ConfigError as error:
        raise Stop(Exit.USAGE, str(error)) from None

    def announce(text: str, host: str, port: int, _page: str) -> None:
        if args.json:
            output.as_json_line(
                {
                    "event": "listening",
                    "host": host,
                    "port": port,
                    "aet": config.aet,
                    "data": str(config.data),
                }
            )
        else:
            note(args, text)

    handler = log.set_up(config.log_level, as_json=args.json)
    try:
        app.run(config, announce)
    except app.StartError as error:
        raise Stop(Exit.NOT_STARTED, str(error)) from None
    finally:
        log.tear_down(handler)
    return Exit.OK


def _from_options(args: Namespace) -> dict[str, Any]:
    tls = security.tls_of(args)
    said = {
        "aet": args.ae_title,
        "host": args.bind_address,
        "port": args.port,
        "data": args.instance_location,
        "max_pdu": args.max_pdu,
        "acse_timeout": args.acse_timeout,
        "dimse_timeout": args.dimse_timeout,
        "idle_timeout": args.network_timeout,
        "log_level": _LEVELS.get(args.verbosity or "error", args.verbosity),
    }
    if tls is not None:
        said |= {
            "tls_cert": tls.cert,
            "tls_key": tls.key,
            "tls_ca": tls.ca,
            "tls_profile": tls.profile,
            "tls_client_auth": tls.client_auth,
        }
    return {name: value for name, value in said.items() if value is not None}


def _clean(folder: Path) -> Exit:
    if not (folder / "index.sqlite").is_file():
        raise Stop(Exit.FAILED, f"{folder} is no folder of a node: there is no index in it")
    from dulcimer.node.adapters.files import DataFolder, DataFolderError

    sys.stderr.write(f"This deletes all objects and the index in {folder}. Really? [yes/no]: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != "yes":
        return Exit.OK
    try:
        # Nobody else uses it from here on.
        owned = DataFolder(folder)
    except DataFolderError as error:
        raise Stop(Exit.FAILED, str(error)) from None
    try:
        for place in (owned.objects, owned.incoming):
            shutil.rmtree(place)
        for file in folder.glob(f"{owned.index.name}*"):
            file.unlink()
    except OSError as error:
        raise Stop(Exit.FAILED, f"{error.filename} cannot be deleted: {error.strerror or error}") from None
    finally:
        owned.close(clean=True)
    return Exit.OK
