"""The ears in each of their forms, in head units."""

from __future__ import annotations

import numpy as np

from limner.starter.painter.animals.contours import coat_edge, mirror
from limner.starter.painter.animals.look import Look
from limner.starter.painter.animals.solids import solid
from limner.starter.painter.canvas import Canvas, smooth

# The left ear of each form, and whether it hangs in front of the head.
EARS: dict[str, tuple[list[tuple[float, float]], bool]] = {
    "pointed": ([(-16.5, -3), (-17, -16), (-15.6, -25), (-14, -25.4), (-8, -20), (-3, -13)], False),
    "small": ([(-16.5, -5), (-16.5, -14), (-14, -20.5), (-11.5, -21), (-7, -17.5), (-4, -12)], False),
    "upright": ([(-16, -4), (-19, -16), (-18.5, -27), (-15.5, -29.5), (-10, -25), (-5, -18), (-3, -12)], False),
    "round": ([(-16, -4), (-20.5, -10), (-20, -18), (-14, -22), (-8, -19), (-5, -12)], False),
    "floppy": ([(-9, -14.5), (-15.5, -14), (-20, -8), (-22, 3), (-19, 9), (-15, 6.5), (-13, -2), (-11, -8)], True),
    "long": ([(-8, -14.5), (-15, -14), (-19.5, -7), (-22, 6), (-20.5, 15), (-15.5, 16), (-13, 7), (-12.5, -6)], True),
    "pompom": ([(-10, -11), (-17, -11), (-22, -2), (-22.5, 8), (-18, 13), (-13.5, 9), (-12.5, 0)], True),
}


def draw_ears(canvas: Canvas, look: Look) -> None:
    points, hanging = EARS[look.ears]
    colour = look.ear_colour or look.coat
    contour = smooth(points, steps=5) * (look.cheeks, 1)
    if look.ears == "pompom":
        contour = coat_edge(contour, "curly")
    calico = "face patches" in look.marks
    for side, ear in ((-1, contour), (1, mirror(contour))):
        solid(canvas, ear, look.other_mark_colour if calico and side == 1 else colour)
        if not hanging:
            root = np.array([ear[:, 0].mean(), ear[:, 1].max()])
            canvas.polygon(root + (ear - root) * (0.56, 0.72), look.inner_ear, outline=False)
