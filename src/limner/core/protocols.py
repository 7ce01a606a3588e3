"""What a plugin must be. Plugins are modules whose `plugin` attribute satisfies one of these protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Alias:
    """A short name for a base model.

    reference: Hugging Face id or folder. defaults: values for request fields that are left open.
    licence: SPDX id or the name that the model's page uses.
    """

    name: str
    reference: str
    licence: str
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Facts:
    """What a family is, whatever the weights.

    pipelines: diffusers pipeline classes whose folders belong to this family.
    multiple: sides in pixels must be divisible by it.
    lora_targets: preset name -> name endings of the layers that a LoRA attaches to.
    defaults: values for request fields that are left open: `denoising_steps`, `guidance` and, where it is not 0,
    `guidance_rescale` of a GenerateRequest; `steps`, `batch`, `learning_rate`, `class_pictures`, `prior_target`
    and `prior_dropout` of a TrainRequest; `rank` and `targets` of LoRA.
    """

    pipelines: tuple[str, ...]
    multiple: int
    lora_targets: Mapping[str, tuple[str, ...]]
    defaults: Mapping[str, Any]


@dataclass(slots=True)
class Components:
    """The parts of a loaded model.

    denoiser: the UNet or transformer. parts: every part by its diffusers name ("unet", "vae", "text_encoder" ...).
    denoiser_name: key of the denoiser in `parts`. architecture: as the modelspec standard names it;
    base_version: as kohya's `ss_base_model_version` does. dtype: that the weights were loaded in.
    """

    parts: dict[str, Any]
    denoiser_name: str
    architecture: str
    base_version: str
    dtype: torch.dtype
    device: torch.device

    @property
    def denoiser(self) -> torch.nn.Module:
        return self.parts[self.denoiser_name]


@dataclass(frozen=True, slots=True)
class Teacher:
    """The model as it was before anything was attached to it, as the teacher of a batch's last samples.

    text: what conditions them, as that model encodes it, by `Family.encode_text`'s names. untaught: opens a context in
    which the denoiser is that model.
    """

    text: Mapping[str, torch.Tensor]
    untaught: Callable[[], AbstractContextManager[None]]


@runtime_checkable
class Family(Protocol):
    """One architecture of diffusion model."""

    facts: Facts
    aliases: tuple[Alias, ...]

    def load(self, location: str, dtype: torch.dtype, device: torch.device) -> Components:
        """Load weights from a folder or a Hugging Face id."""
        ...

    def pipeline(self, components: Components, task: str) -> Any:
        """A stock diffusers pipeline around the parts; task "text2image"."""
        ...

    def encode_text(self, components: Components, prompts: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Prompts -> tensors whose first axis is the prompt, in the pipeline's own argument names."""
        ...

    def encode_images(self, components: Components, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Pixels (n, 3, h, w) from -1 to 1 -> scaled latents (n, c, h/8, w/8)."""
        ...

    def loss(
        self,
        components: Components,
        latents: torch.Tensor,
        text: Mapping[str, torch.Tensor],
        rng: torch.Generator,
        min_snr_gamma: float | None = None,
        teacher: Teacher | None = None,
    ) -> torch.Tensor:
        """Denoising loss of each sample, (n,), with time steps and noise drawn from `rng`.

        The last samples, as many as the teacher has text for, are compared with what it predicts at the same noise, and
        not with the noise.
        """
        ...


class Trainable(Protocol):
    """What a method attached to a model: the tensors that learn."""

    def parameters(self) -> list[torch.nn.Parameter]: ...

    def state(self) -> dict[str, torch.Tensor]:
        """The learnt tensors by name, as references, not copies."""
        ...

    def untaught(self) -> AbstractContextManager[None]:
        """While it is open, the model predicts as it did before and nothing learns; afterwards all is as it was."""
        ...

    def detach(self) -> None:
        """Take everything off the model again, leaving the base as it was."""
        ...


@runtime_checkable
class Method(Protocol):
    """One way to learn."""

    Options: type[BaseModel]

    def teaches_text(self, options: Any) -> bool:
        """Whether text encoders learn too, so that captions must be encoded anew at every step."""
        ...

    def attach(self, components: Components, facts: Facts, options: Any, seed: int) -> Trainable:
        """Add fresh trainable tensors that at first change nothing."""
        ...

    def save(self, trainable: Trainable, path: Path, header: Mapping[str, str]) -> None:
        """Write the learnt tensors as one safetensors file that stock diffusers reads."""
        ...

    def load(self, pipeline: Any, path: Path, name: str) -> None:
        """Put a saved file onto a pipeline under an adapter name."""
        ...
