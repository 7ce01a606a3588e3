"""Compares the images of a dataset with each other: duplicates, near duplicates, outliers and shared watermarks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from PIL import Image

from limner.core.choice import evenly
from limner.core.datasets import Fault
from limner.data.diversity.diversity import outliers
from limner.data.duplicates.cropped import crop_candidates, find_crops
from limner.data.duplicates.near_duplicates import (
    DuplicateKind,
    NearDuplicate,
    confirmed_neighbours,
    dropped_duplicates,
    duplicate_groups,
    find_near_duplicates,
    nearest_neighbours,
)
from limner.data.quality.overlays import OverlayFinder, SharedOverlay
from limner.engine.prepare.columns import Columns, StagedImages
from limner.engine.prepare.plan import ImagePlan

EXACT = 1.0
RICH = 0.6
"""Share of the bytes of the largest copy from which on another one counts as good: mirrored, or saved again as it
was."""
MAX_CROPS, MAX_NEIGHBOURS, MAX_OVERLAYS = 600, 50_000, 400
"""The most images among which crops of others are searched, at some 20 ms each; among which neighbours by an encoder
are; and in how many a shared watermark is.
"""
HOW: dict[DuplicateKind, str] = {"mirrored": "mirrored, ", "turned": "turned, ", "cropped": "a crop of it, "}


@dataclass(frozen=True)
class ComparisonFaults:
    """faults: by the image's place in the columns. family: (n,) a number that all copies of one image share."""

    faults: Mapping[int, tuple[Fault, ...]]
    family: np.ndarray


def compare_images(plan: ImagePlan, staged: StagedImages, features: np.ndarray | None) -> ComparisonFaults:
    """The faults of images compared with others: copies and outliers, except ignored ones.

    features: (n, d), None without an encoder.
    """
    limit = plan.limits.get("outlier")
    unusual = {} if features is None or limit is None else outliers(features, limit)
    min_similarity = plan.limits.get("near_duplicate")
    copies = find_copies(staged.columns, min_similarity, features, unusual, staged.key, staged.thumbnail)
    both = copies.faults.keys() | unusual.keys()
    every = {at: (*copies.faults.get(at, ()), *([unusual[at]] if at in unusual else [])) for at in sorted(both)}
    kept = {at: tuple(each for each in faults if plan.actions[each.kind] != "ignore") for at, faults in every.items()}
    return ComparisonFaults({at: faults for at, faults in kept.items() if faults}, copies.family)


def find_copies(
    columns: Columns,
    min_similarity: float | None,
    features: np.ndarray | None,
    unusual: Collection[int],
    key: Callable[[int], str],
    thumbnail: Callable[[int], Image.Image],
) -> ComparisonFaults:
    """Find the images that are copies of better ones, and those that are copies of one that must not be trained on.

    Better is: fewer faults, then colour, more pixels, a caption, clearly more bytes, and then the first one. An exact
    copy is called the same as the best of its exact copies. If these are near duplicates of a better image, each is
    called that too.
    min_similarity: from which on images are near duplicates; None for exact duplicates only. features: (n, d), None
    without an encoder. unusual: indices of images with another fault. key: of the i-th image, the barred ones last.
    """
    count = len(columns)
    found = [*find_near_duplicates(columns.signatures, EXACT if min_similarity is None else min_similarity)]
    barred = _copies_of_barred(duplicate_groups(found, len(columns.signatures)), count, key)
    pairs = [pair for pair in found if max(pair.first, pair.second) < count]
    if min_similarity is not None:
        pairs += _near_by_features(columns, features, min_similarity)
        pairs += find_crops(_crop_candidates(columns, features), thumbnail)
    family = duplicate_groups(pairs, count)
    same = duplicate_groups((pair for pair in pairs if pair.kind == "exact"), count)
    rich = _is_rich(columns.source_bytes, same, family)

    def better(at: int) -> tuple[Any, ...]:
        faults = -columns.faults[at] - (at in unusual)
        return at not in barred, faults, columns.coloured[at], columns.pixels[at], columns.captioned[at], rich[at], -at

    exact, best = dropped_duplicates(same, better), dropped_duplicates(family, better)
    near: dict[int, NearDuplicate] = {}
    for pair in pairs:
        if pair.kind != "exact":
            near.setdefault(int(same[pair.first]), pair)
            near.setdefault(int(same[pair.second]), pair)
    copies: dict[int, tuple[Fault, ...]] = {}
    for at in sorted(best):
        copies[at] = (_exact_fault(key(exact[at])),) if at in exact else ()
        if exact.get(at, at) in best:
            copies[at] += (_near_fault(near[int(same[at])], key(best[at])),)
    return ComparisonFaults(copies | {at: (*copies.get(at, ()), fault) for at, fault in barred.items()}, family)


def _is_rich(source_bytes: np.ndarray, same: np.ndarray, family: np.ndarray) -> np.ndarray:
    """Whether an image's file has nearly as many bytes as any of its family, (n,): then JPEG made it hardly worse.

    source_bytes: (n,) of the files. same: (n,) groups of exact duplicates, which count with the bytes of their smallest
    file.
    """
    least, most = source_bytes.copy(), np.zeros_like(source_bytes)
    np.minimum.at(least, same, source_bytes)
    np.maximum.at(most, family, least[same])
    return least[same] >= RICH * most[family]


def _copies_of_barred(whole: np.ndarray, count: int, key: Callable[[int], str]) -> dict[int, Fault]:
    """The faults of images with a copy that must not be trained on, which are those from `count` on.

    whole: the families of all images, (n + m,).
    """
    last = dict(zip(whole[count:].tolist(), range(count, len(whole)), strict=True))
    return {
        at: Fault("refused", f"a copy of {key(last[whole[at]])!r}, which is not to be trained on")
        for at in np.flatnonzero(np.isin(whole[:count], whole[count:])).tolist()
    }


def _near_by_features(columns: Columns, features: np.ndarray | None, min_similarity: float) -> Iterable[NearDuplicate]:
    """Near duplicates among neighbours by an encoder; none are searched in very large sets."""
    if features is None or len(columns) > MAX_NEIGHBOURS:
        return ()
    return confirmed_neighbours(features, columns.signatures, min_similarity)


def _crop_candidates(columns: Columns, features: np.ndarray | None) -> Iterable[tuple[int, int]]:
    """Pairs of which one may be a crop of the other, or the same with text on it; none are searched in large sets."""
    if len(columns) > MAX_CROPS:
        return ()
    return chain(
        crop_candidates(columns.signatures[: len(columns)]), () if features is None else nearest_neighbours(features)
    )


def shared_mark(count: int, thumbnail: Callable[[int], Image.Image]) -> SharedOverlay | None:
    """The mark that many of `count` images have in the same place, such as a watermark, from some hundreds of them."""
    overlay = OverlayFinder()
    for at in evenly(range(count), MAX_OVERLAYS):
        overlay.add(thumbnail(at))
    return overlay.found()


def _exact_fault(other: str) -> Fault:
    return Fault("duplicate", f"the same image as {other!r}", EXACT)


def _near_fault(pair: NearDuplicate, other: str) -> Fault:
    how = HOW.get(pair.kind, "")
    text = f"nearly the same as {other!r} ({how}similarity {pair.similarity:.2f})"
    return Fault("near_duplicate", text, pair.similarity)
