"""Places for the labels of points in a chart, so that they lie neither on a point nor on each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LETTER, LINE = 7.0, 14.0
"""The width of a digit and the height of a line of the chart's text."""
DOT = 12.0
"""Of the largest mark of a point: its radius."""
FURTHER = (0.0, 12.0, 24.0, 40.0, 60.0)
"""How much further from its point a label may move, nearest first."""
SIDES = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1))


@dataclass(frozen=True)
class Box:
    """A rectangle of the chart."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def holds(self, other: Box) -> bool:
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


def label_box(x: float, y: float, text: str) -> Box:
    """The rectangle of a label around its middle."""
    half = LETTER * len(text) / 2
    return Box(x - half, y - LINE / 2, x + half, y + LINE / 2)


def label_places(
    points: Sequence[tuple[float, float]], texts: Sequence[str], inside: Box, taken: Sequence[Box] = ()
) -> list[tuple[float, float]]:
    """The middle of each point's label: the nearest free place beside it, within `inside` and off `taken`.

    Where nothing is free, it is the place right of the point.
    """
    blocked = [*taken, *(Box(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in points)]
    places: list[tuple[float, float]] = []
    for (x, y), text in zip(points, texts, strict=True):
        found = [
            (x + across * (DOT + 2 + more + LETTER * len(text) / 2), y + down * (DOT + 1 + more + LINE / 2))
            for more in FURTHER
            for across, down in SIDES
        ]
        boxes = [label_box(*place, text) for place in found]
        free = (number for number, box in enumerate(boxes) if inside.holds(box) and not any(map(box.meets, blocked)))
        chosen = next(free, 0)
        places.append(found[chosen])
        blocked.append(boxes[chosen])
    return places


def is_far(point: tuple[float, float], place: tuple[float, float], text: str) -> bool:
    """Whether a label is so far from its point that a line has to lead to it."""
    across, down = abs(place[0] - point[0]), abs(place[1] - point[1])
    return across > DOT + 3 + LETTER * len(text) / 2 or down > DOT + 2 + LINE / 2
