"""Aspect-ratio buckets: sizes of about the same number of pixels, so that images keep nearly their own shape."""

from __future__ import annotations

import math
from dataclasses import dataclass

RATIOS = ((1, 1), (4, 5), (5, 4), (2, 3), (3, 2), (3, 4), (4, 3), (9, 16), (16, 9), (1, 2), (2, 1))
"""Width to height, as in diffusers' `generate_aspect_ratio_buckets`."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """shapes: the sizes as (width, height), the square first."""

    shapes: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, size: int, multiple: int) -> Buckets:
        """The buckets of diffusers: about size x size pixels each, both sides multiples of `multiple`.

        Computed here because importing diffusers loads torch into every worker process that crops images.
        """

        def side(pixels: float) -> int:
            return max(multiple, round(pixels / multiple) * multiple)

        exact = ((math.sqrt(size * size * across / down), across / down) for across, down in RATIOS)
        return cls(tuple(dict.fromkeys((side(width), side(width / ratio)) for width, ratio in exact)))

    def nearest(self, size: tuple[int, int]) -> tuple[int, int]:
        """The bucket that crops the least from an image of this (width, height); the first one of equals."""
        ratio = math.log(size[0] / size[1])
        return min(self.shapes, key=lambda shape: round(abs(math.log(shape[0] / shape[1]) - ratio), 9))
