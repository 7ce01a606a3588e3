"""The whole animal in a pose."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from limner.starter.painter.animals.anatomy import HEAD, Anatomy
from limner.starter.painter.animals.eyes import eye_place
from limner.starter.painter.animals.head import draw_head
from limner.starter.painter.animals.look import Look
from limner.starter.painter.animals.lying import draw_lying, plan_lying
from limner.starter.painter.animals.plan import Plan
from limner.starter.painter.animals.sitting import draw_sitting, plan_sitting
from limner.starter.painter.animals.standing import draw_standing, plan_standing
from limner.starter.painter.animals.tail import draw_tail
from limner.starter.painter.canvas import Canvas

_PLANS: dict[str, Callable[[Look], Plan]] = {"sitting": plan_sitting, "standing": plan_standing, "lying": plan_lying}
_BODIES: dict[str, Callable[[Canvas, Look, Plan], None]] = {
    "sitting": draw_sitting,
    "standing": draw_standing,
    "lying": draw_lying,
}


def draw_animal(canvas: Canvas, look: Look, pose: str, rng: random.Random) -> Anatomy:
    """Draw an animal in animal units; `rng` decides head tilt, tail bend, gaze and blink only."""
    plan = _PLANS[pose](look)
    tilt = rng.uniform(-8, 8)
    draw_tail(canvas, look, plan, pose == "lying", rng)
    _BODIES[pose](canvas, look, plan)
    x, y, radius = plan.head
    scale = radius / HEAD
    with canvas.at(x, y, scale, angle=tilt):
        draw_head(canvas, look, rng)
    c, s = math.cos(math.radians(tilt)) * scale, math.sin(math.radians(tilt)) * scale

    def on_head(u: float, v: float) -> tuple[float, float]:
        return x + c * u - s * v, y + s * u + c * v

    eyes = on_head(*eye_place(look, -1)), on_head(*eye_place(look, 1))
    top = on_head(0, -18 if "topknot" in look.marks else -12.5)
    return Anatomy((x, y), radius, top, eyes, plan.neck[:2], plan.neck[2], tilt)
