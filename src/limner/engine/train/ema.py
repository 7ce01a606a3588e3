"""The moving average of what learns, which paints more steadily than the last step's values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


class Average:
    """An exponential moving average of some tensors (Polyak averaging).

    A young average follows faster: of step t it keeps min(decay, (1 + t) / (10 + t)), as is usual since TensorFlow's.
    """

    def __init__(self, parameters: Sequence[torch.nn.Parameter], decay: float) -> None:
        self.parameters, self.decay, self.steps = parameters, decay, 0
        self.values = [parameter.detach().clone() for parameter in parameters]

    @torch.no_grad()
    def follow(self) -> None:
        """Move towards the values of now."""
        keep = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.values, [parameter.detach() for parameter in self.parameters], 1 - keep)
        self.steps += 1

    @contextmanager
    def shown(self) -> Iterator[None]:
        """While it is open, the tensors hold the average; afterwards their own values again."""
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
