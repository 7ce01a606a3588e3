"""Describes the scene of an image: background, light, framing and view of the subject.

Everything is measured on a reduction to 128 pixels, in a few milliseconds, by numpy alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from limner.imaging.cielab import lab_of_light, linear_light
from limner.imaging.luminance import WEIGHTS, otsu

SIDE = 128
"""Longer side of the reduced image, in pixels."""
RING = 0.2
"""Width of the border that counts as background if the position of the subject is unknown, as a share of the side."""
LEAST_OUTSIDE = 0.03
"""If less than this share of the image is background, the border is used instead."""
_LIGHTNESS = np.array([10.0, 35.0, 60.0, 85.0])
_CHROMA = np.array([-50.0, -20.0, -5.0, 5.0, 20.0, 50.0])
"""Centres of the bins of L, and of a and b of CIELAB; closer near grey, where most colours of photographs are."""
_TURNS, _GRID = 8, 4
_TEXTURE_FULL = 60.0
"""Gradient in luma per pixel that counts as full texture; it only sets the weight of texture in distances."""
COLOURS, TEXTURE, LAYOUT = len(_LIGHTNESS) * len(_CHROMA) ** 2, 2 * 2 * _TURNS, _GRID * _GRID * 3
BACKGROUND = COLOURS + TEXTURE + LAYOUT
"""Length of the background's feature vector."""
_SUBJECT, _CELL = 64, 16
VIEW = (_SUBJECT // _CELL) ** 2 * _TURNS
"""Length of the view's feature vector."""
WIDTH = BACKGROUND + 4 + 3 + VIEW
"""Length of a row of `SceneDescription.to_row`."""


@dataclass(frozen=True, slots=True)
class Light:
    """Light of an image.

    luma: mean, 0 to 1. contrast: standard deviation of luma. warmth: b of CIELAB of the estimated light, above 0
    yellow, below 0 blue. side: how much brighter the right half is than the left one, -1 to 1.
    """

    luma: float
    contrast: float
    warmth: float
    side: float


@dataclass(frozen=True, slots=True)
class Framing:
    """Framing of the subject. share: of the image, NaN if its position is unknown. across, down: its centre, 0 to 1."""

    share: float
    across: float
    down: float


@dataclass(frozen=True, slots=True, eq=False)
class SceneDescription:
    """The scene of one image.

    background: (BACKGROUND,) fp32, compared by Euclidean distance. view: how the subject looks, (VIEW,) fp32 of length
    1 or all 0 if nothing is seen, compared by cosine.
    """

    background: np.ndarray
    light: Light
    framing: Framing
    view: np.ndarray

    def to_row(self) -> np.ndarray:
        """All values as one row (WIDTH,) in fp32, for an array or a file."""
        light, framing = self.light, self.framing
        few = (light.luma, light.contrast, light.warmth, light.side, framing.share, framing.across, framing.down)
        return np.concatenate([self.background, np.array(few, dtype=np.float32), self.view]).astype(np.float32)

    @classmethod
    def from_row(cls, row: np.ndarray) -> SceneDescription:
        """The inverse of `to_row`."""
        background, few, view = np.split(row, [BACKGROUND, BACKGROUND + 7])
        numbers = [float(number) for number in few]
        return cls(background, Light(*numbers[:4]), Framing(*numbers[4:]), view)


def describe_scene(image: Image.Image, where: np.ndarray | None = None) -> SceneDescription:
    """The scene of an upright RGB image.

    where: map of the subject, (h, w) from 0 to 1, of any size in the aspect ratio of the image; without it the border
    of the image counts as background and the rest as subject.
    """
    scale = min(1.0, SIDE / max(image.size))
    size = (max(8, round(image.width * scale)), max(8, round(image.height * scale)))
    pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BOX))
    subject = _centre(size) if where is None else _resized(where, size)
    outside = (1 - subject) ** 2
    if outside.mean() < LEAST_OUTSIDE:
        outside = 1 - _centre(size)
    linear = _LINEAR[pixels]
    lab, luma = lab_of_light(linear), pixels.astype(np.float32) @ np.array(WEIGHTS, dtype=np.float32)
    background = np.concatenate([_colours(lab, outside), _texture(luma, outside), _layout(lab, outside)])
    return SceneDescription(
        background.astype(np.float32),
        _light(linear, luma),
        _framing(subject, where is not None),
        _view(luma, subject),
    )


def _centre(size: tuple[int, int]) -> np.ndarray:
    """1 in the centre of (h, w), 0 in the border."""
    width, height = size
    found = np.zeros((height, width), dtype=np.float32)
    top, left = round(height * RING), round(width * RING)
    found[top : height - top, left : width - left] = 1
    return found


def _resized(where: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    values = np.nan_to_num(np.asarray(where, dtype=np.float32))
    return np.clip(np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR)), 0, 1)


_LINEAR = linear_light(np.arange(256) / 255).astype(np.float32)
"""Linear light of each sRGB byte."""


def _soft_bins(values: np.ndarray, middles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lower one of the two bins next to each value, and the share of the upper one."""
    place = np.interp(values, middles, np.arange(len(middles)))
    lower = np.minimum(place.astype(np.int64), len(middles) - 2)
    return lower, place - lower


def _colours(lab: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Square roots of the shares of colours (COLOURS,): their Euclidean distance is Hellinger's times sqrt(2)."""
    flat, weight = lab.reshape(-1, 3), weights.reshape(-1)
    at = [_soft_bins(flat[:, part], middles) for part, middles in enumerate((_LIGHTNESS, _CHROMA, _CHROMA))]
    found, sizes = np.zeros(COLOURS), (len(_LIGHTNESS), len(_CHROMA), len(_CHROMA))
    for corner in range(8):
        bins, shares = np.zeros(len(flat), dtype=np.int64), weight.astype(np.float64)
        for part, (lower, share) in enumerate(at):
            upper = corner >> part & 1
            bins = bins * sizes[part] + lower + upper
            shares = shares * (share if upper else 1 - share)
        found += np.bincount(bins, shares, COLOURS)
    return np.sqrt(found / found.sum())


def _gradients(luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strength (h, w), and direction from 0 to `_TURNS`, equal for edges from dark to light and from light to dark."""
    down, across = np.gradient(luma)
    return np.hypot(down, across), np.arctan2(down, across) % np.pi * (_TURNS / np.pi)


def _direction_sums(strength: np.ndarray, turn: np.ndarray, cells: np.ndarray, count: int) -> np.ndarray:
    """Sums of strength (count, _TURNS) by cell and direction, shared between the two nearest directions."""
    lower = turn.astype(np.int64)
    share = turn - lower
    found = np.zeros(count * _TURNS)
    for bins, part in ((lower % _TURNS, 1 - share), ((lower + 1) % _TURNS, share)):
        found += np.bincount((cells * _TURNS + bins).reshape(-1), (strength * part).reshape(-1), count * _TURNS)
    return found.reshape(count, _TURNS)


def _texture(luma: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The amount of texture by direction (TEXTURE,), fine and coarse, in the upper and the lower half."""
    found = []
    for step in (1, 2):
        height, width = (side // step * step for side in luma.shape)
        shape = height // step, step, width // step, step
        small = luma[:height, :width].reshape(shape).mean(axis=(1, 3))
        weight = weights[:height, :width].reshape(shape).mean(axis=(1, 3))
        strength, turn = _gradients(small)
        half = np.broadcast_to((np.arange(len(small)) * 2 >= len(small)).astype(np.int64)[:, None], small.shape)
        sums = np.bincount(half.reshape(-1), weight.reshape(-1), 2)[:, None]
        found.append(_direction_sums(strength * weight, turn, half, 2) / np.maximum(sums, 1e-6) / _TEXTURE_FULL)
    return np.sqrt(np.concatenate(found)).reshape(-1)


def _layout(lab: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean colours of the background in a coarse grid (LAYOUT,); cells with only subject get the mean of all."""
    height, width = weights.shape
    rows, columns = np.arange(height) * _GRID // height, np.arange(width) * _GRID // width
    cells = (rows[:, None] * _GRID + columns).reshape(-1)
    count, weight = _GRID * _GRID, weights.reshape(-1)
    known = np.bincount(cells, weight, count)
    sums = np.stack([np.bincount(cells, weight * lab[..., part].reshape(-1), count) for part in range(3)], axis=1)
    mean = sums.sum(axis=0) / known.sum()
    there = np.clip(known / np.bincount(cells, minlength=count) / 0.25, 0, 1)[:, None]
    means = sums / np.maximum(known, 1e-6)[:, None]
    return ((there * means + (1 - there) * mean) / (100 * _GRID)).reshape(-1)


def _light(linear: np.ndarray, luma: np.ndarray) -> Light:
    """The light; its colour by Shades of Gray: the Minkowski mean with p = 6 is grey (Finlayson and Trezzi 2004)."""
    mean = (linear.reshape(-1, 3).astype(np.float64) ** 6).mean(axis=0) ** (1 / 6)
    warmth = lab_of_light((mean / max(float(mean.max()), 1e-6)).astype(np.float32))[2]
    middle = luma.shape[1] // 2
    side = float(luma[:, -middle:].mean() - luma[:, :middle].mean()) / 255
    return Light(float(luma.mean()) / 255, float(luma.std()) / 255, float(warmth), side)


def _framing(subject: np.ndarray, known: bool) -> Framing:
    total = float(subject.sum())
    if total <= 0:
        return Framing(0.0, 0.5, 0.5)
    height, width = subject.shape
    across = float(subject.sum(axis=0) @ (np.arange(width) + 0.5)) / total / width
    down = float(subject.sum(axis=1) @ (np.arange(height) + 0.5)) / total / height
    least = otsu(subject) if float(np.ptp(subject)) > 0 else 0.0
    return Framing(float((subject > least).mean()) if known else float("nan"), across, down)


def _box(subject: np.ndarray) -> tuple[int, int, int, int]:
    """The square box, as left, top, right, bottom, around the part with at least half of the subject map's maximum."""
    found = subject >= max(float(subject.max()) / 2, 1e-6)
    if not found.any():
        return 0, 0, subject.shape[1], subject.shape[0]
    down, across = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    side = max(int(down[-1] - down[0]), int(across[-1] - across[0])) + 1
    left, top = (int(across[0] + across[-1] + 1 - side) // 2, int(down[0] + down[-1] + 1 - side) // 2)
    return left, top, left + side, top + side


def _view(luma: np.ndarray, subject: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients (Dalal and Triggs 2005) of the subject's box at 64 pixels, (VIEW,)."""
    box = _box(subject)
    cut = (
        Image.fromarray(part.astype(np.float32)).transform(
            (_SUBJECT, _SUBJECT), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR
        )
        for part in (luma, subject)
    )
    seen, certain = (np.asarray(part, dtype=np.float64) for part in cut)
    strength, turn = _gradients(seen)
    rows, per_row = np.arange(_SUBJECT) // _CELL, _SUBJECT // _CELL
    cells = rows[:, None] * per_row + rows
    found = np.sqrt(_direction_sums(strength * certain, turn, cells, per_row**2)).reshape(-1)
    found -= found.mean()  # the common part does not distinguish views
    length = float(np.linalg.norm(found))
    return (found / length if length > 1e-3 else np.zeros(VIEW)).astype(np.float32)
