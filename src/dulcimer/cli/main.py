"""``dulcimer``: a DICOM node and its clients."""

from __future__ import annotations

import logging
import sys
import warnings

_EXTRAS = frozenset({"typer", "rich", "click", "shellingham"})


def main() -> None:
    """Run the command line."""
    from dulcimer.cli import output
    from dulcimer.cli.exits import Exit, Stop

    # What the library warns of is said by the verbs themselves. What pydicom warns of may quote values, and
    # those are patients'.
    logging.getLogger("dulcimer").addHandler(logging.NullHandler())
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=r"pydicom\.")
    try:
        sys.exit(_run())
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


def _run() -> int:
    from dulcimer.cli.tools import names

    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in names.TOOLS:
        # They need nothing but the library.
        return names.run(name, sys.argv[2:])
    try:
        from dulcimer.cli import application
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        sys.stderr.write(
            f"dulcimer: {error.name} is missing; install it with: pip install 'dulcimer[node]'\n"
        )
        return 2
    application.build()(prog_name="dulcimer")
    return 0


if __name__ == "__main__":
    main()
