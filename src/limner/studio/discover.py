"""Discovery of prompts: libraries, the search index over them and over the user's own images, and searches.

How images look is indexed after their prompts, some images at a time, because it takes longer.
"""

from __future__ import annotations

import builtins
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from limner.core.accounts import Caller, Role
from limner.core.discover import LONGEST, Filters, Hit, colour_of
from limner.core.errors import LimnerError, unknown
from limner.core.events import Event, Progress, Stage
from limner.core.feedback import GeneratedImage, ImageQuery
from limner.core.files import read_file
from limner.core.prompt_records import LibraryFacts, PromptRecord
from limner.data.prompts.grammar import MadePrompt, made_prompts
from limner.data.prompts.records import COLUMNS
from limner.imaging.decode import read_image
from limner.imaging.palettes import lab_of, palette
from limner.moderation.enforcement import Enforcer
from limner.store.files import translate_disk_errors
from limner.store.images import ImageIndex, Viewer, mark_of
from limner.store.locks import Locked, library_lock, waiting_lock
from limner.store.prompt_imports import fill
from limner.store.prompt_libraries import PromptLibraries, PromptLibrary, checked_name
from limner.store.removal import discard
from limner.store.runs import Store
from limner.store.search.index import ANY, Appearance, Damaged, Found, KnownLooks, SearchIndex
from limner.store.search.looks import IndexedLook
from limner.store.search.table import Current, ImageSettings, IndexedPrompt
from limner.studio.files import REFERENCE, StudioFiles
from limner.studio.images import decoding
from limner.studio.library_images import file_mark, local_image, make_thumbnail
from limner.studio.prompt_imports import Import, PromptImport
from limner.studio.search_encoders import SEEN_SIDE, SearchEncoders, seen

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
LOOKED_AT = 12  # fewer than LOOKS_AT_ONCE
"""Images of a prompt of a library that are compared with others."""
LOOKS_AT_ONCE = 16
"""Images whose looks are indexed at once."""
LOOK_SECONDS = 0.25
"""How long a search by an image or a colour looks at new images first."""
LEAST_LOOK = 0.4
"""Cosine from which on the looks of own images count as similar."""
UPKEEP_SECONDS = 60
"""How long an import waits while another program indexes; after that, the next search or import indexes it."""


@dataclass(frozen=True, slots=True)
class Hits:
    """Some of the prompts that fit a search. following: where the next ones begin; None where there are no more."""

    hits: tuple[Hit, ...]
    following: int | None


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image that is compared with others. mark: of the file. path: where it is."""

    prompt: int
    place: int
    mark: int
    path: Path


def _unheard(event: Event) -> None:
    return None


class StudioDiscover:
    """Libraries of prompts, and searches in them."""

    def __init__(self, store: Store, images: ImageIndex, files: StudioFiles, gate: Enforcer) -> None:
        self._store, self._images, self._files, self._gate = store, images, files, gate
        self.libraries = PromptLibraries(store.home / "libraries")
        self._encoders = SearchEncoders(store.home)
        self._folder = store.home / "index"
        self._upkeep = store.home / "index-upkeep"
        self._opened: SearchIndex | None = None
        self._kept: KnownLooks | None = None

    @property
    def _index(self) -> SearchIndex:
        """The index with the encoders that are chosen now, perhaps by another program."""
        choice = self._encoders.choice
        names = choice.meaning, choice.meaning_dimensions, choice.looks, choice.looks_dimensions
        found = self._opened
        if found is None or (found.encoder, found.dimensions, found.looks, found.look_dimensions) != names:
            found = self._opened = SearchIndex(self._folder, *names)
        return found

    def search(
        self, caller: Caller, text: str, filters: Filters, limit: int = 24, like: Appearance = ANY
    ) -> builtins.list[Hit]:
        """The prompts that fit a text best, of libraries and of the caller's own images; any for a blank text.

        like: what their images look like, by `appearance`. Raises LimnerError for a text that is too long, and for an
        unknown library.
        """
        return [*self.page(caller, text, filters, limit, like=like).hits]

    def appearance(self, caller: Caller, like: str | Path = "", colour: str = "") -> Appearance:
        """What images should look like. like: a file; or the reference of an image that the caller may use; or the
        library and number of a prompt, and perhaps the place of its image, such as "history/12" or "mine/7/2".

        colour: as in `colour_of`. Raises LimnerError for an image that cannot be read or is not found.
        """
        lab = None
        if colour.strip():
            digits = colour_of(colour)
            lab = tuple(lab_of([[int(digits[at : at + 2], 16) for at in (1, 3, 5)]])[0].tolist())
        if isinstance(like, Path):
            return Appearance(self._vector(like), lab)
        if not like:
            return Appearance(None, lab)
        if REFERENCE.fullmatch(like) and like.startswith("sha256:"):
            if not self._files.may_use(caller, like) or like.partition(":")[2] not in self._files:
                raise LimnerError(f"there is no image {like[:19]}", "upload it again")
            return Appearance(self._vector(self._files.local_path(like)), lab)
        library, prompt, place = _named_hit(like)
        vector = self._look_of(caller, library, prompt, place)
        return Appearance(vector, lab, (library, prompt))

    def _look_of(self, caller: Caller, library: str, prompt: int, place: int) -> NDArray[np.float32]:
        """The vector of an image of a prompt that the caller sees."""
        hit = self.get(caller, library, prompt)
        self.refresh()
        if (found := self._index.look(library, prompt, place)) is not None:
            return found
        if library == HISTORY:
            images = self._images.some(Viewer(caller.account, caller.scope), [prompt])
            files = [file for image in images if (file := self._own_file(image)) is not None]
        else:
            files = [*_library_files(hit.source, prompt, hit.records)]
        if not files:
            raise LimnerError(f"prompt {prompt} of {library!r} has no image here", "use another one")
        return self._vector(next((file for file in files if file.place == place), files[0]).path)

    def _vector(self, path: Path) -> NDArray[np.float32]:
        with decoding:
            image = seen(read_image(read_file(path), path, least=(SEEN_SIDE, SEEN_SIDE)).image)
        return self._encoders.images([image])[0]

    def page(
        self,
        caller: Caller,
        text: str,
        filters: Filters,
        limit: int = 24,
        offset: int = 0,
        view: Viewer | None = None,
        like: Appearance = ANY,
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
        if like:
            self.look(LOOK_SECONDS)
        vector = self._encoders.texts([text])[0] if text.strip() else None
        private = "" if caller.scope is None else HISTORY  # images of the command line belong to no account
        most = max(FOUND, offset + limit + 1)
        current = self._current(caller, filters)
        found = self._index.search(text, vector, filters, caller.account, most, private, like=like, current=current)
        terms, hits, place = self._terms(text), list[Hit](), offset
        while place < len(found) and len(hits) < limit:
            some = found[place : place + limit - len(hits)]
            hits += self._hits(caller, some, terms, view)
            place += len(some)
        return Hits(tuple(hits), place if place < len(found) else None)

    def _current(self, caller: Caller, filters: Filters) -> Current | None:
        """What the database knows of own images that the index may not know."""
        if not filters.stars and not filters.adapter:
            return None
        adapted = self._images.adapted(caller.scope, filters.adapter) if filters.adapter else None
        return Current(HISTORY, self._images.stars() if filters.stars else {}, adapted)

    def get(self, caller: Caller, library: str, prompt: int, view: Viewer | None = None) -> Hit:
        """A prompt by its library and its number there. view: as in `page`. Raises LimnerError where the caller sees
        none.
        """
        if library != HISTORY:
            self._visible(caller, library)
        hits = self._hits(caller, [Found(library, prompt, 0, 0.0, None, None)], {}, view)
        if not hits:
            raise LimnerError(f"library {library!r} has no prompt {prompt}", "search again")
        return hits[0]

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
        """A query of images whose `meaning`, `like` and `colour` are replaced by the closest images, in their order.

        Raises LimnerError for an image that cannot be read or is not found.
        """
        text = (query.meaning or "").strip()
        role = Role.ADMIN if viewer.owner is None else Role.VIEWER
        like = self.appearance(Caller(account=viewer.account, role=role), query.like or "", query.colour or "")
        if not text and not like:
            return query
        filters, vector = Filters(libraries=(HISTORY,)), self._encoders.texts([text])[0] if text else None
        self.refresh()
        if like:
            self.look(LOOK_SECONDS)
        found = self._index.search(text, vector, filters, viewer.owner, CLOSEST, repeated=True, like=like)
        close = [each.prompt for each in found if _is_close(each, like)]
        kept = set(close if query.among is None else query.among)
        among = tuple(image for image in close if image in kept)
        order = "listed" if query.order == "newest" else query.order
        return query.model_copy(update={"meaning": None, "like": None, "colour": None, "among": among, "order": order})

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

    def rebuild(
        self,
        emit: Callable[[Event], None] = _unheard,
        meaning: str | None = None,
        looks: str | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> int:
        """Delete the index and build it again from the libraries and the database; returns its prompts.

        meaning, looks: encoders of texts and of images by name; None for the present ones. Looks of images that the
        index knows, by the same encoder, are kept. Raises LimnerError for an encoder that is none.
        """
        before = self._encoders.choice.looks
        with waiting_lock(self._upkeep):
            with suppress(Damaged):
                self._kept = self._index.known_looks()
            self._encoders.choose(meaning, looks)
            if self._encoders.choice.looks != before:
                self._kept = None
            self._empty_index()
            self._update(emit)
        self.look(emit=emit, stop=stop)
        self._kept = None
        return len(self._index)

    def look(
        self,
        seconds: float = float("inf"),
        emit: Callable[[Event], None] = _unheard,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Index how images look that were added since, for about so many seconds, unless another program writes."""
        with suppress(Damaged, Locked):
            if not self._unseen():
                return
            end, done = time.monotonic() + seconds, 0
            emit(Stage(name="looking at images", unit="images"))
            with waiting_lock(self._upkeep, 0), translate_disk_errors(self._folder):
                for library, last in self._unseen():
                    while (looked := self._index.looked.get(library, 0)) < last:
                        files = [*islice(self._files_of(library, looked, last), LOOKS_AT_ONCE)]
                        upto = _whole(files, last)
                        looks = self._looks([each for each in files if each.prompt <= upto])
                        self._index.add_looks(library, looks, upto)
                        done += len(files)
                        emit(Progress(done=done))
                        if time.monotonic() > end or stop():
                            return

    def _unseen(self) -> builtins.list[tuple[str, int]]:
        """Libraries with prompts whose images are not indexed yet, and the number of the last prompt of each."""
        looked = self._index.looked
        return [(name, last) for name, last in self._index.indexed.items() if looked.get(name, 0) < last]

    def _files_of(self, library: str, after: int, last: int) -> Iterator[ImageFile]:
        """The images of the prompts of a library after a number, up to another one."""
        if library == HISTORY:
            while images := self._images.after(after, LOOKS_AT_ONCE):
                for image in images:
                    if image.id <= last and (file := self._own_file(image)) is not None:
                        yield file
                after = images[-1].id
            return
        with suppress(LimnerError):  # it is removed meanwhile
            found = self.libraries.get(library)
            source = found.facts.source
            while prompts := found.with_images(after, last, LOOKS_AT_ONCE):
                for prompt, (records, _) in found.records(prompts).items():
                    yield from _library_files(source, prompt, records)
                after = prompts[-1]

    def _own_file(self, image: GeneratedImage) -> ImageFile | None:
        """The file of an own image; None where this machine has none."""
        try:
            stored = image.sha256 in self._files
            path = self._files.path(image.sha256) if stored else Path(image.path)
            there = stored or path.is_file()
        except (LimnerError, OSError):
            return None
        return ImageFile(image.id, 0, int(image.sha256[:16], 16), path) if there else None

    def _looks(self, files: Iterable[ImageFile]) -> builtins.list[IndexedLook]:
        """How images look; those that cannot be decoded are left out."""
        looks: builtins.list[IndexedLook] = []
        images: builtins.list[tuple[ImageFile, Image.Image]] = []
        for file in files:
            if self._kept is not None and (known := self._kept.get(file.mark)) is not None:
                looks.append(IndexedLook(file.prompt, file.place, file.mark, *known))
                continue
            with suppress(LimnerError), decoding:
                data = read_file(file.path)
                images.append((file, seen(read_image(data, file.path, least=(SEEN_SIDE, SEEN_SIDE)).image)))
        vectors = self._encoders.images([image for _, image in images])
        for (file, image), vector in zip(images, vectors, strict=True):
            looks.append(IndexedLook(file.prompt, file.place, file.mark, palette(image), vector))
        return looks

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

    def keep_up(self) -> None:
        """Index what was added since, and for a moment how new images look. For a server's background."""
        self.refresh()
        self.look(LOOK_SECONDS)

    def _empty_index(self) -> None:
        discard(self._folder, self._store.home)
        self._opened = None

    def _is_behind(self, indexed: Mapping[str, int]) -> bool:
        """Whether the index lacks something, or has a library that is removed. indexed: of the index."""
        if any(name != HISTORY and name not in self.libraries for name in indexed):
            return True
        if any(facts.complete and not each.is_indexed(indexed.get(facts.name, 0)) for each, facts in self._known()):
            return True
        last = indexed.get(HISTORY, 0)
        return bool(self._images.after(last, 1)) or self._images.tally(last) != self._index.tally(HISTORY)

    def _forget_erased(self) -> None:
        """Take own images out of the index that were erased, also where another image has the id of one now."""
        last = self._index.indexed.get(HISTORY, 0)
        if self._images.tally(last) == self._index.tally(HISTORY):
            return
        indexed, there = self._index.marks(HISTORY), self._images.marks(last)
        gone = {image for image, mark in indexed.items() if there.get(image) != mark}
        last = max(indexed.keys() - gone, default=0)
        self._index.drop(HISTORY, gone, last, sum(image <= last for image in there))

    def _update(self, emit: Callable[[Event], None]) -> None:
        """Bring the index up to date. The caller holds the lock."""
        indexed = self._index.indexed
        for name in indexed:
            if name != HISTORY and name not in self.libraries:
                self._index.remove(name)
        self._forget_erased()
        indexed = self._index.indexed
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
        self._index.add(prompts, self._encoders.texts([prompt.text for prompt in prompts]))

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

    def _visible(self, caller: Caller, name: str) -> LibraryFacts:
        facts = self.libraries.get(name).facts
        if not _sees(caller, facts):
            raise LimnerError(f"there is no library {name!r}", "`limner discover list` lists them")
        return facts

    def _hits(
        self, caller: Caller, found: Sequence[Found], terms: Mapping[str, str], view: Viewer | None = None
    ) -> builtins.list[Hit]:
        """Hits with their images, without those that were erased meanwhile. terms: of the search, with its words."""
        read: dict[tuple[str, int], tuple[builtins.list[PromptRecord], int, LibraryFacts]] = {}
        for name in {each.library for each in found}:
            prompts = [each.prompt for each in found if each.library == name]
            if name == HISTORY:
                facts = LibraryFacts(HISTORY, "your own images")
                own = self._images.some(view or Viewer(caller.account, caller.scope), prompts)
                records = {image.id: ([_record(image)], 1) for image in own}
            else:
                try:
                    library = self.libraries.get(name)
                    records, facts = library.records(prompts), library.facts
                except LimnerError:
                    if name in self.libraries:
                        raise
                    continue  # it is removed meanwhile
            read |= {(name, prompt): (*known, facts) for prompt, known in records.items()}
        index = self._index
        return [
            _hit(index, each, terms, *known)
            for each in found
            if (known := read.get((each.library, each.prompt))) and known[0]
        ]


def _hit(
    index: SearchIndex,
    found: Found,
    terms: Mapping[str, str],
    records: Sequence[PromptRecord],
    images: int,
    facts: LibraryFacts,
) -> Hit:
    """What was found with its records and the facts of its library."""
    first = records[0]
    own = set(index.terms(first.prompt))
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
        found.look,
        found.colour,
        found.place if found.place < len(records) else 0,
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
    mark = mark_of(image.run, image.sha256)
    return IndexedPrompt(HISTORY, image.id, record.prompt, image.owner, images=(settings,), mark=mark)


def _library_files(source: str, prompt: int, records: Iterable[PromptRecord]) -> Iterator[ImageFile]:
    """The first images of a prompt that are files in the folder of a library's source. Each has its place."""
    for place, record in enumerate(islice(records, LOOKED_AT)):
        if (path := local_image(source, record.image)) is not None:
            with suppress(OSError):
                yield ImageFile(prompt, place, file_mark(path), path)


def _whole(files: builtins.list[ImageFile], last: int) -> int:
    """The number of the last prompt all of whose images are among these; `last` where there are no more."""
    if len(files) < LOOKS_AT_ONCE:
        return last
    return max(file.prompt for file in files if file.prompt < files[-1].prompt)


def _is_close(found: Found, like: Appearance) -> bool:
    """Whether an own image is close enough to what a search of the gallery says."""
    if like.colour is not None and found.colour is None:
        return False
    by_look = (found.look or 0) >= LEAST_LOOK
    return found.words is not None or (found.meaning or 0) >= FARTHEST or by_look or found.colour is not None


def _named_hit(text: str) -> tuple[str, int, int]:
    """Library and number of a prompt, and the place of an image, in a text such as "mine/7/2"."""
    library, _, numbers = text.partition("/")
    prompt, _, place = numbers.partition("/")
    if not all(each.isascii() and each.isdigit() and len(each) < 10 for each in (prompt, place or "0")):
        raise LimnerError(f"{text[:80]!r} is no image", "write sha256:HASH, or a library and a number as in history/12")
    return library, int(prompt), int(place or 0)
