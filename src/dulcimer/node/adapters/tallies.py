"""What the associations did, for the log."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from dulcimer.errors import Refused

if TYPE_CHECKING:
    from dulcimer.events import Event

_log: Final = logging.getLogger("dulcimer.node")

OUT_OF_RESOURCES: Final = 0xA700

_PLURALS: Final = {
    **{
        f"{noun} {done}": f"{noun}s {done}"
        for noun in (
            *("step", "workitem", "instance"),
            *("commitment", "verification", "notification", "event", "media request"),
        )
        for done in ("created", "set", "given", "acted on", "deleted")
    },
    "query": "queries",
    "match": "matches",
    "retrieval": "retrievals",
}


@dataclass(slots=True)
class Tally:
    """What one association did."""

    peer: str
    began: float = field(default_factory=monotonic)
    receiving: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    bytes: int = 0

    def count(self, what: str, length: int = 0, times: int = 1) -> None:
        """Count something that was done, and its bytes."""
        self.counts[what] = self.counts.get(what, 0) + times
        self.bytes += length

    def __str__(self) -> str:
        parts = [
            f"{count} {what if count == 1 else _PLURALS.get(what, what)}"
            for what, count in self.counts.items()
        ]
        return ", ".join(parts) or "nothing asked"


class Tallies:
    """The tallies of all associations that are there."""

    def __init__(self) -> None:
        self._tallies: dict[Any, Tally] = {}

    def of(self, association: Any) -> Tally:
        """Return the tally of an association, a new one if it has none."""
        tally = self._tallies.get(association)
        if tally is None:
            requestor = association.requestor
            peer = f"{requestor.ae_title}@{requestor.address}:{requestor.port}"
            tally = self._tallies[association] = Tally(peer)
        return tally

    def known(self, association: Any) -> Tally | None:
        """Return the tally of an association, None if it has none."""
        return self._tallies.get(association)

    def pop(self, association: Any) -> Tally | None:
        """Forget an association; return its tally."""
        return self._tallies.pop(association, None)

    def failed(
        self,
        event: Event,
        operation: str,
        uid: str,
        error: Exception,
        status: int = OUT_OF_RESOURCES,
    ) -> None:
        """Count and log a failed operation; ``status`` is that of an error that has none."""
        tally = self.of(event.assoc)
        tally.count("failed")
        if isinstance(error, Refused):
            status = error.status
        reason = error.comment or str(error) if isinstance(error, Refused) else words(error)
        fields = {"peer": tally.peer, "operation": operation, "instance": uid, "status": f"{status:04X}"}
        _log.warning(
            "%s: %s%s failed with %04X: %s",
            tally.peer,
            operation,
            f" of {uid}" if uid else "",
            status,
            reason,
            extra={"fields": fields},
        )


def words(error: BaseException) -> str:
    """Say what happened without paths or statements."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(getattr(error, "orig", None) or error) or type(error).__name__


def cut(text: str) -> str:
    """Error Comment (0000,0902) is an LO."""
    return text.replace("\\", "/")[:64]
