"""Pictures beside each other: which are the same, nearly the same, or unlike all others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from PIL import Image

from limner.core.choice import evenly
from limner.core.datasets import Fault
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
from limner.engine.prepare.columns import Columns

EXACT = 1.0
RICH = 0.6
"""The share of the largest copy's bytes from which on another one is as good: mirrored, or saved again as it was."""
FEW, MANY, LOOKED = 600, 50_000, 400
"""Pictures among which parts of others are sought, which takes some 20 ms each; among which an encoder's neighbours
are; and in how many a shared mark is.
"""
HOW: dict[DuplicateKind, str] = {"mirrored": "in a mirror, ", "turned": "turned, ", "cropped": "a part of it, "}


@dataclass(frozen=True)
class Copies:
    """faults: by the picture's place in the columns. family: (n,) the same for all copies of one picture."""

    faults: Mapping[int, tuple[Fault, ...]]
    family: np.ndarray


def copies_of(
    columns: Columns,
    likeness: float | None,
    features: np.ndarray | None,
    strange: Collection[int],
    key: Callable[[int], str],
    glimpse: Callable[[int], Image.Image],
) -> Copies:
    """Which pictures are copies of better ones: those with fewer faults, then in colour, of more pixels, with words, of
    clearly more bytes, then the first; and which are copies of one that is not to be trained on, and so are not either.

    likeness: from which on pictures are nearly the same; None where only the very same are asked for. features: (n, d)
    as an encoder sees them, where one looked. strange: which have a fault besides. key: what the i-th is called,
    the barred ones last. glimpse: the whole of it, small.
    """
    count = len(columns)
    found = [*find_near_duplicates(columns.signatures, EXACT if likeness is None else likeness)]
    barred = _barred(duplicate_groups(found, len(columns.signatures)), count, key)
    twins = [twin for twin in found if max(twin.first, twin.second) < count]
    if likeness is not None:
        twins += _by_features(columns, features, likeness)
        twins += find_crops(_candidates(columns, features), glimpse)
    family = duplicate_groups(twins, count)
    rich = _rich(columns.source_bytes, twins, family)

    def better(at: int) -> tuple[Any, ...]:
        faults = -columns.faults[at] - (at in strange)
        return at not in barred, faults, columns.coloured[at], columns.pixels[at], columns.spoken[at], rich[at], -at

    kept = dropped_duplicates(family, better)
    told: dict[int, NearDuplicate] = {}
    for twin in twins:
        for at in (twin.first, twin.second):
            if at in kept and (at not in told or twin.kind == "exact"):
                told[at] = twin
    copies = {at: (_fault(told[at], key(kept[at])),) for at in sorted(kept)}
    return Copies(copies | {at: (*copies.get(at, ()), fault) for at, fault in barred.items()}, family)


def _rich(source_bytes: np.ndarray, twins: Iterable[NearDuplicate], family: np.ndarray) -> np.ndarray:
    """Whether a picture is told by nearly as many bytes as any of its family, (n,): then it is hardly worse by JPEG.

    source_bytes: (n,) of the files. The very same pixels are told by as many as the smallest file with them has.
    """
    same = duplicate_groups((twin for twin in twins if twin.kind == "exact"), len(source_bytes))
    least, most = source_bytes.copy(), np.zeros_like(source_bytes)
    np.minimum.at(least, same, source_bytes)
    np.maximum.at(most, family, least[same])
    return least[same] >= RICH * most[family]


def _barred(whole: np.ndarray, count: int, key: Callable[[int], str]) -> dict[int, Fault]:
    """The pictures of which a copy is not to be trained on, those from `count` on, and what is told of that.

    whole: the families of all of them, (n + m,).
    """
    last = dict(zip(whole[count:].tolist(), range(count, len(whole)), strict=True))
    return {
        at: Fault("refused", f"a copy of {key(last[whole[at]])!r}, which is not to be trained on")
        for at in np.flatnonzero(np.isin(whole[:count], whole[count:])).tolist()
    }


def _by_features(columns: Columns, features: np.ndarray | None, likeness: float) -> Iterable[NearDuplicate]:
    """Copies among those that an encoder takes for nearly the same; among very many nobody looks."""
    if features is None or len(columns) > MANY:
        return ()
    return confirmed_neighbours(features, columns.signatures, likeness)


def _candidates(columns: Columns, features: np.ndarray | None) -> Iterable[tuple[int, int]]:
    """Pairs of which one may be a part of the other, or the same written on; among many nobody looks."""
    if len(columns) > FEW:
        return ()
    return chain(
        crop_candidates(columns.signatures[: len(columns)]), () if features is None else nearest_neighbours(features)
    )


def shared_mark(count: int, glimpse: Callable[[int], Image.Image]) -> SharedOverlay | None:
    """The mark that many of `count` pictures carry in one place, such as a watermark, by some hundreds of them."""
    overlay = OverlayFinder()
    for at in evenly(range(count), LOOKED):
        overlay.add(glimpse(at))
    return overlay.found()


def _fault(twin: NearDuplicate, other: str) -> Fault:
    if twin.kind == "exact":
        return Fault("duplicate", f"the same picture as {other!r}", twin.similarity)
    how = HOW.get(twin.kind, "")
    return Fault(
        "near_duplicate", f"nearly the same as {other!r} ({how}likeness {twin.similarity:.2f})", twin.similarity
    )
