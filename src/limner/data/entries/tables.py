"""Tables that hold text: CSV, TSV and JSON lines, read row by row whatever is in them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, cast

from limner.core.errors import LimnerError
from limner.core.files import quoted, short_line
from limner.data.entries.notes import columns

LINE_CAP = 2**20
"""The longest line that is read, in bytes."""

TABLES = (".csv", ".tsv", ".jsonl")
"""File name endings of tables, in lower case."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Row:
    """line: of the file, from 1, in which the row ends. values: by the names of the columns, in lower case."""

    line: int
    values: Mapping[str, object]


def rows(file: BinaryIO | BytesIO, name: str) -> Iterator[Row | LimnerError]:
    """All rows of a table, and an error in the place of those that cannot be read. name: of the file, its ending tells
    the format. Bytes that are no UTF-8 are kept as surrogates: `notes.words` tells which cell they are in.
    """
    return _json_rows(file, name) if name.lower().endswith(".jsonl") else _cells(file, name)


def lines(file: BinaryIO | BytesIO) -> Iterator[tuple[int, str | None]]:
    """Number, from 1, and text of each line; None for one of more than LINE_CAP bytes, which is passed over."""
    number = 0
    while piece := file.readline(LINE_CAP + 1):
        number += 1
        if len(piece) > LINE_CAP:
            while piece and not piece.endswith(b"\n"):
                piece = file.readline(LINE_CAP)
            yield number, None
        else:
            yield number, (piece.removeprefix(_BOM) if number == 1 else piece).decode("utf-8", "surrogateescape")


def _json_rows(file: BinaryIO | BytesIO, name: str) -> Iterator[Row | LimnerError]:
    for number, line in lines(file):
        if line is not None and not line.strip():
            continue
        try:
            found = None if line is None else json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            yield Row(number, columns(cast("dict[str, object]", found)))
        else:
            yield LimnerError(f"line {number} of {quoted(name)} is no JSON object", "write one row to a line")


def _cells(file: BinaryIO | BytesIO, name: str) -> Iterator[Row | LimnerError]:
    """Rows of a table of separated cells, the first of them naming the columns."""
    overlong: list[int] = []

    def texts() -> Iterator[str]:
        for number, line in lines(file):
            if line is None:
                overlong.append(number)
            yield line or "\n"

    source = texts()
    first = next(source, "")
    names, read = None, csv.reader(_after(first, source), delimiter=_delimiter(first, name), strict=True)
    while True:
        try:
            row = next(read, None)
        except csv.Error as error:
            yield LimnerError(
                f"line {read.line_num} of {quoted(name)} is no row ({short_line(str(error))})", "put quotes in pairs"
            )
            continue
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
                "put text with commas into quotes",
            )
        else:
            yield Row(read.line_num, columns(dict(zip(names, row, strict=False))))


def _after(first: str, rest: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest


def _delimiter(header: str, name: str) -> str:
    """What stands between cells: a tab in TSV, and in CSV what the header has most of, for Excel writes ; in places."""
    return "\t" if name.lower().endswith(".tsv") else max(",;\t", key=header.count)
