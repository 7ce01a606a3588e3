"""Writes a dataset: images and metadata.jsonl in the layout of `load_dataset("imagefolder")`, and its report."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import compress
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from limner.core.choice import evenly
from limner.core.datasets import Fault
from limner.core.events import Emit, Progress, Stage
from limner.core.files import short_line
from limner.core.requests.prepare import SHARES
from limner.data.captions import caption_file
from limner.engine.prepare.captions import CaptionedImage
from limner.engine.prepare.contact_sheets import ContactSheets
from limner.engine.prepare.dataset_card import write_card
from limner.engine.prepare.entry_outcome import EntryOutcome
from limner.engine.prepare.pool import WorkerPool
from limner.engine.prepare.report import write_report
from limner.engine.prepare.staging import Record
from limner.engine.prepare.summary import SHOWN, DatasetContents, Summary
from limner.imaging.formats import MASKS

CAPTIONS, OUTCOMES, METADATA = "captions.csv", "pictures.jsonl", "metadata.jsonl"
COLUMNS = (
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
"""Columns with a meaning of their own; a field with one of these names is written as field_NAME."""


def write_dataset(folder: Path, contents: DatasetContents, pool: WorkerPool, emit: Emit) -> Summary:
    """Write all files of a dataset into an empty folder; returns the summary of its report."""
    staged, splits, remaining = contents.staged, contents.splits, contents.remaining
    emit(Stage(name="writing", total=len(staged.columns.offsets)))
    summary = Summary(dict(contents.plan.actions))
    sheets = ContactSheets(folder, staged.staging.pictures, pool)
    shown = set(evenly(range(len(remaining)), SHOWN))
    with (
        DatasetWriter(folder, contents) as dataset,
        (folder / OUTCOMES).open("w", encoding="utf-8") as outcomes,
    ):
        for number, (record, faults, row, image) in enumerate(_entries(contents)):
            kept, name = row is not None and bool(splits.kept[row]), None
            if kept:
                assert row is not None and image is not None
                name = dataset.add(record, image, int(splits.part[row]), float(splits.weight[row]))
                refused = record.rights.training == "refused"
                summary.rights.add(record.rights, contents.request.despite if refused else None)
                summary.counts.add(image.fields)
                summary.origins[image.origin] += 1
            entry = EntryOutcome(
                key=short_line(record.key, 1000),
                outcome=summary.outcome(faults, kept, record.stamp != ""),
                faults=faults,
                thumbnail=record.thumbnail,
                box=record.box,
                size=record.size,
                name=name,
                caption=image and image.caption,
            )
            summary.add(record, entry)
            sheets.add(entry)
            if row in shown and kept:
                summary.sheet.append(entry)
            outcomes.write(json.dumps(_outcome(record, entry), ensure_ascii=False) + "\n")
            emit(Progress(done=number + 1))
        summary.parts = dataset.counts
    rows = compress(contents.captions.rows(), splits.kept)
    caption_file.write_captions(
        folder / CAPTIONS, (caption_file.CaptionRow(each.key, each.caption, each.origin) for each in rows)
    )
    write_report(folder, contents, summary, sheets.close())
    write_card(folder, contents, summary)
    return summary


def _entries(
    contents: DatasetContents,
) -> Iterator[tuple[Record, tuple[Fault, ...], int | None, CaptionedImage | None]]:
    """Each record of the journal, all its faults, and if it is not left out, its row and caption."""
    numbers, remaining = contents.staged.columns.numbers, contents.remaining
    place, row, captions = 0, 0, contents.captions.rows()
    for number, record in enumerate(contents.staged.staging.records()):
        if place >= len(numbers) or numbers[place] != number:
            yield record, record.faults, None, None
            continue
        faults = (*record.faults, *contents.faults.get(place, ()))
        if row < len(remaining) and remaining[row] == place:
            yield record, faults, row, next(captions)
            row += 1
        else:
            yield record, faults, None, None
        place += 1


def _outcome(record: Record, entry: EntryOutcome) -> dict[str, object]:
    """A line of pictures.jsonl: what became of one entry."""
    return {
        "original": record.key,
        "file": entry.name,
        "outcome": entry.outcome,
        "faults": [{"fault": fault.kind, "told": fault.message, "value": fault.value} for fault in entry.faults],
        "mended": list(record.notes),
        "sha256": record.sha256 or None,
        "size": record.size,
        "crop": record.box,
        "brought_to": record.shape,
        "location_stripped": record.located,
        "measures": {name: round(value, 4) for name, value in record.measures.items()},
    }


class DatasetWriter:
    """Writes images and metadata into the folders of the splits.

    Unknown values are written as "", because readers of several splits need the same type in every column.
    """

    def __init__(self, folder: Path, contents: DatasetContents) -> None:
        weight = contents.splits.weight
        self.folder, self.request = folder, contents.request
        self.staged = contents.staged.staging.pictures
        self.fields, self.masked = contents.captions.names, contents.captions.masked
        self.weighted = bool(len(weight)) and not np.allclose(weight, weight[0])
        self.digits = max(4, len(str(len(contents.staged.columns.offsets))))
        self.counts = [0, 0, 0]
        self._files: dict[int, IO[str]] = {}
        self._open = ExitStack()

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def add(self, record: Record, image: CaptionedImage, split: int, weight: float) -> str:
        """Add an image to a split; returns its name in the dataset, such as "train/0001.jpg"."""
        assert record.picture is not None
        folder = self.folder / SHARES[split]
        folder.mkdir(exist_ok=True)
        self.counts[split] += 1
        stem = f"{self.counts[split]:0{self.digits}d}"
        name = stem + Path(record.picture).suffix
        _link(self.staged / record.picture, folder / name)
        if self.masked:
            self._add_mask(record, folder / MASKS / f"{stem}.png")
        if self.request.kohya:
            (folder / f"{stem}.txt").write_text(image.caption + "\n", encoding="utf-8")
        row = self._row(record, image, name, weight, f"{MASKS}/{stem}.png")
        self._metadata(split).write(json.dumps(row, ensure_ascii=False) + "\n")
        return f"{SHARES[split]}/{name}"

    def _add_mask(self, record: Record, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        if record.mask is None:  # without a mask, every pixel counts
            assert record.shape is not None
            Image.new("L", record.shape, 255).save(path)
        else:
            _link(self.staged / record.mask, path)

    def _row(self, record: Record, image: CaptionedImage, name: str, weight: float, mask: str) -> dict[str, Any]:
        """A line of metadata.jsonl."""
        assert record.shape is not None
        rights = record.rights
        return {
            "file_name": name,
            "text": image.caption,
            "original": record.key,
            "width": record.shape[0],
            "height": record.shape[1],
            **({"weight": round(weight, 6)} if self.weighted else {}),
            **({"mask_file_name": mask} if self.masked else {}),
            "author": rights.author or "",
            "licence": rights.licence or "",
            "source": rights.source or "",
            "consent": rights.consent or "",
            "training": rights.training or "",
            "said": rights.statement or "",
            "training_override": self.request.despite or "" if rights.training == "refused" else "",
            **{column_of(field): image.fields.get(field, "") for field in self.fields},
        }

    def _metadata(self, split: int) -> IO[str]:
        if split not in self._files:
            path = self.folder / SHARES[split] / METADATA
            self._files[split] = self._open.enter_context(path.open("w", encoding="utf-8"))
        return self._files[split]


def column_of(field: str) -> str:
    """The column of a field: its name, unless that has a meaning for Limner or for readers of the folder."""
    taken = field in COLUMNS or field.endswith("file_name") or field.startswith("field_")
    return f"field_{field}" if taken else field


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, without using space if the disk supports hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
