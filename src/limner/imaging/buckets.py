"""Shapes of about as many pixels each, so that pictures can stay near their own."""

from __future__ import annotations

import math
from dataclasses import dataclass

RATIOS = ((1, 1), (4, 5), (5, 4), (2, 3), (3, 2), (3, 4), (4, 3), (9, 16), (16, 9), (1, 2), (2, 1))
"""Width to height; those of diffusers' `generate_aspect_ratio_buckets`."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """shapes: the (width, height) that there are, the square first."""

    shapes: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, size: int, multiple: int) -> Buckets:
        """The same shapes as diffusers makes, of about size x size pixels with sides that are multiples of `multiple`.

        Written anew, as diffusers brings torch into every process that only cuts pictures.
        """

        def side(pixels: float) -> int:
            return max(multiple, round(pixels / multiple) * multiple)

        exact = ((math.sqrt(size * size * across / down), across / down) for across, down in RATIOS)
        return cls(tuple(dict.fromkeys((side(width), side(width / ratio)) for width, ratio in exact)))

    def nearest(self, size: tuple[int, int]) -> tuple[int, int]:
        """The shape for which least is cut from a picture of this (width, height); of equal ones the first."""
        ratio = math.log(size[0] / size[1])
        return min(self.shapes, key=lambda shape: round(abs(math.log(shape[0] / shape[1]) - ratio), 9))
