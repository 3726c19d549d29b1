"""The tables of the index. The migrations beside this module make them; a test holds both together."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, String, Table

METADATA: Final = MetaData()


def _text(name: str) -> Column[str]:
    return Column(name, String, nullable=False, server_default="")


STUDIES: Final = Table(
    "studies",
    METADATA,
    Column("study_instance_uid", String, primary_key=True),
    _text("patient_id"),
    _text("issuer_of_patient_id"),
    _text("patient_name"),
    _text("patient_birth_date"),
    _text("patient_sex"),
    _text("study_date"),
    _text("study_time"),
    _text("accession_number"),
    _text("study_id"),
    _text("study_description"),
    _text("referring_physician_name"),
)

SERIES: Final = Table(
    "series",
    METADATA,
    Column("study_instance_uid", String, primary_key=True),
    Column("series_instance_uid", String, primary_key=True),
    _text("modality"),
    _text("series_number"),
    _text("series_description"),
)

INSTANCES: Final = Table(
    "instances",
    METADATA,
    Column("sop_instance_uid", String, primary_key=True),
    _text("sop_class_uid"),
    _text("transfer_syntax_uid"),
    _text("study_instance_uid"),
    _text("series_instance_uid"),
    _text("instance_number"),
    _text("path"),
    Column("size", Integer, nullable=False),
    _text("received"),
    _text("source_aet"),
    Index("instances_by_series", "study_instance_uid", "series_instance_uid"),
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

STEPS: Final = Table(
    "steps",
    METADATA,
    Column("sop_instance_uid", String, primary_key=True),
    _text("status"),
    Column("data", LargeBinary, nullable=False),
    _text("patient_id"),
    _text("patient_name"),
    _text("modality"),
    _text("station_aet"),
    _text("started"),
    _text("ended"),
    _text("accession_number"),
    _text("study_instance_uid"),
    _text("description"),
    _text("created"),
    _text("updated"),
)
