"""Presentation contexts after negotiation (PS3.8 7.1.1.13), with the roles of the local side."""

from __future__ import annotations

from typing import NamedTuple


class Context(NamedTuple):
    """An accepted presentation context.

    ``as_scu`` and ``as_scp`` are the roles that *this* side may take in it (PS3.7 D.3.3.4).
    """

    id: int
    abstract_syntax: str
    transfer_syntax: str
    as_scu: bool
    as_scp: bool
