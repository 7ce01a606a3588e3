"""Contact sheets of all pictures, as many on each as can be looked at."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from PIL import Image

from limner.engine.prepare.pool import Answer, Crew
from limner.engine.prepare.summary import Shown
from limner.imaging.contact_sheet import Tile, draw_contact_sheet
from limner.store.files import atomic_file

EACH, AHEAD = 120, 8
"""Pictures on a sheet, and sheets that are drawn at a time."""


class Sheets:
    """Takes in all entries in their order; a sheet is drawn by a process as soon as it is full: contact-001.jpg etc."""

    def __init__(self, folder: Path, thumbnails: Path, crew: Crew) -> None:
        self.folder, self.thumbnails, self.crew = folder, thumbnails, crew
        self.names: list[str] = []
        self._full: list[Shown] = []
        self._drawn: deque[Answer] = deque()
        self._done = 0

    def add(self, shown: Shown) -> None:
        if shown.picture is not None:
            self._full.append(shown)
        if len(self._full) == EACH:
            self._draw()

    def close(self) -> list[str]:
        """Draw what is left; returns the names of all sheets."""
        if self._full:
            self._draw()
        while self._drawn:
            self._drawn.popleft().result()
        return self.names

    def _draw(self) -> None:
        self.names.append(f"contact-{len(self.names) + 1:03d}.jpg")
        job = (self.folder / self.names[-1], self.thumbnails, self._done + 1, self._full)
        self._drawn.append(self.crew.submit(drawn, [job]))
        self._done, self._full = self._done + len(self._full), []
        if len(self._drawn) > AHEAD:
            self._drawn.popleft().result()


def drawn(job: tuple[Path, Path, int, Sequence[Shown]]) -> None:
    """Write a sheet: its path, the folder of thumbnails, the number of its first tile, and its entries."""
    path, thumbnails, first, entries = job
    with atomic_file(path) as partial:
        tiles = [_tile(shown, thumbnails) for shown in entries]
        draw_contact_sheet(tiles, first=first).save(partial, "JPEG", quality=88)


def _tile(shown: Shown, thumbnails: Path) -> Tile:
    with Image.open(thumbnails / str(shown.picture)) as image:
        picture = image.convert("RGB")
    return Tile(picture, box_on(picture.size, shown), _label(shown), _state(shown))


def box_on(size: tuple[int, int], shown: Shown) -> tuple[float, float, float, float] | None:
    """The crop in pixels of a thumbnail of this (width, height)."""
    if shown.box is None or shown.size is None or shown.name is None:
        return None
    across, down = size[0] / shown.size[0], size[1] / shown.size[1]
    left, top, right, bottom = shown.box
    return left * across, top * down, right * across, bottom * down


def _label(shown: Shown) -> str:
    name = "/".join(shown.key.split("/")[-2:])
    return f"{name}: {shown.told[0]}" if shown.told else name


def _state(shown: Shown) -> Literal["kept", "flagged", "dropped"]:
    return shown.state if shown.state in ("kept", "flagged") else "dropped"
