"""Boxes are inside the image and contain the subject; crops have the right size and no pixel from outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from limner.imaging.crop import center_square, crop_and_resize, crop_box, fit, upscale_factor
from limner.imaging.luminance import otsu
from limner.plugins.detectors.saliency import plugin

sides = st.integers(1, 3000)
shapes = st.tuples(st.integers(8, 1024), st.integers(8, 1024))


def spot(size, left, top, right, bottom) -> np.ndarray:
    """A map of as many pixels as the picture, 1 in one box."""
    found = np.zeros((size[1], size[0]), np.float32)
    found[top:bottom, left:right] = 1
    return found


@settings(max_examples=150, deadline=None)
@given(st.tuples(sides, sides), shapes, st.integers(0, 2**32 - 1), st.booleans())
def test_a_box_is_inside_its_image_and_deterministic(size, shape, seed, blank):
    rng = np.random.default_rng(seed)
    found = np.zeros((9, 7)) if blank else rng.random((rng.integers(1, 40), rng.integers(1, 40))) ** 4
    box = crop_box(size, shape, found)
    left, top, right, bottom = box
    assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
    assert box == crop_box(size, shape, found)
    largest = crop_box(size, shape)
    width, height = largest[2] - largest[0], largest[3] - largest[1]
    assert width == size[0] or height == size[1], "the largest box touches two borders"
    exact = min(size[0] / shape[0], size[1] / shape[1])
    assert abs(width - exact * shape[0]) <= 0.5 + 1e-9 or width == 1
    assert abs(height - exact * shape[1]) <= 0.5 + 1e-9 or height == 1
    assert (right - left, bottom - top) == (width, height)
    if width >= shape[0] and height >= shape[1]:
        assert upscale_factor(box, shape) <= 1 + 1e-9


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (500, 500), (7, 3), (1, 1)])
def test_without_a_map_a_square_is_cut_from_the_middle_as_before(size):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8))
    box = crop_box(size, (32, 32))
    assert np.array_equal(np.asarray(center_square(image, 32)), np.asarray(image.crop(box).resize((32, 32), 1)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 350), st.integers(20, 100))
def test_a_subject_that_fits_is_held_whole_and_in_the_middle(left, width):
    size = (480, 100)
    right = min(size[0], left + width)
    box = crop_box(size, (64, 64), spot(size, left, 20, right, 90))
    assert box[0] <= left + 1 and box[2] >= right - 1
    middle = np.clip((left + right) / 2, 50, 430)
    assert abs((box[0] + box[2]) / 2 - middle) <= 1


def test_of_a_subject_that_does_not_fit_as_much_as_can_be_is_held():
    size = (400, 100)
    found = spot(size, 150, 0, 390, 100)
    box = crop_box(size, (64, 64), found)
    assert found[:, box[0] : box[2]].mean() == 1


def test_a_heavy_subject_wins_over_a_light_one():
    size = (600, 100)
    found = spot(size, 20, 0, 60, 100) + spot(size, 500, 0, 580, 100)
    box = crop_box(size, (64, 64), found)
    assert box[0] <= 500 and box[2] >= 580


def test_what_a_map_says_faintly_of_much_of_the_picture_is_not_counted():
    size = (600, 100)
    box = crop_box(size, (64, 64), spot(size, 500, 0, 515, 100) + 0.2 * spot(size, 20, 0, 420, 100))
    assert box[0] <= 500 and box[2] >= 515


@pytest.mark.parametrize(
    "found",
    [np.ones((5, 5)), np.zeros((5, 5)), np.full((5, 5), np.nan), np.full((1, 1), 3.0), np.full((5, 5), -1.0)],
)
def test_a_map_that_says_nothing_leaves_the_middle(found):
    assert crop_box((900, 300), (64, 64), found) == (300, 0, 600, 300)


@pytest.mark.parametrize("size", [(20000, 10), (1, 4000), (1, 1), (3, 900)])
def test_extreme_pictures_are_cut(size):
    picture = Image.new("RGB", size, (9, 80, 200))
    box = crop_box(size, (64, 48), plugin.finder(None)(picture, "dog"))
    done = crop_and_resize(picture, box, (64, 48))
    assert done.size == (64, 48) and np.all(np.asarray(done) == (9, 80, 200))


@pytest.mark.parametrize("size", [(90, 90), (900, 900)])
def test_nothing_bleeds_in_from_outside(size):
    picture = Image.new("RGB", size, "red")
    inner = (size[0] // 3, size[1] // 3, 2 * size[0] // 3, 2 * size[1] // 3)
    picture.paste((0, 0, 255), inner)
    assert np.all(np.asarray(crop_and_resize(picture, inner, (16, 16))) == (0, 0, 255))


def test_large_reductions_are_antialiased():
    stripes = np.zeros((1024, 1024, 3), np.uint8)
    stripes[:, ::2] = 255
    done = np.asarray(crop_and_resize(Image.fromarray(stripes), (0, 0, 1024, 1024), (32, 32)), dtype=int)
    assert np.abs(done - 127.5).max() <= 3


def test_enlargement_is_of_the_side_that_is_enlarged_most():
    assert upscale_factor((10, 10, 110, 60), (200, 200)) == 4
    assert upscale_factor((0, 0, 1024, 1024), (512, 512)) == 0.5


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_threshold_is_otsus(seed):
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(seed)
    grey = np.concatenate([rng.normal(60, 15, 900), rng.normal(rng.integers(120, 220), 20, 400)]).clip(0, 255)
    values = np.append(grey, [0, 255]).astype(np.uint8)
    expected, _ = cv2.threshold(values, 0, 255, cv2.THRESH_OTSU)
    assert np.array_equal(values > otsu(values), values > expected)


@pytest.mark.parametrize("size", [(64, 48), (48, 64), (32, 32), (100, 40)])
def test_fit_crops_the_centre_to_an_aspect_ratio(size):
    stripes = np.zeros((60, 120, 3), np.uint8)
    stripes[:, 40:80] = 255
    image = Image.fromarray(stripes)
    assert fit(image, (120, 60)) is image
    done = np.asarray(fit(image, size), dtype=int)
    assert done.shape == (size[1], size[0], 3) and np.abs(done - done[:, ::-1]).max() <= 2
