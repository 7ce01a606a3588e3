"""Libraries of prompts: one SQLite file each, in a folder of its own, so that one is removed as a whole.

They are the truth of the search index, which can be built again from them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError, Unavailable
from limner.core.prompt_records import LibraryFacts, PromptRecord
from limner.store.files import atomic_file, make_folder
from limner.store.prompt_tables import FIRST, IMAGE_COLUMNS, TABLES, VERSION, unsigned
from limner.store.removal import remove
from limner.store.search.table import ImageSettings, IndexedPrompt

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
FACTS, DATABASE, IMAGES = "library.json", "prompts.sqlite", "images"
SHOWN_IMAGES = 100
"""Most images of a prompt that are read at once."""


class PromptLibrary:
    """One library in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def facts(self) -> LibraryFacts:
        """What is known of it, with what it has now. Raises LimnerError if there is no such library."""
        try:
            facts = LibraryFacts(**json.loads((self.folder / FACTS).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise LimnerError(
                f"there is no library {self.folder.name!r}", "`limner discover list` lists them"
            ) from error
        if not facts.complete:
            with suppress(LimnerError):  # a damaged one is listed too
                return self.counted(facts)
        return facts

    def save(self, facts: LibraryFacts) -> None:
        """Write what is known of it."""
        with atomic_file(self.folder / FACTS) as partial:
            partial.write_text(json.dumps(asdict(facts), ensure_ascii=False), encoding="utf-8")

    def counted(self, facts: LibraryFacts) -> LibraryFacts:
        """The facts with the numbers of prompts, images, unsafe prompts and skipped rows that it has now."""
        with self.connected() as database:
            prompts, unsafe = database.execute("select count(*), coalesce(sum(unsafe), 0) from prompts").fetchone()
            (images,) = database.execute(
                "select (select count(*) from images where key is null and image != '') + "
                "(select count(*) from (select distinct key, prompt from images where key is not null and image != ''))"
            ).fetchone()
            (skipped,) = database.execute("select coalesce(sum(skipped), 0) from files").fetchone()
        return replace(facts, prompts=prompts, images=images, unsafe=unsafe, skipped=skipped)

    def is_indexed(self, last: int) -> bool:
        """Whether the index has what it has now. last: the greatest number of its prompts in the index."""
        with self.connected() as database:
            (newest,) = database.execute("select coalesce(max(id), 0) from prompts").fetchone()
            return not _is_stale(database) and last >= newest

    @property
    def is_stale(self) -> bool:
        """Whether its prompts in the index may be others than it has now, so that all are indexed again."""
        with self.connected() as database:
            return _is_stale(database)

    def begin_index(self) -> None:
        """Note that the index has none of its prompts, and gets them from the first on."""
        with self.connected() as database, database:
            database.execute("update state set stale = 0")

    def prompts(self, after: int, limit: int, owner: str = "") -> list[IndexedPrompt]:
        """Its prompts for the search index, in the order of their numbers, from the one after a number on."""
        with self.connected() as database:
            rows = database.execute(
                "select id, text, unsafe from prompts where id > ? order by id limit ?", (after, limit)
            ).fetchall()
            if not rows:
                return []
            images: dict[int, list[ImageSettings]] = {}
            for prompt, *values in database.execute(
                "select prompt, model, adapter, sampler, coalesce(width, 0), coalesce(height, 0), coalesce(steps, 0), "
                "coalesce(guidance, 0), created, coalesce(stars, 0) from images where prompt > ? and prompt <= ? "
                f"and {FIRST} order by prompt, rowid",
                (after, rows[-1][0]),
            ):
                *settings, created, stars = values
                day = None if created is None else datetime.fromisoformat(created).date()
                images.setdefault(prompt, []).append(ImageSettings(*settings, day=day, stars=stars))
            name = self.folder.name
            return [
                IndexedPrompt(name, number, text, owner, bool(unsafe), images.get(number, ()))
                for number, text, unsafe in rows
            ]

    def with_images(self, after: int, last: int, limit: int) -> list[int]:
        """The numbers of its prompts that name an image, after one number and up to another, in their order."""
        with self.connected() as database:
            query = "select distinct prompt from images where prompt > ? and prompt <= ? and image != '' "
            return [row[0] for row in database.execute(f"{query}order by prompt limit ?", (after, last, limit))]

    def records(self, prompts: Iterable[int]) -> dict[int, tuple[list[PromptRecord], int]]:
        """The first images of prompts, and how many there are, by the numbers of those that it has."""
        found: dict[int, tuple[list[PromptRecord], int]] = {}
        columns = ", ".join(IMAGE_COLUMNS)
        some = f"select {columns} from images where prompt = ? and {FIRST} order by image = '', rowid limit ?"
        with self.connected() as database:
            for prompt in prompts:
                row = database.execute("select text, unsafe from prompts where id = ?", (prompt,)).fetchone()
                if row is None:
                    continue
                text, unsafe = row
                rows = database.execute(some, (prompt, SHOWN_IMAGES)).fetchall()
                count = len(rows)
                if count == SHOWN_IMAGES:
                    query = f"select count(*) from images where prompt = ? and {FIRST}"
                    (count,) = database.execute(query, (prompt,)).fetchone()
                found[prompt] = [PromptRecord(text, **_read(values), unsafe=bool(unsafe)) for values in rows], count
        return found

    @contextmanager
    def connected(self) -> Generator[sqlite3.Connection]:
        """A connection with its database. Raises LimnerError for errors of the disk and for a damaged file."""
        with explained(self.folder):
            database = sqlite3.connect(self.folder / DATABASE, timeout=60)
            try:
                (version,) = database.execute("pragma user_version").fetchone()
                if version == 0:
                    database.execute("pragma journal_mode = wal")
                    database.executescript(TABLES)
                elif version != VERSION:
                    raise _unusable(self.folder, "was made by another version of Limner")
                yield database
            finally:
                database.close()


class PromptLibraries:
    """All libraries of a home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __iter__(self) -> Iterator[PromptLibrary]:
        """The libraries by name."""
        found = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        return (PromptLibrary(each) for each in found if (each / FACTS).is_file())

    def image_root(self, name: str, source: str) -> str:
        """The file or folder in whose folder the images of a library lie: its source, or a folder of its own."""
        return source if os.path.isabs(source) else str(self.folder / name / IMAGES)

    def __contains__(self, name: str) -> bool:
        return NAME.fullmatch(name) is not None and (self.folder / name / FACTS).is_file()

    def get(self, name: str) -> PromptLibrary:
        """A library by its name. Raises LimnerError if there is none."""
        library = PromptLibrary(self.folder / checked_name(name))
        if name not in self:
            raise LimnerError(f"there is no library {name!r}", "`limner discover list` lists them")
        return library

    def create(self, facts: LibraryFacts) -> PromptLibrary:
        """A new library, or the one with this name, if it is from the same source. Raises LimnerError otherwise.

        A known library gets a licence and columns that are given.
        """
        library = PromptLibrary(self.folder / checked_name(facts.name))
        if re.search("[\ud800-\udfff]", facts.source):
            raise LimnerError(f"the source {facts.source!r} has bytes that are no UTF-8", "rename it")
        if facts.name in self:
            known = library.facts
            remedy = f"choose another --name, or remove it: limner discover remove {facts.name}"
            if known.owner != facts.owner:
                raise LimnerError(f"the name {facts.name!r} is taken", "choose another --name")
            if known.source != facts.source:
                raise LimnerError(f"library {facts.name!r} is of {known.source!r}", remedy)
            new = replace(known, licence=facts.licence or known.licence, columns=facts.columns or known.columns)
            if new != known:
                library.save(new)
            return library
        remove(library.folder, self.folder)  # what a killed removal left
        make_folder(library.folder)
        library.save(replace(facts, prompts=0, images=0, unsafe=0, skipped=0, complete=False))
        return library

    def remove(self, name: str) -> None:
        """Delete a library. Raises LimnerError if there is none."""
        library = self.get(name)
        with explained(library.folder):
            remove(library.folder / FACTS, self.folder)  # first: a program that is killed now leaves no half of it
            with suppress(FileNotFoundError):
                remove(library.folder, self.folder)


def checked_name(name: str) -> str:
    """A name of a library. Raises LimnerError for any other text."""
    if not NAME.fullmatch(name):
        raise LimnerError(f"{name[:80]!r} is no name of a library", "use up to 64 of a-z, 0-9, ., _ and -")
    return name


@contextmanager
def explained(folder: Path) -> Generator[None]:
    """Turn SQLite's errors with the file of a library into a LimnerError."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and not shutil.disk_usage(folder).free):
            raise Unavailable(
                f"no space is left to write {str(folder)!r}", "free some disk space, then repeat the command"
            ) from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise _unusable(folder, "is damaged") from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            problem = f"library {folder.name!r} is being written by another program"
            raise Unavailable(problem, "try again when that ends") from error
        if not isinstance(error, sqlite3.OperationalError):
            raise
        raise Unavailable(
            f"{str(folder)!r} cannot be read or written ({error})", "check the disk and its permissions"
        ) from error


def _unusable(folder: Path, why: str) -> LimnerError:
    remedy = f"remove it and add it again: limner discover remove {folder.name}"
    return LimnerError(f"library {folder.name!r} {why}", remedy)


def _is_stale(database: sqlite3.Connection) -> bool:
    return bool(database.execute("select stale from state").fetchone()[0])


def _read(values: Sequence[Any]) -> dict[str, Any]:
    found = dict(zip(IMAGE_COLUMNS, values, strict=True))
    return found | {
        "seed": None if found["seed"] is None else unsigned(found["seed"]),
        "created": None if found["created"] is None else datetime.fromisoformat(found["created"]),
    }
