"""Studies, series, instances with their older versions, performed procedure steps."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False, server_default="")


def upgrade() -> None:
    op.create_table(
        "studies",
        sa.Column("study_instance_uid", sa.String, primary_key=True),
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
    op.create_table(
        "series",
        sa.Column("study_instance_uid", sa.String, primary_key=True),
        sa.Column("series_instance_uid", sa.String, primary_key=True),
        _text("modality"),
        _text("series_number"),
        _text("series_description"),
    )
    op.create_table(
        "instances",
        sa.Column("sop_instance_uid", sa.String, primary_key=True),
        _text("sop_class_uid"),
        _text("transfer_syntax_uid"),
        _text("study_instance_uid"),
        _text("series_instance_uid"),
        _text("instance_number"),
        _text("path"),
        sa.Column("size", sa.Integer, nullable=False),
        _text("received"),
        _text("source_aet"),
    )
    op.create_index("instances_by_series", "instances", ["study_instance_uid", "series_instance_uid"])
    op.create_table(
        "versions",
        sa.Column("id", sa.Integer, primary_key=True),
        _text("sop_instance_uid"),
        _text("sop_class_uid"),
        _text("transfer_syntax_uid"),
        _text("path"),
        sa.Column("size", sa.Integer, nullable=False),
        _text("received"),
        _text("source_aet"),
    )
    op.create_index("versions_by_instance", "versions", ["sop_instance_uid"])
    op.create_table(
        "steps",
        sa.Column("sop_instance_uid", sa.String, primary_key=True),
        _text("status"),
        sa.Column("data", sa.LargeBinary, nullable=False),
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


def downgrade() -> None:
    for table in ("steps", "versions", "instances", "series", "studies"):
        op.drop_table(table)
