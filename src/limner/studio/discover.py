"""Discovery of prompts: libraries, the search index over them and over the user's own images, and searches."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from limner.core.accounts import Caller
from limner.core.discover import LONGEST, Filters, Hit
from limner.core.errors import LimnerError, unknown
from limner.core.events import Event, Progress, Stage
from limner.core.feedback import GeneratedImage, ImageQuery
from limner.core.prompt_records import LibraryFacts, PromptRecord
from limner.data.prompts.grammar import MadePrompt, made_prompts
from limner.data.prompts.records import COLUMNS
from limner.models.text_vectors import DIMENSIONS, ENCODER, text_vectors
from limner.moderation.enforcement import Enforcer
from limner.store.files import translate_disk_errors
from limner.store.images import ImageIndex, Viewer
from limner.store.locks import Locked, library_lock, waiting_lock
from limner.store.prompt_imports import fill
from limner.store.prompt_libraries import PromptLibraries, PromptLibrary, checked_name
from limner.store.removal import discard
from limner.store.runs import Store
from limner.store.search.index import Damaged, Found, SearchIndex
from limner.store.search.table import ImageSettings, IndexedPrompt
from limner.studio.library_images import local_image, make_thumbnail
from limner.studio.prompt_imports import Import, PromptImport

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
"""Prompts that are indexed at once."""
UPKEEP_SECONDS = 60
"""How long an import waits while another program indexes; after that, the next search or import indexes it."""


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
        self._upkeep = store.home / "index-upkeep"
        self._index = SearchIndex(self._folder, ENCODER, DIMENSIONS)

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
        self.refresh()
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

        What is in the library already is not read again; files of the source that changed are read anew, and what is
        no longer there is left out. emit: hears what is done. Raises LimnerError for another source with this name, for
        one that cannot be read or has no prompt, and while another program imports or removes this library.
        """
        for field in facts.columns:
            if field not in COLUMNS:
                raise unknown("field", field, COLUMNS)
        if facts.name == HISTORY:
            raise LimnerError(f"{HISTORY!r} is the library of your own images", "choose another --name")
        is_new = facts.name not in self.libraries
        with library_lock(self.libraries.folder / checked_name(facts.name)):
            library = self.libraries.create(facts)
            try:
                done = PromptImport(library, self._gate.moderator, emit).read(stop)
                if is_new and done.facts.complete and not done.facts.prompts:
                    raise _no_prompt(facts.source, done)
            except LimnerError:
                with suppress(LimnerError):
                    if is_new and not library.counted(facts).prompts:
                        self.libraries.remove(facts.name)  # so that the name is free for another try
                raise
            if done.facts.complete:
                is_indexed = False
                with suppress(Locked), waiting_lock(self._upkeep, UPKEEP_SECONDS):
                    try:
                        is_indexed = self._index_library(library, emit, stop)
                    except Damaged:
                        self._empty_index()
                        self._update(emit)
                        is_indexed = True
                done = replace(done, indexed=is_indexed)
            return done

    def add_examples(self, caller: Caller) -> LibraryFacts:
        """Add the library of prompts that Limner makes itself."""
        library = self.libraries.create(LibraryFacts(EXAMPLES, "made by Limner", LICENCE))
        known = library.facts if library.facts.complete else fill(library, [*map(_made, made_prompts(EXAMPLE_COUNT))])
        self.refresh()
        return known

    def remove(self, caller: Caller, name: str) -> None:
        """Delete a library. Raises LimnerError for one that the caller does not see or own."""
        facts = self._visible(caller, name)
        if caller.scope is not None and facts.owner != caller.account:
            raise LimnerError(f"library {name!r} is shared", "ask an admin to remove it")
        with library_lock(self.libraries.folder / name), waiting_lock(self._upkeep):
            self.libraries.remove(name)
            with suppress(Damaged):  # the next search builds it again
                self._index.remove(name)

    def rebuild(self, emit: Callable[[Event], None] = _unheard) -> int:
        """Delete the index and build it again from the libraries and the database; returns its prompts."""
        with waiting_lock(self._upkeep):
            self._empty_index()
            self._update(emit)
        return len(self._index)

    def refresh(self, emit: Callable[[Event], None] = _unheard) -> None:
        """Index what was added since, images of finished runs and libraries, unless another program does it now."""
        try:
            if not self._is_behind(self._index.indexed):
                return
            seconds = 0
        except Damaged:
            seconds = 60
        with suppress(Locked), waiting_lock(self._upkeep, seconds):
            try:
                self._update(emit)
            except Damaged:
                self._empty_index()
                self._update(emit)

    def _empty_index(self) -> None:
        discard(self._folder, self._store.home)
        self._index = SearchIndex(self._folder, ENCODER, DIMENSIONS)

    def _is_behind(self, indexed: Mapping[str, int]) -> bool:
        """Whether the index lacks something, or has a library that is removed. indexed: of the index."""
        if any(name != HISTORY and name not in self.libraries for name in indexed):
            return True
        if any(facts.complete and not each.is_indexed(indexed.get(facts.name, 0)) for each, facts in self._known()):
            return True
        return bool(self._images.after(indexed.get(HISTORY, 0), 1))

    def _update(self, emit: Callable[[Event], None]) -> None:
        """Bring the index up to date. The caller holds the lock."""
        indexed = self._index.indexed
        for name in indexed:
            if name != HISTORY and name not in self.libraries:
                self._index.remove(name)
        for prompts in self._own(indexed.get(HISTORY, 0)):
            self._add(prompts)
        for library, facts in self._known():
            if facts.complete and not library.is_indexed(self._index.indexed.get(facts.name, 0)):
                self._index_library(library, emit)

    def _known(self) -> Iterator[tuple[PromptLibrary, LibraryFacts]]:
        """The libraries; not one that is removed meanwhile."""
        for library in self.libraries:
            with suppress(LimnerError):
                yield library, library.facts

    def _index_library(
        self, library: PromptLibrary, emit: Callable[[Event], None], stop: Callable[[], bool] = lambda: False
    ) -> bool:
        """Index what the index lacks of a library; False where it was stopped."""
        facts, done = library.facts, 0
        if library.is_indexed(self._index.indexed.get(facts.name, 0)):
            return True
        emit(Stage(name=f"indexing {facts.name}", total=facts.prompts, unit="prompts"))
        with translate_disk_errors(self._folder):
            if library.is_stale:
                self._index.remove(facts.name)
                library.begin_index()
            after = self._index.indexed.get(facts.name, 0)
            while prompts := library.prompts(after, BATCH, facts.owner):
                self._add(prompts)
                after, done = prompts[-1].prompt, done + len(prompts)
                emit(Progress(done=done))
                if stop():
                    return library.is_indexed(after)
        return True

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
                records, images, facts = *library.records(found.prompt), library.facts
            except LimnerError:
                if found.library in self.libraries:
                    raise
                return None
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


def _no_prompt(source: str, done: Import) -> LimnerError:
    what = f"{Path(source).name or source!r} has no prompt that can be used"
    if not done.problems:
        return LimnerError(what, "choose another source")
    where, problem = done.problems[0]
    more = f"; {done.skipped - 1:,} more rows were left out" if done.skipped > 1 else ""
    return LimnerError(f"{what}: {where}: {problem}{more}")


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
