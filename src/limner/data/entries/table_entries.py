"""Entries of Parquet and Arrow tables whose cells contain images, or URLs of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from limner.core.datasets import ByteSource, Entry, Fault, Skipped
from limner.core.errors import LimnerError
from limner.core.files import BYTE_CAP, check_file, quoted, too_large
from limner.data.entries.annotations import normalized_columns, parse_annotation
from limner.data.entries.byte_sources import UrlBytes, escaped_name, last_part, stamp
from limner.data.entries.image_tables import ImageTable, read_cell
from limner.data.entries.references import is_url

URLS = ("url", "image_url")


@dataclass(frozen=True, slots=True)
class CellBytes:
    """A cell with an image in a Parquet or Arrow file.

    group: index of the row group or record batch. row: index in it. file_name: the name that the cell gives the image.
    """

    table: Path
    group: int
    row: int
    column: str
    file_name: str = ""

    @property
    def name(self) -> str:
        return last_part(self.file_name) or f"row {self.row} of group {self.group} of {escaped_name(self.table.name)}"

    @property
    def stamp(self) -> str:
        return f"{stamp(self.table)}-{self.group}-{self.row}-{self.column}"

    def read(self) -> bytes:
        check_file(self.table)
        data = read_cell(self.table, stamp(self.table), self.group, self.row, self.column, self.name)
        if len(data) > BYTE_CAP:
            raise too_large(self.name)
        return data


def table_entries(path: Path, prefix: str, first: int = 0) -> Iterator[Entry | Skipped]:
    """The rows of a Parquet or Arrow file, group by group. prefix: of keys. first: the number of its first row."""
    try:
        table = ImageTable(path)
    except LimnerError as error:
        yield Skipped(escaped_name(path.name), Fault("unreadable", str(error)))
        return
    if table.image is None and not any(name.lower() in URLS for name in table.others):
        columns = ", ".join(table.columns[:12])
        raise LimnerError(f"{quoted(path)} has no column of images (it has: {columns})", "name one of them image")
    row = first
    for group in range(table.groups):
        try:
            for inside, (file_name, masked, values) in enumerate(table.rows(group)):
                values = normalized_columns(values)
                yield from _entry(table, (group, inside), file_name, masked, values, f"{prefix}{row:09d}")
                row += 1
        except LimnerError as error:
            yield Skipped(f"{prefix}{row:09d}", Fault("unreadable", str(error)))
            return


def _entry(
    table: ImageTable, at: tuple[int, int], file_name: str, masked: bool, row: Mapping[str, object], key: str
) -> Iterator[Entry | Skipped]:
    annotation = parse_annotation(row)
    place: ByteSource | None = None
    if table.image is not None:
        place = CellBytes(table.path, *at, table.image, file_name)
    elif url := next((url for name in URLS if isinstance(url := row.get(name), str) and is_url(url)), None):
        place = UrlBytes(url)
    if place is None:
        yield Skipped(key, Fault("unreadable", f"row {at[1]} of group {at[0]} of {quoted(table.path)} has no URL"))
        return
    mask = CellBytes(table.path, *at, table.mask) if table.mask and masked else None
    yield Entry(
        key,
        place,
        "",
        annotation.caption,
        annotation.fields,
        annotation.rights,
        mask,
        faults=annotation.faults,
    )
