"""Requests as parts of a whole: what of them lies in their folders already, and what is painted now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from limner.core.errors import LimnerError
from limner.core.events import Emit, Notice
from limner.core.execution import split_body
from limner.core.requests import GenerateRequest
from limner.core.requests.request import Trait, fields_with
from limner.core.workspace import Workspace
from limner.engine.generate.batching import Order
from limner.engine.generate.generate import generate_together
from limner.engine.generate.progress import Bar
from limner.models import loading
from limner.models.adapters import open_adapter
from limner.provenance.labels import Label, read_label

Painted = dict[int, Path]
"""Pictures by their seeds."""


@dataclass(frozen=True)
class Part:
    """A request, the folder of its pictures, and what it is called in them."""

    request: GenerateRequest
    folder: Path
    called: Mapping[str, str]

    @property
    def seeds(self) -> range:
        return range(self.request.seed, self.request.seed + self.request.count)


def paint_parts(name: str, parts: Sequence[Part], workspace: Workspace, emit: Emit) -> list[Painted]:
    """The pictures of each part; those that lie in its folder already are not painted again, and those that were
    withheld are missing. Parts that the model can paint together go through it together.
    """
    there = [finished(part.request, part.folder, workspace.execution.memory) for part in parts]
    if known := sum(map(len, there)):
        told = f"{known} of {sum(part.request.count for part in parts)} pictures are there already"
        emit(Notice(text=f"{name}: {told}"))
    bar = Bar(name, emit)
    waiting = [(number, request) for number, part in enumerate(parts) for request in _missing(part, there[number])]
    bar.total = sum(request.count * _steps(request) for _, request in waiting)
    whole = Counter[str | None]()
    for part in parts:
        whole[part.request.batch_key] += part.request.count
    for group in _groups(waiting):
        first = group[0][1]
        # of one size however many are left, so that going on paints the same bits
        size = min(first.batch, whole[first.batch_key]) if first.batch_key else None
        orders = [
            Order(
                request,
                replace(workspace, out=parts[number].folder, together=size),
                bar.listen(number * 10_000 + place, {"part": number, **parts[number].called}),
            )
            for place, (number, request) in enumerate(group)
        ]
        for _, failure in generate_together(orders):
            if failure is not None:
                raise failure
    for (order, seed), path in bar.made.items():
        if path.is_file():
            there[order // 10_000][seed] = path
    return there


def finished(request: GenerateRequest, folder: Path, memory: str = "high") -> Painted:
    """Pictures in a folder that are just what a request would paint, by their labels. memory: the preset, which may
    round weights.
    """
    paths = sorted(folder.glob("*.png")) if folder.is_dir() else []
    if not paths:
        return {}
    model = loading.resolve(request.model, request.vae)
    weights = [(open_adapter(use.path).sha256, use.weight) for use in request.adapter]
    prints = model.fingerprints()
    found: Painted = {}
    for path in paths:
        try:
            label = read_label(path)
        except LimnerError:  # damaged, or not ours
            continue
        if label is None or label.seed not in range(request.seed, request.seed + request.count):
            continue
        same = [(mark["sha256"], mark["weight"]) for mark in label.adapters] == weights
        if same and (not prints or label.model["sha256"] in prints) and alike(label, request, model.sampling, memory):
            found[label.seed] = path
    return found


def alike(label: Label, request: GenerateRequest, sampling: Mapping[str, float], memory: str = "high") -> bool:
    """Whether a picture is what a request paints; what that leaves open is what suits the model."""
    if not isinstance(label.request, GenerateRequest):
        return False
    told, execution = split_body(label.request)
    if execution.memory != memory:
        return False
    left = {*fields_with(GenerateRequest, Trait.IMAGE_NUMBER), *fields_with(GenerateRequest, Trait.COMPARED_BY_HASH)}
    left |= {name for name in fields_with(GenerateRequest, Trait.MODEL_DEFAULT) if getattr(request, name) is None}
    open_fields = {name: value for name, value in sampling.items() if getattr(request, name) is None}
    filled = request.model_copy(update=open_fields)
    return told.model_dump(exclude=left) == filled.model_dump(exclude=left)


def _missing(part: Part, there: Painted) -> Iterator[GenerateRequest]:
    """One request for each run of neighbouring seeds that are not there."""
    seeds = [seed for seed in part.seeds if seed not in there]
    for _, run in groupby(enumerate(seeds), lambda each: each[1] - each[0]):
        found = [seed for _, seed in run]
        yield part.request.model_copy(update={"seed": found[0], "count": len(found)})


def _groups(waiting: Sequence[tuple[int, GenerateRequest]]) -> Iterator[list[tuple[int, GenerateRequest]]]:
    """Requests that can be painted together, in the order of their first."""
    groups: dict[str, list[tuple[int, GenerateRequest]]] = {}
    for place, each in enumerate(waiting):
        groups.setdefault(each[1].batch_key or f"alone {place}", []).append(each)
    yield from groups.values()


def _steps(request: GenerateRequest) -> int:
    return request.steps or int(loading.resolve(request.model, request.vae).sampling["steps"])
