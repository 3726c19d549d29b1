"""The DIMSE services of the node: what its domain says, as event handlers."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from pydicom.dataset import Dataset

from dulcimer import evt
from dulcimer.errors import Refused
from dulcimer.node.adapters.log import size
from dulcimer.node.domain.model import Stored
from dulcimer.services import mpps

if TYPE_CHECKING:
    from collections.abc import Callable

    from dulcimer.events import Event
    from dulcimer.node.adapters.files import IncomingObject, ObjectStore
    from dulcimer.node.domain.archive import Archive
    from dulcimer.node.domain.steps import StepManager

_log: Final = logging.getLogger("dulcimer.node")

SUCCESS: Final = 0x0000
REQUESTED_OPTIONAL_ATTRIBUTES_NOT_SUPPORTED: Final = 0x0001
PROCESSING_FAILURE: Final = 0x0110
INVALID_SOP_INSTANCE: Final = 0x0117
NO_SUCH_SOP_CLASS: Final = 0x0118
CLASS_INSTANCE_CONFLICT: Final = 0x0119
OUT_OF_RESOURCES: Final = 0xA700

_LONGEST_UID: Final = 64
_PLURALS: Final = {f"step {done}": f"steps {done}" for done in ("created", "set", "given")}


@dataclass(slots=True)
class Tally:
    """What one association did."""

    peer: str
    began: float = field(default_factory=monotonic)
    receiving: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    bytes: int = 0

    def count(self, what: str, length: int = 0) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1
        self.bytes += length


class Handlers:
    """Binds the domain to the events of a server."""

    def __init__(
        self,
        store: ObjectStore,
        archive: Archive,
        steps: StepManager,
        *,
        object_timeout: float | None = None,
        idle_timeout: float | None = None,
    ) -> None:
        self._store = store
        self._object_timeout = object_timeout
        self._idle_timeout = idle_timeout
        self._archive = archive
        self._steps = steps
        self._tallies: dict[Any, Tally] = {}

    def bindings(self) -> list[tuple[Any, Callable[..., Any]]]:
        """Return what ``AE.start_server`` takes as ``evt_handlers``."""
        return [
            (evt.EVT_CONN_CLOSE, self.on_close),
            (evt.EVT_ESTABLISHED, self.on_established),
            (evt.EVT_C_ECHO, self.on_echo),
            (evt.EVT_C_STORE_OPEN, self.on_store_open),
            (evt.EVT_C_STORE, self.on_store),
            (evt.EVT_N_CREATE, self.on_create),
            (evt.EVT_N_SET, self.on_set),
            (evt.EVT_N_GET, self.on_get),
        ]

    # -- Storage (PS3.4 Annex B)

    def on_store_open(self, event: Event) -> IncomingObject:
        """Open the file before the data set arrives."""
        request, peer = event.request, event.assoc.requestor.ae_title
        class_uid = str(request.AffectedSOPClassUID or "")
        instance_uid = str(request.AffectedSOPInstanceUID or "")
        if not _is_uid(class_uid) or not _is_uid(instance_uid):
            failure = Refused(INVALID_SOP_INSTANCE, "The command names no valid SOP class and instance")
            self._failed(event, "C-STORE", instance_uid, failure)
            raise failure
        self._tally(event.assoc).receiving = True
        # A peer may rest between two objects for longer than in the middle of one.
        event.assoc.network_timeout = self._object_timeout
        return self._store.receive(class_uid, instance_uid, str(event.context.transfer_syntax), peer)

    def on_store(self, event: Event) -> int:
        """Put what was received in its place and into the index; only then is Success answered."""
        sink: IncomingObject = event.sink
        tally = self._tally(event.assoc)
        tally.receiving = False
        event.assoc.network_timeout = self._idle_timeout
        try:
            if sink.error is not None:
                raise sink.error
            outcome = self._archive.store(sink)
        except Refused as refusal:
            self._failed(event, "C-STORE", sink.sop_instance_uid, refusal)
            raise
        except Exception as error:  # whatever it is, the sender keeps the object and the operator gets a line
            if not isinstance(error, OSError):
                _log.debug("C-STORE failed", exc_info=error)
            self._failed(event, "C-STORE", sink.sop_instance_uid, error)
            raise Refused(OUT_OF_RESOURCES, _cut(f"Cannot be stored: {_words(error)}")) from error
        tally.count("stored", sink.size)
        if outcome is not Stored.NEW:
            tally.count("of them known")
        return SUCCESS

    # -- Verification (PS3.4 Annex A)

    def on_echo(self, event: Event) -> int:
        """Answer C-ECHO."""
        self._tally(event.assoc).count("echoed")
        return SUCCESS

    # -- Modality Performed Procedure Step (PS3.4 Annex F)

    def on_create(self, event: Event) -> tuple[int | Dataset, Dataset | None]:
        """N-CREATE of a step."""
        request = event.request
        uid = str(request.AffectedSOPInstanceUID or "")
        try:
            if str(request.AffectedSOPClassUID) != mpps.MODALITY_PERFORMED_PROCEDURE_STEP:
                raise Refused(NO_SUCH_SOP_CLASS, "Only performed procedure steps are created here")
            self._steps.create(event.attribute_list, uid)
        except Exception as error:  # whatever it is, the peer gets an answer and the operator a line
            return self._refuse(event, "N-CREATE", uid, error)
        self._tally(event.assoc).count("step created")
        _log.info("step %s: IN PROGRESS, created by %s", uid, event.assoc.requestor.ae_title)
        return SUCCESS, None

    def on_set(self, event: Event) -> tuple[int | Dataset, Dataset | None]:
        """N-SET of a step."""
        request = event.request
        uid = str(request.RequestedSOPInstanceUID)
        try:
            if str(request.RequestedSOPClassUID) != mpps.MODALITY_PERFORMED_PROCEDURE_STEP:
                raise Refused(CLASS_INSTANCE_CONFLICT, "Only performed procedure steps are set here")
            state = self._steps.modify(event.modification_list, uid)
        except Exception as error:  # as above
            return self._refuse(event, "N-SET", uid, error)
        self._tally(event.assoc).count("step set")
        _log.info("step %s: %s, set by %s", uid, state, event.assoc.requestor.ae_title)
        return SUCCESS, None

    def on_get(self, event: Event) -> tuple[int | Dataset, Dataset | None]:
        """N-GET of a step."""
        request = event.request
        uid = str(request.RequestedSOPInstanceUID)
        try:
            # The class is that of the context; commands that name the MPPS class itself mean the same
            # (F.8.2).
            if str(request.RequestedSOPClassUID) not in {
                mpps.MODALITY_PERFORMED_PROCEDURE_STEP,
                mpps.MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE,
            }:
                raise Refused(CLASS_INSTANCE_CONFLICT, "Only performed procedure steps are given here")
            answer, unsupported = self._steps.retrieve(event.attribute_identifiers or [], uid)
        except Exception as error:  # as above
            return self._refuse(event, "N-GET", uid, error)
        self._tally(event.assoc).count("step given")
        return (REQUESTED_OPTIONAL_ATTRIBUTES_NOT_SUPPORTED if unsupported else SUCCESS), answer

    # -- Associations

    def on_established(self, event: Event) -> None:
        """Remember who is there."""
        self._tally(event.assoc)

    def on_close(self, event: Event) -> None:
        """Write the line of an association."""
        association = event.assoc
        tally = self._tallies.pop(association, None)
        failure = association.failure
        if tally is None:
            peer = _address(event)
            if failure is None:
                # What looks every few seconds whether the port is open is no news.
                _log.debug("%s connected and left without a word", peer)
            else:
                _log.warning("%s: no association: %s", _peer(association, peer), failure)
            return
        released = association.is_released
        how = "released" if released else str(failure or "aborted")
        seconds = monotonic() - tally.began
        if tally.receiving:
            tally.count("half received and dropped")
        parts = [
            f"{count} {what if count == 1 else _PLURALS.get(what, what)}"
            for what, count in tally.counts.items()
        ] or ["nothing asked"]
        text = ", ".join(parts) + (f" ({size(tally.bytes)})" if tally.bytes else "")
        fields = {
            "peer": tally.peer,
            **tally.counts,
            "bytes": tally.bytes,
            "seconds": round(seconds, 3),
            "end": how,
        }
        _log.log(
            logging.INFO if released else logging.WARNING,
            "%s: %s in %.2f s%s",
            tally.peer,
            text,
            seconds,
            ", released" if released else f"; ended: {how}",
            extra={"fields": fields},
        )

    def _tally(self, association: Any) -> Tally:
        tally = self._tallies.get(association)
        if tally is None:
            requestor = association.requestor
            peer = f"{requestor.ae_title}@{requestor.address}:{requestor.port}"
            tally = self._tallies[association] = Tally(peer)
        return tally

    def _failed(self, event: Event, operation: str, uid: str, error: Exception) -> None:
        tally = self._tally(event.assoc)
        tally.count("failed")
        status = error.status if isinstance(error, Refused) else OUT_OF_RESOURCES
        reason = error.comment or str(error) if isinstance(error, Refused) else _words(error)
        fields = {"peer": tally.peer, "operation": operation, "instance": uid, "status": f"{status:04X}"}
        _log.warning(
            "%s: %s of %s failed with %04X: %s",
            tally.peer,
            operation,
            uid or "(no UID)",
            status,
            reason,
            extra={"fields": fields},
        )

    def _refuse(
        self, event: Event, operation: str, uid: str, error: Exception
    ) -> tuple[int | Dataset, Dataset | None]:
        """Turn an exception into the answer: a refusal as it is, anything else 0110H."""
        if not isinstance(error, Refused):
            _log.debug("%s failed", operation, exc_info=error)
            error = Refused(PROCESSING_FAILURE, _cut(_words(error)))
        self._failed(event, operation, uid, error)
        raise error


def _is_uid(text: str) -> bool:
    """Liberal: what peers send as UIDs need not obey PS3.5 9.1, but it has to be a name."""
    return 0 < len(text) <= _LONGEST_UID and text.isascii() and text.isprintable()


def _words(error: BaseException) -> str:
    """Say what happened without paths or statements."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(getattr(error, "orig", None) or error) or type(error).__name__


def _cut(text: str) -> str:
    """Error Comment (0000,0902) is an LO."""
    return text.replace("\\", "/")[:64]


def _address(event: Event) -> str:
    address = event.address
    return f"{address[0]}:{address[1]}"


def _peer(association: Any, address: str) -> str:
    title = association.requestor.ae_title
    return f"{title}@{address}" if title else address
