"""Tests of which images began with noise alone."""

from __future__ import annotations

from typing import Any

import pytest

from limner.core.initial_noise import seed_of_noise
from limner.core.requests import GenerateRequest


@pytest.mark.parametrize(
    ("fields", "seed", "expected"),
    [
        ({}, 43, 43),
        ({"control": ["canny=a.png"]}, 43, 43),
        ({"image": "a.png"}, 43, None),
        ({"image": "a.png", "mask": "b.png"}, 43, None),
        ({"hires": 2}, 43, None),
        ({"refiner": "sdxl-refiner"}, 43, None),
        ({}, None, None),
        ({}, "43", None),
        ({}, True, None),
    ],
)
def test_the_seed_is_known_of_images_from_noise_alone(fields: dict[str, Any], seed: object, expected: object) -> None:
    assert seed_of_noise(GenerateRequest.model_validate({"prompt": "a dog", **fields}), seed) == expected
