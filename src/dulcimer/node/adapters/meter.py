"""What the node's handlers do, counted and timed: a wrapper around each of them."""

from __future__ import annotations

from bisect import bisect_left
from threading import Lock
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, Final

from pydicom.dataset import Dataset

from dulcimer import evt
from dulcimer.errors import Refused
from dulcimer.services.registry import service_for
from dulcimer.services.statuses import CANCEL, PENDING, SUCCESS, WARNING
from dulcimer.status import code_to_category
from dulcimer.web.view import Counters, Durations, Operations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from dulcimer.events import Event
    from dulcimer.node.adapters.changes import Changes
    from dulcimer.web.view import Topic

    Handler = Callable[..., Any]

_OPERATIONS: Final = {
    evt.EVT_C_ECHO: "C-ECHO",
    evt.EVT_C_STORE: "C-STORE",
    evt.EVT_C_FIND: "C-FIND",
    evt.EVT_C_GET: "C-GET",
    evt.EVT_C_MOVE: "C-MOVE",
    evt.EVT_N_CREATE: "N-CREATE",
    evt.EVT_N_SET: "N-SET",
    evt.EVT_N_GET: "N-GET",
    evt.EVT_N_ACTION: "N-ACTION",
    evt.EVT_N_DELETE: "N-DELETE",
}
_ASSOCIATIONS: Final = frozenset({evt.EVT_ESTABLISHED, evt.EVT_CONN_CLOSE})
_ONLY_READ: Final = frozenset({"C-ECHO", "C-FIND", "C-GET", "C-MOVE", "N-GET"})

_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""The upper bounds that durations are counted by, in seconds."""

_SUCCESS: Final = 0x0000
_CANCELLED: Final = 0xFE00
_NO_STATUS: Final = 0xC001
_PROCESSING_FAILURE: Final = 0x0110


class Meter:
    """Counts operations by service and status, and times them by operation.

    What is timed is the handler: of a C-STORE not how long the object took to arrive.

    Parameters
    ----------
    changes
        Is told what operations have changed.
    topics
        What the operations of a SOP class change, if it is not the studies.
    """

    def __init__(self, changes: Changes, topics: Mapping[str, Topic]) -> None:
        self._changes = changes
        self._topics = topics
        self._lock = Lock()
        self._names: dict[str, str] = {}
        self._operations: dict[tuple[str, str, int], int] = {}
        self._durations: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self._accepted = 0
        self._bytes = 0
        self.total = 0
        """Operations so far."""
        self.failures = 0
        """Those of them that failed."""
        self.started = time()
        """Since when is counted, in seconds since the epoch."""

    def around(self, bindings: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return bindings for a server that do the same as those given, and are counted."""
        return [(event, self._wrapped(event, handler), *more) for event, handler, *more in bindings]

    def counters(self, associations: int, lines: Mapping[str, int]) -> Counters:
        """Give what was counted, beside the associations that are there and the lines of the log."""
        with self._lock:
            operations = [
                Operations(service, operation, f"{status:04X}", count)
                for (service, operation, status), count in sorted(self._operations.items())
            ]
            durations = [
                Durations(operation, _cumulative(counts), sum(counts), self._seconds[operation])
                for operation, counts in sorted(self._durations.items())
            ]
            return Counters(
                self.started,
                associations,
                self._accepted,
                operations,
                durations,
                self._bytes,
                dict(lines),
            )

    def _wrapped(self, kind: Any, handler: Handler) -> Handler:
        if kind in _ASSOCIATIONS:
            return self._telling(kind, handler)
        operation = _OPERATIONS.get(kind)
        if operation is None:
            return handler

        def answer(event: Event, *arguments: Any) -> Any:
            began = perf_counter()
            try:
                result = handler(event, *arguments)
            except BaseException as error:
                self._count(operation, event, _raised(error), began)
                raise
            if hasattr(result, "__next__"):
                return self._streamed(operation, event, result, began)
            self._count(operation, event, _given(result, _NO_STATUS), began)
            return result

        return answer

    def _telling(self, kind: Any, handler: Handler) -> Handler:
        def note(event: Event, *arguments: Any) -> Any:
            if kind is evt.EVT_ESTABLISHED:
                with self._lock:
                    self._accepted += 1
            try:
                return handler(event, *arguments)
            finally:
                self._changes.tell("associations")

        return note

    def _streamed(self, operation: str, event: Event, results: Iterator[Any], began: float) -> Iterator[Any]:
        """Pass on what a handler gives piece by piece; its last status counts unless that is pending."""
        status = _SUCCESS
        try:
            for result in results:
                if isinstance(result, tuple):
                    status = _given(result, status)
                yield result
        except GeneratorExit:
            status = _CANCELLED
            raise
        except BaseException as error:
            status = _raised(error)
            raise
        finally:
            close = getattr(results, "close", None)
            if close is not None:
                close()
            over = code_to_category(status) != PENDING
            self._count(operation, event, status if over else _SUCCESS, began)

    def _count(self, operation: str, event: Event, status: int, began: float) -> None:
        seconds = perf_counter() - began
        uid = str(event.context.abstract_syntax)
        failed = code_to_category(status) not in _FINE
        size = 0 if failed or operation != "C-STORE" else getattr(getattr(event, "sink", None), "size", 0)
        with self._lock:
            key = self._service(uid), operation, status
            self._operations[key] = self._operations.get(key, 0) + 1
            counts = self._durations.get(operation)
            if counts is None:
                counts = self._durations[operation] = [0] * (len(_BOUNDS) + 1)
            counts[bisect_left(_BOUNDS, seconds)] += 1
            self._seconds[operation] = self._seconds.get(operation, 0.0) + seconds
            self._bytes += size
            self.total += 1
            self.failures += failed
        if not failed and operation not in _ONLY_READ:
            self._changes.tell(self._topics.get(uid, "studies"))

    def _service(self, uid: str) -> str:
        name = self._names.get(uid)
        if name is None:
            service = service_for(uid)
            # Private SOP classes are as many as peers like, but they are all storage.
            name = "Storage" if service is None else service.name
            if len(self._names) < 1000:
                self._names[uid] = name
        return name


_FINE: Final = frozenset({SUCCESS, WARNING, PENDING, CANCEL})


def _given(result: Any, otherwise: int) -> int:
    first = result[0] if isinstance(result, tuple) and result else result
    if isinstance(first, Dataset):
        first = first.get("Status", otherwise)
    return first if isinstance(first, int) and 0 <= first <= 0xFFFF else otherwise


def _raised(error: BaseException) -> int:
    return error.status if isinstance(error, Refused) else _PROCESSING_FAILURE


def _cumulative(counts: list[int]) -> list[tuple[float, int]]:
    found, total = [], 0
    for bound, count in zip(_BOUNDS, counts, strict=False):
        total += count
        found.append((bound, total))
    return found
