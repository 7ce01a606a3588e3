"""Request to evaluate a model, an adapter or a folder of images, with requirements and groups."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, field_validator, model_validator

from limner.core.prompts import suite
from limner.core.requests.parsing import find_repeated, parse_number
from limner.core.requests.request import (
    MAX_METRICS,
    SUBJECT,
    Choices,
    Flag,
    Frozen,
    Heading,
    Name,
    Prompt,
    Refers,
    Word,
    check_lengths,
)
from limner.core.requests.trial import TrialRequest
from limner.core.requests.uses import Contestant, MetricUse

GAP = ".gap"
"""Suffix of a metric's name for the gap between the means of groups."""
MISTAKEN = "mistaken"
"""The share of misclassified images, which are more similar to the prompt of another group."""
DRIFT = "class_drift"
"""The metric that scores images of the class alone, not of the prompts."""
PLAIN = ("a photo of a {}", "a {} in a park", "a {} on a beach", "a picture of a {} in a room")
"""Prompts of the class alone, which show whether training changed the class."""
GROUP = "{group}"
"""Placeholder for the group in a prompt."""
MAX_GROUPS = 64
_COMPARES = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
Group = Annotated[str, Field(max_length=200)]


class Requirement(Frozen):
    """A condition on the mean of a metric; as text "subject_fidelity>=0.7".

    NAME.gap is the gap between groups, as in "prompt_fidelity.gap<=0.05"; "mistaken<=0.1" limits the share of
    misclassified images, which are more similar to the prompt of another group.
    """

    metric: Name = Field(description="Name of the metric; NAME.gap for its gap between groups.")
    holds: Literal[">=", "<=", ">", "<"] = Field(description="How the mean must compare with the value.")
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
        """The name of the metric, without ".gap"."""
        return self.metric.removesuffix(GAP)

    @property
    def of_gap(self) -> bool:
        """Whether it limits the gap between groups."""
        return self.metric.endswith(GAP)

    def met(self, mean: float) -> bool:
        """Whether a mean meets the condition."""
        return bool(_COMPARES[self.holds](mean, self.value))

    def __str__(self) -> str:
        return f"{self.metric}{self.holds}{self.value:g}"


@dataclass(frozen=True, slots=True)
class FilledPrompt:
    """A prompt with a group filled in. template: as given. group: None if the prompt has no placeholder for one."""

    prompt: str
    template: str
    group: str | None


class EvaluateRequest(TrialRequest):
    """Score generated images of a model or an adapter, or the images in a folder."""

    kind: Annotated[Literal["evaluate"], Flag(hidden=True)] = "evaluate"
    target: Annotated[Contestant, Flag(positional=True)] = Field(
        description="What to evaluate: MODEL, ADAPTER, ADAPTER:WEIGHT, MODEL+ADAPTER:WEIGHT, or a folder of images."
    )
    dataset: Annotated[Name | None, Refers("pictures"), Heading.BASICS] = Field(
        default=None, description="Folder with photos of the subject."
    )
    prompt: Annotated[tuple[Prompt, ...], Heading.BASICS] = Field(
        default=(),
        max_length=1000,
        description="Prompt to generate images for, with {} for the subject and {group} for a group; may be repeated.",
    )
    suite: Annotated[Name | None, Heading.BASICS] = Field(
        default=None,
        description="Prompts by name, in place of `prompt`: pets, marketing, exam (the starter's), dreambench (with "
        "`dataset`).",
    )
    groups: Annotated[tuple[Group, ...], Heading.SUBJECT] = Field(
        default=(),
        max_length=MAX_GROUPS,
        description="Groups to compare, such as cat,dog; each replaces {group} in turn; may be repeated.",
    )
    identifier: Word | None = Field(
        default=None, description="Made-up word for the subject (default: the one the adapter was trained with)."
    )
    class_word: Annotated[Word | None, Flag("--class")] = Field(
        default=None, description="What the subject is (default: the class the adapter was trained with)."
    )
    model: Annotated[Name | None, Refers("model"), Heading.BASICS] = Field(
        default=None, description="Base model of an adapter (default: the one it was trained on)."
    )
    metric: Annotated[tuple[MetricUse, ...], Heading.SCORES, Choices("metrics")] = Field(
        default=(),
        max_length=MAX_METRICS,
        description="Metric, as NAME or NAME=MODEL; may be repeated (default: subject_fidelity, diversity, "
        "memorisation, "
        "sharpness, saturation, clipping and, for adapters, class_drift, as far as they can be measured).",
    )
    require: tuple[Requirement, ...] = Field(
        default=(),
        max_length=4 * MAX_METRICS,
        description="Condition on a mean, such as subject_fidelity>=0.7; may be repeated.",
    )
    influence: bool | None = Field(
        default=None,
        description="Rank training images by estimated usefulness; an error if `dataset` is not the folder of the "
        "training images (default: rank them if it is).",
    )

    def expanded(self, place: Callable[[str], str] = str) -> Self:
        if self.suite is None:
            return super().expanded(place)
        prompt, class_word = suite(self.suite, self.dataset)
        return self.changed(prompt=prompt, suite=None, class_word=self.class_word or class_word)

    @property
    def filled(self) -> tuple[FilledPrompt, ...]:
        """The prompts with groups filled in, still with {} for the subject."""
        return fill_groups(self.prompt, self.groups)

    @property
    def texts(self) -> tuple[str, ...]:
        named = tuple(filter(None, (self.identifier, self.class_word)))
        prompts = (each.prompt.replace(SUBJECT, " ".join(named)) for each in self.filled)
        return tuple(dict.fromkeys((*prompts, *named)))

    @property
    def unresolved(self) -> tuple[str, ...]:
        names = (
            *(("model",) if self.target.may_lack_base else ()),
            *(("identifier", "class_word") if self.prompt else ()),
        )
        return tuple(name for name in names if getattr(self, name) is None) if self.target.may_adapt else ()

    @property
    def folder_name(self) -> str:
        return "evaluation"

    @property
    def summary(self) -> str:
        return str(self.target)

    @property
    def image_count(self) -> int:
        plain = 2 * len(PLAIN) if self.may_drift else 0  # with the adapter, and with the base model
        return (count_filled(self.prompt, self.groups) + plain) * self.count

    @property
    def may_drift(self) -> bool:
        """Whether images of the class alone may be generated, as far as the request shows."""
        scored = not self.metric or any(use.name == DRIFT for use in self.metric)
        return bool(self.prompt) and self.target.may_adapt and scored

    @field_validator("groups", mode="before")
    @classmethod
    def _split_groups(cls, value: Any) -> Any:
        return split_groups(value)

    @model_validator(mode="after")
    def _groups_fit_prompts(self) -> EvaluateRequest:
        check_groups(self.prompt, self.groups, self.count)
        subject = f"{self.identifier or ''} {self.class_word or ''}"
        check_lengths((each.prompt for each in self.filled), {SUBJECT: subject})
        return self

    @model_validator(mode="after")
    def _influence_needs_training_images(self) -> EvaluateRequest:
        if self.influence and self.dataset is None:
            raise ValueError("influence needs the folder of the training images; give it by --dataset")
        return self

    @model_validator(mode="after")
    def _requirements_are_scored(self) -> EvaluateRequest:
        scored = {str(use) for use in self.metric}
        for each in self.require:
            if (each.of_gap or each.of == MISTAKEN) and not self.groups:
                raise ValueError(f"{each} is about groups, and none are given; give --groups")
            if scored and each.of not in {*scored, MISTAKEN}:
                raise ValueError(f"{each} needs a metric that is not requested; add --metric {each.of}")
        return self


def fill_groups(prompts: Sequence[str], groups: Sequence[str]) -> tuple[FilledPrompt, ...]:
    """Each prompt once for each group, or once if it has no placeholder for one."""
    return tuple(
        FilledPrompt(template.replace(GROUP, group), template, group)
        if group
        else FilledPrompt(template, template, None)
        for template in prompts
        for group in (groups if GROUP in template else ("",))
    )


def count_filled(prompts: Sequence[str], groups: Sequence[str]) -> int:
    """How many prompts `fill_groups` makes."""
    return sum(max(1, len(groups)) if GROUP in template else 1 for template in prompts)


def split_groups(value: Any) -> Any:
    """Groups given as "cat,dog" or one by one, as a list; what is not text is left to pydantic."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",", MAX_GROUPS)]
    if isinstance(value, (list, tuple)):
        parts = cast("Sequence[Any]", value)
        return [each for part in parts for each in (split_groups(part) if isinstance(part, str) else [part])]
    return value


def check_groups(prompts: Sequence[str], groups: Sequence[str], count: int) -> None:
    """Raise ValueError for groups and prompts that do not fit together.

    count: images for each prompt.
    """
    holding = [prompt for prompt in prompts if GROUP in prompt]
    if holding and not groups:
        raise ValueError(f"{holding[0][:80]!r} has a placeholder for groups, and none are given; give --groups cat,dog")
    if not groups:
        return
    if not all(groups):
        raise ValueError("a group is empty; name each by a word")
    if bad := next((group for group in groups if "{" in group or "}" in group), None):
        raise ValueError(f"the group {bad[:80]!r} contains a brace; name it by words")
    if len(set(groups)) < max(2, len(groups)):
        problem = "is given twice" if len(groups) > 1 else "is the only one"
        group = find_repeated(groups) or groups[0]
        raise ValueError(f"the group {group[:80]!r} {problem}; give two or more, each once")
    if not holding:
        raise ValueError(f"groups are given, and no prompt has a place for them; write {GROUP} in one")
    if len(holding) * count < 2:
        raise ValueError("each group has one image; ask for more by --count")
    check_lengths((prompt for prompt in holding for _ in groups), {GROUP: max(groups, key=len)})
    if (twice := find_repeated(each.prompt for each in fill_groups(prompts, groups))) is not None:
        raise ValueError(f"{twice[:80]!r} occurs twice with the groups filled in; leave one out")
