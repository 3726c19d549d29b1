"""Validation and formatting helpers."""

from __future__ import annotations

import contextvars
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from pydicom.uid import UID

from dulcimer import _config

if TYPE_CHECKING:
    from dulcimer._config import Validator

_LOGGER = logging.getLogger("dulcimer.utils")

_P = ParamSpec("_P")
_R = TypeVar("_R")


def decode_bytes(encoded_value: bytes) -> str:
    """Decode text of a PDU: ASCII, or what the codecs of ``_config.CODECS`` make of it, as ASCII.

    Characters that are no ASCII are left out.

    Raises
    ------
    ValueError
        If none of them can decode it.
    """
    for codec in ("ascii", *_config.CODECS):
        try:
            return encoded_value.decode(codec).encode("ascii", "ignore").decode("ascii")
        except UnicodeDecodeError:
            continue
    shown = encoded_value.hex(" ").upper()
    raise ValueError(f"Unable to decode '{shown}' using the {', '.join(_config.CODECS)} codec(s)")


def text_of(value: Any, name: str) -> Any:
    """Return text that is given as bytes, which is deprecated, as text, and anything else as it is."""
    if not isinstance(value, bytes):
        return value
    warnings.warn(f"'{name}' as bytes is deprecated: use an ASCII str", DeprecationWarning, stacklevel=3)
    return decode_bytes(value)


def make_target(target_fn: Callable[_P, _R]) -> Callable[_P, _R]:
    """Wrap a thread's target so that it runs in a copy of the caller's context variables.

    Without ``_config.PASS_CONTEXTVARS`` the target is returned as it is.
    """
    if not _config.PASS_CONTEXTVARS:
        return target_fn
    context = contextvars.copy_context()

    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        return context.run(target_fn, *args, **kwargs)

    return run


def pretty_bytes(
    bytestream: bytes | BytesIO,
    prefix: str = "  ",
    delimiter: str = "  ",
    items_per_line: int = 16,
    max_size: int | None = 512,
    suffix: str = "",
) -> list[str]:
    """Return lines of hexadecimal values.

    Parameters
    ----------
    bytestream
        What to show.
    prefix, suffix
        Put around each line.
    delimiter
        Put between values.
    items_per_line
        How many values a line has.
    max_size
        How many bytes are shown at most, None for all.
    """
    data = bytestream.getvalue() if isinstance(bytestream, BytesIO) else bytes(bytestream)
    lines: list[str] = []
    if max_size is not None and len(data) > max_size:
        lines.append(f"{prefix}Only dumping {max_size} bytes.{suffix}")
        data = data[:max_size]
    for start in range(0, len(data), items_per_line):
        values = delimiter.join(f"{value:02x}" for value in data[start : start + items_per_line])
        lines.append(f"{prefix}{values}{suffix}")
    return lines


def set_ae(value: str | None, name: str, allow_empty: bool = True, allow_none: bool = True) -> str | None:
    """Validate an AE title and return it.

    Parameters
    ----------
    value
        The AE title.
    name
        What it is, for the message of the exception.
    allow_empty
        Whether it may be empty or only spaces.
    allow_none
        Whether it may be None.
    """
    return check_ae(value, name, _config.VALIDATORS["AE"], allow_empty, allow_none)


def check_ae(
    value: str | None, name: str, validator: Validator, allow_empty: bool = True, allow_none: bool = True
) -> str | None:
    """Validate an AE title as :func:`set_ae` does, with another validator."""
    if value is None and allow_none:
        return None
    if not isinstance(value, str):
        wanted = "str or None" if allow_none else "str"
        raise TypeError(f"'{name}' must be {wanted}, not '{type(value).__name__}'")
    if not allow_empty:
        if not value:
            raise ValueError(f"Invalid '{name}' value - must not be an empty str")
        if not value.strip(" "):
            raise ValueError(f"Invalid '{name}' value - must not consist entirely of spaces")
    valid, reason = validator(value)
    if not valid:
        raise ValueError(f"Invalid '{name}' value '{value}' - {reason}")
    return value


def set_uid(
    value: str | bytes | UID | None,
    name: str,
    allow_empty: bool = True,
    allow_none: bool = True,
    validate: bool = True,
) -> UID | None:
    """Validate a UID and return it as one.

    Parameters
    ----------
    value
        The UID, as text or as the bytes of a PDU or an element.
    name
        What it is, for the message of the exception.
    allow_empty
        Whether it may be empty.
    allow_none
        Whether it may be None.
    validate
        Whether its value is validated at all.
    """
    if value is None and allow_none:
        return None
    if isinstance(value, bytes):
        value = decode_bytes(value)
    if not isinstance(value, str):
        wanted = "str, bytes, UID or None" if allow_none else "str, bytes or UID"
        raise TypeError(f"'{name}' must be {wanted}, not '{type(value).__name__}'")
    uid = value if isinstance(value, UID) else UID(value)
    if not uid:
        if not allow_empty:
            raise ValueError(f"Invalid '{name}' value - must not be an empty str")
        return uid
    if validate:
        valid, reason = _config.VALIDATORS["UI"](uid)
        if not valid:
            raise ValueError(f"Invalid '{name}' value '{uid}' - {reason}")
        if not uid.is_valid:
            _LOGGER.warning("The '%s' value '%s' is not a conformant UID", name, uid)
    return uid


def validate_uid(uid: UID) -> bool:
    """Tell whether a UID may be used: see ``_config.ENFORCE_UID_CONFORMANCE``."""
    return _config.VALIDATORS["UI"](uid)[0]


@contextmanager
def set_timer_resolution(resolution: float | None) -> Iterator[None]:
    """Do nothing: kept for programs that call it.

    Nothing in this package polls, so the resolution of the system's timer does not matter.
    """
    del resolution
    yield
