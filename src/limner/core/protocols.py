"""Protocols of model plugins (families, methods, controls), and the values that they exchange.

A plugin is a module whose `plugin` attribute satisfies one of these protocols.
"""

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

    from limner.core.pets import PetCatalogue


@dataclass(frozen=True, slots=True)
class Alias:
    """Short name for a base model.

    reference: Hugging Face id of a repository or of one file in it, or a folder. licence: SPDX id, or the name on the
    model's page. gigabytes: size of the download, in half precision where that exists. memory: gigabytes of GPU memory
    that generating in half precision needs. config: for a single file, the id of a diffusers model of the same shape.
    vae: autoencoder to use in place of the model's own. terms: what a user must know about the licence before using
    the images. gated: the hub hands it out only to accounts that accepted the licence. defaults: values for request
    fields that are left open. domain: module whose `domain` is the `Domain` of a model that was trained on images of
    one kind only. side: side in pixels of the images that it was trained on.
    """

    name: str
    reference: str
    licence: str
    gigabytes: float = 0.0
    memory: float = 0.0
    config: str | None = None
    vae: str | None = None
    terms: str | None = None
    gated: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    domain: str | None = None
    side: int = 1024

    @property
    def packaged(self) -> bool:
        """Whether its weights come with Limner. A new version of Limner may replace them."""
        return self.reference.startswith("package:")


class Domain(Protocol):
    """What a model knows that was trained on images of one kind only.

    images: the kind of its training images, in the plural, for people. synonyms: words that it does not know -> words
    of the same meaning that it knows. listing: where all its words are listed.
    """

    images: str
    synonyms: Mapping[str, str]
    listing: str

    def phrases(self) -> Mapping[str, tuple[str, ...]]:
        """Return what prompts may say, by kind, such as "colour". A model knows the words of these phrases only."""
        ...

    def values(self) -> Mapping[str, tuple[str, ...]]:
        """Return the values of each attribute of its images, such as "breed"."""
        ...

    def pets(self) -> PetCatalogue:
        """Return the pets that it draws, with the words of its captions."""
        ...

    def draw_pet(self, species: str, breed: str) -> Image:
        """Return a small image of a breed, for people who choose one."""
        ...

    def resemblance(self, images: Sequence[Image]) -> list[float]:
        """Return how sure it is that each RGB image is of the kind of its training images, 0 to 1."""
        ...


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a model is loaded from, and how.

    location: diffusers folder, single file in the layout of the model's authors, or Hugging Face id. vae: autoencoder
    in place of the model's own (folder, file or id). config: for a single file, the folder or id of a diffusers model
    of the same shape (default: as diffusers recognises the file). quantised: "nf4" or "int8".
    """

    location: str
    vae: str | None = None
    config: str | None = None
    quantised: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Properties of a family that hold for all its weights. Most have defaults, so a new one touches no other family.

    pipelines: diffusers pipeline classes whose folders belong to this family.
    denoiser: part that denoises, and name of its folder: "unet" or "transformer".
    multiple: image sides in pixels must be divisible by it.
    lora_targets: preset name -> name endings of the layers that a LoRA attaches to.
    defaults: values for request fields that are left open: `denoising_steps`, `guidance` and, if it is not 0,
    `guidance_rescale` of a GenerateRequest; `steps`, `batch`, `learning_rate`, `class_pictures`, `prior_target` and
    `prior_dropout` of a TrainRequest; `rank` and `targets` of LoRA.
    single_file: tensor names of which a single file of this family has at least one.
    quantised: parts that `--quantise` rounds.
    vae: diffusers class of the autoencoder. suggested_vae: Hugging Face id of an autoencoder to suggest for a single
    file that has none.
    long_prompts: whether prompts may be longer than the text encoder takes, and may weight words.
    paired: whether the stock pipeline passes the unconditional and the conditional rows to the denoiser in one batch,
    in this order. Guidance methods and intervals need that.
    samplers: whether schedulers can be chosen by name.
    remedies: request field -> what to do instead, where the family does not support the field.
    controls: kind of control -> Hugging Face id of its ControlNet, for denoisers whose configuration has the values in
    `controlled`.
    lora_encoders: text encoders whose LoRA updates diffusers loads.
    embeddings: text encoders that can be given new tokens: (name in embedding files, tokenizer part, encoder part); the
    name "" stands for the token's own.
    loss_options: names of the `LossOptions` that the family's objective supports.
    noise_precision: number format in which the stock pipeline draws initial noise; None for that of the weights.
    """

    pipelines: tuple[str, ...]
    denoiser: str
    multiple: int
    lora_targets: Mapping[str, tuple[str, ...]]
    defaults: Mapping[str, Any]
    single_file: tuple[str, ...] = ()
    quantised: tuple[str, ...] = ()
    vae: str = "AutoencoderKL"
    suggested_vae: str | None = None
    long_prompts: bool = False
    paired: bool = False
    samplers: bool = False
    remedies: Mapping[str, str] = field(default_factory=dict[str, str])
    controls: Mapping[str, str] = field(default_factory=dict[str, str])
    controlled: Mapping[str, Any] = field(default_factory=dict[str, Any])
    lora_encoders: tuple[str, ...] = ()
    embeddings: tuple[tuple[str, str, str], ...] = ()
    loss_options: frozenset[str] = frozenset()
    noise_precision: str | None = None


@runtime_checkable
class Control(Protocol):
    """One kind of control image for ControlNets."""

    def guide(self, image: Image) -> Image:
        """Return the control image of an image: RGB, of the same size."""
        ...


@dataclass(slots=True)
class Components:
    """Parts of a loaded model.

    parts: every part by its diffusers name ("unet", "vae", "text_encoder" ...). denoiser_name: key of the denoiser in
    `parts`. architecture: name in the modelspec standard; base_version: value of kohya's `ss_base_model_version`.
    side: side in pixels of the images that it was trained on. dtype: number format of the weights. flags: settings of
    the pipeline that are not parts. guided: whether the guidance scale changes the images.
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

    @property
    def vae(self) -> Any:
        """The autoencoder."""
        return self.parts["vae"]

    @property
    def scheduler(self) -> Any:
        return self.parts["scheduler"]

    @property
    def text_encoders(self) -> dict[str, Any]:
        """Text encoders that are loaded, by part name."""
        return {name: part for name, part in self.parts.items() if is_text_encoder(name) and part is not None}


def is_text_encoder(name: str) -> bool:
    """Whether a part of a diffusers pipeline is a text encoder."""
    return name.startswith("text_encoder")


@dataclass(frozen=True, slots=True)
class Batch:
    """Encoded images and their text; the rows of all fields are in the same order.

    latents: (n, c, h, w). text: tensors by the names that `Family.encode_text` uses. frames: (n, 6) in pixels: height
    and width of the original image, row and column of the crop's top left corner, height and width of the crop; None
    if the images are whole. mask: (n, 1, h, w) from 0 to 1, weight of each place in the loss; None for equal weights.
    """

    latents: torch.Tensor
    text: Mapping[str, torch.Tensor]
    frames: torch.Tensor | None = None
    mask: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.latents)


@dataclass(frozen=True, slots=True)
class NoiseDraw:
    """Random values of one loss. noise: shape of the latents. timesteps: (n,), from 0 (clean) to 1000 (noise)."""

    noise: torch.Tensor
    timesteps: torch.Tensor


@dataclass(frozen=True, slots=True)
class LossOptions:
    """How noise is drawn and losses are weighted. The defaults change nothing.

    min_snr_gamma: gamma of Hang et al. 2023 (arXiv 2303.09556). noise_offset: standard deviation of a constant added
    to each channel's noise. timestep_sampling: name of the distribution of times, None for the family's own.
    """

    min_snr_gamma: float | None = None
    noise_offset: float | None = None
    timestep_sampling: str | None = None


DEFAULT_LOSS = LossOptions()


@dataclass(frozen=True, slots=True)
class Teacher:
    """The base model as the target of a batch's last samples (knowledge distillation).

    text: conditioning of these samples, encoded by the base model, by the names that `Family.encode_text` uses.
    base_model: opens a context in which the denoiser is the base model. zero: the target of all samples is zero, so
    that the loss is the mean square of the prediction.
    """

    text: Mapping[str, torch.Tensor]
    base_model: Callable[[], AbstractContextManager[None]]
    zero: bool = False


ZERO_TARGET = Teacher({}, nullcontext, zero=True)


@dataclass(frozen=True, slots=True)
class SubjectWords:
    """Words of a training run: the identifier token of the subject, and its class."""

    identifier: str
    class_word: str


@dataclass(frozen=True, slots=True)
class WeightedFile:
    """Adapter file, and the weight at which it is applied."""

    file: Path
    weight: float


class Objective(Protocol):
    """What a denoiser predicts in training: the noise (epsilon), the velocity (v) or the flow.

    timesteps: number of timesteps of the noise schedule. beta: strength of the reference model in preference training
    that suits the errors of such predictions.
    """

    @property
    def timesteps(self) -> int: ...

    @property
    def beta(self) -> float: ...

    def draw(self, shape: torch.Size, rng: torch.Generator, options: LossOptions = DEFAULT_LOSS) -> NoiseDraw:
        """Draw noise and times for latents of a shape (n, c, h, w) from a CPU generator."""
        ...

    def loss(
        self,
        batch: Batch,
        draw: NoiseDraw,
        options: LossOptions = DEFAULT_LOSS,
        teacher: Teacher | None = None,
    ) -> torch.Tensor:
        """Return the denoising loss of each sample, (n,), in fp32.

        The targets of the last samples, as many as the teacher has text for, are the teacher's predictions at the same
        noise. With `teacher.zero`, all targets are zero.
        """
        ...


@runtime_checkable
class Family(Protocol):
    """One architecture of diffusion models."""

    facts: Facts
    aliases: tuple[Alias, ...]

    def load(self, source: ModelSource, dtype: torch.dtype, device: torch.device) -> Components:
        """Load weights."""
        ...

    def pipeline(self, components: Components) -> Any:
        """Return the stock text-to-image pipeline of diffusers for these components."""
        ...

    def tokenizer(self, components: Components) -> tuple[Any, int]:
        """Return the tokenizer that limits the length of prompts, and the number of tokens that are read."""
        ...

    def encode_text(self, components: Components, prompts: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Encode prompts for training. The names are the family's own; the first axis of each tensor is the prompt."""
        ...

    def conditioning(
        self, components: Components, prompts: Sequence[str], negatives: Sequence[str]
    ) -> Mapping[str, Sequence[Any] | torch.Tensor]:
        """Encode prompts and their negative prompts ("" for none) as arguments of the pipeline, a row for each."""
        ...

    def encode_images(self, components: Components, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Encode pixels (n, 3, h, w) from -1 to 1 as latents (n, c, h', w') for the denoiser, in fp32."""
        ...

    def objective(self, components: Components) -> Objective:
        """Return the objective that the denoiser was trained with."""
        ...


class Trainable(Protocol):
    """Trainable tensors that a method attached to a model."""

    def groups(self) -> Mapping[str, list[torch.nn.Parameter]]:
        """Return the parameters by group; "denoiser" and "text" can have different learning rates."""
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """Return the trainable tensors by name, as references, not copies."""
        ...

    def train(self, on: bool) -> None:
        """Switch what is random in training, such as dropout, on or off. It is off at first."""
        ...

    def base_model(self) -> AbstractContextManager[None]:
        """Open a context in which the trainable tensors are off, so that the denoiser is the base model."""
        ...

    def detach(self) -> None:
        """Remove the tensors from the model and restore the base."""
        ...


@runtime_checkable
class Method(Protocol):
    """One training method.

    makes: kind of the result: "adapter", which is applied to a base model, or "model", which replaces it.
    preserves_class: whether the method cannot change the class, so that prior preservation is not needed.
    file: name of the file by which a saved folder is recognised.
    """

    Options: type[BaseModel]
    makes: str
    preserves_class: bool
    file: str

    def learning_rate(self, lora: float) -> float:
        """Return the default learning rate for a model whose LoRA is trained at the rate `lora`."""
        ...

    def trains_text(self, options: Any) -> bool:
        """Whether text encoders are trained, so that captions must be encoded again at every step."""
        ...

    def check(self, facts: Facts, options: Any, subject: SubjectWords) -> None:
        """Raise LimnerError if the family cannot be trained with these options, or the subject lacks a word."""
        ...

    def attach(self, components: Components, facts: Facts, options: Any, subject: SubjectWords, seed: int) -> Trainable:
        """Add new trainable tensors, which do not change the model's output yet."""
        ...

    def save(self, trainable: Trainable, folder: Path, header: Mapping[str, str], base: Callable[[], Any]) -> Path:
        """Write the trained tensors as files that stock diffusers loads; return the file or folder that holds them.

        base: loads the base model again, as a stock pipeline, for methods that save all of it.
        """
        ...

    def restore(self, trainable: Trainable, file: Path) -> None:
        """Read a file that `save` wrote into newly attached tensors; raise LimnerError if it does not fit."""
        ...

    def usage(self, name: str, base: str, facts: Facts, subject: SubjectWords) -> str:
        """Return Python lines that load a saved folder of this name into `pipeline` with stock diffusers.

        base: expression for the base model's pipeline.
        """
        ...

    def recognises(self, names: Collection[str]) -> bool:
        """Whether a file with tensors of these names is an adapter of this method, whichever tool wrote it."""
        ...

    def applied(self, pipeline: Any, facts: Facts, uses: Sequence[WeightedFile]) -> AbstractContextManager[None]:
        """Open a context in which adapter files are applied to a pipeline; afterwards its weights are bit-identical."""
        ...
