"""The main colours of an image in CIELAB, and how much of an image has a colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from limner.imaging.cielab import lab_of

COLOURS = 5
"""Most colours of a palette."""
SIDE, FINE = 64, 16
"""Longest side of the copy whose colours are counted, and the colours to which it is reduced first."""
SAME = 12.0
"""Up to this distance in CIELAB two colours of an image are one."""
SPREAD, FARTHEST = 7.0, 12.0
"""Distances at which a colour of an image counts as 60% of a wanted one, and from which on it does not."""
Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Swatch:
    """A colour of an image: L, a and b, and the share of the image that has it."""

    lab: tuple[float, float, float]
    share: float


def palette(image: Image.Image) -> list[Swatch]:
    """The main colours of an image, those of the largest share first."""
    small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    reduced = small.quantize(FINE, method=Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
    counts = np.bincount(np.asarray(reduced).ravel(), minlength=256)
    table = np.asarray(reduced.getpalette("RGB") or [], np.float64).reshape(-1, 3)
    used = np.flatnonzero(counts[: len(table)])
    colours, shares = lab_of(table[used]), counts[used] / counts.sum()
    found: list[tuple[NDArray[np.float64], float]] = []
    for at in np.argsort(-shares, kind="stable"):
        near = next((n for n, (lab, _) in enumerate(found) if np.linalg.norm(lab - colours[at]) < SAME), None)
        if near is None:
            found.append((colours[at], float(shares[at])))
        else:
            lab, share = found[near]
            total = share + float(shares[at])
            found[near] = (lab * share + colours[at] * shares[at]) / total, total
    found.sort(key=lambda each: -each[1])
    return [Swatch((float(lab[0]), float(lab[1]), float(lab[2])), share) for lab, share in found[:COLOURS]]


def shares_of(colour: Sequence[float], labs: Array, shares: Array) -> Array:
    """How much of each image (n,) has a colour (L, a, b); colours that are near count in part.

    labs: (n, COLOURS, 3) of the images. shares: (n, COLOURS) of their colours, 0 where there are fewer.
    """
    distances = distances_to(colour, labs)
    return (shares * np.exp(-(distances**2) / (2 * SPREAD**2)) * (distances < FARTHEST)).sum(-1)


def distances_to(colour: Sequence[float], labs: Array) -> Array:
    """Distances by CIE94 (CIE 116-1995) with the weights for textiles: lightness counts by half, and hue most.

    labs: (..., 3).
    """
    lightness, *rest = np.asarray(colour, np.float32)
    chroma, wanted = np.hypot(labs[..., 1], labs[..., 2]), float(np.hypot(*rest))
    more = chroma - wanted
    hue = np.maximum(((labs[..., 1:] - np.asarray(rest, np.float32)) ** 2).sum(-1) - more**2, 0)  # squared
    mean = np.sqrt(chroma * wanted)
    lighter = (labs[..., 0] - lightness) / 2
    return np.sqrt(lighter**2 + (more / (1 + 0.048 * mean)) ** 2 + hue / (1 + 0.014 * mean) ** 2)
