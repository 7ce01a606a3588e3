"""How far the pictures of a dataset lie apart: mean distance, clusters, medoids and outliers.

Features are rows of length 1, as arrays or as memory maps; none is held whole beyond a chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from limner.core.datasets import Fault
from limner.core.errors import LimnerError
from limner.core.image_faults import FAULTS

CHUNK = 4_096
"""Rows that are held at once."""
WHOLE = 2_000
"""Pictures up to which all pairs are looked at; of more, clusters are found in so many and the rest is assigned."""
REFERENCES = 4_000
"""Pictures, drawn by the seed, among which the nearest of an outlier are looked for, where there are more."""
NEAREST = 5
"""Neighbours that an outlier is far from: a few, so that two strange pictures do not hide each other."""
LEAST = 8
"""Pictures below which none is called an outlier: half of so few are unlike the others."""
LEAST_SPREAD = 0.02
"""Cosine distance; nearer to the median than this times the limit is none, however alike all others are."""
_TO_DEVIATIONS = 1.4826  # of a normal distribution, over its median absolute deviation


@dataclass
class MeanDistance:
    """Mean pairwise cosine distance of rows of length 1 as they come; memory is that of one row.

    With s the sum of n rows, the mean cosine of two different ones is (|s|^2 - n) / (n (n - 1)).
    """

    count: int = 0
    _sum: np.ndarray | float = 0.0
    _squares: float = 0.0

    def add(self, rows: np.ndarray) -> None:
        """Rows (m, d)."""
        rows = np.asarray(rows, dtype=np.float64)
        self.count += len(rows)
        self._sum = self._sum + rows.sum(axis=0)
        self._squares += float((rows**2).sum())

    @property
    def distance(self) -> float:
        """From 0, all the same, to 1 and a little above, nothing in common; 0 for fewer than two."""
        if self.count < 2:
            return 0.0
        return 1 - float(np.sum(np.square(self._sum)) - self._squares) / (self.count * (self.count - 1))


def mean_distance(features: np.ndarray) -> float:
    """The mean cosine distance of pairs of (n, d) rows of length 1."""
    spread = MeanDistance()
    for rows in _chunks(features):
        spread.add(rows)
    return spread.distance


def clusters(features: np.ndarray, apart: float, seed: int = 42) -> np.ndarray:
    """The cluster of each row (n,), numbered from the largest; of equals that of the first row comes first.

    apart: Euclidean distance that the means of two clusters' pairs keep (average linkage). Of more than `WHOLE` rows
    so many drawn ones are linked, their centres are moved by k-means, and each row joins the nearest.
    """
    count = len(features)
    if count < 2:
        return np.zeros(count, dtype=np.int64)
    if count <= WHOLE:
        return _renumbered(_linked(np.asarray(features, dtype=np.float64), apart))
    from scipy.cluster.vq import kmeans2

    drawn = np.asarray(features[_sampled(count, WHOLE, seed)], dtype=np.float64)
    labels = _renumbered(_linked(drawn, apart))
    centres = np.stack([drawn[labels == label].mean(axis=0) for label in range(int(labels.max()) + 1)])
    if len(centres) > 1:
        centres, _ = kmeans2(drawn, centres, iter=10, minit="matrix", missing="warn", rng=seed)
    return _renumbered(np.concatenate([_distances(rows, centres).argmin(axis=1) for rows in _chunks(features)]))


def medoids(features: np.ndarray, labels: np.ndarray) -> list[int]:
    """For each cluster by its number the row that is nearest to its mean, which stands for it."""
    found: list[int] = []
    for label in range(int(labels.max()) + 1 if len(labels) else 0):
        members = np.flatnonzero(labels == label)
        rows = np.asarray(features[members], dtype=np.float64)
        found.append(int(members[_distances(rows, rows.mean(axis=0)[None])[:, 0].argmin()]))
    return found


def outlier_scores(features: np.ndarray, seed: int = 42) -> np.ndarray:
    """How far each row (n,) lies from its nearest ones, in robust deviations above the median; 0 for too few.

    The mean cosine distance to the `NEAREST` others, among all or `REFERENCES` drawn ones.
    """
    count = len(features)
    if count < LEAST:
        return np.zeros(count)
    which = _sampled(count, REFERENCES, seed)
    among = np.asarray(features[which], dtype=np.float32)
    place = np.full(count, -1)
    place[which] = np.arange(len(which))
    found = np.empty(count)
    first = 0
    for rows in _chunks(features, 1_024):
        distances = 1 - np.asarray(rows, dtype=np.float32) @ among.T
        mine = place[first : first + len(rows)]
        itself = np.flatnonzero(mine >= 0)
        distances[itself, mine[itself]] = np.inf
        found[first : first + len(rows)] = np.partition(distances, NEAREST - 1, axis=1)[:, :NEAREST].mean(axis=1)
        first += len(rows)
    middle = float(np.median(found))
    deviation = max(_TO_DEVIATIONS * float(np.median(np.abs(found - middle))), LEAST_SPREAD)
    return (found - middle) / deviation


def outliers(features: np.ndarray, limit: float | None = None, seed: int = 42) -> dict[int, Fault]:
    """The rows that are unlike the others, with what is told of them. limit: of deviations, by default the usual."""
    least = FAULTS["outlier"].limit if limit is None else limit
    assert least is not None
    found = outlier_scores(features, seed)
    return {
        int(at): Fault("outlier", f"unlike the others ({found[at]:.1f} deviations)", float(found[at]))
        for at in np.flatnonzero(found > least)
    }


def principal_components(features: np.ndarray, seed: int = 42) -> np.ndarray:
    """The two principal components of rows, (n, 2): a map on which those alike lie together.

    The axes are those of at most `WHOLE` drawn rows; each points to where its greatest part is positive.
    """
    count = len(features)
    if count < 2:
        return np.zeros((count, 2))
    drawn = np.asarray(features[_sampled(count, WHOLE, seed)], dtype=np.float64)
    middle = drawn.mean(axis=0)
    _, _, axes = np.linalg.svd(drawn - middle, full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2][np.arange(len(axes[:2])), np.abs(axes[:2]).argmax(axis=1)])[:, None]
    found = np.concatenate([(np.asarray(rows, dtype=np.float64) - middle) @ axes.T for rows in _chunks(features)])
    return np.pad(found, ((0, 0), (0, 2 - found.shape[1])))


def _chunks(features: np.ndarray, size: int = CHUNK) -> Iterator[np.ndarray]:
    if features.ndim != 2:
        raise LimnerError(f"features are an array of {features.ndim} dimensions", "give one row for each picture")
    for start in range(0, len(features), size):
        yield features[start : start + size]


def _sampled(count: int, most: int, seed: int) -> np.ndarray:
    """The places of all, or of so many drawn ones, ascending."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def _distances(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Euclidean distances (n, k)."""
    squares = (rows**2).sum(axis=1)[:, None] - 2 * rows @ centres.T + (centres**2).sum(axis=1)
    return np.sqrt(np.maximum(squares, 0))


def _linked(rows: np.ndarray, apart: float) -> np.ndarray:
    from scipy.cluster.hierarchy import fcluster, linkage

    return fcluster(linkage(rows, "average"), apart, "distance")


def _renumbered(labels: np.ndarray) -> np.ndarray:
    _, first, codes, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    numbers = np.empty(len(counts), dtype=np.int64)
    numbers[np.lexsort((first, -counts))] = np.arange(len(counts))
    return numbers[codes.reshape(-1)]
