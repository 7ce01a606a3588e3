"""Measures the sharpness of the sharpest parts of an image, independent of contrast."""

from __future__ import annotations

import numpy as np

from limner.imaging.opencv import opencv

TILE = 16
"""Side of the tiles that are measured, in pixels."""

REBLUR = 1.0
"""Standard deviation of the additional blur, in pixels."""

_FLOOR = 1.0
_FAINT = 0.01
_FEWEST = 4
_SHARPEST = 0.9
_DIAGONAL = np.float32(0.5**0.5)


def sharpness(luma: np.ndarray) -> float:
    """The sharpness of luma (h, w) in fp32, 0 to 255: from 0 (no edge) to 100.

    The share of the energy of the gradients that is lost by a further blur: little if the image is blurred already,
    whatever its contrast (the ratio of Zhuo and Sim 2011, Defocus map estimation from a single image, over tiles). Only
    tiles with strong edges count, so that noise, JPEG blocks and plain areas have little influence, and of these the
    sharpest tenth, so that a blurred background is no fault. The least sharp one of four gradient directions counts,
    because motion blurs in one direction only.
    """
    cv2 = opencv()
    before, after = _energies(luma), _energies(cv2.GaussianBlur(luma, (7, 7), REBLUR))
    floor = max(_FLOOR, _FAINT * float(after.max()))
    found = [_lost(e, f, floor) for e, f in zip(before, after, strict=True)]
    return 100 * min((share for share in found if share is not None), default=0.0)


def _energies(luma: np.ndarray) -> np.ndarray:
    """Mean squared gradients (4, tiles): horizontal, vertical and along both diagonals."""
    cv2 = opencv()
    across, down = (cv2.Sobel(luma, cv2.CV_32F, x, 1 - x, ksize=3, scale=1 / 8) for x in (1, 0))
    gradients = (across, down, (across + down) * _DIAGONAL, (across - down) * _DIAGONAL)
    size = (max(1, luma.shape[1] // TILE), max(1, luma.shape[0] // TILE))
    return np.stack([cv2.resize(each * each, size, interpolation=cv2.INTER_AREA).ravel() for each in gradients])


def _lost(before: np.ndarray, after: np.ndarray, floor: float) -> float | None:
    """The share of energy that the sharpest tiles with strong edges lose; None if there are hardly any."""
    there = after >= floor
    if there.sum() < min(_FEWEST, len(after)):
        return None
    before, after = before[there], after[there]
    strong = after >= np.sort(after)[len(after) // 2]  # sorting a few hundred is faster than numpy's quantiles
    lost = np.sort(1 - after[strong] / before[strong])
    return float(lost[round(_SHARPEST * (len(lost) - 1))])
