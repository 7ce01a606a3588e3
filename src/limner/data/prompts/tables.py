"""Rows of tables, one after the other: CSV, TSV, JSON lines, parquet, Arrow, and DiffusionDB's JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.files import open_file, quoted, read_file
from limner.data.entries.image_tables import ImageTable
from limner.data.entries.text_tables import LINE_CAP, TABLES, no_text, read_lines, read_rows
from limner.data.prompts.records import check_columns, used_columns

PART = "part-"
"""Beginning of the names of DiffusionDB's folders, and of the JSON file with the settings of the images in each."""
PART_COLUMN = "part_id"
"""DiffusionDB's column with the number of the folder of an image."""
COLUMNAR = (".parquet", ".arrow")
Row = tuple[str, Mapping[str, Any] | LimnerError]
"""Where a row is, for messages, and its values by column, or why it cannot be read."""


def is_table(name: str) -> bool:
    """Whether a file is a table, by its name."""
    suffix = Path(name).suffix.lower()
    return suffix in (*TABLES, *COLUMNAR) or is_part(name)


def is_part(name: str) -> bool:
    """Whether a file has DiffusionDB's settings of the images beside it, by its name."""
    return name.startswith(PART) and name.lower().endswith(".json")


def table_rows(path: Path, columns: Mapping[str, str], after: int = 0) -> Iterator[Row]:
    """The rows of a table, without as many of the first ones. columns: names of columns by field.

    Raises LimnerError, also after some rows, where nothing more can be read.
    """
    suffix = path.suffix.lower()
    if suffix in COLUMNAR:
        yield from _columnar(path, columns, after)
    elif suffix == ".json":
        yield from islice(_part(path), after, None)
    elif suffix == ".jsonl":
        yield from islice(_json_lines(path), after, None)
    else:
        yield from islice(_separated(path, columns), after, None)


def _json_lines(path: Path) -> Iterator[Row]:
    empty = True
    with open_file(path) as file:
        for number, line in read_lines(file):
            if line is not None and not line.strip():
                continue
            empty = False
            where = f"line {number} of {path.name}"
            if line is None:
                yield where, LimnerError("it is too long", f"keep it under {LINE_CAP:,} bytes")
                continue
            if "\0" in line:
                yield where, no_text("it")
                continue
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                found = None
            yield where, found if isinstance(found, dict) else LimnerError("it is no JSON object", "write one per line")
    if empty:
        raise _empty(path)


def _separated(path: Path, columns: Mapping[str, str]) -> Iterator[Row]:
    with open_file(path) as file:
        names = _header(path)
        check_columns(names, columns, quoted(path))
        for row in read_rows(file, path.name):
            yield (path.name, row) if isinstance(row, LimnerError) else (f"line {row.line} of {path.name}", row.values)


def _header(path: Path) -> list[str]:
    """The names in the first line of a table that has text, as `read_rows` takes them."""
    with open_file(path) as file:
        line = next((line for _, line in read_lines(file) if line is None or line.strip()), "")
        file.seek(0)
        if b"\0" in file.read(LINE_CAP).lstrip().partition(b"\n")[0]:
            raise no_text(quoted(path))
        if line is None or max(map(len, line.split('"'))) > csv.field_size_limit():
            raise LimnerError(f"the first line of {quoted(path)} is too long", "name the columns in it")
        file.seek(0)
        first = next((line or "" for _, line in read_lines(file)), "")
    if not line:
        raise _empty(path)
    # As in `read_rows`: the delimiter is that of the first line, even if it is empty.
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise LimnerError(f"the first line of {quoted(path)} has an unclosed quote", "close it") from error


def _columnar(path: Path, columns: Mapping[str, str], after: int) -> Iterator[Row]:
    table = ImageTable(path)
    check_columns(table.columns, columns, quoted(path))
    wanted = {*used_columns(table.others, columns), PART_COLUMN}
    table.others = [name for name in table.others if name in wanted]
    number = 0
    for group in range(table.groups):
        for file_name, _, values in table.rows(group):
            number += 1
            if number > after:
                where = f"row {number} of {path.name}"
                yield where, {**values, "image": file_name} if file_name and "image" not in values else values
    if not number:
        raise _empty(path)


def _part(path: Path) -> Iterator[Row]:
    """DiffusionDB's JSON: settings by the name of an image beside it."""
    try:
        found = json.loads(read_file(path))
    except (ValueError, RecursionError) as error:
        raise LimnerError(f"{quoted(path)} is no JSON", "download it again") from error
    if not isinstance(found, dict):
        raise LimnerError(f"{quoted(path)} has no settings by name of image", "download it again")
    for image, settings in found.items():
        where = f"{image[:80]!r} of {path.name}"
        if isinstance(settings, dict):
            yield where, {**settings, "image": str(image).replace("\\", "/").rsplit("/", 1)[-1]}
        else:
            yield where, LimnerError("it has no settings", "download the part again")


def _empty(path: Path) -> LimnerError:
    return LimnerError(f"{quoted(path)} is empty", "download or save it again")
