"""What a user can ask for. One frozen model is the CLI's flags, the HTTP body, the recipe and the text in a PNG."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator, model_validator


@dataclass(frozen=True, slots=True)
class Flag:
    """How a field is spelt on a command line, where that differs from `--field-name`."""

    name: str | None = None
    positional: bool = False
    hidden: bool = False


Device = Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Name = Annotated[str, Field(min_length=1, max_length=4096)]
Prompt = Annotated[str, Field(max_length=20_000)]
MODEL = "The base model: an alias (see `limner models`), a folder, a .safetensors file, or a Hugging Face id."
VAE = "Autoencoder in place of the model's own: a folder, a .safetensors file, or a Hugging Face id."
Quantise = Literal["nf4", "int8"]
QUANTISE = "Round the largest networks' weights: nf4 to 4 bits by bitsandbytes, int8 to 8 by torchao (default: off)."
Memory = Literal["low", "balanced", "high"]
MEMORY = (
    "How much GPU memory there is: high keeps all networks there, balanced only the one at work, and low rounds its "
    "weights to 4 bits besides, and decodes in tiles."
)


class Frozen(BaseModel):
    """Immutable, no unknown keys, finite numbers, and the same after a JSON round trip."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Request(Frozen):
    """Anything that `Studio.submit` takes. Each has a literal `kind`, which tells requests apart in JSON."""

    @property
    def digest(self) -> str:
        """SHA-256 of the request's canonical JSON."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


class AdapterUse(Frozen):
    """An adapter and how strongly it acts; as text "path" or "path:weight"."""

    path: Name = Field(description="Folder or .safetensors file of the adapter.")
    weight: float = Field(default=1.0, ge=-4, le=4, description="Strength; 0 switches it off, 1 is as trained.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = re.fullmatch(r"(.*?)(?::(-?\d+(?:\.\d+)?))?", value, re.DOTALL)
        assert found is not None, "the pattern matches any text"
        path, weight = found.groups()
        return {"path": path, "weight": float(weight) if weight else 1.0}


class ControlUse(Frozen):
    """What a picture's structure is taken from, and how strongly; as text "kind=path" or "kind=path:weight"."""

    kind: Name = Field(description="How the guide picture is made from the photograph: canny, depth, given.")
    path: Name = Field(description="The photograph, or for the kind given the guide picture itself.")
    weight: float = Field(default=1.0, ge=0, le=4, description="Strength; 0 switches it off.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = re.fullmatch(r"([^=]*)=(.*?)(?::(\d+(?:\.\d+)?))?", value, re.DOTALL)
        if found is None:
            raise ValueError(f"{value!r} is not of the form KIND=PICTURE, such as canny=photo.png")
        kind, path, weight = found.groups()
        return {"kind": kind, "path": path, "weight": float(weight) if weight else 1.0}


class GenerateRequest(Request):
    """Paint pictures from a prompt, and where given, from a picture."""

    kind: Annotated[Literal["generate"], Flag(hidden=True)] = "generate"
    prompt: Annotated[Prompt, Flag(positional=True)] = Field(description="What to paint.")
    negative_prompt: Prompt = Field(default="", description="What to keep out of the picture.")
    model: Name = Field(default="starter", description=MODEL)
    vae: Name | None = Field(default=None, description=VAE)
    adapter: tuple[AdapterUse, ...] = Field(
        default=(), description="Adapter to use, as PATH or PATH:WEIGHT; may be repeated."
    )
    image: Name | None = Field(default=None, description="Picture to begin from.")
    strength: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="How far the painting may go from that picture, up to 1 (default: 0.6, with a mask 1).",
    )
    mask: Name | None = Field(default=None, description="Picture of the image's size: what is white is painted anew.")
    control: tuple[ControlUse, ...] = Field(
        default=(),
        description="Picture to take the structure from, as KIND=PICTURE or KIND=PICTURE:WEIGHT, by ControlNet; may be "
        "repeated. Kinds: canny, depth, given.",
    )
    control_model: tuple[Name, ...] = Field(
        default=(), description="ControlNet for each --control, in their order (default: what suits the model)."
    )
    hires: float | None = Field(
        default=None,
        gt=1,
        le=4,
        description="Enlarge each picture so many times, and paint over it once more for the detail.",
    )
    hires_strength: float | None = Field(
        default=None, gt=0, le=1, description="How far that second painting may go (default: 0.4)."
    )
    refiner: Name | None = Field(
        default=None,
        description="Model that paints over each picture for the detail, such as "
        "stabilityai/stable-diffusion-xl-refiner-1.0; a folder or a Hugging Face id.",
    )
    refiner_strength: float | None = Field(
        default=None, gt=0, le=1, description="How far the refiner may go (default: 0.3)."
    )
    count: int = Field(default=1, ge=1, le=10_000, description="How many pictures; picture i is painted from seed + i.")
    seed: int = Field(default=42, ge=0, lt=2**63, description="Seed of the first picture.")
    steps: int | None = Field(
        default=None, ge=1, le=1000, description="Denoising steps (default: what suits the model)."
    )
    guidance: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="Guidance scale: how closely the prompt is followed (default: what suits the model).",
    )
    guidance_rescale: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="How far the harsh contrast of a high guidance is taken back (default: what suits the model).",
    )
    scheduler: Name | None = Field(default=None, description="Sampler by name (default: the model's own).")
    width: int | None = Field(default=None, ge=8, le=8192, description="Width in pixels (default: the model's own).")
    height: int | None = Field(default=None, ge=8, le=8192, description="Height in pixels (default: the model's own).")
    batch: int = Field(default=8, ge=1, le=256, description="How many pictures go through the model together.")
    tiled: bool = Field(default=False, description="Encode and decode pictures in tiles, to save memory.")
    memory: Memory = Field(default="high", description=MEMORY)
    quantise: Quantise | None = Field(default=None, description=QUANTISE)
    device: Device = Field(default="auto", description="auto, cpu, cuda, cuda:1 or mps.")
    precision: Precision = Field(default="auto", description="auto, fp32, bf16 or fp16.")

    @model_validator(mode="after")
    def _with_an_image(self) -> GenerateRequest:
        for name in ("strength", "mask"):
            if self.image is None and (value := getattr(self, name)) is not None:
                raise ValueError(f"{name} ({value}) is given without an image; give --image, or leave it out")
        for name, needs in (("hires_strength", "hires"), ("refiner_strength", "refiner")):
            if getattr(self, needs) is None and (value := getattr(self, name)) is not None:
                raise ValueError(f"{name} ({value}) is given without {needs}; give that, or leave it out")
        if self.control_model and len(self.control_model) != len(self.control):
            told = f"{len(self.control_model)} control models for {len(self.control)} controls"
            raise ValueError(f"there are {told}; give one for each, or none")
        return self

    @field_validator("prompt")
    @classmethod
    def _said(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the prompt is empty; say what to paint")
        return value


class TrainRequest(Request):
    """Teach a model a subject from a few pictures (DreamBooth: an identifier, a class word, prior preservation)."""

    kind: Annotated[Literal["train"], Flag(hidden=True)] = "train"
    data: Annotated[Name, Flag(positional=True)] = Field(description="Folder of pictures of the subject.")
    class_word: Annotated[Name, Flag("--class")] = Field(description="What the subject is, such as dog or teapot.")
    identifier: Name | None = Field(
        default="sks",
        description="Made-up word that shall stand for the subject; null in a recipe learns from captions alone.",
    )
    model: Name = Field(default="starter", description=MODEL)
    vae: Name | None = Field(default=None, description=VAE)
    method: Name = Field(default="lora", description="Way to learn.")
    options: Annotated[dict[str, Any], Flag(hidden=True)] = Field(
        default_factory=dict, description="Options of the method."
    )
    prompt: Prompt = Field(
        default="a photo of {identifier} {class}",
        description="Caption of every picture without a text file of its name beside it; {identifier} and {class} are "
        "filled in.",
    )
    steps: int | None = Field(
        default=None, ge=1, le=10_000_000, description="Training steps (default: what suits the model)."
    )
    epochs: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Passes over the pictures, in place of steps."
    )
    batch: int | None = Field(
        default=None, ge=1, le=1024, description="Pictures a step (default: what suits the model)."
    )
    accumulation: int = Field(
        default=1, ge=1, le=1024, description="Parts that a batch is cut into, one after another, to save memory."
    )
    gradient_checkpointing: bool = Field(
        default=False, description="Compute activations twice in place of keeping them: less memory, slower."
    )
    optimiser: Literal["adamw", "adamw8bit", "prodigy", "adafactor"] = Field(
        default="adamw", description="adamw, adamw8bit, prodigy or adafactor."
    )
    learning_rate: float | None = Field(
        default=None, gt=0, le=10, description="Default: what suits the model; 1 with Prodigy, which finds its own."
    )
    text_learning_rate: float | None = Field(
        default=None,
        gt=0,
        le=10,
        description="Learning rate of what the text encoders learn (default: that of the rest).",
    )
    schedule: Literal["constant", "cosine", "linear"] = Field(
        default="cosine", description="How the learning rate falls."
    )
    warmup: int = Field(default=10, ge=0, description="Steps over which the learning rate rises.")
    weight_decay: float = Field(default=0.01, ge=0, le=1, description="The optimiser's weight decay.")
    ema: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Keep a moving average of what is learnt, with this decay, and save that; 0.99 is usual for LoRA "
        "(default: off).",
    )
    quantise: Quantise | None = Field(default=None, description=QUANTISE)
    resolution: int | None = Field(
        default=None, ge=32, le=4096, description="Side in pixels (default: the model's own)."
    )
    flip: bool = Field(default=True, description="Train on mirrored pictures too.")
    masked: bool = Field(
        default=False, description="Learn only from what is white in DATA/masks, pictures named as those in DATA."
    )
    caption_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the subject's pictures shown without a caption."
    )
    prior: bool = Field(default=True, description="Prior preservation: keep the class as the base model knows it.")
    prior_weight: float = Field(default=1.0, ge=0, le=100, description="Weight of the class pictures' loss.")
    class_pictures: int | None = Field(
        default=None, ge=1, le=100_000, description="Class pictures that the base model paints."
    )
    prior_target: Literal["model", "pictures"] | None = Field(
        default=None,
        description="What class pictures teach: what the base model predicts on them, or themselves "
        "(default: what suits the model).",
    )
    prior_dropout: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of class pictures shown without a caption, so that guidance points from the class to the "
        "subject (default: what suits the model).",
    )
    min_snr_gamma: float | None = Field(
        default=None, gt=0, description="Min-SNR loss weighting (arXiv 2303.09556); 5 is usual (default: off)."
    )
    noise_offset: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Noise added to each channel as a whole, so that very dark and bright pictures are learnt; "
        "0.05 is usual (default: off).",
    )
    timestep_sampling: Literal["uniform", "logit_normal", "shift"] | None = Field(
        default=None, description="How a flow model's times are drawn: uniform, logit_normal or shift."
    )
    held_out: int | None = Field(
        default=None,
        ge=0,
        le=1000,
        description="Pictures kept from training, to watch for overfitting (default: one of 8 or more).",
    )
    checkpoint_every: int = Field(default=50, ge=1, description="Steps between checkpoints.")
    preview_every: int = Field(default=0, ge=0, description="Steps between preview pictures; 0 for none.")
    preview_prompt: tuple[Prompt, ...] = Field(default=(), description="Prompt of a preview; may be repeated.")
    track: tuple[Literal["tensorboard", "wandb"], ...] = Field(
        default=(), description="Tracker to log to; may be repeated."
    )
    seed: int = Field(default=42, ge=0, lt=2**63, description="Seed of everything random.")
    device: Device = Field(default="auto", description="auto, cpu, cuda, cuda:1 or mps.")
    precision: Precision = Field(default="auto", description="auto, fp32, bf16 or fp16.")

    @model_validator(mode="after")
    def _steps_or_epochs(self) -> TrainRequest:
        if self.steps is not None and self.epochs is not None:
            raise ValueError(f"both steps ({self.steps}) and epochs ({self.epochs}) are given; give one of them")
        return self

    @model_validator(mode="after")
    def _class_pictures_or_none(self) -> TrainRequest:
        for name in ("prior_target", "prior_dropout", "class_pictures"):
            if not self.prior and (value := getattr(self, name)) is not None:
                raise ValueError(f"{name} ({value}) is given while prior preservation is off; leave one of them out")
        return self

    @field_validator("prompt")
    @classmethod
    def _fillable(cls, value: str) -> str:
        try:
            parts = list(Formatter().parse(value))
        except ValueError:
            parts = [("", "?", "", None)]
        if any(name not in (None, "identifier", "class") or spec or conversion for _, name, spec, conversion in parts):
            raise ValueError(f"prompt {value!r} may hold only {{identifier}} and {{class}}")
        return value

    @model_validator(mode="after")
    def _a_subject_or_none(self) -> TrainRequest:
        if self.identifier is None and self.prior:
            raise ValueError("without an identifier there is no subject to tell from its class; turn prior off")
        return self

    @property
    def trigger_words(self) -> tuple[str, ...]:
        """The words that call up what was learnt."""
        return (self.identifier,) if self.identifier else ()

    @property
    def instance_prompt(self) -> str:
        """The caption of the subject's pictures."""
        words = {"identifier": self.identifier or "", "class": self.class_word}
        return " ".join(self.prompt.format(**words).split())

    @property
    def class_prompt(self) -> str:
        """The caption of the class pictures: the same without the identifier."""
        return " ".join(self.prompt.format(**{"identifier": "", "class": self.class_word}).split())


AnyRequest = Annotated[GenerateRequest | TrainRequest, Field(discriminator="kind")]
_ANY: TypeAdapter[GenerateRequest | TrainRequest] = TypeAdapter(AnyRequest)


def parse_request(value: str | dict[str, Any]) -> GenerateRequest | TrainRequest:
    """A request from its JSON text or its plain dictionary; raises pydantic's ValidationError."""
    return _ANY.validate_json(value) if isinstance(value, str) else _ANY.validate_python(value)


def absolute(request: GenerateRequest | TrainRequest, names: Container[str] = ()) -> GenerateRequest | TrainRequest:
    """The request with its local paths made absolute, so that it means the same from any folder.

    names: words that are no paths even where a folder is called so (the aliases of models).
    """

    def full(path: str) -> str:
        try:
            place = Path(path).expanduser()
            return str(place.resolve()) if place.exists() and path not in names else path
        except (OSError, RuntimeError, ValueError):
            return path

    if isinstance(request, TrainRequest):
        own = {"data": full(request.data), "model": full(request.model), "vae": request.vae and full(request.vae)}
        return request.model_copy(update=own)
    paths: dict[str, Any] = {"model": full(request.model), "vae": request.vae and full(request.vae)}
    for name in ("adapter", "control"):
        paths[name] = tuple(use.model_copy(update={"path": full(use.path)}) for use in getattr(request, name))
    for name in ("image", "mask"):
        if (path := getattr(request, name)) is not None:
            paths[name] = full(path)
    paths["refiner"] = request.refiner and full(request.refiner)
    paths["control_model"] = tuple(full(path) for path in request.control_model)
    return request.model_copy(update=paths)
