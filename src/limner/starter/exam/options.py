"""Options of the starter's exam."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from limner.core.requests import Frozen, Name, Precision


class ExamOptions(Frozen):
    """Examine the starter: generate images for prompts that it was not trained on, and score them by a judge."""

    model: Name = Field(default="starter", description="The starter, or a folder with another version of it.")
    guidance: tuple[Annotated[float, Field(ge=0, le=100)], ...] = Field(
        default=(),
        description="Guidance scale; may be repeated "
        "(default: 1.5, 3, 5, 7.5 and 12.5; with `personalise` the model's).",
    )
    steps: int | None = Field(default=None, ge=1, le=1000, description="Denoising steps (default: the model's).")
    scheduler: Name | None = Field(default=None, description="Scheduler by name (default: the model's).")
    precision: Precision = Field(default="auto", description="Precision of the computation: auto, fp32, bf16 or fp16.")
    questions: int | None = Field(
        default=None, ge=1, le=512, description="Number of the exam's prompts to use (default: all 512)."
    )
    personalise: bool = Field(default=False, description="Train adapters for ten characters, and examine those.")

    @model_validator(mode="after")
    def _check_personalise(self) -> ExamOptions:
        if self.personalise and self.questions is not None:
            raise ValueError("--questions cannot be used with --personalise, which has prompts of its own; remove one")
        if self.personalise and len(self.guidance) > 1:
            raise ValueError("--personalise uses one guidance scale; give --guidance once")
        return self
