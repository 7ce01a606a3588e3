"""What each training picture did for pictures, as it is told and kept."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from limner.core.requests import Frozen

Usefulness = Literal["useful", "useless", "harmful"]


class TrainingImage(Frozen):
    """A training picture. worth: its mean score for pictures that it should help, None where there are none."""

    picture: str
    sha256: str
    caption: str
    worth: float | None = None
    verdict: Usefulness | None = None


class ExplainedImage(Frozen):
    """A picture and the score of each training picture for it, in their order.

    A picture like no other scores about 1 for itself, and one that did nothing 0; below 0, the picture would be more
    like the model's own without it. painted_by: what painted it by its label, where that was not this adapter.
    """

    picture: str
    sha256: str
    prompt: str
    scores: tuple[float, ...]
    painted_by: str | None = None


class Influence(Frozen):
    """All scores of an adapter's training pictures. judged_on: on how many pictures their worth was measured."""

    adapter: str
    sha256: str
    model: str
    data: str
    output: str
    timesteps: int
    ridge: float
    seed: int
    judged_on: int
    training: tuple[TrainingImage, ...]
    pictures: tuple[ExplainedImage, ...]

    @property
    def verdict(self) -> str:
        """One plain sentence on each picture, or on the training pictures where none was asked about."""
        if not self.pictures:
            return (
                f"Of {len(self.training)} training pictures {len(self.harmful)} do harm, {len(self.useless)} nothing."
            )
        return " ".join(map(self._told, self.pictures))

    def _told(self, picture: ExplainedImage) -> str:
        best = max(range(len(self.training)), key=lambda index: picture.scores[index])
        name, of = PurePath(picture.picture).name, PurePath(self.training[best].picture).name
        if picture.scores[best] <= 0:
            return f"{name} is like nothing that the training pictures taught."
        return f"{name} is most like what {of} taught ({picture.scores[best]:+.2f})."

    @property
    def harmful(self) -> tuple[TrainingImage, ...]:
        return tuple(each for each in self.training if each.verdict == "harmful")

    @property
    def useless(self) -> tuple[TrainingImage, ...]:
        return tuple(each for each in self.training if each.verdict == "useless")
