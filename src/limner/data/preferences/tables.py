"""Rows of files of feedback: JSON lines, and parquet with images in its cells.

Rows are read one after the other, and what one of them takes is bounded before it is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.files import open_file, quoted, short_line
from limner.data.entries.byte_sources import stamp
from limner.data.entries.image_tables import ImageTable, read_cell
from limner.data.entries.text_tables import LINE_CAP, read_lines
from limner.data.entries.unpacked_sizes import largest_page_sizes

SCALARS = (
    *("prompt", "caption", "negative_prompt", "stars", "label_0", "label_1", "has_label", "are_different"),
    *("best_image_uid", "user_id", "created_at", "model", "model_0", "model_1", "image_url", "image_0_url"),
    *("image_1_url", "image_uid", "image_0_uid", "image_1_uid"),
)
"""Columns of our own exports and of Pick-a-Pic that are read."""
LISTS = ("reasons", "adapters", "adapters_0", "adapters_1")
IMAGES = ("image", "jpg_0", "jpg_1")
ITEMS = 64
"""The most items of lists per row, on average of a row group."""
LIST_PAGE = 2**20
"""The largest page of a column of lists, in bytes."""
_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class FeedbackRow:
    """A row of a file of feedback. images: by the names of their columns, what reads their bytes."""

    values: Mapping[str, Any]
    images: Mapping[str, Callable[[], bytes]]


def feedback_rows(path: Path) -> Iterator[FeedbackRow | str]:
    """The rows of a JSONL or parquet file, and for a row that cannot be read, the reason.

    Raises LimnerError for other files, also after some rows of a file that is damaged.
    """
    suffix = path.suffix.lower()
    if suffix not in (".jsonl", ".parquet"):
        raise LimnerError(f"{quoted(path)} is no file of feedback", "give a .jsonl or .parquet file")
    return _json_rows(path) if suffix == ".jsonl" else _parquet_rows(path)


def _json_rows(path: Path) -> Iterator[FeedbackRow | str]:
    with open_file(path) as file:
        for _, line in read_lines(file):
            if line is None:
                yield f"the line is longer than {LINE_CAP:,} bytes"
            elif "\0" in line:
                yield "the line has NUL bytes"
            elif line.strip():
                yield _json_row(line)


def _json_row(line: str) -> FeedbackRow | str:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    return FeedbackRow(found, {}) if isinstance(found, dict) else "the line is no JSON object"


def _parquet_rows(path: Path) -> Iterator[FeedbackRow]:
    table = ImageTable(path)
    scalars, mark = table.others, stamp(path)
    table.others = [name for name in SCALARS if name in scalars]
    images = [name for name in IMAGES if name in table.columns and name not in scalars]
    for group in range(table.groups):
        lists = _lists(path, [name for name in LISTS if name in table.columns and name not in scalars], group)
        for row, (_, _, values) in enumerate(table.rows(group)):
            cells = {name: partial(read_cell, path, mark, group, row, name, f"{name} of row {row}") for name in images}
            yield FeedbackRow({**values, **next(lists, {})}, cells)


def _lists(path: Path, names: Sequence[str], group: int) -> Iterator[dict[str, Any]]:
    """The lists of texts of each row of a row group. A text that is repeated is in memory once."""
    if not names:
        return
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, pre_buffer=False) as found:
            leaves = [found.metadata.schema.column(at).path for at in range(found.metadata.num_columns)]
            most = ITEMS * max(1, found.metadata.row_group(group).num_rows)
            sizes = largest_page_sizes(path, found.metadata, group, names, most)
        if max((unpacked for unpacked, _ in sizes), default=0) > LIST_PAGE:
            raise ValueError("the texts in its lists are too long")
        wanted = [leaf for leaf in leaves if leaf.split(".")[0] in names]
        with parquet.ParquetFile(path, pre_buffer=False, read_dictionary=wanted) as table:
            batches: Any = table.iter_batches(_AT_ONCE, [group], list(names), use_threads=False)
            for batch in batches:
                yield from batch.to_pylist()
    except Exception as error:  # a hostile file makes pyarrow raise nearly anything
        reason = short_line(str(error), 100)
        raise LimnerError(f"{quoted(path)} is damaged, or no file of feedback ({reason})", "export it again") from error
