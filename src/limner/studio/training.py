"""What is known of trainings: the findings on their images, their metrics, scores of checkpoints, and their speed."""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, cast

from limner.core.checkpoint_scores import CheckpointScores
from limner.core.errors import LimnerError, Unavailable
from limner.core.events import ArtifactKind, Notice, Stage
from limner.core.requests import TrainRequest
from limner.core.runs import CHECKPOINT, CHECKPOINTS, Artifact, Run, Status
from limner.store.manifests import write_manifest
from limner.store.runs import Store
from limner.studio.files import StudioFiles
from limner.studio.runs import StudioRuns

MAX_BYTES = 64 * 2**20
"""The most bytes of a file of a result that is read."""
RECORDED, LISTED = 5, 200
"""The newest runs of a model from which its speed is taken, and runs among which they are searched."""
LOADING, CLASS_IMAGES, TRAINING = "loading", "class images", "training"
"""Names of stages of a training: the first of each attempt, that of class images, and that of its steps."""
_RESUMED = re.compile(r"resuming from step (\d+)")


@dataclass(frozen=True)
class ImageFault:
    """A fault of an image. kind: a key of FAULTS. text: one sentence."""

    kind: str
    text: str


@dataclass(frozen=True)
class Findings:
    """What a check found. faults: by file name; only of images with faults. advice: level and text. rights: by name."""

    verdict: str
    faults: Mapping[str, tuple[ImageFault, ...]]
    advice: tuple[tuple[str, str], ...]
    rights: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class RunStage:
    """The stage that a run is in. total: its steps, if known. began: when. first: steps that were done before."""

    name: str
    total: int | None
    began: datetime
    first: int


@dataclass(frozen=True)
class Speed:
    """How fast trainings of one model were on this machine.

    seconds: per step, image of a batch and million pixels. checkpoint: seconds per checkpoint and million pixels, with
    its previews and scores, by which checkpoint is kept. before: seconds from the first stage to the first step,
    without the start of a worker, which only its first run waits for. class_images: seconds for class images that are
    not stored yet. runs: how many.
    """

    seconds: float
    checkpoint: Mapping[str, float]
    before: float
    class_images: float
    runs: int

    def step(self, batch: int, side: int) -> float:
        """Seconds of one step with so many images of this side."""
        return self.seconds * batch * side**2 / 1e6

    def each_checkpoint(self, keep: str, side: int) -> float:
        """Seconds of one checkpoint; those of runs that kept another one, where none kept this."""
        known = self.checkpoint.get(keep, max(self.checkpoint.values(), default=0.0))
        return known * side**2 / 1e6


@dataclass(frozen=True)
class _Measured:
    """The times of one training, as in `Speed`."""

    seconds: float
    keep: str
    checkpoint: float
    before: float | None
    class_images: float | None


class StudioTraining:
    """Facts of trainings and of the checks of their images."""

    def __init__(self, store: Store, files: StudioFiles, runs: StudioRuns) -> None:
        self._store, self._files, self._runs = store, files, runs

    def findings(self, run: Run) -> Findings | None:
        """What a preparation found; None while it runs, and if its dataset was erased."""
        hashes = self._result(run, ArtifactKind.DATASET)
        try:
            report = json.loads(self._read(hashes["report.json"]))
            lines = self._read(hashes["pictures.jsonl"]).decode().splitlines()
            return _findings(report, [json.loads(line) for line in lines])
        except Unavailable:
            raise
        except (LimnerError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def metrics(self, run: Run) -> list[dict[str, float]]:
        """The metrics of a training so far, a mapping for each line of its log, by step."""
        text = self._working_file(run, "metrics.jsonl") or self._result_file(run, "metrics.jsonl")
        found: list[dict[str, float]] = []
        for line in (text or "").splitlines():
            try:
                values: Any = json.loads(line)
                numbers = {str(name): float(value) for name, value in values.items()}
            except (ValueError, AttributeError, TypeError):
                continue  # a line that is being written
            if "step" in numbers and all(map(math.isfinite, numbers.values())):
                found.append(numbers)
        return sorted(found, key=lambda each: each["step"])

    def scores(self, run: Run) -> CheckpointScores | None:
        """The scores of a training's checkpoints so far; None if it scores none."""
        for text in (self._working_file(run, "standings.json"), self._result_file(run, "checkpoints.json")):
            try:
                values = json.loads(text or "")
                known = {name: values[name] for name in values if name in _SCORE_FIELDS}
                return CheckpointScores.model_validate(known)
            except (ValueError, TypeError):
                continue
        return None

    def checkpoints(self, run: Run) -> dict[int, dict[str, str]]:
        """The adapters of a training's checkpoints that were kept: hashes of their files by name, by step."""
        found: dict[int, dict[str, str]] = {}
        for name, sha256 in self._result(run, ArtifactKind.ADAPTER).items():
            folder, _, rest = name.partition("/")
            step, _, file = rest.partition("/")
            if folder == CHECKPOINTS and step.isdecimal() and file:
                found.setdefault(int(step), {})[file] = sha256
        return dict(sorted(found.items()))

    def use_checkpoint(self, run: Run, step: int) -> str:
        """Let the adapter of a checkpoint be the one of its training that is used; returns its reference.

        Raises LimnerError for a checkpoint that was not kept.
        """
        files = self.checkpoints(run).get(step)
        if files is None:
            raise LimnerError(f"the adapter of step {step} was not kept", "choose another step")
        if len(files) == 1:
            (sha256,) = files.values()
            reference = f"sha256:{sha256}"
        else:
            with tempfile.TemporaryDirectory() as place:
                manifest = write_manifest(files, Path(place) / "files.json")
                reference = f"folder:{self._files.put(manifest)}"
            sha256 = next((files[name] for name in sorted(files) if name.endswith(".safetensors")), reference[7:])
        saved = self._saved(run, ArtifactKind.ADAPTER)[0]
        details = {**saved.details, "reference": reference, CHECKPOINT: step}
        self._store.add_artifact(run.id, saved.kind, Path(saved.path) / CHECKPOINTS / str(step), sha256, details)
        return reference

    def used_step(self, run: Run) -> int | None:
        """The step of the checkpoint that somebody chose to use; None for the adapter that the training saved."""
        newest = next(iter(self._runs.artifacts(run.id, ArtifactKind.ADAPTER)), None)
        return None if newest is None else newest.details.get(CHECKPOINT)

    def _saved(self, run: Run, kind: ArtifactKind) -> list[Artifact]:
        """The results of a run, without the checkpoints that somebody chose."""
        return [each for each in self._runs.artifacts(run.id, kind) if CHECKPOINT not in each.details]

    def seconds_left(self, run: Run, stage: RunStage | None, now: datetime) -> float | None:
        """How long the steps of a running training still take, by those of this attempt; None before the first."""
        if run.status is not Status.RUNNING or stage is None or stage.name != TRAINING or run.progress is None:
            return None
        done, total = run.progress.done, stage.total
        if total is None or done <= stage.first:
            return None
        return (now - stage.began).total_seconds() / (done - stage.first) * max(0, total - done)

    def stage(self, run: Run) -> RunStage | None:
        """The newest stage of a run; None before the first."""
        found, first = None, 0
        for _, time, event in self._runs.events(run.id):
            if isinstance(event, Stage):
                first = 0 if event.name == LOADING else first
                found = RunStage(event.name, event.total, time, first if event.name == TRAINING else 0)
            elif isinstance(event, Notice) and (resumed := _RESUMED.match(event.text)):
                first = int(resumed[1])
        return found

    def speed(self, model: str, side: int, batch: int) -> Speed | None:
        """How fast finished trainings of a model were; None without any.

        side, batch: of the model, for requests that leave them open.
        """
        found: list[_Measured] = []
        for run in self._runs.list(LISTED, "train", Status.DONE):
            request = run.request
            if isinstance(request, TrainRequest) and request.model == model and len(found) < RECORDED:
                measured = self._measured(run, request, side, batch)
                found += [] if measured is None else [measured]
        if not found:
            return None
        checkpoint: dict[str, list[float]] = {}
        for each in found:
            checkpoint.setdefault(each.keep, []).append(each.checkpoint)
        return Speed(
            seconds=median(each.seconds for each in found),
            checkpoint={keep: median(values) for keep, values in checkpoint.items()},
            before=median([each.before for each in found if each.before is not None] or [0.0]),
            class_images=median([each.class_images for each in found if each.class_images] or [0.0]),
            runs=len(found),
        )

    def _measured(self, run: Run, request: TrainRequest, side: int, batch: int) -> _Measured | None:
        """The times of a finished training; None where they are not known."""
        stage, metrics = self.stage(run), self.metrics(run)
        if stage is None or stage.name != TRAINING or run.finished is None or not metrics:
            return None
        count, pixels = metrics[-1]["step"] - stage.first, (request.resolution or side) ** 2 / 1e6
        if count <= 0 or pixels <= 0:
            return None
        whole = (run.finished - stage.began).total_seconds()
        step = min(_step_seconds(metrics, request, batch, stage.first) or whole / count, whole / count)
        points = sum(line["step"] % request.checkpoint_every == 0 for line in metrics[:-1]) + 1
        began = {each.name: time for _, time, each in self._runs.events(run.id) if isinstance(each, Stage)}
        ends = sorted(began.values())
        shown = began.get(CLASS_IMAGES)
        prior = 0.0
        if shown is not None:
            prior = (next((each for each in ends if each > shown), shown) - shown).total_seconds()
        before = max(0.0, (stage.began - ends[0]).total_seconds() - prior)
        return _Measured(
            seconds=step / (request.batch or batch) / pixels,
            keep=request.keep,
            checkpoint=max(0.0, whole - count * step) / points / pixels,
            before=None if stage.first else before,
            class_images=prior or None,
        )

    def _working_file(self, run: Run, name: str) -> str | None:
        """A file in the working folder of a run, if a worker of this machine executes it."""
        place = Path(self._store.folder(run.id)) / name
        try:
            return place.read_text(encoding="utf-8") if place.stat().st_size <= MAX_BYTES else None
        except (OSError, UnicodeDecodeError):
            return None

    def _result_file(self, run: Run, name: str) -> str | None:
        """A file of the adapter or model that a training made."""
        hashes = self._result(run, ArtifactKind.ADAPTER) or self._result(run, ArtifactKind.MODEL)
        try:
            return self._read(hashes[name]).decode("utf-8")
        except Unavailable:
            raise
        except (LimnerError, KeyError, UnicodeDecodeError):
            return None

    def _result(self, run: Run, kind: ArtifactKind) -> dict[str, str]:
        """Hashes of the files of a run's result by name; empty if it has none yet."""
        for artifact in self._saved(run, kind):
            reference = str(artifact.details.get("reference", ""))
            try:
                return self._files.manifest(reference.removeprefix("folder:"))
            except Unavailable:
                raise
            except LimnerError:
                continue
        return {}

    def _read(self, sha256: str) -> bytes:
        return self._files.read(sha256, 0, min(MAX_BYTES, self._files.size(sha256)))


def _step_seconds(metrics: list[dict[str, float]], request: TrainRequest, batch: int, first: int) -> float | None:
    """Seconds of a step, by the speeds in the metrics between two checkpoints; None where there are too few."""
    images = (request.batch or batch) * (2 if request.prior else 1)
    times = [
        (line["step"], (line["step"] - first) * images / line["images_per_second"])
        for line in metrics
        if line.get("images_per_second", 0) > 0 and line["step"] > first
    ]
    found = [
        (later - time) / (after - step)
        for (step, time), (after, later) in pairwise(times)
        if step % request.checkpoint_every and after > step and later > time
    ]
    return median(found) if found else None


_SCORE_FIELDS = frozenset((*CheckpointScores.model_fields, "alike", "strange"))


def _findings(report: Any, rows: list[Any]) -> Findings:
    faults: dict[str, tuple[ImageFault, ...]] = {}
    for row in rows:
        found = tuple(ImageFault(str(each["fault"]), str(each["told"])) for each in row["faults"])
        if found:
            faults[str(row["original"])] = found
    rights = {
        str(name): cast(Mapping[str, int], counts)
        for name, counts in cast(dict[Any, Any], report["rights"]).items()
        if isinstance(counts, dict)
    }
    advice = tuple((str(each["level"]), str(each["text"])) for each in report["advice"])
    return Findings(str(report["verdict"]), faults, advice, rights)
