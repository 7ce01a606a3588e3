"""Trees near and far."""

from __future__ import annotations

from limner.starter.painter.canvas import Canvas, darker, lighter
from limner.starter.painter.places.touches import patch
from limner.starter.painter.vocabulary import RGB


def draw_tree(canvas: Canvas, x: float, y: float, size: float, leaf: RGB, bark: RGB) -> None:
    """A round broad-leaved tree, about 40 * size high, its foot at (x, y)."""
    with canvas.at(x, y, size):
        canvas.polygon([(-2.6, 0), (-1.6, -20), (1.6, -20), (2.6, 0)], bark)
        canvas.blob([(-13, -17), (-16, -25), (-10, -35), (0, -40), (10, -36), (15, -26), (12, -17), (0, -14)], leaf)
        canvas.blob(
            [(-11, -25), (-7, -34), (0, -37), (5, -34), (0, -28), (-6, -22)], lighter(leaf, 0.16), outline=False
        )


def draw_fir(canvas: Canvas, x: float, y: float, size: float, leaf: RGB, bark: RGB, snow: RGB | None = None) -> None:
    """A fir of three tiers, about 40 * size high, with snow on the tiers where given."""
    with canvas.at(x, y, size):
        canvas.rectangle(-2, -8, 2, 0, bark)
        canvas.polygon(
            [
                (0, -40),
                (7, -28),
                (4, -28),
                (10, -17),
                (6, -17),
                (13, -5),
                (-13, -5),
                (-6, -17),
                (-10, -17),
                (-4, -28),
                (-7, -28),
            ],
            leaf,
        )
        if snow is None:
            patch(canvas, [(0, -40), (7, -28), (4, -28), (10, -17), (6, -17), (13, -5), (4, -5)], darker(leaf, 0.16))
        else:
            for tip, reach in ((-40, 5), (-28, 6), (-17, 8)):
                low = tip + reach * 1.5
                patch(
                    canvas,
                    [
                        (0, tip),
                        (reach, low),
                        (reach * 0.4, low - 2),
                        (0, low + 1),
                        (-reach * 0.5, low - 2),
                        (-reach, low),
                    ],
                    snow,
                )


def draw_spire(canvas: Canvas, x: float, y: float, size: float, leaf: RGB) -> None:
    """A far conifer, about 40 * size high, in one flat tone."""
    half = 8 * size
    patch(
        canvas,
        [
            (x, y - 40 * size),
            (x + half * 0.6, y - 20 * size),
            (x + half * 0.3, y - 20 * size),
            (x + half, y),
            (x - half, y),
            (x - half * 0.3, y - 20 * size),
            (x - half * 0.6, y - 20 * size),
        ],
        leaf,
    )
