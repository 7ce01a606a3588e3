"""Fine detail: share of high frequencies in the spectrum of each image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.imaging.luminance import luminance

FINE = 0.125


class Frequency:
    """Percent of the spectral power of luma above 1/8 cycle per pixel at 256 x 256 pixels. The mean is subtracted and
    the border faded out (Hann window), so that neither counts.
    """

    title = "fine detail"
    about = (
        f"percent of the spectral power of luma above {FINE:g} cycles per pixel at 256 x 256 pixels; 0 for a flat image"
    )
    better: Literal["higher", "lower"] | None = None
    unit: Unit = "picture"
    needs: frozenset[Need] = frozenset()
    model: str | None = None
    named = False

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        return score


def score(gallery: ImageSet) -> np.ndarray:
    return np.array([fine_share(luminance(path)) for path in gallery.paths])


def fine_share(luma: np.ndarray) -> float:
    """Percent of the power of luma (h, w) at high frequencies, 0 to 100."""
    height, width = luma.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    faded = (luma - (luma * window).sum() / max(float(window.sum()), 1e-9)) * window
    power = np.abs(np.fft.fft2(faded)) ** 2
    fine = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]) > FINE
    whole = float(power.sum())
    return 100 * float(power[fine].sum()) / whole if whole > luma.size * 1e-6 else 0.0


plugin = Frequency()
