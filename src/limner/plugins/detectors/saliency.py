"""Where a picture stands out from what surrounds it, told from its pixels alone, without any weights."""

from __future__ import annotations

import numpy as np
from PIL import Image

from limner.core.errors import LimnerError

SIDE = 96
"""The map has about SIDE x SIDE pixels in the picture's own shape."""
SHORTEST, LONGEST = 8, 4 * SIDE
BAND = 0.08
"""How wide a strip along each border counts as background, of the shorter side."""
SPREAD = 20.0
"""Added to the variances of Lab along a border, so that an even one does not make noise stand out."""
FAINT = 8.0
"""Of the barrier distance, in units of Lab: where nothing is further away, there is nothing to find."""
SPECTRUM = 64
MIDDLE = 1.0
"""Deviation of the centre prior, as a part of each side: half the sides away from the middle, 0.88 is left."""


class Saliency:
    """The sum of three cues, each from 0 to 1: contrast with the borders' colours (Zhang et al. 2015, Minimum barrier
    salient object detection at 80 FPS, section 4), minimum barrier distance to the borders (section 3) and the spectral
    residual (Hou & Zhang 2007, Saliency detection: a spectral residual approach).
    """

    title = "what stands out"
    named = False
    faces = False

    def finder(self, model: str | None) -> Saliency:
        if model is not None:
            raise LimnerError(
                f"saliency needs no model, and {model!r} is one", "leave it out, or use the detector 'model'"
            )
        _cv2()
        return self

    def __call__(self, picture: Image.Image, words: str) -> np.ndarray | None:
        cv2 = _cv2()
        lab = cv2.cvtColor(_reduced(picture), cv2.COLOR_RGB2Lab)
        barrier = barrier_distance(lab)
        if barrier.max() < FAINT:
            return None
        told = _unit(border_contrast(lab)) + _unit(barrier) + np.sqrt(_unit(spectral_residual(lab)))
        return _unit(cv2.GaussianBlur(told, (0, 0), 1.5) * _middle(told.shape)).astype(np.float32)


plugin = Saliency()


def border_contrast(lab: np.ndarray) -> np.ndarray:
    """How far each pixel of Lab (h, w, 3) is from the colours along the borders, (h, w) in fp32.

    The Mahalanobis distances to the four borders, each over its greatest, are added up without the greatest of them: a
    subject may touch one border.
    """
    height, width = lab.shape[:2]
    band = max(1, round(BAND * min(height, width)))
    pixels = lab.reshape(-1, 3)
    distances = []
    for strip in (lab[:band], lab[-band:], lab[:, :band], lab[:, -band:]):
        colours = strip.reshape(-1, 3)
        away = pixels - colours.mean(0)
        precision = np.linalg.inv(np.cov(colours.T) + SPREAD * np.eye(3)).astype(np.float32)
        distance = np.sqrt(np.maximum(((away @ precision) * away).sum(1), 0)).reshape(height, width)
        distances.append(distance / max(float(distance.max()), 1e-6))
    told = np.stack(distances)
    return told.sum(0) - told.max(0)


def barrier_distance(lab: np.ndarray) -> np.ndarray:
    """The minimum barrier distance of each pixel of Lab (h, w, 3) to the picture's borders, added up over the channels:
    (h, w) in fp32. A path costs its highest less its lowest value; sweeps from all four sides find nearly the cheapest.
    """
    values = lab.transpose(0, 2, 1)
    # A path's highest value and its lowest, negated: one maximum then keeps both.
    signed = np.ascontiguousarray(np.stack([values, -values], 1))  # (h, 2, 3, w)
    reached = signed.copy()
    cost = np.full(values.shape, np.inf, np.float32)
    cost[[0, -1]] = 0
    cost[:, :, [0, -1]] = 0
    for turned in (False, True):
        if turned:
            signed, reached, cost = (np.ascontiguousarray(np.swapaxes(a, 0, -1)) for a in (signed, reached, cost))
        _sweep(signed, reached, cost)
        _sweep(signed[::-1], reached[::-1], cost[::-1])
    return cost.sum(1).T


def _sweep(signed: np.ndarray, reached: np.ndarray, cost: np.ndarray) -> None:
    """Reach each row from the one before it, where that is cheaper than the way known so far; in place.

    signed, reached: (rows, 2, 3, n). cost: (rows, 3, n).
    """
    for row in range(1, len(cost)):
        ways = np.maximum(reached[row - 1], signed[row])
        costs = ways[0] + ways[1]
        cheaper = costs < cost[row]
        np.copyto(cost[row], costs, where=cheaper)
        np.copyto(reached[row], ways, where=cheaper)


def spectral_residual(lab: np.ndarray) -> np.ndarray:
    """What the amplitudes of lightness have beyond their neighbours in the spectrum, back in place: (h, w) in fp32."""
    cv2 = _cv2()
    lightness = cv2.resize(lab[..., 0], (SPECTRUM, SPECTRUM), interpolation=cv2.INTER_AREA)
    spectrum = np.fft.fft2(lightness)
    amplitude = np.log(np.abs(spectrum) + 1e-6).astype(np.float32)
    residual = amplitude - cv2.blur(amplitude, (3, 3), borderType=cv2.BORDER_REPLICATE)
    energy = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    smooth = cv2.GaussianBlur(energy.astype(np.float32), (0, 0), 2.5)
    return cv2.resize(smooth, (lab.shape[1], lab.shape[0]), interpolation=cv2.INTER_LINEAR)


def _reduced(picture: Image.Image) -> np.ndarray:
    """About SIDE x SIDE pixels of the picture in its shape, as far as it is not too long for that; fp32 from 0 to 1."""
    scale = min(1.0, SIDE / (picture.width * picture.height) ** 0.5)
    width, height = (min(max(round(side * scale), SHORTEST), LONGEST) for side in picture.size)
    small = picture.convert("RGB").resize((width, height), Image.Resampling.BOX, reducing_gap=3.0)
    return np.asarray(small, dtype=np.float32) / 255


def _middle(shape: tuple[int, ...]) -> np.ndarray:
    down, across = ((np.arange(side, dtype=np.float32) + 0.5) / side - 0.5 for side in shape)
    return np.exp(-(down[:, None] ** 2 + across**2) / (2 * MIDDLE**2))


def _unit(values: np.ndarray) -> np.ndarray:
    spread = float(values.max() - values.min())
    return (values - values.min()) / max(spread, 1e-9)


def _cv2():
    try:
        import cv2
    except ImportError as error:
        raise LimnerError(
            "finding the subject needs OpenCV, which is missing", "pip install 'limner[prepare]', or crop the centre"
        ) from error
    return cv2
