"""Styles of brushes: watercolour and oil painting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from limner.starter.painter.canvas import SIZE, Shape, rasterise
from limner.starter.painter.style_tools import (
    DETAIL,
    blurred,
    brightest,
    luminance,
    paper_grain,
    pixel_grid,
    smooth_noise,
    subject_mask,
    to_image,
    to_pixels,
    warp,
)

PAPER = np.array([0.99, 0.98, 0.955], np.float32)


def _vignette(rng: np.random.Generator, border: float) -> np.ndarray:
    """A mask (256, 256): 1 inside the painted area, 0 on the paper around it; border in units."""
    ramp = np.minimum(np.arange(SIZE * DETAIL), np.arange(SIZE * DETAIL)[::-1]).astype(np.float32) / DETAIL
    distance = np.minimum(ramp[:, None], ramp[None, :])
    ragged = border * (1 + 0.8 * smooth_noise(rng, 9) + 0.35 * smooth_noise(rng, 40))
    return ((distance - ragged) / 1.2 + 0.5).clip(0, 1)


def watercolour(shapes: Sequence[Shape], rng: np.random.Generator) -> Image.Image:
    """Pale uneven colours with dark rims and soft edges on white textured paper."""
    flat = rasterise(shapes, DETAIL)
    near = to_pixels(subject_mask(shapes))[..., None]
    wet = blurred(flat, 1.6)
    soft = (0.3 + 0.4 * smooth_noise(rng, 12)[..., None]).clip(0, 0.7) * (1 - 0.8 * near)
    pigment = to_pixels(flat) * (1 - soft) + wet * soft
    pigment = warp(np.concatenate([pigment, wet], axis=-1), rng, 1.0, 26)
    pigment, wet = pigment[..., :3], pigment[..., 3:]
    rim = (luminance(wet) - luminance(pigment))[..., None].clip(0, 0.25)
    grain = paper_grain(rng)[..., None]
    density = 0.78 + 0.2 * smooth_noise(rng, 7)[..., None] + 0.1 * smooth_noise(rng, 24)[..., None] - 0.05 * grain
    density = density * (0.8 + 0.2 * near) + 0.12 * near + 1.4 * rim
    painted = _vignette(rng, 3.8)[..., None]
    edge = (painted * (1 - painted) * 4) * 0.25
    return to_image(PAPER * pigment.clip(0.02, 1) ** ((density + edge).clip(0.2, 1.6) * painted) + 0.012 * grain)


def _stroke_angles(grey: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Brush direction in radians (256, 256): along edges if there are any, else a smooth random direction."""
    smooth = blurred(grey, 2.0)
    down, right = np.gradient(smooth)
    free = 0.5 + 1.1 * smooth_noise(rng, 5)
    edge = (np.hypot(down, right) * 60).clip(0, 1)
    along = np.arctan2(right, -down)
    x = (1 - edge) * np.cos(2 * free) + edge * np.cos(2 * along)
    y = (1 - edge) * np.sin(2 * free) + edge * np.sin(2 * along)
    return 0.5 * np.arctan2(y, x)


def _brush(
    image: Image.Image,
    spots: np.ndarray,
    flat: np.ndarray,
    angles: np.ndarray,
    length: float,
    width: float,
    rng: np.random.Generator,
) -> None:
    """Draw one stroke at every spot, (n, 2) as row and column; length and width in units."""
    n = len(spots)
    angle = angles[spots[:, 0], spots[:, 1]] + rng.normal(0, 0.18, n)
    half = DETAIL * length / 2 * rng.uniform(0.7, 1.2, n)
    dx, dy = np.cos(angle) * half, np.sin(angle) * half
    x, y = spots[:, 1], spots[:, 0]
    ends = np.stack([x - dx, y - dy, x + dx, y + dy], axis=1).tolist()
    tint = rng.normal(0, 6, (n, 3)) + rng.normal(0, 7, (n, 1))
    colours = (flat[y, x] + tint).clip(0, 255).astype(int).tolist()
    draw = ImageDraw.Draw(image)
    for end, colour in zip(ends, colours, strict=True):
        draw.line(end, fill=tuple(colour), width=round(width * DETAIL))


def _spots(rng: np.random.Generator, spacing: float, where: np.ndarray | None = None) -> np.ndarray:
    """A jittered grid (n, 2) of row and column, from 0 to 255, in random order, and only where the mask is 1."""
    step = spacing * DETAIL
    grid = np.stack([*np.mgrid[0 : SIZE * DETAIL : step, 0 : SIZE * DETAIL : step]], axis=-1).reshape(-1, 2)
    spots = (grid + rng.uniform(0, step, grid.shape)).astype(int).clip(0, SIZE * DETAIL - 1)
    if where is not None:
        spots = spots[where[spots[:, 0], spots[:, 1]] > 0.5]
    return rng.permutation(spots)


def oil_painting(shapes: Sequence[Shape], rng: np.random.Generator) -> Image.Image:
    """Oriented strokes, wide in the background and fine on the subject, with canvas texture and relief."""
    behind_weather = [shape for shape in shapes if shape.depth != "front"]
    flat = rasterise(behind_weather, DETAIL)
    near = to_pixels(subject_mask(shapes))
    colours = np.asarray(flat, np.float32)
    angles = _stroke_angles(flat.convert("L"), rng)
    image = flat.copy()
    _brush(image, _spots(rng, 3.5), colours, angles, 8, 3.2, rng)
    _brush(image, _spots(rng, 2.4, near), colours, angles, 4.2, 1.8, rng)
    painted, sharp = to_pixels(image), to_pixels(flat)
    detail = (brightest(np.abs(sharp - blurred(flat, 2.5))) * 4).clip(0, 0.75) * (0.65 + 0.35 * near)
    painted = painted + (sharp - painted) * detail[..., None]
    if len(behind_weather) < len(shapes):
        painted = painted + to_pixels(rasterise(shapes, DETAIL)) - sharp
    height = luminance(to_pixels(image)) + 0.05 * paper_grain(rng)
    relief = (height - np.roll(height, (2, 2), (0, 1))).clip(-0.3, 0.3)
    rows, columns = pixel_grid()
    weave = np.where((rows // 2 + columns // 2) % 2, np.float32(0.018), np.float32(-0.018))
    return to_image(painted * 1.02 + (0.18 * relief + weave)[..., None])
