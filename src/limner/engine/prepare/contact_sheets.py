"""Writes contact sheets of all images of a dataset, some on each."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from PIL import Image

from limner.engine.prepare.entry_outcome import EntryOutcome
from limner.engine.prepare.pool import PendingChunk, WorkerDied, WorkerPool
from limner.imaging.contact_sheet import Tile, draw_contact_sheet
from limner.store.files import atomic_file

TILES, AHEAD = 120, 8
"""Images on a sheet, and sheets that are drawn at a time."""
SheetJob = tuple[Path, Path, int, Sequence[EntryOutcome]]


class ContactSheets:
    """Takes all entries in order; a process draws each sheet as soon as it is full: contact-001.jpg and so on."""

    def __init__(self, folder: Path, thumbnails: Path, pool: WorkerPool) -> None:
        self.folder, self.thumbnails, self.pool = folder, thumbnails, pool
        self.names: list[str] = []
        self._entries: list[EntryOutcome] = []
        self._pending: deque[tuple[SheetJob, PendingChunk]] = deque()
        self._done = 0

    def add(self, entry: EntryOutcome) -> None:
        if entry.thumbnail is not None:
            self._entries.append(entry)
        if len(self._entries) == TILES:
            self._draw()

    def close(self) -> list[str]:
        """Draw the rest; returns the names of all sheets."""
        if self._entries:
            self._draw()
        while self._pending:
            self._finish()
        return self.names

    def _draw(self) -> None:
        self.names.append(f"contact-{len(self.names) + 1:03d}.jpg")
        job = (self.folder / self.names[-1], self.thumbnails, self._done + 1, self._entries)
        self._pending.append((job, self.pool.submit(write_sheet, [job])))
        self._done, self._entries = self._done + len(self._entries), []
        if len(self._pending) > AHEAD:
            self._finish()

    def _finish(self) -> None:
        """Wait for the oldest sheet, and draw it here if its process died, for want of memory for example."""
        job, pending = self._pending.popleft()
        try:
            pending.result()
        except WorkerDied:
            write_sheet(job)


def write_sheet(job: SheetJob) -> None:
    """Write a sheet. job: its path, the folder of thumbnails, the number of its first tile, and its entries."""
    path, thumbnails, first, entries = job
    with atomic_file(path) as partial:
        tiles = [_tile(entry, thumbnails) for entry in entries]
        draw_contact_sheet(tiles, first=first).save(partial, "JPEG", quality=88)


def _tile(entry: EntryOutcome, thumbnails: Path) -> Tile:
    with Image.open(thumbnails / str(entry.thumbnail)) as file:
        image = file.convert("RGB")
    label = f"{entry.short_key}: {entry.problems[0]}" if entry.problems else entry.short_key
    state: Literal["kept", "flagged", "dropped"] = entry.outcome if entry.outcome in ("kept", "flagged") else "dropped"
    return Tile(image, crop_on(image.size, entry), label, state)


def crop_on(size: tuple[int, int], entry: EntryOutcome) -> tuple[float, float, float, float] | None:
    """The crop in pixels of a thumbnail of this (width, height), None if the image is not in the dataset."""
    if entry.box is None or entry.size is None or entry.name is None:
        return None
    across, down = size[0] / entry.size[0], size[1] / entry.size[1]
    left, top, right, bottom = entry.box
    return left * across, top * down, right * across, bottom * down
