"""The tables of the index. The migrations beside this module make them; a test holds both together."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, text

from dulcimer.node.domain.catalogue import Level, of_level

METADATA: Final = MetaData()


def _text(name: str) -> Column[str]:
    return Column(name, String, nullable=False, server_default="")


def _columns(*levels: Level, without: tuple[str, ...] = ()) -> list[Column[str]]:
    found = [attribute.name for level in levels for attribute in of_level(level)]
    return [_text(name) for name in found if name not in without]


def _names() -> list[Column[str]]:
    """The component groups of the patient's name without case and accents: what names are searched by."""
    return [_text(name) for name in FOLDED_NAMES]


FOLDED_NAMES: Final = ("name_alphabetic", "name_ideographic", "name_phonetic")

_PATIENT_KEYS: Final = ("patient_id", "issuer_of_patient_id")

PATIENTS: Final = Table(
    "patients",
    METADATA,
    Column("patient_id", String, primary_key=True),
    Column("issuer_of_patient_id", String, primary_key=True),
    # The name of who has no ID, otherwise empty: they are not all one.
    Column("nameless_as", String, primary_key=True),
    *_columns("PATIENT", without=_PATIENT_KEYS),
    *_names(),
    *(Index(f"patients_by_{name}", name) for name in FOLDED_NAMES),
)

STUDIES: Final = Table(
    "studies",
    METADATA,
    Column("study_instance_uid", String, primary_key=True),
    *_columns("PATIENT", "STUDY", without=("study_instance_uid",)),
    *_names(),
    Index("studies_by_patient", "patient_id", "issuer_of_patient_id"),
    Index("studies_by_date", "study_date"),
    Index("studies_by_accession_number", "accession_number"),
    Index("studies_by_study_id", "study_id"),
    *(Index(f"studies_by_{name}", name) for name in FOLDED_NAMES),
)

SERIES: Final = Table(
    "series",
    METADATA,
    Column("study_instance_uid", String, primary_key=True),
    Column("series_instance_uid", String, primary_key=True),
    *_columns("SERIES", without=("series_instance_uid",)),
    Index("series_by_uid", "series_instance_uid"),
)

INDEXED_BY: Final = 2
"""Which attributes a row of an instance was made from: those of this version; see migration 0002."""

OUTDATED: Final = f"indexed_by < {INDEXED_BY}"
"""What is true of older rows; word for word, because that is how SQLite recognises a partial index."""

INSTANCES: Final = Table(
    "instances",
    METADATA,
    Column("sop_instance_uid", String, primary_key=True),
    _text("sop_class_uid"),
    _text("transfer_syntax_uid"),
    _text("study_instance_uid"),
    _text("series_instance_uid"),
    *_columns("IMAGE"),
    _text("path"),
    Column("size", Integer, nullable=False),
    _text("received"),
    _text("source_aet"),
    Column("indexed_by", Integer, nullable=False, server_default="1"),
    Index("instances_by_series", "study_instance_uid", "series_instance_uid"),
    Index("instances_to_read_again", "indexed_by", sqlite_where=text(OUTDATED)),
)

VERSIONS: Final = Table(
    "versions",
    METADATA,
    Column("id", Integer, primary_key=True),
    _text("sop_instance_uid"),
    _text("sop_class_uid"),
    _text("transfer_syntax_uid"),
    _text("path"),
    Column("size", Integer, nullable=False),
    _text("received"),
    _text("source_aet"),
    Index("versions_by_instance", "sop_instance_uid"),
)

SERVICE_INSTANCES: Final = Table(
    "service_instances",
    METADATA,
    Column("id", Integer, primary_key=True),
    _text("kind"),
    _text("uid"),
    _text("state"),
    # Explicit VR Little Endian, without file meta information.
    Column("data", LargeBinary, nullable=False),
    _text("created"),
    _text("updated"),
    Index("service_instances_by_uid", "kind", "uid", unique=True),
    Index("service_instances_by_state", "kind", "state", "updated"),
)

NAMED_INSTANCES: Final = Table(
    "named_instances",
    METADATA,
    Column("step_uid", String, primary_key=True),
    Column("sop_instance_uid", String, primary_key=True),
    Index("named_instances_by_instance", "sop_instance_uid"),
)

SUBSCRIPTIONS: Final = Table(
    "subscriptions",
    METADATA,
    Column("uid", String, primary_key=True),
    Column("aet", String, primary_key=True),
    Column("deletion_lock", Boolean, nullable=False),
    Index("subscriptions_by_aet", "aet"),
)

GLOBAL_SUBSCRIPTIONS: Final = Table(
    "global_subscriptions",
    METADATA,
    Column("aet", String, primary_key=True),
    Column("deletion_lock", Boolean, nullable=False),
    # The matching keys of a filtered one.
    Column("keys", LargeBinary),
)

REPORTS: Final = Table(
    "reports",
    METADATA,
    Column("number", Integer, primary_key=True),
    _text("aet"),
    _text("sop_class_uid"),
    _text("instance_uid"),
    Column("event_type", Integer, nullable=False),
    Column("information", LargeBinary),
    _text("context"),
    Column("created", Float, nullable=False),
    Column("opens", Boolean, nullable=False),
    Index("reports_by_aet", "aet", "number"),
    sqlite_autoincrement=True,
)

REPORTED_TO: Final = Table(
    "reported_to",
    METADATA,
    Column("aet", String, primary_key=True),
    Column("due", Float, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Index("reported_to_by_due", "due"),
)

SCHEDULED_STEPS: Final = Table(
    "scheduled_steps",
    METADATA,
    Column("id", Integer, primary_key=True),
    _text("item_uid"),
    Column("number", Integer, nullable=False),
    # Backslashes stand between several stations, and at both ends.
    _text("stations"),
    _text("modality"),
    _text("start_date"),
    _text("step_id"),
    _text("patient_id"),
    _text("accession_number"),
    _text("study_instance_uid"),
    Index("scheduled_steps_by_item", "item_uid", "number", unique=True),
    Index("scheduled_steps_by_date", "start_date"),
    Index("scheduled_steps_by_patient", "patient_id"),
    Index("scheduled_steps_by_accession_number", "accession_number"),
    Index("scheduled_steps_by_study", "study_instance_uid"),
)
