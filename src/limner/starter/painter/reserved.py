"""Pairs of attributes that pretraining never shows together, so that the exam can prompt for new combinations."""

from __future__ import annotations

import random

from limner.starter.painter.scene import Scene, random_scene
from limner.starter.painter.vocabulary import BREEDS, COLOURS, EXTRAS, PLACES, PRODUCTS, STUDIO, STYLES

ONE_IN = 8
KINDS = (*BREEDS["cat"], *BREEDS["dog"], *PRODUCTS)
TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "place": (KINDS, PLACES),
    "style": (KINDS, STYLES),
    "colour": (KINDS, tuple(COLOURS)),
    "extra": (KINDS, EXTRAS),
    "extra_colour": (EXTRAS, tuple(COLOURS)),
}


def pairs(scene: Scene) -> list[tuple[str, str, str]]:
    """The pairs of a scene that could be reserved: the name of one of TABLES, a row and a column of it."""
    kind = scene.breed or scene.subject
    found = []
    if scene.place != STUDIO:
        found.append(("place", kind, scene.place))
    if scene.style != "illustration":
        found.append(("style", kind, scene.style))
    if scene.colour:
        found.append(("colour", kind, scene.colour))
    if scene.extra and scene.breed:
        found.append(("extra", kind, scene.extra))
    if scene.extra and scene.extra_colour:
        found.append(("extra_colour", scene.extra, scene.extra_colour))
    return found


def is_reserved(pair: tuple[str, str, str]) -> bool:
    """Whether a pair is reserved: one in eight, on diagonals, so that every value is in some of them but not all."""
    table, row, column = pair
    rows, columns = TABLES[table]
    return (rows.index(row) + 3 * columns.index(column)) % ONE_IN == list(TABLES).index(table)


def holds_reserved(scene: Scene) -> bool:
    """Whether a scene shows a reserved pair, so that it must not be used for pretraining."""
    return any(map(is_reserved, pairs(scene)))


def unreserved_scenes(rng: random.Random, count: int) -> list[Scene]:
    """Random scenes without the pairs that are reserved for the exam."""
    scenes: list[Scene] = []
    while len(scenes) < count:
        if not holds_reserved(scene := random_scene(rng)):
            scenes.append(scene)
    return scenes
