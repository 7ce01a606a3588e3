"""Request to compare models or adapters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from limner.core.requests.request import MAX_METRICS, Choices, Flag, Heading, Name, Refers
from limner.core.requests.trial import TrialRequest
from limner.core.requests.uses import Contestant, MetricUse


class CompareRequest(TrialRequest):
    """Generate the same prompts and seeds with several models or adapters, and compare their scores."""

    kind: Annotated[Literal["compare"], Flag(hidden=True)] = "compare"
    contestants: Annotated[tuple[Contestant, ...], Flag(positional=True)] = Field(
        min_length=2,
        max_length=8,
        description="Two to eight models or adapters: MODEL, ADAPTER, ADAPTER:WEIGHT or MODEL+ADAPTER:WEIGHT (write "
        "++ for a "
        "+ in a name). The others are compared with the first.",
    )
    model: Annotated[Name | None, Refers("model"), Heading.BASICS] = Field(
        default=None,
        description="Base model of adapters given without a model (default: the one each was trained on).",
    )
    metric: Annotated[tuple[MetricUse, ...], Heading.SCORES, Choices("metrics")] = Field(
        default=(MetricUse(name="prompt_fidelity"), MetricUse(name="saturation")),
        min_length=1,
        max_length=MAX_METRICS,
        description="Metric, as NAME or NAME=MODEL; may be repeated.",
    )
    references: Annotated[Name | None, Refers("pictures")] = Field(
        default=None, description="Folder with photos of the subject, for metrics that need them."
    )
    pairs: int = Field(
        default=100, ge=1, le=1000, description="Maximum number of image pairs on the page for blind votes."
    )

    @model_validator(mode="after")
    def _has_prompts(self) -> CompareRequest:
        if not self.prompt and self.prompts is None:
            raise ValueError("prompt is missing; give --prompt or --prompts")
        return self

    @property
    def summary(self) -> str:
        return " against ".join(map(str, self.contestants))

    @property
    def image_count(self) -> int:
        return len(self.contestants) * len(self.prompt) * self.count

    @property
    def unresolved(self) -> tuple[str, ...]:
        return ("model",) if self.model is None and any(each.may_lack_base for each in self.contestants) else ()
