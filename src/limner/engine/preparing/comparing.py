"""Pictures beside each other: which are the same, nearly the same, or unlike all others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ...core.datasets import Fault
from ...data.twins import Twin, crop_candidates, cropped_copies, groups, near_copies
from .gather import Columns


@dataclass(frozen=True)
class Copies:
    """faults: by the picture's place in the columns. family: (n,) the same for all copies of one picture."""

    faults: Mapping[int, tuple[Fault, ...]]
    family: np.ndarray


def copies_of(
    columns: Columns,
    likeness: float | None,
    features: np.ndarray | None,
    key: Callable[[int], str],
    opened: Callable[[int], Image.Image],
) -> Copies:
    """Which pictures are copies of better ones: those of more pixels, then the sharper, then the first.

    likeness: from which on pictures are nearly the same; None where that is not asked. key: what the i-th is called.
    opened: the i-th as it was written.
    """
    same = [*_twins(columns.files, "file"), *_twins(columns.looks, "pixels")]
    near: list[Twin] = []
    if likeness is not None:
        near = [*near_copies(columns.signatures, likeness)]
        near += cropped_copies(crop_candidates(columns.signatures, features), opened)
    best = np.lexsort((np.arange(len(columns)), -columns.sharpness, -columns.pixels))
    rank = np.empty(len(columns), dtype=np.int64)
    rank[best] = np.arange(len(columns))
    family = groups(len(columns), [*same, *near], rank)
    faults: dict[int, list[Fault]] = defaultdict(list)
    for twin in (*same, *near):
        worse, better = sorted((twin.first, twin.second), key=lambda at: -rank[at])
        if faults[worse]:
            continue
        faults[worse].append(_told(twin, key(int(better))))
    return Copies({at: tuple(found) for at, found in faults.items()}, family)


def _told(twin: Twin, other: str) -> Fault:
    if twin.how in ("file", "pixels"):
        return Fault("duplicate", f"the same {twin.how} as {other!r}", 1.0)
    how = {"mirrored": "in a mirror, ", "cropped": "cropped, "}.get(twin.how, "")
    return Fault("near_duplicate", f"nearly the same as {other!r} ({how}likeness {twin.likeness:.2f})", twin.likeness)


def _twins(values: np.ndarray, how: str) -> Iterable[Twin]:
    """Each picture whose value another one before it has, with the first of these."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    for at in np.flatnonzero(first[inverse.reshape(-1)] != np.arange(len(values))):
        yield Twin(int(first[inverse.reshape(-1)[at]]), int(at), 1.0, how)
