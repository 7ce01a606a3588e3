"""The influence of training images on generated images, as influence.json stores it."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from limner.core.requests import Frozen

Usefulness = Literal["useful", "useless", "harmful"]


class TrainingImage(Frozen):
    """A training image. worth: its mean score for images that it should improve, None if there are none."""

    picture: str
    sha256: str
    caption: str
    worth: float | None = None
    verdict: Usefulness | None = None


class ExplainedImage(Frozen):
    """An image and the score of each training image for it, in their order.

    An image unlike all others scores about 1 for itself, and one without influence 0; below 0, the image would be more
    like the base model's without it. painted_by: what generated it by its label, if that was not this adapter.
    """

    picture: str
    sha256: str
    prompt: str
    scores: tuple[float, ...]
    painted_by: str | None = None


class Influence(Frozen):
    """All scores of an adapter's training images. judged_on: on how many images their worth was measured."""

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
        """A sentence about each image, or about the training images if there are none."""
        if not self.pictures:
            return (
                f"Of {len(self.training)} training images {len(self.harmful)} are harmful, {len(self.useless)} useless."
            )
        return " ".join(map(self._sentence, self.pictures))

    def _sentence(self, picture: ExplainedImage) -> str:
        best = max(range(len(self.training)), key=lambda index: picture.scores[index])
        name, of = PurePath(picture.picture).name, PurePath(self.training[best].picture).name
        if picture.scores[best] <= 0:
            return f"{name} is not influenced by any training image."
        return f"{name} is influenced most by {of} ({picture.scores[best]:+.2f})."

    @property
    def harmful(self) -> tuple[TrainingImage, ...]:
        return tuple(each for each in self.training if each.verdict == "harmful")

    @property
    def useless(self) -> tuple[TrainingImage, ...]:
        return tuple(each for each in self.training if each.verdict == "useless")
