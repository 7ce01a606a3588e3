"""Damage in JPEGs is reported; files that are only unusual are not."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image

from limner.core.errors import LimnerError
from limner.imaging import damage
from limner.imaging.damage import JpegDamage, is_unfinished_jpeg, jpeg_damage

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
        found = jpeg_damage(broken)
        assert found is not None and found.certain and found.message


def test_few_bytes_too_many_may_be_harmless() -> None:
    for extra in (bytes(10), bytes(500), b"\x12\x34\x56" * 5):
        found = jpeg_damage(jpeg()[:-2] + extra + END)
        assert found is not None and not found.certain and "bytes too many" in found.message


def test_the_end_of_a_thumbnail_does_not_end_the_image() -> None:
    thumbnail = b"Exif\0\0II*\0" + jpeg(quality=10)[:2000] + END
    data = jpeg(exif=thumbnail)
    assert not is_unfinished_jpeg(data)
    assert is_unfinished_jpeg(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))


def test_a_jpeg_may_have_fill_bytes_before_a_marker_and_other_segments_before_the_scan() -> None:
    data = jpeg()
    filled = data[:2] + b"\xff\xff\xff" + data[2:]
    assert not is_unfinished_jpeg(filled) and is_unfinished_jpeg(filled[:-2])
    assert not is_unfinished_jpeg(data[:2] + b"\xff\xe9\x00\x04" + END + data[2:])
    assert is_unfinished_jpeg(data[:2] + b"\xff\xe9\x00\x04" + END + data[2:-2])
    assert not is_unfinished_jpeg(data[:2]), "it has no scan"


@pytest.mark.parametrize(("extra", "certain"), [(64, False), (65, True)])
def test_more_than_64_bytes_too_many_are_damage_unless_they_are_padding(extra: int, certain: bool) -> None:
    data = b"\x01\x02" * extra + END
    warning = f"Corrupt JPEG data: {extra} extraneous bytes before marker 0xd9"
    assert damage._from_warning(warning, data) == JpegDamage(f"{extra} bytes too many in its data", certain)
    assert damage._from_warning(warning, bytes(extra) + END) == JpegDamage(f"{extra} bytes too many in its data", False)


def test_only_warnings_about_the_image_data_are_damage() -> None:
    for warning in ("", "Unsupported marker type", "Corrupt JPEG data: bad ICC marker"):
        assert damage._from_warning(warning, END) is None
    lost = JpegDamage("a part of its data is missing or wrong", True)
    for warning in (
        "Premature end of JPEG file",
        "Corrupt JPEG data: bad Huffman code",
        "Corrupt JPEG data: 9 extraneous bytes before marker 0xd3",
    ):
        assert damage._from_warning(warning, END) == lost


def test_what_checks_jpegs_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    with pytest.raises(
        LimnerError, match=r"simplejpeg, which checks JPEGs, is missing; pip install 'limner\[prepare\]"
    ):
        jpeg_damage(jpeg())
