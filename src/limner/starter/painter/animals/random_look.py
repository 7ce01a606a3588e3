"""Random looks: any coat with any marks, so that a model cannot infer one from the other."""

from __future__ import annotations

import colorsys
import random

from limner.starter.painter.animals.head import EARS
from limner.starter.painter.animals.look import BREED_LOOKS, COATS, Look
from limner.starter.painter.animals.marks import EMBLEMS
from limner.starter.painter.canvas import RGB

DISTINCT, SIMILAR = 110.0, 40.0
"""Colours at least the first distance apart are seen as different, and at most the second as equal."""


def colour_distance(a: RGB, b: RGB) -> float:
    """Euclidean distance of two colours in RGB, 0 to 442."""
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5


def _colour(rng: random.Random, *others: RGB) -> RGB:
    """A vivid, pale or dark colour that is distinct from the others."""
    while True:
        ranges = rng.choice(((0.55, 1.0, 0.75, 1.0), (0.1, 0.4, 0.9, 1.0), (0.4, 0.9, 0.2, 0.5)))
        drawn = colorsys.hsv_to_rgb(rng.random(), rng.uniform(*ranges[:2]), rng.uniform(*ranges[2:]))
        colour = (round(255 * drawn[0]), round(255 * drawn[1]), round(255 * drawn[2]))
        if all(colour_distance(colour, other) > DISTINCT for other in others):
            return colour


def _pale(colour: RGB, share: float) -> RGB:
    """The colour with a share of white."""
    r, g, b = (round(c + (255 - c) * share) for c in colour)
    return r, g, b


def _random_marks(rng: random.Random) -> tuple[str, ...]:
    chosen = []
    for place, share in (("belly", 0.6), ("forehead", 0.4)):
        if rng.random() < share:
            chosen.append(f"{place} {rng.choice(sorted(EMBLEMS))}")
    if rng.random() < 0.5:
        chosen.append(rng.choice(("antenna", "horn", "mohawk")))
    if rng.random() < 0.4:
        chosen.append(rng.choice(("stripes", "zigzags", "dots")))
    chosen += [
        mark for mark, share in (("wings", 0.25), ("odd eyes", 0.35), ("coloured ears", 0.4)) if rng.random() < share
    ]
    return tuple(chosen)


def random_look(rng: random.Random, species: str) -> tuple[Look, str]:
    """A look that no breed has, and the name of its coat: one of COATS, or "natural" for the coat of a breed."""
    coat = rng.choice(("natural", *COATS))
    colour = COATS.get(coat) or rng.choice([look.coat for look in BREED_LOOKS.values() if look.species == species])
    pale = _pale(colour, rng.uniform(0.4, 0.8))
    marks = _random_marks(rng)
    eye = _colour(rng, colour)
    look = Look(
        species,
        colour,
        pale,
        _pale(colour, rng.uniform(0.5, 0.9)),
        eye,
        ears=rng.choice(("pointed", "small", "round") if species == "cat" else sorted(EARS)),
        ear_colour=_colour(rng, colour) if "coloured ears" in marks else None,
        inner_ear=_colour(rng),
        nose=_colour(rng, pale),
        fur=rng.choice(("smooth", "smooth", "fluffy", "curly")),
        legs=rng.uniform(0.5, 1.0),
        cheeks=rng.uniform(0.95, 1.12),
        tail=rng.choice(("slim", "plush", "curl", "thin", "feather", "pompom", "stub")),
        paws=_colour(rng) if rng.random() < 0.2 else None,
        marks=marks,
        mark_colour=_colour(rng, colour, pale),
        other_mark_colour=_colour(rng, colour),
        part_colour=_colour(rng, colour),
        second_eye=_colour(rng, eye, colour) if "odd eyes" in marks else None,
    )
    return look, coat
