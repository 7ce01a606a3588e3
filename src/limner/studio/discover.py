"""Discovery of prompts: libraries, the search index over them and over the user's own images, and searches."""

from __future__ import annotations

import builtins
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from limner.core.accounts import Caller
from limner.core.discover import LONGEST, Filters, Hit
from limner.core.errors import LimnerError, unknown
from limner.core.events import Event, Progress, Stage
from limner.core.feedback import GeneratedImage, ImageQuery
from limner.core.prompt_records import LibraryFacts, PromptRecord
from limner.data.prompts.grammar import made_prompts
from limner.data.prompts.records import COLUMNS
from limner.data.prompts.sources import rows_in
from limner.models.text_vectors import DIMENSIONS, ENCODER, text_vectors
from limner.moderation.enforcement import Enforcer
from limner.store.images import ImageIndex, Viewer
from limner.store.prompt_libraries import PromptLibraries, PromptLibrary
from limner.store.runs import Store
from limner.store.search.index import Damaged, Found, SearchIndex
from limner.store.search.table import ImageSettings, IndexedPrompt

HISTORY = "history"
"""The library of the user's own images, whose truth is the database."""
INCLUDED, INCLUDED_PROMPTS, LICENCE = "limner", 20_000, "apache-2.0"
"""The library that comes with Limner: prompts of its grammar."""
CLOSEST, FARTHEST = 300, 0.2
"""Most own images that a search by meaning finds, and the smallest cosine of one."""
BATCH = 5000
"""Rows that are stored and indexed at once."""
PROBLEMS = 1000
"""Most problems of a source that are reported one by one."""


@dataclass(frozen=True, slots=True)
class Import:
    """What an import did so far. problems: of rows that were left out, with their place."""

    rows: int
    skipped: int
    facts: LibraryFacts
    problems: tuple[tuple[str, str], ...]


def _unheard(event: Event) -> None:
    return None


class StudioDiscover:
    """Libraries of prompts, and searches in them."""

    def __init__(self, store: Store, images: ImageIndex, gate: Enforcer) -> None:
        self._store, self._images, self._gate = store, images, gate
        self.libraries = PromptLibraries(store.home / "libraries")
        self._without = self.libraries.folder / ".without-included"
        self._folder = store.home / "index"
        self._index = SearchIndex(self._folder, ENCODER, DIMENSIONS)

    def search(self, caller: Caller, text: str, filters: Filters, limit: int = 24) -> builtins.list[Hit]:
        """The prompts that fit a text best, of libraries and of the caller's own images.

        Raises LimnerError for a text that is too long, and for an unknown library.
        """
        if len(text) > LONGEST:
            raise LimnerError(f"the search has {len(text)} characters", f"use at most {LONGEST}")
        for name in filters.libraries:
            if name != HISTORY:
                self._visible(caller, name)
        self.refresh()
        vector = text_vectors([text])[0] if text.strip() else None
        found = self._index.search(text, vector, filters, caller.account, limit)
        terms = self._index.terms(text)
        return [hit for each in found if (hit := self._hit(caller, each, terms)) is not None]

    def resolved(self, viewer: Viewer, query: ImageQuery) -> ImageQuery:
        """A query of images whose `meaning` is replaced by the closest images, in their order."""
        if query.meaning is None or not query.meaning.strip():
            return query
        self._refresh_own()
        filters, vector = Filters(libraries=(HISTORY,)), text_vectors([query.meaning])[0]
        owner = viewer.owner or viewer.account
        found = self._index.search(query.meaning, vector, filters, owner, CLOSEST, repeated=True)
        close = [each.prompt for each in found if each.words is not None or (each.meaning or 0) >= FARTHEST]
        kept = set(close if query.among is None else query.among)
        among = tuple(image for image in close if image in kept)
        order = "listed" if query.order == "newest" else query.order
        return query.model_copy(update={"meaning": None, "among": among, "order": order})

    def list(self, caller: Caller) -> list[LibraryFacts]:
        """The libraries that a caller sees."""
        return [facts for each in self.libraries if _sees(caller, facts := each.facts)]

    def add(
        self,
        caller: Caller,
        facts: LibraryFacts,
        emit: Callable[[Event], None],
        stop: Callable[[], bool] = lambda: False,
    ) -> Import:
        """Read a source into a library, and index it; goes on where an earlier import ended.

        emit: hears what is done. Raises LimnerError for another source with this name, and for one that cannot be read.
        """
        for field in facts.columns:
            if field not in COLUMNS:
                raise unknown("field", field, COLUMNS)
        library = self.libraries.create(facts)
        done = Import(0, 0, library.facts, ())
        found = rows_in(facts.source, facts.columns, library.place)
        emit(Stage(name="reading", unit="rows"))
        while batch := tuple(islice(found, BATCH)):
            records = [row.record for row in batch if row.record is not None]
            marked = [record.marked() if self._is_unsafe(record) else record for record in records]
            library.add(marked, batch[-1].place)
            problems = [(row.where, row.problem) for row in batch if row.record is None]
            prompts, images, unsafe = library.counts()
            known = replace(
                done.facts,
                prompts=prompts,
                images=images,
                unsafe=unsafe,
                skipped=done.facts.skipped + len(problems),
            )
            library.save(known)
            done = Import(
                done.rows + len(batch), done.skipped + len(problems), known, (*done.problems, *problems)[:PROBLEMS]
            )
            emit(Progress(done=done.rows))
            if stop():
                return done
        known = replace(done.facts, complete=True)
        library.save(known)
        if done.rows:
            self._index.remove(library.folder.name)
        emit(Stage(name="indexing", total=known.prompts, unit="prompts"))
        self._index_library(library, emit)
        return replace(done, facts=known)

    def remove(self, caller: Caller, name: str) -> None:
        """Delete a library. Raises LimnerError for one that the caller does not see or own."""
        facts = self._visible(caller, name)
        if caller.scope is not None and facts.owner != caller.account:
            raise LimnerError(f"library {name!r} is shared", "ask an admin to remove it")
        if name == INCLUDED:
            self._without.touch()
        self._index.remove(name)
        self.libraries.remove(name)

    def rebuild(self, emit: Callable[[Event], None] = _unheard) -> int:
        """Delete the index and build it again from the libraries and the database; returns its prompts."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._index = SearchIndex(self._folder, ENCODER, DIMENSIONS)
        self.refresh(emit)
        return len(self._index)

    def _include(self) -> None:
        """Make the library that comes with Limner, unless it was removed once."""
        if (self.libraries.folder / INCLUDED).exists() or self._without.exists():
            return
        records = [
            PromptRecord(made.text, made.negative, model=made.world if made.world == "starter" else "")
            for made in made_prompts(INCLUDED_PROMPTS)
        ]
        facts = LibraryFacts(
            INCLUDED, "part of Limner", LICENCE, prompts=len(records), images=len(records), complete=True
        )
        library = self.libraries.create(facts)
        library.add(records, "")
        library.save(facts)

    def refresh(self, emit: Callable[[Event], None] = _unheard) -> None:
        """Index what was added since: images of finished runs, and libraries."""
        indexed = self._refresh_own()
        self._include()
        for library in self.libraries:
            facts = library.facts
            if facts.complete and indexed.get(library.folder.name, 0) < facts.prompts:
                emit(Stage(name=f"indexing {facts.name}", total=facts.prompts, unit="prompts"))
                self._index_library(library, emit)

    def _refresh_own(self) -> dict[str, int]:
        """Index the images that were made since; returns what was indexed before."""
        try:
            indexed = self._index.indexed
        except Damaged:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._index = SearchIndex(self._folder, ENCODER, DIMENSIONS)
            indexed = {}
        for prompts in self._own(indexed.get(HISTORY, 0)):
            self._add(prompts)
        return indexed

    def _index_library(self, library: PromptLibrary, emit: Callable[[Event], None]) -> None:
        owner = library.facts.owner
        after = self._index.indexed.get(library.folder.name, 0)
        done = 0
        while prompts := library.prompts(after, BATCH, owner):
            self._add(prompts)
            after, done = prompts[-1].prompt, done + len(prompts)
            emit(Progress(done=done))

    def _add(self, prompts: builtins.list[IndexedPrompt]) -> None:
        self._index.add(prompts, text_vectors([prompt.text for prompt in prompts]))

    def _own(self, after: int) -> Iterator[builtins.list[IndexedPrompt]]:
        """The images of the database after an id, some at a time."""
        while images := self._images.after(after, BATCH):
            yield [*map(_own_prompt, images)]
            after = images[-1].id

    def _own_records(self, caller: Caller, image: int) -> tuple[builtins.list[PromptRecord], int]:
        """An own image as a record; nothing where it was erased."""
        try:
            return [_record(self._images.get(Viewer(caller.account, caller.scope), image))], 1
        except LimnerError:
            return [], 0

    def _is_unsafe(self, record: PromptRecord) -> bool:
        return not record.unsafe and self._gate.moderator.judge_texts([record.prompt], "").refusal is not None

    def _visible(self, caller: Caller, name: str) -> LibraryFacts:
        facts = self.libraries.get(name).facts
        if not _sees(caller, facts):
            raise LimnerError(f"there is no library {name!r}", "`limner discover list` lists them")
        return facts

    def _hit(self, caller: Caller, found: Found, terms: builtins.list[str]) -> Hit | None:
        """A hit with its images; None where it was erased meanwhile."""
        if found.library == HISTORY:
            records, images, facts = *self._own_records(caller, found.prompt), LibraryFacts(HISTORY, "your own images")
        else:
            library = self.libraries.get(found.library)
            records, images, facts = *library.records(found.prompt), library.facts
        if not records:
            return None
        first = records[0]
        own = set(self._index.terms(first.prompt))
        words = tuple(term for term in terms if term in own)
        return Hit(
            found.library,
            found.prompt,
            first.prompt,
            first.negative,
            tuple(records),
            images,
            words,
            found.meaning,
            facts.source,
            facts.licence,
        )


def _record(image: GeneratedImage) -> PromptRecord:
    """An own image as a record; its image is its id."""
    request = image.request
    return PromptRecord(
        request.prompt,
        request.negative_prompt,
        str(image.id),
        request.model,
        "",
        str(image.fact("scheduler") or ""),
        image.fact("width"),
        image.fact("height"),
        image.fact("steps"),
        image.fact("guidance"),
        image.fact("seed"),
        round(image.mean) if image.mean else None,
        image.created,
    )


def _sees(caller: Caller, facts: LibraryFacts) -> bool:
    return caller.scope is None or facts.owner in ("", caller.account)


def _own_prompt(image: GeneratedImage) -> IndexedPrompt:
    record = _record(image)
    settings = ImageSettings(
        record.model,
        "",
        record.sampler,
        record.width or 0,
        record.height or 0,
        record.steps or 0,
        record.guidance or 0.0,
        image.created.date(),
        record.stars or 0,
    )
    return IndexedPrompt(HISTORY, image.id, record.prompt, image.owner, images=(settings,))
