"""A labelled grid of pictures: prompts down the side, settings across the top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageOps

from limner.imaging.fonts import font_for, truncate, wrap

INK, FAINT, PAPER = (28, 30, 36), (120, 124, 134), (255, 255, 255)


@dataclass(frozen=True)
class Group:
    """Neighbouring columns under one heading."""

    heading: str
    columns: tuple[str, ...]


def grid(
    rows: Sequence[str],
    groups: Sequence[Group],
    pictures: Sequence[Sequence[Image.Image]],
    caption: str,
    side: int = 192,
) -> Image.Image:
    """Draw the figure. pictures[row][column] are shown `side` pixels wide and as high as the first one's shape asks;
    `caption` stands below.
    """
    gap, wide_gap, margin, label, head = 6, 22, 28, 200, 76
    heading, body, small = 19, 16, 14
    columns = [name for group in groups for name in group.columns]
    shape = pictures[0][0].size
    tall = max(1, round(side * shape[1] / shape[0]))
    lefts, x = [], margin + label
    for number, group in enumerate(groups):
        x += wide_gap if number else 0
        for _ in group.columns:
            lefts.append(x)
            x += side + gap
    width, height = x - gap + margin, head + margin + len(rows) * (tall + gap) + 40
    figure = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(figure)
    first = 0
    for group in groups:
        left, right = lefts[first], lefts[first + len(group.columns) - 1] + side
        font, text = font_for(group.heading, heading)
        draw.text(((left + right) / 2, margin), truncate(text, font, right - left), INK, font, anchor="mm")
        draw.line((left, margin + 16, right, margin + 16), FAINT, 1)
        first += len(group.columns)
    for left, name in zip(lefts, columns, strict=True):
        font, text = font_for(name, body)
        draw.text((left + side / 2, margin + 32), text, FAINT, font, anchor="mm")
    for number, (row, line) in enumerate(zip(rows, pictures, strict=True)):
        top = head + number * (tall + gap)
        font, text = font_for(row, body)
        if any(map(str.isalnum, row)) and not any(map(str.isalnum, text)):
            text = f"row {number + 1} (no font here has its letters)"
        text = wrap(text, font, label - gap, max(1, tall // 24))
        draw.multiline_text((margin, top + tall / 2), text, INK, font, anchor="lm", spacing=6)
        for left, picture in zip(lefts, line, strict=True):
            shown = ImageOps.pad(picture.convert("RGB"), (side, tall), Image.Resampling.LANCZOS, color=PAPER)
            figure.paste(shown, (left, top))
    font, text = font_for(caption, small)
    draw.text((margin, height - 30), truncate(text, font, width - 2 * margin), FAINT, font, anchor="lm")
    return figure
