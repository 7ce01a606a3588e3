"""Tests of which database is opened, of retries, and of waiting for changes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from limner.core.requests import GenerateRequest
from limner.store import sessions
from limner.store.database import DatabaseUnavailable
from limner.store.runs import Store
from limner.store.sessions import ChangeWatcher, Database, retry_while_unavailable


def opened(database: Database) -> str:
    name = str(database._engine.url.database)
    database.close()
    return name


def test_the_database_of_the_argument_the_environment_or_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LIMNER_DATABASE", raising=False)
    assert opened(Database(tmp_path)) == str(tmp_path / "limner.db")
    monkeypatch.setenv("LIMNER_DATABASE", f"sqlite:///{tmp_path}/environment.db")
    assert opened(Database(tmp_path)) == f"{tmp_path}/environment.db"
    assert opened(Database(tmp_path, f"sqlite:///{tmp_path}/argument.db")) == f"{tmp_path}/argument.db"


def test_the_home_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = Database(Path("home"))
    assert database.home == tmp_path / "home"
    database.close()


def test_a_database_is_the_same_with_another_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database, found = Database(tmp_path), set[str]()
    for user in ("ann:one", "ann:two"):
        monkeypatch.setattr(database, "_engine", create_engine(f"postgresql+psycopg://{user}@host/a"))
        found.add(database.fingerprint)
    assert len(found) == 1 and len(found.pop()) == 16


def test_an_action_is_retried_for_as_long_as_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    now, tried = [0.0], list[float]()
    monkeypatch.setattr(sessions.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sessions.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))

    def act() -> str:
        tried.append(now[0])
        if now[0] < 2:
            raise DatabaseUnavailable("it is away")
        return "done"

    with pytest.raises(DatabaseUnavailable):
        retry_while_unavailable(act, 1)
    assert tried == [0, 0.5, 1]
    now[0] = 0.0
    assert retry_while_unavailable(act, 2) == "done"


def test_waiting_ends_with_a_change_a_stop_or_after_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sessions.LONGEST_WAIT == 0.5
    monkeypatch.setattr(sessions, "LONGEST_WAIT", 60.0)
    store = Store(tmp_path, f"sqlite:///{tmp_path}/a.db")
    watcher = ChangeWatcher(store)
    watcher.wait()  # the first look
    began = time.monotonic()
    watcher.wait(lambda: True)
    store.create(GenerateRequest(prompt="a"))
    watcher.wait()
    assert time.monotonic() - began < 30
    monkeypatch.setattr(sessions, "LONGEST_WAIT", 0.05)
    began = time.monotonic()
    watcher.wait()
    assert time.monotonic() - began >= 0.05
    watcher.close()
    store.close()
