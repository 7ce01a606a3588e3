"""Text tables: CSV, TSV and JSON lines, read row by row, and the user's table of fields."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from limner.core.datasets import Entry
from limner.core.errors import LimnerError
from limner.core.files import open_file, quoted, short_line
from limner.data.entries.annotations import Annotation, normalized_columns, parse_annotation, text_value

LINE_CAP = 2**20
"""The longest line that is read, in bytes."""

TABLES = (".csv", ".tsv", ".jsonl")
"""File name suffixes of text tables, in lower case."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row. line: the line of the file, from 1, in which it ends. values: by column name in lower case."""

    line: int
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class FieldTable:
    """The user's fields by the name of an image or folder. used: the names that matched an entry."""

    annotations: dict[str, Annotation]
    used: set[str] = field(default_factory=set[str])

    @property
    def unused(self) -> list[str]:
        """The names that matched no entry so far, in the order of the table."""
        return [name for name in self.annotations if name not in self.used]


def read_rows(file: BinaryIO | BytesIO, name: str) -> Iterator[TableRow | LimnerError]:
    """All rows of a table, and an error in place of each row that cannot be read.

    name: of the file; its suffix determines the format. Bytes that are not UTF-8 become surrogates, which `text_value`
    rejects for the cell that contains them.
    """
    return _json_rows(file, name) if name.lower().endswith(".jsonl") else _separated_rows(file, name)


def read_lines(file: BinaryIO | BytesIO) -> Iterator[tuple[int, str | None]]:
    """Number, from 1, and text of each line; None for a line of more than LINE_CAP bytes, which is skipped."""
    number = 0
    while piece := file.readline(LINE_CAP + 1):
        number += 1
        if len(piece) > LINE_CAP:
            while piece and not piece.endswith(b"\n"):
                piece = file.readline(LINE_CAP)
            yield number, None
        else:
            yield number, (piece.removeprefix(_BOM) if number == 1 else piece).decode("utf-8", "surrogateescape")


def no_text(where: str) -> LimnerError:
    """The error for NUL bytes, which a disk that was full or a copy that broke off leaves, and UTF-16 has."""
    return LimnerError(f"{where} holds NUL bytes, so it is no text in UTF-8", "save it as UTF-8, or copy it again")


def read_field_table(path: Path) -> FieldTable:
    """The table in a CSV, TSV or JSONL file, whose first column names images or folders.

    Raises LimnerError for any row that cannot be used.
    """
    if path.suffix.lower() not in TABLES:
        raise LimnerError(f"{quoted(path)} is not a table", f"give a file with the suffix {' or '.join(TABLES)}")
    annotations: dict[str, Annotation] = {}
    with open_file(path) as file:
        for row in read_rows(file, path.name):
            if isinstance(row, LimnerError):
                raise row
            name, annotation = _parse_field_row(path, row)
            if name in annotations:
                raise LimnerError(f"line {row.line} of {quoted(path)} names {name[:80]!r} again", "remove one of them")
            annotations[name] = annotation
    if not annotations:
        raise LimnerError(f"{quoted(path)} has no rows", "write a header, and a row for each image or folder")
    return FieldTable(annotations)


def apply_field_table(table: FieldTable, entry: Entry) -> Entry:
    """An entry with the fields of the table, which override its own.

    A row for its key counts before those for its file name, its stem, and its folders, the innermost first.
    """
    known = Annotation()
    for name in _names(entry):
        if found := table.annotations.get(name):
            table.used.add(name)
            known = known.over(found)
    return known.apply_to(entry)


def _json_rows(file: BinaryIO | BytesIO, name: str) -> Iterator[TableRow | LimnerError]:
    for number, line in read_lines(file):
        if line is not None and not line.strip():
            continue
        try:
            found = None if line is None else json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            yield TableRow(number, normalized_columns(cast("dict[str, object]", found)))
        else:
            yield LimnerError(f"line {number} of {quoted(name)} is not a JSON object", "write one row per line")


def _separated_rows(file: BinaryIO | BytesIO, name: str) -> Iterator[TableRow | LimnerError]:
    """Rows of a CSV or TSV table, whose first row names the columns."""
    overlong: list[int] = []
    zeroed = False

    def texts() -> Iterator[str]:
        nonlocal zeroed
        for number, line in read_lines(file):
            if line is None:
                overlong.append(number)
            zeroed = zeroed or "\0" in (line or "")
            yield line or "\n"

    source = texts()
    first = next(source, "")
    names, read = None, csv.reader(_after(first, source), delimiter=_delimiter(first, name), strict=True)
    while True:
        try:
            row = next(read, None)
        except csv.Error as error:
            where = f"line {read.line_num} of {quoted(name)}"
            problem = f"{where} is not a valid row ({short_line(str(error))})"
            yield no_text(where) if zeroed else LimnerError(problem, "close all quotes")
            zeroed = False
            continue
        zeroed = False
        while overlong:
            yield LimnerError(
                f"line {overlong.pop()} of {quoted(name)} is too long", f"keep it under {LINE_CAP:,} bytes"
            )
        if row is None:
            return
        if not any(row):
            continue
        if names is None:
            names = row
        elif len(row) > len(names):
            yield LimnerError(
                f"line {read.line_num} of {quoted(name)} has {len(row)} cells for {len(names)} columns",
                "quote text with commas",
            )
        else:
            yield TableRow(read.line_num, normalized_columns(dict(zip(names, row, strict=False))))


def _after(first: str, rest: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest


def _delimiter(header: str, name: str) -> str:
    """The delimiter: a tab in TSV; in CSV the most frequent one in the header, because Excel may write semicolons."""
    return "\t" if name.lower().endswith(".tsv") else max(",;\t", key=header.count)


def _parse_field_row(path: Path, row: TableRow) -> tuple[str, Annotation]:
    """The name in the first column of a row, and the annotation in the others."""
    first = next(iter(row.values), "")
    try:
        name = text_value(row.values.get(first), "the name")
        if name is None:
            raise LimnerError("it names no image or folder", "name one in the first column")
        found = parse_annotation(row.values, (first,))
        if found.faults:
            raise LimnerError(found.faults[0].message)
    except LimnerError as error:
        raise LimnerError(f"line {row.line} of {quoted(path)}: {error.problem}", error.remedy) from error
    return name.rstrip("/"), found


def _names(entry: Entry) -> Iterator[str]:
    """All names by which a table may refer to an entry, the most specific first."""
    name, folder = entry.data.name, PurePosixPath(entry.folder)
    folders = [part for at in (folder, *folder.parents) if at.name for part in (at.as_posix(), at.name)]
    without = entry.key.removesuffix(PurePosixPath(entry.key).suffix)
    yield from dict.fromkeys((entry.key, without, name, PurePosixPath(name).stem, *folders))
