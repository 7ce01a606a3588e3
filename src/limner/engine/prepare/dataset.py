"""The folder that is left: pictures, and the lines that tell of them, as `load_dataset("imagefolder")` reads them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from PIL import Image

from limner.core.requests.prepare import SHARES
from limner.data.captions.caption_file import CaptionOrigin
from limner.engine.prepare.record import Record
from limner.imaging.formats import MASKS

METADATA = "metadata.jsonl"
OWN = (
    "file_name",
    "text",
    "original",
    "width",
    "height",
    "weight",
    "mask_file_name",
    "author",
    "licence",
    "source",
    "consent",
    "training",
    "said",
    "training_override",
    "image",
    "mask",
    "label",
)
"""Columns that mean something to us; a field of the same name is told as field_NAME."""


@dataclass(frozen=True)
class Telling:
    """What is told of one picture of the dataset. origin: where its caption is from."""

    key: str
    caption: str
    origin: CaptionOrigin
    fields: dict[str, str]


class Folder:
    """A dataset's folder while it is filled. What is not known is told as "", for readers of several splits want each
    column to hold the same kind of thing in all of them. names: of all fields, so that every line has the same columns.

    weighted, masked: whether any picture has a weight, or a mask. kohya: whether captions lie beside the pictures too.
    """

    def __init__(
        self, place: Path, staged: Path, names: Sequence[str], weighted: bool, masked: bool, kohya: bool, digits: int
    ) -> None:
        self.place, self.staged, self.names, self.kohya, self.digits = place, staged, tuple(names), kohya, digits
        self.weighted, self.masked = weighted, masked
        self.counts = [0, 0, 0]
        self._files: dict[int, IO[str]] = {}
        self._open = ExitStack()

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def add(self, record: Record, told: Telling, split: int, weight: float, override: str | None) -> str:
        """Put a picture into its split; returns its name below the dataset, such as "train/0001.jpg"."""
        assert record.picture is not None and record.shape is not None
        folder = self.place / SHARES[split]
        folder.mkdir(exist_ok=True)
        self.counts[split] += 1
        stem = f"{self.counts[split]:0{self.digits}d}"
        name = stem + Path(record.picture).suffix
        _put(self.staged / record.picture, folder / name)
        mask = f"{MASKS}/{stem}.png"
        if self.masked:
            (folder / MASKS).mkdir(exist_ok=True)
            if record.mask is None:  # one without a mask counts everywhere
                Image.new("L", record.shape, 255).save(folder / mask)
            else:
                _put(self.staged / record.mask, folder / mask)
        if self.kohya:
            (folder / f"{stem}.txt").write_text(told.caption + "\n", encoding="utf-8")
        row: dict[str, Any] = {
            "file_name": name,
            "text": told.caption,
            "original": record.key,
            "width": record.shape[0],
            "height": record.shape[1],
            **({"weight": round(weight, 6)} if self.weighted else {}),
            **({"mask_file_name": mask} if self.masked else {}),
            "author": record.rights.author or "",
            "licence": record.rights.licence or "",
            "source": record.rights.source or "",
            "consent": record.rights.consent or "",
            "training": record.rights.training or "",
            "said": record.rights.said or "",
            "training_override": override or "" if record.rights.training == "refused" else "",
            **{column(field): told.fields.get(field, "") for field in self.names},
        }
        self._lines(split).write(json.dumps(row, ensure_ascii=False) + "\n")
        return f"{SHARES[split]}/{name}"

    def _lines(self, split: int) -> IO[str]:
        if split not in self._files:
            path = self.place / SHARES[split] / METADATA
            self._files[split] = self._open.enter_context(path.open("w", encoding="utf-8"))
        return self._files[split]


def column(field: str) -> str:
    """The column of a field: its name, unless that means something to us or to who reads the folder."""
    taken = field in OWN or field.endswith("file_name") or field.startswith("field_")
    return f"field_{field}" if taken else field


def _put(source: Path, target: Path) -> None:
    """The file under another name too, which costs nothing where the disk knows hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
