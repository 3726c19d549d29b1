"""Modality Worklist as SCP (PS3.4 Annex K).

    service = WorklistService(MemoryRepository())
    service.add({"PatientName": "Doe^Jane", "PatientID": "1", "Modality": "CT", ...})
    services = Services([service])
    services.add_to(ae)
    ae.start_server(("", 11112), evt_handlers=services.handlers())

What matches and what is returned is in :mod:`dulcimer.services.worklist`. Performed procedure steps move the
status of the scheduled ones when they are told to: ``service.follow(mpps_service)``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydicom.dataset import Dataset

from dulcimer.scp.service import Service
from dulcimer.services import worklist as rules

if TYPE_CHECKING:
    from datetime import datetime

    from dulcimer.events import Event
    from dulcimer.scp.repository import Repository
    from dulcimer.services.matching import NameMatching

    Search = Callable[[rules.Narrowing], Iterable[tuple[str, Dataset]]]

_LOGGER = logging.getLogger("dulcimer.scp.worklist")

PENDING: Final = 0xFF00
PENDING_KEYS_NOT_SUPPORTED: Final = 0xFF01
OUT_OF_RESOURCES: Final = 0xA700


class WorklistService(Service):
    """The SCP of the Modality Worklist Information Model.

    Hooks (:meth:`~dulcimer.scp.service.Service.on`): ``"status"``, with the key of an item, the item before
    and the item after, when a performed procedure step has moved the status of its steps.

    Parameters
    ----------
    repository
        Keeps the items, by :func:`~dulcimer.services.worklist.key_of`.
    search
        Gives the items among which those that match are; all of the repository by default.
    only_own_station
        Whether who does not ask for a station is given the steps scheduled for its own AE title only:
        modalities often leave Scheduled Station AE Title out.
    hide_finished
        Whether steps that are COMPLETED or DISCONTINUED are given only to who asks for a status.
    limit
        How many responses a query is given at most, then A700H; 0 is all of them.
    names
        Whether case and Latin accents count in person names.
    """

    contexts: ClassVar[tuple[str, ...]] = (rules.MODALITY_WORKLIST,)
    sop_classes: ClassVar[frozenset[str]] = frozenset(contexts)
    noun: ClassVar[str] = "worklist item"

    def __init__(
        self,
        repository: Repository,
        search: Search | None = None,
        *,
        only_own_station: bool = False,
        hide_finished: bool = False,
        limit: int = 0,
        names: NameMatching = "exact",
    ) -> None:
        super().__init__()
        self._repository = repository
        self._search: Search = search if search is not None else lambda narrowing: repository.all()
        self._only_own_station = only_own_station
        self._hide_finished = hide_finished
        self._limit = limit
        self._names: NameMatching = names

    # ---- operations ----------------------------------------------------------------------------------

    def c_find(self, event: Event) -> Iterator[tuple[int | Dataset, Dataset | None]]:
        """Give the scheduled procedure steps that match (K.4.1)."""
        keys = rules.read(event.identifier, names=self._names)
        also = []
        if self._only_own_station and not rules.asks_for(keys, rules.STATION):
            also.append(rules.of_station(str(event.assoc.remote["ae_title"]).strip()))
        if self._hide_finished and not rules.asks_for(keys, rules.STATUS):
            also.append(rules.unfinished())
        pending = PENDING_KEYS_NOT_SUPPORTED if keys.unsupported else PENDING
        given = 0
        for uid, item in self._search(rules.narrowing(keys, *also)):
            try:
                for answer in rules.respond(keys, item, *also):
                    if self._limit and given == self._limit:
                        yield _status(OUT_OF_RESOURCES, f"There are more than {given} matches"), None
                        return
                    given += 1
                    yield pending, answer
            except Exception:  # whatever is wrong with one item keeps nobody from the others
                _LOGGER.warning("worklist item %s cannot be read", uid)
                _LOGGER.debug("worklist item %s", uid, exc_info=True)

    def state_of(self, instance: Dataset) -> str:
        """Return the status of an item's steps."""
        return rules.status_of(instance)

    # ---- for the program -----------------------------------------------------------------------------

    def add(self, item: Dataset | Mapping[str, Any], *, now: datetime | None = None) -> str:
        """Put an item in, in the place of one with the same study and step IDs, and return its key.

        Parameters
        ----------
        item
            The item, or its values; see :func:`dulcimer.services.worklist.item`.
        now
            When a step starts that has no start.

        Raises
        ------
        Unusable
            It lacks what an item has to have.
        """
        made = rules.complete(item, now=now) if isinstance(item, Dataset) else rules.item(item, now=now)
        if problems := rules.validate(made):
            raise rules.Unusable("; ".join(problems))
        uid = rules.key_of(made)
        with self._repository.transaction() as transaction:
            transaction.put(uid, rules.renewed(made, transaction.get(uid)))
        return uid

    def remove(self, uid: str) -> bool:
        """Remove an item by its key; return whether there was one."""
        with self._repository.transaction() as transaction:
            if transaction.get(uid) is None:
                return False
            transaction.delete(uid)
        return True

    def items(self) -> Iterator[tuple[str, Dataset]]:
        """Go through the items with their keys."""
        return iter(self._repository.all())

    # ---- performed procedure steps -------------------------------------------------------------------

    def follow(self, performing: Service) -> None:
        """Have the performed procedure steps of a service move the status of the scheduled ones."""
        for happening in ("created", "modified"):
            performing.on(happening, self.performed)

    def performed(self, uid: str, before: Dataset | None, after: Dataset, *_: object) -> None:
        """Take note of a performed procedure step: the hook of ``"created"`` and ``"modified"`` of MPPS."""
        if before is not None and rules.same_news(before, after):
            return
        seen: set[str] = set()
        for narrowing in rules.named_by(after):
            for key, _item in self._search(narrowing):
                if key not in seen:
                    seen.add(key)
                    self._move(key, after)

    def _move(self, key: str, performed: Dataset) -> None:
        with self._repository.transaction() as transaction:
            item = transaction.get(key)
            moved = None if item is None else rules.follow(item, performed)
            if moved is None:
                return
            transaction.put(key, moved)
        _LOGGER.info("worklist item: %s by a performed procedure step", rules.status_of(moved))
        self.tell("status", key, item, moved)


def _status(code: int, comment: str) -> Dataset:
    status = Dataset()
    status.Status = code
    status.ErrorComment = comment
    return status
