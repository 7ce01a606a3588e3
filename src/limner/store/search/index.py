"""The search index: prompts of all libraries by words, meaning, looks, colours and facts, in one folder.

A manifest says how many rows are valid. Files are written first and the manifest last, by renaming, so a program that
is killed leaves the index as it was. What cannot be opened is built again from the libraries.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limner.core.discover import Filters
from limner.imaging.palettes import Swatch
from limner.store.files import atomic_file
from limner.store.locks import waiting_lock
from limner.store.search.looks import LOOK, IndexedLook, colours_of, looks_of, shares
from limner.store.search.table import (
    PICTURE,
    ROW,
    Columns,
    Current,
    IndexedPrompt,
    Numbers,
    matching,
    pictures_of,
    rows_of,
)
from limner.store.search.vectors import Vectors
from limner.store.search.words import Words

VERSION = 2
MANIFEST = "index.json"
POOL = 100
"""Rows of each list that are fused."""
FUSION, WORDS_WEIGHT, EVERY_WEIGHT, MEANING_WEIGHT, LOOK_WEIGHT, COLOUR_WEIGHT = 10, 1.0, 2.0, 2.0, 2.0, 1.0
"""Of the reciprocal rank fusion (Cormack et al. 2009): its constant, and the weights of the lists. EVERY_WEIGHT: of the
prompts that have every word, such as the name of a subject. Those of words and
meaning are by measurement."""
LEAST_COLOUR = 0.05
"""How much of an image must have a colour to be found by it."""
MOST_SCANNED, FEW = 20_000, 500
"""Most hits of words that a filter is applied to; up to so many rows are searched by their numbers instead."""
NEW = (0, 0)
"""The stamp of an index that has no manifest yet."""


class Damaged(Exception):
    """The index cannot be used and has to be built again."""


@dataclass(frozen=True, slots=True)
class Found:
    """A prompt that was found. score: of the fusion. words, meaning, look: BM25 and cosines; colour: how much of an
    image has it. None if it was not found so. place: of the image, among those of the prompt, that fits best.
    """

    library: str
    prompt: int
    text: int
    score: float
    words: float | None
    meaning: float | None
    look: float | None = None
    colour: float | None = None
    place: int = 0


@dataclass(frozen=True)
class Appearance:
    """What the image of a prompt should look like. vector: of another image, which it should resemble.

    colour: L, a and b of one that it should have. without: library and number of a prompt that is not looked for.
    """

    vector: NDArray[np.float32] | None = None
    colour: Sequence[float] | None = None
    without: tuple[str, int] | None = None

    def __bool__(self) -> bool:
        return self.vector is not None or self.colour is not None


ANY = Appearance()


@dataclass(frozen=True)
class _State:
    """What a reader holds of one version of the index."""

    stamp: tuple[int, int]
    manifest: dict[str, Any]
    numbers: Numbers
    entries: Columns
    pictures: Columns
    vectors: Vectors
    words: Words
    looks: Columns
    look_vectors: Vectors

    def rows(self, library: str, prompts: Collection[int] | None = None) -> NDArray[np.intp]:
        """The rows of a library, or of some of its prompts, in their order."""
        if library not in self.numbers.names["library"][1:]:
            return np.empty(0, np.intp)
        records = self.entries.records
        mask = records["library"] == self.numbers.names["library"].index(library)
        if prompts is not None:
            mask &= np.isin(records["prompt"], np.fromiter(prompts, np.uint64))
        return np.flatnonzero(mask)


class KnownLooks:
    """Looks of images by the marks of their files."""

    def __init__(self, records: NDArray[np.void], vectors: Vectors) -> None:
        self._records, self._vectors = records, vectors
        self._order = np.argsort(records["mark"], kind="stable")
        self._sorted = records["mark"][self._order]

    def get(self, mark: int) -> tuple[list[Swatch], NDArray[np.float32]] | None:
        """Colours and vector of an image; None where it is not known."""
        place = int(np.searchsorted(self._sorted, np.uint64(mark)))
        if not mark or place == len(self._sorted) or int(self._sorted[place]) != mark:
            return None
        at = int(self._order[place])
        return colours_of(self._records[at]), self._vectors.of(at)


class SearchIndex:
    """An index in a folder.

    encoder, dimensions: of the vectors of texts; those of another encoder cannot be compared. looks, look_dimensions:
    the same for the vectors of images.
    """

    def __init__(
        self, folder: Path, encoder: str, dimensions: int, looks: str = "none", look_dimensions: int = 64
    ) -> None:
        self.folder, self.encoder, self.dimensions = folder, encoder, dimensions
        self.looks, self.look_dimensions = looks, look_dimensions
        self._open: _State | None = None
        self._guard = threading.Lock()

    @property
    def indexed(self) -> dict[str, int]:
        """The greatest number of an indexed prompt by library."""
        with self._guard:
            return dict(self._state().manifest["indexed"])

    @property
    def looked(self) -> dict[str, int]:
        """The greatest number of a prompt by library up to which images are indexed."""
        with self._guard:
            return dict(self._state().manifest["looked"])

    def __len__(self) -> int:
        with self._guard:
            return int(np.count_nonzero(self._state().entries.records["library"]))

    def marks(self, library: str) -> dict[int, int]:
        """The marks of the prompts of a library by their numbers."""
        with self._guard:
            state = self._state()
            records = state.entries.records[state.rows(library)]
        return dict(zip(records["prompt"].tolist(), records["mark"].tolist(), strict=True))

    def tally(self, library: str) -> tuple[int, int]:
        """How many prompts of a library there were when the index had the same ones, and the mark of the last one."""
        with self._guard:
            state = self._state()
            last = state.manifest["indexed"].get(library, 0)
            rows = state.rows(library, [last])
            mark = int(state.entries.records["mark"][rows[-1]]) if len(rows) else 0
            return state.manifest["counted"].get(library, 0), mark

    def add(self, prompts: Sequence[IndexedPrompt], vectors: NDArray[np.float32]) -> None:
        """Add prompts with their vectors (n, dimensions). Those up to the greatest number of their library are left
        out, because another program added them meanwhile.
        """
        with self._guard, waiting_lock(self.folder):
            state = self._load(self._stamp())  # its own, because readers use theirs meanwhile
            known = dict(state.manifest["indexed"])
            new = [at for at, prompt in enumerate(prompts) if prompt.prompt > known.get(prompt.library, -1)]
            prompts, vectors = [prompts[at] for at in new], vectors[new]
            first = len(state.entries.records)
            state.vectors.add(vectors)
            state.entries.add(rows_of(prompts, [text_hash(prompt.text) for prompt in prompts], state.numbers))
            state.pictures.add(pictures_of(prompts, first, state.numbers))
            state.words.add(first, [prompt.text for prompt in prompts])
            indexed, counted = state.manifest["indexed"], state.manifest["counted"]
            for prompt in prompts:
                indexed[prompt.library] = max(indexed.get(prompt.library, 0), prompt.prompt)
                counted[prompt.library] = counted.get(prompt.library, 0) + 1
            self._save(state)

    def add_looks(self, library: str, looks: Sequence[IndexedLook], upto: int) -> None:
        """Add how images of prompts of a library look. upto: the number of the last prompt whose images are known then.

        Images of prompts that are not indexed, or up to which another program added them meanwhile, are left out.
        """
        with self._guard, waiting_lock(self.folder):
            state = self._load(self._stamp())
            known = state.manifest["looked"].get(library, 0)
            rows = state.rows(library, {look.prompt for look in looks})
            numbers = state.entries.records["prompt"][rows].tolist()
            places = dict(zip(numbers, rows.tolist(), strict=True))
            looks = [look for look in looks if look.prompt in places and look.prompt > known]
            if looks:
                state.look_vectors.add(np.stack([look.vector for look in looks]))
                state.looks.add(looks_of(looks, places))
            state.manifest["looked"][library] = max(known, upto)
            self._save(state)

    def drop(self, library: str, prompts: Collection[int], last: int, count: int) -> None:
        """Erase prompts of a library with their vectors. last: the greatest number that is indexed then. count: of the
        prompts that there are up to it.
        """
        with self._guard, waiting_lock(self.folder):
            state = self._load(self._stamp())
            rows = state.rows(library, prompts)
            if len(rows):
                looks = np.flatnonzero(np.isin(state.looks.records["row"], rows))
                state.look_vectors.clear(looks)
                state.vectors.clear(rows)
                state.words.remove(rows.tolist())
                state.looks.clear(looks)
                state.entries.clear(rows)
            state.manifest["indexed"][library], state.manifest["counted"][library] = last, count
            state.manifest["looked"][library] = min(last, state.manifest["looked"].get(library, 0))
            self._save(state)

    def look(self, library: str, prompt: int, place: int = 0) -> NDArray[np.float32] | None:
        """The vector of an image of a prompt, of its first one for a place that is not known; None without any."""
        with self._guard:
            state = self._state()
        found = np.flatnonzero(np.isin(state.looks.records["row"], state.rows(library, [prompt])))
        if not len(found):
            return None
        exact = found[state.looks.records["place"][found] == place]
        return state.look_vectors.of(int(exact[0] if len(exact) else found[0]))

    def known_looks(self) -> KnownLooks:
        """The looks of all images by the marks of their files, for an index that is built anew."""
        with self._guard:
            state = self._state()
        return KnownLooks(state.looks.records, state.look_vectors)

    def remove(self, library: str) -> None:
        """Leave out the rows of a library from now on. They take space until the index is built again."""
        with self._guard, waiting_lock(self.folder):
            state = self._load(self._stamp())
            names = state.numbers.names["library"]
            if library in names:
                names[names.index(library)] = f"\0{library}"  # the name may come again, with another number
            for cursors in ("indexed", "looked", "counted"):
                state.manifest[cursors].pop(library, None)
            self._save(state)

    def search(
        self,
        text: str,
        vector: NDArray[np.float32] | None,
        filters: Filters,
        owner: str | None,
        limit: int,
        private: str = "",
        *,
        repeated: bool = False,
        like: Appearance = ANY,
        current: Current | None = None,
    ) -> list[Found]:
        """The prompts that fit best. vector: of the meaning. owner: whose own prompts are seen, None for everyone's.
        private: a library of which prompts without an owner are not seen. repeated: whether a text that several prompts
        have is found more than once. like: what their images look like. current: what is known now of the
        images of a library.

        Without words any prompt fits: one with an image and one without in turns, in the order of the hashes of their
        texts, which is random and always the same.
        """
        with self._guard:
            state = self._state()
        rows, numbers = state.entries.records, state.numbers
        mask = _seen(state, filters, owner, private, current)
        if like.without is not None:
            mask[state.rows(like.without[0], [like.without[1]])] = False
        pool = max(POOL, 2 * limit)
        colours = {} if like.colour is None else _by_colour(state.looks.records, like.colour, mask)
        if like.colour is not None:
            mask = np.zeros(len(rows), np.bool_)
            mask[[*colours]] = True
        looks = {} if like.vector is None else _by_look(state, like.vector, pool, mask)
        words = dict(_by_words(state.words, text, pool, mask)) if text.strip() else {}
        every = dict(_by_words(state.words, text, pool, mask, every=True)) if words else {}
        complete = [row for row in words if row in every]  # the best first by all words, short ones too
        meaning = dict(state.vectors.nearest(vector, pool, mask)) if vector is not None and mask.any() else {}
        lists: list[tuple[float, Collection[int]]] = [(WORDS_WEIGHT, words), (MEANING_WEIGHT, meaning)]
        lists += [(EVERY_WEIGHT, complete), (LOOK_WEIGHT, looks), (COLOUR_WEIGHT, [*colours][:pool])]
        scores = _fused(lists)
        if vector is None and not text.strip() and not like:
            scores = {row: 1 / (1 + place) for place, row in enumerate(_any(state, mask, pool))}
        hits: dict[int, Found] = {}
        for row in sorted(scores, key=lambda each: (-scores[each], each)):
            record = rows[row]
            hit = Found(
                numbers.names["library"][int(record["library"])],
                int(record["prompt"]),
                int(record["text"]),
                scores[row],
                words.get(row),
                meaning.get(row),
                *_appearance(looks.get(row), colours.get(row)),
            )
            hits.setdefault(row if repeated else hit.text, hit)
            if len(hits) == limit:
                break
        return [*hits.values()]

    def terms(self, text: str) -> list[str]:
        """The words of a text as the index compares them."""
        with self._guard:
            return self._state().words.terms(text)

    def _stamp(self) -> tuple[int, int]:
        try:
            found = (self.folder / MANIFEST).stat()
        except FileNotFoundError:
            return NEW
        return found.st_mtime_ns, found.st_size

    def _state(self) -> _State:
        stamp = self._stamp()
        if self._open is None or self._open.stamp != stamp:
            self._open = self._load(stamp)
        return self._open

    def _load(self, stamp: tuple[int, int]) -> _State:
        made = {"version": VERSION, "encoder": self.encoder, "dimensions": self.dimensions}
        made |= {"look_encoder": self.looks, "look_dimensions": self.look_dimensions}
        try:
            manifest: dict[str, Any] = {**made, "rows": 0, "pictures": 0, "looks": 0, "names": Numbers().names}
            manifest |= {"indexed": {}, "looked": {}, "counted": {}}
            if stamp != NEW:
                manifest = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
            if any(manifest[name] != made[name] for name in made):
                raise Damaged(f"the index in {self.folder} was made by {manifest['encoder']!r} or another version")
            self.folder.mkdir(parents=True, exist_ok=True)
            return _State(
                stamp,
                manifest,
                Numbers(manifest["names"]),
                Columns(self.folder / "rows.bin", ROW, manifest["rows"]),
                Columns(self.folder / "pictures.bin", PICTURE, manifest["pictures"]),
                Vectors(self.folder, self.dimensions, manifest["rows"]),
                Words(self.folder / "words"),
                Columns(self.folder / "looks.bin", LOOK, manifest["looks"]),
                Vectors(self.folder / "looks", self.look_dimensions, manifest["looks"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Damaged(f"the index in {self.folder} cannot be opened: {error}") from error

    def _save(self, state: _State) -> None:
        state.manifest.update(
            rows=len(state.entries.records),
            pictures=len(state.pictures.records),
            looks=len(state.looks.records),
            names=state.numbers.names,
        )
        with atomic_file(self.folder / MANIFEST) as partial:
            partial.write_text(json.dumps(state.manifest), encoding="utf-8")
        self._open = None


def text_hash(text: str) -> int:
    """A number of 64 bits for a text, equal for equal texts apart from case and spaces."""
    same = " ".join(text.casefold().split())
    return int.from_bytes(hashlib.sha256(same.encode("utf-8", "replace")).digest()[:8], "big")


def _seen(
    state: _State, filters: Filters, owner: str | None, private: str, current: Current | None
) -> NDArray[np.bool_]:
    """Which rows a search may find; the arguments are those of `SearchIndex.search`."""
    rows, names = state.entries.records, state.numbers.names["library"]
    mask = matching(filters, owner, rows, state.pictures.records, state.numbers, current)
    removed = [number for number, name in enumerate(names) if name.startswith("\0")]
    if removed:
        mask &= ~np.isin(rows["library"], removed)
    if private in names[1:]:
        mask &= (rows["library"] != names.index(private)) | (rows["owner"] != 0)
    return mask


def _fused(lists: Sequence[tuple[float, Collection[int]]]) -> dict[int, float]:
    """Scores of rows by reciprocal rank fusion (Cormack et al. 2009) of lists, best first, with their weights."""
    scores: dict[int, float] = {}
    for weight, found in lists:
        for rank, row in enumerate(found, 1):
            scores[row] = scores.get(row, 0.0) + weight / (FUSION + rank)
    return scores


def _any(state: _State, mask: NDArray[np.bool_], count: int) -> list[int]:
    """Rows within a mask (n,), one with an image and one without in turns, as far as there are both."""
    shown = np.zeros_like(mask)
    shown[state.looks.records["row"]] = True
    texts = state.entries.records["text"]
    turns = zip_longest(*(_by_hash(texts, mask & with_image, count) for with_image in (shown, ~shown)))
    return [row for turn in turns for row in turn if row is not None]


def _by_hash(texts: NDArray[np.uint64], mask: NDArray[np.bool_], count: int) -> list[int]:
    """The rows within a mask (n,) whose texts have the smallest hashes, smallest first."""
    within = np.flatnonzero(mask)
    if len(within) > count:
        within = within[np.argpartition(texts[within], count)[:count]]
    return within[np.argsort(texts[within], kind="stable")].tolist()


def _by_words(
    words: Words, text: str, pool: int, mask: NDArray[np.bool_], every: bool = False
) -> list[tuple[int, float]]:
    """Rows by their words, within a mask (n,). every: as in `Words.find`."""
    within = int(np.count_nonzero(mask))
    if within <= FEW:
        return words.find(text, pool, np.flatnonzero(mask).tolist(), every=every) if within else []
    limit = min(MOST_SCANNED, 2 * pool * len(mask) // within)
    found = words.find(text, limit, every=every)
    return [(row, score) for row, score in found if row < len(mask) and mask[row]][:pool]


def _by_colour(
    looks: NDArray[np.void], colour: Sequence[float], mask: NDArray[np.bool_]
) -> dict[int, tuple[float, int]]:
    """The rows within a mask (n,) that have an image of a colour: how much of it, and its place; most of it first."""
    found = shares(colour, looks)
    found[~mask[looks["row"]]] = 0
    within = np.flatnonzero(found >= LEAST_COLOUR)
    within = within[np.argsort(-found[within], kind="stable")]
    return _first_by_row(looks, within, found[within])


def _by_look(
    state: _State, vector: NDArray[np.float32], pool: int, mask: NDArray[np.bool_]
) -> dict[int, tuple[float, int]]:
    """The rows within a mask (n,) that have an image like another one: the cosine, and its place; nearest first."""
    looks = state.looks.records
    within = mask[looks["row"]]
    if not within.any():
        return {}
    nearest = state.look_vectors.nearest(vector, 2 * pool, within)
    places = np.array([at for at, _ in nearest], np.intp)
    return _first_by_row(looks, places, np.array([cosine for _, cosine in nearest], np.float32))


def _first_by_row(
    looks: NDArray[np.void], places: NDArray[np.intp], values: NDArray[np.float32]
) -> dict[int, tuple[float, int]]:
    found: dict[int, tuple[float, int]] = {}
    of = looks[places]
    for row, value, place in zip(of["row"].tolist(), values.tolist(), of["place"].tolist(), strict=True):
        found.setdefault(row, (value, place))
    return found


def _appearance(
    look: tuple[float, int] | None, colour: tuple[float, int] | None
) -> tuple[float | None, float | None, int]:
    """Cosine, share of a colour, and the place of the image that fits best."""
    place = (look or colour or (0.0, 0))[1]
    return None if look is None else look[0], None if colour is None else colour[0], place
