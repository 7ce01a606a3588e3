"""Writes what an import reads into a library of prompts: each row of each file of its source once.

Rows and how far their file was read are one transaction. So a program that is killed leaves nothing twice and loses
nothing, and rows that are equal but stand in several places are told from rows that are read again.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from limner.core.prompt_records import LibraryFacts, PromptRecord
from limner.store.prompt_libraries import PromptLibrary
from limner.store.prompt_tables import IMAGE_COLUMNS, signed
from limner.store.search.index import text_hash

_AT_ONCE = 500
"""Parameters of one query."""


@dataclass
class FileRows:
    """What was read of a file. anew: what was read of it before is replaced. done: rows that were read, all in all."""

    name: str
    stamp: str
    anew: bool
    done: int
    complete: bool = False
    skipped: int = 0
    records: list[PromptRecord] = field(default_factory=list[PromptRecord])
    is_image: bool = False


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What a library knows of a file of its source."""

    stamp: str
    done: int
    complete: bool


class LibraryWriter:
    """Writes into a library, in transactions."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        with database:
            database.execute("update state set round = round + 1")
        (self._round,) = database.execute("select round from state").fetchone()

    def file(self, name: str) -> KnownFile | None:
        """What is known of a file; None for a new one."""
        query = "select stamp, done, complete from files where name = ?"
        row = self._database.execute(query, (name,)).fetchone()
        return None if row is None else KnownFile(row[0], row[1], bool(row[2]))

    def has_image(self, path: str) -> bool:
        """Whether an image is in the library, from whatever file."""
        query = "select 1 from images where key = ? limit 1"
        return self._database.execute(query, (_image_key(path),)).fetchone() is not None

    def new_texts(self, texts: Iterable[str]) -> list[str]:
        """The first text of each prompt that the library does not have."""
        found = {signed(text_hash(text)): text for text in reversed([*texts])}
        keys = [*found]
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            query = f"select hash from prompts where hash in ({','.join('?' * len(some))})"
            for (key,) in self._database.execute(query, some):
                del found[key]
        return [*reversed(found.values())]

    def save(self, files: Sequence[FileRows], refused: Iterable[str], seen: Iterable[str] = ()) -> None:
        """Add what was read of files. refused: those of the `new_texts` that are. seen: names of files as they were.

        Only a change of prompts or images makes the index stale.
        """
        hidden = {*refused}
        with self._database as database:
            for file in files:
                number = self._begin(file)
                self._add(file.records, number, hidden)
                database.execute(
                    "update files set stamp = ?, done = ?, skipped = skipped + ?, complete = ?, round = ? where id = ?",
                    (file.stamp, file.done, file.skipped, file.complete, self._round, number),
                )
            names = ((self._round, name) for name in seen)
            database.executemany("update files set round = ? where name = ?", names)

    def forget_missing(self, are_images: bool) -> int:
        """Forget the files that this import did not see, with their images; returns how many there were.

        are_images: of the image files, or of the others.
        """
        with self._database as database:
            which = "from files where round < ? and is_image = ?"
            missing = database.execute(f"select id {which}", (self._round, are_images)).fetchall()
            for (number,) in missing:
                self._forget(number)
            database.execute(f"delete {which}", (self._round, are_images))
        return len(missing)

    def drop_unused(self) -> None:
        """Delete prompts that have no image any more. Until then those that come again keep their numbers."""
        with self._database as database:
            if database.execute("select unused from state").fetchone()[0]:
                database.execute(
                    "delete from prompts where not exists (select 1 from images where prompt = prompts.id)"
                )
                database.execute("update state set unused = 0")

    def _begin(self, file: FileRows) -> int:
        """The number of a file, without its old images where it is read anew."""
        self._database.execute(
            "insert or ignore into files (name, is_image, stamp, done, skipped, complete, round) "
            "values (?, ?, '', 0, 0, 0, 0)",
            (file.name, file.is_image),
        )
        (number,) = self._database.execute("select id from files where name = ?", (file.name,)).fetchone()
        if file.anew:
            self._forget(number)
        return number

    def _add(self, records: Sequence[PromptRecord], file: int, refused: set[str]) -> None:
        if not records:
            return
        database = self._database
        keys = [signed(text_hash(record.prompt)) for record in records]
        found = [*zip(keys, records, strict=True)]
        hidden = ((key, each.prompt, each.prompt in refused, each.prompt in refused) for key, each in found)
        database.executemany("insert or ignore into prompts (hash, text, refused, unsafe) values (?, ?, ?, ?)", hidden)
        marked = [(key,) for key, record in found if record.unsafe]
        database.executemany("update prompts set unsafe = 1 where hash = ?", marked)
        marks = ", ".join("?" * len(IMAGE_COLUMNS))
        database.executemany(
            f"insert into images (prompt, file, key, unsafe, {', '.join(IMAGE_COLUMNS)}) "
            f"select id, ?, ?, ?, {marks} from prompts where hash = ? "
            "on conflict (key, prompt, file) where key is not null do update set unsafe = max(unsafe, excluded.unsafe)",
            ((file, _image_key(each.image), each.unsafe, *_stored(each), key) for key, each in found),
        )
        database.execute("update state set stale = 1")

    def _forget(self, file: int) -> None:
        """Delete the images of a file; `drop_unused` deletes the prompts that have no other."""
        database = self._database
        prompts = database.execute("select distinct prompt from images where file = ?", (file,)).fetchall()
        database.execute("delete from images where file = ?", (file,))
        database.execute("update files set done = 0, skipped = 0, complete = 0 where id = ?", (file,))
        if not prompts:
            return
        database.executemany(
            "update prompts set unsafe = refused or exists (select 1 from images where prompt = prompts.id and unsafe) "
            "where id = ?",
            prompts,
        )
        database.execute("update state set stale = 1, unused = 1")


@contextmanager
def writing(library: PromptLibrary) -> Generator[LibraryWriter]:
    """A writer of a library. Raises LimnerError for errors of the disk. The caller holds its lock."""
    with library.connected() as database:
        database.execute("pragma synchronous = full")
        yield LibraryWriter(database)


def _image_key(image: str) -> int | None:
    """A number for the path or URL of an image; None for a bare name, which others may have."""
    if not (os.path.isabs(image) or "://" in image):
        return None
    return signed(int.from_bytes(hashlib.sha256(image.encode("utf-8", "surrogateescape")).digest()[:8], "big"))


def _stored(record: PromptRecord) -> list[Any]:
    values = [getattr(record, column) for column in IMAGE_COLUMNS]
    return [*map(_stored_value, values)]


def _stored_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return signed(value) if isinstance(value, int) else value


def fill(library: PromptLibrary, records: Sequence[PromptRecord], stamp: str | None = None) -> LibraryFacts:
    """Fill a library with records that are of no file, and mark it as complete; returns what is known of it then.

    stamp: of what the records are. They replace those of another stamp, and are not written again with the same one.
    Without it, they are added.
    """
    with writing(library) as writer:
        known = writer.file("")
        if known is None or stamp is None or known.stamp != stamp:
            anew = known is not None and stamp is not None
            writer.save([FileRows("", stamp or "", anew, len(records), complete=True, records=[*records])], ())
            writer.drop_unused()
    facts = replace(library.counted(library.facts), complete=True)
    library.save(facts)
    return facts
