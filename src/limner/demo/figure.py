"""A labelled grid of pictures: prompts down the side, settings across the top."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

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
    """Draw the figure. pictures[row][column] are shown `side` pixels wide; `caption` stands below."""
    gap, wide_gap, margin, label, head = 6, 22, 28, 200, 76
    heading, body, small = (ImageFont.load_default(size) for size in (19, 16, 14))
    columns = [name for group in groups for name in group.columns]
    lefts, x = [], margin + label
    for number, group in enumerate(groups):
        x += wide_gap if number else 0
        for _ in group.columns:
            lefts.append(x)
            x += side + gap
    width, height = x - gap + margin, head + margin + len(rows) * (side + gap) + 40
    figure = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(figure)
    first = 0
    for group in groups:
        left, right = lefts[first], lefts[first + len(group.columns) - 1] + side
        draw.text(((left + right) / 2, margin), group.heading, INK, heading, anchor="mm")
        draw.line((left, margin + 16, right, margin + 16), FAINT, 1)
        first += len(group.columns)
    for left, name in zip(lefts, columns, strict=True):
        draw.text((left + side / 2, margin + 32), name, FAINT, body, anchor="mm")
    for number, (row, line) in enumerate(zip(rows, pictures, strict=True)):
        top = head + number * (side + gap)
        text = "\n".join(textwrap.wrap(row, 22))
        draw.multiline_text((margin, top + side / 2), text, INK, body, anchor="lm", spacing=6)
        for left, picture in zip(lefts, line, strict=True):
            figure.paste(picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS), (left, top))
    draw.text((margin, height - 30), caption, FAINT, small, anchor="lm")
    return figure
