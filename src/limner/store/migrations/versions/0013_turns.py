"""The order of queued runs, which their owners may change.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("turn", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("runs", "turn")
