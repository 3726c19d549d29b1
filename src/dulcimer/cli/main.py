"""``dulcimer``: a DICOM node and its clients."""

from __future__ import annotations

import logging
import sys
import warnings

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

    from dulcimer.cli import output
    from dulcimer.cli.exits import Exit, Stop

    # What the library warns of is said by the verbs themselves. What pydicom warns of may quote values, and
    # those are patients'.
    logging.getLogger("dulcimer").addHandler(logging.NullHandler())
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=r"pydicom\.")
    try:
        application.build()(prog_name="dulcimer")
    except Stop as stop:
        if "--json" in sys.argv and not stop.reported:
            output.as_json_line({"error": stop.message, "exit_code": int(stop.code)})
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
