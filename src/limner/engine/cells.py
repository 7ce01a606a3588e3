"""The pictures of a comparison: those that are there already, and those that are painted now."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from ..core.errors import LimnerError
from ..core.events import Emit, Event, Made, Notice, Progress, Stage
from ..core.requests import CompareRequest, GenerateRequest
from ..core.workspace import Workspace
from . import models
from .adapters import open_adapter
from .contestants import Entrant
from .generate import generate_together
from .labels import Label, read_label
from .together import Order

Cell = tuple[str, int]
"""A prompt and a seed."""


def cells_of(comparison: CompareRequest) -> list[Cell]:
    """What each contestant paints, in order."""
    seeds = range(comparison.seed, comparison.seed + comparison.count)
    return [(prompt, seed) for prompt in comparison.prompt for seed in seeds]


def folder_of(out: Path, number: int, entrant: Entrant) -> Path:
    """Where the pictures of a contestant lie; number: from 1."""
    name = re.sub(r"[^\w.+-]+", "-", entrant.name).strip("-.")[:60]
    return out / "pictures" / f"{number}-{name}"


def painted_cells(
    comparison: CompareRequest, entrant: Entrant, folder: Path, workspace: Workspace, emit: Emit
) -> Mapping[Cell, Path]:
    """A contestant's pictures; those that lie in the folder already are not painted again."""
    wanted = cells_of(comparison)
    there = dict(finished_cells(comparison, entrant, folder, wanted))
    missing = [cell for cell in wanted if cell not in there]
    if there:
        emit(Notice(text=f"{entrant.name}: {len(there)} of {len(wanted)} pictures are there already"))
    if missing:
        there |= _paint(_requests(comparison, entrant, missing), entrant.name, folder, workspace, emit, len(wanted))
    if gone := [cell for cell in wanted if not (cell in there and there[cell].is_file())]:
        raise LimnerError(
            f"{len(gone)} pictures of {entrant.name} were withheld, the first of {gone[0][0][:80]!r}",
            "leave that prompt out: what is compared must be there of all",
        )
    return {cell: there[cell] for cell in wanted}


def finished_cells(
    comparison: CompareRequest, entrant: Entrant, folder: Path, wanted: Sequence[Cell]
) -> Iterator[tuple[Cell, Path]]:
    """Pictures in a folder that are just what the contestant would paint, by their labels."""
    paths = sorted(folder.glob("*.png")) if folder.is_dir() else []
    if not paths:
        return
    model = models.resolve(entrant.model, entrant.vae)
    weights = [(open_adapter(use.path).sha256, use.weight) for use in entrant.adapter]
    prints = model.fingerprints()
    for path in paths:
        try:
            label = read_label(path)
        except LimnerError:  # damaged, or not ours
            continue
        if label is None or not isinstance(label.request, GenerateRequest):
            continue
        cell = label.request.prompt, label.seed
        same = [(mark["sha256"], mark["weight"]) for mark in label.adapters] == weights
        known = not prints or label.model["sha256"] in prints
        if cell in wanted and same and known and _alike(label, entrant.request(comparison, *cell, 1), model.sampling):
            yield cell, path


def _alike(label: Label, request: GenerateRequest, sampling: Mapping[str, float]) -> bool:
    """Whether a picture is what a request paints; what that leaves open is what suits the model."""
    told = label.request
    assert isinstance(told, GenerateRequest)
    left = {"seed", "count", "adapter", "model", "vae"}  # which are compared by their hashes, or are the cell itself
    left.add("guidance_rescale")  # which is the model's own for all
    left |= {name for name in ("width", "height") if getattr(request, name) is None}
    filled = request.model_copy(
        update={name: value for name, value in sampling.items() if getattr(request, name) is None}
    )
    return told.model_dump(exclude=left) == filled.model_dump(exclude=left)


def _requests(comparison: CompareRequest, entrant: Entrant, missing: Iterable[Cell]) -> list[GenerateRequest]:
    """One request for each run of neighbouring seeds of a prompt."""
    found = []
    for (prompt, _), run in groupby(enumerate(missing), lambda each: (each[1][0], each[1][1] - each[0])):
        seeds = [seed for _, (_, seed) in run]
        found.append(entrant.request(comparison, prompt, seeds[0], len(seeds)))
    return found


def _paint(
    requests: Sequence[GenerateRequest], name: str, folder: Path, workspace: Workspace, emit: Emit, cells: int
) -> Mapping[Cell, Path]:
    """Paint requests together, in passes of one size however many are left, so that going on paints the same bits."""
    bar = _Bar(name, emit)
    place = replace(workspace, out=folder, together=min(requests[0].batch, cells))
    orders = [Order(request, place, bar.listen(number)) for number, request in enumerate(requests)]
    for _, failure in generate_together(orders):
        if failure is not None:
            raise failure
    return bar.made


@dataclass
class _Bar:
    """One bar for many requests, with their notices told once."""

    name: str
    emit: Emit
    total: int = 0
    done: dict[int, int] = field(default_factory=dict[int, int])
    said: set[str] = field(default_factory=set[str])
    made: dict[Cell, Path] = field(default_factory=dict[Cell, Path])

    def listen(self, number: int) -> Callable[[Event], None]:
        """What takes in the events of one request."""

        def take(event: Event) -> None:
            if isinstance(event, Stage):
                self._stage(event)
            elif isinstance(event, Progress):
                self.done[number] = event.done
                self.emit(Progress(done=sum(self.done.values()), total=self.total))
            elif isinstance(event, Made):
                if event.what == "picture":
                    self.made[event.details["prompt"], event.details["seed"]] = Path(event.path)
                self.emit(event.model_copy(update={"details": event.details | {"contestant": self.name}}))
            elif not isinstance(event, Notice) or event.text not in self.said:
                self.said |= {event.text} if isinstance(event, Notice) else set()
                self.emit(event)

        return take

    def _stage(self, event: Stage) -> None:
        if event.total is None:
            if event.name not in self.said:
                self.said.add(event.name)
                self.emit(event)
            return
        if not self.total:
            self.emit(Stage(name=self.name))
        self.total += event.total
