"""Restores a backup. All of it is checked before anything is written, because it may be damaged or forged."""

from __future__ import annotations

import hashlib
import os
import re
import struct
import tempfile
import zipfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, StatementError

from limner.core.errors import LimnerError
from limner.core.events import Emit, Progress, Stage
from limner.core.files import check_file
from limner.store.backup import MANIFEST, TABLES, Manifest
from limner.store.blobs import CHUNK_BYTES, Blobs
from limner.store.database import HEAD
from limner.store.files import atomic_file, translate_disk_errors
from limner.store.manifests import is_safe_name
from limner.store.paths import credentials_folder
from limner.store.rows import advance_sequences, delete_all, insert_rows, link_rows, parse_row, self_references
from limner.store.runs import Store

MANIFEST_BYTES = 16 * 2**20
LINE_BYTES = 64 * 2**20
CREDENTIAL_BYTES = 16 * 2**20
_FILE = re.compile(r"files/([0-9a-f]{64})")


def restore_backup(store: Store, blobs: Blobs, path: Path, replace: bool, emit: Emit) -> None:
    """Restore a backup: files first, then all rows in one transaction, so that no row refers to a missing file.

    Raises LimnerError for a damaged backup, for one of a newer version, and if there are rows or other credentials
    already and `replace` is False.
    """
    with _opened(path) as archive:
        manifest = _checked(archive, emit)
        _check_credentials(archive, manifest, credentials_folder(store.home))
        if not replace:
            _refuse_to_overwrite(store, archive, manifest)
        _restore_files(archive, blobs, emit)
        for name in manifest.hashes:
            if name.startswith("credentials/"):
                _restore_credential(archive, name, credentials_folder(store.home) / name.partition("/")[2])
        _restore_rows(store, archive, manifest, replace)


@contextmanager
def _opened(path: Path) -> Generator[zipfile.ZipFile]:
    """The archive; errors of zipfile are raised as LimnerError."""
    check_file(path)
    with translate_disk_errors(path):
        try:
            with zipfile.ZipFile(path) as archive:
                yield archive
        except LimnerError:
            raise
        # zipfile raises RuntimeError for encrypted members, and the others for impossible offsets and sizes.
        except (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, struct.error) as error:
            raise _damaged(f"cannot be read ({error})") from error


def _damaged(problem: str) -> LimnerError:
    """The error for a backup with a problem."""
    return LimnerError(f"the backup {problem}; it is damaged, or not a backup of Limner", "use another one")


def _checked(archive: zipfile.ZipFile, emit: Emit) -> Manifest:
    """The manifest, after every part was checked against it."""
    members = archive.infolist()
    emit(Stage(name="checking", total=len(members)))
    if len({member.filename for member in members}) < len(members):
        raise _damaged("holds two parts of one name")
    if sum(member.compress_size for member in members) > os.fstat(cast(IO[bytes], archive.fp).fileno()).st_size:
        raise _damaged("holds parts that share their bytes")
    try:
        manifest = Manifest.model_validate_json(_read(archive, MANIFEST, MANIFEST_BYTES))
    except ValidationError as error:
        raise _damaged(f"has a {MANIFEST} that cannot be read") from error
    if manifest.format != 1 or manifest.revision > HEAD or not manifest.rows.keys() <= TABLES.keys():
        raise LimnerError("the backup is of a newer version of Limner", "update limner")
    files = 0
    for done, member in enumerate(members, 1):
        files += _check_member(archive, member, manifest)
        emit(Progress(done=done))
    parts = {member.filename for member in members}
    if files != manifest.files or not manifest.hashes.keys() <= parts:
        raise _damaged("is not whole")
    if {f"rows/{name}.jsonl" for name in manifest.rows} - manifest.hashes.keys():
        raise _damaged("lacks a table")
    for name, expected in manifest.rows.items():
        with archive.open(f"rows/{name}.jsonl") as source:
            if sum(bool(parse_row(TABLES[name], line)) for line in _lines(source)) != expected:
                raise _damaged(f"has not all rows of {name}")
    return manifest


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, manifest: Manifest) -> bool:
    """Whether a member is a stored file. Raises LimnerError unless it is a valid part with the expected hash."""
    name = member.filename
    file = _FILE.fullmatch(name)
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
        raise _damaged(f"holds {name[:80]!r}, which is compressed")
    if file is None and name != MANIFEST and not _is_part(name):
        raise _damaged(f"holds {name[:80]!r}")
    expected = file[1] if file else manifest.hashes.get(name)
    if name != MANIFEST and _hash(archive, name) != expected:
        raise _damaged(f"holds {name[:80]!r} with other bytes than it had")
    return file is not None


def _is_part(name: str) -> bool:
    """Whether a member's name is that of the rows of a table, or of a credential."""
    folder, _, rest = name.partition("/")
    return (folder == "rows" and rest.removesuffix(".jsonl") in TABLES and rest.endswith(".jsonl")) or (
        folder == "credentials" and is_safe_name(rest)
    )


def _hash(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as source:
        return hashlib.file_digest(source, "sha256").hexdigest()  # pyright: ignore[reportArgumentType]


def _read(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The bytes of a member. Raises LimnerError if it is missing, or has more than `most`."""
    try:
        with archive.open(name) as source:
            body = source.read(most + 1)
    except KeyError as error:
        raise _damaged(f"lacks {name}") from error
    if len(body) > most:
        raise _damaged(f"has a {name} of more than {most:,} bytes")
    return body


def _check_credentials(archive: zipfile.ZipFile, manifest: Manifest, folder: Path) -> None:
    """Raise LimnerError if not all credentials can be written into the folder."""
    names = [name for name in manifest.hashes if name.startswith("credentials/")]
    folders = {str(above) for name in names for above in PurePosixPath(name).parents}
    for name in names:
        if name in folders:
            raise _damaged(f"holds {name[:80]!r} as a file and as a folder")
        if archive.getinfo(name).file_size > CREDENTIAL_BYTES:
            raise _damaged(f"has a {name[:80]} of more than {CREDENTIAL_BYTES:,} bytes")
        place = folder / name.partition("/")[2]
        if place.is_dir():
            raise LimnerError(f"{name[:80]!r} is a file in the backup and a folder here", f"move {place} away")
        for above in place.relative_to(folder.parent).parents:
            if (at := folder.parent / above).exists() and not at.is_dir():
                raise LimnerError(f"{name[:80]!r} needs a folder where there is a file", f"move {at} away")


def _refuse_to_overwrite(store: Store, archive: zipfile.ZipFile, manifest: Manifest) -> None:
    """Raise LimnerError if the database has rows, or a credential exists with other content."""
    with store.session() as session:
        rows = sum(session.scalar(select(func.count()).select_from(table)) or 0 for table in TABLES.values())
    if rows:
        raise LimnerError(
            f"the database is not empty ({rows:,} rows)",
            "set LIMNER_HOME to an empty folder, or give --replace to delete what is here",
        )
    for name in manifest.hashes:
        place = credentials_folder(store.home) / name.partition("/")[2]
        here = name.startswith("credentials/") and place.is_file()
        if here and place.read_bytes() != _read(archive, name, CREDENTIAL_BYTES):
            raise LimnerError(f"there is another {name} here already", "move it away, or give --replace to delete it")


def _restore_files(archive: zipfile.ZipFile, blobs: Blobs, emit: Emit) -> None:
    files = [found for name in archive.namelist() if (found := _FILE.fullmatch(name))]
    emit(Stage(name="files", total=len(files)))
    for done, found in enumerate(files, 1):
        with tempfile.TemporaryDirectory() as folder:
            partial = Path(folder) / found[1]
            with translate_disk_errors(partial), archive.open(found[0]) as source, partial.open("wb") as target:
                while piece := source.read(CHUNK_BYTES):
                    target.write(piece)
            if blobs.put(partial) != found[1]:
                raise _damaged("changed while it was read")
        emit(Progress(done=done))


def _restore_credential(archive: zipfile.ZipFile, name: str, place: Path) -> None:
    body = _read(archive, name, CREDENTIAL_BYTES)
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with atomic_file(place) as partial:
        partial.touch(0o600)
        partial.write_bytes(body)


def _restore_rows(store: Store, archive: zipfile.ZipFile, manifest: Manifest, replace: bool) -> None:
    try:
        with store.writing() as session:
            connection = session.connection()
            if replace:
                delete_all(connection)
            for name, table in TABLES.items():
                if name in manifest.rows:
                    with archive.open(f"rows/{name}.jsonl") as source:
                        insert_rows(connection, table, _lines(source))
                    if self_references(table):
                        with archive.open(f"rows/{name}.jsonl") as source:
                            link_rows(connection, table, _lines(source))
            advance_sequences(connection)
    except (IntegrityError, StatementError) as error:
        raise _damaged("has rows that do not fit together") from error


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    while line := source.readline(LINE_BYTES):
        if not line.endswith(b"\n"):
            raise _damaged("has an incomplete row")
        yield line
