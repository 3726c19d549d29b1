"""Rejections and aborts in words (PS3.8 Tables 9-21 and 9-26)."""

from __future__ import annotations

from typing import Final

from dulcimer.failure import Failure, FailureKind, Party
from dulcimer.protocol.wire.pdus import Abort, AssociateRJ

REJECT_RESULTS: Final = {1: "rejected permanently", 2: "rejected for now"}

REJECT_SOURCES: Final = {
    1: "service user",
    2: "service provider (ACSE)",
    3: "service provider (presentation)",
}

REJECT_REASONS: Final = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognised",
    (1, 7): "called AE title not recognised",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}

ABORT_SOURCES: Final = {0: "service user", 2: "service provider"}

ABORT_REASONS: Final = {
    0: "reason not specified",
    1: "unrecognised PDU",
    2: "unexpected PDU",
    4: "unrecognised PDU parameter",
    5: "unexpected PDU parameter",
    6: "invalid PDU parameter value",
}


def rejected(pdu: AssociateRJ, by: Party) -> Failure:
    """Describe a rejection."""
    result = REJECT_RESULTS.get(pdu.result, f"result {pdu.result}")
    source = REJECT_SOURCES.get(pdu.source, f"source {pdu.source}")
    reason = REJECT_REASONS.get((pdu.source, pdu.reason), f"reason {pdu.reason}")
    return Failure(
        FailureKind.REJECTED,
        by,
        f"the association was {result} by {by.value}: {reason} ({source})",
        pdu.result,
        pdu.source,
        pdu.reason,
        result,
        source,
        reason,
    )


def aborted(pdu: Abort, by: Party) -> Failure:
    """Describe an abort. The reason is significant only from the service provider (PS3.8 9.3.8)."""
    source = ABORT_SOURCES.get(pdu.source, f"source {pdu.source}")
    reason = ABORT_REASONS.get(pdu.reason, f"reason {pdu.reason}") if pdu.source == 2 else ""
    why = f": {reason}" if reason else ""
    return Failure(
        FailureKind.ABORTED,
        by,
        f"the association was aborted by {by.value} ({source}{why})",
        None,
        pdu.source,
        pdu.reason,
        "",
        source,
        reason,
    )
