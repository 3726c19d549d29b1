"""Settings of the pynetdicom compatible API, for the whole process.

They are read when an association or a server starts and when a value is validated. Programs that want
different settings for different servers use the parameters of :class:`~dulcimer.AE` instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

LOG_HANDLER_LEVEL: str = "standard"
"""``"standard"`` binds the handlers that log what goes on, ``"none"`` does not."""

ENFORCE_UID_CONFORMANCE: bool = False
"""Whether UIDs must conform to PS3.5 9.1; otherwise only their length is checked."""

USE_SHORT_DIMSE_AET: bool = True
"""Whether AE titles in commands are sent without padding to 16 characters."""

LOG_RESPONSE_IDENTIFIERS: bool = True
"""Whether the identifiers of C-FIND, C-GET and C-MOVE responses are logged."""

LOG_REQUEST_IDENTIFIERS: bool = True
"""Whether the identifiers of C-FIND, C-GET and C-MOVE requests are logged."""

STORE_SEND_CHUNKED_DATASET: bool = False
"""Whether C-STORE requests from a path need an exact presentation context (they are always streamed)."""

STORE_RECV_CHUNKED_DATASET: bool = False
"""Whether received data sets go to a temporary file, ``event.dataset_path``, instead of memory."""

PASS_CONTEXTVARS: bool = False
"""Whether threads run in a copy of the context variables of the thread that started them."""

WINDOWS_TIMER_RESOLUTION: float | None = 1
"""Accepted for compatibility: nothing here polls, so the timer resolution does not matter."""

CODECS: tuple[str, ...] = ("ascii",)
"""Codecs that are tried in turn for text in PDUs."""

UNRESTRICTED_STORAGE_SERVICE: bool = False
"""Whether private and unknown abstract syntaxes are accepted as storage SOP classes."""


def validate_ae(value: Any) -> tuple[bool, str]:
    """Tell whether ``value`` can be an AE title (PS3.5 6.2), and why not."""
    if not isinstance(value, str):
        return False, "must be str"
    if len(value) > 16:
        return False, "must not exceed 16 characters"
    if not value.isascii():
        return False, "must only contain ASCII characters"
    if "\\" in value or any(ord(character) < 32 or ord(character) == 127 for character in value):
        return False, "must not contain control characters or backslashes"
    return True, ""


def validate_ui(value: Any) -> tuple[bool, str]:
    """Tell whether ``value`` can be a UID (PS3.5 9.1), and why not."""
    from pydicom.uid import UID

    if not isinstance(value, str):
        return False, "must be pydicom.uid.UID"
    if not value:
        return False, "must not be an empty str"
    if len(value) > 64:
        return False, "must not exceed 64 characters"
    if ENFORCE_UID_CONFORMANCE and not UID(value).is_valid:
        return False, "UID is non-conformant"
    return True, ""


VALIDATORS: dict[str, Callable[[Any], tuple[bool, str]]] = {"AE": validate_ae, "UI": validate_ui}
"""The functions that validate values, by VR; a program may put its own here."""
