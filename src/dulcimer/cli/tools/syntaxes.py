"""Transfer syntaxes as the options name them."""

from __future__ import annotations

from typing import Final

IMPLICIT: Final = "1.2.840.10008.1.2"
LITTLE: Final = "1.2.840.10008.1.2.1"
BIG: Final = "1.2.840.10008.1.2.2"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"

UNCOMPRESSED: Final = (LITTLE, IMPLICIT, DEFLATED, BIG)

_ONE: Final = {"little": LITTLE, "big": BIG, "implicit": IMPLICIT}


def proposed(option: str | None) -> list[str]:
    """Return what is proposed where nothing else decides it."""
    return list(UNCOMPRESSED) if option is None else [_ONE[option]]


def only(option: str | None) -> str | None:
    """Return the one transfer syntax that the option allows, None if it allows several."""
    return None if option is None else _ONE[option]


def accepted(option: str | None) -> list[str]:
    """Return what is accepted, the preferred ones first."""
    from dulcimer import ALL_TRANSFER_SYNTAXES

    known = [str(uid) for uid in ALL_TRANSFER_SYNTAXES]
    match option:
        case "implicit":
            return [IMPLICIT]
        case "uncompressed":
            return [uid for uid in known if uid != IMPLICIT] + [IMPLICIT]
        case "little" | "big":
            first = _ONE[option]
            return [first, *(uid for uid in known if uid != first)]
    return known
