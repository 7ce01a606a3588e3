"""A contact sheet: pictures with their prompts beneath."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK, WRONG, PAPER = (28, 30, 36), (196, 44, 44), (255, 255, 255)
LINE = 15


def wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """Lines of a text that are no wider than so many pixels, unless a single word is."""
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(longer := f"{lines[-1]} {word}") <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def contact_sheet(
    pictures: Sequence[np.ndarray],
    captions: Sequence[str],
    notes: Sequence[str] | None = None,
    columns: int = 8,
    side: int = 160,
) -> Image.Image:
    """pictures (h, w, 3) uint8, shown `side` pixels wide; a note, such as what is wrong, stands in red beneath."""
    gap, font = 10, ImageFont.load_default(12)
    told = [wrap(text, font, side)[:4] for text in captions]
    noted = [wrap(note, font, side)[:2] for note in notes or [""] * len(pictures)]
    height = side + 8 + LINE * max(len(a) + len(b) for a, b in zip(told, noted, strict=True)) + gap
    lines = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (side + gap) + gap, lines * height + gap), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (picture, text, wrong) in enumerate(zip(pictures, told, noted, strict=True)):
        x, y = gap + number % columns * (side + gap), gap + number // columns * height
        sheet.paste(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS), (x, y))
        for row, line in enumerate([*text, *wrong]):
            draw.text((x, y + side + 4 + row * LINE), line, INK if row < len(text) else WRONG, font)
    return sheet
