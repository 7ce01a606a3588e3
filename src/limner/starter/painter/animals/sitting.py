"""The sitting pose, seen from the front."""

from __future__ import annotations

from limner.starter.painter.animals.contours import coat_edge, mirror
from limner.starter.painter.animals.emblems import draw_emblem
from limner.starter.painter.animals.legs import draw_front_leg, draw_paw
from limner.starter.painter.animals.look import Look
from limner.starter.painter.animals.plan import Plan
from limner.starter.painter.animals.solids import solid
from limner.starter.painter.animals.torso import draw_torso, draw_wing
from limner.starter.painter.canvas import Canvas, darker, ellipse_points, smooth


def plan_sitting(look: Look) -> Plan:
    low = 4 * (1 - look.legs)
    half = [(0, -38), (9, -35), (13.5, -25), (16.5, -12), (15, -3), (6, -0.5)]
    torso = smooth([*half, *mirror(half[:0:-1])], steps=5) * (1, 1 - low / 38)
    return Plan(
        torso,
        (0, -46 + low, 17.2),
        (0, -33.5 + low, 20.5),
        (13, -7, 1),
        (0, -21 + low, 9, 13),
        (0, -20.3 + low, 6.6),
        (10, -27 + low),
        True,
    )


def draw_sitting(canvas: Canvas, look: Look, plan: Plan) -> None:
    for side in (-1, 1):
        if "wings" in look.marks:
            draw_wing(canvas, look, side * plan.wing[0], plan.wing[1], side)
        solid(canvas, coat_edge(ellipse_points(side * 14, -9, 8.5, 8.5, n=28), look.fur), darker(look.coat, 0.08))
        draw_paw(canvas, side * 16.5, -3, 6.5, look.paws or look.coat)
    draw_torso(canvas, look, plan)
    top = plan.emblem[1] + 6
    for side in (-1, 1):
        draw_front_leg(canvas, look, side, top)
    draw_emblem(canvas, look, "belly", *plan.emblem)
