"""Generating the images of several requests as parts of one run; existing images are not generated again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.events import ArtifactCreated, Emit, Event, Notice, Progress, Stage
from limner.core.execution import split_body
from limner.core.requests import GenerateRequest
from limner.core.requests.request import Trait, fields_with
from limner.core.workspace import Workspace
from limner.engine.generate.batching import Job
from limner.engine.generate.generate import generate_batch
from limner.models import loading
from limner.models.adapters import open_adapter
from limner.models.known_words import notify_unknown_words
from limner.provenance.labels import Label, read_label

ImagesBySeed = dict[int, Path]


@dataclass(frozen=True)
class GenerationPart:
    """A request, the folder of its images, and details that are added to the events of its images."""

    request: GenerateRequest
    folder: Path
    details: Mapping[str, str]

    @property
    def seeds(self) -> range:
        return range(self.request.seed, self.request.seed + self.request.count)


@dataclass
class JointProgress:
    """Emits the progress of many requests as that of one stage, and each notice once.

    made: images by part and seed.
    """

    name: str
    emit: Emit
    total: int = 0
    done: dict[int, int] = field(default_factory=dict[int, int])
    notices: set[str] = field(default_factory=set[str])
    made: dict[tuple[int, int], Path] = field(default_factory=dict[tuple[int, int], Path])
    started: bool = False

    def receiver(self, part: int, details: Mapping[str, Any]) -> Callable[[Event], None]:
        """Return the receiver of a part's events. details: added to those of its images."""

        def receive(event: Event) -> None:
            if isinstance(event, Stage):
                self._start(event)
            elif isinstance(event, Progress):
                self.done[part] = event.done
                self.emit(Progress(done=sum(self.done.values()), total=self.total))
            elif isinstance(event, ArtifactCreated):
                if event.what == "picture":
                    self.made[part, event.details["seed"]] = Path(event.path)
                self.emit(event.model_copy(update={"details": event.details | dict(details)}))
            elif not isinstance(event, Notice) or event.text not in self.notices:
                self.notices |= {event.text} if isinstance(event, Notice) else set()
                self.emit(event)

        return receive

    def _start(self, event: Stage) -> None:
        if event.total is not None and not self.started:
            self.started = True
            self.emit(Stage(name=self.name, total=self.total or None, unit="steps"))


def generate_parts(name: str, parts: Sequence[GenerationPart], workspace: Workspace, emit: Emit) -> list[ImagesBySeed]:
    """Return the images of each part, generated where its folder lacks them; images that were withheld are missing.

    Parts with one batch key go through the model together.
    """
    images = [existing_images(part.request, part.folder, workspace.execution.memory) for part in parts]
    if known := sum(map(len, images)):
        emit(Notice(text=f"{name}: {known} of {sum(part.request.count for part in parts)} images exist already"))
    progress = JointProgress(name, emit)
    waiting = [(number, request) for number, part in enumerate(parts) for request in _missing(part, images[number])]
    _notify_unknown_words([request for _, request in waiting], emit)
    progress.total = sum(request.count * _steps(request) for _, request in waiting)
    whole = Counter[str | None]()
    for part in parts:
        whole[part.request.batch_key] += part.request.count
    for group in _groups(waiting):
        first = group[0][1]
        # the same size however many images are missing, so that a resumed run generates the same bits
        size = min(first.batch, whole[first.batch_key]) if first.batch_key else None
        jobs = [
            Job(
                request,
                replace(workspace, out=parts[number].folder, together=size),
                progress.receiver(number * 10_000 + place, {"part": number, **parts[number].details}),
                checked=True,
            )
            for place, (number, request) in enumerate(group)
        ]
        for _, failure in generate_batch(jobs):
            if failure is not None:
                raise failure
    for (receiver, seed), path in progress.made.items():
        if path.is_file():
            images[receiver // 10_000][seed] = path
    return images


def _notify_unknown_words(requests: Sequence[GenerateRequest], emit: Emit) -> None:
    """Emit one notice for all prompts of a model and its adapters."""
    groups: dict[tuple[str, str | None, tuple[str, ...]], list[GenerateRequest]] = {}
    for request in requests:
        used = request.model, request.vae, tuple(use.path for use in request.adapter)
        groups.setdefault(used, []).append(request)
    for (reference, vae, paths), group in groups.items():
        model, adapters = loading.resolve(reference, vae), [open_adapter(path) for path in paths]
        for what, field_name in (("prompt", "prompt"), ("negative prompt", "negative_prompt")):
            texts = list(dict.fromkeys(getattr(request, field_name) for request in group))
            notify_unknown_words(model, what, texts, emit, adapters)


def existing_images(request: GenerateRequest, folder: Path, memory: str = "high") -> ImagesBySeed:
    """Return the images in a folder that are exactly those of a request, according to their labels.

    memory: the preset, which may quantise weights.
    """
    paths = sorted(folder.glob("*.png")) if folder.is_dir() else []
    if not paths:
        return {}
    model = loading.resolve(request.model, request.vae)
    weights = [(open_adapter(use.path).sha256, use.weight) for use in request.adapter]
    fingerprints = model.fingerprints()
    found: ImagesBySeed = {}
    for path in paths:
        try:
            label = read_label(path)
        except LimnerError:  # damaged, or not Limner's
            continue
        if label is None or label.seed not in range(request.seed, request.seed + request.count):
            continue
        same = [(adapter["sha256"], adapter["weight"]) for adapter in label.adapters] == weights
        known = not fingerprints or label.model["sha256"] in fingerprints
        if same and known and same_settings(label, request, model.sampling, memory):
            found[label.seed] = path
    return found


def same_settings(label: Label, request: GenerateRequest, sampling: Mapping[str, float], memory: str = "high") -> bool:
    """Whether an image was generated with a request's settings. sampling: the model's defaults."""
    if not isinstance(label.request, GenerateRequest):
        return False
    made_with, execution = split_body(label.request)
    if execution.memory != memory:
        return False
    ignored = {*fields_with(GenerateRequest, Trait.IMAGE_NUMBER), *fields_with(GenerateRequest, Trait.COMPARED_BY_HASH)}
    ignored |= {name for name in fields_with(GenerateRequest, Trait.MODEL_DEFAULT) if getattr(request, name) is None}
    defaults = {name: value for name, value in sampling.items() if getattr(request, name) is None}
    completed = request.model_copy(update=defaults)
    return made_with.model_dump(exclude=ignored) == completed.model_dump(exclude=ignored)


def _missing(part: GenerationPart, images: ImagesBySeed) -> Iterator[GenerateRequest]:
    """Yield one request for each run of consecutive seeds without an image."""
    seeds = [seed for seed in part.seeds if seed not in images]
    for _, run in groupby(enumerate(seeds), lambda each: each[1] - each[0]):
        found = [seed for _, seed in run]
        yield part.request.model_copy(update={"seed": found[0], "count": len(found)})


def _groups(waiting: Sequence[tuple[int, GenerateRequest]]) -> Iterator[list[tuple[int, GenerateRequest]]]:
    """Group requests by batch key, in the order of their first."""
    groups: dict[str, list[tuple[int, GenerateRequest]]] = {}
    for place, each in enumerate(waiting):
        groups.setdefault(each[1].batch_key or f"alone {place}", []).append(each)
    yield from groups.values()


def _steps(request: GenerateRequest) -> int:
    return request.steps or int(loading.resolve(request.model, request.vae).sampling["steps"])
