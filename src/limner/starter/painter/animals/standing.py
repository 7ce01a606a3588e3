"""The standing pose, seen from the side."""

from __future__ import annotations

from limner.starter.painter.animals.legs import draw_leg
from limner.starter.painter.animals.look import Look
from limner.starter.painter.animals.plan import Plan
from limner.starter.painter.animals.torso import draw_torso, draw_wing
from limner.starter.painter.canvas import Canvas, smooth


def plan_standing(look: Look) -> Plan:
    low = 15 * (1 - look.legs)
    spine = [(-28, -31), (-20, -36), (-4, -35), (10, -39), (22, -36), (25, -26), (18, -17), (0, -13.5), (-18, -15)]
    torso = smooth([*spine, (-28, -21)], steps=5) + (0, low)
    return Plan(
        torso,
        (21, -43 + low, 15.2),
        (20.5, -30.5 + low, 18.5),
        (-25, -31 + low, -1),
        (-2, -14 + low, 22, 6),
        (-9, -25.5 + low, 7.2),
        (3, -36.5 + low),
    )


def draw_standing(canvas: Canvas, look: Look, plan: Plan) -> None:
    top = plan.emblem[1] + 4
    for x, shade in ((-13, 0.22), (20, 0.22), (-22, 0), (11.5, 0)):
        draw_leg(canvas, look, x, top, shade)
    draw_torso(canvas, look, plan)
    if "wings" in look.marks:
        draw_wing(canvas, look, *plan.wing, -1)
