"""Full fine-tuning in memory: networks of which all weights are trained, with a copy of the original weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import nn

from limner.core.protocols import Components


class FullWeights:
    """Parts of a model, by name, of which all weights are trained."""

    def __init__(self, components: Components, names: Sequence[str]) -> None:
        self.components = components
        self.parts: dict[str, nn.Module] = {name: components.parts[name] for name in names}
        self.originals = {
            name: {key: value.detach().to("cpu", copy=True) for key, value in part.state_dict().items()}
            for name, part in self.parts.items()
        }
        self.teacher: nn.Module | None = None
        for part in self.parts.values():
            part.requires_grad_(True)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        groups: dict[str, list[nn.Parameter]] = {"denoiser": [], "text": []}
        for name, part in self.parts.items():
            groups["denoiser" if name == self.components.denoiser_name else "text"] += part.parameters()
        return groups

    def state(self) -> dict[str, nn.Parameter]:
        return {f"{name}.{key}": value for name, part in self.parts.items() for key, value in part.named_parameters()}

    def train(self, on: bool) -> None:
        """Do nothing: the networks of diffusion models have no dropout."""

    @contextmanager
    def base_model(self) -> Iterator[None]:
        """Put a second, frozen denoiser with the original weights in place of the trained one."""
        name, trained = self.components.denoiser_name, self.components.denoiser
        if self.teacher is None:
            self.teacher = deepcopy(trained).requires_grad_(False)
            self.teacher.load_state_dict(self.originals[name])
        self.components.parts[name] = self.teacher
        try:
            yield
        finally:
            self.components.parts[name] = trained

    def detach(self) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(self.originals[name])
            part.requires_grad_(False)


def copy_weights(pipeline: Any, trained: FullWeights) -> None:
    """Copy the trained weights into a new pipeline of the base model."""
    with torch.no_grad():
        for name, part in trained.parts.items():
            pipeline.components[name].load_state_dict(part.state_dict())
