"""Query/Retrieve: what the index finds, as handlers of C-FIND, C-GET and C-MOVE (PS3.4 Annex C)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from pydicom.dataset import Dataset

from dulcimer import evt
from dulcimer.data.codec import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, UNCOMPRESSED
from dulcimer.errors import Refused
from dulcimer.node.adapters.tallies import cut, words
from dulcimer.node.domain.query import MODELS, Options, parse_find, parse_retrieve
from dulcimer.node.domain.responses import Responses
from dulcimer.presentation import build_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dulcimer.events import Event
    from dulcimer.node.adapters.tallies import Tallies
    from dulcimer.node.domain.ports import Holdings, Search
    from dulcimer.node.domain.query import Model, Query

_log: Final = logging.getLogger("dulcimer.node")

PENDING: Final = 0xFF00
PENDING_KEYS_NOT_SUPPORTED: Final = 0xFF01
LIMIT_REACHED: Final = 0xB001
NOT_AUTHORIZED: Final = 0x0124
UNKNOWN_DESTINATION: Final = 0xA801
UNABLE_TO_PROCESS: Final = 0xC000

_MOST_CONTEXTS: Final = 128
_FALLBACK: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)

Place = tuple[str, int, dict[str, Any]]
"""Host, port and further arguments of ``AE.associate``."""


class QueryRetrieve:
    """Answers queries and retrievals over what is stored.

    Parameters
    ----------
    search, objects
        Finds what is stored, and where its files are.
    tallies
        Counts what is done.
    aet
        Our AE title: what is found can be retrieved from there.
    destinations
        Where move destinations are, by AE title.
    allowed
        The AE titles that may query and retrieve; nobody else is told a thing. None means everybody.
    limit
        How many matches a query is given at most; 0 is all of them.
    insensitive_names
        Whether case and Latin accents do not count in person names.
    before
        Called before the index is searched: what was answered Success must be found.
    """

    def __init__(
        self,
        search: Search,
        objects: Path,
        tallies: Tallies,
        *,
        aet: str,
        destinations: Mapping[str, Callable[[], Place]],
        allowed: frozenset[str] | None = None,
        limit: int = 0,
        insensitive_names: bool = False,
        before: Callable[[], object] = lambda: None,
    ) -> None:
        self._search = search
        self._objects = objects
        self._tallies = tallies
        self._aet = aet
        self._destinations = destinations
        self._allowed = allowed
        self._limit = limit
        self._insensitive_names = insensitive_names
        self._before = before
        self._agreed: WeakKeyDictionary[Any, dict[str, bytes]] = WeakKeyDictionary()

    def bindings(self) -> list[tuple[Any, Callable[..., Any]]]:
        """Return what ``AE.start_server`` takes as ``evt_handlers``."""
        return [
            (evt.EVT_SOP_EXTENDED, self.on_extended),
            (evt.EVT_C_FIND, self.on_find),
            (evt.EVT_C_GET, self.on_get),
            (evt.EVT_C_MOVE, self.on_move),
        ]

    def on_extended(self, event: Event) -> dict[Any, bytes]:
        """Agree to relational queries and retrieval and to combined date-time matching (PS3.4 C.5)."""
        agreed: dict[str, bytes] = {}
        answers: dict[Any, bytes] = {}
        for uid, information in event.app_info.items():
            model = MODELS.get(str(uid))
            if model is None or not information:
                continue
            ours = b"\1\1" if model.operation == "FIND" else b"\1"
            common = bytes(a & b for a, b in zip(information, ours, strict=False))
            answers[uid] = agreed[str(uid)] = common.ljust(len(information), b"\0")
        self._agreed[event.assoc] = agreed
        return answers

    def on_find(self, event: Event) -> Iterator[tuple[int | Dataset, Dataset | None]]:
        """C-FIND."""
        identifier = event.identifier
        tally = self._tallies.of(event.assoc)
        tally.count("query")
        try:
            model, options = self._agreement(event)
            query = parse_find(identifier, model, options)
            _log.debug("%s: C-FIND at the %s level, %d keys", tally.peer, query.level, len(query.conditions))
            self._before()
            limit = self._limit
            matches = self._search.find(query, limit + 1 if limit else 0)
            responses = Responses(query, self._aet)
        except Exception as error:  # whatever it is, the peer gets an answer and the operator a line
            raise self._refusal(event, "C-FIND", error) from error
        pending = PENDING_KEYS_NOT_SUPPORTED if query.ignored else PENDING
        given = 0
        try:
            for row in matches.rows():
                if limit and given == limit:
                    yield _status(LIMIT_REACHED, f"There are more than {limit} matches"), None
                    return
                answer = responses.answer(row)
                given += 1
                yield pending, answer
        except Exception as error:  # as above
            raise self._refusal(event, "C-FIND", error) from error
        finally:
            tally.count("match", times=given)

    def on_get(self, event: Event) -> Iterator[Any]:
        """C-GET: the instances come over the same association."""
        holdings = self._holdings(event, "C-GET")
        yield len(holdings)
        yield from self._instances(event, holdings)

    def on_move(self, event: Event) -> Iterator[Any]:
        """C-MOVE: the instances go to a move destination of the configuration."""
        holdings = self._holdings(event, "C-MOVE")
        title = str(event.move_destination or "").strip()
        try:
            if title not in self._destinations:
                raise Refused(UNKNOWN_DESTINATION, f"No move destination {title} is configured")
            host, port, arguments = self._destinations[title]()
        except Exception as error:  # as above
            raise self._refusal(event, "C-MOVE", error) from error
        yield host, port, {**arguments, "contexts": contexts_for(holdings.kinds)}
        yield len(holdings)
        yield from self._instances(event, holdings)

    def _holdings(self, event: Event, operation: str) -> Holdings:
        identifier = event.identifier
        self._tallies.of(event.assoc).count("retrieval")
        try:
            model, options = self._agreement(event)
            query: Query = parse_retrieve(identifier, model, options)
            self._before()
            return self._search.instances(query)
        except Exception as error:  # as above
            raise self._refusal(event, operation, error) from error

    def _instances(self, event: Event, holdings: Holdings) -> Iterator[tuple[int, Path]]:
        tally = self._tallies.of(event.assoc)
        given = 0
        try:
            for path in holdings.paths():
                given += 1
                yield PENDING, self._objects / path
        finally:
            tally.count("given", times=given)

    def _agreement(self, event: Event) -> tuple[Model, Options]:
        """Return the information model of a request and what holds for it.

        Raises
        ------
        Refused
            0124H: the peer may not query and retrieve.
        """
        if self._allowed is not None and event.assoc.requestor.ae_title.strip() not in self._allowed:
            raise Refused(NOT_AUTHORIZED, "Not authorized to query and retrieve")
        uid = str(event.context.abstract_syntax)
        agreed = self._agreed.get(event.assoc, {}).get(uid, b"")
        options = Options(
            relational=agreed[:1] == b"\1",
            combined=agreed[1:2] == b"\1",
            insensitive_names=self._insensitive_names,
        )
        return MODELS[uid], options

    def _refusal(self, event: Event, operation: str, error: Exception) -> Refused:
        if not isinstance(error, Refused):
            _log.debug("%s failed", operation, exc_info=error)
            error = Refused(UNABLE_TO_PROCESS, cut(words(error)))
        self._tallies.failed(event, operation, "", error)
        return error


def contexts_for(kinds: Mapping[tuple[str, str], int]) -> list[Any]:
    """Return the contexts to propose for instances: for each SOP class every transfer syntax in its own.

    What is uncompressed is also offered in the uncompressed syntaxes that every node knows. An association
    has room for 128 contexts (PS3.8 9.3.2.2); what there is most of comes first.
    """
    wanted: dict[tuple[str, tuple[str, ...]], None] = {}
    ordered = sorted(kinds, key=lambda kind: -kinds[kind])
    for sop_class, syntax in ordered:
        wanted[sop_class, (syntax,)] = None
    for sop_class, syntax in ordered:
        if syntax in UNCOMPRESSED:
            wanted[sop_class, _FALLBACK] = None
    return [build_context(sop_class, list(syntaxes)) for sop_class, syntaxes in list(wanted)[:_MOST_CONTEXTS]]


def _status(code: int, comment: str) -> Dataset:
    status = Dataset()
    status.Status = code
    status.ErrorComment = cut(comment)
    return status
