"""The search index: prompts of all libraries by words, by meaning and by facts, in one folder.

A manifest says how many rows are valid. Files are written first and the manifest last, by renaming, so a program that
is killed leaves the index as it was. What cannot be opened is built again from the libraries.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limner.core.discover import Filters
from limner.store.files import atomic_file
from limner.store.locks import waiting_lock
from limner.store.search.table import (
    PICTURE,
    ROW,
    Columns,
    IndexedPrompt,
    Numbers,
    matching,
    pictures_of,
    rows_of,
)
from limner.store.search.vectors import Vectors
from limner.store.search.words import Words

VERSION = 1
MANIFEST = "index.json"
POOL = 100
"""Rows of each list that are fused."""
FUSION, WORDS_WEIGHT, MEANING_WEIGHT = 10, 1.0, 2.0
"""Of the reciprocal rank fusion (Cormack et al. 2009): its constant, and the weights of both lists, by measurement."""
MOST_SCANNED, FEW = 20_000, 500
"""Most hits of words that a filter is applied to; up to so many rows are searched by their numbers instead."""
NEW = (0, 0)
"""The stamp of an index that has no manifest yet."""


class Damaged(Exception):
    """The index cannot be used and has to be built again."""


@dataclass(frozen=True, slots=True)
class Found:
    """A prompt that was found. score: of the fusion. words, meaning: BM25 and cosine; None if it was not found so."""

    library: str
    prompt: int
    text: int
    score: float
    words: float | None
    meaning: float | None


@dataclass(frozen=True)
class _State:
    """What a reader holds of one version of the index."""

    stamp: tuple[int, int]
    manifest: dict[str, Any]
    numbers: Numbers
    rows: Columns
    pictures: Columns
    vectors: Vectors
    words: Words


class SearchIndex:
    """An index in a folder. encoder: of its vectors; those of another cannot be compared. dimensions: of a vector."""

    def __init__(self, folder: Path, encoder: str, dimensions: int) -> None:
        self.folder, self.encoder, self.dimensions = folder, encoder, dimensions
        self._open: _State | None = None
        self._guard = threading.Lock()

    @property
    def indexed(self) -> dict[str, int]:
        """The greatest number of an indexed prompt by library."""
        with self._guard:
            return dict(self._state().manifest["indexed"])

    def __len__(self) -> int:
        with self._guard:
            return len(self._state().rows.records)

    def add(self, prompts: Sequence[IndexedPrompt], vectors: NDArray[np.float32]) -> None:
        """Add prompts with their vectors (n, dimensions). Those up to the greatest number of their library are left
        out, because another program added them meanwhile.
        """
        with self._guard, waiting_lock(self.folder):
            state = self._load(self._stamp())  # its own, because readers use theirs meanwhile
            known = dict(state.manifest["indexed"])
            new = [at for at, prompt in enumerate(prompts) if prompt.prompt > known.get(prompt.library, -1)]
            prompts, vectors = [prompts[at] for at in new], vectors[new]
            first = len(state.rows.records)
            state.vectors.add(vectors)
            state.rows.add(rows_of(prompts, [text_hash(prompt.text) for prompt in prompts], state.numbers))
            state.pictures.add(pictures_of(prompts, first, state.numbers))
            state.words.add(first, [prompt.text for prompt in prompts])
            indexed = state.manifest["indexed"]
            for prompt in prompts:
                indexed[prompt.library] = max(indexed.get(prompt.library, 0), prompt.prompt)
            self._save(state)

    def remove(self, library: str) -> None:
        """Leave out the rows of a library from now on. They take space until the index is built again."""
        with self._guard, waiting_lock(self.folder):
            state = self._load(self._stamp())
            names = state.numbers.names["library"]
            if library in names:
                names[names.index(library)] = f"\0{library}"  # the name may come again, with another number
            state.manifest["indexed"].pop(library, None)
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
    ) -> list[Found]:
        """The prompts that fit best. vector: of the meaning. owner: whose own prompts are seen, None for everyone's.
        private: a library of which prompts without an owner are not seen. repeated: whether a text that several prompts
        have is found more than once.

        Without words any prompt fits: in the order of the hashes of their texts, which is random and always the same.
        """
        with self._guard:
            state = self._state()
        rows, numbers = state.rows.records, state.numbers
        mask = matching(filters, owner, rows, state.pictures.records, numbers)
        removed = [number for number, name in enumerate(numbers.names["library"]) if name.startswith("\0")]
        if removed:
            mask &= ~np.isin(rows["library"], removed)
        if private in numbers.names["library"][1:]:
            mask &= (rows["library"] != numbers.names["library"].index(private)) | (rows["owner"] != 0)
        pool = max(POOL, 2 * limit)
        words = dict(_by_words(state.words, text, pool, mask)) if text.strip() else {}
        meaning = dict(state.vectors.nearest(vector, pool, mask)) if vector is not None and mask.any() else {}
        scores: dict[int, float] = {}
        for weight, found in ((WORDS_WEIGHT, words), (MEANING_WEIGHT, meaning)):
            for rank, row in enumerate(found, 1):
                scores[row] = scores.get(row, 0.0) + weight / (FUSION + rank)
        if vector is None and not text.strip():
            scores = {row: 1 / (1 + place) for place, row in enumerate(_by_hash(rows["text"], mask, pool))}
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
        fresh = {"version": VERSION, "encoder": self.encoder, "dimensions": self.dimensions, "rows": 0, "pictures": 0}
        try:
            manifest: dict[str, Any] = {**fresh, "indexed": {}, "names": Numbers().names}
            if stamp != NEW:
                manifest = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
            if any(manifest[name] != fresh[name] for name in ("version", "encoder", "dimensions")):
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
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Damaged(f"the index in {self.folder} cannot be opened: {error}") from error

    def _save(self, state: _State) -> None:
        state.manifest.update(
            rows=len(state.rows.records), pictures=len(state.pictures.records), names=state.numbers.names
        )
        with atomic_file(self.folder / MANIFEST) as partial:
            partial.write_text(json.dumps(state.manifest), encoding="utf-8")
        self._open = None


def text_hash(text: str) -> int:
    """A number of 64 bits for a text, equal for equal texts apart from case and spaces."""
    same = " ".join(text.casefold().split())
    return int.from_bytes(hashlib.sha256(same.encode("utf-8", "replace")).digest()[:8], "big")


def _by_hash(texts: NDArray[np.uint64], mask: NDArray[np.bool_], count: int) -> list[int]:
    """The rows within a mask (n,) whose texts have the smallest hashes, smallest first."""
    within = np.flatnonzero(mask)
    if len(within) > count:
        within = within[np.argpartition(texts[within], count)[:count]]
    return within[np.argsort(texts[within], kind="stable")].tolist()


def _by_words(words: Words, text: str, pool: int, mask: NDArray[np.bool_]) -> list[tuple[int, float]]:
    """Rows by their words, within a mask (n,)."""
    within = int(np.count_nonzero(mask))
    if within <= FEW:
        return words.find(text, pool, np.flatnonzero(mask).tolist()) if within else []
    limit = min(MOST_SCANNED, 2 * pool * len(mask) // within)
    found = words.find(text, limit)
    return [(row, score) for row, score in found if row < len(mask) and mask[row]][:pool]
