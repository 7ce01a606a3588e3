"""The shadow under a subject."""

from __future__ import annotations

from limner.starter.painter.canvas import Canvas, ellipse_points, mix
from limner.starter.painter.places.mood import MOODS


def draw_shadow(canvas: Canvas, x: float, y: float, half_width: float, light: str) -> None:
    """A soft contact shadow on the ground, centred at (x, y)."""
    colour = mix((24, 20, 44), MOODS[light].tint, 0.12)
    for share, alpha in ((1.0, 0.14), (0.78, 0.16)):
        rx = half_width * share
        canvas.polygon(ellipse_points(x, y, rx, rx * 0.16, n=24), colour, alpha=alpha, outline=False)
