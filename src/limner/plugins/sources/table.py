"""A table of pictures and texts: CSV, TSV or JSON lines. Pictures are files in the table's folder, or URLs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from limner.core.datasets import Entry, Fault, Lost, Place
from limner.core.errors import LimnerError
from limner.core.files import opened, shown
from limner.data.entries.annotations import note
from limner.data.entries.once import unique_entries
from limner.data.entries.places import FilePlace, UrlPlace, legible
from limner.data.entries.references import local_path, reference_kind
from limner.data.entries.text_tables import Row, rows
from limner.data.entries.urls import is_url, key_of, told_of

PICTURES = ("file_name", "filename", "file", "image_path", "path", "image", "picture", "url", "image_url")
MASKS = ("mask", "mask_file_name")


class Table:
    title = "table of pictures and texts"

    def claims(self, reference: str) -> bool:
        return reference_kind(reference) == "table"

    def entries(self, reference: str) -> Iterator[Entry | Lost]:
        yield from unique_entries(_entries(local_path(reference)))


def _entries(path: Path) -> Iterator[Entry | Lost]:
    empty = True
    with opened(path) as file:
        for row in rows(file, path.name):
            empty = False
            if isinstance(row, LimnerError):
                yield Lost(legible(path.name), Fault("unreadable", str(row)))
            else:
                yield from _entry(path, row)
    if empty:
        raise LimnerError(f"{shown(path)} holds no rows", "write a row for each picture")


def _entry(table: Path, row: Row) -> Iterator[Entry | Lost]:
    """The picture of one row. Raises LimnerError where the table has no column for it."""
    column = next((name for name in PICTURES if row.values.get(name)), None)
    if column is None and not any(name in row.values for name in PICTURES):
        told = ", ".join(list(row.values)[:12])
        remedy = "name one of its columns file_name, image, path or url"
        raise LimnerError(f"{shown(table)} has no column of pictures (line {row.line} has: {told})", remedy)
    try:
        if column is None:
            raise LimnerError(f"line {row.line} of {shown(table)} names no picture", "name one or remove the line")
        key, folder, place = _picture(table, str(row.values[column]).strip())
        mask = next((_place(table, str(row.values[name]).strip()) for name in MASKS if row.values.get(name)), None)
    except LimnerError as error:
        yield Lost(f"{legible(table.name)} line {row.line}", Fault("unreadable", str(error)))
        return
    told = note(row.values, (column, *MASKS))
    source = told_of(place.url) if isinstance(place, UrlPlace) else None
    rights = replace(told.rights, source=told.rights.source or source)
    yield Entry(key, place, folder, told.caption, told.fields, rights, mask, faults=told.faults)


def _picture(table: Path, named: str) -> tuple[str, str, Place]:
    """Key, folder and place of what a cell names."""
    place = _place(table, named)
    if isinstance(place, UrlPlace):
        return key_of(named), "", place
    inside = place.path.relative_to(table.parent)
    folder = inside.parent.as_posix()
    return legible(inside.as_posix()), "" if folder == "." else legible(folder), place


def _place(table: Path, named: str) -> FilePlace | UrlPlace:
    """A file or a URL. A table may come from anyone: only files in its own folder and below are read."""
    if is_url(named):
        return UrlPlace(named)
    outside = LimnerError(
        f"{shown(table)} names {named[:80]!r}, which is not in the table's folder", "put pictures beside the table"
    )
    home = table.parent.resolve()
    try:
        path = (home / named).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise outside from error
    if not path.is_relative_to(home) or path == home:
        raise outside
    return FilePlace(table.parent / path.relative_to(home))


plugin = Table()
