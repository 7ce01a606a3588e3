"""Vectors of images in numpy are those that transformers computes with the same weights."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from limner.models.image_vectors import DIMENSIONS, image_vectors


@pytest.mark.parametrize("size", [(128, 128), (300, 200), (97, 333), (1, 5)])
def test_the_vectors_are_those_of_transformers(starter, size):
    from limner.engine.scoring.encoders import open_encoder

    width, height = size
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    image = Image.fromarray(pixels)
    expected = open_encoder("starter").see([image]).numpy()
    assert image_vectors([image]) == pytest.approx(expected, abs=1e-5)


def test_no_images_have_no_vectors():
    assert image_vectors([]).shape == (0, DIMENSIONS)
