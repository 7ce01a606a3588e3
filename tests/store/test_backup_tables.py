"""Tests that a backup holds every row of every table, and all credentials."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, insert, inspect, select

from limner.core.requests import GenerateRequest
from limner.store.tables import Base
from limner.studio.studio import Studio

ROWS = 3


def request(number: int) -> GenerateRequest:
    return GenerateRequest(prompt=f"picture {number}")


TEXTS: dict[str, Any] = {
    "runs.id": lambda n: f"260102-03040{n}-abcd",
    "runs.digest": lambda n: request(n).digest,
    "runs.status": "done",
    "runs.queue": "default",
    "promotions.status": "voting",
    "promotion_votes.choice": "new",
    "keys.id": lambda n: f"{n:012x}",
    "webhooks.id": lambda n: f"wh_{n:012x}",
    "webhooks.secret": lambda n: f"{n:064x}",
    "deliveries.id": lambda n: f"msg_{n:024x}",
    "deliveries.event": "run.done",
    "erasures.id": lambda n: f"{n:016x}",
    "erasure": lambda n: f"{n:016x}",
    "drafts.id": lambda n: "abcdefgh234" + "abc"[n],
    "events.kind": "notice",
    "artifacts.kind": "picture",
    "artifacts.path": lambda n: f"/pictures/{n}.png",
    "policies.text": lambda n: f"policy {n}",
    "policies.digest": lambda n: hashlib.sha256(f"policy {n}".encode()).hexdigest(),
    "secrets.value": lambda n: f"{n:064x}",
    "accounts.role": "maker",
    "verdicts.stage": "prompt",
    "kind": "generate",
    "url": lambda n: f"https://example.com/{n}",
    "reasons": "blurred",
    "reference": lambda n: f"sha256:{n:064x}",
    "colour": lambda n: f"{n:06x}",
    **dict.fromkeys(("digest", "sha256", "subject", "wish", "batch_key"), lambda n: f"{n:064x}"),
    "picture_adapters.key": lambda n: f"{n:064x}",
    **dict.fromkeys(("spendings.key", "runs.key"), lambda n: f"{n:012x}"),
    **dict.fromkeys(("owner", "account", "giver", "accounts.name"), lambda n: f"account-{n}"),
}
"""What texts stand for: by table and column, or by column."""


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    found = Studio(tmp_path / "home")
    fill(found)
    yield found
    found.store.close()


def fill(studio: Studio) -> None:
    """Rows in every table, in each column a value of its own."""
    with studio.store.writing() as session:
        for table in Base.metadata.sorted_tables:
            for number in range(ROWS):
                session.execute(insert(table).values(row(session, table, number)))


def row(session: Any, table: Table, number: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column in table.columns:
        keys = [key.column for key in column.foreign_keys]
        if keys and keys[0].table is table:
            found[column.name] = session.scalars(select(keys[0])).first()  # the first row, once there is one
        elif keys:
            found[column.name] = session.scalars(select(keys[0]).order_by(keys[0])).all()[number]
        else:
            found[column.name] = value(table, column, number)
    return found


def value(table: Table, column: Any, number: int) -> Any:
    kind = column.type
    kind = kind.impl_instance.python_type if hasattr(kind, "impl_instance") else kind.python_type
    if (table.name, column.name) == ("runs", "request"):
        return request(number).model_dump(mode="json")
    if (table.name, column.name) == ("events", "payload"):
        return {"kind": "notice", "text": f"half\u2028way {number}", "level": "info"}
    if kind is str:
        make_text = TEXTS.get(f"{table.name}.{column.name}", TEXTS.get(column.name, lambda n: f"{column.name} {n} ä"))
        return make_text(number) if callable(make_text) else make_text
    values: dict[type, Any] = {
        datetime: datetime(2026, 1, 2, 3, 4, 5, 678, UTC) + timedelta(days=number),
        int: number + 1,
        float: number + 0.1,
        bool: number % 2 == 1,
        bytes: bytes([0, 255, 128, number]),
        object: [f"ü {number}", None] if column.info.get("json_type") is list else {"ü": [number, None, "x"]},
    }
    return values[kind]


def everything(studio: Studio) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table that SQLite itself tells of."""
    with studio.store.session() as session:
        names = set(inspect(session.connection()).get_table_names()) - {"alembic_version"}
        assert names == set(Base.metadata.tables)
        tables = {name: Base.metadata.tables[name] for name in sorted(names)}
        return {
            name: [dict(found) for found in session.execute(select(table).order_by(*table.primary_key)).mappings()]
            for name, table in tables.items()
        }


def test_every_row_of_every_table_is_restored(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limner.store.rows.BATCH", 2)
    monkeypatch.setattr("limner.store.backup.READ_ROWS", 2)
    before = everything(studio)
    assert {len(rows) for rows in before.values()} == {ROWS} and len(before) >= 20
    studio.maintenance.backup(tmp_path / "backup.zip")
    with zipfile.ZipFile(tmp_path / "backup.zip") as archive:
        assert {name for name in archive.namelist() if name.startswith("rows/")} == {
            f"rows/{name}.jsonl" for name in before
        }
    there = Studio(tmp_path / "elsewhere")
    there.maintenance.restore(tmp_path / "backup.zip")
    assert everything(there) == before
    there.store.close()


def test_credentials_are_restored_from_all_folders(studio: Studio, tmp_path: Path) -> None:
    credentials = {"own.pem": b"signing key", "own.crt": b"certificate", "trusted/root.pem": b"of another"}
    for name, body in credentials.items():
        place = studio.home / "credentials" / name
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.write_bytes(body)
    (studio.home / "credentials" / "link.pem").symlink_to(tmp_path / "elsewhere.pem")
    studio.maintenance.backup(tmp_path / "backup.zip")
    there = Studio(tmp_path / "there")
    there.maintenance.restore(tmp_path / "backup.zip")
    folder = there.home / "credentials"
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == credentials
    assert {(folder / name).stat().st_mode & 0o777 for name in credentials} == {0o600}
    there.store.close()
