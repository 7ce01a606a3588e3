"""The tables of a folder, metadata.jsonl and .csv, a row for each image (Hugging Face's imagefolder format)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from limner.core.datasets import Rights
from limner.core.errors import LimnerError
from limner.core.files import read_file, short_line
from limner.data.entries.annotations import CAPTIONS
from limner.data.entries.sidecars import METADATA, NAMES
from limner.data.entries.text_tables import read_rows
from limner.provenance.rights import rights_from_fields

TABLE = METADATA[0]
_NUMBERS = ("weight", "width", "height")
TRAIN, VALIDATION = "train", "validation"


_UNKNOWN = Rights()


@dataclass(frozen=True, slots=True)
class MetadataRow:
    """One image's row. text: its caption. size: (width, height) as the table states it. weight: how often the image is
    shown, relative to the others. override: why it is trained on although its owner refuses.
    """

    text: str | None = None
    size: tuple[int, int] | None = None
    weight: float = 1.0
    mask: Path | None = None
    rights: Rights = _UNKNOWN
    override: str | None = None

    @property
    def refused(self) -> str | None:
        """The mark that forbids training on the image; None where training is allowed."""
        return (
            (self.rights.statement or "so marked") if self.rights.training == "refused" and not self.override else None
        )


NO_ROW = MetadataRow()


def split_of(folder: Path) -> Path:
    """The folder that holds a dataset's training images: its part for training, or the folder itself."""
    part = folder / TRAIN
    return part if not (folder / TABLE).is_file() and (part / TABLE).is_file() else folder


def rows_of(folder: Path) -> dict[Path, MetadataRow]:
    """Image -> its row, in the order of the tables; empty where the folder has none. The first table to name it counts.

    Raises LimnerError for a line that is not an object with a file_name, and for names that lead out of the folder.
    """
    found: dict[Path, MetadataRow] = {}
    for name in METADATA:
        if (table := folder / name).is_file():
            here: dict[Path, MetadataRow] = {}
            for where, values in (_objects if name == TABLE else _cells)(table):
                path, row = _row(values, folder, where)
                if path in here:
                    raise _wrong(where, f"names {short_line(path.name)!r} a second time")
                here[path] = row
            found = {**here, **found}
    return found


def _objects(table: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where each line of JSON is, and its object."""
    try:
        text = read_file(table).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LimnerError(f"{_named(table)} is not UTF-8 text", "save it as UTF-8") from error
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"line {number} of {_named(table)}"
        try:
            values: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _wrong(where, "is not JSON") from error
        if not isinstance(values, dict):
            raise _wrong(where, "is not a JSON object")
        yield where, values


def _cells(table: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where each row of a CSV table is, and its cells by column, with numbers where a number is meant."""
    for row in read_rows(BytesIO(read_file(table)), table.name):
        if isinstance(row, LimnerError):
            raise row
        numbers = {name: number for name in _NUMBERS if (number := _number(row.values.get(name))) is not None}
        yield f"line {row.line} of {_named(table)}", {**row.values, **numbers}


def _number(cell: object) -> float | int | None:
    try:
        number = float(str(cell))
    except ValueError:
        return None
    return int(number) if number.is_integer() else number


def _row(values: Mapping[str, Any], folder: Path, where: str) -> tuple[Path, MetadataRow]:
    mask = _text(values, "mask_file_name", where)
    name = next((name for column in NAMES if (name := _text(values, column, where))), None)
    if name is None:
        raise _wrong(where, "has no file_name")
    return _inside(folder, name, where), MetadataRow(
        text=next((text for column in CAPTIONS if (text := _text(values, column, where))), None),
        size=_size(values),
        weight=_weight(values, where),
        mask=None if mask is None else _inside(folder, mask, where),
        rights=rights_from_fields(values),
        override=_text(values, "training_override", where),
    )


def _text(values: Mapping[str, Any], key: str, where: str) -> str | None:
    value = values.get(key)
    if value is not None and not isinstance(value, str):
        raise _wrong(where, f"has a {key} that is not text")
    return value or None


def _size(values: Mapping[str, Any]) -> tuple[int, int] | None:
    """Width and height; None where a row has none, or no whole numbers, as tables of other programs may."""
    width, height = values.get("width"), values.get("height")
    return (width, height) if type(width) is int and type(height) is int else None


def _weight(values: Mapping[str, Any], where: str) -> float:
    value = values.get("weight")
    if value in (None, ""):
        return 1.0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1e-6 <= value <= 1e6:
        raise _wrong(where, f"has the weight {short_line(json.dumps(value), 40)}, not a number from 1e-6 to 1e6")
    return float(value)


def _inside(folder: Path, name: str, where: str) -> Path:
    """The file of a name below the folder; folders on the way there may not be links that lead out."""
    parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
    path = folder / name
    rooted = PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor
    if rooted or "\0" in name or ".." in parts or path == folder:
        raise _leaves(where, name)
    try:
        within = path.parent.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError) as error:
        raise _leaves(where, name) from error
    if not within:
        raise _leaves(where, name)
    return path


def _leaves(where: str, name: str) -> LimnerError:
    return LimnerError(
        f"{where} names {short_line(name, 80)!r}, which is not in the folder", "give names of files below the folder"
    )


def _wrong(where: str, problem: str) -> LimnerError:
    return LimnerError(f"{where} {problem}", 'correct it: {"file_name": "01.jpg", "text": "a photo of sks dog"}')


def _named(table: Path) -> str:
    return repr(f"{table.parent.name}/{table.name}")
