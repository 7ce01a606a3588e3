"""A street lamp."""

from __future__ import annotations

from limner.starter.painter.canvas import Canvas, ellipse_points
from limner.starter.painter.places.mood import Mood
from limner.starter.painter.places.palette import LAMPLIGHT
from limner.starter.painter.places.touches import patch


def draw_street_lamp(canvas: Canvas, x: float, y: float, mood: Mood) -> None:
    """A lamp post, 46 high; it shines after dark."""
    iron = mood.shade((66, 72, 88))
    if mood.dark:
        canvas.polygon(ellipse_points(x, y - 42, 11, 11, n=20), LAMPLIGHT, alpha=0.25, outline=False)
    canvas.rectangle(x - 0.9, y - 38, x + 0.9, y, iron)
    canvas.rectangle(x - 2.4, y - 2, x + 2.4, y, iron)
    canvas.polygon(
        [(x - 3, y - 46), (x + 3, y - 46), (x + 2, y - 38), (x - 2, y - 38)],
        (255, 236, 170) if mood.dark else mood.shade((240, 240, 226)),
    )
    patch(canvas, [(x - 3.8, y - 46), (x, y - 49.5), (x + 3.8, y - 46)], iron)
