"""One table for the instances of all services, the instances that steps name, subscriptions and reports.

The performed procedure steps move into it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_STEP_TEXTS = (
    "patient_id",
    "patient_name",
    "modality",
    "station_aet",
    "started",
    "ended",
    "accession_number",
    "study_instance_uid",
    "description",
)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False, server_default="")


def upgrade() -> None:
    op.create_table(
        "service_instances",
        sa.Column("id", sa.Integer, primary_key=True),
        _text("kind"),
        _text("uid"),
        _text("state"),
        sa.Column("data", sa.LargeBinary, nullable=False),
        _text("created"),
        _text("updated"),
    )
    op.create_index("service_instances_by_uid", "service_instances", ["kind", "uid"], unique=True)
    op.create_index("service_instances_by_state", "service_instances", ["kind", "state", "updated"])
    op.create_table(
        "named_instances",
        sa.Column("step_uid", sa.String, primary_key=True),
        sa.Column("sop_instance_uid", sa.String, primary_key=True),
    )
    op.create_index("named_instances_by_instance", "named_instances", ["sop_instance_uid"])
    op.create_table(
        "subscriptions",
        sa.Column("uid", sa.String, primary_key=True),
        sa.Column("aet", sa.String, primary_key=True),
        sa.Column("deletion_lock", sa.Boolean, nullable=False),
    )
    op.create_index("subscriptions_by_aet", "subscriptions", ["aet"])
    op.create_table(
        "global_subscriptions",
        sa.Column("aet", sa.String, primary_key=True),
        sa.Column("deletion_lock", sa.Boolean, nullable=False),
        sa.Column("keys", sa.LargeBinary),
    )
    op.create_table(
        "reports",
        sa.Column("number", sa.Integer, primary_key=True),
        _text("aet"),
        _text("sop_class_uid"),
        _text("instance_uid"),
        sa.Column("event_type", sa.Integer, nullable=False),
        sa.Column("information", sa.LargeBinary),
        _text("context"),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("opens", sa.Boolean, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("reports_by_aet", "reports", ["aet", "number"])
    op.create_table(
        "reported_to",
        sa.Column("aet", sa.String, primary_key=True),
        sa.Column("due", sa.Float, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    )
    op.create_index("reported_to_by_due", "reported_to", ["due"])
    op.execute(
        "INSERT INTO service_instances (kind, uid, state, data, created, updated) "
        "SELECT 'mpps', sop_instance_uid, status, data, created, updated FROM steps ORDER BY created, rowid"
    )
    _name_instances()
    op.drop_table("steps")


def _name_instances() -> None:
    from io import BytesIO

    from pydicom import dcmread

    from dulcimer.services.mpps import named_instances

    connection = op.get_bind()
    steps = connection.execute(sa.text("SELECT uid, data FROM service_instances")).all()
    for uid, data in steps:
        for instance in named_instances(dcmread(BytesIO(data), force=True)):
            connection.execute(
                sa.text("INSERT OR IGNORE INTO named_instances VALUES (:step, :instance)"),
                {"step": uid, "instance": instance},
            )


def downgrade() -> None:
    op.create_table(
        "steps",
        sa.Column("sop_instance_uid", sa.String, primary_key=True),
        _text("status"),
        sa.Column("data", sa.LargeBinary, nullable=False),
        *(_text(name) for name in _STEP_TEXTS),
        _text("created"),
        _text("updated"),
    )
    op.execute(
        "INSERT INTO steps (sop_instance_uid, status, data, created, updated) "
        "SELECT uid, state, data, created, updated FROM service_instances WHERE kind = 'mpps'"
    )
    for table in (
        "reported_to",
        "reports",
        "global_subscriptions",
        "subscriptions",
        "named_instances",
        "service_instances",
    ):
        op.drop_table(table)
