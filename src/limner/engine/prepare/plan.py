"""What is done to each picture, as processes are told it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from limner.core.datasets import Fault, Rights
from limner.core.image_faults import FAULTS, Action
from limner.core.requests import PrepareRequest
from limner.core.requests.request import Trait, digest_of, fields_with
from limner.imaging.buckets import Buckets

VERSION = 2
"""Of what becomes of a picture; with another one, interrupted work is begun anew."""


@dataclass(frozen=True)
class Plan:
    """How pictures are read, judged, cut and written. folder: where to."""

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
        """Whether a picture with these faults is left out."""
        return any(self.actions[fault.kind] == "drop" for fault in faults)


def actions_of(request: PrepareRequest) -> dict[str, Action]:
    """What is done about each fault."""
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
    """From which value on something is a fault, of those that are looked for."""
    actions = actions_of(request)
    limits = {name: kind.limit for name, kind in FAULTS.items() if kind.limit is not None}
    limits |= {limit.fault: limit.value for limit in request.limit}
    return {name: value for name, value in limits.items() if actions[name] != "ignore"}


def digest_of_reading(request: PrepareRequest) -> str:
    """The same as long as pictures are read and written in the same way, from the same sources."""
    later = {*fields_with(PrepareRequest, Trait.AFTER_DECODING)}
    return digest_of([VERSION, request.model_dump(mode="json", exclude=later)])


def plan_of(request: PrepareRequest, folder: Path) -> Plan:
    """The plan of a request. folder: where pictures are written to."""
    return Plan(
        folder,
        request.size,
        request.crop,
        Buckets.of(request.size, request.multiple) if request.buckets else None,
        (request.detector, request.detector_model),
        request.make_masks,
        request.class_word or "",
        limits_of(request),
        actions_of(request),
        Rights(request.author, request.licence, request.origin, request.consent),
        request.format,
        request.quality,
    )
