"""Tools that styles share: luminance, noise, warping, masks and contours.

Pixel arrays are float32, (height, width, 3) or (height, width), from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from PIL import Image, ImageFilter

from limner.starter.painter.canvas import RGB, SIZE, Gradient, Shape, mix, rasterise

BLACK: RGB = (0, 0, 0)
WHITE: RGB = (255, 255, 255)
DETAIL = 2  # styles that work on pixels work at twice the final size
THICK_LINE = 2.6  # units; a wider line, such as a leg, gets a contour on both sides


@dataclass(frozen=True, slots=True)
class Pen:
    """How to trace one shape: contour colour, contour width in units, colour inside."""

    ink: RGB
    width: float
    inside: RGB


def to_pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.float32) / 255


def to_image(pixels: np.ndarray) -> Image.Image:
    """An RGB image of side 128 from (h, w, 3) or (h, w) pixels of any multiple of that side."""
    image = Image.fromarray((pixels.clip(0, 1) * 255 + 0.5).astype(np.uint8)).convert("RGB")
    return image.reduce(image.width // SIZE)


def luminance(pixels: np.ndarray) -> np.ndarray:
    weighted = pixels * np.array([0.299, 0.587, 0.114], np.float32)  # not `@`, whose last bit differs between machines
    return weighted[..., 0] + weighted[..., 1] + weighted[..., 2]


def brightest(pixels: np.ndarray) -> np.ndarray:
    """The strongest channel of each pixel, (h, w, 3) to (h, w)."""
    return np.maximum(np.maximum(pixels[..., 0], pixels[..., 1]), pixels[..., 2])


@lru_cache(maxsize=4)
def pixel_grid(side: int = SIZE * DETAIL) -> tuple[np.ndarray, np.ndarray]:
    """Row and column number of every pixel, each (side, side); cached, so do not change them."""
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32)
    return rows, columns


def smooth_noise(rng: np.random.Generator, cells: int, side: int = SIZE * DETAIL) -> np.ndarray:
    """Smooth noise (side, side), about -1 to 1, with `cells` blotches along each side."""
    coarse = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def paper_grain(rng: np.random.Generator, side: int = SIZE * DETAIL) -> np.ndarray:
    """The grain of paper (side, side), mean 0, standard deviation about 0.5."""
    fine = rng.standard_normal((side // 2, side // 2), dtype=np.float32)
    return np.asarray(Image.fromarray(fine).resize((side, side), Image.Resampling.BILINEAR))


def warp(pixels: np.ndarray, rng: np.random.Generator, amount: float, cells: int) -> np.ndarray:
    """Pixels displaced by smooth noise of up to `amount` image units, like lines of an unsteady hand."""
    side = pixels.shape[0]
    step = amount * side / SIZE
    rows, columns = pixel_grid(side)
    y = (rows + step * smooth_noise(rng, cells, side)).round().astype(np.intp).clip(0, side - 1)
    x = (columns + step * smooth_noise(rng, cells, side)).round().astype(np.intp).clip(0, side - 1)
    return pixels[y, x]


def blurred(image: Image.Image, radius: float) -> np.ndarray:
    """Pixels of a blurred copy; radius in image units."""
    return to_pixels(image.filter(ImageFilter.BoxBlur(radius * image.width / SIZE)))


def main_colour(shape: Shape) -> RGB:
    """The colour of a shape: the middle of a gradient, the fill, or the stroke."""
    if isinstance(shape.fill, Gradient):
        return mix(shape.fill.top, shape.fill.bottom, 0.5)
    return shape.fill or shape.stroke or WHITE


def extent(shape: Shape) -> float:
    """The longer side of a shape's bounding box, in units."""
    return float(np.ptp(shape.points, axis=0).max())


def is_solid(shape: Shape) -> bool:
    return shape.alpha >= 0.9


def subject_mask(shapes: Sequence[Shape], supersample: int = DETAIL) -> Image.Image:
    """White where the subject is, as an L image of side 128 * supersample."""
    solid = [
        replace(shape, fill=shape.fill and WHITE, stroke=shape.stroke and WHITE)
        for shape in shapes
        if shape.depth == "subject" and is_solid(shape) and shape.clip is None
    ]
    return rasterise(solid, supersample, BLACK).getchannel(0)


def traced(shapes: Sequence[Shape], pen_of: Callable[[Shape], Pen]) -> Iterator[Shape]:
    """Shapes as contours that are filled with a flat colour, so that near shapes still hide far ones."""
    for shape in shapes:
        pen = pen_of(shape)
        if shape.fill is not None:
            ink = pen.ink if shape.outline else None
            yield replace(shape, fill=pen.inside, stroke=ink, width=pen.width)
        elif shape.width > THICK_LINE:
            if shape.outline:
                yield replace(shape, stroke=pen.ink)
            yield replace(shape, stroke=pen.inside, width=shape.width - 2 * pen.width * shape.outline)
        else:
            yield replace(shape, stroke=pen.ink, width=max(0.5, min(shape.width, pen.width)))
