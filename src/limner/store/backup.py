"""Writes a backup: all rows of the database, all stored files and the credentials, in one archive.

The archive is an uncompressed zip: images do not shrink, and a forged one cannot unpack to more than its own size. It
holds `rows/TABLE.jsonl`, `files/SHA256`, `credentials/NAME`, and `limner.json`, which is written last and has the hash
of every part except the files, whose names are their hashes.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from base64 import b64encode
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, Table, select

from limner.core.errors import LimnerError, Unavailable
from limner.core.events import Emit, Notice, Progress, Stage
from limner.store.blobs import CHUNK_BYTES, Blobs
from limner.store.database import HEAD
from limner.store.files import atomic_file, translate_disk_errors
from limner.store.paths import credentials_folder
from limner.store.runs import Store
from limner.store.tables import RunRow

TABLES = {table.name: table for table in RunRow.metadata.sorted_tables}
"""By name; a table comes after the tables that it refers to."""
MANIFEST = "limner.json"
EPOCH = (1980, 1, 1, 0, 0, 0)
READ_ROWS = 500
"""Rows that are read from the database at once."""


class Manifest(BaseModel):
    """The content of `limner.json`. revision: of the tables. rows: number by table. hashes: by part name."""

    model_config = ConfigDict(extra="forbid")

    format: int = 1
    revision: str
    rows: dict[str, int]
    files: int
    hashes: dict[str, str]


def write_backup(store: Store, blobs: Blobs, path: Path, emit: Emit) -> None:
    """Write the archive atomically, readable only by its owner. All rows are of one moment."""
    hashes: dict[str, str] = {}
    rows: dict[str, int] = {}
    files = 0
    with atomic_file(path) as partial, _private(partial) as out, zipfile.ZipFile(out, "w") as archive:
        emit(Stage(name="database", total=len(TABLES)))
        with store.snapshot() as connection:
            for done, table in enumerate(TABLES.values(), 1):
                name = f"rows/{table.name}.jsonl"
                rows[table.name], hashes[name] = _write_rows(archive, name, connection, table)
                emit(Progress(done=done))
        for file in _credentials(store.home):
            name = f"credentials/{file.relative_to(credentials_folder(store.home)).as_posix()}"
            with translate_disk_errors(file), file.open("rb") as source:
                hashes[name] = _write(archive, name, iter(lambda source=source: source.read(CHUNK_BYTES), b""))
        stored = list(blobs)
        emit(Stage(name="files", total=len(stored)))
        for done, blob in enumerate(stored, 1):
            files += _write_file(archive, blobs, blob.sha256, emit)
            emit(Progress(done=done))
        manifest = Manifest(revision=HEAD, rows=rows, files=files, hashes=hashes)
        _write(archive, MANIFEST, [json.dumps(manifest.model_dump()).encode()])


def _write_rows(archive: zipfile.ZipFile, name: str, connection: Connection, table: Table) -> tuple[int, str]:
    """Add the rows of a table; returns their number and the SHA-256 of the part."""
    count = 0

    def lines() -> Iterator[bytes]:
        nonlocal count
        for line in _rows(connection, table):
            count += 1
            yield line

    sha256 = _write(archive, name, lines())
    return count, sha256


def _rows(connection: Connection, table: Table) -> Iterator[bytes]:
    """The rows of a table as lines of JSON, ordered by primary key, the same from SQLite and PostgreSQL."""
    found = connection.execution_options(yield_per=READ_ROWS).execute(select(table).order_by(*table.primary_key))
    for row in found.mappings():
        yield json.dumps({name: _plain(value) for name, value in row.items()}, sort_keys=True).encode() + b"\n"


def _plain(value: Any) -> Any:
    """A value as JSON can hold it: times in ISO 8601, bytes in base64."""
    if isinstance(value, datetime):
        return value.isoformat()
    return b64encode(value).decode() if isinstance(value, bytes) else value


def _write_file(archive: zipfile.ZipFile, blobs: Blobs, sha256: str, emit: Emit) -> bool:
    """Add a stored file; returns whether it still existed. Raises LimnerError for a damaged one."""
    try:
        with blobs.open(sha256) as source:
            found = _write(archive, f"files/{sha256}", iter(lambda: source.read(CHUNK_BYTES), b""))
    except Unavailable:
        raise
    except LimnerError:
        emit(Notice(text=f"the file {sha256[:12]} was erased meanwhile", level="warning"))
        return False
    if found != sha256:
        raise LimnerError(
            f"the stored file {sha256} is damaged", f"delete it with limner erase sha256:{sha256} --derived"
        )
    return True


def _write(archive: zipfile.ZipFile, name: str, pieces: Iterable[bytes]) -> str:
    """Add a member to the archive; returns its SHA-256."""
    total = hashlib.sha256()
    with archive.open(zipfile.ZipInfo(name, EPOCH), "w", force_zip64=True) as target:
        for piece in pieces:
            total.update(piece)
            target.write(piece)
    return total.hexdigest()


def _credentials(home: Path) -> list[Path]:
    folder = credentials_folder(home)
    return sorted(file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


@contextmanager
def _private(path: Path) -> Generator[IO[bytes]]:
    """A new file that only its owner can read."""
    with cast(IO[bytes], os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b")) as file:
        yield file
