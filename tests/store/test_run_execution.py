"""Tests of runs of earlier versions, whose requests held how they were executed."""

from __future__ import annotations

import json
from pathlib import Path

from alembic import command
from sqlalchemy import text

from limner.core.execution import Execution, body_of
from limner.core.requests import GenerateRequest
from limner.core.requests.request import digest_of
from limner.store.database import alembic_config
from limner.store.rows import TABLES, parse_row
from limner.store.runs import Store

REQUEST, EXECUTION = GenerateRequest(prompt="a cat", seed=7), Execution(device="cuda:1", memory="low")


def old_row() -> dict[str, object]:
    """Request and digest as an earlier version wrote them."""
    body = body_of(REQUEST, EXECUTION).model_dump(mode="json")
    return {"request": json.dumps(body), "digest": digest_of(body)}


def test_the_migration_splits_old_requests(tmp_path: Path) -> None:
    store = Store(tmp_path)
    ids = [store.create(REQUEST).id for _ in range(3)]
    with alembic_config(store._engine) as config:  # pyright: ignore[reportPrivateUsage]
        command.downgrade(config, "0008")
    with store._engine.begin() as connection:  # pyright: ignore[reportPrivateUsage]
        connection.execute(text("UPDATE runs SET request = :request, digest = :digest"), old_row())
        connection.execute(text("UPDATE runs SET request = 'torn' WHERE id = :id"), {"id": ids[0]})
        error = "a fault of Limner's own (KeyError); its log tells more"
        failed = text("UPDATE runs SET status = 'failed', error = :error WHERE id = :id")
        connection.execute(failed, {"id": ids[1], "error": error})
    store.close()
    again = Store(tmp_path)
    for id in ids[1:]:
        run = again.get(id)
        assert (run.request, run.execution) == (REQUEST, EXECUTION)
    assert [again.get(id).internal_error for id in ids[1:]] == [True, False]
    assert {run.id for run in again.unfinished(REQUEST.digest)} == set(ids[1:])
    with alembic_config(again._engine) as config:  # pyright: ignore[reportPrivateUsage]
        command.downgrade(config, "0008")
    with again._engine.connect() as connection:  # pyright: ignore[reportPrivateUsage]
        rows = connection.execute(text("SELECT request, digest FROM runs WHERE id = :id"), {"id": ids[1]}).one()
    assert digest_of(json.loads(rows.request)) == rows.digest
    assert json.loads(rows.request) == REQUEST.model_dump(mode="json") | {"device": "cuda:1", "memory": "low"}
    again.close()


def test_a_request_of_an_old_backup_is_split() -> None:
    old = old_row()
    line = json.dumps({"id": "x", "request": json.loads(str(old["request"])), "digest": old["digest"]}).encode()
    row = parse_row(TABLES["runs"], line.replace(b'"x"', b'"260101-000000-abcd"'))
    assert row["request"] == REQUEST.model_dump(mode="json") and row["digest"] == REQUEST.digest
    assert row["execution"] == {"device": "cuda:1", "memory": "low"}


def test_a_run_stores_its_execution(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = store.create(REQUEST, execution=EXECUTION)
    assert store.get(run.id).execution == EXECUTION
    assert store.update(run.id, execution={"device": "cpu"}).execution == Execution(device="cpu")
    store.close()
