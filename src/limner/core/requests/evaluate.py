"""A wish to know how good a model or an adapter is."""

from __future__ import annotations

import operator
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from limner.core.requests.groups import MAX_GROUPS, FilledPrompt, check_groups, fill_groups, split_groups, count_filled
from limner.core.requests.request import MAX_METRICS, SUBJECT, Flag, Frozen, Name, Prompt, Refers, Word, check_lengths
from limner.core.requests.parsing import parse_number
from limner.core.requests.trial import TrialRequest
from limner.core.requests.uses import Contestant, MetricUse

GAP = ".gap"
"""Stands behind a metric for the gap of its means between groups."""
MISTAKEN = "mistaken"
"""The share of pictures that are taken for those of another group."""
DRIFT = "class_drift"
"""The metric that is of pictures of the class alone, and not of those that were asked for."""
PLAIN = ("a photo of a {}", "a {} in a park", "a {} on a beach", "a picture of a {} in a room")
"""Prompts of the class alone, by which it is seen whether that has moved."""
_HOLDS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


Group = Annotated[str, Field(max_length=200)]


class Requirement(Frozen):
    """What a metric's mean must be; as text "subject_fidelity>=0.7".

    With ".gap" behind the metric's name, what its gap between groups must be, as in "prompt_fidelity.gap<=0.05";
    "mistaken<=0.1" is of the share of pictures that are taken for those of another group.
    """

    metric: Name = Field(description="Name of the metric, as it was asked for; NAME.gap for its gap between groups.")
    holds: Literal[">=", "<=", ">", "<"] = Field(description="How the mean must stand to the value.")
    value: float = Field(description="The value.")

    @classmethod
    def from_text(cls, text: str) -> Any:
        at = max(text.rfind(">"), text.rfind("<"))
        metric, holds = text[: max(at, 0)].strip(), text[at : at + 1] + ("=" if text[at + 1 : at + 2] == "=" else "")
        value = parse_number(text[at + len(holds) :].strip())
        if at < 0 or not metric or metric.endswith("=") or value is None or not isfinite(value):
            raise ValueError(f"{text[:80]!r} is not of the form METRIC>=VALUE, such as subject_fidelity>=0.7")
        return {"metric": metric, "holds": holds, "value": value}

    @property
    def of(self) -> str:
        """The metric that it is about."""
        return self.metric.removesuffix(GAP)

    @property
    def of_gap(self) -> bool:
        """Whether it is about the gap between groups."""
        return self.metric.endswith(GAP)

    def met(self, mean: float) -> bool:
        """Whether a mean is as it must be."""
        return bool(_HOLDS[self.holds](mean, self.value))

    def __str__(self) -> str:
        return f"{self.metric}{self.holds}{self.value:g}"


class EvaluateRequest(TrialRequest):
    """Paint prompts with a model or an adapter, or take the pictures of a folder, and measure how good they are."""

    kind: Annotated[Literal["evaluate"], Flag(hidden=True)] = "evaluate"
    target: Annotated[Contestant, Flag(positional=True)] = Field(
        description="What is evaluated: MODEL, ADAPTER, ADAPTER:WEIGHT, MODEL+ADAPTER:WEIGHT, or a folder of pictures."
    )
    dataset: Annotated[Name | None, Refers("pictures")] = Field(
        default=None, description="Folder with photographs of the subject."
    )
    prompt: tuple[Prompt, ...] = Field(
        default=(),
        max_length=1000,
        description="What to paint, with {} for the subject and {group} for a group; may be repeated.",
    )
    groups: tuple[Group, ...] = Field(
        default=(),
        max_length=MAX_GROUPS,
        description="Groups to be served alike, such as cat,dog: each stands for {group} in turn; may be repeated.",
    )
    identifier: Word | None = Field(
        default=None, description="Made-up word for the subject (default: the one that the adapter was taught)."
    )
    class_word: Annotated[Word | None, Flag("--class")] = Field(
        default=None, description="What the subject is (default: as the adapter was taught)."
    )
    model: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="Base model of an adapter (default: the one that it was taught on)."
    )
    metric: tuple[MetricUse, ...] = Field(
        default=(),
        max_length=MAX_METRICS,
        description="Score, as NAME or NAME=MODEL; may be repeated (default: what agrees with the truth).",
    )
    require: tuple[Requirement, ...] = Field(
        default=(),
        max_length=4 * MAX_METRICS,
        description="What a mean must be, such as subject_fidelity>=0.7; may be repeated.",
    )
    influence: bool | None = Field(
        default=None,
        description="Tell which training pictures do harm or nothing; --dataset is then what the adapter learnt from "
        "(default: where that is so).",
    )

    @property
    def fill_groups(self) -> tuple[FilledPrompt, ...]:
        """What is painted, still with {} for the subject."""
        return fill_groups(self.prompt, self.groups)

    @property
    def words(self) -> tuple[str, ...]:
        named = tuple(filter(None, (self.identifier, self.class_word)))
        prompts = (each.prompt.replace(SUBJECT, " ".join(named)) for each in self.filled)
        return tuple(dict.fromkeys((*prompts, *named)))

    @property
    def looked_up(self) -> tuple[str, ...]:
        wanted = (
            *(("model",) if self.target.by_itself else ()),
            *(("identifier", "class_word") if self.prompt else ()),
        )
        return tuple(name for name in wanted if getattr(self, name) is None) if self.target.adapts else ()

    @property
    def name(self) -> str:
        return "evaluation"

    @property
    def about(self) -> str:
        return str(self.target)

    @property
    def pictures(self) -> int:
        plain = 2 * len(PLAIN) if self.may_drift else 0  # by the adapter, and by the model without it
        return (count_filled(self.prompt, self.groups) + plain) * self.count

    @property
    def may_drift(self) -> bool:
        """Whether pictures of the class alone may be painted, for all that the request tells."""
        wanted = not self.metric or any(use.name == DRIFT for use in self.metric)
        return bool(self.prompt) and self.target.adapts and wanted

    @field_validator("groups", mode="before")
    @classmethod
    def _one_by_one(cls, value: Any) -> Any:
        return split_groups(value)

    @model_validator(mode="after")
    def _groups_and_prompts(self) -> EvaluateRequest:
        check_groups(self.prompt, self.groups, self.count)
        subject = f"{self.identifier or ''} {self.class_word or ''}"
        check_lengths((each.prompt for each in self.filled), {SUBJECT: subject})
        return self

    @model_validator(mode="after")
    def _learnt_from_something(self) -> EvaluateRequest:
        if self.influence and self.dataset is None:
            raise ValueError("influence is told of the folder that the adapter learnt from; name it by --dataset")
        return self

    @model_validator(mode="after")
    def _required_of_what_is_asked_for(self) -> EvaluateRequest:
        asked = {str(use) for use in self.metric}
        for wanted in self.require:
            if (wanted.of_gap or wanted.of == MISTAKEN) and not self.groups:
                raise ValueError(f"{wanted} is required of groups, and none are named; give --groups")
            if asked and wanted.of not in {*asked, MISTAKEN}:
                raise ValueError(f"{wanted} is required of a metric that is not asked for; add --metric {wanted.of}")
        return self
