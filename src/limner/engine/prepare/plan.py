"""How each image of a dataset is read, checked, cropped and written: a plan that processes can be sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from limner.core.datasets import Fault, Rights
from limner.core.image_faults import FAULTS, Action
from limner.core.requests import PrepareRequest
from limner.core.requests.request import Trait, digest_of, fields_with
from limner.imaging.buckets import Buckets

VERSION = 3
"""Of how images are processed; work that was interrupted under another version starts again."""


@dataclass(frozen=True)
class ImagePlan:
    """How images are read, checked, cropped and written.

    folder: where to write. detector: its name and model. words: what the subject is. limits: by fault, the value from
    which on it is one. actions: by fault, what to do about it.
    """

    folder: Path
    size: int
    crop: str
    buckets: Buckets | None
    detector: tuple[str, str | None]
    makes_masks: bool
    words: str
    limits: Mapping[str, float]
    actions: Mapping[str, Action]
    rights: Rights
    format: str
    quality: int

    def drops(self, faults: tuple[Fault, ...]) -> bool:
        """Whether an image with these faults is left out."""
        return any(self.actions[fault.kind] == "drop" for fault in faults)


def actions_of(request: PrepareRequest) -> dict[str, Action]:
    """What to do about each fault."""
    found: dict[str, Action] = {name: kind.action for name, kind in FAULTS.items()}
    chosen: tuple[tuple[Action, tuple[str, ...]], ...] = (
        ("drop", request.drop),
        ("flag", request.flag),
        ("ignore", request.ignore),
    )
    for action, names in chosen:
        found |= dict.fromkeys(names, action)
    if request.despite:
        found["refused"] = "flag"
    return found


def limits_of(request: PrepareRequest) -> dict[str, float]:
    """The limit of each fault that has one and is not ignored."""
    actions = actions_of(request)
    limits = {name: kind.limit for name, kind in FAULTS.items() if kind.limit is not None}
    limits |= {limit.fault: limit.value for limit in request.limit}
    return {name: value for name, value in limits.items() if actions[name] != "ignore"}


def reading_digest(request: PrepareRequest) -> str:
    """A hash of everything that changes how images are read and written, and of their sources."""
    later = {*fields_with(PrepareRequest, Trait.AFTER_DECODING)}
    return digest_of([VERSION, request.model_dump(mode="json", exclude=later)])


def plan_of(request: PrepareRequest, folder: Path) -> ImagePlan:
    """The plan of a request. folder: where images are written."""
    return ImagePlan(
        folder=folder,
        size=request.size,
        crop=request.crop,
        buckets=Buckets.of(request.size, request.multiple) if request.buckets else None,
        detector=(request.detector, request.detector_model),
        makes_masks=request.make_masks,
        words=request.class_word or "",
        limits=limits_of(request),
        actions=actions_of(request),
        rights=Rights(request.author, request.licence, request.origin, request.consent),
        format=request.format,
        quality=request.quality,
    )
