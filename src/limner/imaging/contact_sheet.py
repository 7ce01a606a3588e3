"""A contact sheet: small pictures in rows, and on each what is cut out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from limner.imaging.fonts import font_for, truncate

INK, FAINT, PAPER = (28, 30, 36), (120, 124, 134), (255, 255, 255)
ACCENT, RED, AMBER = (15, 143, 136), (192, 57, 43), (224, 148, 20)
VEIL = 218
"""Grey that lies over what is not cut out."""
MARKS = {"kept": None, "flagged": AMBER, "dropped": RED}
FINE = 4
"""How many times finer the corners' marks are drawn than shown."""
GAP, MARGIN, CORNER, LINE, TEXT, SMALL = 14, 24, 26, 20, 13, 12


@dataclass(frozen=True)
class Tile:
    """picture: a small copy of the original. box: what is cut out, left, top, right, bottom in its pixels; None where
    nothing is. label: a word or two. state: what became of it.
    """

    picture: Image.Image
    box: tuple[float, float, float, float] | None
    label: str
    state: Literal["kept", "flagged", "dropped"] = "kept"


def draw_contact_sheet(tiles: Sequence[Tile], columns: int = 6, side: int = 180, first: int = 1) -> Image.Image:
    """The tiles in rows of `columns`, each in a cell of `side` pixels with its number and label below.

    What is not cut out is dimmed, what is has an outline. An amber corner: flagged, a red one: dropped. Rows are as
    high as their pictures need. first: the number of the first tile.
    """
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    drawn = [[_picture(tile, side) for tile in row] for row in rows]
    heights = [max(picture.height for picture in row) for row in drawn]
    width = 2 * MARGIN + columns * (side + GAP) - GAP
    tall = 2 * MARGIN + sum(heights) + len(rows) * (LINE + GAP) - (GAP if rows else 0)
    figure = Image.new("RGB", (width, tall), PAPER)
    top = MARGIN
    for number, (row, pictures, height) in enumerate(zip(rows, drawn, heights, strict=True)):
        for column, (tile, picture) in enumerate(zip(row, pictures, strict=True)):
            left = MARGIN + column * (side + GAP)
            figure.paste(picture, (left + (side - picture.width) // 2, top + height - picture.height))
            _write(figure, tile, first + number * columns + column, (left, top + height), side)
        top += height + LINE + GAP
    return figure


def _picture(tile: Tile, side: int) -> Image.Image:
    """A tile's picture, at most `side` pixels wide and high, with all that is drawn on it."""
    scale = side / max(tile.picture.size)
    size = (max(1, round(tile.picture.width * scale)), max(1, round(tile.picture.height * scale)))
    picture = tile.picture.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    if tile.box is not None:
        scales = (size[0] / tile.picture.width, size[1] / tile.picture.height) * 2
        picture = _boxed(picture, [round(edge * by) for edge, by in zip(tile.box, scales, strict=True)])
    if tile.state == "dropped":
        picture = _dimmed(picture, 0.5)
    mark = MARKS[tile.state]
    return picture if mark is None else _marked(picture, mark)


def _boxed(picture: Image.Image, edges: Sequence[int]) -> Image.Image:
    """All but the box dimmed, and the box outlined, in white too, to be seen on any ground."""
    left, top = max(0, edges[0]), max(0, edges[1])
    right, bottom = max(left + 1, min(picture.width, edges[2])), max(top + 1, min(picture.height, edges[3]))
    dimmed = _dimmed(picture, 0.62)
    dimmed.paste(picture.crop((left, top, right, bottom)), (left, top))
    draw = ImageDraw.Draw(dimmed)
    if min(right - left, bottom - top) > 8:
        draw.rectangle((left + 2, top + 2, right - 3, bottom - 3), outline=PAPER, width=1)
    draw.rectangle((left, top, right - 1, bottom - 1), outline=ACCENT, width=2)
    return dimmed


def _dimmed(picture: Image.Image, by: float) -> Image.Image:
    """The picture paler, and nearer to a light grey, which is seen on white ones too."""
    values = np.asarray(picture, dtype=np.float32)
    pale = (values + values.mean(2, keepdims=True)) / 2
    return Image.fromarray((pale * (1 - by) + VEIL * by).astype(np.uint8))


def _marked(picture: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """The picture with a corner of a colour at the top right."""
    side = min(CORNER, *picture.size)
    mask = Image.new("L", (side * FINE, side * FINE))
    ImageDraw.Draw(mask).polygon([(0, 0), (side * FINE, 0), (side * FINE, side * FINE)], 255)
    marked = picture.copy()
    marked.paste(colour, (picture.width - side, 0), mask.resize((side, side), Image.Resampling.BOX))
    return marked


def _write(figure: Image.Image, tile: Tile, number: int, at: tuple[int, int], width: int) -> None:
    """A tile's number, and beside it its label, below its picture."""
    draw, middle = ImageDraw.Draw(figure), at[1] + LINE / 2 + 1
    font, text = font_for(str(number), TEXT)
    draw.text((at[0], middle), text, INK, font, anchor="lm")
    start = font.getlength(text) + 7
    font, text = font_for(" ".join(tile.label.split()), SMALL)
    colour = MARKS[tile.state] or FAINT
    draw.text((at[0] + start, middle), truncate(text, font, width - start), colour, font, anchor="lm")
