"""How images look: their colours as columns, in the index beside the vectors of their looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limner.imaging.palettes import COLOURS, Swatch, shares_of

LOOK = np.dtype(
    [
        ("row", "u4"),
        ("place", "u2"),
        ("mark", "u8"),
        ("labs", "i1", (COLOURS, 3)),
        ("shares", "u1", (COLOURS,)),
    ]
)
"""An image. row: of its prompt. place: among the images of its prompt. mark: of its file. labs: L, a and b."""
WHOLE = 255
"""What stands for a whole image in the column of shares."""
AT_ONCE = 100_000
"""Images whose colours are compared at once, which bounds the memory."""


@dataclass(frozen=True, slots=True)
class IndexedLook:
    """An image to be indexed, by the number of its prompt and its place among the images of this prompt.

    mark: a number for its file. vector: of its look.
    """

    prompt: int
    place: int
    mark: int
    colours: Sequence[Swatch]
    vector: NDArray[np.float32]


def looks_of(looks: Sequence[IndexedLook], rows: Mapping[int, int]) -> NDArray[np.void]:
    """Records of images. rows: of their prompts."""
    found = np.zeros(len(looks), LOOK)
    for record, look in zip(found, looks, strict=True):
        record["row"], record["place"], record["mark"] = rows[look.prompt], look.place, look.mark
        for at, colour in enumerate(look.colours[:COLOURS]):
            record["labs"][at] = np.clip(np.round(colour.lab), -128, 127)
            record["shares"][at] = round(WHOLE * colour.share)
    return found


def colours_of(record: Any) -> list[Swatch]:
    """The colours in a record."""
    pairs = zip(record["labs"].tolist(), record["shares"].tolist(), strict=True)
    return [Swatch((float(lab[0]), float(lab[1]), float(lab[2])), share / WHOLE) for lab, share in pairs if share]


def shares(colour: Sequence[float], looks: NDArray[np.void]) -> NDArray[np.float32]:
    """How much of each image (n,) has a colour (L, a, b), from 0 to 1."""
    found = np.empty(len(looks), np.float32)
    for start in range(0, len(looks), AT_ONCE):
        part = looks[start : start + AT_ONCE]
        weights = part["shares"].astype(np.float32) / np.float32(WHOLE)
        found[start : start + AT_ONCE] = shares_of(colour, part["labs"].astype(np.float32), weights)
    return found
