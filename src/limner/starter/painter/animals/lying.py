"""The lying pose, seen from the side."""

from __future__ import annotations

from limner.starter.painter.animals.legs import draw_paw
from limner.starter.painter.animals.look import Look
from limner.starter.painter.animals.plan import Plan
from limner.starter.painter.animals.solids import line_colour
from limner.starter.painter.animals.torso import draw_torso, draw_wing
from limner.starter.painter.canvas import Canvas, smooth


def plan_lying(look: Look) -> Plan:
    low = 2 * (1 - look.legs)
    back = [(-33, -8), (-29, -20), (-16, -24), (0, -23), (14, -26), (26, -20), (29, -6), (20, -0.5), (-26, -0.5)]
    return Plan(
        smooth(back, steps=5) + (0, low),
        (19, -27 + low, 14.6),
        (18.5, -15.5 + low, 18.5),
        (-28, -8, -1),
        (18, -9, 9, 8),
        (-5, -15, 6.4),
        (2, -25 + low),
    )


def draw_lying(canvas: Canvas, look: Look, plan: Plan) -> None:
    paw = look.paws or look.coat
    draw_torso(canvas, look, plan)
    haunch = [(-31, -3), (-31, -12), (-24, -17.5), (-16, -13), (-14, -4), (-20, -1)]
    canvas.line(haunch[2:5], line_colour(look.coat), 0.8, curve=True)
    draw_paw(canvas, -15, -3.2, 7, paw, 2)
    for x in (12, 26):
        draw_paw(canvas, x, -3.4, 7, paw)
    if "wings" in look.marks:
        draw_wing(canvas, look, *plan.wing, -1)
