"""Settings of the pynetdicom compatible API.

A setting has its value from the innermost level at which it is set:

1. the server, ``ae.start_server(..., config={"STORE_RECV_CHUNKED_DATASET": True})``, or the call of
   ``ae.associate(..., config=...)``;
2. the application entity, ``ae.config.STORE_RECV_CHUNKED_DATASET = True``;
3. this module, ``_config.STORE_RECV_CHUNKED_DATASET = True``: for the whole process.

They are put together once, when an association or a server starts, and are the same until its end:
:attr:`Association.settings <dulcimer.association.Association.settings>` has them. What validates a value
outside of an association, such as :func:`~dulcimer.utils.set_ae` or a presentation context, asks this module;
what an application entity validates asks that entity's settings.

``ENFORCE_UID_CONFORMANCE``
    UIDs must be valid as PS3.5 9.1 says, not merely short enough. A requestor raises :class:`ValueError`
    instead of sending a request with another one; an acceptor rejects presentation contexts whose abstract
    syntax is none, and answers requests for a SOP instance with another UID with 0117H (PS3.7 C.5.7).
``VALIDATORS``
    A program's own functions are asked instead of the ones below. An override for an entity or a server
    need not have both.
``CODECS``
    Text in A-ASSOCIATE PDUs that is no ASCII is decoded with the first of the other codecs that can, and its
    characters that are no ASCII are left out. Text that none of them decodes is taken as Latin-1.
``LOG_REQUEST_IDENTIFIERS``, ``LOG_RESPONSE_IDENTIFIERS``
    Identifiers are logged at level DEBUG by ``dulcimer.identifiers``. They may name patients.
``PASS_CONTEXTVARS``
    Handlers that run in a thread of the library's see the context variables of the thread that started the
    server, or requested the association.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final

Validator = Callable[[Any], tuple[bool, str]]

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
    return _validate_ui(value, ENFORCE_UID_CONFORMANCE)


def _validate_ui(value: Any, conformant: bool) -> tuple[bool, str]:
    from pydicom.uid import UID

    if not isinstance(value, str):
        return False, "must be pydicom.uid.UID"
    if not value:
        return False, "must not be an empty str"
    if len(value) > 64:
        return False, "must not exceed 64 characters"
    if conformant and not UID(value).is_valid:
        return False, "UID is non-conformant"
    return True, ""


VALIDATORS: dict[str, Validator] = {"AE": validate_ae, "UI": validate_ui}
"""The functions that validate values, by VR; a program may put its own here."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one association or server.

    ``screens_uids`` is no setting: it tells whether more is asked of a UID than to be short enough.
    """

    LOG_HANDLER_LEVEL: str
    ENFORCE_UID_CONFORMANCE: bool
    USE_SHORT_DIMSE_AET: bool
    LOG_RESPONSE_IDENTIFIERS: bool
    LOG_REQUEST_IDENTIFIERS: bool
    STORE_SEND_CHUNKED_DATASET: bool
    STORE_RECV_CHUNKED_DATASET: bool
    PASS_CONTEXTVARS: bool
    WINDOWS_TIMER_RESOLUTION: float | None
    CODECS: tuple[str, ...]
    UNRESTRICTED_STORAGE_SERVICE: bool
    VALIDATORS: Mapping[str, Validator]
    screens_uids: bool = False

    def text(self, value: str) -> str:
        """Return text of an A-ASSOCIATE PDU, given as Latin-1, as the codecs have it."""
        if value.isascii():
            return value
        encoded = value.encode("latin-1")
        for codec in self.CODECS:
            try:
                return encoded.decode(codec).encode("ascii", "ignore").decode("ascii")
            except UnicodeError:
                continue
        return value


NAMES: Final = tuple(field.name for field in fields(Settings) if field.name.isupper())
"""The names of the settings."""
_OF_THE_MODULE: Final = itemgetter(*NAMES)


class Config:
    """Settings that an application entity or a server has for itself.

    Those that are not set here are read from the module; ``del config.NAME`` takes one back.

    Raises
    ------
    AttributeError
        If there is no setting of that name.
    """

    def __init__(self, values: Mapping[str, Any] | Config | None = None) -> None:
        for name, value in overrides(values).items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in NAMES:
            raise AttributeError(f"there is no setting {name!r}: the settings are {', '.join(NAMES)}")
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in NAMES:
            raise AttributeError(f"there is no setting {name!r}")
        return globals()[name]

    def __repr__(self) -> str:
        return f"Config({vars(self)!r})"


def overrides(level: Mapping[str, Any] | Config | None) -> Mapping[str, Any]:
    """Return what is set at one level, by name."""
    if level is None:
        return {}
    return vars(level) if isinstance(level, Config) else level


def settings(*levels: Mapping[str, Any] | Config | None) -> Settings:
    """Put the settings together; a level that comes later wins."""
    values = dict(zip(NAMES, _OF_THE_MODULE(globals()), strict=True))
    validators = VALIDATORS
    for level in levels:
        for name, value in overrides(level).items():
            if name not in values:
                raise AttributeError(f"there is no setting {name!r}: the settings are {', '.join(NAMES)}")
            values[name] = value
            if name == "VALIDATORS":
                validators = {**validators, **value}
    values["CODECS"] = tuple(values["CODECS"])
    values["VALIDATORS"] = tuple(validators.items())
    return _settings(ENFORCE_UID_CONFORMANCE, *values.values())


@lru_cache(maxsize=64, typed=True)
def _settings(conformant_by_default: bool, *values: Any) -> Settings:
    # Associations mostly have the settings of the one before.
    named = dict(zip(NAMES, values, strict=True))
    validators = dict(named["VALIDATORS"])
    conformant = bool(named["ENFORCE_UID_CONFORMANCE"])
    screens = conformant or validators["UI"] is not validate_ui
    if validators["UI"] is validate_ui and conformant is not conformant_by_default:
        validators["UI"] = partial(_validate_ui, conformant=conformant)
    named["VALIDATORS"] = MappingProxyType(validators)
    return Settings(**named, screens_uids=screens)
