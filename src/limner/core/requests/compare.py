"""A wish to know which of several contestants is better."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from .request import MEMORY, QUANTISE, Device, Flag, Memory, Name, Precision, Prompt, Quantise, Refers, Request
from .uses import Contestant, MetricUse

MOST_PICTURES = 20_000


class CompareRequest(Request):
    """Paint the same prompts and seeds with several models or adapters, and tell which is better."""

    kind: Annotated[Literal["compare"], Flag(hidden=True)] = "compare"
    contestants: Annotated[tuple[Contestant, ...], Flag(positional=True)] = Field(
        min_length=2,
        max_length=8,
        description="What is compared, two to eight: MODEL, ADAPTER, ADAPTER:WEIGHT or MODEL+ADAPTER:WEIGHT (a + of a "
        "name is written ++). The others are compared with the first.",
    )
    prompt: tuple[Prompt, ...] = Field(min_length=1, description="What to paint; may be repeated.")
    model: Annotated[Name | None, Refers("model")] = Field(
        default=None,
        description="Base model of those adapters that stand by themselves (default: the one that each was taught on).",
    )
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
    metric: tuple[MetricUse, ...] = Field(
        default=(MetricUse(name="prompt_fidelity"), MetricUse(name="saturation")),
        min_length=1,
        description="Score, as NAME or NAME=MODEL; may be repeated.",
    )
    references: Annotated[Name | None, Refers("pictures")] = Field(
        default=None, description="Folder with photographs of the subject, for scores that need them."
    )
    encoder: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="Network of those scores that name none (default: what suits each score)."
    )
    pairs: int = Field(default=100, ge=1, le=1000, description="The most pairs of pictures that the blind page shows.")
    batch: int = Field(default=8, ge=1, le=256, description="How many pictures go through the model together.")
    memory: Memory = Field(default="high", description=MEMORY)
    quantise: Quantise | None = Field(default=None, description=QUANTISE)
    device: Device = Field(default="auto", description="auto, cpu, cuda, cuda:1 or mps.")
    precision: Precision = Field(default="auto", description="auto, fp32, bf16 or fp16.")

    @property
    def words(self) -> tuple[str, ...]:
        return self.prompt

    @property
    def about(self) -> str:
        return " against ".join(map(str, self.contestants))

    @property
    def pictures(self) -> int:
        return len(self.contestants) * len(self.prompt) * self.count

    @property
    def pixels(self) -> float:
        return (self.width or self.height or 0) * (self.height or self.width or 0)

    @field_validator("prompt")
    @classmethod
    def _said_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(prompt.strip() for prompt in value):
            raise ValueError("a prompt is empty; say what to paint")
        if twice := next((prompt for prompt in value if value.count(prompt) > 1), None):
            raise ValueError(f"{twice[:80]!r} is there twice; ask for more pictures of it by --count")
        return value

    @model_validator(mode="after")
    def _possible(self) -> CompareRequest:
        if self.pictures > MOST_PICTURES:
            raise ValueError(f"{self.pictures} pictures are asked for, and {MOST_PICTURES} are the most; ask for fewer")
        return self
