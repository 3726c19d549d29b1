"""``dulcimer``: a DICOM node and its clients."""

from __future__ import annotations

import sys

_EXTRAS = frozenset({"typer", "rich", "click", "shellingham"})


def main() -> None:
    """Run the command line."""
    try:
        from dulcimer.cli import application
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        sys.stderr.write(
            f"dulcimer: {error.name} is missing; install it with: pip install 'dulcimer[node]'\n"
        )
        sys.exit(2)

    from dulcimer.cli.exits import Exit, Stop

    try:
        application.build()(prog_name="dulcimer")
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
