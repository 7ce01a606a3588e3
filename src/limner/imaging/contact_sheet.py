"""Contact sheets: small images in rows with their captions, and what is cropped from each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from limner.imaging.fonts import font_for, truncate, wrap

INK, FAINT, PAPER = (28, 30, 36), (120, 124, 134), (255, 255, 255)
ACCENT, RED, AMBER = (15, 143, 136), (192, 57, 43), (224, 148, 20)
VEIL = 218
"""Grey level towards which everything outside the crop is faded."""
STATE_COLOURS = {"kept": None, "flagged": AMBER, "dropped": RED}
FINE = 4
"""Supersampling factor of the corner marks."""
GAP, MARGIN, CORNER, LINE, TEXT, SMALL = 14, 24, 26, 20, 13, 12


@dataclass(frozen=True)
class Tile:
    """One image of a contact sheet.

    image: a small copy of the original. box: the crop as left, top, right, bottom in its pixels; None for no crop.
    label: a caption. state: its colour and mark. note: a second text, in red, such as what is wrong.
    """

    image: Image.Image
    box: tuple[float, float, float, float] | None
    label: str
    state: Literal["kept", "flagged", "dropped"] = "kept"
    note: str = ""


def draw_contact_sheet(
    tiles: Sequence[Tile], columns: int = 6, side: int = 180, first: int | None = 1, lines: int = 1
) -> Image.Image:
    """The tiles in rows of `columns`, each in a cell of `side` pixels with its number and texts below.

    Everything outside a crop is faded, and the crop is outlined. An amber corner means flagged, a red one dropped. Rows
    are as high as their images. first: the number of the first tile, None for no numbers. lines: of text per image.
    """
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    drawn = [[_thumbnail(tile, side) for tile in row] for row in rows]
    heights = [max(image.height for image in row) for row in drawn]
    width = 2 * MARGIN + columns * (side + GAP) - GAP
    tall = 2 * MARGIN + sum(heights) + len(rows) * (lines * LINE + GAP) - (GAP if rows else 0)
    sheet = Image.new("RGB", (width, tall), PAPER)
    top = MARGIN
    for number, (row, images, height) in enumerate(zip(rows, drawn, heights, strict=True)):
        for column, (tile, image) in enumerate(zip(row, images, strict=True)):
            left = MARGIN + column * (side + GAP)
            sheet.paste(image, (left + (side - image.width) // 2, top + height - image.height))
            label = None if first is None else str(first + number * columns + column)
            _write(sheet, tile, label, (left, top + height), side, lines)
        top += height + lines * LINE + GAP
    return sheet


def _thumbnail(tile: Tile, side: int) -> Image.Image:
    """The image of a tile, at most `side` pixels wide and high, with its crop and mark."""
    scale = side / max(tile.image.size)
    size = (max(1, round(tile.image.width * scale)), max(1, round(tile.image.height * scale)))
    image = tile.image.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    if tile.box is not None:
        scales = (size[0] / tile.image.width, size[1] / tile.image.height) * 2
        image = _boxed(image, [round(edge * by) for edge, by in zip(tile.box, scales, strict=True)])
    if tile.state == "dropped":
        image = _faded(image, 0.5)
    colour = STATE_COLOURS[tile.state]
    return image if colour is None else _with_corner(image, colour)


def _boxed(image: Image.Image, edges: Sequence[int]) -> Image.Image:
    """The image faded outside the box, and the box outlined, also in white to be visible on any background."""
    left, top = max(0, edges[0]), max(0, edges[1])
    right, bottom = max(left + 1, min(image.width, edges[2])), max(top + 1, min(image.height, edges[3]))
    faded = _faded(image, 0.62)
    faded.paste(image.crop((left, top, right, bottom)), (left, top))
    draw = ImageDraw.Draw(faded)
    if min(right - left, bottom - top) > 8:
        draw.rectangle((left + 2, top + 2, right - 3, bottom - 3), outline=PAPER, width=1)
    draw.rectangle((left, top, right - 1, bottom - 1), outline=ACCENT, width=2)
    return faded


def _faded(image: Image.Image, by: float) -> Image.Image:
    """The image with less colour and nearer to a light grey, so that fading is visible on white images too."""
    values = np.asarray(image, dtype=np.float32)
    pale = (values + values.mean(2, keepdims=True)) / 2
    return Image.fromarray((pale * (1 - by) + VEIL * by).astype(np.uint8))


def _with_corner(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """The image with a coloured triangle at the top right."""
    side = min(CORNER, *image.size)
    mask = Image.new("L", (side * FINE, side * FINE))
    ImageDraw.Draw(mask).polygon([(0, 0), (side * FINE, 0), (side * FINE, side * FINE)], 255)
    marked = image.copy()
    marked.paste(colour, (image.width - side, 0), mask.resize((side, side), Image.Resampling.BOX))
    return marked


def _write(sheet: Image.Image, tile: Tile, number: str | None, at: tuple[int, int], width: int, lines: int) -> None:
    """Write the number, the label and the note of a tile below its image."""
    draw, middle, start = ImageDraw.Draw(sheet), at[1] + LINE / 2 + 1, 0.0
    if number is not None:
        font, text = font_for(number, TEXT)
        draw.text((at[0], middle), text, INK, font, anchor="lm")
        start = font.getlength(text) + 7
    texts = [(tile.label, STATE_COLOURS[tile.state] or FAINT), (tile.note, RED)]
    for words, colour in texts if tile.note else texts[:1]:
        font, text = font_for(" ".join(words.split()), SMALL)
        one = lines == 1
        written = truncate(text, font, width - start) if one else wrap(text, font, width - start, max(1, lines))
        for line in written.split("\n"):
            draw.text((at[0] + start, middle), line, colour, font, anchor="lm")
            middle, lines = middle + LINE, lines - 1
        if lines < 1:
            return
