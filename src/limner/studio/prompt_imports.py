"""Imports of prompts: reads a source into a library, each row once, and resumes where an earlier import ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from limner.core.events import Event, Progress, Stage
from limner.core.prompt_records import LibraryFacts
from limner.data.prompts.source_files import FileKind, SourceFile, source_files
from limner.data.prompts.sources import SourceRow, rows_of
from limner.moderation.bulk import BulkJudge
from limner.moderation.moderator import Moderator
from limner.store.prompt_imports import FileRows, LibraryWriter, writing
from limner.store.prompt_libraries import PromptLibrary

BATCH, SECONDS = 5000, 2.0
"""Rows that are stored at once, or those of so many seconds, after which an import can be stopped."""
PROBLEMS = 1000
"""Most problems of a source that are reported one by one."""


@dataclass(frozen=True, slots=True)
class Import:
    """What an import did so far. problems: of rows that were left out, with their place.

    rows, skipped: those that this import read and left out. indexed: whether the search index has all of it.
    """

    rows: int
    skipped: int
    facts: LibraryFacts
    problems: tuple[tuple[str, str], ...]
    indexed: bool = True


@dataclass
class _Batch:
    """Rows that wait to be stored, by their files, and names of files that are as they were."""

    files: list[FileRows] = field(default_factory=list[FileRows])
    seen: list[str] = field(default_factory=list[str])
    rows: int = 0
    begun: float = field(default_factory=time.monotonic)

    @property
    def is_full(self) -> bool:
        many = self.rows >= BATCH or len(self.seen) >= BATCH
        return many or (bool(self.rows) and time.monotonic() - self.begun > SECONDS)


class PromptImport:
    """One import into a library, whose lock the caller holds."""

    def __init__(self, library: PromptLibrary, moderator: Moderator, emit: Callable[[Event], None]) -> None:
        self._library, self._emit = library, emit
        self._facts = library.facts
        self._judge = BulkJudge(moderator)
        self._rows, self._skipped, self._unread = 0, 0, 0
        self._problems: list[tuple[str, str]] = []
        self._batch = _Batch()

    def read(self, stop: Callable[[], bool]) -> Import:
        """Read what is new in the source. Raises LimnerError for a source that cannot be read now, or at all."""
        self._emit(Stage(name="reading", unit="rows"))
        with writing(self._library) as writer, self._judge:
            ended = self._read(writer, stop)
        facts = self._library.counted(self._facts)
        facts = replace(facts, skipped=facts.skipped + self._unread, complete=ended)
        if facts != self._facts:
            self._library.save(facts)
        return Import(self._rows, self._skipped, facts, tuple(self._problems))

    def _read(self, writer: LibraryWriter, stop: Callable[[], bool]) -> bool:
        """Whether all was read; False where it was stopped."""
        source, columns = self._facts.source, self._facts.columns
        whole, kind = True, None
        for file in source_files(source, columns):
            if file.kind is not kind:
                self._save(writer)
                if file.kind is FileKind.IMAGE:  # what tables say of images is known before the images are read
                    self._forget_missing(writer, whole, are_images=False)
                kind = file.kind
            if file.problem:
                self._unread += 1
                self._report(file.name, file.problem)
                self._batch.seen.append(file.name)
                whole = whole and file.kind is not None
            elif (rows := self._begun(writer, file)) is not None:
                for row in rows_of(file, source, columns, rows.done):
                    self._take(rows, row)
                    if self._batch.is_full:
                        self._save(writer)
                        if stop():
                            return False
                        rows = self._going_on(rows)
                rows.complete = True
            if self._batch.is_full:
                self._save(writer)
                if stop():
                    return False
        self._save(writer)
        self._forget_missing(writer, whole, are_images=False)
        self._forget_missing(writer, whole, are_images=True)
        writer.drop_unused()
        return True

    def _forget_missing(self, writer: LibraryWriter, whole: bool, are_images: bool) -> None:
        """Forget files that are gone. whole: whether all folders could be read."""
        if whole and writer.forget_missing(are_images):
            self._changed()

    def _begun(self, writer: LibraryWriter, file: SourceFile) -> FileRows | None:
        """The rows of a file, of which none is read yet; None where nothing is new in it."""
        known = writer.file(file.name)
        same = known is not None and known.stamp == file.stamp
        if known is not None and same and known.complete:
            self._batch.seen.append(file.name)
            return None
        if file.kind is FileKind.IMAGE and known is None and writer.has_image(str(file.path)):
            return None
        done = known.done if known is not None and same else 0
        is_image = file.kind is FileKind.IMAGE
        rows = FileRows(file.name, file.stamp, known is not None and not same, done, is_image=is_image)
        self._batch.files.append(rows)
        return rows

    def _going_on(self, rows: FileRows) -> FileRows:
        """The same file in the next batch."""
        rows = FileRows(rows.name, rows.stamp, False, rows.done)
        self._batch.files.append(rows)
        return rows

    def _take(self, rows: FileRows, row: SourceRow) -> None:
        rows.done += 1
        rows.complete = row.ends
        self._batch.rows += 1
        if row.record is None:
            rows.skipped += 1
            self._report(row.where, row.problem)
        else:
            rows.records.append(row.record)

    def _report(self, where: str, problem: str) -> None:
        self._skipped += 1
        if len(self._problems) < PROBLEMS:
            self._problems.append((where, problem))

    def _changed(self) -> None:
        """Note that the library is not what its source is, until all is read."""
        if self._facts.complete:
            self._facts = replace(self._facts, complete=False)
            self._library.save(self._facts)

    def _save(self, writer: LibraryWriter) -> None:
        batch, self._batch = self._batch, _Batch()
        if batch.files:
            self._changed()
            texts = writer.new_texts(record.prompt for rows in batch.files for record in rows.records)
            writer.save(batch.files, self._judge.refused(texts), batch.seen)
            self._rows += batch.rows
            self._emit(Progress(done=self._rows))
        elif batch.seen:
            writer.save((), (), batch.seen)
