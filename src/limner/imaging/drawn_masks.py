"""Reads masks in the ways that people draw them: white on black or on nothing, erased, in grey, as 0 and 1."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops

from limner.core.files import read_file
from limner.imaging.colours import to_rgb
from limner.imaging.decode import load_upright

HALF = 127
"""Levels above it select, those up to it do not."""
NEAR_END = 32
"""Levels this near to black or white count as black or white, and levels this near to each other as one: JPEG changes
levels by a little."""
STRAY = 0.05
"""Share of the visible pixels that may differ from the rest, such as the edges of strokes."""

DRAWN = "what is drawn on its transparent ground was taken as white"
ERASED = "what is erased to transparent was taken as white"
STRETCHED = "its darkest level was taken as black and its brightest as white"
OUTSIDE = "it is white all along its edge and black inside; if black marks the part that you mean, invert it"
PHOTO = "it is not black and white, but like a photo; its bright parts were taken as white"
HUE = 0.5
"""Hues, as channels from 0 to 1, that differ by more than this in a channel are different colours."""


@dataclass(frozen=True, slots=True)
class DrawnMask:
    """A mask that was read. image: mode L, white where it selects. note: what had to be guessed, None if nothing."""

    image: Image.Image
    note: str | None = None

    @property
    def selects_nothing(self) -> bool:
        return _extremes(self.image)[1] <= HALF

    @property
    def selects_everything(self) -> bool:
        return _extremes(self.image)[0] > HALF


def open_mask(path: str | Path) -> DrawnMask:
    """The mask in a file. Raises LimnerError if it cannot be read."""
    return decode_mask(read_file(path), path)


def decode_mask(data: bytes, path: str | Path) -> DrawnMask:
    """The mask in the bytes of a file, upright. path: for messages. Raises LimnerError if it cannot be decoded.

    Without transparency, white selects, and on black any one colour. Levels on one side of the middle only are
    stretched to black and white.
    With transparency, white selects, and black and transparent do not. A drawing in one other colour selects what is
    drawn, unless that fills the edge of the mask; then, and in an image with an erased part, what is transparent is
    selected.
    """
    loaded = load_upright(data, path)
    if loaded.has_transparency_data and loaded.mode[0] not in "IF":
        layer = loaded.convert("RGBA")
        alpha = layer.getchannel("A")
        if _extremes(alpha)[0] < 255:
            return _of_transparency(layer.convert("L"), alpha)
    colours = _colours(loaded)
    mask = _of_levels(_levels(colours))
    return replace(mask, note=PHOTO) if _is_colourful(colours) or _is_grey(mask.image) else mask


def _colours(image: Image.Image) -> Image.Image:
    """An image in mode RGB, or L if it has 8 bits in a file of 16."""
    if image.mode.startswith("I;16") and int((values := np.asarray(image)).max()) <= 255:  # 8 bits in a file of 16
        return Image.fromarray(values.astype(np.uint8))
    return to_rgb(image, image.info.get("icc_profile"))[0]


def _levels(image: Image.Image) -> Image.Image:
    """An image in mode L: its luma, or for a colour on black, such as blue, how strong the colour is."""
    luma = image.convert("L")
    if image.mode != "RGB":
        return luma
    pixels = np.asarray(image)
    strongest = pixels.max(axis=2)
    low, high = int(strongest.min()), int(strongest.max())
    if low > NEAR_END or high - low < NEAR_END or not _is_coloured(pixels, strongest)[strongest > high // 2].all():
        return luma
    return Image.fromarray(np.rint(strongest * (255 / high)).astype(np.uint8))


def _is_coloured(pixels: np.ndarray, strongest: np.ndarray) -> np.ndarray:
    """Which pixels (h, w, 3) are no grey, (h, w). strongest: the highest channel of each."""
    return strongest.astype(np.int16) - pixels.min(axis=2) > 2 * NEAR_END


def _is_grey(mask: Image.Image) -> bool:
    """Whether most of an image in mode L is neither black nor white."""
    counts = np.array(mask.histogram())
    return bool(counts[2 * NEAR_END : -2 * NEAR_END].sum() > counts.sum() / 2)


def _is_colourful(image: Image.Image) -> bool:
    """Whether an image has several colours besides grey, as a photo has."""
    if image.mode != "RGB":
        return False
    pixels = np.asarray(image)
    strongest = pixels.max(axis=2)
    coloured = pixels[_is_coloured(pixels, strongest)].astype(np.float32)
    if len(coloured) < STRAY * strongest.size:
        return False
    lowest = coloured.min(axis=1, keepdims=True)
    hues = (coloured - lowest) / (coloured.max(axis=1, keepdims=True) - lowest)
    others = np.abs(hues - np.median(hues, axis=0)).max(axis=1) > HUE
    return float(others.mean()) > STRAY


def _of_levels(mask: Image.Image) -> DrawnMask:
    """The mask of an image in mode L."""
    low, high = _extremes(mask)
    labels = low == 0 < high and sum(map(bool, mask.histogram())) == 2
    if (labels or high - low >= NEAR_END) and (high <= HALF or low > HALF):
        scale = 255 / (high - low)
        return DrawnMask(mask.point([round(max(0, level - low) * scale) for level in range(256)]), STRETCHED)
    return DrawnMask(mask, OUTSIDE if low <= HALF < _least_of_edge(mask) else None)


def _of_transparency(levels: Image.Image, alpha: Image.Image) -> DrawnMask:
    """The mask of levels and opacities, both in mode L."""
    counts = np.array(levels.histogram(alpha.point([0] * (HALF + 1) + [255] * (255 - HALF))))
    if not counts.any():  # nothing is more opaque than not
        counts = np.array(levels.histogram(alpha))
    most = (1 - STRAY) * counts.sum()
    black, white = counts[: NEAR_END + 1].sum(), counts[-NEAR_END - 1 :].sum()
    if white and black + white >= most:
        return _of_levels(ImageChops.multiply(levels, alpha))
    shade = int(np.argmax(counts))
    one_colour = counts[max(0, shade - NEAR_END) : shade + NEAR_END + 1].sum() >= most
    if one_colour and _least_of_edge(alpha) <= HALF:
        return DrawnMask(_of_levels(alpha).image, DRAWN)
    return DrawnMask(_of_levels(ImageChops.invert(alpha)).image, ERASED)


def _extremes(image: Image.Image) -> tuple[int, int]:
    """The lowest and the highest level of an image in mode L."""
    low, high = image.getextrema()
    assert isinstance(low, int) and isinstance(high, int)
    return low, high


def _least_of_edge(image: Image.Image) -> int:
    """The lowest level of the outermost pixels of an image in mode L."""
    values = np.asarray(image)
    return int(min(values[0].min(), values[-1].min(), values[:, 0].min(), values[:, -1].min()))
