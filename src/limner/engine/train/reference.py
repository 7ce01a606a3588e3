"""The reference model of preference training: the model as it was before, frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch

from limner.core.protocols import Trainable
from limner.engine.train.denoising import BatchSelection, Denoising


class Reference:
    """A copy of the tensors of a `Trainable`, from when this was made.

    For an adapter that is trained on, this is the adapter, and not its base model. For newly attached tensors, which
    change nothing yet, it is the base model.
    """

    def __init__(self, trainable: Trainable) -> None:
        self.trainable = trainable
        self.values = _copies(trainable.state())

    @contextmanager
    def applied(self) -> Iterator[None]:
        """While it is open, the model is the reference, without gradients; afterwards it has its own tensors again."""
        own = _copies(self.trainable.state())
        with torch.no_grad():
            _put(self.trainable, self.values)
            try:
                yield
            finally:
                _put(self.trainable, own)

    def errors(self, denoising: Denoising, groups: Sequence[BatchSelection]) -> torch.Tensor:
        """The reference's error of each image, (n,), without gradients."""
        with self.applied():
            return denoising.errors(groups)


def _copies(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in state.items()}


@torch.no_grad()
def _put(trainable: Trainable, values: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in trainable.state().items():
        tensor.copy_(values[name])
    torch.clear_autocast_cache()  # of casts of the tensors as they were
