"""Damage in JPEGs is reported; files that are only unusual are not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from limner.imaging.damage import is_unfinished_jpeg, jpeg_damage

END = b"\xff\xd9"


def jpeg(form: str = "JPEG", mode: str = "RGB", **settings: object) -> bytes:
    grain = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    kept = io.BytesIO()
    Image.fromarray(grain).convert(mode).save(kept, form, **settings)
    return kept.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        jpeg(),
        jpeg(progressive=True),
        jpeg(mode="L"),
        jpeg(mode="CMYK"),
        jpeg(keep_rgb=True),
        jpeg(restart_marker_blocks=4),
        jpeg(form="MPO"),
        jpeg() + b"what a camera left behind",
        jpeg(exif=b"Exif\0\0II*\0\xff\xff\xff\x7f"),
        jpeg(icc_profile=b"no profile"),
    ],
)
def test_complete_jpegs_have_no_damage(data: bytes) -> None:
    assert jpeg_damage(data) is None


@pytest.mark.parametrize("settings", [{}, {"progressive": True}, {"restart_marker_blocks": 4}])
def test_damage_is_reported(settings: dict[str, object]) -> None:
    data = jpeg(**settings)
    half = len(data) // 2
    for broken in (
        data[:half] + END,
        data[:half] + data[half + 1000 :],
        data[:half] + bytes(2000) + data[half + 2000 :],
    ):
        damage = jpeg_damage(broken)
        assert damage is not None and damage.certain and damage.message


def test_few_bytes_too_many_may_be_harmless() -> None:
    for extra in (bytes(10), bytes(500), b"\x12\x34\x56" * 5):
        damage = jpeg_damage(jpeg()[:-2] + extra + END)
        assert damage is not None and not damage.certain and "bytes too many" in damage.message


def test_the_end_of_a_thumbnail_does_not_end_the_image() -> None:
    thumbnail = b"Exif\0\0II*\0" + jpeg(quality=10)[:2000] + END
    data = jpeg(exif=thumbnail)
    assert not is_unfinished_jpeg(data)
    assert is_unfinished_jpeg(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
