"""Arguments and options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PeerArgument = Annotated[
    str,
    typer.Argument(
        metavar="PEER", help="host:port or AET@host:port of the node to talk to.", show_default=False
    ),
]
CallingOption = Annotated[
    str, typer.Option("--aet", metavar="AET", help="Our AE title.", envvar="DULCIMER_CALLING_AET")
]
TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=0,
        help="How long to wait for connection and answers (0: for ever).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DataOption = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="The node's data folder.", envvar="DULCIMER_DATA")
]
