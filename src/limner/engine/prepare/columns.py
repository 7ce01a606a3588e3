"""The journal as arrays on disk, for comparisons across a whole dataset, and the features of an encoder."""

from __future__ import annotations

import base64
from array import array
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from limner.core.events import Emit, Progress, Stage
from limner.core.image_faults import FAULTS
from limner.core.workspace import Workspace
from limner.engine.prepare.staging import Record, Staging
from limner.engine.scoring.encoders import open_encoder

FP32 = 4
"""Bytes of a number."""
GREY = FAULTS["grey"].limit or 0.0
BATCH = 32


@dataclass
class Columns:
    """Facts of the n images that were written, in order.

    numbers: (n,) number of each image's record. barred: (m,) numbers of the records of images that were left out
    because they must not be trained on. signatures: (n + m, s) uint8, those of the barred images last. surroundings:
    (n, d) fp32; only of the first ones in large sets. pixels, source_bytes: (n,) of the original files. coloured: (n,)
    whether an image has colour. captioned: (n,) whether it came with a caption or fields. sharpness: (n,). faults: (n,)
    number of faults. offsets: where each record of the journal begins, of all records.
    """

    numbers: np.ndarray
    barred: np.ndarray
    signatures: np.ndarray
    surroundings: np.ndarray
    pixels: np.ndarray
    source_bytes: np.ndarray
    coloured: np.ndarray
    captioned: np.ndarray
    sharpness: np.ndarray
    faults: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True)
class StagedImages:
    """The written images and their records, by their place among the written ones, from 0."""

    staging: Staging
    columns: Columns

    def __len__(self) -> int:
        return len(self.columns)

    def record(self, place: int) -> Record:
        return self.staging.record(int(self.columns.offsets[self.columns.numbers[place]]))

    def key(self, place: int) -> str:
        """The key of an image; from n on, of a barred one."""
        written = len(self.columns)
        numbers, at = (self.columns.numbers, place) if place < written else (self.columns.barred, place - written)
        return self.staging.record(int(self.columns.offsets[numbers[at]])).key

    def path(self, place: int) -> Path:
        name = self.record(place).picture
        assert name is not None
        return self.staging.pictures / name

    def thumbnail(self, place: int) -> Image.Image:
        """The whole original image, small, in RGB."""
        name = self.record(place).thumbnail
        assert name is not None
        return _load_rgb(self.staging.pictures / name)

    def load(self, place: int) -> Image.Image:
        """The image as written, in RGB."""
        return _load_rgb(self.path(place))


@dataclass
class _Rows:
    """The columns while the journal is read."""

    numbers: array[int] = field(default_factory=lambda: array("q"))
    barred: array[int] = field(default_factory=lambda: array("q"))
    pixels: array[int] = field(default_factory=lambda: array("q"))
    source_bytes: array[int] = field(default_factory=lambda: array("q"))
    coloured: array[int] = field(default_factory=lambda: array("b"))
    captioned: array[int] = field(default_factory=lambda: array("b"))
    sharpness: array[float] = field(default_factory=lambda: array("f"))
    faults: array[int] = field(default_factory=lambda: array("i"))
    offsets: array[int] = field(default_factory=lambda: array("q"))
    widths: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, number: int, record: Record, size: tuple[int, int]) -> None:
        self.numbers.append(number)
        self.pixels.append(size[0] * size[1])
        self.source_bytes.append(record.source_bytes)
        self.coloured.append(record.measures.get("colour", 0.0) >= GREY)
        self.captioned.append(bool(record.caption or record.fields))
        self.sharpness.append(record.measures.get("sharpness", 0.0))
        self.faults.append(len(record.faults))


def read_journal(staging: Staging) -> StagedImages:
    """Read the journal once. Long columns are written to files of the staging folder and mapped."""
    rows = _Rows()
    places = {name: staging.folder / f"{name}.bin" for name in ("signatures", "surroundings")}
    barred_signatures: list[bytes] = []
    with places["signatures"].open("wb") as signatures, places["surroundings"].open("wb") as surroundings:
        for number, (record, offset) in enumerate(staging.records_with_offsets()):
            rows.offsets.append(offset)
            if record.picture is None or record.size is None:
                if record.signature and any(fault.kind == "refused" for fault in record.faults):
                    rows.barred.append(number)
                    barred_signatures.append(base64.b64decode(record.signature))
                continue
            rows.add(number, record, record.size)
            for name, file, text in (
                ("signatures", signatures, record.signature),
                ("surroundings", surroundings, record.surroundings),
            ):
                data = base64.b64decode(text)
                rows.widths[name] = max(len(data), rows.widths.get(name, 0))
                file.write(data)
        signatures.writelines(barred_signatures)
    count = len(rows.numbers)
    columns = Columns(
        numbers=np.array(rows.numbers, dtype=np.int64),
        barred=np.array(rows.barred, dtype=np.int64),
        signatures=_map(places["signatures"], np.uint8, count + len(rows.barred), rows.widths.get("signatures", 0)),
        surroundings=_map(places["surroundings"], np.float32, None, rows.widths.get("surroundings", 0) // FP32),
        pixels=np.array(rows.pixels, dtype=np.int64),
        source_bytes=np.array(rows.source_bytes, dtype=np.int64),
        coloured=np.array(rows.coloured, dtype=bool),
        captioned=np.array(rows.captioned, dtype=bool),
        sharpness=np.array(rows.sharpness, dtype=np.float32),
        faults=np.array(rows.faults, dtype=np.int32),
        offsets=np.array(rows.offsets, dtype=np.int64),
    )
    return StagedImages(staging, columns)


def encode_images(
    count: int,
    path_of: Callable[[int], Path],
    encoder: str,
    device: torch.device,
    place: Path,
    workspace: Workspace,
    emit: Emit,
) -> np.ndarray:
    """Features (count, d) of images by an encoder, fp32 of length 1, mapped from a file.

    place: the file; images whose features are in it already are not encoded again. path_of: the file of the i-th image.
    """
    emit(Stage(name="encoding images", total=count))
    network = open_encoder(encoder, device)
    width = network.see([_load_rgb(path_of(0))]).shape[1]
    with place.open("ab") as file, ThreadPoolExecutor(2) as threads:
        done = file.tell() // (FP32 * width)
        file.truncate(done * FP32 * width)

        def load_batch(start: int) -> list[Future[Image.Image]]:
            return [threads.submit(_load_rgb, path_of(i)) for i in range(start, min(start + BATCH, count))]

        following = load_batch(done)
        while batch := following:
            following = load_batch(done + len(batch))  # while the network computes
            features = network.see([each.result() for each in batch])
            file.write(features.numpy().astype(np.float32).tobytes())
            done += len(batch)
            emit(Progress(done=done))
            workspace.check()
    return np.memmap(place, dtype=np.float32, mode="r", shape=(count, width))


def _load_rgb(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _map(path: Path, kind: type, count: int | None, width: int) -> np.ndarray:
    """The rows of a file. count: how many, None for as many as there are."""
    if count is None:
        count = path.stat().st_size // max(1, width * FP32)
    if not count or not width:
        return np.empty((count, width), dtype=kind)
    return np.memmap(path, dtype=kind, mode="r", shape=(count, width))
