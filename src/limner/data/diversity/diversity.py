"""Diversity of a dataset in feature space: mean distance, clusters and outliers.

Features are rows of length 1, as arrays or memory maps, and are read in chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from limner.core.datasets import Fault
from limner.core.errors import LimnerError
from limner.core.image_faults import FAULTS

CHUNK = 4_096
"""Rows in memory at once."""
WHOLE = 2_000
"""Up to this number of images all pairs are compared; of more, this many are clustered and the rest is assigned."""
REFERENCES = 4_000
"""The most images, sampled by the seed, among which the neighbours of an outlier are searched."""
NEAREST = 5
"""The number of neighbours that an outlier is far from: several, so that two outliers do not hide each other."""
MIN_IMAGES = 8
"""With fewer images there are no outliers: half of them differ from the others."""
LEAST_SPREAD = 0.02
"""The least robust deviation, as cosine distance, so that no limit is tiny if all others are alike."""
_TO_DEVIATIONS = 1.4826  # standard deviation over median absolute deviation of a normal distribution


@dataclass
class MeanDistance:
    """Mean pairwise cosine distance of rows of length 1 that are added in turn; needs the memory of one row.

    With s the sum of n rows, the mean cosine of two different ones is (|s|^2 - n) / (n (n - 1)).
    """

    count: int = 0
    _sum: np.ndarray | float = 0.0
    _squares: float = 0.0

    def add(self, rows: np.ndarray) -> None:
        """Add rows (m, d)."""
        rows = np.asarray(rows, dtype=np.float64)
        self.count += len(rows)
        self._sum = self._sum + rows.sum(axis=0)
        self._squares += float((rows**2).sum())

    @property
    def distance(self) -> float:
        """From 0 (all equal) to 1 or slightly more (nothing in common); 0 for fewer than two rows."""
        if self.count < 2:
            return 0.0
        return 1 - float(np.sum(np.square(self._sum)) - self._squares) / (self.count * (self.count - 1))


def mean_distance(features: np.ndarray) -> float:
    """The mean cosine distance of all pairs of rows (n, d) of length 1."""
    mean = MeanDistance()
    for rows in _chunks(features):
        mean.add(rows)
    return mean.distance


def clusters(features: np.ndarray, apart: float, seed: int = 42) -> np.ndarray:
    """The cluster of each row (n,), numbered by size, then by first row.

    apart: the least mean Euclidean distance between clusters (average linkage). Of more than `WHOLE` rows a sample is
    linked, its centres are refined by k-means, and each row joins the nearest one.
    """
    count = len(features)
    if count < 2:
        return np.zeros(count, dtype=np.int64)
    if count <= WHOLE:
        return _numbered_by_size(_average_linkage(np.asarray(features, dtype=np.float64), apart))
    from scipy.cluster.vq import kmeans2

    sample = np.asarray(features[_sampled(count, WHOLE, seed)], dtype=np.float64)
    labels = _numbered_by_size(_average_linkage(sample, apart))
    centres = np.stack([sample[labels == label].mean(axis=0) for label in range(int(labels.max()) + 1)])
    if len(centres) > 1:
        centres, _ = kmeans2(sample, centres, iter=10, minit="matrix", missing="warn", rng=seed)
    return _numbered_by_size(np.concatenate([_distances(rows, centres).argmin(axis=1) for rows in _chunks(features)]))


def outlier_scores(features: np.ndarray, seed: int = 42) -> np.ndarray:
    """The distance of each row (n,) from its neighbours, in robust deviations above the median; 0 for too few rows.

    It is the mean cosine distance to the `NEAREST` others, among all or `REFERENCES` sampled ones.
    """
    count = len(features)
    if count < MIN_IMAGES:
        return np.zeros(count)
    which = _sampled(count, REFERENCES, seed)
    among = np.asarray(features[which], dtype=np.float32)
    position = np.full(count, -1)
    position[which] = np.arange(len(which))
    found = np.empty(count)
    first = 0
    for rows in _chunks(features, 1_024):
        distances = 1 - np.asarray(rows, dtype=np.float32) @ among.T
        own = position[first : first + len(rows)]
        itself = np.flatnonzero(own >= 0)
        distances[itself, own[itself]] = np.inf
        found[first : first + len(rows)] = np.partition(distances, NEAREST - 1, axis=1)[:, :NEAREST].mean(axis=1)
        first += len(rows)
    middle = float(np.median(found))
    deviation = max(_TO_DEVIATIONS * float(np.median(np.abs(found - middle))), LEAST_SPREAD)
    return (found - middle) / deviation


def outliers(features: np.ndarray, limit: float | None = None, seed: int = 42) -> dict[int, Fault]:
    """The Fault of each outlier by its row. limit: in deviations, by default that of the fault "outlier"."""
    least = FAULTS["outlier"].limit if limit is None else limit
    assert least is not None
    found = outlier_scores(features, seed)
    return {
        int(at): Fault("outlier", f"unlike the others ({found[at]:.1f} deviations)", float(found[at]))
        for at in np.flatnonzero(found > least)
    }


def principal_components(features: np.ndarray, seed: int = 42) -> np.ndarray:
    """The first two principal components of rows, (n, 2), in which similar rows are near each other.

    The axes are those of at most `WHOLE` sampled rows; the largest coefficient of each is positive.
    """
    count = len(features)
    if count < 2:
        return np.zeros((count, 2))
    sample = np.asarray(features[_sampled(count, WHOLE, seed)], dtype=np.float64)
    middle = sample.mean(axis=0)
    _, _, axes = np.linalg.svd(sample - middle, full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2][np.arange(len(axes[:2])), np.abs(axes[:2]).argmax(axis=1)])[:, None]
    found = np.concatenate([(np.asarray(rows, dtype=np.float64) - middle) @ axes.T for rows in _chunks(features)])
    return np.pad(found, ((0, 0), (0, 2 - found.shape[1])))


def _chunks(features: np.ndarray, size: int = CHUNK) -> Iterator[np.ndarray]:
    if features.ndim != 2:
        raise LimnerError(f"features are an array of {features.ndim} dimensions, not 2", "give one row for each image")
    for start in range(0, len(features), size):
        yield features[start : start + size]


def _sampled(count: int, most: int, seed: int) -> np.ndarray:
    """All indices, or `most` random ones, ascending."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def _distances(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Euclidean distances (n, k)."""
    squares = (rows**2).sum(axis=1)[:, None] - 2 * rows @ centres.T + (centres**2).sum(axis=1)
    return np.sqrt(np.maximum(squares, 0))


def _average_linkage(rows: np.ndarray, apart: float) -> np.ndarray:
    from scipy.cluster.hierarchy import fcluster, linkage

    return fcluster(linkage(rows, "average"), apart, "distance")


def _numbered_by_size(labels: np.ndarray) -> np.ndarray:
    _, first, codes, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    numbers = np.empty(len(counts), dtype=np.int64)
    numbers[np.lexsort((first, -counts))] = np.arange(len(counts))
    return numbers[codes.reshape(-1)]
