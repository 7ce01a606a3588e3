"""How an exam is sat: what a user may choose of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from limner.core.requests import Frozen, Name, Precision


class Sitting(Frozen):
    """Examine the starter: it paints prompts that it never saw, and the judge reads what is in the pictures."""

    model: Name = Field(default="starter", description="The starter, or a folder with another one.")
    guidance: tuple[Annotated[float, Field(ge=0, le=100)], ...] = Field(
        default=(),
        description="Guidance scale; may be repeated "
        "(default: 1.5, 3, 5, 7.5 and 12.5; with --personalise the model's).",
    )
    steps: int | None = Field(
        default=None, ge=1, le=1000, description="Denoising steps (default: what suits the model)."
    )
    scheduler: Name | None = Field(default=None, description="Sampler by name (default: the model's own).")
    precision: Precision = Field(default="auto", description="auto, fp32, bf16 or fp16.")
    questions: int | None = Field(default=None, ge=1, le=512, description="Only so many of the 512 questions.")
    personalise: bool = Field(default=False, description="Teach ten characters, and examine what was learnt.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Sitting:
        if self.personalise and self.questions is not None:
            raise ValueError("--questions counts the exam's prompts, of which --personalise asks none; leave one out")
        if self.personalise and len(self.guidance) > 1:
            raise ValueError("--personalise is painted at one guidance; give --guidance once")
        return self
