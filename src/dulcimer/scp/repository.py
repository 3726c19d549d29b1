"""Where the SCPs keep their SOP instances.

A repository holds the instances of one kind, as data sets by SOP Instance UID. What is read and what is then
written is one transaction: while one runs no other can begin to change anything, so two peers that set the
same instance at once both have their change kept or refused, never lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from threading import RLock
from typing import Protocol

from pydicom.dataset import Dataset


class Transaction(Protocol):
    """The instances as one peer sees them while nobody else can change them."""

    def get(self, uid: str) -> Dataset | None:
        """Return an instance, to be changed at will and given to :meth:`put`; None if there is none."""

    def put(self, uid: str, instance: Dataset) -> None:
        """Store an instance, a new one or one that replaces what was stored."""

    def delete(self, uid: str) -> None:
        """Remove an instance; one that is not there is no error."""


class Repository(Protocol):
    """Keeps the instances of one kind."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin a transaction.

        Leaving it without an exception makes its changes durable, leaving it with one undoes them.
        """

    def get(self, uid: str) -> Dataset | None:
        """Return an instance as it was last stored, None if there is none."""

    def all(self) -> Iterator[tuple[str, Dataset]]:
        """Go through the instances, in the order in which they were created."""


class MemoryRepository:
    """Instances in memory, for programs that need them no longer than they run."""

    def __init__(self) -> None:
        self._instances: dict[str, Dataset] = {}
        self._lock = RLock()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self._lock:
            changes = _Changes(self._instances)
            yield changes
            for uid, instance in changes.made.items():
                if instance is None:
                    self._instances.pop(uid, None)
                else:
                    self._instances[uid] = instance

    def get(self, uid: str) -> Dataset | None:
        with self._lock:
            return deepcopy(self._instances.get(uid))

    def all(self) -> Iterator[tuple[str, Dataset]]:
        with self._lock:
            uids = list(self._instances)
        for uid in uids:
            instance = self.get(uid)
            if instance is not None:
                yield uid, instance


class _Changes:
    """What a transaction has changed so far, over what was there before."""

    def __init__(self, instances: dict[str, Dataset]) -> None:
        self._instances = instances
        self.made: dict[str, Dataset | None] = {}

    def get(self, uid: str) -> Dataset | None:
        found = self.made[uid] if uid in self.made else self._instances.get(uid)
        return deepcopy(found)

    def put(self, uid: str, instance: Dataset) -> None:
        self.made[uid] = deepcopy(instance)

    def delete(self, uid: str) -> None:
        self.made[uid] = None
