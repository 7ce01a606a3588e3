"""Crops and masks at their limits: what counts as white, what is too small, and where a crop is."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from limner.core.datasets import Fault
from limner.imaging.crop import size_conditioning, upscale_factor
from limner.imaging.drawn_masks import DrawnMask
from limner.imaging.masks import crop_mask, make_mask, read_mask


def mask(*values: int) -> Image.Image:
    return Image.fromarray(np.array([values], dtype=np.uint8))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((127, 127), "the mask 'm.png' is all black"),
        ((0, 128), None),
        ((127, 255), None),
        ((128, 128), "the mask 'm.png' is all white"),
        ((0, 0), "the mask 'm.png' is all black"),
        ((255, 255), "the mask 'm.png' is all white"),
    ],
)
def test_white_begins_at_half(values: tuple[int, ...], said: str | None) -> None:
    file = BytesIO()
    mask(*values).save(file, "PNG")
    found = read_mask(file.getvalue(), "m.png", (2, 1))
    assert (found.message if isinstance(found, Fault) else None) == said


@pytest.mark.parametrize(("peak", "fits"), [(127, False), (128, True), (255, True)])
def test_a_cut_holds_something_white(peak: int, fits: bool) -> None:
    part = crop_mask(mask(255, 0, peak), (1, 0, 3, 1), (2, 1))
    assert isinstance(part, Image.Image) is fits
    if isinstance(part, Fault):
        assert part.message == "nothing of the mask is inside the crop"


@pytest.mark.parametrize("size", [(4, 3), (5, 2), (2, 4)])
def test_a_mask_is_of_its_pictures_width_and_height(size: tuple[int, int]) -> None:
    file = BytesIO()
    Image.fromarray(np.eye(size[1], size[0], dtype=np.uint8) * 255).save(file, "PNG")
    found = read_mask(file.getvalue(), "m.png", (4, 2))
    assert isinstance(found, Fault) and f"is {size[0]} x {size[1]}, and its image 4 x 2" in found.message
    assert isinstance(read_mask(file.getvalue(), "m.png", size), DrawnMask)


@pytest.mark.parametrize(("side", "is_made"), [(10, False), (14, True)])
def test_a_mask_of_less_than_half_a_percent_is_none(side: int, is_made: bool) -> None:
    """Of 160 x 160 pixels: 100 are 0.39%, and 196 are 0.77%."""
    image = Image.new("RGB", (160, 160), "white")
    image.paste("darkred", (70, 70, 70 + side, 70 + side))
    found = np.zeros((160, 160), dtype=np.float32)
    found[70 : 70 + side, 70 : 70 + side] = 1
    mask_or_fault = make_mask(image, found)
    assert isinstance(mask_or_fault, Image.Image) is is_made
    if isinstance(mask_or_fault, Fault):
        assert mask_or_fault.value is not None and 0 < mask_or_fault.value < 0.005


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((800, 400), (400, 800, 0, 256, 512, 512)),
        ((400, 800), (800, 400, 256, 0, 512, 512)),
        ((512, 512), (512, 512, 0, 0, 512, 512)),
        ((1024, 1536), (1536, 1024, 128, 0, 512, 512)),
    ],
)
def test_sdxl_gets_height_before_width_and_top_before_left(size: tuple[int, int], expected: tuple[int, ...]) -> None:
    """arXiv 2307.01952, section 2.2: c_size is (height, width), c_crop is (top, left)."""
    assert size_conditioning(size, 512) == expected


def test_the_side_that_is_enlarged_most_counts() -> None:
    assert upscale_factor((0, 0, 100, 200), (200, 200)) == 2
    assert upscale_factor((10, 20, 110, 70), (100, 100)) == 2
