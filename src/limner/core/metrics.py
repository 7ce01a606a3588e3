"""What is scored, and what a score must be. A metric is a plugin of `limner.metrics`, one file each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from limner.core.errors import LimnerError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL.Image import Image

Need = Literal["prompt", "references", "training", "base"]
NEEDS: dict[Need, str] = {
    "prompt": "the prompt of each picture",
    "references": "photographs of the subject",
    "training": "the training pictures",
    "base": "pictures of the base model for the same prompts and seeds",
}
"""What a metric may need besides pictures, as it is told."""
DEFAULTS = ("subject_fidelity", "diversity", "memorisation", "sharpness", "saturation", "clipping")
"""Metrics of an evaluation that names none, as far as what they need is there. Each agrees with the truth wherever
it was held against it, with a rank correlation of 0.3 at least (`limner starter agreement`, docs/metrics.md).
"""
Unit = Literal["picture", "group", "set"]
"""What one value of a metric is about: a picture, the pictures of one group, or all of them."""


@dataclass(frozen=True, slots=True)
class ScoredImage:
    """A picture to be scored. prompt: what was asked for. group: what pictures belong together, such as those painted
    from one prompt with several seeds.
    """

    picture: Path
    prompt: str | None = None
    group: str = ""


@dataclass(frozen=True)
class ImageSet:
    """What is scored, and what it is compared with.

    references: photographs of the subject. training: the pictures that were learnt from. base: what the model painted
    before it was taught, in the order of `items`.
    """

    items: tuple[ScoredImage, ...]
    references: tuple[Path, ...] = ()
    training: tuple[Path, ...] = ()
    base: tuple[ScoredImage, ...] = ()

    @property
    def pictures(self) -> list[Path]:
        return [item.picture for item in self.items]

    @property
    def groups(self) -> dict[str, list[int]]:
        """Indices of the items of each group, in the order of their first."""
        found: dict[str, list[int]] = {}
        for index, item in enumerate(self.items):
            found.setdefault(item.group, []).append(index)
        return found

    def lacks(self, need: Need) -> bool:
        """Whether it has nothing, or not enough, of what a metric needs."""
        if need == "prompt":
            return not all(item.prompt and item.prompt.strip() for item in self.items)
        return len(self.base) != len(self.items) if need == "base" else not getattr(self, need)


class Encoder(Protocol):
    """A network that turns pictures, and some of them texts, into directions. name: as it was named."""

    name: str

    def images(self, pictures: Sequence[Path]) -> torch.Tensor:
        """Files of pictures -> features (n, d) in fp32, of length 1."""
        ...

    def see(self, pictures: Sequence[Image]) -> torch.Tensor:
        """RGB pictures -> features (n, d) in fp32, of length 1; nothing is kept of them."""
        ...

    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Texts -> features (n, d) in fp32, of length 1; LimnerError where the network reads none."""
        ...


Score = Callable[[ImageSet], "np.ndarray"]
"""A gallery -> one value for each of the metric's units, in their order: (pictures,), (groups,) or (1,)."""


@runtime_checkable
class Metric(Protocol):
    """One score.

    title: what it is called in a table. about: what it measures, and who proposed it, in one line. better: which way
    is better, None where that depends. unit: what a value is about. needs: what it needs besides pictures. model: the
    network that it scores with unless another is named, None where it needs none or where one must be named. named:
    whether one must be.
    """

    title: str
    about: str
    better: Literal["higher", "lower"] | None
    unit: Unit
    needs: frozenset[Need]
    model: str | None
    named: bool

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        """What scores with a network of this name, which `encoder` opens; LimnerError where it cannot."""
        ...


@dataclass(frozen=True, slots=True)
class MetricResult:
    """What a metric said. values: one for each unit. mean, low, high: with the 95% interval. model: what scored it."""

    metric: str
    title: str
    better: Literal["higher", "lower"] | None
    unit: Unit
    model: str | None
    mean: float
    low: float
    high: float
    values: tuple[float, ...] = field(repr=False)


def check_needs(name: str, metric: Metric, gallery: ImageSet) -> None:
    """Raise LimnerError where there is nothing to score, or what the metric needs is missing."""
    if not gallery.items:
        raise LimnerError(f"the metric {name!r} was given no pictures", "name a folder with pictures")
    for need in sorted(metric.needs):
        if gallery.lacks(need):
            raise LimnerError(f"the metric {name!r} needs {NEEDS[need]}", "give them, or leave the metric out")
