"""Projection of long gradients to short features whose inner products stay about the same."""

from __future__ import annotations

import torch

from limner.engine.train.batches import generator_for


class Projection:
    """A count sketch: each number is added to one place of the result, with a random sign (Charikar, Chen and
    Farach-Colton 2002; the sparse Johnson-Lindenstrauss transform of Kane and Nelson 2014, arXiv 1012.1577, with one
    place). It costs one pass over the gradient; a dense random matrix costs one for each number of the result.

    Gradients of at most `dimension` numbers stay as they are.
    """

    def __init__(self, size: int, dimension: int, seed: int) -> None:
        self.dimension = dimension if size > dimension else None
        if self.dimension is not None:
            rng = generator_for(seed, "projection", 0)
            self.places = torch.randint(self.dimension, (size,), generator=rng, dtype=torch.int32)
            self.signs = torch.randint(2, (size,), generator=rng, dtype=torch.int8) * 2 - 1

    def __call__(self, gradient: torch.Tensor) -> torch.Tensor:
        """(p,) on the CPU -> (k,), in fp32."""
        if self.dimension is None:
            return gradient.float()
        return torch.zeros(self.dimension).index_add_(0, self.places, gradient.float() * self.signs)
