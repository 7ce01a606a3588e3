"""How sharp the sharpest parts of a picture are, whatever it shows and however strong its contrast is."""

from __future__ import annotations

import numpy as np

from limner.imaging.opencv import opencv

TILE = 16
"""Side of the parts that are measured, in pixels."""

REBLUR = 1.0
"""Standard deviation of the blur that edges are compared under, in pixels."""

_FLOOR = 1.0
_FAINT = 0.01
_FEWEST = 4
_SHARPEST = 0.9
_DIAGONAL = np.float32(0.5**0.5)


def sharpness(luma: np.ndarray) -> float:
    """0 (no edge at all) to 100, of luma (h, w) in fp32, 0 to 255.

    What share of the energy of its gradients a picture loses when it is blurred once more: little where it is blurred
    already, whatever its contrast (the ratio of Zhuo and Sim 2011, Defocus map estimation from a single image, taken
    over tiles). It is measured where edges are strong, so noise, blocks of JPEG and plain grounds say little, and of
    those at the sharpest tenth, so a blurred background is no fault. Of the four directions in which gradients are
    taken the least sharp one counts, for motion blurs across one only.
    """
    cv2 = opencv()
    before, after = _energies(luma), _energies(cv2.GaussianBlur(luma, (7, 7), REBLUR))
    floor = max(_FLOOR, _FAINT * float(after.max()))
    found = [_lost(e, f, floor) for e, f in zip(before, after, strict=True)]
    return 100 * min((share for share in found if share is not None), default=0.0)


def _energies(luma: np.ndarray) -> np.ndarray:
    """Mean squared gradients (4, tiles): across, down and along both diagonals."""
    cv2 = opencv()
    across, down = (cv2.Sobel(luma, cv2.CV_32F, x, 1 - x, ksize=3, scale=1 / 8) for x in (1, 0))
    gradients = (across, down, (across + down) * _DIAGONAL, (across - down) * _DIAGONAL)
    size = (max(1, luma.shape[1] // TILE), max(1, luma.shape[0] // TILE))
    return np.stack([cv2.resize(each * each, size, interpolation=cv2.INTER_AREA).ravel() for each in gradients])


def _lost(before: np.ndarray, after: np.ndarray, floor: float) -> float | None:
    """The share of energy lost at the sharpest of the tiles with strong edges; None where there are hardly any."""
    there = after >= floor
    if there.sum() < min(_FEWEST, len(after)):
        return None
    before, after = before[there], after[there]
    strong = after >= np.sort(after)[len(after) // 2]  # sorting a few hundred is faster than numpy's quantiles
    lost = np.sort(1 - after[strong] / before[strong])
    return float(lost[round(_SHARPEST * (len(lost) - 1))])
