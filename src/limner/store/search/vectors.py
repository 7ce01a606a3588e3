"""Vectors in files: their signs as bits, which are scanned, and 8-bit values, by which the nearest are ordered.

A scan of bits by numpy is exact in what it reads, needs no graph to be built, and takes any filter. One million vectors
of 256 dimensions take 32 MB of memory and a few milliseconds. (Binary quantisation with rescoring, as in Yamada et al.
2021, arXiv:2106.00882.)
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from limner.store.search.table import clear

CANDIDATES = 2000
"""Rows that the scan of the bits gives; these are compared by their 8-bit values."""
SCANNED = 2**14
"""Codes that are compared at once."""
CODES, VALUES = "codes.u64", "values.i8"


class Vectors:
    """Unit vectors of one dimension, which is a multiple of 64; row n was the n-th that was added.

    folder: holds both files. count: rows that are valid; what the files hold beyond them is cut off, because a program
    was stopped while it added them.
    """

    def __init__(self, folder: Path, dimensions: int, count: int) -> None:
        if dimensions % 64:
            raise ValueError(f"{dimensions} dimensions are not a multiple of 64")
        self.folder, self.dimensions, self.count = folder, dimensions, count
        folder.mkdir(parents=True, exist_ok=True)
        codes = np.fromfile(folder / CODES, np.uint64, count * self._words) if count else np.empty(0, np.uint64)
        if codes.size != count * self._words or self._size(VALUES) < count * dimensions:
            raise ValueError(f"the files in {folder} are shorter than {count} vectors")
        self._codes = np.empty((self._words, max(1024, count)), np.uint64)
        self._codes[:, :count] = codes.reshape(count, self._words).T
        self._values = self._map()

    @property
    def _words(self) -> int:
        return self.dimensions // 64

    def _size(self, name: str) -> int:
        place = self.folder / name
        return place.stat().st_size if place.exists() else 0

    def _map(self) -> NDArray[np.int8]:
        if not self.count:
            return np.empty((0, self.dimensions), np.int8)
        return np.memmap(self.folder / VALUES, np.int8, "r", shape=(self.count, self.dimensions))

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Add vectors (n, dimensions) to the files. Nobody else adds to them meanwhile."""
        codes, values = _codes(vectors), _values(vectors)
        after = self.count + len(vectors)
        for name, new, width in ((CODES, codes, 8 * self._words), (VALUES, values, self.dimensions)):
            with _at(self.folder / name, self.count * width) as file:
                file.write(new.tobytes())
        if after > self._codes.shape[1]:
            grown = np.empty((self._words, max(after, 2 * self.count)), np.uint64)
            grown[:, : self.count] = self._codes[:, : self.count]
            self._codes = grown
        self._codes[:, self.count : after] = codes.T
        self.count = after
        self._values = self._map()

    def clear(self, rows: NDArray[np.intp]) -> None:
        """Write zeros over the vectors of some rows."""
        self._codes[:, rows] = 0
        clear(self.folder / CODES, rows, 8 * self._words)
        clear(self.folder / VALUES, rows, self.dimensions)

    def of(self, row: int) -> NDArray[np.float32]:
        """The vector of a row, of length 1."""
        values = np.asarray(self._values[row], np.float32)
        return values / max(float(np.linalg.norm(values)), 1e-9)

    def nearest(
        self, vector: NDArray[np.float32], limit: int, mask: NDArray[np.bool_] | None = None
    ) -> list[tuple[int, float]]:
        """The rows nearest to a vector (dimensions,) and their cosines, nearest first. mask: rows that count (n,)."""
        rows = self._candidates(vector, max(CANDIDATES, 20 * limit), mask)
        cosines = self.cosines(vector, rows)
        best = np.argsort(-cosines, kind="stable")[:limit]
        return [(int(rows[at]), float(cosines[at])) for at in best]

    def cosines(self, vector: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Cosines between a vector (dimensions,) and the vectors of some rows."""
        values = np.asarray(self._values[rows], np.float32)
        lengths = np.linalg.norm(values, axis=1) * max(float(np.linalg.norm(vector)), 1e-9)
        return (values @ vector) / np.maximum(lengths, 1e-9)

    def _candidates(self, vector: NDArray[np.float32], wanted: int, mask: NDArray[np.bool_] | None) -> NDArray[np.intp]:
        within = self.count if mask is None else int(np.count_nonzero(mask))
        if within <= wanted:
            return np.arange(self.count) if mask is None else np.flatnonzero(mask)
        if 8 * within < self.count:  # few rows are cheaper to gather than all are to scan
            rows = np.flatnonzero(mask if mask is not None else ())
            codes = self._codes[:, rows]
        else:
            rows, codes = None, self._codes[:, : self.count]
        distances = self._distances(_codes(vector[None])[0], codes)
        if rows is None and mask is not None:
            distances[~mask] = self.dimensions + 1
        counts = np.cumsum(np.bincount(distances, minlength=self.dimensions + 2))
        chosen = np.flatnonzero(distances <= np.searchsorted(counts, wanted))
        return chosen if rows is None else rows[chosen]

    def _distances(self, code: NDArray[np.uint64], codes: NDArray[np.uint64]) -> NDArray[np.uint16]:
        """Hamming distances between a code (words,) and codes (words, n)."""
        found = np.zeros(codes.shape[1], np.uint16)
        for start in range(0, len(found), SCANNED):  # some at a time, which stay in the cache of the processor
            part = found[start : start + SCANNED]
            for word in range(self._words):
                part += np.bitwise_count(codes[word, start : start + SCANNED] ^ code[word])
        return found


def _codes(vectors: NDArray[np.float32]) -> NDArray[np.uint64]:
    return np.packbits(vectors > 0, axis=1).view(np.uint64)


def _values(vectors: NDArray[np.float32]) -> NDArray[np.int8]:
    largest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-9)
    return np.asarray(np.round(vectors * (127 / largest)), np.int8)


@contextmanager
def _at(path: Path, place: int) -> Generator[BinaryIO]:
    """A file to write from a place on; what stood beyond it is cut off."""
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.truncate(place)
        file.seek(place)
        yield file
