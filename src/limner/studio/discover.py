"""Discovery of prompts: libraries of them, and searches in these and in the user's own images."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from limner.core.accounts import Caller, Role
from limner.core.discover import HISTORY, LONGEST, Filters, Hit, colour_of
from limner.core.errors import LimnerError, unknown
from limner.core.events import Event
from limner.core.feedback import ImageQuery
from limner.core.files import read_file
from limner.core.prompt_records import LibraryFacts, PromptRecord
from limner.data.prompts.grammar import made_prompts
from limner.data.prompts.records import COLUMNS
from limner.imaging.cielab import lab_of
from limner.imaging.decode import read_image
from limner.moderation.enforcement import Enforcer
from limner.store.images import ImageIndex, Viewer
from limner.store.locks import library_lock
from limner.store.prompt_imports import fill
from limner.store.prompt_libraries import IMAGES, PromptLibraries, checked_name
from limner.store.runs import Store
from limner.store.search.index import ANY, Appearance, Found, SearchIndex
from limner.store.search.table import Current
from limner.studio.example_images import EXAMPLE_COUNT, ExampleImages, starter_numbers
from limner.studio.files import REFERENCE, StudioFiles
from limner.studio.images import decoding
from limner.studio.index_upkeep import LOOK_SECONDS, IndexUpkeep, library_files, own_record
from limner.studio.library_images import local_image, make_thumbnail
from limner.studio.prompt_imports import Import, PromptImport
from limner.studio.search_encoders import SEEN_SIDE, SearchEncoders, seen

CLOSEST, FARTHEST = 300, 0.2
"""Most own images that a search by meaning finds, and the smallest cosine of one."""
EXAMPLES, LICENCE = "examples", "apache-2.0"
"""The library of prompts that Limner makes by a grammar, and its licence."""
FOUND = 240
"""Prompts that are ranked for a search. A later page of a search ranks the same ones, so that none comes twice."""
MOST_WORDS = 64
"""Most different words of a search that a hit is compared with."""
UNTOLD = frozenset(
    ["a", "an", "and", "at", "by", "for", "from", "in", "is", "it", "of", "on", "or", "the", "to", "with"]
)
"""Words that say nothing of why a prompt fits."""
LEAST_LOOK = 0.4
"""Cosine from which on the looks of own images count as similar."""


def _unheard(event: Event) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Hits:
    """Some of the prompts that fit a search. following: where the next ones begin; None where there are no more."""

    hits: tuple[Hit, ...]
    following: int | None


class StudioDiscover:
    """Libraries of prompts, and searches in them."""

    def __init__(self, store: Store, images: ImageIndex, files: StudioFiles, gate: Enforcer) -> None:
        self._home, self._images, self._files, self._gate = store.home, images, files, gate
        self.libraries = PromptLibraries(store.home / "libraries")
        self._encoders = SearchEncoders(store.home)
        self.upkeep = IndexUpkeep(store, images, files, self.libraries, self._encoders)

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
            lab = tuple(lab_of(np.array(ImageColor.getrgb(colour_of(colour)))).tolist())
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
        self.upkeep.refresh()
        if (found := self.upkeep.index.look(library, prompt, place)) is not None:
            return found
        if library == HISTORY:
            images = self._images.some(Viewer(caller.account, caller.scope), [prompt])
            files = [file for image in images if (file := self.upkeep.own_file(image)) is not None]
        else:
            files = [*library_files(self.libraries.image_root(library, hit.source), prompt, hit.records)]
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
        self.upkeep.refresh()
        if like:
            self.upkeep.look(LOOK_SECONDS)
        vector = self._encoders.texts([text])[0] if text.strip() else None
        private = "" if caller.scope is None else HISTORY  # images of the command line belong to no account
        most = max(FOUND, offset + limit + 1)
        current = self._current(caller, filters)
        found = self.upkeep.index.search(
            text, vector, filters, caller.account, most, private, like=like, current=current
        )
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
        """Whether an image of a prompt of a library, by its place, is a file in the folder of the library's source, or
        in that of the library.
        """
        root = self.libraries.image_root(hit.library, hit.source)
        return hit.library != HISTORY and local_image(root, hit.records[number].image) is not None

    def thumbnail(self, caller: Caller, library: str, prompt: int, number: int, side: int) -> Path:
        """The WebP of an image of a library, by its place among those of its prompt; its longest side is one of SIDES.

        Raises LimnerError where there is none, and for what lies outside the folder of the library's source.
        """
        hit = self.get(caller, library, prompt)
        if library == HISTORY or not number < len(hit.records):
            raise LimnerError(f"prompt {prompt} of library {library!r} has no image {number}", "search again")
        root, image = self.libraries.image_root(library, hit.source), hit.records[number].image
        if root != hit.source and (own := local_image(root, image)) is not None:
            return own  # it is small, and says in itself how it was made
        return make_thumbnail(root, image, self.libraries.get(library).folder, side)

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
        self.upkeep.refresh()
        if like:
            self.upkeep.look(LOOK_SECONDS)
        found = self.upkeep.index.search(text, vector, filters, viewer.owner, CLOSEST, repeated=True, like=like)
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
                done = replace(done, indexed=self.upkeep.index_library(library, emit, stop))
            return done

    def add_examples(
        self,
        caller: Caller,
        images: int = 0,
        emit: Callable[[Event], None] = _unheard,
        stop: Callable[[], bool] = lambda: False,
    ) -> LibraryFacts:
        """Add the library of prompts that Limner makes itself, with the images that come with Limner.

        images: generate more until so many of the prompts for the starter have one; what an earlier call made is kept.
        Raises LimnerError for more than there are, and while another program adds them.
        """
        prompts = [*made_prompts(EXAMPLE_COUNT)]
        numbers = starter_numbers(prompts)
        if not 0 <= images <= len(numbers):
            raise LimnerError(
                f"--images is {images}", f"use 0 to {len(numbers)}, the number of prompts for the starter"
            )
        with library_lock(self.libraries.folder / EXAMPLES):
            library = self.libraries.create(LibraryFacts(EXAMPLES, "made by Limner", LICENCE))
            own = ExampleImages(library.folder / IMAGES, self._home)
            own.unpack(prompts)
            try:
                there = own.names()
                left = [number for number in numbers if number not in there]
                own.make(left[: max(0, images - len(there))], prompts, emit, stop)
            finally:
                known = fill(library, *own.records(prompts))
        self.upkeep.refresh()
        return known

    def remove(self, caller: Caller, name: str) -> None:
        """Delete a library. Raises LimnerError for one that the caller does not see or own."""
        facts = self._visible(caller, name)
        if caller.scope is not None and facts.owner != caller.account:
            raise LimnerError(f"library {name!r} is shared", "ask an admin to remove it")
        with library_lock(self.libraries.folder / name):
            self.upkeep.remove(name)

    def _terms(self, text: str) -> dict[str, str]:
        """The words of a text by what the index compares."""
        found: dict[str, str] = {}
        for word in re.findall(r"\w+", text.casefold()):
            if word not in UNTOLD:
                found |= {term: word for term in self.upkeep.index.terms(word) if term not in found}
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
                records = {image.id: ([own_record(image)], 1) for image in own}
            else:
                try:
                    library = self.libraries.get(name)
                    facts = library.facts
                    records = library.records(prompts)
                    if (root := self.libraries.image_root(name, facts.source)) != facts.source:
                        records = _with_paths(records, Path(root))
                except LimnerError:
                    if name in self.libraries:
                        raise
                    continue  # it is removed meanwhile
            read |= {(name, prompt): (*known, facts) for prompt, known in records.items()}
        index = self.upkeep.index
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


def _with_paths(
    records: dict[int, tuple[list[PromptRecord], int]], folder: Path
) -> dict[int, tuple[list[PromptRecord], int]]:
    """The records of prompts with the paths of images that the library itself holds. folder: with its images."""
    if not folder.is_dir():
        return records
    return {
        prompt: ([replace(each, image=str(folder / each.image)) if each.image else each for each in some], count)
        for prompt, (some, count) in records.items()
    }


def _no_prompt(source: str, done: Import) -> LimnerError:
    what = f"{Path(source).name or source!r} has no prompt that can be used"
    if not done.problems:
        return LimnerError(what, "choose another source")
    where, problem = done.problems[0]
    more = f"; {done.skipped - 1:,} more rows were left out" if done.skipped > 1 else ""
    return LimnerError(f"{what}: {where}: {problem}{more}")


def _sees(caller: Caller, facts: LibraryFacts) -> bool:
    return caller.scope is None or facts.owner in ("", caller.account)


def _is_close(found: Found, like: Appearance) -> bool:
    """Whether an own image is close enough to what a search of the gallery says."""
    if like.colour is not None and found.colour is None:
        return False
    by_text = found.words is not None or (found.meaning or 0) >= FARTHEST
    by_look = (found.look or 0) >= LEAST_LOOK if like.vector is not None else found.colour is not None
    return by_text or by_look


def _named_hit(text: str) -> tuple[str, int, int]:
    """Library and number of a prompt, and the place of an image, in a text such as "mine/7/2"."""
    library, _, numbers = text.partition("/")
    prompt, _, place = numbers.partition("/")
    if not all(each.isascii() and each.isdigit() and len(each) < 10 for each in (prompt, place or "0")):
        raise LimnerError(f"{text[:80]!r} is no image", "write sha256:HASH, or a library and a number as in history/12")
    return library, int(prompt), int(place or 0)
