"""A wish to know which of several contestants is better."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from limner.core.requests.request import MAX_METRICS, Flag, Name, Prompt, Refers
from limner.core.requests.trial import MAX_PROMPTS, TrialRequest
from limner.core.requests.uses import Contestant, MetricUse


class CompareRequest(TrialRequest):
    """Paint the same prompts and seeds with several models or adapters, and tell which is better."""

    kind: Annotated[Literal["compare"], Flag(hidden=True)] = "compare"
    contestants: Annotated[tuple[Contestant, ...], Flag(positional=True)] = Field(
        min_length=2,
        max_length=8,
        description="What is compared, two to eight: MODEL, ADAPTER, ADAPTER:WEIGHT or MODEL+ADAPTER:WEIGHT (a + of a "
        "name is written ++). The others are compared with the first.",
    )
    prompt: tuple[Prompt, ...] = Field(
        min_length=1, max_length=MAX_PROMPTS, description="What to paint; may be repeated."
    )
    model: Annotated[Name | None, Refers("model")] = Field(
        default=None,
        description="Base model of those adapters that stand by themselves (default: the one that each was taught on).",
    )
    metric: tuple[MetricUse, ...] = Field(
        default=(MetricUse(name="prompt_fidelity"), MetricUse(name="saturation")),
        min_length=1,
        max_length=MAX_METRICS,
        description="Score, as NAME or NAME=MODEL; may be repeated.",
    )
    references: Annotated[Name | None, Refers("pictures")] = Field(
        default=None, description="Folder with photographs of the subject, for scores that need them."
    )
    pairs: int = Field(default=100, ge=1, le=1000, description="The most pairs of pictures that the blind page shows.")

    @property
    def about(self) -> str:
        return " against ".join(map(str, self.contestants))

    @property
    def pictures(self) -> int:
        return len(self.contestants) * len(self.prompt) * self.count

    @property
    def looked_up(self) -> tuple[str, ...]:
        return ("model",) if self.model is None and any(each.by_itself for each in self.contestants) else ()
