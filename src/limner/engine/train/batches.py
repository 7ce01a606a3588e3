"""Which images each training step shows: passes over a set, in one image size at a time, by weight.

Every choice is a function of the seed and the step, so that a resumed run shows what an uninterrupted one shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch

GOLDEN = (5**0.5 - 1) / 2


def generator_for(seed: int, purpose: str, step: int) -> torch.Generator:
    """A CPU generator whose numbers depend on seed, purpose and step only."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{step}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def order(count: int, batch: int, step: int, seed: int, weights: Sequence[float] | None = None) -> list[int]:
    """Indices of a step's images: passes over all of them, each pass in a random order of its own.

    With weights, a pass shows some images more than once and leaves others out.
    """
    chosen = []
    for position in range(step * batch, (step + 1) * batch):
        epoch, place = divmod(position, count)
        index = int(torch.randperm(count, generator=generator_for(seed, "epoch", epoch))[place])
        if weights is not None:
            start = float(torch.rand((), generator=generator_for(seed, "weights", 0)))
            index = weighted_pass(weights, epoch, start)[index]
        chosen.append(index)
    return chosen


def uneven(weights: Sequence[float]) -> tuple[float, ...] | None:
    """The weights; None where all are equal."""
    return tuple(weights) if len(set(weights)) > 1 else None


def weighted_pass(weights: Sequence[float], turn: int, start: float) -> list[int]:
    """The images of one pass over n images: n indices in rising order, each as often as its weight's share.

    This is systematic sampling: an image whose share is 2.3 comes two or three times. The offset moves by the golden
    ratio from pass to pass, so that the counts stay near the shares over many passes. start: the first pass's offset,
    0 to 1.
    """
    shares = np.cumsum(np.asarray(weights, dtype=np.float64))
    shares *= len(weights) / shares[-1]
    points = np.arange(len(weights)) + (start + turn * GOLDEN) % 1
    return np.minimum(np.searchsorted(shares, points, side="right"), len(weights) - 1).tolist()


class BucketSchedule:
    """Which bucket (the images of one size) each step trains on. A bucket comes as often as its share says.

    shares: of the buckets, such as their counts of images. Steps move through the shares by the golden ratio, so that
    every stretch of steps holds each bucket about as often as its share.
    """

    def __init__(self, shares: Sequence[float], seed: int) -> None:
        ends = np.cumsum(np.asarray(shares, dtype=np.float64))
        self._ends = ends / ends[-1]
        self._start = float(torch.rand((), generator=generator_for(seed, "buckets", 0)))
        self._step, self._counts = 0, np.zeros(len(ends), dtype=np.int64)

    def at(self, step: int) -> tuple[int, int]:
        """The bucket of a step, and how many earlier steps had the same one."""
        if step < self._step:
            self._step, self._counts = 0, np.zeros_like(self._counts)
        if step > self._step:
            self._counts += np.bincount(self._between(self._step, step), minlength=len(self._counts))
            self._step = step
        bucket = int(self._between(step, step + 1)[0])
        return bucket, int(self._counts[bucket])

    def _between(self, first: int, end: int) -> np.ndarray:
        points = (self._start + np.arange(first, end) * GOLDEN) % 1
        return np.minimum(np.searchsorted(self._ends, points, side="right"), len(self._ends) - 1)
