"""A PostgreSQL server for the tests, started from the programs that are installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest


def program(name: str) -> str | None:
    """Where a program of PostgreSQL is: on the path, or where Debian keeps those of each version."""
    return shutil.which(name) or max(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default=None)


@contextmanager
def server() -> Iterator[str]:
    """The folder of its socket. It listens to nobody else, and takes no care to survive a crash of the machine."""
    psycopg = pytest.importorskip("psycopg")
    initdb, postgres = program("initdb"), program("postgres")
    if initdb is None or postgres is None:
        pytest.skip("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(prefix="limner-pg-"))
    own: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    if os.geteuid() == 0:  # which it refuses to run as
        shutil.chown(folder, "postgres", "postgres")
        own |= {"user": "postgres", "group": "postgres"}
    try:
        data = str(folder / "data")
        subprocess.run([initdb, "-D", data, "-U", "limner", "-A", "trust", "-E", "UTF8", "-N"], check=True, **own)
        running = subprocess.Popen(
            [postgres, "-D", data, "-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off"], **own
        )
        try:
            until = time.monotonic() + 60
            while True:
                with suppress(psycopg.OperationalError):
                    psycopg.connect(host=str(folder), user="limner", dbname="postgres").close()
                    break
                assert running.poll() is None and time.monotonic() < until, "PostgreSQL did not start"
                time.sleep(0.02)
            yield str(folder)
        finally:
            running.send_signal(signal.SIGQUIT)  # an "immediate" end, which writes nothing down
            running.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fresh(folder: str) -> str:
    """The URL of a new database with Limner's tables and no rows."""
    return _create(folder, _template(folder))


def empty(folder: str) -> str:
    """The URL of a new database without tables."""
    return _create(folder, "template1")


@cache
def _template(folder: str) -> str:
    """The name of a database that is copied for each test."""
    from limner.store.database import open_engine

    url = empty(folder)
    open_engine(url).dispose()
    return url.split("/")[3].partition("?")[0]


def _create(folder: str, template: str) -> str:
    import psycopg

    name = f"t{time.monotonic_ns()}"
    with psycopg.connect(host=folder, user="limner", dbname="postgres", autocommit=True) as connection:
        quickly = " STRATEGY FILE_COPY" if connection.info.server_version >= 150_000 else ""  # before, the only one
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"{quickly}'.encode())
    return f"postgresql://limner@/{name}?host={folder}"
