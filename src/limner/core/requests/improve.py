"""Request to improve an adapter or a model by people's feedback on its images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from limner.core.requests.feedback_selection import FEEDBACK_KINDS, FeedbackSelection
from limner.core.requests.parsing import check_prompts
from limner.core.requests.request import Flag, Heading, Name, Precision, Prompt, Refers, Request
from limner.core.requests.trial import TrialRequest
from limner.core.requests.uses import Contestant

LessonName = Literal["preference", "kto", "liked"]
MAX_PROMPTS = 1000
"""Most prompts that are given for the evaluation."""


class ImproveRequest(Request, FeedbackSelection):
    """Train an adapter or a model further on people's feedback on its images, and compare the result with it."""

    kind: Annotated[Literal["improve"], Flag(hidden=True)] = "improve"
    target: Annotated[Contestant, Flag(positional=True)] = Field(
        description="What to improve: ADAPTER, MODEL+ADAPTER or MODEL. It is not changed."
    )
    source: Annotated[Name | None, Flag("--from"), Refers("feedback", FEEDBACK_KINDS), Heading.BASICS] = Field(
        default=None,
        description="Feedback to learn from: ratings, pairs, or a .jsonl or .parquet file of one of them (default: all "
        "that is recorded).",
    )
    lesson: Annotated[Literal["auto", "preference", "kto", "liked"], Heading.BASICS] = Field(
        default="auto",
        description="How to learn: preference from pairs (Diffusion-DPO), kto from good and bad ratings "
        "(Diffusion-KTO), liked from the best rated images, or auto for the one that suits the feedback.",
    )
    model: Annotated[Name | None, Refers("model"), Heading.BASICS] = Field(
        default=None, description="Base model of an adapter (default: the one it was trained on)."
    )
    references: Annotated[Name | None, Refers("pictures"), Heading.BASICS] = Field(
        default=None,
        description="Folder of photos of the subject (default: the images that the adapter was trained on, where they "
        "are on this machine).",
    )
    steps: Annotated[int | None, Heading.LENGTH] = Field(
        default=None, ge=1, le=1_000_000, description="Training steps (default: recommended for the lesson)."
    )
    batch: int | None = Field(
        default=None, ge=1, le=1024, description="Pairs or images per step (default: recommended for the model)."
    )
    learning_rate: Annotated[float | None, Heading.OPTIMISER] = Field(
        default=None, gt=0, le=10, description="Learning rate (default: recommended for the lesson)."
    )
    beta: Annotated[float | None, Heading.LOSS] = Field(
        default=None,
        ge=0,
        le=1e6,
        description="Strength of the tie to the original in the lessons preference and kto; higher stays closer "
        "(default: recommended for the model).",
    )
    margin: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        description="Log-odds of preferred and rejected image above which a pair is learnt no further, and below whose "
        "negative it counts as a mistake (default: recommended for the lesson).",
    )
    anchor: float | None = Field(
        default=None,
        ge=0,
        le=1000,
        description="Weight of the ordinary training loss on preferred images, as a share of beta (default: "
        "recommended for the lesson).",
    )
    own_noise: bool = Field(
        default=False,
        description="Compare two images at the noise that each was generated from, where it is known, instead of at "
        "new noise that both share.",
    )
    held_out: Annotated[float, Heading.SCORES] = Field(
        default=0.2,
        ge=0.05,
        le=0.5,
        description="Share of prompts whose feedback is held out of the training, to compare the result on.",
    )
    prompt: tuple[Prompt, ...] = Field(
        default=(), max_length=MAX_PROMPTS, description="Another prompt to compare the images of; may be repeated."
    )
    most_prompts: int = Field(
        default=24, ge=1, le=MAX_PROMPTS, description="Maximum number of held-out prompts to generate images of."
    )
    count: int = Field(default=4, ge=1, le=100, description="Number of images for each prompt, with consecutive seeds.")
    encoder: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="Network that images are compared by (default: each metric's own)."
    )
    tolerance: float = Field(
        default=0.03,
        ge=0,
        le=1,
        description="Largest loss of prompt fidelity and subject fidelity with which the result still replaces the "
        "original, as a share of the original's.",
    )
    seed: Annotated[int, Heading.GENERATING] = Field(
        default=42, ge=0, lt=2**63, description="Seed of the training, of what is held out, and of the first image."
    )
    precision: Annotated[Precision, Heading.MEMORY] = Field(
        default="auto", description="Precision of the computation: auto, fp32, bf16 or fp16."
    )

    @property
    def selection(self) -> FeedbackSelection:
        """Which recorded feedback is used."""
        fields = FeedbackSelection.model_fields
        return FeedbackSelection.model_construct(**{name: getattr(self, name) for name in fields})

    @property
    def file(self) -> str | None:
        """The file that it learns from; None where it learns from recorded feedback."""
        return None if self.source in (None, *FEEDBACK_KINDS) else self.source

    @property
    def improved(self) -> str:
        """The path, reference or name of the adapter that is improved; of the model where it has none."""
        return self.target.adapter[0].path if self.target.adapter else str(self.target.model)

    def trial(self, prompts: Sequence[str]) -> TrialRequest:
        """How images are generated for prompts, with the original and with the result alike."""
        shared = {"count": self.count, "seed": self.seed, "precision": self.precision}
        return TrialRequest.model_validate({"prompt": tuple(prompts), **shared})

    @property
    def texts(self) -> tuple[str, ...]:
        return self.prompt

    @property
    def folder_name(self) -> str:
        return "improved"

    @property
    def summary(self) -> str:
        return f"{self.target} by {self.source or 'ratings and pairs'}"

    @property
    def image_count(self) -> int:
        return 2 * (len(self.prompt) + self.most_prompts) * self.count

    @property
    def unresolved(self) -> tuple[str, ...]:
        return ("model",) if self.target.may_lack_base and self.model is None else ()

    @field_validator("target")
    @classmethod
    def _one_adapter(cls, value: Contestant) -> Contestant:
        if len(value.adapter) > 1:
            raise ValueError(f"{str(value)[:80]!r} has {len(value.adapter)} adapters; improve one at a time")
        if any(use.weight != 1 for use in value.adapter):
            raise ValueError(f"{str(value)[:80]!r} has a weight; leave it out, because an adapter is improved as it is")
        return value

    @field_validator("prompt")
    @classmethod
    def _each_prompt_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_prompts(value)
        return value

    @model_validator(mode="after")
    def _selection_of_recorded_feedback(self) -> ImproveRequest:
        if self.file is None:
            return self
        given = [name for name in FeedbackSelection.model_fields if getattr(self, name) is not None]
        if given:
            raise ValueError(f"{given[0]} selects recorded feedback, but the feedback is a file; leave one of them out")
        return self
