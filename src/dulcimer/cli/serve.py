"""``dulcimer serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dulcimer.cli import output
from dulcimer.cli.exits import Exit, Stop


def _option(name: str, help: str, metavar: str | None = None, *, default: str = "") -> Any:
    variable = "DULCIMER_" + name.upper()
    flag = "--" + name.replace("_", "-")
    if default:
        help = f"{help} [default: {default}]"
    return typer.Option(
        flag, help=help, metavar=metavar, envvar=variable, show_default=False, show_envvar=False
    )


def _switch(name: str, help: str) -> Any:
    flag = name.replace("_", "-")
    return typer.Option(
        f"--{flag}/--no-{flag}",
        help=help,
        envvar="DULCIMER_" + name.upper(),
        show_default=False,
        show_envvar=False,
    )


def serve(
    aet: Annotated[str | None, _option("aet", "AE title.", "AET", default="DULCIMER")] = None,
    host: Annotated[
        str | None,
        _option("host", "Address to listen on; 0.0.0.0 or :: for all.", "HOST", default="127.0.0.1"),
    ] = None,
    port: Annotated[
        int | None, _option("port", "Port to listen on; 0 picks a free one.", "PORT", default="11112")
    ] = None,
    data: Annotated[
        Path | None, _option("data", "Folder for objects and index.", "DIR", default="./dulcimer-data")
    ] = None,
    config: Annotated[
        Path | None, _option("config", "TOML file with these options in a table [serve].", "FILE")
    ] = None,
    durability: Annotated[
        str | None,
        _option(
            "durability",
            "What Success promises: full survives a loss of power, file the same once the node has started "
            "again on a sound file system, off survives a crash of the node.",
            "full|file|off",
            default="full",
        ),
    ] = None,
    mpps_level: Annotated[
        str | None,
        _option("mpps_level", "How strict MPPS is checked.", "strict|standard|lenient", default="standard"),
    ] = None,
    max_pdu: Annotated[
        int | None,
        _option("max_pdu", "Longest PDU to receive; 0: any.", "BYTES", default="131072"),
    ] = None,
    max_associations: Annotated[
        int | None, _option("max_associations", "Associations at a time.", "N", default="1000")
    ] = None,
    require_called_aet: Annotated[
        bool | None, _switch("require_called_aet", "Reject peers that call us by another AE title.")
    ] = None,
    allow: Annotated[
        str | None, _option("allow", "Accept only these AE titles, separated by commas.", "AET,AET…")
    ] = None,
    acse_timeout: Annotated[
        float | None,
        _option("acse_timeout", "Wait for association requests and releases.", "SECONDS", default="30"),
    ] = None,
    dimse_timeout: Annotated[
        float | None, _option("dimse_timeout", "Wait for the rest of an object.", "SECONDS", default="60")
    ] = None,
    idle_timeout: Annotated[
        float | None,
        _option("idle_timeout", "Abort an association on which nothing happens.", "SECONDS", default="600"),
    ] = None,
    drain_timeout: Annotated[
        float | None,
        _option("drain_timeout", "When stopping, wait for associations to end.", "SECONDS", default="30"),
    ] = None,
    log_json: Annotated[bool | None, _switch("log_json", "Log JSON lines.")] = None,
    log_level: Annotated[
        str | None, _option("log_level", "What to log.", "debug|info|warning|error", default="info")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the first line as JSON.")] = False,
) -> None:
    """Run a node: Verification, Storage of everything, Modality Performed Procedure Step.

    Prints one line when it listens. SIGTERM and Ctrl-C finish what is running and refuse what is new.

    Every option is also an environment variable, DULCIMER_PORT for --port. A flag wins over a variable,
    that over the file of --config.
    """
    given = {name: value for name, value in locals().items() if name not in {"config", "json"}}

    import os

    try:
        from dulcimer.node import app
        from dulcimer.node.adapters import log
        from dulcimer.node.config import ConfigError, load
    except ModuleNotFoundError as error:
        raise needs_extra(error) from None

    try:
        chosen = load(given, os.environ, config)
    except ConfigError as error:
        raise Stop(Exit.USAGE, str(error)) from None
    handler = log.set_up(chosen.log_level, as_json=chosen.log_json)

    def announce(text: str, host: str, port: int) -> None:
        if json:
            output.as_json_line(
                {
                    "event": "listening",
                    "host": host,
                    "port": port,
                    "aet": chosen.aet,
                    "data": str(chosen.data),
                }
            )
        else:
            output.line(text)

    try:
        app.run(chosen, announce)
    except app.StartError as error:
        raise Stop(Exit.NOT_STARTED, str(error)) from None
    finally:
        log.tear_down(handler)


def needs_extra(error: ModuleNotFoundError) -> Stop:
    """Say how to install what is missing; a missing module of our own is a fault and raised as it is."""
    package = (error.name or "").partition(".")[0]
    if package == "dulcimer":
        raise error
    return Stop(Exit.USAGE, f"{package} is missing; install it with: pip install 'dulcimer[node]'")
