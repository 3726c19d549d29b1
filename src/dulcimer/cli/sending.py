"""Sending files over one association after another, and the account of it."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from dulcimer.cli.exits import Exit, Stop
from dulcimer.cli.peer import NothingAccepted
from dulcimer.cli.plan import FALLBACK, UNCOMPRESSED, Batch, plan
from dulcimer.cli.scan import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, Sendable
from dulcimer.data.codec import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
from dulcimer.data.convert import reencode
from dulcimer.data.sources import file_source
from dulcimer.ops.requests import request
from dulcimer.ops.selection import context_for
from dulcimer.protocol.dimse.elements import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    COMMAND_FIELD,
    ERROR_COMMENT,
    MESSAGE_ID,
    PRIORITY,
)
from dulcimer.protocol.dimse.messages import C_STORE_RQ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from pydicom.dataset import Dataset

    from dulcimer.cli.peer import Caller, Peer
    from dulcimer.ops.effects import Operation
    from dulcimer.ops.requests import Response
    from dulcimer.protocol.association.engine import Engine
    from dulcimer.protocol.dimse.commands import Value

WARNINGS: Final = {
    0xB000: "coercion of data elements",
    0xB006: "elements discarded",
    0xB007: "data set does not match SOP class",
}
FAILURES: Final = {
    0x0117: "invalid SOP instance",
    0x0122: "SOP class not supported",
    0x0124: "not authorized",
    0x0210: "duplicate invocation",
    0x0211: "unrecognized operation",
    0x0212: "mistyped argument",
}


@dataclass(slots=True)
class Report:
    """What became of the files."""

    sent: int = 0
    bytes: int = 0
    warnings: list[tuple[Sendable, str]] = field(default_factory=list)
    failed: list[tuple[Sendable, str]] = field(default_factory=list)
    unsent: int = 0
    interrupted: bool = False
    associations: int = 0
    no_association: str = ""
    seconds: float = 0.0


class Interrupt:
    """Ctrl-C ends the sending after the file under way; a second one ends it at once."""

    def __init__(self) -> None:
        self.asked = False
        self._former: Any = None

    def __enter__(self) -> Interrupt:
        self._former = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_exception: object) -> None:
        signal.signal(signal.SIGINT, self._former)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


class Sender:
    """Sends files to a peer; with ``only``, uncompressed ones in that transfer syntax and no other."""

    def __init__(
        self,
        peer: Peer,
        caller: Caller,
        progress: Callable[[int], object] = lambda _bytes: None,
        only: str | None = None,
    ) -> None:
        self._peer = peer
        self._caller = caller
        self._progress = progress
        self._only = only
        self._message_id = 0

    def send(self, files: Iterable[Sendable]) -> Report:
        """Send all files and report; what goes wrong with one does not keep the others from being sent."""
        report = Report()
        began = monotonic()
        with Interrupt() as interrupt:
            batches = plan(files, self._only)
            while batches and not interrupt.asked:
                batch = batches.pop(0)
                left = self._send_batch(batch, report, interrupt)
                if report.no_association or interrupt.asked:
                    report.unsent = len(left) + sum(len(other.files) for other in batches)
                    break
                if left:
                    # The association was lost on a file; the ones behind it get another one.
                    batches.insert(0, Batch(left, batch.contexts))
            report.interrupted = interrupt.asked
        report.seconds = monotonic() - began
        return report

    def _send_batch(self, batch: Batch, report: Report, interrupt: Interrupt) -> list[Sendable]:
        """Send on one association; returns what is left if it ended early."""
        from dulcimer import build_context

        contexts = [build_context(abstract, list(syntaxes)) for abstract, syntaxes in batch.contexts]
        try:
            association = self._caller.associate(self._peer, contexts)
        except NothingAccepted:
            # What the next batch proposes is something else.
            report.failed.extend((file, _not_accepted(file)) for file in batch.files)
            self._progress(sum(file.size for file in batch.files))
            return []
        except Stop as stop:
            report.no_association = stop.message
            return batch.files
        report.associations += 1
        accepted = {
            (str(context.abstract_syntax), str(context.transfer_syntax[0]))
            for context in association.accepted_contexts
        }
        try:
            for position, file in enumerate(batch.files):
                if interrupt.asked:
                    return batch.files[position:]
                self._send_file(association, accepted, file, report)
                self._progress(file.size)
                if not association.is_established:
                    return batch.files[position + 1 :]
        except BaseException:
            association.abort()
            raise
        finally:
            if association.is_established:
                association.release()
        return []

    def _send_file(
        self, association: Any, accepted: set[tuple[str, str]], file: Sendable, report: Report
    ) -> None:
        own = (file.sop_class_uid, file.transfer_syntax_uid)
        self._message_id = self._message_id % 65535 + 1
        try:
            if own in accepted and file.offset is not None:
                response = association.converse(_as_it_is, file, self._message_id)
                answer = None if response is None else (response.status, response.command)
            elif own in accepted or self._convertible(accepted, file):
                syntax = file.transfer_syntax_uid if own in accepted else self._only
                status = association.send_c_store(_dataset(file, syntax), self._message_id)
                answer = (status.Status, {ERROR_COMMENT: status.get("ErrorComment")}) if status else None
            else:
                report.failed.append((file, _not_accepted(file)))
                return
        except Exception as error:  # a file that cannot be read or encoded is that file's failure
            report.failed.append((file, f"cannot be sent: {error}"))
            return
        if answer is None:
            report.failed.append((file, f"no answer: {association.failure or 'the association ended'}"))
            return
        code, command = answer
        if code == 0 or code in WARNINGS or code & 0xF000 == 0xB000:
            report.sent += 1
            report.bytes += file.size
            if code:
                report.warnings.append((file, f"{code:04X} {WARNINGS.get(code, 'warning')}"))
        else:
            comment = command.get(ERROR_COMMENT)
            report.failed.append((file, f"{code:04X} {failure(code)}" + (f": {comment}" if comment else "")))

    def _convertible(self, accepted: set[tuple[str, str]], file: Sendable) -> bool:
        targets = FALLBACK if self._only is None else (self._only,)
        return file.transfer_syntax_uid in UNCOMPRESSED and any(
            (file.sop_class_uid, syntax) in accepted for syntax in targets
        )


def failure(code: int) -> str:
    """Name a failure status of C-STORE (PS3.4 B.2.3)."""
    if code & 0xFF00 == 0xA700:
        return "out of resources"
    if code & 0xFF00 == 0xA900:
        return "data set does not match SOP class"
    if code & 0xF000 == 0xC000:
        return "cannot understand"
    return FAILURES.get(code, "failure")


def exit_code(report: Report) -> Exit:
    """Return what a script is told."""
    if report.interrupted:
        return Exit.INTERRUPTED
    if report.no_association:
        return Exit.NO_ASSOCIATION
    return Exit.FAILED if report.failed else Exit.OK


def _as_it_is(engine: Engine, file: Sendable, message_id: int) -> Operation[Response]:
    """Send the bytes of a file under the UIDs that its data set has (PS3.7 9.1.1)."""
    assert file.offset is not None
    context = context_for(
        engine, file.sop_class_uid, transfer_syntax=file.transfer_syntax_uid, convertible=False
    )
    command: dict[int, Value] = {
        AFFECTED_SOP_CLASS_UID: file.sop_class_uid,
        COMMAND_FIELD: C_STORE_RQ,
        MESSAGE_ID: message_id,
        PRIORITY: 0,
        AFFECTED_SOP_INSTANCE_UID: file.sop_instance_uid,
    }
    # Many deflated data sets lack the byte that makes their length even (PS3.5 A.5), and DCMTK aborts an
    # association on which a fragment is odd.
    pad = bool(file.size % 2) and file.transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    source = file_source(file.path, file.offset, file.offset + file.size, pad=pad)
    return (yield from request(engine, context, command, source))


def _not_accepted(file: Sendable) -> str:
    return f"not accepted: SOP class {file.sop_class_uid} in transfer syntax {file.transfer_syntax_uid}"


def _dataset(file: Sendable, syntax: str | None) -> Dataset:
    """Decode a file to be sent in a transfer syntax; None stands for whichever was accepted as a fallback."""
    from pydicom import dcmread
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    dataset = dcmread(file.path, force=True)
    if not getattr(dataset, "file_meta", None):
        dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(file.transfer_syntax_uid)
    big = file.transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN
    if big != (syntax == EXPLICIT_VR_BIG_ENDIAN):
        reencode(dataset, EXPLICIT_VR_LITTLE_ENDIAN if big else EXPLICIT_VR_BIG_ENDIAN)
        # No value is left as it was read.
        dataset.set_original_encoding(False, big)
    return dataset
