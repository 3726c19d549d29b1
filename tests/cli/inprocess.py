"""The command line within this process: quick, and errors are shown with their place."""

from __future__ import annotations

import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from unittest.mock import patch

from dulcimer.cli.main import main
from node.served import Finished


def dulcimer(*arguments: str) -> Finished:
    """Run ``dulcimer`` with arguments."""
    out, err = StringIO(), StringIO()
    code = 0
    with (
        patch.object(sys, "argv", ["dulcimer", *arguments]),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return Finished(int(code), out.getvalue(), err.getvalue())
