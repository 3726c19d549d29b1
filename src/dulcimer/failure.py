"""What went wrong with an association, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class FailureKind(Enum):
    """What happened."""

    CONNECT = "connect"
    TLS = "tls"
    REJECTED = "rejected"
    ABORTED = "aborted"
    LOST = "connection lost"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol error"


class Party(Enum):
    """Who did it."""

    LOCAL = "this side"
    PEER = "the peer"
    NETWORK = "the network"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an association failed or ended: ``str(failure)`` is a sentence for people.

    Attributes
    ----------
    kind
        What happened.
    by
        Who did it.
    message
        The sentence.
    result, source, reason
        The codes of an A-ASSOCIATE-RJ (PS3.8 Table 9-21) or, without ``result``, of an A-ABORT
        (PS3.8 Table 9-26).
    result_text, source_text, reason_text
        The same in words.
    timeout
        Which timeout expired: ``"connection"``, ``"acse"``, ``"dimse"`` or ``"network"``.
    """

    kind: FailureKind
    by: Party
    message: str
    result: int | None = None
    source: int | None = None
    reason: int | None = None
    result_text: str = ""
    source_text: str = ""
    reason_text: str = ""
    timeout: str | None = None

    def __str__(self) -> str:
        return self.message
