"""Buckets are those of diffusers, and an image gets the one that crops the least."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.imaging.buckets import Buckets
from limner.imaging.crop import crop_box


@pytest.mark.parametrize("size", [32, 128, 512, 768, 1000, 1024, 8192])
@pytest.mark.parametrize("multiple", [8, 16, 64, 256])
def test_they_are_those_of_diffusers(size, multiple):
    from diffusers.training_utils import generate_aspect_ratio_buckets

    shapes = Buckets.of(size, multiple).shapes
    assert [(height, width) for width, height in shapes] == generate_aspect_ratio_buckets(size, multiple)


@pytest.mark.parametrize(("size", "multiple"), [(512, 64), (512, 8), (768, 32), (1024, 64)])
def test_they_have_about_as_many_pixels_and_are_not_too_long(size, multiple):
    for width, height in Buckets.of(size, multiple).shapes:
        assert width % multiple == 0 and height % multiple == 0
        assert width * height == pytest.approx(size * size, rel=multiple / size * 1.2)
        assert max(width, height) / min(width, height) <= 2 * (1 + multiple / size * 1.2)


def kept(size, shape) -> float:
    box = crop_box(size, shape)
    return (box[2] - box[0]) * (box[3] - box[1]) / (size[0] * size[1])


@settings(max_examples=200, deadline=None)
@given(st.integers(200, 4000), st.integers(200, 4000), st.sampled_from([(512, 64), (1024, 64), (512, 8)]))
def test_no_other_one_keeps_more_of_a_picture(width, height, arguments):
    from diffusers.training_utils import find_nearest_bucket

    buckets = Buckets.of(*arguments)
    chosen = buckets.nearest((width, height))
    assert chosen in buckets.shapes
    best = max(kept((width, height), shape) for shape in buckets.shapes)
    rounding = 1.01 / min(width, height)
    assert kept((width, height), chosen) >= best - rounding
    flipped = [(shape[1], shape[0]) for shape in buckets.shapes]
    stock = buckets.shapes[find_nearest_bucket(height, width, flipped)]
    assert kept((width, height), chosen) >= kept((width, height), stock) - rounding


def test_panoramas_go_to_the_longest_and_squares_to_the_square():
    buckets = Buckets.of(512, 64)
    assert buckets.nearest((9000, 100)) == max(buckets.shapes, key=lambda shape: shape[0] / shape[1])
    assert buckets.nearest((1, 5000)) == min(buckets.shapes, key=lambda shape: shape[0] / shape[1])
    assert buckets.nearest((700, 700)) == (512, 512) == buckets.shapes[0]


def test_the_nearest_is_by_the_logarithm_of_the_aspect_ratio():
    """620:700 crops 11% for the square and 12% for 448 x 576, though its ratio is nearer to the latter's."""
    assert Buckets.of(512, 64).nearest((620, 700)) == (512, 512)
