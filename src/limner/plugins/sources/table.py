"""A table of pictures and texts: CSV, TSV or JSON lines. Pictures are files in the table's folder, or URLs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from limner.core.datasets import Entry, Fault, Place, Skipped
from limner.core.errors import LimnerError
from limner.core.files import open_file, quoted
from limner.data.entries.kinds import kind_of, local
from limner.data.entries.notes import note
from limner.data.entries.once import once
from limner.data.entries.places import FilePlace, UrlPlace, legible
from limner.data.entries.tables import Row, rows
from limner.data.entries.urls import is_url, key_of, told_of

PICTURES = ("file_name", "filename", "file", "image_path", "path", "image", "picture", "url", "image_url")
MASKS = ("mask", "mask_file_name")


class Table:
    title = "table of pictures and texts"

    def claims(self, reference: str) -> bool:
        return kind_of(reference) == "table"

    def entries(self, reference: str) -> Iterator[Entry | Skipped]:
        yield from once(_entries(local(reference)))


def _entries(path: Path) -> Iterator[Entry | Skipped]:
    empty = True
    with open_file(path) as file:
        for row in rows(file, path.name):
            empty = False
            if isinstance(row, LimnerError):
                yield Skipped(legible(path.name), Fault("unreadable", str(row)))
            else:
                yield from _entry(path, row)
    if empty:
        raise LimnerError(f"{quoted(path)} holds no rows", "write a row for each picture")


def _entry(table: Path, row: Row) -> Iterator[Entry | Skipped]:
    """The picture of one row. Raises LimnerError where the table has no column for it."""
    column = next((name for name in PICTURES if row.values.get(name)), None)
    if column is None and not any(name in row.values for name in PICTURES):
        told = ", ".join(list(row.values)[:12])
        remedy = "name one of its columns file_name, image, path or url"
        raise LimnerError(f"{quoted(table)} has no column of pictures (line {row.line} has: {told})", remedy)
    try:
        if column is None:
            raise LimnerError(f"line {row.line} of {quoted(table)} names no picture", "name one or remove the line")
        key, folder, place = _picture(table, str(row.values[column]).strip())
        mask = next((_place(table, str(row.values[name]).strip()) for name in MASKS if row.values.get(name)), None)
    except LimnerError as error:
        yield Skipped(f"{legible(table.name)} line {row.line}", Fault("unreadable", str(error)))
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
        f"{quoted(table)} names {named[:80]!r}, which is not in the table's folder", "put pictures beside the table"
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
