"""What queries need: patients, further attributes, names as they are searched by, and indexes for all that.

Further attributes of what is stored already are in its files. ``indexed_by`` tells which instances have not
been looked at again since; the node does that while it runs.
"""

import sqlalchemy as sa
from alembic import op

from dulcimer.services.names import folded_groups

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAMES = ("name_alphabetic", "name_ideographic", "name_phonetic")
ADDED = {
    "studies": (
        "patient_birth_time",
        "other_patient_ids",
        "other_patient_ids_sequence",
        "ethnic_group",
        "patient_comments",
        "procedure_code_sequence",
        "reading_physicians_names",
        "admitting_diagnoses_description",
        "patient_age",
        "patient_size",
        "patient_weight",
        "occupation",
        "additional_patient_history",
        "name_alphabetic",
        "name_ideographic",
        "name_phonetic",
    ),
    "series": (
        "series_date",
        "series_time",
        "manufacturer",
        "institution_name",
        "station_name",
        "institutional_department_name",
        "performing_physicians_names",
        "operators_names",
        "manufacturer_model_name",
        "body_part_examined",
        "protocol_name",
        "laterality",
        "performed_step_start_date",
        "performed_step_start_time",
        "performed_step_id",
        "performed_step_description",
        "request_attributes_sequence",
    ),
    "instances": (
        "image_type",
        "acquisition_date",
        "content_date",
        "acquisition_date_time",
        "acquisition_time",
        "content_time",
        "acquisition_number",
        "image_comments",
        "number_of_frames",
        "rows",
        "columns",
        "bits_allocated",
        "concept_name_code_sequence",
    ),
}
INDEXES = {
    "studies_by_patient": ("studies", ["patient_id", "issuer_of_patient_id"]),
    "studies_by_date": ("studies", ["study_date"]),
    "studies_by_accession_number": ("studies", ["accession_number"]),
    "studies_by_study_id": ("studies", ["study_id"]),
    "series_by_uid": ("series", ["series_instance_uid"]),
    **{f"{table}_by_{name}": (table, [name]) for table in ("patients", "studies") for name in NAMES},
}


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False, server_default="")


def upgrade() -> None:
    op.create_table(
        "patients",
        sa.Column("patient_id", sa.String, primary_key=True),
        sa.Column("issuer_of_patient_id", sa.String, primary_key=True),
        sa.Column("nameless_as", sa.String, primary_key=True),
        _text("patient_name"),
        _text("patient_birth_date"),
        _text("patient_birth_time"),
        _text("patient_sex"),
        _text("other_patient_ids"),
        _text("other_patient_ids_sequence"),
        _text("ethnic_group"),
        _text("patient_comments"),
        _text("name_alphabetic"),
        _text("name_ideographic"),
        _text("name_phonetic"),
    )
    for table, names in ADDED.items():
        for name in names:
            op.add_column(table, _text(name))
    op.add_column("instances", sa.Column("indexed_by", sa.Integer, nullable=False, server_default="1"))
    _fill()
    for name, (table, columns) in INDEXES.items():
        op.create_index(name, table, columns)
    op.create_index(
        "instances_to_read_again", "instances", ["indexed_by"], sqlite_where=sa.text("indexed_by < 2")
    )


def _fill() -> None:
    connection = op.get_bind()
    names = connection.execute(sa.text("SELECT DISTINCT patient_name FROM studies")).scalars().all()
    setting = ", ".join(f"{column} = :{column}" for column in NAMES)
    for name in filter(None, names):
        values = dict(zip(NAMES, folded_groups(name), strict=True))
        connection.execute(
            sa.text(f"UPDATE studies SET {setting} WHERE patient_name = :name"), {**values, "name": name}
        )
    kept = "patient_name, patient_birth_date, patient_sex, " + ", ".join(NAMES)
    connection.execute(
        sa.text(
            f"INSERT OR IGNORE INTO patients (patient_id, issuer_of_patient_id, nameless_as, {kept}) "
            "SELECT patient_id, issuer_of_patient_id, "
            f"CASE patient_id WHEN '' THEN patient_name ELSE '' END, {kept} FROM studies"
        )
    )


def downgrade() -> None:
    op.drop_index("instances_to_read_again", "instances")
    for name, (table, _) in INDEXES.items():
        op.drop_index(name, table)
    op.drop_column("instances", "indexed_by")
    for table, names in ADDED.items():
        for name in names:
            op.drop_column(table, name)
    op.drop_table("patients")
