"""A display list of flat shapes in image units, which each style renders in its own way.

An image is 128 units wide and high, the origin is the top left corner and y grows downward.
Drawing code records shapes; a style rasterises them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

RGB = tuple[int, int, int]

SIZE = 128
Depth = Literal["back", "subject", "front"]
Points = Sequence[tuple[float, float]] | np.ndarray


@dataclass(frozen=True, slots=True)
class Gradient:
    """A vertical blend from the top of a shape's bounding box to its bottom."""

    top: RGB
    bottom: RGB


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One polygon or polyline. points: (n, 2) in image units.

    fill: colour inside (closed shapes). stroke and width: colour and thickness of the line, in units.
    depth: scenery ("back"), subject or weather ("front"), which styles treat differently.
    alpha: opacity from 0 to 1. clip: a polygon (n, 2) outside which nothing of this shape is drawn.
    outline: False for shading and markings, which get no contour in styles that draw lines.
    """

    points: np.ndarray
    fill: RGB | Gradient | None = None
    stroke: RGB | None = None
    width: float = 0.0
    depth: Depth = "subject"
    alpha: float = 1.0
    clip: np.ndarray | None = None
    outline: bool = True


def mix(first: RGB, second: RGB, amount: float) -> RGB:
    """A blend of two colours; amount 0 is the first, 1 the second."""
    red, green, blue = (round(a + (b - a) * amount) for a, b in zip(first, second, strict=True))
    return red, green, blue


def lighter(colour: RGB, amount: float = 0.25) -> RGB:
    """The colour blended with white."""
    return mix(colour, (255, 255, 255), amount)


def darker(colour: RGB, amount: float = 0.25) -> RGB:
    """The colour blended with near black."""
    return mix(colour, (16, 12, 28), amount)


def ellipse_points(cx: float, cy: float, rx: float, ry: float, angle: float = 0.0, n: int = 36) -> np.ndarray:
    """Points (n, 2) of an ellipse; angle in degrees."""
    t = np.linspace(0, 2 * math.pi, n, endpoint=False)
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    x, y = rx * np.cos(t), ry * np.sin(t)
    return np.stack([cx + c * x - s * y, cy + s * x + c * y], axis=1)


def smooth(points: Points, closed: bool = True, steps: int = 8) -> np.ndarray:
    """A Catmull-Rom curve through the given points, as (n, 2)."""
    p = np.asarray(points, float)
    if closed:
        p0, p1, p2, p3 = np.roll(p, 1, 0), p, np.roll(p, -1, 0), np.roll(p, -2, 0)
    else:
        padded = np.concatenate([p[:1], p, p[-1:]])
        p0, p1, p2, p3 = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    p0, p1, p2, p3 = (q[:, None, :] for q in (p0, p1, p2, p3))
    curve = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    curve = curve.reshape(-1, 2)
    return curve if closed else np.concatenate([curve, p[-1:]])


@dataclass
class Canvas:
    """Records shapes under a current transform, depth and clip."""

    shapes: list[Shape] = field(default_factory=list)
    _matrix: np.ndarray = field(default_factory=lambda: np.eye(3))
    _depth: Depth = "back"
    _clip: np.ndarray | None = None

    @contextmanager
    def at(
        self, x: float = 0, y: float = 0, scale: float = 1, flip: bool = False, angle: float = 0
    ) -> Iterator[Canvas]:
        """Draw in local units: origin at (x, y), scaled, mirrored left to right, turned by `angle` degrees."""
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        k = -scale if flip else scale
        outer, self._matrix = (
            self._matrix,
            self._matrix @ np.array([[c * k, -s * scale, x], [s * k, c * scale, y], [0, 0, 1]]),
        )
        try:
            yield self
        finally:
            self._matrix = outer

    @contextmanager
    def depth(self, depth: Depth) -> Iterator[Canvas]:
        outer, self._depth = self._depth, depth
        try:
            yield self
        finally:
            self._depth = outer

    @contextmanager
    def clip(self, points: Points) -> Iterator[Canvas]:
        """Draw only inside a polygon given in local units, such as markings on a coat."""
        outer, self._clip = self._clip, self.place(points)
        try:
            yield self
        finally:
            self._clip = outer

    def place(self, points: Points) -> np.ndarray:
        """Points in local units as points in image units."""
        return np.asarray(points, float) @ self._matrix[:2, :2].T + self._matrix[:2, 2]

    @property
    def unit(self) -> float:
        """The length of one local unit in image units."""
        return math.sqrt(abs(float(np.linalg.det(self._matrix[:2, :2]))))

    def polygon(
        self,
        points: Points,
        fill: RGB | Gradient | None = None,
        *,
        stroke: RGB | None = None,
        width: float = 0,
        alpha: float = 1,
        outline: bool = True,
    ) -> np.ndarray:
        """Draw a closed shape; return its points in local units, as `clip` takes them."""
        local = np.asarray(points, float)
        self.shapes.append(
            Shape(self.place(local), fill, stroke, width * self.unit, self._depth, alpha, self._clip, outline)
        )
        return local

    def blob(self, points: Points, fill: RGB | Gradient | None = None, **options) -> np.ndarray:
        """Draw a closed smooth curve through the points."""
        return self.polygon(smooth(points), fill, **options)

    def ellipse(
        self,
        cx: float,
        cy: float,
        rx: float,
        ry: float,
        fill: RGB | Gradient | None = None,
        angle: float = 0,
        **options,
    ) -> np.ndarray:
        return self.polygon(ellipse_points(cx, cy, rx, ry, angle), fill, **options)

    def rectangle(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        fill: RGB | Gradient | None = None,
        radius: float = 0,
        **options,
    ) -> np.ndarray:
        """Draw a rectangle with corners at (x0, y0) and (x1, y1), rounded by `radius`."""
        if radius <= 0:
            return self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill, **options)
        r = min(radius, (x1 - x0) / 2, (y1 - y0) / 2)
        corners = [(x1 - r, y0 + r, -90), (x1 - r, y1 - r, 0), (x0 + r, y1 - r, 90), (x0 + r, y0 + r, 180)]
        points = [
            (cx + r * math.cos(math.radians(a + step)), cy + r * math.sin(math.radians(a + step)))
            for cx, cy, a in corners
            for step in (0, 18, 36, 54, 72, 90)
        ]
        return self.polygon(points, fill, **options)

    def line(self, points: Points, colour: RGB, width: float, *, curve: bool = False, **options) -> None:
        """Draw an open line with round ends; curve: smooth through its points."""
        local = smooth(points, closed=False) if curve else np.asarray(points, float)
        self.shapes.append(
            Shape(
                self.place(local),
                None,
                colour,
                width * self.unit,
                self._depth,
                options.get("alpha", 1.0),
                self._clip,
                options.get("outline", True),
            )
        )


def _paint_fill(image: Image.Image, points: np.ndarray, shape: Shape) -> None:
    if shape.fill is None:
        return
    flat = [tuple(p) for p in points.tolist()]
    if shape.alpha >= 1 and shape.clip is None and not isinstance(shape.fill, Gradient):
        ImageDraw.Draw(image).polygon(flat, fill=shape.fill)
        return
    k = image.width / SIZE
    x0, y0 = (max(0, math.floor(v)) for v in points.min(0))
    x1, y1 = (min(image.width, math.ceil(v) + 1) for v in points.max(0))
    if x1 <= x0 or y1 <= y0:
        return
    mask = Image.new("L", (x1 - x0, y1 - y0), 0)
    level = round(255 * shape.alpha)
    ImageDraw.Draw(mask).polygon([(x - x0, y - y0) for x, y in flat], fill=level)
    mask = _clipped(mask, shape, k, x0, y0)
    if isinstance(shape.fill, Gradient):
        top, bottom = points[:, 1].min(), points[:, 1].max()
        t = ((np.arange(y0, y1) - top) / max(1e-6, bottom - top)).clip(0, 1)[:, None]
        column = np.asarray(shape.fill.top) * (1 - t) + np.asarray(shape.fill.bottom) * t
        band = Image.fromarray(column.round().astype(np.uint8)[:, None, :]).resize((x1 - x0, y1 - y0))
        image.paste(band, (x0, y0), mask)
    else:
        image.paste(shape.fill, (x0, y0, x1, y1), mask)


def _clipped(mask: Image.Image, shape: Shape, k: float, x0: int, y0: int) -> Image.Image:
    if shape.clip is None:
        return mask
    inside = Image.new("L", mask.size, 0)
    ImageDraw.Draw(inside).polygon([(x * k - x0, y * k - y0) for x, y in shape.clip.tolist()], fill=255)
    empty = Image.new("L", mask.size, 0)
    return Image.composite(mask, empty, inside)


def _paint_stroke(image: Image.Image, points: np.ndarray, shape: Shape) -> None:
    if shape.stroke is None or shape.width <= 0:
        return
    k = image.width / SIZE
    width = max(1, round(shape.width * k))
    closed = shape.fill is not None
    path = np.concatenate([points, points[:2]]) if closed else points
    if shape.alpha >= 1 and shape.clip is None:
        _stroke(ImageDraw.Draw(image), path, shape.stroke, width, round_ends=not closed)
        return
    margin = width + 1
    x0, y0 = (max(0, math.floor(v) - margin) for v in points.min(0))
    x1, y1 = (min(image.width, math.ceil(v) + margin) for v in points.max(0))
    if x1 <= x0 or y1 <= y0:
        return
    mask = Image.new("L", (x1 - x0, y1 - y0), 0)
    _stroke(ImageDraw.Draw(mask), path - (x0, y0), round(255 * shape.alpha), width, round_ends=not closed)
    image.paste(shape.stroke, (x0, y0, x1, y1), _clipped(mask, shape, k, x0, y0))


def _stroke(draw: ImageDraw.ImageDraw, path: np.ndarray, colour, width: int, round_ends: bool) -> None:
    draw.line([tuple(p) for p in path.tolist()], fill=colour, width=width, joint="curve")
    if round_ends and width > 2:
        r = width / 2
        for x, y in (path[0], path[-1]):
            draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)


def rasterise(shapes: Sequence[Shape], supersample: int = 4, background: RGB = (255, 255, 255)) -> Image.Image:
    """Fill the shapes in order; return an RGB image with a side of 128 * supersample."""
    image = Image.new("RGB", (SIZE * supersample, SIZE * supersample), background)
    for shape in shapes:
        points = shape.points * supersample
        _paint_fill(image, points, shape)
        _paint_stroke(image, points, shape)
    return image
