"""The whole state of a home in one archive: what the database tells, the kept files and the credentials.

The archive is a zip that compresses nothing: pictures do not shrink, and nothing in it can unpack to more than it is.
It holds `rows/TABLE.jsonl`, `files/SHA256`, `credentials/NAME`, and `limner.json`, which is written last and tells the
hash of each but the files, whose names are theirs.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from limner.core.errors import LimnerError, Unavailable
from limner.core.events import Emit, Notice, Progress, Stage
from limner.store.blobs import CHUNK_BYTES, Blobs
from limner.store.database import HEAD
from limner.store.files import atomic_file, translate_disk_errors
from limner.store.paths import credentials_folder
from limner.store.rows import TABLES, rows_of
from limner.store.runs import Store

MANIFEST = "limner.json"
EPOCH = (1980, 1, 1, 0, 0, 0)


class Manifest(BaseModel):
    """What a backup says of itself. revision: of the tables. rows: how many each has. hashes: of each part by name."""

    model_config = ConfigDict(extra="forbid")

    format: int = 1
    revision: str
    rows: dict[str, int]
    files: int
    hashes: dict[str, str]


def write_backup(store: Store, blobs: Blobs, place: Path, emit: Emit) -> None:
    """Write the archive, whole or not at all, for its owner's eyes only; what the database tells is of one moment."""
    hashes: dict[str, str] = {}
    rows: dict[str, int] = {}
    files = 0
    with atomic_file(place) as partial, _private(partial) as out, zipfile.ZipFile(out, "w") as archive:
        emit(Stage(name="database", total=len(TABLES)))
        with store.reading() as connection:
            for done, table in enumerate(TABLES.values(), 1):
                name = f"rows/{table.name}.jsonl"
                rows[table.name], hashes[name] = _write_rows(archive, name, connection, table.name)
                emit(Progress(done=done))
        for file in _credentials(store.home):
            name = f"credentials/{file.relative_to(credentials_folder(store.home)).as_posix()}"
            with translate_disk_errors(file), file.open("rb") as source:
                hashes[name] = _write(archive, name, iter(lambda source=source: source.read(CHUNK_BYTES), b""))
        kept = list(blobs)
        emit(Stage(name="files", total=len(kept)))
        for done, blob in enumerate(kept, 1):
            files += _write_file(archive, blobs, blob.sha256, emit)
            emit(Progress(done=done))
        manifest = Manifest(revision=HEAD, rows=rows, files=files, hashes=hashes)
        _write(archive, MANIFEST, [json.dumps(manifest.model_dump()).encode()])


def _write_rows(archive: zipfile.ZipFile, name: str, connection: Connection, table: str) -> tuple[int, str]:
    count = 0

    def lines() -> Iterator[bytes]:
        nonlocal count
        for line in rows_of(connection, TABLES[table]):
            count += 1
            yield line

    sha256 = _write(archive, name, lines())
    return count, sha256


def _write_file(archive: zipfile.ZipFile, blobs: Blobs, sha256: str, emit: Emit) -> bool:
    """Add a kept file; whether it was still there."""
    try:
        with blobs.open(sha256) as source:
            found = _write(archive, f"files/{sha256}", iter(lambda: source.read(CHUNK_BYTES), b""))
    except Unavailable:
        raise
    except LimnerError:
        emit(Notice(text=f"the file {sha256[:12]} was erased meanwhile", level="warning"))
        return False
    if found != sha256:
        raise LimnerError(f"the kept file {sha256} is damaged", f"limner erase sha256:{sha256} --derived lets go of it")
    return True


def _write(archive: zipfile.ZipFile, name: str, pieces: Iterable[bytes]) -> str:
    """Add a member; its SHA-256."""
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
def _private(place: Path) -> Generator[IO[bytes]]:
    """A new file that only its owner may read."""
    with cast(IO[bytes], os.fdopen(os.open(place, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b")) as file:
        yield file
