"""What the journal tells, as columns on disk: what whole sets are judged by."""

from __future__ import annotations

import base64
from array import array
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from limner.core.image_faults import FAULTS
from limner.engine.prepare.record import Record
from limner.engine.prepare.staging import Staging

FP32 = 4
"""Bytes of a number."""
GREY = FAULTS["grey"].limit or 0.0


@dataclass
class Columns:
    """Of the pictures that were written, in their order, n of them.

    numbers: (n,) which record each is. barred: (m,) which records are of pictures that were left out as not to be
    trained on. signatures: (n + m, s) uint8, those of the barred ones last. surroundings: (n, d) fp32, of large sets
    only the first. pixels, source_bytes: (n,) of the original files. coloured: (n,) whether there is colour
    in each. spoken: (n,) whether a caption or fields came with it. sharpness: (n,). faults: (n,) how many each has.
    offsets: where each record begins in the journal, of all of them.
    """

    numbers: np.ndarray
    barred: np.ndarray
    signatures: np.ndarray
    surroundings: np.ndarray
    pixels: np.ndarray
    source_bytes: np.ndarray
    coloured: np.ndarray
    spoken: np.ndarray
    sharpness: np.ndarray
    faults: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass
class _Growing:
    numbers: array[int] = field(default_factory=lambda: array("q"))
    barred: array[int] = field(default_factory=lambda: array("q"))
    pixels: array[int] = field(default_factory=lambda: array("q"))
    source_bytes: array[int] = field(default_factory=lambda: array("q"))
    coloured: array[int] = field(default_factory=lambda: array("b"))
    spoken: array[int] = field(default_factory=lambda: array("b"))
    sharpness: array[float] = field(default_factory=lambda: array("f"))
    faults: array[int] = field(default_factory=lambda: array("i"))
    offsets: array[int] = field(default_factory=lambda: array("q"))
    widths: dict[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True)
class Gathered:
    """The journal and its columns: records and pictures by their places among those that were written."""

    staging: Staging
    columns: Columns

    def __len__(self) -> int:
        return len(self.columns)

    def record(self, place: int) -> Record:
        return self.staging.record(int(self.columns.offsets[self.columns.numbers[place]]))

    def key(self, place: int) -> str:
        """What a picture was called, or from n on a barred one."""
        written = len(self.columns)
        numbers, at = (self.columns.numbers, place) if place < written else (self.columns.barred, place - written)
        return self.staging.record(int(self.columns.offsets[numbers[at]])).key

    def picture(self, place: int) -> Path:
        name = self.record(place).picture
        assert name is not None
        return self.staging.pictures / name

    def glimpse(self, place: int) -> Image.Image:
        """The whole picture, small, in RGB."""
        name = self.record(place).thumbnail
        assert name is not None
        with Image.open(self.staging.pictures / name) as image:
            return image.convert("RGB")

    def opened(self, place: int) -> Image.Image:
        """The picture as it was written, in RGB."""
        with Image.open(self.picture(place)) as image:
            return image.convert("RGB")


def gather(staging: Staging) -> Gathered:
    """Read the journal once; what is long goes into files of the staging folder."""
    found = _Growing()
    places = {name: staging.folder / f"{name}.bin" for name in ("signatures", "surroundings")}
    kept_out: list[bytes] = []
    with places["signatures"].open("wb") as signatures, places["surroundings"].open("wb") as surroundings:
        for number, (record, offset) in enumerate(staging.placed()):
            found.offsets.append(offset)
            if record.picture is None or record.size is None:
                if record.signature and any(fault.kind == "refused" for fault in record.faults):
                    found.barred.append(number)
                    kept_out.append(base64.b64decode(record.signature))
                continue
            found.numbers.append(number)
            found.pixels.append(record.size[0] * record.size[1])
            found.source_bytes.append(record.source_bytes)
            found.coloured.append(record.measures.get("colour", 0.0) >= GREY)
            found.spoken.append(bool(record.caption or record.fields))
            found.sharpness.append(record.measures.get("sharpness", 0.0))
            found.faults.append(len(record.faults))
            for name, file, text in (
                ("signatures", signatures, record.signature),
                ("surroundings", surroundings, record.surroundings),
            ):
                data = base64.b64decode(text)
                found.widths[name] = max(len(data), found.widths.get(name, 0))
                file.write(data)
        signatures.writelines(kept_out)
    count = len(found.numbers)
    columns = Columns(
        np.array(found.numbers, dtype=np.int64),
        np.array(found.barred, dtype=np.int64),
        _mapped(places["signatures"], np.uint8, count + len(found.barred), found.widths.get("signatures", 0)),
        _mapped(places["surroundings"], np.float32, None, found.widths.get("surroundings", 0) // FP32),
        np.array(found.pixels, dtype=np.int64),
        np.array(found.source_bytes, dtype=np.int64),
        np.array(found.coloured, dtype=bool),
        np.array(found.spoken, dtype=bool),
        np.array(found.sharpness, dtype=np.float32),
        np.array(found.faults, dtype=np.int32),
        np.array(found.offsets, dtype=np.int64),
    )
    return Gathered(staging, columns)


def _mapped(path: Path, kind: type, count: int | None, width: int) -> np.ndarray:
    """The rows of a file; count: how many, None for as many as there are."""
    if count is None:
        count = path.stat().st_size // max(1, width * FP32)
    if not count or not width:
        return np.empty((count, width), dtype=kind)
    return np.memmap(path, dtype=kind, mode="r", shape=(count, width))
