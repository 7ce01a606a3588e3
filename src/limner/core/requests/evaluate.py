"""A wish to know how good a model or an adapter is."""

from __future__ import annotations

import operator
import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from .request import Flag, Frozen, Name, Prompt, Refers
from .trial import Trial
from .uses import Contestant, MetricUse

SUBJECT = "{}"
"""Stands for the subject in a prompt."""
DRIFT = "class_drift"
"""The metric that is of pictures of the class alone, and not of those that were asked for."""
PLAIN = ("a photo of a {}", "a {} in a park", "a {} on a beach", "a picture of a {} in a room")
"""Prompts of the class alone, by which it is seen whether that has moved."""
_HOLDS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


class Requirement(Frozen):
    """What a metric's mean must be; as text "subject_fidelity>=0.7"."""

    metric: Name = Field(description="Name of the metric, as it was asked for.")
    holds: Literal[">=", "<=", ">", "<"] = Field(description="How the mean must stand to the value.")
    value: float = Field(description="The value.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = re.fullmatch(r"\s*(.+?)\s*(>=|<=|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*", value)
        if found is None:
            raise ValueError(f"{value[:80]!r} is not of the form METRIC>=VALUE, such as subject_fidelity>=0.7")
        return {"metric": found[1], "holds": found[2], "value": float(found[3])}

    def met(self, mean: float) -> bool:
        """Whether a mean is as it must be."""
        return bool(_HOLDS[self.holds](mean, self.value))

    def __str__(self) -> str:
        return f"{self.metric}{self.holds}{self.value:g}"


class EvaluateRequest(Trial):
    """Paint prompts with a model or an adapter, or take the pictures of a folder, and measure how good they are."""

    kind: Annotated[Literal["evaluate"], Flag(hidden=True)] = "evaluate"
    target: Annotated[Contestant, Flag(positional=True)] = Field(
        description="What is evaluated: MODEL, ADAPTER, ADAPTER:WEIGHT, MODEL+ADAPTER:WEIGHT, or a folder of pictures."
    )
    dataset: Annotated[Name | None, Refers("pictures")] = Field(
        default=None, description="Folder with photographs of the subject."
    )
    prompt: tuple[Prompt, ...] = Field(
        default=(), max_length=1000, description="What to paint, with {} for the subject; may be repeated."
    )
    identifier: Name | None = Field(
        default=None, description="Made-up word for the subject (default: the one that the adapter was taught)."
    )
    class_word: Annotated[Name | None, Flag("--class")] = Field(
        default=None, description="What the subject is (default: as the adapter was taught)."
    )
    model: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="Base model of an adapter (default: the one that it was taught on)."
    )
    metric: tuple[MetricUse, ...] = Field(
        default=(), description="Score, as NAME or NAME=MODEL; may be repeated (default: what agrees with the truth)."
    )
    require: tuple[Requirement, ...] = Field(
        default=(), description="What a mean must be, such as subject_fidelity>=0.7; may be repeated."
    )

    @property
    def words(self) -> tuple[str, ...]:
        named = tuple(filter(None, (self.identifier, self.class_word)))
        filled = (prompt.replace(SUBJECT, " ".join(named)) for prompt in self.prompt)
        return tuple(dict.fromkeys((*filled, *named)))

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
        return (len(self.prompt) + plain) * self.count

    @property
    def may_drift(self) -> bool:
        """Whether pictures of the class alone may be painted, for all that the request tells."""
        wanted = not self.metric or any(use.name == DRIFT for use in self.metric)
        return bool(self.prompt) and self.target.adapts and wanted

    @model_validator(mode="after")
    def _required_of_what_is_asked_for(self) -> EvaluateRequest:
        asked = {str(use) for use in self.metric}
        for wanted in self.require:
            if asked and wanted.metric not in asked:
                raise ValueError(
                    f"{wanted} is required of a metric that is not asked for; add --metric {wanted.metric}"
                )
        return self
