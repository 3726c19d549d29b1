"""The things a node keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum


@dataclass(frozen=True, slots=True)
class Instance:
    """A stored composite SOP instance: where its file is, and what the index knows about it.

    ``path`` is relative to the folder of the objects; ``attributes`` has the names of
    :data:`dulcimer.node.domain.attributes.COLUMNS`.
    """

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    path: str
    size: int
    received: datetime
    source_aet: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


class Stored(Enum):
    """What became of an instance that was received."""

    NEW = "new"
    SAME = "the same as before"
    CHANGED = "other content under a known UID"


@dataclass(frozen=True, slots=True)
class Study:
    """A line of ``dulcimer list studies``."""

    study_instance_uid: str
    patient_id: str
    patient_name: str
    study_date: str
    accession_number: str
    description: str
    modalities: str
    series: int
    instances: int
    bytes: int
    last_received: str


@dataclass(frozen=True, slots=True)
class NamedInstance:
    """An instance that a performed procedure step names, and whether it has been received."""

    sop_instance_uid: str
    received: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A line of ``dulcimer list steps``; of the instances that it names some have been received."""

    sop_instance_uid: str
    status: str
    patient_id: str = ""
    patient_name: str = ""
    modality: str = ""
    station_aet: str = ""
    started: str = ""
    ended: str = ""
    accession_number: str = ""
    study_instance_uid: str = ""
    description: str = ""
    created: str = ""
    updated: str = ""
    named: int = 0
    received: int = 0
