"""A CSV, TSV or JSON lines table of images and captions. Images are files in the table's folder, or URLs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from limner.core.datasets import ByteSource, Entry, Fault, Skipped
from limner.core.errors import LimnerError
from limner.core.files import open_file, quoted
from limner.data.entries.annotations import parse_annotation
from limner.data.entries.byte_sources import FileBytes, UrlBytes, escaped_name
from limner.data.entries.references import is_url, local_path, public_url, reference_kind, url_key
from limner.data.entries.text_tables import TableRow, read_rows
from limner.data.keys import unique_entries

IMAGES = ("file_name", "filename", "file", "image_path", "path", "image", "picture", "url", "image_url")
MASKS = ("mask", "mask_file_name")


class TableSource:
    """Images and captions in the rows of a text table."""

    title = "table of images and captions"

    def claims(self, reference: str) -> bool:
        return reference_kind(reference) == "table"

    def entries(self, reference: str) -> Iterator[Entry | Skipped]:
        yield from unique_entries(_entries(local_path(reference)))


def _entries(path: Path) -> Iterator[Entry | Skipped]:
    empty = True
    with open_file(path) as file:
        for row in read_rows(file, path.name):
            empty = False
            if isinstance(row, LimnerError):
                yield Skipped(escaped_name(path.name), Fault("unreadable", str(row)))
            else:
                yield from _entry(path, row)
    if empty:
        raise LimnerError(f"{quoted(path)} has no rows", "write a row for each image")


def _entry(table: Path, row: TableRow) -> Iterator[Entry | Skipped]:
    """The image of one row. Raises LimnerError if the table has no column of images."""
    column = next((name for name in IMAGES if row.values.get(name)), None)
    if column is None and not any(name in row.values for name in IMAGES):
        columns = ", ".join(list(row.values)[:12])
        remedy = "name one of its columns file_name, image, path or url"
        raise LimnerError(f"{quoted(table)} has no column of images (line {row.line} has: {columns})", remedy)
    try:
        if column is None:
            raise LimnerError(f"line {row.line} of {quoted(table)} names no image", "name one or remove the line")
        key, folder, place = _image(table, str(row.values[column]).strip())
        mask = next((_place(table, str(row.values[name]).strip()) for name in MASKS if row.values.get(name)), None)
    except LimnerError as error:
        yield Skipped(f"{escaped_name(table.name)} line {row.line}", Fault("unreadable", str(error)))
        return
    found = parse_annotation(row.values, (column, *MASKS))
    source = public_url(place.url) if isinstance(place, UrlBytes) else None
    rights = replace(found.rights, source=found.rights.source or source)
    yield Entry(key, place, folder, found.caption, found.fields, rights, mask, faults=found.faults)


def _image(table: Path, named: str) -> tuple[str, str, ByteSource]:
    """Key, folder and place of what a cell names."""
    place = _place(table, named)
    if isinstance(place, UrlBytes):
        return url_key(named), "", place
    inside = place.path.relative_to(table.parent)
    folder = inside.parent.as_posix()
    return escaped_name(inside.as_posix()), "" if folder == "." else escaped_name(folder), place


def _place(table: Path, named: str) -> FileBytes | UrlBytes:
    """A file or a URL. A table may come from anyone: only files in its own folder and below are read."""
    if is_url(named):
        return UrlBytes(named)
    outside = LimnerError(
        f"{quoted(table)} names {named[:80]!r}, which is not in the table's folder", "put images next to the table"
    )
    home = table.parent.resolve()
    try:
        path = (home / named).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise outside from error
    if not path.is_relative_to(home) or path == home:
        raise outside
    return FileBytes(table.parent / path.relative_to(home))


plugin = TableSource()
