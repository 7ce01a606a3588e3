"""The search index of prompts is kept up to date here with the libraries and with the user's own images.

How images look is indexed after their prompts, some images at a time, because it takes longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from PIL import Image

from limner.core.discover import HISTORY
from limner.core.errors import LimnerError
from limner.core.events import Event, Progress, Stage
from limner.core.feedback import GeneratedImage
from limner.core.files import read_file
from limner.core.prompt_records import LibraryFacts, PromptRecord
from limner.imaging.decode import read_image
from limner.imaging.palettes import palette
from limner.store.files import translate_disk_errors
from limner.store.images import ImageIndex, mark_of
from limner.store.locks import Locked, waiting_lock
from limner.store.prompt_libraries import PromptLibraries, PromptLibrary
from limner.store.removal import discard
from limner.store.runs import Store
from limner.store.search.index import Damaged, KnownLooks, SearchIndex
from limner.store.search.looks import IndexedLook
from limner.store.search.table import ImageSettings, IndexedPrompt
from limner.studio.files import StudioFiles
from limner.studio.images import decoding
from limner.studio.library_images import file_mark, local_image
from limner.studio.search_encoders import SEEN_SIDE, SearchEncoders, seen

BATCH = 5000
"""Prompts that are indexed at once."""
LOOKED_AT = 12  # fewer than LOOKS_AT_ONCE
"""Images of a prompt of a library that are compared with others."""
LOOKS_AT_ONCE = 16
"""Images whose looks are indexed at once."""
LOOK_SECONDS = 0.25
"""How long a search by an image or a colour looks at new images first."""
UPKEEP_SECONDS = 60
"""How long an import waits while another program indexes; after that, the next search or import indexes it."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image that is compared with others. mark: of the file. path: where it is."""

    prompt: int
    place: int
    mark: int
    path: Path


def _unheard(event: Event) -> None:
    return None


class IndexUpkeep:
    """The search index of a home, and what brings it up to date."""

    def __init__(
        self,
        store: Store,
        images: ImageIndex,
        files: StudioFiles,
        libraries: PromptLibraries,
        encoders: SearchEncoders,
    ) -> None:
        self._home, self._images, self._files = store.home, images, files
        self._libraries, self._encoders = libraries, encoders
        self._folder = store.home / "index"
        self._lock = store.home / "index-upkeep"
        self._opened: SearchIndex | None = None
        self._kept: KnownLooks | None = None

    @property
    def index(self) -> SearchIndex:
        """The index with the encoders that are chosen now, perhaps by another program."""
        choice = self._encoders.choice
        names = choice.meaning, choice.meaning_dimensions, choice.looks, choice.looks_dimensions
        found = self._opened
        if found is None or (found.encoder, found.dimensions, found.looks, found.look_dimensions) != names:
            found = self._opened = SearchIndex(self._folder, *names)
        return found

    def refresh(self, emit: Callable[[Event], None] = _unheard) -> None:
        """Index what was added since, images of finished runs and libraries, unless another program does it now."""
        try:
            if not self._is_behind(self.index.indexed):
                return
            seconds = 0
        except Damaged:
            seconds = 60
        with suppress(Locked), waiting_lock(self._lock, seconds):
            try:
                self._update(emit)
            except Damaged:
                self._empty_index()
                self._update(emit)

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
            with waiting_lock(self._lock, 0), translate_disk_errors(self._folder):
                for library, last in self._unseen():
                    while (looked := self.index.looked.get(library, 0)) < last:
                        files = [*islice(self._files_of(library, looked, last), LOOKS_AT_ONCE)]
                        upto = _whole(files, last)
                        looks = self._looks([each for each in files if each.prompt <= upto])
                        self.index.add_looks(library, looks, upto)
                        done += len(files)
                        emit(Progress(done=done))
                        if time.monotonic() > end or stop():
                            return

    def keep_up(self) -> None:
        """Index what was added since, and for a moment how new images look. For a server's background."""
        self.refresh()
        self.look(LOOK_SECONDS)

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
        with waiting_lock(self._lock):
            with suppress(Damaged):
                self._kept = self.index.known_looks()
            self._encoders.choose(meaning, looks)
            if self._encoders.choice.looks != before:
                self._kept = None
            self._empty_index()
            self._update(emit, stop)
        if not stop():
            self.look(emit=emit, stop=stop)
        self._kept = None
        return len(self.index)

    def index_library(
        self, library: PromptLibrary, emit: Callable[[Event], None], stop: Callable[[], bool] = lambda: False
    ) -> bool:
        """Index what the index lacks of a library; False where it was stopped, and where another program indexes."""
        with suppress(Locked), waiting_lock(self._lock, UPKEEP_SECONDS):
            try:
                return self._index_library(library, emit, stop)
            except Damaged:
                self._empty_index()
                self._update(emit)
                return True
        return False

    def remove(self, name: str) -> None:
        """Delete a library, and take it out of the index."""
        with waiting_lock(self._lock):
            self._libraries.remove(name)
            with suppress(Damaged):  # the next search builds it again
                self.index.remove(name)

    def own_file(self, image: GeneratedImage) -> ImageFile | None:
        """The file of an own image; None where this machine has none."""
        try:
            stored = image.sha256 in self._files
            path = self._files.path(image.sha256) if stored else Path(image.path)
            there = stored or path.is_file()
        except (LimnerError, OSError):
            return None
        return ImageFile(image.id, 0, int(image.sha256[:16], 16), path) if there else None

    def _is_behind(self, indexed: Mapping[str, int]) -> bool:
        """Whether the index lacks something, or has a library that is removed. indexed: of the index."""
        if any(name != HISTORY and name not in self._libraries for name in indexed):
            return True
        if any(facts.complete and not each.is_indexed(indexed.get(facts.name, 0)) for each, facts in self._known()):
            return True
        last = indexed.get(HISTORY, 0)
        return bool(self._images.after(last, 1)) or self._images.tally(last) != self.index.tally(HISTORY)

    def _update(self, emit: Callable[[Event], None], stop: Callable[[], bool] = lambda: False) -> None:
        """Bring the index up to date, or a part of it where it is stopped. The caller holds the lock."""
        indexed = self.index.indexed
        for name in indexed:
            if name != HISTORY and name not in self._libraries:
                self.index.remove(name)
        self._forget_erased()
        indexed = self.index.indexed
        for prompts in self._own(indexed.get(HISTORY, 0)):
            self._add(prompts)
            if stop():
                return
        for library, facts in self._known():
            if facts.complete and not library.is_indexed(self.index.indexed.get(facts.name, 0)):
                self._index_library(library, emit, stop)
            if stop():
                return

    def _forget_erased(self) -> None:
        """Take own images out of the index that were erased, also where another image has the id of one now."""
        last = self.index.indexed.get(HISTORY, 0)
        if self._images.tally(last) == self.index.tally(HISTORY):
            return
        indexed, there = self.index.marks(HISTORY), self._images.marks(last)
        gone = {image for image, mark in indexed.items() if there.get(image) != mark}
        last = max(indexed.keys() - gone, default=0)
        self.index.drop(HISTORY, gone, last, sum(image <= last for image in there))

    def _index_library(
        self, library: PromptLibrary, emit: Callable[[Event], None], stop: Callable[[], bool] = lambda: False
    ) -> bool:
        """Index what the index lacks of a library; False where it was stopped."""
        facts, done = library.facts, 0
        if library.is_indexed(self.index.indexed.get(facts.name, 0)):
            return True
        emit(Stage(name=f"indexing {facts.name}", total=facts.prompts, unit="prompts"))
        with translate_disk_errors(self._folder):
            if library.is_stale:
                self.index.remove(facts.name)
                library.begin_index()
            after = self.index.indexed.get(facts.name, 0)
            while prompts := library.prompts(after, BATCH, facts.owner):
                self._add(prompts)
                after, done = prompts[-1].prompt, done + len(prompts)
                emit(Progress(done=done))
                if stop():
                    return library.is_indexed(after)
        return True

    def _own(self, after: int) -> Iterator[list[IndexedPrompt]]:
        """The images of the database after an id, some at a time."""
        while images := self._images.after(after, BATCH):
            yield [*map(_own_prompt, images)]
            after = images[-1].id

    def _known(self) -> Iterator[tuple[PromptLibrary, LibraryFacts]]:
        """The libraries; not one that is removed meanwhile."""
        for library in self._libraries:
            with suppress(LimnerError):
                yield library, library.facts

    def _add(self, prompts: list[IndexedPrompt]) -> None:
        self.index.add(prompts, self._encoders.texts([prompt.text for prompt in prompts]))

    def _empty_index(self) -> None:
        discard(self._folder, self._home)
        self._opened = None

    def _unseen(self) -> list[tuple[str, int]]:
        """Libraries with prompts whose images are not indexed yet, and the number of the last prompt of each."""
        looked = self.index.looked
        return [(name, last) for name, last in self.index.indexed.items() if looked.get(name, 0) < last]

    def _files_of(self, library: str, after: int, last: int) -> Iterator[ImageFile]:
        """The images of the prompts of a library after a number, up to another one."""
        if library == HISTORY:
            while images := self._images.after(after, LOOKS_AT_ONCE):
                for image in images:
                    if image.id <= last and (file := self.own_file(image)) is not None:
                        yield file
                after = images[-1].id
            return
        with suppress(LimnerError):  # it is removed meanwhile
            found = self._libraries.get(library)
            source = self._libraries.image_root(library, found.facts.source)
            while prompts := found.with_images(after, last, LOOKS_AT_ONCE):
                for prompt, (records, _) in found.records(prompts).items():
                    yield from library_files(source, prompt, records)
                after = prompts[-1]

    def _looks(self, files: Iterable[ImageFile]) -> list[IndexedLook]:
        """How images look; those that cannot be decoded are left out."""
        looks: list[IndexedLook] = []
        images: list[tuple[ImageFile, Image.Image]] = []
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


def own_record(image: GeneratedImage) -> PromptRecord:
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


def _own_prompt(image: GeneratedImage) -> IndexedPrompt:
    record = own_record(image)
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


def library_files(source: str, prompt: int, records: Iterable[PromptRecord]) -> Iterator[ImageFile]:
    """The first images of a prompt that are files in the folder of a library's source. Each has its place."""
    for place, record in enumerate(islice(records, LOOKED_AT)):
        if (path := local_image(source, record.image)) is not None:
            with suppress(OSError):
                yield ImageFile(prompt, place, file_mark(path), path)


def _whole(files: list[ImageFile], last: int) -> int:
    """The number of the last prompt all of whose images are among these; `last` where there are no more."""
    if len(files) < LOOKS_AT_ONCE:
        return last
    return max(file.prompt for file in files if file.prompt < files[-1].prompt)
