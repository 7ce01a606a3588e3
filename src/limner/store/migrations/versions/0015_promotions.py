"""Improved adapters that may join those of an industry, and the blind votes on them.

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "promotions",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("industry", sa.String(200), nullable=False),
        sa.Column("image", sa.Boolean(), nullable=False),
        sa.Column("original", sa.JSON(), nullable=False),
        sa.Column("candidate", sa.JSON()),
        sa.Column("run", sa.String(32), sa.ForeignKey("runs.id", ondelete="SET NULL")),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("ratings", sa.Integer(), nullable=False),
        sa.Column("needed", sa.Integer(), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("created", moment, nullable=False),
    )
    for column in ("industry", "run", "status"):
        op.create_index(f"ix_promotions_{column}", "promotions", [column])
    open_ = sa.text("status IN ('training', 'voting')")
    names = ["industry", "image"]
    op.create_index("ix_promotions_open", "promotions", names, unique=True, sqlite_where=open_, postgresql_where=open_)
    promotion = sa.ForeignKey("promotions.id", ondelete="CASCADE")
    op.create_table(
        "promotion_votes",
        sa.Column("promotion", sa.Integer(), promotion, primary_key=True),
        sa.Column("account", sa.String(64), primary_key=True),
        sa.Column("pair", sa.Integer(), primary_key=True),
        sa.Column("choice", sa.String(4), nullable=False),
        sa.Column("created", moment, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("promotion_votes")
    op.drop_table("promotions")
