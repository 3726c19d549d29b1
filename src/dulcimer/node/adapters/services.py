"""The services that keep SOP instances, as handlers of the node's server, counted and logged."""

from __future__ import annotations

import logging
from threading import local
from typing import TYPE_CHECKING, Any, Final

from dulcimer import evt
from dulcimer.errors import Refused
from dulcimer.node.adapters.tallies import Tallies, cut, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dulcimer.events import Event, EventType
    from dulcimer.scp.service import Service, Services

_log: Final = logging.getLogger("dulcimer.node")

PROCESSING_FAILURE: Final = 0x0110

_DONE: Final[dict[EventType, tuple[str, str]]] = {
    evt.EVT_N_CREATE: ("N-CREATE", "created"),
    evt.EVT_N_SET: ("N-SET", "set"),
    evt.EVT_N_GET: ("N-GET", "given"),
    evt.EVT_N_ACTION: ("N-ACTION", "acted on"),
    evt.EVT_N_DELETE: ("N-DELETE", "deleted"),
}
_QUIET: Final = frozenset({evt.EVT_N_GET})


class ServiceHandlers:
    """Has requests answered by the services, and tells the operator.

    Parameters
    ----------
    services
        The services.
    tallies
        What the associations did.
    """

    def __init__(self, services: Services, tallies: Tallies) -> None:
        self._services = services
        self._tallies = tallies
        self._told = _Told()
        for service in services.services:
            for happening in ("created", "modified", "state"):
                service.on(happening, lambda uid, before, after, *_, by=service: self._note(by, after))

    def bindings(self) -> list[tuple[Any, Callable[..., Any]]]:
        """Return what ``AE.start_server`` takes as ``evt_handlers``, without C-FIND."""
        return [
            *((event, self.answer) for event in _DONE),
            (evt.EVT_RELEASED, self._services.ended),
            (evt.EVT_ABORTED, self._services.ended),
        ]

    def answer(self, event: Event) -> Any:
        """Answer a DIMSE-N request."""
        operation, done = _DONE[event.event]
        request = event.request
        uid = str(
            getattr(request, "RequestedSOPInstanceUID", None)
            or getattr(request, "AffectedSOPInstanceUID", None)
            or ""
        )
        self._told.state = ""
        try:
            result = self._services.answer(event)
        except Exception as error:  # whatever it is, the peer gets an answer and the operator a line
            self._refuse(event, operation, uid, error)
        service = self._services.service_of(event)
        noun = "instance" if service is None else service.noun
        self._tallies.of(event.assoc).count(f"{noun} {done}")
        if event.event not in _QUIET:
            state = f"{self._told.state}, " if self._told.state else ""
            _log.info("%s %s: %s%s by %s", noun, uid, state, done, event.assoc.requestor.ae_title)
        return result

    def finds(self, event: Event) -> bool:
        """Tell whether a C-FIND is for one of the services."""
        return self._services.service_of(event) is not None

    def find(self, event: Event) -> Iterator[Any]:
        """Answer a C-FIND."""
        tally = self._tallies.of(event.assoc)
        tally.count("query")
        given = 0
        try:
            for result in self._services.answer(event):
                given += 1
                yield result
        except Exception as error:  # as above
            self._refuse(event, "C-FIND", "", error)
        finally:
            tally.count("match", times=given)

    def _note(self, service: Service, instance: Any) -> None:
        self._told.state = service.state_of(instance)

    def _refuse(self, event: Event, operation: str, uid: str, error: Exception) -> None:
        """Raise what is answered: a refusal as it is, anything else 0110H."""
        if not isinstance(error, Refused):
            _log.debug("%s failed", operation, exc_info=error)
            error = Refused(PROCESSING_FAILURE, cut(words(error)))
        self._tallies.failed(event, operation, uid, error)
        raise error


class _Told(local):
    """The state that the request which this thread answers has brought an instance into."""

    state = ""
