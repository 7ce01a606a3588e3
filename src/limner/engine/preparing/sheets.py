"""Contact sheets of all pictures, as many on each as can be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from PIL import Image

from ...pages.contact import Tile, sheet
from ...store.files import writing
from .story import Shown

EACH = 120


class Sheets:
    """Takes in all entries in their order, and writes a sheet as soon as it is full: contact-001.jpg and so on."""

    def __init__(self, folder: Path, thumbnails: Path) -> None:
        self.folder, self.thumbnails = folder, thumbnails
        self.tiles: list[Tile] = []
        self.names: list[str] = []
        self.done = 0

    def add(self, shown: Shown) -> None:
        if shown.picture is None:
            return
        with Image.open(self.thumbnails / shown.picture) as image:
            picture = image.convert("RGB")
        self.tiles.append(Tile(picture, box_on(picture.size, shown), _label(shown), _state(shown)))
        if len(self.tiles) == EACH:
            self._write()

    def close(self) -> list[str]:
        """Write what is left; returns the names of all sheets."""
        if self.tiles:
            self._write()
        return self.names

    def _write(self) -> None:
        name = f"contact-{len(self.names) + 1:03d}.jpg"
        with writing(self.folder / name) as partial:
            sheet(self.tiles, first=self.done + 1).save(partial, "JPEG", quality=88)
        self.names.append(name)
        self.done += len(self.tiles)
        self.tiles = []


def box_on(size: tuple[int, int], shown: Shown) -> tuple[float, float, float, float] | None:
    """The crop in pixels of a thumbnail of this (width, height)."""
    if shown.box is None or shown.size is None or shown.name is None:
        return None
    across, down = size[0] / shown.size[0], size[1] / shown.size[1]
    left, top, right, bottom = shown.box
    return left * across, top * down, right * across, bottom * down


def _label(shown: Shown) -> str:
    return Path(shown.key).name if not shown.told else f"{Path(shown.key).name}: {shown.told[0]}"


def _state(shown: Shown) -> Literal["kept", "flagged", "dropped"]:
    return shown.state if shown.state in ("kept", "flagged") else "dropped"
