"""How a run is executed (device, memory, processes, trackers), apart from its request and from its digest, and whether
it failed because of an internal error.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, cast

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

FIELDS = ("device", "memory", "workers", "executor", "track", "preview_every")
BATCH = 500
RUNS = sa.table(
    "runs",
    sa.column("id", sa.String),
    sa.column("request", sa.JSON),
    sa.column("execution", sa.JSON),
    sa.column("digest", sa.String),
    sa.column("status", sa.String),
    sa.column("error", sa.Text),
    sa.column("internal_error", sa.Boolean),
)


def upgrade() -> None:
    op.add_column("runs", sa.Column("execution", sa.JSON(), nullable=False, server_default="{}"))
    internal = sa.Column("internal_error", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("runs", internal)
    _rewrite(_split)
    failed = sa.and_(RUNS.c.status == "failed", RUNS.c.error.startswith("a fault of Limner's own"))
    op.get_bind().execute(sa.update(RUNS).where(failed).values(internal_error=True))


def downgrade() -> None:
    _rewrite(lambda request, execution: ({**request, **execution}, {}))
    with op.batch_alter_table("runs") as table:
        table.drop_column("internal_error")
        table.drop_column("execution")


def _split(request: dict[str, Any], execution: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    how = {name: request[name] for name in FIELDS if name in request}
    return {name: value for name, value in request.items() if name not in how}, how


def _rewrite(change: Callable[[dict[str, Any], dict[str, Any]], tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """Replace request, execution and digest of every run, a batch at a time; rows that cannot be read stay."""
    connection = op.get_bind()
    places = {name: sa.bindparam(f"new_{name}", type_=RUNS.c[name].type) for name in ("request", "execution", "digest")}
    changed = sa.update(RUNS).where(RUNS.c.id == sa.bindparam("its_id")).values(places)
    last = ""
    while True:
        query = sa.select(RUNS.c.id, RUNS.c.request, RUNS.c.execution).where(RUNS.c.id > last)
        rows = connection.execute(query.order_by(RUNS.c.id).limit(BATCH)).all()
        if not rows:
            return
        last = rows[-1].id
        values: list[dict[str, Any]] = []
        for row in rows:
            before: Any = row.request
            if isinstance(before, dict):
                request, execution = change(cast(dict[str, Any], before), row.execution or {})
                text = json.dumps(request, sort_keys=True, separators=(",", ":"))
                digest = hashlib.sha256(text.encode()).hexdigest()
                values.append(
                    {"its_id": row.id, "new_request": request, "new_execution": execution, "new_digest": digest}
                )
        if values:
            connection.execute(changed, values)
