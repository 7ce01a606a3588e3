"""Whole networks that learn, with what they were kept aside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import nn

from limner.core.protocols import Components


class FullWeights:
    """Parts of a model, by name, all of whose weights learn."""

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
        """Nothing here is random: the networks of diffusion models come without dropout."""

    @contextmanager
    def base_model(self) -> Iterator[None]:
        """A second, frozen denoiser with the old weights takes the place of the learning one."""
        name, learning = self.components.denoiser_name, self.components.denoiser
        if self.teacher is None:
            self.teacher = deepcopy(learning).requires_grad_(False)
            self.teacher.load_state_dict(self.originals[name])
        self.components.parts[name] = self.teacher
        try:
            yield
        finally:
            self.components.parts[name] = learning

    def detach(self) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(self.originals[name])
            part.requires_grad_(False)


def copy_weights(pipeline: Any, learnt: FullWeights) -> None:
    """Give a fresh pipeline of the base model the learnt weights."""
    with torch.no_grad():
        for name, part in learnt.parts.items():
            pipeline.components[name].load_state_dict(part.state_dict())
