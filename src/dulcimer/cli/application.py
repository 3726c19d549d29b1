"""The verbs put together."""

from __future__ import annotations

from typing import Annotated

import typer

from dulcimer.cli import echo, listing, mpps, serve, store
from dulcimer.cli.exits import EXIT_CODES
from dulcimer.identity import __version__


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"dulcimer {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """A DICOM node and its clients: serve, verify, send, and report performed procedure steps."""


def build() -> typer.Typer:
    """Build the command line."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        # Boxes cut long names of options short, and brackets in a text are markup to Rich.
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(epilog=EXIT_CODES)(_options)
    app.command("serve", epilog=EXIT_CODES)(serve.serve)
    app.command("echo", epilog=EXIT_CODES)(echo.echo)
    app.command("store", epilog=EXIT_CODES)(store.store)
    app.add_typer(mpps.application(), name="mpps")
    app.add_typer(listing.application(), name="list")
    return app
