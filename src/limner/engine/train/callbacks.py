"""The callbacks of training: metrics and progress, checkpoints, checkpoint scores, previews."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from limner.core.errors import LimnerError
from limner.core.events import ArtifactCreated, ArtifactKind, Emit, Notice, Progress, Stage
from limner.engine.train.checkpoint import keep_weights, save_checkpoint
from limner.engine.train.checkpoint_scores import CheckpointScorer
from limner.engine.train.loop import Callback, Loop, Step
from limner.engine.train.preview_sampler import PreviewSampler, write_labelled
from limner.engine.train.trackers import MetricsLog
from limner.store.files import sha256_of

LOG_EVERY = 10
"""Steps between two lines of metrics; checkpoints have a line too."""


class ProgressLog(Callback):
    """Emits progress after every step, and logs figures at some: loss, learning rate, speed, held-out loss."""

    def __init__(self, metrics: MetricsLog, emit: Emit) -> None:
        self.metrics, self.emit = metrics, emit

    def begin(self, loop: Loop, first: int) -> None:
        self.emit(Stage(name="training", total=loop.plan.steps))
        self.emit(Progress(done=first))
        self.first, self.began = first, time.monotonic()

    def after_step(self, step: Step) -> None:
        done, lesson = step.done, step.loop.lesson
        if done % LOG_EVERY and not (step.checkpoint_due or step.stopping or done == self.first + 1):
            return self.emit(Progress(done=done))
        figures = step.figures()
        figures["images_per_second"] = (done - self.first) * lesson.images / (time.monotonic() - self.began)
        if step.checkpoint_due:
            with step.loop.evaluating():
                held_out = lesson.held_out_loss()
            figures |= {} if held_out is None else {"held_out_loss": held_out}
        self.log(done, figures)

    def log(self, done: int, figures: dict[str, float]) -> None:
        """Write figures of a step to the metrics, and emit them."""
        self.metrics.add(done, figures)
        self.emit(Progress(done=done, figures=figures))

    def end(self) -> None:
        self.metrics.close()


class Checkpoints(Callback):
    """Saves a checkpoint where one is due, and where the run is stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def after_step(self, step: Step) -> None:
        if step.checkpoint_due and step.loop.request.keep_checkpoints:
            keep_weights(self.folder, step.done, step.loop)
        if step.checkpoint_due or step.stopping:
            save_checkpoint(self.folder, step.done, step.loop)


class ScoreCheckpoints(Callback):
    """Scores every checkpoint, and finishes the run where no better one is to be expected.

    log: writes figures of a step.
    """

    def __init__(self, scorer: CheckpointScorer, log: Callable[[int, dict[str, float]], None]) -> None:
        self.scorer, self.log = scorer, log

    def begin(self, loop: Loop, first: int) -> None:
        self.scorer.drop_after(first)
        if first and loop.checkpoint_due(first) and not self.scorer.has(first):
            self.log(first, self.scorer.score(first, loop))  # killed between saving the checkpoint and scoring it

    def after_step(self, step: Step) -> None:
        if step.checkpoint_due:
            self.log(step.done, self.scorer.score(step.done, step.loop))

    def finished(self) -> bool:
        return self.scorer.finished


class Previews(Callback):
    """Writes a row of images as `preview-<step>.png`, every so many steps and at the end."""

    def __init__(self, sampler: PreviewSampler, folder: Path, every: int, emit: Emit) -> None:
        self.sampler, self.folder, self.every, self.emit = sampler, folder, every, emit

    def after_step(self, step: Step) -> None:
        if step.done % self.every and not step.final:
            return
        try:
            with step.loop.evaluating():
                self.write(step.done)
        except LimnerError as error:
            self.emit(Notice(text=f"no preview of step {step.done}: {error}", level="warning"))

    def write(self, done: int) -> None:
        """Generate and write the preview of a step."""
        path = self.folder / f"preview-{done:08d}.png"
        write_labelled(np.concatenate(self.sampler.sample(), axis=1), path, self.sampler.home)
        self.emit(
            ArtifactCreated(what=ArtifactKind.PREVIEW, path=str(path), sha256=sha256_of(path), details={"step": done})
        )
