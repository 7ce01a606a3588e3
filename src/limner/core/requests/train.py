"""A wish for a model that knows a subject."""

from __future__ import annotations

import json
import re
from string import Formatter
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, Field, field_validator, model_validator

from limner.core.requests.request import (
    MAX_PROMPT,
    MODEL,
    QUANTISE,
    SUBJECT,
    VAE,
    Device,
    Flag,
    Name,
    Precision,
    Prompt,
    Quantise,
    Refers,
    Request,
    Word,
    check_lengths,
)
from limner.core.requests.parsing import find_repeated

OptionName = Annotated[str, Field(max_length=64)]


def _small(options: dict[str, Any]) -> dict[str, Any]:
    """The options, whose values only the method knows; refuses larger ones than any method takes."""
    if not _few(options) or len(json.dumps(options, default=str)) > MAX_PROMPT:
        raise ValueError(f"the options have more than {MAX_PROMPT:,} characters; write less")
    return options


def _few(options: dict[str, Any]) -> bool:
    """Whether there are fewer values than characters are allowed; raises ValueError for deep nesting."""
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
    """Teach a model a subject from a few pictures (DreamBooth: an identifier, a class word, prior preservation)."""

    kind: Annotated[Literal["train"], Flag(hidden=True)] = "train"
    data: Annotated[Name, Flag(positional=True), Refers("pictures")] = Field(
        description="Folder of pictures of the subject."
    )
    class_word: Annotated[Word, Flag("--class")] = Field(description="What the subject is, such as dog or teapot.")
    identifier: Word | None = Field(
        default="sks",
        description="Made-up word that shall stand for the subject; null in a recipe learns from captions alone.",
    )
    model: Annotated[Name, Refers("model")] = Field(default="starter", description=MODEL)
    vae: Annotated[Name | None, Refers("model")] = Field(default=None, description=VAE)
    method: Annotated[Name, Flag(overrules=("learning_rate", "text_learning_rate"))] = Field(
        default="lora", description="Way to learn."
    )
    options: Annotated[dict[OptionName, Any], Flag(hidden=True), AfterValidator(_small)] = Field(
        default_factory=dict, max_length=64, description="Options of the method."
    )
    prompt: Prompt = Field(
        default="a photo of {identifier} {class}",
        description="Caption of every picture without a text file of its name beside it; {identifier} and {class} are "
        "filled in.",
    )
    steps: Annotated[int | None, Flag(overrules=("epochs",))] = Field(
        default=None, ge=1, le=10_000_000, description="Training steps (default: what suits the model)."
    )
    epochs: Annotated[int | None, Flag(overrules=("steps",))] = Field(
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
    optimiser: Annotated[
        Literal["adamw", "adamw8bit", "prodigy", "adafactor"], Flag(overrules=("learning_rate", "text_learning_rate"))
    ] = Field(default="adamw", description="adamw, adamw8bit, prodigy or adafactor.")
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
    prior: Annotated[bool, Flag(overrules=("class_pictures", "prior_target", "prior_dropout"))] = Field(
        default=True, description="Prior preservation: keep the class as the base model knows it."
    )
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
    preview_prompt: tuple[Prompt, ...] = Field(
        default=(), max_length=64, description="Prompt of a preview; may be repeated."
    )
    keep: Annotated[Literal["last", "best"], Flag(overrules=("balance", "trial_prompt", "patience", "encoder"))] = (
        Field(
            default="last",
            description="What is kept: the last step, or the best checkpoint by subject and prompt fidelity.",
        )
    )
    balance: float | None = Field(
        default=None, ge=0, le=1, description="Weight of the subject against the prompt in the best (default: 0.5)."
    )
    trial_prompt: tuple[Prompt, ...] = Field(
        default=(),
        max_length=64,
        description="What checkpoints are scored on, with {} for the subject; may be repeated (default: six).",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        description="Checkpoints after the best from which on training stops (default: 3).",
    )
    encoder: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="Network that scores checkpoints (default: the starter's own)."
    )
    track: tuple[Literal["tensorboard", "wandb"], ...] = Field(
        default=(), max_length=8, description="Tracker to log to; may be repeated."
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

    @model_validator(mode="after")
    def _scored_or_not(self) -> TrainRequest:
        for name in ("balance", "trial_prompt", "patience", "encoder"):
            if self.keep == "last" and (value := getattr(self, name)) not in (None, ()):
                raise ValueError(f"{name} ({value}) is given while no checkpoint is scored; add keep=best")
        return self

    @field_validator("trial_prompt")
    @classmethod
    def _of_the_subject(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for prompt in value:
            if SUBJECT not in prompt:
                raise ValueError(f"{prompt[:80]!r} does not say where the subject stands; write {SUBJECT} there")
        if find_repeated(value) is not None:
            raise ValueError("a trial prompt is there twice; name each once")
        return value

    @field_validator("prompt")
    @classmethod
    def _fillable(cls, value: str) -> str:
        try:
            parts = list(Formatter().parse(value))
        except ValueError:
            parts = [("", "?", "", None)]
        if any(name not in (None, "identifier", "class") or spec or conversion for _, name, spec, conversion in parts):
            raise ValueError(f"prompt {value[:80]!r} may hold only {{identifier}} and {{class}}")
        return value

    @model_validator(mode="after")
    def _a_subject_or_none(self) -> TrainRequest:
        if self.identifier is None and self.prior:
            raise ValueError("without an identifier there is no subject to tell from its class; turn prior off")
        if self.identifier == self.class_word:
            raise ValueError(
                f"the identifier is the class word {self.class_word!r} itself; make a word up, such as sks"
            )
        return self

    @model_validator(mode="after")
    def _not_too_long_when_filled(self) -> TrainRequest:
        identifier, class_word = self.identifier or "", self.class_word
        marks = {"{identifier}": identifier, "{class}": class_word, SUBJECT: f"{identifier} {class_word}"}
        check_lengths((self.prompt, *self.preview_prompt, *self.trial_prompt), marks)
        return self

    @property
    def words(self) -> tuple[str, ...]:
        subject = {"identifier": self.identifier or "", "class": self.class_word}
        previews = (_filled(prompt, subject) for prompt in self.preview_prompt)
        trials = (self.of_subject(prompt) for prompt in self.trial_prompt)
        texts = (self.instance_prompt, self.class_prompt, *subject.values(), *previews, *trials)
        return tuple(text for text in dict.fromkeys(texts) if text.strip())

    @property
    def about(self) -> str:
        return f"{self.data} as {self.instance_prompt}"

    @property
    def pixels(self) -> float:
        return (self.resolution or 0) ** 2

    @property
    def trigger_words(self) -> tuple[str, ...]:
        """The words that call up what was learnt."""
        return (self.identifier,) if self.identifier else ()

    @property
    def name(self) -> str:
        """A folder's name for what is learnt: its trigger words and its class word."""
        words = (*self.trigger_words, *self.class_word.split())
        return "-".join(filter(None, (re.sub(r"[^\w.]+", "", word).strip(".") for word in words))) or "taught"

    @property
    def instance_prompt(self) -> str:
        """The caption of the subject's pictures."""
        words = {"identifier": self.identifier or "", "class": self.class_word}
        return " ".join(self.prompt.format(**words).split())

    def of_subject(self, prompt: str) -> str:
        """A prompt with the subject where it has {}."""
        return prompt.replace(SUBJECT, " ".join(filter(None, (self.identifier, self.class_word))))

    @property
    def class_prompt(self) -> str:
        """The caption of the class pictures: the same without the identifier."""
        return " ".join(self.prompt.format(**{"identifier": "", "class": self.class_word}).split())


def _filled(prompt: str, words: dict[str, str]) -> str:
    for name, word in words.items():
        prompt = prompt.replace("{" + name + "}", word)
    return prompt
