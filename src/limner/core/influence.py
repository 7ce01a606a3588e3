"""The influence of training images on generated images, as influence.json stores it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Literal

from limner.core.requests import Frozen

Usefulness = Literal["useful", "useless", "harmful"]


class TrainingImage(Frozen):
    """A training image.

    worth: its mean score for images that it should improve, None if there are none. low, high: the 95% interval, None
    for a single score. verdict: None if the evidence is not sufficient for one.
    """

    picture: str
    sha256: str
    caption: str
    worth: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: Usefulness | None = None

    @property
    def worth_figures(self) -> str:
        """The worth with its interval, as text."""
        if self.worth is None:
            return ""
        bounds = "" if self.low is None else f" [{self.low:+.3f}, {self.high:+.3f}]"
        return f"{self.worth:+.3f}{bounds}"


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
    """All scores of an adapter's training images.

    judged_on: on how many images their worth was measured. cannot_tell: why some training images have no verdict, and
    what would be enough; None if all have one.
    """

    adapter: str
    sha256: str
    model: str
    data: str
    output: str
    timesteps: int
    ridge: float
    seed: int
    judged_on: int
    cannot_tell: str | None = None
    training: tuple[TrainingImage, ...]
    pictures: tuple[ExplainedImage, ...]

    @property
    def verdict(self) -> str:
        """A sentence about each image, or about the training images if there are none."""
        if not self.pictures:
            return self.usefulness
        return " ".join(map(self._sentence, self.pictures))

    @property
    def usefulness(self) -> str:
        """How many training images are harmful or useless, as far as the evidence goes."""
        count, open_ = len(self.training), sum(each.verdict is None for each in self.training)
        reason = f": {self.cannot_tell}" if self.cannot_tell else ""
        if open_ == count:
            return f"Cannot tell which of the {count} training images are harmful or useless{reason}."
        known = f"Of {count} training images {len(self.harmful)} are harmful, {len(self.useless)} useless"
        return f"{known}; cannot tell about {open_}{reason}." if open_ else f"{known}."

    def _sentence(self, picture: ExplainedImage) -> str:
        best = max(range(len(self.training)), key=lambda index: picture.scores[index])
        names = distinct_names([each.picture for each in self.pictures])
        name, of = names[self.pictures.index(picture)], PurePath(self.training[best].picture).name
        score = f"({picture.scores[best]:+.2f})"
        if picture.painted_by and picture.scores[best] <= 0:
            return f"{name} is not similar to any training image; {self.adapter} did not generate it."
        if picture.painted_by:
            return f"{name} is most similar to the training image {of} {score}; {self.adapter} did not generate it."
        if picture.scores[best] <= 0:
            return f"{name} is not influenced by any training image."
        return f"{name} is influenced most by the training image {of} {score}."

    @property
    def harmful(self) -> tuple[TrainingImage, ...]:
        return tuple(each for each in self.training if each.verdict == "harmful")

    @property
    def useless(self) -> tuple[TrainingImage, ...]:
        return tuple(each for each in self.training if each.verdict == "useless")


def distinct_names(paths: Sequence[str]) -> list[str]:
    """The file names of some paths, with as many of their folders as are needed to tell different ones apart."""
    parts = [PurePath(path).parts for path in paths]
    deepest = max(map(len, parts), default=1)
    for depth in range(1, deepest + 1):
        names = [str(PurePath(*each[-depth:])) for each in parts]
        if len({*names}) == len({*paths}):
            return names
    return list(paths)
