"""The text of values: as it is compared, decoded from a character set and encoded in one (PS3.5 6.1, 6.2)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pydicom.charset import convert_encodings, decode_bytes, encode_string, python_encoding
from pydicom.dataelem import RawDataElement

from dulcimer.errors import Refused

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SPECIFIC_CHARACTER_SET: Final = 0x00080005
UNABLE_TO_PROCESS: Final = 0xC000

ENCODED: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""The value representations whose characters depend on Specific Character Set (0008,0005)."""

ONE_VALUE: Final = frozenset({"LT", "ST", "UR", "UT"})
"""The value representations whose values may contain backslashes."""

_OLD_DATE: Final = re.compile(r"(\d{4})\.(\d{2})\.(\d{2})")
_OLD_TIME: Final = re.compile(r"\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?")
_GB2312: Final = "iso_ir_58"
_TO_GB2312: Final = b"\x1b$)A"
_BINARY: Final = frozenset({"AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"})
_DELIMITERS: Final = re.compile(r"([\\^=])")


class Unencodable(ValueError):
    """A character set does not have all characters of a text."""


def normal(vr: str, text: str) -> str:
    """Return a value as it is kept and compared.

    Without padding, dates and times without the delimiters of ACR-NEMA (PS3.5 6.2), person names without
    empty component groups at the end (PS3.5 6.2.1.1).
    """
    text = text.replace("\0", "").strip()
    if vr == "DA":
        return _OLD_DATE.sub(r"\1\2\3", text)
    if vr == "TM":
        return text.replace(":", "") if _OLD_TIME.fullmatch(text) else text
    if vr == "PN":
        return text.rstrip("=")
    return text


def encodings_of(raw: bytes) -> list[str]:
    """Return Python's names for the encodings that Specific Character Set (0008,0005) declares.

    An empty list means that nothing is declared.
    """
    return list(_encodings_of(raw))


@lru_cache(maxsize=64)
def _encodings_of(raw: bytes) -> tuple[str, ...]:
    names = [name.strip() for name in raw.decode("ascii", "replace").strip(" \0").split("\\")]
    if names == [""]:
        return ()
    try:
        return tuple(convert_encodings(names))
    except (LookupError, ValueError):
        return ("utf8",)


def decoded(raw: bytes, encodings: list[str]) -> str:
    """Decode text. Where no character set is declared it is UTF-8 if it can be that, otherwise Latin-1."""
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii")
    try:
        text = decode_bytes(raw, encodings, {ord("\\"), ord("^"), ord("=")}) if encodings else raw.decode()
        # pydicom leaves the escape sequence to GB 2312 where it was.
        return text.replace("\x1b$)A", "")
    except (LookupError, ValueError):
        return raw.decode("latin-1")


@lru_cache(maxsize=64)
def _encodings(terms: tuple[str, ...]) -> list[str]:
    return list(convert_encodings(list(terms)))


def encode(text: str, terms: tuple[str, ...]) -> bytes:
    """Encode a text in a character set; code extensions end before every delimiter (PS3.5 6.1.2.5.3).

    Raises
    ------
    Unencodable
        If a character is not in it.
    """
    encodings = _encodings(terms)
    parts: list[bytes] = []
    for part in _DELIMITERS.split(text):
        if part.isascii():
            parts.append(part.encode("ascii"))
            continue
        if not all(any(_has(encoding, character) for encoding in encodings) for character in set(part)):
            raise Unencodable
        content = encode_string(part, encodings)
        if _GB2312 in encodings[1:] and b"\x1b" not in content and not _has_all(encodings[0], part):
            # pydicom leaves this one out.
            content = _TO_GB2312 + content
        parts.append(content)
    encoded = b"".join(parts)
    if decoded(encoded, encodings) != text:
        raise Unencodable
    return encoded


def _has_all(encoding: str, text: str) -> bool:
    return all(_has(encoding, character) for character in text)


@lru_cache(maxsize=16384)
def _has(encoding: str, character: str) -> bool:
    try:
        character.encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


class Texts:
    """Reads the values of a data set as text, decoded with the character set that it declares.

    Parameters
    ----------
    dataset
        The data set; its elements are not changed by being read.
    character_set
        The terms of the data set that it is an item of; used if it declares none itself.
    """

    def __init__(self, dataset: Dataset, character_set: tuple[str, ...] = ()) -> None:
        self._dataset = dataset
        raw = plain_text(dataset, SPECIFIC_CHARACTER_SET)
        self.character_set = (
            tuple(term.strip() for term in raw.split("\\")) if raw.strip("\\ ") else character_set
        )
        self._encodings: list[str] | None = None

    def values(self, tag: int, vr: str) -> list[str]:
        """Return the values of an attribute without padding; none if it is missing or empty.

        Raises
        ------
        Refused
            C000H: the character set is not known.
        """
        element: Any = self._dataset.get_item(tag)
        if element is None or element.value is None or element.value == b"":
            return []
        if isinstance(element, RawDataElement) and vr not in _BINARY:
            raw: bytes = element.value
            text = self._decoded(raw) if vr in ENCODED else raw.decode("latin-1")
        else:
            value = self._dataset[tag].value
            if value is None:
                return []
            several = not isinstance(value, (str, bytes)) and hasattr(value, "__iter__")
            if several and not hasattr(value, "components"):
                text = "\\".join(map(str, value))
            else:
                text = str(value)
        parts = [text] if vr in ONE_VALUE else text.split("\\")
        return [normal(vr if vr == "PN" else "", part) for part in parts]

    def _decoded(self, raw: bytes) -> str:
        if raw.isascii() and b"\x1b" not in raw:
            return raw.decode("ascii")
        if self._encodings is None:
            for term in self.character_set:
                if term not in python_encoding:
                    raise Refused(
                        UNABLE_TO_PROCESS,
                        f"Specific Character Set {term[:16]} is not known",
                        offending=(SPECIFIC_CHARACTER_SET,),
                    )
            self._encodings = encodings_of("\\".join(self.character_set).encode("latin-1"))
        return decoded(raw, self._encodings)


def plain_text(dataset: Dataset, tag: int) -> str:
    """Return the value of an attribute that has only ASCII characters, empty if it is missing."""
    element = dataset.get_item(tag)
    value: Any = None if element is None else element.value
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    elif not isinstance(value, str):
        value = "\\".join(map(str, value))
    return str(value).replace("\0", "").strip()
