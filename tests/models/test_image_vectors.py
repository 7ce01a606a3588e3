"""Vectors of images in numpy are those that transformers computes with the same weights."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from limner.models import image_vectors as module
from limner.models.image_vectors import DIMENSIONS, SINGLE_THREAD, image_vectors


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


@pytest.mark.parametrize(("rows", "columns", "depth"), [(1, 192, 192), (65, 768, 192), (65, 192, 768), (500, 7, 999)])
def test_products_are_divided_so_that_each_part_takes_one_thread(rows, columns, depth):
    """Threads of OpenBLAS wait for each other on a machine that does other work."""
    parts = list[int]()

    class Counted(np.ndarray):
        def __matmul__(self, other):
            parts.append(self.shape[-2] * other.shape[-2] * other.shape[-1])
            return np.asarray(self) @ np.asarray(other)

    draws = np.random.default_rng(0)
    states, weights = draws.standard_normal((rows, depth)), draws.standard_normal((columns, depth))
    assert module._product(states.view(Counted), weights) == pytest.approx(states @ weights.T)
    assert parts and max(parts) <= max(SINGLE_THREAD, rows * depth)
