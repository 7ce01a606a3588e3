"""Scenes as images."""

from __future__ import annotations

import random

import numpy as np
from PIL import Image

from limner.starter.painter.animals import BREED_LOOKS, Look, draw_animal
from limner.starter.painter.animals.look import CHARACTERS
from limner.starter.painter.canvas import Canvas
from limner.starter.painter.extras import draw_extra
from limner.starter.painter.places import draw_place, draw_shadow, draw_weather
from limner.starter.painter.products import draw_product
from limner.starter.painter.scene import Placement, Scene
from limner.starter.painter.styles import render
from limner.starter.painter.vocabulary import COLOURS


def look_of(scene: Scene) -> Look:
    """The look of the animal of a scene: of its character, its breed, or else of a breed decided by the seed."""
    if scene.character is not None:
        return CHARACTERS[scene.character]
    if scene.breed is not None:
        return BREED_LOOKS[scene.breed]
    looks = [look for look in BREED_LOOKS.values() if look.species == scene.subject]
    return looks[scene.seed % len(looks)]


def compose(scene: Scene, look: Look | None = None) -> Canvas:
    """The shapes of a scene on a canvas; look: of the animal, instead of that of its breed or character."""
    rng = random.Random(scene.seed)
    canvas = Canvas()
    spot = Placement.draw(rng)
    with canvas.depth("back"):
        draw_place(canvas, scene.place, COLOURS[scene.backdrop] if scene.backdrop else None, scene.light, rng)
        draw_shadow(canvas, spot.x, spot.y, 26 * spot.scale, scene.light)
    with canvas.depth("subject"), canvas.at(spot.x, spot.y, spot.scale, spot.mirrored):
        if scene.is_animal:
            anatomy = draw_animal(canvas, look or look_of(scene), scene.pose, rng)
            if scene.extra:
                colour = COLOURS[scene.extra_colour] if scene.extra_colour else None
                draw_extra(canvas, scene.extra, colour, anatomy, rng)
        else:
            draw_product(canvas, scene.subject, COLOURS[scene.colour or "grey"], rng)
    with canvas.depth("front"):
        draw_weather(canvas, scene.weather, scene.light, rng)
    return canvas


def paint(scene: Scene, look: Look | None = None) -> Image.Image:
    """The image of a scene, RGB, 128 x 128: the same pixels for the same scene and look."""
    return render(compose(scene, look).shapes, scene.style, np.random.default_rng(scene.seed))
