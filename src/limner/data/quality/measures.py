"""Measures the quality of an image, and compares the measures with the limits of faults."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from limner.core.datasets import Fault
from limner.core.image_faults import FAULTS
from limner.data.quality.borders import border_share
from limner.data.quality.sharpness import sharpness
from limner.imaging.opencv import opencv

SIDE = 256
"""Images are measured at the area of a square of this side, so that limits apply to all sizes."""

_LONGEST, _SHORTEST = 4096, 8


def reduce_image(image: Image.Image) -> Image.Image:
    """An RGB image reduced to about 256 x 256 pixels in its own aspect ratio; a smaller one is unchanged."""
    scale = SIDE / (image.width * image.height) ** 0.5
    if scale >= 1:
        return image
    width, height = (min(max(_SHORTEST, round(side * scale)), side, _LONGEST) for side in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)


def measure_quality(small_image: Image.Image, size: tuple[int, int]) -> dict[str, float]:
    """The measures of an image from `reduce_image`. size: (width, height) of the upright original.

    sharpness: 0 to 100. light, shade: 99th and 5th percentile of luma, 0 to 1. spread: standard deviation of the
    channel that varies most, 0 to 255. contrast: difference of the 98th and the 2nd percentile of luma, 0 to 1.
    entropy: of luma, in bits. colour: 99th percentile of chroma, 0 to 1. bars: their share, 0 to 1. aspect: longer over
    shorter side.
    """
    cv2 = opencv()
    pixels = np.asarray(small_image)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    counts = np.bincount(grey.ravel(), minlength=256)
    levels = counts.cumsum() / grey.size
    darkest, shade, brightest, light = (int(np.searchsorted(levels, part)) / 255 for part in (0.02, 0.05, 0.98, 0.99))
    return {
        "sharpness": sharpness(grey.astype(np.float32)),
        "light": light,
        "shade": shade,
        "spread": float(cv2.meanStdDev(pixels)[1].max()),
        "contrast": brightest - darkest,
        "entropy": _entropy(counts / grey.size),
        "colour": _colour(pixels),
        "bars": border_share(pixels),
        "aspect": max(size) / min(size),
    }


def quality_faults(measured: Mapping[str, float], limits: Mapping[str, float]) -> list[Fault]:
    """The faults of an image by its measures. limits: by the name of a fault; missing ones are those of `FAULTS`."""

    def limit(kind: str) -> float:
        return limits.get(kind, FAULTS[kind].limit or 0.0)

    found: list[Fault] = []
    for kind, (measure, is_least, problem) in _CHECKS.items():
        value, edge = measured[measure], limit(kind)
        if (value < edge) if is_least else (value > edge):
            found.append(Fault(kind, f"{problem} {_bounded(kind, value, edge, is_least)}", value))
    plain = {fault.kind for fault in found} & {"flat", "dark", "bright"}
    return [fault for fault in found if not (plain and fault.kind in _FOLLOWING)]


_CHECKS: dict[str, tuple[str, bool, str]] = {
    "flat": ("spread", True, "nearly one colour: spread"),
    "blurred": ("sharpness", True, "blurred: sharpness"),
    "dark": ("light", True, "under-exposed: brightness of its bright parts"),
    "bright": ("shade", False, "over-exposed: brightness of its dark parts"),
    "pale": ("contrast", True, "hardly any contrast: range of brightness"),
    "grey": ("colour", True, "without colour: colourfulness"),
    "odd_shape": ("aspect", False, "odd-shaped: longer side over shorter side"),
    "border": ("bars", False, "bars of one colour cover"),
}
"""By fault: its measure, whether the limit is a minimum (or a maximum), and the message."""

_FOLLOWING = ("pale", "blurred", "grey")
"""Faults that follow from an image of one colour or without light, and are not reported then."""


def _bounded(kind: str, value: float, edge: float, is_least: bool) -> str:
    """A value beside its limit, in percent for a share of the image."""
    if kind == "border":
        return f"{_figure(100 * value, 100 * edge)}% of the image (limit {100 * edge:g}%)"
    return f"{_figure(value, edge)}, and {edge:g} is the {'least' if is_least else 'most'}"


def _figure(value: float, edge: float) -> str:
    """The value in few digits, but never equal to the limit that it exceeds."""
    return next(
        (text for text in (f"{value:.{digits}g}" for digits in (2, 3, 4, 6)) if float(text) != edge), f"{value}"
    )


def _entropy(shares: np.ndarray) -> float:
    there = shares[shares > 0]
    return float(-(there * np.log2(there)).sum())


def _colour(pixels: np.ndarray) -> float:
    """The 99th percentile of chroma (largest minus smallest channel) of pixels (h, w, 3), 0 to 1."""
    cv2 = opencv()
    red, green, blue = cv2.split(pixels)
    most = cv2.max(cv2.max(red, green), blue)
    chroma = cv2.subtract(most, cv2.min(cv2.min(red, green), blue))
    levels = np.bincount(chroma.ravel(), minlength=256).cumsum() / chroma.size
    return int(np.searchsorted(levels, 0.99)) / 255
