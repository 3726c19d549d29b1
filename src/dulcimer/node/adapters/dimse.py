"""The DIMSE services of the node: what its domain says, as event handlers."""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from dulcimer import evt
from dulcimer.errors import Refused
from dulcimer.node.adapters.log import size
from dulcimer.node.adapters.tallies import OUT_OF_RESOURCES, Tallies, cut, words
from dulcimer.node.domain.model import Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dulcimer.events import Event
    from dulcimer.node.adapters.files import IncomingObject, ObjectStore
    from dulcimer.node.adapters.queries import QueryRetrieve
    from dulcimer.node.adapters.services import ServiceHandlers
    from dulcimer.node.domain.archive import Archive
    from dulcimer.scp.reports import Reporter

_log: Final = logging.getLogger("dulcimer.node")

SUCCESS: Final = 0x0000
INVALID_SOP_INSTANCE: Final = 0x0117
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122

_LONGEST_UID: Final = 64


class Handlers:
    """Binds the domain to the events of a server."""

    def __init__(
        self,
        store: ObjectStore,
        archive: Archive,
        services: ServiceHandlers,
        *,
        queries: QueryRetrieve | None = None,
        reporter: Reporter | None = None,
        tallies: Tallies | None = None,
        object_timeout: float | None = None,
        idle_timeout: float | None = None,
    ) -> None:
        self._store = store
        self._object_timeout = object_timeout
        self._idle_timeout = idle_timeout
        self._archive = archive
        self._services = services
        self._reporter = reporter
        self._queries = queries
        self._tallies = tallies or Tallies()

    def bindings(self) -> list[tuple[Any, Callable[..., Any]]]:
        """Return what ``AE.start_server`` takes as ``evt_handlers``."""
        return [
            (evt.EVT_CONN_CLOSE, self.on_close),
            (evt.EVT_ESTABLISHED, self.on_established),
            (evt.EVT_C_ECHO, self.on_echo),
            (evt.EVT_C_STORE_OPEN, self.on_store_open),
            (evt.EVT_C_STORE, self.on_store),
            *self._services.bindings(),
            *(self._queries.bindings() if self._queries is not None else ()),
            (evt.EVT_C_FIND, self.on_find),
        ]

    # -- Storage (PS3.4 Annex B)

    def on_store_open(self, event: Event) -> IncomingObject:
        """Open the file before the data set arrives."""
        request, peer = event.request, event.assoc.requestor.ae_title
        class_uid = str(request.AffectedSOPClassUID or "")
        instance_uid = str(request.AffectedSOPInstanceUID or "")
        if not _is_uid(class_uid) or not _is_uid(instance_uid):
            failure = Refused(INVALID_SOP_INSTANCE, "The command names no valid SOP class and instance")
            self._tallies.failed(event, "C-STORE", instance_uid, failure)
            raise failure
        self._tallies.of(event.assoc).receiving = True
        # A peer may rest between two objects for longer than in the middle of one.
        event.assoc.network_timeout = self._object_timeout
        return self._store.receive(class_uid, instance_uid, str(event.context.transfer_syntax), peer)

    def on_store(self, event: Event) -> int:
        """Put what was received in its place and into the index; only then is Success answered."""
        sink: IncomingObject = event.sink
        tally = self._tallies.of(event.assoc)
        tally.receiving = False
        event.assoc.network_timeout = self._idle_timeout
        try:
            if sink.error is not None:
                raise sink.error
            outcome = self._archive.store(sink)
        except Refused as refusal:
            self._tallies.failed(event, "C-STORE", sink.sop_instance_uid, refusal)
            raise
        except Exception as error:  # whatever it is, the sender keeps the object and the operator gets a line
            if not isinstance(error, OSError):
                _log.debug("C-STORE failed", exc_info=error)
            self._tallies.failed(event, "C-STORE", sink.sop_instance_uid, error)
            raise Refused(OUT_OF_RESOURCES, cut(f"Cannot be stored: {words(error)}")) from error
        event.assoc.expect_file(self._store.new_files)
        tally.count("stored", sink.size)
        if outcome is not Stored.NEW:
            tally.count("of them known")
        return SUCCESS

    # -- Verification (PS3.4 Annex A)

    def on_echo(self, event: Event) -> int:
        """Answer C-ECHO."""
        self._tallies.of(event.assoc).count("echoed")
        return SUCCESS

    # -- C-FIND of whichever service

    def on_find(self, event: Event) -> Iterator[Any]:
        """Answer a C-FIND: of the service whose class it is, else from the index."""
        if self._services.finds(event):
            return self._services.find(event)
        if self._queries is None:
            raise Refused(SOP_CLASS_NOT_SUPPORTED, "Queries are not supported")
        return self._queries.on_find(event)

    # -- Associations

    def on_established(self, event: Event) -> None:
        """Remember who is there."""
        self._tallies.of(event.assoc)
        if self._reporter is not None:
            self._reporter.established(event)

    def on_close(self, event: Event) -> None:
        """Write the line of an association."""
        association = event.assoc
        tally = self._tallies.pop(association)
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
        text = str(tally) + (f" ({size(tally.bytes)})" if tally.bytes else "")
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


def _is_uid(text: str) -> bool:
    """Liberal: what peers send as UIDs need not obey PS3.5 9.1, but it has to be a name."""
    return 0 < len(text) <= _LONGEST_UID and text.isascii() and text.isprintable()


def _address(event: Event) -> str:
    address = event.address
    return f"{address[0]}:{address[1]}"


def _peer(association: Any, address: str) -> str:
    title = association.requestor.ae_title
    return f"{title}@{address}" if title else address
