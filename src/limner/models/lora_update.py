"""Updates of single layers by LoRA (Hu et al. 2021, arXiv 2106.09685) and DoRA (Liu et al. 2024, arXiv 2402.09353)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

Layer = nn.Linear | nn.Conv2d


@dataclass(frozen=True)
class Update:
    """Low-rank update of a weight (out, in) or (out, in, height, width).

    up: (out, rank). down: (rank, in) or (rank, in, height, width). scale: alpha / rank.
    magnitude: DoRA's norms of the updated weight, (out, 1, ...) for its rows or (1, in, ...) for its columns.
    """

    up: torch.Tensor
    down: torch.Tensor
    scale: float
    magnitude: torch.Tensor | None = None

    def tensors(self) -> list[torch.Tensor]:
        return [tensor for tensor in (self.up, self.down, self.magnitude) if tensor is not None]

    def to(self, device: torch.device) -> Update:
        magnitude = None if self.magnitude is None else self.magnitude.to(device)
        return replace(self, up=self.up.to(device), down=self.down.to(device), magnitude=magnitude)

    def delta(self, weight: torch.Tensor) -> torch.Tensor:
        """Return scale * up @ down, or DoRA's new weight minus the old one, in at least single precision."""
        dtype = torch.promote_types(weight.dtype, torch.float32)
        own = self.to(weight.device)
        added = own.scale * (own.up.to(dtype) @ own.down.to(dtype).flatten(1)).reshape(weight.shape)
        if own.magnitude is None:
            return added
        weight = weight.to(dtype)
        return own._gain(weight + added) * (weight + added) - weight

    def _gain(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the factor that gives an updated weight the norms that DoRA trained."""
        assert self.magnitude is not None
        axes = [axis for axis, size in enumerate(self.magnitude.shape) if size == 1]
        norms = torch.linalg.vector_norm(weight, dim=axes, keepdim=True)
        return self.magnitude.to(weight) / norms.clamp(min=torch.finfo(weight.dtype).eps)

    def separate(self, layer: Layer) -> SeparateUpdate:
        """Return the update for a quantised layer, whose weight cannot be changed."""
        from peft.utils.integrations import dequantize_module_weight

        own = self.to(layer.weight.device)
        if self.magnitude is None:
            return SeparateUpdate(own, None)
        weight = dequantize_module_weight(layer).detach().float()
        return SeparateUpdate(own, own._gain(weight + replace(own, magnitude=None).delta(weight)))


@dataclass(frozen=True)
class SeparateUpdate:
    """An update that is computed next to its layer. gain: DoRA's factor for rows or columns of the weight."""

    update: Update
    gain: torch.Tensor | None

    def added(self, layer: Layer, states: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """Return what the update adds to the layer's output for these inputs."""
        if self.gain is None:
            return self._low_rank(layer, states)
        gain = self.gain.to(output.dtype)
        if gain.shape[0] == 1 < gain.numel():  # columns: scale the inputs, since W' x = (W + scale up down) (g x)
            states = states * self._along(layer, gain)
            return cast(Any, type(layer)).forward(layer, states) + self._low_rank(layer, states) - output
        gain = self._along(layer, gain)
        bias = 0 if layer.bias is None else self._along(layer, layer.bias)
        return (gain - 1) * (output - bias) + gain * self._low_rank(layer, states)

    @staticmethod
    def _along(layer: Layer, values: torch.Tensor) -> torch.Tensor:
        return values.reshape(-1, 1, 1) if isinstance(layer, nn.Conv2d) else values.flatten()

    def _low_rank(self, layer: Layer, states: torch.Tensor) -> torch.Tensor:
        up, down = (tensor.to(states.dtype) for tensor in (self.update.up, self.update.down))
        if isinstance(layer, nn.Conv2d):
            padding = cast(tuple[int, int], layer.padding)
            inner = functional.conv2d(states, down, None, layer.stride, padding, layer.dilation)
            return self.update.scale * functional.conv2d(inner, up[:, :, None, None])
        return self.update.scale * functional.linear(functional.linear(states, down), up)
