"""Pairs of attributes that pretraining never shows together, so that an exam can ask for what was never seen."""

from __future__ import annotations

from limner.starter.painter.scene import Scene
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
    """The pairs of a scene that could be reserved: which of TABLES, and a value of its rows and of its columns."""
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
    """One pair in eight, along diagonals, so that every value is in some reserved pairs and in many others."""
    table, row, column = pair
    rows, columns = TABLES[table]
    return (rows.index(row) + 3 * columns.index(column)) % ONE_IN == list(TABLES).index(table)


def holds_reserved(scene: Scene) -> bool:
    """Whether a scene shows a reserved pair, so that pretraining must not see it."""
    return any(map(is_reserved, pairs(scene)))
