"""The file of all captions, for people to look through and to mend in a spreadsheet or an editor: captions.csv."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import IO, Literal, NamedTuple

from limner.core.errors import LimnerError
from limner.core.files import quoted, read_file, short_line
from limner.core.text import clean_line
from limner.store.files import atomic_file

Origin = Literal["template", "written", "captioner", "edited", "none"]
COLUMNS = ("picture", "caption", "from")
SEPARATORS = (",", ";", "\t")

_FORMULA = re.compile(r"(^|[;,\t])(\s*)('*[=+\-@])")
"""Where a spreadsheet may take what follows for a formula: at the beginning of a cell, and behind what it may take for
the end of one, as those of other countries do with semicolons.
"""
_DISARMED = re.compile(r"(^|[;,\t])(\s*)'('*[=+\-@])")
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Halves of characters that stand for no byte of a file's name."""


class Row(NamedTuple):
    """picture: the entry's key. origin: where its caption is from."""

    picture: str
    caption: str
    origin: Origin


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write the captions row by row: UTF-8 with the mark by which spreadsheets know it, every cell in quotes.

    A cell that a spreadsheet would calculate gets an apostrophe before its = + - or @, which `read` takes away.
    """
    with (
        atomic_file(path) as temporary,
        temporary.open("w", encoding="utf-8-sig", newline="", errors="surrogateescape") as file,
    ):
        table = csv.writer(file, quoting=csv.QUOTE_ALL)
        table.writerow(COLUMNS)
        table.writerows(map(disarmed, row) for row in rows)


def read(path: Path) -> dict[str, str]:
    """The captions of a file that may have been edited, by their pictures; what has no caption there is left out.

    Separated by commas, semicolons or tabs, in UTF-8 or UTF-16, in any order of columns and rows; columns besides
    picture and caption do not matter. It is held in memory: some 300 bytes a picture with a caption of 60 characters.
    Raises LimnerError with the line for a file that is no such table.
    """
    if not path.is_file():
        read_file(path)  # tells what it is
    captions: dict[str, str] = {}
    try:
        with path.open(encoding=_encoding(path), newline="", errors="surrogateescape") as file:
            for line, picture, caption in _rows(file, path):
                if captions.setdefault(picture, caption) != caption:
                    raise _wrong(path, line, f"captions {short_line(picture)!r} a second time, in other words")
    except (OSError, UnicodeError, csv.Error) as error:
        raise LimnerError(
            f"{quoted(path)} cannot be read ({short_line(str(error))})", "save it as CSV in UTF-8, cells in quotes"
        ) from error
    return captions


def strangers(captions: Mapping[str, str], pictures: Iterable[str]) -> list[str]:
    """Pictures of a file of captions that are not among all pictures, sorted."""
    left = set(captions)
    for picture in pictures:
        left.discard(named(picture))
    return sorted(left)


def named(picture: str) -> str:
    """An entry's key as the file has it: the same, but for halves of characters that no file can hold."""
    return _NO_BYTE.sub("\ufffd", picture)


def disarmed(cell: str) -> str:
    """A cell that no spreadsheet calculates."""
    return _FORMULA.sub(r"\1\2'\3", named(cell))


def armed(cell: str) -> str:
    """What was disarmed."""
    return _DISARMED.sub(r"\1\2\3", cell)


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _rows(file: IO[str], path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, picture and caption of each row that has both."""
    heading = file.readline(1000)
    before = 0
    if heading.lower().startswith("sep="):  # Excel's own mark
        heading, before = file.readline(1000), 1
    separator, columns = _columns(heading, path)
    table = csv.reader(chain([heading], file), delimiter=separator, strict=True)
    next(table)
    for cells in table:
        line = before + table.line_num
        if any(cells[len(columns) :]):
            raise _wrong(path, line, f"has {len(cells)} cells where the first line has {len(columns)}")
        row = dict(zip(columns, cells, strict=False))
        picture, caption = armed(row.get("picture", "")), clean_line(armed(row.get("caption", "")))
        if "\ufffd" in caption or any("\udc80" <= char <= "\udcff" for char in row.get("caption", "")):
            raise _wrong(path, line, "holds characters that are not UTF-8")
        if caption and not picture:
            raise _wrong(path, line, "has a caption and names no picture")
        if caption:
            yield line, picture, caption


def _columns(heading: str, path: Path) -> tuple[str, list[str]]:
    """The separator of a table, and the names of its columns."""
    for separator in SEPARATORS:
        names = [name.strip().lower() for name in next(csv.reader([heading], delimiter=separator), [])]
        if names.count("picture") == names.count("caption") == 1:
            return separator, names
    raise LimnerError(
        f"the first line of {quoted(path)} does not name the columns picture and caption ({short_line(heading, 60)!r})",
        f"begin it with {','.join(COLUMNS)}",
    )


def _wrong(path: Path, line: int, problem: str) -> LimnerError:
    return LimnerError(
        f"line {line} of {quoted(path)} {problem}", "mend that line; text with commas or semicolons stands in quotes"
    )
