"""Makes the reference from the library as programs see it.

Methods that are made from conversations are shown as the functions that they are:
``Association.send_n_set = _returning_pair(requests.n_set)`` is a method for a program: with the parameters
and the description of the conversation, and what the wrapper returns.
"""

from __future__ import annotations

import re
from typing import Any, Final

import griffe

_ROLE: Final = re.compile(r":[a-z:]+:`(?:(?P<shown>[^`<]+)<[^`>]+>|(?P<target>[^`<]+))`")
_LITERAL: Final = re.compile(r"::\n\n(?=    )")
_TERM: Final = re.compile(r"^(``.+``)\n    (?=\S)", re.MULTILINE)
_RETURNS = {
    "_returning_status": "Dataset",
    "_returning_pair": "tuple[Dataset, Dataset | None]",
    "_returning_responses": "Iterator[tuple[Dataset, Dataset | None]]",
}


class ConversationMethods(griffe.Extension):
    """Puts functions in the place of attributes."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        association = pkg["association.Association"]
        for name, member in list(association.members.items()):
            value = getattr(member, "value", None)
            maker = str(getattr(value, "function", ""))
            if member.is_alias or not isinstance(value, griffe.ExprCall) or maker not in _RETURNS:
                continue
            conversation = pkg[f"ops.{value.arguments[0]}"]
            parameters = [
                griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword),
                *list(conversation.parameters)[1:],
            ]
            method = griffe.Function(
                name,
                lineno=member.lineno,
                endlineno=member.endlineno,
                parameters=griffe.Parameters(*parameters),
                returns=_RETURNS[maker],
                parent=association,
                docstring=conversation.docstring,
            )
            association.set_member(name, method)


class PlainText(griffe.Extension):
    """Turns the cross-references of docstrings, which are reStructuredText, into names."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            text = _ROLE.sub(_name, obj.docstring.value)
            text = _TERM.sub(r"\n- \1: ", text)
            obj.docstring.value = _LITERAL.sub(":\n\n", text)


def _name(found: re.Match[str]) -> str:
    shown, target = found["shown"], found["target"]
    if shown:
        return f"`{shown.strip()}`"
    return f"`{target[1:].rpartition('.')[2] if target.startswith('~') else target}`"
