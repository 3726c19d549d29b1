"""``dulcimer serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dulcimer.cli import output
from dulcimer.cli.exits import Exit, Stop
from dulcimer.tls import PROFILES


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
    tls_cert: Annotated[
        Path | None, _option("tls_cert", "Speak TLS, with this certificate (PEM).", "FILE")
    ] = None,
    tls_key: Annotated[
        Path | None, _option("tls_key", "Its private key, if not in the same file.", "FILE")
    ] = None,
    tls_ca: Annotated[
        Path | None, _option("tls_ca", "Authorities that vouch for clients.", "FILE|DIR")
    ] = None,
    tls_profile: Annotated[
        str | None, _option("tls_profile", f"Of PS3.15: {', '.join(PROFILES)}.", "PROFILE", default="BCP195")
    ] = None,
    tls_client_auth: Annotated[
        str | None,
        _option(
            "tls_client_auth",
            "Whether clients need a certificate; auto: if there is --tls-ca.",
            "auto|none|optional|required",
            default="auto",
        ),
    ] = None,
    destinations: Annotated[
        list[str] | None,
        typer.Option(
            "--move",
            "--destinations",
            metavar="AET=HOST:PORT",
            help="Where objects may be moved to; AET=tls://HOST:PORT for TLS. May be repeated.",
            show_default=False,
        ),
    ] = None,
    query_allow: Annotated[
        str | None,
        _option(
            "query_allow", "Let only these AE titles query and retrieve, separated by commas.", "AET,AET…"
        ),
    ] = None,
    query_limit: Annotated[
        int | None, _option("query_limit", "Matches that a query gets at most; 0: all.", "N", default="0")
    ] = None,
    match_names: Annotated[
        str | None,
        _option(
            "match_names",
            "Whether case and accents count in person names.",
            "exact|insensitive",
            default="exact",
        ),
    ] = None,
    report_destinations: Annotated[
        list[str] | None,
        typer.Option(
            "--report",
            "--report-destinations",
            metavar="AET=HOST:PORT",
            help="Where event reports may be sent to, beside --move. May be repeated.",
            show_default=False,
        ),
    ] = None,
    mpps_notify: Annotated[
        str | None,
        _option("mpps_notify", "Notify these AE titles of MPPS, separated by commas.", "AET,AET…"),
    ] = None,
    ups_level: Annotated[
        str | None,
        _option("ups_level", "How strict UPS is checked.", "strict|standard|lenient", default="standard"),
    ] = None,
    worklist: Annotated[
        bool | None, _switch("worklist", "Answer queries for the modality worklist [default: yes].")
    ] = None,
    worklist_own_station: Annotated[
        bool | None,
        _switch("worklist_own_station", "Who asks for no station gets the steps of its own AE title only."),
    ] = None,
    worklist_hide_finished: Annotated[
        bool | None,
        _switch("worklist_hide_finished", "Give steps that have ended only to who asks for a status."),
    ] = None,
    worklist_limit: Annotated[
        int | None,
        _option("worklist_limit", "Steps that a worklist query gets at most; 0: all.", "N", default="0"),
    ] = None,
    printer: Annotated[
        bool | None,
        _switch("printer", "Be a printer, whose films are pictures in the data folder [default: yes]."),
    ] = None,
    print_level: Annotated[
        str | None,
        _option(
            "print_level", "How strict printing is checked.", "strict|standard|lenient", default="standard"
        ),
    ] = None,
    service_level: Annotated[
        str | None,
        _option(
            "service_level",
            "How strict the other services are checked: commitment, RT verification, media, events.",
            "strict|standard|lenient",
            default="standard",
        ),
    ] = None,
    display_system: Annotated[
        Path | None,
        _option("display_system", "Describe this display system to peers (DICOM JSON).", "FILE"),
    ] = None,
    media_iso: Annotated[
        bool | None, _switch("media_iso", "Write requested media as ISO images too (needs pycdlib).")
    ] = None,
    web: Annotated[bool | None, _switch("web", "Whether there is a page for people.")] = None,
    web_host: Annotated[
        str | None, _option("web_host", "Address of the page.", "HOST", default="127.0.0.1")
    ] = None,
    web_port: Annotated[
        int | None,
        _option("web_port", "Port of the page; 0 picks a free one.", "PORT", default="8042 if it is free"),
    ] = None,
    web_password: Annotated[
        str | None,
        _option("web_password", "Ask for a password: what 'dulcimer web-password' prints.", "HASH"),
    ] = None,
    web_proxy_header: Annotated[
        str | None,
        _option("web_proxy_header", "Header that proxies name them in.", "NAME", default="X-Remote-User"),
    ] = None,
    web_proxies: Annotated[
        str | None,
        _option("web_proxies", "Let in whom a proxy has; its addresses, separated by commas.", "IP,IP"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the first line as JSON.")] = False,
) -> None:
    """Run a node: Verification, Storage of everything, Query/Retrieve, Worklist, MPPS, UPS.

    Prints one line when it listens, and one with the address of its page. SIGTERM and Ctrl-C finish what is
    running and refuse what is new.

    Every option is also an environment variable, DULCIMER_PORT for --port. A flag wins over a variable,
    that over the file of --config.
    """
    given = {name: value for name, value in locals().items() if name not in {"config", "json"}}
    # Given as often as it may be, an option is never missing, only empty.
    given["destinations"] = destinations or None
    # What the printer is like stands in a table of the file.
    given["printer"] = None if printer else printer
    given["report_destinations"] = report_destinations or None

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

    def announce(text: str, host: str, port: int, page: str) -> None:
        if json:
            output.as_json_line(
                {
                    "event": "listening",
                    "host": host,
                    "port": port,
                    "aet": chosen.aet,
                    "data": str(chosen.data),
                    "page": page,
                }
            )
        else:
            # In one piece: who reads the first line may be gone by the second.
            output.line(f"{text}\npage on {page}" if page else text)

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
