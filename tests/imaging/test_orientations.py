"""JPEGs in all eight EXIF orientations: sizes, pixels, and reduced decoding."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from limner.imaging.decode import read_image

WIDTH, HEIGHT = 800, 400
UPRIGHT = Image.fromarray(
    np.stack(
        [
            np.tile(np.linspace(0, 255, WIDTH), (HEIGHT, 1)),
            np.tile(np.linspace(0, 255, HEIGHT)[:, None], (1, WIDTH)),
            np.full((HEIGHT, WIDTH), 90),
        ],
        axis=-1,
    ).astype(np.uint8)
)
"""Red grows to the right and green downwards, so that each of its eight ways to lie looks different."""

STORED = {  # where the stored picture's first row and first column are in the upright one (EXIF 2.32, 4.6.4)
    1: lambda a: a,  # top, left
    2: lambda a: a[:, ::-1],  # top, right
    3: lambda a: a[::-1, ::-1],  # bottom, right
    4: lambda a: a[::-1],  # bottom, left
    5: lambda a: a.swapaxes(0, 1),  # left, top
    6: lambda a: a[:, ::-1].swapaxes(0, 1),  # right, top
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: lambda a: a[::-1].swapaxes(0, 1),  # left, bottom
}


def jpeg(orientation: int) -> bytes:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](np.asarray(UPRIGHT))))
    exif, out = Image.Exif(), BytesIO()
    exif[0x0112] = orientation
    stored.save(out, "JPEG", quality=95, exif=exif)
    return out.getvalue()


@pytest.mark.parametrize("orientation", STORED)
def test_a_jpeg_is_turned_upright_and_its_size_with_it(orientation: int) -> None:
    reading = read_image(jpeg(orientation), "a.jpg")
    assert reading.size == reading.image.size == (WIDTH, HEIGHT)
    assert np.abs(np.asarray(reading.image, int) - np.asarray(UPRIGHT, int)).mean() < 4
    assert ("turned as its EXIF says" in reading.notes) == (orientation != 1)


@pytest.mark.parametrize("orientation", STORED)
def test_a_jpeg_is_decoded_no_smaller_than_twice_what_is_wanted_of_the_upright_picture(orientation: int) -> None:
    reading = read_image(jpeg(orientation), "a.jpg", least=(100, 50))
    assert (reading.size, reading.image.size) == ((WIDTH, HEIGHT), (200, 100))
    wide = read_image(jpeg(orientation), "a.jpg", least=(200, 25))
    assert (wide.size, wide.image.size) == ((WIDTH, HEIGHT), (400, 200))
    assert read_image(jpeg(orientation), "a.jpg", least=(201, 25)).image.size == (WIDTH, HEIGHT)
