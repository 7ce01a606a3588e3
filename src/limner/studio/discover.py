"""Discovery of prompts: libraries, the search index over them and over the user's own images, and searches."""

from __future__ import annotations

import builtins
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from limner.core.accounts import Caller
from limner.core.discover import LONGEST, Filters, Hit
from limner.core.errors import LimnerError, unknown
from limner.core.events import Event, Progress, Stage
from limner.core.feedback import GeneratedImage, ImageQuery
from limner.core.prompt_records import LibraryFacts, PromptRecord
from limner.data.prompts.grammar import MadePrompt, made_prompts
from limner.data.prompts.records import COLUMNS
from limner.data.prompts.sources import rows_in
from limner.models.text_vectors import DIMENSIONS, ENCODER, text_vectors
from limner.moderation.enforcement import Enforcer
from limner.store.images import ImageIndex, Viewer
from limner.store.prompt_libraries import PromptLibraries, PromptLibrary
from limner.store.runs import Store
from limner.store.search.index import Damaged, Found, SearchIndex
from limner.store.search.table import ImageSettings, IndexedPrompt
from limner.studio.library_images import local_image, make_thumbnail

STARTER = "starter"
"""The model, and the kind of prompts that are made for it."""
HISTORY = "history"
"""The library of the user's own images, whose truth is the database."""
CLOSEST, FARTHEST = 300, 0.2
"""Most own images that a search by meaning finds, and the smallest cosine of one."""
EXAMPLES, EXAMPLE_COUNT, LICENCE = "examples", 20_000, "apache-2.0"
"""The library of prompts that Limner makes by a grammar, how many it has, and its licence."""
FOUND = 240
"""Prompts that are ranked for a search. A later page of a search ranks the same ones, so that none comes twice."""
MOST_WORDS = 64
"""Most different words of a search that a hit is compared with."""
UNTOLD = frozenset(
    ["a", "an", "and", "at", "by", "for", "from", "in", "is", "it", "of", "on", "or", "the", "to", "with"]
)
"""Words that say nothing of why a prompt fits."""
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


@dataclass(frozen=True, slots=True)
class Hits:
    """Some of the prompts that fit a search. following: where the next ones begin; None where there are no more."""

    hits: tuple[Hit, ...]
    following: int | None


def _unheard(event: Event) -> None:
    return None


class StudioDiscover:
    """Libraries of prompts, and searches in them."""

    def __init__(self, store: Store, images: ImageIndex, gate: Enforcer) -> None:
        self._store, self._images, self._gate = store, images, gate
        self.libraries = PromptLibraries(store.home / "libraries")
        self._folder = store.home / "index"
        self._index = SearchIndex(self._folder, ENCODER, DIMENSIONS)
        self._refreshing = threading.Lock()

    def search(self, caller: Caller, text: str, filters: Filters, limit: int = 24) -> builtins.list[Hit]:
        """The prompts that fit a text best, of libraries and of the caller's own images; any for a blank text.

        Raises LimnerError for a text that is too long, and for an unknown library.
        """
        return [*self.page(caller, text, filters, limit).hits]

    def page(
        self,
        caller: Caller,
        text: str,
        filters: Filters,
        limit: int = 24,
        offset: int = 0,
        view: Viewer | None = None,
    ) -> Hits:
        """Some of the prompts that `search` finds. offset: how many are left out before them. view: which of the
        caller's own images are visible; by default all.
        """
        if len(text) > LONGEST:
            raise LimnerError(f"the search has {len(text)} characters", f"use at most {LONGEST}")
        for name in filters.libraries:
            if name != HISTORY:
                self._visible(caller, name)
        self.refresh()
        vector = text_vectors([text])[0] if text.strip() else None
        private = "" if caller.scope is None else HISTORY  # images of the command line belong to no account
        most = max(FOUND, offset + limit + 1)
        found = self._index.search(text, vector, filters, caller.account, most, private)
        terms, hits, place = self._terms(text), list[Hit](), offset
        while place < len(found) and len(hits) < limit:
            if (hit := self._hit(caller, found[place], terms, view)) is not None:
                hits.append(hit)
            place += 1
        return Hits(tuple(hits), place if place < len(found) else None)

    def get(self, caller: Caller, library: str, prompt: int, view: Viewer | None = None) -> Hit:
        """A prompt by its library and its number there. view: as in `page`. Raises LimnerError where the caller sees
        none.
        """
        if library != HISTORY:
            self._visible(caller, library)
        hit = self._hit(caller, Found(library, prompt, 0, 0.0, None, None), {}, view)
        if hit is None:
            raise LimnerError(f"library {library!r} has no prompt {prompt}", "search again")
        return hit

    def has_thumbnail(self, hit: Hit, number: int) -> bool:
        """Whether an image of a prompt of a library, by its place, is a file in the folder of the library's source."""
        return hit.library != HISTORY and local_image(hit.source, hit.records[number].image) is not None

    def thumbnail(self, caller: Caller, library: str, prompt: int, number: int, side: int) -> Path:
        """The WebP of an image of a library, by its place among those of its prompt; its longest side is one of SIDES.

        Raises LimnerError where there is none, and for what lies outside the folder of the library's source.
        """
        hit = self.get(caller, library, prompt)
        if library == HISTORY or not number < len(hit.records):
            raise LimnerError(f"prompt {prompt} of library {library!r} has no image {number}", "search again")
        return make_thumbnail(hit.source, hit.records[number].image, self.libraries.get(library).folder, side)

    def resolved(self, viewer: Viewer, query: ImageQuery) -> ImageQuery:
        """A query of images whose `meaning` is replaced by the closest images, in their order."""
        if query.meaning is None or not query.meaning.strip():
            return query
        filters, vector = Filters(libraries=(HISTORY,)), text_vectors([query.meaning])[0]
        with self._refreshing:
            self._refresh_own()
        found = self._index.search(query.meaning, vector, filters, viewer.owner, CLOSEST, repeated=True)
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
        if facts.name == HISTORY:
            raise LimnerError(f"{HISTORY!r} is the library of your own images", "choose another --name")
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

    def add_examples(self, caller: Caller) -> LibraryFacts:
        """Add the library of prompts that Limner makes itself."""
        library = self.libraries.create(LibraryFacts(EXAMPLES, "made by Limner", LICENCE))
        if not library.counts()[0]:
            library.add([_made(each) for each in made_prompts(EXAMPLE_COUNT)], "")
        prompts, images, unsafe = library.counts()
        known = replace(library.facts, prompts=prompts, images=images, unsafe=unsafe, complete=True)
        library.save(known)
        self.refresh()
        return known

    def remove(self, caller: Caller, name: str) -> None:
        """Delete a library. Raises LimnerError for one that the caller does not see or own."""
        facts = self._visible(caller, name)
        if caller.scope is not None and facts.owner != caller.account:
            raise LimnerError(f"library {name!r} is shared", "ask an admin to remove it")
        self._index.remove(name)
        self.libraries.remove(name)

    def rebuild(self, emit: Callable[[Event], None] = _unheard) -> int:
        """Delete the index and build it again from the libraries and the database; returns its prompts."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._index = SearchIndex(self._folder, ENCODER, DIMENSIONS)
        self.refresh(emit)
        return len(self._index)

    def refresh(self, emit: Callable[[Event], None] = _unheard) -> None:
        """Index what was added since: images of finished runs, and libraries."""
        with self._refreshing:  # two at once would index the same prompts
            indexed = self._refresh_own()
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

    def _terms(self, text: str) -> dict[str, str]:
        """The words of a text by what the index compares."""
        found: dict[str, str] = {}
        for word in re.findall(r"\w+", text.casefold()):
            if word not in UNTOLD:
                found |= {term: word for term in self._index.terms(word) if term not in found}
            if len(found) >= MOST_WORDS:
                break
        return found

    def _own_records(self, view: Viewer, image: int) -> tuple[builtins.list[PromptRecord], int]:
        """An own image as a record; nothing where it was erased."""
        try:
            return [_record(self._images.get(view, image))], 1
        except LimnerError:
            return [], 0

    def _is_unsafe(self, record: PromptRecord) -> bool:
        return not record.unsafe and self._gate.moderator.judge_texts([record.prompt], "").refusal is not None

    def _visible(self, caller: Caller, name: str) -> LibraryFacts:
        facts = self.libraries.get(name).facts
        if not _sees(caller, facts):
            raise LimnerError(f"there is no library {name!r}", "`limner discover list` lists them")
        return facts

    def _hit(self, caller: Caller, found: Found, terms: Mapping[str, str], view: Viewer | None = None) -> Hit | None:
        """A hit with its images; None where it was erased meanwhile. terms: of the search, with its words."""
        if found.library == HISTORY:
            view = view or Viewer(caller.account, caller.scope)
            records, images, facts = *self._own_records(view, found.prompt), LibraryFacts(HISTORY, "your own images")
        else:
            try:
                library = self.libraries.get(found.library)
            except LimnerError:  # it was removed
                return None
            records, images, facts = *library.records(found.prompt), library.facts
        if not records:
            return None
        first = records[0]
        own = set(self._index.terms(first.prompt))
        words = tuple(dict.fromkeys(word for term, word in terms.items() if term in own))
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


def _made(prompt: MadePrompt) -> PromptRecord:
    return PromptRecord(prompt.text, prompt.negative, model=prompt.world if prompt.world == STARTER else "")


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
