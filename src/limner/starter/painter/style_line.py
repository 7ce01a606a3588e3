"""Styles of lines: pencil sketch and neon sign."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from PIL import Image

from limner.starter.painter.canvas import RGB, Shape, mix, rasterise
from limner.starter.painter.style_tools import (
    BLACK,
    DETAIL,
    WHITE,
    Pen,
    blurred,
    brightest,
    extent,
    is_solid,
    luminance,
    main_colour,
    paper_grain,
    pixel_grid,
    smooth_noise,
    subject_mask,
    to_image,
    to_pixels,
    traced,
    warp,
)

PAPER = np.array([0.985, 0.97, 0.94], np.float32)
NIGHT: RGB = (13, 12, 30)
FLAKE = 20.0  # units; larger shapes of the weather are clouds and puddles, not drops or flakes
LAMP = 26.0  # units; bright scenery up to this size, such as a sun or a moon, is brighter
FINE = 6.0  # units; smaller shapes get a fine pencil line
SMALL = 7.0  # units; smaller shapes are filled dots in neon


def _brightness(shape: Shape) -> float:
    """Luminance of a shape's main colour, from 0 to 1."""
    return float(luminance(np.array(main_colour(shape), np.float32))) / 255


def _pencil_pen(shape: Shape) -> Pen:
    near = shape.depth == "subject"
    grey = 35 if near else 130
    highlight = shape.fill is None and shape.depth != "front" and shape.width < 2 and _brightness(shape) > 0.6
    return Pen(WHITE if highlight else (grey, grey, grey), 0.75 if near and extent(shape) > FINE else 0.5, WHITE)


def _pencil_lines(shapes: Sequence[Shape]) -> list[Shape]:
    """The shapes that get a contour or hide one: markings do neither, rain and snowflakes always do."""
    drawn = []
    for shape in shapes:
        if shape.depth == "front" and extent(shape) < FLAKE:
            drawn.append(replace(shape, outline=True, alpha=1.0))
        elif shape.outline or (is_solid(shape) and shape.clip is None):
            drawn.append(shape)
    return drawn


def _hatching(rng: np.random.Generator, slope: float, pitch: float) -> np.ndarray:
    """Parallel pencil strokes (256, 256), from 0 on a stroke to 1 between strokes; pitch in units."""
    rows, columns = pixel_grid()
    across = (columns + slope * rows) / (pitch * DETAIL) + 0.35 * smooth_noise(rng, 9)
    return 0.5 + 0.5 * np.cos(2 * np.pi * across)


def _shading(tone: np.ndarray, grain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Graphite from 0 to 1 for a darkness `tone`: a grey base, then one hatching, then a second across it."""
    first = (tone * 1.7 - _hatching(rng, 1.0, 3.0) - 0.12 * grain).clip(0, 1)
    second = (tone * 1.5 - 0.3 - _hatching(rng, -0.8, 2.6) - 0.12 * grain).clip(0, 1)
    return 0.55 * tone**1.3 * (1 + 0.18 * grain) + 0.42 * first + 0.3 * second


def pencil_sketch(shapes: Sequence[Shape], rng: np.random.Generator) -> Image.Image:
    """Double uneven contours over hatching, which is denser where fills are darker."""
    grain = paper_grain(rng)
    contours = to_pixels(rasterise(list(traced(_pencil_lines(shapes), _pencil_pen)), DETAIL).getchannel(0))
    lines = 1 - np.stack([warp(contours, rng, 0.7, 14), warp(contours, rng, 1.1, 9)])
    darkness = 1 - luminance(to_pixels(rasterise(shapes, DETAIL)))
    near = to_pixels(subject_mask(shapes))
    tone = darkness * (0.42 + 0.58 * near)
    graphite = _shading(warp(tone, rng, 0.8, 10), grain, rng)
    strength = (0.8 + 0.25 * smooth_noise(rng, 20) - 0.15 * grain).clip(0, 1)
    graphite = np.maximum(graphite, lines.max(0) * strength)
    page = PAPER.mean() - 0.012 * grain - graphite.clip(0, 0.93)
    return to_image(page[..., None] + (PAPER - PAPER.mean()))


def tube_colour(colour: RGB) -> RGB:
    """The colour of a neon tube for a colour: vivid for hues, cool white to violet for greys."""
    h, s, v = colorsys.rgb_to_hsv(*(c / 255 for c in colour))
    red, green, blue = (round(255 * c) for c in colorsys.hsv_to_rgb(h, min(1, s * 1.35), min(1, 0.45 + 0.65 * v)))
    neutral = mix((138, 120, 215), (250, 250, 255), min(1, v**2.2))
    return mix(neutral, (red, green, blue), min(1, max(0, (s - 0.08) / 0.15)))


def _neon_pen(shape: Shape) -> Pen:
    colour = main_colour(shape)
    tube = tube_colour(colour)
    if shape.depth == "front" and extent(shape) < FLAKE:
        return Pen(mix(NIGHT, tube, 0.85), 0.6, mix(NIGHT, tube, 0.85))
    if shape.depth != "subject":
        dot = extent(shape) < SMALL
        if not dot and extent(shape) < LAMP and _brightness(shape) > 0.7:
            return Pen(mix(NIGHT, tube, 0.95), 1.0, mix(NIGHT, tube, 0.3))
        return Pen(mix(NIGHT, tube, 0.62), 0.9, mix(NIGHT, tube, 0.5 if dot else 0.13))
    width = min(1.5, max(0.6, extent(shape) / 11))
    if extent(shape) < SMALL:
        return Pen(tube, width, mix(BLACK, colour, 0.85))
    if not shape.outline:
        return Pen(tube, width, mix(BLACK, colour, 0.5))
    return Pen(tube, width, mix(BLACK, mix(colour, tube, 0.4), 0.1 + 0.28 * _brightness(shape)))


@lru_cache(maxsize=1)
def _brick_wall() -> np.ndarray:
    """A faint brick pattern (256, 256), as a factor around 1."""
    rows, columns = pixel_grid()
    course = rows // 14
    mortar = (rows % 14 < 2) | ((columns + (course % 2) * 15) % 30 < 2)
    return np.where(mortar, np.float32(0.72), np.float32(1.06))


def neon_sign(shapes: Sequence[Shape], rng: np.random.Generator) -> Image.Image:
    """Glowing tubes along the contours, in each shape's own colour, on a dark brick wall."""
    sign = rasterise(list(traced(shapes, _neon_pen)), DETAIL, NIGHT)
    pixels = to_pixels(sign)
    lit = brightest(pixels)[..., None]
    near = to_pixels(subject_mask(shapes))[..., None]
    wall = _brick_wall()[..., None] * (1 + 0.1 * smooth_noise(rng, 6)[..., None])
    base = pixels * np.where((lit < 0.3) & (near < 0.5), wall, 1)
    core = ((lit - 0.75) * 2).clip(0, 0.35) * near
    glow = 0.75 * blurred(sign, 1.5) ** 1.2 + 0.75 * blurred(sign, 6) ** 1.15
    return to_image(1 - (1 - base - core * (1 - base)) * (1 - 0.6 * glow.clip(0, 1)))
