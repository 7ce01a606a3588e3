"""Masks in all the ways that people draw them select the same, and what was guessed is reported."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.imaging.drawn_masks import DRAWN, ERASED, OUTSIDE, PHOTO, STRETCHED, decode_mask

SIZE = (40, 30)
BOX = (12, 8, 24, 20)
CASES = Path(__file__).parents[3] / "shared/cases/mask-on-transparent"


def levels(inside, outside, mode: str = "L", box=BOX) -> Image.Image:
    mask = Image.new(mode, SIZE, outside)
    mask.paste(inside, box)
    return mask


def layer(colour, ground=(0, 0, 0, 0), box=BOX) -> Image.Image:
    image = Image.new("RGBA", SIZE, ground)
    image.paste(colour, box)
    return image


def photo(erased=BOX) -> Image.Image:
    """A photo with an erased part."""
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    image = Image.fromarray(pixels).convert("RGBA")
    image.paste((0, 0, 0, 0), erased)
    return image


def indexed(transparent: bool) -> Image.Image:
    """A palette image, as segmentation datasets store masks: red on black, or on an index that is transparent."""
    mask = levels(1, 0, "P")
    mask.putpalette([0, 0, 0, 128, 0, 0])
    if transparent:
        mask.info["transparency"] = 0
    return mask


def deep(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values)


WHITE = np.asarray(levels(1, 0))
WAYS = {
    "white on black": (levels(255, 0), None),
    "white on black in colour": (levels(255, 0).convert("RGB"), None),
    "1 bit": (levels(255, 0).convert("1"), None),
    "white on transparent": (layer((255, 255, 255, 255)), None),
    "white on transparent white": (layer((255, 255, 255, 255), (255, 255, 255, 0)), None),
    "white and black with a transparent edge": (layer((255, 255, 255, 255), (0, 0, 0, 254)), None),
    "grey and alpha": (layer((255, 255, 255, 255)).convert("LA"), None),
    "opaque with an alpha channel": (layer((255, 255, 255, 255), (0, 0, 0, 255)), None),
    "black on transparent": (layer((0, 0, 0, 255)), DRAWN),
    "red on transparent": (layer((220, 30, 40, 255)), DRAWN),
    "half-transparent white on transparent": (layer((255, 255, 255, 90)), STRETCHED),
    "half-transparent red on transparent": (layer((220, 30, 40, 90)), DRAWN),
    "an indexed drawing on transparent": (indexed(True), DRAWN),
    "erased from black": (layer((0, 0, 0, 0), (0, 0, 0, 255)), ERASED),
    "erased from a photo": (photo(), ERASED),
    "grey on black": (levels(90, 0), STRETCHED),
    "white on light grey": (levels(255, 180), STRETCHED),
    "0 and 1": (levels(1, 0), STRETCHED),
    "0 and 1 in 16 bits": (deep(WHITE.astype(np.uint16)), STRETCHED),
    "0 and 255 in 16 bits": (deep(WHITE.astype(np.uint16) * 255), None),
    "0 and 65535": (deep(WHITE.astype(np.uint16) * 65535), None),
    "0 and 1 in 32 bits": (deep(WHITE.astype(np.int32)), STRETCHED),
    "0.0 and 1.0": (deep(WHITE.astype(np.float32)), None),
    "red on black": (levels((255, 0, 0), (0, 0, 0), "RGB"), None),
    "blue on black": (levels((0, 0, 255), (0, 0, 0), "RGB"), None),
    "navy on black": (levels((0, 0, 128), (0, 0, 0), "RGB"), None),
    "green on black": (levels((0, 255, 0), (0, 0, 0), "RGB"), None),
    "yellow on black": (levels((255, 255, 0), (0, 0, 0), "RGB"), None),
    "an indexed class on black": (indexed(False), None),
}


def encoded(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "TIFF" if image.mode in ("I", "F") else "PNG")
    return file.getvalue()


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_draw_a_mask_selects_the_same(way):
    image, note = WAYS[way]
    found = decode_mask(encoded(image), "mask.png")
    assert np.array_equal(np.asarray(found.image) > 127, WHITE == 1) and found.image.mode == "L"
    assert found.note == note and not found.selects_nothing and not found.selects_everything


@pytest.mark.parametrize("low", [0, 127])
@pytest.mark.parametrize("high", [128, 255])
def test_levels_on_both_sides_of_the_middle_stay(low, high):
    mask = levels(high, low)
    assert decode_mask(encoded(mask), "m.png").image.tobytes() == mask.tobytes()


@pytest.mark.parametrize(
    ("image", "selected"), [(levels(0, 255), WHITE == 0), (layer((0,) * 4, (255,) * 4), WHITE == 0)]
)
def test_a_mask_that_looks_inverted_is_read_as_it_is_and_reported(image, selected):
    found = decode_mask(encoded(image), "m.png")
    assert np.array_equal(np.asarray(found.image) > 127, selected) and found.note == OUTSIDE


@pytest.mark.parametrize(
    ("image", "nothing", "everything"),
    [
        (levels(0, 0), True, False),
        (levels(127, 127), True, False),
        (levels(128, 128), False, True),
        (levels(255, 255), False, True),
        (levels(255, 0), False, False),
        (layer((0, 0, 0, 0)), True, False),
        (layer((255,) * 4, (255,) * 4), False, True),
    ],
)
def test_nothing_and_everything(image, nothing, everything):
    found = decode_mask(encoded(image), "m.png")
    assert (found.selects_nothing, found.selects_everything) == (nothing, everything)


def test_noise_of_a_black_or_white_jpeg_is_not_stretched():
    rng = np.random.default_rng(0)
    for base, nothing in ((0, True), (246, False)):
        noisy = Image.fromarray(rng.integers(base, base + 10, (30, 40), np.uint8))
        found = decode_mask(encoded(noisy), "m.png")
        assert (found.selects_nothing, found.selects_everything, found.note) == (nothing, not nothing, None)


@pytest.mark.parametrize("colour", [(0, 0, 255), (0, 0, 128), (255, 0, 0), (0, 128, 0), (255, 255, 0), (200, 30, 90)])
def test_soft_strokes_of_any_colour_on_black_keep_their_edges(colour):
    """Half opaque is the border, as in white; JPEG changes little."""
    soft = np.zeros(SIZE[::-1])
    soft[:, 10:30] = np.linspace(0, 1, 20)
    drawn = Image.fromarray((soft[..., None] * np.array(colour)).round().astype(np.uint8))
    found = decode_mask(encoded(drawn), "m.png")
    assert np.abs(np.asarray(found.image) - 255 * soft).max() < 3 and found.note is None


def test_a_photo_as_a_mask_is_reported():
    rng = np.random.default_rng(1)
    colours = Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8))
    grey = Image.fromarray(rng.integers(70, 200, (30, 40), np.uint8))
    two = levels((250, 0, 0), (0, 0, 0), "RGB")
    two.paste((0, 0, 250), (0, 20, 40, 30))
    for image in (colours, grey, two):
        assert decode_mask(encoded(image), "m.png").note == PHOTO


def test_colour_of_a_jpeg_is_no_photo():
    """White on black keeps its meaning if compression tints it."""
    tinted = levels((255, 250, 240), (8, 0, 4), "RGB")
    found = decode_mask(encoded(tinted), "m.png")
    assert np.array_equal(np.asarray(found.image) > 127, WHITE == 1) and found.note is None


def test_soft_edges_stay_soft():
    """Opacity of a brush, in white and in black."""
    ramp = np.zeros((30, 40, 4), np.uint8)
    ramp[:, 10:30, 3] = np.linspace(0, 255, 20).round()
    for colour, note in ((255, None), (0, DRAWN)):
        ramp[..., :3] = colour
        found = decode_mask(encoded(Image.fromarray(ramp)), "m.png")
        assert np.array_equal(np.asarray(found.image), ramp[..., 3]) and found.note == note


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not there")
def test_the_case_of_white_strokes_on_a_transparent_layer():
    black, transparent = (
        decode_mask((CASES / f"white_on_{on}.png").read_bytes(), on) for on in ("black", "transparent")
    )
    assert np.abs(np.asarray(black.image, int) - np.asarray(transparent.image, int)).max() <= 1
    assert transparent.note is None
