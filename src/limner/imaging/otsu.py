"""The value that best parts the high ones from the low ones."""

from __future__ import annotations

import numpy as np

BINS = 256


def otsu(values: np.ndarray) -> float:
    """The threshold of greatest variance between those above it and the others (Otsu 1979, A threshold selection method
    from gray-level histograms), to one of 256 steps between the least and the greatest value.
    """
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return low
    counts, edges = np.histogram(values, BINS, (low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()
    above = below[-1] - below
    sums = (counts * centres).cumsum()
    parted = (below > 0) & (above > 0)
    apart = np.where(parted, sums / np.maximum(below, 1) - (sums[-1] - sums) / np.maximum(above, 1), 0)
    return float(edges[1:][np.argmax(below.astype(float) * above * apart**2)])
