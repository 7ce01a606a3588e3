"""Request to train a model on a subject."""

from __future__ import annotations

import json
import re
from string import Formatter
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, Field, field_validator, model_validator

from limner.core.requests.parsing import find_repeated
from limner.core.requests.request import (
    MAX_PROMPT,
    MODEL,
    QUANTISE,
    SUBJECT,
    VAE,
    Choices,
    Flag,
    Heading,
    Label,
    Name,
    Precision,
    Prompt,
    Quantise,
    Refers,
    Request,
    Trait,
    Word,
    check_lengths,
)

OptionName = Annotated[str, Field(max_length=64)]


def _small(options: dict[str, Any]) -> dict[str, Any]:
    """The options, which only the method can validate; raises ValueError for more than any method takes."""
    if not _few(options) or len(json.dumps(options, default=str)) > MAX_PROMPT:
        raise ValueError(f"the options have more than {MAX_PROMPT:,} characters; write less")
    return options


def _few(options: dict[str, Any]) -> bool:
    """Whether there are fewer values than MAX_PROMPT; raises ValueError for deep nesting."""
    left, level = MAX_PROMPT, [cast(Any, options)]
    for _ in range(8):
        level = [part for whole in level for part in _parts(whole)]
        left -= len(level)
        if left < 0:
            return False
    if any(isinstance(value, (dict, list)) for value in level):
        raise ValueError("the options are nested more than 8 deep; write plain values")
    return True


def _parts(value: Any) -> list[Any]:
    """The values of a list or a mapping; none of anything else."""
    if isinstance(value, dict):
        return list(cast(dict[Any, Any], value).values())
    return cast(list[Any], value) if isinstance(value, list) else []


class TrainRequest(Request):
    """Train a model on a few images of a subject (DreamBooth: identifier, class word, prior preservation)."""

    kind: Annotated[Literal["train"], Flag(hidden=True)] = "train"
    data: Annotated[Name, Flag(positional=True), Refers("pictures")] = Field(
        description="Folder of images of the subject."
    )
    class_word: Annotated[Word, Flag("--class")] = Field(description="What the subject is, such as dog or teapot.")
    identifier: Annotated[Word | None, Heading.BASICS] = Field(
        default="sks",
        description="Made-up word for the subject; null in a recipe trains on captions alone.",
    )
    model: Annotated[Name, Refers("model"), Heading.BASICS, Choices("models")] = Field(
        default="starter", description=MODEL
    )
    vae: Annotated[Name | None, Refers("model"), Label("Autoencoder"), Heading.MODEL] = Field(
        default=None, description=VAE
    )
    method: Annotated[
        Name, Flag(overrules=("learning_rate", "text_learning_rate")), Heading.BASICS, Choices("methods")
    ] = Field(
        default="lora",
        description="Training method: lora, textual_inversion, pivotal or full. Each has options of its own.",
    )
    adapter: Annotated[
        Name | None,
        Label("Adapter to go on from"),
        Refers("weights"),
        Trait.ON_CARD,
        Trait.LATER,
        Heading.MODEL,
    ] = Field(
        default=None,
        description="Adapter to go on from, a folder or .safetensors file that a training made with the same "
        "method on the same base model; it keeps its rank and layers.",
    )
    options: Annotated[dict[OptionName, Any], Flag(hidden=True), AfterValidator(_small)] = Field(
        default_factory=dict, max_length=64, description="Options of the method."
    )
    prompt: Annotated[Prompt, Heading.IMAGES] = Field(
        default="a photo of {identifier} {class}",
        description="Caption of images that have none; {identifier} and {class} are filled in.",
    )
    steps: Annotated[int | None, Flag(overrules=("epochs",)), Label("Length"), Heading.BASICS] = Field(
        default=None, ge=1, le=10_000_000, description="Training steps (default: recommended for the model)."
    )
    epochs: Annotated[int | None, Flag(overrules=("steps",)), Heading.LENGTH] = Field(
        default=None, ge=1, le=1_000_000, description="Training length in passes over the images, instead of `steps`."
    )
    batch: Annotated[int | None, Label("Images per step")] = Field(
        default=None, ge=1, le=1024, description="Images per step (default: recommended for the model)."
    )
    accumulation: Annotated[int, Trait.ON_CARD] = Field(
        default=1,
        ge=1,
        le=1024,
        description="Gradient accumulation: number of parts that a batch is split into, to save memory.",
    )
    gradient_checkpointing: bool = Field(
        default=False, description="Recompute activations instead of storing them: less memory, slower."
    )
    optimiser: Annotated[
        Literal["adamw", "adamw8bit", "prodigy", "adafactor"],
        Flag(overrules=("learning_rate", "text_learning_rate")),
        Trait.ON_CARD,
        Heading.OPTIMISER,
    ] = Field(default="adamw", description="Optimiser: adamw, adamw8bit, prodigy or adafactor.")
    learning_rate: Annotated[float | None, Heading.BASICS] = Field(
        default=None,
        gt=0,
        le=10,
        description="Learning rate (default: recommended for the model; 1 with Prodigy, which adapts it).",
    )
    text_learning_rate: Annotated[float | None, Trait.ON_CARD] = Field(
        default=None,
        gt=0,
        le=10,
        description="Learning rate of the text encoders (default: `learning_rate`).",
    )
    schedule: Literal["constant", "cosine", "linear"] = Field(
        default="cosine", description="Learning rate schedule: constant, cosine or linear."
    )
    warmup: int = Field(default=10, ge=0, description="Number of steps over which the learning rate rises.")
    weight_decay: Annotated[float, Trait.ON_CARD] = Field(
        default=0.01, ge=0, le=1, description="Weight decay of the optimiser."
    )
    ema: Annotated[float | None, Label("Average the weights"), Trait.ON_CARD] = Field(
        default=None,
        gt=0,
        lt=1,
        description="Save an exponential moving average of the trained weights, with this decay; 0.99 is usual for "
        "LoRA (default: off).",
    )
    quantise: Annotated[Quantise | None, Trait.ON_CARD, Heading.MEMORY] = Field(default=None, description=QUANTISE)
    resolution: Annotated[int | None, Heading.IMAGES] = Field(
        default=None, ge=32, le=4096, description="Side in pixels (default: the model's own)."
    )
    flip: Annotated[bool, Label("Mirror images")] = Field(
        default=False,
        description="Also train on mirrored images; not for captions that say left or right, nor for lettering.",
    )
    masked: Annotated[bool, Trait.ON_CARD] = Field(
        default=False,
        description="Train only on the white areas of the masks in DATA/masks, named like the images in DATA.",
    )
    caption_dropout: Annotated[float, Trait.ON_CARD] = Field(
        default=0.0, ge=0, lt=1, description="Share of the subject's images trained without a caption."
    )
    prior: Annotated[
        bool,
        Flag(overrules=("class_pictures", "prior_target", "prior_dropout")),
        Label("Keep the class as it was"),
        Heading.PRIOR,
    ] = Field(
        default=True,
        description="Prior preservation: also train on images of the class that the base model generated, so that "
        "the class stays as it was.",
    )
    prior_weight: float = Field(default=1.0, ge=0, le=100, description="Weight of the loss on class images.")
    class_pictures: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Number of class images that the base model generates (default: recommended for the model).",
    )
    prior_target: Literal["model", "pictures"] | None = Field(
        default=None,
        description="Target of the loss on class images: model (the base model's prediction) or pictures (the images "
        "themselves) "
        "(default: recommended for the model).",
    )
    prior_dropout: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of class images trained without a caption, so that the unconditional prediction stays "
        "that of the class (default: recommended for the model).",
    )
    min_snr_gamma: Annotated[float | None, Label("Min-SNR weighting"), Trait.ON_CARD, Heading.LOSS] = Field(
        default=None, gt=0, description="Min-SNR loss weighting (arXiv 2303.09556); 5 is usual (default: off)."
    )
    noise_offset: Annotated[float | None, Trait.ON_CARD] = Field(
        default=None,
        gt=0,
        le=1,
        description="Noise added to each channel as a whole, for very dark and very bright images; 0.05 is usual "
        "(default: off).",
    )
    timestep_sampling: Annotated[Literal["uniform", "logit_normal", "shift"] | None, Trait.ON_CARD] = Field(
        default=None,
        description="How timesteps of a flow matching model are drawn: uniform, logit_normal or shift (default: the "
        "model's own).",
    )
    held_out: Annotated[int | None, Label("Images held out"), Heading.CHECKPOINTS] = Field(
        default=None,
        ge=0,
        le=1000,
        description="Number of images held out to detect overfitting (default: 1 if there are 8 or more, or a prepared "
        "dataset's validation images).",
    )
    checkpoint_every: int = Field(default=50, ge=1, description="Number of steps between checkpoints.")
    keep_checkpoints: Annotated[bool, Label("Keep every checkpoint"), Trait.LATER] = Field(
        default=False,
        description="Also save the adapter of every checkpoint, in the result's folder, to choose another one later.",
    )
    preview_prompt: tuple[Prompt, ...] = Field(
        default=(),
        max_length=64,
        description="Prompt of a preview; may be repeated (default: the subject, and its class).",
    )
    keep: Annotated[
        Literal["last", "best"],
        Flag(overrules=("balance", "trial_prompt", "patience", "encoder")),
        Label("Which checkpoint to save"),
    ] = Field(
        default="last",
        description="Save the weights of the last step, or of the checkpoint with the best subject and prompt "
        "fidelity.",
    )
    balance: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="If `keep` is best, weight of subject fidelity in a checkpoint's score, from 0 to 1; prompt "
        "fidelity has the rest (default: 0.5).",
    )
    trial_prompt: tuple[Prompt, ...] = Field(
        default=(),
        max_length=64,
        description="Prompt to score checkpoints with, with {} for the subject; may be repeated (default: six "
        "prompts).",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        description="If `keep` is best, stop after this many checkpoints without improvement (default: 3).",
    )
    encoder: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="If `keep` is best, network that scores checkpoints (default: the starter's)."
    )
    seed: Annotated[int, Heading.BASICS] = Field(default=42, ge=0, lt=2**63, description="Seed of everything random.")
    precision: Annotated[Precision, Heading.MEMORY] = Field(
        default="auto", description="Precision of the computation: auto, fp32, bf16 or fp16."
    )

    @model_validator(mode="after")
    def _steps_or_epochs(self) -> TrainRequest:
        if self.steps is not None and self.epochs is not None:
            raise ValueError(f"both steps ({self.steps}) and epochs ({self.epochs}) are given; give one of them")
        return self

    @model_validator(mode="after")
    def _prior_fields_need_prior(self) -> TrainRequest:
        for name in ("prior_target", "prior_dropout", "class_pictures"):
            if not self.prior and (value := getattr(self, name)) is not None:
                raise ValueError(f"{name} ({value}) is given without prior preservation; leave one of them out")
        return self

    @model_validator(mode="after")
    def _score_fields_need_best(self) -> TrainRequest:
        for name in ("balance", "trial_prompt", "patience", "encoder"):
            if self.keep == "last" and (value := getattr(self, name)) not in (None, ()):
                raise ValueError(f"{name} ({value}) is given, but no checkpoint is scored; add keep=best")
        return self

    @field_validator("trial_prompt")
    @classmethod
    def _prompts_with_subject(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for prompt in value:
            if SUBJECT not in prompt:
                raise ValueError(f"{prompt[:80]!r} has no place for the subject; write {SUBJECT} in it")
        if find_repeated(value) is not None:
            raise ValueError("a trial prompt is given twice; give each once")
        return value

    @field_validator("prompt")
    @classmethod
    def _known_placeholders(cls, value: str) -> str:
        try:
            parts = list(Formatter().parse(value))
        except ValueError:
            parts = [("", "?", "", None)]
        if any(name not in (None, "identifier", "class") or spec or conversion for _, name, spec, conversion in parts):
            raise ValueError(f"prompt {value[:80]!r} may contain only {{identifier}} and {{class}}")
        return value

    @model_validator(mode="after")
    def _identifier_is_usable(self) -> TrainRequest:
        if self.identifier is None and self.prior:
            raise ValueError("prior preservation needs an identifier for the subject; give one, or turn prior off")
        if self.identifier == self.class_word:
            raise ValueError(f"the identifier is the class word {self.class_word!r}; use a made-up word, such as sks")
        return self

    @model_validator(mode="after")
    def _limited_prompts(self) -> TrainRequest:
        identifier, class_word = self.identifier or "", self.class_word
        marks = {"{identifier}": identifier, "{class}": class_word, SUBJECT: f"{identifier} {class_word}"}
        check_lengths((self.prompt, *self.preview_prompt, *self.trial_prompt), marks)
        return self

    @property
    def may_quantise(self) -> bool:
        return self.quantise is not None

    @property
    def texts(self) -> tuple[str, ...]:
        subject = {"identifier": self.identifier or "", "class": self.class_word}
        previews = (_filled(prompt, subject) for prompt in self.preview_prompt)
        trials = (self.of_subject(prompt) for prompt in self.trial_prompt)
        texts = (self.instance_prompt, self.class_prompt, *subject.values(), *previews, *trials)
        return tuple(text for text in dict.fromkeys(texts) if text.strip())

    @property
    def summary(self) -> str:
        return f"{self.data} as {self.instance_prompt}"

    @property
    def pixels(self) -> float:
        return (self.resolution or 0) ** 2

    @property
    def trigger_words(self) -> tuple[str, ...]:
        """The words that stand for the trained subject in a prompt."""
        return (self.identifier,) if self.identifier else ()

    @property
    def folder_name(self) -> str:
        """A name for the folder of the result: trigger words and class word."""
        words = (*self.trigger_words, *self.class_word.split())
        return "-".join(filter(None, (re.sub(r"[^\w.]+", "", word).strip(".") for word in words))) or "taught"

    @property
    def instance_prompt(self) -> str:
        """The caption of the subject's images."""
        words = {"identifier": self.identifier or "", "class": self.class_word}
        return " ".join(self.prompt.format(**words).split())

    def of_subject(self, prompt: str) -> str:
        """A prompt with the subject in place of {}."""
        return prompt.replace(SUBJECT, " ".join(filter(None, (self.identifier, self.class_word))))

    @property
    def class_prompt(self) -> str:
        """The caption of the class images: the same without the identifier."""
        return " ".join(self.prompt.format(**{"identifier": "", "class": self.class_word}).split())


def _filled(prompt: str, words: dict[str, str]) -> str:
    for name, word in words.items():
        prompt = prompt.replace("{" + name + "}", word)
    return prompt
