"""Going through the responses to C-FIND, C-GET and C-MOVE, with an end to it when somebody wants one."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, Self

from dulcimer.cli.exits import Exit, Stop
from dulcimer.cli.peer import lost
from dulcimer.cli.tools.talk import LOGGER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

    from pydicom.dataset import Dataset

    from dulcimer import Association
    from dulcimer.cli.peer import Peer

MESSAGE_ID: Final = 1
PENDING: Final = frozenset({0xFF00, 0xFF01})
CANCELLED: Final = 0xFE00
_COUNTERS: Final = {
    "remaining": "NumberOfRemainingSuboperations",
    "completed": "NumberOfCompletedSuboperations",
    "failed": "NumberOfFailedSuboperations",
    "warning": "NumberOfWarningSuboperations",
}


@dataclass(slots=True)
class Outcome:
    """How an operation ended.

    Attributes
    ----------
    code
        The final status.
    comment
        The *Error Comment* that came with it.
    counters
        The numbers of sub-operations that the final response has.
    failed_uids
        The SOP instances whose sub-operation failed, as far as the peer says.
    """

    code: int = 0
    comment: str = ""
    counters: dict[str, int] = field(default_factory=dict)
    failed_uids: list[str] = field(default_factory=list)

    def describe(self, words: Mapping[int, tuple[str, str]]) -> str:
        """Write the status with its meaning and comment."""
        text = f"{self.code:04X} {words.get(self.code, ('', ''))[1]}".strip()
        return f"{text}: {self.comment}" if self.comment else text


class Cancel:
    """Cancels an operation (C-CANCEL): on Ctrl-C, or when told to.

    A second Ctrl-C ends the program at once.
    """

    def __init__(self, association: Association, model: str) -> None:
        self._association = association
        self._model = model
        self._former: Any = None
        self.interrupted = False
        self.sent = False

    def __enter__(self) -> Self:
        self._former = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_exception: object) -> None:
        signal.signal(signal.SIGINT, self._former)

    def cancel(self) -> None:
        """Send it, once."""
        if not self.sent:
            self.sent = True
            LOGGER.info("sending C-CANCEL")
            try:
                self._association.send_c_cancel(MESSAGE_ID, query_model=self._model)
            except (RuntimeError, ValueError):
                LOGGER.info("it has ended meanwhile")

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        # This may have interrupted whoever holds the association.
        Thread(target=self.cancel, name="cancel", daemon=True).start()


def answers(
    peer: Peer,
    association: Association,
    responses: Iterator[tuple[Dataset, Dataset | None]],
    outcome: Outcome,
    pending: Callable[[dict[str, int]], object] = lambda _counters: None,
) -> Iterator[Dataset]:
    """Give the identifiers of pending responses; then ``outcome`` says how it ended.

    Raises
    ------
    Stop
        With :attr:`Exit.NO_ASSOCIATION` if the association ended before the last response.
    """
    for status, identifier in responses:
        if "Status" not in status:
            raise lost(peer, association)
        code = int(status.Status)
        counters = {
            name: int(status[keyword].value) for name, keyword in _COUNTERS.items() if keyword in status
        }
        if code in PENDING:
            pending(counters)
            if identifier is not None:
                yield identifier
            continue
        outcome.code = code
        outcome.comment = str(status.get("ErrorComment") or "")
        outcome.counters = counters
        if identifier is not None:
            failed = identifier.get("FailedSOPInstanceUIDList") or []
            outcome.failed_uids = [failed] if isinstance(failed, str) else [str(uid) for uid in failed]
        return
    raise Stop(
        Exit.NO_ASSOCIATION, f"{peer}: no final response: {association.failure or 'the association ended'}"
    )


def exit_code(outcome: Outcome, cancel: Cancel) -> Exit:
    """Return 0 if all is well: success without failures, or cancelled as was asked."""
    if cancel.interrupted:
        return Exit.INTERRUPTED
    if outcome.code == CANCELLED and cancel.sent:
        return Exit.OK
    return Exit.OK if outcome.code == 0 and not outcome.counters.get("failed") else Exit.FAILED
