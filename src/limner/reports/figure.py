"""A labelled grid of images: prompts down the side, settings across the top."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from PIL import Image, ImageDraw, ImageOps

from limner.imaging.fonts import font_for, truncate, wrap, wrap_words
from limner.reports.writer import data_url

INK, FAINT, PAPER = (28, 30, 36), (120, 124, 134), (255, 255, 255)
BLANK = (236, 236, 236)
GAP, GROUP_GAP, MARGIN, ROW_LABEL, HEADER = 6, 22, 28, 200, 76
HEADING_SIZE, LABEL_SIZE, CAPTION_SIZE, CAPTION_LINE = 19, 16, 14, 20


@dataclass(frozen=True)
class ColumnGroup:
    """Neighbouring columns under one heading."""

    heading: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class ImageGrid:
    """A grid of images. images: by row and column; None for none. caption: below the grid.

    side: width of a cell in pixels, None for that of the first image, from 128 to 256; its height follows from the
    shape of the first image.
    """

    rows: Sequence[str]
    groups: Sequence[ColumnGroup]
    images: Sequence[Sequence[Image.Image | None]]
    caption: str
    side: int | None = 192

    @property
    def first(self) -> Image.Image:
        """The first image, whose shape all cells have."""
        return next((image for line in self.images for image in line if image is not None), Image.new("RGB", (64, 64)))

    @property
    def cell_side(self) -> int:
        """The width of a cell in pixels."""
        return min(256, max(128, self.first.width)) if self.side is None else self.side

    def draw(self) -> Image.Image:
        """The grid as one image on white, for papers and slides; missing images are grey."""
        return grid(self.rows, self.groups, self.images, self.caption, self.cell_side)

    def page(self, url: Callable[[Image.Image], str] | None = None) -> dict[str, Any]:
        """What `grid.html` shows of it, as a table. url: of an image; by default its data at twice the cell's size."""
        to_url = url or partial(data_url, side=2 * max(self.cell_side, self._cell_height))
        return {
            "headings": [(group.heading, len(group.columns)) for group in self.groups],
            "columns": [(name, not at) for group in self.groups for at, name in enumerate(group.columns)],
            "rows": [
                (row, [None if image is None else to_url(image) for image in line])
                for row, line in zip(self.rows, self.images, strict=True)
            ],
            "caption": self.caption,
            "side": self.cell_side,
            "shape": f"{self.first.width} / {self.first.height}",
        }

    @property
    def _cell_height(self) -> int:
        return round(self.cell_side * self.first.height / self.first.width)


def grid(
    rows: Sequence[str],
    groups: Sequence[ColumnGroup],
    images: Sequence[Sequence[Image.Image | None]],
    caption: str,
    side: int | None = 192,
) -> Image.Image:
    """Draw the figure.

    images: by row and column; None leaves a cell grey. caption: below the grid, wrapped. side: width of a cell in
    pixels, None for that of the first image, from 128 to 256; its height follows from the shape of the first image.
    """
    first = next((image for line in images for image in line if image is not None), Image.new("RGB", (64, 64)))
    side = min(256, max(128, first.width)) if side is None else side
    shape = first.size
    height = max(1, round(side * shape[1] / shape[0]))
    lefts = _column_positions(groups, side)
    width = lefts[-1] + side + MARGIN
    font, text = font_for(caption, CAPTION_SIZE)
    lines = wrap_words(text, font, width - 2 * MARGIN) or [""]
    bottom = HEADER + MARGIN + len(rows) * (height + GAP) + 10
    size = width, bottom + CAPTION_LINE * (len(lines) - 1) + 30
    figure = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(figure)
    _draw_headings(draw, groups, lefts, side)
    for number, (row, line) in enumerate(zip(rows, images, strict=True)):
        top = HEADER + number * (height + GAP)
        _draw_row_label(draw, row, number, top, height)
        for left, image in zip(lefts, line, strict=True):
            cell = Image.new("RGB", first.size, BLANK) if image is None else image.convert("RGB")
            figure.paste(ImageOps.pad(cell, (side, height), Image.Resampling.LANCZOS, color=PAPER), (left, top))
    for number, line in enumerate(lines):
        draw.text((MARGIN, bottom + CAPTION_LINE * number), line, FAINT, font, anchor="lm")
    return figure


def _column_positions(groups: Sequence[ColumnGroup], side: int) -> list[int]:
    """The left edge of each column in pixels."""
    lefts, x = list[int](), MARGIN + ROW_LABEL
    for number, group in enumerate(groups):
        x += GROUP_GAP if number else 0
        for _ in group.columns:
            lefts.append(x)
            x += side + GAP
    return lefts


def _draw_headings(draw: ImageDraw.ImageDraw, groups: Sequence[ColumnGroup], lefts: Sequence[int], side: int) -> None:
    first = 0
    for group in groups:
        left, right = lefts[first], lefts[first + len(group.columns) - 1] + side
        font, text = font_for(group.heading, HEADING_SIZE)
        draw.text(((left + right) / 2, MARGIN), truncate(text, font, right - left), INK, font, anchor="mm")
        draw.line((left, MARGIN + 16, right, MARGIN + 16), FAINT, 1)
        first += len(group.columns)
    columns = [name for group in groups for name in group.columns]
    for left, name in zip(lefts, columns, strict=True):
        font, text = font_for(name, LABEL_SIZE)
        draw.text((left + side / 2, MARGIN + 32), text, FAINT, font, anchor="mm")


def _draw_row_label(draw: ImageDraw.ImageDraw, row: str, number: int, top: int, height: int) -> None:
    font, text = font_for(row, LABEL_SIZE)
    if any(map(str.isalnum, row)) and not any(map(str.isalnum, text)):
        text = f"row {number + 1} (no font here has its letters)"
    text = wrap(text, font, ROW_LABEL - GAP, max(1, height // 24))
    draw.multiline_text((MARGIN, top + height / 2), text, INK, font, anchor="lm", spacing=6)
