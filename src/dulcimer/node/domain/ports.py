"""What the domain needs of the outside, as protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dulcimer.node.domain.attributes import Description
    from dulcimer.node.domain.model import Instance, Study
    from dulcimer.node.domain.query import Query


class Staged(Protocol):
    """An object that was received completely and is not yet in its place."""

    @property
    def sop_class_uid(self) -> str: ...

    @property
    def sop_instance_uid(self) -> str: ...

    @property
    def transfer_syntax_uid(self) -> str: ...

    @property
    def source_aet(self) -> str: ...

    @property
    def size(self) -> int:
        """The length of the data set."""

    def description(self) -> Description | None:
        """Return what the data set says about itself, None if it cannot be decoded."""


class ObjectFiles(Protocol):
    """The files of the stored instances; paths are relative to their folder."""

    def place(self, staged: Staged) -> str:
        """Give a staged object its final name, one that no other object has, and return it."""

    def discard(self, staged: Staged) -> None:
        """Remove a staged object."""

    def same_data_set(self, one: str, other: str) -> bool:
        """Tell whether two files hold the same data set in the same transfer syntax, byte for byte."""

    def remove(self, path: str) -> None:
        """Remove a file; one that is gone already is no error."""


class InstanceIndex(Protocol):
    """Knows every stored instance."""

    def insert(self, instance: Instance) -> str | None:
        """Make an instance findable; if its UID is known already, change nothing and return the path it has.

        An index that writes later answers None and hands conflicts to the function given to ``on_conflict``.
        """

    def replace(self, instance: Instance, path: str) -> str | None:
        """Let a UID that stands for ``path`` stand for ``instance`` and keep the former as an older version.

        If the UID no longer stands for ``path``, change nothing and return the path that it has now.
        """

    def on_conflict(self, settle: Callable[[Instance, str], object]) -> None:
        """Register what is called with an instance, and the path its UID has, if it was written later."""

    def paths(self, folder: str) -> set[str]:
        """Return every path below a folder that the index knows, older versions included."""

    def studies(self) -> list[Study]:
        """List the studies, the latest first."""


class Matches(Protocol):
    """What a query found at one moment."""

    def __len__(self) -> int: ...

    def rows(self) -> Iterator[dict[str, str]]:
        """Describe the entities one by one; memory does not depend on how many there are."""


class Holdings(Protocol):
    """The instances that a retrieval is about."""

    def __len__(self) -> int: ...

    @property
    def kinds(self) -> Mapping[tuple[str, str], int]:
        """How many there are of each SOP class and transfer syntax."""

    def paths(self) -> Iterator[str]:
        """Give their files one by one, the first stored first."""


class Search(Protocol):
    """Answers queries over the index."""

    def find(self, query: Query, limit: int = 0) -> Matches:
        """Return the entities that satisfy a query, at most ``limit`` unless that is 0."""

    def instances(self, query: Query) -> Holdings:
        """Return the instances that a retrieval asks for."""
