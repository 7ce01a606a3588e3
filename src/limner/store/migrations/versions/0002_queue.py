"""What a queue needs of a run: who carries it out, until when, how far, and what it is for."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COLUMNS = (
    sa.Column("queue", sa.String(32)),
    sa.Column("priority", sa.Integer(), nullable=False, server_default="0"),
    sa.Column("attempt", sa.Integer(), nullable=False, server_default="0"),
    sa.Column("worker", sa.String(64)),
    sa.Column("lease", sa.DateTime(timezone=True)),
    sa.Column("cancel", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.Column("progress", sa.JSON(none_as_null=True)),
    sa.Column("tags", sa.JSON(), nullable=False, server_default="{}"),
)


def upgrade() -> None:
    for column in COLUMNS:
        op.add_column("runs", column)
    op.create_index("ix_runs_queue", "runs", ["queue", "status", "priority", "created"])


def downgrade() -> None:
    op.drop_index("ix_runs_queue", "runs")
    with op.batch_alter_table("runs") as table:
        for column in COLUMNS:
            table.drop_column(column.name)
