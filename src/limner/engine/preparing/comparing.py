"""Pictures beside each other: which are the same, nearly the same, or unlike all others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ...core.datasets import Fault
from ...data.twins import How, Sets, Twin, groups, near_copies
from .gather import Columns

EXACT = 1.0
HOW: dict[How, str] = {"mirrored": "in a mirror, ", "turned": "turned, ", "cropped": "a part of it, "}


@dataclass(frozen=True)
class Copies:
    """faults: by the picture's place in the columns. family: (n,) the same for all copies of one picture."""

    faults: Mapping[int, tuple[Fault, ...]]
    family: np.ndarray


def copies_of(
    columns: Columns,
    likeness: float | None,
    cropped: Callable[[], Iterable[Twin]],
    key: Callable[[int], str],
) -> Copies:
    """Which pictures are copies of better ones: those of more pixels, then the sharper, then the first.

    likeness: from which on pictures are nearly the same; None where only the very same are asked for. cropped: tells
    the pictures that are parts of others. key: what the i-th is called.
    """
    twins = [*near_copies(columns.signatures, EXACT if likeness is None else likeness)]
    twins += [] if likeness is None else cropped()
    sets = Sets(len(columns))
    for twin in twins:
        sets.join(twin.first, twin.second)
    kept = groups(twins, lambda at: (columns.pixels[at], columns.sharpness[at], -at))
    told: dict[int, Twin] = {}
    for twin in twins:
        for at in (twin.first, twin.second):
            if at in kept and (at not in told or twin.how == "exact"):
                told[at] = twin
    return Copies({at: (_fault(told[at], key(kept[at])),) for at in sorted(kept)}, sets.roots())


def _fault(twin: Twin, other: str) -> Fault:
    if twin.how == "exact":
        return Fault("duplicate", f"the same picture as {other!r}", twin.likeness)
    how = HOW.get(twin.how, "")
    return Fault("near_duplicate", f"nearly the same as {other!r} ({how}likeness {twin.likeness:.2f})", twin.likeness)
