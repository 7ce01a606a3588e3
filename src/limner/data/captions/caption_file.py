"""The file of all captions, captions.csv, which people edit in a spreadsheet or text editor."""

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

CaptionOrigin = Literal["template", "written", "captioner", "edited", "none"]
COLUMNS = ("picture", "caption", "from")
SEPARATORS = (",", ";", "\t")

_FORMULA = re.compile(r"(^|[;,\t])(\s*)('*[=+\-@])")
"""Where a spreadsheet may see a formula: at the start of a cell, and after characters that end a cell in some
countries, such as semicolons."""
_ESCAPED = re.compile(r"(^|[;,\t])(\s*)'('*[=+\-@])")
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Surrogates that do not stand for a byte of a file name."""


class CaptionRow(NamedTuple):
    """picture: the key of the entry. origin: where its caption comes from."""

    picture: str
    caption: str
    origin: CaptionOrigin


def write_captions(path: Path, rows: Iterable[CaptionRow]) -> None:
    """Write captions as CSV: UTF-8 with byte order mark, which spreadsheets need, and every cell quoted.

    A cell that a spreadsheet would calculate gets an apostrophe before its = + - or @; `read_captions` removes it.
    """
    with (
        atomic_file(path) as temporary,
        temporary.open("w", encoding="utf-8-sig", newline="", errors="surrogateescape") as file,
    ):
        table = csv.writer(file, quoting=csv.QUOTE_ALL)
        table.writerow(COLUMNS)
        table.writerows(map(escape_formula, row) for row in rows)


def read_captions(path: Path) -> dict[str, str]:
    """Captions by the key of their image, from a file that may have been edited; rows without caption are left out.

    Accepts commas, semicolons or tabs, UTF-8 or UTF-16, any order of columns and rows, and further columns. All of it
    is in memory: about 300 bytes per image for captions of 60 characters. Raises LimnerError with the line of an error.
    """
    if not path.is_file():
        read_file(path)  # raises the error that says why
    captions: dict[str, str] = {}
    try:
        with path.open(encoding=_encoding(path), newline="", errors="surrogateescape") as file:
            for line, picture, caption in _rows(file, path):
                if captions.setdefault(picture, caption) != caption:
                    raise _line_error(path, line, f"gives {short_line(picture)!r} a second, different caption")
    except (OSError, UnicodeError, csv.Error) as error:
        raise LimnerError(
            f"{quoted(path)} cannot be read ({short_line(str(error))})", "save it as CSV in UTF-8 with quoted cells"
        ) from error
    return captions


def unknown_images(captions: Mapping[str, str], keys: Iterable[str]) -> list[str]:
    """Images of a caption file that are not among the keys, sorted."""
    left = set(captions)
    for key in keys:
        left.discard(caption_key(key))
    return sorted(left)


def caption_key(key: str) -> str:
    """The key of an entry as the file stores it: surrogates that no file can store become U+FFFD."""
    return _NO_BYTE.sub("\ufffd", key)


def escape_formula(cell: str) -> str:
    """A cell that no spreadsheet calculates."""
    return _FORMULA.sub(r"\1\2'\3", caption_key(cell))


def unescape_formula(cell: str) -> str:
    """Undo `escape_formula`."""
    return _ESCAPED.sub(r"\1\2\3", cell)


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _rows(file: IO[str], path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, key and caption of each row that has both."""
    heading = file.readline(1000)
    before = 0
    if heading.lower().startswith("sep="):  # Excel's own header
        heading, before = file.readline(1000), 1
    separator, columns = _columns(heading, path)
    table = csv.reader(chain([heading], file), delimiter=separator, strict=True)
    next(table)
    for cells in table:
        line = before + table.line_num
        if any(cells[len(columns) :]):
            raise _line_error(path, line, f"has {len(cells)} cells, but the first line has {len(columns)}")
        row = dict(zip(columns, cells, strict=False))
        picture, caption = (
            unescape_formula(row.get("picture", "")),
            clean_line(unescape_formula(row.get("caption", ""))),
        )
        if "\ufffd" in caption or any("\udc80" <= char <= "\udcff" for char in row.get("caption", "")):
            raise _line_error(path, line, "has characters that are not UTF-8")
        if caption and not picture:
            raise _line_error(path, line, "has a caption and names no picture")
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


def _line_error(path: Path, line: int, problem: str) -> LimnerError:
    return LimnerError(f"line {line} of {quoted(path)} {problem}", "correct it; quote text with commas or semicolons")
