"""Sources of libraries: tables, folders of images with their settings, DiffusionDB, and datasets of the hub.

Rows are read one after the other, and reading can go on after any of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.files import open_file, quoted, read_file
from limner.core.prompt_records import PromptRecord
from limner.data.entries.image_tables import ImageTable
from limner.data.entries.references import HUB_ID, local_path
from limner.data.entries.text_tables import TABLES, read_rows
from limner.data.prompts.embedded import settings_in
from limner.data.prompts.records import record_of
from limner.imaging.embedded_texts import embedded_texts
from limner.imaging.formats import SUFFIXES

PART = "part-"
"""DiffusionDB's folders: a JSON file with the settings of each image beside it."""
MAX_FILES = 2_000_000


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row of a source. place: where reading goes on after it. where: for messages. problem: why it has no record."""

    place: str
    where: str
    record: PromptRecord | None
    problem: str = ""


def rows_in(source: str, columns: Mapping[str, str] | None = None, after: str = "") -> Iterator[SourceRow]:
    """The rows of a source after a place. columns: names of columns by field of a `PromptRecord`.

    Raises LimnerError for a source that cannot be read at all.
    """
    path = local_path(source)
    file, row = _parsed(after)
    if path.is_dir():
        root, files = path, _files(path)
    elif path.exists():
        root, files = path.parent, [path]
    elif HUB_ID.fullmatch(source):
        yield from _hub(source, columns or {}, row)
        return
    else:
        raise LimnerError(f"{source[:200]!r} does not exist", "give a file, a folder, or OWNER/NAME of a dataset")
    for each in files:
        name = each.relative_to(root).as_posix()
        if name < file:
            continue
        yield from _of_file(each, name, columns or {}, row if name == file else 0)


def _parsed(place: str) -> tuple[str, int]:
    row, _, file = place.partition(" ")
    return file, int(row or 0)


def _files(folder: Path) -> list[Path]:
    """The files of a folder that can be read, in the order of their names."""
    kept = (".parquet", ".json", *TABLES, *SUFFIXES)
    found = []
    for path in folder.rglob("*"):
        if path.suffix.lower() in kept and not path.name.startswith(".") and path.is_file() and not path.is_symlink():
            found.append(path)
        if len(found) > MAX_FILES:
            raise LimnerError(f"{quoted(folder)} has more than {MAX_FILES:,} files", "add its parts one by one")
    if not found:
        raise LimnerError(f"{quoted(folder)} has neither tables nor images", "choose another folder")
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _of_file(path: Path, name: str, columns: Mapping[str, str], after: int) -> Iterator[SourceRow]:
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        if after < 1 and not _has_part_file(path):
            yield _image(path, name)
        return
    rows = _parquet(path) if suffix == ".parquet" else _parts(path) if suffix == ".json" else _text_table(path)
    try:
        for number, row in enumerate(rows, 1):
            if number > after:
                yield _row(row, number, name, columns)
    except LimnerError as error:
        yield SourceRow(f"{2**62} {name}", name, None, str(error))


def _row(row: Any, number: int, name: str, columns: Mapping[str, str]) -> SourceRow:
    place, where = f"{number} {name}", f"row {number} of {name}"
    if isinstance(row, LimnerError):
        return SourceRow(place, where, None, str(row))
    try:
        return SourceRow(place, where, record_of(row, columns))
    except LimnerError as error:
        return SourceRow(place, where, None, str(error))


def _text_table(path: Path) -> Iterator[Any]:
    with open_file(path) as file:
        for row in read_rows(file, path.name):
            yield row if isinstance(row, LimnerError) else row.values


def _parquet(path: Path) -> Iterator[Any]:
    table = ImageTable(path)
    for group in range(table.groups):
        for file_name, _, values in table.rows(group):
            yield {"image": file_name, **values} if file_name else values


def _parts(path: Path) -> Iterator[Any]:
    """DiffusionDB's JSON: settings by the name of an image beside it. Other JSON files have no rows."""
    if not path.name.startswith(PART):
        return
    try:
        found = json.loads(read_file(path))
    except (ValueError, RecursionError) as error:
        raise LimnerError(f"{quoted(path)} is no JSON", "download it again") from error
    if not isinstance(found, dict):
        raise LimnerError(f"{quoted(path)} has no settings by name of image", "download it again")
    for image, settings in found.items():
        known = settings if isinstance(settings, dict) else {}
        yield {**known, "image": str(path.parent / str(image).replace("\\", "/").rsplit("/", 1)[-1])}


def _has_part_file(image: Path) -> bool:
    """Whether the settings of an image are in DiffusionDB's JSON file beside it."""
    folder = image.parent
    return folder.name.startswith(PART) and (folder / f"{folder.name}.json").is_file()


def _image(path: Path, name: str) -> SourceRow:
    place = f"1 {name}"
    try:
        settings = settings_in(embedded_texts(read_file(path)))
    except Exception as error:  # a hostile file makes the decoder raise nearly anything
        return SourceRow(place, name, None, f"{quoted(path)} cannot be read: {str(error)[:100]}")
    if not settings:
        return SourceRow(place, name, None, f"{quoted(path)} carries no prompt")
    try:
        return SourceRow(place, name, replace(record_of(settings), image=str(path)))
    except LimnerError as error:
        return SourceRow(place, name, None, str(error))


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
        kept = [name for name, kind in (rows.features or {}).items() if type(kind).__name__ not in ("Image", "Audio")]
        rows = rows.select_columns(kept) if kept else rows
        for number, row in enumerate(rows.skip(after), after + 1):
            yield _row(row, number, source, columns)
    except LimnerError:
        raise
    except Exception as error:  # datasets raises whatever its formats and the network do
        raise LimnerError(f"{source!r} cannot be read: {str(error)[:200]}", "check its name, or download it") from error
