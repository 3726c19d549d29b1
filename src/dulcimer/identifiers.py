"""Showing the identifiers of queries and retrievals in the log (PS3.4 C.4).

Identifiers may name patients. They are logged at level DEBUG by a logger of their own, and not at all where
``_config.LOG_REQUEST_IDENTIFIERS`` and ``_config.LOG_RESPONSE_IDENTIFIERS`` say so.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from dulcimer import dsutils
from dulcimer.protocol.dimse.messages import C_FIND_RQ, C_GET_RQ, C_MOVE_RQ

if TYPE_CHECKING:
    from io import BytesIO

    from pydicom.uid import UID

    from dulcimer._config import Settings

LOGGER: Final = logging.getLogger("dulcimer.identifiers")

_RESPONSE: Final = 0x8000
_INQUIRIES: Final = frozenset({C_FIND_RQ, C_GET_RQ, C_MOVE_RQ})


def log(settings: Settings, field: int, data: BytesIO, syntax: UID | None) -> None:
    """Log the identifier of a message, if it has one and the settings allow it.

    Parameters
    ----------
    settings
        Those of the association.
    field
        The Command Field of the message.
    data
        Its encoded data set.
    syntax
        The transfer syntax of its presentation context.
    """
    if field & ~_RESPONSE not in _INQUIRIES or syntax is None or not LOGGER.isEnabledFor(logging.DEBUG):
        return
    is_response = bool(field & _RESPONSE)
    wanted = settings.LOG_RESPONSE_IDENTIFIERS if is_response else settings.LOG_REQUEST_IDENTIFIERS
    if not wanted or not data.getbuffer().nbytes:
        return
    try:
        decoded = dsutils.decode(data, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
        lines = dsutils.pretty_dataset(decoded, 1)
    except Exception as error:
        LOGGER.debug("an identifier that cannot be decoded: %s", error)
        return
    LOGGER.debug("%s identifier:", "response" if is_response else "request")
    for line in lines:
        LOGGER.debug("%s", line)
