"""Which tools there are, and how one is run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from dulcimer.cli import output
from dulcimer.cli.exits import Exit, Stop
from dulcimer.cli.tools import talk

if TYPE_CHECKING:
    from collections.abc import Sequence

TOOLS: Final = {
    "echoscu": "Verify that a peer answers (C-ECHO).",
    "echoscp": "Answer C-ECHO.",
    "storescu": "Send files (C-STORE).",
    "storescp": "Receive objects into files (C-STORE).",
    "findscu": "Query a peer (C-FIND).",
    "getscu": "Retrieve over the same association (C-GET).",
    "movescu": "Have a peer send objects somewhere, also here (C-MOVE).",
    "qrscp": "Run a node that is queried and retrieved from.",
}
"""What each of them does, by name; its module has the same name."""


def run(name: str, arguments: Sequence[str]) -> Exit:
    """Run a tool and return its exit code.

    Raises
    ------
    Stop
        With what cannot be done, and the exit code.
    """
    tool = import_module(f"dulcimer.cli.tools.{name}")
    args = tool.options().read(arguments)
    try:
        with talk.shown(args):
            code: Exit = tool.run(args)
    except Stop as stop:
        # Those who know these tools test for this code.
        code = Exit.FAILED if stop.code in {Exit.NO_ASSOCIATION, Exit.NOT_STARTED} else stop.code
        if args.verbosity != "quiet":
            raise Stop(code, stop.message, reported=stop.reported) from None
        if args.json and not stop.reported:
            output.as_json_line({"error": stop.message, "exit_code": int(code)})
    return code
