"""The exponential moving average of trained weights (Polyak averaging)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


@torch.no_grad()
def follow(averages: Sequence[torch.Tensor], values: Sequence[torch.Tensor], step: int, decay: float) -> None:
    """Move averages in place towards the values of a step, counted from 0.

    An average keeps min(decay, (1 + step) / (10 + step)) of itself, as TensorFlow's does: at first it follows faster.
    """
    keep = min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(averages), [value.detach() for value in values], 1 - keep)


class EMA:
    """The moving average of some parameters. values: the averages. steps: how many steps they have followed."""

    def __init__(self, parameters: Sequence[torch.nn.Parameter], decay: float) -> None:
        self.parameters, self.decay, self.steps = parameters, decay, 0
        self.values = [parameter.detach().clone() for parameter in parameters]

    def update(self) -> None:
        """Follow the parameters' present values."""
        follow(self.values, self.parameters, self.steps, self.decay)
        self.steps += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """While it is open, the parameters hold the average; afterwards their own values again."""
        own = [parameter.detach().clone() for parameter in self.parameters]
        self._put(self.values)
        try:
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def _put(self, values: Sequence[torch.Tensor]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)
