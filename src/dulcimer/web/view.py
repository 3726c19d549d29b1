"""What the page shows, as plain values, and the protocol that it asks for them.

Every field is text, a number, a truth value, or a list of such: they become the JSON of ``/api/`` as they are
and are described by its OpenAPI document. Moments are ISO 8601 with a time zone, sizes are bytes, durations
seconds; what is not known is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

Topic = Literal["associations", "studies", "steps", "films", "commitments", "events"]
"""What may have changed; a client that hears of it asks again."""

TOPICS: Final[tuple[Topic, ...]] = (
    "associations",
    "studies",
    "steps",
    "films",
    "commitments",
    "events",
)

Kind = Literal["worklist", "mpps", "ups"]
Column = Literal["SCHEDULED", "IN PROGRESS", "COMPLETED", "DISCONTINUED"]

COLUMNS: Final[tuple[Column, ...]] = ("SCHEDULED", "IN PROGRESS", "COMPLETED", "DISCONTINUED")


@dataclass(frozen=True, slots=True)
class Service:
    """A service class and the SOP classes of it that are offered."""

    name: str
    sop_classes: list[str]


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """The node itself."""

    aet: str
    host: str
    port: int
    tls: bool
    version: str
    started: str
    durability: str
    storage: str
    """Which storage SOP classes are taken, in words."""
    services: list[Service]
    accepts_from: list[str]
    """The AE titles that may associate; empty: all of them."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The node in numbers."""

    associations: int
    studies: int
    series: int
    instances: int
    bytes: int
    scheduled: int
    in_progress: int
    completed: int
    discontinued: int
    print_jobs: int
    commitments_pending: int
    operations: int
    """Operations since the start."""
    failures: int
    """Those of them that were answered with a failure."""
    disk_free: int
    disk_total: int


@dataclass(frozen=True, slots=True)
class Association:
    """An association that is there now."""

    number: int
    calling_aet: str
    called_aet: str
    address: str
    state: str
    since: str
    """When it was established; empty while it is being negotiated."""
    doing: str
    """What it has done so far, in words."""
    bytes: int


@dataclass(frozen=True, slots=True)
class Study:
    """A study."""

    study_instance_uid: str
    patient_name: str
    patient_id: str
    patient_birth_date: str
    patient_sex: str
    study_date: str
    study_time: str
    description: str
    accession_number: str
    modalities: list[str]
    series: int
    instances: int
    thumbnail: str
    """SOP Instance UID of an instance that stands for it."""


@dataclass(frozen=True, slots=True)
class Series:
    """A series of a study."""

    study_instance_uid: str
    series_instance_uid: str
    modality: str
    number: str
    description: str
    body_part: str
    instances: int


@dataclass(frozen=True, slots=True)
class Instance:
    """A stored SOP instance."""

    sop_instance_uid: str
    sop_class_uid: str
    sop_class: str
    transfer_syntax: str
    study_instance_uid: str
    series_instance_uid: str
    number: str
    rows: str
    columns: str
    frames: str
    size: int
    received: str
    source_aet: str


@dataclass(frozen=True, slots=True)
class StudyDetail:
    """A study with its series."""

    study: Study
    series: list[Series]


@dataclass(frozen=True, slots=True)
class StudyPage:
    """Some studies, the latest first."""

    studies: list[Study]
    next: int
    """What to ask for as ``before`` to get the ones after these; 0: there are no more."""


@dataclass(frozen=True, slots=True)
class InstancePage:
    """Some instances of a series, in the order in which they were stored."""

    instances: list[Instance]
    next: int
    """What to ask for as ``after``; 0: there are no more."""


@dataclass(frozen=True, slots=True)
class Step:
    """A scheduled or performed step: an item of the worklist, an MPPS, or a UPS."""

    uid: str
    kind: Kind
    column: Column
    state: str
    """In the words of its service."""
    label: str
    patient_name: str
    patient_id: str
    modality: str
    station: str
    accession_number: str
    study_instance_uid: str
    started: str
    ended: str
    progress: str
    """Procedure Step Progress in percent."""
    updated: str


@dataclass(frozen=True, slots=True)
class Board:
    """The steps, and how many there are in each column, shown or not."""

    steps: list[Step]
    totals: dict[str, int]


@dataclass(frozen=True, slots=True)
class Film:
    """A printed film."""

    uid: str
    status: str
    status_info: str
    printer: str
    originator: str
    created: str
    copies: str
    priority: str
    settings: dict[str, str]
    """Attributes of film session and film box by keyword."""
    picture: bool
    """Whether it has been rendered."""


@dataclass(frozen=True, slots=True)
class Commitment:
    """A request for storage commitment."""

    transaction_uid: str
    requester: str
    state: str
    instances: int
    failed: int
    attempts: int
    created: str
    next_attempt: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the log."""

    number: int
    time: str
    level: str
    message: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Log:
    """The latest lines, the last one first."""

    entries: list[Entry]
    last: int
    """The number of the last line that was written."""


@dataclass(frozen=True, slots=True)
class Check:
    """Something that has to be well."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the node is well."""

    ok: bool
    checks: list[Check]


@dataclass(frozen=True, slots=True)
class Operations:
    """Operations of one kind since the start."""

    service: str
    operation: str
    status: str
    """Four hexadecimal digits."""
    count: int


@dataclass(frozen=True, slots=True)
class Durations:
    """How long operations took: cumulative counts by upper bound in seconds."""

    operation: str
    buckets: Sequence[tuple[float, int]]
    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Counters:
    """What is counted since the start."""

    started: float
    """Seconds since the epoch."""
    associations: int
    associations_accepted: int
    operations: Sequence[Operations]
    durations: Sequence[Durations]
    bytes_received: int
    log_lines: Mapping[str, int]


class View(Protocol):
    """What the page asks a node for.

    The methods may wait for the disk and are called by threads of the page, never more than a few at once.
    They change nothing.
    """

    def node(self) -> NodeInfo:
        """Describe the node."""

    def overview(self) -> Overview:
        """Give the node in numbers."""

    def associations(self) -> list[Association]:
        """List the associations that are there."""

    def studies(self, words: str, before: int, limit: int) -> StudyPage:
        """List studies that have every one of some words in their patient, date, number or description.

        ``before`` is what an earlier page gave as ``next``, 0 for the first.
        """

    def study(self, study_instance_uid: str) -> StudyDetail | None:
        """Give a study with its series; None if there is none."""

    def instances(
        self, study_instance_uid: str, series_instance_uid: str, after: int, limit: int
    ) -> InstancePage:
        """List the instances of a series."""

    def instance(self, sop_instance_uid: str) -> Instance | None:
        """Give an instance; None if there is none."""

    def object_file(self, sop_instance_uid: str) -> Path | None:
        """Return the file of a stored instance; None if there is none."""

    def board(self, limit: int) -> Board:
        """Give the latest steps, at most ``limit`` of each column."""

    def films(self, limit: int) -> list[Film]:
        """List the films, the latest first."""

    def film_file(self, uid: str) -> Path | None:
        """Return the PNG picture of a film; None if there is none."""

    def commitments(self, limit: int) -> list[Commitment]:
        """List the requests for storage commitment, the latest first."""

    def log(self, limit: int, warnings: bool) -> Log:
        """Give the latest lines of the log, warnings and errors only if that is asked for."""

    def health(self) -> Health:
        """Tell whether the node is well."""

    def counters(self) -> Counters:
        """Give what is counted."""

    def on_change(self, tell: Callable[[Topic], object]) -> None:
        """Have a function called, in any thread and without delay, when something may have changed."""

    def look_for_changes(self) -> None:
        """Look for what nobody says, such as changes by other processes; called now and then while clients
        listen."""
