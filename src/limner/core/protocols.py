"""What a plugin must be. Plugins are modules whose `plugin` attribute satisfies one of these protocols."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Alias:
    """A short name for a base model.

    reference: Hugging Face id, of a repository or of one file in it, or folder. licence: SPDX id or the name that the
    model's page uses. gigabytes: what is fetched, of half precision where there is such. memory: gigabytes of a GPU
    that are enough to paint with it in half precision. config: for a single file, the id of a diffusers model of the
    same shape. vae: an autoencoder, where the model has none or a better one is known. terms: what the user must know
    of the licence before using what is made with it. defaults: values for request fields that are left open.
    """

    name: str
    reference: str
    licence: str
    gigabytes: float = 0.0
    memory: float = 0.0
    config: str | None = None
    vae: str | None = None
    terms: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model is loaded from and how.

    location: a diffusers folder, a single file in the layout of the model's authors, or a Hugging Face id. vae: an
    autoencoder in place of the model's own, a folder, file or id. config: for a single file, the folder or id of a
    diffusers model of the same shape (default: as diffusers knows the file). quantised: "nf4" or "int8".
    """

    location: str
    vae: str | None = None
    config: str | None = None
    quantised: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a family is, whatever the weights.

    pipelines: diffusers pipeline classes whose folders belong to this family.
    single_file: names of tensors by which a single file of this family is known.
    denoiser: name of the part that denoises, and of its folder: "unet" or "transformer".
    multiple: sides in pixels must be divisible by it.
    long_prompts: whether it paints from prompts that are longer than its text encoder takes.
    paired: whether its pipeline gives the denoiser the rows without and with the prompt together, in this order.
    lora_targets: preset name -> name endings of the layers that a LoRA attaches to.
    controls: kind of guide picture -> the ControlNet for it, a Hugging Face id, for denoisers whose configuration is as
    `controlled` says.
    lora_encoders: the text encoders whose low-rank updates diffusers reads. samplers: whether samplers by name suit it.
    embeddings: the text encoders that can learn a new word: the name in files of such words ("" for the word's own),
    and the parts that are the tokenizer and the encoder. objective: names of `Objective` fields that mean something to
    its loss.
    defaults: values for request fields that are left open: `denoising_steps`, `guidance` and, where it is not 0,
    `guidance_rescale` of a GenerateRequest; `steps`, `batch`, `learning_rate`, `class_pictures`, `prior_target`
    and `prior_dropout` of a TrainRequest; `rank` and `targets` of LoRA.
    """

    pipelines: tuple[str, ...]
    single_file: tuple[str, ...]
    denoiser: str
    multiple: int
    long_prompts: bool
    paired: bool
    lora_targets: Mapping[str, tuple[str, ...]]
    controls: Mapping[str, str]
    controlled: Mapping[str, Any]
    lora_encoders: tuple[str, ...]
    samplers: bool
    embeddings: tuple[tuple[str, str, str], ...]
    objective: frozenset[str]
    defaults: Mapping[str, Any]


@runtime_checkable
class Control(Protocol):
    """One kind of guide picture."""

    def guide(self, picture: Image) -> Image:
        """What a ControlNet is shown of a picture: RGB, of the same size."""
        ...


@dataclass(slots=True)
class Components:
    """The parts of a loaded model.

    denoiser: the UNet or transformer. parts: every part by its diffusers name ("unet", "vae", "text_encoder" ...).
    denoiser_name: key of the denoiser in `parts`. architecture: as the modelspec standard names it;
    base_version: as kohya's `ss_base_model_version` does. side: of the pictures that it was made for, in pixels.
    dtype: that the weights were loaded in. flags: settings of its pipeline that are no parts. guided: whether guidance
    changes what it paints.
    """

    parts: dict[str, Any]
    denoiser_name: str
    architecture: str
    base_version: str
    side: int
    dtype: torch.dtype
    device: torch.device
    flags: Mapping[str, Any] = field(default_factory=dict[str, Any])
    guided: bool = True

    @property
    def denoiser(self) -> torch.nn.Module:
        return self.parts[self.denoiser_name]


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures that a loss is taken of, and what is told of each; rows stand in the same order.

    latents: (n, c, h, w). text: by `Family.encode_text`'s names. frames: (n, 6) in pixels, the photograph's height and
    width, where the crop's top left corner was (row, column), the crop's height and width; None for whole pictures.
    mask: (n, 1, h, w) from 0 to 1, how much each place counts; None for all alike.
    """

    latents: torch.Tensor
    text: Mapping[str, torch.Tensor]
    frames: torch.Tensor | None = None
    mask: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.latents)


@dataclass(frozen=True, slots=True)
class NoiseDraw:
    """What is random in a batch's loss. noise: like the latents. timesteps: (n,), from 0 (clean) to 1000 (noise)."""

    noise: torch.Tensor
    timesteps: torch.Tensor


@dataclass(frozen=True, slots=True)
class LossOptions:
    """How a loss is drawn and weighted; as it stands, plainly.

    min_snr_gamma: gamma of Hang et al. 2023 (arXiv 2303.09556). noise_offset: standard deviation of what is added to
    each channel's noise as a whole. timestep_sampling: a way to draw times by name, None for the family's own.
    """

    min_snr_gamma: float | None = None
    noise_offset: float | None = None
    timestep_sampling: str | None = None


DEFAULT_LOSS = LossOptions()


@dataclass(frozen=True, slots=True)
class Teacher:
    """The model as it was before anything was attached to it, as the teacher of a batch's last samples.

    text: what conditions them, as that model encodes it, by `Family.encode_text`'s names. untaught: opens a context in
    which the denoiser is that model. silent: it says nothing, and all samples are compared with zero, so that the loss
    is the mean square of what the model predicts.
    """

    text: Mapping[str, torch.Tensor]
    base_model: Callable[[], AbstractContextManager[None]]
    silent: bool = False


ZERO_TARGET = Teacher({}, nullcontext, silent=True)


@dataclass(frozen=True, slots=True)
class Subject:
    """The words that a training run is about: a made-up one for the subject, and what the subject is."""

    identifier: str
    class_word: str


@dataclass(frozen=True, slots=True)
class WeightedFile:
    """A saved file and how strongly it acts."""

    file: Path
    weight: float


@runtime_checkable
class Family(Protocol):
    """One architecture of diffusion model."""

    facts: Facts
    aliases: tuple[Alias, ...]

    def load(self, source: Source, dtype: torch.dtype, device: torch.device) -> Components:
        """Load weights."""
        ...

    def pipeline(self, components: Components) -> Any:
        """The stock diffusers pipeline of the parts that paints from a prompt alone."""
        ...

    def reader(self, components: Components) -> tuple[Any, int]:
        """The tokenizer that says how long a caption is, and of how many tokens no more is read."""
        ...

    def encode_text(self, components: Components, prompts: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Prompts -> what conditions the denoiser, by names of the family's own; the first axis is the prompt."""
        ...

    def conditioning(
        self, components: Components, prompts: Sequence[str], negatives: Sequence[str]
    ) -> Mapping[str, Sequence[Any] | torch.Tensor]:
        """Prompts, and for each what to keep out of the picture or "", as arguments of the pipeline, a row for each."""
        ...

    def encode_images(self, components: Components, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Pixels (n, 3, h, w) from -1 to 1 -> latents (n, c, h', w') as the denoiser takes them, in fp32."""
        ...

    def draw(
        self, components: Components, shape: torch.Size, rng: torch.Generator, objective: LossOptions = DEFAULT_LOSS
    ) -> NoiseDraw:
        """Noise and times for latents of a shape (n, c, h, w), from a CPU generator."""
        ...

    def loss(
        self,
        components: Components,
        batch: Batch,
        draw: NoiseDraw,
        objective: LossOptions = DEFAULT_LOSS,
        teacher: Teacher | None = None,
    ) -> torch.Tensor:
        """Denoising loss of each sample, (n,), in fp32.

        The last samples, as many as the teacher has text for, are compared with what it predicts at the same noise, and
        not with the noise; with a silent teacher, all are compared with zero.
        """
        ...


class Trainable(Protocol):
    """What a method attached to a model: the tensors that learn."""

    def groups(self) -> Mapping[str, list[torch.nn.Parameter]]:
        """The tensors that learn, by what they belong to, which may have learning rates apart: "denoiser", "text"."""
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """The learnt tensors by name, as references, not copies."""
        ...

    def train(self, on: bool) -> None:
        """Whether what is random in learning, such as dropout, acts; at first it does not."""
        ...

    def base_model(self) -> AbstractContextManager[None]:
        """While it is open, the model predicts as it did before and nothing learns; afterwards all is as it was."""
        ...

    def detach(self) -> None:
        """Take everything off the model again, leaving the base as it was."""
        ...


@runtime_checkable
class Method(Protocol):
    """One way to learn.

    makes: "adapter", which acts on its base model, or "model", which takes its place. keeps_class: whether the class
    stays as it is by itself, so that prior preservation has nothing to do. file: the name of the file by which a folder
    that it saved is known.
    """

    Options: type[BaseModel]
    makes: str
    preserves_class: bool
    file: str

    def learning_rate(self, lora: float) -> float:
        """What suits it on a model that LoRA is taught to at the rate `lora`."""
        ...

    def trains_text(self, options: Any) -> bool:
        """Whether text encoders learn too, so that captions must be encoded anew at every step."""
        ...

    def check(self, facts: Facts, options: Any, subject: Subject) -> None:
        """Raise LimnerError where a family has no place for what would be attached, or the subject no word for it."""
        ...

    def attach(self, components: Components, facts: Facts, options: Any, subject: Subject, seed: int) -> Trainable:
        """Add fresh trainable tensors that at first change nothing."""
        ...

    def save(self, trainable: Trainable, folder: Path, header: Mapping[str, str], base: Callable[[], Any]) -> Path:
        """Write what was learnt as files that stock diffusers reads; returns the file or folder that holds it.

        base: loads the base model anew, as a stock pipeline, for whoever saves all of it.
        """
        ...

    def restore(self, trainable: Trainable, file: Path) -> None:
        """Give what was attached afresh the tensors of a file that `save` wrote; LimnerError where they do not fit."""
        ...

    def usage(self, name: str, base: str, facts: Facts, subject: Subject) -> str:
        """Lines of Python that load a saved folder of this name with stock diffusers into `pipeline`.

        base: an expression for the base model's pipeline.
        """
        ...

    def recognises(self, names: Collection[str]) -> bool:
        """Whether a file whose tensors have these names holds what this method learns, whoever wrote it."""
        ...

    def applied(self, pipeline: Any, facts: Facts, uses: Sequence[WeightedFile]) -> AbstractContextManager[None]:
        """While it is open, saved files act on a pipeline; afterwards it is as it was, to the bit."""
        ...
