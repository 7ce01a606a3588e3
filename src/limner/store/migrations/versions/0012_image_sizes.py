"""Size and mean colour of each image, by which the gallery filters and fills its tiles. Sizes come from the details of
the images; colours are computed with their thumbnails.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

BATCH = 1000
LARGEST = 2**31
IMAGES = sa.table("pictures", sa.column("id"), sa.column("width", sa.Integer), sa.column("height", sa.Integer))
ARTIFACTS = sa.table("artifacts", sa.column("id"), sa.column("details", sa.JSON))


def upgrade() -> None:
    for name, kind in (("width", sa.Integer()), ("height", sa.Integer()), ("colour", sa.String(6))):
        op.add_column("pictures", sa.Column(name, kind, nullable=True))
    connection = op.get_bind()
    query = sa.select(IMAGES.c.id, ARTIFACTS.c.details).join(ARTIFACTS, ARTIFACTS.c.id == IMAGES.c.id)
    change = (
        sa.update(IMAGES)
        .where(IMAGES.c.id == sa.bindparam("image"))
        .values(width=sa.bindparam("w"), height=sa.bindparam("h"))
    )
    last = 0
    while rows := connection.execute(query.where(IMAGES.c.id > last).order_by(IMAGES.c.id).limit(BATCH)).all():
        last = rows[-1][0]
        sized = [{"image": id, "w": _side(details, "width"), "h": _side(details, "height")} for id, details in rows]
        connection.execute(change, sized)


def downgrade() -> None:
    with op.batch_alter_table("pictures") as table:
        for name in ("width", "height", "colour"):
            table.drop_column(name)


def _side(details: Any, name: str) -> int | None:
    value: Any = cast("dict[str, Any]", details).get(name) if isinstance(details, dict) else None
    return value if type(value) is int and 0 < value < LARGEST else None
