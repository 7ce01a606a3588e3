"""Small touches of colour without a contour."""

from __future__ import annotations

from limner.starter.painter.canvas import Canvas, Points, ellipse_points
from limner.starter.painter.vocabulary import RGB


def patch(canvas: Canvas, points: Points, fill: RGB) -> None:
    """Texture or shading, without a contour."""
    canvas.polygon(points, fill, outline=False)


def dot(canvas: Canvas, x: float, y: float, rx: float, fill: RGB, ry: float | None = None) -> None:
    patch(canvas, ellipse_points(x, y, rx, ry or rx, n=12), fill)
