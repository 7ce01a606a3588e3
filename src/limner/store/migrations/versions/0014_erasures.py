"""Erasures that can be undone until they are carried out.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

MARKED = ("runs", "pictures")


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "erasures",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("selection", sa.JSON(), nullable=False),
        sa.Column("derived", sa.Boolean(), nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("due", moment, nullable=False),
        sa.Column("leftover", sa.JSON()),
    )
    for column in ("account", "due"):
        op.create_index(f"ix_erasures_{column}", "erasures", [column])
    for table in MARKED:
        op.add_column(table, sa.Column("erasure", sa.String(16)))
        op.create_index(f"ix_{table}_erasure", table, ["erasure"])


def downgrade() -> None:
    for table in MARKED:
        op.drop_index(f"ix_{table}_erasure", table)
        op.drop_column(table, "erasure")
    op.drop_table("erasures")
