"""What queries for the worklist look for first: a row for each scheduled procedure step."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False, server_default="")


def upgrade() -> None:
    op.create_table(
        "scheduled_steps",
        sa.Column("id", sa.Integer, primary_key=True),
        _text("item_uid"),
        sa.Column("number", sa.Integer, nullable=False),
        _text("stations"),
        _text("modality"),
        _text("start_date"),
        _text("step_id"),
        _text("patient_id"),
        _text("accession_number"),
        _text("study_instance_uid"),
    )
    op.create_index("scheduled_steps_by_item", "scheduled_steps", ["item_uid", "number"], unique=True)
    op.create_index("scheduled_steps_by_date", "scheduled_steps", ["start_date"])
    op.create_index("scheduled_steps_by_patient", "scheduled_steps", ["patient_id"])
    op.create_index("scheduled_steps_by_accession_number", "scheduled_steps", ["accession_number"])
    op.create_index("scheduled_steps_by_study", "scheduled_steps", ["study_instance_uid"])


def downgrade() -> None:
    op.drop_table("scheduled_steps")
