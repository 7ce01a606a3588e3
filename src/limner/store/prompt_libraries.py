"""Libraries of prompts: one SQLite file each, in a folder of its own, so that one is removed as a whole.

They are the truth of the search index, which can be built again from them.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.prompt_records import LibraryFacts, PromptRecord
from limner.store.files import atomic_file, make_folder
from limner.store.removal import remove
from limner.store.search.index import text_hash
from limner.store.search.table import ImageSettings, IndexedPrompt

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
FACTS, DATABASE = "library.json", "prompts.sqlite"
SHOWN_IMAGES = 100
"""Most images of a prompt that are read at once."""
_TABLES = """
create table if not exists prompts (
    id integer primary key, hash integer not null unique, text text not null, negative text not null,
    unsafe integer not null);
create table if not exists images (
    prompt integer not null, image text not null, model text not null, adapter text not null, sampler text not null,
    width integer, height integer, steps integer, guidance real, seed integer, stars integer, created text);
create index if not exists images_prompt on images (prompt);
create table if not exists progress (only integer primary key check (only = 1), place text not null);
"""
_IMAGE_COLUMNS = (
    "image",
    "model",
    "adapter",
    "sampler",
    "width",
    "height",
    "steps",
    "guidance",
    "seed",
    "stars",
    "created",
)


class PromptLibrary:
    """One library in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def facts(self) -> LibraryFacts:
        """What is known of it. Raises LimnerError if there is no such library."""
        try:
            return LibraryFacts(**json.loads((self.folder / FACTS).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise LimnerError(
                f"there is no library {self.folder.name!r}", "`limner discover list` lists them"
            ) from error

    def save(self, facts: LibraryFacts) -> None:
        """Write what is known of it."""
        with atomic_file(self.folder / FACTS) as partial:
            partial.write_text(json.dumps(asdict(facts), ensure_ascii=False), encoding="utf-8")

    def add(self, records: Sequence[PromptRecord], place: str) -> None:
        """Add records, and remember how far its source was read: both or nothing. A prompt that it has gets images."""
        with closing(self._connect()) as database, database:
            hashes = [_signed(text_hash(record.prompt)) for record in records]
            database.executemany(
                "insert into prompts (hash, text, negative, unsafe) values (?, ?, ?, ?) "
                "on conflict (hash) do update set unsafe = max(unsafe, excluded.unsafe)",
                [
                    (key, record.prompt, record.negative, record.unsafe)
                    for key, record in zip(hashes, records, strict=True)
                ],
            )
            columns = ", ".join(_IMAGE_COLUMNS)
            marks = ", ".join("?" * len(_IMAGE_COLUMNS))
            database.executemany(
                f"insert into images (prompt, {columns}) select id, {marks} from prompts where hash = ?",
                [
                    (*(_stored(getattr(record, column)) for column in _IMAGE_COLUMNS), key)
                    for key, record in zip(hashes, records, strict=True)
                ],
            )
            database.execute("insert or replace into progress values (1, ?)", (place,))

    @property
    def place(self) -> str:
        """How far its source was read; "" at the beginning."""
        with closing(self._connect()) as database:
            row = database.execute("select place from progress").fetchone()
            return row[0] if row else ""

    def counts(self) -> tuple[int, int, int]:
        """How many prompts, images, and unsafe prompts it has."""
        with closing(self._connect()) as database:
            prompts, unsafe = database.execute("select count(*), coalesce(sum(unsafe), 0) from prompts").fetchone()
            (images,) = database.execute("select count(*) from images").fetchone()
            return prompts, images, unsafe

    def prompts(self, after: int, limit: int, owner: str = "") -> list[IndexedPrompt]:
        """Its prompts for the search index, in the order of their numbers, from the one after a number on."""
        with closing(self._connect()) as database:
            rows = database.execute(
                "select id, text, unsafe from prompts where id > ? order by id limit ?", (after, limit)
            ).fetchall()
            if not rows:
                return []
            images: dict[int, list[ImageSettings]] = {}
            for prompt, *values in database.execute(
                "select prompt, model, adapter, sampler, coalesce(width, 0), coalesce(height, 0), coalesce(steps, 0), "
                "coalesce(guidance, 0), created, coalesce(stars, 0) from images where prompt > ? and prompt <= ?",
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

    def records(self, prompt: int) -> tuple[list[PromptRecord], int]:
        """The first images of a prompt, and how many there are; nothing for a number that it does not have."""
        with closing(self._connect()) as database:
            row = database.execute("select text, negative, unsafe from prompts where id = ?", (prompt,)).fetchone()
            if row is None:
                return [], 0
            text, negative, unsafe = row
            columns = ", ".join(_IMAGE_COLUMNS)
            query = f"select {columns} from images where prompt = ? order by image = '', rowid limit ?"
            found = [
                PromptRecord(text, negative, **_read(values), unsafe=bool(unsafe))
                for values in database.execute(query, (prompt, SHOWN_IMAGES))
            ]
            (count,) = database.execute("select count(*) from images where prompt = ?", (prompt,)).fetchone()
            return found, count

    def _connect(self) -> sqlite3.Connection:
        make_folder(self.folder)
        database = sqlite3.connect(self.folder / DATABASE, timeout=60)
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = normal")
        database.executescript(_TABLES)
        return database


class PromptLibraries:
    """All libraries of a home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __iter__(self) -> Iterator[PromptLibrary]:
        """The libraries by name."""
        found = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        return (PromptLibrary(each) for each in found if (each / FACTS).is_file())

    def get(self, name: str) -> PromptLibrary:
        """A library by its name. Raises LimnerError if there is none."""
        library = PromptLibrary(self.folder / checked_name(name))
        assert library.facts
        return library

    def create(self, facts: LibraryFacts) -> PromptLibrary:
        """A new library, or the one with this name, if it is from the same source. Raises LimnerError otherwise."""
        library = PromptLibrary(self.folder / checked_name(facts.name))
        if (library.folder / FACTS).is_file():
            known = library.facts
            if (known.source, known.owner) != (facts.source, facts.owner):
                remedy = f"choose another --name, or remove it: limner discover remove {facts.name}"
                raise LimnerError(f"library {facts.name!r} is of {known.source!r}", remedy)
            return library
        make_folder(library.folder)
        library.save(replace(facts, complete=False))
        return library

    def remove(self, name: str) -> None:
        """Delete a library. Raises LimnerError if there is none."""
        library = self.get(name)
        (library.folder / FACTS).unlink()  # first: a program that is killed now leaves no half of it
        remove(library.folder, self.folder)


def checked_name(name: str) -> str:
    """A name of a library. Raises LimnerError for any other text."""
    if not NAME.fullmatch(name):
        raise LimnerError(f"{name[:80]!r} is no name of a library", "use up to 64 of a-z, 0-9, dots and hyphens")
    return name


def _signed(key: int) -> int:
    """A number of 64 bits as SQLite stores it."""
    return key - 2**64 if key >= 2**63 else key


def _stored(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def _read(values: Sequence[Any]) -> dict[str, Any]:
    found = dict(zip(_IMAGE_COLUMNS, values, strict=True))
    return found | {"created": None if found["created"] is None else datetime.fromisoformat(found["created"])}
