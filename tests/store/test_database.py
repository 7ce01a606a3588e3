"""Tests that the database opens at the newest revision, or fails with one line."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Column, Engine, Integer, create_engine, inspect, select, text
from sqlalchemy.exc import OperationalError

import postgres
from limner.core.errors import LimnerError
from limner.core.events import Stage
from limner.core.requests import GenerateRequest
from limner.store import database, paths
from limner.store.database import (
    HEAD,
    DatabaseUnavailable,
    alembic_config,
    is_unavailable,
    open_engine,
    sqlite_url,
)
from limner.store.runs import Store
from limner.store.tables import Base


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def schema(engine: Engine) -> dict[str, object]:
    """All that a database knows of its tables, but for Alembic's own."""
    seen = inspect(engine)
    return {
        name: (
            [{**column, "type": str(column["type"])} for column in seen.get_columns(name)],
            seen.get_pk_constraint(name),
            sorted(map(str, seen.get_foreign_keys(name))),
            sorted(str({**each, "dialect_options": _texts(each)}) for each in seen.get_indexes(name)),
        )
        for name in tables(engine) - {"alembic_version"}
    }


def _texts(index: Any) -> dict[str, str]:
    """The conditions of an index, such as that of a partial one, as text."""
    return {option: str(value) for option, value in index.get("dialect_options", {}).items()}


@pytest.fixture
def engine(tmp_path: Path):
    engine = open_engine(sqlite_url(tmp_path))
    yield engine
    engine.dispose()


@pytest.fixture
def empty(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[], Engine]]:
    """A function that makes an empty database: of SQLite, or of the server that the parameter names."""
    made: list[Engine] = []

    def make() -> Engine:
        if getattr(request, "param", "sqlite") == "sqlite":
            url: str | URL = f"sqlite:///{tmp_path}/{len(made)}.db"
        else:
            url = database.parse_url(postgres.empty(request.getfixturevalue("postgres_folder")))
        made.append(create_engine(url))
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


def migrated(engine: Engine, revision: str) -> Engine:
    """The database at a revision, by its migrations."""
    with alembic_config(engine) as config:
        command.upgrade(config, revision)
    return engine


def test_head_is_the_newest_revision(engine: Engine) -> None:
    with alembic_config(engine) as config:
        assert ScriptDirectory.from_config(config).get_current_head() == HEAD


@pytest.mark.parametrize("empty", ["sqlite", "postgres"], indirect=True)
def test_migrations_create_the_tables_of_a_new_database(empty: Callable[[], Engine]) -> None:
    old, new = migrated(empty(), "head"), empty()
    open_engine(new.url).dispose()
    assert schema(old) == schema(new)
    for engine in (old, new):
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
            assert database.revision(connection) == HEAD


@pytest.mark.parametrize("empty", ["sqlite", "postgres"], indirect=True)
def test_downgrade_and_upgrade(empty: Callable[[], Engine]) -> None:
    engine = migrated(empty(), "head")
    with alembic_config(engine) as config:
        command.downgrade(config, "base")
    assert tables(engine) == {"alembic_version"}
    for revision in (None, "0001", "0007"):
        if revision is not None:
            with alembic_config(engine) as config:
                command.downgrade(config, revision)
        open_engine(engine.url).dispose()
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
            assert database.revision(connection) == HEAD


@pytest.mark.parametrize("revision", [None, "0007"])
def test_an_upgrade_that_fails_changes_nothing(
    empty: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch, revision: str | None
) -> None:
    engine = empty()
    if revision is not None:
        migrated(engine, revision)
    before = schema(engine)
    act = "_create" if revision is None else "_migrate"
    upgrade = getattr(database, act)

    def dying(*arguments: object) -> None:
        upgrade(*arguments)
        raise ZeroDivisionError

    monkeypatch.setattr(database, act, dying)
    with pytest.raises(ZeroDivisionError):
        open_engine(engine.url)
    assert schema(engine) == before
    with engine.connect() as connection:
        assert database.revision(connection) == revision


def test_a_migration_that_copies_a_table_keeps_rows_that_refer_to_it(tmp_path: Path, engine: Engine) -> None:
    store = Store(tmp_path)
    store.add_event(store.create(GenerateRequest(prompt="a dog")).id, Stage(name="paint"))
    store.close()
    with alembic_config(engine) as config:
        operations = Operations(MigrationContext.configure(config.attributes["connection"]))
        with operations.batch_alter_table("runs", recreate="always") as batch:
            batch.add_column(Column("stars", Integer))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM runs WHERE stars IS NULL")) == 1
        assert connection.scalar(text("SELECT count(*) FROM events")) == 1
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1


def test_a_percent_sign_in_the_path_of_the_migrations(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "__file__", "/50%/database.py")
    with alembic_config(engine) as config:
        assert config.get_main_option("script_location") == "/50%/migrations"


def test_sqlite_settings(engine: Engine) -> None:
    with engine.connect() as connection:
        settings = {name: connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "foreign_keys")}
        assert settings == {"journal_mode": "wal", "foreign_keys": 1}
        assert connection.scalar(text("PRAGMA busy_timeout")) == 30_000


def test_without_a_url_it_is_the_file_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path / "50% off? #1"))
    open_engine().dispose()
    assert paths.database_file(paths.home()).is_file()


def test_a_database_is_created_and_opened_without_alembic(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from limner.store.database import *\n"
        "for _ in range(2): open_engine(sqlite_url(pathlib.Path(sys.argv[1]))).dispose()\n"
        "sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)


def test_two_processes_open_fresh_homes_at_the_same_moment(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, time, alembic.command; from limner.store.database import *\n"
        "print('ready', flush=True); start = float(sys.stdin.readline())\n"
        "for turn in range(5):\n"
        "    while time.time() < start + turn * 0.2: pass\n"
        "    open_engine(sqlite_url(pathlib.Path(sys.argv[1]) / str(turn))).dispose()"
    )
    start = [sys.executable, "-c", code, str(tmp_path)]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(start, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    moment = f"{time.time() + 0.2}\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write(moment)
        process.stdin.flush()
    for process in both:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    for turn in range(5):
        with sqlite3.connect(tmp_path / str(turn) / "limner.db") as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
        connection.close()


def test_a_newer_revision_is_named_with_the_remedy(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    with pytest.raises(LimnerError, match=r"limner\.db has revision '0999'.*; update limner, or set LIMNER_HOME"):
        open_engine(engine.url)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    paths.database_file(tmp_path).write_bytes(b"not SQL at all " * 1000)
    with pytest.raises(LimnerError, match=r"limner\.db is not a database; restore it") as caught:
        open_engine(sqlite_url(tmp_path))
    assert not isinstance(caught.value, DatabaseUnavailable), "a retry does not help"


def test_a_damaged_database(tmp_path: Path) -> None:
    open_engine(sqlite_url(tmp_path)).dispose()
    path = paths.database_file(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
    with pytest.raises(LimnerError, match=r"limner\.db is damaged; restore it"):
        open_engine(sqlite_url(tmp_path))


def test_a_database_that_stays_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    other = sqlite3.connect(paths.database_file(tmp_path), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DatabaseUnavailable, match=r"another program keeps the database .*limner\.db busy"):
        open_engine(sqlite_url(tmp_path))
    other.close()


def test_an_impossible_home(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(LimnerError, match="file should be a folder but is a file"):
        sqlite_url(tmp_path / "file")
    (tmp_path / "limner.db").mkdir()
    with pytest.raises(LimnerError, match=r"limner\.db cannot be opened; change its permissions"):
        open_engine(sqlite_url(tmp_path))


@pytest.mark.parametrize(
    ("url", "words"), [("no url", "cannot be read"), ("nosuch://secret@x/y", "no driver for 'nosuch'")]
)
def test_invalid_urls(url: str, words: str) -> None:
    with pytest.raises(LimnerError, match=words) as caught:
        open_engine(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_is_opened_by_the_installed_driver(scheme: str) -> None:
    assert database.parse_url(f"{scheme}://ann:word@host/name").drivername == "postgresql+psycopg"
    assert database.parse_url("sqlite:///a.db").drivername == "sqlite"


def test_many_processes_open_a_fresh_postgresql_at_the_same_moment(postgres_folder: str) -> None:
    url = postgres.empty(postgres_folder)
    script = f"from limner.store.database import open_engine; open_engine({url!r}).dispose()"
    opening = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(3)]
    assert [process.wait(120) for process in opening] == [0, 0, 0]


@pytest.mark.parametrize(
    "url", ["postgresql://limner:secret@127.0.0.1:9/limner", "postgresql://limner:secret@/limner?host=/nowhere"]
)
def test_an_unreachable_server_is_one_line(url: str) -> None:
    with pytest.raises(LimnerError, match=r"cannot be used .* check that it runs, and its URL") as caught:
        open_engine(url)
    assert "secret" not in str(caught.value)


class Said(Exception):
    """What a server's driver raises."""

    def __init__(self, sqlstate: str | None) -> None:
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("state", "away"),
    [
        (None, True),
        ("08006", True),  # the connection failed
        ("28P01", True),  # the password is wrong
        ("3D000", True),  # there is no such database
        ("53100", True),  # its disk is full
        ("53300", True),  # it has too many connections
        ("57P03", True),  # it is starting
        ("40001", False),  # two transactions met
        ("42P01", False),  # there is no such table
    ],
)
def test_a_server_that_refuses_to_serve_is_unavailable(state: str | None, away: bool) -> None:
    assert is_unavailable(OperationalError("SELECT 1", {}, Said(state))) is away


@pytest.mark.parametrize("empty", ["sqlite", "postgres"], indirect=True)
def test_older_images_get_their_sizes_from_their_details(empty: Callable[[], Engine]) -> None:
    details = [{"width": 512, "height": 768}, {"width": "wide", "height": 2**40}, {}]
    engine = migrated(empty(), "head")
    tables = Base.metadata.tables
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    run = {"id": "260102-000000-aaaa", "kind": "generate", "request": {}, "digest": "0" * 64, "status": "done"}
    with engine.begin() as connection:
        connection.execute(tables["runs"].insert(), run | {"created": moment})
        for number, each in enumerate(details, 1):
            own = {"id": number, "run": run["id"], "created": moment}
            file = {"kind": "picture", "path": f"/{number}.png", "sha256": "0" * 64, "details": each}
            connection.execute(tables["artifacts"].insert(), own | file)
            words = {"words": "", "negative": "", "wish": "0" * 64, "model": "starter", "owner": ""}
            connection.execute(tables["pictures"].insert(), own | words | {"width": 1, "height": 1})
    with alembic_config(engine) as config:
        command.downgrade(config, "0010")
    migrated(engine, "head")
    images = tables["pictures"].columns
    with engine.connect() as connection:
        rows = connection.execute(select(images.width, images.height, images.colour).order_by(images.id)).all()
    assert [tuple(row) for row in rows] == [(512, 768, None), (None, None, None), (None, None, None)]
