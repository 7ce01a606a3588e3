"""Rows of sources of libraries: tables, images with their settings, DiffusionDB, and datasets of the hub.

Rows are read one after the other, and reading can go on after any of them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from limner.core.disk import is_disk_error
from limner.core.errors import LimnerError
from limner.core.files import quoted, read_file, short_line
from limner.core.prompt_records import PromptRecord
from limner.data.entries.references import HUB_ID, is_url, local_path
from limner.data.prompts.embedded import settings_in
from limner.data.prompts.records import check_columns, record_of
from limner.data.prompts.source_files import FileKind, SourceFile
from limner.data.prompts.tables import PART, PART_COLUMN, table_rows
from limner.imaging.embedded_texts import FORMATS, embedded_texts
from limner.imaging.formats import ENDINGS, SUFFIXES


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row of a source. where: for messages. problem: why it has no record. ends: its file cannot be read further."""

    where: str
    record: PromptRecord | None
    problem: str = ""
    ends: bool = False


def rows_of(file: SourceFile, source: str, columns: Mapping[str, str], after: int = 0) -> Iterator[SourceRow]:
    """The rows of a file of a source, without as many of the first ones. columns: names of columns by field.

    A file that cannot be read to its end has a last row with the problem. Raises LimnerError for errors of the disk
    and of the network, after which reading may go on later.
    """
    if file.kind is FileKind.IMAGE:
        if not after:
            yield _image(file)
        return
    if file.kind is FileKind.HUB:
        yield from _hub(source, columns, after)
        return
    paths, folder = ImagePaths(_root(source)), str(file.path.parent)
    try:
        for where, row in table_rows(file.path, columns, after):
            yield _row(where.replace(file.path.name, file.name, 1), row, columns, paths, folder)
    except LimnerError as error:
        if error.__cause__ is not None and is_disk_error(error.__cause__):
            raise
        yield SourceRow(file.name, None, str(error), ends=True)


class ImagePaths:
    """Finds the images that tables name, in the folder of the source only: a table may be made by anybody.

    A link that leads out of it is not followed.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self._is_inside = lru_cache(4096)(self._check)

    def find(self, folder: str, name: str, part: object = None) -> str:
        """The absolute path of an image, a URL as it is, and the bare name of an image that is not there.

        folder: of the table. part: DiffusionDB's number of the folder of the image.
        """
        if not name or is_url(name):
            return name
        name = name.replace("\\", "/")
        places = [folder]
        if isinstance(part, int) and "/" not in name:
            places += [f"{folder}/{between}{PART}{part:06d}" for between in ("", "images/")]
        if os.path.splitext(name)[1].lower() in SUFFIXES:
            for place in places:
                path = os.path.normpath(os.path.join(place, name))
                if self._is_inside(os.path.dirname(path)) and _is_regular(path):
                    return path
        return name.rstrip("/").rsplit("/", 1)[-1]

    def _check(self, folder: str) -> bool:
        real = os.path.realpath(folder)
        return os.path.isdir(real) and (real == self._root or real.startswith(self._root.rstrip(os.sep) + os.sep))


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def _root(source: str) -> Path:
    path = local_path(source).absolute()
    return path if path.is_dir() else path.parent


def _row(where: str, row: Any, columns: Mapping[str, str], paths: ImagePaths | None, folder: str = "") -> SourceRow:
    if isinstance(row, LimnerError):
        return SourceRow(where, None, str(row))
    try:
        record = record_of(row, columns)
    except LimnerError as error:
        return SourceRow(where, None, str(error))
    if not record.image:
        return SourceRow(where, record)
    image = paths.find(folder, record.image, row.get(PART_COLUMN)) if paths else _of_hub(record.image)
    return SourceRow(where, record if image == record.image else replace(record, image=image))


def _of_hub(image: str) -> str:
    """A URL; of a file in a dataset, which is not on this machine, the name."""
    return image if is_url(image) else image.replace("\\", "/").rsplit("/", 1)[-1]


def _image(file: SourceFile) -> SourceRow:
    path = file.path
    try:
        if ENDINGS[path.suffix.lower()].upper() not in FORMATS:
            raise LimnerError(f"{quoted(path)} carries no prompt that can be read", "give PNG, JPEG or WebP images")
        settings = settings_in(embedded_texts(read_file(path)))
        if not settings:
            raise LimnerError(f"{quoted(path)} carries no prompt", "choose the image that the generator saved")
        return SourceRow(file.name, replace(record_of(settings), image=str(path)))
    except LimnerError as error:
        return SourceRow(file.name, None, str(error))
    except Exception as error:  # a hostile file makes the decoder raise nearly anything
        reason = type(error).__name__ if "object at 0x" in str(error) else short_line(str(error), 100)
        return SourceRow(file.name, None, f"{quoted(path)} is damaged, or no image ({reason}); copy it again")


def _hub(source: str, columns: Mapping[str, str], after: int) -> Iterator[SourceRow]:
    found = HUB_ID.fullmatch(source)
    assert found is not None
    try:
        import datasets
    except ImportError as error:
        raise LimnerError(
            f"{source!r} needs the package datasets, which is missing", "pip install 'limner[prepare]'"
        ) from error
    try:
        split = found["split"] or "train"
        rows: Any = datasets.load_dataset(found["name"], found["config"], split=split, streaming=True)
        features = rows.features or {}
        kept = [name for name, kind in features.items() if type(kind).__name__ not in ("Image", "Audio", "Video")]
        if features:
            check_columns(kept, columns, repr(source))
        rows = rows.select_columns(kept) if kept else rows
        for number, row in enumerate(rows.skip(after) if after else rows, after + 1):
            yield _row(f"row {number} of {source}", row, columns, None)
    except LimnerError:
        raise
    except Exception as error:  # datasets raises whatever its formats and the network do
        raise LimnerError(
            f"{source!r} cannot be read ({short_line(str(error), 200)})",
            "check its name and the network, or download it and add its files",
        ) from error
