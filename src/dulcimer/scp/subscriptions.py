"""Who is subscribed to which workitem (PS3.4 CC.2.3)."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


class GlobalSubscription(NamedTuple):
    """What an application entity wants of workitems that are still to come: whose ``keys`` match, or all."""

    aet: str
    lock: bool
    keys: Dataset | None


class Subscriptions(Protocol):
    """Keeps the subscriptions; what is changed within a transaction of the workitems is part of it."""

    def get(self, aet: str, uid: str) -> bool | None:
        """Tell whether a subscription has a deletion lock; None if there is no subscription."""

    def put(self, aet: str, uid: str, lock: bool) -> None:
        """Subscribe an application entity to a workitem, or change its lock."""

    def remove(self, aet: str, uid: str) -> None:
        """Unsubscribe an application entity from a workitem."""

    def remove_all(self, aet: str) -> None:
        """Unsubscribe an application entity from every workitem."""

    def forget(self, uid: str) -> None:
        """Remove all subscriptions to a workitem."""

    def of(self, uid: str) -> Iterator[str]:
        """Give the AE titles subscribed to a workitem; memory does not depend on how many they are."""

    def locked(self, uid: str) -> bool:
        """Tell whether a deletion lock is left on a workitem."""

    def put_global(self, aet: str, lock: bool, keys: Dataset | None) -> None:
        """Set what an application entity wants of workitems to come, instead of what it wanted."""

    def remove_global(self, aet: str) -> None:
        """Forget what an application entity wanted of workitems to come."""

    def global_ones(self) -> Iterator[GlobalSubscription]:
        """Give the global subscriptions, filtered ones included."""


class MemorySubscriptions:
    """Subscriptions in memory."""

    def __init__(self) -> None:
        self._by_uid: dict[str, dict[str, bool]] = {}
        self._global: dict[str, GlobalSubscription] = {}
        self._lock = Lock()

    def get(self, aet: str, uid: str) -> bool | None:
        return self._by_uid.get(uid, {}).get(aet)

    def put(self, aet: str, uid: str, lock: bool) -> None:
        with self._lock:
            self._by_uid.setdefault(uid, {})[aet] = lock

    def remove(self, aet: str, uid: str) -> None:
        with self._lock:
            self._by_uid.get(uid, {}).pop(aet, None)

    def remove_all(self, aet: str) -> None:
        with self._lock:
            for subscribed in self._by_uid.values():
                subscribed.pop(aet, None)

    def forget(self, uid: str) -> None:
        with self._lock:
            self._by_uid.pop(uid, None)

    def of(self, uid: str) -> Iterator[str]:
        with self._lock:
            return iter(list(self._by_uid.get(uid, ())))

    def locked(self, uid: str) -> bool:
        with self._lock:
            return any(self._by_uid.get(uid, {}).values())

    def put_global(self, aet: str, lock: bool, keys: Dataset | None) -> None:
        with self._lock:
            self._global[aet] = GlobalSubscription(aet, lock, keys)

    def remove_global(self, aet: str) -> None:
        with self._lock:
            self._global.pop(aet, None)

    def global_ones(self) -> Iterator[GlobalSubscription]:
        with self._lock:
            return iter(list(self._global.values()))
