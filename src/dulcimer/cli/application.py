"""The verbs put together."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from dulcimer.cli import (
    commit,
    echo,
    listing,
    mpps,
    normalized,
    print_,
    rt,
    serve,
    store,
    ups,
    web_password,
    worklist,
)
from dulcimer.cli.exits import EXIT_CODES
from dulcimer.cli.tools import names
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


_AS_IT_IS: Final = {"help_option_names": [], "ignore_unknown_options": True, "allow_extra_args": True}


def _tool(context: typer.Context) -> None:
    """Run a tool, which reads its options itself."""
    raise typer.Exit(names.run(str(context.info_name), context.args))


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
    app.add_typer(ups.application(), name="ups")
    app.add_typer(worklist.application(), name="worklist")
    app.command("commit", epilog=EXIT_CODES)(commit.commit)
    app.add_typer(rt.application(), name="rt")
    normalized.add_to(app)
    app.command("print", epilog=EXIT_CODES)(print_.print_)
    app.add_typer(listing.application(), name="list")
    app.command("web-password", epilog=EXIT_CODES)(web_password.web_password)
    for name, help in names.TOOLS.items():
        app.command(name, help=help, context_settings=_AS_IT_IS)(_tool)
    return app
