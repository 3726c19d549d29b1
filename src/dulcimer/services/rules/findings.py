"""What a check has found, in words for people and as the status that a peer is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dulcimer.errors import Refused

Level = Literal["strict", "standard", "lenient"]
"""How much of the text is insisted on: all of it; what real equipment keeps; only what gives an instance its
state."""

Path = tuple[int, ...]
"""The tags that lead to an attribute: those of the sequences that it is in, then its own."""


class Kind(Enum):
    """What can be wrong with an attribute."""

    MISSING = "is missing"
    ABSENT = "is absent"
    """Missing, though it may be empty (type 2)."""
    EMPTY = "has no value"
    NOT_ALLOWED = "is not allowed"
    UNDEFINED = "is not for this side to send"
    """Not for this side to send (``-``)."""
    UNKNOWN = "is not in the table"
    NOT_CREATED = "was not created"
    """Set, though it was not there when the instance was created."""
    WRONG_VALUE = "has a wrong value"
    OTHER_TERM = "has none of the defined terms"
    WRONG_COUNT = "has a wrong number of items"
    TOO_MANY_VALUES = "has too many values"


_BLOCKING: Final[dict[Kind, frozenset[str]]] = {
    Kind.MISSING: frozenset({"strict", "standard"}),
    Kind.ABSENT: frozenset({"strict"}),
    Kind.EMPTY: frozenset({"strict", "standard"}),
    Kind.NOT_ALLOWED: frozenset({"strict", "standard", "lenient"}),
    Kind.UNDEFINED: frozenset({"strict"}),
    Kind.UNKNOWN: frozenset({"strict"}),
    Kind.NOT_CREATED: frozenset({"strict"}),
    Kind.WRONG_VALUE: frozenset({"strict", "standard"}),
    Kind.OTHER_TERM: frozenset(),
    Kind.WRONG_COUNT: frozenset({"strict", "standard"}),
    Kind.TOO_MANY_VALUES: frozenset({"strict"}),
}
"""The levels at which each is refused; at the others it is noted."""

NO_SUCH_ATTRIBUTE: Final = 0x0105
INVALID_VALUE: Final = 0x0106
MISSING_ATTRIBUTE: Final = 0x0120
MISSING_VALUE: Final = 0x0121

_STATUSES: Final = (
    (NO_SUCH_ATTRIBUTE, (Kind.NOT_ALLOWED, Kind.UNDEFINED, Kind.UNKNOWN, Kind.NOT_CREATED)),
    (INVALID_VALUE, (Kind.WRONG_VALUE, Kind.WRONG_COUNT, Kind.TOO_MANY_VALUES)),
    (MISSING_ATTRIBUTE, (Kind.MISSING, Kind.ABSENT)),
    (MISSING_VALUE, (Kind.EMPTY,)),
)
"""The status of each kind, in the order in which a peer is told: first what must go, then what must come."""

_COMMENTS: Final = {
    NO_SUCH_ATTRIBUTE: "Not allowed",
    INVALID_VALUE: "Invalid value",
    MISSING_ATTRIBUTE: "Missing",
    MISSING_VALUE: "No value",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes
    ----------
    kind
        What it is.
    path
        The attribute, with the sequences that it is in.
    detail
        The value that is wrong, or what there should be; empty if the kind says it all.
    clause
        The table that says so.
    """

    kind: Kind
    path: Path
    detail: str
    clause: str

    @property
    def name(self) -> str:
        """The attribute's keyword, after those of the sequences that it is in."""
        return " > ".join(keyword_for_tag(tag) or str(Tag(tag)) for tag in self.path)

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.name} {self.kind.value}{detail}: {self.clause}"


class Findings(Sequence[Finding]):
    """What was found, in the order of the table.

    Parameters
    ----------
    found
        The findings.
    level
        How much is insisted on.
    """

    def __init__(self, found: Iterable[Finding], level: Level) -> None:
        self._found = tuple(found)
        self.level: Level = level

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._found[index]

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._found)

    def __repr__(self) -> str:
        return f"<Findings {[str(finding) for finding in self._found]}>"

    @property
    def blocking(self) -> list[Finding]:
        """Those for which the operation is to be refused."""
        return [finding for finding in self._found if self.level in _BLOCKING[finding.kind]]

    @property
    def notes(self) -> list[str]:
        """The others, in words."""
        return [str(finding) for finding in self._found if self.level not in _BLOCKING[finding.kind]]

    @property
    def ok(self) -> bool:
        """Whether nothing forbids the operation."""
        return not self.blocking

    def without(self, excused: Callable[[Finding], bool]) -> Findings:
        """Return the findings but those that ``excused`` accepts."""
        return Findings((finding for finding in self._found if not excused(finding)), self.level)

    def explain(self) -> str:
        """Return a line for each finding, those that forbid the operation first."""
        blocking = [f"refused: {finding}" for finding in self.blocking]
        return "\n".join([*blocking, *(f"noted: {note}" for note in self.notes)]) or "nothing is wrong"

    def refusal(self, dataset: Dataset | None = None) -> Refused | None:
        """Return what the peer is to be answered, None if nothing forbids the operation.

        Parameters
        ----------
        dataset
            The data set that was checked: offending values go back to the peer (PS3.7 C.5.11).
        """
        blocking = self.blocking
        for status, kinds in _STATUSES:
            chosen = [finding for finding in blocking if finding.kind in kinds]
            if not chosen:
                continue
            comment = f"{_COMMENTS[status]}: {', '.join(finding.name for finding in chosen)}"
            if status in (NO_SUCH_ATTRIBUTE, MISSING_ATTRIBUTE):
                tags = list(dict.fromkeys(finding.path[-1] for finding in chosen))
                return Refused(status, comment, attributes=tags)
            values = Dataset()
            for finding in chosen:
                _put(values, finding.path, dataset)
            return Refused(status, comment, values=values)
        return None

    def enforce(self, dataset: Dataset | None = None) -> list[str]:
        """Raise the refusal if there is one; return the notes.

        Raises
        ------
        dulcimer.errors.Refused
            0105H, 0106H, 0120H or 0121H with the attributes at fault.
        """
        refusal = self.refusal(dataset)
        if refusal is not None:
            raise refusal
        return self.notes


def _put(values: Dataset, path: Path, source: Dataset | None) -> None:
    """Put an attribute into the data set of an answer, at its place, with the value it has in ``source``."""
    place, origin = values, source
    for tag in path[:-1]:
        if tag not in place:
            place.add_new(tag, "SQ", [Dataset()])
        place = place[tag].value[0]
        origin = _first_item(origin, tag)
    tag = path[-1]
    if origin is not None and tag in origin:
        place[tag] = deepcopy(origin[tag])
        return
    try:
        vr = dictionary_VR(tag).split(" ")[0]
    except KeyError:
        vr = "UN"
    place[tag] = DataElement(tag, vr, [] if vr == "SQ" else None)


def _first_item(dataset: Dataset | None, tag: int) -> Dataset | None:
    if dataset is None or tag not in dataset or dataset[tag].VR != "SQ" or not dataset[tag].value:
        return None
    item: Dataset = dataset[tag].value[0]
    return item
