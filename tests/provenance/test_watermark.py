"""The invisible watermark: what it survives, that it is invisible, and that there are no false positives."""

from __future__ import annotations

import random
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from limner.provenance import watermark
from limner.provenance.watermark.pattern import BITS, PAYLOADS, ROWS, hadamard, hadamard_row, signs
from limner.starter.painter import paint
from limner.starter.painter.scene import random_scene

NAME = 0x2ABCDEF1


def picture(seed, side):
    """A drawn picture at any size, with the grain of a photograph."""
    drawn = paint(random_scene(random.Random(seed))).convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
    grain = np.random.default_rng(seed).normal(0, 1, (side, side, 1))
    lit = np.asarray(drawn) + (2 + 6 * np.linspace(0, 1, side)[None, :, None]) * grain
    return np.clip(np.rint(lit), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def marked():
    """Side -> (picture, the same with a mark), three a side."""
    return {
        side: [(p, watermark.embed(p, NAME)) for p in (picture(s, side) for s in range(3))] for side in (128, 256, 512)
    }


def squeezed(image, quality=75):
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def scaled(image, by):
    return image.resize((round(image.width * by), round(image.height * by)), Image.Resampling.LANCZOS)


def noisy(image):
    values = np.asarray(image) + np.random.default_rng(0).normal(0, 6, (image.height, image.width, 3))
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def cropped(image, part=0.9):
    width, height = round(image.width * part), round(image.height * part)
    left, top = (image.width - width) // 2, (image.height - height) // 3
    return image.crop((left, top, left + width, top + height))


PROMISED = {
    "as it is": lambda image: image,
    "JPEG 75": squeezed,
    "half": lambda image: scaled(image, 0.5),
    "half and back": lambda image: scaled(scaled(image, 0.5), 2),
    "half, JPEG 75": lambda image: squeezed(scaled(image, 0.5)),
    "JPEG 75, half": lambda image: scaled(squeezed(image), 0.5),
}
BESIDES = {
    "JPEG 50": lambda image: squeezed(image, 50),
    "0.7, JPEG 85": lambda image: squeezed(scaled(image, 0.7), 85),
    "blur": lambda image: image.filter(ImageFilter.GaussianBlur(0.7)),
    "noise": noisy,
    "darker": lambda image: image.point(lambda value: value * 0.8),
    "turned by 1 degree": lambda image: image.rotate(1, Image.Resampling.BICUBIC),
    "mirrored": ImageOps.mirror,
}


@pytest.mark.parametrize("attack", [*PROMISED, *BESIDES])
@pytest.mark.parametrize("side", [256, 512])
def test_what_it_lives_through(marked, side, attack):
    for _, pixels in marked[side]:
        found = watermark.detect(np.asarray((PROMISED | BESIDES)[attack](Image.fromarray(pixels))))
        assert found is not None and found.payload == NAME and found.mirrored == (attack == "mirrored")
        assert found.chance < 1e-7


def test_a_part_that_was_cut_out(marked):
    for side in (256, 512):
        found = watermark.detect(np.asarray(cropped(Image.fromarray(marked[side][0][1]))))
        assert found is not None and found.payload == NAME and not found.mirrored


def test_a_mirrored_part_keeps_its_payload(marked):
    for side in (256, 512):
        found = watermark.detect(np.asarray(ImageOps.mirror(cropped(Image.fromarray(marked[side][0][1])))))
        assert found is not None and found.payload == NAME and found.mirrored


def test_a_small_picture_is_marked_too(marked):
    for _, pixels in marked[128]:
        assert watermark.detect(pixels).payload == NAME
        assert watermark.detect(np.asarray(squeezed(Image.fromarray(pixels), 90))) is not None


def test_it_is_not_seen(marked):
    for side, least in ((128, 40), (256, 38), (512, 42)):
        for plain, pixels in marked[side]:
            error = pixels.astype(float) - plain
            assert 10 * np.log10(255**2 / np.mean(error**2)) > least
            assert np.abs(error).max() <= (8 if side == 128 else 16)


def test_a_flat_picture_is_barely_touched():
    flat = np.full((256, 256, 3), 200, np.uint8)
    pixels = watermark.embed(flat, NAME)
    assert np.abs(pixels.astype(int) - 200).max() <= 5
    assert watermark.detect(pixels).payload == NAME


def test_there_is_none_where_there_is_none():
    rng = np.random.default_rng(1)
    plain = [picture(seed, side) for seed, side in ((5, 128), (6, 300), (7, 512))]
    plain += [rng.integers(0, 256, (200, 260, 3)).astype(np.uint8), np.zeros((64, 64, 3), np.uint8)]
    plain += [np.full((300, 300, 3), 255, np.uint8), np.tile(plain[0][:32, :32], (8, 8, 1))]
    assert [watermark.detect(pixels) for pixels in plain] == [None] * len(plain)
    assert watermark.detect(np.zeros((8, 900, 3), np.uint8)) is None


def test_the_same_picture_is_marked_the_same(marked):
    plain, pixels = marked[256][0]
    assert np.array_equal(watermark.embed(plain, NAME), pixels)
    assert not np.array_equal(watermark.embed(plain, NAME + 1), pixels)
    assert watermark.payload_for(plain) == watermark.payload_for(plain.copy()) != watermark.payload_for(pixels)
    assert 0 <= watermark.payload_for(plain) < PAYLOADS


def test_only_the_generated_part_is_changed(marked):
    plain = marked[256][0][0]
    where = np.zeros((256, 256), np.uint8)
    where[:, 64:] = 255
    pixels = watermark.embed(plain, NAME, where)
    assert np.array_equal(pixels[:, :64], plain[:, :64]) and not np.array_equal(pixels[:, 64:], plain[:, 64:])
    assert watermark.detect(pixels).payload == NAME


def test_a_picture_that_is_too_small_is_left_alone():
    tiny = picture(0, 64)
    assert watermark.embed(tiny, NAME) is tiny


def test_sizes_and_shapes():
    for height, width in ((128, 700), (333, 257), (1030, 770)):
        pixels = np.asarray(Image.fromarray(picture(3, 256)).resize((width, height), Image.Resampling.LANCZOS))
        assert watermark.detect(watermark.embed(pixels, NAME)).payload == NAME


def test_a_later_mark_is_the_one_that_is_read(marked):
    for side in (256, 512):
        for _, pixels in marked[side]:
            assert watermark.detect(watermark.embed(pixels, 77)).payload == 77


def test_the_fast_transform_is_the_matrix():
    values = np.random.default_rng(0).normal(size=ROWS)
    rows = (0, 1, 5, ROWS // 2, ROWS - 1)
    assert np.allclose(hadamard(values)[list(rows)], [hadamard_row(row) @ values for row in rows])
    assert BITS == 15 and set(np.unique(signs(128, 0))) == {-1.0, 1.0}
