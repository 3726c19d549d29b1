"""``dulcimer web-password``."""

from __future__ import annotations

import sys

from dulcimer.cli import output
from dulcimer.cli.exits import Exit, Stop
from dulcimer.web.credentials import hash_password

_SHORTEST = 8


def web_password() -> None:
    """Print what the configuration of a node's page holds of a password.

    Asks for the password, or reads it from standard input if that is no terminal. What is printed goes into
    the configuration file as password of the table [web], or into DULCIMER_WEB_PASSWORD.
    """
    if sys.stdin.isatty():
        from getpass import getpass

        password = getpass("Password: ")
        if getpass("Once more: ") != password:
            raise Stop(Exit.USAGE, "the two are not the same")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < _SHORTEST:
        raise Stop(Exit.USAGE, f"a password needs {_SHORTEST} characters at least")
    output.line(hash_password(password))
