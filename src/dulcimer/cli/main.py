"""``dulcimer``: a DICOM node and its clients."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    import typer

EXIT_CODES = (
    "Exit codes: 0 done, 1 the peer answered and something failed, 2 the command line or a file cannot be "
    "used, 3 no association (unreachable, rejected, lost), 4 the node could not start, 130 interrupted."
)


def _application() -> typer.Typer:
    import typer

    from dulcimer.cli import echo, listing, mpps, serve, store
    from dulcimer.identity import __version__

    app = typer.Typer(
        help="A DICOM node and its clients.",
        epilog=EXIT_CODES,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    def show_version(value: bool) -> None:
        if value:
            typer.echo(f"dulcimer {__version__}")
            raise typer.Exit

    @app.callback()
    def options(
        version: Annotated[
            bool, typer.Option("--version", help="Print the version.", callback=show_version, is_eager=True)
        ] = False,
    ) -> None:
        """Serve, verify, send, and report performed procedure steps."""

    app.command("serve", epilog=EXIT_CODES)(serve.serve)
    app.command("echo", epilog=EXIT_CODES)(echo.echo)
    app.command("store", epilog=EXIT_CODES)(store.store)
    app.add_typer(mpps.application(), name="mpps")
    app.add_typer(listing.application(), name="list")
    return app


def main() -> None:
    """Run the command line."""
    try:
        app = _application()
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich", "click", "shellingham"}:
            raise
        sys.stderr.write(
            f"dulcimer: {error.name} is missing; install it with: pip install 'dulcimer[node]'\n"
        )
        sys.exit(2)

    from dulcimer.cli.exits import Exit, Stop

    try:
        app()
    except Stop as stop:
        sys.stderr.write(f"dulcimer: {stop.message}\n")
        sys.exit(stop.code)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has enough; say nothing while Python flushes what is left.
        sys.stderr.close()
        sys.exit(Exit.OK)


if __name__ == "__main__":
    main()
