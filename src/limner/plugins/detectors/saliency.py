"""Finds the subject by visual saliency, from pixels alone, without a model."""

from __future__ import annotations

import numpy as np
from PIL import Image

from limner.core.errors import LimnerError
from limner.imaging.opencv import opencv

SIDE = 96
"""The map has about SIDE x SIDE pixels in the aspect ratio of the image."""
SHORTEST, LONGEST = 8, 4 * SIDE
BAND = 0.08
"""Width of the strip along each border that counts as background, as a share of the shorter side."""
SPREAD = 20.0
"""Added to the variances of Lab along a border, so that noise is not salient in front of a uniform border."""
FAINT = 8.0
"""The least maximum of the barrier distance, in units of Lab; below it there is no subject."""
SPECTRUM = 64
MIDDLE = 1.0
"""Standard deviation of the centre prior, as a share of each side; it is 0.88 at the middle of a border."""


class SaliencyDetector:
    """Detector by the sum of three cues, each from 0 to 1.

    Contrast with the borders' colours (Zhang et al. 2015, Minimum barrier salient object detection at 80 FPS, section
    4), minimum barrier distance to the borders (section 3), and the spectral residual (Hou & Zhang 2007, Saliency
    detection: a spectral residual approach).
    """

    title = "what stands out"
    named = False
    faces = False

    def finder(self, model: str | None) -> SaliencyDetector:
        """The detector itself. Raises LimnerError if a model is given or OpenCV is missing."""
        if model is not None:
            raise LimnerError(
                f"saliency takes no model, but {model!r} was given", "leave it out, or use the detector 'model'"
            )
        opencv()
        return self

    def __call__(self, image: Image.Image, words: str) -> np.ndarray | None:
        cv2 = opencv()
        lab = cv2.cvtColor(_reduced(image), cv2.COLOR_RGB2Lab)
        barrier = barrier_distance(lab)
        if barrier.max() < FAINT:
            return None
        salience = _unit(border_contrast(lab)) + _unit(barrier) + np.sqrt(_unit(spectral_residual(lab)))
        return _unit(cv2.GaussianBlur(salience, (0, 0), 1.5) * _centre_prior(salience.shape)).astype(np.float32)


plugin = SaliencyDetector()


def border_contrast(lab: np.ndarray) -> np.ndarray:
    """The distance of each pixel of Lab (h, w, 3) from the colours along the borders, (h, w) in fp32.

    The sum of the Mahalanobis distances to the four borders, each divided by its maximum, without the largest one,
    because a subject may touch one border.
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
    stacked = np.stack(distances)
    return stacked.sum(0) - stacked.max(0)


def barrier_distance(lab: np.ndarray) -> np.ndarray:
    """The minimum barrier distance of each pixel of Lab (h, w, 3) to the borders, summed over channels, (h, w) in fp32.

    The cost of a path is its highest minus its lowest value; sweeps from all four sides approximate the minimum.
    """
    values = lab.transpose(0, 2, 1)
    # The highest value of a path and its negated lowest one, so that one maximum updates both.
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
    """Update each row from the previous one where that path is cheaper, in place.

    signed, reached: (rows, 2, 3, n). cost: (rows, 3, n).
    """
    for row in range(1, len(cost)):
        ways = np.maximum(reached[row - 1], signed[row])
        costs = ways[0] + ways[1]
        cheaper = costs < cost[row]
        np.copyto(cost[row], costs, where=cheaper)
        np.copyto(reached[row], ways, where=cheaper)


def spectral_residual(lab: np.ndarray) -> np.ndarray:
    """The spectral residual of lightness, (h, w) in fp32: amplitudes minus their local mean in the spectrum."""
    cv2 = opencv()
    lightness = cv2.resize(lab[..., 0], (SPECTRUM, SPECTRUM), interpolation=cv2.INTER_AREA)
    spectrum = np.fft.fft2(lightness)
    amplitude = np.log(np.abs(spectrum) + 1e-6).astype(np.float32)
    residual = amplitude - cv2.blur(amplitude, (3, 3), borderType=cv2.BORDER_REPLICATE)
    energy = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    smooth = cv2.GaussianBlur(energy.astype(np.float32), (0, 0), 2.5)
    return cv2.resize(smooth, (lab.shape[1], lab.shape[0]), interpolation=cv2.INTER_LINEAR)


def _reduced(image: Image.Image) -> np.ndarray:
    """The image at about SIDE x SIDE pixels in its aspect ratio, within limits, fp32 from 0 to 1."""
    scale = min(1.0, SIDE / (image.width * image.height) ** 0.5)
    width, height = (min(max(round(side * scale), SHORTEST), LONGEST) for side in image.size)
    small = image.convert("RGB").resize((width, height), Image.Resampling.BOX, reducing_gap=3.0)
    return np.asarray(small, dtype=np.float32) / 255


def _centre_prior(shape: tuple[int, ...]) -> np.ndarray:
    down, across = ((np.arange(side, dtype=np.float32) + 0.5) / side - 0.5 for side in shape)
    return np.exp(-(down[:, None] ** 2 + across**2) / (2 * MIDDLE**2))


def _unit(values: np.ndarray) -> np.ndarray:
    spread = float(values.max() - values.min())
    return (values - values.min()) / max(spread, 1e-9)
