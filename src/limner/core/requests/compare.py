"""Request to compare models or adapters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from limner.core.requests.request import (
    MAX_METRICS,
    SUBJECT,
    Choices,
    Flag,
    Heading,
    Name,
    Prompt,
    Refers,
    Word,
    check_lengths,
)
from limner.core.requests.trial import MAX_PROMPTS, TrialRequest
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
    prompt: Annotated[tuple[Prompt, ...], Heading.BASICS] = Field(
        default=(), max_length=MAX_PROMPTS, description="What to generate, with {} for the subject; may be repeated."
    )
    model: Annotated[Name | None, Refers("model"), Heading.BASICS] = Field(
        default=None,
        description="Base model of adapters given without a model (default: the one each was trained on).",
    )
    metric: Annotated[tuple[MetricUse, ...], Heading.SCORES, Choices("metrics")] = Field(
        default=(),
        max_length=MAX_METRICS,
        description="Metric, as NAME or NAME=MODEL; may be repeated; the first that agrees with the truth decides "
        "(default: subject fidelity if photos of the subject are known, prompt fidelity and saturation).",
    )
    references: Annotated[Name | None, Refers("pictures")] = Field(
        default=None,
        description="Folder with photos of the subject (default: the images that the adapters were trained on, where "
        "they are on this machine).",
    )
    identifier: Annotated[Word | None, Heading.BASICS] = Field(
        default=None, description="Made-up word for the subject (default: the one each adapter was trained with)."
    )
    class_word: Annotated[Word | None, Flag("--class"), Heading.BASICS] = Field(
        default=None, description="What the subject is (default: the class that the adapters were trained with)."
    )
    pairs: int = Field(
        default=100, ge=1, le=1000, description="Maximum number of image pairs on the page for blind votes."
    )

    @property
    def texts(self) -> tuple[str, ...]:
        named = tuple(filter(None, (self.identifier, self.class_word)))
        return tuple(dict.fromkeys((*(prompt.replace(SUBJECT, " ".join(named)) for prompt in self.prompt), *named)))

    @model_validator(mode="after")
    def _subject_fits_prompts(self) -> CompareRequest:
        check_lengths(self.prompt, {SUBJECT: f"{self.identifier or ''} {self.class_word or ''}"})
        return self

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
        lacks_base = self.model is None and any(each.may_lack_base for each in self.contestants)
        subject = any(SUBJECT in prompt for prompt in self.prompt) and any(each.may_adapt for each in self.contestants)
        open_ = [name for name in ("identifier", "class_word") if subject and getattr(self, name) is None]
        return (*(("model",) if lacks_base else ()), *open_)
