"""Entries of tables whose cells hold pictures, or the URLs of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from limner.core.datasets import Entry, Fault, Place, Skipped
from limner.core.errors import LimnerError
from limner.core.files import quoted
from limner.data.entries.cells import Cells
from limner.data.entries.notes import columns, note
from limner.data.entries.places import CellPlace, UrlPlace, legible
from limner.data.entries.urls import is_url

URLS = ("url", "image_url")


def row_entries(path: Path, prefix: str, first: int = 0) -> Iterator[Entry | Skipped]:
    """The rows of a parquet or Arrow file, group by group. prefix: of keys. first: the number of its first row."""
    try:
        table = Cells(path)
    except LimnerError as error:
        yield Skipped(legible(path.name), Fault("unreadable", str(error)))
        return
    if table.picture is None and not any(name.lower() in URLS for name in table.others):
        told = ", ".join(table.columns[:12])
        raise LimnerError(f"{quoted(path)} has no column of pictures (it has: {told})", "name one of them image")
    row = first
    for group in range(table.groups):
        try:
            for inside, (called, masked, values) in enumerate(table.rows(group)):
                yield from _entry(table, (group, inside), called, masked, columns(values), f"{prefix}{row:09d}")
                row += 1
        except LimnerError as error:
            yield Skipped(f"{prefix}{row:09d}", Fault("unreadable", str(error)))
            return


def _entry(
    table: Cells, at: tuple[int, int], called: str, masked: bool, row: Mapping[str, object], key: str
) -> Iterator[Entry | Skipped]:
    told = note(row)
    place: Place | None = None
    if table.picture is not None:
        place = CellPlace(table.path, *at, table.picture, called)
    elif url := next((url for name in URLS if isinstance(url := row.get(name), str) and is_url(url)), None):
        place = UrlPlace(url)
    if place is None:
        yield Skipped(key, Fault("unreadable", f"row {at[1]} of group {at[0]} of {quoted(table.path)} names no URL"))
        return
    mask = CellPlace(table.path, *at, table.mask) if table.mask and masked else None
    yield Entry(key, place, "", told.caption, told.fields, told.rights, mask, faults=told.faults)
