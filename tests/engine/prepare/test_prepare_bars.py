"""Bars around images are cut away, to the pixel, and reported; the request may keep them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.core.datasets import Entry
from limner.core.requests import PrepareRequest
from limner.data.entries.byte_sources import BytesInMemory
from limner.data.quality.borders import box_without_bars
from limner.data.quality.measures import reduce_image
from limner.engine.prepare.image import prepare_image
from limner.engine.prepare.plan import ImagePlan, plan_of
from limner.engine.prepare.staging import Record


def scene(width: int, height: int) -> Image.Image:
    """A picture with large shapes, bright up to its edges."""
    pixels = np.random.default_rng(3).integers(60, 256, (9, 9, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)


def framed(width: int, height: int, bars: tuple[int, int, int, int], colour: str = "black") -> Image.Image:
    """A picture of this size with bars at the left, top, right and bottom."""
    left, top, right, bottom = bars
    image = Image.new("RGB", (width + left + right, height + top + bottom), colour)
    image.paste(scene(width, height), (left, top))
    return image


def encoded(image: Image.Image, form: str = "PNG") -> bytes:
    buffer = BytesIO()
    image.save(buffer, form, **({"quality": 90} if form == "JPEG" else {}))
    return buffer.getvalue()


def plan(folder: Path, **asked: object) -> ImagePlan:
    request = {"sources": ["x"], "size": 64, "crop": "none", "format": "png", "ignore": ["enlarged"], **asked}
    return plan_of(PrepareRequest.model_validate(request), folder)


def record_of(folder: Path, data: bytes, mask: bytes | None = None, **asked: Any) -> Record:
    masked = None if mask is None else BytesInMemory("mask.png", mask)
    return prepare_image((0, Entry("a", BytesInMemory("a", data), mask=masked), "s"), plan(folder, **asked))


def written(folder: Path, record: Record) -> np.ndarray:
    with Image.open(folder / str(record.picture)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("colour", ["black", "white", "#305080"])
@pytest.mark.parametrize("bars", [(0, 20, 0, 31), (25, 0, 18, 0), (12, 40, 13, 9)], ids=["wide", "tall", "frame"])
@pytest.mark.parametrize("scale", [1, 3, 9])
def test_bars_are_found_to_the_pixel(colour: str, bars: tuple[int, int, int, int], scale: int) -> None:
    left, top, right, bottom = (scale * bar + (scale > 1) for bar in bars)
    left, right = (left, right) if bars[0] else (0, 0)
    top, bottom = (top, bottom) if bars[1] else (0, 0)
    image = framed(150 * scale, 120 * scale, (left, top, right, bottom), colour)
    expected = (left, top, left + 150 * scale, top + 120 * scale)
    assert box_without_bars(image, reduce_image(image)) == expected


def test_the_mixed_rows_beside_a_bar_go_too(tmp_path: Path) -> None:
    image = framed(640, 360, (0, 140, 0, 140)).resize((1000, 1000), Image.Resampling.BICUBIC)
    record = record_of(tmp_path, encoded(image, "JPEG"), size=512)
    assert record.box is not None and abs(record.box[1] - 219) <= 3 and abs(record.box[3] - 781) <= 3
    pixels = written(tmp_path, record)
    assert pixels[[0, -1]].mean(axis=(1, 2)).min() > 100, "no row is half black"


def test_bars_are_cut_away_and_reported(tmp_path: Path) -> None:
    record = record_of(tmp_path, encoded(framed(200, 120, (0, 40, 0, 40))))
    assert (record.size, record.box, record.shape) == ((200, 200), (0, 40, 200, 160), (107, 64))
    assert [fault.message for fault in record.faults] == ["bars of one colour cover 40% of the image (limit 5%)"]
    plain = record_of(tmp_path, encoded(scene(200, 120)))
    assert plain.faults == () and plain.signature == record.signature, "so that a copy with bars is found"
    assert {**record.measures, "bars": 0} == plain.measures


@pytest.mark.parametrize("crop", ["centre", "subject"])
def test_a_crop_lies_within_the_bars(tmp_path: Path, crop: str) -> None:
    record = record_of(tmp_path, encoded(framed(300, 150, (0, 90, 0, 60))), crop=crop)
    assert record.box is not None and record.shape == (64, 64)
    assert record.box[1] == 90 and record.box[3] == 240 and record.box[2] - record.box[0] == 150


@pytest.mark.parametrize(
    ("asked", "kinds", "box"),
    [
        ({"flag": ["border"]}, ["border"], (0, 0, 200, 200)),
        ({"ignore": ["border", "enlarged"]}, [], (0, 0, 200, 200)),
        ({"limit": ["border=0.5"]}, [], (0, 0, 200, 200)),
        ({"limit": ["border=0.3"]}, ["border"], (0, 40, 200, 160)),
    ],
)
def test_the_request_may_keep_bars(
    tmp_path: Path, asked: dict[str, Any], kinds: list[str], box: tuple[int, int, int, int]
) -> None:
    record = record_of(tmp_path, encoded(framed(200, 120, (0, 40, 0, 40))), **asked)
    assert [fault.kind for fault in record.faults] == kinds and record.box == box


def test_an_image_with_bars_may_be_dropped(tmp_path: Path) -> None:
    assert record_of(tmp_path, encoded(framed(200, 120, (0, 40, 0, 40))), drop=["border"]).picture is None


def test_what_is_within_the_bars_may_be_too_small(tmp_path: Path) -> None:
    image = framed(200, 60, (0, 70, 0, 70))
    kinds = [fault.kind for fault in record_of(tmp_path, encoded(image), size=128, crop="centre").faults]
    assert kinds == ["odd_shape", "border", "small"]


def test_masks_are_cut_like_their_image(tmp_path: Path) -> None:
    image = framed(200, 120, (0, 40, 0, 40))
    mask = Image.new("L", image.size)
    mask.paste(255, (0, 40, 100, 160))
    record = record_of(tmp_path, encoded(image), encoded(mask), size=120)
    with Image.open(tmp_path / str(record.mask)) as made:
        assert (
            made.size == (200, 120) and np.asarray(made)[:, :98].min() == 255 and np.asarray(made)[:, 102:].max() == 0
        )


def test_masks_are_made_of_what_is_within_the_bars(tmp_path: Path) -> None:
    ground = Image.new("RGB", (200, 120), "#c8d8e8")
    ground.paste((200, 30, 30), (80, 40, 120, 80))
    image = Image.new("RGB", (200, 220))
    image.paste(ground, (0, 50))
    record = record_of(tmp_path, encoded(image), make_masks=True, size=120, ignore=["flat", "enlarged"])
    with Image.open(tmp_path / str(record.mask)) as made:
        white = np.asarray(made) > 127
    assert made.size == (200, 120) and 0.5 < white.sum() / 1600 < 2 and white[45:75, 85:115].all()


def test_an_image_without_bars_is_the_same_to_the_bit(tmp_path: Path) -> None:
    kept: dict[str, Any] = {"flag": ["border"]}
    for number, asked in enumerate(({}, kept)):
        (tmp_path / str(number)).mkdir()
        record_of(tmp_path / str(number), encoded(scene(300, 200), "JPEG"), crop="subject", **asked)
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "01"]
    assert files[0] == files[1] and len(files[0]) == 2
