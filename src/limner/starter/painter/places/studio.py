"""The studio: a plain coloured backdrop."""

from __future__ import annotations

from limner.starter.painter.canvas import SIZE, Canvas, Gradient, darker, lighter
from limner.starter.painter.vocabulary import RGB


def draw_studio(canvas: Canvas, backdrop: RGB) -> None:
    """A plain wall that brightens downward, and a floor a little darker than it."""
    canvas.rectangle(0, 0, SIZE, 90, Gradient(darker(backdrop, 0.06), lighter(backdrop, 0.12)), outline=False)
    canvas.rectangle(0, 89, SIZE, SIZE, Gradient(darker(backdrop, 0.06), darker(backdrop, 0.16)), outline=False)
