"""How models are tried: the fields that requests which paint prompts to be judged share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from limner.core.requests.request import (
    MEMORY,
    QUANTISE,
    Device,
    Memory,
    Name,
    Precision,
    Prompt,
    Quantise,
    Refers,
    Request,
)
from limner.core.requests.parsing import find_repeated

MAX_IMAGES = 20_000
MAX_PROMPTS = 10_000
"""Prompts of a trial at most: each is painted by two contestants at least."""


class TrialRequest(Request):
    """Each prompt is painted from the same seeds, by every model in the same way."""

    prompt: tuple[Prompt, ...] = Field(max_length=MAX_PROMPTS, description="What to paint; may be repeated.")
    count: int = Field(
        default=4, ge=1, le=1000, description="Pictures of each prompt; picture i is painted from seed + i."
    )
    seed: int = Field(default=42, ge=0, lt=2**63, description="Seed of the first picture.")
    steps: int | None = Field(
        default=None, ge=1, le=1000, description="Denoising steps of all (default: what suits each model)."
    )
    guidance: float | None = Field(
        default=None, ge=0, le=100, description="Guidance scale of all (default: what suits each model)."
    )
    scheduler: Name | None = Field(default=None, description="Sampler of all, by name (default: each model's own).")
    width: int | None = Field(default=None, ge=8, le=8192, description="Width in pixels (default: each model's own).")
    height: int | None = Field(default=None, ge=8, le=8192, description="Height in pixels (default: each model's own).")
    encoder: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="Network of those scores that name none (default: what suits each score)."
    )
    batch: int = Field(default=8, ge=1, le=256, description="How many pictures go through the model together.")
    memory: Memory = Field(default="high", description=MEMORY)
    quantise: Quantise | None = Field(default=None, description=QUANTISE)
    device: Device = Field(default="auto", description="auto, cpu, cuda, cuda:1 or mps.")
    precision: Precision = Field(default="auto", description="auto, fp32, bf16 or fp16.")

    @property
    def words(self) -> tuple[str, ...]:
        return self.prompt

    @property
    def pixels(self) -> float:
        return (self.width or self.height or 0) * (self.height or self.width or 0)

    @field_validator("prompt")
    @classmethod
    def _said_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(prompt.strip() for prompt in value):
            raise ValueError("a prompt is empty; say what to paint")
        if twice := find_repeated(value):
            raise ValueError(f"{twice[:80]!r} is there twice; ask for more pictures of it by --count")
        return value

    @model_validator(mode="after")
    def _of_a_size(self) -> TrialRequest:
        if self.pictures > MAX_IMAGES:
            raise ValueError(f"{self.pictures} pictures are asked for, and {MAX_IMAGES} are the most; ask for fewer")
        return self
