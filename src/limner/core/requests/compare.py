"""A wish to know which of several contestants is better."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from .request import Flag, Name, Prompt, Refers
from .trial import Trial
from .uses import Contestant, MetricUse

MOST_PICTURES = 20_000


class CompareRequest(Trial):
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
    metric: tuple[MetricUse, ...] = Field(
        default=(MetricUse(name="prompt_fidelity"), MetricUse(name="saturation")),
        min_length=1,
        description="Score, as NAME or NAME=MODEL; may be repeated.",
    )
    references: Annotated[Name | None, Refers("pictures")] = Field(
        default=None, description="Folder with photographs of the subject, for scores that need them."
    )
    pairs: int = Field(default=100, ge=1, le=1000, description="The most pairs of pictures that the blind page shows.")

    @property
    def words(self) -> tuple[str, ...]:
        return self.prompt

    @property
    def about(self) -> str:
        return " against ".join(map(str, self.contestants))

    @property
    def pictures(self) -> int:
        return len(self.contestants) * len(self.prompt) * self.count

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
