"""Artistic styles: each renders a display list of shapes as an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from limner.starter.painter.canvas import SIZE, Shape, rasterise
from limner.starter.painter.style_brush import oil_painting, watercolour
from limner.starter.painter.style_line import neon_sign, pencil_sketch
from limner.starter.painter.style_tools import subject_mask

Renderer = Callable[[Sequence[Shape], np.random.Generator], Image.Image]

CELL = 2  # side of a pixel-art cell, in pixels of the final image


def illustration(shapes: Sequence[Shape], rng: np.random.Generator) -> Image.Image:
    """The shapes as they are, anti-aliased."""
    return rasterise(shapes, 4).reduce(4)


def _limited(cells: Image.Image, where: np.ndarray, colours: int) -> Image.Image:
    """The cells in a few colours, chosen for the pixels under the mask (64, 64), with rare hues such as of eyes."""
    pixels = np.asarray(cells)[where > 0]
    if not len(pixels):
        return cells
    strip = Image.fromarray(pixels[None])
    palette = strip.quantize(colours, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    return cells.quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB")


def pixel_art(shapes: Sequence[Shape], rng: np.random.Generator) -> Image.Image:
    """Large square cells in a small palette, with a dark contour around the subject."""
    cells = rasterise(shapes, 4).reduce(4 * CELL)
    mask = subject_mask(shapes, 2).reduce(2 * CELL).point([0] * 128 + [255] * 128)
    contour = ImageChops.subtract(mask.filter(ImageFilter.MaxFilter(3)), mask)
    inside = np.asarray(mask)
    image = Image.composite(_limited(cells, inside, 24), _limited(cells, 255 - inside, 20), mask)
    image.paste((28, 22, 40), (0, 0), contour)
    side = image.width * CELL
    return image.resize((side, side), Image.Resampling.NEAREST).crop((0, 0, SIZE, SIZE))


STYLE_RENDERERS: dict[str, Renderer] = {
    "illustration": illustration,
    "pencil sketch": pencil_sketch,
    "watercolour": watercolour,
    "neon sign": neon_sign,
    "pixel art": pixel_art,
    "oil painting": oil_painting,
}


def render(shapes: Sequence[Shape], style: str, rng: np.random.Generator) -> Image.Image:
    """The shapes in one of vocabulary.STYLES as an RGB image, 128 x 128; rng: decides strokes and noise."""
    return STYLE_RENDERERS[style](shapes, rng)
