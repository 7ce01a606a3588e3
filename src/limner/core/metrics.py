"""The protocol of metrics, which are plugins of `limner.metrics`, one file each; what they score and return."""

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
    "prompt": "the prompt of each image",
    "references": "photos of the subject",
    "training": "the training images",
    "base": "images of the base model for the same prompts and seeds",
}
"""What a metric may need besides images, in words."""
DEFAULTS = ("subject_fidelity", "diversity", "memorisation", "sharpness", "saturation", "clipping")
"""Metrics of an evaluation that names none, if what they need is given. Each agrees with the truth wherever that is
known, with a rank correlation of certainly `agreement.AGREES` or more (`limner starter agreement`, docs/metrics.md).
"""
Unit = Literal["picture", "group", "set"]
"""What one value of a metric is about: an image, the images of one group, or all of them."""


@dataclass(frozen=True, slots=True)
class ScoredImage:
    """An image to be scored. prompt: what it was generated from. group: a name shared by images that belong together,
    such as those of one prompt with several seeds.
    """

    path: Path
    prompt: str | None = None
    group: str = ""


@dataclass(frozen=True)
class ImageSet:
    """The images to be scored, and those that they are compared with.

    references: photos of the subject. training: the training images. base: images of the base model, in the order of
    `items`.
    """

    items: tuple[ScoredImage, ...]
    references: tuple[Path, ...] = ()
    training: tuple[Path, ...] = ()
    base: tuple[ScoredImage, ...] = ()

    @property
    def paths(self) -> list[Path]:
        return [item.path for item in self.items]

    @property
    def groups(self) -> dict[str, list[int]]:
        """Indices of the items of each group, in the order of their first item."""
        found: dict[str, list[int]] = {}
        for index, item in enumerate(self.items):
            found.setdefault(item.group, []).append(index)
        return found

    def lacks(self, need: Need) -> bool:
        """Whether it lacks what a metric needs, or a part of it."""
        if need == "prompt":
            return not all(item.prompt and item.prompt.strip() for item in self.items)
        return len(self.base) != len(self.items) if need == "base" else not getattr(self, need)


class Encoder(Protocol):
    """A network that encodes images, and some of them texts, as unit vectors. name: as the user named it."""

    name: str

    def images(self, pictures: Sequence[Path]) -> torch.Tensor:
        """Image files -> features (n, d) fp32, of length 1."""
        ...

    def see(self, pictures: Sequence[Image]) -> torch.Tensor:
        """RGB images -> features (n, d) fp32, of length 1; they are not cached."""
        ...

    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Texts -> features (n, d) fp32, of length 1; raises LimnerError if the network has no text encoder."""
        ...


Score = Callable[[ImageSet], "np.ndarray"]
"""A set of images -> one value for each of the metric's units, in their order: (images,), (groups,) or (1,)."""


@runtime_checkable
class Metric(Protocol):
    """One metric.

    title: its name in tables. about: what it measures and who proposed it, in one line. better: which direction is
    better, None if that depends. unit: what a value is about. needs: what it needs besides images. model: its default
    network, None if it needs none or if one must be named. named: whether one must be named.
    """

    title: str
    about: str
    better: Literal["higher", "lower"] | None
    unit: Unit
    needs: frozenset[Need]
    model: str | None
    named: bool

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        """The scoring function, with a network of this name opened by `encoder`; raises LimnerError if that fails."""
        ...


@dataclass(frozen=True, slots=True)
class MetricResult:
    """The result of a metric. values: one for each unit. mean, low, high: with the 95% interval. model: its network."""

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
    """Raise LimnerError if there is nothing to score, or if what the metric needs is missing."""
    if not gallery.items:
        raise LimnerError(f"the metric {name!r} got no images", "give a folder with images")
    for need in sorted(metric.needs):
        if gallery.lacks(need):
            raise LimnerError(f"the metric {name!r} needs {NEEDS[need]}", "give them, or leave the metric out")
