"""What is known of trainings: the findings on their images, their metrics, scores of checkpoints, and their speed."""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, cast

from limner.core.accounts import Caller
from limner.core.checkpoint_scores import CheckpointScores
from limner.core.errors import LimnerError, Unavailable
from limner.core.events import ArtifactKind, Notice, Stage
from limner.core.requests import TrainRequest
from limner.core.runs import Run, Status
from limner.store.manifests import write_manifest
from limner.store.runs import Store
from limner.studio.files import StudioFiles
from limner.studio.runs import StudioRuns

MAX_BYTES = 64 * 2**20
"""The most bytes of a file of a result that is read."""
RECORDED, LISTED = 5, 200
"""The newest runs of a model from which its speed is taken, and runs among which they are searched."""
LOADING, TRAINING = "loading", "training"
"""Names of stages of a training: the first of each attempt, and that of its steps."""
CHECKPOINTS = "checkpoints"
"""Name of the folder in a result that holds the adapters of its checkpoints."""
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

    seconds: per step, image of a batch and million pixels. before: seconds until the first step. runs: how many.
    """

    seconds: float
    before: float
    runs: int

    def step(self, batch: int, side: int) -> float:
        """Seconds of one step with so many images of this side."""
        return self.seconds * batch * side**2 / 1e6


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

    def use_checkpoint(self, caller: Caller, run: Run, step: int) -> str:
        """Give a caller the adapter of a checkpoint, as if it had uploaded it; returns its reference.

        Raises LimnerError for a checkpoint that was not kept.
        """
        files = self.checkpoints(run).get(step)
        if files is None:
            raise LimnerError(f"the adapter of step {step} was not kept", "choose another step")
        if len(files) == 1:
            (sha256,) = files.values()
            reference, size = f"sha256:{sha256}", self._files.size(sha256)
        else:
            with tempfile.TemporaryDirectory() as place:
                manifest = write_manifest(files, Path(place) / "files.json")
                reference = f"folder:{self._files.put(manifest)}"
            size = sum(map(self._files.size, files.values()))
        self._files.grants.add(caller, reference, size)
        return reference

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
        steps: list[float] = []
        before: list[float] = []
        for run in self._runs.list(LISTED, "train", Status.DONE):
            request = run.request
            if isinstance(request, TrainRequest) and request.model == model and len(steps) < RECORDED:
                for seconds, first in self._measured(run, request, side, batch):
                    steps.append(seconds)
                    before.append(first)
        return Speed(median(steps), median(before), len(steps)) if steps else None

    def _measured(self, run: Run, request: TrainRequest, side: int, batch: int) -> Iterator[tuple[float, float]]:
        """Seconds per step, image and million pixels of a run, and those before its first step."""
        stage, metrics = self.stage(run), self.metrics(run)
        if stage is None or stage.name != TRAINING or run.finished is None or not metrics:
            return
        count = metrics[-1]["step"] - stage.first
        size = (request.batch or batch) * (request.resolution or side) ** 2 / 1e6
        if count > 0 and size > 0:
            started = run.started or stage.began
            seconds = (run.finished - stage.began).total_seconds() / count / size
            yield seconds, 0.0 if stage.first else max(0.0, (stage.began - started).total_seconds())

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
        for artifact in self._runs.artifacts(run.id, kind):
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
